// SPDX-License-Identifier: Apache-2.0
/**
 * @file launch.h
 * What the references of the kernels of quantised matrices share.
 */
#ifndef SEGUE_KERNELS_LAUNCH_H
#define SEGUE_KERNELS_LAUNCH_H

#include <segue/soft.h>

#include <string.h>

/** A binding of a launch: parameter `index`, and what is done to the bytes there. */
struct launch_range {
    uint32_t index;
    uint64_t size_bytes;
    bool read;
    bool write;
};

static inline uint64_t launch_address(const struct segue_reference_launch *launch, uint32_t index)
{
    uint64_t address;
    memcpy(&address, launch->parameters[index], sizeof(address));
    return address;
}

/** Reports the ranges; empty ones are left out. */
static inline void launch_add_ranges(const struct segue_reference_launch *launch,
                                     struct segue_reference_ranges *out_ranges,
                                     const struct launch_range *ranges, uint32_t range_count)
{
    for (uint32_t i = 0; i < range_count; i++) {
        if (ranges[i].size_bytes != 0 &&
            !out_ranges->add_range(out_ranges, launch_address(launch, ranges[i].index),
                                   ranges[i].size_bytes, ranges[i].read, ranges[i].write))
            return;
    }
}

/** Host memory of every range, in order; an empty one has NULL. Returns false where one is not
 *  valid memory. */
static inline bool launch_translate(const struct segue_reference_launch *launch,
                                    segue_reference_translate translate,
                                    const struct launch_range *ranges, uint32_t range_count,
                                    void **out_memory)
{
    for (uint32_t i = 0; i < range_count; i++) {
        out_memory[i] = NULL;
        if (ranges[i].size_bytes == 0)
            continue;
        out_memory[i] =
            translate(launch, launch_address(launch, ranges[i].index), ranges[i].size_bytes);
        if (!out_memory[i])
            return false;
    }
    return true;
}

#endif // SEGUE_KERNELS_LAUNCH_H
