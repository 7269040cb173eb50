// SPDX-License-Identifier: Apache-2.0
#include "trace_read.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** "1.x", or "1". Minor versions add keys that an older reader refuses by name. */
static segue_status read_version(const struct segue_json *root)
{
    struct segue_json at;
    const char *text = NULL;
    segue_status status = segue_json_member(root, "segue_trace", &at);
    if (status == SEGUE_OK) {
        status = segue_json_string(&at, SEGUE_TRACE_MAX_NAME_BYTES, &text);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    size_t digits = strspn(text, "0123456789");
    size_t minor_digits = text[digits] == '.' ? strspn(text + digits + 1, "0123456789") : 0;
    if (digits == 0 || minor_digits == 0 || text[digits + 1 + minor_digits] != '\0') {
        return segue_json_fail(&at, "must be a version like \"1.0\"");
    }
    if (strtoul(text, NULL, 10) != SEGUE_TRACE_VERSION_MAJOR) {
        return segue_json_fail(&at, "version %s; this reader knows version %d", text,
                               SEGUE_TRACE_VERSION_MAJOR);
    }
    return SEGUE_OK;
}

static segue_status read_root(const struct segue_json *root, segue_trace *trace)
{
    static const char *const keys[] = {
        "segue_trace", "generator", "tensors",         "buffers",     "executables",  "packings",
        "semaphores",  "events",    "command_buffers", "submissions", "expectations", NULL,
    };
    static segue_status (*const parts[])(const struct segue_json *, segue_trace *) = {
        segue_trace_read_tensors,         segue_trace_read_buffers,
        segue_trace_read_executables,     segue_trace_read_packings,
        segue_trace_read_semaphores,      segue_trace_read_events,
        segue_trace_read_command_buffers, segue_trace_read_submissions,
        segue_trace_read_expectations,    segue_trace_check_order,
    };
    struct segue_json generator;
    const char *text = NULL;
    // The version comes first: a key of a later major version is not a typo.
    segue_status status = json_is_object(root->value) ? read_version(root) : SEGUE_OK;
    if (status == SEGUE_OK) {
        status = segue_json_object(root, keys);
    }
    if (status == SEGUE_OK && segue_json_optional(root, "generator", &generator)) {
        status = segue_json_string(&generator, SEGUE_TRACE_MAX_NAME_BYTES, &text);
    }
    for (size_t i = 0; status == SEGUE_OK && i < sizeof(parts) / sizeof(parts[0]); i++) {
        status = parts[i](root, trace);
    }
    return status;
}

segue_status segue_trace_parse(const char *path, const char *text, size_t length_bytes,
                               int directory_fd, segue_trace **out_trace)
{
    json_t *root = NULL;
    segue_status status;
    segue_trace *trace = calloc(1, sizeof(*trace));
    if (trace == NULL) {
        if (directory_fd >= 0) {
            close(directory_fd);
        }
        return segue_trace_fail_memory("a trace");
    }
    trace->directory_fd = directory_fd;
    trace->path = segue_pool_copy_string(&trace->pool, path);
    status = trace->path != NULL ? segue_json_parse(path, text, length_bytes, &root)
                                 : segue_trace_fail_memory("a trace");
    if (status == SEGUE_OK) {
        struct segue_json at = {.value = root, .file = path};
        status = read_root(&at, trace);
        json_decref(root);
    }
    if (status != SEGUE_OK) {
        segue_trace_destroy(trace);
        return status;
    }
    *out_trace = trace;
    return SEGUE_OK;
}

segue_status segue_trace_read_document(const char *path, char **out_text, uint64_t *out_size_bytes)
{
    // The trace itself may be reached through symbolic links: its path is the user's, not data.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return segue_trace_fail(SEGUE_IO_ERROR, "%s: could not be opened: %s", path,
                                strerror(errno));
    }
    struct stat info;
    segue_status status = SEGUE_OK;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        status = segue_trace_fail(SEGUE_IO_ERROR, "%s: not a regular file", path);
    } else if ((uint64_t)info.st_size > SEGUE_TRACE_MAX_JSON_BYTES) {
        status = segue_trace_fail(SEGUE_INVALID_DATA,
                                  "%s: %" PRIu64 " bytes; at most %" PRIu64 " are supported", path,
                                  (uint64_t)info.st_size, SEGUE_TRACE_MAX_JSON_BYTES);
    } else {
        int error = segue_read_whole(fd, (uint64_t)info.st_size, out_text);
        if (error != 0) {
            status = segue_trace_fail(error == ENOMEM ? SEGUE_OUT_OF_HOST_MEMORY : SEGUE_IO_ERROR,
                                      "%s: could not be read: %s", path,
                                      error > 0 ? strerror(error) : "it became shorter");
        }
        *out_size_bytes = (uint64_t)info.st_size;
    }
    close(fd);
    return status;
}

segue_status segue_trace_load(const char *path, segue_trace **out_trace)
{
    if (path == NULL || out_trace == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT, "path and out_trace must not be NULL");
    }
    char *text = NULL;
    uint64_t size_bytes = 0;
    segue_status status = segue_trace_read_document(path, &text, &size_bytes);
    if (status != SEGUE_OK) {
        return status;
    }
    int directory_fd = segue_open_parent(path);
    if (directory_fd < 0) {
        status = segue_trace_fail(SEGUE_IO_ERROR, "%s: its folder could not be opened: %s", path,
                                  strerror(-directory_fd));
    } else {
        status = segue_trace_parse(path, text, (size_t)size_bytes, directory_fd, out_trace);
    }
    free(text);
    return status;
}

void segue_trace_destroy(segue_trace *trace)
{
    if (trace == NULL) {
        return;
    }
    for (uint32_t i = 0; i < trace->file_count; i++) {
        if (trace->files[i].fd >= 0) {
            close(trace->files[i].fd);
        }
    }
    if (trace->directory_fd >= 0) {
        close(trace->directory_fd);
    }
    segue_pool_free(&trace->pool);
    free(trace);
}
