// SPDX-License-Identifier: Apache-2.0
#include "trace_write.h"

#include "error.h"
#include "options.h"
#include "vocabulary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Text up to this length stands in the JSON document itself. */
#define INLINE_BYTES 4096

static segue_status describe_parameters(const struct segue_entry_point *entry, json_t *array)
{
    for (uint32_t i = 0; i < entry->parameter_count; i++) {
        const struct segue_parameter *parameter = &entry->parameters[i];
        json_t *item = json_object();
        if (item == NULL || json_array_append_new(array, item) != 0) {
            return segue_trace_fail_memory("a trace");
        }
        segue_status status;
        if (parameter->kind == SEGUE_PARAMETER_CONSTANT) {
            status = segue_json_set(item, "constant", json_integer(parameter->size_bytes));
        } else {
            const char *key = parameter->kind == SEGUE_PARAMETER_BINDING ? "binding" : "indirect";
            status = segue_json_set(item, key, json_string(segue_access_names[parameter->access]));
        }
        if (status == SEGUE_OK && parameter->kind != SEGUE_PARAMETER_CONSTANT &&
            parameter->align_bytes > 1) {
            status = segue_json_set(item, "align", json_integer(parameter->align_bytes));
        }
        if (status != SEGUE_OK) {
            return status;
        }
    }
    return SEGUE_OK;
}

static segue_status set_extent(json_t *item, const char *key, const uint32_t extent[3])
{
    if (extent[0] == 0 && extent[1] == 0 && extent[2] == 0) {
        return SEGUE_OK;
    }
    return segue_json_set(item, key,
                          json_pack("[I, I, I]", (json_int_t)extent[0], (json_int_t)extent[1],
                                    (json_int_t)extent[2]));
}

static segue_status describe_entry_point(const struct segue_entry_point *entry, json_t *item)
{
    json_t *parameters = json_array();
    segue_status status = segue_json_set(item, "name", segue_json_from_text(entry->name));
    if (status == SEGUE_OK) {
        status = segue_json_set(item, "parameters", parameters);
    } else {
        json_decref(parameters);
    }
    if (status == SEGUE_OK) {
        status = describe_parameters(entry, parameters);
    }
    if (status == SEGUE_OK) {
        status = set_extent(item, "block", entry->block_size);
    }
    if (status == SEGUE_OK) {
        status = set_extent(item, "cluster", entry->cluster_size);
    }
    if (status == SEGUE_OK && entry->dynamic_shared_bytes != 0) {
        status = segue_json_set(item, "dynamic_shared", json_integer(entry->dynamic_shared_bytes));
    }
    if (status == SEGUE_OK && entry->flags != 0) {
        status = segue_json_set(
            item, "flags",
            segue_bits_to_json(entry->flags, segue_entry_flag_names, SEGUE_ENTRY_FLAG_NAME_COUNT));
    }
    return status;
}

static segue_status describe_entry_points(const struct segue_executable_params *params,
                                          json_t *array)
{
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < params->entry_point_count; i++) {
        json_t *item = json_object();
        status = item != NULL && json_array_append_new(array, item) == 0
                     ? describe_entry_point(&params->entry_points[i], item)
                     : segue_trace_fail_memory("a trace");
    }
    return status;
}

/** Writes code to a file beside the trace, under a temporary name for now. */
static segue_status store_file(segue_trace_writer *writer,
                               const struct segue_executable_params *params, size_t size_bytes,
                               json_t *item)
{
    static const char *const extensions[] = {".cu", ".ptx", ".cubin", ".fatbin"};
    struct segue_output_file *files =
        realloc(writer->code_files, ((size_t)writer->code_file_count + 1) * sizeof(files[0]));
    if (files == NULL) {
        return segue_trace_fail_memory("a trace");
    }
    writer->code_files = files;
    char number[16] = "";
    if (writer->code_file_count != 0) {
        snprintf(number, sizeof(number), "-%" PRIu32, writer->code_file_count);
    }
    char *path = NULL;
    if (asprintf(&path, "%s%s%s", writer->stem, number, extensions[params->format]) < 0) {
        return segue_trace_fail_memory("a trace");
    }
    struct segue_output_file *file = &files[writer->code_file_count];
    segue_status status = segue_output_open(file, path);
    if (status == SEGUE_OK) {
        writer->code_file_count++;
        status = segue_output_write(file, params->data, size_bytes);
    }
    if (status == SEGUE_OK) {
        const char *slash = strrchr(path, '/');
        status = segue_json_set(item, "file", json_string(slash != NULL ? slash + 1 : path));
    }
    free(path);
    return status;
}

static segue_status store_code(segue_trace_writer *writer,
                               const struct segue_executable_params *params, json_t *item)
{
    bool is_text =
        params->format == SEGUE_EXECUTABLE_CUDA_SOURCE || params->format == SEGUE_EXECUTABLE_PTX;
    size_t size_bytes = is_text ? strnlen(params->data, params->size_bytes) : params->size_bytes;
    if (is_text && size_bytes <= INLINE_BYTES && segue_text_is_utf8(params->data, size_bytes)) {
        return segue_json_set(item, "source", json_stringn(params->data, size_bytes));
    }
    return store_file(writer, params, size_bytes, item);
}

static segue_status store_options(segue_trace_writer *writer,
                                  const struct segue_executable_params *params, json_t *item)
{
    if (params->option_count == 0) {
        return SEGUE_OK;
    }
    json_t *array = json_array();
    segue_status status = segue_json_set(item, "options", array);
    for (uint32_t i = 0; status == SEGUE_OK && i < params->option_count; i++) {
        if (!segue_option_is_allowed(params->options[i])) {
            return segue_trace_fail_on(writer->device, SEGUE_UNIMPLEMENTED,
                                       "executable \"%s\": option \"%s\" cannot stand in a trace, "
                                       "because readers refuse it",
                                       params->label != NULL ? params->label : "",
                                       params->options[i]);
        }
        if (json_array_append_new(array, json_string(params->options[i])) != 0) {
            status = segue_trace_fail_memory("a trace");
        }
    }
    return status;
}

static segue_status describe(segue_trace_writer *writer, segue_executable *executable,
                             const char *name, json_t *item)
{
    struct segue_executable_params params;
    segue_executable_get_params(executable, &params);
    char *label = segue_writer_make_label(params.label != NULL ? params.label : "");
    json_t *entry_points = json_array();
    segue_status status = label != NULL ? SEGUE_OK : segue_trace_fail_memory("a trace");
    if (status == SEGUE_OK) {
        status = segue_json_set(item, "name", json_string(name));
    }
    if (status == SEGUE_OK && strcmp(label, name) != 0) {
        status = segue_json_set(item, "label", json_string(label));
    }
    free(label);
    if (status == SEGUE_OK) {
        status = segue_json_set(item, "format", json_string(segue_format_names[params.format]));
    }
    if (status == SEGUE_OK) {
        status = store_code(writer, &params, item);
    }
    if (status == SEGUE_OK) {
        status = store_options(writer, &params, item);
    }
    if (status != SEGUE_OK) {
        json_decref(entry_points);
        return status;
    }
    status = segue_json_set(item, "entry_points", entry_points);
    return status == SEGUE_OK ? describe_entry_points(&params, entry_points) : status;
}

segue_status segue_writer_name_executable(segue_trace_writer *writer, segue_executable *executable,
                                          const char **out_name)
{
    struct segue_written_objects *objects = &writer->executables;
    struct segue_executable_params params;
    uint32_t number = 0;
    bool is_new = false;
    if (segue_handles_find(&objects->handles, executable, &number)) {
        *out_name = json_string_value(json_array_get(objects->names, number));
        return SEGUE_OK;
    }
    segue_executable_get_params(executable, &params);
    number = objects->handles.count;
    char *name =
        segue_writer_make_name(writer, SEGUE_NAMES_OF_EXECUTABLES,
                               params.label != NULL ? params.label : "", "executable", number);
    json_t *item = json_object();
    segue_status status = name != NULL && item != NULL ? describe(writer, executable, name, item)
                                                       : segue_trace_fail_memory("a trace");
    if (status == SEGUE_OK &&
        (json_array_append(objects->items, item) != 0 ||
         json_array_append_new(objects->names, json_string(name)) != 0 ||
         !segue_handles_add(&objects->handles, executable, &number, &is_new))) {
        writer->done = true;
        status = segue_trace_fail_memory("a trace");
    }
    json_decref(item);
    free(name);
    if (status == SEGUE_OK) {
        *out_name = json_string_value(json_array_get(objects->names, number));
    }
    return status;
}
