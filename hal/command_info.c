// SPDX-License-Identifier: Apache-2.0
#include "command_info.h"

void segue_command_scratch_finish(struct segue_command_scratch *scratch)
{
    segue_release(scratch->allocator, scratch->refs, scratch->ref_capacity * sizeof *scratch->refs);
    segue_release(scratch->allocator, scratch->barriers,
                  scratch->barrier_capacity * sizeof *scratch->barriers);
    segue_release(scratch->allocator, scratch->path, scratch->path_capacity);
}

static struct segue_buffer_ref ref_of(const struct segue_range *range)
{
    return (struct segue_buffer_ref){
        .buffer = segue_range_buffer(range),
        .slot = segue_range_is_slot(range) ? segue_range_slot(range) : 0,
        .offset_bytes = range->offset_bytes,
        .length_bytes = range->length_bytes,
    };
}

static bool fill_dispatch(const struct segue_dispatch_segment *segment,
                          struct segue_command_scratch *scratch, struct segue_dispatch *out)
{
    uint32_t use_count;
    const struct segue_constant_use *uses = segue_dispatch_constant_uses(segment, &use_count);
    void *refs = scratch->refs;
    if (!segue_grow(scratch->allocator, &refs, &scratch->ref_capacity, segment->binding_count,
                    sizeof *scratch->refs))
        return false;
    scratch->refs = refs;
    for (uint32_t i = 0; i < segment->binding_count; i++)
        scratch->refs[i] = ref_of(&segment->bindings[i]);
    *out = (struct segue_dispatch){
        .executable = segment->executable,
        .entry_point = segment->entry_point,
        .grid = {segment->grid[0], segment->grid[1], segment->grid[2]},
        .block = {segment->block[0], segment->block[1], segment->block[2]},
        .dynamic_shared_bytes = segment->dynamic_shared_bytes,
        .bindings = segment->binding_count != 0 ? scratch->refs : NULL,
        .binding_count = segment->binding_count,
        .constants = segment->constants_size_bytes != 0 ? segue_dispatch_constants(segment) : NULL,
        .constants_size_bytes = segment->constants_size_bytes,
        .duration_ns = segment->base.duration_ns,
        .constant_uses = uses,
        .constant_use_count = use_count,
    };
    return true;
}

static bool fill_barrier(const struct segue_barrier_segment *segment,
                         struct segue_command_scratch *scratch, struct segue_barrier *out)
{
    uint32_t count = segment->buffer_barrier_count;
    void *barriers = scratch->barriers;
    if (!segue_grow(scratch->allocator, &barriers, &scratch->barrier_capacity, count,
                    sizeof *scratch->barriers))
        return false;
    scratch->barriers = barriers;
    for (uint32_t i = 0; i < count; i++) {
        const struct segue_range_barrier *item = &segment->buffer_barriers[i];
        scratch->barriers[i] = (struct segue_buffer_barrier){
            .source = item->source,
            .target = item->target,
            .range = ref_of(&item->range),
        };
    }
    *out = (struct segue_barrier){
        .flags = segment->flags,
        .memory_barriers =
            segment->memory_barrier_count != 0 ? segue_barrier_memory_barriers(segment) : NULL,
        .memory_barrier_count = segment->memory_barrier_count,
        .buffer_barriers = count != 0 ? scratch->barriers : NULL,
        .buffer_barrier_count = count,
    };
    return true;
}

/** Puts the path of `group` into the scratch. */
static bool fill_path(const struct segue_recording *recording, uint32_t group,
                      struct segue_command_scratch *scratch)
{
    size_t length =
        segue_recording_group_path(recording, group, scratch->path, scratch->path_capacity);
    if (length < scratch->path_capacity)
        return true;
    void *path = scratch->path;
    if (!segue_grow(scratch->allocator, &path, &scratch->path_capacity, length + 1, 1))
        return false;
    scratch->path = path;
    segue_recording_group_path(recording, group, scratch->path, scratch->path_capacity);
    return true;
}

/** The group that a command lies in: for those that open and close one, the group around it. */
static uint32_t group_around(const struct segue_recording *recording,
                             const struct segue_segment *segment)
{
    if (segment->kind == SEGUE_COMMAND_BEGIN_GROUP || segment->kind == SEGUE_COMMAND_END_GROUP)
        return recording->groups[segment->group].parent;
    return segment->group;
}

bool segue_command_info_fill(const struct segue_recording *recording,
                             const struct segue_segment *segment,
                             struct segue_command_scratch *scratch,
                             struct segue_command_info *out_info)
{
    if (!fill_path(recording, group_around(recording, segment), scratch))
        return false;
    struct segue_command_info info = {
        .kind = (enum segue_command_kind)segment->kind,
        .index = segment->index,
        .group_path = scratch->path,
    };
    bool done = true;
    switch (info.kind) {
    case SEGUE_COMMAND_FILL:
        info.as.fill.target = ref_of(&((const struct segue_fill_segment *)segment)->target);
        // Recorded repeated to 4 bytes; the caller gave one.
        info.as.fill.pattern = segment->pattern >> (32 - 8 * segment->pattern_size_bytes);
        info.as.fill.pattern_size_bytes = segment->pattern_size_bytes;
        break;
    case SEGUE_COMMAND_UPDATE:
        info.as.update.target = ref_of(&((const struct segue_update_segment *)segment)->target);
        info.as.update.data = ((const struct segue_update_segment *)segment)->data;
        break;
    case SEGUE_COMMAND_COPY:
        info.as.copy.source = ref_of(&((const struct segue_copy_segment *)segment)->source);
        info.as.copy.target = ref_of(&((const struct segue_copy_segment *)segment)->target);
        break;
    case SEGUE_COMMAND_DISPATCH:
        done = fill_dispatch((const struct segue_dispatch_segment *)segment, scratch,
                             &info.as.dispatch);
        break;
    case SEGUE_COMMAND_BARRIER:
        done =
            fill_barrier((const struct segue_barrier_segment *)segment, scratch, &info.as.barrier);
        break;
    case SEGUE_COMMAND_SIGNAL_EVENT:
    case SEGUE_COMMAND_RESET_EVENT:
    case SEGUE_COMMAND_WAIT_EVENT:
        info.as.event = ((const struct segue_event_segment *)segment)->event;
        break;
    case SEGUE_COMMAND_BEGIN_GROUP:
    case SEGUE_COMMAND_END_GROUP:
        info.as.group_label = recording->groups[segment->group].label;
        break;
    }
    if (done)
        *out_info = info;
    return done;
}
