// SPDX-License-Identifier: Apache-2.0
/**
 * @file queue_fixture.h
 * What tests of queues and semaphores share: a device on the fence backend, and short calls.
 */
#ifndef SEGUE_TEST_QUEUE_FIXTURE_H
#define SEGUE_TEST_QUEUE_FIXTURE_H

#include "fence_backend.h"
#include "queue.h"

/** One test's device, allocator and buffer. */
struct queue_fixture {
    struct null_allocator allocator;
    segue_device *device;
    segue_buffer *buffer;
};

extern struct queue_fixture fixture;

/** cmocka setup and teardown; the latter fails on leaks and misuse. */
int queue_fixture_setup(void **state);
int queue_fixture_teardown(void **state);

/** These fail the test on any failure. */
segue_queue *make_queue(const char *label);
segue_semaphore *make_semaphore(uint64_t value);
segue_event *make_event(void);
/** Ended, with one fill. */
segue_command_buffer *make_command_buffer(uint32_t flags);
/** Ended, with one fill of the last slot. */
segue_command_buffer *make_slot_commands(uint32_t slot_count);
/** Ended: commands on one event, each a letter: s(ignal), r(eset), w(ait). */
segue_command_buffer *make_event_commands(segue_event *event, const char *letters);

/** Up to one of each. NULL: none. */
struct submit {
    segue_command_buffer *command_buffer;
    segue_semaphore *wait;
    uint64_t wait_value;
    segue_semaphore *signal;
    uint64_t signal_value;
};
segue_status try_submit(segue_queue *queue, struct submit submit);
#define SUBMIT(queue, ...) \
    assert_int_equal(try_submit((queue), (struct submit){__VA_ARGS__}), SEGUE_OK)

/** The nth program that ran is that of the command buffer. */
void assert_ran(size_t nth, const segue_command_buffer *command_buffer);
/** The semaphore's value, asked for anew. */
uint64_t value_of(segue_semaphore *semaphore);

#endif // SEGUE_TEST_QUEUE_FIXTURE_H
