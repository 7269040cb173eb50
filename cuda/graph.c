// SPDX-License-Identifier: Apache-2.0
// A program in graph mode: one pass over the plan adds a node for each operation.
#include "command_buffer.h"
#include "cuda_backend.h"
#include "plan.h"
#include "program.h"

#include <inttypes.h>
#include <stdlib.h>

#define DESCRIPTION_BYTES 512

/** The driver copies a node's parameters, so what the arena holds of them is given up now and then
 *  instead of growing with the graph. */
#define ARENA_BYTES (UINT64_C(1) << 20)

/** A graph being built. */
struct build {
    struct segue_lowering *lowering;
    const struct segue_plan *plan;
    CUgraph graph;
    /** The driver's nodes, in order of creation. */
    CUgraphNode *nodes;
    /** Dependencies of the node being added. */
    CUgraphNode *dependencies;
    size_t dependency_capacity;
    /** What describes the graph. */
    struct segue_cuda_graph *out;
};

static segue_status fail_memory(const struct build *build)
{
    return segue_fail(build->lowering->cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                      "out of host memory for the graph of command buffer \"%s\"",
                      build->lowering->recording->label);
}

/** Raises a failed call on a node. */
static segue_status fail_node(const struct build *build, CUresult result, const char *call,
                              const struct segue_segment *segment, int line)
{
    char text[DESCRIPTION_BYTES];
    return segue_cuda_raise(build->lowering->cuda, result, call, __FILE__, line,
                            "command buffer \"%s\", %s", build->lowering->recording->label,
                            segue_lowering_describe(build->lowering, segment, text, sizeof(text)));
}

static segue_status add_kernel(struct build *build, const struct segue_operation *operation,
                               size_t dependency_count, CUgraphNode *out_node)
{
    const struct segue_driver *driver = &build->lowering->cuda->driver;
    const CUlaunchConfig *config = &operation->as.kernel.config;
    const CUDA_KERNEL_NODE_PARAMS params = {
        .func = operation->as.kernel.function,
        .gridDimX = config->gridDimX,
        .gridDimY = config->gridDimY,
        .gridDimZ = config->gridDimZ,
        .blockDimX = config->blockDimX,
        .blockDimY = config->blockDimY,
        .blockDimZ = config->blockDimZ,
        .sharedMemBytes = config->sharedMemBytes,
        .kernelParams = operation->as.kernel.parameters,
    };
    CUresult result = driver->cuGraphAddKernelNode(out_node, build->graph, build->dependencies,
                                                   dependency_count, &params);
    if (result != CUDA_SUCCESS)
        return fail_node(build, result, "cuGraphAddKernelNode", operation->segment, __LINE__);
    for (uint32_t i = 0; i < config->numAttrs; i++) {
        result = driver->cuGraphKernelNodeSetAttribute(*out_node, config->attrs[i].id,
                                                       &config->attrs[i].value);
        if (result != CUDA_SUCCESS)
            return fail_node(build, result, "cuGraphKernelNodeSetAttribute", operation->segment,
                             __LINE__);
    }
    return SEGUE_OK;
}

static segue_status add_copy(struct build *build, const struct segue_operation *operation,
                             size_t dependency_count, CUgraphNode *out_node)
{
    struct segue_cuda *cuda = build->lowering->cuda;
    const struct segue_copy_end *source = &operation->as.copy.source;
    const struct segue_copy_end *target = &operation->as.copy.target;
    const CUDA_MEMCPY3D params = {
        .srcMemoryType = source->host_pointer != NULL ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE,
        .srcHost = source->host_pointer,
        .srcDevice = source->host_pointer != NULL ? 0 : source->address,
        .dstMemoryType = target->host_pointer != NULL ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE,
        .dstHost = target->host_pointer,
        .dstDevice = target->host_pointer != NULL ? 0 : target->address,
        .WidthInBytes = operation->as.copy.length_bytes,
        .Height = 1,
        .Depth = 1,
    };
    const CUresult result = cuda->driver.cuGraphAddMemcpyNode(
        out_node, build->graph, build->dependencies, dependency_count, &params, cuda->context);
    if (result != CUDA_SUCCESS)
        return fail_node(build, result, "cuGraphAddMemcpyNode", operation->segment, __LINE__);
    return SEGUE_OK;
}

static segue_status add_set(struct build *build, const struct segue_operation *operation,
                            size_t dependency_count, CUgraphNode *out_node)
{
    struct segue_cuda *cuda = build->lowering->cuda;
    const CUDA_MEMSET_NODE_PARAMS params = {
        .dst = operation->as.set.target,
        .value = operation->as.set.pattern,
        .elementSize = operation->as.set.pattern_bytes,
        .width = operation->as.set.pattern_count,
        .height = 1,
    };
    const CUresult result = cuda->driver.cuGraphAddMemsetNode(
        out_node, build->graph, build->dependencies, dependency_count, &params, cuda->context);
    if (result != CUDA_SUCCESS)
        return fail_node(build, result, "cuGraphAddMemsetNode", operation->segment, __LINE__);
    return SEGUE_OK;
}

static segue_status add_operation(struct build *build, const struct segue_operation *operation,
                                  size_t dependency_count, CUgraphNode *out_node,
                                  enum segue_graph_node_type *out_type)
{
    switch (operation->kind) {
    case SEGUE_OPERATION_KERNEL:
        *out_type = SEGUE_GRAPH_NODE_KERNEL;
        return add_kernel(build, operation, dependency_count, out_node);
    case SEGUE_OPERATION_COPY:
        *out_type = SEGUE_GRAPH_NODE_MEMCPY;
        return add_copy(build, operation, dependency_count, out_node);
    default:
        *out_type = SEGUE_GRAPH_NODE_MEMSET;
        return add_set(build, operation, dependency_count, out_node);
    }
}

static int compare_edges(const void *left, const void *right)
{
    const uint32_t a = ((const struct segue_graph_edge *)left)->from;
    const uint32_t b = ((const struct segue_graph_edge *)right)->from;
    return (a > b) - (a < b);
}

/** Takes the dependencies of a planned node: as the driver's nodes, and as edges sorted by `from`.
 */
static segue_status take_dependencies(struct build *build, uint32_t index)
{
    const struct segue_plan_node *planned = &build->plan->nodes[index];
    if (planned->dependency_count == 0)
        return SEGUE_OK;
    const uint32_t *dependencies = build->plan->dependencies + planned->first_dependency;
    void *array = build->dependencies;
    const bool grown =
        segue_grow(segue_cuda_allocator(build->lowering->cuda), &array, &build->dependency_capacity,
                   planned->dependency_count, sizeof(*build->dependencies));
    build->dependencies = array;
    if (!grown)
        return fail_memory(build);
    struct segue_graph_edge *edges = build->out->edges + build->out->edge_count;
    for (uint32_t i = 0; i < planned->dependency_count; i++) {
        build->dependencies[i] = build->nodes[dependencies[i]];
        edges[i] = (struct segue_graph_edge){dependencies[i], index, SEGUE_GRAPH_EDGE_FULL};
    }
    if (planned->dependency_count > 1)
        qsort(edges, planned->dependency_count, sizeof(*edges), compare_edges);
    build->out->edge_count += planned->dependency_count;
    return SEGUE_OK;
}

static segue_status add_node(struct build *build, uint32_t index)
{
    struct segue_lowering *lowering = build->lowering;
    const struct segue_plan_node *planned = &build->plan->nodes[index];
    segue_status status = take_dependencies(build, index);
    if (status != SEGUE_OK)
        return status;
    struct segue_operation operation;
    status = segue_lower(lowering, planned->segment, &operation);
    if (status != SEGUE_OK)
        return status;
    struct segue_graph_node *node = &build->out->nodes[index];
    status = add_operation(build, &operation, planned->dependency_count, &build->nodes[index],
                           &node->type);
    if (status != SEGUE_OK)
        return status;
    node->command = planned->segment != NULL ? planned->segment->index : SEGUE_NO_COMMAND;
    node->label = planned->segment != NULL ? NULL : "join";
    if (lowering->arena.used_bytes > ARENA_BYTES) {
        segue_arena_finish(&lowering->arena);
        segue_arena_init(&lowering->arena, segue_cuda_allocator(lowering->cuda));
    }
    return SEGUE_OK;
}

/** Why instantiating failed, where the driver says more than its result. */
static const char *reason_text(CUgraphInstantiateResult reason)
{
    switch (reason) {
    case CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE:
        return " (invalid structure)";
    case CUDA_GRAPH_INSTANTIATE_NODE_OPERATION_NOT_SUPPORTED:
        return " (operation not supported)";
    case CUDA_GRAPH_INSTANTIATE_MULTIPLE_CTXS_NOT_SUPPORTED:
        return " (several contexts)";
    default:
        return "";
    }
}

static segue_status instantiate(const struct build *build, CUgraphExec *out_exec)
{
    struct segue_lowering *lowering = build->lowering;
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 0};
    const CUresult result =
        lowering->cuda->driver.cuGraphInstantiateWithParams(out_exec, build->graph, &params);
    if (result == CUDA_SUCCESS)
        return SEGUE_OK;
    char text[DESCRIPTION_BYTES] = "no node named by the driver";
    for (size_t i = 0; i < build->plan->node_count && params.hErrNode_out != NULL; i++) {
        if (build->nodes[i] == params.hErrNode_out) {
            (void)segue_lowering_describe(lowering, build->plan->nodes[i].segment, text,
                                          sizeof(text));
            break;
        }
    }
    return segue_cuda_raise(lowering->cuda, result, "cuGraphInstantiateWithParams", __FILE__,
                            __LINE__, "instantiating the graph of command buffer \"%s\", %s%s",
                            lowering->recording->label, text, reason_text(params.result_out));
}

/** So that the first launch costs what later ones do. */
static segue_status upload(struct segue_lowering *lowering, CUgraphExec exec)
{
    struct segue_cuda *cuda = lowering->cuda;
    segue_status status = segue_cuda_check(cuda, cuGraphUpload(exec, cuda->transfer_stream),
                                           "uploading the graph of command buffer \"%s\"",
                                           lowering->recording->label);
    if (status == SEGUE_OK)
        status = segue_cuda_check(cuda, cuStreamSynchronize(cuda->transfer_stream),
                                  "uploading the graph of command buffer \"%s\"",
                                  lowering->recording->label);
    return status;
}

static segue_status add_nodes(struct build *build)
{
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; i < build->plan->node_count && status == SEGUE_OK; i++)
        status = add_node(build, i);
    return status;
}

/** Builds, instantiates and uploads what `build` has arrays for, and measures each. */
static segue_status make_exec(struct build *build, struct segue_command_buffer_stats *stats)
{
    struct segue_lowering *lowering = build->lowering;
    struct segue_cuda *cuda = lowering->cuda;
    const uint64_t start_ns = segue_now_ns();
    segue_status status =
        segue_cuda_check(cuda, cuGraphCreate(&build->graph, 0),
                         "creating the graph of command buffer \"%s\"", lowering->recording->label);
    if (status != SEGUE_OK)
        return status;
    CUgraphExec exec = NULL;
    status = add_nodes(build);
    if (status != SEGUE_OK)
        goto finish_graph;
    const uint64_t built_ns = segue_now_ns();
    status = instantiate(build, &exec);
    if (status != SEGUE_OK)
        goto finish_graph;
    const uint64_t instantiated_ns = segue_now_ns();
    status = upload(lowering, exec);
    if (status != SEGUE_OK)
        goto fail_exec;
    stats->build_ns = built_ns - start_ns;
    stats->instantiate_ns = instantiated_ns - built_ns;
    stats->upload_ns = segue_now_ns() - instantiated_ns;
    build->out->exec = exec;
    goto finish_graph;

fail_exec:
    segue_cuda_cleanup(cuda, cuGraphExecDestroy(exec),
                       "destroying the executable graph of command buffer \"%s\"",
                       lowering->recording->label);
finish_graph:
    // The executable graph does not need it any more.
    segue_cuda_cleanup(cuda, cuGraphDestroy(build->graph),
                       "destroying the graph of command buffer \"%s\"", lowering->recording->label);
    return status;
}

static void release_description(const struct segue_allocator *allocator,
                                struct segue_cuda_graph *graph, size_t node_count,
                                size_t edge_count)
{
    segue_release(allocator, graph->edges, edge_count * sizeof(*graph->edges));
    segue_release(allocator, graph->nodes, node_count * sizeof(*graph->nodes));
}

segue_status segue_cuda_graph_create(struct segue_lowering *lowering, const struct segue_plan *plan,
                                     struct segue_command_buffer_stats *stats,
                                     struct segue_cuda_graph *out_graph)
{
    const struct segue_allocator *allocator = segue_cuda_allocator(lowering->cuda);
    struct segue_cuda_graph graph = {NULL, NULL, 0, NULL, 0, 0};
    struct build build = {.lowering = lowering, .plan = plan, .out = &graph};
    segue_status status = SEGUE_OK;
    if (plan->node_count == 0) {
        stats->node_count = stats->edge_count = 0;
        stats->build_ns = stats->instantiate_ns = stats->upload_ns = 0;
        *out_graph = graph;
        return SEGUE_OK;
    }
    build.nodes = segue_allocate_zeroed(allocator, plan->node_count, sizeof(*build.nodes));
    graph.nodes = segue_allocate_zeroed(allocator, plan->node_count, sizeof(*graph.nodes));
    // One more than there may be: none at all would not be an allocation.
    const size_t edge_capacity = plan->dependency_count + 1;
    graph.edges = segue_allocate_zeroed(allocator, edge_capacity, sizeof(*graph.edges));
    if (build.nodes == NULL || graph.nodes == NULL || graph.edges == NULL)
        status = fail_memory(&build);
    graph.node_count = (uint32_t)plan->node_count;
    if (status == SEGUE_OK)
        status = make_exec(&build, stats);
    segue_release(allocator, build.dependencies,
                  build.dependency_capacity * sizeof(*build.dependencies));
    segue_release(allocator, build.nodes, plan->node_count * sizeof(*build.nodes));
    if (status != SEGUE_OK) {
        release_description(allocator, &graph, plan->node_count, edge_capacity);
        return status;
    }
    stats->node_count = graph.node_count;
    stats->edge_count = graph.edge_count;
    graph.edge_capacity = edge_capacity;
    *out_graph = graph;
    return SEGUE_OK;
}

void segue_cuda_graph_destroy(struct segue_cuda *cuda, struct segue_cuda_graph *graph,
                              bool has_context)
{
    if (graph->exec != NULL && has_context)
        segue_cuda_cleanup(cuda, cuGraphExecDestroy(graph->exec), "destroying an executable graph");
    release_description(segue_cuda_allocator(cuda), graph, graph->node_count, graph->edge_capacity);
    *graph = (struct segue_cuda_graph){NULL, NULL, 0, NULL, 0, 0};
}
