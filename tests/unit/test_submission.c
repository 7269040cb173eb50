// SPDX-License-Identifier: Apache-2.0
// Submissions: lifetimes, recycling, failures, timing.
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

/* ---- Lifetimes and recycling ----------------------------------------------------------------- */

static void test_everything_may_be_destroyed_in_flight(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_queue *other = make_queue("other");
    segue_semaphore *gate = make_semaphore(0);
    segue_semaphore *done = make_semaphore(0);
    segue_event *event = make_event();
    segue_command_buffer *commands = make_command_buffer(0);
    segue_command_buffer *signals = make_event_commands(event, "s");
    SUBMIT(queue, .command_buffer = commands, .wait = gate, .wait_value = 1, .signal = done,
           .signal_value = 1);
    SUBMIT(queue, .command_buffer = signals);
    SUBMIT(other, .command_buffer = commands, .wait = done, .wait_value = 1);
    segue_command_buffer_destroy(commands);
    segue_command_buffer_destroy(signals);
    segue_semaphore_destroy(done);
    segue_event_destroy(event);
    assert_int_equal(null_world.programs, 2);
    assert_int_equal(segue_semaphore_signal(gate, 1), SEGUE_OK);
    segue_semaphore_destroy(gate);
    assert_int_equal(segue_queue_wait_idle(other), SEGUE_OK);
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_OK);
    assert_int_equal(fence_world.run_count, 3);
    assert_int_equal(null_world.programs, 0);
    segue_queue_destroy(queue);
    segue_queue_destroy(other);
}

static void test_steady_state_allocates_nothing(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_semaphore *semaphore = make_semaphore(0);
    segue_command_buffer *command_buffer = make_command_buffer(0);
    for (uint64_t i = 1; i <= 1000; i++) {
        if (i == 10)
            null_allocator_fail(&fixture.allocator, 0, false);
        SUBMIT(queue, .command_buffer = command_buffer, .signal = semaphore, .signal_value = i);
        if (i % 3 == 0) {
            fence_run_all();
            assert_int_equal(segue_semaphore_wait(semaphore, i, 0), SEGUE_OK);
        }
    }
    assert_int_equal(fixture.allocator.count, 0);
    assert_in_range(fence_world.calls[FENCE_CALL_CREATE], 1, 4);
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_OK);
    segue_command_buffer_destroy(command_buffer);
    segue_semaphore_destroy(semaphore);
    segue_queue_destroy(queue);
}

static void test_nobody_waits(void **state)
{
    (void)state;
    // Finished work is found by submitting alone, with few queries.
    segue_queue *queue = make_queue("q");
    segue_command_buffer *command_buffer = make_command_buffer(0);
    for (int i = 0; i < 2000; i++) {
        SUBMIT(queue, .command_buffer = command_buffer);
        if (i % 10 == 0)
            fence_run_all();
    }
    assert_true(queue->in_flight_count < 100);
    assert_true(fence_world.calls[FENCE_CALL_CREATE] < 100);
    assert_in_range(fence_world.calls[FENCE_CALL_QUERY], 1, 500);
    // And nothing is lost when the device does not keep up.
    uint64_t queries = fence_world.calls[FENCE_CALL_QUERY];
    for (int i = 0; i < 2000; i++)
        SUBMIT(queue, .command_buffer = command_buffer);
    assert_in_range(fence_world.calls[FENCE_CALL_QUERY] - queries, 1, 20);
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_OK);
    assert_int_equal(queue->in_flight_count, 0);
    assert_int_equal(fence_world.run_count, 4000);
    segue_command_buffer_destroy(command_buffer);
    segue_queue_destroy(queue);
}

static void test_finished_work_of_another_queue_is_not_mistaken(void **state)
{
    (void)state;
    // What the first queue last looked for is waited for, recycled, and finished on the second.
    segue_queue *first = make_queue("first");
    segue_queue *second = make_queue("second");
    segue_semaphore *semaphore = make_semaphore(0);
    for (int i = 0; i < 20; i++)
        SUBMIT(first, .command_buffer = NULL);
    assert_int_equal(segue_queue_wait_idle(first), SEGUE_OK);
    for (int i = 0; i < 60; i++)
        SUBMIT(second, .command_buffer = NULL);
    assert_int_equal(segue_queue_wait_idle(second), SEGUE_OK);
    for (int i = 0; i < 100; i++)
        SUBMIT(second, .command_buffer = NULL);
    fence_run_all();
    for (uint64_t i = 1; i <= 200; i++)
        SUBMIT(first, .signal = semaphore, .signal_value = i);
    assert_int_equal(value_of(semaphore), 0);
    fence_run_all();
    assert_int_equal(value_of(semaphore), 200);
    segue_queue_destroy(first);
    segue_queue_destroy(second);
    segue_semaphore_destroy(semaphore);
}

static void test_large_submission_after_small_ones(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    segue_queue *queue = make_queue("q");
    segue_semaphore *semaphores[COUNT];
    struct segue_semaphore_value values[COUNT];
    SUBMIT(queue, .command_buffer = NULL);
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_OK);
    for (int i = 0; i < COUNT; i++) {
        semaphores[i] = make_semaphore(0);
        values[i] = (struct segue_semaphore_value){semaphores[i], 1};
    }
    const struct segue_submission signal = {.signals = values, .signal_count = COUNT};
    const struct segue_submission wait = {.waits = values, .wait_count = COUNT};
    assert_int_equal(segue_queue_submit(queue, &wait), SEGUE_OK);
    segue_queue *other = make_queue("other");
    assert_int_equal(segue_queue_submit(other, &signal), SEGUE_OK);
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_OK);
    assert_int_equal(segue_queue_wait_idle(other), SEGUE_OK);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(value_of(semaphores[i]), 1);
        segue_semaphore_destroy(semaphores[i]);
    }
    segue_queue_destroy(queue);
    segue_queue_destroy(other);
}

static void test_device_outlives_its_handle(void **state)
{
    (void)state;
    segue_device *device;
    assert_int_equal(segue_device_open_with(null_backend_open, "soft://", NULL, &device), SEGUE_OK);
    segue_queue *queue;
    assert_int_equal(segue_queue_create(device, NULL, &queue), SEGUE_OK);
    segue_semaphore *semaphore;
    assert_int_equal(segue_semaphore_create(device, 0, &semaphore), SEGUE_OK);
    segue_device_destroy(device);
    SUBMIT(queue, .signal = semaphore, .signal_value = 1);
    assert_int_equal(segue_semaphore_wait(semaphore, 1, SEGUE_TIMEOUT_INFINITE), SEGUE_OK);
    segue_queue_destroy(queue);
    assert_int_equal(value_of(semaphore), 1);
    segue_semaphore_destroy(semaphore);
    assert_int_equal(null_world.backends, 1);
}

/* ---- Failures -------------------------------------------------------------------------------- */

static void test_driver_failures_at_submit(void **state)
{
    (void)state;
    segue_queue *other = make_queue("other");
    segue_queue *queue = make_queue("q");
    segue_semaphore *wait = make_semaphore(0);
    segue_semaphore *signal = make_semaphore(0);
    segue_command_buffer *command_buffer = make_command_buffer(0);
    const enum fence_call calls[] = {FENCE_CALL_CREATE, FENCE_CALL_ENQUEUE_WAIT, FENCE_CALL_RUN,
                                     FENCE_CALL_RECORD};
    fence_world.fail_status = SEGUE_DRIVER_ERROR;
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        value++;
        SUBMIT(other, .signal = wait, .signal_value = value);
        const struct submit submit = {.command_buffer = command_buffer,
                                      .wait = wait,
                                      .wait_value = value,
                                      .signal = signal,
                                      .signal_value = value};
        fence_world.fail_at[calls[i]] = 1;
        assert_int_equal(try_submit(queue, submit), SEGUE_DRIVER_ERROR);
        assert_int_equal(segue_last_error()->driver_result, 900 + (int)calls[i]);
        assert_int_equal(segue_semaphore_wait(signal, value, 0), SEGUE_TIMEOUT);
        // The same submission again, unchanged.
        assert_int_equal(try_submit(queue, submit), SEGUE_OK);
        fence_run_all();
        assert_int_equal(segue_semaphore_wait(signal, value, 0), SEGUE_OK);
    }
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_OK);
    segue_queue_destroy(queue);
    segue_queue_destroy(other);
    segue_command_buffer_destroy(command_buffer);
    segue_semaphore_destroy(wait);
    segue_semaphore_destroy(signal);
}

static void test_work_handed_over_before_a_failure_is_kept(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_command_buffer *a = make_command_buffer(0);
    segue_command_buffer *b = make_command_buffer(0);
    const struct segue_execution executions[] = {{.command_buffer = a}, {.command_buffer = b}};
    const struct segue_submission submission = {.executions = executions, .execution_count = 2};
    fence_world.fail_status = SEGUE_DRIVER_ERROR;
    fence_world.fail_at[FENCE_CALL_RUN] = 2;
    assert_int_equal(segue_queue_submit(queue, &submission), SEGUE_DRIVER_ERROR);
    fence_world.fail_at[FENCE_CALL_RUN] = 2;
    fence_world.fail_at[FENCE_CALL_RECORD] = 1;
    assert_int_equal(segue_queue_submit(queue, &submission), SEGUE_DRIVER_ERROR);
    assert_int_equal(segue_last_error()->driver_result, 900 + FENCE_CALL_RUN);
    // Teardown sees whether a program went while it was queued.
    segue_command_buffer_destroy(a);
    segue_command_buffer_destroy(b);
    segue_queue_destroy(queue);
    assert_int_equal(null_world.programs, 0);
}

static void test_deferred_failure_spreads(void **state)
{
    (void)state;
    segue_queue *failing = make_queue("failing");
    segue_queue *dependent = make_queue("dependent");
    segue_queue *unrelated = make_queue("unrelated");
    segue_semaphore *gate = make_semaphore(0);
    segue_semaphore *middle = make_semaphore(0);
    segue_semaphore *end = make_semaphore(0);
    segue_semaphore *other = make_semaphore(0);
    segue_command_buffer *command_buffer = make_command_buffer(0);
    SUBMIT(dependent, .wait = middle, .wait_value = 1, .signal = end, .signal_value = 1);
    SUBMIT(failing, .command_buffer = command_buffer, .wait = gate, .wait_value = 1,
           .signal = middle, .signal_value = 1);
    SUBMIT(failing, .command_buffer = command_buffer, .signal = other, .signal_value = 1);
    SUBMIT(unrelated, .command_buffer = command_buffer, .wait = gate, .wait_value = 1);
    fence_world.fail_status = SEGUE_OUT_OF_DEVICE_MEMORY;
    fence_world.fail_at[FENCE_CALL_RUN] = 1;
    segue_status marker = segue_fail(NULL, SEGUE_NOT_FOUND, "the thread's own last failure");
    assert_int_equal(marker, SEGUE_NOT_FOUND);
    assert_int_equal(segue_semaphore_signal(gate, 1), SEGUE_OK);
    // The signalling thread's call succeeded, and so left its last error alone.
    assert_int_equal(segue_last_error()->status, SEGUE_NOT_FOUND);
    assert_int_equal(segue_semaphore_wait(middle, 1, SEGUE_TIMEOUT_INFINITE),
                     SEGUE_OUT_OF_DEVICE_MEMORY);
    assert_message_has("fails as told");
    assert_int_equal(segue_last_error()->driver_result, 900 + FENCE_CALL_RUN);
    assert_int_equal(segue_semaphore_wait(end, 1, SEGUE_TIMEOUT_INFINITE),
                     SEGUE_OUT_OF_DEVICE_MEMORY);
    // The rest of the failing queue, and other queues, go on.
    fence_run_all();
    assert_int_equal(segue_queue_wait_idle(dependent), SEGUE_OUT_OF_DEVICE_MEMORY);
    assert_int_equal(segue_semaphore_wait(other, 1, 0), SEGUE_OK);
    assert_int_equal(fence_world.run_count, 2);
    // Once per queue.
    assert_int_equal(segue_queue_wait_idle(failing), SEGUE_OUT_OF_DEVICE_MEMORY);
    assert_message_has("\"failing\"");
    assert_int_equal(segue_queue_wait_idle(failing), SEGUE_OK);
    assert_int_equal(segue_queue_wait_idle(unrelated), SEGUE_OK);
    assert_int_equal(segue_semaphore_wait(middle, 1, 0), SEGUE_OUT_OF_DEVICE_MEMORY);
    segue_queue_destroy(failing);
    segue_queue_destroy(dependent);
    segue_queue_destroy(unrelated);
    segue_semaphore_destroy(gate);
    segue_semaphore_destroy(middle);
    segue_semaphore_destroy(end);
    segue_semaphore_destroy(other);
    segue_command_buffer_destroy(command_buffer);
}

static void test_destroy_drops_deferred_work(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("gone");
    segue_queue *dependent = make_queue("dependent");
    segue_semaphore *gate = make_semaphore(0);
    segue_semaphore *first = make_semaphore(0);
    segue_semaphore *second = make_semaphore(0);
    segue_command_buffer *command_buffer = make_command_buffer(0);
    SUBMIT(queue, .command_buffer = command_buffer);
    SUBMIT(queue, .command_buffer = command_buffer, .wait = gate, .wait_value = 1, .signal = first,
           .signal_value = 1);
    SUBMIT(dependent, .wait = first, .wait_value = 1, .signal = second, .signal_value = 1);
    segue_queue_destroy(queue);
    assert_int_equal(fence_world.run_count, 1);
    assert_int_equal(segue_semaphore_wait(first, 1, SEGUE_TIMEOUT_INFINITE), SEGUE_INVALID_STATE);
    assert_int_equal(segue_semaphore_wait(second, 1, SEGUE_TIMEOUT_INFINITE), SEGUE_INVALID_STATE);
    assert_message_has("\"gone\" was destroyed");
    assert_int_equal(segue_queue_wait_idle(dependent), SEGUE_INVALID_STATE);
    assert_int_equal(segue_queue_wait_idle(dependent), SEGUE_OK);
    segue_queue_destroy(dependent);
    segue_semaphore_destroy(gate);
    segue_semaphore_destroy(first);
    segue_semaphore_destroy(second);
    segue_command_buffer_destroy(command_buffer);
}

static void test_destroy_waits_in_spite_of_a_failure(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_semaphore *semaphore = make_semaphore(0);
    segue_command_buffer *command_buffer = make_command_buffer(0);
    SUBMIT(queue, .command_buffer = command_buffer, .signal = semaphore, .signal_value = 1);
    segue_command_buffer_destroy(command_buffer);
    fence_world.fail_status = SEGUE_DRIVER_ERROR;
    fence_world.fail_at[FENCE_CALL_WAIT_IDLE] = 1;
    segue_queue_destroy(queue);
    assert_int_equal(fence_world.run_count, 1);
    assert_int_equal(value_of(semaphore), 1);
    segue_semaphore_destroy(semaphore);
}

static void test_device_loss(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_semaphore *semaphore = make_semaphore(0);
    segue_semaphore *gate = make_semaphore(0);
    segue_command_buffer *command_buffer = make_command_buffer(0);
    SUBMIT(queue, .command_buffer = command_buffer, .signal = semaphore, .signal_value = 1);
    SUBMIT(queue, .command_buffer = command_buffer, .wait = gate, .wait_value = 1);
    fence_lose_device();
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_DEVICE_LOST);
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_DEVICE_LOST);
    assert_int_equal(try_submit(queue, (struct submit){.command_buffer = command_buffer}),
                     SEGUE_DEVICE_LOST);
    assert_int_equal(segue_device_wait_idle(fixture.device), SEGUE_DEVICE_LOST);
    segue_queue *another;
    assert_int_equal(segue_queue_create(fixture.device, NULL, &another), SEGUE_DEVICE_LOST);
    segue_queue_destroy(queue);
    segue_command_buffer_destroy(command_buffer);
    segue_semaphore_destroy(semaphore);
    segue_semaphore_destroy(gate);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    segue_semaphore *semaphore = make_semaphore(0);
    segue_command_buffer *command_buffer = make_slot_commands(40);
    struct segue_buffer_ref table[40];
    for (int i = 0; i < 40; i++)
        table[i] =
            (struct segue_buffer_ref){.buffer = fixture.buffer, .length_bytes = SEGUE_WHOLE_SIZE};
    int64_t live = fixture.allocator.live;
    bool failed = true;
    for (uint64_t nth = 1; failed; nth++) {
        null_allocator_fail(&fixture.allocator, nth, false);
        const struct segue_queue_params params = {.label = "q", .timing = true};
        segue_queue *queue = NULL;
        segue_status status = segue_queue_create(fixture.device, &params, &queue);
        const struct segue_execution execution = {
            .command_buffer = command_buffer, .bindings = table, .binding_count = 40};
        const struct segue_semaphore_value signals[16] = {{semaphore, nth}};
        const struct segue_submission submission = {
            .executions = &execution, .execution_count = 1, .signals = signals, .signal_count = 1};
        if (status == SEGUE_OK)
            status = segue_queue_submit(queue, &submission);
        failed = fixture.allocator.failed != 0;
        assert_int_equal(status, failed ? SEGUE_OUT_OF_HOST_MEMORY : SEGUE_OK);
        null_allocator_fail(&fixture.allocator, 0, false);
        if (failed && queue)
            assert_int_equal(segue_queue_submit(queue, &submission), SEGUE_OK);
        if (queue)
            assert_int_equal(segue_queue_wait_idle(queue), SEGUE_OK);
        segue_queue_destroy(queue);
        // Programs are made once, works and fences kept: begin anew as far as that goes.
        assert_int_equal(segue_command_buffer_reset(command_buffer), SEGUE_OK);
        segue_command_buffer_destroy(command_buffer);
        command_buffer = make_slot_commands(40);
        segue_submission_pool_finish(fixture.device);
        segue_submission_pool_init(fixture.device);
        assert_int_equal(fixture.allocator.live, live);
        assert_true(nth < 200);
    }
    segue_command_buffer_destroy(command_buffer);
    segue_semaphore_destroy(semaphore);
}

/* ---- Timing ---------------------------------------------------------------------------------- */

static void test_timing(void **state)
{
    (void)state;
    struct segue_queue_timing timing = {.device_ns = 77};
    segue_queue *plain = make_queue("plain");
    const struct segue_queue_params params = {.timing = true, .label = "timed"};
    segue_queue *queue;
    assert_int_equal(segue_queue_create(fixture.device, &params, &queue), SEGUE_OK);
    segue_command_buffer *command_buffer = make_command_buffer(0);
    assert_int_equal(segue_queue_get_timing(plain, &timing), SEGUE_INVALID_STATE);
    assert_int_equal(segue_queue_get_timing(queue, &timing), SEGUE_INVALID_STATE);
    assert_int_equal(segue_queue_get_timing(NULL, &timing), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_queue_get_timing(queue, NULL), SEGUE_INVALID_ARGUMENT);

    const struct segue_execution executions[] = {{.command_buffer = command_buffer},
                                                 {.command_buffer = command_buffer},
                                                 {.command_buffer = command_buffer}};
    const struct segue_submission submission = {.executions = executions, .execution_count = 3};
    assert_int_equal(segue_queue_submit(queue, &submission), SEGUE_OK);
    SUBMIT(queue, .command_buffer = command_buffer);
    assert_int_equal(segue_queue_get_timing(queue, &timing), SEGUE_INVALID_STATE);
    assert_message_has("still runs");
    assert_int_equal(timing.device_ns, 77);
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_OK);
    // A tick of 1000 ns for each program.
    assert_int_equal(segue_queue_get_timing(queue, &timing), SEGUE_OK);
    assert_int_equal(timing.device_ns, 1000);
    assert_int_equal(timing.total_device_ns, 4000);
    assert_true(timing.issue_ns > 0);
    assert_true(timing.total_issue_ns > timing.issue_ns);

    SUBMIT(queue, .command_buffer = command_buffer);
    SUBMIT(queue, .command_buffer = command_buffer);
    fence_run_all();
    assert_int_equal(segue_queue_get_timing(queue, &timing), SEGUE_OK);
    assert_int_equal(timing.total_device_ns, 6000);

    fence_world.fail_status = SEGUE_DRIVER_ERROR;
    fence_world.fail_at[FENCE_CALL_ELAPSED] = 1;
    assert_int_equal(segue_queue_get_timing(queue, &timing), SEGUE_DRIVER_ERROR);
    SUBMIT(queue, .command_buffer = command_buffer);
    fence_world.fail_at[FENCE_CALL_ELAPSED] = 1;
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_DRIVER_ERROR);
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_OK);
    segue_command_buffer_destroy(command_buffer);
    segue_queue_destroy(queue);
    segue_queue_destroy(plain);
}

/** A submission that failed on its way has no timing, and may still run when that of the one before
 *  is asked for: it keeps what it has. */
static void test_timing_beside_a_failure(void **state)
{
    (void)state;
    struct segue_queue_timing timing;
    const struct segue_queue_params params = {.timing = true, .label = "timed"};
    segue_queue *queue;
    assert_int_equal(segue_queue_create(fixture.device, &params, &queue), SEGUE_OK);
    segue_command_buffer *good = make_command_buffer(0);
    segue_command_buffer *half = make_command_buffer(0);
    SUBMIT(queue, .command_buffer = good);
    fence_run_all();
    const struct segue_execution executions[] = {{.command_buffer = half},
                                                 {.command_buffer = half}};
    const struct segue_submission submission = {.executions = executions, .execution_count = 2};
    fence_world.fail_status = SEGUE_DRIVER_ERROR;
    fence_world.fail_at[FENCE_CALL_RUN] = 2;
    assert_int_equal(segue_queue_submit(queue, &submission), SEGUE_DRIVER_ERROR);
    assert_int_equal(segue_queue_get_timing(queue, &timing), SEGUE_OK);
    assert_int_equal(timing.device_ns, 1000);
    segue_command_buffer_destroy(half);
    assert_int_equal(fence_world.misuse, 0);
    assert_int_equal(segue_queue_wait_idle(queue), SEGUE_OK);
    assert_int_equal(fence_world.run_count, 2);
    segue_command_buffer_destroy(good);
    segue_queue_destroy(queue);
}

#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, queue_fixture_setup, queue_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_everything_may_be_destroyed_in_flight),
        TEST(test_steady_state_allocates_nothing),
        TEST(test_nobody_waits),
        TEST(test_finished_work_of_another_queue_is_not_mistaken),
        TEST(test_large_submission_after_small_ones),
        TEST(test_device_outlives_its_handle),
        TEST(test_driver_failures_at_submit),
        TEST(test_work_handed_over_before_a_failure_is_kept),
        TEST(test_deferred_failure_spreads),
        TEST(test_destroy_drops_deferred_work),
        TEST(test_destroy_waits_in_spite_of_a_failure),
        TEST(test_device_loss),
        TEST(test_allocation_failures),
        TEST(test_timing),
        TEST(test_timing_beside_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
