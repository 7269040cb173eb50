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

static const char *work_name(const struct segue_segment *segment)
{
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

/** Size of "group/path/name" with its zero. */
static size_t label_bytes(const struct segue_recording *recording,
                          const struct segue_segment *segment)
{
    size_t path = segue_recording_group_path(recording, segment->group, NULL, 0);
    return path + (path != 0) + strlen(work_name(segment)) + 1;
}

/** Writes it at the end of the labels. Their size was counted before. */
static const char *add_label(struct builder *builder, const struct segue_segment *segment)
{
    char *label = builder->labels + builder->labels_bytes;
    size_t name_bytes = strlen(work_name(segment)) + 1;
    size_t size_bytes = label_bytes(builder->recording, segment);
    size_t path = segue_recording_group_path(builder->recording, segment->group, label, size_bytes);
    if (path != 0)
        label[path++] = '/';
    memcpy(label + path, work_name(segment), name_bytes);
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

/** Adds (or, without memory, counts) an edge to a command's node from each command that comes right
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
            if (builder->memory)
                builder->edges[builder->edge_count] = (struct segue_graph_edge){
                    .from = view_nodes[from],
                    .to = view_nodes[index],
                    .type = SEGUE_GRAPH_EDGE_FULL,
                };
            builder->edge_count++;
        }
    }
}

/** Adds, or counts, all of a dag. */
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
        if (builder->memory) {
            builder->nodes[builder->node_count] = (struct segue_graph_node){
                .command = segment->index,
                .type = work_type(segment),
                .label = add_label(builder, segment),
            };
        } else {
            builder->labels_bytes += label_bytes(builder->recording, segment);
        }
        builder->node_count++;
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

/** Copies the backend's description, with labels for nodes that stand for a command. `segments` has
 *  the command of each index. */
static segue_status copy_graph(struct builder *builder, const struct segue_graph_view *source,
                               const struct segue_segment *const *segments,
                               struct segue_graph_view *out_view)
{
    builder->node_count = source->node_count;
    builder->edge_count = source->edge_count;
    for (uint32_t i = 0; i < source->node_count; i++) {
        const struct segue_graph_node *node = &source->nodes[i];
        if (node->command != SEGUE_NO_COMMAND)
            builder->labels_bytes += label_bytes(builder->recording, segments[node->command]);
        else
            builder->labels_bytes += (node->label ? strlen(node->label) : 0) + 1;
    }
    segue_status status = allocate_view(builder);
    if (status != SEGUE_OK)
        return status;
    for (uint32_t i = 0; i < source->node_count; i++) {
        struct segue_graph_node node = source->nodes[i];
        if (node.command != SEGUE_NO_COMMAND) {
            node.label = add_label(builder, segments[node.command]);
        } else {
            const char *label = node.label ? node.label : "";
            node.label = strcpy(builder->labels + builder->labels_bytes, label);
            builder->labels_bytes += strlen(label) + 1;
        }
        builder->nodes[i] = node;
    }
    if (source->edge_count != 0)
        memcpy(builder->edges, source->edges, source->edge_count * sizeof *builder->edges);
    builder->node_count = source->node_count;
    builder->edge_count = source->edge_count;
    keep_view(builder, out_view);
    return SEGUE_OK;
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

    struct segue_graph_view source;
    segue_status status =
        device->backend->ops->program_describe(device->backend, program->backend, &source);
    if (status != SEGUE_OK)
        goto release_program;
    size_t count = builder->recording->command_count;
    const struct segue_segment **segments =
        segue_allocate_zeroed(&device->allocator, count + 1, sizeof *segments);
    if (segments) {
        const struct segue_segment *segment = builder->recording->first;
        for (; segment; segment = segment->next)
            segments[segment->index] = segment;
        status = copy_graph(builder, &source, segments, out_view);
    } else {
        status = out_of_memory(command_buffer);
    }
    segue_release(&device->allocator, segments, (count + 1) * sizeof *segments);
release_program:
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
