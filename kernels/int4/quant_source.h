// SPDX-License-Identifier: Apache-2.0
/**
 * @file quant_source.h
 * CUDA sources of the kernels of quantised matrices, embedded by the build. Zero-terminated.
 */
#ifndef SEGUE_KERNELS_QUANT_SOURCE_H
#define SEGUE_KERNELS_QUANT_SOURCE_H

/** pack.cu. */
extern const char segue_quant_pack_source[];

/** gemv_*.cu, to be compiled with the options that segue_quant_gemv_options makes. */
extern const char segue_quant_gemv_source[];

#endif // SEGUE_KERNELS_QUANT_SOURCE_H
