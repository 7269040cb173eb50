// SPDX-License-Identifier: Apache-2.0
#include "layout.h"

#include "number.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define MAX_COLUMNS QUANT_MAX_COLUMNS
#define MAX_ROWS (1u << 28)

segue_status segue_quant_raise(segue_device *device, segue_status status, const char *file,
                               int line, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    return segue_report_error(device, status, file, line, message);
}

uint32_t segue_quant_zero_bytes(enum segue_quant_zero zero, enum segue_quant_type scale_type)
{
    switch (zero) {
    case SEGUE_QUANT_ZERO_POINTS:
        return 1;
    case SEGUE_QUANT_ZERO_OFFSETS:
    case SEGUE_QUANT_ZERO_MIDDLE_OFFSETS:
        return quant_type_bytes(scale_type);
    default:
        return 0;
    }
}

static segue_status check_format(const struct segue_quant_matrix *matrix)
{
    const char *name = quant_name(matrix);
    if (matrix->bits != 4 && matrix->bits != 8)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "matrix \"%s\": bits is %u; use 4 or 8",
                          name, matrix->bits);
    if ((unsigned)matrix->scale_type > SEGUE_QUANT_F32)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": scale_type is %d; use a value of segue_quant_type", name,
                          (int)matrix->scale_type);
    if ((unsigned)matrix->zero > SEGUE_QUANT_ZERO_MIDDLE_OFFSETS)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": zero is %d; use a value of segue_quant_zero", name,
                          (int)matrix->zero);
    if (matrix->bits == 8 && matrix->zero == SEGUE_QUANT_ZERO_MIDDLE_OFFSETS)
        return quant_fail(
            NULL, SEGUE_INVALID_ARGUMENT,
            "matrix \"%s\": zero is SEGUE_QUANT_ZERO_MIDDLE_OFFSETS; weights of 8 bits "
            "are signed: use SEGUE_QUANT_ZERO_OFFSETS",
            name);
    return SEGUE_OK;
}

segue_status segue_quant_check(const struct segue_quant_matrix *matrix)
{
    if (!matrix)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "matrix is NULL");
    const segue_status status = check_format(matrix);
    if (status != SEGUE_OK)
        return status;
    const char *name = quant_name(matrix);
    if (matrix->rows == 0 || matrix->rows > MAX_ROWS)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "matrix \"%s\": rows is %u; use 1 to %u",
                          name, matrix->rows, MAX_ROWS);
    if (matrix->columns == 0 || matrix->columns > MAX_COLUMNS || matrix->columns % 8 != 0)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": columns is %u; use a multiple of 8 up to %u", name,
                          matrix->columns, MAX_COLUMNS);
    const uint32_t group = matrix->group_size;
    if (group != 32 && group != 64 && group != 128 && group != matrix->columns)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": group_size is %u; use 32, 64, 128 or the columns, %u",
                          name, group, matrix->columns);
    if (matrix->columns % group != 0)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": columns is %u, no multiple of the group size %u", name,
                          matrix->columns, group);
    const uint32_t stride = matrix->pair_stride;
    if (stride != 0 &&
        (stride % 8 != 0 || stride > matrix->rows || matrix->rows % (2 * (uint64_t)stride) != 0))
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": pair_stride is %u; use a multiple of 8, twice which "
                          "divides the rows, %u",
                          name, stride, matrix->rows);
    return SEGUE_OK;
}

void segue_quant_constants_of(const struct segue_quant_matrix *matrix,
                              struct segue_quant_pack_constants *out_constants)
{
    *out_constants = (struct segue_quant_pack_constants){
        .columns = matrix->columns,
        .bits = matrix->bits,
        .group_size = matrix->group_size,
        .scale_bytes = quant_type_bytes(matrix->scale_type),
        .zero_bytes = segue_quant_zero_bytes(matrix->zero, matrix->scale_type),
        .row_count = matrix->rows,
        .pair_stride = matrix->pair_stride ? matrix->pair_stride : 8,
    };
}

void segue_quant_layout_of(const struct segue_quant_pack_constants *constants,
                           struct quant_layout *out_layout)
{
    struct quant_layout layout = {
        .per_row = constants->group_size == constants->columns,
        .planes = constants->bits / 4,
        .groups = constants->columns / constants->group_size,
        .blocks = (constants->columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS,
        .scale_bytes = constants->scale_bytes,
        .zero_bytes = constants->zero_bytes,
    };
    layout.record_groups = layout.per_row ? 1 : BLOCK_COLUMNS / constants->group_size;
    layout.record_bytes =
        TILE_ROWS * layout.record_groups * (layout.scale_bytes + layout.zero_bytes);
    layout.block_bytes = layout.planes * PLANE_BYTES + (layout.per_row ? 0 : layout.record_bytes);
    layout.tile_bytes =
        layout.blocks * layout.block_bytes + (layout.per_row ? layout.record_bytes : 0);
    *out_layout = layout;
}

static uint64_t tile_count(uint32_t rows)
{
    return ((uint64_t)rows + TILE_ROWS - 1) / TILE_ROWS;
}

uint64_t segue_quant_packed_size_bytes(const struct segue_quant_matrix *matrix)
{
    struct segue_quant_pack_constants constants;
    struct quant_layout layout;
    segue_quant_constants_of(matrix, &constants);
    segue_quant_layout_of(&constants, &layout);
    return tile_count(matrix->rows) * layout.tile_bytes;
}

void segue_quant_get_plain_sizes(const struct segue_quant_matrix *matrix, uint32_t row_count,
                                 struct segue_quant_plain_sizes *out_sizes)
{
    const uint64_t groups = (uint64_t)row_count * (matrix->columns / matrix->group_size);
    *out_sizes = (struct segue_quant_plain_sizes){
        .weights_bytes = (uint64_t)row_count * matrix->columns * matrix->bits / 8,
        .scales_bytes = groups * quant_type_bytes(matrix->scale_type),
        .zeros_bytes = groups * segue_quant_zero_bytes(matrix->zero, matrix->scale_type),
    };
}

segue_status segue_quant_chunk_constants(const struct segue_quant_matrix *matrix,
                                         struct segue_quant_rows rows,
                                         struct segue_quant_pack_constants *out_constants)
{
    const segue_status status = segue_quant_check(matrix);
    if (status != SEGUE_OK)
        return status;
    const char *name = quant_name(matrix);
    if (rows.first > matrix->rows || rows.count > matrix->rows - rows.first)
        return quant_fail(NULL, SEGUE_OUT_OF_RANGE,
                          "matrix \"%s\": %u rows from row %u on are not in its %u rows", name,
                          rows.count, rows.first, matrix->rows);
    const bool at_end = rows.first + rows.count == matrix->rows;
    if (rows.first % TILE_ROWS != 0 || (rows.count % TILE_ROWS != 0 && !at_end))
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": %u rows from row %u on are not whole tiles of %u rows",
                          name, rows.count, rows.first, TILE_ROWS);
    segue_quant_constants_of(matrix, out_constants);
    out_constants->row_count = rows.count;
    const uint32_t stretch = 2 * matrix->pair_stride;
    if (stretch == 0 || (rows.first % stretch == 0 && rows.count % stretch == 0))
        return SEGUE_OK;
    if (rows.first % stretch + (uint64_t)rows.count > stretch)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": %u rows from row %u on are neither whole stretches of %u "
                          "paired rows nor within one",
                          name, rows.count, rows.first, stretch);
    out_constants->pair_stride = rows.count / 2;
    return SEGUE_OK;
}

segue_status segue_quant_get_packed_range(const struct segue_quant_matrix *matrix,
                                          struct segue_quant_rows rows, uint64_t *out_offset_bytes,
                                          uint64_t *out_size_bytes)
{
    struct segue_quant_pack_constants constants = {0};
    const segue_status status = segue_quant_chunk_constants(matrix, rows, &constants);
    if (status != SEGUE_OK)
        return status;
    struct quant_layout layout;
    segue_quant_layout_of(&constants, &layout);
    *out_offset_bytes = (uint64_t)(rows.first / TILE_ROWS) * layout.tile_bytes;
    *out_size_bytes = tile_count(rows.count) * layout.tile_bytes;
    return SEGUE_OK;
}

segue_status segue_quant_fit(const char *launch, const char *what, struct segue_buffer_ref given,
                             uint64_t size_bytes, struct segue_buffer_ref *out_ref)
{
    if (given.length_bytes < size_bytes)
        return quant_fail(NULL, SEGUE_OUT_OF_RANGE,
                          "%s: %s has %" PRIu64 " bytes; it needs %" PRIu64, launch, what,
                          given.length_bytes, size_bytes);
    given.length_bytes = size_bytes;
    *out_ref = given;
    return SEGUE_OK;
}
