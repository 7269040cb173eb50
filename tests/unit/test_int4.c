// SPDX-License-Identifier: Apache-2.0
// Quantised matrices in C: the packed layout against numbers worked out by hand, unpacking as the
// inverse of packing, and the product's reference against double precision.
#include "gemv.h"
#include "gemv_plan.h"
#include "int4_cases.h"
#include "layout.h"
#include "pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GUARD_BYTES 64
#define GUARD_VALUE 0xA5

/** Row r, column k of 16 x 256 weights holds (r + 3 k) % 16, group scales count up. */
static void test_layout_by_hand(void **state)
{
    (void)state;
    static uint8_t weights[16 * 128], packed[2112];
    static uint16_t scales[16 * 2];
    const struct segue_quant_matrix matrix = {
        .rows = 16, .columns = 256, .bits = 4, .group_size = 128};
    const struct segue_quant_plain plain = {weights, scales, NULL};
    for (uint32_t i = 0; i < 16 * 256; i++)
        weights[i / 2] |= (uint8_t)((i / 256 + 3 * (i % 256)) % 16 << (i % 2 * 4));
    for (uint16_t i = 0; i < 32; i++)
        scales[i] = i;
    assert_int_equal(segue_quant_packed_size_bytes(&matrix), sizeof(packed));
    assert_int_equal(segue_quant_pack(&matrix, (struct segue_quant_rows){0, 16}, &plain, packed),
                     SEGUE_OK);
    // Lane 0, word 0: rows 0 and 8, columns 0 to 3, are 0 3 6 9 and 8 11 14 1; row 8 in the high
    // nibbles.
    static const uint8_t first[] = {0x80, 0xB3, 0xE6, 0x19};
    assert_memory_equal(packed, first, 4);
    // Block 1, lane 14 (row 3, third eight columns of a half), word 3: columns 128 + 32 + 2 x 8 + 4
    // = 180 to 183: row 3 has 543 % 16 = 15, 2, 5, 8; row 11 has 7, 10, 13, 0.
    static const uint8_t later[] = {0x7F, 0xA2, 0xD5, 0x08};
    assert_memory_equal(packed + 1056 + 14 * 16 + 3 * 4, later, 4);
    // Scales of block 0: rows 0 and 8, 1 and 9, 2 and 10. Those of block 1 count one more.
    static const uint16_t by_row[2][6] = {{0, 16, 2, 18, 4, 20}, {1, 17, 3, 19, 5, 21}};
    assert_memory_equal(packed + 1024, by_row[0], sizeof(by_row[0]));
    assert_memory_equal(packed + 1056 + 1024, by_row[1], sizeof(by_row[1]));

    // One row of 32 columns: all else in the tile stands for 0.
    const struct segue_quant_matrix small = {.rows = 1, .columns = 32, .bits = 4, .group_size = 32};
    memset(weights, 0x33, 16);
    assert_int_equal(segue_quant_pack(&small, (struct segue_quant_rows){0, 1}, &plain, packed),
                     SEGUE_OK);
    for (uint32_t i = 0; i < 1024; i++)
        assert_int_equal(packed[i], i / 16 < 4 && i % 16 < 8 ? 0x83 : 0x88);
}

/** Row r, column k of 16 x 256 bytes holds 17 r + 5 k, zero points are 2 r + group - 100. */
static void test_layout_of_bytes_by_hand(void **state)
{
    (void)state;
    enum { BLOCK_BYTES = 2 * 1024 + 16 * 2 + 16 };
    static uint8_t weights[16 * 256], packed[2 * BLOCK_BYTES];
    static uint16_t scales[16 * 2];
    int8_t zeros[16 * 2];
    const struct segue_quant_matrix matrix = {
        .rows = 16, .columns = 256, .bits = 8, .group_size = 128, .zero = SEGUE_QUANT_ZERO_POINTS};
    const struct segue_quant_plain plain = {weights, scales, zeros};
    for (uint32_t i = 0; i < sizeof(weights); i++)
        weights[i] = (uint8_t)(17 * (i / 256) + 5 * (i % 256));
    for (int i = 0; i < 32; i++)
        zeros[i] = (int8_t)(i - 100);
    assert_int_equal(segue_quant_packed_size_bytes(&matrix), sizeof(packed));
    assert_int_equal(segue_quant_pack(&matrix, (struct segue_quant_rows){0, 16}, &plain, packed),
                     SEGUE_OK);
    // Lane 0, word 0: rows 0 and 8, columns 0 to 3, with 128 added: 80 85 8A 8F and 08 0D 12 17;
    // lower halves first, upper ones in the other plane.
    static const uint8_t low[] = {0x80, 0xD5, 0x2A, 0x7F}, high[] = {0x08, 0x08, 0x18, 0x18};
    assert_memory_equal(packed, low, 4);
    assert_memory_equal(packed + 1024, high, 4);
    // Zero points of rows 0 8 1 9, with 128 added: 28, 44, 30, 46. Those of block 1 count one more.
    static const uint8_t points[2][4] = {{28, 44, 30, 46}, {29, 45, 31, 47}};
    assert_memory_equal(packed + 2048 + 32, points[0], 4);
    assert_memory_equal(packed + BLOCK_BYTES + 2048 + 32, points[1], 4);
}

static uint8_t *guarded(size_t size_bytes)
{
    uint8_t *block = malloc(size_bytes + 2 * GUARD_BYTES);
    assert_non_null(block);
    memset(block, GUARD_VALUE, size_bytes + 2 * GUARD_BYTES);
    return block + GUARD_BYTES;
}

static void release_guarded(uint8_t *memory, size_t size_bytes)
{
    for (size_t i = 0; i < GUARD_BYTES; i++) {
        assert_int_equal(memory[-1 - (ptrdiff_t)i], GUARD_VALUE);
        assert_int_equal(memory[size_bytes + i], GUARD_VALUE);
    }
    free(memory - GUARD_BYTES);
}

static void check_inverse(const struct int4_case *test, const uint8_t *packed)
{
    const struct segue_quant_rows all = {0, test->matrix.rows};
    struct segue_quant_plain back = {guarded(test->sizes.weights_bytes),
                                     guarded(test->sizes.scales_bytes),
                                     guarded(test->sizes.zeros_bytes)};
    assert_int_equal(segue_quant_unpack(&test->matrix, all, packed, &back), SEGUE_OK);
    assert_memory_equal(back.weights, test->plain.weights, test->sizes.weights_bytes);
    assert_memory_equal(back.scales, test->plain.scales, test->sizes.scales_bytes);
    if (test->sizes.zeros_bytes != 0)
        assert_memory_equal(back.zeros, test->plain.zeros, test->sizes.zeros_bytes);
    release_guarded(back.weights, test->sizes.weights_bytes);
    release_guarded(back.scales, test->sizes.scales_bytes);
    release_guarded(back.zeros, test->sizes.zeros_bytes);
}

/** Packs tile by tile, pairs gathered as the header says, and expects the same bytes. */
static void check_chunks(const struct int4_case *test, const uint8_t *whole)
{
    const struct segue_quant_matrix *matrix = &test->matrix;
    const uint32_t stride = matrix->pair_stride ? matrix->pair_stride : 8;
    for (uint32_t first = 0; first < matrix->rows; first += 16) {
        const struct segue_quant_rows rows = {
            first, matrix->rows - first < 16 ? matrix->rows - first : 16};
        struct segue_quant_plain_sizes sizes;
        segue_quant_get_plain_sizes(matrix, 1, &sizes);
        struct segue_quant_plain chunk = {guarded(16 * sizes.weights_bytes),
                                          guarded(16 * sizes.scales_bytes),
                                          guarded(16 * sizes.zeros_bytes)};
        for (uint32_t i = 0; i < rows.count; i++) {
            const uint64_t row = quant_plain_row(first + i, stride);
            memcpy((uint8_t *)chunk.weights + i * sizes.weights_bytes,
                   (uint8_t *)test->plain.weights + row * sizes.weights_bytes, sizes.weights_bytes);
            memcpy((uint8_t *)chunk.scales + i * sizes.scales_bytes,
                   (uint8_t *)test->plain.scales + row * sizes.scales_bytes, sizes.scales_bytes);
            if (sizes.zeros_bytes != 0)
                memcpy((uint8_t *)chunk.zeros + i * sizes.zeros_bytes,
                       (uint8_t *)test->plain.zeros + row * sizes.zeros_bytes, sizes.zeros_bytes);
        }
        uint64_t offset, size;
        assert_int_equal(segue_quant_get_packed_range(matrix, rows, &offset, &size), SEGUE_OK);
        uint8_t *packed = guarded(size);
        assert_int_equal(segue_quant_pack(matrix, rows, &chunk, packed), SEGUE_OK);
        assert_memory_equal(packed, whole + offset, size);
        release_guarded(packed, size);
        release_guarded(chunk.weights, 16 * sizes.weights_bytes);
        release_guarded(chunk.scales, 16 * sizes.scales_bytes);
        release_guarded(chunk.zeros, 16 * sizes.zeros_bytes);
    }
}

static void test_packing(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < int4_shape_count(); i++) {
        const struct segue_quant_gemv_params params = int4_shape(i);
        struct int4_case test;
        int4_case_make(&test, &params.matrix, INT4_USUAL, i);
        const uint64_t size_bytes = segue_quant_packed_size_bytes(&params.matrix);
        uint8_t *packed = guarded(size_bytes);
        const struct segue_quant_rows all = {0, params.matrix.rows};
        assert_int_equal(segue_quant_pack(&test.matrix, all, &test.plain, packed), SEGUE_OK);
        check_inverse(&test, packed);
        check_chunks(&test, packed);
        release_guarded(packed, size_bytes);
        int4_case_free(&test);
    }
}

static void check_product(const struct segue_quant_gemv_params *params, enum int4_flavour flavour,
                          uint64_t seed)
{
    struct int4_case test;
    struct int4_product product;
    int4_case_make(&test, &params->matrix, flavour, seed);
    int4_product_make(&product, &test, params, flavour);
    uint8_t *packed = malloc(segue_quant_packed_size_bytes(&params->matrix));
    assert_non_null(packed);
    assert_int_equal(segue_quant_pack(&test.matrix, (struct segue_quant_rows){0, test.matrix.rows},
                                      &test.plain, packed),
                     SEGUE_OK);
    const struct segue_quant_gemv_constants constants = {
        .rows = params->matrix.rows,
        .columns = params->matrix.columns,
        .bits = params->matrix.bits,
        .group_size = params->matrix.group_size,
        .scale_type = (uint32_t)params->matrix.scale_type,
        .zero = (uint32_t)params->matrix.zero,
        .pair_stride = params->matrix.pair_stride,
        .batch = params->batch,
        .activation_type = (uint32_t)params->activation_type,
        .result_type = (uint32_t)params->result_type,
        .flags = params->flags,
        .epsilon = params->epsilon,
        .heads = params->heads,
    };
    uint64_t sizes[GEMV_BINDING_COUNT];
    segue_quant_gemv_sizes(&constants, sizes);
    uint8_t *out = guarded(sizes[GEMV_OUT]);
    uint32_t tokens[SEGUE_QUANT_MAX_BATCH];
    void *const memory[GEMV_BINDING_COUNT] = {
        [GEMV_X] = product.x,
        [GEMV_PACKED] = packed,
        [GEMV_NORM] = product.norm,
        [GEMV_BIAS] = product.bias,
        [GEMV_RESIDUAL] = product.residual,
        [GEMV_FREQUENCIES] = product.frequencies,
        [GEMV_KV_SCALES] = product.kv_scales,
        [GEMV_POSITION] = product.positions,
        [GEMV_K_CACHE] = product.caches[0],
        [GEMV_V_CACHE] = product.caches[1],
        [GEMV_OUT] = out,
        [GEMV_TOKEN] = tokens,
    };
    assert_int_equal(sizes[GEMV_X], product.x_bytes);
    assert_true(segue_quant_gemv_compute(&constants, memory));
    int4_product_check(&product, out);
    if (params->flags & SEGUE_QUANT_ARGMAX)
        int4_product_check_tokens(&product, out, tokens);
    release_guarded(out, sizes[GEMV_OUT]);
    free(packed);
    int4_product_free(&product);
    int4_case_free(&test);
}

static void test_product(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < int4_shape_count(); i++) {
        const struct segue_quant_gemv_params params = int4_shape(i);
        for (int flavour = 0; flavour < INT4_FLAVOUR_COUNT; flavour++) {
            if (int4_flavour_fits(&params, (enum int4_flavour)flavour))
                check_product(&params, (enum int4_flavour)flavour, i);
        }
    }
}

/** Heads are as many as the rows make, and no product of theirs wraps. */
static void test_heads(void **state)
{
    (void)state;
    struct segue_quant_gemv_constants constants = {
        .rows = 256, .pair_stride = 32, .heads = {.heads = 2, .kv_heads = 1, .capacity = 1}};
    assert_true(segue_quant_gemv_heads_fit(&constants));
    constants.heads.heads = 3;
    assert_false(segue_quant_gemv_heads_fit(&constants));
    constants.heads = (struct segue_quant_heads){1995, UINT32_MAX, 1};
    constants.pair_stride = 1073741575;
    constants.rows = 2146491134;
    assert_false(segue_quant_gemv_heads_fit(&constants));
}

static bool count_range(struct segue_reference_ranges *ranges, uint64_t address,
                        uint64_t size_bytes, bool read, bool write)
{
    (void)address, (void)size_bytes, (void)read, (void)write;
    ++*(uint32_t *)ranges->driver;
    return true;
}

/** Ranges that a reference states for these constants; 0 where it takes them for unsound. */
static uint32_t count_ranges(const char *name, const struct segue_quant_gemv_constants *constants,
                             uint32_t parameter_count)
{
    static const uint64_t address = 4096;
    const void *parameters[GEMV_MAX_PARAMETERS];
    for (uint32_t i = 0; i + 1 < parameter_count; i++)
        parameters[i] = &address;
    parameters[parameter_count - 1] = constants;
    const struct segue_reference_launch launch = {.parameters = parameters,
                                                  .parameter_count = parameter_count};
    uint32_t count = 0;
    struct segue_reference_ranges ranges = {.add_range = count_range, .driver = &count};
    for (uint32_t i = 0; i < GEMV_ENTRY_COUNT; i++) {
        if (strcmp(segue_quant_gemv_references[i].name, name) == 0)
            segue_quant_gemv_references[i].ranges(&launch, &ranges);
    }
    return count;
}

/** The largest of all rows cannot be found among fewer results. */
static void test_flags_of_a_launch(void **state)
{
    (void)state;
    struct segue_quant_gemv_constants constants = {
        .rows = 256,
        .columns = 128,
        .bits = 4,
        .group_size = 32,
        .pair_stride = 128,
        .batch = 1,
        .flags = SEGUE_QUANT_ARGMAX,
    };
    assert_int_equal(count_ranges("segue_quant_gemv_32", &constants, 6), 5);
    constants.flags = SEGUE_QUANT_ARGMAX | SEGUE_QUANT_SILU_MUL;
    assert_int_equal(count_ranges("segue_quant_gemv_32", &constants, 6), 0);
    constants.pair_stride = 32;
    constants.heads = (struct segue_quant_heads){.heads = 2, .kv_heads = 1, .capacity = 1};
    constants.flags = SEGUE_QUANT_ROPE_KV;
    assert_int_equal(count_ranges("segue_quant_gemv_16", &constants, 8), 7);
    constants.flags = SEGUE_QUANT_ARGMAX | SEGUE_QUANT_ROPE_KV;
    assert_int_equal(count_ranges("segue_quant_gemv_21", &constants, 10), 0);
}

/** Bits 4 and 8, each kind of zero, scales of two and of four bytes, groups of 32, 128 and a row.
 */
static struct segue_quant_gemv_constants any_kind(uint32_t i)
{
    static const uint32_t groups[] = {32, 128, 4096};
    return (struct segue_quant_gemv_constants){
        .rows = 28672,
        .columns = 4096,
        .bits = i % 2 ? 8 : 4,
        .group_size = groups[i / 16 % 3],
        .scale_type = i / 2 % 2 ? SEGUE_QUANT_F32 : SEGUE_QUANT_BF16,
        .zero = i / 4 % 4,
        .activation_type = SEGUE_QUANT_BF16,
        .result_type = SEGUE_QUANT_BF16,
    };
}

/** Without a norm nothing has to be in shared memory, so little of it is no reason to refuse. */
static void test_plans_for_little_shared_memory(void **state)
{
    (void)state;
    const struct segue_device_info device = {.multiprocessor_count = 108,
                                             .max_shared_memory_bytes = 99 << 10};
    for (uint32_t i = 0; i < 48; i++) {
        struct segue_quant_gemv_constants constants = any_kind(i);
        for (constants.batch = 1; constants.batch <= 64; constants.batch++) {
            struct gemv_plan plan;
            if (!segue_quant_gemv_choose(&constants, &device, &plan))
                fail_msg("kind %u, %u vectors: no plan", i, constants.batch);
            assert_true(plan.shared_bytes <= device.max_shared_memory_bytes);
            assert_true(plan.warps > 0 && plan.slots > 0 && plan.round_tiles > 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout_by_hand),
        cmocka_unit_test(test_layout_of_bytes_by_hand),
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_product),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_flags_of_a_launch),
        cmocka_unit_test(test_plans_for_little_shared_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
