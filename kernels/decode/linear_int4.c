// SPDX-License-Identifier: Apache-2.0
#include "decode.h"

#include <stdlib.h>

struct shape {
    uint32_t rows;
    uint32_t columns;
    uint64_t weights_bytes;
    uint64_t scales_bytes;
};

static struct shape get_shape(const struct segue_reference_launch *launch)
{
    struct shape shape = {.rows = parameter_u32(launch, 4), .columns = parameter_u32(launch, 5)};
    const uint64_t groups = (uint64_t)shape.rows * (shape.columns / GROUP);
    shape.weights_bytes = groups * GROUP_BYTES;
    shape.scales_bytes = groups * 2;
    return shape;
}

/** x as floats, group by group, in the order in which the nibbles lie: the 16 even elements (low
 *  nibbles), then the 16 odd ones. The loop of dot_row then has nothing but whole vectors. */
static float *split_x(const uint16_t *x, uint32_t columns)
{
    float *split = malloc((size_t)columns * sizeof(*split));
    if (!split)
        return NULL;
    for (uint32_t i = 0; i < columns; i++)
        split[i / GROUP * GROUP + i % 2 * GROUP_BYTES + i % GROUP / 2] = bf16_to_float(x[i]);
    return split;
}

static float dot_row(const float *split, const uint8_t *packed, const uint16_t *scales,
                     uint32_t groups)
{
    float sums[GROUP_BYTES] = {0.0f};
    for (uint32_t group = 0; group < groups; group++) {
        const float *even = split + (size_t)group * GROUP;
        const float *odd = even + GROUP_BYTES;
        const uint8_t *bytes = packed + (size_t)group * GROUP_BYTES;
        const float scale = bf16_to_float(scales[group]);
        for (uint32_t i = 0; i < GROUP_BYTES; i++)
            sums[i] += scale * ((float)((bytes[i] & 15) - 8) * even[i] +
                                (float)((bytes[i] >> 4) - 8) * odd[i]);
    }
    float sum = 0.0f;
    for (uint32_t i = 0; i < GROUP_BYTES; i++)
        sum += sums[i];
    return sum;
}

static bool run(const struct segue_reference_launch *launch, segue_reference_translate translate,
                bool round)
{
    const struct shape shape = get_shape(launch);
    if (shape.columns == 0 || shape.columns % GROUP != 0)
        return false;
    if (shape.rows == 0)
        return true;
    const uint64_t out_bytes = (uint64_t)shape.rows * (round ? 2 : 4);
    const uint16_t *x = binding_memory(launch, translate, 0, (uint64_t)shape.columns * 2);
    const uint8_t *weights = binding_memory(launch, translate, 1, shape.weights_bytes);
    const uint16_t *scales = binding_memory(launch, translate, 2, shape.scales_bytes);
    void *out = binding_memory(launch, translate, 3, out_bytes);
    if (!x || !weights || !scales || !out)
        return false;
    float *split = split_x(x, shape.columns);
    if (!split)
        return false;

    const uint32_t groups = shape.columns / GROUP;
    for (uint32_t row = 0; row < shape.rows; row++) {
        const uint64_t first_group = (uint64_t)row * groups;
        const float sum =
            dot_row(split, weights + first_group * GROUP_BYTES, scales + first_group, groups);
        if (round)
            ((uint16_t *)out)[row] = bf16_from_float(sum);
        else
            ((float *)out)[row] = sum;
    }
    free(split);
    return true;
}

static void add_ranges(const struct segue_reference_launch *launch,
                       struct segue_reference_ranges *ranges, uint32_t out_element_bytes)
{
    const struct shape shape = get_shape(launch);
    if (shape.rows == 0)
        return;
    const struct binding_range bindings[] = {
        {0, (uint64_t)shape.columns * 2, true, false},
        {1, shape.weights_bytes, true, false},
        {2, shape.scales_bytes, true, false},
        {3, (uint64_t)shape.rows * out_element_bytes, false, true},
    };
    segue_decode_add_ranges(launch, ranges, bindings, 4);
}

bool segue_decode_run_linear_int4(const struct segue_reference_launch *launch,
                                  segue_reference_translate translate)
{
    return run(launch, translate, true);
}

void segue_decode_ranges_linear_int4(const struct segue_reference_launch *launch,
                                     struct segue_reference_ranges *ranges)
{
    add_ranges(launch, ranges, 2);
}

bool segue_decode_run_linear_int4_f32(const struct segue_reference_launch *launch,
                                      segue_reference_translate translate)
{
    return run(launch, translate, false);
}

void segue_decode_ranges_linear_int4_f32(const struct segue_reference_launch *launch,
                                         struct segue_reference_ranges *ranges)
{
    add_ranges(launch, ranges, 4);
}
