// SPDX-License-Identifier: Apache-2.0
// Rotary embedding of q (in place) and k, and row `position` of both caches: the rotated k, and v.
// Element i of a head is paired with element i + head_size / 2, and turned by the angle
// position * frequencies[i]. Caches are [capacity][kv_heads][head_size]; a position beyond the
// capacity writes nothing. A thread does one pair: what it takes is the way to memory and back.

struct rope_shape {
    u32 heads;
    u32 kv_heads;
    u32 head_size;
    u32 capacity;
};

// Elements of a cache: bf16, or fp8 in units of a scale.
__device__ inline void store_element(bf16 *cache, u64 at, float value, float)
{
    cache[at] = to_bf16(value);
}

__device__ inline void store_element(u8 *cache, u64 at, float value, float scale)
{
    cache[at] = to_e4m3(value / scale);
}

template <typename element>
__device__ inline void
rope_and_store(bf16 *q, const bf16 *k, const bf16 *v, const float *frequencies, const float *scales,
               const u32 *position, element *k_cache, element *v_cache, const rope_shape &shape)
{
    const u32 half_size = shape.head_size / 2;
    const u32 pair_count = (shape.heads + shape.kv_heads) * half_size;
    trigger();
    const u32 first_pair = blockIdx.x * blockDim.x + threadIdx.x;
    // Constant, and for most grids all that this thread needs.
    float frequency = frequencies[first_pair % half_size];
    wait_for_predecessors();
    const u32 at = *position;
    const u64 cache_row = (u64)at * shape.kv_heads * shape.head_size;
    for (u32 pair = first_pair; pair < pair_count; pair += gridDim.x * blockDim.x) {
        const u32 head = pair / half_size;
        const u32 i = pair % half_size;
        const bool is_q = head < shape.heads;
        if (pair != first_pair)
            frequency = frequencies[i];
        if (!is_q && at >= shape.capacity)
            continue;
        const u32 kv_head = head - shape.heads;
        const u32 first = (is_q ? head : kv_head) * shape.head_size + i;
        const u32 second = first + half_size;
        const bf16 *from = is_q ? q : k;
        const float a = to_float(from[first]);
        const float b = to_float(from[second]);
        float sine, cosine;
        sincosf((float)at * frequency, &sine, &cosine);
        const float turned_a = a * cosine - b * sine;
        const float turned_b = b * cosine + a * sine;
        if (is_q) {
            q[first] = to_bf16(turned_a);
            q[second] = to_bf16(turned_b);
            continue;
        }
        const float k_scale = scales ? scales[kv_head] : 1.0f;
        const float v_scale = scales ? scales[shape.kv_heads + kv_head] : 1.0f;
        store_element(k_cache, cache_row + first, turned_a, k_scale);
        store_element(k_cache, cache_row + second, turned_b, k_scale);
        store_element(v_cache, cache_row + first, to_float(v[first]), v_scale);
        store_element(v_cache, cache_row + second, to_float(v[second]), v_scale);
    }
}

extern "C" __global__ void __launch_bounds__(128)
    segue_rope_kv(bf16 *q, const bf16 *k, const bf16 *v, const float *frequencies,
                  const u32 *position, bf16 *k_cache, bf16 *v_cache, u32 heads, u32 kv_heads,
                  u32 head_size, u32 capacity)
{
    const rope_shape shape = {heads, kv_heads, head_size, capacity};
    rope_and_store(q, k, v, frequencies, nullptr, position, k_cache, v_cache, shape);
}

extern "C" __global__ void __launch_bounds__(128)
    segue_rope_kv_fp8(bf16 *q, const bf16 *k, const bf16 *v, const float *frequencies,
                      const float *scales, const u32 *position, u8 *k_cache, u8 *v_cache, u32 heads,
                      u32 kv_heads, u32 head_size, u32 capacity)
{
    const rope_shape shape = {heads, kv_heads, head_size, capacity};
    rope_and_store(q, k, v, frequencies, scales, position, k_cache, v_cache, shape);
}
