// SPDX-License-Identifier: Apache-2.0
#include "plan.h"

#include "order.h"

#include <inttypes.h>

/** An order node of m predecessors and n successors becomes m * n direct edges up to this, else a
 *  join. Measured: all-to-all edges of 8 by 8 launch faster than a join's two hops run, those of 64
 *  by 64 take a hundred milliseconds to instantiate. */
#define MAX_DIRECT_EDGES 64
#define NO_NODE UINT32_MAX

struct builder {
    const struct segue_recording *recording;
    const struct segue_dag *dag;
    struct segue_plan *plan;
    /** Per dag node: its plan node (commands, joins), NO_NODE until it has one. */
    uint32_t *plan_nodes;
    /** Per plan node: 1 + the plan node that last depended on it. */
    uint32_t *dependents;
    /** The last command with a single order node before it: that order node, and its plan node. */
    uint32_t shared_order_node;
    uint32_t sharer;
};

static segue_status out_of_memory(const struct segue_recording *recording)
{
    return segue_fail(recording->device, SEGUE_OUT_OF_HOST_MEMORY,
                      "command buffer \"%s\": no memory to plan its %" PRIu32 " commands",
                      recording->label, recording->command_count);
}

static segue_status add_node(struct builder *builder, const struct segue_segment *segment)
{
    struct segue_plan *plan = builder->plan;
    if (plan->edge_count > UINT32_MAX ||
        !segue_grow(plan->allocator, (void **)&plan->nodes, &plan->node_capacity,
                    plan->node_count + 1, sizeof *plan->nodes))
        return out_of_memory(builder->recording);
    plan->nodes[plan->node_count++] = (struct segue_plan_node){
        .segment = segment,
        .first_dependency = (uint32_t)plan->dependency_count,
    };
    return SEGUE_OK;
}

/** Makes the last plan node depend on another, unless it does already. */
static segue_status add_dependency(struct builder *builder, uint32_t dependency)
{
    struct segue_plan *plan = builder->plan;
    uint32_t self = (uint32_t)plan->node_count;
    if (builder->dependents[dependency] == self)
        return SEGUE_OK;
    builder->dependents[dependency] = self;
    if (!segue_grow(plan->allocator, (void **)&plan->dependencies, &plan->dependency_capacity,
                    plan->dependency_count + 1, sizeof *plan->dependencies))
        return out_of_memory(builder->recording);
    plan->dependencies[plan->dependency_count++] = dependency;
    plan->edge_count++;
    plan->nodes[plan->node_count - 1].dependency_count++;
    return SEGUE_OK;
}

/** Makes the last plan node depend on all predecessors of an order node, except those that lead to
 *  a partial barrier of `implied`. */
static segue_status depend_on_predecessors(struct builder *builder,
                                           const struct segue_dag_node *order_node,
                                           uint64_t implied)
{
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; i < order_node->predecessor_count && status == SEGUE_OK; i++) {
        uint32_t predecessor = builder->dag->predecessors[order_node->first_predecessor + i];
        if ((builder->dag->nodes[predecessor].into & implied) == 0)
            status = add_dependency(builder, builder->plan_nodes[predecessor]);
    }
    return status;
}

static bool is_join(const struct builder *builder, uint32_t order_node)
{
    uint64_t before = builder->dag->nodes[order_node].predecessor_count;
    uint64_t after = builder->dag->nodes[order_node].successor_count;
    return before > 1 && after > 1 && before * after > MAX_DIRECT_EDGES;
}

/** Makes the joins that a command waits for and that no earlier one waited for. */
static segue_status add_joins(struct builder *builder, const struct segue_dag_node *command)
{
    const struct segue_dag *dag = builder->dag;
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; i < command->predecessor_count && status == SEGUE_OK; i++) {
        uint32_t order_node = dag->predecessors[command->first_predecessor + i];
        if (builder->plan_nodes[order_node] != NO_NODE || !is_join(builder, order_node))
            continue;
        builder->plan_nodes[order_node] = (uint32_t)builder->plan->node_count;
        status = add_node(builder, NULL);
        if (status == SEGUE_OK)
            status = depend_on_predecessors(builder, &dag->nodes[order_node], 0);
    }
    return status;
}

/** Commands with the same single order node before them have the same dependencies: gives the last
 *  plan node, which is `command`, those of the one before it. False if that was another case. */
static bool share_dependencies(struct builder *builder, const struct segue_dag_node *command)
{
    if (command->predecessor_count != 1)
        return false;
    struct segue_plan *plan = builder->plan;
    struct segue_plan_node *node = &plan->nodes[plan->node_count - 1];
    uint32_t order_node = builder->dag->predecessors[command->first_predecessor];
    bool same = order_node == builder->shared_order_node;
    if (same) {
        node->first_dependency = plan->nodes[builder->sharer].first_dependency;
        node->dependency_count = plan->nodes[builder->sharer].dependency_count;
        plan->edge_count += node->dependency_count;
    }
    builder->shared_order_node = order_node;
    builder->sharer = (uint32_t)plan->node_count - 1;
    return same;
}

static segue_status add_command(struct builder *builder, uint32_t index)
{
    const struct segue_dag *dag = builder->dag;
    const struct segue_dag_node *command = &dag->nodes[index];
    segue_status status = add_joins(builder, command);
    if (status != SEGUE_OK)
        return status;
    builder->plan_nodes[index] = (uint32_t)builder->plan->node_count;
    status = add_node(builder, command->segment);
    if (status != SEGUE_OK || share_dependencies(builder, command))
        return status;
    uint64_t implied = segue_dag_implied(dag, command);
    for (uint32_t i = 0; i < command->predecessor_count && status == SEGUE_OK; i++) {
        uint32_t order_node = dag->predecessors[command->first_predecessor + i];
        uint32_t join = builder->plan_nodes[order_node];
        if (join != NO_NODE)
            status = add_dependency(builder, join);
        else
            status = depend_on_predecessors(builder, &dag->nodes[order_node], implied);
    }
    return status;
}

static segue_status build_graph(const struct segue_recording *recording,
                                const struct segue_dag *dag, const struct segue_order *order,
                                struct segue_plan *plan)
{
    size_t count = dag->node_count;
    // Room for all commands, with one dependency each; what joins and wide orders need is grown.
    size_t work_count = recording->work_count;
    uint32_t *scratch = segue_allocate_zeroed(dag->allocator, 2 * count + 1, sizeof *scratch);
    if (!scratch ||
        !segue_grow(plan->allocator, (void **)&plan->nodes, &plan->node_capacity, work_count,
                    sizeof *plan->nodes) ||
        !segue_grow(plan->allocator, (void **)&plan->dependencies, &plan->dependency_capacity,
                    work_count, sizeof *plan->dependencies)) {
        segue_release(dag->allocator, scratch, (2 * count + 1) * sizeof *scratch);
        return out_of_memory(recording);
    }
    struct builder builder = {
        .recording = recording,
        .dag = dag,
        .plan = plan,
        .plan_nodes = scratch,
        .dependents = scratch + count,
        .shared_order_node = NO_NODE,
    };
    for (size_t i = 0; i < count; i++)
        builder.plan_nodes[i] = NO_NODE;

    segue_status status = SEGUE_OK;
    for (size_t i = 0; i < order->count && status == SEGUE_OK; i++) {
        uint32_t index = segue_order_at(order, i);
        if (dag->nodes[index].segment)
            status = add_command(&builder, index);
    }
    segue_release(dag->allocator, scratch, (2 * count + 1) * sizeof *scratch);
    return status;
}

static segue_status build_stream(const struct segue_recording *recording,
                                 const struct segue_dag *dag, const struct segue_order *order,
                                 struct segue_plan *plan)
{
    if (!segue_grow(plan->allocator, (void **)&plan->nodes, &plan->node_capacity,
                    recording->work_count, sizeof *plan->nodes))
        return out_of_memory(recording);
    for (size_t i = 0; i < order->count; i++) {
        const struct segue_segment *segment = dag->nodes[segue_order_at(order, i)].segment;
        if (segment)
            plan->nodes[plan->node_count++] = (struct segue_plan_node){.segment = segment};
    }
    return SEGUE_OK;
}

segue_status segue_plan_build(const struct segue_recording *recording,
                              enum segue_execution_mode mode, uint64_t order_seed,
                              struct segue_plan *out_plan)
{
    struct segue_dag dag;
    segue_status status = segue_dag_build(recording, &dag);
    if (status != SEGUE_OK)
        return status;
    struct segue_order order;
    if (!segue_order_create(&dag, order_seed, &order)) {
        segue_dag_finish(&dag);
        return out_of_memory(recording);
    }
    struct segue_plan plan = {.allocator = &recording->device->allocator};
    if (mode == SEGUE_EXECUTION_STREAM)
        status = build_stream(recording, &dag, &order, &plan);
    else
        status = build_graph(recording, &dag, &order, &plan);
    segue_order_finish(&order);
    segue_dag_finish(&dag);
    if (status == SEGUE_OK)
        *out_plan = plan;
    else
        segue_plan_finish(&plan);
    return status;
}

void segue_plan_finish(struct segue_plan *plan)
{
    segue_release(plan->allocator, plan->nodes, plan->node_capacity * sizeof *plan->nodes);
    segue_release(plan->allocator, plan->dependencies,
                  plan->dependency_capacity * sizeof *plan->dependencies);
    *plan = (struct segue_plan){.allocator = plan->allocator};
}
