// SPDX-License-Identifier: Apache-2.0
/**
 * @file format_images.h
 * The test kernels (kernels.cu) in every format that executables are made from, built when the test
 * runs: by NVRTC, and by nvcc for fatbins.
 */
#ifndef SEGUE_TEST_FORMAT_IMAGES_H
#define SEGUE_TEST_FORMAT_IMAGES_H

#include <segue/segue.h>

struct format_image {
    enum segue_executable_format format;
    /** Architecture as major * 10 + minor, e.g. 90; 0 for source. */
    uint32_t arch;
    /** NULL: could not be made, see `reason`. */
    void *data;
    size_t size_bytes;
    /** What is missing here. */
    char reason[1024];
};

/**
 * Makes the image in `format` for `arch`, compiled by what the driver of `device` can load. Where a
 * compiler is missing or unable, `data` is NULL and `reason` says why. Release with
 * format_image_free.
 */
void format_image_make(segue_device *device, enum segue_executable_format format, uint32_t arch,
                       struct format_image *out_image);
/** Fine for an image that could not be made. */
void format_image_free(struct format_image *image);

/**
 * Architectures that NVRTC compiles for, next to those of `arch`'s own major version: the last one
 * before in out_archs[0] and the first one after in out_archs[1]; 0 where there is none.
 */
void format_image_other_archs(segue_device *device, uint32_t arch, uint32_t out_archs[2]);
/** The oldest architecture from 7.5 on whose PTX a device of `arch` takes and NVRTC makes. */
uint32_t format_image_ptx_arch(segue_device *device, uint32_t arch);

#endif // SEGUE_TEST_FORMAT_IMAGES_H
