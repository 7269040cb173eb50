// SPDX-License-Identifier: Apache-2.0
// A plan as a graph: one pass adds a node for each operation.
#include "graph.h"

#include "command_buffer.h"
#include "cuda_backend.h"
#include "exec_cache.h"
#include "graph_node.h"

#define DESCRIPTION_BYTES 512

/** A graph being built. */
struct build {
    struct segue_lowering *lowering;
    const struct segue_plan *plan;
    struct segue_cuda_graph *out;
    /** Dependencies of the node being added, and which of the plan's they are. */
    CUgraphNode *dependencies;
    /** Their kinds; `typed` if any is not a full one. */
    CUgraphEdgeData *edges;
    bool typed;
    uint32_t first_dependency;
    uint32_t dependency_count;
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

/** A kernel node with dependencies of several kinds. */
static CUresult add_typed_kernel(const struct build *build, const CUDA_KERNEL_NODE_PARAMS *params,
                                 CUgraphNode *out_node)
{
    CUgraphNodeParams any = {
        .type = CU_GRAPH_NODE_TYPE_KERNEL,
        .kernel =
            {
                .func = params->func,
                .gridDimX = params->gridDimX,
                .gridDimY = params->gridDimY,
                .gridDimZ = params->gridDimZ,
                .blockDimX = params->blockDimX,
                .blockDimY = params->blockDimY,
                .blockDimZ = params->blockDimZ,
                .sharedMemBytes = params->sharedMemBytes,
                .kernelParams = params->kernelParams,
            },
    };
    return build->lowering->cuda->driver.cuGraphAddNode(out_node, build->out->graph,
                                                        build->dependencies, build->edges,
                                                        build->dependency_count, &any);
}

static segue_status add_kernel(const struct build *build, const struct segue_operation *operation,
                               CUgraphNode *out_node)
{
    const struct segue_driver *driver = &build->lowering->cuda->driver;
    const CUlaunchConfig *config = &operation->as.kernel.config;
    const CUDA_KERNEL_NODE_PARAMS params = segue_kernel_params(operation);
    CUresult result;
    if (build->typed)
        result = add_typed_kernel(build, &params, out_node);
    else
        result = driver->cuGraphAddKernelNode(out_node, build->out->graph, build->dependencies,
                                              build->dependency_count, &params);
    if (result != CUDA_SUCCESS)
        return fail_node(build, result, build->typed ? "cuGraphAddNode" : "cuGraphAddKernelNode",
                         operation->segment, __LINE__);
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
    const CUDA_MEMCPY3D params = segue_copy_params(operation);
    const CUresult result =
        cuda->driver.cuGraphAddMemcpyNode(out_node, build->out->graph, build->dependencies,
                                          build->dependency_count, &params, cuda->context);
    if (result != CUDA_SUCCESS)
        return fail_node(build, result, "cuGraphAddMemcpyNode", operation->segment, __LINE__);
    return SEGUE_OK;
}

static segue_status add_set(const struct build *build, const struct segue_operation *operation,
                            CUgraphNode *out_node)
{
    struct segue_cuda *cuda = build->lowering->cuda;
    const CUDA_MEMSET_NODE_PARAMS params = segue_set_params(operation);
    const CUresult result =
        cuda->driver.cuGraphAddMemsetNode(out_node, build->out->graph, build->dependencies,
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
    const struct segue_plan *plan = build->plan;
    if (planned->first_dependency == build->first_dependency &&
        planned->dependency_count == build->dependency_count)
        return;
    const uint32_t *dependencies = plan->dependencies + planned->first_dependency;
    for (uint32_t i = 0; i < planned->dependency_count; i++)
        build->dependencies[i] = build->out->nodes[dependencies[i]];
    build->first_dependency = planned->first_dependency;
    build->dependency_count = planned->dependency_count;
    build->typed = false;
    for (uint32_t i = 0; build->edges != NULL && i < planned->dependency_count; i++) {
        const bool programmatic =
            segue_plan_dependency_type(plan, planned, i) == SEGUE_GRAPH_EDGE_PROGRAMMATIC;
        build->edges[i] = (CUgraphEdgeData){0};
        if (!programmatic)
            continue;
        build->edges[i].from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC;
        build->edges[i].type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC;
        build->typed = true;
    }
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
    status =
        add_operation(build, &operation, &build->out->nodes[index], &build->out->node_types[index]);
    segue_lowering_recycle(lowering);
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

/** Raises a failed instantiation. */
static segue_status fail_instantiate(const struct segue_lowering *lowering,
                                     const struct segue_cuda_graph *graph,
                                     const struct segue_plan *plan, CUresult result,
                                     const CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    char text[DESCRIPTION_BYTES] = "no node named by the driver";
    for (size_t i = 0; i < plan->node_count && params->hErrNode_out != NULL; i++) {
        if (graph->nodes[i] == params->hErrNode_out) {
            (void)segue_lowering_describe(lowering, plan->nodes[i].segment, text, sizeof(text));
            break;
        }
    }
    return segue_cuda_raise(lowering->cuda, result, "cuGraphInstantiateWithParams", __FILE__,
                            __LINE__, "instantiating the graph of command buffer \"%s\", %s%s",
                            lowering->recording->label, text, reason_text(params->result_out));
}

static segue_status instantiate(struct segue_lowering *lowering,
                                const struct segue_cuda_graph *graph, const struct segue_plan *plan,
                                CUgraphExec *out_exec)
{
    struct segue_cuda *cuda = lowering->cuda;
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 0};
    CUresult result = cuda->driver.cuGraphInstantiateWithParams(out_exec, graph->graph, &params);
    if (result == CUDA_ERROR_OUT_OF_MEMORY) {
        segue_exec_cache_note_fall(lowering, SEGUE_CACHE_FALL_MEMORY, NULL, result,
                                   "cuGraphInstantiateWithParams");
        segue_exec_cache_make_room(cuda);
        params = (CUDA_GRAPH_INSTANTIATE_PARAMS){.flags = 0};
        result = cuda->driver.cuGraphInstantiateWithParams(out_exec, graph->graph, &params);
    }
    return result == CUDA_SUCCESS ? SEGUE_OK
                                  : fail_instantiate(lowering, graph, plan, result, &params);
}

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

segue_status segue_cuda_graph_instantiate(struct segue_lowering *lowering,
                                          const struct segue_cuda_graph *graph,
                                          const struct segue_plan *plan,
                                          struct segue_command_buffer_stats *stats,
                                          CUgraphExec *out_exec)
{
    struct segue_cuda *cuda = lowering->cuda;
    const uint64_t start_ns = segue_now_ns();
    CUgraphExec exec = NULL;
    segue_status status = instantiate(lowering, graph, plan, &exec);
    if (status != SEGUE_OK)
        return status;
    const uint64_t instantiated_ns = segue_now_ns();
    status = upload(lowering, exec);
    if (status != SEGUE_OK) {
        segue_cuda_cleanup(cuda, cuGraphExecDestroy(exec),
                           "destroying the executable graph of command buffer \"%s\"",
                           lowering->recording->label);
        return status;
    }
    stats->instantiate_ns = instantiated_ns - start_ns;
    stats->upload_ns = segue_now_ns() - instantiated_ns;
    *out_exec = exec;
    return SEGUE_OK;
}

/** Makes the graph and its nodes. The arrays are there. */
static segue_status fill_graph(struct build *build)
{
    struct segue_lowering *lowering = build->lowering;
    struct segue_cuda *cuda = lowering->cuda;
    segue_status status =
        segue_cuda_check(cuda, cuGraphCreate(&build->out->graph, 0),
                         "creating the graph of command buffer \"%s\"", lowering->recording->label);
    for (size_t i = 0; i < build->plan->node_count && status == SEGUE_OK; i++)
        status = add_node(build, i);
    return status;
}

segue_status segue_cuda_graph_build(struct segue_lowering *lowering, const struct segue_plan *plan,
                                    struct segue_cuda_graph *out_graph)
{
    struct segue_cuda *cuda = lowering->cuda;
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    const size_t count = plan->node_count;
    struct segue_cuda_graph graph = {.node_count = count, .edge_count = plan->edge_count};
    struct build build = {.lowering = lowering, .plan = plan, .out = &graph};
    graph.nodes = segue_allocate(allocator, count * sizeof(*graph.nodes));
    graph.node_types = segue_allocate(allocator, count);
    // A node depends on fewer nodes than there are.
    build.dependencies = segue_allocate(allocator, count * sizeof(*build.dependencies));
    const bool typed = plan->dependency_types != NULL && segue_cuda_has_typed_edges(cuda);
    if (typed)
        build.edges = segue_allocate(allocator, count * sizeof(*build.edges));
    segue_status status;
    if (graph.nodes != NULL && graph.node_types != NULL && build.dependencies != NULL &&
        (build.edges != NULL || !typed))
        status = fill_graph(&build);
    else
        status = fail_memory(&build);
    if (build.edges != NULL)
        segue_release(allocator, build.edges, count * sizeof(*build.edges));
    segue_release(allocator, build.dependencies, count * sizeof(*build.dependencies));
    if (status == SEGUE_OK)
        *out_graph = graph;
    else
        segue_cuda_graph_finish(cuda, &graph, true);
    return status;
}

void segue_cuda_graph_finish(struct segue_cuda *cuda, struct segue_cuda_graph *graph,
                             bool has_context)
{
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    if (graph->graph != NULL && has_context)
        segue_cuda_cleanup(cuda, cuGraphDestroy(graph->graph), "destroying a graph");
    segue_release(allocator, graph->nodes, graph->node_count * sizeof(*graph->nodes));
    segue_release(allocator, graph->node_types, graph->node_count);
    *graph = (struct segue_cuda_graph){.node_count = 0};
}
