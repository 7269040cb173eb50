// SPDX-License-Identifier: Apache-2.0
#include "gqa_plan.h"

#include <segue/kernels.h>

#include <math.h>
#include <stdlib.h>

#define MAX_HEAD_SIZE 256

/** Places of bindings; with fp8 the scales come after the caches. */
enum { Q = 0, K_CACHE = 1, V_CACHE = 2, SCALES = 3 };

struct shape {
    struct segue_gqa_decode_constants constants;
    uint32_t head_size;
    bool fp8;
    /** Index of the binding after the scales. */
    uint32_t position;
    uint64_t q_bytes;
    uint64_t cache_bytes;
    struct segue_gqa_decode_sizes sizes;
};

static struct shape get_shape(const struct segue_reference_launch *launch)
{
    const struct segue_decode_attention *kind = launch->user;
    const uint32_t position = kind->fp8 ? SCALES + 1 : SCALES;
    const uint32_t first = position + 4;
    struct shape shape = {
        .constants =
            {
                .heads = parameter_u32(launch, first),
                .kv_heads = parameter_u32(launch, first + 1),
                .capacity = parameter_u32(launch, first + 2),
                .scale = parameter_f32(launch, first + 3),
                .splits = parameter_u32(launch, first + 4),
                .settled = parameter_u32(launch, first + 5),
            },
        .head_size = kind->head_size,
        .fp8 = kind->fp8,
        .position = position,
    };
    const struct segue_gqa_decode_constants *c = &shape.constants;
    shape.q_bytes = product_bytes(c->heads, shape.head_size, 2);
    shape.cache_bytes = segue_gqa_cache_bytes(c, shape.head_size, shape.fp8);
    if (kind->is_long)
        segue_gqa_long_get_sizes(c, shape.head_size, &shape.sizes);
    else
        segue_gqa_decode_get_sizes(c, shape.head_size, &shape.sizes);
    return shape;
}

static bool shape_is_valid(const struct shape *shape)
{
    const struct segue_gqa_decode_constants *c = &shape->constants;
    return c->heads > 0 && c->kv_heads > 0 && c->heads % c->kv_heads == 0 && c->capacity > 0 &&
           c->splits > 0 && shape->cache_bytes != SIZE_BEYOND;
}

/** `count` elements of a row as floats. */
static void load_row(const struct shape *shape, const uint8_t *cache, uint64_t at, float *out)
{
    for (uint32_t e = 0; e < shape->head_size; e++)
        out[e] = shape->fp8 ? e4m3_to_float(cache[at + e])
                            : bf16_to_float(((const uint16_t *)(const void *)cache)[at + e]);
}

/** Eight sums side by side, which compilers turn into vectors without reordering any of them. */
static float dot(const float *a, const float *b, uint32_t count)
{
    float sums[8] = {0.0f};
    for (uint32_t i = 0; i < count; i += 8) {
        for (uint32_t e = 0; e < 8; e++)
            sums[e] += a[i + e] * b[i + e];
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
           ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/** What attention over one kv head needs. */
struct head_memory {
    const uint8_t *k;
    const uint8_t *v;
    /** Element of row 0. */
    uint64_t first;
    uint32_t context;
    float k_scale;
    float v_scale;
    /** Room for a score of every row. */
    float *scores;
};

/** One query head. */
static void attend(const struct shape *shape, const struct head_memory *memory, const uint16_t *q,
                   uint16_t *out)
{
    const uint64_t row_stride = (uint64_t)shape->constants.kv_heads * shape->head_size;
    const float scale = shape->constants.scale * memory->k_scale;
    float query[MAX_HEAD_SIZE], row[MAX_HEAD_SIZE];
    float values[MAX_HEAD_SIZE] = {0.0f};
    for (uint32_t e = 0; e < shape->head_size; e++)
        query[e] = bf16_to_float(q[e]);

    float largest = -INFINITY;
    for (uint32_t i = 0; i < memory->context; i++) {
        load_row(shape, memory->k, memory->first + i * row_stride, row);
        memory->scores[i] = dot(query, row, shape->head_size) * scale;
        largest = fmaxf(largest, memory->scores[i]);
    }
    float sum = 0.0f;
    for (uint32_t i = 0; i < memory->context; i++) {
        const float weight = expf(memory->scores[i] - largest);
        load_row(shape, memory->v, memory->first + i * row_stride, row);
        sum += weight;
        for (uint32_t e = 0; e < shape->head_size; e++)
            values[e] += weight * row[e];
    }
    for (uint32_t e = 0; e < shape->head_size; e++)
        out[e] = bf16_from_float(values[e] / sum * memory->v_scale);
}

bool segue_decode_run_gqa_decode(const struct segue_reference_launch *launch,
                                 segue_reference_translate translate)
{
    const struct shape shape = get_shape(launch);
    if (!shape_is_valid(&shape))
        return false;
    const struct segue_gqa_decode_constants *c = &shape.constants;
    const uint16_t *q = binding_memory(launch, translate, Q, shape.q_bytes);
    const uint8_t *k_cache = binding_memory(launch, translate, K_CACHE, shape.cache_bytes);
    const uint8_t *v_cache = binding_memory(launch, translate, V_CACHE, shape.cache_bytes);
    const float *scales = NULL;
    if (shape.fp8)
        scales = binding_memory(launch, translate, SCALES, (uint64_t)c->kv_heads * 8);
    const uint32_t *position = binding_memory(launch, translate, shape.position, sizeof(*position));
    uint16_t *out = binding_memory(launch, translate, shape.position + 1, shape.q_bytes);
    if (!q || !k_cache || !v_cache || !position || !out || (shape.fp8 && !scales))
        return false;
    struct head_memory memory = {
        .k = k_cache,
        .v = v_cache,
        .context = *position < c->capacity ? *position + 1 : c->capacity,
    };
    memory.scores = malloc((size_t)memory.context * sizeof(*memory.scores));
    if (!memory.scores)
        return false;

    for (uint32_t head = 0; head < c->heads; head++) {
        const uint32_t kv_head = head / (c->heads / c->kv_heads);
        const size_t at = (size_t)head * shape.head_size;
        memory.first = (uint64_t)kv_head * shape.head_size;
        memory.k_scale = scales ? scales[kv_head] : 1.0f;
        memory.v_scale = scales ? scales[(size_t)c->kv_heads + kv_head] : 1.0f;
        attend(&shape, &memory, q + at, out + at);
    }
    free(memory.scores);
    return true;
}

void segue_decode_ranges_gqa_decode(const struct segue_reference_launch *launch,
                                    struct segue_reference_ranges *ranges)
{
    // How many rows of the caches are read depends on memory, so all of them count.
    const struct shape shape = get_shape(launch);
    const uint64_t scales_bytes = shape.fp8 ? (uint64_t)shape.constants.kv_heads * 8 : 0;
    const struct binding_range bindings[] = {
        {Q, shape.q_bytes, true, false},
        {K_CACHE, shape.cache_bytes, true, false},
        {V_CACHE, shape.cache_bytes, true, false},
        {SCALES, scales_bytes, true, false},
        {shape.position, sizeof(uint32_t), true, false},
        {shape.position + 1, shape.q_bytes, false, true},
        {shape.position + 2, shape.sizes.arrived_bytes, true, true},
        {shape.position + 3, shape.sizes.partials_bytes, true, true},
    };
    segue_decode_add_ranges(launch, ranges, bindings, 8);
}
