// SPDX-License-Identifier: Apache-2.0
// Faults, profiles, the call log and the reports of the software driver.
#include "soft_driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void arm(uint64_t nth, bool forever, const char *pattern)
{
    struct segue_soft_fault fault = {
        .target = SEGUE_SOFT_FAULT_DRIVER_CALL,
        .nth = nth,
        .forever = forever,
        .driver_result = CUDA_ERROR_SYSTEM_NOT_READY,
        .name_pattern = pattern,
    };
    cu.api->set_fault(&fault);
}

static void test_nth_call(void **state)
{
    (void)state;
    const CUresult hit = CUDA_ERROR_SYSTEM_NOT_READY;
    int count;
    arm(2, false, NULL);
    assert_ok(cu.cuDeviceGetCount(&count));
    assert_cuda(hit, cu.cuDeviceGetCount(&count));
    assert_ok(cu.cuDeviceGetCount(&count));
    assert_int_equal(1, soft_report().fault_count);
    assert_string_equal("cuDeviceGetCount", soft_report().first_fault);
    cu.api->reset_report();
    assert_string_equal("", soft_report().first_fault);
    arm(2, true, NULL);
    assert_ok(cu.cuDeviceGetCount(&count));
    assert_cuda(hit, cu.cuDeviceGetCount(&count));
    assert_cuda(hit, cu.cuCtxSynchronize());
    assert_int_equal(2, soft_report().fault_count);
    assert_string_equal("cuDeviceGetCount", soft_report().first_fault);
    cu.api->set_fault(NULL);
    assert_ok(cu.cuCtxSynchronize());
    arm(0, true, NULL);
    assert_ok(cu.cuCtxSynchronize());
}

static void test_patterns(void **state)
{
    (void)state;
    const CUresult hit = CUDA_ERROR_SYSTEM_NOT_READY;
    static const struct {
        const char *pattern;
        bool matches;
    } cases[] = {
        {"cuCtxSynchronize", true},
        {"cuCtxSync", false},
        {"cuCtxSync*", true},
        {"*Synchronize", true},
        {"*Sync*", true},
        {"*", true},
        {"cu*S*n*e", true},
        {"cu*S*x*e", false},
        {"", false},
        {"CuCtxSynchronize", false},
        {"cuCtxSynchronize*", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        char pattern[32];
        snprintf(pattern, sizeof(pattern), "%s", cases[i].pattern);
        arm(1, false, pattern);
        // Copied: the caller's string may go.
        memset(pattern, 'x', sizeof(pattern) - 1);
        assert_cuda(cases[i].matches ? hit : CUDA_SUCCESS, cu.cuCtxSynchronize());
    }
    // Versions are no part of names; only matching calls count.
    arm(2, false, "cuMemFree");
    assert_ok(cu.cuMemFree(0));
    assert_ok(cu.cuCtxSynchronize());
    assert_cuda(hit, cu.cuMemFree(0));
}

static void test_allocations(void **state)
{
    (void)state;
    CUdeviceptr first = 0;
    CUdeviceptr second = 0;
    void *host = NULL;
    struct segue_soft_fault fault = {
        .target = SEGUE_SOFT_FAULT_ALLOCATION,
        .nth = 2,
        .driver_result = CUDA_ERROR_OUT_OF_MEMORY,
    };
    cu.api->set_fault(&fault);
    assert_ok(cu.cuMemAlloc(&first, 4));
    assert_ok(cu.cuCtxSynchronize());
    assert_cuda(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemHostAlloc(&host, 4, 0));
    assert_null(host);
    assert_ok(cu.cuMemAlloc(&second, 4));
    assert_int_equal(3, soft_report().allocation_count);
    assert_int_equal(1, soft_report().fault_count);
    assert_string_equal("cuMemHostAlloc", soft_report().first_fault);
    assert_ok(cu.cuMemFree(first));
    assert_ok(cu.cuMemFree(second));
}

static void test_faulted_calls_do_nothing_but_release(void **state)
{
    (void)state;
    const CUresult hit = CUDA_ERROR_SYSTEM_NOT_READY;
    CUstream stream = NULL;
    CUevent event;
    CUdeviceptr memory = soft_allocate(4);
    assert_ok(cu.cuEventCreate(&event, 0));
    arm(1, true, NULL);
    assert_cuda(hit, cu.cuStreamCreate(&stream, 0));
    assert_null(stream);
    assert_int_equal(0, soft_report().live_streams);
    assert_cuda(hit, cu.cuEventDestroy(event));
    assert_cuda(hit, cu.cuMemFree(memory));
    assert_int_equal(0, soft_report().live_events);
    assert_int_equal(0, soft_report().live_allocations);
    assert_int_equal(0, soft_report().misuse_count);
}

// Each call of a small program fails once, then from there on: nothing is left, nothing is misused.
static bool small_program(void)
{
    CUgraph graph = NULL;
    CUgraphExec exec = NULL;
    CUgraphNode node;
    CUstream stream = NULL;
    CUdeviceptr memory = 0;
    CUDA_GRAPH_INSTANTIATE_PARAMS instantiate = {.flags = 0};
    CUDA_MEMSET_NODE_PARAMS set;
    bool good = cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS &&
                cu.cuMemAlloc(&memory, 4) == CUDA_SUCCESS &&
                cu.cuGraphCreate(&graph, 0) == CUDA_SUCCESS;
    set = soft_set(memory, 1, 1);
    good = good && cu.cuGraphAddMemsetNode(&node, graph, NULL, 0, &set, NULL) == CUDA_SUCCESS &&
           cu.cuGraphInstantiateWithParams(&exec, graph, &instantiate) == CUDA_SUCCESS &&
           cu.cuGraphLaunch(exec, stream) == CUDA_SUCCESS &&
           cu.cuStreamSynchronize(stream) == CUDA_SUCCESS;
    if (exec != NULL) {
        good = cu.cuGraphExecDestroy(exec) == CUDA_SUCCESS && good;
    }
    if (graph != NULL) {
        good = cu.cuGraphDestroy(graph) == CUDA_SUCCESS && good;
    }
    if (memory != 0) {
        good = cu.cuMemFree(memory) == CUDA_SUCCESS && good;
    }
    if (stream != NULL) {
        good = cu.cuStreamDestroy(stream) == CUDA_SUCCESS && good;
    }
    return good;
}

static void test_fault_at_every_call(void **state)
{
    (void)state;
    for (int forever = 0; forever < 2; ++forever) {
        uint64_t nth = 0;
        do {
            assert_true(++nth < 100);
            arm(nth, forever, NULL);
        } while (!small_program());
        assert_int_equal(12, nth);
        assert_int_equal(0, soft_report().misuse_count);
    }
}

static void test_profiles(void **state)
{
    (void)state;
    int version = 0;
    void *function = NULL;
    CUdriverProcAddressQueryResult status;
    static const int32_t profiles[] = {12040, 12080, 13000};
    for (size_t i = 0; i < 3; ++i) {
        assert_true(cu.api->set_profile(profiles[i]));
        assert_ok(cu.cuDriverGetVersion(&version));
        assert_int_equal(profiles[i], version);
        // A version that the driver does not have is an error, whatever the function.
        assert_cuda(CUDA_ERROR_INVALID_VALUE,
                    cu.get_proc_address("cuMemAlloc", &function, profiles[i] + 10, 0, &status));
        assert_ok(cu.get_proc_address("cuMemAlloc", &function, profiles[i], 0, &status));
        assert_int_equal(CU_GET_PROC_ADDRESS_SUCCESS, status);
    }
    assert_false(cu.api->set_profile(12050));
    assert_ok(cu.cuDriverGetVersion(&version));
    assert_int_equal(13000, version);
}

static void test_lookup(void **state)
{
    (void)state;
    void *function = &state;
    CUdriverProcAddressQueryResult status;
    assert_ok(cu.get_proc_address("cuNoSuchCall", &function, 12040, 0, &status));
    assert_null(function);
    assert_int_equal(CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND, status);
    assert_cuda(CUDA_ERROR_NOT_FOUND,
                cu.get_proc_address("cuNoSuchCall", &function, 12040, 0, NULL));
    assert_ok(cu.get_proc_address("cuGraphExecUpdate", &function, 11000, 0, &status));
    assert_null(function);
    assert_int_equal(CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT, status);
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.get_proc_address("cuMemAlloc", &function, 12040, 64, &status));
    assert_cuda(CUDA_ERROR_NOT_SUPPORTED,
                cu.get_proc_address("cuMemcpyAsync", &function, 12040,
                                    CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &status));
    // The first version of the lookup itself, as old programs use it.
    PFN_cuGetProcAddress_v11030 old = NULL;
    assert_ok(cu.get_proc_address("cuGetProcAddress", (void **)&old, 11030, 0, &status));
    assert_ok(old("cuMemAlloc", &function, 12040, 0));
    assert_memory_equal(&cu.cuMemAlloc, &function, sizeof(function));
    assert_cuda(CUDA_ERROR_NOT_FOUND, old("cuNoSuchCall", &function, 12040, 0));
}

#if CUDA_VERSION >= 12080
// A function that has a newer version: profiles that lack it give the older one.
static void test_newer_version_of_a_function(void **state)
{
    (void)state;
    void *older = NULL;
    void *newer = NULL;
    CUdriverProcAddressQueryResult status;
    assert_ok(cu.get_proc_address("cuEventElapsedTime", &older, 12040, 0, &status));
    assert_ok(cu.get_proc_address("cuEventElapsedTime", &newer, 12080, 0, &status));
    assert_ptr_not_equal(older, newer);
    assert_true(cu.api->set_profile(12040));
    assert_ok(cu.get_proc_address("cuEventElapsedTime", &newer, 12040, 0, &status));
    assert_ptr_equal(older, newer);
    assert_true(cu.api->set_profile(13000));
}
#endif

// Whatever the loader may ask for is exported under libcuda's name, too.
static void test_exported_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "cuInit",
        "cuMemAlloc_v2",
        "cuMemFree_v2",
        "cuStreamCreate",
        "cuStreamDestroy_v2",
        "cuEventElapsedTime",
        "cuGraphAddNode_v2",
        "cuGraphAddKernelNode_v2",
        "cuGraphExecUpdate_v2",
        "cuGraphGetEdges",
        "cuGetProcAddress",
        "cuGetProcAddress_v2",
        "cuCtxPushCurrent_v2",
        "cuDevicePrimaryCtxRelease_v2",
        "cuMemsetD8_v2",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        if (dlsym(cu.library, names[i]) == NULL) {
            fail_msg("%s is not exported", names[i]);
        }
    }
    assert_null(dlsym(cu.library, "cuMemAllocManaged"));
    assert_null(dlsym(cu.library, "segue_soft_enter"));
}

static void test_error_names(void **state)
{
    (void)state;
    const char *text = NULL;
    assert_ok(cu.cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    assert_string_equal("CUDA_ERROR_ILLEGAL_ADDRESS", text);
    assert_ok(cu.cuGetErrorString(CUDA_ERROR_INVALID_VALUE, &text));
    assert_string_equal("invalid argument", text);
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGetErrorName((CUresult)123456, &text));
    assert_null(text);
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuGetErrorString(CUDA_SUCCESS, NULL));
}

static void test_device(void **state)
{
    (void)state;
    CUdevice device;
    int value = 0;
    size_t bytes;
    char name[8] = "xxxxxxx";
    static const struct {
        CUdevice_attribute attribute;
        int value;
    } cases[] = {
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 9},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0},
        {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 132},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 49152},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 232448},
        {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 62914560},
        {CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, 1},
        {CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH, 1},
        {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        assert_ok(cu.cuDeviceGetAttribute(&value, cases[i].attribute, 0));
        assert_int_equal(cases[i].value, value);
    }
    assert_cuda(CUDA_ERROR_INVALID_VALUE,
                cu.cuDeviceGetAttribute(&value, (CUdevice_attribute)100000, 0));
    assert_cuda(CUDA_ERROR_NOT_SUPPORTED,
                cu.cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD, 0));
    assert_cuda(CUDA_ERROR_INVALID_DEVICE,
                cu.cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 1));
    assert_ok(cu.cuDeviceGet(&device, 0));
    assert_cuda(CUDA_ERROR_INVALID_DEVICE, cu.cuDeviceGet(&device, 1));
    assert_cuda(CUDA_ERROR_INVALID_DEVICE, cu.cuDeviceGet(&device, -1));
    assert_ok(cu.cuDeviceGetName(name, sizeof(name), device));
    assert_string_equal("Segue s", name);
    assert_ok(cu.cuDeviceTotalMem(&bytes, device));
    assert_true(bytes > (size_t)100 << 30);
    assert_ok(cu.cuDeviceGraphMemTrim(0));
    assert_cuda(CUDA_ERROR_INVALID_DEVICE, cu.cuDeviceGraphMemTrim(1));
    assert_cuda(CUDA_ERROR_INVALID_VALUE, cu.cuInit(1));
}

static void test_log(void **state)
{
    (void)state;
    char path[] = "/tmp/segue_soft_log_XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    CUfunction function;
    CUevent event;
    assert_false(cu.api->set_log_path("/nowhere/at/all"));
    assert_true(cu.api->set_log_path(path));
    assert_cuda(CUDA_ERROR_NOT_FOUND,
                cu.cuModuleGetFunction(&function, soft_module, "a \"name\"\n"));
    arm(1, false, "cuEventCreate");
    assert_cuda(CUDA_ERROR_SYSTEM_NOT_READY, cu.cuEventCreate(&event, 0));
    assert_cuda(CUDA_ERROR_INVALID_HANDLE, cu.cuEventQuery(NULL));
    assert_true(cu.api->set_log_path(NULL));
    assert_ok(cu.cuCtxSynchronize());
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char lines[8][512];
    int count = 0;
    while (count < 8 && fgets(lines[count], sizeof(lines[0]), file) != NULL) {
        size_t length = strlen(lines[count]);
        assert_int_equal('{', lines[count][0]);
        assert_string_equal("}\n", lines[count] + length - 2);
        ++count;
    }
    fclose(file);
    unlink(path);
    assert_int_equal(4, count);
    assert_non_null(strstr(lines[0], "\"call\":\"cuModuleGetFunction\""));
    assert_non_null(strstr(lines[0], "\"name\":\"a \\\"name\\\"\\u000a\""));
    assert_non_null(strstr(lines[0], "\"result_name\":\"CUDA_ERROR_NOT_FOUND\""));
    assert_non_null(strstr(lines[1], "\"fault\":true"));
    assert_non_null(strstr(lines[2], "\"note\":\"misuse\""));
    assert_non_null(strstr(lines[3], "\"call\":\"cuEventQuery\""));
}

static void test_report(void **state)
{
    (void)state;
    uint64_t before = soft_report().call_count;
    assert_ok(cu.cuCtxSynchronize());
    assert_int_equal(before + 1, soft_report().call_count);
    cu.api->reset_report();
    assert_int_equal(0, soft_report().call_count);
    // The module and the context are alive whatever is reset.
    assert_int_equal(1, soft_report().live_modules);
    assert_int_equal(2, soft_report().live_objects);
    assert_int_equal(SEGUE_SOFT_API_VERSION, cu.api->version);
}

static void test_before_init(void **state)
{
    (void)state;
    int count;
    int version;
    CUdeviceptr memory;
    assert_cuda(CUDA_ERROR_NOT_INITIALIZED, cu.cuDeviceGetCount(&count));
    assert_cuda(CUDA_ERROR_NOT_INITIALIZED, cu.cuMemAlloc(&memory, 4));
    assert_ok(cu.cuDriverGetVersion(&version));
    arm(1, false, "cuInit");
    assert_cuda(CUDA_ERROR_SYSTEM_NOT_READY, cu.cuInit(0));
    cu.api->set_fault(NULL);
    assert_cuda(CUDA_ERROR_NOT_INITIALIZED, cu.cuDeviceGetCount(&count));
    assert_ok(cu.cuInit(0));
    assert_ok(cu.cuDeviceGetCount(&count));
    assert_int_equal(1, count);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, soft_driver_begin, soft_driver_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        // First: the others initialise the driver.
        cmocka_unit_test(test_before_init),
        TEST(test_nth_call),
        TEST(test_patterns),
        TEST(test_allocations),
        TEST(test_faulted_calls_do_nothing_but_release),
        TEST(test_fault_at_every_call),
        TEST(test_profiles),
        TEST(test_lookup),
#if CUDA_VERSION >= 12080
        TEST(test_newer_version_of_a_function),
#endif
        TEST(test_exported_names),
        TEST(test_error_names),
        TEST(test_device),
        TEST(test_log),
        TEST(test_report),
    };
    return soft_driver_load() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
