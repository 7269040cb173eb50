// SPDX-License-Identifier: Apache-2.0
#include "exec_content.h"

#include "slot_index.h"

#include <stddef.h>
#include <string.h>

/** Fixed words by kind: of a dispatch the fields from `executable` to
 * `constants_size_bytes`. */
enum {
    DISPATCH_WORDS = 6,
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
                   FIXED_OFFSET + DISPATCH_WORDS * sizeof(uint64_t),
               "the fixed words of a dispatch are its fields");
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

static uint64_t head_of(const struct segue_segment *segment, enum segue_node_class class_of_node)
{
    const uint32_t low = (uint32_t)segment->kind | (uint32_t)segment->is_empty << 8 |
                         (uint32_t)segment->pattern_size_bytes << 16 |
                         (uint32_t)class_of_node << 24;
    return pair(low, segment->kind == SEGUE_COMMAND_DISPATCH ? segment->duration_ns : 0);
}

static enum segue_node_class class_of(const struct segue_lowering *lowering,
                                      const struct segue_segment *segment)
{
    return segue_segment_is_work(segment) ? segue_lower_class(lowering, segment) : SEGUE_NODE_JOIN;
}

static bool is_group(const struct segue_segment *segment)
{
    return segment->kind >= SEGUE_COMMAND_BEGIN_GROUP;
}

/** Where the device sees a range; of a slot without a table, its offset. */
static inline uint64_t address_of(const struct segue_lowering *lowering,
                                  const struct segue_range *range)
{
    if (segue_range_is_slot(range))
        return segue_range_resolve(range, lowering->table).device_address;
    const segue_buffer *buffer = segue_range_buffer(range);
    return buffer->memory->backend.device_address + buffer->offset_bytes + range->offset_bytes;
}

/** Slot and offset in one word; 0 for a buffer. A checked offset is far below
 * 2^46. */
static inline uint64_t slot_word(const struct segue_range *range)
{
    return segue_range_is_slot(range) ? (uint64_t)range->object | range->offset_bytes << 18 : 0;
}

static uint64_t *write_access(const struct segue_lowering *lowering,
                              const struct segue_range *range, uint64_t *words)
{
    words[0] = address_of(lowering, range);
    words[1] = range->length_bytes;
    words[2] = slot_word(range);
    return words + SEGUE_ACCESS_WORDS;
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

static uint64_t *write_dispatch(const struct segue_lowering *lowering,
                                const struct segue_dispatch_segment *dispatch, uint64_t *words)
{
    memcpy(words, (const char *)dispatch + FIXED_OFFSET, DISPATCH_WORDS * sizeof(*words));
    words += DISPATCH_WORDS;
    for (uint32_t i = 0; i < dispatch->binding_count; i++)
        words = write_access(lowering, &dispatch->bindings[i], words);
    uint64_t *end =
        write_bytes(segue_dispatch_constants(dispatch), dispatch->constants_size_bytes, words);
    if (dispatch->base.has_constant_uses)
        segue_dispatch_resolve_constants(dispatch, lowering->table, (unsigned char *)words);
    return end;
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
    return write_access(lowering, &fill->target, words);
}

static uint64_t *write_update(const struct segue_lowering *lowering,
                              const struct segue_update_segment *update, uint64_t *words)
{
    const struct segue_resolved_range target =
        segue_range_resolve(&update->target, lowering->table);
    *words++ = host_word(&target);
    *words++ = update->target.length_bytes;
    *words++ = update->staging_offset_bytes;
    words = write_access(lowering, &update->target, words);
    return write_bytes(update->data, update->target.length_bytes, words);
}

static uint64_t *write_copy(const struct segue_lowering *lowering,
                            const struct segue_copy_segment *copy, uint64_t *words)
{
    const struct segue_resolved_range source = segue_range_resolve(&copy->source, lowering->table);
    const struct segue_resolved_range target = segue_range_resolve(&copy->target, lowering->table);
    *words++ = host_word(&source);
    *words++ = host_word(&target);
    *words++ = target.length_bytes;
    words = write_access(lowering, &copy->source, words);
    return write_access(lowering, &copy->target, words);
}

static uint64_t *write_barrier(const struct segue_lowering *lowering,
                               const struct segue_barrier_segment *barrier, uint64_t *words)
{
    *words++ = pair(barrier->flags, 0);
    *words++ = pair(barrier->buffer_barrier_count, barrier->memory_barrier_count);
    for (uint32_t i = 0; i < barrier->buffer_barrier_count; i++)
        words = write_access(lowering, &barrier->buffer_barriers[i].range, words);
    for (uint32_t i = 0; i < barrier->buffer_barrier_count; i++)
        *words++ = pair(barrier->buffer_barriers[i].source, barrier->buffer_barriers[i].target);
    return write_bytes(segue_barrier_memory_barriers(barrier),
                       barrier->memory_barrier_count * sizeof(struct segue_memory_barrier), words);
}

/** Writes all of a record but its place. Returns its end. */
static uint64_t *write_record(const struct segue_lowering *lowering,
                              const struct segue_segment *segment, uint64_t *record)
{
    uint64_t *words = record + SEGUE_RECORD_HEAD_WORDS;
    record[0] = head_of(segment, class_of(lowering, segment));
    switch (segment->kind) {
    case SEGUE_COMMAND_FILL:
        return write_fill(lowering, (const struct segue_fill_segment *)segment, words);
    case SEGUE_COMMAND_UPDATE:
        return write_update(lowering, (const struct segue_update_segment *)segment, words);
    case SEGUE_COMMAND_COPY:
        return write_copy(lowering, (const struct segue_copy_segment *)segment, words);
    case SEGUE_COMMAND_DISPATCH:
        return write_dispatch(lowering, (const struct segue_dispatch_segment *)segment, words);
    case SEGUE_COMMAND_BARRIER:
        return write_barrier(lowering, (const struct segue_barrier_segment *)segment, words);
    default:
        *words = (uintptr_t)((const struct segue_event_segment *)segment)->event;
        return words + EVENT_WORDS;
    }
}

void segue_segment_write_record(const struct segue_lowering *lowering,
                                const struct segue_segment *segment, uint64_t *record)
{
    (void)write_record(lowering, segment, record);
}

size_t segue_segment_record_words(const struct segue_segment *segment)
{
    switch (segment->kind) {
    case SEGUE_COMMAND_FILL:
        return SEGUE_RECORD_HEAD_WORDS + FILL_WORDS + SEGUE_ACCESS_WORDS;
    case SEGUE_COMMAND_UPDATE: {
        const struct segue_update_segment *update = (const struct segue_update_segment *)segment;
        return SEGUE_RECORD_HEAD_WORDS + UPDATE_WORDS + SEGUE_ACCESS_WORDS +
               words_of(update->target.length_bytes);
    }
    case SEGUE_COMMAND_COPY:
        return SEGUE_RECORD_HEAD_WORDS + COPY_WORDS + 2 * SEGUE_ACCESS_WORDS;
    case SEGUE_COMMAND_DISPATCH: {
        const struct segue_dispatch_segment *dispatch =
            (const struct segue_dispatch_segment *)segment;
        return SEGUE_RECORD_HEAD_WORDS + DISPATCH_WORDS +
               (size_t)dispatch->binding_count * SEGUE_ACCESS_WORDS +
               words_of(dispatch->constants_size_bytes);
    }
    case SEGUE_COMMAND_BARRIER: {
        const struct segue_barrier_segment *barrier = (const struct segue_barrier_segment *)segment;
        return SEGUE_RECORD_HEAD_WORDS + BARRIER_WORDS +
               (size_t)barrier->buffer_barrier_count * (SEGUE_ACCESS_WORDS + 1) +
               words_of(barrier->memory_barrier_count * sizeof(struct segue_memory_barrier));
    }
    default:
        return SEGUE_RECORD_HEAD_WORDS + EVENT_WORDS;
    }
}

const uint64_t *segue_record_accesses(const uint64_t *record, uint32_t *out_count)
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
        *out_count = (uint32_t)fixed[DISPATCH_WORDS - 1];
        return fixed + DISPATCH_WORDS;
    case SEGUE_COMMAND_BARRIER:
        *out_count = (uint32_t)fixed[1];
        return fixed + BARRIER_WORDS;
    default:
        *out_count = 0;
        return fixed + EVENT_WORDS;
    }
}

size_t segue_record_words(const uint64_t *record)
{
    const uint64_t *fixed = record + SEGUE_RECORD_HEAD_WORDS;
    uint32_t count;
    const uint64_t *accesses = segue_record_accesses(record, &count);
    size_t words = (size_t)(accesses - record) + (size_t)count * SEGUE_ACCESS_WORDS;
    if (segue_record_kind(record) == SEGUE_COMMAND_DISPATCH)
        words += words_of((uint32_t)(fixed[DISPATCH_WORDS - 1] >> 32));
    else if (segue_record_kind(record) == SEGUE_COMMAND_UPDATE)
        words += words_of(fixed[1]);
    else if (segue_record_kind(record) == SEGUE_COMMAND_BARRIER)
        words += count + words_of((fixed[1] >> 32) * sizeof(struct segue_memory_barrier));
    return words;
}

uint64_t segue_exec_content_bytes(const struct segue_exec_content *content)
{
    return content->word_capacity * sizeof(*content->words) +
           content->node_count * sizeof(*content->records) +
           content->variant.bound_count * sizeof(*content->bound) +
           content->aliases.count * sizeof(*content->aliases.list);
}

/** A step of the hash: multiply by an odd constant (of splitmix64) and fold the
 * high bits back. */
static inline uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

/** The hash of the commands. */
static uint64_t hash_commands(const struct segue_recording *recording)
{
    uint64_t hash = 0;
    for (const struct segue_segment *segment = recording->first; segment != NULL;
         segment = segment->next) {
        if (is_group(segment))
            continue;
        uint64_t word = pair(segment->kind | (uint32_t)segment->is_empty << 8, 0);
        if (segment->kind == SEGUE_COMMAND_DISPATCH) {
            const struct segue_dispatch_segment *dispatch =
                (const struct segue_dispatch_segment *)segment;
            word += (uint64_t)(uintptr_t)dispatch->executable << 8 ^
                    pair(dispatch->binding_count << 16, dispatch->entry_point << 8);
        }
        hash = mix(hash, word);
    }
    return hash;
}

uint64_t segue_exec_content_hash(const struct segue_recording *recording,
                                 struct segue_variant variant)
{
    struct segue_slot_index *index = recording->slot_index;
    uint64_t hash;
    if (index == NULL) {
        hash = hash_commands(recording);
    } else {
        // A recording with slots comes with every table.
        if (!index->has_hash)
            index->hash = hash_commands(recording);
        index->has_hash = true;
        hash = index->hash;
    }
    hash = mix(mix(hash, variant.order_seed), pair(variant.flags, variant.bound_count));
    for (uint32_t i = 0; variant.aliases != NULL && i < variant.aliases->count; i++) {
        const struct segue_slot_alias *alias = &variant.aliases->list[i];
        hash = mix(mix(hash, pair(alias->slot, alias->base)), alias->offset_bytes);
    }
    return hash;
}

bool segue_exec_content_has_variant(const struct segue_exec_content *content,
                                    struct segue_variant variant)
{
    return content->variant.order_seed == variant.order_seed &&
           content->variant.flags == variant.flags &&
           content->variant.bound_count == variant.bound_count &&
           segue_slot_pattern_equal(&content->aliases, variant.aliases);
}

uint32_t segue_exec_content_bound_count(const struct segue_recording *recording)
{
    return recording->slot_count * SEGUE_BOUND_WORDS + recording->constant_slot_count;
}

void segue_exec_content_bind(struct segue_exec_content *content,
                             const struct segue_lowering *lowering)
{
    const struct segue_recording *recording = lowering->recording;
    content->serial = recording->serial;
    if (content->variant.bound_count == 0)
        return;
    uint64_t *words = content->bound;
    for (uint32_t i = 0; i < recording->slot_count; i++, words += SEGUE_BOUND_WORDS)
        segue_slot_write_bound(&lowering->table->slots[i], words);
    for (uint32_t i = 0; i < recording->constant_slot_count; i++)
        words[i] = lowering->table->constants[i];
}

/** Adds the records of all commands, in order; their places name no nodes yet.
 * `offsets`, by command: first word of its record. */
static void write_records(const struct segue_lowering *lowering, struct segue_exec_content *content,
                          uint32_t *offsets)
{
    uint64_t *words = content->words;
    for (const struct segue_segment *segment = lowering->recording->first; segment != NULL;
         segment = segment->next) {
        if (is_group(segment))
            continue;
        uint64_t *record = words;
        uint32_t access_count;
        words = write_record(lowering, segment, record);
        record[1] = pair(SEGUE_NO_RECORD, content->access_count);
        (void)segue_record_accesses(record, &access_count);
        content->access_count += access_count;
        offsets[segment->index] = (uint32_t)(record - content->words);
    }
}

static void place_nodes(const struct segue_plan *plan, const uint32_t *offsets,
                        struct segue_exec_content *content)
{
    for (uint32_t i = 0; i < plan->node_count; i++) {
        const struct segue_segment *segment = plan->nodes[i].segment;
        content->records[i] = SEGUE_NO_RECORD;
        if (segment == NULL)
            continue;
        content->records[i] = offsets[segment->index];
        uint64_t *record = content->words + offsets[segment->index];
        record[1] = pair(i, segue_record_first_access(record));
    }
}

/** Room for what slots stand for, and the aliases. */
static bool reserve_slots(struct segue_exec_content *content, struct segue_variant variant)
{
    if (variant.bound_count != 0) {
        content->bound =
            segue_allocate(content->allocator, variant.bound_count * sizeof(*content->bound));
        if (content->bound == NULL)
            return false;
    }
    if (variant.aliases == NULL || variant.aliases->count == 0)
        return true;
    const size_t list_bytes = variant.aliases->count * sizeof(*variant.aliases->list);
    content->aliases.list = segue_allocate(content->allocator, list_bytes);
    if (content->aliases.list == NULL)
        return false;
    memcpy(content->aliases.list, variant.aliases->list, list_bytes);
    content->aliases.count = variant.aliases->count;
    return true;
}

segue_status segue_exec_content_create(const struct segue_lowering *lowering,
                                       const struct segue_plan *plan, struct segue_variant variant,
                                       struct segue_exec_content *out_content)
{
    const struct segue_recording *recording = lowering->recording;
    struct segue_exec_content content = {
        .allocator = &recording->device->allocator,
        .node_count = plan->node_count,
        .hash = segue_exec_content_hash(recording, variant),
        .variant = variant,
    };
    content.variant.aliases = NULL;
    for (const struct segue_segment *segment = recording->first; segment != NULL;
         segment = segment->next)
        content.word_count += is_group(segment) ? 0 : segue_segment_record_words(segment);
    content.word_capacity = content.word_count;
    const size_t offsets_bytes = recording->command_count * sizeof(uint32_t);
    const bool fits = content.word_count < SEGUE_NO_RECORD;
    uint32_t *offsets = fits ? segue_allocate(content.allocator, offsets_bytes) : NULL;
    content.words =
        fits ? segue_allocate(content.allocator, content.word_capacity * sizeof(uint64_t)) : NULL;
    content.records = segue_allocate(content.allocator, plan->node_count * sizeof(uint32_t));
    const bool has_slots = reserve_slots(&content, variant);
    if (offsets == NULL || content.words == NULL || content.records == NULL || !has_slots) {
        segue_release(content.allocator, offsets, offsets_bytes);
        segue_exec_content_finish(&content);
        return segue_fail(recording->device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for remembering command buffer \"%s\"",
                          recording->label);
    }
    write_records(lowering, &content, offsets);
    place_nodes(plan, offsets, &content);
    segue_exec_content_bind(&content, lowering);
    segue_release(content.allocator, offsets, offsets_bytes);
    *out_content = content;
    return SEGUE_OK;
}

void segue_exec_content_finish(struct segue_exec_content *content)
{
    if (content->allocator == NULL)
        return;
    segue_release(content->allocator, content->words,
                  content->word_capacity * sizeof(*content->words));
    segue_release(content->allocator, content->records,
                  content->node_count * sizeof(*content->records));
    segue_release(content->allocator, content->bound,
                  content->variant.bound_count * sizeof(*content->bound));
    segue_slot_pattern_finish(&content->aliases, content->allocator);
    *content = (struct segue_exec_content){0};
}

void segue_exec_content_rewrite(struct segue_exec_content *content,
                                const struct segue_lowering *lowering,
                                const struct segue_change *change)
{
    (void)write_record(lowering, change->segment, content->words + change->record);
}

bool segue_changes_add(struct segue_changes *changes, struct segue_change change)
{
    if (!segue_grow(changes->allocator, (void **)&changes->list, &changes->capacity,
                    changes->count + 1, sizeof(*changes->list)))
        return false;
    changes->list[changes->count++] = change;
    changes->moved_count += change.moved;
    return true;
}

void segue_changes_finish(struct segue_changes *changes)
{
    segue_release(changes->allocator, changes->list, changes->capacity * sizeof(*changes->list));
    segue_release(changes->allocator, changes->scratch,
                  changes->scratch_capacity * sizeof(*changes->scratch));
    *changes = (struct segue_changes){.allocator = changes->allocator};
}
