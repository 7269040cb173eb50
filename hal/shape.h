// SPDX-License-Identifier: Apache-2.0
/**
 * @file shape.h
 * From dependencies to the graph that finishes first and launches cheapest, by a cost model. Knows
 * no driver.
 *
 * Commands are placed on lanes. A lane is a chain: each of its nodes waits for the one before it,
 * which costs little, whether it has to or not. Waiting for other lanes costs more, and more lanes
 * cost host time at every launch. So the pass
 *
 *   1. measures each command, and the longest path from it to the end (shape.c);
 *   2. decides how many lanes pay at each depth of the graph (shape_lanes.c);
 *   3. takes the commands by the longest path first, and puts each on the lane where it can start
 *      first (shape_place.c): the list scheduling of HEFT (Topcuoglu, Hariri, Wu 2002) with lanes
 *      for processors. The driver gives streams to nodes in order of creation, so that is this
 *      order;
 *   4. gives each node the fewest edges from other lanes that imply the rest: per node it is kept
 *      how far into each lane it comes after everything (shape_edges.c). Where many lanes wait for
 *      many, joins (kernels that do nothing) replace the edges, and no node has more successors
 *      than the device can start at once (shape_join.c).
 *
 * Time and memory grow linearly with commands and dependencies, times the number of lanes.
 */
#ifndef SEGUE_HAL_SHAPE_H
#define SEGUE_HAL_SHAPE_H

#include "cost.h"
#include "depend.h"
#include "plan.h"

#define SEGUE_MAX_LANES 128

/** How to shape. */
struct segue_shape_options {
    /** Not NULL. */
    const struct segue_cost_model *model;
    /** Not 0: commands come in a random order made from it, as far as the dependencies allow, and
     *  on so many lanes that hardly any comes after what it does not depend on. For tests. */
    uint64_t order_seed;
    /** See segue_plan_options. */
    uint64_t edge_limit;
    /** The driver knows programmatic edges. */
    bool programmatic_edges;
};

/** Makes the plan of a graph. Fills in a zeroed plan; raises SEGUE_OUT_OF_HOST_MEMORY, and leaves
 *  it alone. Thread-safe. `recording` is for messages and memory. */
SEGUE_MUST_CHECK segue_status segue_shape_build(const struct segue_recording *recording,
                                                const struct segue_depend *depend,
                                                const struct segue_shape_options *options,
                                                struct segue_plan *out_plan);

/* ---- Between the files of the pass ------------------------------------------------------------
 */

/** What is known of a node of the dependencies. */
struct segue_shape_node {
    /** Longest path from its start to the end; then, once it is placed, when it ends. */
    uint64_t time_ns;
    /** Its node in the plan (commands), and what stands for it to others, SEGUE_NO_FRONTIER: that
     *  node. */
    uint32_t place;
    uint32_t frontier;
    /** Commands on the longest way to it. Of an order node: on the way to what it stands for. */
    uint32_t level;
    uint32_t duration_ns;
    /** Of a command: lists that it is in. */
    uint32_t fan_out;
};
#define SEGUE_NO_FRONTIER UINT32_MAX

/** Commands as deep as each other. */
struct segue_shape_level {
    uint32_t width;
    /** Lanes that they are spread over at most. */
    uint32_t lane_limit;
    /** Sums: commands that they wait for, work, and work times share of the device. */
    uint64_t fan_in;
    uint64_t work_ns;
    uint64_t area_ns;
};

/** Decides lane_limit of each level, 1 to SEGUE_MAX_LANES. Returns the largest. */
uint32_t segue_shape_choose_lanes(const struct segue_cost_model *model,
                                  struct segue_shape_level *levels, size_t level_count);

/** How lanes wait for lanes, all for all. */
struct segue_shape_link {
    /** Through one join behind everything. */
    bool collect;
    /** Then through so many joins beside each other, each before some. 0: none. */
    uint32_t joins;
};

/** The cheapest way, and what it costs. At least one lane on each side. */
double segue_shape_connect(const struct segue_cost_model *model, uint32_t from_lanes,
                           uint32_t to_lanes, struct segue_shape_link *out_link);

/** What placing works on. */
struct segue_shape {
    const struct segue_recording *recording;
    const struct segue_depend *depend;
    const struct segue_shape_options *options;
    struct segue_shape_node *nodes;
    struct segue_shape_level *levels;
    size_t level_count;
    /** Commands that wait for nothing. */
    uint32_t root_count;
    /** Per entry of the predecessors: nodes whose list begins there. */
    uint32_t *list_users;
    /** Depend nodes, each after its predecessors; NULL: as they are. */
    uint32_t *order;
    uint32_t lane_count;
    struct segue_plan *plan;
};

segue_status segue_shape_out_of_memory(const struct segue_recording *recording);

/** Places everything: fills in shape->plan. */
SEGUE_MUST_CHECK segue_status segue_shape_place(struct segue_shape *shape);

#endif // SEGUE_HAL_SHAPE_H
