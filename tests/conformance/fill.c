// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"
#include "test.h"

#include <stdlib.h>

/** What a fill does to host bytes. */
static void fill_bytes(unsigned char *bytes, uint64_t offset, uint64_t length, uint32_t pattern,
                       uint32_t pattern_size)
{
    for (uint64_t i = 0; i < length; ++i)
        bytes[offset + i] = (unsigned char)(pattern >> (8 * (i % pattern_size)));
}

static void expect_bytes(segue_buffer *buffer, const unsigned char *expected, uint64_t size)
{
    unsigned char *actual = malloc(size);
    assert_non_null(actual);
    CHECK_OK(segue_buffer_read(buffer, 0, actual, size));
    for (uint64_t i = 0; i < size; ++i) {
        if (actual[i] != expected[i])
            fail_msg("byte %llu is 0x%02x, expected 0x%02x", (unsigned long long)i, actual[i],
                     expected[i]);
    }
    free(actual);
}

static void every_pattern_size_and_alignment(void **state)
{
    struct segue_test *test = *state;
    enum { SIZE = 512 };
    static const uint64_t lengths[] = {4, 8, 12, 16, 20, 64, 68, 256};
    segue_buffer *buffer = segue_test_zeros(test, SIZE / 4);
    for (uint32_t pattern_size = 1; pattern_size <= 4; pattern_size *= 2) {
        unsigned char expected[SIZE] = {0};
        memset(expected, 0, sizeof(expected));
        CHECK_OK(segue_buffer_write(buffer, 0, expected, SIZE));
        segue_command_buffer *commands = segue_test_begin(test);
        for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); ++i) {
            uint64_t offset = i * pattern_size + 7 * pattern_size;
            uint64_t length = lengths[i] / 4 * pattern_size;
            uint32_t pattern = 0xa1b2c3d4u + i * 0x01020304u;
            CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffer, offset, length), pattern,
                                    pattern_size));
            fill_bytes(expected, offset, length, pattern, pattern_size);
            segue_test_barrier(commands);
        }
        segue_test_run(test, commands);
        expect_bytes(buffer, expected, SIZE);
    }
}

static void odd_bytes_of_a_large_range(void **state)
{
    struct segue_test *test = *state;
    enum { SIZE = 300007 };
    segue_buffer *buffer = segue_test_buffer(test, SIZE);
    unsigned char *expected = malloc(SIZE);
    assert_non_null(expected);
    memset(expected, 0x11, SIZE);
    CHECK_OK(segue_buffer_write(buffer, 0, expected, SIZE));
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffer, 3, 200001), 0xffffff77, 1));
    fill_bytes(expected, 3, 200001, 0x77, 1);
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffer, 200006, 100000), 0x12345678, 2));
    fill_bytes(expected, 200006, 100000, 0x5678, 2);
    segue_test_run(test, commands);
    expect_bytes(buffer, expected, SIZE);
    free(expected);
}

static void whole_buffer_and_view(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_zeros(test, 64);
    segue_buffer *view = segue_test_view(test, buffer, 64, 64);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(buffer), 1, 4));
    segue_test_barrier(commands);
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(view), 2, 4));
    segue_test_barrier(commands);
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(view, 4, 8), 3, 4));
    segue_test_run(test, commands);
    segue_test_expect_all(buffer, 0, 16, 1);
    segue_test_expect_all(buffer, 16, 1, 2);
    segue_test_expect_all(buffer, 17, 2, 3);
    segue_test_expect_all(buffer, 19, 13, 2);
    segue_test_expect_all(buffer, 32, 32, 1);
}

static void host_visible_memory(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 256 << 10,
                                            .memory = SEGUE_MEMORY_HOST_VISIBLE});
    void *pointer;
    CHECK_OK(segue_buffer_map(buffer, &pointer));
    memset(pointer, 0, 256 << 10);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffer, 1, 7), 0xab, 1));
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffer, 64 << 10, 128 << 10), 0xcd, 1));
    segue_test_run(test, commands);
    const unsigned char *bytes = pointer;
    for (size_t i = 0; i < 256 << 10; ++i) {
        unsigned expected = i >= 1 && i < 8 ? 0xab : i >= 64 << 10 && i < (192 << 10) ? 0xcd : 0;
        assert_int_equal(bytes[i], expected);
    }
}

static void nothing_for_length_zero(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_words(test, 4, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffer, 4, 0), 9, 4));
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffer, 16, SEGUE_WHOLE_SIZE), 9, 4));
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 4; ++i)
        segue_test_expect_all(buffer, i, 1, segue_test_word(1, i));
}

static void many_unordered(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 512 };
    segue_buffer *buffer = segue_test_zeros(test, COUNT);
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t i = 0; i < COUNT; ++i)
        CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffer, i * 4, 4), i + 1, 4));
    segue_test_run(test, commands);
    uint32_t expected[COUNT];
    for (uint32_t i = 0; i < COUNT; ++i)
        expected[i] = i + 1;
    segue_test_expect(buffer, 0, expected, COUNT);
}

/** A fill that must fail, in a command buffer of its own. */
static void expect_failure(struct segue_test *test, struct segue_buffer_ref target,
                           uint32_t pattern_size, segue_status expected, const char *text)
{
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_ERROR(segue_cmd_fill(commands, target, 0, pattern_size), expected, text);
    CHECK_ERROR(segue_command_buffer_end(commands), expected, text);
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    CHECK_STATUS(segue_queue_submit(test->queue, &submission), SEGUE_INVALID_STATE);
    CHECK_OK(segue_command_buffer_reset(commands));
    CHECK_OK(segue_command_buffer_begin(commands));
    segue_test_run(test, commands);
    segue_test_destroy(test, commands);
}

static void bad_arguments(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer(test, 64);
    expect_failure(test, segue_test_ref(buffer, 0, 6), 3, SEGUE_INVALID_ARGUMENT, "3");
    expect_failure(test, segue_test_ref(buffer, 0, 8), 0, SEGUE_INVALID_ARGUMENT, "0");
    expect_failure(test, segue_test_ref(buffer, 0, 8), 8, SEGUE_INVALID_ARGUMENT, "8");
    expect_failure(test, segue_test_ref(buffer, 2, 8), 4, SEGUE_INVALID_ARGUMENT, "2");
    expect_failure(test, segue_test_ref(buffer, 0, 7), 2, SEGUE_INVALID_ARGUMENT, "7");
    expect_failure(test, segue_test_ref(buffer, 0, 65), 1, SEGUE_OUT_OF_RANGE, "65");
    expect_failure(test, segue_test_ref(buffer, 65, 0), 1, SEGUE_OUT_OF_RANGE, "65");
    expect_failure(test, segue_test_ref(buffer, UINT64_MAX - 2, 8), 1, SEGUE_OUT_OF_RANGE, "");
    expect_failure(test, segue_test_slot(0, 0, 4), 1, SEGUE_OUT_OF_RANGE, "slot");
}

static void forbidden_targets(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *read_only = segue_test_buffer_of(
        test, &(struct segue_buffer_params){
                  .size_bytes = 64, .usage = SEGUE_BUFFER_USAGE_READ_ONLY, .label = "weights"});
    segue_buffer *constant = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 64, .memory = SEGUE_MEMORY_CONSTANT});
    expect_failure(test, segue_test_whole(read_only), 4, SEGUE_INVALID_ACCESS, "weights");
    expect_failure(test, segue_test_whole(constant), 4, SEGUE_INVALID_ACCESS, "");
}

static const struct CMUnitTest tests[] = {
    segue_test_case(every_pattern_size_and_alignment),
    segue_test_case(odd_bytes_of_a_large_range),
    segue_test_case(whole_buffer_and_view),
    segue_test_case(host_visible_memory),
    segue_test_case(nothing_for_length_zero),
    segue_test_case(many_unordered),
    segue_test_case(bad_arguments),
    segue_test_case(forbidden_targets),
};

const struct segue_conformance_area segue_conformance_fill = {"fill", tests,
                                                              sizeof(tests) / sizeof(tests[0])};
