// SPDX-License-Identifier: Apache-2.0
/**
 * @file statistics.h
 * Percentiles of measured times.
 */
#ifndef SEGUE_REPLAY_STATISTICS_H
#define SEGUE_REPLAY_STATISTICS_H

#include <stdint.h>

/** Percentiles are interpolated between the two nearest samples. All 0 for no samples. */
struct segue_replay_statistics {
    double min;
    double p50;
    double p90;
    double p99;
    double max;
    double mean;
    /** Of the sample (divided by count - 1); 0 for one. */
    double stddev;
};

/** Sorts `samples` in place. */
void segue_replay_compute_statistics(uint64_t *samples, uint32_t count,
                                     struct segue_replay_statistics *out_statistics);

#endif // SEGUE_REPLAY_STATISTICS_H
