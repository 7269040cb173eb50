// SPDX-License-Identifier: Apache-2.0
#include "dump.h"

#include <inttypes.h>

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

segue_status segue_dump_graph_dot(segue_command_buffer *command_buffer,
                                  const struct segue_graph_view *view, enum segue_graph_stage stage,
                                  FILE *out)
{
    struct segue_command_buffer_info info;
    segue_command_buffer_get_info(command_buffer, &info);
    fputs("digraph ", out);
    print_quoted(out, info.label != NULL && info.label[0] != '\0' ? info.label
                      : stage == SEGUE_GRAPH_STAGE_DAG            ? "dag"
                                                                  : "graph");
    fputs(" {\n  node [shape=box, fontname=\"monospace\"];\n", out);
    for (uint32_t i = 0; i < view->node_count; i++) {
        const struct segue_graph_node *node = &view->nodes[i];
        fprintf(out, "  n%" PRIu32 " [label=", i);
        print_quoted(out, node->label);
        // Kernels are plain boxes; what takes another path in the driver stands out.
        if (node->type != SEGUE_GRAPH_NODE_KERNEL) {
            fprintf(out, ", style=dashed, tooltip=\"%s\"", segue_graph_node_type_name(node->type));
        }
        fputs("];\n", out);
    }
    for (uint32_t i = 0; i < view->edge_count; i++) {
        const struct segue_graph_edge *edge = &view->edges[i];
        fprintf(out, "  n%" PRIu32 " -> n%" PRIu32 "%s;\n", edge->from, edge->to,
                edge->type == SEGUE_GRAPH_EDGE_PROGRAMMATIC ? " [style=dotted]" : "");
    }
    fputs("}\n", out);
    return SEGUE_OK;
}
