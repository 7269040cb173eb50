// SPDX-License-Identifier: Apache-2.0
/**
 * @file gguf_bytes.h
 * The header of a GGUF file, read front to back through a window. Nothing is taken that the file
 * does not have: each length is held against what is left. One thread at a time.
 */
#ifndef SEGUE_TRACE_GGUF_BYTES_H
#define SEGUE_TRACE_GGUF_BYTES_H

#include "gguf.h"

#define SEGUE_GGUF_WINDOW_BYTES 65536u
/** Longest key or name. */
#define SEGUE_GGUF_MAX_NAME_BYTES 1024u

/** A header as it is read, front to back. */
struct segue_gguf_reader {
    const char *file;
    int fd;
    uint64_t file_bytes;
    /** Where the next bytes are, and where the header must end. */
    uint64_t position;
    uint64_t limit;
    /** Bytes of the file from window_begin on. */
    uint64_t window_begin;
    uint32_t window_bytes;
    /** SEGUE_GGUF_WINDOW_BYTES. */
    unsigned char *window;
    /** As the metadata have said so far. */
    uint32_t alignment;
    bool has_alignment;
};

/** Whether so many bytes more can be there; `what` they are, for the message. */
segue_status segue_gguf_check_rest(const struct segue_gguf_reader *reader, uint64_t length_bytes,
                                   const char *what);
/** Passes over bytes. */
segue_status segue_gguf_skip(struct segue_gguf_reader *reader, uint64_t length_bytes,
                             const char *what);
/** Takes bytes, at most SEGUE_GGUF_MAX_NAME_BYTES. */
segue_status segue_gguf_take(struct segue_gguf_reader *reader, void *data, uint32_t length_bytes,
                             const char *what);
/** Numbers, least significant byte first. */
segue_status segue_gguf_take_u32(struct segue_gguf_reader *reader, const char *what,
                                 uint32_t *out_value);
segue_status segue_gguf_take_u64(struct segue_gguf_reader *reader, const char *what,
                                 uint64_t *out_value);
/** A string of 1 to SEGUE_GGUF_MAX_NAME_BYTES bytes without zeros and control characters. */
segue_status segue_gguf_take_name(struct segue_gguf_reader *reader, const char *what,
                                  char out_name[SEGUE_GGUF_MAX_NAME_BYTES + 1]);

#endif // SEGUE_TRACE_GGUF_BYTES_H
