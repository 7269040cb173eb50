// SPDX-License-Identifier: Apache-2.0
// conformance AREA[.CASE]: runs one area, or one case of it, on $SEGUE_TEST_DEVICE in
// $SEGUE_TEST_MODE, as the lists in $SEGUE_TEST_LISTS (by default, beside this file) say. AREA may
// be "all". conformance list: prints the names of all cases.
#include "lists.h"

#include <stdio.h>
#include <stdlib.h>

/** What the lists call what is tested here. */
static bool find_configuration(char *out_text, size_t capacity)
{
    segue_device *device = NULL;
    if (segue_device_open(segue_test_device_uri(), NULL, &device) != SEGUE_OK)
        return false;
    struct segue_device_info info;
    segue_device_get_info(device, &info);
    segue_conformance_configuration(&info, segue_test_mode(), out_text, capacity);
    segue_device_destroy(device);
    return true;
}

static int run(const char *area_name, const struct segue_lists *lists)
{
    char configuration[64];
    int unprepared = segue_test_prepare();
    if (unprepared)
        return unprepared;
    if (!find_configuration(configuration, sizeof(configuration)))
        return 1;
    bool all = strcmp(area_name, "all") == 0;
    int result = 0;
    for (size_t i = 0; i < segue_conformance_area_count; ++i) {
        const struct segue_conformance_area *area = segue_conformance_areas[i];
        if (!all && strcmp(area->name, area_name) != 0)
            continue;
        int code = segue_conformance_run(area, lists, configuration);
        if (!all || code == 1)
            result = code;
    }
    return result;
}

/** The area of "AREA.CASE"; only that case will run. False if there is none of that name. */
static bool choose_case(char *name)
{
    char *point = strchr(name, '.');
    if (point)
        *point = '\0';
    const struct segue_conformance_area *area = segue_conformance_find(name);
    if (!area || !point)
        return area != NULL;
    cmocka_set_test_filter(point + 1);
    for (size_t i = 0; i < area->test_count; ++i) {
        if (strcmp(area->tests[i].name, point + 1) == 0)
            return true;
    }
    return false;
}

static int list(void)
{
    for (size_t a = 0; a < segue_conformance_area_count; ++a) {
        const struct segue_conformance_area *area = segue_conformance_areas[a];
        for (size_t i = 0; i < area->test_count; ++i)
            printf("%s.%s\n", area->name, area->tests[i].name);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "list") == 0)
        return list();
    if (argc != 2 || (strcmp(argv[1], "all") != 0 && !choose_case(argv[1]))) {
        fprintf(stderr, "usage: conformance AREA[.CASE]|all|list\nareas:");
        for (size_t i = 0; i < segue_conformance_area_count; ++i)
            fprintf(stderr, " %s", segue_conformance_areas[i]->name);
        fprintf(stderr, "\n");
        return 2;
    }
    const char *folder = getenv("SEGUE_TEST_LISTS");
    struct segue_lists lists;
    if (!segue_lists_read(folder ? folder : SEGUE_CONFORMANCE_LISTS, &lists))
        return 2;
    int result = run(argv[1], &lists);
    segue_lists_finish(&lists);
    return result;
}
