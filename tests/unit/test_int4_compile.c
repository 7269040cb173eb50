// SPDX-License-Identifier: Apache-2.0
// The sources of quantised matrices through NVRTC, without a word from it: every specialisation of
// the test shapes on two of the architectures in turn, or on every one
// (SEGUE_TEST_ARCHITECTURES=all), for large and for small devices.
#include "gemv.h"
#include "gemv_plan.h"
#include "int4_cases.h"
#include "nvrtc_compile.h"
#include "quant_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SKIPPED 77

static void compile(const char *source, const char *what, const char *const *options, int count)
{
    void *program = nvrtc_compile(source, what, options, count);
    nvrtc_check_cubin(program);
    assert_int_equal(nvrtc.destroy(&program), 0);
}

static const char *const architectures[] = {
    "-arch=sm_80", "-arch=sm_89", "-arch=sm_90", "-arch=sm_100", "-arch=sm_120",
};
#define ARCHITECTURE_COUNT (sizeof(architectures) / sizeof(architectures[0]))

static void test_packing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARCHITECTURE_COUNT; i++)
        compile(segue_quant_pack_source, "packing", &architectures[i], 1);
}

static void compile_product(const struct segue_quant_gemv_params *params, const char *architecture,
                            uint32_t shared_memory_bytes)
{
    const struct segue_quant_gemv_constants constants = segue_quant_gemv_constants_of(params);
    const struct segue_device_info device = {
        .multiprocessor_count = 132,
        .max_shared_memory_bytes = shared_memory_bytes,
    };
    struct gemv_plan plan;
    char texts[GEMV_OPTION_COUNT][GEMV_OPTION_BYTES];
    const char *options[GEMV_OPTION_COUNT + 1] = {architecture};
    assert_true(segue_quant_gemv_choose(&constants, &device, &plan));
    assert_true(plan.shared_bytes <= shared_memory_bytes);
    segue_quant_gemv_options(&constants, &plan, texts);
    for (uint32_t i = 0; i < GEMV_OPTION_COUNT; i++)
        options[i + 1] = texts[i];
    compile(segue_quant_gemv_source, int4_product_name(params), options, GEMV_OPTION_COUNT + 1);
}

/** Compilation takes half a second each, so neighbours among the shapes share the architectures. */
static bool is_compiled(uint32_t shape, size_t architecture)
{
    const char *asked = getenv("SEGUE_TEST_ARCHITECTURES");
    return (asked && strcmp(asked, "all") == 0) || architecture == shape % ARCHITECTURE_COUNT ||
           architecture == (shape + 2) % ARCHITECTURE_COUNT;
}

static void test_products(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < int4_shape_count(); i++) {
        const struct segue_quant_gemv_params params = int4_shape(i);
        for (size_t k = 0; k < ARCHITECTURE_COUNT; k++) {
            if (!is_compiled(i, k))
                continue;
            const bool large = strcmp(architectures[k], "-arch=sm_90") == 0 ||
                               strcmp(architectures[k], "-arch=sm_100") == 0;
            compile_product(&params, architectures[k], large ? 227u << 10 : 99u << 10);
        }
    }
}

int main(void)
{
    if (!nvrtc_load())
        return SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
