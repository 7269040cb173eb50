// SPDX-License-Identifier: Apache-2.0
/*
 *   cache/memory  what an idle graph of the cache keeps, per node, of as many structures as graphs;
 * beside it: the raw executable graph alone, and together with the graph that patching needs. Comes
 * first of all: graphs that have been given up leave free memory behind, inside of the driver too.
 *
 * Prediction: 150 bytes a node above graph and exec.
 */
#include "harness.h"

#include <malloc.h>
#include <stdlib.h>

/** Graphs of one sample, and of all: those that are thrown away first count, too. */
#define SAMPLE_GRAPHS 8
#define GRAPH_COUNT (6 * SAMPLE_GRAPHS)

struct state {
    uint32_t count;
    struct segue_bench_shape shapes[GRAPH_COUNT];
    /** What has been made on either side, and is kept until the end. */
    uint32_t made_count;
    CUgraph graphs[GRAPH_COUNT];
    CUgraphExec execs[GRAPH_COUNT];
    uint32_t raw_count;
};

static bool make_chain(struct segue_bench *bench, uint32_t count,
                       segue_command_buffer **out_command_buffer)
{
    return segue_bench_check(bench,
                             segue_bench_make_scopes(&bench->fixture, count, 1,
                                                     SEGUE_EXECUTION_GRAPH, out_command_buffer));
}

enum metric { EXEC, WITH_GRAPH };

/** Bytes of the heap in use. What the driver maps itself is in neither side. */
static double heap_bytes(void)
{
    const struct mallinfo2 heap = mallinfo2();
    return (double)heap.uordblks + (double)heap.hblkhd;
}

static bool set_up(struct segue_bench *bench, const struct segue_bench_case *self, void **out_state)
{
    struct state *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    state->count = self->count;
    bool good = true;
    // What is made for the shapes must not be found again.
    segue_device_set_cache_budget(bench->fixture.device, &(struct segue_cache_budget){0});
    for (uint32_t i = 0; i < GRAPH_COUNT && good; i++) {
        segue_command_buffer *command_buffer = NULL;
        good = make_chain(bench, state->count + i, &command_buffer) &&
               segue_bench_check(bench, segue_bench_take_shape(command_buffer, &state->shapes[i]));
        segue_command_buffer_destroy(command_buffer);
    }
    segue_device_set_cache_budget(bench->fixture.device, NULL);
    return good;
}

/** Graphs of the cache, each of a structure of its own. With the command buffers their recordings
 *  go; what stays is the cache's. */
static bool measure_memory(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    segue_command_buffer *command_buffers[SAMPLE_GRAPHS] = {NULL};
    bool good = true;
    uint32_t nodes = 0;
    if (state->made_count + SAMPLE_GRAPHS > GRAPH_COUNT)
        return segue_bench_fail(bench, "more samples than there is room for");
    const double before_bytes = heap_bytes();
    for (uint32_t i = 0; i < SAMPLE_GRAPHS && good; i++) {
        const uint32_t count = state->count + state->made_count++;
        nodes += count;
        good = make_chain(bench, count, &command_buffers[i]);
    }
    for (uint32_t i = 0; i < SAMPLE_GRAPHS; i++)
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
    if (state->raw_count + SAMPLE_GRAPHS > GRAPH_COUNT)
        return segue_bench_fail(bench, "more samples than there is room for");
    for (uint32_t i = 0; i < SAMPLE_GRAPHS && result == CUDA_SUCCESS; i++) {
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

static void tear_down(struct segue_bench *bench, void *opaque)
{
    struct state *state = opaque;
    if (!state)
        return;
    for (uint32_t i = 0; i < GRAPH_COUNT; i++) {
        if (state->execs[i])
            (void)bench->raw.driver.cuGraphExecDestroy(state->execs[i]);
        if (state->graphs[i])
            (void)bench->raw.driver.cuGraphDestroy(state->graphs[i]);
        segue_bench_shape_destroy(&state->shapes[i]);
    }
    segue_device_set_cache_budget(bench->fixture.device, &(struct segue_cache_budget){0});
    free(state);
}

void segue_bench_add_cache_memory(struct segue_bench *bench)
{
    static const struct segue_bench_metric metrics[] = {
        [EXEC] = {.name = "exec",
                  .unit = SEGUE_BENCH_BYTES,
                  .baseline = "raw exec",
                  .target = {.ratio = 1.1}},
        [WITH_GRAPH] = {.name = "with_graph",
                        .unit = SEGUE_BENCH_BYTES,
                        .baseline = "raw exec and its graph",
                        .target = {.ratio = 1.1}},
    };
    const struct segue_bench_case added = {
        .metrics = metrics,
        .metric_count = 2,
        .count = 1000,
        .max_repeats = 4,
        .set_up = set_up,
        .sides = {measure_memory, measure_raw_memory},
        .tear_down = tear_down,
    };
    segue_bench_add(bench, &added, "cache/memory/1000");
}
