// SPDX-License-Identifier: Apache-2.0
/**
 * @file depend_window.h
 * What leads to the last nodes, as bits, for hal/depend_emit.c and depend_reduce.c: "is this
 * predecessor implied by another" is one bit of the others' rows joined. The rows are a ring of
 * words over node numbers: joining two takes no shifts, only leaving out the words that are too
 * old.
 */
#ifndef SEGUE_HAL_DEPEND_WINDOW_H
#define SEGUE_HAL_DEPEND_WINDOW_H

#include "depend_build.h"

/** Whether the row of `later` reaches back to `earlier`, and that of `earlier` is still there. */
static inline bool segue_depend_is_near(uint32_t earlier, uint32_t later)
{
    return (later >> 6) - (earlier >> 6) < SEGUE_DEPEND_ROW;
}

static inline bool segue_depend_has_bit(const uint64_t *row, uint32_t node)
{
    return (row[(node >> 6) % SEGUE_DEPEND_ROW] >> (node & 63)) & 1;
}

static inline void segue_depend_set_bit(uint64_t *row, uint32_t node)
{
    row[(node >> 6) % SEGUE_DEPEND_ROW] |= UINT64_C(1) << (node & 63);
}

/** Adds the row of `from` to that of `to`: the words that are valid in both. */
static inline __attribute__((always_inline)) void
segue_depend_join_row(const struct segue_depend_window *window, uint64_t *row, uint32_t to,
                      uint32_t from)
{
    const uint64_t *other = window->rows[from % SEGUE_DEPEND_RING];
    uint32_t gap = (to >> 6) - (from >> 6);
    if (gap == 0) {
        for (uint32_t i = 0; i < SEGUE_DEPEND_ROW; i++)
            row[i] |= other[i];
        return;
    }
    for (uint32_t i = gap; i < SEGUE_DEPEND_ROW; i++) {
        uint32_t word = ((from >> 6) + 1 + i) % SEGUE_DEPEND_ROW;
        row[word] |= other[word];
    }
}

/** Goes on with `full` as far as bits are set. */
static inline uint32_t segue_depend_extend_full(const uint64_t *row, uint32_t full, uint32_t node)
{
    while (full < node && segue_depend_is_near(full, node)) {
        uint32_t rest = 64 - (full & 63);
        uint64_t missing = ~(row[(full >> 6) % SEGUE_DEPEND_ROW] >> (full & 63));
        uint32_t run = missing == 0 ? 64 : (uint32_t)__builtin_ctzll(missing);
        full += run < rest ? run : rest;
        if (run < rest)
            break;
    }
    return full;
}

/** Leaves every node of a list once, marked with a new stamp, leaves out those that others imply,
 *  and makes the row of the next node, which is to have the list. @return what is left */
size_t segue_depend_reduce(struct segue_depend_builder *builder, uint32_t *list, size_t count);

#endif // SEGUE_HAL_DEPEND_WINDOW_H
