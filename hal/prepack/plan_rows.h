// SPDX-License-Identifier: Apache-2.0
/**
 * @file plan_rows.h
 * Ranges of rows that a constant is packed in: arithmetic on struct segue_prepack_rows.
 */
#ifndef SEGUE_PREPACK_PLAN_ROWS_H
#define SEGUE_PREPACK_PLAN_ROWS_H

#include <segue/prepack.h>

/** A range of rows; all of a constant that is packed at a go is {0, 0}. */
struct segue_prepack_range {
    uint32_t first;
    uint32_t count;
};

/** A run of bytes of a source, and where it goes among the range's bytes of it. */
struct segue_prepack_run {
    uint64_t offset_bytes;
    uint64_t length_bytes;
    uint64_t place_bytes;
};

/** What is wrong with a description, as the end of a sentence; NULL: nothing. */
const char *segue_prepack_rows_problem(const struct segue_prepack_constant *constant,
                                       uint64_t packed_bytes);

/** The range that begins with row `first`, so that its sources have at most about `budget_bytes`,
 *  but never less than what can be packed alone. */
struct segue_prepack_range segue_prepack_rows_range(const struct segue_prepack_rows *rows,
                                                    uint32_t source_count, uint32_t first,
                                                    uint64_t budget_bytes);
/** Whether it is the last one. */
bool segue_prepack_rows_is_last(const struct segue_prepack_rows *rows,
                                const struct segue_prepack_range *range);

/** Bytes of a source that a range needs; `size_bytes` is all of it. */
uint64_t segue_prepack_rows_source_bytes(const struct segue_prepack_rows *rows, uint32_t source,
                                         uint64_t size_bytes,
                                         const struct segue_prepack_range *range);
/** Where these are in the source. Returns how many runs, 1 or 2. */
uint32_t segue_prepack_rows_runs(const struct segue_prepack_rows *rows, uint32_t source,
                                 uint64_t size_bytes, const struct segue_prepack_range *range,
                                 struct segue_prepack_run out_runs[2]);
/** Where the packed range is. */
void segue_prepack_rows_packed(const struct segue_prepack_rows *rows, uint64_t packed_bytes,
                               const struct segue_prepack_range *range, uint64_t *out_offset_bytes,
                               uint64_t *out_length_bytes);

/** Makes the launch of a range: `launch` and its `constants`, a copy, are those of the whole. */
void segue_prepack_rows_launch(const struct segue_prepack_rows *rows,
                               const struct segue_prepack_range *range,
                               struct segue_prepack_launch *launch, unsigned char *constants);

#endif // SEGUE_PREPACK_PLAN_ROWS_H
