// SPDX-License-Identifier: Apache-2.0
#include "trace_read.h"

#include "error.h"
#include "vocabulary.h"

#include <inttypes.h>

static segue_status read_command_buffer(const struct segue_json *at, segue_trace *trace,
                                        struct segue_trace_command_buffer *command_buffer)
{
    static const char *const keys[] = {"name",  "label",          "mode",     "flags",
                                       "slots", "constant_slots", "commands", NULL};
    struct segue_json child;
    uint32_t mode = SEGUE_EXECUTION_AUTO;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_trace_read_name(at, "name", trace, &command_buffer->name);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_read_label(at, trace, command_buffer->name, &command_buffer->label);
    }
    if (status == SEGUE_OK && segue_json_optional(at, "mode", &child)) {
        status = segue_json_enum(&child, segue_mode_names, SEGUE_MODE_NAME_COUNT, &mode);
    }
    command_buffer->mode = (enum segue_execution_mode)mode;
    if (status == SEGUE_OK && segue_json_optional(at, "flags", &child)) {
        status = segue_json_flags(&child, segue_command_buffer_flag_names,
                                  SEGUE_COMMAND_BUFFER_FLAG_NAME_COUNT, &command_buffer->flags);
    }
    if (status == SEGUE_OK) {
        status = segue_json_optional_u32(at, "slots", 0, SEGUE_TRACE_MAX_SLOTS,
                                         &command_buffer->slot_count);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_read_constant_slots(at, trace, command_buffer);
    }
    return status == SEGUE_OK ? segue_trace_read_commands(at, trace, command_buffer) : status;
}

segue_status segue_trace_read_command_buffers(const struct segue_json *root, segue_trace *trace)
{
    struct segue_json at;
    uint32_t count = 0;
    struct segue_name *names = NULL;
    segue_status status = segue_json_optional_array(root, "command_buffers",
                                                    SEGUE_TRACE_MAX_COMMAND_BUFFERS, &at, &count);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(trace->command_buffers[0]),
                                      &trace->command_buffers);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(names[0]), &names);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&at, i);
        status = read_command_buffer(&element, trace, &trace->command_buffers[i]);
        names[i] = (struct segue_name){.text = trace->command_buffers[i].name, .index = i};
    }
    trace->command_buffer_count = count;
    trace->command_buffer_names = (struct segue_names){.names = names, .count = count};
    return status == SEGUE_OK ? segue_trace_sort_names(&at, &trace->command_buffer_names) : status;
}

static segue_status read_semaphore_values(const struct segue_json *at, const char *key,
                                          segue_trace *trace,
                                          const struct segue_trace_semaphore_value **out_values,
                                          uint32_t *out_count)
{
    static const char *const keys[] = {"semaphore", "value", NULL};
    struct segue_json child;
    struct segue_trace_semaphore_value *values = NULL;
    uint32_t count = 0;
    segue_status status =
        segue_json_optional_array(at, key, SEGUE_TRACE_MAX_SYNC_OBJECTS, &child, &count);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(values[0]), &values);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        struct segue_json value;
        status = segue_json_object(&element, keys);
        if (status == SEGUE_OK) {
            status = segue_trace_read_reference(&element, "semaphore", &trace->semaphore_names,
                                                "semaphore", &values[i].semaphore);
        }
        if (status == SEGUE_OK) {
            status = segue_json_member(&element, "value", &value);
        }
        if (status == SEGUE_OK) {
            status = segue_json_u64(&value, 0, UINT64_MAX - 1, &values[i].value);
        }
    }
    *out_values = values;
    *out_count = count;
    return status;
}

static segue_status read_execution(const struct segue_json *at, segue_trace *trace,
                                   struct segue_trace_execution *execution)
{
    static const char *const keys[] = {"command_buffer", "bindings", "constants", NULL};
    static const struct segue_trace_range_rules rules = {0};
    struct segue_json child;
    struct segue_trace_range *bindings = NULL;
    uint32_t count = 0;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_trace_read_reference(at, "command_buffer", &trace->command_buffer_names,
                                            "command buffer", &execution->command_buffer);
    }
    if (status == SEGUE_OK) {
        status = segue_json_optional_array(at, "bindings", SEGUE_TRACE_MAX_SLOTS, &child, &count);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    const struct segue_trace_command_buffer *command_buffer =
        &trace->command_buffers[execution->command_buffer];
    if (count != command_buffer->slot_count) {
        return segue_json_fail(&child,
                               "%" PRIu32 " bindings; command buffer \"%s\" has %" PRIu32 " slots",
                               count, command_buffer->name, command_buffer->slot_count);
    }
    trace->executed_command_count += command_buffer->command_count;
    if (trace->executed_command_count > SEGUE_TRACE_MAX_EXECUTED_COMMANDS) {
        return segue_json_fail(at, "more than %" PRIu64 " commands are executed in all",
                               SEGUE_TRACE_MAX_EXECUTED_COMMANDS);
    }
    status = segue_trace_allocate(trace, count, sizeof(bindings[0]), &bindings);
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        status = segue_trace_read_range(&element, trace, &rules, &bindings[i]);
    }
    execution->bindings = bindings;
    execution->binding_count = count;
    if (status == SEGUE_OK) {
        status = segue_trace_read_constant_values(at, trace, execution);
    }
    return status == SEGUE_OK ? segue_trace_check_slots(at, trace, execution) : status;
}

static segue_status read_executions(const struct segue_json *at, segue_trace *trace,
                                    struct segue_trace_submission *submission)
{
    struct segue_json child;
    struct segue_trace_execution *executions = NULL;
    segue_status status = segue_json_optional_array(
        at, "executions", SEGUE_TRACE_MAX_COMMAND_BUFFERS, &child, &submission->execution_count);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, submission->execution_count, sizeof(executions[0]),
                                      &executions);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < submission->execution_count; i++) {
        struct segue_json element = segue_json_element(&child, i);
        status = read_execution(&element, trace, &executions[i]);
    }
    submission->executions = executions;
    return status;
}

static segue_status read_submission(const struct segue_json *at, segue_trace *trace,
                                    struct segue_trace_submission *submission)
{
    static const char *const keys[] = {"queue", "waits", "executions", "signals", NULL};
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status =
            segue_json_optional_u32(at, "queue", 0, SEGUE_TRACE_MAX_QUEUES - 1, &submission->queue);
    }
    if (status == SEGUE_OK) {
        status =
            read_semaphore_values(at, "waits", trace, &submission->waits, &submission->wait_count);
    }
    if (status == SEGUE_OK) {
        status = read_executions(at, trace, submission);
    }
    return status == SEGUE_OK ? read_semaphore_values(at, "signals", trace, &submission->signals,
                                                      &submission->signal_count)
                              : status;
}

segue_status segue_trace_read_submissions(const struct segue_json *root, segue_trace *trace)
{
    struct segue_json at;
    uint32_t count = 0;
    segue_status status =
        segue_json_optional_array(root, "submissions", SEGUE_TRACE_MAX_SUBMISSIONS, &at, &count);
    if (status == SEGUE_OK) {
        status =
            segue_trace_allocate(trace, count, sizeof(trace->submissions[0]), &trace->submissions);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&at, i);
        struct segue_trace_submission *submission = &trace->submissions[i];
        status = read_submission(&element, trace, submission);
        if (submission->queue >= trace->queue_count) {
            trace->queue_count = submission->queue + 1;
        }
    }
    trace->submission_count = count;
    return status;
}
