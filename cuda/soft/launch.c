// SPDX-License-Identifier: Apache-2.0
// Kernel launches: parameters are copied at the call, limits checked, references run.
#include "limits.h"
#include "memory.h"
#include "module.h"
#include "stream.h"
#include "work.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_ALIGN_BYTES 16
// CU_LAUNCH_ATTRIBUTE_NVLINK_UTIL_CENTRIC_SCHEDULING, which headers of 12.4 lack.
#define LAST_KNOWN_ATTRIBUTE 16

static size_t align_value(size_t offset_bytes)
{
    return (offset_bytes + VALUE_ALIGN_BYTES - 1) / VALUE_ALIGN_BYTES * VALUE_ALIGN_BYTES;
}

// Copies the values into one block: pointers first, then each value aligned.
static bool copy_parameters(struct segue_soft_kernel *kernel, void *const *values)
{
    const struct segue_soft_entry *entry = kernel->function->entry;
    size_t block_bytes = align_value(entry->parameter_count * sizeof(void *) + 1);
    size_t first_bytes = block_bytes;
    for (uint32_t i = 0; i < entry->parameter_count; ++i) {
        block_bytes += align_value(entry->parameters[i].size_bytes);
    }
    void **block = malloc(block_bytes);
    if (block == NULL) {
        return false;
    }
    memset(block, 0, block_bytes);
    char *place = (char *)block + first_bytes;
    for (uint32_t i = 0; i < entry->parameter_count; ++i) {
        memcpy(place, values[i], entry->parameters[i].size_bytes);
        block[i] = place;
        place += align_value(entry->parameters[i].size_bytes);
    }
    kernel->parameters = block;
    kernel->parameter_block_bytes = block_bytes;
    kernel->parameter_count = entry->parameter_count;
    return true;
}

CUresult segue_soft_kernel_make(const CUDA_KERNEL_NODE_PARAMS_v2 *params,
                                struct segue_soft_work *out_work)
{
    struct segue_soft_work work = {
        .type = CU_GRAPH_NODE_TYPE_KERNEL,
        .kernel =
            {
                .handle = params->func,
                .grid = {params->gridDimX, params->gridDimY, params->gridDimZ},
                .block = {params->blockDimX, params->blockDimY, params->blockDimZ},
                .shared_bytes = params->sharedMemBytes,
            },
    };
    if (params->func == NULL && params->kern != NULL) {
        return segue_soft_unsupported("CUkernel in place of CUfunction");
    }
    if (params->func == NULL) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    void *object;
    CUresult result = segue_soft_handle_get(SEGUE_SOFT_KIND_FUNCTION, params->func, &object);
    if (result != CUDA_SUCCESS) {
        return result;
    }
    struct segue_soft_function *function = object;
    work.kernel.function = function;
    memcpy(work.kernel.cluster, function->entry->cluster, sizeof(work.kernel.cluster));
    if (params->extra != NULL) {
        if (params->kernelParams != NULL) {
            return CUDA_ERROR_INVALID_VALUE;
        }
        return segue_soft_unsupported("parameters through `extra`");
    }
    for (uint32_t i = 0; i < function->entry->parameter_count; ++i) {
        if (params->kernelParams == NULL || params->kernelParams[i] == NULL) {
            return CUDA_ERROR_INVALID_VALUE;
        }
    }
    if (!copy_parameters(&work.kernel, params->kernelParams)) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *out_work = work;
    return CUDA_SUCCESS;
}

CUresult segue_soft_kernel_set_attribute(struct segue_soft_kernel *kernel, CUlaunchAttributeID id,
                                         const CUlaunchAttributeValue *value)
{
    switch (id) {
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
        // May only make things faster: kernels run one after the other here.
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
        kernel->cooperative = value->cooperative != 0;
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
        kernel->priority = value->priority;
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
        if (value->clusterDim.x == 0 || value->clusterDim.y == 0 || value->clusterDim.z == 0) {
            return CUDA_ERROR_INVALID_CLUSTER_SIZE;
        }
        kernel->cluster[0] = value->clusterDim.x;
        kernel->cluster[1] = value->clusterDim.y;
        kernel->cluster[2] = value->clusterDim.z;
        return CUDA_SUCCESS;
    default:
        if (id < 0 || id > LAST_KNOWN_ATTRIBUTE) {
            return CUDA_ERROR_INVALID_VALUE;
        }
        return segue_soft_unsupported("launch attribute %d", (int)id);
    }
}

static CUresult check_cluster(const struct segue_soft_kernel *kernel)
{
    const struct segue_soft_function *function = kernel->function;
    uint64_t blocks = (uint64_t)kernel->cluster[0] * kernel->cluster[1] * kernel->cluster[2];
    uint64_t most = function->non_portable_cluster ? SEGUE_SOFT_MAX_CLUSTER_NON_PORTABLE
                                                   : SEGUE_SOFT_MAX_CLUSTER;
    if (kernel->cluster[0] == 0) {
        return CUDA_SUCCESS;
    }
    for (int i = 0; i < 3; ++i) {
        uint32_t fixed = function->entry->cluster[i];
        if ((fixed != 0 && fixed != kernel->cluster[i]) ||
            kernel->grid[i] % kernel->cluster[i] != 0) {
            return CUDA_ERROR_INVALID_CLUSTER_SIZE;
        }
    }
    return blocks <= most ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CLUSTER_SIZE;
}

CUresult segue_soft_kernel_check(const struct segue_soft_kernel *kernel)
{
    void *object;
    CUresult result = segue_soft_handle_get(SEGUE_SOFT_KIND_FUNCTION, kernel->handle, &object);
    if (result != CUDA_SUCCESS) {
        return result;
    }
    const struct segue_soft_function *function = object;
    uint64_t threads = (uint64_t)kernel->block[0] * kernel->block[1] * kernel->block[2];
    uint64_t blocks = (uint64_t)kernel->grid[0] * kernel->grid[1] * kernel->grid[2];
    for (int i = 0; i < 3; ++i) {
        uint32_t most_grid = i == 0 ? SEGUE_SOFT_MAX_GRID_X : SEGUE_SOFT_MAX_GRID_YZ;
        uint32_t most_block = i == 2 ? SEGUE_SOFT_MAX_BLOCK_Z : SEGUE_SOFT_MAX_THREADS_PER_BLOCK;
        if (kernel->grid[i] == 0 || kernel->grid[i] > most_grid || kernel->block[i] == 0 ||
            kernel->block[i] > most_block) {
            return CUDA_ERROR_INVALID_VALUE;
        }
        uint32_t required = function->entry->block[i];
        if (required != 0 && kernel->block[i] != required) {
            return CUDA_ERROR_INVALID_VALUE;
        }
    }
    if (threads > SEGUE_SOFT_MAX_THREADS_PER_BLOCK || threads > function->entry->max_threads) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (kernel->shared_bytes > (uint32_t)function->max_dynamic_shared_bytes) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (kernel->cooperative) {
        uint64_t fit =
            segue_soft_function_occupancy(function, (uint32_t)threads, kernel->shared_bytes);
        if (blocks > fit * SEGUE_SOFT_MULTIPROCESSORS) {
            return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
        }
    }
    return check_cluster(kernel);
}

/** The driver's side of a launch, behind segue_reference_launch.driver. */
struct launch_state {
    bool out_of_range;
};

static void *translate(const struct segue_reference_launch *launch, uint64_t address,
                       uint64_t size_bytes)
{
    void *pointer = segue_soft_memory_translate(address, size_bytes);
    if (pointer == NULL) {
        ((struct launch_state *)launch->driver)->out_of_range = true;
    }
    return pointer;
}

static struct segue_reference_launch describe_launch(const struct segue_soft_kernel *kernel,
                                                     struct launch_state *state)
{
    return (struct segue_reference_launch){
        .grid = {kernel->grid[0], kernel->grid[1], kernel->grid[2]},
        .block = {kernel->block[0], kernel->block[1], kernel->block[2]},
        .dynamic_shared_bytes = kernel->shared_bytes,
        .cluster = {kernel->cluster[0], kernel->cluster[1], kernel->cluster[2]},
        .cooperative = kernel->cooperative,
        .parameters = (const void *const *)kernel->parameters,
        .parameter_count = kernel->parameter_count,
        .user = kernel->function->reference->kernel.user,
        .driver = state,
    };
}

// A reference may have been replaced since the function was looked up.
static bool is_runnable(const struct segue_soft_kernel *kernel)
{
    return segue_soft_handle_alive(SEGUE_SOFT_KIND_FUNCTION, kernel->handle) &&
           segue_soft_function_matches(kernel->function->entry, kernel->function->reference);
}

CUresult segue_soft_kernel_run(const struct segue_soft_kernel *kernel)
{
    if (!is_runnable(kernel)) {
        return CUDA_ERROR_LAUNCH_FAILED;
    }
    struct launch_state state = {.out_of_range = false};
    struct segue_reference_launch launch = describe_launch(kernel, &state);
    bool ran = kernel->function->reference->kernel.run(&launch, translate);
    if (state.out_of_range) {
        segue_soft_log_note("illegal address", kernel->function->entry->name);
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    }
    return ran ? CUDA_SUCCESS : CUDA_ERROR_LAUNCH_FAILED;
}

/** Adapts the public range collector to the internal one. */
struct range_adapter {
    struct segue_reference_ranges base;
    segue_soft_range_fn add;
    void *context;
    bool ok;
};

static bool add_range(struct segue_reference_ranges *ranges, uint64_t address, uint64_t size_bytes,
                      bool read, bool write)
{
    struct range_adapter *adapter = ranges->driver;
    adapter->ok = adapter->ok && adapter->add(adapter->context, address, size_bytes, read, write);
    return adapter->ok;
}

bool segue_soft_kernel_ranges(const struct segue_soft_kernel *kernel, segue_soft_range_fn add,
                              void *context)
{
    if (!is_runnable(kernel)) {
        return true;
    }
    struct launch_state state = {.out_of_range = false};
    struct segue_reference_launch launch = describe_launch(kernel, &state);
    struct range_adapter adapter = {.add = add, .context = context, .ok = true};
    adapter.base.add_range = add_range;
    adapter.base.driver = &adapter;
    const struct segue_reference_kernel *reference = &kernel->function->reference->kernel;
    if (reference->table_ranges != NULL) {
        reference->table_ranges(&launch, translate, &adapter.base);
    } else {
        reference->ranges(&launch, &adapter.base);
    }
    return adapter.ok;
}

bool segue_soft_kernel_has_table(const struct segue_soft_kernel *kernel)
{
    return is_runnable(kernel) && kernel->function->reference->kernel.table_ranges != NULL;
}

static CUresult launch(const CUlaunchConfig *config, CUfunction function, void **parameters,
                       void **extra)
{
    struct segue_soft_stream *stream = NULL;
    CUresult result = segue_soft_stream_get(config->hStream, &stream);
    if (result != CUDA_SUCCESS) {
        return result;
    }
    CUDA_KERNEL_NODE_PARAMS_v2 params = {
        .func = function,
        .gridDimX = config->gridDimX,
        .gridDimY = config->gridDimY,
        .gridDimZ = config->gridDimZ,
        .blockDimX = config->blockDimX,
        .blockDimY = config->blockDimY,
        .blockDimZ = config->blockDimZ,
        .sharedMemBytes = config->sharedMemBytes,
        .kernelParams = parameters,
        .extra = extra,
    };
    struct segue_soft_work work;
    result = segue_soft_kernel_make(&params, &work);
    if (result != CUDA_SUCCESS) {
        return result;
    }
    for (unsigned i = 0; i < config->numAttrs && result == CUDA_SUCCESS; ++i) {
        result = segue_soft_kernel_set_attribute(&work.kernel, config->attrs[i].id,
                                                 &config->attrs[i].value);
    }
    if (result == CUDA_SUCCESS) {
        result = segue_soft_kernel_check(&work.kernel);
    }
    if (result != CUDA_SUCCESS) {
        segue_soft_work_clear(&work);
        return result;
    }
    return segue_soft_stream_push_work(stream, &work, false);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f,
                                                    void **kernelParams, void **extra)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"function\":%llu", (unsigned long long)(uintptr_t)f);
    if (config == NULL || (config->numAttrs > 0 && config->attrs == NULL)) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    return segue_soft_leave(&call, launch(config, f, kernelParams, extra));
}
