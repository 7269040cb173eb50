// SPDX-License-Identifier: Apache-2.0
#include "page.h"

#include "json_out.h"

#include <stdlib.h>
#include <string.h>

#define PLACE "@DATA@"

static json_t *make_node(const struct segue_replay_drawing *drawing, uint32_t index)
{
    const struct segue_graph_node *node = &drawing->view.nodes[index];
    const struct segue_replay_slot *slot = &drawing->schedule.slots[index];
    const json_int_t command = node->command != SEGUE_NO_COMMAND ? (json_int_t)node->command : -1;
    const json_int_t lane = node->lane != SEGUE_NO_LANE ? (json_int_t)node->lane : -1;
    return json_pack("[I, I, i, o, I, I]", command, lane, (int)node->type,
                     segue_replay_json_text(node->label), (json_int_t)slot->start_ns,
                     (json_int_t)slot->duration_ns);
}

static json_t *make_edge(const struct segue_replay_drawing *drawing, uint32_t index)
{
    const struct segue_graph_edge *edge = &drawing->view.edges[index];
    return json_pack("[I, I, i, i, O]", (json_int_t)edge->from, (json_int_t)edge->to,
                     edge->type == SEGUE_GRAPH_EDGE_PROGRAMMATIC,
                     edge->reasons == SEGUE_GRAPH_REASON_LANE,
                     json_array_get(drawing->reasons, index));
}

/** An array of `count` items; NULL when out of memory. */
static json_t *make_list(const struct segue_replay_drawing *drawing, uint32_t count,
                         json_t *(*make)(const struct segue_replay_drawing *drawing,
                                         uint32_t index))
{
    json_t *list = json_array();
    for (uint32_t i = 0; list && i < count; ++i) {
        if (json_array_append_new(list, make(drawing, i)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *make_critical(const struct segue_replay_drawing *drawing, uint32_t index)
{
    return json_integer(drawing->schedule.critical_nodes[index]);
}

/** The edges between the nodes of the critical path. */
static json_t *make_critical_edge(const struct segue_replay_drawing *drawing, uint32_t index)
{
    const uint32_t node = drawing->schedule.critical_nodes[index + 1];
    return json_integer(drawing->schedule.slots[node].edge);
}

static int add_total(json_t *list, const char *name, uint64_t time_ns, const char *how, bool own)
{
    if (time_ns == 0)
        return 0;
    return json_array_append_new(list, json_pack("{s:s, s:I, s:s, s:b}", "name", name, "ns",
                                                 (json_int_t)time_ns, "how", how, "own", own));
}

static json_t *make_totals(const struct segue_replay_drawing *drawing)
{
    json_t *list = json_array();
    int failed = list == NULL;
    failed |= add_total(list, "This graph", drawing->measured_graph_ns, "measured", true);
    failed |= add_total(list, "This graph", drawing->schedule.end_ns, "modelled", true);
    failed |= add_total(list, "Serial, one lane", drawing->totals.serial_ns, "modelled", false);
    failed |= add_total(list, "Stream of launches", drawing->measured_stream_ns, "measured", false);
    failed |= add_total(list, "Fork and join through empty nodes", drawing->totals.fork_join_ns,
                        "modelled", false);
    if (!failed)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *make_notes(const struct segue_replay_drawing *drawing)
{
    static const char measured[] =
        "How long a node takes was measured on the device: commands ran one after the other in "
        "recorded order with a time stamp between every two, so that each had the device for "
        "itself; the stamps' own time is taken off, and means over the runs are shown.";
    static const char modelled[] =
        "How long a node takes was not measured: dispatches have the duration that the trace gives "
        "them, or one that stands for an unknown one; transfers what their length suggests.";
    static const char starts[] =
        "When a node starts is modelled: from these durations, the edges, and what an edge costs "
        "by "
        "the device's cost model. Kernels that run side by side are taken not to slow each other "
        "down. Measured totals are of the real graph.";
    static const char path[] = "The critical path is the chain of nodes and edges that decides, in "
                               "the model, when the last node ends.";
    static const char edges[] =
        "Solid edges are needed: the two commands touch the same bytes, and one of them writes. "
        "Dashed edges are order that the lanes add and nothing needs. Dotted edges are "
        "programmatic: the later kernel starts early and waits by itself.";
    static const char fork_join[] =
        "Fork and join is what IREE's drivers emit. Its total is modelled: 0.95 us of launching "
        "for "
        "each node, measured on an H200, where an empty node joins several commands with several; "
        "else edges as in other graphs.";
    return json_pack("[s, s, s, s, s]", drawing->measured ? measured : modelled, starts, path,
                     edges, fork_join);
}

json_t *segue_replay_page_view(const struct segue_replay_drawing *drawing)
{
    const uint32_t critical_count = drawing->schedule.critical_count;
    return json_pack(
        "{s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
        segue_replay_json_text(drawing->name), "lanes", (json_int_t)drawing->view.lane_count, "end",
        (json_int_t)drawing->schedule.end_ns, "nodes",
        make_list(drawing, drawing->view.node_count, make_node), "edges",
        make_list(drawing, drawing->view.edge_count, make_edge), "critical",
        make_list(drawing, critical_count, make_critical), "criticalEdges",
        make_list(drawing, critical_count > 0 ? critical_count - 1 : 0, make_critical_edge),
        "totals", make_totals(drawing), "notes", make_notes(drawing));
}

char *segue_replay_page_fill(json_t *data)
{
    char *text = data ? json_dumps(data, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(data);
    if (!text)
        return NULL;
    size_t marks = 0;
    for (const char *c = text; *c != '\0'; ++c)
        marks += *c == '<';
    const char *place = strstr(segue_replay_page, PLACE);
    const size_t before = (size_t)(place - segue_replay_page);
    const char *rest = place + strlen(PLACE);
    char *page = malloc(before + strlen(text) + 5 * marks + strlen(rest) + 1);
    if (page) {
        memcpy(page, segue_replay_page, before);
        char *next = page + before;
        // Names come from strangers: nothing in them may end the script that the data is in.
        for (const char *c = text; *c != '\0'; ++c) {
            if (*c == '<') {
                memcpy(next, "\\u003c", 6);
                next += 6;
            } else {
                *next++ = *c;
            }
        }
        memcpy(next, rest, strlen(rest) + 1);
    }
    free(text);
    return page;
}
