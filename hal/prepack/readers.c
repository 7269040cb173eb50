// SPDX-License-Identifier: Apache-2.0
#include "readers.h"

#include "error.h"
#include "files.h"
#include "pinned.h"
#include "uring.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

/** Read at a time: small enough to spread a piece, large enough to be worth a lock. */
#define UNIT_BYTES (256u << 10)
/** Units that a thread reads at a time past the page cache. A power of two. */
#define DEPTH 8u

/** A part of a piece. */
struct unit {
    struct segue_prepack_piece *piece;
    size_t begin_bytes;
    size_t length_bytes;
};

/** What a thread has for itself. */
struct reader {
    struct segue_prepack_uring *ring;
    bool was_refused;
};

struct segue_prepack_readers {
    pthread_mutex_t lock;
    /** There is a unit to take; a piece is done, or nothing is read any more; it is over. */
    pthread_cond_t has_work;
    pthread_cond_t is_done;
    bool ends;
    /** Pieces with units that nobody has taken, in order; and units that are being read. */
    struct segue_prepack_piece *first;
    struct segue_prepack_piece *last;
    uint32_t busy_count;
    struct segue_prepack_reader_stats stats;
    /** Of the thread that waits. */
    struct reader waiter;
    /** As many as are to be started; the first one starts the others, so that nobody waits for it:
     *  thread_count is its own until it has ended. */
    uint32_t wanted_count;
    bool has_first;
    uint32_t thread_count;
    pthread_t threads[];
};

/** Length of the unit that begins there. What the cache verifies is read chunk by chunk; what is
 *  read past the page cache in units that begin with a sector, but for the first. */
static size_t unit_length(const struct segue_prepack_piece *piece, size_t begin_bytes)
{
    const size_t rest_bytes = piece->length_bytes - begin_bytes;
    size_t length_bytes = UNIT_BYTES;
    if (piece->bytes.entry != NULL)
        length_bytes = SEGUE_PACKED_CHUNK_BYTES -
                       (size_t)((piece->offset_bytes + begin_bytes) % SEGUE_PACKED_CHUNK_BYTES);
    else if (piece->direct_fd >= 0)
        length_bytes = UNIT_BYTES - (size_t)((piece->place_bytes + begin_bytes) % UNIT_BYTES);
    return length_bytes < rest_bytes ? length_bytes : rest_bytes;
}

/** Takes the next unit of the first piece that has one. Called with the lock held. */
static bool take_unit(struct segue_prepack_readers *readers, struct unit *out_unit)
{
    struct segue_prepack_piece *piece = readers->first;
    if (piece == NULL)
        return false;
    *out_unit = (struct unit){piece, piece->taken_bytes, unit_length(piece, piece->taken_bytes)};
    piece->taken_bytes += out_unit->length_bytes;
    readers->busy_count++;
    if (piece->taken_bytes == piece->length_bytes) {
        readers->first = piece->next;
        if (readers->first == NULL)
            readers->last = NULL;
    }
    return true;
}

/** Takes one unit, or several to be read past the page cache. */
static uint32_t take_units(struct segue_prepack_readers *readers, struct unit units[DEPTH])
{
    uint32_t count = 0;
    while (count < DEPTH && take_unit(readers, &units[count])) {
        count++;
        if (units[0].piece->direct_fd < 0 || readers->first == NULL ||
            readers->first->direct_fd < 0)
            break;
    }
    return count;
}

/** The sectors of a unit. */
static struct segue_prepack_uring_read direct_read_of(const struct unit *unit)
{
    const struct segue_prepack_piece *piece = unit->piece;
    const uint64_t begin_bytes = piece->place_bytes + unit->begin_bytes;
    const uint64_t end_bytes = begin_bytes + unit->length_bytes;
    const uint64_t before_bytes = begin_bytes % SEGUE_PREPACK_SECTOR_BYTES;
    const uint64_t after_bytes =
        (SEGUE_PREPACK_SECTOR_BYTES - end_bytes % SEGUE_PREPACK_SECTOR_BYTES) %
        SEGUE_PREPACK_SECTOR_BYTES;
    return (struct segue_prepack_uring_read){
        .fd = piece->direct_fd,
        .data = piece->data + unit->begin_bytes - before_bytes,
        .length_bytes = (uint32_t)(before_bytes + unit->length_bytes + after_bytes),
        .offset_bytes = begin_bytes - before_bytes,
    };
}

/** Reads units past the page cache. The result of each is in `reads`. Returns whether a ring was
 *  refused just now. */
static bool read_direct(struct reader *reader, const struct unit *units, uint32_t count,
                        struct segue_prepack_uring_read reads[DEPTH])
{
    bool refused = false;
    for (uint32_t i = 0; i < count; i++)
        reads[i] = direct_read_of(&units[i]);
    if (reader->ring == NULL && !reader->was_refused) {
        refused = segue_prepack_uring_create(DEPTH, &reader->ring) != 0;
        reader->was_refused = refused;
    }
    if (reader->ring != NULL && segue_prepack_uring_run(reader->ring, reads, count))
        return refused;
    if (reader->ring != NULL) {
        segue_prepack_uring_destroy(reader->ring);
        reader->ring = NULL;
        reader->was_refused = true;
        refused = true;
    }
    for (uint32_t i = 0; i < count; i++)
        reads[i].result = (int32_t)segue_pack_read_once(reads[i].fd, reads[i].offset_bytes,
                                                        reads[i].data, reads[i].length_bytes);
    return refused;
}

/** Whether a unit's bytes are there after a read of its sectors; the last sector may end early. */
static bool is_complete(const struct unit *unit, const struct segue_prepack_uring_read *read)
{
    const uint64_t end_bytes =
        unit->piece->place_bytes + unit->begin_bytes + unit->length_bytes - read->offset_bytes;
    return read->result >= 0 && (uint64_t)read->result >= end_bytes;
}

/** Reads a unit that is read in the usual way, or could not be read past the page cache, which then
 *  says why. Returns its status. */
static segue_status read_unit(const struct unit *unit, bool is_there)
{
    const struct segue_prepack_piece *piece = unit->piece;
    const uint64_t offset_bytes = piece->offset_bytes + unit->begin_bytes;
    unsigned char *data = piece->data + unit->begin_bytes;
    return is_there
               ? segue_prepack_bytes_check(&piece->bytes, offset_bytes, data, unit->length_bytes)
               : segue_prepack_bytes_read(&piece->bytes, offset_bytes, data, unit->length_bytes);
}

static bool is_of_file(const struct segue_prepack_piece *piece)
{
    return piece->bytes.entry != NULL || piece->bytes.source->kind == SEGUE_PREPACK_FILE;
}

/** A unit is done. Called with the lock held. */
static void finish_unit(struct segue_prepack_readers *readers, const struct unit *unit,
                        segue_status status)
{
    struct segue_prepack_piece *piece = unit->piece;
    if (status != SEGUE_OK && piece->error.status == SEGUE_OK) {
        piece->error = *segue_last_error();
        piece->error.status = status;
    }
    readers->busy_count--;
    if (--piece->units_left == 0 || readers->busy_count == 0)
        (void)pthread_cond_broadcast(&readers->is_done);
}

/** Reads units; the lock is held before and after, and given up meanwhile. */
static void read_units(struct segue_prepack_readers *readers, struct reader *reader,
                       const struct unit *units, uint32_t count)
{
    (void)pthread_mutex_unlock(&readers->lock);
    const uint64_t start_ns = segue_pack_now_ns();
    struct segue_prepack_uring_read reads[DEPTH];
    const bool is_direct = units[0].piece->direct_fd >= 0;
    const bool refused = is_direct && read_direct(reader, units, count, reads);
    for (uint32_t i = 0; i < count; i++) {
        const bool is_there = is_direct && is_complete(&units[i], &reads[i]);
        const segue_status status = read_unit(&units[i], is_there);
        const uint64_t length_bytes = units[i].length_bytes;
        const bool is_cached = !is_there && is_of_file(units[i].piece);
        (void)pthread_mutex_lock(&readers->lock);
        readers->stats.cached_bytes += is_cached ? length_bytes : 0;
        readers->stats.direct_bytes += is_there ? length_bytes : 0;
        readers->stats.fallback_count += is_direct && !is_there;
        if (i + 1 == count) {
            readers->stats.read_ns += segue_pack_now_ns() - start_ns;
            readers->stats.refusal_count += refused;
        }
        finish_unit(readers, &units[i], status);
        if (i + 1 != count)
            (void)pthread_mutex_unlock(&readers->lock);
    }
}

static void *run(void *context)
{
    struct segue_prepack_readers *readers = context;
    struct reader reader = {0};
    (void)pthread_mutex_lock(&readers->lock);
    while (!readers->ends) {
        struct unit units[DEPTH];
        const uint32_t count = take_units(readers, units);
        if (count != 0)
            read_units(readers, &reader, units, count);
        else
            (void)pthread_cond_wait(&readers->has_work, &readers->lock);
    }
    (void)pthread_mutex_unlock(&readers->lock);
    segue_prepack_uring_destroy(reader.ring);
    return NULL;
}

static void *run_first(void *context)
{
    struct segue_prepack_readers *readers = context;
    readers->thread_count = 1;
    while (readers->thread_count < readers->wanted_count &&
           pthread_create(&readers->threads[readers->thread_count], NULL, run, readers) == 0)
        readers->thread_count++;
    return run(readers);
}

struct segue_prepack_readers *segue_prepack_readers_create(uint32_t thread_count)
{
    struct segue_prepack_readers *readers =
        calloc(1, sizeof(*readers) + thread_count * sizeof(readers->threads[0]));
    if (readers == NULL)
        return NULL;
    pthread_condattr_t clock;
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&readers->lock, NULL);
    (void)pthread_cond_init(&readers->has_work, NULL);
    (void)pthread_cond_init(&readers->is_done, &clock);
    (void)pthread_condattr_destroy(&clock);
    readers->wanted_count = thread_count;
    // Signals are the program's business, not that of these threads.
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    readers->has_first =
        thread_count != 0 && pthread_create(&readers->threads[0], NULL, run_first, readers) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return readers;
}

void segue_prepack_readers_destroy(struct segue_prepack_readers *readers)
{
    if (readers == NULL)
        return;
    (void)pthread_mutex_lock(&readers->lock);
    readers->ends = true;
    (void)pthread_cond_broadcast(&readers->has_work);
    (void)pthread_mutex_unlock(&readers->lock);
    if (readers->has_first)
        (void)pthread_join(readers->threads[0], NULL);
    for (uint32_t i = 1; i < readers->thread_count; i++)
        (void)pthread_join(readers->threads[i], NULL);
    segue_prepack_uring_destroy(readers->waiter.ring);
    (void)pthread_cond_destroy(&readers->is_done);
    (void)pthread_cond_destroy(&readers->has_work);
    (void)pthread_mutex_destroy(&readers->lock);
    free(readers);
}

void segue_prepack_readers_add(struct segue_prepack_readers *readers,
                               struct segue_prepack_piece *piece)
{
    piece->next = NULL;
    piece->taken_bytes = 0;
    piece->units_left = 0;
    piece->error.status = SEGUE_OK;
    for (size_t at = 0; at < piece->length_bytes; at += unit_length(piece, at))
        piece->units_left++;
    (void)pthread_mutex_lock(&readers->lock);
    if (readers->last != NULL)
        readers->last->next = piece;
    else
        readers->first = piece;
    readers->last = piece;
    // One unit needs one thread; the rest may sleep on.
    if (readers->has_first && piece->units_left == 1)
        (void)pthread_cond_signal(&readers->has_work);
    else if (readers->has_first)
        (void)pthread_cond_broadcast(&readers->has_work);
    (void)pthread_mutex_unlock(&readers->lock);
}

/** Waits for something to be done. False once the time has come. */
static bool wait_until(struct segue_prepack_readers *readers, uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX)
        return pthread_cond_wait(&readers->is_done, &readers->lock) == 0;
    const struct timespec time = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                                  .tv_nsec = (long)(deadline_ns % 1000000000u)};
    return pthread_cond_timedwait(&readers->is_done, &readers->lock, &time) == 0;
}

bool segue_prepack_readers_wait(struct segue_prepack_readers *readers,
                                struct segue_prepack_piece *piece, uint64_t deadline_ns)
{
    bool is_late = false;
    (void)pthread_mutex_lock(&readers->lock);
    while (piece->units_left != 0 && !is_late) {
        struct unit units[DEPTH];
        const uint32_t count = take_units(readers, units);
        if (count != 0)
            read_units(readers, &readers->waiter, units, count);
        else
            is_late = !wait_until(readers, deadline_ns);
    }
    const bool is_done = piece->units_left == 0;
    (void)pthread_mutex_unlock(&readers->lock);
    return is_done;
}

segue_status segue_prepack_readers_raise(const struct segue_prepack_piece *piece)
{
    const struct segue_error *error = &piece->error;
    return error->status == SEGUE_OK
               ? SEGUE_OK
               : segue_report_error(NULL, error->status, error->file, error->line, error->message);
}

void segue_prepack_readers_drop(struct segue_prepack_readers *readers)
{
    (void)pthread_mutex_lock(&readers->lock);
    readers->first = NULL;
    readers->last = NULL;
    while (readers->busy_count != 0)
        (void)pthread_cond_wait(&readers->is_done, &readers->lock);
    (void)pthread_mutex_unlock(&readers->lock);
}

void segue_prepack_readers_get_stats(struct segue_prepack_readers *readers,
                                     struct segue_prepack_reader_stats *out_stats)
{
    (void)pthread_mutex_lock(&readers->lock);
    *out_stats = readers->stats;
    (void)pthread_mutex_unlock(&readers->lock);
}
