// SPDX-License-Identifier: Apache-2.0
/**
 * @file depend_objects.h
 * Finds the object of a range, for hal/depend.c: a table by buffer and slot, so that most look-ups
 * read neither the buffer nor its memory.
 */
#ifndef SEGUE_HAL_DEPEND_OBJECTS_H
#define SEGUE_HAL_DEPEND_OBJECTS_H

#include "depend_ranges.h"
#include "slot_alias.h"

/** A buffer, a memory or a slot; key 0: free. */
struct segue_depend_key {
    uintptr_t key;
    /** Of a buffer: where it begins in its memory. Of a slot: in what it shares with others. */
    uint64_t base;
    size_t object;
};

struct segue_depend_objects {
    struct segue_depend_object *items;
    size_t count;
    size_t capacity;
    /** Open addressing; a power of two, at most half of it in use. */
    struct segue_depend_key *keys;
    size_t key_count;
    size_t key_capacity;
    uint32_t shift;
};

/** Where the key is, or belongs. */
static inline struct segue_depend_key *
segue_depend_objects_place(const struct segue_depend_objects *objects, uintptr_t key)
{
    // Fibonacci hashing: pointers differ in their middle bits, the product's top ones are mixed.
    size_t place = (size_t)((uint64_t)key * UINT64_C(0x9E3779B97F4A7C15) >> objects->shift);
    while (objects->keys[place].key != key && objects->keys[place].key != 0)
        place = (place + 1) & (objects->key_capacity - 1);
    return &objects->keys[place];
}

/** The slow half of segue_depend_objects_find. */
const struct segue_depend_key *segue_depend_objects_add(struct segue_depend_objects *objects,
                                                        const struct segue_allocator *allocator,
                                                        const struct segue_range *range);

/** The object that a range lies in, and what is to be added to its offset. Valid until the next
 *  look-up. NULL: out of memory. */
static inline struct segue_depend_object *
segue_depend_objects_find(struct segue_depend_objects *objects,
                          const struct segue_allocator *allocator, const struct segue_range *range,
                          uint64_t *out_base)
{
    const struct segue_depend_key *found = NULL;
    if (objects->key_capacity != 0)
        found = segue_depend_objects_place(objects, range->object);
    if (segue_unlikely(!found || found->key == 0)) {
        found = segue_depend_objects_add(objects, allocator, range);
        if (!found)
            return NULL;
    }
    *out_base = found->base;
    return &objects->items[found->object];
}

/** Makes slots of a pattern one object, each at its place in it. Before any look-up. False: out of
 *  memory. */
bool segue_depend_objects_alias(struct segue_depend_objects *objects,
                                const struct segue_allocator *allocator,
                                const struct segue_slot_pattern *pattern);

void segue_depend_objects_finish(struct segue_depend_objects *objects,
                                 const struct segue_allocator *allocator);

#endif // SEGUE_HAL_DEPEND_OBJECTS_H
