// SPDX-License-Identifier: Apache-2.0
#include "trace_write.h"

#include "content.h"
#include "error.h"
#include "vocabulary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Makes room for element `count` of an array; false when out of memory. */
static bool make_room(void *array, size_t element_bytes, size_t count, size_t *capacity)
{
    void *items;
    memcpy(&items, array, sizeof(items));
    if (count < *capacity) {
        return true;
    }
    size_t wanted = *capacity != 0 ? 2 * *capacity : 16;
    items = realloc(items, wanted * element_bytes);
    if (items == NULL) {
        return false;
    }
    memcpy(array, &items, sizeof(items));
    *capacity = wanted;
    return true;
}

/** The memory that a buffer lies in, as big as all its handles need. */
static segue_status add_memory(segue_trace_writer *writer, const struct segue_buffer_info *info,
                               uint32_t *out_index)
{
    bool is_new = false;
    if (!make_room(&writer->memories, sizeof(writer->memories[0]), writer->memory_ids.count,
                   &writer->memory_capacity) ||
        !segue_handles_add(&writer->memory_ids, (const void *)(uintptr_t)info->memory_id, out_index,
                           &is_new)) {
        return segue_trace_fail_memory("a trace");
    }
    struct segue_written_memory *memory = &writer->memories[*out_index];
    if (is_new) {
        *memory = (struct segue_written_memory){.type = info->memory, .usage = info->usage};
    }
    uint64_t end_bytes = info->memory_offset_bytes + info->size_bytes;
    memory->size_bytes = end_bytes > memory->size_bytes ? end_bytes : memory->size_bytes;
    return SEGUE_OK;
}

static segue_status insert_piece(struct segue_written_memory *memory, uint32_t position,
                                 const struct segue_written_piece *piece)
{
    struct segue_written_piece *pieces =
        realloc(memory->pieces, ((size_t)memory->piece_count + 1) * sizeof(pieces[0]));
    if (pieces == NULL) {
        return segue_trace_fail_memory("a trace");
    }
    memory->pieces = pieces;
    memmove(pieces + position + 1, pieces + position,
            (memory->piece_count - position) * sizeof(pieces[0]));
    pieces[position] = *piece;
    memory->piece_count++;
    return SEGUE_OK;
}

/** Reads [begin, end) of the memory, which `buffer` covers, and inserts it as a piece. */
static segue_status read_piece(segue_trace_writer *writer, segue_buffer *buffer,
                               const struct segue_written_buffer *entry, uint32_t position,
                               uint64_t begin, uint64_t end)
{
    struct segue_written_memory *memory = &writer->memories[entry->memory];
    struct segue_written_piece piece = {.offset_bytes = begin, .length_bytes = end - begin};
    char tensor_name[320];
    snprintf(tensor_name, sizeof(tensor_name), "content.%s@%" PRIu64, entry->name,
             begin - entry->offset_bytes);
    segue_status status = segue_writer_store_range(writer, buffer, begin - entry->offset_bytes,
                                                   end - begin, tensor_name, &piece.content);
    if (status == SEGUE_OK) {
        status = insert_piece(memory, position, &piece);
        if (status != SEGUE_OK) {
            json_decref(piece.content);
        }
    }
    return status;
}

/** Reads what of the buffer no earlier handle on the memory has covered: that may have been written
 *  by now, and what it held at first is known. */
static segue_status read_gaps(segue_trace_writer *writer, segue_buffer *buffer,
                              const struct segue_written_buffer *entry)
{
    struct segue_written_memory *memory = &writer->memories[entry->memory];
    uint64_t next = entry->offset_bytes;
    uint64_t end = entry->offset_bytes + entry->size_bytes;
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && next < end; i++) {
        uint64_t known_begin = i < memory->piece_count ? memory->pieces[i].offset_bytes : end;
        uint64_t known_end =
            i < memory->piece_count ? known_begin + memory->pieces[i].length_bytes : end;
        if (known_end <= next && i < memory->piece_count) {
            continue;
        }
        if (known_begin > next) {
            known_begin = known_begin < end ? known_begin : end;
            status = read_piece(writer, buffer, entry, i, next, known_begin);
            next = known_begin;
        } else {
            next = known_end;
        }
    }
    return status;
}

static void free_buffer(struct segue_written_buffer *entry)
{
    free(entry->name);
    free(entry->label);
}

/** Describes a handle that has not occurred before, without content. */
static segue_status add_handle(segue_trace_writer *writer, segue_buffer *buffer,
                               struct segue_written_buffer *out_entry)
{
    struct segue_buffer_info info;
    segue_buffer_get_info(buffer, &info);
    struct segue_written_buffer entry = {
        .offset_bytes = info.memory_offset_bytes,
        .size_bytes = info.size_bytes,
        .device_address = info.device_address,
    };
    segue_status status = add_memory(writer, &info, &entry.memory);
    if (status != SEGUE_OK) {
        return status;
    }
    if (!make_room(&writer->buffers, sizeof(writer->buffers[0]), writer->buffer_handles.count,
                   &writer->buffer_capacity)) {
        return segue_trace_fail_memory("a trace");
    }
    entry.label = segue_writer_make_label(info.label);
    entry.name = entry.label != NULL
                     ? segue_writer_make_name(writer, SEGUE_NAMES_OF_BUFFERS, entry.label, "buffer",
                                              writer->buffer_handles.count)
                     : NULL;
    if (entry.name == NULL) {
        free_buffer(&entry);
        return segue_trace_fail_memory("a trace");
    }
    *out_entry = entry;
    return SEGUE_OK;
}

/** Makes the described handle known. */
static segue_status keep_handle(segue_trace_writer *writer, segue_buffer *buffer,
                                struct segue_written_buffer *entry)
{
    uint32_t number = 0;
    bool is_new = false;
    if (!segue_handles_add(&writer->buffer_handles, buffer, &number, &is_new)) {
        free_buffer(entry);
        return segue_trace_fail_memory("a trace");
    }
    writer->buffers[number] = *entry;
    return SEGUE_OK;
}

segue_status segue_writer_name_buffer(segue_trace_writer *writer, segue_buffer *buffer,
                                      const char **out_name)
{
    uint32_t number = 0;
    struct segue_written_buffer entry;
    segue_status status = SEGUE_OK;
    if (!segue_handles_find(&writer->buffer_handles, buffer, &number)) {
        status = add_handle(writer, buffer, &entry);
        if (status == SEGUE_OK) {
            status = read_gaps(writer, buffer, &entry);
            if (status != SEGUE_OK) {
                free_buffer(&entry);
                return status;
            }
            number = writer->buffer_handles.count;
            status = keep_handle(writer, buffer, &entry);
        }
    }
    if (status == SEGUE_OK) {
        *out_name = writer->buffers[number].name;
    }
    return status;
}

segue_status segue_writer_add_buffer(segue_trace_writer *writer, segue_buffer *buffer,
                                     const struct segue_content *content)
{
    uint32_t number = 0;
    struct segue_buffer_info info;
    segue_buffer_get_info(buffer, &info);
    if (segue_handles_find(&writer->buffer_handles, buffer, &number) ||
        segue_handles_find(&writer->memory_ids, (const void *)(uintptr_t)info.memory_id, &number)) {
        return segue_trace_fail_on(writer->device, SEGUE_INVALID_STATE,
                                   "buffer \"%s\" has occurred before; set its content first",
                                   info.label);
    }
    struct segue_written_buffer entry;
    struct segue_written_piece piece = {.length_bytes = info.size_bytes};
    segue_status status =
        content != NULL ? segue_writer_describe_content(content, &piece.content) : SEGUE_OK;
    if (status != SEGUE_OK) {
        return status;
    }
    status = add_handle(writer, buffer, &entry);
    if (status == SEGUE_OK) {
        status = insert_piece(&writer->memories[entry.memory], 0, &piece);
        if (status == SEGUE_OK) {
            return keep_handle(writer, buffer, &entry);
        }
        free_buffer(&entry);
    }
    json_decref(piece.content);
    return status;
}

void segue_writer_free_buffers(segue_trace_writer *writer)
{
    for (uint32_t i = 0; i < writer->buffer_handles.count; i++) {
        free_buffer(&writer->buffers[i]);
    }
    for (uint32_t i = 0; i < writer->memory_ids.count; i++) {
        for (uint32_t k = 0; k < writer->memories[i].piece_count; k++) {
            json_decref(writer->memories[i].pieces[k].content);
        }
        free(writer->memories[i].pieces);
    }
    free(writer->buffers);
    free(writer->memories);
    segue_handles_free(&writer->buffer_handles);
    segue_handles_free(&writer->memory_ids);
}
