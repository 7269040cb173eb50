// SPDX-License-Identifier: Apache-2.0
/**
 * @file readers.h
 * Threads that read: pieces of uploads are cut into units, which the threads, and whoever waits for
 * a piece, take in order. So a piece that is waited for is read by all of them at once, and the
 * next ones are under way. Units that are to be read past the page cache are taken several at a
 * time and read by io_uring, where the kernel lets one.
 */
#ifndef SEGUE_PREPACK_READERS_H
#define SEGUE_PREPACK_READERS_H

#include "bytes.h"

/** A piece that is being read. The memory belongs to whoever added it, until it was waited for. */
struct segue_prepack_piece {
    struct segue_prepack_bytes bytes;
    uint64_t offset_bytes;
    unsigned char *data;
    size_t length_bytes;
    /** Open for O_DIRECT, then also: the place of the piece in the file. Data has the same place in
     *  its sector as the piece has, and belongs to it with whole sectors. -1: any other way. */
    int direct_fd;
    uint64_t place_bytes;

    /** The rest belongs to the readers. */
    struct segue_prepack_piece *next;
    /** Where the next unit begins, and units that are not done. */
    size_t taken_bytes;
    uint32_t units_left;
    /** The first failure of a unit. */
    struct segue_error error;
};

/** Counts of readers; times are summed over threads. */
struct segue_prepack_reader_stats {
    uint64_t read_ns;
    uint64_t cached_bytes;
    uint64_t direct_bytes;
    /** Units that were to be read past the page cache and were not. */
    uint64_t fallback_count;
    /** Threads that got no io_uring. */
    uint64_t refusal_count;
};

struct segue_prepack_readers;

/** Starts up to `thread_count` threads: as many as can be started; 0 is fine. NULL when out of
 *  memory. */
struct segue_prepack_readers *segue_prepack_readers_create(uint32_t thread_count);
/** Ends the threads. No piece may be under way. NULL is fine. */
void segue_prepack_readers_destroy(struct segue_prepack_readers *readers);

/** Puts a piece behind those that are under way. It has bytes. */
void segue_prepack_readers_add(struct segue_prepack_readers *readers,
                               struct segue_prepack_piece *piece);
/** Reads along until the piece is done, well or not; false where others are still at it when the
 *  time has come (segue_pack_now_ns; UINT64_MAX: never). One thread. */
bool segue_prepack_readers_wait(struct segue_prepack_readers *readers,
                                struct segue_prepack_piece *piece, uint64_t deadline_ns);
/** The failure of a piece that is done, raised again on this thread. */
segue_status segue_prepack_readers_raise(const struct segue_prepack_piece *piece);
/** Forgets all pieces, once nothing is read into their memory any more. */
void segue_prepack_readers_drop(struct segue_prepack_readers *readers);

void segue_prepack_readers_get_stats(struct segue_prepack_readers *readers,
                                     struct segue_prepack_reader_stats *out_stats);

#endif // SEGUE_PREPACK_READERS_H
