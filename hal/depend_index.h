// SPDX-License-Identifier: Apache-2.0
/**
 * @file depend_index.h
 * The leaves of an object's intervals in order, for hal/depend_ranges.c: a tree of three levels,
 * its root an array, so that a hundred thousand intervals are found in three short searches and
 * adding one moves little.
 */
#ifndef SEGUE_HAL_DEPEND_INDEX_H
#define SEGUE_HAL_DEPEND_INDEX_H

#include "depend_build.h"

/** Intervals in a leaf, leaves in a branch. */
#define SEGUE_DEPEND_LEAF 32
#define SEGUE_DEPEND_BRANCH 64

struct segue_depend_item {
    uint64_t end;
    struct segue_depend_state state;
};

struct segue_depend_leaf {
    uint32_t count;
    uint64_t begins[SEGUE_DEPEND_LEAF];
    struct segue_depend_item items[SEGUE_DEPEND_LEAF];
};

/** `firsts` are where the leaves begin, or somewhat before; of the very first leaf: 0. */
struct segue_depend_branch {
    uint32_t count;
    uint64_t firsts[SEGUE_DEPEND_BRANCH];
    struct segue_depend_leaf *leaves[SEGUE_DEPEND_BRANCH];
};

/** All zero: no leaves. */
struct segue_depend_index {
    struct segue_depend_branch **branches;
    uint64_t *firsts;
    size_t count;
    size_t branch_capacity;
    size_t first_capacity;
};

/** Names a leaf. */
struct segue_depend_place {
    size_t branch;
    uint32_t leaf;
};

static inline struct segue_depend_leaf *segue_depend_leaf_at(const struct segue_depend_index *index,
                                                             struct segue_depend_place place)
{
    return index->branches[place.branch]->leaves[place.leaf];
}

/** Which of ascending numbers is the last that is not above `value`; 0 if none is. */
static inline size_t segue_depend_find_last(const uint64_t *numbers, size_t count, uint64_t value)
{
    const uint64_t *first = numbers;
    while (count > 1) {
        size_t half = count / 2;
        first = first[half] <= value ? first + half : first;
        count -= half;
    }
    return (size_t)(first - numbers);
}

/** The leaf that `value` belongs into. There is one. */
static inline struct segue_depend_place
segue_depend_index_find(const struct segue_depend_index *index, uint64_t value)
{
    size_t branch = segue_depend_find_last(index->firsts, index->count, value);
    const struct segue_depend_branch *found = index->branches[branch];
    return (struct segue_depend_place){
        .branch = branch,
        .leaf = (uint32_t)segue_depend_find_last(found->firsts, found->count, value),
    };
}

/** Moves to the next leaf; false if there is none. */
static inline bool segue_depend_index_next(const struct segue_depend_index *index,
                                           struct segue_depend_place *place)
{
    if (place->leaf + 1 < index->branches[place->branch]->count) {
        place->leaf++;
        return true;
    }
    if (place->branch + 1 == index->count)
        return false;
    *place = (struct segue_depend_place){.branch = place->branch + 1};
    return true;
}

/** The leaf before; there is one. */
struct segue_depend_leaf *segue_depend_index_before(const struct segue_depend_index *index,
                                                    struct segue_depend_place place);
/** Notes where a leaf begins now. */
void segue_depend_index_set_first(struct segue_depend_index *index, struct segue_depend_place place,
                                  uint64_t first);
/** Adds an empty leaf behind `place`, which is updated; if there are none, as the first. NULL: out
 *  of memory. */
struct segue_depend_leaf *segue_depend_index_add(struct segue_depend_index *index,
                                                 const struct segue_allocator *allocator,
                                                 struct segue_depend_place *place, uint64_t first);
/** Takes a leaf out, not the only one. `place` is then that of the next one, if there is one: else
 *  of the one before, and the answer is false. */
bool segue_depend_index_remove(struct segue_depend_index *index,
                               const struct segue_allocator *allocator,
                               struct segue_depend_place *place);
void segue_depend_index_finish(struct segue_depend_index *index,
                               const struct segue_allocator *allocator);

#endif // SEGUE_HAL_DEPEND_INDEX_H
