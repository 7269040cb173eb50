// SPDX-License-Identifier: Apache-2.0
// The shape pass alone: what it makes of known patterns, by the H200's cost
// model and by others, and what holds for random graphs.
#include "random_recording.h"
#include "shape_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EMPTY_NS 1
#define SHORT_NS 3000
#define LONG_NS 20000
#define FILLING_BLOCKS 4000

static struct null_allocator allocator;
static segue_device *device;
static struct shape_graph graph;

static int setup(void **state)
{
    (void)state;
    null_allocator_init(&allocator);
    const struct segue_device_params params = {.allocator = &allocator.allocator};
    device = null_device_open(&params);
    shape_graph_init(&graph, device);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    shape_graph_finish(&graph);
    segue_device_destroy(device);
    assert_int_equal(allocator.live, 0);
    return 0;
}

static struct segue_shape_options h200(void)
{
    static struct segue_cost_model model;
    model = segue_cost_model_h200;
    model.multiprocessor_count = 132;
    return (struct segue_shape_options){.model = &model};
}

static struct shape_counts shape(const struct segue_shape_options *options)
{
    struct segue_plan plan = {0};
    assert_int_equal(segue_shape_build(&graph.recording, &graph.depend, options, &plan), SEGUE_OK);
    struct shape_counts counts = shape_graph_check(&graph, &plan);
    segue_plan_finish(&plan);
    return counts;
}

static struct shape_counts shape_scopes(uint32_t width, uint32_t duration_ns, uint32_t blocks)
{
    const struct segue_shape_options options = h200();
    shape_graph_scopes(&graph, width * 16, width, duration_ns, blocks);
    return shape(&options);
}

/** A graph with more edges than are wanted is left where that shows. */
static void test_edge_limit(void **state)
{
    (void)state;
    struct segue_shape_options options = h200();
    shape_graph_scopes(&graph, 16 * 16, 16, 20000, 4);
    struct segue_plan plan = {0};
    assert_int_equal(segue_shape_build(&graph.recording, &graph.depend, &options, &plan), SEGUE_OK);
    const size_t edge_count = plan.edge_count;
    const size_t node_count = plan.node_count;
    assert_true(edge_count > node_count);
    segue_plan_finish(&plan);
    options.edge_limit = edge_count;
    const struct shape_counts counts = shape(&options);
    assert_int_equal(counts.edges, edge_count);
    for (uint64_t limit = 1; limit < edge_count; limit += 7) {
        options.edge_limit = limit;
        assert_int_equal(segue_shape_build(&graph.recording, &graph.depend, &options, &plan),
                         SEGUE_OK);
        assert_true(plan.edge_count > limit);
        if (limit < edge_count / 2)
            assert_true(plan.node_count < node_count * 3 / 4);
        segue_plan_finish(&plan);
    }
}

static void test_nothing(void **state)
{
    (void)state;
    const struct segue_shape_options options = h200();
    shape_graph_clear(&graph);
    struct segue_plan plan = {0};
    assert_int_equal(segue_shape_build(&graph.recording, &graph.depend, &options, &plan), SEGUE_OK);
    assert_int_equal(plan.node_count, 0);
    segue_plan_finish(&plan);
}

static void test_line(void **state)
{
    (void)state;
    struct shape_counts counts = shape_scopes(1, SHORT_NS, 4);
    assert_int_equal(counts.lanes, 1);
    assert_int_equal(counts.edges, 15);
    assert_int_equal(counts.joins, 0);
}

/** Lanes wait for each other directly where they are few: l * l edges a barrier, and a root that
 *  all lanes start behind. */
static void test_small_scopes(void **state)
{
    (void)state;
    struct shape_counts counts = shape_scopes(2, SHORT_NS, 4);
    assert_int_equal(counts.lanes, 2);
    assert_int_equal(counts.joins, 0);
    assert_int_equal(counts.edges, 15 * 4);
    counts = shape_scopes(4, SHORT_NS, 4);
    assert_int_equal(counts.lanes, 4);
    assert_int_equal(counts.joins, 1);
    assert_int_equal(counts.edges, 15 * 16 + 4);
    counts = shape_scopes(32, EMPTY_NS, 4);
    assert_int_equal(counts.lanes, 5);
    assert_int_equal(counts.joins, 1);
    assert_int_equal(counts.edges, 16 * (32 - 5) + 15 * 25 + 5);
    assert_int_equal(counts.most_after, 5);
}

/** Where lanes are many, joins between them, so that no node has more than six successors; before
 *  it all a root, behind it all a leaf. */
static void test_wide_scopes(void **state)
{
    (void)state;
    struct shape_counts counts = shape_scopes(8, SHORT_NS, 4);
    assert_int_equal(counts.lanes, 8);
    // Two joins a barrier, each behind 8 and before 4; a root and two joins behind that. A leaf
    // does not pay yet.
    assert_int_equal(counts.joins, 15 * 2 + 3);
    assert_int_equal(counts.edges, 15 * (2 * 8 + 8) + 2 + 8);
    assert_int_equal(counts.most_after, 4);
    counts = shape_scopes(32, LONG_NS, 4);
    assert_int_equal(counts.lanes, 32);
    // One join behind all, six behind that.
    assert_int_equal(counts.joins, 15 * 7 + 7 + 1);
    assert_int_equal(counts.edges, 15 * (32 + 6 + 32) + 6 + 32 + 32);
    assert_int_equal(counts.most_after, 6);
    counts = shape_scopes(32, SHORT_NS, 4);
    assert_in_range(counts.lanes, 16, 32);
    assert_in_range(counts.most_after, 4, 6);
    counts = shape_scopes(128, LONG_NS, 4);
    assert_in_range(counts.lanes, 100, 128);
}

/** Scopes look the same whether an order node or a shared list says so. */
static void test_shared_lists(void **state)
{
    (void)state;
    const struct segue_shape_options options = h200();
    for (uint32_t width = 2; width <= 8; width++) {
        struct shape_counts expected = shape_scopes(width, SHORT_NS, 4);
        shape_graph_shared_scopes(&graph, width * 16, width, SHORT_NS);
        struct shape_counts counts = shape(&options);
        assert_int_equal(counts.lanes, expected.lanes);
        assert_int_equal(counts.joins, expected.joins);
        assert_int_equal(counts.edges, expected.edges);
    }
}

/** One command before many: what follows it is started through joins. */
static void test_fan_out(void **state)
{
    (void)state;
    const struct segue_shape_options options = h200();
    shape_graph_clear(&graph);
    shape_graph_add(&graph, SHORT_NS, 4);
    for (uint32_t i = 1; i <= 18; i++) {
        shape_graph_add(&graph, LONG_NS, 4);
        shape_graph_after(&graph, 0);
    }
    struct shape_counts counts = shape(&options);
    assert_int_equal(counts.lanes, 18);
    assert_int_equal(counts.most_after, 6);
    assert_int_equal(counts.joins, 3 + 1);
    assert_int_equal(counts.edges, 3 + 18 + 18);
}

/** Kernels that fill the device gain next to nothing from lanes. */
static void test_filling_kernels(void **state)
{
    (void)state;
    assert_in_range(shape_scopes(4, LONG_NS, FILLING_BLOCKS).lanes, 1, 2);
    assert_in_range(shape_scopes(32, LONG_NS, FILLING_BLOCKS).lanes, 1, 2);
}

/** Free chains never wait for each other, in whatever order they were recorded. */
static void test_towers(void **state)
{
    (void)state;
    const struct segue_shape_options options = h200();
    for (int by_tower = 0; by_tower < 2; by_tower++) {
        shape_graph_towers(&graph, 24, 40, LONG_NS, by_tower != 0);
        struct shape_counts counts = shape(&options);
        assert_int_equal(counts.lanes, 24);
        // A root, four joins behind it, a leaf.
        assert_int_equal(counts.joins, 6);
        assert_int_equal(counts.edges, 24 * 39 + 4 + 24 + 24);
    }
    // Six to a lane do as well for empty ones.
    shape_graph_towers(&graph, 24, 40, EMPTY_NS, false);
    struct shape_counts counts = shape(&options);
    assert_int_equal(counts.lanes, 6);
    assert_int_equal(counts.edges, 6 * 159 + 6);
}

static void test_lattice(void **state)
{
    (void)state;
    const struct segue_shape_options options = h200();
    shape_graph_lattice(&graph, 32, LONG_NS);
    struct shape_counts counts = shape(&options);
    assert_int_equal(counts.lanes, 32);
    assert_int_equal(counts.joins, 0);
    // One of the two edges of each command crosses.
    assert_in_range(counts.crossing, 31 * 31, 31 * 32);
}

static void test_model_is_heeded(void **state)
{
    (void)state;
    struct segue_cost_model model = *h200().model;
    const struct segue_shape_options options = {.model = &model};
    shape_graph_scopes(&graph, 512, 32, SHORT_NS, 4);
    model.max_lane_count = 5;
    assert_int_equal(shape(&options).lanes, 5);
    model.max_lane_count = 0;
    assert_int_equal(shape(&options).lanes, 1);
    model.max_lane_count = UINT32_MAX;
    model.join_ns = 1000000;
    assert_int_equal(shape(&options).joins, 1);
    model = *h200().model;
    model.fan_out_limit = UINT32_MAX;
    struct shape_counts unlimited = shape(&options);
    assert_in_range(unlimited.most_after, 16, 32);
    assert_int_equal(unlimited.joins, 15 + 2);
    model.launch_root_ns = 0;
    model.launch_leaf_ns = 0;
    assert_int_equal(shape(&options).joins, 15);
    model = *h200().model;
    model.issue_ns = 10000;
    assert_int_equal(shape(&options).lanes, 1);
    // What is unknown takes as long as the model says.
    shape_graph_scopes(&graph, 512, 32, 0, 4);
    model = *h200().model;
    model.unknown_duration_ns = LONG_NS;
    uint32_t many = shape(&options).lanes;
    model.unknown_duration_ns = EMPTY_NS;
    assert_true(shape(&options).lanes < many);
    memset(&model, 0, sizeof model);
    (void)shape(&options);
    memset(&model, 0xFF, sizeof model);
    (void)shape(&options);
}

static void test_random_graphs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4000; seed++) {
        uint64_t random = seed * 77;
        struct segue_cost_model model = {
            .node_ns = random_below(&random, 1000),
            .lane_ns = random_below(&random, 200),
            .issue_ns = random_below(&random, 300),
            .wait_ns = random_below(&random, 2000),
            .edge_ns = random_below(&random, 60),
            .join_ns = random_below(&random, 2000),
            .fan_out_limit = random_below(&random, 10),
            .fan_out_ns = random_below(&random, 2000),
            .launch_root_ns = random_below(&random, 3000),
            .launch_leaf_ns = random_below(&random, 3000),
            .max_lane_count = 1 + random_below(&random, 20),
            .unknown_duration_ns = random_below(&random, 5000),
            .threads_per_multiprocessor = 2048,
            .blocks_per_multiprocessor = 32,
            .multiprocessor_count = 132,
        };
        const struct segue_shape_options options = {
            .model = &model,
            .order_seed = seed % 3,
        };
        shape_graph_random(&graph, seed, seed % 10 == 0 ? 200 : 50);
        (void)shape(&options);
    }
}

/** Nodes in the order of their longest path to the end. */
static void test_critical_path_first(void **state)
{
    (void)state;
    const struct segue_shape_options options = h200();
    shape_graph_clear(&graph);
    for (uint32_t i = 0; i < 8; i++)
        shape_graph_add(&graph, SHORT_NS, 1);
    for (uint32_t i = 0; i < 8; i++) {
        shape_graph_add(&graph, LONG_NS * (i + 1), 1);
        shape_graph_after(&graph, i);
    }
    struct segue_plan plan = {0};
    assert_int_equal(segue_shape_build(&graph.recording, &graph.depend, &options, &plan), SEGUE_OK);
    (void)shape_graph_check(&graph, &plan);
    uint32_t last = 15;
    for (size_t i = 0; i < plan.node_count; i++) {
        const struct segue_segment *segment = plan.nodes[i].segment;
        if (!segment || segment->index < 8)
            continue;
        assert_int_equal(segment->index, last);
        last--;
    }
    assert_int_equal(last, 7);
    segue_plan_finish(&plan);
}

static void test_random_orders(void **state)
{
    (void)state;
    struct segue_shape_options options = h200();
    shape_graph_scopes(&graph, 64, 8, SHORT_NS, 4);
    uint32_t differing = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        options.order_seed = seed;
        struct segue_plan plan = {0};
        struct segue_plan again = {0};
        assert_int_equal(segue_shape_build(&graph.recording, &graph.depend, &options, &plan),
                         SEGUE_OK);
        assert_int_equal(segue_shape_build(&graph.recording, &graph.depend, &options, &again),
                         SEGUE_OK);
        (void)shape_graph_check(&graph, &plan);
        assert_int_equal(plan.node_count, again.node_count);
        for (size_t i = 0; i < plan.node_count; i++)
            assert_ptr_equal(plan.nodes[i].segment, again.nodes[i].segment);
        size_t first = 0;
        while (!plan.nodes[first].segment)
            first++;
        differing += plan.nodes[first].segment->index != 0;
        segue_plan_finish(&plan);
        segue_plan_finish(&again);
    }
    assert_in_range(differing, 10, 20);
}

/* ---- Programmatic edges
 * ------------------------------------------------------------------------ */

/** A line of four, whose kinds are the caller's, and the types of the edges
 * into the last three. */
static void check_types(const bool *waits, const bool *fills, bool supported,
                        const enum segue_graph_edge_type *expected)
{
    struct segue_shape_options options = h200();
    options.programmatic_edges = supported;
    shape_graph_scopes(&graph, 4, 1, SHORT_NS, 4);
    for (uint32_t i = 0; i < 4; i++) {
        graph.dispatches[i].entry_point = waits[i];
        if (fills[i])
            shape_graph_make_fill(&graph, i);
    }
    struct segue_plan plan = {0};
    assert_int_equal(segue_shape_build(&graph.recording, &graph.depend, &options, &plan), SEGUE_OK);
    (void)shape_graph_check(&graph, &plan);
    for (uint32_t i = 1; i < 4; i++)
        assert_int_equal(segue_plan_dependency_type(&plan, &plan.nodes[i], 0), expected[i - 1]);
    segue_plan_finish(&plan);
}

#define FULL SEGUE_GRAPH_EDGE_FULL
#define EARLY SEGUE_GRAPH_EDGE_PROGRAMMATIC

static void test_programmatic_edges(void **state)
{
    (void)state;
    const bool kernels[4] = {false};
    const bool fill_between[4] = {false, true, false, false};
    const bool all[4] = {true, true, true, true};
    const bool none[4] = {false};
    const bool third[4] = {false, false, true, false};
    const bool last_two[4] = {false, false, true, true};
    const enum segue_graph_edge_type full[3] = {FULL, FULL, FULL};
    check_types(all, kernels, true, (enum segue_graph_edge_type[]){EARLY, EARLY, EARLY});
    check_types(all, kernels, false, full);
    check_types(none, kernels, true, full);
    check_types(third, kernels, true, (enum segue_graph_edge_type[]){FULL, EARLY, FULL});
    check_types(last_two, kernels, true, (enum segue_graph_edge_type[]){FULL, EARLY, EARLY});
    check_types(last_two, fill_between, true, (enum segue_graph_edge_type[]){FULL, FULL, EARLY});
}

/** One predecessor that is no kernel of the caller's makes all edges full; so
 * does a join. */
static void test_programmatic_edges_all_or_none(void **state)
{
    (void)state;
    struct segue_shape_options options = h200();
    options.programmatic_edges = true;
    for (int fill = 0; fill < 2; fill++) {
        shape_graph_scopes(&graph, 4, 2, SHORT_NS, 4);
        for (size_t i = 0; i < graph.depend.node_count; i++)
            graph.dispatches[i].entry_point = 1;
        if (fill)
            shape_graph_make_fill(&graph, 0);
        struct segue_plan plan = {0};
        assert_int_equal(segue_shape_build(&graph.recording, &graph.depend, &options, &plan),
                         SEGUE_OK);
        assert_int_equal(plan.node_count, 4);
        for (uint32_t i = 2; i < 4; i++) {
            for (uint32_t k = 0; k < plan.nodes[i].dependency_count; k++)
                assert_int_equal(segue_plan_dependency_type(&plan, &plan.nodes[i], k),
                                 fill ? FULL : EARLY);
        }
        segue_plan_finish(&plan);
    }
    shape_graph_scopes(&graph, 64, 32, LONG_NS, 4);
    for (size_t i = 0; i < graph.depend.node_count; i++)
        graph.dispatches[i].entry_point = 1;
    struct segue_plan plan = {0};
    assert_int_equal(segue_shape_build(&graph.recording, &graph.depend, &options, &plan), SEGUE_OK);
    assert_in_range(shape_graph_check(&graph, &plan).joins, 1, 20);
    for (size_t i = 0; i < plan.node_count; i++) {
        const struct segue_plan_node *node = &plan.nodes[i];
        for (uint32_t k = 0; k < node->dependency_count; k++) {
            bool kernels =
                node->segment && plan.nodes[plan.dependencies[node->first_dependency + k]].segment;
            assert_int_equal(segue_plan_dependency_type(&plan, node, k), kernels ? EARLY : FULL);
        }
    }
    segue_plan_finish(&plan);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    struct segue_shape_options options = h200();
    options.programmatic_edges = true;
    int64_t live = allocator.live;
    for (int what = 0; what < 3; what++) {
        if (what == 0)
            shape_graph_scopes(&graph, 128, 32, SHORT_NS, 4);
        else
            shape_graph_random(&graph, 10, 300);
        options.order_seed = what == 2;
        for (size_t i = 0; i < graph.depend.node_count; i++)
            graph.dispatches[i].entry_point = what == 1;
        bool failed = true;
        uint64_t nth = 1;
        for (; failed; nth++) {
            struct segue_plan plan = {0};
            null_allocator_fail(&allocator, nth, false);
            segue_status status =
                segue_shape_build(&graph.recording, &graph.depend, &options, &plan);
            failed = allocator.failed != 0;
            null_allocator_fail(&allocator, 0, false);
            assert_int_equal(status, failed ? SEGUE_OUT_OF_HOST_MEMORY : SEGUE_OK);
            if (status == SEGUE_OK)
                segue_plan_finish(&plan);
            assert_int_equal(allocator.live, live);
        }
        assert_in_range(nth, 6, 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_small_scopes),
        cmocka_unit_test(test_wide_scopes),
        cmocka_unit_test(test_edge_limit),
        cmocka_unit_test(test_shared_lists),
        cmocka_unit_test(test_fan_out),
        cmocka_unit_test(test_filling_kernels),
        cmocka_unit_test(test_towers),
        cmocka_unit_test(test_lattice),
        cmocka_unit_test(test_model_is_heeded),
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_critical_path_first),
        cmocka_unit_test(test_random_orders),
        cmocka_unit_test(test_programmatic_edges),
        cmocka_unit_test(test_programmatic_edges_all_or_none),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
