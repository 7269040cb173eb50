// SPDX-License-Identifier: Apache-2.0
// What segue_gqa_decode_choose chooses and refuses, and what segue_cmd_gqa_decode records.
#include "test.h"

#include <segue/kernels.h>

#include <stdlib.h>

#define MULTIPROCESSORS 132u

static const struct segue_gqa_decode_constants good = {
    .heads = 8, .kv_heads = 2, .capacity = 100, .scale = 0.125f};

static segue_status choose(const struct segue_gqa_decode_constants *constants, uint32_t head_size)
{
    struct segue_gqa_decode attention;
    return segue_gqa_decode_choose(constants, head_size, false, MULTIPROCESSORS, &attention);
}

static void test_choice(void **state)
{
    (void)state;
    static const struct {
        uint32_t heads, kv_heads, capacity, head_size, fp8, splits;
        enum segue_decode_kernel kernel;
        uint32_t chosen_splits, grid;
    } cases[] = {
        {32, 8, 640, 64, 0, 0, SEGUE_DECODE_GQA_64, 10, 128},
        {32, 8, 16383, 128, 1, 0, SEGUE_DECODE_GQA_FP8_128, 24, 192},
        {32, 8, 16384, 128, 1, 0, SEGUE_DECODE_GQA_LONG_FP8_128, 132, 132},
        {32, 8, 131072, 64, 0, 0, SEGUE_DECODE_GQA_LONG_64, 132, 132},
        {32, 8, 131072, 64, 0, 7, SEGUE_DECODE_GQA_LONG_64, 7, 7},
        // A block does four heads of 256; sixteen kv heads of 128 are two bands.
        {32, 8, 131072, 256, 0, 0, SEGUE_DECODE_GQA_LONG_256, 66, 132},
        {16, 16, 131072, 128, 0, 0, SEGUE_DECODE_GQA_LONG_128, 66, 132},
        // Nineteen heads are three groups.
        {38, 2, 131072, 64, 1, 0, SEGUE_DECODE_GQA_LONG_FP8_64, 44, 132},
        {6, 6, 131072, 256, 1, 0, SEGUE_DECODE_GQA_LONG_FP8_256, 44, 132},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct segue_gqa_decode_constants constants = {
            cases[i].heads, cases[i].kv_heads, cases[i].capacity, 0.5f, cases[i].splits, 1};
        struct segue_gqa_decode attention;
        CHECK_OK(segue_gqa_decode_choose(&constants, cases[i].head_size, cases[i].fp8,
                                         MULTIPROCESSORS, &attention));
        assert_int_equal(attention.kernel, cases[i].kernel);
        assert_int_equal(attention.constants.splits, cases[i].chosen_splits);
        assert_int_equal(attention.constants.settled, 1);
        assert_int_equal(attention.sizes.grid, cases[i].grid);
    }
}

/** There are no such kernels, and nothing is divided by that. */
static void test_sizes_of_no_kernel(void **state)
{
    (void)state;
    const struct segue_gqa_decode_constants constants = {
        .heads = 32, .kv_heads = 8, .capacity = 1 << 17, .splits = 4};
    static const uint32_t head_sizes[] = {0, 2048};
    for (size_t i = 0; i < 2; i++) {
        struct segue_gqa_decode_sizes sizes = {1, 1, 1};
        segue_gqa_long_get_sizes(&constants, head_sizes[i], &sizes);
        assert_int_equal(sizes.grid, 0);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct segue_gqa_decode_constants c = good;
    c.heads = 0;
    CHECK_ERROR(choose(&c, 64), SEGUE_INVALID_ARGUMENT, "heads is 0");
    c = good, c.kv_heads = 0;
    CHECK_ERROR(choose(&c, 64), SEGUE_INVALID_ARGUMENT, "kv_heads is 0");
    c = good, c.heads = 9;
    CHECK_ERROR(choose(&c, 64), SEGUE_INVALID_ARGUMENT,
                "heads is 9; use a multiple of kv_heads, which is 2");
    c = good, c.heads = 1;
    CHECK_ERROR(choose(&c, 64), SEGUE_INVALID_ARGUMENT,
                "heads is 1; use a multiple of kv_heads, which is 2");
    c = good, c.capacity = 0;
    CHECK_ERROR(choose(&c, 64), SEGUE_INVALID_ARGUMENT, "capacity is 0");
    c = good, c.settled = 2;
    CHECK_ERROR(choose(&c, 64), SEGUE_INVALID_ARGUMENT, "settled is 2");
    c = good, c.splits = 513;
    CHECK_ERROR(choose(&c, 64), SEGUE_OUT_OF_RANGE, "splits is 513");
    c = good, c.heads = c.kv_heads = c.capacity = UINT32_MAX;
    CHECK_ERROR(choose(&c, 64), SEGUE_OUT_OF_RANGE, "4294967295 rows");
    CHECK_ERROR(choose(&good, 96), SEGUE_INVALID_ARGUMENT, "head_size is 96");
    CHECK_ERROR(choose(NULL, 64), SEGUE_INVALID_ARGUMENT, "constants is NULL");
    CHECK_ERROR(segue_gqa_decode_choose(&good, 64, false, MULTIPROCESSORS, NULL),
                SEGUE_INVALID_ARGUMENT, "out_attention is NULL");
}

/** Caches of ones make every result 1. */
static void test_recording(void **state)
{
    struct segue_test *test = *state;
    struct segue_executable_params params;
    struct segue_device_info info;
    segue_executable *decode;
    struct segue_gqa_decode attention;
    enum { COUNT = 8, WORDS = 8 * 64 / 2 };
    const uint32_t position = 80;
    uint32_t ones[100 * 64], out[WORDS];
    for (size_t i = 0; i < sizeof(ones) / sizeof(ones[0]); i++)
        ones[i] = 0x3F803F80;
    segue_kernels_get_decode(&params);
    segue_device_get_info(test->device, &info);
    CHECK_OK(segue_kernels_register(test->device));
    CHECK_OK(segue_executable_create(test->device, &params, &decode));
    CHECK_OK(
        segue_gqa_decode_choose(&good, 64, false, (uint32_t)info.multiprocessor_count, &attention));
    segue_buffer *const made[COUNT] = {
        segue_test_zeros(test, WORDS),
        segue_test_buffer(test, sizeof(ones)),
        segue_test_buffer(test, sizeof(ones)),
        segue_test_zeros(test, 4),
        segue_test_zeros(test, 1),
        segue_test_zeros(test, WORDS),
        segue_test_zeros(test, attention.sizes.arrived_bytes / 4),
        segue_test_buffer(test, attention.sizes.partials_bytes),
    };
    CHECK_OK(segue_buffer_write(made[1], 0, ones, sizeof(ones)));
    CHECK_OK(segue_buffer_write(made[2], 0, ones, sizeof(ones)));
    CHECK_OK(segue_buffer_write(made[4], 0, &position, sizeof(position)));
    struct segue_gqa_decode_buffers buffers = {
        segue_test_whole(made[0]), segue_test_whole(made[1]), segue_test_whole(made[2]),
        segue_test_whole(made[3]), segue_test_whole(made[4]), segue_test_whole(made[5]),
        segue_test_whole(made[6]), segue_test_whole(made[7])};

    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_gqa_decode(commands, decode, &attention, &buffers));
    segue_test_run(test, commands);
    segue_test_destroy(test, commands);
    CHECK_OK(segue_buffer_read(made[5], 0, out, sizeof(out)));
    for (uint32_t i = 0; i < WORDS; i++)
        assert_int_equal(out[i], 0x3F803F80);

    commands = segue_test_begin(test);
    buffers.v_cache.length_bytes = 25599;
    CHECK_ERROR(segue_cmd_gqa_decode(commands, decode, &attention, &buffers), SEGUE_OUT_OF_RANGE,
                "v_cache has 25599 bytes; it needs 25600");
    buffers.v_cache.length_bytes = 25600;
    attention.fp8 = true;
    buffers.scales.length_bytes = 15;
    CHECK_ERROR(segue_cmd_gqa_decode(commands, decode, &attention, &buffers), SEGUE_OUT_OF_RANGE,
                "scales has 15 bytes; it needs 16");
    attention.fp8 = false;
    attention.constants.capacity = 0;
    CHECK_ERROR(segue_cmd_gqa_decode(commands, decode, &attention, &buffers),
                SEGUE_INVALID_ARGUMENT, "capacity is 0");
    attention.constants.splits = 0;
    CHECK_ERROR(segue_cmd_gqa_decode(commands, decode, &attention, &buffers),
                SEGUE_INVALID_ARGUMENT, "splits is 0");
    CHECK_ERROR(segue_cmd_gqa_decode(commands, decode, NULL, &buffers), SEGUE_INVALID_ARGUMENT,
                "attention is NULL");
    CHECK_ERROR(segue_cmd_gqa_decode(commands, decode, &attention, NULL), SEGUE_INVALID_ARGUMENT,
                "buffers is NULL");
    segue_test_destroy(test, commands);
    for (uint32_t i = 0; i < COUNT; i++)
        segue_test_destroy(test, made[i]);
    segue_executable_destroy(decode);
}

int main(void)
{
    const int unprepared = segue_test_prepare();
    if (unprepared)
        return unprepared;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_sizes_of_no_kernel),
        cmocka_unit_test(test_refusals),
        segue_test_case(test_recording),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
