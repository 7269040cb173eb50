// SPDX-License-Identifier: Apache-2.0
/**
 * @file slot_index.h
 * Which commands name which slot or constant slot: what a submission with another table has to
 * check and to write anew. Made once, at the end of a recording with slots, in the recording's
 * arena.
 */
#ifndef SEGUE_HAL_SLOT_INDEX_H
#define SEGUE_HAL_SLOT_INDEX_H

#include "recording.h"

/** A command that names a slot: a fill, an update, a copy, a dispatch or a barrier. */
struct segue_slot_user {
    const struct segue_segment *segment;
    /** The backend's: where it keeps what it knows of the command; see is_placed. */
    uint32_t place;
    /** The round in which the command was last met. */
    uint32_t mark;
};

enum segue_slot_flags {
    /** Some command names it. */
    SEGUE_SLOT_USED = 1u << 0,
    /** Some command writes it. */
    SEGUE_SLOT_WRITTEN = 1u << 1,
};

/** What is written after it is made (`place`, `mark`, `round`, `is_placed`) is guarded by the
 *  device's submission lock. */
struct segue_slot_index {
    /** Keys: the slots, then the constant slots. */
    uint32_t slot_count;
    uint32_t key_count;
    /** In recorded order, each command once. */
    struct segue_slot_user *users;
    uint32_t user_count;
    /** Per key, and one more: where its part of `list` begins. */
    uint32_t *first;
    /** Numbers of users. One that names a key twice may be listed twice. */
    uint32_t *list;
    /** Per key, of enum segue_slot_flags. */
    uint8_t *flags;
    uint32_t round;
    bool is_placed;
    /** The backend's hash of the commands, once it has been asked for. */
    bool has_hash;
    uint64_t hash;
};

/** Makes recording->slot_index; NULL stays where there are no slots. SEGUE_OUT_OF_HOST_MEMORY. */
SEGUE_MUST_CHECK segue_status segue_slot_index_create(struct segue_recording *recording);

/** Begins a round: no user is marked. */
void segue_slot_index_begin_round(struct segue_slot_index *index);

/** The k-th entry of `list`, if it is met for the first time in this round; else NULL. */
static inline struct segue_slot_user *segue_slot_index_meet(struct segue_slot_index *index,
                                                            uint32_t k)
{
    struct segue_slot_user *user = &index->users[index->list[k]];
    if (user->mark == index->round)
        return NULL;
    user->mark = index->round;
    return user;
}

#endif // SEGUE_HAL_SLOT_INDEX_H
