// SPDX-License-Identifier: Apache-2.0
// Settings of products of one to sixteen vectors, by rules that stand for what measured best on an
// H200 (docs/performance.md). What they have in common: weights come in slots of four blocks of
// columns, two slots a warp, unless a share is so small that all of it is on its way at once; and a
// multiprocessor has room for the thread blocks of this kernel and of the next one, or of this one
// alone, but not for some of a third.
#include "gemv_plan.h"

#include "gemv.h"
#include "layout.h"

/** Blocks of 128 columns: of 2048 columns, 3072, 4096, 8192, 16384. */
#define FEW_BLOCKS 16
#define FEW_MORE_BLOCKS 24
#define SOME_BLOCKS 32
#define LONG_BLOCKS 64
#define MEDIUM_BLOCKS 95
#define LONGER_BLOCKS 128
/** Devices with so much shared memory. */
#define LEAST_SHARED_BYTES (200u << 10)
/** A share of that size is on its way at once; one of this leaves room for the next kernel's. */
#define WHOLE_SHARE_KIB 84
#define HALF_SHARE_KIB 104
#define MEDIUM_SHARE_KIB 144
#define SMALL_RING_KIB 36
#define MEDIUM_RING_KIB 72
#define LARGE_RING_KIB 110
#define LARGEST_RING_KIB 132
/** Of x split into bytes, and of x as it is. */
#define MOST_X_BYTES (66u << 10)
#define MOST_FLOAT_X_BYTES (128u << 10)

struct product {
    uint32_t batch;
    uint32_t bits;
    uint32_t blocks;
    uint32_t block_bytes;
    uint32_t tiles;
    uint32_t processors;
};

/** More tiles than `half_count` halves for each multiprocessor. */
static bool exceeds(const struct product *p, uint32_t half_count)
{
    return 2 * p->tiles > half_count * p->processors;
}

static uint32_t kib(uint64_t bytes)
{
    return (uint32_t)((bytes + 1023) / 1024);
}

/** What a thread block reads at most, in KiB. */
static uint32_t share_of(const struct product *p, uint32_t each)
{
    const uint32_t blocks = each * p->processors;
    return kib((uint64_t)((p->tiles + blocks - 1) / blocks) * p->blocks * p->block_bytes);
}

/** Thread blocks that a multiprocessor has: two where that balances tiles as well as one, and lets
 *  one multiply while the other waits. */
static uint32_t blocks_each(const struct product *p)
{
    const bool is_some = p->blocks > SOME_BLOCKS;
    const bool is_many = exceeds(p, 12) && !exceeds(p, 32);
    if (!exceeds(p, 2))
        return 1;
    if (p->batch > 4)
        return p->batch <= 8 && p->blocks <= FEW_BLOCKS && (is_many || !exceeds(p, 3)) ? 2 : 1;
    if (p->batch == 1 && !exceeds(p, 4))
        return p->blocks >= LONG_BLOCKS ||
                       (p->bits == 8 && p->blocks <= FEW_MORE_BLOCKS && !exceeds(p, 3))
                   ? 2
                   : 1;
    if (p->batch == 1 && !exceeds(p, 6))
        return p->bits == 4 && p->blocks > FEW_MORE_BLOCKS && p->blocks <= SOME_BLOCKS &&
                       share_of(p, 1) > HALF_SHARE_KIB
                   ? 2
                   : 1;
    if (p->batch == 1)
        return p->blocks <= LONGER_BLOCKS ? 2 : 1;
    if (p->batch == 2 && p->blocks <= FEW_MORE_BLOCKS && !exceeds(p, 3))
        return 2;
    if (p->batch == 2 && is_some)
        return exceeds(p, 6) && p->blocks <= LONG_BLOCKS ? 2 : 1;
    if (p->batch == 2)
        return is_many ? 2 : 1;
    return is_many && (p->blocks <= FEW_MORE_BLOCKS || (is_some && p->blocks < LONG_BLOCKS)) ? 2
                                                                                             : 1;
}

/** Of so many warps each has as many blocks; its slots have as many of them as they can. */
static uint32_t slot_of(uint32_t blocks, uint32_t warps)
{
    const uint32_t each = blocks / warps;
    uint32_t slot = gemv_minimum(each, 4);
    while (each % slot != 0)
        slot--;
    return slot;
}

/** About eight warps that have equal parts of the columns, in large slots. */
static uint32_t even_warps(uint32_t blocks)
{
    static const uint32_t candidates[] = {8, 10, 6, 7, 5, 12};
    uint32_t best = 0;
    for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
        const uint32_t warps = candidates[i];
        if (blocks % warps == 0 &&
            (best == 0 || slot_of(blocks, warps) > 2 * slot_of(blocks, best)))
            best = warps;
    }
    return best != 0 ? best : 8;
}

/** One vector, few columns and two tiles for some multiprocessors: a warp works on both at a time,
 *  all of which is on its way at once. */
static bool takes_two_tiles(const struct product *p)
{
    return p->batch == 1 && p->bits == 4 && p->blocks > 8 && p->blocks <= SOME_BLOCKS &&
           p->blocks % 2 == 0 && exceeds(p, 2) && !exceeds(p, 4);
}

/** More warps, for one vector of many columns, of which each then has fewer. */
static uint32_t many_warps(uint32_t blocks)
{
    for (uint32_t warps = 16; warps >= 12; warps -= 2) {
        if (blocks % (2 * warps) == 0)
            return warps;
    }
    return even_warps(blocks);
}

static uint32_t warps_of(const struct product *p, uint32_t each)
{
    const bool is_tile = !exceeds(p, 2);
    const bool is_even = p->blocks % 16 == 0;
    if (p->blocks <= 8)
        return p->blocks <= 4 || p->batch > 1 ? p->blocks : 4;
    if (p->batch > 4) {
        const bool is_small = p->batch > 8 ? p->blocks <= FEW_BLOCKS && !exceeds(p, 10)
                                           : p->blocks > FEW_BLOCKS && !exceeds(p, 4);
        return is_small && is_even ? 16 : even_warps(p->blocks);
    }
    if (takes_two_tiles(p))
        return p->blocks / 2;
    if (p->blocks <= FEW_BLOCKS && p->batch == 1)
        return (is_tile && exceeds(p, 1)) || (exceeds(p, 6) && (p->bits == 4 || !exceeds(p, 8)))
                   ? 4
                   : 8;
    if (p->blocks <= FEW_BLOCKS)
        return 8;
    if (p->blocks % 12 == 0 && p->blocks <= FEW_MORE_BLOCKS)
        return 12;
    if (p->batch == 4 && !is_tile && p->blocks == SOME_BLOCKS && !exceeds(p, 4))
        return 16;
    if (p->batch == 1 && each == 2 && exceeds(p, 3) && p->blocks >= LONG_BLOCKS)
        return many_warps(p->blocks);
    return even_warps(p->blocks);
}

/** Where each multiprocessor has one tile. */
static uint32_t one_tile_ring(const struct product *p)
{
    const uint32_t share = kib((uint64_t)p->blocks * p->block_bytes);
    if (p->blocks <= FEW_BLOCKS || share <= 48)
        return share;
    // More of it would be before x in the same queues.
    return gemv_minimum(share * 82 / 100, LARGE_RING_KIB);
}

/** Whether x of several vectors and two slots leave room for the next kernel. */
static bool leaves_half(const struct product *p)
{
    if (p->batch == 4)
        return p->blocks > FEW_MORE_BLOCKS && p->blocks <= SOME_BLOCKS && !exceeds(p, 6);
    return p->batch == 2 && p->blocks > FEW_MORE_BLOCKS && p->blocks <= MEDIUM_BLOCKS &&
           !exceeds(p, 12);
}

/** Two slots of each warp. */
static uint32_t two_slots(const struct product *p, const struct gemv_settings *s)
{
    const uint32_t ring = kib(2ull * s->warps * slot_of(p->blocks, s->warps) * p->block_bytes);
    return p->bits == 4 ? ring : gemv_minimum(ring, WHOLE_SHARE_KIB);
}

/** The same where multiprocessors have two thread blocks of this kernel. */
static uint32_t ring_of_two(const struct product *p, const struct gemv_settings *s)
{
    const uint32_t share = share_of(p, 2);
    const uint32_t some = p->bits == 4 ? 48 : MEDIUM_RING_KIB;
    if (!exceeds(p, 3))
        return gemv_minimum(share, some);
    if (p->batch > 1)
        return p->blocks <= FEW_BLOCKS ? 48 : two_slots(p, s);
    if (p->blocks <= FEW_BLOCKS)
        return gemv_minimum(share, kib(2ull * FEW_BLOCKS * p->block_bytes));
    if (p->blocks % s->warps != 0 || (p->blocks <= SOME_BLOCKS && !exceeds(p, 12)))
        return some;
    return exceeds(p, 4) ? two_slots(p, s) : MEDIUM_RING_KIB;
}

/** Several vectors of 3072 columns or so, three tiles for some multiprocessors. */
static bool is_late_few(const struct product *p)
{
    return (p->batch == 2 || p->batch == 4) && p->blocks > FEW_BLOCKS &&
           p->blocks <= FEW_MORE_BLOCKS && exceeds(p, 4) && !exceeds(p, 6);
}

static uint32_t ring_of(const struct product *p, const struct gemv_settings *s)
{
    if (p->batch > 4)
        return SMALL_RING_KIB;
    if (!exceeds(p, 2))
        return one_tile_ring(p);
    if (s->blocks_each == 2)
        return ring_of_two(p, s);
    const uint32_t share = share_of(p, 1);
    if (is_late_few(p))
        return 56;
    if (share <= WHOLE_SHARE_KIB)
        return p->batch == 4 && s->warps == 16 ? 48 : share;
    if (share <= HALF_SHARE_KIB)
        return p->batch > 1 && p->blocks <= FEW_MORE_BLOCKS ? MEDIUM_RING_KIB : share;
    if (p->blocks > LONGER_BLOCKS)
        return LARGEST_RING_KIB;
    if (p->blocks <= FEW_BLOCKS)
        return WHOLE_SHARE_KIB;
    return leaves_half(p) || (p->batch == 4 && share <= MEDIUM_SHARE_KIB) ? MEDIUM_RING_KIB
                                                                          : LARGE_RING_KIB;
}

static uint32_t fitting_of(const struct product *p, const struct gemv_settings *s)
{
    if (s->blocks_each == 1)
        return s->late_trigger || (p->batch == 1 && !exceeds(p, 1)) ||
                       (share_of(p, 1) > HALF_SHARE_KIB && !leaves_half(p))
                   ? 0
                   : 2;
    if (!exceeds(p, 3))
        return p->batch == 1 && p->bits == 4 ? 3 : 2;
    return s->warps <= 4 && !s->late_trigger && !exceeds(p, 8) ? 4 : 2;
}

/** Whether there are rules for it: x is split into bytes, or of many vectors in shared memory. */
static bool is_known(const struct segue_quant_gemv_constants *c, const struct product *p)
{
    const uint64_t x_bytes = (uint64_t)p->blocks * 256 * c->batch;
    if (c->batch <= 4)
        return x_bytes <= MOST_X_BYTES;
    if (c->batch > 16 || c->bits != 4 || (c->flags & SEGUE_QUANT_NORM) ||
        x_bytes > MOST_FLOAT_X_BYTES)
        return false;
    if (p->blocks <= FEW_BLOCKS)
        return !exceeds(p, 32);
    return c->batch <= 8 ? p->blocks % 16 == 0 && !exceeds(p, 4) : exceeds(p, 4) && !exceeds(p, 12);
}

bool segue_quant_gemv_rules(const struct segue_quant_gemv_constants *constants,
                            const struct segue_device_info *device,
                            struct gemv_settings *out_settings)
{
    const struct segue_quant_matrix matrix = segue_quant_gemv_matrix(constants);
    struct segue_quant_pack_constants packing;
    struct quant_layout layout;
    segue_quant_constants_of(&matrix, &packing);
    segue_quant_layout_of(&packing, &layout);
    const struct product product = {
        .batch = constants->batch == 3 ? 4 : constants->batch,
        .bits = constants->bits,
        .blocks = layout.blocks,
        .block_bytes = layout.block_bytes,
        .tiles = (constants->rows + TILE_ROWS - 1) / TILE_ROWS,
        .processors = (uint32_t)device->multiprocessor_count,
    };
    if (constants->activation_type != SEGUE_QUANT_BF16 || !is_known(constants, &product) ||
        device->max_shared_memory_bytes < LEAST_SHARED_BYTES)
        return false;
    struct gemv_settings settings = {.blocks_each = blocks_each(&product)};
    settings.warps = warps_of(&product, settings.blocks_each);
    // In a decoder, what adds a residual and what has many rows for each column is followed by a
    // product whose weights would come before this one's x.
    const bool ends_part = (constants->flags & SEGUE_QUANT_RESIDUAL) != 0;
    const bool is_wide = (constants->flags & SEGUE_QUANT_SILU_MUL) != 0 && product.batch == 1 &&
                         exceeds(&product, 12) && product.blocks <= SOME_BLOCKS;
    // Of few columns only where there are few tiles, too: kernels that are all in flight together
    // disturb each other there, from chain to chain.
    const bool is_tile =
        !exceeds(&product, 2) &&
        (product.batch > 1 || product.blocks > FEW_BLOCKS || !exceeds(&product, 1));
    const bool is_long_tile = product.batch == 1 && settings.blocks_each == 2 &&
                              exceeds(&product, 3) && !exceeds(&product, 4);
    const bool is_late = (is_tile && product.batch <= 4) || is_long_tile || is_late_few(&product) ||
                         (product.batch <= 2 && ends_part) || is_wide;
    settings.late_trigger = is_late ? GEMV_TRIGGER_AFTER_WAIT : GEMV_TRIGGER_AT_START;
    settings.pass_tiles = takes_two_tiles(&product) ? 2 : 0;
    settings.ring_kib = ring_of(&product, &settings);
    settings.blocks_fitting = fitting_of(&product, &settings);
    *out_settings = settings;
    return true;
}
