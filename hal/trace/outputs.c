// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include "content.h"
#include "error.h"

#include <stdlib.h>

/** Appends a range of a buffer as a tensor. */
static segue_status write_range(struct segue_safetensors_writer *writer, segue_buffer *buffer,
                                uint64_t offset_bytes, uint64_t length_bytes, const char *name,
                                enum segue_dtype dtype, unsigned char *piece)
{
    segue_status status = segue_safetensors_add(writer, name, dtype, length_bytes);
    for (uint64_t done = 0; status == SEGUE_OK && done < length_bytes;) {
        uint64_t length = length_bytes - done;
        length = length < SEGUE_PIECE_BYTES ? length : SEGUE_PIECE_BYTES;
        status = segue_buffer_read(buffer, offset_bytes + done, piece, length);
        if (status == SEGUE_OK) {
            status = segue_safetensors_append(writer, piece, length);
        }
        done += length;
    }
    return status;
}

static segue_status write_all(segue_trace_session *session, struct segue_safetensors_writer *writer,
                              unsigned char *piece)
{
    const segue_trace *trace = session->trace;
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < trace->expectation_count; i++) {
        const struct segue_trace_expectation *expectation = &trace->expectations[i];
        status = write_range(writer, session->buffers[expectation->range.buffer],
                             expectation->range.offset_bytes, expectation->range.length_bytes,
                             expectation->name, expectation->dtype, piece);
    }
    for (uint32_t i = 0;
         status == SEGUE_OK && trace->expectation_count == 0 && i < trace->buffer_count; i++) {
        // Views would only repeat what their memory holds.
        if (session->written[i] && trace->buffers[i].root == i) {
            status = write_range(writer, session->buffers[i], 0, trace->buffers[i].size_bytes,
                                 trace->buffers[i].name, SEGUE_DTYPE_U8, piece);
        }
    }
    return status;
}

segue_status segue_trace_session_write_outputs(segue_trace_session *session, const char *path)
{
    if (session == NULL || path == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT, "session and path must not be NULL");
    }
    unsigned char *piece = malloc((size_t)SEGUE_PIECE_BYTES);
    if (piece == NULL) {
        return segue_trace_fail_memory("writing outputs");
    }
    struct segue_safetensors_writer writer = {0};
    struct segue_output_file file = {.fd = -1};
    segue_status status = segue_safetensors_begin(&writer, path);
    if (status == SEGUE_OK) {
        status = write_all(session, &writer, piece);
    }
    if (status == SEGUE_OK) {
        status = segue_output_open(&file, path);
    }
    if (status == SEGUE_OK) {
        status = segue_safetensors_finish(&writer, &file);
    }
    if (status == SEGUE_OK) {
        status = segue_output_commit(&file);
    }
    segue_output_abandon(&file);
    segue_safetensors_abandon(&writer);
    free(piece);
    return status;
}
