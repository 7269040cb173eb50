// SPDX-License-Identifier: Apache-2.0
/**
 * @file table.h
 * Binding tables against the recordings that use them.
 */
#ifndef SEGUE_HAL_TABLE_H
#define SEGUE_HAL_TABLE_H

#include "recording.h"

/** Checks every use of a slot against what the table holds there: range, usage, alignment, and for
 *  fills and copies what could not be known before. The table's ranges lie in their buffers.
 *  SEGUE_OUT_OF_RANGE, SEGUE_INVALID_ACCESS or SEGUE_INVALID_ARGUMENT naming command and slot. */
SEGUE_MUST_CHECK segue_status segue_table_check(const struct segue_recording *recording,
                                                const struct segue_binding_table *table);

/** Whether both say the same of every slot. */
bool segue_table_equal(const struct segue_range *a, uint32_t a_count, const struct segue_range *b,
                       uint32_t b_count);

#endif // SEGUE_HAL_TABLE_H
