// SPDX-License-Identifier: Apache-2.0
// Operations as parameters of graph nodes.
#include "graph_node.h"
#include "cuda_backend.h"
#include "exec_record.h"
#include "module.h"

#include "executable.h"

/** Kernels have few parameters; pointers to so many are on the stack. */
#define DIRECT_PARAMETERS 64

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

static const struct segue_entry_point *entry_of(const struct segue_dispatch_segment *dispatch)
{
    return &dispatch->executable->entries[dispatch->entry_point].declared;
}

bool segue_cuda_dispatch_is_direct(const struct segue_segment *segment)
{
    return segment->kind == SEGUE_COMMAND_DISPATCH && !segue_segment_has_indirect(segment) &&
           entry_of((const struct segue_dispatch_segment *)segment)->parameter_count <=
               DIRECT_PARAMETERS;
}

CUresult segue_cuda_dispatch_set(struct segue_cuda *cuda, CUgraphExec exec, CUgraphNode node,
                                 const struct segue_dispatch_segment *dispatch,
                                 const uint64_t *record, const char **out_call)
{
    const struct segue_entry_point *entry = entry_of(dispatch);
    const uint64_t *address = segue_dispatch_record_addresses(record);
    const unsigned char *constant =
        (const unsigned char *)segue_dispatch_record_constants(record, dispatch->binding_count);
    const void *parameters[DIRECT_PARAMETERS];
    for (uint32_t i = 0; i < entry->parameter_count; i++) {
        const struct segue_parameter *parameter = &entry->parameters[i];
        if (parameter->kind == SEGUE_PARAMETER_BINDING) {
            parameters[i] = address++;
        } else {
            parameters[i] = constant;
            constant += parameter->size_bytes;
        }
    }
    const CUDA_KERNEL_NODE_PARAMS params = {
        .func = dispatch->executable->module->functions[dispatch->entry_point],
        .gridDimX = dispatch->grid[0],
        .gridDimY = dispatch->grid[1],
        .gridDimZ = dispatch->grid[2],
        .blockDimX = dispatch->block[0],
        .blockDimY = dispatch->block[1],
        .blockDimZ = dispatch->block[2],
        .sharedMemBytes = dispatch->dynamic_shared_bytes,
        // The driver only reads; its type has no const.
        .kernelParams = entry->parameter_count != 0 ? (void **)(uintptr_t)parameters : NULL,
    };
    *out_call = "cuGraphExecKernelNodeSetParams";
    return cuda->driver.cuGraphExecKernelNodeSetParams(exec, node, &params);
}
