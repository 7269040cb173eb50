// SPDX-License-Identifier: Apache-2.0
// cuGraphInstantiate, -Upload, -Launch, -ExecDestroy.
#include "exec.h"

#include "module.h"

#include <stdlib.h>

CUresult segue_soft_exec_get(CUgraphExec handle, struct segue_soft_exec **out_exec)
{
    void *object;
    if (handle == NULL) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    CUresult result = segue_soft_handle_get(SEGUE_SOFT_KIND_EXEC, handle, &object);
    if (result == CUDA_SUCCESS) {
        *out_exec = object;
    }
    return result;
}

void segue_soft_exec_set_program(struct segue_soft_exec *exec, struct segue_soft_program *program)
{
    segue_soft_program_release(exec->program);
    exec->program = program;
}

static CUresult create_exec(const struct segue_soft_graph *graph,
                            struct segue_soft_program *program, CUgraphExec *out_exec)
{
    struct segue_soft_exec *exec = calloc(1, sizeof(*exec));
    if (exec == NULL) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    void *handle;
    CUresult result = segue_soft_handle_create(SEGUE_SOFT_KIND_EXEC, exec, &handle);
    if (result != CUDA_SUCCESS) {
        free(exec);
        return result;
    }
    exec->handle = handle;
    exec->references = 1;
    exec->program = program;
    exec->graph_id = graph->id;
    *out_exec = handle;
    return CUDA_SUCCESS;
}

static CUresult check_flags(const CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    const cuuint64_t modelled = CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD |
                                CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH |
                                CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY;
    struct segue_soft_stream *stream = NULL;
    if ((params->flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH) != 0) {
        return segue_soft_unsupported("graphs launched from the device");
    }
    if ((params->flags & ~modelled) != 0) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    return (params->flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD) != 0
               ? segue_soft_stream_get(params->hUploadStream, &stream)
               : CUDA_SUCCESS;
}

static CUresult instantiate(CUgraph graph_handle, CUDA_GRAPH_INSTANTIATE_PARAMS *params,
                            CUgraphExec *out_exec)
{
    struct segue_soft_graph *graph = NULL;
    struct segue_soft_program *program = NULL;
    CUresult result = segue_soft_graph_get(graph_handle, &graph);
    if (result == CUDA_SUCCESS) {
        result = check_flags(params);
    }
    params->hErrNode_out = NULL;
    params->result_out = CUDA_GRAPH_INSTANTIATE_ERROR;
    if (result != CUDA_SUCCESS) {
        return result;
    }
    result = segue_soft_program_create(graph, &program, &params->result_out, &params->hErrNode_out);
    if (result != CUDA_SUCCESS) {
        return result;
    }
    result = create_exec(graph, program, out_exec);
    if (result != CUDA_SUCCESS) {
        params->result_out = CUDA_GRAPH_INSTANTIATE_ERROR;
        segue_soft_program_release(program);
    }
    return result;
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphInstantiateWithParams(
    CUgraphExec *phGraphExec, CUgraph hGraph, CUDA_GRAPH_INSTANTIATE_PARAMS *instantiateParams)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"graph\":%llu", (unsigned long long)(uintptr_t)hGraph);
    if (phGraphExec == NULL || instantiateParams == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    return segue_soft_leave(&call, instantiate(hGraph, instantiateParams, phGraphExec));
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphExecDestroy(CUgraphExec hGraphExec)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_GRAPH | SEGUE_SOFT_RELEASE, "\"exec\":%llu",
                     (unsigned long long)(uintptr_t)hGraphExec);
    struct segue_soft_exec *exec = NULL;
    result = segue_soft_exec_get(hGraphExec, &exec);
    if (result == CUDA_SUCCESS) {
        segue_soft_handle_destroy(hGraphExec);
        exec->handle = NULL;
        // "Does not stop the graph": launches in flight end first, and free it then.
        if (--exec->references == 0) {
            segue_soft_program_release(exec->program);
            free(exec);
        }
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphUpload(CUgraphExec hGraph, CUstream hStream)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"exec\":%llu,\"stream\":%llu",
                     (unsigned long long)(uintptr_t)hGraph, (unsigned long long)(uintptr_t)hStream);
    struct segue_soft_exec *exec = NULL;
    struct segue_soft_stream *stream = NULL;
    result = segue_soft_exec_get(hGraph, &exec);
    if (result == CUDA_SUCCESS) {
        result = segue_soft_stream_get(hStream, &stream);
    }
    return segue_soft_leave(&call, result);
}

// Modules may have been unloaded since the program was made.
static CUresult check_functions(struct segue_soft_program *program)
{
    if (program->alive_at == segue_soft_module_unload_count()) {
        return CUDA_SUCCESS;
    }
    for (uint32_t i = 0; i < program->topology->node_count; ++i) {
        void *function;
        const struct segue_soft_work *work = &program->works[i];
        if (work->type != CU_GRAPH_NODE_TYPE_KERNEL) {
            continue;
        }
        CUresult result =
            segue_soft_handle_get(SEGUE_SOFT_KIND_FUNCTION, work->kernel.handle, &function);
        if (result != CUDA_SUCCESS) {
            return result;
        }
    }
    program->alive_at = segue_soft_module_unload_count();
    return CUDA_SUCCESS;
}

static bool has_tables(const struct segue_soft_program *program)
{
    for (uint32_t i = 0; i < program->topology->node_count; ++i) {
        const struct segue_soft_work *work = &program->works[i];
        if (work->type == CU_GRAPH_NODE_TYPE_KERNEL && segue_soft_kernel_has_table(&work->kernel)) {
            return true;
        }
    }
    return false;
}

static CUresult launch(struct segue_soft_exec *exec, struct segue_soft_stream *stream)
{
    struct segue_soft_program *program = exec->program;
    CUresult result = check_functions(program);
    if (result == CUDA_SUCCESS && !program->checked) {
        program->has_tables = has_tables(program);
        if (!program->has_tables) {
            result = segue_soft_order_check(program);
        }
    }
    if (result != CUDA_SUCCESS) {
        return result;
    }
    struct segue_soft_op *op = segue_soft_op_create(SEGUE_SOFT_OP_GRAPH);
    if (op == NULL) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    op->launch = segue_soft_launch_create(exec);
    if (op->launch == NULL) {
        free(op);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    op->launch->op = op;
    segue_soft_stream_push(stream, op);
    // Every launch of a program with hazards counts them.
    if (program->hazard_count > 0 && !program->has_tables) {
        segue_soft_hazard(program->hazard_count, program->first_hazard);
    }
    return CUDA_SUCCESS;
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphLaunch(CUgraphExec hGraph, CUstream hStream)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"exec\":%llu,\"stream\":%llu",
                     (unsigned long long)(uintptr_t)hGraph, (unsigned long long)(uintptr_t)hStream);
    struct segue_soft_exec *exec = NULL;
    struct segue_soft_stream *stream = NULL;
    result = segue_soft_exec_get(hGraph, &exec);
    if (result == CUDA_SUCCESS) {
        result = segue_soft_stream_get(hStream, &stream);
    }
    if (result == CUDA_SUCCESS) {
        result = launch(exec, stream);
    }
    return segue_soft_leave(&call, result);
}
