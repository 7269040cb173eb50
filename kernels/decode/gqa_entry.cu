// SPDX-License-Identifier: Apache-2.0
// The entry points of attention: by the size of heads, what caches hold, and how they are read.

#if __CUDA_ARCH__ >= 900
#define GQA_CLUSTER_DIMS __cluster_dims__(GQA_CLUSTER, 1, 1)
#else
#define GQA_CLUSTER_DIMS
#endif

extern __shared__ __align__(16) u8 gqa_memory[];

// A comma would end a macro's argument.
template <u32 HEAD> using long_room_bf16 = long_room<HEAD, false>;
template <u32 HEAD> using long_room_fp8 = long_room<HEAD, true>;

#define GQA_ENTRY(NAME, ATTRIBUTES, THREADS, ROOM, ATTEND, HEAD)                                \
    extern "C" __global__ void ATTRIBUTES __launch_bounds__(THREADS) segue_gqa_##NAME##_##HEAD( \
        const bf16 *q, const u8 *k_cache, const u8 *v_cache, const u32 *position, bf16 *out,    \
        u32 *arrived, float *partials, u32 heads, u32 kv_heads, u32 capacity, float scale,      \
        u32 splits, u32 settled)                                                                \
    {                                                                                           \
        __shared__ ROOM room;                                                                   \
        ATTEND<HEAD, false>({q, k_cache, v_cache, nullptr, position, out, arrived, partials},   \
                            {heads, kv_heads, capacity, scale, splits, settled}, room,          \
                            gqa_memory);                                                        \
    }
#define GQA_ENTRY_FP8(NAME, ATTRIBUTES, THREADS, ROOM, ATTEND, HEAD)                               \
    extern "C" __global__ void ATTRIBUTES __launch_bounds__(THREADS) segue_gqa_##NAME##_##HEAD(    \
        const bf16 *q, const u8 *k_cache, const u8 *v_cache, const float *scales,                  \
        const u32 *position, bf16 *out, u32 *arrived, float *partials, u32 heads, u32 kv_heads,    \
        u32 capacity, float scale, u32 splits, u32 settled)                                        \
    {                                                                                              \
        __shared__ ROOM room;                                                                      \
        ATTEND<HEAD, true>({q, k_cache, v_cache, scales, position, out, arrived, partials},        \
                           {heads, kv_heads, capacity, scale, splits, settled}, room, gqa_memory); \
    }

#define GQA_ENTRIES(HEAD)                                                                          \
    GQA_ENTRY(decode, GQA_CLUSTER_DIMS, GQA_WARPS * 32, attention_room<HEAD>, attend, HEAD)        \
    GQA_ENTRY_FP8(decode_fp8, GQA_CLUSTER_DIMS, GQA_WARPS * 32, attention_room<HEAD>, attend,      \
                  HEAD)                                                                            \
    GQA_ENTRY(long, , (long_shape<HEAD, false>::threads), long_room_bf16<HEAD>, attend_long, HEAD) \
    GQA_ENTRY_FP8(long_fp8, , (long_shape<HEAD, true>::threads), long_room_fp8<HEAD>, attend_long, \
                  HEAD)

// The large ones take most of the time that compiling takes.
#ifndef LARGEST_HEAD
#define LARGEST_HEAD 256
#endif

GQA_ENTRIES(64)
#if LARGEST_HEAD >= 128
GQA_ENTRIES(128)
#endif
#if LARGEST_HEAD >= 256
GQA_ENTRIES(256)
#endif
