// SPDX-License-Identifier: Apache-2.0
#include "dump.h"

#include "error.h"

#include <inttypes.h>
#include <stdlib.h>

/** A quoted string: DOT knows the escapes \" and \\. */
static void print_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            fputc('\\', out);
        }
        fputc((unsigned char)*c < 0x20 ? ' ' : *c, out);
    }
    fputc('"', out);
}

static void print_node(const struct segue_dump_graph *graph, uint32_t index, const char *indent,
                       FILE *out)
{
    const struct segue_graph_node *node = &graph->view.nodes[index];
    fprintf(out, "%sn%" PRIu32 " [label=", indent, index);
    print_quoted(out, node->label);
    // Kernels are plain boxes; what takes another path in the driver stands out.
    if (node->type != SEGUE_GRAPH_NODE_KERNEL) {
        fprintf(out, ", style=dashed, tooltip=\"%s\"", segue_graph_node_type_name(node->type));
    }
    fputs("];\n", out);
}

/** A box around the nodes of each lane, which are marked in `listed`. */
static void print_lanes(const struct segue_dump_graph *graph, uint32_t *first, uint32_t *next,
                        FILE *out)
{
    const struct segue_graph_view *view = &graph->view;
    for (uint32_t lane = 0; lane < view->lane_count; lane++) {
        first[lane] = UINT32_MAX;
    }
    // Lists of nodes per lane, built from the end so that they are in order.
    for (uint32_t i = view->node_count; i-- != 0;) {
        const uint32_t lane = view->nodes[i].lane;
        if (lane < view->lane_count) {
            next[i] = first[lane];
            first[lane] = i;
        }
    }
    for (uint32_t lane = 0; lane < view->lane_count; lane++) {
        if (first[lane] == UINT32_MAX) {
            continue;
        }
        fprintf(out, "  subgraph cluster_lane%" PRIu32 " {\n    label=\"lane %" PRIu32 "\";\n",
                lane, lane);
        for (uint32_t i = first[lane]; i != UINT32_MAX; i = next[i]) {
            print_node(graph, i, "    ", out);
        }
        fputs("  }\n", out);
    }
}

static segue_status print_nodes(const struct segue_dump_graph *graph, FILE *out)
{
    const struct segue_graph_view *view = &graph->view;
    uint32_t *lists = calloc((size_t)view->lane_count + view->node_count + 1, sizeof(lists[0]));
    if (lists == NULL) {
        return segue_trace_fail_memory("a dump");
    }
    print_lanes(graph, lists, lists + view->lane_count, out);
    free(lists);
    for (uint32_t i = 0; i < view->node_count; i++) {
        if (view->nodes[i].lane >= view->lane_count) {
            print_node(graph, i, "  ", out);
        }
    }
    return SEGUE_OK;
}

/** Dotted: programmatic. Grey: order that only the shape adds. */
static segue_status print_edge(struct segue_dump_graph *graph, uint32_t index, FILE *out)
{
    const struct segue_graph_edge *edge = &graph->view.edges[index];
    char *reason = NULL;
    size_t size = 0;
    FILE *text = open_memstream(&reason, &size);
    if (text == NULL) {
        return segue_trace_fail_memory("a dump");
    }
    segue_status status = segue_dump_reason_text(graph, index, text);
    if (fclose(text) != 0) {
        status = status == SEGUE_OK ? segue_trace_fail_memory("a dump") : status;
    }
    if (status == SEGUE_OK) {
        fprintf(out, "  n%" PRIu32 " -> n%" PRIu32 " [", edge->from, edge->to);
        if (edge->type == SEGUE_GRAPH_EDGE_PROGRAMMATIC) {
            fputs("style=dotted, ", out);
        }
        if (edge->reasons == SEGUE_GRAPH_REASON_LANE) {
            fputs("color=grey, ", out);
        }
        fputs("tooltip=", out);
        print_quoted(out, reason);
        fputs("];\n", out);
    }
    free(reason);
    return status;
}

segue_status segue_dump_graph_dot(struct segue_dump_graph *graph, FILE *out)
{
    struct segue_command_buffer_info info;
    segue_command_buffer_get_info(graph->command_buffer, &info);
    fputs("digraph ", out);
    print_quoted(out, info.label != NULL && info.label[0] != '\0' ? info.label
                      : graph->stage == SEGUE_GRAPH_STAGE_DAG     ? "dag"
                                                                  : "graph");
    fputs(" {\n  node [shape=box, fontname=\"monospace\"];\n", out);
    for (uint32_t i = 0; i < info.constant_slot_count; i++) {
        fputs(i == 0 ? "  // Constant slots: " : ", ", out);
        fprintf(out, "%s (%" PRIu32 " bytes)", info.constant_slots[i].name,
                info.constant_slots[i].size_bytes);
    }
    fputs(info.constant_slot_count != 0 ? "\n" : "", out);
    segue_status status = print_nodes(graph, out);
    for (uint32_t i = 0; status == SEGUE_OK && i < graph->view.edge_count; i++) {
        status = print_edge(graph, i, out);
    }
    fputs("}\n", out);
    return status;
}
