// SPDX-License-Identifier: Apache-2.0
#include "trace_read.h"

#include "access.h"

#include <inttypes.h>

/** A slot range within what the slot stands for. */
static segue_status resolve(const struct segue_json *at, const segue_trace *trace,
                            const struct segue_trace_execution *execution, uint32_t command,
                            struct segue_trace_range *range)
{
    const struct segue_trace_range *binding = &execution->bindings[range->slot];
    const struct segue_trace_buffer *buffer = &trace->buffers[binding->buffer];
    uint64_t length = range->length_bytes;
    if (range->offset_bytes > binding->length_bytes) {
        return segue_json_fail(at,
                               "command %" PRIu32 " uses slot %" PRIu32 " from offset %" PRIu64
                               " on; bound are %" PRIu64 " bytes of buffer \"%s\"",
                               command, range->slot, range->offset_bytes, binding->length_bytes,
                               buffer->name);
    }
    if (length == SEGUE_WHOLE_SIZE) {
        length = binding->length_bytes - range->offset_bytes;
    }
    if (length > binding->length_bytes - range->offset_bytes) {
        return segue_json_fail(at,
                               "command %" PRIu32 " uses offset %" PRIu64 " + length %" PRIu64
                               " of slot %" PRIu32 "; bound are %" PRIu64 " bytes of buffer \"%s\"",
                               command, range->offset_bytes, length, range->slot,
                               binding->length_bytes, buffer->name);
    }
    range->buffer = binding->buffer;
    range->offset_bytes += binding->offset_bytes;
    range->length_bytes = length;
    return SEGUE_OK;
}

static segue_status check_copy(const struct segue_json *at, const segue_trace *trace,
                               uint32_t command, const struct segue_trace_range *source,
                               const struct segue_trace_range *target)
{
    const struct segue_trace_buffer *from = &trace->buffers[source->buffer];
    const struct segue_trace_buffer *to = &trace->buffers[target->buffer];
    uint64_t from_offset = from->root_offset_bytes + source->offset_bytes;
    uint64_t to_offset = to->root_offset_bytes + target->offset_bytes;
    if (source->length_bytes != target->length_bytes) {
        return segue_json_fail(at,
                               "command %" PRIu32 " copies %" PRIu64 " bytes to %" PRIu64 " bytes",
                               command, source->length_bytes, target->length_bytes);
    }
    if (from->root == to->root && source->length_bytes != 0 &&
        from_offset < to_offset + target->length_bytes &&
        to_offset < from_offset + source->length_bytes) {
        return segue_json_fail(at, "command %" PRIu32 ": source and target overlap", command);
    }
    return SEGUE_OK;
}

static segue_status check_command(const struct segue_json *at, const segue_trace *trace,
                                  const struct segue_trace_execution *execution, uint32_t index,
                                  const struct segue_trace_command *command)
{
    struct segue_trace_range copied[2] = {{0}, {0}};
    uint32_t count = segue_trace_access_count(command);
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_trace_access access = segue_trace_get_access(trace, command, i);
        if (access.range.buffer == SEGUE_TRACE_NONE) {
            status = resolve(at, trace, execution, index, &access.range);
            if (status == SEGUE_OK) {
                status =
                    segue_trace_check_usage(at, &trace->buffers[access.range.buffer], access.usage);
            }
        }
        if (status != SEGUE_OK) {
            return status;
        }
        const struct segue_trace_buffer *buffer = &trace->buffers[access.range.buffer];
        uint64_t offset = buffer->root_offset_bytes + access.range.offset_bytes;
        if (offset % access.align_bytes != 0 ||
            access.range.length_bytes % access.unit_bytes != 0) {
            return segue_json_fail(at,
                                   "command %" PRIu32 ": memory offset %" PRIu64
                                   " or length %" PRIu64 " of buffer \"%s\" is not a multiple of "
                                   "%" PRIu32,
                                   index, offset, access.range.length_bytes, buffer->name,
                                   access.align_bytes);
        }
        if (command->kind == SEGUE_COMMAND_COPY) {
            copied[i] = access.range;
        }
    }
    return command->kind == SEGUE_COMMAND_COPY
               ? check_copy(at, trace, index, &copied[0], &copied[1])
               : status;
}

/** Ranges of barriers may lie outside: then they order nothing more. */
segue_status segue_trace_check_slots(const struct segue_json *at, const segue_trace *trace,
                                     const struct segue_trace_execution *execution)
{
    const struct segue_trace_command_buffer *command_buffer =
        &trace->command_buffers[execution->command_buffer];
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < command_buffer->slot_command_count; i++) {
        uint32_t index = command_buffer->slot_commands[i];
        status = check_command(at, trace, execution, index, &command_buffer->commands[index]);
    }
    return status;
}
