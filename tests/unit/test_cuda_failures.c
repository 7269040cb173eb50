// SPDX-License-Identifier: Apache-2.0
// When the driver refuses something: what is said, and that no failing call leaves anything behind.
#include "driver_table.h"
#include "lower.h"
#include "test.h"

#include <inttypes.h>

#define LARGE ((uint64_t)SEGUE_SMALL_TRANSFER_BYTES)

static segue_command_buffer *begin_in(struct segue_test *test, enum segue_execution_mode mode)
{
    const enum segue_execution_mode kept = test->mode;
    test->mode = mode;
    segue_command_buffer *command_buffer = segue_test_begin(test);
    test->mode = kept;
    return command_buffer;
}

static void fail_call(struct segue_test *test, const char *name, uint64_t nth, int32_t result)
{
    const struct segue_soft_fault fault = {
        .target = SEGUE_SOFT_FAULT_DRIVER_CALL,
        .nth = nth,
        .driver_result = result,
        .name_pattern = name,
    };
    test->soft->set_fault(&fault);
}

/** Failures name the command buffer, and the command where there is one. */
static void test_failures_name_commands(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_zeros(test, 64);
    segue_command_buffer *command_buffer = begin_in(test, SEGUE_EXECUTION_GRAPH);
    segue_test_dispatch_scale(test, command_buffer, segue_test_whole(data), 64, 3, 1);
    segue_test_barrier(command_buffer);
    CHECK_OK(segue_cmd_begin_group(command_buffer, "second"));
    segue_test_dispatch_scale(test, command_buffer, segue_test_whole(data), 64, 3, 1);
    CHECK_OK(segue_cmd_end_group(command_buffer));
    fail_call(test, "cuGraphAddKernelNode", 2, CUDA_ERROR_INVALID_VALUE);
    CHECK_ERROR(segue_command_buffer_end(command_buffer), SEGUE_DRIVER_ERROR, "command 3 (");
    assert_non_null(strstr(segue_last_error()->message, "second"));
    assert_non_null(strstr(segue_last_error()->message, "cuGraphAddKernelNode"));
    assert_non_null(strstr(segue_last_error()->message, "CUDA_ERROR_INVALID_VALUE (1)"));
    assert_int_equal(segue_last_error()->driver_result, CUDA_ERROR_INVALID_VALUE);

    CHECK_OK(segue_command_buffer_reset(command_buffer));
    CHECK_OK(segue_command_buffer_begin(command_buffer));
    segue_test_dispatch_scale(test, command_buffer, segue_test_whole(data), 64, 3, 1);
    fail_call(test, "cuGraphInstantiateWithParams", 1, CUDA_ERROR_NOT_SUPPORTED);
    CHECK_ERROR(segue_command_buffer_end(command_buffer), SEGUE_UNIMPLEMENTED,
                "instantiating the graph");

    command_buffer = begin_in(test, SEGUE_EXECUTION_STREAM);
    segue_test_dispatch_scale(test, command_buffer, segue_test_whole(data), 64, 3, 1);
    CHECK_OK(segue_command_buffer_end(command_buffer));
    fail_call(test, "cuLaunchKernelEx", 1, CUDA_ERROR_INVALID_VALUE);
    const struct segue_execution execution = {.command_buffer = command_buffer};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    CHECK_ERROR(segue_queue_submit(test->queue, &submission), SEGUE_DRIVER_ERROR, "command 0 (");
    test->soft->set_fault(NULL);
}

/** A failing clean-up becomes the device's last error and not the thread's. The memory goes with
 * the device. */
static void test_failing_cleanup(void **state)
{
    struct segue_test *test = *state;
    struct segue_error error;
    segue_buffer *buffer = segue_test_buffer(test, 256);
    uint32_t word = 5;
    CHECK_ERROR(segue_buffer_write(buffer, 300, &word, 4), SEGUE_OUT_OF_RANGE, "300");
    fail_call(test, "cuMemFree", 1, CUDA_ERROR_INVALID_VALUE);
    segue_test_destroy(test, buffer);
    test->soft->set_fault(NULL);
    segue_device_get_last_error(test->device, &error);
    assert_int_equal(error.status, SEGUE_DRIVER_ERROR);
    assert_non_null(strstr(error.message, "cuMemFree"));
    assert_int_equal(segue_last_error()->status, SEGUE_OUT_OF_RANGE);
}

/** A sticky error loses the device. */
static void test_lost_device(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer(test, 256);
    uint32_t word = 5;
    fail_call(test, "cuMemcpyHtoDAsync", 1, CUDA_ERROR_LAUNCH_FAILED);
    CHECK_ERROR(segue_buffer_write(buffer, 0, &word, 4), SEGUE_DEVICE_LOST,
                "CUDA_ERROR_LAUNCH_FAILED");
    test->soft->set_fault(NULL);
    CHECK_STATUS(segue_buffer_write(buffer, 0, &word, 4), SEGUE_DEVICE_LOST);
}

/** Calls that give something up: when they fail, what they should have given up stays. */
static bool gives_up(const char *name)
{
    static const char *const words[] = {"Destroy", "Free", "Unload", "Release", "Pop"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strstr(name, words[i]) != NULL)
            return true;
    }
    return false;
}

/** Everything once: memory, a module from a declared list, both modes, fences, timing. Stops at the
 *  first failure and gives all back. */
struct scenario {
    segue_device *device;
    segue_buffer *buffer;
    segue_buffer *host;
    segue_executable *executable;
    segue_queue *queue;
    segue_command_buffer *command_buffers[2];
};

static segue_status record_scenario(struct scenario *scenario, enum segue_execution_mode mode,
                                    segue_command_buffer **out_command_buffer)
{
    static const uint32_t words[4] = {1, 2, 3, 4};
    const struct segue_command_buffer_params params = {.mode = mode};
    const struct segue_buffer_ref whole = {scenario->buffer, 0, 0, SEGUE_WHOLE_SIZE};
    const struct segue_buffer_ref upper = {scenario->buffer, 0, LARGE, LARGE};
    const struct segue_buffer_ref updated = {scenario->buffer, 0, 256, sizeof(words)};
    const struct segue_buffer_ref host = {scenario->host, 0, 0, 256};
    const struct segue_buffer_ref first = {scenario->buffer, 0, 0, 256};
    const uint32_t constants[] = {16, 3, 1};
    const struct segue_dispatch dispatch = {
        .executable = scenario->executable,
        .grid = {1, 1, 1},
        .bindings = &whole,
        .binding_count = 1,
        .constants = constants,
        .constants_size_bytes = sizeof(constants),
    };
    const struct segue_buffer_ref cooperative_bindings[] = {first, upper};
    const struct segue_dispatch cooperative = {
        .executable = scenario->executable,
        .entry_point = 1,
        .grid = {1, 1, 1},
        .bindings = cooperative_bindings,
        .binding_count = 2,
    };
    segue_status status =
        segue_command_buffer_create(scenario->device, &params, out_command_buffer);
    segue_command_buffer *command_buffer = *out_command_buffer;
    if (status == SEGUE_OK)
        status = segue_command_buffer_begin(command_buffer);
    if (status == SEGUE_OK)
        status = segue_cmd_fill(command_buffer, upper, 7, 4);
    if (status == SEGUE_OK)
        status = segue_cmd_update(command_buffer, updated, words);
    if (status == SEGUE_OK)
        status = segue_cmd_copy(command_buffer, host, first);
    if (status == SEGUE_OK)
        status = segue_cmd_barrier(command_buffer, NULL);
    if (status == SEGUE_OK)
        status = segue_cmd_dispatch(command_buffer, &dispatch);
    if (status == SEGUE_OK)
        status = segue_cmd_barrier(command_buffer, NULL);
    if (status == SEGUE_OK)
        status = segue_cmd_dispatch(command_buffer, &cooperative);
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(command_buffer);
    return status;
}

static segue_status create_objects(struct scenario *scenario)
{
    const struct segue_buffer_params device_memory = {.size_bytes = 2 * LARGE};
    const struct segue_buffer_params host_memory = {.size_bytes = 256,
                                                    .memory = SEGUE_MEMORY_HOST_VISIBLE};
    const struct segue_entry_point entries[] = {segue_test_entries[SEGUE_TEST_SCALE],
                                                segue_test_entries[SEGUE_TEST_COOPERATIVE]};
    const struct segue_executable_params executable = {
        .format = SEGUE_EXECUTABLE_CUBIN,
        .data = "",
        .size_bytes = 1,
        .entry_points = entries,
        .entry_point_count = 2,
    };
    const struct segue_queue_params queue = {.timing = true};
    segue_status status = segue_device_register_reference_kernels(
        scenario->device, segue_test_references, SEGUE_TEST_KERNEL_COUNT);
    if (status == SEGUE_OK)
        status = segue_buffer_create(scenario->device, &device_memory, &scenario->buffer);
    if (status == SEGUE_OK)
        status = segue_buffer_create(scenario->device, &host_memory, &scenario->host);
    if (status == SEGUE_OK)
        status = segue_executable_create(scenario->device, &executable, &scenario->executable);
    if (status == SEGUE_OK)
        status = segue_queue_create(scenario->device, &queue, &scenario->queue);
    return status;
}

static segue_status run_scenario(struct scenario *scenario)
{
    struct segue_queue_timing timing;
    uint32_t words[64];
    segue_status status = segue_device_open("soft://", NULL, &scenario->device);
    if (status == SEGUE_OK)
        status = create_objects(scenario);
    memset(words, 0, sizeof(words));
    if (status == SEGUE_OK)
        status = segue_buffer_write(scenario->buffer, 0, words, sizeof(words));
    for (uint32_t i = 0; i < 2 && status == SEGUE_OK; i++) {
        status = record_scenario(scenario, i == 0 ? SEGUE_EXECUTION_GRAPH : SEGUE_EXECUTION_STREAM,
                                 &scenario->command_buffers[i]);
        const struct segue_execution execution = {.command_buffer = scenario->command_buffers[i]};
        const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
        if (status == SEGUE_OK)
            status = segue_queue_submit(scenario->queue, &submission);
        if (status == SEGUE_OK)
            status = segue_queue_wait_idle(scenario->queue);
        if (status == SEGUE_OK)
            status = segue_queue_get_timing(scenario->queue, &timing);
    }
    if (status == SEGUE_OK)
        status = segue_buffer_read(scenario->buffer, 0, words, sizeof(words));
    return status;
}

static void finish_scenario(struct scenario *scenario)
{
    segue_queue_destroy(scenario->queue);
    for (uint32_t i = 0; i < 2; i++)
        segue_command_buffer_destroy(scenario->command_buffers[i]);
    segue_executable_destroy(scenario->executable);
    segue_buffer_destroy(scenario->host);
    segue_buffer_destroy(scenario->buffer);
    segue_device_destroy(scenario->device);
}

/** Whether the fault struck. Then the scenario must have failed, unless the call's failure is one
 *  that the library is free to live with; and nothing may be left. */
static bool survives_failure(const struct segue_soft_api *soft, const char *name, uint64_t nth)
{
    const struct segue_soft_fault fault = {
        .nth = nth,
        .driver_result = CUDA_ERROR_OUT_OF_MEMORY,
        .name_pattern = name,
    };
    struct scenario scenario = {.device = NULL};
    struct segue_soft_report report;
    soft->reset_report();
    soft->set_fault(&fault);
    const segue_status status = run_scenario(&scenario);
    soft->set_fault(NULL);
    finish_scenario(&scenario);
    soft->get_report(&report);
    if (report.live_objects != 0)
        fail_msg("%s call %" PRIu64 ": %" PRIu64 " objects are left", name, nth,
                 report.live_objects);
    if (report.misuse_count != 0)
        fail_msg("%s call %" PRIu64 ": %s", name, nth, report.first_misuse);
    // Instantiating is tried again.
    if (report.fault_count > 0 && status == SEGUE_OK && strncmp(name, "cuEvent", 7) != 0 &&
        strcmp(name, "cuGraphInstantiateWithParams") != 0)
        fail_msg("%s call %" PRIu64 ": the failure was dropped", name, nth);
    if (report.fault_count == 0 && status != SEGUE_OK)
        fail_msg("%s: %s", name, segue_last_error()->message);
    return report.fault_count > 0;
}

static void test_failing_calls(void **state)
{
    const struct segue_soft_api *soft = *state;
    static const char *const names[] = {
#define NAME(name, abi) #name,
        SEGUE_DRIVER_CALLS(NAME)
#undef NAME
    };
    // Calls that the scenario must come to.
    static const char *const needed[] = {
        "cuInit",
        "cuDevicePrimaryCtxRetain",
        "cuCtxPushCurrent",
        "cuMemAlloc",
        "cuMemHostAlloc",
        "cuMemHostGetDevicePointer",
        "cuMemcpyHtoDAsync",
        "cuMemcpyDtoHAsync",
        "cuMemcpyDtoDAsync",
        "cuMemsetD32Async",
        "cuStreamCreate",
        "cuStreamSynchronize",
        "cuEventCreate",
        "cuEventRecord",
        "cuEventElapsedTime",
        "cuModuleLoadDataEx",
        "cuModuleGetFunction",
        "cuFuncGetAttribute",
        "cuFuncSetAttribute",
        "cuFuncGetParamInfo",
        "cuLaunchKernelEx",
        "cuGraphCreate",
        "cuGraphAddKernelNode",
        "cuGraphAddMemcpyNode",
        "cuGraphAddMemsetNode",
        "cuGraphKernelNodeSetAttribute",
        "cuGraphInstantiateWithParams",
        "cuGraphUpload",
        "cuGraphLaunch",
    };
    uint32_t found = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (gives_up(names[i]) || strstr(names[i], "GetError") != NULL)
            continue;
        uint64_t nth = 1;
        while (survives_failure(soft, names[i], nth))
            nth++;
        for (size_t k = 0; k < sizeof(needed) / sizeof(needed[0]) && nth > 1; k++)
            found += strcmp(needed[k], names[i]) == 0;
    }
    assert_int_equal(found, sizeof(needed) / sizeof(needed[0]));
}

/** Kernels that overlap with what comes before them ask for as much shared memory as others that
 *  do: their second attribute. Others have one. */
static void test_preferred_shared_memory(void **state)
{
    const struct segue_soft_api *soft = *state;
    const struct segue_soft_fault fault = {
        .nth = 2,
        .driver_result = CUDA_ERROR_OUT_OF_MEMORY,
        .name_pattern = "cuFuncSetAttribute",
    };
    segue_device *device = NULL;
    segue_executable *executable = NULL;
    CHECK_OK(segue_device_open("soft://", NULL, &device));
    CHECK_OK(segue_device_register_reference_kernels(device, segue_test_references,
                                                     SEGUE_TEST_KERNEL_COUNT));
    struct segue_executable_params params = {
        .format = SEGUE_EXECUTABLE_CUBIN,
        .data = "",
        .size_bytes = 1,
        .entry_points = &segue_test_entries[SEGUE_TEST_SCALE],
        .entry_point_count = 1,
    };
    soft->set_fault(&fault);
    CHECK_OK(segue_executable_create(device, &params, &executable));
    segue_executable_destroy(executable);
    soft->set_fault(&fault);
    params.entry_points = &segue_test_entries[SEGUE_TEST_DEPENDENT];
    assert_int_equal(segue_executable_create(device, &params, &executable),
                     SEGUE_OUT_OF_DEVICE_MEMORY);
    assert_non_null(strstr(segue_last_error()->message, "preferring shared memory"));
    soft->set_fault(NULL);
    segue_device_destroy(device);
}

/** A software driver that no device keeps open, for tests that open their own. */
static int set_up_soft(void **state)
{
    segue_device *device = NULL;
    CHECK_OK(segue_device_open("soft://", NULL, &device));
    *state = (void *)(uintptr_t)segue_device_get_soft_api(device);
    segue_device_destroy(device);
    return 0;
}

int main(void)
{
    if (strncmp(segue_test_device_uri(), "soft", 4) != 0) {
        print_message("skipped: only the software driver fails on demand\n");
        return SEGUE_TEST_EXIT_SKIPPED;
    }
    const int unprepared = segue_test_prepare();
    if (unprepared != 0)
        return unprepared;
    const struct CMUnitTest tests[] = {
        segue_test_case(test_failures_name_commands),
        segue_test_case(test_failing_cleanup),
        segue_test_case(test_lost_device),
        cmocka_unit_test_setup(test_failing_calls, set_up_soft),
        cmocka_unit_test_setup(test_preferred_shared_memory, set_up_soft),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
