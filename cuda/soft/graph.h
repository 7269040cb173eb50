// SPDX-License-Identifier: Apache-2.0
/**
 * @file graph.h
 * Graphs as they are built: nodes with copies of their parameters, and edges.
 */
#ifndef SEGUE_CUDA_SOFT_GRAPH_H
#define SEGUE_CUDA_SOFT_GRAPH_H

#include "handle.h"
#include "work.h"

/** One incoming edge. */
struct segue_soft_edge {
    /** Index of the node it comes from. */
    uint32_t from;
    CUgraphEdgeData data;
};

struct segue_soft_graph;

struct segue_soft_node {
    CUgraphNode handle;
    struct segue_soft_graph *graph;
    uint32_t index;
    struct segue_soft_work work;
    struct segue_soft_edge *edges;
    uint32_t edge_count;
    uint32_t edge_capacity;
    /** Equal to the graph's stamp: already seen in the list being looked at. */
    uint64_t stamp;
};

struct segue_soft_graph {
    CUgraph handle;
    /** Never used again, so that an exec knows the nodes of its own graph. */
    uint64_t id;
    struct segue_soft_node **nodes;
    uint32_t node_count;
    uint32_t node_capacity;
    uint64_t edge_count;
    uint64_t stamp;
};

CUresult segue_soft_graph_get(CUgraph handle, struct segue_soft_graph **out_graph);
CUresult segue_soft_node_get(CUgraphNode handle, struct segue_soft_node **out_node);

/** What a new node depends on. `data` NULL: full edges. */
struct segue_soft_dependencies {
    const CUgraphNode *nodes;
    const CUgraphEdgeData *data;
    size_t count;
};

/** Adds a node, taking `work` over in any case. */
CUresult segue_soft_graph_add(CUgraph graph, const struct segue_soft_dependencies *dependencies,
                              struct segue_soft_work *work, CUgraphNode *out_node);

/** A new kernel work with the attributes of `old`: what SetParams does to a node. */
CUresult segue_soft_kernel_remake(const struct segue_soft_kernel *old,
                                  const CUDA_KERNEL_NODE_PARAMS_v2 *params,
                                  struct segue_soft_work *out_work);

#endif // SEGUE_CUDA_SOFT_GRAPH_H
