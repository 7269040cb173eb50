// SPDX-License-Identifier: Apache-2.0
/* ---- Results --------------------------------------------------------------------------------- */

// What a product does with its sums: all that FLAGS ask for. A thread's first result of the first
// round, which with few tiles is all that it has, finds what it needs besides the sums in
// registers: it was on its way while the weights were.

#define HALF_HEAD (PAIR_STRIDE ? PAIR_STRIDE : 1)
#define HEAD (2 * HALF_HEAD)

// Of a thread's first result.
struct early {
    // Of the row, and of the row that it is paired with.
    float bias[2];
    float residual;
    float frequency;
    // What a cache of fp8 counts this head in.
    float kv_unit;
    u32 position;
};

struct outputs {
    const float *bias;
    const void *residual;
    void *out;
    // With bytes and FLAG_NORM: sums of squares, [warp][vector], of which comes the factor.
    float *squares;
    float epsilon;
    // FLAG_ROPE_KV; FLAG_ADVANCE writes the positions.
    const float *frequencies;
    u32 *position;
    void *k_cache;
    void *v_cache;
    u32 capacity;
    // FLAG_KV_FP8.
    const float *kv_scales;
    // FLAG_ARGMAX: the result; the greatest keys of all blocks and how many blocks have come; the
    // greatest keys of this one.
    u32 *token;
    u64 *state;
    u64 *best;
    early first;
};

// Result `i` of the tiles from `first_tile` on: its tile, its row there, its vector.
struct place {
    u32 tile;
    u32 row;
    u32 m;
};

__device__ __forceinline__ place place_of(u32 first_tile, u32 i)
{
    const u32 rows = PAIRED_OUT ? 8 : 16;
    return {first_tile + i / TILE_RESULTS, i % rows, i % TILE_RESULTS / rows};
}

__device__ __forceinline__ u32 plain_row_of(const place &place)
{
    const u32 row = place.tile * 16 + place.row;
    const u32 stride = PAIR_STRIDE ? PAIR_STRIDE : 8;
    const u32 stretch = row / (2 * stride) * (2 * stride);
    const u32 inside = row - stretch;
    return stretch + inside / 16 * 8 + inside % 8 + inside % 16 / 8 * stride;
}

__device__ __forceinline__ u32 read_word(const u32 *address)
{
    u32 value;
    asm volatile("ld.global.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
    return value;
}

// An element that another kernel has written: not through a path that assumes constant memory.
template <int type> __device__ __forceinline__ float load_dependent(const void *array, u64 i)
{
    if (type == F32)
        return read_float((const float *)array + i);
    u16 half;
    asm volatile("ld.global.u16 %0, [%1];" : "=h"(half) : "l"((const u16 *)array + i) : "memory");
    return type == BF16 ? __uint_as_float((u32)half << 16) : f16_to_float(half);
}

// As the type has it.
template <int type> __device__ __forceinline__ float rounded(float value)
{
    if (type == F32)
        return value;
    return type == BF16 ? __uint_as_float((u32)bf16_from_float(value) << 16)
                        : f16_to_float(f16_from_float(value));
}

// What may be read before the kernel before this one is done.
__device__ __forceinline__ void prepare_constants(outputs &outputs, const share &share)
{
    [[maybe_unused]] const bool is_used = threadIdx.x < share.tile_count * TILE_RESULTS;
    [[maybe_unused]] const u32 row = plain_row_of(place_of(share.first_tile, threadIdx.x));
#if FLAGS & FLAG_BIAS
    if (is_used && (ROWS % 16 == 0 || row < ROWS)) {
        outputs.first.bias[0] = outputs.bias[row];
        if (PAIRED_OUT)
            outputs.first.bias[1] = outputs.bias[row + PAIR_STRIDE];
    }
#endif
#if FLAGS & FLAG_ROPE_KV
    if (is_used)
        outputs.first.frequency = outputs.frequencies[row % HEAD];
#endif
#if FLAGS & FLAG_KV_FP8
    if (is_used && row >= HEADS * HEAD)
        outputs.first.kv_unit = outputs.kv_scales[row / HEAD - HEADS];
#endif
#if FLAGS & FLAG_ARGMAX
    for (u32 m = threadIdx.x; m < BATCH; m += THREADS)
        outputs.best[m] = 0;
#endif
}

// What may not.
__device__ __forceinline__ void prepare(outputs &outputs, const share &share)
{
    [[maybe_unused]] const bool is_used = threadIdx.x < share.tile_count * TILE_RESULTS;
    [[maybe_unused]] const place place = place_of(share.first_tile, threadIdx.x);
#if FLAGS & FLAG_RESIDUAL
    const u32 row = plain_row_of(place);
    if (is_used && (ROWS % 16 == 0 || row < ROWS))
        outputs.first.residual =
            load_dependent<OUT_TYPE>(outputs.residual, (u64)place.m * ROWS + row);
#endif
#if FLAGS & FLAG_ROPE_KV
    if (is_used)
        outputs.first.position = read_word(outputs.position + place.m);
#endif
}

#if FLAGS & FLAG_ROPE_KV

// Of an angle up to some 10^5: whole turns are taken off in two parts, the first of which has so
// few bits that its multiples are exact.
__device__ __forceinline__ float2 rotation_of(float angle)
{
    const float turns = rintf(angle * 0.15915494f);
    const float rest = fmaf(turns, -1.9353072e-3f, fmaf(turns, -6.28125f, angle));
    return make_float2(__cosf(rest), __sinf(rest));
}

__device__ __forceinline__ void store_cached(void *cache, u64 at, float value,
                                             [[maybe_unused]] float unit)
{
#if FLAGS & FLAG_KV_FP8
    ((u8 *)cache)[at] = to_e4m3(value / unit);
#else
    store<OUT_TYPE>(cache, at, value);
#endif
}

// Turns a pair of a head of q or k, and puts it, or one of v, where it belongs; `is_first`: of what
// that takes, `early` has been read already.
__device__ __forceinline__ void store_head_pair(u32 row, u32 m, float first, float second,
                                                bool is_first, const early &early,
                                                const outputs &outputs)
{
    const u32 position = is_first ? early.position : read_word(outputs.position + m);
    const float frequency = is_first ? early.frequency : outputs.frequencies[row % HEAD];
    const u32 head = row / HEAD;
    if (head < HEADS + KV_HEADS) {
        const float2 rotation = rotation_of((float)position * frequency);
        const float turned = first * rotation.x - second * rotation.y;
        second = second * rotation.x + first * rotation.y;
        first = turned;
    }
    if (head < HEADS) {
        const u64 at = (u64)m * (HEADS * HEAD) + row;
        store<OUT_TYPE>(outputs.out, at, first);
        store<OUT_TYPE>(outputs.out, at + HALF_HEAD, second);
        return;
    }
    if (position >= outputs.capacity)
        return;
    const bool is_k = head < HEADS + KV_HEADS;
    const u64 at =
        (u64)position * (KV_HEADS * HEAD) + (row - (is_k ? HEADS : HEADS + KV_HEADS) * HEAD);
    void *cache = is_k ? outputs.k_cache : outputs.v_cache;
    float unit = 1.0f;
#if FLAGS & FLAG_KV_FP8
    unit = is_first ? early.kv_unit : outputs.kv_scales[head - HEADS];
#endif
    store_cached(cache, at, first, unit);
    store_cached(cache, at + HALF_HEAD, second, unit);
}

#endif

// Stores the sum of a packed row, or what a pair of them comes to; returns what it has stored.
__device__ __forceinline__ float store_result(const place &place, bool is_first, float value,
                                              [[maybe_unused]] float second, const outputs &outputs)
{
    [[maybe_unused]] const early &early = outputs.first;
    const u32 row = plain_row_of(place);
#if FLAGS & FLAG_SILU_MUL
    store<OUT_TYPE>(outputs.out, (u64)place.m * (ROWS / 2) + row,
                    value / (1.0f + __expf(-value)) * second);
    return 0.0f;
#else
    if (ROWS % 16 != 0 && row >= ROWS)
        return __uint_as_float(0x7FC00000u);
#if FLAGS & FLAG_BIAS
    value += is_first ? early.bias[0] : outputs.bias[row];
    if (PAIRED_OUT)
        second += is_first ? early.bias[1] : outputs.bias[row + PAIR_STRIDE];
#endif
#if FLAGS & FLAG_ROPE_KV
    store_head_pair(row, place.m, value, second, is_first, early, outputs);
    return 0.0f;
#else
    const u64 at = (u64)place.m * ROWS + row;
#if FLAGS & FLAG_RESIDUAL
    value += is_first ? early.residual : load_dependent<OUT_TYPE>(outputs.residual, at);
#endif
    store<OUT_TYPE>(outputs.out, at, value);
    return rounded<OUT_TYPE>(value);
#endif
#endif
}

/* ---- The greatest result --------------------------------------------------------------------- */

#if FLAGS & FLAG_ARGMAX

// Values in their order, and of equal ones the lower row above; 0 for NaN.
__device__ __forceinline__ u64 key_of(float value, u32 row)
{
    if (value != value)
        return 0;
    const u32 bits = __float_as_uint(value + 0.0f); // -0 is 0.
    const u32 ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return (u64)ordered << 32 | (u32)~row;
}

// Sixteen lanes have a tile's results for one vector: the greatest goes to shared memory.
__device__ __forceinline__ void keep_best(u64 key, u32 m, const outputs &outputs)
{
    for (u32 distance = 8; distance > 0; distance /= 2)
        key = max(key, __shfl_xor_sync(0xFFFFFFFFu, key, distance));
    if (threadIdx.x % 16 == 0 && key != 0)
        atomicMax(outputs.best + m, key);
}

#endif

// Once a block has stored all: the last block to come says which result is the greatest. That
// depends on no order.
__device__ __forceinline__ void finish_argmax([[maybe_unused]] const outputs &outputs)
{
#if FLAGS & FLAG_ARGMAX
    __syncthreads();
    if (threadIdx.x != 0)
        return;
    for (u32 m = 0; m < BATCH; m++)
        atomicMax(outputs.state + m, outputs.best[m]);
    __threadfence();
    if (atomicAdd((u32 *)(outputs.state + BATCH), 1u) != gridDim.x - 1)
        return;
    __threadfence();
    for (u32 m = 0; m < BATCH; m++) {
        const u64 key = atomicExch(outputs.state + m, (u64)0);
        outputs.token[m] = key == 0 ? 0 : ~(u32)key;
#if FLAGS & FLAG_ADVANCE
        outputs.position[m] = read_word(outputs.position + m) + 1;
#endif
    }
    outputs.state[BATCH] = 0;
#endif
}

/* ---- Sums over warps ------------------------------------------------------------------------- */

// Sum `i` of a tile over all warps, in the order of the columns.
__device__ __forceinline__ float add_warps(const float *sums, u32 i)
{
    float sum = 0.0f;
#pragma unroll
    for (u32 warp = 0; warp < COLUMN_WARPS; warp++)
        sum += sums[warp * TILE_SUMS + i];
    return sum;
}

// What normalising multiplies the sums of vector `m` with, where that has been left to the end.
__device__ __forceinline__ float norm_factor(const outputs &outputs, u32 m)
{
    if (!BYTES || !(FLAGS & FLAG_NORM))
        return 1.0f;
    float squares = 0.0f;
#pragma unroll
    for (u32 warp = 0; warp < WARPS; warp++)
        squares += outputs.squares[warp * BATCH + m];
    return rsqrtf(squares / COLUMNS + outputs.epsilon);
}

// Adds up and stores `count` tiles. All threads of a warp go round as often.
__device__ __forceinline__ void finish_round(const float *sums, u32 first_tile, u32 count,
                                             bool is_first_round, const outputs &outputs)
{
    for (u32 base = 0; base < count * TILE_RESULTS; base += THREADS) {
        const u32 i = base + threadIdx.x;
        const place place = place_of(first_tile, i);
        [[maybe_unused]] u64 key = 0;
        if (i < count * TILE_RESULTS) {
            const float *tile_sums = sums + i / TILE_RESULTS * COLUMN_WARPS * TILE_SUMS;
            const float factor = norm_factor(outputs, place.m);
            const u32 at = place.m * VECTOR_SUMS + place.row;
            [[maybe_unused]] const float stored =
                store_result(place, is_first_round && base == 0, factor * add_warps(tile_sums, at),
                             PAIRED_OUT ? factor * add_warps(tile_sums, at + 8) : 0.0f, outputs);
#if FLAGS & FLAG_ARGMAX
            key = key_of(stored, plain_row_of(place));
#endif
        }
#if FLAGS & FLAG_ARGMAX
        keep_best(key, place.m, outputs);
#endif
    }
}

// Where a warp of those that share the columns puts its sums of tile `t`.
__device__ __forceinline__ float *sums_of_warp(float *all_sums, u32 t, u32 column_warp)
{
    return all_sums + t / ROUND_TILES % SUM_BUFFERS * ROUND_SUMS +
           (t % ROUND_TILES * COLUMN_WARPS + column_warp) * TILE_SUMS;
}

// Once all warps have put theirs of the tiles before `end`: adds up and stores, when a round is
// full.
__device__ __forceinline__ void end_tiles(const float *all_sums, const share &share, u32 end,
                                          const outputs &outputs)
{
    if (end % ROUND_TILES != 0 && end != share.tile_count)
        return;
    __syncthreads();
    const u32 round = (end - 1) / ROUND_TILES;
    const u32 first = round * ROUND_TILES;
    finish_round(all_sums + round % SUM_BUFFERS * ROUND_SUMS, share.first_tile + first, end - first,
                 round == 0, outputs);
    if (SUM_BUFFERS == 1)
        __syncthreads();
}
