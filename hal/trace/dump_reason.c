// SPDX-License-Identifier: Apache-2.0
// Why an edge is there, in words and as JSON.
#include "dump.h"

#include "command_json.h"
#include "error.h"
#include "vocabulary.h"

#include <inttypes.h>
#include <stdlib.h>

/** Conflicts of one edge that are shown. */
#define MAX_CONFLICTS 8

static const char *const reason_words[SEGUE_REASON_NAME_COUNT] = {
    "read after write",
    "write after read",
    "write after write",
    "one may touch anything",
    "may be the same memory",
    "order of a barrier",
    "next on the lane",
    "join",
    "implied by what comes before",
};

/** The kinds of all commands, by index. */
struct kinds {
    uint8_t *kinds;
    uint32_t count;
};

static bool note_kind(void *context, const struct segue_command_info *command)
{
    struct kinds *kinds = context;
    if (command->index < kinds->count) {
        kinds->kinds[command->index] = (uint8_t)command->kind;
    }
    return true;
}

segue_status segue_dump_graph_open(struct segue_dump_graph *graph,
                                   segue_command_buffer *command_buffer,
                                   enum segue_graph_stage stage)
{
    *graph = (struct segue_dump_graph){.command_buffer = command_buffer, .stage = stage};
    struct segue_command_buffer_stats stats;
    segue_status status = segue_command_buffer_get_graph(command_buffer, stage, &graph->view);
    if (status == SEGUE_OK) {
        status = segue_command_buffer_get_stats(command_buffer, &stats);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    struct kinds kinds = {calloc((size_t)stats.command_count + 1, 1), stats.command_count};
    if (kinds.kinds == NULL) {
        return segue_trace_fail_memory("a dump");
    }
    graph->kinds = kinds.kinds;
    return segue_command_buffer_visit(command_buffer, note_kind, &kinds);
}

void segue_dump_graph_close(struct segue_dump_graph *graph)
{
    segue_dump_names_free(&graph->names);
    free(graph->kinds);
}

/** "source", "binding 3" and so on. */
static void print_access(const struct segue_dump_graph *graph, uint32_t node, uint32_t access,
                         FILE *out)
{
    const uint32_t command = graph->view.nodes[node].command;
    const enum segue_command_kind kind = (enum segue_command_kind)graph->kinds[command];
    if (kind == SEGUE_COMMAND_DISPATCH) {
        fprintf(out, "binding %" PRIu32, access);
    } else {
        fputs(kind == SEGUE_COMMAND_COPY && access == 0 ? "source" : "target", out);
    }
    fprintf(out, " of command %" PRIu32, command);
}

/** `name[offset+length]`; the length is left out where it is the rest of a slot. */
static segue_status print_range(struct segue_dump_graph *graph, const struct segue_buffer_ref *ref,
                                FILE *out)
{
    if (ref->buffer != NULL) {
        const char *name = segue_dump_buffer_name(&graph->names, ref->buffer);
        if (name == NULL) {
            return segue_trace_fail_memory("a dump");
        }
        fputs(name, out);
    } else {
        fprintf(out, "slot %" PRIu32, ref->slot);
    }
    fprintf(out, "[%" PRIu64 "+", ref->offset_bytes);
    if (ref->length_bytes != SEGUE_WHOLE_SIZE) {
        fprintf(out, "%" PRIu64, ref->length_bytes);
    }
    fputc(']', out);
    return SEGUE_OK;
}

/** The words for the bits of `reasons` that are in `among`, joined. */
static void print_words(uint32_t reasons, uint32_t among, FILE *out)
{
    const char *separator = "";
    for (uint32_t i = 0; i < SEGUE_REASON_NAME_COUNT; i++) {
        if ((reasons & among & 1u << i) != 0) {
            fprintf(out, "%s%s", separator, reason_words[i]);
            separator = ", ";
        }
    }
}

static segue_status print_conflict(struct segue_dump_graph *graph,
                                   const struct segue_graph_edge *edge,
                                   const struct segue_graph_conflict *conflict, FILE *out)
{
    print_words(conflict->reasons, UINT32_MAX, out);
    if ((conflict->reasons & SEGUE_GRAPH_REASON_OPAQUE) != 0) {
        return SEGUE_OK;
    }
    fputs(": ", out);
    segue_status status = print_range(graph, &conflict->range, out);
    fputs(" (", out);
    print_access(graph, edge->from, conflict->from_access, out);
    fputs(", ", out);
    print_access(graph, edge->to, conflict->to_access, out);
    fputc(')', out);
    return status;
}

static segue_status find_conflicts(const struct segue_dump_graph *graph, uint32_t edge,
                                   struct segue_graph_conflict conflicts[MAX_CONFLICTS],
                                   uint32_t *out_shown, uint32_t *out_count)
{
    segue_status status = segue_command_buffer_explain_edge(graph->command_buffer, edge, conflicts,
                                                            MAX_CONFLICTS, out_count);
    *out_shown = *out_count < MAX_CONFLICTS ? *out_count : MAX_CONFLICTS;
    return status;
}

segue_status segue_dump_reason_text(struct segue_dump_graph *graph, uint32_t edge, FILE *out)
{
    const uint32_t others = SEGUE_GRAPH_REASON_BARRIER | SEGUE_GRAPH_REASON_LANE |
                            SEGUE_GRAPH_REASON_JOIN | SEGUE_GRAPH_REASON_IMPLIED;
    const struct segue_graph_edge *described = &graph->view.edges[edge];
    struct segue_graph_conflict conflicts[MAX_CONFLICTS];
    uint32_t shown = 0;
    uint32_t count = 0;
    segue_status status = find_conflicts(graph, edge, conflicts, &shown, &count);
    for (uint32_t i = 0; status == SEGUE_OK && i < shown; i++) {
        fputs(i != 0 ? "; " : "", out);
        status = print_conflict(graph, described, &conflicts[i], out);
    }
    if (count > shown) {
        fprintf(out, "; and %" PRIu32 " more", count - shown);
    }
    if ((described->reasons & others) != 0) {
        fputs(count != 0 ? "; " : "", out);
        print_words(described->reasons, others, out);
    }
    if (described->reasons == SEGUE_GRAPH_REASON_LANE) {
        fputs(" (nothing needs it)", out);
    }
    return status;
}

static segue_status name_buffer(void *context, segue_buffer *buffer, const char **out_name)
{
    *out_name = segue_dump_buffer_name(context, buffer);
    return *out_name != NULL ? SEGUE_OK : segue_trace_fail_memory("a dump");
}

static segue_status add_conflict(struct segue_dump_graph *graph, json_t *array,
                                 const struct segue_graph_conflict *conflict)
{
    const struct segue_command_names names = {.buffer = name_buffer, .context = &graph->names};
    json_t *item = json_object();
    if (item == NULL || json_array_append_new(array, item) != 0) {
        return segue_trace_fail_memory("a dump");
    }
    segue_status status = segue_json_set(
        item, "reasons",
        segue_bits_to_json(conflict->reasons, segue_reason_names, SEGUE_REASON_NAME_COUNT));
    if (status != SEGUE_OK || (conflict->reasons & SEGUE_GRAPH_REASON_OPAQUE) != 0) {
        return status;
    }
    status = segue_json_set(item, "from_access", json_integer(conflict->from_access));
    if (status == SEGUE_OK) {
        status = segue_json_set(item, "to_access", json_integer(conflict->to_access));
    }
    json_t *range = NULL;
    if (status == SEGUE_OK) {
        status = segue_range_to_json(&conflict->range, &names, &range);
    }
    return status == SEGUE_OK ? segue_json_set(item, "range", range) : status;
}

/** The sentence. */
static segue_status add_text(struct segue_dump_graph *graph, uint32_t edge, json_t *object)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return segue_trace_fail_memory("a dump");
    }
    segue_status status = segue_dump_reason_text(graph, edge, out);
    if (fclose(out) != 0 && status == SEGUE_OK) {
        status = segue_trace_fail_memory("a dump");
    }
    if (status == SEGUE_OK) {
        status = segue_json_set(object, "why", segue_json_from_text(text));
    }
    free(text);
    return status;
}

segue_status segue_dump_reason_json(struct segue_dump_graph *graph, uint32_t edge, json_t *object)
{
    struct segue_graph_conflict conflicts[MAX_CONFLICTS];
    uint32_t shown = 0;
    uint32_t count = 0;
    segue_status status = add_text(graph, edge, object);
    if (status != SEGUE_OK) {
        return status;
    }
    json_t *array = json_array();
    status = segue_json_set(object, "reasons",
                            segue_bits_to_json(graph->view.edges[edge].reasons, segue_reason_names,
                                               SEGUE_REASON_NAME_COUNT));
    if (status == SEGUE_OK) {
        status = find_conflicts(graph, edge, conflicts, &shown, &count);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < shown; i++) {
        status = array != NULL ? add_conflict(graph, array, &conflicts[i])
                               : segue_trace_fail_memory("a dump");
    }
    if (status == SEGUE_OK && shown != 0) {
        return segue_json_set(object, "conflicts", array);
    }
    json_decref(array);
    return status;
}
