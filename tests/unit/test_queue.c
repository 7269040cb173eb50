// SPDX-License-Identifier: Apache-2.0
// Queues: order, deferral, checks, tables, events.
#include "queue_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_message_has(const char *text)
{
    if (!strstr(segue_last_error()->message, text))
        fail_msg("\"%s\" lacks \"%s\"", segue_last_error()->message, text);
}

/* ---- Order ----------------------------------------------------------------------------------- */

static void test_in_order_within_a_queue(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_semaphore *semaphore = make_semaphore(0);
    segue_command_buffer *a = make_command_buffer(0);
    segue_command_buffer *b = make_command_buffer(0);
    SUBMIT(queue, .command_buffer = a, .signal = semaphore, .signal_value = 1);
    // Waiting for the queue's own past costs no call.
    SUBMIT(queue, .command_buffer = b, .wait = semaphore, .wait_value = 1);
    SUBMIT(queue, .command_buffer = a);
    assert_int_equal(fence_world.calls[FENCE_CALL_ENQUEUE_WAIT], 0);
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_OK);
    assert_int_equal(fence_world.run_count, 3);
    assert_ran(0, a);
    assert_ran(1, b);
    assert_ran(2, a);
    segue_command_buffer_destroy(a);
    segue_command_buffer_destroy(b);
    segue_semaphore_destroy(semaphore);
    segue_queue_destroy(queue);
}

static void test_waits_order_queues(void **state)
{
    (void)state;
    segue_queue *first = make_queue("first");
    segue_queue *second = make_queue("second");
    segue_semaphore *semaphore = make_semaphore(0);
    segue_command_buffer *a = make_command_buffer(0);
    segue_command_buffer *b = make_command_buffer(0);
    SUBMIT(first, .command_buffer = a, .signal = semaphore, .signal_value = 1);
    SUBMIT(second, .command_buffer = b, .wait = semaphore, .wait_value = 1);
    assert_int_equal(fence_world.calls[FENCE_CALL_ENQUEUE_WAIT], 1);
    assert_false(fence_step(1));
    assert_true(fence_step(0));
    assert_false(fence_step(1));
    assert_true(fence_step(0));
    assert_true(fence_step(1));
    assert_true(fence_step(1));
    assert_ran(0, a);
    assert_ran(1, b);
    // What is known to be reached needs no wait on the device.
    assert_int_equal(value_of(semaphore), 1);
    SUBMIT(second, .command_buffer = b, .wait = semaphore, .wait_value = 1);
    assert_int_equal(fence_world.calls[FENCE_CALL_ENQUEUE_WAIT], 1);
    segue_queue_destroy(first);
    segue_queue_destroy(second);
    segue_command_buffer_destroy(a);
    segue_command_buffer_destroy(b);
    segue_semaphore_destroy(semaphore);
}

static void test_wait_before_signal(void **state)
{
    (void)state;
    segue_queue *first = make_queue("first");
    segue_queue *second = make_queue("second");
    segue_semaphore *semaphore = make_semaphore(0);
    segue_command_buffer *a = make_command_buffer(0);
    segue_command_buffer *b = make_command_buffer(0);
    segue_command_buffer *c = make_command_buffer(0);
    SUBMIT(second, .command_buffer = b, .wait = semaphore, .wait_value = 2);
    // Held back with its queue, though it waits for nothing itself.
    SUBMIT(second, .command_buffer = c);
    SUBMIT(first, .command_buffer = a, .signal = semaphore, .signal_value = 1);
    fence_run_all();
    assert_int_equal(fence_world.run_count, 1);
    assert_int_equal(segue_queue_wait_idle(second), SEGUE_INVALID_STATE);
    assert_message_has("\"second\"");
    assert_message_has("nobody has submitted");
    SUBMIT(first, .command_buffer = a, .signal = semaphore, .signal_value = 3);
    assert_int_equal(segue_queue_wait_idle(second), SEGUE_OK);
    assert_int_equal(fence_world.run_count, 4);
    assert_ran(0, a);
    assert_ran(1, a);
    assert_ran(2, b);
    assert_ran(3, c);
    segue_queue_destroy(first);
    segue_queue_destroy(second);
    segue_command_buffer_destroy(a);
    segue_command_buffer_destroy(b);
    segue_command_buffer_destroy(c);
    segue_semaphore_destroy(semaphore);
}

static void test_host_signal_issues_a_chain(void **state)
{
    (void)state;
    // The last link first, so that one signal must travel through all queues.
    enum { LINKS = 6 };
    segue_queue *queues[LINKS];
    segue_semaphore *semaphores[LINKS + 1];
    segue_command_buffer *command_buffers[LINKS];
    semaphores[LINKS] = make_semaphore(0);
    for (int i = LINKS - 1; i >= 0; i--) {
        queues[i] = make_queue("link");
        semaphores[i] = make_semaphore(0);
        command_buffers[i] = make_command_buffer(0);
        SUBMIT(queues[i], .command_buffer = command_buffers[i], .wait = semaphores[i],
               .wait_value = 1, .signal = semaphores[i + 1], .signal_value = 1);
    }
    fence_run_all();
    assert_int_equal(fence_world.run_count, 0);
    assert_int_equal(segue_semaphore_signal(semaphores[0], 1), SEGUE_OK);
    fence_run_all();
    assert_int_equal(segue_semaphore_wait(semaphores[LINKS], 1, 0), SEGUE_OK);
    assert_int_equal(fence_world.run_count, LINKS);
    for (int i = 0; i < LINKS; i++) {
        assert_ran((size_t)i, command_buffers[i]);
        segue_queue_destroy(queues[i]);
        segue_semaphore_destroy(semaphores[i]);
        segue_command_buffer_destroy(command_buffers[i]);
    }
    segue_semaphore_destroy(semaphores[LINKS]);
}

static void test_empty_submissions(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    const struct segue_submission empty = {0};
    assert_int_equal(segue_queue_submit(queue, &empty), SEGUE_OK);
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_OK);
    assert_int_equal(segue_device_wait_idle(fixture.device), SEGUE_OK);
    segue_queue_destroy(queue);
    segue_queue_destroy(NULL);
}

/* ---- Checks ---------------------------------------------------------------------------------- */

static void test_arguments(void **state)
{
    (void)state;
    segue_queue *queue = NULL;
    assert_int_equal(segue_queue_create(NULL, NULL, &queue), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_queue_create(fixture.device, NULL, NULL), SEGUE_INVALID_ARGUMENT);
    queue = make_queue("checked");
    const struct segue_submission no_waits = {.wait_count = 1};
    const struct segue_submission no_signals = {.signal_count = 1};
    const struct segue_submission no_executions = {.execution_count = 1};
    const struct segue_semaphore_value nothing = {0};
    const struct segue_execution no_commands = {0};
    const struct segue_submission null_wait = {.waits = &nothing, .wait_count = 1};
    const struct segue_submission null_signal = {.signals = &nothing, .signal_count = 1};
    const struct segue_submission null_commands = {.executions = &no_commands,
                                                   .execution_count = 1};
    assert_int_equal(segue_queue_submit(NULL, &no_waits), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_queue_submit(queue, NULL), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_queue_submit(queue, &no_waits), SEGUE_INVALID_ARGUMENT);
    assert_message_has("waits");
    assert_int_equal(segue_queue_submit(queue, &no_signals), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_queue_submit(queue, &no_executions), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_queue_submit(queue, &null_wait), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_queue_submit(queue, &null_signal), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_queue_submit(queue, &null_commands), SEGUE_INVALID_ARGUMENT);
    assert_message_has("\"checked\"");
    assert_int_equal(segue_queue_wait_idle(NULL), SEGUE_INVALID_ARGUMENT);
    segue_queue_destroy(queue);
}

static void test_command_buffer_states(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_semaphore *semaphore = make_semaphore(0);
    segue_command_buffer *command_buffer;
    assert_int_equal(segue_command_buffer_create(fixture.device, NULL, &command_buffer), SEGUE_OK);
    const struct submit submit = {
        .command_buffer = command_buffer, .signal = semaphore, .signal_value = 1};
    assert_int_equal(try_submit(queue, submit), SEGUE_INVALID_STATE);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    assert_int_equal(try_submit(queue, submit), SEGUE_INVALID_STATE);
    assert_message_has("is not ended");
    const struct segue_buffer_ref beyond = {.buffer = fixture.buffer, .offset_bytes = 1000};
    assert_int_equal(segue_cmd_fill(command_buffer, beyond, 0, 1), SEGUE_OUT_OF_RANGE);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OUT_OF_RANGE);
    assert_int_equal(try_submit(queue, submit), SEGUE_INVALID_STATE);
    assert_message_has("failed with:");
    // Refused submissions have promised nothing: the value is still free.
    assert_int_equal(segue_command_buffer_reset(command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    assert_int_equal(try_submit(queue, submit), SEGUE_OK);
    segue_command_buffer_destroy(command_buffer);
    segue_semaphore_destroy(semaphore);
    segue_queue_destroy(queue);
}

static void test_one_shot(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_command_buffer *command_buffer = make_command_buffer(SEGUE_COMMAND_BUFFER_ONE_SHOT);
    const struct segue_execution twice[] = {{.command_buffer = command_buffer},
                                            {.command_buffer = command_buffer}};
    const struct segue_submission submission = {.executions = twice, .execution_count = 2};
    assert_int_equal(segue_queue_submit(queue, &submission), SEGUE_INVALID_STATE);
    // A submission that the driver refuses does not count.
    fence_world.fail_status = SEGUE_DRIVER_ERROR;
    fence_world.fail_at[FENCE_CALL_RUN] = 1;
    assert_int_equal(try_submit(queue, (struct submit){.command_buffer = command_buffer}),
                     SEGUE_DRIVER_ERROR);
    SUBMIT(queue, .command_buffer = command_buffer);
    assert_int_equal(try_submit(queue, (struct submit){.command_buffer = command_buffer}),
                     SEGUE_INVALID_STATE);
    assert_message_has("one-shot");
    fence_run_all();
    assert_int_equal(fence_world.run_count, 1);
    segue_command_buffer_destroy(command_buffer);
    segue_queue_destroy(queue);
}

static void test_signals_of_one_submission_ascend(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_semaphore *semaphore = make_semaphore(0);
    const struct segue_semaphore_value values[] = {{semaphore, 2}, {semaphore, 3}, {semaphore, 3}};
    struct segue_submission submission = {.signals = values, .signal_count = 3};
    assert_int_equal(segue_queue_submit(queue, &submission), SEGUE_INVALID_ARGUMENT);
    assert_message_has("signals[2].value 3 must be above 3");
    submission.signal_count = 2;
    assert_int_equal(segue_queue_submit(queue, &submission), SEGUE_OK);
    fence_run_all();
    assert_int_equal(value_of(semaphore), 3);
    segue_semaphore_destroy(semaphore);
    segue_queue_destroy(queue);
}

static void test_objects_of_another_device(void **state)
{
    (void)state;
    segue_device *other;
    assert_int_equal(segue_device_open_with(null_backend_open, "soft://", NULL, &other), SEGUE_OK);
    segue_semaphore *foreign;
    assert_int_equal(segue_semaphore_create(other, 0, &foreign), SEGUE_OK);
    segue_command_buffer *commands;
    assert_int_equal(segue_command_buffer_create(other, NULL, &commands), SEGUE_OK);
    segue_queue *queue = make_queue("q");
    assert_int_equal(try_submit(queue, (struct submit){.wait = foreign, .wait_value = 0}),
                     SEGUE_INVALID_ARGUMENT);
    assert_int_equal(try_submit(queue, (struct submit){.signal = foreign, .signal_value = 1}),
                     SEGUE_INVALID_ARGUMENT);
    assert_int_equal(try_submit(queue, (struct submit){.command_buffer = commands}),
                     SEGUE_INVALID_ARGUMENT);
    segue_queue_destroy(queue);
    segue_command_buffer_destroy(commands);
    segue_semaphore_destroy(foreign);
    segue_device_destroy(other);
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static segue_status submit_table(segue_queue *queue, segue_command_buffer *command_buffer,
                                 const struct segue_buffer_ref *bindings, uint32_t count)
{
    const struct segue_execution execution = {
        .command_buffer = command_buffer, .bindings = bindings, .binding_count = count};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    return segue_queue_submit(queue, &submission);
}

static void test_tables_are_checked(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_command_buffer *command_buffer = make_slot_commands(1);
    segue_buffer *read_only;
    const struct segue_buffer_params params = {
        .size_bytes = 64, .usage = SEGUE_BUFFER_USAGE_READ_ONLY, .label = "read only"};
    assert_int_equal(segue_buffer_create(fixture.device, &params, &read_only), SEGUE_OK);
    const struct segue_buffer_ref good[] = {
        {.buffer = fixture.buffer, .length_bytes = SEGUE_WHOLE_SIZE}, {0}};
    const struct segue_buffer_ref null = {.length_bytes = 16};
    const struct segue_buffer_ref behind = {.buffer = fixture.buffer, .offset_bytes = 257};
    const struct segue_buffer_ref beyond = {
        .buffer = fixture.buffer, .offset_bytes = 200, .length_bytes = 57};
    const struct segue_buffer_ref small = {.buffer = fixture.buffer, .length_bytes = 8};
    const struct segue_buffer_ref unusable = {.buffer = read_only,
                                              .length_bytes = SEGUE_WHOLE_SIZE};
    assert_int_equal(submit_table(queue, command_buffer, NULL, 0), SEGUE_OUT_OF_RANGE);
    assert_int_equal(submit_table(queue, command_buffer, NULL, 1), SEGUE_OUT_OF_RANGE);
    assert_int_equal(submit_table(queue, command_buffer, good, 2), SEGUE_OUT_OF_RANGE);
    assert_message_has("1 slots and was submitted with 2");
    assert_int_equal(submit_table(queue, command_buffer, &null, 1), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(submit_table(queue, command_buffer, &behind, 1), SEGUE_OUT_OF_RANGE);
    assert_int_equal(submit_table(queue, command_buffer, &beyond, 1), SEGUE_OUT_OF_RANGE);
    assert_message_has("offset 200 and length 57");
    assert_int_equal(submit_table(queue, command_buffer, &small, 1), SEGUE_OUT_OF_RANGE);
    assert_int_equal(submit_table(queue, command_buffer, &unusable, 1), SEGUE_INVALID_ACCESS);
    assert_int_equal(submit_table(queue, command_buffer, good, 1), SEGUE_OK);
    segue_buffer_destroy(read_only);
    segue_command_buffer_destroy(command_buffer);
    segue_queue_destroy(queue);
}

static void test_tables_in_flight(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_command_buffer *command_buffer = make_slot_commands(40);
    segue_buffer *buffers[2];
    struct segue_buffer_ref tables[2][40];
    for (int i = 0; i < 2; i++) {
        const struct segue_buffer_params params = {.size_bytes = 64};
        assert_int_equal(segue_buffer_create(fixture.device, &params, &buffers[i]), SEGUE_OK);
        for (int k = 0; k < 40; k++)
            tables[i][k] = (struct segue_buffer_ref){.buffer = buffers[i], .length_bytes = 64};
    }
    int made = null_world.programs_made;
    assert_int_equal(submit_table(queue, command_buffer, tables[0], 40), SEGUE_OK);
    assert_int_equal(submit_table(queue, command_buffer, tables[0], 40), SEGUE_OK);
    assert_int_equal(null_world.programs_made, made + 1);
    assert_int_equal(submit_table(queue, command_buffer, tables[1], 40), SEGUE_OK);
    assert_int_equal(null_world.programs_made, made + 2);
    // The first program and its buffers live until its submissions are done.
    segue_buffer_destroy(buffers[0]);
    segue_buffer_destroy(buffers[1]);
    segue_command_buffer_destroy(command_buffer);
    assert_int_equal(null_world.programs, 2);
    assert_int_equal(null_world.allocations, 3);
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_OK);
    assert_int_equal(null_world.programs, 0);
    assert_int_equal(null_world.allocations, 1);
    assert_int_equal(fence_world.run_count, 3);
    segue_queue_destroy(queue);
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void test_events_between_submissions(void **state)
{
    (void)state;
    segue_queue *first = make_queue("first");
    segue_queue *second = make_queue("second");
    segue_event *event = make_event();
    segue_command_buffer *signal = make_event_commands(event, "s");
    segue_command_buffer *reset = make_event_commands(event, "r");
    segue_command_buffer *wait = make_event_commands(event, "w");
    segue_command_buffer *inside = make_event_commands(event, "swr");
    segue_command_buffer *after_reset = make_event_commands(event, "srw");

    assert_int_equal(try_submit(second, (struct submit){.command_buffer = wait}),
                     SEGUE_INVALID_STATE);
    assert_message_has("waits for an event");
    SUBMIT(first, .command_buffer = signal);
    SUBMIT(second, .command_buffer = wait);
    assert_int_equal(fence_world.calls[FENCE_CALL_ENQUEUE_WAIT], 1);
    assert_false(fence_step(1));
    // On the queue of the signal order is there already.
    SUBMIT(first, .command_buffer = wait);
    assert_int_equal(fence_world.calls[FENCE_CALL_ENQUEUE_WAIT], 1);
    SUBMIT(first, .command_buffer = reset);
    assert_int_equal(try_submit(first, (struct submit){.command_buffer = wait}),
                     SEGUE_INVALID_STATE);
    // Its own signal is enough, and its reset stays.
    SUBMIT(first, .command_buffer = inside);
    assert_int_equal(try_submit(first, (struct submit){.command_buffer = wait}),
                     SEGUE_INVALID_STATE);
    assert_int_equal(try_submit(first, (struct submit){.command_buffer = after_reset}),
                     SEGUE_INVALID_STATE);
    fence_run_all();
    assert_int_equal(segue_queue_wait_idle(second), SEGUE_OK);
    segue_queue_destroy(first);
    segue_queue_destroy(second);
    segue_command_buffer_destroy(signal);
    segue_command_buffer_destroy(reset);
    segue_command_buffer_destroy(wait);
    segue_command_buffer_destroy(inside);
    segue_command_buffer_destroy(after_reset);
    segue_event_destroy(event);
    segue_event_destroy(NULL);
}

static void test_events_inside_a_submission(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_event *event = make_event();
    segue_command_buffer *signal = make_event_commands(event, "s");
    segue_command_buffer *reset = make_event_commands(event, "r");
    segue_command_buffer *wait = make_event_commands(event, "w");
    const struct segue_execution good[] = {{.command_buffer = signal}, {.command_buffer = wait}};
    const struct segue_execution bad[] = {
        {.command_buffer = signal}, {.command_buffer = reset}, {.command_buffer = wait}};
    struct segue_submission submission = {.executions = bad, .execution_count = 3};
    assert_int_equal(segue_queue_submit(queue, &submission), SEGUE_INVALID_STATE);
    // A refused submission has changed no event.
    assert_int_equal(try_submit(queue, (struct submit){.command_buffer = wait}),
                     SEGUE_INVALID_STATE);
    submission.executions = good;
    submission.execution_count = 2;
    assert_int_equal(segue_queue_submit(queue, &submission), SEGUE_OK);
    SUBMIT(queue, .command_buffer = wait);
    segue_queue_destroy(queue);
    segue_command_buffer_destroy(signal);
    segue_command_buffer_destroy(reset);
    segue_command_buffer_destroy(wait);
    segue_event_destroy(event);
}

static void test_deferred_event_wait_fails_its_signals(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_event *event = make_event();
    segue_semaphore *gate = make_semaphore(0);
    segue_semaphore *semaphore = make_semaphore(0);
    segue_command_buffer *wait = make_event_commands(event, "w");
    SUBMIT(queue, .command_buffer = wait, .wait = gate, .wait_value = 1, .signal = semaphore,
           .signal_value = 1);
    assert_int_equal(segue_semaphore_signal(gate, 1), SEGUE_OK);
    assert_int_equal(segue_semaphore_wait(semaphore, 1, SEGUE_TIMEOUT_INFINITE),
                     SEGUE_INVALID_STATE);
    segue_queue_destroy(queue);
    segue_command_buffer_destroy(wait);
    segue_semaphore_destroy(gate);
    segue_semaphore_destroy(semaphore);
    segue_event_destroy(event);
}

#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, queue_fixture_setup, queue_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_in_order_within_a_queue),
        TEST(test_waits_order_queues),
        TEST(test_wait_before_signal),
        TEST(test_host_signal_issues_a_chain),
        TEST(test_empty_submissions),
        TEST(test_arguments),
        TEST(test_command_buffer_states),
        TEST(test_one_shot),
        TEST(test_signals_of_one_submission_ascend),
        TEST(test_objects_of_another_device),
        TEST(test_tables_are_checked),
        TEST(test_tables_in_flight),
        TEST(test_events_between_submissions),
        TEST(test_events_inside_a_submission),
        TEST(test_deferred_event_wait_fails_its_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
