// SPDX-License-Identifier: Apache-2.0
// How the parts of a long context are added up: those of warps in a block, then those of blocks by
// way of memory.

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
