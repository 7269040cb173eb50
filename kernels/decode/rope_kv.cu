// SPDX-License-Identifier: Apache-2.0
// Rotary embedding of q (in place) and k, and row `position` of both caches: the rotated k, and v
// as it is. Element i of a head is paired with element i + head_size / 2, and turned by the angle
// position * frequencies[i]. Caches are [capacity][kv_heads][head_size]; a position beyond the
// capacity writes nothing.

extern "C" __global__ void __launch_bounds__(128)
    segue_rope_kv(bf16 *q, const bf16 *k, const bf16 *v, const float *frequencies,
                  const u32 *position, bf16 *k_cache, bf16 *v_cache, u32 heads, u32 kv_heads,
                  u32 head_size, u32 capacity)
{
    const u32 half_size = head_size / 2;
    const u32 pair_count = (heads + kv_heads) * half_size;
    const u32 at = *position;
    const u64 cache_row = (u64)at * kv_heads * head_size;
    for (u32 pair = blockIdx.x * blockDim.x + threadIdx.x; pair < pair_count;
         pair += gridDim.x * blockDim.x) {
        const u32 head = pair / half_size;
        const u32 i = pair % half_size;
        const bool is_q = head < heads;
        const u32 first = (is_q ? head : head - heads) * head_size + i;
        const u32 second = first + half_size;
        const bf16 *from = is_q ? q : k;
        bf16 *to = is_q ? q : k_cache + cache_row;
        if (!is_q && at >= capacity)
            continue;
        float sine, cosine;
        sincosf((float)at * frequencies[i], &sine, &cosine);
        const float a = to_float(from[first]);
        const float b = to_float(from[second]);
        to[first] = to_bf16(a * cosine - b * sine);
        to[second] = to_bf16(b * cosine + a * sine);
        if (!is_q) {
            v_cache[cache_row + first] = v[first];
            v_cache[cache_row + second] = v[second];
        }
    }
}
