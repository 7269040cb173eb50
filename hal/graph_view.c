// SPDX-License-Identifier: Apache-2.0
#include "graph_view.h"

#include "command_buffer.h"
#include "cost.h"
#include "depend.h"
#include "device.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/** A view under construction: first its size is found, then one block is filled in. */
struct builder {
    segue_command_buffer *command_buffer;
    const struct segue_recording *recording;
    /** The command buffer's, as the graph was ordered: slots that overlap are not distinct. */
    uint32_t flags;
    const struct segue_segment **segments;
    struct segue_graph_node *nodes;
    struct segue_graph_edge *edges;
    /** Per lane: its last node so far. */
    uint32_t *last_on_lane;
    char *labels;
    uint32_t lane_count;
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
    size_t segments_bytes = builder->node_count * sizeof *builder->segments;
    size_t nodes_bytes = builder->node_count * sizeof *builder->nodes;
    size_t edges_bytes = builder->edge_count * sizeof *builder->edges;
    size_t lanes_bytes = builder->lane_count * sizeof *builder->last_on_lane;
    builder->memory_bytes =
        segments_bytes + nodes_bytes + edges_bytes + lanes_bytes + builder->labels_bytes + 1;
    builder->memory = segue_allocate(&command_buffer->device->allocator, builder->memory_bytes);
    if (!builder->memory)
        return out_of_memory(command_buffer);
    builder->segments = builder->memory;
    builder->nodes = (struct segue_graph_node *)((char *)builder->memory + segments_bytes);
    builder->edges = (struct segue_graph_edge *)((char *)builder->nodes + nodes_bytes);
    builder->last_on_lane = (uint32_t *)((char *)builder->edges + edges_bytes);
    builder->labels = (char *)builder->last_on_lane + lanes_bytes;
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

/** Why an edge is there, but for lanes. */
static uint32_t find_reasons(const struct builder *builder, const struct segue_graph_edge *edge)
{
    const struct segue_segment *from = builder->segments[edge->from];
    const struct segue_segment *to = builder->segments[edge->to];
    if (!from || !to)
        return SEGUE_GRAPH_REASON_JOIN;
    return segue_graph_conflict_reasons(from, to, builder->flags);
}

/** Says of each edge why it is there. They are sorted, and nodes are in order of creation. */
static void explain_edges(struct builder *builder)
{
    const bool keeps_barriers =
        (builder->command_buffer->flags & SEGUE_COMMAND_BUFFER_BARRIER_ORDER) != 0;
    size_t next = 0;
    for (uint32_t lane = 0; lane < builder->lane_count; lane++)
        builder->last_on_lane[lane] = UINT32_MAX;
    for (uint32_t i = 0; i < builder->node_count; i++) {
        const uint32_t lane = builder->nodes[i].lane;
        const uint32_t before =
            lane < builder->lane_count ? builder->last_on_lane[lane] : UINT32_MAX;
        for (; next < builder->edge_count && builder->edges[next].to == i; next++) {
            struct segue_graph_edge *edge = &builder->edges[next];
            edge->reasons = find_reasons(builder, edge);
            if (edge->from == before)
                edge->reasons |= SEGUE_GRAPH_REASON_LANE;
            if (edge->reasons == 0)
                edge->reasons =
                    keeps_barriers ? SEGUE_GRAPH_REASON_BARRIER : SEGUE_GRAPH_REASON_IMPLIED;
        }
        if (lane < builder->lane_count)
            builder->last_on_lane[lane] = i;
    }
}

/** Hands the finished view to the command buffer, in place of the last one. */
static void keep_view(struct builder *builder, struct segue_graph_view *out_view)
{
    segue_command_buffer *command_buffer = builder->command_buffer;
    if (builder->edge_count > 1)
        qsort(builder->edges, builder->edge_count, sizeof *builder->edges, compare_edges);
    explain_edges(builder);
    segue_release(&command_buffer->device->allocator, command_buffer->view_memory,
                  command_buffer->view_memory_bytes);
    command_buffer->view_flags = builder->flags;
    command_buffer->view_memory = builder->memory;
    command_buffer->view_memory_bytes = builder->memory_bytes;
    command_buffer->view = (struct segue_graph_view){
        .nodes = builder->nodes,
        .node_count = (uint32_t)builder->node_count,
        .edges = builder->edges,
        .edge_count = (uint32_t)builder->edge_count,
        .lane_count = builder->lane_count,
    };
    command_buffer->view_segments = builder->segments;
    *out_view = command_buffer->view;
}

/** Adds (or, without memory, counts) a node: a command, or NULL for a join. */
static void add_node(struct builder *builder, const struct segue_segment *segment,
                     enum segue_graph_node_type type, uint32_t lane)
{
    const segue_device *device = builder->command_buffer->device;
    if (builder->memory) {
        builder->segments[builder->node_count] = segment;
        builder->nodes[builder->node_count] = (struct segue_graph_node){
            .command = segment ? segment->index : SEGUE_NO_COMMAND,
            .type = type,
            .label = add_label(builder, segment),
            .lane = lane,
            .duration_ns = segment ? segue_work_cost(&device->cost_model, segment).duration_ns : 0,
        };
    } else {
        builder->labels_bytes += label_bytes(builder->recording, segment);
    }
    builder->node_count++;
}

static void add_edge(struct builder *builder, uint32_t from, uint32_t to,
                     enum segue_graph_edge_type type)
{
    if (builder->memory)
        builder->edges[builder->edge_count] =
            (struct segue_graph_edge){.from = from, .to = to, .type = type};
    builder->edge_count++;
}

/** What listing the edges of the dependencies takes, per node of theirs. */
struct scratch {
    /** Its node in the view. */
    uint32_t *view_nodes;
    /** 1 + the last command that has looked at it. */
    uint32_t *seen;
    /** Order nodes still to be looked into. */
    uint32_t *pending;
};

/** Adds an edge to a command's node from each command that it waits for, through however many
 *  order nodes. */
static void add_command_edges(struct builder *builder, const struct segue_depend *depend,
                              uint32_t index, const struct scratch *scratch)
{
    uint32_t pending_count = 0;
    uint32_t next = index;
    for (;;) {
        const struct segue_depend_node *node = &depend->nodes[next];
        for (uint32_t i = 0; i < node->predecessor_count; i++) {
            uint32_t from = depend->predecessors[node->first_predecessor + i];
            if (scratch->seen[from] == index + 1)
                continue;
            scratch->seen[from] = index + 1;
            if (depend->nodes[from].segment)
                add_edge(builder, scratch->view_nodes[from], scratch->view_nodes[index],
                         SEGUE_GRAPH_EDGE_FULL);
            else
                scratch->pending[pending_count++] = from;
        }
        if (pending_count == 0)
            return;
        next = scratch->pending[--pending_count];
    }
}

/** Adds all dependencies. */
static void add_dependencies(struct builder *builder, const struct segue_depend *depend,
                             const struct scratch *scratch)
{
    memset(scratch->seen, 0, depend->node_count * sizeof *scratch->seen);
    for (uint32_t i = 0; i < depend->node_count; i++) {
        const struct segue_segment *segment = depend->nodes[i].segment;
        if (!segment)
            continue;
        scratch->view_nodes[i] = (uint32_t)builder->node_count;
        add_node(builder, segment, work_type(segment), SEGUE_NO_LANE);
        add_command_edges(builder, depend, i, scratch);
    }
}

static segue_status describe_dag(struct builder *builder, struct segue_graph_view *out_view)
{
    const struct segue_depend_options options = {.flags = builder->command_buffer->flags};
    struct segue_depend depend = {0};
    segue_status status = segue_depend_build(builder->recording, &options, &depend);
    if (status != SEGUE_OK)
        return status;
    const size_t count = depend.node_count;
    const size_t scratch_bytes = (3 * count + 1) * sizeof(uint32_t);
    uint32_t *memory = segue_allocate(depend.allocator, scratch_bytes);
    struct scratch scratch = {0};
    if (memory) {
        scratch = (struct scratch){memory, memory + count, memory + 2 * count};
        add_dependencies(builder, &depend, &scratch);
        status = allocate_view(builder);
    } else {
        status = out_of_memory(builder->command_buffer);
    }
    if (status == SEGUE_OK) {
        add_dependencies(builder, &depend, &scratch);
        keep_view(builder, out_view);
    }
    segue_release(depend.allocator, memory, scratch_bytes);
    segue_depend_finish(&depend);
    return status;
}

/** Adds all of a plan. */
static void add_plan(struct builder *builder, const struct segue_plan *plan, const uint8_t *types)
{
    builder->lane_count = plan->lane_count;
    for (uint32_t i = 0; i < plan->node_count; i++) {
        const struct segue_plan_node *node = &plan->nodes[i];
        add_node(builder, node->segment, (enum segue_graph_node_type)types[i], node->lane);
        for (uint32_t k = 0; k < node->dependency_count; k++)
            add_edge(builder, plan->dependencies[node->first_dependency + k], i,
                     segue_plan_dependency_type(plan, node, k));
    }
}

/** Describes what a program was made from: its plan, made anew rather than kept. */
static segue_status describe_program(struct builder *builder, struct segue_program *program,
                                     struct segue_graph_view *out_view)
{
    const segue_command_buffer *command_buffer = builder->command_buffer;
    struct segue_backend *backend = command_buffer->device->backend;
    if (program->aliases.count != 0)
        builder->flags &= ~(uint32_t)SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT;
    const struct segue_plan_options options = {.aliases = &program->aliases};
    struct segue_plan plan;
    segue_status status = backend->ops->program_plan
                              ? backend->ops->program_plan(backend, program->backend, &plan)
                              : segue_plan_build_with(builder->recording, SEGUE_EXECUTION_GRAPH,
                                                      command_buffer->order_seed, &options, &plan);
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
        .flags = command_buffer->flags,
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
