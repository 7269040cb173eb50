// SPDX-License-Identifier: Apache-2.0
/**
 * @file table.h
 * Text tables with aligned columns: the first column to the left, all others to the right.
 */
#ifndef SEGUE_REPLAY_TABLE_H
#define SEGUE_REPLAY_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SEGUE_REPLAY_TABLE_COLUMNS 16

/** Zero-initialise, set column_count. One thread. */
struct segue_replay_table {
    uint32_t column_count;
    /** Row by row; owned. */
    char **cells;
    uint32_t row_count;
    /** Memory ran out; printing then says so. */
    bool failed;
};

/** Appends a row of column_count texts, which are copied and cleaned of control characters. */
void segue_replay_table_add(struct segue_replay_table *table, const char *const *texts);

/** Prints all rows, each after `indent` spaces. @return false if memory had run out. */
bool segue_replay_table_print(const struct segue_replay_table *table, uint32_t indent,
                              FILE *stream);

/** Frees the rows. */
void segue_replay_table_clear(struct segue_replay_table *table);

#endif // SEGUE_REPLAY_TABLE_H
