// SPDX-License-Identifier: Apache-2.0
/**
 * @file conformance.h
 * What every device and both modes must do: areas of tests, one a file.
 */
#ifndef SEGUE_TEST_CONFORMANCE_H
#define SEGUE_TEST_CONFORMANCE_H

#include "test.h"

/** The tests of one area. A test's name in the lists is "area.test". */
struct segue_conformance_area {
    const char *name;
    const struct CMUnitTest *tests;
    size_t test_count;
};

extern const struct segue_conformance_area *const segue_conformance_areas[];
extern const size_t segue_conformance_area_count;

/** NULL if there is no such area. */
const struct segue_conformance_area *segue_conformance_find(const char *name);

#endif // SEGUE_TEST_CONFORMANCE_H
