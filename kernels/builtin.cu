// SPDX-License-Identifier: Apache-2.0
// Kernels that the lowering launches on its own account. builtin.ptx is made from this file by
// generate_builtin.sh. Any grid of one dimension is right: every loop strides over the grid.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

// Writes `pattern` (already repeated to four bytes) over [target, target + length_bytes): byte k of
// the range gets byte k % 4 of the pattern. Bytes up to the first and from the last 16-byte
// boundary are written one by one, all between in 16-byte stores of the pattern rotated to its
// phase there.
extern "C" __global__ void __launch_bounds__(256)
    segue_builtin_fill(u64 target, u64 length_bytes, u32 pattern, u32 pattern_size)
{
    (void)pattern_size;
    const u64 first = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    const u64 stride = (u64)gridDim.x * blockDim.x;
    u64 head_bytes = (16 - (target & 15)) & 15;
    if (head_bytes > length_bytes)
        head_bytes = length_bytes;
    const u64 vector_count = (length_bytes - head_bytes) / 16;
    const u64 tail_offset = head_bytes + vector_count * 16;
    u8 *bytes = (u8 *)target;

    for (u64 i = first; i < head_bytes; i += stride)
        bytes[i] = (u8)(pattern >> (8 * (i & 3)));
    const u32 shift = 8 * (u32)(head_bytes & 3);
    const u32 word = __funnelshift_r(pattern, pattern, shift);
    uint4 *vectors = (uint4 *)(bytes + head_bytes);
    for (u64 i = first; i < vector_count; i += stride)
        vectors[i] = make_uint4(word, word, word, word);
    for (u64 i = tail_offset + first; i < length_bytes; i += stride)
        bytes[i] = (u8)(pattern >> (8 * (i & 3)));
}

// Copies with the widest access that both addresses allow in the same phase: 16 bytes, 4 bytes, or
// single bytes. The ranges do not overlap.
template <typename Unit> __device__ void copy_units(u64 source, u64 target, u64 length_bytes)
{
    const u64 first = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    const u64 stride = (u64)gridDim.x * blockDim.x;
    u64 head_bytes = (sizeof(Unit) - (target & (sizeof(Unit) - 1))) & (sizeof(Unit) - 1);
    if (head_bytes > length_bytes)
        head_bytes = length_bytes;
    const u64 unit_count = (length_bytes - head_bytes) / sizeof(Unit);
    const u64 tail_offset = head_bytes + unit_count * sizeof(Unit);
    const u8 *from = (const u8 *)source;
    u8 *to = (u8 *)target;

    for (u64 i = first; i < head_bytes; i += stride)
        to[i] = from[i];
    for (u64 i = first; i < unit_count; i += stride)
        ((Unit *)(to + head_bytes))[i] = ((const Unit *)(from + head_bytes))[i];
    for (u64 i = tail_offset + first; i < length_bytes; i += stride)
        to[i] = from[i];
}

extern "C" __global__ void __launch_bounds__(256)
    segue_builtin_copy(u64 source, u64 target, u64 length_bytes)
{
    const u64 phase = source ^ target;
    if ((phase & 15) == 0)
        copy_units<uint4>(source, target, length_bytes);
    else if ((phase & 3) == 0)
        copy_units<u32>(source, target, length_bytes);
    else
        copy_units<u8>(source, target, length_bytes);
}

// Stands for a point in the order of a graph; an empty node would cost more than this.
extern "C" __global__ void segue_builtin_join(void)
{
}
