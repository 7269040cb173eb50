// SPDX-License-Identifier: Apache-2.0
#include "shape_place.h"

void segue_shape_add_end(struct segue_shape_ready *ready, uint64_t end_ns, uint32_t lane,
                         uint64_t wait_ns)
{
    ready->end_ns = segue_shape_later(ready->end_ns, end_ns);
    if (lane == ready->near_lane) {
        ready->near_ns = segue_shape_later(ready->near_ns, end_ns);
    } else if (ready->near_lane == SEGUE_NO_LANE || end_ns > ready->near_ns) {
        if (ready->near_lane != SEGUE_NO_LANE)
            ready->far_ns = segue_shape_later(ready->far_ns, ready->near_ns + wait_ns);
        ready->near_ns = end_ns;
        ready->near_lane = lane;
    } else {
        ready->far_ns = segue_shape_later(ready->far_ns, end_ns + wait_ns);
    }
}

static uint32_t lane_of(const struct segue_shape_placer *placer, uint32_t node)
{
    return placer->shape->plan->nodes[node].lane;
}

/** Gathers what stands for an order node, but for the joins of which any one does. */
static void gather_frontier(struct segue_shape_placer *placer, uint32_t index,
                            struct segue_shape_ready *ready)
{
    uint64_t wait_ns = placer->shape->options->model->wait_ns;
    const struct segue_shape_frontier *frontier = &placer->frontiers[index];
    const struct segue_shape_member *members = placer->members + frontier->first;
    if (frontier->share != 0) {
        uint32_t lane = lane_of(placer, members[frontier->next].node);
        segue_shape_add_end(ready, frontier->end_ns, lane, wait_ns);
        return;
    }
    for (uint32_t i = 0; i < frontier->count; i++)
        segue_shape_edges_gather(&placer->edges, members[i].node);
    if (frontier->count == 1) {
        segue_shape_add_end(ready, frontier->end_ns, lane_of(placer, members[0].node), wait_ns);
        return;
    }
    ready->end_ns = segue_shape_later(ready->end_ns, frontier->end_ns);
    ready->far_ns = segue_shape_later(ready->far_ns, frontier->end_ns + wait_ns);
}

/** Gathers what a depend node comes after, and finds when it can start. */
static struct segue_shape_ready gather(struct segue_shape_placer *placer,
                                       const struct segue_depend_node *node)
{
    const struct segue_shape *shape = placer->shape;
    struct segue_shape_ready ready = {.near_lane = SEGUE_NO_LANE};
    for (uint32_t i = 0; i < node->predecessor_count; i++) {
        uint32_t before = shape->depend->predecessors[node->first_predecessor + i];
        const struct segue_shape_node *placed = &shape->nodes[before];
        if (placed->frontier != SEGUE_NO_FRONTIER) {
            gather_frontier(placer, placed->frontier, &ready);
            continue;
        }
        segue_shape_edges_gather(&placer->edges, placed->place);
        segue_shape_add_end(&ready, placed->time_ns, lane_of(placer, placed->place),
                            shape->options->model->wait_ns);
    }
    return ready;
}

/** One more waits for a join: the next comes next when as many do as share it. */
static void use_member(struct segue_shape_frontier *frontier, struct segue_shape_member *member)
{
    if (++member->used >= frontier->share)
        frontier->next = frontier->next + 1 < frontier->count ? frontier->next + 1 : 0;
}

/** Gathers one of the joins of a frontier, unless `tail` comes after one of them anyway. */
static void gather_any(struct segue_shape_placer *placer, uint32_t index, uint32_t tail)
{
    struct segue_shape_frontier *frontier = &placer->frontiers[index];
    struct segue_shape_member *members = placer->members + frontier->first;
    if (frontier->share == 0)
        return;
    for (uint32_t i = 0; i < frontier->count && tail != SEGUE_NO_NODE; i++) {
        if (!segue_shape_edges_follows(&placer->edges, tail, members[i].node))
            continue;
        if (tail == members[i].node)
            use_member(frontier, &members[i]);
        return;
    }
    segue_shape_edges_gather(&placer->edges, members[frontier->next].node);
    use_member(frontier, &members[frontier->next]);
}

/** The same for all predecessors of a node. */
static void gather_joins(struct segue_shape_placer *placer, const struct segue_depend_node *node,
                         uint32_t tail)
{
    const struct segue_shape *shape = placer->shape;
    for (uint32_t i = 0; i < node->predecessor_count; i++) {
        uint32_t before = shape->depend->predecessors[node->first_predecessor + i];
        if (shape->nodes[before].frontier != SEGUE_NO_FRONTIER)
            gather_any(placer, shape->nodes[before].frontier, tail);
    }
}

static uint64_t start_on(const struct segue_shape_placer *placer,
                         const struct segue_shape_ready *ready, uint32_t lane)
{
    uint64_t ready_ns = ready->near_ns;
    if (ready->near_lane != SEGUE_NO_LANE && ready->near_lane != lane)
        ready_ns += placer->shape->options->model->wait_ns;
    ready_ns = segue_shape_later(ready_ns, ready->far_ns);
    return segue_shape_later(ready_ns, placer->lanes[lane].end_ns);
}

/** The newest of the nodes gathered; SEGUE_NO_NODE if there is none. */
static uint32_t find_newest(const struct segue_shape_edges *edges)
{
    uint32_t newest = SEGUE_NO_NODE;
    for (uint32_t i = 0; i < edges->count; i++) {
        uint32_t node = edges->gathered[edges->lanes[i]];
        if (newest == SEGUE_NO_NODE || node > newest)
            newest = node;
    }
    return newest;
}

/** The lane of the first `limit` on which a node can start first. Of those that are free at the
 *  same time: one whose last node has ended for sure, whatever the durations, since `newest`, which
 *  the node waits for, comes after it; and of those the one whose last node was made first, for it
 *  starts first. */
static uint32_t choose_free_lane(const struct segue_shape_placer *placer,
                                 const struct segue_shape_ready *ready, uint32_t limit,
                                 uint32_t newest, uint64_t *out_start_ns)
{
    uint32_t best = 0;
    bool best_is_sure = false;
    *out_start_ns = UINT64_MAX;
    // Nowhere as soon as on the near lane, which is not asked about here.
    uint64_t ready_ns = ready->far_ns;
    if (ready->near_lane != SEGUE_NO_LANE)
        ready_ns =
            segue_shape_later(ready_ns, ready->near_ns + placer->shape->options->model->wait_ns);
    for (uint32_t lane = 0; lane < limit; lane++) {
        uint64_t start_ns = segue_shape_later(ready_ns, placer->lanes[lane].end_ns);
        if (start_ns > *out_start_ns)
            continue;
        uint32_t tail = placer->lanes[lane].tail;
        bool is_sure =
            tail == SEGUE_NO_NODE ||
            (newest != SEGUE_NO_NODE && segue_shape_edges_follows(&placer->edges, newest, tail));
        bool is_better = is_sure != best_is_sure ? is_sure : tail < placer->lanes[best].tail;
        if (start_ns < *out_start_ns || is_better) {
            best = lane;
            best_is_sure = is_sure;
            *out_start_ns = start_ns;
        }
    }
    return best;
}

/** The lane on which a node can start first: that of what it has waited for longest, one that ends
 *  with something else that it waits for, or another of the first `limit`. */
static uint32_t choose_lane(const struct segue_shape_placer *placer,
                            const struct segue_shape_ready *ready, uint32_t limit)
{
    const struct segue_shape_edges *edges = &placer->edges;
    uint32_t best = 0;
    uint64_t best_ns = UINT64_MAX;
    if (ready->near_lane != SEGUE_NO_LANE) {
        best = ready->near_lane;
        best_ns = start_on(placer, ready, best);
        // Nothing starts sooner than on this lane if it has been waiting.
        if (best_ns <= segue_shape_later(ready->near_ns, ready->far_ns))
            return best;
    }
    for (uint32_t i = edges->count; i-- > 0;) {
        uint32_t lane = edges->lanes[i];
        if (lane >= limit || placer->lanes[lane].tail != edges->gathered[lane])
            continue;
        uint64_t start_ns = start_on(placer, ready, lane);
        if (start_ns < best_ns) {
            best = lane;
            best_ns = start_ns;
        }
    }
    uint64_t free_ns;
    uint32_t free_lane = choose_free_lane(placer, ready, limit, find_newest(edges), &free_ns);
    return free_ns < best_ns ? free_lane : best;
}

/** For tests: a lane on which the node comes after nothing that it need not come after, as long as
 *  there is one. */
static uint32_t choose_loose_lane(const struct segue_shape_placer *placer)
{
    const struct segue_shape_edges *edges = &placer->edges;
    uint32_t first = 0;
    for (uint32_t i = 0; i < edges->count; i++) {
        uint32_t lane = edges->lanes[i];
        if (placer->lanes[lane].tail == edges->gathered[lane])
            return lane;
    }
    for (uint32_t lane = 0; lane < placer->shape->lane_count; lane++) {
        if (placer->lanes[lane].tail == SEGUE_NO_NODE)
            return lane;
        if (placer->lanes[lane].end_ns < placer->lanes[first].end_ns)
            first = lane;
    }
    return first;
}

segue_status segue_shape_add_node(struct segue_shape_placer *placer,
                                  const struct segue_segment *segment, uint32_t lane,
                                  uint64_t start_ns, uint64_t duration_ns)
{
    struct segue_shape_lane *chosen = &placer->lanes[lane];
    if (chosen->tail != SEGUE_NO_NODE)
        segue_shape_edges_gather(&placer->edges, chosen->tail);
    segue_shape_edges_reduce(&placer->edges);
    chosen->tail = (uint32_t)placer->shape->plan->node_count;
    chosen->end_ns = segue_shape_later(start_ns, chosen->end_ns) + duration_ns;
    return segue_shape_edges_add(&placer->edges, segment, lane);
}

/** Lanes that what waits for a node is spread over. */
static uint32_t lanes_after(const struct segue_shape *shape, uint32_t index, uint32_t successors)
{
    uint32_t level = shape->nodes[index].level + 1;
    uint32_t limit = level < shape->level_count ? shape->levels[level].lane_limit : 1;
    return successors < limit ? successors : limit;
}

/** Commands that share a list of predecessors: their frontier is made once. Sets `out_ready`; false
 *  if it was another case. */
static bool share_list(struct segue_shape_placer *placer, uint32_t index,
                       struct segue_shape_ready *out_ready, segue_status *out_status)
{
    const struct segue_shape *shape = placer->shape;
    const struct segue_depend_node *node = &shape->depend->nodes[index];
    if (node->predecessor_count < 2)
        return false;
    uint32_t users = shape->list_users[node->first_predecessor];
    if (users < 2)
        return false;
    if (placer->list_first != node->first_predecessor) {
        struct segue_shape_ready ready = gather(placer, node);
        gather_joins(placer, node, SEGUE_NO_NODE);
        uint32_t limit = shape->levels[shape->nodes[index].level].lane_limit;
        *out_status = segue_shape_add_frontier(placer, ready.end_ns, users < limit ? users : limit,
                                               &placer->list_frontier);
        if (*out_status != SEGUE_OK)
            return true;
        placer->list_first = node->first_predecessor;
    }
    gather_frontier(placer, placer->list_frontier, out_ready);
    return true;
}

static segue_status place_command(struct segue_shape_placer *placer, uint32_t index)
{
    struct segue_shape *shape = placer->shape;
    const struct segue_cost_model *model = shape->options->model;
    const struct segue_depend_node *node = &shape->depend->nodes[index];
    struct segue_shape_node *placed = &shape->nodes[index];
    struct segue_shape_ready ready = {.near_lane = SEGUE_NO_LANE};
    segue_status status = SEGUE_OK;
    bool shared = share_list(placer, index, &ready, &status);
    if (status != SEGUE_OK)
        return status;
    bool is_root = node->predecessor_count == 0 && placer->root != SEGUE_NO_FRONTIER;
    if (is_root)
        gather_frontier(placer, placer->root, &ready);
    else if (!shared)
        ready = gather(placer, node);

    uint32_t lane = shape->options->order_seed != 0
                        ? choose_loose_lane(placer)
                        : choose_lane(placer, &ready, shape->levels[placed->level].lane_limit);
    if (is_root)
        gather_any(placer, placer->root, placer->lanes[lane].tail);
    else if (shared)
        gather_any(placer, placer->list_frontier, placer->lanes[lane].tail);
    else
        gather_joins(placer, node, placer->lanes[lane].tail);
    placed->place = (uint32_t)shape->plan->node_count;
    status = segue_shape_add_node(placer, node->segment, lane, start_on(placer, &ready, lane),
                                  (uint64_t)model->node_ns + placed->duration_ns);
    placed->time_ns = placer->lanes[lane].end_ns;
    segue_shape_edges_clear(&placer->edges);
    uint32_t after = lanes_after(shape, index, placed->fan_out);
    if (status != SEGUE_OK || after <= model->fan_out_limit)
        return status;
    segue_shape_edges_gather(&placer->edges, placed->place);
    return segue_shape_add_frontier(placer, placed->time_ns, after, &placed->frontier);
}

/** An order node becomes the nodes that imply all that it stands for, or joins behind them. */
static segue_status place_order_node(struct segue_shape_placer *placer, uint32_t index)
{
    struct segue_shape *shape = placer->shape;
    const struct segue_depend_node *node = &shape->depend->nodes[index];
    struct segue_shape_ready ready = gather(placer, node);
    gather_joins(placer, node, SEGUE_NO_NODE);
    return segue_shape_add_frontier(placer, ready.end_ns,
                                    lanes_after(shape, index, node->successor_count),
                                    &shape->nodes[index].frontier);
}

static segue_status place_all(struct segue_shape_placer *placer)
{
    const struct segue_shape *shape = placer->shape;
    const struct segue_depend *depend = shape->depend;
    const uint64_t edge_limit =
        shape->options->edge_limit != 0 ? shape->options->edge_limit : UINT64_MAX;
    segue_status status = segue_shape_add_root(placer, shape->root_count);
    for (size_t i = 0; i < depend->node_count && status == SEGUE_OK; i++) {
        uint32_t index = shape->order ? shape->order[i] : (uint32_t)i;
        status = depend->nodes[index].segment ? place_command(placer, index)
                                              : place_order_node(placer, index);
        if (shape->plan->edge_count > edge_limit)
            return status;
    }
    return status == SEGUE_OK ? segue_shape_add_leaf(placer) : status;
}

segue_status segue_shape_place(struct segue_shape *shape)
{
    const struct segue_allocator *allocator = shape->plan->allocator;
    struct segue_shape_placer placer;
    placer.shape = shape;
    placer.edges.clocks = NULL;
    placer.frontiers = NULL;
    placer.frontier_count = placer.frontier_capacity = 0;
    placer.members = NULL;
    placer.member_count = placer.member_capacity = 0;
    placer.root = SEGUE_NO_FRONTIER;
    placer.list_first = UINT32_MAX;
    for (uint32_t i = 0; i < shape->lane_count; i++)
        placer.lanes[i] = (struct segue_shape_lane){.tail = SEGUE_NO_NODE};
    segue_status status =
        segue_shape_edges_create(shape->recording, shape->plan, shape->lane_count, &placer.edges);
    if (status == SEGUE_OK)
        status = place_all(&placer);
    segue_shape_edges_finish(&placer.edges);
    segue_release(allocator, placer.frontiers, placer.frontier_capacity * sizeof *placer.frontiers);
    segue_release(allocator, placer.members, placer.member_capacity * sizeof *placer.members);
    return status;
}
