// SPDX-License-Identifier: Apache-2.0
#include "lists.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

static const char blanks[] = " \t\r\n";

static void finish_list(struct segue_list *list)
{
    for (size_t i = 0; i < list->count; ++i) {
        free(list->entries[i].test);
        free(list->entries[i].configuration);
        free(list->entries[i].reason);
    }
    free(list->entries);
    *list = (struct segue_list){0};
}

/** Adds one line; false if it lacks a field or memory ran out. */
static bool add_line(struct segue_list *list, char *line)
{
    char *rest = NULL;
    const char *test = strtok_r(line, blanks, &rest);
    const char *configuration = strtok_r(NULL, blanks, &rest);
    const char *reason = strtok_r(NULL, "\r\n", &rest);
    reason += reason ? strspn(reason, blanks) : 0;
    if (!reason || *reason == '\0')
        return false;
    struct segue_list_entry *entries =
        realloc(list->entries, (list->count + 1) * sizeof(*list->entries));
    if (!entries)
        return false;
    list->entries = entries;
    struct segue_list_entry *entry = &entries[list->count++];
    *entry = (struct segue_list_entry){strdup(test), strdup(configuration), strdup(reason)};
    return entry->test && entry->configuration && entry->reason;
}

static bool read_list(const char *folder, const char *name, struct segue_list *list)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    char line[1024];
    bool good = true;
    for (unsigned number = 1; good && fgets(line, sizeof(line), file); ++number) {
        size_t start = strspn(line, blanks);
        if (line[start] == '\0' || line[start] == '#')
            continue;
        good = add_line(list, line);
        if (!good)
            fprintf(stderr, "%s:%u: not TEST CONFIGURATION reason\n", path, number);
    }
    fclose(file);
    return good;
}

bool segue_lists_read(const char *folder, struct segue_lists *out_lists)
{
    *out_lists = (struct segue_lists){0};
    if (read_list(folder, "unsupported.txt", &out_lists->unsupported) &&
        read_list(folder, "expected_failures.txt", &out_lists->expected_failures))
        return true;
    segue_lists_finish(out_lists);
    return false;
}

void segue_lists_finish(struct segue_lists *lists)
{
    finish_list(&lists->unsupported);
    finish_list(&lists->expected_failures);
}

static bool matches_test(const struct segue_list_entry *entry, const char *area, const char *test)
{
    char name[256];
    snprintf(name, sizeof(name), "%s.%s", area, test);
    return fnmatch(entry->test, name, 0) == 0;
}

const char *segue_list_find(const struct segue_list *list, const char *area, const char *test,
                            const char *configuration)
{
    for (size_t i = 0; i < list->count; ++i) {
        const struct segue_list_entry *entry = &list->entries[i];
        if (matches_test(entry, area, test) && fnmatch(entry->configuration, configuration, 0) == 0)
            return entry->reason;
    }
    return NULL;
}

static bool is_known_test(const struct segue_list_entry *entry,
                          const struct segue_conformance_area *const *areas, size_t area_count)
{
    for (size_t a = 0; a < area_count; ++a) {
        for (size_t t = 0; t < areas[a]->test_count; ++t) {
            if (matches_test(entry, areas[a]->name, areas[a]->tests[t].name))
                return true;
        }
    }
    return false;
}

static bool is_known_configuration(const struct segue_list_entry *entry)
{
    static const char *const devices[] = {
        "soft-12.4", "soft-12.4-no-nvrtc", "soft-12.8",  "soft-12.8-no-nvrtc",
        "soft-13.0", "soft-13.0-no-nvrtc", "cuda-sm50",  "cuda-sm60",
        "cuda-sm70", "cuda-sm75",          "cuda-sm80",  "cuda-sm86",
        "cuda-sm89", "cuda-sm90",          "cuda-sm100", "cuda-sm120",
    };
    for (size_t i = 0; i < 2 * sizeof(devices) / sizeof(devices[0]); ++i) {
        char name[64];
        snprintf(name, sizeof(name), "%s/%s", devices[i / 2], i % 2 ? "stream" : "graph");
        if (fnmatch(entry->configuration, name, 0) == 0)
            return true;
    }
    return false;
}

static size_t count_stale(const struct segue_list *list, const char *list_name,
                          const struct segue_conformance_area *const *areas, size_t area_count)
{
    size_t stale = 0;
    for (size_t i = 0; i < list->count; ++i) {
        const struct segue_list_entry *entry = &list->entries[i];
        bool no_test = !is_known_test(entry, areas, area_count);
        if (!no_test && is_known_configuration(entry))
            continue;
        fprintf(stderr, "%s: no such %s: %s\n", list_name, no_test ? "test" : "configuration",
                no_test ? entry->test : entry->configuration);
        ++stale;
    }
    return stale;
}

size_t segue_lists_count_stale(const struct segue_lists *lists,
                               const struct segue_conformance_area *const *areas, size_t area_count)
{
    return count_stale(&lists->unsupported, "unsupported", areas, area_count) +
           count_stale(&lists->expected_failures, "expected failures", areas, area_count);
}
