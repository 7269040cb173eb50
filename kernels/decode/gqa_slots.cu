// SPDX-License-Identifier: Apache-2.0
// How the kernels for long contexts (gqa_long.cu) share out their work, and how a block's rows come
// into slots in shared memory.

// Dynamic shared memory: the slots, later the warps' results, later sums.
#ifndef GQA_LONG_BYTES
#define GQA_LONG_BYTES 99328u
#endif
// Warps that attend to heads of a size; one more brings rows in.
#ifndef GQA_LONG_WARPS
#define GQA_LONG_WARPS(head) (1024u / (head))
#endif
// Rows of a part at least.
#define GQA_PART_ROWS 64u
// Parts that are on their way at a time when they are added up.
#define GQA_PARTS_AHEAD 8u
// How often a block that is not the last one looks whether it has come: for some us.
#ifndef GQA_LOOKS
#define GQA_LOOKS 20u
#endif

template <u32 HEAD, bool FP8> struct long_shape {
    static constexpr u32 row_bytes = walk<HEAD, FP8>::row_bytes;
    static constexpr u32 units = walk<HEAD, FP8>::units;
    static constexpr u32 v_chunks = walk<HEAD, FP8>::v_chunks;
    static constexpr u32 warps = GQA_LONG_WARPS(HEAD);
    static constexpr u32 threads = (warps + 1) * 32;
    // As few bytes as a slot has; where bands are narrow, gaps make it more.
    static constexpr u32 slots = GQA_LONG_BYTES / (GQA_ROWS * warps * row_bytes);
    static constexpr u32 result_bytes = walk<HEAD, FP8>::result_bytes;
    static_assert(slots >= 2, "no room for a tile");
    static_assert(warps * result_bytes <= GQA_LONG_BYTES, "no room for results");
};

template <u32 HEAD, bool FP8> struct long_room {
    u64 full[long_shape<HEAD, FP8>::slots];
    u64 empty[long_shape<HEAD, FP8>::slots];
    // [head][warp]
    float maxima[GQA_HEADS * long_shape<HEAD, FP8>::warps];
    float sums[GQA_HEADS * long_shape<HEAD, FP8>::warps];
    u32 claimed;
};

// What a block does.
struct long_share {
    // Kv heads of the band, the first of them, and query heads that each has here.
    u32 band;
    u32 kv_head;
    u32 head_count;
    // The band's query head `i` is first_head + i / head_count * shared_heads + i % head_count.
    u32 first_head;
    u32 shared_heads;
    // Of `parts` that the context has this is `part`; of which band and group, `unit`.
    u32 unit;
    u32 part;
    u32 parts;
    u32 context;
    u32 first;
    u32 end;
};

__device__ inline long_share share_band(const attention_shape &shape, u32 warps)
{
    long_share share;
    share.band = warps;
    while (shape.kv_heads % share.band != 0)
        share.band /= 2;
    share.shared_heads = shape.heads / shape.kv_heads;
    const u32 kv_groups = (share.shared_heads + GQA_HEADS - 1) / GQA_HEADS;
    share.unit = blockIdx.x / shape.splits;
    share.part = blockIdx.x % shape.splits;
    share.kv_head = share.unit / kv_groups * share.band;
    const u32 first = share.unit % kv_groups * GQA_HEADS;
    share.first_head = share.kv_head * share.shared_heads + first;
    share.head_count = min(share.shared_heads - first, GQA_HEADS);
    return share;
}

__device__ inline void share_context(const attention_shape &shape, u32 context, long_share &share)
{
    const u32 even_rows = max((context + shape.splits - 1) / shape.splits, GQA_PART_ROWS);
    const u32 part_rows = (even_rows + GQA_ROWS - 1) / GQA_ROWS * GQA_ROWS;
    share.context = context;
    share.parts = (context + part_rows - 1) / part_rows;
    share.first = share.part * part_rows;
    share.end = min(share.first + part_rows, context);
}

__device__ inline u32 query_head(const long_share &share, u32 i)
{
    return share.first_head + i / share.head_count * share.shared_heads + i % share.head_count;
}

/* ---- Slots ----------------------------------------------------------------------------------- */

template <u32 HEAD, bool FP8> struct slot_ring {
    static constexpr u32 warps = long_shape<HEAD, FP8>::warps;

    u32 tile_rows;
    // What a row has of the band, and what four rows take: after them there is a gap, so that no
    // eight lanes that read V meet in a bank, and only pairs of those that read K.
    u32 band_bytes;
    u32 four_bytes;
    u32 slot_bytes;
    u32 count;
    // In shared memory.
    u32 room;
    u32 full;
    u32 empty;
    // The one that is next, and the parity of the round before this one.
    u32 slot;
    u32 parity;

    __device__ inline void begin(const long_share &share, const u8 *memory,
                                 const long_room<HEAD, FP8> &shared)
    {
        tile_rows = GQA_ROWS * (warps / share.band);
        band_bytes = share.band * walk<HEAD, FP8>::row_bytes;
        four_bytes = 4 * band_bytes + 32;
        slot_bytes = tile_rows / 4 * four_bytes;
        count = GQA_LONG_BYTES / slot_bytes;
        room = shared_address(memory);
        full = shared_address(shared.full);
        empty = shared_address(shared.empty);
        slot = 0;
        parity = 1;
    }

    __device__ inline void next()
    {
        slot++;
        if (slot == count) {
            slot = 0;
            parity ^= 1;
        }
    }

#if __CUDA_ARCH__ >= 900
    __device__ inline void begin_barriers() const
    {
        for (u32 i = 0; i < count; i++) {
            asm volatile("mbarrier.init.shared.b64 [%0], 1;" ::"r"(full + i * 8) : "memory");
            asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(empty + i * 8), "r"(warps * 32)
                         : "memory");
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }

    __device__ inline void wait_for(u32 barrier, u32 of_parity) const
    {
        u32 done = 0;
        while (!done)
            asm volatile("{\n\t.reg .pred p;\n\t"
                         "mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n\t"
                         "selp.u32 %0, 1, 0, p;\n\t}"
                         : "=r"(done)
                         : "r"(barrier + slot * 8), "r"(of_parity)
                         : "memory");
    }

    // What the slot holds is there.
    __device__ inline void wait_until_full() const
    {
        wait_for(full, parity ^ 1);
    }

    // This thread needs it no more. Each says so for itself: that costs no more than one for its
    // warp, and tools that look for races can follow it.
    __device__ inline void release() const
    {
        asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(empty + slot * 8) : "memory");
    }

    __device__ inline void copy_bytes(u32 to, const u8 *from, u32 bytes) const
    {
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
                     " [%0], [%1], %2, [%3];" ::"r"(room + slot * slot_bytes + to),
                     "l"(from), "r"(bytes), "r"(full + slot * 8)
                     : "memory");
    }

    // `row_count` rows from `first` on, in fours; from `end` on any row will do.
    __device__ inline void copy(const u8 *from, u64 pitch, u32 first, u32 row_count, u32 end,
                                u32 lane) const
    {
        wait_for(empty, parity);
        if (lane == 0)
            asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(full + slot * 8),
                         "r"(row_count * band_bytes)
                         : "memory");
        __syncwarp();
        for (u32 four = lane; four < row_count / 4; four += 32) {
            const u32 row = first + four * 4;
            if (pitch == band_bytes && row + 4 <= end) {
                copy_bytes(four * four_bytes, from + row * pitch, 4 * band_bytes);
            } else {
                for (u32 i = 0; i < 4; i++)
                    copy_bytes(four * four_bytes + i * band_bytes,
                               from + min(row + i, end - 1) * pitch, band_bytes);
            }
        }
    }
#endif
};

#if __CUDA_ARCH__ >= 900
// The copying warp's part. Rows but the newest one may be settled before the wait.
template <u32 HEAD, bool FP8>
__device__ inline void bring_rows(const attention_memory &memory, const attention_shape &shape,
                                  const long_share &share, slot_ring<HEAD, FP8> &ring)
{
    const u32 lane = threadIdx.x % 32;
    const u64 head_bytes = walk<HEAD, FP8>::row_bytes;
    const u64 pitch = shape.kv_heads * head_bytes;
    const u64 offset = share.kv_head * head_bytes;
    bool is_settled = shape.settled != 0;
    for (u32 row = share.first; row < share.end; row += ring.tile_rows) {
        const u32 row_count =
            min((share.end - row + GQA_ROWS - 1) / GQA_ROWS * GQA_ROWS, ring.tile_rows);
        if (is_settled && row + row_count >= share.context) {
            wait_for_predecessors();
            is_settled = false;
        }
        ring.copy(memory.k_cache + offset, pitch, row, row_count, share.end, lane);
        ring.next();
        ring.copy(memory.v_cache + offset, pitch, row, row_count, share.end, lane);
        ring.next();
    }
    if (is_settled)
        wait_for_predecessors();
}
#endif
