// SPDX-License-Identifier: Apache-2.0
#include "shape.h"

#include "order.h"

#include <inttypes.h>
#include <string.h>

/** Steps into which the longest path is divided for sorting. */
#define SORT_BITS 16

segue_status segue_shape_out_of_memory(const struct segue_recording *recording)
{
    return segue_fail(recording->device, SEGUE_OUT_OF_HOST_MEMORY,
                      "command buffer \"%s\": no memory for the shape of its %" PRIu32 " commands",
                      recording->label, recording->command_count);
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/** Commands that a node waits for, as far as they can be counted in passing. */
static uint32_t count_fan_in(const struct segue_depend *depend,
                             const struct segue_depend_node *node)
{
    uint32_t fan_in = 0;
    for (uint32_t i = 0; i < node->predecessor_count; i++) {
        const struct segue_depend_node *predecessor =
            &depend->nodes[depend->predecessors[node->first_predecessor + i]];
        uint32_t count = predecessor->segment ? 1 : predecessor->predecessor_count;
        fan_in = count < UINT32_MAX - fan_in ? fan_in + count : UINT32_MAX;
    }
    return fan_in;
}

/** Finds level and duration of each node, and sums up the levels. Levels has room for one more than
 *  there are commands. */
static void measure(struct segue_shape *shape)
{
    const struct segue_depend *depend = shape->depend;
    for (size_t i = 0; i < depend->node_count; i++) {
        const struct segue_depend_node *node = &depend->nodes[i];
        uint32_t level = 0;
        for (uint32_t k = 0; k < node->predecessor_count; k++) {
            uint32_t predecessor = depend->predecessors[node->first_predecessor + k];
            uint32_t below = shape->nodes[predecessor].level;
            if (node->segment)
                below++;
            level = larger(level, below);
        }
        shape->nodes[i] = (struct segue_shape_node){.level = level, .frontier = SEGUE_NO_FRONTIER};
        if (node->predecessor_count > 1)
            shape->list_users[node->first_predecessor]++;
        if (!node->segment)
            continue;
        struct segue_work_cost cost = segue_work_cost(shape->options->model, node->segment);
        shape->nodes[i].duration_ns = cost.duration_ns;
        struct segue_shape_level *sums = &shape->levels[level];
        if (level >= shape->level_count) {
            shape->level_count = (size_t)level + 1;
            *sums = (struct segue_shape_level){.width = 0};
        }
        sums->width++;
        shape->root_count += node->predecessor_count == 0;
        sums->fan_in += count_fan_in(depend, node);
        sums->work_ns += cost.duration_ns;
        sums->area_ns += (uint64_t)cost.duration_ns * cost.share / SEGUE_WHOLE_DEVICE;
    }
}

/** Counts the lists of predecessors that each command is in. One that several share is made one
 *  frontier later, and counts once. */
static void count_lists(struct segue_shape *shape)
{
    const struct segue_depend *depend = shape->depend;
    uint32_t last = UINT32_MAX;
    for (size_t i = 0; i < depend->node_count; i++) {
        const struct segue_depend_node *node = &depend->nodes[i];
        bool shared = node->predecessor_count > 1 && shape->list_users[node->first_predecessor] > 1;
        if (shared && last == node->first_predecessor)
            continue;
        last = node->first_predecessor;
        for (uint32_t k = 0; k < node->predecessor_count; k++)
            shape->nodes[depend->predecessors[node->first_predecessor + k]].fan_out++;
    }
}

/** Finds the longest path from each node to the end. Returns the longest of all. */
static uint64_t rank(struct segue_shape *shape)
{
    const struct segue_depend *depend = shape->depend;
    uint64_t node_ns = shape->options->model->node_ns;
    uint64_t longest_ns = 0;
    for (size_t i = depend->node_count; i-- > 0;) {
        const struct segue_depend_node *node = &depend->nodes[i];
        if (node->segment)
            shape->nodes[i].time_ns += node_ns + shape->nodes[i].duration_ns;
        uint64_t path_ns = shape->nodes[i].time_ns;
        longest_ns = path_ns > longest_ns ? path_ns : longest_ns;
        for (uint32_t k = 0; k < node->predecessor_count; k++) {
            struct segue_shape_node *before =
                &shape->nodes[depend->predecessors[node->first_predecessor + k]];
            before->time_ns = path_ns > before->time_ns ? path_ns : before->time_ns;
        }
    }
    return longest_ns;
}

/** Sorts the nodes by falling rank. Ranks are cut to SORT_BITS, and equal ones stay in order: a
 *  node stays behind its predecessors, whose ranks are no smaller. */
static segue_status sort_by_rank(struct segue_shape *shape, uint64_t longest_ns)
{
    size_t count = shape->depend->node_count;
    uint32_t shift = 0;
    while (longest_ns >> shift >= 1u << SORT_BITS)
        shift++;
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++)
        sorted = shape->nodes[i].time_ns >> shift <= shape->nodes[i - 1].time_ns >> shift;
    if (sorted)
        return SEGUE_OK;

    const struct segue_allocator *allocator = shape->plan->allocator;
    size_t step_count = (size_t)(longest_ns >> shift) + 1;
    uint32_t *firsts = segue_allocate_zeroed(allocator, step_count, sizeof *firsts);
    shape->order = segue_allocate(allocator, count * sizeof *shape->order);
    if (!firsts || !shape->order) {
        segue_release(allocator, firsts, step_count * sizeof *firsts);
        return segue_shape_out_of_memory(shape->recording);
    }
    for (size_t i = 0; i < count; i++)
        firsts[shape->nodes[i].time_ns >> shift]++;
    uint32_t sum = 0;
    for (size_t step = step_count; step-- > 0;) {
        uint32_t here = firsts[step];
        firsts[step] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++)
        shape->order[firsts[shape->nodes[i].time_ns >> shift]++] = (uint32_t)i;
    segue_release(allocator, firsts, step_count * sizeof *firsts);
    return SEGUE_OK;
}

/** Whether a node is a kernel of the caller's, launched as such. */
static bool is_dispatch(const struct segue_plan_node *node)
{
    return node->segment && node->segment->kind == SEGUE_COMMAND_DISPATCH;
}

static bool waits_for_grids(const struct segue_plan_node *node)
{
    if (!is_dispatch(node))
        return false;
    const struct segue_dispatch_segment *dispatch =
        (const struct segue_dispatch_segment *)node->segment;
    const struct segue_entry *entry = &dispatch->executable->entries[dispatch->entry_point];
    return (entry->declared.flags & SEGUE_ENTRY_GRID_DEPENDENCY) != 0;
}

/** Makes the edges into kernels that wait for the grids before them programmatic, where all of
 *  these are kernels. What comes before those is waited for, too: whoever may start early waits
 *  itself, and so does not end before it. */
static segue_status mark_programmatic(struct segue_shape *shape)
{
    struct segue_plan *plan = shape->plan;
    for (size_t i = 0; i < plan->node_count; i++) {
        const struct segue_plan_node *node = &plan->nodes[i];
        bool programmatic = node->dependency_count != 0 && waits_for_grids(node);
        for (uint32_t k = 0; k < node->dependency_count && programmatic; k++)
            programmatic =
                is_dispatch(&plan->nodes[plan->dependencies[node->first_dependency + k]]);
        if (!programmatic)
            continue;
        if (!plan->dependency_types) {
            plan->dependency_types =
                segue_allocate_zeroed(plan->allocator, plan->dependency_count, 1);
            if (!plan->dependency_types)
                return segue_shape_out_of_memory(shape->recording);
        }
        memset(plan->dependency_types + node->first_dependency, SEGUE_GRAPH_EDGE_PROGRAMMATIC,
               node->dependency_count);
    }
    return SEGUE_OK;
}

/** On one lane every node follows the one before it. */
static segue_status chain(struct segue_shape *shape)
{
    struct segue_plan *plan = shape->plan;
    for (size_t i = 0; i < shape->depend->node_count; i++) {
        const struct segue_segment *segment = shape->depend->nodes[i].segment;
        if (!segment)
            continue;
        uint32_t self = (uint32_t)plan->node_count;
        plan->nodes[plan->node_count++] = (struct segue_plan_node){
            .segment = segment,
            .first_dependency = (uint32_t)plan->dependency_count,
            .dependency_count = self > 0,
        };
        if (self > 0)
            plan->dependencies[plan->dependency_count++] = self - 1;
    }
    plan->edge_count = plan->dependency_count;
    return SEGUE_OK;
}

static segue_status build(struct segue_shape *shape)
{
    measure(shape);
    segue_status status = SEGUE_OK;
    if (shape->options->order_seed != 0) {
        // Lanes order commands that need no order, and so hide edges that are missing.
        shape->lane_count = shape->depend->command_count < SEGUE_MAX_LANES
                                ? shape->depend->command_count
                                : SEGUE_MAX_LANES;
        for (size_t i = 0; i < shape->level_count; i++)
            shape->levels[i].lane_limit = shape->lane_count;
        shape->order = segue_order_create(shape->depend, shape->options->order_seed);
        if (!shape->order)
            status = segue_shape_out_of_memory(shape->recording);
    } else {
        shape->lane_count =
            segue_shape_choose_lanes(shape->options->model, shape->levels, shape->level_count);
        if (shape->lane_count > 1)
            status = sort_by_rank(shape, rank(shape));
    }
    count_lists(shape);
    if (status == SEGUE_OK)
        status = shape->lane_count > 1 ? segue_shape_place(shape) : chain(shape);
    if (status == SEGUE_OK && shape->options->programmatic_edges)
        status = mark_programmatic(shape);
    shape->plan->lane_count = shape->lane_count;
    return status;
}

segue_status segue_shape_build(const struct segue_recording *recording,
                               const struct segue_depend *depend,
                               const struct segue_shape_options *options,
                               struct segue_plan *out_plan)
{
    const struct segue_allocator *allocator = &recording->device->allocator;
    struct segue_plan plan = {.allocator = allocator};
    size_t count = depend->node_count;
    if (count == 0) {
        *out_plan = plan;
        return SEGUE_OK;
    }
    struct segue_shape shape = {
        .recording = recording,
        .depend = depend,
        .options = options,
        .plan = &plan,
    };
    size_t command_count = depend->command_count;
    segue_status status = SEGUE_OK;
    shape.nodes = segue_allocate(allocator, count * sizeof *shape.nodes);
    shape.levels = segue_allocate(allocator, command_count * sizeof *shape.levels);
    size_t list_count = depend->predecessor_count + 1;
    shape.list_users = segue_allocate_zeroed(allocator, list_count, sizeof *shape.list_users);
    // Room for one dependency each; what joins and wide scopes need is grown.
    if (!shape.nodes || !shape.levels || !shape.list_users ||
        !segue_grow(allocator, (void **)&plan.nodes, &plan.node_capacity, command_count,
                    sizeof *plan.nodes) ||
        !segue_grow(allocator, (void **)&plan.dependencies, &plan.dependency_capacity,
                    command_count, sizeof *plan.dependencies))
        status = segue_shape_out_of_memory(recording);
    if (status == SEGUE_OK)
        status = build(&shape);
    segue_release(allocator, shape.order, count * sizeof *shape.order);
    segue_release(allocator, shape.list_users, list_count * sizeof *shape.list_users);
    segue_release(allocator, shape.levels, command_count * sizeof *shape.levels);
    segue_release(allocator, shape.nodes, count * sizeof *shape.nodes);
    if (status == SEGUE_OK)
        *out_plan = plan;
    else
        segue_plan_finish(&plan);
    return status;
}
