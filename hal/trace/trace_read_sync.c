// SPDX-License-Identifier: Apache-2.0
#include "trace_read.h"

static segue_status read_semaphore(const struct segue_json *at, segue_trace *trace,
                                   struct segue_trace_semaphore *semaphore)
{
    static const char *const keys[] = {"name", "initial", NULL};
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_trace_read_name(at, "name", trace, &semaphore->name);
    }
    return status == SEGUE_OK ? segue_json_optional_u64(at, "initial", 0, UINT64_MAX - 1,
                                                        &semaphore->initial_value)
                              : status;
}

segue_status segue_trace_read_semaphores(const struct segue_json *root, segue_trace *trace)
{
    struct segue_json at;
    uint32_t count = 0;
    struct segue_name *names = NULL;
    segue_status status =
        segue_json_optional_array(root, "semaphores", SEGUE_TRACE_MAX_SYNC_OBJECTS, &at, &count);
    if (status == SEGUE_OK) {
        status =
            segue_trace_allocate(trace, count, sizeof(trace->semaphores[0]), &trace->semaphores);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(names[0]), &names);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&at, i);
        status = read_semaphore(&element, trace, &trace->semaphores[i]);
        names[i] = (struct segue_name){.text = trace->semaphores[i].name, .index = i};
    }
    trace->semaphore_count = count;
    trace->semaphore_names = (struct segue_names){.names = names, .count = count};
    return status == SEGUE_OK ? segue_trace_sort_names(&at, &trace->semaphore_names) : status;
}

segue_status segue_trace_read_events(const struct segue_json *root, segue_trace *trace)
{
    static const char *const keys[] = {"name", NULL};
    struct segue_json at;
    uint32_t count = 0;
    struct segue_name *names = NULL;
    segue_status status =
        segue_json_optional_array(root, "events", SEGUE_TRACE_MAX_SYNC_OBJECTS, &at, &count);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(trace->events[0]), &trace->events);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(names[0]), &names);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&at, i);
        status = segue_json_object(&element, keys);
        if (status == SEGUE_OK) {
            status = segue_trace_read_name(&element, "name", trace, &trace->events[i].name);
        }
        names[i] = (struct segue_name){.text = trace->events[i].name, .index = i};
    }
    trace->event_count = count;
    trace->event_names = (struct segue_names){.names = names, .count = count};
    return status == SEGUE_OK ? segue_trace_sort_names(&at, &trace->event_names) : status;
}
