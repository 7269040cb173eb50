// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"
#include "test.h"

#include <stdlib.h>

static void data_is_captured(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_zeros(test, 8);
    uint32_t data[4] = {1, 2, 3, 4};
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_update(commands, segue_test_ref(buffer, 8, sizeof(data)), data));
    memset(data, 0xee, sizeof(data));
    segue_test_run(test, commands);
    const uint32_t expected[8] = {0, 0, 1, 2, 3, 4, 0, 0};
    segue_test_expect(buffer, 0, expected, 8);
}

static void every_size_and_alignment(void **state)
{
    struct segue_test *test = *state;
    enum { SIZE = 4096 };
    unsigned char expected[SIZE] = {0};
    segue_buffer *buffer = segue_test_zeros(test, SIZE / 4);
    segue_command_buffer *commands = segue_test_begin(test);
    uint64_t random = 7;
    uint64_t offset = 0;
    for (uint32_t i = 0; offset + 100 < SIZE; ++i) {
        unsigned char data[100];
        uint32_t size = 1 + segue_test_random_below(&random, 99);
        for (uint32_t k = 0; k < size; ++k)
            data[k] = (unsigned char)segue_test_random(&random);
        CHECK_OK(segue_cmd_update(commands, segue_test_ref(buffer, offset, size), data));
        memcpy(expected + offset, data, size);
        offset += size + segue_test_random_below(&random, 5);
    }
    segue_test_run(test, commands);
    unsigned char actual[SIZE];
    CHECK_OK(segue_buffer_read(buffer, 0, actual, SIZE));
    assert_memory_equal(actual, expected, SIZE);
}

static void largest(void **state)
{
    struct segue_test *test = *state;
    unsigned char *data = malloc(SEGUE_MAX_UPDATE_BYTES);
    assert_non_null(data);
    for (uint32_t i = 0; i < SEGUE_MAX_UPDATE_BYTES; ++i)
        data[i] = (unsigned char)(i * 7 + i / 256);
    segue_buffer *buffer = segue_test_buffer(test, SEGUE_MAX_UPDATE_BYTES + 64);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_update(commands, segue_test_ref(buffer, 64, SEGUE_MAX_UPDATE_BYTES), data));
    segue_test_run(test, commands);
    unsigned char *actual = malloc(SEGUE_MAX_UPDATE_BYTES);
    assert_non_null(actual);
    CHECK_OK(segue_buffer_read(buffer, 64, actual, SEGUE_MAX_UPDATE_BYTES));
    assert_memory_equal(actual, data, SEGUE_MAX_UPDATE_BYTES);
    free(actual);
    free(data);
}

static void host_visible_target(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 64, .memory = SEGUE_MEMORY_HOST_VISIBLE});
    void *pointer;
    CHECK_OK(segue_buffer_map(buffer, &pointer));
    memset(pointer, 0, 64);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_update(commands, segue_test_ref(buffer, 3, 5), "hello"));
    segue_test_run(test, commands);
    assert_memory_equal((const char *)pointer + 2, "\0hello\0", 7);
}

static void same_data_every_time(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_zeros(test, 1);
    const uint32_t start = 5;
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_update(commands, segue_test_ref(buffer, 0, 4), &start));
    segue_test_barrier(commands);
    segue_test_dispatch_scale(test, commands, segue_test_whole(buffer), 1, 3, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    for (uint32_t i = 0; i < 3; ++i) {
        // Another update, of the same size and still there, has other data elsewhere.
        segue_buffer *elsewhere = segue_test_zeros(test, 1);
        segue_command_buffer *other = segue_test_begin(test);
        CHECK_OK(segue_cmd_update(other, segue_test_ref(elsewhere, 0, 4), &i));
        segue_test_run(test, other);
        segue_test_wait(test, segue_test_submit(test, commands));
        segue_test_expect_all(buffer, 0, 1, 16);
        segue_test_expect_all(elsewhere, 0, 1, i);
    }
}

static void nothing_for_length_zero(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_words(test, 1, 3);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_update(commands, segue_test_ref(buffer, 4, 0), "x"));
    segue_test_run(test, commands);
    segue_test_expect_all(buffer, 0, 1, segue_test_word(3, 0));
}

static void expect_failure(struct segue_test *test, struct segue_buffer_ref target,
                           const void *data, segue_status expected, const char *text)
{
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_ERROR(segue_cmd_update(commands, target, data), expected, text);
    CHECK_STATUS(segue_command_buffer_end(commands), expected);
    segue_test_destroy(test, commands);
}

static void bad_arguments(void **state)
{
    struct segue_test *test = *state;
    static const unsigned char data[SEGUE_MAX_UPDATE_BYTES + 1];
    segue_buffer *buffer = segue_test_buffer(test, sizeof(data));
    segue_buffer *small = segue_test_buffer(test, 16);
    segue_buffer *source_only = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 64,
                                            .usage = SEGUE_BUFFER_USAGE_TRANSFER_SOURCE});
    expect_failure(test, segue_test_ref(buffer, 0, sizeof(data)), data, SEGUE_OUT_OF_RANGE,
                   "65537");
    expect_failure(test, segue_test_ref(buffer, 0, 4), NULL, SEGUE_INVALID_ARGUMENT, "");
    expect_failure(test, segue_test_ref(small, 14, 4), data, SEGUE_OUT_OF_RANGE, "14");
    expect_failure(test, segue_test_ref(source_only, 0, 4), data, SEGUE_INVALID_ACCESS, "");
}

static void later_updates_win(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 16 };
    segue_buffer *buffer = segue_test_zeros(test, COUNT);
    segue_command_buffer *commands = segue_test_begin(test);
    uint32_t expected[COUNT] = {0};
    for (uint32_t k = 0; k < 10; ++k) {
        uint32_t words[8];
        uint32_t first = k * 3 % 9;
        for (uint32_t i = 0; i < 8; ++i)
            expected[first + i] = words[i] = segue_test_word(k, i);
        CHECK_OK(segue_cmd_update(commands, segue_test_ref(buffer, first * 4, 32), words));
        segue_test_barrier(commands);
    }
    segue_test_run(test, commands);
    segue_test_expect(buffer, 0, expected, COUNT);
}

static void many_and_large(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 24, WORDS = SEGUE_MAX_UPDATE_BYTES / 4 };
    static uint32_t words[WORDS];
    segue_buffer *buffer = segue_test_zeros(test, COUNT * WORDS);
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t k = 0; k < COUNT; ++k) {
        for (uint32_t i = 0; i < WORDS; ++i)
            words[i] = k * WORDS + i;
        CHECK_OK(segue_cmd_update(
            commands, segue_test_ref(buffer, (uint64_t)k * sizeof(words), sizeof(words)), words));
    }
    segue_test_run(test, commands);
    for (uint32_t k = 0; k < COUNT; ++k) {
        for (uint32_t i = 0; i < WORDS; ++i)
            words[i] = k * WORDS + i;
        segue_test_expect(buffer, (uint64_t)k * WORDS, words, WORDS);
    }
}

static void recorded_again_with_other_data(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 8 };
    segue_buffer *buffer = segue_test_zeros(test, 2 * COUNT);
    segue_command_buffer *commands = segue_test_begin(test);
    // The first half is the same each time.
    for (uint32_t round = 0; round < 4; ++round) {
        uint32_t words[2 * COUNT];
        for (uint32_t i = 0; i < 2 * COUNT; ++i)
            words[i] = segue_test_word(i < COUNT ? 1 : 2 + round, i);
        for (uint32_t half = 0; half < 2; ++half)
            CHECK_OK(segue_cmd_update(commands, segue_test_ref(buffer, half * COUNT * 4, COUNT * 4),
                                      words + half * COUNT));
        segue_test_run(test, commands);
        segue_test_expect(buffer, 0, words, 2 * COUNT);
        CHECK_OK(segue_command_buffer_reset(commands));
        CHECK_OK(segue_command_buffer_begin(commands));
    }
}

static const struct CMUnitTest tests[] = {
    segue_test_case(data_is_captured),
    segue_test_case(every_size_and_alignment),
    segue_test_case(largest),
    segue_test_case(host_visible_target),
    segue_test_case(same_data_every_time),
    segue_test_case(nothing_for_length_zero),
    segue_test_case(bad_arguments),
    segue_test_case(later_updates_win),
    segue_test_case(many_and_large),
    segue_test_case(recorded_again_with_other_data),
};

const struct segue_conformance_area segue_conformance_update = {"update", tests,
                                                                sizeof(tests) / sizeof(tests[0])};
