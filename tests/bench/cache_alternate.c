// SPDX-License-Identifier: Apache-2.0
/*
 *   cache/alternate/10  a command buffer that is recorded again with another of 10 shapes each
 * step; beside it: building and destroying the raw graph each time (rebuild), and launching each
 * kernel on a stream (stream). Nothing else that the raw driver can do helps where the structure
 * changes. Time is per dispatch. It fails if anything is instantiated once every shape has been
 * there.
 *
 * Predictions: as cache/chain unchanged, whatever the number of shapes.
 */
#include "cache_case.h"

#include <stdlib.h>

enum metric { REBUILD, STREAM };

static uint64_t count_made(const struct segue_bench *bench)
{
    struct segue_cache_stats stats;
    segue_device_get_cache_stats(bench->fixture.device, &stats);
    return stats.misses + stats.copies;
}

bool segue_bench_alternation_open(struct segue_bench *bench, uint32_t shape_count,
                                  struct segue_bench_alternation *self)
{
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_GRAPH};
    self->shapes = calloc(shape_count, sizeof(*self->shapes));
    if (!self->shapes)
        return segue_bench_fail(bench, "out of memory");
    self->shape_count = shape_count;
    segue_device_set_cache_budget(bench->fixture.device, NULL);
    bool good = segue_bench_check(
        bench, segue_command_buffer_create(bench->fixture.device, &params, &self->command_buffer));
    for (uint32_t i = 0; i < shape_count && good; i++)
        good = segue_bench_check(bench, segue_command_buffer_reset(self->command_buffer)) &&
               segue_bench_check(bench, self->record(bench, self, self->command_buffer,
                                                     SEGUE_BENCH_FIRST_COUNT + i));
    self->made_count = count_made(bench);
    return good;
}

void segue_bench_alternation_close(struct segue_bench *bench, struct segue_bench_alternation *self)
{
    segue_command_buffer_destroy(self->command_buffer);
    for (uint32_t i = 0; self->shapes && i < self->shape_count; i++)
        segue_bench_kept_close(bench, &self->shapes[i]);
    free(self->shapes);
    segue_device_set_cache_budget(bench->fixture.device, &(struct segue_cache_budget){0});
}

/** The shortest of some steps in a row, each with another shape. */
static bool measure(struct segue_bench *bench, void *state, double *values)
{
    struct segue_bench_alternation *self = state;
    double least_ns = 0;
    for (uint32_t i = 0; i < SEGUE_BENCH_INNER; i++) {
        const uint32_t count = SEGUE_BENCH_FIRST_COUNT + self->step++ % self->shape_count;
        const double start_ns = segue_bench_now_ns();
        const bool good =
            segue_bench_check(bench, segue_command_buffer_reset(self->command_buffer)) &&
            segue_bench_check(bench, self->record(bench, self, self->command_buffer, count)) &&
            segue_bench_check(bench, segue_bench_submit(&bench->fixture, self->command_buffer));
        const double taken_ns = (segue_bench_now_ns() - start_ns) / count;
        if (!good || !segue_bench_check(bench, segue_queue_wait_idle(bench->fixture.queue)))
            return false;
        if (count_made(bench) != self->made_count)
            return segue_bench_fail(bench, "a shape that had been there was instantiated again");
        if (i == 0 || taken_ns < least_ns)
            least_ns = taken_ns;
    }
    values[REBUILD] = values[STREAM] = least_ns;
    return true;
}

static bool measure_raw(struct segue_bench *bench, void *state, double *values)
{
    struct segue_bench_alternation *self = state;
    const uint32_t place = self->step % self->shape_count;
    if (!segue_bench_kept_measure(bench, &self->shapes[place], SEGUE_BENCH_REBUILD,
                                  &values[REBUILD]) ||
        !segue_bench_kept_measure(bench, &self->shapes[place], SEGUE_BENCH_STREAM, &values[STREAM]))
        return false;
    values[REBUILD] /= SEGUE_BENCH_FIRST_COUNT + place;
    values[STREAM] /= SEGUE_BENCH_FIRST_COUNT + place;
    return true;
}

void segue_bench_add_alternations(struct segue_bench *bench,
                                  const struct segue_bench_cache_plan *plan, const char *name)
{
    static const struct segue_bench_metric metrics[] = {
        [REBUILD] = {.name = "rebuild",
                     .baseline = "raw build, launch, destroy",
                     .target = {.ratio = 1.0 / 15}},
        [STREAM] = {.name = "stream", .baseline = "raw launch of each"},
    };
    static const uint32_t shape_counts[] = {2, 10, 100};
    for (size_t i = 0; i < sizeof(shape_counts) / sizeof(shape_counts[0]); i++) {
        const struct segue_bench_case added = {
            .metrics = metrics,
            .metric_count = sizeof(metrics) / sizeof(metrics[0]),
            .count = shape_counts[i],
            .set_up = plan->set_up,
            .sides = {measure, measure_raw},
            .tear_down = plan->tear_down,
        };
        segue_bench_add(bench, &added, "%s/%u", name, shape_counts[i]);
    }
}
