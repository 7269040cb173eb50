// SPDX-License-Identifier: Apache-2.0
// More vectors than fit shared memory, or nearly so: warps read x from the L2 cache, and take
// several tiles at a time, so that they do so less often. The choices are those that measured best
// on an H200 (docs/performance.md).
#include "gemv_plan.h"

#include "gemv.h"
#include "layout.h"

/** Shared memory of a block, at most, and such that two fit a multiprocessor, of this kernel or of
 *  this and of the next one in the graph; for weights on their way; for sums. */
#define MOST_BYTES (200u << 10)
#define HALF_BYTES (112u << 10)
#define RING_BYTES (84u << 10)
#define SUMS_BYTES (20u << 10)
/** Vectors from which on registers are short. */
#define SOME_VECTORS 8
#define MANY_VECTORS 16
#define MOST_VECTORS 32
#define MOST_ROW_WARPS 8
/** All of x: some, and more than shared memory has room for beside weights on their way. */
#define SOME_X_BYTES (64u << 10)
#define LARGE_X_BYTES (128u << 10)

/** What choices depend on. */
struct wide {
    uint32_t batch;
    /** Blocks of 128 columns; tiles of 16 rows of a thread block, at most. */
    uint32_t blocks;
    uint32_t tiles_each;
    uint32_t block_bytes;
    /** Whether weights or scales take more registers than with 4 bits and no offsets. */
    bool is_heavy;
};

/** How the warps share out columns and tiles: all tiles at a time, as far as registers go. */
static void choose_warps(const struct wide *wide, struct gemv_plan *plan)
{
    const bool two_at_most = wide->is_heavy || wide->batch > MOST_VECTORS ||
                             (wide->batch > SOME_VECTORS && wide->batch <= MANY_VECTORS);
    plan->pass_tiles = wide->tiles_each > 2 && !two_at_most ? 4 : gemv_minimum(wide->tiles_each, 2);
    plan->row_warps = 1;
    while (plan->row_warps * plan->pass_tiles < wide->tiles_each &&
           plan->row_warps < MOST_ROW_WARPS)
        plan->row_warps *= 2;
    const uint32_t most = (wide->batch > MANY_VECTORS ? 8 : 16) / plan->row_warps;
    uint32_t column_warps = gemv_minimum(most, wide->blocks);
    for (uint32_t warps = column_warps; warps * 2 > most; warps--) {
        if (wide->blocks % warps == 0) {
            column_warps = warps;
            break;
        }
    }
    plan->warps = column_warps * plan->row_warps;
}

/** Whether reading x that often is faster than to have all of it in shared memory. */
static bool is_wide(const struct wide *wide, uint64_t x_bytes)
{
    if (wide->batch > MANY_VECTORS || (wide->batch > SOME_VECTORS && wide->tiles_each == 2))
        return x_bytes > SOME_X_BYTES;
    return x_bytes > LARGE_X_BYTES;
}

/** Chooses rounds and slots. Returns whether they fit. */
static bool choose_slots(const struct wide *wide, struct gemv_plan *plan)
{
    const uint32_t column_warps = plan->warps / plan->row_warps;
    const uint32_t warp_blocks = gemv_divide_up(wide->blocks, column_warps);
    const uint32_t tile_bytes =
        plan->sum_buffers * column_warps * wide->batch * GEMV_VECTOR_SUMS(wide->batch, false) * 4;
    plan->round_tiles = plan->row_warps;
    while (plan->round_tiles < wide->tiles_each &&
           (plan->round_tiles + plan->row_warps) * tile_bytes <= SUMS_BYTES)
        plan->round_tiles += plan->row_warps;
    const uint32_t sums_bytes = plan->round_tiles * tile_bytes;
    const uint32_t left_bytes =
        sums_bytes < HALF_BYTES ? gemv_minimum(HALF_BYTES - sums_bytes, RING_BYTES) : 0;
    // A slot's barrier takes 8 bytes.
    const uint32_t row_bytes = plan->warps * (plan->pass_tiles * wide->block_bytes + 8);
    plan->slot_blocks = warp_blocks % 2 == 0 && 2 * 2 * row_bytes <= left_bytes ? 2 : 1;
    const uint32_t needed = gemv_divide_up(wide->tiles_each, plan->row_warps * plan->pass_tiles) *
                            (gemv_divide_up(warp_blocks, plan->slot_blocks));
    const uint32_t fitting = left_bytes / (plan->slot_blocks * row_bytes);
    plan->slots = gemv_minimum(needed, fitting < 2 ? 2 : fitting);
    plan->shared_bytes =
        plan->slots * plan->warps * plan->pass_tiles * plan->slot_blocks * wide->block_bytes +
        (plan->warps * plan->slots + 1) / 2 * 16 + sums_bytes;
    return plan->shared_bytes <= MOST_BYTES;
}

bool segue_quant_gemv_choose_wide(const struct segue_quant_gemv_constants *constants,
                                  const struct segue_device_info *device,
                                  struct gemv_plan *out_plan)
{
    const uint64_t x_bytes = (uint64_t)constants->batch * constants->columns * 2;
    const bool per_row = constants->group_size == constants->columns;
    if (constants->batch <= 4 || per_row || (constants->flags & SEGUE_QUANT_NORM) ||
        device->max_shared_memory_bytes < MOST_BYTES)
        return false;
    const struct segue_quant_matrix matrix = segue_quant_gemv_matrix(constants);
    struct segue_quant_pack_constants packing;
    struct quant_layout layout;
    segue_quant_constants_of(&matrix, &packing);
    segue_quant_layout_of(&packing, &layout);
    const uint32_t tiles = gemv_divide_up(constants->rows, TILE_ROWS);
    struct gemv_plan plan = {
        .grid = gemv_minimum(tiles, (uint32_t)device->multiprocessor_count),
        .x_place = GEMV_X_GLOBAL,
        .sum_buffers = constants->batch > MANY_VECTORS ? 1 : 2,
        .resident = 1,
    };
    const struct wide wide = {
        .batch = constants->batch,
        .blocks = layout.blocks,
        .tiles_each = gemv_divide_up(tiles, plan.grid),
        .block_bytes = layout.block_bytes,
        .is_heavy = constants->bits == 8 || constants->zero == SEGUE_QUANT_ZERO_OFFSETS ||
                    constants->zero == SEGUE_QUANT_ZERO_MIDDLE_OFFSETS,
    };
    if (!is_wide(&wide, x_bytes))
        return false;
    choose_warps(&wide, &plan);
    if (!choose_slots(&wide, &plan))
        return false;
    *out_plan = plan;
    return true;
}
