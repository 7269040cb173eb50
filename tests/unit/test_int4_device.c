// SPDX-License-Identifier: Apache-2.0
// Packing, unpacking and products on a device ($SEGUE_TEST_DEVICE): on a GPU that is the CUDA code,
// on the software driver its references behind the whole path. Packing must give the bytes that C
// gives, products are compared with double precision. Every buffer is a view between guard bytes.
#include "int4_cases.h"
#include "int4_flags.h"
#include "layout.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define GUARD_BYTES 256
#define GUARD_VALUE 0xA5
/** Not a number in any of the types: what no kernel has written shows. */
#define POISON_VALUE 0xFF

/** A view on the device. */
struct view {
    segue_buffer *block;
    struct segue_buffer_ref ref;
};

static void open_view(struct segue_test *test, const void *data, uint64_t size_bytes,
                      struct view *out_view)
{
    const uint64_t block_bytes = size_bytes + 2 * GUARD_BYTES;
    uint8_t *bytes = malloc(block_bytes);
    assert_non_null(bytes);
    memset(bytes, GUARD_VALUE, block_bytes);
    if (data)
        memcpy(bytes + GUARD_BYTES, data, size_bytes);
    else
        memset(bytes + GUARD_BYTES, POISON_VALUE, size_bytes);
    out_view->block = segue_test_buffer(test, block_bytes);
    CHECK_OK(segue_buffer_write(out_view->block, 0, bytes, block_bytes));
    out_view->ref = segue_test_ref(out_view->block, GUARD_BYTES, size_bytes);
    free(bytes);
}

/** What the view holds; the caller frees it. */
static uint8_t *read_view(const struct view *view)
{
    const uint64_t size_bytes = view->ref.length_bytes;
    uint8_t *bytes = malloc(size_bytes + 2 * GUARD_BYTES);
    assert_non_null(bytes);
    CHECK_OK(segue_buffer_read(view->block, 0, bytes, size_bytes + 2 * GUARD_BYTES));
    for (uint64_t i = 0; i < GUARD_BYTES; i++) {
        assert_int_equal(bytes[i], GUARD_VALUE);
        assert_int_equal(bytes[GUARD_BYTES + size_bytes + i], GUARD_VALUE);
    }
    memmove(bytes, bytes + GUARD_BYTES, size_bytes);
    return bytes;
}

static void close_view(struct segue_test *test, struct view *view)
{
    if (view->block)
        segue_test_destroy(test, view->block);
    view->block = NULL;
}

static void expect_bytes(const struct view *view, const void *expected)
{
    uint8_t *bytes = read_view(view);
    assert_memory_equal(bytes, expected, view->ref.length_bytes);
    free(bytes);
}

static segue_executable *open_packing(struct segue_test *test)
{
    struct segue_executable_params params;
    CHECK_OK(segue_quant_register(test->device));
    segue_quant_get_pack_kernels(&params);
    return segue_test_executable(test, &params);
}

/** Packs on the device: in one piece, or in two that may run at the same time. */
static void pack(struct segue_test *test, segue_executable *packing, const struct int4_case *matrix,
                 const struct segue_quant_pack_buffers *buffers, bool split)
{
    const uint32_t rows = matrix->matrix.rows;
    const uint32_t first = split ? rows / 32 * 16 : 0;
    struct segue_quant_plain_sizes skipped;
    segue_quant_get_plain_sizes(&matrix->matrix, first, &skipped);
    struct segue_quant_pack_buffers rest = *buffers;
    rest.weights.offset_bytes += skipped.weights_bytes;
    rest.weights.length_bytes -= skipped.weights_bytes;
    rest.scales.offset_bytes += skipped.scales_bytes;
    rest.scales.length_bytes -= skipped.scales_bytes;
    rest.zeros.offset_bytes += skipped.zeros_bytes;
    rest.zeros.length_bytes -= skipped.zeros_bytes;
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_quant_cmd_pack(commands, packing, &matrix->matrix,
                                  (struct segue_quant_rows){first, rows - first}, &rest));
    CHECK_OK(segue_quant_cmd_pack(commands, packing, &matrix->matrix,
                                  (struct segue_quant_rows){0, first}, buffers));
    segue_test_run(test, commands);
    segue_test_destroy(test, commands);
}

static void unpack_and_check(struct segue_test *test, segue_executable *packing,
                             const struct int4_case *matrix, struct segue_buffer_ref packed)
{
    struct view weights, scales, zeros = {0};
    open_view(test, NULL, matrix->sizes.weights_bytes, &weights);
    open_view(test, NULL, matrix->sizes.scales_bytes, &scales);
    if (matrix->sizes.zeros_bytes != 0)
        open_view(test, NULL, matrix->sizes.zeros_bytes, &zeros);
    const struct segue_quant_pack_buffers buffers = {weights.ref, scales.ref, zeros.ref, packed};
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_quant_cmd_unpack(commands, packing, &matrix->matrix,
                                    (struct segue_quant_rows){0, matrix->matrix.rows}, &buffers));
    segue_test_run(test, commands);
    segue_test_destroy(test, commands);
    expect_bytes(&weights, matrix->plain.weights);
    expect_bytes(&scales, matrix->plain.scales);
    if (zeros.block)
        expect_bytes(&zeros, matrix->plain.zeros);
    close_view(test, &weights);
    close_view(test, &scales);
    close_view(test, &zeros);
}

/** Packs the matrix on the device and compares with C; the caller closes the view. */
static void make_packed(struct segue_test *test, segue_executable *packing,
                        const struct int4_case *matrix, bool split, struct view *out_packed)
{
    const uint64_t size_bytes = segue_quant_packed_size_bytes(&matrix->matrix);
    uint8_t *expected = malloc(size_bytes);
    assert_non_null(expected);
    CHECK_OK(segue_quant_pack(&matrix->matrix, (struct segue_quant_rows){0, matrix->matrix.rows},
                              &matrix->plain, expected));
    struct view weights, scales, zeros = {0};
    open_view(test, matrix->plain.weights, matrix->sizes.weights_bytes, &weights);
    open_view(test, matrix->plain.scales, matrix->sizes.scales_bytes, &scales);
    if (matrix->sizes.zeros_bytes != 0)
        open_view(test, matrix->plain.zeros, matrix->sizes.zeros_bytes, &zeros);
    open_view(test, NULL, size_bytes, out_packed);
    const struct segue_quant_pack_buffers buffers = {weights.ref, scales.ref, zeros.ref,
                                                     out_packed->ref};
    pack(test, packing, matrix, &buffers, split);
    expect_bytes(out_packed, expected);
    free(expected);
    close_view(test, &weights);
    close_view(test, &scales);
    close_view(test, &zeros);
}

static void test_packing(void **state)
{
    struct segue_test *test = *state;
    segue_executable *packing = open_packing(test);
    for (uint32_t i = 0; i < int4_shape_count(); i++) {
        const struct segue_quant_gemv_params params = int4_shape(i);
        struct int4_case matrix;
        struct view packed;
        int4_case_make(&matrix, &params.matrix, INT4_USUAL, i);
        make_packed(test, packing, &matrix, params.matrix.pair_stride == 0, &packed);
        unpack_and_check(test, packing, &matrix, packed.ref);
        close_view(test, &packed);
        int4_case_free(&matrix);
    }
}

/** Packs, or unpacks, rows of a matrix with pairs. Their plain rows are gathered as the header
 * says: of part of a stretch the first halves of all pairs, then the second ones. */
static void run_piece(struct segue_test *test, segue_executable *packing,
                      const struct int4_case *matrix, struct segue_quant_rows rows,
                      struct segue_buffer_ref packed)
{
    const uint32_t stride = matrix->matrix.pair_stride;
    const bool is_whole = rows.first % (2 * stride) == 0 && rows.count % (2 * stride) == 0;
    const uint8_t *const plain[] = {matrix->plain.weights, matrix->plain.scales,
                                    matrix->plain.zeros};
    struct segue_quant_plain_sizes row;
    segue_quant_get_plain_sizes(&matrix->matrix, 1, &row);
    const uint64_t row_bytes[] = {row.weights_bytes, row.scales_bytes, row.zeros_bytes};
    uint8_t *pieces[3];
    struct view in[3] = {{0}}, back[3] = {{0}};
    for (uint32_t k = 0; k < 3; k++) {
        const uint64_t bytes = row_bytes[k];
        pieces[k] = malloc(rows.count * bytes + 1);
        assert_non_null(pieces[k]);
        for (uint32_t i = 0; i < rows.count && bytes != 0; i++)
            memcpy(pieces[k] + quant_plain_row(i, is_whole ? stride : rows.count / 2) * bytes,
                   plain[k] + quant_plain_row(rows.first + i, stride) * bytes, bytes);
        if (bytes == 0)
            continue;
        open_view(test, pieces[k], rows.count * bytes, &in[k]);
        open_view(test, NULL, rows.count * bytes, &back[k]);
    }
    const struct segue_quant_pack_buffers from = {in[0].ref, in[1].ref, in[2].ref, packed};
    const struct segue_quant_pack_buffers to = {back[0].ref, back[1].ref, back[2].ref, packed};
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_quant_cmd_pack(commands, packing, &matrix->matrix, rows, &from));
    CHECK_OK(segue_cmd_barrier(commands, NULL));
    CHECK_OK(segue_quant_cmd_unpack(commands, packing, &matrix->matrix, rows, &to));
    segue_test_run(test, commands);
    segue_test_destroy(test, commands);
    for (uint32_t k = 0; k < 3; k++) {
        if (back[k].block)
            expect_bytes(&back[k], pieces[k]);
        close_view(test, &in[k]);
        close_view(test, &back[k]);
        free(pieces[k]);
    }
}

/** A tile of pairs, the rest of its stretch, and all further stretches. */
static void test_pieces_with_pairs(void **state)
{
    struct segue_test *test = *state;
    segue_executable *packing = open_packing(test);
    uint32_t count = 0;
    for (uint32_t i = 0; i < int4_shape_count(); i++) {
        const struct segue_quant_matrix shape = int4_shape(i).matrix;
        const uint32_t stretch = 2 * shape.pair_stride;
        if (stretch <= 16)
            continue;
        struct int4_case matrix;
        struct view packed;
        int4_case_make(&matrix, &shape, INT4_USUAL, i);
        const uint64_t size_bytes = segue_quant_packed_size_bytes(&shape);
        uint8_t *expected = malloc(size_bytes);
        assert_non_null(expected);
        CHECK_OK(segue_quant_pack(&shape, (struct segue_quant_rows){0, shape.rows}, &matrix.plain,
                                  expected));
        open_view(test, NULL, size_bytes, &packed);
        const struct segue_quant_rows pieces[] = {
            {0, 16}, {16, stretch - 16}, {stretch, shape.rows - stretch}};
        for (uint32_t k = 0; k < 3 && pieces[k].first < shape.rows; k++)
            run_piece(test, packing, &matrix, pieces[k], packed.ref);
        expect_bytes(&packed, expected);
        close_view(test, &packed);
        free(expected);
        int4_case_free(&matrix);
        count++;
    }
    assert_true(count > 3);
}

static void open_if(struct segue_test *test, const void *data, uint64_t size_bytes,
                    struct view *out_view)
{
    *out_view = (struct view){0};
    if (data)
        open_view(test, data, size_bytes, out_view);
}

/** What a run of a product writes. */
struct results {
    struct view out;
    struct view caches[2];
    struct view position;
    struct view token;
    struct view state;
};

static void open_results(struct segue_test *test, const struct segue_quant_gemv *gemv,
                         const struct int4_product *product, struct results *results)
{
    static const uint64_t zeros[SEGUE_QUANT_MAX_BATCH + 1];
    const uint64_t batch = product->params.batch;
    open_view(test, NULL, gemv->out_size_bytes, &results->out);
    for (uint32_t which = 0; which < 2; which++)
        open_if(test, product->caches[which], gemv->cache_size_bytes, &results->caches[which]);
    open_view(test, product->positions, batch * sizeof(uint32_t), &results->position);
    open_view(test, NULL, batch * sizeof(uint32_t), &results->token);
    open_view(test, zeros, (batch + 1) * sizeof(uint64_t), &results->state);
}

static void close_results(struct segue_test *test, struct results *results)
{
    struct view *const views[] = {&results->out,      &results->caches[0], &results->caches[1],
                                  &results->position, &results->token,     &results->state};
    for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
        close_view(test, views[i]);
}

/** Records the product `count` times, one after the other, each into results of its own. */
static void multiply(struct segue_test *test, const struct segue_quant_gemv *gemv,
                     struct segue_quant_gemv_buffers *buffers, const struct results *results,
                     uint32_t count)
{
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t i = 0; i < count; i++) {
        buffers->out = results[i].out.ref;
        buffers->k_cache = results[i].caches[0].ref;
        buffers->v_cache = results[i].caches[1].ref;
        buffers->position = results[i].position.ref;
        buffers->token = results[i].token.ref;
        buffers->state = results[i].state.ref;
        CHECK_OK(segue_quant_cmd_gemv(commands, gemv, buffers));
        CHECK_OK(segue_cmd_barrier(commands, NULL));
    }
    segue_test_run(test, commands);
    segue_test_destroy(test, commands);
}

/** What the largest results are, and that nothing else is left behind. */
static void check_tokens(const struct int4_product *product, const struct results *results,
                         const uint8_t *out)
{
    const uint32_t batch = product->params.batch;
    uint32_t *tokens = (uint32_t *)read_view(&results->token);
    uint32_t *positions = (uint32_t *)read_view(&results->position);
    uint64_t *state = (uint64_t *)read_view(&results->state);
    int4_product_check_tokens(product, out, tokens);
    for (uint32_t m = 0; m < batch; m++)
        assert_int_equal(positions[m], product->positions[m] +
                                           ((product->params.flags & SEGUE_QUANT_ADVANCE) != 0));
    for (uint32_t i = 0; i <= batch; i++)
        assert_true(state[i] == 0);
    free(tokens);
    free(positions);
    free(state);
}

static void check_results(const struct int4_product *product, const struct results *results)
{
    uint8_t *out = read_view(&results[0].out);
    int4_product_check(product, out);
    expect_bytes(&results[1].out, out); // The same bits every time.
    for (uint32_t which = 0; which < 2 && product->cache_count != 0; which++) {
        uint8_t *cache = read_view(&results[0].caches[which]);
        int4_product_check_cache(product, which, cache);
        expect_bytes(&results[1].caches[which], cache);
        free(cache);
    }
    for (uint32_t i = 0; i < 2 && (product->params.flags & SEGUE_QUANT_ARGMAX); i++)
        check_tokens(product, &results[i], out);
    free(out);
}

static void check_product(struct segue_test *test, const struct segue_quant_gemv *gemv,
                          const struct int4_product *product, struct segue_buffer_ref packed)
{
    enum { REPEATS = 2 };
    const struct segue_quant_matrix *matrix = &product->params.matrix;
    struct view x, norm, bias, residual, frequencies, kv_scales;
    struct results results[REPEATS];
    open_view(test, product->x, product->x_bytes, &x);
    open_if(test, product->norm, (uint64_t)matrix->columns * 2, &norm);
    open_if(test, product->bias, (uint64_t)matrix->rows * 4, &bias);
    open_if(test, product->residual, gemv->out_size_bytes, &residual);
    open_if(test, product->frequencies, (uint64_t)matrix->pair_stride * 4, &frequencies);
    open_if(test, product->kv_scales, (uint64_t)product->params.heads.kv_heads * 8, &kv_scales);
    for (uint32_t i = 0; i < REPEATS; i++)
        open_results(test, gemv, product, &results[i]);
    struct segue_quant_gemv_buffers buffers = {.x = x.ref,
                                               .packed = packed,
                                               .norm = norm.ref,
                                               .bias = bias.ref,
                                               .residual = residual.ref,
                                               .frequencies = frequencies.ref,
                                               .kv_scales = kv_scales.ref};
    multiply(test, gemv, &buffers, results, REPEATS);
    check_results(product, results);
    for (uint32_t i = 0; i < REPEATS; i++)
        close_results(test, &results[i]);
    close_view(test, &x);
    close_view(test, &norm);
    close_view(test, &bias);
    close_view(test, &residual);
    close_view(test, &frequencies);
    close_view(test, &kv_scales);
}

static void check_matrix(struct segue_test *test, segue_executable *packing,
                         const struct segue_quant_gemv *gemv,
                         const struct segue_quant_gemv_params *params, enum int4_flavour flavour,
                         uint64_t seed)
{
    struct int4_case matrix;
    struct int4_product product;
    struct view packed;
    int4_case_make(&matrix, &params->matrix, flavour, seed);
    int4_product_make(&product, &matrix, params, flavour);
    make_packed(test, packing, &matrix, false, &packed);
    check_product(test, gemv, &product, packed.ref);
    close_view(test, &packed);
    int4_product_free(&product);
    int4_case_free(&matrix);
}

static void test_products(void **state)
{
    struct segue_test *test = *state;
    segue_executable *packing = open_packing(test);
    for (uint32_t i = 0; i < int4_shape_count(); i++) {
        const struct segue_quant_gemv_params params = int4_shape(i);
        struct segue_quant_gemv gemv;
        CHECK_OK(segue_quant_gemv_create(test->device, &params, &gemv));
        for (int flavour = 0; flavour < INT4_FLAVOUR_COUNT; flavour++) {
            if (int4_flavour_fits(&params, (enum int4_flavour)flavour))
                check_matrix(test, packing, &gemv, &params, (enum int4_flavour)flavour, i);
        }
        segue_quant_gemv_destroy(&gemv);
    }
}

/** More rows than a GPU takes at a time, where each warp takes several tiles of them at once. */
static void test_many_rows(void **state)
{
    static const struct segue_quant_gemv_params shapes[] = {
        {.matrix = {.rows = 34000, .columns = 1024, .bits = 4, .group_size = 128},
         .batch = 33,
         .result_type = SEGUE_QUANT_F32},
        {.matrix = {.rows = 8500, .columns = 2208, .bits = 4, .group_size = 32},
         .batch = 30,
         .result_type = SEGUE_QUANT_F32},
    };
    struct segue_test *test = *state;
    struct segue_device_info info;
    segue_device_get_info(test->device, &info);
    if (info.is_soft)
        skip(); // Its references know no tiles.
    segue_executable *packing = open_packing(test);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct segue_quant_gemv gemv;
        CHECK_OK(segue_quant_gemv_create(test->device, &shapes[i], &gemv));
        check_matrix(test, packing, &gemv, &shapes[i], INT4_USUAL, i);
        segue_quant_gemv_destroy(&gemv);
    }
}

static void check_flags(struct segue_test *test, segue_executable *packing, uint32_t flags)
{
    const struct segue_quant_gemv_params params = int4_flags_shape(flags);
    struct segue_quant_gemv gemv;
    if (!int4_flags_fit(flags)) {
        char text[32];
        snprintf(text, sizeof(text), "\"flags\": flags is 0x%x; ", flags);
        CHECK_ERROR(segue_quant_gemv_create(test->device, &params, &gemv), SEGUE_INVALID_ARGUMENT,
                    text);
        return;
    }
    struct int4_case matrix;
    struct int4_product product;
    struct view packed;
    CHECK_OK(segue_quant_gemv_create(test->device, &params, &gemv));
    int4_case_make(&matrix, &params.matrix, INT4_USUAL, flags);
    int4_product_make(&product, &matrix, &params, INT4_USUAL);
    make_packed(test, packing, &matrix, false, &packed);
    check_product(test, &gemv, &product, packed.ref);
    close_view(test, &packed);
    int4_product_free(&product);
    int4_case_free(&matrix);
    segue_quant_gemv_destroy(&gemv);
}

/** Each set of flags is refused, or its product right. */
static void test_flags(void **state)
{
    struct segue_test *test = *state;
    segue_executable *packing = open_packing(test);
    for (uint32_t flags = 0; flags < INT4_FLAG_SETS; flags++)
        check_flags(test, packing, flags);
}

/** NaN is never the largest: with rows of NaN and of minus infinity it is the first of these, with
 *  nothing but NaN row 0. */
static void test_largest_beside_nan(void **state)
{
    struct segue_test *test = *state;
    segue_executable *packing = open_packing(test);
    const struct segue_quant_gemv_params params =
        int4_flags_shape(SEGUE_QUANT_BIAS | SEGUE_QUANT_ARGMAX);
    struct segue_quant_gemv gemv;
    CHECK_OK(segue_quant_gemv_create(test->device, &params, &gemv));
    for (uint32_t numbers = 0; numbers < 2; numbers++) {
        struct int4_case matrix;
        struct int4_product product;
        struct view packed, x, bias;
        struct results results;
        int4_case_make(&matrix, &params.matrix, INT4_USUAL, 1);
        int4_product_make(&product, &matrix, &params, INT4_USUAL);
        for (uint32_t row = 0; row < params.matrix.rows; row++)
            int4_store(product.bias, SEGUE_QUANT_F32, row,
                       numbers != 0 && row % 20 == 13 ? -INFINITY : NAN);
        make_packed(test, packing, &matrix, false, &packed);
        open_view(test, product.x, product.x_bytes, &x);
        open_view(test, product.bias, (uint64_t)params.matrix.rows * 4, &bias);
        open_results(test, &gemv, &product, &results);
        struct segue_quant_gemv_buffers buffers = {
            .x = x.ref, .packed = packed.ref, .bias = bias.ref};
        multiply(test, &gemv, &buffers, &results, 1);
        uint32_t *tokens = (uint32_t *)read_view(&results.token);
        for (uint32_t m = 0; m < params.batch; m++)
            assert_int_equal(tokens[m], numbers != 0 ? 13 : 0);
        free(tokens);
        close_results(test, &results);
        close_view(test, &bias);
        close_view(test, &x);
        close_view(test, &packed);
        int4_product_free(&product);
        int4_case_free(&matrix);
    }
    segue_quant_gemv_destroy(&gemv);
}

/** Vectors of 2 and of 4 bytes an element; an element is its place. */
static void check_reordering(struct segue_test *test, segue_executable *packing,
                             uint32_t element_bytes)
{
    enum { COLUMNS = 1000, BATCH = 3 };
    const struct segue_quant_reorder_constants constants = {COLUMNS, BATCH, element_bytes};
    uint32_t order[COLUMNS];
    uint8_t x[BATCH * COLUMNS * 4], expected[BATCH * COLUMNS * 4];
    for (uint32_t i = 0; i < COLUMNS; i++)
        order[i] = (i * 7 + 3) % COLUMNS;
    for (uint32_t i = 0; i < BATCH * COLUMNS; i++) {
        const uint32_t from = i / COLUMNS * COLUMNS + order[i % COLUMNS];
        memcpy(x + i * element_bytes, &i, element_bytes);
        memcpy(expected + i * element_bytes, &from, element_bytes);
    }
    struct view x_view, order_view, out;
    open_view(test, x, BATCH * COLUMNS * element_bytes, &x_view);
    open_view(test, order, sizeof(order), &order_view);
    open_view(test, NULL, BATCH * COLUMNS * element_bytes, &out);
    const struct segue_quant_reorder_buffers buffers = {x_view.ref, order_view.ref, out.ref};
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_quant_cmd_reorder(commands, packing, &constants, &buffers));
    segue_test_run(test, commands);
    segue_test_destroy(test, commands);
    expect_bytes(&out, expected);
    close_view(test, &x_view);
    close_view(test, &order_view);
    close_view(test, &out);
}

static void test_reordering(void **state)
{
    struct segue_test *test = *state;
    segue_executable *packing = open_packing(test);
    check_reordering(test, packing, 2);
    check_reordering(test, packing, 4);
}

int main(void)
{
    const int unprepared = segue_test_prepare();
    if (unprepared)
        return unprepared;
    const struct CMUnitTest tests[] = {
        segue_test_case(test_packing),    segue_test_case(test_pieces_with_pairs),
        segue_test_case(test_products),   segue_test_case(test_many_rows),
        segue_test_case(test_flags),      segue_test_case(test_largest_beside_nan),
        segue_test_case(test_reordering),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
