// SPDX-License-Identifier: Apache-2.0
// Whether the ranges bound to slots cover what the commands use of them: a reader refuses a trace
// where they do not, so a writer must not make one.
#include "error.h"
#include "trace_write.h"

#include <inttypes.h>

struct slot_check {
    segue_device *device;
    const struct segue_execution *execution;
    segue_status status;
};

static uint64_t bound_bytes(const struct segue_buffer_ref *binding)
{
    if (binding->length_bytes != SEGUE_WHOLE_SIZE) {
        return binding->length_bytes;
    }
    struct segue_buffer_info info;
    segue_buffer_get_info(binding->buffer, &info);
    return info.size_bytes > binding->offset_bytes ? info.size_bytes - binding->offset_bytes : 0;
}

static bool check_range(struct slot_check *check, const struct segue_command_info *command,
                        const struct segue_buffer_ref *range)
{
    if (range->buffer != NULL) {
        return true;
    }
    uint64_t bound = bound_bytes(&check->execution->bindings[range->slot]);
    uint64_t length = range->length_bytes == SEGUE_WHOLE_SIZE ? 0 : range->length_bytes;
    if (range->offset_bytes <= bound && length <= bound - range->offset_bytes) {
        return true;
    }
    check->status =
        segue_trace_fail_on(check->device, SEGUE_OUT_OF_RANGE,
                            "command %" PRIu32 " uses %" PRIu64 " bytes at offset %" PRIu64
                            " of slot %" PRIu32 "; bound are %" PRIu64 " bytes, bind more",
                            command->index, length, range->offset_bytes, range->slot, bound);
    return false;
}

static bool check_command(void *context, const struct segue_command_info *command)
{
    struct slot_check *check = context;
    switch (command->kind) {
    case SEGUE_COMMAND_FILL:
        return check_range(check, command, &command->as.fill.target);
    case SEGUE_COMMAND_UPDATE:
        return check_range(check, command, &command->as.update.target);
    case SEGUE_COMMAND_COPY:
        return check_range(check, command, &command->as.copy.source) &&
               check_range(check, command, &command->as.copy.target);
    case SEGUE_COMMAND_DISPATCH:
        for (uint32_t i = 0; i < command->as.dispatch.binding_count; i++) {
            if (!check_range(check, command, &command->as.dispatch.bindings[i])) {
                return false;
            }
        }
        return true;
    default:
        return true;
    }
}

segue_status segue_writer_check_slots(segue_device *device, const struct segue_execution *execution)
{
    for (uint32_t i = 0; i < execution->binding_count; i++) {
        if (execution->bindings[i].buffer == NULL) {
            return segue_trace_fail_on(device, SEGUE_INVALID_ARGUMENT,
                                       "binding %" PRIu32 " has no buffer; set it", i);
        }
    }
    if (execution->binding_count == 0) {
        return SEGUE_OK;
    }
    struct slot_check check = {.device = device, .execution = execution, .status = SEGUE_OK};
    segue_status status =
        segue_command_buffer_visit(execution->command_buffer, check_command, &check);
    return status == SEGUE_OK ? check.status : status;
}
