// SPDX-License-Identifier: Apache-2.0
// What a product costs that first makes the matrix bf16 and leaves the rest to cuBLAS: the first
// half of it. Four-bit weights counted from the middle, with bf16 scales.
#include "gemv.h"

/** A thread has a lane's 16 bytes of a stripe: eight columns of two rows, twice. */
static const char source[] =
    "typedef unsigned u32; typedef unsigned long long u64;\n"
    "__device__ __forceinline__ u32 pair(u32 word, u32 i, float scale)\n"
    "{\n"
    "    u32 result;\n"
    "    const float low = (float)((int)(word >> 8 * i & 15) - 8) * scale;\n"
    "    const float high = (float)((int)(word >> (8 * i + 8) & 15) - 8) * scale;\n"
    "    asm(\"cvt.rn.bf16x2.f32 %0, %1, %2;\" : \"=r\"(result) : \"f\"(high), \"f\"(low));\n"
    "    return result;\n"
    "}\n"
    "extern \"C\" __global__ void __launch_bounds__(256) segue_bench_dequantise(\n"
    "    const unsigned char *packed, unsigned short *out, u32 columns, u32 group, u64 lanes)\n"
    "{\n"
    "    const u32 blocks = columns / 128, groups = 128 / group;\n"
    "    const u32 block_bytes = 1024 + 32 * groups;\n"
    "    for (u64 at = blockIdx.x * 256ull + threadIdx.x; at < lanes; at += gridDim.x * 256ull) {\n"
    "        const u32 lane = at % 32, stripe = at / 32 % 2;\n"
    "        const u64 block = at / 64;\n"
    "        const unsigned char *from = packed + block * block_bytes;\n"
    "        const uint4 words = *(const uint4 *)(from + stripe * 512 + lane * 16);\n"
    "        for (u32 half = 0; half < 2; half++) {\n"
    "            const u32 first = half ? words.z : words.x, second = half ? words.w : words.y;\n"
    "            const u32 in_block = stripe * 64 + half * 32;\n"
    "            const u32 scales = ((const u32 *)(from + 1024))\n"
    "                [lane / 4 * groups + in_block / group];\n"
    "            for (u32 row = 0; row < 2; row++) {\n"
    "                const float scale = __uint_as_float(row ? scales & 0xFFFF0000u\n"
    "                                                        : scales << 16);\n"
    "                const u64 to = (block / blocks * 16 + lane / 4 + row * 8) * columns +\n"
    "                               block % blocks * 128 + in_block + lane % 4 * 8;\n"
    "                const u32 a = first >> 4 * row, b = second >> 4 * row;\n"
    "                *(uint4 *)(out + to) = uint4{pair(a, 0, scale), pair(a, 2, scale),\n"
    "                                             pair(b, 0, scale), pair(b, 2, scale)};\n"
    "            }\n"
    "        }\n"
    "    }\n"
    "}\n";

struct constants {
    uint32_t columns;
    uint32_t group;
    uint64_t lanes;
};

segue_status gemv_dequantise_create(segue_device *device, segue_executable **out_executable)
{
    static const struct segue_parameter parameters[] = {
        {.access = SEGUE_ACCESS_CONSTANT, .align_bytes = 16},
        {.access = SEGUE_ACCESS_WRITE, .align_bytes = 16},
        {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4},
        {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4},
        {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 8},
    };
    const struct segue_entry_point entry_point = {
        .name = "segue_bench_dequantise",
        .parameters = parameters,
        .parameter_count = sizeof(parameters) / sizeof(parameters[0]),
        .block_size = {256, 1, 1},
    };
    const struct segue_executable_params params = {
        .format = SEGUE_EXECUTABLE_CUDA_SOURCE,
        .data = source,
        .size_bytes = sizeof(source) - 1,
        .entry_points = &entry_point,
        .entry_point_count = 1,
        .label = "dequantise",
    };
    return segue_executable_create(device, &params, out_executable);
}

segue_status gemv_dequantise_record(segue_command_buffer *commands, segue_executable *executable,
                                    const struct segue_quant_matrix *matrix,
                                    struct segue_buffer_ref packed, struct segue_buffer_ref out)
{
    const struct segue_buffer_ref bindings[] = {packed, out};
    // A thread takes four lanes, one after the other.
    const struct constants constants = {matrix->columns, matrix->group_size,
                                        (uint64_t)matrix->rows * matrix->columns / 32};
    const struct segue_dispatch dispatch = {
        .executable = executable,
        .grid = {(uint32_t)((constants.lanes + 1023) / 1024), 1, 1},
        .bindings = bindings,
        .binding_count = 2,
        .constants = &constants,
        .constants_size_bytes = sizeof(constants),
    };
    return segue_cmd_dispatch(commands, &dispatch);
}
