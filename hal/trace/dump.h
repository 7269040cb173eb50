// SPDX-License-Identifier: Apache-2.0
/**
 * @file dump.h
 * The printers of segue_dump_command_buffer. They print to a memory stream, whose errors the caller
 * checks, and return what the library refused.
 */
#ifndef SEGUE_TRACE_DUMP_H
#define SEGUE_TRACE_DUMP_H

#include "handles.h"

#include <segue/segue.h>
#include <segue/trace.h>

#include <jansson.h>
#include <stdio.h>

/** Calls things by label, or by kind and number where they have none. */
struct segue_dump_names {
    struct segue_handles buffers;
    struct segue_handles executables;
    struct segue_handles events;
    /** The last names made up. */
    char buffer_text[32];
    char executable_text[32];
    char event_text[32];
};

/** Each returns a name, NULL when out of memory; valid until the next call for the same kind. */
const char *segue_dump_buffer_name(struct segue_dump_names *names, segue_buffer *buffer);
const char *segue_dump_executable_name(struct segue_dump_names *names,
                                       segue_executable *executable);
const char *segue_dump_event_name(struct segue_dump_names *names, segue_event *event);
void segue_dump_names_free(struct segue_dump_names *names);

/** The words for node and edge types. */
const char *segue_graph_node_type_name(enum segue_graph_node_type type);
const char *segue_graph_edge_type_name(enum segue_graph_edge_type type);

/** A stage of a command buffer that is being dumped. */
struct segue_dump_graph {
    segue_command_buffer *command_buffer;
    enum segue_graph_stage stage;
    struct segue_graph_view view;
    /** Per command: enum segue_command_kind. Owned. */
    uint8_t *kinds;
    struct segue_dump_names names;
};

/** Close it in any case. */
segue_status segue_dump_graph_open(struct segue_dump_graph *graph,
                                   segue_command_buffer *command_buffer,
                                   enum segue_graph_stage stage);
void segue_dump_graph_close(struct segue_dump_graph *graph);

/** Why an edge is there: on the rest of the line, or as members of an object. */
segue_status segue_dump_reason_text(struct segue_dump_graph *graph, uint32_t edge, FILE *out);
segue_status segue_dump_reason_json(struct segue_dump_graph *graph, uint32_t edge, json_t *object);

segue_status segue_dump_segments_text(segue_command_buffer *command_buffer, FILE *out);
segue_status segue_dump_segments_json(segue_command_buffer *command_buffer, FILE *out);
segue_status segue_dump_graph_text(struct segue_dump_graph *graph, FILE *out);
segue_status segue_dump_graph_json(struct segue_dump_graph *graph, FILE *out);
segue_status segue_dump_graph_dot(struct segue_dump_graph *graph, FILE *out);

#endif // SEGUE_TRACE_DUMP_H
