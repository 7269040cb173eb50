// SPDX-License-Identifier: Apache-2.0
// out = x / sqrt(mean(x * x) + epsilon) * weight. One block: what it takes is the way to memory and
// back, once for x, and once through shared memory. The weights are there before.

// Fours of elements that a thread keeps; beyond 8192 elements x is read a second time.
#define NORM_KEPT 8

__device__ inline float squares_of(float4 v)
{
    return v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
}

__device__ inline uint2 normalise(float4 v, uint2 weight, float factor)
{
    return make_uint2(
        to_bf16_pair(v.x * factor * first_of(weight.x), v.y * factor * second_of(weight.x)),
        to_bf16_pair(v.z * factor * first_of(weight.y), v.w * factor * second_of(weight.y)));
}

extern "C" __global__ void __launch_bounds__(256)
    segue_rms_norm(const float *x, const bf16 *weight, bf16 *out, u32 count, float epsilon)
{
    __shared__ float warp_sums[8];
    if (blockIdx.x > 0)
        return;
    const u32 fours = count / 4;
    const u32 last = fours * 4 + threadIdx.x;
    uint2 weights[NORM_KEPT];
    float4 kept[NORM_KEPT];
    trigger();
#pragma unroll
    for (u32 i = 0; i < NORM_KEPT; i++) {
        const u32 at = i * 256 + threadIdx.x;
        weights[i] = at < fours ? ((const uint2 *)weight)[at] : make_uint2(0, 0);
    }
    wait_for_predecessors();
#pragma unroll
    for (u32 i = 0; i < NORM_KEPT; i++) {
        const u32 at = i * 256 + threadIdx.x;
        kept[i] = at < fours ? ((const float4 *)x)[at] : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    }
    float sum = last < count ? x[last] * x[last] : 0.0f;
#pragma unroll
    for (u32 i = 0; i < NORM_KEPT; i++)
        sum += squares_of(kept[i]);
    for (u32 at = NORM_KEPT * 256 + threadIdx.x; at < fours; at += 256)
        sum += squares_of(((const float4 *)x)[at]);
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0)
        warp_sums[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0.0f;
    for (u32 i = 0; i < 8; i++)
        sum += warp_sums[i];
    const float factor = 1.0f / sqrtf(sum / (float)count + epsilon);
#pragma unroll
    for (u32 i = 0; i < NORM_KEPT; i++) {
        const u32 at = i * 256 + threadIdx.x;
        if (at < fours)
            ((uint2 *)out)[at] = normalise(kept[i], weights[i], factor);
    }
    for (u32 at = NORM_KEPT * 256 + threadIdx.x; at < fours; at += 256)
        ((uint2 *)out)[at] =
            normalise(((const float4 *)x)[at], ((const uint2 *)weight)[at], factor);
    if (last < count)
        out[last] = to_bf16(x[last] * factor * to_float(weight[last]));
}
