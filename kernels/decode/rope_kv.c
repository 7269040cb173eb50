// SPDX-License-Identifier: Apache-2.0
#include "decode.h"

#include <math.h>

struct shape {
    uint32_t heads;
    uint32_t kv_heads;
    uint32_t head_size;
    uint32_t capacity;
    uint64_t q_bytes;
    uint64_t kv_bytes;
    uint64_t cache_bytes;
};

/** Where the scales are bound, if there are any; else what comes after them. */
#define SCALES 4u

static struct shape get_shape(const struct segue_reference_launch *launch, bool fp8)
{
    const uint32_t first = fp8 ? 8 : 7;
    struct shape shape = {
        .heads = parameter_u32(launch, first),
        .kv_heads = parameter_u32(launch, first + 1),
        .head_size = parameter_u32(launch, first + 2),
        .capacity = parameter_u32(launch, first + 3),
    };
    shape.q_bytes = product_bytes(shape.heads, shape.head_size, 2);
    shape.kv_bytes = product_bytes(shape.kv_heads, shape.head_size, 2);
    shape.cache_bytes = product_bytes(product_bytes(shape.kv_heads, shape.head_size, 1),
                                      shape.capacity, fp8 ? 1 : 2);
    return shape;
}

static float turned_first(float a, float b, float angle)
{
    return a * cosf(angle) - b * sinf(angle);
}

static float turned_second(float a, float b, float angle)
{
    return b * cosf(angle) + a * sinf(angle);
}

/** Element `i` of the rotated head. */
static float rotated(const uint16_t *head, const float *frequencies, uint32_t head_size,
                     uint32_t position, uint32_t i)
{
    const uint32_t half_size = head_size / 2;
    const uint32_t pair = i % half_size;
    const float angle = (float)position * frequencies[pair];
    const float a = bf16_to_float(head[pair]);
    const float b = bf16_to_float(head[pair + half_size]);
    return i < half_size ? turned_first(a, b, angle) : turned_second(a, b, angle);
}

static void rotate_in_place(uint16_t *head, const float *frequencies, uint32_t head_size,
                            uint32_t position)
{
    for (uint32_t i = 0; i < head_size / 2; i++) {
        const float first = rotated(head, frequencies, head_size, position, i);
        const float second = rotated(head, frequencies, head_size, position, i + head_size / 2);
        head[i] = bf16_from_float(first);
        head[i + head_size / 2] = bf16_from_float(second);
    }
}

/** Where elements of a row go: bf16, or with scales fp8. */
static void store(void *cache, const float *scale, size_t at, float value)
{
    if (scale)
        ((uint8_t *)cache)[at] = e4m3_from_float(value / *scale);
    else
        ((uint16_t *)cache)[at] = bf16_from_float(value);
}

static bool run(const struct segue_reference_launch *launch, segue_reference_translate translate,
                bool fp8)
{
    const struct shape shape = get_shape(launch, fp8);
    const uint32_t next = fp8 ? SCALES + 1 : SCALES;
    if (shape.heads == 0 || shape.kv_heads == 0 || shape.head_size == 0 ||
        shape.head_size % 2 != 0 || shape.capacity == 0 || shape.q_bytes == SIZE_BEYOND ||
        shape.cache_bytes == SIZE_BEYOND)
        return false;
    uint16_t *q = binding_memory(launch, translate, 0, shape.q_bytes);
    const uint16_t *k = binding_memory(launch, translate, 1, shape.kv_bytes);
    const uint16_t *v = binding_memory(launch, translate, 2, shape.kv_bytes);
    const float *frequencies =
        binding_memory(launch, translate, 3, (uint64_t)shape.head_size / 2 * 4);
    const float *scales = NULL;
    if (fp8)
        scales = binding_memory(launch, translate, SCALES, (uint64_t)shape.kv_heads * 8);
    const uint32_t *position = binding_memory(launch, translate, next, sizeof(*position));
    void *k_cache = binding_memory(launch, translate, next + 1, shape.cache_bytes);
    void *v_cache = binding_memory(launch, translate, next + 2, shape.cache_bytes);
    if (!q || !k || !v || !frequencies || !position || !k_cache || !v_cache || (fp8 && !scales))
        return false;

    const size_t head_size = shape.head_size;
    for (size_t head = 0; head < shape.heads; head++)
        rotate_in_place(q + head * head_size, frequencies, shape.head_size, *position);
    if (*position >= shape.capacity)
        return true;
    const size_t row = (size_t)*position * shape.kv_heads * head_size;
    for (size_t head = 0; head < shape.kv_heads; head++) {
        const float *k_scale = scales ? &scales[head] : NULL;
        const float *v_scale = scales ? &scales[(size_t)shape.kv_heads + head] : NULL;
        for (uint32_t i = 0; i < head_size; i++) {
            const size_t at = head * head_size + i;
            store(k_cache, k_scale, row + at,
                  rotated(k + head * head_size, frequencies, shape.head_size, *position, i));
            store(v_cache, v_scale, row + at, bf16_to_float(v[at]));
        }
    }
    return true;
}

static void add_ranges(const struct segue_reference_launch *launch,
                       struct segue_reference_ranges *ranges, bool fp8)
{
    // Which row of the caches is written depends on memory, so all of them count.
    const struct shape shape = get_shape(launch, fp8);
    const uint32_t next = fp8 ? SCALES + 1 : SCALES;
    const struct binding_range bindings[] = {
        {0, shape.q_bytes, true, true},
        {1, shape.kv_bytes, true, false},
        {2, shape.kv_bytes, true, false},
        {3, (uint64_t)shape.head_size / 2 * 4, true, false},
        {SCALES, fp8 ? (uint64_t)shape.kv_heads * 8 : 0, true, false},
        {next, sizeof(uint32_t), true, false},
        {next + 1, shape.cache_bytes, false, true},
        {next + 2, shape.cache_bytes, false, true},
    };
    segue_decode_add_ranges(launch, ranges, bindings, 8);
}

bool segue_decode_run_rope_kv(const struct segue_reference_launch *launch,
                              segue_reference_translate translate)
{
    return run(launch, translate, false);
}

void segue_decode_ranges_rope_kv(const struct segue_reference_launch *launch,
                                 struct segue_reference_ranges *ranges)
{
    add_ranges(launch, ranges, false);
}

bool segue_decode_run_rope_kv_fp8(const struct segue_reference_launch *launch,
                                  segue_reference_translate translate)
{
    return run(launch, translate, true);
}

void segue_decode_ranges_rope_kv_fp8(const struct segue_reference_launch *launch,
                                     struct segue_reference_ranges *ranges)
{
    add_ranges(launch, ranges, true);
}
