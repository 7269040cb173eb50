// SPDX-License-Identifier: Apache-2.0
#include "segment.h"

static const struct segue_entry *dispatch_entry(const struct segue_dispatch_segment *dispatch)
{
    return &dispatch->executable->entries[dispatch->entry_point];
}

uint32_t segue_segment_access_count(const struct segue_segment *segment)
{
    switch (segment->kind) {
    case SEGUE_COMMAND_FILL:
    case SEGUE_COMMAND_UPDATE:
        return 1;
    case SEGUE_COMMAND_COPY:
        return 2;
    case SEGUE_COMMAND_DISPATCH:
        return ((const struct segue_dispatch_segment *)segment)->binding_count;
    default:
        return 0;
    }
}

static uint32_t mask_of_access(enum segue_access access)
{
    switch (access) {
    case SEGUE_ACCESS_READ:
    case SEGUE_ACCESS_CONSTANT:
        return SEGUE_ACCESS_MASK_DISPATCH_READ;
    case SEGUE_ACCESS_WRITE:
        return SEGUE_ACCESS_MASK_DISPATCH_WRITE;
    case SEGUE_ACCESS_READ_WRITE:
        break;
    }
    return SEGUE_ACCESS_MASK_DISPATCH_READ | SEGUE_ACCESS_MASK_DISPATCH_WRITE;
}

struct segue_command_access segue_segment_access(const struct segue_segment *segment, uint32_t i)
{
    struct segue_command_access access = {0};
    switch (segment->kind) {
    case SEGUE_COMMAND_FILL:
        access.range = ((const struct segue_fill_segment *)segment)->target;
        access.mask = SEGUE_ACCESS_MASK_TRANSFER_WRITE;
        break;
    case SEGUE_COMMAND_UPDATE:
        access.range = ((const struct segue_update_segment *)segment)->target;
        access.mask = SEGUE_ACCESS_MASK_TRANSFER_WRITE;
        break;
    case SEGUE_COMMAND_COPY: {
        const struct segue_copy_segment *copy = (const struct segue_copy_segment *)segment;
        access.range = i == 0 ? copy->source : copy->target;
        access.mask = i == 0 ? SEGUE_ACCESS_MASK_TRANSFER_READ : SEGUE_ACCESS_MASK_TRANSFER_WRITE;
        break;
    }
    case SEGUE_COMMAND_DISPATCH: {
        const struct segue_dispatch_segment *dispatch =
            (const struct segue_dispatch_segment *)segment;
        enum segue_access declared = dispatch_entry(dispatch)->bindings[i]->access;
        access.range = dispatch->bindings[i];
        access.mask = mask_of_access(declared);
        access.constant = declared == SEGUE_ACCESS_CONSTANT;
        break;
    }
    default:
        break;
    }
    return access;
}

uint32_t segue_segment_access_mask(const struct segue_segment *segment)
{
    if (segue_segment_is_opaque(segment))
        return SEGUE_ACCESS_MASK_ALL;
    uint32_t mask = 0;
    uint32_t count = segue_segment_access_count(segment);
    for (uint32_t i = 0; i < count; i++)
        mask |= segue_segment_access(segment, i).mask;
    return mask;
}

bool segue_segment_is_opaque(const struct segue_segment *segment)
{
    if (segment->kind != SEGUE_COMMAND_DISPATCH)
        return false;
    const struct segue_dispatch_segment *dispatch = (const struct segue_dispatch_segment *)segment;
    return (dispatch_entry(dispatch)->declared.flags & SEGUE_ENTRY_OPAQUE) != 0;
}
