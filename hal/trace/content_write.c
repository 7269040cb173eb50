// SPDX-License-Identifier: Apache-2.0
#include "content.h"

#include "error.h"

#include <segue/buffer.h>

#include <inttypes.h>
#include <stdlib.h>

segue_status segue_buffer_generate(segue_buffer *buffer, const struct segue_content *content,
                                   segue_bytes_done_fn done, void *context)
{
    struct segue_buffer_info info;
    segue_buffer_get_info(buffer, &info);
    const char *problem = segue_content_problem(content);
    if (problem != NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT, "buffer \"%s\": %s", info.label, problem);
    }
    size_t unit_bytes = segue_content_unit_bytes(content);
    if (info.size_bytes % unit_bytes != 0) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "buffer \"%s\" of %" PRIu64
                                " bytes: its content comes in elements of %zu bytes",
                                info.label, info.size_bytes, unit_bytes);
    }
    uint64_t piece_bytes =
        info.size_bytes < SEGUE_PIECE_BYTES ? info.size_bytes : SEGUE_PIECE_BYTES;
    void *piece = malloc((size_t)piece_bytes);
    if (piece == NULL) {
        return segue_trace_fail_memory("buffer contents");
    }
    segue_status status = SEGUE_OK;
    for (uint64_t offset = 0; status == SEGUE_OK && offset < info.size_bytes;) {
        uint64_t length_bytes = info.size_bytes - offset;
        length_bytes = length_bytes < piece_bytes ? length_bytes : piece_bytes;
        status = segue_content_generate(content, offset, length_bytes, piece);
        if (status == SEGUE_OK) {
            status = segue_buffer_write(buffer, offset, piece, length_bytes);
        }
        offset += length_bytes;
        if (status == SEGUE_OK && done != NULL) {
            done(context, length_bytes);
        }
    }
    free(piece);
    return status;
}

segue_status segue_buffer_write_content(segue_buffer *buffer, const struct segue_content *content)
{
    if (buffer == NULL || content == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT, "buffer and content must not be NULL");
    }
    return segue_buffer_generate(buffer, content, NULL, NULL);
}
