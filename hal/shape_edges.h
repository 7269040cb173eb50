// SPDX-License-Identifier: Apache-2.0
/**
 * @file shape_edges.h
 * The edges of the nodes of a plan, the fewest that imply an order, as nodes are added to lanes one
 * after the other. For each node it is kept how far into each lane it comes after everything; so an
 * edge that others imply is found by one comparison.
 */
#ifndef SEGUE_HAL_SHAPE_EDGES_H
#define SEGUE_HAL_SHAPE_EDGES_H

#include "shape.h"

#define SEGUE_NO_NODE UINT32_MAX

/** Nodes that a new node comes after: of each lane the last of them. */
struct segue_shape_edges {
    const struct segue_recording *recording;
    struct segue_plan *plan;
    /** Per plan node, `stride` entries: of each lane, 1 + the last node that it comes after or
     *  is. */
    uint32_t *clocks;
    size_t clock_capacity;
    uint32_t stride;
    /** Gathered so far: one node each of the lanes listed. */
    uint32_t lanes[SEGUE_MAX_LANES];
    uint32_t count;
    /** Per lane: the node gathered, SEGUE_NO_NODE if none. */
    uint32_t gathered[SEGUE_MAX_LANES];
    /** The fewest that imply all that was gathered, the newest first. */
    uint32_t kept[SEGUE_MAX_LANES];
    uint32_t kept_count;
    /** What comes before the node to be added: a clock. */
    uint32_t known[SEGUE_MAX_LANES];
};

/** For nodes on `lane_count` lanes; with room for as many as the plan has room for. */
SEGUE_MUST_CHECK segue_status segue_shape_edges_create(const struct segue_recording *recording,
                                                       struct segue_plan *plan, uint32_t lane_count,
                                                       struct segue_shape_edges *edges);
/** Zero-initialised is fine. */
void segue_shape_edges_finish(struct segue_shape_edges *edges);

/** Forgets what was gathered. */
void segue_shape_edges_clear(struct segue_shape_edges *edges);
/** The new node comes after `node`. */
static inline void segue_shape_edges_gather(struct segue_shape_edges *edges, uint32_t node)
{
    uint32_t lane = edges->plan->nodes[node].lane;
    if (edges->gathered[lane] == SEGUE_NO_NODE)
        edges->lanes[edges->count++] = lane;
    else if (edges->gathered[lane] >= node)
        return;
    edges->gathered[lane] = node;
}
/** Whether a node comes after another, or is it. */
static inline bool segue_shape_edges_follows(const struct segue_shape_edges *edges, uint32_t node,
                                             uint32_t other)
{
    uint32_t lane = edges->plan->nodes[other].lane;
    return edges->clocks[(size_t)node * edges->stride + lane] > other;
}
/** Finds what to keep of what was gathered. */
void segue_shape_edges_reduce(struct segue_shape_edges *edges);
/** Adds a node behind what is kept. */
SEGUE_MUST_CHECK segue_status segue_shape_edges_add(struct segue_shape_edges *edges,
                                                    const struct segue_segment *segment,
                                                    uint32_t lane);

#endif // SEGUE_HAL_SHAPE_EDGES_H
