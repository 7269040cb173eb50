// SPDX-License-Identifier: Apache-2.0
#include "test_kernels.h"

#include <string.h>

static const char source[] =
    "extern \"C\" __global__ void cli_honest(unsigned *data, unsigned count)\n"
    "{\n"
    "    for (unsigned i = threadIdx.x; i < count; i += blockDim.x)\n"
    "        data[i] = data[i] * 3 + 1;\n"
    "}\n"
    "extern \"C\" __global__ void cli_liar(unsigned *data, unsigned count)\n"
    "{\n"
    "    for (unsigned i = threadIdx.x; i < count; i += blockDim.x)\n"
    "        data[i] = data[i] * 3 + 1;\n"
    "}\n"
    "__device__ unsigned launches;\n"
    "extern \"C\" __global__ void cli_counter(unsigned *data, unsigned count)\n"
    "{\n"
    "    if (threadIdx.x == 0)\n"
    "        ++launches;\n"
    "    __syncthreads();\n"
    "    for (unsigned i = threadIdx.x; i < count; i += blockDim.x)\n"
    "        data[i] = launches;\n"
    "}\n";

static const struct segue_parameter honest_parameters[] = {
    {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ_WRITE, .align_bytes = 4},
    {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4},
};
static const struct segue_parameter liar_parameters[] = {
    {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ, .align_bytes = 4},
    {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4},
};

static const struct segue_entry_point entry_points[SEGUE_CLI_KERNEL_COUNT] = {
    {
        .name = "cli_honest",
        .parameters = honest_parameters,
        .parameter_count = 2,
        .block_size = {64, 1, 1},
    },
    {
        .name = "cli_liar",
        .parameters = liar_parameters,
        .parameter_count = 2,
        .block_size = {64, 1, 1},
    },
    {
        .name = "cli_counter",
        .parameters = honest_parameters,
        .parameter_count = 2,
        .block_size = {64, 1, 1},
    },
};

void segue_cli_get_executable(struct segue_executable_params *out_params)
{
    *out_params = (struct segue_executable_params){
        .format = SEGUE_EXECUTABLE_CUDA_SOURCE,
        .data = source,
        .size_bytes = sizeof(source) - 1,
        .entry_points = entry_points,
        .entry_point_count = SEGUE_CLI_KERNEL_COUNT,
        .label = "cli",
    };
}

static uint64_t data_address(const struct segue_reference_launch *launch)
{
    uint64_t address;
    memcpy(&address, launch->parameters[0], sizeof(address));
    return address;
}

static uint32_t word_count(const struct segue_reference_launch *launch)
{
    uint32_t count;
    memcpy(&count, launch->parameters[1], sizeof(count));
    return count;
}

static bool run_scale(const struct segue_reference_launch *launch,
                      segue_reference_translate translate)
{
    const uint32_t count = word_count(launch);
    uint32_t *data = translate(launch, data_address(launch), (uint64_t)count * 4);
    for (uint32_t i = 0; data && i < count; ++i)
        data[i] = data[i] * 3 + 1;
    return true;
}

static bool run_counter(const struct segue_reference_launch *launch,
                        segue_reference_translate translate)
{
    static uint32_t launches;
    const uint32_t count = word_count(launch);
    uint32_t *data = translate(launch, data_address(launch), (uint64_t)count * 4);
    ++launches;
    for (uint32_t i = 0; data && i < count; ++i)
        data[i] = launches;
    return true;
}

static void state_ranges(const struct segue_reference_launch *launch,
                         struct segue_reference_ranges *ranges)
{
    ranges->add_range(ranges, data_address(launch), (uint64_t)word_count(launch) * 4, true, true);
}

const struct segue_reference_kernel *segue_plugin_kernels(uint32_t *count)
{
    static const uint32_t sizes[] = {8, 4};
    static const struct segue_reference_kernel kernels[SEGUE_CLI_KERNEL_COUNT] = {
        {
            .name = "cli_honest",
            .parameter_sizes = sizes,
            .parameter_count = 2,
            .run = run_scale,
            .ranges = state_ranges,
        },
        {
            .name = "cli_liar",
            .parameter_sizes = sizes,
            .parameter_count = 2,
            .run = run_scale,
            .ranges = state_ranges,
        },
        {
            .name = "cli_counter",
            .parameter_sizes = sizes,
            .parameter_count = 2,
            .run = run_counter,
            .ranges = state_ranges,
        },
    };
    *count = SEGUE_CLI_KERNEL_COUNT;
    return kernels;
}
