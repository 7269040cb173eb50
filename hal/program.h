// SPDX-License-Identifier: Apache-2.0
/**
 * @file program.h
 * Making programs; see also command_buffer.h.
 */
#ifndef SEGUE_HAL_PROGRAM_H
#define SEGUE_HAL_PROGRAM_H

#include "command_buffer.h"

/** What a program is made for. */
struct segue_program_binding {
    const struct segue_binding_table *table;
    /** Taken over by the program: then empty. */
    struct segue_slot_pattern *aliases;
    /** Rather SEGUE_TIMEOUT (no error is recorded) than one more graph, if one that would do is in
     *  use. */
    bool ask_first;
};

/** Finds a graph of an earlier recording, or orders and shapes the command buffer's recording and
 * has the backend build it, for a table (`binding` NULL without slots). In mode AUTO that may
 * change resolved_mode. `stats`, read and written, gets the times and sizes. One reference. */
SEGUE_MUST_CHECK segue_status segue_program_create(segue_command_buffer *command_buffer,
                                                   const struct segue_program_binding *binding,
                                                   struct segue_command_buffer_stats *stats,
                                                   struct segue_program **out_program);

/** segue_program_release with the lock held: with its last reference the program lets others have
 * its graph and goes on the list, for segue_programs_free. */
void segue_program_drop(struct segue_program *program, struct segue_program **dead);
/** Frees what is on the list, and empties it. Without the lock. */
void segue_programs_free(struct segue_program **dead);

#endif // SEGUE_HAL_PROGRAM_H
