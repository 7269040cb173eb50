// SPDX-License-Identifier: Apache-2.0
#include "cache_case.h"

#include <string.h>

static bool step(struct segue_bench *bench, struct segue_bench_cache_case *self, double *out_ns)
{
    self->step++;
    const double start_ns = segue_bench_now_ns();
    const bool good =
        segue_bench_check(bench, segue_command_buffer_reset(self->command_buffer)) &&
        segue_bench_check(bench, self->record(bench, self)) &&
        segue_bench_check(bench, segue_bench_submit(&bench->fixture, self->command_buffer));
    *out_ns = segue_bench_now_ns() - start_ns;
    return good && segue_bench_check(bench, segue_queue_wait_idle(bench->fixture.queue));
}

static bool measure(struct segue_bench *bench, void *state, double *values)
{
    struct segue_bench_cache_case *self = state;
    double least_ns = 0;
    for (uint32_t i = 0; i < SEGUE_BENCH_INNER; i++) {
        double taken_ns;
        if (!step(bench, self, &taken_ns))
            return false;
        if (i == 0 || taken_ns < least_ns)
            least_ns = taken_ns;
    }
    for (uint32_t i = 0; i < SEGUE_BENCH_WAY_COUNT; i++)
        values[i] = least_ns;
    return true;
}

static bool measure_raw(struct segue_bench *bench, void *state, double *values)
{
    struct segue_bench_cache_case *self = state;
    for (uint32_t way = 0; way < SEGUE_BENCH_WAY_COUNT; way++) {
        if (!segue_bench_kept_measure(bench, &self->kept, way, &values[way]))
            return false;
    }
    return true;
}

/** What a step may cost above a launch, and what share of building anew, as the issue of the cache
 *  asks for: 0.12 us a dispatch; 3 us for ten changed; 0.3 us a dispatch if all have. */
static void set_targets(struct segue_bench_metric *metrics, uint32_t count, uint32_t changed,
                        bool moved)
{
    double constant_ns = 120.0 * count;
    double ratio = 1.0 / 15;
    if (moved || changed * 10 > count) {
        constant_ns = 300.0 * count;
        ratio = 1.0 / 6;
    } else if (changed != 0) {
        constant_ns += changed <= 10 ? 3000 : 300.0 * changed;
    }
    // What is paid once a step is not to be seen in buffers of this size and above.
    if (count >= 1000)
        metrics[SEGUE_BENCH_LAUNCH].target =
            (struct segue_bench_target){.ratio = 1, .constant = constant_ns};
    metrics[SEGUE_BENCH_REBUILD].target = (struct segue_bench_target){.ratio = ratio};
}

void segue_bench_add_cache_case(struct segue_bench *bench,
                                const struct segue_bench_cache_plan *plan, const char *name)
{
    static const struct segue_bench_metric metrics[] = {
        [SEGUE_BENCH_LAUNCH] = {.name = "launch", .baseline = "raw launch alone"},
        [SEGUE_BENCH_REBUILD] = {.name = "rebuild", .baseline = "raw build, launch, destroy"},
        [SEGUE_BENCH_UPDATE] = {.name = "update", .baseline = "raw add, cuGraphExecUpdate, launch"},
        [SEGUE_BENCH_ALL] = {.name = "all", .baseline = "raw SetParams of all, launch"},
        [SEGUE_BENCH_STREAM] = {.name = "stream", .baseline = "raw launch of each"},
        [SEGUE_BENCH_NODES] = {.name = "nodes",
                               .baseline = "raw SetParams of what has changed, launch"},
    };
    // The tables outlive the benchmark, one for each.
    static struct segue_bench_metric tables[SEGUE_BENCH_MAX_CASES][SEGUE_BENCH_WAY_COUNT];
    static uint32_t table_count;
    struct segue_bench_metric *table = tables[table_count++];
    memcpy(table, metrics, sizeof(metrics));
    set_targets(table, plan->count, plan->changed, plan->moved);
    const uint32_t moved = plan->moved ? SEGUE_BENCH_CACHE_MOVED : 0;
    const struct segue_bench_case added = {
        .metrics = table,
        .metric_count = SEGUE_BENCH_WAY_COUNT,
        .count = plan->count,
        .kind = plan->kind | moved | plan->changed << SEGUE_BENCH_CACHE_CHANGED,
        .set_up = plan->set_up,
        .sides = {measure, measure_raw},
        .tear_down = plan->tear_down,
    };
    if (plan->moved)
        segue_bench_add(bench, &added, "cache/%s/%u/moved", name, plan->count);
    else
        segue_bench_add(bench, &added, "cache/%s/%u/%u", name, plan->count, plan->changed);
}

void segue_bench_add_cache_cases(struct segue_bench *bench, struct segue_bench_cache_plan plan,
                                 const char *name)
{
    const uint32_t changed[] = {0, 1, plan.count / 100, plan.count / 10, plan.count};
    for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++) {
        if (i > 0 && changed[i] <= plan.changed)
            continue;
        plan.changed = changed[i];
        segue_bench_add_cache_case(bench, &plan, name);
    }
}
