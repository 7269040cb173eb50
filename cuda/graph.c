// SPDX-License-Identifier: Apache-2.0
// A program in graph mode: one pass over the plan adds a node for each operation.
#include "command_buffer.h"
#include "cuda_backend.h"
#include "plan.h"
#include "program.h"

#define DESCRIPTION_BYTES 512

/** The driver copies a node's parameters. So the arena is emptied at this size, within its first
 *  block: few bytes in the cache are used over and over. */
#define ARENA_BYTES 2048

/** A graph being built. */
struct build {
    struct segue_lowering *lowering;
    const struct segue_plan *plan;
    CUgraph graph;
    /** The driver's nodes, in order of creation. */
    CUgraphNode *nodes;
    /** Dependencies of the node being added, and which of the plan's they are. */
    CUgraphNode *dependencies;
    uint32_t first_dependency;
    uint32_t dependency_count;
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

static segue_status add_kernel(const struct build *build, const struct segue_operation *operation,
                               CUgraphNode *out_node)
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
                                                   build->dependency_count, &params);
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

static segue_status add_copy(const struct build *build, const struct segue_operation *operation,
                             CUgraphNode *out_node)
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
    const CUresult result =
        cuda->driver.cuGraphAddMemcpyNode(out_node, build->graph, build->dependencies,
                                          build->dependency_count, &params, cuda->context);
    if (result != CUDA_SUCCESS)
        return fail_node(build, result, "cuGraphAddMemcpyNode", operation->segment, __LINE__);
    return SEGUE_OK;
}

static segue_status add_set(const struct build *build, const struct segue_operation *operation,
                            CUgraphNode *out_node)
{
    struct segue_cuda *cuda = build->lowering->cuda;
    const CUDA_MEMSET_NODE_PARAMS params = {
        .dst = operation->as.set.target,
        .value = operation->as.set.pattern,
        .elementSize = operation->as.set.pattern_bytes,
        .width = operation->as.set.pattern_count,
        .height = 1,
    };
    const CUresult result =
        cuda->driver.cuGraphAddMemsetNode(out_node, build->graph, build->dependencies,
                                          build->dependency_count, &params, cuda->context);
    if (result != CUDA_SUCCESS)
        return fail_node(build, result, "cuGraphAddMemsetNode", operation->segment, __LINE__);
    return SEGUE_OK;
}

static segue_status add_operation(const struct build *build,
                                  const struct segue_operation *operation, CUgraphNode *out_node,
                                  uint8_t *out_type)
{
    switch (operation->kind) {
    case SEGUE_OPERATION_KERNEL:
        *out_type = SEGUE_GRAPH_NODE_KERNEL;
        return add_kernel(build, operation, out_node);
    case SEGUE_OPERATION_COPY:
        *out_type = SEGUE_GRAPH_NODE_MEMCPY;
        return add_copy(build, operation, out_node);
    default:
        *out_type = SEGUE_GRAPH_NODE_MEMSET;
        return add_set(build, operation, out_node);
    }
}

/** Finds the driver's nodes for the dependencies of a planned node. */
static void take_dependencies(struct build *build, const struct segue_plan_node *planned)
{
    if (planned->first_dependency == build->first_dependency &&
        planned->dependency_count == build->dependency_count)
        return;
    const uint32_t *dependencies = build->plan->dependencies + planned->first_dependency;
    for (uint32_t i = 0; i < planned->dependency_count; i++)
        build->dependencies[i] = build->nodes[dependencies[i]];
    build->first_dependency = planned->first_dependency;
    build->dependency_count = planned->dependency_count;
}

static segue_status add_node(struct build *build, size_t index)
{
    struct segue_lowering *lowering = build->lowering;
    const struct segue_plan_node *planned = &build->plan->nodes[index];
    struct segue_operation operation;
    segue_status status = segue_lower(lowering, planned->segment, &operation);
    if (status != SEGUE_OK)
        return status;
    take_dependencies(build, planned);
    status = add_operation(build, &operation, &build->nodes[index], &build->out->node_types[index]);
    if (lowering->arena.used_bytes > ARENA_BYTES)
        segue_arena_reset(&lowering->arena);
    return status;
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
    for (size_t i = 0; i < build->plan->node_count && status == SEGUE_OK; i++)
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

segue_status segue_cuda_graph_create(struct segue_lowering *lowering, const struct segue_plan *plan,
                                     struct segue_command_buffer_stats *stats,
                                     struct segue_cuda_graph *out_graph)
{
    const struct segue_allocator *allocator = segue_cuda_allocator(lowering->cuda);
    struct segue_cuda_graph graph = {.node_count = plan->node_count};
    struct build build = {.lowering = lowering, .plan = plan, .out = &graph};
    stats->node_count = (uint32_t)plan->node_count;
    stats->edge_count = (uint32_t)plan->edge_count;
    stats->build_ns = stats->instantiate_ns = stats->upload_ns = 0;
    if (plan->node_count == 0) {
        *out_graph = graph;
        return SEGUE_OK;
    }
    // A node depends on fewer nodes than there are.
    const size_t handles_bytes = 2 * plan->node_count * sizeof(*build.nodes);
    build.nodes = segue_allocate(allocator, handles_bytes);
    graph.node_types = segue_allocate(allocator, plan->node_count);
    segue_status status;
    if (build.nodes != NULL && graph.node_types != NULL) {
        build.dependencies = build.nodes + plan->node_count;
        status = make_exec(&build, stats);
    } else {
        status = fail_memory(&build);
    }
    segue_release(allocator, build.nodes, handles_bytes);
    if (status == SEGUE_OK)
        *out_graph = graph;
    else
        segue_release(allocator, graph.node_types, plan->node_count);
    return status;
}

void segue_cuda_graph_destroy(struct segue_cuda *cuda, struct segue_cuda_graph *graph,
                              bool has_context)
{
    if (graph->exec != NULL && has_context)
        segue_cuda_cleanup(cuda, cuGraphExecDestroy(graph->exec), "destroying an executable graph");
    segue_release(segue_cuda_allocator(cuda), graph->node_types, graph->node_count);
    *graph = (struct segue_cuda_graph){.node_count = 0};
}
