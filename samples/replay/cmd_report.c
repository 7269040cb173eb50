// SPDX-License-Identifier: Apache-2.0
#include "json_out.h"
#include "page.h"
#include "profile.h"
#include "report.h"
#include "timeline.h"

#include <stdlib.h>
#include <string.h>

/** A report in progress. */
struct report {
    struct segue_replay replay;
    struct segue_replay_profile profile;
    bool measured;
    /** Device time of the whole trace as graphs and as streams; medians, 0 if not measured. */
    uint64_t graph_ns;
    uint64_t stream_ns;
    json_t *views;
    json_t *events;
};

/** A command buffer's commands, as totals need them. */
struct commands {
    uint64_t *durations_ns;
    uint32_t *scopes;
    /** Per command: 1 + the node that it became. */
    uint32_t *nodes;
    uint32_t command_count;
    uint32_t count;
    uint32_t barriers;
    const struct segue_graph_view *view;
    const uint64_t *node_durations_ns;
};

static int no_memory(void)
{
    return segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "out of memory for the report");
}

/** Median device time of some runs of a session. */
static int time_session(struct segue_replay *replay, segue_trace_session *session,
                        uint64_t *out_median_ns)
{
    const uint32_t count = replay->options->iterations;
    uint64_t *samples = calloc(count, sizeof(*samples));
    if (!samples)
        return no_memory();
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; i < count && status == SEGUE_OK; ++i) {
        struct segue_trace_timing timing;
        status = segue_trace_session_restore(session);
        if (status == SEGUE_OK)
            status = segue_trace_session_run(session, &timing);
        samples[i] = timing.device_ns;
        segue_replay_progress_update(&replay->progress, "measure", i + 1, count);
    }
    segue_replay_progress_clear(&replay->progress);
    struct segue_replay_statistics statistics;
    if (status == SEGUE_OK) {
        segue_replay_compute_statistics(samples, count, &statistics);
        *out_median_ns = (uint64_t)statistics.p50;
    }
    free(samples);
    return status == SEGUE_OK ? SEGUE_REPLAY_GOOD : segue_replay_trace_failed(replay, status);
}

/** Runs everything as graphs, as streams, and with time stamps. */
static int measure(struct report *report)
{
    struct segue_replay *replay = &report->replay;
    const struct segue_trace_session_params params = {
        .mode = SEGUE_EXECUTION_STREAM,
        .share_buffers = replay->session,
    };
    segue_trace_session *stream = NULL;
    int result = time_session(replay, replay->session, &report->graph_ns);
    if (result == SEGUE_REPLAY_GOOD) {
        const segue_status status =
            segue_trace_session_create(replay->trace, replay->device.handle, &params, &stream);
        result = status == SEGUE_OK ? time_session(replay, stream, &report->stream_ns)
                                    : segue_replay_trace_failed(replay, status);
    }
    segue_trace_session_destroy(stream);
    return result == SEGUE_REPLAY_GOOD ? segue_replay_profile_measure(replay, &report->profile)
                                       : result;
}

/** Durations of a graph's nodes; joins take what the model says. */
static uint64_t *find_durations(const struct report *report, uint32_t index,
                                const struct segue_graph_view *view,
                                const struct segue_cost_model *model)
{
    uint64_t *durations_ns = calloc((size_t)view->node_count + 1, sizeof(*durations_ns));
    for (uint32_t i = 0; durations_ns && i < view->node_count; ++i) {
        const struct segue_graph_node *node = &view->nodes[i];
        durations_ns[i] = node->command == SEGUE_NO_COMMAND ? model->join_ns : node->duration_ns;
        if (report->measured && node->command < report->profile.items[index].count)
            durations_ns[i] = report->profile.items[index].durations_ns[node->command];
    }
    return durations_ns;
}

static bool note_command(void *context, const struct segue_command_info *command)
{
    struct commands *commands = context;
    commands->barriers +=
        command->kind == SEGUE_COMMAND_BARRIER || command->kind == SEGUE_COMMAND_WAIT_EVENT;
    if (command->index >= commands->command_count || commands->nodes[command->index] == 0)
        return true;
    const uint32_t node = commands->nodes[command->index] - 1;
    commands->durations_ns[commands->count] = commands->node_durations_ns[node];
    commands->scopes[commands->count++] = commands->barriers;
    return true;
}

/** What other lowerings of the same commands would take. */
static segue_status find_totals(segue_command_buffer *command_buffer,
                                const struct segue_graph_view *view, const uint64_t *durations_ns,
                                const struct segue_cost_model *model,
                                struct segue_replay_totals *out_totals)
{
    struct segue_command_buffer_stats stats;
    segue_status status = segue_command_buffer_get_stats(command_buffer, &stats);
    if (status != SEGUE_OK)
        return status;
    struct commands commands = {
        .durations_ns = calloc((size_t)view->node_count + 1, sizeof(uint64_t)),
        .scopes = calloc((size_t)view->node_count + 1, sizeof(uint32_t)),
        .nodes = calloc((size_t)stats.command_count + 1, sizeof(uint32_t)),
        .command_count = stats.command_count,
        .view = view,
        .node_durations_ns = durations_ns,
    };
    if (!commands.durations_ns || !commands.scopes || !commands.nodes)
        status = SEGUE_OUT_OF_HOST_MEMORY;
    for (uint32_t i = 0; status == SEGUE_OK && i < view->node_count; ++i) {
        if (view->nodes[i].command != SEGUE_NO_COMMAND)
            commands.nodes[view->nodes[i].command] = i + 1;
    }
    if (status == SEGUE_OK)
        status = segue_command_buffer_visit(command_buffer, note_command, &commands);
    if (status == SEGUE_OK)
        *out_totals =
            segue_replay_totals_of(commands.durations_ns, commands.scopes, commands.count, model);
    free(commands.durations_ns);
    free(commands.scopes);
    free(commands.nodes);
    return status;
}

/** The sentences that a dump has about the edges: an array of strings; NULL when out of memory. */
static json_t *take_reasons(const char *dump)
{
    json_t *root = json_loads(dump, 0, NULL);
    json_t *reasons = json_array();
    size_t i;
    json_t *edge;
    json_array_foreach(json_object_get(root, "edges"), i, edge)
    {
        if (json_array_append(reasons, json_object_get(edge, "why")) != 0) {
            json_decref(reasons);
            reasons = NULL;
            break;
        }
    }
    json_decref(root);
    return root ? reasons : NULL;
}

static int draw(struct report *report, const struct segue_replay_drawing *drawing, uint32_t index)
{
    if (json_array_append_new(report->views, segue_replay_page_view(drawing)) != 0 ||
        !segue_replay_timeline_add(report->events, drawing, index))
        return no_memory();
    return SEGUE_REPLAY_GOOD;
}

/** Describes one command buffer. */
static int describe(struct report *report, uint32_t index)
{
    struct segue_replay *replay = &report->replay;
    struct segue_replay_drawing drawing = {.measured = report->measured};
    struct segue_cost_model model;
    segue_command_buffer *command_buffer =
        segue_trace_session_command_buffer(replay->session, index, &drawing.name);
    char *dump = NULL;
    segue_device_get_cost_model(replay->device.handle, &model);
    // With one command buffer that is run once, the whole trace's times are its own.
    if (replay->counts.command_buffer_count == 1) {
        drawing.measured_graph_ns = report->graph_ns;
        drawing.measured_stream_ns = report->stream_ns;
    }
    segue_status status =
        segue_dump_command_buffer(command_buffer, SEGUE_DUMP_GRAPH, SEGUE_DUMP_JSON, &dump);
    if (status == SEGUE_OK)
        status =
            segue_command_buffer_get_graph(command_buffer, SEGUE_GRAPH_STAGE_GRAPH, &drawing.view);
    if (status != SEGUE_OK) {
        segue_dump_free(dump);
        return segue_replay_trace_failed(replay, status);
    }
    uint64_t *durations_ns = find_durations(report, index, &drawing.view, &model);
    json_t *reasons = take_reasons(dump);
    segue_dump_free(dump);
    drawing.reasons = reasons;
    int result;
    if (!durations_ns || !reasons ||
        !segue_replay_schedule_make(&drawing.view, durations_ns, &model, &drawing.schedule))
        result = no_memory();
    else if (find_totals(command_buffer, &drawing.view, durations_ns, &model, &drawing.totals) !=
             SEGUE_OK)
        result = no_memory();
    else
        result = draw(report, &drawing, index);
    segue_replay_schedule_clear(&drawing.schedule);
    json_decref(reasons);
    free(durations_ns);
    return result;
}

/** The part of a path behind the last '/'. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int write_page(struct report *report)
{
    const struct segue_replay *replay = &report->replay;
    char device[256];
    char version[32];
    segue_replay_device_describe(&replay->device, device, sizeof(device));
    snprintf(version, sizeof(version), "%d.%d.%d", SEGUE_VERSION_MAJOR, SEGUE_VERSION_MINOR,
             SEGUE_VERSION_PATCH);
    json_t *data =
        json_pack("{s:o, s:o, s:s, s:O}", "trace",
                  segue_replay_json_text(base_name(replay->options->trace_path)), "device",
                  segue_replay_json_text(device), "version", version, "views", report->views);
    char *page = segue_replay_page_fill(data);
    if (!page)
        return no_memory();
    const int result = segue_replay_write_text(page, replay->options->output_path);
    free(page);
    return result;
}

static int write_timeline(struct report *report)
{
    return segue_replay_json_write(
        json_pack("{s:O, s:s}", "traceEvents", report->events, "displayTimeUnit", "ns"),
        report->replay.options->timeline_path);
}

static int make_report(struct report *report)
{
    const struct segue_replay_options *options = report->replay.options;
    report->views = json_array();
    report->events = json_array();
    if (!report->views || !report->events)
        return no_memory();
    // Command buffers with slots get their graph at the first submission.
    int result = segue_replay_once(&report->replay, false, NULL);
    if (result == SEGUE_REPLAY_GOOD && report->measured)
        result = measure(report);
    for (uint32_t i = 0;
         i < report->replay.counts.command_buffer_count && result == SEGUE_REPLAY_GOOD; ++i)
        result = describe(report, i);
    if (result == SEGUE_REPLAY_GOOD)
        result = write_page(report);
    if (result == SEGUE_REPLAY_GOOD && options->timeline_path)
        result = write_timeline(report);
    return result;
}

int segue_replay_report(const struct segue_replay_options *options)
{
    struct report report = {0};
    int result = segue_replay_load(&report.replay, options);
    if (result == SEGUE_REPLAY_GOOD)
        result = segue_replay_record(&report.replay, SEGUE_VALIDATION_BASIC, SEGUE_EXECUTION_GRAPH);
    if (result == SEGUE_REPLAY_GOOD) {
        report.measured =
            options->times == SEGUE_REPLAY_TIMES_MEASURED ||
            (options->times == SEGUE_REPLAY_TIMES_AUTO && !report.replay.device.info.is_soft);
        result = make_report(&report);
    }
    json_decref(report.views);
    json_decref(report.events);
    segue_replay_profile_clear(&report.profile);
    segue_replay_close(&report.replay);
    return result;
}
