// SPDX-License-Identifier: Apache-2.0
/**
 * @file calibrate.h
 * segue-bench --calibrate.
 */
#ifndef SEGUE_BENCH_CALIBRATE_H
#define SEGUE_BENCH_CALIBRATE_H

#include "harness.h"

/** Measures the opened device's cost model, prints it and writes it to the file that devices of
 *  that name read when they are opened. What is not measured keeps the values that it has. False if
 *  something failed; that is on stderr. */
bool segue_bench_calibrate(struct segue_bench *bench);

/** Measures what making, writing and launching a graph takes the host, and launching on a stream;
 *  prints the times by node count as comments. False after segue_bench_fail. */
bool segue_bench_calibrate_modes(struct segue_bench *bench, struct segue_cost_model *model);

#endif // SEGUE_BENCH_CALIBRATE_H
