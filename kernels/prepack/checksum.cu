// SPDX-License-Identifier: Apache-2.0
// Checksums of the chunks of a tensor, one block a chunk: see segue/prepack_kernels.h.

typedef unsigned int u32;
typedef unsigned long long u64;

#define GOLDEN 0x9E3779B97F4A7C15ull

__device__ inline u64 mix(u64 value)
{
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ull;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBull;
    return value ^ (value >> 31);
}

extern "C" __global__ void __launch_bounds__(256)
    segue_chunk_checksums(const unsigned char *data, u64 *sums, u64 size_bytes, u64 chunk_bytes)
{
    __shared__ u64 warp_sums[8];
    const u64 begin = (u64)blockIdx.x * chunk_bytes;
    if (begin >= size_bytes)
        return;
    const u64 rest = size_bytes - begin;
    const u64 length = rest < chunk_bytes ? rest : chunk_bytes;
    const u64 words = length / 8;
    const u64 *word = (const u64 *)(data + begin);
    u64 sum = 0;
    // Four loads in flight a thread.
    u64 i = threadIdx.x;
    for (; i + 768 < words; i += 1024) {
        const u64 a = word[i];
        const u64 b = word[i + 256];
        const u64 c = word[i + 512];
        const u64 d = word[i + 768];
        sum += mix(a + (i + 1) * GOLDEN) + mix(b + (i + 257) * GOLDEN) +
               mix(c + (i + 513) * GOLDEN) + mix(d + (i + 769) * GOLDEN);
    }
    for (; i < words; i += 256)
        sum += mix(word[i] + (i + 1) * GOLDEN);
    if (threadIdx.x == 0) {
        sum += mix(length);
        if (length % 8 != 0) {
            u64 last = 0;
            for (u64 k = 0; k < length % 8; k++)
                last |= (u64)data[begin + 8 * words + k] << (8 * k);
            sum += mix(last + (words + 1) * GOLDEN);
        }
    }
    for (u32 distance = 16; distance > 0; distance /= 2)
        sum += __shfl_xor_sync(0xFFFFFFFFu, sum, distance);
    if (threadIdx.x % 32 == 0)
        warp_sums[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (u32 k = 1; k < 8; k++)
            sum += warp_sums[k];
        sums[blockIdx.x] = sum;
    }
}
