// SPDX-License-Identifier: Apache-2.0
/**
 * @file error.h
 * Raising failures in the prepack library: they appear in segue_last_error() like Segue's own.
 */
#ifndef SEGUE_PREPACK_ERROR_H
#define SEGUE_PREPACK_ERROR_H

#include <segue/base.h>

/** Formats a message, replaces control characters in it (it may quote file names and the names in
 *  untrusted files), and reports it. Returns `status`. Thread-safe. */
segue_status segue_prepack_raise(segue_device *device, segue_status status, const char *file,
                                 int line, const char *format, ...) SEGUE_PRINTF(5, 6);

/** `return segue_prepack_fail(SEGUE_IO_ERROR, "%s: %s", path, strerror(errno));` */
#define segue_prepack_fail(status, ...) \
    segue_prepack_raise(NULL, (status), __FILE__, __LINE__, __VA_ARGS__)

/** The same where a device is concerned. */
#define segue_prepack_fail_on(device, status, ...) \
    segue_prepack_raise((device), (status), __FILE__, __LINE__, __VA_ARGS__)

/** Out of host memory for `what`. */
#define segue_prepack_fail_memory(what)                                     \
    segue_prepack_raise(NULL, SEGUE_OUT_OF_HOST_MEMORY, __FILE__, __LINE__, \
                        "out of host memory for %s", (what))

/** Whether text is free of control characters (C0, DEL, and C1 in UTF-8): safe on a terminal. */
bool segue_prepack_is_plain(const char *text);

#endif // SEGUE_PREPACK_ERROR_H
