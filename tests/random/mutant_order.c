// SPDX-License-Identifier: Apache-2.0
// Faults of order, and commands too few or too many.
#include "mutant.h"
#include "test.h"

/** A random edge for which `joins` is true at one end or not asked for; false if there is none. */
static bool pick_edge(struct mutant *mutant, bool joins, uint32_t *out_node, uint32_t *out_on)
{
    uint32_t seen = 0;
    for (uint32_t node = 0; node < mutant->node_count; ++node) {
        for (uint32_t on = 0; on < node; ++on) {
            if (!mutant_depends(mutant, node, on) ||
                (joins && mutant->nodes[node].segment && mutant->nodes[on].segment))
                continue;
            // Each edge seen replaces the choice with a chance of 1 in their number.
            if (segue_test_random_below(&mutant->random, ++seen) != 0)
                continue;
            *out_node = node;
            *out_on = on;
        }
    }
    return seen != 0;
}

static bool redirect(struct mutant *mutant)
{
    uint32_t node = 0, on = 0;
    if (!pick_edge(mutant, false, &node, &on))
        return false;
    uint32_t other = segue_test_random_below(&mutant->random, node);
    if (mutant_depends(mutant, node, other))
        return false;
    mutant_set_dependency(mutant, node, on, false);
    mutant_set_dependency(mutant, node, other, true);
    return true;
}

/** The edge goes for all that must be in order, but the driver gets it. */
static bool start_early(struct mutant *mutant)
{
    uint32_t node = 0, on = 0;
    if (!pick_edge(mutant, false, &node, &on))
        return false;
    const struct segue_segment *segment = mutant->nodes[node].segment;
    const struct segue_segment *before = mutant->nodes[on].segment;
    if (!segment || segment->kind != SEGUE_COMMAND_DISPATCH || !before ||
        before->kind != SEGUE_COMMAND_DISPATCH)
        return false;
    mutant_set_dependency(mutant, node, on, false);
    mutant->early_node = node;
    mutant->early_on = on;
    return true;
}

static bool drop_all_edges(struct mutant *mutant)
{
    uint32_t node = 0, on = 0;
    if (!pick_edge(mutant, false, &node, &on))
        return false;
    memset(mutant->nodes[node].dependencies, 0, sizeof(mutant->nodes[node].dependencies));
    return true;
}

/** Two different commands, the first one earlier. */
static bool pick_commands(struct mutant *mutant, uint32_t *out_first, uint32_t *out_second)
{
    if (mutant->node_count < 2)
        return false;
    uint32_t a = segue_test_random_below(&mutant->random, mutant->node_count);
    uint32_t b = segue_test_random_below(&mutant->random, mutant->node_count);
    *out_first = a < b ? a : b;
    *out_second = a < b ? b : a;
    return a != b && mutant->nodes[a].segment && mutant->nodes[b].segment;
}

/** Commands change places; the edges stay where they are. */
static void exchange(struct mutant *mutant, uint32_t a, uint32_t b)
{
    struct mutant_node left = mutant->nodes[a];
    mutant->nodes[a].segment = mutant->nodes[b].segment;
    mutant->nodes[a].op = mutant->nodes[b].op;
    mutant->nodes[b].segment = left.segment;
    mutant->nodes[b].op = left.op;
}

static bool exchange_some(struct mutant *mutant)
{
    uint32_t first = 0, second = 0;
    if (!pick_commands(mutant, &first, &second))
        return false;
    exchange(mutant, first, second);
    return true;
}

static bool move_earlier(struct mutant *mutant)
{
    uint32_t first = 0, second = 0;
    if (!pick_commands(mutant, &first, &second))
        return false;
    for (uint32_t i = second; i > first; --i)
        exchange(mutant, i, i - 1);
    return true;
}

/** Opens a gap before node `at` (of the old numbering), or closes node `at`. */
static void renumber(struct mutant *mutant, uint32_t at, bool open)
{
    static struct mutant_node old[MUTANT_MAX_NODES];
    uint32_t count = mutant->node_count;
    memcpy(old, mutant->nodes, count * sizeof(old[0]));
    memset(mutant->nodes, 0, sizeof(mutant->nodes));
    for (uint32_t i = 0; i < count; ++i) {
        if (!open && i == at)
            continue;
        uint32_t node = open ? i + (i >= at) : i - (i > at);
        mutant->nodes[node] = old[i];
        memset(mutant->nodes[node].dependencies, 0, sizeof(old[i].dependencies));
        for (uint32_t on = 0; on < i; ++on) {
            if ((open || on != at) && (old[i].dependencies[on / 64] >> (on % 64) & 1))
                mutant_set_dependency(mutant, node, open ? on + (on >= at) : on - (on > at), true);
        }
    }
    mutant->node_count = open ? count + 1 : count - 1;
}

void mutant_remove_node(struct mutant *mutant, uint32_t node)
{
    for (uint32_t later = node + 1; later < mutant->node_count; ++later) {
        for (uint32_t i = 0; mutant_depends(mutant, later, node) && i < MUTANT_WORDS; ++i)
            mutant->nodes[later].dependencies[i] |= mutant->nodes[node].dependencies[i];
    }
    renumber(mutant, node, false);
}

static bool drop_command(struct mutant *mutant)
{
    uint32_t node = segue_test_random_below(&mutant->random, mutant->node_count);
    if (!mutant->nodes[node].segment)
        return false;
    mutant_remove_node(mutant, node);
    return true;
}

/** What waited for the command waits for its repetition. */
static bool repeat_command(struct mutant *mutant)
{
    uint32_t node = segue_test_random_below(&mutant->random, mutant->node_count);
    if (!mutant->nodes[node].segment || mutant->node_count == MUTANT_MAX_NODES)
        return false;
    uint32_t again = node + 1;
    renumber(mutant, again, true);
    mutant->nodes[again] = mutant->nodes[node];
    memset(mutant->nodes[again].dependencies, 0, sizeof(mutant->nodes[again].dependencies));
    for (uint32_t later = again + 1; later < mutant->node_count; ++later) {
        if (mutant_depends(mutant, later, node))
            mutant_set_dependency(mutant, later, again, true);
    }
    if (mutant->mode == SEGUE_EXECUTION_GRAPH)
        mutant_set_dependency(mutant, again, node, true);
    return true;
}

bool mutant_plant_order(struct mutant *mutant)
{
    uint32_t node = 0, on = 0;
    switch (mutant->kind) {
    case MUTANT_DROP_EDGE:
    case MUTANT_DROP_JOIN_EDGE:
        if (!pick_edge(mutant, mutant->kind == MUTANT_DROP_JOIN_EDGE, &node, &on))
            return false;
        mutant_set_dependency(mutant, node, on, false);
        return true;
    case MUTANT_DROP_ALL_EDGES:
        return drop_all_edges(mutant);
    case MUTANT_REDIRECT_EDGE:
        return redirect(mutant);
    case MUTANT_EARLY_EDGE:
        return start_early(mutant);
    case MUTANT_EXCHANGE:
        return exchange_some(mutant);
    case MUTANT_MOVE:
        return move_earlier(mutant);
    case MUTANT_DROP_COMMAND:
        return drop_command(mutant);
    default:
        return repeat_command(mutant);
    }
}
