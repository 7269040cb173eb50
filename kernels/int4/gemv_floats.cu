// SPDX-License-Identifier: Apache-2.0
// Multiplying in bf16 or f16: for any batch, and for x that is too large for the other way.

#if !BYTES

/* ---- Multiplying ----------------------------------------------------------------------------- */

__device__ __forceinline__ void multiply(float *sums, const u32 *a, u32 b0, u32 b1)
{
    asm(MMA "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ u32 fma_pair(u32 a, u32 b, u32 c)
{
    u32 result;
#if X_TYPE == BF16
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
#else
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
#endif
    return result;
}

// Nibbles `shift` / 4 of both halves of the word, plus the magic number.
__device__ __forceinline__ u32 take_pair(u32 word, u32 shift)
{
    u32 result;
    asm("lop3.b32 %0, %1, %2, %3, 0xEA;" // (word & mask) | magic
        : "=r"(result)
        : "r"(word >> shift), "r"(0x000F000Fu), "r"(MAGIC));
    return result;
}

// The A operand of a word of nibbles: rows and columns alternate between registers.
__device__ __forceinline__ void expand_word(u32 word, u32 plane, const factors &f, u32 *a)
{
#pragma unroll
    for (u32 i = 0; i < 4; i++) {
        const u32 q = take_pair(word, 4 * i);
        if (PLANES == 1)
            a[i] = fma_pair(q, ONE, f.minus_zero[i % 2]);
#if WIDE_POINTS
        else if (plane == 0)
            a[i] = fma_pair(q, ONE, f.minus_low[i % 2]);
        else
            a[i] = fma_pair(q, SIXTEEN, f.minus_high[i % 2]);
#else
        else if (plane == 0)
            a[i] = fma_pair(q, ONE, MINUS_MAGIC);
        else
            a[i] = fma_pair(q, SIXTEEN, MINUS_SIXTEEN_MIDDLE);
#endif
    }
}

// Adds 32 columns to the sums of all vectors; `plain` gets the sums of x itself.
template <typename get_x>
__device__ __forceinline__ void add_half(const w_block *w, u32 half, const factors *f, get_x x,
                                         float sums[PASS_TILES][PARTS][4], float plain[PARTS][4])
{
#pragma unroll
    for (u32 plane = 0; plane < PLANES; plane++) {
        u32 first[PASS_TILES][4], second[PASS_TILES][4];
#pragma unroll
        for (u32 tile = 0; tile < PASS_TILES; tile++) {
            const uint4 &stripe = w[tile].stripes[plane][half / 2];
            const factors &own = f[tile * RECORD_GROUPS];
            expand_word(word_of(stripe, half % 2 * 2), plane, own, first[tile]);
            expand_word(word_of(stripe, half % 2 * 2 + 1), plane, own, second[tile]);
        }
#pragma unroll
        for (u32 part = 0; part < PARTS; part++) {
            const uint4 values = x(part, half);
#pragma unroll
            for (u32 tile = 0; tile < PASS_TILES; tile++)
                multiply(sums[tile][part], first[tile], values.x, values.y);
#pragma unroll
            for (u32 tile = 0; tile < PASS_TILES; tile++)
                multiply(sums[tile][part], second[tile], values.z, values.w);
            if (HAS_OFFSETS && plane == 0) {
                const u32 ones[4] = {ONE, ONE, ONE, ONE};
                multiply(plain[part], ones, values.x, values.y);
                multiply(plain[part], ones, values.z, values.w);
            }
        }
    }
}

__device__ __forceinline__ void apply_factors(const factors &f, const float sums[PARTS][4],
                                              const float plain[PARTS][4], float total[PARTS][4])
{
#pragma unroll
    for (u32 part = 0; part < PARTS; part++) {
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            total[part][i] += f.scale[i / 2] * sums[part][i];
            if (HAS_OFFSETS)
                total[part][i] += f.offset[i / 2] * plain[part][i];
        }
    }
}

// Adds a block. With one group a row, `total` is what factors are applied to at the tile's end.
template <typename get_x>
__device__ __forceinline__ void add_block(const w_block *w, const factors *f, get_x x,
                                          float total[PASS_TILES][PARTS][4],
                                          float plain_total[PARTS][4])
{
#if PER_ROW
#pragma unroll
    for (u32 half = 0; half < 4; half++)
        add_half(w, half, f, x, total, plain_total);
#else
#pragma unroll
    for (u32 group = 0; group < RECORD_GROUPS; group++) {
        float sums[PASS_TILES][PARTS][4] = {};
        float plain[PARTS][4] = {};
#pragma unroll
        for (u32 i = 0; i < 4 / RECORD_GROUPS; i++)
            add_half(w, group * (4 / RECORD_GROUPS) + i, f + group, x, sums, plain);
#pragma unroll
        for (u32 tile = 0; tile < PASS_TILES; tile++)
            apply_factors(f[tile * RECORD_GROUPS + group], sums[tile], plain, total[tile]);
    }
#endif
}

/* ---- Vectors --------------------------------------------------------------------------------- */

__device__ __forceinline__ float sum_over_block(float value, float *scratch)
{
    for (u32 distance = 16; distance > 0; distance /= 2)
        value += __shfl_xor_sync(0xFFFFFFFFu, value, distance);
    if (threadIdx.x % 32 == 0)
        scratch[threadIdx.x / 32] = value;
    __syncthreads();
    float sum = 0.0f;
    for (u32 i = 0; i < WARPS; i++)
        sum += scratch[i];
    return sum;
}

// Eight numbers as the instruction takes them: of each four, the even ones first.
__device__ __forceinline__ uint4 permute_x(uint4 v)
{
    return uint4{__byte_perm(v.x, v.y, 0x5410), __byte_perm(v.x, v.y, 0x7632),
                 __byte_perm(v.z, v.w, 0x5410), __byte_perm(v.z, v.w, 0x7632)};
}

// The norm's factors are not kept; they are to be in the L2 cache when they are asked for.
struct held {
    row_factors rows;
};

__device__ __forceinline__ void hold([[maybe_unused]] const vectors &vectors, const ring &,
                                     const u8 *row_record, held &held)
{
    open_row_factors(row_record, held.rows);
#if FLAGS & FLAG_NORM
    for (u32 k = threadIdx.x * 64; k < COLUMNS; k += THREADS * 64)
        asm volatile("prefetch.global.L2 [%0];" ::"l"(vectors.norm + k));
#endif
}

// x to shared memory, normalised if that is asked; columns beyond the last one are 0.
// `scratch` is for sums of the warps, and free again when this returns.
__device__ __forceinline__ void stage_x(const vectors &vectors, u8 *staged,
                                        [[maybe_unused]] float *scratch)
{
    const u32 eights = BLOCKS * 16;
#if FLAGS & FLAG_NORM
    for (u32 m = 0; m < BATCH; m++) {
        const float *row = (const float *)vectors.x + (u64)m * COLUMNS;
        float squares = 0.0f;
        for (u32 k = threadIdx.x; k < COLUMNS; k += THREADS) {
            const float value = read_float(row + k);
            squares += value * value;
        }
        const float mean = sum_over_block(squares, scratch + m % 2 * WARPS) / COLUMNS;
        const float factor = rsqrtf(mean + vectors.epsilon);
        // Pairs in the order of permute_x: columns 0 and 2, 1 and 3 of each four.
        for (u32 i = threadIdx.x; i < eights * 4; i += THREADS) {
            const u32 column = i / 2 * 4 + i % 2;
            float pair[2] = {};
            for (u32 k = 0; k < 2 && column < COLUMNS; k++)
                pair[k] = read_float(row + column + k * 2) * factor *
                          load<BF16>(vectors.norm, column + k * 2);
            *(u32 *)(staged + m * X_ROW_BYTES + i * 4) = pack_pair(pair[0], pair[1]);
        }
    }
#else
    for (u32 i = threadIdx.x; i < BATCH * eights; i += THREADS) {
        const u32 m = i / eights;
        const u32 eight = i % eights;
        uint4 values = {};
        if (COLUMNS % 128 == 0 || eight * 8 < COLUMNS)
            values = read_16((const u16 *)vectors.x + (u64)m * COLUMNS + eight * 8);
        *(uint4 *)(staged + m * X_ROW_BYTES + eight * 16) = permute_x(values);
    }
#endif
    __syncthreads();
}

// The vector that column `lane` / 4 of part `part` of the B operand is; any will do beyond the
// last.
__device__ __forceinline__ u32 vector_of(u32 part, u32 lane)
{
    const u32 m = part * 8 + lane / 4;
    return BATCH == 1 ? 0 : m < BATCH ? m : BATCH - 1;
}

// 16 bytes of x from byte `offset` of a vector on.
__device__ __forceinline__ uint4 read_x(const void *x, const u8 *staged, u32 part, u32 lane,
                                        u32 offset)
{
    const u32 m = vector_of(part, lane);
    if (X_PLACE == X_SHARED)
        return *(const uint4 *)(staged + m * X_ROW_BYTES + offset);
    if (COLUMNS % 128 != 0 && offset >= COLUMNS * 2)
        return uint4{};
    return permute_x(read_16((const u8 *)x + (u64)m * COLUMNS * 2 + offset));
}

/* ---- Walking over the weights ---------------------------------------------------------------- */

__device__ __forceinline__ void walk(const share &share, ring &ring, const vectors &vectors,
                                     [[maybe_unused]] held &held, float *all_sums, u8 *staged,
                                     const outputs &outputs)
{
    const u32 warp = threadIdx.x / 32;
    const u32 lane = threadIdx.x % 32;
    const void *x = vectors.x;
    if (X_PLACE == X_SHARED)
        stage_x(vectors, staged, all_sums);
    // This lane's first number of x.
    const u32 x_offset = ring.first_block * 256 + lane % 4 * 16;
#if X_PLACE == X_REGISTERS
    uint4 x_kept[WARP_BLOCKS][PARTS][4];
#pragma unroll
    for (u32 i = 0; i < WARP_BLOCKS * PARTS * 4; i++) {
        const u32 block = i / (PARTS * 4);
        uint4 &kept = x_kept[block][i / 4 % PARTS][i % 4];
        kept = uint4{};
        if (EVEN_SPLIT || block < ring.block_count)
            kept = read_x(x, nullptr, i / 4 % PARTS, lane, x_offset + block * 256 + i % 4 * 64);
    }
#endif
    constexpr u32 unrolled = X_PLACE == X_GLOBAL ? SLOT_BLOCKS : WARP_BLOCKS;
    for (u32 t = 0; t < share.tile_count; t += STEP_TILES) {
        float total[PASS_TILES][PARTS][4] = {};
        float plain_total[PARTS][4] = {};
        factors f[PASS_TILES * RECORD_GROUPS];
#if PER_ROW
        f[0] = take_row_factors(held.rows, t + 1 == share.tile_count);
#endif
        // Of this warp; a last step may have none.
        const u32 first = t + warp / COLUMN_WARPS;
        const bool has_tiles = ROW_WARPS == 1 || first < share.tile_count;
        const u8 *slot = nullptr;
#pragma unroll unrolled
        for (u32 block = 0; block < WARP_BLOCKS; block++) {
            if (!has_tiles || (!EVEN_SPLIT && block >= ring.block_count))
                break;
            if (block % SLOT_BLOCKS == 0)
                slot = wait_for_slot(ring);
            w_block w[PASS_TILES];
#pragma unroll
            for (u32 tile = 0; tile < PASS_TILES; tile++)
                load_block(slot + (tile * SLOT_BLOCKS + block % SLOT_BLOCKS) * BLOCK_BYTES, lane,
                           w[tile], f + tile * RECORD_GROUPS);
            add_block(
                w, f,
                [&](u32 part, u32 half) {
#if X_PLACE == X_REGISTERS
                    return x_kept[block][part][half];
#else
                    return read_x(x, staged, part, lane, x_offset + block * 256 + half * 64);
#endif
                },
                total, plain_total);
            if (block % SLOT_BLOCKS == SLOT_BLOCKS - 1 || block + 1 == ring.block_count)
                release_slot(ring, lane);
        }
#pragma unroll
        for (u32 tile = 0; tile < PASS_TILES; tile++) {
            const u32 begin = t + tile * ROW_WARPS;
            if (begin >= share.tile_count)
                break;
#if PER_ROW
            float scaled[PARTS][4] = {};
            apply_factors(f[0], total[tile], plain_total, scaled);
#else
            const auto &scaled = total[tile];
#endif
            float *sums = sums_of_warp(all_sums, first + tile * ROW_WARPS, warp % COLUMN_WARPS);
#pragma unroll
            for (u32 i = 0; i < PARTS * 4; i++) {
                const u32 m = i / 4 * 8 + lane % 4 * 2 + i % 2;
                if (m < BATCH && (ROW_WARPS == 1 || first + tile * ROW_WARPS < share.tile_count))
                    sums[m * VECTOR_SUMS + lane / 4 + i % 4 / 2 * 8] = scaled[i / 4][i % 4];
            }
            end_tiles(all_sums, share, min(begin + ROW_WARPS, share.tile_count), outputs);
        }
    }
}

#endif
