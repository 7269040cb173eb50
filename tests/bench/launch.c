// SPDX-License-Identifier: Apache-2.0
/*
 * What running a ready command buffer costs: the host's time in the call, and, for whole runs,
 * until the device is done. The device is idle before each launch.
 *
 *   launch/ready    segue_queue_submit with one signal, beside cuGraphLaunch of the same graph
 *   launch/first    the first submission of a new command buffer, beside its hundredth
 *   launch/first_raw  the same of raw graphs: what is left after an upload is the driver's
 *   launch/mode     the same chain as a graph, beside the same as a stream
 *
 * Floors: cuGraphLaunch takes 1.1 us (10 nodes) to 3 us (1000). A submission adds cuEventRecord
 * (0.5 us), pushing and popping the context twice, one lock and no allocation: 0.7 us. A stream
 * launch takes 3.0 us a kernel, a graph's node 0.52 us.
 * Predictions: ready 0.7 to 1.0 us above raw at every length; first equal to hundredth within
 * 1.3 times, since the graph was uploaded; graph ahead of stream from 2 commands on in host time.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

/** Launches of one sample, each alone; the sample is their median, so that a single interruption of
 *  the host does not show. */
#define INNER 9
#define HUNDREDTH 100

/** What a submission may cost beyond 1.1 times a raw launch: the fence of its signal (one
 *  cuEventRecord) and its bookkeeping. Measured on an H200: 240 ns at every length. */
#define SEMAPHORE_NS 400

enum metric { HOST, DONE };

static const uint32_t mode_counts[] = {1, 2, 4, 8, 16, 100, 1000};
#define MODE_COUNT (sizeof(mode_counts) / sizeof(mode_counts[0]))

struct state {
    uint32_t count;
    segue_command_buffer *command_buffer;
    /** launch/ready. */
    struct segue_bench_shape shape;
    CUgraphExec exec;
    /** launch/mode. */
    segue_command_buffer *stream;
    /** launch/first: of the hundredth. */
    double hundredth_ns[2];
};

static struct state *create_state(struct segue_bench *bench, const struct segue_bench_case *self,
                                  void **out_state)
{
    struct state *state = calloc(1, sizeof(*state));
    if (!state) {
        (void)segue_bench_fail(bench, "out of memory");
        return NULL;
    }
    state->count = self->count;
    *out_state = state;
    return state;
}

static void tear_down(struct segue_bench *bench, void *opaque)
{
    struct state *state = opaque;
    if (!state)
        return;
    segue_command_buffer_destroy(state->command_buffer);
    segue_command_buffer_destroy(state->stream);
    if (state->exec)
        (void)bench->raw.driver.cuGraphExecDestroy(state->exec);
    segue_bench_shape_destroy(&state->shape);
    free(state);
}

static bool make_chain(struct segue_bench *bench, uint32_t count, enum segue_execution_mode mode,
                       segue_command_buffer **out_command_buffer)
{
    return segue_bench_check(
        bench, segue_bench_make_scopes(&bench->fixture, count, 1, mode, out_command_buffer));
}

/** Takes the time of one launch, in the call and until the device is done. */
static bool launch(struct segue_bench *bench, segue_command_buffer *command_buffer, double *values)
{
    const double start_ns = segue_bench_now_ns();
    const segue_status status = segue_bench_submit(&bench->fixture, command_buffer);
    const double launched_ns = segue_bench_now_ns();
    if (!segue_bench_check(bench, status) ||
        !segue_bench_check(bench, segue_queue_wait_idle(bench->fixture.queue)))
        return false;
    values[HOST] = launched_ns - start_ns;
    values[DONE] = segue_bench_now_ns() - start_ns;
    return true;
}

/** The times of INNER launches. */
struct inner {
    double host[INNER];
    double done[INNER];
};

static void keep_inner(struct inner *inner, uint32_t index, const double *values)
{
    inner->host[index] = values[HOST];
    inner->done[index] = values[DONE];
}

static void take_medians(struct inner *inner, double *values)
{
    values[HOST] = segue_bench_summarise(inner->host, INNER).median;
    values[DONE] = segue_bench_summarise(inner->done, INNER).median;
}

static bool launch_inner(struct segue_bench *bench, segue_command_buffer *command_buffer,
                         double *values)
{
    struct inner inner;
    for (uint32_t i = 0; i < INNER; i++) {
        if (!launch(bench, command_buffer, values))
            return false;
        keep_inner(&inner, i, values);
    }
    take_medians(&inner, values);
    return true;
}

/* ---- launch/ready ---------------------------------------------------------------------------- */

static bool set_up_ready(struct segue_bench *bench, const struct segue_bench_case *self,
                         void **out_state)
{
    struct state *state = create_state(bench, self, out_state);
    if (!state || !make_chain(bench, self->count, SEGUE_EXECUTION_GRAPH, &state->command_buffer) ||
        !segue_bench_check(bench, segue_bench_take_shape(state->command_buffer, &state->shape)))
        return false;
    struct segue_bench_raw_times times;
    const char *step = "";
    const CUresult result = segue_bench_raw_make(
        &bench->raw, &state->shape, bench->fixture.addresses, &times, &state->exec, &step);
    return segue_bench_check_raw(bench, result, step);
}

static bool measure_ready(struct segue_bench *bench, void *opaque, double *values)
{
    const struct state *state = opaque;
    return launch_inner(bench, state->command_buffer, values);
}

/** `launch` with the raw driver. */
static bool launch_raw(struct segue_bench *bench, CUgraphExec exec, double *values)
{
    const struct segue_driver *driver = &bench->raw.driver;
    const double start_ns = segue_bench_now_ns();
    const CUresult result = driver->cuGraphLaunch(exec, bench->raw.stream);
    const double launched_ns = segue_bench_now_ns();
    if (!segue_bench_check_raw(bench, result, "cuGraphLaunch") ||
        !segue_bench_check_raw(bench, driver->cuStreamSynchronize(bench->raw.stream),
                               "cuStreamSynchronize"))
        return false;
    values[HOST] = launched_ns - start_ns;
    values[DONE] = segue_bench_now_ns() - start_ns;
    return true;
}

static bool measure_ready_raw(struct segue_bench *bench, void *opaque, double *values)
{
    const struct state *state = opaque;
    struct inner inner;
    for (uint32_t i = 0; i < INNER; i++) {
        if (!launch_raw(bench, state->exec, values))
            return false;
        keep_inner(&inner, i, values);
    }
    take_medians(&inner, values);
    return true;
}

/* ---- launch/first ---------------------------------------------------------------------------- */

static bool set_up_first(struct segue_bench *bench, const struct segue_bench_case *self,
                         void **out_state)
{
    return create_state(bench, self, out_state) != NULL;
}

static bool launch_hundred(struct segue_bench *bench, segue_command_buffer *command_buffer,
                           double *first_ns, double *hundredth_ns)
{
    for (uint32_t i = 1; i <= HUNDREDTH; i++) {
        if (!launch(bench, command_buffer, i == 1 ? first_ns : hundredth_ns))
            return false;
    }
    return true;
}

static bool measure_first(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    segue_command_buffer *command_buffer = NULL;
    if (!make_chain(bench, state->count, SEGUE_EXECUTION_GRAPH, &command_buffer))
        return false;
    // The queue is warm: something else runs on it right before.
    double other[2];
    const bool good = launch(bench, NULL, other) &&
                      launch_hundred(bench, command_buffer, values, state->hundredth_ns);
    segue_command_buffer_destroy(command_buffer);
    return good;
}

static bool set_up_first_raw(struct segue_bench *bench, const struct segue_bench_case *self,
                             void **out_state)
{
    struct state *state = create_state(bench, self, out_state);
    return state && make_chain(bench, self->count, SEGUE_EXECUTION_GRAPH, &state->command_buffer) &&
           segue_bench_check(bench, segue_bench_take_shape(state->command_buffer, &state->shape));
}

static bool measure_first_raw(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    struct segue_bench_raw_times times;
    const char *step = "";
    CUgraphExec exec = NULL;
    const CUresult result = segue_bench_raw_make(&bench->raw, &state->shape,
                                                 bench->fixture.addresses, &times, &exec, &step);
    if (!segue_bench_check_raw(bench, result, step))
        return false;
    bool good = true;
    for (uint32_t i = 1; i <= HUNDREDTH && good; i++)
        good = launch_raw(bench, exec, i == 1 ? values : state->hundredth_ns);
    return segue_bench_check_raw(bench, bench->raw.driver.cuGraphExecDestroy(exec),
                                 "cuGraphExecDestroy") &&
           good;
}

static void combine_first(void *opaque, double *figures, double *baselines)
{
    (void)figures;
    const struct state *state = opaque;
    baselines[HOST] = state->hundredth_ns[HOST];
    baselines[DONE] = state->hundredth_ns[DONE];
}

/* ---- launch/mode ----------------------------------------------------------------------------- */

static bool set_up_mode(struct segue_bench *bench, const struct segue_bench_case *self,
                        void **out_state)
{
    struct state *state = create_state(bench, self, out_state);
    return state && make_chain(bench, self->count, SEGUE_EXECUTION_GRAPH, &state->command_buffer) &&
           make_chain(bench, self->count, SEGUE_EXECUTION_STREAM, &state->stream);
}

static bool measure_stream(struct segue_bench *bench, void *opaque, double *values)
{
    const struct state *state = opaque;
    return launch_inner(bench, state->stream, values);
}

/** The shortest measured chain from which on the graph is always faster; 0 if there is none. */
static uint32_t find_crossover(const struct segue_bench *bench, const char *metric,
                               bool *out_measured)
{
    uint32_t crossover = 0;
    *out_measured = false;
    for (size_t i = MODE_COUNT; i-- > 0;) {
        const struct segue_bench_result *result =
            segue_bench_find(bench, "launch/mode/%u/%s", mode_counts[i], metric);
        if (!result)
            continue;
        *out_measured = true;
        if (result->ratio.median >= 1)
            break;
        crossover = mode_counts[i];
    }
    return crossover;
}

void segue_bench_conclude_launch(struct segue_bench *bench)
{
    static const struct {
        const char *metric;
        const char *key;
        const char *words;
    } kinds[] = {{"host", "graph_crossover_host", "in host time"},
                 {"done", "graph_crossover_done", "until the device is done"}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        bool measured;
        const uint32_t crossover = find_crossover(bench, kinds[i].metric, &measured);
        if (measured && crossover != 0)
            segue_bench_add_note(bench, kinds[i].key,
                                 "a graph beats a stream from %u commands on, %s", crossover,
                                 kinds[i].words);
        else if (measured)
            segue_bench_add_note(bench, kinds[i].key,
                                 "a graph does not beat a stream at any measured length, %s",
                                 kinds[i].words);
    }
}

static void add_ready(struct segue_bench *bench, uint32_t count)
{
    static const struct segue_bench_metric metrics[] = {
        [HOST] = {.name = "host",
                  .baseline = "cuGraphLaunch",
                  .target = {.ratio = 1.1, .constant = SEMAPHORE_NS}},
        [DONE] = {.name = "done", .baseline = "cuGraphLaunch, cuStreamSynchronize"},
    };
    const struct segue_bench_case added = {
        .metrics = metrics,
        .metric_count = 2,
        .count = count,
        .set_up = set_up_ready,
        .sides = {measure_ready, measure_ready_raw},
        .tear_down = tear_down,
    };
    segue_bench_add(bench, &added, "launch/ready/%u", count);
}

static void add_first(struct segue_bench *bench, uint32_t count)
{
    static const struct segue_bench_metric metrics[] = {
        [HOST] = {.name = "host", .baseline = "its hundredth submission"},
        [DONE] = {.name = "done", .baseline = "its hundredth submission"},
    };
    const struct segue_bench_case added = {
        .metrics = metrics,
        .metric_count = 2,
        .count = count,
        .set_up = set_up_first,
        .sides = {measure_first, NULL},
        .combine = combine_first,
        .tear_down = tear_down,
    };
    segue_bench_add(bench, &added, "launch/first/%u", count);
}

static void add_first_raw(struct segue_bench *bench, uint32_t count)
{
    static const struct segue_bench_metric metrics[] = {
        [HOST] = {.name = "host", .baseline = "its hundredth cuGraphLaunch"},
        [DONE] = {.name = "done", .baseline = "its hundredth launch, done"},
    };
    const struct segue_bench_case added = {
        .metrics = metrics,
        .metric_count = 2,
        .count = count,
        .set_up = set_up_first_raw,
        .sides = {measure_first_raw, NULL},
        .combine = combine_first,
        .tear_down = tear_down,
    };
    segue_bench_add(bench, &added, "launch/first_raw/%u", count);
}

static void add_mode(struct segue_bench *bench, uint32_t count)
{
    static const struct segue_bench_metric metrics[] = {
        [HOST] = {.name = "host", .baseline = "stream mode"},
        [DONE] = {.name = "done", .baseline = "stream mode"},
    };
    const struct segue_bench_case added = {
        .metrics = metrics,
        .metric_count = 2,
        .count = count,
        .set_up = set_up_mode,
        .sides = {measure_ready, measure_stream},
        .tear_down = tear_down,
    };
    segue_bench_add(bench, &added, "launch/mode/%u", count);
}

void segue_bench_add_launch(struct segue_bench *bench)
{
    static const uint32_t ready_counts[] = {10, 100, 1000, 10000};
    for (size_t i = 0; i < (bench->options.quick ? 3 : 4); i++)
        add_ready(bench, ready_counts[i]);
    static const uint32_t first_counts[] = {10, 100, 1000};
    for (size_t i = 0; i < (bench->options.quick ? 2 : 3); i++) {
        add_first(bench, first_counts[i]);
        add_first_raw(bench, first_counts[i]);
    }
    for (size_t i = 0; i < MODE_COUNT; i++)
        add_mode(bench, mode_counts[i]);
}
