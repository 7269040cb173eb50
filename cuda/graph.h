// SPDX-License-Identifier: Apache-2.0
/**
 * @file graph.h
 * The driver's graph objects, and operations as their nodes. A context is
 * current in every call.
 */
#ifndef SEGUE_CUDA_GRAPH_H
#define SEGUE_CUDA_GRAPH_H

#include "exec_content.h"

struct segue_cuda_exec;

/** A graph as it was built, kept because patching an executable graph names
 * nodes of the graph that it was instantiated from. */
struct segue_cuda_graph {
    CUgraph graph;
    /** The driver's nodes, in order of creation. */
    CUgraphNode *nodes;
    /** enum segue_graph_node_type of each. */
    uint8_t *node_types;
    size_t node_count;
    size_t edge_count;
};

/** Builds the graph of a plan with at least one node. A failure names the
 * command. */
SEGUE_MUST_CHECK segue_status segue_cuda_graph_build(struct segue_lowering *lowering,
                                                     const struct segue_plan *plan,
                                                     struct segue_cuda_graph *out_graph);
/** Without a context only host memory is given back. */
void segue_cuda_graph_finish(struct segue_cuda *cuda, struct segue_cuda_graph *graph,
                             bool has_context);

/** Instantiates and uploads, so that the first launch costs what later ones do.
 * Out of memory: gives back all that is idle and tries once more. `stats` gets
 * the times. */
SEGUE_MUST_CHECK segue_status segue_cuda_graph_instantiate(struct segue_lowering *lowering,
                                                           const struct segue_cuda_graph *graph,
                                                           const struct segue_plan *plan,
                                                           struct segue_command_buffer_stats *stats,
                                                           CUgraphExec *out_exec);

/** Gives a node of a graph, or (`exec` not NULL) of an executable graph made
 * from it, the parameters of an operation of the node's class. `out_call` names
 * the call for messages. */
CUresult segue_cuda_node_set(struct segue_cuda *cuda, CUgraphExec exec, CUgraphNode node,
                             const struct segue_operation *operation, const char **out_call);

/** The driver copies a node's parameters, so the arena of a lowering is emptied
 * now and then: few bytes in the cache are used over and over. */
static inline void segue_lowering_recycle(struct segue_lowering *lowering)
{
    if (lowering->arena.used_bytes > 2048)
        segue_arena_reset(&lowering->arena);
}

#endif // SEGUE_CUDA_GRAPH_H
