// SPDX-License-Identifier: Apache-2.0
// The product for the software driver: bindings and their sizes.
#include "gemv.h"

#include "launch.h"
#include "layout.h"
#include "number.h"

static const char *const names[GEMV_ENTRY_COUNT] = {
    "segue_quant_gemv_0", "segue_quant_gemv_1", "segue_quant_gemv_2", "segue_quant_gemv_3",
    "segue_quant_gemv_4", "segue_quant_gemv_5", "segue_quant_gemv_6", "segue_quant_gemv_7",
};

const char *segue_quant_gemv_name(uint32_t flags)
{
    return names[flags & GEMV_BINDING_FLAGS];
}

uint32_t segue_quant_gemv_bindings(uint32_t flags,
                                   enum gemv_binding out_bindings[GEMV_BINDING_COUNT])
{
    uint32_t count = 0;
    out_bindings[count++] = GEMV_X;
    out_bindings[count++] = GEMV_PACKED;
    if (flags & SEGUE_QUANT_NORM)
        out_bindings[count++] = GEMV_NORM;
    if (flags & SEGUE_QUANT_BIAS)
        out_bindings[count++] = GEMV_BIAS;
    if (flags & SEGUE_QUANT_RESIDUAL)
        out_bindings[count++] = GEMV_RESIDUAL;
    out_bindings[count++] = GEMV_OUT;
    return count;
}

struct segue_quant_matrix
segue_quant_gemv_matrix(const struct segue_quant_gemv_constants *constants)
{
    return (struct segue_quant_matrix){
        .rows = constants->rows,
        .columns = constants->columns,
        .bits = constants->bits,
        .group_size = constants->group_size,
        .scale_type = (enum segue_quant_type)constants->scale_type,
        .zero = (enum segue_quant_zero)constants->zero,
        .pair_stride = constants->pair_stride,
    };
}

void segue_quant_gemv_sizes(const struct segue_quant_gemv_constants *constants,
                            uint64_t out_sizes[GEMV_BINDING_COUNT])
{
    const struct segue_quant_matrix matrix = segue_quant_gemv_matrix(constants);
    const uint32_t flags = constants->flags;
    const uint64_t batch = constants->batch;
    const uint32_t result_bytes = quant_type_bytes((enum segue_quant_type)constants->result_type);
    const uint32_t x_bytes =
        flags & SEGUE_QUANT_NORM
            ? 4
            : quant_type_bytes((enum segue_quant_type)constants->activation_type);
    const uint64_t out_rows = flags & SEGUE_QUANT_SILU_MUL ? matrix.rows / 2 : matrix.rows;
    out_sizes[GEMV_X] = batch * matrix.columns * x_bytes;
    out_sizes[GEMV_PACKED] = segue_quant_packed_size_bytes(&matrix);
    out_sizes[GEMV_NORM] = flags & SEGUE_QUANT_NORM ? (uint64_t)matrix.columns * 2 : 0;
    out_sizes[GEMV_BIAS] = flags & SEGUE_QUANT_BIAS ? (uint64_t)matrix.rows * 4 : 0;
    out_sizes[GEMV_OUT] = batch * out_rows * result_bytes;
    out_sizes[GEMV_RESIDUAL] = flags & SEGUE_QUANT_RESIDUAL ? out_sizes[GEMV_OUT] : 0;
}

/** One launch: its constants, and the ranges of its bindings in parameter order. */
struct work {
    struct segue_quant_gemv_constants constants;
    enum gemv_binding bindings[GEMV_BINDING_COUNT];
    struct launch_range ranges[GEMV_BINDING_COUNT];
    uint32_t count;
};

static bool is_sound(const struct segue_quant_gemv_constants *c, uint32_t parameter_count)
{
    const uint32_t flags = c->flags;
    const bool silu = (flags & SEGUE_QUANT_SILU_MUL) != 0;
    const bool group_good = c->group_size == 32 || c->group_size == 64 || c->group_size == 128 ||
                            c->group_size == c->columns;
    return c->rows != 0 && c->columns != 0 && c->columns % 8 == 0 && group_good &&
           c->columns % c->group_size == 0 && (c->bits == 4 || c->bits == 8) && c->batch != 0 &&
           c->batch <= SEGUE_QUANT_MAX_BATCH && c->pair_stride % 8 == 0 &&
           c->scale_type <= SEGUE_QUANT_F32 && c->zero <= SEGUE_QUANT_ZERO_MIDDLE_OFFSETS &&
           (!silu || (uint64_t)c->pair_stride * 2 == c->rows) &&
           parameter_count == 4u + (uint32_t)__builtin_popcount(flags & GEMV_BINDING_FLAGS);
}

static bool read_work(const struct segue_reference_launch *launch, struct work *out_work)
{
    uint64_t sizes[GEMV_BINDING_COUNT];
    struct work work = {0};
    memcpy(&work.constants, launch->parameters[launch->parameter_count - 1],
           sizeof(work.constants));
    if (!is_sound(&work.constants, launch->parameter_count))
        return false;
    segue_quant_gemv_sizes(&work.constants, sizes);
    work.count = segue_quant_gemv_bindings(work.constants.flags, work.bindings);
    for (uint32_t i = 0; i < work.count; i++) {
        const bool is_out = work.bindings[i] == GEMV_OUT;
        work.ranges[i] = (struct launch_range){i, sizes[work.bindings[i]], !is_out, is_out};
    }
    *out_work = work;
    return true;
}

static bool run(const struct segue_reference_launch *launch, segue_reference_translate translate)
{
    struct work work;
    void *in_order[GEMV_BINDING_COUNT];
    void *memory[GEMV_BINDING_COUNT] = {NULL};
    if (!read_work(launch, &work) ||
        !launch_translate(launch, translate, work.ranges, work.count, in_order))
        return false;
    for (uint32_t i = 0; i < work.count; i++)
        memory[work.bindings[i]] = in_order[i];
    return segue_quant_gemv_compute(&work.constants, memory);
}

static void add_ranges(const struct segue_reference_launch *launch,
                       struct segue_reference_ranges *ranges)
{
    struct work work;
    if (read_work(launch, &work))
        launch_add_ranges(launch, ranges, work.ranges, work.count);
}

#define CONSTANTS_BYTES sizeof(struct segue_quant_gemv_constants)
static const uint32_t sizes_0[] = {8, 8, 8, CONSTANTS_BYTES};
static const uint32_t sizes_1[] = {8, 8, 8, 8, CONSTANTS_BYTES};
static const uint32_t sizes_2[] = {8, 8, 8, 8, 8, CONSTANTS_BYTES};
static const uint32_t sizes_3[] = {8, 8, 8, 8, 8, 8, CONSTANTS_BYTES};

/** `optional`: how many of the flags with a binding are set in `mask`. */
#define REFERENCE(mask, optional)                                                        \
    {                                                                                    \
        .name = "segue_quant_gemv_" #mask, .parameter_sizes = sizes_##optional,         \
        .parameter_count = 4 + optional, .run = run, .ranges = add_ranges               \
    }

const struct segue_reference_kernel segue_quant_gemv_references[GEMV_ENTRY_COUNT] = {
    REFERENCE(0, 0), REFERENCE(1, 1), REFERENCE(2, 1), REFERENCE(3, 2),
    REFERENCE(4, 1), REFERENCE(5, 2), REFERENCE(6, 2), REFERENCE(7, 3),
};
