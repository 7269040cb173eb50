// SPDX-License-Identifier: Apache-2.0
/*
 * What recording one command costs, in time and in bytes, by kind. Beside it: the raw driver adding
 * the node that a program without Segue would add for it (IREE's CUDA backend, too), each behind
 * the last one; and the heap that this takes before the graph is instantiated.
 *
 * Floors: a dispatch is one bump allocation of 184 bytes, written once, and four buffer headers
 * read: about 25 ns from the first-level cache; the other commands write 40 to 120 bytes: 10 ns.
 * Predictions: dispatch under 40 ns against 200 to 300 ns raw; everything else under 25 ns; a
 * barrier and a debug group under 15 ns.
 */
#include "harness.h"

#include <malloc.h>
#include <stdlib.h>

#define UPDATE_BYTES 64
#define COPY_BYTES 1024

enum kind { KIND_DISPATCH, KIND_FILL, KIND_UPDATE, KIND_COPY, KIND_BARRIER, KIND_GROUP };

struct state {
    enum kind kind;
    uint32_t count;
    segue_command_buffer *command_buffer;
    double bytes;
    double raw_bytes;
};

static segue_status record_one(const struct segue_bench_fixture *fixture,
                               segue_command_buffer *command_buffer, enum kind kind, uint32_t index)
{
    static const unsigned char data[UPDATE_BYTES];
    segue_buffer *const *buffers = fixture->buffers;
    switch (kind) {
    case KIND_DISPATCH:
        return segue_bench_dispatch(fixture, command_buffer, index);
    case KIND_FILL:
        return segue_cmd_fill(command_buffer,
                              (struct segue_buffer_ref){.buffer = buffers[0], .length_bytes = 4},
                              index, 4);
    case KIND_UPDATE:
        return segue_cmd_update(
            command_buffer,
            (struct segue_buffer_ref){.buffer = buffers[0], .length_bytes = UPDATE_BYTES}, data);
    case KIND_COPY:
        return segue_cmd_copy(
            command_buffer,
            (struct segue_buffer_ref){.buffer = buffers[0], .length_bytes = COPY_BYTES},
            (struct segue_buffer_ref){.buffer = buffers[1], .length_bytes = COPY_BYTES});
    case KIND_BARRIER:
        return segue_cmd_barrier(command_buffer, NULL);
    default: {
        const segue_status status = segue_cmd_begin_group(command_buffer, "group");
        return status == SEGUE_OK ? segue_cmd_end_group(command_buffer) : status;
    }
    }
}

/** From a new or reset command buffer. */
static bool record_all(struct segue_bench *bench, struct state *state, double *out_ns)
{
    if (!segue_bench_check(bench, segue_command_buffer_begin(state->command_buffer)))
        return false;
    segue_status status = SEGUE_OK;
    const double start_ns = segue_bench_now_ns();
    for (uint32_t i = 0; i < state->count && status == SEGUE_OK; i++)
        status = record_one(&bench->fixture, state->command_buffer, state->kind, i);
    *out_ns = (segue_bench_now_ns() - start_ns) / state->count;
    return segue_bench_check(bench, status);
}

static CUresult add_memcpy(struct segue_bench_raw *raw, CUgraph graph, const void *host,
                           uint64_t source, uint64_t target, size_t size_bytes,
                           const CUgraphNode *previous, CUgraphNode *out_node)
{
    const CUDA_MEMCPY3D params = {
        .srcMemoryType = host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE,
        .srcHost = host,
        .srcDevice = source,
        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
        .dstDevice = target,
        .WidthInBytes = size_bytes,
        .Height = 1,
        .Depth = 1,
    };
    return raw->driver.cuGraphAddMemcpyNode(out_node, graph, previous, *previous != NULL, &params,
                                            raw->context);
}

static CUresult add_memset(struct segue_bench_raw *raw, CUgraph graph, uint64_t target,
                           uint32_t value, const CUgraphNode *previous, CUgraphNode *out_node)
{
    const CUDA_MEMSET_NODE_PARAMS params = {
        .dst = target,
        .value = value,
        .elementSize = 4,
        .width = 1,
        .height = 1,
    };
    return raw->driver.cuGraphAddMemsetNode(out_node, graph, previous, *previous != NULL, &params,
                                            raw->context);
}

/** `previous`: what the node waits for, pointing to NULL for the first one. */
static CUresult add_one(struct segue_bench *bench, CUgraph graph, enum kind kind, uint32_t index,
                        const CUgraphNode *previous, CUgraphNode *out_node)
{
    static const unsigned char data[UPDATE_BYTES];
    struct segue_bench_raw *raw = &bench->raw;
    const uint64_t *addresses = bench->fixture.addresses;
    switch (kind) {
    case KIND_DISPATCH:
        return segue_bench_raw_add_kernel(raw, graph, index, addresses, previous, *previous != NULL,
                                          out_node);
    case KIND_FILL:
        return add_memset(raw, graph, addresses[0], index, previous, out_node);
    case KIND_UPDATE:
        return add_memcpy(raw, graph, data, 0, addresses[0], sizeof(data), previous, out_node);
    case KIND_COPY:
        return add_memcpy(raw, graph, NULL, addresses[0], addresses[1], COPY_BYTES, previous,
                          out_node);
    default:
        return raw->driver.cuGraphAddEmptyNode(out_node, graph, previous, *previous != NULL);
    }
}

static size_t heap_bytes(void)
{
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static bool add_all(struct segue_bench *bench, const struct state *state, double *out_ns,
                    double *out_bytes)
{
    const struct segue_driver *driver = &bench->raw.driver;
    CUgraph graph;
    CUresult result = driver->cuGraphCreate(&graph, 0);
    if (result != CUDA_SUCCESS)
        return segue_bench_check_raw(bench, result, "cuGraphCreate");
    CUgraphNode previous = NULL;
    const size_t before_bytes = heap_bytes();
    const double start_ns = segue_bench_now_ns();
    for (uint32_t i = 0; i < state->count && result == CUDA_SUCCESS; i++) {
        CUgraphNode node = NULL;
        result = add_one(bench, graph, state->kind, i, &previous, &node);
        previous = node;
    }
    *out_ns = (segue_bench_now_ns() - start_ns) / state->count;
    const size_t after_bytes = heap_bytes();
    *out_bytes =
        after_bytes > before_bytes ? (double)(after_bytes - before_bytes) / state->count : 0;
    const CUresult destroyed = driver->cuGraphDestroy(graph);
    return segue_bench_check_raw(bench, result, "adding a node") &&
           segue_bench_check_raw(bench, destroyed, "cuGraphDestroy");
}

/** The bytes are the same each time, so they are found out once, from an ended recording. */
static bool count_bytes(struct segue_bench *bench, struct state *state)
{
    double ns;
    struct segue_command_buffer_stats stats;
    if (!record_all(bench, state, &ns) ||
        !segue_bench_check(bench, segue_command_buffer_end(state->command_buffer)) ||
        !segue_bench_check(bench, segue_command_buffer_get_stats(state->command_buffer, &stats)))
        return false;
    state->bytes = (double)stats.recorded_bytes / state->count;
    return state->kind == KIND_GROUP || add_all(bench, state, &ns, &state->raw_bytes);
}

static bool set_up(struct segue_bench *bench, const struct segue_bench_case *self, void **out_state)
{
    struct state *state = calloc(1, sizeof(*state));
    if (!state)
        return segue_bench_fail(bench, "out of memory");
    *out_state = state;
    state->kind = (enum kind)self->kind;
    state->count = self->count;
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_STREAM};
    return segue_bench_check(bench, segue_command_buffer_create(bench->fixture.device, &params,
                                                                &state->command_buffer)) &&
           count_bytes(bench, state);
}

static bool measure(struct segue_bench *bench, void *opaque, double *values)
{
    struct state *state = opaque;
    values[1] = state->bytes;
    return segue_bench_check(bench, segue_command_buffer_reset(state->command_buffer)) &&
           record_all(bench, state, &values[0]);
}

static bool measure_raw(struct segue_bench *bench, void *opaque, double *values)
{
    const struct state *state = opaque;
    double bytes;
    values[1] = state->raw_bytes;
    return add_all(bench, state, &values[0], &bytes);
}

static void tear_down(struct segue_bench *bench, void *opaque)
{
    (void)bench;
    struct state *state = opaque;
    if (!state)
        return;
    segue_command_buffer_destroy(state->command_buffer);
    free(state);
}

void segue_bench_add_record(struct segue_bench *bench)
{
    static const struct segue_bench_metric dispatch_metrics[] = {
        {.baseline = "cuGraphAddKernelNode", .target = {.ratio = 1.0 / 6}},
        {.name = "bytes", .unit = SEGUE_BENCH_BYTES, .baseline = "heap of a raw node"},
    };
    static const struct segue_bench_metric set_metrics[] = {
        {.baseline = "cuGraphAddMemsetNode"},
        {.name = "bytes", .unit = SEGUE_BENCH_BYTES, .baseline = "heap of a raw node"},
    };
    static const struct segue_bench_metric copy_metrics[] = {
        {.baseline = "cuGraphAddMemcpyNode"},
        {.name = "bytes", .unit = SEGUE_BENCH_BYTES, .baseline = "heap of a raw node"},
    };
    static const struct segue_bench_metric barrier_metrics[] = {
        {.baseline = "cuGraphAddEmptyNode"},
        {.name = "bytes", .unit = SEGUE_BENCH_BYTES, .baseline = "heap of a raw node"},
    };
    static const struct segue_bench_metric group_metrics[] = {
        {.baseline = NULL},
        {.name = "bytes", .unit = SEGUE_BENCH_BYTES, .baseline = NULL},
    };
    static const struct {
        const char *name;
        enum kind kind;
        const struct segue_bench_metric *metrics;
    } kinds[] = {
        {"dispatch", KIND_DISPATCH, dispatch_metrics}, {"fill_4", KIND_FILL, set_metrics},
        {"update_64", KIND_UPDATE, copy_metrics},      {"copy", KIND_COPY, copy_metrics},
        {"barrier", KIND_BARRIER, barrier_metrics},    {"group", KIND_GROUP, group_metrics},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct segue_bench_case added = {
            .metrics = kinds[i].metrics,
            .metric_count = 2,
            .kind = kinds[i].kind,
            .count = bench->options.quick ? 1000 : 10000,
            .set_up = set_up,
            .sides = {measure, kinds[i].kind == KIND_GROUP ? NULL : measure_raw},
            .tear_down = tear_down,
        };
        segue_bench_add(bench, &added, "record/%s", kinds[i].name);
    }
}
