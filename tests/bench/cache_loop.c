// SPDX-License-Identifier: Apache-2.0
/*
 * Graphs from the cache in a loop.
 *
 *   cache/overlap     1000 steps of 1000 dispatches of which 10 change, recorded, patched and
 *                     submitted while the step before runs; beside it: the raw launch of one and
 * the same graph. `gap` is how much longer a step takes: the time that the device waits for the
 * host cache/alternate   see cache_alternate.c
 *
 * Prediction: gap below 1 us, as the host needs a tenth of the device's time.
 */
#include "cache_case.h"

#include <stdlib.h>

/** Steps that are submitted before the oldest of them is waited for. */
#define AHEAD 2

struct state {
    uint32_t count;
    uint32_t step_count;
    uint32_t step;
    segue_command_buffer *command_buffer;
    struct segue_bench_shape shape;
    CUgraphExec exec;
    CUevent events[AHEAD];
    double step_ns[SEGUE_BENCH_SIDE_COUNT];
};

/** A chain; the constants of 10 dispatches change with the step, where `changes`. */
static segue_status record(const struct segue_bench_fixture *fixture,
                           segue_command_buffer *command_buffer, uint32_t count, uint32_t step)
{
    segue_status status = segue_command_buffer_begin(command_buffer);
    for (uint32_t i = 0; i < count && status == SEGUE_OK; i++) {
        status =
            segue_bench_dispatch(fixture, command_buffer, i % (count / 10) == 0 ? step + i : i);
        if (status == SEGUE_OK)
            status = segue_cmd_barrier(command_buffer, NULL);
    }
    return status == SEGUE_OK ? segue_command_buffer_end(command_buffer) : status;
}

static void tear_down(struct segue_bench *bench, void *opaque)
{
    struct state *state = opaque;
    const struct segue_driver *driver = &bench->raw.driver;
    if (!state)
        return;
    segue_command_buffer_destroy(state->command_buffer);
    for (uint32_t i = 0; i < AHEAD; i++) {
        if (state->events[i])
            (void)driver->cuEventDestroy(state->events[i]);
    }
    if (state->exec)
        (void)driver->cuGraphExecDestroy(state->exec);
    segue_bench_shape_destroy(&state->shape);
    segue_device_set_cache_budget(bench->fixture.device, &(struct segue_cache_budget){0});
    free(state);
}

/* ---- alternate ------------------------------------------------------------------------------- */

struct alternation {
    struct segue_bench_alternation base;
    struct segue_bench_plain_parts *plain;
};

static segue_status record_shape(const struct segue_bench *bench,
                                 const struct segue_bench_alternation *base,
                                 segue_command_buffer *command_buffer, uint32_t count)
{
    (void)base;
    return record(&bench->fixture, command_buffer, count, 0);
}

static bool set_up_alternate(struct segue_bench *bench, const struct segue_bench_case *self,
                             void **out_state)
{
    struct alternation *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    state->base.record = record_shape;
    state->plain = calloc(self->count, sizeof(*state->plain));
    if (!state->plain)
        return segue_bench_fail(bench, "out of memory");
    bool good = segue_bench_alternation_open(bench, self->count, &state->base);
    segue_command_buffer *command_buffer = state->base.command_buffer;
    for (uint32_t i = 0; i < self->count && good; i++) {
        good = segue_bench_check(bench, segue_command_buffer_reset(command_buffer)) &&
               segue_bench_check(bench, record(&bench->fixture, command_buffer,
                                               SEGUE_BENCH_FIRST_COUNT + i, 0)) &&
               segue_bench_check(bench,
                                 segue_bench_take_shape(command_buffer, &state->plain[i].shape));
        state->base.shapes[i].parts = segue_bench_plain_parts(&state->plain[i]);
    }
    return good;
}

static void tear_down_alternate(struct segue_bench *bench, void *opaque)
{
    struct alternation *state = opaque;
    if (!state)
        return;
    for (uint32_t i = 0; state->plain && i < state->base.shape_count; i++)
        segue_bench_shape_destroy(&state->plain[i].shape);
    segue_bench_alternation_close(bench, &state->base);
    free(state->plain);
    free(state);
}

/* ---- overlap --------------------------------------------------------------------------------- */

enum overlap_metric { STEP, GAP };

static bool set_up_overlap(struct segue_bench *bench, const struct segue_bench_case *self,
                           void **out_state)
{
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_GRAPH};
    struct state *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    segue_device_set_cache_budget(bench->fixture.device, NULL);
    const char *step = "";
    struct segue_bench_raw_times times;
    state->count = self->count;
    // The software driver runs when it is asked, which takes it longer than the rest.
    state->step_count = bench->fixture.info.is_soft ? 20 : self->kind;
    if (!segue_bench_check(bench, segue_command_buffer_create(bench->fixture.device, &params,
                                                              &state->command_buffer)) ||
        !segue_bench_check(bench,
                           record(&bench->fixture, state->command_buffer, state->count, 0)) ||
        !segue_bench_check(bench, segue_bench_take_shape(state->command_buffer, &state->shape)))
        return false;
    CUresult result = segue_bench_raw_make(&bench->raw, &state->shape, bench->fixture.addresses,
                                           &times, &state->exec, &step);
    for (uint32_t i = 0; i < AHEAD && result == CUDA_SUCCESS; i++)
        result = bench->raw.driver.cuEventCreate(&state->events[i], CU_EVENT_DISABLE_TIMING);
    return segue_bench_check_raw(bench, result, step);
}

static bool measure_overlap(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    struct segue_bench_fixture *fixture = &bench->fixture;
    const double start_ns = segue_bench_now_ns();
    bool good = true;
    for (uint32_t i = 0; i < state->step_count && good; i++) {
        if (i >= AHEAD)
            good = segue_bench_check(bench, segue_semaphore_wait(fixture->done,
                                                                 fixture->done_value - AHEAD + 1,
                                                                 SEGUE_TIMEOUT_INFINITE));
        good = good &&
               segue_bench_check(bench, segue_command_buffer_reset(state->command_buffer)) &&
               segue_bench_check(
                   bench, record(fixture, state->command_buffer, state->count, ++state->step)) &&
               segue_bench_check(bench, segue_bench_submit(fixture, state->command_buffer));
    }
    good = good && segue_bench_check(bench, segue_queue_wait_idle(fixture->queue));
    values[STEP] = (segue_bench_now_ns() - start_ns) / state->step_count;
    state->step_ns[SEGUE_BENCH_FIGURE] = values[STEP];
    return good;
}

static bool measure_launches(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    const struct segue_driver *driver = &bench->raw.driver;
    const double start_ns = segue_bench_now_ns();
    CUresult result = CUDA_SUCCESS;
    for (uint32_t i = 0; i < state->step_count && result == CUDA_SUCCESS; i++) {
        if (i >= AHEAD)
            result = driver->cuEventSynchronize(state->events[i % AHEAD]);
        if (result == CUDA_SUCCESS)
            result = driver->cuGraphLaunch(state->exec, bench->raw.stream);
        if (result == CUDA_SUCCESS)
            result = driver->cuEventRecord(state->events[i % AHEAD], bench->raw.stream);
    }
    if (result == CUDA_SUCCESS)
        result = driver->cuStreamSynchronize(bench->raw.stream);
    values[STEP] = values[GAP] = (segue_bench_now_ns() - start_ns) / state->step_count;
    state->step_ns[SEGUE_BENCH_BASELINE] = values[STEP];
    return segue_bench_check_raw(bench, result, "cuGraphLaunch");
}

static void combine_overlap(void *opaque, double *figures, double *baselines)
{
    (void)baselines;
    const struct state *state = opaque;
    figures[GAP] = state->step_ns[SEGUE_BENCH_FIGURE] - state->step_ns[SEGUE_BENCH_BASELINE];
}

void segue_bench_add_cache_loop(struct segue_bench *bench)
{
    static const struct segue_bench_metric overlap_metrics[] = {
        [STEP] = {.name = "step", .baseline = "raw launch of one graph"},
        [GAP] = {.name = "gap", .baseline = "that launch", .target = {.value = 3000}},
    };
    const struct segue_bench_cache_plan alternate = {.set_up = set_up_alternate,
                                                     .tear_down = tear_down_alternate};
    segue_bench_add_alternations(bench, &alternate, "cache/alternate");
    const struct segue_bench_case overlap = {
        .metrics = overlap_metrics,
        .metric_count = 2,
        .count = 1000,
        .kind = bench->options.quick ? 20 : 1000,
        .max_repeats = 5,
        .set_up = set_up_overlap,
        .sides = {measure_overlap, measure_launches},
        .combine = combine_overlap,
        .tear_down = tear_down,
    };
    segue_bench_add(bench, &overlap, "cache/overlap/1000");
}
