// SPDX-License-Identifier: Apache-2.0
#include "cost_file.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 256

struct figure {
    const char *name;
    size_t offset_bytes;
};

#define FIGURE(name)                                   \
    {                                                  \
#name, offsetof(struct segue_cost_model, name) \
    }
static const struct figure figures[] = {
    FIGURE(node_ns),
    FIGURE(lane_ns),
    FIGURE(issue_ns),
    FIGURE(wait_ns),
    FIGURE(edge_ns),
    FIGURE(join_ns),
    FIGURE(fan_out_limit),
    FIGURE(fan_out_ns),
    FIGURE(launch_root_ns),
    FIGURE(launch_leaf_ns),
    FIGURE(max_lane_count),
    FIGURE(unknown_duration_ns),
    FIGURE(device_bytes_per_us),
    FIGURE(bus_bytes_per_us),
    FIGURE(threads_per_multiprocessor),
    FIGURE(blocks_per_multiprocessor),
    FIGURE(multiprocessor_count),
    FIGURE(stream_launch_ns),
    FIGURE(graph_launch_ns),
    FIGURE(graph_write_node_ns),
    FIGURE(graph_build_ns),
    FIGURE(graph_build_node_ns),
    FIGURE(graph_build_edge_ns),
};
#define FIGURE_COUNT (sizeof figures / sizeof figures[0])
_Static_assert(FIGURE_COUNT * sizeof(uint32_t) == sizeof(struct segue_cost_model),
               "every figure has a line");

static uint32_t *figure_of(struct segue_cost_model *model, const struct figure *figure)
{
    return (uint32_t *)((char *)model + figure->offset_bytes);
}

bool segue_cost_file_path(const char *folder, const char *device_name, char *out_path,
                          size_t capacity_bytes)
{
    int length = snprintf(out_path, capacity_bytes, "%s/cost-%s.txt", folder, device_name);
    if (length <= 0 || (size_t)length >= capacity_bytes)
        return false;
    // Of the name only what every file system takes.
    for (char *cursor = out_path + strlen(folder) + 1; *cursor; cursor++) {
        bool plain = (*cursor >= '0' && *cursor <= '9') || (*cursor >= 'A' && *cursor <= 'Z') ||
                     (*cursor >= 'a' && *cursor <= 'z') || *cursor == '.';
        if (!plain)
            *cursor = '-';
    }
    return true;
}

/** One line: nothing, or a figure. */
static bool read_line(char *line, struct segue_cost_model *model, const char **out_wrong)
{
    line[strcspn(line, "#\r\n")] = '\0';
    char *rest = NULL;
    const char *name = strtok_r(line, " \t", &rest);
    if (!name)
        return true;
    const char *value = strtok_r(NULL, " \t", &rest);
    if (!value || strtok_r(NULL, " \t", &rest)) {
        *out_wrong = "is not \"name value\"";
        return false;
    }
    errno = 0;
    char *end = NULL;
    unsigned long long number = strtoull(value, &end, 10);
    if (*end != '\0' || value[0] == '-' || errno != 0 || number > UINT32_MAX) {
        *out_wrong = "has no number below 2^32";
        return false;
    }
    for (size_t i = 0; i < FIGURE_COUNT; i++) {
        if (strcmp(figures[i].name, name) == 0) {
            *figure_of(model, &figures[i]) = (uint32_t)number;
            return true;
        }
    }
    *out_wrong = "has a name that is no figure of a cost model";
    return false;
}

enum segue_cost_file_result segue_cost_file_read(const char *path, struct segue_cost_model *model,
                                                 char *out_problem)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        if (errno == ENOENT || errno == ENOTDIR)
            return SEGUE_COST_FILE_MISSING;
        (void)snprintf(out_problem, SEGUE_COST_PROBLEM_BYTES, "%s: %s", path, strerror(errno));
        return SEGUE_COST_FILE_BAD;
    }
    struct segue_cost_model read = *model;
    char line[LINE_BYTES];
    uint32_t number = 0;
    const char *wrong = NULL;
    while (!wrong && fgets(line, sizeof line, file)) {
        number++;
        if (!strchr(line, '\n') && !feof(file))
            wrong = "is too long";
        else
            (void)read_line(line, &read, &wrong);
    }
    if (!wrong && ferror(file))
        wrong = "cannot be read";
    fclose(file);
    if (wrong) {
        (void)snprintf(out_problem, SEGUE_COST_PROBLEM_BYTES, "%s:%" PRIu32 ": the line %s", path,
                       number, wrong);
        return SEGUE_COST_FILE_BAD;
    }
    *model = read;
    return SEGUE_COST_FILE_READ;
}

bool segue_cost_file_print(FILE *stream, const struct segue_cost_model *model)
{
    struct segue_cost_model copy = *model;
    bool good = true;
    for (size_t i = 0; i < FIGURE_COUNT && good; i++)
        good = fprintf(stream, "%s %" PRIu32 "\n", figures[i].name,
                       *figure_of(&copy, &figures[i])) > 0;
    return good;
}

bool segue_cost_file_write(const char *path, const char *device_name,
                           const struct segue_cost_model *model, char *out_problem)
{
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof temporary, "%s.new", path);
    bool good = length > 0 && (size_t)length < sizeof temporary;
    if (!good)
        errno = ENAMETOOLONG;
    FILE *file = good ? fopen(temporary, "we") : NULL;
    good = file && fprintf(file, "# Segue's cost model of %s\n", device_name) > 0 &&
           segue_cost_file_print(file, model);
    if (file)
        good = fclose(file) == 0 && good;
    good = good && rename(temporary, path) == 0;
    if (!good) {
        (void)snprintf(out_problem, SEGUE_COST_PROBLEM_BYTES, "%s: %s", path, strerror(errno));
        if (file)
            (void)remove(temporary);
    }
    return good;
}
