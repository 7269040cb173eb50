// SPDX-License-Identifier: Apache-2.0
// Attention of one token over the cache: for every query head, softmax(scale * q . K) . V over the
// first position + 1 rows (at most the capacity). Query heads h * n .. h * n + n - 1 share kv head
// h, where n = heads / kv_heads.
//
// One block per query head. Every head_size / 8 lanes make a team; a lane loads 8 elements (16
// bytes) of a row. Teams take rows in turn, each with a running maximum and sum (online softmax),
// and are merged at the end. head_size is a power of two from 8 to 256.

__device__ inline void load_8(const bf16 *from, float *to)
{
    const uint4 v = *(const uint4 *)from;
    to[0] = first_of(v.x);
    to[1] = second_of(v.x);
    to[2] = first_of(v.y);
    to[3] = second_of(v.y);
    to[4] = first_of(v.z);
    to[5] = second_of(v.z);
    to[6] = first_of(v.w);
    to[7] = second_of(v.w);
}

// Takes one more row with score `score` into the running softmax.
__device__ inline void take_row(float score, const bf16 *v, float *maximum, float *sum, float *acc)
{
    float row[8];
    load_8(v, row);
    const float larger = fmaxf(*maximum, score);
    const float keep = expf(*maximum - larger);
    const float weight = expf(score - larger);
    *maximum = larger;
    *sum = *sum * keep + weight;
    for (u32 e = 0; e < 8; e++)
        acc[e] = acc[e] * keep + weight * row[e];
}

extern "C" __global__ void __launch_bounds__(256)
    segue_gqa_decode(const bf16 *q, const bf16 *k_cache, const bf16 *v_cache, const u32 *position,
                     bf16 *out, u32 heads, u32 kv_heads, u32 head_size, u32 capacity, float scale)
{
    __shared__ float team_acc[256 * 8]; // [team][head_size]
    __shared__ float team_maximum[256];
    __shared__ float team_sum[256];
    const u32 team_lanes = head_size / 8;
    const u32 team_count = 256 / team_lanes;
    const u32 team = threadIdx.x / team_lanes;
    const u32 lane = threadIdx.x % team_lanes;
    const u32 context = *position < capacity ? *position + 1 : capacity;

    for (u32 head = blockIdx.x; head < heads; head += gridDim.x) {
        const u32 kv_offset = head / (heads / kv_heads) * head_size + lane * 8;
        float query[8];
        load_8(q + head * head_size + lane * 8, query);
        float maximum = MINUS_INFINITY, sum = 0.0f;
        float acc[8] = {0.0f};
        // All teams make the same number of turns, because shuffles want the whole warp.
        for (u32 first = 0; first < context; first += team_count) {
            const u32 row = min(first + team, context - 1);
            const u64 at = (u64)row * kv_heads * head_size + kv_offset;
            float key[8];
            load_8(k_cache + at, key);
            float score = 0.0f;
            for (u32 e = 0; e < 8; e++)
                score += query[e] * key[e];
            for (u32 distance = team_lanes / 2; distance > 0; distance /= 2)
                score += __shfl_xor_sync(0xFFFFFFFFu, score, distance);
            if (first + team < context)
                take_row(score * scale, v_cache + at, &maximum, &sum, acc);
        }
        for (u32 e = 0; e < 8; e++)
            team_acc[threadIdx.x * 8 + e] = acc[e];
        if (lane == 0) {
            team_maximum[team] = maximum;
            team_sum[team] = sum;
        }
        __syncthreads();
        if (threadIdx.x < head_size) {
            float largest = MINUS_INFINITY, total = 0.0f, value = 0.0f;
            for (u32 t = 0; t < team_count; t++)
                largest = fmaxf(largest, team_maximum[t]);
            for (u32 t = 0; t < team_count; t++) {
                // A team without rows has an infinitely small maximum and so no weight.
                const float weight = expf(team_maximum[t] - largest);
                total += weight * team_sum[t];
                value += weight * team_acc[t * head_size + threadIdx.x];
            }
            out[head * head_size + threadIdx.x] = to_bf16(value / total);
        }
        __syncthreads();
    }
}
