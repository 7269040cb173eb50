// SPDX-License-Identifier: Apache-2.0
#include "cache_folder.h"
#include "compile.h"
#include "compile_cache.h"
#include "cuda_backend.h"

#include <limits.h>
#include <string.h>

segue_status segue_cuda_enter(struct segue_cuda *cuda)
{
    return segue_cuda_check(cuda, cuCtxPushCurrent(cuda->context),
                            "making the device's context current");
}

bool segue_cuda_enter_cleanup(struct segue_cuda *cuda)
{
    const CUresult result = cuda->driver.cuCtxPushCurrent(cuda->context);
    if (result == CUDA_SUCCESS)
        return true;
    segue_cuda_note(cuda, result, "cuCtxPushCurrent(cuda->context)", __FILE__, __LINE__,
                    "making the device's context current to give something up");
    return false;
}

void segue_cuda_leave(struct segue_cuda *cuda)
{
    CUcontext context = NULL;
    segue_cuda_cleanup(cuda, cuCtxPopCurrent(&context), "putting back the context of the caller");
}

static void get_info(struct segue_backend *backend, struct segue_device_info *out_info)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    const struct segue_cuda_limits *limits = &cuda->limits;
    const struct segue_nvrtc *nvrtc = segue_cuda_nvrtc(cuda);
    const bool is_soft = cuda->driver.soft != NULL;
    *out_info = (struct segue_device_info){
        .name = cuda->name,
        .uri = cuda->base.device->uri,
        .is_soft = is_soft,
        .driver_version = cuda->driver.version,
        .compute_capability_major = (int32_t)limits->compute_major,
        .compute_capability_minor = (int32_t)limits->compute_minor,
        .multiprocessor_count = (int32_t)limits->multiprocessor_count,
        .total_memory_bytes = limits->total_memory_bytes,
        .l2_cache_bytes = limits->l2_cache_bytes,
        .max_shared_memory_bytes = limits->shared_optin_bytes,
        .max_threads_per_block = limits->max_threads_per_block,
        .compiler_version = nvrtc != NULL ? nvrtc->version : 0,
        .pci_domain = is_soft ? -1 : (int32_t)limits->pci_domain,
        .pci_bus = is_soft ? -1 : (int32_t)limits->pci_bus,
        .pci_device = is_soft ? -1 : (int32_t)limits->pci_device,
        .supports_clusters = limits->clusters,
        .supports_cooperative_launch = limits->cooperative,
        .supports_programmatic_edges = segue_cuda_has_typed_edges(cuda),
    };
}

static const struct segue_soft_api *get_soft_api(struct segue_backend *backend)
{
    return segue_cuda_of(backend)->driver.soft;
}

static void get_internal_usage(struct segue_backend *backend, struct segue_memory_usage *out_usage)
{
    segue_staging_get_usage(segue_cuda_of(backend), out_usage);
}

/** Gives up all that the driver holds for the device: the reverse of open_device. */
static void close_device(struct segue_cuda *cuda)
{
    const bool has_context = segue_cuda_enter_cleanup(cuda);
    segue_exec_cache_finish(cuda, has_context);
    segue_staging_finish(cuda, has_context);
    if (has_context) {
        segue_builtins_finish(cuda);
        segue_cuda_cleanup(cuda, cuStreamDestroy(cuda->transfer_stream),
                           "destroying the transfer stream");
        segue_cuda_leave(cuda);
    }
    segue_cuda_cleanup(cuda, cuDevicePrimaryCtxRelease(cuda->ordinal),
                       "releasing the primary context of %s", cuda->name);
}

/** Gives up what is left of a backend without a device. */
static void free_shell(struct segue_cuda *cuda)
{
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    segue_nvrtc_unload(&cuda->nvrtc);
    segue_release_string(allocator, cuda->cache_folder);
    segue_release_string(allocator, cuda->nvrtc_path);
    pthread_mutex_destroy(&cuda->exec_cache.lock);
    pthread_mutex_destroy(&cuda->staging.lock);
    pthread_mutex_destroy(&cuda->lazy_lock);
    segue_release(allocator, cuda, sizeof(*cuda));
}

static void get_cache_stats(struct segue_backend *backend, struct segue_cache_stats *out_stats)
{
    segue_exec_cache_get_stats(segue_cuda_of(backend), out_stats);
}

static void set_cache_budget(struct segue_backend *backend, struct segue_cache_budget budget)
{
    segue_exec_cache_set_budget(segue_cuda_of(backend), budget);
}

static void trim_cache(struct segue_backend *backend)
{
    segue_exec_cache_trim(segue_cuda_of(backend));
}

static void note_stream(struct segue_backend *backend, const struct segue_error *error)
{
    segue_exec_cache_note_stream(segue_cuda_of(backend), error);
}

static void destroy(struct segue_backend *backend)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    close_device(cuda);
    segue_driver_unload(&cuda->driver);
    free_shell(cuda);
}

static const struct segue_backend_ops backend_ops = {
    .destroy = destroy,
    .get_info = get_info,
    .get_soft_api = get_soft_api,
    .allocate = segue_cuda_allocate,
    .release = segue_cuda_release,
    .write = segue_cuda_write,
    .read = segue_cuda_read,
    .get_internal_usage = get_internal_usage,
    .module_create = segue_cuda_module_create,
    .module_destroy = segue_cuda_module_destroy,
    .program_create = segue_cuda_program_create,
    .program_reuse = segue_cuda_program_reuse,
    .program_rebind = segue_cuda_program_rebind,
    .program_plan = segue_cuda_program_plan,
    .get_cache_stats = get_cache_stats,
    .set_cache_budget = set_cache_budget,
    .trim_cache = trim_cache,
    .note_stream = note_stream,
    .program_retire = segue_cuda_program_retire,
    .program_destroy = segue_cuda_program_destroy,
    .program_node_types = segue_cuda_program_node_types,
    .queue_create = segue_cuda_queue_create,
    .queue_destroy = segue_cuda_queue_destroy,
    .queue_run = segue_cuda_queue_run,
    .queue_wait_idle = segue_cuda_queue_wait_idle,
    .fence_create = segue_cuda_fence_create,
    .fence_destroy = segue_cuda_fence_destroy,
    .fence_record = segue_cuda_fence_record,
    .fence_enqueue_wait = segue_cuda_fence_enqueue_wait,
    .fence_query = segue_cuda_fence_query,
    .fence_elapsed = segue_cuda_fence_elapsed,
};

static segue_status get_attribute(struct segue_cuda *cuda, CUdevice_attribute attribute,
                                  uint32_t *out_value)
{
    int value = 0;
    const segue_status status =
        segue_cuda_check(cuda, cuDeviceGetAttribute(&value, attribute, cuda->ordinal),
                         "asking for device attribute %d", (int)attribute);
    if (status == SEGUE_OK)
        *out_value = value > 0 ? (uint32_t)value : 0;
    return status;
}

static segue_status query_limits(struct segue_cuda *cuda)
{
    struct segue_cuda_limits *limits = &cuda->limits;
    uint32_t l2_bytes = 0;
    uint32_t clusters = 0;
    uint32_t cooperative = 0;
    size_t total_bytes = 0;
    const struct {
        CUdevice_attribute attribute;
        uint32_t *value;
    } attributes[] = {
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &limits->compute_major},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &limits->compute_minor},
        {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &limits->multiprocessor_count},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &limits->shared_optin_bytes},
        {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, &limits->max_threads_per_block},
        {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, &l2_bytes},
        {CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, &limits->pci_domain},
        {CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, &limits->pci_bus},
        {CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, &limits->pci_device},
        {CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH, &clusters},
        {CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, &cooperative},
    };
    segue_status status = SEGUE_OK;
    for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]) && status == SEGUE_OK; i++)
        status = get_attribute(cuda, attributes[i].attribute, attributes[i].value);
    if (status == SEGUE_OK)
        status = segue_cuda_check(cuda, cuDeviceTotalMem(&total_bytes, cuda->ordinal),
                                  "asking for the size of device memory");
    if (status == SEGUE_OK)
        status = segue_cuda_check(
            cuda, cuDeviceGetName(cuda->name, (int)sizeof(cuda->name) - 1, cuda->ordinal),
            "asking for the device's name");
    limits->l2_cache_bytes = l2_bytes;
    limits->total_memory_bytes = total_bytes;
    limits->clusters = clusters != 0;
    limits->cooperative = cooperative != 0;
    return status;
}

/** Initialises the driver and finds the GPU of that number. */
static segue_status find_device(struct segue_cuda *cuda, uint32_t ordinal)
{
    const CUresult result = cuda->driver.cuInit(0);
    if (result != CUDA_SUCCESS) {
        segue_status status = segue_cuda_status(result);
        if (status == SEGUE_DRIVER_ERROR)
            status = SEGUE_UNAVAILABLE;
        return segue_cuda_raise_as(cuda, status, result, "cuInit(0)", __FILE__, __LINE__,
                                   "the driver does not start");
    }
    int count = 0;
    segue_status status =
        segue_cuda_check(cuda, cuDeviceGetCount(&count), "asking for the number of GPUs");
    if (status != SEGUE_OK)
        return status;
    if (count < 0 || ordinal >= (uint32_t)count)
        return segue_fail(cuda->base.device, SEGUE_UNAVAILABLE,
                          "there is no GPU number %u: the driver sees %d of them, counted from 0",
                          ordinal, count);
    return segue_cuda_check(cuda, cuDeviceGet(&cuda->ordinal, (int)ordinal), "opening GPU %u",
                            ordinal);
}

static segue_status create_transfer_stream(struct segue_cuda *cuda)
{
    segue_status status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        return status;
    status = segue_cuda_check(cuda, cuStreamCreate(&cuda->transfer_stream, CU_STREAM_NON_BLOCKING),
                              "creating the transfer stream");
    segue_cuda_leave(cuda);
    return status;
}

static segue_status open_device(struct segue_cuda *cuda, uint32_t ordinal)
{
    segue_status status = find_device(cuda, ordinal);
    if (status == SEGUE_OK)
        status = query_limits(cuda);
    if (status != SEGUE_OK)
        return status;
    status = segue_cuda_check(cuda, cuDevicePrimaryCtxRetain(&cuda->context, cuda->ordinal),
                              "creating the primary context of %s", cuda->name);
    if (status != SEGUE_OK)
        return status;
    status = create_transfer_stream(cuda);
    if (status != SEGUE_OK)
        segue_cuda_cleanup(cuda, cuDevicePrimaryCtxRelease(cuda->ordinal),
                           "releasing the primary context of %s", cuda->name);
    return status;
}

/** Copies a text that may be NULL, and then stays NULL. */
static bool copy_optional(const struct segue_allocator *allocator, const char *text,
                          char **out_copy)
{
    *out_copy = text != NULL ? segue_copy_string(allocator, text) : NULL;
    return text == NULL || *out_copy != NULL;
}

/** A backend with locks and paths, and without a driver. */
static segue_status create_shell(const struct segue_backend_open_params *params,
                                 struct segue_cuda **out_cuda)
{
    const struct segue_allocator *allocator = &params->device->allocator;
    struct segue_cuda *cuda = segue_allocate_zeroed(allocator, 1, sizeof(*cuda));
    char folder[PATH_MAX];
    if (cuda == NULL)
        goto fail;
    cuda->base.ops = &backend_ops;
    cuda->base.device = params->device;
    if (pthread_mutex_init(&cuda->lazy_lock, NULL) != 0)
        goto fail_lazy_lock;
    if (!segue_staging_init(&cuda->staging))
        goto fail_staging;
    if (!segue_exec_cache_init(cuda))
        goto fail_exec_cache;
    const bool has_cache =
        segue_cache_find_folder(params->params->compile_cache_path, folder, sizeof(folder));
    if (!copy_optional(allocator, has_cache ? folder : NULL, &cuda->cache_folder) ||
        !copy_optional(allocator, params->params->libnvrtc_path, &cuda->nvrtc_path)) {
        free_shell(cuda);
        goto fail;
    }
    *out_cuda = cuda;
    return SEGUE_OK;

fail_exec_cache:
    pthread_mutex_destroy(&cuda->staging.lock);
fail_staging:
    pthread_mutex_destroy(&cuda->lazy_lock);
fail_lazy_lock:
    segue_release(allocator, cuda, sizeof(*cuda));
fail:
    return segue_fail(params->device, SEGUE_OUT_OF_HOST_MEMORY,
                      "out of host memory for opening a device");
}

segue_status segue_cuda_backend_open(const struct segue_backend_open_params *params,
                                     struct segue_backend **out_backend)
{
    struct segue_cuda *cuda = NULL;
    segue_status status = create_shell(params, &cuda);
    if (status != SEGUE_OK)
        return status;
    status = segue_driver_load(params, &cuda->driver);
    if (status != SEGUE_OK)
        goto fail_shell;
    status = open_device(cuda, params->ordinal);
    if (status != SEGUE_OK)
        goto fail_driver;
    *out_backend = &cuda->base;
    return SEGUE_OK;

fail_driver:
    segue_driver_unload(&cuda->driver);
fail_shell:
    free_shell(cuda);
    return status;
}
