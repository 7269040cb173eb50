// SPDX-License-Identifier: Apache-2.0
#include "cache_out.h"
#include "json_out.h"
#include "replay.h"
#include "report.h"
#include "settings.h"
#include "table.h"

#include <stdlib.h>

/** What the iterations measured and found. */
struct outcome {
    struct segue_verification *verifications;
    /** Iterations that were done, and whether the last of them verified. */
    uint32_t done;
    bool passed;
    /** One array of options->iterations samples each. */
    uint64_t *issue_ns;
    uint64_t *device_ns;
    uint64_t *total_ns;
};

static void release_outcome(struct outcome *outcome)
{
    free(outcome->verifications);
    free(outcome->issue_ns);
    free(outcome->device_ns);
    free(outcome->total_ns);
}

static int allocate_outcome(const struct segue_replay *replay, struct outcome *outcome)
{
    const size_t iterations = replay->options->iterations;
    // One more than needed: calloc(0) may return NULL.
    outcome->verifications =
        calloc((size_t)replay->counts.expectation_count + 1, sizeof(*outcome->verifications));
    outcome->issue_ns = calloc(iterations, sizeof(uint64_t));
    outcome->device_ns = calloc(iterations, sizeof(uint64_t));
    outcome->total_ns = calloc(iterations, sizeof(uint64_t));
    if (outcome->verifications && outcome->issue_ns && outcome->device_ns && outcome->total_ns)
        return SEGUE_REPLAY_GOOD;
    return segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "out of memory for %zu iterations",
                              iterations);
}

/** Replays and verifies until the iterations are done or one does not verify. */
static int iterate(struct segue_replay *replay, struct outcome *outcome)
{
    const uint32_t iterations = replay->options->iterations;
    outcome->passed = true;
    for (uint32_t i = 0; i < iterations && outcome->passed; ++i) {
        struct segue_trace_timing timing;
        // The session's buffers are as the trace says when it is new.
        const int result = segue_replay_once(replay, i > 0, &timing);
        if (result != SEGUE_REPLAY_GOOD)
            return result;
        outcome->issue_ns[i] = timing.issue_ns;
        outcome->device_ns[i] = timing.device_ns;
        outcome->total_ns[i] = timing.total_ns;
        const segue_status status =
            segue_trace_session_verify(replay->session, outcome->verifications);
        if (status != SEGUE_OK && status != SEGUE_MISMATCH)
            return segue_replay_trace_failed(replay, status);
        outcome->passed = status == SEGUE_OK;
        outcome->done = i + 1;
        segue_replay_progress_update(&replay->progress, "iterations", i + 1, iterations);
    }
    segue_replay_progress_clear(&replay->progress);
    return SEGUE_REPLAY_GOOD;
}

static int print_command_buffers(struct segue_replay *replay)
{
    static const char *const header[] = {"command buffer", "mode",          "commands", "nodes",
                                         "edges",          "bytes/command", "record",   "lower",
                                         "build",          "instantiate",   "upload"};
    struct segue_replay_table table = {.column_count = 11};
    segue_replay_table_add(&table, header);
    for (uint32_t i = 0; i < replay->counts.command_buffer_count; ++i) {
        const char *name;
        segue_command_buffer *command_buffer =
            segue_trace_session_command_buffer(replay->session, i, &name);
        struct segue_command_buffer_stats stats;
        const segue_status status = segue_command_buffer_get_stats(command_buffer, &stats);
        if (status != SEGUE_OK) {
            segue_replay_table_clear(&table);
            return segue_replay_trace_failed(replay, status);
        }
        char commands[16], nodes[16], edges[16], bytes[16], times[5][16];
        snprintf(commands, sizeof(commands), "%u", stats.command_count);
        snprintf(nodes, sizeof(nodes), "%u", stats.node_count);
        snprintf(edges, sizeof(edges), "%u", stats.edge_count);
        snprintf(bytes, sizeof(bytes), "%.0f",
                 stats.command_count ? (double)stats.recorded_bytes / stats.command_count : 0);
        const uint64_t values[] = {stats.record_ns, stats.lower_ns, stats.build_ns,
                                   stats.instantiate_ns, stats.upload_ns};
        for (uint32_t k = 0; k < 5; ++k)
            segue_replay_format_ns(times[k], sizeof(times[k]), (double)values[k]);
        const char *const row[] = {name,     segue_replay_mode_name(stats.mode),
                                   commands, nodes,
                                   edges,    bytes,
                                   times[0], times[1],
                                   times[2], times[3],
                                   times[4]};
        segue_replay_table_add(&table, row);
    }
    const bool printed = segue_replay_table_print(&table, 0, stdout);
    segue_replay_table_clear(&table);
    return printed ? SEGUE_REPLAY_GOOD
                   : segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "out of memory for a table");
}

static void format_row(const char *label, double issue_ns, double device_ns, double total_ns,
                       struct segue_replay_table *table)
{
    char times[3][16];
    segue_replay_format_ns(times[0], sizeof(times[0]), issue_ns);
    segue_replay_format_ns(times[1], sizeof(times[1]), device_ns);
    segue_replay_format_ns(times[2], sizeof(times[2]), total_ns);
    const char *const row[] = {label, times[0], times[1], times[2]};
    segue_replay_table_add(table, row);
}

/** The first iteration apart from the rest: it may pay for what is done once. */
static int print_times(const struct segue_replay *replay, struct outcome *outcome)
{
    struct segue_replay_table table = {.column_count = 4};
    char label[64];
    snprintf(label, sizeof(label), "%u submission%s", replay->counts.submission_count,
             replay->counts.submission_count == 1 ? "" : "s");
    const char *const header[] = {label, "launch", "device", "total"};
    segue_replay_table_add(&table, header);
    format_row(outcome->done > 1 ? "first iteration" : "one iteration",
               (double)outcome->issue_ns[0], (double)outcome->device_ns[0],
               (double)outcome->total_ns[0], &table);
    if (outcome->done > 1) {
        struct segue_replay_statistics issue, device, total;
        segue_replay_compute_statistics(outcome->issue_ns, outcome->done, &issue);
        segue_replay_compute_statistics(outcome->device_ns, outcome->done, &device);
        segue_replay_compute_statistics(outcome->total_ns, outcome->done, &total);
        snprintf(label, sizeof(label), "median of %u", outcome->done);
        format_row(label, issue.p50, device.p50, total.p50, &table);
    }
    putchar('\n');
    const bool printed = segue_replay_table_print(&table, 0, stdout);
    segue_replay_table_clear(&table);
    return printed ? SEGUE_REPLAY_GOOD
                   : segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "out of memory for a table");
}

static int print_text(struct segue_replay *replay, struct outcome *outcome)
{
    char device[256];
    printf("device: %s\n\n", segue_replay_clean(segue_replay_device_describe(
                                 &replay->device, device, sizeof(device))));
    int result = print_command_buffers(replay);
    if (result == SEGUE_REPLAY_GOOD)
        result = print_times(replay, outcome);
    if (result != SEGUE_REPLAY_GOOD)
        return result;
    struct segue_cache_stats cache;
    segue_device_get_cache_stats(replay->device.handle, &cache);
    putchar('\n');
    segue_replay_print_cache(&cache);
    segue_replay_prepack_print(&replay->prepack, stdout);
    putchar('\n');
    for (uint32_t i = 0; i < replay->counts.expectation_count; ++i) {
        const struct segue_verification *verification = &outcome->verifications[i];
        char line[sizeof(verification->message)];
        printf("%s  %s\n", verification->passed ? "ok    " : "FAILED",
               segue_replay_copy_clean(line, sizeof(line), verification->message));
    }
    if (replay->counts.expectation_count == 0)
        puts("The trace expects nothing, so nothing was verified.");
    return SEGUE_REPLAY_GOOD;
}

static json_t *make_expectations(const struct segue_replay *replay, const struct outcome *outcome)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < replay->counts.expectation_count; ++i) {
        const struct segue_verification *verification = &outcome->verifications[i];
        json_t *item = json_pack(
            "{s:o, s:b, s:o}", "name", segue_replay_json_text(verification->name), "passed",
            verification->passed, "message", segue_replay_json_text(verification->message));
        // JSON has no NaN and no infinity: an error that is not a number stays out.
        json_t *error = json_real(verification->relative_error);
        if (error)
            json_object_set_new(item, "relative_error", error);
        json_object_set_new(item, "tolerance", json_real(verification->tolerance));
        if (json_array_append_new(array, item) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *make_command_buffers(const struct segue_replay *replay)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < replay->counts.command_buffer_count; ++i) {
        const char *name;
        segue_command_buffer *command_buffer =
            segue_trace_session_command_buffer(replay->session, i, &name);
        struct segue_command_buffer_stats stats;
        if (segue_command_buffer_get_stats(command_buffer, &stats) != SEGUE_OK ||
            json_array_append_new(array, segue_replay_json_stats(name, &stats)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *make_times(uint64_t *samples, uint32_t count)
{
    struct segue_replay_statistics statistics;
    segue_replay_compute_statistics(samples, count, &statistics);
    return segue_replay_json_statistics(&statistics);
}

static int print_json(const struct segue_replay *replay, struct outcome *outcome)
{
    struct segue_cache_stats cache;
    segue_device_get_cache_stats(replay->device.handle, &cache);
    json_t *root = json_pack(
        "{s:o, s:o, s:i, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "trace",
        segue_replay_json_text(replay->options->trace_path), "device",
        segue_replay_json_device(&replay->device), "iterations", (int)outcome->done, "passed",
        outcome->passed, "command_buffers", make_command_buffers(replay), "issue_ns",
        make_times(outcome->issue_ns, outcome->done), "device_ns",
        make_times(outcome->device_ns, outcome->done), "total_ns",
        make_times(outcome->total_ns, outcome->done), "expectations",
        make_expectations(replay, outcome), "graph_cache", segue_replay_json_cache(&cache));
    if (root && replay->prepack.plan &&
        json_object_set_new(root, "prepack", segue_replay_prepack_json(&replay->prepack)) != 0) {
        json_decref(root);
        root = NULL;
    }
    return segue_replay_json_write(root, NULL);
}

static int report(struct segue_replay *replay, struct outcome *outcome)
{
    int result = replay->options->json ? print_json(replay, outcome) : print_text(replay, outcome);
    if (result == SEGUE_REPLAY_GOOD && replay->options->outputs_path) {
        const segue_status status =
            segue_trace_session_write_outputs(replay->session, replay->options->outputs_path);
        if (status != SEGUE_OK)
            result =
                segue_replay_fail(status, SEGUE_REPLAY_PHASE_OUTPUT, replay->options->outputs_path);
    }
    if (result != SEGUE_REPLAY_GOOD || outcome->passed)
        return result;
    uint32_t failed = 0;
    for (uint32_t i = 0; i < replay->counts.expectation_count; ++i)
        failed += !outcome->verifications[i].passed;
    fflush(stdout);
    return segue_replay_error(
        SEGUE_REPLAY_FAILED, "%s: %u of %u expectations do not hold in iteration %u",
        replay->options->trace_path, failed, replay->counts.expectation_count, outcome->done);
}

int segue_replay_run(const struct segue_replay_options *options)
{
    struct segue_replay replay = {0};
    struct outcome outcome = {0};
    int result = segue_replay_load(&replay, options);
    if (result == SEGUE_REPLAY_GOOD)
        result = segue_replay_record(
            &replay, options->validate ? SEGUE_VALIDATION_FULL : SEGUE_VALIDATION_BASIC,
            (enum segue_execution_mode)options->mode);
    if (result == SEGUE_REPLAY_GOOD)
        result = segue_replay_apply_settings(&replay);
    if (result == SEGUE_REPLAY_GOOD)
        result = allocate_outcome(&replay, &outcome);
    if (result == SEGUE_REPLAY_GOOD)
        result = iterate(&replay, &outcome);
    if (result == SEGUE_REPLAY_GOOD)
        result = report(&replay, &outcome);
    release_outcome(&outcome);
    segue_replay_close(&replay);
    return result;
}
