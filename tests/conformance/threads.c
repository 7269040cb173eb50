// SPDX-License-Identifier: Apache-2.0
// Several threads on one device. Checks are made after joining: cmocka's may only run on the thread
// of the test.
#include "conformance.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { THREADS = 4, ROUNDS = 25, COUNT = 16 };
/** A waiter looks by itself every 20 ms, and should be awake well before that. */
enum { PAUSE_NS = 2000000, SOON_NS = 8000000 };

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
    /** When it began to wait, and stopped. */
    atomic_uint_fast64_t begin_ns;
    uint64_t end_ns;
    /** Of the thread's last failure. */
    char message[256];
    void (*body)(struct worker *);
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    worker->body(worker);
    // The last error is the thread's own.
    snprintf(worker->message, sizeof(worker->message), "%.255s", segue_last_error()->message);
    return NULL;
}

static void start_worker(struct worker *worker, void (*body)(struct worker *))
{
    worker->body = body;
    assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
}

static void run_workers(struct worker *workers, void (*body)(struct worker *))
{
    for (uint32_t i = 0; i < THREADS; ++i)
        start_worker(&workers[i], body);
    for (uint32_t i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    for (uint32_t i = 0; i < THREADS; ++i)
        CHECK_OK_ELSEWHERE(workers[i].status, workers[i].message);
}

static void submit_shared(struct worker *worker)
{
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

static void record_own(struct worker *worker)
{
    const struct segue_command_buffer_params params = {.mode = worker->test->mode};
    segue_command_buffer *commands = NULL;
    worker->status = segue_command_buffer_create(worker->test->device, &params, &commands);
    for (uint32_t round = 0; round < ROUNDS && worker->status == SEGUE_OK; ++round)
        worker->status = record_and_run(worker, commands, round);
    segue_command_buffer_destroy(commands);
    if (worker->status == SEGUE_OK)
        worker->status = segue_semaphore_wait(worker->semaphore, ROUNDS, SEGUE_TIMEOUT_INFINITE);
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
static void hand_on(struct worker *worker)
{
    worker->status = segue_semaphore_wait(worker->semaphore, worker->index, SEGUE_TIMEOUT_INFINITE);
    segue_status signalled = segue_semaphore_signal(worker->semaphore, worker->index + 1);
    if (worker->status == SEGUE_OK)
        worker->status = signalled;
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

static void create_and_destroy(struct worker *worker)
{
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

/** Passes the semaphore's value back and forth with the test's own thread. */
static void ping_pong_body(struct worker *worker)
{
    for (uint32_t round = 0; round < ROUNDS && worker->status == SEGUE_OK; ++round) {
        worker->status =
            segue_semaphore_wait(worker->semaphore, 2 * round + 1, SEGUE_TIMEOUT_INFINITE);
        if (worker->status == SEGUE_OK)
            worker->status = segue_semaphore_signal(worker->semaphore, 2 * round + 2);
    }
}

static void ping_pong(void **state)
{
    struct segue_test *test = *state;
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    struct worker worker = {.semaphore = semaphore};
    start_worker(&worker, ping_pong_body);
    segue_status status = SEGUE_OK;
    for (uint32_t round = 0; round < ROUNDS && status == SEGUE_OK; ++round) {
        status = segue_semaphore_signal(semaphore, 2 * round + 1);
        if (status == SEGUE_OK)
            status = segue_semaphore_wait(semaphore, 2 * round + 2, SEGUE_TIMEOUT_INFINITE);
    }
    assert_int_equal(pthread_join(worker.thread, NULL), 0);
    CHECK_OK(status);
    CHECK_OK_ELSEWHERE(worker.status, worker.message);
    CHECK_OK(segue_semaphore_wait(semaphore, 2 * ROUNDS, 0));
}

static void wait_for_index(struct worker *worker)
{
    worker->status =
        segue_semaphore_wait(worker->semaphore, 1 + worker->index, SEGUE_TIMEOUT_INFINITE);
}

static void one_signal_wakes_all(void **state)
{
    struct segue_test *test = *state;
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    struct worker workers[THREADS] = {0};
    for (uint32_t i = 0; i < THREADS; ++i) {
        workers[i] = (struct worker){.semaphore = semaphore, .index = i / 2};
        start_worker(&workers[i], wait_for_index);
    }
    // Beyond what any of them waits for.
    segue_status status = segue_semaphore_signal(semaphore, 100);
    for (uint32_t i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    CHECK_OK(status);
    for (uint32_t i = 0; i < THREADS; ++i)
        CHECK_OK_ELSEWHERE(workers[i].status, workers[i].message);
}

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void wait_and_time(struct worker *worker)
{
    worker->begin_ns = now_ns();
    wait_for_index(worker);
    worker->end_ns = now_ns();
}

/** Whether all who wait for the value are awake soon after the signal. */
static bool wakes_all_soon(segue_semaphore *semaphore, uint32_t value)
{
    struct worker workers[THREADS] = {0};
    bool soon = true;
    for (uint32_t i = 0; i < THREADS; ++i) {
        workers[i] = (struct worker){.semaphore = semaphore, .index = value - 1};
        start_worker(&workers[i], wait_and_time);
    }
    for (uint32_t i = 0; i < THREADS; ++i)
        while (workers[i].begin_ns == 0)
            sched_yield();
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    const uint64_t signal_ns = now_ns();
    const segue_status status = segue_semaphore_signal(semaphore, value);
    for (uint32_t i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    CHECK_OK(status);
    for (uint32_t i = 0; i < THREADS; ++i) {
        CHECK_OK_ELSEWHERE(workers[i].status, workers[i].message);
        // One that began long before the signal may have looked by itself.
        soon = soon && signal_ns - workers[i].begin_ns < SOON_NS &&
               workers[i].end_ns - signal_ns < SOON_NS;
    }
    return soon;
}

static void waiters_are_woken(void **state)
{
    struct segue_test *test = *state;
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    // On a busy machine a thread that is awake may not run for a while: once is enough.
    uint32_t value = 1;
    while (!wakes_all_soon(semaphore, value))
        assert_true(++value <= 50);
}

static void a_failure_wakes_all(void **state)
{
    struct segue_test *test = *state;
    segue_semaphore *never = segue_test_semaphore(test, 0);
    segue_semaphore *after = segue_test_semaphore(test, 0);
    segue_queue *queue = segue_test_queue(test);
    const struct segue_semaphore_value wait = {never, 1};
    const struct segue_semaphore_value signal = {after, 10};
    const struct segue_submission submission = {
        .waits = &wait, .wait_count = 1, .signals = &signal, .signal_count = 1};
    CHECK_OK(segue_queue_submit(queue, &submission));
    struct worker workers[THREADS] = {0};
    for (uint32_t i = 0; i < THREADS; ++i) {
        workers[i] = (struct worker){.semaphore = after, .index = i};
        start_worker(&workers[i], wait_for_index);
    }
    // Drops the submission.
    segue_test_destroy(test, queue);
    for (uint32_t i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    for (uint32_t i = 0; i < THREADS; ++i) {
        assert_int_equal(workers[i].status, SEGUE_INVALID_STATE);
        assert_string_not_equal(workers[i].message, "");
    }
}

static void submit_own_table(struct worker *worker)
{
    const struct segue_buffer_ref table = {.buffer = worker->data,
                                           .length_bytes = SEGUE_WHOLE_SIZE};
    const struct segue_execution execution = {
        .command_buffer = worker->commands, .bindings = &table, .binding_count = 1};
    for (uint32_t round = 0; round < ROUNDS && worker->status == SEGUE_OK; ++round) {
        const struct segue_semaphore_value signal = {worker->semaphore, round + 1};
        const struct segue_submission submission = {
            .executions = &execution, .execution_count = 1, .signals = &signal, .signal_count = 1};
        worker->status = segue_queue_submit(worker->queue, &submission);
    }
    if (worker->status == SEGUE_OK)
        worker->status = segue_semaphore_wait(worker->semaphore, ROUNDS, SEGUE_TIMEOUT_INFINITE);
}

static void one_command_buffer_many_tables(void **state)
{
    struct segue_test *test = *state;
    segue_command_buffer *commands = segue_test_begin_with(test, 1, 0);
    segue_test_dispatch_scale(test, commands, segue_test_slot(0, 0, SEGUE_WHOLE_SIZE), COUNT, 3, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    struct worker workers[THREADS] = {0};
    for (uint32_t i = 0; i < THREADS; ++i)
        workers[i] = (struct worker){.queue = i % 2 ? test->queue : segue_test_queue(test),
                                     .commands = commands,
                                     .data = segue_test_words(test, COUNT, i),
                                     .semaphore = segue_test_semaphore(test, 0)};
    run_workers(workers, submit_own_table);
    for (uint32_t w = 0; w < THREADS; ++w) {
        uint32_t word = segue_test_word(w, 0);
        for (uint32_t round = 0; round < ROUNDS; ++round)
            word = word * 3 + 1;
        segue_test_expect_all(workers[w].data, 0, 1, word);
    }
}

/** Tables in turns, some of them still in flight. */
static void submit_tables_in_turns(struct worker *worker)
{
    const uint64_t half = sizeof(uint32_t) * COUNT / 2;
    for (uint32_t round = 0; round < ROUNDS && worker->status == SEGUE_OK; ++round) {
        const struct segue_buffer_ref table = {
            .buffer = worker->data, .offset_bytes = round % 2 * half, .length_bytes = half};
        const struct segue_execution execution = {
            .command_buffer = worker->commands, .bindings = &table, .binding_count = 1};
        const struct segue_semaphore_value signal = {worker->semaphore, round + 1};
        const struct segue_submission submission = {
            .executions = &execution, .execution_count = 1, .signals = &signal, .signal_count = 1};
        worker->status = segue_queue_submit(worker->queue, &submission);
        if (worker->status == SEGUE_OK && round % 4 == 3)
            worker->status =
                segue_semaphore_wait(worker->semaphore, round - 1, SEGUE_TIMEOUT_INFINITE);
    }
    if (worker->status == SEGUE_OK)
        worker->status = segue_semaphore_wait(worker->semaphore, ROUNDS, SEGUE_TIMEOUT_INFINITE);
}

/** A command buffer for each two threads, all of one structure, and room for two tables of each;
 *  pointers are parameters and in memory. */
static void tables_in_turns(void **state)
{
    struct segue_test *test = *state;
    const struct segue_cache_budget budget = {.max_bytes = SEGUE_CACHE_DEFAULT_BYTES,
                                              .max_graphs = SEGUE_CACHE_DEFAULT_GRAPHS,
                                              .max_table_graphs = 2};
    segue_device_set_cache_budget(test->device, &budget);
    segue_buffer *source = segue_test_words(test, COUNT / 2, THREADS);
    segue_command_buffer *commands = NULL;
    struct worker workers[THREADS] = {0};
    for (uint32_t i = 0; i < THREADS; ++i) {
        if (i % 2 == 0) {
            commands = segue_test_begin_with(test, 1, 0);
            segue_test_dispatch_scale(test, commands, segue_test_slot(0, 0, SEGUE_WHOLE_SIZE),
                                      COUNT / 2, 3, 1);
            segue_test_barrier(commands);
            segue_test_dispatch_indirect(test, commands, segue_test_whole(source),
                                         segue_test_slot(0, 0, SEGUE_WHOLE_SIZE), COUNT / 2, 0);
            CHECK_OK(segue_command_buffer_end(commands));
        }
        workers[i] = (struct worker){.queue = segue_test_queue(test),
                                     .commands = commands,
                                     .data = segue_test_words(test, COUNT, i),
                                     .semaphore = segue_test_semaphore(test, 0)};
    }
    run_workers(workers, submit_tables_in_turns);
    for (uint32_t w = 0; w < THREADS; ++w) {
        for (uint32_t half = 0; half < 2; ++half) {
            uint32_t word = segue_test_word(w, half * COUNT / 2);
            for (uint32_t round = half; round < ROUNDS; round += 2)
                word = (word * 3 + 1) * 31 + segue_test_word(THREADS, 0);
            segue_test_expect_all(workers[w].data, half * COUNT / 2, 1, word);
        }
    }
}

static const struct CMUnitTest tests[] = {
    segue_test_case(one_command_buffer_one_queue),
    segue_test_case(one_command_buffer_many_queues),
    segue_test_case(recording_side_by_side),
    segue_test_case(waiting_for_each_other),
    segue_test_case(creating_and_destroying),
    segue_test_case(ping_pong),
    segue_test_case(one_signal_wakes_all),
    segue_test_case(waiters_are_woken),
    segue_test_case(a_failure_wakes_all),
    segue_test_case(one_command_buffer_many_tables),
    segue_test_case(tables_in_turns),
};

const struct segue_conformance_area segue_conformance_threads = {"threads", tests,
                                                                 sizeof(tests) / sizeof(tests[0])};
