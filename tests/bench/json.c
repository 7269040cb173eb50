// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/** ISO 8601 in UTC. */
static void format_date(char *text, size_t capacity)
{
    const time_t now = time(NULL);
    struct tm utc;
    text[0] = '\0';
    if (gmtime_r(&now, &utc))
        strftime(text, capacity, "%Y-%m-%dT%H:%M:%S+00:00", &utc);
}

/** The processor's name as the system tells it; "unknown" where it does not. */
static void find_processor(char *name, size_t capacity)
{
    snprintf(name, capacity, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file)
        return;
    char line[256];
    while (fgets(line, sizeof(line), file)) {
        const char *colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (!colon)
            continue;
        snprintf(name, capacity, "%s", colon + 1 + strspn(colon + 1, " \t"));
        name[strcspn(name, "\n")] = '\0';
        break;
    }
    fclose(file);
}

/** A description without the machine's name. */
static void describe_machine(char *text, size_t capacity)
{
    char processor[160];
    find_processor(processor, sizeof(processor));
    struct utsname system;
    if (uname(&system) == 0)
        snprintf(text, capacity, "%s, %.40s %.60s %.40s", processor, system.sysname, system.release,
                 system.machine);
    else
        snprintf(text, capacity, "%s", processor);
}

static json_t *make_notes(const struct segue_bench *bench)
{
    json_t *notes = json_object();
    int failed = notes == NULL;
    for (uint32_t i = 0; i < bench->note_count; i++)
        failed |=
            json_object_set_new(notes, bench->notes[i].key, json_string(bench->notes[i].text));
    if (!failed)
        return notes;
    json_decref(notes);
    return NULL;
}

json_t *segue_bench_make_context(const struct segue_bench *bench)
{
    const struct segue_device_info *info = &bench->fixture.info;
    char date[64];
    char machine[320];
    char version[32];
    format_date(date, sizeof(date));
    describe_machine(machine, sizeof(machine));
    snprintf(version, sizeof(version), "%d.%d.%d", SEGUE_VERSION_MAJOR, SEGUE_VERSION_MINOR,
             SEGUE_VERSION_PATCH);
#ifdef NDEBUG
    const char *build_type = "release";
#else
    const char *build_type = "debug";
#endif
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    json_t *context =
        json_pack("{s:s, s:s, s:s, s:i, s:i, s:b, s:[], s:[], s:s, s:i}", "date", date, "host_name",
                  "", "executable", "segue-bench", "num_cpus", (int)(cpus > 0 ? cpus : 1),
                  "mhz_per_cpu", 0, "cpu_scaling_enabled", 0, "caches", "load_avg",
                  "library_build_type", build_type, "json_schema_version", 1);
    json_t *own = json_pack(
        "{s:s, s:s, s:s, s:i, s:[i,i], s:s, s:s, s:b, s:o}", "machine", machine, "device",
        info->name, "device_uri", info->uri, "driver_version", (int)info->driver_version,
        "compute_capability", (int)info->compute_capability_major,
        (int)info->compute_capability_minor, "segue_version", version, "commit", SEGUE_BENCH_COMMIT,
        "quick", (int)bench->options.quick, "notes", make_notes(bench));
    const bool good = context && own && json_object_update(context, own) == 0;
    json_decref(own);
    if (good)
        return context;
    json_decref(context);
    return NULL;
}

/** An entry. Times are both real and processor time; bytes are a counter of their own. */
static json_t *make_entry(const struct segue_bench_result *result, uint32_t family,
                          const char *run_name, const char *aggregate, double value)
{
    const bool is_time = result->metric->unit == SEGUE_BENCH_NANOSECONDS;
    const double time_ns = is_time ? value : 0;
    char name[SEGUE_BENCH_NAME_BYTES * 2 + 32];
    snprintf(name, sizeof(name), "%s%s%s", run_name, aggregate ? "_" : "",
             aggregate ? aggregate : "");
    json_t *entry = json_pack(
        "{s:s, s:i, s:i, s:s, s:s, s:i, s:i, s:i, s:f, s:f, s:s}", "name", name, "family_index",
        (int)family, "per_family_instance_index", 0, "run_name", run_name, "run_type",
        aggregate ? "aggregate" : "iteration", "repetitions", 1, "threads", 1, "iterations",
        (int)result->repeats, "real_time", time_ns, "cpu_time", time_ns, "time_unit", "ns");
    int failed = entry == NULL;
    if (aggregate) {
        failed |= json_object_set_new(entry, "aggregate_name", json_string(aggregate));
        failed |= json_object_set_new(entry, "aggregate_unit", json_string("time"));
    } else {
        failed |= json_object_set_new(entry, "repetition_index", json_integer(0));
    }
    if (!is_time)
        failed |= json_object_set_new(entry, "bytes", json_real(value));
    else if (result->owner->bytes != 0 && value > 0)
        failed |= json_object_set_new(entry, "bytes_per_second",
                                      json_real((double)result->owner->bytes / value * 1e9));
    if (!failed)
        return entry;
    json_decref(entry);
    return NULL;
}

/** The counters that only the main entry of a result has. */
static int add_counters(json_t *entry, const struct segue_bench_result *result)
{
    int failed = entry == NULL;
    if (result->metric->baseline)
        failed |= json_object_set_new(entry, "label", json_string(result->metric->baseline));
    if (!result->has_baseline)
        return failed;
    failed |= json_object_set_new(entry, "baseline", json_real(result->baseline.median));
    failed |= json_object_set_new(entry, "ratio", json_real(result->ratio.median));
    failed |= json_object_set_new(entry, "ratio_p10", json_real(result->ratio.p10));
    if (result->baseline.min > 0)
        failed |= json_object_set_new(entry, "ratio_of_minima",
                                      json_real(result->figure.min / result->baseline.min));
    failed |= json_object_set_new(entry, "ratio_p90", json_real(result->ratio.p90));
    return failed;
}

static int append_side(json_t *benchmarks, const struct segue_bench_result *result, uint32_t family,
                       enum segue_bench_side side)
{
    const struct segue_bench_summary *summary =
        side == SEGUE_BENCH_FIGURE ? &result->figure : &result->baseline;
    char run_name[SEGUE_BENCH_NAME_BYTES * 2 + 16];
    snprintf(run_name, sizeof(run_name), "%s%s", result->name,
             side == SEGUE_BENCH_FIGURE ? "" : "/baseline");
    const struct {
        const char *aggregate;
        double value;
    } entries[] = {
        {NULL, summary->mean},       {"mean", summary->mean}, {"median", summary->median},
        {"stddev", summary->stddev}, {"p10", summary->p10},   {"p90", summary->p90},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        json_t *entry =
            make_entry(result, family, run_name, entries[i].aggregate, entries[i].value);
        if (!entries[i].aggregate && side == SEGUE_BENCH_FIGURE)
            failed |= add_counters(entry, result);
        failed |= json_array_append_new(benchmarks, entry);
    }
    return failed;
}

json_t *segue_bench_make_json(const struct segue_bench *bench)
{
    json_t *benchmarks = json_array();
    int failed = benchmarks == NULL;
    for (uint32_t i = 0; i < bench->result_count; i++) {
        const struct segue_bench_result *result = &bench->results[i];
        failed |= append_side(benchmarks, result, i, SEGUE_BENCH_FIGURE);
        if (result->has_baseline)
            failed |= append_side(benchmarks, result, i, SEGUE_BENCH_BASELINE);
    }
    if (!failed)
        return json_pack("{s:o, s:o}", "context", segue_bench_make_context(bench), "benchmarks",
                         benchmarks);
    json_decref(benchmarks);
    return NULL;
}

bool segue_bench_write_json(json_t *root, const char *path)
{
    if (!root) {
        fprintf(stderr, "segue-bench: out of memory while writing %s\n", path);
        return false;
    }
    const bool written = json_dump_file(root, path, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0;
    json_decref(root);
    if (!written)
        fprintf(stderr, "segue-bench: %s cannot be written: %s\n", path, strerror(errno));
    return written;
}
