// SPDX-License-Identifier: Apache-2.0
/**
 * @file scenario.h
 * What the fault tests do over and over: whole lives of a device, from open to destroy.
 */
#ifndef SEGUE_TEST_SCENARIO_H
#define SEGUE_TEST_SCENARIO_H

#include "test.h"

/** One life, with a device opened as `params` say. Returns the first failure, having destroyed
 *  everything; SEGUE_MISMATCH if all calls succeeded and yet a result is wrong. */
typedef segue_status (*scenario_fn)(const struct segue_device_params *params);

struct scenario {
    const char *name;
    scenario_fn run;
};

extern const struct scenario scenarios[];
extern const uint32_t scenario_count;

#endif // SEGUE_TEST_SCENARIO_H
