// SPDX-License-Identifier: Apache-2.0
#include "trace_write.h"

#include "content.h"
#include "error.h"
#include "vocabulary.h"

#include <stdlib.h>
#include <string.h>

static segue_status begin_tensors(segue_trace_writer *writer)
{
    if (writer->has_tensors) {
        return SEGUE_OK;
    }
    segue_status status = segue_safetensors_begin(&writer->tensors, writer->path);
    writer->has_tensors = status == SEGUE_OK;
    return status;
}

segue_status segue_writer_store_tensor(segue_trace_writer *writer, const char *name,
                                       enum segue_dtype dtype, const void *data,
                                       uint64_t length_bytes)
{
    segue_status status = begin_tensors(writer);
    if (status == SEGUE_OK) {
        status = segue_safetensors_add(&writer->tensors, name, dtype, length_bytes);
    }
    if (status == SEGUE_OK) {
        status = segue_safetensors_append(&writer->tensors, data, length_bytes);
        // The header already counts on these bytes.
        writer->done = status != SEGUE_OK;
    }
    return status;
}

/** Called for each piece of a range; stops early where it returns false. */
typedef bool (*range_visitor)(void *context, const unsigned char *data, uint64_t length_bytes);

static segue_status walk_range(segue_buffer *buffer, uint64_t offset_bytes, uint64_t length_bytes,
                               unsigned char *piece, range_visitor visit, void *context)
{
    for (uint64_t done = 0; done < length_bytes;) {
        uint64_t length = length_bytes - done;
        length = length < SEGUE_PIECE_BYTES ? length : SEGUE_PIECE_BYTES;
        segue_status status = segue_buffer_read(buffer, offset_bytes + done, piece, length);
        if (status != SEGUE_OK) {
            return status;
        }
        if (!visit(context, piece, length)) {
            break;
        }
        done += length;
    }
    return SEGUE_OK;
}

/** Whether a range repeats its first 4 bytes. */
struct pattern_search {
    bool any;
    bool repeats;
    unsigned char pattern[4];
};

/** Pieces begin at multiples of 4. */
static bool search_pattern(void *context, const unsigned char *data, uint64_t length_bytes)
{
    struct pattern_search *search = context;
    uint64_t i = 0;
    if (!search->any) {
        uint64_t count = length_bytes < 4 ? length_bytes : 4;
        memcpy(search->pattern, data, (size_t)count);
        search->any = true;
    }
    while (i < length_bytes && data[i] == search->pattern[i % 4]) {
        i++;
    }
    search->repeats = i == length_bytes;
    return search->repeats;
}

struct tensor_append {
    segue_trace_writer *writer;
    segue_status status;
};

static bool append_piece(void *context, const unsigned char *data, uint64_t length_bytes)
{
    struct tensor_append *append = context;
    append->status = segue_safetensors_append(&append->writer->tensors, data, length_bytes);
    return append->status == SEGUE_OK;
}

static segue_status store_tensor(segue_trace_writer *writer, segue_buffer *buffer,
                                 uint64_t offset_bytes, uint64_t length_bytes, const char *name,
                                 unsigned char *piece, json_t **out_content)
{
    struct tensor_append append = {.writer = writer};
    segue_status status = begin_tensors(writer);
    if (status == SEGUE_OK) {
        status = segue_safetensors_add(&writer->tensors, name, SEGUE_DTYPE_U8, length_bytes);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    status = walk_range(buffer, offset_bytes, length_bytes, piece, append_piece, &append);
    status = status == SEGUE_OK ? append.status : status;
    if (status != SEGUE_OK) {
        writer->done = true;
        return status;
    }
    *out_content = json_pack("{s:s, s:s}", "kind", segue_content_names[SEGUE_CONTENT_NAME_TENSOR],
                             "tensor", name);
    return *out_content != NULL ? SEGUE_OK : segue_trace_fail_memory("a trace");
}

segue_status segue_writer_store_range(segue_trace_writer *writer, segue_buffer *buffer,
                                      uint64_t offset_bytes, uint64_t length_bytes,
                                      const char *tensor_name, json_t **out_content)
{
    static const unsigned char zeros[4] = {0};
    uint64_t piece_bytes = length_bytes < SEGUE_PIECE_BYTES ? length_bytes : SEGUE_PIECE_BYTES;
    unsigned char *piece = malloc((size_t)piece_bytes);
    if (piece == NULL) {
        return segue_trace_fail_memory("buffer contents");
    }
    struct pattern_search search = {0};
    json_t *content = NULL;
    segue_status status =
        walk_range(buffer, offset_bytes, length_bytes, piece, search_pattern, &search);
    bool is_zero = search.repeats && memcmp(search.pattern, zeros, sizeof(zeros)) == 0;
    if (status == SEGUE_OK && search.repeats && !is_zero && length_bytes % 4 == 0) {
        uint32_t pattern;
        memcpy(&pattern, search.pattern, sizeof(pattern));
        content = json_pack("{s:s, s:I}", "kind", segue_content_names[SEGUE_CONTENT_FILL],
                            "pattern", (json_int_t)pattern);
        status = content != NULL ? SEGUE_OK : segue_trace_fail_memory("a trace");
    } else if (status == SEGUE_OK && !is_zero) {
        status =
            store_tensor(writer, buffer, offset_bytes, length_bytes, tensor_name, piece, &content);
    }
    free(piece);
    if (status == SEGUE_OK) {
        *out_content = content;
    }
    return status;
}

/** NORMAL and UNIFORM. */
static segue_status add_distribution(json_t *json, const struct segue_content *content)
{
    bool normal = content->kind == SEGUE_CONTENT_NORMAL;
    segue_status status =
        segue_json_set(json, "dtype", json_string(segue_dtype_name(content->dtype)));
    if (status == SEGUE_OK) {
        status = segue_json_set(json, normal ? "mean" : "low", json_real(content->a));
    }
    return status == SEGUE_OK
               ? segue_json_set(json, normal ? "stddev" : "high", json_real(content->b))
               : status;
}

segue_status segue_writer_describe_content(const struct segue_content *content,
                                           json_t **out_content)
{
    json_t *json = json_object();
    if (json == NULL) {
        return segue_trace_fail_memory("a trace");
    }
    segue_status status =
        segue_json_set(json, "kind", json_string(segue_content_names[content->kind]));
    if (status == SEGUE_OK && content->kind == SEGUE_CONTENT_FILL) {
        status = segue_json_set(json, "pattern", json_integer(content->pattern));
    }
    if (status == SEGUE_OK && content->kind >= SEGUE_CONTENT_NORMAL) {
        status = segue_json_set(json, "seed", segue_json_from_u64(content->seed));
    }
    if (status == SEGUE_OK &&
        (content->kind == SEGUE_CONTENT_NORMAL || content->kind == SEGUE_CONTENT_UNIFORM)) {
        status = add_distribution(json, content);
    }
    if (status != SEGUE_OK) {
        json_decref(json);
        return status;
    }
    *out_content = json;
    return SEGUE_OK;
}
