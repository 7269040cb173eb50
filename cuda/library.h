// SPDX-License-Identifier: Apache-2.0
/**
 * @file library.h
 * Shared libraries opened at run time.
 */
#ifndef SEGUE_CUDA_LIBRARY_H
#define SEGUE_CUDA_LIBRARY_H

#include <stddef.h>

#define SEGUE_LIBRARY_REASON_BYTES 1024

/** Where a library was looked for and why it was not there, in words. */
struct segue_library_reason {
    char text[SEGUE_LIBRARY_REASON_BYTES];
};

/**
 * Opens `file`. On failure returns NULL and appends the loader's reason to `reason`. The code stays
 * mapped after segue_library_close: drivers and compilers keep state of the process and threads of
 * their own, and the software driver's controls stay valid.
 */
void *segue_library_open(const char *file, struct segue_library_reason *reason);

/** NULL is fine. */
void segue_library_close(void *library);

/** The path to ask for: `explicit_path` if it is set, else the value of the environment variable,
 *  else NULL (then the caller has defaults to try). */
const char *segue_library_choose_path(const char *explicit_path, const char *variable);

/** Writes the folder of the library or program that contains this code, without a final slash; an
 *  empty text if it is unknown. */
void segue_library_own_folder(char *out_path, size_t capacity_bytes);

/** The same for the running program. */
void segue_library_program_folder(char *out_path, size_t capacity_bytes);

#endif // SEGUE_CUDA_LIBRARY_H
