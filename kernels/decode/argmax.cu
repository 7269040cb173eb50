// SPDX-License-Identifier: Apache-2.0
// The index of the largest value, the lowest one among equals. NaN is never the largest; 0 where
// there is nothing but NaN.
//
// The values are spread over the device, eight loads in flight a thread. Blocks meet in `state`:
// the largest key so far, which does not depend on who comes when, and how many blocks have come.
// The last one stores the result and leaves zeros.

#define VALUES_PER_THREAD 8
#define BLOCK_VALUES (256 * VALUES_PER_THREAD)

// Values in their order, and of equal ones the lower index above; 0 for what is not there, and NaN.
__device__ inline u64 key_of(float value, u32 index)
{
    if (value != value)
        return 0;
    const u32 bits = __float_as_uint(value + 0.0f); // -0 is 0.
    const u32 ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return (u64)ordered << 32 | (u32)~index;
}

__device__ inline u32 index_of(u64 key)
{
    return key == 0 ? 0 : ~(u32)key;
}

__device__ inline float value_of(u64 key)
{
    const u32 ordered = (u32)(key >> 32);
    return __uint_as_float(ordered & 0x80000000u ? ordered & 0x7FFFFFFFu : ~ordered);
}

// Keys `first` + 256 i of the values.
__device__ inline void load_keys(const float *values, u32 first, u32 count, u64 *keys)
{
#pragma unroll
    for (u32 i = 0; i < VALUES_PER_THREAD; i++) {
        const u32 at = first + i * 256;
        keys[i] = at < count ? key_of(values[at], at) : 0;
    }
}

extern "C" __global__ void __launch_bounds__(256)
    segue_argmax(const float *values, u32 *out, u64 *state, u32 count)
{
    __shared__ u64 warp_best[8];
    trigger();
    wait_for_predecessors();
    u64 best = 0;
    for (u32 first = blockIdx.x * BLOCK_VALUES; first < count; first += gridDim.x * BLOCK_VALUES) {
        u64 keys[VALUES_PER_THREAD];
        load_keys(values, first + threadIdx.x, count, keys);
#pragma unroll
        for (u32 i = 0; i < VALUES_PER_THREAD; i++)
            best = max(best, keys[i]);
    }
    for (u32 distance = 16; distance > 0; distance /= 2)
        best = max(best, __shfl_xor_sync(0xFFFFFFFFu, best, distance));
    if (threadIdx.x % 32 == 0)
        warp_best[threadIdx.x / 32] = best;
    __syncthreads();
    if (threadIdx.x != 0)
        return;
    for (u32 warp = 1; warp < 8; warp++)
        best = max(best, warp_best[warp]);
    atomicMax(state, best);
    __threadfence();
    if (atomicAdd((u32 *)(state + 1), 1u) != gridDim.x - 1)
        return;
    __threadfence();
    *out = index_of(atomicExch(state, (u64)0));
    state[1] = 0;
}
