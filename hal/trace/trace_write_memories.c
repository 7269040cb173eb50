// SPDX-License-Identifier: Apache-2.0
// Describes memories, the handles on them, and what they hold, once all handles are known.
#include "trace_write.h"

#include "error.h"
#include "vocabulary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** The handles of one memory: a run of `order`. */
struct handle_run {
    const uint32_t *numbers;
    uint32_t count;
};

static segue_status add_name(json_t *item, const char *name, const char *label)
{
    segue_status status = segue_json_set(item, "name", json_string(name));
    if (status == SEGUE_OK && strcmp(name, label) != 0) {
        status = segue_json_set(item, "label", json_string(label));
    }
    return status;
}

/** A new object at the end of the array. */
static segue_status append(json_t *array, json_t **out_item)
{
    *out_item = json_object();
    if (*out_item == NULL || json_array_append_new(array, *out_item) != 0) {
        return segue_trace_fail_memory("a trace");
    }
    return SEGUE_OK;
}

static segue_status append_root(json_t *array, const struct segue_written_memory *memory,
                                const char *name, const char *label)
{
    uint32_t usual = memory->type == SEGUE_MEMORY_CONSTANT ? SEGUE_BUFFER_USAGE_READ_ONLY
                                                           : SEGUE_BUFFER_USAGE_ALL;
    json_t *item = NULL;
    segue_status status = append(array, &item);
    if (status == SEGUE_OK) {
        status = add_name(item, name, label);
    }
    if (status == SEGUE_OK) {
        status = segue_json_set(item, "size", segue_json_from_u64(memory->size_bytes));
    }
    if (status == SEGUE_OK && memory->type != SEGUE_MEMORY_DEVICE) {
        status = segue_json_set(item, "memory", json_string(segue_memory_names[memory->type]));
    }
    if (status == SEGUE_OK && memory->usage != usual) {
        status = segue_json_set(
            item, "usage",
            segue_bits_to_json(memory->usage, segue_usage_names, SEGUE_USAGE_NAME_COUNT));
    }
    return status;
}

static segue_status append_view(json_t *array, const char *name, const char *label,
                                const char *root_name, uint64_t offset_bytes, uint64_t size_bytes)
{
    json_t *item = NULL;
    segue_status status = append(array, &item);
    if (status == SEGUE_OK) {
        status = add_name(item, name, label);
    }
    if (status == SEGUE_OK) {
        status = segue_json_set(item, "view_of", json_string(root_name));
    }
    if (status == SEGUE_OK && offset_bytes != 0) {
        status = segue_json_set(item, "offset", segue_json_from_u64(offset_bytes));
    }
    return status == SEGUE_OK ? segue_json_set(item, "size", segue_json_from_u64(size_bytes))
                              : status;
}

/** Gives the piece to the handle with just that range, or to a view made for it. `begin` is where
 *  the memory's entries begin in the array, of which the first is the root. */
static segue_status place_piece(segue_trace_writer *writer, json_t *array, size_t begin,
                                const struct segue_written_memory *memory,
                                const struct segue_written_piece *piece)
{
    json_t *root = json_array_get(array, begin);
    if (piece->offset_bytes == 0 && piece->length_bytes == memory->size_bytes) {
        return segue_json_set(root, "content", json_incref(piece->content));
    }
    for (size_t i = begin + 1; i < json_array_size(array); i++) {
        json_t *item = json_array_get(array, i);
        uint64_t offset = (uint64_t)json_integer_value(json_object_get(item, "offset"));
        uint64_t size = (uint64_t)json_integer_value(json_object_get(item, "size"));
        if (offset == piece->offset_bytes && size == piece->length_bytes &&
            json_object_get(item, "content") == NULL) {
            return segue_json_set(item, "content", json_incref(piece->content));
        }
    }
    const char *root_name = json_string_value(json_object_get(root, "name"));
    char *name = segue_writer_make_name(writer, SEGUE_NAMES_OF_BUFFERS, "", "piece",
                                        (uint32_t)json_array_size(array));
    if (name == NULL) {
        return segue_trace_fail_memory("a trace");
    }
    segue_status status =
        append_view(array, name, "", root_name, piece->offset_bytes, piece->length_bytes);
    free(name);
    return status == SEGUE_OK ? segue_json_set(json_array_get(array, json_array_size(array) - 1),
                                               "content", json_incref(piece->content))
                              : status;
}

static segue_status describe_memory(segue_trace_writer *writer, json_t *array, uint32_t index,
                                    const struct handle_run *run)
{
    const struct segue_written_memory *memory = &writer->memories[index];
    const struct segue_written_buffer *root = NULL;
    size_t begin = json_array_size(array);
    for (uint32_t i = 0; root == NULL && i < run->count; i++) {
        const struct segue_written_buffer *buffer = &writer->buffers[run->numbers[i]];
        root = buffer->size_bytes == memory->size_bytes ? buffer : NULL;
    }
    // Where only parts are known, the whole gets an entry of its own.
    char *made = NULL;
    if (root == NULL) {
        made = segue_writer_make_name(writer, SEGUE_NAMES_OF_BUFFERS, "", "memory", index);
        if (made == NULL) {
            return segue_trace_fail_memory("a trace");
        }
    }
    const char *root_name = root != NULL ? root->name : made;
    segue_status status = append_root(array, memory, root_name, root != NULL ? root->label : "");
    for (uint32_t i = 0; status == SEGUE_OK && i < run->count; i++) {
        const struct segue_written_buffer *buffer = &writer->buffers[run->numbers[i]];
        if (buffer != root) {
            status = append_view(array, buffer->name, buffer->label, root_name,
                                 buffer->offset_bytes, buffer->size_bytes);
        }
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < memory->piece_count; i++) {
        if (memory->pieces[i].content != NULL) {
            status = place_piece(writer, array, begin, memory, &memory->pieces[i]);
        }
    }
    free(made);
    return status;
}

/** Numbers of handles, grouped by memory: memory i has order[starts[i]] to order[starts[i + 1]]. */
static void group_handles(const segue_trace_writer *writer, uint32_t *starts, uint32_t *order)
{
    uint32_t memory_count = writer->memory_ids.count;
    for (uint32_t i = 0; i < writer->buffer_handles.count; i++) {
        starts[writer->buffers[i].memory + 1]++;
    }
    for (uint32_t i = 0; i < memory_count; i++) {
        starts[i + 1] += starts[i];
    }
    for (uint32_t i = 0; i < writer->buffer_handles.count; i++) {
        order[starts[writer->buffers[i].memory]++] = i;
    }
    // Each start has moved to the next one's place.
    memmove(starts + 1, starts, memory_count * sizeof(starts[0]));
    starts[0] = 0;
}

segue_status segue_writer_describe_buffers(segue_trace_writer *writer, json_t **out_array)
{
    uint32_t memory_count = writer->memory_ids.count;
    uint32_t *starts = calloc((size_t)memory_count + 2, sizeof(starts[0]));
    uint32_t *order = calloc((size_t)writer->buffer_handles.count + 1, sizeof(order[0]));
    json_t *array = json_array();
    segue_status status = SEGUE_OK;
    if (starts == NULL || order == NULL || array == NULL) {
        status = segue_trace_fail_memory("a trace");
        goto done;
    }
    group_handles(writer, starts, order);
    for (uint32_t i = 0; status == SEGUE_OK && i < memory_count; i++) {
        const struct handle_run run = {order + starts[i], starts[i + 1] - starts[i]};
        // A memory without handles is left over from an object that could not be read.
        if (run.count != 0) {
            status = describe_memory(writer, array, i, &run);
        }
    }
done:
    free(starts);
    free(order);
    if (status != SEGUE_OK) {
        json_decref(array);
        return status;
    }
    *out_array = array;
    return SEGUE_OK;
}
