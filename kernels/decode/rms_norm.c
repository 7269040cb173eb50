// SPDX-License-Identifier: Apache-2.0
#include "decode.h"

#include <math.h>

bool segue_decode_run_rms_norm(const struct segue_reference_launch *launch,
                               segue_reference_translate translate)
{
    const uint32_t count = parameter_u32(launch, 3);
    const float epsilon = parameter_f32(launch, 4);
    if (count == 0)
        return true;
    const uint64_t size_bytes = (uint64_t)count * 2;
    const float *x = binding_memory(launch, translate, 0, size_bytes * 2);
    const uint16_t *weight = binding_memory(launch, translate, 1, size_bytes);
    uint16_t *out = binding_memory(launch, translate, 2, size_bytes);
    if (!x || !weight || !out)
        return false;

    float sum = 0.0f;
    for (uint32_t i = 0; i < count; i++)
        sum += x[i] * x[i];
    const float factor = 1.0f / sqrtf(sum / (float)count + epsilon);
    for (uint32_t i = 0; i < count; i++)
        out[i] = bf16_from_float(x[i] * factor * bf16_to_float(weight[i]));
    return true;
}

void segue_decode_ranges_rms_norm(const struct segue_reference_launch *launch,
                                  struct segue_reference_ranges *ranges)
{
    const uint64_t size_bytes = (uint64_t)parameter_u32(launch, 3) * 2;
    const struct binding_range bindings[] = {
        {0, size_bytes * 2, true, false},
        {1, size_bytes, true, false},
        {2, size_bytes, false, true},
    };
    segue_decode_add_ranges(launch, ranges, bindings, 3);
}
