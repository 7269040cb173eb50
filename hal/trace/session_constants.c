// SPDX-License-Identifier: Apache-2.0
// Values of constant slots that take the place of the trace's.
#include "error.h"
#include "session.h"

#include <stdlib.h>

/** Sets a slot's value in one command buffer. */
static segue_status set(segue_trace_session *session, uint32_t index, uint32_t slot,
                        const struct segue_constant_value *value)
{
    const struct segue_trace_command_buffer *model = &session->trace->command_buffers[index];
    struct segue_constant_value *values = session->set_constants[index];
    if (values == NULL) {
        values = calloc(model->constant_slot_count, sizeof(values[0]));
        if (values == NULL) {
            return segue_trace_fail_memory("a session's constants");
        }
        session->set_constants[index] = values;
    }
    values[slot] = *value;
    return SEGUE_OK;
}

segue_status segue_trace_session_set_constant(segue_trace_session *session, const char *name,
                                              const struct segue_constant_value *value)
{
    if (session == NULL || name == NULL || value == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT, "session, name and value must not be NULL");
    }
    const segue_trace *trace = session->trace;
    segue_status status = SEGUE_OK;
    bool found = false;
    for (uint32_t i = 0; status == SEGUE_OK && i < trace->command_buffer_count; i++) {
        const struct segue_trace_command_buffer *model = &trace->command_buffers[i];
        uint32_t slot = 0;
        if (!segue_names_find(&model->constant_slot_names, name, &slot) ||
            model->constant_slots[slot].size_bytes != value->size_bytes) {
            continue;
        }
        found = true;
        status = set(session, i, slot, value);
    }
    return found ? status
                 : segue_trace_fail_on(session->device, SEGUE_NOT_FOUND,
                                       "%s: no command buffer has a constant slot \"%.80s\" of %u "
                                       "bytes",
                                       trace->path, name, value->size_bytes);
}

struct segue_constant_value segue_session_constant(const segue_trace_session *session,
                                                   const struct segue_trace_execution *execution,
                                                   uint32_t slot)
{
    const struct segue_constant_value *values = session->set_constants[execution->command_buffer];
    return values != NULL && values[slot].size_bytes != 0 ? values[slot]
                                                          : execution->constants[slot];
}
