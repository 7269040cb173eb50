// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"
#include "test.h"

/** An ended command buffer: data = data * factor + addend. */
static segue_command_buffer *record_scale(struct segue_test *test, segue_buffer *data,
                                          uint32_t count, uint32_t factor, uint32_t addend)
{
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_slow(test, commands, segue_test_whole(data), count, factor, addend);
    CHECK_OK(segue_command_buffer_end(commands));
    return commands;
}

static segue_status submit(segue_queue *queue, segue_command_buffer *commands,
                           struct segue_semaphore_value wait, struct segue_semaphore_value signal)
{
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_submission submission = {
        .waits = &wait,
        .wait_count = wait.semaphore != NULL,
        .executions = &execution,
        .execution_count = commands != NULL,
        .signals = &signal,
        .signal_count = signal.semaphore != NULL,
    };
    return segue_queue_submit(queue, &submission);
}

static const struct segue_semaphore_value none;

static void empty_submission(void **state)
{
    struct segue_test *test = *state;
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    CHECK_OK(submit(test->queue, NULL, none, none));
    CHECK_OK(submit(test->queue, NULL, none, (struct segue_semaphore_value){semaphore, 3}));
    CHECK_OK(segue_semaphore_wait(semaphore, 3, SEGUE_TIMEOUT_INFINITE));
    CHECK_OK(submit(test->queue, NULL, (struct segue_semaphore_value){semaphore, 3}, none));
    CHECK_OK(segue_queue_wait_idle(test->queue));
}

static void in_order_within_a_submission(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *a = record_scale(test, data, 8, 2, 1);
    segue_command_buffer *b = record_scale(test, data, 8, 3, 7);
    const struct segue_execution executions[] = {
        {.command_buffer = a}, {.command_buffer = b}, {.command_buffer = b}};
    const struct segue_submission submission = {.executions = executions, .execution_count = 3};
    CHECK_OK(segue_queue_submit(test->queue, &submission));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, ((segue_test_word(1, i) * 2 + 1) * 3 + 7) * 3 + 7);
}

static void in_order_within_a_queue(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *a = record_scale(test, data, 8, 2, 1);
    segue_command_buffer *b = record_scale(test, data, 8, 3, 7);
    uint32_t expected[8];
    for (uint32_t i = 0; i < 8; ++i)
        expected[i] = segue_test_word(1, i);
    for (int k = 0; k < 20; ++k) {
        segue_test_submit(test, k % 2 ? b : a);
        for (uint32_t i = 0; i < 8; ++i)
            expected[i] = k % 2 ? expected[i] * 3 + 7 : expected[i] * 2 + 1;
    }
    segue_test_wait(test, test->done_value);
    segue_test_expect(data, 0, expected, 8);
}

static void semaphores_between_queues(void **state)
{
    struct segue_test *test = *state;
    enum { QUEUES = 3, ROUNDS = 5 };
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    segue_queue *queues[QUEUES];
    segue_command_buffer *commands[QUEUES];
    for (uint32_t q = 0; q < QUEUES; ++q) {
        queues[q] = segue_test_queue(test);
        commands[q] = record_scale(test, data, 8, 2 + q, q);
    }
    uint32_t expected[8];
    for (uint32_t i = 0; i < 8; ++i)
        expected[i] = segue_test_word(1, i);
    uint64_t value = 0;
    for (uint32_t step = 0; step < QUEUES * ROUNDS; ++step) {
        uint32_t q = step % QUEUES;
        CHECK_OK(submit(queues[q], commands[q], (struct segue_semaphore_value){semaphore, value},
                        (struct segue_semaphore_value){semaphore, value + 1}));
        ++value;
        for (uint32_t i = 0; i < 8; ++i)
            expected[i] = expected[i] * (2 + q) + q;
    }
    CHECK_OK(segue_semaphore_wait(semaphore, value, SEGUE_TIMEOUT_INFINITE));
    segue_test_expect(data, 0, expected, 8);
}

static void wait_before_signal(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    segue_queue *other = segue_test_queue(test);
    segue_command_buffer *early = record_scale(test, data, 8, 3, 7);
    segue_command_buffer *later = record_scale(test, data, 8, 5, 1);
    segue_command_buffer *first = record_scale(test, data, 8, 2, 1);
    // Waits for 7, which nobody has submitted yet; what follows in the queue waits behind it.
    CHECK_OK(submit(test->queue, early, (struct segue_semaphore_value){semaphore, 7}, none));
    CHECK_OK(submit(test->queue, later, none, none));
    CHECK_ERROR(segue_queue_wait_idle(test->queue), SEGUE_INVALID_STATE, "");
    CHECK_OK(submit(other, first, none, (struct segue_semaphore_value){semaphore, 9}));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    CHECK_OK(segue_queue_wait_idle(other));
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, ((segue_test_word(1, i) * 2 + 1) * 3 + 7) * 5 + 1);
}

static void several_waits_and_signals(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_semaphore *a = segue_test_semaphore(test, 0);
    segue_semaphore *b = segue_test_semaphore(test, 10);
    segue_semaphore *c = segue_test_semaphore(test, 0);
    segue_semaphore *d = segue_test_semaphore(test, 0);
    segue_command_buffer *commands = record_scale(test, data, 8, 2, 1);
    const struct segue_semaphore_value waits[] = {{a, 1}, {b, 10}};
    const struct segue_semaphore_value signals[] = {{c, 5}, {d, 6}};
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_submission submission = {waits, 2, &execution, 1, signals, 2};
    CHECK_OK(segue_queue_submit(test->queue, &submission));
    CHECK_STATUS(segue_semaphore_wait(c, 5, 1000000), SEGUE_TIMEOUT);
    CHECK_OK(segue_semaphore_signal(a, 1));
    CHECK_OK(segue_semaphore_wait(c, 5, SEGUE_TIMEOUT_INFINITE));
    CHECK_OK(segue_semaphore_wait(d, 6, SEGUE_TIMEOUT_INFINITE));
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(1, i) * 2 + 1);
}

static void destroy_waits(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_queue *queue = segue_test_queue(test);
    segue_command_buffer *commands = record_scale(test, data, 8, 2, 1);
    CHECK_OK(submit(queue, commands, none, none));
    segue_test_destroy(test, queue);
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(1, i) * 2 + 1);
}

static void destroy_drops_what_cannot_start(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_semaphore *never = segue_test_semaphore(test, 0);
    segue_semaphore *after = segue_test_semaphore(test, 0);
    segue_queue *queue = segue_test_queue(test);
    segue_command_buffer *commands = record_scale(test, data, 8, 2, 1);
    CHECK_OK(submit(queue, commands, (struct segue_semaphore_value){never, 1},
                    (struct segue_semaphore_value){after, 1}));
    segue_test_destroy(test, queue);
    CHECK_STATUS(segue_semaphore_wait(after, 1, SEGUE_TIMEOUT_INFINITE), SEGUE_INVALID_STATE);
    uint64_t value;
    CHECK_STATUS(segue_semaphore_query(after, &value), SEGUE_INVALID_STATE);
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(1, i));
}

static void handles_may_go_right_after(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_buffer *out = segue_test_zeros(test, 8);
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_slow(test, commands, segue_test_whole(data), 8, 2, 1);
    segue_test_barrier(commands);
    CHECK_OK(segue_cmd_copy(commands, segue_test_whole(data), segue_test_whole(out)));
    CHECK_OK(segue_command_buffer_end(commands));
    CHECK_OK(submit(test->queue, commands, none, (struct segue_semaphore_value){semaphore, 1}));
    segue_test_destroy(test, commands);
    segue_test_destroy(test, data);
    segue_test_destroy(test, semaphore);
    CHECK_OK(segue_queue_wait_idle(test->queue));
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(out, i, 1, segue_test_word(1, i) * 2 + 1);
}

static void timing(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = record_scale(test, data, 8, 2, 1);
    const struct segue_queue_params params = {.timing = true, .label = "timed"};
    segue_queue *queue = segue_test_queue_of(test, &params);
    struct segue_queue_timing timing;
    CHECK_STATUS(segue_queue_get_timing(queue, &timing), SEGUE_INVALID_STATE);
    CHECK_OK(submit(queue, commands, none, none));
    CHECK_OK(segue_queue_wait_idle(queue));
    CHECK_OK(segue_queue_get_timing(queue, &timing));
    assert_true(timing.issue_ns > 0);
    if (!test->info.is_soft)
        assert_true(timing.device_ns > 150000 && timing.device_ns < 1000000000);
    CHECK_STATUS(segue_queue_get_timing(test->queue, &timing), SEGUE_INVALID_STATE);
}

static void bad_submissions(void **state)
{
    struct segue_test *test = *state;
    segue_semaphore *semaphore = segue_test_semaphore(test, 4);
    segue_command_buffer *recording = segue_test_begin(test);
    CHECK_ERROR(submit(test->queue, recording, none, none), SEGUE_INVALID_STATE, "");
    const struct segue_execution nothing = {.command_buffer = NULL};
    const struct segue_submission submission = {.executions = &nothing, .execution_count = 1};
    CHECK_ERROR(segue_queue_submit(test->queue, &submission), SEGUE_INVALID_ARGUMENT, "");
    CHECK_ERROR(submit(test->queue, NULL, none, (struct segue_semaphore_value){semaphore, 4}),
                SEGUE_INVALID_ARGUMENT, "4");
    // What is refused promises nothing.
    const struct segue_semaphore_value twice[] = {{semaphore, 9}, {semaphore, 9}};
    const struct segue_submission refused = {.signals = twice, .signal_count = 2};
    CHECK_ERROR(segue_queue_submit(test->queue, &refused), SEGUE_INVALID_ARGUMENT, "9");
    CHECK_OK(submit(test->queue, NULL, none, (struct segue_semaphore_value){semaphore, 6}));
    CHECK_ERROR(submit(test->queue, NULL, none, (struct segue_semaphore_value){semaphore, 6}),
                SEGUE_INVALID_ARGUMENT, "6");
    CHECK_OK(segue_queue_wait_idle(test->queue));
    uint64_t value = 0;
    CHECK_OK(segue_semaphore_query(semaphore, &value));
    assert_int_equal(value, 6);
}

static void one_signal_releases_several(void **state)
{
    struct segue_test *test = *state;
    enum { QUEUES = 4 };
    segue_semaphore *gate = segue_test_semaphore(test, 0);
    segue_semaphore *done[QUEUES];
    segue_buffer *data[QUEUES];
    for (uint32_t q = 0; q < QUEUES; ++q) {
        data[q] = segue_test_words(test, 8, q);
        done[q] = segue_test_semaphore(test, 0);
        CHECK_OK(submit(segue_test_queue(test), record_scale(test, data[q], 8, 3, q),
                        (struct segue_semaphore_value){gate, 1 + q % 2},
                        (struct segue_semaphore_value){done[q], 1}));
    }
    CHECK_OK(submit(test->queue, NULL, none, (struct segue_semaphore_value){gate, 2}));
    for (uint32_t q = 0; q < QUEUES; ++q) {
        CHECK_OK(segue_semaphore_wait(done[q], 1, SEGUE_TIMEOUT_INFINITE));
        for (uint32_t i = 0; i < 8; ++i)
            segue_test_expect_all(data[q], i, 1, segue_test_word(q, i) * 3 + q);
    }
}

static void a_chain_submitted_backwards(void **state)
{
    struct segue_test *test = *state;
    enum { LINKS = 6 };
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_semaphore *links[LINKS + 1];
    for (uint32_t k = 0; k <= LINKS; ++k)
        links[k] = segue_test_semaphore(test, 0);
    for (uint32_t k = LINKS; k > 0; --k)
        CHECK_OK(submit(segue_test_queue(test), record_scale(test, data, 8, 3, k),
                        (struct segue_semaphore_value){links[k - 1], 1},
                        (struct segue_semaphore_value){links[k], 1}));
    CHECK_STATUS(segue_semaphore_wait(links[1], 1, 0), SEGUE_TIMEOUT);
    CHECK_OK(submit(test->queue, NULL, none, (struct segue_semaphore_value){links[0], 1}));
    CHECK_OK(segue_semaphore_wait(links[LINKS], 1, SEGUE_TIMEOUT_INFINITE));
    for (uint32_t i = 0; i < 8; ++i) {
        uint32_t word = segue_test_word(1, i);
        for (uint32_t k = 1; k <= LINKS; ++k)
            word = word * 3 + k;
        segue_test_expect_all(data, i, 1, word);
    }
}

static void waits_for_itself(void **state)
{
    struct segue_test *test = *state;
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    CHECK_ERROR(submit(test->queue, NULL, (struct segue_semaphore_value){semaphore, 2},
                       (struct segue_semaphore_value){semaphore, 2}),
                SEGUE_INVALID_ARGUMENT, "");
    // Waiting for less than it signals, which an earlier one brings about, is fine.
    CHECK_OK(submit(test->queue, NULL, none, (struct segue_semaphore_value){semaphore, 1}));
    CHECK_OK(submit(test->queue, NULL, (struct segue_semaphore_value){semaphore, 1},
                    (struct segue_semaphore_value){semaphore, 2}));
    CHECK_OK(segue_semaphore_wait(semaphore, 2, SEGUE_TIMEOUT_INFINITE));
}

static void many_executions(void **state)
{
    struct segue_test *test = *state;
    // Not the same backwards.
    enum { COUNT = 101 };
    segue_buffer *data = segue_test_words(test, 8, 1);
    // Odd factors: no execution's mark is shifted out by those after it.
    segue_command_buffer *a = record_scale(test, data, 8, 5, 1);
    segue_command_buffer *b = record_scale(test, data, 8, 3, 7);
    struct segue_execution executions[COUNT] = {{0}};
    uint32_t expected = segue_test_word(1, 0);
    for (uint32_t i = 0; i < COUNT; ++i) {
        executions[i].command_buffer = i % 3 ? a : b;
        expected = i % 3 ? expected * 5 + 1 : expected * 3 + 7;
    }
    const struct segue_submission submission = {.executions = executions, .execution_count = COUNT};
    CHECK_OK(segue_queue_submit(test->queue, &submission));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    segue_test_expect_all(data, 0, 1, expected);
}

static const struct CMUnitTest tests[] = {
    segue_test_case(empty_submission),
    segue_test_case(in_order_within_a_submission),
    segue_test_case(in_order_within_a_queue),
    segue_test_case(semaphores_between_queues),
    segue_test_case(wait_before_signal),
    segue_test_case(several_waits_and_signals),
    segue_test_case(destroy_waits),
    segue_test_case(destroy_drops_what_cannot_start),
    segue_test_case(handles_may_go_right_after),
    segue_test_case(timing),
    segue_test_case(bad_submissions),
    segue_test_case(one_signal_releases_several),
    segue_test_case(a_chain_submitted_backwards),
    segue_test_case(waits_for_itself),
    segue_test_case(many_executions),
};

const struct segue_conformance_area segue_conformance_queue = {"queue", tests,
                                                               sizeof(tests) / sizeof(tests[0])};
