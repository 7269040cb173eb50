// SPDX-License-Identifier: Apache-2.0
// Constant slots, and the values that submissions give them.
#include "error.h"
#include "trace_write.h"

#include <inttypes.h>

segue_status segue_writer_describe_constant_slots(const struct segue_command_buffer_info *info,
                                                  json_t *item)
{
    if (info->constant_slot_count == 0) {
        return SEGUE_OK;
    }
    json_t *array = json_array();
    segue_status status = segue_json_set(item, "constant_slots", array);
    for (uint32_t i = 0; status == SEGUE_OK && i < info->constant_slot_count; i++) {
        const struct segue_constant_slot *slot = &info->constant_slots[i];
        json_t *json =
            json_pack("{s:s, s:I}", "name", slot->name, "size", (json_int_t)slot->size_bytes);
        if (json == NULL || json_array_append_new(array, json) != 0) {
            status = segue_trace_fail_memory("a trace");
        }
    }
    return status;
}

/** Carried through the visit. */
struct value_check {
    segue_device *device;
    const struct segue_execution *execution;
    const struct segue_constant_slot *slots;
    segue_status status;
};

static bool check_command(void *context, const struct segue_command_info *command)
{
    struct value_check *check = context;
    if (command->kind != SEGUE_COMMAND_DISPATCH) {
        return true;
    }
    for (uint32_t i = 0; i < command->as.dispatch.constant_use_count; i++) {
        uint32_t slot = command->as.dispatch.constant_uses[i].slot;
        if (check->execution->constants[slot].size_bytes == 0) {
            check->status = segue_trace_fail_on(check->device, SEGUE_INVALID_ARGUMENT,
                                                "command %" PRIu32
                                                " uses constant slot \"%s\", which has no value",
                                                command->index, check->slots[slot].name);
            return false;
        }
    }
    return true;
}

static segue_status check_values(segue_device *device, const struct segue_execution *execution,
                                 const struct segue_command_buffer_info *info)
{
    if (info->constant_slot_count != execution->constant_count ||
        (info->constant_slot_count != 0 && execution->constants == NULL)) {
        return segue_trace_fail_on(
            device, SEGUE_INVALID_ARGUMENT,
            "command buffer \"%s\" has %" PRIu32 " constant slots, given are %" PRIu32 " constants",
            info->label, info->constant_slot_count, execution->constant_count);
    }
    for (uint32_t i = 0; i < info->constant_slot_count; i++) {
        uint32_t size_bytes = execution->constants[i].size_bytes;
        if (size_bytes != 0 && size_bytes != info->constant_slots[i].size_bytes) {
            return segue_trace_fail_on(
                device, SEGUE_INVALID_ARGUMENT,
                "constant %" PRIu32 " has %" PRIu32 " bytes, constant slot \"%s\" has %" PRIu32, i,
                size_bytes, info->constant_slots[i].name, info->constant_slots[i].size_bytes);
        }
    }
    if (info->constant_slot_count == 0) {
        return SEGUE_OK;
    }
    struct value_check check = {
        .device = device, .execution = execution, .slots = info->constant_slots};
    segue_status status =
        segue_command_buffer_visit(execution->command_buffer, check_command, &check);
    return status == SEGUE_OK ? check.status : status;
}

segue_status segue_writer_describe_constants(segue_device *device,
                                             const struct segue_execution *execution, json_t *item)
{
    struct segue_command_buffer_info info;
    segue_command_buffer_get_info(execution->command_buffer, &info);
    segue_status status = check_values(device, execution, &info);
    if (status != SEGUE_OK || info.constant_slot_count == 0) {
        return status;
    }
    json_t *array = json_array();
    status = segue_json_set(item, "constants", array);
    for (uint32_t i = 0; status == SEGUE_OK && i < info.constant_slot_count; i++) {
        const struct segue_constant_value *value = &execution->constants[i];
        if (value->size_bytes == 0) {
            continue;
        }
        json_t *json =
            json_pack("{s:s, s:o}", "slot", info.constant_slots[i].name, "value",
                      segue_json_from_u64(value->size_bytes == 4 ? value->as.u32 : value->as.u64));
        if (json == NULL || json_array_append_new(array, json) != 0) {
            status = segue_trace_fail_memory("a trace");
        }
    }
    return status;
}
