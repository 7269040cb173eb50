// SPDX-License-Identifier: Apache-2.0
/**
 * @file exec.h
 * Executable graphs. An exec holds a program that never changes: new parameters make a new program,
 * so that launches in flight keep the one they were made with.
 */
#ifndef SEGUE_CUDA_SOFT_EXEC_H
#define SEGUE_CUDA_SOFT_EXEC_H

#include "graph.h"
#include "stream.h"

/** The shape of a graph, shared by all programs made from it. */
struct segue_soft_topology {
    uint32_t references;
    uint32_t node_count;
    uint64_t edge_count;
    /** Incoming edges of node i: edges[edge_starts[i]] up to edges[edge_starts[i + 1]]. */
    uint64_t *edge_starts;
    struct segue_soft_edge *edges;
    /** The same the other way round. */
    uint64_t *successor_starts;
    uint32_t *successors;
    /** One legal order of the nodes. */
    uint32_t *order;
};

/** A snapshot of a graph: shape and parameters. */
struct segue_soft_program {
    uint32_t references;
    struct segue_soft_topology *topology;
    struct segue_soft_work *works;
    bool *enabled;
    /** segue_soft_module_unload_count when the nodes' functions were last seen alive. */
    uint64_t alive_at;
    /** Some kernel's ranges depend on what memory holds when it runs: the order is checked in each
     *  launch. Known once looked for. */
    bool has_tables;
    /** Result of the order check, once made. */
    bool checked;
    uint64_t hazard_count;
    char first_hazard[512];
};

struct segue_soft_exec {
    CUgraphExec handle;
    /** Of the handle, and of each launch in flight. */
    uint32_t references;
    struct segue_soft_program *program;
    /** The graph it was instantiated from; its nodes name the nodes here. */
    uint64_t graph_id;
    /** The newest launch in flight. */
    struct segue_soft_launch *last_launch;
};

/** One launch in flight, owned by its operation. */
struct segue_soft_launch {
    struct segue_soft_exec *exec;
    struct segue_soft_program *program;
    struct segue_soft_op *op;
    /** Launches of one exec run one after the other: its neighbours in that order. */
    struct segue_soft_launch *previous;
    struct segue_soft_launch *next;
    /** Incoming edges from nodes that have not run, by node. */
    uint32_t *waiting_for;
    /** Nodes that may run: a heap, the highest priority on top. */
    uint32_t *ready;
    uint32_t ready_count;
    uint64_t *priorities;
    /** Some node has been run. */
    bool begun;
};

CUresult segue_soft_exec_get(CUgraphExec handle, struct segue_soft_exec **out_exec);
/** Makes `program` the one of later launches, taking it over. */
void segue_soft_exec_set_program(struct segue_soft_exec *exec, struct segue_soft_program *program);

/** program.c. `out_error` tells why: a cycle, or a node whose parameters are not valid (any more),
 *  which is `out_error_node` then. */
CUresult segue_soft_program_create(const struct segue_soft_graph *graph,
                                   struct segue_soft_program **out_program,
                                   CUgraphInstantiateResult *out_error,
                                   CUgraphNode *out_error_node);
/** A program of the shape of `old`, whose node i takes the parameters of node partners[i] of the
 *  graph. What was disabled stays so. */
CUresult segue_soft_program_create_like(const struct segue_soft_program *old,
                                        const struct segue_soft_graph *graph,
                                        const uint32_t *partners,
                                        struct segue_soft_program **out_program,
                                        CUgraphNode *out_error_node);
/** A program of the same shape with copies of all works; NULL when out of memory. */
struct segue_soft_program *segue_soft_program_clone(const struct segue_soft_program *program);
void segue_soft_program_release(struct segue_soft_program *program);

/** pairing.c: which node of the graph stands for which of the program. On success the caller frees
 *  `out_partners`; otherwise `info` says what differs. */
CUresult segue_soft_pair_nodes(const struct segue_soft_program *program,
                               const struct segue_soft_graph *graph,
                               CUgraphExecUpdateResultInfo *info, uint32_t **out_partners);

/** schedule.c: a launch, ready to run. NULL when out of memory. */
struct segue_soft_launch *segue_soft_launch_create(struct segue_soft_exec *exec);
/** Runs one node, the choice among several being random. The result is the error it caused. */
CUresult segue_soft_launch_step(struct segue_soft_launch *launch, bool *out_done);
/** Ends a launch, finished or not. */
void segue_soft_launch_destroy(struct segue_soft_launch *launch);

/** inspect.c: see struct segue_soft_api. */
bool segue_soft_compare_nodes(void *left, void *right, uint32_t node);

/** order.c: compares all pairs of nodes without a path between them, and keeps what it finds in the
 *  program. CUDA_ERROR_OUT_OF_MEMORY is all that can fail. */
CUresult segue_soft_order_check(struct segue_soft_program *program);

#endif // SEGUE_CUDA_SOFT_EXEC_H
