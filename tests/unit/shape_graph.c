// SPDX-License-Identifier: Apache-2.0
#include "shape_graph.h"

#include "random_recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 128

void shape_graph_init(struct shape_graph *graph, segue_device *device)
{
    memset(graph, 0, sizeof *graph);
    graph->entries[1].declared.flags = SEGUE_ENTRY_GRID_DEPENDENCY;
    graph->executable.entries = graph->entries;
    graph->recording.device = device;
    graph->recording.label = "by hand";
    graph->depend.allocator = &device->allocator;
    graph->depend.nodes = graph->nodes;
    graph->depend.predecessors = graph->predecessors;
    graph->dispatches = calloc(SHAPE_GRAPH_MAX_NODES, sizeof *graph->dispatches);
    assert_non_null(graph->dispatches);
}

void shape_graph_finish(struct shape_graph *graph)
{
    free(graph->dispatches);
}

void shape_graph_clear(struct shape_graph *graph)
{
    graph->depend.node_count = 0;
    graph->depend.predecessor_count = 0;
    graph->depend.command_count = 0;
    graph->depend.edge_count = 0;
}

uint32_t shape_graph_add_order(struct shape_graph *graph)
{
    struct segue_depend *depend = &graph->depend;
    assert_true(depend->node_count < SHAPE_GRAPH_MAX_NODES);
    depend->nodes[depend->node_count] = (struct segue_depend_node){
        .first_predecessor = (uint32_t)depend->predecessor_count,
    };
    return (uint32_t)depend->node_count++;
}

uint32_t shape_graph_add(struct shape_graph *graph, uint32_t duration_ns, uint32_t blocks)
{
    uint32_t index = shape_graph_add_order(graph);
    graph->dispatches[index] = (struct segue_dispatch_segment){
        .base = {.kind = SEGUE_COMMAND_DISPATCH, .index = index, .duration_ns = duration_ns},
        .executable = &graph->executable,
        .grid = {blocks, 1, 1},
        .block = {THREADS, 1, 1},
    };
    graph->nodes[index].segment = &graph->dispatches[index].base;
    graph->depend.command_count++;
    return index;
}

void shape_graph_make_fill(struct shape_graph *graph, uint32_t command)
{
    struct segue_fill_segment *fill = (struct segue_fill_segment *)&graph->dispatches[command];
    fill->base.kind = SEGUE_COMMAND_FILL;
    fill->target = (struct segue_range){.object = 1, .length_bytes = SEGUE_WHOLE_SIZE};
}

void shape_graph_after(struct shape_graph *graph, uint32_t before)
{
    struct segue_depend *depend = &graph->depend;
    struct segue_depend_node *node = &depend->nodes[depend->node_count - 1];
    for (uint32_t i = 0; i < node->predecessor_count; i++) {
        if (depend->predecessors[node->first_predecessor + i] == before)
            return;
    }
    assert_true(depend->predecessor_count < SHAPE_GRAPH_MAX_EDGES);
    depend->predecessors[depend->predecessor_count++] = before;
    depend->edge_count++;
    depend->nodes[before].successor_count++;
    node->predecessor_count++;
}

void shape_graph_complete(struct shape_graph *graph)
{
    size_t count = graph->depend.node_count;
    for (uint32_t i = 0; i < count; i++) {
        if (graph->nodes[i].segment || graph->nodes[i].successor_count != 0)
            continue;
        shape_graph_add(graph, 1, 1);
        shape_graph_after(graph, i);
    }
}

void shape_graph_scopes(struct shape_graph *graph, uint32_t count, uint32_t width,
                        uint32_t duration_ns, uint32_t blocks)
{
    shape_graph_clear(graph);
    uint32_t first = 0;
    for (uint32_t done = 0; done < count; done += width) {
        uint32_t before = first;
        if (done > 0 && width > 1) {
            before = shape_graph_add_order(graph);
            for (uint32_t i = 0; i < width; i++)
                shape_graph_after(graph, first + i);
        }
        first = (uint32_t)graph->depend.node_count;
        for (uint32_t i = 0; i < width; i++) {
            shape_graph_add(graph, duration_ns, blocks);
            if (done > 0)
                shape_graph_after(graph, before);
        }
    }
}

void shape_graph_shared_scopes(struct shape_graph *graph, uint32_t count, uint32_t width,
                               uint32_t duration_ns)
{
    shape_graph_clear(graph);
    uint32_t list = 0;
    for (uint32_t i = 0; i < count; i++) {
        shape_graph_add(graph, duration_ns, 4);
        if (i < width)
            continue;
        struct segue_depend_node *node = &graph->nodes[i];
        if (i % width == 0) {
            list = node->first_predecessor;
            for (uint32_t k = 0; k < width; k++)
                shape_graph_after(graph, i - width + k);
            continue;
        }
        node->first_predecessor = list;
        node->predecessor_count = width;
        graph->depend.edge_count += width;
        for (uint32_t k = 0; k < width; k++)
            graph->nodes[graph->predecessors[list + k]].successor_count++;
    }
}

void shape_graph_towers(struct shape_graph *graph, uint32_t count, uint32_t height,
                        uint32_t duration_ns, bool by_tower)
{
    shape_graph_clear(graph);
    for (uint32_t i = 0; i < count * height; i++) {
        shape_graph_add(graph, duration_ns, 4);
        if (by_tower ? i % height != 0 : i >= count)
            shape_graph_after(graph, by_tower ? i - 1 : i - count);
    }
}

void shape_graph_lattice(struct shape_graph *graph, uint32_t side, uint32_t duration_ns)
{
    shape_graph_clear(graph);
    for (uint32_t i = 0; i < side * side; i++) {
        shape_graph_add(graph, duration_ns, 4);
        if (i >= side)
            shape_graph_after(graph, i - side);
        if (i % side != 0)
            shape_graph_after(graph, i - 1);
    }
}

void shape_graph_random(struct shape_graph *graph, uint64_t seed, uint32_t most)
{
    shape_graph_clear(graph);
    uint64_t state = seed;
    uint32_t count = 1 + random_below(&state, most);
    for (uint32_t i = 0; i < count; i++) {
        bool is_order = i >= 2 && random_below(&state, 4) == 0;
        uint32_t wanted = random_below(&state, 5) + 2 * is_order;
        if (is_order) {
            shape_graph_add_order(graph);
        } else {
            uint32_t duration_ns = random_below(&state, 3) * random_below(&state, 5000);
            shape_graph_add(graph, duration_ns, 1 + random_below(&state, 4000));
        }
        for (uint32_t k = 0; k < wanted && i > 0; k++)
            shape_graph_after(graph, random_below(&state, i));
        for (uint32_t k = 0; is_order && graph->nodes[i].predecessor_count < 2; k++)
            shape_graph_after(graph, k);
    }
    shape_graph_complete(graph);
}

/** Sets of nodes, one a row. */
struct sets {
    uint64_t *words;
    size_t stride;
};

static struct sets make_sets(size_t count, size_t bits)
{
    struct sets sets = {.stride = bits / 64 + 1};
    sets.words = calloc(count + 1, sets.stride * sizeof *sets.words);
    assert_non_null(sets.words);
    return sets;
}

static void set_add(struct sets *sets, size_t row, size_t bit)
{
    sets->words[row * sets->stride + bit / 64] |= UINT64_C(1) << (bit % 64);
}

static bool set_has(const struct sets *sets, size_t row, size_t bit)
{
    return (sets->words[row * sets->stride + bit / 64] >> (bit % 64) & 1) != 0;
}

static void set_join(struct sets *sets, size_t row, size_t other)
{
    for (size_t i = 0; i < sets->stride; i++)
        sets->words[row * sets->stride + i] |= sets->words[other * sets->stride + i];
}

/** Per node all nodes before it, commands and order nodes. */
static struct sets find_needed(const struct segue_depend *depend)
{
    struct sets needed = make_sets(depend->node_count, depend->node_count);
    for (size_t i = 0; i < depend->node_count; i++) {
        const struct segue_depend_node *node = &depend->nodes[i];
        for (uint32_t k = 0; k < node->predecessor_count; k++) {
            uint32_t before = depend->predecessors[node->first_predecessor + k];
            set_join(&needed, i, before);
            set_add(&needed, i, before);
        }
    }
    return needed;
}

/** Per plan node all plan nodes before it; fails on edges that are out of order
 * or follow from others. */
static struct sets find_paths(const struct segue_plan *plan)
{
    struct sets paths = make_sets(plan->node_count, plan->node_count);
    for (size_t i = 0; i < plan->node_count; i++) {
        const struct segue_plan_node *node = &plan->nodes[i];
        const uint32_t *dependencies = plan->dependencies + node->first_dependency;
        for (uint32_t k = 0; k < node->dependency_count; k++) {
            assert_true(dependencies[k] < i);
            set_join(&paths, i, dependencies[k]);
        }
        for (uint32_t k = 0; k < node->dependency_count; k++) {
            assert_false(set_has(&paths, i, dependencies[k]));
            for (uint32_t other = 0; other < k; other++)
                assert_int_not_equal(dependencies[k], dependencies[other]);
        }
        for (uint32_t k = 0; k < node->dependency_count; k++)
            set_add(&paths, i, dependencies[k]);
    }
    return paths;
}

static struct shape_counts count(const struct segue_plan *plan, const struct sets *paths)
{
    struct shape_counts counts = {.edges = (uint32_t)plan->edge_count};
    uint32_t *after = calloc(plan->node_count + 1, sizeof *after);
    assert_non_null(after);
    size_t tails[SEGUE_MAX_LANES];
    bool used[SEGUE_MAX_LANES] = {false};
    size_t sum = 0;
    for (size_t i = 0; i < plan->node_count; i++) {
        const struct segue_plan_node *node = &plan->nodes[i];
        assert_true(node->lane < plan->lane_count);
        if (used[node->lane])
            assert_true(set_has(paths, i, tails[node->lane]));
        counts.lanes += !used[node->lane];
        used[node->lane] = true;
        tails[node->lane] = i;
        counts.joins += node->segment == NULL;
        sum += node->dependency_count;
        for (uint32_t k = 0; k < node->dependency_count; k++) {
            uint32_t before = plan->dependencies[node->first_dependency + k];
            after[before]++;
            counts.crossing += plan->nodes[before].lane != node->lane;
            // The driver continues the stream of the first one.
            assert_true(k == 0 || plan->nodes[before].lane != node->lane);
        }
    }
    assert_int_equal(sum, plan->edge_count);
    for (size_t i = 0; i < plan->node_count; i++) {
        counts.most_after = after[i] > counts.most_after ? after[i] : counts.most_after;
    }
    free(after);
    return counts;
}

struct shape_counts shape_graph_check(const struct shape_graph *graph,
                                      const struct segue_plan *plan)
{
    const struct segue_depend *depend = &graph->depend;
    size_t *places = malloc((depend->node_count + 1) * sizeof *places);
    assert_non_null(places);
    memset(places, 0xFF, (depend->node_count + 1) * sizeof *places);
    for (size_t i = 0; i < plan->node_count; i++) {
        if (!plan->nodes[i].segment)
            continue;
        uint32_t index = plan->nodes[i].segment->index;
        assert_true(index < depend->node_count && places[index] == SIZE_MAX);
        places[index] = i;
    }
    struct sets needed = find_needed(depend);
    struct sets paths = find_paths(plan);
    for (size_t to = 0; to < depend->node_count; to++) {
        if (!depend->nodes[to].segment)
            continue;
        assert_true(places[to] != SIZE_MAX);
        for (size_t from = 0; from < to; from++) {
            if (depend->nodes[from].segment && set_has(&needed, to, from))
                assert_true(set_has(&paths, places[to], places[from]));
        }
    }
    struct shape_counts counts = count(plan, &paths);
    free(needed.words);
    free(paths.words);
    free(places);
    return counts;
}
