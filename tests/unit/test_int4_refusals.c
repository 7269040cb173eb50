// SPDX-License-Identifier: Apache-2.0
// Quantised matrices: what is refused, each with the words that say why, of descriptions, packing,
// products and reordering, on a device ($SEGUE_TEST_DEVICE).
#include "gemv.h"
#include "int4_flags.h"
#include "test.h"

#include <stdio.h>

/* ---- Descriptions ---------------------------------------------------------------------------- */

static const struct segue_quant_matrix good_matrix = {
    .name = "layers.0.wq",
    .rows = 96,
    .columns = 256,
    .bits = 4,
    .group_size = 32,
};

static void test_matrix_refusals(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        uint32_t value;
        const char *text;
    } bad[] = {
        {offsetof(struct segue_quant_matrix, rows), 0, "rows is 0"},
        {offsetof(struct segue_quant_matrix, columns), 0, "columns is 0"},
        {offsetof(struct segue_quant_matrix, columns), 260, "columns is 260"},
        {offsetof(struct segue_quant_matrix, columns), 264, "group size 32"},
        {offsetof(struct segue_quant_matrix, columns), 2u << 20, "columns is 2097152"},
        {offsetof(struct segue_quant_matrix, bits), 5, "bits is 5"},
        {offsetof(struct segue_quant_matrix, group_size), 0, "group_size is 0"},
        {offsetof(struct segue_quant_matrix, group_size), 16, "group_size is 16"},
        {offsetof(struct segue_quant_matrix, scale_type), 3, "scale_type is 3"},
        {offsetof(struct segue_quant_matrix, zero), 4, "zero is 4"},
        {offsetof(struct segue_quant_matrix, pair_stride), 12, "pair_stride is 12"},
        {offsetof(struct segue_quant_matrix, pair_stride), 32, "pair_stride is 32"},
        {offsetof(struct segue_quant_matrix, pair_stride), 1u << 31, "pair_stride is 2147483648"},
    };
    assert_int_equal(segue_quant_check(&good_matrix), SEGUE_OK);
    assert_int_equal(segue_quant_check(NULL), SEGUE_INVALID_ARGUMENT);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct segue_quant_matrix matrix = good_matrix;
        memcpy((char *)&matrix + bad[i].offset, &bad[i].value, sizeof(bad[i].value));
        assert_int_equal(segue_quant_check(&matrix), SEGUE_INVALID_ARGUMENT);
        const char *message = segue_last_error()->message;
        if (!strstr(message, bad[i].text) || !strstr(message, "\"layers.0.wq\""))
            fail_msg("\"%s\" is not in: %s", bad[i].text, message);
    }
    struct segue_quant_matrix bytes = good_matrix;
    bytes.bits = 8;
    assert_int_equal(segue_quant_check(&bytes), SEGUE_OK);
    bytes.zero = SEGUE_QUANT_ZERO_POINTS;
    assert_int_equal(segue_quant_check(&bytes), SEGUE_OK);
    bytes.zero = SEGUE_QUANT_ZERO_OFFSETS;
    assert_int_equal(segue_quant_check(&bytes), SEGUE_OK);
    bytes.zero = SEGUE_QUANT_ZERO_MIDDLE_OFFSETS;
    assert_int_equal(segue_quant_check(&bytes), SEGUE_INVALID_ARGUMENT);
    assert_non_null(strstr(segue_last_error()->message, "\"layers.0.wq\": zero is "));
}

static void test_row_ranges(void **state)
{
    (void)state;
    struct segue_quant_matrix matrix = good_matrix;
    uint64_t offset = 1, size = 1;
    // A block of 128 columns is 1024 bytes of nibbles and 16 x 4 scales of 2 bytes.
    assert_int_equal(segue_quant_packed_size_bytes(&matrix), 6 * 2304);
    assert_int_equal(
        segue_quant_get_packed_range(&matrix, (struct segue_quant_rows){32, 48}, &offset, &size),
        SEGUE_OK);
    assert_int_equal(offset, 2 * 2304);
    assert_int_equal(size, 3 * 2304);
    static const struct {
        struct segue_quant_rows rows;
        segue_status status;
    } bad[] = {
        {{0, 97}, SEGUE_OUT_OF_RANGE},          {{97, 0}, SEGUE_OUT_OF_RANGE},
        {{16, UINT32_MAX}, SEGUE_OUT_OF_RANGE}, {{80, 32}, SEGUE_OUT_OF_RANGE},
        {{8, 16}, SEGUE_INVALID_ARGUMENT},      {{16, 8}, SEGUE_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(segue_quant_get_packed_range(&matrix, bad[i].rows, &offset, &size),
                         bad[i].status);
    matrix.rows = 93;
    assert_int_equal(
        segue_quant_get_packed_range(&matrix, (struct segue_quant_rows){80, 13}, &offset, &size),
        SEGUE_OK);
    assert_int_equal(size, 2304);
    // Two stretches of 2 x 24 paired rows: part of one, or whole ones.
    matrix = good_matrix;
    matrix.pair_stride = 24;
    static const struct segue_quant_rows good[] = {{0, 96}, {0, 48}, {48, 32}, {80, 16}, {16, 0}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(segue_quant_get_packed_range(&matrix, good[i], &offset, &size), SEGUE_OK);
    assert_int_equal(
        segue_quant_get_packed_range(&matrix, (struct segue_quant_rows){32, 32}, &offset, &size),
        SEGUE_INVALID_ARGUMENT);
}

static void test_packing_refuses_null(void **state)
{
    (void)state;
    uint8_t memory[8];
    struct segue_quant_matrix matrix = good_matrix;
    matrix.zero = SEGUE_QUANT_ZERO_POINTS;
    const struct segue_quant_rows rows = {0, 96};
    const struct segue_quant_plain bad[] = {
        {NULL, memory, memory}, {memory, NULL, memory}, {memory, memory, NULL}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(segue_quant_pack(&matrix, rows, &bad[i], memory), SEGUE_INVALID_ARGUMENT);
        assert_int_equal(segue_quant_unpack(&matrix, rows, memory, &bad[i]),
                         SEGUE_INVALID_ARGUMENT);
    }
    assert_int_equal(segue_quant_pack(&matrix, rows, NULL, memory), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(
        segue_quant_pack(&matrix, rows, &(struct segue_quant_plain){memory, memory, memory}, NULL),
        SEGUE_INVALID_ARGUMENT);
}

/* ---- Commands -------------------------------------------------------------------------------- */

static struct segue_buffer_ref make_memory(struct segue_test *test, uint64_t size_bytes)
{
    return segue_test_ref(segue_test_buffer(test, size_bytes), 0, size_bytes);
}

static segue_executable *open_packing(struct segue_test *test)
{
    struct segue_executable_params params;
    CHECK_OK(segue_quant_register(test->device));
    segue_quant_get_pack_kernels(&params);
    return segue_test_executable(test, &params);
}

static void refuse(struct segue_test *test, const struct segue_quant_gemv_params *bad,
                   const char *text)
{
    struct segue_quant_gemv gemv;
    CHECK_ERROR(segue_quant_gemv_create(test->device, bad, &gemv), SEGUE_INVALID_ARGUMENT, text);
}

static void test_product_refusals(void **state)
{
    struct segue_test *test = *state;
    CHECK_OK(segue_quant_register(test->device));
    struct segue_quant_gemv gemv;
    struct segue_quant_gemv_params good = {
        .matrix = {.name = "layers.3.up", .rows = 64, .columns = 256, .bits = 4, .group_size = 32},
        .batch = 1,
        .result_type = SEGUE_QUANT_F32,
    };
    struct segue_quant_gemv_params bad = good;
    bad.batch = 65;
    refuse(test, &bad, "\"layers.3.up\": batch is 65");
    bad.batch = 0;
    refuse(test, &bad, "batch is 0");
    bad = good;
    bad.activation_type = SEGUE_QUANT_F32;
    refuse(test, &bad, "activation_type is 2");
    bad = good;
    bad.result_type = (enum segue_quant_type)3;
    refuse(test, &bad, "result_type is 3");
    bad = good;
    bad.flags = 0x100;
    refuse(test, &bad, "flags is 0x100");
    bad.flags = SEGUE_QUANT_SILU_MUL;
    refuse(test, &bad, "pair_stride is 0");
    bad.matrix.pair_stride = 32;
    bad.flags |= SEGUE_QUANT_BIAS;
    refuse(test, &bad, "SEGUE_QUANT_BIAS");
    bad = good;
    bad.flags = SEGUE_QUANT_ADVANCE;
    refuse(test, &bad, "SEGUE_QUANT_ADVANCE goes with SEGUE_QUANT_ARGMAX");
    bad.flags = SEGUE_QUANT_ROPE_KV | SEGUE_QUANT_RESIDUAL;
    refuse(test, &bad, "flags is 0x12; SEGUE_QUANT_ROPE_KV goes with");
    bad.flags = SEGUE_QUANT_KV_FP8;
    refuse(test, &bad, "flags is 0x80; SEGUE_QUANT_KV_FP8 goes with");
    bad.flags = SEGUE_QUANT_ROPE_KV;
    bad.matrix.pair_stride = 8;
    bad.heads = (struct segue_quant_heads){.heads = 2, .kv_heads = 2, .capacity = 5};
    refuse(test, &bad, "2 heads and 2 kv_heads of 2 * 8 rows with a capacity of 5");
    bad.heads.kv_heads = 1;
    refuse(test, &bad, "result_type is 2; SEGUE_QUANT_ROPE_KV writes");
    bad = good;
    bad.matrix.columns = 1u << 18;
    bad.flags = SEGUE_QUANT_NORM;
    CHECK_ERROR(segue_quant_gemv_create(test->device, &bad, &gemv), SEGUE_UNIMPLEMENTED,
                "262144 columns");
    CHECK_ERROR(segue_quant_gemv_create(test->device, NULL, &gemv), SEGUE_INVALID_ARGUMENT,
                "params is NULL");

    CHECK_OK(segue_quant_gemv_create(test->device, &good, &gemv));
    const struct segue_buffer_ref memory = make_memory(test, gemv.packed_size_bytes);
    struct segue_quant_gemv_buffers buffers = {.x = memory, .packed = memory, .out = memory};
    buffers.packed.length_bytes--;
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_ERROR(segue_quant_cmd_gemv(commands, &gemv, &buffers), SEGUE_OUT_OF_RANGE,
                "packed has 9215 bytes; it needs 9216");
    CHECK_ERROR(segue_quant_cmd_gemv(commands, &gemv, NULL), SEGUE_INVALID_ARGUMENT,
                "buffers is NULL");
    segue_quant_gemv_destroy(&gemv);
    CHECK_ERROR(segue_quant_cmd_gemv(commands, &gemv, &buffers), SEGUE_INVALID_ARGUMENT,
                "gemv->executable is NULL");
    segue_test_destroy(test, commands);
}

/** Records the product with binding `bad` at an address that is off by one byte. */
static void check_alignment(struct segue_test *test, const struct segue_quant_gemv *gemv,
                            enum gemv_binding bad, uint32_t index, struct segue_buffer_ref memory)
{
    struct segue_quant_gemv_buffers buffers;
    struct segue_buffer_ref *const refs[GEMV_BINDING_COUNT] = {
        [GEMV_X] = &buffers.x,
        [GEMV_PACKED] = &buffers.packed,
        [GEMV_NORM] = &buffers.norm,
        [GEMV_BIAS] = &buffers.bias,
        [GEMV_RESIDUAL] = &buffers.residual,
        [GEMV_FREQUENCIES] = &buffers.frequencies,
        [GEMV_KV_SCALES] = &buffers.kv_scales,
        [GEMV_POSITION] = &buffers.position,
        [GEMV_K_CACHE] = &buffers.k_cache,
        [GEMV_V_CACHE] = &buffers.v_cache,
        [GEMV_OUT] = &buffers.out,
        [GEMV_TOKEN] = &buffers.token,
        [GEMV_STATE] = &buffers.state,
    };
    char text[64];
    for (uint32_t i = 0; i < GEMV_BINDING_COUNT; i++)
        *refs[i] = memory;
    refs[bad]->offset_bytes += 1;
    refs[bad]->length_bytes -= 1;
    snprintf(text, sizeof(text), "binding %u, buffer \"%s\": offset %d", index, "", 1);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_ERROR(segue_quant_cmd_gemv(commands, gemv, &buffers), SEGUE_INVALID_ARGUMENT, text);
    segue_test_destroy(test, commands);
}

/** No binding of any product may lie at any byte. */
static void test_misaligned_bindings(void **state)
{
    struct segue_test *test = *state;
    static const uint32_t sets[] = {
        SEGUE_QUANT_NORM | SEGUE_QUANT_BIAS | SEGUE_QUANT_ROPE_KV,
        SEGUE_QUANT_RESIDUAL | SEGUE_QUANT_ARGMAX | SEGUE_QUANT_ADVANCE,
    };
    CHECK_OK(segue_quant_register(test->device));
    const struct segue_buffer_ref memory = make_memory(test, 1 << 16);
    for (size_t k = 0; k < sizeof(sets) / sizeof(sets[0]); k++) {
        const struct segue_quant_gemv_params params = int4_flags_shape(sets[k]);
        enum gemv_binding bindings[GEMV_BINDING_COUNT];
        struct segue_quant_gemv gemv;
        CHECK_OK(segue_quant_gemv_create(test->device, &params, &gemv));
        const uint32_t count = segue_quant_gemv_bindings(sets[k], bindings);
        for (uint32_t i = 0; i < count; i++)
            check_alignment(test, &gemv, bindings[i], i, memory);
        segue_quant_gemv_destroy(&gemv);
    }
}

static void test_packing_refusals(void **state)
{
    struct segue_test *test = *state;
    segue_executable *packing = open_packing(test);
    const struct segue_quant_matrix matrix = {
        .name = "layers.3.up", .rows = 64, .columns = 256, .bits = 4, .group_size = 32};
    const struct segue_buffer_ref memory =
        make_memory(test, segue_quant_packed_size_bytes(&matrix));
    struct segue_quant_pack_buffers buffers = {memory, memory, memory, memory};
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_ERROR(segue_quant_cmd_pack(commands, packing, &matrix, (struct segue_quant_rows){8, 16},
                                     &buffers),
                SEGUE_INVALID_ARGUMENT, "\"layers.3.up\": 16 rows from row 8");
    CHECK_ERROR(
        segue_quant_cmd_unpack(commands, packing, &matrix, (struct segue_quant_rows){0, 64}, NULL),
        SEGUE_INVALID_ARGUMENT, "buffers is NULL");
    buffers.packed.length_bytes -= 1;
    CHECK_ERROR(segue_quant_cmd_pack(commands, packing, &matrix, (struct segue_quant_rows){0, 64},
                                     &buffers),
                SEGUE_OUT_OF_RANGE, "packed has 9215 bytes; the matrix needs 9216");
    buffers.packed = make_memory(test, 10000);
    buffers.packed.offset_bytes = 8;
    CHECK_ERROR(segue_quant_cmd_pack(commands, packing, &matrix, (struct segue_quant_rows){0, 64},
                                     &buffers),
                SEGUE_INVALID_ARGUMENT,
                "offset 8 (8 in the underlying memory) is not a multiple of 16");
    segue_test_destroy(test, commands);
}

static void test_reordering_refusals(void **state)
{
    struct segue_test *test = *state;
    segue_executable *packing = open_packing(test);
    const struct segue_buffer_ref memory = make_memory(test, 64);
    const struct segue_quant_reorder_constants good = {16, 2, 2};
    const struct {
        struct segue_quant_reorder_constants constants;
        const char *text;
    } bad[] = {
        {{0, 1, 2}, "columns is 0"},        {{(1u << 20) + 1, 1, 2}, "columns is 1048577"},
        {{16, 0, 2}, "batch is 0"},         {{16, 65, 2}, "batch is 65"},
        {{16, 1, 8}, "element_bytes is 8"},
    };
    struct segue_quant_reorder_buffers buffers = {memory, memory, memory};
    segue_command_buffer *commands = segue_test_begin(test);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_ERROR(segue_quant_cmd_reorder(commands, packing, &bad[i].constants, &buffers),
                    SEGUE_INVALID_ARGUMENT, bad[i].text);
    CHECK_ERROR(segue_quant_cmd_reorder(commands, packing, NULL, &buffers), SEGUE_INVALID_ARGUMENT,
                "constants is NULL");
    CHECK_ERROR(segue_quant_cmd_reorder(commands, packing, &good, NULL), SEGUE_INVALID_ARGUMENT,
                "buffers is NULL");
    buffers.order.length_bytes = 63;
    CHECK_ERROR(segue_quant_cmd_reorder(commands, packing, &good, &buffers), SEGUE_OUT_OF_RANGE,
                "order has 63 bytes; it needs 64");
    buffers.order = make_memory(test, 128);
    buffers.order.offset_bytes = 2;
    CHECK_ERROR(segue_quant_cmd_reorder(commands, packing, &good, &buffers), SEGUE_INVALID_ARGUMENT,
                "offset 2 (2 in the underlying memory) is not a multiple of 4");
    segue_test_destroy(test, commands);
}

int main(void)
{
    const int unprepared = segue_test_prepare();
    if (unprepared)
        return unprepared;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix_refusals),      cmocka_unit_test(test_row_ranges),
        cmocka_unit_test(test_packing_refuses_null), segue_test_case(test_product_refusals),
        segue_test_case(test_misaligned_bindings),   segue_test_case(test_packing_refusals),
        segue_test_case(test_reordering_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
