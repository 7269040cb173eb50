// SPDX-License-Identifier: Apache-2.0
#include "direct.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/** The same on all architectures (Linux 6.5); headers may be older. */
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/** struct cachestat_range and struct cachestat of linux/mman.h. */
struct cache_range {
    uint64_t offset_bytes;
    uint64_t length_bytes;
};
struct cache_state {
    uint64_t cached_pages;
    uint64_t dirty_pages;
    uint64_t writeback_pages;
    uint64_t evicted_pages;
    uint64_t recently_evicted_pages;
};

/** Of long ranges so many places are looked at, and so much of each. */
#define SAMPLES 8u
#define SAMPLE_BYTES (UINT64_C(64) << 10)

struct opened {
    dev_t device;
    ino_t inode;
    /** -1: it was refused. */
    int fd;
};

struct segue_prepack_direct {
    struct opened *files;
    size_t count;
};

struct segue_prepack_direct *segue_prepack_direct_create(void)
{
    return calloc(1, sizeof(struct segue_prepack_direct));
}

void segue_prepack_direct_destroy(struct segue_prepack_direct *direct)
{
    if (direct == NULL)
        return;
    for (size_t i = 0; i < direct->count; i++) {
        if (direct->files[i].fd >= 0)
            (void)close(direct->files[i].fd);
    }
    free(direct->files);
    free(direct);
}

int segue_prepack_direct_file(struct segue_prepack_direct *direct, int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return -1;
    // An open file keeps its inode number, so that no other file can have it.
    for (size_t i = 0; i < direct->count; i++) {
        if (direct->files[i].device == info.st_dev && direct->files[i].inode == info.st_ino)
            return direct->files[i].fd;
    }
    struct opened *files = realloc(direct->files, (direct->count + 1) * sizeof(files[0]));
    if (files == NULL)
        return -1;
    direct->files = files;
    char path[40];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct opened *file = &files[direct->count++];
    *file = (struct opened){.device = info.st_dev, .inode = info.st_ino};
    file->fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOCTTY));
    return file->fd;
}

/** Whether the pages of a file are those of another one, below it: then cachestat finds none. */
static bool is_stacked(int fd)
{
    struct statfs info;
    return fstatfs(fd, &info) == 0 && info.f_type == OVERLAYFS_SUPER_MAGIC;
}

/** The same as segue_prepack_is_cold without cachestat. Files that the user may not write count as
 *  cached. */
static bool is_cold_by_mapping(int fd, uint64_t offset_bytes, uint64_t length_bytes,
                               uint64_t page_bytes)
{
    const uint64_t begin_bytes = offset_bytes - offset_bytes % page_bytes;
    const size_t mapped_bytes = (size_t)(offset_bytes - begin_bytes + length_bytes);
    const size_t page_count = (mapped_bytes + page_bytes - 1) / page_bytes;
    unsigned char *pages = malloc(page_count);
    void *memory = mmap(NULL, mapped_bytes, PROT_READ, MAP_SHARED, fd, (off_t)begin_bytes);
    size_t cached_count = page_count;
    if (pages != NULL && memory != MAP_FAILED && mincore(memory, mapped_bytes, pages) == 0) {
        cached_count = 0;
        for (size_t i = 0; i < page_count; i++)
            cached_count += pages[i] & 1u;
    }
    if (memory != MAP_FAILED)
        (void)munmap(memory, mapped_bytes);
    free(pages);
    return 2 * cached_count < page_count;
}

/** Counts the pages of a range, and those of them that are cached or are to be written. False where
 *  the kernel does not tell. */
static bool count_pages(int fd, uint64_t offset_bytes, uint64_t length_bytes, uint64_t page_bytes,
                        uint64_t *page_count, struct cache_state *sum)
{
    struct cache_range range = {.offset_bytes = offset_bytes, .length_bytes = length_bytes};
    struct cache_state state = {0};
    if (syscall(SYS_cachestat, fd, &range, &state, 0) != 0)
        return false;
    *page_count += (offset_bytes % page_bytes + length_bytes + page_bytes - 1) / page_bytes;
    sum->cached_pages += state.cached_pages;
    sum->dirty_pages += state.dirty_pages + state.writeback_pages;
    return true;
}

bool segue_prepack_is_cold(int fd, uint64_t offset_bytes, uint64_t length_bytes)
{
    if (length_bytes == 0)
        return false;
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    struct cache_state sum = {0};
    uint64_t page_count = 0;
    // The kernel goes over all pages that it is asked for, on the thread that everybody waits for.
    const bool is_long = length_bytes > 2 * SAMPLES * SAMPLE_BYTES;
    const uint64_t step_bytes = (length_bytes - SAMPLE_BYTES) / (SAMPLES - 1);
    bool is_told = !is_stacked(fd);
    for (uint64_t i = 0; is_told && i < (is_long ? SAMPLES : 1); i++)
        is_told = count_pages(fd, offset_bytes + i * (is_long ? step_bytes : 0),
                              is_long ? SAMPLE_BYTES : length_bytes, page_bytes, &page_count, &sum);
    if (!is_told)
        return is_cold_by_mapping(fd, offset_bytes, length_bytes, page_bytes);
    // What is dirty would have to be written first.
    return sum.dirty_pages == 0 && 2 * sum.cached_pages < page_count;
}
