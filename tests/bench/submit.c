// SPDX-License-Identifier: Apache-2.0
/*
 * Submissions without work, and what semaphores cost. Beside each: the driver's events doing the
 * same, waited for by asking again and again, as Segue's semaphores do at first.
 *
 *   submit/empty               an empty submission that signals; until the host knows
 *   submit/round_trip          host signal, submission that waits for it and signals, host wait
 *   submit/wait_before_signal  the same, with the submission before the host's signal
 *   submit/two_queues          one queue signals, another waits for it and signals, host wait
 *
 * Floors: cuEventRecord 0.5 us, and 4 to 6 us until an empty stream's event is seen by the host.
 * Predictions: empty 0.2 to 0.4 us above one cuEventRecord; done within 1.2 times raw; round trip
 * and wait before signal the same as empty, since a host signal is host memory only; two queues
 * within 1.3 times of raw events.
 */
#include "harness.h"

#include <stdlib.h>

/** Round trips of one sample. */
#define INNER 8

enum metric { HOST, DONE };

struct state {
    segue_semaphore *start;
    uint64_t start_value;
    segue_semaphore *between;
    uint64_t between_value;
    segue_queue *other_queue;
    CUstream other_stream;
    CUevent other_event;
};

static bool set_up(struct segue_bench *bench, const struct segue_bench_case *self, void **out_state)
{
    (void)self;
    struct state *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    segue_device *device = bench->fixture.device;
    const struct segue_driver *driver = &bench->raw.driver;
    return segue_bench_check(bench, segue_semaphore_create(device, 0, &state->start)) &&
           segue_bench_check(bench, segue_semaphore_create(device, 0, &state->between)) &&
           segue_bench_check(bench, segue_queue_create(device, NULL, &state->other_queue)) &&
           segue_bench_check_raw(
               bench, driver->cuStreamCreate(&state->other_stream, CU_STREAM_NON_BLOCKING),
               "cuStreamCreate") &&
           segue_bench_check_raw(
               bench, driver->cuEventCreate(&state->other_event, CU_EVENT_DISABLE_TIMING),
               "cuEventCreate");
}

static void tear_down(struct segue_bench *bench, void *opaque)
{
    struct state *state = opaque;
    if (!state)
        return;
    if (state->other_event)
        (void)bench->raw.driver.cuEventDestroy(state->other_event);
    if (state->other_stream)
        (void)bench->raw.driver.cuStreamDestroy(state->other_stream);
    segue_queue_destroy(state->other_queue);
    segue_semaphore_destroy(state->between);
    segue_semaphore_destroy(state->start);
    free(state);
}

/** An empty submission that may wait, and signals the fixture's semaphore or another. */
static bool submit(struct segue_bench *bench, segue_queue *queue,
                   const struct segue_semaphore_value *wait,
                   const struct segue_semaphore_value *signal)
{
    const struct segue_submission submission = {
        .waits = wait,
        .wait_count = wait != NULL,
        .signals = signal,
        .signal_count = 1,
    };
    return segue_bench_check(bench, segue_queue_submit(queue, &submission));
}

static struct segue_semaphore_value next_done(struct segue_bench *bench)
{
    return (struct segue_semaphore_value){bench->fixture.done, ++bench->fixture.done_value};
}

static bool wait_done(struct segue_bench *bench)
{
    return segue_bench_check(bench,
                             segue_semaphore_wait(bench->fixture.done, bench->fixture.done_value,
                                                  SEGUE_TIMEOUT_INFINITE));
}

static bool measure_empty(struct segue_bench *bench, void *opaque, double *values)
{
    (void)opaque;
    values[HOST] = values[DONE] = 0;
    for (uint32_t i = 0; i < INNER; i++) {
        const double start_ns = segue_bench_now_ns();
        const struct segue_semaphore_value done = next_done(bench);
        if (!submit(bench, bench->fixture.queue, NULL, &done))
            return false;
        values[HOST] += (segue_bench_now_ns() - start_ns) / INNER;
        if (!wait_done(bench))
            return false;
        values[DONE] += (segue_bench_now_ns() - start_ns) / INNER;
    }
    return true;
}

static bool measure_round_trip(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    const double start_ns = segue_bench_now_ns();
    for (uint32_t i = 0; i < INNER; i++) {
        const struct segue_semaphore_value wait = {state->start, ++state->start_value};
        const struct segue_semaphore_value done = next_done(bench);
        if (!segue_bench_check(bench, segue_semaphore_signal(wait.semaphore, wait.value)) ||
            !submit(bench, bench->fixture.queue, &wait, &done) || !wait_done(bench))
            return false;
    }
    values[0] = (segue_bench_now_ns() - start_ns) / INNER;
    return true;
}

static bool measure_wait_before_signal(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    const double start_ns = segue_bench_now_ns();
    for (uint32_t i = 0; i < INNER; i++) {
        const struct segue_semaphore_value wait = {state->start, ++state->start_value};
        const struct segue_semaphore_value done = next_done(bench);
        if (!submit(bench, bench->fixture.queue, &wait, &done) ||
            !segue_bench_check(bench, segue_semaphore_signal(wait.semaphore, wait.value)) ||
            !wait_done(bench))
            return false;
    }
    values[0] = (segue_bench_now_ns() - start_ns) / INNER;
    return true;
}

static bool measure_two_queues(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    const double start_ns = segue_bench_now_ns();
    for (uint32_t i = 0; i < INNER; i++) {
        const struct segue_semaphore_value between = {state->between, ++state->between_value};
        const struct segue_semaphore_value done = next_done(bench);
        if (!submit(bench, state->other_queue, NULL, &between) ||
            !submit(bench, bench->fixture.queue, &between, &done) || !wait_done(bench))
            return false;
    }
    values[0] = (segue_bench_now_ns() - start_ns) / INNER;
    return true;
}

/** Asks until the event is reached. */
static bool wait_event(struct segue_bench *bench)
{
    CUresult result = CUDA_ERROR_NOT_READY;
    while (result == CUDA_ERROR_NOT_READY)
        result = bench->raw.driver.cuEventQuery(bench->raw.event);
    return segue_bench_check_raw(bench, result, "cuEventQuery");
}

static bool measure_event(struct segue_bench *bench, void *opaque, double *values)
{
    (void)opaque;
    double host_ns = 0;
    double done_ns = 0;
    for (uint32_t i = 0; i < INNER; i++) {
        const double start_ns = segue_bench_now_ns();
        if (!segue_bench_check_raw(
                bench, bench->raw.driver.cuEventRecord(bench->raw.event, bench->raw.stream),
                "cuEventRecord"))
            return false;
        host_ns += (segue_bench_now_ns() - start_ns) / INNER;
        if (!wait_event(bench))
            return false;
        done_ns += (segue_bench_now_ns() - start_ns) / INNER;
    }
    values[HOST] = host_ns;
    values[DONE] = done_ns;
    return true;
}

static bool measure_event_done(struct segue_bench *bench, void *opaque, double *values)
{
    double both[2];
    const bool good = measure_event(bench, opaque, both);
    values[0] = good ? both[DONE] : 0;
    return good;
}

static bool measure_two_streams(struct segue_bench *bench, void *opaque, double *values)
{
    const struct state *state = opaque;
    const struct segue_driver *driver = &bench->raw.driver;
    const double start_ns = segue_bench_now_ns();
    for (uint32_t i = 0; i < INNER; i++) {
        if (!segue_bench_check_raw(bench,
                                   driver->cuEventRecord(state->other_event, state->other_stream),
                                   "cuEventRecord") ||
            !segue_bench_check_raw(
                bench, driver->cuStreamWaitEvent(bench->raw.stream, state->other_event, 0),
                "cuStreamWaitEvent") ||
            !segue_bench_check_raw(bench,
                                   driver->cuEventRecord(bench->raw.event, bench->raw.stream),
                                   "cuEventRecord") ||
            !wait_event(bench))
            return false;
    }
    values[0] = (segue_bench_now_ns() - start_ns) / INNER;
    return true;
}

void segue_bench_add_submit(struct segue_bench *bench)
{
    static const struct segue_bench_metric empty_metrics[] = {
        [HOST] = {.name = "host", .baseline = "cuEventRecord"},
        [DONE] = {.name = "done", .baseline = "cuEventRecord, cuEventQuery"},
    };
    static const struct segue_bench_metric event_metrics[] = {
        {.baseline = "cuEventRecord, cuEventQuery"},
    };
    static const struct segue_bench_metric streams_metrics[] = {
        {.baseline = "two events, cuStreamWaitEvent"},
    };
    static const struct {
        const char *name;
        struct segue_bench_case parts;
    } benchmarks[] = {
        {"empty",
         {.metrics = empty_metrics, .metric_count = 2, .sides = {measure_empty, measure_event}}},
        {"round_trip",
         {.metrics = event_metrics,
          .metric_count = 1,
          .sides = {measure_round_trip, measure_event_done}}},
        {"wait_before_signal",
         {.metrics = event_metrics,
          .metric_count = 1,
          .sides = {measure_wait_before_signal, measure_event_done}}},
        {"two_queues",
         {.metrics = streams_metrics,
          .metric_count = 1,
          .sides = {measure_two_queues, measure_two_streams}}},
    };
    for (size_t i = 0; i < sizeof(benchmarks) / sizeof(benchmarks[0]); i++) {
        struct segue_bench_case added = benchmarks[i].parts;
        added.set_up = set_up;
        added.tear_down = tear_down;
        segue_bench_add(bench, &added, "submit/%s", benchmarks[i].name);
    }
}
