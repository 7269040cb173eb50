// SPDX-License-Identifier: Apache-2.0
/*
 * What making a graph out of a recording costs, per node: a chain (a barrier after every dispatch)
 * and scopes of eight. Beside it: the raw driver adding, instantiating and uploading the very same
 * nodes and edges. Segue's own share is what its lowering and building (`build`) take beyond what
 * the raw calls take for the same graph: at most half as much again.
 *
 * Floors: adding, instantiating and uploading are the driver's. The own share reads a segment (184
 * bytes), writes two dag nodes and a plan node (about 110 bytes), and 72 bytes of parameters that
 * stay in the cache: about 40 ns in cache, 50 ns out of it. Scopes of eight share an order node,
 * and one list of dependencies: less, not more. Predictions: chain 50 to 80 ns against 190 to 310
 * ns raw, so a third; scopes of eight 40 to 70 ns, against more raw time for eight dependencies.
 * Instantiate and upload: ratio 1.0.
 */
#include "harness.h"

#include <stdlib.h>

enum metric { OWN, BUILD, INSTANTIATE, UPLOAD, TOTAL };

struct state {
    uint32_t count;
    uint32_t width;
    struct segue_bench_shape shape;
    /** Per node: lowering and building, driver calls included. */
    double build_ns;
    /** Per node: the raw calls that add the same. */
    double raw_add_ns;
};

static bool set_up(struct segue_bench *bench, const struct segue_bench_case *self, void **out_state)
{
    struct state *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    state->count = self->count;
    state->width = self->kind;
    segue_command_buffer *command_buffer = NULL;
    if (!segue_bench_check(bench, segue_bench_make_scopes(&bench->fixture, self->count, self->kind,
                                                          SEGUE_EXECUTION_GRAPH, &command_buffer)))
        return false;
    const bool good =
        segue_bench_check(bench, segue_bench_take_shape(command_buffer, &state->shape));
    segue_command_buffer_destroy(command_buffer);
    return good;
}

static bool measure(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    const double count = state->shape.node_count;
    segue_command_buffer *command_buffer = NULL;
    if (!segue_bench_check(bench,
                           segue_bench_record_scopes(&bench->fixture, state->count, state->width,
                                                     SEGUE_EXECUTION_GRAPH, &command_buffer)))
        return false;
    const double start_ns = segue_bench_now_ns();
    bool good = segue_bench_check(bench, segue_command_buffer_end(command_buffer));
    const double end_ns = segue_bench_now_ns();
    struct segue_command_buffer_stats stats;
    good = good && segue_bench_check(bench, segue_command_buffer_get_stats(command_buffer, &stats));
    segue_command_buffer_destroy(command_buffer);
    if (!good)
        return false;
    state->build_ns = (double)(stats.lower_ns + stats.build_ns) / count;
    values[BUILD] = state->build_ns;
    values[INSTANTIATE] = (double)stats.instantiate_ns / count;
    values[UPLOAD] = (double)stats.upload_ns / count;
    values[TOTAL] = (end_ns - start_ns) / count;
    return true;
}

static bool measure_raw(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    const double count = state->shape.node_count;
    struct segue_bench_raw_times times;
    CUgraphExec exec;
    const char *step = "";
    const double start_ns = segue_bench_now_ns();
    const CUresult result = segue_bench_raw_make(&bench->raw, &state->shape,
                                                 bench->fixture.addresses, &times, &exec, &step);
    const double end_ns = segue_bench_now_ns();
    if (!segue_bench_check_raw(bench, result, step))
        return false;
    state->raw_add_ns = times.add_ns / count;
    values[BUILD] = state->raw_add_ns;
    values[INSTANTIATE] = times.instantiate_ns / count;
    values[UPLOAD] = times.upload_ns / count;
    values[TOTAL] = (end_ns - start_ns) / count;
    return segue_bench_check_raw(bench, bench->raw.driver.cuGraphExecDestroy(exec),
                                 "cuGraphExecDestroy");
}

static void combine(void *opaque, double *figures, double *baselines)
{
    (void)baselines;
    const struct state *state = opaque;
    figures[OWN] = state->build_ns - state->raw_add_ns;
}

static void tear_down(struct segue_bench *bench, void *opaque)
{
    (void)bench;
    struct state *state = opaque;
    if (!state)
        return;
    segue_bench_shape_destroy(&state->shape);
    free(state);
}

void segue_bench_add_lower(struct segue_bench *bench)
{
    static const struct segue_bench_metric metrics[] = {
        // A difference of two times: it has no ratio, since noise can bring it to 0 and below.
        [OWN] = {.name = "own"},
        [BUILD] = {.name = "build", .baseline = "raw add", .target = {.ratio = 1.5}},
        [INSTANTIATE] = {.name = "instantiate", .baseline = "raw instantiate"},
        [UPLOAD] = {.name = "upload", .baseline = "raw upload and wait"},
        [TOTAL] = {.name = "total", .baseline = "raw add, instantiate, upload"},
    };
    static const uint32_t counts[] = {10, 100, 1000, 10000};
    static const uint32_t widths[] = {1, 8};
    const size_t count_limit = bench->options.quick ? 3 : 4;
    for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++) {
        for (size_t c = 0; c < count_limit; c++) {
            const struct segue_bench_case added = {
                .metrics = metrics,
                .metric_count = sizeof(metrics) / sizeof(metrics[0]),
                .count = counts[c],
                .kind = widths[w],
                .set_up = set_up,
                .sides = {measure, measure_raw},
                .combine = combine,
                .tear_down = tear_down,
            };
            segue_bench_add(bench, &added, "lower/%s/%u", widths[w] == 1 ? "chain" : "scopes_of_8",
                            counts[c]);
        }
    }
}
