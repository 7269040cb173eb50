// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"
#include "test.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static void expect_failure(const char *uri, const struct segue_device_params *params,
                           segue_status expected, const char *text)
{
    segue_device *device = NULL;
    CHECK_ERROR(segue_device_open(uri, params, &device), expected, text);
    assert_null(device);
}

static void bad_uris(void **state)
{
    (void)state;
    static const char *const malformed[] = {
        "",
        "cuda",
        "cuda:/0",
        "cuda://x",
        "cuda://-1",
        "cuda://0x",
        "soft://?seed",
        "soft://?seed=x",
        "soft://?profile=11.0",
        "soft://?speed=1",
        "vulkan://0",
        "soft://?profile=12.4&",
    };
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); ++i)
        expect_failure(malformed[i], NULL, SEGUE_INVALID_ARGUMENT, malformed[i]);
    expect_failure(NULL, NULL, SEGUE_INVALID_ARGUMENT, "");
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    const struct segue_device_params no_cuda = {.libcuda_path = "/nowhere/libcuda.so.1"};
    expect_failure("cuda://0", &no_cuda, SEGUE_UNAVAILABLE, "/nowhere/libcuda.so.1");
    const struct segue_device_params no_soft = {.libsoft_path = "/nowhere/libsegue_soft.so"};
    expect_failure("soft://", &no_soft, SEGUE_UNAVAILABLE, "/nowhere/libsegue_soft.so");
    expect_failure("auto",
                   &(struct segue_device_params){.libcuda_path = "/nowhere/libcuda.so.1",
                                                 .libsoft_path = "/nowhere/libsegue_soft.so"},
                   SEGUE_UNAVAILABLE, "/nowhere");
    segue_device *device = NULL;
    segue_status status = segue_device_open("cuda://4000", NULL, &device);
    assert_int_equal(status, SEGUE_UNAVAILABLE);
    assert_null(device);
}

static void automatic(void **state)
{
    struct segue_test *test = *state;
    const struct segue_device_params no_cuda = {.libcuda_path = "/nowhere/libcuda.so.1"};
    struct segue_device_info info;
    segue_device_get_info(segue_test_device(test, "auto", &no_cuda), &info);
    assert_true(info.is_soft && strncmp(info.uri, "soft://", 7) == 0);
}

static void info(void **state)
{
    struct segue_test *test = *state;
    const struct segue_device_info *info = &test->info;
    assert_true(info->name[0] != '\0');
    assert_true(info->driver_version >= 12040);
    assert_true(info->compute_capability_major >= 5);
    assert_true(info->multiprocessor_count > 0);
    assert_true(info->total_memory_bytes > 0);
    assert_true(info->max_shared_memory_bytes >= 48 << 10);
    assert_true(info->max_threads_per_block >= 256);
    assert_int_equal(info->is_soft, test->soft != NULL);
    assert_int_equal(info->is_soft, strncmp(segue_test_device_uri(), "soft:", 5) == 0);
    // "12.4" is version 12040.
    const char *profile = strstr(segue_test_device_uri(), "profile=");
    int major, minor;
    if (profile && sscanf(profile, "profile=%d.%d", &major, &minor) == 2)
        assert_int_equal(info->driver_version, major * 1000 + minor * 10);
}

static void two_devices(void **state)
{
    struct segue_test *test = *state;
    segue_device *second = segue_test_device(test, segue_test_device_uri(), NULL);
    segue_buffer *buffer =
        segue_test_buffer_on(test, second, &(struct segue_buffer_params){.size_bytes = 64});
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_STATUS(segue_cmd_fill(commands, segue_test_whole(buffer), 0, 4), SEGUE_INVALID_ARGUMENT);
    uint32_t word = 0x1234;
    CHECK_OK(segue_buffer_write(buffer, 0, &word, 4));
    word = 0;
    CHECK_OK(segue_buffer_read(buffer, 0, &word, 4));
    assert_int_equal(word, 0x1234);
}

static void outlived_by_its_objects(void **state)
{
    struct segue_test *test = *state;
    segue_device *device = segue_test_device(test, segue_test_device_uri(), NULL);
    segue_buffer *buffer =
        segue_test_buffer_on(test, device, &(struct segue_buffer_params){.size_bytes = 64});
    segue_test_destroy(test, device);
    uint32_t word = 5;
    CHECK_OK(segue_buffer_write(buffer, 0, &word, 4));
    segue_device_destroy(NULL);
}

static void last_error(void **state)
{
    struct segue_test *test = *state;
    struct segue_error error;
    segue_device_get_last_error(test->device, &error);
    assert_int_equal(error.status, SEGUE_OK);
    assert_string_equal(error.message, "");
    segue_buffer *buffer = NULL;
    CHECK_STATUS(
        segue_buffer_create(test->device, &(struct segue_buffer_params){.usage = 0x100}, &buffer),
        SEGUE_INVALID_ARGUMENT);
    segue_device_get_last_error(test->device, &error);
    assert_int_equal(error.status, SEGUE_INVALID_ARGUMENT);
    assert_string_equal(error.message, segue_last_error()->message);
    assert_non_null(strstr(error.file, ".c"));
    assert_true(error.file[0] != '/');
    assert_true(error.line > 0);
    // A call that succeeds leaves it alone.
    segue_test_buffer(test, 16);
    assert_int_equal(segue_last_error()->status, SEGUE_INVALID_ARGUMENT);
}

static void wait_idle(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_slow(test, commands, segue_test_whole(data), 8, 2, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    segue_test_submit(test, commands);
    CHECK_OK(segue_device_wait_idle(test->device));
    CHECK_OK(segue_semaphore_wait(test->done, test->done_value, 0));
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(1, i) * 2 + 1);
}

/** Counts what is allocated through it. */
struct counting {
    atomic_long live;
    atomic_long bytes;
    atomic_long calls;
};

static void *count_allocate(void *context, size_t size_bytes, size_t align_bytes)
{
    struct counting *counting = context;
    void *pointer = NULL;
    size_t align = align_bytes < sizeof(void *) ? sizeof(void *) : align_bytes;
    if (posix_memalign(&pointer, align, size_bytes) != 0)
        return NULL;
    counting->live++;
    counting->bytes += (long)size_bytes;
    counting->calls++;
    return pointer;
}

static void count_release(void *context, void *pointer, size_t size_bytes)
{
    struct counting *counting = context;
    counting->live--;
    counting->bytes -= (long)size_bytes;
    free(pointer);
}

static void allocator_is_used(void **state)
{
    struct segue_test *test = *state;
    // Outlives the device, even if the test ends early.
    static struct counting counting;
    counting = (struct counting){0};
    const struct segue_allocator allocator = {count_allocate, count_release, &counting};
    segue_device *device = segue_test_device(
        test, segue_test_device_uri(), &(struct segue_device_params){.allocator = &allocator});
    long with_device = counting.calls;
    assert_true(with_device > 0);
    segue_buffer *buffer = segue_test_buffer_on(
        test, device, &(struct segue_buffer_params){.size_bytes = 64, .label = "x"});
    assert_true(counting.calls > with_device);
    segue_test_destroy(test, buffer);
    segue_test_destroy(test, device);
    assert_int_equal(counting.live, 0);
    // Sizes at release are those asked for.
    assert_int_equal(counting.bytes, 0);
}

static void count_errors(void *context, enum segue_log_level level, const char *message)
{
    if (level == SEGUE_LOG_ERROR && strstr(message, "logged buffer"))
        ++*(int *)context;
}

static void failures_are_logged(void **state)
{
    struct segue_test *test = *state;
    static int lines;
    lines = 0;
    const struct segue_device_params params = {.log = count_errors, .log_context = &lines};
    segue_device *device = segue_test_device(test, segue_test_device_uri(), &params);
    segue_buffer *buffer = segue_test_buffer_on(
        test, device, &(struct segue_buffer_params){.size_bytes = 4, .label = "logged buffer"});
    CHECK_STATUS(segue_buffer_write(buffer, 0, &lines, 5), SEGUE_OUT_OF_RANGE);
    assert_int_equal(lines, 1);
}

static void driver_versions(void **state)
{
    struct segue_test *test = *state;
    static const struct {
        const char *uri;
        int32_t version;
    } profiles[] = {
        {"soft://?profile=12.4", 12040},
        {"soft://?profile=12.8", 12080},
        {"soft://?profile=13.0", 13000},
        {"soft://?profile=12.4&seed=3", 12040},
        {"soft://", 13000},
    };
    for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); ++i) {
        segue_device *device = segue_test_device(test, profiles[i].uri, NULL);
        struct segue_device_info info;
        segue_device_get_info(device, &info);
        assert_int_equal(info.driver_version, profiles[i].version);
        segue_test_destroy(test, device);
    }
}

static void names_of_statuses(void **state)
{
    (void)state;
    assert_string_equal(segue_status_name(SEGUE_OK), "SEGUE_OK");
    assert_string_equal(segue_status_name(SEGUE_HAZARD), "SEGUE_HAZARD");
    assert_string_equal(segue_status_name(SEGUE_MISMATCH), "SEGUE_MISMATCH");
    assert_non_null(segue_status_name((segue_status)12345));
}

static const struct CMUnitTest tests[] = {
    segue_test_case(bad_uris),          segue_test_case(what_is_missing_is_named),
    segue_test_case(automatic),         segue_test_case(info),
    segue_test_case(two_devices),       segue_test_case(outlived_by_its_objects),
    segue_test_case(last_error),        segue_test_case(wait_idle),
    segue_test_case(allocator_is_used), segue_test_case(failures_are_logged),
    segue_test_case(names_of_statuses), segue_test_case(driver_versions),
};

const struct segue_conformance_area segue_conformance_device = {"device", tests,
                                                                sizeof(tests) / sizeof(tests[0])};
