// SPDX-License-Identifier: Apache-2.0
#include "harness.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_REPEATS 200

/** How long a benchmark is repeated. */
struct effort {
    uint32_t warmups;
    uint32_t min_repeats;
    uint32_t max_repeats;
    double budget_ns;
};
static const struct effort quick_effort = {1, 3, 20, 10e6};
static const struct effort full_effort = {2, 7, MAX_REPEATS, 500e6};

/** The samples of one benchmark. */
struct samples {
    double values[SEGUE_BENCH_SIDE_COUNT][SEGUE_BENCH_MAX_METRICS][MAX_REPEATS];
    double ratios[SEGUE_BENCH_MAX_METRICS][MAX_REPEATS];
    uint32_t count;
};

double segue_bench_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

void segue_bench_add(struct segue_bench *bench, const struct segue_bench_case *added,
                     const char *name_format, ...)
{
    if (bench->case_count == SEGUE_BENCH_MAX_CASES ||
        added->metric_count > SEGUE_BENCH_MAX_METRICS) {
        fprintf(stderr, "segue-bench: \"%s\" does not fit into the tables\n", name_format);
        abort();
    }
    struct segue_bench_case *place = &bench->cases[bench->case_count++];
    *place = *added;
    va_list arguments;
    va_start(arguments, name_format);
    vsnprintf(place->name, sizeof(place->name), name_format, arguments);
    va_end(arguments);
}

bool segue_bench_fail(struct segue_bench *bench, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(bench->failure, sizeof(bench->failure), format, arguments);
    va_end(arguments);
    return false;
}

bool segue_bench_check(struct segue_bench *bench, segue_status status)
{
    return status == SEGUE_OK || segue_bench_fail(bench, "%s: %s", segue_status_name(status),
                                                  segue_last_error()->message);
}

bool segue_bench_check_raw(struct segue_bench *bench, CUresult result, const char *call)
{
    return result == CUDA_SUCCESS || segue_bench_fail(bench, "%s returned %d", call, (int)result);
}

static void full_name(const struct segue_bench_case *owner, const struct segue_bench_metric *metric,
                      char *out_name, size_t capacity_bytes)
{
    snprintf(out_name, capacity_bytes, "%s%s%s", owner->name, metric->name ? "/" : "",
             metric->name ? metric->name : "");
}

static bool is_wanted(const struct segue_bench *bench, const char *name)
{
    const char *rest = bench->options.filter;
    if (!rest)
        return true;
    for (; *rest != '\0'; rest += *rest == ',') {
        char pattern[SEGUE_BENCH_NAME_BYTES * 2];
        const size_t length = strcspn(rest, ",");
        snprintf(pattern, sizeof(pattern), "%.*s", (int)length, rest);
        if (length > 0 && (strstr(name, pattern) || fnmatch(pattern, name, 0) == 0))
            return true;
        rest += length;
    }
    return false;
}

static bool metric_is_wanted(const struct segue_bench *bench, const struct segue_bench_case *owner,
                             uint32_t index)
{
    char name[SEGUE_BENCH_NAME_BYTES * 2];
    full_name(owner, &owner->metrics[index], name, sizeof(name));
    return is_wanted(bench, name);
}

static bool case_is_wanted(const struct segue_bench *bench, const struct segue_bench_case *owner)
{
    bool wanted = false;
    for (uint32_t m = 0; m < owner->metric_count; m++)
        wanted = wanted || metric_is_wanted(bench, owner, m);
    return wanted;
}

void segue_bench_visit_names(const struct segue_bench *bench,
                             void (*visit)(const char *name, void *context), void *context)
{
    for (uint32_t i = 0; i < bench->case_count; i++) {
        const struct segue_bench_case *owner = &bench->cases[i];
        for (uint32_t m = 0; m < owner->metric_count; m++) {
            char name[SEGUE_BENCH_NAME_BYTES * 2];
            full_name(owner, &owner->metrics[m], name, sizeof(name));
            if (is_wanted(bench, name))
                visit(name, context);
        }
    }
}

/** Both sides once. Which goes first changes from sample to sample, so that neither always finds
 *  the caches and clocks that the other has left. */
static bool take_sample(struct segue_bench *bench, const struct segue_bench_case *owner,
                        void *state, bool baseline_first,
                        double values[SEGUE_BENCH_SIDE_COUNT][SEGUE_BENCH_MAX_METRICS])
{
    for (uint32_t i = 0; i < SEGUE_BENCH_SIDE_COUNT; i++) {
        const uint32_t side = baseline_first ? SEGUE_BENCH_SIDE_COUNT - 1 - i : i;
        if (owner->sides[side] && !owner->sides[side](bench, state, values[side]))
            return false;
    }
    if (owner->combine)
        owner->combine(state, values[SEGUE_BENCH_FIGURE], values[SEGUE_BENCH_BASELINE]);
    return true;
}

static bool sample(struct segue_bench *bench, const struct segue_bench_case *owner, void *state,
                   struct samples *samples)
{
    struct effort effort = bench->options.quick ? quick_effort : full_effort;
    if (bench->options.time_ms != 0)
        effort.budget_ns = bench->options.time_ms * 1e6;
    const uint32_t limit = owner->max_repeats ? owner->max_repeats : effort.max_repeats;
    double values[SEGUE_BENCH_SIDE_COUNT][SEGUE_BENCH_MAX_METRICS] = {{0}};
    for (uint32_t i = 0; i < effort.warmups; i++) {
        if (!take_sample(bench, owner, state, i % 2 != 0, values))
            return false;
    }
    const double start_ns = segue_bench_now_ns();
    for (uint32_t i = 0; i < limit && (i < effort.min_repeats ||
                                       segue_bench_now_ns() - start_ns < effort.budget_ns);
         i++) {
        if (!take_sample(bench, owner, state, i % 2 != 0, values))
            return false;
        for (uint32_t m = 0; m < owner->metric_count; m++) {
            for (uint32_t side = 0; side < SEGUE_BENCH_SIDE_COUNT; side++)
                samples->values[side][m][i] = values[side][m];
            const double baseline = values[SEGUE_BENCH_BASELINE][m];
            samples->ratios[m][i] = baseline > 0 ? values[SEGUE_BENCH_FIGURE][m] / baseline : 0;
        }
        samples->count = i + 1;
    }
    return true;
}

static void add_results(struct segue_bench *bench, const struct segue_bench_case *owner,
                        struct samples *samples)
{
    for (uint32_t m = 0; m < owner->metric_count; m++) {
        if (!metric_is_wanted(bench, owner, m))
            continue;
        struct segue_bench_result *result = &bench->results[bench->result_count++];
        *result = (struct segue_bench_result){
            .owner = owner,
            .metric = &owner->metrics[m],
            .repeats = samples->count,
            .figure = segue_bench_summarise(samples->values[SEGUE_BENCH_FIGURE][m], samples->count),
            .baseline =
                segue_bench_summarise(samples->values[SEGUE_BENCH_BASELINE][m], samples->count),
            .ratio = segue_bench_summarise(samples->ratios[m], samples->count),
        };
        full_name(owner, result->metric, result->name, sizeof(result->name));
        result->has_baseline = result->baseline.median > 0;
    }
}

static bool run_case(struct segue_bench *bench, const struct segue_bench_case *owner)
{
    struct samples *samples = calloc(1, sizeof(*samples));
    if (!samples)
        return segue_bench_fail(bench, "out of memory for the samples");
    void *state = NULL;
    bool good = owner->set_up(bench, owner, &state) && sample(bench, owner, state, samples);
    owner->tear_down(bench, state);
    if (good)
        add_results(bench, owner, samples);
    free(samples);
    return good;
}

bool segue_bench_run(struct segue_bench *bench)
{
    bool good = true;
    for (uint32_t i = 0; i < bench->case_count; i++) {
        const struct segue_bench_case *owner = &bench->cases[i];
        if (!case_is_wanted(bench, owner) || run_case(bench, owner))
            continue;
        fprintf(stderr, "segue-bench: %s failed: %s\n", owner->name, bench->failure);
        good = false;
    }
    return good;
}

const struct segue_bench_result *segue_bench_find(const struct segue_bench *bench,
                                                  const char *name_format, ...)
{
    char name[SEGUE_BENCH_NAME_BYTES * 2];
    va_list arguments;
    va_start(arguments, name_format);
    vsnprintf(name, sizeof(name), name_format, arguments);
    va_end(arguments);
    for (uint32_t i = 0; i < bench->result_count; i++) {
        if (strcmp(bench->results[i].name, name) == 0)
            return &bench->results[i];
    }
    return NULL;
}

void segue_bench_add_note(struct segue_bench *bench, const char *key, const char *format, ...)
{
    if (bench->note_count == SEGUE_BENCH_MAX_NOTES)
        return;
    struct segue_bench_note *note = &bench->notes[bench->note_count++];
    note->key = key;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(note->text, sizeof(note->text), format, arguments);
    va_end(arguments);
}
