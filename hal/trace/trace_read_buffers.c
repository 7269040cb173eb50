// SPDX-License-Identifier: Apache-2.0
#include "trace_read.h"

#include "content.h"
#include "dtype.h"
#include "error.h"
#include "vocabulary.h"

#include <inttypes.h>
#include <string.h>

/** NORMAL and UNIFORM: dtype and the two numbers. */
static segue_status read_distribution(const struct segue_json *at, const char *a_key,
                                      const char *b_key, struct segue_content *content)
{
    struct segue_json child;
    uint32_t dtype = 0;
    segue_status status = segue_json_member(at, "dtype", &child);
    if (status == SEGUE_OK) {
        status = segue_json_enum(&child, segue_dtype_names, SEGUE_DTYPE_COUNT, &dtype);
    }
    content->dtype = (enum segue_dtype)dtype;
    if (status == SEGUE_OK && segue_json_optional(at, a_key, &child)) {
        status = segue_json_double(&child, &content->a);
    }
    if (status == SEGUE_OK && segue_json_optional(at, b_key, &child)) {
        status = segue_json_double(&child, &content->b);
    }
    return status;
}

static segue_status read_tensor_content(const struct segue_json *at, const segue_trace *trace,
                                        uint64_t wanted_bytes, struct segue_trace_content *content)
{
    segue_status status =
        segue_trace_read_reference(at, "tensor", &trace->tensor_names, "tensor", &content->tensor);
    if (status != SEGUE_OK) {
        return status;
    }
    uint64_t size_bytes = trace->tensors[content->tensor].tensor->size_bytes;
    if (size_bytes != wanted_bytes) {
        return segue_json_fail(at, "the tensor has %" PRIu64 " bytes, the buffer %" PRIu64,
                               size_bytes, wanted_bytes);
    }
    return SEGUE_OK;
}

static segue_status read_generated(const struct segue_json *at, struct segue_content *content)
{
    // What each kind may say beyond "kind", so that a misplaced key is not ignored.
    static const char *const keys[][6] = {
        [SEGUE_CONTENT_ZERO] = {"kind", NULL},
        [SEGUE_CONTENT_FILL] = {"kind", "pattern", NULL},
        [SEGUE_CONTENT_NORMAL] = {"kind", "dtype", "seed", "mean", "stddev", NULL},
        [SEGUE_CONTENT_UNIFORM] = {"kind", "dtype", "seed", "low", "high", NULL},
        [SEGUE_CONTENT_NIBBLES] = {"kind", "seed", NULL},
    };
    segue_status status = segue_json_object(at, keys[content->kind]);
    if (status == SEGUE_OK && content->kind == SEGUE_CONTENT_FILL) {
        struct segue_json child;
        status = segue_json_member(at, "pattern", &child);
        if (status == SEGUE_OK) {
            status = segue_json_optional_u32(at, "pattern", 0, UINT32_MAX, &content->pattern);
        }
    }
    if (status == SEGUE_OK) {
        status = segue_json_optional_u64(at, "seed", 0, UINT64_MAX, &content->seed);
    }
    if (status == SEGUE_OK && content->kind == SEGUE_CONTENT_NORMAL) {
        content->b = 1.0;
        status = read_distribution(at, "mean", "stddev", content);
    }
    if (status == SEGUE_OK && content->kind == SEGUE_CONTENT_UNIFORM) {
        content->b = 1.0;
        status = read_distribution(at, "low", "high", content);
    }
    return status;
}

segue_status segue_trace_read_content(const struct segue_json *at, const segue_trace *trace,
                                      uint64_t size_bytes, struct segue_trace_content *out_content)
{
    static const char *const any_keys[] = {"kind",   "pattern", "dtype", "seed",   "mean",
                                           "stddev", "low",     "high",  "tensor", NULL};
    static const char *const tensor_keys[] = {"kind", "tensor", NULL};
    struct segue_trace_content content = {.tensor = SEGUE_TRACE_NONE};
    struct segue_json child;
    uint32_t kind = 0;
    segue_status status = segue_json_object(at, any_keys);
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "kind", &child);
    }
    if (status == SEGUE_OK) {
        status = segue_json_enum(&child, segue_content_names, SEGUE_CONTENT_NAME_COUNT, &kind);
    }
    if (status == SEGUE_OK && kind == SEGUE_CONTENT_NAME_TENSOR) {
        status = segue_json_object(at, tensor_keys);
        if (status == SEGUE_OK) {
            status = read_tensor_content(at, trace, size_bytes, &content);
        }
    } else if (status == SEGUE_OK) {
        content.generated.kind = (enum segue_content_kind)kind;
        status = read_generated(at, &content.generated);
        const char *problem = status == SEGUE_OK ? segue_content_problem(&content.generated) : NULL;
        if (problem != NULL) {
            return segue_json_fail(at, "%s", problem);
        }
        size_t unit_bytes = segue_content_unit_bytes(&content.generated);
        if (status == SEGUE_OK && size_bytes % unit_bytes != 0) {
            return segue_json_fail(
                at, "comes in elements of %zu bytes, and the buffer has %" PRIu64 " bytes",
                unit_bytes, size_bytes);
        }
    }
    *out_content = content;
    return status;
}

/** A buffer with memory of its own. */
static segue_status read_memory(const struct segue_json *at, uint32_t index,
                                struct segue_trace_buffer *buffer)
{
    static const char *const keys[] = {"name", "label", "size", "memory", "usage", "content", NULL};
    struct segue_json child;
    uint32_t memory = SEGUE_MEMORY_DEVICE;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK && segue_json_optional(at, "memory", &child)) {
        status = segue_json_enum(&child, segue_memory_names, SEGUE_MEMORY_NAME_COUNT, &memory);
    }
    uint32_t allowed =
        memory == SEGUE_MEMORY_CONSTANT ? SEGUE_BUFFER_USAGE_READ_ONLY : SEGUE_BUFFER_USAGE_ALL;
    uint32_t usage = allowed;
    if (status == SEGUE_OK && segue_json_optional(at, "usage", &child)) {
        status = segue_json_flags(&child, segue_usage_names, SEGUE_USAGE_NAME_COUNT, &usage);
        if (status == SEGUE_OK && usage == 0) {
            return segue_json_fail(&child, "must not be empty");
        }
        if (status == SEGUE_OK && (usage & ~allowed) != 0) {
            return segue_json_fail(&child, "constant memory may not be written");
        }
    }
    buffer->memory = (enum segue_memory_type)memory;
    buffer->usage = usage;
    buffer->root = index;
    return status;
}

/** A view; what it refers to must come before it, and may be a view. */
static segue_status read_view(const struct segue_json *at, segue_trace *trace,
                              struct segue_trace_buffer *buffer)
{
    static const char *const keys[] = {"name", "label",   "view_of", "offset",
                                       "size", "content", NULL};
    segue_status status = segue_json_object(at, keys);
    struct segue_json child;
    const char *name = NULL;
    size_t length = 0;
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "view_of", &child);
    }
    if (status == SEGUE_OK) {
        status = segue_json_text(&child, &name, &length);
    }
    uint64_t offset = 0;
    if (status == SEGUE_OK) {
        status = segue_json_optional_u64(at, "offset", 0, INT64_MAX, &offset);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    uint32_t parent_index = 0;
    if (!segue_names_find(&trace->buffer_names, name, &parent_index) ||
        &trace->buffers[parent_index] >= buffer) {
        return segue_json_fail(&child, "there is no buffer \"%.80s\" before this one", name);
    }
    const struct segue_trace_buffer *parent = &trace->buffers[parent_index];
    if (offset > parent->size_bytes || buffer->size_bytes > parent->size_bytes - offset) {
        return segue_json_fail(
            at, "offset %" PRIu64 " + size %" PRIu64 " exceeds buffer \"%s\" of %" PRIu64 " bytes",
            offset, buffer->size_bytes, parent->name, parent->size_bytes);
    }
    buffer->memory = parent->memory;
    buffer->usage = parent->usage;
    buffer->root = parent->root;
    buffer->root_offset_bytes = parent->root_offset_bytes + offset;
    return SEGUE_OK;
}

static segue_status read_buffer(const struct segue_json *at, uint32_t index, segue_trace *trace)
{
    struct segue_trace_buffer *buffer = &trace->buffers[index];
    struct segue_json child;
    segue_status status = segue_json_member(at, "size", &child);
    if (status == SEGUE_OK) {
        status = segue_json_u64(&child, 1, INT64_MAX, &buffer->size_bytes);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_read_label(at, trace, buffer->name, &buffer->label);
    }
    if (status == SEGUE_OK) {
        status = segue_json_optional(at, "view_of", &child) ? read_view(at, trace, buffer)
                                                            : read_memory(at, index, buffer);
    }
    if (status == SEGUE_OK && segue_json_optional(at, "content", &child)) {
        status = segue_trace_read_content(&child, trace, buffer->size_bytes, &buffer->content);
        buffer->has_content = true;
    }
    return status;
}

segue_status segue_trace_read_buffers(const struct segue_json *root, segue_trace *trace)
{
    struct segue_json at;
    uint32_t count = 0;
    struct segue_name *names = NULL;
    segue_status status =
        segue_json_optional_array(root, "buffers", SEGUE_TRACE_MAX_BUFFERS, &at, &count);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(trace->buffers[0]), &trace->buffers);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(names[0]), &names);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&at, i);
        status = segue_trace_read_name(&element, "name", trace, &trace->buffers[i].name);
        names[i] = (struct segue_name){.text = trace->buffers[i].name, .index = i};
    }
    trace->buffer_names = (struct segue_names){.names = names, .count = count};
    if (status == SEGUE_OK) {
        status = segue_trace_sort_names(&at, &trace->buffer_names);
    }
    uint64_t total_bytes = 0;
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&at, i);
        status = read_buffer(&element, i, trace);
        const struct segue_trace_buffer *buffer = &trace->buffers[i];
        if (status == SEGUE_OK && buffer->root == i) {
            if (buffer->size_bytes > (uint64_t)INT64_MAX - total_bytes) {
                return segue_json_fail(&element, "the sizes of all buffers overflow");
            }
            total_bytes += buffer->size_bytes;
        }
    }
    trace->buffer_count = count;
    return status;
}
