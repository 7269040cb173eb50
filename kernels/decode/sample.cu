// SPDX-License-Identifier: Apache-2.0
// A token drawn from the `top_k` largest logits, with probabilities as exp(logit / temperature).
// The same numbers, seed and position give the same token.
//
// Every 2048 logits are an item: a block finds its largest by halving, bit by bit, the range of
// keys that the last of them lies in, counting over the block each time; it stops as soon as the
// count is right. The last block to arrive does the same with all items' candidates, puts what is
// left in order, and draws: one uniform number of Philox4x32-10 (J. Salmon et al., "Parallel random
// numbers: as easy as 1, 2, 3", 2011) with the seed as key and the position as counter. Keys are
// distinct, so which candidates there are, and their order at the end, depends on nothing but the
// logits.

#define MAX_TOP_K 64u
// Candidates that the last block takes at a time, beside those it has.
#define MERGE_PER_THREAD 16

// struct segue_sampling.
struct sampling {
    u32 seed[2];
    float temperature;
    u32 top_k;
};

__device__ inline u32 philox(const u32 *seed, u32 position)
{
    u32 key[2] = {seed[0], seed[1]};
    u32 words[4] = {position, 0, 0, 0};
    for (u32 round = 0; round < 10; round++) {
        const u64 first = (u64)0xD2511F53u * words[0];
        const u64 second = (u64)0xCD9E8D57u * words[2];
        words[0] = (u32)(second >> 32) ^ words[1] ^ key[0];
        words[2] = (u32)(first >> 32) ^ words[3] ^ key[1];
        words[1] = (u32)second;
        words[3] = (u32)first;
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    return words[0];
}

// A bound that `wanted` of the block's keys reach, or all if there are fewer. `counts` is [2][8].
template <u32 PER_THREAD> __device__ inline u64 find_bound(const u64 *keys, u32 wanted, u32 *counts)
{
    u64 bound = 0;
    for (u32 bit = 64; bit-- > 0;) {
        const u64 higher = bound | (u64)1 << bit;
        u32 count = 0;
#pragma unroll
        for (u32 i = 0; i < PER_THREAD; i++)
            count += keys[i] >= higher;
        count = __reduce_add_sync(0xFFFFFFFFu, count);
        u32 *room = counts + bit % 2 * 8;
        if (threadIdx.x % 32 == 0)
            room[threadIdx.x / 32] = count;
        __syncthreads();
        count = 0;
        for (u32 warp = 0; warp < 8; warp++)
            count += room[warp];
        if (count >= wanted)
            bound = higher;
        if (count == wanted)
            break;
    }
    return bound;
}

// Puts the block's `wanted` largest keys into `best`, in any order, zeros after them.
template <u32 PER_THREAD>
__device__ inline void keep_largest(const u64 *keys, u32 wanted, u64 *best, u32 *counts,
                                    u32 *best_count)
{
    __syncthreads(); // What was in `best` has been read.
    if (threadIdx.x < MAX_TOP_K)
        best[threadIdx.x] = 0;
    if (threadIdx.x == 0)
        *best_count = 0;
    const u64 bound = max(find_bound<PER_THREAD>(keys, wanted, counts), (u64)1);
#pragma unroll
    for (u32 i = 0; i < PER_THREAD; i++) {
        if (keys[i] >= bound)
            best[atomicAdd(best_count, 1u)] = keys[i];
    }
    __syncthreads();
}

// The largest of all candidates.
__device__ inline void merge_candidates(const u64 *candidates, u32 count, u32 wanted, u64 *best,
                                        u32 *counts, u32 *best_count)
{
    const u32 room = 256 * MERGE_PER_THREAD - MAX_TOP_K;
    for (u32 first = 0; first < count; first += room) {
        u64 keys[MERGE_PER_THREAD];
        const u32 end = min(first + room, count);
#pragma unroll
        for (u32 i = 0; i < MERGE_PER_THREAD; i++) {
            // The last ones are those found so far.
            const u32 at = i * 256 + threadIdx.x;
            keys[i] = 0;
            if (at >= room)
                keys[i] = first == 0 ? 0 : best[at - room];
            else if (first + at < end)
                keys[i] = __ldcg(candidates + first + at);
        }
        keep_largest<MERGE_PER_THREAD>(keys, wanted, best, counts, best_count);
    }
}

// In falling order, and how much each weighs beside the first.
__device__ inline void sort_and_weigh(const u64 *best, u32 count, float temperature, u64 *sorted,
                                      float *weights)
{
    if (threadIdx.x < count) {
        u32 rank = 0;
        for (u32 i = 0; i < count; i++)
            rank += best[i] > best[threadIdx.x];
        sorted[rank] = best[threadIdx.x];
    }
    __syncthreads();
    if (threadIdx.x < count) {
        const float largest = value_of(sorted[0]);
        const float value = value_of(sorted[threadIdx.x]);
        weights[threadIdx.x] = value == largest ? 1.0f : expf((value - largest) / temperature);
    }
    __syncthreads();
}

__device__ inline u32 draw(const float *weights, u32 count, u32 random)
{
    float total = 0.0f, below = 0.0f;
    for (u32 i = 0; i < count; i++)
        total += weights[i];
    const float target = (float)(random >> 8) * (1.0f / 16777216.0f) * total;
    for (u32 i = 0; i < count; i++) {
        below += weights[i];
        if (below > target)
            return i;
    }
    return count - 1;
}

extern "C" __global__ void __launch_bounds__(256)
    segue_sample_top_k(const float *logits, const sampling *sampling, const u32 *position, u32 *out,
                       u32 *arrived, u64 *candidates, u32 count)
{
    __shared__ u64 best[MAX_TOP_K], sorted[MAX_TOP_K];
    __shared__ float weights[MAX_TOP_K];
    __shared__ u32 counts[16], best_count, is_last;
    trigger();
    wait_for_predecessors();
    const u32 items = (count + BLOCK_VALUES - 1) / BLOCK_VALUES;
    const bool greedy = !(sampling->temperature > 0.0f);
    const u32 asked = greedy ? 1 : sampling->top_k;
    const u32 wanted = asked == 0 ? MAX_TOP_K : min(asked, MAX_TOP_K);
    for (u32 item = blockIdx.x; item < items; item += gridDim.x) {
        u64 keys[VALUES_PER_THREAD];
        load_keys(logits, item * BLOCK_VALUES + threadIdx.x, count, keys);
        keep_largest<VALUES_PER_THREAD>(keys, wanted, best, counts, &best_count);
        if (threadIdx.x < MAX_TOP_K)
            candidates[item * MAX_TOP_K + threadIdx.x] = best[threadIdx.x];
        __threadfence();
        __syncthreads();
        if (threadIdx.x == 0)
            is_last = atomicAdd(arrived, 1u) == items - 1;
        __syncthreads();
        if (!is_last)
            continue;
        __threadfence();
        merge_candidates(candidates, items * MAX_TOP_K, wanted, best, counts, &best_count);
        sort_and_weigh(best, best_count, sampling->temperature, sorted, weights);
        if (threadIdx.x == 0) {
            *arrived = 0;
            const u32 drawn =
                best_count < 2 ? 0 : draw(weights, best_count, philox(sampling->seed, *position));
            *out = best_count == 0 ? 0 : index_of(sorted[drawn]);
        }
    }
}
