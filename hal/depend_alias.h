// SPDX-License-Identifier: Apache-2.0
/**
 * @file depend_alias.h
 * What may be the same memory although nothing shows it, for hal/depend.c: what a slot stands for
 * may be any buffer, or what another slot stands for.
 *
 * All buffers have one tag, each slot has its own (all slots one, if they are distinct). Accesses
 * with different tags conflict if one writes; those with the same tag are the matter of their
 * ranges. What is bound as constant has no tag: nothing writes it.
 */
#ifndef SEGUE_HAL_DEPEND_ALIAS_H
#define SEGUE_HAL_DEPEND_ALIAS_H

#include "depend_build.h"

/** Tags kept apart at any time. Beyond it a command waits also for commands that touch other ranges
 *  of the same slot. */
#define SEGUE_DEPEND_LIVE_TAGS 4
/** Tags of one command that are noted at a time. */
#define SEGUE_DEPEND_TOUCHED_TAGS 8
/** Writing tags that are remembered. */
#define SEGUE_DEPEND_WRITE_TAGS 3

/** What has been touched under one tag. Writers do not take the place of what came before them, as
 *  their ranges may differ. */
struct segue_depend_tag {
    struct segue_depend_state state;
    /** Of the newest among writers and readers. */
    uint32_t old_epoch;
};

/** A tag that was written, and when last. */
struct segue_depend_write {
    uint32_t tag;
    uint32_t epoch;
};

struct segue_depend_alias {
    /** By tag; NULL: there are no slots. */
    struct segue_depend_tag *tags;
    uint32_t tag_count;
    bool slots_are_distinct;
    /** All tags together. */
    struct segue_depend_tag all;
    /** Tags that have something. */
    uint32_t live[SEGUE_DEPEND_LIVE_TAGS];
    uint32_t live_count;
    /** When those that have nothing any more were dropped last. */
    uint32_t cleaned_epoch;
    /** Other tags have something, too: the newest is of this epoch. */
    bool is_crowded;
    uint32_t crowd_epoch;
    /** Different tags written before the current epoch, latest first, and in it. */
    struct segue_depend_write writes[SEGUE_DEPEND_WRITE_TAGS];
    struct segue_depend_write new_writes[SEGUE_DEPEND_WRITE_TAGS];
    uint32_t new_write_count;
    /** Of new_writes. */
    uint32_t epoch;
    /** What the current command touches: tags, and which of them it writes. */
    uint32_t touched[SEGUE_DEPEND_TOUCHED_TAGS];
    bool touched_writes[SEGUE_DEPEND_TOUCHED_TAGS];
    uint32_t touched_count;
};

/** With `slot_count` 0 there is nothing to do later. False when out of memory. */
bool segue_depend_alias_init(struct segue_depend_alias *alias,
                             const struct segue_allocator *allocator, uint32_t slot_count,
                             bool slots_are_distinct);
void segue_depend_alias_finish(struct segue_depend_alias *alias,
                               const struct segue_allocator *allocator);

/** Notes that the current command touches a buffer, or a slot. */
void segue_depend_alias_touch(struct segue_depend_builder *builder,
                              struct segue_depend_alias *alias, const struct segue_range *range,
                              bool writes);
/** After all accesses of a command: makes it wait for those that it may conflict with. */
void segue_depend_alias_finish_command(struct segue_depend_builder *builder,
                                       struct segue_depend_alias *alias);

#endif // SEGUE_HAL_DEPEND_ALIAS_H
