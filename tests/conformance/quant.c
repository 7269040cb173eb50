// SPDX-License-Identifier: Apache-2.0
// Quantised matrices through recording: packing in pieces, products that wait for each other by
// themselves. Weights are 2 on the diagonal and 0 elsewhere, so that every result is exact.
#include "conformance.h"

#include <segue/quant.h>

#define SIZE 256
#define WEIGHTS_BYTES (SIZE * SIZE / 2)
#define SCALES_BYTES (SIZE * (SIZE / 32) * 2)
#define BF16_ONE 0x3F80
#define BF16_TWO 0x4000

static const struct segue_quant_matrix matrix = {
    .name = "unit", .rows = SIZE, .columns = SIZE, .bits = 4, .group_size = 32};

/** The unit matrix times 2, plain and packed on the device. */
struct unit {
    segue_executable *packing;
    segue_buffer *weights;
    segue_buffer *scales;
    segue_buffer *packed;
};

static void make_plain(struct segue_test *test, struct unit *unit)
{
    static uint8_t weights[WEIGHTS_BYTES];
    static uint16_t scales[SCALES_BYTES / 2];
    memset(weights, 0x88, sizeof(weights));
    for (uint32_t i = 0; i < SIZE; i++)
        weights[(i * SIZE + i) / 2] = i % 2 ? 0x98 : 0x89;
    for (uint32_t i = 0; i < SCALES_BYTES / 2; i++)
        scales[i] = BF16_TWO;
    unit->weights = segue_test_buffer(test, sizeof(weights));
    unit->scales = segue_test_buffer(test, sizeof(scales));
    CHECK_OK(segue_buffer_write(unit->weights, 0, weights, sizeof(weights)));
    CHECK_OK(segue_buffer_write(unit->scales, 0, scales, sizeof(scales)));
}

/** Two halves, in no order. */
static void make_unit_of(struct segue_test *test, const struct segue_quant_matrix *matrix,
                         struct unit *unit)
{
    struct segue_executable_params params;
    segue_quant_get_pack_kernels(&params);
    CHECK_OK(segue_quant_register(test->device));
    unit->packing = segue_test_executable(test, &params);
    make_plain(test, unit);
    unit->packed = segue_test_buffer(test, segue_quant_packed_size_bytes(matrix));
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t half = 0; half < 2; half++) {
        const struct segue_quant_pack_buffers buffers = {
            .weights = segue_test_ref(unit->weights, half * WEIGHTS_BYTES / 2, WEIGHTS_BYTES / 2),
            .scales = segue_test_ref(unit->scales, half * SCALES_BYTES / 2, SCALES_BYTES / 2),
            .packed = segue_test_ref(unit->packed, 0, segue_quant_packed_size_bytes(matrix)),
        };
        CHECK_OK(segue_quant_cmd_pack(commands, unit->packing, matrix,
                                      (struct segue_quant_rows){half * SIZE / 2, SIZE / 2},
                                      &buffers));
    }
    segue_test_run(test, commands);
}

static void make_unit(struct segue_test *test, struct unit *unit)
{
    make_unit_of(test, &matrix, unit);
}

static struct segue_quant_gemv make_product(struct segue_test *test, enum segue_quant_type type,
                                            uint32_t flags)
{
    const struct segue_quant_gemv_params params = {
        .matrix = matrix, .batch = 1, .result_type = type, .flags = flags};
    struct segue_quant_gemv gemv;
    CHECK_OK(segue_quant_gemv_create(test->device, &params, &gemv));
    segue_test_keep_executable(test, gemv.executable);
    return gemv;
}

static segue_buffer *make_x(struct segue_test *test)
{
    uint16_t x[SIZE];
    for (uint32_t i = 0; i < SIZE; i++)
        x[i] = (uint16_t)(BF16_ONE + i % 128); // 1 to nearly 2.
    segue_buffer *buffer = segue_test_buffer(test, sizeof(x));
    CHECK_OK(segue_buffer_write(buffer, 0, x, sizeof(x)));
    return buffer;
}

static void packing_in_pieces(void **state)
{
    struct segue_test *test = *state;
    static uint8_t before[WEIGHTS_BYTES], after[WEIGHTS_BYTES];
    struct unit unit;
    make_unit(test, &unit);
    CHECK_OK(segue_buffer_read(unit.weights, 0, before, sizeof(before)));
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(unit.weights), 0, 4));
    segue_test_barrier(commands);
    const struct segue_quant_pack_buffers buffers = {
        .weights = segue_test_whole(unit.weights),
        .scales = segue_test_whole(unit.scales),
        .packed = segue_test_ref(unit.packed, 0, segue_quant_packed_size_bytes(&matrix)),
    };
    CHECK_OK(segue_quant_cmd_unpack(commands, unit.packing, &matrix,
                                    (struct segue_quant_rows){0, SIZE}, &buffers));
    segue_test_run(test, commands);
    CHECK_OK(segue_buffer_read(unit.weights, 0, after, sizeof(after)));
    assert_memory_equal(before, after, sizeof(before));
}

/** Each product reads what the one before it wrote: its loads of x must not run ahead. */
static void products_in_a_chain(void **state)
{
    struct segue_test *test = *state;
    enum { LENGTH = 9 };
    struct unit unit;
    make_unit(test, &unit);
    const struct segue_quant_gemv gemv = make_product(test, SEGUE_QUANT_BF16, 0);
    segue_buffer *vectors[2] = {make_x(test), segue_test_buffer(test, SIZE * 2)};
    uint16_t expected[SIZE], actual[SIZE];
    CHECK_OK(segue_buffer_read(vectors[0], 0, expected, sizeof(expected)));
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t i = 0; i < LENGTH; i++) {
        const struct segue_quant_gemv_buffers buffers = {
            .x = segue_test_whole(vectors[i % 2]),
            .packed = segue_test_whole(unit.packed),
            .out = segue_test_whole(vectors[(i + 1) % 2]),
        };
        CHECK_OK(segue_quant_cmd_gemv(commands, &gemv, &buffers));
        segue_test_barrier(commands);
    }
    segue_test_run(test, commands);
    CHECK_OK(segue_buffer_read(vectors[LENGTH % 2], 0, actual, sizeof(actual)));
    for (uint32_t i = 0; i < SIZE; i++)
        assert_int_equal(actual[i], expected[i] + (LENGTH << 7)); // The exponent counts them.
}

/** out = out + W x, three times. */
static void residual_in_place(void **state)
{
    struct segue_test *test = *state;
    struct unit unit;
    make_unit(test, &unit);
    const struct segue_quant_gemv gemv = make_product(test, SEGUE_QUANT_F32, SEGUE_QUANT_RESIDUAL);
    segue_buffer *x = make_x(test);
    segue_buffer *sum = segue_test_zeros(test, SIZE);
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t i = 0; i < 3; i++) {
        const struct segue_quant_gemv_buffers buffers = {
            .x = segue_test_whole(x),
            .packed = segue_test_whole(unit.packed),
            .out = segue_test_whole(sum),
            .residual = segue_test_whole(sum),
        };
        CHECK_OK(segue_quant_cmd_gemv(commands, &gemv, &buffers));
        segue_test_barrier(commands);
    }
    segue_test_run(test, commands);
    float actual[SIZE];
    CHECK_OK(segue_buffer_read(sum, 0, actual, sizeof(actual)));
    for (uint32_t i = 0; i < SIZE; i++)
        assert_true(actual[i] == 6.0f * (1.0f + (float)(i % 128) / 128.0f));
}

/** x turned round before the product, whose result is turned round thereby. */
static void reordered_columns(void **state)
{
    struct segue_test *test = *state;
    struct unit unit;
    make_unit(test, &unit);
    const struct segue_quant_gemv gemv = make_product(test, SEGUE_QUANT_F32, 0);
    const struct segue_quant_reorder_constants constants = {SIZE, 1, 2};
    uint32_t numbers[SIZE];
    for (uint32_t i = 0; i < SIZE; i++)
        numbers[i] = SIZE - 1 - i;
    segue_buffer *order = segue_test_buffer(test, sizeof(numbers));
    CHECK_OK(segue_buffer_write(order, 0, numbers, sizeof(numbers)));
    segue_buffer *x = make_x(test);
    segue_buffer *turned = segue_test_buffer(test, SIZE * 2);
    segue_buffer *out = segue_test_zeros(test, SIZE);
    const struct segue_quant_reorder_buffers reordered = {
        segue_test_whole(x), segue_test_whole(order), segue_test_whole(turned)};
    const struct segue_quant_gemv_buffers buffers = {
        .x = segue_test_whole(turned),
        .packed = segue_test_whole(unit.packed),
        .out = segue_test_whole(out),
    };
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_quant_cmd_reorder(commands, unit.packing, &constants, &reordered));
    segue_test_barrier(commands);
    CHECK_OK(segue_quant_cmd_gemv(commands, &gemv, &buffers));
    segue_test_run(test, commands);
    float actual[SIZE];
    CHECK_OK(segue_buffer_read(out, 0, actual, sizeof(actual)));
    for (uint32_t i = 0; i < SIZE; i++)
        assert_true(actual[i] == 2.0f * (1.0f + (float)((SIZE - 1 - i) % 128) / 128.0f));
}

/** Two heads of q, one of k and one of v, of 64; nothing is turned. */
static void rows_of_caches(void **state)
{
    struct segue_test *test = *state;
    enum { HEAD = 64, CAPACITY = 3, STEPS = 4 };
    struct segue_quant_matrix heads = matrix;
    heads.pair_stride = HEAD / 2;
    const struct segue_quant_gemv_params params = {
        .matrix = heads,
        .batch = 1,
        .flags = SEGUE_QUANT_ROPE_KV,
        .heads = {.heads = 2, .kv_heads = 1, .capacity = CAPACITY},
    };
    struct unit unit;
    struct segue_quant_gemv gemv;
    make_unit_of(test, &heads, &unit);
    CHECK_OK(segue_quant_gemv_create(test->device, &params, &gemv));
    segue_test_keep_executable(test, gemv.executable);
    assert_int_equal(gemv.cache_size_bytes, CAPACITY * HEAD * 2);
    segue_buffer *position = segue_test_zeros(test, 1);
    segue_buffer *q = segue_test_zeros(test, HEAD);
    segue_buffer *caches[2] = {segue_test_zeros(test, CAPACITY * HEAD / 2),
                               segue_test_zeros(test, CAPACITY * HEAD / 2)};
    const struct segue_quant_gemv_buffers buffers = {
        .x = segue_test_whole(make_x(test)),
        .packed = segue_test_whole(unit.packed),
        .out = segue_test_whole(q),
        .frequencies = segue_test_whole(segue_test_zeros(test, HEAD / 2)),
        .position = segue_test_whole(position),
        .k_cache = segue_test_whole(caches[0]),
        .v_cache = segue_test_whole(caches[1]),
    };
    // Rows 1 and 2; then there are no more.
    for (uint32_t i = 1; i < STEPS; i++) {
        CHECK_OK(segue_buffer_write(position, 0, &i, sizeof(i)));
        segue_command_buffer *commands = segue_test_begin(test);
        CHECK_OK(segue_quant_cmd_gemv(commands, &gemv, &buffers));
        segue_test_run(test, commands);
    }
    uint16_t out[2 * HEAD], rows[CAPACITY * HEAD];
    CHECK_OK(segue_buffer_read(q, 0, out, sizeof(out)));
    for (uint32_t i = 0; i < 2 * HEAD; i++)
        assert_int_equal(out[i], BF16_ONE + (1 << 7) + i % 128);
    for (uint32_t which = 0; which < 2; which++) {
        CHECK_OK(segue_buffer_read(caches[which], 0, rows, sizeof(rows)));
        for (uint32_t i = 0; i < CAPACITY * HEAD; i++)
            assert_int_equal(rows[i], i < HEAD ? 0 : BF16_ONE + (1 << 7) + which * HEAD + i % HEAD);
    }
}

/** Of equal results the first; then the position moves on, so that launches follow each other. */
static void largest_result(void **state)
{
    struct segue_test *test = *state;
    enum { LAUNCHES = 3, START = 7 };
    struct unit unit;
    make_unit(test, &unit);
    const struct segue_quant_gemv gemv =
        make_product(test, SEGUE_QUANT_F32, SEGUE_QUANT_ARGMAX | SEGUE_QUANT_ADVANCE);
    const uint32_t start = START;
    segue_buffer *position = segue_test_zeros(test, 1);
    CHECK_OK(segue_buffer_write(position, 0, &start, sizeof(start)));
    segue_buffer *token = segue_test_zeros(test, 1);
    segue_buffer *argmax_state = segue_test_zeros(test, 4);
    const struct segue_quant_gemv_buffers buffers = {
        .x = segue_test_whole(make_x(test)),
        .packed = segue_test_whole(unit.packed),
        .out = segue_test_whole(segue_test_zeros(test, SIZE)),
        .position = segue_test_whole(position),
        .token = segue_test_whole(token),
        .state = segue_test_whole(argmax_state),
    };
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t i = 0; i < LAUNCHES; i++) {
        CHECK_OK(segue_quant_cmd_gemv(commands, &gemv, &buffers));
        segue_test_barrier(commands);
    }
    segue_test_run(test, commands);
    uint32_t found, moved;
    CHECK_OK(segue_buffer_read(token, 0, &found, sizeof(found)));
    CHECK_OK(segue_buffer_read(position, 0, &moved, sizeof(moved)));
    assert_int_equal(found, 127); // As large as 255.
    assert_int_equal(moved, START + LAUNCHES);
}

static const struct CMUnitTest tests[] = {
    segue_test_case(packing_in_pieces), segue_test_case(products_in_a_chain),
    segue_test_case(residual_in_place), segue_test_case(reordered_columns),
    segue_test_case(rows_of_caches),    segue_test_case(largest_result),
};

const struct segue_conformance_area segue_conformance_quant = {"quant", tests,
                                                               sizeof(tests) / sizeof(tests[0])};
