// SPDX-License-Identifier: Apache-2.0
/**
 * @file shape_place.h
 * Between shape_place.c, which puts commands on lanes, and shape_join.c, which makes joins.
 */
#ifndef SEGUE_HAL_SHAPE_PLACE_H
#define SEGUE_HAL_SHAPE_PLACE_H

#include "shape_edges.h"

/** The last node of a lane, and when it ends. */
struct segue_shape_lane {
    uint64_t end_ns;
    uint32_t tail;
};

/** When a node can start: on one lane at one time, on all others not before another. */
struct segue_shape_ready {
    uint64_t near_ns;
    uint64_t far_ns;
    uint32_t near_lane;
    /** When all that it comes after has ended. */
    uint64_t end_ns;
};

/** A node of the plan, and how many wait for it because it is a member. */
struct segue_shape_member {
    uint32_t node;
    uint32_t used;
};

/** Nodes of the plan that stand for what many wait for: all of them, or any one of them. */
struct segue_shape_frontier {
    uint32_t first;
    uint32_t count;
    uint64_t end_ns;
    /** Not 0: any one does, since each is a join behind everything; and so many may wait for each.
     */
    uint32_t share;
    /** The one that comes next, below count. */
    uint32_t next;
};

struct segue_shape_placer {
    struct segue_shape *shape;
    struct segue_shape_edges edges;
    struct segue_shape_lane lanes[SEGUE_MAX_LANES];
    struct segue_shape_frontier *frontiers;
    size_t frontier_count;
    size_t frontier_capacity;
    /** Of all frontiers. */
    struct segue_shape_member *members;
    size_t member_count;
    size_t member_capacity;
    /** What commands that wait for nothing else come after; SEGUE_NO_NODE: nothing. */
    uint32_t root;
    /** The shared list of predecessors that was met last, and its frontier. */
    uint32_t list_first;
    uint32_t list_frontier;
};

static inline uint64_t segue_shape_later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/** The node comes after one that ends then, on that lane. */
void segue_shape_add_end(struct segue_shape_ready *ready, uint64_t end_ns, uint32_t lane,
                         uint64_t wait_ns);

/** Adds a node behind what was gathered and what its lane ends with. */
SEGUE_MUST_CHECK segue_status segue_shape_add_node(struct segue_shape_placer *placer,
                                                   const struct segue_segment *segment,
                                                   uint32_t lane, uint64_t start_ns,
                                                   uint64_t duration_ns);

/** Makes a frontier of what was gathered, which ends then, for up to `to_lanes` lanes: the nodes
 *  themselves, or joins behind them, whatever is cheaper. Forgets what was gathered.
 *  @param out_frontier  its index. */
SEGUE_MUST_CHECK segue_status segue_shape_add_frontier(struct segue_shape_placer *placer,
                                                       uint64_t end_ns, uint32_t to_lanes,
                                                       uint32_t *out_frontier);

/** Where it saves host time: a node before all that wait for nothing, and one behind all that
 *  nothing waits for. */
SEGUE_MUST_CHECK segue_status segue_shape_add_root(struct segue_shape_placer *placer,
                                                   uint32_t root_count);
SEGUE_MUST_CHECK segue_status segue_shape_add_leaf(struct segue_shape_placer *placer);

#endif // SEGUE_HAL_SHAPE_PLACE_H
