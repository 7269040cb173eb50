// SPDX-License-Identifier: Apache-2.0
// The decode kernels' source through NVRTC, for real architectures and to PTX.
#include <segue/kernels.h>

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SKIPPED 77

/** The part of NVRTC that is used here. Results are enums of its own, 0 is success. */
struct nvrtc {
    int (*create)(void **out_program, const char *source, const char *name, int header_count,
                  const char *const *headers, const char *const *header_names);
    int (*compile)(void *program, int option_count, const char *const *options);
    int (*get_log_size)(void *program, size_t *out_size);
    int (*get_log)(void *program, char *out_log);
    int (*get_ptx_size)(void *program, size_t *out_size);
    int (*get_ptx)(void *program, char *out_ptx);
    int (*get_cubin_size)(void *program, size_t *out_size);
    int (*destroy)(void **program);
};

static struct nvrtc nvrtc;

static bool load_symbol(void *library, const char *name, void *out_function)
{
    void *symbol = dlsym(library, name);
    memcpy(out_function, &symbol, sizeof(symbol));
    return symbol != NULL;
}

static bool load_nvrtc(void)
{
    const char *const names[] = {getenv("SEGUE_LIBNVRTC"), "libnvrtc.so.13", "libnvrtc.so.12",
                                 "libnvrtc.so"};
    void *library = NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !library; i++)
        library = names[i] ? dlopen(names[i], RTLD_NOW | RTLD_LOCAL) : NULL;
    return library && load_symbol(library, "nvrtcCreateProgram", &nvrtc.create) &&
           load_symbol(library, "nvrtcCompileProgram", &nvrtc.compile) &&
           load_symbol(library, "nvrtcGetProgramLogSize", &nvrtc.get_log_size) &&
           load_symbol(library, "nvrtcGetProgramLog", &nvrtc.get_log) &&
           load_symbol(library, "nvrtcGetPTXSize", &nvrtc.get_ptx_size) &&
           load_symbol(library, "nvrtcGetPTX", &nvrtc.get_ptx) &&
           load_symbol(library, "nvrtcGetCUBINSize", &nvrtc.get_cubin_size) &&
           load_symbol(library, "nvrtcDestroyProgram", &nvrtc.destroy);
}

/** Compiles without a word from the compiler, with one more `option` unless that is NULL; the
 * caller destroys the program. */
static void *compile(const char *architecture_option, const char *option)
{
    const char *const options[] = {architecture_option, option};
    struct segue_executable_params params;
    segue_kernels_get_decode(&params);
    void *program = NULL;
    assert_int_equal(nvrtc.create(&program, params.data, "decode.cu", 0, NULL, NULL), 0);
    const int result = nvrtc.compile(program, option ? 2 : 1, options);
    size_t log_size = 0;
    assert_int_equal(nvrtc.get_log_size(program, &log_size), 0);
    char *log = calloc(log_size + 1, 1);
    assert_non_null(log);
    assert_int_equal(nvrtc.get_log(program, log), 0);
    if (result != 0 || log[0] != '\0')
        fail_msg("%s: result %d\n%s", architecture_option, result, log);
    free(log);
    return program;
}

static void check_cubin(void *program)
{
    size_t size = 0;
    assert_int_equal(nvrtc.get_cubin_size(program, &size), 0);
    assert_true(size > 0);
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
        check_cubin(program);
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

static void test_all_have_declared_parameters(void **state)
{
    (void)state;
    struct segue_executable_params params;
    segue_kernels_get_decode(&params);
    void *program = compile("-arch=sm_90", NULL);
    check_cubin(program);
    size_t size = 0;
    assert_int_equal(nvrtc.get_ptx_size(program, &size), 0);
    char *ptx = calloc(size + 1, 1);
    assert_non_null(ptx);
    assert_int_equal(nvrtc.get_ptx(program, ptx), 0);
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
    }
    free(ptx);
    assert_int_equal(nvrtc.destroy(&program), 0);
}

int main(void)
{
    if (!load_nvrtc()) {
        puts("skipped: NVRTC was not found ($SEGUE_LIBNVRTC, libnvrtc.so.13, libnvrtc.so.12)");
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_architectures),
        cmocka_unit_test(test_all_have_declared_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
