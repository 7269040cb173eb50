// SPDX-License-Identifier: Apache-2.0
// Conformance tests as scenarios: a check that fails because of an injected fault ends the test as
// any failing check does, and what it got is the scenario's outcome.
#include "lists.h"
#include "scenario.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/** The run that is going on. */
static struct {
    const struct scenario_run *run;
    const struct scenario *scenario;
    struct scenario_outcome outcome;
    struct segue_soft_api soft;
} current;

static void failed_check(void *context, segue_status actual, segue_status expected,
                         const char *message, const char *call)
{
    (void)context;
    if (current.outcome.status != SEGUE_OK)
        return;
    // A call that should have failed and did not is a wrong result.
    current.outcome.status = actual == SEGUE_OK ? SEGUE_MISMATCH : actual;
    if (actual == SEGUE_OK)
        snprintf(current.outcome.message, sizeof(current.outcome.message),
                 "%.300s succeeded, but should give %s", call, segue_status_name(expected));
    else
        snprintf(current.outcome.message, sizeof(current.outcome.message), "%.511s", message);
}

static void set_fault(const struct segue_soft_fault *fault)
{
    // Teardown takes faults away; the loop's own shall last to the very end.
    if (!fault)
        return;
    current.run->give_over(current.run->context);
    current.run->soft->set_fault(fault);
}

static void body(void **state)
{
    segue_test_setup(state);
    current.run->arm(current.run->context);
    current.scenario->test->test_func(state);
}

static int teardown(void **state)
{
    return segue_test_teardown(state);
}

static int output = -1;

void segue_scenario_mute(bool mute)
{
    static int saved[2] = {-1, -1};
    fflush(stdout);
    fflush(stderr);
    if (output < 0)
        output = memfd_create("segue-scenario", MFD_CLOEXEC);
    for (int i = 0; i < 2 && output >= 0; ++i) {
        if (mute && saved[i] < 0)
            saved[i] = fcntl(i + 1, F_DUPFD_CLOEXEC, 3);
        if (saved[i] >= 0)
            dup2(mute ? output : saved[i], i + 1);
    }
    if (mute && output >= 0 && ftruncate(output, 0) == 0)
        lseek(output, 0, SEEK_SET);
}

const char *segue_scenario_output(void)
{
    static char text[4096];
    ssize_t length = output >= 0 ? pread(output, text, sizeof(text) - 1, 0) : 0;
    text[length > 0 ? length : 0] = '\0';
    return text;
}

static void run_conformance_test(const struct scenario *scenario, const struct scenario_run *run,
                                 struct scenario_outcome *out_outcome)
{
    current.run = run;
    current.scenario = scenario;
    current.outcome = (struct scenario_outcome){0};
    current.soft = *run->soft;
    current.soft.set_fault = set_fault;
    const struct segue_test_hooks hooks = {.allocator = run->params.allocator,
                                           .log = run->params.log,
                                           .log_context = run->params.log_context,
                                           .soft = &current.soft,
                                           .failed_check = failed_check};
    // The setup is part of the body, so that the teardown follows it even where it fails.
    const struct CMUnitTest test = {scenario->test->name, body, NULL, teardown, NULL};
    segue_test_set_hooks(&hooks);
    segue_scenario_mute(true);
    int failed = _cmocka_run_group_tests("fault", &test, 1, NULL, NULL);
    segue_scenario_mute(false);
    segue_test_set_hooks(NULL);
    if (failed &&
        (current.outcome.status == SEGUE_OK || strstr(segue_scenario_output(), "exception")))
        current.outcome = (struct scenario_outcome){SEGUE_MISMATCH, "wrong result or crash"};
    *out_outcome = current.outcome;
}

static bool read_configuration(char *out_text, size_t capacity)
{
    segue_device *device = NULL;
    if (segue_device_open(segue_test_device_uri(), NULL, &device) != SEGUE_OK) {
        fprintf(stderr, "%s\n", segue_last_error()->message);
        return false;
    }
    struct segue_device_info info;
    segue_device_get_info(device, &info);
    segue_conformance_configuration(&info, segue_test_mode(), out_text, capacity);
    segue_device_destroy(device);
    return true;
}

struct scenario *segue_conformance_scenarios(const struct segue_conformance_area *area,
                                             size_t *out_count)
{
    char configuration[64];
    struct segue_lists lists;
    if (!read_configuration(configuration, sizeof(configuration)) ||
        !segue_lists_read(SEGUE_CONFORMANCE_LISTS, &lists))
        return NULL;
    struct scenario *scenarios = calloc(area->test_count, sizeof(*scenarios));
    size_t count = 0;
    for (size_t i = 0; scenarios && i < area->test_count; ++i) {
        const char *name = area->tests[i].name;
        if (segue_list_find(&lists.unsupported, area->name, name, configuration) ||
            segue_list_find(&lists.expected_failures, area->name, name, configuration))
            continue;
        struct scenario *scenario = &scenarios[count++];
        snprintf(scenario->name, sizeof(scenario->name), "%s.%s", area->name, name);
        scenario->run = run_conformance_test;
        scenario->test = &area->tests[i];
    }
    segue_lists_finish(&lists);
    *out_count = count;
    return scenarios;
}
