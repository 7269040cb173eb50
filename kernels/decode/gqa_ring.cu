// SPDX-License-Identifier: Apache-2.0
// Rows of a short context, on their way to a warp by way of a ring in shared memory: as far ahead
// as it goes, which needs no registers while the kernel waits for those before it. What is copied
// in one piece is a whole line of memory; units of 16 bytes are placed such that no eight lanes
// meet in a bank, when they are stored nor when they are read.

// Dynamic shared memory of a block: rings, later the warps' results.
#ifndef GQA_ROOM_BYTES
#define GQA_ROOM_BYTES 65536u
#endif
// Rows that a block has at least, and from one tile of a warp to its next one.
#define GQA_BLOCK_ROWS (GQA_WARPS * GQA_ROWS)

// A head's rows in memory.
struct cache_rows {
    const u8 *k;
    const u8 *v;
    // From a row to the next one.
    u64 pitch;
};

template <u32 HEAD, bool FP8> struct row_ring {
    typedef walk<HEAD, FP8> warp_walk;
    static constexpr u32 row_bytes = warp_walk::row_bytes;
    static constexpr u32 units = warp_walk::units;
    static constexpr u32 k_bytes = GQA_ROWS * row_bytes;
    static constexpr u32 stage_bytes = 2 * k_bytes;
    static constexpr u32 room_bytes = GQA_ROOM_BYTES / GQA_WARPS;
    static constexpr u32 stages = room_bytes / stage_bytes < 8 ? room_bytes / stage_bytes : 8;
    static_assert(stages > 0 && warp_walk::result_bytes <= room_bytes, "the ring is too small");

    cache_rows rows;
    // Where the ring begins, in shared memory.
    u32 room;
    u32 lane;

    // Starts to copy those of the sixteen rows of K from `first` on that are from..to - 1.
    __device__ inline void copy_k(u32 to_room, u32 first, u32 from, u32 to) const
    {
#pragma unroll
        for (u32 i = 0; i < units / 2; i++) {
            const u32 at = i * 32 + lane;
            const u32 r = at / units, unit = at % units;
            const u32 row = first + r;
            const u32 place = units < 8 ? unit : unit ^ (r & 1) * 4;
            if (row >= from && row < to)
                copy_unit(to_room + (r * units + place) * 16, rows.k + row * rows.pitch + unit * 16,
                          true);
        }
    }

    // The same of V, where rows from `end` on become zeros: what weighs nothing must not be NaN.
    __device__ inline void copy_v(u32 to_room, u32 first, u32 from, u32 to, u32 end) const
    {
#pragma unroll
        for (u32 i = 0; i < units / 2; i++) {
            // Four rows of eight units, or eight rows of four: those that are read together.
            const u32 group = units < 8 ? i * 2 + lane / 16 : i / (units / 8);
            const u32 chunk = units < 8 ? 0 : i % (units / 8);
            const u32 r = units < 8 ? lane / 4 % 4 : lane / 8;
            const u32 unit = units < 8 ? lane % 4 : lane % 8;
            const u32 row = first + group / 2 * 8 + r * 2 + group % 2;
            const u32 place =
                units < 8 ? lane / 16 * 16 + r * 4 + (unit ^ r / 2 * 2) : r * 8 + (unit ^ r * 2);
            if (row >= from && (row < to || row >= end))
                copy_unit(to_room + (i * 32 + place) * 16,
                          rows.v + row * rows.pitch + chunk * 128 + unit * 16, row < to);
        }
    }

    __device__ inline void copy(u32 stage, u32 first, u32 from, u32 to, u32 end) const
    {
        copy_k(room + stage * stage_bytes, first, from, to);
        copy_v(room + stage * stage_bytes + k_bytes, first, from, to, end);
    }

    // Starts to copy as many tiles as there is room for, the rows from `settled` on not yet.
    __device__ inline void fill(u32 first, u32 settled, u32 end) const
    {
#pragma unroll
        for (u32 stage = 0; stage < stages; stage++) {
            const u32 row = first + stage * GQA_BLOCK_ROWS;
            if (row < end)
                copy(stage, row, 0, settled, end);
            commit_copies();
        }
    }

    // The rows that were left out, of which there is one at most.
    __device__ inline void fill_newest(u32 first, u32 settled, u32 end) const
    {
#pragma unroll
        for (u32 stage = 0; stage < stages; stage++) {
            const u32 row = first + stage * GQA_BLOCK_ROWS;
            if (row <= settled && settled < row + GQA_ROWS)
                copy(stage, row, settled, end, ~0u); // There are zeros beyond the end already.
        }
        commit_copies();
    }

    __device__ inline void take_k(u32 stage, tile_of_k<HEAD, FP8> &k) const
    {
        const u32 odd = units < 8 ? 0 : lane / 4 % 2 * 64;
        const u32 from = room + stage * stage_bytes + (lane / 4 * units + lane % 4) * 16;
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
#pragma unroll
            for (u32 c = 0; c < units / 4; c++)
                keep_words(load_unit(from + i * 8 * row_bytes + (c * 64 ^ odd)), k.words[i][c]);
        }
    }

    __device__ inline void take_v(u32 stage, tile_of_v<HEAD, FP8> &v) const
    {
        const u32 r = lane % 4, column = lane / 4;
        const u32 from = room + stage * stage_bytes + k_bytes;
#pragma unroll
        for (u32 c = 0; c < warp_walk::v_chunks; c++) {
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                if (units < 8)
                    keep_words(load_half_unit(from +
                                              (i * 16 + r * 4 + (column / 2 ^ r / 2 * 2)) * 16 +
                                              column % 2 * 8),
                               v.words[c][i]);
                else
                    keep_words(load_unit(from + ((i * warp_walk::v_chunks + c) * 32 + r * 8 +
                                                 (column ^ r * 2)) *
                                                    16),
                               v.words[c][i]);
            }
        }
    }

    // The sixteen rows from `first` on.
    __device__ inline void step(warp_walk &walk, u32 stage, u32 first, u32 end, float scale) const
    {
        float scores[4];
        tile_of_k<HEAD, FP8> k;
        take_k(stage, k);
        walk.score(k, first + lane % 4 * 2, 8, end, scale, scores);
        walk.weigh_rows(scores);
        tile_of_v<HEAD, FP8> v;
        take_v(stage, v);
        walk.add_rows(v, scores);
    }

    // Rows first, first + GQA_BLOCK_ROWS and so on, sixteen each.
    __device__ inline void run(warp_walk &walk, u32 first, u32 end, float scale) const
    {
        u32 stage = 0;
        for (u32 row = first; row < end; row += GQA_BLOCK_ROWS) {
            // The newest row comes last of all.
            if (row + GQA_ROWS >= end)
                wait_for_copies<0>();
            else
                wait_for_copies<stages - 1>();
            __syncwarp();
            step(walk, stage, row, end, scale);
            __syncwarp();
            const u32 next = row + stages * GQA_BLOCK_ROWS;
            if (next < end)
                copy(stage, next, 0, end, end);
            commit_copies();
            stage = stage + 1 == stages ? 0 : stage + 1;
        }
    }
};
