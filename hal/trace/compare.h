// SPDX-License-Identifier: Apache-2.0
/**
 * @file compare.h
 * Comparing results with what was expected, piece by piece.
 */
#ifndef SEGUE_TRACE_COMPARE_H
#define SEGUE_TRACE_COMPARE_H

#include <segue/trace.h>

/** A Euclidean norm that neither overflows nor underflows: scale * sqrt(sum). */
struct segue_norm {
    double scale;
    double sum;
};

/** Adds an element. NaN and infinity stick. */
void segue_norm_add(struct segue_norm *norm, double value);
double segue_norm_value(const struct segue_norm *norm);

/** State of a comparison. Zero-initialise, set dtype, then feed pieces in order. */
struct segue_comparison {
    enum segue_dtype dtype;
    uint64_t element_count;
    struct segue_norm error;
    struct segue_norm expected;
    /** First element whose bytes differ, and both values. */
    bool differs;
    uint64_t first_index;
    double first_actual;
    double first_expected;
};

/** Compares `count` further elements. */
void segue_comparison_add(struct segue_comparison *comparison, const void *actual,
                          const void *expected, size_t count);

/** ‖actual − expected‖ / ‖expected‖: 0 where bytes are equal and finite; infinite where nothing but
 *  zeros was expected and something else came; NaN where a NaN or an infinity is involved. */
double segue_comparison_error(const struct segue_comparison *comparison);

/** Whether the error is within the tolerance. NaN never is; tolerance 0 means equal bytes. */
bool segue_comparison_passes(const struct segue_comparison *comparison, double tolerance);

/** Index of the first of `count` elements that differs by more than `limit` or is not a number;
 *  `count` if none does. */
size_t segue_find_outlier(enum segue_dtype dtype, const void *actual, const void *expected,
                          size_t count, double limit);

#endif // SEGUE_TRACE_COMPARE_H
