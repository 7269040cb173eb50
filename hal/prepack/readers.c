// SPDX-License-Identifier: Apache-2.0
#include "readers.h"

#include "error.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

/** Read at a time: small enough to spread a piece, large enough to be worth a lock. */
#define UNIT_BYTES (256u << 10)

struct segue_prepack_readers {
    pthread_mutex_t lock;
    /** There is a unit to take; a piece is done; it is over. */
    pthread_cond_t has_work;
    pthread_cond_t is_done;
    bool ends;
    /** Pieces with units that nobody has taken, in order. */
    struct segue_prepack_piece *first;
    struct segue_prepack_piece *last;
    uint32_t thread_count;
    pthread_t threads[];
};

/** A part of a piece. */
struct unit {
    struct segue_prepack_piece *piece;
    size_t begin_bytes;
    size_t length_bytes;
};

/** Length of the unit that begins there. What the cache verifies is read chunk by chunk. */
static size_t unit_length(const struct segue_prepack_piece *piece, size_t begin_bytes)
{
    const size_t rest_bytes = piece->length_bytes - begin_bytes;
    size_t length_bytes = UNIT_BYTES;
    if (piece->bytes->entry != NULL)
        length_bytes = SEGUE_PACKED_CHUNK_BYTES -
                       (size_t)((piece->offset_bytes + begin_bytes) % SEGUE_PACKED_CHUNK_BYTES);
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
    if (piece->taken_bytes == piece->length_bytes) {
        readers->first = piece->next;
        if (readers->first == NULL)
            readers->last = NULL;
    }
    return true;
}

/** Reads a unit; the lock is held before and after, and given up meanwhile. */
static void read_unit(struct segue_prepack_readers *readers, const struct unit *unit)
{
    struct segue_prepack_piece *piece = unit->piece;
    (void)pthread_mutex_unlock(&readers->lock);
    const segue_status status =
        segue_prepack_bytes_read(piece->bytes, piece->offset_bytes + unit->begin_bytes,
                                 piece->data + unit->begin_bytes, unit->length_bytes);
    (void)pthread_mutex_lock(&readers->lock);
    if (status != SEGUE_OK && piece->error.status == SEGUE_OK) {
        piece->error = *segue_last_error();
        piece->error.status = status;
    }
    if (--piece->units_left == 0)
        (void)pthread_cond_broadcast(&readers->is_done);
}

static void *run(void *context)
{
    struct segue_prepack_readers *readers = context;
    (void)pthread_mutex_lock(&readers->lock);
    while (!readers->ends) {
        struct unit unit;
        if (take_unit(readers, &unit))
            read_unit(readers, &unit);
        else
            (void)pthread_cond_wait(&readers->has_work, &readers->lock);
    }
    (void)pthread_mutex_unlock(&readers->lock);
    return NULL;
}

struct segue_prepack_readers *segue_prepack_readers_create(uint32_t thread_count)
{
    struct segue_prepack_readers *readers =
        calloc(1, sizeof(*readers) + thread_count * sizeof(readers->threads[0]));
    if (readers == NULL)
        return NULL;
    (void)pthread_mutex_init(&readers->lock, NULL);
    (void)pthread_cond_init(&readers->has_work, NULL);
    (void)pthread_cond_init(&readers->is_done, NULL);
    // Signals are the program's business, not that of these threads.
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    while (readers->thread_count < thread_count &&
           pthread_create(&readers->threads[readers->thread_count], NULL, run, readers) == 0)
        readers->thread_count++;
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
    for (uint32_t i = 0; i < readers->thread_count; i++)
        (void)pthread_join(readers->threads[i], NULL);
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
    if (readers->thread_count != 0)
        (void)pthread_cond_broadcast(&readers->has_work);
    (void)pthread_mutex_unlock(&readers->lock);
}

void segue_prepack_readers_finish(struct segue_prepack_readers *readers,
                                  struct segue_prepack_piece *piece)
{
    (void)pthread_mutex_lock(&readers->lock);
    while (piece->units_left != 0) {
        struct unit unit;
        if (take_unit(readers, &unit))
            read_unit(readers, &unit);
        else
            (void)pthread_cond_wait(&readers->is_done, &readers->lock);
    }
    (void)pthread_mutex_unlock(&readers->lock);
}

segue_status segue_prepack_readers_wait(struct segue_prepack_readers *readers,
                                        struct segue_prepack_piece *piece)
{
    segue_prepack_readers_finish(readers, piece);
    const struct segue_error *error = &piece->error;
    return error->status == SEGUE_OK
               ? SEGUE_OK
               : segue_report_error(NULL, error->status, error->file, error->line, error->message);
}
