// SPDX-License-Identifier: Apache-2.0
#include "decode.h"
#include "philox.h"

#include <segue/kernels.h>

#include <math.h>

/** Values of an item, as in argmax.cu. */
#define BLOCK_VALUES 2048u

/** Candidates in falling order, of equal ones the lower index first. */
struct best {
    float values[SEGUE_SAMPLE_MAX_TOP_K];
    uint32_t indices[SEGUE_SAMPLE_MAX_TOP_K];
    uint32_t count;
};

void segue_sample_get_sizes(uint32_t count, struct segue_sample_sizes *out_sizes)
{
    const uint32_t items = count / BLOCK_VALUES + (count % BLOCK_VALUES != 0);
    *out_sizes = (struct segue_sample_sizes){
        .grid = items,
        .candidates_bytes = (uint64_t)items * SEGUE_SAMPLE_MAX_TOP_K * 8,
    };
}

static void insert(struct best *best, uint32_t wanted, float value, uint32_t index)
{
    if (best->count == wanted && !(value > best->values[wanted - 1]))
        return;
    uint32_t at = best->count < wanted ? best->count++ : wanted - 1;
    for (; at > 0 && value > best->values[at - 1]; at--) {
        best->values[at] = best->values[at - 1];
        best->indices[at] = best->indices[at - 1];
    }
    best->values[at] = value;
    best->indices[at] = index;
}

static uint32_t draw(const struct best *best, float temperature, uint32_t random)
{
    float weights[SEGUE_SAMPLE_MAX_TOP_K];
    float total = 0.0f, below = 0.0f;
    for (uint32_t i = 0; i < best->count; i++) {
        const float apart = best->values[i] - best->values[0];
        weights[i] = best->values[i] == best->values[0] ? 1.0f : expf(apart / temperature);
        total += weights[i];
    }
    const float target = (float)(random >> 8) * (1.0f / 16777216.0f) * total;
    for (uint32_t i = 0; i < best->count; i++) {
        below += weights[i];
        if (below > target)
            return i;
    }
    return best->count - 1;
}

bool segue_decode_run_sample_top_k(const struct segue_reference_launch *launch,
                                   segue_reference_translate translate)
{
    const uint32_t count = parameter_u32(launch, 6);
    if (count == 0 || count > MAX_VALUES)
        return false;
    const float *logits = binding_memory(launch, translate, 0, (uint64_t)count * 4);
    const struct segue_sampling *sampling = binding_memory(launch, translate, 1, sizeof(*sampling));
    const uint32_t *position = binding_memory(launch, translate, 2, sizeof(*position));
    uint32_t *out = binding_memory(launch, translate, 3, sizeof(*out));
    if (!logits || !sampling || !position || !out)
        return false;

    const bool greedy = !(sampling->temperature > 0.0f);
    const uint32_t asked = greedy ? 1 : sampling->top_k;
    const uint32_t wanted =
        asked == 0 || asked > SEGUE_SAMPLE_MAX_TOP_K ? SEGUE_SAMPLE_MAX_TOP_K : asked;
    struct best best = {.count = 0};
    for (uint32_t i = 0; i < count; i++) {
        if (!isnan(logits[i]))
            insert(&best, wanted, logits[i], i);
    }
    uint32_t words[4] = {*position, 0, 0, 0};
    philox4x32_10(sampling->seed, words);
    uint32_t drawn = 0;
    if (best.count > 1)
        drawn = draw(&best, sampling->temperature, words[0]);
    *out = best.count == 0 ? 0 : best.indices[drawn];
    return true;
}

void segue_decode_ranges_sample_top_k(const struct segue_reference_launch *launch,
                                      struct segue_reference_ranges *ranges)
{
    const uint32_t count = parameter_u32(launch, 6);
    struct segue_sample_sizes sizes;
    segue_sample_get_sizes(count, &sizes);
    const struct binding_range bindings[] = {
        {0, (uint64_t)count * 4, true, false}, {1, sizeof(struct segue_sampling), true, false},
        {2, sizeof(uint32_t), true, false},    {3, sizeof(uint32_t), false, true},
        {4, sizeof(uint32_t), true, true},     {5, sizes.candidates_bytes, true, true},
    };
    segue_decode_add_ranges(launch, ranges, bindings, 6);
}
