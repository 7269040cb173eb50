// SPDX-License-Identifier: Apache-2.0
/**
 * @file plan.h
 * From the segment list to the graph, in two passes that know no driver:
 *
 *   segue_dag_build    which commands must be ordered, as the barriers and events say. Linear in
 *                      size: what a barrier orders is kept as one order node between two sets.
 *   segue_plan_build   the shape: order nodes become direct edges where few, a join (a kernel that
 *                      does nothing) where many; never an empty node. Creation order is recorded
 *                      order, or a random topological order for testing.
 */
#ifndef SEGUE_HAL_PLAN_H
#define SEGUE_HAL_PLAN_H

#include "recording.h"

/** A node of the order graph: a command, or (segment NULL) an order node. Predecessors always have
 *  smaller indices. Those of an order node are commands, those of a command are order nodes. */
struct segue_dag_node {
    const struct segue_segment *segment;
    uint32_t first_predecessor;
    uint32_t predecessor_count;
    uint32_t successor_count;
    /** Number of full barriers before it that order anything. */
    uint32_t epoch;
    /** Partial barriers of the epoch as bits. `into`: those that a command leads to, directly or
     *  not. `reach`: those right before a command, or right before a predecessor of an order node.
     *  See segue_dag_is_ordered. */
    uint64_t into;
    uint64_t reach;
    /** Of a command, once a partial barrier has asked: bits of segue_access_mask, and
     *  SEGUE_DAG_MASK_KNOWN. */
    uint32_t access_mask;
};

#define SEGUE_DAG_MASK_KNOWN (1u << 31)

/** Whether command `a` is ordered before command `b`. Constant time. */
static inline bool segue_dag_is_ordered(const struct segue_dag_node *a,
                                        const struct segue_dag_node *b)
{
    return a->epoch < b->epoch || (a->epoch == b->epoch && (a->into & b->reach) != 0);
}

struct segue_dag {
    const struct segue_allocator *allocator;
    struct segue_dag_node *nodes;
    size_t node_count;
    size_t node_capacity;
    uint32_t *predecessors;
    size_t predecessor_count;
    size_t predecessor_capacity;
    /** A barrier was made a full one to save effort (segue_dag_build_coarse only). */
    bool is_coarse;
};

/** Fills in a zeroed dag. */
segue_status segue_dag_build(const struct segue_recording *recording, struct segue_dag *out_dag);
/** The same with less effort: a partial barrier behind so many commands that comparing it with all
 *  of them would take more than a few steps for each command of the recording so far becomes a full
 *  one. Enough where only commands in conflict are going to be ordered: what is not a race is
 *  ordered all the same. */
segue_status segue_dag_build_coarse(const struct segue_recording *recording,
                                    struct segue_dag *out_dag);
void segue_dag_finish(struct segue_dag *dag);

/** Partial barriers right before the commands right before `command`. One of these that leads to
 *  such a barrier needs no edge to `command`: another one is in between. */
static inline uint64_t segue_dag_implied(const struct segue_dag *dag,
                                         const struct segue_dag_node *command)
{
    uint64_t implied = 0;
    for (uint32_t i = 0; i < command->predecessor_count; i++)
        implied |= dag->nodes[dag->predecessors[command->first_predecessor + i]].reach;
    return implied;
}

/** A node to create: a command, or (segment NULL) a join. Nodes may share their dependencies. */
struct segue_plan_node {
    const struct segue_segment *segment;
    uint32_t first_dependency;
    uint32_t dependency_count;
    /** The chain that the node was placed on, below segue_plan.lane_count, or SEGUE_NO_LANE. The
     *  dependencies say all that the driver needs: lanes are for people. */
    uint32_t lane;
};

/** Nodes in creation order; dependencies are indices of earlier nodes, each once. */
struct segue_plan {
    const struct segue_allocator *allocator;
    struct segue_plan_node *nodes;
    size_t node_count;
    size_t node_capacity;
    uint32_t *dependencies;
    size_t dependency_count;
    size_t dependency_capacity;
    /** enum segue_graph_edge_type of each of `dependencies`, dependency_count of them. NULL: all
     *  are SEGUE_GRAPH_EDGE_FULL. */
    uint8_t *dependency_types;
    /** Dependencies of all nodes together. */
    size_t edge_count;
    uint32_t lane_count;
};

/** Type of a node's k-th dependency. */
static inline enum segue_graph_edge_type
segue_plan_dependency_type(const struct segue_plan *plan, const struct segue_plan_node *node,
                           uint32_t k)
{
    return plan->dependency_types
               ? (enum segue_graph_edge_type)plan->dependency_types[node->first_dependency + k]
               : SEGUE_GRAPH_EDGE_FULL;
}

/** `order_seed` 0: recorded order. With `mode` STREAM there are no joins and no dependencies. */
segue_status segue_plan_build(const struct segue_recording *recording,
                              enum segue_execution_mode mode, uint64_t order_seed,
                              struct segue_plan *out_plan);
/** What a plan is made for besides. Zeroed: nothing. */
struct segue_plan_options {
    /** Tables of a pattern; NULL: no slots that are distinct stand for the same memory. */
    const struct segue_slot_pattern *aliases;
    /** Not 0: a graph with more edges than this is not wanted. It may end before its last node
     * then; its edge_count is above the limit. */
    uint64_t edge_limit;
};
/** The same with options. */
segue_status segue_plan_build_with(const struct segue_recording *recording,
                                   enum segue_execution_mode mode, uint64_t order_seed,
                                   const struct segue_plan_options *options,
                                   struct segue_plan *out_plan);
void segue_plan_finish(struct segue_plan *plan);

/** Full validation: SEGUE_HAZARD naming both commands and ranges if two commands that nothing
 * orders conflict (one of them writes), or a write meets a binding declared constant. `table` NULL:
 * slots conflict only with the same slot. */
segue_status segue_hazard_check(const struct segue_recording *recording,
                                const struct segue_binding_table *table);

#endif // SEGUE_HAL_PLAN_H
