// SPDX-License-Identifier: Apache-2.0
/**
 * @file arena.h
 * Bump allocation for recordings: blocks that grow from 4 KiB to 64 KiB and are freed together.
 */
#ifndef SEGUE_HAL_ARENA_H
#define SEGUE_HAL_ARENA_H

#include "allocator.h"

struct segue_arena_block;

struct segue_arena {
    const struct segue_allocator *allocator;
    struct segue_arena_block *blocks;
    /** Kept by segue_arena_reset for the next allocations. */
    struct segue_arena_block *spare;
    char *cursor;
    char *end;
    /** Bytes handed out, and bytes taken from the allocator. */
    uint64_t used_bytes;
    uint64_t reserved_bytes;
};

void segue_arena_init(struct segue_arena *arena, const struct segue_allocator *allocator);
/** Forgets all that was handed out, and keeps the 64 KiB blocks: what is filled again needs no
 *  memory that the system has yet to map. */
void segue_arena_reset(struct segue_arena *arena);
/** Frees all blocks. */
void segue_arena_finish(struct segue_arena *arena);
/** The slow path of segue_arena_allocate: takes a new block. */
void *segue_arena_allocate_block(struct segue_arena *arena, size_t size_bytes);

/** Aligned to 8 bytes, not zeroed; NULL when out of memory, never for size 0 alone. */
static inline void *segue_arena_allocate(struct segue_arena *arena, size_t size_bytes)
{
    if (size_bytes > SIZE_MAX - 7)
        return NULL;
    size_t rounded = (size_bytes + 7) & ~(size_t)7;
    if (!arena->cursor || (size_t)(arena->end - arena->cursor) < rounded)
        return segue_arena_allocate_block(arena, rounded);
    void *pointer = arena->cursor;
    arena->cursor += rounded;
    arena->used_bytes += rounded;
    return pointer;
}

#endif // SEGUE_HAL_ARENA_H
