// SPDX-License-Identifier: Apache-2.0
#include "stream.h"

#include "error.h"
#include "files.h"

#include <stdlib.h>

#define DEFAULT_FIRST_BYTES (UINT64_C(512) << 10)
#define DEFAULT_NEXT_BYTES (UINT64_C(8) << 20)
#define DEFAULT_COMMANDS 1024
#define DEFAULT_AGE_NS UINT64_C(2000000)

/** One of the queues; NULL: not needed yet. */
struct lane {
    segue_queue *queue;
    /** Reaches n when the lane's part of increment n is done. */
    segue_semaphore *progress;
    /** What is being recorded; NULL: nothing. */
    segue_command_buffer *recording;
    /** Of a lane of copies: the increment of packings that the recording waits for. */
    uint64_t after;
    /** The last increment submitted that has a part on this lane. */
    uint64_t last;
};

struct segue_prepack_stream {
    segue_device *device;
    struct segue_prepack_limits limits;
    struct lane copies;
    struct lane packings;
    /** Bytes of the next increment; whether those after it have twice as many, up to the limit. */
    uint64_t limit_bytes;
    bool grows;
    /** Of the increment that is being recorded. */
    uint64_t pending_bytes;
    uint64_t pending_commands;
    uint64_t begun_ns;
    struct segue_prepack_stream_stats stats;
};

static uint64_t with_default(uint64_t value, uint64_t fallback)
{
    return value == 0 ? fallback : value;
}

static void settle_limits(struct segue_prepack_limits *limits)
{
    limits->first_bytes = with_default(limits->first_bytes, DEFAULT_FIRST_BYTES);
    limits->next_bytes = with_default(limits->next_bytes, DEFAULT_NEXT_BYTES);
    limits->first_commands = with_default(limits->first_commands, DEFAULT_COMMANDS);
    limits->next_commands = with_default(limits->next_commands, DEFAULT_COMMANDS);
    limits->age_ns = with_default(limits->age_ns, DEFAULT_AGE_NS);
}

/** Makes a lane's queue, if it has none. */
static segue_status open_lane(struct segue_prepack_stream *stream, struct lane *lane)
{
    const struct segue_queue_params params = {
        .label = lane == &stream->packings ? "prepack packing" : "prepack copies"};
    segue_status status = SEGUE_OK;
    if (lane->progress == NULL)
        status = segue_semaphore_create(stream->device, 0, &lane->progress);
    if (status == SEGUE_OK && lane->queue == NULL)
        status = segue_queue_create(stream->device, &params, &lane->queue);
    return status;
}

segue_status segue_prepack_stream_create(segue_device *device,
                                         const struct segue_prepack_limits *limits,
                                         struct segue_prepack_stream **out_stream)
{
    struct segue_prepack_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return segue_prepack_fail_memory("an upload");
    stream->device = device;
    stream->limits = *limits;
    settle_limits(&stream->limits);
    stream->limit_bytes = stream->limits.first_bytes;
    // The first increment should not be followed by a wait for a large one.
    stream->grows = limits->next_bytes == 0;
    *out_stream = stream;
    return SEGUE_OK;
}

static void close_lane(struct lane *lane)
{
    segue_command_buffer_destroy(lane->recording);
    // Waits until it is idle.
    segue_queue_destroy(lane->queue);
}

void segue_prepack_stream_destroy(struct segue_prepack_stream *stream)
{
    if (stream == NULL)
        return;
    // The packings wait for copies.
    close_lane(&stream->packings);
    close_lane(&stream->copies);
    segue_semaphore_destroy(stream->packings.progress);
    segue_semaphore_destroy(stream->copies.progress);
    free(stream);
}

uint64_t segue_prepack_stream_increment(const struct segue_prepack_stream *stream)
{
    return stream->stats.increment_count + 1;
}

bool segue_prepack_stream_has_copied(const struct segue_prepack_stream *stream)
{
    return stream->copies.last != 0;
}

uint64_t segue_prepack_stream_limit_bytes(const struct segue_prepack_stream *stream)
{
    return stream->limit_bytes;
}

static bool is_recording(const struct segue_prepack_stream *stream)
{
    return stream->copies.recording != NULL || stream->packings.recording != NULL;
}

/** Opens a lane's command buffer of the next increment. */
static segue_status begin(struct segue_prepack_stream *stream, struct lane *lane)
{
    if (lane->recording != NULL)
        return SEGUE_OK;
    if (!is_recording(stream)) {
        stream->pending_bytes = 0;
        stream->pending_commands = 0;
        stream->begun_ns = segue_pack_now_ns();
    }
    const struct segue_command_buffer_params params = {
        .mode = SEGUE_EXECUTION_STREAM,
        .flags = SEGUE_COMMAND_BUFFER_ONE_SHOT | SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS,
        .label = "prepack",
    };
    lane->after = 0;
    segue_status status = open_lane(stream, lane);
    if (status == SEGUE_OK)
        status = segue_command_buffer_create(stream->device, &params, &lane->recording);
    if (status == SEGUE_OK)
        status = segue_command_buffer_begin(lane->recording);
    return status;
}

/** Submits a lane's part of the increment, behind `after` of the other lane. */
static segue_status submit_lane(struct segue_prepack_stream *stream, struct lane *lane,
                                const struct lane *other, uint64_t after)
{
    if (lane->recording == NULL)
        return SEGUE_OK;
    segue_status status = segue_command_buffer_end(lane->recording);
    if (status != SEGUE_OK)
        return status;
    const uint64_t increment = segue_prepack_stream_increment(stream);
    const struct segue_semaphore_value wait = {.semaphore = other->progress, .value = after};
    const struct segue_semaphore_value signal = {.semaphore = lane->progress, .value = increment};
    const struct segue_execution execution = {.command_buffer = lane->recording};
    const struct segue_submission submission = {
        .waits = &wait,
        .wait_count = after != 0,
        .executions = &execution,
        .execution_count = 1,
        .signals = &signal,
        .signal_count = 1,
    };
    status = segue_queue_submit(lane->queue, &submission);
    if (status != SEGUE_OK)
        return status;
    lane->last = increment;
    segue_command_buffer_destroy(lane->recording);
    lane->recording = NULL;
    return SEGUE_OK;
}

static segue_status submit_copies(struct segue_prepack_stream *stream)
{
    const bool has_copies = stream->copies.recording != NULL;
    const segue_status status =
        submit_lane(stream, &stream->copies, &stream->packings, stream->copies.after);
    if (status != SEGUE_OK || !has_copies)
        return status;
    const uint64_t next_bytes = stream->limits.next_bytes;
    stream->limit_bytes = stream->grows && stream->limit_bytes < next_bytes / 2
                              ? 2 * stream->limit_bytes
                              : next_bytes;
    return SEGUE_OK;
}

segue_status segue_prepack_stream_flush(struct segue_prepack_stream *stream)
{
    if (!is_recording(stream))
        return SEGUE_OK;
    const uint64_t start_ns = segue_pack_now_ns();
    segue_status status = submit_copies(stream);
    if (status == SEGUE_OK)
        status = submit_lane(stream, &stream->packings, &stream->copies, stream->copies.last);
    const uint64_t now_ns = segue_pack_now_ns();
    stream->stats.submit_ns += now_ns - start_ns;
    if (status != SEGUE_OK)
        return status;
    stream->stats.increment_count++;
    if (stream->stats.first_submit_ns == 0 && segue_prepack_stream_has_copied(stream))
        stream->stats.first_submit_ns = now_ns;
    return SEGUE_OK;
}

segue_status segue_prepack_stream_submit_if_due(struct segue_prepack_stream *stream)
{
    if (!is_recording(stream))
        return SEGUE_OK;
    const struct segue_prepack_limits *limits = &stream->limits;
    const uint64_t limit_commands =
        segue_prepack_stream_has_copied(stream) ? limits->next_commands : limits->first_commands;
    const bool due = stream->pending_bytes >= segue_prepack_stream_limit_bytes(stream) ||
                     stream->pending_commands >= limit_commands ||
                     segue_pack_now_ns() >= segue_prepack_stream_deadline(stream);
    return due ? segue_prepack_stream_flush(stream) : SEGUE_OK;
}

uint64_t segue_prepack_stream_deadline(const struct segue_prepack_stream *stream)
{
    const uint64_t age_ns = stream->limits.age_ns;
    return !is_recording(stream) || age_ns > UINT64_MAX - stream->begun_ns
               ? UINT64_MAX
               : stream->begun_ns + age_ns;
}

segue_status segue_prepack_stream_copy(struct segue_prepack_stream *stream,
                                       struct segue_buffer_ref from, struct segue_buffer_ref to,
                                       uint64_t after)
{
    // What the dispatches of this very increment read cannot be overwritten in it.
    segue_status status = SEGUE_OK;
    if (after > stream->stats.increment_count)
        status = segue_prepack_stream_flush(stream);
    struct lane *lane = &stream->copies;
    if (status == SEGUE_OK)
        status = begin(stream, lane);
    if (status == SEGUE_OK)
        status = segue_cmd_copy(lane->recording, from, to);
    if (status != SEGUE_OK)
        return status;
    if (after > lane->after)
        lane->after = after;
    stream->pending_bytes += from.length_bytes;
    stream->pending_commands++;
    stream->stats.uploaded_bytes += from.length_bytes;
    return SEGUE_OK;
}

segue_status segue_prepack_stream_dispatch(struct segue_prepack_stream *stream,
                                           const struct segue_dispatch *dispatch)
{
    segue_status status = begin(stream, &stream->packings);
    if (status == SEGUE_OK)
        status = segue_cmd_dispatch(stream->packings.recording, dispatch);
    if (status == SEGUE_OK)
        stream->pending_commands++;
    return status;
}

void segue_prepack_stream_get_copied(const struct segue_prepack_stream *stream,
                                     struct segue_semaphore_value *out_point)
{
    *out_point = (struct segue_semaphore_value){.semaphore = stream->copies.progress,
                                                .value = stream->copies.last};
}

segue_status segue_prepack_stream_is_copied(struct segue_prepack_stream *stream, uint64_t increment,
                                            bool *out_is_copied)
{
    uint64_t reached = 0;
    segue_status status = SEGUE_OK;
    if (increment != 0 && increment <= stream->stats.increment_count)
        status = segue_semaphore_query(stream->copies.progress, &reached);
    *out_is_copied = status == SEGUE_OK && reached >= increment;
    return status;
}

/** Waits until a lane has reached an increment. */
static segue_status wait_for(struct segue_prepack_stream *stream, const struct lane *lane,
                             uint64_t increment)
{
    segue_status status = SEGUE_OK;
    if (increment > stream->stats.increment_count)
        status = segue_prepack_stream_flush(stream);
    const uint64_t start_ns = segue_pack_now_ns();
    if (status == SEGUE_OK && increment != 0)
        status = segue_semaphore_wait(lane->progress, increment, SEGUE_TIMEOUT_INFINITE);
    stream->stats.wait_ns += segue_pack_now_ns() - start_ns;
    return status;
}

segue_status segue_prepack_stream_wait_copied(struct segue_prepack_stream *stream,
                                              uint64_t increment)
{
    return wait_for(stream, &stream->copies, increment);
}

segue_status segue_prepack_stream_wait_packed(struct segue_prepack_stream *stream,
                                              uint64_t increment)
{
    return wait_for(stream, &stream->packings, increment);
}

segue_status segue_prepack_stream_reap(struct segue_prepack_stream *stream)
{
    const struct lane *lanes[] = {&stream->copies, &stream->packings};
    segue_status status = SEGUE_OK;
    for (size_t i = 0; status == SEGUE_OK && i < sizeof(lanes) / sizeof(lanes[0]); i++) {
        uint64_t reached = 0;
        if (lanes[i]->progress != NULL)
            status = segue_semaphore_query(lanes[i]->progress, &reached);
    }
    return status;
}

segue_status segue_prepack_stream_signal(struct segue_prepack_stream *stream,
                                         const struct segue_semaphore_value *signal)
{
    segue_status status = segue_prepack_stream_flush(stream);
    if (status == SEGUE_OK)
        status = open_lane(stream, &stream->copies);
    if (status != SEGUE_OK)
        return status;
    const struct segue_semaphore_value packed = {.semaphore = stream->packings.progress,
                                                 .value = stream->packings.last};
    const struct segue_submission submission = {
        .waits = &packed,
        .wait_count = stream->packings.last != 0,
        .signals = signal,
        .signal_count = 1,
    };
    return segue_queue_submit(stream->copies.queue, &submission);
}

segue_status segue_prepack_stream_finish(struct segue_prepack_stream *stream)
{
    segue_status status = segue_prepack_stream_flush(stream);
    if (status == SEGUE_OK)
        status = wait_for(stream, &stream->copies, stream->copies.last);
    if (status == SEGUE_OK)
        status = wait_for(stream, &stream->packings, stream->packings.last);
    return status;
}

void segue_prepack_stream_get_stats(const struct segue_prepack_stream *stream,
                                    struct segue_prepack_stream_stats *out_stats)
{
    *out_stats = stream->stats;
}
