// SPDX-License-Identifier: Apache-2.0
/**
 * @file content.h
 * Generated buffer contents. docs/trace-format.md defines every bit of them.
 */
#ifndef SEGUE_TRACE_CONTENT_H
#define SEGUE_TRACE_CONTENT_H

#include <segue/trace.h>

/** Bytes generated, read or compared at a time. */
#define SEGUE_PIECE_BYTES ((uint64_t)16 << 20)

/** Size of what ranges and sizes must be multiples of: 4 for FILL, else the element's. */
size_t segue_content_unit_bytes(const struct segue_content *content);

/** NULL if the parameters make sense, else what is wrong with them (a static string). */
const char *segue_content_problem(const struct segue_content *content);

/** Called with bytes done and bytes in all; may be NULL. */
typedef void (*segue_bytes_done_fn)(void *context, uint64_t length_bytes);

/** segue_buffer_write_content with a report after each piece. */
segue_status segue_buffer_generate(segue_buffer *buffer, const struct segue_content *content,
                                   segue_bytes_done_fn done, void *context);

#endif // SEGUE_TRACE_CONTENT_H
