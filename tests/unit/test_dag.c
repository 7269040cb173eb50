// SPDX-License-Identifier: Apache-2.0
// Which commands must be ordered: the dag against a brute-force oracle, its shape, and its size.
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

/** Paths between commands, following the edges of the dag alone. */
static void dag_paths(const struct segue_dag *dag, const struct random_recording *recording,
                      struct order_matrix *out_paths)
{
    memset(out_paths, 0, sizeof *out_paths);
    bool *above = calloc(dag->node_count + 1, RANDOM_MAX_WORKS);
    assert_non_null(above);
    for (size_t i = 0; i < dag->node_count; i++) {
        const struct segue_dag_node *node = &dag->nodes[i];
        bool *mine = above + i * RANDOM_MAX_WORKS;
        for (uint32_t k = 0; k < node->predecessor_count; k++) {
            uint32_t predecessor = dag->predecessors[node->first_predecessor + k];
            assert_true(predecessor < i);
            for (uint32_t w = 0; w < RANDOM_MAX_WORKS; w++)
                mine[w] |= above[predecessor * RANDOM_MAX_WORKS + w];
        }
        if (!node->segment)
            continue;
        uint32_t work = random_recording_work(recording, node->segment->index);
        for (uint32_t w = 0; w < RANDOM_MAX_WORKS; w++)
            out_paths->ordered[w][work] = mine[w];
        mine[work] = true;
    }
    free(above);
}

/** What holds for every dag. */
static void check_shape(const struct segue_dag *dag, uint32_t work_count)
{
    uint32_t *successors = calloc(dag->node_count + 1, sizeof *successors);
    assert_non_null(successors);
    uint32_t works = 0;
    for (size_t i = 0; i < dag->node_count; i++) {
        const struct segue_dag_node *node = &dag->nodes[i];
        works += node->segment != NULL;
        for (uint32_t k = 0; k < node->predecessor_count; k++) {
            uint32_t predecessor = dag->predecessors[node->first_predecessor + k];
            successors[predecessor]++;
            assert_int_equal(dag->nodes[predecessor].segment == NULL, node->segment != NULL);
        }
    }
    assert_int_equal(works, work_count);
    for (size_t i = 0; i < dag->node_count; i++) {
        if (dag->nodes[i].segment)
            continue;
        assert_true(dag->nodes[i].predecessor_count > 0);
        assert_true(successors[i] > 0);
    }
    free(successors);
}

/** `exact`: the dag orders nothing beyond what the recording says. */
static void check_recording(uint64_t seed, const struct random_shape *shape, bool exact)
{
    struct random_recording recording;
    random_recording_create(&world, seed, shape, &recording);
    struct segue_dag dag;
    assert_int_equal(segue_dag_build(recording.command_buffer->recording, &dag), SEGUE_OK);
    check_shape(&dag, recording.work_count);
    struct order_matrix expected;
    struct order_matrix actual;
    oracle_order(&recording, &expected);
    dag_paths(&dag, &recording, &actual);
    for (uint32_t a = 0; a < recording.work_count; a++) {
        for (uint32_t b = 0; b < recording.work_count; b++) {
            if (expected.ordered[a][b] && !actual.ordered[a][b])
                fail_msg("seed %lu: nothing orders work %u before work %u", (unsigned long)seed, a,
                         b);
            if (exact && actual.ordered[a][b] && !expected.ordered[a][b])
                fail_msg("seed %lu: work %u before work %u without a reason", (unsigned long)seed,
                         a, b);
        }
    }
    // The constant-time answer is the same as following the edges.
    for (size_t i = 0; i < dag.node_count; i++) {
        for (size_t k = 0; k < dag.node_count; k++) {
            const struct segue_dag_node *a = &dag.nodes[i];
            const struct segue_dag_node *b = &dag.nodes[k];
            if (a->segment && b->segment)
                assert_int_equal(
                    segue_dag_is_ordered(a, b),
                    actual.ordered[random_recording_work(&recording, a->segment->index)]
                                  [random_recording_work(&recording, b->segment->index)]);
        }
    }
    segue_dag_finish(&dag);
    random_recording_destroy(&recording);
}

static void test_random_full_barriers(void **state)
{
    (void)state;
    const struct random_shape shape = {.items = 30, .full = 40};
    for (uint64_t seed = 1; seed <= 300; seed++)
        check_recording(seed, &shape, true);
}

static void test_random_partial_barriers(void **state)
{
    (void)state;
    // At most 14 items of barriers: fewer than 16, so nothing is made stronger than it is.
    const struct random_shape shape = {.items = 26, .full = 4, .partial = 20};
    struct random_shape few = shape;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        few.slots = seed % 3 == 0;
        struct random_recording probe;
        random_recording_create(&world, seed, &few, &probe);
        bool exact = probe.partial_count < 16;
        random_recording_destroy(&probe);
        check_recording(seed, &few, exact);
    }
}

static void test_random_events(void **state)
{
    (void)state;
    const struct random_shape shape = {.items = 30, .full = 5, .partial = 8, .event = 30};
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        struct random_recording probe;
        random_recording_create(&world, seed, &shape, &probe);
        bool exact = probe.partial_count < 16;
        random_recording_destroy(&probe);
        check_recording(seed, &shape, exact);
    }
}

static void test_random_many_partials(void **state)
{
    (void)state;
    // Beyond 16 active partials more is ordered than was asked for; never less.
    const struct random_shape shape = {.items = 60, .partial = 50, .event = 5, .slots = true};
    for (uint64_t seed = 1; seed <= 300; seed++)
        check_recording(seed, &shape, false);
}

/* ---- Recordings by hand ---------------------------------------------------------------------- */

static segue_command_buffer *begin(void)
{
    segue_command_buffer *command_buffer;
    assert_int_equal(segue_command_buffer_create(world.device, NULL, &command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    return command_buffer;
}

static void add_fill(segue_command_buffer *command_buffer, uint64_t length_bytes)
{
    const struct segue_buffer_ref ref = {.buffer = world.buffers[0], .length_bytes = length_bytes};
    assert_int_equal(segue_cmd_fill(command_buffer, ref, 0, 1), SEGUE_OK);
}

static void add_copy(segue_command_buffer *command_buffer)
{
    const struct segue_buffer_ref source = {.buffer = world.buffers[0], .length_bytes = 16};
    const struct segue_buffer_ref target = {.buffer = world.buffers[1], .length_bytes = 16};
    assert_int_equal(segue_cmd_copy(command_buffer, source, target), SEGUE_OK);
}

static void add_barrier(segue_command_buffer *command_buffer)
{
    assert_int_equal(segue_cmd_barrier(command_buffer, NULL), SEGUE_OK);
}

static void add_memory_barrier(segue_command_buffer *command_buffer, uint32_t source,
                               uint32_t target)
{
    const struct segue_memory_barrier memory = {.source = source, .target = target};
    const struct segue_barrier barrier = {.memory_barriers = &memory, .memory_barrier_count = 1};
    assert_int_equal(segue_cmd_barrier(command_buffer, &barrier), SEGUE_OK);
}

static void finish(segue_command_buffer *command_buffer, struct segue_dag *out_dag)
{
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    assert_int_equal(segue_dag_build(command_buffer->recording, out_dag), SEGUE_OK);
}

static void test_idle_barriers_cost_nothing(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin();
    add_barrier(command_buffer);
    add_barrier(command_buffer);
    add_fill(command_buffer, 16);
    add_barrier(command_buffer);
    add_barrier(command_buffer);
    add_memory_barrier(command_buffer, SEGUE_ACCESS_MASK_ALL, SEGUE_ACCESS_MASK_ALL);
    add_fill(command_buffer, 16);
    add_memory_barrier(command_buffer, SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                       SEGUE_ACCESS_MASK_TRANSFER_WRITE);
    add_memory_barrier(command_buffer, SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                       SEGUE_ACCESS_MASK_TRANSFER_WRITE);
    add_fill(command_buffer, 16);
    add_barrier(command_buffer);
    add_barrier(command_buffer);
    struct segue_dag dag;
    finish(command_buffer, &dag);
    // Three commands and the two order nodes between them.
    assert_int_equal(dag.node_count, 5);
    assert_int_equal(dag.predecessor_count, 4);
    segue_dag_finish(&dag);
    segue_command_buffer_destroy(command_buffer);
}

static void test_empty_commands_make_no_node(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin();
    add_fill(command_buffer, 0);
    add_barrier(command_buffer);
    add_fill(command_buffer, 16);
    add_barrier(command_buffer);
    add_fill(command_buffer, 0);
    struct segue_dag dag;
    finish(command_buffer, &dag);
    assert_int_equal(dag.node_count, 1);
    segue_dag_finish(&dag);
    segue_command_buffer_destroy(command_buffer);
}

static void test_empty_recording(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin();
    add_barrier(command_buffer);
    struct segue_dag dag;
    finish(command_buffer, &dag);
    assert_int_equal(dag.node_count, 0);
    segue_dag_finish(&dag);
    segue_command_buffer_destroy(command_buffer);
}

static void test_chain_of_masked_barriers_stays_linear(void **state)
{
    (void)state;
    // The same mask after every command: each barrier takes the place of the one before.
    segue_command_buffer *command_buffer = begin();
    const uint32_t count = 5000;
    for (uint32_t i = 0; i < count; i++) {
        add_fill(command_buffer, 16);
        add_memory_barrier(command_buffer, SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                           SEGUE_ACCESS_MASK_TRANSFER_WRITE);
    }
    struct segue_dag dag;
    finish(command_buffer, &dag);
    assert_int_equal(dag.node_count, 2 * count - 1);
    assert_int_equal(dag.predecessor_count, 2 * (count - 1));
    segue_dag_finish(&dag);
    segue_command_buffer_destroy(command_buffer);
}

static void test_covered_barrier_is_left_out(void **state)
{
    (void)state;
    // The copy matches both barriers; all before the first leads to the second.
    segue_command_buffer *command_buffer = begin();
    add_fill(command_buffer, 16);
    add_memory_barrier(command_buffer, SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                       SEGUE_ACCESS_MASK_TRANSFER_WRITE);
    add_fill(command_buffer, 16);
    add_memory_barrier(command_buffer, SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                       SEGUE_ACCESS_MASK_TRANSFER_READ);
    add_copy(command_buffer);
    struct segue_dag dag;
    finish(command_buffer, &dag);
    assert_int_equal(dag.node_count, 5);
    assert_int_equal(dag.predecessor_count, 4);
    segue_dag_finish(&dag);
    segue_command_buffer_destroy(command_buffer);
}

static void test_weaker_barrier_after_another_is_left_out(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin();
    add_fill(command_buffer, 16);
    add_memory_barrier(command_buffer, SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                       SEGUE_ACCESS_MASK_TRANSFER_WRITE | SEGUE_ACCESS_MASK_TRANSFER_READ);
    add_memory_barrier(command_buffer, SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                       SEGUE_ACCESS_MASK_TRANSFER_READ);
    add_copy(command_buffer);
    add_fill(command_buffer, 16);
    struct segue_dag dag;
    finish(command_buffer, &dag);
    assert_int_equal(dag.node_count, 4);
    assert_int_equal(dag.predecessor_count, 3);
    segue_dag_finish(&dag);
    segue_command_buffer_destroy(command_buffer);
}

static void test_seventeenth_barrier_orders_everything(void **state)
{
    (void)state;
    for (uint32_t count = 16; count <= 17; count++) {
        segue_command_buffer *command_buffer = begin();
        struct segue_buffer_barrier items[17];
        for (uint32_t i = 0; i < count; i++) {
            items[i] = (struct segue_buffer_barrier){
                .source = SEGUE_ACCESS_MASK_ALL,
                .target = SEGUE_ACCESS_MASK_ALL,
                .range = {.buffer = world.buffers[0], .offset_bytes = 16 * i, .length_bytes = 16},
            };
            assert_int_equal(segue_cmd_fill(command_buffer, items[i].range, 0, 1), SEGUE_OK);
        }
        const struct segue_barrier barrier = {.buffer_barriers = items,
                                              .buffer_barrier_count = count};
        assert_int_equal(segue_cmd_barrier(command_buffer, &barrier), SEGUE_OK);
        add_fill(command_buffer, RANDOM_MEMORY_BYTES);
        struct segue_dag dag;
        finish(command_buffer, &dag);
        assert_int_equal(dag.node_count, count == 16 ? 16 + 16 + 1 : 17 + 1 + 1);
        segue_dag_finish(&dag);
        segue_command_buffer_destroy(command_buffer);
    }
}

static void test_wide_scopes_stay_linear(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin();
    const uint32_t width = 10000;
    for (uint32_t scope = 0; scope < 3; scope++) {
        for (uint32_t i = 0; i < width; i++)
            add_fill(command_buffer, 16);
        add_barrier(command_buffer);
    }
    struct segue_dag dag;
    finish(command_buffer, &dag);
    assert_int_equal(dag.node_count, 3 * width + 2);
    assert_int_equal(dag.predecessor_count, 4 * width);
    segue_dag_finish(&dag);
    segue_command_buffer_destroy(command_buffer);
}

static void test_many_ranges_stay_linear(void **state)
{
    (void)state;
    // Each command its own range, each with its own barrier: partials are promoted again and again.
    segue_command_buffer *command_buffer = begin();
    const uint32_t count = 4000;
    for (uint32_t i = 0; i < count; i++) {
        const struct segue_buffer_ref range = {
            .buffer = world.buffers[0], .offset_bytes = 16 * (i % 32), .length_bytes = 16};
        assert_int_equal(segue_cmd_fill(command_buffer, range, 0, 1), SEGUE_OK);
        const struct segue_buffer_barrier item = {
            .source = SEGUE_ACCESS_MASK_ALL, .target = SEGUE_ACCESS_MASK_ALL, .range = range};
        const struct segue_barrier barrier = {.buffer_barriers = &item, .buffer_barrier_count = 1};
        assert_int_equal(segue_cmd_barrier(command_buffer, &barrier), SEGUE_OK);
    }
    struct segue_dag dag;
    finish(command_buffer, &dag);
    assert_true(dag.predecessor_count < 20 * count);
    segue_dag_finish(&dag);
    segue_command_buffer_destroy(command_buffer);
}

/** Commands of two kinds, and barriers with masks. */
static segue_command_buffer *record_masked(uint32_t count)
{
    segue_command_buffer *command_buffer = begin();
    for (uint32_t i = 0; i < count; i++) {
        if (i % 2 == 0)
            add_fill(command_buffer, 16);
        else
            add_copy(command_buffer);
        // Few enough for the exact order, which has bits for 64.
        if (i % 80 == 39)
            add_memory_barrier(command_buffer, SEGUE_ACCESS_MASK_TRANSFER_READ,
                               SEGUE_ACCESS_MASK_TRANSFER_READ);
        if (i % 80 == 79)
            add_memory_barrier(command_buffer, SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                               SEGUE_ACCESS_MASK_TRANSFER_READ);
    }
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    return command_buffer;
}

/** Ordered pairs of commands of both dags; those of `weaker` must be in `stronger`. */
static void count_pairs(const struct segue_dag *weaker, const struct segue_dag *stronger,
                        uint64_t *out_weaker, uint64_t *out_stronger)
{
    *out_weaker = 0;
    *out_stronger = 0;
    const struct segue_dag_node **twins = calloc(weaker->node_count, sizeof *twins);
    assert_non_null(twins);
    for (size_t i = 0, k = 0; i < weaker->node_count; i++) {
        while (weaker->nodes[i].segment && stronger->nodes[k].segment != weaker->nodes[i].segment)
            k++;
        twins[i] = &stronger->nodes[k];
    }
    for (size_t i = 0; i < weaker->node_count; i++) {
        for (size_t k = i + 1; k < weaker->node_count; k++) {
            if (!weaker->nodes[i].segment || !weaker->nodes[k].segment)
                continue;
            bool weak = segue_dag_is_ordered(&weaker->nodes[i], &weaker->nodes[k]);
            bool strong = segue_dag_is_ordered(twins[i], twins[k]);
            assert_true(strong || !weak);
            *out_weaker += weak;
            *out_stronger += strong;
        }
    }
    free(twins);
}

static void test_coarse_orders_no_less(void **state)
{
    (void)state;
    // Short recordings are the same in both; long ones have barriers that became full ones.
    static const uint32_t counts[] = {200, 2400};
    for (uint32_t i = 0; i < 2; i++) {
        segue_command_buffer *command_buffer = record_masked(counts[i]);
        struct segue_dag exact;
        struct segue_dag coarse;
        assert_int_equal(segue_dag_build(command_buffer->recording, &exact), SEGUE_OK);
        assert_int_equal(segue_dag_build_coarse(command_buffer->recording, &coarse), SEGUE_OK);
        uint64_t exact_pairs;
        uint64_t coarse_pairs;
        count_pairs(&exact, &coarse, &exact_pairs, &coarse_pairs);
        assert_false(exact.is_coarse);
        assert_int_equal(coarse.is_coarse, i == 1);
        assert_int_equal(coarse_pairs > exact_pairs, i == 1);
        segue_dag_finish(&coarse);
        segue_dag_finish(&exact);
        segue_command_buffer_destroy(command_buffer);
    }
}

static void test_allocation_failures(void **state)
{
    (void)state;
    const struct random_shape shape = {.items = 60, .full = 10, .partial = 20, .event = 20};
    struct random_recording recording;
    random_recording_create(&world, 5, &shape, &recording);
    int64_t live = world.allocator.live;
    bool failed = true;
    for (uint64_t nth = 1; failed; nth++) {
        struct segue_dag dag = {0};
        null_allocator_fail(&world.allocator, nth, false);
        segue_status status = segue_dag_build(recording.command_buffer->recording, &dag);
        failed = world.allocator.failed != 0;
        null_allocator_fail(&world.allocator, 0, false);
        assert_int_equal(status, failed ? SEGUE_OUT_OF_HOST_MEMORY : SEGUE_OK);
        if (status == SEGUE_OK)
            segue_dag_finish(&dag);
        assert_int_equal(world.allocator.live, live);
        assert_true(nth < 1000);
    }
    random_recording_destroy(&recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_full_barriers),
        cmocka_unit_test(test_random_partial_barriers),
        cmocka_unit_test(test_random_events),
        cmocka_unit_test(test_random_many_partials),
        cmocka_unit_test(test_idle_barriers_cost_nothing),
        cmocka_unit_test(test_empty_commands_make_no_node),
        cmocka_unit_test(test_empty_recording),
        cmocka_unit_test(test_chain_of_masked_barriers_stays_linear),
        cmocka_unit_test(test_covered_barrier_is_left_out),
        cmocka_unit_test(test_weaker_barrier_after_another_is_left_out),
        cmocka_unit_test(test_seventeenth_barrier_orders_everything),
        cmocka_unit_test(test_wide_scopes_stay_linear),
        cmocka_unit_test(test_many_ranges_stay_linear),
        cmocka_unit_test(test_coarse_orders_no_less),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
