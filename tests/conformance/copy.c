// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"
#include "test.h"

#include <stdlib.h>

static segue_buffer *buffer_in(struct segue_test *test, enum segue_memory_type memory,
                               uint64_t size)
{
    segue_buffer *buffer = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = size, .memory = memory});
    unsigned char *bytes = malloc(size);
    assert_non_null(bytes);
    for (uint64_t i = 0; i < size; ++i)
        bytes[i] = (unsigned char)segue_test_word(memory + 1, i);
    CHECK_OK(segue_buffer_write(buffer, 0, bytes, size));
    free(bytes);
    return buffer;
}

/** Copies between two fresh buffers and checks every byte of the target. */
static void copy_once(struct segue_test *test, enum segue_memory_type from,
                      enum segue_memory_type to, uint64_t source_offset, uint64_t target_offset,
                      uint64_t length)
{
    uint64_t source_size = source_offset + length + 5;
    uint64_t target_size = target_offset + length + 5;
    segue_buffer *source = buffer_in(test, from, source_size);
    segue_buffer *target = buffer_in(test, to, target_size);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_copy(commands, segue_test_ref(source, source_offset, length),
                            segue_test_ref(target, target_offset, length)));
    segue_test_run(test, commands);
    unsigned char *actual = malloc(target_size);
    assert_non_null(actual);
    CHECK_OK(segue_buffer_read(target, 0, actual, target_size));
    for (uint64_t i = 0; i < target_size; ++i) {
        bool copied = i >= target_offset && i < target_offset + length;
        unsigned char expected =
            (unsigned char)(copied ? segue_test_word(from + 1, i - target_offset + source_offset)
                                   : segue_test_word(to + 1, i));
        if (actual[i] != expected)
            fail_msg("memory %d to %d, length %llu: byte %llu is 0x%02x, expected 0x%02x",
                     (int)from, (int)to, (unsigned long long)length, (unsigned long long)i,
                     actual[i], expected);
    }
    free(actual);
    segue_test_destroy(test, commands);
    segue_test_destroy(test, source);
    segue_test_destroy(test, target);
}

static void between_all_memories(void **state)
{
    struct segue_test *test = *state;
    static const uint64_t lengths[] = {1, 3, 16, 1000, 65535, 65536, 200001};
    static const struct {
        enum segue_memory_type from, to;
    } pairs[] = {
        {SEGUE_MEMORY_DEVICE, SEGUE_MEMORY_DEVICE},
        {SEGUE_MEMORY_DEVICE, SEGUE_MEMORY_HOST_VISIBLE},
        {SEGUE_MEMORY_HOST_VISIBLE, SEGUE_MEMORY_DEVICE},
        {SEGUE_MEMORY_HOST_VISIBLE, SEGUE_MEMORY_HOST_VISIBLE},
        {SEGUE_MEMORY_CONSTANT, SEGUE_MEMORY_DEVICE},
        {SEGUE_MEMORY_CONSTANT, SEGUE_MEMORY_HOST_VISIBLE},
    };
    for (size_t p = 0; p < sizeof(pairs) / sizeof(pairs[0]); ++p) {
        for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); ++l)
            copy_once(test, pairs[p].from, pairs[p].to, 3 * p, 5 * l, lengths[l]);
    }
}

static void every_alignment(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *source = buffer_in(test, SEGUE_MEMORY_HOST_VISIBLE, 64);
    segue_buffer *target = segue_test_zeros(test, 64);
    unsigned char expected[256] = {0};
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t i = 0; i < 16; ++i) {
        uint32_t offset = i * 16 + i % 4;
        CHECK_OK(segue_cmd_copy(commands, segue_test_ref(source, i, 11),
                                segue_test_ref(target, offset, 11)));
        for (uint32_t k = 0; k < 11; ++k)
            expected[offset + k] =
                (unsigned char)segue_test_word(SEGUE_MEMORY_HOST_VISIBLE + 1, i + k);
    }
    segue_test_run(test, commands);
    unsigned char actual[256];
    CHECK_OK(segue_buffer_read(target, 0, actual, sizeof(actual)));
    assert_memory_equal(actual, expected, sizeof(actual));
}

static void within_one_buffer(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_words(test, 64, 2);
    segue_command_buffer *commands = segue_test_begin(test);
    // Neighbours touch, but do not overlap.
    CHECK_OK(
        segue_cmd_copy(commands, segue_test_ref(buffer, 0, 128), segue_test_ref(buffer, 128, 128)));
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 64; ++i)
        segue_test_expect_all(buffer, i, 1, segue_test_word(2, i % 32));
}

static void lengths_are_inferred(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *source = segue_test_words(test, 16, 4);
    segue_buffer *target = segue_test_zeros(test, 48);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_copy(commands, segue_test_ref(source, 0, 16),
                            segue_test_ref(target, 0, SEGUE_WHOLE_SIZE)));
    CHECK_OK(segue_cmd_copy(commands, segue_test_ref(source, 16, SEGUE_WHOLE_SIZE),
                            segue_test_ref(target, 16, 16)));
    CHECK_OK(segue_cmd_copy(commands, segue_test_whole(source),
                            segue_test_ref(target, 128, SEGUE_WHOLE_SIZE)));
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(target, i, 1, segue_test_word(4, i));
    segue_test_expect_all(target, 8, 24, 0);
    for (uint32_t i = 0; i < 16; ++i)
        segue_test_expect_all(target, 32 + i, 1, segue_test_word(4, i));
}

static void nothing_for_length_zero(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_words(test, 4, 5);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_copy(commands, segue_test_ref(buffer, 0, 0), segue_test_ref(buffer, 0, 0)));
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 4; ++i)
        segue_test_expect_all(buffer, i, 1, segue_test_word(5, i));
}

static void expect_failure(struct segue_test *test, struct segue_buffer_ref source,
                           struct segue_buffer_ref target, segue_status expected, const char *text)
{
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_ERROR(segue_cmd_copy(commands, source, target), expected, text);
    CHECK_STATUS(segue_command_buffer_end(commands), expected);
    segue_test_destroy(test, commands);
}

static void overlap(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer(test, 256);
    segue_buffer *view = segue_test_view(test, buffer, 64, 128);
    expect_failure(test, segue_test_ref(buffer, 0, 64), segue_test_ref(buffer, 63, 64),
                   SEGUE_INVALID_ARGUMENT, "overlap");
    expect_failure(test, segue_test_ref(buffer, 10, 4), segue_test_ref(buffer, 10, 4),
                   SEGUE_INVALID_ARGUMENT, "overlap");
    expect_failure(test, segue_test_ref(view, 0, 64), segue_test_ref(buffer, 100, 64),
                   SEGUE_INVALID_ARGUMENT, "overlap");
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(
        segue_cmd_copy(commands, segue_test_ref(view, 0, 64), segue_test_ref(buffer, 128, 64)));
    segue_test_run(test, commands);
}

static void bad_arguments(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer(test, 64);
    segue_buffer *other = segue_test_buffer(test, 64);
    segue_buffer *target_only = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 64,
                                            .usage = SEGUE_BUFFER_USAGE_TRANSFER_TARGET});
    segue_buffer *constant = buffer_in(test, SEGUE_MEMORY_CONSTANT, 64);
    expect_failure(test, segue_test_ref(buffer, 0, 16), segue_test_ref(other, 0, 17),
                   SEGUE_INVALID_ARGUMENT, "17");
    expect_failure(test, segue_test_ref(buffer, 4, SEGUE_WHOLE_SIZE), segue_test_whole(other),
                   SEGUE_INVALID_ARGUMENT, "60");
    expect_failure(test, segue_test_ref(buffer, 60, 8), segue_test_ref(other, 0, 8),
                   SEGUE_OUT_OF_RANGE, "60");
    expect_failure(test, segue_test_ref(buffer, 0, 8), segue_test_ref(other, 60, 8),
                   SEGUE_OUT_OF_RANGE, "60");
    expect_failure(test, segue_test_ref(target_only, 0, 8), segue_test_ref(other, 0, 8),
                   SEGUE_INVALID_ACCESS, "");
    expect_failure(test, segue_test_ref(buffer, 0, 8), segue_test_ref(constant, 0, 8),
                   SEGUE_INVALID_ACCESS, "");
}

static void a_chain_of_transfers(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffers[4];
    for (uint32_t i = 0; i < 4; ++i)
        buffers[i] = buffer_in(test, i % 2 ? SEGUE_MEMORY_HOST_VISIBLE : SEGUE_MEMORY_DEVICE, 64);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(buffers[0]), 0x01020304, 4));
    segue_test_barrier(commands);
    CHECK_OK(segue_cmd_update(commands, segue_test_ref(buffers[0], 20, 3), "abc"));
    for (uint32_t i = 0; i < 3; ++i) {
        segue_test_buffer_barrier(commands, SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                                  SEGUE_ACCESS_MASK_TRANSFER_READ, segue_test_whole(buffers[i]));
        CHECK_OK(segue_cmd_copy(commands, segue_test_whole(buffers[i]),
                                segue_test_whole(buffers[i + 1])));
    }
    segue_test_run(test, commands);
    unsigned char expected[64];
    for (uint32_t i = 0; i < 64; ++i)
        expected[i] = (unsigned char)(4 - i % 4);
    memcpy(expected + 20, "abc", 3);
    unsigned char actual[64];
    CHECK_OK(segue_buffer_read(buffers[3], 0, actual, sizeof(actual)));
    assert_memory_equal(actual, expected, sizeof(actual));
}

static const struct CMUnitTest tests[] = {
    segue_test_case(between_all_memories),    segue_test_case(every_alignment),
    segue_test_case(within_one_buffer),       segue_test_case(lengths_are_inferred),
    segue_test_case(nothing_for_length_zero), segue_test_case(overlap),
    segue_test_case(bad_arguments),           segue_test_case(a_chain_of_transfers),
};

const struct segue_conformance_area segue_conformance_copy = {"copy", tests,
                                                              sizeof(tests) / sizeof(tests[0])};
