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
#define GEMV_BINDING_FLAGS                                                              \
    (SEGUE_QUANT_BIAS | SEGUE_QUANT_RESIDUAL | SEGUE_QUANT_NORM | SEGUE_QUANT_ROPE_KV | \
     SEGUE_QUANT_ARGMAX | SEGUE_QUANT_ADVANCE | SEGUE_QUANT_KV_FP8)
#define GEMV_ENTRY_COUNT 32
#define GEMV_MAX_PARAMETERS (GEMV_BINDING_COUNT + 1)

/** Name of the entry point with these bindings, e.g. "segue_quant_gemv_0"; NULL where the flags
 *  exclude each other. Static. */
const char *segue_quant_gemv_name(uint32_t flags);

/** Which binding a parameter is. */
enum gemv_binding {
    GEMV_X,
    GEMV_PACKED,
    GEMV_NORM,
    GEMV_BIAS,
    GEMV_RESIDUAL,
    GEMV_FREQUENCIES,
    GEMV_KV_SCALES,
    GEMV_POSITION,
    GEMV_K_CACHE,
    GEMV_V_CACHE,
    GEMV_OUT,
    GEMV_TOKEN,
    GEMV_STATE,
    GEMV_BINDING_COUNT,
};

/** Writes the bindings that come with the flags, in parameter order; returns how many. */
uint32_t segue_quant_gemv_bindings(uint32_t flags,
                                   enum gemv_binding out_bindings[GEMV_BINDING_COUNT]);

/** Whether heads and rows of SEGUE_QUANT_ROPE_KV belong together. */
bool segue_quant_gemv_heads_fit(const struct segue_quant_gemv_constants *constants);

/** What a binding is declared as, with these flags. */
struct segue_parameter segue_quant_gemv_parameter(enum gemv_binding binding, uint32_t flags);

/** Bytes of each binding; 0 where the flags do not ask for it. */
void segue_quant_gemv_sizes(const struct segue_quant_gemv_constants *constants,
                            uint64_t out_sizes[GEMV_BINDING_COUNT]);

/** A product as its kernel is told of it. */
struct segue_quant_gemv_constants
segue_quant_gemv_constants_of(const struct segue_quant_gemv_params *params);

/** The matrix that the constants describe. */
struct segue_quant_matrix
segue_quant_gemv_matrix(const struct segue_quant_gemv_constants *constants);

/** Computes the product in f32 and rounds once. `memory` has a pointer for each binding. Returns
 *  false when out of memory. */
bool segue_quant_gemv_compute(const struct segue_quant_gemv_constants *constants,
                              void *const memory[GEMV_BINDING_COUNT]);

/** Stores what the rows of a tile came to; `sums` are [batch][16]. */
void segue_quant_gemv_store_tile(const struct segue_quant_gemv_constants *constants, uint32_t tile,
                                 const float *sums, void *const memory[GEMV_BINDING_COUNT]);

/** Once all tiles are stored: the greatest results, and the next positions. */
void segue_quant_gemv_finish(const struct segue_quant_gemv_constants *constants,
                             void *const memory[GEMV_BINDING_COUNT]);

/** The references, one for each name. */
extern const struct segue_reference_kernel segue_quant_gemv_references[GEMV_ENTRY_COUNT];

#endif // SEGUE_KERNELS_GEMV_H
