// SPDX-License-Identifier: Apache-2.0
// NVRTC's failures: libraries that are not what they should be, and every call of a compilation.
#include "nvrtc.h"

#include <segue/segue.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Loading --------------------------------------------------------------------------------- */

/** Loading the fake that is odd in that way fails, and says `words`. */
static void expect_unusable(const char *way, const char *words)
{
    struct segue_nvrtc nvrtc;
    assert_int_equal(setenv("FAKE_NVRTC", way, 1), 0);
    assert_false(segue_nvrtc_load(FAKE_NVRTC_GOOD, 13000, &nvrtc));
    assert_true(nvrtc.attempted);
    assert_null(nvrtc.library);
    assert_int_equal(nvrtc.version, 0);
    if (strstr(nvrtc.reason.text, words) == NULL)
        fail_msg("%s: \"%s\" is not in: %s", way, words, nvrtc.reason.text);
}

static void test_unusable_libraries(void **state)
{
    (void)state;
    expect_unusable("nvrtcVersion", "NVRTC 0.0 is not supported, only 12.x to 13.x");
    expect_unusable("old", "NVRTC 11.8 is not supported");
    expect_unusable("new", "NVRTC 14.8 is not supported");
    expect_unusable("nvrtcGetNumSupportedArchs", "NVRTC 12.8 does not tell its architectures");
    expect_unusable("none", "does not tell its architectures");
    expect_unusable("many", "does not tell its architectures");
    expect_unusable("nvrtcGetSupportedArchs", "does not tell its architectures");
    struct segue_nvrtc nvrtc;
    assert_false(segue_nvrtc_load(FAKE_NVRTC_LACKING, 13000, &nvrtc));
    assert_non_null(strstr(nvrtc.reason.text, "lacks the function nvrtcGetCUBIN"));
}

static void test_usable_library(void **state)
{
    (void)state;
    struct segue_nvrtc nvrtc;
    assert_int_equal(unsetenv("FAKE_NVRTC"), 0);
    assert_true(segue_nvrtc_load(FAKE_NVRTC_GOOD, 13000, &nvrtc));
    assert_int_equal(nvrtc.version, 12080);
    assert_int_equal(nvrtc.newest_arch, 90);
    segue_nvrtc_unload(&nvrtc);
    assert_null(nvrtc.library);
    segue_nvrtc_unload(&nvrtc);
}

/* ---- Compiling ------------------------------------------------------------------------------- */

/** A compiler whose call of this name fails, with this result; and what is alive. */
static struct compiler {
    const char *failing;
    segue_nvrtc_result result;
    const char *log;
    size_t cubin_bytes;
    int programs;
    int64_t allocations;
    bool out_of_memory;
} compiler;

static segue_nvrtc_result result_of(const char *call)
{
    bool fails = compiler.failing != NULL && strcmp(compiler.failing, call) == 0;
    return fails ? compiler.result : SEGUE_NVRTC_SUCCESS;
}

static const char *get_error_string(segue_nvrtc_result result)
{
    return result == SEGUE_NVRTC_SUCCESS ? "NVRTC_SUCCESS" : "NVRTC_ERROR_TESTED";
}

static segue_nvrtc_result create_program(segue_nvrtc_program *program, const char *source,
                                         const char *name, int header_count,
                                         const char *const *headers,
                                         const char *const *include_names)
{
    (void)source;
    (void)name;
    (void)header_count;
    (void)headers;
    (void)include_names;
    segue_nvrtc_result result = result_of("nvrtcCreateProgram");
    if (result == SEGUE_NVRTC_SUCCESS) {
        *program = (segue_nvrtc_program)(uintptr_t)&compiler;
        compiler.programs++;
    }
    return result;
}

static segue_nvrtc_result destroy_program(segue_nvrtc_program *program)
{
    *program = NULL;
    compiler.programs--;
    return result_of("nvrtcDestroyProgram");
}

static segue_nvrtc_result compile_program(segue_nvrtc_program program, int option_count,
                                          const char *const *options)
{
    (void)program;
    (void)option_count;
    (void)options;
    return result_of("nvrtcCompileProgram");
}

static segue_nvrtc_result get_ptx_size(segue_nvrtc_program program, size_t *size)
{
    (void)program;
    *size = 4;
    return result_of("nvrtcGetPTXSize");
}

static segue_nvrtc_result get_ptx(segue_nvrtc_program program, char *ptx)
{
    (void)program;
    memcpy(ptx, "ptx", 4);
    return result_of("nvrtcGetPTX");
}

static segue_nvrtc_result get_cubin_size(segue_nvrtc_program program, size_t *size)
{
    (void)program;
    *size = compiler.cubin_bytes;
    return result_of("nvrtcGetCUBINSize");
}

static segue_nvrtc_result get_cubin(segue_nvrtc_program program, char *cubin)
{
    (void)program;
    memset(cubin, 'c', compiler.cubin_bytes);
    return result_of("nvrtcGetCUBIN");
}

static segue_nvrtc_result get_log_size(segue_nvrtc_program program, size_t *size)
{
    (void)program;
    *size = compiler.log != NULL ? strlen(compiler.log) + 1 : 0;
    return result_of("nvrtcGetProgramLogSize");
}

static segue_nvrtc_result get_log(segue_nvrtc_program program, char *log)
{
    (void)program;
    strcpy(log, compiler.log);
    return result_of("nvrtcGetProgramLog");
}

static void *allocate(void *context, size_t size_bytes, size_t align_bytes)
{
    (void)context;
    (void)align_bytes;
    if (compiler.out_of_memory)
        return NULL;
    compiler.allocations++;
    return malloc(size_bytes);
}

static void release(void *context, void *pointer, size_t size_bytes)
{
    (void)context;
    (void)size_bytes;
    compiler.allocations--;
    free(pointer);
}

static const struct segue_allocator counting = {allocate, release, NULL};

/** Compiles with a call failing (NULL: none); nothing may be left but the output. */
static segue_status compile(const char *failing, segue_nvrtc_result result, bool want_cubin,
                            struct segue_nvrtc_output *out_output)
{
    const struct segue_nvrtc nvrtc = {
        .version = 12080,
        .nvrtcGetErrorString = get_error_string,
        .nvrtcCreateProgram = create_program,
        .nvrtcDestroyProgram = destroy_program,
        .nvrtcCompileProgram = compile_program,
        .nvrtcGetPTXSize = get_ptx_size,
        .nvrtcGetPTX = get_ptx,
        .nvrtcGetCUBINSize = get_cubin_size,
        .nvrtcGetCUBIN = get_cubin,
        .nvrtcGetProgramLogSize = get_log_size,
        .nvrtcGetProgramLog = get_log,
    };
    const struct segue_nvrtc_request request = {
        .source = "source", .want_cubin = want_cubin, .label = "kernels"};
    compiler.failing = failing;
    compiler.result = result;
    segue_status status = segue_nvrtc_compile(&nvrtc, NULL, &counting, &request, out_output);
    assert_int_equal(compiler.programs, 0);
    assert_int_equal(compiler.allocations, status == SEGUE_OK ? 1 : 0);
    return status;
}

static void expect_failure(const char *failing, segue_nvrtc_result result, bool want_cubin,
                           segue_status expected)
{
    struct segue_nvrtc_output output = {NULL, 7};
    assert_int_equal(compile(failing, result, want_cubin, &output), expected);
    assert_null(output.data);
    assert_int_equal(output.size_bytes, 7);
    const struct segue_error *error = segue_last_error();
    assert_int_equal(error->driver_result, result);
    assert_non_null(strstr(error->message, "\"kernels\" with NVRTC 12.8"));
    assert_non_null(strstr(error->message, failing));
    assert_non_null(strstr(error->message, "NVRTC_ERROR_TESTED"));
}

static void expect_output(const char *failing, bool want_cubin, const char *data, size_t size_bytes)
{
    struct segue_nvrtc_output output = {NULL, 0};
    assert_int_equal(compile(failing, 11, want_cubin, &output), SEGUE_OK);
    assert_int_equal(output.size_bytes, size_bytes);
    assert_memory_equal(output.data, data, size_bytes);
    segue_release(&counting, output.data, output.size_bytes);
}

static int reset(void **state)
{
    (void)state;
    compiler = (struct compiler){.log = "a warning", .cubin_bytes = 3};
    return 0;
}

static void test_outputs(void **state)
{
    (void)state;
    expect_output(NULL, true, "ccc", 3);
    expect_output(NULL, false, "ptx", 4);
    // A virtual architecture has no cubin.
    compiler.cubin_bytes = 0;
    expect_output(NULL, true, "ptx", 4);
}

static void test_every_call_fails(void **state)
{
    (void)state;
    expect_failure("nvrtcCreateProgram", 11, true, SEGUE_DRIVER_ERROR);
    expect_failure("nvrtcCreateProgram", SEGUE_NVRTC_OUT_OF_MEMORY, true, SEGUE_OUT_OF_HOST_MEMORY);
    expect_failure("nvrtcCompileProgram", SEGUE_NVRTC_COMPILATION, true, SEGUE_COMPILE_FAILED);
    expect_failure("nvrtcCompileProgram", SEGUE_NVRTC_INVALID_OPTION, true, SEGUE_COMPILE_FAILED);
    expect_failure("nvrtcCompileProgram", SEGUE_NVRTC_OUT_OF_MEMORY, true,
                   SEGUE_OUT_OF_HOST_MEMORY);
    expect_failure("nvrtcGetCUBINSize", 11, true, SEGUE_DRIVER_ERROR);
    expect_failure("nvrtcGetCUBIN", 11, true, SEGUE_DRIVER_ERROR);
    expect_failure("nvrtcGetPTXSize", 11, false, SEGUE_DRIVER_ERROR);
    expect_failure("nvrtcGetPTX", 11, false, SEGUE_DRIVER_ERROR);
    compiler.cubin_bytes = 0;
    expect_failure("nvrtcGetPTXSize", 11, true, SEGUE_DRIVER_ERROR);
}

static void test_log_in_the_message(void **state)
{
    (void)state;
    compiler.log = "source.cu(1): error: x is undefined";
    expect_failure("nvrtcCompileProgram", SEGUE_NVRTC_COMPILATION, true, SEGUE_COMPILE_FAILED);
    assert_non_null(strstr(segue_last_error()->message, "):\nsource.cu(1): error: x"));
    // Without a log the message ends with the result.
    compiler.log = NULL;
    expect_failure("nvrtcCompileProgram", SEGUE_NVRTC_COMPILATION, true, SEGUE_COMPILE_FAILED);
    assert_null(strchr(segue_last_error()->message, '\n'));
}

/** What only costs the log, or comes when all is done, spoils nothing. */
static void test_failures_that_do_not_matter(void **state)
{
    (void)state;
    expect_output("nvrtcGetProgramLogSize", true, "ccc", 3);
    expect_output("nvrtcGetProgramLog", true, "ccc", 3);
    expect_output("nvrtcDestroyProgram", true, "ccc", 3);
}

static void test_no_memory_for_the_log(void **state)
{
    (void)state;
    struct segue_nvrtc_output output = {NULL, 7};
    compiler.out_of_memory = true;
    assert_int_equal(compile(NULL, 0, true, &output), SEGUE_OUT_OF_HOST_MEMORY);
    assert_non_null(strstr(segue_last_error()->message, "log of executable \"kernels\""));
    assert_null(output.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unusable_libraries),
        cmocka_unit_test(test_usable_library),
        cmocka_unit_test_setup(test_outputs, reset),
        cmocka_unit_test_setup(test_every_call_fails, reset),
        cmocka_unit_test_setup(test_log_in_the_message, reset),
        cmocka_unit_test_setup(test_failures_that_do_not_matter, reset),
        cmocka_unit_test_setup(test_no_memory_for_the_log, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
