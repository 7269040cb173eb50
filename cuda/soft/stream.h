// SPDX-License-Identifier: Apache-2.0
/**
 * @file stream.h
 * Streams are queues of operations that run lazily: an operation runs when a call has to wait for
 * it, and now and then by chance inside other calls. An operation only ever depends on operations
 * that were enqueued before it, so the oldest one can always run.
 */
#ifndef SEGUE_CUDA_SOFT_STREAM_H
#define SEGUE_CUDA_SOFT_STREAM_H

#include "state.h"
#include "work.h"

struct segue_soft_launch;
struct segue_soft_stream;

/** Where an event was recorded. Shared by the event, the record operation and those that wait. */
struct segue_soft_point {
    uint32_t references;
    bool done;
    uint64_t time_ns;
    /** While not done. */
    struct segue_soft_op *op;
};

enum segue_soft_op_kind {
    SEGUE_SOFT_OP_WORK,
    SEGUE_SOFT_OP_GRAPH,
    SEGUE_SOFT_OP_RECORD,
    SEGUE_SOFT_OP_WAIT,
};

/** One operation of a stream; owned by it until it has run. */
struct segue_soft_op {
    enum segue_soft_op_kind kind;
    uint64_t sequence;
    struct segue_soft_stream *stream;
    struct segue_soft_op *next;
    /** WORK. */
    struct segue_soft_work work;
    /** GRAPH. */
    struct segue_soft_launch *launch;
    /** RECORD, WAIT. */
    struct segue_soft_point *point;
};

/** Finds a stream; NULL and CU_STREAM_LEGACY are the legacy one. */
CUresult segue_soft_stream_get(CUstream handle, struct segue_soft_stream **out_stream);

/** A new, empty operation, or NULL when out of memory. */
struct segue_soft_op *segue_soft_op_create(enum segue_soft_op_kind kind);
/** Appends it; the stream owns it from now on. */
void segue_soft_stream_push(struct segue_soft_stream *stream, struct segue_soft_op *op);
/** Enqueues `work`, taking it over in any case. `wait`: returns once it has run. */
CUresult segue_soft_stream_push_work(struct segue_soft_stream *stream, struct segue_soft_work *work,
                                     bool wait);

/** Runs what must run for the point to be reached. */
CUresult segue_soft_point_finish(struct segue_soft_point *point);
/** Runs a step towards the point, or more if this is called in vain again and again, unless
 *  paused. */
void segue_soft_point_nudge(struct segue_soft_point *point);
void segue_soft_point_release(struct segue_soft_point *point);

/** Runs everything on all streams; the sticky error if there is one then. */
CUresult segue_soft_streams_finish(void);
/** By chance, a few steps of any streams, unless paused. */
void segue_soft_streams_wander(void);
/** Drops all work undone: the device has failed. */
void segue_soft_streams_discard(void);
/** Frees all streams, at unload. */
void segue_soft_streams_close(void);

#endif // SEGUE_CUDA_SOFT_STREAM_H
