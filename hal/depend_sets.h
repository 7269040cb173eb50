// SPDX-License-Identifier: Apache-2.0
/**
 * @file depend_sets.h
 * Sets of commands that grow and are shared, for hal/depend*.c: lists that share their tails, so
 * that adding a command or joining two sets takes constant time and copies nothing.
 */
#ifndef SEGUE_HAL_DEPEND_SETS_H
#define SEGUE_HAL_DEPEND_SETS_H

#include "depend.h"

/** Names a set: 0 is empty, 1 + n is the command with number n alone, else SEGUE_SET_BIT and an
 *  index in segue_sets.items. */
typedef uint32_t segue_set_ref;

#define SEGUE_SET_BIT (UINT32_C(1) << 31)

static inline bool segue_set_is_list(segue_set_ref ref)
{
    return (ref & SEGUE_SET_BIT) != 0;
}

/** More members than these are many: they are waited for through an order node. */
#define SEGUE_SET_FEW SEGUE_DEPEND_MAX_DIRECT

/** Two sets joined. */
struct segue_set {
    segue_set_ref rest;
    segue_set_ref member;
    /** Members, counted again if they occur in both, up to SEGUE_SET_MAX_COUNT. */
    uint32_t count : 31;
    /** It still grows (segue_set_group). */
    uint32_t is_group : 1;
    /** Steps to list it, if shared sets in it are listed as one, up to SEGUE_SET_MAX_COUNT. */
    uint32_t weight : 31;
    /** It has more than one owner, and is worth an order node of its own. This is what keeps
     *  listing linear: no owner repeats more than a few steps of another. */
    uint32_t is_shared : 1;
    /** 1 + the node that stands for it; 0: none yet. */
    uint32_t order;
    /** The highest command number; SEGUE_SET_UNKNOWN if a group is in it. */
    uint32_t newest;
};

#define SEGUE_SET_UNKNOWN UINT32_MAX

#define SEGUE_SET_MAX_COUNT INT32_MAX

struct segue_sets {
    const struct segue_allocator *allocator;
    struct segue_set *items;
    size_t count;
    size_t capacity;
    /** Memory has run out; sets are no longer what they should be. */
    bool failed;
};

static inline struct segue_set *segue_set_get(const struct segue_sets *sets, segue_set_ref ref)
{
    return &sets->items[ref & ~SEGUE_SET_BIT];
}

static inline uint32_t segue_set_count(const struct segue_sets *sets, segue_set_ref ref)
{
    return segue_set_is_list(ref) ? segue_set_get(sets, ref)->count : ref != 0;
}

/** The highest command number of a set that is not empty, or SEGUE_SET_UNKNOWN. */
static inline uint32_t segue_set_newest(const struct segue_sets *sets, segue_set_ref ref)
{
    return segue_set_is_list(ref) ? segue_set_get(sets, ref)->newest : ref - 1;
}

/** What two sets, neither of them empty, have together; `member` should be the smaller one. */
segue_set_ref segue_set_join_lists(struct segue_sets *sets, segue_set_ref rest,
                                   segue_set_ref member);

/** The same for any two sets. */
static inline segue_set_ref segue_set_join(struct segue_sets *sets, segue_set_ref rest,
                                           segue_set_ref member)
{
    if (rest == 0 || rest == member)
        return member;
    return member == 0 ? rest : segue_set_join_lists(sets, rest, member);
}

/** Notes that one more owner has the set. */
static inline void segue_set_share(struct segue_sets *sets, segue_set_ref ref)
{
    if (!segue_set_is_list(ref))
        return;
    struct segue_set *set = segue_set_get(sets, ref);
    if (set->weight > SEGUE_SET_FEW)
        set->is_shared = 1;
}

/** A set of one command to which others are added after it has become part of other sets. */
segue_set_ref segue_set_group(struct segue_sets *sets, segue_set_ref command);
void segue_set_group_add(struct segue_sets *sets, segue_set_ref group, segue_set_ref command);

void segue_sets_finish(struct segue_sets *sets);

#endif // SEGUE_HAL_DEPEND_SETS_H
