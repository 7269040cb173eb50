// SPDX-License-Identifier: Apache-2.0
#include "decode.h"

#include <math.h>

bool segue_decode_run_silu_mul(const struct segue_reference_launch *launch,
                               segue_reference_translate translate)
{
    const uint32_t count = parameter_u32(launch, 3);
    const uint64_t size_bytes = (uint64_t)count * 2;
    if (count == 0)
        return true;
    const uint16_t *gate = binding_memory(launch, translate, 0, size_bytes);
    const uint16_t *up = binding_memory(launch, translate, 1, size_bytes);
    uint16_t *out = binding_memory(launch, translate, 2, size_bytes);
    if (!gate || !up || !out)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const float x = bf16_to_float(gate[i]);
        out[i] = bf16_from_float(x / (1.0f + expf(-x)) * bf16_to_float(up[i]));
    }
    return true;
}

void segue_decode_ranges_silu_mul(const struct segue_reference_launch *launch,
                                  struct segue_reference_ranges *ranges)
{
    const uint64_t size_bytes = (uint64_t)parameter_u32(launch, 3) * 2;
    const struct binding_range bindings[] = {
        {0, size_bytes, true, false},
        {1, size_bytes, true, false},
        {2, size_bytes, false, true},
    };
    segue_decode_add_ranges(launch, ranges, bindings, 3);
}

bool segue_decode_run_residual_add(const struct segue_reference_launch *launch,
                                   segue_reference_translate translate)
{
    const uint32_t count = parameter_u32(launch, 2);
    const uint64_t size_bytes = (uint64_t)count * 2;
    if (count == 0)
        return true;
    float *x = binding_memory(launch, translate, 0, size_bytes * 2);
    const uint16_t *y = binding_memory(launch, translate, 1, size_bytes);
    if (!x || !y)
        return false;
    for (uint32_t i = 0; i < count; i++)
        x[i] += bf16_to_float(y[i]);
    return true;
}

void segue_decode_ranges_residual_add(const struct segue_reference_launch *launch,
                                      struct segue_reference_ranges *ranges)
{
    const uint64_t size_bytes = (uint64_t)parameter_u32(launch, 2) * 2;
    const struct binding_range bindings[] = {
        {0, size_bytes * 2, true, true},
        {1, size_bytes, true, false},
    };
    segue_decode_add_ranges(launch, ranges, bindings, 2);
}
