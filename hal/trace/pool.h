// SPDX-License-Identifier: Apache-2.0
/**
 * @file pool.h
 * A growing block of memory that is freed as a whole: what a loaded trace lives in.
 */
#ifndef SEGUE_TRACE_POOL_H
#define SEGUE_TRACE_POOL_H

#include <stddef.h>

struct segue_pool_block;

/** Zero-initialised: empty. One thread at a time. */
struct segue_pool {
    struct segue_pool_block *blocks;
    size_t used_bytes;
    size_t capacity_bytes;
};

/** Zeroed memory for `count` objects, aligned for any of them; NULL when out of memory. Count 0
 *  gives a valid pointer. */
void *segue_pool_allocate(struct segue_pool *pool, size_t count, size_t size_bytes);

/** A zero-terminated copy of a string; NULL when out of memory. */
char *segue_pool_copy_string(struct segue_pool *pool, const char *text);

/** Frees everything and makes the pool empty. */
void segue_pool_free(struct segue_pool *pool);

#endif // SEGUE_TRACE_POOL_H
