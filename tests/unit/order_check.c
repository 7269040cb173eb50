// SPDX-License-Identifier: Apache-2.0
#include "order_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/** One access, resolved. */
struct touch {
    /** The memory, or the slot. */
    uintptr_t object;
    uint64_t begin;
    uint64_t end;
    bool slot;
    bool writes;
    bool constant;
};

struct command {
    const struct segue_dag_node *permit;
    struct touch *touches;
    uint32_t touch_count;
    bool opaque;
};

struct check {
    uint32_t flags;
    struct segue_dag dag;
    struct command *commands;
    uint32_t count;
    size_t words;
    /** Per segment index its command. */
    uint32_t *numbers;
};

static const struct segue_segment *depend_segment(const void *graph, uint32_t node)
{
    return ((const struct segue_depend *)graph)->nodes[node].segment;
}

static const uint32_t *depend_predecessors(const void *graph, uint32_t node, uint32_t *out_count)
{
    const struct segue_depend *depend = graph;
    *out_count = depend->nodes[node].predecessor_count;
    return depend->predecessors + depend->nodes[node].first_predecessor;
}

struct order_graph order_graph_of_depend(const struct segue_depend *depend)
{
    return (struct order_graph){
        .node_count = (uint32_t)depend->node_count,
        .segment = depend_segment,
        .predecessors = depend_predecessors,
        .graph = depend,
    };
}

static const struct segue_segment *plan_segment(const void *graph, uint32_t node)
{
    return ((const struct segue_plan *)graph)->nodes[node].segment;
}

static const uint32_t *plan_predecessors(const void *graph, uint32_t node, uint32_t *out_count)
{
    const struct segue_plan *plan = graph;
    *out_count = plan->nodes[node].dependency_count;
    return plan->dependencies + plan->nodes[node].first_dependency;
}

struct order_graph order_graph_of_plan(const struct segue_plan *plan)
{
    return (struct order_graph){
        .node_count = (uint32_t)plan->node_count,
        .segment = plan_segment,
        .predecessors = plan_predecessors,
        .graph = plan,
    };
}

static void *allocate(size_t count, size_t size_bytes)
{
    void *memory = calloc(count + 1, size_bytes);
    assert_non_null(memory);
    return memory;
}

/* ---- What must be ordered -------------------------------------------------------------------- */

static struct touch resolve(const struct segue_command_access *access)
{
    const struct segue_range *range = &access->range;
    const segue_buffer *buffer = segue_range_buffer(range);
    struct touch touch = {
        .object = buffer ? (uintptr_t)buffer->memory : segue_range_slot(range),
        .begin = range->offset_bytes + (buffer ? buffer->offset_bytes : 0),
        .slot = !buffer,
        .writes = (access->mask &
                   (SEGUE_ACCESS_MASK_TRANSFER_WRITE | SEGUE_ACCESS_MASK_DISPATCH_WRITE)) != 0,
        .constant = access->constant,
    };
    touch.end =
        range->length_bytes == SEGUE_WHOLE_SIZE ? UINT64_MAX : touch.begin + range->length_bytes;
    return touch;
}

static void collect(struct check *check, const struct segue_recording *recording)
{
    assert_int_equal(segue_dag_build(recording, &check->dag), SEGUE_OK);
    check->commands = allocate(check->dag.node_count, sizeof *check->commands);
    check->numbers = allocate(recording->command_count, sizeof *check->numbers);
    for (size_t i = 0; i < check->dag.node_count; i++) {
        const struct segue_segment *segment = check->dag.nodes[i].segment;
        if (!segment)
            continue;
        struct command *command = &check->commands[check->count];
        check->numbers[segment->index] = check->count++;
        command->permit = &check->dag.nodes[i];
        command->opaque = segue_segment_is_opaque(segment);
        uint32_t count = segue_segment_access_count(segment);
        command->touches = allocate(count, sizeof *command->touches);
        for (uint32_t k = 0; k < count; k++) {
            struct segue_command_access access = segue_segment_access(segment, k);
            if (access.range.length_bytes != 0)
                command->touches[command->touch_count++] = resolve(&access);
        }
    }
    check->words = (check->count + 63) / 64 + 1;
}

static bool touches_conflict(const struct touch *a, const struct touch *b, uint32_t flags)
{
    if (!a->writes && !b->writes)
        return false;
    if (a->slot == b->slot && a->object == b->object)
        return a->begin < b->end && b->begin < a->end;
    if (a->slot && b->slot && (flags & SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT) != 0)
        return false;
    return (a->slot || b->slot) && !a->constant && !b->constant;
}

static bool must_follow(const struct check *check, const struct command *a, const struct command *b)
{
    if (!segue_dag_is_ordered(a->permit, b->permit))
        return false;
    bool all = (check->flags & SEGUE_COMMAND_BUFFER_BARRIER_ORDER) != 0;
    bool conflict = all || a->opaque || b->opaque;
    for (uint32_t i = 0; i < a->touch_count && !conflict; i++) {
        for (uint32_t k = 0; k < b->touch_count && !conflict; k++)
            conflict = touches_conflict(&a->touches[i], &b->touches[k], check->flags);
    }
    return conflict;
}

/* ---- Sets of commands as bits ---------------------------------------------------------------- */

static bool has(const uint64_t *set, uint32_t command)
{
    return (set[command / 64] >> (command % 64)) & 1;
}

static void add(uint64_t *set, uint32_t command)
{
    set[command / 64] |= UINT64_C(1) << (command % 64);
}

static void join(uint64_t *set, const uint64_t *other, size_t words)
{
    for (size_t i = 0; i < words; i++)
        set[i] |= other[i];
}

static uint64_t size_of(const uint64_t *set, size_t words)
{
    uint64_t size = 0;
    for (size_t i = 0; i < words; i++)
        size += (uint64_t)__builtin_popcountll(set[i]);
    return size;
}

/** Per command all that it waits for, in a graph. */
static uint64_t *follow(const struct check *check, const struct order_graph *graph,
                        bool *out_complete)
{
    uint64_t *sets = allocate(graph->node_count * check->words, sizeof *sets);
    uint64_t *ordered = allocate(check->count * check->words, sizeof *ordered);
    uint64_t *seen = allocate(check->words, sizeof *seen);
    bool complete = true;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        uint64_t *set = sets + i * check->words;
        uint32_t count;
        const uint32_t *predecessors = graph->predecessors(graph->graph, i, &count);
        for (uint32_t k = 0; k < count; k++) {
            assert_true(predecessors[k] < i);
            join(set, sets + predecessors[k] * check->words, check->words);
        }
        const struct segue_segment *segment = graph->segment(graph->graph, i);
        if (!segment)
            continue;
        uint32_t number = check->numbers[segment->index];
        complete &= !has(seen, number);
        add(seen, number);
        join(ordered + number * check->words, set, check->words);
        // From here on the node's set is what leads to its successors.
        add(set, number);
    }
    *out_complete = complete && size_of(seen, check->words) == check->count;
    free(seen);
    free(sets);
    return ordered;
}

struct order_finding order_check(const struct segue_recording *recording, uint32_t flags,
                                 const struct order_graph *graph)
{
    struct order_finding finding = {.missing_from = UINT32_MAX, .missing_to = UINT32_MAX};
    struct check check = {.flags = flags};
    collect(&check, recording);
    uint64_t *ordered = follow(&check, graph, &finding.complete);
    uint64_t *needed = allocate(check.count * check.words, sizeof *needed);
    for (uint32_t b = 0; b < check.count; b++) {
        uint64_t *set = needed + b * check.words;
        for (uint32_t a = b; a-- > 0;) {
            if (has(set, a) || !must_follow(&check, &check.commands[a], &check.commands[b]))
                continue;
            add(set, a);
            join(set, needed + a * check.words, check.words);
            if (!has(ordered + b * check.words, a)) {
                finding.missing_from = check.commands[a].permit->segment->index;
                finding.missing_to = check.commands[b].permit->segment->index;
            }
        }
        finding.needed_pairs += size_of(set, check.words);
        finding.ordered_pairs += size_of(ordered + b * check.words, check.words);
    }
    free(needed);
    free(ordered);
    for (uint32_t i = 0; i < check.count; i++)
        free(check.commands[i].touches);
    free(check.commands);
    free(check.numbers);
    segue_dag_finish(&check.dag);
    return finding;
}
