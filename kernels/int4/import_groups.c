// SPDX-License-Identifier: Apache-2.0
// What each group has: scales, zeros, and which columns it is made of.
#include "import.h"

#include "layout.h"
#include "number.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/** Rows that are turned at once, so that lines of [groups][rows] are used whole. */
#define TURN_ROWS 64
/** Position in a word of AWQ of each of its eight rows. */
static const uint8_t awq_positions[8] = {0, 4, 1, 5, 2, 6, 3, 7};

static int32_t load_word(const void *words, uint64_t i)
{
    int32_t word;
    memcpy(&word, (const uint8_t *)words + i * sizeof(word), sizeof(word));
    return word;
}

/** Copies elements that lie as scales do to [rows][groups]. */
static void copy_elements(const struct import_plan *plan, const uint8_t *source, uint32_t bytes,
                          struct segue_quant_rows rows, uint8_t *out)
{
    const uint64_t groups = plan->groups;
    if (!plan->groups_first) {
        memcpy(out, source + rows.first * groups * bytes, rows.count * groups * bytes);
        return;
    }
    for (uint32_t first = 0; first < rows.count; first += TURN_ROWS) {
        const uint32_t end = rows.count - first < TURN_ROWS ? rows.count : first + TURN_ROWS;
        for (uint64_t group = 0; group < groups; group++) {
            const uint8_t *from = source + (group * plan->matrix.rows + rows.first) * bytes;
            for (uint32_t row = first; row < end; row++)
                memcpy(out + (row * groups + group) * bytes, from + (uint64_t)row * bytes, bytes);
        }
    }
}

/** Copies 2 bytes of every block of GGUF. */
static void copy_from_blocks(const struct import_plan *plan, uint32_t offset_bytes,
                             struct segue_quant_rows rows, uint8_t *out)
{
    const uint64_t first = (uint64_t)rows.first * plan->groups;
    const uint64_t count = (uint64_t)rows.count * plan->groups;
    const uint8_t *blocks = (const uint8_t *)plan->import->weights.data + offset_bytes;
    for (uint64_t i = 0; i < count; i++)
        memcpy(out + i * 2, blocks + (first + i) * plan->block_bytes, 2);
}

void segue_quant_import_scales(const struct import_plan *plan, struct segue_quant_rows rows,
                               uint8_t *out)
{
    if (plan->weights == IMPORT_BLOCKS)
        copy_from_blocks(plan, 0, rows, out);
    else
        copy_elements(plan, plan->import->scales.data, quant_type_bytes(plan->matrix.scale_type),
                      rows, out);
}

/* ---- Zero points ----------------------------------------------------------------------------- */

/** A zero point as it is stored. */
static int64_t stored_point(const struct import_plan *plan, uint64_t row, uint64_t group)
{
    const struct segue_quant_tensor *zeros = &plan->import->zeros;
    const uint64_t rows = plan->matrix.rows;
    if (plan->zeros == IMPORT_POINTS) {
        const uint64_t i = plan->groups_first ? group * rows + row : row * plan->groups + group;
        if (zeros->element == SEGUE_QUANT_ELEMENT_I32)
            return load_word(zeros->data, i);
        const uint8_t byte = ((const uint8_t *)zeros->data)[i];
        return plan->import->flags & SEGUE_QUANT_IMPORT_SIGNED ? (int8_t)byte : byte;
    }
    const uint32_t bits = plan->matrix.bits;
    const uint64_t in_word = 32 / bits;
    const uint64_t words = (rows + in_word - 1) / in_word;
    const uint64_t i =
        plan->groups_first ? group * words + row / in_word : row / in_word * plan->groups + group;
    const bool awq = plan->import->format == SEGUE_QUANT_FORMAT_AWQ;
    const uint32_t position = awq ? awq_positions[row % 8] : (uint32_t)(row % in_word);
    return (uint32_t)load_word(zeros->data, i) >> position * bits & ((1u << bits) - 1);
}

static segue_status make_points(const struct import_plan *plan, struct segue_quant_rows rows,
                                uint8_t *out)
{
    const bool wide = plan->matrix.bits == 8;
    const int64_t least = wide ? -128 : 0, most = wide ? 127 : 16;
    // As it would be stored; words have no sign.
    const int64_t lowest = plan->zeros == IMPORT_WORDS ? 0 : least - plan->zero_shift;
    for (uint32_t first = 0; first < rows.count; first += TURN_ROWS) {
        const uint32_t end = rows.count - first < TURN_ROWS ? rows.count : first + TURN_ROWS;
        for (uint64_t group = 0; group < plan->groups; group++) {
            for (uint32_t row = first; row < end; row++) {
                const int64_t stored = stored_point(plan, (uint64_t)rows.first + row, group);
                const int64_t point = stored + plan->zero_shift;
                if (point < least || point > most)
                    return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                                      "matrix \"%s\": zeros has %" PRId64 " for row %" PRIu64
                                      ", group %" PRIu64 "; %" PRId64 " to %" PRId64
                                      " can be packed",
                                      quant_name(&plan->matrix), stored, (uint64_t)rows.first + row,
                                      group, lowest, most - plan->zero_shift);
                out[(uint64_t)row * plan->groups + group] = (uint8_t)point;
            }
        }
    }
    return SEGUE_OK;
}

segue_status segue_quant_import_zeros(const struct import_plan *plan, struct segue_quant_rows rows,
                                      uint8_t *out)
{
    switch (plan->zeros) {
    case IMPORT_NO_ZEROS:
        break;
    case IMPORT_BLOCK_OFFSETS:
        copy_from_blocks(plan, 2, rows, out);
        break;
    case IMPORT_OFFSETS:
        copy_elements(plan, plan->import->zeros.data, quant_type_bytes(plan->matrix.scale_type),
                      rows, out);
        break;
    case IMPORT_POINTS:
    case IMPORT_WORDS:
        return make_points(plan, rows, out);
    }
    return SEGUE_OK;
}

/* ---- Order of columns ------------------------------------------------------------------------ */

/** Group of column `column`; those of an index that is not used are in order. */
static int32_t group_of(const struct import_plan *plan, uint32_t column)
{
    return load_word(plan->import->group_index.data, column);
}

/** Puts the columns in the order of their groups; `ends` has room for a number for each group. */
static segue_status sort_columns(const struct import_plan *plan, uint32_t *order, uint32_t *ends)
{
    const char *name = quant_name(&plan->matrix);
    const uint32_t group_size = plan->matrix.group_size;
    for (uint32_t group = 0; group < plan->groups; group++)
        ends[group] = group * group_size;
    for (uint32_t column = 0; column < plan->matrix.columns; column++) {
        const int32_t group = group_of(plan, column);
        if ((uint32_t)group >= plan->groups)
            return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                              "matrix \"%s\": group_index has group %d for column %u; there are %u "
                              "groups",
                              name, group, column, plan->groups);
        if (ends[group] == ((uint32_t)group + 1) * group_size)
            return quant_fail(
                NULL, SEGUE_INVALID_ARGUMENT,
                "matrix \"%s\": group_index has more than %u columns in group %d, the "
                "last one being %u",
                name, group_size, group, column);
        order[ends[group]++] = column;
    }
    return SEGUE_OK;
}

segue_status segue_quant_import_plan_order(struct import_plan *plan)
{
    const uint32_t columns = plan->matrix.columns;
    plan->order = NULL;
    if (!plan->import->group_index.data)
        return SEGUE_OK;
    bool in_order = true, unused = true;
    for (uint32_t column = 0; column < columns && (in_order || unused); column++) {
        const int32_t group = group_of(plan, column);
        in_order = in_order && group == (int32_t)(column / plan->matrix.group_size);
        unused = unused && group == -1;
    }
    if (in_order || unused)
        return SEGUE_OK;
    uint32_t *order = malloc((size_t)columns * sizeof(*order));
    uint32_t *ends = malloc((size_t)plan->groups * sizeof(*ends));
    segue_status status;
    if (!order || !ends)
        status = quant_fail(NULL, SEGUE_OUT_OF_HOST_MEMORY,
                            "matrix \"%s\": no memory for the order of %u columns",
                            quant_name(&plan->matrix), columns);
    else
        status = sort_columns(plan, order, ends);
    free(ends);
    if (status == SEGUE_OK)
        plan->order = order;
    else
        free(order);
    return status;
}
