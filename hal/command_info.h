// SPDX-License-Identifier: Apache-2.0
/**
 * @file command_info.h
 * A recorded segment in the words of the public API, for visitors and for recording it again.
 */
#ifndef SEGUE_HAL_COMMAND_INFO_H
#define SEGUE_HAL_COMMAND_INFO_H

#include "recording.h"

/** Arrays that the info of one command points into. Zeroed but for the allocator; used for one
 *  command after the other. */
struct segue_command_scratch {
    const struct segue_allocator *allocator;
    struct segue_buffer_ref *refs;
    size_t ref_capacity;
    struct segue_buffer_barrier *barriers;
    size_t barrier_capacity;
    char *path;
    size_t path_capacity;
};

void segue_command_scratch_finish(struct segue_command_scratch *scratch);

/** Describes a segment. Everything is filled in; valid until the scratch is used again. False when
 *  out of memory (no error is recorded). */
bool segue_command_info_fill(const struct segue_recording *recording,
                             const struct segue_segment *segment,
                             struct segue_command_scratch *scratch,
                             struct segue_command_info *out_info);

#endif // SEGUE_HAL_COMMAND_INFO_H
