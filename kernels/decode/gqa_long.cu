// SPDX-License-Identifier: Apache-2.0
// Attention over long contexts. A block takes kv heads whose rows lie side by side in memory (a
// band, of all kv heads where there are no more than warps) over a part of the context. One warp
// brings rows in, as bulk copies into slots that all others read, each its own head's share. Where
// a band is all of a row, a copy is four of them: it takes as much time to start one as to read a
// KB. As much is on its way as there is room for, and takes neither registers nor cache.
// Slots hold K and V of a tile by turns.
//
// Parts meet in `partials`. When the last one has come, those that have done their own just before
// are still there, and all of them add up heads as they claim them: a sum has the same order
// whoever does it. Nobody waits for long, so nothing depends on how many blocks run at a time. The
// words of `arrived` are zero before and after.
//
// Where there are no bulk copies, warps load their rows themselves.

#if __CUDA_ARCH__ >= 900
// The sixteen rows from `first` on, of which a lane of V has four in a row, which begin with row
// `sub` of the tile, `column_bytes` into it.
template <u32 HEAD, bool FP8>
__device__ inline void walk_tile(walk<HEAD, FP8> &walk, slot_ring<HEAD, FP8> &ring,
                                 u32 column_bytes, u32 sub, u32 first, u32 end, float scale)
{
    constexpr u32 units = long_shape<HEAD, FP8>::units;
    const u32 lane = walk.lane;
    float scores[4];
    ring.wait_until_full();
    if (first < end) {
        const u32 from = ring.room + ring.slot * ring.slot_bytes + column_bytes +
                         (sub / 4 + lane / 8) * ring.four_bytes + lane / 4 % 2 * ring.band_bytes +
                         lane % 4 * 16;
        tile_of_k<HEAD, FP8> k;
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
#pragma unroll
            for (u32 c = 0; c < units / 4; c++)
                keep_words(load_unit(from + i * 2 * ring.band_bytes + c * 64), k.words[i][c]);
        }
        walk.score(k, first + lane % 4 * 4, 2, end, scale, scores);
    }
    ring.release();
    ring.next();
    if (first < end)
        walk.weigh_rows(scores);
    ring.wait_until_full();
    if (first < end) {
        const u32 from = ring.room + ring.slot * ring.slot_bytes + column_bytes +
                         (sub / 4 + lane % 4) * ring.four_bytes + lane / 4 * (units < 8 ? 8 : 16);
        tile_of_v<HEAD, FP8> v;
#pragma unroll
        for (u32 c = 0; c < long_shape<HEAD, FP8>::v_chunks; c++) {
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                const u32 at = from + i * ring.band_bytes + c * 128;
                if (units < 8)
                    keep_words(load_half_unit(at), v.words[c][i]);
                else
                    keep_words(load_unit(at), v.words[c][i]);
            }
        }
        walk.add_rows(v, scores);
    }
    ring.release();
    ring.next();
}
#endif

// An attending warp's part.
template <u32 HEAD, bool FP8>
__device__ inline void walk_long(const attention_memory &memory, const attention_shape &shape,
                                 const long_share &share, slot_ring<HEAD, FP8> &ring,
                                 walk<HEAD, FP8> &walk)
{
    const u32 warp = threadIdx.x / 32;
    const u32 in_band = warp % share.band;
    const u32 sub = warp / share.band * GQA_ROWS;
    const u32 kv_head = share.kv_head + in_band;
    const float k_scale = FP8 ? memory.scales[kv_head] : 1.0f;
    if (shape.settled)
        wait_for_predecessors();
    const float scale =
        walk.load_query(memory.q + query_head(share, in_band * share.head_count) * HEAD,
                        share.head_count) *
        shape.scale * k_scale * LOG2_E;
#if __CUDA_ARCH__ >= 900
    for (u32 row = share.first; row < share.end; row += ring.tile_rows)
        walk_tile(walk, ring, in_band * walk.row_bytes, sub, row + sub, share.end, scale);
#else
    const u64 head_bytes = walk.row_bytes;
    const direct_rows<HEAD, FP8> direct = {{memory.k_cache + kv_head * head_bytes,
                                            memory.v_cache + kv_head * head_bytes,
                                            shape.kv_heads * head_bytes},
                                           walk.lane};
    direct.run(walk, share.first + sub, ring.tile_rows, share.end, scale);
#endif
}

template <u32 HEAD, bool FP8>
__device__ inline void attend_long(const attention_memory &memory, const attention_shape &shape,
                                   long_room<HEAD, FP8> &room, u8 *slots)
{
    constexpr u32 warps = long_shape<HEAD, FP8>::warps;
    const u32 warp = threadIdx.x / 32;
    trigger();
    if (!is_sound(shape))
        return;
    long_share share = share_band(shape, warps);
    slot_ring<HEAD, FP8> ring;
    ring.begin(share, slots, room);
#if __CUDA_ARCH__ >= 900
    if (threadIdx.x == 0)
        ring.begin_barriers();
    __syncthreads();
#endif
    if (!shape.settled)
        wait_for_predecessors();
    share_context(shape, min(*memory.position, shape.capacity - 1) + 1, share);
    if (share.part >= share.parts || share.kv_head >= shape.kv_heads)
        return;
    walk<HEAD, FP8> walk;
    walk.begin();
#if __CUDA_ARCH__ >= 900
    if (warp == warps)
        bring_rows(memory, shape, share, ring);
    else
#endif
        if (warp < warps)
        walk_long(memory, shape, share, ring, walk);
    __syncthreads(); // Where the slots were, results are kept.
    if (warp < warps)
        walk.keep((float *)(slots + warp * walk.result_bytes), room.maxima + warp, room.sums + warp,
                  warps, share.head_count);
    __syncthreads();
    const u32 floats = record_of(share, HEAD).floats;
    float *records =
        memory.partials + (u64)share.unit * shape.splits * (share.band * GQA_HEADS * (HEAD + 2));
    add_warps<HEAD, FP8>(memory, shape, share, room, slots, records + (u64)share.part * floats);
    if (share.parts > 1)
        add_parts<HEAD, FP8>(memory, shape, share, records, room, (part_sum *)slots);
}
