// SPDX-License-Identifier: Apache-2.0
#include "json_out.h"

#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

json_t *segue_replay_json_text(const char *text)
{
    json_t *value = json_string(text);
    if (value)
        return value;
    char *copy = strdup(text);
    if (!copy)
        return NULL;
    for (unsigned char *byte = (unsigned char *)copy; *byte; ++byte) {
        if (*byte >= 0x80)
            *byte = '?';
    }
    value = json_string(copy);
    free(copy);
    return value;
}

const char *segue_replay_mode_name(enum segue_execution_mode mode)
{
    static const char *const names[] = {"auto", "graph", "stream"};
    return names[mode];
}

json_t *segue_replay_json_device(const struct segue_replay_device *device)
{
    const struct segue_device_info *info = &device->info;
    return json_pack("{s:o, s:o, s:b, s:i, s:[i,i]}", "name", segue_replay_json_text(info->name),
                     "uri", segue_replay_json_text(info->uri), "software", info->is_soft,
                     "driver_version", info->driver_version, "compute_capability",
                     info->compute_capability_major, info->compute_capability_minor);
}

json_t *segue_replay_json_statistics(const struct segue_replay_statistics *statistics)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "min", statistics->min, "p50",
                     statistics->p50, "p90", statistics->p90, "p99", statistics->p99, "max",
                     statistics->max, "mean", statistics->mean);
}

json_t *segue_replay_json_stats(const char *name, const struct segue_command_buffer_stats *stats)
{
    return json_pack(
        "{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name",
        segue_replay_json_text(name), "mode", segue_replay_mode_name(stats->mode), "commands",
        (json_int_t)stats->command_count, "work", (json_int_t)stats->work_count, "nodes",
        (json_int_t)stats->node_count, "edges", (json_int_t)stats->edge_count, "recorded_bytes",
        (json_int_t)stats->recorded_bytes, "reserved_bytes", (json_int_t)stats->reserved_bytes,
        "record_ns", (json_int_t)stats->record_ns, "lower_ns", (json_int_t)stats->lower_ns,
        "build_ns", (json_int_t)stats->build_ns, "instantiate_ns",
        (json_int_t)stats->instantiate_ns, "upload_ns", (json_int_t)stats->upload_ns);
}

int segue_replay_write_text(const char *text, const char *path)
{
    const bool to_stdout = !path || strcmp(path, "-") == 0;
    FILE *stream = to_stdout ? stdout : fopen(path, "w");
    if (!stream)
        return segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "%s: %s", path, strerror(errno));
    fputs(text, stream);
    // main looks at stdout; a file must be looked at here.
    if (to_stdout)
        return SEGUE_REPLAY_GOOD;
    const bool failed = ferror(stream) != 0;
    if (fclose(stream) != 0 || failed)
        return segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "%s: cannot be written", path);
    return SEGUE_REPLAY_GOOD;
}

int segue_replay_json_write(json_t *root, const char *path)
{
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    char *line = text ? realloc(text, strlen(text) + 2) : NULL;
    if (!line) {
        free(text);
        return segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "out of memory while writing JSON");
    }
    strcat(line, "\n");
    const int result = segue_replay_write_text(line, path);
    free(line);
    return result;
}
