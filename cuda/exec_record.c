// SPDX-License-Identifier: Apache-2.0
#include "exec_record.h"

#include <stddef.h>
#include <string.h>

/** Fixed words of other kinds. */
enum {
    /** Pattern; resolved length. */
    FILL_WORDS = 2,
    /** Host pointer of the target; size of the data; where it is staged. */
    UPDATE_WORDS = 3,
    /** Host pointers; resolved length. */
    COPY_WORDS = 3,
    /** Flags and counts. */
    BARRIER_WORDS = 2,
    EVENT_WORDS = 1,
};

#define FIXED_OFFSET offsetof(struct segue_dispatch_segment, executable)
_Static_assert(offsetof(struct segue_dispatch_segment, bindings) ==
                   FIXED_OFFSET + SEGUE_DISPATCH_WORDS * sizeof(uint64_t),
               "the fixed words of a dispatch are its fields");
_Static_assert(offsetof(struct segue_dispatch_segment, constants_size_bytes) ==
                   offsetof(struct segue_dispatch_segment, binding_count) + sizeof(uint16_t),
               "both counts are the low half of the last word");
_Static_assert(offsetof(struct segue_dispatch_segment, entry_point) ==
                   FIXED_OFFSET + sizeof(uint64_t),
               "the entry point is the low half of the second word");

static uint64_t pair(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

static size_t words_of(size_t size_bytes)
{
    return (size_bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

struct segue_range_list segue_segment_ranges(const struct segue_segment *segment)
{
    switch (segment->kind) {
    case SEGUE_COMMAND_FILL:
        return (struct segue_range_list){&((const struct segue_fill_segment *)segment)->target,
                                         sizeof(struct segue_range), 1};
    case SEGUE_COMMAND_UPDATE:
        return (struct segue_range_list){&((const struct segue_update_segment *)segment)->target,
                                         sizeof(struct segue_range), 1};
    case SEGUE_COMMAND_COPY:
        return (struct segue_range_list){
            &((const struct segue_copy_segment *)segment)->source,
            offsetof(struct segue_copy_segment, target) -
                offsetof(struct segue_copy_segment, source),
            2,
        };
    case SEGUE_COMMAND_DISPATCH: {
        const struct segue_dispatch_segment *dispatch =
            (const struct segue_dispatch_segment *)segment;
        return (struct segue_range_list){dispatch->bindings, sizeof(struct segue_range),
                                         dispatch->binding_count};
    }
    case SEGUE_COMMAND_BARRIER: {
        const struct segue_barrier_segment *barrier = (const struct segue_barrier_segment *)segment;
        if (barrier->buffer_barrier_count != 0)
            return (struct segue_range_list){&barrier->buffer_barriers[0].range,
                                             sizeof(struct segue_range_barrier),
                                             barrier->buffer_barrier_count};
        break;
    }
    default:
        break;
    }
    return (struct segue_range_list){NULL, 0, 0};
}

static bool is_narrow(const struct segue_range_list *ranges)
{
    uint64_t wide = 0;
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct segue_range *range = segue_range_list_at(ranges, i);
        wide |= (range->object & 1) | range->length_bytes >> 32;
    }
    return wide == 0;
}

static bool is_plain(const struct segue_segment *segment)
{
    return segment->kind == SEGUE_COMMAND_BARRIER &&
           segue_barrier_is_plain((const struct segue_barrier_segment *)segment);
}

static uint64_t head_of(const struct segue_lowering *lowering, const struct segue_segment *segment,
                        bool narrow)
{
    const enum segue_node_class class_of_node =
        segue_segment_is_work(segment) ? segue_lower_class(lowering, segment) : SEGUE_NODE_JOIN;
    const uint32_t low = (uint32_t)segment->kind | (uint32_t)segment->is_empty << 8 |
                         (uint32_t)segment->pattern_size_bytes << 16 |
                         (uint32_t)class_of_node << 24;
    return pair(low, segment->kind == SEGUE_COMMAND_DISPATCH ? segment->duration_ns : 0) |
           (narrow ? SEGUE_RECORD_NARROW : 0);
}

static uint64_t *write_accesses(const struct segue_lowering *lowering,
                                const struct segue_range_list *ranges, bool narrow, uint64_t *words)
{
    const uint32_t count = ranges->count;
    for (uint32_t i = 0; i < count; i++)
        *words++ = segue_range_address(segue_range_list_at(ranges, i), lowering->table);
    if (narrow) {
        for (uint32_t i = 0; i < count; i += 2) {
            const uint64_t length = segue_range_list_at(ranges, i)->length_bytes;
            *words++ = i + 1 < count
                           ? length | segue_range_list_at(ranges, i + 1)->length_bytes << 32
                           : length;
        }
        return words;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct segue_range *range = segue_range_list_at(ranges, i);
        words[i] = range->length_bytes;
        words[count + i] = segue_range_slot_word(range);
    }
    return words + 2 * (size_t)count;
}

/** Copies bytes into words, with zeros behind. */
static uint64_t *write_bytes(const void *data, size_t size_bytes, uint64_t *words)
{
    const size_t count = words_of(size_bytes);
    if (count == 0)
        return words;
    words[count - 1] = 0;
    memcpy(words, data, size_bytes);
    return words + count;
}

/** What of a dispatch may differ without its addresses. */
static uint64_t *write_launch(const struct segue_lowering *lowering,
                              const struct segue_dispatch_segment *dispatch, bool narrow,
                              uint64_t *words)
{
    memcpy(words, (const char *)dispatch + FIXED_OFFSET, SEGUE_DISPATCH_WORDS * sizeof(*words));
    words += SEGUE_DISPATCH_WORDS + segue_record_access_words(dispatch->binding_count, narrow);
    uint64_t *end =
        write_bytes(segue_dispatch_constants(dispatch), dispatch->constants_size_bytes, words);
    if (dispatch->base.has_constant_uses)
        segue_dispatch_resolve_constants(dispatch, lowering->table, (unsigned char *)words);
    return end;
}

static uint64_t *write_dispatch(const struct segue_lowering *lowering,
                                const struct segue_dispatch_segment *dispatch, bool narrow,
                                uint64_t *words)
{
    const struct segue_range_list ranges = segue_segment_ranges(&dispatch->base);
    (void)write_accesses(lowering, &ranges, narrow, words + SEGUE_DISPATCH_WORDS);
    return write_launch(lowering, dispatch, narrow, words);
}

static uint64_t host_word(const struct segue_resolved_range *range)
{
    const char *host_pointer = range->memory != NULL ? range->memory->backend.host_pointer : NULL;
    return host_pointer != NULL ? (uintptr_t)host_pointer + range->offset_bytes : 0;
}

static uint64_t *write_fill(const struct segue_lowering *lowering,
                            const struct segue_fill_segment *fill, uint64_t *words)
{
    *words++ = fill->base.pattern;
    *words++ = segue_range_resolve(&fill->target, lowering->table).length_bytes;
    return words;
}

static uint64_t *write_update(const struct segue_lowering *lowering,
                              const struct segue_update_segment *update, uint64_t *words)
{
    const struct segue_resolved_range target =
        segue_range_resolve(&update->target, lowering->table);
    *words++ = host_word(&target);
    *words++ = update->target.length_bytes;
    *words++ = update->staging_offset_bytes;
    return words;
}

static uint64_t *write_copy(const struct segue_lowering *lowering,
                            const struct segue_copy_segment *copy, uint64_t *words)
{
    const struct segue_resolved_range source = segue_range_resolve(&copy->source, lowering->table);
    const struct segue_resolved_range target = segue_range_resolve(&copy->target, lowering->table);
    *words++ = host_word(&source);
    *words++ = host_word(&target);
    *words++ = target.length_bytes;
    return words;
}

static uint64_t *write_barrier(const struct segue_lowering *lowering,
                               const struct segue_barrier_segment *barrier, bool narrow,
                               uint64_t *words)
{
    const struct segue_range_list ranges = segue_segment_ranges(&barrier->base);
    *words++ = pair(barrier->flags, 0);
    *words++ = pair(barrier->buffer_barrier_count, barrier->memory_barrier_count);
    words = write_accesses(lowering, &ranges, narrow, words);
    for (uint32_t i = 0; i < barrier->buffer_barrier_count; i++)
        *words++ = pair(barrier->buffer_barriers[i].source, barrier->buffer_barriers[i].target);
    return write_bytes(segue_barrier_memory_barriers(barrier),
                       barrier->memory_barrier_count * sizeof(struct segue_memory_barrier), words);
}

/** Writes what is behind head and place. Returns its end. */
static uint64_t *write_rest(const struct segue_lowering *lowering,
                            const struct segue_segment *segment, uint64_t *record)
{
    const bool narrow = (record[0] & SEGUE_RECORD_NARROW) != 0;
    uint64_t *words = record + SEGUE_RECORD_HEAD_WORDS;
    if (segment->kind == SEGUE_COMMAND_DISPATCH)
        return write_dispatch(lowering, (const struct segue_dispatch_segment *)segment, narrow,
                              words);
    if (is_plain(segment))
        return record + 1;
    const struct segue_range_list ranges = segue_segment_ranges(segment);
    switch (segment->kind) {
    case SEGUE_COMMAND_FILL:
        words = write_fill(lowering, (const struct segue_fill_segment *)segment, words);
        return write_accesses(lowering, &ranges, narrow, words);
    case SEGUE_COMMAND_UPDATE: {
        const struct segue_update_segment *update = (const struct segue_update_segment *)segment;
        words = write_update(lowering, update, words);
        words = write_accesses(lowering, &ranges, narrow, words);
        return write_bytes(update->data, update->target.length_bytes, words);
    }
    case SEGUE_COMMAND_COPY:
        words = write_copy(lowering, (const struct segue_copy_segment *)segment, words);
        return write_accesses(lowering, &ranges, narrow, words);
    case SEGUE_COMMAND_BARRIER:
        return write_barrier(lowering, (const struct segue_barrier_segment *)segment, narrow,
                             words);
    default:
        *words = (uintptr_t)((const struct segue_event_segment *)segment)->event;
        return words + EVENT_WORDS;
    }
}

uint64_t *segue_segment_write_record(const struct segue_lowering *lowering,
                                     const struct segue_segment *segment, uint64_t *record)
{
    const struct segue_range_list ranges = segue_segment_ranges(segment);
    record[0] = is_plain(segment)
                    ? segue_barrier_plain_head((const struct segue_barrier_segment *)segment)
                    : head_of(lowering, segment, is_narrow(&ranges));
    return write_rest(lowering, segment, record);
}

void segue_record_rewrite(const struct segue_lowering *lowering,
                          const struct segue_segment *segment, bool moved, uint64_t *record)
{
    if (moved || segment->kind != SEGUE_COMMAND_DISPATCH)
        (void)write_rest(lowering, segment, record);
    else
        (void)write_launch(lowering, (const struct segue_dispatch_segment *)segment,
                           (record[0] & SEGUE_RECORD_NARROW) != 0,
                           record + SEGUE_RECORD_HEAD_WORDS);
}

size_t segue_segment_record_words(const struct segue_segment *segment)
{
    if (is_plain(segment))
        return 1;
    const struct segue_range_list ranges = segue_segment_ranges(segment);
    const size_t words =
        SEGUE_RECORD_HEAD_WORDS + segue_record_access_words(ranges.count, is_narrow(&ranges));
    switch (segment->kind) {
    case SEGUE_COMMAND_FILL:
        return words + FILL_WORDS;
    case SEGUE_COMMAND_UPDATE: {
        const struct segue_update_segment *update = (const struct segue_update_segment *)segment;
        return words + UPDATE_WORDS + words_of(update->target.length_bytes);
    }
    case SEGUE_COMMAND_COPY:
        return words + COPY_WORDS;
    case SEGUE_COMMAND_DISPATCH: {
        const struct segue_dispatch_segment *dispatch =
            (const struct segue_dispatch_segment *)segment;
        return words + SEGUE_DISPATCH_WORDS + words_of(dispatch->constants_size_bytes);
    }
    case SEGUE_COMMAND_BARRIER: {
        const struct segue_barrier_segment *barrier = (const struct segue_barrier_segment *)segment;
        return words + BARRIER_WORDS + barrier->buffer_barrier_count +
               words_of(barrier->memory_barrier_count * sizeof(struct segue_memory_barrier));
    }
    default:
        return words + EVENT_WORDS;
    }
}

/** Where the accesses begin, and how many there are. */
static const uint64_t *find_accesses(const uint64_t *record, uint32_t *out_count)
{
    const uint64_t *fixed = record + SEGUE_RECORD_HEAD_WORDS;
    switch (segue_record_kind(record)) {
    case SEGUE_COMMAND_FILL:
        *out_count = 1;
        return fixed + FILL_WORDS;
    case SEGUE_COMMAND_UPDATE:
        *out_count = 1;
        return fixed + UPDATE_WORDS;
    case SEGUE_COMMAND_COPY:
        *out_count = 2;
        return fixed + COPY_WORDS;
    case SEGUE_COMMAND_DISPATCH:
        *out_count = (uint16_t)fixed[SEGUE_DISPATCH_WORDS - 1];
        return fixed + SEGUE_DISPATCH_WORDS;
    case SEGUE_COMMAND_BARRIER:
        *out_count = segue_record_is_plain(record) ? 0 : (uint32_t)fixed[1];
        return segue_record_is_plain(record) ? record + 1 : fixed + BARRIER_WORDS;
    default:
        *out_count = 0;
        return fixed + EVENT_WORDS;
    }
}

struct segue_record_accesses segue_record_accesses(const uint64_t *record)
{
    uint32_t count;
    const uint64_t *addresses = find_accesses(record, &count);
    const bool narrow = (record[0] & SEGUE_RECORD_NARROW) != 0;
    return (struct segue_record_accesses){
        .addresses = addresses,
        .lengths = addresses + count,
        .slots = narrow ? NULL : addresses + 2 * (size_t)count,
        .rest = addresses + segue_record_access_words(count, narrow),
        .count = count,
    };
}

size_t segue_record_words(const uint64_t *record)
{
    if (segue_record_is_plain(record))
        return 1;
    const uint64_t *fixed = record + SEGUE_RECORD_HEAD_WORDS;
    const struct segue_record_accesses accesses = segue_record_accesses(record);
    const size_t words = (size_t)(accesses.rest - record);
    switch (segue_record_kind(record)) {
    case SEGUE_COMMAND_DISPATCH:
        return words + words_of((uint16_t)(fixed[SEGUE_DISPATCH_WORDS - 1] >> 16));
    case SEGUE_COMMAND_UPDATE:
        return words + words_of(fixed[1]);
    case SEGUE_COMMAND_BARRIER:
        return words + accesses.count +
               words_of((fixed[1] >> 32) * sizeof(struct segue_memory_barrier));
    default:
        return words;
    }
}

bool segue_record_has_indirect(const uint64_t *record)
{
    const uint64_t *fixed = record + SEGUE_RECORD_HEAD_WORDS;
    return segue_record_kind(record) == SEGUE_COMMAND_DISPATCH &&
           (uint32_t)(fixed[SEGUE_DISPATCH_WORDS - 1] >> 32) != SEGUE_NO_INDIRECT;
}
