// SPDX-License-Identifier: Apache-2.0
/**
 * @file access.h
 * Which ranges a command of a trace touches, and how.
 */
#ifndef SEGUE_TRACE_ACCESS_H
#define SEGUE_TRACE_ACCESS_H

#include "model.h"

struct segue_trace_access {
    struct segue_trace_range range;
    /** The bit or bits of segue_buffer_usage that the buffer must have. */
    uint32_t usage;
    bool write;
    /** The range's offset must be a multiple of this in memory, and its length of unit_bytes. */
    uint32_t align_bytes;
    uint32_t unit_bytes;
    /** Where it is in the command, for messages: "target", or "bindings" with an index. */
    const char *key;
    uint32_t index;
};

/** Number of accesses: fill 1, update 1, copy 2, dispatch one per binding, others 0. */
uint32_t segue_trace_access_count(const struct segue_trace_command *command);

/** Access `index`, below the count. */
struct segue_trace_access segue_trace_get_access(const struct segue_trace *trace,
                                                 const struct segue_trace_command *command,
                                                 uint32_t index);

/** What an access of a kernel needs of a buffer's usage. */
uint32_t segue_trace_dispatch_usage(enum segue_access access);

/** Whether the dispatch may touch memory that is not among its bindings. */
bool segue_trace_is_opaque(const struct segue_trace *trace,
                           const struct segue_trace_command *command);

/**
 * Marks what commands write: `written` has an element per buffer, set for every buffer whose
 * memory (its own, or that it is a view of) may be written.
 */
void segue_trace_find_written(const struct segue_trace *trace, bool *written);

#endif // SEGUE_TRACE_ACCESS_H
