// SPDX-License-Identifier: Apache-2.0
#include "arena.h"

#define FIRST_BLOCK_BYTES ((size_t)4 << 10)
#define LARGEST_BLOCK_BYTES ((size_t)64 << 10)

/** In front of a block's memory; 16 bytes, so that what follows is aligned. */
struct segue_arena_block {
    struct segue_arena_block *next;
    /** This header included. */
    size_t size_bytes;
};

void segue_arena_init(struct segue_arena *arena, const struct segue_allocator *allocator)
{
    *arena = (struct segue_arena){.allocator = allocator};
}

void segue_arena_reset(struct segue_arena *arena)
{
    struct segue_arena_block *block = arena->blocks;
    while (block) {
        struct segue_arena_block *next = block->next;
        if (block->size_bytes == LARGEST_BLOCK_BYTES) {
            block->next = arena->spare;
            arena->spare = block;
        } else {
            arena->reserved_bytes -= block->size_bytes;
            segue_release(arena->allocator, block, block->size_bytes);
        }
        block = next;
    }
    arena->blocks = NULL;
    arena->cursor = NULL;
    arena->end = NULL;
    arena->used_bytes = 0;
}

static void release_blocks(const struct segue_arena *arena, struct segue_arena_block *block)
{
    while (block) {
        struct segue_arena_block *next = block->next;
        segue_release(arena->allocator, block, block->size_bytes);
        block = next;
    }
}

void segue_arena_finish(struct segue_arena *arena)
{
    release_blocks(arena, arena->blocks);
    release_blocks(arena, arena->spare);
    segue_arena_init(arena, arena->allocator);
}

/** A spare block of exactly that size, or a new one. */
static struct segue_arena_block *take_block(struct segue_arena *arena, size_t size_bytes)
{
    struct segue_arena_block *block = arena->spare;
    if (block && block->size_bytes == size_bytes) {
        arena->spare = block->next;
        return block;
    }
    block = segue_allocate(arena->allocator, size_bytes);
    if (!block)
        return NULL;
    block->size_bytes = size_bytes;
    arena->reserved_bytes += size_bytes;
    return block;
}

void *segue_arena_allocate_block(struct segue_arena *arena, size_t size_bytes)
{
    if (size_bytes > SIZE_MAX - sizeof(struct segue_arena_block))
        return NULL;
    size_t needed = size_bytes + sizeof(struct segue_arena_block);
    size_t regular = FIRST_BLOCK_BYTES;
    while (regular < LARGEST_BLOCK_BYTES && regular <= arena->reserved_bytes)
        regular *= 2;

    // A large piece gets a block of its own behind the current one, whose rest stays in use.
    bool separate = arena->blocks && needed > regular / 2;
    struct segue_arena_block *block =
        take_block(arena, separate || needed > regular ? needed : regular);
    if (!block)
        return NULL;
    arena->used_bytes += size_bytes;
    if (separate) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
        return block + 1;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    arena->cursor = (char *)(block + 1) + size_bytes;
    arena->end = (char *)block + block->size_bytes;
    return block + 1;
}
