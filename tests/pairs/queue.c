// SPDX-License-Identifier: Apache-2.0
// Queues: made, waited for and timed.
#include "pairs.h"

static segue_status create_needs_a_device(struct segue_test *test, bool wrong)
{
    segue_queue *queue = NULL;
    segue_status status = segue_queue_create(wrong ? NULL : test->device, NULL, &queue);
    segue_queue_destroy(queue);
    return status;
}

static segue_status create_needs_somewhere_to_put_it(struct segue_test *test, bool wrong)
{
    segue_queue *queue = NULL;
    segue_status status = segue_queue_create(test->device, NULL, wrong ? NULL : &queue);
    segue_queue_destroy(queue);
    return status;
}

static segue_status submit_needs_a_queue(struct segue_test *test, bool wrong)
{
    const struct segue_submission nothing = {0};
    return segue_queue_submit(wrong ? NULL : test->queue, &nothing);
}

static segue_status submit_needs_a_submission(struct segue_test *test, bool wrong)
{
    const struct segue_submission nothing = {0};
    return segue_queue_submit(test->queue, wrong ? NULL : &nothing);
}

static segue_status wait_needs_a_queue(struct segue_test *test, bool wrong)
{
    return segue_queue_wait_idle(wrong ? NULL : test->queue);
}

static segue_status wait_tells_what_failed(struct segue_test *test, bool wrong)
{
    segue_queue *queue;
    pair_failed_semaphore(test, wrong, &queue);
    segue_status status = segue_queue_wait_idle(queue);
    // Once: the failure is told to the first who waits.
    if (status != SEGUE_OK) {
        struct segue_error error = *segue_last_error();
        CHECK_OK(segue_queue_wait_idle(queue));
        assert_int_equal(segue_last_error()->line, error.line);
    }
    return status;
}

static segue_status wait_needs_all_signals(struct segue_test *test, bool wrong)
{
    segue_queue *queue = segue_test_queue(test);
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    const struct segue_semaphore_value wait = {semaphore, 1};
    const struct segue_submission submission = {.waits = &wait, .wait_count = 1};
    CHECK_OK(segue_queue_submit(queue, &submission));
    if (!wrong)
        CHECK_OK(segue_semaphore_signal(semaphore, 1));
    return segue_queue_wait_idle(queue);
}

static segue_queue *timed_queue(struct segue_test *test, bool timing)
{
    const struct segue_queue_params params = {.timing = timing, .label = "timed"};
    segue_queue *queue = NULL;
    CHECK_OK(segue_queue_create(test->device, &params, &queue));
    return queue;
}

/** Submits something empty, unless `idle`, waits for it, and asks how long it took. */
static segue_status time_queue(struct segue_test *test, bool timing, bool idle)
{
    const struct segue_submission nothing = {0};
    struct segue_queue_timing times;
    segue_queue *queue = timed_queue(test, timing);
    if (!idle)
        CHECK_OK(segue_queue_submit(queue, &nothing));
    CHECK_OK(segue_queue_wait_idle(queue));
    segue_status status = segue_queue_get_timing(queue, &times);
    segue_queue_destroy(queue);
    return status;
}

static segue_status timing_needs_a_queue(struct segue_test *test, bool wrong)
{
    struct segue_queue_timing times;
    return wrong ? segue_queue_get_timing(NULL, &times) : time_queue(test, true, false);
}

static segue_status timing_is_asked_for(struct segue_test *test, bool wrong)
{
    return time_queue(test, !wrong, false);
}

static segue_status timing_needs_a_submission(struct segue_test *test, bool wrong)
{
    return time_queue(test, true, wrong);
}

static segue_status timing_needs_an_idle_queue(struct segue_test *test, bool wrong)
{
    const struct segue_submission nothing = {0};
    struct segue_queue_timing times;
    segue_queue *queue = timed_queue(test, true);
    test->soft->set_paused(true);
    CHECK_OK(segue_queue_submit(queue, &nothing));
    if (!wrong)
        CHECK_OK(segue_queue_wait_idle(queue));
    segue_status status = segue_queue_get_timing(queue, &times);
    test->soft->set_paused(false);
    segue_queue_destroy(queue);
    return status;
}

static const struct pair pairs[] = {
    PAIR(create_needs_a_device, INVALID_ARGUMENT, "segue_queue_create: device is NULL"),
    PAIR(create_needs_somewhere_to_put_it, INVALID_ARGUMENT,
         "segue_queue_create: out_queue is NULL"),
    PAIR(submit_needs_a_queue, INVALID_ARGUMENT, "segue_queue_submit: queue is NULL"),
    PAIR(submit_needs_a_submission, INVALID_ARGUMENT, "segue_queue_submit: submission is NULL"),
    PAIR(wait_needs_a_queue, INVALID_ARGUMENT, "segue_queue_wait_idle: queue is NULL"),
    PAIR(wait_tells_what_failed, INVALID_STATE, "a submission failed|waits for an event"),
    PAIR(wait_needs_all_signals, INVALID_STATE, "semaphore value that nobody|signal it first"),
    PAIR(timing_needs_a_queue, INVALID_ARGUMENT, "segue_queue_get_timing: queue is NULL"),
    PAIR(timing_is_asked_for, INVALID_STATE, "queue \"timed\"|without timing|segue_queue_params"),
    PAIR(timing_needs_a_submission, INVALID_STATE, "queue \"timed\" has issued nothing|submit"),
    SOFT_PAIR(timing_needs_an_idle_queue, INVALID_STATE,
              "queue \"timed\"|still runs|wait for it first"),
};
PAIR_AREA(queue, pairs);
