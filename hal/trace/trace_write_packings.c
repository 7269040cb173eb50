// SPDX-License-Identifier: Apache-2.0
// Packed constants in a trace that is written.
#include "trace_write.h"

#include "content.h"
#include "error.h"
#include "json_get.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static json_t *dimensions(const uint32_t extent[3])
{
    return json_pack("[I, I, I]", (json_int_t)extent[0], (json_int_t)extent[1],
                     (json_int_t)extent[2]);
}

/** Grid, block, dynamic shared memory and constants. */
static segue_status describe_launch(const struct segue_dispatch *dispatch, json_t *item)
{
    const uint32_t *block = dispatch->block;
    segue_status status = segue_json_set(item, "grid", dimensions(dispatch->grid));
    if (status == SEGUE_OK && (block[0] != 0 || block[1] != 0 || block[2] != 0)) {
        status = segue_json_set(item, "block", dimensions(block));
    }
    if (status == SEGUE_OK && dispatch->dynamic_shared_bytes != 0) {
        status =
            segue_json_set(item, "dynamic_shared", json_integer(dispatch->dynamic_shared_bytes));
    }
    if (status != SEGUE_OK || dispatch->constants_size_bytes == 0) {
        return status;
    }
    char *digits = malloc((size_t)dispatch->constants_size_bytes * 2 + 1);
    if (digits == NULL) {
        return segue_trace_fail_memory("a trace");
    }
    segue_hex_encode(dispatch->constants, dispatch->constants_size_bytes, digits);
    status = segue_json_set(item, "constants", json_string(digits));
    free(digits);
    return status;
}

static segue_status describe_source(segue_trace_writer *writer, const char *buffer_name,
                                    uint32_t index, const struct segue_trace_packing_source *source,
                                    json_t *item)
{
    json_t *content = NULL;
    segue_status status = segue_json_set(item, "size", segue_json_from_u64(source->size_bytes));
    if (status == SEGUE_OK && source->is_generated) {
        status = segue_writer_describe_content(&source->content, &content);
    } else if (status == SEGUE_OK) {
        char tensor[320];
        (void)snprintf(tensor, sizeof(tensor), "source.%s.%" PRIu32, buffer_name, index);
        status = segue_writer_store_tensor(writer, tensor, SEGUE_DTYPE_U8, source->data,
                                           source->size_bytes);
        if (status == SEGUE_OK) {
            content = json_pack("{s:s, s:s}", "kind", "tensor", "tensor", tensor);
        }
    }
    return status == SEGUE_OK ? segue_json_set(item, "content", content) : status;
}

static segue_status describe_sources(segue_trace_writer *writer, const char *buffer_name,
                                     const struct segue_trace_packing *packing, json_t *item)
{
    json_t *array = json_array();
    segue_status status = segue_json_set(item, "sources", array);
    for (uint32_t i = 0; status == SEGUE_OK && i < packing->source_count; i++) {
        json_t *source = json_object();
        status = source != NULL && json_array_append_new(array, source) == 0
                     ? describe_source(writer, buffer_name, i, &packing->sources[i], source)
                     : segue_trace_fail_memory("a trace");
    }
    return status;
}

static segue_status describe_probe(const struct segue_trace_packing *packing, json_t *item)
{
    json_t *probe = json_object();
    json_t *inputs = json_array();
    segue_status status = segue_json_set(item, "probe", probe);
    if (status == SEGUE_OK) {
        status = describe_launch(&packing->probe, probe);
    }
    if (status != SEGUE_OK) {
        json_decref(inputs);
        return status;
    }
    status = segue_json_set(probe, "inputs", inputs);
    for (uint32_t i = 0; status == SEGUE_OK && i < packing->source_count; i++) {
        if (json_array_append_new(inputs, segue_json_from_u64(packing->probe_input_bytes[i])) !=
            0) {
            status = segue_trace_fail_memory("a trace");
        }
    }
    return status == SEGUE_OK
               ? segue_json_set(probe, "output", segue_json_from_u64(packing->probe_output_bytes))
               : status;
}

static segue_status describe(segue_trace_writer *writer, segue_buffer *buffer,
                             const struct segue_trace_packing *packing, json_t *item)
{
    struct segue_executable_params executable;
    const char *buffer_name = NULL;
    const char *executable_name = NULL;
    segue_status status = segue_writer_name_buffer(writer, buffer, &buffer_name);
    if (status == SEGUE_OK) {
        status =
            segue_writer_name_executable(writer, packing->dispatch.executable, &executable_name);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    segue_executable_get_params(packing->dispatch.executable, &executable);
    status = segue_json_set(item, "buffer", json_string(buffer_name));
    if (status == SEGUE_OK) {
        status = segue_json_set(item, "executable", json_string(executable_name));
    }
    if (status == SEGUE_OK) {
        const char *entry = executable.entry_points[packing->dispatch.entry_point].name;
        status = segue_json_set(item, "entry", segue_json_from_text(entry));
    }
    if (status == SEGUE_OK) {
        status = describe_launch(&packing->dispatch, item);
    }
    if (status == SEGUE_OK) {
        status = describe_sources(writer, buffer_name, packing, item);
    }
    if (status == SEGUE_OK) {
        status = segue_json_set(item, "layout", json_integer(packing->layout_id));
    }
    if (status == SEGUE_OK && packing->layout_version != 0) {
        status = segue_json_set(item, "layout_version", json_integer(packing->layout_version));
    }
    return status == SEGUE_OK && packing->probe_input_bytes != NULL ? describe_probe(packing, item)
                                                                    : status;
}

/** What is wrong with a packing; NULL if nothing is. */
static const char *find_problem(const struct segue_trace_packing *packing)
{
    struct segue_executable_params executable;
    if (packing->dispatch.executable == NULL || packing->layout_id == 0) {
        return "its packing needs an executable and a layout other than 0";
    }
    segue_executable_get_params(packing->dispatch.executable, &executable);
    if (packing->dispatch.entry_point >= executable.entry_point_count) {
        return "its packing's executable has no such entry point";
    }
    if (packing->source_count == 0 || packing->source_count > SEGUE_TRACE_MAX_PACKING_SOURCES) {
        return "its packing must have 1 to 8 sources";
    }
    for (uint32_t i = 0; i < packing->source_count; i++) {
        const struct segue_trace_packing_source *source = &packing->sources[i];
        if (source->size_bytes == 0 || (!source->is_generated && source->data == NULL)) {
            return "a source of its packing has no bytes";
        }
        if (!source->is_generated) {
            continue;
        }
        const char *problem = segue_content_problem(&source->content);
        if (problem != NULL) {
            return problem;
        }
        if (source->size_bytes % segue_content_unit_bytes(&source->content) != 0) {
            return "the size of a source is not a multiple of its content's element size";
        }
    }
    return NULL;
}

segue_status segue_trace_writer_set_packing(segue_trace_writer *writer, segue_buffer *buffer,
                                            const struct segue_trace_packing *packing)
{
    if (writer == NULL || buffer == NULL || packing == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "writer, buffer and packing must not be NULL");
    }
    if (writer->done) {
        return segue_trace_fail_on(writer->device, SEGUE_INVALID_STATE,
                                   "%s: the writer has finished or failed before", writer->path);
    }
    struct segue_buffer_info info;
    segue_buffer_get_info(buffer, &info);
    const char *problem = find_problem(packing);
    if (info.memory != SEGUE_MEMORY_CONSTANT || info.memory_offset_bytes != 0 ||
        info.memory_size_bytes != info.size_bytes) {
        problem = "only whole constant memory can be packed";
    }
    if (problem != NULL) {
        return segue_trace_fail_on(writer->device, SEGUE_INVALID_ARGUMENT, "buffer \"%s\": %s",
                                   info.label, problem);
    }
    segue_status status = segue_writer_add_buffer(writer, buffer, NULL);
    if (status != SEGUE_OK) {
        return status;
    }
    json_t *item = json_object();
    status =
        item != NULL ? describe(writer, buffer, packing, item) : segue_trace_fail_memory("a trace");
    if (status == SEGUE_OK && json_array_append(writer->packings, item) != 0) {
        status = segue_trace_fail_memory("a trace");
    }
    json_decref(item);
    // The buffer is known now, and its content would be missing.
    writer->done = status != SEGUE_OK;
    return status;
}
