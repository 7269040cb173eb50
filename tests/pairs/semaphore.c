// SPDX-License-Identifier: Apache-2.0
// Semaphores on the host's side.
#include "pairs.h"

static segue_status create_needs_a_device(struct segue_test *test, bool wrong)
{
    segue_semaphore *semaphore = NULL;
    segue_status status = segue_semaphore_create(wrong ? NULL : test->device, 0, &semaphore);
    segue_semaphore_destroy(semaphore);
    return status;
}

static segue_status create_needs_somewhere_to_put_it(struct segue_test *test, bool wrong)
{
    segue_semaphore *semaphore = NULL;
    segue_status status = segue_semaphore_create(test->device, 0, wrong ? NULL : &semaphore);
    segue_semaphore_destroy(semaphore);
    return status;
}

static segue_status query_needs_a_semaphore(struct segue_test *test, bool wrong)
{
    uint64_t value;
    return segue_semaphore_query(wrong ? NULL : test->done, &value);
}

static segue_status query_needs_somewhere_to_put_the_value(struct segue_test *test, bool wrong)
{
    uint64_t value;
    return segue_semaphore_query(test->done, wrong ? NULL : &value);
}

static segue_status signal_needs_a_semaphore(struct segue_test *test, bool wrong)
{
    return segue_semaphore_signal(wrong ? NULL : segue_test_semaphore(test, 0), 1);
}

static segue_status signal_raises_the_value(struct segue_test *test, bool wrong)
{
    return segue_semaphore_signal(segue_test_semaphore(test, 5), wrong ? 5 : 6);
}

static segue_status signal_is_above_what_was_submitted(struct segue_test *test, bool wrong)
{
    segue_semaphore *gate = segue_test_semaphore(test, 0);
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    const struct segue_semaphore_value wait = {gate, 1};
    const struct segue_semaphore_value signal = {semaphore, 5};
    const struct segue_submission submission = {
        .waits = &wait, .wait_count = 1, .signals = &signal, .signal_count = 1};
    CHECK_OK(segue_queue_submit(test->queue, &submission));
    segue_status status = segue_semaphore_signal(semaphore, wrong ? 5 : 6);
    CHECK_OK(segue_semaphore_signal(gate, 1));
    return status;
}

static segue_status wait_needs_a_semaphore(struct segue_test *test, bool wrong)
{
    return segue_semaphore_wait(wrong ? NULL : test->done, 0, 0);
}

static segue_status wait_gives_up_in_time(struct segue_test *test, bool wrong)
{
    return segue_semaphore_wait(segue_test_semaphore(test, 7), 7 + wrong, 1000);
}

static segue_status failed_semaphore_has_no_value(struct segue_test *test, bool wrong)
{
    uint64_t value;
    return segue_semaphore_query(pair_failed_semaphore(test, wrong, NULL), &value);
}

static segue_status failed_semaphore_is_not_waited_for(struct segue_test *test, bool wrong)
{
    return segue_semaphore_wait(pair_failed_semaphore(test, wrong, NULL), 1,
                                SEGUE_TIMEOUT_INFINITE);
}

static segue_status failed_semaphore_is_not_signalled(struct segue_test *test, bool wrong)
{
    return segue_semaphore_signal(pair_failed_semaphore(test, wrong, NULL), 2);
}

static const struct pair pairs[] = {
    PAIR(create_needs_a_device, INVALID_ARGUMENT, "segue_semaphore_create: device is NULL"),
    PAIR(create_needs_somewhere_to_put_it, INVALID_ARGUMENT, "out_semaphore is NULL"),
    PAIR(query_needs_a_semaphore, INVALID_ARGUMENT, "segue_semaphore_query: semaphore is NULL"),
    PAIR(query_needs_somewhere_to_put_the_value, INVALID_ARGUMENT,
         "segue_semaphore_query: out_value is NULL"),
    PAIR(signal_needs_a_semaphore, INVALID_ARGUMENT, "segue_semaphore_signal: semaphore is NULL"),
    PAIR(signal_raises_the_value, INVALID_ARGUMENT, "value 5 must be above 5"),
    PAIR(signal_is_above_what_was_submitted, INVALID_ARGUMENT,
         "value 5 must be above 5|submitted to reach"),
    PAIR(wait_needs_a_semaphore, INVALID_ARGUMENT, "segue_semaphore_wait: semaphore is NULL"),
    PAIR(wait_gives_up_in_time, TIMEOUT, "did not reach 8 within 1000 ns|reached 7"),
    PAIR(failed_semaphore_has_no_value, INVALID_STATE, "has reached 0|no further|an event"),
    PAIR(failed_semaphore_is_not_waited_for, INVALID_STATE, "has reached 0|no further|an event"),
    PAIR(failed_semaphore_is_not_signalled, INVALID_STATE, "has reached 0|no further|an event"),
};
PAIR_AREA(semaphore, pairs);
