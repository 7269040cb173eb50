// SPDX-License-Identifier: Apache-2.0
#include "plan_rows.h"

#include <string.h>

static uint32_t multiple_of(const struct segue_prepack_rows *rows)
{
    return rows->multiple != 0 ? rows->multiple : 1;
}

/** Whether a uint32 fits there. */
static bool has_word(const struct segue_prepack_launch *launch, uint32_t offset_bytes)
{
    return launch->constants_size_bytes >= sizeof(uint32_t) &&
           offset_bytes <= launch->constants_size_bytes - sizeof(uint32_t);
}

static const char *sources_problem(const struct segue_prepack_constant *constant)
{
    const struct segue_prepack_rows *rows = &constant->packing->rows;
    bool is_cut = false;
    for (uint32_t i = 0; i < constant->source_count; i++) {
        const uint64_t row_bytes = rows->source_bytes[i];
        const uint64_t size_bytes = constant->sources[i].size_bytes;
        is_cut = is_cut || row_bytes != 0;
        if (row_bytes != 0 &&
            (size_bytes % rows->count != 0 || size_bytes / rows->count != row_bytes))
            return "do not make up a source: each must have the rows' number of times the bytes of "
                   "a row";
    }
    return is_cut ? NULL : "are not those of any source";
}

const char *segue_prepack_rows_problem(const struct segue_prepack_constant *constant,
                                       uint64_t packed_bytes)
{
    const struct segue_prepack_rows *rows = &constant->packing->rows;
    const struct segue_prepack_launch *launch = &constant->packing->launch;
    if (rows->count == 0)
        return NULL;
    const uint32_t multiple = multiple_of(rows);
    const uint64_t whole = (rows->count - 1) / multiple;
    if (rows->packed_bytes == 0 || whole > packed_bytes / rows->packed_bytes ||
        packed_bytes <= whole * rows->packed_bytes ||
        packed_bytes - whole * rows->packed_bytes > rows->packed_bytes)
        return "do not make up the packed constant: each multiple of them must be packed into "
               "packed_bytes, the last one into no more";
    if (!has_word(launch, rows->count_offset_bytes) || rows->grid_axis > 2)
        return "have no place in the launch: count_offset_bytes must be that of a uint32 in its "
               "constants, grid_axis below 3";
    if (rows->pair_rows != 0) {
        const uint64_t stretch = 2 * (uint64_t)rows->pair_rows;
        if (!has_word(launch, rows->pair_offset_bytes) || multiple % 2 != 0 ||
            stretch % multiple != 0 || rows->count % stretch != 0)
            return "cannot be paired: they must be whole stretches of 2 * pair_rows, these whole "
                   "multiples, which are even, and pair_offset_bytes that of a uint32 in the "
                   "constants";
    }
    return sources_problem(constant);
}

/** Whether a range is within one stretch of pairs and not all of it: then its rows come from both
 *  halves. */
static bool is_split(const struct segue_prepack_rows *rows, const struct segue_prepack_range *range)
{
    return rows->pair_rows != 0 && range->count % (2 * (uint64_t)rows->pair_rows) != 0;
}

struct segue_prepack_range segue_prepack_rows_range(const struct segue_prepack_rows *rows,
                                                    uint32_t source_count, uint32_t first,
                                                    uint64_t budget_bytes)
{
    if (rows->count == 0)
        return (struct segue_prepack_range){0, 0};
    uint64_t row_bytes = 0;
    for (uint32_t i = 0; i < source_count; i++)
        row_bytes += rows->source_bytes[i];
    const uint64_t multiple = multiple_of(rows);
    const uint64_t stretch = 2 * (uint64_t)rows->pair_rows;
    uint64_t count = budget_bytes / row_bytes / multiple * multiple;
    count = count != 0 ? count : multiple;
    uint64_t rest = rows->count - first;
    if (stretch != 0 && first % stretch == 0 && count >= stretch)
        count = count / stretch * stretch;
    else if (stretch != 0)
        rest = stretch - first % stretch;
    return (struct segue_prepack_range){first, (uint32_t)(count < rest ? count : rest)};
}

bool segue_prepack_rows_is_last(const struct segue_prepack_rows *rows,
                                const struct segue_prepack_range *range)
{
    return range->first + range->count == rows->count;
}

uint64_t segue_prepack_rows_source_bytes(const struct segue_prepack_rows *rows, uint32_t source,
                                         uint64_t size_bytes,
                                         const struct segue_prepack_range *range)
{
    const bool is_whole = range->count == 0 || rows->source_bytes[source] == 0;
    return is_whole ? size_bytes : range->count * rows->source_bytes[source];
}

uint32_t segue_prepack_rows_runs(const struct segue_prepack_rows *rows, uint32_t source,
                                 uint64_t size_bytes, const struct segue_prepack_range *range,
                                 struct segue_prepack_run out_runs[2])
{
    const uint64_t length_bytes = segue_prepack_rows_source_bytes(rows, source, size_bytes, range);
    const uint64_t row_bytes = rows->source_bytes[source];
    const bool is_whole = range->count == 0 || row_bytes == 0;
    if (is_whole || !is_split(rows, range)) {
        out_runs[0] = (struct segue_prepack_run){
            .offset_bytes = is_whole ? 0 : range->first * row_bytes, .length_bytes = length_bytes};
        return 1;
    }
    const uint64_t inside = range->first % (2 * (uint64_t)rows->pair_rows);
    const uint64_t upper = range->first - inside + inside / 2;
    out_runs[0] = (struct segue_prepack_run){.offset_bytes = upper * row_bytes,
                                             .length_bytes = length_bytes / 2};
    out_runs[1] = (struct segue_prepack_run){
        .offset_bytes = (upper + rows->pair_rows) * row_bytes,
        .length_bytes = length_bytes / 2,
        .place_bytes = length_bytes / 2,
    };
    return 2;
}

void segue_prepack_rows_packed(const struct segue_prepack_rows *rows, uint64_t packed_bytes,
                               const struct segue_prepack_range *range, uint64_t *out_offset_bytes,
                               uint64_t *out_length_bytes)
{
    *out_offset_bytes = 0;
    *out_length_bytes = packed_bytes;
    if (range->count == 0)
        return;
    const uint32_t multiple = multiple_of(rows);
    *out_offset_bytes = range->first / multiple * rows->packed_bytes;
    *out_length_bytes = segue_prepack_rows_is_last(rows, range)
                            ? packed_bytes - *out_offset_bytes
                            : range->count / multiple * rows->packed_bytes;
}

void segue_prepack_rows_launch(const struct segue_prepack_rows *rows,
                               const struct segue_prepack_range *range,
                               struct segue_prepack_launch *launch, unsigned char *constants)
{
    launch->constants = constants;
    if (range->count == 0)
        return;
    memcpy(constants + rows->count_offset_bytes, &range->count, sizeof(range->count));
    const uint32_t half = range->count / 2;
    if (is_split(rows, range))
        memcpy(constants + rows->pair_offset_bytes, &half, sizeof(half));
    if (rows->rows_per_block != 0)
        launch->grid[rows->grid_axis] =
            (uint32_t)(((uint64_t)range->count + rows->rows_per_block - 1) / rows->rows_per_block);
}
