// SPDX-License-Identifier: Apache-2.0
#include "statistics.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double percentile(const double *sorted, size_t count, double share)
{
    const double position = share * (double)(count - 1);
    const size_t below = (size_t)position;
    if (below + 1 >= count)
        return sorted[count - 1];
    const double rest = position - (double)below;
    return sorted[below] + rest * (sorted[below + 1] - sorted[below]);
}

struct segue_bench_summary segue_bench_summarise(double *samples, size_t count)
{
    qsort(samples, count, sizeof(*samples), compare);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += samples[i];
    const double mean = sum / (double)count;
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += (samples[i] - mean) * (samples[i] - mean);
    return (struct segue_bench_summary){
        .min = samples[0],
        .median = percentile(samples, count, 0.5),
        .p10 = percentile(samples, count, 0.1),
        .p90 = percentile(samples, count, 0.9),
        .mean = mean,
        .stddev = count > 1 ? sqrt(squares / (double)(count - 1)) : 0,
    };
}
