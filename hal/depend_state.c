// SPDX-License-Identifier: Apache-2.0
#include "depend_build.h"

/** Members of a list of new writers or readers that are looked at to forget some. */
#define MAX_FORGET 64

void segue_depend_turn(struct segue_depend_builder *builder, struct segue_depend_state *state)
{
    if (state->joined) {
        state->writers = segue_set_join(&builder->sets, state->writers, state->new_writers);
        state->readers = segue_set_join(&builder->sets, state->readers, state->new_readers);
        state->followed = false;
        state->joined = false;
    } else if (state->new_writers != 0) {
        // Whoever wrote waits for all that came before.
        state->writers = state->new_writers;
        state->readers = state->new_readers == state->new_writers ? 0 : state->new_readers;
        state->followed = false;
    } else if (state->new_readers != 0) {
        bool replaces = state->readers != 0 && !segue_set_is_list(state->readers) &&
                        !segue_set_is_list(state->new_readers) &&
                        segue_depend_reaches(builder, builder->command_nodes[state->readers - 1],
                                             builder->command_nodes[state->new_readers - 1]);
        state->readers = replaces
                             ? state->new_readers
                             : segue_set_join(&builder->sets, state->readers, state->new_readers);
        state->followed = true;
    }
    state->new_writers = 0;
    state->new_readers = 0;
    state->epoch = builder->epoch;
}

/** With partial barriers no groups are made and no intervals are joined that differ: every list is
 *  one of commands. Returns the next command, and moves on. */
static uint32_t next_command(const struct segue_depend_builder *builder, segue_set_ref *ref)
{
    segue_set_ref member = *ref;
    if (segue_set_is_list(member)) {
        const struct segue_set *set = segue_set_get(&builder->sets, member);
        member = set->member;
        *ref = set->rest;
    } else {
        *ref = 0;
    }
    return member - 1;
}

void segue_depend_wait_permitted(struct segue_depend_builder *builder, segue_set_ref ref)
{
    while (ref != 0) {
        uint32_t command = next_command(builder, &ref);
        builder->credit--;
        if (segue_depend_permits(builder, command))
            segue_depend_wait(builder, command + 1);
    }
}

/** Whether all that may still wait for `a` waits for the writer `b`, which waits for `a`. */
static bool stands_for(const struct segue_depend_builder *builder, uint32_t b, uint32_t a)
{
    const struct segue_depend_permit *before = &builder->permits[a];
    const struct segue_depend_permit *after = &builder->permits[b];
    uint64_t later = builder->permits[builder->command].later;
    return (before->into & after->reach) != 0 && (before->into & ~after->into & later) == 0;
}

/** `ref` less those commands that one of `writers` stands for. */
static segue_set_ref forget(struct segue_depend_builder *builder, segue_set_ref ref,
                            const uint32_t *writers, uint32_t writer_count)
{
    uint32_t kept[MAX_FORGET];
    uint32_t kept_count = 0;
    bool changed = false;
    for (segue_set_ref rest = ref; rest != 0;) {
        uint32_t command = next_command(builder, &rest);
        bool stays = true;
        for (uint32_t i = 0; i < writer_count && stays; i++)
            stays = writers[i] == command || !stands_for(builder, writers[i], command);
        if (stays)
            kept[kept_count++] = command;
        changed |= !stays;
    }
    if (!changed)
        return ref;
    segue_set_ref shorter = 0;
    while (kept_count > 0)
        shorter = segue_set_join(&builder->sets, shorter, kept[--kept_count] + 1);
    return shorter;
}

void segue_depend_forget(struct segue_depend_builder *builder, struct segue_depend_state *state)
{
    uint32_t writer_count = segue_set_count(&builder->sets, state->new_writers);
    uint32_t reader_count = segue_set_count(&builder->sets, state->new_readers);
    if (writer_count == 0 || writer_count + reader_count < 2 || writer_count > MAX_FORGET ||
        reader_count > MAX_FORGET)
        return;
    uint32_t writers[MAX_FORGET];
    uint32_t count = 0;
    for (segue_set_ref rest = state->new_writers; rest != 0;)
        writers[count++] = next_command(builder, &rest);
    builder->credit -= (int64_t)count * (writer_count + reader_count) / 4;
    state->new_writers = forget(builder, state->new_writers, writers, count);
    state->new_readers = forget(builder, state->new_readers, writers, count);
}
