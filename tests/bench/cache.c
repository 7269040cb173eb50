// SPDX-License-Identifier: Apache-2.0
/*
 * Recording a command buffer again, with some of its dispatches changed, and launching it: reset,
 * begin, record, end, submit. Beside it, for a graph of the very same nodes and edges:
 *
 *   launch    cuGraphLaunch alone: what is above it is the cost of recording again
 *   rebuild   create, add, instantiate, upload, wait, launch, destroy (what IREE and XLA do)
 *   update    add all to a new graph, cuGraphExecUpdate, launch (llama.cpp, MLX)
 *   all       cuGraphExecKernelNodeSetParams of every node, launch (tinygrad)
 *   stream    a launch for every kernel
 *
 * What changes is a constant of dispatches at even distances; in `moved` every dispatch uses other
 * buffers. The device is idle when a step begins, and has finished before the next one; that time
 * is not part of it. A sample is the shortest of three steps in a row.
 *
 * Floors: recording writes and comparing reads 200 bytes a dispatch with its barrier: 34 and 10 ns
 * in cache. Writing a node is the driver's: 0.17 us. Predictions for 1000: 60 to 80 us above a
 * launch unchanged, 2 us more for ten changed, 200 us more for all; rebuilding takes 2.8 ms.
 */
#include "harness.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum metric { LAUNCH, REBUILD, UPDATE, ALL, STREAM };

/** segue_bench_case.kind: dispatches between barriers, whether all move, how many change. */
enum { WIDTH_MASK = 15, MOVED = 16, CHANGED_SHIFT = 8 };

/** Steps of a sample. */
#define INNER 3

/** Sets of buffers that `moved` takes in turns. */
#define SET_COUNT 2
#define BUFFER_BYTES 4096

struct state {
    uint32_t count;
    uint32_t changed;
    uint32_t width;
    bool moved;
    segue_command_buffer *command_buffer;
    segue_buffer *others[SEGUE_BENCH_BINDING_COUNT];
    uint64_t addresses[SEGUE_BENCH_BINDING_COUNT];
    /** Changes every step. */
    uint32_t step;
    struct segue_bench_shape shape;
    /** Of the shape: the graph is kept, as patching needs it. One exec is patched, the other is
     *  updated as a whole. */
    CUgraph graph;
    CUgraphNode *nodes;
    CUgraphExec patched;
    CUgraphExec updated;
};

/** Whether dispatch `index` is one of `changed`, at even distances. */
static bool is_changed(const struct state *state, uint32_t index)
{
    const uint64_t changed = state->changed;
    return index * changed / state->count != (index + 1) * changed / state->count;
}

static segue_status record(const struct segue_bench_fixture *fixture, const struct state *state)
{
    segue_buffer *const *buffers =
        state->moved && state->step % SET_COUNT != 0 ? state->others : fixture->buffers;
    struct segue_buffer_ref bindings[SEGUE_BENCH_BINDING_COUNT];
    for (uint32_t i = 0; i < SEGUE_BENCH_BINDING_COUNT; i++)
        bindings[i] = (struct segue_buffer_ref){.buffer = buffers[i], .length_bytes = BUFFER_BYTES};
    uint32_t constants[SEGUE_BENCH_CONSTANTS_BYTES / 4] = {0};
    const struct segue_dispatch dispatch = {
        .executable = fixture->executable,
        .grid = {SEGUE_BENCH_GRID_SIZE, 1, 1},
        .bindings = bindings,
        .binding_count = SEGUE_BENCH_BINDING_COUNT,
        .constants = constants,
        .constants_size_bytes = sizeof(constants),
    };
    segue_status status = segue_command_buffer_begin(state->command_buffer);
    for (uint32_t i = 0; i < state->count && status == SEGUE_OK; i++) {
        constants[0] = i;
        constants[1] = is_changed(state, i) ? state->step : 0;
        status = segue_cmd_dispatch(state->command_buffer, &dispatch);
        if (status == SEGUE_OK && (i + 1) % state->width == 0)
            status = segue_cmd_barrier(state->command_buffer, NULL);
    }
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(state->command_buffer);
    return status;
}

static bool instantiate(struct segue_bench *bench, CUgraph graph, CUgraphExec *out_exec)
{
    const struct segue_driver *driver = &bench->raw.driver;
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 0};
    CUresult result = driver->cuGraphInstantiateWithParams(out_exec, graph, &params);
    if (result == CUDA_SUCCESS)
        result = driver->cuGraphUpload(*out_exec, bench->raw.stream);
    if (result == CUDA_SUCCESS)
        result = driver->cuStreamSynchronize(bench->raw.stream);
    return segue_bench_check_raw(bench, result, "cuGraphInstantiateWithParams");
}

static bool make_raw(struct segue_bench *bench, struct state *state)
{
    const size_t nodes_bytes = state->shape.node_count * sizeof(*state->nodes);
    CUresult result = bench->raw.driver.cuGraphCreate(&state->graph, 0);
    if (result == CUDA_SUCCESS)
        result =
            segue_bench_raw_add(&bench->raw, &state->shape, bench->fixture.addresses, state->graph);
    state->nodes = malloc(nodes_bytes + 1);
    if (!segue_bench_check_raw(bench, result, "cuGraphAddKernelNode"))
        return false;
    if (!state->nodes)
        return segue_bench_fail(bench, "out of memory");
    memcpy(state->nodes, state->shape.nodes, nodes_bytes);
    return instantiate(bench, state->graph, &state->patched) &&
           instantiate(bench, state->graph, &state->updated);
}

static bool set_up(struct segue_bench *bench, const struct segue_bench_case *self, void **out_state)
{
    struct state *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    state->count = self->count;
    state->width = self->kind & WIDTH_MASK;
    state->moved = (self->kind & MOVED) != 0;
    state->changed = self->kind >> CHANGED_SHIFT;
    segue_device_set_cache_budget(bench->fixture.device, NULL);
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_GRAPH};
    const struct segue_buffer_params buffer = {.size_bytes = BUFFER_BYTES};
    for (uint32_t i = 0; i < SEGUE_BENCH_BINDING_COUNT; i++) {
        if (!segue_bench_check(
                bench, segue_buffer_create(bench->fixture.device, &buffer, &state->others[i])))
            return false;
    }
    return segue_bench_check(bench, segue_command_buffer_create(bench->fixture.device, &params,
                                                                &state->command_buffer)) &&
           segue_bench_check(bench, record(&bench->fixture, state)) &&
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
    for (uint32_t i = 0; i < SEGUE_BENCH_BINDING_COUNT; i++)
        segue_buffer_destroy(state->others[i]);
    if (state->patched)
        (void)bench->raw.driver.cuGraphExecDestroy(state->patched);
    if (state->updated)
        (void)bench->raw.driver.cuGraphExecDestroy(state->updated);
    free(state->nodes);
    if (state->graph)
        (void)bench->raw.driver.cuGraphDestroy(state->graph);
    segue_bench_shape_destroy(&state->shape);
    free(state);
}

static bool step(struct segue_bench *bench, struct state *state, double *out_ns)
{
    state->step++;
    const double start_ns = segue_bench_now_ns();
    const bool good =
        segue_bench_check(bench, segue_command_buffer_reset(state->command_buffer)) &&
        segue_bench_check(bench, record(&bench->fixture, state)) &&
        segue_bench_check(bench, segue_bench_submit(&bench->fixture, state->command_buffer));
    *out_ns = segue_bench_now_ns() - start_ns;
    return good && segue_bench_check(bench, segue_queue_wait_idle(bench->fixture.queue));
}

/** The shortest of some steps in a row: what the other side does between two samples empties the
 *  caches, which a loop of steps does not. */
static bool measure(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    double least_ns = 0;
    for (uint32_t i = 0; i < INNER; i++) {
        double taken_ns;
        if (!step(bench, state, &taken_ns))
            return false;
        if (i == 0 || taken_ns < least_ns)
            least_ns = taken_ns;
    }
    for (uint32_t i = 0; i <= STREAM; i++)
        values[i] = least_ns;
    return true;
}

static bool finish(struct segue_bench *bench, CUresult result, const char *step)
{
    return segue_bench_check_raw(bench, result, step) &&
           segue_bench_check_raw(bench, bench->raw.driver.cuStreamSynchronize(bench->raw.stream),
                                 "cuStreamSynchronize");
}

static bool launch(struct segue_bench *bench, struct state *state, double *out_ns)
{
    const double start_ns = segue_bench_now_ns();
    const CUresult result = bench->raw.driver.cuGraphLaunch(state->patched, bench->raw.stream);
    *out_ns = segue_bench_now_ns() - start_ns;
    return finish(bench, result, "cuGraphLaunch");
}

static bool rebuild(struct segue_bench *bench, struct state *state, double *out_ns)
{
    const struct segue_driver *driver = &bench->raw.driver;
    struct segue_bench_raw_times times;
    CUgraphExec exec = NULL;
    const char *step = "";
    double start_ns = segue_bench_now_ns();
    CUresult result = segue_bench_raw_make(&bench->raw, &state->shape, bench->fixture.addresses,
                                           &times, &exec, &step);
    if (result == CUDA_SUCCESS)
        result = driver->cuGraphLaunch(exec, bench->raw.stream);
    *out_ns = segue_bench_now_ns() - start_ns;
    if (!finish(bench, result, step))
        return false;
    start_ns = segue_bench_now_ns();
    result = driver->cuGraphExecDestroy(exec);
    *out_ns += segue_bench_now_ns() - start_ns;
    return segue_bench_check_raw(bench, result, "cuGraphExecDestroy");
}

static bool update(struct segue_bench *bench, struct state *state, double *out_ns)
{
    const struct segue_driver *driver = &bench->raw.driver;
    CUgraphExecUpdateResultInfo info;
    CUgraph graph = NULL;
    const double start_ns = segue_bench_now_ns();
    CUresult result = driver->cuGraphCreate(&graph, 0);
    if (result == CUDA_SUCCESS)
        result = segue_bench_raw_add(&bench->raw, &state->shape, bench->fixture.addresses, graph);
    if (result == CUDA_SUCCESS)
        result = driver->cuGraphExecUpdate(state->updated, graph, &info);
    if (result == CUDA_SUCCESS)
        result = driver->cuGraphDestroy(graph);
    if (result == CUDA_SUCCESS)
        result = driver->cuGraphLaunch(state->updated, bench->raw.stream);
    *out_ns = segue_bench_now_ns() - start_ns;
    return finish(bench, result, "cuGraphExecUpdate");
}

static bool patch_all(struct segue_bench *bench, struct state *state, double *out_ns)
{
    const bool is_moved = state->moved && state->step % SET_COUNT != 0;
    const uint64_t *addresses = is_moved ? state->addresses : bench->fixture.addresses;
    CUresult result = CUDA_SUCCESS;
    const double start_ns = segue_bench_now_ns();
    for (uint32_t i = 0; i < state->shape.node_count && result == CUDA_SUCCESS; i++)
        result = segue_bench_raw_patch(&bench->raw, state->patched, state->nodes[i],
                                       i + state->step, addresses);
    if (result == CUDA_SUCCESS)
        result = bench->raw.driver.cuGraphLaunch(state->patched, bench->raw.stream);
    *out_ns = segue_bench_now_ns() - start_ns;
    return finish(bench, result, "cuGraphExecKernelNodeSetParams");
}

static bool stream(struct segue_bench *bench, struct state *state, double *out_ns)
{
    CUresult result = CUDA_SUCCESS;
    const double start_ns = segue_bench_now_ns();
    for (uint32_t i = 0; i < state->shape.node_count && result == CUDA_SUCCESS; i++)
        result = segue_bench_raw_launch(&bench->raw, i, bench->fixture.addresses);
    *out_ns = segue_bench_now_ns() - start_ns;
    return finish(bench, result, "cuLaunchKernelEx");
}

typedef bool (*raw_step)(struct segue_bench *bench, struct state *state, double *out_ns);

/** The shortest of some in a row, as on the other side. */
static bool measure_least(struct segue_bench *bench, struct state *state, raw_step take,
                          double *out_ns)
{
    for (uint32_t i = 0; i < INNER; i++) {
        double taken_ns;
        state->step++;
        if (!take(bench, state, &taken_ns))
            return false;
        if (i == 0 || taken_ns < *out_ns)
            *out_ns = taken_ns;
    }
    return true;
}

static bool measure_raw(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    return measure_least(bench, state, launch, &values[LAUNCH]) &&
           rebuild(bench, state, &values[REBUILD]) &&
           measure_least(bench, state, update, &values[UPDATE]) &&
           measure_least(bench, state, patch_all, &values[ALL]) &&
           measure_least(bench, state, stream, &values[STREAM]);
}

/** What a step may cost above a launch, and what share of building anew, as the issue of the cache
 *  asks for: 0.12 us a dispatch; 3 us for ten changed; 0.3 us a dispatch if all have. */
static void set_targets(struct segue_bench_metric *metrics, uint32_t count, uint32_t changed,
                        bool moved)
{
    double constant_ns = 120.0 * count;
    double ratio = 1.0 / 15;
    if (moved || changed * 10 > count) {
        constant_ns = 300.0 * count;
        ratio = 1.0 / 6;
    } else if (changed != 0) {
        constant_ns += changed <= 10 ? 3000 : 300.0 * changed;
    }
    // What is paid once a step is not to be seen in buffers of this size and above.
    if (count >= 1000)
        metrics[LAUNCH].target = (struct segue_bench_target){.ratio = 1, .constant = constant_ns};
    metrics[REBUILD].target = (struct segue_bench_target){.ratio = ratio};
}

static void add(struct segue_bench *bench, uint32_t count, uint32_t width, uint32_t changed,
                bool moved)
{
    static const struct segue_bench_metric metrics[] = {
        [LAUNCH] = {.name = "launch", .baseline = "raw launch alone"},
        [REBUILD] = {.name = "rebuild", .baseline = "raw build, launch, destroy"},
        [UPDATE] = {.name = "update", .baseline = "raw add, cuGraphExecUpdate, launch"},
        [ALL] = {.name = "all", .baseline = "raw SetParams of all, launch"},
        [STREAM] = {.name = "stream", .baseline = "raw launch of each"},
    };
    // The tables outlive the benchmark, one for each.
    static struct segue_bench_metric tables[SEGUE_BENCH_MAX_CASES][STREAM + 1];
    static uint32_t table_count;
    struct segue_bench_metric *table = tables[table_count++];
    memcpy(table, metrics, sizeof(metrics));
    set_targets(table, count, changed, moved);
    const struct segue_bench_case added = {
        .metrics = table,
        .metric_count = STREAM + 1,
        .count = count,
        .kind = width | (moved ? MOVED : 0) | changed << CHANGED_SHIFT,
        .set_up = set_up,
        .sides = {measure, measure_raw},
        .tear_down = tear_down,
    };
    const char *shape = width == 1 ? "chain" : "scopes_of_8";
    if (moved)
        segue_bench_add(bench, &added, "cache/%s/%u/moved", shape, count);
    else
        segue_bench_add(bench, &added, "cache/%s/%u/%u", shape, count, changed);
}

void segue_bench_add_cache(struct segue_bench *bench)
{
    static const uint32_t counts[] = {10, 100, 1000, 10000};
    static const uint32_t widths[] = {1, 8};
    const size_t count_limit = bench->options.quick ? 2 : 4;
    for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++) {
        for (size_t c = 0; c < count_limit; c++) {
            const uint32_t count = counts[c];
            const uint32_t changed[] = {1, count / 100, count / 10, count};
            uint32_t last = 0;
            add(bench, count, widths[w], 0, false);
            for (size_t k = 0; k < sizeof(changed) / sizeof(changed[0]); k++) {
                if (changed[k] > last)
                    add(bench, count, widths[w], changed[k], false);
                last = changed[k] > last ? changed[k] : last;
            }
            add(bench, count, widths[w], 0, true);
        }
    }
}

void segue_bench_conclude_cache(struct segue_bench *bench)
{
    struct segue_cache_stats stats;
    uint64_t falls = 0;
    segue_device_get_cache_stats(bench->fixture.device, &stats);
    for (uint32_t i = 0; i < SEGUE_CACHE_FALL_COUNT; i++)
        falls += stats.falls[i];
    segue_bench_add_note(bench, "cache",
                         "graphs: %" PRIu64 " from the cache (%" PRIu64 " recognised, %" PRIu64
                         " unchanged), %" PRIu64 " built, %" PRIu64 " nodes written, %" PRIu64
                         " falls, peak %.1f MB, %.3f s saved",
                         stats.hits, stats.recognised, stats.unchanged, stats.misses + stats.copies,
                         stats.nodes_written, falls, (double)stats.peak_bytes * 1e-6,
                         (double)stats.saved_ns * 1e-9);
}
