// SPDX-License-Identifier: Apache-2.0
// The index of the largest value, the lowest one among equals. NaN is never the largest; 0 where
// there is nothing but NaN. One block.

__device__ inline void take_larger(float value, u32 index, float *best, u32 *best_index)
{
    if (value > *best || (value == *best && index < *best_index)) {
        *best = value;
        *best_index = index;
    }
}

extern "C" __global__ void __launch_bounds__(1024)
    segue_argmax(const float *values, u32 *out, u32 count)
{
    __shared__ float warp_best[32];
    __shared__ u32 warp_index[32];
    if (blockIdx.x > 0)
        return;
    float best = MINUS_INFINITY;
    u32 index = 0xFFFFFFFFu;
    for (u32 i = threadIdx.x; i < count; i += 1024)
        take_larger(values[i], i, &best, &index);
    for (u32 round = 0; round < 2; round++) {
        for (u32 distance = 16; distance > 0; distance /= 2) {
            const float other = __shfl_xor_sync(0xFFFFFFFFu, best, distance);
            const u32 other_index = __shfl_xor_sync(0xFFFFFFFFu, index, distance);
            take_larger(other, other_index, &best, &index);
        }
        if (round == 0) {
            // The second round, in every warp alike, is over the bests of the 32 warps.
            if (threadIdx.x % 32 == 0) {
                warp_best[threadIdx.x / 32] = best;
                warp_index[threadIdx.x / 32] = index;
            }
            __syncthreads();
            best = warp_best[threadIdx.x % 32];
            index = warp_index[threadIdx.x % 32];
        }
    }
    if (threadIdx.x == 0)
        *out = index == 0xFFFFFFFFu ? 0 : index;
}
