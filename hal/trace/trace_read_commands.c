// SPDX-License-Identifier: Apache-2.0
#include "trace_read.h"

#include "access.h"
#include "error.h"
#include "vocabulary.h"

#include <inttypes.h>
#include <string.h>

static segue_status read_member_range(const struct segue_json *at, const char *key,
                                      const segue_trace *trace,
                                      const struct segue_trace_command_buffer *command_buffer,
                                      uint32_t usage, struct segue_trace_range *out_range)
{
    struct segue_json child;
    const struct segue_trace_range_rules rules = {.command_buffer = command_buffer, .usage = usage};
    segue_status status = segue_json_member(at, key, &child);
    return status == SEGUE_OK ? segue_trace_read_range(&child, trace, &rules, out_range) : status;
}

static segue_status read_fill(const struct segue_json *at, segue_trace *trace,
                              const struct segue_trace_command_buffer *command_buffer,
                              struct segue_trace_command *command)
{
    static const char *const keys[] = {"op", "target", "pattern", "pattern_size", NULL};
    uint32_t size_bytes = 4;
    uint64_t pattern = 0;
    struct segue_json child;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = read_member_range(at, "target", trace, command_buffer,
                                   SEGUE_BUFFER_USAGE_TRANSFER_TARGET, &command->as.fill.target);
    }
    if (status == SEGUE_OK && segue_json_optional(at, "pattern_size", &child)) {
        status = segue_json_optional_u32(at, "pattern_size", 1, 4, &size_bytes);
        if (status == SEGUE_OK && size_bytes == 3) {
            return segue_json_fail(&child, "must be 1, 2 or 4");
        }
    }
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "pattern", &child);
    }
    if (status == SEGUE_OK) {
        status = segue_json_u64(&child, 0, UINT32_MAX >> (32 - 8 * size_bytes), &pattern);
    }
    command->as.fill.pattern = (uint32_t)pattern;
    command->as.fill.pattern_size_bytes = size_bytes;
    return status;
}

static segue_status read_update_data(const struct segue_json *at, segue_trace *trace,
                                     const unsigned char **out_data, uint64_t *out_length_bytes)
{
    struct segue_json hex;
    struct segue_json tensor_at;
    unsigned char *data = NULL;
    bool has_hex = segue_json_optional(at, "hex", &hex);
    if (has_hex == segue_json_optional(at, "tensor", &tensor_at)) {
        return segue_json_fail(at, "needs either \"hex\" or \"tensor\"");
    }
    segue_status status;
    if (has_hex) {
        const char *digits = NULL;
        uint32_t length = 0;
        status = segue_json_hex(&hex, SEGUE_MAX_UPDATE_BYTES, &digits, &length);
        if (status == SEGUE_OK) {
            status = segue_trace_allocate(trace, length, 1, &data);
        }
        if (status == SEGUE_OK) {
            segue_hex_decode(digits, length, data);
            *out_length_bytes = length;
        }
    } else {
        uint32_t tensor = 0;
        status = segue_trace_read_reference(at, "tensor", &trace->tensor_names, "tensor", &tensor);
        uint64_t length = status == SEGUE_OK ? trace->tensors[tensor].tensor->size_bytes : 0;
        if (length > SEGUE_MAX_UPDATE_BYTES) {
            return segue_json_fail(&tensor_at, "%" PRIu64 " bytes; an update takes at most %d",
                                   length, SEGUE_MAX_UPDATE_BYTES);
        }
        if (status == SEGUE_OK) {
            status = segue_trace_allocate(trace, (size_t)length, 1, &data);
        }
        if (status == SEGUE_OK) {
            status = segue_trace_read_tensor(trace, tensor, 0, data, (size_t)length);
            *out_length_bytes = length;
        }
    }
    *out_data = data;
    return status;
}

/** Whether a range says how long it is. */
static bool has_length(const struct segue_json *at, const char *key)
{
    struct segue_json range;
    struct segue_json length;
    return segue_json_optional(at, key, &range) && segue_json_optional(&range, "length", &length);
}

/** Gives a range that does not say how long it is the length that follows from elsewhere. */
static segue_status set_length(const struct segue_json *at, const char *key,
                               const segue_trace *trace, struct segue_trace_range *range,
                               uint64_t length_bytes)
{
    struct segue_json child;
    segue_status status = segue_json_member(at, key, &child);
    range->length_bytes = length_bytes;
    return status == SEGUE_OK ? segue_trace_resolve_range(&child, trace, range) : status;
}

static segue_status read_update(const struct segue_json *at, segue_trace *trace,
                                const struct segue_trace_command_buffer *command_buffer,
                                struct segue_trace_command *command)
{
    static const char *const keys[] = {"op", "target", "hex", "tensor", NULL};
    uint64_t length = 0;
    struct segue_trace_range *range = &command->as.update.target;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = read_update_data(at, trace, &command->as.update.data, &length);
    }
    if (status == SEGUE_OK) {
        status = read_member_range(at, "target", trace, command_buffer,
                                   SEGUE_BUFFER_USAGE_TRANSFER_TARGET, range);
    }
    if (status == SEGUE_OK && !has_length(at, "target")) {
        return set_length(at, "target", trace, range, length);
    }
    if (status == SEGUE_OK && range->length_bytes != length) {
        return segue_json_fail(at, "the target has %" PRIu64 " bytes, the data %" PRIu64,
                               range->length_bytes, length);
    }
    return status;
}

/** Lengths agree, and the ranges do not overlap in one memory. */
static segue_status check_copy(const struct segue_json *at, const segue_trace *trace,
                               const struct segue_trace_range *source,
                               const struct segue_trace_range *target)
{
    if (source->length_bytes != target->length_bytes) {
        return segue_json_fail(at, "the source has %" PRIu64 " bytes, the target %" PRIu64,
                               source->length_bytes, target->length_bytes);
    }
    if (source->buffer == SEGUE_TRACE_NONE || target->buffer == SEGUE_TRACE_NONE ||
        source->length_bytes == 0) {
        return SEGUE_OK;
    }
    const struct segue_trace_buffer *from = &trace->buffers[source->buffer];
    const struct segue_trace_buffer *to = &trace->buffers[target->buffer];
    uint64_t from_offset = from->root_offset_bytes + source->offset_bytes;
    uint64_t to_offset = to->root_offset_bytes + target->offset_bytes;
    if (from->root == to->root && from_offset < to_offset + target->length_bytes &&
        to_offset < from_offset + source->length_bytes) {
        return segue_json_fail(at, "source and target overlap");
    }
    return SEGUE_OK;
}

static segue_status read_copy(const struct segue_json *at, segue_trace *trace,
                              const struct segue_trace_command_buffer *command_buffer,
                              struct segue_trace_command *command)
{
    static const char *const keys[] = {"op", "source", "target", NULL};
    struct segue_trace_range *source = &command->as.copy.source;
    struct segue_trace_range *target = &command->as.copy.target;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = read_member_range(at, "source", trace, command_buffer,
                                   SEGUE_BUFFER_USAGE_TRANSFER_SOURCE, source);
    }
    if (status == SEGUE_OK) {
        status = read_member_range(at, "target", trace, command_buffer,
                                   SEGUE_BUFFER_USAGE_TRANSFER_TARGET, target);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    bool source_says = has_length(at, "source");
    bool target_says = has_length(at, "target");
    if (source_says && !target_says) {
        status = set_length(at, "target", trace, target, source->length_bytes);
    } else if (target_says && !source_says) {
        status = set_length(at, "source", trace, source, target->length_bytes);
    } else if (source->length_bytes == SEGUE_WHOLE_SIZE) {
        // The rest of a slot and the rest of a buffer: the buffer's is known.
        source->length_bytes = target->length_bytes;
    } else if (target->length_bytes == SEGUE_WHOLE_SIZE) {
        target->length_bytes = source->length_bytes;
    }
    if (status != SEGUE_OK) {
        return status;
    }
    return check_copy(at, trace, source, target);
}

static segue_status read_event(const struct segue_json *at, segue_trace *trace,
                               struct segue_trace_command *command)
{
    static const char *const keys[] = {"op", "event", NULL};
    segue_status status = segue_json_object(at, keys);
    return status == SEGUE_OK ? segue_trace_read_reference(at, "event", &trace->event_names,
                                                           "event", &command->as.event)
                              : status;
}

static segue_status read_group(const struct segue_json *at, segue_trace *trace, uint32_t *depth,
                               struct segue_trace_command *command)
{
    static const char *const begin_keys[] = {"op", "label", NULL};
    static const char *const end_keys[] = {"op", NULL};
    bool begins = command->kind == SEGUE_COMMAND_BEGIN_GROUP;
    segue_status status = segue_json_object(at, begins ? begin_keys : end_keys);
    if (status == SEGUE_OK && begins && *depth == SEGUE_TRACE_MAX_GROUP_DEPTH) {
        return segue_json_fail(at, "groups are nested more than %d deep",
                               SEGUE_TRACE_MAX_GROUP_DEPTH);
    }
    if (status == SEGUE_OK && !begins && *depth == 0) {
        return segue_json_fail(at, "no group is open");
    }
    *depth += begins ? 1 : UINT32_MAX;
    if (status == SEGUE_OK && begins) {
        status = segue_trace_read_label(at, trace, "", &command->as.group_label);
    }
    return status;
}

static segue_status read_command(const struct segue_json *at, segue_trace *trace,
                                 const struct segue_trace_command_buffer *command_buffer,
                                 uint32_t *depth, struct segue_trace_command *command)
{
    struct segue_json op;
    uint32_t kind = 0;
    segue_status status = segue_json_member(at, "op", &op);
    if (status == SEGUE_OK) {
        status = segue_json_enum(&op, segue_command_names, SEGUE_COMMAND_NAME_COUNT, &kind);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    command->kind = (enum segue_command_kind)kind;
    switch (command->kind) {
    case SEGUE_COMMAND_FILL:
        return read_fill(at, trace, command_buffer, command);
    case SEGUE_COMMAND_UPDATE:
        return read_update(at, trace, command_buffer, command);
    case SEGUE_COMMAND_COPY:
        return read_copy(at, trace, command_buffer, command);
    case SEGUE_COMMAND_DISPATCH:
        return segue_trace_read_dispatch(at, trace, command_buffer, command);
    case SEGUE_COMMAND_BARRIER:
        return segue_trace_read_barrier(at, trace, command_buffer, command);
    case SEGUE_COMMAND_SIGNAL_EVENT:
    case SEGUE_COMMAND_RESET_EVENT:
    case SEGUE_COMMAND_WAIT_EVENT:
        return read_event(at, trace, command);
    default:
        return read_group(at, trace, depth, command);
    }
}

/** Alignment of accesses to buffers; those through slots wait for a submission's table. */
static segue_status check_alignment(const struct segue_json *at, const segue_trace *trace,
                                    const struct segue_trace_command *command)
{
    uint32_t count = segue_trace_access_count(command);
    for (uint32_t i = 0; i < count; i++) {
        struct segue_trace_access access = segue_trace_get_access(trace, command, i);
        if (access.range.buffer == SEGUE_TRACE_NONE) {
            continue;
        }
        const struct segue_trace_buffer *buffer = &trace->buffers[access.range.buffer];
        uint64_t offset = buffer->root_offset_bytes + access.range.offset_bytes;
        if (offset % access.align_bytes == 0 &&
            access.range.length_bytes % access.unit_bytes == 0) {
            continue;
        }
        struct segue_json child;
        segue_status status = segue_json_member(at, access.key, &child);
        if (status != SEGUE_OK) {
            return status;
        }
        struct segue_json element =
            access.index != SEGUE_TRACE_NONE ? segue_json_element(&child, access.index) : child;
        return segue_json_fail(&element,
                               "memory offset %" PRIu64 " or length %" PRIu64
                               " of buffer \"%s\" is not a multiple of %" PRIu32,
                               offset, access.range.length_bytes, buffer->name, access.align_bytes);
    }
    return SEGUE_OK;
}

/** Whether the command names a slot anywhere. */
static bool uses_slots(const segue_trace *trace, const struct segue_trace_command *command)
{
    if (command->kind == SEGUE_COMMAND_BARRIER) {
        const struct segue_trace_barrier *barrier = command->as.barrier;
        for (uint32_t i = 0; i < barrier->buffer_barrier_count; i++) {
            if (barrier->buffer_barriers[i].range.buffer == SEGUE_TRACE_NONE) {
                return true;
            }
        }
        return false;
    }
    uint32_t count = segue_trace_access_count(command);
    for (uint32_t i = 0; i < count; i++) {
        if (segue_trace_get_access(trace, command, i).range.buffer == SEGUE_TRACE_NONE) {
            return true;
        }
    }
    return false;
}

static bool uses_events(const struct segue_trace_command *command)
{
    return command->kind == SEGUE_COMMAND_SIGNAL_EVENT ||
           command->kind == SEGUE_COMMAND_RESET_EVENT || command->kind == SEGUE_COMMAND_WAIT_EVENT;
}

/** Lists the commands that later checks look at, so that these need not walk all of them. */
static segue_status list_special(segue_trace *trace,
                                 struct segue_trace_command_buffer *command_buffer)
{
    uint32_t *slots = NULL;
    uint32_t *events = NULL;
    uint32_t slot_count = 0;
    uint32_t event_count = 0;
    for (uint32_t i = 0; i < command_buffer->command_count; i++) {
        slot_count += uses_slots(trace, &command_buffer->commands[i]);
        event_count += uses_events(&command_buffer->commands[i]);
    }
    segue_status status = segue_trace_allocate(trace, slot_count, sizeof(slots[0]), &slots);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, event_count, sizeof(events[0]), &events);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    command_buffer->slot_commands = slots;
    command_buffer->event_commands = events;
    for (uint32_t i = 0; i < command_buffer->command_count; i++) {
        if (uses_slots(trace, &command_buffer->commands[i])) {
            slots[command_buffer->slot_command_count++] = i;
        }
        if (uses_events(&command_buffer->commands[i])) {
            events[command_buffer->event_command_count++] = i;
        }
    }
    return SEGUE_OK;
}

segue_status segue_trace_read_commands(const struct segue_json *at, segue_trace *trace,
                                       struct segue_trace_command_buffer *command_buffer)
{
    struct segue_json child;
    uint32_t count = 0;
    uint32_t depth = 0;
    struct segue_trace_command *commands = NULL;
    segue_status status = segue_json_member(at, "commands", &child);
    if (status == SEGUE_OK) {
        status = segue_json_array(&child, SEGUE_TRACE_MAX_COMMANDS - trace->command_count, &count);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(commands[0]), &commands);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        status = read_command(&element, trace, command_buffer, &depth, &commands[i]);
        if (status == SEGUE_OK) {
            status = check_alignment(&element, trace, &commands[i]);
        }
    }
    if (status == SEGUE_OK && depth != 0) {
        return segue_json_fail(&child, "%" PRIu32 " groups are still open at the end", depth);
    }
    command_buffer->commands = commands;
    command_buffer->command_count = count;
    trace->command_count += count;
    return status == SEGUE_OK ? list_special(trace, command_buffer) : status;
}
