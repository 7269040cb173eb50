// SPDX-License-Identifier: Apache-2.0
// What happens when the driver fails.
#include "conformance.h"
#include "test.h"

/** CUresults; hal tests do not include cuda.h. */
enum {
    CUDA_OUT_OF_MEMORY = 2,
    CUDA_ILLEGAL_ADDRESS = 700,
    CUDA_LAUNCH_FAILED = 719,
    CUDA_UNKNOWN = 999
};

static void fail_next(struct segue_test *test, const char *pattern, int32_t result)
{
    test->soft->set_fault(
        &(struct segue_soft_fault){.nth = 1, .driver_result = result, .name_pattern = pattern});
}

static segue_command_buffer *record_scale(struct segue_test *test, segue_buffer *data)
{
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_begin_group(commands, "layer"));
    segue_test_dispatch_scale(test, commands, segue_test_whole(data), 8, 2, 1);
    CHECK_OK(segue_cmd_end_group(commands));
    return commands;
}

static void instantiation(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = record_scale(test, data);
    fail_next(test, "cuGraphInstantiate*", CUDA_UNKNOWN);
    CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_DRIVER_ERROR, "");
    assert_int_equal(segue_last_error()->driver_result, CUDA_UNKNOWN);
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    CHECK_STATUS(segue_queue_submit(test->queue, &submission), SEGUE_INVALID_STATE);
    CHECK_OK(segue_command_buffer_reset(commands));
    CHECK_OK(segue_command_buffer_begin(commands));
    segue_test_dispatch_scale(test, commands, segue_test_whole(data), 8, 3, 7);
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(1, i) * 3 + 7);
}

static void automatic_mode_falls_back(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    test->mode = SEGUE_EXECUTION_AUTO;
    segue_command_buffer *commands = segue_test_begin(test);
    const uint32_t word = 0;
    segue_test_dispatch_scale(test, commands, segue_test_whole(data), 8, 2, 1);
    CHECK_ERROR(segue_buffer_write(data, 33, &word, 1), SEGUE_OUT_OF_RANGE, "33");
    fail_next(test, "cuGraphInstantiate*", CUDA_UNKNOWN);
    CHECK_OK(segue_command_buffer_end(commands));
    // To the caller nothing has failed; the device knows better.
    assert_int_equal(segue_last_error()->status, SEGUE_OUT_OF_RANGE);
    struct segue_error error;
    segue_device_get_last_error(test->device, &error);
    assert_int_equal(error.driver_result, CUDA_UNKNOWN);
    struct segue_command_buffer_stats stats;
    CHECK_OK(segue_command_buffer_get_stats(commands, &stats));
    assert_int_equal(stats.mode, SEGUE_EXECUTION_STREAM);
    segue_test_wait(test, segue_test_submit(test, commands));
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(1, i) * 2 + 1);
}

static void nodes_that_cannot_be_added(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = record_scale(test, data);
    fail_next(test, "cuGraphAdd*", CUDA_OUT_OF_MEMORY);
    CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_OUT_OF_DEVICE_MEMORY, "command 1");
    assert_non_null(strstr(segue_last_error()->message, "layer"));
}

static void launch(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = record_scale(test, data);
    CHECK_OK(segue_command_buffer_end(commands));
    fail_next(test, test->mode == SEGUE_EXECUTION_GRAPH ? "cuGraphLaunch" : "cuLaunchKernel*",
              CUDA_OUT_OF_MEMORY);
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    CHECK_ERROR(segue_queue_submit(test->queue, &submission), SEGUE_OUT_OF_DEVICE_MEMORY, "");
    CHECK_OK(segue_queue_submit(test->queue, &submission));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(1, i) * 2 + 1);
}

static void kept_submission(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = record_scale(test, data);
    CHECK_OK(segue_command_buffer_end(commands));
    segue_semaphore *gate = segue_test_semaphore(test, 0);
    segue_semaphore *after = segue_test_semaphore(test, 0);
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_semaphore_value wait = {gate, 1};
    const struct segue_semaphore_value signal = {after, 1};
    const struct segue_submission submission = {&wait, 1, &execution, 1, &signal, 1};
    CHECK_OK(segue_queue_submit(test->queue, &submission));
    fail_next(test, test->mode == SEGUE_EXECUTION_GRAPH ? "cuGraphLaunch" : "cuLaunchKernel*",
              CUDA_OUT_OF_MEMORY);
    // Whoever signals is not to blame for what the signal released.
    CHECK_OK(segue_semaphore_signal(gate, 1));
    CHECK_ERROR(segue_semaphore_wait(after, 1, SEGUE_TIMEOUT_INFINITE), SEGUE_OUT_OF_DEVICE_MEMORY,
                "");
    uint64_t value;
    CHECK_STATUS(segue_semaphore_query(after, &value), SEGUE_OUT_OF_DEVICE_MEMORY);
    CHECK_STATUS(segue_queue_wait_idle(test->queue), SEGUE_OUT_OF_DEVICE_MEMORY);
    CHECK_OK(segue_queue_wait_idle(test->queue));
}

static void allocation(void **state)
{
    struct segue_test *test = *state;
    test->soft->set_fault(&(struct segue_soft_fault){
        .target = SEGUE_SOFT_FAULT_ALLOCATION, .nth = 1, .driver_result = CUDA_OUT_OF_MEMORY});
    segue_buffer *buffer = NULL;
    CHECK_ERROR(segue_buffer_create(
                    test->device,
                    &(struct segue_buffer_params){.size_bytes = 64, .label = "too much"}, &buffer),
                SEGUE_OUT_OF_DEVICE_MEMORY, "");
    assert_null(buffer);
    segue_test_buffer(test, 64);
}

static void device_loss(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = record_scale(test, data);
    CHECK_OK(segue_command_buffer_end(commands));
    segue_test_submit(test, commands);
    test->soft->set_device_lost(CUDA_ILLEGAL_ADDRESS);
    CHECK_STATUS(segue_semaphore_wait(test->done, test->done_value, SEGUE_TIMEOUT_INFINITE),
                 SEGUE_DEVICE_LOST);
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    CHECK_STATUS(segue_queue_submit(test->queue, &submission), SEGUE_DEVICE_LOST);
    CHECK_STATUS(segue_queue_wait_idle(test->queue), SEGUE_DEVICE_LOST);
    // Sticky, even if the driver answers again.
    test->soft->set_device_lost(0);
    CHECK_STATUS(segue_device_wait_idle(test->device), SEGUE_DEVICE_LOST);
    segue_buffer *buffer = NULL;
    CHECK_STATUS(
        segue_buffer_create(test->device, &(struct segue_buffer_params){.size_bytes = 64}, &buffer),
        SEGUE_DEVICE_LOST);
    uint64_t value;
    CHECK_STATUS(segue_semaphore_query(test->done, &value), SEGUE_DEVICE_LOST);
}

static bool refuse(const struct segue_reference_launch *launch, segue_reference_translate translate)
{
    (void)launch;
    (void)translate;
    return false;
}

static void kernel_that_fails(void **state)
{
    struct segue_test *test = *state;
    struct segue_reference_kernel kernel = segue_test_references[SEGUE_TEST_SCALE];
    kernel.run = refuse;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = record_scale(test, data);
    CHECK_OK(segue_command_buffer_end(commands));
    CHECK_OK(segue_device_register_reference_kernels(test->device, &kernel, 1));
    // It shall fail after the submission, not while submitting.
    test->soft->set_paused(true);
    segue_test_submit(test, commands);
    test->soft->set_paused(false);
    // The teardown registers the kernel as it was, and heals the driver.
    CHECK_STATUS(segue_semaphore_wait(test->done, test->done_value, SEGUE_TIMEOUT_INFINITE),
                 SEGUE_DEVICE_LOST);
    CHECK_STATUS(segue_queue_wait_idle(test->queue), SEGUE_DEVICE_LOST);
}

static void failure_is_handed_on(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = record_scale(test, data);
    CHECK_OK(segue_command_buffer_end(commands));
    segue_semaphore *gate = segue_test_semaphore(test, 0);
    segue_semaphore *middle = segue_test_semaphore(test, 0);
    segue_semaphore *after = segue_test_semaphore(test, 0);
    segue_queue *other = segue_test_queue(test);
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_semaphore_value gated = {gate, 1};
    const struct segue_semaphore_value handed = {middle, 1};
    const struct segue_semaphore_value done = {after, 1};
    const struct segue_submission first = {&gated, 1, &execution, 1, &handed, 1};
    const struct segue_submission second = {&handed, 1, &execution, 1, &done, 1};
    CHECK_OK(segue_queue_submit(test->queue, &first));
    CHECK_OK(segue_queue_submit(other, &second));
    fail_next(test, test->mode == SEGUE_EXECUTION_GRAPH ? "cuGraphLaunch" : "cuLaunchKernel*",
              CUDA_OUT_OF_MEMORY);
    CHECK_OK(segue_semaphore_signal(gate, 1));
    // What waited for the one that failed fails with it, and does not run.
    CHECK_STATUS(segue_semaphore_wait(middle, 1, SEGUE_TIMEOUT_INFINITE),
                 SEGUE_OUT_OF_DEVICE_MEMORY);
    CHECK_STATUS(segue_semaphore_wait(after, 1, SEGUE_TIMEOUT_INFINITE),
                 SEGUE_OUT_OF_DEVICE_MEMORY);
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(1, i));
    // The queues and the command buffer are as good as before.
    CHECK_STATUS(segue_queue_wait_idle(other), SEGUE_OUT_OF_DEVICE_MEMORY);
    const struct segue_submission again = {.executions = &execution, .execution_count = 1};
    CHECK_OK(segue_queue_submit(other, &again));
    CHECK_OK(segue_queue_wait_idle(other));
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(1, i) * 2 + 1);
}

static void instantiation_of_a_table(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = segue_test_begin_with(test, 1, 0);
    segue_test_dispatch_scale(test, commands, segue_test_slot(0, 0, SEGUE_WHOLE_SIZE), 8, 2, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    const struct segue_buffer_ref table = segue_test_whole(data);
    const struct segue_execution execution = {
        .command_buffer = commands, .bindings = &table, .binding_count = 1};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    fail_next(test, "cuGraphInstantiate*", CUDA_UNKNOWN);
    CHECK_ERROR(segue_queue_submit(test->queue, &submission), SEGUE_DRIVER_ERROR, "");
    CHECK_OK(segue_queue_submit(test->queue, &submission));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(1, i) * 2 + 1);
}

static const struct CMUnitTest tests[] = {
    segue_test_case(instantiation),
    segue_test_case(automatic_mode_falls_back),
    segue_test_case(nodes_that_cannot_be_added),
    segue_test_case(launch),
    segue_test_case(kept_submission),
    segue_test_case(allocation),
    segue_test_case(device_loss),
    segue_test_case(kernel_that_fails),
    segue_test_case(failure_is_handed_on),
    segue_test_case(instantiation_of_a_table),
};

const struct segue_conformance_area segue_conformance_failure = {"failure", tests,
                                                                 sizeof(tests) / sizeof(tests[0])};
