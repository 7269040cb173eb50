// SPDX-License-Identifier: Apache-2.0
#include "executable.h"

#include <inttypes.h>

#define MAX_ENTRY_POINTS 4096
#define MAX_CONSTANT_BYTES 4092
/** What drivers take at most; whether this one does, it says itself. */
#define MAX_PARAMETER_BYTES 32764
#define POINTER_BYTES 8
/** Each takes no room in the parameters. */
#define MAX_INDIRECT_PARAMETERS 4096
/** The largest cluster of any device so far (with the non-portable opt-in). */
#define MAX_CLUSTER_BLOCKS 16

static segue_status check_parameter(segue_device *device, const struct segue_entry_point *entry,
                                    uint32_t index)
{
    const struct segue_parameter *parameter = &entry->parameters[index];
    switch (parameter->kind) {
    case SEGUE_PARAMETER_BINDING:
    case SEGUE_PARAMETER_INDIRECT:
        if ((unsigned)parameter->access > SEGUE_ACCESS_CONSTANT)
            return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                              "entry point \"%s\", parameter %u: access is %d; use a value of "
                              "segue_access",
                              entry->name, index, (int)parameter->access);
        if ((parameter->align_bytes & (parameter->align_bytes - 1)) != 0 ||
            parameter->align_bytes > SEGUE_BUFFER_ALIGN_BYTES)
            return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                              "entry point \"%s\", parameter %u: align_bytes is %u; use a power of "
                              "two up to %u",
                              entry->name, index, parameter->align_bytes, SEGUE_BUFFER_ALIGN_BYTES);
        return SEGUE_OK;
    case SEGUE_PARAMETER_CONSTANT:
        if (parameter->size_bytes == 0 || parameter->size_bytes > MAX_CONSTANT_BYTES)
            return segue_fail(
                device, SEGUE_INVALID_ARGUMENT,
                "entry point \"%s\", parameter %u: size_bytes is %u; a constant has 1 "
                "to %d bytes",
                entry->name, index, parameter->size_bytes, MAX_CONSTANT_BYTES);
        return SEGUE_OK;
    }
    return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                      "entry point \"%s\", parameter %u: kind is %d; use a value of "
                      "segue_parameter_kind",
                      entry->name, index, (int)parameter->kind);
}

/** What a parameter adds to the kernel's; of the indirect ones only the first does. */
static uint32_t added_bytes(const struct segue_parameter *parameter, uint32_t indirect_count)
{
    if (parameter->kind == SEGUE_PARAMETER_CONSTANT)
        return parameter->size_bytes;
    return parameter->kind == SEGUE_PARAMETER_BINDING || indirect_count == 0 ? POINTER_BYTES : 0;
}

static segue_status check_parameters(segue_device *device, const struct segue_entry_point *entry)
{
    if (entry->parameter_count != 0 && !entry->parameters)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "entry point \"%s\": parameters is NULL, the count %u", entry->name,
                          entry->parameter_count);
    uint64_t total_bytes = 0;
    uint32_t indirect_count = 0;
    for (uint32_t i = 0; i < entry->parameter_count; i++) {
        segue_status status = check_parameter(device, entry, i);
        if (status != SEGUE_OK)
            return status;
        total_bytes += added_bytes(&entry->parameters[i], indirect_count);
        indirect_count += entry->parameters[i].kind == SEGUE_PARAMETER_INDIRECT;
        if (total_bytes > MAX_PARAMETER_BYTES)
            return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                              "entry point \"%s\": the parameters up to number %u take %" PRIu64
                              " bytes; a kernel takes at most %d",
                              entry->name, i, total_bytes, MAX_PARAMETER_BYTES);
        if (indirect_count > MAX_INDIRECT_PARAMETERS)
            return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                              "entry point \"%s\": parameter %u is indirect after %u others; at "
                              "most %d can be",
                              entry->name, i, indirect_count - 1, MAX_INDIRECT_PARAMETERS);
    }
    return SEGUE_OK;
}

static bool is_none(const uint32_t size[3])
{
    return size[0] == 0 && size[1] == 0 && size[2] == 0;
}

static bool is_partly_zero(const uint32_t size[3])
{
    return !is_none(size) && (size[0] == 0 || size[1] == 0 || size[2] == 0);
}

static segue_status check_cluster(segue_device *device, const struct segue_entry_point *entry,
                                  const struct segue_device_info *info)
{
    const uint32_t *size = entry->cluster_size;
    if (is_partly_zero(size))
        return segue_fail(
            device, SEGUE_INVALID_ARGUMENT,
            "entry point \"%s\": cluster_size is %u x %u x %u; give all three or none", entry->name,
            size[0], size[1], size[2]);
    // Each is checked first, so the product cannot overflow.
    if (size[0] > MAX_CLUSTER_BLOCKS || size[1] > MAX_CLUSTER_BLOCKS ||
        size[2] > MAX_CLUSTER_BLOCKS || size[0] * size[1] * size[2] > MAX_CLUSTER_BLOCKS)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "entry point \"%s\": cluster_size %u x %u x %u has more than %d blocks",
                          entry->name, size[0], size[1], size[2], MAX_CLUSTER_BLOCKS);
    if (!is_none(size) && !info->supports_clusters)
        return segue_fail(device, SEGUE_UNIMPLEMENTED,
                          "entry point \"%s\" has a cluster size, but device %s has no clusters",
                          entry->name, device->uri);
    return SEGUE_OK;
}

static segue_status check_entry(segue_device *device, const struct segue_executable_params *params,
                                uint32_t index, const struct segue_device_info *info)
{
    const struct segue_entry_point *entry = &params->entry_points[index];
    const uint32_t known_flags =
        SEGUE_ENTRY_COOPERATIVE | SEGUE_ENTRY_OPAQUE | SEGUE_ENTRY_GRID_DEPENDENCY;
    if (!entry->name || entry->name[0] == '\0')
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "executable \"%s\": entry point %u has no name",
                          params->label ? params->label : "", index);
    if ((entry->flags & ~known_flags) != 0)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "entry point \"%s\": flags 0x%x has unknown bits; use bits of "
                          "segue_entry_flags",
                          entry->name, entry->flags);
    if ((entry->flags & SEGUE_ENTRY_COOPERATIVE) != 0 && !info->supports_cooperative_launch)
        return segue_fail(device, SEGUE_UNIMPLEMENTED,
                          "entry point \"%s\" is cooperative, but device %s has no cooperative "
                          "launch",
                          entry->name, device->uri);
    if (is_partly_zero(entry->block_size))
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "entry point \"%s\": block_size is %u x %u x %u; give all three or none",
                          entry->name, entry->block_size[0], entry->block_size[1],
                          entry->block_size[2]);
    segue_status status = check_cluster(device, entry, info);
    if (status != SEGUE_OK)
        return status;
    return check_parameters(device, entry);
}

static segue_status check_image(segue_device *device, const struct segue_executable_params *params)
{
    const char *label = params->label ? params->label : "";
    if ((unsigned)params->format > SEGUE_EXECUTABLE_FATBIN)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "executable \"%s\": format is %d; use a value of "
                          "segue_executable_format",
                          label, (int)params->format);
    if (!params->data || params->size_bytes == 0)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "executable \"%s\": data is %s, size_bytes %zu; both are needed", label,
                          params->data ? "set" : "NULL", params->size_bytes);
    if (params->option_count != 0 && params->format != SEGUE_EXECUTABLE_CUDA_SOURCE)
        return segue_fail(
            device, SEGUE_INVALID_ARGUMENT,
            "executable \"%s\": %u compiler options, but only CUDA source is compiled", label,
            params->option_count);
    if (params->option_count != 0 && !params->options)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "executable \"%s\": options is NULL, the count %u", label,
                          params->option_count);
    for (uint32_t i = 0; i < params->option_count; i++)
        if (!params->options[i])
            return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                              "executable \"%s\": option %u is NULL", label, i);
    return SEGUE_OK;
}

segue_status segue_executable_check_params(segue_device *device,
                                           const struct segue_executable_params *params)
{
    segue_status status = check_image(device, params);
    if (status != SEGUE_OK)
        return status;
    if (params->entry_point_count == 0 || params->entry_point_count > MAX_ENTRY_POINTS ||
        !params->entry_points)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "executable \"%s\": %u entry points at %s; declare 1 to %d of them",
                          params->label ? params->label : "", params->entry_point_count,
                          params->entry_points ? "an array" : "NULL", MAX_ENTRY_POINTS);
    struct segue_device_info info;
    segue_device_get_info(device, &info);
    for (uint32_t i = 0; i < params->entry_point_count; i++) {
        status = check_entry(device, params, i, &info);
        if (status != SEGUE_OK)
            return status;
    }
    return SEGUE_OK;
}

segue_status segue_executable_check_limits(segue_device *device, const struct segue_entry *entry)
{
    const struct segue_entry_point *declared = &entry->declared;
    const uint32_t *block = declared->block_size;
    uint64_t threads = (uint64_t)block[0] * block[1];
    // Saturate before the third factor: two 32-bit ones just fit.
    bool too_large = threads > UINT32_MAX || block[2] > SEGUE_MAX_BLOCK_DEPTH ||
                     threads * block[2] > entry->limits.max_threads_per_block;
    if (too_large)
        return segue_fail(
            device, SEGUE_INVALID_ARGUMENT,
            "entry point \"%s\": block_size %u x %u x %u is too large: this kernel can have %u "
            "threads here, at most %d of them in z",
            declared->name, block[0], block[1], block[2], entry->limits.max_threads_per_block,
            SEGUE_MAX_BLOCK_DEPTH);
    if (declared->dynamic_shared_bytes > entry->limits.max_dynamic_shared_bytes)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "entry point \"%s\": dynamic_shared_bytes is %u; this kernel can have %u "
                          "here",
                          declared->name, declared->dynamic_shared_bytes,
                          entry->limits.max_dynamic_shared_bytes);
    return SEGUE_OK;
}
