// SPDX-License-Identifier: Apache-2.0
/**
 * @file check.h
 * Every driver call goes through one macro, so that none goes unchecked.
 */
#ifndef SEGUE_CUDA_CHECK_H
#define SEGUE_CUDA_CHECK_H

#include "status.h"

#include <cuda.h>

struct segue_cuda;

/** The status that stands for a driver's result. Errors that leave the context unusable for good
 *  are SEGUE_DEVICE_LOST. */
segue_status segue_cuda_status(CUresult result);

/** Raises a failed call: "<what was done>: <call> returned <name> (<number>): <description>". */
segue_status segue_cuda_raise(struct segue_cuda *cuda, CUresult result, const char *call,
                              const char *file, int line, const char *format, ...)
    SEGUE_PRINTF(6, 7);

/** The same with a status that the caller knows better. */
segue_status segue_cuda_raise_as(struct segue_cuda *cuda, segue_status status, CUresult result,
                                 const char *call, const char *file, int line, const char *format,
                                 ...) SEGUE_PRINTF(7, 8);

/** The same for calls whose failure no caller is told, because they give something up or there is
 *  another way: the failure is logged as a warning and becomes the device's last error, but not the
 *  thread's. */
void segue_cuda_note(struct segue_cuda *cuda, CUresult result, const char *call, const char *file,
                     int line, const char *format, ...) SEGUE_PRINTF(6, 7);

/**
 * Makes a driver call and gives its segue_status:
 *
 *   status = segue_cuda_check(cuda, cuMemAlloc(&address, size), "allocating %zu bytes", size);
 *
 * The text says what the call was for, and about which object; it is evaluated on failure only.
 */
#define segue_cuda_check(cuda, call, ...)                                                      \
    (__extension__({                                                                           \
        const CUresult segue_result_ = (cuda)->driver.call;                                    \
        segue_result_ == CUDA_SUCCESS                                                          \
            ? SEGUE_OK                                                                         \
            : segue_cuda_raise((cuda), segue_result_, #call, __FILE__, __LINE__, __VA_ARGS__); \
    }))

/** Makes a driver call that gives something up. */
#define segue_cuda_cleanup(cuda, call, ...)                                                 \
    do {                                                                                    \
        const CUresult segue_result_ = (cuda)->driver.call;                                 \
        if (segue_result_ != CUDA_SUCCESS)                                                  \
            segue_cuda_note((cuda), segue_result_, #call, __FILE__, __LINE__, __VA_ARGS__); \
    } while (0)

#endif // SEGUE_CUDA_CHECK_H
