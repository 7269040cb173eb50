// SPDX-License-Identifier: Apache-2.0
#include "slot_alias.h"

#include "slot_index.h"
#include "table.h"

#include <stdlib.h>

/** With no more slots to compare with each other than this, a table that differs from a valid one
 *  is looked at slot by slot. */
#define MAX_PAIRS 4096

/** What a slot stands for, as the device sees it. */
struct interval {
    uint64_t begin;
    uint64_t end;
    uint32_t slot;
    bool is_written;
};

static struct interval interval_of(const struct segue_recording *recording,
                                   const struct segue_binding_table *table, uint32_t slot)
{
    const struct segue_range *range = &table->slots[slot];
    const segue_buffer *buffer = segue_range_buffer(range);
    const uint64_t begin =
        buffer->memory->backend.device_address + buffer->offset_bytes + range->offset_bytes;
    return (struct interval){
        .begin = begin,
        .end = begin + range->length_bytes,
        .slot = slot,
        .is_written = (recording->slot_index->flags[slot] & SEGUE_SLOT_WRITTEN) != 0,
    };
}

static bool is_used(const struct segue_recording *recording, uint32_t slot)
{
    return (recording->slot_index->flags[slot] & SEGUE_SLOT_USED) != 0;
}

/** A slot from `first` on that this one overlaps so that it matters; the slot count if none. */
static uint32_t find_overlap(const struct segue_recording *recording,
                             const struct segue_binding_table *table, uint32_t slot, uint32_t first)
{
    const struct interval own = interval_of(recording, table, slot);
    for (uint32_t i = first; i < table->slot_count; i++) {
        if (i == slot || !is_used(recording, i))
            continue;
        const struct interval other = interval_of(recording, table, i);
        const uint64_t begin = own.begin > other.begin ? own.begin : other.begin;
        const uint64_t end = own.end < other.end ? own.end : other.end;
        if ((own.is_written || other.is_written) && begin < end)
            return i;
    }
    return table->slot_count;
}

/** Whether the few slots that differ from a table without aliases have none either. */
static bool is_quickly_empty(const struct segue_recording *recording,
                             const struct segue_binding_table *table,
                             const struct segue_binding_table *valid)
{
    uint32_t compared = 0;
    for (uint32_t i = 0; i < table->slot_count; i++) {
        if (!is_used(recording, i) || segue_slot_is_same(&table->slots[i], &valid->slots[i]))
            continue;
        compared += table->slot_count;
        if (compared > MAX_PAIRS || find_overlap(recording, table, i, 0) < table->slot_count)
            return false;
    }
    return true;
}

static int compare_intervals(const void *left, const void *right)
{
    const struct interval *a = left;
    const struct interval *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return (a->slot > b->slot) - (a->slot < b->slot);
}

static int compare_aliases(const void *left, const void *right)
{
    const struct segue_slot_alias *a = left;
    const struct segue_slot_alias *b = right;
    return (a->slot > b->slot) - (a->slot < b->slot);
}

/** Lists what takes part, by where it begins. Returns the number. */
static uint32_t list_intervals(const struct segue_recording *recording,
                               const struct segue_binding_table *table, struct interval *intervals)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < table->slot_count; i++) {
        if (is_used(recording, i) && table->slots[i].length_bytes != 0)
            intervals[count++] = interval_of(recording, table, i);
    }
    qsort(intervals, count, sizeof *intervals, compare_intervals);
    return count;
}

/** Puts the groups into the pattern, or (`list` NULL) counts what would be. */
static uint32_t list_groups(const struct interval *intervals, uint32_t count,
                            struct segue_slot_alias *list)
{
    uint32_t listed = 0;
    uint32_t first = 0;
    while (first < count) {
        uint64_t end = intervals[first].end;
        bool is_written = intervals[first].is_written;
        uint32_t next = first + 1;
        for (; next < count && intervals[next].begin < end; next++) {
            is_written |= intervals[next].is_written;
            if (intervals[next].end > end)
                end = intervals[next].end;
        }
        for (uint32_t i = first + 1; is_written && i < next; i++, listed++) {
            if (list)
                list[listed] = (struct segue_slot_alias){
                    .slot = intervals[i].slot,
                    .base = intervals[first].slot,
                    .offset_bytes = intervals[i].begin - intervals[first].begin,
                };
        }
        first = next;
    }
    return listed;
}

segue_status segue_slot_pattern_find(const struct segue_recording *recording,
                                     const struct segue_binding_table *table,
                                     const struct segue_binding_table *valid,
                                     struct segue_slot_pattern *out_pattern)
{
    const struct segue_allocator *allocator = &recording->device->allocator;
    struct segue_slot_pattern pattern = {0};
    if (valid && is_quickly_empty(recording, table, valid)) {
        *out_pattern = pattern;
        return SEGUE_OK;
    }
    const size_t intervals_bytes = table->slot_count * sizeof(struct interval);
    struct interval *intervals = segue_allocate(allocator, intervals_bytes);
    bool allocated = intervals != NULL;
    if (allocated) {
        const uint32_t count = list_intervals(recording, table, intervals);
        pattern.count = list_groups(intervals, count, NULL);
        if (pattern.count != 0) {
            pattern.list = segue_allocate(allocator, pattern.count * sizeof *pattern.list);
            allocated = pattern.list != NULL;
        }
        if (pattern.list) {
            (void)list_groups(intervals, count, pattern.list);
            qsort(pattern.list, pattern.count, sizeof *pattern.list, compare_aliases);
        }
    }
    segue_release(allocator, intervals, intervals_bytes);
    if (!allocated)
        return segue_fail(recording->device, SEGUE_OUT_OF_HOST_MEMORY,
                          "command buffer \"%s\": no host memory to compare what its %u slots "
                          "stand for",
                          recording->label, table->slot_count);
    *out_pattern = pattern;
    return SEGUE_OK;
}

void segue_slot_pattern_find_pair(const struct segue_recording *recording,
                                  const struct segue_binding_table *table, uint32_t *out_first,
                                  uint32_t *out_second)
{
    for (uint32_t i = 0; i < table->slot_count; i++) {
        const uint32_t other =
            is_used(recording, i) ? find_overlap(recording, table, i, i + 1) : table->slot_count;
        if (other == table->slot_count)
            continue;
        *out_first = i;
        *out_second = other;
        return;
    }
}

void segue_slot_pattern_finish(struct segue_slot_pattern *pattern,
                               const struct segue_allocator *allocator)
{
    segue_release(allocator, pattern->list, pattern->count * sizeof *pattern->list);
    *pattern = (struct segue_slot_pattern){0};
}

bool segue_slot_pattern_equal(const struct segue_slot_pattern *a,
                              const struct segue_slot_pattern *b)
{
    const uint32_t count = a ? a->count : 0;
    if (count != (b ? b->count : 0))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (a->list[i].slot != b->list[i].slot || a->list[i].base != b->list[i].base ||
            a->list[i].offset_bytes != b->list[i].offset_bytes)
            return false;
    }
    return true;
}
