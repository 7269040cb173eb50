// SPDX-License-Identifier: Apache-2.0
/**
 * @file readers.h
 * Threads that read: pieces of uploads are cut into units, which the threads, and whoever waits for
 * a piece, take in order. So a piece that is waited for is read by all of them at once, and the
 * next ones are under way.
 */
#ifndef SEGUE_PREPACK_READERS_H
#define SEGUE_PREPACK_READERS_H

#include "bytes.h"

/** A piece that is being read. The memory belongs to whoever added it, until it was waited for. */
struct segue_prepack_piece {
    const struct segue_prepack_bytes *bytes;
    uint64_t offset_bytes;
    unsigned char *data;
    size_t length_bytes;

    /** The rest belongs to the readers. */
    struct segue_prepack_piece *next;
    /** Where the next unit begins, and units that are not done. */
    size_t taken_bytes;
    uint32_t units_left;
    /** The first failure of a unit. */
    struct segue_error error;
};

struct segue_prepack_readers;

/** Starts up to `thread_count` threads: as many as can be started; 0 is fine. NULL when out of
 *  memory. */
struct segue_prepack_readers *segue_prepack_readers_create(uint32_t thread_count);
/** Ends the threads. No piece may be under way. NULL is fine. */
void segue_prepack_readers_destroy(struct segue_prepack_readers *readers);

/** Puts a piece behind those that are under way. */
void segue_prepack_readers_add(struct segue_prepack_readers *readers,
                               struct segue_prepack_piece *piece);
/** Reads along until the piece is done, well or not. Raises nothing, but reading along may. */
void segue_prepack_readers_finish(struct segue_prepack_readers *readers,
                                  struct segue_prepack_piece *piece);
/** The same. @return its failure, raised again on this thread. */
segue_status segue_prepack_readers_wait(struct segue_prepack_readers *readers,
                                        struct segue_prepack_piece *piece);

#endif // SEGUE_PREPACK_READERS_H
