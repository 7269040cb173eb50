// SPDX-License-Identifier: Apache-2.0
/**
 * @file cache.h
 * The objects behind segue/packed_cache.h.
 */
#ifndef SEGUE_PREPACK_CACHE_H
#define SEGUE_PREPACK_CACHE_H

#include "pack_file.h"

#include <pthread.h>

/** Counted: the caller's handle, plus one per entry and writer. */
struct segue_packed_cache {
    atomic_uint references;
    struct segue_packed_cache_params params;
    /** Owned; params.path is the same. */
    char *path;
    int folder_fd;
    /** Varies which chunks are sampled. */
    uint64_t seed;

    /** Guards all below. */
    pthread_mutex_t lock;
    /** All that count, the latest generation first. */
    struct segue_pack **packs;
    uint32_t pack_count;
    /** Largest generation that any name in the folder stands for. */
    uint64_t last_generation;
    struct segue_packed_cache_stats stats;
};

struct segue_packed_entry {
    segue_packed_cache *cache;
    struct segue_pack *pack;
    /** Index in the pack. */
    uint32_t at;
    struct segue_pack_entry record;
};

void segue_packed_cache_release(segue_packed_cache *cache);

/** A line for the cache's log. */
void segue_packed_cache_log(const segue_packed_cache *cache, enum segue_log_level level,
                            const char *format, ...) SEGUE_PRINTF(3, 4);

/** A handle on an entry; NULL when out of memory. Takes references of its own. */
segue_packed_entry *segue_packed_entry_create(segue_packed_cache *cache, struct segue_pack *pack,
                                              uint32_t at);

/** segue_packed_cache_find by a caller that has missed before: a miss does not count again, nor is
 * it an error of a strict cache. */
segue_status segue_packed_cache_find_again(segue_packed_cache *cache,
                                           const struct segue_packed_key *key,
                                           segue_packed_entry **out_entry);

/** segue_packed_entry_read without looking at checksums; the range must be within the entry. */
segue_status segue_packed_entry_read_unchecked(segue_packed_entry *entry, uint64_t offset_bytes,
                                               void *data, size_t length_bytes);

/** The same for bytes that are there already, read in another way: counts them and, where `checks`,
 *  looks at the checksums as segue_packed_entry_read does. The range is whole chunks then. */
segue_status segue_packed_entry_accept(segue_packed_entry *entry, uint64_t offset_bytes,
                                       const void *data, size_t length_bytes, bool checks);

/** The checksum of a chunk whose bytes come in several parts. One thread at a time. */
struct segue_packed_part;
/** NULL when out of memory. */
struct segue_packed_part *segue_packed_part_create(void);
/** NULL is fine. */
void segue_packed_part_destroy(struct segue_packed_part *part);

/** Looks at bytes that were read without a check, as segue_packed_entry_read would: the parts of a
 *  chunk come one after the other, from its first byte on, and the last one tells.
 *  @return SEGUE_MISMATCH where the chunk does not match its checksum. */
segue_status segue_packed_entry_check_part(segue_packed_entry *entry,
                                           struct segue_packed_part *part, uint64_t offset_bytes,
                                           const void *data, size_t length_bytes);

/** What was found in the folder, by its state. */
struct segue_pack_scan {
    /** The latest generation first. Owned. */
    struct segue_pack **packs;
    uint32_t pack_count;
    /** Names of files that nobody needs: invalid or replaced generations, times of use without a
     *  generation, temporary files. Owned. */
    char (*garbage)[SEGUE_PACK_NAME_BYTES];
    uint32_t garbage_count;
    uint64_t last_generation;
    uint64_t invalid_files;
};

/** Reads the folder anew, keeping packs of `cache` that are still there. Called with the cache's
 *  lock held. */
segue_status segue_pack_scan_folder(segue_packed_cache *cache, struct segue_pack_scan *out_scan);
void segue_pack_scan_free(struct segue_pack_scan *scan);

/** segue_packed_cache_refresh; `out_scan` (NULL: not wanted) keeps the garbage. Called with the
 *  lock held. */
segue_status segue_packed_cache_rescan(segue_packed_cache *cache, struct segue_pack_scan *out_scan);

/** One entry that can be found. */
struct segue_packed_live {
    struct segue_pack *pack;
    uint32_t at;
    uint64_t size_bytes;
    /** The latest of its creation and its last use. */
    uint64_t used_s;
};

/** All entries that can be found; the array is the caller's to free. Called with the lock held. */
segue_status segue_packed_cache_list_live(segue_packed_cache *cache,
                                          struct segue_packed_live **out_live, uint32_t *out_count);

/** Sum of the sizes of all files that count. Called with the lock held. */
uint64_t segue_packed_cache_file_bytes(const segue_packed_cache *cache);

/** segue_packed_cache_gc with the folder's lock held and the cache refreshed; keeps both.
 *  @param lazy  leave files alone that would become only a little smaller, unless for their size.
 */
segue_status segue_packed_cache_collect(segue_packed_cache *cache,
                                        const struct segue_packed_gc_params *params, bool lazy,
                                        struct segue_packed_gc_result *out_result);

#endif // SEGUE_PREPACK_CACHE_H
