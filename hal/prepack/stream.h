// SPDX-License-Identifier: Apache-2.0
/**
 * @file stream.h
 * Uploads in bounded increments: bytes go through a ring of pinned slots into device memory, with
 * dispatches between them, all in the order of the calls. What is not submitted yet is submitted
 * when a limit of the increment is reached, or by a flush.
 *
 * One thread at a time. A stream that has failed stays failed: only destroy is left.
 */
#ifndef SEGUE_PREPACK_STREAM_H
#define SEGUE_PREPACK_STREAM_H

#include "bytes.h"

#include <segue/segue.h>

struct segue_prepack_stream;

/** Counts of a stream. */
struct segue_prepack_stream_stats {
    uint64_t uploaded_bytes;
    /** Increments submitted. */
    uint64_t increment_count;
    /** Pinned memory held now, which only grows. */
    uint64_t staging_bytes;
    /** When the first byte was read and the first increment submitted; 0: not yet. Monotonic. */
    uint64_t first_read_ns;
    uint64_t first_submit_ns;
};

/** Shown the bytes of an upload in ascending order, on the calling thread. @return not SEGUE_OK:
 *  the upload fails with it. NULL functions are not called. */
struct segue_prepack_observer {
    segue_status (*observe)(void *context, const void *data, size_t length_bytes);
    void *context;
};

/** Makes a stream with a queue and slots of its own. Limits of 0 become their defaults. */
segue_status segue_prepack_stream_create(segue_device *device,
                                         const struct segue_prepack_limits *limits,
                                         struct segue_prepack_stream **out_stream);
/** Waits for what was submitted, drops what was not. NULL is fine. */
void segue_prepack_stream_destroy(struct segue_prepack_stream *stream);

/**
 * Copies [offset, offset + length) of `bytes` to the same place in `target`. Returns once all has
 * been read; a part may not be submitted yet. `target` stays alive by itself.
 * @return what reading returned, among others: what was copied of the upload before then is void,
 *         and the stream is still good.
 */
segue_status segue_prepack_stream_upload(struct segue_prepack_stream *stream,
                                         const struct segue_prepack_bytes *bytes,
                                         segue_buffer *target, uint64_t offset_bytes,
                                         uint64_t length_bytes,
                                         const struct segue_prepack_observer *observer);

/** Runs a dispatch after everything before it; everything after waits for it. */
segue_status segue_prepack_stream_dispatch(struct segue_prepack_stream *stream,
                                           const struct segue_dispatch *dispatch);

/** Submits what is not submitted yet. */
segue_status segue_prepack_stream_flush(struct segue_prepack_stream *stream);
/** The same, and raises `signal` behind it on the device. */
segue_status segue_prepack_stream_signal(struct segue_prepack_stream *stream,
                                         const struct segue_semaphore_value *signal);
/** The same as flush, and waits until all is done. */
segue_status segue_prepack_stream_finish(struct segue_prepack_stream *stream);

void segue_prepack_stream_get_stats(const struct segue_prepack_stream *stream,
                                    struct segue_prepack_stream_stats *out_stats);

#endif // SEGUE_PREPACK_STREAM_H
