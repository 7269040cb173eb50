// SPDX-License-Identifier: Apache-2.0
/**
 * @file source.h
 * The CUDA source of all decode kernels, embedded by the build.
 */
#ifndef SEGUE_KERNELS_SOURCE_H
#define SEGUE_KERNELS_SOURCE_H

/** prelude.cu and all other .cu files of this folder. Zero-terminated. */
extern const char segue_decode_source[];

#endif // SEGUE_KERNELS_SOURCE_H
