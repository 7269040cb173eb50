// SPDX-License-Identifier: Apache-2.0
#include "recording.h"

#include <stdio.h>
#include <string.h>

segue_status segue_recording_create(segue_device *device, const char *label,
                                    struct segue_recording **out_recording)
{
    const struct segue_allocator *allocator = &device->allocator;
    struct segue_recording *recording = segue_allocate_zeroed(allocator, 1, sizeof *recording);
    if (!recording)
        goto fail_recording;
    recording->label = segue_copy_string(allocator, label);
    if (!recording->label)
        goto fail_label;
    atomic_init(&recording->references, 1);
    recording->device = device;
    segue_device_retain(device);
    segue_arena_init(&recording->arena, allocator);
    recording->serial = atomic_fetch_add_explicit(&device->next_serial, 1, memory_order_relaxed);
    *out_recording = recording;
    return SEGUE_OK;

fail_label:
    segue_release(allocator, recording, sizeof *recording);
fail_recording:
    return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY,
                      "no host memory to begin recording command buffer \"%s\"",
                      label ? label : "");
}

void segue_recording_clear(struct segue_recording *recording)
{
    for (size_t i = 0; i < recording->resource_count; i++)
        segue_object_release(recording->resources[i]);
    segue_arena_reset(&recording->arena);
    recording->first = NULL;
    recording->last = NULL;
    recording->command_count = 0;
    recording->work_count = 0;
    recording->event_command_count = 0;
    recording->inline_data_bytes = 0;
    recording->indirect_count = 0;
    recording->group_count = 0;
    recording->resource_count = 0;
    recording->event_uses = NULL;
    recording->event_use_count = 0;
    recording->slot_index = NULL;
    // Objects that note the old serial are not retained any more.
    recording->serial =
        atomic_fetch_add_explicit(&recording->device->next_serial, 1, memory_order_relaxed);
}

void segue_recording_retain(struct segue_recording *recording)
{
    atomic_fetch_add_explicit(&recording->references, 1, memory_order_relaxed);
}

void segue_recording_release(struct segue_recording *recording)
{
    if (!recording ||
        atomic_fetch_sub_explicit(&recording->references, 1, memory_order_acq_rel) != 1)
        return;
    segue_device *device = recording->device;
    const struct segue_allocator *allocator = &device->allocator;
    for (size_t i = 0; i < recording->resource_count; i++)
        segue_object_release(recording->resources[i]);
    segue_release(allocator, recording->resources,
                  recording->resource_capacity * sizeof *recording->resources);
    segue_release(allocator, recording->groups,
                  recording->group_capacity * sizeof *recording->groups);
    segue_arena_finish(&recording->arena);
    segue_release_string(allocator, recording->label);
    segue_release(allocator, recording, sizeof *recording);
    segue_device_release(device);
}

/** Appends what fits of `text` and counts all of it; `*length` may exceed the capacity. */
static void append_text(char *out_text, size_t capacity_bytes, size_t *length, const char *text)
{
    size_t text_length = strlen(text);
    if (*length + 1 < capacity_bytes) {
        size_t room = capacity_bytes - 1 - *length;
        memcpy(out_text + *length, text, text_length < room ? text_length : room);
    }
    *length += text_length;
}

size_t segue_recording_group_path(const struct segue_recording *recording, uint32_t group,
                                  char *out_text, size_t capacity_bytes)
{
    // Groups nest up to 64 deep; what cannot be in a recording is cut rather than overrun.
    uint32_t path[64];
    size_t depth = 0;
    for (; group != SEGUE_NO_GROUP && depth < sizeof path / sizeof path[0]; depth++) {
        path[depth] = group;
        group = recording->groups[group].parent;
    }
    size_t length = 0;
    while (depth > 0) {
        append_text(out_text, capacity_bytes, &length, recording->groups[path[--depth]].label);
        if (depth > 0)
            append_text(out_text, capacity_bytes, &length, "/");
    }
    if (capacity_bytes > 0)
        out_text[length < capacity_bytes ? length : capacity_bytes - 1] = '\0';
    return length;
}

static const char *kind_name(uint8_t kind)
{
    static const char *const names[] = {
        [SEGUE_COMMAND_FILL] = "fill",
        [SEGUE_COMMAND_UPDATE] = "update",
        [SEGUE_COMMAND_COPY] = "copy",
        [SEGUE_COMMAND_DISPATCH] = "dispatch",
        [SEGUE_COMMAND_BARRIER] = "barrier",
        [SEGUE_COMMAND_SIGNAL_EVENT] = "signal event",
        [SEGUE_COMMAND_RESET_EVENT] = "reset event",
        [SEGUE_COMMAND_WAIT_EVENT] = "wait event",
        [SEGUE_COMMAND_BEGIN_GROUP] = "begin group",
        [SEGUE_COMMAND_END_GROUP] = "end group",
    };
    return kind < sizeof names / sizeof names[0] ? names[kind] : "execute";
}

const char *segue_recording_describe(const struct segue_recording *recording,
                                     const struct segue_segment *segment, char *out_text,
                                     size_t capacity_bytes)
{
    char number[24];
    size_t length = 0;
    snprintf(number, sizeof number, "command %u (", segment->index);
    append_text(out_text, capacity_bytes, &length, number);
    append_text(out_text, capacity_bytes, &length, kind_name(segment->kind));
    const struct segue_dispatch_segment *dispatch = (const struct segue_dispatch_segment *)segment;
    // A dispatch that is refused may not have got as far as having an executable.
    if (segment->kind == SEGUE_COMMAND_DISPATCH && dispatch->executable) {
        append_text(out_text, capacity_bytes, &length, " \"");
        append_text(out_text, capacity_bytes, &length,
                    dispatch->executable->entries[dispatch->entry_point].declared.name);
        append_text(out_text, capacity_bytes, &length, "\"");
    }
    if (segment->group != SEGUE_NO_GROUP) {
        char path[256];
        segue_recording_group_path(recording, segment->group, path, sizeof path);
        append_text(out_text, capacity_bytes, &length, ", group \"");
        append_text(out_text, capacity_bytes, &length, path);
        append_text(out_text, capacity_bytes, &length, "\"");
    }
    append_text(out_text, capacity_bytes, &length, ")");
    if (capacity_bytes > 0)
        out_text[length < capacity_bytes ? length : capacity_bytes - 1] = '\0';
    return out_text;
}

struct segue_resolved_range segue_range_resolve(const struct segue_range *range,
                                                const struct segue_binding_table *table)
{
    struct segue_resolved_range resolved = {
        .offset_bytes = range->offset_bytes,
        .length_bytes = range->length_bytes,
    };
    const segue_buffer *buffer = segue_range_buffer(range);
    if (segue_range_is_slot(range)) {
        if (!table)
            return resolved;
        const struct segue_range *slot = &table->slots[segue_range_slot(range)];
        buffer = segue_range_buffer(slot);
        if (resolved.length_bytes == SEGUE_WHOLE_SIZE)
            resolved.length_bytes = slot->length_bytes - range->offset_bytes;
        resolved.offset_bytes += slot->offset_bytes;
    }
    resolved.memory = buffer->memory;
    resolved.offset_bytes += buffer->offset_bytes;
    resolved.device_address = resolved.memory->backend.device_address + resolved.offset_bytes;
    return resolved;
}

void segue_dispatch_resolve_constants(const struct segue_dispatch_segment *dispatch,
                                      const struct segue_binding_table *table,
                                      unsigned char *out_constants)
{
    uint32_t count;
    const struct segue_constant_use *uses = segue_dispatch_constant_uses(dispatch, &count);
    memcpy(out_constants, segue_dispatch_constants(dispatch), dispatch->constants_size_bytes);
    for (uint32_t i = 0; table && i < count; i++) {
        const struct segue_constant_use *use = &uses[i];
        // Device and host are little-endian, so the low bytes come first.
        memcpy(out_constants + use->offset_bytes, &table->constants[use->slot], use->size_bytes);
    }
}
