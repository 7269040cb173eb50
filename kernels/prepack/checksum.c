// SPDX-License-Identifier: Apache-2.0
#include "checksum_source.h"

#include <segue/prepack_kernels.h>

#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct segue_parameter parameters[] = {
    {.access = SEGUE_ACCESS_READ, .align_bytes = 8},
    {.access = SEGUE_ACCESS_WRITE, .align_bytes = 8},
    {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 8},
    {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 8},
};
static const uint32_t parameter_sizes[] = {8, 8, 8, 8};

static const struct segue_entry_point entry_points[] = {{
    .name = "segue_chunk_checksums",
    .parameters = parameters,
    .parameter_count = COUNT_OF(parameters),
    .block_size = {256, 1, 1},
}};

static uint64_t parameter_u64(const struct segue_reference_launch *launch, uint32_t index)
{
    uint64_t value;
    memcpy(&value, launch->parameters[index], sizeof(value));
    return value;
}

/** Chunks that both the tensor and the grid have. */
static uint64_t chunk_count(const struct segue_reference_launch *launch)
{
    const uint64_t size_bytes = parameter_u64(launch, 2);
    const uint64_t chunk_bytes = parameter_u64(launch, 3);
    if (chunk_bytes == 0)
        return 0;
    const uint64_t count = size_bytes / chunk_bytes + (size_bytes % chunk_bytes != 0);
    return count < launch->grid[0] ? count : launch->grid[0];
}

static bool run(const struct segue_reference_launch *launch, segue_reference_translate translate)
{
    const uint64_t size_bytes = parameter_u64(launch, 2);
    const uint64_t chunk_bytes = parameter_u64(launch, 3);
    const uint64_t count = chunk_count(launch);
    if (count == 0)
        return true;
    const unsigned char *data = translate(launch, parameter_u64(launch, 0), size_bytes);
    uint64_t *sums = translate(launch, parameter_u64(launch, 1), count * sizeof(*sums));
    if (!data || !sums)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t rest_bytes = size_bytes - i * chunk_bytes;
        sums[i] = segue_checksum(data + i * chunk_bytes,
                                 rest_bytes < chunk_bytes ? rest_bytes : chunk_bytes);
    }
    return true;
}

static void ranges(const struct segue_reference_launch *launch, struct segue_reference_ranges *out)
{
    const uint64_t count = chunk_count(launch);
    if (count == 0)
        return;
    if (out->add_range(out, parameter_u64(launch, 0), parameter_u64(launch, 2), true, false))
        (void)out->add_range(out, parameter_u64(launch, 1), count * sizeof(uint64_t), false, true);
}

static const struct segue_reference_kernel references[] = {{
    .name = "segue_chunk_checksums",
    .parameter_sizes = parameter_sizes,
    .parameter_count = COUNT_OF(parameter_sizes),
    .run = run,
    .ranges = ranges,
}};

void segue_kernels_get_checksum(struct segue_executable_params *out_params)
{
    *out_params = (struct segue_executable_params){
        .format = SEGUE_EXECUTABLE_CUDA_SOURCE,
        .data = segue_checksum_source,
        .size_bytes = strlen(segue_checksum_source),
        .entry_points = entry_points,
        .entry_point_count = COUNT_OF(entry_points),
        .label = "checksum",
    };
}

segue_status segue_kernels_register_checksum(segue_device *device)
{
    return segue_device_register_reference_kernels(device, references, COUNT_OF(references));
}
