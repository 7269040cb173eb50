// SPDX-License-Identifier: Apache-2.0
// Which files of a folder count: the valid generations that no later one replaces.
#include "cache.h"

#include "error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** A builder may replace files between the listing and the opening; then all is done again. */
#define MAX_ATTEMPTS 64

/** Generations that the folder has names for. */
struct names {
    uint64_t *files;
    uint32_t file_count;
    uint64_t *used;
    uint32_t used_count;
};

static bool append_number(uint64_t **array, uint32_t *count, uint64_t number)
{
    // Grows at 0, 1, 2, 4, …
    if ((*count & (*count - 1)) == 0) {
        const size_t capacity = *count == 0 ? 1 : 2 * (size_t)*count;
        uint64_t *grown = realloc(*array, capacity * sizeof(*grown));
        if (grown == NULL)
            return false;
        *array = grown;
    }
    (*array)[(*count)++] = number;
    return true;
}

static bool append_garbage(struct segue_pack_scan *scan, const char *name)
{
    const uint32_t count = scan->garbage_count;
    if ((count & (count - 1)) == 0) {
        const size_t capacity = count == 0 ? 1 : 2 * (size_t)count;
        void *grown = realloc(scan->garbage, capacity * sizeof(scan->garbage[0]));
        if (grown == NULL)
            return false;
        scan->garbage = grown;
    }
    memset(scan->garbage[count], 0, sizeof(scan->garbage[count]));
    memcpy(scan->garbage[count], name, strnlen(name, SEGUE_PACK_NAME_BYTES - 1));
    scan->garbage_count++;
    return true;
}

void segue_pack_scan_free(struct segue_pack_scan *scan)
{
    for (uint32_t i = 0; i < scan->pack_count; i++)
        segue_pack_release(scan->packs[i]);
    free(scan->packs);
    free(scan->garbage);
    *scan = (struct segue_pack_scan){0};
}

static int compare_descending(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left;
    const uint64_t b = *(const uint64_t *)right;
    return (a < b) - (a > b);
}

/** Sorts one name in. False when out of memory. */
static bool take_name(const char *name, struct names *names, struct segue_pack_scan *scan)
{
    uint64_t generation = 0;
    switch (segue_pack_parse_name(name, &generation)) {
    case SEGUE_PACK_NAME_FILE:
        if (generation > scan->last_generation)
            scan->last_generation = generation;
        return append_number(&names->files, &names->file_count, generation);
    case SEGUE_PACK_NAME_USED:
        return append_number(&names->used, &names->used_count, generation);
    case SEGUE_PACK_NAME_TEMPORARY:
        return strlen(name) >= SEGUE_PACK_NAME_BYTES || append_garbage(scan, name);
    case SEGUE_PACK_NAME_OTHER:
        break;
    }
    return true;
}

static segue_status list_names(const segue_packed_cache *cache, struct names *names,
                               struct segue_pack_scan *scan)
{
    // A descriptor of its own: its position is shared with copies.
    const int fd =
        (int)TEMP_FAILURE_RETRY(openat(cache->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder == NULL) {
        const int error = errno;
        if (fd >= 0)
            (void)close(fd);
        return segue_prepack_fail(SEGUE_IO_ERROR, "packed cache %s: the folder cannot be read: %s",
                                  cache->path, strerror(error));
    }
    bool fits = true;
    errno = 0;
    for (struct dirent *item = readdir(folder); fits && item != NULL; item = readdir(folder)) {
        fits = take_name(item->d_name, names, scan);
        errno = 0;
    }
    const int error = errno;
    (void)closedir(folder);
    if (!fits)
        return segue_prepack_fail_memory("the names in a packed cache");
    if (error != 0)
        return segue_prepack_fail(SEGUE_IO_ERROR, "packed cache %s: the folder cannot be read: %s",
                                  cache->path, strerror(error));
    if (names->file_count != 0)
        qsort(names->files, names->file_count, sizeof(names->files[0]), compare_descending);
    return SEGUE_OK;
}

/** Whether a name still stands for the file that the pack has open: somebody may have emptied the
 *  folder, and its generations begun again. */
static bool is_same_file(const segue_packed_cache *cache, const struct segue_pack *pack)
{
    struct stat named;
    struct stat opened;
    return fstatat(cache->folder_fd, pack->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(pack->fd, &opened) == 0 && named.st_dev == opened.st_dev &&
           named.st_ino == opened.st_ino;
}

/** The pack of that generation that the cache has already, with its marks. */
static struct segue_pack *find_known(const segue_packed_cache *cache, uint64_t generation)
{
    for (uint32_t i = 0; i < cache->pack_count; i++) {
        struct segue_pack *pack = cache->packs[i];
        if (pack->index.footer.header.generation == generation && is_same_file(cache, pack))
            return pack;
    }
    return NULL;
}

/** Whether a pack that was found before, which is a later one, replaces this generation. */
static bool is_replaced(const struct segue_pack_scan *scan, uint64_t generation)
{
    for (uint32_t i = 0; i < scan->pack_count; i++) {
        const struct segue_pack_index *index = &scan->packs[i]->index;
        for (uint32_t k = 0; k < index->footer.replaced_count; k++) {
            if (segue_pack_index_replaced(index, k) == generation)
                return true;
        }
    }
    return false;
}

/** Opens one generation. *out_gone: a builder has replaced it meanwhile. */
static segue_status take_file(segue_packed_cache *cache, uint64_t generation,
                              struct segue_pack_scan *scan, bool *out_gone)
{
    char name[SEGUE_PACK_NAME_BYTES];
    segue_pack_file_name(generation, name);
    if (is_replaced(scan, generation))
        return append_garbage(scan, name)
                   ? SEGUE_OK
                   : segue_prepack_fail_memory("the names in a packed cache");
    struct segue_pack *pack = find_known(cache, generation);
    if (pack != NULL) {
        segue_pack_retain(pack);
        scan->packs[scan->pack_count++] = pack;
        return SEGUE_OK;
    }
    const char *problem = NULL;
    const bool shared = (cache->params.flags & SEGUE_PACKED_CACHE_SHARED_FOLDER) != 0;
    switch (segue_pack_open(cache->folder_fd, name, shared, &pack, &problem)) {
    case SEGUE_PACK_VALID:
        segue_pack_load_used(pack, cache->folder_fd);
        scan->packs[scan->pack_count++] = pack;
        return SEGUE_OK;
    case SEGUE_PACK_GONE:
        *out_gone = true;
        return SEGUE_OK;
    case SEGUE_PACK_INVALID:
        segue_packed_cache_log(cache, SEGUE_LOG_WARNING,
                               "packed cache %s: %s is left out and will be replaced: %s",
                               cache->path, name, problem);
        scan->invalid_files++;
        return append_garbage(scan, name)
                   ? SEGUE_OK
                   : segue_prepack_fail_memory("the names in a packed cache");
    case SEGUE_PACK_FOREIGN:
        segue_packed_cache_log(cache, SEGUE_LOG_WARNING, "packed cache %s: %s is left out: %s",
                               cache->path, name, problem);
        scan->invalid_files++;
        return SEGUE_OK;
    case SEGUE_PACK_OUT_OF_MEMORY:
        break;
    }
    return segue_prepack_fail_memory("the index of a packed cache");
}

/** Times of use without their generation are garbage. */
static segue_status take_used(const struct names *names, struct segue_pack_scan *scan)
{
    for (uint32_t i = 0; i < names->used_count; i++) {
        bool needed = false;
        for (uint32_t k = 0; k < names->file_count; k++)
            needed = needed || names->files[k] == names->used[i];
        char name[SEGUE_PACK_NAME_BYTES];
        segue_pack_used_name(names->used[i], name);
        if (!needed && !append_garbage(scan, name))
            return segue_prepack_fail_memory("the names in a packed cache");
    }
    return SEGUE_OK;
}

static segue_status scan_once(segue_packed_cache *cache, struct segue_pack_scan *scan,
                              bool *out_gone)
{
    struct names names = {0};
    *out_gone = false;
    segue_status status = list_names(cache, &names, scan);
    if (status == SEGUE_OK) {
        scan->packs = calloc((size_t)names.file_count + 1, sizeof(scan->packs[0]));
        if (scan->packs == NULL)
            status = segue_prepack_fail_memory("the files of a packed cache");
    }
    for (uint32_t i = 0; status == SEGUE_OK && !*out_gone && i < names.file_count; i++)
        status = take_file(cache, names.files[i], scan, out_gone);
    if (status == SEGUE_OK)
        status = take_used(&names, scan);
    free(names.files);
    free(names.used);
    return status;
}

segue_status segue_pack_scan_folder(segue_packed_cache *cache, struct segue_pack_scan *out_scan)
{
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        struct segue_pack_scan scan = {0};
        bool gone = false;
        const segue_status status = scan_once(cache, &scan, &gone);
        if (status == SEGUE_OK && !gone) {
            *out_scan = scan;
            return SEGUE_OK;
        }
        segue_pack_scan_free(&scan);
        if (status != SEGUE_OK)
            return status;
    }
    return segue_prepack_fail(SEGUE_IO_ERROR,
                              "packed cache %s: its files change faster than they can be read",
                              cache->path);
}
