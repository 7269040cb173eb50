// SPDX-License-Identifier: Apache-2.0
// Multiplying in bytes: a third of the instructions. A number of x becomes an integer of 16 bits,
// counted in units of a power of two that belongs to the warp's range of its vector; its upper and
// its lower byte are two columns of the B operand of mma.m16n8k32. Weights are A as they are
// stored. Sums are exact; what is lost of x is what lies 2^-15 under its range's largest number,
// which is far less than the result's own rounding. A range with an infinity or a NaN gives NaN.

#if BYTES

// 1.5 * 2^23. A sum that starts from its bits is, read as a float, that number plus the sum, as
// long as the sum is below 2^22.
#define BASE 12582912.0f
#define BASE_BITS 0x4B400000
#define LOW_NIBBLES 0x0F0F0F0Fu

// What stored numbers are counted from; zero points come with their groups.
#if BITS == 8
#define MIDDLE 128
#elif ZERO == ZERO_MIDDLE || ZERO == ZERO_MIDDLE_OFFSETS
#define MIDDLE 8
#else
#define MIDDLE 0
#endif

// A warp's groups; with one group a row, a group ends with each block here.
#define WARP_GROUPS (WARP_BLOCKS * RECORD_GROUPS)
#define GROUP_HALVES (4 / RECORD_GROUPS)
// Eights of columns of a warp's range, and of a lane.
#define ITEMS (WARP_BLOCKS * 16)
#define LANE_ITEMS ((ITEMS + 31) / 32)
// In shared memory, for each warp: [32 columns][vector][upper, lower byte][32], then the sums of
// each group, [group][column of B].
#define WARP_X_BYTES (WARP_BLOCKS * 256 * BATCH)
#define WARP_STAGED_BYTES (WARP_X_BYTES + WARP_GROUPS * PARTS * 32)

__device__ __forceinline__ void multiply(int *sums, const u32 *a, uint2 b)
{
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.x), "r"(b.y));
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

__device__ __forceinline__ float value_of(const item &item, u32 i)
{
#if FLAGS & FLAG_NORM
    return item.values[i];
#else
    const u32 pair = i / 2 == 0   ? item.raw.x
                     : i / 2 == 1 ? item.raw.y
                     : i / 2 == 2 ? item.raw.z
                                  : item.raw.w;
    if (X_TYPE == F16)
        return f16_to_float((u16)(i % 2 ? pair >> 16 : pair));
    return __uint_as_float(i % 2 ? pair & 0xFFFF0000u : pair << 16);
#endif
}

// Eight columns of a vector from `column` on; 0 beyond the last one. Normalised but for the factor,
// which all numbers share: it comes in at the end. `squares` gets the sum of their squares.
__device__ __forceinline__ item read_item(const vectors &vectors, u32 m, u32 column, float &squares)
{
    item item = {};
    if (COLUMNS % 128 != 0 && column >= COLUMNS)
        return item;
    const u64 at = (u64)m * COLUMNS + column;
#if FLAGS & FLAG_NORM
    const uint4 first = read_16((const float *)vectors.x + at);
    const uint4 second = read_16((const float *)vectors.x + at + 4);
    const u32 bits[8] = {first.x,  first.y,  first.z,  first.w,
                         second.x, second.y, second.z, second.w};
    const uint4 norms = *(const uint4 *)(vectors.norm + column);
    const u32 pairs[4] = {norms.x, norms.y, norms.z, norms.w};
#pragma unroll
    for (u32 i = 0; i < 8; i++) {
        const float value = __uint_as_float(bits[i]);
        const u32 pair = pairs[i / 2];
        squares += value * value;
        item.values[i] = value * __uint_as_float(i % 2 ? pair & 0xFFFF0000u : pair << 16);
    }
#else
    item.raw = read_16((const u16 *)vectors.x + at);
#endif
    return item;
}

// The numbers as integers of 16 bits, in units of 1 / `factor`: their upper and lower bytes.
__device__ __forceinline__ void split_item(const item &item, float factor, uint2 &upper,
                                           uint2 &lower)
{
    u32 low[8], high[8];
#pragma unroll
    for (u32 i = 0; i < 8; i++) {
        low[i] = __float_as_uint(fmaf(value_of(item, i), factor, BASE));
        high[i] = low[i] + 128; // The lower byte has a sign.
    }
    lower.x = __byte_perm(__byte_perm(low[0], low[1], 0x0040), __byte_perm(low[2], low[3], 0x0040),
                          0x5410);
    lower.y = __byte_perm(__byte_perm(low[4], low[5], 0x0040), __byte_perm(low[6], low[7], 0x0040),
                          0x5410);
    upper.x = __byte_perm(__byte_perm(high[0], high[1], 0x0051),
                          __byte_perm(high[2], high[3], 0x0051), 0x5410);
    upper.y = __byte_perm(__byte_perm(high[4], high[5], 0x0051),
                          __byte_perm(high[6], high[7], 0x0051), 0x5410);
}

// Puts a warp's range of vector `m` into its shared memory; returns the unit that it is counted in.
__device__ __forceinline__ float stage_vector(const vectors &vectors, u32 m, const ring &ring,
                                              u8 *staged, float &squares)
{
    const u32 lane = threadIdx.x % 32;
    item items[LANE_ITEMS];
    u32 largest = 0;
#pragma unroll
    for (u32 k = 0; k < LANE_ITEMS; k++) {
        const u32 i = k * 32 + lane;
        items[k] = item{};
        if ((ITEMS % 32 == 0 || i < ITEMS) && (EVEN_SPLIT || i < ring.block_count * 16))
            items[k] = read_item(vectors, m, ring.first_block * 128 + i * 8, squares);
    }
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
    return __uint_as_float(exponent == 255 ? 0x7FC00000u : (exponent - 13) << 23);
}

// This lane's part of 32 columns of x.
__device__ __forceinline__ uint2 staged_part(const u8 *staged, u32 half, u32 part, u32 lane)
{
    const u32 column = part * 8 + lane / 4;
    const u32 known = BATCH * 2 >= PARTS * 8 || column < BATCH * 2 ? column : 0;
    return *(const uint2 *)(staged + (half * BATCH * 2 + known) * 32 + lane % 4 * 8);
}

// Sums of x over each group, for the two columns of B that this lane has results of.
__device__ __forceinline__ void stage_sums(u8 *staged, u32 lane)
{
    const u32 ones[4] = {0x01010101u, 0x01010101u, 0x01010101u, 0x01010101u};
#pragma unroll
    for (u32 group = 0; group < WARP_GROUPS; group++) {
#pragma unroll
        for (u32 part = 0; part < PARTS; part++) {
            int sums[4] = {};
#pragma unroll
            for (u32 i = 0; i < GROUP_HALVES; i++)
                multiply(sums, ones, staged_part(staged, group * GROUP_HALVES + i, part, lane));
            if (lane < 4)
                ((int2 *)(staged + WARP_X_BYTES))[(group * PARTS + part) * 4 + lane] =
                    int2{sums[0], sums[1]};
        }
    }
    __syncwarp();
}

__device__ __forceinline__ int2 staged_sums(const u8 *staged, u32 group, u32 part, u32 lane)
{
    return ((const int2 *)(staged + WARP_X_BYTES))[(group * PARTS + part) * 4 + lane % 4];
}

/* ---- Walking over the weights ---------------------------------------------------------------- */

// The A operand of half `half` of a block.
__device__ __forceinline__ void expand_half(const w_block &w, u32 half, u32 *a)
{
#pragma unroll
    for (u32 i = 0; i < 2; i++) {
        const u32 low = word_of(w.stripes[0][half / 2], half % 2 * 2 + i);
        a[i * 2] = low & LOW_NIBBLES;
        a[i * 2 + 1] = low >> 4 & LOW_NIBBLES;
        if (PLANES == 2) {
            const u32 high = word_of(w.stripes[PLANES - 1][half / 2], half % 2 * 2 + i);
            a[i * 2] |= high << 4 & ~LOW_NIBBLES;
            a[i * 2 + 1] |= high & ~LOW_NIBBLES;
        }
    }
}

// Adds a block to the sums of both rows; `group` is its first group, `x` and `x_sums` give the
// lane's part of x and the sums over groups.
template <typename get_x, typename get_sums>
__device__ __forceinline__ void add_block(const w_block &w, const factors *f, get_x x,
                                          get_sums x_sums, float total[PARTS][2])
{
#pragma unroll
    for (u32 group = 0; group < RECORD_GROUPS; group++) {
        int sums[PARTS][4];
#pragma unroll
        for (u32 part = 0; part < PARTS; part++) {
            const int2 of_x = x_sums(group, part);
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                const int zero =
                    ZERO == ZERO_POINTS ? (int)(f[group].minus_zero[i / 2] & 0xFF) : MIDDLE;
                sums[part][i] = BASE_BITS - zero * (i % 2 ? of_x.y : of_x.x);
            }
        }
#pragma unroll
        for (u32 i = 0; i < GROUP_HALVES; i++) {
            u32 a[4];
            expand_half(w, group * GROUP_HALVES + i, a);
#pragma unroll
            for (u32 part = 0; part < PARTS; part++)
                multiply(sums[part], a, x(part, group * GROUP_HALVES + i));
        }
#pragma unroll
        for (u32 part = 0; part < PARTS; part++) {
#pragma unroll
            for (u32 i = 0; i < 2; i++) {
                const float upper = __int_as_float(sums[part][i * 2]) - BASE;
                const float lower = __int_as_float(sums[part][i * 2 + 1]) - BASE;
                total[part][i] += f[group].scale[i] * fmaf(256.0f, upper, lower);
                if (HAS_OFFSETS) {
                    const int2 of_x = x_sums(group, part);
                    total[part][i] += f[group].offset[i] * (float)(of_x.x * 256 + of_x.y);
                }
            }
        }
    }
}

__device__ __forceinline__ void walk(const share &share, ring &ring, const vectors &vectors,
                                     const u8 *row_record, float *all_sums, u8 *all_staged,
                                     const outputs &outputs)
{
    const u32 warp = threadIdx.x / 32;
    const u32 lane = threadIdx.x % 32;
    u8 *staged = all_staged + warp * WARP_STAGED_BYTES;
    // Of vector lane % 4 of each four.
    float units[PARTS] = {};
#pragma unroll
    for (u32 m = 0; m < BATCH; m++) {
        float squares = 0.0f;
        const float unit = stage_vector(vectors, m, ring, staged, squares);
        if (lane % 4 == m % 4)
            units[m / 4] = unit;
#if FLAGS & FLAG_NORM
        for (u32 distance = 16; distance > 0; distance /= 2)
            squares += __shfl_xor_sync(0xFFFFFFFFu, squares, distance);
        if (lane == 0)
            outputs.squares[warp * BATCH + m] = squares;
#endif
    }
    __syncwarp();
    stage_sums(staged, lane);
#if X_PLACE == X_REGISTERS
    uint2 x_kept[WARP_BLOCKS * 4][PARTS];
    int2 sums_kept[WARP_GROUPS][PARTS];
#pragma unroll
    for (u32 i = 0; i < WARP_BLOCKS * 4 * PARTS; i++)
        x_kept[i / PARTS][i % PARTS] = staged_part(staged, i / PARTS, i % PARTS, lane);
#pragma unroll
    for (u32 i = 0; i < WARP_GROUPS * PARTS; i++)
        sums_kept[i / PARTS][i % PARTS] = staged_sums(staged, i / PARTS, i % PARTS, lane);
#endif
#if PER_ROW
    factors next_factors = {};
    if (share.tile_count > 0)
        next_factors = load_factors(row_record, lane / 4);
#endif
    for (u32 t = 0; t < share.tile_count; t++) {
        float total[PARTS][2] = {};
        factors f[RECORD_GROUPS];
#if PER_ROW
        f[0] = next_factors;
        if (t + 1 < share.tile_count) {
            row_record += TILE_BYTES;
            next_factors = load_factors(row_record, lane / 4);
        }
#endif
        const u8 *slot = nullptr;
#pragma unroll
        for (u32 block = 0; block < WARP_BLOCKS; block++) {
            if (!EVEN_SPLIT && block >= ring.block_count)
                break;
            if (block % SLOT_BLOCKS == 0)
                slot = wait_for_slot(ring);
            w_block w;
            load_block(slot + block % SLOT_BLOCKS * BLOCK_BYTES, lane, w, f);
            add_block(
                w, f,
                [&](u32 part, u32 half) {
#if X_PLACE == X_REGISTERS
                    return x_kept[block * 4 + half][part];
#else
                    return staged_part(staged, block * 4 + half, part, lane);
#endif
                },
                [&](u32 group, u32 part) {
#if X_PLACE == X_REGISTERS
                    return sums_kept[block * RECORD_GROUPS + group][part];
#else
                    return staged_sums(staged, block * RECORD_GROUPS + group, part, lane);
#endif
                },
                total);
            if (block % SLOT_BLOCKS == SLOT_BLOCKS - 1 || block + 1 == ring.block_count)
                release_slot(ring, lane);
        }
        float *sums = sums_of_warp(all_sums, t, warp);
#pragma unroll
        for (u32 part = 0; part < PARTS; part++) {
            const u32 m = part * 4 + lane % 4;
            if (m < BATCH) {
                sums[m * 16 + lane / 4] = total[part][0] * units[part];
                sums[m * 16 + lane / 4 + 8] = total[part][1] * units[part];
            }
        }
        end_tile(all_sums, share, t, outputs);
    }
}

#endif
