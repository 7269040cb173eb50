// SPDX-License-Identifier: Apache-2.0
/**
 * @file gqa_plan.h
 * What attention needs, by its constants.
 */
#ifndef SEGUE_KERNELS_GQA_PLAN_H
#define SEGUE_KERNELS_GQA_PLAN_H

#include "decode.h"

#include <segue/kernels.h>

/** Bytes of one cache; SIZE_BEYOND where 64 bits do not count them. */
static inline uint64_t segue_gqa_cache_bytes(const struct segue_gqa_decode_constants *constants,
                                             uint32_t head_size, bool fp8)
{
    return product_bytes(product_bytes(constants->kv_heads, head_size, constants->capacity), 1,
                         fp8 ? 1 : 2);
}

/** Splits that are asked for at most. */
#define GQA_MAX_SPLITS 512u

/** segue_gqa_decode_kernel of the kernels for long contexts, for a size that there are heads of. */
enum segue_decode_kernel segue_gqa_long_kernel(uint32_t head_size, bool fp8);

/** segue_gqa_decode_splits of the same, for sound constants. */
uint32_t segue_gqa_long_splits(const struct segue_gqa_decode_constants *constants,
                               uint32_t head_size, uint32_t multiprocessor_count);

#endif // SEGUE_KERNELS_GQA_PLAN_H
