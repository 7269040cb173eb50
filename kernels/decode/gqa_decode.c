// SPDX-License-Identifier: Apache-2.0
#include "decode.h"

#include <math.h>
#include <stdlib.h>

#define MAX_HEAD_SIZE 256

struct shape {
    uint32_t heads;
    uint32_t kv_heads;
    uint32_t head_size;
    uint32_t capacity;
    float scale;
    uint64_t q_bytes;
    uint64_t cache_bytes;
};

static struct shape get_shape(const struct segue_reference_launch *launch)
{
    struct shape shape = {
        .heads = parameter_u32(launch, 5),
        .kv_heads = parameter_u32(launch, 6),
        .head_size = parameter_u32(launch, 7),
        .capacity = parameter_u32(launch, 8),
        .scale = parameter_f32(launch, 9),
    };
    shape.q_bytes = (uint64_t)shape.heads * shape.head_size * 2;
    shape.cache_bytes = (uint64_t)shape.kv_heads * shape.head_size * 2 * shape.capacity;
    return shape;
}

static bool shape_is_valid(const struct shape *shape)
{
    const uint32_t size = shape->head_size;
    return shape->heads > 0 && shape->kv_heads > 0 && shape->heads % shape->kv_heads == 0 &&
           shape->capacity > 0 && size >= 8 && size <= MAX_HEAD_SIZE && (size & (size - 1)) == 0;
}

/** Eight sums side by side, which compilers turn into vectors without reordering any of them. */
static float dot(const float *a, const uint16_t *b, uint32_t count)
{
    float sums[8] = {0.0f};
    for (uint32_t i = 0; i < count; i += 8) {
        for (uint32_t e = 0; e < 8; e++)
            sums[e] += a[i + e] * bf16_to_float(b[i + e]);
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
           ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/** One query head. `k` and `v` point at its kv head in row 0; `scores` holds `context` floats. */
static void attend(const struct shape *shape, const uint16_t *q, const uint16_t *k,
                   const uint16_t *v, uint16_t *out, uint32_t context, float *scores)
{
    const size_t row_stride = (size_t)shape->kv_heads * shape->head_size;
    float query[MAX_HEAD_SIZE];
    float values[MAX_HEAD_SIZE] = {0.0f};
    for (uint32_t e = 0; e < shape->head_size; e++)
        query[e] = bf16_to_float(q[e]);

    float largest = -INFINITY;
    for (uint32_t row = 0; row < context; row++) {
        scores[row] = dot(query, k + row * row_stride, shape->head_size) * shape->scale;
        largest = fmaxf(largest, scores[row]);
    }
    float sum = 0.0f;
    for (uint32_t row = 0; row < context; row++) {
        const float weight = expf(scores[row] - largest);
        const uint16_t *from = v + row * row_stride;
        sum += weight;
        for (uint32_t e = 0; e < shape->head_size; e++)
            values[e] += weight * bf16_to_float(from[e]);
    }
    for (uint32_t e = 0; e < shape->head_size; e++)
        out[e] = bf16_from_float(values[e] / sum);
}

bool segue_decode_run_gqa_decode(const struct segue_reference_launch *launch,
                                 segue_reference_translate translate)
{
    const struct shape shape = get_shape(launch);
    if (!shape_is_valid(&shape))
        return false;
    const uint16_t *q = binding_memory(launch, translate, 0, shape.q_bytes);
    const uint16_t *k_cache = binding_memory(launch, translate, 1, shape.cache_bytes);
    const uint16_t *v_cache = binding_memory(launch, translate, 2, shape.cache_bytes);
    const uint32_t *position = binding_memory(launch, translate, 3, sizeof(*position));
    uint16_t *out = binding_memory(launch, translate, 4, shape.q_bytes);
    if (!q || !k_cache || !v_cache || !position || !out)
        return false;
    const uint32_t context = *position < shape.capacity ? *position + 1 : shape.capacity;
    float *scores = malloc((size_t)context * sizeof(*scores));
    if (!scores)
        return false;

    const uint32_t heads_per_kv_head = shape.heads / shape.kv_heads;
    for (uint32_t head = 0; head < shape.heads; head++) {
        const size_t at = (size_t)head * shape.head_size;
        const size_t kv_at = (size_t)(head / heads_per_kv_head) * shape.head_size;
        attend(&shape, q + at, k_cache + kv_at, v_cache + kv_at, out + at, context, scores);
    }
    free(scores);
    return true;
}

void segue_decode_ranges_gqa_decode(const struct segue_reference_launch *launch,
                                    struct segue_reference_ranges *ranges)
{
    // How many rows of the caches are read depends on memory, so all of them count.
    const struct shape shape = get_shape(launch);
    const struct binding_range bindings[] = {
        {0, shape.q_bytes, true, false},     {1, shape.cache_bytes, true, false},
        {2, shape.cache_bytes, true, false}, {3, sizeof(uint32_t), true, false},
        {4, shape.q_bytes, false, true},
    };
    segue_decode_add_ranges(launch, ranges, bindings, 5);
}
