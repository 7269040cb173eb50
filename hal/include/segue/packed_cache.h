// SPDX-License-Identifier: Apache-2.0
/**
 * @file packed_cache.h
 * The packed-weight cache: a folder of immutable files that hold tensors as the device wants them,
 * so that a second load copies and does not pack. docs/packed-cache-format.md describes the files.
 * Part of libsegue_prepack. The plan of prepack.h uses it; it may also be used by hand.
 *
 * Files are untrusted: every offset and length in them is checked, and every byte that is served
 * has a checksum. Any number of processes may read and build in one folder. A cache object may be
 * used from several threads at once; a writer by one.
 */
#ifndef SEGUE_PACKED_CACHE_H
#define SEGUE_PACKED_CACHE_H

#include <segue/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Size of a digest (XXH3, 128 bits, canonical form). */
#define SEGUE_PACKED_DIGEST_BYTES 16
/** Packed tensors begin at multiples of this in their file, so that O_DIRECT may read them. */
#define SEGUE_PACKED_ALIGN_BYTES 4096
/** Bytes of a tensor that share a checksum. */
#define SEGUE_PACKED_CHUNK_BYTES (1u << 20)
/** Longest model or tensor name. */
#define SEGUE_PACKED_MAX_NAME_BYTES 1023

/** A digest; equal digests stand for equal content. */
struct segue_packed_digest {
    unsigned char bytes[SEGUE_PACKED_DIGEST_BYTES];
};

/** The digest of `size_bytes` bytes. */
SEGUE_API void segue_packed_digest_bytes(const void *data, size_t size_bytes,
                                         struct segue_packed_digest *out_digest);

/** All that the packed bytes of a tensor depend on. Two loads that differ in any of it never share
 *  an entry. */
struct segue_packed_key {
    /** Of every packed input with its shape and dtype, in order. */
    struct segue_packed_digest inputs;
    /** Of the packing parameters: constants, grid, entry point. */
    struct segue_packed_digest parameters;
    /** Of what the packer made of its probe: a changed packer has another one. */
    struct segue_packed_digest fingerprint;
    /** The layout that the packer makes. 0: bytes as they are. */
    uint32_t layout_id;
    uint32_t layout_version;
    /** Compute capability as major * 10 + minor, the software driver with 1000 added. 0: any. */
    uint32_t architecture;
};

/** Why there was no entry to serve. */
enum segue_packed_miss {
    /** No entry of that model and tensor name. */
    SEGUE_PACKED_MISS_ABSENT = 0,
    /** There is one of that name, of other input bytes, shapes or dtypes. */
    SEGUE_PACKED_MISS_INPUTS = 1,
    /** … in another layout or version of it. */
    SEGUE_PACKED_MISS_LAYOUT = 2,
    /** … packed with other parameters. */
    SEGUE_PACKED_MISS_PARAMETERS = 3,
    /** … for another architecture. */
    SEGUE_PACKED_MISS_ARCHITECTURE = 4,
    /** … by a packer with another fingerprint. */
    SEGUE_PACKED_MISS_PACKER = 5,
    /** There is one, and its bytes do not match their checksums. */
    SEGUE_PACKED_MISS_CORRUPT = 6,
    SEGUE_PACKED_MISS_COUNT = 7,
};

/** "absent", "inputs" and so on; "?" for an unknown value. */
SEGUE_API const char *segue_packed_miss_name(enum segue_packed_miss miss);

/** How much of what is served is held against its checksums. */
enum segue_packed_verification {
    /** The first and the last chunk of each tensor, and one in 16 of the others at random. */
    SEGUE_PACKED_VERIFY_SAMPLED = 0,
    SEGUE_PACKED_VERIFY_FULL = 1,
    SEGUE_PACKED_VERIFY_OFF = 2,
};

/** How a cache behaves. Bits. */
enum segue_packed_cache_flags {
    /** Nothing is created, written or locked, and no use is noted. */
    SEGUE_PACKED_CACHE_READ_ONLY = 1u << 0,
    /** Accept a folder or files that other users may write. */
    SEGUE_PACKED_CACHE_SHARED_FOLDER = 1u << 1,
    /** Whatever would be packed although there is a cache is an error: a miss, a stale or corrupt
     *  entry, a build that cannot be published. */
    SEGUE_PACKED_CACHE_STRICT = 1u << 2,
    /** While another process builds, pack privately instead of waiting for it. */
    SEGUE_PACKED_CACHE_NO_WAIT = 1u << 3,
    /** Checksums are computed on the device after the upload, which also finds faults of the host's
     *  memory and the bus; on the host where the device cannot. */
    SEGUE_PACKED_CACHE_VERIFY_ON_DEVICE = 1u << 4,
};

/** How to open a cache. */
struct segue_packed_cache_params {
    /** The folder; created with access for the user alone. Not NULL. */
    const char *path;
    /** Bits of segue_packed_cache_flags. */
    uint32_t flags;
    enum segue_packed_verification verification;
    /** Entries used least recently go when the files would become larger. 0: no limit. */
    uint64_t size_limit_bytes;
    /** Longest wait for another process's build; after it, tensors are packed privately. 0: 10
     *  minutes. */
    uint64_t lock_timeout_ns;
    /** Receives warnings: files left out, corrupt entries, builds that could not be published.
     *  NULL: silent. May be called from any thread that uses the cache. */
    segue_log_fn log;
    void *log_context;
};

/** An open cache. */
typedef struct segue_packed_cache segue_packed_cache;

/**
 * Opens a folder and reads the indexes in it. Files that are not valid are left out, with a
 * warning, and replaced by the next build.
 * @return SEGUE_IO_ERROR, SEGUE_OUT_OF_HOST_MEMORY; SEGUE_INVALID_ACCESS for a folder that others
 *         may write; SEGUE_NOT_FOUND for a read-only cache without a folder.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_packed_cache_open(
    const struct segue_packed_cache_params *params, segue_packed_cache **out_cache);

/** Gives up the cache, and notes what it served. Entries found through it stay valid. */
SEGUE_API void segue_packed_cache_close(segue_packed_cache *cache);

/** Looks again at what is in the folder. @return as segue_packed_cache_open; on failure the cache
 *  keeps what it had. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_packed_cache_refresh(segue_packed_cache *cache);

/** A tensor's place in a file. Holds the file open until it is released. */
typedef struct segue_packed_entry segue_packed_entry;

/** What is known of an entry. Pointers live as long as the entry. */
struct segue_packed_entry_info {
    struct segue_packed_key key;
    /** Of the packed bytes. */
    struct segue_packed_digest content;
    const char *model;
    const char *name;
    /** Name of the file in the folder, and the generation that it is. */
    const char *file;
    uint64_t generation;
    /** Open for reading; may be opened again through /proc/self/fd with other flags. */
    int fd;
    uint64_t offset_bytes;
    uint64_t size_bytes;
    uint32_t chunk_count;
    /** Wall clock, nanoseconds since 1970. */
    uint64_t created_ns;
    /** Seconds since 1970; 0: never noted. */
    uint64_t last_used_s;
};

/**
 * The entry of that key. `model` and `name` only serve to tell why there is none.
 * @param out_miss  set where the result is SEGUE_NOT_FOUND. May be NULL.
 * @return SEGUE_NOT_FOUND (no error is raised, unless the cache is strict).
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_packed_cache_find(segue_packed_cache *cache,
                                                                const struct segue_packed_key *key,
                                                                const char *model, const char *name,
                                                                segue_packed_entry **out_entry,
                                                                enum segue_packed_miss *out_miss);

/** Describes an entry. */
SEGUE_API void segue_packed_entry_get_info(const segue_packed_entry *entry,
                                           struct segue_packed_entry_info *out_info);
/** Gives up an entry. NULL is fine. */
SEGUE_API void segue_packed_entry_release(segue_packed_entry *entry);

/** Whether the cache's verification covers this chunk of the entry. */
SEGUE_API bool segue_packed_entry_is_sampled(const segue_packed_entry *entry, uint32_t chunk);
/** Holds a chunk's bytes, wherever they were read, against its XXH3. `length_bytes` must be the
 *  chunk's: SEGUE_PACKED_CHUNK_BYTES, or what is left for the last one. */
SEGUE_API bool segue_packed_entry_check_chunk(const segue_packed_entry *entry, uint32_t chunk,
                                              const void *data, size_t length_bytes);
/** What the checksum kernel must find for a chunk in device memory (segue/prepack_kernels.h). */
SEGUE_API uint64_t segue_packed_entry_device_checksum(const segue_packed_entry *entry,
                                                      uint32_t chunk);

/**
 * Reads bytes of an entry; the chunks that verification covers are checked, whatever part of them
 * is asked for.
 * @return SEGUE_MISMATCH for a corrupt chunk: the entry is then marked, counted and reported, and
 *         not found again. SEGUE_IO_ERROR, SEGUE_OUT_OF_RANGE.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_packed_entry_read(segue_packed_entry *entry,
                                                                uint64_t offset_bytes, void *data,
                                                                size_t length_bytes);

/** For readers of their own: the chunk was corrupt. The entry is not found again through this cache
 *  and the next build replaces it. `where` is e.g. "on the device". */
SEGUE_API void segue_packed_entry_report_corrupt(segue_packed_entry *entry, uint32_t chunk,
                                                 const char *where);

/* ---- Building -------------------------------------------------------------------------------- */

/** A file in the making. */
typedef struct segue_packed_writer segue_packed_writer;

/**
 * Begins a build: takes the folder's lock, which waits for another builder or says SEGUE_TIMEOUT
 * (at once with SEGUE_PACKED_CACHE_NO_WAIT), and refreshes the cache, so that what another process
 * has built meanwhile is found. The lock goes with the process, however it ends.
 * @return SEGUE_TIMEOUT, SEGUE_INVALID_ACCESS for a read-only cache or folder, SEGUE_IO_ERROR.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_packed_cache_begin(segue_packed_cache *cache,
                                                                 segue_packed_writer **out_writer);

/** A tensor to add. */
struct segue_packed_tensor {
    struct segue_packed_key key;
    /** 1 byte to SEGUE_PACKED_MAX_NAME_BYTES, no control characters. */
    const char *model;
    const char *name;
    /** At least 1. */
    uint64_t size_bytes;
};

/** Opens a tensor; its bytes follow. SEGUE_INVALID_STATE while one is not complete, or where the
 *  build has an entry of that key. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_packed_writer_add(segue_packed_writer *writer, const struct segue_packed_tensor *tensor);
/** The next bytes of the tensor that was opened last. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_packed_writer_append(segue_packed_writer *writer,
                                                                   const void *data,
                                                                   uint64_t length_bytes);

/** Notes that a range of a source, known by `identity` (segue_packed_source_identity), has the
 *  digest `content`, so that the next load need not read it. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_packed_writer_add_source(
    segue_packed_writer *writer, const struct segue_packed_digest *identity,
    const struct segue_packed_digest *content);

/**
 * Publishes what was added as the folder's next generation (nothing was: does nothing), keeps the
 * folder within its size limit, gives up the lock and the writer.
 * @return SEGUE_IO_ERROR, …: nothing was published, nothing is left. The writer is gone in any
 *         case.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_packed_writer_publish(segue_packed_writer *writer);
/** Gives up the lock, the writer and what was added. NULL is fine. */
SEGUE_API void segue_packed_writer_abandon(segue_packed_writer *writer);

/**
 * What identifies a range of an open file without reading it: device, inode, size, times of the
 * last change, offset and length.
 * @param out_settled  false while the file was changed so recently that a change after this one
 *                     might not show in its times: do not note it then.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_packed_source_identity(int fd, uint64_t offset_bytes, uint64_t length_bytes,
                             struct segue_packed_digest *out_identity, bool *out_settled);
/** The digest noted for a source. SEGUE_NOT_FOUND (no error is raised). */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_packed_cache_find_source(
    segue_packed_cache *cache, const struct segue_packed_digest *identity,
    struct segue_packed_digest *out_content);

/* ---- Looking after a folder ------------------------------------------------------------------ */

/** What a cache has done since it was opened, and what is in its folder. */
struct segue_packed_cache_stats {
    uint64_t hits;
    /** By segue_packed_miss. */
    uint64_t misses[SEGUE_PACKED_MISS_COUNT];
    /** Chunks that were held against their checksums, and those that failed. */
    uint64_t verified_chunks;
    uint64_t corrupt_chunks;
    /** Bytes read from entries, and how long that and its checks took. */
    uint64_t read_bytes;
    uint64_t read_ns;
    uint64_t verify_ns;
    /** Bytes written to new files, and how long writing and publishing took. */
    uint64_t written_bytes;
    uint64_t write_ns;
    uint64_t lock_wait_ns;
    /** Generations published, and builds that could not be. */
    uint64_t published;
    uint64_t publish_failures;
    /** Locks taken over from a builder that died, and files that it left. */
    uint64_t recovered_locks;
    uint64_t removed_files;
    uint64_t evicted_entries;
    uint64_t evicted_bytes;
    /** In the folder: files, the entries that can be found, their bytes, and the size of all. */
    uint64_t file_count;
    uint64_t entry_count;
    uint64_t entry_bytes;
    uint64_t file_bytes;
    /** Files left out because they are not valid. */
    uint64_t invalid_files;
};

/** The counts so far. */
SEGUE_API void segue_packed_cache_get_stats(segue_packed_cache *cache,
                                            struct segue_packed_cache_stats *out_stats);

/** Return false to stop. */
typedef bool (*segue_packed_visitor)(void *context, segue_packed_entry *entry);
/** Calls `visit` for every entry that can be found, by model, then name. The entry is valid during
 *  the call. SEGUE_OUT_OF_HOST_MEMORY. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_packed_cache_visit(segue_packed_cache *cache,
                                                                 segue_packed_visitor visit,
                                                                 void *context);

/** What a verification found. */
struct segue_packed_verify_result {
    uint64_t file_count;
    uint64_t entry_count;
    uint64_t chunk_count;
    uint64_t byte_count;
    uint64_t corrupt_chunks;
    uint64_t corrupt_entries;
    uint64_t invalid_files;
};
/** Told of each defect, one line. */
typedef void (*segue_packed_defect_fn)(void *context, const char *message);
/** Reads all files of the folder whole: headers, indexes, footers, every chunk, and the zeros
 *  between tensors. @return SEGUE_MISMATCH if there was a defect. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_packed_cache_verify(segue_packed_cache *cache, segue_packed_defect_fn defect, void *context,
                          struct segue_packed_verify_result *out_result);

/** What to collect. */
struct segue_packed_gc_params {
    /** Drop least recently used entries until the files are at most this large. 0: no limit. */
    uint64_t size_limit_bytes;
    /** Drop entries not used for this long. 0: any age. */
    uint64_t max_age_s;
    /** Drop entries of this model. NULL: none. */
    const char *model;
    /** Only say what would be done. */
    bool dry_run;
};
/** What was collected. */
struct segue_packed_gc_result {
    uint64_t removed_files;
    uint64_t removed_entries;
    uint64_t kept_entries;
    uint64_t bytes_before;
    uint64_t bytes_after;
};
/** Removes what broken builds left, files that are not valid, and entries as `params` says, and
 *  merges what is left into one file where that saves anything. Takes the lock as a build does. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_packed_cache_gc(segue_packed_cache *cache, const struct segue_packed_gc_params *params,
                      struct segue_packed_gc_result *out_result);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_PACKED_CACHE_H
