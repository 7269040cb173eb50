// SPDX-License-Identifier: Apache-2.0
#include "files.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ATTEMPTS 100

static void release(struct segue_output_file *file)
{
    free(file->path);
    free(file->temporary_path);
    *file = (struct segue_output_file){.fd = -1};
}

segue_status segue_output_open(struct segue_output_file *file, const char *path)
{
    *file = (struct segue_output_file){.fd = -1};
    file->path = strdup(path);
    if (file->path == NULL) {
        return segue_trace_fail_memory("a file name");
    }
    int error = EEXIST;
    for (int attempt = 0; error == EEXIST && attempt < MAX_ATTEMPTS; attempt++) {
        free(file->temporary_path);
        file->temporary_path = NULL;
        if (asprintf(&file->temporary_path, "%s.tmp-%ld-%d", path, (long)getpid(), attempt) < 0) {
            file->temporary_path = NULL;
            release(file);
            return segue_trace_fail_memory("a file name");
        }
        file->fd = open(file->temporary_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        error = file->fd >= 0 ? 0 : errno;
    }
    if (error != 0) {
        segue_status status = segue_trace_fail(SEGUE_IO_ERROR, "%s: could not be created: %s",
                                               file->temporary_path, strerror(error));
        release(file);
        return status;
    }
    return SEGUE_OK;
}

segue_status segue_output_write(struct segue_output_file *file, const void *data,
                                uint64_t length_bytes)
{
    const unsigned char *next = data;
    while (length_bytes != 0) {
        size_t part = length_bytes < SSIZE_MAX ? (size_t)length_bytes : SSIZE_MAX;
        ssize_t count = write(file->fd, next, part);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return segue_trace_fail(SEGUE_IO_ERROR, "%s: could not be written: %s", file->path,
                                    strerror(errno));
        }
        next += count;
        length_bytes -= (uint64_t)count;
        file->size_bytes += (uint64_t)count;
    }
    return SEGUE_OK;
}

segue_status segue_output_commit(struct segue_output_file *file)
{
    int error = close(file->fd) != 0 ? errno : 0;
    if (error == 0 && rename(file->temporary_path, file->path) != 0) {
        error = errno;
    }
    segue_status status = SEGUE_OK;
    if (error != 0) {
        unlink(file->temporary_path);
        status = segue_trace_fail(SEGUE_IO_ERROR, "%s: could not be written: %s", file->path,
                                  strerror(error));
    }
    release(file);
    return status;
}

void segue_output_abandon(struct segue_output_file *file)
{
    if (file->temporary_path == NULL) {
        return;
    }
    close(file->fd);
    unlink(file->temporary_path);
    release(file);
}
