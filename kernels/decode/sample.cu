// SPDX-License-Identifier: Apache-2.0
// A token drawn from the `top_k` largest logits, with probabilities as exp(logit / temperature).
// The same numbers, seed and position give the same token.
//
// Every 2048 logits are an item: the block that has it looks for a bound that the largest keys of
// enough pairs of threads reach; keys that reach it, not many more than are wanted, are put in
// order. Both are done by counting how many keys are larger than each. The last block to arrive
// does the same with all items' candidates, and draws: one uniform number of Philox4x32-10 (J.
// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) with the seed as key and the
// position as counter. Keys are distinct, so which candidates there are, and their order, depends
// on nothing but the logits.

#define MAX_TOP_K 64u
// Candidates that the last block takes at a time, beside those it has.
#define MERGE_PER_THREAD 16
// Keys that a bound can let through: all of `wanted` pairs of threads.
#define MOST_FOUND (MAX_TOP_K * 2 * MERGE_PER_THREAD)
// Lanes that count together for one key.
#define RANK_LANES 2u

// struct segue_sampling.
struct sampling {
    u32 seed[2];
    float temperature;
    u32 top_k;
};

// Where a block meets.
struct __align__(16) selection
{
    u64 maxima[128];
    u64 found[MOST_FOUND];
    u64 sorted[MAX_TOP_K];
    u64 bound;
    float weights[MAX_TOP_K];
    u32 found_count;
    u32 random;
    u32 is_last;
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

// The `wanted`-th largest of what pairs of threads have, which at least `wanted` keys reach (or all
// that there are, if fewer), and seldom many more.
__device__ inline u64 find_bound(u64 mine, u32 wanted, selection &room)
{
    const u64 key = max(mine, __shfl_xor_sync(0xFFFFFFFFu, mine, 1));
    const u32 half = threadIdx.x % 2;
    if (half == 0)
        room.maxima[threadIdx.x / 2] = key;
    if (threadIdx.x == 0) {
        room.bound = 1;
        room.found_count = 0;
    }
    __syncthreads();
    // Each of the two compares with half of the others.
    u32 rank = 0;
#pragma unroll 16
    for (u32 i = 0; i < 64; i += 2) {
        const ulonglong2 other = *(const ulonglong2 *)(room.maxima + i * 2 + half * 2);
        rank += (other.x > key) + (other.y > key);
    }
    rank += __shfl_xor_sync(0xFFFFFFFFu, rank, 1);
    if (half == 0 && key != 0 && rank == wanted - 1)
        room.bound = key;
    __syncthreads();
    return room.bound;
}

// Puts those of the block's keys that may be among the `wanted` largest into `found`, in any order;
// returns how many there are.
template <u32 PER_THREAD>
__device__ inline u32 collect(const u64 *keys, u32 wanted, selection &room)
{
    u64 mine = 0;
#pragma unroll
    for (u32 i = 0; i < PER_THREAD; i++)
        mine = max(mine, keys[i]);
    const u64 bound = find_bound(mine, wanted, room);
    u32 count = 0;
#pragma unroll
    for (u32 i = 0; i < PER_THREAD; i++)
        count += keys[i] >= bound;
    if (count > 0) {
        u32 at = atomicAdd(&room.found_count, count);
#pragma unroll
        for (u32 i = 0; i < PER_THREAD; i++) {
            if (keys[i] >= bound)
                room.found[at++] = keys[i];
        }
    }
    __syncthreads();
    return room.found_count;
}

// The `wanted` largest of those found, in falling order: each goes to where as many are larger as
// stand before it. Returns how many there are.
__device__ inline u32 put_in_order(u32 count, u32 wanted, selection &room)
{
    const u32 lane = threadIdx.x % RANK_LANES;
    for (u32 first = 0; first < count; first += 256 / RANK_LANES) {
        const u32 i = first + threadIdx.x / RANK_LANES;
        const u64 key = i < count ? room.found[i] : 0;
        u32 rank = 0;
#pragma unroll 8
        for (u32 k = lane; k < count; k += RANK_LANES)
            rank += room.found[k] > key;
#pragma unroll
        for (u32 distance = RANK_LANES / 2; distance > 0; distance /= 2)
            rank += __shfl_xor_sync(0xFFFFFFFFu, rank, distance);
        if (lane == 0 && i < count && rank < wanted)
            room.sorted[rank] = key;
    }
    __syncthreads();
    return min(count, wanted);
}

// The largest of all candidates, in falling order; returns how many there are.
__device__ inline u32 merge_candidates(const u64 *candidates, u32 count, u32 wanted,
                                       selection &room)
{
    const u32 most = 256 * MERGE_PER_THREAD - MAX_TOP_K;
    u32 best_count = 0;
    for (u32 first = 0; first < count; first += most) {
        u64 keys[MERGE_PER_THREAD];
        const u32 end = min(first + most, count);
#pragma unroll
        for (u32 i = 0; i < MERGE_PER_THREAD; i++) {
            // The last ones are those found so far.
            const u32 at = i * 256 + threadIdx.x;
            keys[i] = 0;
            if (at >= most)
                keys[i] = at - most < best_count ? room.sorted[at - most] : 0;
            else if (first + at < end)
                keys[i] = __ldcg(candidates + first + at);
        }
        const u32 collected = collect<MERGE_PER_THREAD>(keys, wanted, room);
        best_count = put_in_order(collected, wanted, room);
    }
    return best_count;
}

// Which of the keys is drawn. Sums are those of one after the other, so that they do not depend on
// how many threads there are.
__device__ inline u32 draw(u32 count, const sampling &asked, u32 position, selection &room)
{
    const float temperature = asked.temperature;
    float *weights = room.weights;
    if (threadIdx.x < MAX_TOP_K) {
        const float largest = value_of(room.sorted[0]);
        const float value = value_of(room.sorted[min(threadIdx.x, count - 1)]);
        const float weight = value == largest ? 1.0f : expf((value - largest) / temperature);
        weights[threadIdx.x] = threadIdx.x < count ? weight : 0.0f;
    } else if (threadIdx.x == MAX_TOP_K) {
        room.random = philox(asked.seed, position);
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
    const float target = (float)(room.random >> 8) * (1.0f / 16777216.0f) * sum;
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
    __shared__ selection room;
    trigger();
    wait_for_predecessors();
    const u32 items = (count + BLOCK_VALUES - 1) / BLOCK_VALUES;
    // On their way together with the first logits.
    const struct sampling asked = *sampling;
    const u32 at_position = *position;
    for (u32 item = blockIdx.x; item < items; item += gridDim.x) {
        u64 keys[VALUES_PER_THREAD];
        load_keys(logits, item * BLOCK_VALUES + threadIdx.x, count, keys);
        const bool greedy = !(asked.temperature > 0.0f);
        const u32 top_k = greedy ? 1 : asked.top_k;
        const u32 wanted = top_k == 0 ? MAX_TOP_K : min(top_k, MAX_TOP_K);
        const u32 collected = collect<VALUES_PER_THREAD>(keys, wanted, room);
        const u32 kept = put_in_order(collected, wanted, room);
        // Items begin at different ranks, so that whoever merges does not find the largest of all
        // items in the hands of a few threads.
        if (threadIdx.x < wanted)
            candidates[item * wanted + (threadIdx.x + item * 13) % wanted] =
                threadIdx.x < kept ? room.sorted[threadIdx.x] : 0;
        __syncthreads();
        if (threadIdx.x == 0) {
            __threadfence();
            room.is_last = atomicAdd(arrived, 1u) == items - 1;
            __threadfence();
        }
        __syncthreads();
        if (!room.is_last)
            continue;
        const u32 best_count = merge_candidates(candidates, items * wanted, wanted, room);
        const u32 drawn = best_count < 2 ? 0 : draw(best_count, asked, at_position, room);
        if (threadIdx.x == 0) {
            *arrived = 0;
            *out = best_count == 0 ? 0 : index_of(room.sorted[drawn]);
        }
    }
}
