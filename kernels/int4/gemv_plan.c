// SPDX-License-Identifier: Apache-2.0
// The choices are those that measured best on an H200 (docs/performance.md).
#include "gemv_plan.h"

#include "gemv.h"
#include "layout.h"

#include <stdio.h>

/** Of shared memory: for weights on their way, for x, and for all of it. Two thread blocks share a
 *  multiprocessor: of this kernel, or of this and of the next one in the graph. */
#define RING_BYTES (68u << 10)
#define X_BYTES (64u << 10)
#define SHARED_BYTES (200u << 10)
/** The same for devices with less. */
#define SMALL_RING_BYTES (32u << 10)
#define SMALL_X_BYTES (32u << 10)
#define SMALL_SHARED_BYTES (96u << 10)
/** Fewer warps have less on its way each: 17 KiB for two of them. */
#define WARP_RING_BYTES ((17u << 10) / 2)
/** Registers for a lane's part of x, in bytes, of up to 8 warps and of more; blocks of a warp where
 * x keeps its type. */
#define X_REGISTERS 40
#define X_REGISTERS_OF_MANY 20
#define X_REGISTER_BLOCKS 2
/** Floats of sums of a round. */
#define ROUND_FLOATS 4096
/** More tiles than that for each multiprocessor are many. */
#define MANY_TILES 8
/** Blocks of 128 columns that are few (2048 columns), some (4096), and the most that x is split of.
 */
#define FEW_BLOCKS 16
#define SOME_BLOCKS 32
#define MOST_SPLIT_BLOCKS 128

static uint32_t divide_up(uint32_t value, uint32_t by)
{
    return (value + by - 1) / by;
}

static uint32_t minimum(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/** The most warps, up to `most`, that share the blocks evenly; eight, unevenly, where few could. */
static uint32_t choose_warps(uint32_t blocks, uint32_t most)
{
    if (blocks <= most)
        return blocks;
    for (uint32_t warps = most; warps >= most / 2; warps--) {
        if (blocks % warps == 0)
            return warps;
    }
    return 8;
}

/** The largest number up to `most` that divides the blocks. */
static uint32_t choose_slot_blocks(uint32_t warp_blocks, uint32_t most)
{
    uint32_t blocks = minimum(warp_blocks, most);
    while (warp_blocks % blocks != 0)
        blocks--;
    return blocks;
}

/** Shared memory of x: as gemv_floats.cu has it. */
static uint32_t float_x_bytes(uint32_t batch, uint32_t blocks)
{
    return batch * (blocks * 256 + 64);
}

/** As gemv_bytes.cu has it: upper and lower bytes, and the sums of each group. */
static uint32_t byte_x_bytes(uint32_t batch, const struct gemv_plan *plan, uint32_t warp_blocks,
                             uint32_t record_groups)
{
    const uint32_t parts = divide_up(batch * 2, 8);
    return plan->warps * warp_blocks * (256 * batch + record_groups * parts * 32) +
           plan->warps * batch * 4;
}

/** Chooses how x is multiplied and where it is; returns the shared memory for it. */
static uint32_t choose_x(const struct segue_quant_gemv_constants *c,
                         const struct quant_layout *layout, bool many, uint32_t most_bytes,
                         struct gemv_plan *plan)
{
    const bool norm = (c->flags & SEGUE_QUANT_NORM) != 0;
    const uint32_t warp_blocks = divide_up(layout->blocks, plan->warps);
    const uint32_t in_bytes = byte_x_bytes(c->batch, plan, warp_blocks, layout->record_groups);
    // Splitting x costs by the vector, and pays by the tile.
    const bool pays = c->batch <= 4 || (c->batch <= 8 && many && layout->blocks <= FEW_BLOCKS);
    plan->bytes = pays && in_bytes <= most_bytes && layout->blocks <= MOST_SPLIT_BLOCKS;
    if (plan->bytes) {
        const uint32_t parts = divide_up(c->batch * 2, 8);
        const uint32_t kept = warp_blocks * parts * (8 + 2 * layout->record_groups);
        const uint32_t most = plan->warps <= 8 ? X_REGISTERS : X_REGISTERS_OF_MANY;
        plan->x_place = kept <= most ? GEMV_X_REGISTERS : GEMV_X_SHARED;
        return in_bytes;
    }
    const uint32_t in_floats = float_x_bytes(c->batch, layout->blocks);
    if (!norm && c->batch <= 8 && warp_blocks <= X_REGISTER_BLOCKS)
        plan->x_place = GEMV_X_REGISTERS;
    else
        plan->x_place = norm || in_floats <= most_bytes ? GEMV_X_SHARED : GEMV_X_GLOBAL;
    return plan->x_place == GEMV_X_SHARED ? in_floats : 0;
}

/** Warps of a thread block at most: more of them share the work on x and on scales, fewer that on
 *  sums. */
static uint32_t most_warps(uint32_t batch, const struct quant_layout *layout, bool many)
{
    if (batch > 8)
        return 8;
    if (layout->blocks <= FEW_BLOCKS) {
        if (many)
            return batch <= 4 && layout->record_groups == 1 ? 4 : 8;
        return batch <= 4 ? 8 : 16;
    }
    const bool wide = layout->blocks > SOME_BLOCKS || layout->record_groups == 4;
    return batch > 4 || wide ? 16 : 8;
}

bool segue_quant_gemv_choose(const struct segue_quant_gemv_constants *constants,
                             const struct segue_device_info *device, struct gemv_plan *out_plan)
{
    const struct segue_quant_matrix matrix = segue_quant_gemv_matrix(constants);
    struct segue_quant_pack_constants packing;
    struct quant_layout layout;
    segue_quant_constants_of(&matrix, &packing);
    segue_quant_layout_of(&packing, &layout);

    const bool roomy = device->max_shared_memory_bytes >= SHARED_BYTES;
    const uint32_t batch = constants->batch;
    const uint32_t blocks = layout.blocks;
    const uint32_t tiles = divide_up(constants->rows, TILE_ROWS);
    const uint32_t processors = (uint32_t)device->multiprocessor_count;
    const bool many = tiles > MANY_TILES * processors;
    struct gemv_plan plan = {
        .warps = choose_warps(blocks, most_warps(batch, &layout, many)),
        .resident = batch > 16 ? 1 : 2,
    };
    const uint32_t x_bytes =
        choose_x(constants, &layout, many, roomy ? X_BYTES : SMALL_X_BYTES, &plan);
    const bool two_each = batch <= 8 && (plan.x_place == GEMV_X_GLOBAL ||
                                         (many && batch <= 4 && blocks <= SOME_BLOCKS));
    plan.grid = minimum(tiles, processors * (two_each ? 2 : 1));

    const uint32_t warp_blocks = divide_up(blocks, plan.warps);
    const uint32_t tiles_each = divide_up(tiles, plan.grid);
    plan.slot_blocks = choose_slot_blocks(warp_blocks, 4);
    const uint32_t slot_bytes = plan.slot_blocks * layout.block_bytes;
    const uint32_t needed = tiles_each * divide_up(warp_blocks, plan.slot_blocks);
    const uint32_t ring_bytes =
        roomy ? minimum(RING_BYTES, plan.warps * WARP_RING_BYTES) : SMALL_RING_BYTES;
    const uint32_t fitting = ring_bytes / (plan.warps * slot_bytes);
    plan.slots = minimum(needed, fitting < 2 ? 2 : fitting);

    const uint32_t tile_floats = plan.warps * TILE_ROWS * batch;
    plan.round_tiles =
        minimum(tiles_each, tile_floats < ROUND_FLOATS ? ROUND_FLOATS / tile_floats : 1);
    plan.shared_bytes = plan.warps * plan.slots * slot_bytes +
                        (plan.warps * plan.slots + 1) / 2 * 16 +
                        2 * plan.round_tiles * tile_floats * 4 + x_bytes;
    if (plan.shared_bytes > (roomy ? SHARED_BYTES : SMALL_SHARED_BYTES))
        return false;
    *out_plan = plan;
    return true;
}

void segue_quant_gemv_options(const struct segue_quant_gemv_constants *constants,
                              const struct gemv_plan *plan,
                              char out_options[GEMV_OPTION_COUNT][GEMV_OPTION_BYTES])
{
    const struct {
        const char *name;
        uint32_t value;
    } numbers[GEMV_OPTION_COUNT - 1] = {
        {"ROWS", constants->rows},
        {"COLUMNS", constants->columns},
        {"BITS", constants->bits},
        {"GROUP", constants->group_size},
        {"SCALE_TYPE", constants->scale_type},
        {"ZERO", constants->zero},
        {"PAIR_STRIDE", constants->pair_stride},
        {"BATCH", constants->batch},
        {"X_TYPE", constants->activation_type},
        {"OUT_TYPE", constants->result_type},
        {"FLAGS", constants->flags},
        {"WARPS", plan->warps},
        {"SLOTS", plan->slots},
        {"SLOT_BLOCKS", plan->slot_blocks},
        {"ROUND_TILES", plan->round_tiles},
        {"X_PLACE", (uint32_t)plan->x_place},
        {"BYTES", plan->bytes},
        {"RESIDENT", plan->resident},
        {"LAYOUT_VERSION", SEGUE_QUANT_LAYOUT_VERSION},
    };
    for (uint32_t i = 0; i + 1 < GEMV_OPTION_COUNT; i++)
        (void)snprintf(out_options[i], GEMV_OPTION_BYTES, "-D%s=%u", numbers[i].name,
                       numbers[i].value);
    (void)snprintf(out_options[GEMV_OPTION_COUNT - 1], GEMV_OPTION_BYTES, "-DENTRY=%s",
                   segue_quant_gemv_name(constants->flags));
}
