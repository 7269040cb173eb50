// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include "error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/** Queues that are missing, new semaphores, and one-shots that have run, recorded again. */
static segue_status prepare(segue_trace_session *session)
{
    const segue_trace *trace = session->trace;
    static const struct segue_queue_params queue_params = {.timing = true};
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < trace->queue_count; i++) {
        if (session->queues[i] == NULL) {
            status = segue_queue_create(session->device, &queue_params, &session->queues[i]);
        }
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < trace->semaphore_count; i++) {
        segue_semaphore_destroy(session->semaphores[i]);
        session->semaphores[i] = NULL;
        status = segue_semaphore_create(session->device, trace->semaphores[i].initial_value,
                                        &session->semaphores[i]);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < trace->command_buffer_count; i++) {
        if (session->spent[i]) {
            status = segue_command_buffer_reset(session->command_buffers[i]);
            if (status == SEGUE_OK) {
                status = segue_session_record(session, i);
            }
            session->spent[i] = status != SEGUE_OK;
        }
    }
    return status;
}

/** A submission in the API's form. */
struct lowered {
    struct segue_submission submission;
    struct segue_semaphore_value *waits;
    struct segue_semaphore_value *signals;
    struct segue_execution *executions;
    struct segue_buffer_ref *bindings;
    struct segue_constant_value *constants;
};

static void free_lowered(struct lowered *lowered)
{
    free(lowered->waits);
    free(lowered->signals);
    free(lowered->executions);
    free(lowered->bindings);
    free(lowered->constants);
}

static void lower_values(const segue_trace_session *session,
                         const struct segue_trace_semaphore_value *values, uint32_t count,
                         struct segue_semaphore_value *out_values)
{
    for (uint32_t i = 0; i < count; i++) {
        out_values[i] = (struct segue_semaphore_value){
            .semaphore = session->semaphores[values[i].semaphore],
            .value = values[i].value,
        };
    }
}

static segue_status lower(const segue_trace_session *session,
                          const struct segue_trace_submission *model, struct lowered *out_lowered)
{
    const struct segue_trace_command_buffer *command_buffers = session->trace->command_buffers;
    size_t binding_count = 0;
    size_t constant_count = 0;
    for (uint32_t i = 0; i < model->execution_count; i++) {
        binding_count += model->executions[i].binding_count;
        constant_count += command_buffers[model->executions[i].command_buffer].constant_slot_count;
    }
    struct lowered lowered = {
        .waits = calloc((size_t)model->wait_count + 1, sizeof(lowered.waits[0])),
        .signals = calloc((size_t)model->signal_count + 1, sizeof(lowered.signals[0])),
        .executions = calloc((size_t)model->execution_count + 1, sizeof(lowered.executions[0])),
        .bindings = calloc(binding_count + 1, sizeof(lowered.bindings[0])),
        .constants = calloc(constant_count + 1, sizeof(lowered.constants[0])),
    };
    if (lowered.waits == NULL || lowered.signals == NULL || lowered.executions == NULL ||
        lowered.bindings == NULL || lowered.constants == NULL) {
        free_lowered(&lowered);
        return segue_trace_fail_memory("a submission");
    }
    lower_values(session, model->waits, model->wait_count, lowered.waits);
    lower_values(session, model->signals, model->signal_count, lowered.signals);
    struct segue_buffer_ref *next = lowered.bindings;
    struct segue_constant_value *next_constant = lowered.constants;
    for (uint32_t i = 0; i < model->execution_count; i++) {
        const struct segue_trace_execution *execution = &model->executions[i];
        lowered.executions[i] = (struct segue_execution){
            .command_buffer = session->command_buffers[execution->command_buffer],
            .bindings = execution->binding_count != 0 ? next : NULL,
            .binding_count = execution->binding_count,
            .constants = next_constant,
            .constant_count = command_buffers[execution->command_buffer].constant_slot_count,
        };
        for (uint32_t k = 0; k < execution->binding_count; k++) {
            *next++ = segue_session_ref(session, &execution->bindings[k]);
        }
        for (uint32_t k = 0; k < lowered.executions[i].constant_count; k++) {
            *next_constant++ = segue_session_constant(session, execution, k);
        }
    }
    lowered.submission = (struct segue_submission){
        .waits = lowered.waits,
        .wait_count = model->wait_count,
        .executions = lowered.executions,
        .execution_count = model->execution_count,
        .signals = lowered.signals,
        .signal_count = model->signal_count,
    };
    *out_lowered = lowered;
    return SEGUE_OK;
}

/** Marks one-shots as used up. */
static void mark_spent(segue_trace_session *session, const struct segue_trace_submission *model)
{
    for (uint32_t i = 0; i < model->execution_count; i++) {
        uint32_t index = model->executions[i].command_buffer;
        if ((session->trace->command_buffers[index].flags & SEGUE_COMMAND_BUFFER_ONE_SHOT) != 0) {
            session->spent[index] = true;
        }
    }
}

static segue_status submit_all(segue_trace_session *session, const struct lowered *lowered)
{
    const segue_trace *trace = session->trace;
    for (uint32_t i = 0; i < trace->submission_count; i++) {
        const struct segue_trace_submission *model = &trace->submissions[i];
        segue_status status =
            segue_queue_submit(session->queues[model->queue], &lowered[i].submission);
        mark_spent(session, model);
        if (status != SEGUE_OK) {
            char where[64];
            snprintf(where, sizeof(where), "/submissions/%" PRIu32, i);
            return segue_session_blame(session, status, where);
        }
    }
    return SEGUE_OK;
}

static segue_status wait_all(segue_trace_session *session)
{
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < session->trace->queue_count; i++) {
        status = segue_queue_wait_idle(session->queues[i]);
    }
    return status;
}

/** Sums over the queues since each was created. A queue that has issued nothing counts 0. */
static segue_status read_timing(const segue_trace_session *session, const bool *used,
                                struct segue_trace_timing *out_timing)
{
    struct segue_trace_timing sum = {0};
    for (uint32_t i = 0; i < session->trace->queue_count; i++) {
        struct segue_queue_timing timing = {0};
        if (!used[i]) {
            continue;
        }
        segue_status status = segue_queue_get_timing(session->queues[i], &timing);
        if (status != SEGUE_OK) {
            return status;
        }
        sum.issue_ns += timing.total_issue_ns;
        sum.device_ns += timing.total_device_ns;
    }
    *out_timing = sum;
    return SEGUE_OK;
}

/** A queue with a submission that can never run is of no more use. */
static void drop_queues(segue_trace_session *session)
{
    for (uint32_t i = 0; i < session->trace->queue_count; i++) {
        segue_queue_destroy(session->queues[i]);
        session->queues[i] = NULL;
    }
    session->has_run = false;
}

static segue_status run(segue_trace_session *session, const struct lowered *lowered,
                        struct segue_trace_timing *out_timing)
{
    const segue_trace *trace = session->trace;
    // A queue's timing cannot be asked for before it has run anything.
    bool used[SEGUE_TRACE_MAX_QUEUES] = {false};
    struct segue_trace_timing before = {0};
    struct segue_trace_timing after = {0};
    for (uint32_t i = 0; i < trace->submission_count; i++) {
        used[trace->submissions[i].queue] = true;
    }
    segue_status status = SEGUE_OK;
    if (session->has_run && out_timing != NULL) {
        status = read_timing(session, used, &before);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    uint64_t begin_ns = now_ns();
    status = submit_all(session, lowered);
    if (status == SEGUE_OK) {
        status = wait_all(session);
    }
    uint64_t end_ns = now_ns();
    session->has_run = status == SEGUE_OK;
    if (status == SEGUE_OK && out_timing != NULL) {
        status = read_timing(session, used, &after);
    }
    if (status == SEGUE_OK && out_timing != NULL) {
        *out_timing = (struct segue_trace_timing){
            .issue_ns = after.issue_ns - before.issue_ns,
            .device_ns = after.device_ns - before.device_ns,
            .total_ns = end_ns - begin_ns,
        };
    }
    return status;
}

segue_status segue_trace_session_run(segue_trace_session *session,
                                     struct segue_trace_timing *out_timing)
{
    if (session == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT, "session must not be NULL");
    }
    uint32_t count = session->trace->submission_count;
    struct lowered *lowered = calloc((size_t)count + 1, sizeof(lowered[0]));
    if (lowered == NULL) {
        return segue_trace_fail_memory("submissions");
    }
    segue_status status = prepare(session);
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        status = lower(session, &session->trace->submissions[i], &lowered[i]);
    }
    if (status == SEGUE_OK) {
        status = run(session, lowered, out_timing);
        if (status != SEGUE_OK) {
            drop_queues(session);
        }
    }
    if (status == SEGUE_OK && session->params.profile) {
        status = segue_session_read_profiles(session);
    }
    for (uint32_t i = 0; i < count; i++) {
        free_lowered(&lowered[i]);
    }
    free(lowered);
    return status;
}
