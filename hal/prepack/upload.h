// SPDX-License-Identifier: Apache-2.0
/**
 * @file upload.h
 * The pipeline of a load: takes jobs from its owner one after the other, has their bytes read by
 * several threads into a ring of pinned slots, many pieces of many jobs at a time, and records
 * their copies in order. A slot is free again once the increment that copies it is done.
 *
 * One thread at a time.
 */
#ifndef SEGUE_PREPACK_UPLOAD_H
#define SEGUE_PREPACK_UPLOAD_H

#include "bytes.h"
#include "stream.h"

/** What is to be done next. `kind`, `index` and `part` are the owner's. */
struct segue_prepack_job {
    /** [offset, offset + length) of `bytes` goes to target_offset_bytes of the target, after the
     *  dispatches of increment `after`; length 0: nothing does. The target lives until the job has
     *  ended; NULL: the owner has it made when bytes for it have arrived. */
    struct segue_prepack_bytes bytes;
    uint64_t offset_bytes;
    uint64_t length_bytes;
    segue_buffer *target;
    uint64_t target_offset_bytes;
    uint64_t after;
    uint32_t kind;
    uint32_t index;
    uint64_t part;
};

/** Who has the jobs. All functions are called on the thread that pumps. */
struct segue_prepack_owner {
    void *context;
    /** The next job. *out_has false: none is left, or none can be begun before others end. */
    segue_status (*next)(void *context, struct segue_prepack_job *out_job, bool *out_has);
    /** Bytes of a job from `offset_bytes` on are about to be copied; in ascending order. */
    segue_status (*arrived)(void *context, const struct segue_prepack_job *job,
                            uint64_t offset_bytes, const void *data, size_t length_bytes);
    /** The target of a job without one, which the owner keeps. */
    segue_status (*locate)(void *context, const struct segue_prepack_job *job,
                           segue_buffer **out_target);
    /** All copies of the job are recorded. Jobs end in the order in which they were handed out. */
    segue_status (*ended)(void *context, const struct segue_prepack_job *job);
    /** Reading failed. SEGUE_OK: the job is void, and the others go on. */
    segue_status (*failed)(void *context, const struct segue_prepack_job *job, segue_status status);
};

/** Counts of a pipeline. */
struct segue_prepack_upload_stats {
    /** Most pinned memory that was held. */
    uint64_t staging_bytes;
    /** Slots that could not be pinned for want of memory: it went on with fewer. */
    uint32_t unpinned_count;
    int32_t node;
    uint64_t pin_ns;
    /** When the first byte was about to be read; 0: not yet. Monotonic. */
    uint64_t first_read_ns;
    /** The pumping thread waited for readers, reading along. */
    uint64_t read_wait_ns;
    uint64_t read_ns;
    uint64_t cached_bytes;
    uint64_t direct_bytes;
    uint64_t fallback_count;
    uint64_t refusal_count;
};

struct segue_prepack_upload;

/** Fills in reader_count where it is 0, and caps it. */
void segue_prepack_settle_readers(struct segue_prepack_limits *limits);

/** Makes a pipeline that copies by `stream`. Limits of 0 become defaults. */
segue_status segue_prepack_upload_create(segue_device *device,
                                         const struct segue_prepack_limits *limits,
                                         struct segue_prepack_stream *stream,
                                         const struct segue_prepack_owner *owner,
                                         struct segue_prepack_upload **out_upload);
/** Waits for all copies that the stream was given, if it has submitted them: for what comes before
 *  the stream is destroyed. NULL is fine. */
void segue_prepack_upload_settle(struct segue_prepack_upload *upload);
/** Drops what is being read. The stream has been destroyed, so that no slot is copied any more.
 * NULL is fine. */
void segue_prepack_upload_destroy(struct segue_prepack_upload *upload);

/** Sends as many pieces on their way as there is room for, and records the copy of the oldest one;
 *  or submits an increment that has become too old meanwhile. *out_idle: there was nothing left to
 *  do. Once it has failed, only destroy is left. */
segue_status segue_prepack_upload_pump(struct segue_prepack_upload *upload, bool *out_idle);

/** There is nothing left to do, and the stream was flushed: gives pinned memory back, for others to
 *  use once its copies are done. A later pump takes some again. */
void segue_prepack_upload_rest(struct segue_prepack_upload *upload);

void segue_prepack_upload_get_stats(const struct segue_prepack_upload *upload,
                                    struct segue_prepack_upload_stats *out_stats);

#endif // SEGUE_PREPACK_UPLOAD_H
