// SPDX-License-Identifier: Apache-2.0
/**
 * @file cache_raw.h
 * The raw driver's side of the benchmarks of kept graphs: the ways in which programs that call CUDA
 * themselves run a graph again of which some nodes have changed. The graph has the very nodes and
 * edges that Segue's has.
 *
 * One thread.
 */
#ifndef SEGUE_BENCH_CACHE_RAW_H
#define SEGUE_BENCH_CACHE_RAW_H

#include "harness.h"

/** What is in a step's time. All end with a launch. */
enum segue_bench_way {
    /** cuGraphLaunch alone. */
    SEGUE_BENCH_LAUNCH,
    /** Create, add, instantiate, upload, wait; destroy (what IREE and XLA do). */
    SEGUE_BENCH_REBUILD,
    /** Add all to a new graph, cuGraphExecUpdate (llama.cpp, MLX). */
    SEGUE_BENCH_UPDATE,
    /** cuGraphExecKernelNodeSetParams of every node (tinygrad). */
    SEGUE_BENCH_ALL,
    /** A launch on the stream for each instead. */
    SEGUE_BENCH_STREAM,
    /** cuGraphExecKernelNodeSetParams of those that have changed: what cannot be done for less. */
    SEGUE_BENCH_NODES,
    SEGUE_BENCH_WAY_COUNT,
};

/** Steps of a sample, on either side; the shortest counts: what the other side does between two
 *  samples empties the caches, which a loop of steps does not. */
#define SEGUE_BENCH_INNER 3

/** What the graph is made of. Functions return the driver's result, and the name of the call that
 *  failed in `out_call`. `step` is another one each time, as what changes is. */
struct segue_bench_parts {
    uint32_t node_count;
    void *context;
    /** Makes a graph; its nodes in order, if `out_nodes` is not NULL. */
    CUresult (*build)(struct segue_bench *bench, void *context, CUgraph *out_graph,
                      CUgraphNode *out_nodes, const char **out_call);
    /** Gives a node of an executable graph what it does in that step. */
    CUresult (*write)(struct segue_bench *bench, void *context, CUgraphExec exec, CUgraphNode node,
                      uint32_t index, uint32_t step, const char **out_call);
    /** Launches everything on the stream. */
    CUresult (*issue)(struct segue_bench *bench, void *context, uint32_t step,
                      const char **out_call);
};

/** A graph that is kept with what is needed to change it. */
struct segue_bench_kept {
    struct segue_bench_parts parts;
    CUgraph graph;
    CUgraphNode *nodes;
    /** One is written node by node, the other updated as a whole. */
    CUgraphExec written;
    CUgraphExec updated;
    /** Of the nodes, at even distances. */
    uint32_t *changed;
    uint32_t changed_count;
    uint32_t step;
};

/** Indices of `changed` out of `count`, at even distances, ascending. NULL after segue_bench_fail.
 *  The caller frees it. */
uint32_t *segue_bench_spread(struct segue_bench *bench, uint32_t count, uint32_t changed);

/** Makes the graph and instantiates it twice. On failure: close all the same. */
bool segue_bench_kept_open(struct segue_bench *bench, const struct segue_bench_parts *parts,
                           uint32_t changed_count, struct segue_bench_kept *kept);
/** Zero-initialised or half-opened is fine. */
void segue_bench_kept_close(struct segue_bench *bench, struct segue_bench_kept *kept);

/** The shortest of some steps in a row; of REBUILD one. Nothing is in flight before and after. */
bool segue_bench_kept_measure(struct segue_bench *bench, struct segue_bench_kept *kept,
                              enum segue_bench_way way, double *out_ns);

/** Parts of nothing but the fixture's kernel, in that shape. What a context is of those. */
struct segue_bench_plain_parts {
    struct segue_bench_shape shape;
    /** What the kernels are given in every other step; all 0: the fixture's. */
    uint64_t others[SEGUE_BENCH_BINDING_COUNT];
};
struct segue_bench_parts segue_bench_plain_parts(struct segue_bench_plain_parts *plain);

#endif // SEGUE_BENCH_CACHE_RAW_H
