// SPDX-License-Identifier: Apache-2.0
// Operations as parameters of graph nodes.
#include "graph_node.h"
#include "cuda_backend.h"

CUDA_KERNEL_NODE_PARAMS
segue_kernel_params(const struct segue_operation *operation)
{
    const CUlaunchConfig *config = &operation->as.kernel.config;
    return (CUDA_KERNEL_NODE_PARAMS){
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
}

CUDA_MEMCPY3D segue_copy_params(const struct segue_operation *operation)
{
    const struct segue_copy_end *source = &operation->as.copy.source;
    const struct segue_copy_end *target = &operation->as.copy.target;
    return (CUDA_MEMCPY3D){
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
}

CUDA_MEMSET_NODE_PARAMS
segue_set_params(const struct segue_operation *operation)
{
    return (CUDA_MEMSET_NODE_PARAMS){
        .dst = operation->as.set.target,
        .value = operation->as.set.pattern,
        .elementSize = operation->as.set.pattern_bytes,
        .width = operation->as.set.pattern_count,
        .height = 1,
    };
}

/** Sets a node of an executable graph. */
static CUresult set_in_exec(struct segue_cuda *cuda, CUgraphExec exec, CUgraphNode node,
                            const struct segue_operation *operation, const char **out_call)
{
    if (operation->kind == SEGUE_OPERATION_KERNEL) {
        const CUDA_KERNEL_NODE_PARAMS params = segue_kernel_params(operation);
        *out_call = "cuGraphExecKernelNodeSetParams";
        return cuda->driver.cuGraphExecKernelNodeSetParams(exec, node, &params);
    }
    if (operation->kind == SEGUE_OPERATION_COPY) {
        const CUDA_MEMCPY3D params = segue_copy_params(operation);
        *out_call = "cuGraphExecMemcpyNodeSetParams";
        return cuda->driver.cuGraphExecMemcpyNodeSetParams(exec, node, &params, cuda->context);
    }
    const CUDA_MEMSET_NODE_PARAMS params = segue_set_params(operation);
    *out_call = "cuGraphExecMemsetNodeSetParams";
    return cuda->driver.cuGraphExecMemsetNodeSetParams(exec, node, &params, cuda->context);
}

CUresult segue_cuda_node_set(struct segue_cuda *cuda, CUgraphExec exec, CUgraphNode node,
                             const struct segue_operation *operation, const char **out_call)
{
    if (exec != NULL)
        return set_in_exec(cuda, exec, node, operation, out_call);
    if (operation->kind == SEGUE_OPERATION_KERNEL) {
        const CUDA_KERNEL_NODE_PARAMS params = segue_kernel_params(operation);
        *out_call = "cuGraphKernelNodeSetParams";
        return cuda->driver.cuGraphKernelNodeSetParams(node, &params);
    }
    if (operation->kind == SEGUE_OPERATION_COPY) {
        const CUDA_MEMCPY3D params = segue_copy_params(operation);
        *out_call = "cuGraphMemcpyNodeSetParams";
        return cuda->driver.cuGraphMemcpyNodeSetParams(node, &params);
    }
    const CUDA_MEMSET_NODE_PARAMS params = segue_set_params(operation);
    *out_call = "cuGraphMemsetNodeSetParams";
    return cuda->driver.cuGraphMemsetNodeSetParams(node, &params);
}
