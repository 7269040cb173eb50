// SPDX-License-Identifier: Apache-2.0
#include "command_buffer.h"
#include "command_info.h"

static segue_status check_ended(const segue_command_buffer *command_buffer, const char *function,
                                bool arguments_set)
{
    if (!command_buffer || !arguments_set)
        return segue_fail(command_buffer ? command_buffer->device : NULL, SEGUE_INVALID_ARGUMENT,
                          "%s: no argument may be NULL", function);
    if (command_buffer->state != SEGUE_STATE_ENDED)
        return segue_fail(command_buffer->device, SEGUE_INVALID_STATE,
                          "%s: command buffer \"%s\" has not ended well; end it first", function,
                          command_buffer->label);
    return SEGUE_OK;
}

segue_status segue_command_buffer_visit(segue_command_buffer *command_buffer,
                                        segue_command_visitor visit, void *context)
{
    segue_status status = check_ended(command_buffer, "segue_command_buffer_visit", visit != NULL);
    if (status != SEGUE_OK)
        return status;
    const struct segue_recording *recording = command_buffer->recording;
    struct segue_command_scratch scratch = {.allocator = &command_buffer->device->allocator};
    for (const struct segue_segment *segment = recording->first; segment; segment = segment->next) {
        struct segue_command_info command;
        if (!segue_command_info_fill(recording, segment, &scratch, &command)) {
            status = segue_fail(command_buffer->device, SEGUE_OUT_OF_HOST_MEMORY,
                                "segue_command_buffer_visit: no host memory for command %u of "
                                "command buffer \"%s\"",
                                segment->index, command_buffer->label);
            break;
        }
        if (!visit(context, &command))
            break;
    }
    segue_command_scratch_finish(&scratch);
    return status;
}

segue_status segue_command_buffer_get_stats(segue_command_buffer *command_buffer,
                                            struct segue_command_buffer_stats *out_stats)
{
    segue_status status =
        check_ended(command_buffer, "segue_command_buffer_get_stats", out_stats != NULL);
    if (status != SEGUE_OK)
        return status;
    // A submission that builds a program for another table writes the times.
    pthread_mutex_lock(&command_buffer->device->submission_lock);
    struct segue_command_buffer_stats stats = command_buffer->stats;
    pthread_mutex_unlock(&command_buffer->device->submission_lock);

    const struct segue_recording *recording = command_buffer->recording;
    stats.recorded_bytes = sizeof *recording + recording->arena.used_bytes +
                           recording->group_count * sizeof *recording->groups +
                           recording->resource_count * sizeof *recording->resources;
    stats.reserved_bytes = sizeof *recording + recording->arena.reserved_bytes +
                           recording->group_capacity * sizeof *recording->groups +
                           recording->resource_capacity * sizeof *recording->resources;
    *out_stats = stats;
    return SEGUE_OK;
}

void segue_command_buffer_get_info(const segue_command_buffer *command_buffer,
                                   struct segue_command_buffer_info *out_info)
{
    *out_info = (struct segue_command_buffer_info){
        .device = command_buffer->device,
        .flags = command_buffer->flags,
        .slot_count = command_buffer->slot_count,
        .label = command_buffer->label,
        .constant_slots = command_buffer->constants.slots,
        .constant_slot_count = command_buffer->constants.count,
    };
}
