// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"
#include "test.h"

/** The status of submitting one command buffer without semaphores. */
static segue_status submit(segue_queue *queue, segue_command_buffer *commands)
{
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    return segue_queue_submit(queue, &submission);
}

static segue_command_buffer *record_one(struct segue_test *test, segue_event *event,
                                        segue_status (*record)(segue_command_buffer *,
                                                               segue_event *))
{
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(record(commands, event));
    CHECK_OK(segue_command_buffer_end(commands));
    return commands;
}

static void split_barrier(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 64, 1);
    segue_buffer *other = segue_test_words(test, 64, 2);
    segue_event *event = segue_test_event(test);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_slow(test, commands, segue_test_whole(data), 64, 2, 1);
    CHECK_OK(segue_cmd_signal_event(commands, event));
    segue_test_dispatch_slow(test, commands, segue_test_whole(other), 64, 5, 0);
    CHECK_OK(segue_cmd_wait_event(commands, event));
    segue_test_dispatch_scale(test, commands, segue_test_whole(data), 64, 3, 7);
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 64; ++i) {
        segue_test_expect_all(data, i, 1, (segue_test_word(1, i) * 2 + 1) * 3 + 7);
        segue_test_expect_all(other, i, 1, segue_test_word(2, i) * 5);
    }
}

static void what_comes_after_the_signal_is_not_ordered(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 64, 1);
    segue_event *event = segue_test_event(test);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_signal_event(commands, event));
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(data), 1, 4));
    CHECK_OK(segue_cmd_wait_event(commands, event));
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(data), 2, 4));
    CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_HAZARD, "command 3");
}

static void two_events_and_a_barrier(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *a = segue_test_words(test, 16, 1);
    segue_buffer *b = segue_test_words(test, 16, 2);
    segue_buffer *sum = segue_test_zeros(test, 16);
    segue_event *first = segue_test_event(test);
    segue_event *second = segue_test_event(test);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_slow(test, commands, segue_test_whole(a), 16, 3, 0);
    CHECK_OK(segue_cmd_signal_event(commands, first));
    segue_test_dispatch_slow(test, commands, segue_test_whole(b), 16, 5, 0);
    CHECK_OK(segue_cmd_signal_event(commands, second));
    CHECK_OK(segue_cmd_wait_event(commands, first));
    CHECK_OK(segue_cmd_wait_event(commands, second));
    segue_test_dispatch_add(test, commands, segue_test_whole(a), segue_test_whole(b),
                            segue_test_whole(sum), 16);
    segue_test_barrier(commands);
    CHECK_OK(segue_cmd_wait_event(commands, first));
    segue_test_dispatch_scale(test, commands, segue_test_whole(sum), 16, 2, 0);
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 16; ++i)
        segue_test_expect_all(sum, i, 1,
                              (segue_test_word(1, i) * 3 + segue_test_word(2, i) * 5) * 2);
}

static void across_submissions(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 64, 1);
    segue_event *event = segue_test_event(test);
    segue_queue *other = segue_test_queue(test);
    segue_command_buffer *writer = segue_test_begin(test);
    segue_test_dispatch_slow(test, writer, segue_test_whole(data), 64, 2, 1);
    CHECK_OK(segue_cmd_signal_event(writer, event));
    CHECK_OK(segue_command_buffer_end(writer));
    segue_command_buffer *reader = segue_test_begin(test);
    CHECK_OK(segue_cmd_wait_event(reader, event));
    segue_test_dispatch_scale(test, reader, segue_test_whole(data), 64, 3, 7);
    CHECK_OK(segue_command_buffer_end(reader));

    // Waiting for the reader alone must bring the writer about.
    if (test->soft)
        test->soft->set_paused(true);
    CHECK_OK(submit(test->queue, writer));
    CHECK_OK(submit(other, reader));
    CHECK_OK(segue_queue_wait_idle(other));
    if (test->soft)
        test->soft->set_paused(false);
    CHECK_OK(segue_queue_wait_idle(test->queue));
    for (uint32_t i = 0; i < 64; ++i)
        segue_test_expect_all(data, i, 1, (segue_test_word(1, i) * 2 + 1) * 3 + 7);
}

static void unsignalled(void **state)
{
    struct segue_test *test = *state;
    segue_event *event = segue_test_event(test);
    segue_command_buffer *wait = record_one(test, event, segue_cmd_wait_event);
    segue_command_buffer *signal = record_one(test, event, segue_cmd_signal_event);
    segue_command_buffer *reset = record_one(test, event, segue_cmd_reset_event);
    CHECK_ERROR(submit(test->queue, wait), SEGUE_INVALID_STATE, "event");
    CHECK_OK(submit(test->queue, signal));
    CHECK_OK(submit(test->queue, wait));
    CHECK_OK(submit(test->queue, wait));
    CHECK_OK(submit(test->queue, reset));
    CHECK_ERROR(submit(test->queue, wait), SEGUE_INVALID_STATE, "event");
    CHECK_OK(segue_queue_wait_idle(test->queue));
}

static void the_last_of_signal_and_reset_counts(void **state)
{
    struct segue_test *test = *state;
    segue_event *event = segue_test_event(test);
    segue_command_buffer *wait = record_one(test, event, segue_cmd_wait_event);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_signal_event(commands, event));
    CHECK_OK(segue_cmd_reset_event(commands, event));
    CHECK_OK(segue_command_buffer_end(commands));
    CHECK_OK(submit(test->queue, commands));
    CHECK_STATUS(submit(test->queue, wait), SEGUE_INVALID_STATE);

    commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_reset_event(commands, event));
    CHECK_OK(segue_cmd_signal_event(commands, event));
    CHECK_OK(segue_command_buffer_end(commands));
    CHECK_OK(submit(test->queue, commands));
    CHECK_OK(submit(test->queue, wait));

    // A wait after a reset of the same recording needs a signal from elsewhere, whatever came
    // before.
    commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_signal_event(commands, event));
    CHECK_OK(segue_cmd_wait_event(commands, event));
    CHECK_OK(segue_cmd_signal_event(commands, event));
    CHECK_OK(segue_command_buffer_end(commands));
    CHECK_OK(submit(test->queue, commands));
    CHECK_OK(segue_queue_wait_idle(test->queue));

    // Of two signals a wait takes the later one.
    segue_buffer *data = segue_test_words(test, 4, 1);
    commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_signal_event(commands, event));
    segue_test_dispatch_slow(test, commands, segue_test_whole(data), 4, 2, 1);
    CHECK_OK(segue_cmd_signal_event(commands, event));
    CHECK_OK(segue_cmd_wait_event(commands, event));
    segue_test_dispatch_scale(test, commands, segue_test_whole(data), 4, 3, 7);
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 4; ++i)
        segue_test_expect_all(data, i, 1, (segue_test_word(1, i) * 2 + 1) * 3 + 7);
}

static void destroyed_while_recorded(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 4, 1);
    segue_event *event = segue_test_event(test);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_slow(test, commands, segue_test_whole(data), 4, 2, 1);
    CHECK_OK(segue_cmd_signal_event(commands, event));
    CHECK_OK(segue_cmd_wait_event(commands, event));
    segue_test_dispatch_scale(test, commands, segue_test_whole(data), 4, 3, 7);
    segue_test_destroy(test, event);
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 4; ++i)
        segue_test_expect_all(data, i, 1, (segue_test_word(1, i) * 2 + 1) * 3 + 7);
}

static void bad_arguments(void **state)
{
    struct segue_test *test = *state;
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_ERROR(segue_cmd_signal_event(commands, NULL), SEGUE_INVALID_ARGUMENT, "event");
    CHECK_STATUS(segue_command_buffer_end(commands), SEGUE_INVALID_ARGUMENT);
}

static void signalled_by_every_launch(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 4, 1);
    segue_event *event = segue_test_event(test);
    segue_queue *other = segue_test_queue(test);
    segue_command_buffer *writer = segue_test_begin(test);
    segue_test_dispatch_slow(test, writer, segue_test_whole(data), 4, 2, 1);
    CHECK_OK(segue_cmd_signal_event(writer, event));
    CHECK_OK(segue_command_buffer_end(writer));
    segue_command_buffer *reader = segue_test_begin(test);
    CHECK_OK(segue_cmd_wait_event(reader, event));
    segue_test_dispatch_slow(test, reader, segue_test_whole(data), 4, 3, 7);
    CHECK_OK(segue_command_buffer_end(reader));
    uint32_t expected = segue_test_word(1, 0);
    for (int round = 0; round < 5; ++round) {
        CHECK_OK(submit(test->queue, writer));
        CHECK_OK(submit(other, reader));
        CHECK_OK(segue_queue_wait_idle(other));
        expected = (expected * 2 + 1) * 3 + 7;
    }
    segue_test_expect_all(data, 0, 1, expected);
}

static void waited_for_by_several(void **state)
{
    struct segue_test *test = *state;
    enum { READERS = 3 };
    segue_buffer *data = segue_test_words(test, 4, 1);
    segue_buffer *out = segue_test_zeros(test, 4 * READERS);
    segue_event *event = segue_test_event(test);
    segue_command_buffer *writer = segue_test_begin(test);
    segue_test_dispatch_slow(test, writer, segue_test_whole(data), 4, 2, 1);
    CHECK_OK(segue_cmd_signal_event(writer, event));
    CHECK_OK(segue_command_buffer_end(writer));
    CHECK_OK(submit(test->queue, writer));
    for (uint32_t r = 0; r < READERS; ++r) {
        segue_command_buffer *reader = segue_test_begin(test);
        CHECK_OK(segue_cmd_wait_event(reader, event));
        CHECK_OK(segue_cmd_copy(reader, segue_test_whole(data), segue_test_ref(out, r * 16, 16)));
        CHECK_OK(segue_command_buffer_end(reader));
        CHECK_OK(submit(segue_test_queue(test), reader));
    }
    CHECK_OK(segue_device_wait_idle(test->device));
    for (uint32_t i = 0; i < 4 * READERS; ++i)
        segue_test_expect_all(out, i, 1, segue_test_word(1, i % 4) * 2 + 1);
}

static const struct CMUnitTest tests[] = {
    segue_test_case(split_barrier),
    segue_test_case(what_comes_after_the_signal_is_not_ordered),
    segue_test_case(two_events_and_a_barrier),
    segue_test_case(across_submissions),
    segue_test_case(unsignalled),
    segue_test_case(the_last_of_signal_and_reset_counts),
    segue_test_case(destroyed_while_recorded),
    segue_test_case(bad_arguments),
    segue_test_case(signalled_by_every_launch),
    segue_test_case(waited_for_by_several),
};

const struct segue_conformance_area segue_conformance_event = {"event", tests,
                                                               sizeof(tests) / sizeof(tests[0])};
