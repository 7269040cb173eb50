// SPDX-License-Identifier: Apache-2.0
// cuInit, cuDevice* and the primary context with each thread's stack of current contexts.
#include "handle.h"
#include "limits.h"
#include "memory.h"
#include "stream.h"

#include <string.h>

#define STACK_DEPTH 64

/** The one context there is. A new one each time it is retained from zero. */
static struct {
    uint32_t retain_count;
    CUcontext handle;
} primary;

static _Thread_local struct {
    CUcontext contexts[STACK_DEPTH];
    uint32_t depth;
} stack;

/** The depths of all threads' stacks; what a thread leaves on its own when it ends stays counted.
 */
static uint64_t pushed_count;

static void set_depth(uint32_t depth)
{
    pushed_count += depth;
    pushed_count -= stack.depth;
    stack.depth = depth;
}

uint64_t segue_soft_pushed_contexts(void)
{
    return pushed_count;
}

uint64_t segue_soft_context_holders(void)
{
    return primary.retain_count;
}

CUcontext segue_soft_current_context(void)
{
    return stack.depth > 0 ? stack.contexts[stack.depth - 1] : NULL;
}

CUresult segue_soft_check_context(void)
{
    CUcontext context = segue_soft_current_context();
    if (context == NULL) {
        segue_soft_misuse("no context is current");
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    if (!segue_soft_handle_alive(SEGUE_SOFT_KIND_CONTEXT, context)) {
        segue_soft_misuse("the current context %p was destroyed", (void *)context);
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    }
    return CUDA_SUCCESS;
}

CUresult segue_soft_check_context_argument(CUcontext context)
{
    void *object;
    return segue_soft_handle_get(SEGUE_SOFT_KIND_CONTEXT, context, &object);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuInit(unsigned int Flags)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_ANY, "\"flags\":%u", Flags);
    if (Flags != 0) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = segue_soft_memory_open();
    segue_soft.initialised = segue_soft.initialised || result == CUDA_SUCCESS;
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuDriverGetVersion(int *driverVersion)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_ANY, "%s", "");
    if (driverVersion == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    *driverVersion = segue_soft.profile;
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuDeviceGetCount(int *count)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_INITIALISED, "%s", "");
    if (count == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    *count = 1;
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuDeviceGet(CUdevice *device, int ordinal)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_INITIALISED, "\"ordinal\":%d", ordinal);
    if (device == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    if (ordinal != 0) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_DEVICE);
    }
    *device = 0;
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuDeviceGetName(char *name, int len, CUdevice dev)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_INITIALISED, "\"device\":%d", dev);
    if (name == NULL || len <= 0) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    if (dev != 0) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_DEVICE);
    }
    snprintf(name, (size_t)len, "Segue software device (as NVIDIA H200)");
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_INITIALISED, "\"device\":%d", dev);
    if (bytes == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    if (dev != 0) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_DEVICE);
    }
    *bytes = (size_t)SEGUE_SOFT_MEMORY_BYTES;
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

static CUresult get_attribute(CUdevice_attribute attribute, int *out_value)
{
    static const struct {
        CUdevice_attribute attribute;
        int value;
    } attributes[] = {
        {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, SEGUE_SOFT_MAX_THREADS_PER_BLOCK},
        {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, SEGUE_SOFT_MAX_THREADS_PER_BLOCK},
        {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, SEGUE_SOFT_MAX_THREADS_PER_BLOCK},
        {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, SEGUE_SOFT_MAX_BLOCK_Z},
        {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, SEGUE_SOFT_MAX_GRID_X},
        {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, SEGUE_SOFT_MAX_GRID_YZ},
        {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, SEGUE_SOFT_MAX_GRID_YZ},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, SEGUE_SOFT_SHARED_BYTES},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, SEGUE_SOFT_SHARED_OPT_IN_BYTES},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR,
         SEGUE_SOFT_SHARED_PER_MULTIPROCESSOR_BYTES},
        {CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, SEGUE_SOFT_SHARED_RESERVED_BYTES},
        {CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, SEGUE_SOFT_CONSTANT_BYTES},
        {CU_DEVICE_ATTRIBUTE_WARP_SIZE, SEGUE_SOFT_WARP_SIZE},
        {CU_DEVICE_ATTRIBUTE_MAX_PITCH, 2147483647},
        {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, SEGUE_SOFT_REGISTERS},
        {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, SEGUE_SOFT_REGISTERS},
        {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, SEGUE_SOFT_CLOCK_KHZ},
        {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, SEGUE_SOFT_MEMORY_CLOCK_KHZ},
        {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, SEGUE_SOFT_MEMORY_BUS_BITS},
        {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, SEGUE_SOFT_L2_BYTES},
        {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR,
         SEGUE_SOFT_MAX_THREADS_PER_MULTIPROCESSOR},
        {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR,
         SEGUE_SOFT_MAX_BLOCKS_PER_MULTIPROCESSOR},
        {CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 512},
        {CU_DEVICE_ATTRIBUTE_GPU_OVERLAP, 1},
        {CU_DEVICE_ATTRIBUTE_TCC_DRIVER, 0},
        {CU_DEVICE_ATTRIBUTE_GLOBAL_L1_CACHE_SUPPORTED, 1},
        {CU_DEVICE_ATTRIBUTE_LOCAL_L1_CACHE_SUPPORTED, 1},
        {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, SEGUE_SOFT_MULTIPROCESSORS},
        {CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT, 0},
        {CU_DEVICE_ATTRIBUTE_INTEGRATED, 0},
        {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, CU_COMPUTEMODE_DEFAULT},
        {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1},
        {CU_DEVICE_ATTRIBUTE_ECC_ENABLED, 1},
        {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 3},
        {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
        {CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, 0},
        {CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, 0},
        {CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, 0},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, SEGUE_SOFT_COMPUTE_MAJOR},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, SEGUE_SOFT_COMPUTE_MINOR},
        {CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 1},
        // Managed memory and pools: not modelled, and said so.
        {CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 0},
        {CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, 0},
        {CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS, 0},
        {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 0},
        {CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, 1},
        {CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH, 1},
        {CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, 1},
    };
    for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); ++i) {
        if (attributes[i].attribute == attribute) {
            *out_value = attributes[i].value;
            return CUDA_SUCCESS;
        }
    }
    if (attribute <= 0 || attribute >= CU_DEVICE_ATTRIBUTE_MAX) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    return segue_soft_unsupported("device attribute %d", (int)attribute);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib,
                                                        CUdevice dev)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_INITIALISED, "\"attribute\":%d,\"device\":%d", (int)attrib, dev);
    if (pi == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    if (dev != 0) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_DEVICE);
    }
    return segue_soft_leave(&call, get_attribute(attrib, pi));
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuDeviceGraphMemTrim(CUdevice device)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_INITIALISED, "\"device\":%d", device);
    // Graphs own no memory here: nothing to give back.
    return segue_soft_leave(&call, device == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_INITIALISED, "\"device\":%d", dev);
    if (pctx == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    if (dev != 0) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_DEVICE);
    }
    if (segue_soft.lost != CUDA_SUCCESS) {
        return segue_soft_leave(&call, segue_soft.lost);
    }
    if (primary.retain_count == 0) {
        if (segue_soft.sticky != CUDA_SUCCESS) {
            return segue_soft_leave(&call, segue_soft.sticky);
        }
        void *handle;
        result = segue_soft_handle_create(SEGUE_SOFT_KIND_CONTEXT, &primary, &handle);
        if (result != CUDA_SUCCESS) {
            return segue_soft_leave(&call, result);
        }
        primary.handle = handle;
    }
    ++primary.retain_count;
    *pctx = primary.handle;
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuDevicePrimaryCtxRelease_v2(CUdevice dev)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_INITIALISED | SEGUE_SOFT_RELEASE, "\"device\":%d", dev);
    if (dev != 0) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_DEVICE);
    }
    if (primary.retain_count == 0) {
        segue_soft_misuse("the primary context is not retained");
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_CONTEXT);
    }
    if (--primary.retain_count == 0) {
        // Work in flight ends first. A kernel's error outlives the context: with the real driver,
        // too, the process has to end.
        segue_soft_streams_finish();
        segue_soft_handle_destroy(primary.handle);
        primary.handle = NULL;
    }
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuCtxPushCurrent_v2(CUcontext ctx)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_INITIALISED, "\"context\":%llu",
                     (unsigned long long)(uintptr_t)ctx);
    if (ctx == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = segue_soft_check_context_argument(ctx);
    if (result == CUDA_SUCCESS && stack.depth == STACK_DEPTH) {
        result = segue_soft_unsupported("more than %d contexts pushed by a thread", STACK_DEPTH);
    }
    if (result == CUDA_SUCCESS) {
        stack.contexts[stack.depth] = ctx;
        set_depth(stack.depth + 1);
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuCtxPopCurrent_v2(CUcontext *pctx)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_INITIALISED | SEGUE_SOFT_RELEASE, "%s", "");
    if (stack.depth == 0) {
        segue_soft_misuse("no context to pop");
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_CONTEXT);
    }
    set_depth(stack.depth - 1);
    CUcontext popped = stack.contexts[stack.depth];
    if (pctx != NULL) {
        *pctx = popped;
    }
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuCtxGetCurrent(CUcontext *pctx)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_INITIALISED, "%s", "");
    if (pctx == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    *pctx = segue_soft_current_context();
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuCtxSetCurrent(CUcontext ctx)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_INITIALISED, "\"context\":%llu",
                     (unsigned long long)(uintptr_t)ctx);
    if (ctx == NULL) {
        set_depth(stack.depth - (stack.depth > 0 ? 1 : 0));
        return segue_soft_leave(&call, CUDA_SUCCESS);
    }
    result = segue_soft_check_context_argument(ctx);
    if (result == CUDA_SUCCESS) {
        // Replaces the top of the stack.
        set_depth(stack.depth + (stack.depth == 0 ? 1 : 0));
        stack.contexts[stack.depth - 1] = ctx;
    }
    return segue_soft_leave(&call, result);
}
