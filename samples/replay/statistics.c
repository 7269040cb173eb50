// SPDX-License-Identifier: Apache-2.0
#include "statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_samples(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left;
    const uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static double percentile(const uint64_t *sorted, uint32_t count, double fraction)
{
    const double position = fraction * (double)(count - 1);
    const uint32_t below = (uint32_t)position;
    const uint32_t above = below + 1 < count ? below + 1 : below;
    const double weight = position - (double)below;
    return (double)sorted[below] * (1 - weight) + (double)sorted[above] * weight;
}

void segue_replay_compute_statistics(uint64_t *samples, uint32_t count,
                                     struct segue_replay_statistics *out_statistics)
{
    memset(out_statistics, 0, sizeof(*out_statistics));
    if (count == 0)
        return;
    qsort(samples, count, sizeof(*samples), compare_samples);
    double sum = 0;
    for (uint32_t i = 0; i < count; ++i)
        sum += (double)samples[i];
    const double mean = sum / (double)count;
    double squares = 0;
    for (uint32_t i = 0; i < count; ++i)
        squares += ((double)samples[i] - mean) * ((double)samples[i] - mean);
    *out_statistics = (struct segue_replay_statistics){
        .min = (double)samples[0],
        .p50 = percentile(samples, count, 0.50),
        .p90 = percentile(samples, count, 0.90),
        .p99 = percentile(samples, count, 0.99),
        .max = (double)samples[count - 1],
        .mean = mean,
        .stddev = count > 1 ? sqrt(squares / (double)(count - 1)) : 0,
    };
}
