// SPDX-License-Identifier: Apache-2.0
// The shape of graphs: plans and the DAG view against a brute-force oracle; joins; random orders.
#include "order_check.h"
#include "random_recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct random_world world;

static int setup(void **state)
{
    (void)state;
    random_world_open(&world);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    random_world_close(&world);
    return 0;
}

/** What holds for every plan: dependencies are of earlier nodes, each once; lanes are chains. */
static void check_shape(const struct segue_plan *plan)
{
    size_t edges = 0;
    for (size_t i = 0; i < plan->node_count; i++) {
        const struct segue_plan_node *node = &plan->nodes[i];
        assert_true(node->lane < plan->lane_count);
        edges += node->dependency_count;
        for (uint32_t k = 0; k < node->dependency_count; k++) {
            uint32_t dependency = plan->dependencies[node->first_dependency + k];
            assert_true(dependency < i);
            for (uint32_t other = 0; other < k; other++)
                assert_int_not_equal(dependency,
                                     plan->dependencies[node->first_dependency + other]);
        }
    }
    assert_int_equal(edges, plan->edge_count);
}

/** Every two commands that the flags say must be ordered have a path, by a check that knows only
 *  the recording; with the order of barriers kept, also by the models. */
static void check_graph(const struct random_recording *recording, uint32_t flags,
                        uint64_t order_seed)
{
    struct segue_recording *recorded = recording->command_buffer->recording;
    recorded->flags = flags;
    struct segue_plan plan;
    assert_int_equal(segue_plan_build(recorded, SEGUE_EXECUTION_GRAPH, order_seed, &plan),
                     SEGUE_OK);
    check_shape(&plan);
    const struct order_graph graph = order_graph_of_plan(&plan);
    struct order_finding finding = order_check(recorded, flags, &graph);
    assert_true(finding.complete);
    assert_int_equal(finding.missing_from, UINT32_MAX);
    segue_plan_finish(&plan);
    recorded->flags = 0;
}

static void check_stream(const struct random_recording *recording, uint32_t flags,
                         uint64_t order_seed)
{
    struct segue_recording *recorded = recording->command_buffer->recording;
    recorded->flags = flags;
    struct segue_plan plan;
    assert_int_equal(segue_plan_build(recorded, SEGUE_EXECUTION_STREAM, order_seed, &plan),
                     SEGUE_OK);
    assert_int_equal(plan.node_count, recording->work_count);
    assert_int_equal(plan.dependency_count, 0);
    for (size_t i = 0; i < plan.node_count; i++) {
        assert_non_null(plan.nodes[i].segment);
        assert_int_equal(plan.nodes[i].dependency_count, 0);
        if (order_seed == 0)
            assert_int_equal(random_recording_work(recording, plan.nodes[i].segment->index), i);
    }
    // As the chain that a stream makes of it.
    uint32_t *chain = malloc((plan.node_count + 1) * sizeof *chain);
    assert_non_null(chain);
    struct segue_plan as_graph = plan;
    as_graph.dependencies = chain;
    for (uint32_t i = 1; i < plan.node_count; i++) {
        chain[i] = i - 1;
        as_graph.nodes[i].first_dependency = i;
        as_graph.nodes[i].dependency_count = 1;
    }
    const struct order_graph graph = order_graph_of_plan(&as_graph);
    struct order_finding finding = order_check(recorded, flags, &graph);
    assert_true(finding.complete);
    assert_int_equal(finding.missing_from, UINT32_MAX);
    free(chain);
    segue_plan_finish(&plan);
    recorded->flags = 0;
}

/** The DAG view: sorted edges, one node a command. */
static void check_view(const struct random_recording *recording)
{
    struct order_matrix expected;
    struct order_matrix reduced;
    struct order_matrix edges;
    oracle_order(recording, &expected);
    oracle_reduce(&expected, recording->work_count, &reduced);
    memset(&edges, 0, sizeof edges);
    struct segue_graph_view view;
    recording->command_buffer->flags |= SEGUE_COMMAND_BUFFER_BARRIER_ORDER;
    assert_int_equal(
        segue_command_buffer_get_graph(recording->command_buffer, SEGUE_GRAPH_STAGE_DAG, &view),
        SEGUE_OK);
    assert_int_equal(view.node_count, recording->work_count);
    for (uint32_t i = 0; i < view.node_count; i++)
        assert_int_equal(random_recording_work(recording, view.nodes[i].command), i);
    for (uint32_t i = 0; i < view.edge_count; i++) {
        const struct segue_graph_edge *edge = &view.edges[i];
        assert_true(edge->from < view.node_count && edge->to < view.node_count);
        assert_int_equal(edge->type, SEGUE_GRAPH_EDGE_FULL);
        edges.ordered[edge->from][edge->to] = true;
        if (i > 0)
            assert_true(edge[-1].to < edge->to ||
                        (edge[-1].to == edge->to && edge[-1].from < edge->from));
    }
    // No pair that is not ordered, and all that nothing implies.
    for (uint32_t a = 0; a < recording->work_count; a++) {
        for (uint32_t b = 0; b < recording->work_count; b++) {
            assert_true(!edges.ordered[a][b] || expected.ordered[a][b]);
            assert_true(!reduced.ordered[a][b] || edges.ordered[a][b]);
        }
    }
}

static void check_random(const struct random_shape *shape, uint64_t seeds)
{
    static const uint32_t flags[] = {
        0,
        SEGUE_COMMAND_BUFFER_BARRIER_ORDER,
        SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT,
    };
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct random_recording recording;
        random_recording_create(&world, seed, shape, &recording);
        for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
            check_graph(&recording, flags[i], 0);
            check_graph(&recording, flags[i], seed);
            check_stream(&recording, flags[i], 0);
            check_stream(&recording, flags[i], seed + 1000);
        }
        // Beyond 16 partials order is added; test_dag.c has those.
        if (recording.partial_count < 16)
            check_view(&recording);
        random_recording_destroy(&recording);
    }
}

static void test_random_recordings(void **state)
{
    (void)state;
    const struct random_shape full = {.items = 30, .full = 30};
    const struct random_shape mixed = {.items = 26, .full = 5, .partial = 18, .event = 10};
    const struct random_shape slots = {.items = 26, .full = 3, .partial = 20, .slots = true};
    const struct random_shape wide = {.items = 50, .full = 4, .partial = 3};
    check_random(&full, 200);
    check_random(&mixed, 800);
    check_random(&slots, 400);
    check_random(&wide, 200);
}

/* ---- Recordings by hand ---------------------------------------------------------------------- */

static segue_command_buffer *begin(enum segue_execution_mode mode)
{
    const struct segue_command_buffer_params params = {.mode = mode, .label = "by hand"};
    segue_command_buffer *command_buffer;
    assert_int_equal(segue_command_buffer_create(world.device, &params, &command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    return command_buffer;
}

static void add_fills(segue_command_buffer *command_buffer, uint32_t count)
{
    const struct segue_buffer_ref ref = {.buffer = world.buffers[0], .length_bytes = 16};
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(segue_cmd_fill(command_buffer, ref, 0, 1), SEGUE_OK);
}

static void add_barrier(segue_command_buffer *command_buffer)
{
    assert_int_equal(segue_cmd_barrier(command_buffer, NULL), SEGUE_OK);
}

/** Dispatches that touch nothing and take their time. */
static void add_long_dispatches(segue_command_buffer *command_buffer, uint32_t count)
{
    const struct segue_dispatch dispatch = {
        .executable = world.executable,
        .grid = {1, 1, 1},
        .duration_ns = 20000,
    };
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(segue_cmd_dispatch(command_buffer, &dispatch), SEGUE_OK);
}

/** Two scopes, in an order that only the flag keeps. */
static void check_layers(uint32_t flags, uint32_t before, uint32_t after, uint64_t most_edges)
{
    const struct segue_command_buffer_params params = {
        .mode = SEGUE_EXECUTION_GRAPH,
        .flags = flags,
        .label = "layers",
    };
    segue_command_buffer *command_buffer;
    assert_int_equal(segue_command_buffer_create(world.device, &params, &command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    add_long_dispatches(command_buffer, before);
    add_barrier(command_buffer);
    add_long_dispatches(command_buffer, after);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct segue_plan plan;
        assert_int_equal(
            segue_plan_build(command_buffer->recording, SEGUE_EXECUTION_GRAPH, seed, &plan),
            SEGUE_OK);
        check_shape(&plan);
        assert_in_range(plan.edge_count, 1, most_edges);
        const struct order_graph graph = order_graph_of_plan(&plan);
        struct order_finding finding = order_check(command_buffer->recording, flags, &graph);
        assert_true(finding.complete);
        assert_int_equal(finding.missing_from, UINT32_MAX);
        if (flags != 0)
            assert_int_equal(finding.needed_pairs, (uint64_t)before * after);
        else
            assert_int_equal(finding.needed_pairs, 0);
        segue_plan_finish(&plan);
    }
    segue_command_buffer_destroy(command_buffer);
}

static void test_layers(void **state)
{
    (void)state;
    const uint32_t flags = SEGUE_COMMAND_BUFFER_BARRIER_ORDER;
    check_layers(flags, 1, 300, 1000);
    check_layers(flags, 300, 1, 1000);
    check_layers(flags, 6, 6, 60);
    check_layers(flags, 33, 2, 160);
    check_layers(flags, 300, 300, 1800);
    // Nothing depends on anything.
    check_layers(0, 300, 300, 1000);
}

static void test_random_orders_differ(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin(SEGUE_EXECUTION_STREAM);
    add_fills(command_buffer, 64);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    uint32_t first_is_last = 0;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct segue_plan plan;
        struct segue_plan again;
        assert_int_equal(
            segue_plan_build(command_buffer->recording, SEGUE_EXECUTION_STREAM, seed, &plan),
            SEGUE_OK);
        assert_int_equal(
            segue_plan_build(command_buffer->recording, SEGUE_EXECUTION_STREAM, seed, &again),
            SEGUE_OK);
        uint32_t moved = 0;
        for (uint32_t i = 0; i < 64; i++) {
            assert_ptr_equal(plan.nodes[i].segment, again.nodes[i].segment);
            moved += plan.nodes[i].segment->index != i;
        }
        assert_true(moved > 32);
        first_is_last += plan.nodes[63].segment->index == 0;
        segue_plan_finish(&plan);
        segue_plan_finish(&again);
    }
    // About 500 / 64 of them.
    assert_in_range(first_is_last, 1, 30);
    segue_command_buffer_destroy(command_buffer);
}

static void test_view_labels_and_states(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin(SEGUE_EXECUTION_STREAM);
    struct segue_graph_view view = {.node_count = 77};
    assert_int_equal(segue_command_buffer_get_graph(command_buffer, SEGUE_GRAPH_STAGE_DAG, &view),
                     SEGUE_INVALID_STATE);
    assert_int_equal(segue_cmd_begin_group(command_buffer, "outer"), SEGUE_OK);
    assert_int_equal(segue_cmd_begin_group(command_buffer, "inner"), SEGUE_OK);
    const struct segue_dispatch dispatch = {.executable = world.executable, .grid = {1, 1, 1}};
    assert_int_equal(segue_cmd_dispatch(command_buffer, &dispatch), SEGUE_OK);
    assert_int_equal(segue_cmd_end_group(command_buffer), SEGUE_OK);
    assert_int_equal(segue_cmd_end_group(command_buffer), SEGUE_OK);
    add_barrier(command_buffer);
    add_fills(command_buffer, 1);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);

    assert_int_equal(segue_command_buffer_get_graph(command_buffer, SEGUE_GRAPH_STAGE_GRAPH, &view),
                     SEGUE_INVALID_STATE);
    assert_int_equal(
        segue_command_buffer_get_graph(command_buffer, (enum segue_graph_stage)9, &view),
        SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_command_buffer_get_graph(NULL, SEGUE_GRAPH_STAGE_DAG, &view),
                     SEGUE_INVALID_ARGUMENT);
    assert_int_equal(view.node_count, 77);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(
            segue_command_buffer_get_graph(command_buffer, SEGUE_GRAPH_STAGE_DAG, &view), SEGUE_OK);
        assert_int_equal(view.node_count, 2);
        assert_int_equal(view.edge_count, 0);
        assert_string_equal(view.nodes[0].label, "outer/inner/nothing");
        assert_int_equal(view.nodes[0].command, 2);
        assert_int_equal(view.nodes[0].type, SEGUE_GRAPH_NODE_KERNEL);
        assert_string_equal(view.nodes[1].label, "fill");
        assert_int_equal(view.nodes[1].type, SEGUE_GRAPH_NODE_MEMSET);
    }
    segue_command_buffer_destroy(command_buffer);
}

/* ---- The GRAPH stage ---------------------------------------------------------------------------
 */

static const uint8_t *types_in_turn(struct segue_backend *backend,
                                    const struct segue_backend_program *program)
{
    static const uint8_t types[] = {SEGUE_GRAPH_NODE_KERNEL, SEGUE_GRAPH_NODE_MEMCPY,
                                    SEGUE_GRAPH_NODE_MEMSET};
    (void)backend;
    (void)program;
    return types;
}

static void test_view_of_the_graph(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin(SEGUE_EXECUTION_GRAPH);
    assert_int_equal(segue_cmd_begin_group(command_buffer, "group"), SEGUE_OK);
    add_fills(command_buffer, 2);
    assert_int_equal(segue_cmd_end_group(command_buffer), SEGUE_OK);
    add_barrier(command_buffer);
    add_fills(command_buffer, 1);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);

    const struct segue_backend_ops *plain = world.device->backend->ops;
    struct segue_backend_ops ops = *plain;
    ops.program_node_types = types_in_turn;
    world.device->backend->ops = &ops;
    struct segue_graph_view view;
    assert_int_equal(segue_command_buffer_get_graph(command_buffer, SEGUE_GRAPH_STAGE_GRAPH, &view),
                     SEGUE_OK);
    world.device->backend->ops = plain;
    assert_int_equal(view.node_count, 3);
    assert_int_equal(view.edge_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(view.edges[i].from, i);
        assert_int_equal(view.edges[i].to, 2);
        assert_int_equal(view.edges[i].type, SEGUE_GRAPH_EDGE_FULL);
        assert_int_not_equal(view.edges[i].reasons, 0);
    }
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(view.nodes[i].type, types_in_turn(NULL, NULL)[i]);
    assert_string_equal(view.nodes[1].label, "group/fill");
    assert_string_equal(view.nodes[2].label, "fill");
    segue_command_buffer_destroy(command_buffer);
}

/** A join stands for no command; edges are sorted in every order. */
static void test_view_of_joins(void **state)
{
    (void)state;
    enum { WIDTH = 9 };
    for (uint64_t seed = 0; seed < 8; seed++) {
        const struct segue_command_buffer_params params = {
            .mode = SEGUE_EXECUTION_GRAPH,
            .flags = SEGUE_COMMAND_BUFFER_BARRIER_ORDER,
            .order_seed = seed,
        };
        segue_command_buffer *command_buffer;
        assert_int_equal(segue_command_buffer_create(world.device, &params, &command_buffer),
                         SEGUE_OK);
        assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
        add_long_dispatches(command_buffer, WIDTH);
        add_barrier(command_buffer);
        add_long_dispatches(command_buffer, WIDTH);
        assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
        struct segue_graph_view view;
        assert_int_equal(
            segue_command_buffer_get_graph(command_buffer, SEGUE_GRAPH_STAGE_GRAPH, &view),
            SEGUE_OK);
        assert_true(view.node_count > 2 * WIDTH);
        assert_int_equal(view.lane_count, seed == 0 ? WIDTH : 2 * WIDTH);
        uint32_t joins = 0;
        for (uint32_t i = 0; i < view.node_count; i++) {
            assert_true(view.nodes[i].lane < view.lane_count);
            if (view.nodes[i].command != SEGUE_NO_COMMAND)
                continue;
            assert_string_equal(view.nodes[i].label, "join");
            joins++;
        }
        assert_int_equal(joins, view.node_count - 2 * WIDTH);
        for (uint32_t i = 1; i < view.edge_count; i++) {
            const struct segue_graph_edge *edge = &view.edges[i];
            assert_true(edge[-1].to < edge->to ||
                        (edge[-1].to == edge->to && edge[-1].from < edge->from));
        }
        segue_command_buffer_destroy(command_buffer);
    }
}

static void test_allocation_failures(void **state)
{
    (void)state;
    const struct random_shape shape = {.items = 50, .full = 10, .partial = 6, .event = 4};
    struct random_recording recording;
    random_recording_create(&world, 3, &shape, &recording);
    int64_t live = world.allocator.live;
    for (int what = 0; what < 4; what++) {
        bool failed = true;
        for (uint64_t nth = 1; failed; nth++) {
            struct segue_plan plan = {0};
            struct segue_graph_view view = {0};
            null_allocator_fail(&world.allocator, nth, false);
            segue_status status =
                what == 3
                    ? segue_command_buffer_get_graph(recording.command_buffer,
                                                     SEGUE_GRAPH_STAGE_DAG, &view)
                    : segue_plan_build(recording.command_buffer->recording,
                                       what == 0 ? SEGUE_EXECUTION_STREAM : SEGUE_EXECUTION_GRAPH,
                                       what == 2, &plan);
            failed = world.allocator.failed != 0;
            null_allocator_fail(&world.allocator, 0, false);
            assert_int_equal(status, failed ? SEGUE_OUT_OF_HOST_MEMORY : SEGUE_OK);
            if (status == SEGUE_OK && what != 3)
                segue_plan_finish(&plan);
            assert_int_equal(world.allocator.live, live + (what == 3 && !failed));
            assert_true(nth < 1000);
        }
    }
    random_recording_destroy(&recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_recordings),    cmocka_unit_test(test_layers),
        cmocka_unit_test(test_random_orders_differ), cmocka_unit_test(test_view_labels_and_states),
        cmocka_unit_test(test_view_of_the_graph),    cmocka_unit_test(test_view_of_joins),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
