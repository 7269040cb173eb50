// SPDX-License-Identifier: Apache-2.0
// pairs [AREA]: runs the pairs of one area, or all, on $SEGUE_TEST_DEVICE. The place in Segue of
// every refusal is appended to $SEGUE_PAIRS_SITES, if set, as FILE:LINE.
#include "pairs.h"

#include <stdio.h>
#include <stdlib.h>

static const struct pair_area *const areas[] = {
    &pairs_buffer,     &pairs_command_buffer, &pairs_constants, &pairs_device,  &pairs_dispatch,
    &pairs_executable, &pairs_execute,        &pairs_hazard,    &pairs_inspect, &pairs_queue,
    &pairs_range,      &pairs_seal,           &pairs_semaphore, &pairs_submit,  &pairs_sync,
    &pairs_table,      &pairs_transfer,
};

/** What one cmocka test works on. */
struct pair_state {
    const struct pair *pair;
    struct segue_test *test;
};

static int setup(void **state)
{
    struct pair_state *pair_state = malloc(sizeof(*pair_state));
    assert_non_null(pair_state);
    pair_state->pair = *state;
    void *test = NULL;
    segue_test_setup(&test);
    pair_state->test = test;
    *state = pair_state;
    return 0;
}

static int teardown(void **state)
{
    struct pair_state *pair_state = *state;
    void *test = pair_state->test;
    free(pair_state);
    return segue_test_teardown(&test);
}

/** Fails unless `message` has all pieces. */
static void check_message(const char *message, const char *pieces)
{
    for (const char *piece = pieces; piece;) {
        size_t length = strcspn(piece, "|");
        if (!memmem(message, strlen(message), piece, length))
            fail_msg("\"%s\" lacks \"%.*s\"", message, (int)length, piece);
        piece = piece[length] == '|' ? piece + length + 1 : NULL;
    }
}

/** For check_rules.sh. */
static void note_site(const struct segue_error *error)
{
    const char *path = getenv("SEGUE_PAIRS_SITES");
    if (!path)
        return;
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fprintf(file, "%s:%d\n", error->file, (int)error->line);
    assert_int_equal(fclose(file), 0);
}

static void run_pair(void **state)
{
    const struct pair_state *pair_state = *state;
    const struct pair *pair = pair_state->pair;
    if (pair->soft_only && !pair_state->test->soft)
        skip();
    segue_test_check(pair->attempt(pair_state->test, true), pair->status, pair->rule, __FILE__,
                     __LINE__);
    const struct segue_error *error = segue_last_error();
    assert_int_equal(error->status, pair->status);
    note_site(error);
    check_message(error->message, pair->message);
    segue_test_check(pair->attempt(pair_state->test, false), SEGUE_OK, pair->rule, __FILE__,
                     __LINE__);
}

static int run_area(const struct pair_area *area)
{
    struct CMUnitTest *tests = calloc(area->count, sizeof(*tests));
    assert_non_null(tests);
    for (size_t i = 0; i < area->count; i++)
        tests[i] = (struct CMUnitTest){
            .name = area->pairs[i].rule,
            .test_func = run_pair,
            .setup_func = setup,
            .teardown_func = teardown,
            .initial_state = (void *)(uintptr_t)&area->pairs[i],
        };
    // The number of tests is not known to the macro that is usually called.
    int failed = _cmocka_run_group_tests(area->name, tests, area->count, NULL, NULL);
    free(tests);
    return failed;
}

int main(int argc, char **argv)
{
    int unprepared = segue_test_prepare();
    if (unprepared)
        return unprepared;
    bool found = false;
    int failed = 0;
    for (size_t i = 0; argc <= 2 && i < sizeof(areas) / sizeof(areas[0]); i++) {
        if (argc == 2 && strcmp(areas[i]->name, argv[1]) != 0)
            continue;
        found = true;
        failed += run_area(areas[i]);
    }
    if (found)
        return failed != 0;
    fprintf(stderr, "usage: pairs [AREA]\nareas:");
    for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); i++)
        fprintf(stderr, " %s", areas[i]->name);
    fprintf(stderr, "\n");
    return 2;
}
