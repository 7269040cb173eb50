// SPDX-License-Identifier: Apache-2.0
// Runs a trace's submissions in thought, as queues would issue them.
#include "trace_read.h"

#include "error.h"

#include <inttypes.h>
#include <stdlib.h>

struct simulation {
    const segue_trace *trace;
    /** Cursor of the submissions, for messages. */
    struct segue_json at;
    /** Per semaphore: the value that issued submissions reach, and the last one submitted. */
    uint64_t *reached;
    uint64_t *submitted;
    /** Per event. */
    bool *signalled;
    /** Per command buffer: it was executed before. */
    bool *executed;
    /** Per submission: the next one of its queue, SEGUE_TRACE_NONE at the end. */
    uint32_t *next;
    /** Per queue: the first one that was submitted and not issued, and the last one submitted. */
    uint32_t first[SEGUE_TRACE_MAX_QUEUES];
    uint32_t last[SEGUE_TRACE_MAX_QUEUES];
};

static struct segue_json execution_at(const struct segue_json *submission_at, uint32_t index,
                                      struct segue_json *storage)
{
    if (!segue_json_optional(submission_at, "executions", storage)) {
        return *submission_at;
    }
    return segue_json_element(storage, index);
}

/** Events of one command buffer, in recorded order. */
static segue_status run_events(struct simulation *simulation, const struct segue_json *at,
                               const struct segue_trace_command_buffer *command_buffer)
{
    for (uint32_t i = 0; i < command_buffer->event_command_count; i++) {
        uint32_t index = command_buffer->event_commands[i];
        const struct segue_trace_command *command = &command_buffer->commands[index];
        bool *signalled = &simulation->signalled[command->as.event];
        if (command->kind == SEGUE_COMMAND_WAIT_EVENT && !*signalled) {
            return segue_json_fail(at,
                                   "command %" PRIu32 " waits for event \"%s\", which nothing has "
                                   "signalled by then",
                                   index, simulation->trace->events[command->as.event].name);
        }
        if (command->kind != SEGUE_COMMAND_WAIT_EVENT) {
            *signalled = command->kind == SEGUE_COMMAND_SIGNAL_EVENT;
        }
    }
    return SEGUE_OK;
}

static segue_status issue(struct simulation *simulation, uint32_t index)
{
    const segue_trace *trace = simulation->trace;
    const struct segue_trace_submission *submission = &trace->submissions[index];
    struct segue_json at = segue_json_element(&simulation->at, index);
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < submission->execution_count; i++) {
        uint32_t command_buffer = submission->executions[i].command_buffer;
        struct segue_json storage;
        struct segue_json execution = execution_at(&at, i, &storage);
        status = run_events(simulation, &execution, &trace->command_buffers[command_buffer]);
    }
    for (uint32_t i = 0; i < submission->signal_count; i++) {
        const struct segue_trace_semaphore_value *signal = &submission->signals[i];
        if (signal->value > simulation->reached[signal->semaphore]) {
            simulation->reached[signal->semaphore] = signal->value;
        }
    }
    return status;
}

/** Index of the first wait that is not satisfied; the count if all are. */
static uint32_t find_open_wait(const struct simulation *simulation,
                               const struct segue_trace_submission *submission)
{
    uint32_t i = 0;
    while (i < submission->wait_count &&
           simulation->reached[submission->waits[i].semaphore] >= submission->waits[i].value) {
        i++;
    }
    return i;
}

/** Issues what can be issued, until nothing more can. */
static segue_status progress(struct simulation *simulation)
{
    const segue_trace *trace = simulation->trace;
    bool again = true;
    while (again) {
        again = false;
        for (uint32_t q = 0; q < trace->queue_count; q++) {
            uint32_t index = simulation->first[q];
            if (index == SEGUE_TRACE_NONE ||
                find_open_wait(simulation, &trace->submissions[index]) !=
                    trace->submissions[index].wait_count) {
                continue;
            }
            segue_status status = issue(simulation, index);
            if (status != SEGUE_OK) {
                return status;
            }
            simulation->first[q] = simulation->next[index];
            again = true;
        }
    }
    return SEGUE_OK;
}

/** What a queue checks at submission. */
static segue_status submit(struct simulation *simulation, uint32_t index)
{
    const segue_trace *trace = simulation->trace;
    const struct segue_trace_submission *submission = &trace->submissions[index];
    struct segue_json at = segue_json_element(&simulation->at, index);
    for (uint32_t i = 0; i < submission->execution_count; i++) {
        uint32_t command_buffer = submission->executions[i].command_buffer;
        bool one_shot =
            (trace->command_buffers[command_buffer].flags & SEGUE_COMMAND_BUFFER_ONE_SHOT) != 0;
        if (one_shot && simulation->executed[command_buffer]) {
            struct segue_json storage;
            struct segue_json execution = execution_at(&at, i, &storage);
            return segue_json_fail(&execution,
                                   "command buffer \"%s\" is one_shot and was executed before",
                                   trace->command_buffers[command_buffer].name);
        }
        simulation->executed[command_buffer] = true;
    }
    for (uint32_t i = 0; i < submission->signal_count; i++) {
        const struct segue_trace_semaphore_value *signal = &submission->signals[i];
        uint64_t *submitted = &simulation->submitted[signal->semaphore];
        if (signal->value <= *submitted) {
            return segue_json_fail(
                &at, "signals value %" PRIu64 " of semaphore \"%s\", which is not above %" PRIu64,
                signal->value, trace->semaphores[signal->semaphore].name, *submitted);
        }
        *submitted = signal->value;
    }
    uint32_t queue = submission->queue;
    simulation->next[index] = SEGUE_TRACE_NONE;
    if (simulation->first[queue] == SEGUE_TRACE_NONE) {
        simulation->first[queue] = index;
    } else {
        simulation->next[simulation->last[queue]] = index;
    }
    simulation->last[queue] = index;
    return progress(simulation);
}

/** The first submission that was never issued. */
static segue_status check_all_issued(const struct simulation *simulation)
{
    const segue_trace *trace = simulation->trace;
    uint32_t stuck = SEGUE_TRACE_NONE;
    for (uint32_t q = 0; q < trace->queue_count; q++) {
        stuck = simulation->first[q] < stuck ? simulation->first[q] : stuck;
    }
    if (stuck == SEGUE_TRACE_NONE) {
        return SEGUE_OK;
    }
    const struct segue_trace_submission *submission = &trace->submissions[stuck];
    const struct segue_trace_semaphore_value *wait =
        &submission->waits[find_open_wait(simulation, submission)];
    struct segue_json at = segue_json_element(&simulation->at, stuck);
    return segue_json_fail(
        &at, "waits for ever: semaphore \"%s\" reaches %" PRIu64 ", not %" PRIu64,
        trace->semaphores[wait->semaphore].name, simulation->reached[wait->semaphore], wait->value);
}

segue_status segue_trace_check_order(const struct segue_json *root, segue_trace *trace)
{
    struct simulation simulation = {.trace = trace};
    if (!segue_json_optional(root, "submissions", &simulation.at)) {
        return SEGUE_OK;
    }
    simulation.reached = calloc((size_t)trace->semaphore_count + 1, sizeof(uint64_t));
    simulation.submitted = calloc((size_t)trace->semaphore_count + 1, sizeof(uint64_t));
    simulation.signalled = calloc((size_t)trace->event_count + 1, sizeof(bool));
    simulation.executed = calloc((size_t)trace->command_buffer_count + 1, sizeof(bool));
    simulation.next = calloc((size_t)trace->submission_count + 1, sizeof(uint32_t));
    segue_status status = SEGUE_OK;
    if (simulation.reached == NULL || simulation.submitted == NULL ||
        simulation.signalled == NULL || simulation.executed == NULL || simulation.next == NULL) {
        status = segue_trace_fail_memory("checking the submissions");
        goto done;
    }
    for (uint32_t i = 0; i < trace->semaphore_count; i++) {
        simulation.reached[i] = trace->semaphores[i].initial_value;
        simulation.submitted[i] = trace->semaphores[i].initial_value;
    }
    for (uint32_t i = 0; i < SEGUE_TRACE_MAX_QUEUES; i++) {
        simulation.first[i] = SEGUE_TRACE_NONE;
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < trace->submission_count; i++) {
        status = submit(&simulation, i);
    }
    if (status == SEGUE_OK) {
        status = check_all_issued(&simulation);
    }
done:
    free(simulation.reached);
    free(simulation.submitted);
    free(simulation.signalled);
    free(simulation.executed);
    free(simulation.next);
    return status;
}
