// SPDX-License-Identifier: Apache-2.0
// conformance AREA: runs one area on $SEGUE_TEST_DEVICE in $SEGUE_TEST_MODE.
#include "conformance.h"
#include "test.h"

#include <stdio.h>

static const struct {
    const char *name;
    int (*run)(void);
} areas[] = {
    {"barrier", segue_conformance_barrier},
    {"buffer", segue_conformance_buffer},
    {"copy", segue_conformance_copy},
    {"device", segue_conformance_device},
    {"dispatch", segue_conformance_dispatch},
    {"event", segue_conformance_event},
    {"executable", segue_conformance_executable},
    {"failure", segue_conformance_failure},
    {"fill", segue_conformance_fill},
    {"group", segue_conformance_group},
    {"queue", segue_conformance_queue},
    {"reuse", segue_conformance_reuse},
    {"secondary", segue_conformance_secondary},
    {"semaphore", segue_conformance_semaphore},
    {"slots", segue_conformance_slots},
    {"threads", segue_conformance_threads},
    {"update", segue_conformance_update},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof(areas) / sizeof(areas[0]); ++i) {
        if (strcmp(areas[i].name, argv[1]) != 0)
            continue;
        int unprepared = segue_test_prepare();
        return unprepared ? unprepared : areas[i].run() != 0;
    }
    fprintf(stderr, "usage: conformance AREA\nareas:");
    for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); ++i)
        fprintf(stderr, " %s", areas[i].name);
    fprintf(stderr, "\n");
    return 2;
}
