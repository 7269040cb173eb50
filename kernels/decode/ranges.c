// SPDX-License-Identifier: Apache-2.0
#include "decode.h"

void segue_decode_add_ranges(const struct segue_reference_launch *launch,
                             struct segue_reference_ranges *ranges,
                             const struct binding_range *bindings, uint32_t binding_count)
{
    for (uint32_t i = 0; i < binding_count; i++) {
        const struct binding_range *binding = &bindings[i];
        const uint64_t address = parameter_u64(launch, binding->index);
        const uint64_t most = UINT64_MAX - address;
        if (binding->size_bytes == 0)
            continue;
        if (!ranges->add_range(ranges, address,
                               binding->size_bytes < most ? binding->size_bytes : most,
                               binding->read, binding->write))
            return;
    }
}
