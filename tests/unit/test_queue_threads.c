// SPDX-License-Identifier: Apache-2.0
// Queues and semaphores from several threads at once; meant for the thread sanitizer.
#include "fence_backend.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 300 };

/** What the threads share. */
static struct {
    segue_device *device;
    segue_command_buffer *commands;
    /** Thread i signals ring[i] and waits for ring[i - 1]. */
    segue_semaphore *ring[THREADS];
    segue_queue *shared_queue;
    segue_event *event;
    segue_command_buffer *signals_event;
} shared;

static segue_status submit(segue_queue *queue, segue_command_buffer *commands,
                           segue_semaphore *wait, uint64_t wait_value, segue_semaphore *signal,
                           uint64_t signal_value)
{
    const struct segue_semaphore_value waits = {wait, wait_value};
    const struct segue_semaphore_value signals = {signal, signal_value};
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_submission submission = {
        .waits = &waits,
        .wait_count = wait != NULL,
        .executions = &execution,
        .execution_count = 1,
        .signals = &signals,
        .signal_count = signal != NULL,
    };
    return segue_queue_submit(queue, &submission);
}

/** One thread with a queue of its own: in each round it waits for its neighbour's last round, so
 *  that most submissions come before their signal. */
static void *run_ring(void *context)
{
    size_t self = *(const size_t *)context;
    segue_semaphore *before = shared.ring[(self + THREADS - 1) % THREADS];
    segue_queue *queue;
    uintptr_t failures = segue_queue_create(shared.device, NULL, &queue) != SEGUE_OK;
    for (uint64_t round = 1; round <= ROUNDS && failures == 0; round++) {
        uint64_t wait_value = self == 0 ? round - 1 : round;
        failures += submit(queue, shared.commands, before, wait_value, shared.ring[self], round) !=
                    SEGUE_OK;
        failures += submit(shared.shared_queue, shared.signals_event, NULL, 0, NULL, 0) != SEGUE_OK;
        if (round % 7 == 0)
            failures +=
                segue_semaphore_wait(shared.ring[self], round, SEGUE_TIMEOUT_INFINITE) != SEGUE_OK;
        if (round % 31 == 0)
            failures += segue_device_wait_idle(shared.device) != SEGUE_OK;
        uint64_t value;
        failures += segue_semaphore_query(before, &value) != SEGUE_OK;
    }
    failures += segue_semaphore_wait(shared.ring[self], ROUNDS, SEGUE_TIMEOUT_INFINITE) != SEGUE_OK;
    failures += segue_queue_wait_idle(queue) != SEGUE_OK;
    segue_queue_destroy(queue);
    return (void *)failures;
}

static segue_command_buffer *make_commands(segue_event *event)
{
    segue_command_buffer *commands;
    assert_int_equal(segue_command_buffer_create(shared.device, NULL, &commands), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(commands), SEGUE_OK);
    if (event)
        assert_int_equal(segue_cmd_signal_event(commands, event), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(commands), SEGUE_OK);
    return commands;
}

static void test_ring_of_threads(void **state)
{
    (void)state;
    shared.device = fence_device_open(NULL);
    fence_world.automatic = true;
    assert_int_equal(segue_event_create(shared.device, &shared.event), SEGUE_OK);
    shared.commands = make_commands(NULL);
    shared.signals_event = make_commands(shared.event);
    assert_int_equal(segue_queue_create(shared.device, NULL, &shared.shared_queue), SEGUE_OK);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(segue_semaphore_create(shared.device, 0, &shared.ring[i]), SEGUE_OK);

    pthread_t threads[THREADS];
    size_t numbers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, run_ring, &numbers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *failures;
        pthread_join(threads[i], &failures);
        assert_null(failures);
    }
    assert_int_equal(segue_queue_wait_idle(shared.shared_queue), SEGUE_OK);
    assert_int_equal(fence_world.run_count, 2 * THREADS * ROUNDS);

    segue_queue_destroy(shared.shared_queue);
    segue_command_buffer_destroy(shared.commands);
    segue_command_buffer_destroy(shared.signals_event);
    for (size_t i = 0; i < THREADS; i++)
        segue_semaphore_destroy(shared.ring[i]);
    segue_event_destroy(shared.event);
    segue_device_destroy(shared.device);
    assert_int_equal(fence_world.misuse, 0);
    assert_int_equal(null_world.programs, 0);
    assert_int_equal(null_world.queues, 0);
    assert_int_equal(null_world.fences, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
