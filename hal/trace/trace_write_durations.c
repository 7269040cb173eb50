// SPDX-License-Identifier: Apache-2.0
#include "command_json.h"
#include "error.h"
#include "files.h"
#include "json_get.h"
#include "model.h"
#include "trace_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** Whether both files are, or would be, in one folder. */
static bool is_same_folder(const char *a, const char *b)
{
    struct stat a_stat;
    struct stat b_stat;
    int a_fd = segue_open_parent(a);
    int b_fd = segue_open_parent(b);
    bool same = a_fd >= 0 && b_fd >= 0 && fstat(a_fd, &a_stat) == 0 && fstat(b_fd, &b_stat) == 0 &&
                a_stat.st_dev == b_stat.st_dev && a_stat.st_ino == b_stat.st_ino;
    if (a_fd >= 0) {
        close(a_fd);
    }
    if (b_fd >= 0) {
        close(b_fd);
    }
    return same;
}

static segue_status fail_changed(const segue_trace *trace)
{
    return segue_trace_fail(SEGUE_INVALID_DATA, "%s: the document has changed since it was loaded",
                            trace->path);
}

/** Puts the durations into one command buffer's commands. */
static segue_status set_durations(const segue_trace *trace, json_t *root,
                                  const struct segue_trace_durations *durations)
{
    const struct segue_trace_command_buffer *model =
        &trace->command_buffers[durations->command_buffer];
    json_t *command_buffer =
        json_array_get(json_object_get(root, "command_buffers"), durations->command_buffer);
    json_t *commands = json_object_get(command_buffer, "commands");
    if (json_array_size(commands) != model->command_count) {
        return fail_changed(trace);
    }
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < durations->count; i++) {
        json_t *command = json_array_get(commands, i);
        const char *op = json_string_value(json_object_get(command, "op"));
        const bool is_dispatch = op != NULL && strcmp(op, "dispatch") == 0;
        if (is_dispatch != (model->commands[i].kind == SEGUE_COMMAND_DISPATCH)) {
            return fail_changed(trace);
        }
        if (is_dispatch && durations->durations_ns[i] != 0) {
            status =
                segue_json_set(command, "duration_ns", json_integer(durations->durations_ns[i]));
        }
    }
    return status;
}

static segue_status check(const segue_trace *trace, const struct segue_trace_durations *durations,
                          uint32_t durations_count, const char *path)
{
    if (trace == NULL || path == NULL || (durations == NULL && durations_count != 0)) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "trace, durations and path must not be NULL");
    }
    for (uint32_t i = 0; i < durations_count; i++) {
        const uint32_t index = durations[i].command_buffer;
        if (index >= trace->command_buffer_count ||
            durations[i].count > trace->command_buffers[index].command_count) {
            return segue_trace_fail(SEGUE_OUT_OF_RANGE,
                                    "durations of %" PRIu32 " commands of command buffer %" PRIu32
                                    " are more than the trace has",
                                    durations[i].count, index);
        }
    }
    if (!is_same_folder(trace->path, path)) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "%s: must be in the folder of %s, whose files it refers to", path,
                                trace->path);
    }
    return SEGUE_OK;
}

static segue_status load_document(const char *path, json_t **out_root)
{
    char *text = NULL;
    uint64_t size_bytes = 0;
    segue_status status = segue_trace_read_document(path, &text, &size_bytes);
    if (status == SEGUE_OK) {
        status = segue_json_parse(path, text, (size_t)size_bytes, out_root);
        free(text);
    }
    return status;
}

/** Under a temporary name first. */
static segue_status write_document(const json_t *root, const char *path)
{
    struct segue_output_file file = {.fd = -1};
    char *text = segue_json_print(root);
    if (text == NULL) {
        return segue_trace_fail_memory("a trace");
    }
    segue_status status = segue_output_open(&file, path);
    if (status == SEGUE_OK) {
        status = segue_output_write(&file, text, strlen(text));
    }
    if (status == SEGUE_OK) {
        status = segue_output_commit(&file);
    }
    segue_output_abandon(&file);
    free(text);
    return status;
}

segue_status segue_trace_write_durations(const segue_trace *trace,
                                         const struct segue_trace_durations *durations,
                                         uint32_t durations_count, const char *path)
{
    segue_status status = check(trace, durations, durations_count, path);
    if (status != SEGUE_OK) {
        return status;
    }
    json_t *root = NULL;
    status = load_document(trace->path, &root);
    char version[24];
    snprintf(version, sizeof(version), "%d.%d", SEGUE_TRACE_VERSION_MAJOR,
             SEGUE_TRACE_VERSION_MINOR);
    if (status == SEGUE_OK) {
        status = segue_json_set(root, "segue_trace", json_string(version));
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < durations_count; i++) {
        status = set_durations(trace, root, &durations[i]);
    }
    if (status == SEGUE_OK) {
        status = write_document(root, path);
    }
    json_decref(root);
    return status;
}
