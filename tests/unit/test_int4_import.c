// SPDX-License-Identifier: Apache-2.0
// Importing stored matrices: vectors that were published or worked out by hand, every format
// against a reader that takes elements one by one, chunks, hostile descriptions, and what is
// refused.
#include "int4_sources.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define F16_ONE 0x3C00
#define F16_TWO 0x4000

#define TENSOR(array, type, ...)                                                             \
    {                                                                                        \
        .data = (array), .size_bytes = sizeof(array), .element = SEGUE_QUANT_ELEMENT_##type, \
        .shape = {                                                                           \
            __VA_ARGS__                                                                      \
        }                                                                                    \
    }

/* ---- By hand --------------------------------------------------------------------------------- */

struct known {
    struct segue_quant_matrix matrix;
    uint8_t weights[64];
    uint8_t scales[64];
    uint8_t zeros[64];
};

static void import_known(const struct segue_quant_import *import, struct known *out)
{
    const struct segue_quant_plain plain = {out->weights, out->scales, out->zeros};
    memset(out, 0xA5, sizeof(*out));
    assert_int_equal(segue_quant_import_get_matrix(import, &out->matrix), SEGUE_OK);
    struct segue_quant_plain_sizes sizes;
    segue_quant_get_plain_sizes(&out->matrix, import->rows, &sizes);
    assert_true(sizes.weights_bytes <= 64 && sizes.scales_bytes <= 64 && sizes.zeros_bytes <= 64);
    assert_int_equal(
        segue_quant_import_rows(import, (struct segue_quant_rows){0, import->rows}, &plain),
        SEGUE_OK);
}

static void expect_numbers(const struct known *known, const int8_t *expected, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int byte = known->weights[known->matrix.bits == 8 ? i : i / 2];
        const int number = known->matrix.bits == 8 ? (int8_t)byte : (byte >> (i % 2 * 4) & 15) - 8;
        assert_int_equal(number, expected[i]);
    }
}

/** Words and numbers of compressed-tensors' own test of its packing. */
static void test_compressed_tensors_published(void **state)
{
    (void)state;
    static const int32_t words[] = {1985229328, 52137, 52137, 1985229328};
    static const int8_t numbers[] = {-8, -7, -6, -5, -4, -3, -2, -1, 1,  2,  3,
                                     4,  -8, -8, -8, -8, 1,  2,  3,  4,  -8, -8,
                                     -8, -8, -8, -7, -6, -5, -4, -3, -2, -1};
    static const int32_t wide_words[] = {-2071756159, 50462976, 50462976, -2071756159};
    static const int8_t wide_numbers[] = {1,    2,    3,    4,    -128, -127, -126, -125,
                                          -128, -127, -126, -125, 1,    2,    3,    4};
    static const uint16_t scales[] = {F16_ONE, F16_TWO};
    // Two rows in the lowest places of a word: 1 and -7 with 8 added, 1 and -127 with 128.
    static const int32_t zeros[] = {0x19}, wide_zeros[] = {0x0181};
    struct segue_quant_import import = {
        .format = SEGUE_QUANT_FORMAT_COMPRESSED_TENSORS,
        .rows = 2,
        .columns = 16,
        .bits = 4,
        .group_size = 16,
        .weights = TENSOR(words, I32, 2, 2),
        .scales = TENSOR(scales, F16, 2, 1),
    };
    struct known known;
    import_known(&import, &known);
    assert_int_equal(known.matrix.zero, SEGUE_QUANT_ZERO_MIDDLE);
    assert_int_equal(known.matrix.scale_type, SEGUE_QUANT_F16);
    expect_numbers(&known, numbers, 32);
    assert_memory_equal(known.scales, scales, sizeof(scales));
    import.zeros = (struct segue_quant_tensor)TENSOR(zeros, I32, 1, 1);
    import_known(&import, &known);
    assert_int_equal(known.matrix.zero, SEGUE_QUANT_ZERO_POINTS);
    assert_int_equal(known.zeros[0], 9);
    assert_int_equal(known.zeros[1], 1);

    import.bits = 8;
    import.columns = import.group_size = 8;
    import.weights = (struct segue_quant_tensor)TENSOR(wide_words, I32, 2, 2);
    import.zeros = (struct segue_quant_tensor)TENSOR(wide_zeros, I32, 1, 1);
    import_known(&import, &known);
    expect_numbers(&known, wide_numbers, 16);
    assert_int_equal((int8_t)known.zeros[0], 1);
    assert_int_equal((int8_t)known.zeros[1], -127);
}

/** Nibble i of a word belongs to row 0 2 4 6 1 3 5 7 of eight. */
static void test_awq_by_hand(void **state)
{
    (void)state;
    // Column k holds k in the nibble of row 0, k + 1 in that of row 2, and so on.
    uint32_t words[8];
    for (uint32_t k = 0; k < 8; k++)
        words[k] = 0x76543210 + k * 0x11111111;
    static const int32_t zeros[] = {0x0FEDCBA9};
    static const uint16_t scales[] = {1, 2, 3, 4, 5, 6, 7, 8};
    const struct segue_quant_import import = {
        .format = SEGUE_QUANT_FORMAT_AWQ,
        .rows = 8,
        .columns = 8,
        .bits = 4,
        .group_size = 8,
        .weights = TENSOR(words, I32, 8, 1),
        .scales = TENSOR(scales, F16, 8),
        .zeros = TENSOR(zeros, I32, 1, 1),
    };
    static const uint8_t expected[8][4] = {
        {0x10, 0x32, 0x54, 0x76}, {0x54, 0x76, 0x98, 0xBA}, {0x21, 0x43, 0x65, 0x87},
        {0x65, 0x87, 0xA9, 0xCB}, {0x32, 0x54, 0x76, 0x98}, {0x76, 0x98, 0xBA, 0xDC},
        {0x43, 0x65, 0x87, 0xA9}, {0x87, 0xA9, 0xCB, 0xED},
    };
    static const uint8_t expected_zeros[8] = {0x9, 0xD, 0xA, 0xE, 0xB, 0xF, 0xC, 0x0};
    struct known known;
    import_known(&import, &known);
    assert_int_equal(known.matrix.zero, SEGUE_QUANT_ZERO_POINTS);
    assert_memory_equal(known.weights, expected, sizeof(expected));
    assert_memory_equal(known.zeros, expected_zeros, sizeof(expected_zeros));
    assert_memory_equal(known.scales, scales, sizeof(scales));
}

/** Words of eight columns; zeros one too small in the first version. */
static void test_gptq_by_hand(void **state)
{
    (void)state;
    static const int32_t words[] = {0x76543210, 0x11111111, (int32_t)0xFEDCBA98};
    static const int32_t zeros[] = {0x0F70};
    static const uint16_t scales[] = {F16_ONE, F16_TWO, F16_ONE};
    struct segue_quant_import import = {
        .format = SEGUE_QUANT_FORMAT_GPTQ,
        .rows = 3,
        .columns = 8,
        .bits = 4,
        .group_size = 8,
        .weights = TENSOR(words, I32, 1, 3),
        .scales = TENSOR(scales, F16, 1, 3),
        .zeros = TENSOR(zeros, I32, 1, 1),
    };
    static const uint8_t expected[] = {0x10, 0x32, 0x54, 0x76, 0x11, 0x11,
                                       0x11, 0x11, 0x98, 0xBA, 0xDC, 0xFE};
    static const uint8_t first[] = {1, 8, 16}, second[] = {0, 7, 15};
    struct known known;
    import_known(&import, &known);
    assert_memory_equal(known.weights, expected, sizeof(expected));
    assert_memory_equal(known.zeros, first, sizeof(first));
    import.format = SEGUE_QUANT_FORMAT_GPTQ_V2;
    import_known(&import, &known);
    assert_memory_equal(known.weights, expected, sizeof(expected));
    assert_memory_equal(known.zeros, second, sizeof(second));
}

/** Two groups of 32 columns: even columns are in the second, odd ones in the first. */
static void test_act_order_by_hand(void **state)
{
    (void)state;
    int32_t words[8], groups[64];
    static const uint16_t scales[] = {F16_ONE, F16_TWO};
    uint32_t order[64];
    bool changed = false;
    for (int i = 0; i < 64; i++)
        groups[i] = i % 2 == 0;
    for (int i = 0; i < 8; i++)
        words[i] = 0x76543210;
    const struct segue_quant_import import = {
        .format = SEGUE_QUANT_FORMAT_GPTQ,
        .rows = 1,
        .columns = 64,
        .bits = 4,
        .group_size = 32,
        .weights = TENSOR(words, I32, 8, 1),
        .scales = TENSOR(scales, F16, 2, 1),
        .group_index = TENSOR(groups, I32, 64),
    };
    struct known known;
    import_known(&import, &known);
    assert_int_equal(segue_quant_import_get_order(&import, order, &changed), SEGUE_OK);
    assert_true(changed);
    for (uint32_t i = 0; i < 32; i++) {
        assert_int_equal(order[i], 2 * i + 1);
        assert_int_equal(order[i + 32], 2 * i);
        assert_int_equal(known.weights[i],
                         i % 2 == 0 ? (i < 16 ? 0x31 : 0x20) : (i < 16 ? 0x75 : 0x64));
    }
    // In order, and not used.
    for (int i = 0; i < 64; i++)
        groups[i] = i / 32;
    assert_int_equal(segue_quant_import_get_order(&import, order, &changed), SEGUE_OK);
    assert_false(changed);
    assert_int_equal(order[63], 63);
    memset(groups, 0xFF, sizeof(groups));
    assert_int_equal(segue_quant_import_get_order(&import, order, &changed), SEGUE_OK);
    assert_false(changed);
}

/** A block's byte j has columns j and j + 16. */
static void test_gguf_by_hand(void **state)
{
    (void)state;
    uint8_t block[34] = {0x00, 0x3C}; // Scale 1.
    static const uint8_t expected[16] = {0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE,
                                         0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0x01};
    static const uint8_t one[] = {0x00, 0x3C}, minus_two[] = {0x00, 0xC0};
    struct segue_quant_import import = {
        .format = SEGUE_QUANT_FORMAT_GGUF_Q4_0,
        .rows = 1,
        .columns = 32,
        .bits = 4,
        .group_size = 32,
        .weights = {block, 18, SEGUE_QUANT_ELEMENT_U8, {0}},
    };
    struct known known;
    for (int j = 0; j < 16; j++)
        block[2 + j] = (uint8_t)(j | (15 - j) << 4);
    import_known(&import, &known);
    assert_int_equal(known.matrix.zero, SEGUE_QUANT_ZERO_MIDDLE);
    assert_int_equal(known.matrix.scale_type, SEGUE_QUANT_F16);
    assert_memory_equal(known.weights, expected, 16);
    assert_memory_equal(known.scales, one, 2);
    assert_int_equal(known.scales[2], 0xA5);
    assert_int_equal(known.zeros[0], 0xA5);

    memmove(block + 4, block + 2, 16);
    memcpy(block + 2, minus_two, 2);
    import.format = SEGUE_QUANT_FORMAT_GGUF_Q4_1;
    import.weights.size_bytes = 20;
    import_known(&import, &known);
    assert_int_equal(known.matrix.zero, SEGUE_QUANT_ZERO_OFFSETS);
    assert_memory_equal(known.weights, expected, 16);
    assert_memory_equal(known.scales, one, 2);
    assert_memory_equal(known.zeros, minus_two, 2);

    for (int j = 0; j < 32; j++)
        block[2 + j] = (uint8_t)(8 * j - 128);
    import.format = SEGUE_QUANT_FORMAT_GGUF_Q8_0;
    import.bits = 8;
    import.weights.size_bytes = 34;
    import_known(&import, &known);
    assert_int_equal(known.matrix.zero, SEGUE_QUANT_ZERO_MIDDLE);
    assert_memory_equal(known.weights, block + 2, 32);
}

/** torchao's nibbles have a sign and come with f32 offsets, those of ExecuTorch have 8 added. */
static void test_rows_by_hand(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0xF8, 0x07, 0x21, 0x43};
    static const uint8_t from_signed[] = {0x70, 0x8F, 0xA9, 0xCB};
    static const uint8_t turned[] = {0x8F, 0x70, 0x12, 0x34};
    static const uint8_t wide[] = {0x00, 0x80, 0xFF, 0x7F, 1, 2, 3, 4};
    static const uint8_t wide_expected[] = {0x80, 0x00, 0x7F, 0xFF, 0x81, 0x82, 0x83, 0x84};
    static const float scales[] = {0.5f}, offsets[] = {-3.0f};
    static const uint8_t points[] = {200};
    struct segue_quant_import import = {
        .rows = 1,
        .columns = 8,
        .bits = 4,
        .group_size = 8,
        .zero = SEGUE_QUANT_ZERO_OFFSETS,
        .flags = SEGUE_QUANT_IMPORT_SIGNED | SEGUE_QUANT_IMPORT_GROUPS_FIRST,
        .weights = TENSOR(bytes, I8, 1, 4),
        .scales = TENSOR(scales, F32, 1, 1),
        .zeros = TENSOR(offsets, F32, 1, 1),
    };
    struct known known;
    import_known(&import, &known);
    assert_int_equal(known.matrix.zero, SEGUE_QUANT_ZERO_MIDDLE_OFFSETS);
    assert_int_equal(known.matrix.scale_type, SEGUE_QUANT_F32);
    assert_memory_equal(known.weights, from_signed, 4);
    assert_memory_equal(known.scales, scales, 4);
    assert_memory_equal(known.zeros, offsets, 4);

    import.flags = 0;
    import.zero = SEGUE_QUANT_ZERO_MIDDLE;
    import.zeros.data = NULL;
    import_known(&import, &known);
    assert_memory_equal(known.weights, bytes, 4);
    import.format = SEGUE_QUANT_FORMAT_ROWS_HIGH_FIRST;
    import_known(&import, &known);
    assert_memory_equal(known.weights, turned, 4);

    // Bytes without a sign, and a zero point of theirs.
    import.format = SEGUE_QUANT_FORMAT_ROWS;
    import.bits = 8;
    import.zero = SEGUE_QUANT_ZERO_POINTS;
    import.weights = (struct segue_quant_tensor)TENSOR(wide, U8, 1, 8);
    import.zeros = (struct segue_quant_tensor)TENSOR(points, U8, 1);
    import_known(&import, &known);
    assert_memory_equal(known.weights, wide_expected, 8);
    assert_int_equal((int8_t)known.zeros[0], 72);
}

/* ---- Against the reader ---------------------------------------------------------------------- */

static int plain_number(const struct segue_quant_matrix *matrix, const uint8_t *weights,
                        uint32_t row, uint32_t column)
{
    const uint64_t i = (uint64_t)row * matrix->columns + column;
    return matrix->bits == 8 ? (int8_t)weights[i] : weights[i / 2] >> (i % 2 * 4) & 15;
}

static uint32_t element(const uint8_t *array, uint32_t bytes, uint64_t i)
{
    uint32_t value = 0;
    memcpy(&value, array + i * bytes, bytes);
    return value;
}

static void check_groups(const struct int4_source *source, const struct segue_quant_matrix *matrix,
                         const struct segue_quant_plain *plain)
{
    const uint32_t groups = matrix->columns / matrix->group_size;
    const uint32_t scale_bytes = matrix->scale_type == SEGUE_QUANT_F32 ? 4 : 2;
    const uint32_t zero_bytes = int4_source_zero_bytes(source);
    for (uint32_t row = 0; row < matrix->rows; row++) {
        for (uint32_t group = 0; group < groups; group++) {
            const uint64_t i = (uint64_t)row * groups + group;
            assert_int_equal(element(plain->scales, scale_bytes, i),
                             int4_source_scale(source, row, group));
            if (zero_bytes == 0)
                continue;
            const uint32_t zero = (uint32_t)int4_source_zero(source, row, group);
            if (element(plain->zeros, zero_bytes, i) != (zero_bytes == 1 ? zero & 0xFF : zero))
                fail_msg("%s: zero of row %u, group %u", int4_source_name(source), row, group);
        }
    }
}

static void check_whole(const struct int4_source *source, const struct segue_quant_matrix *matrix,
                        const struct segue_quant_plain *plain)
{
    for (uint32_t column = 0; column < matrix->columns; column++) {
        const uint32_t from = int4_source_column(source, column);
        for (uint32_t row = 0; row < matrix->rows; row++) {
            const int number = plain_number(matrix, plain->weights, row, column);
            if (number != int4_source_number(source, row, from))
                fail_msg("%s: row %u, column %u is %d, not %d", int4_source_name(source), row,
                         column, number, int4_source_number(source, row, from));
        }
    }
    check_groups(source, matrix, plain);
}

/** Imports in chunks of any size, and expects the same bytes. */
static void check_chunks(struct int4_source *source, const struct segue_quant_matrix *matrix,
                         const struct segue_quant_plain *whole)
{
    struct segue_quant_plain_sizes row;
    segue_quant_get_plain_sizes(matrix, 1, &row);
    for (uint32_t first = 0; first < matrix->rows;) {
        const uint32_t left = matrix->rows - first;
        // The first ends within a word of rows; then many, so that tiles begin there.
        const uint32_t count = first == 0 && left > 3 ? 3
                               : first == 3           ? left - left / 16
                                                      : int4_source_draw(&source->random, left + 1);
        struct segue_quant_plain_sizes sizes;
        segue_quant_get_plain_sizes(matrix, count, &sizes);
        struct segue_quant_plain chunk = int4_source_allocate(&sizes);
        assert_int_equal(segue_quant_import_rows(&source->import,
                                                 (struct segue_quant_rows){first, count}, &chunk),
                         SEGUE_OK);
        assert_memory_equal(chunk.weights, (uint8_t *)whole->weights + first * row.weights_bytes,
                            sizes.weights_bytes);
        assert_memory_equal(chunk.scales, (uint8_t *)whole->scales + first * row.scales_bytes,
                            sizes.scales_bytes);
        assert_memory_equal(chunk.zeros, (uint8_t *)whole->zeros + first * row.zeros_bytes,
                            sizes.zeros_bytes);
        int4_source_free_plain(&chunk);
        first += count;
    }
}

static void check_bias(const struct int4_source *source)
{
    float bias[2];
    const uint32_t last = source->import.rows - 1;
    if (!source->import.bias.data)
        return;
    assert_int_equal(
        segue_quant_import_bias(&source->import, (struct segue_quant_rows){last, 1}, bias),
        SEGUE_OK);
    uint32_t stored = 0, actual;
    const uint32_t bytes = source->import.bias.element == SEGUE_QUANT_ELEMENT_F32 ? 4 : 2;
    memcpy(&stored, (const uint8_t *)source->import.bias.data + (size_t)last * bytes, bytes);
    memcpy(&actual, bias, sizeof(actual));
    if (source->import.bias.element == SEGUE_QUANT_ELEMENT_F16) {
        const double magnitude = stored & 0x7C00
                                     ? ldexp(1024 + (stored & 0x3FF), (int)(stored >> 10 & 31) - 25)
                                     : ldexp(stored & 0x3FF, -24);
        if ((stored & 0x7C00) != 0x7C00)
            assert_true((double)bias[0] == (stored & 0x8000 ? -magnitude : magnitude));
    } else {
        assert_int_equal(actual, bytes == 2 ? stored << 16 : stored);
    }
}

static void check_source(struct int4_source *source)
{
    struct segue_quant_matrix matrix;
    struct segue_quant_plain_sizes sizes;
    if (segue_quant_import_get_matrix(&source->import, &matrix) != SEGUE_OK)
        fail_msg("%s: %s", int4_source_name(source), segue_last_error()->message);
    assert_int_equal(segue_quant_check(&matrix), SEGUE_OK);
    segue_quant_get_plain_sizes(&matrix, matrix.rows, &sizes);
    const uint64_t groups = (uint64_t)matrix.rows * (matrix.columns / matrix.group_size);
    assert_int_equal(sizes.zeros_bytes, groups * int4_source_zero_bytes(source));
    struct segue_quant_plain plain = int4_source_allocate(&sizes);
    if (segue_quant_import_rows(&source->import, (struct segue_quant_rows){0, matrix.rows},
                                &plain) != SEGUE_OK)
        fail_msg("%s: %s", int4_source_name(source), segue_last_error()->message);
    check_whole(source, &matrix, &plain);
    check_chunks(source, &matrix, &plain);
    check_bias(source);
    int4_source_free_plain(&plain);
}

static void test_formats(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < int4_source_case_count(); i++) {
        struct int4_source source;
        int4_source_make(&source, int4_source_case_at(i), i);
        check_source(&source);
        int4_source_free(&source);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compressed_tensors_published),
        cmocka_unit_test(test_awq_by_hand),
        cmocka_unit_test(test_gptq_by_hand),
        cmocka_unit_test(test_act_order_by_hand),
        cmocka_unit_test(test_gguf_by_hand),
        cmocka_unit_test(test_rows_by_hand),
        cmocka_unit_test(test_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
