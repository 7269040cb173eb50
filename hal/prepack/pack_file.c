// SPDX-License-Identifier: Apache-2.0
#include "pack_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/** A use is written down when the last one noted is this old: most loads then write nothing. */
#define USED_STEP_S 3600u

static const char unreadable[] = "it could not be read";
static const char no_memory[] = "there is no memory for its index";

/** Reads and checks header and footer. */
static const char *read_ends(int fd, uint64_t file_bytes, struct segue_pack_footer *out_footer,
                             bool *out_foreign)
{
    unsigned char header_bytes[SEGUE_PACK_HEADER_BYTES];
    unsigned char footer_bytes[SEGUE_PACK_FOOTER_BYTES];
    if (file_bytes < sizeof(header_bytes) + sizeof(footer_bytes))
        return "it is too short";
    int error = segue_pack_read(fd, 0, header_bytes, sizeof(header_bytes));
    if (error == 0)
        error = segue_pack_read(fd, file_bytes - sizeof(footer_bytes), footer_bytes,
                                sizeof(footer_bytes));
    if (error != 0) {
        // The disk's failure is no reason to remove the file.
        *out_foreign = error > 0;
        return unreadable;
    }
    struct segue_pack_header header;
    const char *problem = segue_pack_get_header(header_bytes, &header);
    *out_foreign = problem != NULL && segue_pack_is_other_version(header_bytes);
    if (problem == NULL)
        problem = segue_pack_get_footer(footer_bytes, file_bytes, &header, out_footer);
    return problem;
}

static struct segue_pack *allocate(uint32_t entry_count)
{
    struct segue_pack *pack = calloc(1, sizeof(*pack));
    if (pack == NULL)
        return NULL;
    atomic_init(&pack->references, 1);
    pack->fd = -1;
    pack->corrupt = calloc((size_t)entry_count + 1, sizeof(*pack->corrupt));
    pack->used_s = calloc((size_t)entry_count + 1, sizeof(*pack->used_s));
    if (pack->corrupt == NULL || pack->used_s == NULL) {
        segue_pack_release(pack);
        return NULL;
    }
    return pack;
}

/** Reads and checks the index. */
static enum segue_pack_state read_index(int fd, const struct segue_pack_footer *footer,
                                        struct segue_pack *pack, const char **out_problem)
{
    struct segue_pack_range *scratch = calloc((size_t)footer->entry_count + 1, sizeof(*scratch));
    // One byte more, so that strings end whatever is in them.
    pack->index_bytes = calloc((size_t)footer->index_bytes + 1, 1);
    enum segue_pack_state state = SEGUE_PACK_OUT_OF_MEMORY;
    *out_problem = no_memory;
    if (scratch != NULL && pack->index_bytes != NULL) {
        const int error = segue_pack_read(fd, footer->index_offset_bytes, pack->index_bytes,
                                          (size_t)footer->index_bytes);
        *out_problem = error != 0
                           ? unreadable
                           : segue_pack_get_index(pack->index_bytes, footer, scratch, &pack->index);
        state = error > 0              ? SEGUE_PACK_FOREIGN
                : *out_problem != NULL ? SEGUE_PACK_INVALID
                                       : SEGUE_PACK_VALID;
    }
    free(scratch);
    return state;
}

enum segue_pack_state segue_pack_open_fd(int fd, const char *name, uint64_t file_bytes,
                                         struct segue_pack **out_pack, const char **out_problem)
{
    struct segue_pack_footer footer;
    bool foreign = false;
    *out_problem = read_ends(fd, file_bytes, &footer, &foreign);
    if (*out_problem != NULL)
        return foreign ? SEGUE_PACK_FOREIGN : SEGUE_PACK_INVALID;
    struct segue_pack *pack = allocate(footer.entry_count);
    if (pack == NULL) {
        *out_problem = no_memory;
        return SEGUE_PACK_OUT_OF_MEMORY;
    }
    const enum segue_pack_state state = read_index(fd, &footer, pack, out_problem);
    if (state != SEGUE_PACK_VALID) {
        segue_pack_release(pack);
        return state;
    }
    pack->fd = fd;
    (void)strncpy(pack->name, name, sizeof(pack->name) - 1);
    *out_pack = pack;
    return SEGUE_PACK_VALID;
}

enum segue_pack_state segue_pack_open(int folder_fd, const char *name, bool shared,
                                      struct segue_pack **out_pack, const char **out_problem)
{
    int fd = -1;
    const int error = segue_pack_open_at(folder_fd, name, O_RDONLY, &fd);
    if (error != 0) {
        *out_problem = error == ENOENT ? "it is gone" : "it could not be opened as a plain file";
        return error == ENOENT ? SEGUE_PACK_GONE : SEGUE_PACK_FOREIGN;
    }
    struct stat info;
    enum segue_pack_state state = SEGUE_PACK_FOREIGN;
    if (fstat(fd, &info) != 0) {
        *out_problem = unreadable;
    } else if (!shared && !segue_pack_is_private(fd)) {
        *out_problem = "other users may write it";
    } else {
        state = segue_pack_open_fd(fd, name, (uint64_t)info.st_size, out_pack, out_problem);
        uint64_t generation = 0;
        if (state == SEGUE_PACK_VALID &&
            (segue_pack_parse_name(name, &generation) != SEGUE_PACK_NAME_FILE ||
             generation != (*out_pack)->index.footer.header.generation)) {
            *out_problem = "its name is not that of its generation";
            segue_pack_release(*out_pack);
            return SEGUE_PACK_INVALID;
        }
    }
    if (state != SEGUE_PACK_VALID)
        (void)close(fd);
    return state;
}

void segue_pack_retain(struct segue_pack *pack)
{
    atomic_fetch_add_explicit(&pack->references, 1, memory_order_relaxed);
}

void segue_pack_release(struct segue_pack *pack)
{
    if (pack == NULL || atomic_fetch_sub_explicit(&pack->references, 1, memory_order_acq_rel) != 1)
        return;
    if (pack->fd >= 0)
        (void)close(pack->fd);
    free(pack->index_bytes);
    free(pack->corrupt);
    free(pack->used_s);
    free(pack);
}

size_t segue_pack_chunk_length(const struct segue_pack_entry *entry, uint32_t chunk)
{
    const uint64_t rest_bytes = entry->size_bytes - (uint64_t)chunk * SEGUE_PACKED_CHUNK_BYTES;
    return rest_bytes < SEGUE_PACKED_CHUNK_BYTES ? (size_t)rest_bytes : SEGUE_PACKED_CHUNK_BYTES;
}

bool segue_pack_chunk_matches(const struct segue_pack *pack, const struct segue_pack_entry *entry,
                              uint32_t chunk, const void *data, size_t length_bytes)
{
    return chunk < segue_pack_chunk_count(entry->size_bytes) &&
           length_bytes == segue_pack_chunk_length(entry, chunk) &&
           segue_pack_index_chunk(&pack->index, entry->first_chunk + chunk).xxh3 ==
               XXH3_64bits(data, length_bytes);
}

/** The file of times: one number of 4 bytes an entry, least significant first. */
static bool open_used(const struct segue_pack *pack, int folder_fd, int flags, int *out_fd)
{
    char name[SEGUE_PACK_NAME_BYTES];
    segue_pack_used_name(pack->index.footer.header.generation, name);
    return segue_pack_open_at(folder_fd, name, flags, out_fd) == 0;
}

static uint32_t read_used(int fd, uint32_t at)
{
    unsigned char bytes[4];
    if (segue_pack_read(fd, (uint64_t)at * sizeof(bytes), bytes, sizeof(bytes)) != 0)
        return 0;
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

void segue_pack_load_used(struct segue_pack *pack, int folder_fd)
{
    int fd = -1;
    if (!open_used(pack, folder_fd, O_RDONLY, &fd))
        return;
    for (uint32_t i = 0; i < pack->index.footer.entry_count; i++)
        atomic_store_explicit(&pack->used_s[i], read_used(fd, i), memory_order_relaxed);
    (void)close(fd);
}

void segue_pack_save_used(struct segue_pack *pack, int folder_fd)
{
    int fd = -1;
    if (!atomic_exchange(&pack->used_changed, false) ||
        !open_used(pack, folder_fd, O_RDWR | O_CREAT, &fd))
        return;
    for (uint32_t i = 0; i < pack->index.footer.entry_count; i++) {
        const uint32_t used_s = atomic_load_explicit(&pack->used_s[i], memory_order_relaxed);
        const unsigned char bytes[4] = {(unsigned char)used_s, (unsigned char)(used_s >> 8),
                                        (unsigned char)(used_s >> 16),
                                        (unsigned char)(used_s >> 24)};
        if (used_s > read_used(fd, i))
            (void)segue_pack_write(fd, (uint64_t)i * sizeof(bytes), bytes, sizeof(bytes));
    }
    (void)close(fd);
}

void segue_pack_note_use(struct segue_pack *pack, uint32_t at)
{
    const uint32_t now_s = (uint32_t)(segue_pack_wall_ns() / 1000000000u);
    const uint32_t before_s = atomic_load_explicit(&pack->used_s[at], memory_order_relaxed);
    if (now_s >= before_s && now_s - before_s < USED_STEP_S)
        return;
    atomic_store_explicit(&pack->used_s[at], now_s, memory_order_relaxed);
    atomic_store(&pack->used_changed, true);
}
