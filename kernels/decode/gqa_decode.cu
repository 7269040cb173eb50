// SPDX-License-Identifier: Apache-2.0
// Attention of one token over the cache: for every query head, softmax(scale * q . K) . V over the
// first position + 1 rows (at most the capacity). Query heads h * n .. h * n + n - 1 share kv head
// h, where n = heads / kv_heads.
//
// The floor is reading the rows once, so up to eight query heads of one kv head (a group) are done
// together, and the context is split over thread blocks: item = group * splits + split. A warp
// takes sixteen rows at a time, straight from memory into registers, all loads of the next ones
// issued before the arithmetic of these. Both products are m16n8k16: the heads are the rows of the
// A operand, of which there are twice as many as needed, so weights go in as the sum of two bf16
// and lose nothing. Contraction indices are numbered such that the 16 bytes a lane loads are its
// fragments: no shuffle and no shared memory but for the maximum over a row of scores.
//
// Each warp keeps a running maximum and sum; warps merge in shared memory, blocks through
// `partials`, where the last block of a group to arrive adds up in the order of the splits: the
// same bits every time. `arrived` counts, and is zero again afterwards.

#define GQA_HEADS 8u
#define GQA_WARPS 8u
// Rows of a split at least: fewer are not worth another block's partial result.
#define MIN_SPLIT_ROWS 64u
#define LOG2_E 1.4426950408889634f

// As in struct segue_gqa_decode_constants.
struct attention_shape {
    u32 heads;
    u32 kv_heads;
    u32 capacity;
    float scale;
    u32 splits;
};

// Eight elements of a row.
template <bool FP8> struct eight;
template <> struct eight<false> {
    uint4 bits;
};
template <> struct eight<true> {
    uint2 bits;
};

__device__ inline void load_eight(eight<false> &out, const u8 *address)
{
    asm volatile("ld.global.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out.bits.x), "=r"(out.bits.y), "=r"(out.bits.z), "=r"(out.bits.w)
                 : "l"(address)
                 : "memory");
}

__device__ inline void load_eight(eight<true> &out, const u8 *address)
{
    asm volatile("ld.global.L1::no_allocate.v2.u32 {%0,%1}, [%2];"
                 : "=r"(out.bits.x), "=r"(out.bits.y)
                 : "l"(address)
                 : "memory");
}

// As pairs of bf16.
__device__ inline void expand(const eight<false> &in, u32 *out)
{
    out[0] = in.bits.x;
    out[1] = in.bits.y;
    out[2] = in.bits.z;
    out[3] = in.bits.w;
}

__device__ inline void expand(const eight<true> &in, u32 *out)
{
    out[0] = e4m3_pair(in.bits.x, 0x1404);
    out[1] = e4m3_pair(in.bits.x, 0x3424);
    out[2] = e4m3_pair(in.bits.y, 0x1404);
    out[3] = e4m3_pair(in.bits.y, 0x3424);
}

__device__ inline void multiply(float *sums, const u32 *a, u32 b0, u32 b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// What a lane has of the results of its head: columns 64 c + 16 (lane % 4) + 8 e + i are
// sums[c * 8 + i][e], plus [e + 2] for what weights lost by rounding.
template <u32 HEAD> struct result {
    float maximum;
    float sum;
    float sums[HEAD / 8][4];
};

// One warp's rows of a split.
template <u32 HEAD, bool FP8> struct walk {
    // Tiles of sixteen rows that are on their way together.
    static constexpr u32 tiles = FP8 && HEAD <= 128 ? 2 : 1;
    static constexpr u32 rows = tiles * 16;
    // Beyond that there are not registers enough for the next rows beside these.
    static constexpr bool ahead = HEAD <= 128;
    static constexpr u32 element_bytes = FP8 ? 1 : 2;

    const u8 *k_cache;
    const u8 *v_cache;
    u64 row_bytes;
    u32 end;
    eight<FP8> k[tiles * 2][HEAD / 32];
    eight<FP8> v[tiles * 4][HEAD / 64];

    __device__ inline const u8 *address(const u8 *cache, u32 row, u32 column) const
    {
        // Beyond the last row any row will do: its weight is 0.
        return cache + min(row, end - 1) * row_bytes + column * element_bytes;
    }

    __device__ inline void load_k(u32 first, u32 lane)
    {
#pragma unroll
        for (u32 i = 0; i < tiles * 2; i++) {
#pragma unroll
            for (u32 c = 0; c < HEAD / 32; c++)
                load_eight(k[i][c],
                           address(k_cache, first + i * 8 + lane / 4, c * 32 + lane % 4 * 8));
        }
    }

    __device__ inline void load_v(u32 first, u32 lane)
    {
#pragma unroll
        for (u32 i = 0; i < tiles * 4; i++) {
            const u32 row = first + i / 2 * 8 + lane % 4 * 2 + i % 2;
#pragma unroll
            for (u32 c = 0; c < HEAD / 64; c++)
                load_eight(v[i][c], address(v_cache, row, c * 64 + lane / 4 * 8));
        }
    }

    // Scores of the lane's head, in units of a power of two; row i / 2 * 8 + lane % 4 * 2 + i % 2.
    __device__ inline void score(const uint4 *query, u32 first, u32 lane, float scale,
                                 float *scores) const
    {
#pragma unroll
        for (u32 i = 0; i < tiles * 2; i++) {
            float sums[4] = {};
#pragma unroll
            for (u32 c = 0; c < HEAD / 32; c++) {
                u32 words[4];
                expand(k[i][c], words);
                const u32 lower[4] = {query[c].x, 0, query[c].y, 0};
                const u32 upper[4] = {query[c].z, 0, query[c].w, 0};
                multiply(sums, lower, words[0], words[1]);
                multiply(sums, upper, words[2], words[3]);
            }
            const u32 row = first + i * 8 + lane % 4 * 2;
            scores[i * 2] = row < end ? sums[0] * scale : MINUS_INFINITY;
            scores[i * 2 + 1] = row + 1 < end ? sums[1] * scale : MINUS_INFINITY;
        }
    }

    // Adds rows of V with these weights.
    __device__ inline void add_rows(const float *weights, result<HEAD> &out) const
    {
#pragma unroll
        for (u32 tile = 0; tile < tiles; tile++) {
            u32 a[4];
#pragma unroll
            for (u32 i = 0; i < 2; i++) {
                const float first = weights[tile * 4 + i * 2];
                const float second = weights[tile * 4 + i * 2 + 1];
                a[i * 2] = to_bf16_pair(first, second);
                a[i * 2 + 1] =
                    to_bf16_pair(first - first_of(a[i * 2]), second - second_of(a[i * 2]));
            }
#pragma unroll
            for (u32 c = 0; c < HEAD / 64; c++) {
                u32 words[4][4];
#pragma unroll
                for (u32 i = 0; i < 4; i++)
                    expand(v[tile * 4 + i][c], words[i]);
#pragma unroll
                for (u32 i = 0; i < 8; i++) {
                    const u32 selector = i % 2 ? 0x7632 : 0x5410;
                    multiply(out.sums[c * 8 + i], a,
                             __byte_perm(words[0][i / 2], words[1][i / 2], selector),
                             __byte_perm(words[2][i / 2], words[3][i / 2], selector));
                }
            }
        }
    }

    // Rows first, first + step, ... of the split.
    __device__ inline void run(const uint4 *query, u32 first, u32 step, u32 lane, float scale,
                               result<HEAD> &out)
    {
        if (ahead && first < end) {
            load_k(first, lane);
            load_v(first, lane);
        }
        for (; first < end; first += step) {
            float scores[tiles * 4];
            if (!ahead)
                load_k(first, lane);
            score(query, first, lane, scale, scores);
            if (ahead && first + step < end)
                load_k(first + step, lane);
            if (!ahead)
                load_v(first, lane);
            float largest = out.maximum;
#pragma unroll
            for (u32 i = 0; i < tiles * 4; i++)
                largest = fmaxf(largest, scores[i]);
            largest = fmaxf(largest, __shfl_xor_sync(0xFFFFFFFFu, largest, 1));
            largest = fmaxf(largest, __shfl_xor_sync(0xFFFFFFFFu, largest, 2));
            const float base = largest == MINUS_INFINITY ? 0.0f : largest;
            const float keep = exp2f(out.maximum - base);
            out.maximum = largest;
            out.sum *= keep;
#pragma unroll
            for (u32 i = 0; i < tiles * 4; i++) {
                scores[i] = exp2f(scores[i] - base);
                out.sum += scores[i];
            }
#pragma unroll
            for (u32 i = 0; i < HEAD / 8 * 4; i++)
                out.sums[i / 4][i % 4] *= keep;
            add_rows(scores, out);
            if (ahead && first + step < end)
                load_v(first + step, lane);
        }
        out.sum += __shfl_xor_sync(0xFFFFFFFFu, out.sum, 1);
        out.sum += __shfl_xor_sync(0xFFFFFFFFu, out.sum, 2);
    }
};

// Where a result waits for another: [GQA_HEADS][HEAD], then maximum and sum of each head.
template <u32 HEAD>
__device__ inline void keep_result(const result<HEAD> &from, float *to, u32 lane)
{
    const u32 head = lane / 4;
#pragma unroll
    for (u32 i = 0; i < HEAD / 8; i++) {
#pragma unroll
        for (u32 e = 0; e < 2; e++)
            to[head * HEAD + i / 8 * 64 + lane % 4 * 16 + e * 8 + i % 8] =
                from.sums[i][e] + from.sums[i][e + 2];
    }
    if (lane % 4 == 0) {
        to[GQA_HEADS * HEAD + head] = from.maximum;
        to[GQA_HEADS * (HEAD + 1) + head] = from.sum;
    }
}

// What a sum that was counted from `maximum` is worth beside `largest`.
__device__ inline float worth(float maximum, float largest)
{
    return maximum == MINUS_INFINITY ? 0.0f : exp2f(maximum - largest);
}

template <u32 HEAD>
__device__ inline void merge_result(result<HEAD> &to, const float *from, u32 lane)
{
    const u32 head = lane / 4;
    const float maximum = from[GQA_HEADS * HEAD + head];
    const float largest = fmaxf(to.maximum, maximum);
    const float keep = worth(to.maximum, largest);
    const float weight = worth(maximum, largest);
    to.maximum = largest;
    to.sum = to.sum * keep + from[GQA_HEADS * (HEAD + 1) + head] * weight;
#pragma unroll
    for (u32 i = 0; i < HEAD / 8; i++) {
#pragma unroll
        for (u32 e = 0; e < 2; e++) {
            const float other =
                from[head * HEAD + i / 8 * 64 + lane % 4 * 16 + e * 8 + i % 8] * weight;
            to.sums[i][e] = (to.sums[i][e] + to.sums[i][e + 2]) * keep + other;
            to.sums[i][e + 2] = 0.0f;
        }
    }
}

// The warps' results in warp 0; always in the same order.
template <u32 HEAD>
__device__ inline void merge_warps(result<HEAD> &mine, float *room, u32 warp, u32 lane)
{
    for (u32 half = GQA_WARPS / 2; half > 0; half /= 2) {
        if (warp >= half && warp < 2 * half)
            keep_result(mine, room + (warp - half) * GQA_HEADS * (HEAD + 2), lane);
        __syncthreads();
        if (warp < half)
            merge_result(mine, room + warp * GQA_HEADS * (HEAD + 2), lane);
        __syncthreads();
    }
}

// Of what other blocks have written nothing may come out of this multiprocessor's cache.
template <bool GLOBAL> __device__ inline float fetch(const float *address)
{
    return GLOBAL ? __ldcg(address) : *address;
}

// Adds up the group's splits, in their order, and stores the results.
template <u32 HEAD, bool GLOBAL>
__device__ inline void merge_splits(const float *parts, u32 count, u32 head_count, float v_scale,
                                    bf16 *out)
{
    const u32 stride = GQA_HEADS * (HEAD + 2);
    for (u32 i = threadIdx.x; i < head_count * HEAD; i += GQA_WARPS * 32) {
        const float *maxima = parts + GQA_HEADS * HEAD + i / HEAD;
        const float *sums = maxima + GQA_HEADS;
        float largest = MINUS_INFINITY, total = 0.0f, value = 0.0f;
        for (u32 s = 0; s < count; s++)
            largest = fmaxf(largest, fetch<GLOBAL>(maxima + s * stride));
        for (u32 s = 0; s < count; s++) {
            const float weight = worth(fetch<GLOBAL>(maxima + s * stride), largest);
            total += weight * fetch<GLOBAL>(sums + s * stride);
            value += weight * fetch<GLOBAL>(parts + s * stride + i);
        }
        out[i] = to_bf16(value / total * v_scale);
    }
}

template <u32 HEAD, bool FP8>
__device__ inline void attend(const bf16 *q, const u8 *k_cache, const u8 *v_cache,
                              const float *scales, const u32 *position, bf16 *out, u32 *arrived,
                              float *partials, const attention_shape &shape, float *room)
{
    __shared__ u32 is_last;
    const u32 warp = threadIdx.x / 32;
    const u32 lane = threadIdx.x % 32;
    const u32 shared_heads = shape.heads / shape.kv_heads;
    const u32 kv_groups = (shared_heads + GQA_HEADS - 1) / GQA_HEADS;
    const u32 items = shape.kv_heads * kv_groups * shape.splits;
    const u64 partial_floats = GQA_HEADS * (HEAD + 2);
    trigger();
    wait_for_predecessors();
    const u32 context = min(*position, shape.capacity - 1) + 1;
    const u32 even_rows = (context + shape.splits - 1) / shape.splits;
    const u32 split_rows = max((even_rows + 15) / 16 * 16, MIN_SPLIT_ROWS);
    const u32 split_count = (context + split_rows - 1) / split_rows;

    for (u32 item = blockIdx.x; item < items; item += gridDim.x) {
        const u32 group = item / shape.splits;
        const u32 split = item % shape.splits;
        if (split >= split_count)
            continue;
        const u32 kv_head = group / kv_groups;
        const u32 first_head = kv_head * shared_heads + group % kv_groups * GQA_HEADS;
        const u32 head_count = min((kv_head + 1) * shared_heads - first_head, GQA_HEADS);
        const u64 head_bytes = HEAD * (FP8 ? 1 : 2);
        float k_scale = 1.0f, v_scale = 1.0f;
        if (FP8) {
            k_scale = scales[kv_head];
            v_scale = scales[shape.kv_heads + kv_head];
        }
        uint4 query[HEAD / 32] = {};
#pragma unroll
        for (u32 c = 0; c < HEAD / 32; c++) {
            if (lane / 4 < head_count)
                query[c] =
                    *(const uint4 *)(q + (first_head + lane / 4) * HEAD + c * 32 + lane % 4 * 8);
        }
        walk<HEAD, FP8> walk;
        walk.k_cache = k_cache + kv_head * head_bytes;
        walk.v_cache = v_cache + kv_head * head_bytes;
        walk.row_bytes = shape.kv_heads * head_bytes;
        walk.end = min((split + 1) * split_rows, context);
        result<HEAD> mine = {};
        mine.maximum = MINUS_INFINITY;
        walk.run(query, split * split_rows + warp * walk.rows, GQA_WARPS * walk.rows, lane,
                 shape.scale * k_scale * LOG2_E, mine);
        merge_warps(mine, room, warp, lane);

        bf16 *results = out + first_head * HEAD;
        if (split_count == 1) {
            if (warp == 0)
                keep_result(mine, room, lane);
            __syncthreads();
            merge_splits<HEAD, false>(room, 1, head_count, v_scale, results);
            __syncthreads();
            continue;
        }
        // What the last block of the group takes: its own part, too, from memory.
        float *parts = partials + group * shape.splits * partial_floats;
        if (warp == 0)
            keep_result(mine, parts + split * partial_floats, lane);
        __threadfence();
        __syncthreads();
        if (threadIdx.x == 0)
            is_last = atomicAdd(arrived + group, 1u) == split_count - 1;
        __syncthreads();
        if (!is_last)
            continue;
        __threadfence();
        merge_splits<HEAD, true>(parts, split_count, head_count, v_scale, results);
        if (threadIdx.x == 0)
            arrived[group] = 0;
    }
}

#define GQA_ENTRY(name, HEAD, RESIDENT)                                                            \
    extern "C" __global__ void __launch_bounds__(256, RESIDENT)                                    \
        segue_gqa_decode_##name(const bf16 *q, const u8 *k_cache, const u8 *v_cache,               \
                                const u32 *position, bf16 *out, u32 *arrived, float *partials,     \
                                u32 heads, u32 kv_heads, u32 capacity, float scale, u32 splits)    \
    {                                                                                              \
        __shared__ float room[GQA_WARPS / 2 * GQA_HEADS * (HEAD + 2)];                             \
        const attention_shape shape = {heads, kv_heads, capacity, scale, splits};                  \
        attend<HEAD, false>(q, k_cache, v_cache, nullptr, position, out, arrived, partials, shape, \
                            room);                                                                 \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(256, RESIDENT) segue_gqa_decode_fp8_##name(       \
        const bf16 *q, const u8 *k_cache, const u8 *v_cache, const float *scales,                  \
        const u32 *position, bf16 *out, u32 *arrived, float *partials, u32 heads, u32 kv_heads,    \
        u32 capacity, float scale, u32 splits)                                                     \
    {                                                                                              \
        __shared__ float room[GQA_WARPS / 2 * GQA_HEADS * (HEAD + 2)];                             \
        const attention_shape shape = {heads, kv_heads, capacity, scale, splits};                  \
        attend<HEAD, true>(q, k_cache, v_cache, scales, position, out, arrived, partials, shape,   \
                           room);                                                                  \
    }

// The large ones take most of the time that compiling takes.
#ifndef LARGEST_HEAD
#define LARGEST_HEAD 256
#endif

GQA_ENTRY(64, 64, 2)
#if LARGEST_HEAD >= 128
GQA_ENTRY(128, 128, 1)
#endif
#if LARGEST_HEAD >= 256
GQA_ENTRY(256, 256, 1)
#endif
