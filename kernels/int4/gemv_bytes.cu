// SPDX-License-Identifier: Apache-2.0
// Multiplying in bytes: a third of the instructions. A number of x becomes an integer of 16 bits,
// counted in units of a power of two that belongs to the warp's range of its vector; its upper and
// its lower byte are two columns of the B operand of mma.m16n8k32. Weights are A: counted from
// their middle, as bytes with a sign; else as they are stored. Sums are exact; what is lost of x is
// what lies 2^-15 under its range's largest number, which is far less than the result's own
// rounding. A range with an infinity or a NaN gives NaN.

#if BYTES

// 1.5 * 2^23. A sum that starts from its bits is, read as a float, that number plus the sum, as
// long as the sum is below 2^22.
#define BASE 12582912.0f
#define BASE_BITS 0x4B400000
#define LOW_NIBBLES 0x0F0F0F0Fu

// Whether weights are counted from the middle. A nibble is the upper half of its byte then, which
// makes it 16 times as large, and its sign is what flips its highest bit.
#define SIGNED (ZERO == ZERO_MIDDLE || ZERO == ZERO_MIDDLE_OFFSETS || (BITS == 8 && HAS_OFFSETS))
#define WEIGHT_UNIT (SIGNED && BITS == 4 ? 0.0625f : 1.0f)
// Whether sums of x over each group are needed.
#define HAS_X_SUMS (!SIGNED || HAS_OFFSETS)
#if SIGNED
#define A_TYPE "s8"
#define SIGN_BITS 0x80808080u
#else
#define A_TYPE "u8"
#define SIGN_BITS 0u
#endif

// With one or two vectors the B operand has columns to spare: 32 columns of a block ("a half" of a
// stripe) then have columns of B of their own, four halves with one vector, which are 0 for the
// others. So one accumulator takes several groups, and a lane applies the scale of one of them. A
// set is the halves of one accumulator; a half of its column's halves follows the other.
#define SPREAD (BATCH == 1 ? 4 : BATCH == 2 ? 2 : 1)
#define SETS (RECORD_GROUPS > SPREAD ? RECORD_GROUPS / SPREAD : 1)
#define SET_HALVES (4 / SETS)
#define COLUMN_HALVES (SET_HALVES / SPREAD)
#define GROUP_HALVES (4 / RECORD_GROUPS)
// A warp's sets; with one group a row, a group ends with each block here.
#define WARP_SETS (WARP_BLOCKS * SETS)
// Eights of columns of a warp's range, and of a lane.
#define ITEMS (WARP_BLOCKS * 16)
#define LANE_ITEMS ((ITEMS + 31) / 32)
// Vectors that are read at once: of 32 registers.
#define ITEM_REGISTERS (LANE_ITEMS * (FLAGS & FLAG_NORM ? 8 : 4))
#define MOST_AT_ONCE (ITEM_REGISTERS < 32 ? 32 / ITEM_REGISTERS : 1)
#define AT_ONCE (BATCH < MOST_AT_ONCE ? BATCH : MOST_AT_ONCE)
// In shared memory, for each warp: [32 columns][vector][upper, lower byte][32], then the sums of
// each set, if they are needed, [set][column of B].
#define WARP_X_BYTES (WARP_BLOCKS * 256 * BATCH)
#define WARP_STAGED_BYTES (WARP_X_BYTES + (HAS_X_SUMS ? WARP_SETS * PARTS * 32 : 0))

// sums = start + a * b
__device__ __forceinline__ void multiply(int *sums, const u32 *a, uint2 b, const int *start)
{
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32." A_TYPE ".s8.s32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"
                 : "=r"(sums[0]), "=r"(sums[1]), "=r"(sums[2]), "=r"(sums[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.x), "r"(b.y), "r"(start[0]),
                   "r"(start[1]), "r"(start[2]), "r"(start[3]));
}

// The vector that a lane has results of, and which of a set's columns of B, in halves.
__device__ __forceinline__ u32 vector_of(u32 part, u32 lane)
{
    return SPREAD > 1 ? lane % 4 % BATCH : part * 4 + lane % 4;
}

__device__ __forceinline__ u32 column_of(u32 lane)
{
    return SPREAD > 1 ? lane % 4 / BATCH : 0;
}

/* ---- Vectors --------------------------------------------------------------------------------- */

// Eight numbers of x.
struct item {
#if FLAGS & FLAG_NORM
    float values[8];
#else
    uint4 raw;
#endif
};

// What a lane has of the norm's factors. They are constant, so they come before the wait.
struct held_norms {
#if FLAGS & FLAG_NORM
    uint4 of_items[LANE_ITEMS];
#endif
};

// Whether the lane's item `k` is one of the warp's range, and its first column.
__device__ __forceinline__ bool has_item(const ring &ring, u32 k, u32 &column)
{
    const u32 i = k * 32 + threadIdx.x % 32;
    column = ring.first_block * 128 + i * 8;
    return (ITEMS % 32 == 0 || i < ITEMS) && (EVEN_SPLIT || i < ring.block_count * 16) &&
           (COLUMNS % 128 == 0 || column < COLUMNS);
}

__device__ __forceinline__ void hold_norms([[maybe_unused]] const vectors &vectors,
                                           [[maybe_unused]] const ring &ring,
                                           [[maybe_unused]] held_norms &held)
{
#if FLAGS & FLAG_NORM
#pragma unroll
    for (u32 k = 0; k < LANE_ITEMS; k++) {
        u32 column;
        held.of_items[k] = uint4{};
        if (has_item(ring, k, column))
            held.of_items[k] = *(const uint4 *)(vectors.norm + column);
    }
#endif
}

__device__ __forceinline__ float value_of(const item &item, u32 i)
{
#if FLAGS & FLAG_NORM
    return item.values[i];
#else
    const u32 pair = word_of(item.raw, i / 2);
    if (X_TYPE == F16)
        return f16_to_float((u16)(i % 2 ? pair >> 16 : pair));
    return __uint_as_float(i % 2 ? pair & 0xFFFF0000u : pair << 16);
#endif
}

// Eight columns of a vector from `column` on.
__device__ __forceinline__ item read_item(const vectors &vectors, u32 m, u32 column)
{
    item item = {};
    const u64 at = (u64)m * COLUMNS + column;
#if FLAGS & FLAG_NORM
    const uint4 first = read_16((const float *)vectors.x + at);
    const uint4 second = read_16((const float *)vectors.x + at + 4);
#pragma unroll
    for (u32 i = 0; i < 4; i++) {
        item.values[i] = __uint_as_float(word_of(first, i));
        item.values[i + 4] = __uint_as_float(word_of(second, i));
    }
#else
    item.raw = read_16((const u16 *)vectors.x + at);
#endif
    return item;
}

#if FLAGS & FLAG_NORM
// Multiplies with the norm's factors, but for the one that all numbers share: it comes in at the
// end. `squares` gets the sum of the squares.
__device__ __forceinline__ void apply_norm(item &item, const uint4 &norms, float &squares)
{
#pragma unroll
    for (u32 i = 0; i < 8; i++) {
        const u32 pair = word_of(norms, i / 2);
        squares += item.values[i] * item.values[i];
        item.values[i] *= __uint_as_float(i % 2 ? pair & 0xFFFF0000u : pair << 16);
    }
}
#endif

// The numbers as integers of 16 bits, in units of 1 / `factor`: their upper and lower bytes. The
// lower byte has a sign, so the upper one is that of the number plus 128, of which the lower byte
// is off by as much.
__device__ __forceinline__ void split_item(const item &item, float factor, uint2 &upper,
                                           uint2 &lower)
{
    u32 pairs[4];
#pragma unroll
    for (u32 i = 0; i < 4; i++) {
        const float first = fmaf(value_of(item, i * 2), factor, BASE + 128.0f);
        const float second = fmaf(value_of(item, i * 2 + 1), factor, BASE + 128.0f);
        pairs[i] = __byte_perm(__float_as_uint(first), __float_as_uint(second), 0x5410);
    }
    upper.x = __byte_perm(pairs[0], pairs[1], 0x7531);
    upper.y = __byte_perm(pairs[2], pairs[3], 0x7531);
    lower.x = __byte_perm(pairs[0], pairs[1], 0x6420) ^ 0x80808080u;
    lower.y = __byte_perm(pairs[2], pairs[3], 0x6420) ^ 0x80808080u;
}

// Puts a warp's range of vector `m` into its shared memory; returns the unit that it is counted in.
__device__ __forceinline__ float split_vector(const item *items, u32 m, u8 *staged)
{
    const u32 lane = threadIdx.x % 32;
    u32 largest = 0;
#pragma unroll
    for (u32 k = 0; k < LANE_ITEMS; k++) {
#pragma unroll
        for (u32 i = 0; i < 8; i++)
            largest = max(largest, __float_as_uint(value_of(items[k], i)) & 0x7FFFFFFFu);
    }
    largest = __reduce_max_sync(0xFFFFFFFFu, largest);
    // The largest number becomes 2^13 to 2^14.
    const u32 exponent = max(largest >> 23, 14u);
    const float factor = __uint_as_float((267u - min(exponent, 254u)) << 23);
#pragma unroll
    for (u32 k = 0; k < LANE_ITEMS; k++) {
        const u32 i = k * 32 + lane;
        uint2 upper, lower;
        split_item(items[k], factor, upper, lower);
        u8 *target = staged + (i / 4 * BATCH + m) * 64 + i % 4 * 8;
        if (ITEMS % 32 == 0 || i < ITEMS) {
            *(uint2 *)target = upper;
            *(uint2 *)(target + 32) = lower;
        }
    }
    return __uint_as_float(exponent == 255 ? 0x7FC00000u : (exponent - 13) << 23) * WEIGHT_UNIT;
}

// All vectors, as many at once as registers allow: their reads are on their way together.
// `units`: of vector lane % 4 of each four.
__device__ __forceinline__ void stage_vectors(const vectors &vectors, const ring &ring,
                                              [[maybe_unused]] const held_norms &norms, u8 *staged,
                                              float *units, [[maybe_unused]] float *warp_squares)
{
    const u32 lane = threadIdx.x % 32;
#pragma unroll
    for (u32 first = 0; first < BATCH; first += AT_ONCE) {
        item items[AT_ONCE][LANE_ITEMS];
#pragma unroll
        for (u32 i = 0; i < AT_ONCE * LANE_ITEMS; i++) {
            const u32 m = first + i / LANE_ITEMS;
            const u32 k = i % LANE_ITEMS;
            u32 column;
            items[i / LANE_ITEMS][k] = item{};
            if (m < BATCH && has_item(ring, k, column))
                items[i / LANE_ITEMS][k] = read_item(vectors, m, column);
        }
#pragma unroll
        for (u32 i = 0; i < AT_ONCE; i++) {
            const u32 m = first + i;
            if (m >= BATCH)
                break;
#if FLAGS & FLAG_NORM
            float squares = 0.0f;
#pragma unroll
            for (u32 k = 0; k < LANE_ITEMS; k++)
                apply_norm(items[i][k], norms.of_items[k], squares);
            for (u32 distance = 16; distance > 0; distance /= 2)
                squares += __shfl_xor_sync(0xFFFFFFFFu, squares, distance);
            if (lane == 0)
                warp_squares[m] = squares;
#endif
            const float unit = split_vector(items[i], m, staged);
            if (vector_of(m / 4, lane) == m)
                units[m / 4] = unit;
        }
    }
    __syncwarp();
}

// This lane's part of 32 columns of x; 0 where another half has its column of B.
__device__ __forceinline__ uint2 staged_part(const u8 *staged, u32 half, u32 part, u32 lane)
{
    const u32 column = part * 8 + lane / 4;
    const u32 owner = column / (BATCH * 2);
    if (SPREAD > 1 && owner != half % SET_HALVES / COLUMN_HALVES)
        return uint2{};
    const u32 inside = SPREAD > 1 ? column % (BATCH * 2) : column;
    const u32 known = BATCH * 2 * SPREAD >= PARTS * 8 || inside < BATCH * 2 ? inside : 0;
    return *(const uint2 *)(staged + (half * BATCH * 2 + known) * 32 + lane % 4 * 8);
}

#if HAS_X_SUMS
// Sums of x over each set, for the two columns of B that this lane has results of.
__device__ __forceinline__ void stage_sums(u8 *staged, u32 lane)
{
    const u32 ones[4] = {0x01010101u, 0x01010101u, 0x01010101u, 0x01010101u};
#pragma unroll
    for (u32 set = 0; set < WARP_SETS; set++) {
#pragma unroll
        for (u32 part = 0; part < PARTS; part++) {
            int sums[4] = {};
#pragma unroll
            for (u32 i = 0; i < SET_HALVES; i++)
                multiply(sums, ones, staged_part(staged, set * SET_HALVES + i, part, lane), sums);
            if (lane < 4)
                ((int2 *)(staged + WARP_X_BYTES))[(set * PARTS + part) * 4 + lane] =
                    int2{sums[0], sums[1]};
        }
    }
    __syncwarp();
}
#endif

__device__ __forceinline__ int2 staged_sums(const u8 *staged, u32 set, u32 part, u32 lane)
{
    return ((const int2 *)(staged + WARP_X_BYTES))[(set * PARTS + part) * 4 + lane % 4];
}

/* ---- Walking over the weights ---------------------------------------------------------------- */

// The upper nibble of each byte, its highest bit flipped. In one instruction, which the compiler
// does not find.
__device__ __forceinline__ u32 upper_nibbles(u32 word)
{
    u32 result;
    asm("lop3.b32 %0, %1, %2, %3, 0x6A;" // (word & mask) ^ sign
        : "=r"(result)
        : "r"(word), "r"(~LOW_NIBBLES), "r"(SIGN_BITS));
    return result;
}

// The A operand of half `half` of a block.
__device__ __forceinline__ void expand_half(const w_block &w, u32 half, u32 *a)
{
#pragma unroll
    for (u32 i = 0; i < 2; i++) {
        const u32 low = word_of(w.stripes[0][half / 2], half % 2 * 2 + i);
#if PLANES == 2
        const u32 high = word_of(w.stripes[1][half / 2], half % 2 * 2 + i);
        a[i * 2] = ((low & LOW_NIBBLES) | (high << 4 & ~LOW_NIBBLES)) ^ SIGN_BITS;
        a[i * 2 + 1] = ((low >> 4 & LOW_NIBBLES) | (high & ~LOW_NIBBLES)) ^ SIGN_BITS;
#elif SIGNED
        a[i * 2] = upper_nibbles(low << 4);
        a[i * 2 + 1] = upper_nibbles(low);
#else
        a[i * 2] = low & LOW_NIBBLES;
        a[i * 2 + 1] = low >> 4 & LOW_NIBBLES;
#endif
    }
}

// A block in registers, and what this lane scales its sets with.
struct taken_block {
    w_block w;
    factors f[SETS];
};

__device__ __forceinline__ void take_block(const u8 *at, u32 lane, taken_block &block)
{
    load_weights(at, lane, block.w);
#if !PER_ROW
#pragma unroll
    for (u32 set = 0; set < SETS; set++) {
        const u32 half = set * SET_HALVES + column_of(lane) * COLUMN_HALVES;
        block.f[set] =
            load_factors(at + PLANES * PLANE_BYTES, lane / 4 * RECORD_GROUPS + half / GROUP_HALVES);
    }
#endif
}

// Adds `count` blocks, `each` of which are of one tile, to the sums of both rows of their tiles;
// `x` and `x_sums` give the lane's part of x and the sums over sets. Blocks do not wait for each
// other.
template <u32 count, u32 each, typename get_x, typename get_sums>
__device__ __forceinline__ void add_blocks(const taken_block *blocks, get_x x, get_sums x_sums,
                                           float totals[count / each][PARTS][2])
{
#pragma unroll
    for (u32 set = 0; set < SETS; set++) {
        int sums[count][PARTS][4];
#pragma unroll
        for (u32 k = 0; k < count * PARTS; k++) {
            const u32 block = k / PARTS, part = k % PARTS;
            int2 of_x = {};
            if (ZERO == ZERO_POINTS)
                of_x = x_sums(block % each, set, part);
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                const int zero = (int)(blocks[block].f[set].minus_zero[i / 2] & 0xFF);
                sums[block][part][i] = BASE_BITS;
                if (ZERO == ZERO_POINTS)
                    sums[block][part][i] -= zero * (i % 2 ? of_x.y : of_x.x);
            }
        }
#pragma unroll
        for (u32 k = 0; k < SET_HALVES * count; k++) {
            const u32 block = k % count;
            const u32 half = set * SET_HALVES + k / count;
            u32 a[4];
            expand_half(blocks[block].w, half, a);
#pragma unroll
            for (u32 part = 0; part < PARTS; part++)
                multiply(sums[block][part], a, x(block % each, part, half), sums[block][part]);
        }
#pragma unroll
        for (u32 k = 0; k < count * PARTS; k++) {
            const u32 block = k / PARTS, part = k % PARTS;
            const factors &f = blocks[block].f[set];
            float *total = totals[block / each][part];
#pragma unroll
            for (u32 i = 0; i < 2; i++) {
                const float upper = __int_as_float(sums[block][part][i * 2]) - BASE;
                const float lower = __int_as_float(sums[block][part][i * 2 + 1]) - BASE;
                total[i] += f.scale[i] * fmaf(256.0f, upper, lower);
                if (HAS_OFFSETS) {
                    const int2 of_x = x_sums(block % each, set, part);
                    total[i] +=
                        f.offset[i] * ((float)(of_x.x * 256 + of_x.y) * (1.0f / WEIGHT_UNIT));
                }
            }
        }
    }
}

// What is taken before the wait: it does not depend on the kernel before.
struct held {
    held_norms norms;
    // The first slot, and its first block.
    const u8 *slot;
    taken_block block;
    row_factors rows;
};

__device__ __forceinline__ void hold(const vectors &vectors, ring &ring, const u8 *row_record,
                                     held &held)
{
    [[maybe_unused]] const u32 lane = threadIdx.x % 32;
    hold_norms(vectors, ring, held.norms);
    open_row_factors(row_record, held.rows);
#if PASS_TILES == 1
    held.slot = wait_for_slot(ring);
    take_block(held.slot, lane, held.block);
#endif
}

// Puts the sums of `count` tiles from `t` on where all warps' sums meet; the lanes that share a row
// add up first.
#if SPREAD == 4
// Each of the four then has some of the sums: a lane gives away what another one has in the end.
template <u32 count>
__device__ __forceinline__ void put_sums(float totals[count][PARTS][2], const float *units,
                                         float *all_sums, u32 t)
{
    const u32 lane = threadIdx.x % 32;
    const bool is_upper = (lane & 2) != 0, is_odd = (lane & 1) != 0;
    const float *sums = &totals[0][0][0];
    float halves[count];
#pragma unroll
    for (u32 i = 0; i < count; i++) {
        const float kept = is_upper ? sums[count + i] : sums[i];
        const float given = is_upper ? sums[i] : sums[count + i];
        halves[i] = kept + __shfl_xor_sync(0xFFFFFFFFu, given, 2);
    }
#pragma unroll
    for (u32 i = 0; i < (count + 1) / 2; i++) {
        const float kept = count > 1 && is_odd ? halves[count / 2 + i] : halves[i];
        const float given = count > 1 && !is_odd ? halves[count / 2 + i] : halves[i];
        const float sum = kept + __shfl_xor_sync(0xFFFFFFFFu, given, 1);
        // Of the tiles' rows, and eight rows further on.
        const u32 at = (is_upper ? count : 0) + (count > 1 && is_odd ? count / 2 : 0) + i;
        if (count > 1 || !is_odd)
            sums_of_warp(all_sums, t + at / 2, threadIdx.x / 32)[lane / 4 + at % 2 * 8] =
                sum * units[0];
    }
}
#else
template <u32 count>
__device__ __forceinline__ void put_sums(float totals[count][PARTS][2], const float *units,
                                         float *all_sums, u32 t)
{
    const u32 lane = threadIdx.x % 32;
#pragma unroll
    for (u32 k = 0; k < count * PARTS; k++) {
        const u32 part = k % PARTS;
        float *total = totals[k / PARTS][part];
        float *sums = sums_of_warp(all_sums, t + k / PARTS, threadIdx.x / 32);
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
            for (u32 distance = BATCH; SPREAD > 1 && distance < 4; distance *= 2)
                total[i] += __shfl_xor_sync(0xFFFFFFFFu, total[i], distance);
        }
        const u32 m = vector_of(part, lane);
        if (m < BATCH && column_of(lane) == 0) {
            sums[m * 16 + lane / 4] = total[0] * units[part];
            sums[m * 16 + lane / 4 + 8] = total[1] * units[part];
        }
    }
}
#endif

#if PASS_TILES > 1
// All blocks of `count` tiles of a slot side by side.
template <u32 count, typename get_x, typename get_sums>
__device__ __forceinline__ void add_tiles(const u8 *slot, get_x x, get_sums x_sums,
                                          const float *units, float *all_sums, u32 t)
{
    taken_block blocks[count * WARP_BLOCKS];
    float totals[count][PARTS][2] = {};
#pragma unroll
    for (u32 i = 0; i < count * WARP_BLOCKS; i++)
        take_block(slot + i * BLOCK_BYTES, threadIdx.x % 32, blocks[i]);
    add_blocks<count * WARP_BLOCKS, WARP_BLOCKS>(blocks, x, x_sums, totals);
    put_sums<count>(totals, units, all_sums, t);
}
#endif

__device__ __forceinline__ void walk(const share &share, ring &ring, const vectors &vectors,
                                     held &held, float *all_sums, u8 *all_staged,
                                     const outputs &outputs)
{
    const u32 warp = threadIdx.x / 32;
    const u32 lane = threadIdx.x % 32;
    u8 *staged = all_staged + warp * WARP_STAGED_BYTES;
    float units[PARTS] = {};
    stage_vectors(vectors, ring, held.norms, staged, units, outputs.squares + warp * BATCH);
    if (LATE_TRIGGER == 2)
        trigger();
#if HAS_X_SUMS
    stage_sums(staged, lane);
#endif
#if X_PLACE == X_REGISTERS
    uint2 x_kept[WARP_BLOCKS * 4][PARTS];
#pragma unroll
    for (u32 i = 0; i < WARP_BLOCKS * 4 * PARTS; i++)
        x_kept[i / PARTS][i % PARTS] = staged_part(staged, i / PARTS, i % PARTS, lane);
#if HAS_X_SUMS
    int2 sums_kept[WARP_SETS][PARTS];
#pragma unroll
    for (u32 i = 0; i < WARP_SETS * PARTS; i++)
        sums_kept[i / PARTS][i % PARTS] = staged_sums(staged, i / PARTS, i % PARTS, lane);
#endif
#endif
    const auto x = [&](u32 block, u32 part, u32 half) {
#if X_PLACE == X_REGISTERS
        return x_kept[block * 4 + half][part];
#else
        return staged_part(staged, block * 4 + half, part, lane);
#endif
    };
    const auto x_sums = [&](u32 block, u32 set, u32 part) {
#if X_PLACE == X_REGISTERS && HAS_X_SUMS
        return sums_kept[block * SETS + set][part];
#else
        return staged_sums(staged, block * SETS + set, part, lane);
#endif
    };
#if PASS_TILES > 1
    for (u32 t = 0; t < share.tile_count; t += PASS_TILES) {
        const u8 *slot = wait_for_slot(ring);
        const u32 count = min(share.tile_count - t, (u32)PASS_TILES);
        if (count == PASS_TILES) {
            add_tiles<PASS_TILES>(slot, x, x_sums, units, all_sums, t);
        } else {
            for (u32 i = 0; i < count; i++)
                add_tiles<1>(slot + i * PIECE_BYTES, x, x_sums, units, all_sums, t + i);
        }
        release_slot(ring, lane);
        end_tiles(all_sums, share, t + count, outputs);
    }
#else
    const u8 *slot = held.slot;
    taken_block current = held.block;
    for (u32 t = 0; t < share.tile_count; t++) {
        float totals[1][PARTS][2] = {};
#if PER_ROW
        const factors row_factors = take_row_factors(held.rows, t + 1 == share.tile_count);
#endif
#pragma unroll
        for (u32 block = 0; block < WARP_BLOCKS; block++) {
            if (!EVEN_SPLIT && block >= ring.block_count)
                break;
            const bool ends_tile = block + 1 == ring.block_count;
            const bool ends_slot = block % SLOT_BLOCKS == SLOT_BLOCKS - 1 || ends_tile;
            taken_block next;
            if (!ends_slot)
                take_block(slot + (block % SLOT_BLOCKS + 1) * BLOCK_BYTES, lane, next);
#if PER_ROW
            current.f[0] = row_factors;
#endif
            add_blocks<1, 1>(
                &current, [&](u32, u32 part, u32 half) { return x(block, part, half); },
                [&](u32, u32 set, u32 part) { return x_sums(block, set, part); }, totals);
            if (ends_slot)
                release_slot(ring, lane);
            if (ends_slot && !ends_tile) {
                slot = wait_for_slot(ring);
                take_block(slot, lane, next);
            }
            current = next;
        }
        // Before the next slot is waited for: others wait for these.
        put_sums<1>(totals, units, all_sums, t);
        end_tiles(all_sums, share, t + 1, outputs);
        if (t + 1 < share.tile_count) {
            slot = wait_for_slot(ring);
            take_block(slot, lane, current);
        }
    }
#endif
}

#endif
