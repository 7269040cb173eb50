// SPDX-License-Identifier: Apache-2.0
#include "pairs.h"

segue_buffer *pair_buffer(struct segue_test *test, const char *label)
{
    const struct segue_buffer_params params = {.size_bytes = PAIR_BYTES, .label = label};
    return segue_test_buffer_of(test, &params);
}

segue_buffer *pair_constant(struct segue_test *test)
{
    const struct segue_buffer_params params = {
        .size_bytes = PAIR_BYTES, .memory = SEGUE_MEMORY_CONSTANT, .label = "constant"};
    return segue_test_buffer_of(test, &params);
}

segue_command_buffer *pair_begin(struct segue_test *test, uint32_t slot_count)
{
    return segue_test_begin_with(test, slot_count, 0);
}

segue_status pair_end(segue_command_buffer *command_buffer, segue_status status)
{
    segue_status ended = segue_command_buffer_end(command_buffer);
    if (status != SEGUE_OK)
        assert_int_equal(ended, status);
    return ended;
}

segue_status pair_submit(struct segue_test *test, segue_command_buffer *command_buffer,
                         const struct segue_buffer_ref *bindings, uint32_t binding_count)
{
    const struct segue_execution execution = {
        .command_buffer = command_buffer, .bindings = bindings, .binding_count = binding_count};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    segue_status status = segue_queue_submit(test->queue, &submission);
    if (status == SEGUE_OK)
        status = segue_queue_wait_idle(test->queue);
    return status;
}

struct segue_dispatch pair_scale(struct segue_test *test, const struct segue_buffer_ref *binding)
{
    static const uint32_t constants[] = {1, 1, 0};
    return (struct segue_dispatch){
        .executable = test->kernels,
        .entry_point = SEGUE_TEST_SCALE,
        .grid = {1, 1, 1},
        .bindings = binding,
        .binding_count = 1,
        .constants = constants,
        .constants_size_bytes = sizeof(constants),
    };
}

struct pair_other pair_other_open(void)
{
    struct pair_other other;
    const struct segue_buffer_params buffer = {.size_bytes = PAIR_BYTES, .label = "theirs"};
    const struct segue_command_buffer_params recording = {.label = "theirs"};
    CHECK_OK(segue_device_open(segue_test_device_uri(), NULL, &other.device));
    CHECK_OK(segue_buffer_create(other.device, &buffer, &other.buffer));
    CHECK_OK(segue_event_create(other.device, &other.event));
    CHECK_OK(segue_semaphore_create(other.device, 0, &other.semaphore));
    CHECK_OK(segue_test_kernels_create(other.device, &other.kernels));
    CHECK_OK(segue_command_buffer_create(other.device, &recording, &other.command_buffer));
    CHECK_OK(segue_command_buffer_begin(other.command_buffer));
    CHECK_OK(segue_command_buffer_end(other.command_buffer));
    return other;
}

void pair_other_close(const struct pair_other *other)
{
    segue_command_buffer_destroy(other->command_buffer);
    segue_executable_destroy(other->kernels);
    segue_semaphore_destroy(other->semaphore);
    segue_event_destroy(other->event);
    segue_buffer_destroy(other->buffer);
    segue_device_destroy(other->device);
}

segue_semaphore *pair_failed_semaphore(struct segue_test *test, bool fails, segue_queue **out_queue)
{
    segue_queue *queue = segue_test_queue(test);
    segue_semaphore *gate = segue_test_semaphore(test, 0);
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    segue_event *event = segue_test_event(test);
    segue_command_buffer *signals = pair_begin(test, 0);
    CHECK_OK(segue_cmd_signal_event(signals, event));
    CHECK_OK(segue_command_buffer_end(signals));
    segue_command_buffer *waits = pair_begin(test, 0);
    CHECK_OK(segue_cmd_wait_event(waits, event));
    CHECK_OK(segue_command_buffer_end(waits));

    const struct segue_semaphore_value wait = {gate, 1};
    const struct segue_semaphore_value signal = {semaphore, 1};
    const struct segue_execution execution = {.command_buffer = waits};
    const struct segue_submission submission = {.waits = &wait,
                                                .wait_count = 1,
                                                .executions = &execution,
                                                .execution_count = 1,
                                                .signals = &signal,
                                                .signal_count = 1};
    CHECK_OK(segue_queue_submit(queue, &submission));
    if (!fails)
        CHECK_OK(pair_submit(test, signals, NULL, 0));
    // Only now is the submission issued, and its event looked at.
    CHECK_OK(segue_semaphore_signal(gate, 1));
    if (!fails)
        CHECK_OK(segue_semaphore_wait(semaphore, 1, SEGUE_TIMEOUT_INFINITE));
    if (out_queue)
        *out_queue = queue;
    return semaphore;
}
