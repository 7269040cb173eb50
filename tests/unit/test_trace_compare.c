// SPDX-License-Identifier: Apache-2.0
// The arithmetic of verification.
#include "test.h"
#include "trace/compare.h"

#include <float.h>
#include <math.h>

static double norm_of(const double *values, size_t count)
{
    struct segue_norm norm = {0};
    for (size_t i = 0; i < count; i++)
        segue_norm_add(&norm, values[i]);
    return segue_norm_value(&norm);
}

static void norms_are_right_at_all_scales(void **state)
{
    (void)state;
    assert_true(norm_of(NULL, 0) == 0);
    assert_true(norm_of((double[]){0, 0, -0.0}, 3) == 0);
    assert_true(fabs(norm_of((double[]){3, -4}, 2) - 5) < 1e-14);
    assert_true(fabs(norm_of((double[]){3e300, 4e300}, 2) / 5e300 - 1) < 1e-14);
    assert_true(fabs(norm_of((double[]){3e-300, 0, 4e-300}, 3) / 5e-300 - 1) < 1e-14);
    assert_true(fabs(norm_of((double[]){1e-200, 1e200, 1}, 3) / 1e200 - 1) < 1e-14);
    assert_true(isnan(norm_of((double[]){1, NAN, 2}, 3)));
    assert_true(isnan(norm_of((double[]){INFINITY, 2}, 2)));
    assert_true(isnan(norm_of((double[]){NAN}, 1)));
}

/** Compares two arrays of floats in two pieces. */
static struct segue_comparison compare(const float *actual, const float *expected, size_t count)
{
    struct segue_comparison comparison = {.dtype = SEGUE_DTYPE_F32};
    size_t half = count / 2;
    segue_comparison_add(&comparison, actual, expected, half);
    segue_comparison_add(&comparison, actual + half, expected + half, count - half);
    return comparison;
}

static void errors_are_relative_to_the_whole(void **state)
{
    (void)state;
    const float expected[] = {3, 0, 4, 0};
    const float actual[] = {3, 0.05f, 4, 0};
    struct segue_comparison comparison = compare(actual, expected, 4);
    assert_true(fabs(segue_comparison_error(&comparison) - 0.01) < 1e-8);
    assert_true(segue_comparison_passes(&comparison, 0.0101));
    assert_false(segue_comparison_passes(&comparison, 0.0099));
    assert_false(segue_comparison_passes(&comparison, 0));
    assert_int_equal(comparison.first_index, 1);
    assert_true(comparison.first_expected == 0);
    comparison = compare(expected, expected, 4);
    assert_true(segue_comparison_error(&comparison) == 0);
    assert_true(segue_comparison_passes(&comparison, 0));
    assert_false(comparison.differs);
}

static void nan_never_passes(void **state)
{
    (void)state;
    const float numbers[] = {1, 2};
    const float nans[] = {1, NAN};
    const float infinities[] = {1, INFINITY};
    struct segue_comparison comparison = compare(nans, numbers, 2);
    assert_false(segue_comparison_passes(&comparison, 1e30));
    comparison = compare(numbers, nans, 2);
    assert_false(segue_comparison_passes(&comparison, 1e30));
    comparison = compare(nans, nans, 2);
    assert_false(segue_comparison_passes(&comparison, 1e30));
    assert_false(segue_comparison_passes(&comparison, 0));
    comparison = compare(infinities, infinities, 2);
    assert_false(segue_comparison_passes(&comparison, 1e30));
}

static void zeros_and_signs(void **state)
{
    (void)state;
    const float zeros[] = {0, 0};
    const float negative[] = {-0.0f, 0};
    const float small[] = {FLT_MIN, 0};
    struct segue_comparison comparison = compare(zeros, zeros, 2);
    assert_true(segue_comparison_passes(&comparison, 0));
    comparison = compare(small, zeros, 2);
    assert_true(isinf(segue_comparison_error(&comparison)));
    assert_false(segue_comparison_passes(&comparison, 1e30));
    comparison = compare(negative, zeros, 2);
    assert_true(segue_comparison_passes(&comparison, 1e-9));
    assert_false(segue_comparison_passes(&comparison, 0));
    comparison = compare(zeros, zeros, 0);
    assert_true(segue_comparison_passes(&comparison, 0));
}

static void integers_differ_beyond_doubles(void **state)
{
    (void)state;
    const uint64_t expected[] = {UINT64_C(1) << 63};
    const uint64_t actual[] = {(UINT64_C(1) << 63) + 1};
    struct segue_comparison comparison = {.dtype = SEGUE_DTYPE_U64};
    segue_comparison_add(&comparison, actual, expected, 1);
    assert_true(segue_comparison_error(&comparison) > 0);
    assert_false(segue_comparison_passes(&comparison, 0));
    assert_true(segue_comparison_passes(&comparison, 1e-15));
}

static void outliers_are_found(void **state)
{
    (void)state;
    const float expected[] = {1, 2, 3, 4};
    const float actual[] = {1.1f, 2, 3.5f, NAN};
    assert_int_equal(segue_find_outlier(SEGUE_DTYPE_F32, actual, expected, 4, 0.05), 0);
    assert_int_equal(segue_find_outlier(SEGUE_DTYPE_F32, actual, expected, 4, 0.2), 2);
    assert_int_equal(segue_find_outlier(SEGUE_DTYPE_F32, actual, expected, 4, 1), 3);
    assert_int_equal(segue_find_outlier(SEGUE_DTYPE_F32, actual, expected, 3, 1), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms_are_right_at_all_scales),
        cmocka_unit_test(errors_are_relative_to_the_whole),
        cmocka_unit_test(nan_never_passes),
        cmocka_unit_test(zeros_and_signs),
        cmocka_unit_test(integers_differ_beyond_doubles),
        cmocka_unit_test(outliers_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
