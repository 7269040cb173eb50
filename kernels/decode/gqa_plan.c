// SPDX-License-Identifier: Apache-2.0
#include "gqa_plan.h"

/** Query heads that a thread block does together. */
#define GROUP_HEADS 8u
/** Rows of a block at least, as in gqa_ring.cu and gqa_slots.cu. */
#define MIN_SPLIT_ROWS 64u
/** What the blocks of a group are a multiple of, as in gqa_decode.cu. */
#define CLUSTER_BLOCKS 8u

static uint32_t kv_groups_of(const struct segue_gqa_decode_constants *constants)
{
    const uint32_t shared = constants->heads / constants->kv_heads;
    return shared / GROUP_HEADS + (shared % GROUP_HEADS != 0);
}

static uint32_t groups_of(const struct segue_gqa_decode_constants *constants)
{
    return constants->kv_heads * kv_groups_of(constants);
}

/** Kv heads that a block of gqa_long.cu does together, and blocks that one split then takes. */
static uint32_t band_of(const struct segue_gqa_decode_constants *constants, uint32_t head_size)
{
    uint32_t band = 1024 / head_size;
    while (constants->kv_heads % band != 0)
        band /= 2;
    return band;
}

static uint32_t units_of(const struct segue_gqa_decode_constants *constants, uint32_t head_size)
{
    return groups_of(constants) / band_of(constants, head_size);
}

/** Whether kernels and sizes can be told of them at all. */
static bool is_sound(const struct segue_gqa_decode_constants *constants)
{
    return constants->kv_heads > 0 && constants->heads >= constants->kv_heads;
}

static uint32_t limit_splits(uint32_t splits, const struct segue_gqa_decode_constants *constants)
{
    // No more than the longest context has work for.
    const uint32_t most = constants->capacity / MIN_SPLIT_ROWS;
    splits = splits < most ? splits : most;
    splits = splits < GQA_MAX_SPLITS ? splits : GQA_MAX_SPLITS;
    return splits > 0 ? splits : 1;
}

/* ---- Contexts of a moderate length ----------------------------------------------------------- */

enum segue_decode_kernel segue_gqa_decode_kernel(uint32_t head_size, bool fp8)
{
    switch (head_size) {
    case 64:
        return fp8 ? SEGUE_DECODE_GQA_FP8_64 : SEGUE_DECODE_GQA_64;
    case 128:
        return fp8 ? SEGUE_DECODE_GQA_FP8_128 : SEGUE_DECODE_GQA_128;
    case 256:
        return fp8 ? SEGUE_DECODE_GQA_FP8_256 : SEGUE_DECODE_GQA_256;
    default:
        return SEGUE_DECODE_KERNEL_COUNT;
    }
}

/** Blocks that the grid has for a group. */
static uint64_t blocks_of(const struct segue_gqa_decode_constants *constants)
{
    const uint64_t clusters =
        constants->splits / CLUSTER_BLOCKS + (constants->splits % CLUSTER_BLOCKS != 0);
    return clusters * CLUSTER_BLOCKS;
}

uint32_t segue_gqa_decode_splits(const struct segue_gqa_decode_constants *constants,
                                 uint32_t head_size, uint32_t multiprocessor_count)
{
    if (!is_sound(constants))
        return 1;
    // As many blocks as are resident at a time, in whole clusters. The blocks of a cluster are on
    // neighbouring multiprocessors, of which there are not always enough free: a sixth of the
    // places stays empty (measured; one cluster too many doubles the time).
    const uint64_t places = (uint64_t)multiprocessor_count * (head_size <= 64 ? 3 : 2) * 5 / 6;
    const uint32_t splits = (uint32_t)(places / groups_of(constants));
    return limit_splits(splits < CLUSTER_BLOCKS ? CLUSTER_BLOCKS
                                                : splits / CLUSTER_BLOCKS * CLUSTER_BLOCKS,
                        constants);
}

void segue_gqa_decode_get_sizes(const struct segue_gqa_decode_constants *constants,
                                uint32_t head_size, struct segue_gqa_decode_sizes *out_sizes)
{
    *out_sizes = (struct segue_gqa_decode_sizes){0};
    if (!is_sound(constants))
        return;
    const uint32_t groups = groups_of(constants);
    const uint64_t blocks = blocks_of(constants);
    *out_sizes = (struct segue_gqa_decode_sizes){
        .grid = (uint32_t)(groups * blocks),
        // A record for each block, where there are no clusters; with them it is one for eight.
        .arrived_bytes = (uint64_t)groups * CLUSTER_BLOCKS * 4,
        .partials_bytes =
            product_bytes(groups, blocks, GROUP_HEADS * ((uint64_t)head_size + 2) * 4),
    };
}

/* ---- Long contexts --------------------------------------------------------------------------- */

enum segue_decode_kernel segue_gqa_long_kernel(uint32_t head_size, bool fp8)
{
    switch (head_size) {
    case 64:
        return fp8 ? SEGUE_DECODE_GQA_LONG_FP8_64 : SEGUE_DECODE_GQA_LONG_64;
    case 128:
        return fp8 ? SEGUE_DECODE_GQA_LONG_FP8_128 : SEGUE_DECODE_GQA_LONG_128;
    default:
        return fp8 ? SEGUE_DECODE_GQA_LONG_FP8_256 : SEGUE_DECODE_GQA_LONG_256;
    }
}

void segue_gqa_long_get_sizes(const struct segue_gqa_decode_constants *constants,
                              uint32_t head_size, struct segue_gqa_decode_sizes *out_sizes)
{
    *out_sizes = (struct segue_gqa_decode_sizes){0};
    if (!is_sound(constants) ||
        segue_gqa_decode_kernel(head_size, false) == SEGUE_DECODE_KERNEL_COUNT)
        return;
    const uint64_t units = units_of(constants, head_size);
    const uint64_t band = band_of(constants, head_size);
    *out_sizes = (struct segue_gqa_decode_sizes){
        .grid = (uint32_t)(units * constants->splits),
        .arrived_bytes = units * 16,
        .partials_bytes = product_bytes(units * band, constants->splits,
                                        GROUP_HEADS * ((uint64_t)head_size + 2) * 4),
    };
}

uint32_t segue_gqa_long_splits(const struct segue_gqa_decode_constants *constants,
                               uint32_t head_size, uint32_t multiprocessor_count)
{
    if (!is_sound(constants) ||
        segue_gqa_decode_kernel(head_size, false) == SEGUE_DECODE_KERNEL_COUNT)
        return 1;
    // One block a multiprocessor.
    return limit_splits(multiprocessor_count / units_of(constants, head_size), constants);
}
