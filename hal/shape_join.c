// SPDX-License-Identifier: Apache-2.0
#include "shape_place.h"

#include <string.h>

/** Of the nodes kept the one that a join had better follow: the oldest of those that are the last
 *  of their lanes, so that the join waits for nothing else on that lane; not one of `taken` lanes.
 *  SEGUE_NO_LANE if there is none. */
static uint32_t find_lane(const struct segue_shape_placer *placer, const uint32_t *kept,
                          uint32_t kept_count, const bool *taken)
{
    for (uint32_t i = kept_count; i-- > 0;) {
        uint32_t lane = placer->shape->plan->nodes[kept[i]].lane;
        if (placer->lanes[lane].tail == kept[i] && !taken[lane])
            return lane;
    }
    return SEGUE_NO_LANE;
}

/** Where no such lane is left: the one of the first that is free first. */
static uint32_t find_free_lane(const struct segue_shape_placer *placer, uint32_t lane_count,
                               const bool *taken)
{
    uint32_t best = SEGUE_NO_LANE;
    for (uint32_t lane = 0; lane < lane_count; lane++) {
        if (!taken[lane] &&
            (best == SEGUE_NO_LANE || placer->lanes[lane].end_ns < placer->lanes[best].end_ns))
            best = lane;
    }
    return best;
}

/** A join behind `members`. */
static segue_status add_join(struct segue_shape_placer *placer, const uint32_t *members,
                             uint32_t member_count, uint32_t lane, uint64_t end_ns)
{
    for (uint32_t i = 0; i < member_count; i++)
        segue_shape_edges_gather(&placer->edges, members[i]);
    segue_status status =
        segue_shape_add_node(placer, NULL, lane, end_ns, placer->shape->options->model->join_ns);
    segue_shape_edges_clear(&placer->edges);
    return status;
}

/** @param share  see struct segue_shape_frontier. */
static segue_status keep_members(struct segue_shape_placer *placer, const uint32_t *members,
                                 uint32_t count, uint64_t end_ns, uint32_t share,
                                 uint32_t *out_frontier)
{
    const struct segue_allocator *allocator = placer->shape->plan->allocator;
    if (placer->member_count > UINT32_MAX - SEGUE_MAX_LANES ||
        !segue_grow(allocator, (void **)&placer->frontiers, &placer->frontier_capacity,
                    placer->frontier_count + 1, sizeof *placer->frontiers) ||
        !segue_grow(allocator, (void **)&placer->members, &placer->member_capacity,
                    placer->member_count + count, sizeof *placer->members))
        return segue_shape_out_of_memory(placer->shape->recording);
    *out_frontier = (uint32_t)placer->frontier_count;
    placer->frontiers[placer->frontier_count++] = (struct segue_shape_frontier){
        .first = (uint32_t)placer->member_count,
        .count = count,
        .end_ns = end_ns,
        .share = share,
    };
    for (uint32_t i = 0; i < count; i++)
        placer->members[placer->member_count++] = (struct segue_shape_member){members[i], 0};
    return SEGUE_OK;
}

segue_status segue_shape_add_frontier(struct segue_shape_placer *placer, uint64_t end_ns,
                                      uint32_t to_lanes, uint32_t *out_frontier)
{
    const struct segue_cost_model *model = placer->shape->options->model;
    uint32_t members[SEGUE_MAX_LANES];
    uint32_t joins[SEGUE_MAX_LANES];
    uint32_t join_count = 0;
    bool taken[SEGUE_MAX_LANES] = {false};
    segue_shape_edges_reduce(&placer->edges);
    uint32_t member_count = placer->edges.kept_count;
    memcpy(members, placer->edges.kept, member_count * sizeof *members);
    segue_shape_edges_clear(&placer->edges);

    struct segue_shape_link link = {.joins = 0};
    if (member_count > 0 && to_lanes > 1)
        (void)segue_shape_connect(model, member_count, to_lanes, &link);
    uint32_t lane = find_lane(placer, members, member_count, taken);
    if (lane == SEGUE_NO_LANE)
        return keep_members(placer, members, member_count, end_ns, 0, out_frontier);

    segue_status status = SEGUE_OK;
    uint32_t collector = SEGUE_NO_NODE;
    if (link.collect) {
        collector = (uint32_t)placer->shape->plan->node_count;
        status = add_join(placer, members, member_count, lane, end_ns);
        end_ns = placer->lanes[lane].end_ns;
    }
    // The first follows the collector on its lane; the others take the place of members.
    uint64_t joined_ns = end_ns + (link.joins > 0 ? model->join_ns : 0);
    while (join_count < link.joins && join_count < SEGUE_MAX_LANES && lane != SEGUE_NO_LANE &&
           status == SEGUE_OK) {
        joins[join_count++] = (uint32_t)placer->shape->plan->node_count;
        status = link.collect ? add_join(placer, &collector, 1, lane, end_ns)
                              : add_join(placer, members, member_count, lane, end_ns);
        taken[lane] = true;
        lane = find_lane(placer, members, member_count, taken);
        if (lane == SEGUE_NO_LANE)
            lane = find_free_lane(placer, to_lanes, taken);
    }
    if (status != SEGUE_OK)
        return status;
    if (join_count > 0)
        return keep_members(placer, joins, join_count, joined_ns, (to_lanes - 1) / join_count + 1,
                            out_frontier);
    if (link.collect)
        return keep_members(placer, &collector, 1, end_ns, 0, out_frontier);
    return keep_members(placer, members, member_count, end_ns, 0, out_frontier);
}

segue_status segue_shape_add_root(struct segue_shape_placer *placer, uint32_t root_count)
{
    const struct segue_shape *shape = placer->shape;
    const struct segue_cost_model *model = shape->options->model;
    uint32_t lanes = shape->levels[0].lane_limit;
    uint32_t roots = root_count < lanes ? root_count : lanes;
    // Only half of the host time is time until everything is done.
    uint64_t saved_ns = (uint64_t)model->launch_root_ns * (roots - 1) / 2;
    uint64_t spent_ns = model->node_ns + model->edge_ns * (uint64_t)roots;
    if (roots < 2 || saved_ns <= spent_ns)
        return SEGUE_OK;
    uint32_t root = (uint32_t)shape->plan->node_count;
    segue_status status = segue_shape_add_node(placer, NULL, 0, 0, model->node_ns);
    segue_shape_edges_clear(&placer->edges);
    if (status != SEGUE_OK)
        return status;
    segue_shape_edges_gather(&placer->edges, root);
    return segue_shape_add_frontier(placer, placer->lanes[0].end_ns, roots, &placer->root);
}

segue_status segue_shape_add_leaf(struct segue_shape_placer *placer)
{
    const struct segue_shape *shape = placer->shape;
    const struct segue_cost_model *model = shape->options->model;
    uint64_t end_ns = 0;
    uint32_t last = 0;
    for (uint32_t lane = 0; lane < shape->lane_count; lane++) {
        if (placer->lanes[lane].tail == SEGUE_NO_NODE)
            continue;
        segue_shape_edges_gather(&placer->edges, placer->lanes[lane].tail);
        if (placer->lanes[lane].end_ns >= end_ns) {
            end_ns = placer->lanes[lane].end_ns;
            last = lane;
        }
    }
    segue_shape_edges_reduce(&placer->edges);
    uint64_t leaves = placer->edges.kept_count;
    segue_status status = SEGUE_OK;
    if (leaves > 1 &&
        model->launch_leaf_ns * (leaves - 1) > (uint64_t)model->node_ns + model->join_ns)
        status = segue_shape_add_node(placer, NULL, last, end_ns, model->join_ns);
    segue_shape_edges_clear(&placer->edges);
    return status;
}
