// SPDX-License-Identifier: Apache-2.0
#include "compare.h"

#include "dtype.h"

#include <math.h>

void segue_norm_add(struct segue_norm *norm, double value)
{
    double magnitude = fabs(value);
    if (magnitude == 0) {
        return;
    }
    if (!isfinite(magnitude)) {
        norm->sum = NAN;
        return;
    }
    if (magnitude > norm->scale) {
        double ratio = norm->scale / magnitude;
        norm->sum = 1 + norm->sum * ratio * ratio;
        norm->scale = magnitude;
    } else {
        double ratio = magnitude / norm->scale;
        norm->sum += ratio * ratio;
    }
}

double segue_norm_value(const struct segue_norm *norm)
{
    return norm->scale == 0 && norm->sum == 0 ? 0 : norm->scale * sqrt(norm->sum);
}

void segue_comparison_add(struct segue_comparison *comparison, const void *actual,
                          const void *expected, size_t count)
{
    size_t size_bytes = segue_dtype_size_bytes(comparison->dtype);
    bool is_float = segue_dtype_is_float(comparison->dtype);
    for (size_t i = 0; i < count; i++) {
        double a = segue_dtype_load(comparison->dtype, actual, i);
        double e = segue_dtype_load(comparison->dtype, expected, i);
        bool same = memcmp((const unsigned char *)actual + i * size_bytes,
                           (const unsigned char *)expected + i * size_bytes, size_bytes) == 0;
        // Large 64-bit integers may differ and still be the same double.
        bool hidden = !same && a == e && !is_float;
        segue_norm_add(&comparison->error, hidden ? 1.0 : a - e);
        segue_norm_add(&comparison->expected, e);
        if (!same && !comparison->differs) {
            comparison->differs = true;
            comparison->first_index = comparison->element_count + i;
            comparison->first_actual = a;
            comparison->first_expected = e;
        }
    }
    comparison->element_count += count;
}

double segue_comparison_error(const struct segue_comparison *comparison)
{
    double error = segue_norm_value(&comparison->error);
    double expected = segue_norm_value(&comparison->expected);
    if (error == 0 && expected == 0) {
        return 0;
    }
    return error / expected;
}

bool segue_comparison_passes(const struct segue_comparison *comparison, double tolerance)
{
    double error = segue_comparison_error(comparison);
    if (isnan(error)) {
        return false;
    }
    return tolerance == 0 ? !comparison->differs : error <= tolerance;
}

size_t segue_find_outlier(enum segue_dtype dtype, const void *actual, const void *expected,
                          size_t count, double limit)
{
    for (size_t i = 0; i < count; i++) {
        double difference =
            fabs(segue_dtype_load(dtype, actual, i) - segue_dtype_load(dtype, expected, i));
        if (!(difference <= limit)) {
            return i;
        }
    }
    return count;
}
