// SPDX-License-Identifier: Apache-2.0
#include "compare.h"
#include "statistics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/** A run of three results, two with ratios, the first of them as given. */
static json_t *make_run(const char *device, double first_ratio)
{
    json_t *run = json_pack(
        "{s:{s:s, s:i, s:s}, s:["
        "{s:s, s:s, s:f, s:f}, {s:s, s:s, s:f}, {s:s, s:s},"
        "{s:s, s:s, s:f, s:f}, {s:s, s:s}]}",
        "context", "device", device, "driver_version", 13000, "commit", "abc", "benchmarks",
        // A result, its aggregate and its baseline.
        "name", "record/first", "run_type", "iteration", "ratio", first_ratio, "ratio_p90",
        first_ratio * 1.5, "name", "record/first_median", "run_type", "aggregate", "ratio", 99.0,
        "name", "record/first/baseline", "run_type", "iteration",
        // Another result, and one without a ratio.
        "name", "record/second", "run_type", "iteration", "ratio", 2.0, "ratio_p90", 2.0, "name",
        "record/none", "run_type", "iteration");
    assert_non_null(run);
    return run;
}

static json_t *make_baseline(double first_ratio, double first_spread)
{
    json_t *baseline =
        json_pack("{s:s, s:i, s:s, s:{s:{s:f, s:f, s:[f]}, s:{s:f, s:f, s:[f]}}}", "format",
                  "segue-bench-baseline", "version", 2, "device", "GPU", "benchmarks",
                  "record/first", "ratio", first_ratio, "spread", first_spread, "ratios",
                  first_ratio, "record/second", "ratio", 2.0, "spread", 0.0, "ratios", 2.0);
    assert_non_null(baseline);
    return baseline;
}

/** Compares, gives both documents up, and returns what was printed; the caller frees it. */
static char *compare(json_t *run, json_t *baseline, bool expected_good,
                     struct segue_bench_comparison *out_comparison)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    memset(out_comparison, 0, sizeof(*out_comparison));
    assert_int_equal(segue_bench_compare(run, baseline, out, out_comparison), expected_good);
    fclose(out);
    json_decref(run);
    json_decref(baseline);
    return text;
}

static void expect(const struct segue_bench_comparison *comparison, uint32_t compared,
                   uint32_t worse, uint32_t better, uint32_t missing, uint32_t added)
{
    assert_true(comparison->comparable);
    assert_int_equal(comparison->compared, compared);
    assert_int_equal(comparison->worse, worse);
    assert_int_equal(comparison->better, better);
    assert_int_equal(comparison->missing, missing);
    assert_int_equal(comparison->added, added);
}

static void test_within_spread(void **state)
{
    (void)state;
    struct segue_bench_comparison comparison;
    const double ratios[] = {0.41, 0.5, 0.59};
    for (size_t i = 0; i < sizeof(ratios) / sizeof(ratios[0]); i++) {
        char *text =
            compare(make_run("GPU", ratios[i]), make_baseline(0.5, 0.1), true, &comparison);
        expect(&comparison, 2, 0, 0, 0, 0);
        assert_string_equal(text, "2 compared: 0 worse, 0 better; 0 missing, 0 new\n");
        free(text);
    }
}

static void test_worse(void **state)
{
    (void)state;
    struct segue_bench_comparison comparison;
    char *text = compare(make_run("GPU", 0.61), make_baseline(0.5, 0.1), true, &comparison);
    expect(&comparison, 2, 1, 0, 0, 0);
    assert_non_null(strstr(text, "WORSE    record/first "));
    assert_non_null(strstr(text, "0.61, was 0.5 (spread 0.1)"));
    assert_null(strstr(text, "record/second"));
    free(text);
}

static void test_better(void **state)
{
    (void)state;
    struct segue_bench_comparison comparison;
    char *text = compare(make_run("GPU", 0.39), make_baseline(0.5, 0.1), true, &comparison);
    expect(&comparison, 2, 0, 1, 0, 0);
    assert_non_null(strstr(text, "better   record/first "));
    free(text);
}

static void test_missing_and_new(void **state)
{
    (void)state;
    struct segue_bench_comparison comparison;
    json_t *baseline = make_baseline(0.5, 0.1);
    json_t *entries = json_object_get(baseline, "benchmarks");
    json_object_set(entries, "record/gone", json_object_get(entries, "record/second"));
    // In the run, but without a ratio there: that is missing, too.
    json_object_set(entries, "record/none", json_object_get(entries, "record/second"));
    json_object_del(entries, "record/second");
    char *text = compare(make_run("GPU", 0.5), baseline, true, &comparison);
    expect(&comparison, 1, 0, 0, 2, 1);
    assert_non_null(strstr(text, "MISSING  record/gone "));
    assert_non_null(strstr(text, "MISSING  record/none "));
    assert_non_null(strstr(text, "new      record/second "));
    free(text);
}

static void test_other_device(void **state)
{
    (void)state;
    struct segue_bench_comparison comparison;
    char *text = compare(make_run("Other", 99), make_baseline(0.5, 0.1), true, &comparison);
    assert_false(comparison.comparable);
    assert_int_equal(comparison.compared + comparison.worse, 0);
    assert_non_null(strstr(text, "\"Other\""));
    free(text);
}

static void test_malformed(void **state)
{
    (void)state;
    struct segue_bench_comparison comparison;
    json_t *empty = make_baseline(0.5, 0.1);
    json_object_clear(json_object_get(empty, "benchmarks"));
    char *text = compare(make_run("GPU", 0.5), empty, false, &comparison);
    assert_non_null(strstr(text, "has no entries"));
    free(text);

    json_t *other = make_baseline(0.5, 0.1);
    json_object_set_new(other, "version", json_integer(1));
    text = compare(make_run("GPU", 0.5), other, false, &comparison);
    assert_non_null(strstr(text, "is not a document of format"));
    free(text);

    json_t *broken = make_baseline(0.5, 0.1);
    json_t *entry = json_object_get(json_object_get(broken, "benchmarks"), "record/first");
    json_object_set_new(entry, "spread", json_string("wide"));
    text = compare(make_run("GPU", 0.5), broken, false, &comparison);
    assert_non_null(strstr(text, "\"record/first\" lacks"));
    free(text);

    json_t *run = make_run("GPU", 0.5);
    json_object_del(run, "benchmarks");
    text = compare(run, make_baseline(0.5, 0.1), false, &comparison);
    assert_non_null(strstr(text, "the run is not"));
    free(text);
}

static double number(const json_t *baseline, const char *name, const char *key)
{
    const json_t *entry = json_object_get(json_object_get(baseline, "benchmarks"), name);
    assert_non_null(entry);
    return json_number_value(json_object_get(entry, key));
}

static void test_make_baseline(void **state)
{
    (void)state;
    json_t *run = make_run("GPU", 0.4);
    json_t *baseline = segue_bench_make_baseline(run, NULL);
    assert_non_null(baseline);
    assert_string_equal(json_string_value(json_object_get(baseline, "device")), "GPU");
    assert_int_equal(json_integer_value(json_object_get(baseline, "driver_version")), 13000);
    assert_string_equal(json_string_value(json_object_get(baseline, "commit")), "abc");
    assert_int_equal(json_object_size(json_object_get(baseline, "benchmarks")), 2);
    assert_float_equal(number(baseline, "record/first", "ratio"), 0.4, 1e-9);
    assert_float_equal(number(baseline, "record/first", "spread"), 0.2, 1e-9);
    // Without any spread in the run: the least.
    assert_float_equal(number(baseline, "record/second", "spread"), 0.1, 1e-9);
    struct segue_bench_comparison comparison;
    free(compare(run, baseline, true, &comparison));
    expect(&comparison, 2, 0, 0, 0, 0);
}

static void test_merge_baselines(void **state)
{
    (void)state;
    json_t *first_run = make_run("GPU", 0.4);
    json_t *second_run = make_run("GPU", 0.2);
    json_t *first = segue_bench_make_baseline(first_run, NULL);
    json_object_set_new(json_object_get(first, "benchmarks"), "record/kept",
                        json_pack("{s:f, s:f, s:[f]}", "ratio", 1.0, "spread", 0.5, "ratios", 1.0));
    json_t *both = segue_bench_make_baseline(second_run, first);
    assert_non_null(both);
    assert_float_equal(number(both, "record/first", "ratio"), 0.3, 1e-9);
    // Three times the range, whatever the samples within a run were.
    assert_float_equal(number(both, "record/first", "spread"), 0.6, 1e-9);
    // Equal in both runs: the least.
    assert_float_equal(number(both, "record/second", "spread"), 0.1, 1e-9);
    assert_float_equal(number(both, "record/kept", "ratio"), 1.0, 1e-9);
    // The document that was merged is as it was.
    assert_float_equal(number(first, "record/first", "ratio"), 0.4, 1e-9);
    json_t *third_run = make_run("GPU", 0.25);
    json_t *all = segue_bench_make_baseline(third_run, both);
    assert_non_null(all);
    assert_float_equal(number(all, "record/first", "ratio"), 0.25, 1e-9);
    assert_float_equal(number(all, "record/first", "spread"), 0.6, 1e-9);
    json_decref(all);
    json_decref(third_run);
    json_decref(both);

    json_object_set_new(first, "device", json_string("Other"));
    assert_null(segue_bench_make_baseline(second_run, first));
    json_object_set_new(first, "device", json_string("GPU"));
    // An entry without the ratios of its runs.
    json_object_del(json_object_get(json_object_get(first, "benchmarks"), "record/first"),
                    "ratios");
    assert_null(segue_bench_make_baseline(second_run, first));
    json_decref(first);
    json_decref(first_run);
    json_decref(second_run);
}

static void test_statistics(void **state)
{
    (void)state;
    double odd[] = {5, 1, 3, 2, 4};
    struct segue_bench_summary summary = segue_bench_summarise(odd, 5);
    assert_float_equal(summary.median, 3, 1e-9);
    assert_float_equal(summary.p10, 1.4, 1e-9);
    assert_float_equal(summary.p90, 4.6, 1e-9);
    assert_float_equal(summary.mean, 3, 1e-9);
    assert_float_equal(summary.stddev, sqrt(2.5), 1e-9);
    double one[] = {7};
    summary = segue_bench_summarise(one, 1);
    assert_float_equal(summary.median + summary.p10 + summary.p90, 21, 1e-9);
    assert_float_equal(summary.stddev, 0, 1e-9);
    double even[] = {1, 2};
    assert_float_equal(segue_bench_summarise(even, 2).median, 1.5, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_within_spread), cmocka_unit_test(test_worse),
        cmocka_unit_test(test_better),        cmocka_unit_test(test_missing_and_new),
        cmocka_unit_test(test_other_device),  cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_make_baseline), cmocka_unit_test(test_merge_baselines),
        cmocka_unit_test(test_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
