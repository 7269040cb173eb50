// SPDX-License-Identifier: Apache-2.0
/**
 * @file record.h
 * What all recording functions (cmd_*.c) share: state checks, room for a segment, checked ranges,
 * and latched failures. The paths that succeed are inline; those that fail are out of line, and
 * look again at what is wrong to say it.
 */
#ifndef SEGUE_HAL_RECORD_H
#define SEGUE_HAL_RECORD_H

#include "command_buffer.h"

#define segue_unlikely(condition) __builtin_expect(!!(condition), 0)
#define SEGUE_COLD __attribute__((cold, noinline))

/** Debug groups nest this deep. */
#define SEGUE_MAX_GROUP_DEPTH 64

/** Latches the thread's last failure as the command buffer's first; returns its status. */
SEGUE_COLD segue_status segue_record_latch(segue_command_buffer *command_buffer);

/** Says why `command_buffer` (may be NULL) takes no commands. After a failure: that failure. */
SEGUE_COLD segue_status segue_record_refuse(segue_command_buffer *command_buffer);

/** Raises and latches a failure of `segment`, which the message begins with. */
SEGUE_COLD segue_status segue_record_raise(segue_command_buffer *command_buffer,
                                           const struct segue_segment *segment, segue_status status,
                                           const char *file, int line, const char *format, ...)
    SEGUE_PRINTF(6, 7);
#define segue_record_fail(command_buffer, segment, status, ...) \
    segue_record_raise((command_buffer), (segment), (status), __FILE__, __LINE__, __VA_ARGS__)

/** Raises and latches that segue_record_allocate returned NULL. */
SEGUE_COLD segue_status segue_record_no_memory(segue_command_buffer *command_buffer,
                                               enum segue_command_kind kind);

/** The slow half of segue_record_retain. */
bool segue_record_retain_new(struct segue_recording *recording, struct segue_object *object);

/** Commands refuse unless this is SEGUE_OK. */
static inline segue_status segue_record_check(segue_command_buffer *command_buffer)
{
    if (segue_unlikely(!command_buffer || command_buffer->state != SEGUE_STATE_RECORDING))
        return segue_record_refuse(command_buffer);
    return SEGUE_OK;
}

/** The head of the next command. Also on its own, to name a command that gets no segment. */
static inline struct segue_segment segue_record_head(const segue_command_buffer *command_buffer,
                                                     enum segue_command_kind kind)
{
    return (struct segue_segment){
        .index = command_buffer->recording->command_count,
        .group = command_buffer->open_group,
        .kind = (uint8_t)kind,
    };
}

/** A segment of `size_bytes` with its head filled in, not yet in the list; NULL when out of memory
 *  or out of command indices. */
static inline void *segue_record_allocate(segue_command_buffer *command_buffer,
                                          enum segue_command_kind kind, size_t size_bytes)
{
    struct segue_recording *recording = command_buffer->recording;
    // The last index is SEGUE_NO_COMMAND.
    if (segue_unlikely(recording->command_count == SEGUE_NO_COMMAND))
        return NULL;
    struct segue_segment *segment = segue_arena_allocate(&recording->arena, size_bytes);
    if (segue_unlikely(!segment))
        return NULL;
    *segment = segue_record_head(command_buffer, kind);
    return segment;
}

/** Appends a finished segment to the recording. */
static inline void segue_record_commit(segue_command_buffer *command_buffer,
                                       struct segue_segment *segment)
{
    struct segue_recording *recording = command_buffer->recording;
    if (recording->last)
        recording->last->next = segment;
    else
        recording->first = segment;
    recording->last = segment;
    recording->command_count++;
    recording->work_count += segue_segment_is_work(segment);
}

/** Keeps `object` alive with the recording (in retained mode). False when out of memory. */
static inline bool segue_record_retain(const segue_command_buffer *command_buffer,
                                       struct segue_object *object)
{
    struct segue_recording *recording = command_buffer->recording;
    if (atomic_load_explicit(&object->last_recording, memory_order_relaxed) == recording->serial ||
        (command_buffer->flags & SEGUE_COMMAND_BUFFER_UNRETAINED) != 0)
        return true;
    return segue_record_retain_new(recording, object);
}

/** What a command asks of a buffer reference. */
struct segue_range_rules {
    /** Bits of segue_buffer_usage that the buffer must have. */
    uint32_t usage;
    /** What the range's offset in its memory is a multiple of, less 1. */
    uint32_t align_mask;
};

/** segue_record_range of a slot. */
bool segue_record_slot_range(const segue_command_buffer *command_buffer,
                             const struct segue_buffer_ref *ref, struct segue_range_rules rules,
                             struct segue_range *out_range);

/** Whether the command buffer may use the buffer although its usage lacks bits: what fills
 * constants may write those that are not sealed. */
bool segue_record_fills(const segue_command_buffer *command_buffer, const segue_buffer *buffer,
                        uint32_t usage);

/** Checks a reference against its buffer (of a slot: what can be known now), resolves its length
 *  and retains the buffer. False if something is wrong: segue_record_range_failed says what. */
static inline bool segue_record_range(const segue_command_buffer *command_buffer,
                                      const struct segue_buffer_ref *ref,
                                      struct segue_range_rules rules, struct segue_range *out_range)
{
    segue_buffer *buffer = ref->buffer;
    if (!buffer)
        return segue_record_slot_range(command_buffer, ref, rules, out_range);
    uint64_t offset_bytes = ref->offset_bytes;
    uint64_t rest_bytes = buffer->size_bytes - offset_bytes;
    uint64_t length_bytes = ref->length_bytes == SEGUE_WHOLE_SIZE ? rest_bytes : ref->length_bytes;
    // One branch for all: none of these is expected to fail.
    bool wrong = (offset_bytes > buffer->size_bytes) | (length_bytes > rest_bytes) |
                 ((rules.usage & ~buffer->usage) != 0 &&
                  !segue_record_fills(command_buffer, buffer, rules.usage)) |
                 (((buffer->offset_bytes + offset_bytes) & rules.align_mask) != 0) |
                 (buffer->object.device != command_buffer->device);
    if (segue_unlikely(wrong))
        return false;
    *out_range = (struct segue_range){
        .object = (uintptr_t)buffer,
        .offset_bytes = offset_bytes,
        .length_bytes = length_bytes,
    };
    return segue_record_retain(command_buffer, &buffer->object);
}

/** Raises and latches what is wrong with a reference. `role` is e.g. "target"; `role_index` is
 *  appended unless negative. */
SEGUE_COLD segue_status segue_record_range_failed(segue_command_buffer *command_buffer,
                                                  const struct segue_segment *segment,
                                                  const char *role, int64_t role_index,
                                                  const struct segue_buffer_ref *ref,
                                                  struct segue_range_rules rules);

/** Whether two ranges of known buffers, or of one slot, share bytes. */
bool segue_ranges_overlap(const struct segue_range *a, const struct segue_range *b);

/** The last checks of a copy whose ranges are filled in, and its commit. */
SEGUE_MUST_CHECK segue_status segue_record_finish_copy(segue_command_buffer *command_buffer,
                                                       struct segue_copy_segment *copy);

/** What a recorded dispatch asks of what is bound there. */
struct segue_range_rules segue_dispatch_binding_rules(const struct segue_dispatch_segment *dispatch,
                                                      uint32_t binding);

/** Opens a group of that label below `parent`; SEGUE_NO_GROUP when out of memory. */
uint32_t segue_record_add_group(struct segue_recording *recording, const char *label,
                                uint32_t parent);

#endif // SEGUE_HAL_RECORD_H
