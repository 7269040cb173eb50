// SPDX-License-Identifier: Apache-2.0
// Images, functions and launch limits of the software driver.
#include "soft_driver.h"

#include <stdio.h>
#include <stdlib.h>

#define HEADER ".version 8.0\n.target sm_80\n.address_size 64\n"

// Loads and unloads an image; its log goes to `log`.
static CUresult load(const char *image, char *log, size_t log_size)
{
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
                              CU_JIT_OPTIMIZATION_LEVEL};
    void *values[] = {log, (void *)log_size, (void *)4};
    CUmodule module = NULL;
    log[0] = '\0';
    CUresult result = cu.cuModuleLoadDataEx(&module, image, 3, options, values);
    size_t length = strlen(log);
    assert_true((size_t)values[1] == length ||
                ((size_t)values[1] == log_size && length == log_size - 1));
    if (result == CUDA_SUCCESS) {
        assert_ok(cu.cuModuleUnload(module));
    } else {
        assert_null(module);
    }
    return result;
}

static void assert_load(CUresult expected, const char *image, const char *log_part)
{
    char log[512];
    assert_int_equal(expected, load(image, log, sizeof(log)));
    if (strstr(log, log_part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", log_part, log);
    }
}

static void test_ptx_that_loads(void **state)
{
    (void)state;
    assert_load(CUDA_SUCCESS, HEADER, "");
    assert_load(CUDA_SUCCESS, HEADER ".visible .entry f()\n{ ret; }\n", "");
    assert_load(CUDA_SUCCESS, HEADER ".entry f\n{ ret; }\n", "");
    assert_load(CUDA_SUCCESS, HEADER ".entry f(.param .f32 a) .minnctapersm 2 { }\n", "");
    assert_load(CUDA_SUCCESS, "// comment\n/* and\nmore */ " HEADER, "");
    assert_load(CUDA_SUCCESS, ".version 8.4\n.target sm_90a, debug\n.address_size 64\n", "");
    assert_load(CUDA_SUCCESS,
                HEADER ".file 1 \"a } file\"\n.extern .shared .align 16 .b8 smem[];\n"
                       ".func (.param .b32 r) g(.param .b64 a) { { } ret; }\n"
                       ".entry f() { .pragma \"nounroll\"; }\n",
                "");
}

static void test_ptx_that_does_not(void **state)
{
    (void)state;
    assert_load(CUDA_ERROR_INVALID_IMAGE, "this is no ptx", ".version");
    assert_load(CUDA_ERROR_INVALID_IMAGE, ".target sm_80\n", ".version");
    assert_load(CUDA_ERROR_INVALID_IMAGE, "", "");
    assert_load(CUDA_ERROR_INVALID_IMAGE, "\1\2\3\4 junk", "");
    assert_load(CUDA_ERROR_INVALID_PTX, ".version 8.0\n.address_size 64\n", ".target");
    assert_load(CUDA_ERROR_INVALID_PTX, HEADER ".entry f(.param .u64 a,,) { }\n",
                "line 4; fatal   : Parsing error near ','");
    assert_load(CUDA_ERROR_INVALID_PTX, HEADER ".entry f(.param .u64 a,) { }\n", "near ')'");
    assert_load(CUDA_ERROR_INVALID_PTX, HEADER ".entry f(.param a) { }\n", "syntax error");
    assert_load(CUDA_ERROR_INVALID_PTX, HEADER ".entry f(.param .u64) { }\n", "syntax error");
    assert_load(CUDA_ERROR_INVALID_PTX, HEADER ".entry f(.param .align 3 .b8 a[4]) { }\n", "'3'");
    assert_load(CUDA_ERROR_INVALID_PTX, HEADER ".entry f(.param .u64 a\n", "end of text");
    assert_load(CUDA_ERROR_INVALID_PTX, HEADER ".entry f()\n{ ret; \n", "end of text");
    assert_load(CUDA_ERROR_INVALID_PTX, HEADER ".entry f();\n", "no body");
    assert_load(CUDA_ERROR_INVALID_PTX, HEADER "}\n", "near '}'");
    assert_load(CUDA_ERROR_INVALID_PTX, ".version 8.0\n.target sm_100\n", "higher than default");
    assert_load(CUDA_ERROR_INVALID_PTX, ".version 8.0\n.target sm_100a\n", "higher than default");
    assert_load(CUDA_ERROR_NO_BINARY_FOR_GPU,
                "\x7f"
                "ELF and so on",
                "cubin");
    assert_load(CUDA_ERROR_NO_BINARY_FOR_GPU, "\x50\xed\x55\xba and so on", "fatbin");
}

static void test_short_log(void **state)
{
    (void)state;
    char log[16];
    assert_int_equal(CUDA_ERROR_INVALID_PTX, load(HEADER "}", log, sizeof(log)));
    assert_string_equal("ptxas applicati", log);
}

static void test_ptx_version_of_profiles(void **state)
{
    (void)state;
    static const struct {
        int32_t profile;
        const char *taken;
        const char *refused;
    } cases[] = {
        {12040, ".version 8.4\n.target sm_80\n", ".version 8.5\n.target sm_80\n"},
        {12080, ".version 8.7\n.target sm_80\n", ".version 8.8\n.target sm_80\n"},
        {13000, ".version 9.0\n.target sm_80\n", ".version 9.1\n.target sm_80\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        assert_true(cu.api->set_profile(cases[i].profile));
        assert_load(CUDA_SUCCESS, cases[i].taken, "");
        assert_load(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, cases[i].refused, "Unsupported .version");
    }
}

static void test_options(void **state)
{
    (void)state;
    CUmodule module;
    CUjit_option option = CU_JIT_POSITION_INDEPENDENT_CODE;
    void *value = NULL;
    assert_cuda(CUDA_ERROR_NOT_SUPPORTED,
                cu.cuModuleLoadDataEx(&module, soft_ptx, 1, &option, &value));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuModuleLoadDataEx(&module, soft_ptx, 1, NULL, NULL));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuModuleLoadDataEx(&module, NULL, 0, NULL, NULL));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuModuleLoadDataEx(NULL, soft_ptx, 0, NULL, NULL));
}

static void assert_parameters(CUfunction function, const size_t (*expected)[2], size_t count)
{
    size_t offset;
    size_t size;
    for (size_t i = 0; i < count; ++i) {
        assert_ok(cu.cuFuncGetParamInfo(function, i, &offset, &size));
        assert_int_equal(expected[i][0], offset);
        assert_int_equal(expected[i][1], size);
    }
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuFuncGetParamInfo(function, count, &offset, &size));
}

static void test_functions(void **state)
{
    (void)state;
    CUfunction function = NULL;
    // Offsets as an H200 gives them: aligned in the constant bank, 16 bytes off a multiple of 64.
    static const size_t blob[][2] = {{0, 1}, {8, 24}, {48, 128}, {176, 2}};
    static const size_t step[][2] = {{0, 8}, {8, 8}, {16, 4}};
    assert_parameters(soft_blob, blob, 4);
    assert_parameters(soft_step, step, 3);
    assert_parameters(soft_nothing, NULL, 0);
    assert_ok(cu.cuModuleGetFunction(&function, soft_module, "t_step"));
    assert_ptr_equal(soft_step, function);
    function = NULL;
    assert_cuda(CUDA_ERROR_NOT_FOUND, cu.cuModuleGetFunction(&function, soft_module, "nope"));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuModuleGetFunction(&function, soft_module, ""));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuModuleGetFunction(&function, soft_module, NULL));
    // In the module, but nobody registered it.
    assert_cuda(CUDA_ERROR_NOT_FOUND,
                cu.cuModuleGetFunction(&function, soft_module, "t_unregistered"));
    assert_null(function);
}

// What follows .ptr describes the memory, not the parameter.
static void test_alignment_of_pointers(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {4, 8, 16};
    static const size_t expected[][2] = {{0, 4}, {8, 8}, {16, 16}};
    CUmodule module;
    CUfunction function;
    soft_register("t_pointers", sizes, 3);
    assert_ok(cu.cuModuleLoadDataEx(&module,
                                    HEADER ".entry t_pointers(.param .u32 a, .param .u64 .ptr "
                                           ".global .align 16 b, .param .align 16 .b32 c[4]) { }\n",
                                    0, NULL, NULL));
    assert_ok(cu.cuModuleGetFunction(&function, module, "t_pointers"));
    assert_parameters(function, expected, 3);
    assert_ok(cu.cuModuleUnload(module));
}

static void test_reference_with_other_parameters(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {8, 4};
    CUmodule module;
    CUfunction function = NULL;
    assert_ok(cu.cuModuleLoadDataEx(
        &module, HEADER ".entry t_late(.param .u64 a, .param .u32 b) { }\n", 0, NULL, NULL));
    assert_cuda(CUDA_ERROR_NOT_FOUND, cu.cuModuleGetFunction(&function, module, "t_late"));
    soft_register("t_late", sizes, 1);
    assert_cuda(CUDA_ERROR_INVALID_SOURCE, cu.cuModuleGetFunction(&function, module, "t_late"));
    assert_null(function);
    // Registering again replaces.
    soft_register("t_late", sizes, 2);
    assert_ok(cu.cuModuleGetFunction(&function, module, "t_late"));
    uint64_t first = 1;
    uint32_t second = 2;
    void *parameters[] = {&first, &second};
    assert_ok(soft_launch(function, NULL, parameters));
    assert_ok(cu.cuCtxSynchronize());
    // A replacement that no longer fits fails the launch instead of reading beyond its parameters.
    soft_register("t_late", sizes, 1);
    assert_ok(soft_launch(function, NULL, parameters));
    assert_cuda(CUDA_ERROR_LAUNCH_FAILED, cu.cuCtxSynchronize());
    cu.api->set_device_lost(0);
    assert_ok(cu.cuModuleUnload(module));
}

// A reference sees its parameters by value and aligned, however the caller keeps them.
static bool parameters_seen;

static bool run_checked(const struct segue_reference_launch *launch,
                        segue_reference_translate translate)
{
    (void)translate;
    const unsigned char *bytes = launch->parameters[1];
    bool right = launch->parameter_count == 4 && *(const uint8_t *)launch->parameters[0] == 3;
    for (int i = 0; i < 4; ++i) {
        right = right && (uintptr_t)launch->parameters[i] % 16 == 0;
    }
    for (int i = 0; i < 24; ++i) {
        right = right && bytes[i] == i;
    }
    right = right && launch->grid[0] == 1 && launch->block[0] == 1 && launch->user == &cu;
    parameters_seen = right && *(const uint16_t *)launch->parameters[3] == 0xabcd;
    return true;
}

static void ranges_none(const struct segue_reference_launch *launch,
                        struct segue_reference_ranges *ranges)
{
    (void)launch;
    (void)ranges;
}

static void test_malformed_registrations(void **state)
{
    (void)state;
    struct segue_reference_kernel kernel = {.name = "t_malformed"};
    static const uint32_t zero[] = {0};
    assert_false(cu.api->register_kernel(NULL));
    assert_false(cu.api->register_kernel(&kernel));
    kernel.run = run_checked;
    assert_false(cu.api->register_kernel(&kernel));
    kernel.ranges = ranges_none;
    assert_true(cu.api->register_kernel(&kernel));
    kernel.parameter_count = 1;
    assert_false(cu.api->register_kernel(&kernel));
    kernel.parameter_sizes = zero;
    assert_false(cu.api->register_kernel(&kernel));
    kernel.name = "";
    assert_false(cu.api->register_kernel(&kernel));
}

static void test_manifest(void **state)
{
    (void)state;
    CUmodule module;
    CUfunction function = NULL;
    static const size_t blob[][2] = {{0, 1}, {8, 24}, {32, 128}, {160, 2}};
    assert_ok(cu.cuModuleLoadDataEx(&module, "SEGUE-SOFT-MODULE 1\nt_nothing\nt_blob 1 24 128 2\n",
                                    0, NULL, NULL));
    assert_ok(cu.cuModuleGetFunction(&function, module, "t_nothing"));
    assert_parameters(function, NULL, 0);
    assert_ok(cu.cuModuleGetFunction(&function, module, "t_blob"));
    assert_parameters(function, blob, 4);
    assert_cuda(CUDA_ERROR_NOT_FOUND, cu.cuModuleGetFunction(&function, module, "t_store"));
    assert_ok(cu.cuModuleUnload(module));
    assert_load(CUDA_SUCCESS, "SEGUE-SOFT-MODULE 1\n", "");
    assert_load(CUDA_SUCCESS, "SEGUE-SOFT-MODULE 1\nf 4", "");
    assert_load(CUDA_ERROR_INVALID_IMAGE, "SEGUE-SOFT-MODULE 2\n", "");
    assert_load(CUDA_ERROR_INVALID_IMAGE, "SEGUE-SOFT-MODULE 1\n 4\n", "line 2");
    assert_load(CUDA_ERROR_INVALID_IMAGE, "SEGUE-SOFT-MODULE 1\nf 4\ng 0\n", "line 3");
    assert_load(CUDA_ERROR_INVALID_IMAGE, "SEGUE-SOFT-MODULE 1\nf  4\n", "parameter 0 of f");
    assert_load(CUDA_ERROR_INVALID_IMAGE, "SEGUE-SOFT-MODULE 1\nf 4 x\n", "parameter 1 of f");
    assert_load(CUDA_ERROR_INVALID_IMAGE, "SEGUE-SOFT-MODULE 1\nf 4x\n", "parameter 0 of f");
    assert_load(CUDA_ERROR_INVALID_IMAGE, "SEGUE-SOFT-MODULE 1\nf 99999\n", "parameter 0 of f");
}

static int attribute(CUfunction function, CUfunction_attribute name)
{
    int value = -7;
    assert_ok(cu.cuFuncGetAttribute(&value, name, function));
    return value;
}

static void test_function_attributes(void **state)
{
    (void)state;
    int value;
    const CUfunction_attribute dynamic = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    assert_int_equal(1024, attribute(soft_store, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK));
    assert_int_equal(256, attribute(soft_step, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK));
    assert_int_equal(0, attribute(soft_store, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES));
    assert_int_equal(1024, attribute(soft_step, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES));
    assert_int_equal(80, attribute(soft_step, CU_FUNC_ATTRIBUTE_PTX_VERSION));
    assert_int_equal(90, attribute(soft_step, CU_FUNC_ATTRIBUTE_BINARY_VERSION));
    assert_int_equal(49152, attribute(soft_store, dynamic));
    assert_int_equal(48128, attribute(soft_step, dynamic));
    assert_ok(cu.cuFuncSetAttribute(soft_store, dynamic, 232448));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuFuncSetAttribute(soft_store, dynamic, 232449));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuFuncSetAttribute(soft_store, dynamic, -1));
    assert_int_equal(232448, attribute(soft_store, dynamic));
    assert_ok(cu.cuFuncSetAttribute(soft_step, dynamic, 231424));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuFuncSetAttribute(soft_step, dynamic, 231425));
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuFuncSetAttribute(soft_step, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 5));
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuFuncSetAttribute(soft_step, (CUfunction_attribute)99, 5));
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuFuncGetAttribute(&value, (CUfunction_attribute)99, soft_step));
}

static void test_occupancy(void **state)
{
    (void)state;
    static const struct {
        int block;
        size_t shared;
        int expected;
    } cases[] = {{256, 0, 8}, {1024, 0, 2}, {32, 0, 32}, {2048, 0, 0}, {32, 60000, 0}};
    int blocks;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        assert_ok(cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, soft_nothing,
                                                                 cases[i].block, cases[i].shared));
        assert_int_equal(cases[i].expected, blocks);
    }
    assert_ok(cu.cuFuncSetAttribute(soft_nothing, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                    100000));
    assert_ok(cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, soft_nothing, 32, 100000));
    assert_int_equal(2, blocks);
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, soft_nothing, 0, 0));
}

/** A launch of soft_nothing, or of `function`. */
struct shape {
    CUresult expected;
    unsigned grid[3];
    unsigned block[3];
    unsigned shared_bytes;
    unsigned cluster[3];
    bool cooperative;
};

static void assert_shape(const struct shape *shape, CUfunction function)
{
    CUlaunchAttribute attributes[2] = {{.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE}};
    attributes[0].value.cooperative = shape->cooperative;
    attributes[1].id =
        shape->cluster[1] != 0 ? CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION : CU_LAUNCH_ATTRIBUTE_IGNORE;
    attributes[1].value.clusterDim.x = shape->cluster[0];
    attributes[1].value.clusterDim.y = shape->cluster[1];
    attributes[1].value.clusterDim.z = shape->cluster[2];
    CUlaunchConfig config = {
        .gridDimX = shape->grid[0],
        .gridDimY = shape->grid[1],
        .gridDimZ = shape->grid[2],
        .blockDimX = shape->block[0],
        .blockDimY = shape->block[1],
        .blockDimZ = shape->block[2],
        .sharedMemBytes = shape->shared_bytes,
        .attrs = attributes,
        .numAttrs = 2,
    };
    assert_int_equal(shape->expected, cu.cuLaunchKernelEx(&config, function, NULL, NULL));
}

static void test_launch_limits(void **state)
{
    (void)state;
    const CUresult bad = CUDA_ERROR_INVALID_VALUE;
    const struct shape shapes[] = {
        {0, {1, 1, 1}, {1, 1, 1}, 0, {0}, false},
        {bad, {0, 1, 1}, {1, 1, 1}, 0, {0}, false},
        {bad, {1, 1, 0}, {1, 1, 1}, 0, {0}, false},
        {bad, {1, 1, 1}, {1, 0, 1}, 0, {0}, false},
        {0, {0x7fffffff, 1, 1}, {1, 1, 1}, 0, {0}, false},
        {bad, {0x80000000, 1, 1}, {1, 1, 1}, 0, {0}, false},
        {0, {1, 65535, 65535}, {1, 1, 1}, 0, {0}, false},
        {bad, {1, 65536, 1}, {1, 1, 1}, 0, {0}, false},
        {bad, {1, 1, 65536}, {1, 1, 1}, 0, {0}, false},
        {0, {1, 1, 1}, {1024, 1, 1}, 0, {0}, false},
        {bad, {1, 1, 1}, {1025, 1, 1}, 0, {0}, false},
        {0, {1, 1, 1}, {1, 1, 64}, 0, {0}, false},
        {bad, {1, 1, 1}, {1, 1, 65}, 0, {0}, false},
        {0, {1, 1, 1}, {32, 32, 1}, 0, {0}, false},
        {bad, {1, 1, 1}, {32, 33, 1}, 0, {0}, false},
        {0, {1, 1, 1}, {1, 1, 1}, 49152, {0}, false},
        {bad, {1, 1, 1}, {1, 1, 1}, 49153, {0}, false},
        {0, {132 * 32, 1, 1}, {64, 1, 1}, 0, {0}, true},
        {CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, {4225, 1, 1}, {64, 1, 1}, 0, {0}, true},
        {0, {4, 2, 1}, {32, 1, 1}, 0, {2, 2, 1}, false},
        {CUDA_ERROR_INVALID_CLUSTER_SIZE, {4, 1, 1}, {32, 1, 1}, 0, {3, 1, 1}, false},
        {CUDA_ERROR_INVALID_CLUSTER_SIZE, {4, 1, 1}, {32, 1, 1}, 0, {0, 1, 1}, false},
        {0, {8, 1, 1}, {32, 1, 1}, 0, {8, 1, 1}, false},
        {CUDA_ERROR_INVALID_CLUSTER_SIZE, {16, 1, 1}, {32, 1, 1}, 0, {16, 1, 1}, false},
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); ++i) {
        assert_shape(&shapes[i], soft_nothing);
    }
    // With the function's own limits raised.
    const struct shape large = {0, {16, 1, 1}, {32, 1, 1}, 232448, {16, 1, 1}, false};
    assert_ok(cu.cuFuncSetAttribute(soft_nothing, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                    232448));
    assert_ok(cu.cuFuncSetAttribute(soft_nothing,
                                    CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1));
    assert_shape(&large, soft_nothing);
    assert_ok(cu.cuCtxSynchronize());
}

static void test_limits_of_the_image(void **state)
{
    (void)state;
    CUmodule module;
    CUfunction bounded;
    CUfunction required;
    CUfunction clustered;
    soft_register("t_bounded", NULL, 0);
    soft_register("t_required", NULL, 0);
    soft_register("t_clustered", NULL, 0);
    assert_ok(cu.cuModuleLoadDataEx(&module,
                                    HEADER ".entry t_bounded() .maxntid 64, 1, 1 { }\n"
                                           ".entry t_required() .reqntid 32 { }\n"
                                           ".entry t_clustered() .explicitcluster\n"
                                           ".reqnctapercluster 2, 1, 1 { }\n",
                                    0, NULL, NULL));
    assert_ok(cu.cuModuleGetFunction(&bounded, module, "t_bounded"));
    assert_ok(cu.cuModuleGetFunction(&required, module, "t_required"));
    assert_ok(cu.cuModuleGetFunction(&clustered, module, "t_clustered"));
    struct shape shape = {0, {2, 1, 1}, {64, 1, 1}, 0, {0}, false};
    assert_shape(&shape, bounded);
    assert_shape(&shape, clustered);
    shape.expected = CUDA_ERROR_INVALID_VALUE;
    assert_shape(&shape, required);
    shape.block[0] = 16;
    assert_shape(&shape, required);
    shape.block[0] = 65;
    assert_shape(&shape, bounded);
    shape.expected = CUDA_SUCCESS;
    shape.block[0] = 32;
    assert_shape(&shape, required);
    shape.expected = CUDA_ERROR_INVALID_CLUSTER_SIZE;
    shape.grid[0] = 3;
    assert_shape(&shape, clustered);
    assert_int_equal(2, attribute(clustered, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH));
    assert_int_equal(1, attribute(clustered, CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET));
    assert_int_equal(0, attribute(bounded, CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET));
    assert_ok(cu.cuModuleUnload(module));
}

static void test_launch_arguments(void **state)
{
    (void)state;
    CUdeviceptr target = 0;
    void *parameters[] = {&target, NULL};
    CUlaunchAttribute attribute_list[] = {{.id = CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN}};
    CUlaunchConfig config = {1, 1, 1, 1, 1, 1, 0, NULL, attribute_list, 1};
    assert_cuda(CUDA_ERROR_INVALID_VALUE, soft_launch(soft_store, NULL, NULL));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, soft_launch(soft_store, NULL, parameters));
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, soft_launch(NULL, NULL, NULL));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuLaunchKernelEx(NULL, soft_nothing, NULL, NULL));
    assert_cuda(CUDA_ERROR_NOT_SUPPORTED, cu.cuLaunchKernelEx(&config, soft_nothing, NULL, NULL));
    attribute_list[0].id = (CUlaunchAttributeID)77;
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuLaunchKernelEx(&config, soft_nothing, NULL, NULL));
    config.attrs = NULL;
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuLaunchKernelEx(&config, soft_nothing, NULL, NULL));
    config.numAttrs = 0;
    void *extra[] = {NULL};
    assert_cuda(CUDA_ERROR_NOT_SUPPORTED, cu.cuLaunchKernelEx(&config, soft_nothing, NULL, extra));
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuLaunchKernelEx(&config, soft_nothing, parameters, extra));
    assert_int_equal(0, soft_report().misuse_count);
}

static void test_parameters_are_copied(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 24, 128, 2};
    const struct segue_reference_kernel kernel = {.name = "t_checked",
                                                  .parameter_sizes = sizes,
                                                  .parameter_count = 4,
                                                  .run = run_checked,
                                                  .ranges = ranges_none,
                                                  .user = &cu};
    CUmodule module;
    CUfunction function;
    unsigned char storage[1 + 24 + 128 + 2];
    storage[0] = 3;
    for (int i = 0; i < 24; ++i) {
        storage[1 + i] = (unsigned char)i;
    }
    memcpy(storage + 153, &(uint16_t){0xabcd}, 2);
    void *parameters[] = {storage, storage + 1, storage + 25, storage + 153};
    assert_true(cu.api->register_kernel(&kernel));
    assert_ok(cu.cuModuleLoadDataEx(&module, "SEGUE-SOFT-MODULE 1\nt_checked 1 24 128 2\n", 0, NULL,
                                    NULL));
    assert_ok(cu.cuModuleGetFunction(&function, module, "t_checked"));
    cu.api->set_paused(true);
    assert_ok(soft_launch(function, NULL, parameters));
    memset(storage, 0xff, sizeof(storage));
    memset(parameters, 0, sizeof(parameters));
    parameters_seen = false;
    assert_ok(cu.cuCtxSynchronize());
    assert_true(parameters_seen);
    assert_ok(cu.cuModuleUnload(module));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, soft_driver_begin, soft_driver_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ptx_that_loads),
        TEST(test_ptx_that_does_not),
        TEST(test_short_log),
        TEST(test_ptx_version_of_profiles),
        TEST(test_options),
        TEST(test_functions),
        TEST(test_alignment_of_pointers),
        TEST(test_reference_with_other_parameters),
        TEST(test_malformed_registrations),
        TEST(test_manifest),
        TEST(test_function_attributes),
        TEST(test_occupancy),
        TEST(test_launch_limits),
        TEST(test_limits_of_the_image),
        TEST(test_launch_arguments),
        TEST(test_parameters_are_copied),
    };
    return soft_driver_load() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
