// SPDX-License-Identifier: Apache-2.0
/**
 * @file depend_build.h
 * What the parts of the dependency pass (hal/depend*.c) share. For each command: depend.c finds its
 * accesses and what they may be ordered with, depend_ranges.c and depend_alias.c what they conflict
 * with, as references to sets, and depend_emit.c makes the node, its list reduced.
 */
#ifndef SEGUE_HAL_DEPEND_BUILD_H
#define SEGUE_HAL_DEPEND_BUILD_H

#include "depend_sets.h"
#include "record.h"

/** An epoch is what two full barriers enclose: its commands are ordered with all of other epochs.
 *  Within it partial barriers order as these bits say; see segue_dag_is_ordered. */
struct segue_depend_permit {
    uint64_t into;
    uint64_t reach;
    /** `reach` of it and of all later commands of the epoch. */
    uint64_t later;
    uint32_t epoch;
};

/** What happened to some bytes, or to anything else that is read and written. Before the epoch: the
 *  last writers, and who has read since. In it: writers and readers so far, which wait for the
 *  former, not for each other. */
struct segue_depend_state {
    segue_set_ref writers;
    segue_set_ref readers;
    segue_set_ref new_writers;
    segue_set_ref new_readers;
    /** Of the new ones. */
    uint32_t epoch;
    /** Some of the readers wait for all of the writers. */
    bool followed;
    /** It was joined with another one in its epoch: the new ones may have met only one of them. */
    bool joined;
};

/** Nodes whose ancestors are at hand: a ring. */
#define SEGUE_DEPEND_RING 512
#define SEGUE_DEPEND_ROW 8

/** Per node of the ring the last nodes that lead to it, as bits: node n is bit n % 64 of word
 *  n / 64 % 8, and valid from 7 words before that of the row's node. */
struct segue_depend_window {
    uint64_t rows[SEGUE_DEPEND_RING][SEGUE_DEPEND_ROW];
    /** All nodes before this one lead to it. */
    uint32_t full[SEGUE_DEPEND_RING];
};

/** The last command whose list others of its epoch may share. */
struct segue_depend_memo {
    segue_set_ref refs[SEGUE_DEPEND_MAX_DIRECT];
    uint32_t ref_count;
    uint32_t epoch;
    uint32_t node;
};

struct segue_depend_frame;

struct segue_depend_builder {
    const struct segue_recording *recording;
    struct segue_depend *depend;
    struct segue_depend_window *window;
    struct segue_sets sets;
    /** Number of the current command, and the set of it alone. */
    uint32_t command;
    segue_set_ref self;
    /** From 1; the first node of the current one. */
    uint32_t epoch;
    uint32_t epoch_first;
    /** Per command, if there are partial barriers; else NULL. */
    struct segue_depend_permit *permits;
    /** Per command. */
    uint32_t *command_nodes;
    /** Steps that may be taken; used up: ranges are merged, barriers strengthened. */
    int64_t credit;
    /** Memory has run out. */
    bool failed;

    /** What the current command waits for. */
    segue_set_ref *refs;
    size_t ref_count;
    size_t ref_capacity;
    /** Nodes, for emitting: a stack of lists. */
    uint32_t *list;
    size_t list_count;
    size_t list_capacity;
    struct segue_depend_frame *frames;
    size_t frame_count;
    size_t frame_capacity;
    uint32_t stamp;
    struct segue_depend_memo memo;
};

/** Adds a set to what the current command waits for. */
static inline void segue_depend_wait(struct segue_depend_builder *builder, segue_set_ref ref)
{
    size_t count = builder->ref_count;
    if (ref == 0 || (count > 0 && builder->refs[count - 1] == ref))
        return;
    if (segue_unlikely(count == builder->ref_capacity) &&
        !segue_grow(builder->sets.allocator, (void **)&builder->refs, &builder->ref_capacity,
                    count + 1, sizeof *builder->refs)) {
        builder->failed = true;
        return;
    }
    builder->refs[count] = ref;
    builder->ref_count = count + 1;
}

/** Whether a command of the current epoch is ordered before the current command. */
static inline bool segue_depend_permits(const struct segue_depend_builder *builder,
                                        uint32_t earlier)
{
    const struct segue_depend_permit *a = &builder->permits[earlier];
    const struct segue_depend_permit *b = &builder->permits[builder->command];
    return a->epoch < b->epoch || (a->into & b->reach) != 0;
}

/* ---- depend_reduce.c, depend_emit.c
 * --------------------------------------------------------------------------- */

/** Whether node `earlier` is known to lead to node `later`. */
bool segue_depend_reaches(const struct segue_depend_builder *builder, uint32_t earlier,
                          uint32_t later);
/** Adds a node to the list on top of the stack. */
void segue_depend_list(struct segue_depend_builder *builder, uint32_t node);
/** Makes a node that waits for the list from `first` on, which is taken off the stack. NULL
 *  segment: an order node; of one predecessor none is made. @return the node that stands for it */
uint32_t segue_depend_emit(struct segue_depend_builder *builder,
                           const struct segue_segment *segment, size_t first);
/** Makes a node with the list of another one that waits for the same. */
uint32_t segue_depend_emit_same(struct segue_depend_builder *builder,
                                const struct segue_segment *segment, uint32_t other);
/** Makes the node of the current command: waits for its references and what is on the list. */
void segue_depend_emit_command(struct segue_depend_builder *builder,
                               const struct segue_segment *segment);

/** Takes out order nodes that nothing waits for. */
void segue_depend_sweep(struct segue_depend_builder *builder);
/** Frees what emitting needs. */
void segue_depend_builder_finish(struct segue_depend_builder *builder);

/* ---- depend_barrier.c ------------------------------------------------------------------------ */

/** Fills in what every barrier orders, in conflict or not. */
segue_status segue_depend_from_barriers(const struct segue_recording *recording,
                                        struct segue_depend *depend);

/* ---- depend_state.c -------------------------------------------------------------------------- */

/** The slow half of segue_depend_refresh. */
void segue_depend_turn(struct segue_depend_builder *builder, struct segue_depend_state *state);
/** Makes the current command wait for those of a list of the epoch that are ordered before it. Only
 *  with permits. */
void segue_depend_wait_permitted(struct segue_depend_builder *builder, segue_set_ref ref);
/** Drops those of the new writers and readers that no later command needs to know: another writer
 *  stands for them. Only with permits, and for what all of them have touched in full. */
void segue_depend_forget(struct segue_depend_builder *builder, struct segue_depend_state *state);

/** Makes what was new in an earlier epoch old. */
static inline void segue_depend_refresh(struct segue_depend_builder *builder,
                                        struct segue_depend_state *state)
{
    if (state->epoch != builder->epoch)
        segue_depend_turn(builder, state);
}

/** Makes the current command wait for those that it conflicts with. Refreshed before. */
static inline void segue_depend_collect(struct segue_depend_builder *builder,
                                        const struct segue_depend_state *state, bool writes)
{
    if (writes && state->readers != 0) {
        segue_depend_wait(builder, state->readers);
        if (!state->followed)
            segue_depend_wait(builder, state->writers);
    } else {
        segue_depend_wait(builder, state->writers);
    }
    if (segue_unlikely(builder->permits != NULL)) {
        segue_depend_wait_permitted(builder, state->new_writers);
        if (writes)
            segue_depend_wait_permitted(builder, state->new_readers);
    }
}

/** Adds the current command to the writers or readers. */
static inline void segue_depend_record(struct segue_depend_builder *builder,
                                       struct segue_depend_state *state, segue_set_ref self,
                                       bool writes)
{
    segue_set_ref *newest = writes ? &state->new_writers : &state->new_readers;
    *newest = segue_set_join(&builder->sets, *newest, self);
}

#endif // SEGUE_HAL_DEPEND_BUILD_H
