// SPDX-License-Identifier: Apache-2.0
#include "object.h"

#include <inttypes.h>

/** What a memory type allows. */
static uint32_t allowed_usage(enum segue_memory_type memory)
{
    return memory == SEGUE_MEMORY_CONSTANT ? SEGUE_BUFFER_USAGE_READ_ONLY : SEGUE_BUFFER_USAGE_ALL;
}

static segue_status check_params(segue_device *device, const struct segue_buffer_params *params)
{
    const char *label = params->label ? params->label : "";
    if (params->size_bytes == 0)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "buffer \"%s\": size_bytes is 0; ask for at least 1", label);
    if ((unsigned)params->memory > SEGUE_MEMORY_CONSTANT)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "buffer \"%s\": memory is %d; use a value of segue_memory_type", label,
                          (int)params->memory);
    if ((params->usage & ~(uint32_t)SEGUE_BUFFER_USAGE_ALL) != 0)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "buffer \"%s\": usage 0x%x has unknown bits; use bits of "
                          "segue_buffer_usage",
                          label, params->usage);
    if ((params->usage & ~allowed_usage(params->memory)) != 0)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "buffer \"%s\": usage 0x%x has write bits, but commands cannot write "
                          "constant memory; leave them out or use device memory",
                          label, params->usage);
    return SEGUE_OK;
}

/** Makes a handle on memory whose reference it takes over on success. */
static segue_status create_handle(segue_device *device, struct segue_memory *memory,
                                  const char *label, segue_buffer **out_buffer)
{
    segue_buffer *buffer = segue_allocate_zeroed(&device->allocator, 1, sizeof *buffer);
    if (!buffer)
        goto fail_buffer;
    buffer->label = segue_copy_string(&device->allocator, label);
    if (!buffer->label)
        goto fail_label;
    segue_object_init(&buffer->object, SEGUE_OBJECT_BUFFER, device);
    buffer->memory = memory;
    *out_buffer = buffer;
    return SEGUE_OK;

fail_label:
    segue_release(&device->allocator, buffer, sizeof *buffer);
fail_buffer:
    return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY, "no host memory for buffer \"%s\"",
                      label ? label : "");
}

segue_status segue_buffer_create(segue_device *device, const struct segue_buffer_params *params,
                                 segue_buffer **out_buffer)
{
    if (!device || !params || !out_buffer)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "segue_buffer_create: device, params and out_buffer must not be NULL");
    segue_status status = segue_device_check(device);
    if (status == SEGUE_OK)
        status = check_params(device, params);
    if (status != SEGUE_OK)
        return status;

    struct segue_memory *memory = NULL;
    status = segue_memory_create(device, params->memory, params->size_bytes, &memory);
    if (status != SEGUE_OK)
        return status;
    segue_buffer *buffer = NULL;
    status = create_handle(device, memory, params->label, &buffer);
    if (status != SEGUE_OK) {
        segue_memory_release(memory);
        return status;
    }
    buffer->size_bytes = params->size_bytes;
    buffer->usage = params->usage != 0 ? params->usage : allowed_usage(params->memory);
    *out_buffer = buffer;
    return SEGUE_OK;
}

/** Checks [offset, offset + length) against the buffer and resolves SEGUE_WHOLE_SIZE. */
static segue_status resolve_length(segue_buffer *buffer, const char *action, uint64_t offset_bytes,
                                   uint64_t *length_bytes)
{
    if (offset_bytes > buffer->size_bytes)
        return segue_fail(buffer->object.device, SEGUE_OUT_OF_RANGE,
                          "%s buffer \"%s\": offset %" PRIu64 " lies behind its %" PRIu64 " bytes",
                          action, buffer->label, offset_bytes, buffer->size_bytes);
    uint64_t rest = buffer->size_bytes - offset_bytes;
    if (*length_bytes == SEGUE_WHOLE_SIZE)
        *length_bytes = rest;
    if (*length_bytes > rest)
        return segue_fail(buffer->object.device, SEGUE_OUT_OF_RANGE,
                          "%s buffer \"%s\": %" PRIu64 " bytes at offset %" PRIu64
                          " go beyond its %" PRIu64 " bytes; at most %" PRIu64 " fit there",
                          action, buffer->label, *length_bytes, offset_bytes, buffer->size_bytes,
                          rest);
    return SEGUE_OK;
}

segue_status segue_buffer_create_view(segue_buffer *parent, uint64_t offset_bytes,
                                      uint64_t length_bytes, const char *label,
                                      segue_buffer **out_view)
{
    if (!parent || !out_view)
        return segue_fail(parent ? parent->object.device : NULL, SEGUE_INVALID_ARGUMENT,
                          "segue_buffer_create_view: parent and out_view must not be NULL");
    segue_device *device = parent->object.device;
    segue_status status = segue_device_check(device);
    if (status == SEGUE_OK)
        status = resolve_length(parent, "view of", offset_bytes, &length_bytes);
    if (status != SEGUE_OK)
        return status;
    if (length_bytes == 0)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "view of buffer \"%s\" at offset %" PRIu64
                          " would be empty; ask for at least 1 byte",
                          parent->label, offset_bytes);

    segue_buffer *view = NULL;
    segue_memory_retain(parent->memory);
    status = create_handle(device, parent->memory, label, &view);
    if (status != SEGUE_OK) {
        segue_memory_release(parent->memory);
        return status;
    }
    view->offset_bytes = parent->offset_bytes + offset_bytes;
    view->size_bytes = length_bytes;
    view->usage = parent->usage;
    *out_view = view;
    return SEGUE_OK;
}

void segue_buffer_destroy(segue_buffer *buffer)
{
    if (buffer)
        segue_object_release(&buffer->object);
}

void segue_buffer_free(segue_buffer *buffer)
{
    const struct segue_allocator *allocator = &buffer->object.device->allocator;
    segue_memory_release(buffer->memory);
    segue_release_string(allocator, buffer->label);
    segue_release(allocator, buffer, sizeof *buffer);
}

void segue_buffer_get_info(const segue_buffer *buffer, struct segue_buffer_info *out_info)
{
    const struct segue_memory *memory = buffer->memory;
    *out_info = (struct segue_buffer_info){
        .size_bytes = buffer->size_bytes,
        .memory = memory->backend.type,
        .usage = buffer->usage,
        .label = buffer->label,
        .device_address = memory->backend.device_address + buffer->offset_bytes,
        .memory_id = memory->id,
        .memory_offset_bytes = buffer->offset_bytes,
        .memory_size_bytes = memory->backend.size_bytes,
        .is_sealed = atomic_load(&memory->sealed),
    };
}

segue_status segue_buffer_map(segue_buffer *buffer, void **out_pointer)
{
    if (!buffer || !out_pointer)
        return segue_fail(buffer ? buffer->object.device : NULL, SEGUE_INVALID_ARGUMENT,
                          "segue_buffer_map: buffer and out_pointer must not be NULL");
    segue_device *device = buffer->object.device;
    segue_status status = segue_device_check(device);
    if (status != SEGUE_OK)
        return status;
    if (!buffer->memory->backend.host_pointer)
        return segue_fail(device, SEGUE_INVALID_ACCESS,
                          "buffer \"%s\" is not host-visible and cannot be mapped; use "
                          "segue_buffer_read and segue_buffer_write, or "
                          "SEGUE_MEMORY_HOST_VISIBLE",
                          buffer->label);
    *out_pointer = (char *)buffer->memory->backend.host_pointer + buffer->offset_bytes;
    return SEGUE_OK;
}

/** What read and write have in common; *length_bytes is resolved. */
static segue_status check_host_access(segue_buffer *buffer, const char *action,
                                      uint64_t offset_bytes, const void *data,
                                      uint64_t *length_bytes)
{
    if (!buffer)
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT, "%s buffer: the buffer is NULL", action);
    segue_status status = segue_device_check(buffer->object.device);
    if (status == SEGUE_OK)
        status = resolve_length(buffer, action, offset_bytes, length_bytes);
    if (status != SEGUE_OK)
        return status;
    if (!data && *length_bytes != 0)
        return segue_fail(buffer->object.device, SEGUE_INVALID_ARGUMENT,
                          "%s buffer \"%s\": data is NULL, the length %" PRIu64, action,
                          buffer->label, *length_bytes);
    return SEGUE_OK;
}

segue_status segue_buffer_write(segue_buffer *buffer, uint64_t offset_bytes, const void *data,
                                uint64_t length_bytes)
{
    segue_status status = check_host_access(buffer, "write to", offset_bytes, data, &length_bytes);
    if (status != SEGUE_OK || length_bytes == 0)
        return status;
    if (atomic_load(&buffer->memory->sealed))
        return segue_fail(buffer->object.device, SEGUE_INVALID_ACCESS,
                          "write to buffer \"%s\": it is sealed and may only be read; make another "
                          "one for other content",
                          buffer->label);
    struct segue_backend *backend = buffer->object.device->backend;
    return backend->ops->write(backend, &buffer->memory->backend,
                               buffer->offset_bytes + offset_bytes, data, length_bytes);
}

segue_status segue_buffer_read(segue_buffer *buffer, uint64_t offset_bytes, void *data,
                               uint64_t length_bytes)
{
    segue_status status = check_host_access(buffer, "read from", offset_bytes, data, &length_bytes);
    if (status != SEGUE_OK || length_bytes == 0)
        return status;
    struct segue_backend *backend = buffer->object.device->backend;
    return backend->ops->read(backend, &buffer->memory->backend,
                              buffer->offset_bytes + offset_bytes, data, length_bytes);
}

segue_status segue_buffer_seal(segue_buffer *buffer)
{
    if (!buffer)
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT, "segue_buffer_seal: buffer is NULL");
    segue_device *device = buffer->object.device;
    if (buffer->memory->backend.type != SEGUE_MEMORY_CONSTANT)
        return segue_fail(device, SEGUE_INVALID_ACCESS,
                          "seal buffer \"%s\": only constant memory can be sealed; create it with "
                          "SEGUE_MEMORY_CONSTANT",
                          buffer->label);
    // Not while a submission that writes it is being checked.
    pthread_mutex_lock(&device->submission_lock);
    atomic_store(&buffer->memory->sealed, true);
    pthread_mutex_unlock(&device->submission_lock);
    return SEGUE_OK;
}
