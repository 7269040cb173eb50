// SPDX-License-Identifier: Apache-2.0
// What the lists do: with lists made here, on tests of which one passes and one fails; and that no
// entry of the lists in the tree is stale. Not a cmocka test itself, since it runs cmocka's groups.
#include "lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int failures;
static int runs_of_good;
static int runs_of_bad;

static void good(void **state)
{
    (void)state;
    ++runs_of_good;
}

static void bad(void **state)
{
    (void)state;
    ++runs_of_bad;
    fail();
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(bad)};
static const struct segue_conformance_area area = {"made_up", tests, 2};
static const struct segue_conformance_area good_area = {"made_up", tests, 1};

static void check(int line, const char *text, long long actual, long long expected)
{
    if (actual == expected)
        return;
    fprintf(stderr, "line %d: %s is %lld, not %lld\n", line, text, actual, expected);
    ++failures;
}
#define CHECK(actual, expected) check(__LINE__, #actual, (actual), (expected))

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0, true);
}

static void remove_folder(const char *folder)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/unsupported.txt", folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/expected_failures.txt", folder);
    unlink(path);
    rmdir(folder);
}

/** Reads lists of these contents; false if they are refused. */
static bool read_lists(const char *unsupported, const char *expected_failures,
                       struct segue_lists *lists)
{
    char folder[] = "segue-lists-XXXXXX";
    if (!mkdtemp(folder)) {
        CHECK(false, true);
        return false;
    }
    if (unsupported)
        write_file(folder, "unsupported.txt", unsupported);
    write_file(folder, "expected_failures.txt", expected_failures);
    bool read = segue_lists_read(folder, lists);
    remove_folder(folder);
    return read;
}

/** Exit code of running `which` with these lists on "soft-13.0/graph". */
static int run(const struct segue_conformance_area *which, const char *unsupported,
               const char *expected_failures)
{
    struct segue_lists lists;
    CHECK(read_lists(unsupported, expected_failures, &lists), true);
    runs_of_good = runs_of_bad = 0;
    int code = segue_conformance_run(which, &lists, "soft-13.0/graph");
    segue_lists_finish(&lists);
    return code;
}

static void check_runs(void)
{
    CHECK(run(&good_area, "", ""), 0);
    CHECK(run(&area, "", ""), 1);
    CHECK(runs_of_good, 1);
    CHECK(runs_of_bad, 1);

    CHECK(run(&area, "", "made_up.bad * waits to be mended\n"), 0);
    CHECK(runs_of_good, 1);
    CHECK(runs_of_bad, 1);
    CHECK(run(&area, "", "made_up.* * one of them passes\n"), 1);
    CHECK(run(&good_area, "", "made_up.good * was mended\n"), 1);
    CHECK(runs_of_good, 1);
    CHECK(run(&area, "", "made_up.bad soft-12.?/* another profile\n"), 1);
    CHECK(run(&area, "", "made_up.bad */stream another mode\n"), 1);

    CHECK(run(&area, "# why\n\n  made_up.bad soft-*/graph cannot work\n", ""), 0);
    CHECK(runs_of_good, 1);
    CHECK(runs_of_bad, 0);
    CHECK(run(&area, "made_up.bad cuda-*/graph elsewhere\n", ""), 1);
    CHECK(run(&area, "made_up.bad * cannot work\n", "made_up.bad * waits\n"), 0);
    CHECK(runs_of_bad, 0);
    CHECK(run(&area, "made_up.* * nothing can work\n", ""), SEGUE_TEST_EXIT_SKIPPED);
    CHECK(runs_of_good, 0);
}

static void check_format(void)
{
    struct segue_lists lists;
    CHECK(read_lists(NULL, "", &lists), false);
    CHECK(read_lists("made_up.bad\n", "", &lists), false);
    CHECK(read_lists("made_up.bad *\n", "", &lists), false);
    CHECK(read_lists("made_up.bad *   \n", "", &lists), false);
    CHECK(read_lists("", "made_up.bad *\n", &lists), false);
}

static size_t stale(const char *unsupported, const char *expected_failures)
{
    struct segue_lists lists;
    CHECK(read_lists(unsupported, expected_failures, &lists), true);
    const struct segue_conformance_area *areas[] = {&area};
    size_t count = segue_lists_count_stale(&lists, areas, 1);
    segue_lists_finish(&lists);
    return count;
}

static void check_stale(void)
{
    CHECK(stale("made_up.bad * x\n", "made_up.b?d soft-12.4/graph x\n"), 0);
    CHECK(stale("made_up.gone * x\nbad * x\n", ""), 2);
    CHECK(stale("", "made_up.bad soft-11.0/* x\n"), 1);
    CHECK(stale("", "made_up.bad graph x\n"), 1);
}

static void check_configurations(void)
{
    char text[64];
    struct segue_device_info info = {
        .is_soft = true, .driver_version = 12040, .compiler_version = 12040};
    segue_conformance_configuration(&info, SEGUE_EXECUTION_GRAPH, text, sizeof(text));
    CHECK(strcmp(text, "soft-12.4/graph"), 0);
    info.compiler_version = 0;
    segue_conformance_configuration(&info, SEGUE_EXECUTION_STREAM, text, sizeof(text));
    CHECK(strcmp(text, "soft-12.4-no-nvrtc/stream"), 0);
    info = (struct segue_device_info){.compute_capability_major = 9};
    segue_conformance_configuration(&info, SEGUE_EXECUTION_GRAPH, text, sizeof(text));
    CHECK(strcmp(text, "cuda-sm90/graph"), 0);
}

int main(void)
{
    struct segue_lists lists;
    check_runs();
    check_format();
    check_stale();
    check_configurations();
    CHECK(segue_lists_read(SEGUE_CONFORMANCE_LISTS, &lists), true);
    CHECK(segue_lists_count_stale(&lists, segue_conformance_areas, segue_conformance_area_count),
          0);
    segue_lists_finish(&lists);
    printf("lists: %s\n", failures ? "FAILED" : "passed");
    return failures != 0;
}
