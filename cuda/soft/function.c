// SPDX-License-Identifier: Apache-2.0
// cuFunc* and occupancy.
#include "limits.h"
#include "module.h"

uint32_t segue_soft_function_static_shared(const struct segue_soft_function *function)
{
    return function->entry->static_shared_bytes + function->module->image.shared_bytes;
}

uint32_t segue_soft_function_occupancy(const struct segue_soft_function *function,
                                       uint32_t block_threads, uint64_t dynamic_shared_bytes)
{
    uint64_t shared_bytes = dynamic_shared_bytes + segue_soft_function_static_shared(function) +
                            SEGUE_SOFT_SHARED_RESERVED_BYTES;
    if (block_threads > SEGUE_SOFT_MAX_THREADS_PER_BLOCK ||
        dynamic_shared_bytes > (uint64_t)function->max_dynamic_shared_bytes) {
        // No block fits: the launch itself would be refused.
        return 0;
    }
    uint64_t warps = (block_threads + SEGUE_SOFT_WARP_SIZE - 1) / SEGUE_SOFT_WARP_SIZE;
    uint64_t limits[] = {
        SEGUE_SOFT_MAX_BLOCKS_PER_MULTIPROCESSOR,
        SEGUE_SOFT_MAX_THREADS_PER_MULTIPROCESSOR / (warps * SEGUE_SOFT_WARP_SIZE),
        SEGUE_SOFT_SHARED_PER_MULTIPROCESSOR_BYTES / shared_bytes,
    };
    uint64_t least = limits[0];
    for (size_t i = 1; i < sizeof(limits) / sizeof(limits[0]); ++i) {
        least = limits[i] < least ? limits[i] : least;
    }
    return (uint32_t)least;
}

static CUresult get_attribute(const struct segue_soft_function *function,
                              CUfunction_attribute attribute, int *out_value)
{
    const struct segue_soft_entry *entry = function->entry;
    bool fixed_cluster = entry->cluster[0] != 0;
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        *out_value = (int)entry->max_threads;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
        *out_value = (int)segue_soft_function_static_shared(function);
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
    case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
        *out_value = 0;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
        *out_value = SEGUE_SOFT_REGISTERS_PER_THREAD;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
        *out_value = (int)function->module->image.target;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
        *out_value = SEGUE_SOFT_COMPUTE_MAJOR * 10 + SEGUE_SOFT_COMPUTE_MINOR;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *out_value = function->max_dynamic_shared_bytes;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        *out_value = function->carveout;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
        *out_value = fixed_cluster;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
        *out_value = (int)entry->cluster[attribute - CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH];
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
        *out_value = function->non_portable_cluster;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
        *out_value = function->cluster_scheduling;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

static CUresult set_attribute(struct segue_soft_function *function, CUfunction_attribute attribute,
                              int value)
{
    int most = SEGUE_SOFT_SHARED_OPT_IN_BYTES - (int)segue_soft_function_static_shared(function);
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        if (value < 0 || value > most) {
            return CUDA_ERROR_INVALID_VALUE;
        }
        function->max_dynamic_shared_bytes = value;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        if (value < -1 || value > 100) {
            return CUDA_ERROR_INVALID_VALUE;
        }
        function->carveout = value;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
        function->non_portable_cluster = value != 0;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
        if (value < CU_CLUSTER_SCHEDULING_POLICY_DEFAULT ||
            value > CU_CLUSTER_SCHEDULING_POLICY_LOAD_BALANCING) {
            return CUDA_ERROR_INVALID_VALUE;
        }
        function->cluster_scheduling = value;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
        return segue_soft_unsupported("setting function attribute %d", (int)attribute);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuFuncGetAttribute(int *pi, CUfunction_attribute attrib,
                                                      CUfunction hfunc)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"attribute\":%d", (int)attrib);
    void *function;
    if (pi == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = segue_soft_handle_get(SEGUE_SOFT_KIND_FUNCTION, hfunc, &function);
    if (result == CUDA_SUCCESS) {
        result = get_attribute(function, attrib, pi);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuFuncSetAttribute(CUfunction hfunc, CUfunction_attribute attrib,
                                                      int value)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"attribute\":%d,\"value\":%d", (int)attrib, value);
    void *function;
    result = segue_soft_handle_get(SEGUE_SOFT_KIND_FUNCTION, hfunc, &function);
    if (result == CUDA_SUCCESS) {
        result = set_attribute(function, attrib, value);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuFuncGetParamInfo(CUfunction func, size_t paramIndex,
                                                      size_t *paramOffset, size_t *paramSize)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"index\":%zu", paramIndex);
    void *object;
    if (func == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = segue_soft_handle_get(SEGUE_SOFT_KIND_FUNCTION, func, &object);
    if (result != CUDA_SUCCESS) {
        return segue_soft_leave(&call, result);
    }
    const struct segue_soft_entry *entry = ((const struct segue_soft_function *)object)->entry;
    if (paramOffset == NULL || paramIndex >= entry->parameter_count) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    *paramOffset = entry->parameters[paramIndex].offset_bytes;
    if (paramSize != NULL) {
        *paramSize = entry->parameters[paramIndex].size_bytes;
    }
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuOccupancyMaxActiveBlocksPerMultiprocessor(
    int *numBlocks, CUfunction func, int blockSize, size_t dynamicSMemSize)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"block_threads\":%d,\"dynamic_shared_bytes\":%zu",
                     blockSize, dynamicSMemSize);
    void *function;
    if (numBlocks == NULL || blockSize <= 0) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = segue_soft_handle_get(SEGUE_SOFT_KIND_FUNCTION, func, &function);
    if (result == CUDA_SUCCESS) {
        *numBlocks =
            (int)segue_soft_function_occupancy(function, (uint32_t)blockSize, dynamicSMemSize);
    }
    return segue_soft_leave(&call, result);
}
