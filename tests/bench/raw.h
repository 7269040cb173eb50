// SPDX-License-Identifier: Apache-2.0
/**
 * @file raw.h
 * The driver without Segue, in the same process and on the same primary context: what a program
 * that calls CUDA itself would do, and in its order (IREE's CUDA backend does the same).
 */
#ifndef SEGUE_BENCH_RAW_H
#define SEGUE_BENCH_RAW_H

#include "driver.h"

#include <segue/inspect.h>

/** The kernel of most benchmarks: four pointers and 16 bytes, and it does nothing. */
#define SEGUE_BENCH_KERNEL_NAME "segue_bench_nothing"
#define SEGUE_BENCH_BINDING_COUNT 4
#define SEGUE_BENCH_CONSTANTS_BYTES 16
#define SEGUE_BENCH_BLOCK_SIZE 32
#define SEGUE_BENCH_GRID_SIZE 4
/** The same with the first pointer in memory, which it does not read. */
#define SEGUE_BENCH_INDIRECT_NAME "segue_bench_indirect"
extern const char segue_bench_kernel_ptx[];
extern const size_t segue_bench_kernel_ptx_bytes;

struct segue_bench_raw {
    struct segue_driver driver;
    CUdevice device;
    /** Current on the opening thread until close. */
    CUcontext context;
    CUmodule module;
    CUfunction function;
    CUstream stream;
    CUevent event;
    bool loaded;
};

/** Loads the driver that `uri` (auto resolved) names. On failure the step that failed is in
 *  `out_step`; close all the same. */
CUresult segue_bench_raw_open(struct segue_bench_raw *raw, const char *uri, const char **out_step);
/** Zero-initialised or half-opened is fine. */
void segue_bench_raw_close(struct segue_bench_raw *raw);

/** The nodes and edges of a graph: those that Segue has made, to be made once more. */
struct segue_bench_shape {
    uint32_t node_count;
    /** Of node i: dependencies[first[i]] up to dependencies[first[i + 1]]. Owned. */
    uint32_t *first;
    uint32_t *dependencies;
    /** Room for the largest of these lists, and for all nodes. Owned. */
    CUgraphNode *listed;
    CUgraphNode *nodes;
};

/** Copies a view. False when out of memory. */
bool segue_bench_shape_create(const struct segue_graph_view *view,
                              struct segue_bench_shape *out_shape);
/** Zero-initialised is fine. */
void segue_bench_shape_destroy(struct segue_bench_shape *shape);

/** Adds one kernel node, behind `dependencies`. `index` goes into its constants. */
CUresult segue_bench_raw_add_kernel(struct segue_bench_raw *raw, CUgraph graph, uint32_t index,
                                    const uint64_t *addresses, const CUgraphNode *dependencies,
                                    size_t dependency_count, CUgraphNode *out_node);

/** Adds all nodes of a shape to an empty graph; they are in shape->nodes then. */
CUresult segue_bench_raw_add(struct segue_bench_raw *raw, struct segue_bench_shape *shape,
                             const uint64_t *addresses, CUgraph graph);
/** Gives a node of an executable graph the parameters of kernel `index`. */
CUresult segue_bench_raw_patch(struct segue_bench_raw *raw, CUgraphExec exec, CUgraphNode node,
                               uint32_t index, const uint64_t *addresses);
/** Launches kernel `index` on the stream. */
CUresult segue_bench_raw_launch(struct segue_bench_raw *raw, uint32_t index,
                                const uint64_t *addresses);

/** What each step of making a graph took. */
struct segue_bench_raw_times {
    double add_ns;
    double instantiate_ns;
    double upload_ns;
};

/** Builds a graph of that shape out of kernel nodes, instantiates it, uploads it and waits for
 *  that. The step that failed is in `out_step`. */
CUresult segue_bench_raw_make(struct segue_bench_raw *raw, struct segue_bench_shape *shape,
                              const uint64_t *addresses, struct segue_bench_raw_times *out_times,
                              CUgraphExec *out_exec, const char **out_step);

#endif // SEGUE_BENCH_RAW_H
