// SPDX-License-Identifier: Apache-2.0
// Constant buffers that are packed: which dispatch makes them of which contents.
#include "trace_read.h"

#include "error.h"

#include <inttypes.h>

/** The buffer that is packed: constant memory of its own, of which nothing else is said. */
static segue_status read_buffer(const struct segue_json *at, segue_trace *trace,
                                const struct segue_trace_packed *packed, uint32_t *out_buffer)
{
    segue_status status =
        segue_trace_read_reference(at, "buffer", &trace->buffer_names, "buffer", out_buffer);
    if (status != SEGUE_OK) {
        return status;
    }
    struct segue_trace_buffer *buffer = &trace->buffers[*out_buffer];
    if (buffer->memory != SEGUE_MEMORY_CONSTANT || buffer->root != *out_buffer) {
        return segue_json_fail(at, "buffer \"%s\" is no constant memory of its own", buffer->name);
    }
    if (buffer->packed != NULL) {
        return segue_json_fail(at, "buffer \"%s\" has a packing already", buffer->name);
    }
    buffer->packed = packed;
    return SEGUE_OK;
}

static segue_status read_source(const struct segue_json *at, const segue_trace *trace,
                                struct segue_trace_packed_source *source)
{
    static const char *const keys[] = {"size", "content", NULL};
    struct segue_json child;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "size", &child);
    }
    if (status == SEGUE_OK) {
        status = segue_json_u64(&child, 1, INT64_MAX, &source->size_bytes);
    }
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "content", &child);
    }
    return status == SEGUE_OK
               ? segue_trace_read_content(&child, trace, source->size_bytes, &source->content)
               : status;
}

static segue_status read_sources(const struct segue_json *at, segue_trace *trace,
                                 struct segue_trace_packed *packed)
{
    struct segue_json child;
    struct segue_trace_packed_source *sources = NULL;
    segue_status status = segue_json_member(at, "sources", &child);
    if (status == SEGUE_OK) {
        status = segue_json_array(&child, SEGUE_TRACE_MAX_PACKING_SOURCES, &packed->source_count);
    }
    if (status == SEGUE_OK && packed->source_count == 0) {
        return segue_json_fail(&child, "must not be empty");
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, packed->source_count, sizeof(sources[0]), &sources);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < packed->source_count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        status = read_source(&element, trace, &sources[i]);
    }
    packed->sources = sources;
    return status;
}

/** The kernel reads the sources and writes the constant: one binding each, in that order. */
static segue_status check_bindings(const struct segue_json *at,
                                   const struct segue_entry_point *entry, uint32_t source_count)
{
    uint32_t binding_count = 0;
    bool fits = true;
    if ((entry->flags & SEGUE_ENTRY_OPAQUE) != 0) {
        return segue_json_fail(at, "entry point \"%s\" is opaque: what it reads is not known",
                               entry->name);
    }
    for (uint32_t i = 0; i < entry->parameter_count; i++) {
        const struct segue_parameter *parameter = &entry->parameters[i];
        if (parameter->kind == SEGUE_PARAMETER_CONSTANT) {
            continue;
        }
        const bool writes =
            parameter->access == SEGUE_ACCESS_WRITE || parameter->access == SEGUE_ACCESS_READ_WRITE;
        fits = fits && writes == (binding_count == source_count);
        binding_count++;
    }
    if (fits && binding_count == source_count + 1) {
        return SEGUE_OK;
    }
    return segue_json_fail(at,
                           "entry point \"%s\" does not take %" PRIu32
                           " bindings that it reads and then one that it writes",
                           entry->name, source_count);
}

static segue_status read_executable(const struct segue_json *at, segue_trace *trace,
                                    struct segue_trace_packed *packed)
{
    struct segue_trace_dispatch *dispatch = NULL;
    segue_status status = segue_trace_allocate(trace, 1, sizeof(*dispatch), &dispatch);
    if (status == SEGUE_OK) {
        status = segue_trace_read_entry_point(at, trace, dispatch);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    const struct segue_trace_executable *executable = &trace->executables[dispatch->executable];
    const uint32_t index = dispatch->entry_point;
    const struct segue_entry_point *entry = &executable->params.entry_points[index];
    status = check_bindings(at, entry, packed->source_count);
    if (status == SEGUE_OK) {
        status = segue_trace_read_launch(at, entry, dispatch);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_read_constants(at, trace, entry, executable->constants_bytes[index],
                                            dispatch);
    }
    packed->dispatch = dispatch;
    return status;
}

static segue_status read_probe(const struct segue_json *at, segue_trace *trace,
                               struct segue_trace_packed *packed)
{
    static const char *const keys[] = {"grid",   "block", "dynamic_shared", "constants", "inputs",
                                       "output", NULL};
    struct segue_json child;
    struct segue_trace_dispatch *probe = NULL;
    uint64_t *input_bytes = NULL;
    uint32_t count = 0;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, 1, sizeof(*probe), &probe);
    }
    if (status == SEGUE_OK) {
        status =
            segue_trace_allocate(trace, packed->source_count, sizeof(input_bytes[0]), &input_bytes);
    }
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "inputs", &child);
    }
    if (status == SEGUE_OK) {
        status = segue_json_array(&child, SEGUE_TRACE_MAX_PACKING_SOURCES, &count);
    }
    if (status == SEGUE_OK && count != packed->source_count) {
        return segue_json_fail(&child, "%" PRIu32 " sizes; the packing has %" PRIu32 " sources",
                               count, packed->source_count);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        status = segue_json_u64(&element, 1, INT64_MAX, &input_bytes[i]);
    }
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "output", &child);
    }
    if (status == SEGUE_OK) {
        status = segue_json_u64(&child, 1, INT64_MAX, &packed->probe_output_bytes);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    const struct segue_trace_executable *executable =
        &trace->executables[packed->dispatch->executable];
    const uint32_t index = packed->dispatch->entry_point;
    const struct segue_entry_point *entry = &executable->params.entry_points[index];
    probe->executable = packed->dispatch->executable;
    probe->entry_point = index;
    status = segue_trace_read_launch(at, entry, probe);
    if (status == SEGUE_OK) {
        status =
            segue_trace_read_constants(at, trace, entry, executable->constants_bytes[index], probe);
    }
    packed->probe = probe;
    packed->probe_input_bytes = input_bytes;
    return status;
}

static segue_status read_packing(const struct segue_json *at, segue_trace *trace,
                                 struct segue_trace_packed *packed)
{
    static const char *const keys[] = {
        "buffer",    "executable", "entry",  "grid",           "block", "dynamic_shared",
        "constants", "sources",    "layout", "layout_version", "probe", NULL,
    };
    struct segue_json child;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = read_buffer(at, trace, packed, &packed->buffer);
    }
    if (status == SEGUE_OK) {
        status = read_sources(at, trace, packed);
    }
    if (status == SEGUE_OK) {
        status = read_executable(at, trace, packed);
    }
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "layout", &child);
    }
    if (status == SEGUE_OK) {
        status = segue_json_optional_u32(at, "layout", 1, UINT32_MAX, &packed->layout_id);
    }
    if (status == SEGUE_OK) {
        status =
            segue_json_optional_u32(at, "layout_version", 0, UINT32_MAX, &packed->layout_version);
    }
    return status == SEGUE_OK && segue_json_optional(at, "probe", &child)
               ? read_probe(&child, trace, packed)
               : status;
}

/** Packed memory has no content besides, nor have views of it. */
static segue_status check_contents(const struct segue_json *at, const segue_trace *trace)
{
    for (uint32_t i = 0; i < trace->buffer_count; i++) {
        const struct segue_trace_buffer *buffer = &trace->buffers[i];
        const struct segue_trace_packed *packed = trace->buffers[buffer->root].packed;
        if (buffer->has_content && packed != NULL) {
            struct segue_json element = segue_json_element(at, packed->index);
            return segue_json_fail(&element, "buffer \"%s\" has a content, too", buffer->name);
        }
    }
    return SEGUE_OK;
}

segue_status segue_trace_read_packings(const struct segue_json *root, segue_trace *trace)
{
    struct segue_json at;
    uint32_t count = 0;
    segue_status status =
        segue_json_optional_array(root, "packings", SEGUE_TRACE_MAX_PACKINGS, &at, &count);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(trace->packings[0]), &trace->packings);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&at, i);
        trace->packings[i].index = i;
        status = read_packing(&element, trace, &trace->packings[i]);
        trace->packing_count = i + 1;
    }
    return status == SEGUE_OK && count != 0 ? check_contents(&at, trace) : status;
}
