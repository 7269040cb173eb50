// SPDX-License-Identifier: Apache-2.0
#include "units.h"

#include "builtin.h"
#include "checksum_source.h"
#include "gemv.h"
#include "int4_cases.h"
#include "quant_source.h"

#include <segue/kernels.h>

#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/** Units with one set of options; the rest are products. */
enum fixed_unit {
    UNIT_BUILTIN,
    UNIT_DECODE_80,
    UNIT_DECODE_90,
    UNIT_PACK,
    UNIT_CHECKSUM,
    UNIT_DEFECTS,
    UNIT_FIXED_COUNT,
};

/** Shapes of int4_cases.c, and where: what is specialised differently, each once, and small. */
static const struct {
    uint32_t shape;
    uint32_t architecture;
    /** Where several tiles of one vector are taken at a time, which the plan does by settings
     * alone: so many, by so many warps; 0: as the plan has it. */
    uint32_t pass_tiles;
    uint32_t warps;
} products[] = {
    // Bulk copies; bytes, with and without a group a row, zeros, offsets, tails, pairs, the norm,
    // and
    // slots that are filled again.
    {0, 900, 0, 0},
    {4, 900, 0, 0},
    {9, 900, 0, 0},
    {13, 900, 0, 0},
    {16, 900, 0, 0},
    {18, 900, 0, 0},
    {28, 900, 0, 0},
    {30, 900, 0, 0},
    {33, 900, 0, 0},
    {38, 900, 0, 0},
    {41, 900, 0, 0},
    {47, 900, 0, 0},
    // Bulk copies; floats, batches of two and more parts.
    {12, 900, 0, 0},
    {20, 900, 0, 0},
    {22, 900, 0, 0},
    {26, 900, 0, 0},
    {39, 900, 0, 0},
    // cp.async.
    {0, 800, 0, 0},
    {15, 800, 0, 0},
    {19, 800, 0, 0},
    {21, 800, 0, 0},
    {29, 800, 0, 0},
    {33, 800, 0, 0},
    {40, 800, 0, 0},
    // What products do with their sums.
    {42, 900, 0, 0},
    {43, 800, 0, 0},
    {44, 900, 0, 0},
    {45, 800, 0, 0},
    {46, 900, 0, 0},
    {48, 900, 0, 0},
    {49, 800, 0, 0},
    // Floats, where bytes would not be exact enough.
    {54, 900, 0, 0},
    // Several tiles at a time.
    {55, 900, 0, 0},
    {56, 900, 0, 0},
    {57, 900, 0, 0},
    {58, 900, 0, 0},
    {59, 900, 0, 0},
    // Several tiles of one vector, with some left over; in several rounds; with zero points.
    {29, 900, 2, 2},
    {29, 800, 2, 2},
    {44, 900, 4, 2},
    {38, 900, 2, 3},
};

uint32_t emulate_product_count(void)
{
    return COUNT_OF(products);
}

void emulate_product_make(uint32_t index, struct emulate_product *out_product)
{
    const struct segue_quant_gemv_params params = int4_shape(products[index].shape);
    const struct segue_quant_matrix *matrix = &params.matrix;
    const bool large = products[index].architecture == 900;
    const struct segue_device_info device = {
        .multiprocessor_count = 2,
        .max_shared_memory_bytes = large ? 227u << 10 : 99u << 10,
    };
    struct emulate_product product = {
        .shape = products[index].shape,
        .architecture = products[index].architecture,
        .constants =
            {
                .rows = matrix->rows,
                .columns = matrix->columns,
                .bits = matrix->bits,
                .group_size = matrix->group_size,
                .scale_type = (uint32_t)matrix->scale_type,
                .zero = (uint32_t)matrix->zero,
                .pair_stride = matrix->pair_stride,
                .batch = params.batch,
                .activation_type = (uint32_t)params.activation_type,
                .result_type = (uint32_t)params.result_type,
                .flags = params.flags,
                .epsilon = params.epsilon,
                .heads = params.heads,
            },
    };
    const uint32_t pass_tiles = products[index].pass_tiles;
    const struct gemv_settings settings = {
        .warps = products[index].warps,
        .ring_kib = 32,
        .blocks_each = 1,
        .pass_tiles = pass_tiles,
    };
    snprintf(product.unit, sizeof(product.unit), "product_%u_by_%u_sm_%u", product.shape,
             pass_tiles, product.architecture / 10);
    const bool good =
        pass_tiles > 0
            ? segue_quant_gemv_choose_with(&product.constants, &device, &settings, &product.plan)
            : segue_quant_gemv_choose(&product.constants, &device, &product.plan);
    if (!good)
        product.unit[0] = '\0';
    *out_product = product;
}

static void make_product(uint32_t index, struct emulate_unit *unit)
{
    struct emulate_product product;
    emulate_product_make(index, &product);
    memcpy(unit->name, product.unit, sizeof(unit->name));
    unit->source = segue_quant_gemv_source;
    unit->architecture = product.architecture;
    segue_quant_gemv_options(&product.constants, &product.plan, unit->options);
    unit->option_count = GEMV_OPTION_COUNT;
    unit->kernels[unit->kernel_count++] = segue_quant_gemv_name(product.constants.flags);
}

static void name_unit(struct emulate_unit *unit, const char *name, uint32_t architecture)
{
    snprintf(unit->name, sizeof(unit->name), "%s", name);
    unit->architecture = architecture;
}

static void take_kernels(struct emulate_unit *unit, const struct segue_executable_params *params)
{
    unit->source = params->data;
    for (uint32_t i = 0; i < params->entry_point_count; i++)
        unit->kernels[unit->kernel_count++] = params->entry_points[i].name;
}

static void make_fixed(enum fixed_unit kind, struct emulate_unit *unit)
{
    static const char *const builtin[] = {SEGUE_BUILTIN_FILL_NAME, SEGUE_BUILTIN_COPY_NAME};
    static const char *const defects[] = {
        "good",           "no_barrier",      "wrong_lane",      "early_read",
        "early_write",    "no_wait",         "beyond",          "before",
        "constant_write", "divergent",       "ended_lanes",     "misaligned",
        "late_slot",      "no_copy_wait",    "unfinished_copy", "endless",
        "wrong_constant", "past_shared",     "good_cluster",    "no_cluster_begin",
        "no_cluster_end", "ended_cluster",   "beyond_cluster",  "cluster_not_begun",
        "cluster_twice",  "cluster_in_vain",
    };
    struct segue_executable_params params;
    switch (kind) {
    case UNIT_BUILTIN:
        name_unit(unit, "builtin", 700);
        unit->path = "kernels/builtin.cu";
        memcpy(unit->kernels, builtin, sizeof(builtin));
        unit->kernel_count = COUNT_OF(builtin);
        break;
    case UNIT_DECODE_80:
    case UNIT_DECODE_90:
        name_unit(unit, kind == UNIT_DECODE_80 ? "decode_sm_80" : "decode_sm_90",
                  kind == UNIT_DECODE_80 ? 800 : 900);
        segue_kernels_get_decode(&params);
        take_kernels(unit, &params);
        break;
    case UNIT_PACK:
        name_unit(unit, "pack", 800);
        segue_quant_get_pack_kernels(&params);
        take_kernels(unit, &params);
        break;
    case UNIT_CHECKSUM:
        name_unit(unit, "checksum", 800);
        unit->source = segue_checksum_source;
        unit->kernels[unit->kernel_count++] = "segue_chunk_checksums";
        break;
    case UNIT_DEFECTS:
        name_unit(unit, "defects", 900);
        unit->path = "tests/emulate/defects.cu";
        memcpy(unit->kernels, defects, sizeof(defects));
        unit->kernel_count = COUNT_OF(defects);
        break;
    case UNIT_FIXED_COUNT:
        break;
    }
}

uint32_t emulate_unit_count(void)
{
    return UNIT_FIXED_COUNT + COUNT_OF(products);
}

void emulate_unit_make(uint32_t index, struct emulate_unit *out_unit)
{
    memset(out_unit, 0, sizeof(*out_unit));
    if (index < UNIT_FIXED_COUNT)
        make_fixed((enum fixed_unit)index, out_unit);
    else
        make_product(index - UNIT_FIXED_COUNT, out_unit);
}
