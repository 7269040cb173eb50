// SPDX-License-Identifier: Apache-2.0
/**
 * @file program.h
 * Programs: what one recording becomes in one mode with one table.
 */
#ifndef SEGUE_CUDA_PROGRAM_H
#define SEGUE_CUDA_PROGRAM_H

#include "exec_cache.h"
#include "lower.h"
#include "staging.h"

#include "backend.h"

struct segue_backend_program {
    enum segue_execution_mode mode;
    /** STREAM: pointers and inline data; NULL if the recording has none. */
    struct segue_staging_block *staging;
    /** GRAPH; NULL for a graph without nodes. */
    struct segue_cuda_exec *exec;
    /** The exec is the cache's again, which has not looked at its budget since. */
    bool has_lent;
    /** STREAM: in order of issue, with parameters in lowering.arena. */
    struct segue_operation *operations;
    uint32_t operation_count;
    /** STREAM, with pointers that kernels find in memory, submitted more than once: reached when
     * the last copy of them is done, which was made on that stream. Else NULL. */
    CUevent copied;
    CUstream copied_on;
    /** `table` and, in graph mode, the arena are only used while the program is
     * made. */
    struct segue_lowering lowering;
};

/** stream.c: lowers the commands into `program`. The context is current. */
SEGUE_MUST_CHECK segue_status segue_cuda_stream_prepare(struct segue_backend_program *program,
                                                        const struct segue_plan *plan);
/** Lowers the commands anew for the table that `program->lowering` has. On failure the program is
 *  only good for being destroyed. */
SEGUE_MUST_CHECK segue_status segue_cuda_stream_rebind(struct segue_backend_program *program,
                                                       bool *out_rebound);
/** exec_rebind.c: writes the table that `program->lowering` has into the graph: the nodes of
 *  commands that name slots which stand for something else. `*out_rebound` false, or a failure: the
 *  program is only good for being destroyed. The context need not be current. */
SEGUE_MUST_CHECK segue_status segue_exec_rebind(struct segue_backend_program *program,
                                                struct segue_command_buffer_stats *stats,
                                                bool *out_rebound);
/** Makes the event that says when the program's pointers are copied, if it needs one. The context
 * is current. */
SEGUE_MUST_CHECK segue_status segue_cuda_stream_create_event(struct segue_backend_program *program);
void segue_cuda_stream_finish(struct segue_backend_program *program, bool has_context);
/** Issues all operations. The context is current. */
SEGUE_MUST_CHECK segue_status segue_cuda_stream_issue(struct segue_backend_program *program,
                                                      CUstream stream);

#endif // SEGUE_CUDA_PROGRAM_H
