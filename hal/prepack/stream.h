// SPDX-License-Identifier: Apache-2.0
/**
 * @file stream.h
 * Copies and dispatches, submitted in increments on two queues: the dispatches of an increment run
 * after its copies and all earlier ones, beside the copies of the next increments. An increment is
 * submitted when one of its limits is reached.
 *
 * One thread at a time. A stream that has failed stays failed: only destroy is left.
 */
#ifndef SEGUE_PREPACK_STREAM_H
#define SEGUE_PREPACK_STREAM_H

#include <segue/prepack.h>
#include <segue/segue.h>

struct segue_prepack_stream;

/** Counts of a stream. */
struct segue_prepack_stream_stats {
    uint64_t uploaded_bytes;
    /** Increments submitted. */
    uint64_t increment_count;
    /** When the first one with copies was; 0: not yet. Monotonic. */
    uint64_t first_submit_ns;
    /** Spent on recording and submitting, and on waiting for copies. */
    uint64_t submit_ns;
    uint64_t wait_ns;
};

/** Makes a stream, whose queues are made as they are needed. Limits of 0 become their defaults;
 * later increments then grow from the first one to theirs. */
segue_status segue_prepack_stream_create(segue_device *device,
                                         const struct segue_prepack_limits *limits,
                                         struct segue_prepack_stream **out_stream);
/** Waits for what was submitted, drops what was not. NULL is fine. */
void segue_prepack_stream_destroy(struct segue_prepack_stream *stream);

/** Number of the increment that is being recorded; they begin with 1. */
uint64_t segue_prepack_stream_increment(const struct segue_prepack_stream *stream);
/** Whether copies were submitted: fingerprints of packers come before. */
bool segue_prepack_stream_has_copied(const struct segue_prepack_stream *stream);
/** Bytes after which that increment is submitted. */
uint64_t segue_prepack_stream_limit_bytes(const struct segue_prepack_stream *stream);

/**
 * Copies, in no order with other copies, and after the dispatches of increment `after` (0: of
 * none), which is submitted first if need be. Both buffers stay alive by themselves.
 */
segue_status segue_prepack_stream_copy(struct segue_prepack_stream *stream,
                                       struct segue_buffer_ref from, struct segue_buffer_ref to,
                                       uint64_t after);

/** Runs a dispatch after all copies before it; in no order with other dispatches of the same
 *  increment, and after those of earlier ones. */
segue_status segue_prepack_stream_dispatch(struct segue_prepack_stream *stream,
                                           const struct segue_dispatch *dispatch);

/** Submits the increment if one of its limits is reached. */
segue_status segue_prepack_stream_submit_if_due(struct segue_prepack_stream *stream);
/** When the increment is due by its age; UINT64_MAX where there is none, or no limit. */
uint64_t segue_prepack_stream_deadline(const struct segue_prepack_stream *stream);

/** What is reached when all copies submitted so far are done. The semaphore is the stream's; NULL
 *  where there were none. */
void segue_prepack_stream_get_copied(const struct segue_prepack_stream *stream,
                                     struct segue_semaphore_value *out_point);
/** Whether the copies of an increment, which has some or is 0, are done. */
segue_status segue_prepack_stream_is_copied(struct segue_prepack_stream *stream, uint64_t increment,
                                            bool *out_is_copied);
/** Waits until the copies of an increment, which has some or is 0, are done; submits it if need be.
 */
segue_status segue_prepack_stream_wait_copied(struct segue_prepack_stream *stream,
                                              uint64_t increment);
/** The same for dispatches. */
segue_status segue_prepack_stream_wait_packed(struct segue_prepack_stream *stream,
                                              uint64_t increment);

/** Gives up what finished increments keep alive: a queue does that only when somebody asks it. */
segue_status segue_prepack_stream_reap(struct segue_prepack_stream *stream);

/** Submits what is not submitted yet. */
segue_status segue_prepack_stream_flush(struct segue_prepack_stream *stream);
/** The same, and raises `signal` behind all of it on the device. */
segue_status segue_prepack_stream_signal(struct segue_prepack_stream *stream,
                                         const struct segue_semaphore_value *signal);
/** The same as flush, and waits until all is done. */
segue_status segue_prepack_stream_finish(struct segue_prepack_stream *stream);

void segue_prepack_stream_get_stats(const struct segue_prepack_stream *stream,
                                    struct segue_prepack_stream_stats *out_stats);

#endif // SEGUE_PREPACK_STREAM_H
