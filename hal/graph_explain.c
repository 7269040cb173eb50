// SPDX-License-Identifier: Apache-2.0
#include "graph_view.h"

#include "command_buffer.h"
#include "depend.h"

#include <inttypes.h>

/** Pairs of accesses that are looked at to tell why an edge is there. */
#define MAX_REASONS 64

_Static_assert((uint32_t)SEGUE_GRAPH_REASON_READ_AFTER_WRITE == SEGUE_HAZARD_READ_AFTER_WRITE &&
                   (uint32_t)SEGUE_GRAPH_REASON_WRITE_AFTER_READ == SEGUE_HAZARD_WRITE_AFTER_READ &&
                   (uint32_t)SEGUE_GRAPH_REASON_WRITE_AFTER_WRITE ==
                       SEGUE_HAZARD_WRITE_AFTER_WRITE &&
                   (uint32_t)SEGUE_GRAPH_REASON_OPAQUE == SEGUE_HAZARD_OPAQUE &&
                   (uint32_t)SEGUE_GRAPH_REASON_MAY_ALIAS == SEGUE_HAZARD_MAY_ALIAS,
               "both name the same bits");

uint32_t segue_graph_conflict_reasons(const struct segue_segment *from,
                                      const struct segue_segment *to, uint32_t flags)
{
    struct segue_depend_reason found[MAX_REASONS];
    uint32_t count = segue_depend_explain(from, to, flags, found, MAX_REASONS);
    uint32_t reasons = 0;
    for (uint32_t i = 0; i < count && i < MAX_REASONS; i++)
        reasons |= found[i].kinds;
    return reasons;
}

/** A reason in the terms of the later command's own range. */
static struct segue_graph_conflict conflict_of(const struct segue_segment *to,
                                               const struct segue_depend_reason *reason)
{
    struct segue_graph_conflict conflict = {.reasons = reason->kinds};
    if ((reason->kinds & SEGUE_HAZARD_OPAQUE) != 0)
        return conflict;
    const struct segue_command_access access = segue_segment_access(to, reason->to_access);
    const segue_buffer *buffer = segue_range_buffer(&access.range);
    conflict.from_access = reason->from_access;
    conflict.to_access = reason->to_access;
    conflict.range = (struct segue_buffer_ref){
        .buffer = segue_range_buffer(&access.range),
        .slot = reason->slot,
        .offset_bytes = reason->offset_bytes - (buffer ? buffer->offset_bytes : 0),
        .length_bytes = reason->length_bytes,
    };
    return conflict;
}

/** Writes up to `capacity` conflicts. Returns how many there are, or UINT32_MAX without memory. */
static uint32_t explain(const segue_command_buffer *command_buffer,
                        const struct segue_segment *from, const struct segue_segment *to,
                        struct segue_graph_conflict *out_conflicts, uint32_t capacity)
{
    const struct segue_allocator *allocator = &command_buffer->device->allocator;
    const uint32_t flags = command_buffer->view_flags;
    struct segue_depend_reason some[MAX_REASONS];
    struct segue_depend_reason *all = some;
    uint32_t count = segue_depend_explain(from, to, flags, some, MAX_REASONS);
    const uint32_t wanted = count < capacity ? count : capacity;
    if (wanted > MAX_REASONS) {
        all = segue_allocate(allocator, wanted * sizeof *all);
        if (!all)
            return UINT32_MAX;
        count = segue_depend_explain(from, to, flags, all, wanted);
    }
    for (uint32_t i = 0; i < wanted; i++)
        out_conflicts[i] = conflict_of(to, &all[i]);
    if (all != some)
        segue_release(allocator, all, wanted * sizeof *all);
    return count;
}

segue_status segue_command_buffer_explain_edge(segue_command_buffer *command_buffer, uint32_t edge,
                                               struct segue_graph_conflict *out_conflicts,
                                               uint32_t capacity, uint32_t *out_count)
{
    if (!command_buffer || !out_count || (capacity != 0 && !out_conflicts))
        return segue_fail(command_buffer ? command_buffer->device : NULL, SEGUE_INVALID_ARGUMENT,
                          "segue_command_buffer_explain_edge: %s is NULL",
                          !command_buffer ? "command_buffer"
                          : !out_count    ? "out_count"
                                          : "out_conflicts");
    const struct segue_graph_view *view = &command_buffer->view;
    if (!command_buffer->view_memory)
        return segue_fail(command_buffer->device, SEGUE_INVALID_STATE,
                          "segue_command_buffer_explain_edge: nobody has asked for a graph of "
                          "command buffer \"%s\"; call segue_command_buffer_get_graph first",
                          command_buffer->label);
    if (edge >= view->edge_count)
        return segue_fail(command_buffer->device, SEGUE_OUT_OF_RANGE,
                          "segue_command_buffer_explain_edge: edge is %" PRIu32 ", but the last "
                          "view of command buffer \"%s\" has %" PRIu32 " edges",
                          edge, command_buffer->label, view->edge_count);
    const struct segue_segment *from = command_buffer->view_segments[view->edges[edge].from];
    const struct segue_segment *to = command_buffer->view_segments[view->edges[edge].to];
    const uint32_t count =
        from && to ? explain(command_buffer, from, to, out_conflicts, capacity) : 0;
    if (count == UINT32_MAX)
        return segue_fail(command_buffer->device, SEGUE_OUT_OF_HOST_MEMORY,
                          "command buffer \"%s\": no memory to explain an edge",
                          command_buffer->label);
    *out_count = count;
    return SEGUE_OK;
}
