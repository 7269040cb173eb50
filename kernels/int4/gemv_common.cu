// SPDX-License-Identifier: Apache-2.0
// y = W x for packed quantised W (docs/int4-layout.md) and a few vectors x. The build puts the
// gemv_*.cu files one after the other into one source: common, epilogue, floats, bytes, kernel.
//
// A warp owns a range of columns and walks down the tiles of its thread block, so that its x stays
// where it is; with many vectors it takes several tiles at a time, so that x is read less often,
// and other warps take other tiles; with one it may, so that sums do not wait for each other. The
// warps' sums of a tile meet in shared memory and are added in the order of the columns. Weights
// come in slots of a ring that each warp fills for itself, in shared memory; what fits of them is
// on its way before the kernel waits for the one before it in the graph, since weights are
// constant. Sixteen rows of weights are the A operand of a matrix instruction, the vectors its B
// operand; weights are exact there, and scales are applied to sums in f32.
//
// Options: ROWS, COLUMNS, BITS, GROUP, SCALE_TYPE, ZERO, PAIR_STRIDE, BATCH, X_TYPE, OUT_TYPE,
// FLAGS, HEADS, KV_HEADS as in struct segue_quant_gemv_constants; ENTRY, the kernel's name; BYTES,
// which of the two ways of multiplying; and, for speed alone, WARPS, SLOTS, SLOT_BLOCKS,
// ROUND_TILES, X_PLACE, RESIDENT, LATE_TRIGGER (0: at the start, 1: after the wait, 2: after x),
// ROW_WARPS, PASS_TILES, SUM_BUFFERS.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// enum segue_quant_type, enum segue_quant_zero, enum segue_quant_gemv_flags.
#define BF16 0
#define F16 1
#define F32 2
#define ZERO_MIDDLE 0
#define ZERO_POINTS 1
#define ZERO_OFFSETS 2
#define ZERO_MIDDLE_OFFSETS 3
#define FLAG_BIAS 1
#define FLAG_RESIDUAL 2
#define FLAG_NORM 4
#define FLAG_SILU_MUL 8
#define FLAG_ROPE_KV 16
#define FLAG_ARGMAX 32
#define FLAG_ADVANCE 64
#define FLAG_KV_FP8 128

// Where a warp has its part of x: in shared memory, in registers, or it reads it again for each
// tile.
#define X_SHARED 0
#define X_REGISTERS 1
#define X_GLOBAL 2

#if GROUP == COLUMNS
#define PER_ROW 1
#else
#define PER_ROW 0
#endif
#define HAS_OFFSETS (ZERO == ZERO_OFFSETS || ZERO == ZERO_MIDDLE_OFFSETS)
// Zero points of 8 bits are stored as the weights are, with 128 added.
#define WIDE_POINTS (BITS == 8 && ZERO == ZERO_POINTS)
#define TILES ((ROWS + 15) / 16)
#define BLOCKS ((COLUMNS + 127) / 128)
#define PLANES (BITS / 4)
#define PLANE_BYTES 1024
// Groups in the record of scales of a block, or of a tile.
#define RECORD_GROUPS (PER_ROW ? 1 : 128 / GROUP)
#define SCALE_BYTES (SCALE_TYPE == F32 ? 4 : 2)
#define ZERO_BYTES (ZERO == ZERO_POINTS ? 1 : HAS_OFFSETS ? SCALE_BYTES : 0)
#define RECORD_BYTES (16 * RECORD_GROUPS * (SCALE_BYTES + ZERO_BYTES))
#define BLOCK_BYTES (PLANES * PLANE_BYTES + (PER_ROW ? 0 : RECORD_BYTES))
#define TILE_BYTES ((u64)BLOCKS * BLOCK_BYTES + (PER_ROW ? RECORD_BYTES : 0))

#define THREADS (WARPS * 32)
// The columns are split over COLUMN_WARPS, the tiles over ROW_WARPS, of which each takes PASS_TILES
// at a time: those that are ROW_WARPS apart.
#define COLUMN_WARPS (WARPS / ROW_WARPS)
#define STEP_TILES (ROW_WARPS * PASS_TILES)
#define WARP_BLOCKS ((BLOCKS + COLUMN_WARPS - 1) / COLUMN_WARPS)
#define EVEN_SPLIT (BLOCKS % COLUMN_WARPS == 0)
// What a slot has of a tile, and all of it.
#define PIECE_BYTES (SLOT_BLOCKS * BLOCK_BYTES)
#define SLOT_BYTES (PASS_TILES * PIECE_BYTES)
#define WARP_SLOTS ((WARP_BLOCKS + SLOT_BLOCKS - 1) / SLOT_BLOCKS)
#define EVEN_SLOTS (EVEN_SPLIT && WARP_BLOCKS % SLOT_BLOCKS == 0)

// Eights of columns of the B operand; bytes take two for each vector.
#define PARTS ((BATCH * (BYTES ? 2 : 1) + 7) / 8)
// From one vector's sums to the next one's: many are so far apart that what lanes store at a time
// goes to different banks.
#define VECTOR_SUMS (BATCH > 4 && !BYTES ? 20 : 16)
#define TILE_SUMS (VECTOR_SUMS * BATCH)
// Both rows of a pair are one thread's business.
#define PAIRED_OUT ((FLAGS & (FLAG_SILU_MUL | FLAG_ROPE_KV)) != 0)
#define TILE_RESULTS (PAIRED_OUT ? 8 * BATCH : 16 * BATCH)
// A row of x in shared memory: whole blocks, and 64 bytes that put neighbours in other banks.
#define X_ROW_BYTES (BLOCKS * 256 + 64)

#if X_TYPE == BF16
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
#define MAGIC 0x43004300u // 128 + q, for q below 128.
#define MINUS_MAGIC 0xC300C300u
#define ONE 0x3F803F80u
#define SIXTEEN 0x41804180u
#define MINUS_SIXTEEN_MAGIC 0xC500C500u  // -16 * 128, in units of 16.
#define MINUS_SIXTEEN_MIDDLE 0xC508C508u // -16 * (128 + 8)
#else
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
#define MAGIC 0x64006400u // 1024 + q.
#define MINUS_MAGIC 0xE400E400u
#define ONE 0x3C003C00u
#define SIXTEEN 0x4C004C00u
#define MINUS_SIXTEEN_MAGIC 0xF400F400u  // -16 * 1024, in units of 16.
#define MINUS_SIXTEEN_MIDDLE 0xF408F408u // -16 * (1024 + 8)
#endif

#define HAS_BULK_COPY (__CUDA_ARCH__ >= 900)

// struct segue_quant_gemv_constants. All but the epsilon and the capacity is compiled in.
struct constants {
    u32 words[11];
    float epsilon;
    u32 heads;
    u32 kv_heads;
    u32 capacity;
};

/* ---- Numbers --------------------------------------------------------------------------------- */

__device__ __forceinline__ float f16_to_float(u16 value)
{
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value));
    return result;
}

__device__ __forceinline__ u16 f16_from_float(float value)
{
    u16 result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result) : "f"(value));
    return result;
}

__device__ __forceinline__ u16 bf16_from_float(float value)
{
    u16 result;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result) : "f"(value));
    return result;
}

// Element `i` of an array of bf16, f16 or f32.
template <int type> __device__ __forceinline__ float load(const void *array, u64 i)
{
    if (type == F32)
        return ((const float *)array)[i];
    const u16 half = ((const u16 *)array)[i];
    return type == BF16 ? __uint_as_float((u32)half << 16) : f16_to_float(half);
}

template <int type> __device__ __forceinline__ void store(void *array, u64 i, float value)
{
    if (type == F32)
        ((float *)array)[i] = value;
    else
        ((u16 *)array)[i] = type == BF16 ? bf16_from_float(value) : f16_from_float(value);
}

// Two numbers of the activations' type, in memory order.
__device__ __forceinline__ u32 pack_pair(float first, float second)
{
    const u16 low = X_TYPE == BF16 ? bf16_from_float(first) : f16_from_float(first);
    const u16 high = X_TYPE == BF16 ? bf16_from_float(second) : f16_from_float(second);
    return low | (u32)high << 16;
}

/* ---- Weights from memory --------------------------------------------------------------------- */

__device__ __forceinline__ u32 shared_address(const void *pointer)
{
    return (u32)__cvta_generic_to_shared(pointer);
}

// A warp's slots, filled in the order in which it needs them.
struct ring {
    u8 *slots;
    u64 *barriers;
    // What the next copy takes, and which of the tile's slots that is.
    const u8 *next;
    u32 next_part;
    u32 first_block;
    u32 block_count;
    u32 issued;
    u32 total;
    // Tiles that are left for steps of several: from this warp's first one of the next step on.
    u32 tiles_left;
    // What is taken out next, and the parity of its barrier.
    u32 slot;
    u32 parity;
    u64 policy;
};

__device__ __forceinline__ u32 slot_bytes_of(const ring &ring, u32 part)
{
    if (EVEN_SLOTS)
        return PIECE_BYTES;
    const u32 left = ring.block_count - part * SLOT_BLOCKS;
    return (left < SLOT_BLOCKS ? left : SLOT_BLOCKS) * BLOCK_BYTES;
}

__device__ __forceinline__ u32 slots_of_tile(const ring &ring)
{
    return EVEN_SLOTS ? WARP_SLOTS : (ring.block_count + SLOT_BLOCKS - 1) / SLOT_BLOCKS;
}

// Starts the copy of the next slot into slot `slot`. All lanes call it.
__device__ __forceinline__ void fill_slot(ring &ring, u32 slot, u32 lane)
{
    const u32 bytes = slot_bytes_of(ring, ring.next_part);
    const u32 tiles =
        PASS_TILES == 1 ? 1 : min((ring.tiles_left + ROW_WARPS - 1) / ROW_WARPS, (u32)PASS_TILES);
    const u32 target = shared_address(ring.slots + slot * SLOT_BYTES);
#if HAS_BULK_COPY
    if (lane == 0) {
        const u32 barrier = shared_address(ring.barriers + slot);
        asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(barrier),
                     "r"(bytes * tiles)
                     : "memory");
#pragma unroll
        for (u32 tile = 0; tile < PASS_TILES; tile++) {
            if (tile >= tiles)
                break;
            asm volatile(
                "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
                ".L2::cache_hint [%0], [%1], %2, [%3], %4;" ::"r"(target + tile * PIECE_BYTES),
                "l"(ring.next + tile * (ROW_WARPS * TILE_BYTES)), "r"(bytes), "r"(barrier),
                "l"(ring.policy)
                : "memory");
        }
    }
#else
    for (u32 tile = 0; tile < tiles; tile++) {
        for (u32 at = lane * 16; at < bytes; at += 512)
            asm volatile(
                "cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(target + tile * PIECE_BYTES + at),
                "l"(ring.next + tile * (ROW_WARPS * TILE_BYTES) + at)
                : "memory");
    }
#endif
    ring.next += bytes;
    if (++ring.next_part == slots_of_tile(ring)) {
        ring.next_part = 0;
        ring.next += STEP_TILES * TILE_BYTES - (u64)ring.block_count * BLOCK_BYTES;
        if (PASS_TILES > 1)
            ring.tiles_left -= STEP_TILES;
    }
    ring.issued++;
}

// Kernels that depend on this one may start: their first weights come while this one computes.
__device__ __forceinline__ void trigger()
{
#if HAS_BULK_COPY
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}

__device__ __forceinline__ void end_copies()
{
#if !HAS_BULK_COPY
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

__device__ __forceinline__ void open_ring(ring &ring, u32 lane)
{
#if HAS_BULK_COPY
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(ring.policy));
    if (lane == 0) {
        for (u32 i = 0; i < SLOTS; i++)
            asm volatile(
                "mbarrier.init.shared.b64 [%0], 1;" ::"r"(shared_address(ring.barriers + i))
                : "memory");
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncwarp();
#endif
    for (u32 i = 0; i < SLOTS; i++) {
        if (i < ring.total)
            fill_slot(ring, i, lane);
        end_copies();
    }
    if (!LATE_TRIGGER)
        trigger();
}

// Waits until the next slot is there.
__device__ __forceinline__ const u8 *wait_for_slot(ring &ring)
{
#if HAS_BULK_COPY
    const u32 barrier = shared_address(ring.barriers + ring.slot);
    u32 done;
    do {
        asm volatile("{\n\t.reg .pred p;\n\t"
                     "mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n\t"
                     "selp.u32 %0, 1, 0, p;\n\t}"
                     : "=r"(done)
                     : "r"(barrier), "r"(ring.parity)
                     : "memory");
    } while (!done);
#else
    // One group was committed for each slot, empty ones included.
    asm volatile("cp.async.wait_group %0;" ::"n"(SLOTS - 1) : "memory");
    __syncwarp();
#endif
    return ring.slots + ring.slot * SLOT_BYTES;
}

// Gives the slot back and fills it again. What was read of it must have been used: a load that is
// still queued does not hold the copy back.
__device__ __forceinline__ void release_slot(ring &ring, u32 lane)
{
    __syncwarp();
    if (ring.issued < ring.total)
        fill_slot(ring, ring.slot, lane);
    __syncwarp();
    end_copies();
    if (++ring.slot == SLOTS) {
        ring.slot = 0;
        ring.parity ^= 1;
    }
}

/* ---- Scales ---------------------------------------------------------------------------------- */

// Of the two rows of a lane (row and row + 8): what each group is multiplied with, and what stands
// for its zero.
struct factors {
    float scale[2];
    float offset[2];
    // -(magic + zero), twice.
    u32 minus_zero[2];
#if WIDE_POINTS
    // Of the zero point's lower and upper four bits, as the planes take them.
    u32 minus_low[2];
    u32 minus_high[2];
#endif
};

// Two neighbours of an array of scales: pair `i`.
__device__ __forceinline__ void load_scales(const u8 *array, u32 i, float *out)
{
    if (SCALE_TYPE == F32) {
        const float2 pair = ((const float2 *)array)[i];
        out[0] = pair.x;
        out[1] = pair.y;
        return;
    }
    const u32 pair = ((const u32 *)array)[i];
    out[0] = SCALE_TYPE == BF16 ? __uint_as_float(pair << 16) : f16_to_float((u16)pair);
    out[1] =
        SCALE_TYPE == BF16 ? __uint_as_float(pair & 0xFFFF0000u) : f16_to_float((u16)(pair >> 16));
}

// Pair `index` of a record in shared or global memory.
__device__ __forceinline__ factors load_factors(const u8 *record, u32 index)
{
    factors f;
    const u8 *zeros = record + 16 * RECORD_GROUPS * SCALE_BYTES;
    load_scales(record, index, f.scale);
    f.offset[0] = f.offset[1] = 0.0f;
    if (HAS_OFFSETS)
        load_scales(zeros, index, f.offset);
    const u32 middle = ZERO == ZERO_MIDDLE || ZERO == ZERO_MIDDLE_OFFSETS ? 8 : 0;
    const u32 points = ZERO == ZERO_POINTS ? ((const u16 *)zeros)[index] : middle * 0x0101u;
    f.minus_zero[0] = MINUS_MAGIC + (points & 0xFF) * 0x00010001u;
    f.minus_zero[1] = MINUS_MAGIC + (points >> 8) * 0x00010001u;
#if WIDE_POINTS
#pragma unroll
    for (u32 i = 0; i < 2; i++) {
        f.minus_low[i] = MINUS_MAGIC + (points >> 8 * i & 15) * 0x00010001u;
        f.minus_high[i] = MINUS_SIXTEEN_MAGIC + (points >> (8 * i + 4) & 15) * 0x00010001u;
    }
#endif
    return f;
}

/* ---- Vectors --------------------------------------------------------------------------------- */

// Read after the wait, and not through a path that assumes constant memory.
__device__ __forceinline__ uint4 read_16(const void *address)
{
    uint4 value;
    asm volatile("ld.global.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                 : "l"(address)
                 : "memory");
    return value;
}

__device__ __forceinline__ float read_float(const float *address)
{
    float value;
    asm volatile("ld.global.f32 %0, [%1];" : "=f"(value) : "l"(address) : "memory");
    return value;
}

// What the vectors are made of.
struct vectors {
    const void *x;
    const u16 *norm;
    float epsilon;
};

/* ---- Walking over the weights ---------------------------------------------------------------- */

// A block's weights of a lane: a stripe of 64 columns is 16 bytes.
struct w_block {
    uint4 stripes[PLANES][2];
};

__device__ __forceinline__ u32 word_of(const uint4 &words, u32 i)
{
    return i == 0 ? words.x : i == 1 ? words.y : i == 2 ? words.z : words.w;
}

__device__ __forceinline__ void load_weights(const u8 *at, u32 lane, w_block &w)
{
#pragma unroll
    for (u32 i = 0; i < PLANES * 2; i++)
        w.stripes[i / 2][i % 2] = *(const uint4 *)(at + i * 512 + lane * 16);
}

// A block of the ring in registers.
__device__ __forceinline__ void load_block(const u8 *at, u32 lane, w_block &w,
                                           factors f[RECORD_GROUPS])
{
    load_weights(at, lane, w);
#if !PER_ROW
#pragma unroll
    for (u32 group = 0; group < RECORD_GROUPS; group++)
        f[group] = load_factors(at + PLANES * PLANE_BYTES, lane / 4 * RECORD_GROUPS + group);
#endif
}

// With one group a row, a tile's factors are at its end; they are on their way while the tile
// before it is worked on, and the first ones before the wait.
struct row_factors {
#if PER_ROW
    const u8 *record;
    factors next;
#endif
};

__device__ __forceinline__ void open_row_factors([[maybe_unused]] const u8 *record,
                                                 [[maybe_unused]] row_factors &rows)
{
#if PER_ROW
    rows.record = record;
    rows.next = load_factors(record, threadIdx.x % 32 / 4);
#endif
}

#if PER_ROW
__device__ __forceinline__ factors take_row_factors(row_factors &rows, bool is_last)
{
    const factors taken = rows.next;
    if (!is_last)
        open_row_factors(rows.record + TILE_BYTES, rows);
    return taken;
}
#endif

// What a thread block works on.
struct share {
    u32 first_tile;
    u32 tile_count;
};

// Room for two rounds of tiles, so that one can be added up while the next is written, or for one.
#define ROUND_SUMS (ROUND_TILES * COLUMN_WARPS * TILE_SUMS)
#define SUMS_FLOATS (SUM_BUFFERS * ROUND_SUMS)
