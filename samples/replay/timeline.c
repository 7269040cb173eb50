// SPDX-License-Identifier: Apache-2.0
#include "timeline.h"

#include "json_out.h"

#include <stdio.h>

static json_int_t thread_of(const struct segue_graph_view *view, uint32_t node)
{
    const uint32_t lane = view->nodes[node].lane;
    return lane != SEGUE_NO_LANE ? lane : view->lane_count;
}

static json_t *make_name(const char *kind, uint32_t process, json_int_t thread, const char *name)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:{s:o}}", "ph", "M", "name", kind, "pid",
                     (json_int_t)process, "tid", thread, "args", "name",
                     segue_replay_json_text(name));
}

static double microseconds(uint64_t time_ns)
{
    return (double)time_ns / 1e3;
}

static json_t *make_node(const struct segue_replay_drawing *drawing, uint32_t process,
                         uint32_t node)
{
    const struct segue_graph_node *described = &drawing->view.nodes[node];
    const struct segue_replay_slot *slot = &drawing->schedule.slots[node];
    const json_int_t command =
        described->command != SEGUE_NO_COMMAND ? (json_int_t)described->command : -1;
    return json_pack("{s:s, s:o, s:s, s:f, s:f, s:I, s:I, s:{s:I, s:I}}", "ph", "X", "name",
                     segue_replay_json_text(described->label), "cat", "node", "ts",
                     microseconds(slot->start_ns), "dur", microseconds(slot->duration_ns), "pid",
                     (json_int_t)process, "tid", thread_of(&drawing->view, node), "args", "command",
                     command, "node", (json_int_t)node);
}

/** One end of the arrow that an edge is. */
static json_t *make_flow(const struct segue_replay_drawing *drawing, uint32_t process,
                         uint32_t edge, bool end)
{
    const struct segue_graph_edge *described = &drawing->view.edges[edge];
    const uint32_t node = end ? described->to : described->from;
    const struct segue_replay_slot *slot = &drawing->schedule.slots[node];
    char id[32];
    snprintf(id, sizeof(id), "%u.%u", process, edge);
    // An arrow binds to what encloses its time: just inside the node.
    const double time_us = end ? microseconds(slot->start_ns)
                               : microseconds(slot->start_ns + slot->duration_ns) - 0.0005;
    json_t *event = json_pack("{s:s, s:s, s:s, s:s, s:f, s:I, s:I, s:{s:O}}", "ph", end ? "f" : "s",
                              "name", "waits", "cat", "edge", "id", id, "ts", time_us, "pid",
                              (json_int_t)process, "tid", thread_of(&drawing->view, node), "args",
                              "why", json_array_get(drawing->reasons, edge));
    if (event && end && json_object_set_new(event, "bp", json_string("e")) != 0) {
        json_decref(event);
        return NULL;
    }
    return event;
}

bool segue_replay_timeline_add(json_t *events, const struct segue_replay_drawing *drawing,
                               uint32_t process)
{
    const struct segue_graph_view *view = &drawing->view;
    int failed =
        json_array_append_new(events, make_name("process_name", process, 0, drawing->name));
    for (uint32_t lane = 0; lane <= view->lane_count; ++lane) {
        char name[32];
        snprintf(name, sizeof(name), lane < view->lane_count ? "lane %u" : "joins", lane);
        failed |= json_array_append_new(events, make_name("thread_name", process, lane, name));
    }
    for (uint32_t i = 0; i < view->node_count && !failed; ++i)
        failed |= json_array_append_new(events, make_node(drawing, process, i));
    for (uint32_t i = 0; i < view->edge_count && !failed; ++i) {
        if (view->nodes[view->edges[i].from].lane == view->nodes[view->edges[i].to].lane)
            continue;
        failed |= json_array_append_new(events, make_flow(drawing, process, i, false));
        failed |= json_array_append_new(events, make_flow(drawing, process, i, true));
    }
    return !failed;
}
