// SPDX-License-Identifier: Apache-2.0
/**
 * @file compare.h
 * Ratios of a run against checked-in ones. Ratios, not times: they hold on another host with the
 * same GPU, and under another clock.
 *
 * A baseline is a JSON document:
 *
 *   {"format": "segue-bench-baseline", "version": 1,
 *    "device": "NVIDIA H200", "driver_version": 13000, "commit": "...",
 *    "benchmarks": {"record/dispatch": {"ratio": 0.12, "spread": 0.01, "runs": 3}, ...}}
 *
 * `ratio` is the mean of the medians of `runs` runs, and ratio + spread the highest p90 of any.
 */
#ifndef SEGUE_BENCH_COMPARE_H
#define SEGUE_BENCH_COMPARE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** Spreads are at least this share of their ratio: few runs do not show all of how runs differ. */
#define SEGUE_BENCH_LEAST_SPREAD 0.05

/** A spread is this many times the range of the ratios of several runs. Of 116 ratios of two more
 *  runs on an H200 one was further than 2.2 times the range of five from their median. */
#define SEGUE_BENCH_SPREAD_RANGES 3

struct segue_bench_comparison {
    /** False: the run is of another device, and nothing was compared. */
    bool comparable;
    /** Ratios found on both sides, and those of them out of the recorded spread. */
    uint32_t compared;
    uint32_t worse;
    uint32_t better;
    /** In the baseline only. */
    uint32_t missing;
    /** In the run only. */
    uint32_t added;
};

/**
 * Compares a run (segue-bench's JSON) with a baseline; prints a line for each difference and a
 * summary to `out`. A run fails that is worse somewhere, or in which something is missing.
 * @return false, with a line on `out`, if one of the documents is not what it should be; a
 *         baseline without entries is not.
 */
bool segue_bench_compare(const json_t *run, const json_t *baseline, FILE *out,
                         struct segue_bench_comparison *out_comparison);

/**
 * A baseline made from a run and the runs that `previous` (NULL: none) was made from: of each ratio
 * the median, the spread, and what it was in each run. Of one run alone the spread is what its own
 * samples show (their 90th percentile). Entries that the run does not have are kept.
 * @return NULL, with a line on stderr, if `previous` is of another device or malformed, or when out
 *         of memory.
 */
json_t *segue_bench_make_baseline(const json_t *run, const json_t *previous);

/** Calls `visit` for every result of a run, with its ratio, or 0 where it has none. False if the
 *  document is not a run. */
bool segue_bench_visit_run(const json_t *run,
                           void (*visit)(const char *name, double ratio, double ratio_p90,
                                         void *context),
                           void *context);

#endif // SEGUE_BENCH_COMPARE_H
