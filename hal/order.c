// SPDX-License-Identifier: Apache-2.0
#include "order.h"

/** Splitmix64: seeds that differ in one bit give unrelated numbers. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t value = (*state += UINT64_C(0x9E3779B97F4A7C15));
    value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
    return value ^ (value >> 31);
}

/** A command that may come next. */
struct candidate {
    uint64_t priority;
    uint32_t node;
};

struct sorter {
    const struct segue_dag *dag;
    /** Per node: predecessors not yet placed, and where its successors begin (one more entry). */
    uint32_t *missing;
    size_t *first_successor;
    uint32_t *successors;
    /** A heap, highest priority first. */
    struct candidate *ready;
    size_t ready_count;
    uint64_t random_state;
};

static void push(struct sorter *sorter, struct candidate candidate)
{
    size_t i = sorter->ready_count++;
    while (i > 0 && sorter->ready[(i - 1) / 2].priority < candidate.priority) {
        sorter->ready[i] = sorter->ready[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    sorter->ready[i] = candidate;
}

static uint32_t pop(struct sorter *sorter)
{
    uint32_t node = sorter->ready[0].node;
    struct candidate moved = sorter->ready[--sorter->ready_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= sorter->ready_count)
            break;
        if (child + 1 < sorter->ready_count &&
            sorter->ready[child + 1].priority > sorter->ready[child].priority)
            child++;
        if (sorter->ready[child].priority <= moved.priority)
            break;
        sorter->ready[i] = sorter->ready[child];
        i = child;
    }
    sorter->ready[i] = moved;
    return node;
}

/** Notes what each node waits for, and lays out the lists of successors. */
static void link_successors(struct sorter *sorter)
{
    const struct segue_dag *dag = sorter->dag;
    for (size_t i = 0; i < dag->node_count; i++)
        sorter->first_successor[i + 1] = sorter->first_successor[i] + dag->nodes[i].successor_count;
    // From the back, so that each list's begin has moved to its place when all are filled in.
    for (size_t i = 0; i < dag->node_count; i++) {
        const struct segue_dag_node *node = &dag->nodes[i];
        sorter->missing[i] = node->predecessor_count;
        for (uint32_t k = 0; k < node->predecessor_count; k++) {
            uint32_t predecessor = dag->predecessors[node->first_predecessor + k];
            sorter->successors[--sorter->first_successor[predecessor + 1]] = (uint32_t)i;
        }
    }
}

/** The successors of `node`: after link_successors, list i begins at first_successor[i + 1] and
 *  ends where the next one begins. */
static const uint32_t *get_successors(const struct sorter *sorter, uint32_t node, size_t *out_count)
{
    size_t begin = sorter->first_successor[node + 1];
    size_t end = node + 1 < sorter->dag->node_count ? sorter->first_successor[node + 2]
                                                    : sorter->dag->predecessor_count;
    *out_count = end - begin;
    return sorter->successors + begin;
}

/** Releases what waited for `node`. An order node is placed as soon as it can be; it has only
 *  commands for successors, so this nests once. */
static void place(struct sorter *sorter, uint32_t node)
{
    size_t count;
    const uint32_t *successors = get_successors(sorter, node, &count);
    for (size_t i = 0; i < count; i++) {
        uint32_t successor = successors[i];
        if (--sorter->missing[successor] != 0)
            continue;
        if (sorter->dag->nodes[successor].segment)
            push(sorter, (struct candidate){next_random(&sorter->random_state), successor});
        else
            place(sorter, successor);
    }
}

static void sort_randomly(struct sorter *sorter, struct segue_order *order)
{
    const struct segue_dag *dag = sorter->dag;
    link_successors(sorter);
    for (size_t i = 0; i < dag->node_count; i++) {
        if (dag->nodes[i].predecessor_count == 0)
            push(sorter, (struct candidate){next_random(&sorter->random_state), (uint32_t)i});
    }
    while (sorter->ready_count > 0) {
        uint32_t node = pop(sorter);
        order->commands[order->count++] = node;
        place(sorter, node);
    }
}

static bool create_random(const struct segue_dag *dag, uint64_t seed, struct segue_order *order)
{
    const struct segue_allocator *allocator = dag->allocator;
    size_t count = dag->node_count;
    struct sorter sorter = {.dag = dag, .random_state = seed};
    sorter.missing = segue_allocate_zeroed(allocator, count, sizeof *sorter.missing);
    sorter.first_successor =
        segue_allocate_zeroed(allocator, count + 1, sizeof *sorter.first_successor);
    sorter.successors =
        segue_allocate_zeroed(allocator, dag->predecessor_count + 1, sizeof *sorter.successors);
    sorter.ready = segue_allocate_zeroed(allocator, count, sizeof *sorter.ready);
    bool allocated = sorter.missing && sorter.first_successor && sorter.successors && sorter.ready;
    if (allocated)
        sort_randomly(&sorter, order);
    segue_release(allocator, sorter.ready, count * sizeof *sorter.ready);
    segue_release(allocator, sorter.successors,
                  (dag->predecessor_count + 1) * sizeof *sorter.successors);
    segue_release(allocator, sorter.first_successor, (count + 1) * sizeof *sorter.first_successor);
    segue_release(allocator, sorter.missing, count * sizeof *sorter.missing);
    return allocated;
}

bool segue_order_create(const struct segue_dag *dag, uint64_t seed, struct segue_order *out_order)
{
    struct segue_order order = {.allocator = dag->allocator};
    if (seed == 0 || dag->node_count == 0) {
        order.count = dag->node_count;
        *out_order = order;
        return true;
    }
    // Room for every node; order nodes leave a little of it unused.
    order.commands = segue_allocate(dag->allocator, dag->node_count * sizeof *order.commands);
    if (!order.commands)
        return false;
    if (!create_random(dag, seed, &order)) {
        segue_release(dag->allocator, order.commands, dag->node_count * sizeof *order.commands);
        return false;
    }
    order.capacity = dag->node_count;
    *out_order = order;
    return true;
}

void segue_order_finish(struct segue_order *order)
{
    segue_release(order->allocator, order->commands, order->capacity * sizeof *order->commands);
    *order = (struct segue_order){.allocator = order->allocator};
}
