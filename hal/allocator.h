// SPDX-License-Identifier: Apache-2.0
/**
 * @file allocator.h
 * Host memory through the user's allocator. Every size is known at release.
 */
#ifndef SEGUE_HAL_ALLOCATOR_H
#define SEGUE_HAL_ALLOCATOR_H

#include <segue/base.h>

/** malloc and free. */
extern const struct segue_allocator segue_default_allocator;

/** NULL when out of memory or when count * size overflows. Zeroed. Aligned to 16 bytes. */
void *segue_allocate_zeroed(const struct segue_allocator *allocator, size_t count,
                            size_t size_bytes);
/** Not zeroed. */
void *segue_allocate(const struct segue_allocator *allocator, size_t size_bytes);
/** NULL is fine. */
void segue_release(const struct segue_allocator *allocator, void *pointer, size_t size_bytes);
/** A copy of `text` ("" for NULL); its size is strlen + 1. NULL when out of memory. */
char *segue_copy_string(const struct segue_allocator *allocator, const char *text);
void segue_release_string(const struct segue_allocator *allocator, char *text);
/** The slow path of segue_grow. */
bool segue_grow_beyond(const struct segue_allocator *allocator, void **array, size_t *capacity,
                       size_t needed, size_t element_bytes);
/** Grows an array to hold at least `needed` elements, doubling; the old content is kept. An array
 *  without memory gets exactly what is needed, but no less than 8.
 *  Returns false, with everything as it was, when out of memory. */
static inline bool segue_grow(const struct segue_allocator *allocator, void **array,
                              size_t *capacity, size_t needed, size_t element_bytes)
{
    return needed <= *capacity ||
           segue_grow_beyond(allocator, array, capacity, needed, element_bytes);
}

#endif // SEGUE_HAL_ALLOCATOR_H
