// SPDX-License-Identifier: Apache-2.0
#include "record.h"

#include <string.h>

static segue_status check_masks(segue_command_buffer *command_buffer,
                                const struct segue_segment *segment, const char *kind,
                                uint32_t index, uint32_t source, uint32_t target)
{
    if (source != 0 && target != 0 && ((source | target) & ~(uint32_t)SEGUE_ACCESS_MASK_ALL) == 0)
        return SEGUE_OK;
    return segue_record_fail(command_buffer, segment, SEGUE_INVALID_ARGUMENT,
                             "%s barrier %u: source is 0x%x, target 0x%x; each must be one or more "
                             "bits of segue_access_mask",
                             kind, index, source, target);
}

static segue_status check_barrier(segue_command_buffer *command_buffer,
                                  const struct segue_barrier *barrier)
{
    struct segue_segment head = segue_record_head(command_buffer, SEGUE_COMMAND_BARRIER);
    if ((barrier->flags & ~(uint32_t)SEGUE_BARRIER_EXECUTION) != 0)
        return segue_record_fail(command_buffer, &head, SEGUE_INVALID_ARGUMENT,
                                 "flags 0x%x has unknown bits; use bits of segue_barrier_flags",
                                 barrier->flags);
    if (barrier->memory_barrier_count != 0 && !barrier->memory_barriers)
        return segue_record_fail(command_buffer, &head, SEGUE_INVALID_ARGUMENT,
                                 "memory_barriers is NULL, the count %u",
                                 barrier->memory_barrier_count);
    if (barrier->buffer_barrier_count != 0 && !barrier->buffer_barriers)
        return segue_record_fail(command_buffer, &head, SEGUE_INVALID_ARGUMENT,
                                 "buffer_barriers is NULL, the count %u",
                                 barrier->buffer_barrier_count);
    for (uint32_t i = 0; i < barrier->memory_barrier_count; i++) {
        const struct segue_memory_barrier *item = &barrier->memory_barriers[i];
        segue_status status =
            check_masks(command_buffer, &head, "memory", i, item->source, item->target);
        if (status != SEGUE_OK)
            return status;
    }
    for (uint32_t i = 0; i < barrier->buffer_barrier_count; i++) {
        const struct segue_buffer_barrier *item = &barrier->buffer_barriers[i];
        segue_status status =
            check_masks(command_buffer, &head, "buffer", i, item->source, item->target);
        if (status != SEGUE_OK)
            return status;
    }
    return SEGUE_OK;
}

segue_status segue_cmd_barrier(segue_command_buffer *command_buffer,
                               const struct segue_barrier *barrier)
{
    static const struct segue_barrier execution = {.flags = SEGUE_BARRIER_EXECUTION};
    segue_status status = segue_record_check(command_buffer);
    if (status != SEGUE_OK)
        return status;
    if (!barrier)
        barrier = &execution;
    status = check_barrier(command_buffer, barrier);
    if (status != SEGUE_OK)
        return status;

    uint32_t buffer_count = barrier->buffer_barrier_count;
    uint32_t memory_count = barrier->memory_barrier_count;
    struct segue_barrier_segment *segment =
        segue_record_allocate(command_buffer, SEGUE_COMMAND_BARRIER,
                              sizeof *segment + buffer_count * sizeof segment->buffer_barriers[0] +
                                  memory_count * sizeof barrier->memory_barriers[0]);
    if (!segment)
        return segue_record_no_memory(command_buffer, SEGUE_COMMAND_BARRIER);
    segment->flags = barrier->flags;
    segment->memory_barrier_count = memory_count;
    segment->buffer_barrier_count = buffer_count;
    segment->reserved = 0;
    for (uint32_t i = 0; i < buffer_count; i++) {
        const struct segue_buffer_barrier *item = &barrier->buffer_barriers[i];
        const struct segue_range_rules rules = {0};
        segment->buffer_barriers[i].source = item->source;
        segment->buffer_barriers[i].target = item->target;
        if (!segue_record_range(command_buffer, &item->range, rules,
                                &segment->buffer_barriers[i].range))
            return segue_record_range_failed(command_buffer, &segment->base, "buffer barrier", i,
                                             &item->range, rules);
    }
    if (memory_count != 0)
        memcpy(segment->buffer_barriers + buffer_count, barrier->memory_barriers,
               memory_count * sizeof barrier->memory_barriers[0]);
    segue_record_commit(command_buffer, &segment->base);
    return SEGUE_OK;
}

static segue_status record_event(segue_command_buffer *command_buffer, segue_event *event,
                                 enum segue_command_kind kind)
{
    segue_status status = segue_record_check(command_buffer);
    if (status != SEGUE_OK)
        return status;
    struct segue_segment head = segue_record_head(command_buffer, kind);
    if (!event)
        return segue_record_fail(command_buffer, &head, SEGUE_INVALID_ARGUMENT, "event is NULL");
    if (event->object.device != command_buffer->device)
        return segue_record_fail(command_buffer, &head, SEGUE_INVALID_ARGUMENT,
                                 "the event belongs to another device (%s); use one of the command "
                                 "buffer's device",
                                 event->object.device->uri);
    struct segue_event_segment *segment =
        segue_record_allocate(command_buffer, kind, sizeof *segment);
    if (!segment || !segue_record_retain(command_buffer, &event->object))
        return segue_record_no_memory(command_buffer, kind);
    segment->event = event;
    segue_record_commit(command_buffer, &segment->base);
    command_buffer->recording->event_command_count++;
    return SEGUE_OK;
}

segue_status segue_cmd_signal_event(segue_command_buffer *command_buffer, segue_event *event)
{
    return record_event(command_buffer, event, SEGUE_COMMAND_SIGNAL_EVENT);
}

segue_status segue_cmd_reset_event(segue_command_buffer *command_buffer, segue_event *event)
{
    return record_event(command_buffer, event, SEGUE_COMMAND_RESET_EVENT);
}

segue_status segue_cmd_wait_event(segue_command_buffer *command_buffer, segue_event *event)
{
    return record_event(command_buffer, event, SEGUE_COMMAND_WAIT_EVENT);
}

segue_status segue_cmd_begin_group(segue_command_buffer *command_buffer, const char *label)
{
    segue_status status = segue_record_check(command_buffer);
    if (status != SEGUE_OK)
        return status;
    struct segue_segment head = segue_record_head(command_buffer, SEGUE_COMMAND_BEGIN_GROUP);
    if (!label)
        return segue_record_fail(command_buffer, &head, SEGUE_INVALID_ARGUMENT, "label is NULL");
    if (command_buffer->open_group_depth == SEGUE_MAX_GROUP_DEPTH)
        return segue_record_fail(command_buffer, &head, SEGUE_OUT_OF_RANGE,
                                 "group \"%s\" would be the %dth inside another; end some first",
                                 label, SEGUE_MAX_GROUP_DEPTH);
    struct segue_group_segment *segment =
        segue_record_allocate(command_buffer, SEGUE_COMMAND_BEGIN_GROUP, sizeof *segment);
    if (!segment)
        return segue_record_no_memory(command_buffer, SEGUE_COMMAND_BEGIN_GROUP);
    uint32_t group =
        segue_record_add_group(command_buffer->recording, label, command_buffer->open_group);
    if (group == SEGUE_NO_GROUP)
        return segue_record_no_memory(command_buffer, SEGUE_COMMAND_BEGIN_GROUP);
    segment->base.group = group;
    command_buffer->open_group = group;
    command_buffer->open_group_depth++;
    segue_record_commit(command_buffer, &segment->base);
    return SEGUE_OK;
}

segue_status segue_cmd_end_group(segue_command_buffer *command_buffer)
{
    segue_status status = segue_record_check(command_buffer);
    if (status != SEGUE_OK)
        return status;
    struct segue_segment head = segue_record_head(command_buffer, SEGUE_COMMAND_END_GROUP);
    if (command_buffer->open_group == SEGUE_NO_GROUP)
        return segue_record_fail(command_buffer, &head, SEGUE_INVALID_STATE,
                                 "no group is open; begin one first");
    struct segue_group_segment *segment =
        segue_record_allocate(command_buffer, SEGUE_COMMAND_END_GROUP, sizeof *segment);
    if (!segment)
        return segue_record_no_memory(command_buffer, SEGUE_COMMAND_END_GROUP);
    command_buffer->open_group =
        command_buffer->recording->groups[command_buffer->open_group].parent;
    command_buffer->open_group_depth--;
    segue_record_commit(command_buffer, &segment->base);
    return SEGUE_OK;
}
