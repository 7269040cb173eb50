// SPDX-License-Identifier: Apache-2.0
/**
 * @file handles.h
 * Numbers handles in the order in which they first occur.
 */
#ifndef SEGUE_TRACE_HANDLES_H
#define SEGUE_TRACE_HANDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Zero-initialised: empty. */
struct segue_handles {
    /** Handles in order of their numbers. */
    const void **items;
    uint32_t count;
    size_t capacity;
    /** Hash table of numbers + 1; a power of two, at most half full. */
    uint32_t *table;
    size_t table_size;
};

/** The number of a handle, which is added if it is new. @return false when out of memory. */
bool segue_handles_add(struct segue_handles *handles, const void *handle, uint32_t *out_number,
                       bool *out_is_new);

/** The number of a handle; false if it was never added. */
bool segue_handles_find(const struct segue_handles *handles, const void *handle,
                        uint32_t *out_number);

void segue_handles_free(struct segue_handles *handles);

#endif // SEGUE_TRACE_HANDLES_H
