// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"
#include "test.h"

#include <stdlib.h>

static void write_and_read_all_memories(void **state)
{
    struct segue_test *test = *state;
    for (int memory = SEGUE_MEMORY_DEVICE; memory <= SEGUE_MEMORY_CONSTANT; ++memory) {
        segue_buffer *buffer = segue_test_buffer_of(
            test, &(struct segue_buffer_params){.size_bytes = 1000,
                                                .memory = (enum segue_memory_type)memory});
        unsigned char expected[1000];
        for (uint32_t i = 0; i < 1000; ++i)
            expected[i] = (unsigned char)segue_test_word(1, i);
        CHECK_OK(segue_buffer_write(buffer, 0, expected, 1000));
        memset(expected + 3, 0x5a, 10);
        CHECK_OK(segue_buffer_write(buffer, 3, expected + 3, 10));
        unsigned char actual[1000] = {0};
        CHECK_OK(segue_buffer_read(buffer, 0, actual, 1000));
        assert_memory_equal(actual, expected, 1000);
        CHECK_OK(segue_buffer_read(buffer, 999, actual, 1));
        assert_int_equal(actual[0], expected[999]);
        CHECK_OK(segue_buffer_read(buffer, 1000, actual, 0));
        CHECK_OK(segue_buffer_write(buffer, 1000, actual, 0));
    }
}

static void read_and_write_ranges(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 64, .label = "scores"});
    unsigned char bytes[65] = {0};
    CHECK_ERROR(segue_buffer_write(buffer, 0, bytes, 65), SEGUE_OUT_OF_RANGE, "scores");
    CHECK_ERROR(segue_buffer_read(buffer, 64, bytes, 1), SEGUE_OUT_OF_RANGE, "64");
    CHECK_ERROR(segue_buffer_read(buffer, UINT64_MAX, bytes, 2), SEGUE_OUT_OF_RANGE, "");
    CHECK_ERROR(segue_buffer_read(buffer, 0, NULL, 1), SEGUE_INVALID_ARGUMENT, "");
}

static void info(void **state)
{
    struct segue_test *test = *state;
    char label[] = "weights";
    segue_buffer *buffer = segue_test_buffer_of(
        test, &(struct segue_buffer_params){
                  .size_bytes = 1000, .usage = SEGUE_BUFFER_USAGE_READ_ONLY, .label = label});
    label[0] = 'X';
    struct segue_buffer_info info;
    segue_buffer_get_info(buffer, &info);
    assert_int_equal(info.size_bytes, 1000);
    assert_int_equal(info.memory, SEGUE_MEMORY_DEVICE);
    assert_int_equal(info.usage, SEGUE_BUFFER_USAGE_READ_ONLY);
    assert_string_equal(info.label, "weights");
    assert_int_equal(info.device_address % SEGUE_BUFFER_ALIGN_BYTES, 0);
    assert_int_equal(info.memory_offset_bytes, 0);

    struct segue_buffer_info view_info;
    segue_buffer_get_info(segue_test_view(test, segue_test_view(test, buffer, 100, 200), 10, 20),
                          &view_info);
    assert_int_equal(view_info.size_bytes, 20);
    assert_int_equal(view_info.device_address, info.device_address + 110);
    assert_int_equal(view_info.memory_id, info.memory_id);
    assert_int_equal(view_info.memory_offset_bytes, 110);
    assert_int_equal(view_info.usage, SEGUE_BUFFER_USAGE_READ_ONLY);
    assert_string_equal(view_info.label, "");

    segue_buffer_get_info(segue_test_buffer(test, 1), &view_info);
    assert_int_equal(view_info.usage, SEGUE_BUFFER_USAGE_ALL);
    assert_int_not_equal(view_info.memory_id, info.memory_id);
    segue_buffer *constant = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 1, .memory = SEGUE_MEMORY_CONSTANT});
    segue_buffer_get_info(constant, &view_info);
    assert_int_equal(view_info.usage, SEGUE_BUFFER_USAGE_READ_ONLY);
}

static void views(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_words(test, 64, 1);
    segue_buffer *view = segue_test_view(test, buffer, 64, 128);
    segue_buffer *rest = segue_test_view(test, view, 120, SEGUE_WHOLE_SIZE);
    segue_test_destroy(test, buffer);
    segue_test_expect_all(view, 3, 1, segue_test_word(1, 19));
    segue_test_destroy(test, view);
    segue_test_expect_all(rest, 1, 1, segue_test_word(1, 47));
    segue_buffer *bad = NULL;
    CHECK_ERROR(segue_buffer_create_view(rest, 4, 5, NULL, &bad), SEGUE_OUT_OF_RANGE, "5");
    CHECK_ERROR(segue_buffer_create_view(rest, 9, SEGUE_WHOLE_SIZE, NULL, &bad), SEGUE_OUT_OF_RANGE,
                "9");
    assert_null(bad);
}

static void map(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 64, .memory = SEGUE_MEMORY_HOST_VISIBLE});
    segue_buffer *view = segue_test_view(test, buffer, 16, 16);
    void *pointer = NULL;
    void *view_pointer = NULL;
    CHECK_OK(segue_buffer_map(buffer, &pointer));
    CHECK_OK(segue_buffer_map(view, &view_pointer));
    assert_ptr_equal(view_pointer, (char *)pointer + 16);
    memset(pointer, 7, 64);
    unsigned char actual[16];
    CHECK_OK(segue_buffer_read(view, 0, actual, 16));
    for (int i = 0; i < 16; ++i)
        assert_int_equal(actual[i], 7);
    segue_buffer *device = segue_test_buffer(test, 64);
    void *untouched = &untouched;
    CHECK_ERROR(segue_buffer_map(device, &untouched), SEGUE_INVALID_ACCESS, "");
    assert_ptr_equal(untouched, &untouched);
}

static void expect_failure(struct segue_test *test, const struct segue_buffer_params *params,
                           segue_status expected, const char *text)
{
    segue_buffer *buffer = NULL;
    CHECK_ERROR(segue_buffer_create(test->device, params, &buffer), expected, text);
    assert_null(buffer);
}

static void bad_arguments(void **state)
{
    struct segue_test *test = *state;
    expect_failure(test, &(struct segue_buffer_params){.size_bytes = 0}, SEGUE_INVALID_ARGUMENT,
                   "");
    expect_failure(test, &(struct segue_buffer_params){.size_bytes = 4, .usage = 0x10},
                   SEGUE_INVALID_ARGUMENT, "");
    expect_failure(
        test, &(struct segue_buffer_params){.size_bytes = 4, .memory = (enum segue_memory_type)3},
        SEGUE_INVALID_ARGUMENT, "3");
    expect_failure(test,
                   &(struct segue_buffer_params){.size_bytes = 4,
                                                 .memory = SEGUE_MEMORY_CONSTANT,
                                                 .usage = SEGUE_BUFFER_USAGE_ALL},
                   SEGUE_INVALID_ARGUMENT, "");
    expect_failure(test, &(struct segue_buffer_params){.size_bytes = (uint64_t)1 << 50},
                   SEGUE_OUT_OF_DEVICE_MEMORY, "");
    segue_buffer_destroy(NULL);
}

static void memory_stats(void **state)
{
    struct segue_test *test = *state;
    struct segue_memory_stats before;
    segue_device_get_memory_stats(test->device, &before);
    segue_buffer *device = segue_test_buffer(test, 1000);
    segue_buffer *view = segue_test_view(test, device, 0, 10);
    segue_buffer *host = segue_test_buffer_of(
        test,
        &(struct segue_buffer_params){.size_bytes = 2000, .memory = SEGUE_MEMORY_HOST_VISIBLE});
    segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 3000, .memory = SEGUE_MEMORY_CONSTANT});
    struct segue_memory_stats stats;
    segue_device_get_memory_stats(test->device, &stats);
    assert_int_equal(stats.device.current_bytes - before.device.current_bytes, 1000);
    assert_int_equal(stats.device.allocation_count - before.device.allocation_count, 1);
    assert_int_equal(stats.host_visible.current_bytes - before.host_visible.current_bytes, 2000);
    assert_int_equal(stats.constant.current_bytes - before.constant.current_bytes, 3000);
    segue_test_destroy(test, host);
    segue_test_destroy(test, device);
    segue_device_get_memory_stats(test->device, &stats);
    assert_int_equal(stats.device.current_bytes - before.device.current_bytes, 1000);
    assert_int_equal(stats.host_visible.current_bytes - before.host_visible.current_bytes, 0);
    assert_true(stats.host_visible.peak_bytes >= 2000);
    segue_test_destroy(test, view);
    segue_device_get_memory_stats(test->device, &stats);
    assert_int_equal(stats.device.current_bytes - before.device.current_bytes, 0);
}

static const struct CMUnitTest tests[] = {
    segue_test_case(write_and_read_all_memories),
    segue_test_case(read_and_write_ranges),
    segue_test_case(info),
    segue_test_case(views),
    segue_test_case(map),
    segue_test_case(bad_arguments),
    segue_test_case(memory_stats),
};

const struct segue_conformance_area segue_conformance_buffer = {"buffer", tests,
                                                                sizeof(tests) / sizeof(tests[0])};
