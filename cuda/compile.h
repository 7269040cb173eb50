// SPDX-License-Identifier: Apache-2.0
/**
 * @file compile.h
 * From CUDA source to an image, through the compile cache.
 */
#ifndef SEGUE_CUDA_COMPILE_H
#define SEGUE_CUDA_COMPILE_H

#include "image.h"

struct segue_nvrtc;

/** NVRTC, loaded at the first call; NULL where it cannot be, with the reason in cuda->nvrtc.reason.
 *  Thread-safe. */
const struct segue_nvrtc *segue_cuda_nvrtc(struct segue_cuda *cuda);

/**
 * Compiles CUDA source for the device: to machine code of its architecture; to PTX for the software
 * driver, for GPUs newer than the compiler, and where the options name a virtual architecture.
 * Taken from the compile cache if possible, and put there, unless the source includes other files.
 * @return SEGUE_UNAVAILABLE without NVRTC, SEGUE_COMPILE_FAILED with the compiler's log.
 */
segue_status segue_compile_source(struct segue_cuda *cuda,
                                  const struct segue_executable_params *params,
                                  struct segue_image *out_image);

/** Whether source and options name other files, whose content the cache knows nothing of. */
bool segue_compile_uses_files(const char *source, const char *const *options,
                              uint32_t option_count);

/** Makes zero-terminated PTX say that it is of a version that all drivers take. For the software
 *  driver only, which assembles nothing: a new compiler goes with its old profiles then. */
void segue_compile_lower_ptx_version(char *ptx);

#endif // SEGUE_CUDA_COMPILE_H
