// SPDX-License-Identifier: Apache-2.0
/**
 * @file pack_format.h
 * The bytes of a file of packed tensors: header, data, index, footer, as
 * docs/packed-cache-format.md has them. Only memory here, no files, so that hostile bytes can be
 * thrown at it.
 */
#ifndef SEGUE_PREPACK_PACK_FORMAT_H
#define SEGUE_PREPACK_PACK_FORMAT_H

#include <segue/packed_cache.h>

#define SEGUE_PACK_VERSION 1u
#define SEGUE_PACK_HEADER_BYTES 4096u
#define SEGUE_PACK_FOOTER_BYTES 256u
#define SEGUE_PACK_ENTRY_BYTES 192u
#define SEGUE_PACK_CHUNK_BYTES 16u
#define SEGUE_PACK_SOURCE_BYTES 32u
#define SEGUE_PACK_REPLACED_BYTES 8u

/** Limits that keep a broken file from asking for all memory. */
#define SEGUE_PACK_MAX_INDEX_BYTES (UINT64_C(1) << 30)
#define SEGUE_PACK_MAX_FILE_BYTES (UINT64_C(1) << 46)
#define SEGUE_PACK_MAX_ENTRIES (1u << 20)

/** What the first bytes of a file say. */
struct segue_pack_header {
    uint64_t generation;
    /** Random: header and footer of one file have the same. */
    unsigned char build_id[16];
    /** Nanoseconds since 1970. */
    uint64_t created_ns;
};

/** What the last bytes of a file say. */
struct segue_pack_footer {
    struct segue_pack_header header;
    uint64_t file_bytes;
    uint64_t index_offset_bytes;
    uint64_t index_bytes;
    uint32_t entry_count;
    uint32_t source_count;
    uint32_t replaced_count;
    uint64_t chunk_count;
    uint64_t string_bytes;
    struct segue_packed_digest index_digest;
};

/** One tensor in an index. */
struct segue_pack_entry {
    /** Digest of `parts`; entries are sorted by it. */
    struct segue_packed_digest key;
    struct segue_packed_key parts;
    struct segue_packed_digest content;
    uint64_t offset_bytes;
    uint64_t size_bytes;
    uint64_t first_chunk;
    uint64_t created_ns;
    /** Places in the strings. */
    uint32_t model;
    uint32_t name;
};

/** The checksums of one chunk. */
struct segue_pack_chunk {
    uint64_t xxh3;
    uint64_t device;
};

/** An index in memory: arrays of records, still as in the file. */
struct segue_pack_index {
    struct segue_pack_footer footer;
    const unsigned char *entries;
    const unsigned char *chunks;
    const unsigned char *sources;
    const unsigned char *replaced;
    const char *strings;
};

/** The digest that identifies an entry. */
void segue_pack_key_digest(const struct segue_packed_key *key,
                           struct segue_packed_digest *out_digest);

/** Chunks of a tensor. */
static inline uint64_t segue_pack_chunk_count(uint64_t size_bytes)
{
    return size_bytes / SEGUE_PACKED_CHUNK_BYTES + (size_bytes % SEGUE_PACKED_CHUNK_BYTES != 0);
}

/** `size_bytes` rounded up to the alignment of data. */
static inline uint64_t segue_pack_align(uint64_t size_bytes)
{
    return (size_bytes + (SEGUE_PACKED_ALIGN_BYTES - 1)) &
           ~(uint64_t)(SEGUE_PACKED_ALIGN_BYTES - 1);
}

/** The writing half: fill whole records. */
void segue_pack_put_header(const struct segue_pack_header *header,
                           unsigned char out_bytes[SEGUE_PACK_HEADER_BYTES]);
void segue_pack_put_footer(const struct segue_pack_footer *footer,
                           unsigned char out_bytes[SEGUE_PACK_FOOTER_BYTES]);
void segue_pack_put_entry(const struct segue_pack_entry *entry,
                          unsigned char out_bytes[SEGUE_PACK_ENTRY_BYTES]);
void segue_pack_put_chunk(const struct segue_pack_chunk *chunk,
                          unsigned char out_bytes[SEGUE_PACK_CHUNK_BYTES]);
void segue_pack_put_u64(uint64_t value, unsigned char out_bytes[8]);

/** The reading half. Each returns NULL, or what is wrong (a static string). */
const char *segue_pack_get_header(const unsigned char bytes[SEGUE_PACK_HEADER_BYTES],
                                  struct segue_pack_header *out_header);
/** Whether this begins a file of another version of the format, which is not broken. */
bool segue_pack_is_other_version(const unsigned char bytes[SEGUE_PACK_HEADER_BYTES]);
/** Checks all that needs no index: sizes against `file_bytes`, the real size, and the header. */
const char *segue_pack_get_footer(const unsigned char bytes[SEGUE_PACK_FOOTER_BYTES],
                                  uint64_t file_bytes, const struct segue_pack_header *header,
                                  struct segue_pack_footer *out_footer);
/** Checks every record. `bytes` are footer.index_bytes and stay in use. `scratch` has room for
 *  footer.entry_count ranges. */
struct segue_pack_range {
    uint64_t begin;
    uint64_t end;
    uint64_t first_chunk;
    uint64_t chunk_count;
};
const char *segue_pack_get_index(const unsigned char *bytes, const struct segue_pack_footer *footer,
                                 struct segue_pack_range *scratch,
                                 struct segue_pack_index *out_index);

/** Records of an index that has been checked; `at` is below the count. */
void segue_pack_index_entry(const struct segue_pack_index *index, uint32_t at,
                            struct segue_pack_entry *out_entry);
struct segue_pack_chunk segue_pack_index_chunk(const struct segue_pack_index *index, uint64_t at);
uint64_t segue_pack_index_replaced(const struct segue_pack_index *index, uint32_t at);

/** Index of the entry with that key digest; false if there is none. */
bool segue_pack_index_find(const struct segue_pack_index *index,
                           const struct segue_packed_digest *key, uint32_t *out_at);
/** What is noted for a source; NULL if nothing is. */
const unsigned char *segue_pack_index_find_source(const struct segue_pack_index *index,
                                                  const struct segue_packed_digest *identity);

#endif // SEGUE_PREPACK_PACK_FORMAT_H
