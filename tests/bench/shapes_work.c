// SPDX-License-Identifier: Apache-2.0
#include "shapes.h"

#include "command_buffer.h"
#include "cuda_backend.h"
#include "device.h"
#include "exec_cache.h"
#include "graph_node.h"
#include "staging.h"

#include <stdlib.h>
#include <string.h>

/** Calls the driver; on failure leaves the name of the call. */
#define RAW(call) (*out_call = #call, bench->raw.driver.call)

/** Writes the tables that kernels with indirect parameters read their pointers from. */
static bool lay_out_pointers(struct segue_bench *bench, const struct segue_lowering *lowering,
                             unsigned char *data)
{
    struct segue_staging_block block = {0};
    const bool good = segue_bench_check(bench, segue_pointers_lay_out(lowering, &block));
    if (good)
        memcpy(data, block.pointers.host, lowering->recording->indirect_count * sizeof(uint64_t));
    segue_pointers_finish(lowering->cuda, &block.pointers, true);
    return good;
}

/** Copies the recording's pointers and inline data to memory of our own, laid out as Segue's
 * staging is. */
static bool stage(struct segue_bench *bench, const struct segue_recording *recording,
                  struct segue_shapes_work *work)
{
    const size_t size_bytes = (size_t)segue_stage_bytes(recording);
    const size_t pointers_bytes = (size_t)segue_pointers_bytes(recording);
    if (size_bytes == 0)
        return true;
    unsigned char *data = calloc(1, size_bytes);
    if (!data)
        return segue_bench_fail(bench, "out of memory");
    for (const struct segue_segment *segment = recording->first; segment; segment = segment->next) {
        if (segment->kind != SEGUE_COMMAND_UPDATE || segment->is_empty)
            continue;
        const struct segue_update_segment *update = (const struct segue_update_segment *)segment;
        memcpy(data + pointers_bytes + update->staging_offset_bytes, update->data,
               (size_t)update->target.length_bytes);
    }
    const struct segue_driver *driver = &bench->raw.driver;
    const bool good =
        (pointers_bytes == 0 || lay_out_pointers(bench, &work->lowering, data)) &&
        segue_bench_check_raw(bench, driver->cuMemAlloc(&work->staging, size_bytes),
                              "cuMemAlloc") &&
        segue_bench_check_raw(bench, driver->cuMemcpyHtoD(work->staging, data, size_bytes),
                              "cuMemcpyHtoD");
    free(data);
    work->lowering.pointers_address = work->staging;
    work->lowering.staging_address = work->staging + pointers_bytes;
    return good;
}

/** Whether the commands on both sides of it are in different scopes. An event's wait counts as a
 *  barrier: that is at least as much order as it asks for. */
static bool divides(const struct segue_segment *segment)
{
    return segment->kind == SEGUE_COMMAND_BARRIER || segment->kind == SEGUE_COMMAND_WAIT_EVENT;
}

static bool lower_all(struct segue_bench *bench, const struct segue_recording *recording,
                      struct segue_shapes_work *work)
{
    uint32_t scope = 0;
    for (const struct segue_segment *segment = recording->first; segment; segment = segment->next) {
        scope += divides(segment);
        if (!segue_segment_is_work(segment))
            continue;
        const uint32_t i = work->operation_count;
        if (!segue_bench_check(bench, segue_lower(&work->lowering, segment, &work->operations[i])))
            return false;
        work->commands[i] = segment->index;
        work->scopes[i] = scope;
        work->operation_count++;
    }
    return segue_bench_check(bench, segue_lower(&work->lowering, NULL, &work->join));
}

bool segue_shapes_work_create(struct segue_bench *bench, segue_command_buffer *command_buffer,
                              struct segue_shapes_work *out_work)
{
    const struct segue_recording *recording = command_buffer->recording;
    const struct segue_program *program = command_buffer->program;
    const size_t count = recording->work_count;
    *out_work = (struct segue_shapes_work){
        .lowering =
            {
                .cuda = segue_cuda_of(command_buffer->device->backend),
                .mode = SEGUE_EXECUTION_GRAPH,
                .recording = recording,
            },
        .operations = calloc(count + 1, sizeof(*out_work->operations)),
        .commands = calloc(count + 1, sizeof(*out_work->commands)),
        .scopes = calloc(count + 1, sizeof(*out_work->scopes)),
    };
    segue_arena_init(&out_work->lowering.arena, &command_buffer->device->allocator);
    if (!out_work->operations || !out_work->commands || !out_work->scopes)
        return segue_bench_fail(bench, "out of memory");
    const struct segue_binding_table table = {
        .slots = program ? program->slots : NULL,
        .slot_count = program ? program->slot_count : 0,
        .constants = program ? program->constants : NULL,
        .constant_count = program ? program->constant_count : 0,
    };
    out_work->lowering.table = &table;
    const bool good = stage(bench, recording, out_work) && lower_all(bench, recording, out_work);
    out_work->lowering.table = NULL;
    return good;
}

void segue_shapes_work_destroy(struct segue_bench *bench, struct segue_shapes_work *work)
{
    if (work->staging)
        (void)bench->raw.driver.cuMemFree(work->staging);
    if (work->lowering.cuda)
        segue_arena_finish(&work->lowering.arena);
    free(work->operations);
    free(work->commands);
    free(work->scopes);
    *work = (struct segue_shapes_work){0};
}

static CUresult issue(struct segue_bench *bench, const struct segue_operation *operation,
                      const char **out_call)
{
    CUstream stream = bench->raw.stream;
    if (operation->kind == SEGUE_OPERATION_KERNEL) {
        CUlaunchConfig config = operation->as.kernel.config;
        config.hStream = stream;
        return RAW(cuLaunchKernelEx(&config, operation->as.kernel.function,
                                    operation->as.kernel.parameters, NULL));
    }
    if (operation->kind == SEGUE_OPERATION_COPY)
        return RAW(cuMemcpyAsync(operation->as.copy.target.address,
                                 operation->as.copy.source.address, operation->as.copy.length_bytes,
                                 stream));
    const CUdeviceptr target = operation->as.set.target;
    const uint32_t pattern = operation->as.set.pattern;
    const size_t count = operation->as.set.pattern_count;
    switch (operation->as.set.pattern_bytes) {
    case 1:
        return RAW(cuMemsetD8Async(target, (unsigned char)pattern, count, stream));
    case 2:
        return RAW(cuMemsetD16Async(target, (unsigned short)pattern, count, stream));
    default:
        return RAW(cuMemsetD32Async(target, pattern, count, stream));
    }
}

CUresult segue_shapes_work_issue(struct segue_bench *bench, const struct segue_shapes_work *work,
                                 const char **out_call)
{
    CUresult result = CUDA_SUCCESS;
    for (uint32_t i = 0; i < work->operation_count && result == CUDA_SUCCESS; i++)
        result = issue(bench, &work->operations[i], out_call);
    return result;
}

/** A node in the making. */
struct adding {
    CUgraph graph;
    const CUgraphNode *dependencies;
    /** NULL: all are full. */
    const CUgraphEdgeData *edges;
    size_t dependency_count;
};

static CUresult add_kernel(struct segue_bench *bench, const struct adding *adding,
                           const struct segue_operation *operation, CUgraphNode *out_node,
                           const char **out_call)
{
    const CUDA_KERNEL_NODE_PARAMS params = segue_kernel_params(operation);
    CUresult result;
    if (adding->edges) {
        CUgraphNodeParams any = {.type = CU_GRAPH_NODE_TYPE_KERNEL};
        any.kernel.func = params.func;
        any.kernel.gridDimX = params.gridDimX;
        any.kernel.gridDimY = params.gridDimY;
        any.kernel.gridDimZ = params.gridDimZ;
        any.kernel.blockDimX = params.blockDimX;
        any.kernel.blockDimY = params.blockDimY;
        any.kernel.blockDimZ = params.blockDimZ;
        any.kernel.sharedMemBytes = params.sharedMemBytes;
        any.kernel.kernelParams = params.kernelParams;
        result = RAW(cuGraphAddNode(out_node, adding->graph, adding->dependencies, adding->edges,
                                    adding->dependency_count, &any));
    } else {
        result = RAW(cuGraphAddKernelNode(out_node, adding->graph, adding->dependencies,
                                          adding->dependency_count, &params));
    }
    const CUlaunchConfig *config = &operation->as.kernel.config;
    for (uint32_t i = 0; i < config->numAttrs && result == CUDA_SUCCESS; i++)
        result = RAW(
            cuGraphKernelNodeSetAttribute(*out_node, config->attrs[i].id, &config->attrs[i].value));
    return result;
}

static CUresult add_transfer(struct segue_bench *bench, const struct adding *adding,
                             const struct segue_operation *operation, CUgraphNode *out_node,
                             const char **out_call)
{
    if (operation->kind == SEGUE_OPERATION_SET) {
        const CUDA_MEMSET_NODE_PARAMS params = {
            .dst = operation->as.set.target,
            .value = operation->as.set.pattern,
            .elementSize = operation->as.set.pattern_bytes,
            .width = (size_t)operation->as.set.pattern_count,
            .height = 1,
        };
        return RAW(cuGraphAddMemsetNode(out_node, adding->graph, adding->dependencies,
                                        adding->dependency_count, &params, bench->raw.context));
    }
    const struct segue_copy_end *source = &operation->as.copy.source;
    const struct segue_copy_end *target = &operation->as.copy.target;
    const CUDA_MEMCPY3D params = {
        .srcMemoryType = source->host_pointer ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE,
        .srcHost = source->host_pointer,
        .srcDevice = source->host_pointer ? 0 : source->address,
        .dstMemoryType = target->host_pointer ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE,
        .dstHost = target->host_pointer,
        .dstDevice = target->host_pointer ? 0 : target->address,
        .WidthInBytes = (size_t)operation->as.copy.length_bytes,
        .Height = 1,
        .Depth = 1,
    };
    return RAW(cuGraphAddMemcpyNode(out_node, adding->graph, adding->dependencies,
                                    adding->dependency_count, &params, bench->raw.context));
}

static CUresult add_node(struct segue_bench *bench, const struct segue_shapes_work *work,
                         const struct adding *adding, uint32_t index, CUgraphNode *out_node,
                         const char **out_call)
{
    if (index == SEGUE_SHAPES_EMPTY_NODE)
        return RAW(cuGraphAddEmptyNode(out_node, adding->graph, adding->dependencies,
                                       adding->dependency_count));
    const struct segue_operation *operation =
        index == SEGUE_SHAPES_JOIN_NODE ? &work->join : &work->operations[index];
    return operation->kind == SEGUE_OPERATION_KERNEL
               ? add_kernel(bench, adding, operation, out_node, out_call)
               : add_transfer(bench, adding, operation, out_node, out_call);
}

/** Adds node `i` of the graph behind those of its dependencies. */
static CUresult add_planned(struct segue_bench *bench, const struct segue_shapes_work *work,
                            const struct segue_shapes_graph *graph, uint32_t i,
                            CUgraph driver_graph, CUgraphNode *nodes, CUgraphNode *listed,
                            CUgraphEdgeData *edges, const char **out_call)
{
    const uint32_t begin = graph->first[i];
    const uint32_t count = graph->first[i + 1] - begin;
    bool programmatic = false;
    for (uint32_t k = 0; k < count; k++) {
        const bool one = graph->types[begin + k] == SEGUE_GRAPH_EDGE_PROGRAMMATIC;
        listed[k] = nodes[graph->dependencies[begin + k]];
        edges[k] = (CUgraphEdgeData){
            .from_port = one ? CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC : 0,
            .type = one ? CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC : CU_GRAPH_DEPENDENCY_TYPE_DEFAULT,
        };
        programmatic = programmatic || one;
    }
    const struct adding adding = {driver_graph, listed, programmatic ? edges : NULL, count};
    return add_node(bench, work, &adding, graph->operations[i], &nodes[i], out_call);
}

CUresult segue_shapes_work_build(struct segue_bench *bench, const struct segue_shapes_work *work,
                                 const struct segue_shapes_graph *graph, CUgraph *out_graph,
                                 CUgraphNode *out_nodes, const char **out_call)
{
    CUgraphNode *nodes = calloc((size_t)graph->node_count + 1, sizeof(CUgraphNode));
    CUgraphNode *listed = calloc((size_t)graph->node_count + 1, sizeof(CUgraphNode));
    CUgraphEdgeData *edges = calloc((size_t)graph->node_count + 1, sizeof(*edges));
    CUgraph made = NULL;
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;
    *out_call = "calloc";
    if (nodes && listed && edges)
        result = RAW(cuGraphCreate(&made, 0));
    for (uint32_t i = 0; i < graph->node_count && result == CUDA_SUCCESS; i++)
        result = add_planned(bench, work, graph, i, made, nodes, listed, edges, out_call);
    if (result == CUDA_SUCCESS && out_nodes)
        memcpy(out_nodes, nodes, graph->node_count * sizeof(CUgraphNode));
    free(nodes);
    free(listed);
    free(edges);
    if (result == CUDA_SUCCESS)
        *out_graph = made;
    else if (made)
        (void)bench->raw.driver.cuGraphDestroy(made);
    return result;
}
