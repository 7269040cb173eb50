// SPDX-License-Identifier: Apache-2.0
#include "schedule.h"

#include <stdlib.h>

/** What a node of a graph with an empty node costs in launching, which is then what takes the time:
 *  scopes of 4 and 32 empty kernels take 1,043 and 1,079 us for 1,024 of them on an H200. */
#define FORK_JOIN_NODE_NS 950

/** A node that may start, and when. */
struct ready {
    uint64_t time_ns;
    uint32_t node;
};

/** A heap of them: the earliest first, then the one created first. */
struct heap {
    struct ready *items;
    uint32_t count;
};

static bool is_before(const struct ready *a, const struct ready *b)
{
    return a->time_ns < b->time_ns || (a->time_ns == b->time_ns && a->node < b->node);
}

static void push(struct heap *heap, struct ready item)
{
    uint32_t place = heap->count++;
    while (place > 0 && is_before(&item, &heap->items[(place - 1) / 2])) {
        heap->items[place] = heap->items[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    heap->items[place] = item;
}

static struct ready pop(struct heap *heap)
{
    const struct ready top = heap->items[0];
    const struct ready last = heap->items[--heap->count];
    uint32_t place = 0;
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && is_before(&heap->items[child + 1], &heap->items[child]))
            ++child;
        if (!is_before(&heap->items[child], &last))
            break;
        heap->items[place] = heap->items[child];
        place = child;
    }
    if (heap->count > 0)
        heap->items[place] = last;
    return top;
}

/** What scheduling works on, besides the schedule. */
struct work {
    const struct segue_graph_view *view;
    const struct segue_cost_model *model;
    struct segue_replay_slot *slots;
    /** Of node i: edges outgoing[first[i]] up to outgoing[first[i + 1]]. */
    uint32_t *first;
    uint32_t *outgoing;
    /** Edges into a node that have not been counted yet, and those from other lanes. */
    uint32_t *missing;
    uint32_t *crossing;
    struct heap heap;
};

static bool is_crossing(const struct segue_graph_view *view, const struct segue_graph_edge *edge)
{
    return view->nodes[edge->from].lane != view->nodes[edge->to].lane;
}

static bool allocate(struct work *work, struct segue_replay_schedule *schedule)
{
    const size_t node_count = work->view->node_count;
    schedule->slots = calloc(node_count + 1, sizeof(*schedule->slots));
    schedule->critical_nodes = calloc(node_count + 1, sizeof(*schedule->critical_nodes));
    work->first = calloc(node_count + 2, sizeof(*work->first));
    work->outgoing = calloc((size_t)work->view->edge_count + 1, sizeof(*work->outgoing));
    work->missing = calloc(node_count + 1, sizeof(*work->missing));
    work->crossing = calloc(node_count + 1, sizeof(*work->crossing));
    work->heap.items = calloc(node_count + 1, sizeof(*work->heap.items));
    work->slots = schedule->slots;
    schedule->node_count = work->view->node_count;
    return schedule->slots && schedule->critical_nodes && work->first && work->outgoing &&
           work->missing && work->crossing && work->heap.items;
}

/** Lists the edges by the node that they come from. */
static void list_edges(struct work *work)
{
    const struct segue_graph_view *view = work->view;
    for (uint32_t i = 0; i < view->edge_count; ++i) {
        const struct segue_graph_edge *edge = &view->edges[i];
        ++work->first[edge->from + 2];
        ++work->missing[edge->to];
        work->crossing[edge->to] += is_crossing(view, edge);
    }
    for (uint32_t i = 2; i <= view->node_count; ++i)
        work->first[i] += work->first[i - 1];
    for (uint32_t i = 0; i < view->edge_count; ++i)
        work->outgoing[work->first[view->edges[i].from + 1]++] = i;
}

/** From the end of one node to the start of another. */
static uint64_t edge_cost(const struct work *work, const struct segue_graph_edge *edge)
{
    const struct segue_cost_model *model = work->model;
    if (edge->type == SEGUE_GRAPH_EDGE_PROGRAMMATIC)
        return 0;
    if (!is_crossing(work->view, edge))
        return model->node_ns;
    const uint32_t more = work->crossing[edge->to] - 1;
    return model->wait_ns + (uint64_t)more * model->edge_ns;
}

/** A node has ended: those that wait for it know. */
static void release(struct work *work, uint32_t node)
{
    const uint64_t end_ns = work->slots[node].start_ns + work->slots[node].duration_ns;
    for (uint32_t i = work->first[node]; i < work->first[node + 1]; ++i) {
        const struct segue_graph_edge *edge = &work->view->edges[work->outgoing[i]];
        struct segue_replay_slot *slot = &work->slots[edge->to];
        const uint64_t ready_ns = end_ns + edge_cost(work, edge);
        if (slot->edge == SEGUE_REPLAY_NO_EDGE || ready_ns > slot->start_ns) {
            slot->start_ns = ready_ns;
            slot->edge = work->outgoing[i];
        }
        if (--work->missing[edge->to] == 0)
            push(&work->heap, (struct ready){slot->start_ns, edge->to});
    }
}

static void place_nodes(struct work *work, const uint64_t *durations_ns,
                        struct segue_replay_schedule *schedule)
{
    uint64_t next_ns = 0;
    for (uint32_t i = 0; i < work->view->node_count; ++i) {
        work->slots[i] = (struct segue_replay_slot){0, durations_ns[i], SEGUE_REPLAY_NO_EDGE};
        if (work->missing[i] == 0)
            push(&work->heap, (struct ready){0, i});
    }
    while (work->heap.count > 0) {
        const struct ready ready = pop(&work->heap);
        struct segue_replay_slot *slot = &work->slots[ready.node];
        // The device starts no two kernels at once, on whatever lanes.
        slot->start_ns = ready.time_ns > next_ns ? ready.time_ns : next_ns;
        next_ns = slot->start_ns + work->model->issue_ns;
        if (slot->start_ns + slot->duration_ns > schedule->end_ns)
            schedule->end_ns = slot->start_ns + slot->duration_ns;
        release(work, ready.node);
    }
}

/** From the node that ends last back to one that waits for nothing. */
static void find_critical(const struct work *work, struct segue_replay_schedule *schedule)
{
    uint32_t node = 0;
    uint32_t count = 0;
    for (uint32_t i = 1; i < schedule->node_count; ++i) {
        if (work->slots[i].start_ns + work->slots[i].duration_ns >
            work->slots[node].start_ns + work->slots[node].duration_ns)
            node = i;
    }
    while (schedule->node_count > 0) {
        schedule->critical_nodes[count++] = node;
        if (work->slots[node].edge == SEGUE_REPLAY_NO_EDGE)
            break;
        node = work->view->edges[work->slots[node].edge].from;
    }
    for (uint32_t i = 0; i < count / 2; ++i) {
        const uint32_t other = schedule->critical_nodes[count - 1 - i];
        schedule->critical_nodes[count - 1 - i] = schedule->critical_nodes[i];
        schedule->critical_nodes[i] = other;
    }
    schedule->critical_count = count;
}

bool segue_replay_schedule_make(const struct segue_graph_view *view, const uint64_t *durations_ns,
                                const struct segue_cost_model *model,
                                struct segue_replay_schedule *out_schedule)
{
    struct work work = {.view = view, .model = model};
    struct segue_replay_schedule schedule = {0};
    const bool good = allocate(&work, &schedule);
    if (good) {
        list_edges(&work);
        place_nodes(&work, durations_ns, &schedule);
        find_critical(&work, &schedule);
        *out_schedule = schedule;
    } else {
        segue_replay_schedule_clear(&schedule);
    }
    free(work.first);
    free(work.outgoing);
    free(work.missing);
    free(work.crossing);
    free(work.heap.items);
    return good;
}

void segue_replay_schedule_clear(struct segue_replay_schedule *schedule)
{
    free(schedule->slots);
    free(schedule->critical_nodes);
    *schedule = (struct segue_replay_schedule){0};
}

/** The first command of the scope behind that of command `i`. */
static uint32_t scope_end(const uint32_t *scopes, uint32_t count, uint32_t i)
{
    const uint32_t scope = scopes[i];
    while (i < count && scopes[i] == scope)
        ++i;
    return i;
}

/** Whether an empty node would join several commands with several: with one on either side the
 *  driver does without it, and the graph launches fast (measured on a Llama step). */
static bool needs_empty_nodes(const uint32_t *scopes, uint32_t count)
{
    uint32_t last_width = 0;
    for (uint32_t i = 0; i < count;) {
        const uint32_t end = scope_end(scopes, count, i);
        if (last_width > 1 && end - i > 1)
            return true;
        last_width = end - i;
        i = end;
    }
    return false;
}

struct segue_replay_totals segue_replay_totals_of(const uint64_t *durations_ns,
                                                  const uint32_t *scopes, uint32_t count,
                                                  const struct segue_cost_model *model)
{
    const bool slow = needs_empty_nodes(scopes, count);
    struct segue_replay_totals totals = {0};
    for (uint32_t i = 0; i < count;) {
        const uint32_t end = scope_end(scopes, count, i);
        const uint32_t width = end - i;
        uint64_t longest_ns = 0;
        for (; i < end; ++i) {
            totals.serial_ns += durations_ns[i] + model->node_ns;
            longest_ns = durations_ns[i] > longest_ns ? durations_ns[i] : longest_ns;
        }
        totals.fork_join_ns += longest_ns;
        if (slow)
            totals.fork_join_ns += (uint64_t)(width + (width > 1)) * FORK_JOIN_NODE_NS;
        else
            totals.fork_join_ns += width > 1 ? model->wait_ns : model->node_ns;
    }
    return totals;
}
