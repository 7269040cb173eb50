// SPDX-License-Identifier: Apache-2.0
#include "depend_alias.h"

/** The tag of all buffers; slots follow. */
#define BUFFERS 0
#define NO_TAG UINT32_MAX

bool segue_depend_alias_init(struct segue_depend_alias *alias,
                             const struct segue_allocator *allocator, uint32_t slot_count,
                             bool slots_are_distinct)
{
    *alias = (struct segue_depend_alias){.slots_are_distinct = slots_are_distinct};
    for (uint32_t i = 0; i < SEGUE_DEPEND_WRITE_TAGS; i++)
        alias->writes[i].tag = NO_TAG;
    if (slot_count == 0)
        return true;
    alias->tag_count = slots_are_distinct ? 2 : slot_count + 1;
    alias->tags = segue_allocate_zeroed(allocator, alias->tag_count, sizeof *alias->tags);
    return alias->tags != NULL;
}

void segue_depend_alias_finish(struct segue_depend_alias *alias,
                               const struct segue_allocator *allocator)
{
    segue_release(allocator, alias->tags, alias->tag_count * sizeof *alias->tags);
}

/** Puts the writes of the last epoch before the others. */
static void turn_writes(const struct segue_depend_builder *builder,
                        struct segue_depend_alias *alias)
{
    if (alias->epoch == builder->epoch)
        return;
    struct segue_depend_write merged[2 * SEGUE_DEPEND_WRITE_TAGS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < alias->new_write_count; i++)
        merged[count++] = alias->new_writes[i];
    for (uint32_t i = 0; i < SEGUE_DEPEND_WRITE_TAGS; i++) {
        bool is_new = false;
        for (uint32_t k = 0; k < alias->new_write_count; k++)
            is_new |= alias->new_writes[k].tag == alias->writes[i].tag;
        if (!is_new)
            merged[count++] = alias->writes[i];
    }
    // No more are new than are taken out for them.
    for (uint32_t i = 0; i < SEGUE_DEPEND_WRITE_TAGS; i++)
        alias->writes[i] = merged[i];
    alias->new_write_count = 0;
    alias->epoch = builder->epoch;
}

/** What was touched under a tag before this epoch is not looked for any more: two different other
 *  tags were written in it or later, so that any access that conflicts with the former conflicts
 *  with one of these, which waits for it. */
static uint32_t forgotten_epoch(const struct segue_depend_alias *alias, uint32_t tag)
{
    uint32_t others = 0;
    for (uint32_t i = 0; i < SEGUE_DEPEND_WRITE_TAGS; i++) {
        others += alias->writes[i].tag != tag;
        if (others == 2)
            return alias->writes[i].epoch;
    }
    return 0;
}

/** The same for all tags. */
static uint32_t forgotten_by_all(const struct segue_depend_alias *alias)
{
    return alias->writes[SEGUE_DEPEND_WRITE_TAGS - 1].epoch;
}

static bool is_idle(const struct segue_depend_state *state)
{
    return (state->writers | state->readers | state->new_writers | state->new_readers) == 0;
}

/** Makes what was new in an earlier epoch old, and forgets what is older than `forgotten`. */
static void turn_tag(struct segue_depend_builder *builder, struct segue_depend_tag *tag,
                     uint32_t forgotten)
{
    struct segue_depend_state *state = &tag->state;
    if (tag->old_epoch < forgotten) {
        state->writers = 0;
        state->readers = 0;
    }
    if ((state->new_writers | state->new_readers) != 0 && state->epoch >= forgotten) {
        struct segue_sets *sets = &builder->sets;
        state->writers = segue_set_join(sets, state->writers, state->new_writers);
        state->readers = segue_set_join(sets, state->readers, state->new_readers);
        tag->old_epoch = state->epoch;
    }
    state->new_writers = 0;
    state->new_readers = 0;
    state->epoch = builder->epoch;
}

static inline struct segue_depend_state *refresh_tag(struct segue_depend_builder *builder,
                                                     struct segue_depend_alias *alias, uint32_t tag)
{
    if (alias->tags[tag].state.epoch != builder->epoch)
        turn_tag(builder, &alias->tags[tag], forgotten_epoch(alias, tag));
    return &alias->tags[tag].state;
}

static inline struct segue_depend_state *refresh_all(struct segue_depend_builder *builder,
                                                     struct segue_depend_alias *alias)
{
    if (alias->all.state.epoch != builder->epoch)
        turn_tag(builder, &alias->all, forgotten_by_all(alias));
    return &alias->all.state;
}

/** Drops tags that have nothing any more: once an epoch, for which tags only get more. */
static void clean_live(struct segue_depend_builder *builder, struct segue_depend_alias *alias)
{
    if (alias->cleaned_epoch == builder->epoch)
        return;
    alias->cleaned_epoch = builder->epoch;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < alias->live_count; i++) {
        uint32_t tag = alias->live[i];
        if (!is_idle(refresh_tag(builder, alias, tag)))
            alias->live[kept++] = tag;
    }
    alias->live_count = kept;
}

static void make_live(struct segue_depend_builder *builder, struct segue_depend_alias *alias,
                      uint32_t tag)
{
    for (uint32_t i = 0; i < alias->live_count; i++) {
        if (alias->live[i] == tag)
            return;
    }
    if (alias->live_count == SEGUE_DEPEND_LIVE_TAGS)
        clean_live(builder, alias);
    if (alias->live_count == SEGUE_DEPEND_LIVE_TAGS) {
        alias->is_crowded = true;
        alias->crowd_epoch = builder->epoch;
        builder->depend->exact = false;
        return;
    }
    alias->live[alias->live_count++] = tag;
}

static void note_write(struct segue_depend_alias *alias, uint32_t epoch, uint32_t tag)
{
    for (uint32_t i = 0; i < alias->new_write_count; i++) {
        if (alias->new_writes[i].tag == tag)
            return;
    }
    if (alias->new_write_count < SEGUE_DEPEND_WRITE_TAGS)
        alias->new_writes[alias->new_write_count++] = (struct segue_depend_write){tag, epoch};
}

/** Makes the command wait for all that has another tag than `tag`. */
static void wait_others(struct segue_depend_builder *builder, struct segue_depend_alias *alias,
                        uint32_t tag, bool writes)
{
    if (alias->is_crowded) {
        segue_depend_collect(builder, refresh_all(builder, alias), writes);
        return;
    }
    for (uint32_t i = 0; i < alias->live_count; i++) {
        if (alias->live[i] != tag)
            segue_depend_collect(builder, refresh_tag(builder, alias, alias->live[i]), writes);
    }
}

static void touch_tag(struct segue_depend_builder *builder, struct segue_depend_alias *alias,
                      uint32_t tag, bool writes)
{
    make_live(builder, alias, tag);
    segue_depend_record(builder, refresh_tag(builder, alias, tag), builder->self, writes);
    segue_depend_record(builder, refresh_all(builder, alias), builder->self, writes);
    if (writes)
        note_write(alias, builder->epoch, tag);
}

/** Lets the command touch what is in the list, and empties it. */
static void flush(struct segue_depend_builder *builder, struct segue_depend_alias *alias)
{
    turn_writes(builder, alias);
    if (alias->is_crowded && forgotten_by_all(alias) > alias->crowd_epoch)
        alias->is_crowded = false;
    for (uint32_t i = 0; i < alias->touched_count; i++)
        wait_others(builder, alias, alias->touched[i], alias->touched_writes[i]);
    for (uint32_t i = 0; i < alias->touched_count; i++)
        touch_tag(builder, alias, alias->touched[i], alias->touched_writes[i]);
    alias->touched_count = 0;
}

void segue_depend_alias_touch(struct segue_depend_builder *builder,
                              struct segue_depend_alias *alias, const struct segue_range *range,
                              bool writes)
{
    uint32_t tag = BUFFERS;
    if (segue_range_is_slot(range))
        tag = alias->slots_are_distinct ? 1 : 1 + segue_range_slot(range);
    for (uint32_t i = 0; i < alias->touched_count; i++) {
        if (alias->touched[i] == tag) {
            alias->touched_writes[i] |= writes;
            return;
        }
    }
    if (alias->touched_count == SEGUE_DEPEND_TOUCHED_TAGS)
        flush(builder, alias);
    alias->touched[alias->touched_count] = tag;
    alias->touched_writes[alias->touched_count++] = writes;
}

void segue_depend_alias_finish_command(struct segue_depend_builder *builder,
                                       struct segue_depend_alias *alias)
{
    if (alias->touched_count > 0)
        flush(builder, alias);
}
