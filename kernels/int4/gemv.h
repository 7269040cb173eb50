// SPDX-License-Identifier: Apache-2.0
/**
 * @file gemv.h
 * What the parts of the product's C half share.
 */
#ifndef SEGUE_KERNELS_GEMV_H
#define SEGUE_KERNELS_GEMV_H

#include <segue/quant.h>
#include <segue/soft.h>

/** Flags that come with a binding; each set of them is an entry point of its own name. */
#define GEMV_BINDING_FLAGS (SEGUE_QUANT_BIAS | SEGUE_QUANT_RESIDUAL | SEGUE_QUANT_NORM)
#define GEMV_ENTRY_COUNT 8
#define GEMV_MAX_PARAMETERS 7

/** Name of the entry point with these bindings, e.g. "segue_quant_gemv_0". Static. */
const char *segue_quant_gemv_name(uint32_t flags);

/** Which binding a parameter is. */
enum gemv_binding {
    GEMV_X,
    GEMV_PACKED,
    GEMV_NORM,
    GEMV_BIAS,
    GEMV_RESIDUAL,
    GEMV_OUT,
    GEMV_BINDING_COUNT,
};

/** Writes the bindings that come with the flags, in parameter order; returns how many. */
uint32_t segue_quant_gemv_bindings(uint32_t flags,
                                   enum gemv_binding out_bindings[GEMV_BINDING_COUNT]);

/** Bytes of each binding; 0 where the flags do not ask for it. */
void segue_quant_gemv_sizes(const struct segue_quant_gemv_constants *constants,
                            uint64_t out_sizes[GEMV_BINDING_COUNT]);

/** The matrix that the constants describe. */
struct segue_quant_matrix
segue_quant_gemv_matrix(const struct segue_quant_gemv_constants *constants);

/** Computes the product in f32 and rounds once. `memory` has a pointer for each binding. Returns
 *  false when out of memory. */
bool segue_quant_gemv_compute(const struct segue_quant_gemv_constants *constants,
                              void *const memory[GEMV_BINDING_COUNT]);

/** The references, one for each name. */
extern const struct segue_reference_kernel segue_quant_gemv_references[GEMV_ENTRY_COUNT];

#endif // SEGUE_KERNELS_GEMV_H
