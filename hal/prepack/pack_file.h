// SPDX-License-Identifier: Apache-2.0
/**
 * @file pack_file.h
 * One generation, open for reading. Immutable but for the marks on its entries, which are atomic.
 */
#ifndef SEGUE_PREPACK_PACK_FILE_H
#define SEGUE_PREPACK_PACK_FILE_H

#include "files.h"
#include "pack_format.h"

#include <stdatomic.h>

/** Counted: the cache holds one reference, each entry in use another. */
struct segue_pack {
    atomic_uint references;
    char name[SEGUE_PACK_NAME_BYTES];
    int fd;
    struct segue_pack_index index;
    unsigned char *index_bytes;
    /** Per entry: found to be corrupt. */
    atomic_bool *corrupt;
    /** Per entry: seconds since 1970; 0: never noted. */
    atomic_uint_least32_t *used_s;
    /** Some used_s are later than what the file beside it says. */
    atomic_bool used_changed;
};

/** What opening a file came to. */
enum segue_pack_state {
    SEGUE_PACK_VALID,
    /** Broken: it may be removed. */
    SEGUE_PACK_INVALID,
    /** Of another version, not readable, not safe, …: left out and left alone. */
    SEGUE_PACK_FOREIGN,
    /** It is not there (any more). */
    SEGUE_PACK_GONE,
    SEGUE_PACK_OUT_OF_MEMORY,
};

/**
 * Opens and checks header, footer and index.
 * @param shared       accept a file that other users may write.
 * @param out_problem  what is wrong, a static string, unless the result is SEGUE_PACK_VALID.
 */
enum segue_pack_state segue_pack_open(int folder_fd, const char *name, bool shared,
                                      struct segue_pack **out_pack, const char **out_problem);

/** The same for a file that is open, whose size is known; takes over `fd` if it succeeds. */
enum segue_pack_state segue_pack_open_fd(int fd, const char *name, uint64_t file_bytes,
                                         struct segue_pack **out_pack, const char **out_problem);

void segue_pack_retain(struct segue_pack *pack);
/** Closes the file with the last reference. NULL is fine. */
void segue_pack_release(struct segue_pack *pack);

/** Names of an entry. */
static inline const char *segue_pack_string(const struct segue_pack *pack, uint32_t at)
{
    return pack->index.strings + at;
}

/** Bytes of the data of a chunk, which is `chunk` chunks behind the entry's first. */
size_t segue_pack_chunk_length(const struct segue_pack_entry *entry, uint32_t chunk);

/** Whether bytes match a chunk's XXH3. */
bool segue_pack_chunk_matches(const struct segue_pack *pack, const struct segue_pack_entry *entry,
                              uint32_t chunk, const void *data, size_t length_bytes);

/** Reads the times of use beside the file, where they are. */
void segue_pack_load_used(struct segue_pack *pack, int folder_fd);
/** Writes those that are much later than what is there. Failures do not matter: the entry only
 *  looks older than it is. */
void segue_pack_save_used(struct segue_pack *pack, int folder_fd);
/** Notes that an entry is used now. */
void segue_pack_note_use(struct segue_pack *pack, uint32_t at);

#endif // SEGUE_PREPACK_PACK_FILE_H
