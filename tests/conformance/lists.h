// SPDX-License-Identifier: Apache-2.0
/**
 * @file lists.h
 * The lists of tests that a configuration cannot run, or that are known to fail there.
 *
 * A line is `TEST CONFIGURATION reason in words`; '#' starts a comment line. TEST is a pattern of
 * "area.test", CONFIGURATION one of what segue_conformance_configuration gives; patterns are those
 * of a shell, and '*' matches any character.
 */
#ifndef SEGUE_TEST_LISTS_H
#define SEGUE_TEST_LISTS_H

#include "conformance.h"

struct segue_list_entry {
    char *test;
    char *configuration;
    char *reason;
};

struct segue_list {
    struct segue_list_entry *entries;
    size_t count;
};

/** Both lists. */
struct segue_lists {
    /** Cannot work there, for good. Skipped. */
    struct segue_list unsupported;
    /** Defects that are known and wait to be mended. Run; one that passes fails the run. */
    struct segue_list expected_failures;
};

/** Reads `folder`/unsupported.txt and `folder`/expected_failures.txt. False, having printed why, if
 *  one is not there or has a line without a reason. */
bool segue_lists_read(const char *folder, struct segue_lists *out_lists);
void segue_lists_finish(struct segue_lists *lists);

/** The reason why `area`.`test` is on the list for this configuration; NULL if it is not. */
const char *segue_list_find(const struct segue_list *list, const char *area, const char *test,
                            const char *configuration);

/** How many entries match no test or no configuration there is; prints each. */
size_t segue_lists_count_stale(const struct segue_lists *lists,
                               const struct segue_conformance_area *const *areas,
                               size_t area_count);

/** What the lists call a device in a mode: "soft-13.0/graph", "soft-12.4-no-nvrtc/stream",
 *  "cuda-sm90/graph". */
void segue_conformance_configuration(const struct segue_device_info *info,
                                     enum segue_execution_mode mode, char *out_text,
                                     size_t capacity);

/**
 * Runs the tests of an area as the lists say.
 * @return what a process exits with: 0; 1 if a test failed or an expected failure did not;
 *         SEGUE_TEST_EXIT_SKIPPED if all are unsupported.
 */
int segue_conformance_run(const struct segue_conformance_area *area,
                          const struct segue_lists *lists, const char *configuration);

#endif // SEGUE_TEST_LISTS_H
