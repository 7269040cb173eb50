// SPDX-License-Identifier: Apache-2.0
/**
 * @file names.h
 * Finds things by name: a sorted table of names and indices.
 */
#ifndef SEGUE_TRACE_NAMES_H
#define SEGUE_TRACE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

struct segue_name {
    /** Not owned. */
    const char *text;
    uint32_t index;
};

struct segue_names {
    struct segue_name *names;
    uint32_t count;
};

/**
 * Sorts a table whose names have been filled in.
 * @return false if a name occurs twice; *out_duplicate is then the higher of the two indices.
 */
bool segue_names_sort(struct segue_names *names, uint32_t *out_duplicate);

/** Index of a name in a sorted table; false if it is not there. */
bool segue_names_find(const struct segue_names *names, const char *text, uint32_t *out_index);

#endif // SEGUE_TRACE_NAMES_H
