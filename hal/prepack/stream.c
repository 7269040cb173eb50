// SPDX-License-Identifier: Apache-2.0
#include "stream.h"

#include "error.h"
#include "files.h"
#include "readers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define DEFAULT_STAGING_BYTES (UINT64_C(64) << 20)
#define DEFAULT_SLOT_BYTES (UINT64_C(8) << 20)
#define DEFAULT_FIRST_BYTES (UINT64_C(4) << 20)
#define DEFAULT_NEXT_BYTES (UINT64_C(16) << 20)
#define DEFAULT_COMMANDS 1024
#define DEFAULT_AGE_NS UINT64_C(2000000)
/** More threads than this do not read faster. */
#define MOST_READERS 12u
/** Pieces read ahead of the one that is copied. */
#define WINDOW 4u
/** The smallest slot: what an address must be aligned to for O_DIRECT. */
#define SMALLEST_SLOT_BYTES 4096u

/** A piece of pinned memory. */
struct slot {
    segue_buffer *buffer;
    unsigned char *data;
    /** The increment that reads it last; free once that is done. */
    uint64_t increment;
    /** Pieces that are being read into it. */
    uint32_t flight_count;
    uint64_t used_bytes;
};

/** A piece on its way: where it is read to. */
struct flight {
    struct segue_prepack_piece piece;
    struct slot *slot;
    uint64_t slot_offset_bytes;
};

struct segue_prepack_stream {
    segue_device *device;
    struct segue_prepack_limits limits;
    struct segue_prepack_readers *readers;
    /** Pieces of the current upload, in a ring: those from flight_first on are being read. */
    struct flight flights[WINDOW];
    uint32_t flight_first;
    uint32_t flight_count;
    segue_queue *queue;
    /** Reaches n when increment n is done. */
    segue_semaphore *progress;
    struct slot *slots;
    uint32_t slot_count;
    uint32_t slot_capacity;
    /** Where the next bytes go; slots are taken in turn. */
    uint32_t current;
    /** What is being recorded; NULL: nothing. */
    segue_command_buffer *recording;
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
    limits->staging_bytes = with_default(limits->staging_bytes, DEFAULT_STAGING_BYTES);
    limits->slot_bytes = with_default(limits->slot_bytes, DEFAULT_SLOT_BYTES);
    limits->first_bytes = with_default(limits->first_bytes, DEFAULT_FIRST_BYTES);
    limits->next_bytes = with_default(limits->next_bytes, DEFAULT_NEXT_BYTES);
    limits->first_commands = with_default(limits->first_commands, DEFAULT_COMMANDS);
    limits->next_commands = with_default(limits->next_commands, DEFAULT_COMMANDS);
    limits->age_ns = with_default(limits->age_ns, DEFAULT_AGE_NS);
    if (limits->reader_count == 0) {
        const long cpu_count = sysconf(_SC_NPROCESSORS_ONLN);
        limits->reader_count = cpu_count > 1 ? (uint32_t)cpu_count - 1 : 1;
        if (limits->reader_count > MOST_READERS)
            limits->reader_count = MOST_READERS;
    }
    // Two slots at least, so that one is filled while another is copied.
    if (limits->slot_bytes > limits->staging_bytes / 2)
        limits->slot_bytes = limits->staging_bytes / 2;
    limits->slot_bytes -= limits->slot_bytes % SMALLEST_SLOT_BYTES;
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
    segue_status status = SEGUE_OK;
    if (stream->limits.slot_bytes == 0)
        status = segue_prepack_fail_on(device, SEGUE_INVALID_ARGUMENT,
                                       "prepack: staging_bytes must hold two slots of %u bytes",
                                       SMALLEST_SLOT_BYTES);
    if (status == SEGUE_OK) {
        const uint64_t capacity = stream->limits.staging_bytes / stream->limits.slot_bytes;
        stream->slot_capacity = capacity < 1024 ? (uint32_t)capacity : 1024;
        stream->slots = calloc(stream->slot_capacity, sizeof(stream->slots[0]));
        if (stream->slots == NULL)
            status = segue_prepack_fail_memory("an upload");
    }
    if (status == SEGUE_OK) {
        // Whoever waits for a piece reads, too.
        stream->readers = segue_prepack_readers_create(stream->limits.reader_count - 1);
        if (stream->readers == NULL)
            status = segue_prepack_fail_memory("an upload");
    }
    const struct segue_queue_params queue = {.label = "prepack"};
    if (status == SEGUE_OK)
        status = segue_queue_create(device, &queue, &stream->queue);
    if (status == SEGUE_OK)
        status = segue_semaphore_create(device, 0, &stream->progress);
    if (status != SEGUE_OK) {
        segue_prepack_stream_destroy(stream);
        return status;
    }
    *out_stream = stream;
    return SEGUE_OK;
}

void segue_prepack_stream_destroy(struct segue_prepack_stream *stream)
{
    if (stream == NULL)
        return;
    segue_prepack_readers_destroy(stream->readers);
    segue_command_buffer_destroy(stream->recording);
    // Waits until it is idle, so that slots are free.
    segue_queue_destroy(stream->queue);
    segue_semaphore_destroy(stream->progress);
    for (uint32_t i = 0; i < stream->slot_count; i++)
        segue_buffer_destroy(stream->slots[i].buffer);
    free(stream->slots);
    free(stream);
}

/** Opens the command buffer of the next increment. */
static segue_status begin(struct segue_prepack_stream *stream)
{
    if (stream->recording != NULL)
        return SEGUE_OK;
    const struct segue_command_buffer_params params = {
        .mode = SEGUE_EXECUTION_STREAM,
        .flags = SEGUE_COMMAND_BUFFER_ONE_SHOT | SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS,
        .label = "prepack",
    };
    segue_status status = segue_command_buffer_create(stream->device, &params, &stream->recording);
    if (status == SEGUE_OK)
        status = segue_command_buffer_begin(stream->recording);
    stream->pending_bytes = 0;
    stream->pending_commands = 0;
    stream->begun_ns = segue_pack_now_ns();
    return status;
}

/** Submits what is recorded, raising the progress and, unless NULL, `signal`. */
static segue_status submit(struct segue_prepack_stream *stream,
                           const struct segue_semaphore_value *signal)
{
    if (stream->recording == NULL && signal == NULL)
        return SEGUE_OK;
    segue_status status = SEGUE_OK;
    if (stream->recording != NULL)
        status = segue_command_buffer_end(stream->recording);
    if (status != SEGUE_OK)
        return status;
    struct segue_semaphore_value signals[2] = {
        {.semaphore = stream->progress, .value = stream->stats.increment_count + 1},
    };
    if (signal != NULL)
        signals[1] = *signal;
    const struct segue_execution execution = {.command_buffer = stream->recording};
    const struct segue_submission submission = {
        .executions = &execution,
        .execution_count = stream->recording != NULL,
        .signals = signals,
        .signal_count = signal != NULL ? 2 : 1,
    };
    status = segue_queue_submit(stream->queue, &submission);
    if (status != SEGUE_OK)
        return status;
    stream->stats.increment_count++;
    if (stream->stats.first_submit_ns == 0)
        stream->stats.first_submit_ns = segue_pack_now_ns();
    segue_command_buffer_destroy(stream->recording);
    stream->recording = NULL;
    return SEGUE_OK;
}

/** Submits if a limit is reached. */
static segue_status submit_if_due(struct segue_prepack_stream *stream)
{
    const struct segue_prepack_limits *limits = &stream->limits;
    const bool is_first = stream->stats.increment_count == 0;
    const bool due =
        stream->pending_bytes >= (is_first ? limits->first_bytes : limits->next_bytes) ||
        stream->pending_commands >= (is_first ? limits->first_commands : limits->next_commands) ||
        segue_pack_now_ns() - stream->begun_ns >= limits->age_ns;
    return due ? submit(stream, NULL) : SEGUE_OK;
}

static segue_status add_slot(struct segue_prepack_stream *stream)
{
    struct slot *slot = &stream->slots[stream->slot_count];
    const struct segue_buffer_params params = {
        .size_bytes = stream->limits.slot_bytes,
        .memory = SEGUE_MEMORY_HOST_VISIBLE,
        .label = "prepack staging",
    };
    segue_status status = segue_buffer_create(stream->device, &params, &slot->buffer);
    if (status != SEGUE_OK)
        return status;
    void *data = NULL;
    status = segue_buffer_map(slot->buffer, &data);
    if (status != SEGUE_OK) {
        segue_buffer_destroy(slot->buffer);
        slot->buffer = NULL;
        return status;
    }
    slot->data = data;
    stream->slot_count++;
    stream->stats.staging_bytes += stream->limits.slot_bytes;
    return SEGUE_OK;
}

/** Whether a slot is still read by something: by what is recorded or submitted, or by a piece that
 *  is on its way into it. */
static bool is_busy(const struct slot *slot, uint64_t reached)
{
    return slot->flight_count != 0 || slot->increment > reached;
}

/** Moves on to a slot that is free, or can be made, without waiting. *out_slot is NULL if there is
 *  none. */
static segue_status next_slot(struct segue_prepack_stream *stream, struct slot **out_slot)
{
    *out_slot = NULL;
    uint64_t reached = 0;
    segue_status status = segue_semaphore_query(stream->progress, &reached);
    if (status != SEGUE_OK)
        return status;
    const uint32_t next = stream->slot_count == 0 ? 0 : (stream->current + 1) % stream->slot_count;
    if (stream->slot_count != 0 && !is_busy(&stream->slots[next], reached)) {
        stream->current = next;
    } else if (stream->slot_count < stream->slot_capacity) {
        status = add_slot(stream);
        if (status != SEGUE_OK)
            return status;
        stream->current = stream->slot_count - 1;
    } else {
        return SEGUE_OK;
    }
    *out_slot = &stream->slots[stream->current];
    (*out_slot)->used_bytes = 0;
    return SEGUE_OK;
}

/** Waits until the next slot's increment is done, submitting that first if need be. Nothing is on
 *  its way into it: then waiting for that piece comes first. */
static segue_status wait_for_slot(struct segue_prepack_stream *stream)
{
    const uint32_t next = (stream->current + 1) % stream->slot_count;
    const uint64_t needed = stream->slots[next].increment;
    segue_status status = SEGUE_OK;
    if (needed > stream->stats.increment_count)
        status = submit(stream, NULL);
    if (status == SEGUE_OK)
        status = segue_semaphore_wait(stream->progress, needed, SEGUE_TIMEOUT_INFINITE);
    return status;
}

/** Makes a piece of an entry end where a chunk does, if it can: what is verified is read whole. */
static uint64_t whole_chunks(uint64_t offset_bytes, uint64_t piece_bytes, uint64_t length_bytes)
{
    const uint64_t beyond_bytes = (offset_bytes + piece_bytes) % SEGUE_PACKED_CHUNK_BYTES;
    return piece_bytes < length_bytes && beyond_bytes < piece_bytes ? piece_bytes - beyond_bytes
                                                                    : piece_bytes;
}

/** Sends the next piece of an upload on its way; *out_bytes is its length, 0 where there is no room
 *  for it now. */
static segue_status start_piece(struct segue_prepack_stream *stream,
                                const struct segue_prepack_bytes *bytes, uint64_t offset_bytes,
                                uint64_t length_bytes, uint64_t *out_bytes)
{
    *out_bytes = 0;
    if (stream->flight_count == WINDOW)
        return SEGUE_OK;
    struct slot *slot = stream->slot_count != 0 ? &stream->slots[stream->current] : NULL;
    if (slot == NULL || slot->used_bytes >= stream->limits.slot_bytes) {
        const segue_status status = next_slot(stream, &slot);
        if (status != SEGUE_OK || slot == NULL)
            return status;
    }
    const bool is_first = stream->stats.increment_count == 0 && stream->flight_count == 0;
    const uint64_t limit_bytes = is_first ? stream->limits.first_bytes : stream->limits.next_bytes;
    uint64_t piece_bytes = stream->limits.slot_bytes - slot->used_bytes;
    piece_bytes = piece_bytes < length_bytes ? piece_bytes : length_bytes;
    piece_bytes = piece_bytes < limit_bytes ? piece_bytes : limit_bytes;
    if (bytes->entry != NULL)
        piece_bytes = whole_chunks(offset_bytes, piece_bytes, length_bytes);
    struct flight *flight =
        &stream->flights[(stream->flight_first + stream->flight_count) % WINDOW];
    flight->slot = slot;
    flight->slot_offset_bytes = slot->used_bytes;
    flight->piece.bytes = bytes;
    flight->piece.offset_bytes = offset_bytes;
    flight->piece.data = slot->data + slot->used_bytes;
    flight->piece.length_bytes = (size_t)piece_bytes;
    if (stream->stats.first_read_ns == 0)
        stream->stats.first_read_ns = segue_pack_now_ns();
    segue_prepack_readers_add(stream->readers, &flight->piece);
    stream->flight_count++;
    slot->flight_count++;
    // Pieces begin at multiples of 16, so that copies stay fast.
    slot->used_bytes += (piece_bytes + 15) & ~(uint64_t)15;
    *out_bytes = piece_bytes;
    return SEGUE_OK;
}

/** The oldest piece is not on its way any more. */
static void take_off_list(struct segue_prepack_stream *stream, const struct flight *flight)
{
    stream->flight_first = (stream->flight_first + 1) % WINDOW;
    stream->flight_count--;
    flight->slot->flight_count--;
}

/** Waits for the oldest piece and copies it. */
static segue_status land_piece(struct segue_prepack_stream *stream, segue_buffer *target,
                               const struct segue_prepack_observer *observer)
{
    struct flight *flight = &stream->flights[stream->flight_first];
    const struct segue_prepack_piece *piece = &flight->piece;
    segue_status status = segue_prepack_readers_wait(stream->readers, &flight->piece);
    take_off_list(stream, flight);
    if (status == SEGUE_OK && observer != NULL && observer->observe != NULL)
        status = observer->observe(observer->context, piece->data, piece->length_bytes);
    if (status == SEGUE_OK)
        status = begin(stream);
    if (status != SEGUE_OK)
        return status;
    const struct segue_buffer_ref from = {.buffer = flight->slot->buffer,
                                          .offset_bytes = flight->slot_offset_bytes,
                                          .length_bytes = piece->length_bytes};
    const struct segue_buffer_ref to = {
        .buffer = target, .offset_bytes = piece->offset_bytes, .length_bytes = piece->length_bytes};
    status = segue_cmd_copy(stream->recording, from, to);
    if (status != SEGUE_OK)
        return status;
    flight->slot->increment = stream->stats.increment_count + 1;
    stream->pending_bytes += piece->length_bytes;
    stream->pending_commands++;
    stream->stats.uploaded_bytes += piece->length_bytes;
    return submit_if_due(stream);
}

/** Has the kernel fetch a range of a file, all of it at once, unless it is in the page cache: the
 *  readers' small reads in turn would not look like a sequence to it. Whether it is cold is asked
 * at three places, since asking for all of it costs as much as reading. */
static void fetch_if_cold(const struct segue_prepack_bytes *bytes, uint64_t offset_bytes,
                          uint64_t length_bytes)
{
    int fd = -1;
    uint64_t place_bytes = 0;
    if (length_bytes == 0 || !segue_prepack_bytes_file(bytes, &fd, &place_bytes))
        return;
    place_bytes += offset_bytes;
    const uint64_t probes[] = {0, length_bytes / 2, length_bytes - 1};
    bool is_cold = false;
    for (size_t i = 0; !is_cold && i < sizeof(probes) / sizeof(probes[0]); i++) {
        char byte;
        const struct iovec target = {.iov_base = &byte, .iov_len = 1};
        is_cold = preadv2(fd, &target, 1, (off_t)(place_bytes + probes[i]), RWF_NOWAIT) < 0 &&
                  errno == EAGAIN;
    }
    if (is_cold)
        (void)posix_fadvise(fd, (off_t)place_bytes, (off_t)length_bytes, POSIX_FADV_WILLNEED);
}

segue_status segue_prepack_stream_upload(struct segue_prepack_stream *stream,
                                         const struct segue_prepack_bytes *bytes,
                                         segue_buffer *target, uint64_t offset_bytes,
                                         uint64_t length_bytes,
                                         const struct segue_prepack_observer *observer)
{
    fetch_if_cold(bytes, offset_bytes, length_bytes);
    segue_status status = SEGUE_OK;
    while (status == SEGUE_OK && (length_bytes != 0 || stream->flight_count != 0)) {
        uint64_t piece_bytes = 0;
        if (length_bytes != 0)
            status = start_piece(stream, bytes, offset_bytes, length_bytes, &piece_bytes);
        offset_bytes += piece_bytes;
        length_bytes -= piece_bytes;
        if (status != SEGUE_OK || piece_bytes != 0)
            continue;
        status = stream->flight_count != 0 ? land_piece(stream, target, observer)
                                           : wait_for_slot(stream);
    }
    // After a failure, what is on its way must arrive before its memory is used again.
    while (stream->flight_count != 0) {
        struct flight *flight = &stream->flights[stream->flight_first];
        segue_prepack_readers_finish(stream->readers, &flight->piece);
        take_off_list(stream, flight);
    }
    return status;
}

/** Whether a binding promises that nothing in the same command buffer writes it. */
static bool binds_constants(const struct segue_dispatch *dispatch)
{
    struct segue_executable_params params;
    segue_executable_get_params(dispatch->executable, &params);
    const struct segue_entry_point *entry = &params.entry_points[dispatch->entry_point];
    for (uint32_t i = 0; i < entry->parameter_count; i++) {
        if (entry->parameters[i].kind == SEGUE_PARAMETER_BINDING &&
            entry->parameters[i].access == SEGUE_ACCESS_CONSTANT)
            return true;
    }
    return false;
}

segue_status segue_prepack_stream_dispatch(struct segue_prepack_stream *stream,
                                           const struct segue_dispatch *dispatch)
{
    segue_status status = binds_constants(dispatch) ? submit(stream, NULL) : SEGUE_OK;
    if (status == SEGUE_OK)
        status = begin(stream);
    if (status == SEGUE_OK)
        status = segue_cmd_barrier(stream->recording, NULL);
    if (status == SEGUE_OK)
        status = segue_cmd_dispatch(stream->recording, dispatch);
    if (status == SEGUE_OK)
        status = segue_cmd_barrier(stream->recording, NULL);
    if (status != SEGUE_OK)
        return status;
    stream->pending_commands++;
    return submit_if_due(stream);
}

segue_status segue_prepack_stream_flush(struct segue_prepack_stream *stream)
{
    return submit(stream, NULL);
}

segue_status segue_prepack_stream_signal(struct segue_prepack_stream *stream,
                                         const struct segue_semaphore_value *signal)
{
    return submit(stream, signal);
}

segue_status segue_prepack_stream_finish(struct segue_prepack_stream *stream)
{
    segue_status status = submit(stream, NULL);
    if (status == SEGUE_OK)
        status = segue_semaphore_wait(stream->progress, stream->stats.increment_count,
                                      SEGUE_TIMEOUT_INFINITE);
    return status;
}

void segue_prepack_stream_get_stats(const struct segue_prepack_stream *stream,
                                    struct segue_prepack_stream_stats *out_stats)
{
    *out_stats = stream->stats;
}
