// SPDX-License-Identifier: Apache-2.0
/**
 * @file order_check.h
 * Proves that a graph orders what a recording needs to have ordered: every two commands that
 * barriers permit to be ordered and that conflict have a path, found by comparing all of them.
 * Shares no code with the passes but the order pass's answer to what is permitted.
 */
#ifndef SEGUE_TEST_ORDER_CHECK_H
#define SEGUE_TEST_ORDER_CHECK_H

#include "depend.h"
#include "plan.h"

/** A graph of any pass. Predecessors have smaller indices. */
struct order_graph {
    uint32_t node_count;
    /** NULL: not a command. */
    const struct segue_segment *(*segment)(const void *graph, uint32_t node);
    const uint32_t *(*predecessors)(const void *graph, uint32_t node, uint32_t *out_count);
    const void *graph;
};

struct order_graph order_graph_of_depend(const struct segue_depend *depend);
struct order_graph order_graph_of_plan(const struct segue_plan *plan);

/** What may be wrong with a graph. */
struct order_finding {
    /** Commands (segment indices) that conflict, are permitted to be ordered, and have no path;
     *  UINT32_MAX: none. */
    uint32_t missing_from;
    uint32_t missing_to;
    /** Pairs of commands with a path, and of those that must be ordered, directly or through
     *  others. */
    uint64_t ordered_pairs;
    uint64_t needed_pairs;
    /** Every command is in the graph once. */
    bool complete;
};

/** Compares a graph with its recording. `flags` are those of the command buffer. Takes time and
 *  memory that are quadratic in the number of commands: some thousand are fine. */
struct order_finding order_check(const struct segue_recording *recording, uint32_t flags,
                                 const struct order_graph *graph);

#endif // SEGUE_TEST_ORDER_CHECK_H
