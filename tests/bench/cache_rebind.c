// SPDX-License-Identifier: Apache-2.0
/*
 * Submitting a chain of dispatches with another table: one slot, named by some of them, stands for
 * another buffer at every step. Beside it, for a graph of the very same nodes and edges:
 *
 *   launch    cuGraphLaunch alone: what is above it is the cost of the table
 *   nodes     cuGraphExecKernelNodeSetParams of the nodes that change, launch
 *   all       the same of every node, launch (tinygrad)
 *
 *   cache/rebind/1000/10        10 of 1000 dispatches name the slot; at 1000 all of them do
 *   cache/rebind/1000/10/ahead  the step before is not waited for: two graphs in turns
 *
 * The device is idle when a step begins, but for `ahead`. A sample is the shortest of three steps.
 *
 * Floor: the driver's 0.17 us a node (0.3 us in graphs of 10,000). Own share, on the software
 * driver: 840 instructions or 0.06 us a node for checking, comparing, lowering and writing it down;
 * 1000 instructions a submission. Predictions above a launch: 0.3 us for an equal table; 2.6 to 2.9
 * us for 10 nodes, 24 us for 100, 230 us for 1000.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

enum metric { LAUNCH, NODES, ALL };

/** segue_bench_case.kind: how many dispatches name the slot, and whether steps are ahead. */
enum { AHEAD = 1, CHANGED_SHIFT = 8 };

/** Steps of a sample. */
#define INNER 3
#define TABLE_COUNT 2
#define BUFFER_BYTES 4096

struct state {
    uint32_t count;
    uint32_t changed;
    bool ahead;
    segue_command_buffer *command_buffer;
    segue_buffer *tables[TABLE_COUNT];
    /** Change every step: of the tables, and of the other side. */
    uint32_t step;
    uint32_t raw_step;
    struct segue_bench_shape shape;
    CUgraph graph;
    CUgraphNode *nodes;
    CUgraphExec exec;
};

/** Whether dispatch `index` is one of `changed`, at even distances. */
static bool is_changed(const struct state *state, uint32_t index)
{
    const uint64_t changed = state->changed;
    return index * changed / state->count != (index + 1) * changed / state->count;
}

static segue_status record(const struct segue_bench_fixture *fixture, const struct state *state)
{
    struct segue_buffer_ref bindings[SEGUE_BENCH_BINDING_COUNT];
    uint32_t constants[SEGUE_BENCH_CONSTANTS_BYTES / 4] = {0};
    const struct segue_dispatch dispatch = {
        .executable = fixture->executable,
        .grid = {SEGUE_BENCH_GRID_SIZE, 1, 1},
        .bindings = bindings,
        .binding_count = SEGUE_BENCH_BINDING_COUNT,
        .constants = constants,
        .constants_size_bytes = sizeof(constants),
    };
    for (uint32_t i = 0; i < SEGUE_BENCH_BINDING_COUNT; i++)
        bindings[i] =
            (struct segue_buffer_ref){.buffer = fixture->buffers[i], .length_bytes = BUFFER_BYTES};
    segue_status status = segue_command_buffer_begin(state->command_buffer);
    for (uint32_t i = 0; i < state->count && status == SEGUE_OK; i++) {
        constants[0] = i;
        bindings[0].buffer = is_changed(state, i) ? NULL : fixture->buffers[0];
        status = segue_cmd_dispatch(state->command_buffer, &dispatch);
        if (status == SEGUE_OK)
            status = segue_cmd_barrier(state->command_buffer, NULL);
    }
    return status == SEGUE_OK ? segue_command_buffer_end(state->command_buffer) : status;
}

static segue_status submit(struct segue_bench_fixture *fixture, const struct state *state)
{
    const struct segue_buffer_ref table = {.buffer = state->tables[state->step % TABLE_COUNT],
                                           .length_bytes = SEGUE_WHOLE_SIZE};
    const struct segue_execution execution = {
        .command_buffer = state->command_buffer, .bindings = &table, .binding_count = 1};
    const struct segue_semaphore_value signal = {fixture->done, ++fixture->done_value};
    const struct segue_submission submission = {
        .executions = &execution,
        .execution_count = 1,
        .signals = &signal,
        .signal_count = 1,
    };
    return segue_queue_submit(fixture->queue, &submission);
}

static bool make_raw(struct segue_bench *bench, struct state *state)
{
    const struct segue_driver *driver = &bench->raw.driver;
    const size_t nodes_bytes = state->shape.node_count * sizeof(*state->nodes);
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 0};
    state->nodes = malloc(nodes_bytes + 1);
    if (!state->nodes)
        return segue_bench_fail(bench, "out of memory");
    CUresult result = driver->cuGraphCreate(&state->graph, 0);
    if (result == CUDA_SUCCESS)
        result =
            segue_bench_raw_add(&bench->raw, &state->shape, bench->fixture.addresses, state->graph);
    if (result == CUDA_SUCCESS) {
        memcpy(state->nodes, state->shape.nodes, nodes_bytes);
        result = driver->cuGraphInstantiateWithParams(&state->exec, state->graph, &params);
    }
    if (result == CUDA_SUCCESS)
        result = driver->cuGraphUpload(state->exec, bench->raw.stream);
    if (result == CUDA_SUCCESS)
        result = driver->cuStreamSynchronize(bench->raw.stream);
    return segue_bench_check_raw(bench, result, "cuGraphInstantiateWithParams");
}

static bool set_up(struct segue_bench *bench, const struct segue_bench_case *self, void **out_state)
{
    struct state *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    state->count = self->count;
    state->ahead = (self->kind & AHEAD) != 0;
    state->changed = self->kind >> CHANGED_SHIFT;
    segue_device_set_cache_budget(bench->fixture.device, NULL);
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_GRAPH,
                                                       .slot_count = 1};
    const struct segue_buffer_params buffer = {.size_bytes = BUFFER_BYTES};
    bool good = segue_bench_check(
        bench, segue_command_buffer_create(bench->fixture.device, &params, &state->command_buffer));
    for (uint32_t i = 0; i < TABLE_COUNT && good; i++)
        good = segue_bench_check(
            bench, segue_buffer_create(bench->fixture.device, &buffer, &state->tables[i]));
    return good && segue_bench_check(bench, record(&bench->fixture, state)) &&
           segue_bench_check(bench, submit(&bench->fixture, state)) &&
           segue_bench_check(bench, segue_queue_wait_idle(bench->fixture.queue)) &&
           segue_bench_check(bench, segue_bench_take_shape(state->command_buffer, &state->shape)) &&
           make_raw(bench, state);
}

static void tear_down(struct segue_bench *bench, void *opaque)
{
    struct state *state = opaque;
    if (!state)
        return;
    segue_device_set_cache_budget(bench->fixture.device, &(struct segue_cache_budget){0});
    segue_command_buffer_destroy(state->command_buffer);
    for (uint32_t i = 0; i < TABLE_COUNT; i++)
        segue_buffer_destroy(state->tables[i]);
    if (state->exec)
        (void)bench->raw.driver.cuGraphExecDestroy(state->exec);
    free(state->nodes);
    if (state->graph)
        (void)bench->raw.driver.cuGraphDestroy(state->graph);
    segue_bench_shape_destroy(&state->shape);
    free(state);
}

static uint64_t written_for(const struct segue_bench *bench)
{
    struct segue_cache_stats stats;
    segue_device_get_cache_stats(bench->fixture.device, &stats);
    return stats.rebound_nodes;
}

/** The shortest of some steps in a row, each of which writes the nodes that it should. */
static bool measure(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    double least_ns = 0;
    for (uint32_t i = 0; i < INNER; i++) {
        const uint64_t before = written_for(bench);
        state->step++;
        const double start_ns = segue_bench_now_ns();
        if (!segue_bench_check(bench, submit(&bench->fixture, state)))
            return false;
        const double taken_ns = segue_bench_now_ns() - start_ns;
        if (!state->ahead && written_for(bench) - before != state->changed)
            return segue_bench_fail(bench, "a step has written other nodes than it should");
        if (!state->ahead && !segue_bench_check(bench, segue_queue_wait_idle(bench->fixture.queue)))
            return false;
        if (i == 0 || taken_ns < least_ns)
            least_ns = taken_ns;
    }
    for (uint32_t i = 0; i <= ALL; i++)
        values[i] = least_ns;
    return segue_bench_check(bench, segue_queue_wait_idle(bench->fixture.queue));
}

/** Writes the nodes that change, or every one, or none; launches. */
static bool patch(struct segue_bench *bench, struct state *state, enum metric metric,
                  double *out_ns)
{
    for (uint32_t inner = 0; inner < INNER; inner++) {
        CUresult result = CUDA_SUCCESS;
        state->raw_step++;
        const double start_ns = segue_bench_now_ns();
        for (uint32_t i = 0; metric != LAUNCH && i < state->shape.node_count; i++) {
            if (metric != ALL && !is_changed(state, i))
                continue;
            result = segue_bench_raw_patch(&bench->raw, state->exec, state->nodes[i],
                                           i + state->raw_step, bench->fixture.addresses);
            if (result != CUDA_SUCCESS)
                break;
        }
        if (result == CUDA_SUCCESS)
            result = bench->raw.driver.cuGraphLaunch(state->exec, bench->raw.stream);
        const double taken_ns = segue_bench_now_ns() - start_ns;
        if (result == CUDA_SUCCESS)
            result = bench->raw.driver.cuStreamSynchronize(bench->raw.stream);
        if (!segue_bench_check_raw(bench, result, "cuGraphExecKernelNodeSetParams"))
            return false;
        if (inner == 0 || taken_ns < *out_ns)
            *out_ns = taken_ns;
    }
    return true;
}

static bool measure_raw(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    return patch(bench, state, LAUNCH, &values[LAUNCH]) &&
           patch(bench, state, NODES, &values[NODES]) && patch(bench, state, ALL, &values[ALL]);
}

static void add(struct segue_bench *bench, uint32_t count, uint32_t changed, bool ahead)
{
    static const struct segue_bench_metric metrics[] = {
        [LAUNCH] = {.name = "launch", .baseline = "raw launch alone"},
        [NODES] = {.name = "nodes", .baseline = "raw SetParams of the nodes, launch"},
        [ALL] = {.name = "all", .baseline = "raw SetParams of all, launch"},
    };
    // The tables outlive the benchmark, one for each.
    static struct segue_bench_metric tables[16][ALL + 1];
    static uint32_t table_count;
    struct segue_bench_metric *table = tables[table_count++];
    memcpy(table, metrics, sizeof(metrics));
    // As the issue of the tables asks for: 3 us for one slot of ten nodes; 0.3 us a node.
    if (changed != 0 && !ahead)
        table[LAUNCH].target = (struct segue_bench_target){
            .ratio = 1, .constant = changed <= 10 ? 3000.0 : 300.0 * changed};
    const struct segue_bench_case added = {
        .metrics = table,
        .metric_count = ALL + 1,
        .count = count,
        .kind = changed << CHANGED_SHIFT | (ahead ? AHEAD : 0),
        .set_up = set_up,
        .sides = {measure, measure_raw},
        .tear_down = tear_down,
    };
    segue_bench_add(bench, &added, "cache/rebind/%u/%u%s", count, changed, ahead ? "/ahead" : "");
}

void segue_bench_add_cache_rebind(struct segue_bench *bench)
{
    add(bench, 100, 1, false);
    if (bench->options.quick)
        return;
    static const uint32_t changed[] = {1, 10, 100, 1000};
    for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++)
        add(bench, 1000, changed[i], false);
    add(bench, 1000, 10, true);
    add(bench, 10000, 10, false);
}
