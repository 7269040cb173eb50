// SPDX-License-Identifier: Apache-2.0
/**
 * @file harness.h
 * Benchmarks that stand beside a baseline: what Segue does, and what the raw driver takes for the
 * same, sampled in turns in one process. A benchmark has one or more metrics; `group/name` or
 * `group/name/metric` is the name that is listed, filtered and reported.
 *
 * One thread.
 */
#ifndef SEGUE_BENCH_HARNESS_H
#define SEGUE_BENCH_HARNESS_H

#include "fixture.h"
#include "raw.h"
#include "statistics.h"

#define SEGUE_BENCH_MAX_CASES 256
#define SEGUE_BENCH_MAX_METRICS 6
#define SEGUE_BENCH_NAME_BYTES 64
#define SEGUE_BENCH_MAX_NOTES 8

struct segue_bench_options {
    /** Only names that match or contain one of these patterns, joined by ','. NULL: all. */
    const char *filter;
    const char *device_uri;
    /** Files to write; NULL: none. */
    const char *json_path;
    const char *baseline_path;
    /** How long each benchmark is repeated; 0: half a second, or less with `quick`. */
    uint32_t time_ms;
    /** Small sizes and few repeats. */
    bool quick;
    /** Compares shapes of graphs instead (shapes.h). */
    bool shapes;
    /** Measures the device's cost model instead (calibrate.h). */
    bool calibrate;
    /** A trace that is one of them, or whose graph is kept; NULL: none. */
    const char *trace_path;
};

enum segue_bench_unit {
    SEGUE_BENCH_NANOSECONDS,
    SEGUE_BENCH_BYTES,
};

/** Met by figure <= ratio * baseline + constant, or by figure <= value; the ones not 0 count. */
struct segue_bench_target {
    double ratio;
    double constant;
    double value;
};

struct segue_bench_metric {
    /** What is added to the benchmark's name. NULL: nothing. Static. */
    const char *name;
    enum segue_bench_unit unit;
    /** What stands beside the figure, in words. Static. */
    const char *baseline;
    struct segue_bench_target target;
};

struct segue_bench;

/** The two sides of a sample. */
enum segue_bench_side {
    SEGUE_BENCH_FIGURE,
    SEGUE_BENCH_BASELINE,
    SEGUE_BENCH_SIDE_COUNT,
};

/** One benchmark. Functions return false after segue_bench_check or segue_bench_fail has kept what
 *  failed. */
struct segue_bench_case {
    char name[SEGUE_BENCH_NAME_BYTES];
    const struct segue_bench_metric *metrics;
    uint32_t metric_count;
    /** Parameters; what they mean is the group's business. */
    uint32_t count;
    uint32_t kind;
    enum segue_execution_mode mode;
    /** Moved by what takes the figure's time; 0: no rate is reported. */
    uint64_t bytes;
    /** 0: as many as the time allows. */
    uint32_t max_repeats;
    bool (*set_up)(struct segue_bench *bench, const struct segue_bench_case *self,
                   void **out_state);
    /** Takes one sample of each metric. NULL: `combine` gives that side. */
    bool (*sides[SEGUE_BENCH_SIDE_COUNT])(struct segue_bench *bench, void *state, double *values);
    /** After both sides. NULL: nothing to do. */
    void (*combine)(void *state, double *figures, double *baselines);
    /** Also after a failed set_up, with what it has left in `out_state` (NULL if nothing). */
    void (*tear_down)(struct segue_bench *bench, void *state);
};

/** What was measured of one metric. */
struct segue_bench_result {
    char name[SEGUE_BENCH_NAME_BYTES * 2];
    const struct segue_bench_case *owner;
    const struct segue_bench_metric *metric;
    uint32_t repeats;
    struct segue_bench_summary figure;
    /** All 0 where there is no baseline. */
    struct segue_bench_summary baseline;
    /** Of the figure to the baseline of the same sample: what disturbs both sides cancels out. */
    struct segue_bench_summary ratio;
    bool has_baseline;
};

/** A conclusion from several results. */
struct segue_bench_note {
    const char *key;
    char text[200];
};

struct segue_bench {
    struct segue_bench_options options;
    struct segue_bench_fixture fixture;
    struct segue_bench_raw raw;
    struct segue_bench_case cases[SEGUE_BENCH_MAX_CASES];
    uint32_t case_count;
    struct segue_bench_result results[SEGUE_BENCH_MAX_CASES * SEGUE_BENCH_MAX_METRICS];
    uint32_t result_count;
    struct segue_bench_note notes[SEGUE_BENCH_MAX_NOTES];
    uint32_t note_count;
    char failure[512];
};

double segue_bench_now_ns(void);

/** Adds a benchmark, copied; named by the format. What does not fit is a defect of the program and
 *  ends it. */
void segue_bench_add(struct segue_bench *bench, const struct segue_bench_case *added,
                     const char *name_format, ...) SEGUE_PRINTF(3, 4);

/** Keeps what failed; false. */
bool segue_bench_fail(struct segue_bench *bench, const char *format, ...) SEGUE_PRINTF(2, 3);
/** True for SEGUE_OK; else keeps Segue's message. */
bool segue_bench_check(struct segue_bench *bench, segue_status status);
/** True for CUDA_SUCCESS; else keeps the call's name. */
bool segue_bench_check_raw(struct segue_bench *bench, CUresult result, const char *call);

/** Calls `visit` for every name that the filter lets through. */
void segue_bench_visit_names(const struct segue_bench *bench,
                             void (*visit)(const char *name, void *context), void *context);

/** Runs what the filter lets through, on the opened fixture and raw driver. @return false if any
 *  benchmark failed; says so on stderr and goes on with the next one. */
bool segue_bench_run(struct segue_bench *bench);

/** The result of that name; NULL if it was not measured. */
const struct segue_bench_result *segue_bench_find(const struct segue_bench *bench,
                                                  const char *name_format, ...) SEGUE_PRINTF(2, 3);

/** Adds a conclusion. `key` is static. */
void segue_bench_add_note(struct segue_bench *bench, const char *key, const char *format, ...)
    SEGUE_PRINTF(3, 4);

/* ---- The groups, one file each --------------------------------------------------------------- */

void segue_bench_add_memory(struct segue_bench *bench);
void segue_bench_add_record(struct segue_bench *bench);
void segue_bench_add_lower(struct segue_bench *bench);
void segue_bench_add_launch(struct segue_bench *bench);
void segue_bench_add_submit(struct segue_bench *bench);
void segue_bench_add_transfer(struct segue_bench *bench);
void segue_bench_add_depend(struct segue_bench *bench);
void segue_bench_add_cache(struct segue_bench *bench);
void segue_bench_add_cache_loop(struct segue_bench *bench);
void segue_bench_add_cache_memory(struct segue_bench *bench);
void segue_bench_add_cache_rebind(struct segue_bench *bench);
/** Only with a trace. */
void segue_bench_add_cache_trace(struct segue_bench *bench);

/** States from which length on a graph is faster than a stream. */
void segue_bench_conclude_launch(struct segue_bench *bench);
/** States what the device's cache of graphs has done in all benchmarks together. */
void segue_bench_conclude_cache(struct segue_bench *bench);

#endif // SEGUE_BENCH_HARNESS_H
