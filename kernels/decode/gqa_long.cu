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
            asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(empty + i * 8), "r"(warps)
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

    // This warp needs it no more.
    __device__ inline void release(u32 lane) const
    {
        __syncwarp();
        if (lane == 0)
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
    ring.release(lane);
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
    ring.release(lane);
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

/* ---- Adding up ------------------------------------------------------------------------------- */

// What a block leaves in memory: sums of all columns of its heads, then each head's maximum and
// sum.
struct long_record {
    u32 columns;
    u32 floats;
};

__device__ inline long_record record_of(const long_share &share, u32 head_size)
{
    const u32 heads = share.band * share.head_count;
    return {heads * head_size, heads * head_size + (heads + 1) / 2 * 4};
}

__device__ inline void store_four(bf16 *out, float4 v, float factor)
{
    out[0] = to_bf16(v.x * factor);
    out[1] = to_bf16(v.y * factor);
    out[2] = to_bf16(v.z * factor);
    out[3] = to_bf16(v.w * factor);
}

__device__ inline void add_four(float4 &sum, float weight, float4 v)
{
    sum.x += weight * v.x;
    sum.y += weight * v.y;
    sum.z += weight * v.z;
    sum.w += weight * v.w;
}

// 256 is what V lacks.
template <bool FP8>
__device__ inline float scale_of_v(const attention_memory &memory, const attention_shape &shape,
                                   u32 kv_head)
{
    return FP8 ? memory.scales[shape.kv_heads + kv_head] * 256.0f : 1.0f;
}

// The warps' results, into the block's record, or into `out` where it is the only one.
template <u32 HEAD, bool FP8>
__device__ inline void add_warps(const attention_memory &memory, const attention_shape &shape,
                                 const long_share &share, const long_room<HEAD, FP8> &room,
                                 const u8 *results, float *record)
{
    constexpr u32 warps = long_shape<HEAD, FP8>::warps;
    const u32 columns = record_of(share, HEAD).columns;
    for (u32 i = threadIdx.x * 4; i < columns; i += long_shape<HEAD, FP8>::threads * 4) {
        const u32 head = i / HEAD, in_band = head / share.head_count;
        const u32 own = head % share.head_count;
        float largest = MINUS_INFINITY, total = 0.0f;
        for (u32 warp = in_band; warp < warps; warp += share.band)
            largest = fmaxf(largest, room.maxima[own * warps + warp]);
        float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        for (u32 warp = in_band; warp < warps; warp += share.band) {
            const float weight = worth(room.maxima[own * warps + warp], largest);
            const float *result = (const float *)(results + warp * walk<HEAD, FP8>::result_bytes);
            total += weight * room.sums[own * warps + warp];
            add_four(v, weight, *(const float4 *)(result + walk<HEAD, FP8>::place(own, i % HEAD)));
        }
        if (share.parts == 1) {
            store_four(memory.out + query_head(share, head) * HEAD + i % HEAD, v,
                       scale_of_v<FP8>(memory, shape, share.kv_head + in_band) / total);
        } else {
            *(float4 *)(record + i) = v;
            if (i % HEAD == 0)
                *(float2 *)(record + columns + head * 2) = make_float2(largest, total);
        }
    }
}

// A head's sum over some parts.
struct part_sum {
    float largest;
    float total;
    float4 value;
};

// Adds parts from, from + pace and so on.
__device__ inline void add_some(const float *values, const float *ends, u32 floats, u32 from,
                                u32 pace, u32 parts, part_sum &sum)
{
    for (; from < parts; from += pace * GQA_PARTS_AHEAD) {
        float2 end[GQA_PARTS_AHEAD];
        float4 value[GQA_PARTS_AHEAD];
        float higher = sum.largest;
#pragma unroll
        for (u32 i = 0; i < GQA_PARTS_AHEAD; i++) {
            const u64 at = (u64)min(from + i * pace, parts - 1) * floats;
            // Nothing of it may come out of this multiprocessor's cache.
            end[i] = __ldcg((const float2 *)(ends + at));
            value[i] = __ldcg((const float4 *)(values + at));
        }
#pragma unroll
        for (u32 i = 0; i < GQA_PARTS_AHEAD; i++)
            higher = fmaxf(higher, end[i].x);
        const float keep = worth(sum.largest, higher);
        sum.total *= keep;
        sum.value = make_float4(sum.value.x * keep, sum.value.y * keep, sum.value.z * keep,
                                sum.value.w * keep);
#pragma unroll
        for (u32 i = 0; i < GQA_PARTS_AHEAD; i++) {
            const float weight = from + i * pace < parts ? worth(end[i].x, higher) : 0.0f;
            sum.total += weight * end[i].y;
            add_four(sum.value, weight, value[i]);
        }
        sum.largest = higher;
    }
}

// One query head of all parts, into `out`. Each of a few groups of threads adds every so manieth
// part, all columns of it.
template <u32 HEAD, bool FP8>
__device__ inline void add_head(const attention_memory &memory, const attention_shape &shape,
                                const long_share &share, const float *records, u32 head,
                                part_sum *sums)
{
    constexpr u32 quads = HEAD / 4, groups = long_shape<HEAD, FP8>::threads / quads;
    const long_record record = record_of(share, HEAD);
    const u32 group = threadIdx.x / quads, column = threadIdx.x % quads * 4;
    if (group < groups) {
        part_sum sum = {MINUS_INFINITY, 0.0f, make_float4(0.0f, 0.0f, 0.0f, 0.0f)};
        add_some(records + head * HEAD + column, records + record.columns + head * 2, record.floats,
                 group, groups, share.parts, sum);
        sums[threadIdx.x] = sum;
    }
    __syncthreads();
    if (group > 0)
        return;
    float largest = MINUS_INFINITY, total = 0.0f;
    float4 value = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    for (u32 i = 0; i < groups; i++)
        largest = fmaxf(largest, sums[i * quads + threadIdx.x].largest);
    for (u32 i = 0; i < groups; i++) {
        const part_sum &sum = sums[i * quads + threadIdx.x];
        const float weight = worth(sum.largest, largest);
        total += weight * sum.total;
        add_four(value, weight, sum.value);
    }
    store_four(memory.out + query_head(share, head) * HEAD + column, value,
               scale_of_v<FP8>(memory, shape, share.kv_head + head / share.head_count) / total);
}

// The words of a band in `arrived`: parts that are there, claims, and parts that have left.
enum part_word { PARTS_THERE, CLAIMS, PARTS_LEFT, PART_WORDS = 4 };

// For one thread: says that this part is there, and waits a little for those that are not. Returns
// whether all are.
__device__ inline bool arrive_at_parts(u32 *arrived, u32 parts)
{
    __threadfence();
    u32 there = atomicAdd(arrived + PARTS_THERE, 1u) + 1;
    for (u32 look = 0; look < GQA_LOOKS && there < parts; look++)
        there = *(volatile u32 *)(arrived + PARTS_THERE);
    __threadfence();
    return there == parts;
}

// For one thread: the last one to leave puts the words back.
__device__ inline void leave_parts(u32 *arrived, u32 parts)
{
    if (atomicAdd(arrived + PARTS_LEFT, 1u) != parts - 1)
        return;
    for (u32 i = 0; i < PART_WORDS; i++)
        arrived[i] = 0;
}

template <u32 HEAD, bool FP8>
__device__ inline void add_parts(const attention_memory &memory, const attention_shape &shape,
                                 const long_share &share, const float *records,
                                 long_room<HEAD, FP8> &room, part_sum *sums)
{
    u32 *arrived = memory.arrived + share.unit * PART_WORDS;
    const u32 heads = share.band * share.head_count;
    // As many claims as there may be blocks to make them.
    const u32 claimed_heads = (heads + share.parts - 1) / share.parts;
    __syncthreads();
    if (threadIdx.x == 0)
        room.claimed = arrive_at_parts(arrived, share.parts)
                           ? atomicAdd(arrived + CLAIMS, 1u) * claimed_heads
                           : heads;
    __syncthreads();
    for (u32 first = room.claimed; first < heads; first = room.claimed) {
        for (u32 head = first; head < min(first + claimed_heads, heads); head++) {
            add_head<HEAD, FP8>(memory, shape, share, records, head, sums);
            __syncthreads();
        }
        if (threadIdx.x == 0)
            room.claimed = atomicAdd(arrived + CLAIMS, 1u) * claimed_heads;
        __syncthreads();
    }
    if (threadIdx.x == 0)
        leave_parts(arrived, share.parts);
}

/* ---- The kernels ----------------------------------------------------------------------------- */

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
