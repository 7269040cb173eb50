// SPDX-License-Identifier: Apache-2.0
#include "trace_read.h"

#include "error.h"
#include "options.h"
#include "vocabulary.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define MAX_CONSTANT_BYTES 4092
#define MAX_ALIGN_BYTES 256
#define MAX_BLOCK_THREADS 1024
#define MAX_CLUSTER_BLOCKS 16
#define MAX_SHARED_BYTES (1u << 20)

static segue_status read_parameter(const struct segue_json *at, struct segue_parameter *parameter)
{
    static const char *const binding_keys[] = {"binding", "align", NULL};
    static const char *const indirect_keys[] = {"indirect", "align", NULL};
    static const char *const constant_keys[] = {"constant", NULL};
    struct segue_json child;
    segue_status status;
    if (segue_json_optional(at, "constant", &child)) {
        parameter->kind = SEGUE_PARAMETER_CONSTANT;
        status = segue_json_object(at, constant_keys);
        return status == SEGUE_OK ? segue_json_optional_u32(at, "constant", 1, MAX_CONSTANT_BYTES,
                                                            &parameter->size_bytes)
                                  : status;
    }
    uint32_t access = 0;
    const bool is_indirect = segue_json_optional(at, "indirect", &child);
    parameter->kind = is_indirect ? SEGUE_PARAMETER_INDIRECT : SEGUE_PARAMETER_BINDING;
    status = segue_json_object(at, is_indirect ? indirect_keys : binding_keys);
    if (status == SEGUE_OK) {
        status = segue_json_member(at, is_indirect ? "indirect" : "binding", &child);
    }
    if (status == SEGUE_OK) {
        status = segue_json_enum(&child, segue_access_names, SEGUE_ACCESS_NAME_COUNT, &access);
    }
    parameter->access = (enum segue_access)access;
    if (status == SEGUE_OK && segue_json_optional(at, "align", &child)) {
        status = segue_json_optional_u32(at, "align", 1, MAX_ALIGN_BYTES, &parameter->align_bytes);
        uint32_t align = parameter->align_bytes;
        if (status == SEGUE_OK && (align & (align - 1)) != 0) {
            return segue_json_fail(&child, "%" PRIu32 " is not a power of two", align);
        }
    }
    return status;
}

/** Parameters, and what they add up to. */
static segue_status read_parameters(const struct segue_json *at, segue_trace *trace,
                                    struct segue_entry_point *entry, uint32_t *out_constants_bytes,
                                    uint32_t *out_binding_count)
{
    struct segue_json child;
    struct segue_parameter *parameters = NULL;
    uint32_t count = 0;
    segue_status status =
        segue_json_optional_array(at, "parameters", SEGUE_TRACE_MAX_PARAMETERS, &child, &count);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(parameters[0]), &parameters);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        status = read_parameter(&element, &parameters[i]);
        *out_constants_bytes += parameters[i].size_bytes;
        *out_binding_count += parameters[i].kind != SEGUE_PARAMETER_CONSTANT;
    }
    if (status == SEGUE_OK && *out_constants_bytes > SEGUE_TRACE_MAX_CONSTANTS_BYTES) {
        return segue_json_fail(&child, "%" PRIu32 " bytes of constants; at most %d are supported",
                               *out_constants_bytes, SEGUE_TRACE_MAX_CONSTANTS_BYTES);
    }
    entry->parameters = parameters;
    entry->parameter_count = count;
    return status;
}

/** An optional block or cluster size whose product is bounded. */
static segue_status read_extent(const struct segue_json *at, const char *key,
                                const uint32_t limits[3], uint32_t max_product,
                                uint32_t out_dimensions[3])
{
    struct segue_json child;
    if (!segue_json_optional(at, key, &child)) {
        return SEGUE_OK;
    }
    segue_status status = segue_trace_read_dimensions(&child, 1, limits, out_dimensions);
    uint32_t product = out_dimensions[0] * out_dimensions[1] * out_dimensions[2];
    if (status == SEGUE_OK && product > max_product) {
        return segue_json_fail(&child, "the product is %" PRIu32 "; at most %" PRIu32, product,
                               max_product);
    }
    return status;
}

static segue_status read_entry_point(const struct segue_json *at, segue_trace *trace,
                                     struct segue_entry_point *entry, uint32_t *out_constants_bytes,
                                     uint32_t *out_binding_count)
{
    static const char *const keys[] = {"name",           "parameters", "block", "cluster",
                                       "dynamic_shared", "flags",      NULL};
    static const uint32_t block_limits[3] = {1024, 1024, 64};
    static const uint32_t cluster_limits[3] = {MAX_CLUSTER_BLOCKS, MAX_CLUSTER_BLOCKS,
                                               MAX_CLUSTER_BLOCKS};
    struct segue_json child;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_trace_read_name(at, "name", trace, &entry->name);
    }
    if (status == SEGUE_OK) {
        status = read_parameters(at, trace, entry, out_constants_bytes, out_binding_count);
    }
    if (status == SEGUE_OK) {
        status = read_extent(at, "block", block_limits, MAX_BLOCK_THREADS, entry->block_size);
    }
    if (status == SEGUE_OK) {
        status =
            read_extent(at, "cluster", cluster_limits, MAX_CLUSTER_BLOCKS, entry->cluster_size);
    }
    if (status == SEGUE_OK) {
        status = segue_json_optional_u32(at, "dynamic_shared", 0, MAX_SHARED_BYTES,
                                         &entry->dynamic_shared_bytes);
    }
    if (status == SEGUE_OK && segue_json_optional(at, "flags", &child)) {
        status = segue_json_flags(&child, segue_entry_flag_names, SEGUE_ENTRY_FLAG_NAME_COUNT,
                                  &entry->flags);
    }
    return status;
}

/** Which parameters the bindings of each entry point are. */
static segue_status map_bindings(segue_trace *trace, struct segue_trace_executable *executable)
{
    uint32_t entry_count = executable->params.entry_point_count;
    const uint32_t **maps = NULL;
    segue_status status = segue_trace_allocate(trace, entry_count, sizeof(maps[0]), &maps);
    for (uint32_t i = 0; status == SEGUE_OK && i < entry_count; i++) {
        const struct segue_entry_point *entry = &executable->params.entry_points[i];
        uint32_t *map = NULL;
        uint32_t next = 0;
        status = segue_trace_allocate(trace, executable->binding_counts[i], sizeof(map[0]), &map);
        for (uint32_t k = 0; status == SEGUE_OK && k < entry->parameter_count; k++) {
            if (entry->parameters[k].kind != SEGUE_PARAMETER_CONSTANT) {
                map[next++] = k;
            }
        }
        maps[i] = map;
    }
    executable->binding_parameters = maps;
    return status;
}

static segue_status read_entry_points(const struct segue_json *at, segue_trace *trace,
                                      struct segue_trace_executable *executable)
{
    struct segue_json child;
    uint32_t count = 0;
    struct segue_entry_point *entries = NULL;
    struct segue_name *names = NULL;
    uint32_t *constants_bytes = NULL;
    uint32_t *binding_counts = NULL;
    segue_status status = segue_json_member(at, "entry_points", &child);
    if (status == SEGUE_OK) {
        status = segue_json_array(&child, SEGUE_TRACE_MAX_ENTRY_POINTS, &count);
    }
    if (status == SEGUE_OK && count == 0) {
        return segue_json_fail(&child, "must not be empty");
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(entries[0]), &entries);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(names[0]), &names);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(uint32_t), &constants_bytes);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(uint32_t), &binding_counts);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        status =
            read_entry_point(&element, trace, &entries[i], &constants_bytes[i], &binding_counts[i]);
        names[i] = (struct segue_name){.text = entries[i].name, .index = i};
    }
    if (status != SEGUE_OK) {
        return status;
    }
    executable->params.entry_points = entries;
    executable->params.entry_point_count = count;
    executable->constants_bytes = constants_bytes;
    executable->binding_counts = binding_counts;
    executable->entry_names = (struct segue_names){.names = names, .count = count};
    status = segue_trace_sort_names(&child, &executable->entry_names);
    return status == SEGUE_OK ? map_bindings(trace, executable) : status;
}

static segue_status read_code_file(const struct segue_json *at, segue_trace *trace,
                                   struct segue_executable_params *params)
{
    const char *path = NULL;
    int fd = -1;
    uint64_t size_bytes = 0;
    segue_status status = segue_trace_open_file(at, trace, &path, &fd, &size_bytes);
    if (status != SEGUE_OK) {
        return status;
    }
    char *data = NULL;
    if (size_bytes == 0 || size_bytes > SEGUE_TRACE_MAX_CODE_BYTES) {
        status = segue_json_fail(
            at, "file \"%.80s\" has %" PRIu64 " bytes; 1 to %" PRIu64 " are supported", path,
            size_bytes, SEGUE_TRACE_MAX_CODE_BYTES);
    } else {
        // One more, zeroed: text stays terminated.
        status = segue_trace_allocate(trace, (size_t)size_bytes + 1, 1, &data);
    }
    int error = status == SEGUE_OK ? segue_read_exactly(fd, 0, data, (size_t)size_bytes) : 0;
    close(fd);
    if (error != 0) {
        return segue_trace_fail(SEGUE_IO_ERROR, "%s: could not be read: %s", path,
                                error > 0 ? strerror(error) : "it became shorter");
    }
    params->data = data;
    params->size_bytes = (size_t)size_bytes;
    return status;
}

/** "source" (text) or "file". */
static segue_status read_code(const struct segue_json *at, segue_trace *trace,
                              struct segue_executable_params *params)
{
    struct segue_json source;
    struct segue_json file;
    bool has_source = segue_json_optional(at, "source", &source);
    bool has_file = segue_json_optional(at, "file", &file);
    if (has_source == has_file) {
        return segue_json_fail(at, "needs either \"source\" or \"file\"");
    }
    if (has_file) {
        return read_code_file(&file, trace, params);
    }
    if (params->format != SEGUE_EXECUTABLE_CUDA_SOURCE && params->format != SEGUE_EXECUTABLE_PTX) {
        return segue_json_fail(&source, "only \"cuda\" and \"ptx\" may be inline");
    }
    const char *text = NULL;
    size_t length = 0;
    segue_status status = segue_json_text(&source, &text, &length);
    if (status == SEGUE_OK && length == 0) {
        return segue_json_fail(&source, "must not be empty");
    }
    if (status == SEGUE_OK) {
        params->data = segue_pool_copy_string(&trace->pool, text);
        params->size_bytes = length;
        status = params->data != NULL ? SEGUE_OK : segue_trace_fail_memory("a trace");
    }
    return status;
}

static segue_status read_options(const struct segue_json *at, segue_trace *trace,
                                 struct segue_executable_params *params)
{
    struct segue_json child;
    uint32_t count = 0;
    const char **options = NULL;
    segue_status status =
        segue_json_optional_array(at, "options", SEGUE_TRACE_MAX_OPTIONS, &child, &count);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(options[0]), &options);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        const char *text = NULL;
        status = segue_json_string(&element, SEGUE_TRACE_MAX_OPTION_BYTES, &text);
        if (status == SEGUE_OK && !segue_option_is_allowed(text)) {
            return segue_json_fail(&element, "option \"%.80s\" is not allowed in a trace", text);
        }
        if (status == SEGUE_OK) {
            options[i] = segue_pool_copy_string(&trace->pool, text);
            status = options[i] != NULL ? SEGUE_OK : segue_trace_fail_memory("a trace");
        }
    }
    params->options = options;
    params->option_count = count;
    return status;
}

static segue_status read_executable(const struct segue_json *at, segue_trace *trace,
                                    struct segue_trace_executable *executable)
{
    static const char *const keys[] = {"name", "label",   "format",       "source",
                                       "file", "options", "entry_points", NULL};
    struct segue_json child;
    uint32_t format = 0;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_trace_read_name(at, "name", trace, &executable->name);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_read_label(at, trace, executable->name, &executable->params.label);
    }
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "format", &child);
    }
    if (status == SEGUE_OK) {
        status = segue_json_enum(&child, segue_format_names, SEGUE_FORMAT_NAME_COUNT, &format);
    }
    executable->params.format = (enum segue_executable_format)format;
    if (status == SEGUE_OK) {
        status = read_code(at, trace, &executable->params);
    }
    if (status == SEGUE_OK) {
        status = read_options(at, trace, &executable->params);
    }
    return status == SEGUE_OK ? read_entry_points(at, trace, executable) : status;
}

segue_status segue_trace_read_executables(const struct segue_json *root, segue_trace *trace)
{
    struct segue_json at;
    uint32_t count = 0;
    struct segue_name *names = NULL;
    segue_status status =
        segue_json_optional_array(root, "executables", SEGUE_TRACE_MAX_EXECUTABLES, &at, &count);
    if (status == SEGUE_OK) {
        status =
            segue_trace_allocate(trace, count, sizeof(trace->executables[0]), &trace->executables);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(names[0]), &names);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&at, i);
        status = read_executable(&element, trace, &trace->executables[i]);
        names[i] = (struct segue_name){.text = trace->executables[i].name, .index = i};
    }
    trace->executable_count = count;
    trace->executable_names = (struct segue_names){.names = names, .count = count};
    return status == SEGUE_OK ? segue_trace_sort_names(&at, &trace->executable_names) : status;
}
