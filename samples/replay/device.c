// SPDX-License-Identifier: Apache-2.0
#include "device.h"

#include "report.h"

#include <dlfcn.h>
#include <limits.h>
#include <segue/kernels.h>
#include <segue/quant.h>
#include <segue/soft.h>
#include <string.h>

/** What a plugin exports as `segue_plugin_kernels`. */
typedef const struct segue_reference_kernel *(*plugin_kernels_fn)(uint32_t *out_count);

static void print_log(void *context, enum segue_log_level level, const char *message)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    (void)context;
    char line[SEGUE_ERROR_MESSAGE_SIZE];
    fprintf(stderr, "%s: %s\n", names[level], segue_replay_copy_clean(line, sizeof(line), message));
}

static int load_plugin(struct segue_replay_device *device, const char *path)
{
    // dlopen looks for names without a slash in the system's folders, not here.
    char local[PATH_MAX];
    snprintf(local, sizeof(local), "%s%s", strchr(path, '/') ? "" : "./", path);
    void *library = dlopen(local, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "--kernels: %s", dlerror());
    device->plugins[device->plugin_count++] = library;

    plugin_kernels_fn get_kernels;
    // Through memory: ISO C has no conversion from an object pointer to a function pointer.
    void *symbol = dlsym(library, "segue_plugin_kernels");
    memcpy(&get_kernels, &symbol, sizeof(get_kernels));
    if (!get_kernels)
        return segue_replay_error(SEGUE_REPLAY_UNAVAILABLE,
                                  "--kernels: %s does not export segue_plugin_kernels", path);
    uint32_t count = 0;
    const struct segue_reference_kernel *kernels = get_kernels(&count);
    const segue_status status =
        segue_device_register_reference_kernels(device->handle, kernels, count);
    if (status != SEGUE_OK)
        return segue_replay_fail(status, SEGUE_REPLAY_PHASE_OUTPUT, path);
    return SEGUE_REPLAY_GOOD;
}

int segue_replay_device_open(const struct segue_replay_options *options,
                             enum segue_validation validation,
                             struct segue_replay_device *out_device)
{
    const struct segue_device_params params = {
        .log = options->verbose ? print_log : NULL,
        .validation = validation,
    };
    struct segue_replay_device device = {0};
    segue_status status = segue_device_open(options->device_uri, &params, &device.handle);
    if (status != SEGUE_OK)
        return segue_replay_fail(status, SEGUE_REPLAY_PHASE_DEVICE, options->device_uri);
    segue_device_get_info(device.handle, &device.info);

    int result = SEGUE_REPLAY_GOOD;
    status = segue_kernels_register(device.handle);
    if (status == SEGUE_OK)
        status = segue_quant_register(device.handle);
    if (status != SEGUE_OK)
        result = segue_replay_fail(status, SEGUE_REPLAY_PHASE_OUTPUT, "reference kernels");
    for (uint32_t i = 0; i < options->kernel_plugin_count && result == SEGUE_REPLAY_GOOD; ++i)
        result = load_plugin(&device, options->kernel_plugins[i]);
    if (result != SEGUE_REPLAY_GOOD) {
        segue_replay_device_close(&device);
        return result;
    }
    *out_device = device;
    return SEGUE_REPLAY_GOOD;
}

void segue_replay_device_close(struct segue_replay_device *device)
{
    segue_device_destroy(device->handle);
    for (uint32_t i = 0; i < device->plugin_count; ++i)
        dlclose(device->plugins[i]);
    *device = (struct segue_replay_device){0};
}

char *segue_replay_device_describe(const struct segue_replay_device *device, char *buffer,
                                   size_t size)
{
    const int32_t version = device->info.driver_version;
    snprintf(buffer, size, "%s (%s, driver %d.%d)", device->info.name, device->info.uri,
             version / 1000, version % 1000 / 10);
    return buffer;
}
