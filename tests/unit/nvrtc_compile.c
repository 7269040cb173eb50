// SPDX-License-Identifier: Apache-2.0
#include "nvrtc_compile.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct nvrtc nvrtc;

static bool load_symbol(void *library, const char *name, void *out_function)
{
    void *symbol = dlsym(library, name);
    memcpy(out_function, &symbol, sizeof(symbol));
    return symbol != NULL;
}

bool nvrtc_load(void)
{
    const char *const names[] = {getenv("SEGUE_LIBNVRTC"), "libnvrtc.so.13", "libnvrtc.so.12",
                                 "libnvrtc.so", "/usr/local/cuda/lib64/libnvrtc.so.13"};
    void *library = NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !library; i++)
        library = names[i] ? dlopen(names[i], RTLD_NOW | RTLD_LOCAL) : NULL;
    const bool loaded = library && load_symbol(library, "nvrtcCreateProgram", &nvrtc.create) &&
                        load_symbol(library, "nvrtcCompileProgram", &nvrtc.compile) &&
                        load_symbol(library, "nvrtcGetProgramLogSize", &nvrtc.get_log_size) &&
                        load_symbol(library, "nvrtcGetProgramLog", &nvrtc.get_log) &&
                        load_symbol(library, "nvrtcGetPTXSize", &nvrtc.get_ptx_size) &&
                        load_symbol(library, "nvrtcGetPTX", &nvrtc.get_ptx) &&
                        load_symbol(library, "nvrtcGetCUBINSize", &nvrtc.get_cubin_size) &&
                        load_symbol(library, "nvrtcDestroyProgram", &nvrtc.destroy);
    if (!loaded)
        puts("skipped: NVRTC was not found ($SEGUE_LIBNVRTC, libnvrtc.so.13, libnvrtc.so.12)");
    return loaded;
}

void *nvrtc_compile(const char *source, const char *what, const char *const *options,
                    int option_count)
{
    void *program = NULL;
    assert_int_equal(nvrtc.create(&program, source, "source.cu", 0, NULL, NULL), 0);
    const int result = nvrtc.compile(program, option_count, options);
    size_t log_size = 0;
    assert_int_equal(nvrtc.get_log_size(program, &log_size), 0);
    char *log = calloc(log_size + 1, 1);
    assert_non_null(log);
    assert_int_equal(nvrtc.get_log(program, log), 0);
    if (result != 0 || log[0] != '\0')
        fail_msg("%s, %s: result %d\n%s", what, options[0], result, log);
    free(log);
    return program;
}

void nvrtc_check_cubin(void *program)
{
    size_t size = 0;
    assert_int_equal(nvrtc.get_cubin_size(program, &size), 0);
    assert_true(size > 0);
}

char *nvrtc_take_ptx(void *program)
{
    size_t size = 0;
    assert_int_equal(nvrtc.get_ptx_size(program, &size), 0);
    char *ptx = calloc(size + 1, 1);
    assert_non_null(ptx);
    assert_int_equal(nvrtc.get_ptx(program, ptx), 0);
    return ptx;
}
