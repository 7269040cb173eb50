// SPDX-License-Identifier: Apache-2.0
/**
 * @file depend.h
 * Which commands really depend on which: the order that barriers and events permit (dag.c), cut
 * down to the pairs that conflict. Input of the shape pass; knows neither the driver nor the cost
 * of anything.
 *
 * Two commands conflict if one of them may write what the other touches: overlapping bytes of one
 * memory (through whatever buffers or views), or of one slot. A slot may also stand for any memory
 * and for what any other slot stands for, except that slots marked distinct differ from each other,
 * and that what is bound as constant is never written. An opaque dispatch conflicts with every
 * command. Commands that conflict and that nothing permits to be ordered are a race of the caller's
 * (hazard.c reports it) and stay unordered.
 *
 * The algorithm is that of last writers and readers since, kept per memory in disjoint intervals
 * that split where ranges do (the form of tinygrad's DepsTracker), in one pass over the recording.
 */
#ifndef SEGUE_HAL_DEPEND_H
#define SEGUE_HAL_DEPEND_H

#include "slot_alias.h"

/** A command, or (segment NULL) an order node, which stands for "all of its predecessors" where
 *  many commands wait for the same many. */
struct segue_depend_node {
    const struct segue_segment *segment;
    /** In segue_depend.predecessors; nodes may share a list. */
    uint32_t first_predecessor;
    uint32_t predecessor_count;
    uint32_t successor_count;
    /** Of the pass that builds; without meaning afterwards. */
    uint32_t mark;
};

/**
 * The dependencies of a recording. Commands are in recorded order; an order node comes before the
 * first command that waits for it. Predecessors have smaller indices, each occurs once in a list,
 * and commands and order nodes are mixed in it; predecessors of an order node may be order nodes.
 * Order nodes have at least two predecessors and at least one successor.
 *
 * Order: if `exact`, there is a path between two commands if and only if it follows from pairs that
 * are permitted to be ordered and conflict. Else there may be more paths, never fewer. It is exact
 * as long as the accesses meet no more than a few intervals each on average (4, and 4096 once for
 * the recording), no more than 4 slots (buffers count as one of them, distinct slots as one) are in
 * use at a time, and partial barriers are not compared with more commands than 4 for each command
 * of the recording (segue_dag_build_coarse).
 *
 * Size: what meets in an interval is waited for directly up to SEGUE_DEPEND_MAX_DIRECT nodes, and
 * through an order node beyond, which all later commands share. So edges are linear in accesses and
 * intervals met: each command has at most SEGUE_DEPEND_MAX_DIRECT edges for each interval, and all
 * order nodes together few more than each access and each split of an interval bring.
 *
 * Reduction: no edge that leads to a command can be left out without losing a path, if its nodes
 * are no further apart than SEGUE_DEPEND_WINDOW (order nodes count). Of edges that reach further
 * back those are left out that are implied by a node that all earlier ones lead to, or by a way
 * over no more than 32 nodes that a search meets first. Of order nodes (edges that lead to them,
 * and that they are not needed at all) the same holds while the effort is within the bounds above.
 */
struct segue_depend {
    const struct segue_allocator *allocator;
    struct segue_depend_node *nodes;
    size_t node_count;
    size_t node_capacity;
    uint32_t *predecessors;
    size_t predecessor_count;
    size_t predecessor_capacity;
    /** Nodes with a segment. */
    uint32_t command_count;
    /** Sum of all predecessor_count; shared lists count for each node. */
    size_t edge_count;
    /** False: ranges were merged, or barriers strengthened, to keep the effort linear. Commands may
     *  then be ordered that need not be; never the other way round. */
    bool exact;
};

/** More than these commands that wait to be waited for become an order node. */
#define SEGUE_DEPEND_MAX_DIRECT 8
/** How far back the reduction is exact, in nodes. */
#define SEGUE_DEPEND_WINDOW 448

/** How to find dependencies. */
struct segue_depend_options {
    /** Of segue_command_buffer_flags: BARRIER_ORDER (what barriers permit is ordered, in conflict
     *  or not), SLOTS_DISTINCT. Others are ignored. */
    uint32_t flags;
    /** Steps over intervals and lists that may be taken beyond those that every access brings; 0:
     *  the default. For tests: with a debt, what bounds the effort is always at work. */
    int64_t extra_steps;
    /** Which slots do stand for the same memory although they are distinct; NULL: none. */
    const struct segue_slot_pattern *aliases;
};

/** Fills in a zeroed struct. Thread-safe for an ended recording. Out of memory: raises, and leaves
 *  `out_depend` alone. */
segue_status segue_depend_build(const struct segue_recording *recording,
                                const struct segue_depend_options *options,
                                struct segue_depend *out_depend);
void segue_depend_finish(struct segue_depend *depend);

/** Why one command waits for another. Bits. */
enum segue_hazard_kind {
    SEGUE_HAZARD_READ_AFTER_WRITE = 1u << 0,
    SEGUE_HAZARD_WRITE_AFTER_READ = 1u << 1,
    SEGUE_HAZARD_WRITE_AFTER_WRITE = 1u << 2,
    /** One of the two is opaque; accesses and range mean nothing. */
    SEGUE_HAZARD_OPAQUE = 1u << 3,
    /** It is only possible that the two ranges overlap: one is of a slot. */
    SEGUE_HAZARD_MAY_ALIAS = 1u << 4,
};

/** A pair of accesses in conflict. */
struct segue_depend_reason {
    /** Bits of segue_hazard_kind. */
    uint32_t kinds;
    /** For segue_segment_access of the earlier and of the later command. */
    uint32_t from_access;
    uint32_t to_access;
    /** The bytes that both touch, within the memory or slot. MAY_ALIAS: those of the later. Length
     *  SEGUE_WHOLE_SIZE: to the end of a slot. */
    uint64_t offset_bytes;
    uint64_t length_bytes;
    /** The memory; NULL: of a slot. */
    const struct segue_memory *memory;
    /** If memory is NULL. */
    uint32_t slot;
};

/**
 * Why `to` waits for `from`: found from the two commands alone, when somebody wants to see it.
 * Writes up to `capacity` reasons. @return how many there are; 0: they do not conflict, and an edge
 * between them is the order of a barrier.
 */
uint32_t segue_depend_explain(const struct segue_segment *from, const struct segue_segment *to,
                              uint32_t flags, struct segue_depend_reason *out_reasons,
                              uint32_t capacity);

#endif // SEGUE_HAL_DEPEND_H
