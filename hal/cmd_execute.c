// SPDX-License-Identifier: Apache-2.0
#include "command_info.h"
#include "constant_slots.h"

#include <inttypes.h>

/** A secondary being recorded into a primary. */
struct execution {
    segue_command_buffer *primary;
    const segue_command_buffer *secondary;
    const struct segue_buffer_ref *bindings;
    /** Per constant slot of the secondary: that of the primary; the primary's count: none. */
    uint32_t *constant_slots;
    /** Room for the uses of one dispatch. */
    struct segue_constant_use *uses;
    size_t use_capacity;
    /** What the references of the current command stand for is checked on its head. */
    struct segue_segment head;
};

static segue_status binding_exceeded(const struct execution *execution,
                                     const struct segue_buffer_ref *ref, uint64_t bound_bytes)
{
    struct segue_dispatch_segment head = {.base = execution->head};
    return segue_record_fail(execution->primary, &head.base, SEGUE_OUT_OF_RANGE,
                             "slot %u is used at offset %" PRIu64 ", length %" PRIu64
                             ", but only %" PRIu64 " bytes are bound to it here",
                             ref->slot, ref->offset_bytes, ref->length_bytes, bound_bytes);
}

/** Replaces a reference to a slot of the secondary by what is bound to it. */
static segue_status remap(const struct execution *execution, struct segue_buffer_ref *ref)
{
    if (ref->buffer)
        return SEGUE_OK;
    const struct segue_buffer_ref *bound = &execution->bindings[ref->slot];
    uint64_t bound_bytes = bound->length_bytes;
    if (bound_bytes == SEGUE_WHOLE_SIZE && bound->buffer)
        bound_bytes = bound->buffer->size_bytes - bound->offset_bytes;

    struct segue_buffer_ref mapped = {
        .buffer = bound->buffer,
        .slot = bound->slot,
        .offset_bytes = bound->offset_bytes + ref->offset_bytes,
        .length_bytes = ref->length_bytes,
    };
    if (mapped.offset_bytes < ref->offset_bytes)
        return binding_exceeded(execution, ref, bound_bytes);
    // How much a slot of the primary holds may not be known before submission.
    if (bound_bytes != SEGUE_WHOLE_SIZE) {
        if (ref->offset_bytes > bound_bytes)
            return binding_exceeded(execution, ref, bound_bytes);
        uint64_t rest_bytes = bound_bytes - ref->offset_bytes;
        if (ref->length_bytes == SEGUE_WHOLE_SIZE)
            mapped.length_bytes = rest_bytes;
        else if (ref->length_bytes > rest_bytes)
            return binding_exceeded(execution, ref, bound_bytes);
    }
    *ref = mapped;
    return SEGUE_OK;
}

/** Replaces the constant slots of a dispatch by those of the same names in the primary. */
static segue_status remap_constants(struct execution *execution, struct segue_dispatch *dispatch)
{
    segue_command_buffer *primary = execution->primary;
    const struct segue_dispatch_segment head = {.base = execution->head};
    void *uses = execution->uses;
    if (!segue_grow(&primary->device->allocator, &uses, &execution->use_capacity,
                    dispatch->constant_use_count, sizeof *execution->uses))
        return segue_record_no_memory(primary, SEGUE_COMMAND_DISPATCH);
    execution->uses = uses;
    for (uint32_t i = 0; i < dispatch->constant_use_count; i++) {
        const struct segue_constant_use *use = &dispatch->constant_uses[i];
        execution->uses[i] = *use;
        execution->uses[i].slot = execution->constant_slots[use->slot];
        if (execution->uses[i].slot == primary->constants.count)
            return segue_record_fail(primary, &head.base, SEGUE_INVALID_ARGUMENT,
                                     "uses constant slot \"%s\", and this command buffer declares "
                                     "none of that name",
                                     execution->secondary->constants.slots[use->slot].name);
    }
    dispatch->constant_uses = execution->uses;
    return SEGUE_OK;
}

static segue_status record_dispatch(struct execution *execution, struct segue_dispatch *dispatch,
                                    struct segue_command_scratch *scratch)
{
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; i < dispatch->binding_count && status == SEGUE_OK; i++)
        status = remap(execution, &scratch->refs[i]);
    if (status == SEGUE_OK && dispatch->constant_use_count != 0)
        status = remap_constants(execution, dispatch);
    return status == SEGUE_OK ? segue_cmd_dispatch(execution->primary, dispatch) : status;
}

static segue_status record_barrier(const struct execution *execution,
                                   const struct segue_barrier *barrier,
                                   struct segue_command_scratch *scratch)
{
    for (uint32_t i = 0; i < barrier->buffer_barrier_count; i++) {
        segue_status status = remap(execution, &scratch->barriers[i].range);
        if (status != SEGUE_OK)
            return status;
    }
    return segue_cmd_barrier(execution->primary, barrier);
}

/** Records one command of the secondary as if the caller had. */
static segue_status record_again(struct execution *execution, struct segue_command_info *command,
                                 struct segue_command_scratch *scratch)
{
    segue_command_buffer *primary = execution->primary;
    segue_status status;
    switch (command->kind) {
    case SEGUE_COMMAND_FILL:
        status = remap(execution, &command->as.fill.target);
        if (status != SEGUE_OK)
            return status;
        return segue_cmd_fill(primary, command->as.fill.target, command->as.fill.pattern,
                              command->as.fill.pattern_size_bytes);
    case SEGUE_COMMAND_UPDATE:
        status = remap(execution, &command->as.update.target);
        if (status != SEGUE_OK)
            return status;
        return segue_cmd_update(primary, command->as.update.target, command->as.update.data);
    case SEGUE_COMMAND_COPY:
        status = remap(execution, &command->as.copy.source);
        if (status == SEGUE_OK)
            status = remap(execution, &command->as.copy.target);
        if (status != SEGUE_OK)
            return status;
        return segue_cmd_copy(primary, command->as.copy.source, command->as.copy.target);
    case SEGUE_COMMAND_DISPATCH:
        return record_dispatch(execution, &command->as.dispatch, scratch);
    case SEGUE_COMMAND_BARRIER:
        return record_barrier(execution, &command->as.barrier, scratch);
    case SEGUE_COMMAND_SIGNAL_EVENT:
        return segue_cmd_signal_event(primary, command->as.event);
    case SEGUE_COMMAND_RESET_EVENT:
        return segue_cmd_reset_event(primary, command->as.event);
    case SEGUE_COMMAND_WAIT_EVENT:
        return segue_cmd_wait_event(primary, command->as.event);
    case SEGUE_COMMAND_BEGIN_GROUP:
        return segue_cmd_begin_group(primary, command->as.group_label);
    case SEGUE_COMMAND_END_GROUP:
        break;
    }
    return segue_cmd_end_group(primary);
}

static segue_status check_secondary(segue_command_buffer *primary, const struct segue_segment *head,
                                    const segue_command_buffer *secondary,
                                    const struct segue_buffer_ref *bindings, uint32_t binding_count)
{
    if (!secondary)
        return segue_record_fail(primary, head, SEGUE_INVALID_ARGUMENT, "secondary is NULL");
    if (secondary->device != primary->device)
        return segue_record_fail(primary, head, SEGUE_INVALID_ARGUMENT,
                                 "command buffer \"%s\" belongs to another device (%s)",
                                 secondary->label, secondary->device->uri);
    if (secondary->state != SEGUE_STATE_ENDED)
        return segue_record_fail(primary, head, SEGUE_INVALID_STATE,
                                 "command buffer \"%s\" has not ended well; end it first",
                                 secondary->label);
    if (binding_count != secondary->slot_count || (binding_count != 0 && !bindings))
        return segue_record_fail(primary, head, SEGUE_INVALID_ARGUMENT,
                                 "%u bindings at %s, but command buffer \"%s\" has %u slots; give "
                                 "one per slot",
                                 binding_count, bindings ? "an array" : "NULL", secondary->label,
                                 secondary->slot_count);
    for (uint32_t i = 0; i < binding_count; i++) {
        const struct segue_range_rules rules = {0};
        struct segue_range range;
        if (!segue_record_range(primary, &bindings[i], rules, &range))
            return segue_record_range_failed(primary, head, "binding", i, &bindings[i], rules);
    }
    return SEGUE_OK;
}

/** Finds the secondary's constant slots in the primary. False when out of memory. */
static bool find_constant_slots(struct execution *execution)
{
    const struct segue_command_buffer *primary = execution->primary;
    const struct segue_constant_slots *slots = &execution->secondary->constants;
    if (slots->count == 0)
        return true;
    execution->constant_slots = segue_allocate(&primary->device->allocator,
                                               slots->count * sizeof *execution->constant_slots);
    for (uint32_t i = 0; execution->constant_slots && i < slots->count; i++)
        execution->constant_slots[i] =
            segue_constant_slots_find(&primary->constants, slots->slots[i].name);
    return execution->constant_slots != NULL;
}

segue_status segue_cmd_execute(segue_command_buffer *command_buffer,
                               segue_command_buffer *secondary,
                               const struct segue_buffer_ref *bindings, uint32_t binding_count)
{
    segue_status status = segue_record_check(command_buffer);
    if (status != SEGUE_OK)
        return status;
    struct execution execution = {
        .primary = command_buffer,
        .secondary = secondary,
        .bindings = bindings,
        .head = segue_record_head(command_buffer, SEGUE_COMMAND_FILL),
    };
    execution.head.kind = SEGUE_SEGMENT_EXECUTE;
    status = check_secondary(command_buffer, &execution.head, secondary, bindings, binding_count);
    if (status != SEGUE_OK)
        return status;

    const struct segue_allocator *allocator = &command_buffer->device->allocator;
    if (!find_constant_slots(&execution))
        return segue_record_no_memory(command_buffer, SEGUE_COMMAND_DISPATCH);
    struct segue_command_scratch scratch = {.allocator = allocator};
    command_buffer->executing = secondary;
    const struct segue_recording *recording = secondary->recording;
    for (const struct segue_segment *segment = recording->first; segment && status == SEGUE_OK;
         segment = segment->next) {
        struct segue_command_info command;
        execution.head = segue_record_head(command_buffer, (enum segue_command_kind)segment->kind);
        if (segue_command_info_fill(recording, segment, &scratch, &command))
            status = record_again(&execution, &command, &scratch);
        else
            status = segue_record_no_memory(command_buffer, (enum segue_command_kind)segment->kind);
    }
    command_buffer->executing = NULL;
    segue_command_scratch_finish(&scratch);
    segue_release(allocator, execution.uses, execution.use_capacity * sizeof *execution.uses);
    segue_release(allocator, execution.constant_slots,
                  secondary->constants.count * sizeof *execution.constant_slots);
    return status;
}
