// SPDX-License-Identifier: Apache-2.0
#include "event.h"

#include "queue.h"

#include <stdlib.h>

segue_status segue_event_create(segue_device *device, segue_event **out_event)
{
    if (!device || !out_event)
        return segue_fail(device, SEGUE_INVALID_ARGUMENT, "segue_event_create: %s is NULL",
                          device ? "out_event" : "device");
    segue_status status = segue_device_check(device);
    if (status != SEGUE_OK)
        return status;
    segue_event *event = segue_allocate_zeroed(&device->allocator, 1, sizeof *event);
    if (!event)
        return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY, "no memory for an event");
    segue_object_init(&event->object, SEGUE_OBJECT_EVENT, device);
    *out_event = event;
    return SEGUE_OK;
}

void segue_event_destroy(segue_event *event)
{
    if (event)
        segue_object_release(&event->object);
}

void segue_event_free(segue_event *event)
{
    segue_point_release(event->point);
    segue_release(&event->object.device->allocator, event, sizeof *event);
}

static bool is_event_command(const struct segue_segment *segment)
{
    return segment->kind == SEGUE_COMMAND_SIGNAL_EVENT ||
           segment->kind == SEGUE_COMMAND_RESET_EVENT || segment->kind == SEGUE_COMMAND_WAIT_EVENT;
}

static int compare_indices(const void *left, const void *right)
{
    const struct segue_event_command *a = left;
    const struct segue_event_command *b = right;
    return (a->segment->index > b->segment->index) - (a->segment->index < b->segment->index);
}

static int compare_events(const void *left, const void *right)
{
    uintptr_t a = (uintptr_t)((const struct segue_event_command *)left)->event;
    uintptr_t b = (uintptr_t)((const struct segue_event_command *)right)->event;
    return a != b ? (a > b) - (a < b) : compare_indices(left, right);
}

/** Finds each wait's signal; `commands` is sorted by event. */
static void resolve_signals(struct segue_event_commands *commands)
{
    uint32_t signal = SEGUE_NO_COMMAND;
    for (size_t i = 0; i < commands->count; i++) {
        struct segue_event_command *command = &commands->items[i];
        if (i == 0 || command[-1].event != command->event)
            signal = SEGUE_NO_COMMAND;
        if (command->segment->kind == SEGUE_COMMAND_SIGNAL_EVENT)
            signal = command->segment->index;
        else if (command->segment->kind == SEGUE_COMMAND_RESET_EVENT)
            signal = SEGUE_NO_COMMAND;
        else
            command->signal = signal;
    }
}

segue_status segue_event_commands_collect(const struct segue_recording *recording,
                                          struct segue_event_commands *out_commands)
{
    struct segue_event_commands commands = {.allocator = &recording->device->allocator};
    const uint32_t count = recording->event_command_count;
    if (!segue_grow(commands.allocator, (void **)&commands.items, &commands.capacity, count,
                    sizeof *commands.items))
        return segue_fail(recording->device, SEGUE_OUT_OF_HOST_MEMORY,
                          "command buffer \"%s\": no memory for its event commands",
                          recording->label);
    const struct segue_segment *segment = recording->first;
    for (; commands.count < count; segment = segment->next) {
        if (!is_event_command(segment))
            continue;
        commands.items[commands.count++] = (struct segue_event_command){
            .event = ((const struct segue_event_segment *)segment)->event,
            .segment = segment,
            .signal = SEGUE_NO_COMMAND,
        };
    }
    if (commands.count > 1)
        qsort(commands.items, commands.count, sizeof *commands.items, compare_events);
    resolve_signals(&commands);
    *out_commands = commands;
    return SEGUE_OK;
}

void segue_event_commands_sort_by_index(struct segue_event_commands *commands)
{
    if (commands->count > 1)
        qsort(commands->items, commands->count, sizeof *commands->items, compare_indices);
}

void segue_event_commands_finish(struct segue_event_commands *commands)
{
    segue_release(commands->allocator, commands->items,
                  commands->capacity * sizeof *commands->items);
    *commands = (struct segue_event_commands){.allocator = commands->allocator};
}

/** Writes one use per event; `commands` is sorted by event. Returns their number. */
static uint32_t summarise(const struct segue_event_commands *commands, struct segue_event_use *uses)
{
    uint32_t count = 0;
    for (size_t i = 0; i < commands->count; i++) {
        const struct segue_event_command *command = &commands->items[i];
        if (i == 0 || command[-1].event != command->event)
            uses[count++] = (struct segue_event_use){.event = command->event};
        struct segue_event_use *use = &uses[count - 1];
        if (command->segment->kind == SEGUE_COMMAND_SIGNAL_EVENT)
            use->effect = SEGUE_EVENT_SIGNALLED;
        else if (command->segment->kind == SEGUE_COMMAND_RESET_EVENT)
            use->effect = SEGUE_EVENT_RESET;
        else if (command->signal == SEGUE_NO_COMMAND)
            use->waits = true;
    }
    return count;
}

segue_status segue_recording_collect_events(struct segue_recording *recording)
{
    struct segue_event_commands commands;
    segue_status status = segue_event_commands_collect(recording, &commands);
    if (status != SEGUE_OK || commands.count == 0)
        return status;
    struct segue_event_use *uses =
        segue_arena_allocate(&recording->arena, commands.count * sizeof *uses);
    if (uses) {
        recording->event_uses = uses;
        recording->event_use_count = summarise(&commands, uses);
    } else {
        status = segue_fail(recording->device, SEGUE_OUT_OF_HOST_MEMORY,
                            "command buffer \"%s\": no memory for its events", recording->label);
    }
    segue_event_commands_finish(&commands);
    return status;
}
