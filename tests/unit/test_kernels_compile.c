// SPDX-License-Identifier: Apache-2.0
// The decode kernels' source, and that of checksums, through NVRTC: for real architectures, and to
// PTX, in which nothing is touched too early.
#include "checksum_source.h"
#include "nvrtc_compile.h"
#include "ptx_wait.h"

#include <segue/kernels.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SKIPPED 77

/** The decode kernels' program, made with one more `option` unless that is NULL. */
static void *compile(const char *architecture_option, const char *option)
{
    const char *const options[] = {architecture_option, option};
    struct segue_executable_params params;
    segue_kernels_get_decode(&params);
    return nvrtc_compile(params.data, "decode", options, option ? 2 : 1);
}

/** Attention over the larger heads takes most of the time: that is compiled below for one
 * architecture, and for all of them only if asked for (SEGUE_TEST_ARCHITECTURES=all). */
static void test_architectures(void **state)
{
    (void)state;
    const char *asked = getenv("SEGUE_TEST_ARCHITECTURES");
    const char *heads = asked && strcmp(asked, "all") == 0 ? NULL : "-DLARGEST_HEAD=64";
    static const char *const options[] = {"-arch=sm_80", "-arch=sm_89", "-arch=sm_100",
                                          "-arch=sm_120"};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        void *program = compile(options[i], heads);
        nvrtc_check_cubin(program);
        assert_int_equal(nvrtc.destroy(&program), 0);
    }
}

static void test_checksum(void **state)
{
    (void)state;
    static const char *const options[] = {"-arch=sm_80", "-arch=sm_89", "-arch=sm_90",
                                          "-arch=sm_100", "-arch=sm_120"};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        void *program = nvrtc_compile(segue_checksum_source, "checksum", &options[i], 1);
        nvrtc_check_cubin(program);
        assert_int_equal(nvrtc.destroy(&program), 0);
    }
}

/** The size in bits that PTX gives parameter `index` of an entry point; 0 if it has none such. */
static unsigned ptx_parameter_bits(const char *ptx, const char *entry_name, uint32_t index)
{
    char text[96];
    unsigned bits = 0;
    snprintf(text, sizeof(text), " %s_param_%u", entry_name, index);
    const size_t length = strlen(text);
    const char *at = strstr(ptx, text);
    while (at && at[length] >= '0' && at[length] <= '9')
        at = strstr(at + 1, text);
    if (!at)
        return 0;
    // ".param .u64 name_param_0" or ".param .u64 .ptr .align 1 name_param_0"
    while (at > ptx && at[-1] != '\n')
        at--;
    while (*at && sscanf(at, ".%*1[usfb]%u", &bits) != 1)
        at++;
    return bits;
}

/** What other kernels may write until this one has waited. Attention reads the position and caches
 * before, if it is told that it may. */
static uint32_t late_bindings(const struct segue_entry_point *entry)
{
    uint32_t late = 0;
    for (uint32_t i = 0; i < entry->parameter_count; i++) {
        const struct segue_parameter *parameter = &entry->parameters[i];
        if (parameter->kind == SEGUE_PARAMETER_BINDING &&
            parameter->access != SEGUE_ACCESS_CONSTANT)
            late |= 1u << i;
    }
    const bool has_scales = strstr(entry->name, "fp8") != NULL;
    return strstr(entry->name, "_gqa_") ? late & ~(has_scales ? 0x16u : 0x0Eu) : late;
}

static void test_all_have_declared_parameters(void **state)
{
    (void)state;
    struct segue_executable_params params;
    segue_kernels_get_decode(&params);
    void *program = compile("-arch=sm_90", NULL);
    nvrtc_check_cubin(program);
    char *ptx = nvrtc_take_ptx(program);
    for (uint32_t i = 0; i < params.entry_point_count; i++) {
        const struct segue_entry_point *entry = &params.entry_points[i];
        char text[96];
        snprintf(text, sizeof(text), ".entry %s(", entry->name);
        const char *body = strstr(ptx, text);
        assert_non_null(body);
        for (uint32_t k = 0; k < entry->parameter_count; k++) {
            const bool is_binding = entry->parameters[k].kind == SEGUE_PARAMETER_BINDING;
            assert_int_equal(ptx_parameter_bits(body, entry->name, k),
                             is_binding ? 64 : entry->parameters[k].size_bytes * 8);
        }
        assert_int_equal(ptx_parameter_bits(body, entry->name, entry->parameter_count), 0);
        // Static block sizes match what the kernels are built for.
        unsigned threads = 0;
        assert_non_null(strstr(body, ".maxntid "));
        assert_int_equal(sscanf(strstr(body, ".maxntid "), ".maxntid %u", &threads), 1);
        assert_int_equal(threads, entry->block_size[0]);
        const char *problem = ptx_wait_problem(ptx, entry->name, late_bindings(entry));
        if (problem)
            fail_msg("%s", problem);
    }
    free(ptx);
    assert_int_equal(nvrtc.destroy(&program), 0);
}

int main(void)
{
    if (!nvrtc_load())
        return SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_architectures),
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_all_have_declared_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
