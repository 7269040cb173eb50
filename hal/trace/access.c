// SPDX-License-Identifier: Apache-2.0
#include "access.h"

uint32_t segue_trace_access_count(const struct segue_trace_command *command)
{
    switch (command->kind) {
    case SEGUE_COMMAND_FILL:
    case SEGUE_COMMAND_UPDATE:
        return 1;
    case SEGUE_COMMAND_COPY:
        return 2;
    case SEGUE_COMMAND_DISPATCH:
        return command->as.dispatch->binding_count;
    default:
        return 0;
    }
}

uint32_t segue_trace_dispatch_usage(enum segue_access access)
{
    switch (access) {
    case SEGUE_ACCESS_READ:
    case SEGUE_ACCESS_CONSTANT:
        return SEGUE_BUFFER_USAGE_DISPATCH_READ;
    case SEGUE_ACCESS_WRITE:
        return SEGUE_BUFFER_USAGE_DISPATCH_WRITE;
    default:
        return SEGUE_BUFFER_USAGE_DISPATCH_READ | SEGUE_BUFFER_USAGE_DISPATCH_WRITE;
    }
}

static const struct segue_entry_point *entry_of(const struct segue_trace *trace,
                                                const struct segue_trace_dispatch *dispatch)
{
    return &trace->executables[dispatch->executable].params.entry_points[dispatch->entry_point];
}

static struct segue_trace_access dispatch_access(const struct segue_trace *trace,
                                                 const struct segue_trace_dispatch *dispatch,
                                                 uint32_t index)
{
    const struct segue_entry_point *entry = entry_of(trace, dispatch);
    const struct segue_trace_executable *executable = &trace->executables[dispatch->executable];
    uint32_t position = executable->binding_parameters[dispatch->entry_point][index];
    const struct segue_parameter *parameter = &entry->parameters[position];
    uint32_t usage = segue_trace_dispatch_usage(parameter->access);
    return (struct segue_trace_access){
        .range = dispatch->bindings[index],
        .usage = usage,
        .write = (usage & SEGUE_BUFFER_USAGE_DISPATCH_WRITE) != 0,
        .align_bytes = parameter->align_bytes != 0 ? parameter->align_bytes : 1,
        .unit_bytes = 1,
        .key = "bindings",
        .index = index,
    };
}

struct segue_trace_access segue_trace_get_access(const struct segue_trace *trace,
                                                 const struct segue_trace_command *command,
                                                 uint32_t index)
{
    struct segue_trace_access access = {
        .usage = SEGUE_BUFFER_USAGE_TRANSFER_TARGET,
        .write = true,
        .align_bytes = 1,
        .unit_bytes = 1,
        .key = "target",
        .index = SEGUE_TRACE_NONE,
    };
    switch (command->kind) {
    case SEGUE_COMMAND_FILL:
        access.range = command->as.fill.target;
        access.align_bytes = command->as.fill.pattern_size_bytes;
        access.unit_bytes = command->as.fill.pattern_size_bytes;
        return access;
    case SEGUE_COMMAND_UPDATE:
        access.range = command->as.update.target;
        return access;
    case SEGUE_COMMAND_COPY:
        if (index == 1) {
            access.range = command->as.copy.target;
            return access;
        }
        access.range = command->as.copy.source;
        access.usage = SEGUE_BUFFER_USAGE_TRANSFER_SOURCE;
        access.write = false;
        access.key = "source";
        return access;
    default:
        return dispatch_access(trace, command->as.dispatch, index);
    }
}

bool segue_trace_is_opaque(const struct segue_trace *trace,
                           const struct segue_trace_command *command)
{
    return command->kind == SEGUE_COMMAND_DISPATCH &&
           (entry_of(trace, command->as.dispatch)->flags & SEGUE_ENTRY_OPAQUE) != 0;
}

/** Marks the memory that `buffer` lies in. */
static void mark(const struct segue_trace *trace, uint32_t buffer, bool *written)
{
    written[trace->buffers[buffer].root] = true;
}

static void mark_command(const struct segue_trace *trace, const struct segue_trace_command *command,
                         bool *written)
{
    uint32_t count = segue_trace_access_count(command);
    for (uint32_t i = 0; i < count; i++) {
        struct segue_trace_access access = segue_trace_get_access(trace, command, i);
        if (access.write && access.range.buffer != SEGUE_TRACE_NONE) {
            mark(trace, access.range.buffer, written);
        }
    }
    if (segue_trace_is_opaque(trace, command)) {
        for (uint32_t i = 0; i < trace->buffer_count; i++) {
            if (trace->buffers[i].memory != SEGUE_MEMORY_CONSTANT) {
                mark(trace, i, written);
            }
        }
    }
}

/** What the commands of an execution write through slots. */
static void mark_slots(const struct segue_trace *trace,
                       const struct segue_trace_execution *execution, bool *written)
{
    const struct segue_trace_command_buffer *command_buffer =
        &trace->command_buffers[execution->command_buffer];
    for (uint32_t i = 0; i < command_buffer->slot_command_count; i++) {
        const struct segue_trace_command *command =
            &command_buffer->commands[command_buffer->slot_commands[i]];
        uint32_t count = segue_trace_access_count(command);
        for (uint32_t k = 0; k < count; k++) {
            struct segue_trace_access access = segue_trace_get_access(trace, command, k);
            if (access.write && access.range.buffer == SEGUE_TRACE_NONE) {
                mark(trace, execution->bindings[access.range.slot].buffer, written);
            }
        }
    }
}

void segue_trace_find_written(const struct segue_trace *trace, bool *written)
{
    for (uint32_t i = 0; i < trace->buffer_count; i++) {
        written[i] = false;
    }
    for (uint32_t i = 0; i < trace->command_buffer_count; i++) {
        const struct segue_trace_command_buffer *command_buffer = &trace->command_buffers[i];
        for (uint32_t k = 0; k < command_buffer->command_count; k++) {
            mark_command(trace, &command_buffer->commands[k], written);
        }
    }
    for (uint32_t i = 0; i < trace->submission_count; i++) {
        for (uint32_t k = 0; k < trace->submissions[i].execution_count; k++) {
            mark_slots(trace, &trace->submissions[i].executions[k], written);
        }
    }
    for (uint32_t i = 0; i < trace->buffer_count; i++) {
        written[i] = written[trace->buffers[i].root];
    }
}
