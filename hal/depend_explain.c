// SPDX-License-Identifier: Apache-2.0
#include "depend.h"

#define WRITES (SEGUE_ACCESS_MASK_TRANSFER_WRITE | SEGUE_ACCESS_MASK_DISPATCH_WRITE)
#define READS (SEGUE_ACCESS_MASK_TRANSFER_READ | SEGUE_ACCESS_MASK_DISPATCH_READ)

static uint32_t hazard_kinds(const struct segue_command_access *from,
                             const struct segue_command_access *to)
{
    uint32_t kinds = 0;
    if ((from->mask & WRITES) != 0 && (to->mask & READS) != 0)
        kinds |= SEGUE_HAZARD_READ_AFTER_WRITE;
    if ((from->mask & READS) != 0 && (to->mask & WRITES) != 0)
        kinds |= SEGUE_HAZARD_WRITE_AFTER_READ;
    if ((from->mask & WRITES) != 0 && (to->mask & WRITES) != 0)
        kinds |= SEGUE_HAZARD_WRITE_AFTER_WRITE;
    return kinds;
}

/** The end of a slot's whole range is beyond every offset. */
static uint64_t end_of(const struct segue_resolved_range *range)
{
    return range->length_bytes > UINT64_MAX - range->offset_bytes
               ? UINT64_MAX
               : range->offset_bytes + range->length_bytes;
}

/** Whether two accesses of different objects may be of the same memory, as far as slots go. */
static bool may_alias(const struct segue_command_access *from,
                      const struct segue_command_access *to, uint32_t flags)
{
    bool from_slot = segue_range_is_slot(&from->range);
    bool to_slot = segue_range_is_slot(&to->range);
    if ((!from_slot && !to_slot) || from->constant || to->constant)
        return false;
    return !from_slot || !to_slot || (flags & SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT) == 0;
}

/** Fills in a reason if two accesses are in conflict. */
static bool compare(const struct segue_command_access *from, const struct segue_command_access *to,
                    uint32_t flags, struct segue_depend_reason *out_reason)
{
    struct segue_resolved_range before = segue_range_resolve(&from->range, NULL);
    struct segue_resolved_range after = segue_range_resolve(&to->range, NULL);
    struct segue_depend_reason reason = {.kinds = hazard_kinds(from, to)};
    if (reason.kinds == 0 || before.length_bytes == 0 || after.length_bytes == 0)
        return false;
    reason.memory = after.memory;
    if (!after.memory)
        reason.slot = segue_range_slot(&to->range);
    uint64_t begin = after.offset_bytes;
    uint64_t end = end_of(&after);
    bool same =
        before.memory == after.memory && (after.memory || from->range.object == to->range.object);
    if (same) {
        begin = before.offset_bytes > begin ? before.offset_bytes : begin;
        end = end_of(&before) < end ? end_of(&before) : end;
        if (begin >= end)
            return false;
    } else if (may_alias(from, to, flags)) {
        reason.kinds |= SEGUE_HAZARD_MAY_ALIAS;
    } else {
        return false;
    }
    reason.offset_bytes = begin;
    reason.length_bytes = end == UINT64_MAX ? SEGUE_WHOLE_SIZE : end - begin;
    *out_reason = reason;
    return true;
}

uint32_t segue_depend_explain(const struct segue_segment *from, const struct segue_segment *to,
                              uint32_t flags, struct segue_depend_reason *out_reasons,
                              uint32_t capacity)
{
    if (segue_segment_is_opaque(from) || segue_segment_is_opaque(to)) {
        if (capacity > 0)
            out_reasons[0] = (struct segue_depend_reason){.kinds = SEGUE_HAZARD_OPAQUE};
        return 1;
    }
    uint32_t count = 0;
    uint32_t from_count = segue_segment_access_count(from);
    uint32_t to_count = segue_segment_access_count(to);
    for (uint32_t i = 0; i < from_count; i++) {
        struct segue_command_access before = segue_segment_access(from, i);
        for (uint32_t k = 0; k < to_count; k++) {
            struct segue_command_access after = segue_segment_access(to, k);
            struct segue_depend_reason reason;
            if (!compare(&before, &after, flags, &reason))
                continue;
            reason.from_access = i;
            reason.to_access = k;
            if (count < capacity)
                out_reasons[count] = reason;
            count++;
        }
    }
    return count;
}
