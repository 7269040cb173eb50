// SPDX-License-Identifier: Apache-2.0
#include "trace_read.h"

#include "error.h"
#include "vocabulary.h"

/** At least one kind of access. */
static segue_status read_mask(const struct segue_json *at, const char *key, uint32_t *out_mask)
{
    struct segue_json child;
    segue_status status = segue_json_member(at, key, &child);
    if (status == SEGUE_OK) {
        status = segue_json_flags(&child, segue_access_mask_names, SEGUE_ACCESS_MASK_NAME_COUNT,
                                  out_mask);
    }
    if (status == SEGUE_OK && *out_mask == 0) {
        return segue_json_fail(&child, "must not be empty");
    }
    return status;
}

static segue_status read_masks(const struct segue_json *at, uint32_t *out_source,
                               uint32_t *out_target)
{
    segue_status status = read_mask(at, "source", out_source);
    return status == SEGUE_OK ? read_mask(at, "target", out_target) : status;
}

static segue_status read_memory_barriers(const struct segue_json *at, segue_trace *trace,
                                         struct segue_trace_barrier *barrier)
{
    static const char *const keys[] = {"source", "target", NULL};
    struct segue_json child;
    struct segue_memory_barrier *items = NULL;
    segue_status status = segue_json_optional_array(at, "memory", SEGUE_TRACE_MAX_BARRIER_ITEMS,
                                                    &child, &barrier->memory_barrier_count);
    if (status == SEGUE_OK) {
        status =
            segue_trace_allocate(trace, barrier->memory_barrier_count, sizeof(items[0]), &items);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < barrier->memory_barrier_count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        status = segue_json_object(&element, keys);
        if (status == SEGUE_OK) {
            status = read_masks(&element, &items[i].source, &items[i].target);
        }
    }
    barrier->memory_barriers = items;
    return status;
}

static segue_status read_buffer_barriers(const struct segue_json *at, segue_trace *trace,
                                         const struct segue_trace_command_buffer *command_buffer,
                                         struct segue_trace_barrier *barrier)
{
    static const char *const keys[] = {"source", "target", "range", NULL};
    const struct segue_trace_range_rules rules = {.command_buffer = command_buffer};
    struct segue_json child;
    struct segue_trace_buffer_barrier *items = NULL;
    segue_status status = segue_json_optional_array(at, "buffers", SEGUE_TRACE_MAX_BARRIER_ITEMS,
                                                    &child, &barrier->buffer_barrier_count);
    if (status == SEGUE_OK) {
        status =
            segue_trace_allocate(trace, barrier->buffer_barrier_count, sizeof(items[0]), &items);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < barrier->buffer_barrier_count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        struct segue_json range;
        status = segue_json_object(&element, keys);
        if (status == SEGUE_OK) {
            status = read_masks(&element, &items[i].source, &items[i].target);
        }
        if (status == SEGUE_OK) {
            status = segue_json_member(&element, "range", &range);
        }
        if (status == SEGUE_OK) {
            status = segue_trace_read_range(&range, trace, &rules, &items[i].range);
        }
    }
    barrier->buffer_barriers = items;
    return status;
}

segue_status segue_trace_read_barrier(const struct segue_json *at, segue_trace *trace,
                                      const struct segue_trace_command_buffer *command_buffer,
                                      struct segue_trace_command *command)
{
    static const char *const keys[] = {"op", "execution", "memory", "buffers", NULL};
    struct segue_trace_barrier *barrier = NULL;
    bool execution = false;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, 1, sizeof(*barrier), &barrier);
    }
    if (status == SEGUE_OK) {
        status = segue_json_optional_bool(at, "execution", &execution);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    barrier->flags = execution ? SEGUE_BARRIER_EXECUTION : 0;
    command->as.barrier = barrier;
    status = read_memory_barriers(at, trace, barrier);
    return status == SEGUE_OK ? read_buffer_barriers(at, trace, command_buffer, barrier) : status;
}
