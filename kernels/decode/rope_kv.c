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

static struct shape get_shape(const struct segue_reference_launch *launch)
{
    struct shape shape = {
        .heads = parameter_u32(launch, 7),
        .kv_heads = parameter_u32(launch, 8),
        .head_size = parameter_u32(launch, 9),
        .capacity = parameter_u32(launch, 10),
    };
    shape.q_bytes = (uint64_t)shape.heads * shape.head_size * 2;
    shape.kv_bytes = (uint64_t)shape.kv_heads * shape.head_size * 2;
    shape.cache_bytes = shape.kv_bytes * shape.capacity;
    return shape;
}

/** `from` and `to` may be the same. */
static void rotate_head(const uint16_t *from, uint16_t *to, const float *frequencies,
                        uint32_t head_size, uint32_t position)
{
    const uint32_t half_size = head_size / 2;
    for (uint32_t i = 0; i < half_size; i++) {
        const float angle = (float)position * frequencies[i];
        const float cosine = cosf(angle);
        const float sine = sinf(angle);
        const float a = bf16_to_float(from[i]);
        const float b = bf16_to_float(from[i + half_size]);
        to[i] = bf16_from_float(a * cosine - b * sine);
        to[i + half_size] = bf16_from_float(b * cosine + a * sine);
    }
}

bool segue_decode_run_rope_kv(const struct segue_reference_launch *launch,
                              segue_reference_translate translate)
{
    const struct shape shape = get_shape(launch);
    if (shape.heads == 0 || shape.kv_heads == 0 || shape.head_size == 0 ||
        shape.head_size % 2 != 0 || shape.capacity == 0)
        return false;
    uint16_t *q = binding_memory(launch, translate, 0, shape.q_bytes);
    const uint16_t *k = binding_memory(launch, translate, 1, shape.kv_bytes);
    const uint16_t *v = binding_memory(launch, translate, 2, shape.kv_bytes);
    const float *frequencies =
        binding_memory(launch, translate, 3, (uint64_t)shape.head_size / 2 * 4);
    const uint32_t *position = binding_memory(launch, translate, 4, sizeof(*position));
    uint16_t *k_cache = binding_memory(launch, translate, 5, shape.cache_bytes);
    uint16_t *v_cache = binding_memory(launch, translate, 6, shape.cache_bytes);
    if (!q || !k || !v || !frequencies || !position || !k_cache || !v_cache)
        return false;

    const size_t head_size = shape.head_size;
    for (size_t head = 0; head < shape.heads; head++)
        rotate_head(q + head * head_size, q + head * head_size, frequencies, shape.head_size,
                    *position);
    if (*position >= shape.capacity)
        return true;
    const size_t row = (size_t)*position * shape.kv_heads * head_size;
    for (size_t head = 0; head < shape.kv_heads; head++)
        rotate_head(k + head * head_size, k_cache + row + head * head_size, frequencies,
                    shape.head_size, *position);
    memcpy(v_cache + row, v, shape.kv_bytes);
    return true;
}

void segue_decode_ranges_rope_kv(const struct segue_reference_launch *launch,
                                 struct segue_reference_ranges *ranges)
{
    // Which row of the caches is written depends on memory, so all of them count.
    const struct shape shape = get_shape(launch);
    const struct binding_range bindings[] = {
        {0, shape.q_bytes, true, true},      {1, shape.kv_bytes, true, false},
        {2, shape.kv_bytes, true, false},    {3, (uint64_t)shape.head_size / 2 * 4, true, false},
        {4, sizeof(uint32_t), true, false},  {5, shape.cache_bytes, false, true},
        {6, shape.cache_bytes, false, true},
    };
    segue_decode_add_ranges(launch, ranges, bindings, 7);
}
