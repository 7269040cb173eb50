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
// Rows that a block has at least.
#define GQA_BLOCK_ROWS (GQA_WARPS * GQA_ROWS)
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
            const float *part = (const float *)(rings + warp * walk<HEAD, FP8>::room_bytes);
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
__device__ inline void add_up(attention_room<HEAD> &room, const attention_memory &memory, u32 group,
                              u32 cluster, u32 cluster_count, u32 records_of_group, u32 head_count,
                              bf16 *out, float v_scale)
{
    const u32 rank = GQA_CLUSTER > 1 ? blockIdx.x % GQA_CLUSTER : 0;
    const u32 slice = head_count * HEAD / GQA_CLUSTER;
    attention_record<HEAD> *records =
        (attention_record<HEAD> *)memory.partials + (u64)group * records_of_group;
    for (u32 i = threadIdx.x; i < slice; i += GQA_WARPS * 32) {
        const u32 column = rank * slice + i;
        const u32 head = column / HEAD;
        float weights[GQA_CLUSTER], total, value = 0.0f;
        const float largest = weigh<GQA_CLUSTER>(room.maxima + head * GQA_CLUSTER,
                                                 room.sums + head * GQA_CLUSTER, weights, &total);
#pragma unroll
        for (u32 block = 0; block < GQA_CLUSTER; block++)
            value += weights[block] * room.values[block * slice + i];
        if (cluster_count == 1) {
            out[column] = to_bf16(value / total * v_scale);
        } else {
            records[cluster].values[column] = value;
            if (i == 0 || column % HEAD == 0)
                records[cluster].ends[rank][head] = make_float2(largest, total);
        }
    }
    if (cluster_count == 1)
        return;
    __syncthreads();
    u32 *arrived = memory.arrived + group * GQA_CLUSTER + rank;
    if (threadIdx.x == 0) {
        __threadfence();
        room.is_last = atomicAdd(arrived, 1u) == cluster_count - 1;
        __threadfence();
    }
    __syncthreads();
    if (!room.is_last)
        return;
    for (u32 i = threadIdx.x; i < slice; i += GQA_WARPS * 32) {
        const u32 column = rank * slice + i;
        out[column] = to_bf16(add_records<HEAD>(records, cluster_count, rank, column) * v_scale);
    }
    if (threadIdx.x == 0)
        *arrived = 0;
}

template <u32 HEAD, bool FP8> constexpr u32 walk_stages = walk<HEAD, FP8>::stages;

/* ---- The ring -------------------------------------------------------------------------------- */

// Starts to copy as many tiles as there is room for, the rows from `settled` on not yet.
template <u32 HEAD, bool FP8>
__device__ inline void fill_ring(const walk<HEAD, FP8> &walk, u32 first, u32 settled, u32 end)
{
#pragma unroll
    for (u32 stage = 0; stage < walk_stages<HEAD, FP8>; stage++) {
        const u32 row = first + stage * GQA_BLOCK_ROWS;
        if (row < end)
            walk.copy(stage, row, 0, settled, end);
        commit_copies();
    }
}

// The rows that were left out, of which there is one at most.
template <u32 HEAD, bool FP8>
__device__ inline void fill_newest(const walk<HEAD, FP8> &walk, u32 first, u32 settled, u32 end)
{
#pragma unroll
    for (u32 stage = 0; stage < walk_stages<HEAD, FP8>; stage++) {
        const u32 row = first + stage * GQA_BLOCK_ROWS;
        if (row <= settled && settled < row + GQA_ROWS)
            walk.copy(stage, row, settled, end, ~0u); // There are zeros beyond the end already.
    }
    commit_copies();
}

template <u32 HEAD, bool FP8>
__device__ inline void run_ring(walk<HEAD, FP8> &walk, u32 first, u32 end, float scale)
{
    u32 stage = 0;
    for (u32 row = first; row < end; row += GQA_BLOCK_ROWS) {
        // The newest row comes last of all.
        if (row + GQA_ROWS >= end)
            wait_for_copies<0>();
        else
            wait_for_copies<walk_stages<HEAD, FP8> - 1>();
        __syncwarp();
        walk.step(stage, row, end, scale);
        __syncwarp();
        const u32 next = row + walk_stages<HEAD, FP8> * GQA_BLOCK_ROWS;
        if (next < end)
            walk.copy(stage, next, 0, end, end);
        commit_copies();
        stage = stage + 1 == walk_stages<HEAD, FP8> ? 0 : stage + 1;
    }
}

/* ---- The kernels ----------------------------------------------------------------------------- */

template <u32 HEAD, bool FP8>
__device__ inline void attend(const attention_memory &memory, const attention_shape &shape,
                              attention_room<HEAD> &room, u8 *rings)
{
    const u32 warp = threadIdx.x / 32;
    const u32 shared_heads = shape.heads / shape.kv_heads;
    const u32 kv_groups = (shared_heads + GQA_HEADS - 1) / GQA_HEADS;
    const u32 group_blocks =
        (shape.splits + GQA_CLUSTER_BLOCKS - 1) / GQA_CLUSTER_BLOCKS * GQA_CLUSTER_BLOCKS;
    const u32 group = blockIdx.x / group_blocks;
    const u32 split = blockIdx.x % group_blocks;
    const u32 kv_head = group / kv_groups;
    const u32 first_head = kv_head * shared_heads + group % kv_groups * GQA_HEADS;
    const u32 head_count = min((kv_head + 1) * shared_heads - first_head, GQA_HEADS);
    trigger();
    if (!shape.settled)
        wait_for_predecessors();
    const u32 context = min(*memory.position, shape.capacity - 1) + 1;
    u32 active = shape.splits;
    if (context <= GQA_CLUSTER * GQA_BLOCK_ROWS * (GQA_CLUSTER > 1 ? GQA_CLUSTER_STEPS : 1))
        active = min(active, GQA_CLUSTER);
    const u32 even_rows =
        max((context + active - 1) / active, GQA_CLUSTER > 1 ? 1 : GQA_BLOCK_ROWS);
    const u32 split_rows = (even_rows + GQA_ROWS - 1) / GQA_ROWS * GQA_ROWS;
    const u32 cluster_count = (context + split_rows * GQA_CLUSTER - 1) / (split_rows * GQA_CLUSTER);
    if (split / GQA_CLUSTER >= cluster_count)
        return; // All of a cluster.
    begin_cluster();

    const u32 first = min(split * split_rows, context) + warp * GQA_ROWS;
    const u32 end = min((split + 1) * split_rows, context);
    const u32 settled = shape.settled ? min(end, context - 1) : end;
    const u64 head_bytes = walk<HEAD, FP8>::row_bytes;
    walk<HEAD, FP8> walk;
    walk.begin(memory.k_cache + kv_head * head_bytes, memory.v_cache + kv_head * head_bytes,
               shape.kv_heads * head_bytes, shared_address(rings) + warp * walk.room_bytes);
    // A long context takes more time to read than there is to hide.
    const bool is_short = cluster_count == 1;
    if (is_short)
        fill_ring(walk, first, settled, end);
    float k_scale = 1.0f, v_scale = 1.0f;
    if (FP8) {
        k_scale = memory.scales[kv_head];
        v_scale = memory.scales[shape.kv_heads + kv_head] * 256.0f; // What V lacks.
    }
    if (shape.settled)
        wait_for_predecessors();
    if (is_short && settled < end)
        fill_newest(walk, first, settled, end);
    const float scale =
        walk.load_query(memory.q + first_head * HEAD, head_count) * shape.scale * k_scale * LOG2_E;
    if (is_short)
        run_ring(walk, first, end, scale);
    else
        walk.run(first, GQA_BLOCK_ROWS, end, scale);
    __syncwarp();
    walk.keep((float *)(rings + warp * walk.room_bytes), room.warp_maxima + warp,
              room.warp_sums + warp, head_count);
    __syncthreads();
    wait_for_cluster();
    hand_out<HEAD, FP8>(room, rings, GQA_CLUSTER > 1 ? blockIdx.x % GQA_CLUSTER : 0, head_count);
    if (GQA_CLUSTER == 1)
        __syncthreads();
    arrive_at_cluster();
    wait_for_cluster();
    add_up<HEAD>(room, memory, group, split / GQA_CLUSTER, cluster_count,
                 group_blocks / GQA_CLUSTER, head_count, memory.out + first_head * HEAD, v_scale);
}

#if __CUDA_ARCH__ >= 900
#define GQA_CLUSTER_DIMS __cluster_dims__(GQA_CLUSTER, 1, 1)
#else
#define GQA_CLUSTER_DIMS
#endif

extern __shared__ __align__(16) u8 gqa_rings[];

#define GQA_ENTRY(HEAD)                                                                         \
    extern "C" __global__ void GQA_CLUSTER_DIMS __launch_bounds__(GQA_WARPS * 32)               \
        segue_gqa_decode_##HEAD(const bf16 *q, const u8 *k_cache, const u8 *v_cache,            \
                                const u32 *position, bf16 *out, u32 *arrived, float *partials,  \
                                u32 heads, u32 kv_heads, u32 capacity, float scale, u32 splits, \
                                u32 settled)                                                    \
    {                                                                                           \
        __shared__ attention_room<HEAD> room;                                                   \
        const attention_memory memory = {q,        k_cache, v_cache, nullptr,                   \
                                         position, out,     arrived, partials};                 \
        const attention_shape shape = {heads, kv_heads, capacity, scale, splits, settled};      \
        attend<HEAD, false>(memory, shape, room, gqa_rings);                                    \
    }                                                                                           \
    extern "C" __global__ void GQA_CLUSTER_DIMS __launch_bounds__(GQA_WARPS * 32)               \
        segue_gqa_decode_fp8_##HEAD(const bf16 *q, const u8 *k_cache, const u8 *v_cache,        \
                                    const float *scales, const u32 *position, bf16 *out,        \
                                    u32 *arrived, float *partials, u32 heads, u32 kv_heads,     \
                                    u32 capacity, float scale, u32 splits, u32 settled)         \
    {                                                                                           \
        __shared__ attention_room<HEAD> room;                                                   \
        const attention_memory memory = {q,        k_cache, v_cache, scales,                    \
                                         position, out,     arrived, partials};                 \
        const attention_shape shape = {heads, kv_heads, capacity, scale, splits, settled};      \
        attend<HEAD, true>(memory, shape, room, gqa_rings);                                     \
    }

// The large ones take most of the time that compiling takes.
#ifndef LARGEST_HEAD
#define LARGEST_HEAD 256
#endif

GQA_ENTRY(64)
#if LARGEST_HEAD >= 128
GQA_ENTRY(128)
#endif
#if LARGEST_HEAD >= 256
GQA_ENTRY(256)
#endif
