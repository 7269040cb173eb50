// SPDX-License-Identifier: Apache-2.0
// Constants whose values submissions give.
#include "trace_read.h"

#include "error.h"

#include <inttypes.h>

/** As the API has it: printable ASCII without spaces and "=". */
static bool is_plain(const char *name)
{
    for (; *name != '\0'; name++) {
        if (*name <= ' ' || *name > '~' || *name == '=') {
            return false;
        }
    }
    return true;
}

static segue_status read_slot(const struct segue_json *at, segue_trace *trace,
                              struct segue_constant_slot *slot)
{
    static const char *const keys[] = {"name", "size", NULL};
    struct segue_json child;
    uint64_t size_bytes = 0;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_trace_read_name(at, "name", trace, &slot->name);
    }
    if (status == SEGUE_OK && !is_plain(slot->name)) {
        return segue_json_fail(at, "name must be printable ASCII without spaces and \"=\"");
    }
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "size", &child);
    }
    if (status == SEGUE_OK) {
        status = segue_json_u64(&child, 4, 8, &size_bytes);
    }
    if (status == SEGUE_OK && size_bytes != 4 && size_bytes != 8) {
        return segue_json_fail(&child, "must be 4 or 8");
    }
    slot->size_bytes = (uint32_t)size_bytes;
    return status;
}

segue_status segue_trace_read_constant_slots(const struct segue_json *at, segue_trace *trace,
                                             struct segue_trace_command_buffer *command_buffer)
{
    struct segue_json child;
    uint32_t count = 0;
    struct segue_constant_slot *slots = NULL;
    struct segue_name *names = NULL;
    segue_status status = segue_json_optional_array(at, "constant_slots",
                                                    SEGUE_TRACE_MAX_CONSTANT_SLOTS, &child, &count);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(slots[0]), &slots);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(names[0]), &names);
    }
    if (status == SEGUE_OK) {
        status =
            segue_trace_allocate(trace, count, sizeof(bool), &command_buffer->constant_slots_used);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        status = read_slot(&element, trace, &slots[i]);
        names[i] = (struct segue_name){.text = slots[i].name, .index = i};
    }
    command_buffer->constant_slots = slots;
    command_buffer->constant_slot_count = count;
    command_buffer->constant_slot_names = (struct segue_names){.names = names, .count = count};
    return status == SEGUE_OK ? segue_trace_sort_names(&child, &command_buffer->constant_slot_names)
                              : status;
}

/** Whether [begin, begin + size) of the constants lies in one of them. */
static bool is_in_one_constant(const struct segue_entry_point *entry, uint64_t begin,
                               uint32_t size_bytes)
{
    uint64_t first = 0;
    for (uint32_t i = 0; i < entry->parameter_count; i++) {
        const struct segue_parameter *parameter = &entry->parameters[i];
        if (parameter->kind != SEGUE_PARAMETER_CONSTANT) {
            continue;
        }
        if (begin >= first && begin + size_bytes <= first + parameter->size_bytes) {
            return true;
        }
        first += parameter->size_bytes;
    }
    return false;
}

static segue_status read_use(const struct segue_json *at,
                             const struct segue_trace_command_buffer *command_buffer,
                             const struct segue_entry_point *entry, uint64_t previous_end,
                             struct segue_constant_use *use)
{
    static const char *const keys[] = {"slot", "at", NULL};
    struct segue_json child;
    uint64_t offset = 0;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_trace_read_reference(at, "slot", &command_buffer->constant_slot_names,
                                            "constant slot", &use->slot);
    }
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "at", &child);
    }
    if (status == SEGUE_OK) {
        status = segue_json_u64(&child, 0, SEGUE_TRACE_MAX_CONSTANTS_BYTES, &offset);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    use->offset_bytes = (uint32_t)offset;
    use->size_bytes = command_buffer->constant_slots[use->slot].size_bytes;
    if (offset < previous_end) {
        return segue_json_fail(&child, "before the one before it ends, at %" PRIu64, previous_end);
    }
    if (!is_in_one_constant(entry, offset, use->size_bytes)) {
        return segue_json_fail(&child,
                               "%" PRIu32 " bytes there do not lie in one constant of entry point "
                               "\"%s\"",
                               use->size_bytes, entry->name);
    }
    command_buffer->constant_slots_used[use->slot] = true;
    return SEGUE_OK;
}

/** Bytes are an address in memory, or a value from outside: not both. */
static segue_status check_pointers(const struct segue_json *at,
                                   const struct segue_trace_dispatch *dispatch,
                                   const struct segue_constant_use *use)
{
    for (uint32_t i = 0; i < dispatch->pointer_count; i++) {
        uint32_t position = dispatch->pointers[i].position_bytes;
        if (use->offset_bytes < position + sizeof(uint64_t) &&
            position < use->offset_bytes + use->size_bytes) {
            return segue_json_fail(at, "overlaps the address at %" PRIu32 ", one of the pointers",
                                   position);
        }
    }
    return SEGUE_OK;
}

segue_status segue_trace_read_constant_uses(const struct segue_json *at, segue_trace *trace,
                                            const struct segue_trace_command_buffer *command_buffer,
                                            const struct segue_entry_point *entry,
                                            struct segue_trace_dispatch *dispatch)
{
    struct segue_json child;
    uint32_t count = 0;
    struct segue_constant_use *uses = NULL;
    uint64_t end = 0;
    segue_status status = segue_json_optional_array(
        at, "constant_slots", SEGUE_TRACE_MAX_CONSTANTS_BYTES / 4, &child, &count);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(uses[0]), &uses);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        status = read_use(&element, command_buffer, entry, end, &uses[i]);
        if (status == SEGUE_OK) {
            status = check_pointers(&element, dispatch, &uses[i]);
        }
        end = (uint64_t)uses[i].offset_bytes + uses[i].size_bytes;
    }
    dispatch->constant_uses = uses;
    dispatch->constant_use_count = count;
    return status;
}

static segue_status read_value(const struct segue_json *at,
                               const struct segue_trace_command_buffer *command_buffer,
                               struct segue_constant_value *values)
{
    static const char *const keys[] = {"slot", "value", NULL};
    struct segue_json child;
    uint32_t slot = 0;
    uint64_t value = 0;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_trace_read_reference(at, "slot", &command_buffer->constant_slot_names,
                                            "constant slot", &slot);
    }
    if (status == SEGUE_OK && values[slot].size_bytes != 0) {
        return segue_json_fail(at, "constant slot \"%s\" has a value before it",
                               command_buffer->constant_slots[slot].name);
    }
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "value", &child);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    const uint32_t size_bytes = command_buffer->constant_slots[slot].size_bytes;
    status = segue_json_u64(&child, 0, size_bytes == 4 ? UINT32_MAX : UINT64_MAX, &value);
    values[slot].size_bytes = size_bytes;
    if (size_bytes == 4) {
        values[slot].as.u32 = (uint32_t)value;
    } else {
        values[slot].as.u64 = value;
    }
    return status;
}

segue_status segue_trace_read_constant_values(const struct segue_json *at, segue_trace *trace,
                                              struct segue_trace_execution *execution)
{
    const struct segue_trace_command_buffer *command_buffer =
        &trace->command_buffers[execution->command_buffer];
    const uint32_t slot_count = command_buffer->constant_slot_count;
    struct segue_json child;
    uint32_t count = 0;
    struct segue_constant_value *values = NULL;
    segue_status status =
        segue_json_optional_array(at, "constants", SEGUE_TRACE_MAX_CONSTANT_SLOTS, &child, &count);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, slot_count, sizeof(values[0]), &values);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        status = read_value(&element, command_buffer, values);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < slot_count; i++) {
        if (command_buffer->constant_slots_used[i] && values[i].size_bytes == 0) {
            return segue_json_fail(at, "constant slot \"%s\" of command buffer \"%s\" has no value",
                                   command_buffer->constant_slots[i].name, command_buffer->name);
        }
    }
    execution->constants = values;
    return status;
}
