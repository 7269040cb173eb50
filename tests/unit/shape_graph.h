// SPDX-License-Identifier: Apache-2.0
/**
 * @file shape_graph.h
 * Dependency graphs by hand for tests of the shape pass, and what holds for
 * every shape.
 */
#ifndef SEGUE_TEST_SHAPE_GRAPH_H
#define SEGUE_TEST_SHAPE_GRAPH_H

#include "null_backend.h"
#include "shape.h"

#define SHAPE_GRAPH_MAX_NODES 4096
#define SHAPE_GRAPH_MAX_EDGES 65536

/** Commands are dispatches that exist only for this; segments are numbered like
 * nodes. */
struct shape_graph {
    struct segue_depend depend;
    struct segue_depend_node nodes[SHAPE_GRAPH_MAX_NODES];
    uint32_t predecessors[SHAPE_GRAPH_MAX_EDGES];
    /** One per node. */
    struct segue_dispatch_segment *dispatches;
    struct segue_recording recording;
    /** Of all dispatches; has two entry points, the second waits for grids. */
    struct segue_executable executable;
    struct segue_entry entries[2];
};

void shape_graph_init(struct shape_graph *graph, segue_device *device);
void shape_graph_finish(struct shape_graph *graph);
void shape_graph_clear(struct shape_graph *graph);
/** Adds a dispatch of so many blocks of 128 threads, and an order node; returns
 * its index. */
uint32_t shape_graph_add(struct shape_graph *graph, uint32_t duration_ns, uint32_t blocks);
uint32_t shape_graph_add_order(struct shape_graph *graph);
/** Makes a command a fill of an unknown slot. */
void shape_graph_make_fill(struct shape_graph *graph, uint32_t command);
/** The node added last comes after `node`. A second time does nothing. */
void shape_graph_after(struct shape_graph *graph, uint32_t node);
/** Gives each order node without a successor a command. */
void shape_graph_complete(struct shape_graph *graph);

/** `count` commands, each scope of `width` behind all of the scope before it.
 */
void shape_graph_scopes(struct shape_graph *graph, uint32_t count, uint32_t width,
                        uint32_t duration_ns, uint32_t blocks);
/** The same without order nodes: the commands of a scope share a list of predecessors. */
void shape_graph_shared_scopes(struct shape_graph *graph, uint32_t count, uint32_t width,
                               uint32_t duration_ns);
/** Chains beside each other, recorded row by row or one after the other. */
void shape_graph_towers(struct shape_graph *graph, uint32_t count, uint32_t height,
                        uint32_t duration_ns, bool by_tower);
/** Rows and columns, each behind its neighbours above and to the left. */
void shape_graph_lattice(struct shape_graph *graph, uint32_t side, uint32_t duration_ns);
void shape_graph_random(struct shape_graph *graph, uint64_t seed, uint32_t most);

/** What was found in a plan that is right. */
struct shape_counts {
    uint32_t joins;
    uint32_t edges;
    /** Between lanes. */
    uint32_t crossing;
    /** Lanes with a node on them. */
    uint32_t lanes;
    /** Successors of one node, at most. */
    uint32_t most_after;
};

/** Fails the test unless each command is in the plan once, behind all that it
 * depends on, in an order of creation that fits; lanes are chains; no edge follows
 *  from others. */
struct shape_counts shape_graph_check(const struct shape_graph *graph,
                                      const struct segue_plan *plan);

#endif // SEGUE_TEST_SHAPE_GRAPH_H
