// SPDX-License-Identifier: Apache-2.0
/**
 * @file error.h
 * Raising failures in the trace library: they appear in segue_last_error() like Segue's own.
 */
#ifndef SEGUE_TRACE_ERROR_H
#define SEGUE_TRACE_ERROR_H

#include <segue/base.h>

/**
 * Formats a message, replaces control characters in it (it may quote untrusted text, and must stay
 * one line), and reports it. Returns `status`. Thread-safe.
 */
segue_status segue_trace_raise(segue_device *device, segue_status status, const char *file,
                               int line, const char *format, ...) SEGUE_PRINTF(5, 6);

/** `return segue_trace_fail(SEGUE_IO_ERROR, "%s: %s", path, strerror(errno));` */
#define segue_trace_fail(status, ...) \
    segue_trace_raise(NULL, (status), __FILE__, __LINE__, __VA_ARGS__)

/** The same where a device is concerned. */
#define segue_trace_fail_on(device, status, ...) \
    segue_trace_raise((device), (status), __FILE__, __LINE__, __VA_ARGS__)

/** Out of host memory while doing `what`. */
#define segue_trace_fail_memory(what)                                     \
    segue_trace_raise(NULL, SEGUE_OUT_OF_HOST_MEMORY, __FILE__, __LINE__, \
                      "out of host memory for %s", (what))

/** Whether text is free of control characters (C0, DEL, and C1 in UTF-8): safe on a terminal. */
bool segue_text_is_plain(const char *text);

/** Whether the bytes are valid UTF-8. */
bool segue_text_is_utf8(const char *text, size_t length_bytes);

/** Replaces what segue_text_is_plain objects to by '?', in place. */
void segue_text_make_plain(char *text);

#endif // SEGUE_TRACE_ERROR_H
