// SPDX-License-Identifier: Apache-2.0
#include "record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/** What the data of updates is aligned to where it is staged. */
#define STAGING_ALIGN_BYTES 16
/** Of what messages call a range. */
#define MAX_NAME 256

/** `buffer "label"` or `slot 3`; cut to fit. Returns out_name. */
static const char *name_range(const struct segue_range *range, char out_name[MAX_NAME])
{
    const segue_buffer *buffer = segue_range_buffer(range);
    if (buffer)
        snprintf(out_name, MAX_NAME, "buffer \"%s\"", buffer->label);
    else
        snprintf(out_name, MAX_NAME, "slot %u", segue_range_slot(range));
    return out_name;
}

static uint32_t repeat_pattern(uint32_t pattern, uint32_t pattern_size_bytes)
{
    if (pattern_size_bytes == 1)
        return (pattern & 0xFF) * 0x01010101u;
    if (pattern_size_bytes == 2)
        return (pattern & 0xFFFF) * 0x00010001u;
    return pattern;
}

segue_status segue_cmd_fill(segue_command_buffer *command_buffer, struct segue_buffer_ref target,
                            uint32_t pattern, uint32_t pattern_size_bytes)
{
    segue_status status = segue_record_check(command_buffer);
    if (status != SEGUE_OK)
        return status;
    struct segue_fill_segment *fill =
        segue_record_allocate(command_buffer, SEGUE_COMMAND_FILL, sizeof *fill);
    if (!fill)
        return segue_record_no_memory(command_buffer, SEGUE_COMMAND_FILL);
    if (pattern_size_bytes != 1 && pattern_size_bytes != 2 && pattern_size_bytes != 4)
        return segue_record_fail(command_buffer, &fill->base, SEGUE_INVALID_ARGUMENT,
                                 "pattern_size_bytes is %u; use 1, 2 or 4", pattern_size_bytes);
    const struct segue_range_rules rules = {
        .usage = SEGUE_BUFFER_USAGE_TRANSFER_TARGET,
        .align_mask = pattern_size_bytes - 1,
    };
    if (!segue_record_range(command_buffer, &target, rules, &fill->target))
        return segue_record_range_failed(command_buffer, &fill->base, "target", -1, &target, rules);
    uint64_t length_bytes = fill->target.length_bytes;
    if (length_bytes != SEGUE_WHOLE_SIZE && (length_bytes & rules.align_mask) != 0)
        return segue_record_fail(
            command_buffer, &fill->base, SEGUE_INVALID_ARGUMENT,
            "target, %s: length %" PRIu64 " is not a multiple of the pattern's %u bytes",
            name_range(&fill->target, (char[MAX_NAME]){0}), length_bytes, pattern_size_bytes);
    fill->base.pattern_size_bytes = (uint8_t)pattern_size_bytes;
    fill->base.pattern = repeat_pattern(pattern, pattern_size_bytes);
    fill->base.is_empty = length_bytes == 0;
    segue_record_commit(command_buffer, &fill->base);
    return SEGUE_OK;
}

segue_status segue_cmd_update(segue_command_buffer *command_buffer, struct segue_buffer_ref target,
                              const void *data)
{
    segue_status status = segue_record_check(command_buffer);
    if (status != SEGUE_OK)
        return status;
    const struct segue_range_rules rules = {.usage = SEGUE_BUFFER_USAGE_TRANSFER_TARGET};
    struct segue_segment head = segue_record_head(command_buffer, SEGUE_COMMAND_UPDATE);
    struct segue_range range;
    if (!segue_record_range(command_buffer, &target, rules, &range))
        return segue_record_range_failed(command_buffer, &head, "target", -1, &target, rules);
    if (range.length_bytes > SEGUE_MAX_UPDATE_BYTES) {
        if (range.length_bytes == SEGUE_WHOLE_SIZE)
            return segue_record_fail(command_buffer, &head, SEGUE_INVALID_ARGUMENT,
                                     "target, slot %u: length is SEGUE_WHOLE_SIZE; an update needs "
                                     "the size of its data",
                                     target.slot);
        return segue_record_fail(command_buffer, &head, SEGUE_OUT_OF_RANGE,
                                 "length %" PRIu64 " is more than the %d bytes of an update; copy "
                                 "from a host-visible buffer instead",
                                 range.length_bytes, SEGUE_MAX_UPDATE_BYTES);
    }
    if (!data && range.length_bytes != 0)
        return segue_record_fail(command_buffer, &head, SEGUE_INVALID_ARGUMENT,
                                 "data is NULL, the length %" PRIu64, range.length_bytes);

    size_t length_bytes = (size_t)range.length_bytes;
    struct segue_update_segment *update =
        segue_record_allocate(command_buffer, SEGUE_COMMAND_UPDATE, sizeof *update + length_bytes);
    if (!update)
        return segue_record_no_memory(command_buffer, SEGUE_COMMAND_UPDATE);
    struct segue_recording *recording = command_buffer->recording;
    update->target = range;
    update->staging_offset_bytes = recording->inline_data_bytes;
    if (length_bytes != 0)
        memcpy(update->data, data, length_bytes);
    recording->inline_data_bytes +=
        (length_bytes + STAGING_ALIGN_BYTES - 1) & ~(uint64_t)(STAGING_ALIGN_BYTES - 1);
    update->base.is_empty = length_bytes == 0;
    segue_record_commit(command_buffer, &update->base);
    return SEGUE_OK;
}

segue_status segue_cmd_copy(segue_command_buffer *command_buffer, struct segue_buffer_ref source,
                            struct segue_buffer_ref target)
{
    segue_status status = segue_record_check(command_buffer);
    if (status != SEGUE_OK)
        return status;
    struct segue_copy_segment *copy =
        segue_record_allocate(command_buffer, SEGUE_COMMAND_COPY, sizeof *copy);
    if (!copy)
        return segue_record_no_memory(command_buffer, SEGUE_COMMAND_COPY);
    if (source.length_bytes == SEGUE_WHOLE_SIZE)
        source.length_bytes = target.length_bytes;
    else if (target.length_bytes == SEGUE_WHOLE_SIZE)
        target.length_bytes = source.length_bytes;

    const struct segue_range_rules reads = {.usage = SEGUE_BUFFER_USAGE_TRANSFER_SOURCE};
    const struct segue_range_rules writes = {.usage = SEGUE_BUFFER_USAGE_TRANSFER_TARGET};
    if (!segue_record_range(command_buffer, &source, reads, &copy->source))
        return segue_record_range_failed(command_buffer, &copy->base, "source", -1, &source, reads);
    if (!segue_record_range(command_buffer, &target, writes, &copy->target))
        return segue_record_range_failed(command_buffer, &copy->base, "target", -1, &target,
                                         writes);
    return segue_record_finish_copy(command_buffer, copy);
}

segue_status segue_record_finish_copy(segue_command_buffer *command_buffer,
                                      struct segue_copy_segment *copy)
{
    uint64_t source_bytes = copy->source.length_bytes;
    uint64_t target_bytes = copy->target.length_bytes;
    // The rest of a slot is compared when a table says how long it is.
    if (source_bytes != target_bytes && source_bytes != SEGUE_WHOLE_SIZE &&
        target_bytes != SEGUE_WHOLE_SIZE)
        return segue_record_fail(command_buffer, &copy->base, SEGUE_INVALID_ARGUMENT,
                                 "the source has %" PRIu64 " bytes, the target %" PRIu64
                                 "; both must have the same length",
                                 source_bytes, target_bytes);
    if (segue_ranges_overlap(&copy->source, &copy->target)) {
        return segue_record_fail(command_buffer, &copy->base, SEGUE_INVALID_ARGUMENT,
                                 "source (offset %" PRIu64 ") and target (offset %" PRIu64
                                 ") overlap in the memory of %s; copy by way of another buffer",
                                 copy->source.offset_bytes, copy->target.offset_bytes,
                                 name_range(&copy->source, (char[MAX_NAME]){0}));
    }
    copy->base.is_empty = source_bytes == 0 || target_bytes == 0;
    segue_record_commit(command_buffer, &copy->base);
    return SEGUE_OK;
}
