// SPDX-License-Identifier: Apache-2.0
/**
 * @file depend_ranges.h
 * What happened to the bytes of each memory and slot, for hal/depend.c: disjoint intervals in
 * ascending order. Most memories are always touched as a whole and have one; the others have leaves
 * of a few dozen, and an index of them.
 */
#ifndef SEGUE_HAL_DEPEND_RANGES_H
#define SEGUE_HAL_DEPEND_RANGES_H

#include "depend_index.h"

/** Readers of one epoch and one range that has many intervals: counted once in all of them. */
struct segue_depend_group {
    uint64_t begin;
    uint64_t end;
    uint32_t epoch;
    /** Those readers, and what they wait for. */
    segue_set_ref readers;
    segue_set_ref writers;
};

/** One memory or slot. */
struct segue_depend_object {
    /** Something writes it, at any time. What is only read is not looked at. */
    bool is_written;
    /** The one interval, as long as the index is empty; begin and end 0: none yet. */
    uint64_t begin;
    struct segue_depend_item only;
    struct segue_depend_index index;
    struct segue_depend_group group;
};

/** The slow half of segue_depend_touch. */
void segue_depend_touch_parts(struct segue_depend_builder *builder,
                              struct segue_depend_object *object, uint64_t begin, uint64_t end,
                              bool writes);

/** Makes the current command wait for those that it conflicts with in a range, begin < end, and
 *  notes that it touches it. Only of this object: see depend_alias.h for what slots add. */
static inline void segue_depend_touch(struct segue_depend_builder *builder,
                                      struct segue_depend_object *object, uint64_t begin,
                                      uint64_t end, bool writes)
{
    if (segue_unlikely(object->index.count != 0 || object->begin != begin ||
                       object->only.end != end)) {
        segue_depend_touch_parts(builder, object, begin, end, writes);
        return;
    }
    segue_depend_refresh(builder, &object->only.state);
    segue_depend_collect(builder, &object->only.state, writes);
    if (segue_unlikely(builder->permits != NULL))
        segue_depend_forget(builder, &object->only.state);
    segue_depend_record(builder, &object->only.state, builder->self, writes);
}

#endif // SEGUE_HAL_DEPEND_RANGES_H
