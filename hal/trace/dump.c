// SPDX-License-Identifier: Apache-2.0
#include "dump.h"

#include "error.h"

#include <inttypes.h>
#include <stdlib.h>

/** Numbers a handle and makes up a name from kind and number. */
static const char *make_name(struct segue_handles *handles, const void *handle, const char *kind,
                             char *out_text, size_t capacity)
{
    uint32_t number = 0;
    bool is_new = false;
    if (!segue_handles_add(handles, handle, &number, &is_new)) {
        return NULL;
    }
    snprintf(out_text, capacity, "%s%" PRIu32, kind, number);
    return out_text;
}

const char *segue_dump_buffer_name(struct segue_dump_names *names, segue_buffer *buffer)
{
    struct segue_buffer_info info;
    segue_buffer_get_info(buffer, &info);
    return info.label[0] != '\0' ? info.label
                                 : make_name(&names->buffers, buffer, "buffer", names->buffer_text,
                                             sizeof(names->buffer_text));
}

const char *segue_dump_executable_name(struct segue_dump_names *names, segue_executable *executable)
{
    struct segue_executable_params params;
    segue_executable_get_params(executable, &params);
    return params.label != NULL && params.label[0] != '\0'
               ? params.label
               : make_name(&names->executables, executable, "executable", names->executable_text,
                           sizeof(names->executable_text));
}

const char *segue_dump_event_name(struct segue_dump_names *names, segue_event *event)
{
    return make_name(&names->events, event, "event", names->event_text, sizeof(names->event_text));
}

void segue_dump_names_free(struct segue_dump_names *names)
{
    segue_handles_free(&names->buffers);
    segue_handles_free(&names->executables);
    segue_handles_free(&names->events);
}

const char *segue_graph_node_type_name(enum segue_graph_node_type type)
{
    static const char *const names[] = {"kernel", "memcpy", "memset",     "empty",
                                        "host",   "child",  "conditional"};
    return (unsigned)type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

const char *segue_graph_edge_type_name(enum segue_graph_edge_type type)
{
    return type == SEGUE_GRAPH_EDGE_PROGRAMMATIC ? "programmatic" : "full";
}

static segue_status dump_graph(segue_command_buffer *command_buffer, enum segue_graph_stage stage,
                               enum segue_dump_format format, FILE *out)
{
    struct segue_dump_graph graph;
    segue_status status = segue_dump_graph_open(&graph, command_buffer, stage);
    if (status == SEGUE_OK) {
        status = format == SEGUE_DUMP_JSON  ? segue_dump_graph_json(&graph, out)
                 : format == SEGUE_DUMP_DOT ? segue_dump_graph_dot(&graph, out)
                                            : segue_dump_graph_text(&graph, out);
    }
    segue_dump_graph_close(&graph);
    return status;
}

static segue_status dump_to(segue_command_buffer *command_buffer, enum segue_dump_stage stage,
                            enum segue_dump_format format, FILE *out)
{
    if (stage == SEGUE_DUMP_SEGMENTS) {
        return format == SEGUE_DUMP_JSON ? segue_dump_segments_json(command_buffer, out)
                                         : segue_dump_segments_text(command_buffer, out);
    }
    return dump_graph(command_buffer,
                      stage == SEGUE_DUMP_DAG ? SEGUE_GRAPH_STAGE_DAG : SEGUE_GRAPH_STAGE_GRAPH,
                      format, out);
}

segue_status segue_dump_command_buffer(segue_command_buffer *command_buffer,
                                       enum segue_dump_stage stage, enum segue_dump_format format,
                                       char **out_text)
{
    if (command_buffer == NULL || out_text == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "command_buffer and out_text must not be NULL");
    }
    if ((unsigned)stage > SEGUE_DUMP_GRAPH || (unsigned)format > SEGUE_DUMP_DOT) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT, "unknown stage %d or format %d", (int)stage,
                                (int)format);
    }
    if (stage == SEGUE_DUMP_SEGMENTS && format == SEGUE_DUMP_DOT) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "segments are a list: DOT is for the stages dag and graph");
    }
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return segue_trace_fail_memory("a dump");
    }
    segue_status status = dump_to(command_buffer, stage, format, out);
    bool broken = ferror(out) != 0;
    broken = fclose(out) != 0 || broken;
    if (status == SEGUE_OK && broken) {
        status = segue_trace_fail_memory("a dump");
    }
    if (status != SEGUE_OK) {
        free(text);
        return status;
    }
    *out_text = text;
    return SEGUE_OK;
}

void segue_dump_free(char *text)
{
    free(text);
}
