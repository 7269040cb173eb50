// SPDX-License-Identifier: Apache-2.0
// Importing stored matrices: hostile descriptions, what is refused, each with the words that say
// why, and want of memory (allocations are wrapped by the linker).
#include "int4_sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Hostile descriptions -------------------------------------------------------------------- */

/** One field, or one size or shape, becomes something else. */
static void spoil(struct int4_source *source)
{
    struct segue_quant_import *import = &source->import;
    static const uint32_t values[] = {0,   1,   2,          3,           4,           5,         7,
                                      8,   15,  16,         31,          32,          33,        63,
                                      64,  128, 256,        (1u << 20),  (1u << 28),  1u << 31,  40,
                                      100, 255, UINT32_MAX, 0x80000001u, 0x10000001u, 0x55555555};
    const uint32_t value = values[int4_source_draw(&source->random, sizeof(values) / 4)];
    struct segue_quant_tensor *const tensors[] = {&import->weights, &import->scales, &import->zeros,
                                                  &import->bias, &import->group_index};
    struct segue_quant_tensor *tensor = tensors[int4_source_draw(&source->random, 5)];
    switch (int4_source_draw(&source->random, 11)) {
    case 0:
        import->format = (enum segue_quant_format)(value % 20);
        break;
    case 1:
        import->rows = value;
        break;
    case 2:
        import->columns = value;
        break;
    case 3:
        import->bits = value;
        break;
    case 4:
        import->group_size = value;
        break;
    case 5:
        import->zero = (enum segue_quant_zero)(value % 6);
        break;
    case 6:
        import->flags = value % 8;
        break;
    case 7:
        tensor->element = (enum segue_quant_element)(value % 9);
        break;
    case 8: // Only ever less than is there.
        tensor->size_bytes -= tensor->size_bytes < value ? tensor->size_bytes : value;
        break;
    case 9:
        tensor->shape[int4_source_draw(&source->random, 2)] = value;
        break;
    default:
        tensor->data = NULL;
        break;
    }
}

/** Whatever is said of real tensors: it is refused, or no more is read and written than there is.
 */
static void test_hostile_descriptions(void **state)
{
    (void)state;
    enum { ROUNDS = 4000 };
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct int4_source source;
        struct int4_source_case from = *int4_source_case_at(i % int4_source_case_count());
        struct segue_quant_matrix matrix;
        from.rows = from.rows % 24 + 1;
        int4_source_make(&source, &from, i);
        for (uint32_t k = int4_source_draw(&source.random, 4); k > 0; k--)
            spoil(&source);
        struct segue_quant_rows rows = {int4_source_draw(&source.random, 12),
                                        int4_source_draw(&source.random, 12)};
        if (segue_quant_import_get_matrix(&source.import, &matrix) == SEGUE_OK &&
            rows.first + rows.count <= matrix.rows) {
            struct segue_quant_plain_sizes sizes;
            segue_quant_get_plain_sizes(&matrix, rows.count, &sizes);
            struct segue_quant_plain plain = int4_source_allocate(&sizes);
            assert_int_equal(segue_quant_check(&matrix), SEGUE_OK);
            const segue_status status = segue_quant_import_rows(&source.import, rows, &plain);
            assert_true(status == SEGUE_OK || status == SEGUE_INVALID_ARGUMENT);
            accepted += status == SEGUE_OK;
            int4_source_free_plain(&plain);
        }
        int4_source_free(&source);
    }
    assert_true(accepted > ROUNDS / 10);
}

/* ---- Refusals -------------------------------------------------------------------------------- */

#define AT(field) \
    offsetof(struct segue_quant_import, field), sizeof(((struct segue_quant_import *)0)->field)

static const struct {
    /** Of int4_source_case_at. */
    uint32_t from;
    size_t offset;
    size_t size;
    uint64_t value;
    const char *text;
} refusals[] = {
    {0, AT(format), 9, "format is 9; use a value"},
    {0, AT(bits), 5, "bits is 5; format ROWS has 4 or 8"},
    {7, AT(bits), 8, "bits is 8; format ROWS_HIGH_FIRST has 4"},
    {19, AT(bits), 8, "bits is 8; format AWQ has 4"},
    {18, AT(bits), 4, "bits is 4; format GGUF_Q8_0 has 8"},
    {0, AT(flags), 4, "flags is 0x4; use bits"},
    {19, AT(flags), 1, "flags is 0x1 and zero is 0; format AWQ says both"},
    {19, AT(zero), 1, "flags is 0x0 and zero is 1; format AWQ says both"},
    {15, AT(group_size), 96, "group_size is 96; format GGUF_Q4_0 has 32"},
    {0, AT(rows), 0, "rows is 0"},
    {0, AT(columns), 63, "columns is 63"},
    {0, AT(group_size), 48, "group_size is 48"},
    {0, AT(zero), 4, "zero is 4; rows of 4 bits without a sign"},
    {2, AT(zero), 3, "zero is 3; rows of 4 bits with a sign"},
    {14, AT(zero), 2, "zero is 2; rows of 8 bits without a sign"},
    {0, AT(weights.data), 0, "weights.data is NULL"},
    {0, AT(scales.data), 0, "scales.data is NULL"},
    {1, AT(zeros.data), 0, "zeros.data is NULL"},
    {0, AT(weights.element), 5, "weights has elements of type I32 (5); it can have U8, I8"},
    {0, AT(scales.element), 3, "scales has elements of type U8 (3); it can have BF16, F16, F32"},
    {0, AT(bias.element), 9, "bias has elements of type unknown (9)"},
    {0, AT(bias.element), 33, "bias has elements of type unknown (33)"},
    {4, AT(zeros.element), 2, "zeros has elements of type F32 (2); it can have BF16"},
    {19, AT(weights.element), 3, "weights has elements of type U8 (3); it can have I32"},
    {19, AT(zeros.element), 3, "zeros has elements of type U8 (3); it can have I32"},
    {25, AT(group_index.element), 2, "group_index has elements of type F32 (2)"},
    {0, AT(weights.shape[1]), 31,
     "weights has shape [5, 31]; format ROWS has [5, 32] for 5 rows of"},
    {19, AT(weights.shape[0]), 4, "weights has shape [4, 0]; format AWQ has [32, 1]"},
    {2, AT(scales.shape[0]), 3, "scales has shape [3, 70]; format ROWS has [2, 70]"},
    {0, AT(bias.shape[0]), 6, "bias has shape [6, 0]"},
    {0, AT(weights.size_bytes), 159, "weights has 159 bytes; 5 x 32 of U8 are 160"},
    {19, AT(scales.size_bytes), 0, "scales has 0 bytes; 1 x 8 of F16 are 16"},
    {25, AT(group_index.size_bytes), 1020, "group_index has 1020 bytes; 256 x 1 of I32 are 1024"},
};

static void expect_refusal(segue_status actual, segue_status expected, const char *text)
{
    assert_int_equal(actual, expected);
    const char *message = segue_last_error()->message;
    if (!strstr(message, text) || !strstr(message, "\"layers.7.down\""))
        fail_msg("\"%s\" is not in: %s", text, message);
}

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct int4_source source;
        struct segue_quant_matrix matrix;
        int4_source_make(&source, int4_source_case_at(refusals[i].from), i);
        assert_int_equal(segue_quant_import_get_matrix(&source.import, &matrix), SEGUE_OK);
        memcpy((char *)&source.import + refusals[i].offset, &refusals[i].value, refusals[i].size);
        memset(&matrix, 0x5A, sizeof(matrix));
        expect_refusal(segue_quant_import_get_matrix(&source.import, &matrix),
                       SEGUE_INVALID_ARGUMENT, refusals[i].text);
        assert_int_equal(matrix.rows, 0x5A5A5A5A);
        int4_source_free(&source);
    }
    struct segue_quant_matrix matrix;
    assert_int_equal(segue_quant_import_get_matrix(NULL, &matrix), SEGUE_INVALID_ARGUMENT);
}

/** A tensor that the format has no place for. */
static void test_superfluous_tensors(void **state)
{
    (void)state;
    static const uint8_t byte;
    const struct segue_quant_tensor tensor = {&byte, 1, SEGUE_QUANT_ELEMENT_F16, {0}};
    struct int4_source source;
    struct segue_quant_matrix matrix;
    int4_source_make(&source, int4_source_case_at(15), 1);
    source.import.scales = tensor;
    expect_refusal(segue_quant_import_get_matrix(&source.import, &matrix), SEGUE_INVALID_ARGUMENT,
                   "scales is given; format GGUF_Q4_0 with zero 0 has none");
    source.import.scales.data = NULL;
    source.import.zeros = tensor;
    expect_refusal(segue_quant_import_get_matrix(&source.import, &matrix), SEGUE_INVALID_ARGUMENT,
                   "zeros is given; format GGUF_Q4_0 with zero 0 has none");
    source.import.zeros.data = NULL;
    source.import.group_index = tensor;
    expect_refusal(segue_quant_import_get_matrix(&source.import, &matrix), SEGUE_INVALID_ARGUMENT,
                   "group_index is given; format GGUF_Q4_0 with zero 0 has none");
    int4_source_free(&source);
}

static void test_data_refusals(void **state)
{
    (void)state;
    uint8_t memory[4096];
    uint32_t order[256];
    bool changed;
    float bias;
    const struct segue_quant_rows all = {0, 5};
    const struct segue_quant_plain plain = {memory, memory, memory};
    struct int4_source source;
    int4_source_make(&source, int4_source_case_at(1), 1);
    source.blocks[2][1 + 3 * 2 + 1] = 17; // Row 3, group 1.
    expect_refusal(segue_quant_import_rows(&source.import, all, &plain), SEGUE_INVALID_ARGUMENT,
                   "zeros has 17 for row 3, group 1; 0 to 16 can be packed");
    static const struct segue_quant_rows outside[] = {{0, 6}, {6, 0}, {5, 1}, {1, UINT32_MAX}};
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
        expect_refusal(segue_quant_import_rows(&source.import, outside[i], &plain),
                       SEGUE_OUT_OF_RANGE, "are not in its 5 rows");
    const struct segue_quant_plain bad[] = {
        {NULL, memory, memory}, {memory, NULL, memory}, {memory, memory, NULL}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_refusal(segue_quant_import_rows(&source.import, all, &bad[i]),
                       SEGUE_INVALID_ARGUMENT,
                       i == 0   ? "out->weights is NULL"
                       : i == 1 ? "out->scales is NULL"
                                : "out->zeros is NULL");
    expect_refusal(segue_quant_import_rows(&source.import, all, NULL), SEGUE_INVALID_ARGUMENT,
                   "out is NULL");
    expect_refusal(segue_quant_import_bias(&source.import, all, &bias), SEGUE_INVALID_ARGUMENT,
                   "bias.data is NULL");
    expect_refusal(segue_quant_import_get_order(&source.import, NULL, &changed),
                   SEGUE_INVALID_ARGUMENT, "out_order is NULL");
    expect_refusal(segue_quant_import_get_order(&source.import, order, NULL),
                   SEGUE_INVALID_ARGUMENT, "out_changed is NULL");
    assert_int_equal(segue_quant_import_get_matrix(&source.import, NULL), SEGUE_INVALID_ARGUMENT);
    int4_source_free(&source);

    int4_source_make(&source, int4_source_case_at(0), 1);
    expect_refusal(segue_quant_import_bias(&source.import, all, NULL), SEGUE_INVALID_ARGUMENT,
                   "out_bias is NULL");
    expect_refusal(segue_quant_import_bias(&source.import, outside[0], &bias), SEGUE_OUT_OF_RANGE,
                   "are not in its 5 rows");
    int4_source_free(&source);

    // 256 is what 255 stands for, and no byte.
    int4_source_make(&source, int4_source_case_at(27), 1);
    source.blocks[2][1 + 2] = 255;
    expect_refusal(
        segue_quant_import_rows(&source.import, (struct segue_quant_rows){0, 11}, &plain),
        SEGUE_INVALID_ARGUMENT, "zeros has 255 for row 2, group 0; 0 to 254 can be");
    int4_source_free(&source);
}

static void test_group_index_refusals(void **state)
{
    (void)state;
    uint8_t memory[13 * 128];
    uint32_t order[256];
    bool changed;
    const struct segue_quant_rows one = {0, 1};
    const struct segue_quant_plain plain = {memory, memory, memory};
    struct int4_source source;
    int4_source_make(&source, int4_source_case_at(25), 1);
    const int32_t bad[] = {4, -1, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[64];
        memcpy(source.blocks[4] + 1 + 17 * 4, &bad[i], 4);
        snprintf(text, sizeof(text), "group_index has group %d for column 17; there are 4", bad[i]);
        expect_refusal(segue_quant_import_rows(&source.import, one, &plain), SEGUE_INVALID_ARGUMENT,
                       text);
        expect_refusal(segue_quant_import_get_order(&source.import, order, &changed),
                       SEGUE_INVALID_ARGUMENT, text);
    }
    memset(source.blocks[4] + 1, 0, 256 * 4);
    expect_refusal(segue_quant_import_rows(&source.import, one, &plain), SEGUE_INVALID_ARGUMENT,
                   "group_index has more than 64 columns in group 0, the last one being 64");
    int4_source_free(&source);
}

/* ---- Want of memory -------------------------------------------------------------------------- */

/** The allocation that fails; 0: none. */
static uint32_t fails_at;

void *__real_malloc(size_t size_bytes);
void *__wrap_malloc(size_t size_bytes);

void *__wrap_malloc(size_t size_bytes)
{
    return fails_at != 0 && --fails_at == 0 ? NULL : __real_malloc(size_bytes);
}

static void test_no_memory_for_the_order(void **state)
{
    (void)state;
    static uint8_t memory[13 * 128];
    uint32_t order[256];
    bool changed;
    const struct segue_quant_plain plain = {memory, memory, memory};
    struct int4_source source;
    int4_source_make(&source, int4_source_case_at(25), 1);
    for (uint32_t i = 1; i <= 2; i++) {
        fails_at = i;
        expect_refusal(
            segue_quant_import_rows(&source.import, (struct segue_quant_rows){0, 1}, &plain),
            SEGUE_OUT_OF_HOST_MEMORY, "no memory for the order of 256 columns");
        assert_int_equal(fails_at, 0);
        fails_at = i;
        expect_refusal(segue_quant_import_get_order(&source.import, order, &changed),
                       SEGUE_OUT_OF_HOST_MEMORY, "no memory for the order of 256 columns");
    }
    assert_int_equal(
        segue_quant_import_rows(&source.import, (struct segue_quant_rows){0, 1}, &plain), SEGUE_OK);
    int4_source_free(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_descriptions), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_superfluous_tensors),  cmocka_unit_test(test_data_refusals),
        cmocka_unit_test(test_group_index_refusals), cmocka_unit_test(test_no_memory_for_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
