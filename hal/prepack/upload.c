// SPDX-License-Identifier: Apache-2.0
#include "upload.h"

#include "cache.h"
#include "direct.h"
#include "error.h"
#include "files.h"
#include "readers.h"
#include "slots.h"

#include <stdlib.h>
#include <unistd.h>

/** By default: more threads than this do not read faster. */
#define DEFAULT_READERS 12u
/** Whoever asks for more gets as many. */
#define MOST_READERS 64u
/** Pieces on their way at most. */
#define WINDOW 64u
/** Slots that are pinned while files are read from the page cache, besides the first one: two that
 * are read into, and two that are copied. */
#define WARM_SLOTS 5u

/** A piece of a job on its way: where it is read to. Of a job without bytes it is all. */
struct flight {
    struct segue_prepack_piece piece;
    struct segue_prepack_job job;
    /** Pieces of one job have the same number. */
    uint64_t number;
    uint32_t slot;
    uint64_t slot_offset_bytes;
    bool is_last;
    /** Of an entry that is checked, and not whole chunks: checked when it has arrived. */
    bool is_part;
};

struct segue_prepack_upload {
    segue_device *device;
    bool has_joined;
    struct segue_prepack_limits limits;
    struct segue_prepack_owner owner;
    struct segue_prepack_stream *stream;
    struct segue_prepack_readers *readers;
    struct segue_prepack_direct *direct;
    struct segue_prepack_slots slots;
    /** Checks what was not read as whole chunks. */
    struct segue_packed_part *part;
    /** In a ring: those from flight_first on are on their way. */
    struct flight *flights;
    uint32_t flight_first;
    uint32_t flight_count;
    /** The job whose pieces are sent on their way, from job_offset_bytes on. */
    struct segue_prepack_job job;
    bool has_job;
    uint64_t job_number;
    uint64_t job_offset_bytes;
    /** A job that failed: its pieces are dropped as they arrive. */
    uint64_t void_number;
    uint64_t sent_bytes;
    struct segue_prepack_upload_stats stats;
};

void segue_prepack_settle_readers(struct segue_prepack_limits *limits)
{
    if (limits->reader_count == 0) {
        const long cpu_count = sysconf(_SC_NPROCESSORS_ONLN);
        limits->reader_count = cpu_count > 1 ? (uint32_t)cpu_count - 1 : 1;
        if (limits->reader_count > DEFAULT_READERS)
            limits->reader_count = DEFAULT_READERS;
    } else if (limits->reader_count > MOST_READERS) {
        limits->reader_count = MOST_READERS;
    }
}

segue_status segue_prepack_upload_create(segue_device *device,
                                         const struct segue_prepack_limits *limits,
                                         struct segue_prepack_stream *stream,
                                         const struct segue_prepack_owner *owner,
                                         struct segue_prepack_upload **out_upload)
{
    struct segue_prepack_upload *upload = calloc(1, sizeof(*upload));
    if (upload == NULL)
        return segue_prepack_fail_memory("an upload");
    upload->device = device;
    upload->owner = *owner;
    upload->stream = stream;
    upload->limits = *limits;
    upload->slots = (struct segue_prepack_slots){.device = device,
                                                 .limits = &upload->limits,
                                                 .stream = stream,
                                                 .wanted_count = WARM_SLOTS,
                                                 .node = -1};
    segue_prepack_settle_readers(&upload->limits);
    segue_status status = segue_prepack_settle_staging(device, &upload->limits);
    if (status == SEGUE_OK) {
        status = segue_prepack_pool_join(device);
        upload->has_joined = status == SEGUE_OK;
    }
    if (status == SEGUE_OK) {
        upload->flights = calloc(WINDOW, sizeof(upload->flights[0]));
        upload->direct = segue_prepack_direct_create();
        upload->part = segue_packed_part_create();
        // Whoever waits for a piece reads, too.
        upload->readers = segue_prepack_readers_create(upload->limits.reader_count - 1);
        if (upload->flights == NULL || upload->direct == NULL || upload->part == NULL ||
            upload->readers == NULL)
            status = segue_prepack_fail_memory("an upload");
    }
    if (status != SEGUE_OK) {
        segue_prepack_upload_destroy(upload);
        return status;
    }
    *out_upload = upload;
    return SEGUE_OK;
}

void segue_prepack_upload_destroy(struct segue_prepack_upload *upload)
{
    if (upload == NULL)
        return;
    if (upload->readers != NULL)
        segue_prepack_readers_drop(upload->readers);
    segue_prepack_readers_destroy(upload->readers);
    segue_prepack_direct_destroy(upload->direct);
    segue_packed_part_destroy(upload->part);
    segue_prepack_slots_return(&upload->slots, NULL);
    if (upload->has_joined)
        segue_prepack_pool_leave(upload->device);
    free(upload->flights);
    free(upload);
}

void segue_prepack_upload_settle(struct segue_prepack_upload *upload)
{
    if (upload == NULL)
        return;
    struct segue_semaphore_value point;
    segue_prepack_stream_get_copied(upload->stream, &point);
    segue_prepack_ring_forget(upload->device, point.semaphore);
}

void segue_prepack_upload_rest(struct segue_prepack_upload *upload)
{
    struct segue_semaphore_value point;
    segue_prepack_stream_get_copied(upload->stream, &point);
    segue_prepack_slots_return(&upload->slots, &point);
}

/** Makes a piece of an entry end where a chunk does, if it can: the first one, where the piece
 * begins within it, so that the next piece is whole chunks, and else the last one. */
static uint64_t whole_chunks(uint64_t offset_bytes, uint64_t piece_bytes, uint64_t length_bytes)
{
    const uint64_t first_bytes = SEGUE_PACKED_CHUNK_BYTES - offset_bytes % SEGUE_PACKED_CHUNK_BYTES;
    if (first_bytes != SEGUE_PACKED_CHUNK_BYTES)
        return piece_bytes < first_bytes ? piece_bytes : first_bytes;
    const uint64_t beyond_bytes = piece_bytes % SEGUE_PACKED_CHUNK_BYTES;
    return piece_bytes < length_bytes && beyond_bytes < piece_bytes ? piece_bytes - beyond_bytes
                                                                    : piece_bytes;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/** Up to the next multiple. */
static uint64_t round_up(uint64_t value, uint64_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

/** A file to read the next bytes of the job from, past the page cache; -1: any other way. */
static int find_direct(struct segue_prepack_upload *upload, uint64_t *out_place_bytes)
{
    const enum segue_prepack_reading reading = upload->limits.reading;
    const uint64_t length_bytes =
        smaller(upload->job.length_bytes - upload->job_offset_bytes, upload->limits.slot_bytes);
    int fd = -1;
    uint64_t place_bytes = 0;
    if (reading == SEGUE_PREPACK_READ_CACHED ||
        !segue_prepack_bytes_file(&upload->job.bytes, &fd, &place_bytes))
        return -1;
    place_bytes += upload->job.offset_bytes + upload->job_offset_bytes;
    if (reading == SEGUE_PREPACK_READ_AUTO && !segue_prepack_is_cold(fd, place_bytes, length_bytes))
        return -1;
    *out_place_bytes = place_bytes;
    return segue_prepack_direct_file(upload->direct, fd);
}

/** Where the next piece would begin in the current slot, and how long it may be; 0: not there. What
 *  is read past the page cache has the same place in its sector as in the file, and whole sectors.
 *  Others begin at multiples of 16, so that copies stay fast. */
static uint64_t find_room(const struct segue_prepack_upload *upload, bool is_direct,
                          uint64_t place_bytes, uint64_t *out_offset_bytes)
{
    const struct segue_prepack_slots *slots = &upload->slots;
    if (slots->ring->slot_count == 0)
        return 0;
    const uint64_t size_bytes = slots->ring->slots[slots->current].size_bytes;
    const uint64_t used_bytes = slots->items[slots->current].used_bytes;
    *out_offset_bytes = is_direct ? round_up(used_bytes, SEGUE_PREPACK_SECTOR_BYTES) +
                                        place_bytes % SEGUE_PREPACK_SECTOR_BYTES
                                  : round_up(used_bytes, 16);
    return *out_offset_bytes < size_bytes ? size_bytes - *out_offset_bytes : 0;
}

/** Length of the next piece of the job where there is so much room. */
static uint64_t piece_length(const struct segue_prepack_upload *upload, uint64_t room_bytes)
{
    const uint64_t rest_bytes = upload->job.length_bytes - upload->job_offset_bytes;
    uint64_t piece_bytes = smaller(room_bytes, rest_bytes);
    piece_bytes = smaller(piece_bytes, segue_prepack_stream_limit_bytes(upload->stream));
    if (upload->job.bytes.entry != NULL)
        piece_bytes = whole_chunks(upload->job.offset_bytes + upload->job_offset_bytes, piece_bytes,
                                   rest_bytes);
    return piece_bytes;
}

/** Room that the next piece of the job should have, so that what is checked is read as whole
 * chunks; slots may be too small for that. */
static uint64_t least_room(const struct segue_prepack_upload *upload)
{
    const struct segue_prepack_job *job = &upload->job;
    if (job->bytes.entry == NULL || job->bytes.is_unchecked)
        return 1;
    const uint64_t offset_bytes = job->offset_bytes + upload->job_offset_bytes;
    uint64_t least_bytes = SEGUE_PACKED_CHUNK_BYTES - offset_bytes % SEGUE_PACKED_CHUNK_BYTES;
    least_bytes = smaller(least_bytes, job->length_bytes - upload->job_offset_bytes);
    least_bytes = smaller(least_bytes, segue_prepack_stream_limit_bytes(upload->stream));
    return smaller(least_bytes, upload->slots.ring->slot_bytes);
}

/** Whether a piece is to be checked and is not whole chunks. */
static bool is_part(const struct segue_prepack_job *job, uint64_t offset_bytes,
                    uint64_t length_bytes)
{
    const uint64_t end_bytes = offset_bytes + length_bytes;
    return job->bytes.entry != NULL && !job->bytes.is_unchecked &&
           (offset_bytes % SEGUE_PACKED_CHUNK_BYTES != 0 ||
            (end_bytes % SEGUE_PACKED_CHUNK_BYTES != 0 && end_bytes != job->bytes.size_bytes));
}

static struct flight *add_flight(struct segue_prepack_upload *upload)
{
    struct flight *flight =
        &upload->flights[(upload->flight_first + upload->flight_count++) % WINDOW];
    flight->job = upload->job;
    flight->number = upload->job_number;
    flight->piece.length_bytes = 0;
    flight->is_part = false;
    return flight;
}

/** Sends the next piece of the job on its way; false where there is no room for it now. */
static segue_status send_piece(struct segue_prepack_upload *upload, bool *out_sent)
{
    struct segue_prepack_slots *slots = &upload->slots;
    *out_sent = false;
    segue_status status = segue_prepack_slots_lease(slots);
    if (status != SEGUE_OK)
        return status;
    uint64_t place_bytes = 0;
    const int direct_fd = find_direct(upload, &place_bytes);
    if (direct_fd >= 0)
        slots->wanted_count = slots->ring->capacity;
    uint64_t at_bytes = 0;
    uint64_t room_bytes = find_room(upload, direct_fd >= 0, place_bytes, &at_bytes);
    const uint64_t least_bytes = least_room(upload);
    if (room_bytes < least_bytes) {
        status = segue_prepack_slots_next(slots, least_bytes, out_sent);
        if (status != SEGUE_OK || !*out_sent)
            return status;
        room_bytes = find_room(upload, direct_fd >= 0, place_bytes, &at_bytes);
    }
    struct segue_prepack_slot *slot = &slots->items[slots->current];
    const uint64_t offset_bytes = upload->job.offset_bytes + upload->job_offset_bytes;
    const uint64_t piece_bytes = piece_length(upload, room_bytes);
    struct flight *flight = add_flight(upload);
    flight->is_part = is_part(&upload->job, offset_bytes, piece_bytes);
    flight->slot = slots->current;
    flight->slot_offset_bytes = at_bytes;
    flight->piece.bytes = upload->job.bytes;
    flight->piece.bytes.is_unchecked |= flight->is_part;
    flight->piece.offset_bytes = offset_bytes;
    flight->piece.data = slots->ring->slots[slots->current].data + at_bytes;
    flight->piece.length_bytes = (size_t)piece_bytes;
    flight->piece.direct_fd = direct_fd;
    flight->piece.place_bytes = place_bytes;
    upload->job_offset_bytes += piece_bytes;
    flight->is_last = upload->job_offset_bytes == upload->job.length_bytes;
    upload->has_job = !flight->is_last;
    slot->flight_count++;
    slot->used_bytes =
        round_up(at_bytes + piece_bytes, direct_fd >= 0 ? SEGUE_PREPACK_SECTOR_BYTES : 1);
    upload->sent_bytes += piece_bytes;
    if (upload->stats.first_read_ns == 0)
        upload->stats.first_read_ns = segue_pack_now_ns();
    segue_prepack_readers_add(upload->readers, &flight->piece);
    *out_sent = true;
    return SEGUE_OK;
}

/** Whether more is to be sent on its way. Before anything is submitted, only what is submitted
 *  first: the rest would only delay it. */
static bool has_room(const struct segue_prepack_upload *upload)
{
    return upload->flight_count == 0 ||
           (upload->flight_count < WINDOW &&
            (segue_prepack_stream_has_copied(upload->stream) ||
             upload->sent_bytes < segue_prepack_stream_limit_bytes(upload->stream)));
}

/** Sends pieces on their way as long as there are some and there is room. */
static segue_status send_pieces(struct segue_prepack_upload *upload)
{
    segue_status status = SEGUE_OK;
    bool sent = true;
    while (status == SEGUE_OK && sent && has_room(upload)) {
        if (!upload->has_job) {
            status = upload->owner.next(upload->owner.context, &upload->job, &upload->has_job);
            upload->job_number++;
            upload->job_offset_bytes = 0;
        }
        if (status != SEGUE_OK || !upload->has_job)
            break;
        if (upload->job.length_bytes == 0) {
            add_flight(upload)->is_last = true;
            upload->has_job = false;
        } else {
            status = send_piece(upload, &sent);
        }
    }
    return status;
}

/** The oldest piece is not on its way any more. */
static void take_off_list(struct segue_prepack_upload *upload, const struct flight *flight)
{
    upload->flight_first = (upload->flight_first + 1) % WINDOW;
    upload->flight_count--;
    if (flight->piece.length_bytes != 0)
        upload->slots.items[flight->slot].flight_count--;
}

/** Checks a piece that the readers have not; an error becomes one of the piece. */
static void check_part(struct segue_prepack_upload *upload, struct flight *flight)
{
    struct segue_prepack_piece *piece = &flight->piece;
    const segue_status status =
        segue_packed_entry_check_part(flight->job.bytes.entry, upload->part, piece->offset_bytes,
                                      piece->data, piece->length_bytes);
    if (status == SEGUE_OK)
        return;
    piece->error = *segue_last_error();
    piece->error.status = status;
}

/** Records the copy of a piece that has arrived. */
static segue_status copy_piece(struct segue_prepack_upload *upload, const struct flight *flight)
{
    const struct segue_prepack_job *job = &flight->job;
    const struct segue_prepack_piece *piece = &flight->piece;
    const struct segue_buffer_ref from = {.buffer = upload->slots.ring->slots[flight->slot].buffer,
                                          .offset_bytes = flight->slot_offset_bytes,
                                          .length_bytes = piece->length_bytes};
    struct segue_buffer_ref to = {.buffer = job->target,
                                  .offset_bytes = job->target_offset_bytes + piece->offset_bytes -
                                                  job->offset_bytes,
                                  .length_bytes = piece->length_bytes};
    segue_status status = upload->owner.arrived(upload->owner.context, job, piece->offset_bytes,
                                                piece->data, piece->length_bytes);
    if (status == SEGUE_OK && to.buffer == NULL)
        status = upload->owner.locate(upload->owner.context, job, &to.buffer);
    if (status == SEGUE_OK)
        status = segue_prepack_stream_copy(upload->stream, from, to, job->after);
    if (status == SEGUE_OK)
        upload->slots.items[flight->slot].increment =
            segue_prepack_stream_increment(upload->stream);
    return status;
}

/** A job's bytes could not be read. Its other pieces arrive before the owner hears of it and,
 * maybe, gives up what they are read from. */
static segue_status give_up_job(struct segue_prepack_upload *upload, const struct flight *failed)
{
    const uint64_t number = failed->number;
    upload->void_number = number;
    if (upload->job_number == number)
        upload->has_job = false;
    for (uint32_t i = 0; i < upload->flight_count; i++) {
        struct flight *flight = &upload->flights[(upload->flight_first + i) % WINDOW];
        if (flight->number == number && flight->piece.length_bytes != 0)
            (void)segue_prepack_readers_wait(upload->readers, &flight->piece, UINT64_MAX);
    }
    const segue_status status = segue_prepack_readers_raise(&failed->piece);
    return upload->owner.failed(upload->owner.context, &failed->job, status);
}

/** Waits for the oldest piece and copies it, or until what is recorded becomes too old. */
static segue_status land(struct segue_prepack_upload *upload)
{
    struct flight *flight = &upload->flights[upload->flight_first];
    segue_status status = SEGUE_OK;
    if (flight->piece.length_bytes != 0) {
        const uint64_t start_ns = segue_pack_now_ns();
        const bool is_done = segue_prepack_readers_wait(
            upload->readers, &flight->piece, segue_prepack_stream_deadline(upload->stream));
        upload->stats.read_wait_ns += segue_pack_now_ns() - start_ns;
        if (!is_done)
            return segue_prepack_stream_flush(upload->stream);
    }
    take_off_list(upload, flight);
    if (flight->number == upload->void_number)
        return SEGUE_OK;
    if (flight->is_part && flight->piece.error.status == SEGUE_OK)
        check_part(upload, flight);
    if (flight->piece.length_bytes != 0 && flight->piece.error.status != SEGUE_OK)
        return give_up_job(upload, flight);
    if (flight->piece.length_bytes != 0)
        status = copy_piece(upload, flight);
    if (status == SEGUE_OK && flight->is_last)
        status = upload->owner.ended(upload->owner.context, &flight->job);
    if (status == SEGUE_OK)
        status = segue_prepack_stream_submit_if_due(upload->stream);
    return status;
}

segue_status segue_prepack_upload_pump(struct segue_prepack_upload *upload, bool *out_idle)
{
    *out_idle = false;
    segue_status status = send_pieces(upload);
    if (status != SEGUE_OK)
        return status;
    if (upload->flight_count != 0)
        return land(upload);
    if (!upload->has_job) {
        *out_idle = true;
        return SEGUE_OK;
    }
    // All slots are being copied, or wait for it.
    const struct segue_prepack_slots *slots = &upload->slots;
    return segue_prepack_stream_wait_copied(upload->stream, slots->items[slots->awaited].increment);
}

void segue_prepack_upload_get_stats(const struct segue_prepack_upload *upload,
                                    struct segue_prepack_upload_stats *out_stats)
{
    struct segue_prepack_reader_stats readers;
    segue_prepack_readers_get_stats(upload->readers, &readers);
    *out_stats = upload->stats;
    out_stats->staging_bytes = upload->slots.peak_bytes;
    out_stats->unpinned_count = upload->slots.unpinned_count;
    out_stats->node = upload->slots.node;
    out_stats->pin_ns = upload->slots.pin_ns;
    out_stats->read_ns = readers.read_ns;
    out_stats->cached_bytes = readers.cached_bytes;
    out_stats->direct_bytes = readers.direct_bytes;
    out_stats->fallback_count = readers.fallback_count;
    out_stats->refusal_count = readers.refusal_count;
}
