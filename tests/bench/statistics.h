// SPDX-License-Identifier: Apache-2.0
/**
 * @file statistics.h
 * What is said about the samples of one figure.
 */
#ifndef SEGUE_BENCH_STATISTICS_H
#define SEGUE_BENCH_STATISTICS_H

#include <stddef.h>

struct segue_bench_summary {
    double min;
    double median;
    double p10;
    double p90;
    double mean;
    double stddev;
};

/** Of `count` samples, at least one; sorts them. Percentiles lie between two samples where they
 *  fall between them. */
struct segue_bench_summary segue_bench_summarise(double *samples, size_t count);

#endif // SEGUE_BENCH_STATISTICS_H
