// SPDX-License-Identifier: Apache-2.0
#include "shape_edges.h"

#include <string.h>

segue_status segue_shape_edges_create(const struct segue_recording *recording,
                                      struct segue_plan *plan, uint32_t lane_count,
                                      struct segue_shape_edges *edges)
{
    edges->recording = recording;
    edges->plan = plan;
    edges->stride = lane_count;
    edges->count = 0;
    edges->clocks = NULL;
    edges->clock_capacity = 0;
    memset(edges->gathered, 0xFF, sizeof edges->gathered);
    if (segue_grow(plan->allocator, (void **)&edges->clocks, &edges->clock_capacity,
                   plan->node_capacity, edges->stride * sizeof *edges->clocks))
        return SEGUE_OK;
    return segue_shape_out_of_memory(recording);
}

void segue_shape_edges_finish(struct segue_shape_edges *edges)
{
    if (edges->clocks)
        segue_release(edges->plan->allocator, edges->clocks,
                      edges->clock_capacity * edges->stride * sizeof *edges->clocks);
    edges->clocks = NULL;
}

void segue_shape_edges_clear(struct segue_shape_edges *edges)
{
    for (uint32_t i = 0; i < edges->count; i++)
        edges->gathered[edges->lanes[i]] = SEGUE_NO_NODE;
    edges->count = 0;
}

/** The gathered nodes, the newest first. They come nearly sorted, so insertion does it. */
static void sort_gathered(struct segue_shape_edges *edges)
{
    for (uint32_t i = 0; i < edges->count; i++) {
        uint32_t node = edges->gathered[edges->lanes[i]];
        uint32_t at = i;
        for (; at > 0 && edges->kept[at - 1] < node; at--)
            edges->kept[at] = edges->kept[at - 1];
        edges->kept[at] = node;
    }
}

void segue_shape_edges_reduce(struct segue_shape_edges *edges)
{
    const struct segue_plan_node *nodes = edges->plan->nodes;
    uint32_t stride = edges->stride;
    edges->kept_count = 0;
    if (edges->count == 0) {
        memset(edges->known, 0, stride * sizeof *edges->known);
        return;
    }
    sort_gathered(edges);
    // A newer node may come after an older one, and never the other way round.
    const uint32_t *newest = edges->clocks + (size_t)edges->kept[0] * stride;
    memcpy(edges->known, newest, stride * sizeof *newest);
    edges->kept_count = 1;
    for (uint32_t i = 1; i < edges->count; i++) {
        uint32_t node = edges->kept[i];
        if (edges->known[nodes[node].lane] > node)
            continue;
        const uint32_t *clock = edges->clocks + (size_t)node * stride;
        for (uint32_t k = 0; k < stride; k++)
            edges->known[k] = clock[k] > edges->known[k] ? clock[k] : edges->known[k];
        edges->kept[edges->kept_count++] = node;
    }
}

segue_status segue_shape_edges_add(struct segue_shape_edges *edges,
                                   const struct segue_segment *segment, uint32_t lane)
{
    struct segue_plan *plan = edges->plan;
    uint32_t count = edges->kept_count;
    if (plan->dependency_count > UINT32_MAX - SEGUE_MAX_LANES ||
        !segue_grow(plan->allocator, (void **)&plan->nodes, &plan->node_capacity,
                    plan->node_count + 1, sizeof *plan->nodes) ||
        !segue_grow(plan->allocator, (void **)&plan->dependencies, &plan->dependency_capacity,
                    plan->dependency_count + count, sizeof *plan->dependencies) ||
        !segue_grow(plan->allocator, (void **)&edges->clocks, &edges->clock_capacity,
                    plan->node_count + 1, edges->stride * sizeof *edges->clocks))
        return segue_shape_out_of_memory(edges->recording);
    uint32_t self = (uint32_t)plan->node_count;
    uint32_t *dependencies = plan->dependencies + plan->dependency_count;
    // The lane's own first: the driver continues the stream of the first dependency.
    uint32_t filled = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = edges->kept[i];
        dependencies[filled++] = node;
        if (plan->nodes[node].lane == lane) {
            dependencies[filled - 1] = dependencies[0];
            dependencies[0] = node;
        }
    }
    plan->nodes[plan->node_count++] = (struct segue_plan_node){
        .segment = segment,
        .first_dependency = (uint32_t)plan->dependency_count,
        .dependency_count = count,
        .lane = lane,
    };
    plan->dependency_count += count;
    plan->edge_count += count;
    uint32_t *clock = edges->clocks + (size_t)self * edges->stride;
    memcpy(clock, edges->known, edges->stride * sizeof *clock);
    clock[lane] = self + 1;
    return SEGUE_OK;
}
