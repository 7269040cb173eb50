// SPDX-License-Identifier: Apache-2.0
// Changes to executable graphs: cuGraphExecUpdate, cuGraphExec*NodeSetParams, enabling of nodes.
// All of them make a new program first and swap it in last: a change that fails changes nothing.
#include "exec.h"

#include <stdlib.h>
#include <string.h>

// Rules for one node: what may change between works of one type. As measured with driver 580.
static CUgraphExecUpdateResult compare_kernels(const struct segue_soft_kernel *old,
                                               const struct segue_soft_kernel *new_kernel)
{
    // The function may change, and clusters and priority with it, but not this.
    return old->cooperative == new_kernel->cooperative
               ? CU_GRAPH_EXEC_UPDATE_SUCCESS
               : CU_GRAPH_EXEC_UPDATE_ERROR_ATTRIBUTES_CHANGED;
}

static bool is_linear(const struct segue_soft_copy *copy)
{
    return copy->height == 1 && copy->depth == 1;
}

static CUgraphExecUpdateResult compare_copies(const struct segue_soft_copy *old,
                                              const struct segue_soft_copy *new_copy)
{
    bool same = old->source_type == new_copy->source_type &&
                old->target_type == new_copy->target_type && is_linear(old) && is_linear(new_copy);
    return same ? CU_GRAPH_EXEC_UPDATE_SUCCESS : CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
}

static CUgraphExecUpdateResult compare_sets(const struct segue_soft_set *old,
                                            const struct segue_soft_set *new_set)
{
    bool linear = old->height == 1 && new_set->height == 1;
    return linear ? CU_GRAPH_EXEC_UPDATE_SUCCESS : CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
}

static CUgraphExecUpdateResult compare_works(const struct segue_soft_work *old,
                                             const struct segue_soft_work *new_work)
{
    if (old->type != new_work->type) {
        return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
    }
    switch (old->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return compare_kernels(&old->kernel, &new_work->kernel);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return compare_copies(&old->copy, &new_work->copy);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return compare_sets(&old->set, &new_work->set);
    default:
        return CU_GRAPH_EXEC_UPDATE_SUCCESS;
    }
}

static CUresult compare_all(const struct segue_soft_program *old,
                            const struct segue_soft_graph *graph, const uint32_t *partners,
                            CUgraphExecUpdateResultInfo *info)
{
    for (uint32_t i = 0; i < graph->node_count; ++i) {
        const struct segue_soft_node *node = graph->nodes[partners[i]];
        info->result = compare_works(&old->works[i], &node->work);
        if (info->result != CU_GRAPH_EXEC_UPDATE_SUCCESS) {
            info->errorNode = node->handle;
            return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
        }
    }
    return CUDA_SUCCESS;
}

static CUresult update(CUgraphExec exec_handle, CUgraph graph_handle,
                       CUgraphExecUpdateResultInfo *info)
{
    struct segue_soft_exec *exec = NULL;
    struct segue_soft_graph *graph = NULL;
    uint32_t *partners = NULL;
    memset(info, 0, sizeof(*info));
    info->result = CU_GRAPH_EXEC_UPDATE_ERROR;
    CUresult result = segue_soft_exec_get(exec_handle, &exec);
    if (result == CUDA_SUCCESS) {
        result = segue_soft_graph_get(graph_handle, &graph);
    }
    if (result == CUDA_SUCCESS) {
        result = segue_soft_pair_nodes(exec->program, graph, info, &partners);
    }
    if (result == CUDA_SUCCESS) {
        result = compare_all(exec->program, graph, partners, info);
    }
    if (result == CUDA_SUCCESS) {
        struct segue_soft_program *program = NULL;
        info->result = CU_GRAPH_EXEC_UPDATE_ERROR;
        result = segue_soft_program_create_like(exec->program, graph, partners, &program,
                                                &info->errorNode);
        if (result == CUDA_SUCCESS) {
            segue_soft_exec_set_program(exec, program);
            info->result = CU_GRAPH_EXEC_UPDATE_SUCCESS;
        }
    }
    free(partners);
    return result;
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphExecUpdate_v2(CUgraphExec hGraphExec, CUgraph hGraph,
                                                        CUgraphExecUpdateResultInfo *resultInfo)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"exec\":%llu,\"graph\":%llu",
                     (unsigned long long)(uintptr_t)hGraphExec,
                     (unsigned long long)(uintptr_t)hGraph);
    if (resultInfo == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    return segue_soft_leave(&call, update(hGraphExec, hGraph, resultInfo));
}

// The exec's place for a node of the graph that it was made from.
static CUresult find_place(CUgraphExec exec_handle, CUgraphNode node_handle,
                           struct segue_soft_exec **out_exec, uint32_t *out_index)
{
    struct segue_soft_node *node = NULL;
    CUresult result = segue_soft_exec_get(exec_handle, out_exec);
    if (result == CUDA_SUCCESS) {
        result = segue_soft_node_get(node_handle, &node);
    }
    if (result != CUDA_SUCCESS) {
        return result;
    }
    if (node->graph->id != (*out_exec)->graph_id ||
        node->index >= (*out_exec)->program->topology->node_count) {
        segue_soft_misuse("node %p is not of the graph that exec %p was made from",
                          (void *)node_handle, (void *)exec_handle);
        return CUDA_ERROR_INVALID_VALUE;
    }
    *out_index = node->index;
    return CUDA_SUCCESS;
}

// Swaps one work, taking `work` over in any case.
static CUresult replace_work(struct segue_soft_exec *exec, uint32_t index,
                             struct segue_soft_work *work)
{
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    if (compare_works(&exec->program->works[index], work) == CU_GRAPH_EXEC_UPDATE_SUCCESS) {
        struct segue_soft_program *program = exec->program;
        // Nobody else uses the program: it can be changed in place.
        if (program->references > 1) {
            program = segue_soft_program_clone(exec->program);
        }
        if (program != NULL) {
            segue_soft_work_clear(&program->works[index]);
            program->works[index] = *work;
            program->checked = false;
            if (program != exec->program) {
                segue_soft_exec_set_program(exec, program);
            }
            return CUDA_SUCCESS;
        }
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    segue_soft_work_clear(work);
    return result;
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphExecKernelNodeSetParams_v2(
    CUgraphExec hGraphExec, CUgraphNode hNode, const CUDA_KERNEL_NODE_PARAMS_v2 *nodeParams)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"exec\":%llu,\"node\":%llu",
                     (unsigned long long)(uintptr_t)hGraphExec,
                     (unsigned long long)(uintptr_t)hNode);
    struct segue_soft_exec *exec = NULL;
    struct segue_soft_work work;
    uint32_t index;
    result = find_place(hGraphExec, hNode, &exec, &index);
    if (result == CUDA_SUCCESS && exec->program->works[index].type != CU_GRAPH_NODE_TYPE_KERNEL) {
        result = CUDA_ERROR_INVALID_VALUE;
    }
    if (result == CUDA_SUCCESS) {
        result = segue_soft_kernel_remake(&exec->program->works[index].kernel, nodeParams, &work);
    }
    if (result == CUDA_SUCCESS) {
        result = replace_work(exec, index, &work);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphExecMemcpyNodeSetParams(CUgraphExec hGraphExec,
                                                                  CUgraphNode hNode,
                                                                  const CUDA_MEMCPY3D *copyParams,
                                                                  CUcontext ctx)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"exec\":%llu,\"node\":%llu",
                     (unsigned long long)(uintptr_t)hGraphExec,
                     (unsigned long long)(uintptr_t)hNode);
    struct segue_soft_exec *exec = NULL;
    struct segue_soft_work work;
    uint32_t index;
    if (copyParams == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = find_place(hGraphExec, hNode, &exec, &index);
    if (result == CUDA_SUCCESS && ctx != NULL) {
        result = segue_soft_check_context_argument(ctx);
    }
    if (result == CUDA_SUCCESS) {
        result = segue_soft_copy_make(copyParams, &work);
    }
    if (result == CUDA_SUCCESS) {
        result = replace_work(exec, index, &work);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI
cuGraphExecMemsetNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
                               const CUDA_MEMSET_NODE_PARAMS *memsetParams, CUcontext ctx)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"exec\":%llu,\"node\":%llu",
                     (unsigned long long)(uintptr_t)hGraphExec,
                     (unsigned long long)(uintptr_t)hNode);
    struct segue_soft_exec *exec = NULL;
    struct segue_soft_work work;
    uint32_t index;
    if (memsetParams == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = find_place(hGraphExec, hNode, &exec, &index);
    if (result == CUDA_SUCCESS && ctx != NULL) {
        result = segue_soft_check_context_argument(ctx);
    }
    if (result == CUDA_SUCCESS) {
        result = segue_soft_set_make(memsetParams, &work);
    }
    if (result == CUDA_SUCCESS) {
        result = replace_work(exec, index, &work);
    }
    return segue_soft_leave(&call, result);
}

// Kernel, memcpy and memset nodes can be disabled; their edges still hold.
static CUresult find_switchable(CUgraphExec exec_handle, CUgraphNode node_handle,
                                struct segue_soft_exec **out_exec, uint32_t *out_index)
{
    CUresult result = find_place(exec_handle, node_handle, out_exec, out_index);
    if (result != CUDA_SUCCESS) {
        return result;
    }
    CUgraphNodeType type = (*out_exec)->program->works[*out_index].type;
    bool switchable = type == CU_GRAPH_NODE_TYPE_KERNEL || type == CU_GRAPH_NODE_TYPE_MEMCPY ||
                      type == CU_GRAPH_NODE_TYPE_MEMSET;
    return switchable ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult set_enabled(struct segue_soft_exec *exec, uint32_t index, bool enabled)
{
    struct segue_soft_program *program = exec->program;
    if (program->references > 1) {
        program = segue_soft_program_clone(exec->program);
        if (program == NULL) {
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        segue_soft_exec_set_program(exec, program);
    }
    program->enabled[index] = enabled;
    program->checked = false;
    return CUDA_SUCCESS;
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphNodeSetEnabled(CUgraphExec hGraphExec, CUgraphNode hNode,
                                                         unsigned int isEnabled)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"exec\":%llu,\"node\":%llu,\"enabled\":%u",
                     (unsigned long long)(uintptr_t)hGraphExec,
                     (unsigned long long)(uintptr_t)hNode, isEnabled);
    struct segue_soft_exec *exec = NULL;
    uint32_t index;
    result = find_switchable(hGraphExec, hNode, &exec, &index);
    if (result == CUDA_SUCCESS) {
        result = set_enabled(exec, index, isEnabled != 0);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphNodeGetEnabled(CUgraphExec hGraphExec, CUgraphNode hNode,
                                                         unsigned int *isEnabled)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"exec\":%llu,\"node\":%llu",
                     (unsigned long long)(uintptr_t)hGraphExec,
                     (unsigned long long)(uintptr_t)hNode);
    struct segue_soft_exec *exec = NULL;
    uint32_t index;
    if (isEnabled == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = find_switchable(hGraphExec, hNode, &exec, &index);
    if (result == CUDA_SUCCESS) {
        *isEnabled = exec->program->enabled[index] ? 1 : 0;
    }
    return segue_soft_leave(&call, result);
}
