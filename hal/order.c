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

/** A node that may come next. */
struct candidate {
    uint64_t priority;
    uint32_t node;
};

struct sorter {
    const struct segue_depend *depend;
    /** Per node: predecessors not yet placed, and where its successors begin (one
     * more entry). */
    uint32_t *missing;
    size_t *first_successor;
    uint32_t *successors;
    size_t successor_count;
    /** A heap, highest priority first. */
    struct candidate *ready;
    size_t ready_count;
    uint64_t random_state;
};

static void push(struct sorter *sorter, uint32_t node)
{
    struct candidate candidate = {next_random(&sorter->random_state), node};
    if (!sorter->depend->nodes[node].segment)
        candidate.priority = UINT64_MAX;
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
    const struct segue_depend *depend = sorter->depend;
    for (size_t i = 0; i < depend->node_count; i++) {
        const struct segue_depend_node *node = &depend->nodes[i];
        sorter->missing[i] = node->predecessor_count;
        for (uint32_t k = 0; k < node->predecessor_count; k++)
            sorter->first_successor[depend->predecessors[node->first_predecessor + k] + 1]++;
    }
    for (size_t i = 0; i < depend->node_count; i++)
        sorter->first_successor[i + 1] += sorter->first_successor[i];
    // From the back, so that each list's begin has moved to its place when all
    // are filled in: list i then begins at first_successor[i + 1] and ends where
    // the next one begins.
    for (size_t i = 0; i < depend->node_count; i++) {
        const struct segue_depend_node *node = &depend->nodes[i];
        for (uint32_t k = 0; k < node->predecessor_count; k++) {
            uint32_t predecessor = depend->predecessors[node->first_predecessor + k];
            sorter->successors[--sorter->first_successor[predecessor + 1]] = (uint32_t)i;
        }
    }
}

/** Releases what waited for `node`. */
static void place(struct sorter *sorter, uint32_t node)
{
    size_t begin = sorter->first_successor[node + 1];
    size_t end = node + 1 < sorter->depend->node_count ? sorter->first_successor[node + 2]
                                                       : sorter->successor_count;
    for (size_t i = begin; i < end; i++) {
        uint32_t successor = sorter->successors[i];
        if (--sorter->missing[successor] == 0)
            push(sorter, successor);
    }
}

static void sort_randomly(struct sorter *sorter, uint32_t *order)
{
    const struct segue_depend *depend = sorter->depend;
    link_successors(sorter);
    for (size_t i = 0; i < depend->node_count; i++) {
        if (depend->nodes[i].predecessor_count == 0)
            push(sorter, (uint32_t)i);
    }
    for (size_t count = 0; sorter->ready_count > 0; count++) {
        order[count] = pop(sorter);
        place(sorter, order[count]);
    }
}

uint32_t *segue_order_create(const struct segue_depend *depend, uint64_t seed)
{
    const struct segue_allocator *allocator = depend->allocator;
    size_t count = depend->node_count;
    struct sorter sorter = {.depend = depend, .random_state = seed};
    for (size_t i = 0; i < count; i++)
        sorter.successor_count += depend->nodes[i].predecessor_count;
    uint32_t *order = segue_allocate(allocator, count * sizeof *order);
    sorter.missing = segue_allocate_zeroed(allocator, count, sizeof *sorter.missing);
    sorter.first_successor =
        segue_allocate_zeroed(allocator, count + 1, sizeof *sorter.first_successor);
    sorter.successors =
        segue_allocate(allocator, (sorter.successor_count + 1) * sizeof *sorter.successors);
    sorter.ready = segue_allocate_zeroed(allocator, count, sizeof *sorter.ready);
    bool allocated =
        order && sorter.missing && sorter.first_successor && sorter.successors && sorter.ready;
    if (allocated)
        sort_randomly(&sorter, order);
    segue_release(allocator, sorter.ready, count * sizeof *sorter.ready);
    segue_release(allocator, sorter.successors,
                  (sorter.successor_count + 1) * sizeof *sorter.successors);
    segue_release(allocator, sorter.first_successor, (count + 1) * sizeof *sorter.first_successor);
    segue_release(allocator, sorter.missing, count * sizeof *sorter.missing);
    if (!allocated) {
        segue_order_destroy(depend, order);
        return NULL;
    }
    return order;
}

void segue_order_destroy(const struct segue_depend *depend, uint32_t *order)
{
    segue_release(depend->allocator, order, depend->node_count * sizeof *order);
}
