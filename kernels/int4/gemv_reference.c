// SPDX-License-Identifier: Apache-2.0
// The product for the software driver: bindings and their sizes.
#include "gemv.h"

#include "launch.h"
#include "layout.h"
#include "number.h"

#include <stdio.h>

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
    if (flags & SEGUE_QUANT_ROPE_KV)
        out_bindings[count++] = GEMV_FREQUENCIES;
    if (flags & SEGUE_QUANT_KV_FP8)
        out_bindings[count++] = GEMV_KV_SCALES;
    if (flags & (SEGUE_QUANT_ROPE_KV | SEGUE_QUANT_ADVANCE))
        out_bindings[count++] = GEMV_POSITION;
    if (flags & SEGUE_QUANT_ROPE_KV) {
        out_bindings[count++] = GEMV_K_CACHE;
        out_bindings[count++] = GEMV_V_CACHE;
    }
    out_bindings[count++] = GEMV_OUT;
    if (flags & SEGUE_QUANT_ARGMAX) {
        out_bindings[count++] = GEMV_TOKEN;
        out_bindings[count++] = GEMV_STATE;
    }
    return count;
}

struct segue_parameter segue_quant_gemv_parameter(enum gemv_binding binding, uint32_t flags)
{
    static const struct segue_parameter of_binding[GEMV_BINDING_COUNT] = {
        [GEMV_X] = {.access = SEGUE_ACCESS_READ, .align_bytes = 16},
        [GEMV_PACKED] = {.access = SEGUE_ACCESS_CONSTANT, .align_bytes = 16},
        [GEMV_NORM] = {.access = SEGUE_ACCESS_CONSTANT, .align_bytes = 16},
        [GEMV_BIAS] = {.access = SEGUE_ACCESS_CONSTANT, .align_bytes = 4},
        [GEMV_RESIDUAL] = {.access = SEGUE_ACCESS_READ, .align_bytes = 4},
        [GEMV_FREQUENCIES] = {.access = SEGUE_ACCESS_CONSTANT, .align_bytes = 4},
        [GEMV_KV_SCALES] = {.access = SEGUE_ACCESS_CONSTANT, .align_bytes = 4},
        [GEMV_POSITION] = {.access = SEGUE_ACCESS_READ, .align_bytes = 4},
        [GEMV_K_CACHE] = {.access = SEGUE_ACCESS_WRITE, .align_bytes = 2},
        [GEMV_V_CACHE] = {.access = SEGUE_ACCESS_WRITE, .align_bytes = 2},
        [GEMV_OUT] = {.access = SEGUE_ACCESS_WRITE, .align_bytes = 4},
        [GEMV_TOKEN] = {.access = SEGUE_ACCESS_WRITE, .align_bytes = 4},
        [GEMV_STATE] = {.access = SEGUE_ACCESS_READ_WRITE, .align_bytes = 8},
    };
    struct segue_parameter parameter = of_binding[binding];
    if (binding == GEMV_POSITION && (flags & SEGUE_QUANT_ADVANCE))
        parameter.access = SEGUE_ACCESS_READ_WRITE;
    if ((binding == GEMV_K_CACHE || binding == GEMV_V_CACHE) && (flags & SEGUE_QUANT_KV_FP8))
        parameter.align_bytes = 1;
    return parameter;
}

struct segue_quant_gemv_constants
segue_quant_gemv_constants_of(const struct segue_quant_gemv_params *params)
{
    const struct segue_quant_matrix *matrix = &params->matrix;
    return (struct segue_quant_gemv_constants){
        .rows = matrix->rows,
        .columns = matrix->columns,
        .bits = matrix->bits,
        .group_size = matrix->group_size,
        .scale_type = (uint32_t)matrix->scale_type,
        .zero = (uint32_t)matrix->zero,
        .pair_stride = matrix->pair_stride,
        .batch = params->batch,
        .activation_type = (uint32_t)params->activation_type,
        .result_type = (uint32_t)params->result_type,
        .flags = params->flags,
        .epsilon = params->epsilon,
        .heads = params->heads,
    };
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

/** Results of a vector. */
static uint64_t out_rows(const struct segue_quant_gemv_constants *constants)
{
    if (constants->flags & SEGUE_QUANT_SILU_MUL)
        return constants->rows / 2;
    if (constants->flags & SEGUE_QUANT_ROPE_KV)
        return (uint64_t)constants->heads.heads * constants->pair_stride * 2;
    return constants->rows;
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
    out_sizes[GEMV_X] = batch * matrix.columns * x_bytes;
    out_sizes[GEMV_PACKED] = segue_quant_packed_size_bytes(&matrix);
    out_sizes[GEMV_NORM] = flags & SEGUE_QUANT_NORM ? (uint64_t)matrix.columns * 2 : 0;
    out_sizes[GEMV_BIAS] = flags & SEGUE_QUANT_BIAS ? (uint64_t)matrix.rows * 4 : 0;
    out_sizes[GEMV_OUT] = batch * out_rows(constants) * result_bytes;
    out_sizes[GEMV_RESIDUAL] = flags & SEGUE_QUANT_RESIDUAL ? out_sizes[GEMV_OUT] : 0;
    const bool rope = (flags & SEGUE_QUANT_ROPE_KV) != 0;
    const uint64_t cache_elements = (uint64_t)constants->heads.capacity *
                                    constants->heads.kv_heads * constants->pair_stride * 2;
    out_sizes[GEMV_FREQUENCIES] = rope ? (uint64_t)matrix.pair_stride * 4 : 0;
    out_sizes[GEMV_POSITION] = rope || (flags & SEGUE_QUANT_ADVANCE) ? batch * 4 : 0;
    const bool fp8 = (flags & SEGUE_QUANT_KV_FP8) != 0;
    out_sizes[GEMV_KV_SCALES] = fp8 ? (uint64_t)constants->heads.kv_heads * 8 : 0;
    out_sizes[GEMV_K_CACHE] = rope ? cache_elements * (fp8 ? 1 : result_bytes) : 0;
    out_sizes[GEMV_V_CACHE] = out_sizes[GEMV_K_CACHE];
    out_sizes[GEMV_TOKEN] = flags & SEGUE_QUANT_ARGMAX ? batch * 4 : 0;
    out_sizes[GEMV_STATE] = flags & SEGUE_QUANT_ARGMAX ? (batch + 1) * 8 : 0;
}

/** One launch: its constants, and the ranges of its bindings in parameter order. */
struct work {
    struct segue_quant_gemv_constants constants;
    enum gemv_binding bindings[GEMV_BINDING_COUNT];
    struct launch_range ranges[GEMV_BINDING_COUNT];
    uint32_t count;
};

bool segue_quant_gemv_heads_fit(const struct segue_quant_gemv_constants *c)
{
    const struct segue_quant_heads *heads = &c->heads;
    const uint64_t count = heads->heads + 2 * (uint64_t)heads->kv_heads;
    // No products, which might not fit in 64 bits.
    const uint64_t head_rows = 2 * (uint64_t)c->pair_stride;
    return heads->heads != 0 && heads->kv_heads != 0 && heads->capacity != 0 && head_rows != 0 &&
           c->rows % head_rows == 0 && c->rows / head_rows == count;
}

static bool is_sound(const struct segue_quant_gemv_constants *c, uint32_t parameter_count)
{
    const uint32_t flags = c->flags;
    enum gemv_binding bindings[GEMV_BINDING_COUNT];
    const bool silu = (flags & SEGUE_QUANT_SILU_MUL) != 0;
    const bool group_good = c->group_size == 32 || c->group_size == 64 || c->group_size == 128 ||
                            c->group_size == c->columns;
    return c->rows != 0 && c->columns != 0 && c->columns % 8 == 0 && group_good &&
           c->columns % c->group_size == 0 && (c->bits == 4 || c->bits == 8) && c->batch != 0 &&
           c->batch <= SEGUE_QUANT_MAX_BATCH && c->pair_stride % 8 == 0 &&
           c->scale_type <= SEGUE_QUANT_F32 && c->zero <= SEGUE_QUANT_ZERO_MIDDLE_OFFSETS &&
           (!silu || (uint64_t)c->pair_stride * 2 == c->rows) &&
           (!(flags & SEGUE_QUANT_ROPE_KV) || segue_quant_gemv_heads_fit(c)) &&
           (!(flags & SEGUE_QUANT_KV_FP8) || (flags & SEGUE_QUANT_ROPE_KV)) &&
           (!(flags & SEGUE_QUANT_ARGMAX) || out_rows(c) == c->rows) &&
           parameter_count == segue_quant_gemv_bindings(flags, bindings) + 1;
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
        const struct segue_parameter parameter =
            segue_quant_gemv_parameter(work.bindings[i], work.constants.flags);
        work.ranges[i] = (struct launch_range){
            i, sizes[work.bindings[i]], parameter.access != SEGUE_ACCESS_WRITE,
            parameter.access == SEGUE_ACCESS_WRITE || parameter.access == SEGUE_ACCESS_READ_WRITE};
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
static const uint32_t sizes_3[] = {8, 8, 8, CONSTANTS_BYTES};
static const uint32_t sizes_4[] = {8, 8, 8, 8, CONSTANTS_BYTES};
static const uint32_t sizes_5[] = {8, 8, 8, 8, 8, CONSTANTS_BYTES};
static const uint32_t sizes_6[] = {8, 8, 8, 8, 8, 8, CONSTANTS_BYTES};
static const uint32_t sizes_7[] = {8, 8, 8, 8, 8, 8, 8, CONSTANTS_BYTES};
static const uint32_t sizes_8[] = {8, 8, 8, 8, 8, 8, 8, 8, CONSTANTS_BYTES};
static const uint32_t sizes_9[] = {8, 8, 8, 8, 8, 8, 8, 8, 8, CONSTANTS_BYTES};
static const uint32_t sizes_10[] = {8, 8, 8, 8, 8, 8, 8, 8, 8, 8, CONSTANTS_BYTES};

/** The set of flags with a binding, and how many bindings it has. */
#define REFERENCE(flags, bindings)                                               \
    {                                                                            \
        .name = "segue_quant_gemv_" #flags, .parameter_sizes = sizes_##bindings, \
        .parameter_count = bindings + 1, .run = run, .ranges = add_ranges        \
    }

const struct segue_reference_kernel segue_quant_gemv_references[GEMV_ENTRY_COUNT] = {
    // Bias is 1, residual 2, norm 4.
    REFERENCE(0, 3),
    REFERENCE(1, 4),
    REFERENCE(2, 4),
    REFERENCE(3, 5),
    REFERENCE(4, 4),
    REFERENCE(5, 5),
    REFERENCE(6, 5),
    REFERENCE(7, 6),
    // Rotation and caches, 16.
    REFERENCE(16, 7),
    REFERENCE(17, 8),
    REFERENCE(20, 8),
    REFERENCE(21, 9),
    // The same into caches of fp8, 128.
    REFERENCE(144, 8),
    REFERENCE(145, 9),
    REFERENCE(148, 9),
    REFERENCE(149, 10),
    // The greatest result, 32, and with the next position, 64.
    REFERENCE(32, 5),
    REFERENCE(33, 6),
    REFERENCE(34, 6),
    REFERENCE(35, 7),
    REFERENCE(36, 6),
    REFERENCE(37, 7),
    REFERENCE(38, 7),
    REFERENCE(39, 8),
    REFERENCE(96, 6),
    REFERENCE(97, 7),
    REFERENCE(98, 7),
    REFERENCE(99, 8),
    REFERENCE(100, 7),
    REFERENCE(101, 8),
    REFERENCE(102, 8),
    REFERENCE(103, 9),
};

const char *segue_quant_gemv_name(uint32_t flags)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "segue_quant_gemv_%u", flags & GEMV_BINDING_FLAGS);
    for (uint32_t i = 0; i < GEMV_ENTRY_COUNT; i++) {
        if (strcmp(segue_quant_gemv_references[i].name, name) == 0)
            return segue_quant_gemv_references[i].name;
    }
    return NULL;
}
