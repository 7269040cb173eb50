// SPDX-License-Identifier: Apache-2.0
#include "json_out.h"
#include "replay.h"
#include "report.h"

#include <inttypes.h>
#include <segue/executable.h>
#include <stdlib.h>
#include <string.h>

/** Index of the command buffer of that name, or the count. */
static uint32_t find_command_buffer(const struct segue_replay *replay, const char *wanted)
{
    uint32_t index = 0;
    for (; index < replay->counts.command_buffer_count; ++index) {
        const char *name;
        segue_trace_session_command_buffer(replay->session, index, &name);
        if (strcmp(name, wanted) == 0)
            break;
    }
    return index;
}

/** "a, b, c", cut to fit. */
static void join_names(const struct segue_replay *replay, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < replay->counts.command_buffer_count && used < size; ++i) {
        const char *name;
        segue_trace_session_command_buffer(replay->session, i, &name);
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", name);
    }
}

/** Which command buffers to describe: [out_first, out_end). */
static int select_command_buffers(const struct segue_replay *replay, uint32_t *out_first,
                                  uint32_t *out_end)
{
    const struct segue_replay_options *options = replay->options;
    const uint32_t count = replay->counts.command_buffer_count;
    char names[512];
    join_names(replay, names, sizeof(names));
    if (options->command_buffer) {
        const uint32_t index = find_command_buffer(replay, options->command_buffer);
        if (index == count)
            return segue_replay_usage("dump", "--command-buffer '%s' is not one of: %s",
                                      options->command_buffer, names);
        *out_first = index;
        *out_end = index + 1;
        return SEGUE_REPLAY_GOOD;
    }
    if (count != 1 && options->format != SEGUE_DUMP_TEXT)
        return segue_replay_usage("dump",
                                  "the trace has %u command buffers, so json and dot need "
                                  "--command-buffer with one of: %s",
                                  count, names);
    *out_first = 0;
    *out_end = count;
    return SEGUE_REPLAY_GOOD;
}

/** A command buffer with slots gets its graph at the first submission. */
static int make_graphs(struct segue_replay *replay, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; ++i) {
        const char *name;
        struct segue_command_buffer_info info;
        segue_command_buffer_get_info(segue_trace_session_command_buffer(replay->session, i, &name),
                                      &info);
        if (info.slot_count > 0 || info.constant_slot_count > 0)
            return segue_replay_once(replay, false, NULL);
    }
    return SEGUE_REPLAY_GOOD;
}

/** How constants come to hold what they do, a line each. */
static void describe_packings(const struct segue_replay *replay, FILE *text)
{
    for (uint32_t i = 0; i < replay->counts.packing_count; ++i) {
        struct segue_trace_constant constant;
        segue_trace_session_packing(replay->session, i, &constant);
        const struct segue_trace_packing *packing = constant.packing;
        struct segue_executable_params executable;
        segue_executable_get_params(packing->dispatch.executable, &executable);
        uint64_t source_bytes = 0;
        for (uint32_t k = 0; k < packing->source_count; ++k)
            source_bytes += packing->sources[k].size_bytes;
        char name[256], label[256], entry[256];
        segue_replay_copy_clean(name, sizeof(name), constant.name);
        segue_replay_copy_clean(label, sizeof(label), executable.label ? executable.label : "");
        segue_replay_copy_clean(entry, sizeof(entry),
                                executable.entry_points[packing->dispatch.entry_point].name);
        fprintf(text,
                "%s: packed by %s %s grid %" PRIu32 "x%" PRIu32 "x%" PRIu32 ", layout 0x%" PRIx32
                " version %" PRIu32 ", %" PRIu64 " bytes from %" PRIu32 " sources of %" PRIu64 "\n",
                name, label, entry, packing->dispatch.grid[0], packing->dispatch.grid[1],
                packing->dispatch.grid[2], packing->layout_id, packing->layout_version,
                constant.size_bytes, packing->source_count, source_bytes);
    }
    if (replay->counts.packing_count > 0)
        fputc('\n', text);
}

static int describe(struct segue_replay *replay, uint32_t first, uint32_t end, FILE *text)
{
    const struct segue_replay_options *options = replay->options;
    if (options->stage == SEGUE_DUMP_SEGMENTS && options->format == SEGUE_DUMP_TEXT)
        describe_packings(replay, text);
    for (uint32_t i = first; i < end; ++i) {
        const char *name;
        char *part;
        segue_command_buffer *command_buffer =
            segue_trace_session_command_buffer(replay->session, i, &name);
        const segue_status status =
            segue_dump_command_buffer(command_buffer, (enum segue_dump_stage)replay->options->stage,
                                      (enum segue_dump_format)replay->options->format, &part);
        if (status != SEGUE_OK)
            return segue_replay_trace_failed(replay, status);
        if (end - first > 1) {
            char clean[256];
            fprintf(text, "%s== %s ==\n", i > first ? "\n" : "",
                    segue_replay_copy_clean(clean, sizeof(clean), name));
        }
        fputs(part, text);
        const size_t length = strlen(part);
        if (length > 0 && part[length - 1] != '\n')
            fputc('\n', text);
        segue_dump_free(part);
    }
    return SEGUE_REPLAY_GOOD;
}

static int dump(struct segue_replay *replay)
{
    uint32_t first = 0, end = 0;
    int result = select_command_buffers(replay, &first, &end);
    if (result == SEGUE_REPLAY_GOOD && replay->options->stage == SEGUE_DUMP_GRAPH)
        result = make_graphs(replay, first, end);
    if (result != SEGUE_REPLAY_GOOD)
        return result;
    char *buffer = NULL;
    size_t size = 0;
    // All of it in memory first: a failure half way leaves no broken file behind.
    FILE *text = open_memstream(&buffer, &size);
    if (!text)
        return segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "out of memory for the dump");
    result = describe(replay, first, end, text);
    const bool failed = ferror(text) != 0;
    if (fclose(text) != 0 || failed)
        result = segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "out of memory for the dump");
    if (result == SEGUE_REPLAY_GOOD)
        result = segue_replay_write_text(buffer, replay->options->output_path);
    free(buffer);
    return result;
}

int segue_replay_dump(const struct segue_replay_options *options)
{
    if (options->format == SEGUE_DUMP_DOT && options->stage == SEGUE_DUMP_SEGMENTS)
        return segue_replay_usage("dump", "--format dot needs --stage dag or graph");
    struct segue_replay replay = {0};
    // The graph stage shows a graph even where the command buffer would run as a stream.
    const enum segue_execution_mode mode =
        options->stage == SEGUE_DUMP_GRAPH ? SEGUE_EXECUTION_GRAPH : SEGUE_EXECUTION_AUTO;
    int result = segue_replay_load(&replay, options);
    if (result == SEGUE_REPLAY_GOOD)
        result = segue_replay_record(&replay, SEGUE_VALIDATION_BASIC, mode);
    if (result == SEGUE_REPLAY_GOOD)
        result = dump(&replay);
    segue_replay_close(&replay);
    return result;
}
