// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include "record.h"
#include "slot_index.h"

#include <inttypes.h>

/** One table held against one recording. */
struct check {
    const struct segue_recording *recording;
    const struct segue_binding_table *table;
    const struct segue_segment *segment;
};

#define fail_check(check, status, format, ...)                                               \
    segue_fail(                                                                              \
        (check)->recording->device, (status), "command buffer \"%s\", %s: " format,          \
        (check)->recording->label,                                                           \
        segue_recording_describe((check)->recording, (check)->segment, (char[512]){0}, 512), \
        __VA_ARGS__)

/** One range of the current command, if it names a slot. */
static segue_status check_range(const struct check *check, const struct segue_range *range,
                                struct segue_range_rules rules)
{
    if (!segue_range_is_slot(range))
        return SEGUE_OK;
    uint32_t slot = segue_range_slot(range);
    const struct segue_range *bound = &check->table->slots[slot];
    const segue_buffer *buffer = segue_range_buffer(bound);
    if (range->offset_bytes > bound->length_bytes)
        return fail_check(check, SEGUE_OUT_OF_RANGE,
                          "offset %" PRIu64 " of slot %u lies behind the %" PRIu64
                          " bytes of buffer \"%s\" that the submission binds to it; bind more",
                          range->offset_bytes, slot, bound->length_bytes, buffer->label);
    uint64_t rest_bytes = bound->length_bytes - range->offset_bytes;
    if (range->length_bytes != SEGUE_WHOLE_SIZE && range->length_bytes > rest_bytes)
        return fail_check(
            check, SEGUE_OUT_OF_RANGE,
            "%" PRIu64 " bytes at offset %" PRIu64 " of slot %u go beyond the %" PRIu64
            " bytes of buffer \"%s\" that the submission binds to it; bind %" PRIu64 " or more",
            range->length_bytes, range->offset_bytes, slot, bound->length_bytes, buffer->label,
            range->offset_bytes + range->length_bytes);
    if ((rules.usage & ~buffer->usage) != 0)
        return fail_check(check, SEGUE_INVALID_ACCESS,
                          "buffer \"%s\" in slot %u has usage 0x%x and lacks 0x%x; bind one with "
                          "these bits",
                          buffer->label, slot, buffer->usage, rules.usage & ~buffer->usage);
    uint64_t address_offset = buffer->offset_bytes + bound->offset_bytes + range->offset_bytes;
    if ((address_offset & rules.align_mask) != 0)
        return fail_check(check, SEGUE_INVALID_ARGUMENT,
                          "buffer \"%s\" in slot %u is used at byte %" PRIu64
                          " of its memory, which is not a multiple of %u; bind it at one that is",
                          buffer->label, slot, address_offset, rules.align_mask + 1);
    return SEGUE_OK;
}

static segue_status check_fill(const struct check *check, const struct segue_fill_segment *fill)
{
    const struct segue_range_rules rules = {
        .usage = SEGUE_BUFFER_USAGE_TRANSFER_TARGET,
        .align_mask = fill->base.pattern_size_bytes - 1u,
    };
    segue_status status = check_range(check, &fill->target, rules);
    if (status != SEGUE_OK)
        return status;
    uint64_t length_bytes = segue_range_resolve(&fill->target, check->table).length_bytes;
    if ((length_bytes & rules.align_mask) != 0)
        return fail_check(
            check, SEGUE_INVALID_ARGUMENT,
            "slot %u leaves %" PRIu64 " bytes to fill, not a multiple of the pattern's %u; bind "
            "%" PRIu64 " bytes less",
            segue_range_slot(&fill->target), length_bytes, fill->base.pattern_size_bytes,
            length_bytes % fill->base.pattern_size_bytes);
    if (length_bytes == 0 && !fill->base.is_empty)
        return fail_check(check, SEGUE_OUT_OF_RANGE, "slot %u leaves no bytes to fill; bind more",
                          segue_range_slot(&fill->target));
    return SEGUE_OK;
}

static segue_status check_copy(const struct check *check, const struct segue_copy_segment *copy)
{
    const struct segue_range_rules reads = {.usage = SEGUE_BUFFER_USAGE_TRANSFER_SOURCE};
    const struct segue_range_rules writes = {.usage = SEGUE_BUFFER_USAGE_TRANSFER_TARGET};
    segue_status status = check_range(check, &copy->source, reads);
    if (status == SEGUE_OK)
        status = check_range(check, &copy->target, writes);
    if (status != SEGUE_OK)
        return status;

    struct segue_resolved_range source = segue_range_resolve(&copy->source, check->table);
    struct segue_resolved_range target = segue_range_resolve(&copy->target, check->table);
    if (source.length_bytes != target.length_bytes)
        return fail_check(check, SEGUE_INVALID_ARGUMENT,
                          "with this table the source has %" PRIu64 " bytes, the target %" PRIu64
                          "; both must have the same length",
                          source.length_bytes, target.length_bytes);
    if (source.length_bytes == 0 && !copy->base.is_empty)
        return fail_check(check, SEGUE_OUT_OF_RANGE,
                          "with this table there are %d bytes to copy; bind more", 0);
    uint64_t distance = source.offset_bytes < target.offset_bytes
                            ? target.offset_bytes - source.offset_bytes
                            : source.offset_bytes - target.offset_bytes;
    if (source.memory == target.memory && distance < source.length_bytes)
        return fail_check(check, SEGUE_INVALID_ARGUMENT,
                          "with this table source and target overlap: bytes %" PRIu64
                          " and %" PRIu64 " of one memory, length %" PRIu64 "; bind others",
                          source.offset_bytes, target.offset_bytes, source.length_bytes);
    return SEGUE_OK;
}

static segue_status check_segment(const struct check *check)
{
    const struct segue_segment *segment = check->segment;
    const struct segue_range_rules writes = {.usage = SEGUE_BUFFER_USAGE_TRANSFER_TARGET};
    const struct segue_range_rules none = {0};
    switch (segment->kind) {
    case SEGUE_COMMAND_FILL:
        return check_fill(check, (const struct segue_fill_segment *)segment);
    case SEGUE_COMMAND_UPDATE:
        return check_range(check, &((const struct segue_update_segment *)segment)->target, writes);
    case SEGUE_COMMAND_COPY:
        return check_copy(check, (const struct segue_copy_segment *)segment);
    case SEGUE_COMMAND_DISPATCH: {
        const struct segue_dispatch_segment *dispatch =
            (const struct segue_dispatch_segment *)segment;
        segue_status status = SEGUE_OK;
        for (uint32_t i = 0; i < dispatch->binding_count && status == SEGUE_OK; i++)
            status = check_range(check, &dispatch->bindings[i],
                                 segue_dispatch_binding_rules(dispatch, i));
        return status;
    }
    case SEGUE_COMMAND_BARRIER: {
        const struct segue_barrier_segment *barrier = (const struct segue_barrier_segment *)segment;
        segue_status status = SEGUE_OK;
        for (uint32_t i = 0; i < barrier->buffer_barrier_count && status == SEGUE_OK; i++)
            status = check_range(check, &barrier->buffer_barriers[i].range, none);
        return status;
    }
    default:
        return SEGUE_OK;
    }
}

segue_status segue_table_check(const struct segue_recording *recording,
                               const struct segue_binding_table *table)
{
    struct check check = {.recording = recording, .table = table, .segment = recording->first};
    for (; check.segment; check.segment = check.segment->next) {
        segue_status status = check_segment(&check);
        if (status != SEGUE_OK)
            return status;
    }
    return SEGUE_OK;
}

/** Checks the commands that name one slot and have not been met. */
static segue_status check_users(struct check *check, struct segue_slot_index *index, uint32_t slot)
{
    for (uint32_t k = index->first[slot]; k < index->first[slot + 1]; k++) {
        const struct segue_slot_user *user = segue_slot_index_meet(index, k);
        if (!user)
            continue;
        check->segment = user->segment;
        segue_status status = check_segment(check);
        if (status != SEGUE_OK)
            return status;
    }
    return SEGUE_OK;
}

segue_status segue_table_check_since(const struct segue_recording *recording,
                                     const struct segue_binding_table *table,
                                     const struct segue_binding_table *valid)
{
    struct check check = {.recording = recording, .table = table};
    segue_slot_index_begin_round(recording->slot_index);
    for (uint32_t i = 0; i < table->slot_count; i++) {
        if (segue_slot_is_same(&table->slots[i], &valid->slots[i]))
            continue;
        segue_status status = check_users(&check, recording->slot_index, i);
        if (status != SEGUE_OK)
            return status;
    }
    return SEGUE_OK;
}

static segue_status refuse_aliases(const struct segue_recording *recording,
                                   const struct segue_binding_table *table)
{
    uint32_t first = 0;
    uint32_t second = 0;
    segue_slot_pattern_find_pair(recording, table, &first, &second);
    const struct segue_range *a = &table->slots[first];
    const struct segue_range *b = &table->slots[second];
    return segue_fail(
        recording->device, SEGUE_INVALID_ARGUMENT,
        "command buffer \"%s\": slots %u and %u overlap and commands write one of them: %" PRIu64
        " bytes at offset %" PRIu64 " of buffer \"%s\", %" PRIu64 " at %" PRIu64
        " of \"%s\"; it was created with SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT: bind what does not "
        "overlap, or add SEGUE_COMMAND_BUFFER_LOWER_ALIASES",
        recording->label, first, second, a->length_bytes, a->offset_bytes,
        segue_range_buffer(a)->label, b->length_bytes, b->offset_bytes,
        segue_range_buffer(b)->label);
}

segue_status segue_table_check_aliases(const struct segue_recording *recording,
                                       const struct segue_binding_table *table,
                                       const struct segue_binding_table *valid,
                                       struct segue_slot_pattern *out_aliases)
{
    // There may be constant slots only.
    if ((recording->flags & SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT) == 0 || table->slot_count == 0)
        return SEGUE_OK;
    struct segue_slot_pattern aliases = {0};
    segue_status status = segue_slot_pattern_find(recording, table, valid, &aliases);
    if (status != SEGUE_OK)
        return status;
    if (aliases.count == 0 || (recording->flags & SEGUE_COMMAND_BUFFER_LOWER_ALIASES) != 0) {
        *out_aliases = aliases;
        return SEGUE_OK;
    }
    status = refuse_aliases(recording, table);
    segue_slot_pattern_finish(&aliases, &recording->device->allocator);
    return status;
}

bool segue_table_equal(const struct segue_binding_table *a, const struct segue_binding_table *b)
{
    if (a->slot_count != b->slot_count || a->constant_count != b->constant_count)
        return false;
    for (uint32_t i = 0; i < a->slot_count; i++) {
        if (!segue_slot_is_same(&a->slots[i], &b->slots[i]))
            return false;
    }
    for (uint32_t i = 0; i < a->constant_count; i++) {
        if (a->constants[i] != b->constants[i])
            return false;
    }
    return true;
}
