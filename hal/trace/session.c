// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include "access.h"
#include "error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void segue_session_progress(const segue_trace_session *session, const char *step, uint64_t done,
                            uint64_t total)
{
    if (session->params.progress != NULL) {
        session->params.progress(session->params.progress_context, step, done, total);
    }
}

segue_status segue_session_blame(const segue_trace_session *session, segue_status status,
                                 const char *where)
{
    if (status != SEGUE_INVALID_ARGUMENT && status != SEGUE_OUT_OF_RANGE &&
        status != SEGUE_INVALID_ACCESS) {
        return status;
    }
    return segue_trace_fail_on(session->device, SEGUE_INVALID_DATA, "%s: %s: %s",
                               session->trace->path, where, segue_last_error()->message);
}

struct segue_buffer_ref segue_session_ref(const segue_trace_session *session,
                                          const struct segue_trace_range *range)
{
    return (struct segue_buffer_ref){
        .buffer = range->buffer != SEGUE_TRACE_NONE ? session->buffers[range->buffer] : NULL,
        .slot = range->slot,
        .offset_bytes = range->offset_bytes,
        .length_bytes = range->length_bytes,
    };
}

static segue_status load_executables(segue_trace_session *session)
{
    const segue_trace *trace = session->trace;
    for (uint32_t i = 0; i < trace->executable_count; i++) {
        segue_session_progress(session, "load executables", i, trace->executable_count);
        segue_status status = segue_executable_create(
            session->device, &trace->executables[i].params, &session->executables[i]);
        if (status != SEGUE_OK) {
            char where[64];
            snprintf(where, sizeof(where), "/executables/%" PRIu32, i);
            return segue_session_blame(session, status, where);
        }
    }
    segue_session_progress(session, "load executables", trace->executable_count,
                           trace->executable_count);
    return SEGUE_OK;
}

static segue_status create_command_buffer(segue_trace_session *session, uint32_t index)
{
    const struct segue_trace_command_buffer *model = &session->trace->command_buffers[index];
    const bool profile = session->params.profile;
    const enum segue_execution_mode mode = profile ? SEGUE_EXECUTION_GRAPH : session->params.mode;
    const enum segue_trace_order order =
        profile ? SEGUE_TRACE_ORDER_BARRIER : session->params.order;
    uint32_t flags = model->flags;
    if (order == SEGUE_TRACE_ORDER_BARRIER) {
        flags |= SEGUE_COMMAND_BUFFER_BARRIER_ORDER;
    } else if (order == SEGUE_TRACE_ORDER_HAZARD) {
        flags &= ~(uint32_t)SEGUE_COMMAND_BUFFER_BARRIER_ORDER;
    }
    const struct segue_command_buffer_params params = {
        .mode = mode != SEGUE_EXECUTION_AUTO ? mode : model->mode,
        .flags = flags,
        .slot_count = model->slot_count,
        .order_seed = session->params.order_seed,
        .label = model->label,
        .constant_slots = model->constant_slots,
        .constant_slot_count = model->constant_slot_count,
    };
    segue_status status =
        segue_command_buffer_create(session->device, &params, &session->command_buffers[index]);
    return status == SEGUE_OK ? segue_session_record(session, index) : status;
}

static segue_status record_all(segue_trace_session *session)
{
    const segue_trace *trace = session->trace;
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < trace->event_count; i++) {
        status = segue_event_create(session->device, &session->events[i]);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < trace->command_buffer_count; i++) {
        segue_session_progress(session, "record command buffers", i, trace->command_buffer_count);
        status = create_command_buffer(session, i);
    }
    if (status == SEGUE_OK) {
        segue_session_progress(session, "record command buffers", trace->command_buffer_count,
                               trace->command_buffer_count);
    }
    return status;
}

/** Tables of handles; zeroed, with a spare element so that none is empty. */
static bool allocate_tables(segue_trace_session *session)
{
    const segue_trace *trace = session->trace;
    session->events = calloc((size_t)trace->event_count + 1, sizeof(session->events[0]));
    session->command_buffers =
        calloc((size_t)trace->command_buffer_count + 1, sizeof(session->command_buffers[0]));
    session->spent = calloc((size_t)trace->command_buffer_count + 1, sizeof(bool));
    session->set_constants =
        calloc((size_t)trace->command_buffer_count + 1, sizeof(session->set_constants[0]));
    session->semaphores =
        calloc((size_t)trace->semaphore_count + 1, sizeof(session->semaphores[0]));
    session->queues = calloc((size_t)trace->queue_count + 1, sizeof(session->queues[0]));
    if (session->owns_buffers) {
        session->buffers = calloc((size_t)trace->buffer_count + 1, sizeof(session->buffers[0]));
        session->written = calloc((size_t)trace->buffer_count + 1, sizeof(bool));
        session->executables =
            calloc((size_t)trace->executable_count + 1, sizeof(session->executables[0]));
    } else {
        session->buffers = session->params.share_buffers->buffers;
        session->written = session->params.share_buffers->written;
        session->executables = session->params.share_buffers->executables;
        session->packings = session->params.share_buffers->packings;
    }
    return session->events != NULL && session->command_buffers != NULL && session->spent != NULL &&
           session->set_constants != NULL && session->semaphores != NULL &&
           session->queues != NULL && session->buffers != NULL && session->written != NULL &&
           session->executables != NULL;
}

static segue_status check_params(const segue_trace *trace, segue_device *device,
                                 const struct segue_trace_session_params *params)
{
    if ((unsigned)params->mode > SEGUE_EXECUTION_STREAM) {
        return segue_trace_fail_on(device, SEGUE_INVALID_ARGUMENT, "mode is %d", (int)params->mode);
    }
    if ((unsigned)params->order > SEGUE_TRACE_ORDER_BARRIER) {
        return segue_trace_fail_on(device, SEGUE_INVALID_ARGUMENT, "order is %d",
                                   (int)params->order);
    }
    if (params->limit_commands && params->limited_command_buffer >= trace->command_buffer_count) {
        return segue_trace_fail_on(device, SEGUE_OUT_OF_RANGE,
                                   "limited_command_buffer is %" PRIu32 ", the trace has %" PRIu32
                                   " command buffers",
                                   params->limited_command_buffer, trace->command_buffer_count);
    }
    const segue_trace_session *shared = params->share_buffers;
    if (shared != NULL && (shared->trace != trace || shared->device != device)) {
        return segue_trace_fail_on(device, SEGUE_INVALID_ARGUMENT,
                                   "share_buffers must be a session of the same trace and device");
    }
    return SEGUE_OK;
}

segue_status segue_trace_session_create(segue_trace *trace, segue_device *device,
                                        const struct segue_trace_session_params *params,
                                        segue_trace_session **out_session)
{
    static const struct segue_trace_session_params defaults = {0};
    if (trace == NULL || device == NULL || out_session == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "trace, device and out_session must not be NULL");
    }
    params = params != NULL ? params : &defaults;
    segue_status status = check_params(trace, device, params);
    if (status != SEGUE_OK) {
        return status;
    }
    segue_trace_session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        return segue_trace_fail_memory("a session");
    }
    session->trace = trace;
    session->device = device;
    session->params = *params;
    session->owns_buffers = params->share_buffers == NULL;
    status = allocate_tables(session) ? SEGUE_OK : segue_trace_fail_memory("a session");
    if (status == SEGUE_OK && session->owns_buffers) {
        segue_trace_find_written(trace, session->written);
        // Code first: a missing kernel shows before gigabytes have been filled.
        status = load_executables(session);
        if (status == SEGUE_OK) {
            status = segue_session_create_packings(session);
        }
        if (status == SEGUE_OK) {
            status = segue_session_create_buffers(session);
        }
    }
    if (status == SEGUE_OK && params->profile) {
        status = segue_session_create_profiles(session);
    }
    if (status == SEGUE_OK) {
        status = record_all(session);
    }
    if (status != SEGUE_OK) {
        segue_trace_session_destroy(session);
        return status;
    }
    *out_session = session;
    return SEGUE_OK;
}

static void destroy_owned(segue_trace_session *session)
{
    const segue_trace *trace = session->trace;
    // Views come after what they are views of.
    for (uint32_t i = trace->buffer_count; session->buffers != NULL && i != 0; i--) {
        segue_buffer_destroy(session->buffers[i - 1]);
    }
    for (uint32_t i = 0; session->executables != NULL && i < trace->executable_count; i++) {
        segue_executable_destroy(session->executables[i]);
    }
    segue_session_destroy_packings(session->packings);
    free(session->buffers);
    free(session->written);
    free(session->executables);
}

void segue_trace_session_destroy(segue_trace_session *session)
{
    if (session == NULL) {
        return;
    }
    const segue_trace *trace = session->trace;
    for (uint32_t i = 0; session->queues != NULL && i < trace->queue_count; i++) {
        segue_queue_destroy(session->queues[i]);
    }
    for (uint32_t i = 0; session->semaphores != NULL && i < trace->semaphore_count; i++) {
        segue_semaphore_destroy(session->semaphores[i]);
    }
    for (uint32_t i = 0; session->command_buffers != NULL && i < trace->command_buffer_count; i++) {
        segue_command_buffer_destroy(session->command_buffers[i]);
    }
    for (uint32_t i = 0; session->events != NULL && i < trace->event_count; i++) {
        segue_event_destroy(session->events[i]);
    }
    segue_session_destroy_profiles(session);
    if (session->owns_buffers) {
        destroy_owned(session);
    }
    free(session->queues);
    free(session->semaphores);
    free(session->command_buffers);
    free(session->spent);
    for (uint32_t i = 0; session->set_constants != NULL && i < trace->command_buffer_count; i++) {
        free(session->set_constants[i]);
    }
    free(session->set_constants);
    free(session->events);
    free(session);
}

void segue_trace_session_get_counts(const segue_trace_session *session,
                                    struct segue_trace_counts *out_counts)
{
    const segue_trace *trace = session->trace;
    *out_counts = (struct segue_trace_counts){
        .buffer_count = trace->buffer_count,
        .executable_count = trace->executable_count,
        .command_buffer_count = trace->command_buffer_count,
        .submission_count = trace->submission_count,
        .expectation_count = trace->expectation_count,
        .packing_count = trace->packing_count,
    };
}

segue_command_buffer *segue_trace_session_command_buffer(segue_trace_session *session,
                                                         uint32_t index, const char **out_name)
{
    if (out_name != NULL) {
        *out_name = session->trace->command_buffers[index].name;
    }
    return session->command_buffers[index];
}

segue_buffer *segue_trace_session_buffer(segue_trace_session *session, uint32_t index,
                                         const char **out_name, bool *out_written)
{
    if (out_name != NULL) {
        *out_name = session->trace->buffers[index].name;
    }
    if (out_written != NULL) {
        *out_written = session->written[index];
    }
    return session->buffers[index];
}
