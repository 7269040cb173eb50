// SPDX-License-Identifier: Apache-2.0
// Timeline semaphores: values, host waits and signals, failures, device loss.
#include "queue_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MILLISECOND UINT64_C(1000000)
/** On a busy machine a thread may not run for a while: of so many tries one has to be quick. */
#define TRIES 50

static void sleep_ms(long milliseconds)
{
    const struct timespec duration = {.tv_nsec = milliseconds * 1000000};
    nanosleep(&duration, NULL);
}

static void test_arguments(void **state)
{
    (void)state;
    segue_semaphore *semaphore = NULL;
    uint64_t value = 99;
    assert_int_equal(segue_semaphore_create(NULL, 0, &semaphore), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_semaphore_create(fixture.device, 0, NULL), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_semaphore_query(NULL, &value), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_semaphore_signal(NULL, 1), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_semaphore_wait(NULL, 1, 0), SEGUE_INVALID_ARGUMENT);
    semaphore = make_semaphore(3);
    assert_int_equal(segue_semaphore_query(semaphore, NULL), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(value, 99);
    segue_semaphore_destroy(semaphore);
    segue_semaphore_destroy(NULL);
}

static void test_host_signals_only_grow(void **state)
{
    (void)state;
    segue_semaphore *semaphore = make_semaphore(5);
    assert_int_equal(value_of(semaphore), 5);
    assert_int_equal(segue_semaphore_signal(semaphore, 5), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_semaphore_signal(semaphore, 4), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(value_of(semaphore), 5);
    assert_int_equal(segue_semaphore_signal(semaphore, 6), SEGUE_OK);
    assert_int_equal(segue_semaphore_signal(semaphore, 6), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_semaphore_signal(semaphore, UINT64_MAX), SEGUE_OK);
    assert_int_equal(value_of(semaphore), UINT64_MAX);
    segue_semaphore_destroy(semaphore);
}

static void test_signals_above_pending_ones(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_semaphore *semaphore = make_semaphore(0);
    SUBMIT(queue, .signal = semaphore, .signal_value = 10);
    assert_int_equal(segue_semaphore_signal(semaphore, 10), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(try_submit(queue, (struct submit){.signal = semaphore, .signal_value = 10}),
                     SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_semaphore_signal(semaphore, 11), SEGUE_OK);
    assert_int_equal(value_of(semaphore), 11);
    fence_run_all();
    assert_int_equal(value_of(semaphore), 11);
    segue_queue_destroy(queue);
    segue_semaphore_destroy(semaphore);
}

static void test_value_follows_the_device(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_semaphore *semaphore = make_semaphore(0);
    SUBMIT(queue, .signal = semaphore, .signal_value = 1);
    SUBMIT(queue, .signal = semaphore, .signal_value = 7);
    assert_int_equal(value_of(semaphore), 0);
    assert_int_equal(segue_semaphore_wait(semaphore, 1, 0), SEGUE_TIMEOUT);
    assert_true(fence_step(0));
    assert_int_equal(value_of(semaphore), 1);
    assert_int_equal(segue_semaphore_wait(semaphore, 1, 0), SEGUE_OK);
    assert_int_equal(segue_semaphore_wait(semaphore, 2, 0), SEGUE_TIMEOUT);
    assert_true(fence_step(0));
    assert_int_equal(segue_semaphore_wait(semaphore, 2, SEGUE_TIMEOUT_INFINITE), SEGUE_OK);
    assert_int_equal(value_of(semaphore), 7);
    segue_queue_destroy(queue);
    segue_semaphore_destroy(semaphore);
}

/** How long a wait in vain takes. */
static uint64_t time_wait(segue_semaphore *semaphore, uint64_t timeout_ns)
{
    const uint64_t start_ns = segue_now_ns();
    assert_int_equal(segue_semaphore_wait(semaphore, 1, timeout_ns), SEGUE_TIMEOUT);
    return segue_now_ns() - start_ns;
}

/** The same, again until it is below the limit; it is never below the timeout. */
static void check_wait(segue_semaphore *semaphore, uint64_t timeout_ns, uint64_t limit_ns)
{
    uint64_t waited_ns = limit_ns;
    for (int i = 0; i < TRIES && waited_ns >= limit_ns; i++) {
        waited_ns = time_wait(semaphore, timeout_ns);
        assert_true(waited_ns >= timeout_ns);
    }
    assert_true(waited_ns < limit_ns);
}

static void test_timeouts(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_semaphore *semaphore = make_semaphore(0);
    // Nothing is submitted: waits for a change. Then something is, and does not end.
    for (int submitted = 0; submitted < 2; submitted++) {
        check_wait(semaphore, 0, 5 * MILLISECOND);
        check_wait(semaphore, 30 * MILLISECOND, 500 * MILLISECOND);
        assert_int_equal(segue_last_error()->status, SEGUE_TIMEOUT);
        assert_non_null(strstr(segue_last_error()->message, "did not reach 1 within 30000000"));
        if (!submitted)
            SUBMIT(queue, .signal = semaphore, .signal_value = 1);
    }
    fence_run_all();
    assert_int_equal(segue_semaphore_wait(semaphore, 1, 0), SEGUE_OK);
    segue_queue_destroy(queue);
    segue_semaphore_destroy(semaphore);
}

/** What a thread waits for. */
struct waiter {
    segue_semaphore *semaphore;
    uint64_t value;
    segue_status status;
};

static void *wait_forever(void *context)
{
    struct waiter *waiter = context;
    waiter->status = segue_semaphore_wait(waiter->semaphore, waiter->value, SEGUE_TIMEOUT_INFINITE);
    return NULL;
}

static void test_wait_before_anything_is_submitted(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_semaphore *semaphore = make_semaphore(0);
    struct waiter waiters[2] = {{semaphore, 1, SEGUE_TIMEOUT}, {semaphore, 2, SEGUE_TIMEOUT}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_forever, &waiters[i]), 0);
    sleep_ms(5);
    assert_int_equal(segue_semaphore_signal(semaphore, 1), SEGUE_OK);
    pthread_join(threads[0], NULL);
    assert_int_equal(waiters[0].status, SEGUE_OK);
    SUBMIT(queue, .signal = semaphore, .signal_value = 2);
    sleep_ms(2);
    fence_run_all();
    pthread_join(threads[1], NULL);
    assert_int_equal(waiters[1].status, SEGUE_OK);
    segue_queue_destroy(queue);
    segue_semaphore_destroy(semaphore);
}

/** Answers each odd value with the next even one. */
static void *play_ping_pong(void *context)
{
    struct waiter *waiter = context;
    for (uint64_t value = 1; value < waiter->value; value += 2) {
        waiter->status = segue_semaphore_wait(waiter->semaphore, value, SEGUE_TIMEOUT_INFINITE);
        if (waiter->status == SEGUE_OK)
            waiter->status = segue_semaphore_signal(waiter->semaphore, value + 1);
    }
    return NULL;
}

/** A hundred signals there and back. */
static uint64_t time_ping_pong(void)
{
    segue_semaphore *semaphore = make_semaphore(0);
    struct waiter waiter = {semaphore, 100, SEGUE_TIMEOUT};
    pthread_t thread;
    uint64_t start_ns = segue_now_ns();
    assert_int_equal(pthread_create(&thread, NULL, play_ping_pong, &waiter), 0);
    for (uint64_t value = 1; value < 100; value += 2) {
        assert_int_equal(segue_semaphore_signal(semaphore, value), SEGUE_OK);
        assert_int_equal(segue_semaphore_wait(semaphore, value + 1, SEGUE_TIMEOUT_INFINITE),
                         SEGUE_OK);
    }
    pthread_join(thread, NULL);
    assert_int_equal(waiter.status, SEGUE_OK);
    segue_semaphore_destroy(semaphore);
    return segue_now_ns() - start_ns;
}

static void test_host_signals_wake_waiters_at_once(void **state)
{
    (void)state;
    // Waking only when the waiter looks for itself would take 20 ms each way.
    const uint64_t limit_ns = 700 * MILLISECOND;
    uint64_t took_ns = limit_ns;
    for (int i = 0; i < TRIES && took_ns >= limit_ns; i++)
        took_ns = time_ping_pong();
    assert_true(took_ns < limit_ns);
}

static void test_pending_signals_of_several_queues(void **state)
{
    (void)state;
    // The higher value is issued first: its submission is ready, the other one is not.
    segue_queue *late = make_queue("late");
    segue_queue *early = make_queue("early");
    segue_semaphore *gate = make_semaphore(0);
    segue_semaphore *semaphore = make_semaphore(0);
    SUBMIT(late, .wait = gate, .wait_value = 1, .signal = semaphore, .signal_value = 1);
    SUBMIT(early, .signal = semaphore, .signal_value = 2);
    SUBMIT(early, .signal = semaphore, .signal_value = 4);
    assert_int_equal(segue_semaphore_signal(gate, 1), SEGUE_OK);
    uint64_t expected[] = {1, 2, 4};
    const struct segue_signal *signal = semaphore->first_pending;
    for (int i = 0; i < 3; i++, signal = signal->next) {
        assert_int_equal(signal->value, expected[i]);
        assert_ptr_equal(signal->next ? signal->next->previous : semaphore->last_pending, signal);
    }
    assert_null(signal);
    assert_int_equal(segue_semaphore_find_pending(semaphore, 0)->value, 1);
    assert_int_equal(segue_semaphore_find_pending(semaphore, 2)->value, 2);
    assert_int_equal(segue_semaphore_find_pending(semaphore, 3)->value, 4);
    assert_null(segue_semaphore_find_pending(semaphore, 5));
    // Queue `early` first: 2 is reached before 1, and 1 does not take it back.
    assert_true(fence_step(1));
    assert_int_equal(segue_semaphore_wait(semaphore, 2, 0), SEGUE_OK);
    assert_int_equal(value_of(semaphore), 2);
    assert_true(fence_step(0));
    assert_int_equal(segue_queue_wait_idle(late), SEGUE_OK);
    assert_int_equal(value_of(semaphore), 4);
    segue_queue_destroy(late);
    segue_queue_destroy(early);
    segue_semaphore_destroy(gate);
    segue_semaphore_destroy(semaphore);
}

static void test_destroyed_while_in_flight(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_queue *other = make_queue("other");
    segue_semaphore *semaphore = make_semaphore(0);
    SUBMIT(queue, .signal = semaphore, .signal_value = 1);
    SUBMIT(other, .wait = semaphore, .wait_value = 2);
    SUBMIT(queue, .signal = semaphore, .signal_value = 2);
    segue_semaphore_destroy(semaphore);
    assert_int_equal(segue_queue_wait_idle(other), SEGUE_OK);
    segue_queue_destroy(queue);
    segue_queue_destroy(other);
}

static void test_failure_is_sticky(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("dropper");
    segue_queue *other = make_queue("other");
    segue_semaphore *gate = make_semaphore(0);
    segue_semaphore *semaphore = make_semaphore(0);
    SUBMIT(other, .signal = semaphore, .signal_value = 1);
    SUBMIT(queue, .wait = gate, .wait_value = 1, .signal = semaphore, .signal_value = 2);
    fence_run_all();
    segue_queue_destroy(queue);
    uint64_t value = 77;
    assert_int_equal(segue_semaphore_wait(semaphore, 1, 0), SEGUE_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(segue_semaphore_wait(semaphore, 2, SEGUE_TIMEOUT_INFINITE),
                         SEGUE_INVALID_STATE);
        assert_non_null(strstr(segue_last_error()->message, "\"dropper\" was destroyed"));
        assert_int_equal(segue_semaphore_query(semaphore, &value), SEGUE_INVALID_STATE);
        assert_int_equal(segue_semaphore_signal(semaphore, 3), SEGUE_INVALID_STATE);
        assert_int_equal(try_submit(other, (struct submit){.signal = semaphore, .signal_value = 3}),
                         SEGUE_INVALID_STATE);
        assert_int_equal(try_submit(other, (struct submit){.wait = semaphore, .wait_value = 2}),
                         SEGUE_INVALID_STATE);
        assert_int_equal(try_submit(other, (struct submit){.wait = semaphore, .wait_value = 1}),
                         SEGUE_OK);
    }
    assert_int_equal(value, 77);
    segue_queue_destroy(other);
    segue_semaphore_destroy(gate);
    segue_semaphore_destroy(semaphore);
}

static void test_query_failures_reach_the_caller(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_semaphore *semaphore = make_semaphore(0);
    SUBMIT(queue, .signal = semaphore, .signal_value = 1);
    uint64_t value = 77;
    fence_world.fail_status = SEGUE_DRIVER_ERROR;
    fence_world.fail_at[FENCE_CALL_QUERY] = 1;
    assert_int_equal(segue_semaphore_query(semaphore, &value), SEGUE_DRIVER_ERROR);
    fence_world.fail_at[FENCE_CALL_QUERY] = 2;
    assert_int_equal(segue_semaphore_wait(semaphore, 1, SEGUE_TIMEOUT_INFINITE),
                     SEGUE_DRIVER_ERROR);
    assert_int_equal(value, 77);
    fence_run_all();
    assert_int_equal(segue_semaphore_wait(semaphore, 1, 0), SEGUE_OK);
    segue_queue_destroy(queue);
    segue_semaphore_destroy(semaphore);
}

static void lose_device(void)
{
    fence_lose_device();
    // As any call on the device would do that finds it lost.
    segue_status status =
        segue_fail(fixture.device, SEGUE_DEVICE_LOST, "something else found the device lost");
    assert_int_equal(status, SEGUE_DEVICE_LOST);
}

static void test_device_loss_ends_waits(void **state)
{
    (void)state;
    segue_queue *queue = make_queue("q");
    segue_semaphore *semaphore = make_semaphore(0);
    segue_semaphore *unsubmitted = make_semaphore(0);
    SUBMIT(queue, .signal = semaphore, .signal_value = 1);
    struct waiter waiters[2] = {{semaphore, 1, SEGUE_OK}, {unsubmitted, 1, SEGUE_OK}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_forever, &waiters[i]), 0);
    sleep_ms(5);
    lose_device();
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(waiters[i].status, SEGUE_DEVICE_LOST);
    }
    uint64_t value;
    segue_semaphore *another;
    assert_int_equal(segue_semaphore_query(semaphore, &value), SEGUE_DEVICE_LOST);
    assert_int_equal(segue_semaphore_signal(unsubmitted, 1), SEGUE_DEVICE_LOST);
    assert_int_equal(segue_semaphore_wait(semaphore, 0, 0), SEGUE_DEVICE_LOST);
    assert_int_equal(segue_semaphore_create(fixture.device, 0, &another), SEGUE_DEVICE_LOST);
    segue_queue_destroy(queue);
    segue_semaphore_destroy(semaphore);
    segue_semaphore_destroy(unsubmitted);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    segue_semaphore *semaphore = NULL;
    null_allocator_fail(&fixture.allocator, 1, true);
    assert_int_equal(segue_semaphore_create(fixture.device, 0, &semaphore),
                     SEGUE_OUT_OF_HOST_MEMORY);
    segue_event *event = NULL;
    assert_int_equal(segue_event_create(fixture.device, &event), SEGUE_OUT_OF_HOST_MEMORY);
    assert_int_equal(segue_event_create(NULL, &event), SEGUE_INVALID_ARGUMENT);
    null_allocator_fail(&fixture.allocator, 0, false);
    assert_null(semaphore);
    assert_null(event);
}

#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, queue_fixture_setup, queue_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_arguments),
        TEST(test_host_signals_only_grow),
        TEST(test_signals_above_pending_ones),
        TEST(test_value_follows_the_device),
        TEST(test_timeouts),
        TEST(test_wait_before_anything_is_submitted),
        TEST(test_host_signals_wake_waiters_at_once),
        TEST(test_pending_signals_of_several_queues),
        TEST(test_destroyed_while_in_flight),
        TEST(test_failure_is_sticky),
        TEST(test_query_failures_reach_the_caller),
        TEST(test_device_loss_ends_waits),
        TEST(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
