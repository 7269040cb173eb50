// SPDX-License-Identifier: Apache-2.0
#include "device.h"

#include "cache_folder.h"
#include "cost.h"
#include "cost_file.h"
#include "queue.h"

#include <limits.h>
#include <string.h>
#include <time.h>

/** Where a backend does not know: an H200's. */
#define DEFAULT_MULTIPROCESSOR_COUNT 132

void segue_device_retain(segue_device *device)
{
    atomic_fetch_add_explicit(&device->references, 1, memory_order_relaxed);
}

/** Frees a device whose backend is gone or was never opened, and whose pool is finished. */
static void free_shell(segue_device *device)
{
    struct segue_allocator allocator = device->allocator;
    pthread_cond_destroy(&device->submission_changed);
    pthread_mutex_destroy(&device->submission_lock);
    pthread_mutex_destroy(&device->state_lock);
    segue_release_string(&allocator, device->uri);
    segue_release(&allocator, device, sizeof *device);
}

void segue_device_release(segue_device *device)
{
    if (!device || atomic_fetch_sub_explicit(&device->references, 1, memory_order_acq_rel) != 1)
        return;
    segue_submission_pool_finish(device);
    device->backend->ops->destroy(device->backend);
    free_shell(device);
}

/** A condition whose timed waits count on the clock of segue_now_ns. */
static bool init_monotonic_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    bool done = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(condition, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return done;
}

/** A device without a backend: enough to allocate, to log and to report errors. */
static segue_status create_shell(const char *uri, const struct segue_device_params *params,
                                 segue_device **out_device)
{
    const struct segue_allocator *allocator =
        params->allocator ? params->allocator : &segue_default_allocator;
    segue_device *device = segue_allocate_zeroed(allocator, 1, sizeof *device);
    if (!device)
        return segue_fail(NULL, SEGUE_OUT_OF_HOST_MEMORY, "no memory for device %s", uri);
    atomic_init(&device->references, 1);
    atomic_init(&device->lost, SEGUE_OK);
    atomic_init(&device->next_serial, 1);
    device->allocator = *allocator;
    device->log = params->log;
    device->log_context = params->log_context;
    device->validation = params->validation;

    if (pthread_mutex_init(&device->state_lock, NULL) != 0)
        goto fail_state_lock;
    if (pthread_mutex_init(&device->submission_lock, NULL) != 0)
        goto fail_submission_lock;
    if (!init_monotonic_condition(&device->submission_changed))
        goto fail_condition;
    device->uri = segue_copy_string(allocator, uri);
    if (!device->uri)
        goto fail_uri;
    segue_submission_pool_init(device);
    *out_device = device;
    return SEGUE_OK;

fail_uri:
    pthread_cond_destroy(&device->submission_changed);
fail_condition:
    pthread_mutex_destroy(&device->submission_lock);
fail_submission_lock:
    pthread_mutex_destroy(&device->state_lock);
fail_state_lock:
    segue_release(allocator, device, sizeof *device);
    return segue_fail(NULL, SEGUE_OUT_OF_HOST_MEMORY, "no memory for device %s", uri);
}

/** Finds what the device's graphs are shaped by. The software driver takes no time that
 *  could be measured. */
static void prepare_shaping(segue_device *device, const struct segue_device_params *params)
{
    struct segue_device_info info = {.name = ""};
    device->backend->ops->get_info(device->backend, &info);
    device->programmatic_edges = info.supports_programmatic_edges;
    device->cost_model = params->cost_model ? *params->cost_model : segue_cost_model_h200;
    char folder[PATH_MAX];
    char path[PATH_MAX];
    if (!params->cost_model && !info.is_soft &&
        segue_cache_find_folder(params->compile_cache_path, folder, sizeof folder) &&
        segue_cost_file_path(folder, info.name, path, sizeof path)) {
        char problem[SEGUE_COST_PROBLEM_BYTES];
        if (segue_cost_file_read(path, &device->cost_model, problem) == SEGUE_COST_FILE_BAD)
            segue_log(device, SEGUE_LOG_WARNING, "the built-in cost model is used: %s", problem);
    }
    uint32_t *count = &device->cost_model.multiprocessor_count;
    if (*count == 0)
        *count = info.multiprocessor_count > 0 ? (uint32_t)info.multiprocessor_count
                                               : DEFAULT_MULTIPROCESSOR_COUNT;
}

/** Opens what the parsed URI says, `automatic` aside. */
static segue_status open_one(segue_backend_open_fn open_backend, const char *text,
                             const struct segue_device_uri *uri,
                             const struct segue_device_params *params,
                             enum segue_log_level failure_level, segue_device **out_device)
{
    segue_device *device = NULL;
    segue_status status = create_shell(text, params, &device);
    if (status != SEGUE_OK)
        return status;
    device->failure_level = failure_level;
    const struct segue_backend_open_params open_params = {
        .device = device,
        .params = params,
        .soft = uri->soft,
        .ordinal = uri->ordinal,
        .soft_profile = uri->soft_profile,
        .soft_seed = uri->soft_seed,
    };
    status = open_backend(&open_params, &device->backend);
    if (status != SEGUE_OK) {
        segue_submission_pool_finish(device);
        free_shell(device);
        return status;
    }
    device->failure_level = SEGUE_LOG_ERROR;
    prepare_shaping(device, params);
    *out_device = device;
    return SEGUE_OK;
}

/** GPU 0 if there is one that works, else the software driver. */
static segue_status open_automatic(segue_backend_open_fn open_backend,
                                   const struct segue_device_params *params,
                                   segue_device **out_device)
{
    static const struct segue_device_uri cuda = {.ordinal = 0};
    static const struct segue_device_uri soft = {.soft = true};
    struct segue_error error_before = *segue_last_error();
    segue_status status =
        open_one(open_backend, "cuda://0", &cuda, params, SEGUE_LOG_DEBUG, out_device);
    if (status == SEGUE_OK || status == SEGUE_OUT_OF_HOST_MEMORY)
        return status;

    struct segue_error reason = *segue_last_error();
    segue_device *device = NULL;
    status = open_one(open_backend, "soft://", &soft, params, SEGUE_LOG_ERROR, &device);
    if (status != SEGUE_OK)
        return segue_fail(NULL, status, "device URI \"auto\": cuda://0: %.1900s; soft://: %.1900s",
                          reason.message, segue_last_error()->message);
    segue_log(device, SEGUE_LOG_INFO, "auto: using soft:// because cuda://0 did not open: %s",
              reason.message);
    // The failure was handled: to the caller this call never failed.
    segue_set_last_error(&error_before);
    *out_device = device;
    return SEGUE_OK;
}

static segue_status check_params(const struct segue_device_params *params)
{
    if (params->allocator && (!params->allocator->allocate || !params->allocator->release))
        return segue_fail(
            NULL, SEGUE_INVALID_ARGUMENT,
            "segue_device_params.allocator lacks a function; set allocate and release");
    if (params->validation != SEGUE_VALIDATION_BASIC && params->validation != SEGUE_VALIDATION_FULL)
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "segue_device_params.validation is %d; use a value of segue_validation",
                          (int)params->validation);
    return SEGUE_OK;
}

segue_status segue_device_open_with(segue_backend_open_fn open_backend, const char *uri,
                                    const struct segue_device_params *params,
                                    segue_device **out_device)
{
    static const struct segue_device_params defaults = {0};
    if (!params)
        params = &defaults;
    if (!out_device)
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT, "segue_device_open: out_device is NULL");
    segue_status status = check_params(params);
    if (status != SEGUE_OK)
        return status;
    struct segue_device_uri parsed;
    status = segue_device_parse_uri(uri, &parsed);
    if (status != SEGUE_OK)
        return status;
    if (parsed.automatic)
        return open_automatic(open_backend, params, out_device);
    return open_one(open_backend, uri, &parsed, params, SEGUE_LOG_ERROR, out_device);
}

segue_status segue_device_open(const char *uri, const struct segue_device_params *params,
                               segue_device **out_device)
{
    return segue_device_open_with(segue_cuda_backend_open, uri, params, out_device);
}

void segue_device_destroy(segue_device *device)
{
    if (!device)
        return;
    struct segue_tolerance tolerance;
    segue_tolerate(&tolerance, "the device is closed all the same", NULL);
    segue_status status = segue_device_wait_queues(device);
    segue_tolerate_end(&tolerance);
    if (status != SEGUE_OK)
        segue_log(device, SEGUE_LOG_WARNING, "device %s: work failed before the device was closed",
                  device->uri);
    segue_device_release(device);
}

segue_status segue_device_check(segue_device *device)
{
    if (atomic_load_explicit(&device->lost, memory_order_relaxed) == SEGUE_OK)
        return SEGUE_OK;
    char reason[sizeof device->lost_reason];
    pthread_mutex_lock(&device->state_lock);
    memcpy(reason, device->lost_reason, sizeof reason);
    pthread_mutex_unlock(&device->state_lock);
    return segue_fail(device, SEGUE_DEVICE_LOST,
                      "device %s was lost earlier and must be opened anew; it failed with: %s",
                      device->uri, reason);
}

segue_status segue_device_wait_idle(segue_device *device)
{
    if (!device)
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT, "segue_device_wait_idle: device is NULL");
    segue_status status = segue_device_check(device);
    if (status != SEGUE_OK)
        return status;
    return segue_device_wait_queues(device);
}

void segue_device_get_info(const segue_device *device, struct segue_device_info *out_info)
{
    device->backend->ops->get_info(device->backend, out_info);
    out_info->uri = device->uri;
}

void segue_device_get_cost_model(const segue_device *device, struct segue_cost_model *out_model)
{
    *out_model = device->cost_model;
}

void segue_device_get_memory_stats(segue_device *device, struct segue_memory_stats *out_stats)
{
    pthread_mutex_lock(&device->state_lock);
    *out_stats = device->memory_stats;
    pthread_mutex_unlock(&device->state_lock);
    device->backend->ops->get_internal_usage(device->backend, &out_stats->internal);
}

void segue_device_get_last_error(segue_device *device, struct segue_error *out_error)
{
    pthread_mutex_lock(&device->state_lock);
    *out_error = device->last_error;
    pthread_mutex_unlock(&device->state_lock);
    if (!out_error->file)
        out_error->file = "";
}

const struct segue_soft_api *segue_device_get_soft_api(segue_device *device)
{
    return device->backend->ops->get_soft_api(device->backend);
}

segue_status segue_device_register_reference_kernels(segue_device *device,
                                                     const struct segue_reference_kernel *kernels,
                                                     uint32_t kernel_count)
{
    if (!device)
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "segue_device_register_reference_kernels: device is NULL");
    if (kernel_count != 0 && !kernels)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "segue_device_register_reference_kernels: kernels is NULL, the count %u",
                          kernel_count);
    const struct segue_soft_api *soft = segue_device_get_soft_api(device);
    if (!soft)
        return SEGUE_OK;
    for (uint32_t i = 0; i < kernel_count; i++) {
        const struct segue_reference_kernel *kernel = &kernels[i];
        if (!kernel->name || kernel->name[0] == '\0' || !kernel->run ||
            (!kernel->ranges && !kernel->table_ranges) ||
            (kernel->parameter_count != 0 && !kernel->parameter_sizes))
            return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                              "reference kernel %u (\"%s\") lacks a name, run, ranges or parameter "
                              "sizes; set all of them",
                              i, kernel->name ? kernel->name : "");
        for (uint32_t k = 0; k < kernel->parameter_count; k++)
            if (kernel->parameter_sizes[k] == 0)
                return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                                  "reference kernel %u (\"%s\"): parameter %u has size 0; give "
                                  "its size in bytes",
                                  i, kernel->name, k);
        if (!soft->register_kernel(kernel))
            return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY,
                              "the software driver could not register reference kernel \"%s\"",
                              kernel->name);
    }
    return SEGUE_OK;
}
