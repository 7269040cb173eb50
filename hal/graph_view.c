// SPDX-License-Identifier: Apache-2.0
#include "command_buffer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/** A view under construction: first its size is found, then one block is filled in. */
struct builder {
    segue_command_buffer *command_buffer;
    const struct segue_recording *recording;
    struct segue_graph_node *nodes;
    struct segue_graph_edge *edges;
    char *labels;
    size_t node_count;
    size_t edge_count;
    size_t labels_bytes;
    void *memory;
    size_t memory_bytes;
};

static segue_status out_of_memory(const segue_command_buffer *command_buffer)
{
    return segue_fail(command_buffer->device, SEGUE_OUT_OF_HOST_MEMORY,
                      "command buffer \"%s\": no memory to describe its graph",
                      command_buffer->label);
}

/** A command's name; that of a join for NULL. */
static const char *node_name(const struct segue_segment *segment)
{
    if (!segment)
        return "join";
    switch (segment->kind) {
    case SEGUE_COMMAND_FILL:
        return "fill";
    case SEGUE_COMMAND_UPDATE:
        return "update";
    case SEGUE_COMMAND_COPY:
        return "copy";
    default: {
        const struct segue_dispatch_segment *dispatch =
            (const struct segue_dispatch_segment *)segment;
        return dispatch->executable->entries[dispatch->entry_point].declared.name;
    }
    }
}

static enum segue_graph_node_type work_type(const struct segue_segment *segment)
{
    switch (segment->kind) {
    case SEGUE_COMMAND_FILL:
        return SEGUE_GRAPH_NODE_MEMSET;
    case SEGUE_COMMAND_UPDATE:
    case SEGUE_COMMAND_COPY:
        return SEGUE_GRAPH_NODE_MEMCPY;
    default:
        return SEGUE_GRAPH_NODE_KERNEL;
    }
}

static uint32_t group_of(const struct segue_segment *segment)
{
    return segment ? segment->group : SEGUE_NO_GROUP;
}

/** Size of "group/path/name" with its zero. */
static size_t label_bytes(const struct segue_recording *recording,
                          const struct segue_segment *segment)
{
    size_t path = segue_recording_group_path(recording, group_of(segment), NULL, 0);
    return path + (path != 0) + strlen(node_name(segment)) + 1;
}

/** Writes it at the end of the labels. Their size was counted before. */
static const char *add_label(struct builder *builder, const struct segue_segment *segment)
{
    char *label = builder->labels + builder->labels_bytes;
    size_t name_bytes = strlen(node_name(segment)) + 1;
    size_t size_bytes = label_bytes(builder->recording, segment);
    size_t path =
        segue_recording_group_path(builder->recording, group_of(segment), label, size_bytes);
    if (path != 0)
        label[path++] = '/';
    memcpy(label + path, node_name(segment), name_bytes);
    builder->labels_bytes += size_bytes;
    return label;
}

/** One block for everything that was counted; counts begin anew. */
static segue_status allocate_view(struct builder *builder)
{
    const segue_command_buffer *command_buffer = builder->command_buffer;
    if (builder->node_count > UINT32_MAX || builder->edge_count > UINT32_MAX)
        return segue_fail(command_buffer->device, SEGUE_OUT_OF_RANGE,
                          "command buffer \"%s\": a graph of %zu nodes and %zu edges is too large "
                          "to be described",
                          command_buffer->label, builder->node_count, builder->edge_count);
    size_t nodes_bytes = builder->node_count * sizeof *builder->nodes;
    size_t edges_bytes = builder->edge_count * sizeof *builder->edges;
    builder->memory_bytes = nodes_bytes + edges_bytes + builder->labels_bytes + 1;
    builder->memory = segue_allocate(&command_buffer->device->allocator, builder->memory_bytes);
    if (!builder->memory)
        return out_of_memory(command_buffer);
    builder->nodes = builder->memory;
    builder->edges = (struct segue_graph_edge *)((char *)builder->memory + nodes_bytes);
    builder->labels = (char *)builder->memory + nodes_bytes + edges_bytes;
    builder->node_count = 0;
    builder->edge_count = 0;
    builder->labels_bytes = 0;
    return SEGUE_OK;
}

static int compare_edges(const void *left, const void *right)
{
    const struct segue_graph_edge *a = left;
    const struct segue_graph_edge *b = right;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    return (a->from > b->from) - (a->from < b->from);
}

/** Hands the finished view to the command buffer, in place of the last one. */
static void keep_view(struct builder *builder, struct segue_graph_view *out_view)
{
    segue_command_buffer *command_buffer = builder->command_buffer;
    if (builder->edge_count > 1)
        qsort(builder->edges, builder->edge_count, sizeof *builder->edges, compare_edges);
    segue_release(&command_buffer->device->allocator, command_buffer->view_memory,
                  command_buffer->view_memory_bytes);
    command_buffer->view_memory = builder->memory;
    command_buffer->view_memory_bytes = builder->memory_bytes;
    command_buffer->view = (struct segue_graph_view){
        .nodes = builder->nodes,
        .node_count = (uint32_t)builder->node_count,
        .edges = builder->edges,
        .edge_count = (uint32_t)builder->edge_count,
    };
    *out_view = command_buffer->view;
}

/** Adds (or, without memory, counts) a node: a command, or NULL for a join. */
static void add_node(struct builder *builder, const struct segue_segment *segment,
                     enum segue_graph_node_type type)
{
    if (builder->memory)
        builder->nodes[builder->node_count] = (struct segue_graph_node){
            .command = segment ? segment->index : SEGUE_NO_COMMAND,
            .type = type,
            .label = add_label(builder, segment),
        };
    else
        builder->labels_bytes += label_bytes(builder->recording, segment);
    builder->node_count++;
}

static void add_edge(struct builder *builder, uint32_t from, uint32_t to)
{
    if (builder->memory)
        builder->edges[builder->edge_count] = (struct segue_graph_edge){
            .from = from,
            .to = to,
            .type = SEGUE_GRAPH_EDGE_FULL,
        };
    builder->edge_count++;
}

/** Adds an edge to a command's node from each command that comes right
 *  before it. `view_nodes` gives the node of a dag node; `seen` who last had an edge from it. */
static void add_command_edges(struct builder *builder, const struct segue_dag *dag, size_t index,
                              const uint32_t *view_nodes, uint32_t *seen)
{
    const struct segue_dag_node *command = &dag->nodes[index];
    uint64_t implied = segue_dag_implied(dag, command);
    for (uint32_t i = 0; i < command->predecessor_count; i++) {
        uint32_t order_index = dag->predecessors[command->first_predecessor + i];
        const struct segue_dag_node *order_node = &dag->nodes[order_index];
        for (uint32_t k = 0; k < order_node->predecessor_count; k++) {
            uint32_t from = dag->predecessors[order_node->first_predecessor + k];
            if ((dag->nodes[from].into & implied) != 0 || seen[from] == index)
                continue;
            seen[from] = (uint32_t)index;
            add_edge(builder, view_nodes[from], view_nodes[index]);
        }
    }
}

/** Adds all of a dag. */
static void add_dag(struct builder *builder, const struct segue_dag *dag, uint32_t *view_nodes,
                    uint32_t *seen)
{
    // No command follows itself: index 0 is nobody's successor.
    memset(seen, 0, dag->node_count * sizeof *seen);
    for (size_t i = 0; i < dag->node_count; i++) {
        const struct segue_segment *segment = dag->nodes[i].segment;
        if (!segment)
            continue;
        view_nodes[i] = (uint32_t)builder->node_count;
        add_node(builder, segment, work_type(segment));
        add_command_edges(builder, dag, i, view_nodes, seen);
    }
}

static segue_status describe_dag(struct builder *builder, struct segue_graph_view *out_view)
{
    struct segue_dag dag;
    segue_status status = segue_dag_build(builder->recording, &dag);
    if (status != SEGUE_OK)
        return status;
    size_t scratch_bytes = (2 * dag.node_count + 1) * sizeof(uint32_t);
    uint32_t *scratch = segue_allocate(dag.allocator, scratch_bytes);
    if (scratch) {
        add_dag(builder, &dag, scratch, scratch + dag.node_count);
        status = allocate_view(builder);
    } else {
        status = out_of_memory(builder->command_buffer);
    }
    if (status == SEGUE_OK) {
        add_dag(builder, &dag, scratch, scratch + dag.node_count);
        keep_view(builder, out_view);
    }
    segue_release(dag.allocator, scratch, scratch_bytes);
    segue_dag_finish(&dag);
    return status;
}

/** Adds all of a plan. */
static void add_plan(struct builder *builder, const struct segue_plan *plan, const uint8_t *types)
{
    for (uint32_t i = 0; i < plan->node_count; i++) {
        const struct segue_plan_node *node = &plan->nodes[i];
        add_node(builder, node->segment, (enum segue_graph_node_type)types[i]);
        for (uint32_t k = 0; k < node->dependency_count; k++)
            add_edge(builder, plan->dependencies[node->first_dependency + k], i);
    }
}

/** Describes what a program was made from: its plan, made anew rather than kept. */
static segue_status describe_program(struct builder *builder, struct segue_program *program,
                                     struct segue_graph_view *out_view)
{
    const segue_command_buffer *command_buffer = builder->command_buffer;
    struct segue_backend *backend = command_buffer->device->backend;
    struct segue_plan plan;
    segue_status status = segue_plan_build(builder->recording, SEGUE_EXECUTION_GRAPH,
                                           command_buffer->order_seed, &plan);
    if (status != SEGUE_OK)
        return status;
    const uint8_t *types = backend->ops->program_node_types(backend, program->backend);
    add_plan(builder, &plan, types);
    status = allocate_view(builder);
    if (status == SEGUE_OK) {
        add_plan(builder, &plan, types);
        keep_view(builder, out_view);
    }
    segue_plan_finish(&plan);
    return status;
}

static segue_status describe_graph(struct builder *builder, struct segue_graph_view *out_view)
{
    segue_command_buffer *command_buffer = builder->command_buffer;
    segue_device *device = command_buffer->device;
    if (command_buffer->resolved_mode == SEGUE_EXECUTION_STREAM)
        return segue_fail(
            device, SEGUE_INVALID_STATE,
            "command buffer \"%s\" runs in stream mode and has no graph; create it with "
            "SEGUE_EXECUTION_GRAPH",
            command_buffer->label);
    // A submission with another table may replace the program.
    pthread_mutex_lock(&device->submission_lock);
    struct segue_program *program = command_buffer->program;
    if (program)
        segue_program_retain(program);
    pthread_mutex_unlock(&device->submission_lock);
    if (!program)
        return segue_fail(
            device, SEGUE_INVALID_STATE,
            "command buffer \"%s\" has slots and no graph before it is submitted; submit "
            "it first",
            command_buffer->label);

    segue_status status = describe_program(builder, program, out_view);
    segue_program_release(program);
    return status;
}

segue_status segue_command_buffer_get_graph(segue_command_buffer *command_buffer,
                                            enum segue_graph_stage stage,
                                            struct segue_graph_view *out_view)
{
    if (!command_buffer || !out_view)
        return segue_fail(command_buffer ? command_buffer->device : NULL, SEGUE_INVALID_ARGUMENT,
                          "segue_command_buffer_get_graph: %s is NULL",
                          command_buffer ? "out_view" : "command_buffer");
    if (command_buffer->state != SEGUE_STATE_ENDED)
        return segue_fail(command_buffer->device, SEGUE_INVALID_STATE,
                          "segue_command_buffer_get_graph: command buffer \"%s\" has not ended "
                          "well; end it first",
                          command_buffer->label);
    struct builder builder = {
        .command_buffer = command_buffer,
        .recording = command_buffer->recording,
    };
    switch (stage) {
    case SEGUE_GRAPH_STAGE_DAG:
        return describe_dag(&builder, out_view);
    case SEGUE_GRAPH_STAGE_GRAPH:
        return describe_graph(&builder, out_view);
    }
    return segue_fail(command_buffer->device, SEGUE_INVALID_ARGUMENT,
                      "segue_command_buffer_get_graph: there is no stage %d; use a value of "
                      "segue_graph_stage",
                      (int)stage);
}
