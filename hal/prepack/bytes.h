// SPDX-License-Identifier: Apache-2.0
/**
 * @file bytes.h
 * Where the bytes of an upload come from: one form for files, host memory, generators and entries
 * of the cache.
 */
#ifndef SEGUE_PREPACK_BYTES_H
#define SEGUE_PREPACK_BYTES_H

#include <segue/packed_cache.h>
#include <segue/prepack.h>

/** A run of bytes. Points at what it is made from. May be read from several threads at once. */
struct segue_prepack_bytes {
    /** Exactly one of both. */
    const struct segue_prepack_source *source;
    segue_packed_entry *entry;
    uint64_t size_bytes;
    /** For messages: the constant's name. */
    const char *name;
    /** An entry's checksums are not looked at. */
    bool is_unchecked;
};

/** Reads [offset, offset + length); of an entry with the cache's verification on the host.
 *  @return SEGUE_MISMATCH for a corrupt entry; SEGUE_IO_ERROR, SEGUE_INVALID_DATA (a generator that
 *          says no). */
segue_status segue_prepack_bytes_read(const struct segue_prepack_bytes *bytes,
                                      uint64_t offset_bytes, void *data, size_t length_bytes);

/** What reading would have found: holds bytes that were read in another way against an entry's
 *  checksums, chunks that are there as a whole, and counts them. Other bytes are as they are. */
segue_status segue_prepack_bytes_check(const struct segue_prepack_bytes *bytes,
                                       uint64_t offset_bytes, const void *data,
                                       size_t length_bytes);

/** The file and the place in it where the bytes are plain to read, without verification or
 *  generation: false where there is none. */
bool segue_prepack_bytes_file(const struct segue_prepack_bytes *bytes, int *out_fd,
                              uint64_t *out_offset_bytes);

/** Digest of all bytes, read in pieces. `*out_read_bytes` grows by what was read. */
segue_status segue_prepack_bytes_digest(const struct segue_prepack_bytes *bytes,
                                        struct segue_packed_digest *out_digest,
                                        uint64_t *out_read_bytes);

#endif // SEGUE_PREPACK_BYTES_H
