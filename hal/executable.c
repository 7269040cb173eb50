// SPDX-License-Identifier: Apache-2.0
#include "executable.h"

#include <string.h>

/** The arena's copy of [data, data + size), followed by a zero byte. */
static void *copy_bytes(struct segue_arena *arena, const void *data, size_t size_bytes)
{
    if (size_bytes == SIZE_MAX)
        return NULL;
    char *copy = segue_arena_allocate(arena, size_bytes + 1);
    if (copy) {
        memcpy(copy, data, size_bytes);
        copy[size_bytes] = '\0';
    }
    return copy;
}

static char *copy_text(struct segue_arena *arena, const char *text)
{
    return copy_bytes(arena, text, strlen(text));
}

/** Copies one declaration and works out what recording needs of it. */
static bool copy_entry(struct segue_arena *arena, const struct segue_entry_point *source,
                       struct segue_entry *entry)
{
    const struct segue_parameter **bindings =
        segue_arena_allocate(arena, source->parameter_count * sizeof *bindings);
    struct segue_parameter *parameters =
        segue_arena_allocate(arena, source->parameter_count * sizeof *parameters);
    char *name = copy_text(arena, source->name);
    if (!bindings || !parameters || !name)
        return false;

    *entry = (struct segue_entry){.declared = *source, .bindings = bindings};
    entry->declared.name = name;
    entry->declared.parameters = parameters;
    for (uint32_t i = 0; i < source->parameter_count; i++) {
        parameters[i] = source->parameters[i];
        if (parameters[i].kind == SEGUE_PARAMETER_CONSTANT)
            entry->constants_size_bytes += parameters[i].size_bytes;
        else
            bindings[entry->binding_count++] = &parameters[i];
        entry->indirect_count += parameters[i].kind == SEGUE_PARAMETER_INDIRECT;
    }
    return true;
}

static bool copy_options(struct segue_arena *arena, const struct segue_executable_params *params,
                         const char *const **out_options)
{
    if (params->option_count == 0) {
        *out_options = NULL;
        return true;
    }
    const char **options = segue_arena_allocate(arena, params->option_count * sizeof *options);
    if (!options)
        return false;
    for (uint32_t i = 0; i < params->option_count; i++) {
        options[i] = copy_text(arena, params->options[i]);
        if (!options[i])
            return false;
    }
    *out_options = options;
    return true;
}

/** Deep copy of `params` into the executable's arena. */
static bool copy_params(segue_executable *executable, const struct segue_executable_params *params)
{
    struct segue_arena *arena = &executable->arena;
    uint32_t count = params->entry_point_count;
    struct segue_executable_params *copy = &executable->params;
    *copy = *params;
    copy->label = copy_text(arena, params->label ? params->label : "");
    copy->data = copy_bytes(arena, params->data, params->size_bytes);
    struct segue_entry_point *entry_points =
        segue_arena_allocate(arena, count * sizeof *entry_points);
    executable->entries = segue_arena_allocate(arena, count * sizeof *executable->entries);
    if (!copy->label || !copy->data || !entry_points || !executable->entries ||
        !copy_options(arena, params, &copy->options))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!copy_entry(arena, &params->entry_points[i], &executable->entries[i]))
            return false;
        entry_points[i] = executable->entries[i].declared;
    }
    copy->entry_points = entry_points;
    return true;
}

/** Loads the module and checks the declarations against its limits. */
static segue_status load_module(segue_device *device, segue_executable *executable)
{
    uint32_t count = executable->params.entry_point_count;
    struct segue_backend_entry_limits *limits =
        segue_allocate_zeroed(&device->allocator, count, sizeof *limits);
    if (!limits)
        return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY, "no host memory for executable \"%s\"",
                          executable->params.label);
    const struct segue_backend_ops *ops = device->backend->ops;
    segue_status status =
        ops->module_create(device->backend, &executable->params, limits, &executable->module);
    if (status != SEGUE_OK)
        goto done;
    for (uint32_t i = 0; i < count && status == SEGUE_OK; i++) {
        executable->entries[i].limits = limits[i];
        status = segue_executable_check_limits(device, &executable->entries[i]);
    }
    if (status != SEGUE_OK)
        ops->module_destroy(device->backend, executable->module);
done:
    segue_release(&device->allocator, limits, count * sizeof *limits);
    return status;
}

segue_status segue_executable_create(segue_device *device,
                                     const struct segue_executable_params *params,
                                     segue_executable **out_executable)
{
    if (!device || !params || !out_executable)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "segue_executable_create: device, params and out_executable must not be "
                          "NULL");
    segue_status status = segue_device_check(device);
    if (status == SEGUE_OK)
        status = segue_executable_check_params(device, params);
    if (status != SEGUE_OK)
        return status;

    segue_executable *executable = segue_allocate_zeroed(&device->allocator, 1, sizeof *executable);
    if (!executable)
        return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY, "no host memory for executable \"%s\"",
                          params->label ? params->label : "");
    segue_arena_init(&executable->arena, &device->allocator);
    if (copy_params(executable, params))
        status = load_module(device, executable);
    else
        status = segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY,
                            "no host memory for executable \"%s\" of %zu bytes",
                            params->label ? params->label : "", params->size_bytes);
    if (status != SEGUE_OK) {
        segue_arena_finish(&executable->arena);
        segue_release(&device->allocator, executable, sizeof *executable);
        return status;
    }
    segue_object_init(&executable->object, SEGUE_OBJECT_EXECUTABLE, device);
    *out_executable = executable;
    return SEGUE_OK;
}

void segue_executable_destroy(segue_executable *executable)
{
    if (executable)
        segue_object_release(&executable->object);
}

void segue_executable_free(segue_executable *executable)
{
    segue_device *device = executable->object.device;
    device->backend->ops->module_destroy(device->backend, executable->module);
    segue_arena_finish(&executable->arena);
    segue_release(&device->allocator, executable, sizeof *executable);
}

void segue_executable_get_params(const segue_executable *executable,
                                 struct segue_executable_params *out_params)
{
    *out_params = executable->params;
}

segue_status segue_executable_find_entry(const segue_executable *executable, const char *name,
                                         uint32_t *out_index)
{
    if (!executable || !name || !out_index)
        return segue_fail(executable ? executable->object.device : NULL, SEGUE_INVALID_ARGUMENT,
                          "segue_executable_find_entry: executable, name and out_index must not be "
                          "NULL");
    for (uint32_t i = 0; i < executable->params.entry_point_count; i++) {
        if (strcmp(executable->entries[i].declared.name, name) == 0) {
            *out_index = i;
            return SEGUE_OK;
        }
    }
    return segue_fail(executable->object.device, SEGUE_NOT_FOUND,
                      "executable \"%s\" declares no entry point \"%s\"", executable->params.label,
                      name);
}
