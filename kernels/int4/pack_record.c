// SPDX-License-Identifier: Apache-2.0
// The packing executable, and recording its commands.
#include "gemv.h"
#include "layout.h"
#include "pack.h"
#include "quant_source.h"

#include <string.h>

#define BLOCK_THREADS 128
#define GRID_BLOCKS 1024

#define BINDING(access_, align)                                  \
    {                                                            \
        .access = SEGUE_ACCESS_##access_, .align_bytes = (align) \
    }
#define CONSTANTS                                                                                 \
    {                                                                                             \
        .kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = sizeof(struct segue_quant_pack_constants) \
    }

static const struct segue_parameter pack_parameters[] = {BINDING(READ, 1), BINDING(READ, 1),
                                                         BINDING(WRITE, 16), CONSTANTS};
static const struct segue_parameter pack_zeros_parameters[] = {
    BINDING(READ, 1), BINDING(READ, 1), BINDING(READ, 1), BINDING(WRITE, 16), CONSTANTS};
static const struct segue_parameter unpack_parameters[] = {BINDING(READ, 16), BINDING(WRITE, 1),
                                                           BINDING(WRITE, 1), CONSTANTS};
static const struct segue_parameter unpack_zeros_parameters[] = {
    BINDING(READ, 16), BINDING(WRITE, 1), BINDING(WRITE, 1), BINDING(WRITE, 1), CONSTANTS};

static const struct segue_parameter reorder_parameters[] = {
    BINDING(READ, 4),
    BINDING(READ, 4),
    BINDING(WRITE, 4),
    {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = sizeof(struct segue_quant_reorder_constants)}};

#define ENTRY_POINT(name_, parameters_, count)                                                    \
    {                                                                                             \
        .name = (name_), .parameters = (parameters_), .parameter_count = (count), .block_size = { \
            BLOCK_THREADS,                                                                        \
            1,                                                                                    \
            1                                                                                     \
        }                                                                                         \
    }

static const struct segue_entry_point entry_points[SEGUE_QUANT_PACK_KERNEL_COUNT] = {
    [SEGUE_QUANT_PACK] = ENTRY_POINT("segue_quant_pack", pack_parameters, 4),
    [SEGUE_QUANT_PACK_ZEROS] = ENTRY_POINT("segue_quant_pack_zeros", pack_zeros_parameters, 5),
    [SEGUE_QUANT_UNPACK] = ENTRY_POINT("segue_quant_unpack", unpack_parameters, 4),
    [SEGUE_QUANT_UNPACK_ZEROS] =
        ENTRY_POINT("segue_quant_unpack_zeros", unpack_zeros_parameters, 5),
    [SEGUE_QUANT_REORDER] = ENTRY_POINT("segue_quant_reorder", reorder_parameters, 4),
};

segue_status segue_quant_register(segue_device *device)
{
    const segue_status status = segue_device_register_reference_kernels(
        device, segue_quant_pack_references, SEGUE_QUANT_PACK_KERNEL_COUNT);
    if (status != SEGUE_OK)
        return status;
    return segue_device_register_reference_kernels(device, segue_quant_gemv_references,
                                                   GEMV_ENTRY_COUNT);
}

void segue_quant_get_pack_kernels(struct segue_executable_params *out_params)
{
    *out_params = (struct segue_executable_params){
        .format = SEGUE_EXECUTABLE_CUDA_SOURCE,
        .data = segue_quant_pack_source,
        .size_bytes = strlen(segue_quant_pack_source),
        .entry_points = entry_points,
        .entry_point_count = SEGUE_QUANT_PACK_KERNEL_COUNT,
        .label = "quant_pack",
    };
}

/** The part of the packed matrix that holds the rows. A reference to a slot may leave the size
 *  open, so what it lacks is told when the command is recorded, or when the slot is filled. */
static struct segue_buffer_ref part_of(struct segue_buffer_ref whole, uint64_t offset_bytes,
                                       uint64_t size_bytes)
{
    whole.offset_bytes += offset_bytes;
    whole.length_bytes = size_bytes;
    return whole;
}

static segue_status record(segue_command_buffer *command_buffer, segue_executable *executable,
                           const struct segue_quant_matrix *matrix, struct segue_quant_rows rows,
                           const struct segue_quant_pack_buffers *buffers, bool unpack)
{
    struct segue_quant_pack_constants constants;
    uint64_t offset_bytes, size_bytes;
    segue_status status = segue_quant_chunk_constants(matrix, rows, &constants);
    if (status == SEGUE_OK)
        status = segue_quant_get_packed_range(matrix, rows, &offset_bytes, &size_bytes);
    if (status != SEGUE_OK)
        return status;
    if (!buffers)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "matrix \"%s\": buffers is NULL",
                          quant_name(matrix));
    const uint64_t whole_bytes = segue_quant_packed_size_bytes(matrix);
    if (buffers->packed.length_bytes < whole_bytes)
        return quant_fail(NULL, SEGUE_OUT_OF_RANGE,
                          "matrix \"%s\": packed has %llu bytes; the matrix needs %llu",
                          quant_name(matrix), (unsigned long long)buffers->packed.length_bytes,
                          (unsigned long long)whole_bytes);

    struct segue_buffer_ref bindings[4];
    uint32_t count = 0;
    if (unpack)
        bindings[count++] = part_of(buffers->packed, offset_bytes, size_bytes);
    bindings[count++] = buffers->weights;
    bindings[count++] = buffers->scales;
    if (constants.zero_bytes != 0)
        bindings[count++] = buffers->zeros;
    if (!unpack)
        bindings[count++] = part_of(buffers->packed, offset_bytes, size_bytes);
    const struct segue_dispatch dispatch = {
        .executable = executable,
        .entry_point = (unpack ? SEGUE_QUANT_UNPACK : SEGUE_QUANT_PACK) +
                       (constants.zero_bytes != 0 ? 1u : 0u),
        .grid = {rows.count != 0 ? GRID_BLOCKS : 0, 1, 1},
        .bindings = bindings,
        .binding_count = count,
        .constants = &constants,
        .constants_size_bytes = sizeof(constants),
    };
    return segue_cmd_dispatch(command_buffer, &dispatch);
}

segue_status segue_quant_cmd_pack(segue_command_buffer *command_buffer,
                                  segue_executable *executable,
                                  const struct segue_quant_matrix *matrix,
                                  struct segue_quant_rows rows,
                                  const struct segue_quant_pack_buffers *buffers)
{
    return record(command_buffer, executable, matrix, rows, buffers, false);
}

segue_status segue_quant_cmd_unpack(segue_command_buffer *command_buffer,
                                    segue_executable *executable,
                                    const struct segue_quant_matrix *matrix,
                                    struct segue_quant_rows rows,
                                    const struct segue_quant_pack_buffers *buffers)
{
    return record(command_buffer, executable, matrix, rows, buffers, true);
}
