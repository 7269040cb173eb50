// SPDX-License-Identifier: Apache-2.0
#include "queue_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct queue_fixture fixture;

int queue_fixture_setup(void **state)
{
    (void)state;
    null_allocator_init(&fixture.allocator);
    const struct segue_device_params params = {.allocator = &fixture.allocator.allocator};
    fixture.device = fence_device_open(&params);
    const struct segue_buffer_params buffer = {.size_bytes = 256, .label = "buffer"};
    assert_int_equal(segue_buffer_create(fixture.device, &buffer, &fixture.buffer), SEGUE_OK);
    return 0;
}

int queue_fixture_teardown(void **state)
{
    (void)state;
    segue_buffer_destroy(fixture.buffer);
    segue_device_destroy(fixture.device);
    assert_int_equal(fence_world.misuse, 0);
    assert_int_equal(fixture.allocator.live, 0);
    assert_int_equal(fixture.allocator.wrong_sizes, 0);
    assert_int_equal(null_world.backends, 0);
    assert_int_equal(null_world.programs, 0);
    assert_int_equal(null_world.queues, 0);
    assert_int_equal(null_world.fences, 0);
    return 0;
}

segue_queue *make_queue(const char *label)
{
    const struct segue_queue_params params = {.label = label};
    segue_queue *queue;
    assert_int_equal(segue_queue_create(fixture.device, &params, &queue), SEGUE_OK);
    return queue;
}

segue_semaphore *make_semaphore(uint64_t value)
{
    segue_semaphore *semaphore;
    assert_int_equal(segue_semaphore_create(fixture.device, value, &semaphore), SEGUE_OK);
    return semaphore;
}

segue_event *make_event(void)
{
    segue_event *event;
    assert_int_equal(segue_event_create(fixture.device, &event), SEGUE_OK);
    return event;
}

segue_command_buffer *make_command_buffer(uint32_t flags)
{
    const struct segue_command_buffer_params params = {.flags = flags, .label = "commands"};
    segue_command_buffer *command_buffer;
    assert_int_equal(segue_command_buffer_create(fixture.device, &params, &command_buffer),
                     SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    const struct segue_buffer_ref ref = {.buffer = fixture.buffer, .length_bytes = 16};
    assert_int_equal(segue_cmd_fill(command_buffer, ref, 0, 1), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    return command_buffer;
}

segue_command_buffer *make_slot_commands(uint32_t slot_count)
{
    const struct segue_command_buffer_params params = {.slot_count = slot_count, .label = "slots"};
    segue_command_buffer *command_buffer;
    assert_int_equal(segue_command_buffer_create(fixture.device, &params, &command_buffer),
                     SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    const struct segue_buffer_ref ref = {.slot = slot_count - 1, .length_bytes = 16};
    assert_int_equal(segue_cmd_fill(command_buffer, ref, 0, 1), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    return command_buffer;
}

segue_command_buffer *make_event_commands(segue_event *event, const char *letters)
{
    segue_command_buffer *command_buffer;
    assert_int_equal(segue_command_buffer_create(fixture.device, NULL, &command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    for (; *letters; letters++) {
        segue_status status = *letters == 's'   ? segue_cmd_signal_event(command_buffer, event)
                              : *letters == 'r' ? segue_cmd_reset_event(command_buffer, event)
                                                : segue_cmd_wait_event(command_buffer, event);
        assert_int_equal(status, SEGUE_OK);
    }
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    return command_buffer;
}

segue_status try_submit(segue_queue *queue, struct submit submit)
{
    const struct segue_semaphore_value wait = {submit.wait, submit.wait_value};
    const struct segue_semaphore_value signal = {submit.signal, submit.signal_value};
    const struct segue_execution execution = {.command_buffer = submit.command_buffer};
    const struct segue_submission submission = {
        .waits = &wait,
        .wait_count = submit.wait != NULL,
        .executions = &execution,
        .execution_count = submit.command_buffer != NULL,
        .signals = &signal,
        .signal_count = submit.signal != NULL,
    };
    return segue_queue_submit(queue, &submission);
}

void assert_ran(size_t nth, const segue_command_buffer *command_buffer)
{
    assert_true(nth < fence_world.run_count);
    assert_ptr_equal(fence_world.runs[nth], command_buffer->program->backend);
}

uint64_t value_of(segue_semaphore *semaphore)
{
    uint64_t value = 0;
    assert_int_equal(segue_semaphore_query(semaphore, &value), SEGUE_OK);
    return value;
}
