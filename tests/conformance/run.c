// SPDX-License-Identifier: Apache-2.0
#include "lists.h"

#include <stdio.h>
#include <stdlib.h>

void segue_conformance_configuration(const struct segue_device_info *info,
                                     enum segue_execution_mode mode, char *out_text,
                                     size_t capacity)
{
    const char *mode_name = mode == SEGUE_EXECUTION_STREAM ? "stream" : "graph";
    if (info->is_soft)
        snprintf(out_text, capacity, "soft-%d.%d%s/%s", (int)info->driver_version / 1000,
                 (int)info->driver_version % 1000 / 10, info->compiler_version ? "" : "-no-nvrtc",
                 mode_name);
    else
        snprintf(out_text, capacity, "cuda-sm%d%d/%s", (int)info->compute_capability_major,
                 (int)info->compute_capability_minor, mode_name);
}

/** Runs tests that must fail, each by itself. Returns how many did not. */
static int run_expected_failures(const struct CMUnitTest *tests, const char *const *reasons,
                                 size_t count)
{
    int passed = 0;
    for (size_t i = 0; i < count; ++i) {
        printf("expected to fail: %s: %s\n", tests[i].name, reasons[i]);
        fflush(stdout);
        if (_cmocka_run_group_tests(tests[i].name, &tests[i], 1, NULL, NULL) != 0)
            continue;
        printf("UNEXPECTED PASS: %s: take it off the list of expected failures\n", tests[i].name);
        ++passed;
    }
    return passed;
}

int segue_conformance_run(const struct segue_conformance_area *area,
                          const struct segue_lists *lists, const char *configuration)
{
    struct CMUnitTest *tests = calloc(2 * area->test_count, sizeof(*tests));
    const char **reasons = calloc(area->test_count, sizeof(*reasons));
    if (!tests || !reasons) {
        free(tests);
        free(reasons);
        return 1;
    }
    struct CMUnitTest *failing = tests + area->test_count;
    size_t count = 0;
    size_t failing_count = 0;
    for (size_t i = 0; i < area->test_count; ++i) {
        const char *name = area->tests[i].name;
        const char *unsupported =
            segue_list_find(&lists->unsupported, area->name, name, configuration);
        const char *expected =
            segue_list_find(&lists->expected_failures, area->name, name, configuration);
        if (unsupported) {
            printf("skipped: %s.%s on %s: %s\n", area->name, name, configuration, unsupported);
        } else if (expected) {
            reasons[failing_count] = expected;
            failing[failing_count++] = area->tests[i];
        } else {
            tests[count++] = area->tests[i];
        }
    }
    fflush(stdout);
    int failed = count ? _cmocka_run_group_tests(area->name, tests, count, NULL, NULL) : 0;
    failed += run_expected_failures(failing, reasons, failing_count);
    free(tests);
    free(reasons);
    if (failed)
        return 1;
    return count + failing_count ? 0 : SEGUE_TEST_EXIT_SKIPPED;
}
