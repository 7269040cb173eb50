// SPDX-License-Identifier: Apache-2.0
// The sources of quantised matrices through NVRTC, without a word from it: every specialisation of
// the test shapes on two of the architectures in turn, or on every one
// (SEGUE_TEST_ARCHITECTURES=all), for large and for small devices; every other set of flags on one;
// the products of decode steps, which have plans of their own, on those that take these. Nothing
// stands above the wait that has to be below.
#include "gemv.h"
#include "gemv_plan.h"
#include "int4_cases.h"
#include "int4_flags.h"
#include "nvrtc_compile.h"
#include "ptx_wait.h"
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

/** What other kernels may write until this one has waited stands below its wait. */
static void check_wait(void *program, uint32_t flags)
{
    enum gemv_binding bindings[GEMV_BINDING_COUNT];
    const uint32_t count = segue_quant_gemv_bindings(flags, bindings);
    uint32_t late = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (segue_quant_gemv_parameter(bindings[i], flags).access != SEGUE_ACCESS_CONSTANT)
            late |= 1u << i;
    }
    char *ptx = nvrtc_take_ptx(program);
    const char *problem = ptx_wait_problem(ptx, segue_quant_gemv_name(flags), late);
    if (problem)
        fail_msg("%s", problem);
    free(ptx);
}

static bool has_wait(const char *architecture)
{
    return strcmp(architecture, "-arch=sm_80") != 0 && strcmp(architecture, "-arch=sm_89") != 0;
}

/** With 132 multiprocessors, as an H200 has them. */
static struct segue_device_info device_of(const char *architecture)
{
    const int number = atoi(architecture + strlen("-arch=sm_"));
    const bool large = number == 90 || number == 100;
    return (struct segue_device_info){
        .compute_capability_major = number / 10,
        .multiprocessor_count = 132,
        .max_shared_memory_bytes = large ? 227u << 10 : 99u << 10,
    };
}

static void compile_product(const struct segue_quant_gemv_params *params, const char *architecture)
{
    const struct segue_quant_gemv_constants constants = segue_quant_gemv_constants_of(params);
    const struct segue_device_info device = device_of(architecture);
    struct gemv_plan plan;
    char texts[GEMV_OPTION_COUNT][GEMV_OPTION_BYTES];
    const char *options[GEMV_OPTION_COUNT + 1] = {architecture};
    assert_true(segue_quant_gemv_choose(&constants, &device, &plan));
    assert_true(plan.shared_bytes <= device.max_shared_memory_bytes);
    segue_quant_gemv_options(&constants, &plan, texts);
    for (uint32_t i = 0; i < GEMV_OPTION_COUNT; i++)
        options[i + 1] = texts[i];
    void *program = nvrtc_compile(segue_quant_gemv_source, int4_product_name(params), options,
                                  GEMV_OPTION_COUNT + 1);
    nvrtc_check_cubin(program);
    if (has_wait(architecture))
        check_wait(program, params->flags);
    assert_int_equal(nvrtc.destroy(&program), 0);
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
            if (is_compiled(i, k))
                compile_product(&params, architectures[k]);
        }
    }
}

static bool is_among_shapes(uint32_t flags)
{
    for (uint32_t i = 0; i < int4_shape_count(); i++) {
        if (int4_shape(i).flags == flags)
            return true;
    }
    return false;
}

static void test_flags(void **state)
{
    (void)state;
    uint32_t count = 0;
    for (uint32_t flags = 0; flags < INT4_FLAG_SETS; flags++) {
        if (!int4_flags_fit(flags) || is_among_shapes(flags))
            continue;
        const struct segue_quant_gemv_params params = int4_flags_shape(flags);
        compile_product(&params, architectures[count++ % ARCHITECTURE_COUNT]);
    }
    assert_true(count > 0);
}

/** Of Llama 3.2 1B and 3B and 3.1 8B. */
struct step {
    uint32_t hidden;
    uint32_t ffn;
    uint32_t heads;
    uint32_t head_size;
};

static void compile_step_product(const struct step *step, uint32_t rows, uint32_t columns,
                                 uint32_t pair_stride, uint32_t flags)
{
    const struct segue_quant_gemv_params params = {
        .matrix = {.rows = rows,
                   .columns = columns,
                   .bits = 4,
                   .group_size = 32,
                   .pair_stride = pair_stride},
        .batch = 1,
        .result_type = flags & (SEGUE_QUANT_RESIDUAL | SEGUE_QUANT_ARGMAX) ? SEGUE_QUANT_F32
                                                                           : SEGUE_QUANT_BF16,
        .flags = flags,
        .epsilon = 1e-5f,
        .heads = {step->heads, 8, 1024},
    };
    const struct segue_quant_gemv_constants constants = segue_quant_gemv_constants_of(&params);
    const struct segue_device_info device = device_of("-arch=sm_90");
    // The layers' products have plans that were measured; the head's is by rules.
    assert_int_equal(segue_quant_gemv_measured(&constants, &device) != NULL,
                     (flags & SEGUE_QUANT_ARGMAX) == 0);
    compile_product(&params, "-arch=sm_90");
}

static void test_steps(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {2048, 8192, 32, 64}, {3072, 8192, 24, 128}, {4096, 14336, 32, 128}};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        const struct step *step = &steps[i];
        compile_step_product(step, (step->heads + 16) * step->head_size, step->hidden,
                             step->head_size / 2, SEGUE_QUANT_NORM | SEGUE_QUANT_ROPE_KV);
        compile_step_product(step, step->hidden, step->heads * step->head_size, 0,
                             SEGUE_QUANT_RESIDUAL);
        compile_step_product(step, 2 * step->ffn, step->hidden, step->ffn,
                             SEGUE_QUANT_NORM | SEGUE_QUANT_SILU_MUL);
        compile_step_product(step, step->hidden, step->ffn, 0, SEGUE_QUANT_RESIDUAL);
        compile_step_product(step, 128256, step->hidden, 0,
                             SEGUE_QUANT_NORM | SEGUE_QUANT_ARGMAX | SEGUE_QUANT_ADVANCE);
    }
}

int main(void)
{
    if (!nvrtc_load())
        return SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
