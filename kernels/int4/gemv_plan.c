// SPDX-License-Identifier: Apache-2.0
// The choices are those that measured best on an H200 (docs/performance.md).
#include "gemv_plan.h"

#include "gemv.h"
#include "layout.h"

#include <stdio.h>

/** Of shared memory: for x, and for all of it. Two thread blocks share a multiprocessor: of this
 *  kernel, or of this and of the next one in the graph. */
#define X_BYTES (66u << 10)
#define FLOAT_X_BYTES (132u << 10)
#define SHARED_BYTES (200u << 10)
/** For weights on their way: a whole share, if it is small enough to leave room for the next
 *  kernel's; else what keeps memory busy, which is more with a long x, since less of the rest of it
 *  is for the next kernel, and less for thread blocks that share a multiprocessor. */
#define SHARE_RING_BYTES (84u << 10)
#define RING_BYTES (72u << 10)
#define LONG_RING_BYTES (100u << 10)
#define LONGEST_RING_BYTES (132u << 10)
#define SHARED_RING_BYTES (48u << 10)
#define ONE_TILE_RING_BYTES (56u << 10)
#define LATE_RING_BYTES (110u << 10)
/** Fewer warps have less on its way each. */
#define WARP_RING_BYTES (9u << 10)
/** The same for devices with less. */
#define SMALL_RING_BYTES (32u << 10)
#define SMALL_X_BYTES (32u << 10)
#define SMALL_SHARED_BYTES (96u << 10)
/** Registers for a lane's part of x, in bytes, of up to 8 warps and of more; blocks of a warp where
 * x keeps its type. */
#define X_REGISTERS 40
#define X_REGISTERS_OF_MANY 20
#define X_REGISTER_BLOCKS 2
/** Blocks of a warp and tile of which several tiles are taken at a time. */
#define MOST_PASS_BLOCKS 2
/** Where fewer do not fit, none do. */
#define FEWEST_WARPS 4
/** Floats of sums of a round. */
#define ROUND_FLOATS 4096
/** More tiles than that for each multiprocessor are many, and very many. */
#define MANY_TILES 6
#define VERY_MANY_TILES 16
/** Blocks of 128 columns that are few (2048 columns), some (4096), many (8192), and the most that x
 *  is split of. */
#define FEW_BLOCKS 16
#define SOME_BLOCKS 32
#define LONG_BLOCKS 64
#define LONGER_BLOCKS 128
#define MOST_SPLIT_BLOCKS 256

/** The most warps, up to `most`, that share the blocks evenly; up to eight, unevenly, where few
 * could.
 */
static uint32_t choose_warps(uint32_t blocks, uint32_t most)
{
    if (blocks <= most)
        return blocks;
    for (uint32_t warps = most; warps >= most / 2; warps--) {
        if (blocks % warps == 0)
            return warps;
    }
    return gemv_minimum(most, 8);
}

/** The largest number up to `most` that divides the blocks. */
static uint32_t choose_slot_blocks(uint32_t warp_blocks, uint32_t most)
{
    uint32_t blocks = gemv_minimum(warp_blocks, most);
    while (warp_blocks % blocks != 0)
        blocks--;
    return blocks;
}

/** Shared memory of x: as gemv_floats.cu has it. */
static uint32_t float_x_bytes(uint32_t batch, uint32_t blocks)
{
    return batch * (blocks * 256 + 64);
}

/** Sums of x over parts of a block that gemv_bytes.cu needs: none where weights are counted from
 * the middle and have no offsets, else one for each accumulator. */
static uint32_t block_sums(const struct segue_quant_gemv_constants *c,
                           const struct quant_layout *layout)
{
    const uint32_t spread = c->batch == 1 ? 4 : c->batch == 2 ? 2 : 1;
    if (c->zero == SEGUE_QUANT_ZERO_MIDDLE)
        return 0;
    return layout->record_groups > spread ? layout->record_groups / spread : 1;
}

/** As gemv_bytes.cu has it: upper and lower bytes, and the sums of groups. */
static uint32_t byte_x_bytes(uint32_t batch, const struct gemv_plan *plan, uint32_t warp_blocks,
                             uint32_t sums)
{
    const uint32_t parts = gemv_divide_up(batch * 2, 8);
    return plan->warps * warp_blocks * (256 * batch + sums * parts * 32) + plan->warps * batch * 4;
}

/** What choices depend on. */
struct work {
    const struct segue_quant_gemv_constants *constants;
    const struct segue_device_info *device;
    struct quant_layout layout;
    uint32_t batch;
    /** Blocks of 128 columns, tiles of 16 rows. */
    uint32_t blocks;
    uint32_t tiles;
    uint32_t processors;
    /** More than MANY_TILES, and VERY_MANY_TILES, for each multiprocessor. */
    bool many;
    bool very_many;
    /** Whether multiprocessors have SHARED_BYTES. */
    bool roomy;
    /** NULL: by rules alone. */
    const struct gemv_settings *settings;
};

static struct work work_of(const struct segue_quant_gemv_constants *constants,
                           const struct segue_device_info *device,
                           const struct gemv_settings *settings)
{
    const struct segue_quant_matrix matrix = segue_quant_gemv_matrix(constants);
    struct segue_quant_pack_constants packing;
    struct work work = {
        .constants = constants,
        .device = device,
        .batch = constants->batch,
        .tiles = gemv_divide_up(constants->rows, TILE_ROWS),
        .processors = (uint32_t)device->multiprocessor_count,
        .roomy = device->max_shared_memory_bytes >= SHARED_BYTES,
        .settings = settings,
    };
    segue_quant_constants_of(&matrix, &packing);
    segue_quant_layout_of(&packing, &work.layout);
    work.blocks = work.layout.blocks;
    work.many = work.tiles > MANY_TILES * work.processors;
    work.very_many = work.tiles > VERY_MANY_TILES * work.processors;
    return work;
}

/** Whether to split x into bytes: that costs by the vector, and pays by the tile. */
static bool splits_x(const struct work *work)
{
    if (work->batch > 4 && (work->batch > 8 || !work->very_many || work->blocks > FEW_BLOCKS))
        return false;
    const uint32_t most_bytes = work->roomy ? X_BYTES : SMALL_X_BYTES;
    return work->blocks <= MOST_SPLIT_BLOCKS && work->blocks * 256 * work->batch <= most_bytes;
}

/** One vector with few columns and so many rows that a share does not fit the ring: gate and up
 * rows of a small model. */
static bool is_short_and_wide(const struct work *work)
{
    return work->batch == 1 && work->blocks <= FEW_BLOCKS && work->many && !work->very_many;
}

/** Warps of a thread block at most: more of them share the work on x and on scales, fewer that on
 *  sums. */
static uint32_t most_warps(const struct work *work)
{
    const uint32_t groups = work->layout.record_groups;
    // Their sums have to fit, too.
    if (work->batch > 8)
        return work->roomy || work->batch <= 32 ? 8 : 4;
    if (work->blocks <= FEW_BLOCKS) {
        if (work->batch == 1 && work->very_many && groups == 1)
            return 4;
        return work->batch <= 4 || work->many ? 8 : 16;
    }
    if (work->blocks <= SOME_BLOCKS && work->batch <= 4)
        return work->blocks <= SOME_BLOCKS * 3 / 4 ? 12 : 8;
    if (work->blocks <= SOME_BLOCKS)
        return 16;
    const bool in_shared = float_x_bytes(work->batch, work->blocks) <= FLOAT_X_BYTES;
    return splits_x(work) || (work->batch > 4 && in_shared) ? 8 : 16;
}

/** Chooses where x is; returns the shared memory for it. */
static uint32_t choose_x(const struct work *work, struct gemv_plan *plan)
{
    const struct segue_quant_gemv_constants *c = work->constants;
    const bool norm = (c->flags & SEGUE_QUANT_NORM) != 0;
    const uint32_t warp_blocks = gemv_divide_up(work->blocks, plan->warps);
    const uint32_t sums = block_sums(c, &work->layout);
    const uint32_t in_bytes = byte_x_bytes(work->batch, plan, warp_blocks, sums);
    // Beside a number that is far larger, the others of a warp's part lose as much together as bf16
    // does, which is more than f16 may, unless they are few.
    const bool is_exact = c->activation_type == SEGUE_QUANT_BF16 || warp_blocks == 1;
    plan->bytes =
        is_exact && splits_x(work) && in_bytes <= (work->roomy ? 2 * X_BYTES : 2 * SMALL_X_BYTES);
    if (plan->bytes) {
        const uint32_t parts = gemv_divide_up(work->batch * 2, 8);
        const uint32_t kept = warp_blocks * parts * (8 + 2 * sums);
        const uint32_t most = plan->warps <= 8 ? X_REGISTERS : X_REGISTERS_OF_MANY;
        // One vector's is read so fast that registers are better left to the next kernel.
        plan->x_place = (work->batch > 1 || warp_blocks == 1) && kept <= most ? GEMV_X_REGISTERS
                                                                              : GEMV_X_SHARED;
        return in_bytes;
    }
    const uint32_t in_floats = float_x_bytes(work->batch, work->blocks);
    if (!norm && work->batch <= 8 && warp_blocks <= X_REGISTER_BLOCKS)
        plan->x_place = GEMV_X_REGISTERS;
    else if (norm || in_floats <= (work->roomy ? FLOAT_X_BYTES : SMALL_X_BYTES))
        plan->x_place = GEMV_X_SHARED;
    else
        plan->x_place = GEMV_X_GLOBAL;
    return plan->x_place == GEMV_X_SHARED ? in_floats : 0;
}

/** Shared memory for weights on their way, of a thread block that reads `share_bytes` of them. */
static uint32_t ring_bytes(const struct work *work, const struct gemv_plan *plan,
                           uint64_t share_bytes)
{
    if (!work->roomy)
        return SMALL_RING_BYTES;
    if (work->settings)
        return work->settings->ring_kib << 10;
    if (plan->grid > work->processors) {
        const bool short_share = work->blocks <= FEW_BLOCKS
                                     ? !work->very_many
                                     : work->blocks <= SOME_BLOCKS && !work->many;
        return short_share ? SHARED_RING_BYTES
                           : gemv_minimum(RING_BYTES, plan->warps * WARP_RING_BYTES);
    }
    if (plan->late_trigger && is_short_and_wide(work))
        return LATE_RING_BYTES;
    if (plan->late_trigger && work->tiles <= work->processors)
        return ONE_TILE_RING_BYTES;
    if (share_bytes <= SHARE_RING_BYTES)
        return (uint32_t)share_bytes;
    if (work->blocks > LONGER_BLOCKS)
        return LONGEST_RING_BYTES;
    return plan->bytes && work->blocks > FEW_BLOCKS ? LONG_RING_BYTES : RING_BYTES;
}

/** What a thread block takes of a multiprocessor's shared memory beside its own; one block can have
 *  all but that of one. */
#define BLOCK_OVERHEAD_BYTES 1024

/** The most shared memory of a block with which so many fit a multiprocessor. */
static uint32_t most_bytes_for(const struct segue_device_info *device, uint32_t blocks)
{
    const uint32_t all_bytes = device->max_shared_memory_bytes + BLOCK_OVERHEAD_BYTES;
    return (all_bytes / blocks - BLOCK_OVERHEAD_BYTES) / 128 * 128;
}

/** Of one vector, a warp can take several tiles at a time: their chains of matrix instructions do
 * not wait for each other, and they share what a slot costs. That pays where a product stands among
 * others of other shapes, not in a chain of its own kind (docs/performance.md). */
static void choose_passes(const struct work *work, uint32_t tiles_each, uint32_t ring_bytes,
                          struct gemv_plan *plan)
{
    const uint32_t warp_blocks = work->blocks / plan->warps;
    if (!work->settings || work->batch != 1 || !plan->bytes || work->layout.per_row ||
        work->blocks % plan->warps != 0 || warp_blocks > MOST_PASS_BLOCKS)
        return;
    const uint32_t tiles = gemv_maximum(work->settings->pass_tiles, 1);
    const uint32_t slot_bytes = tiles * plan->warps * warp_blocks * work->layout.block_bytes;
    const uint32_t slots = tiles_each > tiles ? 2 : 1;
    if (tiles == 1 || tiles > tiles_each || ring_bytes < slots * slot_bytes)
        return;
    plan->pass_tiles = tiles;
    plan->slot_blocks = warp_blocks;
    plan->x_place = GEMV_X_REGISTERS;
    // A round ends with a pass.
    if (plan->round_tiles < tiles_each)
        plan->round_tiles = plan->round_tiles / tiles * tiles;
}

/** Chooses slots of the ring in what is left beside `other_bytes` of shared memory: as large as
 * lets two of them in. Returns whether two fit. */
static bool choose_slots(const struct work *work, uint32_t other_bytes, struct gemv_plan *plan)
{
    const uint32_t most_bytes = work->roomy ? SHARED_BYTES : SMALL_SHARED_BYTES;
    const uint32_t warp_blocks = gemv_divide_up(work->blocks, plan->warps);
    const uint32_t tiles_each = gemv_divide_up(work->tiles, plan->grid);
    const uint64_t share_bytes =
        (uint64_t)tiles_each * plan->warps * warp_blocks * work->layout.block_bytes;
    if (other_bytes >= most_bytes)
        return false;
    uint32_t leaving_bytes = most_bytes;
    if (work->settings && work->settings->blocks_fitting > 1)
        leaving_bytes = most_bytes_for(work->device, work->settings->blocks_fitting);
    if (leaving_bytes < other_bytes + SMALL_RING_BYTES)
        leaving_bytes = most_bytes;
    // A slot's barrier takes 8 bytes.
    const uint32_t left_bytes = (leaving_bytes - other_bytes) / 1024 * 1016;
    const uint32_t bytes = gemv_minimum(ring_bytes(work, plan, share_bytes), left_bytes);
    const bool fits = share_bytes <= SHARE_RING_BYTES;
    const bool one_tile = plan->late_trigger && tiles_each == 1;
    const uint32_t given = work->settings ? work->settings->slot_blocks : 0;
    plan->slot_blocks = choose_slot_blocks(warp_blocks, given ? given : one_tile || fits ? 2 : 4);
    while (plan->slot_blocks > 1 && warp_blocks * tiles_each > plan->slot_blocks &&
           2 * plan->warps * plan->slot_blocks * work->layout.block_bytes > bytes)
        plan->slot_blocks = choose_slot_blocks(warp_blocks, plan->slot_blocks - 1);
    choose_passes(work, tiles_each, bytes, plan);
    const uint32_t row_bytes =
        plan->warps * plan->pass_tiles * plan->slot_blocks * work->layout.block_bytes;
    const uint32_t needed = gemv_divide_up(tiles_each, plan->pass_tiles) *
                            gemv_divide_up(warp_blocks, plan->slot_blocks);
    const uint32_t fitting = bytes / row_bytes;
    plan->slots = gemv_minimum(needed, fitting < 2 ? 2 : fitting);
    plan->shared_bytes =
        plan->slots * row_bytes + (plan->warps * plan->slots + 1) / 2 * 16 + other_bytes;
    return plan->shared_bytes <= most_bytes;
}

/** Whether multiprocessors have two thread blocks each: where that balances few tiles, or lets one
 *  multiply while the other waits. */
static bool has_two_each(const struct work *work, const struct gemv_plan *plan)
{
    if (work->settings)
        return work->settings->blocks_each == 2;
    if (work->batch > 8)
        return false;
    if (plan->x_place == GEMV_X_GLOBAL)
        return true;
    if (work->batch == 1 && plan->bytes) {
        const bool few = work->blocks <= FEW_BLOCKS && work->tiles <= 2 * work->processors;
        const bool is_long = work->blocks >= LONG_BLOCKS && work->blocks <= LONGER_BLOCKS;
        if (few || is_long)
            return true;
    }
    return work->many && work->batch <= 2 && work->blocks <= SOME_BLOCKS &&
           !is_short_and_wide(work);
}

/**
 * Thread blocks that a multiprocessor shall have room for, of this kernel and of its neighbours in
 * the graph; 0: any number. Kernels that let the next one start at once are in flight all together
 * where there is room for them, and then a multiprocessor has two blocks of one kernel and another
 * has none, which nothing puts right again: there is room for two kernels, or else for one.
 */
static uint32_t fitting_of(const struct work *work, const struct gemv_plan *plan)
{
    if (work->settings)
        return work->settings->blocks_fitting;
    if (plan->late_trigger || plan->wants_cache)
        return 0;
    const uint32_t of_two = gemv_divide_up(2 * plan->grid, work->processors);
    return of_two <= 3 ? gemv_maximum(of_two, 2) : gemv_divide_up(plan->grid, work->processors);
}

static bool choose_for_warps(const struct work *work, uint32_t warps, struct gemv_plan *out_plan)
{
    const struct segue_quant_gemv_constants *constants = work->constants;
    const struct gemv_settings *settings = work->settings;
    struct gemv_plan plan = {
        .row_warps = 1,
        .pass_tiles = 1,
        .sum_buffers = 2,
        .warps = warps,
        .resident = work->batch > 16 ? 1 : 2,
    };
    const uint32_t x_bytes = choose_x(work, &plan);
    plan.grid = gemv_minimum(work->tiles, work->processors * (has_two_each(work, &plan) ? 2 : 1));
    const uint32_t tiles_each = gemv_divide_up(work->tiles, plan.grid);
    // In a decoder, what adds a residual and what has many rows is followed by a product whose
    // weights would come before this one's x.
    const bool ends_part = (constants->flags & SEGUE_QUANT_RESIDUAL) != 0;
    const bool one_tile = work->tiles <= work->processors;
    const bool is_wide =
        work->batch == 1 && work->many && !work->very_many && work->blocks <= SOME_BLOCKS;
    plan.late_trigger = work->batch <= 2 && (one_tile || ends_part || is_wide)
                            ? GEMV_TRIGGER_AFTER_WAIT
                            : GEMV_TRIGGER_AT_START;
    if (settings)
        plan.late_trigger = settings->late_trigger;
    plan.wants_cache = plan.x_place == GEMV_X_GLOBAL && work->batch > 8 && work->many;

    const uint32_t tile_floats =
        plan.warps * work->batch * GEMV_VECTOR_SUMS(work->batch, plan.bytes);
    // Where x takes none, there is room for what sums are apart.
    const uint32_t round_floats =
        x_bytes == 0 ? ROUND_FLOATS / TILE_ROWS * GEMV_VECTOR_SUMS(work->batch, plan.bytes)
                     : ROUND_FLOATS;
    plan.round_tiles =
        gemv_minimum(tiles_each, tile_floats < round_floats ? round_floats / tile_floats : 1);
    const uint32_t sums_bytes = 2 * plan.round_tiles * tile_floats * 4;
    bool good = choose_slots(work, sums_bytes + x_bytes, &plan);
    if (!good && !plan.bytes && !(constants->flags & SEGUE_QUANT_NORM)) {
        plan.x_place = GEMV_X_GLOBAL;
        good = choose_slots(work, sums_bytes, &plan);
    }
    const uint32_t fitting = fitting_of(work, &plan);
    if (work->roomy && fitting != 0)
        plan.shared_bytes =
            gemv_maximum(plan.shared_bytes, most_bytes_for(work->device, fitting + 1) + 128);
    if (good)
        *out_plan = plan;
    return good;
}

bool segue_quant_gemv_choose_with(const struct segue_quant_gemv_constants *constants,
                                  const struct segue_device_info *device,
                                  const struct gemv_settings *settings, struct gemv_plan *out_plan)
{
    if (!settings && segue_quant_gemv_choose_wide(constants, device, out_plan)) {
        out_plan->shared_bytes =
            gemv_maximum(out_plan->shared_bytes, most_bytes_for(device, 3) + 128);
        return true;
    }
    const struct work work = work_of(constants, device, settings);
    uint32_t warps = settings ? settings->warps : choose_warps(work.blocks, most_warps(&work));
    // Fewer warps have fewer slots, on devices with little shared memory.
    while (!choose_for_warps(&work, warps, out_plan)) {
        if (settings || warps <= FEWEST_WARPS)
            return false;
        warps /= 2;
    }
    return true;
}

bool segue_quant_gemv_choose(const struct segue_quant_gemv_constants *constants,
                             const struct segue_device_info *device, struct gemv_plan *out_plan)
{
    const struct gemv_settings *measured = segue_quant_gemv_measured(constants, device);
    struct gemv_settings ruled;
    if (measured && segue_quant_gemv_choose_with(constants, device, measured, out_plan))
        return true;
    if (segue_quant_gemv_rules(constants, device, &ruled) &&
        segue_quant_gemv_choose_with(constants, device, &ruled, out_plan))
        return true;
    return segue_quant_gemv_choose_with(constants, device, NULL, out_plan);
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
        {"HEADS", constants->heads.heads},
        {"KV_HEADS", constants->heads.kv_heads},
        {"WARPS", plan->warps},
        {"SLOTS", plan->slots},
        {"SLOT_BLOCKS", plan->slot_blocks},
        {"ROUND_TILES", plan->round_tiles},
        {"X_PLACE", (uint32_t)plan->x_place},
        {"BYTES", plan->bytes},
        {"RESIDENT", plan->resident},
        {"LATE_TRIGGER", plan->late_trigger},
        {"ROW_WARPS", plan->row_warps},
        {"PASS_TILES", plan->pass_tiles},
        {"SUM_BUFFERS", plan->sum_buffers},
        {"LAYOUT_VERSION", SEGUE_QUANT_LAYOUT_VERSION},
    };
    for (uint32_t i = 0; i + 1 < GEMV_OPTION_COUNT; i++)
        (void)snprintf(out_options[i], GEMV_OPTION_BYTES, "-D%s=%u", numbers[i].name,
                       numbers[i].value);
    (void)snprintf(out_options[GEMV_OPTION_COUNT - 1], GEMV_OPTION_BYTES, "-DENTRY=%s",
                   segue_quant_gemv_name(constants->flags));
}
