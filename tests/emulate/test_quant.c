// SPDX-License-Identifier: Apache-2.0
// The CUDA code of quantised matrices: packing against the bytes that C gives, its inverse, and
// products against double precision.
#include "entry.h"
#include "gemv.h"
#include "int4_cases.h"
#include "layout.h"
#include "units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/** Shapes with more weights than this are left out of packing. */
#define MAX_WEIGHTS 60000

static uint8_t *make_packed(const struct int4_case *test)
{
    const uint64_t size_bytes = segue_quant_packed_size_bytes(&test->matrix);
    uint8_t *packed = malloc(size_bytes);
    assert_non_null(packed);
    assert_int_equal(segue_quant_pack(&test->matrix,
                                      (struct segue_quant_rows){0, test->matrix.rows}, &test->plain,
                                      packed),
                     SEGUE_OK);
    return packed;
}

static const struct segue_entry_point *find_entry(const struct segue_executable_params *params,
                                                  const char *name)
{
    for (uint32_t i = 0; i < params->entry_point_count; i++) {
        if (strcmp(params->entry_points[i].name, name) == 0)
            return &params->entry_points[i];
    }
    fail_msg("no entry point %s", name);
    return NULL;
}

/** Runs packing, or unpacking, of a whole matrix. */
static void run_packing(const struct int4_case *test, bool unpacks,
                        const struct segue_quant_plain *plain, uint8_t *packed, uint64_t seed)
{
    struct segue_executable_params params;
    struct segue_quant_pack_constants constants;
    const bool zeros = test->sizes.zeros_bytes != 0;
    segue_quant_get_pack_kernels(&params);
    segue_quant_constants_of(&test->matrix, &constants);
    static const char *const names[2][2] = {
        {"segue_quant_pack", "segue_quant_pack_zeros"},
        {"segue_quant_unpack", "segue_quant_unpack_zeros"},
    };
    struct entry_launch launch = {
        .unit = "pack",
        .entry = find_entry(&params, names[unpacks][zeros]),
        .architecture = 800,
        .grid = 3,
        .constants = &constants,
        .constants_size_bytes = sizeof(constants),
        .seed = seed,
    };
    uint32_t count = 0;
    const uint64_t packed_bytes = segue_quant_packed_size_bytes(&test->matrix);
    if (unpacks) {
        launch.memory[count] = packed;
        launch.sizes[count++] = packed_bytes;
    }
    launch.memory[count] = (void *)plain->weights;
    launch.sizes[count++] = test->sizes.weights_bytes;
    launch.memory[count] = (void *)plain->scales;
    launch.sizes[count++] = test->sizes.scales_bytes;
    if (zeros) {
        launch.memory[count] = (void *)plain->zeros;
        launch.sizes[count++] = test->sizes.zeros_bytes;
    }
    if (!unpacks) {
        launch.memory[count] = packed;
        launch.sizes[count++] = packed_bytes;
    }
    entry_run(&launch, names[unpacks][zeros]);
}

static void check_packing(const struct int4_case *test, uint64_t seed)
{
    const uint64_t size_bytes = segue_quant_packed_size_bytes(&test->matrix);
    uint8_t *expected = make_packed(test);
    uint8_t *packed = malloc(size_bytes);
    uint8_t *weights = malloc(test->sizes.weights_bytes);
    uint8_t *scales = malloc(test->sizes.scales_bytes);
    uint8_t *zeros = malloc(test->sizes.zeros_bytes + 1);
    assert_true(packed && weights && scales && zeros);
    memset(packed, 0xFF, size_bytes);
    run_packing(test, false, &test->plain, packed, seed);
    assert_memory_equal(packed, expected, size_bytes);
    const struct segue_quant_plain plain = {.weights = weights, .scales = scales, .zeros = zeros};
    run_packing(test, true, &plain, packed, seed + 1);
    assert_memory_equal(weights, test->plain.weights, test->sizes.weights_bytes);
    assert_memory_equal(scales, test->plain.scales, test->sizes.scales_bytes);
    if (test->sizes.zeros_bytes != 0)
        assert_memory_equal(zeros, test->plain.zeros, test->sizes.zeros_bytes);
    free(zeros);
    free(scales);
    free(weights);
    free(packed);
    free(expected);
}

static void test_packing(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < int4_shape_count(); i++) {
        const struct segue_quant_gemv_params params = int4_shape(i);
        if ((uint64_t)params.matrix.rows * params.matrix.columns > MAX_WEIGHTS)
            continue;
        struct int4_case test;
        int4_case_make(&test, &params.matrix, INT4_USUAL, i);
        check_packing(&test, i);
        int4_case_free(&test);
    }
}

/** out[m][c] = x[m][order[c]]; an element is its place. */
static void check_reordering(uint32_t element_bytes)
{
    enum { COLUMNS = 200, BATCH = 2 };
    const struct segue_quant_reorder_constants constants = {COLUMNS, BATCH, element_bytes};
    uint32_t order[COLUMNS];
    uint8_t x[BATCH * COLUMNS * 4], expected[BATCH * COLUMNS * 4], out[BATCH * COLUMNS * 4];
    struct segue_executable_params params;
    segue_quant_get_pack_kernels(&params);
    for (uint32_t i = 0; i < COLUMNS; i++)
        order[i] = (i * 7 + 3) % COLUMNS;
    for (uint32_t i = 0; i < BATCH * COLUMNS; i++) {
        const uint32_t from = i / COLUMNS * COLUMNS + order[i % COLUMNS];
        memcpy(x + i * element_bytes, &i, element_bytes);
        memcpy(expected + i * element_bytes, &from, element_bytes);
    }
    memset(out, 0xFF, sizeof(out));
    const struct entry_launch launch = {
        .unit = "pack",
        .entry = find_entry(&params, "segue_quant_reorder"),
        .architecture = 800,
        .grid = 2,
        .memory = {x, order, out},
        .sizes = {BATCH * COLUMNS * element_bytes, sizeof(order), BATCH * COLUMNS * element_bytes},
        .constants = &constants,
        .constants_size_bytes = sizeof(constants),
    };
    entry_run(&launch, "segue_quant_reorder");
    assert_memory_equal(out, expected, BATCH * COLUMNS * element_bytes);
}

static void test_reordering(void **state)
{
    (void)state;
    check_reordering(2);
    check_reordering(4);
}

/** A copy that a kernel may write to; the caller frees it. */
static uint8_t *copy_of(const void *from, size_t size_bytes)
{
    uint8_t *copy = malloc(size_bytes + 1);
    assert_non_null(copy);
    if (from)
        memcpy(copy, from, size_bytes);
    else
        memset(copy, 0xFF, size_bytes);
    return copy;
}

/** Results and all else that the product has written. */
static void check_product(const struct int4_product *product, uint8_t *const *memory)
{
    const uint32_t flags = product->params.flags;
    const uint32_t batch = product->params.batch;
    int4_product_check(product, memory[GEMV_OUT]);
    int4_product_check_cache(product, 0, memory[GEMV_K_CACHE]);
    int4_product_check_cache(product, 1, memory[GEMV_V_CACHE]);
    if (!(flags & SEGUE_QUANT_ARGMAX))
        return;
    uint32_t tokens[SEGUE_QUANT_MAX_BATCH], positions[SEGUE_QUANT_MAX_BATCH];
    uint64_t state[SEGUE_QUANT_MAX_BATCH + 1];
    memcpy(tokens, memory[GEMV_TOKEN], batch * sizeof(*tokens));
    memcpy(state, memory[GEMV_STATE], (batch + 1) * sizeof(*state));
    memcpy(positions, memory[GEMV_POSITION], batch * sizeof(*positions));
    int4_product_check_tokens(product, memory[GEMV_OUT], tokens);
    for (uint32_t m = 0; m < batch; m++)
        assert_int_equal(positions[m],
                         product->positions[m] + ((flags & SEGUE_QUANT_ADVANCE) != 0));
    for (uint32_t i = 0; i <= batch; i++)
        assert_true(state[i] == 0);
}

/** Computes the product and checks what it comes to. */
static void multiply(const struct emulate_product *what, const struct int4_product *product,
                     uint8_t *packed, uint64_t seed)
{
    const uint32_t flags = what->constants.flags;
    static const uint8_t zeros[(SEGUE_QUANT_MAX_BATCH + 1) * 8];
    uint64_t sizes[GEMV_BINDING_COUNT];
    enum gemv_binding bindings[GEMV_BINDING_COUNT];
    struct segue_parameter parameters[GEMV_BINDING_COUNT];
    segue_quant_gemv_sizes(&what->constants, sizes);
    const uint32_t count = segue_quant_gemv_bindings(flags, bindings);
    const size_t cache_bytes = sizes[GEMV_K_CACHE];
    uint8_t *const memory[GEMV_BINDING_COUNT] = {
        [GEMV_X] = product->x,
        [GEMV_PACKED] = packed,
        [GEMV_NORM] = product->norm,
        [GEMV_BIAS] = product->bias,
        [GEMV_RESIDUAL] = product->residual,
        [GEMV_FREQUENCIES] = (uint8_t *)product->frequencies,
        [GEMV_KV_SCALES] = (uint8_t *)product->kv_scales,
        [GEMV_POSITION] = copy_of(product->positions, product->params.batch * sizeof(uint32_t)),
        [GEMV_K_CACHE] = copy_of(product->caches[0], cache_bytes),
        [GEMV_V_CACHE] = copy_of(product->caches[1], cache_bytes),
        [GEMV_OUT] = copy_of(NULL, sizes[GEMV_OUT]),
        [GEMV_TOKEN] = copy_of(NULL, sizes[GEMV_TOKEN]),
        [GEMV_STATE] = copy_of(zeros, sizes[GEMV_STATE]),
    };
    const struct segue_entry_point entry = {
        .name = segue_quant_gemv_name(flags),
        .parameters = parameters,
        .parameter_count = count,
        .block_size = {what->plan.warps * 32, 1, 1},
        .dynamic_shared_bytes = what->plan.shared_bytes,
        .flags = SEGUE_ENTRY_GRID_DEPENDENCY,
    };
    struct entry_launch launch = {
        .unit = what->unit,
        .entry = &entry,
        .architecture = what->architecture,
        .grid = what->plan.grid,
        .constants = &what->constants,
        .constants_size_bytes = sizeof(what->constants),
        .seed = seed,
    };
    for (uint32_t i = 0; i < count; i++) {
        parameters[i] = segue_quant_gemv_parameter(bindings[i], flags);
        launch.memory[i] = memory[bindings[i]];
        launch.sizes[i] = sizes[bindings[i]];
    }
    entry_run(&launch, int4_product_name(&product->params));
    check_product(product, memory);
    static const enum gemv_binding copies[] = {GEMV_POSITION, GEMV_K_CACHE, GEMV_V_CACHE,
                                               GEMV_OUT,      GEMV_TOKEN,   GEMV_STATE};
    for (size_t i = 0; i < sizeof(copies) / sizeof(copies[0]); i++)
        free(memory[copies[i]]);
}

static void test_products(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < emulate_product_count(); i++) {
        struct emulate_product what;
        emulate_product_make(i, &what);
        const struct segue_quant_gemv_params params = int4_shape(what.shape);
        for (int flavour = 0; flavour < INT4_FLAVOUR_COUNT; flavour++) {
            if (!int4_flavour_fits(&params, (enum int4_flavour)flavour))
                continue;
            struct int4_case matrix;
            struct int4_product product;
            int4_case_make(&matrix, &params.matrix, (enum int4_flavour)flavour, i);
            int4_product_make(&product, &matrix, &params, (enum int4_flavour)flavour);
            uint8_t *packed = make_packed(&matrix);
            multiply(&what, &product, packed, i + (uint64_t)flavour);
            free(packed);
            int4_product_free(&product);
            int4_case_free(&matrix);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_reordering),
        cmocka_unit_test(test_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
