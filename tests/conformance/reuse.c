// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"
#include "test.h"

static void scale(struct segue_test *test, segue_command_buffer *commands, segue_buffer *data,
                  uint32_t factor, uint32_t addend)
{
    segue_test_dispatch_slow(test, commands, segue_test_whole(data), 8, factor, addend);
}

static void many_launches(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    scale(test, commands, data, 3, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    uint32_t expected[8];
    for (uint32_t i = 0; i < 8; ++i)
        expected[i] = segue_test_word(1, i);
    for (int k = 0; k < 50; ++k) {
        segue_test_submit(test, commands);
        for (uint32_t i = 0; i < 8; ++i)
            expected[i] = expected[i] * 3 + 1;
    }
    segue_test_wait(test, test->done_value);
    segue_test_expect(data, 0, expected, 8);
}

static void two_in_flight_on_two_queues(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_zeros(test, 8);
    segue_buffer *copy = segue_test_zeros(test, 8);
    segue_queue *other = segue_test_queue(test);
    // Writes the same values whenever it runs, so both launches may overlap.
    segue_buffer *source = segue_test_words(test, 8, 2);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_copy(commands, segue_test_whole(source), segue_test_whole(data)));
    segue_test_barrier(commands);
    CHECK_OK(segue_cmd_copy(commands, segue_test_whole(data), segue_test_whole(copy)));
    CHECK_OK(segue_command_buffer_end(commands));
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    for (int k = 0; k < 4; ++k) {
        CHECK_OK(segue_queue_submit(test->queue, &submission));
        CHECK_OK(segue_queue_submit(other, &submission));
    }
    CHECK_OK(segue_queue_wait_idle(test->queue));
    CHECK_OK(segue_queue_wait_idle(other));
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(copy, i, 1, segue_test_word(2, i));
}

static void recorded_again(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    scale(test, commands, data, 2, 1);
    segue_test_run(test, commands);
    for (uint32_t round = 0; round < 3; ++round) {
        CHECK_OK(segue_command_buffer_reset(commands));
        CHECK_OK(segue_command_buffer_begin(commands));
        scale(test, commands, data, 3, round);
        segue_test_run(test, commands);
    }
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, ((segue_test_word(1, i) * 2 + 1) * 3 * 3 + 1) * 3 + 2);
}

static void reset_in_flight(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_semaphore *start = segue_test_semaphore(test, 0);
    // Kept by what is recorded, and then by what is submitted.
    segue_buffer *other = segue_test_words(test, 8, 2);
    segue_command_buffer *commands = segue_test_begin(test);
    scale(test, commands, data, 2, 1);
    scale(test, commands, other, 2, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    segue_test_destroy(test, other);
    const struct segue_semaphore_value wait = {start, 1};
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_submission submission = {
        .waits = &wait, .wait_count = 1, .executions = &execution, .execution_count = 1};
    CHECK_OK(segue_queue_submit(test->queue, &submission));
    CHECK_OK(segue_command_buffer_reset(commands));
    CHECK_OK(segue_command_buffer_begin(commands));
    scale(test, commands, data, 3, 7);
    CHECK_OK(segue_command_buffer_end(commands));
    segue_test_submit(test, commands);
    segue_test_destroy(test, commands);
    CHECK_OK(segue_semaphore_signal(start, 1));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, (segue_test_word(1, i) * 2 + 1) * 3 + 7);
}

static void one_shot(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = segue_test_begin_with(test, 0, SEGUE_COMMAND_BUFFER_ONE_SHOT);
    scale(test, commands, data, 2, 1);
    segue_test_run(test, commands);
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    CHECK_ERROR(segue_queue_submit(test->queue, &submission), SEGUE_INVALID_STATE, "one-shot");
    CHECK_OK(segue_command_buffer_reset(commands));
    CHECK_OK(segue_command_buffer_begin(commands));
    scale(test, commands, data, 3, 7);
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, (segue_test_word(1, i) * 2 + 1) * 3 + 7);
}

static void unretained(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands =
        segue_test_begin_with(test, 0, SEGUE_COMMAND_BUFFER_UNRETAINED);
    scale(test, commands, data, 2, 1);
    segue_test_barrier(commands);
    scale(test, commands, data, 3, 7);
    segue_test_run(test, commands);
    segue_test_destroy(test, commands);
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, (segue_test_word(1, i) * 2 + 1) * 3 + 7);
}

static void what_is_recorded_stays_alive(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_buffer *out = segue_test_zeros(test, 8);
    segue_command_buffer *commands = segue_test_begin(test);
    scale(test, commands, data, 2, 1);
    segue_test_barrier(commands);
    CHECK_OK(segue_cmd_copy(commands, segue_test_whole(data), segue_test_whole(out)));
    CHECK_OK(segue_command_buffer_end(commands));
    segue_test_destroy(test, data);
    segue_executable_destroy(test->kernels);
    test->kernels = NULL;
    for (uint32_t k = 0; k < 2; ++k)
        segue_test_wait(test, segue_test_submit(test, commands));
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(out, i, 1, (segue_test_word(1, i) * 2 + 1) * 2 + 1);
}

static void states(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_buffer(test, 16);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_ERROR(segue_command_buffer_begin(commands), SEGUE_INVALID_STATE, "");
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(data), 0, 4));
    CHECK_OK(segue_command_buffer_end(commands));
    CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_INVALID_STATE, "");
    CHECK_ERROR(segue_command_buffer_begin(commands), SEGUE_INVALID_STATE, "");
    CHECK_ERROR(segue_cmd_fill(commands, segue_test_whole(data), 0, 4), SEGUE_INVALID_STATE, "");
    CHECK_ERROR(segue_cmd_barrier(commands, NULL), SEGUE_INVALID_STATE, "");
    // Calls in a wrong state do no harm to what was recorded.
    segue_test_wait(test, segue_test_submit(test, commands));
    CHECK_OK(segue_command_buffer_reset(commands));
    CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_INVALID_STATE, "");
    CHECK_ERROR(segue_cmd_fill(commands, segue_test_whole(data), 0, 4), SEGUE_INVALID_STATE, "");
    CHECK_OK(segue_command_buffer_begin(commands));
    // Reset while recording forgets what was recorded.
    CHECK_OK(segue_cmd_begin_group(commands, "forgotten"));
    CHECK_OK(segue_command_buffer_reset(commands));
    CHECK_OK(segue_command_buffer_begin(commands));
    segue_test_run(test, commands);
    struct segue_command_buffer_stats stats;
    CHECK_OK(segue_command_buffer_get_stats(commands, &stats));
    assert_int_equal(stats.command_count, 0);
}

static void the_first_failure_is_latched(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_buffer(test, 16);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(data), 0, 4));
    CHECK_STATUS(segue_cmd_fill(commands, segue_test_ref(data, 0, 32), 0, 4), SEGUE_OUT_OF_RANGE);
    assert_int_not_equal(segue_cmd_fill(commands, segue_test_ref(data, 0, 4), 0, 3), SEGUE_OK);
    CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_OUT_OF_RANGE, "32");
    CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_OUT_OF_RANGE, "32");
}

static void automatic_mode(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    static const struct {
        uint32_t flags, work_count;
        enum segue_execution_mode expected;
    } cases[] = {
        {0, 1, SEGUE_EXECUTION_GRAPH},
        {0, 20, SEGUE_EXECUTION_GRAPH},
        {SEGUE_COMMAND_BUFFER_ONE_SHOT, 20, SEGUE_EXECUTION_STREAM},
    };
    uint32_t expected[8];
    for (uint32_t i = 0; i < 8; ++i)
        expected[i] = segue_test_word(1, i);
    test->mode = SEGUE_EXECUTION_AUTO;
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); ++c) {
        segue_command_buffer *commands = segue_test_begin_with(test, 0, cases[c].flags);
        for (uint32_t k = 0; k < cases[c].work_count; ++k) {
            scale(test, commands, data, 3, k);
            segue_test_barrier(commands);
            for (uint32_t i = 0; i < 8; ++i)
                expected[i] = expected[i] * 3 + k;
        }
        segue_test_run(test, commands);
        struct segue_command_buffer_stats stats;
        CHECK_OK(segue_command_buffer_get_stats(commands, &stats));
        assert_int_equal(stats.mode, cases[c].expected);
        assert_int_equal(stats.work_count, cases[c].work_count);
    }
    segue_test_expect(data, 0, expected, 8);
}

static void empty_of_every_kind(void **state)
{
    struct segue_test *test = *state;
    static const uint32_t flags[] = {0, SEGUE_COMMAND_BUFFER_ONE_SHOT,
                                     SEGUE_COMMAND_BUFFER_UNRETAINED};
    static const enum segue_execution_mode modes[] = {SEGUE_EXECUTION_AUTO, SEGUE_EXECUTION_GRAPH,
                                                      SEGUE_EXECUTION_STREAM};
    for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); ++m) {
        test->mode = modes[m];
        for (size_t f = 0; f < sizeof(flags) / sizeof(flags[0]); ++f) {
            segue_command_buffer *commands = segue_test_begin_with(test, 0, flags[f]);
            segue_test_run(test, commands);
            if (!(flags[f] & SEGUE_COMMAND_BUFFER_ONE_SHOT))
                segue_test_wait(test, segue_test_submit(test, commands));
        }
        segue_buffer *buffer = segue_test_buffer(test, 16);
        segue_command_buffer *slots = segue_test_begin_with(test, 1, 0);
        CHECK_OK(segue_command_buffer_end(slots));
        const struct segue_buffer_ref table = segue_test_whole(buffer);
        segue_test_wait(test, segue_test_submit_with(test, slots, &table, 1));
    }
}

static void many_short_lives(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 200 };
    segue_buffer *data = segue_test_zeros(test, COUNT);
    // Made, submitted and given up without ever waiting.
    for (uint32_t i = 0; i < COUNT; ++i) {
        segue_command_buffer *commands =
            segue_test_begin_with(test, 0, i % 2 ? SEGUE_COMMAND_BUFFER_ONE_SHOT : 0);
        CHECK_OK(segue_cmd_fill(commands, segue_test_ref(data, i * 4, 4), i + 1, 4));
        CHECK_OK(segue_command_buffer_end(commands));
        segue_test_submit(test, commands);
        segue_test_destroy(test, commands);
    }
    segue_test_wait(test, test->done_value);
    uint32_t expected[COUNT];
    for (uint32_t i = 0; i < COUNT; ++i)
        expected[i] = i + 1;
    segue_test_expect(data, 0, expected, COUNT);
}

static void two_in_flight_on_one_queue(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    scale(test, commands, data, 2, 1);
    segue_test_barrier(commands);
    scale(test, commands, data, 3, 7);
    CHECK_OK(segue_command_buffer_end(commands));
    if (test->soft)
        test->soft->set_paused(true);
    segue_test_submit(test, commands);
    segue_test_submit(test, commands);
    if (test->soft)
        test->soft->set_paused(false);
    segue_test_wait(test, test->done_value);
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1,
                              (((segue_test_word(1, i) * 2 + 1) * 3 + 7) * 2 + 1) * 3 + 7);
}

static void recorded_longer_and_shorter(void **state)
{
    struct segue_test *test = *state;
    static const uint32_t lengths[] = {1, 300, 0, 2, 40};
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    uint32_t expected = segue_test_word(1, 0);
    for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); ++k) {
        for (uint32_t i = 0; i < lengths[k]; ++i) {
            segue_test_dispatch_scale(test, commands, segue_test_whole(data), 8, 3, i);
            segue_test_barrier(commands);
            expected = expected * 3 + i;
        }
        segue_test_run(test, commands);
        segue_test_expect_all(data, 0, 1, expected);
        CHECK_OK(segue_command_buffer_reset(commands));
        CHECK_OK(segue_command_buffer_begin(commands));
    }
}

/** Records again what was recorded, with one thing after another different: constants, ranges,
 * inline data, patterns, lengths. Each launch does what was recorded last. */
static void recorded_again_with_differences(void **state)
{
    struct segue_test *test = *state;
    enum { ROUNDS = 7, PART = 64, LARGE = 20000 };
    segue_buffer *data = segue_test_words(test, 2 * PART, 1);
    segue_buffer *inline_data = segue_test_zeros(test, PART);
    segue_buffer *large = segue_test_zeros(test, 2 * LARGE);
    segue_buffer *host = segue_test_buffer_of(
        test,
        &(struct segue_buffer_params){.size_bytes = 4 * PART, .memory = SEGUE_MEMORY_HOST_VISIBLE});
    segue_command_buffer *commands = segue_test_begin(test);
    uint32_t expected[2 * PART];
    for (uint32_t i = 0; i < 2 * PART; ++i)
        expected[i] = segue_test_word(1, i);
    for (uint32_t round = 0; round < ROUNDS; ++round) {
        const uint32_t factor = 3 + (round >= 1);
        const uint32_t first = round >= 2 ? PART : 0;
        const uint32_t seed = round >= 3;
        const uint32_t pattern = 5 + (round >= 4);
        const uint32_t length = round >= 5 ? LARGE - 8 : LARGE;
        const uint32_t source = round >= 6 ? PART : 0;
        uint32_t words[PART];
        for (uint32_t i = 0; i < PART; ++i)
            words[i] = segue_test_word(seed + 10, i);
        if (round != 0) {
            CHECK_OK(segue_command_buffer_reset(commands));
            CHECK_OK(segue_command_buffer_begin(commands));
        }
        segue_test_dispatch_scale(test, commands, segue_test_ref(data, first * 4, PART * 4), PART,
                                  factor, 7);
        CHECK_OK(segue_cmd_update(commands, segue_test_whole(inline_data), words));
        CHECK_OK(segue_cmd_fill(commands, segue_test_ref(large, 0, length * 4), pattern, 4));
        segue_test_barrier(commands);
        CHECK_OK(segue_cmd_copy(commands, segue_test_ref(data, source * 4, PART * 4),
                                segue_test_whole(host)));
        CHECK_OK(segue_cmd_copy(commands, segue_test_ref(large, 0, length * 4),
                                segue_test_ref(large, LARGE * 4, length * 4)));
        segue_test_run(test, commands);
        for (uint32_t i = first; i < first + PART; ++i)
            expected[i] = expected[i] * factor + 7;
        segue_test_expect(data, 0, expected, 2 * PART);
        segue_test_expect(inline_data, 0, words, PART);
        segue_test_expect(host, 0, expected + source, PART);
        segue_test_expect_all(large, 0, length, pattern);
        segue_test_expect_all(large, LARGE, length, pattern);
    }
    // What the shorter fill left out, the last time that it was longer wrote.
    segue_test_expect_all(large, LARGE - 8, 8, 6);
    segue_test_expect_all(large, 2 * LARGE - 8, 8, 6);
}

static const struct CMUnitTest tests[] = {
    segue_test_case(many_launches),
    segue_test_case(two_in_flight_on_two_queues),
    segue_test_case(recorded_again),
    segue_test_case(reset_in_flight),
    segue_test_case(one_shot),
    segue_test_case(unretained),
    segue_test_case(what_is_recorded_stays_alive),
    segue_test_case(states),
    segue_test_case(the_first_failure_is_latched),
    segue_test_case(automatic_mode),
    segue_test_case(empty_of_every_kind),
    segue_test_case(many_short_lives),
    segue_test_case(two_in_flight_on_one_queue),
    segue_test_case(recorded_longer_and_shorter),
    segue_test_case(recorded_again_with_differences),
};

const struct segue_conformance_area segue_conformance_reuse = {"reuse", tests,
                                                               sizeof(tests) / sizeof(tests[0])};
