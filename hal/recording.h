// SPDX-License-Identifier: Apache-2.0
/**
 * @file recording.h
 * One recording: the segment list with what it keeps alive. A command buffer refers to its current
 * recording; programs and submissions in flight hold references of their own, so a command buffer
 * can be reset or destroyed at any time.
 */
#ifndef SEGUE_HAL_RECORDING_H
#define SEGUE_HAL_RECORDING_H

#include "segment.h"

struct segue_slot_index;

struct segue_recording {
    segue_refcount references;
    segue_device *device;
    struct segue_arena arena;
    struct segue_segment *first;
    struct segue_segment *last;
    /** All commands, and those that are work (segue_segment_is_work). */
    uint32_t command_count;
    uint32_t work_count;
    /** Signals, resets and waits. */
    uint32_t event_command_count;
    /** See segue_update_segment. */
    uint64_t inline_data_bytes;
    /** Pointers that kernels of its work find in memory (SEGUE_PARAMETER_INDIRECT). */
    uint32_t indirect_count;
    /** Debug groups, in order of opening. */
    struct segue_group *groups;
    size_t group_count;
    size_t group_capacity;
    uint32_t slot_count;
    uint32_t constant_slot_count;
    /** The command buffer's, bits of segue_command_buffer_flags. */
    uint32_t flags;
    /** What submissions do to events, one entry per event; in the arena. Set at the end of
     *  recording (segue_recording_collect_events). */
    const struct segue_event_use *event_uses;
    uint32_t event_use_count;
    /** Which commands name which slot (slot_index.h); in the arena, set at the end of recording.
     *  NULL without slots. */
    struct segue_slot_index *slot_index;
    /** Programs of it that were made for a table and are alive. */
    _Atomic uint32_t table_program_count;
    /** Objects kept alive (retained mode). */
    struct segue_object **resources;
    size_t resource_count;
    size_t resource_capacity;
    /** Unique among all recordings; buffers and executables note it to be retained once. */
    uint64_t serial;
    /** The command buffer's label; owned. */
    char *label;
};

/** A new recording with one reference. */
segue_status segue_recording_create(segue_device *device, const char *label,
                                    struct segue_recording **out_recording);
/** Forgets all commands and gives up all objects, as if it were new (but with memory at hand); only
 *  for whoever holds its one reference. */
void segue_recording_clear(struct segue_recording *recording);
void segue_recording_retain(struct segue_recording *recording);
/** Releases everything with the last reference. NULL is fine. */
void segue_recording_release(struct segue_recording *recording);

/** Writes the labels of `group` and its parents, joined by '/', and zero-terminates; cuts to fit.
 *  Returns the length that it would have had. */
size_t segue_recording_group_path(const struct segue_recording *recording, uint32_t group,
                                  char *out_text, size_t capacity_bytes);
/** A command for people: `command 12 (dispatch "gemv", group "layer0/mlp")`. Returns out_text. */
const char *segue_recording_describe(const struct segue_recording *recording,
                                     const struct segue_segment *segment, char *out_text,
                                     size_t capacity_bytes);

/** What slots stand for in one submission: per slot a range whose object is a buffer, length
 *  resolved; per constant slot its value in the low bytes, the others 0 (0 for one without a value,
 *  which no command uses). */
struct segue_binding_table {
    const struct segue_range *slots;
    uint32_t slot_count;
    const uint64_t *constants;
    uint32_t constant_count;
};

/** A range as the device sees it. */
struct segue_resolved_range {
    struct segue_memory *memory;
    /** Offset within that memory. */
    uint64_t offset_bytes;
    uint64_t length_bytes;
    uint64_t device_address;
};

/** Resolves a range, through the table if it names a slot. Ranges and tables were checked before.
 */
struct segue_resolved_range segue_range_resolve(const struct segue_range *range,
                                                const struct segue_binding_table *table);

/** Where the device sees a range; of a slot without a table, its offset. Quick where the range
 * names a buffer, as most do. */
static inline uint64_t segue_range_address(const struct segue_range *range,
                                           const struct segue_binding_table *table)
{
    if (segue_range_is_slot(range))
        return segue_range_resolve(range, table).device_address;
    const segue_buffer *buffer = segue_range_buffer(range);
    return buffer->memory->backend.device_address + buffer->offset_bytes + range->offset_bytes;
}

/** The constants of a dispatch with constant uses, as the table fills them in (all zeros there
 *  without one): constants_size_bytes of them. */
void segue_dispatch_resolve_constants(const struct segue_dispatch_segment *dispatch,
                                      const struct segue_binding_table *table,
                                      unsigned char *out_constants);

#endif // SEGUE_HAL_RECORDING_H
