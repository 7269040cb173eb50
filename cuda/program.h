// SPDX-License-Identifier: Apache-2.0
/**
 * @file program.h
 * Programs: what one recording becomes in one mode with one table.
 */
#ifndef SEGUE_CUDA_PROGRAM_H
#define SEGUE_CUDA_PROGRAM_H

#include "lower.h"
#include "staging.h"

#include "backend.h"

/** An instantiated graph. */
struct segue_cuda_graph {
    /** NULL for a graph without nodes. */
    CUgraphExec exec;
    /** Per node of the plan: enum segue_graph_node_type. */
    uint8_t *node_types;
    size_t node_count;
};

struct segue_backend_program {
    enum segue_execution_mode mode;
    /** Inline data; NULL if the recording has none. */
    struct segue_staging_block *staging;
    /** GRAPH. */
    struct segue_cuda_graph graph;
    /** STREAM: in order of issue, with parameters in lowering.arena. */
    struct segue_operation *operations;
    uint32_t operation_count;
    /** `table` and, in graph mode, the arena are only used while the program is made. */
    struct segue_lowering lowering;
};

/** graph.c: builds, instantiates and uploads. The context is current. */
SEGUE_MUST_CHECK segue_status segue_cuda_graph_create(struct segue_lowering *lowering,
                                                      const struct segue_plan *plan,
                                                      struct segue_command_buffer_stats *stats,
                                                      struct segue_cuda_graph *out_graph);
/** Where the context could not be made current, the driver keeps the executable graph. */
void segue_cuda_graph_destroy(struct segue_cuda *cuda, struct segue_cuda_graph *graph,
                              bool has_context);

/** stream.c: lowers the commands into `program`. The context is current. */
SEGUE_MUST_CHECK segue_status segue_cuda_stream_prepare(struct segue_backend_program *program,
                                                        const struct segue_plan *plan);
void segue_cuda_stream_finish(struct segue_backend_program *program);
/** Issues all operations. The context is current. */
SEGUE_MUST_CHECK segue_status segue_cuda_stream_issue(struct segue_backend_program *program,
                                                      CUstream stream);

#endif // SEGUE_CUDA_PROGRAM_H
