// SPDX-License-Identifier: Apache-2.0
// What the decode kernels share. The build puts all files of this folder one after the other, this
// one first, into one source for NVRTC; none of them includes anything.
//
// Values between kernels are bf16, held as their bit patterns, but for the residual stream and the
// logits, which are f32. Every kernel computes in f32 and rounds once, to nearest even, when it
// stores. Grids of any size are right (loops stride over the
// grid) unless a kernel says that it wants one block; block sizes are fixed.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned short bf16;

// Weights that share one scale.
#define GROUP 32
#define MINUS_INFINITY __int_as_float((int)0xFF800000)

__device__ inline float to_float(bf16 value)
{
    return __uint_as_float((u32)value << 16);
}

// The two halves of a pair of bf16, in memory order.
__device__ inline float first_of(u32 pair)
{
    return __uint_as_float(pair << 16);
}

__device__ inline float second_of(u32 pair)
{
    return __uint_as_float(pair & 0xFFFF0000u);
}

__device__ inline bf16 to_bf16(float value)
{
    const u32 bits = __float_as_uint(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
        return (bf16)((bits >> 16) | 0x40); // NaN stays NaN: rounding could carry it to infinity.
    return (bf16)((bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16);
}

// Weight `index` of eight packed in a word, lowest nibble first.
__device__ inline float weight_of(u32 packed, u32 index)
{
    return (float)((int)((packed >> (4 * index)) & 15) - 8);
}

// The sum over a warp, in every lane.
__device__ inline float warp_sum(float value)
{
    for (u32 distance = 16; distance > 0; distance /= 2)
        value += __shfl_xor_sync(0xFFFFFFFFu, value, distance);
    return value;
}

// Two numbers as a pair of bf16.
__device__ inline u32 to_bf16_pair(float first, float second)
{
    u32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
}

/* ---- Kernels that overlap ------------------------------------------------------------------- */

// Kernels that depend on this one may start.
__device__ inline void trigger()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}

// Before this nothing but constant memory may be touched, and what attention is told is settled.
__device__ inline void wait_for_predecessors()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
