// SPDX-License-Identifier: Apache-2.0
// Loading libcuda, the software driver and NVRTC: what is there, what is not, and what is said
// about it.
#include "check.h"
#include "driver.h"
#include "nvrtc.h"

#include <segue/segue.h>

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static segue_status load(const char *path, struct segue_driver *out_driver)
{
    const struct segue_device_params params = {.libcuda_path = path};
    const struct segue_backend_open_params open = {.params = &params};
    return segue_driver_load(&open, out_driver);
}

static segue_status load_soft(const char *path, struct segue_driver *out_driver)
{
    const struct segue_device_params params = {.libsoft_path = path};
    const struct segue_backend_open_params open = {.params = &params, .soft = true};
    return segue_driver_load(&open, out_driver);
}

/** Loading fails as unavailable, says `words`, and leaves the output alone. */
static void expect_unavailable(const char *path, const char *words)
{
    struct segue_driver driver;
    memset(&driver, 0x5a, sizeof(driver));
    const struct segue_driver before = driver;
    assert_int_equal(load(path, &driver), SEGUE_UNAVAILABLE);
    assert_int_equal(segue_last_error()->status, SEGUE_UNAVAILABLE);
    if (strstr(segue_last_error()->message, words) == NULL)
        fail_msg("\"%s\" is not in: %s", words, segue_last_error()->message);
    assert_memory_equal(&driver, &before, sizeof(driver));
}

static void test_good_driver(void **state)
{
    (void)state;
    struct segue_driver driver;
    assert_int_equal(load(FAKE_DRIVER_GOOD, &driver), SEGUE_OK);
    assert_int_equal(driver.version, 13000);
    assert_null(driver.soft);
#define CHECK_MEMBER(name, abi) assert_true(driver.name != NULL);
    SEGUE_DRIVER_CALLS(CHECK_MEMBER)
    SEGUE_DRIVER_OPTIONAL_CALLS(CHECK_MEMBER)
#undef CHECK_MEMBER
    segue_driver_unload(&driver);
    assert_null(driver.library);
}

static void test_optional_function_missing(void **state)
{
    (void)state;
    struct segue_driver driver;
    assert_int_equal(load(FAKE_DRIVER_OPTIONAL, &driver), SEGUE_OK);
    assert_int_equal(driver.version, 12040);
    assert_true(driver.cuGraphAddNode == NULL);
    assert_true(driver.cuGraphLaunch != NULL);
    segue_driver_unload(&driver);
}

static void test_unusable_drivers(void **state)
{
    (void)state;
    expect_unavailable(FAKE_DRIVER_OLD, "CUDA 12.3; Segue needs a driver for CUDA 12.4");
    expect_unavailable(FAKE_DRIVER_MISSING, "lacks the function cuGraphLaunch of CUDA 10.0");
    expect_unavailable(FAKE_DRIVER_UNVERSIONED, "does not tell its version");
    expect_unavailable(FAKE_DRIVER_ANCIENT, "does not export cuGetProcAddress_v2");
    expect_unavailable("/nonexistent/libcuda.so.1", "/nonexistent/libcuda.so.1");
    expect_unavailable(__FILE__, "libcuda could not be loaded");
}

static void test_environment(void **state)
{
    (void)state;
    struct segue_driver driver;
    assert_int_equal(setenv("SEGUE_LIBCUDA", FAKE_DRIVER_GOOD, 1), 0);
    assert_int_equal(load(NULL, &driver), SEGUE_OK);
    segue_driver_unload(&driver);
    // The explicit path wins, and a path that does not load is not passed over in silence.
    expect_unavailable(FAKE_DRIVER_OLD, "CUDA 12.3");
    assert_int_equal(setenv("SEGUE_LIBCUDA", "/nonexistent/libcuda.so.1", 1), 0);
    expect_unavailable(NULL, "/nonexistent/libcuda.so.1");
    assert_int_equal(unsetenv("SEGUE_LIBCUDA"), 0);
}

static void test_toolkit_stub(void **state)
{
    (void)state;
#ifdef CUDA_STUB
    expect_unavailable(CUDA_STUB, "the CUDA toolkit's stub");
#else
    skip();
#endif
}

static void test_not_the_software_driver(void **state)
{
    (void)state;
    struct segue_driver driver;
    assert_int_equal(load_soft(FAKE_DRIVER_GOOD, &driver), SEGUE_UNAVAILABLE);
    assert_non_null(strstr(segue_last_error()->message, "does not export segue_soft_get_api"));
    assert_int_equal(load_soft(FAKE_DRIVER_MISMATCH, &driver), SEGUE_UNAVAILABLE);
    assert_non_null(
        strstr(segue_last_error()->message, "control version 99, this library needs 3"));
    assert_int_equal(load_soft("/nonexistent/soft.so", &driver), SEGUE_UNAVAILABLE);
    assert_non_null(strstr(segue_last_error()->message, "/nonexistent/soft.so"));
}

/** Seed and profile reach the software driver before its functions are looked up. */
static void test_software_driver_options(void **state)
{
    (void)state;
    struct segue_driver driver;
    const struct segue_device_params params = {.libsoft_path = FAKE_DRIVER_SOFT};
    struct segue_backend_open_params open = {.params = &params, .soft = true, .soft_seed = 77};
    assert_int_equal(segue_driver_load(&open, &driver), SEGUE_OK);
    assert_non_null(driver.soft);
    const uint64_t *seed = dlsym(driver.library, "fake_soft_seed");
    const int32_t *profile = dlsym(driver.library, "fake_soft_profile");
    assert_non_null(seed);
    assert_non_null(profile);
    assert_int_equal(*seed, 77);
    assert_int_equal(*profile, 13000);
    segue_driver_unload(&driver);
    open.soft_profile = 12080;
    assert_int_equal(segue_driver_load(&open, &driver), SEGUE_OK);
    assert_int_equal(*profile, 12080);
    segue_driver_unload(&driver);
    open.soft_profile = 11000;
    assert_int_equal(segue_driver_load(&open, &driver), SEGUE_INVALID_ARGUMENT);
    assert_non_null(strstr(segue_last_error()->message, "no profile 11.0"));
}

static void test_device_open_reports(void **state)
{
    (void)state;
    segue_device *device = NULL;
    const struct segue_device_params params = {.libcuda_path = FAKE_DRIVER_OLD};
    assert_int_equal(segue_device_open("cuda://0", &params, &device), SEGUE_UNAVAILABLE);
    assert_null(device);
    assert_non_null(strstr(segue_last_error()->message, "CUDA 12.3"));
    // A driver that starts and has no GPU.
    const struct segue_device_params no_gpu = {.libcuda_path = FAKE_DRIVER_GOOD};
    assert_int_equal(segue_device_open("cuda://0", &no_gpu, &device), SEGUE_UNAVAILABLE);
    assert_non_null(strstr(segue_last_error()->message, "there is no GPU number 0"));
}

static void test_status_of_results(void **state)
{
    (void)state;
    static const struct {
        CUresult result;
        segue_status status;
    } cases[] = {
        {CUDA_SUCCESS, SEGUE_OK},
        {CUDA_ERROR_OUT_OF_MEMORY, SEGUE_OUT_OF_DEVICE_MEMORY},
        {CUDA_ERROR_NO_DEVICE, SEGUE_UNAVAILABLE},
        {CUDA_ERROR_NOT_SUPPORTED, SEGUE_UNIMPLEMENTED},
        {CUDA_ERROR_NOT_FOUND, SEGUE_NOT_FOUND},
        {CUDA_ERROR_INVALID_VALUE, SEGUE_DRIVER_ERROR},
        {CUDA_ERROR_ILLEGAL_ADDRESS, SEGUE_DEVICE_LOST},
        {CUDA_ERROR_LAUNCH_FAILED, SEGUE_DEVICE_LOST},
        {CUDA_ERROR_ECC_UNCORRECTABLE, SEGUE_DEVICE_LOST},
        {CUDA_ERROR_DEVICE_UNAVAILABLE, SEGUE_DEVICE_LOST},
        {CUDA_ERROR_MISALIGNED_ADDRESS, SEGUE_DEVICE_LOST},
        // Not sticky: the launch was refused, the context goes on.
        {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, SEGUE_DRIVER_ERROR},
        {CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, SEGUE_DRIVER_ERROR},
        {CUDA_ERROR_UNKNOWN, SEGUE_DRIVER_ERROR},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(segue_cuda_status(cases[i].result), cases[i].status);
}

static void test_nvrtc_missing(void **state)
{
    (void)state;
    struct segue_nvrtc nvrtc;
    assert_false(segue_nvrtc_load("/nonexistent/libnvrtc.so", 13000, &nvrtc));
    assert_true(nvrtc.attempted);
    assert_null(nvrtc.library);
    assert_int_equal(nvrtc.version, 0);
    assert_non_null(strstr(nvrtc.reason.text, "/nonexistent/libnvrtc.so"));
    assert_false(segue_nvrtc_load(FAKE_DRIVER_GOOD, 13000, &nvrtc));
    assert_null(nvrtc.library);
    assert_non_null(strstr(nvrtc.reason.text, "lacks the function nvrtc"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_driver),
        cmocka_unit_test(test_optional_function_missing),
        cmocka_unit_test(test_unusable_drivers),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_toolkit_stub),
        cmocka_unit_test(test_not_the_software_driver),
        cmocka_unit_test(test_software_driver_options),
        cmocka_unit_test(test_device_open_reports),
        cmocka_unit_test(test_status_of_results),
        cmocka_unit_test(test_nvrtc_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
