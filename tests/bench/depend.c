// SPDX-License-Identifier: Apache-2.0
/*
 * What finding the dependencies of a recording costs, per command, over three lengths: programs as
 * they are, and patterns that are meant to make it slow. Beside it: the raw driver adding as many
 * kernel nodes, each behind the last one.
 *
 * Floors: a segment of 184 bytes read, 36 bytes written: 15 ns out of the cache. Four accesses of 5
 * to 10 ns each: 40 ns. Predictions: 30 to 45 ns for what programs do, up to 60 ns for the others,
 * flat over the lengths, except random ranges of one buffer, which pay for cache misses of the
 * search among a hundred thousand intervals. Target: 0.3 of the raw driver's 200 to 250 ns.
 */
#include "depend.h"
#include "command_buffer.h"
#include "harness.h"
#include "patterns.h"

#include <stdlib.h>

struct state {
    struct pattern_world world;
    segue_command_buffer *command_buffer;
    uint32_t count;
    CUgraphNode last;
};

static bool set_up(struct segue_bench *bench, const struct segue_bench_case *self, void **out_state)
{
    struct state *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    state->count = self->count;
    return segue_bench_check(bench, pattern_world_open(&state->world, bench->fixture.device,
                                                       segue_bench_kernel_ptx,
                                                       segue_bench_kernel_ptx_bytes,
                                                       SEGUE_BENCH_KERNEL_NAME)) &&
           segue_bench_check(bench,
                             pattern_record(&state->world, (enum pattern)self->kind, self->count,
                                            SEGUE_EXECUTION_STREAM, &state->command_buffer));
}

static bool measure(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    const struct segue_depend_options options = {.flags = 0};
    struct segue_depend depend = {0};
    const double start_ns = segue_bench_now_ns();
    const segue_status status =
        segue_depend_build(state->command_buffer->recording, &options, &depend);
    if (status == SEGUE_OK)
        segue_depend_finish(&depend);
    values[0] = (segue_bench_now_ns() - start_ns) / state->count;
    return segue_bench_check(bench, status);
}

static bool measure_raw(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    CUgraph graph = NULL;
    if (!segue_bench_check_raw(bench, bench->raw.driver.cuGraphCreate(&graph, 0), "cuGraphCreate"))
        return false;
    CUresult result = CUDA_SUCCESS;
    const double start_ns = segue_bench_now_ns();
    for (uint32_t i = 0; i < state->count && result == CUDA_SUCCESS; i++)
        result = segue_bench_raw_add_kernel(&bench->raw, graph, i, bench->fixture.addresses,
                                            &state->last, i > 0, &state->last);
    values[0] = (segue_bench_now_ns() - start_ns) / state->count;
    const CUresult destroyed = bench->raw.driver.cuGraphDestroy(graph);
    return segue_bench_check_raw(bench, result, "cuGraphAddKernelNode") &&
           segue_bench_check_raw(bench, destroyed, "cuGraphDestroy");
}

static void tear_down(struct segue_bench *bench, void *opaque)
{
    (void)bench;
    struct state *state = opaque;
    if (!state)
        return;
    segue_command_buffer_destroy(state->command_buffer);
    pattern_world_close(&state->world);
    free(state);
}

void segue_bench_add_depend(struct segue_bench *bench)
{
    static const struct segue_bench_metric metric = {
        .baseline = "raw add of as many nodes",
        .target = {.ratio = 0.3},
    };
    static const uint32_t counts[] = {1000, 10000, 100000};
    const size_t count_limit = bench->options.quick ? 1 : 3;
    for (uint32_t pattern = 0; pattern < PATTERN_COUNT; pattern++) {
        for (size_t c = 0; c < count_limit; c++) {
            const struct segue_bench_case added = {
                .metrics = &metric,
                .metric_count = 1,
                .count = counts[c],
                .kind = pattern,
                .set_up = set_up,
                .sides = {measure, measure_raw},
                .tear_down = tear_down,
            };
            segue_bench_add(bench, &added, "depend/%s/%u", pattern_name((enum pattern)pattern),
                            counts[c]);
        }
    }
}
