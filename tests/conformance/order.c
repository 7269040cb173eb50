// SPDX-License-Identifier: Apache-2.0
// What says more about the order than barriers do: flags, hints, kernels that wait by themselves.
// None of it may change a result.
#include "conformance.h"
#include "test.h"

#include <stdlib.h>

enum { COUNT = 16 };

/** Whether an edge path leads from one command to another. */
static bool is_before(const struct segue_graph_view *view, uint32_t from, uint32_t to)
{
    bool *reached = calloc(view->node_count, sizeof(*reached));
    assert_non_null(reached);
    for (uint32_t i = 0; i < view->node_count; ++i)
        reached[i] = view->nodes[i].command == from;
    // Edges may come in any order: as often as the longest path may be.
    for (uint32_t round = 0; round < view->node_count; ++round) {
        for (uint32_t i = 0; i < view->edge_count; ++i)
            reached[view->edges[i].to] |= reached[view->edges[i].from];
    }
    bool is_reached = false;
    for (uint32_t i = 0; i < view->node_count; ++i)
        is_reached |= view->nodes[i].command == to && reached[i];
    free(reached);
    return is_reached;
}

/** Two fills of other memory on each side of a barrier. */
static segue_command_buffer *record_unrelated(struct segue_test *test, uint32_t flags)
{
    segue_buffer *data = segue_test_zeros(test, 4);
    segue_command_buffer *commands = segue_test_begin_with(test, 0, flags);
    for (uint32_t i = 0; i < 4; ++i) {
        if (i == 2)
            segue_test_barrier(commands);
        CHECK_OK(segue_cmd_fill(commands, segue_test_ref(data, i * 4, 4), i + 1, 4));
    }
    segue_test_run(test, commands);
    const uint32_t expected[] = {1, 2, 3, 4};
    segue_test_expect(data, 0, expected, 4);
    return commands;
}

static void unrelated_commands_need_no_order(void **state)
{
    struct segue_test *test = *state;
    struct segue_graph_view view;
    segue_command_buffer *commands = record_unrelated(test, 0);
    CHECK_OK(segue_command_buffer_get_graph(commands, SEGUE_GRAPH_STAGE_DAG, &view));
    assert_int_equal(view.node_count, 4);
    assert_int_equal(view.edge_count, 0);
}

static void barrier_order_keeps_every_barrier(void **state)
{
    struct segue_test *test = *state;
    struct segue_graph_view view;
    segue_command_buffer *commands = record_unrelated(test, SEGUE_COMMAND_BUFFER_BARRIER_ORDER);
    enum segue_graph_stage stage =
        test->mode == SEGUE_EXECUTION_GRAPH ? SEGUE_GRAPH_STAGE_GRAPH : SEGUE_GRAPH_STAGE_DAG;
    CHECK_OK(segue_command_buffer_get_graph(commands, stage, &view));
    // Command 2 is the barrier.
    for (uint32_t from = 0; from < 2; ++from) {
        for (uint32_t to = 3; to < 5; ++to)
            assert_true(is_before(&view, from, to));
    }
    assert_false(is_before(&view, 3, 0));
}

/** Chains that meet and part again, with these flags and this hint for every dispatch. */
static void run_diamonds(struct segue_test *test, uint32_t flags, uint32_t duration_ns)
{
    enum { WIDTH = 5, ROUNDS = 4 };
    segue_buffer *data = segue_test_words(test, WIDTH * COUNT, 1);
    uint32_t expected[WIDTH * COUNT];
    for (uint32_t i = 0; i < WIDTH * COUNT; ++i)
        expected[i] = segue_test_word(1, i);
    segue_command_buffer *commands = segue_test_begin_with(test, 0, flags);
    for (uint32_t round = 0; round < 2 * ROUNDS; ++round) {
        // All at once, then each by itself.
        uint32_t parts = round % 2 ? WIDTH : 1;
        uint32_t words = WIDTH * COUNT / parts;
        for (uint32_t part = 0; part < parts; ++part) {
            const struct segue_buffer_ref binding =
                segue_test_ref(data, part * words * 4, words * 4);
            const uint32_t constants[] = {words, 3, round + part};
            const struct segue_dispatch dispatch = {.executable = test->kernels,
                                                    .entry_point = SEGUE_TEST_SCALE,
                                                    .grid = {1, 1, 1},
                                                    .bindings = &binding,
                                                    .binding_count = 1,
                                                    .constants = constants,
                                                    .constants_size_bytes = sizeof(constants),
                                                    .duration_ns = duration_ns * (part + 1)};
            CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
            for (uint32_t i = 0; i < words; ++i)
                expected[part * words + i] = expected[part * words + i] * 3 + round + part;
        }
        segue_test_barrier(commands);
    }
    segue_test_run(test, commands);
    segue_test_expect(data, 0, expected, WIDTH * COUNT);
}

static void hints_change_no_result(void **state)
{
    struct segue_test *test = *state;
    static const uint32_t durations[] = {0, 1, 500, 20000, 800000000};
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); ++i) {
        run_diamonds(test, 0, durations[i]);
        run_diamonds(test, SEGUE_COMMAND_BUFFER_BARRIER_ORDER, durations[i]);
    }
}

static void kernels_that_wait_by_themselves(void **state)
{
    struct segue_test *test = *state;
    enum { STEPS = 12 };
    segue_buffer *table = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 8, .memory = SEGUE_MEMORY_CONSTANT});
    const uint32_t words[] = {3, 7};
    CHECK_OK(segue_buffer_write(table, 0, words, sizeof(words)));
    segue_buffer *data = segue_test_words(test, COUNT, 1);
    segue_buffer *copy = segue_test_zeros(test, COUNT);
    segue_command_buffer *commands = segue_test_begin_with(test, 0, 0);
    uint32_t expected = segue_test_word(1, 0);
    uint32_t expected_copy = 0;
    for (uint32_t step = 0; step < STEPS; ++step) {
        // Behind a kernel that triggers nothing, behind a copy, and behind its like.
        if (step == 3) {
            segue_test_dispatch_slow(test, commands, segue_test_whole(data), COUNT, 2, 1);
            expected = expected * 2 + 1;
        } else if (step == 8) {
            CHECK_OK(segue_cmd_copy(commands, segue_test_whole(data), segue_test_whole(copy)));
            expected_copy = expected;
        } else {
            const uint32_t count = COUNT;
            const struct segue_buffer_ref bindings[] = {segue_test_whole(table),
                                                        segue_test_whole(data)};
            const struct segue_dispatch dispatch = {.executable = test->kernels,
                                                    .entry_point = SEGUE_TEST_DEPENDENT,
                                                    .grid = {1, 1, 1},
                                                    .bindings = bindings,
                                                    .binding_count = 2,
                                                    .constants = &count,
                                                    .constants_size_bytes = sizeof(count)};
            CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
            expected = expected * 3 + 7;
        }
        segue_test_barrier(commands);
    }
    segue_test_run(test, commands);
    segue_test_expect_all(data, 0, 1, expected);
    segue_test_expect_all(copy, 0, 1, expected_copy);
}

static void distinct_slots(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data[] = {segue_test_words(test, COUNT, 1), segue_test_words(test, COUNT, 2)};
    segue_command_buffer *commands =
        segue_test_begin_with(test, 2, SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT);
    for (uint32_t round = 0; round < 3; ++round) {
        for (uint32_t slot = 0; slot < 2; ++slot)
            segue_test_dispatch_slow(test, commands, segue_test_slot(slot, 0, SEGUE_WHOLE_SIZE),
                                     COUNT, 3, round + slot);
        segue_test_barrier(commands);
    }
    // Both at once: now they depend on each other.
    segue_test_dispatch_mix(test, commands, segue_test_slot(0, 0, SEGUE_WHOLE_SIZE),
                            segue_test_slot(1, 0, SEGUE_WHOLE_SIZE), COUNT, 0);
    CHECK_OK(segue_command_buffer_end(commands));
    const struct segue_buffer_ref table[] = {segue_test_whole(data[0]), segue_test_whole(data[1])};
    segue_test_wait(test, segue_test_submit_with(test, commands, table, 2));
    uint32_t words[] = {segue_test_word(1, 0), segue_test_word(2, 0)};
    for (uint32_t round = 0; round < 3; ++round) {
        words[0] = words[0] * 3 + round;
        words[1] = words[1] * 3 + round + 1;
    }
    words[1] = words[1] * 31 + words[0];
    segue_test_expect_all(data[0], 0, 1, words[0]);
    segue_test_expect_all(data[1], 0, 1, words[1]);
}

/** Ranges of one memory that meet in every way, named through the buffer and through views. */
static void ranges_that_meet_in_every_way(void **state)
{
    struct segue_test *test = *state;
    // All ranges lie in all views.
    enum { WORDS = 256, LOWEST = 112, LONGEST = 24, VIEWS = 6, STEPS = 300 };
    uint64_t random = 41;
    segue_buffer *names[VIEWS + 1];
    uint32_t first[VIEWS + 1] = {0};
    names[0] = segue_test_words(test, WORDS, 1);
    for (uint32_t i = 1; i <= VIEWS; ++i) {
        first[i] = i * 16 + segue_test_random_below(&random, 16);
        names[i] = segue_test_view(test, names[0], first[i] * 4, SEGUE_WHOLE_SIZE);
    }
    uint32_t expected[WORDS];
    for (uint32_t i = 0; i < WORDS; ++i)
        expected[i] = segue_test_word(1, i);
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t step = 0; step < STEPS; ++step) {
        uint32_t count = 1 + segue_test_random_below(&random, LONGEST);
        uint32_t gap = segue_test_random_below(&random, 32);
        uint32_t low = LOWEST + segue_test_random_below(&random, WORDS - LOWEST - 2 * count - gap);
        uint32_t high = low + count + gap;
        uint32_t source = step % 2 ? low : high;
        uint32_t target = step % 2 ? high : low;
        uint32_t a = segue_test_random_below(&random, VIEWS + 1);
        uint32_t b = segue_test_random_below(&random, VIEWS + 1);
        segue_test_dispatch_mix(
            test, commands, segue_test_ref(names[a], (source - first[a]) * 4, count * 4),
            segue_test_ref(names[b], (target - first[b]) * 4, count * 4), count, 0);
        segue_test_barrier(commands);
        for (uint32_t i = 0; i < count; ++i)
            expected[target + i] = expected[target + i] * 31 + expected[source + i];
    }
    segue_test_run(test, commands);
    segue_test_expect(names[0], 0, expected, WORDS);
}

/** Many commands wait for many: each of one side for all of the other, and for one of its own. */
static void many_wait_for_many(void **state)
{
    struct segue_test *test = *state;
    enum { WIDTH = 20, WORDS = WIDTH * 8, ROUNDS = 3 };
    segue_buffer *source = segue_test_words(test, WORDS, 1);
    segue_buffer *target = segue_test_words(test, WIDTH * WORDS, 2);
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t round = 0; round < ROUNDS; ++round) {
        for (uint32_t i = 0; i < WIDTH; ++i) {
            segue_test_dispatch_scale(test, commands, segue_test_ref(source, i * 32, 32), 8, 3, i);
            segue_test_dispatch_scale(
                test, commands, segue_test_ref(target, i * WORDS * 4, WORDS * 4), WORDS, 5, round);
        }
        segue_test_barrier(commands);
        for (uint32_t i = 0; i < WIDTH; ++i)
            segue_test_dispatch_mix(test, commands, segue_test_whole(source),
                                    segue_test_ref(target, i * WORDS * 4, WORDS * 4), WORDS, 0);
        segue_test_barrier(commands);
    }
    segue_test_run(test, commands);
    uint32_t expected[WORDS];
    for (uint32_t i = 0; i < WIDTH; ++i) {
        for (uint32_t k = 0; k < WORDS; ++k) {
            uint32_t word = segue_test_word(1, k);
            expected[k] = segue_test_word(2, i * WORDS + k);
            for (uint32_t round = 0; round < ROUNDS; ++round) {
                word = word * 3 + k / 8;
                expected[k] = (expected[k] * 5 + round) * 31 + word;
            }
        }
        segue_test_expect(target, i * WORDS, expected, WORDS);
    }
}

static const struct CMUnitTest tests[] = {
    segue_test_case(unrelated_commands_need_no_order),
    segue_test_case(barrier_order_keeps_every_barrier),
    segue_test_case(hints_change_no_result),
    segue_test_case(kernels_that_wait_by_themselves),
    segue_test_case(distinct_slots),
    segue_test_case(ranges_that_meet_in_every_way),
    segue_test_case(many_wait_for_many),
};

const struct segue_conformance_area segue_conformance_order = {"order", tests,
                                                               sizeof(tests) / sizeof(tests[0])};
