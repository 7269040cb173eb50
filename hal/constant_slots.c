// SPDX-License-Identifier: Apache-2.0
#include "constant_slots.h"

#include "executable.h"

#include <string.h>

#define MAX_CONSTANT_SLOTS 1024
#define MAX_NAME_BYTES 255

/** Names stand in traces and on command lines. */
static bool is_plain(const char *name)
{
    for (; *name != '\0'; name++) {
        if (*name <= ' ' || *name > '~' || *name == '=')
            return false;
    }
    return true;
}

static segue_status check_slot(segue_device *device,
                               const struct segue_command_buffer_params *params, uint32_t index)
{
    const struct segue_constant_slot *slot = &params->constant_slots[index];
    const char *label = params->label ? params->label : "";
    size_t length = slot->name ? strlen(slot->name) : 0;
    if (length == 0 || length > MAX_NAME_BYTES)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "command buffer \"%s\": constant_slots[%u] has a name of %zu bytes; give "
                          "it one of 1 to %d",
                          label, index, length, MAX_NAME_BYTES);
    if (!is_plain(slot->name))
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "command buffer \"%s\": constant_slots[%u] has the name \"%s\"; use "
                          "printable ASCII without spaces and \"=\"",
                          label, index, slot->name);
    if (slot->size_bytes != 4 && slot->size_bytes != 8)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "command buffer \"%s\": constant slot \"%s\" has %u bytes; use 4 or 8",
                          label, slot->name, slot->size_bytes);
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(params->constant_slots[i].name, slot->name) == 0)
            return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                              "command buffer \"%s\": constant slots %u and %u are both called "
                              "\"%s\"; names must differ",
                              label, i, index, slot->name);
    }
    return SEGUE_OK;
}

segue_status segue_constant_slots_check(segue_device *device,
                                        const struct segue_command_buffer_params *params)
{
    const char *label = params->label ? params->label : "";
    if (params->constant_slot_count > MAX_CONSTANT_SLOTS)
        return segue_fail(device, SEGUE_OUT_OF_RANGE,
                          "command buffer \"%s\": constant_slot_count is %u; at most %d are "
                          "possible",
                          label, params->constant_slot_count, MAX_CONSTANT_SLOTS);
    if (params->constant_slot_count != 0 && !params->constant_slots)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT,
                          "command buffer \"%s\": constant_slots is NULL, the count %u", label,
                          params->constant_slot_count);
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; i < params->constant_slot_count && status == SEGUE_OK; i++)
        status = check_slot(device, params, i);
    return status;
}

bool segue_constant_slots_copy(const struct segue_allocator *allocator,
                               const struct segue_command_buffer_params *params,
                               struct segue_constant_slots *out_slots)
{
    uint32_t count = params->constant_slot_count;
    if (count == 0)
        return true;
    size_t memory_bytes = count * (sizeof *out_slots->slots + sizeof *out_slots->first_use);
    for (uint32_t i = 0; i < count; i++)
        memory_bytes += strlen(params->constant_slots[i].name) + 1;
    struct segue_constant_slot *slots = segue_allocate(allocator, memory_bytes);
    if (!slots)
        return false;
    uint32_t *first_use = (uint32_t *)(slots + count);
    char *text = (char *)(first_use + count);
    for (uint32_t i = 0; i < count; i++) {
        size_t name_bytes = strlen(params->constant_slots[i].name) + 1;
        memcpy(text, params->constant_slots[i].name, name_bytes);
        slots[i] = (struct segue_constant_slot){
            .name = text,
            .size_bytes = params->constant_slots[i].size_bytes,
        };
        text += name_bytes;
    }
    *out_slots = (struct segue_constant_slots){
        .slots = slots,
        .count = count,
        .first_use = first_use,
        .memory_bytes = memory_bytes,
    };
    segue_constant_slots_forget(out_slots);
    return true;
}

void segue_constant_slots_free(const struct segue_allocator *allocator,
                               struct segue_constant_slots *slots)
{
    segue_release(allocator, slots->slots, slots->memory_bytes);
    *slots = (struct segue_constant_slots){0};
}

void segue_constant_slots_forget(struct segue_constant_slots *slots)
{
    for (uint32_t i = 0; i < slots->count; i++)
        slots->first_use[i] = SEGUE_NO_COMMAND;
}

uint32_t segue_constant_slots_find(const struct segue_constant_slots *slots, const char *name)
{
    uint32_t index = 0;
    while (index < slots->count && strcmp(slots->slots[index].name, name) != 0)
        index++;
    return index;
}

/** The constant parameters of an entry point, one after the other. */
struct walk {
    const struct segue_parameter *next;
    const struct segue_parameter *end;
    /** Where the current one ends in the constants. */
    uint64_t end_bytes;
};

/** Goes on to the constant parameter that holds a byte of the constants; stays behind the last one
 *  if there is none. */
static void walk_to(struct walk *walk, uint32_t offset_bytes)
{
    while (walk->end_bytes <= offset_bytes && walk->next < walk->end) {
        if (walk->next->kind == SEGUE_PARAMETER_CONSTANT)
            walk->end_bytes += walk->next->size_bytes;
        walk->next++;
    }
}

static segue_status check_use(segue_command_buffer *command_buffer,
                              const struct segue_segment *head, uint32_t index,
                              const struct segue_constant_use *use, uint64_t previous_end_bytes,
                              struct walk *walk)
{
    const struct segue_constant_slots *slots = &command_buffer->constants;
    if (use->slot >= slots->count)
        return segue_record_fail(command_buffer, head, SEGUE_OUT_OF_RANGE,
                                 "constant_uses[%u]: constant slot %u, but the command buffer "
                                 "declares %u",
                                 index, use->slot, slots->count);
    const struct segue_constant_slot *slot = &slots->slots[use->slot];
    if (use->size_bytes != slot->size_bytes)
        return segue_record_fail(command_buffer, head, SEGUE_INVALID_ARGUMENT,
                                 "constant_uses[%u] has %u bytes, but constant slot \"%s\" has %u",
                                 index, use->size_bytes, slot->name, slot->size_bytes);
    if (use->offset_bytes < previous_end_bytes)
        return segue_record_fail(command_buffer, head, SEGUE_INVALID_ARGUMENT,
                                 "constant_uses[%u] (\"%s\") begins at byte %u, before the one "
                                 "before it ends; give them in order and without overlap",
                                 index, slot->name, use->offset_bytes);
    walk_to(walk, use->offset_bytes);
    if ((uint64_t)use->offset_bytes + use->size_bytes > walk->end_bytes)
        return segue_record_fail(command_buffer, head, SEGUE_OUT_OF_RANGE,
                                 "constant_uses[%u] (\"%s\"): %u bytes at byte %u of the constants "
                                 "do not lie in one constant parameter",
                                 index, slot->name, use->size_bytes, use->offset_bytes);
    return SEGUE_OK;
}

segue_status segue_record_check_constant_uses(segue_command_buffer *command_buffer,
                                              const struct segue_entry *entry,
                                              const struct segue_dispatch *dispatch)
{
    const struct segue_dispatch_segment head = {
        .base = segue_record_head(command_buffer, SEGUE_COMMAND_DISPATCH),
        .executable = dispatch->executable,
        .entry_point = dispatch->entry_point,
    };
    if (!dispatch->constant_uses)
        return segue_record_fail(command_buffer, &head.base, SEGUE_INVALID_ARGUMENT,
                                 "constant_uses is NULL, the count %u",
                                 dispatch->constant_use_count);
    struct walk walk = {
        .next = entry->declared.parameters,
        .end = entry->declared.parameters + entry->declared.parameter_count,
    };
    uint64_t end_bytes = 0;
    for (uint32_t i = 0; i < dispatch->constant_use_count; i++) {
        const struct segue_constant_use *use = &dispatch->constant_uses[i];
        segue_status status = check_use(command_buffer, &head.base, i, use, end_bytes, &walk);
        if (status != SEGUE_OK)
            return status;
        end_bytes = (uint64_t)use->offset_bytes + use->size_bytes;
    }
    return SEGUE_OK;
}

size_t segue_record_constant_uses_bytes(const struct segue_dispatch *dispatch)
{
    uint32_t size_bytes = dispatch->constants_size_bytes;
    return segue_constant_uses_offset(size_bytes) - size_bytes +
           sizeof(struct segue_constant_use_list) +
           dispatch->constant_use_count * sizeof(struct segue_constant_use);
}

void segue_record_constant_uses(segue_command_buffer *command_buffer,
                                const struct segue_dispatch *dispatch,
                                struct segue_dispatch_segment *segment)
{
    uint32_t count = dispatch->constant_use_count;
    unsigned char *constants = (unsigned char *)(segment->bindings + segment->binding_count);
    struct segue_constant_use_list *list =
        (struct segue_constant_use_list *)(constants + segue_constant_uses_offset(
                                                           segment->constants_size_bytes));
    segment->base.has_constant_uses = true;
    list->count = count;
    memcpy(list->items, dispatch->constant_uses, count * sizeof *list->items);
    for (uint32_t i = 0; i < count; i++) {
        const struct segue_constant_use *use = &list->items[i];
        uint32_t *first_use = &command_buffer->constants.first_use[use->slot];
        memset(constants + use->offset_bytes, 0, use->size_bytes);
        if (*first_use == SEGUE_NO_COMMAND)
            *first_use = segment->base.index;
    }
}

segue_status segue_constant_values_resolve(const segue_command_buffer *command_buffer,
                                           const struct segue_execution *execution,
                                           uint64_t *out_values)
{
    const struct segue_constant_slots *slots = &command_buffer->constants;
    for (uint32_t i = 0; i < slots->count; i++) {
        const struct segue_constant_slot *slot = &slots->slots[i];
        const struct segue_constant_value *value = &execution->constants[i];
        if (value->size_bytes == 0 && slots->first_use[i] != SEGUE_NO_COMMAND)
            return segue_fail(command_buffer->device, SEGUE_INVALID_ARGUMENT,
                              "command buffer \"%s\": constants[%u] has no value, but command %u "
                              "uses constant slot \"%s\"",
                              command_buffer->label, i, slots->first_use[i], slot->name);
        if (value->size_bytes != 0 && value->size_bytes != slot->size_bytes)
            return segue_fail(
                command_buffer->device, SEGUE_INVALID_ARGUMENT,
                "command buffer \"%s\": constants[%u] has %u bytes, but constant slot "
                "\"%s\" has %u",
                command_buffer->label, i, value->size_bytes, slot->name, slot->size_bytes);
        // What nothing uses must not make tables differ.
        out_values[i] = 0;
        if (slots->first_use[i] != SEGUE_NO_COMMAND)
            out_values[i] = slot->size_bytes == 4 ? value->as.u32 : value->as.u64;
    }
    return SEGUE_OK;
}
