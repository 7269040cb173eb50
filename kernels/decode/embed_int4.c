// SPDX-License-Identifier: Apache-2.0
#include "decode.h"

struct shape {
    uint32_t vocabulary;
    uint32_t hidden;
    uint64_t table_bytes;
    uint64_t scales_bytes;
};

static struct shape get_shape(const struct segue_reference_launch *launch)
{
    struct shape shape = {.vocabulary = parameter_u32(launch, 4),
                          .hidden = parameter_u32(launch, 5)};
    const uint64_t groups = (uint64_t)shape.vocabulary * (shape.hidden / GROUP);
    shape.table_bytes = groups * GROUP_BYTES;
    shape.scales_bytes = groups * 2;
    return shape;
}

bool segue_decode_run_embed_int4(const struct segue_reference_launch *launch,
                                 segue_reference_translate translate)
{
    const struct shape shape = get_shape(launch);
    if (shape.vocabulary == 0 || shape.hidden == 0 || shape.hidden % GROUP != 0)
        return false;
    const uint32_t *token = binding_memory(launch, translate, 0, sizeof(*token));
    const uint8_t *table = binding_memory(launch, translate, 1, shape.table_bytes);
    const uint16_t *scales = binding_memory(launch, translate, 2, shape.scales_bytes);
    float *out = binding_memory(launch, translate, 3, (uint64_t)shape.hidden * 4);
    if (!token || !table || !scales || !out)
        return false;

    const uint64_t row = *token < shape.vocabulary ? *token : shape.vocabulary - 1;
    const uint8_t *packed = table + row * (shape.hidden / 2);
    const uint16_t *row_scales = scales + row * (shape.hidden / GROUP);
    for (uint32_t i = 0; i < shape.hidden; i++) {
        const int quantised = (packed[i / 2] >> (i % 2 * 4) & 15) - 8;
        out[i] = (float)quantised * bf16_to_float(row_scales[i / GROUP]);
    }
    return true;
}

void segue_decode_ranges_embed_int4(const struct segue_reference_launch *launch,
                                    struct segue_reference_ranges *ranges)
{
    // Which row is read depends on memory, so all of them count.
    const struct shape shape = get_shape(launch);
    const struct binding_range bindings[] = {
        {0, sizeof(uint32_t), true, false},
        {1, shape.table_bytes, true, false},
        {2, shape.scales_bytes, true, false},
        {3, (uint64_t)shape.hidden * 4, false, true},
    };
    segue_decode_add_ranges(launch, ranges, bindings, 4);
}
