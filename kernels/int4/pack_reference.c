// SPDX-License-Identifier: Apache-2.0
// The packing kernels for the software driver.
#include "launch.h"
#include "layout.h"
#include "pack.h"

/** Bindings of the pack and unpack kernels, in the order in which they are worked on here. */
enum { WEIGHTS, SCALES, ZEROS, PACKED, BINDING_COUNT };

/** One launch, in terms of the four bindings; zeros are empty where the kernel has none. */
struct work {
    struct segue_quant_pack_constants constants;
    struct launch_range ranges[BINDING_COUNT];
};

static bool is_sound(const struct segue_quant_pack_constants *c, bool zeros)
{
    return c->columns != 0 && c->columns % 8 == 0 && (c->bits == 4 || c->bits == 8) &&
           (c->group_size == 32 || c->group_size == 64 || c->group_size == 128 ||
            c->group_size == c->columns) &&
           c->columns % c->group_size == 0 && (c->scale_bytes == 2 || c->scale_bytes == 4) &&
           (c->zero_bytes != 0) == zeros && c->pair_stride != 0 && c->pair_stride % 8 == 0;
}

/** False where the constants describe nothing that can be packed. */
static bool read_work(const struct segue_reference_launch *launch, bool unpack, bool zeros,
                      struct work *out_work)
{
    struct work work = {0};
    const uint32_t first_plain = unpack ? 1 : 0;
    const uint32_t plain_count = zeros ? 3 : 2;
    memcpy(&work.constants, launch->parameters[plain_count + 1], sizeof(work.constants));
    if (!is_sound(&work.constants, zeros))
        return false;
    struct quant_layout layout;
    segue_quant_layout_of(&work.constants, &layout);
    const uint64_t rows = work.constants.row_count;
    const uint64_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    const uint64_t sizes[BINDING_COUNT] = {
        rows * work.constants.columns * work.constants.bits / 8,
        rows * layout.groups * layout.scale_bytes,
        rows * layout.groups * layout.zero_bytes,
        tiles * layout.tile_bytes,
    };
    for (uint32_t i = 0; i < BINDING_COUNT; i++)
        work.ranges[i] = (struct launch_range){first_plain + i, sizes[i], !unpack, unpack};
    work.ranges[PACKED] =
        (struct launch_range){unpack ? 0 : plain_count, sizes[PACKED], unpack, !unpack};
    *out_work = work;
    return true;
}

static bool run(const struct segue_reference_launch *launch, segue_reference_translate translate,
                bool unpack, bool zeros)
{
    struct work work;
    void *memory[BINDING_COUNT];
    if (!read_work(launch, unpack, zeros, &work) ||
        !launch_translate(launch, translate, work.ranges, BINDING_COUNT, memory))
        return false;
    const struct segue_quant_plain plain = {memory[WEIGHTS], memory[SCALES], memory[ZEROS]};
    if (unpack)
        segue_quant_unpack_rows(&work.constants, memory[PACKED], &plain);
    else
        segue_quant_pack_rows(&work.constants, &plain, memory[PACKED]);
    return true;
}

static void add_ranges(const struct segue_reference_launch *launch,
                       struct segue_reference_ranges *ranges, bool unpack, bool zeros)
{
    struct work work;
    if (read_work(launch, unpack, zeros, &work))
        launch_add_ranges(launch, ranges, work.ranges, BINDING_COUNT);
}

#define DEFINE_REFERENCE(name, unpack, zeros)                                  \
    static bool run_##name(const struct segue_reference_launch *launch,        \
                           segue_reference_translate translate)                \
    {                                                                          \
        return run(launch, translate, (unpack), (zeros));                      \
    }                                                                          \
    static void add_ranges_##name(const struct segue_reference_launch *launch, \
                                  struct segue_reference_ranges *ranges)       \
    {                                                                          \
        add_ranges(launch, ranges, (unpack), (zeros));                         \
    }

DEFINE_REFERENCE(pack, false, false)
DEFINE_REFERENCE(pack_zeros, false, true)
DEFINE_REFERENCE(unpack, true, false)
DEFINE_REFERENCE(unpack_zeros, true, true)

static const uint32_t sizes[] = {8, 8, 8, sizeof(struct segue_quant_pack_constants)};
static const uint32_t sizes_zeros[] = {8, 8, 8, 8, sizeof(struct segue_quant_pack_constants)};
static const uint32_t sizes_reorder[] = {8, 8, 8, sizeof(struct segue_quant_reorder_constants)};

const struct segue_reference_kernel segue_quant_pack_references[SEGUE_QUANT_PACK_KERNEL_COUNT] = {
    [SEGUE_QUANT_PACK] = {"segue_quant_pack", sizes, 4, run_pack, add_ranges_pack, NULL, NULL},
    [SEGUE_QUANT_PACK_ZEROS] = {"segue_quant_pack_zeros", sizes_zeros, 5, run_pack_zeros,
                                add_ranges_pack_zeros, NULL, NULL},
    [SEGUE_QUANT_UNPACK] = {"segue_quant_unpack", sizes, 4, run_unpack, add_ranges_unpack, NULL,
                            NULL},
    [SEGUE_QUANT_UNPACK_ZEROS] = {"segue_quant_unpack_zeros", sizes_zeros, 5, run_unpack_zeros,
                                  add_ranges_unpack_zeros, NULL, NULL},
    [SEGUE_QUANT_REORDER] = {"segue_quant_reorder", sizes_reorder, 4, segue_quant_run_reorder,
                             segue_quant_add_reorder_ranges, NULL, NULL},
};
