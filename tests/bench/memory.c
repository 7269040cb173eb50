// SPDX-License-Identifier: Apache-2.0
/*
 * Host memory that an ended command buffer keeps in graph mode, per dispatch, the barrier after it
 * included (so two commands): what Segue allocated for it, counted by its allocator, and how much
 * larger the process became, driver included. Beside both: how much larger it becomes for the raw
 * driver's executable graph of the same nodes, whose graph is destroyed, as Segue does.
 *
 * What is made is kept until the end: memory given back would be found again by the next sample.
 *
 * Floor: Segue keeps two segments (184 bytes for the dispatch, 40 for its barrier), and a node and
 * an edge to describe the graph (28 bytes): 252. Prediction: 260 bytes own; the driver 2 to 5 KiB.
 */
#include "harness.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_SAMPLES 8

enum metric { OWN, RESIDENT };

struct state {
    uint32_t count;
    /** What `allocator` has given out. */
    atomic_size_t allocated_bytes;
    struct segue_allocator allocator;
    /** A device of its own, with that allocator. */
    struct segue_bench_fixture fixture;
    struct segue_bench_shape shape;
    segue_command_buffer *kept[MAX_SAMPLES];
    uint32_t kept_count;
    CUgraphExec kept_execs[MAX_SAMPLES];
    uint32_t kept_exec_count;
};

static void *allocate(void *context, size_t size_bytes, size_t align_bytes)
{
    struct state *state = context;
    void *pointer = NULL;
    if (align_bytes < sizeof(void *))
        align_bytes = sizeof(void *);
    if (posix_memalign(&pointer, align_bytes, size_bytes) != 0)
        return NULL;
    atomic_fetch_add(&state->allocated_bytes, size_bytes);
    return pointer;
}

static void release(void *context, void *pointer, size_t size_bytes)
{
    struct state *state = context;
    atomic_fetch_sub(&state->allocated_bytes, size_bytes);
    free(pointer);
}

/** Bytes of the process in memory; false where the system does not tell. */
static bool resident_bytes(double *out_bytes)
{
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return false;
    unsigned long pages = 0;
    const bool good = fscanf(file, "%*u %lu", &pages) == 1;
    fclose(file);
    *out_bytes = (double)pages * (double)sysconf(_SC_PAGESIZE);
    return good;
}

static bool set_up(struct segue_bench *bench, const struct segue_bench_case *self, void **out_state)
{
    struct state *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    state->count = self->count;
    state->allocator = (struct segue_allocator){allocate, release, state};
    segue_command_buffer *command_buffer = NULL;
    // The first one also makes what the device makes once.
    if (!segue_bench_check(bench, segue_bench_fixture_open(&state->fixture, bench->fixture.info.uri,
                                                           &state->allocator)) ||
        !segue_bench_check(bench, segue_bench_make_scopes(&state->fixture, state->count, 1,
                                                          SEGUE_EXECUTION_GRAPH, &command_buffer)))
        return false;
    const bool good =
        segue_bench_check(bench, segue_bench_take_shape(command_buffer, &state->shape));
    segue_command_buffer_destroy(command_buffer);
    malloc_trim(0);
    return good;
}

static bool measure(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    const size_t allocated_before = atomic_load(&state->allocated_bytes);
    double before_bytes;
    double after_bytes;
    if (state->kept_count == MAX_SAMPLES || !resident_bytes(&before_bytes))
        return segue_bench_fail(bench, "the process's memory cannot be read");
    if (!segue_bench_check(bench, segue_bench_make_scopes(&state->fixture, state->count, 1,
                                                          SEGUE_EXECUTION_GRAPH,
                                                          &state->kept[state->kept_count])))
        return false;
    state->kept_count++;
    if (!resident_bytes(&after_bytes))
        return segue_bench_fail(bench, "the process's memory cannot be read");
    values[OWN] = (double)(atomic_load(&state->allocated_bytes) - allocated_before) / state->count;
    values[RESIDENT] = (after_bytes - before_bytes) / state->count;
    return true;
}

static bool measure_raw(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    double before_bytes;
    double after_bytes;
    struct segue_bench_raw_times times;
    const char *step = "";
    if (state->kept_exec_count == MAX_SAMPLES || !resident_bytes(&before_bytes))
        return segue_bench_fail(bench, "the process's memory cannot be read");
    const CUresult result =
        segue_bench_raw_make(&bench->raw, &state->shape, state->fixture.addresses, &times,
                             &state->kept_execs[state->kept_exec_count], &step);
    if (!segue_bench_check_raw(bench, result, step))
        return false;
    state->kept_exec_count++;
    if (!resident_bytes(&after_bytes))
        return segue_bench_fail(bench, "the process's memory cannot be read");
    values[OWN] = values[RESIDENT] = (after_bytes - before_bytes) / state->count;
    return true;
}

static void tear_down(struct segue_bench *bench, void *opaque)
{
    struct state *state = opaque;
    if (!state)
        return;
    for (uint32_t i = 0; i < state->kept_exec_count; i++)
        (void)bench->raw.driver.cuGraphExecDestroy(state->kept_execs[i]);
    for (uint32_t i = 0; i < state->kept_count; i++)
        segue_command_buffer_destroy(state->kept[i]);
    segue_bench_shape_destroy(&state->shape);
    segue_bench_fixture_close(&state->fixture);
    free(state);
}

void segue_bench_add_memory(struct segue_bench *bench)
{
    static const struct segue_bench_metric metrics[] = {
        [OWN] = {.name = "own",
                 .unit = SEGUE_BENCH_BYTES,
                 .baseline = "process, raw graph",
                 .target = {.value = 300}},
        [RESIDENT] = {.name = "resident",
                      .unit = SEGUE_BENCH_BYTES,
                      .baseline = "process, raw graph"},
    };
    const struct segue_bench_case added = {
        .metrics = metrics,
        .metric_count = 2,
        .count = bench->options.quick ? 1000 : 10000,
        .max_repeats = 5,
        .set_up = set_up,
        .sides = {measure, measure_raw},
        .tear_down = tear_down,
    };
    segue_bench_add(bench, &added, "memory/dispatch");
}
