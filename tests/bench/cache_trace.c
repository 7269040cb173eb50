// SPDX-License-Identifier: Apache-2.0
/*
 * The benchmarks of kept graphs for graphs of the shape that a program has: with --trace, the first
 * 10, 100, 1000 and 10,000 dispatches of its longest command buffer (again and again, where it has
 * fewer). Kernels do nothing (trace_step.h); beside it the same ways of the raw
 * driver, out of the very same nodes, edges and launch attributes.
 *
 *   cache/trace/100/10       10 of 100 dispatches change
 *   cache/trace/alternate/10 as cache/alternate: 10 shapes in turns, the first dispatches of it
 */
#include "cache_case.h"
#include "graph_node.h"
#include "shapes.h"
#include "trace_step.h"

#include <stdlib.h>

/** Calls the driver; on failure leaves the name of the call. */
#define RAW(call) (*out_call = #call, bench->raw.driver.call)

/** What the raw side makes a graph of: a command buffer of its own, which stays as it is. */
struct source {
    segue_command_buffer *command_buffer;
    struct segue_shapes_work work;
    struct segue_shapes_graph graph;
    struct segue_bench_parts parts;
};

struct state {
    struct segue_bench_cache_case base;
    struct segue_bench_trace_step step;
    uint32_t count;
    uint32_t *changed;
    uint32_t changed_count;
    struct source source;
};

struct alternation {
    struct segue_bench_alternation base;
    struct segue_bench_trace_step step;
    struct source *sources;
    uint32_t source_count;
};

static segue_status record(const struct segue_bench *bench,
                           const struct segue_bench_cache_case *base)
{
    (void)bench;
    const struct state *state = (const struct state *)base;
    return segue_bench_trace_step_record(&state->step, base->command_buffer, state->count,
                                         state->changed, state->changed_count, base->step);
}

static segue_status record_shape(const struct segue_bench *bench,
                                 const struct segue_bench_alternation *base,
                                 segue_command_buffer *command_buffer, uint32_t count)
{
    (void)bench;
    const struct alternation *state = (const struct alternation *)base;
    return segue_bench_trace_step_record(&state->step, command_buffer, count, NULL, 0, 0);
}

/* ---- The raw side ---------------------------------------------------------------------------- */

static CUresult build(struct segue_bench *bench, void *context, CUgraph *out_graph,
                      CUgraphNode *out_nodes, const char **out_call)
{
    const struct source *source = context;
    return segue_shapes_work_build(bench, &source->work, &source->graph, out_graph, out_nodes,
                                   out_call);
}

/** Copies and memsets of the driver's stay as they are. */
static CUresult write_node(struct segue_bench *bench, void *context, CUgraphExec exec,
                           CUgraphNode node, uint32_t index, uint32_t step, const char **out_call)
{
    (void)step;
    const struct source *source = context;
    const uint32_t place = source->graph.operations[index];
    const struct segue_operation *operation =
        place == SEGUE_SHAPES_JOIN_NODE ? &source->work.join : &source->work.operations[place];
    if (operation->kind != SEGUE_OPERATION_KERNEL)
        return CUDA_SUCCESS;
    const CUDA_KERNEL_NODE_PARAMS params = segue_kernel_params(operation);
    return RAW(cuGraphExecKernelNodeSetParams(exec, node, &params));
}

static CUresult issue(struct segue_bench *bench, void *context, uint32_t step,
                      const char **out_call)
{
    (void)step;
    const struct source *source = context;
    return segue_shapes_work_issue(bench, &source->work, out_call);
}

/** Records and submits `count` dispatches, and lowers them. */
static bool open_source(struct segue_bench *bench, const struct segue_bench_trace_step *step,
                        uint32_t count, struct source *source)
{
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_GRAPH};
    const char *left_out = NULL;
    if (!segue_bench_check(bench, segue_command_buffer_create(bench->fixture.device, &params,
                                                              &source->command_buffer)) ||
        !segue_bench_check(bench, segue_bench_trace_step_record(step, source->command_buffer, count,
                                                                NULL, 0, 0)) ||
        !segue_bench_check(bench, segue_bench_submit(&bench->fixture, source->command_buffer)) ||
        !segue_bench_check(bench, segue_queue_wait_idle(bench->fixture.queue)) ||
        !segue_shapes_work_create(bench, source->command_buffer, &source->work) ||
        !segue_shapes_graph_create(bench, &source->work, source->command_buffer, SEGUE_SHAPES_SEGUE,
                                   &source->graph, &left_out))
        return false;
    source->parts = (struct segue_bench_parts){
        .node_count = source->graph.node_count,
        .context = source,
        .build = build,
        .write = write_node,
        .issue = issue,
    };
    return true;
}

static void close_source(struct segue_bench *bench, struct source *source)
{
    segue_shapes_graph_destroy(&source->graph);
    segue_shapes_work_destroy(bench, &source->work);
    segue_command_buffer_destroy(source->command_buffer);
}

/* ---- The cases ------------------------------------------------------------------------------- */

static bool set_up(struct segue_bench *bench, const struct segue_bench_case *self, void **out_state)
{
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_GRAPH};
    struct state *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    state->base.record = record;
    if (!segue_bench_trace_step_open(bench, bench->options.trace_path, &state->step))
        return false;
    state->count = self->count;
    state->changed_count = self->kind >> SEGUE_BENCH_CACHE_CHANGED;
    state->changed = segue_bench_spread(bench, state->count, state->changed_count);
    segue_device_set_cache_budget(bench->fixture.device, NULL);
    return state->changed &&
           segue_bench_check(bench, segue_command_buffer_create(bench->fixture.device, &params,
                                                                &state->base.command_buffer)) &&
           open_source(bench, &state->step, state->count, &state->source) &&
           segue_bench_kept_open(bench, &state->source.parts, state->changed_count,
                                 &state->base.kept);
}

static void tear_down(struct segue_bench *bench, void *opaque)
{
    struct state *state = opaque;
    if (!state)
        return;
    segue_device_set_cache_budget(bench->fixture.device, &(struct segue_cache_budget){0});
    segue_command_buffer_destroy(state->base.command_buffer);
    segue_bench_kept_close(bench, &state->base.kept);
    close_source(bench, &state->source);
    segue_bench_trace_step_close(&state->step);
    free(state->changed);
    free(state);
}

static bool set_up_alternate(struct segue_bench *bench, const struct segue_bench_case *self,
                             void **out_state)
{
    struct alternation *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    state->base.record = record_shape;
    state->sources = calloc(self->count, sizeof(*state->sources));
    if (!state->sources)
        return segue_bench_fail(bench, "out of memory");
    state->source_count = self->count;
    bool good = segue_bench_trace_step_open(bench, bench->options.trace_path, &state->step);
    // First of all: they keep the graphs that they have.
    for (uint32_t i = 0; i < self->count && good; i++)
        good = open_source(bench, &state->step, SEGUE_BENCH_FIRST_COUNT + i, &state->sources[i]);
    if (!good || !segue_bench_alternation_open(bench, self->count, &state->base))
        return false;
    for (uint32_t i = 0; i < self->count; i++)
        state->base.shapes[i].parts = state->sources[i].parts;
    return true;
}

static void tear_down_alternate(struct segue_bench *bench, void *opaque)
{
    struct alternation *state = opaque;
    if (!state)
        return;
    for (uint32_t i = 0; state->sources && i < state->source_count; i++)
        close_source(bench, &state->sources[i]);
    segue_bench_alternation_close(bench, &state->base);
    segue_bench_trace_step_close(&state->step);
    free(state->sources);
    free(state);
}

void segue_bench_add_cache_trace(struct segue_bench *bench)
{
    static const uint32_t counts[] = {10, 100, 1000, 10000};
    const struct segue_bench_cache_plan plan = {.set_up = set_up, .tear_down = tear_down};
    const struct segue_bench_cache_plan alternate = {.set_up = set_up_alternate,
                                                     .tear_down = tear_down_alternate};
    if (!bench->options.trace_path)
        return;
    for (size_t i = 0; i < (bench->options.quick ? 2 : 4); i++) {
        struct segue_bench_cache_plan sized = plan;
        sized.count = counts[i];
        segue_bench_add_cache_cases(bench, sized, "trace");
    }
    segue_bench_add_alternations(bench, &alternate, "cache/trace/alternate");
}
