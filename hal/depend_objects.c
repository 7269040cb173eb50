// SPDX-License-Identifier: Apache-2.0
#include "depend_objects.h"

#define FIRST_KEYS 64

/** Room for two more keys. */
static bool reserve_keys(struct segue_depend_objects *objects,
                         const struct segue_allocator *allocator)
{
    if (2 * (objects->key_count + 2) <= objects->key_capacity)
        return true;
    struct segue_depend_objects larger = *objects;
    larger.key_capacity = objects->key_capacity == 0 ? FIRST_KEYS : 2 * objects->key_capacity;
    larger.shift = 64 - (uint32_t)__builtin_ctzll(larger.key_capacity);
    larger.keys = segue_allocate_zeroed(allocator, larger.key_capacity, sizeof *larger.keys);
    if (!larger.keys)
        return false;
    for (size_t i = 0; i < objects->key_capacity; i++) {
        if (objects->keys[i].key != 0)
            *segue_depend_objects_place(&larger, objects->keys[i].key) = objects->keys[i];
    }
    segue_release(allocator, objects->keys, objects->key_capacity * sizeof *objects->keys);
    *objects = larger;
    return true;
}

/** The key of a memory or slot, with an object. */
static struct segue_depend_key *add_object(struct segue_depend_objects *objects,
                                           const struct segue_allocator *allocator, uintptr_t key)
{
    struct segue_depend_key *place = segue_depend_objects_place(objects, key);
    if (place->key != 0)
        return place;
    if (!segue_grow(allocator, (void **)&objects->items, &objects->capacity, objects->count + 1,
                    sizeof *objects->items))
        return NULL;
    objects->items[objects->count] = (struct segue_depend_object){0};
    *place = (struct segue_depend_key){.key = key, .object = objects->count++};
    objects->key_count++;
    return place;
}

const struct segue_depend_key *segue_depend_objects_add(struct segue_depend_objects *objects,
                                                        const struct segue_allocator *allocator,
                                                        const struct segue_range *range)
{
    if (!reserve_keys(objects, allocator))
        return NULL;
    const segue_buffer *buffer = segue_range_buffer(range);
    if (!buffer)
        return add_object(objects, allocator, range->object);
    const struct segue_depend_key *memory =
        add_object(objects, allocator, (uintptr_t)buffer->memory);
    if (!memory)
        return NULL;
    struct segue_depend_key *place = segue_depend_objects_place(objects, range->object);
    *place = (struct segue_depend_key){
        .key = range->object,
        .base = buffer->offset_bytes,
        .object = memory->object,
    };
    objects->key_count++;
    return place;
}

bool segue_depend_objects_alias(struct segue_depend_objects *objects,
                                const struct segue_allocator *allocator,
                                const struct segue_slot_pattern *pattern)
{
    for (uint32_t i = 0; i < pattern->count; i++) {
        const struct segue_slot_alias *alias = &pattern->list[i];
        if (!reserve_keys(objects, allocator))
            return false;
        const struct segue_depend_key *base =
            add_object(objects, allocator, (uintptr_t)alias->base << 1 | 1);
        if (!base)
            return false;
        const uintptr_t key = (uintptr_t)alias->slot << 1 | 1;
        *segue_depend_objects_place(objects, key) = (struct segue_depend_key){
            .key = key,
            .base = alias->offset_bytes,
            .object = base->object,
        };
        objects->key_count++;
    }
    return true;
}

void segue_depend_objects_finish(struct segue_depend_objects *objects,
                                 const struct segue_allocator *allocator)
{
    for (size_t i = 0; i < objects->count; i++)
        segue_depend_index_finish(&objects->items[i].index, allocator);
    segue_release(allocator, objects->items, objects->capacity * sizeof *objects->items);
    segue_release(allocator, objects->keys, objects->key_capacity * sizeof *objects->keys);
}
