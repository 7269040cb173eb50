// SPDX-License-Identifier: Apache-2.0
/*
 * Graphs from the cache in a loop.
 *
 *   cache/alternate   a command buffer that is recorded again with another of 2, 10, 100 shapes
 * each step, as a server with many sequence lengths does; beside it: building and destroying the
 * raw graph each time. It fails if anything is instantiated once every shape has been there.
 *   cache/overlap     1000 steps of 1000 dispatches of which 10 change, recorded, patched and
 *                     submitted while the step before runs; beside it: the raw launch of one and
 * the same graph. `gap` is how much longer a step takes: the time that the device waits for the
 * host. cache/memory      what an idle graph of the cache keeps, per node, of as many structures as
 *                     graphs; beside it: the raw executable graph alone, and together with the
 * graph that patching needs
 *
 * Predictions: alternate as cache/chain unchanged, whatever the number of shapes; gap below 1 us,
 * as the host needs a tenth of the device's time; memory 150 bytes a node above graph and exec.
 */
#include "harness.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/** Dispatches of the smallest shape that alternates. */
#define FIRST_COUNT 100
/** Steps that are submitted before the oldest of them is waited for. */
#define AHEAD 2
#define MEMORY_SAMPLES 4
#define MEMORY_GRAPHS 8

struct state {
    uint32_t count;
    uint32_t step_count;
    uint32_t step;
    segue_command_buffer *command_buffer;
    /** alternate: one for each shape; else one. */
    struct segue_bench_shape *shapes;
    uint32_t shape_count;
    uint64_t misses;
    CUgraphExec exec;
    CUevent events[AHEAD];
    double step_ns[SEGUE_BENCH_SIDE_COUNT];
    /** memory: what has been made on either side, and is kept until the end. */
    uint32_t made_count;
    CUgraph graphs[MEMORY_SAMPLES * MEMORY_GRAPHS];
    CUgraphExec execs[MEMORY_SAMPLES * MEMORY_GRAPHS];
    uint32_t raw_count;
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

static bool create(struct segue_bench *bench, segue_command_buffer **out_command_buffer)
{
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_GRAPH};
    return segue_bench_check(
        bench, segue_command_buffer_create(bench->fixture.device, &params, out_command_buffer));
}

static bool allocate_state(struct segue_bench *bench, uint32_t shape_count, void **out_state)
{
    struct state *state = calloc(1, sizeof(*state));
    *out_state = state;
    if (state)
        state->shapes = calloc(shape_count, sizeof(*state->shapes));
    if (!state || !state->shapes)
        return segue_bench_fail(bench, "out of memory");
    state->shape_count = shape_count;
    segue_device_set_cache_budget(bench->fixture.device, NULL);
    return create(bench, &state->command_buffer);
}

static void tear_down(struct segue_bench *bench, void *opaque)
{
    struct state *state = opaque;
    const struct segue_driver *driver = &bench->raw.driver;
    if (!state)
        return;
    segue_command_buffer_destroy(state->command_buffer);
    for (uint32_t i = 0; i < state->raw_count; i++) {
        (void)driver->cuGraphExecDestroy(state->execs[i]);
        (void)driver->cuGraphDestroy(state->graphs[i]);
    }
    for (uint32_t i = 0; i < AHEAD; i++) {
        if (state->events[i])
            (void)driver->cuEventDestroy(state->events[i]);
    }
    if (state->exec)
        (void)driver->cuGraphExecDestroy(state->exec);
    for (uint32_t i = 0; state->shapes && i < state->shape_count; i++)
        segue_bench_shape_destroy(&state->shapes[i]);
    segue_device_set_cache_budget(bench->fixture.device, &(struct segue_cache_budget){0});
    free(state->shapes);
    free(state);
}

/* ---- alternate ------------------------------------------------------------------------------- */

static bool set_up_alternate(struct segue_bench *bench, const struct segue_bench_case *self,
                             void **out_state)
{
    if (!allocate_state(bench, self->count, out_state))
        return false;
    struct state *state = *out_state;
    bool good = true;
    for (uint32_t i = 0; i < state->shape_count && good; i++) {
        good = segue_bench_check(bench, segue_command_buffer_reset(state->command_buffer)) &&
               segue_bench_check(
                   bench, record(&bench->fixture, state->command_buffer, FIRST_COUNT + i, 0)) &&
               segue_bench_check(bench,
                                 segue_bench_take_shape(state->command_buffer, &state->shapes[i]));
    }
    struct segue_cache_stats stats;
    segue_device_get_cache_stats(bench->fixture.device, &stats);
    state->misses = stats.misses + stats.copies;
    return good;
}

static bool measure_alternate(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    const uint32_t count = FIRST_COUNT + state->step++ % state->shape_count;
    const double start_ns = segue_bench_now_ns();
    const bool good =
        segue_bench_check(bench, segue_command_buffer_reset(state->command_buffer)) &&
        segue_bench_check(bench, record(&bench->fixture, state->command_buffer, count, 0)) &&
        segue_bench_check(bench, segue_bench_submit(&bench->fixture, state->command_buffer));
    values[0] = (segue_bench_now_ns() - start_ns) / count;
    struct segue_cache_stats stats;
    segue_device_get_cache_stats(bench->fixture.device, &stats);
    if (good && stats.misses + stats.copies != state->misses)
        return segue_bench_fail(bench, "a shape that had been there was instantiated again");
    return good && segue_bench_check(bench, segue_queue_wait_idle(bench->fixture.queue));
}

static bool measure_rebuild(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    struct segue_bench_shape *shape = &state->shapes[state->step % state->shape_count];
    struct segue_bench_raw_times times;
    CUgraphExec exec = NULL;
    const char *step = "";
    double start_ns = segue_bench_now_ns();
    CUresult result =
        segue_bench_raw_make(&bench->raw, shape, bench->fixture.addresses, &times, &exec, &step);
    if (result == CUDA_SUCCESS)
        result = bench->raw.driver.cuGraphLaunch(exec, bench->raw.stream);
    double taken_ns = segue_bench_now_ns() - start_ns;
    if (result == CUDA_SUCCESS)
        result = bench->raw.driver.cuStreamSynchronize(bench->raw.stream);
    start_ns = segue_bench_now_ns();
    if (result == CUDA_SUCCESS)
        result = bench->raw.driver.cuGraphExecDestroy(exec);
    taken_ns += segue_bench_now_ns() - start_ns;
    values[0] = taken_ns / shape->node_count;
    return segue_bench_check_raw(bench, result, step);
}

/* ---- overlap --------------------------------------------------------------------------------- */

enum overlap_metric { STEP, GAP };

static bool set_up_overlap(struct segue_bench *bench, const struct segue_bench_case *self,
                           void **out_state)
{
    if (!allocate_state(bench, 1, out_state))
        return false;
    struct state *state = *out_state;
    const char *step = "";
    struct segue_bench_raw_times times;
    state->count = self->count;
    // The software driver runs when it is asked, which takes it longer than the rest.
    state->step_count = bench->fixture.info.is_soft ? 20 : self->kind;
    if (!segue_bench_check(bench,
                           record(&bench->fixture, state->command_buffer, state->count, 0)) ||
        !segue_bench_check(bench, segue_bench_take_shape(state->command_buffer, &state->shapes[0])))
        return false;
    CUresult result = segue_bench_raw_make(&bench->raw, &state->shapes[0], bench->fixture.addresses,
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

/* ---- memory ---------------------------------------------------------------------------------- */

enum memory_metric { EXEC, WITH_GRAPH };

/** Bytes of the heap in use. What the driver maps itself is in neither side. */
static double heap_bytes(void)
{
    const struct mallinfo2 heap = mallinfo2();
    return (double)heap.uordblks + (double)heap.hblkhd;
}

static bool set_up_memory(struct segue_bench *bench, const struct segue_bench_case *self,
                          void **out_state)
{
    if (!allocate_state(bench, MEMORY_SAMPLES * MEMORY_GRAPHS, out_state))
        return false;
    struct state *state = *out_state;
    state->count = self->count;
    bool good = true;
    // What is made for the shapes must not be found again.
    segue_device_set_cache_budget(bench->fixture.device, &(struct segue_cache_budget){0});
    for (uint32_t i = 0; i < state->shape_count && good; i++) {
        good = segue_bench_check(bench, segue_command_buffer_reset(state->command_buffer)) &&
               segue_bench_check(
                   bench, record(&bench->fixture, state->command_buffer, state->count + i, 0)) &&
               segue_bench_check(bench,
                                 segue_bench_take_shape(state->command_buffer, &state->shapes[i]));
    }
    good = segue_bench_check(bench, segue_command_buffer_reset(state->command_buffer)) && good;
    segue_device_set_cache_budget(bench->fixture.device, NULL);
    return good;
}

/** Graphs of the cache, each of a structure of its own. With the command buffers their recordings
 *  go; what stays is the cache's. */
static bool measure_memory(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    segue_command_buffer *command_buffers[MEMORY_GRAPHS] = {NULL};
    bool good = true;
    uint32_t nodes = 0;
    if (state->made_count + MEMORY_GRAPHS > state->shape_count)
        return segue_bench_fail(bench, "more samples than there is room for");
    const double before_bytes = heap_bytes();
    for (uint32_t i = 0; i < MEMORY_GRAPHS && good; i++) {
        const uint32_t count = state->count + state->made_count++;
        nodes += count;
        good = create(bench, &command_buffers[i]) &&
               segue_bench_check(bench, record(&bench->fixture, command_buffers[i], count, 0));
    }
    for (uint32_t i = 0; i < MEMORY_GRAPHS; i++)
        segue_command_buffer_destroy(command_buffers[i]);
    values[EXEC] = values[WITH_GRAPH] = (heap_bytes() - before_bytes) / nodes;
    return good;
}

static bool measure_raw_memory(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    const struct segue_driver *driver = &bench->raw.driver;
    CUresult result = CUDA_SUCCESS;
    double graph_bytes = 0;
    double exec_bytes = 0;
    uint32_t nodes = 0;
    if (state->raw_count + MEMORY_GRAPHS > state->shape_count)
        return segue_bench_fail(bench, "more samples than there is room for");
    for (uint32_t i = 0; i < MEMORY_GRAPHS && result == CUDA_SUCCESS; i++) {
        const uint32_t place = state->raw_count;
        CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 0};
        const double before_bytes = heap_bytes();
        result = driver->cuGraphCreate(&state->graphs[place], 0);
        if (result == CUDA_SUCCESS)
            result = segue_bench_raw_add(&bench->raw, &state->shapes[place],
                                         bench->fixture.addresses, state->graphs[place]);
        const double graph_at_bytes = heap_bytes();
        if (result == CUDA_SUCCESS)
            result = driver->cuGraphInstantiateWithParams(&state->execs[place],
                                                          state->graphs[place], &params);
        if (result == CUDA_SUCCESS)
            result = driver->cuGraphUpload(state->execs[place], bench->raw.stream);
        if (result == CUDA_SUCCESS)
            result = driver->cuStreamSynchronize(bench->raw.stream);
        if (result == CUDA_SUCCESS)
            state->raw_count++;
        graph_bytes += graph_at_bytes - before_bytes;
        exec_bytes += heap_bytes() - graph_at_bytes;
        nodes += state->shapes[place].node_count;
    }
    values[EXEC] = exec_bytes / nodes;
    values[WITH_GRAPH] = (exec_bytes + graph_bytes) / nodes;
    return segue_bench_check_raw(bench, result, "cuGraphInstantiateWithParams");
}

void segue_bench_add_cache_loop(struct segue_bench *bench)
{
    static const struct segue_bench_metric alternate_metrics[] = {
        {.baseline = "raw build, launch, destroy", .target = {.ratio = 1.0 / 15}},
    };
    static const struct segue_bench_metric overlap_metrics[] = {
        [STEP] = {.name = "step", .baseline = "raw launch of one graph"},
        [GAP] = {.name = "gap", .baseline = "that launch", .target = {.value = 3000}},
    };
    static const struct segue_bench_metric memory_metrics[] = {
        [EXEC] = {.name = "exec",
                  .unit = SEGUE_BENCH_BYTES,
                  .baseline = "raw exec",
                  .target = {.ratio = 1.1}},
        [WITH_GRAPH] = {.name = "with_graph",
                        .unit = SEGUE_BENCH_BYTES,
                        .baseline = "raw exec and its graph",
                        .target = {.ratio = 1.1}},
    };
    static const uint32_t shape_counts[] = {2, 10, 100};
    for (size_t i = 0; i < sizeof(shape_counts) / sizeof(shape_counts[0]); i++) {
        const struct segue_bench_case alternate = {
            .metrics = alternate_metrics,
            .metric_count = 1,
            .count = shape_counts[i],
            .set_up = set_up_alternate,
            .sides = {measure_alternate, measure_rebuild},
            .tear_down = tear_down,
        };
        segue_bench_add(bench, &alternate, "cache/alternate/%u", shape_counts[i]);
    }
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
    const struct segue_bench_case memory = {
        .metrics = memory_metrics,
        .metric_count = 2,
        .count = 1000,
        .max_repeats = 2,
        .set_up = set_up_memory,
        .sides = {measure_memory, measure_raw_memory},
        .tear_down = tear_down,
    };
    segue_bench_add(bench, &memory, "cache/memory/1000");
}
