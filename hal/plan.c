// SPDX-License-Identifier: Apache-2.0
#include "plan.h"

#include "depend.h"
#include "order.h"
#include "shape.h"

#include <inttypes.h>

static segue_status out_of_memory(const struct segue_recording *recording)
{
    return segue_fail(recording->device, SEGUE_OUT_OF_HOST_MEMORY,
                      "command buffer \"%s\": no memory to plan its %" PRIu32 " commands",
                      recording->label, recording->command_count);
}

/** Room for a node per command of a stream. */
static segue_status reserve(const struct segue_recording *recording, struct segue_plan *plan)
{
    plan->lane_count = recording->work_count > 0;
    if (segue_grow(plan->allocator, (void **)&plan->nodes, &plan->node_capacity,
                   recording->work_count, sizeof *plan->nodes))
        return SEGUE_OK;
    return out_of_memory(recording);
}

/** On one stream only the order counts, and the recorded one does: a barrier's
 * commands come before and after it. */
static segue_status list_recorded(const struct segue_recording *recording, struct segue_plan *plan)
{
    segue_status status = reserve(recording, plan);
    if (status != SEGUE_OK)
        return status;
    for (const struct segue_segment *segment = recording->first; segment; segment = segment->next) {
        if (segue_segment_is_work(segment))
            plan->nodes[plan->node_count++] = (struct segue_plan_node){.segment = segment};
    }
    return SEGUE_OK;
}

static segue_status list_randomly(const struct segue_recording *recording,
                                  const struct segue_depend *depend, uint64_t order_seed,
                                  struct segue_plan *plan)
{
    segue_status status = reserve(recording, plan);
    if (status != SEGUE_OK || depend->node_count == 0)
        return status;
    uint32_t *order = segue_order_create(depend, order_seed);
    if (!order)
        return out_of_memory(recording);
    for (size_t i = 0; i < depend->node_count; i++) {
        const struct segue_segment *segment = depend->nodes[order[i]].segment;
        if (segment)
            plan->nodes[plan->node_count++] = (struct segue_plan_node){.segment = segment};
    }
    segue_order_destroy(depend, order);
    return SEGUE_OK;
}

static segue_status build(const struct segue_recording *recording, enum segue_execution_mode mode,
                          uint64_t order_seed, const struct segue_plan_options *options,
                          struct segue_plan *plan)
{
    if (mode == SEGUE_EXECUTION_STREAM && order_seed == 0)
        return list_recorded(recording, plan);
    const struct segue_depend_options depend_options = {.flags = recording->flags,
                                                        .aliases = options->aliases};
    struct segue_depend depend = {0};
    segue_status status = segue_depend_build(recording, &depend_options, &depend);
    if (status != SEGUE_OK)
        return status;
    const struct segue_shape_options shape_options = {
        .model = &recording->device->cost_model,
        .order_seed = order_seed,
        .edge_limit = options->edge_limit,
        .programmatic_edges = recording->device->programmatic_edges,
    };
    if (mode == SEGUE_EXECUTION_STREAM)
        status = list_randomly(recording, &depend, order_seed, plan);
    else
        status = segue_shape_build(recording, &depend, &shape_options, plan);
    segue_depend_finish(&depend);
    return status;
}

segue_status segue_plan_build(const struct segue_recording *recording,
                              enum segue_execution_mode mode, uint64_t order_seed,
                              struct segue_plan *out_plan)
{
    const struct segue_plan_options options = {0};
    return segue_plan_build_with(recording, mode, order_seed, &options, out_plan);
}

segue_status segue_plan_build_with(const struct segue_recording *recording,
                                   enum segue_execution_mode mode, uint64_t order_seed,
                                   const struct segue_plan_options *options,
                                   struct segue_plan *out_plan)
{
    struct segue_plan plan = {.allocator = &recording->device->allocator};
    segue_status status = build(recording, mode, order_seed, options, &plan);
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
    segue_release(plan->allocator, plan->dependency_types, plan->dependency_count);
    *plan = (struct segue_plan){.allocator = plan->allocator};
}
