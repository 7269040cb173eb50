// SPDX-License-Identifier: Apache-2.0
/**
 * @file writer.h
 * A generation in the making, and what it replaces.
 */
#ifndef SEGUE_PREPACK_WRITER_H
#define SEGUE_PREPACK_WRITER_H

#include "cache.h"

/** An array that grows. */
struct segue_pack_array {
    void *items;
    size_t count;
    size_t capacity;
};

struct segue_packed_writer {
    segue_packed_cache *cache;
    /** Held from begin to publish or abandon; fd -1 where another writer holds it. */
    struct segue_pack_lock lock;
    /** Leftovers removed when the lock was taken. */
    uint64_t removed_files;
    /** -1 and "" before the first tensor. */
    int fd;
    char temporary_name[SEGUE_PACK_NAME_BYTES];
    struct segue_pack_header header;
    /** Where the next tensor begins. */
    uint64_t offset_bytes;
    /** struct segue_pack_entry, struct segue_pack_chunk, pairs of digests, uint64_t, char. */
    struct segue_pack_array entries;
    struct segue_pack_array chunks;
    struct segue_pack_array sources;
    struct segue_pack_array replaced;
    struct segue_pack_array strings;
    /** The tensor that is open: bytes taken so far, and its digest. An XXH3_state_t. */
    bool open;
    uint64_t taken_bytes;
    void *content_state;
    /** One chunk, and how much of it is filled. */
    unsigned char *chunk;
    size_t chunk_used_bytes;
    /** A write failed: nothing more is taken, nothing published. */
    bool failed;
};

/** One pair in `sources`. */
struct segue_pack_source {
    struct segue_packed_digest identity;
    struct segue_packed_digest content;
};

/** A writer without the lock, for a folder whose lock is held. NULL when out of memory. */
segue_packed_writer *segue_packed_writer_create(segue_packed_cache *cache);

/** The same as segue_packed_writer_add, for a tensor that was made at another time. */
segue_status segue_packed_writer_add_at(segue_packed_writer *writer,
                                        const struct segue_packed_tensor *tensor,
                                        uint64_t created_ns);

/** Forgets the tensor that was added last, whether or not it is complete. */
void segue_packed_writer_drop_last(segue_packed_writer *writer);

/** Notes that the generation replaces another one. */
segue_status segue_packed_writer_add_replaced(segue_packed_writer *writer, uint64_t generation);

/** Writes index and footer and gives the file its name: the cache does not know it yet. The writer
 *  has nothing more to do but be destroyed. */
segue_status segue_packed_writer_commit(segue_packed_writer *writer);

/** Removes what was not committed, gives up the lock and the writer. */
void segue_packed_writer_destroy(segue_packed_writer *writer);

#endif // SEGUE_PREPACK_WRITER_H
