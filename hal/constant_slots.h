// SPDX-License-Identifier: Apache-2.0
/**
 * @file constant_slots.h
 * Constants whose values submissions give: what a command buffer declares, what dispatches use of
 * it, and what a submission says.
 */
#ifndef SEGUE_HAL_CONSTANT_SLOTS_H
#define SEGUE_HAL_CONSTANT_SLOTS_H

#include "record.h"

#include <segue/queue.h>

/** Checks a declaration: SEGUE_INVALID_ARGUMENT or SEGUE_OUT_OF_RANGE naming the slot. */
SEGUE_MUST_CHECK segue_status
segue_constant_slots_check(segue_device *device, const struct segue_command_buffer_params *params);
/** Copies a checked declaration; the first uses are unset. False when out of memory. */
bool segue_constant_slots_copy(const struct segue_allocator *allocator,
                               const struct segue_command_buffer_params *params,
                               struct segue_constant_slots *out_slots);
void segue_constant_slots_free(const struct segue_allocator *allocator,
                               struct segue_constant_slots *slots);
/** Forgets the first uses. */
void segue_constant_slots_forget(struct segue_constant_slots *slots);
/** Index of the slot of that name, the count if there is none. */
uint32_t segue_constant_slots_find(const struct segue_constant_slots *slots, const char *name);

/** Checks the constant uses of a dispatch that is otherwise of the right form. Raises and latches
 *  what is wrong. */
SEGUE_MUST_CHECK segue_status segue_record_check_constant_uses(
    segue_command_buffer *command_buffer, const struct segue_entry *entry,
    const struct segue_dispatch *dispatch);
/** Bytes of the list behind the constants, the gap before it included. */
size_t segue_record_constant_uses_bytes(const struct segue_dispatch *dispatch);
/** Writes the checked uses of a dispatch behind the constants of its segment, and zeros into the
 *  constants where they are. */
void segue_record_constant_uses(segue_command_buffer *command_buffer,
                                const struct segue_dispatch *dispatch,
                                struct segue_dispatch_segment *segment);

/** The values that a submission gives, checked against the slots and what the recording uses;
 *  `out_values` has room for the command buffer's constant slots. */
SEGUE_MUST_CHECK segue_status
segue_constant_values_resolve(const segue_command_buffer *command_buffer,
                              const struct segue_execution *execution, uint64_t *out_values);

#endif // SEGUE_HAL_CONSTANT_SLOTS_H
