// SPDX-License-Identifier: Apache-2.0
#include "trace_read.h"

#include "error.h"
#include "files.h"

#include <inttypes.h>
#include <string.h>

segue_status segue_trace_allocate(segue_trace *trace, size_t count, size_t size_bytes,
                                  void *out_pointer)
{
    void *memory = segue_pool_allocate(&trace->pool, count, size_bytes);
    if (memory == NULL) {
        return segue_trace_fail_memory("a trace");
    }
    memcpy(out_pointer, &memory, sizeof(memory));
    return SEGUE_OK;
}

/** Copies a member string of `minimum` to SEGUE_TRACE_MAX_NAME_BYTES bytes. */
static segue_status read_string(const struct segue_json *at, size_t minimum, segue_trace *trace,
                                const char **out_text)
{
    const char *text = NULL;
    segue_status status = segue_json_string(at, SEGUE_TRACE_MAX_NAME_BYTES, &text);
    if (status != SEGUE_OK) {
        return status;
    }
    if (strlen(text) < minimum) {
        return segue_json_fail(at, "must not be empty");
    }
    *out_text = segue_pool_copy_string(&trace->pool, text);
    return *out_text != NULL ? SEGUE_OK : segue_trace_fail_memory("a trace");
}

segue_status segue_trace_read_name(const struct segue_json *at, const char *key, segue_trace *trace,
                                   const char **out_name)
{
    struct segue_json child;
    segue_status status = segue_json_member(at, key, &child);
    return status == SEGUE_OK ? read_string(&child, 1, trace, out_name) : status;
}

segue_status segue_trace_read_label(const struct segue_json *at, segue_trace *trace,
                                    const char *name, const char **out_label)
{
    struct segue_json child;
    if (!segue_json_optional(at, "label", &child)) {
        *out_label = name;
        return SEGUE_OK;
    }
    return read_string(&child, 0, trace, out_label);
}

segue_status segue_trace_sort_names(const struct segue_json *at, struct segue_names *names)
{
    uint32_t duplicate = 0;
    if (segue_names_sort(names, &duplicate)) {
        return SEGUE_OK;
    }
    struct segue_json element = segue_json_element(at, duplicate);
    return segue_json_fail(&element, "another one before it has the same name");
}

segue_status segue_trace_read_reference(const struct segue_json *at, const char *key,
                                        const struct segue_names *names, const char *what,
                                        uint32_t *out_index)
{
    struct segue_json child;
    const char *text = NULL;
    size_t length = 0;
    segue_status status = segue_json_member(at, key, &child);
    if (status == SEGUE_OK) {
        status = segue_json_text(&child, &text, &length);
    }
    if (status == SEGUE_OK && !segue_names_find(names, text, out_index)) {
        status = segue_json_fail(&child, "there is no %s \"%.80s\"", what, text);
    }
    return status;
}

segue_status segue_trace_check_usage(const struct segue_json *at,
                                     const struct segue_trace_buffer *buffer, uint32_t usage)
{
    static const char *const names[] = {
        "sources of copies",
        "targets of transfers",
        "bindings that are read",
        "bindings that are written",
    };
    uint32_t missing = usage & ~buffer->usage;
    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((missing & 1u << i) != 0) {
            return segue_json_fail(
                at, "buffer \"%s\" may not be among the %s (its %s)", buffer->name, names[i],
                buffer->memory == SEGUE_MEMORY_CONSTANT ? "memory is constant" : "usage");
        }
    }
    return SEGUE_OK;
}

segue_status segue_trace_resolve_range(const struct segue_json *at, const segue_trace *trace,
                                       struct segue_trace_range *range)
{
    if (range->buffer == SEGUE_TRACE_NONE) {
        return SEGUE_OK;
    }
    const struct segue_trace_buffer *buffer = &trace->buffers[range->buffer];
    if (range->offset_bytes > buffer->size_bytes && range->length_bytes == SEGUE_WHOLE_SIZE) {
        return segue_json_fail(at, "offset %" PRIu64 " exceeds buffer \"%s\" of %" PRIu64 " bytes",
                               range->offset_bytes, buffer->name, buffer->size_bytes);
    }
    if (range->length_bytes == SEGUE_WHOLE_SIZE) {
        range->length_bytes = buffer->size_bytes - range->offset_bytes;
    }
    if (range->offset_bytes > buffer->size_bytes ||
        range->length_bytes > buffer->size_bytes - range->offset_bytes) {
        return segue_json_fail(
            at,
            "offset %" PRIu64 " + length %" PRIu64 " exceeds buffer \"%s\" of %" PRIu64 " bytes",
            range->offset_bytes, range->length_bytes, buffer->name, buffer->size_bytes);
    }
    return SEGUE_OK;
}

/** The usage that the buffer must allow: as in a recording, what fills constants may write them. */
static uint32_t usage_needed(const struct segue_trace_buffer *buffer,
                             const struct segue_trace_range_rules *rules)
{
    const uint32_t writes = SEGUE_BUFFER_USAGE_TRANSFER_TARGET | SEGUE_BUFFER_USAGE_DISPATCH_WRITE;
    bool fills = rules->command_buffer != NULL && buffer->memory == SEGUE_MEMORY_CONSTANT &&
                 (rules->command_buffer->flags & SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS) != 0;
    return fills ? rules->usage & ~writes : rules->usage;
}

segue_status segue_trace_read_range(const struct segue_json *at, const segue_trace *trace,
                                    const struct segue_trace_range_rules *rules,
                                    struct segue_trace_range *out_range)
{
    static const char *const keys[] = {"buffer", "slot", "offset", "length", NULL};
    struct segue_json child;
    struct segue_trace_range range = {.buffer = SEGUE_TRACE_NONE, .length_bytes = SEGUE_WHOLE_SIZE};
    segue_status status = segue_json_object(at, keys);
    if (status != SEGUE_OK) {
        return status;
    }
    const uint32_t slot_count =
        rules->command_buffer != NULL ? rules->command_buffer->slot_count : 0;
    bool has_slot = segue_json_optional(at, "slot", &child);
    if (has_slot && (slot_count == 0 || segue_json_optional(at, "buffer", &child))) {
        return segue_json_fail(at, slot_count == 0 ? "no slot may be named here"
                                                   : "either \"buffer\" or \"slot\", not both");
    }
    if (has_slot) {
        status = segue_json_optional_u32(at, "slot", 0, slot_count - 1, &range.slot);
    } else {
        status =
            segue_trace_read_reference(at, "buffer", &trace->buffer_names, "buffer", &range.buffer);
    }
    if (status == SEGUE_OK) {
        status = segue_json_optional_u64(at, "offset", 0, INT64_MAX, &range.offset_bytes);
    }
    if (status == SEGUE_OK) {
        status = segue_json_optional_u64(at, "length", 0, INT64_MAX, &range.length_bytes);
    }
    if (status == SEGUE_OK && !has_slot) {
        status = segue_trace_resolve_range(at, trace, &range);
        if (status == SEGUE_OK) {
            status = segue_trace_check_usage(at, &trace->buffers[range.buffer],
                                             usage_needed(&trace->buffers[range.buffer], rules));
        }
    }
    if (status == SEGUE_OK) {
        *out_range = range;
    }
    return status;
}

segue_status segue_trace_read_dimensions(const struct segue_json *at, uint32_t minimum,
                                         const uint32_t limits[3], uint32_t out_dimensions[3])
{
    uint32_t count = 0;
    segue_status status = segue_json_array(at, 3, &count);
    if (status == SEGUE_OK && count != 3) {
        return segue_json_fail(at, "must be an array of 3 integers");
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < 3; i++) {
        struct segue_json element = segue_json_element(at, i);
        uint64_t value = 0;
        status = segue_json_u64(&element, minimum, limits[i], &value);
        out_dimensions[i] = (uint32_t)value;
    }
    return status;
}

segue_status segue_trace_open_file(const struct segue_json *at, const segue_trace *trace,
                                   const char **out_path, int *out_fd, uint64_t *out_size_bytes)
{
    segue_status status = segue_json_string(at, SEGUE_TRACE_MAX_PATH, out_path);
    if (status != SEGUE_OK) {
        return status;
    }
    const char *problem = segue_path_problem(*out_path);
    if (problem == NULL && trace->directory_fd < 0) {
        problem = "this trace has no folder";
    }
    if (problem != NULL) {
        return segue_json_fail(at, "%s", problem);
    }
    *out_fd = segue_open_beneath(trace->directory_fd, *out_path, out_size_bytes);
    if (*out_fd < 0) {
        return segue_json_fail(at, "file \"%.80s\" could not be opened: %s", *out_path,
                               strerror(-*out_fd));
    }
    return SEGUE_OK;
}
