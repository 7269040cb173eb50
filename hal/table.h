// SPDX-License-Identifier: Apache-2.0
/**
 * @file table.h
 * Binding tables against the recordings that use them.
 */
#ifndef SEGUE_HAL_TABLE_H
#define SEGUE_HAL_TABLE_H

#include "slot_alias.h"

/** Checks every use of a slot against what the table holds there: range, usage, alignment, and for
 *  fills and copies what could not be known before. The table's ranges lie in their buffers.
 *  SEGUE_OUT_OF_RANGE, SEGUE_INVALID_ACCESS or SEGUE_INVALID_ARGUMENT naming command and slot. */
SEGUE_MUST_CHECK segue_status segue_table_check(const struct segue_recording *recording,
                                                const struct segue_binding_table *table);

/** The same for a table that may differ from one that was found right for the recording: looks at
 * no command that names none of the slots that differ. With the submission lock held. */
SEGUE_MUST_CHECK segue_status segue_table_check_since(const struct segue_recording *recording,
                                                      const struct segue_binding_table *table,
                                                      const struct segue_binding_table *valid);

/** Finds what stands for the same memory although it was said to be distinct, and refuses it with
 *  SEGUE_INVALID_ARGUMENT naming both slots unless the recording is to be lowered for it; see
 *  segue_slot_pattern_find. */
SEGUE_MUST_CHECK segue_status segue_table_check_aliases(const struct segue_recording *recording,
                                                        const struct segue_binding_table *table,
                                                        const struct segue_binding_table *valid,
                                                        struct segue_slot_pattern *out_aliases);

/** Whether a slot stands for the same in both. */
static inline bool segue_slot_is_same(const struct segue_range *a, const struct segue_range *b)
{
    return a->object == b->object && a->offset_bytes == b->offset_bytes &&
           a->length_bytes == b->length_bytes;
}
/** Whether both say the same of every slot. */
bool segue_table_equal(const struct segue_binding_table *a, const struct segue_binding_table *b);

#endif // SEGUE_HAL_TABLE_H
