// SPDX-License-Identifier: Apache-2.0
#include "allocator.h"

#include <stdlib.h>
#include <string.h>

/** What all of Segue's own allocations are aligned to. */
#define ALIGN_BYTES 16

static void *default_allocate(void *context, size_t size_bytes, size_t align_bytes)
{
    (void)context;
    if (align_bytes <= _Alignof(max_align_t))
        return malloc(size_bytes);
    if (size_bytes > SIZE_MAX - align_bytes)
        return NULL;
    return aligned_alloc(align_bytes, (size_bytes + align_bytes - 1) & ~(align_bytes - 1));
}

static void default_release(void *context, void *pointer, size_t size_bytes)
{
    (void)context;
    (void)size_bytes;
    free(pointer);
}

const struct segue_allocator segue_default_allocator = {
    .allocate = default_allocate,
    .release = default_release,
};

void *segue_allocate(const struct segue_allocator *allocator, size_t size_bytes)
{
    return allocator->allocate(allocator->context, size_bytes, ALIGN_BYTES);
}

void *segue_allocate_zeroed(const struct segue_allocator *allocator, size_t count,
                            size_t size_bytes)
{
    if (size_bytes != 0 && count > SIZE_MAX / size_bytes)
        return NULL;
    void *pointer = segue_allocate(allocator, count * size_bytes);
    if (pointer)
        memset(pointer, 0, count * size_bytes);
    return pointer;
}

void segue_release(const struct segue_allocator *allocator, void *pointer, size_t size_bytes)
{
    if (pointer)
        allocator->release(allocator->context, pointer, size_bytes);
}

char *segue_copy_string(const struct segue_allocator *allocator, const char *text)
{
    size_t size_bytes = text ? strlen(text) + 1 : 1;
    char *copy = segue_allocate(allocator, size_bytes);
    if (copy)
        memcpy(copy, text ? text : "", size_bytes);
    return copy;
}

void segue_release_string(const struct segue_allocator *allocator, char *text)
{
    if (text)
        segue_release(allocator, text, strlen(text) + 1);
}

bool segue_grow_beyond(const struct segue_allocator *allocator, void **array, size_t *capacity,
                       size_t needed, size_t element_bytes)
{
    size_t grown = *capacity;
    if (grown == 0)
        grown = needed < 8 ? 8 : needed;
    while (grown < needed) {
        if (grown > SIZE_MAX / 2)
            return false;
        grown *= 2;
    }
    if (element_bytes != 0 && grown > SIZE_MAX / element_bytes)
        return false;
    void *larger = segue_allocate(allocator, grown * element_bytes);
    if (!larger)
        return false;
    if (*array) {
        memcpy(larger, *array, *capacity * element_bytes);
        segue_release(allocator, *array, *capacity * element_bytes);
    }
    *array = larger;
    *capacity = grown;
    return true;
}
