// SPDX-License-Identifier: Apache-2.0
/**
 * @file trace_step.h
 * The longest command buffer of a trace, to be recorded again and again through the public API with
 * kernels that do nothing: each entry point has a twin of the same parameters and accesses and an
 * empty body, so that the graph is as the trace's, and constants may be changed at will. Every
 * barrier is a full one. Buffers have no content, and constant slots are zeros.
 *
 * One thread.
 */
#ifndef SEGUE_BENCH_TRACE_STEP_H
#define SEGUE_BENCH_TRACE_STEP_H

#include "harness.h"

#include <segue/trace.h>

/** A recorded command: work, or a barrier (kind). */
struct segue_bench_command {
    struct segue_command_info info;
    /** What `info` points to: a dispatch's bindings and constants, an update's data. Owned. */
    struct segue_buffer_ref *bindings;
    void *data;
};

struct segue_bench_trace_step {
    segue_trace *trace;
    segue_trace_session *session;
    /** By the session's executables, in the order of their first use. */
    segue_executable **twins;
    const segue_executable **originals;
    uint32_t twin_count;
    struct segue_bench_command *commands;
    uint32_t command_count;
    uint32_t dispatch_count;
};

/** Loads the trace. On failure (segue_bench_fail), among others for commands that are no
 * dispatches, barriers, events or groups: close all the same. */
bool segue_bench_trace_step_open(struct segue_bench *bench, const char *path,
                                 struct segue_bench_trace_step *out_step);
/** Zero-initialised or half-opened is fine. */
void segue_bench_trace_step_close(struct segue_bench_trace_step *step);

/** Begins, records and ends `count` commands that are work: the first of the command buffer, or, if
 *  it has fewer, all of them again and again with a barrier between. Dispatches listed in `changed`
 *  (ascending indices) differ with `seed`. */
segue_status segue_bench_trace_step_record(const struct segue_bench_trace_step *step,
                                           segue_command_buffer *command_buffer, uint32_t count,
                                           const uint32_t *changed, uint32_t changed_count,
                                           uint32_t seed);

/** The session's command buffer with the most work; NULL after segue_bench_fail. */
segue_command_buffer *segue_bench_longest(struct segue_bench *bench, segue_trace_session *session);

#endif // SEGUE_BENCH_TRACE_STEP_H
