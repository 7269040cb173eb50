// SPDX-License-Identifier: Apache-2.0
#include "slot_index.h"

#include <inttypes.h>
#include <string.h>

#define WRITES (SEGUE_ACCESS_MASK_TRANSFER_WRITE | SEGUE_ACCESS_MASK_DISPATCH_WRITE)

/** Called for each key that a command names, as often as it names it. */
typedef void (*key_visitor)(struct segue_slot_index *index, uint32_t key, bool writes);

/** Returns how many there were. */
static uint32_t visit_keys(const struct segue_segment *segment, struct segue_slot_index *index,
                           key_visitor visit)
{
    uint32_t found = 0;
    const uint32_t count = segue_segment_access_count(segment);
    for (uint32_t i = 0; i < count; i++) {
        const struct segue_command_access access = segue_segment_access(segment, i);
        if (!segue_range_is_slot(&access.range))
            continue;
        visit(index, segue_range_slot(&access.range), (access.mask & WRITES) != 0);
        found++;
    }
    if (segment->kind == SEGUE_COMMAND_DISPATCH) {
        uint32_t use_count;
        const struct segue_constant_use *uses = segue_dispatch_constant_uses(
            (const struct segue_dispatch_segment *)segment, &use_count);
        for (uint32_t i = 0; i < use_count; i++)
            visit(index, index->slot_count + uses[i].slot, false);
        return found + use_count;
    }
    if (segment->kind != SEGUE_COMMAND_BARRIER)
        return found;
    const struct segue_barrier_segment *barrier = (const struct segue_barrier_segment *)segment;
    for (uint32_t i = 0; i < barrier->buffer_barrier_count; i++) {
        const struct segue_range *range = &barrier->buffer_barriers[i].range;
        if (!segue_range_is_slot(range))
            continue;
        visit(index, segue_range_slot(range), false);
        found++;
    }
    return found;
}

static void count_key(struct segue_slot_index *index, uint32_t key, bool writes)
{
    index->first[key + 1]++;
    index->flags[key] |= SEGUE_SLOT_USED | (writes ? SEGUE_SLOT_WRITTEN : 0);
}

/** While the list is filled, first[key] is where the key's next entry goes. */
static void add_key(struct segue_slot_index *index, uint32_t key, bool writes)
{
    (void)writes;
    index->list[index->first[key]++] = index->user_count;
}

static segue_status fail_memory(const struct segue_recording *recording)
{
    return segue_fail(recording->device, SEGUE_OUT_OF_HOST_MEMORY,
                      "command buffer \"%s\": no host memory to index its %" PRIu32
                      " slots and %" PRIu32 " constant slots",
                      recording->label, recording->slot_count, recording->constant_slot_count);
}

/** Counts, per slot and in all. Returns the number of entries. */
static uint64_t count_uses(const struct segue_recording *recording, struct segue_slot_index *index)
{
    uint64_t uses = 0;
    for (const struct segue_segment *segment = recording->first; segment; segment = segment->next) {
        const uint32_t found = visit_keys(segment, index, count_key);
        uses += found;
        index->user_count += found != 0;
    }
    return uses;
}

static void fill(const struct segue_recording *recording, struct segue_slot_index *index)
{
    for (uint32_t key = 0; key < index->key_count; key++)
        index->first[key + 1] += index->first[key];
    index->user_count = 0;
    for (const struct segue_segment *segment = recording->first; segment; segment = segment->next) {
        if (visit_keys(segment, index, add_key) != 0)
            index->users[index->user_count++] = (struct segue_slot_user){.segment = segment};
    }
    // Each key's part begins where that of the key before has ended.
    for (uint32_t key = index->key_count; key > 0; key--)
        index->first[key] = index->first[key - 1];
    index->first[0] = 0;
}

segue_status segue_slot_index_create(struct segue_recording *recording)
{
    const uint32_t key_count = recording->slot_count + recording->constant_slot_count;
    if (key_count == 0)
        return SEGUE_OK;
    struct segue_arena *arena = &recording->arena;
    struct segue_slot_index *index = segue_arena_allocate(arena, sizeof *index);
    const size_t first_bytes = (key_count + 1) * sizeof *index->first;
    uint32_t *first = segue_arena_allocate(arena, first_bytes);
    uint8_t *flags = segue_arena_allocate(arena, key_count);
    if (!index || !first || !flags)
        return fail_memory(recording);
    memset(first, 0, first_bytes);
    memset(flags, 0, key_count);
    *index = (struct segue_slot_index){
        .slot_count = recording->slot_count,
        .key_count = key_count,
        .first = first,
        .flags = flags,
    };
    const uint64_t uses = count_uses(recording, index);
    if (uses > UINT32_MAX)
        return fail_memory(recording);
    index->users = segue_arena_allocate(arena, index->user_count * sizeof *index->users);
    index->list = segue_arena_allocate(arena, uses * sizeof *index->list);
    if (uses != 0 && (!index->users || !index->list))
        return fail_memory(recording);
    fill(recording, index);
    recording->slot_index = index;
    return SEGUE_OK;
}

void segue_slot_index_begin_round(struct segue_slot_index *index)
{
    // Marks of 2^32 rounds ago must not be taken for this one's.
    if (++index->round != 0)
        return;
    for (uint32_t i = 0; i < index->user_count; i++)
        index->users[i].mark = 0;
    index->round = 1;
}
