// SPDX-License-Identifier: Apache-2.0
#include "module.h"

#include "cuda_backend.h"
#include "image.h"

#include <stdint.h>
#include <string.h>

/** Largest cluster that every GPU with clusters takes without opting in. */
#define PORTABLE_CLUSTER_BLOCKS 8

#define JIT_LOG_BYTES 2048

static segue_status status_of_load(CUresult result)
{
    switch (result) {
    case CUDA_ERROR_INVALID_PTX:
    case CUDA_ERROR_INVALID_SOURCE:
    case CUDA_ERROR_UNSUPPORTED_PTX_VERSION:
        return SEGUE_COMPILE_FAILED;
    case CUDA_ERROR_INVALID_IMAGE:
        return SEGUE_INVALID_DATA;
    case CUDA_ERROR_NO_BINARY_FOR_GPU:
    case CUDA_ERROR_JIT_COMPILER_NOT_FOUND:
    case CUDA_ERROR_JIT_COMPILATION_DISABLED:
        return SEGUE_UNAVAILABLE;
    default:
        return segue_cuda_status(result);
    }
}

segue_status segue_cuda_load_module(struct segue_cuda *cuda, const void *data, size_t size_bytes,
                                    const char *label, CUmodule *out_module)
{
    char log[JIT_LOG_BYTES] = "";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)(sizeof(log) - 1)};
    CUmodule module = NULL;
    const CUresult result = cuda->driver.cuModuleLoadDataEx(
        &module, data, sizeof(options) / sizeof(options[0]), options, values);
    if (result != CUDA_SUCCESS)
        return segue_cuda_raise_as(cuda, status_of_load(result), result, "cuModuleLoadDataEx",
                                   __FILE__, __LINE__, "loading executable \"%s\" (%zu bytes)%s%s",
                                   label, size_bytes, log[0] != '\0' ? ": " : "", log);
    *out_module = module;
    return SEGUE_OK;
}

/** What loading one executable needs at hand. */
struct loading {
    struct segue_cuda *cuda;
    const struct segue_executable_params *params;
    const char *label;
    const struct segue_image *image;
    CUmodule module;
};

static segue_status raise_missing(const struct loading *loading, const char *name)
{
    struct segue_cuda *cuda = loading->cuda;
    const bool defined =
        !loading->image->is_ptx || segue_image_ptx_has_entry(loading->image->data, name);
    if (cuda->driver.soft != NULL && defined)
        return segue_fail_driver(cuda->base.device, SEGUE_UNAVAILABLE, CUDA_ERROR_NOT_FOUND,
                                 "executable \"%s\": no reference of kernel %s is registered with "
                                 "the software driver; register one with "
                                 "segue_device_register_reference_kernels, or run on a GPU",
                                 loading->label, name);
    return segue_fail_driver(cuda->base.device, SEGUE_NOT_FOUND, CUDA_ERROR_NOT_FOUND,
                             "executable \"%s\" has no kernel %s; declare kernels extern \"C\"",
                             loading->label, name);
}

/** Compares a kernel's declared parameters with what the module says. */
static segue_status check_parameters(const struct loading *loading,
                                     const struct segue_entry_point *entry, CUfunction function)
{
    struct segue_cuda *cuda = loading->cuda;
    bool has_table = false;
    uint32_t kernel_parameter = 0;
    for (uint32_t i = 0; i <= entry->parameter_count; i++) {
        size_t offset_bytes = 0;
        size_t size_bytes = 0;
        if (i < entry->parameter_count &&
            !segue_parameter_is_passed(&entry->parameters[i], &has_table))
            continue;
        const CUresult result = cuda->driver.cuFuncGetParamInfo(function, kernel_parameter++,
                                                                &offset_bytes, &size_bytes);
        const bool exists = result == CUDA_SUCCESS;
        // The driver's way of saying that there is no such parameter.
        if (!exists && result != CUDA_ERROR_INVALID_VALUE)
            return segue_cuda_raise(cuda, result, "cuFuncGetParamInfo", __FILE__, __LINE__,
                                    "executable \"%s\", kernel %s, parameter %u", loading->label,
                                    entry->name, i);
        if (exists != (i < entry->parameter_count))
            return segue_fail(cuda->base.device, SEGUE_INCOMPATIBLE,
                              "executable \"%s\": kernel %s has %s than the %u parameters declared",
                              loading->label, entry->name, exists ? "more" : "fewer",
                              entry->parameter_count);
        if (exists && size_bytes != segue_parameter_bytes(&entry->parameters[i]))
            return segue_fail(
                cuda->base.device, SEGUE_INCOMPATIBLE,
                "executable \"%s\": parameter %u of kernel %s has %zu bytes, declared "
                "are %u",
                loading->label, i, entry->name, size_bytes,
                segue_parameter_bytes(&entry->parameters[i]));
    }
    return SEGUE_OK;
}

static segue_status get_attribute(const struct loading *loading,
                                  const struct segue_entry_point *entry, CUfunction function,
                                  CUfunction_attribute attribute, uint32_t *out_value)
{
    struct segue_cuda *cuda = loading->cuda;
    int value = 0;
    const segue_status status = segue_cuda_check(
        cuda, cuFuncGetAttribute(&value, attribute, function),
        "executable \"%s\", kernel %s, attribute %d", loading->label, entry->name, (int)attribute);
    if (status == SEGUE_OK)
        *out_value = value > 0 ? (uint32_t)value : 0;
    return status;
}

/** Opts in to all the dynamic shared memory that the device has (launches say how much of it they
 *  use) and to large clusters, and reports the limits of launches. */
static segue_status set_limits(const struct loading *loading, const struct segue_entry_point *entry,
                               CUfunction function, struct segue_backend_entry_limits *out_limits)
{
    struct segue_cuda *cuda = loading->cuda;
    uint32_t max_threads = 0;
    uint32_t static_shared_bytes = 0;
    segue_status status = get_attribute(loading, entry, function,
                                        CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, &max_threads);
    if (status == SEGUE_OK)
        status = get_attribute(loading, entry, function, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES,
                               &static_shared_bytes);
    if (status != SEGUE_OK)
        return status;
    const uint32_t optin_bytes = cuda->limits.shared_optin_bytes;
    const uint32_t dynamic_bytes =
        optin_bytes > static_shared_bytes ? optin_bytes - static_shared_bytes : 0;
    if (dynamic_bytes > 0)
        status = segue_cuda_check(
            cuda,
            cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                               (int)dynamic_bytes),
            "executable \"%s\": allowing kernel %s %u bytes of dynamic shared memory",
            loading->label, entry->name, dynamic_bytes);
    // Kernels that start while the one before them runs need the split between cache and shared
    // memory that it has: a multiprocessor must be empty to change it.
    if (status == SEGUE_OK && (entry->flags & SEGUE_ENTRY_GRID_DEPENDENCY))
        status = segue_cuda_check(
            cuda,
            cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT,
                               CU_SHAREDMEM_CARVEOUT_MAX_SHARED),
            "executable \"%s\": preferring shared memory to cache for kernel %s", loading->label,
            entry->name);
    const uint64_t cluster_blocks =
        (uint64_t)entry->cluster_size[0] * entry->cluster_size[1] * entry->cluster_size[2];
    if (status == SEGUE_OK && cluster_blocks > PORTABLE_CLUSTER_BLOCKS)
        status = segue_cuda_check(
            cuda,
            cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1),
            "executable \"%s\": allowing kernel %s clusters of more than %d blocks", loading->label,
            entry->name, PORTABLE_CLUSTER_BLOCKS);
    out_limits->max_threads_per_block = max_threads;
    out_limits->max_dynamic_shared_bytes = dynamic_bytes;
    return status;
}

static segue_status load_entry(const struct loading *loading, const struct segue_entry_point *entry,
                               CUfunction *out_function,
                               struct segue_backend_entry_limits *out_limits)
{
    struct segue_cuda *cuda = loading->cuda;
    const CUresult result =
        cuda->driver.cuModuleGetFunction(out_function, loading->module, entry->name);
    if (result == CUDA_ERROR_NOT_FOUND)
        return raise_missing(loading, entry->name);
    // The software driver's way of saying that a reference does not fit the module.
    if (result == CUDA_ERROR_INVALID_SOURCE && cuda->driver.soft != NULL)
        return segue_cuda_raise_as(cuda, SEGUE_INCOMPATIBLE, result, "cuModuleGetFunction",
                                   __FILE__, __LINE__,
                                   "executable \"%s\": the reference registered for kernel %s has "
                                   "other parameters than the module",
                                   loading->label, entry->name);
    if (result != CUDA_SUCCESS)
        return segue_cuda_raise(cuda, result, "cuModuleGetFunction", __FILE__, __LINE__,
                                "executable \"%s\", kernel %s", loading->label, entry->name);
    const segue_status status = check_parameters(loading, entry, *out_function);
    return status == SEGUE_OK ? set_limits(loading, entry, *out_function, out_limits) : status;
}

static size_t module_bytes(uint32_t entry_count)
{
    return sizeof(struct segue_backend_module) + entry_count * sizeof(CUfunction);
}

/** Loads the image and all entry points into `module`. The context is current. */
static segue_status load_all(struct loading *loading, struct segue_backend_module *module,
                             struct segue_backend_entry_limits *out_limits)
{
    struct segue_cuda *cuda = loading->cuda;
    segue_status status = segue_cuda_load_module(
        cuda, loading->image->data, loading->image->size_bytes, loading->label, &loading->module);
    if (status != SEGUE_OK)
        return status;
    for (uint32_t i = 0; i < module->entry_count && status == SEGUE_OK; i++)
        status = load_entry(loading, &loading->params->entry_points[i], &module->functions[i],
                            &out_limits[i]);
    if (status != SEGUE_OK)
        segue_cuda_cleanup(cuda, cuModuleUnload(loading->module), "unloading executable \"%s\"",
                           loading->label);
    module->module = loading->module;
    return status;
}

segue_status segue_cuda_module_create(struct segue_backend *backend,
                                      const struct segue_executable_params *params,
                                      struct segue_backend_entry_limits *out_limits,
                                      struct segue_backend_module **out_module)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    struct segue_image image;
    segue_status status = segue_image_prepare(cuda, params, &image);
    if (status != SEGUE_OK)
        return status;
    struct segue_backend_module *module =
        segue_allocate_zeroed(allocator, 1, module_bytes(params->entry_point_count));
    if (module == NULL) {
        status = segue_fail(cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                            "out of host memory for executable \"%s\"",
                            params->label != NULL ? params->label : "");
        goto fail_image;
    }
    module->entry_count = params->entry_point_count;
    status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        goto fail_module;
    struct loading loading = {cuda, params, params->label != NULL ? params->label : "", &image,
                              NULL};
    status = load_all(&loading, module, out_limits);
    segue_cuda_leave(cuda);
    if (status != SEGUE_OK)
        goto fail_module;
    segue_image_release(cuda, &image);
    *out_module = module;
    return SEGUE_OK;

fail_module:
    segue_release(allocator, module, module_bytes(params->entry_point_count));
fail_image:
    segue_image_release(cuda, &image);
    return status;
}

void segue_cuda_module_destroy(struct segue_backend *backend, struct segue_backend_module *module)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    if (module == NULL)
        return;
    if (segue_cuda_enter_cleanup(cuda)) {
        segue_exec_cache_forget_module(cuda, module);
        segue_cuda_cleanup(cuda, cuModuleUnload(module->module), "unloading an executable");
        segue_cuda_leave(cuda);
    }
    segue_release(segue_cuda_allocator(cuda), module, module_bytes(module->entry_count));
}
