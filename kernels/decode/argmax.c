// SPDX-License-Identifier: Apache-2.0
#include "decode.h"

#include <math.h>

bool segue_decode_run_argmax(const struct segue_reference_launch *launch,
                             segue_reference_translate translate)
{
    const uint32_t count = parameter_u32(launch, 3);
    if (count == 0 || count > MAX_VALUES)
        return false;
    const float *values = binding_memory(launch, translate, 0, (uint64_t)count * 4);
    uint32_t *out = binding_memory(launch, translate, 1, sizeof(*out));
    if (!values || !out)
        return false;

    // The first number wins even if it is minus infinity: NaN before it does not.
    float best = -INFINITY;
    uint32_t index = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        if (values[i] > best || (values[i] == best && index == UINT32_MAX)) {
            best = values[i];
            index = i;
        }
    }
    *out = index == UINT32_MAX ? 0 : index;
    return true;
}

void segue_decode_ranges_argmax(const struct segue_reference_launch *launch,
                                struct segue_reference_ranges *ranges)
{
    const struct binding_range bindings[] = {
        {0, (uint64_t)parameter_u32(launch, 3) * 4, true, false},
        {1, sizeof(uint32_t), false, true},
        {2, 2 * sizeof(uint64_t), true, true},
    };
    segue_decode_add_ranges(launch, ranges, bindings, 3);
}
