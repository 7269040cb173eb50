// SPDX-License-Identifier: Apache-2.0
// Attention of one token over the cache: for every query head, softmax(scale * q . K) . V over the
// first position + 1 rows (at most the capacity). Query heads h * n .. h * n + n - 1 share kv head
// h, where n = heads / kv_heads; up to eight of them (a group) are done together, so that rows are
// read once.
//
// The rows of a group are shared out among blocks, and those of a block among its warps
// (gqa_walk.cu). How many blocks take part is decided here, by the context: a short one takes a
// cluster, whose blocks hand each other their results through shared memory, each adding up a slice
// of the columns. A long one takes all blocks there are; the clusters meet in `partials`, where the
// last one to arrive adds up a slice of a group in the order of the clusters. So sums have the same
// order, and results the same bits, every time. `arrived` counts, and is zero again afterwards.
// Where there are no clusters, every block is one.
//
// Where the rows of a short context are settled, all but the newest one are on their way before
// this kernel waits for those before it.

// Blocks that the grid has for a group are a multiple of this.
#define GQA_CLUSTER_BLOCKS 8u
#ifndef GQA_CLUSTER
#if __CUDA_ARCH__ >= 900
#define GQA_CLUSTER GQA_CLUSTER_BLOCKS
#else
#define GQA_CLUSTER 1u
#endif
#endif
// Rows up to which a cluster is enough: its blocks take that many more steps sooner than it takes
// to meet in memory.
#ifndef GQA_CLUSTER_STEPS
#define GQA_CLUSTER_STEPS 4u
#endif

// As in struct segue_gqa_decode_constants.
struct attention_shape {
    u32 heads;
    u32 kv_heads;
    u32 capacity;
    float scale;
    u32 splits;
    u32 settled;
};

struct attention_memory {
    const bf16 *q;
    const u8 *k_cache;
    const u8 *v_cache;
    const float *scales;
    const u32 *position;
    bf16 *out;
    u32 *arrived;
    float *partials;
};

// What a block does of it.
struct attention_share {
    u32 group;
    u32 kv_head;
    u32 first_head;
    u32 head_count;
    u32 context;
    // Blocks that the grid has for a group, which of them this is, and clusters that take part.
    u32 group_blocks;
    u32 split;
    u32 cluster_count;
    // Rows of it.
    u32 first;
    u32 end;
};

// Where warps and blocks of a cluster meet. Maxima and sums are [head][who].
template <u32 HEAD> struct __align__(16) attention_room
{
    // [block][column of this one's slice]
    float values[GQA_HEADS * HEAD];
    float maxima[GQA_HEADS * GQA_CLUSTER];
    float sums[GQA_HEADS * GQA_CLUSTER];
    float warp_maxima[GQA_HEADS * GQA_WARPS];
    float warp_sums[GQA_HEADS * GQA_WARPS];
    u32 is_last;
};

/* ---- Clusters -------------------------------------------------------------------------------- */

// All of these do nothing where there are none.
__device__ inline void begin_cluster()
{
#if __CUDA_ARCH__ >= 900
    if (GQA_CLUSTER > 1)
        asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
#endif
}

__device__ inline void arrive_at_cluster()
{
#if __CUDA_ARCH__ >= 900
    if (GQA_CLUSTER > 1)
        asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
}

__device__ inline void wait_for_cluster()
{
#if __CUDA_ARCH__ >= 900
    if (GQA_CLUSTER > 1)
        asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

// Stores to the same place of a block of the cluster.
__device__ inline void store_at(float *place, u32 block, float value)
{
#if __CUDA_ARCH__ >= 900
    if (GQA_CLUSTER > 1) {
        asm volatile("{\n\t.reg .u32 there;\n\t"
                     "mapa.shared::cluster.u32 there, %0, %1;\n\t"
                     "st.shared::cluster.f32 [there], %2;\n\t}" ::"r"(shared_address(place)),
                     "r"(block), "f"(value)
                     : "memory");
        return;
    }
#endif
    *place = value;
}

__device__ inline void store_four_at(float *place, u32 block, float4 v)
{
#if __CUDA_ARCH__ >= 900
    if (GQA_CLUSTER > 1) {
        asm volatile(
            "{\n\t.reg .u32 there;\n\t"
            "mapa.shared::cluster.u32 there, %0, %1;\n\t"
            "st.shared::cluster.v4.f32 [there], {%2,%3,%4,%5};\n\t}" ::"r"(shared_address(place)),
            "r"(block), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w)
            : "memory");
        return;
    }
#endif
    *(float4 *)place = v;
}

/* ---- Adding up ------------------------------------------------------------------------------- */

// What a sum that was counted from `maximum` is worth beside `largest`.
__device__ inline float worth(float maximum, float largest)
{
    return maximum == MINUS_INFINITY ? 0.0f : power_of_two(maximum - largest);
}

// The weights of parts; returns their largest maximum, and what their sums come to.
template <u32 PARTS>
__device__ inline float weigh(const float *maxima, const float *sums, float *weights, float *total)
{
    float largest = MINUS_INFINITY;
    *total = 0.0f;
#pragma unroll
    for (u32 i = 0; i < PARTS; i++)
        largest = fmaxf(largest, maxima[i]);
#pragma unroll
    for (u32 i = 0; i < PARTS; i++) {
        weights[i] = worth(maxima[i], largest);
        *total += weights[i] * sums[i];
    }
    return largest;
}

// The warps' results, to those blocks of the cluster whose slices they are in.
template <u32 HEAD, bool FP8>
__device__ inline void hand_out(attention_room<HEAD> &room, const u8 *rings, u32 rank,
                                u32 head_count)
{
    const u32 slice = head_count * HEAD / GQA_CLUSTER;
    for (u32 i = threadIdx.x * 4; i < head_count * HEAD; i += GQA_WARPS * 128) {
        const u32 head = i / HEAD;
        const u32 to = GQA_CLUSTER > 1 ? i / slice : 0;
        float weights[GQA_WARPS], total;
        const float largest = weigh<GQA_WARPS>(room.warp_maxima + head * GQA_WARPS,
                                               room.warp_sums + head * GQA_WARPS, weights, &total);
        float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll
        for (u32 warp = 0; warp < GQA_WARPS; warp++) {
            const float *part = (const float *)(rings + warp * row_ring<HEAD, FP8>::room_bytes);
            const float4 x = *(const float4 *)(part + walk<HEAD, FP8>::place(head, i % HEAD));
            v.x += weights[warp] * x.x;
            v.y += weights[warp] * x.y;
            v.z += weights[warp] * x.z;
            v.w += weights[warp] * x.w;
        }
        store_four_at(room.values + rank * slice + (i - to * slice), to, v);
        // The first columns of a head in a slice bring its maximum and sum along.
        if (i % HEAD == 0 || i % slice == 0) {
            store_at(room.maxima + head * GQA_CLUSTER + rank, to, largest);
            store_at(room.sums + head * GQA_CLUSTER + rank, to, total);
        }
    }
}

// Whether this block is the last one of `count` to come by; all of what the others have stored
// before is to be seen then. All threads of the block call it.
__device__ inline bool arrive_last(u32 *arrived, u32 count, u32 *is_last)
{
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        *is_last = atomicAdd(arrived, 1u) == count - 1;
        __threadfence();
    }
    __syncthreads();
    return *is_last != 0;
}

// What a cluster leaves in memory: sums of all columns, then [block][head] maximum and sum.
template <u32 HEAD> struct attention_record {
    float values[GQA_HEADS * HEAD];
    float2 ends[GQA_CLUSTER][GQA_HEADS];
};

// Adds up column `column` of a group over all clusters, four at a time on their way.
template <u32 HEAD>
__device__ inline float add_records(const attention_record<HEAD> *records, u32 count, u32 rank,
                                    u32 column)
{
    float largest = MINUS_INFINITY, total = 0.0f, value = 0.0f;
    for (u32 first = 0; first < count; first += 4) {
        float2 ends[4];
        float values[4], higher = largest;
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            const attention_record<HEAD> *record = records + min(first + i, count - 1);
            // Nothing of it may come out of this multiprocessor's cache.
            ends[i] = __ldcg(&record->ends[rank][column / HEAD]);
            values[i] = __ldcg(record->values + column);
        }
#pragma unroll
        for (u32 i = 0; i < 4; i++)
            higher = fmaxf(higher, ends[i].x);
        const float keep = worth(largest, higher);
        total *= keep;
        value *= keep;
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            const float weight = first + i < count ? worth(ends[i].x, higher) : 0.0f;
            total += weight * ends[i].y;
            value += weight * values[i];
        }
        largest = higher;
    }
    return value / total;
}

// This block's slice of the cluster's result: into `out`, or by way of memory where there are more
// clusters.
template <u32 HEAD>
__device__ inline void add_up(attention_room<HEAD> &room, const attention_memory &memory,
                              const attention_share &share, float v_scale)
{
    const u32 rank = GQA_CLUSTER > 1 ? blockIdx.x % GQA_CLUSTER : 0;
    const u32 slice = share.head_count * HEAD / GQA_CLUSTER;
    const bool is_alone = share.cluster_count == 1;
    bf16 *out = memory.out + share.first_head * HEAD + rank * slice;
    attention_record<HEAD> *records = (attention_record<HEAD> *)memory.partials +
                                      (u64)share.group * (share.group_blocks / GQA_CLUSTER);
    attention_record<HEAD> &record = records[share.split / GQA_CLUSTER];
    for (u32 i = threadIdx.x; i < slice; i += GQA_WARPS * 32) {
        const u32 column = rank * slice + i;
        const u32 head = column / HEAD;
        float weights[GQA_CLUSTER], total, value = 0.0f;
        const float largest = weigh<GQA_CLUSTER>(room.maxima + head * GQA_CLUSTER,
                                                 room.sums + head * GQA_CLUSTER, weights, &total);
#pragma unroll
        for (u32 block = 0; block < GQA_CLUSTER; block++)
            value += weights[block] * room.values[block * slice + i];
        if (is_alone) {
            out[i] = to_bf16(value / total * v_scale);
        } else {
            record.values[column] = value;
            if (i == 0 || column % HEAD == 0)
                record.ends[rank][head] = make_float2(largest, total);
        }
    }
    u32 *arrived = memory.arrived + share.group * GQA_CLUSTER + rank;
    if (is_alone || !arrive_last(arrived, share.cluster_count, &room.is_last))
        return;
    for (u32 i = threadIdx.x; i < slice; i += GQA_WARPS * 32)
        out[i] = to_bf16(add_records<HEAD>(records, share.cluster_count, rank, rank * slice + i) *
                         v_scale);
    if (threadIdx.x == 0)
        *arrived = 0;
}

/* ---- The kernels ----------------------------------------------------------------------------- */

// What is not would be read beyond the caches, or divided by.
__device__ inline bool is_sound(const attention_shape &shape)
{
    return shape.capacity > 0 && shape.splits > 0 && shape.kv_heads > 0 &&
           shape.heads >= shape.kv_heads && shape.heads % shape.kv_heads == 0;
}

// Which heads: no position is needed for that.
__device__ inline attention_share share_heads(const attention_shape &shape)
{
    attention_share share;
    const u32 shared_heads = shape.heads / shape.kv_heads;
    const u32 kv_groups = (shared_heads + GQA_HEADS - 1) / GQA_HEADS;
    share.group_blocks =
        (shape.splits + GQA_CLUSTER_BLOCKS - 1) / GQA_CLUSTER_BLOCKS * GQA_CLUSTER_BLOCKS;
    share.group = blockIdx.x / share.group_blocks;
    share.split = blockIdx.x % share.group_blocks;
    share.kv_head = share.group / kv_groups;
    share.first_head = share.kv_head * shared_heads + share.group % kv_groups * GQA_HEADS;
    share.head_count = min((share.kv_head + 1) * shared_heads - share.first_head, GQA_HEADS);
    return share;
}

// Which rows.
__device__ inline void share_rows(const attention_shape &shape, u32 context, attention_share &share)
{
    u32 active = shape.splits;
    if (context <= GQA_CLUSTER * GQA_BLOCK_ROWS * (GQA_CLUSTER > 1 ? GQA_CLUSTER_STEPS : 1))
        active = min(active, GQA_CLUSTER);
    const u32 even_rows =
        max((context + active - 1) / active, GQA_CLUSTER > 1 ? 1 : GQA_BLOCK_ROWS);
    const u32 split_rows = (even_rows + GQA_ROWS - 1) / GQA_ROWS * GQA_ROWS;
    share.context = context;
    share.cluster_count = (context + split_rows * GQA_CLUSTER - 1) / (split_rows * GQA_CLUSTER);
    share.first = min(share.split * split_rows, context);
    share.end = min((share.split + 1) * split_rows, context);
}

// Takes a warp over its rows. A long context takes more time to read than there is to hide, so it
// is read after the wait.
template <u32 HEAD, bool FP8>
__device__ inline void walk_rows(const attention_memory &memory, const attention_shape &shape,
                                 const attention_share &share, walk<HEAD, FP8> &walk, u32 room)
{
    const u32 first = share.first + threadIdx.x / 32 * GQA_ROWS;
    const u32 settled = shape.settled ? min(share.end, share.context - 1) : share.end;
    const u64 head_bytes = walk.row_bytes;
    const cache_rows rows = {memory.k_cache + share.kv_head * head_bytes,
                             memory.v_cache + share.kv_head * head_bytes,
                             shape.kv_heads * head_bytes};
    const row_ring<HEAD, FP8> ring = {rows, room, walk.lane};
    const bool is_short = share.cluster_count == 1;
    if (is_short)
        ring.fill(first, settled, share.end);
    const float k_scale = FP8 ? memory.scales[share.kv_head] : 1.0f;
    if (shape.settled)
        wait_for_predecessors();
    if (is_short && settled < share.end)
        ring.fill_newest(first, settled, share.end);
    const float scale = walk.load_query(memory.q + share.first_head * HEAD, share.head_count) *
                        shape.scale * k_scale * LOG2_E;
    if (is_short) {
        ring.run(walk, first, share.end, scale);
    } else {
        const direct_rows<HEAD, FP8> direct = {rows, walk.lane};
        direct.run(walk, first, GQA_BLOCK_ROWS, share.end, scale);
    }
}

template <u32 HEAD, bool FP8>
__device__ inline void attend(const attention_memory &memory, const attention_shape &shape,
                              attention_room<HEAD> &room, u8 *rings)
{
    constexpr u32 room_bytes = row_ring<HEAD, FP8>::room_bytes;
    const u32 warp = threadIdx.x / 32;
    trigger();
    if (!is_sound(shape))
        return;
    attention_share share = share_heads(shape);
    if (!shape.settled)
        wait_for_predecessors();
    share_rows(shape, min(*memory.position, shape.capacity - 1) + 1, share);
    if (share.split / GQA_CLUSTER >= share.cluster_count || share.kv_head >= shape.kv_heads)
        return; // All of a cluster.
    begin_cluster();
    // 256 is what V lacks.
    const float v_scale = FP8 ? memory.scales[shape.kv_heads + share.kv_head] * 256.0f : 1.0f;
    walk<HEAD, FP8> walk;
    walk.begin();
    walk_rows(memory, shape, share, walk, shared_address(rings) + warp * room_bytes);
    __syncwarp();
    walk.keep((float *)(rings + warp * room_bytes), room.warp_maxima + warp, room.warp_sums + warp,
              GQA_WARPS, share.head_count);
    __syncthreads();
    wait_for_cluster();
    hand_out<HEAD, FP8>(room, rings, GQA_CLUSTER > 1 ? blockIdx.x % GQA_CLUSTER : 0,
                        share.head_count);
    if (GQA_CLUSTER == 1)
        __syncthreads();
    arrive_at_cluster();
    wait_for_cluster();
    add_up<HEAD>(room, memory, share, v_scale);
}
