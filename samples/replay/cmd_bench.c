// SPDX-License-Identifier: Apache-2.0
#include "json_out.h"
#include "profile.h"
#include "replay.h"
#include "report.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { METRIC_ISSUE, METRIC_DEVICE, METRIC_TOTAL, METRIC_COUNT };
static const char *const metric_names[METRIC_COUNT] = {"issue", "device", "total"};

struct measurements {
    uint64_t *samples[METRIC_COUNT];
    struct segue_replay_statistics statistics[METRIC_COUNT];
};

static int measure(struct segue_replay *replay, struct measurements *measurements)
{
    const struct segue_replay_options *options = replay->options;
    const uint64_t all = (uint64_t)options->warmup + options->iterations;
    for (uint32_t k = 0; k < METRIC_COUNT; ++k) {
        measurements->samples[k] = calloc(options->iterations, sizeof(uint64_t));
        if (!measurements->samples[k])
            return segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "out of memory for %u iterations",
                                      options->iterations);
    }
    for (uint64_t i = 0; i < all; ++i) {
        struct segue_trace_timing timing;
        const int result = segue_replay_once(replay, i > 0 && !options->no_restore, &timing);
        if (result != SEGUE_REPLAY_GOOD)
            return result;
        segue_replay_progress_update(&replay->progress, i < options->warmup ? "warmup" : "measure",
                                     i < options->warmup ? i + 1 : i + 1 - options->warmup,
                                     i < options->warmup ? options->warmup : options->iterations);
        if (i < options->warmup)
            continue;
        const uint64_t k = i - options->warmup;
        measurements->samples[METRIC_ISSUE][k] = timing.issue_ns;
        measurements->samples[METRIC_DEVICE][k] = timing.device_ns;
        measurements->samples[METRIC_TOTAL][k] = timing.total_ns;
    }
    segue_replay_progress_clear(&replay->progress);
    for (uint32_t k = 0; k < METRIC_COUNT; ++k)
        segue_replay_compute_statistics(measurements->samples[k], options->iterations,
                                        &measurements->statistics[k]);
    return SEGUE_REPLAY_GOOD;
}

static int print_table(const struct segue_replay *replay, const struct measurements *measurements)
{
    static const char *const header[] = {"", "min", "p50", "p90", "p99", "max", "mean"};
    struct segue_replay_table table = {.column_count = 7};
    segue_replay_table_add(&table, header);
    for (uint32_t k = 0; k < METRIC_COUNT; ++k) {
        const struct segue_replay_statistics *statistics = &measurements->statistics[k];
        const double values[] = {statistics->min, statistics->p50, statistics->p90,
                                 statistics->p99, statistics->max, statistics->mean};
        char cells[6][16];
        const char *row[7] = {metric_names[k]};
        for (uint32_t i = 0; i < 6; ++i)
            row[i + 1] = segue_replay_format_ns(cells[i], sizeof(cells[i]), values[i]);
        segue_replay_table_add(&table, row);
    }
    char device[256];
    printf(
        "device: %s\n%u iterations after %u to warm up\n\n",
        segue_replay_clean(segue_replay_device_describe(&replay->device, device, sizeof(device))),
        replay->options->iterations, replay->options->warmup);
    const bool printed = segue_replay_table_print(&table, 0, stdout);
    segue_replay_table_clear(&table);
    return printed ? SEGUE_REPLAY_GOOD
                   : segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "out of memory for a table");
}

/** The trace's file name without folders and extension. */
static json_t *trace_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    char name[256];
    segue_replay_copy_clean(name, sizeof(name), slash ? slash + 1 : path);
    char *dot = strrchr(name, '.');
    if (dot && dot != name)
        *dot = '\0';
    return segue_replay_json_text(name);
}

/** The mode that was used; "mixed" where AUTO chose differently for some. */
static const char *used_mode(const struct segue_replay *replay)
{
    const char *mode = NULL;
    for (uint32_t i = 0; i < replay->counts.command_buffer_count; ++i) {
        const char *name;
        struct segue_command_buffer_stats stats;
        segue_command_buffer *command_buffer =
            segue_trace_session_command_buffer(replay->session, i, &name);
        if (segue_command_buffer_get_stats(command_buffer, &stats) != SEGUE_OK)
            return "mixed";
        const char *this_mode = segue_replay_mode_name(stats.mode);
        if (mode && strcmp(mode, this_mode) != 0)
            return "mixed";
        mode = this_mode;
    }
    return mode ? mode : "empty";
}

static json_t *make_context(const struct segue_replay *replay)
{
    char date[64] = "";
    const time_t now = time(NULL);
    struct tm local;
    if (localtime_r(&now, &local))
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S%z", &local);
    // strftime's +hhmm, but ISO 8601 with separators has them in the zone, too.
    const size_t length = strlen(date);
    if (length > 5 && length + 2 < sizeof(date)) {
        memmove(date + length - 1, date + length - 2, 3);
        date[length - 2] = ':';
    }
    char version[32];
    snprintf(version, sizeof(version), "%d.%d.%d", SEGUE_VERSION_MAJOR, SEGUE_VERSION_MINOR,
             SEGUE_VERSION_PATCH);
#ifdef NDEBUG
    const char *build_type = "release";
#else
    const char *build_type = "debug";
#endif
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return json_pack("{s:s, s:s, s:s, s:I, s:i, s:b, s:[], s:[], s:s, s:i, s:o, s:o, s:I, s:s}",
                     "date", date, "host_name", "", "executable", "segue-replay", "num_cpus",
                     (json_int_t)(cpus > 0 ? cpus : 1), "mhz_per_cpu", 0, "cpu_scaling_enabled", 0,
                     "caches", "load_avg", "library_build_type", build_type, "json_schema_version",
                     1, "device", segue_replay_json_text(replay->device.info.name), "device_uri",
                     segue_replay_json_text(replay->device.info.uri), "driver_version",
                     (json_int_t)replay->device.info.driver_version, "segue_version", version);
}

/** One entry. Real time is the metric, CPU time what the host spent issuing. @param aggregate
 *  NULL: the entry for the iterations themselves, which holds their mean. */
static json_t *make_entry(const char *run_name, const char *aggregate, uint32_t iterations,
                          uint32_t family, double real_ns, double cpu_ns)
{
    char name[512];
    snprintf(name, sizeof(name), "%s%s%s", run_name, aggregate ? "_" : "",
             aggregate ? aggregate : "");
    json_t *entry =
        json_pack("{s:s, s:I, s:i, s:s, s:s, s:i, s:i, s:I}", "name", name, "family_index",
                  (json_int_t)family, "per_family_instance_index", 0, "run_name", run_name,
                  "run_type", aggregate ? "aggregate" : "iteration", "repetitions", 1, "threads", 1,
                  "iterations", (json_int_t)iterations);
    int failed = entry == NULL;
    if (aggregate) {
        failed |= json_object_set_new(entry, "aggregate_name", json_string(aggregate));
        failed |= json_object_set_new(entry, "aggregate_unit", json_string("time"));
    } else {
        failed |= json_object_set_new(entry, "repetition_index", json_integer(0));
    }
    failed |= json_object_set_new(entry, "real_time", json_real(real_ns));
    failed |= json_object_set_new(entry, "cpu_time", json_real(cpu_ns));
    failed |= json_object_set_new(entry, "time_unit", json_string("ns"));
    if (!failed)
        return entry;
    json_decref(entry);
    return NULL;
}

static int append_metric(json_t *benchmarks, const char *run_name, uint32_t family,
                         uint32_t iterations, const struct segue_replay_statistics *real,
                         const struct segue_replay_statistics *cpu)
{
    const struct {
        const char *name;
        double real;
        double cpu;
    } entries[] = {
        {NULL, real->mean, cpu->mean},   {"mean", real->mean, cpu->mean},
        {"median", real->p50, cpu->p50}, {"stddev", real->stddev, cpu->stddev},
        {"min", real->min, cpu->min},    {"p90", real->p90, cpu->p90},
        {"p99", real->p99, cpu->p99},    {"max", real->max, cpu->max},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); ++i)
        failed |=
            json_array_append_new(benchmarks, make_entry(run_name, entries[i].name, iterations,
                                                         family, entries[i].real, entries[i].cpu));
    return failed;
}

static json_t *make_benchmarks(const struct segue_replay *replay,
                               const struct measurements *measurements)
{
    json_t *benchmarks = json_array();
    json_t *name = trace_name(replay->options->trace_path);
    int failed = benchmarks == NULL || name == NULL;
    for (uint32_t k = 0; k < METRIC_COUNT && !failed; ++k) {
        char run_name[400];
        snprintf(run_name, sizeof(run_name), "%s/%s/%s", json_string_value(name), used_mode(replay),
                 metric_names[k]);
        failed |=
            append_metric(benchmarks, run_name, k, replay->options->iterations,
                          &measurements->statistics[k], &measurements->statistics[METRIC_ISSUE]);
    }
    json_decref(name);
    if (!failed)
        return benchmarks;
    json_decref(benchmarks);
    return NULL;
}

static int report(const struct segue_replay *replay, const struct measurements *measurements)
{
    const char *path = replay->options->json_path;
    if (!path || strcmp(path, "-") != 0) {
        const int result = print_table(replay, measurements);
        if (result != SEGUE_REPLAY_GOOD || !path)
            return result;
    }
    json_t *root = json_pack("{s:o, s:o}", "context", make_context(replay), "benchmarks",
                             make_benchmarks(replay, measurements));
    return segue_replay_json_write(root, path);
}

int segue_replay_bench(const struct segue_replay_options *options)
{
    struct segue_replay replay = {0};
    struct measurements measurements = {0};
    int result = segue_replay_load(&replay, options);
    if (result == SEGUE_REPLAY_GOOD)
        result = segue_replay_record(&replay, SEGUE_VALIDATION_BASIC,
                                     (enum segue_execution_mode)options->mode);
    if (result == SEGUE_REPLAY_GOOD)
        result = measure(&replay, &measurements);
    if (result == SEGUE_REPLAY_GOOD)
        result = report(&replay, &measurements);
    if (result == SEGUE_REPLAY_GOOD && options->profile_path)
        result = segue_replay_profile_write(&replay, options->profile_path);
    for (uint32_t k = 0; k < METRIC_COUNT; ++k)
        free(measurements.samples[k]);
    segue_replay_close(&replay);
    return result;
}
