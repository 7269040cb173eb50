// SPDX-License-Identifier: Apache-2.0
/**
 * @file report.h
 * Results as a table, as Google Benchmark's JSON, and as a baseline for compare.h.
 */
#ifndef SEGUE_BENCH_REPORT_H
#define SEGUE_BENCH_REPORT_H

#include "harness.h"

#include <jansson.h>

/** Whether the result meets its metric's target; true where there is none. */
bool segue_bench_meets_target(const struct segue_bench_result *result);

/** Prints every figure beside its baseline, ratio and target, then the conclusions. */
void segue_bench_print_table(const struct segue_bench *bench);

/** Google Benchmark's document; NULL when out of memory. A result is an entry with counters for
 *  baseline and ratio, its aggregates, and the same for its baseline as `name/baseline`. */
json_t *segue_bench_make_json(const struct segue_bench *bench);

/** What a run was made with: machine, device, versions, conclusions. NULL when out of memory. */
json_t *segue_bench_make_context(const struct segue_bench *bench);

/** Writes `root` (NULL: memory ran out) and gives it up. Says on stderr what failed. */
bool segue_bench_write_json(json_t *root, const char *path);

#endif // SEGUE_BENCH_REPORT_H
