// SPDX-License-Identifier: Apache-2.0
/*
 * Fills and copies through Segue, as graph and as stream, until the device is done: several of one
 * size, one after the other, per command. Beside them: the driver's own asynchronous calls; and for
 * copies in a graph (`copy_node`) also a raw graph of as many copy nodes in a row.
 *
 * Floors: memory. 1 GiB takes 0.5 ms to copy (4.3 TB/s, read and write together), 0.25 ms to fill
 * and 19.4 ms from pinned host memory (55.5 GB/s); a small command in a graph takes 0.7 to 0.9 us,
 * in a stream 3 us.
 * Predictions: ratio 1.0 from 64 MiB on; below 64 KiB a graph takes a third of the driver's calls
 * and a stream the same; small fills in a stream a little less, since they are kernels.
 */
#include "harness.h"

#include <stdlib.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define PATTERN UINT32_C(0x5e6ce5e6)

enum kind { KIND_COPY, KIND_COPY_NODE, KIND_FILL, KIND_HOST_TO_DEVICE };

struct state {
    enum kind kind;
    uint64_t size_bytes;
    uint32_t count;
    /** NULL for fills. */
    segue_buffer *source;
    segue_buffer *target;
    uint64_t source_address;
    uint64_t target_address;
    void *source_pointer;
    segue_command_buffer *command_buffer;
    /** Of raw copy nodes. */
    CUgraphExec exec;
};

static bool create_buffer(struct segue_bench *bench, uint64_t size_bytes,
                          enum segue_memory_type memory, segue_buffer **out_buffer,
                          uint64_t *out_address)
{
    const struct segue_buffer_params params = {.size_bytes = size_bytes, .memory = memory};
    if (!segue_bench_check(bench, segue_buffer_create(bench->fixture.device, &params, out_buffer)))
        return false;
    struct segue_buffer_info info;
    segue_buffer_get_info(*out_buffer, &info);
    *out_address = info.device_address;
    return true;
}

static segue_status record_one(const struct state *state)
{
    const struct segue_buffer_ref source = {.buffer = state->source,
                                            .length_bytes = state->size_bytes};
    const struct segue_buffer_ref target = {.buffer = state->target,
                                            .length_bytes = state->size_bytes};
    return state->kind == KIND_FILL ? segue_cmd_fill(state->command_buffer, target, PATTERN, 4)
                                    : segue_cmd_copy(state->command_buffer, source, target);
}

static bool record(struct segue_bench *bench, struct state *state, enum segue_execution_mode mode)
{
    const struct segue_command_buffer_params params = {.mode = mode};
    segue_status status =
        segue_command_buffer_create(bench->fixture.device, &params, &state->command_buffer);
    if (status == SEGUE_OK)
        status = segue_command_buffer_begin(state->command_buffer);
    for (uint32_t i = 0; i < state->count && status == SEGUE_OK; i++) {
        status = record_one(state);
        if (status == SEGUE_OK)
            status = segue_cmd_barrier(state->command_buffer, NULL);
    }
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(state->command_buffer);
    return segue_bench_check(bench, status);
}

/** The copies in a row as nodes of a raw graph, instantiated and uploaded. */
static CUresult make_raw_exec(struct segue_bench_raw *raw, struct state *state, CUgraph graph)
{
    const CUDA_MEMCPY3D params = {
        .srcMemoryType = CU_MEMORYTYPE_DEVICE,
        .srcDevice = state->source_address,
        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
        .dstDevice = state->target_address,
        .WidthInBytes = state->size_bytes,
        .Height = 1,
        .Depth = 1,
    };
    CUgraphNode node = NULL;
    CUresult result = CUDA_SUCCESS;
    for (uint32_t i = 0; i < state->count && result == CUDA_SUCCESS; i++) {
        const CUgraphNode last = node;
        result =
            raw->driver.cuGraphAddMemcpyNode(&node, graph, &last, i != 0, &params, raw->context);
    }
    CUDA_GRAPH_INSTANTIATE_PARAMS instantiate = {.flags = 0};
    if (result == CUDA_SUCCESS)
        result = raw->driver.cuGraphInstantiateWithParams(&state->exec, graph, &instantiate);
    if (result == CUDA_SUCCESS)
        result = raw->driver.cuGraphUpload(state->exec, raw->stream);
    if (result == CUDA_SUCCESS)
        result = raw->driver.cuStreamSynchronize(raw->stream);
    return result;
}

static bool make_raw_graph(struct segue_bench *bench, struct state *state)
{
    CUgraph graph;
    CUresult result = bench->raw.driver.cuGraphCreate(&graph, 0);
    if (result == CUDA_SUCCESS) {
        result = make_raw_exec(&bench->raw, state, graph);
        (void)bench->raw.driver.cuGraphDestroy(graph);
    }
    return segue_bench_check_raw(bench, result, "making a graph of copy nodes");
}

static bool set_up(struct segue_bench *bench, const struct segue_bench_case *self, void **out_state)
{
    struct state *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    state->kind = (enum kind)self->kind;
    state->size_bytes = self->bytes;
    state->count = self->count;
    if (state->kind != KIND_FILL &&
        !create_buffer(bench, self->bytes,
                       state->kind == KIND_HOST_TO_DEVICE ? SEGUE_MEMORY_HOST_VISIBLE
                                                          : SEGUE_MEMORY_DEVICE,
                       &state->source, &state->source_address))
        return false;
    if (state->kind == KIND_HOST_TO_DEVICE &&
        !segue_bench_check(bench, segue_buffer_map(state->source, &state->source_pointer)))
        return false;
    return create_buffer(bench, self->bytes, SEGUE_MEMORY_DEVICE, &state->target,
                         &state->target_address) &&
           record(bench, state, self->mode) &&
           (state->kind != KIND_COPY_NODE || make_raw_graph(bench, state));
}

static void tear_down(struct segue_bench *bench, void *opaque)
{
    struct state *state = opaque;
    if (!state)
        return;
    if (state->exec)
        (void)bench->raw.driver.cuGraphExecDestroy(state->exec);
    segue_command_buffer_destroy(state->command_buffer);
    segue_buffer_destroy(state->target);
    segue_buffer_destroy(state->source);
    free(state);
}

static bool measure(struct segue_bench *bench, void *opaque, double *values)
{
    const struct state *state = opaque;
    const double start_ns = segue_bench_now_ns();
    if (!segue_bench_check(bench, segue_bench_submit(&bench->fixture, state->command_buffer)) ||
        !segue_bench_check(bench, segue_queue_wait_idle(bench->fixture.queue)))
        return false;
    values[0] = (segue_bench_now_ns() - start_ns) / state->count;
    return true;
}

static CUresult issue_raw(struct segue_bench_raw *raw, const struct state *state)
{
    const struct segue_driver *driver = &raw->driver;
    switch (state->kind) {
    case KIND_COPY:
        return driver->cuMemcpyDtoDAsync(state->target_address, state->source_address,
                                         state->size_bytes, raw->stream);
    case KIND_FILL:
        return driver->cuMemsetD32Async(state->target_address, PATTERN, state->size_bytes / 4,
                                        raw->stream);
    default:
        return driver->cuMemcpyHtoDAsync(state->target_address, state->source_pointer,
                                         state->size_bytes, raw->stream);
    }
}

static bool measure_raw(struct segue_bench *bench, void *opaque, double *values)
{
    const struct state *state = opaque;
    CUresult result = CUDA_SUCCESS;
    const double start_ns = segue_bench_now_ns();
    if (state->exec)
        result = bench->raw.driver.cuGraphLaunch(state->exec, bench->raw.stream);
    for (uint32_t i = 0; i < state->count && result == CUDA_SUCCESS && !state->exec; i++)
        result = issue_raw(&bench->raw, state);
    if (result == CUDA_SUCCESS)
        result = bench->raw.driver.cuStreamSynchronize(bench->raw.stream);
    values[0] = (segue_bench_now_ns() - start_ns) / state->count;
    return segue_bench_check_raw(bench, result, "a transfer");
}

void segue_bench_add_transfer(struct segue_bench *bench)
{
    static const struct segue_bench_metric metrics[] = {
        [KIND_COPY] = {.baseline = "cuMemcpyDtoDAsync"},
        [KIND_COPY_NODE] = {.baseline = "raw copy nodes"},
        [KIND_FILL] = {.baseline = "cuMemsetD32Async"},
        [KIND_HOST_TO_DEVICE] = {.baseline = "cuMemcpyHtoDAsync"},
    };
    static const char *const kind_names[] = {
        [KIND_COPY] = "copy",
        [KIND_COPY_NODE] = "copy_node",
        [KIND_FILL] = "fill",
        [KIND_HOST_TO_DEVICE] = "host_to_device",
    };
    static const struct {
        const char *name;
        uint64_t bytes;
        uint32_t count;
    } sizes[] = {{"4KiB", 4 * KIB, 64},
                 {"64KiB", 64 * KIB, 64},
                 {"1MiB", MIB, 32},
                 {"64MiB", 64 * MIB, 4},
                 {"1GiB", GIB, 1}};
    const size_t size_limit = bench->options.quick ? 3 : 5;
    for (uint32_t kind = 0; kind < sizeof(metrics) / sizeof(metrics[0]); kind++) {
        for (uint32_t stream = 0; stream < (kind == KIND_COPY_NODE ? 1 : 2); stream++) {
            for (size_t i = 0; i < size_limit; i++) {
                const struct segue_bench_case added = {
                    .metrics = &metrics[kind],
                    .metric_count = 1,
                    .count = sizes[i].count,
                    .kind = kind,
                    .mode = stream ? SEGUE_EXECUTION_STREAM : SEGUE_EXECUTION_GRAPH,
                    .bytes = sizes[i].bytes,
                    .set_up = set_up,
                    .sides = {measure, measure_raw},
                    .tear_down = tear_down,
                };
                segue_bench_add(bench, &added, "transfer/%s/%s/%s", kind_names[kind],
                                stream ? "stream" : "graph", sizes[i].name);
            }
        }
    }
}
