// SPDX-License-Identifier: Apache-2.0
/**
 * @file image.h
 * What is given to the driver to load: from the format that the caller has to one that the driver
 * takes.
 */
#ifndef SEGUE_CUDA_IMAGE_H
#define SEGUE_CUDA_IMAGE_H

#include <segue/executable.h>

struct segue_cuda;

struct segue_image {
    const void *data;
    size_t size_bytes;
    /** The same as `data` where the image is a copy, which segue_image_release frees; else NULL. */
    void *owned;
    size_t owned_bytes;
    /** `data` is PTX text, zero-terminated. */
    bool is_ptx;
};

/**
 * Prepares the image of `params` for the device: compiles source, zero-terminates text, checks that
 * binaries are whole (the driver is not told their length). Where the software driver cannot be
 * given the code itself (binaries, or source without a compiler), the image lists the declared
 * entry points. The image may refer to `params->data`.
 * @return SEGUE_COMPILE_FAILED, SEGUE_INVALID_DATA, SEGUE_UNAVAILABLE, SEGUE_OUT_OF_HOST_MEMORY.
 */
segue_status segue_image_prepare(struct segue_cuda *cuda,
                                 const struct segue_executable_params *params,
                                 struct segue_image *out_image);
void segue_image_release(struct segue_cuda *cuda, struct segue_image *image);

/** Whether PTX text defines a kernel of that name. */
bool segue_image_ptx_has_entry(const char *ptx, const char *name);

/** Whether `data` is an ELF file or fatbin that ends within `size_bytes`. */
bool segue_image_is_whole(enum segue_executable_format format, const void *data, size_t size_bytes);

#endif // SEGUE_CUDA_IMAGE_H
