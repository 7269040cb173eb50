// SPDX-License-Identifier: Apache-2.0
#include "compare.h"

#include "statistics.h"

#include <stdlib.h>
#include <string.h>

#define FORMAT "segue-bench-baseline"
#define VERSION 2

/** A comparison under way. */
struct comparing {
    const json_t *entries;
    /** Names of the run, as keys. */
    json_t *seen;
    FILE *out;
    struct segue_bench_comparison *counts;
    bool good;
};

/** A baseline being made. */
struct making {
    json_t *entries;
    bool good;
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/** A number that must be there and not negative. */
static bool read_number(const json_t *object, const char *key, double *out_value)
{
    const json_t *value = json_object_get(object, key);
    *out_value = json_number_value(value);
    return json_is_number(value) && *out_value >= 0;
}

bool segue_bench_visit_run(const json_t *run,
                           void (*visit)(const char *name, double ratio, double ratio_p90,
                                         void *context),
                           void *context)
{
    const json_t *benchmarks = json_object_get(run, "benchmarks");
    if (!json_is_array(benchmarks) || !json_is_object(json_object_get(run, "context")))
        return false;
    const size_t suffix_length = strlen("/baseline");
    for (size_t i = 0; i < json_array_size(benchmarks); i++) {
        const json_t *entry = json_array_get(benchmarks, i);
        const char *name = text_of(entry, "name");
        const size_t length = strlen(name);
        if (strcmp(text_of(entry, "run_type"), "iteration") != 0)
            continue;
        if (length == 0)
            return false;
        if (length > suffix_length && strcmp(name + length - suffix_length, "/baseline") == 0)
            continue;
        double ratio;
        double ratio_p90;
        if (!read_number(entry, "ratio", &ratio))
            ratio = 0;
        if (!read_number(entry, "ratio_p90", &ratio_p90))
            ratio_p90 = ratio;
        visit(name, ratio, ratio_p90, context);
    }
    return true;
}

/** NULL unless the document is a baseline. */
static json_t *entries_of(const json_t *baseline)
{
    json_t *entries = json_object_get(baseline, "benchmarks");
    if (strcmp(text_of(baseline, "format"), FORMAT) != 0 ||
        json_integer_value(json_object_get(baseline, "version")) != VERSION ||
        !json_is_object(entries))
        return NULL;
    return entries;
}

static void compare_one(const char *name, double ratio, double ratio_p90, void *context)
{
    (void)ratio_p90;
    struct comparing *comparing = context;
    struct segue_bench_comparison *counts = comparing->counts;
    const json_t *entry = json_object_get(comparing->entries, name);
    if (ratio <= 0)
        return;
    if (json_object_set_new(comparing->seen, name, json_true()) != 0)
        comparing->good = false;
    if (!entry) {
        counts->added++;
        fprintf(comparing->out, "new      %-40s %.4g: not in the baseline\n", name, ratio);
        return;
    }
    double recorded;
    double spread;
    if (!read_number(entry, "ratio", &recorded) || !read_number(entry, "spread", &spread)) {
        fprintf(comparing->out, "error: the baseline's \"%s\" lacks ratio or spread\n", name);
        comparing->good = false;
        return;
    }
    counts->compared++;
    const bool worse = ratio > recorded + spread;
    const bool better = ratio < recorded - spread;
    counts->worse += worse;
    counts->better += better;
    if (worse || better)
        fprintf(comparing->out, "%-8s %-40s %.4g, was %.4g (spread %.2g)\n",
                worse ? "WORSE" : "better", name, ratio, recorded, spread);
}

static void report_missing(const struct comparing *comparing)
{
    const char *name;
    json_t *entry;
    json_t *entries = (json_t *)(uintptr_t)comparing->entries;
    json_object_foreach(entries, name, entry)
    {
        if (json_object_get(comparing->seen, name))
            continue;
        comparing->counts->missing++;
        fprintf(comparing->out, "MISSING  %-40s not in the run\n", name);
    }
}

bool segue_bench_compare(const json_t *run, const json_t *baseline, FILE *out,
                         struct segue_bench_comparison *out_comparison)
{
    struct segue_bench_comparison counts = {0};
    const json_t *entries = entries_of(baseline);
    if (!entries || json_object_size(entries) == 0) {
        fprintf(out, "error: the baseline %s; write one with segue-bench --write-baseline\n",
                entries ? "has no entries" : "is not a document of format \"" FORMAT "\"");
        return false;
    }
    const char *device = text_of(json_object_get(run, "context"), "device");
    counts.comparable = strcmp(device, text_of(baseline, "device")) == 0;
    if (!counts.comparable) {
        fprintf(out, "not compared: the run is of \"%s\", the baseline of \"%s\"\n", device,
                text_of(baseline, "device"));
        *out_comparison = counts;
        return true;
    }
    struct comparing comparing = {entries, json_object(), out, &counts, true};
    const bool is_run = comparing.seen && segue_bench_visit_run(run, compare_one, &comparing);
    if (!is_run)
        fputs("error: the run is not a document of segue-bench\n", out);
    const bool good = is_run && comparing.good;
    if (good) {
        report_missing(&comparing);
        fprintf(out, "%u compared: %u worse, %u better; %u missing, %u new\n", counts.compared,
                counts.worse, counts.better, counts.missing, counts.added);
        *out_comparison = counts;
    }
    json_decref(comparing.seen);
    return good;
}

/** The ratio and the spread that `ratios` come to, which it sorts. */
static void summarise_runs(double *ratios, size_t count, double within_run, double *out_ratio,
                           double *out_spread)
{
    const double ratio = segue_bench_summarise(ratios, count).median;
    const double between_runs = ratios[count - 1] - ratios[0];
    double spread = count > 1 ? SEGUE_BENCH_SPREAD_RANGES * between_runs : within_run;
    if (spread < SEGUE_BENCH_LEAST_SPREAD * ratio)
        spread = SEGUE_BENCH_LEAST_SPREAD * ratio;
    *out_ratio = ratio;
    *out_spread = spread;
}

static void make_one(const char *name, double ratio, double ratio_p90, void *context)
{
    struct making *making = context;
    if (ratio <= 0)
        return;
    const json_t *previous = json_object_get(json_object_get(making->entries, name), "ratios");
    const size_t earlier = json_array_size(previous);
    json_t *kept = json_array();
    double *ratios = calloc(earlier + 1, sizeof(*ratios));
    bool good = kept && ratios && (!json_object_get(making->entries, name) || earlier > 0);
    for (size_t i = 0; i <= earlier && good; i++) {
        ratios[i] = i < earlier ? json_number_value(json_array_get(previous, i)) : ratio;
        good = ratios[i] > 0 && json_array_append_new(kept, json_real(ratios[i])) == 0;
    }
    double middle = 0;
    double spread = 0;
    if (good)
        summarise_runs(ratios, earlier + 1, ratio_p90 - ratio, &middle, &spread);
    free(ratios);
    if (!good) {
        json_decref(kept);
        making->good = false;
        return;
    }
    json_t *entry = json_pack("{s:f, s:f, s:o}", "ratio", middle, "spread", spread, "ratios", kept);
    if (json_object_set_new(making->entries, name, entry) != 0)
        making->good = false;
}

json_t *segue_bench_make_baseline(const json_t *run, const json_t *previous)
{
    const json_t *context = json_object_get(run, "context");
    const char *device = text_of(context, "device");
    // One that is checked in without entries says what it will be of, and is no earlier run.
    const bool is_empty = previous && json_object_size(entries_of(previous)) == 0;
    if (previous && (!entries_of(previous) || strcmp(text_of(previous, "device"), device) != 0)) {
        fprintf(stderr, "the baseline to add to is of \"%s\", this run of \"%s\"\n",
                text_of(previous, "device"), device);
        return NULL;
    }
    struct making making = {
        previous && !is_empty ? json_deep_copy(entries_of(previous)) : json_object(), true};
    if (!making.entries || !segue_bench_visit_run(run, make_one, &making) || !making.good) {
        fputs("the baseline could not be made: malformed, or out of memory\n", stderr);
        json_decref(making.entries);
        return NULL;
    }
    return json_pack("{s:s, s:i, s:s, s:I, s:s, s:o}", "format", FORMAT, "version", VERSION,
                     "device", device, "driver_version",
                     json_integer_value(json_object_get(context, "driver_version")), "commit",
                     text_of(context, "commit"), "benchmarks", making.entries);
}
