// SPDX-License-Identifier: Apache-2.0
// The shape of graphs: plans and the DAG view against a brute-force oracle; joins; random orders.
#include "random_recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_DIRECT_EDGES 64

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

/** What holds for every plan: each command once, dependencies earlier and once, joins only where
 *  they replace many edges. Returns the number of joins. */
static uint32_t check_shape(const struct segue_plan *plan, uint32_t work_count)
{
    uint32_t works = 0;
    uint32_t joins = 0;
    uint32_t *successors = calloc(plan->node_count + 1, sizeof *successors);
    assert_non_null(successors);
    for (size_t i = 0; i < plan->node_count; i++) {
        const struct segue_plan_node *node = &plan->nodes[i];
        works += node->segment != NULL;
        joins += node->segment == NULL;
        for (uint32_t k = 0; k < node->dependency_count; k++) {
            uint32_t dependency = plan->dependencies[node->first_dependency + k];
            assert_true(dependency < i);
            successors[dependency]++;
            for (uint32_t other = 0; other < k; other++)
                assert_int_not_equal(dependency,
                                     plan->dependencies[node->first_dependency + other]);
        }
    }
    for (size_t i = 0; i < plan->node_count; i++) {
        const struct segue_plan_node *node = &plan->nodes[i];
        if (node->segment)
            continue;
        assert_true(node->dependency_count > 1);
        assert_true(successors[i] > 1);
        assert_true((uint64_t)node->dependency_count * successors[i] > MAX_DIRECT_EDGES);
    }
    assert_int_equal(works, work_count);
    free(successors);
    return joins;
}

static void plan_paths(const struct segue_plan *plan, const struct random_recording *recording,
                       struct order_matrix *out_paths, struct order_matrix *out_edges)
{
    memset(out_paths, 0, sizeof *out_paths);
    memset(out_edges, 0, sizeof *out_edges);
    bool *above = calloc(plan->node_count + 1, RANDOM_MAX_WORKS);
    assert_non_null(above);
    for (size_t i = 0; i < plan->node_count; i++) {
        const struct segue_plan_node *node = &plan->nodes[i];
        bool *mine = above + i * RANDOM_MAX_WORKS;
        uint32_t work = 0;
        if (node->segment)
            work = random_recording_work(recording, node->segment->index);
        for (uint32_t k = 0; k < node->dependency_count; k++) {
            uint32_t from = plan->dependencies[node->first_dependency + k];
            for (uint32_t w = 0; w < RANDOM_MAX_WORKS; w++)
                mine[w] |= above[from * RANDOM_MAX_WORKS + w];
            const struct segue_segment *segment = plan->nodes[from].segment;
            if (node->segment && segment)
                out_edges->ordered[random_recording_work(recording, segment->index)][work] = true;
        }
        if (!node->segment)
            continue;
        for (uint32_t w = 0; w < RANDOM_MAX_WORKS; w++)
            out_paths->ordered[w][work] = mine[w];
        mine[work] = true;
    }
    free(above);
}

static void check_graph(const struct random_recording *recording, uint64_t order_seed)
{
    struct segue_plan plan;
    assert_int_equal(segue_plan_build(recording->command_buffer->recording, SEGUE_EXECUTION_GRAPH,
                                      order_seed, &plan),
                     SEGUE_OK);
    uint32_t joins = check_shape(&plan, recording->work_count);
    struct order_matrix expected;
    struct order_matrix reduced;
    struct order_matrix paths;
    struct order_matrix edges;
    oracle_order(recording, &expected);
    oracle_reduce(&expected, recording->work_count, &reduced);
    plan_paths(&plan, recording, &paths, &edges);
    assert_memory_equal(&paths, &expected, sizeof paths);
    // Where there is no join, the plan has the fewest edges that give this order.
    if (joins == 0)
        assert_memory_equal(&edges, &reduced, sizeof edges);
    segue_plan_finish(&plan);
}

static void check_stream(const struct random_recording *recording, uint64_t order_seed)
{
    struct segue_plan plan;
    assert_int_equal(segue_plan_build(recording->command_buffer->recording, SEGUE_EXECUTION_STREAM,
                                      order_seed, &plan),
                     SEGUE_OK);
    assert_int_equal(plan.node_count, recording->work_count);
    assert_int_equal(plan.dependency_count, 0);
    struct order_matrix expected;
    oracle_order(recording, &expected);
    bool placed[RANDOM_MAX_WORKS] = {false};
    for (size_t i = 0; i < plan.node_count; i++) {
        assert_non_null(plan.nodes[i].segment);
        assert_int_equal(plan.nodes[i].dependency_count, 0);
        uint32_t work = random_recording_work(recording, plan.nodes[i].segment->index);
        assert_false(placed[work]);
        placed[work] = true;
        for (uint32_t w = 0; w < recording->work_count; w++)
            assert_true(!expected.ordered[w][work] || placed[w]);
        if (order_seed == 0)
            assert_int_equal(work, i);
    }
    segue_plan_finish(&plan);
}

/** The DAG view: the fewest edges, sorted, one node a command. */
static void check_view(const struct random_recording *recording)
{
    struct order_matrix expected;
    struct order_matrix reduced;
    struct order_matrix edges;
    oracle_order(recording, &expected);
    oracle_reduce(&expected, recording->work_count, &reduced);
    memset(&edges, 0, sizeof edges);
    struct segue_graph_view view;
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
    assert_memory_equal(&edges, &reduced, sizeof edges);
}

static void check_random(const struct random_shape *shape, uint64_t seeds)
{
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct random_recording recording;
        random_recording_create(&world, seed, shape, &recording);
        // Beyond 16 partials order is added; test_dag.c has those.
        if (recording.partial_count < 16) {
            check_graph(&recording, 0);
            check_graph(&recording, seed);
            check_stream(&recording, 0);
            check_stream(&recording, seed + 1000);
            check_view(&recording);
        }
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

/** Two scopes of `before` and `after` commands. */
static void check_layers(uint32_t before, uint32_t after, uint32_t joins, uint32_t edges)
{
    segue_command_buffer *command_buffer = begin(SEGUE_EXECUTION_GRAPH);
    add_fills(command_buffer, before);
    add_barrier(command_buffer);
    add_fills(command_buffer, after);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct segue_plan plan;
        assert_int_equal(
            segue_plan_build(command_buffer->recording, SEGUE_EXECUTION_GRAPH, seed, &plan),
            SEGUE_OK);
        assert_int_equal(check_shape(&plan, before + after), joins);
        assert_int_equal(plan.edge_count, edges);
        segue_plan_finish(&plan);
    }
    segue_command_buffer_destroy(command_buffer);
}

static void test_joins_only_where_edges_would_be_many(void **state)
{
    (void)state;
    check_layers(1, 1000, 0, 1000);
    check_layers(1000, 1, 0, 1000);
    check_layers(8, 8, 0, 64);
    check_layers(2, 32, 0, 64);
    check_layers(5, 13, 1, 18);
    check_layers(33, 2, 1, 35);
    check_layers(512, 512, 1, 1024);
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
        assert_int_equal(view.edge_count, 1);
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
    const struct segue_graph_edge edges[] = {{.from = 0, .to = 2}, {.from = 1, .to = 2}};
    assert_int_equal(view.node_count, 3);
    assert_int_equal(view.edge_count, 2);
    assert_memory_equal(view.edges, edges, sizeof edges);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(view.nodes[i].type, types_in_turn(NULL, NULL)[i]);
    assert_string_equal(view.nodes[1].label, "group/fill");
    assert_string_equal(view.nodes[2].label, "fill");
    segue_command_buffer_destroy(command_buffer);
}

/** Too many edges: a join, which stands for no command; edges are sorted in every order. */
static void test_view_of_a_join(void **state)
{
    (void)state;
    enum { WIDTH = 9 };
    for (uint64_t seed = 0; seed < 8; seed++) {
        segue_command_buffer *command_buffer = begin(SEGUE_EXECUTION_GRAPH);
        command_buffer->order_seed = seed;
        add_fills(command_buffer, WIDTH);
        add_barrier(command_buffer);
        add_fills(command_buffer, WIDTH);
        assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
        struct segue_graph_view view;
        assert_int_equal(
            segue_command_buffer_get_graph(command_buffer, SEGUE_GRAPH_STAGE_GRAPH, &view),
            SEGUE_OK);
        assert_int_equal(view.node_count, 2 * WIDTH + 1);
        assert_int_equal(view.edge_count, 2 * WIDTH);
        assert_int_equal(view.nodes[WIDTH].command, SEGUE_NO_COMMAND);
        assert_string_equal(view.nodes[WIDTH].label, "join");
        for (uint32_t i = 0; i < WIDTH; i++) {
            assert_int_equal(view.edges[i].from, i);
            assert_int_equal(view.edges[i].to, WIDTH);
            assert_int_equal(view.edges[WIDTH + i].from, WIDTH);
            assert_int_equal(view.edges[WIDTH + i].to, WIDTH + 1 + i);
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
        cmocka_unit_test(test_random_recordings),
        cmocka_unit_test(test_joins_only_where_edges_would_be_many),
        cmocka_unit_test(test_random_orders_differ),
        cmocka_unit_test(test_view_labels_and_states),
        cmocka_unit_test(test_view_of_the_graph),
        cmocka_unit_test(test_view_of_a_join),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
