// SPDX-License-Identifier: Apache-2.0
/**
 * @file scenario.h
 * What the fault loop does over and over: whole lives of a device, from open to destroy.
 */
#ifndef SEGUE_TEST_SCENARIO_H
#define SEGUE_TEST_SCENARIO_H

#include "conformance.h"

/** What a scenario is run with. */
struct scenario_run {
    /** How devices are opened. */
    struct segue_device_params params;
    /** Controls of the software driver. */
    const struct segue_soft_api *soft;
    /** Called once, where the faults begin. */
    void (*arm)(void *context);
    /** Called before a scenario makes the driver fail by itself: from then on the failures are its
     *  own. */
    void (*give_over)(void *context);
    void *context;
};

/** How that went. */
struct scenario_outcome {
    /** The first failure that was not expected; SEGUE_MISMATCH for a wrong result. */
    segue_status status;
    /** Of that failure, as its thread's last error had it. */
    char message[512];
};

/** One life. Whatever happens, everything is destroyed at the end. */
struct scenario {
    char name[96];
    void (*run)(const struct scenario *scenario, const struct scenario_run *run,
                struct scenario_outcome *out_outcome);
    /** Of a conformance test; NULL in others. */
    const struct CMUnitTest *test;
};

/** Lives written for the fault loop; they include opening the device. */
extern const struct scenario segue_lives[];
extern const size_t segue_life_count;

/** A scenario of each test of the area that the mode under test supports. Their faults begin once
 *  the device is open and the kernels are loaded, which the lives cover. Returns NULL, having
 *  printed why, on failure; free it. */
struct scenario *segue_conformance_scenarios(const struct segue_conformance_area *area,
                                             size_t *out_count);

/** Sends what is printed to a file that nobody sees, or back to where it went. */
void segue_scenario_mute(bool mute);
/** What the last conformance scenario printed. */
const char *segue_scenario_output(void);

#endif // SEGUE_TEST_SCENARIO_H
