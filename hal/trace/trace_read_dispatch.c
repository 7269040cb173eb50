// SPDX-License-Identifier: Apache-2.0
#include "trace_read.h"

#include "access.h"
#include "error.h"
#include "vocabulary.h"

#include <inttypes.h>
#include <string.h>

#define MAX_BLOCK_THREADS 1024
#define MAX_SHARED_BYTES (1u << 20)

static bool is_zero(const uint32_t dimensions[3])
{
    return dimensions[0] == 0 && dimensions[1] == 0 && dimensions[2] == 0;
}

segue_status segue_trace_read_entry_point(const struct segue_json *at, const segue_trace *trace,
                                          struct segue_trace_dispatch *dispatch)
{
    segue_status status = segue_trace_read_reference(at, "executable", &trace->executable_names,
                                                     "executable", &dispatch->executable);
    if (status != SEGUE_OK) {
        return status;
    }
    return segue_trace_read_reference(at, "entry",
                                      &trace->executables[dispatch->executable].entry_names,
                                      "entry point", &dispatch->entry_point);
}

segue_status segue_trace_read_launch(const struct segue_json *at,
                                     const struct segue_entry_point *entry,
                                     struct segue_trace_dispatch *dispatch)
{
    static const uint32_t grid_limits[3] = {INT32_MAX, 65535, 65535};
    static const uint32_t block_limits[3] = {1024, 1024, 64};
    struct segue_json child;
    segue_status status = segue_json_member(at, "grid", &child);
    if (status == SEGUE_OK) {
        status = segue_trace_read_dimensions(&child, 0, grid_limits, dispatch->grid);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < 3; i++) {
        uint32_t cluster = entry->cluster_size[i] != 0 ? entry->cluster_size[i] : 1;
        if (dispatch->grid[i] % cluster != 0) {
            return segue_json_fail(&child, "must be a multiple of the cluster size");
        }
    }
    memcpy(dispatch->block, entry->block_size, sizeof(dispatch->block));
    bool has_block = status == SEGUE_OK && segue_json_optional(at, "block", &child);
    if (has_block) {
        status = segue_trace_read_dimensions(&child, 1, block_limits, dispatch->block);
        if (status == SEGUE_OK &&
            dispatch->block[0] * dispatch->block[1] * dispatch->block[2] > MAX_BLOCK_THREADS) {
            return segue_json_fail(&child, "more than %d threads", MAX_BLOCK_THREADS);
        }
        if (status == SEGUE_OK && !is_zero(entry->block_size) &&
            memcmp(dispatch->block, entry->block_size, sizeof(dispatch->block)) != 0) {
            return segue_json_fail(&child, "differs from the static size of entry point \"%s\"",
                                   entry->name);
        }
    }
    if (status == SEGUE_OK && is_zero(dispatch->block)) {
        return segue_json_fail(
            at, "key \"block\" is missing: entry point \"%s\" has no static size", entry->name);
    }
    dispatch->dynamic_shared_bytes = entry->dynamic_shared_bytes;
    return status == SEGUE_OK ? segue_json_optional_u32(at, "dynamic_shared", 0, MAX_SHARED_BYTES,
                                                        &dispatch->dynamic_shared_bytes)
                              : status;
}

static segue_status read_bindings(const struct segue_json *at, segue_trace *trace,
                                  const struct segue_trace_command_buffer *command_buffer,
                                  const struct segue_entry_point *entry, uint32_t expected,
                                  struct segue_trace_dispatch *dispatch)
{
    struct segue_json child;
    uint32_t count = 0;
    struct segue_trace_range *bindings = NULL;
    segue_status status =
        segue_json_optional_array(at, "bindings", SEGUE_TRACE_MAX_PARAMETERS, &child, &count);
    if (status == SEGUE_OK && count != expected) {
        return segue_json_fail(&child, "%" PRIu32 " bindings; entry point \"%s\" takes %" PRIu32,
                               count, entry->name, expected);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(bindings[0]), &bindings);
    }
    uint32_t next = 0;
    for (uint32_t i = 0; status == SEGUE_OK && i < entry->parameter_count; i++) {
        if (entry->parameters[i].kind == SEGUE_PARAMETER_CONSTANT) {
            continue;
        }
        const struct segue_trace_range_rules rules = {
            .command_buffer = command_buffer,
            .usage = segue_trace_dispatch_usage(entry->parameters[i].access),
        };
        struct segue_json element = segue_json_element(&child, next);
        status = segue_trace_read_range(&element, trace, &rules, &bindings[next]);
        next++;
    }
    dispatch->bindings = bindings;
    dispatch->binding_count = count;
    return status;
}

segue_status segue_trace_read_constants(const struct segue_json *at, segue_trace *trace,
                                        const struct segue_entry_point *entry, uint32_t expected,
                                        struct segue_trace_dispatch *dispatch)
{
    struct segue_json child = *at;
    const char *digits = "";
    uint32_t length = 0;
    unsigned char *constants = NULL;
    segue_status status = SEGUE_OK;
    if (segue_json_optional(at, "constants", &child)) {
        status = segue_json_hex(&child, SEGUE_TRACE_MAX_CONSTANTS_BYTES, &digits, &length);
    }
    if (status == SEGUE_OK && length != expected) {
        return segue_json_fail(&child,
                               "%" PRIu32 " bytes of constants; entry point \"%s\" takes %" PRIu32,
                               length, entry->name, expected);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, length, 1, &constants);
    }
    if (status == SEGUE_OK) {
        segue_hex_decode(digits, length, constants);
    }
    dispatch->constants = constants;
    dispatch->constants_bytes = length;
    return status;
}

static segue_status read_pointer(const struct segue_json *at, const segue_trace *trace,
                                 uint32_t constants_bytes, struct segue_trace_pointer *pointer)
{
    static const char *const keys[] = {"at", "buffer", "offset", NULL};
    struct segue_json child;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "at", &child);
    }
    if (status == SEGUE_OK && constants_bytes < sizeof(uint64_t)) {
        return segue_json_fail(&child, "the constants are too short for an address");
    }
    if (status == SEGUE_OK) {
        status = segue_json_optional_u32(at, "at", 0, constants_bytes - (uint32_t)sizeof(uint64_t),
                                         &pointer->position_bytes);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_read_reference(at, "buffer", &trace->buffer_names, "buffer",
                                            &pointer->buffer);
    }
    if (status == SEGUE_OK) {
        status = segue_json_optional_u64(
            at, "offset", 0, trace->buffers[pointer->buffer].size_bytes, &pointer->offset_bytes);
    }
    return status;
}

/** Addresses inside the constants: only for kernels that say that they have some. */
static segue_status read_pointers(const struct segue_json *at, segue_trace *trace,
                                  const struct segue_entry_point *entry,
                                  struct segue_trace_dispatch *dispatch)
{
    struct segue_json child;
    uint32_t count = 0;
    struct segue_trace_pointer *pointers = NULL;
    segue_status status =
        segue_json_optional_array(at, "pointers", SEGUE_TRACE_MAX_PARAMETERS, &child, &count);
    if (status == SEGUE_OK && count != 0 && (entry->flags & SEGUE_ENTRY_OPAQUE) == 0) {
        return segue_json_fail(&child, "entry point \"%s\" is not \"opaque\"", entry->name);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(pointers[0]), &pointers);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        status = read_pointer(&element, trace, dispatch->constants_bytes, &pointers[i]);
    }
    dispatch->pointers = pointers;
    dispatch->pointer_count = count;
    return status;
}

segue_status segue_trace_read_dispatch(const struct segue_json *at, segue_trace *trace,
                                       const struct segue_trace_command_buffer *command_buffer,
                                       struct segue_trace_command *command)
{
    static const char *const keys[] = {"op",       "executable",     "entry",       "grid",
                                       "block",    "dynamic_shared", "bindings",    "constants",
                                       "pointers", "constant_slots", "duration_ns", NULL};
    struct segue_trace_dispatch *dispatch = NULL;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, 1, sizeof(*dispatch), &dispatch);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_read_entry_point(at, trace, dispatch);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    const struct segue_trace_executable *executable = &trace->executables[dispatch->executable];
    uint32_t index = dispatch->entry_point;
    const struct segue_entry_point *entry = &executable->params.entry_points[index];
    status = segue_trace_read_launch(at, entry, dispatch);
    if (status == SEGUE_OK) {
        status = read_bindings(at, trace, command_buffer, entry, executable->binding_counts[index],
                               dispatch);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_read_constants(at, trace, entry, executable->constants_bytes[index],
                                            dispatch);
    }
    if (status == SEGUE_OK) {
        status = read_pointers(at, trace, entry, dispatch);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_read_constant_uses(at, trace, command_buffer, entry, dispatch);
    }
    if (status == SEGUE_OK) {
        status = segue_json_optional_u32(at, "duration_ns", 0, UINT32_MAX, &dispatch->duration_ns);
    }
    command->as.dispatch = dispatch;
    return status;
}
