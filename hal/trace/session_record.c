// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include "error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Memory that commands are put together in; grows to the largest command. */
struct scratch {
    void *data;
    size_t capacity_bytes;
};

static void *reserve(struct scratch *scratch, size_t size_bytes)
{
    if (size_bytes > scratch->capacity_bytes) {
        void *data = realloc(scratch->data, size_bytes);
        if (data == NULL) {
            return NULL;
        }
        scratch->data = data;
        scratch->capacity_bytes = size_bytes;
    }
    return scratch->data;
}

/** Puts device addresses into a copy of the constants. */
static void patch_pointers(const segue_trace_session *session,
                           const struct segue_trace_dispatch *dispatch, unsigned char *constants)
{
    for (uint32_t i = 0; i < dispatch->pointer_count; i++) {
        const struct segue_trace_pointer *pointer = &dispatch->pointers[i];
        struct segue_buffer_info info;
        segue_buffer_get_info(session->buffers[pointer->buffer], &info);
        uint64_t address = info.device_address + pointer->offset_bytes;
        memcpy(constants + pointer->position_bytes, &address, sizeof(address));
    }
}

static segue_status record_dispatch(segue_trace_session *session, segue_command_buffer *target,
                                    const struct segue_trace_dispatch *dispatch,
                                    struct scratch *scratch)
{
    size_t bindings_bytes = dispatch->binding_count * sizeof(struct segue_buffer_ref);
    struct segue_buffer_ref *bindings =
        reserve(scratch, bindings_bytes + dispatch->constants_bytes + 1);
    if (bindings == NULL) {
        return segue_trace_fail_memory("recording");
    }
    unsigned char *constants = (unsigned char *)bindings + bindings_bytes;
    for (uint32_t i = 0; i < dispatch->binding_count; i++) {
        bindings[i] = segue_session_ref(session, &dispatch->bindings[i]);
    }
    memcpy(constants, dispatch->constants, dispatch->constants_bytes);
    patch_pointers(session, dispatch, constants);
    const struct segue_dispatch params = {
        .executable = session->executables[dispatch->executable],
        .entry_point = dispatch->entry_point,
        .grid = {dispatch->grid[0], dispatch->grid[1], dispatch->grid[2]},
        .block = {dispatch->block[0], dispatch->block[1], dispatch->block[2]},
        .dynamic_shared_bytes = dispatch->dynamic_shared_bytes,
        .bindings = bindings,
        .binding_count = dispatch->binding_count,
        .constants = constants,
        .constants_size_bytes = dispatch->constants_bytes,
        .duration_ns = dispatch->duration_ns,
        .constant_uses = dispatch->constant_uses,
        .constant_use_count = dispatch->constant_use_count,
    };
    return segue_cmd_dispatch(target, &params);
}

static segue_status record_barrier(segue_trace_session *session, segue_command_buffer *target,
                                   const struct segue_trace_barrier *barrier,
                                   struct scratch *scratch)
{
    struct segue_buffer_barrier *items =
        reserve(scratch, barrier->buffer_barrier_count * sizeof(items[0]) + 1);
    if (items == NULL) {
        return segue_trace_fail_memory("recording");
    }
    for (uint32_t i = 0; i < barrier->buffer_barrier_count; i++) {
        const struct segue_trace_buffer_barrier *item = &barrier->buffer_barriers[i];
        items[i] = (struct segue_buffer_barrier){
            .source = item->source,
            .target = item->target,
            .range = segue_session_ref(session, &item->range),
        };
    }
    const struct segue_barrier params = {
        .flags = barrier->flags,
        .memory_barriers = barrier->memory_barriers,
        .memory_barrier_count = barrier->memory_barrier_count,
        .buffer_barriers = items,
        .buffer_barrier_count = barrier->buffer_barrier_count,
    };
    return segue_cmd_barrier(target, &params);
}

static segue_status record_command(segue_trace_session *session, segue_command_buffer *target,
                                   const struct segue_trace_command *command,
                                   struct scratch *scratch)
{
    switch (command->kind) {
    case SEGUE_COMMAND_FILL:
        return segue_cmd_fill(target, segue_session_ref(session, &command->as.fill.target),
                              command->as.fill.pattern, command->as.fill.pattern_size_bytes);
    case SEGUE_COMMAND_UPDATE:
        return segue_cmd_update(target, segue_session_ref(session, &command->as.update.target),
                                command->as.update.data);
    case SEGUE_COMMAND_COPY:
        return segue_cmd_copy(target, segue_session_ref(session, &command->as.copy.source),
                              segue_session_ref(session, &command->as.copy.target));
    case SEGUE_COMMAND_DISPATCH:
        return record_dispatch(session, target, command->as.dispatch, scratch);
    case SEGUE_COMMAND_BARRIER:
        return record_barrier(session, target, command->as.barrier, scratch);
    case SEGUE_COMMAND_SIGNAL_EVENT:
        return segue_cmd_signal_event(target, session->events[command->as.event]);
    case SEGUE_COMMAND_RESET_EVENT:
        return segue_cmd_reset_event(target, session->events[command->as.event]);
    case SEGUE_COMMAND_WAIT_EVENT:
        return segue_cmd_wait_event(target, session->events[command->as.event]);
    case SEGUE_COMMAND_BEGIN_GROUP:
        return segue_cmd_begin_group(target, command->as.group_label);
    default:
        return segue_cmd_end_group(target);
    }
}

/** Number of commands of this command buffer that are recorded. */
static uint32_t find_limit(const segue_trace_session *session, uint32_t index)
{
    bool limited =
        session->params.limit_commands && session->params.limited_command_buffer == index;
    return limited ? session->params.command_limit : UINT32_MAX;
}

static bool is_event(const struct segue_trace_command *command)
{
    return command->kind == SEGUE_COMMAND_SIGNAL_EVENT ||
           command->kind == SEGUE_COMMAND_RESET_EVENT || command->kind == SEGUE_COMMAND_WAIT_EVENT;
}

/** Beyond the limit only events are recorded, so that other command buffers find them as they
 *  would, and the groups that are open are closed. */
static segue_status record_commands(segue_trace_session *session, uint32_t index,
                                    struct scratch *scratch)
{
    const struct segue_trace_command_buffer *model = &session->trace->command_buffers[index];
    segue_command_buffer *target = session->command_buffers[index];
    uint32_t limit = find_limit(session, index);
    uint32_t depth = 0;
    if (session->params.profile) {
        segue_status status = segue_session_begin_profile(session, index);
        if (status != SEGUE_OK) {
            return status;
        }
    }
    for (uint32_t i = 0; i < model->command_count; i++) {
        const struct segue_trace_command *command = &model->commands[i];
        if (i >= limit && !is_event(command)) {
            continue;
        }
        segue_status status = record_command(session, target, command, scratch);
        if (status != SEGUE_OK) {
            char where[96];
            snprintf(where, sizeof(where), "/command_buffers/%" PRIu32 "/commands/%" PRIu32, index,
                     i);
            return segue_session_blame(session, status, where);
        }
        if (session->params.profile) {
            status = segue_session_stamp(session, index, i);
            if (status != SEGUE_OK) {
                return status;
            }
        }
        depth += command->kind == SEGUE_COMMAND_BEGIN_GROUP;
        depth -= command->kind == SEGUE_COMMAND_END_GROUP;
    }
    segue_status status = SEGUE_OK;
    for (; status == SEGUE_OK && depth != 0; depth--) {
        status = segue_cmd_end_group(target);
    }
    return status;
}

segue_status segue_session_record(segue_trace_session *session, uint32_t index)
{
    segue_command_buffer *target = session->command_buffers[index];
    struct scratch scratch = {0};
    segue_status status = segue_command_buffer_begin(target);
    if (status == SEGUE_OK) {
        status = record_commands(session, index, &scratch);
    }
    free(scratch.data);
    if (status == SEGUE_OK) {
        char where[64];
        snprintf(where, sizeof(where), "/command_buffers/%" PRIu32, index);
        status = segue_session_blame(session, segue_command_buffer_end(target), where);
    }
    return status;
}
