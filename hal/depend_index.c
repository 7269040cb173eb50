// SPDX-License-Identifier: Apache-2.0
#include "depend_index.h"

#include <string.h>

struct segue_depend_leaf *segue_depend_index_before(const struct segue_depend_index *index,
                                                    struct segue_depend_place place)
{
    if (place.leaf > 0)
        return index->branches[place.branch]->leaves[place.leaf - 1];
    const struct segue_depend_branch *branch = index->branches[place.branch - 1];
    return branch->leaves[branch->count - 1];
}

void segue_depend_index_set_first(struct segue_depend_index *index, struct segue_depend_place place,
                                  uint64_t first)
{
    if (place.branch == 0 && place.leaf == 0)
        first = 0;
    index->branches[place.branch]->firsts[place.leaf] = first;
    if (place.leaf == 0)
        index->firsts[place.branch] = first;
}

/** Adds an empty branch at `place`. */
static struct segue_depend_branch *add_branch(struct segue_depend_index *index,
                                              const struct segue_allocator *allocator, size_t place,
                                              uint64_t first)
{
    if (!segue_grow(allocator, (void **)&index->branches, &index->branch_capacity, index->count + 1,
                    sizeof *index->branches) ||
        !segue_grow(allocator, (void **)&index->firsts, &index->first_capacity, index->count + 1,
                    sizeof *index->firsts))
        return NULL;
    struct segue_depend_branch *branch = segue_allocate(allocator, sizeof *branch);
    if (!branch)
        return NULL;
    branch->count = 0;
    size_t behind = index->count - place;
    memmove(&index->branches[place + 1], &index->branches[place], behind * sizeof *index->branches);
    memmove(&index->firsts[place + 1], &index->firsts[place], behind * sizeof *index->firsts);
    index->branches[place] = branch;
    index->firsts[place] = first;
    index->count++;
    return branch;
}

/** Makes room for a leaf behind `place`, which stays what it is. */
static bool make_room(struct segue_depend_index *index, const struct segue_allocator *allocator,
                      struct segue_depend_place *place)
{
    struct segue_depend_branch *branch = index->branches[place->branch];
    if (branch->count < SEGUE_DEPEND_BRANCH)
        return true;
    const uint32_t kept = SEGUE_DEPEND_BRANCH / 2;
    struct segue_depend_branch *next =
        add_branch(index, allocator, place->branch + 1, branch->firsts[kept]);
    if (!next)
        return false;
    next->count = branch->count - kept;
    memcpy(next->firsts, branch->firsts + kept, next->count * sizeof *branch->firsts);
    memcpy(next->leaves, branch->leaves + kept, next->count * sizeof *branch->leaves);
    branch->count = kept;
    if (place->leaf >= kept) {
        place->branch++;
        place->leaf -= kept;
    }
    return true;
}

struct segue_depend_leaf *segue_depend_index_add(struct segue_depend_index *index,
                                                 const struct segue_allocator *allocator,
                                                 struct segue_depend_place *place, uint64_t first)
{
    struct segue_depend_leaf *leaf = segue_allocate(allocator, sizeof *leaf);
    if (!leaf)
        return NULL;
    bool is_first = index->count == 0;
    if (is_first ? !add_branch(index, allocator, 0, 0) : !make_room(index, allocator, place)) {
        segue_release(allocator, leaf, sizeof *leaf);
        return NULL;
    }
    leaf->count = 0;
    if (!is_first)
        place->leaf++;
    struct segue_depend_branch *branch = index->branches[place->branch];
    size_t behind = branch->count - place->leaf;
    memmove(&branch->leaves[place->leaf + 1], &branch->leaves[place->leaf],
            behind * sizeof *branch->leaves);
    memmove(&branch->firsts[place->leaf + 1], &branch->firsts[place->leaf],
            behind * sizeof *branch->firsts);
    branch->leaves[place->leaf] = leaf;
    branch->count++;
    segue_depend_index_set_first(index, *place, first);
    return leaf;
}

bool segue_depend_index_remove(struct segue_depend_index *index,
                               const struct segue_allocator *allocator,
                               struct segue_depend_place *place)
{
    struct segue_depend_branch *branch = index->branches[place->branch];
    segue_release(allocator, branch->leaves[place->leaf], sizeof(struct segue_depend_leaf));
    branch->count--;
    size_t behind = branch->count - place->leaf;
    memmove(&branch->leaves[place->leaf], &branch->leaves[place->leaf + 1],
            behind * sizeof *branch->leaves);
    memmove(&branch->firsts[place->leaf], &branch->firsts[place->leaf + 1],
            behind * sizeof *branch->firsts);
    if (branch->count == 0) {
        segue_release(allocator, branch, sizeof *branch);
        index->count--;
        behind = index->count - place->branch;
        memmove(&index->branches[place->branch], &index->branches[place->branch + 1],
                behind * sizeof *index->branches);
        memmove(&index->firsts[place->branch], &index->firsts[place->branch + 1],
                behind * sizeof *index->firsts);
    } else if (place->leaf < branch->count) {
        segue_depend_index_set_first(index, *place, branch->firsts[place->leaf]);
    } else {
        place->branch++;
        place->leaf = 0;
    }
    if (place->branch < index->count) {
        // What is the first leaf of all now begins at 0.
        segue_depend_index_set_first(index, *place,
                                     index->branches[place->branch]->firsts[place->leaf]);
        return true;
    }
    place->branch--;
    place->leaf = index->branches[place->branch]->count - 1;
    return false;
}

void segue_depend_index_finish(struct segue_depend_index *index,
                               const struct segue_allocator *allocator)
{
    for (size_t i = 0; i < index->count; i++) {
        struct segue_depend_branch *branch = index->branches[i];
        for (uint32_t k = 0; k < branch->count; k++)
            segue_release(allocator, branch->leaves[k], sizeof *branch->leaves[k]);
        segue_release(allocator, branch, sizeof *branch);
    }
    segue_release(allocator, index->branches, index->branch_capacity * sizeof *index->branches);
    segue_release(allocator, index->firsts, index->first_capacity * sizeof *index->firsts);
}
