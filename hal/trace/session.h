// SPDX-License-Identifier: Apache-2.0
/**
 * @file session.h
 * A trace made real on a device.
 */
#ifndef SEGUE_TRACE_SESSION_H
#define SEGUE_TRACE_SESSION_H

#include "model.h"

struct segue_profile;

struct segue_trace_session {
    const segue_trace *trace;
    segue_device *device;
    struct segue_trace_session_params params;
    /** False where they belong to params.share_buffers: buffers, written and executables. */
    bool owns_buffers;
    segue_buffer **buffers;
    /** Per buffer: commands may write its memory. */
    bool *written;
    segue_executable **executables;
    /** The trace's packings as the API describes them; owned with the buffers. */
    struct segue_session_packings *packings;
    segue_event **events;
    segue_command_buffer **command_buffers;
    /** Per command buffer: a one-shot that has run and must be recorded again. */
    bool *spent;
    /** Per command buffer: values set for its constant slots, of size 0 where none is; NULL: none.
     */
    struct segue_constant_value **set_constants;
    /** Made for each run, since values only grow. */
    segue_semaphore **semaphores;
    /** Per queue; made again after a failed run. */
    segue_queue **queues;
    /** With params.profile: per command buffer, and the kernel that writes down the time. */
    struct segue_profile *profiles;
    segue_executable *stamp_kernel;
    /** All used queues have run something since they were made. */
    bool has_run;
};

/** What measuring durations needs. */
segue_status segue_session_create_profiles(segue_trace_session *session);
void segue_session_destroy_profiles(segue_trace_session *session);
/** Records what comes before a command buffer's first command. */
segue_status segue_session_begin_profile(segue_trace_session *session, uint32_t index);
/** Records what comes behind a command; nothing if that is no work. */
segue_status segue_session_stamp(segue_trace_session *session, uint32_t index, uint32_t command);
/** Adds what the last run has measured. */
segue_status segue_session_read_profiles(segue_trace_session *session);

struct segue_session_packings;
/** Describes the packings; executables are there. SEGUE_OUT_OF_HOST_MEMORY. */
segue_status segue_session_create_packings(segue_trace_session *session);
void segue_session_destroy_packings(struct segue_session_packings *packings);
/** Packs a buffer's content on the device, and waits. */
segue_status segue_session_pack(segue_trace_session *session,
                                const struct segue_trace_packed *packed);
/** Writes a content to all of a buffer. */
segue_status segue_session_write_content(const segue_trace_session *session,
                                         const struct segue_trace_content *content,
                                         segue_buffer *target, uint64_t size_bytes);

/** Creates buffers and views, and writes their contents. */
segue_status segue_session_create_buffers(segue_trace_session *session);
/** Records one command buffer, which is new or reset, and ends it. */
segue_status segue_session_record(segue_trace_session *session, uint32_t index);

/** The value of a constant slot in an execution: what was set, else what the trace says. */
struct segue_constant_value segue_session_constant(const segue_trace_session *session,
                                                   const struct segue_trace_execution *execution,
                                                   uint32_t slot);

/** The API's form of a range. */
struct segue_buffer_ref segue_session_ref(const segue_trace_session *session,
                                          const struct segue_trace_range *range);

/** Reports progress, if wanted. */
void segue_session_progress(const segue_trace_session *session, const char *step, uint64_t done,
                            uint64_t total);

/**
 * Turns a failure of the core that the trace is to blame for (arguments, ranges, access) into
 * SEGUE_INVALID_DATA that begins with the trace's path and `where`; passes others on.
 */
segue_status segue_session_blame(const segue_trace_session *session, segue_status status,
                                 const char *where);

#endif // SEGUE_TRACE_SESSION_H
