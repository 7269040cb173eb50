// SPDX-License-Identifier: Apache-2.0
/**
 * @file nvrtc_compile.h
 * NVRTC for tests that only compile: loaded by itself, without a device.
 */
#ifndef SEGUE_TESTS_NVRTC_COMPILE_H
#define SEGUE_TESTS_NVRTC_COMPILE_H

#include <stdbool.h>
#include <stddef.h>

/** The part of NVRTC that is used. Results are enums of its own, 0 is success. */
struct nvrtc {
    int (*create)(void **out_program, const char *source, const char *name, int header_count,
                  const char *const *headers, const char *const *header_names);
    int (*compile)(void *program, int option_count, const char *const *options);
    int (*get_log_size)(void *program, size_t *out_size);
    int (*get_log)(void *program, char *out_log);
    int (*get_ptx_size)(void *program, size_t *out_size);
    int (*get_ptx)(void *program, char *out_ptx);
    int (*get_cubin_size)(void *program, size_t *out_size);
    int (*destroy)(void **program);
};

extern struct nvrtc nvrtc;

/** Whether NVRTC was found ($SEGUE_LIBNVRTC, then by name); else says so, and the test is skipped.
 */
bool nvrtc_load(void);

/** Compiles without a word from the compiler, or fails the test with what it said about `what`. The
 * caller destroys the program. */
void *nvrtc_compile(const char *source, const char *what, const char *const *options,
                    int option_count);

/** A program for a real architecture has code. */
void nvrtc_check_cubin(void *program);

/** The program's PTX; the caller frees it. */
char *nvrtc_take_ptx(void *program);

#endif // SEGUE_TESTS_NVRTC_COMPILE_H
