// SPDX-License-Identifier: Apache-2.0
#include "exec_content.h"

#include "slot_index.h"

#include <string.h>

static uint64_t pair(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

static bool is_group(const struct segue_segment *segment)
{
    return segment->kind >= SEGUE_COMMAND_BEGIN_GROUP;
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
                    pair((uint32_t)dispatch->binding_count << 16, dispatch->entry_point << 8);
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
        words = segue_segment_write_record(lowering, segment, record);
        if (!segue_record_is_plain(record))
            record[1] = pair(SEGUE_NO_RECORD, content->access_count);
        content->access_count += segue_segment_ranges(segment).count;
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
    segue_record_rewrite(lowering, change->segment, change->moved, content->words + change->record);
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
