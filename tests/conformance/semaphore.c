// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"
#include "test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void check_value(segue_semaphore *semaphore, uint64_t expected)
{
    uint64_t value = ~expected;
    CHECK_OK(segue_semaphore_query(semaphore, &value));
    assert_int_equal(value, expected);
}

static void signalled_from_the_host(void **state)
{
    struct segue_test *test = *state;
    segue_semaphore *semaphore = segue_test_semaphore(test, 5);
    check_value(semaphore, 5);
    CHECK_OK(segue_semaphore_wait(semaphore, 5, 0));
    CHECK_OK(segue_semaphore_wait(semaphore, 0, 0));
    CHECK_OK(segue_semaphore_signal(semaphore, 6));
    check_value(semaphore, 6);
    CHECK_OK(segue_semaphore_signal(semaphore, UINT64_MAX - 1));
    CHECK_OK(segue_semaphore_wait(semaphore, 1000, SEGUE_TIMEOUT_INFINITE));
    check_value(semaphore, UINT64_MAX - 1);
}

static void only_grows(void **state)
{
    struct segue_test *test = *state;
    segue_semaphore *semaphore = segue_test_semaphore(test, 5);
    CHECK_ERROR(segue_semaphore_signal(semaphore, 5), SEGUE_INVALID_ARGUMENT, "5");
    CHECK_ERROR(segue_semaphore_signal(semaphore, 4), SEGUE_INVALID_ARGUMENT, "4");
    check_value(semaphore, 5);
}

static void not_below_what_is_pending(void **state)
{
    struct segue_test *test = *state;
    segue_semaphore *gate = segue_test_semaphore(test, 0);
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    const struct segue_semaphore_value wait = {gate, 1};
    const struct segue_semaphore_value signal = {semaphore, 10};
    const struct segue_submission submission = {
        .waits = &wait, .wait_count = 1, .signals = &signal, .signal_count = 1};
    CHECK_OK(segue_queue_submit(test->queue, &submission));
    CHECK_ERROR(segue_semaphore_signal(semaphore, 10), SEGUE_INVALID_ARGUMENT, "10");
    CHECK_STATUS(segue_queue_submit(test->queue, &submission), SEGUE_INVALID_ARGUMENT);
    CHECK_OK(segue_semaphore_signal(gate, 1));
    CHECK_OK(segue_semaphore_wait(semaphore, 10, SEGUE_TIMEOUT_INFINITE));
    CHECK_OK(segue_semaphore_signal(semaphore, 11));
}

static void timeouts(void **state)
{
    struct segue_test *test = *state;
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    CHECK_STATUS(segue_semaphore_wait(semaphore, 1, 0), SEGUE_TIMEOUT);
    uint64_t start = now_ns();
    CHECK_STATUS(segue_semaphore_wait(semaphore, 1, 20000000), SEGUE_TIMEOUT);
    uint64_t waited = now_ns() - start;
    assert_true(waited >= 20000000 && waited < 5000000000);
    CHECK_OK(segue_semaphore_signal(semaphore, 1));
    CHECK_OK(segue_semaphore_wait(semaphore, 1, 0));
}

static void waits_in_flight(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_slow(test, commands, segue_test_whole(data), 8, 2, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    uint64_t first = segue_test_submit(test, commands);
    uint64_t second = segue_test_submit(test, commands);
    segue_test_wait(test, first);
    uint64_t value = 0;
    CHECK_OK(segue_semaphore_query(test->done, &value));
    assert_true(value >= first && value <= second);
    segue_test_wait(test, second);
    check_value(test->done, second);
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, (segue_test_word(1, i) * 2 + 1) * 2 + 1);
}

static void host_signal_releases_submissions(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_semaphore *gate = segue_test_semaphore(test, 0);
    segue_semaphore *done = segue_test_semaphore(test, 0);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_scale(test, commands, segue_test_whole(data), 8, 2, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    const struct segue_execution execution = {.command_buffer = commands};
    for (uint64_t i = 1; i <= 3; ++i) {
        const struct segue_semaphore_value wait = {gate, i * 10};
        const struct segue_semaphore_value signal = {done, i};
        const struct segue_submission submission = {&wait, 1, &execution, 1, &signal, 1};
        CHECK_OK(segue_queue_submit(test->queue, &submission));
    }
    check_value(done, 0);
    CHECK_OK(segue_semaphore_signal(gate, 10));
    CHECK_OK(segue_semaphore_wait(done, 1, SEGUE_TIMEOUT_INFINITE));
    CHECK_STATUS(segue_semaphore_wait(done, 2, 1000000), SEGUE_TIMEOUT);
    CHECK_OK(segue_semaphore_signal(gate, 30));
    CHECK_OK(segue_semaphore_wait(done, 3, SEGUE_TIMEOUT_INFINITE));
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(1, i) * 8 + 7);
}

static void given_up_while_waited_for(void **state)
{
    struct segue_test *test = *state;
    segue_semaphore *gate = segue_test_semaphore(test, 0);
    segue_semaphore *after = segue_test_semaphore(test, 0);
    segue_queue *queue = segue_test_queue(test);
    const struct segue_semaphore_value wait = {gate, 1};
    const struct segue_semaphore_value signal = {after, 1};
    const struct segue_submission waiting = {
        .waits = &wait, .wait_count = 1, .signals = &signal, .signal_count = 1};
    CHECK_OK(segue_queue_submit(queue, &waiting));
    const struct segue_submission signalling = {.signals = &wait, .signal_count = 1};
    CHECK_OK(segue_queue_submit(test->queue, &signalling));
    segue_test_destroy(test, gate);
    CHECK_OK(segue_semaphore_wait(after, 1, SEGUE_TIMEOUT_INFINITE));
}

/** Before each block of the allocator below. */
struct grave {
    struct grave *next;
    void *base;
};

static struct grave *graves;
static pthread_mutex_t graves_lock = PTHREAD_MUTEX_INITIALIZER;

static void *allocate_plain(void *context, size_t size_bytes, size_t align_bytes)
{
    (void)context;
    void *base = NULL;
    size_t align = align_bytes < sizeof(struct grave) ? sizeof(struct grave) : align_bytes;
    if (posix_memalign(&base, align, align + size_bytes) != 0)
        return NULL;
    struct grave *block = (struct grave *)((char *)base + align);
    block[-1] = (struct grave){.base = base};
    return block;
}

/** What is given back is overwritten, and nobody gets it again: its use shows. */
static void bury(void *context, void *pointer, size_t size_bytes)
{
    (void)context;
    struct grave *grave = (struct grave *)pointer - 1;
    memset(pointer, 0x5a, size_bytes);
    pthread_mutex_lock(&graves_lock);
    grave->next = graves;
    graves = grave;
    pthread_mutex_unlock(&graves_lock);
}

/** Frees what earlier runs have given back. */
static void clear_graves(void)
{
    while (graves) {
        struct grave *grave = graves;
        graves = grave->next;
        free(grave->base);
    }
}

static void retained_by_waits(void **state)
{
    struct segue_test *test = *state;
    static const struct segue_allocator allocator = {allocate_plain, bury, NULL};
    clear_graves();
    segue_device *device = segue_test_device(
        test, segue_test_device_uri(), &(struct segue_device_params){.allocator = &allocator});
    segue_queue *queue = segue_test_queue_on(test, device, NULL);
    segue_semaphore *never = segue_test_semaphore_on(test, device, 0);
    segue_semaphore *gate = segue_test_semaphore_on(test, device, 0);
    segue_semaphore *after = segue_test_semaphore_on(test, device, 0);
    const struct segue_semaphore_value waits[] = {{never, 1}, {gate, 1}};
    const struct segue_semaphore_value signal = {after, 1};
    const struct segue_submission submission = {
        .waits = waits, .wait_count = 2, .signals = &signal, .signal_count = 1};
    CHECK_OK(segue_queue_submit(queue, &submission));
    // From here on only the wait needs it.
    segue_test_destroy(test, never);
    CHECK_OK(segue_semaphore_signal(gate, 1));
    CHECK_STATUS(segue_semaphore_wait(after, 1, 0), SEGUE_TIMEOUT);
    // Nobody can raise it any more, so the submission is dropped.
    segue_test_destroy(test, queue);
    uint64_t value = 0;
    CHECK_STATUS(segue_semaphore_query(after, &value), SEGUE_INVALID_STATE);
}

static void many_values(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 300 };
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    for (uint64_t i = 1; i <= COUNT; ++i) {
        const struct segue_semaphore_value wait = {semaphore, 10 * (i - 1)};
        const struct segue_semaphore_value signal = {semaphore, 10 * i};
        const struct segue_submission submission = {
            .waits = &wait, .wait_count = 1, .signals = &signal, .signal_count = 1};
        CHECK_OK(segue_queue_submit(test->queue, &submission));
    }
    // Between two values that were signalled, the second time the last two.
    CHECK_OK(segue_semaphore_wait(semaphore, 5 * COUNT + 3, SEGUE_TIMEOUT_INFINITE));
    CHECK_OK(segue_semaphore_wait(semaphore, 10 * COUNT - 3, SEGUE_TIMEOUT_INFINITE));
    CHECK_OK(segue_semaphore_wait(semaphore, 10 * COUNT, SEGUE_TIMEOUT_INFINITE));
    check_value(semaphore, 10 * COUNT);
}

static const struct CMUnitTest tests[] = {
    segue_test_case(signalled_from_the_host),   segue_test_case(only_grows),
    segue_test_case(not_below_what_is_pending), segue_test_case(timeouts),
    segue_test_case(waits_in_flight),           segue_test_case(host_signal_releases_submissions),
    segue_test_case(given_up_while_waited_for), segue_test_case(many_values),
    segue_test_case(retained_by_waits),
};

const struct segue_conformance_area segue_conformance_semaphore = {
    "semaphore", tests, sizeof(tests) / sizeof(tests[0])};
