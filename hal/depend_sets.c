// SPDX-License-Identifier: Apache-2.0
#include "depend_sets.h"

static uint32_t limit(uint32_t count)
{
    return count < SEGUE_SET_MAX_COUNT ? count : SEGUE_SET_MAX_COUNT;
}

static uint32_t weight_of(const struct segue_sets *sets, segue_set_ref ref)
{
    if (!segue_set_is_list(ref))
        return ref != 0;
    const struct segue_set *set = segue_set_get(sets, ref);
    return set->is_shared ? 1 : set->weight;
}

/** Adds an item; on failure the answer is `rest`. */
static segue_set_ref add_item(struct segue_sets *sets, segue_set_ref rest, segue_set_ref member)
{
    if (sets->count >= SEGUE_SET_BIT ||
        !segue_grow(sets->allocator, (void **)&sets->items, &sets->capacity, sets->count + 1,
                    sizeof *sets->items)) {
        sets->failed = true;
        return rest;
    }
    uint32_t newest = segue_set_newest(sets, member);
    if (rest != 0 && segue_set_newest(sets, rest) > newest)
        newest = segue_set_newest(sets, rest);
    sets->items[sets->count] = (struct segue_set){
        .rest = rest,
        .member = member,
        .count = limit(segue_set_count(sets, rest) + segue_set_count(sets, member)),
        .weight = limit(weight_of(sets, rest) + weight_of(sets, member)),
        .newest = newest,
    };
    return SEGUE_SET_BIT | (uint32_t)sets->count++;
}

segue_set_ref segue_set_join_lists(struct segue_sets *sets, segue_set_ref rest,
                                   segue_set_ref member)
{
    // A command that touches many intervals asks for the same sets again and again.
    if (sets->count > 0) {
        const struct segue_set *last = &sets->items[sets->count - 1];
        if (last->rest == rest && last->member == member && !last->is_group) {
            segue_set_ref ref = SEGUE_SET_BIT | (uint32_t)(sets->count - 1);
            segue_set_share(sets, ref);
            return ref;
        }
    }
    if (segue_set_is_list(rest) && segue_set_get(sets, rest)->member == member)
        return rest;
    return add_item(sets, rest, member);
}

segue_set_ref segue_set_group(struct segue_sets *sets, segue_set_ref command)
{
    segue_set_ref ref = add_item(sets, 0, command);
    if (!sets->failed) {
        struct segue_set *group = segue_set_get(sets, ref);
        group->is_group = 1;
        group->is_shared = 1;
        group->newest = SEGUE_SET_UNKNOWN;
    }
    return ref;
}

void segue_set_group_add(struct segue_sets *sets, segue_set_ref group, segue_set_ref command)
{
    const struct segue_set *set = segue_set_get(sets, group);
    if (set->member == command)
        return;
    segue_set_ref rest = set->rest == 0 ? set->member : add_item(sets, set->rest, set->member);
    // Adding may have moved the items.
    struct segue_set *grown = segue_set_get(sets, group);
    grown->rest = rest;
    grown->member = command;
}

void segue_sets_finish(struct segue_sets *sets)
{
    segue_release(sets->allocator, sets->items, sets->capacity * sizeof *sets->items);
    *sets = (struct segue_sets){.allocator = sets->allocator};
}
