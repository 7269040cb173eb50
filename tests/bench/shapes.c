// SPDX-License-Identifier: Apache-2.0
#include "shapes.h"

#include "report.h"

#include <segue/soft.h>

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const segue_shapes_lowering_names[SEGUE_SHAPES_COUNT] = {
    [SEGUE_SHAPES_SEGUE] = "segue",           [SEGUE_SHAPES_UNHINTED] = "segue_unhinted",
    [SEGUE_SHAPES_FORK_JOIN] = "fork_join",   [SEGUE_SHAPES_JOIN_KERNEL] = "join_kernel",
    [SEGUE_SHAPES_ALL_TO_ALL] = "all_to_all", [SEGUE_SHAPES_CHAIN] = "chain",
    [SEGUE_SHAPES_STREAM] = "stream",         [SEGUE_SHAPES_SUBMIT] = "segue_submit",
};

static bool is_wanted(const struct segue_bench *bench, const char *name)
{
    const char *filter = bench->options.filter;
    return !filter || strstr(name, filter) || fnmatch(filter, name, 0) == 0;
}

static struct segue_shapes *create(struct segue_bench *bench)
{
    struct segue_shapes *shapes = calloc(1, sizeof(*shapes));
    if (!shapes) {
        fputs("segue-bench: out of memory\n", stderr);
        return NULL;
    }
    shapes->bench = bench;
    segue_shapes_add_spin(shapes);
    segue_shapes_add_played(shapes);
    return shapes;
}

void segue_shapes_visit_names(struct segue_bench *bench,
                              void (*visit)(const char *name, void *context), void *context)
{
    struct segue_shapes *shapes = create(bench);
    for (uint32_t i = 0; shapes && i < shapes->case_count; i++) {
        if (is_wanted(bench, shapes->cases[i].name))
            visit(shapes->cases[i].name, context);
    }
    free(shapes);
}

/** The software driver looks for a path between every two nodes of a graph that conflict. */
static bool check_order(struct segue_bench *bench, const struct segue_soft_api *soft)
{
    if (!soft)
        return true;
    struct segue_soft_report report;
    soft->get_report(&report);
    return report.hazard_count == 0 ||
           segue_bench_fail(bench, "a shape lacks edges: %s", report.first_hazard);
}

static bool run_all(struct segue_shapes *shapes)
{
    struct segue_bench *bench = shapes->bench;
    const struct segue_soft_api *soft = segue_device_get_soft_api(bench->fixture.device);
    bool good = true;
    for (uint32_t i = 0; i < shapes->case_count; i++) {
        const struct segue_shapes_case *owner = &shapes->cases[i];
        if (!is_wanted(bench, owner->name))
            continue;
        if (soft)
            soft->reset_report();
        if (segue_shapes_measure(shapes, owner, &shapes->results[shapes->result_count]) &&
            check_order(bench, soft)) {
            shapes->result_count++;
            continue;
        }
        fprintf(stderr, "segue-bench: %s failed: %s\n", owner->name, bench->failure);
        good = false;
    }
    return good;
}

bool segue_shapes_run(struct segue_bench *bench)
{
    struct segue_shapes *shapes = create(bench);
    if (!shapes)
        return false;
    bool good = segue_shapes_spin_open(shapes);
    if (good)
        good = run_all(shapes);
    else
        fprintf(stderr, "segue-bench: %s\n", bench->failure);
    segue_shapes_print(shapes);
    if (bench->options.json_path)
        good = segue_bench_write_json(segue_shapes_make_json(shapes), bench->options.json_path) &&
               good;
    segue_shapes_spin_close(shapes);
    segue_shapes_played_close(shapes);
    free(shapes);
    return good;
}
