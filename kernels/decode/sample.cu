// SPDX-License-Identifier: Apache-2.0
// A token drawn from the `top_k` largest logits, with probabilities as exp(logit / temperature).
// The same numbers, seed and position give the same token.
//
// Every 2048 logits are an item: the block that has it looks for a bound that enough threads'
// largest keys reach, halving bit by bit the range that it lies in; keys that reach it, not many
// more than are wanted, are put in order by counting how many are larger than each. The last block
// to arrive does the same with all items' candidates, and draws: one uniform number of
// Philox4x32-10 (J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) with the
// seed as key and the position as counter. Keys are distinct, so which candidates there are, and
// their order, depends on nothing but the logits.

#define MAX_TOP_K 64u
// Candidates that the last block takes at a time, beside those it has.
#define MERGE_PER_THREAD 16
// Threads' keys above what is wanted that a bound may let through, and all keys that it then can.
#define BOUND_SLACK 32u
#define MOST_FOUND ((MAX_TOP_K + BOUND_SLACK) * MERGE_PER_THREAD)
// Lanes that count together for one key.
#define RANK_LANES 2u

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

// A bound that at least `wanted` of the threads' keys reach (or all that there are, if fewer), and
// seldom many more.
__device__ inline u64 find_bound(u64 mine, u32 wanted)
{
    u64 bound = 0;
    for (u32 bit = 64; bit-- > 0;) {
        const u64 higher = bound | (u64)1 << bit;
        const u32 count = (u32)__syncthreads_count(mine >= higher);
        if (count >= wanted)
            bound = higher;
        if (count >= wanted && count <= wanted + BOUND_SLACK)
            break;
    }
    return max(bound, (u64)1);
}

// Puts those of the block's keys that may be among the `wanted` largest into `found`, in any order;
// returns how many there are.
template <u32 PER_THREAD>
__device__ inline u32 collect(const u64 *keys, u32 wanted, u64 *found, u32 *found_count)
{
    u64 mine = 0;
#pragma unroll
    for (u32 i = 0; i < PER_THREAD; i++)
        mine = max(mine, keys[i]);
    if (threadIdx.x == 0)
        *found_count = 0;
    const u64 bound = find_bound(mine, wanted);
    if (mine >= bound) {
#pragma unroll
        for (u32 i = 0; i < PER_THREAD; i++) {
            if (keys[i] >= bound)
                found[atomicAdd(found_count, 1u)] = keys[i];
        }
    }
    __syncthreads();
    return *found_count;
}

// The `wanted` largest of `count` keys in falling order: each goes to where as many are larger as
// stand before it. Returns how many there are.
__device__ inline u32 put_in_order(const u64 *found, u32 count, u32 wanted, u64 *sorted)
{
    const u32 lane = threadIdx.x % RANK_LANES;
    for (u32 first = 0; first < count; first += 256 / RANK_LANES) {
        const u32 i = first + threadIdx.x / RANK_LANES;
        const u64 key = i < count ? found[i] : 0;
        u32 rank = 0;
        for (u32 k = lane; k < count; k += RANK_LANES)
            rank += found[k] > key;
#pragma unroll
        for (u32 distance = RANK_LANES / 2; distance > 0; distance /= 2)
            rank += __shfl_xor_sync(0xFFFFFFFFu, rank, distance);
        if (lane == 0 && i < count && rank < wanted)
            sorted[rank] = key;
    }
    __syncthreads();
    return min(count, wanted);
}

// The largest of all candidates, in falling order; returns how many there are.
__device__ inline u32 merge_candidates(const u64 *candidates, u32 count, u32 wanted, u64 *found,
                                       u32 *found_count, u64 *sorted)
{
    const u32 room = 256 * MERGE_PER_THREAD - MAX_TOP_K;
    u32 best_count = 0;
    for (u32 first = 0; first < count; first += room) {
        u64 keys[MERGE_PER_THREAD];
        const u32 end = min(first + room, count);
#pragma unroll
        for (u32 i = 0; i < MERGE_PER_THREAD; i++) {
            // The last ones are those found so far.
            const u32 at = i * 256 + threadIdx.x;
            keys[i] = 0;
            if (at >= room)
                keys[i] = at - room < best_count ? sorted[at - room] : 0;
            else if (first + at < end)
                keys[i] = __ldcg(candidates + first + at);
        }
        const u32 collected = collect<MERGE_PER_THREAD>(keys, wanted, found, found_count);
        best_count = put_in_order(found, collected, wanted, sorted);
    }
    return best_count;
}

// Which of the keys is drawn. Sums are those of one after the other, so that they do not depend on
// how many threads there are.
__device__ inline u32 draw(const u64 *sorted, u32 count, float temperature, u32 random,
                           float *weights)
{
    if (threadIdx.x < MAX_TOP_K) {
        const float largest = value_of(sorted[0]);
        const float value = value_of(sorted[min(threadIdx.x, count - 1)]);
        const float weight = value == largest ? 1.0f : expf((value - largest) / temperature);
        weights[threadIdx.x] = threadIdx.x < count ? weight : 0.0f;
    }
    __syncthreads();
    if (threadIdx.x != 0)
        return 0;
    float below[MAX_TOP_K];
    float sum = 0.0f;
#pragma unroll
    for (u32 i = 0; i < MAX_TOP_K; i++) {
        sum += weights[i];
        below[i] = sum;
    }
    const float target = (float)(random >> 8) * (1.0f / 16777216.0f) * sum;
    u32 drawn = 0;
#pragma unroll
    for (u32 i = 0; i < MAX_TOP_K; i++)
        drawn += !(below[i] > target);
    return min(drawn, count - 1);
}

extern "C" __global__ void __launch_bounds__(256)
    segue_sample_top_k(const float *logits, const sampling *sampling, const u32 *position, u32 *out,
                       u32 *arrived, u64 *candidates, u32 count)
{
    __shared__ u64 found[MOST_FOUND], sorted[MAX_TOP_K];
    __shared__ float weights[MAX_TOP_K];
    __shared__ u32 found_count, is_last;
    trigger();
    wait_for_predecessors();
    const u32 items = (count + BLOCK_VALUES - 1) / BLOCK_VALUES;
    const float temperature = sampling->temperature;
    const bool greedy = !(temperature > 0.0f);
    const u32 asked = greedy ? 1 : sampling->top_k;
    const u32 wanted = asked == 0 ? MAX_TOP_K : min(asked, MAX_TOP_K);
    // Of use at the very end only, but there it would be waited for.
    const u32 random = philox(sampling->seed, *position);
    for (u32 item = blockIdx.x; item < items; item += gridDim.x) {
        u64 keys[VALUES_PER_THREAD];
        load_keys(logits, item * BLOCK_VALUES + threadIdx.x, count, keys);
        const u32 collected = collect<VALUES_PER_THREAD>(keys, wanted, found, &found_count);
        const u32 kept = put_in_order(found, collected, wanted, sorted);
        // Items begin at different ranks, so that whoever merges does not find the largest of all
        // items in the hands of a few threads.
        if (threadIdx.x < wanted)
            candidates[item * wanted + (threadIdx.x + item * 13) % wanted] =
                threadIdx.x < kept ? sorted[threadIdx.x] : 0;
        __syncthreads();
        if (threadIdx.x == 0) {
            __threadfence();
            is_last = atomicAdd(arrived, 1u) == items - 1;
            __threadfence();
        }
        __syncthreads();
        if (!is_last)
            continue;
        const u32 best_count =
            merge_candidates(candidates, items * wanted, wanted, found, &found_count, sorted);
        const u32 drawn =
            best_count < 2 ? 0 : draw(sorted, best_count, temperature, random, weights);
        if (threadIdx.x == 0) {
            *arrived = 0;
            *out = best_count == 0 ? 0 : index_of(sorted[drawn]);
        }
    }
}
