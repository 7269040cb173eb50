// SPDX-License-Identifier: Apache-2.0
#include "pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)64 << 10)

struct segue_pool_block {
    struct segue_pool_block *next;
    _Alignas(max_align_t) unsigned char data[];
};

void *segue_pool_allocate(struct segue_pool *pool, size_t count, size_t size_bytes)
{
    const size_t align = _Alignof(max_align_t);
    if (size_bytes != 0 && count > (SIZE_MAX / 2 - BLOCK_BYTES) / size_bytes) {
        return NULL;
    }
    size_t bytes = (count * size_bytes + align - 1) / align * align;
    bytes = bytes != 0 ? bytes : align;
    if (pool->blocks == NULL || bytes > pool->capacity_bytes - pool->used_bytes) {
        size_t capacity = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES;
        struct segue_pool_block *block = calloc(1, sizeof(*block) + capacity);
        if (block == NULL) {
            return NULL;
        }
        if (pool->blocks != NULL && capacity == bytes) {
            // A large object gets a block to itself; the one being filled stays first.
            block->next = pool->blocks->next;
            pool->blocks->next = block;
            return block->data;
        }
        block->next = pool->blocks;
        pool->blocks = block;
        pool->capacity_bytes = capacity;
        pool->used_bytes = 0;
    }
    void *result = pool->blocks->data + pool->used_bytes;
    pool->used_bytes += bytes;
    return result;
}

char *segue_pool_copy_string(struct segue_pool *pool, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = segue_pool_allocate(pool, bytes, 1);
    return copy != NULL ? memcpy(copy, text, bytes) : NULL;
}

void segue_pool_free(struct segue_pool *pool)
{
    struct segue_pool_block *block = pool->blocks;
    while (block != NULL) {
        struct segue_pool_block *next = block->next;
        free(block);
        block = next;
    }
    *pool = (struct segue_pool){0};
}
