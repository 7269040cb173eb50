// SPDX-License-Identifier: Apache-2.0
// Constants that are packed: described for whoever wants to pack them, or packed here.
#include "session.h"

#include "error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** The API's descriptions, in one block: packings, then all their sources. */
struct segue_session_packings {
    struct segue_trace_packing *items;
    struct segue_trace_packing_source *sources;
};

static struct segue_dispatch describe_dispatch(const segue_trace_session *session,
                                               const struct segue_trace_dispatch *model)
{
    struct segue_dispatch dispatch = {
        .executable = session->executables[model->executable],
        .entry_point = model->entry_point,
        .dynamic_shared_bytes = model->dynamic_shared_bytes,
        .constants = model->constants,
        .constants_size_bytes = model->constants_bytes,
    };
    memcpy(dispatch.grid, model->grid, sizeof(dispatch.grid));
    memcpy(dispatch.block, model->block, sizeof(dispatch.block));
    return dispatch;
}

static struct segue_trace_packing_source
describe_source(const segue_trace *trace, const struct segue_trace_packed_source *model)
{
    struct segue_trace_packing_source source = {
        .size_bytes = model->size_bytes,
        .is_generated = model->content.tensor == SEGUE_TRACE_NONE,
        .content = model->content.generated,
        .fd = -1,
    };
    if (!source.is_generated) {
        const struct segue_trace_tensor *tensor = &trace->tensors[model->content.tensor];
        source.fd = trace->files[tensor->file].fd;
        source.file = trace->files[tensor->file].path;
        source.offset_bytes = tensor->tensor->offset_bytes;
    }
    return source;
}

segue_status segue_session_create_packings(segue_trace_session *session)
{
    const segue_trace *trace = session->trace;
    size_t source_count = 0;
    for (uint32_t i = 0; i < trace->packing_count; i++) {
        source_count += trace->packings[i].source_count;
    }
    struct segue_session_packings *packings = calloc(1, sizeof(*packings));
    session->packings = packings;
    if (packings != NULL) {
        packings->items = calloc((size_t)trace->packing_count + 1, sizeof(packings->items[0]));
        packings->sources = calloc(source_count + 1, sizeof(packings->sources[0]));
    }
    if (packings == NULL || packings->items == NULL || packings->sources == NULL) {
        return segue_trace_fail_memory("a session");
    }
    struct segue_trace_packing_source *next = packings->sources;
    for (uint32_t i = 0; i < trace->packing_count; i++) {
        const struct segue_trace_packed *model = &trace->packings[i];
        struct segue_trace_packing *packing = &packings->items[i];
        *packing = (struct segue_trace_packing){
            .sources = next,
            .source_count = model->source_count,
            .dispatch = describe_dispatch(session, model->dispatch),
            .layout_id = model->layout_id,
            .layout_version = model->layout_version,
        };
        for (uint32_t k = 0; k < model->source_count; k++) {
            *next++ = describe_source(trace, &model->sources[k]);
        }
        if (model->probe != NULL) {
            packing->probe = describe_dispatch(session, model->probe);
            packing->probe_input_bytes = model->probe_input_bytes;
            packing->probe_output_bytes = model->probe_output_bytes;
        }
    }
    return SEGUE_OK;
}

void segue_session_destroy_packings(struct segue_session_packings *packings)
{
    if (packings == NULL) {
        return;
    }
    free(packings->items);
    free(packings->sources);
    free(packings);
}

void segue_trace_session_packing(const segue_trace_session *session, uint32_t index,
                                 struct segue_trace_constant *out_constant)
{
    const struct segue_trace_packed *model = &session->trace->packings[index];
    const struct segue_trace_buffer *buffer = &session->trace->buffers[model->buffer];
    *out_constant = (struct segue_trace_constant){
        .buffer = session->buffers[model->buffer],
        .name = buffer->name,
        .size_bytes = buffer->size_bytes,
        .fd = -1,
        .packing = &session->packings->items[index],
    };
}

/** Device memory with the content of each source. */
static segue_status create_sources(segue_trace_session *session,
                                   const struct segue_trace_packed *packed, segue_buffer **sources)
{
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < packed->source_count; i++) {
        const struct segue_trace_packed_source *source = &packed->sources[i];
        const struct segue_buffer_params params = {.size_bytes = source->size_bytes,
                                                   .label = "packing source"};
        status = segue_buffer_create(session->device, &params, &sources[i]);
        if (status == SEGUE_OK) {
            status = segue_session_write_content(session, &source->content, sources[i],
                                                 source->size_bytes);
        }
    }
    return status;
}

static segue_status record(segue_trace_session *session, const struct segue_trace_packed *packed,
                           segue_buffer *const *sources, segue_command_buffer *command_buffer)
{
    struct segue_buffer_ref bindings[SEGUE_TRACE_MAX_PACKING_SOURCES + 1];
    for (uint32_t i = 0; i <= packed->source_count; i++) {
        bindings[i] = (struct segue_buffer_ref){
            .buffer = i < packed->source_count ? sources[i] : session->buffers[packed->buffer],
            .length_bytes = SEGUE_WHOLE_SIZE,
        };
    }
    struct segue_dispatch dispatch = describe_dispatch(session, packed->dispatch);
    dispatch.bindings = bindings;
    dispatch.binding_count = packed->source_count + 1;
    segue_status status = segue_command_buffer_begin(command_buffer);
    if (status == SEGUE_OK) {
        status = segue_cmd_dispatch(command_buffer, &dispatch);
    }
    return status == SEGUE_OK ? segue_command_buffer_end(command_buffer) : status;
}

static segue_status run(segue_trace_session *session, segue_command_buffer *command_buffer)
{
    const struct segue_execution execution = {.command_buffer = command_buffer};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    const struct segue_queue_params params = {.label = "packing"};
    segue_queue *queue = NULL;
    segue_status status = segue_queue_create(session->device, &params, &queue);
    if (status == SEGUE_OK) {
        status = segue_queue_submit(queue, &submission);
    }
    if (status == SEGUE_OK) {
        status = segue_queue_wait_idle(queue);
    }
    segue_queue_destroy(queue);
    return status;
}

segue_status segue_session_pack(segue_trace_session *session,
                                const struct segue_trace_packed *packed)
{
    const struct segue_command_buffer_params params = {
        .mode = SEGUE_EXECUTION_STREAM,
        .flags = SEGUE_COMMAND_BUFFER_ONE_SHOT | SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS,
        .label = "packing",
    };
    segue_buffer *sources[SEGUE_TRACE_MAX_PACKING_SOURCES] = {0};
    segue_command_buffer *command_buffer = NULL;
    segue_status status = create_sources(session, packed, sources);
    if (status == SEGUE_OK) {
        status = segue_command_buffer_create(session->device, &params, &command_buffer);
    }
    if (status == SEGUE_OK) {
        status = record(session, packed, sources, command_buffer);
    }
    if (status == SEGUE_OK) {
        status = run(session, command_buffer);
    }
    segue_command_buffer_destroy(command_buffer);
    for (uint32_t i = 0; i < packed->source_count; i++) {
        segue_buffer_destroy(sources[i]);
    }
    if (status != SEGUE_OK) {
        char where[48];
        (void)snprintf(where, sizeof(where), "/packings/%" PRIu32, packed->index);
        return segue_session_blame(session, status, where);
    }
    return SEGUE_OK;
}
