// SPDX-License-Identifier: Apache-2.0
#include "files.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *segue_path_problem(const char *path)
{
    if (path[0] == '\0') {
        return "the path is empty";
    }
    if (path[0] == '/') {
        return "an absolute path; only files below the trace's folder may be named";
    }
    if (strlen(path) >= SEGUE_TRACE_MAX_PATH) {
        return "the path is too long";
    }
    if (!segue_text_is_plain(path)) {
        return "the path contains control characters";
    }
    for (const char *part = path; part != NULL;) {
        const char *end = strchr(part, '/');
        size_t length = end != NULL ? (size_t)(end - part) : strlen(part);
        if (length == 0) {
            return "the path has an empty component";
        }
        if ((length == 1 && part[0] == '.') || (length == 2 && memcmp(part, "..", 2) == 0)) {
            return "the path has a component \".\" or \"..\"";
        }
        part = end != NULL ? end + 1 : NULL;
    }
    return NULL;
}

/** Opens the last component. O_NONBLOCK keeps a FIFO from blocking; it is refused afterwards. */
static int open_regular(int directory_fd, const char *name, uint64_t *out_size_bytes)
{
    int fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    struct stat status;
    int error = fstat(fd, &status) != 0 ? errno : S_ISREG(status.st_mode) ? 0 : EINVAL;
    if (error != 0) {
        close(fd);
        return -error;
    }
    *out_size_bytes = (uint64_t)status.st_size;
    return fd;
}

int segue_open_beneath(int directory_fd, const char *path, uint64_t *out_size_bytes)
{
    char parts[SEGUE_TRACE_MAX_PATH];
    if (strlen(path) >= sizeof(parts)) {
        return -ENAMETOOLONG;
    }
    memcpy(parts, path, strlen(path) + 1);
    int folder = directory_fd;
    char *part = parts;
    for (char *end = strchr(part, '/'); end != NULL; end = strchr(part, '/')) {
        *end = '\0';
        int next = openat(folder, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int error = errno;
        if (folder != directory_fd) {
            close(folder);
        }
        if (next < 0) {
            // O_DIRECTORY makes the kernel say ENOTDIR for a symbolic link to a folder.
            return -error;
        }
        folder = next;
        part = end + 1;
    }
    int fd = open_regular(folder, part, out_size_bytes);
    if (folder != directory_fd) {
        close(folder);
    }
    return fd;
}

int segue_open_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    int fd = -1;
    if (slash == NULL) {
        fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd >= 0 ? fd : -errno;
    }
    char *folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (folder == NULL) {
        return -ENOMEM;
    }
    fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int result = fd >= 0 ? fd : -errno;
    free(folder);
    return result;
}

int segue_read_exactly(int fd, uint64_t offset_bytes, void *data, size_t length_bytes)
{
    unsigned char *next = data;
    while (length_bytes != 0) {
        ssize_t count = pread(fd, next, length_bytes, (off_t)offset_bytes);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return count < 0 ? errno : -1;
        }
        next += count;
        offset_bytes += (uint64_t)count;
        length_bytes -= (size_t)count;
    }
    return 0;
}

int segue_read_whole(int fd, uint64_t size_bytes, char **out_data)
{
    char *data = malloc((size_t)size_bytes + 1);
    if (data == NULL) {
        return ENOMEM;
    }
    int error = segue_read_exactly(fd, 0, data, (size_t)size_bytes);
    if (error != 0) {
        free(data);
        return error;
    }
    data[size_bytes] = '\0';
    *out_data = data;
    return 0;
}
