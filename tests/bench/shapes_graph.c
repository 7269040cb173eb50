// SPDX-License-Identifier: Apache-2.0
#include "shapes.h"

#include <stdlib.h>

#define NO_NODE UINT32_MAX

static bool allocate(struct segue_bench *bench, struct segue_shapes_graph *graph,
                     uint64_t node_count, uint64_t edge_count)
{
    graph->operations = calloc(node_count + 1, sizeof(*graph->operations));
    graph->first = calloc(node_count + 2, sizeof(*graph->first));
    graph->dependencies = calloc(edge_count + 1, sizeof(*graph->dependencies));
    graph->types = calloc(edge_count + 1, sizeof(*graph->types));
    if (graph->operations && graph->first && graph->dependencies && graph->types)
        return true;
    return segue_bench_fail(bench, "out of memory for a shape");
}

/** Starts a node; edges are added to the last one. */
static uint32_t add_node(struct segue_shapes_graph *graph, uint32_t operation)
{
    const uint32_t node = graph->node_count++;
    graph->operations[node] = operation;
    graph->first[node] = graph->edge_count;
    graph->first[node + 1] = graph->edge_count;
    return node;
}

static void add_edge(struct segue_shapes_graph *graph, uint32_t from, uint8_t type)
{
    graph->dependencies[graph->edge_count] = from;
    graph->types[graph->edge_count++] = type;
    graph->first[graph->node_count] = graph->edge_count;
}

/** The first operation of the scope after that of operation `i`. */
static uint32_t scope_end(const struct segue_shapes_work *work, uint32_t i)
{
    const uint32_t scope = work->scopes[i];
    while (i < work->operation_count && work->scopes[i] == scope)
        i++;
    return i;
}

static bool make_chain(struct segue_bench *bench, const struct segue_shapes_work *work,
                       struct segue_shapes_graph *graph)
{
    if (!allocate(bench, graph, work->operation_count, work->operation_count))
        return false;
    for (uint32_t i = 0; i < work->operation_count; i++) {
        (void)add_node(graph, i);
        if (i > 0)
            add_edge(graph, i - 1, SEGUE_GRAPH_EDGE_FULL);
    }
    return true;
}

/** Scopes joined by a node each, except where a scope has one node, which then is the join. */
static bool make_joins(struct segue_bench *bench, const struct segue_shapes_work *work,
                       uint32_t join, struct segue_shapes_graph *graph)
{
    const uint64_t count = work->operation_count;
    if (!allocate(bench, graph, 2 * count, 2 * count))
        return false;
    uint32_t last_join = NO_NODE;
    for (uint32_t i = 0; i < work->operation_count;) {
        const uint32_t end = scope_end(work, i);
        const uint32_t first_node = graph->node_count;
        for (; i < end; i++) {
            (void)add_node(graph, i);
            if (last_join != NO_NODE)
                add_edge(graph, last_join, SEGUE_GRAPH_EDGE_FULL);
        }
        const uint32_t end_node = graph->node_count;
        last_join = first_node;
        if (end_node - first_node > 1 && end < work->operation_count) {
            last_join = add_node(graph, join);
            for (uint32_t node = first_node; node < end_node; node++)
                add_edge(graph, node, SEGUE_GRAPH_EDGE_FULL);
        }
    }
    return true;
}

/** Edges between neighbouring scopes, each with each. */
static uint64_t count_all_to_all(const struct segue_shapes_work *work)
{
    uint64_t edge_count = 0;
    uint32_t last_width = 0;
    for (uint32_t i = 0; i < work->operation_count;) {
        const uint32_t end = scope_end(work, i);
        edge_count += (uint64_t)last_width * (end - i);
        last_width = end - i;
        i = end;
    }
    return edge_count;
}

static bool make_all_to_all(struct segue_bench *bench, const struct segue_shapes_work *work,
                            struct segue_shapes_graph *graph, const char **out_left_out)
{
    const uint64_t edge_count = count_all_to_all(work);
    if (edge_count > SEGUE_SHAPES_MAX_EDGES) {
        *out_left_out = "more than 65,536 edges, which would take seconds to instantiate";
        return true;
    }
    if (!allocate(bench, graph, work->operation_count, edge_count))
        return false;
    uint32_t last_begin = 0;
    uint32_t last_end = 0;
    for (uint32_t i = 0; i < work->operation_count;) {
        const uint32_t begin = i;
        const uint32_t end = scope_end(work, i);
        for (; i < end; i++) {
            (void)add_node(graph, i);
            for (uint32_t from = last_begin; from < last_end; from++)
                add_edge(graph, from, SEGUE_GRAPH_EDGE_FULL);
        }
        last_begin = begin;
        last_end = end;
    }
    return true;
}

/** The operation that a command became; operations are in the order of their commands. */
static uint32_t find_operation(const struct segue_shapes_work *work, uint32_t command)
{
    uint32_t low = 0;
    uint32_t high = work->operation_count;
    while (low + 1 < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (work->commands[middle] <= command)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static bool copy_segue(struct segue_bench *bench, const struct segue_shapes_work *work,
                       segue_command_buffer *command_buffer, struct segue_shapes_graph *graph)
{
    struct segue_graph_view view;
    if (!segue_bench_check(bench, segue_command_buffer_get_graph(command_buffer,
                                                                 SEGUE_GRAPH_STAGE_GRAPH, &view)) ||
        !allocate(bench, graph, view.node_count, view.edge_count))
        return false;
    uint32_t edge = 0;
    for (uint32_t i = 0; i < view.node_count; i++) {
        const uint32_t command = view.nodes[i].command;
        (void)add_node(graph, command == SEGUE_NO_COMMAND ? SEGUE_SHAPES_JOIN_NODE
                                                          : find_operation(work, command));
        for (; edge < view.edge_count && view.edges[edge].to == i; edge++)
            add_edge(graph, view.edges[edge].from, (uint8_t)view.edges[edge].type);
    }
    return true;
}

bool segue_shapes_graph_create(struct segue_bench *bench, const struct segue_shapes_work *work,
                               segue_command_buffer *command_buffer,
                               enum segue_shapes_lowering lowering,
                               struct segue_shapes_graph *out_graph, const char **out_left_out)
{
    *out_graph = (struct segue_shapes_graph){0};
    switch (lowering) {
    case SEGUE_SHAPES_SEGUE:
    case SEGUE_SHAPES_UNHINTED:
        return copy_segue(bench, work, command_buffer, out_graph);
    case SEGUE_SHAPES_FORK_JOIN:
        return make_joins(bench, work, SEGUE_SHAPES_EMPTY_NODE, out_graph);
    case SEGUE_SHAPES_JOIN_KERNEL:
        return make_joins(bench, work, SEGUE_SHAPES_JOIN_NODE, out_graph);
    case SEGUE_SHAPES_ALL_TO_ALL:
        return make_all_to_all(bench, work, out_graph, out_left_out);
    default:
        return make_chain(bench, work, out_graph);
    }
}

void segue_shapes_graph_destroy(struct segue_shapes_graph *graph)
{
    free(graph->operations);
    free(graph->first);
    free(graph->dependencies);
    free(graph->types);
    *graph = (struct segue_shapes_graph){0};
}
