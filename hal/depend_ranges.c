// SPDX-License-Identifier: Apache-2.0
#include "depend_ranges.h"

#include <string.h>

/** A read that meets more intervals than these waits for one set of all their writers, which the
 *  same range's next reader of the epoch waits for, too. */
#define MANY_INTERVALS 4

/** One access on its way over the intervals of an object. */
struct walk {
    struct segue_depend_builder *builder;
    struct segue_depend_object *object;
    /** A leaf, and an interval in it; may be one behind its last. */
    struct segue_depend_place place;
    uint32_t index;
    /** What is recorded: the command, or a group of which it is the first. */
    segue_set_ref self;
    bool writes;
    /** Writers are gathered rather than waited for. */
    bool gathers;
    segue_set_ref gathered;
    /** An interval has been met. */
    bool has_met;
};

/* ---- Leaves ---------------------------------------------------------------------------------- */

static inline struct segue_depend_leaf *current_leaf(const struct walk *walk)
{
    return segue_depend_leaf_at(&walk->object->index, walk->place);
}

/** Goes to the first interval that ends behind `begin`, or behind the last. */
static void seek(struct walk *walk, uint64_t begin)
{
    walk->place = segue_depend_index_find(&walk->object->index, begin);
    const struct segue_depend_leaf *leaf = current_leaf(walk);
    walk->index = (uint32_t)segue_depend_find_last(leaf->begins, leaf->count, begin);
    walk->index += leaf->items[walk->index].end <= begin;
}

/** False behind the last interval. */
static inline bool is_at_interval(struct walk *walk)
{
    if (walk->index < current_leaf(walk)->count)
        return true;
    if (!segue_depend_index_next(&walk->object->index, &walk->place))
        return false;
    walk->index = 0;
    return true;
}

/** Adds a leaf behind the place, which is then its. */
static struct segue_depend_leaf *add_leaf(struct walk *walk, uint64_t first)
{
    struct segue_depend_leaf *leaf = segue_depend_index_add(
        &walk->object->index, walk->builder->sets.allocator, &walk->place, first);
    walk->builder->failed |= !leaf;
    return leaf;
}

/** Makes room for one more interval in the current leaf; the place stays what it is. */
static bool make_room(struct walk *walk)
{
    struct segue_depend_leaf *leaf = current_leaf(walk);
    if (leaf->count < SEGUE_DEPEND_LEAF)
        return true;
    // What is filled in ascending order leaves its leaves full.
    struct segue_depend_place next_place = walk->place;
    bool at_end =
        walk->index == leaf->count && !segue_depend_index_next(&walk->object->index, &next_place);
    uint32_t kept = at_end ? leaf->count : SEGUE_DEPEND_LEAF / 2;
    struct walk behind = *walk;
    struct segue_depend_leaf *next =
        add_leaf(&behind, at_end ? leaf->items[leaf->count - 1].end : leaf->begins[kept]);
    if (!next)
        return false;
    next->count = leaf->count - kept;
    memcpy(next->begins, leaf->begins + kept, next->count * sizeof *leaf->begins);
    memcpy(next->items, leaf->items + kept, next->count * sizeof *leaf->items);
    leaf->count = kept;
    if (walk->index >= kept) {
        walk->place = behind.place;
        walk->index -= kept;
    } else {
        // Making room among the leaves may have moved this one.
        walk->place = segue_depend_index_find(&walk->object->index, leaf->begins[0]);
    }
    return true;
}

/** Inserts an interval `offset` (0 or 1) behind the place, which stays what it is. */
static bool insert(struct walk *walk, uint32_t offset, uint64_t begin,
                   const struct segue_depend_item *item)
{
    if (!make_room(walk))
        return false;
    struct segue_depend_leaf *leaf = current_leaf(walk);
    uint32_t index = walk->index + offset;
    memmove(&leaf->begins[index + 1], &leaf->begins[index],
            (leaf->count - index) * sizeof *leaf->begins);
    memmove(&leaf->items[index + 1], &leaf->items[index],
            (leaf->count - index) * sizeof *leaf->items);
    leaf->begins[index] = begin;
    leaf->items[index] = *item;
    leaf->count++;
    if (index == 0)
        segue_depend_index_set_first(&walk->object->index, walk->place, begin);
    return true;
}

/** Takes out the interval at the place, which is then that of the next one. */
static void erase(struct walk *walk)
{
    struct segue_depend_leaf *leaf = current_leaf(walk);
    uint32_t behind = leaf->count - walk->index - 1;
    memmove(&leaf->begins[walk->index], &leaf->begins[walk->index + 1],
            behind * sizeof *leaf->begins);
    memmove(&leaf->items[walk->index], &leaf->items[walk->index + 1], behind * sizeof *leaf->items);
    if (--leaf->count > 0) {
        if (walk->index == 0)
            segue_depend_index_set_first(&walk->object->index, walk->place, leaf->begins[0]);
        return;
    }
    // Never the only one: what is taken out was joined with the interval before.
    if (!segue_depend_index_remove(&walk->object->index, walk->builder->sets.allocator,
                                   &walk->place))
        walk->index = current_leaf(walk)->count;
}

/* ---- Intervals ------------------------------------------------------------------------------- */

/** Splits the interval at the place, which is then that of the first part. */
static bool split(struct walk *walk, uint64_t where)
{
    struct segue_sets *sets = &walk->builder->sets;
    struct segue_depend_item *item = &current_leaf(walk)->items[walk->index];
    segue_set_share(sets, item->state.writers);
    segue_set_share(sets, item->state.readers);
    segue_set_share(sets, item->state.new_writers);
    segue_set_share(sets, item->state.new_readers);
    const struct segue_depend_item second = *item;
    item->end = where;
    return insert(walk, 1, where, &second);
}

static bool is_same(const struct segue_depend_state *a, const struct segue_depend_state *b)
{
    return a->writers == b->writers && a->readers == b->readers &&
           a->new_writers == b->new_writers && a->new_readers == b->new_readers &&
           a->followed == b->followed && a->joined == b->joined;
}

static void join_states(struct segue_depend_builder *builder, struct segue_depend_state *state,
                        const struct segue_depend_state *other)
{
    struct segue_sets *sets = &builder->sets;
    state->writers = segue_set_join(sets, state->writers, other->writers);
    state->readers = segue_set_join(sets, state->readers, other->readers);
    state->new_writers = segue_set_join(sets, state->new_writers, other->new_writers);
    state->new_readers = segue_set_join(sets, state->new_readers, other->new_readers);
    state->followed = false;
    state->joined = true;
    builder->depend->exact = false;
}

/** Makes one interval of the one at the place and the one before, which is of the same walk and
 *  ends where this begins, if there is no difference, or no
 *  steps are left to go through them apart. */
static bool join_with_previous(struct walk *walk)
{
    struct segue_depend_item *item = &current_leaf(walk)->items[walk->index];
    struct segue_depend_leaf *leaf =
        walk->index > 0 ? current_leaf(walk)
                        : segue_depend_index_before(&walk->object->index, walk->place);
    struct segue_depend_item *previous =
        &leaf->items[walk->index > 0 ? walk->index - 1 : leaf->count - 1];
    if (!is_same(&previous->state, &item->state)) {
        // The lists of segue_depend_collect_new cannot be joined.
        if (walk->builder->credit >= 0 || walk->builder->permits)
            return false;
        join_states(walk->builder, &previous->state, &item->state);
    }
    previous->end = item->end;
    erase(walk);
    return true;
}

/** Lets the access meet the interval at the place, and goes on to the next. */
static void meet(struct walk *walk)
{
    struct segue_depend_builder *builder = walk->builder;
    struct segue_depend_state *state = &current_leaf(walk)->items[walk->index].state;
    segue_depend_refresh(builder, state);
    if (walk->gathers) {
        segue_set_share(&builder->sets, state->writers);
        walk->gathered = segue_set_join(&builder->sets, walk->gathered, state->writers);
    } else {
        segue_depend_collect(builder, state, walk->writes);
    }
    if (segue_unlikely(builder->permits != NULL))
        segue_depend_forget(builder, state);
    segue_depend_record(builder, state, walk->self, walk->writes);
    builder->credit--;
    if (!walk->has_met || !join_with_previous(walk))
        walk->index++;
    walk->has_met = true;
}

/** Adds an interval that nothing has touched yet at the place, and meets it. */
static bool fill_gap(struct walk *walk, uint64_t begin, uint64_t end)
{
    const struct segue_depend_item item = {
        .end = end,
        .state = {.epoch = walk->builder->epoch},
    };
    if (!insert(walk, 0, begin, &item))
        return false;
    meet(walk);
    return true;
}

static void walk_range(struct walk *walk, uint64_t begin, uint64_t end)
{
    while (begin < end && !walk->builder->failed) {
        if (!is_at_interval(walk) || current_leaf(walk)->begins[walk->index] >= end) {
            fill_gap(walk, begin, end);
            return;
        }
        uint64_t interval_begin = current_leaf(walk)->begins[walk->index];
        uint64_t interval_end = current_leaf(walk)->items[walk->index].end;
        if (interval_begin > begin) {
            fill_gap(walk, begin, interval_begin);
            begin = interval_begin;
        } else if (interval_begin < begin) {
            if (split(walk, begin))
                walk->index++;
        } else {
            if (interval_end > end && !split(walk, end))
                return;
            meet(walk);
            begin = interval_end;
        }
    }
}

/** Whether the range, which begins at the place, meets more than a few intervals. */
static bool meets_many(const struct walk *walk, uint64_t end)
{
    struct walk ahead = *walk;
    for (uint32_t i = 0; i < MANY_INTERVALS; i++, ahead.index++) {
        if (!is_at_interval(&ahead))
            return false;
    }
    return is_at_interval(&ahead) && current_leaf(&ahead)->begins[ahead.index] < end;
}

/** From one interval to a leaf. */
static bool make_leaf(struct segue_depend_builder *builder, struct segue_depend_object *object)
{
    struct walk walk = {.builder = builder, .object = object};
    struct segue_depend_leaf *leaf = add_leaf(&walk, 0);
    if (!leaf)
        return false;
    leaf->count = 1;
    leaf->begins[0] = object->begin;
    leaf->items[0] = object->only;
    return true;
}

static void read_many(struct walk *walk, uint64_t begin, uint64_t end)
{
    struct segue_depend_builder *builder = walk->builder;
    struct segue_depend_group *group = &walk->object->group;
    walk->gathers = true;
    walk->self = segue_set_group(&builder->sets, builder->self);
    walk_range(walk, begin, end);
    *group = (struct segue_depend_group){
        .begin = begin,
        .end = end,
        .epoch = builder->epoch,
        .readers = walk->self,
        .writers = walk->gathered,
    };
    segue_depend_wait(builder, walk->gathered);
}

void segue_depend_touch_parts(struct segue_depend_builder *builder,
                              struct segue_depend_object *object, uint64_t begin, uint64_t end,
                              bool writes)
{
    // What could not be allocated has left gaps.
    if (builder->failed || builder->sets.failed)
        return;
    if (object->index.count == 0 && object->only.end == 0) {
        object->begin = begin;
        object->only.end = end;
        segue_depend_touch(builder, object, begin, end, writes);
        return;
    }
    if (object->index.count == 0 && !make_leaf(builder, object))
        return;
    struct segue_depend_group *group = &object->group;
    bool groups = !writes && !builder->permits;
    if (groups && group->epoch == builder->epoch && group->begin == begin && group->end == end) {
        segue_depend_wait(builder, group->writers);
        segue_set_group_add(&builder->sets, group->readers, builder->self);
        return;
    }
    struct walk walk = {
        .builder = builder,
        .object = object,
        .self = builder->self,
        .writes = writes,
    };
    seek(&walk, begin);
    if (is_at_interval(&walk) && current_leaf(&walk)->begins[walk.index] == begin &&
        current_leaf(&walk)->items[walk.index].end == end)
        meet(&walk);
    else if (groups && meets_many(&walk, end))
        read_many(&walk, begin, end);
    else
        walk_range(&walk, begin, end);
}
