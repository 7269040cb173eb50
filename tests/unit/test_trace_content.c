// SPDX-License-Identifier: Apache-2.0
// Generated contents: the bits that docs/trace-format.md promises, and conversions between types.
#include "test.h"
#include "trace/content.h"
#include "trace/dtype.h"

#include <segue/trace.h>

#include <math.h>
#include <stdlib.h>

/* The expected values below were computed by another program from the text of the format. */

static void normal_has_the_promised_bits(void **state)
{
    (void)state;
    static const uint32_t f32[] = {0x3fb77c04, 0x404d6954, 0xbf2dd640};
    static const uint16_t bf16[] = {0x3c19, 0x3cde, 0xbc41};
    static const uint16_t f16[] = {0x20c8, 0x26f0, 0xa209};
    struct segue_content content = {
        .kind = SEGUE_CONTENT_NORMAL, .dtype = SEGUE_DTYPE_F32, .seed = 7, .a = 0.5, .b = 2.0};
    unsigned char data[16];
    CHECK_OK(segue_content_generate(&content, 0, sizeof(f32), data));
    assert_memory_equal(data, f32, sizeof(f32));
    const uint32_t far_value = 0xc08316c9;
    CHECK_OK(segue_content_generate(&content, 4000000, 4, data));
    assert_memory_equal(data, &far_value, 4);
    content.a = 0;
    content.b = 0.02;
    content.dtype = SEGUE_DTYPE_BF16;
    CHECK_OK(segue_content_generate(&content, 0, sizeof(bf16), data));
    assert_memory_equal(data, bf16, sizeof(bf16));
    content.dtype = SEGUE_DTYPE_F16;
    CHECK_OK(segue_content_generate(&content, 0, sizeof(f16), data));
    assert_memory_equal(data, f16, sizeof(f16));
    const double f64 = 0x1.d3fc521aa88f6p+2;
    content = (struct segue_content){
        .kind = SEGUE_CONTENT_NORMAL, .dtype = SEGUE_DTYPE_F64, .seed = 9, .a = 1, .b = 3};
    CHECK_OK(segue_content_generate(&content, 40, 8, data));
    assert_memory_equal(data, &f64, 8);
}

static void uniform_has_the_promised_bits(void **state)
{
    (void)state;
    static const uint32_t f32[] = {0x3f55ac21, 0x3f0ac49c, 0xbb63a9b8};
    static const int32_t i32[] = {6, 4, 1, 2, 5, 5, 2, 9};
    static const uint8_t u8[] = {214, 188, 151, 162, 203, 203, 157, 249};
    static const uint64_t u64[] = {0xac204f0b74af587a, 0xfad6e24671254235};
    struct segue_content content = {.kind = SEGUE_CONTENT_UNIFORM,
                                    .dtype = SEGUE_DTYPE_F32,
                                    .seed = 0xfedcba9876543210,
                                    .a = -1,
                                    .b = 1};
    unsigned char data[32];
    CHECK_OK(segue_content_generate(&content, 0, sizeof(f32), data));
    assert_memory_equal(data, f32, sizeof(f32));
    content = (struct segue_content){
        .kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_I32, .seed = 3, .a = -10, .b = 10};
    CHECK_OK(segue_content_generate(&content, 0, sizeof(i32), data));
    assert_memory_equal(data, i32, sizeof(i32));
    content.dtype = SEGUE_DTYPE_U8;
    content.a = 0;
    content.b = 256;
    CHECK_OK(segue_content_generate(&content, 0, sizeof(u8), data));
    assert_memory_equal(data, u8, sizeof(u8));
    content.dtype = SEGUE_DTYPE_U64;
    content.seed = 5;
    content.b = 0x1p64;
    CHECK_OK(segue_content_generate(&content, 0, sizeof(u64), data));
    assert_memory_equal(data, u64, sizeof(u64));
}

static void nibbles_and_fills_have_the_promised_bits(void **state)
{
    (void)state;
    static const unsigned char nibbles[] = {0xc6, 0x5c, 0xd0, 0x12, 0x71, 0x35, 0x33, 0x41,
                                            0xce, 0x2c, 0xc6, 0xc4, 0x6f, 0xa9, 0xff, 0x91};
    struct segue_content content = {.kind = SEGUE_CONTENT_NIBBLES, .seed = 11};
    unsigned char data[16];
    CHECK_OK(segue_content_generate(&content, 0, sizeof(nibbles), data));
    assert_memory_equal(data, nibbles, sizeof(nibbles));
    static const unsigned char fill[] = {0x78, 0x56, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12};
    content = (struct segue_content){.kind = SEGUE_CONTENT_FILL, .pattern = 0x12345678};
    CHECK_OK(segue_content_generate(&content, 400, sizeof(fill), data));
    assert_memory_equal(data, fill, sizeof(fill));
    static const unsigned char zeros[5] = {0};
    content.kind = SEGUE_CONTENT_ZERO;
    CHECK_OK(segue_content_generate(&content, 3, sizeof(zeros), data));
    assert_memory_equal(data, zeros, sizeof(zeros));
}

static const struct segue_content all_contents[] = {
    {.kind = SEGUE_CONTENT_ZERO},
    {.kind = SEGUE_CONTENT_FILL, .pattern = 0xdeadbeef},
    {.kind = SEGUE_CONTENT_NORMAL, .dtype = SEGUE_DTYPE_F16, .seed = 1, .b = 1},
    {.kind = SEGUE_CONTENT_NORMAL, .dtype = SEGUE_DTYPE_BF16, .seed = 2, .a = 3, .b = 1},
    {.kind = SEGUE_CONTENT_NORMAL, .dtype = SEGUE_DTYPE_F32, .seed = 3, .b = 1e-3},
    {.kind = SEGUE_CONTENT_NORMAL, .dtype = SEGUE_DTYPE_F64, .seed = 4, .b = 10},
    {.kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_I8, .seed = 5, .a = -3, .b = 100},
    {.kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_U16, .seed = 6, .a = 1, .b = 1000},
    {.kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_I64, .seed = 7, .a = -5, .b = 1e15},
    {.kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_BF16, .seed = 8, .a = -1, .b = 1},
    {.kind = SEGUE_CONTENT_NIBBLES, .seed = 9},
};
#define CONTENT_COUNT (sizeof(all_contents) / sizeof(all_contents[0]))

static void any_piece_is_that_of_the_whole(void **state)
{
    (void)state;
    unsigned char whole[1024];
    unsigned char piece[1024];
    uint64_t random = 1;
    for (size_t i = 0; i < CONTENT_COUNT; i++) {
        CHECK_OK(segue_content_generate(&all_contents[i], 0, sizeof(whole), whole));
        uint32_t unit = (uint32_t)segue_content_unit_bytes(&all_contents[i]);
        for (int k = 0; k < 200; k++) {
            uint32_t begin = segue_test_random_below(&random, sizeof(whole) / unit) * unit;
            uint32_t length =
                segue_test_random_below(&random, (uint32_t)(sizeof(whole) - begin) / unit + 1) *
                unit;
            CHECK_OK(segue_content_generate(&all_contents[i], begin, length, piece));
            assert_memory_equal(piece, whole + begin, length);
        }
    }
}

static void seeds_make_different_contents(void **state)
{
    (void)state;
    unsigned char first[256];
    unsigned char second[256];
    for (size_t i = 2; i < CONTENT_COUNT; i++) {
        struct segue_content content = all_contents[i];
        CHECK_OK(segue_content_generate(&content, 0, sizeof(first), first));
        content.seed += 0x9e3779b97f4a7c15;
        CHECK_OK(segue_content_generate(&content, 0, sizeof(second), second));
        assert_memory_not_equal(first, second, sizeof(first));
        // A seed further on is not the same sequence moved.
        assert_memory_not_equal(first + 8, second, sizeof(first) - 8);
    }
}

static void moments_are_right(void **state)
{
    (void)state;
    enum { COUNT = 1 << 18 };
    double *values = malloc(COUNT * sizeof(double));
    assert_non_null(values);
    for (int normal = 0; normal < 2; normal++) {
        struct segue_content content = {.kind =
                                            normal ? SEGUE_CONTENT_NORMAL : SEGUE_CONTENT_UNIFORM,
                                        .dtype = SEGUE_DTYPE_F64,
                                        .seed = 17,
                                        .a = normal ? 5 : 2,
                                        .b = normal ? 3 : 8};
        double mean = 0;
        double variance = 0;
        double lag = 0;
        CHECK_OK(segue_content_generate(&content, 0, COUNT * sizeof(double), values));
        for (int i = 0; i < COUNT; i++)
            mean += values[i] / COUNT;
        for (int i = 0; i < COUNT; i++) {
            variance += (values[i] - mean) * (values[i] - mean) / COUNT;
            lag += i > 0 ? (values[i] - mean) * (values[i - 1] - mean) / COUNT : 0;
        }
        double expected = normal ? 9.0 : 3.0; // (8 - 2)^2 / 12
        assert_true(fabs(mean - 5) < 0.03);
        assert_true(fabs(variance / expected - 1) < 0.01);
        assert_true(fabs(lag / expected) < 0.01);
    }
    free(values);
}

static void uniform_stays_below_high(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static const double bounds[][2] = {{0, 1}, {-1, -0.5}, {0.1, 0.11}, {0, 1e-7}, {-3, 100}};
    static const enum segue_dtype dtypes[] = {SEGUE_DTYPE_F16, SEGUE_DTYPE_BF16, SEGUE_DTYPE_F32,
                                              SEGUE_DTYPE_F64};
    unsigned char *data = malloc(COUNT * sizeof(double));
    assert_non_null(data);
    for (size_t d = 0; d < sizeof(dtypes) / sizeof(dtypes[0]); d++) {
        for (size_t b = 0; b < sizeof(bounds) / sizeof(bounds[0]); b++) {
            struct segue_content content = {.kind = SEGUE_CONTENT_UNIFORM,
                                            .dtype = dtypes[d],
                                            .seed = d,
                                            .a = bounds[b][0],
                                            .b = bounds[b][1]};
            CHECK_OK(segue_content_generate(&content, 0, COUNT * segue_dtype_size_bytes(dtypes[d]),
                                            data));
            for (size_t i = 0; i < COUNT; i++) {
                double value = segue_dtype_load(dtypes[d], data, i);
                assert_true(value >= content.a && value < content.b);
            }
        }
    }
    free(data);
}

static void integers_reach_both_ends(void **state)
{
    (void)state;
    struct segue_content content = {
        .kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_I8, .a = -128, .b = 128};
    int8_t values[8192];
    int least = 0;
    int most = 0;
    CHECK_OK(segue_content_generate(&content, 0, sizeof(values), values));
    for (size_t i = 0; i < sizeof(values); i++) {
        least = values[i] < least ? values[i] : least;
        most = values[i] > most ? values[i] : most;
    }
    assert_int_equal(least, -128);
    assert_int_equal(most, 127);
    int64_t wide[64];
    content.dtype = SEGUE_DTYPE_I64;
    content.a = -0x1p63;
    content.b = 0x1p63;
    bool negative = false;
    bool positive = false;
    CHECK_OK(segue_content_generate(&content, 0, sizeof(wide), wide));
    for (size_t i = 0; i < 64; i++) {
        negative = negative || wide[i] < -(INT64_C(1) << 61);
        positive = positive || wide[i] > INT64_C(1) << 61;
    }
    assert_true(negative && positive);
}

static void refuses_what_makes_no_sense(void **state)
{
    (void)state;
    static const struct {
        struct segue_content content;
        const char *text;
    } cases[] = {
        {{.kind = (enum segue_content_kind)9}, "unknown kind"},
        {{.kind = SEGUE_CONTENT_NORMAL, .dtype = SEGUE_DTYPE_I32, .b = 1}, "floating-point"},
        {{.kind = SEGUE_CONTENT_NORMAL, .dtype = (enum segue_dtype)99, .b = 1}, "dtype"},
        {{.kind = SEGUE_CONTENT_NORMAL, .dtype = SEGUE_DTYPE_F32, .b = -1}, "not negative"},
        {{.kind = SEGUE_CONTENT_NORMAL, .dtype = SEGUE_DTYPE_F32, .a = NAN}, "finite"},
        {{.kind = SEGUE_CONTENT_NORMAL, .dtype = SEGUE_DTYPE_F16, .a = 60000, .b = 1600}, "range"},
        {{.kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_F32, .a = 1, .b = 1}, "below"},
        {{.kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_F32, .b = INFINITY}, "finite"},
        {{.kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_F16, .b = 70000}, "range"},
        {{.kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_F64, .a = -1e308, .b = 1e308},
         "range"},
        {{.kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_U8, .a = -1, .b = 5}, "range"},
        {{.kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_I8, .a = 0, .b = 129}, "range"},
        {{.kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_U8, .a = 0.2, .b = 0.8}, "no value"},
        {{.kind = SEGUE_CONTENT_UNIFORM, .dtype = SEGUE_DTYPE_BF16, .a = 1.0001, .b = 1.0002},
         "no value"},
    };
    unsigned char data[8];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        CHECK_ERROR(segue_content_generate(&cases[i].content, 0, 8, data), SEGUE_INVALID_ARGUMENT,
                    cases[i].text);
    const struct segue_content fill = {.kind = SEGUE_CONTENT_FILL};
    CHECK_ERROR(segue_content_generate(&fill, 2, 4, data), SEGUE_INVALID_ARGUMENT, "multiples");
    CHECK_ERROR(segue_content_generate(&fill, 0, 6, data), SEGUE_INVALID_ARGUMENT, "multiples");
    CHECK_ERROR(segue_content_generate(&fill, UINT64_MAX - 3, 8, data), SEGUE_INVALID_ARGUMENT,
                "multiples");
    CHECK_ERROR(segue_content_generate(NULL, 0, 4, data), SEGUE_INVALID_ARGUMENT, "NULL");
    CHECK_ERROR(segue_content_generate(&fill, 0, 4, NULL), SEGUE_INVALID_ARGUMENT, "NULL");
}

/** The nearest value of a format with the given fraction bits and least exponent, ties to even. */
static double round_by_arithmetic(double value, int fraction_bits, int least_exponent, double limit)
{
    int exponent;
    frexp(value, &exponent);
    exponent = exponent - 1 > least_exponent ? exponent - 1 : least_exponent;
    double unit = ldexp(1, exponent - fraction_bits);
    double rounded = nearbyint(value / unit) * unit;
    return fabs(rounded) > limit ? copysign(INFINITY, value) : rounded;
}

static void conversions_round_to_nearest_even(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (int i = 0; i < 400000; i++) {
        // Exponents around those of half, and values just at ties.
        float value = ldexpf((float)(segue_test_random(&random) & 0xffffff) / 0x800000,
                             (int)segue_test_random_below(&random, 50) - 32);
        value = i % 2 != 0 ? -value : value;
        if (i % 3 == 0)
            value = (float)ldexp(floor(ldexp((double)value, 26)) + 0.5, -26);
        float half = segue_f16_to_f32(segue_f16_from_f32(value));
        float brain = segue_bf16_to_f32(segue_bf16_from_f32(value));
        assert_true((double)half == round_by_arithmetic((double)value, 10, -14, 65504));
        assert_true((double)brain == round_by_arithmetic((double)value, 7, -126, 3.4e38));
    }
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        float half = segue_f16_to_f32((uint16_t)bits);
        float brain = segue_bf16_to_f32((uint16_t)bits);
        if (!isnan(half))
            assert_int_equal(segue_f16_from_f32(half), bits);
        else
            assert_true(isnan(segue_f16_to_f32(segue_f16_from_f32(half))));
        if (!isnan(brain))
            assert_int_equal(segue_bf16_from_f32(brain), bits);
        else
            assert_true(isnan(segue_bf16_to_f32(segue_bf16_from_f32(brain))));
    }
    assert_int_equal(segue_f16_from_f32(65519.99f), 0x7bff);
    assert_int_equal(segue_f16_from_f32(65520.0f), 0x7c00);
    assert_int_equal(segue_f16_from_f32(0x1p-25f), 0);
    assert_int_equal(segue_f16_from_f32(0x1.000002p-25f), 1);
    assert_int_equal(segue_bf16_from_f32(0x1.fffffep127f), 0x7f80);
}

static void dtypes_have_names_and_sizes(void **state)
{
    (void)state;
    assert_string_equal(segue_dtype_name(SEGUE_DTYPE_BF16), "bf16");
    assert_string_equal(segue_dtype_name(SEGUE_DTYPE_U8), "u8");
    assert_string_equal(segue_dtype_name(SEGUE_DTYPE_F64), "f64");
    assert_null(segue_dtype_name((enum segue_dtype)12));
    assert_int_equal(segue_dtype_size_bytes(SEGUE_DTYPE_BF16), 2);
    assert_int_equal(segue_dtype_size_bytes(SEGUE_DTYPE_I64), 8);
    assert_int_equal(segue_dtype_size_bytes((enum segue_dtype)12), 0);
    static const int8_t minus_one[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
    assert_true(segue_dtype_load(SEGUE_DTYPE_I8, minus_one, 1) == -1);
    assert_true(segue_dtype_load(SEGUE_DTYPE_U16, minus_one, 1) == 65535);
    assert_true(segue_dtype_load(SEGUE_DTYPE_I64, minus_one, 0) == -1);
    assert_true(segue_dtype_load(SEGUE_DTYPE_U64, minus_one, 0) == 0x1p64);
}

static void fills_buffers(void **state)
{
    struct segue_test *test = *state;
    struct segue_content content = {
        .kind = SEGUE_CONTENT_NORMAL, .dtype = SEGUE_DTYPE_BF16, .seed = 5, .b = 1};
    // A little more than a piece, so that the second one must begin where the first ends.
    const uint64_t size_bytes = SEGUE_PIECE_BYTES + 4096;
    segue_buffer *buffer = NULL;
    CHECK_OK(segue_buffer_create(test->device, &(struct segue_buffer_params){size_bytes, 0, 0, "b"},
                                 &buffer));
    CHECK_OK(segue_buffer_write_content(buffer, &content));
    unsigned char *actual = malloc(size_bytes);
    unsigned char *expected = malloc(size_bytes);
    assert_true(actual != NULL && expected != NULL);
    CHECK_OK(segue_buffer_read(buffer, 0, actual, size_bytes));
    CHECK_OK(segue_content_generate(&content, 0, size_bytes, expected));
    assert_true(memcmp(actual, expected, size_bytes) == 0);
    free(actual);
    free(expected);
    content.b = -1;
    CHECK_ERROR(segue_buffer_write_content(buffer, &content), SEGUE_INVALID_ARGUMENT, "\"b\"");
    segue_buffer_destroy(buffer);
    CHECK_OK(
        segue_buffer_create(test->device, &(struct segue_buffer_params){5, 0, 0, "odd"}, &buffer));
    content.b = 1;
    CHECK_ERROR(segue_buffer_write_content(buffer, &content), SEGUE_INVALID_ARGUMENT, "\"odd\"");
    content.kind = SEGUE_CONTENT_NIBBLES;
    CHECK_OK(segue_buffer_write_content(buffer, &content));
    segue_buffer_destroy(buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_has_the_promised_bits),
        cmocka_unit_test(uniform_has_the_promised_bits),
        cmocka_unit_test(nibbles_and_fills_have_the_promised_bits),
        cmocka_unit_test(any_piece_is_that_of_the_whole),
        cmocka_unit_test(seeds_make_different_contents),
        cmocka_unit_test(moments_are_right),
        cmocka_unit_test(uniform_stays_below_high),
        cmocka_unit_test(integers_reach_both_ends),
        cmocka_unit_test(refuses_what_makes_no_sense),
        cmocka_unit_test(conversions_round_to_nearest_even),
        cmocka_unit_test(dtypes_have_names_and_sizes),
        segue_test_case(fills_buffers),
    };
    int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
