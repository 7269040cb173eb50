// SPDX-License-Identifier: Apache-2.0
// cuGraph* that add nodes and change their parameters. Parameters are copied at the call.
#include "graph.h"

static CUresult add_kernel(CUgraph graph, const struct segue_soft_dependencies *dependencies,
                           const CUDA_KERNEL_NODE_PARAMS_v2 *params, CUgraphNode *out_node)
{
    struct segue_soft_work work;
    CUresult result =
        params != NULL ? segue_soft_kernel_make(params, &work) : CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS) {
        return result;
    }
    result = segue_soft_kernel_check(&work.kernel);
    if (result != CUDA_SUCCESS) {
        segue_soft_work_clear(&work);
        return result;
    }
    return segue_soft_graph_add(graph, dependencies, &work, out_node);
}

static CUresult add_memcpy(CUgraph graph, const struct segue_soft_dependencies *dependencies,
                           const CUDA_MEMCPY3D *params, CUcontext context, CUgraphNode *out_node)
{
    struct segue_soft_work work;
    if (params == NULL) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    // NULL is the current one.
    CUresult result = context != NULL ? segue_soft_check_context_argument(context) : CUDA_SUCCESS;
    if (result == CUDA_SUCCESS) {
        result = segue_soft_copy_make(params, &work);
    }
    return result == CUDA_SUCCESS ? segue_soft_graph_add(graph, dependencies, &work, out_node)
                                  : result;
}

static CUresult add_memset(CUgraph graph, const struct segue_soft_dependencies *dependencies,
                           const CUDA_MEMSET_NODE_PARAMS *params, CUcontext context,
                           CUgraphNode *out_node)
{
    struct segue_soft_work work;
    if (params == NULL) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    // NULL is the current one.
    CUresult result = context != NULL ? segue_soft_check_context_argument(context) : CUDA_SUCCESS;
    if (result == CUDA_SUCCESS) {
        result = segue_soft_set_make(params, &work);
    }
    return result == CUDA_SUCCESS ? segue_soft_graph_add(graph, dependencies, &work, out_node)
                                  : result;
}

static CUresult add_any(CUgraph graph, const struct segue_soft_dependencies *dependencies,
                        const CUgraphNodeParams *params, CUgraphNode *out_node)
{
    struct segue_soft_work work = {.type = CU_GRAPH_NODE_TYPE_EMPTY};
    if (params == NULL || params->reserved2 != 0) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    switch (params->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL: {
        const CUDA_KERNEL_NODE_PARAMS_v3 *given = &params->kernel;
        CUDA_KERNEL_NODE_PARAMS_v2 kernel = {
            .func = given->func,
            .gridDimX = given->gridDimX,
            .gridDimY = given->gridDimY,
            .gridDimZ = given->gridDimZ,
            .blockDimX = given->blockDimX,
            .blockDimY = given->blockDimY,
            .blockDimZ = given->blockDimZ,
            .sharedMemBytes = given->sharedMemBytes,
            .kernelParams = given->kernelParams,
            .extra = given->extra,
            .kern = given->kern,
            .ctx = given->ctx,
        };
        return add_kernel(graph, dependencies, &kernel, out_node);
    }
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        if (params->memcpy.flags != 0 || params->memcpy.reserved != 0) {
            return CUDA_ERROR_INVALID_VALUE;
        }
        return add_memcpy(graph, dependencies, &params->memcpy.copyParams, params->memcpy.copyCtx,
                          out_node);
    case CU_GRAPH_NODE_TYPE_MEMSET: {
        CUDA_MEMSET_NODE_PARAMS set = {
            .dst = params->memset.dst,
            .pitch = params->memset.pitch,
            .value = params->memset.value,
            .elementSize = params->memset.elementSize,
            .width = params->memset.width,
            .height = params->memset.height,
        };
        return add_memset(graph, dependencies, &set, params->memset.ctx, out_node);
    }
    case CU_GRAPH_NODE_TYPE_EMPTY:
        return segue_soft_graph_add(graph, dependencies, &work, out_node);
    default:
        if (params->type < 0 || params->type > CU_GRAPH_NODE_TYPE_CONDITIONAL) {
            return CUDA_ERROR_INVALID_VALUE;
        }
        return segue_soft_unsupported("graph nodes of type %d", (int)params->type);
    }
}

#define NODE_ENTER(graph, count)                                                    \
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"graph\":%llu,\"dependency_count\":%zu", \
                     (unsigned long long)(uintptr_t)(graph), (count))

SEGUE_SOFT_EXPORT CUresult CUDAAPI
cuGraphAddKernelNode_v2(CUgraphNode *phGraphNode, CUgraph hGraph, const CUgraphNode *dependencies,
                        size_t numDependencies, const CUDA_KERNEL_NODE_PARAMS_v2 *nodeParams)
{
    NODE_ENTER(hGraph, numDependencies);
    struct segue_soft_dependencies list = {dependencies, NULL, numDependencies};
    return segue_soft_leave(&call, add_kernel(hGraph, &list, nodeParams, phGraphNode));
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphAddMemcpyNode(CUgraphNode *phGraphNode, CUgraph hGraph,
                                                        const CUgraphNode *dependencies,
                                                        size_t numDependencies,
                                                        const CUDA_MEMCPY3D *copyParams,
                                                        CUcontext ctx)
{
    NODE_ENTER(hGraph, numDependencies);
    struct segue_soft_dependencies list = {dependencies, NULL, numDependencies};
    return segue_soft_leave(&call, add_memcpy(hGraph, &list, copyParams, ctx, phGraphNode));
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphAddMemsetNode(CUgraphNode *phGraphNode, CUgraph hGraph,
                                                        const CUgraphNode *dependencies,
                                                        size_t numDependencies,
                                                        const CUDA_MEMSET_NODE_PARAMS *memsetParams,
                                                        CUcontext ctx)
{
    NODE_ENTER(hGraph, numDependencies);
    struct segue_soft_dependencies list = {dependencies, NULL, numDependencies};
    return segue_soft_leave(&call, add_memset(hGraph, &list, memsetParams, ctx, phGraphNode));
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphAddEmptyNode(CUgraphNode *phGraphNode, CUgraph hGraph,
                                                       const CUgraphNode *dependencies,
                                                       size_t numDependencies)
{
    NODE_ENTER(hGraph, numDependencies);
    struct segue_soft_dependencies list = {dependencies, NULL, numDependencies};
    struct segue_soft_work work = {.type = CU_GRAPH_NODE_TYPE_EMPTY};
    return segue_soft_leave(&call, segue_soft_graph_add(hGraph, &list, &work, phGraphNode));
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphAddNode_v2(CUgraphNode *phGraphNode, CUgraph hGraph,
                                                     const CUgraphNode *dependencies,
                                                     const CUgraphEdgeData *dependencyData,
                                                     size_t numDependencies,
                                                     CUgraphNodeParams *nodeParams)
{
    NODE_ENTER(hGraph, numDependencies);
    struct segue_soft_dependencies list = {dependencies, dependencyData, numDependencies};
    return segue_soft_leave(&call, add_any(hGraph, &list, nodeParams, phGraphNode));
}

static CUresult get_typed(CUgraphNode handle, CUgraphNodeType type,
                          struct segue_soft_node **out_node)
{
    CUresult result = segue_soft_node_get(handle, out_node);
    if (result == CUDA_SUCCESS && (*out_node)->work.type != type) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    return result;
}

static CUresult set_attribute(struct segue_soft_kernel *kernel, CUkernelNodeAttrID attribute,
                              const CUkernelNodeAttrValue *value)
{
    if (value == NULL || attribute == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    struct segue_soft_kernel changed = *kernel;
    CUresult result = segue_soft_kernel_set_attribute(&changed, attribute, value);
    if (result == CUDA_SUCCESS) {
        result = segue_soft_kernel_check(&changed);
    }
    if (result == CUDA_SUCCESS) {
        *kernel = changed;
    }
    return result;
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphKernelNodeSetAttribute(CUgraphNode hNode,
                                                                 CUkernelNodeAttrID attr,
                                                                 const CUkernelNodeAttrValue *value)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"node\":%llu,\"attribute\":%d",
                     (unsigned long long)(uintptr_t)hNode, (int)attr);
    struct segue_soft_node *node = NULL;
    result = get_typed(hNode, CU_GRAPH_NODE_TYPE_KERNEL, &node);
    if (result == CUDA_SUCCESS) {
        result = set_attribute(&node->work.kernel, attr, value);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI
cuGraphKernelNodeGetParams_v2(CUgraphNode hNode, CUDA_KERNEL_NODE_PARAMS_v2 *nodeParams)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"node\":%llu", (unsigned long long)(uintptr_t)hNode);
    struct segue_soft_node *node = NULL;
    if (nodeParams == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = get_typed(hNode, CU_GRAPH_NODE_TYPE_KERNEL, &node);
    if (result == CUDA_SUCCESS) {
        const struct segue_soft_kernel *kernel = &node->work.kernel;
        *nodeParams = (CUDA_KERNEL_NODE_PARAMS_v2){
            .func = kernel->handle,
            .gridDimX = kernel->grid[0],
            .gridDimY = kernel->grid[1],
            .gridDimZ = kernel->grid[2],
            .blockDimX = kernel->block[0],
            .blockDimY = kernel->block[1],
            .blockDimZ = kernel->block[2],
            .sharedMemBytes = kernel->shared_bytes,
            .kernelParams = kernel->parameters,
        };
    }
    return segue_soft_leave(&call, result);
}

CUresult segue_soft_kernel_remake(const struct segue_soft_kernel *old,
                                  const CUDA_KERNEL_NODE_PARAMS_v2 *params,
                                  struct segue_soft_work *out_work)
{
    struct segue_soft_work work;
    CUresult result =
        params != NULL ? segue_soft_kernel_make(params, &work) : CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS) {
        return result;
    }
    // Attributes belong to the node, not to its parameters.
    if (old->cluster[0] != 0) {
        for (int i = 0; i < 3; ++i) {
            work.kernel.cluster[i] = old->cluster[i];
        }
    }
    work.kernel.cooperative = old->cooperative;
    work.kernel.priority = old->priority;
    result = segue_soft_kernel_check(&work.kernel);
    if (result != CUDA_SUCCESS) {
        segue_soft_work_clear(&work);
        return result;
    }
    *out_work = work;
    return CUDA_SUCCESS;
}

static CUresult replace(struct segue_soft_node *node, CUresult made, struct segue_soft_work *work)
{
    if (made == CUDA_SUCCESS) {
        segue_soft_work_clear(&node->work);
        node->work = *work;
    }
    return made;
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI
cuGraphKernelNodeSetParams_v2(CUgraphNode hNode, const CUDA_KERNEL_NODE_PARAMS_v2 *nodeParams)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"node\":%llu", (unsigned long long)(uintptr_t)hNode);
    struct segue_soft_node *node = NULL;
    struct segue_soft_work work;
    result = get_typed(hNode, CU_GRAPH_NODE_TYPE_KERNEL, &node);
    if (result == CUDA_SUCCESS) {
        CUresult made = segue_soft_kernel_remake(&node->work.kernel, nodeParams, &work);
        result = replace(node, made, &work);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphMemcpyNodeSetParams(CUgraphNode hNode,
                                                              const CUDA_MEMCPY3D *nodeParams)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"node\":%llu", (unsigned long long)(uintptr_t)hNode);
    struct segue_soft_node *node = NULL;
    struct segue_soft_work work;
    if (nodeParams == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = get_typed(hNode, CU_GRAPH_NODE_TYPE_MEMCPY, &node);
    if (result == CUDA_SUCCESS) {
        result = replace(node, segue_soft_copy_make(nodeParams, &work), &work);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI
cuGraphMemsetNodeSetParams(CUgraphNode hNode, const CUDA_MEMSET_NODE_PARAMS *nodeParams)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"node\":%llu", (unsigned long long)(uintptr_t)hNode);
    struct segue_soft_node *node = NULL;
    struct segue_soft_work work;
    if (nodeParams == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = get_typed(hNode, CU_GRAPH_NODE_TYPE_MEMSET, &node);
    if (result == CUDA_SUCCESS) {
        result = replace(node, segue_soft_set_make(nodeParams, &work), &work);
    }
    return segue_soft_leave(&call, result);
}
