// SPDX-License-Identifier: Apache-2.0
// Several threads on one device. Checks are made after joining: cmocka's may only run on the thread
// of the test.
#include "conformance.h"
#include "test.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 25, COUNT = 16 };

/** What one thread does its work with, and how that ended. */
struct worker {
    pthread_t thread;
    struct segue_test *test;
    segue_queue *queue;
    segue_command_buffer *commands;
    segue_buffer *data;
    segue_semaphore *semaphore;
    uint32_t index;
    segue_status status;
};

static void run_workers(struct worker *workers, void *(*body)(void *))
{
    for (uint32_t i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, body, &workers[i]), 0);
    for (uint32_t i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    for (uint32_t i = 0; i < THREADS; ++i)
        assert_int_equal(workers[i].status, SEGUE_OK);
}

static void *submit_shared(void *argument)
{
    struct worker *worker = argument;
    const struct segue_execution execution = {.command_buffer = worker->commands};
    for (uint32_t round = 0; round < ROUNDS && worker->status == SEGUE_OK; ++round) {
        const struct segue_semaphore_value signal = {worker->semaphore, round + 1};
        const struct segue_submission submission = {
            .executions = &execution, .execution_count = 1, .signals = &signal, .signal_count = 1};
        worker->status = segue_queue_submit(worker->queue, &submission);
        if (worker->status == SEGUE_OK && round % 5 == 4)
            worker->status =
                segue_semaphore_wait(worker->semaphore, round + 1, SEGUE_TIMEOUT_INFINITE);
    }
    return NULL;
}

static void one_command_buffer_one_queue(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, COUNT, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_scale(test, commands, segue_test_whole(data), COUNT, 3, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    struct worker workers[THREADS] = {0};
    for (uint32_t i = 0; i < THREADS; ++i)
        workers[i] = (struct worker){.test = test,
                                     .queue = test->queue,
                                     .commands = commands,
                                     .semaphore = segue_test_semaphore(test, 0)};
    run_workers(workers, submit_shared);
    CHECK_OK(segue_queue_wait_idle(test->queue));
    uint32_t expected[COUNT];
    for (uint32_t i = 0; i < COUNT; ++i) {
        expected[i] = segue_test_word(1, i);
        for (uint32_t k = 0; k < THREADS * ROUNDS; ++k)
            expected[i] = expected[i] * 3 + 1;
    }
    segue_test_expect(data, 0, expected, COUNT);
}

static void one_command_buffer_many_queues(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *source = segue_test_words(test, COUNT, 1);
    segue_buffer *data = segue_test_zeros(test, COUNT);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_copy(commands, segue_test_whole(source), segue_test_whole(data)));
    CHECK_OK(segue_command_buffer_end(commands));
    struct worker workers[THREADS] = {0};
    for (uint32_t i = 0; i < THREADS; ++i)
        workers[i] = (struct worker){.test = test,
                                     .queue = segue_test_queue(test),
                                     .commands = commands,
                                     .semaphore = segue_test_semaphore(test, 0)};
    run_workers(workers, submit_shared);
    CHECK_OK(segue_device_wait_idle(test->device));
    for (uint32_t i = 0; i < COUNT; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(1, i));
}

static segue_status record_and_run(struct worker *worker, segue_command_buffer *commands,
                                   uint32_t round)
{
    const struct segue_buffer_ref binding = {.buffer = worker->data,
                                             .length_bytes = SEGUE_WHOLE_SIZE};
    const uint32_t constants[] = {COUNT, 3, round};
    const struct segue_dispatch dispatch = {.executable = worker->test->kernels,
                                            .entry_point = SEGUE_TEST_SCALE,
                                            .grid = {1, 1, 1},
                                            .bindings = &binding,
                                            .binding_count = 1,
                                            .constants = constants,
                                            .constants_size_bytes = sizeof(constants)};
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_semaphore_value signal = {worker->semaphore, round + 1};
    const struct segue_submission submission = {
        .executions = &execution, .execution_count = 1, .signals = &signal, .signal_count = 1};
    segue_status status = segue_command_buffer_begin(commands);
    if (status == SEGUE_OK)
        status = segue_cmd_dispatch(commands, &dispatch);
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(commands);
    if (status == SEGUE_OK)
        status = segue_queue_submit(worker->queue, &submission);
    if (status == SEGUE_OK)
        status = segue_command_buffer_reset(commands);
    return status;
}

static void *record_own(void *argument)
{
    struct worker *worker = argument;
    const struct segue_command_buffer_params params = {.mode = worker->test->mode};
    segue_command_buffer *commands = NULL;
    worker->status = segue_command_buffer_create(worker->test->device, &params, &commands);
    for (uint32_t round = 0; round < ROUNDS && worker->status == SEGUE_OK; ++round)
        worker->status = record_and_run(worker, commands, round);
    segue_command_buffer_destroy(commands);
    if (worker->status == SEGUE_OK)
        worker->status = segue_semaphore_wait(worker->semaphore, ROUNDS, SEGUE_TIMEOUT_INFINITE);
    return NULL;
}

static void recording_side_by_side(void **state)
{
    struct segue_test *test = *state;
    struct worker workers[THREADS] = {0};
    for (uint32_t i = 0; i < THREADS; ++i)
        workers[i] = (struct worker){.test = test,
                                     .queue = i % 2 ? test->queue : segue_test_queue(test),
                                     .data = segue_test_words(test, COUNT, i),
                                     .semaphore = segue_test_semaphore(test, 0)};
    run_workers(workers, record_own);
    for (uint32_t w = 0; w < THREADS; ++w) {
        for (uint32_t i = 0; i < COUNT; ++i) {
            uint32_t word = segue_test_word(w, i);
            for (uint32_t round = 0; round < ROUNDS; ++round)
                word = word * 3 + round;
            segue_test_expect_all(workers[w].data, i, 1, word);
        }
    }
}

/** Thread i waits for i and signals i + 1. */
static void *hand_on(void *argument)
{
    struct worker *worker = argument;
    worker->status = segue_semaphore_wait(worker->semaphore, worker->index, SEGUE_TIMEOUT_INFINITE);
    if (worker->status == SEGUE_OK)
        worker->status = segue_semaphore_signal(worker->semaphore, worker->index + 1);
    return NULL;
}

static void waiting_for_each_other(void **state)
{
    struct segue_test *test = *state;
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    struct worker workers[THREADS] = {0};
    for (uint32_t i = 0; i < THREADS; ++i)
        workers[i] = (struct worker){.semaphore = semaphore, .index = THREADS - 1 - i};
    run_workers(workers, hand_on);
    CHECK_OK(segue_semaphore_wait(semaphore, THREADS, 0));
}

static void *create_and_destroy(void *argument)
{
    struct worker *worker = argument;
    for (uint32_t round = 0; round < ROUNDS && worker->status == SEGUE_OK; ++round) {
        segue_buffer *buffer = NULL;
        segue_buffer *view = NULL;
        const struct segue_buffer_params params = {.size_bytes = 64 + 64 * worker->index};
        worker->status = segue_buffer_create(worker->test->device, &params, &buffer);
        if (worker->status == SEGUE_OK)
            worker->status = segue_buffer_create_view(buffer, 16, 32, "view", &view);
        segue_buffer_destroy(buffer);
        if (worker->status == SEGUE_OK)
            worker->status = segue_buffer_write(view, 0, &round, sizeof(round));
        segue_buffer_destroy(view);
    }
    return NULL;
}

static void creating_and_destroying(void **state)
{
    struct segue_test *test = *state;
    struct worker workers[THREADS] = {0};
    for (uint32_t i = 0; i < THREADS; ++i)
        workers[i] = (struct worker){.test = test, .index = i};
    run_workers(workers, create_and_destroy);
    struct segue_memory_stats stats;
    segue_device_get_memory_stats(test->device, &stats);
    assert_int_equal(stats.device.current_bytes, 0);
}

int segue_conformance_threads(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(one_command_buffer_one_queue),
        segue_test_case(one_command_buffer_many_queues),
        segue_test_case(recording_side_by_side),
        segue_test_case(waiting_for_each_other),
        segue_test_case(creating_and_destroying),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
