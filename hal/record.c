// SPDX-License-Identifier: Apache-2.0
#include "record.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

segue_status segue_record_latch(segue_command_buffer *command_buffer)
{
    *command_buffer->latched = *segue_last_error();
    command_buffer->state = SEGUE_STATE_FAILED;
    return command_buffer->latched->status;
}

segue_status segue_record_refuse(segue_command_buffer *command_buffer)
{
    if (!command_buffer)
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT, "the command buffer is NULL");
    if (command_buffer->state == SEGUE_STATE_FAILED) {
        segue_set_last_error(command_buffer->latched);
        return command_buffer->latched->status;
    }
    return segue_fail(
        command_buffer->device, SEGUE_INVALID_STATE,
        "command buffer \"%s\" %s and takes no commands; call %s", command_buffer->label,
        command_buffer->state == SEGUE_STATE_NEW ? "has not begun" : "has ended",
        command_buffer->state == SEGUE_STATE_NEW ? "segue_command_buffer_begin"
                                                 : "segue_command_buffer_reset and begin again");
}

segue_status segue_record_raise(segue_command_buffer *command_buffer,
                                const struct segue_segment *segment, segue_status status,
                                const char *file, int line, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(message, sizeof message, format, arguments) < 0)
        message[0] = '\0';
    va_end(arguments);

    char command[512];
    segue_recording_describe(command_buffer->recording, segment, command, sizeof command);
    const char *label = command_buffer->label;
    const segue_command_buffer *executing = command_buffer->executing;
    segue_raise(command_buffer->device, status, 0, file, line, "%s%s%s%s%s%s%s: %s",
                *label != '\0' ? "command buffer \"" : "", label, *label != '\0' ? "\", " : "",
                command, executing ? " of secondary \"" : "", executing ? executing->label : "",
                executing ? "\"" : "", message);
    return segue_record_latch(command_buffer);
}

segue_status segue_record_no_memory(segue_command_buffer *command_buffer,
                                    enum segue_command_kind kind)
{
    struct segue_dispatch_segment head = {.base = segue_record_head(command_buffer, kind)};
    if (head.base.index == SEGUE_NO_COMMAND)
        return segue_record_fail(command_buffer, &head.base, SEGUE_OUT_OF_RANGE,
                                 "a command buffer holds at most %u commands", SEGUE_NO_COMMAND);
    return segue_record_fail(command_buffer, &head.base, SEGUE_OUT_OF_HOST_MEMORY,
                             "no host memory to record it");
}

bool segue_record_retain_new(struct segue_recording *recording, struct segue_object *object)
{
    if (recording->resource_count == recording->resource_capacity) {
        void *array = recording->resources;
        if (!segue_grow(&recording->device->allocator, &array, &recording->resource_capacity,
                        recording->resource_count + 1, sizeof *recording->resources))
            return false;
        recording->resources = array;
    }
    recording->resources[recording->resource_count++] = object;
    segue_object_retain(object);
    atomic_store_explicit(&object->last_recording, recording->serial, memory_order_relaxed);
    return true;
}

bool segue_record_slot_range(const segue_command_buffer *command_buffer,
                             const struct segue_buffer_ref *ref, struct segue_range_rules rules,
                             struct segue_range *out_range)
{
    if (ref->slot >= command_buffer->slot_count || (ref->offset_bytes & rules.align_mask) != 0)
        return false;
    if (ref->length_bytes != SEGUE_WHOLE_SIZE && ref->length_bytes > UINT64_MAX - ref->offset_bytes)
        return false;
    *out_range = (struct segue_range){
        .object = ((uintptr_t)ref->slot << 1) | 1,
        .offset_bytes = ref->offset_bytes,
        .length_bytes = ref->length_bytes,
    };
    return true;
}

static const char *usage_name(uint32_t bit)
{
    switch (bit) {
    case SEGUE_BUFFER_USAGE_TRANSFER_SOURCE:
        return "SEGUE_BUFFER_USAGE_TRANSFER_SOURCE";
    case SEGUE_BUFFER_USAGE_TRANSFER_TARGET:
        return "SEGUE_BUFFER_USAGE_TRANSFER_TARGET";
    case SEGUE_BUFFER_USAGE_DISPATCH_READ:
        return "SEGUE_BUFFER_USAGE_DISPATCH_READ";
    default:
        return "SEGUE_BUFFER_USAGE_DISPATCH_WRITE";
    }
}

static segue_status slot_range_failed(segue_command_buffer *command_buffer,
                                      const struct segue_segment *segment, const char *role,
                                      const struct segue_buffer_ref *ref,
                                      struct segue_range_rules rules)
{
    if (ref->slot >= command_buffer->slot_count)
        return segue_record_fail(command_buffer, segment, SEGUE_OUT_OF_RANGE,
                                 "%s has no buffer and names slot %u of %u; set buffer, or create "
                                 "the command buffer with more slots",
                                 role, ref->slot, command_buffer->slot_count);
    if ((ref->offset_bytes & rules.align_mask) != 0)
        return segue_record_fail(command_buffer, segment, SEGUE_INVALID_ARGUMENT,
                                 "%s, slot %u: offset %" PRIu64 " is not a multiple of %u", role,
                                 ref->slot, ref->offset_bytes, rules.align_mask + 1);
    return segue_record_fail(command_buffer, segment, SEGUE_OUT_OF_RANGE,
                             "%s, slot %u: offset %" PRIu64 " plus length %" PRIu64
                             " is more than 64 bits hold",
                             role, ref->slot, ref->offset_bytes, ref->length_bytes);
}

bool segue_record_fills(const segue_command_buffer *command_buffer, const segue_buffer *buffer,
                        uint32_t usage)
{
    const uint32_t writes = SEGUE_BUFFER_USAGE_TRANSFER_TARGET | SEGUE_BUFFER_USAGE_DISPATCH_WRITE;
    return (command_buffer->flags & SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS) != 0 &&
           buffer->memory->backend.type == SEGUE_MEMORY_CONSTANT &&
           !atomic_load(&buffer->memory->sealed) && (usage & ~buffer->usage & ~writes) == 0;
}

static segue_status buffer_access_failed(segue_command_buffer *command_buffer,
                                         const struct segue_segment *segment, const char *role,
                                         const segue_buffer *buffer, uint32_t usage)
{
    uint32_t missing = usage & ~buffer->usage;
    const uint32_t writes = SEGUE_BUFFER_USAGE_TRANSFER_TARGET | SEGUE_BUFFER_USAGE_DISPATCH_WRITE;
    if (atomic_load(&buffer->memory->sealed) && (missing & writes) != 0)
        return segue_record_fail(command_buffer, segment, SEGUE_INVALID_ACCESS,
                                 "%s, buffer \"%s\", is sealed: it was filled for good and may "
                                 "only be read; use device memory",
                                 role, buffer->label);
    if (buffer->memory->backend.type == SEGUE_MEMORY_CONSTANT && (missing & writes) != 0)
        return segue_record_fail(command_buffer, segment, SEGUE_INVALID_ACCESS,
                                 "%s, buffer \"%s\", is constant memory, which commands may only "
                                 "read; use device memory, or segue_buffer_write from the host",
                                 role, buffer->label);
    return segue_record_fail(command_buffer, segment, SEGUE_INVALID_ACCESS,
                             "%s, buffer \"%s\", has usage 0x%x and lacks %s; create it with that "
                             "bit",
                             role, buffer->label, buffer->usage,
                             usage_name(missing & (~missing + 1)));
}

segue_status segue_record_range_failed(segue_command_buffer *command_buffer,
                                       const struct segue_segment *segment, const char *role,
                                       int64_t role_index, const struct segue_buffer_ref *ref,
                                       struct segue_range_rules rules)
{
    char name[48];
    if (role_index >= 0)
        snprintf(name, sizeof name, "%s %" PRId64, role, role_index);
    else
        snprintf(name, sizeof name, "%s", role);
    const segue_buffer *buffer = ref->buffer;
    if (!buffer)
        return slot_range_failed(command_buffer, segment, name, ref, rules);
    if (buffer->object.device != command_buffer->device)
        return segue_record_fail(command_buffer, segment, SEGUE_INVALID_ARGUMENT,
                                 "%s, buffer \"%s\", belongs to another device (%s); use one of "
                                 "the command buffer's device",
                                 name, buffer->label, buffer->object.device->uri);
    if ((rules.usage & ~buffer->usage) != 0 &&
        !segue_record_fills(command_buffer, buffer, rules.usage))
        return buffer_access_failed(command_buffer, segment, name, buffer, rules.usage);
    if (ref->offset_bytes > buffer->size_bytes)
        return segue_record_fail(command_buffer, segment, SEGUE_OUT_OF_RANGE,
                                 "%s, buffer \"%s\": offset %" PRIu64 " lies behind its %" PRIu64
                                 " bytes",
                                 name, buffer->label, ref->offset_bytes, buffer->size_bytes);
    uint64_t rest_bytes = buffer->size_bytes - ref->offset_bytes;
    if (ref->length_bytes != SEGUE_WHOLE_SIZE && ref->length_bytes > rest_bytes)
        return segue_record_fail(command_buffer, segment, SEGUE_OUT_OF_RANGE,
                                 "%s, buffer \"%s\": %" PRIu64 " bytes at offset %" PRIu64
                                 " go beyond its %" PRIu64 " bytes; at most %" PRIu64 " fit there",
                                 name, buffer->label, ref->length_bytes, ref->offset_bytes,
                                 buffer->size_bytes, rest_bytes);
    uint64_t address_offset = buffer->offset_bytes + ref->offset_bytes;
    if ((address_offset & rules.align_mask) != 0)
        return segue_record_fail(command_buffer, segment, SEGUE_INVALID_ARGUMENT,
                                 "%s, buffer \"%s\": offset %" PRIu64 " (%" PRIu64
                                 " in the underlying memory) is not a multiple of %u",
                                 name, buffer->label, ref->offset_bytes, address_offset,
                                 rules.align_mask + 1);
    return segue_record_fail(command_buffer, segment, SEGUE_OUT_OF_HOST_MEMORY,
                             "%s: no host memory to retain buffer \"%s\"", name, buffer->label);
}

bool segue_ranges_overlap(const struct segue_range *a, const struct segue_range *b)
{
    uint64_t a_start = a->offset_bytes;
    uint64_t b_start = b->offset_bytes;
    if (segue_range_is_slot(a) || segue_range_is_slot(b)) {
        if (a->object != b->object)
            return false;
    } else {
        const segue_buffer *a_buffer = segue_range_buffer(a);
        const segue_buffer *b_buffer = segue_range_buffer(b);
        if (a_buffer->memory != b_buffer->memory)
            return false;
        a_start += a_buffer->offset_bytes;
        b_start += b_buffer->offset_bytes;
    }
    if (a->length_bytes == 0 || b->length_bytes == 0)
        return false;
    // Distances instead of ends: those may not fit 64 bits.
    return a_start <= b_start ? b_start - a_start < a->length_bytes
                              : a_start - b_start < b->length_bytes;
}

uint32_t segue_record_add_group(struct segue_recording *recording, const char *label,
                                uint32_t parent)
{
    size_t size_bytes = strlen(label) + 1;
    char *copy = segue_arena_allocate(&recording->arena, size_bytes);
    void *array = recording->groups;
    if (!copy || recording->group_count >= SEGUE_NO_GROUP ||
        !segue_grow(&recording->device->allocator, &array, &recording->group_capacity,
                    recording->group_count + 1, sizeof *recording->groups))
        return SEGUE_NO_GROUP;
    recording->groups = array;
    memcpy(copy, label, size_bytes);
    recording->groups[recording->group_count] =
        (struct segue_group){.label = copy, .parent = parent};
    return (uint32_t)recording->group_count++;
}
