// SPDX-License-Identifier: Apache-2.0
/**
 * @file segment.h
 * The recorded form, and the one intermediate form of Segue: a linked list of command segments in
 * an arena. Plain data, no function pointers. Validation at recording fills it in; everything after
 * recording (hazards, order, lowering, streams, dumps, traces) is a pass over it.
 */
#ifndef SEGUE_HAL_SEGMENT_H
#define SEGUE_HAL_SEGMENT_H

#include "arena.h"
#include "object.h"

#include <segue/inspect.h>

/** A range in a command, 24 bytes: an offset and length in a buffer or in a slot. */
struct segue_range {
    /** The buffer, or (slot << 1) | 1. Buffers are at least 8-byte aligned. */
    uintptr_t object;
    uint64_t offset_bytes;
    /** Resolved; SEGUE_WHOLE_SIZE only for slots. */
    uint64_t length_bytes;
};

static inline bool segue_range_is_slot(const struct segue_range *range)
{
    return (range->object & 1) != 0;
}
static inline uint32_t segue_range_slot(const struct segue_range *range)
{
    return (uint32_t)(range->object >> 1);
}
static inline segue_buffer *segue_range_buffer(const struct segue_range *range)
{
    return segue_range_is_slot(range) ? NULL : (segue_buffer *)range->object;
}

/** Begins every segment. */
struct segue_segment {
    struct segue_segment *next;
    /** Position in the recording; every command counts. */
    uint32_t index;
    /** Index of the innermost open group in segue_recording.groups, SEGUE_NO_GROUP at the top. */
    uint32_t group;
    /** enum segue_command_kind. */
    uint8_t kind;
    /** The command does nothing (length 0, an empty grid): no node is made for it. */
    bool is_empty;
    /** FILL: size of the pattern. */
    uint8_t pattern_size_bytes;
    /** DISPATCH: constant uses follow the constants. */
    bool has_constant_uses;
    union {
        /** FILL: the pattern, repeated to 4 bytes. */
        uint32_t pattern;
        /** DISPATCH: the caller's hint, 0 if there is none. */
        uint32_t duration_ns;
    };
};

#define SEGUE_NO_GROUP UINT32_MAX
/** Kind of a head in messages about segue_cmd_execute itself; never recorded. */
#define SEGUE_SEGMENT_EXECUTE 0xFF

struct segue_fill_segment {
    struct segue_segment base;
    struct segue_range target;
};

struct segue_update_segment {
    struct segue_segment base;
    struct segue_range target;
    /** Offset of this data in the recording's inline data laid end to end, each part aligned to 16
     *  (segue_recording.inline_data_bytes in all): where staging puts it. */
    uint64_t staging_offset_bytes;
    /** target.length_bytes of them. */
    unsigned char data[];
};

struct segue_copy_segment {
    struct segue_segment base;
    struct segue_range source;
    struct segue_range target;
};

/** Followed by the ranges, the constants, and, where there are some, the constant uses. */
struct segue_dispatch_segment {
    struct segue_segment base;
    segue_executable *executable;
    uint32_t entry_point;
    uint32_t grid[3];
    /** Resolved against the entry point. */
    uint32_t block[3];
    uint32_t dynamic_shared_bytes;
    uint16_t binding_count;
    uint16_t constants_size_bytes;
    /** Of the pointers that the kernel finds in memory: where the dispatch's begin among those of
     *  all of the recording's work, in recorded order. SEGUE_NO_INDIRECT: it has none. */
    uint32_t first_indirect;
    struct segue_range bindings[];
};

#define SEGUE_NO_INDIRECT UINT32_MAX

static inline const unsigned char *
segue_dispatch_constants(const struct segue_dispatch_segment *dispatch)
{
    return (const unsigned char *)(dispatch->bindings + dispatch->binding_count);
}

/** Whether it is a dispatch whose kernel finds pointers in memory. */
static inline bool segue_segment_has_indirect(const struct segue_segment *segment)
{
    return segment->kind == SEGUE_COMMAND_DISPATCH &&
           ((const struct segue_dispatch_segment *)segment)->first_indirect != SEGUE_NO_INDIRECT;
}

/** What parts of the constants submissions fill in. The constants hold zeros there. */
struct segue_constant_use_list {
    uint32_t count;
    struct segue_constant_use items[];
};

/** Where the list lies behind the start of the constants. */
static inline uint32_t segue_constant_uses_offset(uint32_t constants_size_bytes)
{
    return (constants_size_bytes + 3u) & ~3u;
}

/** NULL, and a count of 0, where there are none. */
static inline const struct segue_constant_use *
segue_dispatch_constant_uses(const struct segue_dispatch_segment *dispatch, uint32_t *out_count)
{
    *out_count = 0;
    if (!dispatch->base.has_constant_uses)
        return NULL;
    const unsigned char *list = segue_dispatch_constants(dispatch) +
                                segue_constant_uses_offset(dispatch->constants_size_bytes);
    *out_count = ((const struct segue_constant_use_list *)list)->count;
    return ((const struct segue_constant_use_list *)list)->items;
}

/** A recorded buffer barrier. */
struct segue_range_barrier {
    uint32_t source;
    uint32_t target;
    struct segue_range range;
};

/** An execution barrier has no items. Buffer barriers follow, then memory barriers. */
struct segue_barrier_segment {
    struct segue_segment base;
    uint32_t flags;
    uint32_t memory_barrier_count;
    uint32_t buffer_barrier_count;
    uint32_t reserved;
    struct segue_range_barrier buffer_barriers[];
};

static inline const struct segue_memory_barrier *
segue_barrier_memory_barriers(const struct segue_barrier_segment *barrier)
{
    return (const struct segue_memory_barrier *)(barrier->buffer_barriers +
                                                 barrier->buffer_barrier_count);
}

/** SIGNAL_EVENT, RESET_EVENT, WAIT_EVENT. */
struct segue_event_segment {
    struct segue_segment base;
    segue_event *event;
};

/** BEGIN_GROUP: base.group is the group that it opens. END_GROUP: the group that it closes. */
struct segue_group_segment {
    struct segue_segment base;
};

/** A debug group. */
struct segue_group {
    const char *label;
    /** SEGUE_NO_GROUP at the top. */
    uint32_t parent;
};

/** One range that a command touches, for the passes that need them. */
struct segue_command_access {
    struct segue_range range;
    /** Bits of segue_access_mask. */
    uint32_t mask;
    /** Bound as SEGUE_ACCESS_CONSTANT. */
    bool constant;
};

/** Number of accesses of a command: fill 1, update 1, copy 2, dispatch one per binding, others 0.
 */
uint32_t segue_segment_access_count(const struct segue_segment *segment);
/** The i-th of them. */
struct segue_command_access segue_segment_access(const struct segue_segment *segment, uint32_t i);
/** All bits of all accesses; for an opaque dispatch all of SEGUE_ACCESS_MASK_ALL. */
uint32_t segue_segment_access_mask(const struct segue_segment *segment);
/** Whether it is a dispatch of an entry point flagged SEGUE_ENTRY_OPAQUE. */
bool segue_segment_is_opaque(const struct segue_segment *segment);
/** Whether it becomes a node: a fill, update, copy or dispatch that is not empty. */
static inline bool segue_segment_is_work(const struct segue_segment *segment)
{
    return segment->kind <= SEGUE_COMMAND_DISPATCH && !segment->is_empty;
}

#endif // SEGUE_HAL_SEGMENT_H
