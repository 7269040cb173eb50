// SPDX-License-Identifier: Apache-2.0
#include "builtin.h"

#include <string.h>

static uint64_t read_u64(const struct segue_reference_launch *launch, uint32_t index)
{
    uint64_t value;
    memcpy(&value, launch->parameters[index], sizeof(value));
    return value;
}

static uint32_t read_u32(const struct segue_reference_launch *launch, uint32_t index)
{
    uint32_t value;
    memcpy(&value, launch->parameters[index], sizeof(value));
    return value;
}

static bool run_fill(const struct segue_reference_launch *launch,
                     segue_reference_translate translate)
{
    const uint64_t length_bytes = read_u64(launch, 1);
    const uint32_t pattern = read_u32(launch, 2);
    const uint32_t pattern_size = read_u32(launch, 3);
    if (pattern_size != 1 && pattern_size != 2 && pattern_size != 4)
        return false;
    if (length_bytes == 0)
        return true;
    uint8_t *target = translate(launch, read_u64(launch, 0), length_bytes);
    if (!target)
        return false;
    // As the device code: the pattern comes repeated to four bytes.
    for (uint64_t k = 0; k < length_bytes; k++)
        target[k] = (uint8_t)(pattern >> (8 * (k % 4)));
    return true;
}

static void fill_ranges(const struct segue_reference_launch *launch,
                        struct segue_reference_ranges *ranges)
{
    const uint64_t length_bytes = read_u64(launch, 1);
    if (length_bytes > 0)
        (void)ranges->add_range(ranges, read_u64(launch, 0), length_bytes, false, true);
}

static bool run_copy(const struct segue_reference_launch *launch,
                     segue_reference_translate translate)
{
    const uint64_t length_bytes = read_u64(launch, 2);
    if (length_bytes == 0)
        return true;
    const void *source = translate(launch, read_u64(launch, 0), length_bytes);
    void *target = translate(launch, read_u64(launch, 1), length_bytes);
    if (!source || !target)
        return false;
    // A program may launch this kernel under its name, with ranges that overlap.
    memmove(target, source, length_bytes);
    return true;
}

static void copy_ranges(const struct segue_reference_launch *launch,
                        struct segue_reference_ranges *ranges)
{
    const uint64_t length_bytes = read_u64(launch, 2);
    if (length_bytes == 0)
        return;
    if (ranges->add_range(ranges, read_u64(launch, 0), length_bytes, true, false))
        (void)ranges->add_range(ranges, read_u64(launch, 1), length_bytes, false, true);
}

static bool run_join(const struct segue_reference_launch *launch,
                     segue_reference_translate translate)
{
    (void)launch;
    (void)translate;
    return true;
}

static void join_ranges(const struct segue_reference_launch *launch,
                        struct segue_reference_ranges *ranges)
{
    (void)launch;
    (void)ranges;
}

static const uint32_t fill_sizes[] = {8, 8, 4, 4};
static const uint32_t copy_sizes[] = {8, 8, 8};

const struct segue_reference_kernel segue_builtin_references[] = {
    {SEGUE_BUILTIN_FILL_NAME, fill_sizes, 4, run_fill, fill_ranges, NULL, NULL},
    {SEGUE_BUILTIN_COPY_NAME, copy_sizes, 3, run_copy, copy_ranges, NULL, NULL},
    {SEGUE_BUILTIN_JOIN_NAME, NULL, 0, run_join, join_ranges, NULL, NULL},
};
const uint32_t segue_builtin_reference_count =
    sizeof(segue_builtin_references) / sizeof(segue_builtin_references[0]);
