// SPDX-License-Identifier: Apache-2.0
#include "files.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_ATTEMPTS 100
static const char temporary_prefix[] = "build-";

uint64_t segue_pack_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t segue_pack_wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void segue_pack_file_name(uint64_t generation, char out_name[SEGUE_PACK_NAME_BYTES])
{
    (void)snprintf(out_name, SEGUE_PACK_NAME_BYTES, "generation-%016" PRIx64 ".pack", generation);
}

void segue_pack_used_name(uint64_t generation, char out_name[SEGUE_PACK_NAME_BYTES])
{
    (void)snprintf(out_name, SEGUE_PACK_NAME_BYTES, "generation-%016" PRIx64 ".used", generation);
}

enum segue_pack_name_kind segue_pack_parse_name(const char *name, uint64_t *out_generation)
{
    if (strncmp(name, temporary_prefix, strlen(temporary_prefix)) == 0)
        return SEGUE_PACK_NAME_TEMPORARY;
    static const char prefix[] = "generation-";
    const size_t prefix_length = sizeof(prefix) - 1;
    const size_t digits = 16;
    if (strncmp(name, prefix, prefix_length) != 0 ||
        strspn(name + prefix_length, "0123456789abcdef") != digits)
        return SEGUE_PACK_NAME_OTHER;
    const char *suffix = name + prefix_length + digits;
    *out_generation = strtoull(name + prefix_length, NULL, 16);
    if (strcmp(suffix, ".pack") == 0)
        return SEGUE_PACK_NAME_FILE;
    return strcmp(suffix, ".used") == 0 ? SEGUE_PACK_NAME_USED : SEGUE_PACK_NAME_OTHER;
}

int segue_pack_read(int fd, uint64_t offset_bytes, void *data, size_t length_bytes)
{
    unsigned char *next = data;
    while (length_bytes != 0) {
        const ssize_t count = pread(fd, next, length_bytes, (off_t)offset_bytes);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count < 0 ? errno : -1;
        next += count;
        offset_bytes += (uint64_t)count;
        length_bytes -= (size_t)count;
    }
    return 0;
}

int64_t segue_pack_read_once(int fd, uint64_t offset_bytes, void *data, size_t length_bytes)
{
    const ssize_t count = TEMP_FAILURE_RETRY(pread(fd, data, length_bytes, (off_t)offset_bytes));
    return count < 0 ? -errno : count;
}

int segue_pack_write(int fd, uint64_t offset_bytes, const void *data, size_t length_bytes)
{
    const unsigned char *next = data;
    while (length_bytes != 0) {
        const ssize_t count = pwrite(fd, next, length_bytes, (off_t)offset_bytes);
        if (count < 0 && errno == EINTR)
            continue;
        // A file that takes nothing would be tried for ever.
        if (count <= 0)
            return count < 0 ? errno : EIO;
        next += count;
        offset_bytes += (uint64_t)count;
        length_bytes -= (size_t)count;
    }
    return 0;
}

int segue_pack_sync(int fd)
{
    return TEMP_FAILURE_RETRY(fsync(fd)) == 0 ? 0 : errno;
}

int segue_pack_open_at(int folder_fd, const char *name, int flags, int *out_fd)
{
    const int fd = (int)TEMP_FAILURE_RETRY(
        openat(folder_fd, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600));
    if (fd < 0)
        return errno;
    struct stat info;
    const int error = fstat(fd, &info) != 0 ? errno : S_ISREG(info.st_mode) ? 0 : EINVAL;
    if (error != 0) {
        (void)close(fd);
        return error;
    }
    *out_fd = fd;
    return 0;
}

int segue_pack_create_temporary(int folder_fd, char out_name[SEGUE_PACK_NAME_BYTES], int *out_fd)
{
    int error = EEXIST;
    for (int attempt = 0; error == EEXIST && attempt < MAX_ATTEMPTS; attempt++) {
        uint64_t random = segue_pack_now_ns() + (uint64_t)attempt;
        // Where there is no randomness yet, the clock and the process do.
        (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
        (void)snprintf(out_name, SEGUE_PACK_NAME_BYTES, "%s%ld-%016" PRIx64, temporary_prefix,
                       (long)getpid(), random);
        error = segue_pack_open_at(folder_fd, out_name, O_RDWR | O_CREAT | O_EXCL, out_fd);
    }
    return error;
}

int segue_pack_rename(int folder_fd, const char *from, const char *to)
{
    if (TEMP_FAILURE_RETRY(renameat2(folder_fd, from, folder_fd, to, RENAME_NOREPLACE)) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    // A file system without it. The lock makes sure that nobody else has taken the name.
    if (faccessat(folder_fd, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return EEXIST;
    return TEMP_FAILURE_RETRY(renameat(folder_fd, from, folder_fd, to)) == 0 ? 0 : errno;
}

int segue_pack_remove(int folder_fd, const char *name)
{
    return TEMP_FAILURE_RETRY(unlinkat(folder_fd, name, 0)) == 0 || errno == ENOENT ? 0 : errno;
}

bool segue_pack_is_private(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
           (info.st_uid == geteuid() || info.st_uid == 0);
}

/** mkdir -p with access for the user alone. */
static int make_folders(const char *folder)
{
    char path[PATH_MAX];
    if (strlen(folder) >= sizeof(path))
        return ENAMETOOLONG;
    strcpy(path, folder);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        // One that is there may be on a file system that is only read: then not EEXIST is said.
        if (mkdir(path, 0700) != 0 && errno != EEXIST && access(path, F_OK) != 0)
            return errno;
        *slash = '/';
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : errno;
}

static int open_folder(const char *path, int *out_fd)
{
    const int fd = (int)TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    *out_fd = fd;
    return fd >= 0 ? 0 : errno;
}

segue_status segue_pack_open_folder(const char *path, bool create, bool shared, int *out_fd)
{
    if (path[0] == '\0')
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "packed cache: its path is empty; name a folder");
    int fd = -1;
    int error = open_folder(path, &fd);
    if (error == ENOENT && create) {
        error = make_folders(path);
        if (error == 0)
            error = open_folder(path, &fd);
    }
    if (error != 0)
        return segue_prepack_fail(error == ENOENT ? SEGUE_NOT_FOUND : SEGUE_IO_ERROR,
                                  "packed cache %s: the folder could not be opened: %s", path,
                                  strerror(error));
    if (!shared && !segue_pack_is_private(fd)) {
        (void)close(fd);
        return segue_prepack_fail(
            SEGUE_INVALID_ACCESS,
            "packed cache %s: other users may write the folder; take that right from them, or ask "
            "for it with SEGUE_PACKED_CACHE_SHARED_FOLDER",
            path);
    }
    *out_fd = fd;
    return SEGUE_OK;
}
