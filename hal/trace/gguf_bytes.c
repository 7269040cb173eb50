// SPDX-License-Identifier: Apache-2.0
#include "gguf_bytes.h"

#include "error.h"

#include <inttypes.h>
#include <string.h>

segue_status segue_gguf_check_rest(const struct segue_gguf_reader *reader, uint64_t length_bytes,
                                   const char *what)
{
    if (length_bytes <= reader->limit - reader->position) {
        return SEGUE_OK;
    }
    if (reader->limit < reader->file_bytes) {
        return segue_trace_fail(
            SEGUE_INVALID_DATA,
            "%s: the header would have more than %" PRIu64
            " bytes, the most that are supported: %s of %" PRIu64 " bytes at byte %" PRIu64,
            reader->file, SEGUE_GGUF_MAX_HEADER_BYTES, what, length_bytes, reader->position);
    }
    return segue_trace_fail(SEGUE_INVALID_DATA,
                            "%s: %s of %" PRIu64 " bytes at byte %" PRIu64 " leaves the %" PRIu64
                            " bytes of the file",
                            reader->file, what, length_bytes, reader->position, reader->file_bytes);
}

segue_status segue_gguf_skip(struct segue_gguf_reader *reader, uint64_t length_bytes,
                             const char *what)
{
    const segue_status status = segue_gguf_check_rest(reader, length_bytes, what);
    if (status == SEGUE_OK) {
        reader->position += length_bytes;
    }
    return status;
}

segue_status segue_gguf_take(struct segue_gguf_reader *reader, void *data, uint32_t length_bytes,
                             const char *what)
{
    segue_status status = segue_gguf_check_rest(reader, length_bytes, what);
    if (status != SEGUE_OK) {
        return status;
    }
    if (reader->position < reader->window_begin ||
        reader->position - reader->window_begin > reader->window_bytes ||
        length_bytes > reader->window_bytes - (reader->position - reader->window_begin)) {
        const uint64_t rest = reader->limit - reader->position;
        reader->window_begin = reader->position;
        reader->window_bytes =
            rest < SEGUE_GGUF_WINDOW_BYTES ? (uint32_t)rest : SEGUE_GGUF_WINDOW_BYTES;
        const int error = segue_read_exactly(reader->fd, reader->window_begin, reader->window,
                                             reader->window_bytes);
        if (error != 0) {
            reader->window_bytes = 0;
            return segue_trace_fail(SEGUE_IO_ERROR, "%s: could not be read: %s", reader->file,
                                    error > 0 ? strerror(error) : "it became shorter");
        }
    }
    memcpy(data, reader->window + (reader->position - reader->window_begin), length_bytes);
    reader->position += length_bytes;
    return SEGUE_OK;
}

segue_status segue_gguf_take_u32(struct segue_gguf_reader *reader, const char *what,
                                 uint32_t *out_value)
{
    unsigned char bytes[4] = {0};
    const segue_status status = segue_gguf_take(reader, bytes, sizeof(bytes), what);
    *out_value = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                 (uint32_t)bytes[3] << 24;
    return status;
}

segue_status segue_gguf_take_u64(struct segue_gguf_reader *reader, const char *what,
                                 uint64_t *out_value)
{
    uint32_t low = 0;
    uint32_t high = 0;
    segue_status status = segue_gguf_take_u32(reader, what, &low);
    if (status == SEGUE_OK) {
        status = segue_gguf_take_u32(reader, what, &high);
    }
    *out_value = (uint64_t)high << 32 | low;
    return status;
}

segue_status segue_gguf_take_name(struct segue_gguf_reader *reader, const char *what,
                                  char out_name[SEGUE_GGUF_MAX_NAME_BYTES + 1])
{
    uint64_t length_bytes = 0;
    const uint64_t begin = reader->position;
    segue_status status = segue_gguf_take_u64(reader, what, &length_bytes);
    if (status == SEGUE_OK) {
        status = segue_gguf_check_rest(reader, length_bytes, what);
    }
    if (status == SEGUE_OK && (length_bytes == 0 || length_bytes > SEGUE_GGUF_MAX_NAME_BYTES)) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: %s at byte %" PRIu64 " has %" PRIu64
                                " bytes; it must have 1 to %u",
                                reader->file, what, begin, length_bytes, SEGUE_GGUF_MAX_NAME_BYTES);
    }
    if (status == SEGUE_OK) {
        status = segue_gguf_take(reader, out_name, (uint32_t)length_bytes, what);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    out_name[length_bytes] = '\0';
    if (strlen(out_name) != length_bytes || !segue_text_is_plain(out_name)) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: %s at byte %" PRIu64 " has control characters", reader->file,
                                what, begin);
    }
    return SEGUE_OK;
}
