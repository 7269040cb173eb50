// SPDX-License-Identifier: Apache-2.0
/**
 * @file slot_alias.h
 * Which slots a table lets stand for the same memory, where the order of a command buffer was found
 * for slots that do not (SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT).
 *
 * Slots whose bound bytes overlap, directly or through others, form a group. A group that some
 * command writes is in the pattern: each of its slots as so many bytes behind the group's first
 * one. An order found for a pattern is right for every table of that pattern: within a group it
 * goes by the bytes, as it does within one slot, and different groups are distinct.
 */
#ifndef SEGUE_HAL_SLOT_ALIAS_H
#define SEGUE_HAL_SLOT_ALIAS_H

#include "recording.h"

/** A slot of a group, other than the group's first. */
struct segue_slot_alias {
    uint32_t slot;
    /** The slot of the group that begins first. */
    uint32_t base;
    /** Where `slot` begins in what `base` stands for. */
    uint64_t offset_bytes;
};

/** By slot, ascending. Empty: no slots that matter overlap. */
struct segue_slot_pattern {
    struct segue_slot_alias *list;
    uint32_t count;
};

/**
 * Finds the pattern of a table. `valid`, not NULL: a table whose pattern is empty, from which only
 * few slots may differ, for which there is a shorter way. SEGUE_OUT_OF_HOST_MEMORY. Called with the
 * submission lock held.
 */
SEGUE_MUST_CHECK segue_status segue_slot_pattern_find(const struct segue_recording *recording,
                                                      const struct segue_binding_table *table,
                                                      const struct segue_binding_table *valid,
                                                      struct segue_slot_pattern *out_pattern);
/** Finds two slots that overlap, one of which is written, in a table whose pattern is not empty. */
void segue_slot_pattern_find_pair(const struct segue_recording *recording,
                                  const struct segue_binding_table *table, uint32_t *out_first,
                                  uint32_t *out_second);
void segue_slot_pattern_finish(struct segue_slot_pattern *pattern,
                               const struct segue_allocator *allocator);
/** Either may be NULL for an empty one. */
bool segue_slot_pattern_equal(const struct segue_slot_pattern *a,
                              const struct segue_slot_pattern *b);

#endif // SEGUE_HAL_SLOT_ALIAS_H
