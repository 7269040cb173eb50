// SPDX-License-Identifier: Apache-2.0
#include "object.h"

#include <inttypes.h>

static struct segue_memory_usage *usage_of(segue_device *device, enum segue_memory_type type)
{
    switch (type) {
    case SEGUE_MEMORY_HOST_VISIBLE:
        return &device->memory_stats.host_visible;
    case SEGUE_MEMORY_CONSTANT:
        return &device->memory_stats.constant;
    case SEGUE_MEMORY_DEVICE:
        break;
    }
    return &device->memory_stats.device;
}

static void count_allocation(segue_device *device, enum segue_memory_type type, uint64_t size_bytes)
{
    pthread_mutex_lock(&device->state_lock);
    struct segue_memory_usage *usage = usage_of(device, type);
    usage->allocation_count++;
    usage->current_bytes += size_bytes;
    if (usage->current_bytes > usage->peak_bytes)
        usage->peak_bytes = usage->current_bytes;
    pthread_mutex_unlock(&device->state_lock);
}

static void count_release(segue_device *device, enum segue_memory_type type, uint64_t size_bytes)
{
    pthread_mutex_lock(&device->state_lock);
    struct segue_memory_usage *usage = usage_of(device, type);
    usage->allocation_count--;
    usage->current_bytes -= size_bytes;
    pthread_mutex_unlock(&device->state_lock);
}

segue_status segue_memory_create(segue_device *device, enum segue_memory_type type,
                                 uint64_t size_bytes, struct segue_memory **out_memory)
{
    static atomic_uint_fast64_t next_id = 1;

    struct segue_memory *memory = segue_allocate_zeroed(&device->allocator, 1, sizeof *memory);
    if (!memory)
        return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY,
                          "no host memory to keep track of %" PRIu64 " bytes of buffer memory",
                          size_bytes);
    segue_status status =
        device->backend->ops->allocate(device->backend, type, size_bytes, &memory->backend);
    if (status != SEGUE_OK) {
        segue_release(&device->allocator, memory, sizeof *memory);
        return status;
    }
    atomic_init(&memory->references, 1);
    atomic_init(&memory->sealed, false);
    memory->device = device;
    memory->id = atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
    count_allocation(device, type, size_bytes);
    *out_memory = memory;
    return SEGUE_OK;
}

void segue_memory_retain(struct segue_memory *memory)
{
    atomic_fetch_add_explicit(&memory->references, 1, memory_order_relaxed);
}

void segue_memory_release(struct segue_memory *memory)
{
    if (atomic_fetch_sub_explicit(&memory->references, 1, memory_order_acq_rel) != 1)
        return;
    segue_device *device = memory->device;
    count_release(device, memory->backend.type, memory->backend.size_bytes);
    device->backend->ops->release(device->backend, &memory->backend);
    segue_release(&device->allocator, memory, sizeof *memory);
}
