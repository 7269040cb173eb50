// SPDX-License-Identifier: Apache-2.0
// Rows of a longer context, loaded from memory into registers: all of the next tiles before the
// arithmetic of this one.

template <u32 HEAD, bool FP8> struct direct_rows {
    typedef walk<HEAD, FP8> warp_walk;
    static constexpr u32 units = warp_walk::units;
    // Tiles that are on their way together. Of the largest heads there is room for half of one.
    static constexpr u32 ahead = warp_walk::row_bytes <= 128 ? 2 : 1;
    static constexpr bool halves = HEAD > 128;

    cache_rows rows;
    u32 lane;

    // Beyond the last row any row will do: its weight is 0.
    __device__ inline void load_k(u32 first, u32 end, tile_of_k<HEAD, FP8> &k) const
    {
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
            const u8 *from =
                rows.k + min(first + i * 8 + lane / 4, end - 1) * rows.pitch + lane % 4 * 16;
#pragma unroll
            for (u32 c = 0; c < units / 4; c++)
                keep_words(load_unit(from + c * 64), k.words[i][c]);
        }
    }

    __device__ inline void load_v(u32 first, u32 end, tile_of_v<HEAD, FP8> &v) const
    {
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            const u32 row = first + i / 2 * 8 + lane % 4 * 2 + i % 2;
            const u8 *from =
                rows.v + min(row, end - 1) * rows.pitch + lane / 4 * (units < 8 ? 8 : 16);
#pragma unroll
            for (u32 c = 0; c < warp_walk::v_chunks; c++) {
                if (units < 8)
                    keep_words(load_half_unit(from), v.words[c][i]);
                else
                    keep_words(load_unit(from + c * 128), v.words[c][i]);
            }
        }
    }

    __device__ inline void run_by_halves(warp_walk &walk, u32 first, u32 pace, u32 end,
                                         float scale) const
    {
        for (; first < end; first += pace) {
            float scores[4];
            tile_of_k<HEAD, FP8> k;
            load_k(first, end, k);
            walk.score(k, first + lane % 4 * 2, 8, end, scale, scores);
            tile_of_v<HEAD, FP8> v;
            load_v(first, end, v);
            walk.weigh_rows(scores);
            walk.add_rows(v, scores);
        }
    }

    __device__ inline void run_ahead(warp_walk &walk, u32 first, u32 pace, u32 end,
                                     float scale) const
    {
        tile_of_k<HEAD, FP8> k[ahead];
        tile_of_v<HEAD, FP8> v[ahead];
#pragma unroll
        for (u32 i = 0; i < ahead; i++) {
            if (first + i * pace < end) {
                load_k(first + i * pace, end, k[i]);
                load_v(first + i * pace, end, v[i]);
            }
        }
        for (; first < end; first += ahead * pace) {
#pragma unroll
            for (u32 i = 0; i < ahead; i++) {
                const u32 row = first + i * pace, next = row + ahead * pace;
                if (row >= end)
                    break;
                float scores[4];
                walk.score(k[i], row + lane % 4 * 2, 8, end, scale, scores);
                if (next < end)
                    load_k(next, end, k[i]);
                walk.weigh_rows(scores);
                walk.add_rows(v[i], scores);
                if (next < end)
                    load_v(next, end, v[i]);
            }
        }
    }

    // Rows first, first + pace and so on, sixteen each.
    __device__ inline void run(warp_walk &walk, u32 first, u32 pace, u32 end, float scale) const
    {
        if (halves)
            run_by_halves(walk, first, pace, end, scale);
        else
            run_ahead(walk, first, pace, end, scale);
    }
};
