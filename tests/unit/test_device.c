// SPDX-License-Identifier: Apache-2.0
// Opening devices: URIs, `auto`, parameters, lifetimes, reference kernels.
#include "null_backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static segue_status open_uri(const char *uri, const struct segue_device_params *params,
                             segue_device **out_device)
{
    return segue_device_open_with(null_backend_open, uri, params, out_device);
}

static void takes_uris_apart(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        struct segue_device_uri expected;
    } good[] = {
        {"auto", {.automatic = true, .soft = true}},
        {"cuda://", {.ordinal = 0}},
        {"cuda://0", {.ordinal = 0}},
        {"cuda://12", {.ordinal = 12}},
        {"cuda://2147483647", {.ordinal = INT32_MAX}},
        {"soft://", {.soft = true}},
        {"soft://?profile=12.4", {.soft = true, .soft_profile = 12040}},
        {"soft://?profile=12.8", {.soft = true, .soft_profile = 12080}},
        {"soft://?seed=18446744073709551615", {.soft = true, .soft_seed = UINT64_MAX}},
        {"soft://?profile=13.0&seed=7", {.soft = true, .soft_profile = 13000, .soft_seed = 7}},
        {"soft://?seed=7&profile=13.0", {.soft = true, .soft_profile = 13000, .soft_seed = 7}},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct segue_device_uri parsed;
        memset(&parsed, 0xFF, sizeof parsed);
        assert_int_equal(segue_device_parse_uri(good[i].uri, &parsed), SEGUE_OK);
        assert_int_equal(parsed.automatic, good[i].expected.automatic);
        assert_int_equal(parsed.soft, good[i].expected.soft);
        assert_int_equal(parsed.ordinal, good[i].expected.ordinal);
        assert_int_equal(parsed.soft_profile, good[i].expected.soft_profile);
        assert_int_equal(parsed.soft_seed, good[i].expected.soft_seed);
    }
}

static void refuses_malformed_uris(void **state)
{
    (void)state;
    static const char *const bad[] = {
        NULL,
        "",
        "cuda",
        "cuda:/0",
        "cuda://x",
        "cuda://-1",
        "cuda://1x",
        "cuda://2147483648",
        "cuda://99999999999999999999999",
        "auto://",
        "Auto",
        "soft",
        "soft://x",
        "soft://?",
        "soft://?profile=12.5",
        "soft://?profile=",
        "soft://?profile=12.40",
        "soft://?seed=",
        "soft://?seed=-1",
        "soft://?seed=18446744073709551616",
        "soft://?seed=7&",
        "soft://?speed=7",
        "hip://0",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        segue_device *device = NULL;
        assert_int_equal(open_uri(bad[i], NULL, &device), SEGUE_INVALID_ARGUMENT);
        assert_null(device);
        if (bad[i])
            assert_non_null(strstr(segue_last_error()->message, bad[i]));
    }
    segue_device *device = NULL;
    assert_int_equal(segue_device_open("nonsense", NULL, &device), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(open_uri("soft://", NULL, NULL), SEGUE_INVALID_ARGUMENT);
}

static void hands_on_what_the_uri_says(void **state)
{
    (void)state;
    null_world_reset();
    segue_device *device = NULL;
    const struct segue_device_params params = {.libcuda_path = "/lib/x"};
    assert_int_equal(open_uri("soft://?profile=12.4&seed=7", &params, &device), SEGUE_OK);
    assert_true(null_world.soft);
    assert_int_equal(null_world.soft_profile, 12040);
    assert_int_equal(null_world.soft_seed, 7);
    assert_string_equal(null_world.libcuda_path, "/lib/x");
    struct segue_device_info info;
    segue_device_get_info(device, &info);
    assert_string_equal(info.uri, "soft://?profile=12.4&seed=7");
    assert_string_equal(info.name, "null");
    segue_device_destroy(device);

    assert_int_equal(open_uri("cuda://3", NULL, &device), SEGUE_OK);
    assert_false(null_world.soft);
    assert_int_equal(null_world.ordinal, 3);
    segue_device_destroy(device);
    segue_device_destroy(NULL);
    assert_int_equal(null_world.backends, 0);
}

static void refuses_bad_params(void **state)
{
    (void)state;
    segue_device *device = NULL;
    const struct segue_allocator half = {.allocate = segue_default_allocator.allocate};
    const struct segue_device_params no_release = {.allocator = &half};
    assert_int_equal(open_uri("soft://", &no_release, &device), SEGUE_INVALID_ARGUMENT);
    const struct segue_device_params validation = {.validation = (enum segue_validation)2};
    assert_int_equal(open_uri("soft://", &validation, &device), SEGUE_INVALID_ARGUMENT);
    assert_null(device);
}

struct log {
    int errors;
    char info[512];
};

static void keep_info(void *context, enum segue_log_level level, const char *message)
{
    struct log *log = context;
    if (level == SEGUE_LOG_ERROR)
        log->errors++;
    if (level == SEGUE_LOG_INFO)
        snprintf(log->info, sizeof log->info, "%s", message);
}

static void automatic_takes_the_gpu_where_it_opens(void **state)
{
    (void)state;
    null_world_reset();
    segue_device *device = NULL;
    assert_int_equal(open_uri("auto", NULL, &device), SEGUE_OK);
    struct segue_device_info info;
    segue_device_get_info(device, &info);
    assert_string_equal(info.uri, "cuda://0");
    assert_false(null_world.soft);
    segue_device_destroy(device);
}

static void automatic_falls_back_and_says_why(void **state)
{
    (void)state;
    static const segue_status reasons[] = {SEGUE_UNAVAILABLE, SEGUE_DRIVER_ERROR,
                                           SEGUE_DEVICE_LOST};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        null_world_reset();
        null_world.fail[NULL_CALL_OPEN_CUDA] = reasons[i];
        struct log log = {0};
        const struct segue_device_params params = {.log = keep_info, .log_context = &log};
        segue_device *device = NULL;
        assert_int_equal(segue_fail(NULL, SEGUE_NOT_FOUND, "before"), SEGUE_NOT_FOUND);
        assert_int_equal(open_uri("auto", &params, &device), SEGUE_OK);
        assert_int_equal(log.errors, 0);
        assert_non_null(strstr(log.info, "null backend: call 0 fails as told"));
        struct segue_device_info info;
        segue_device_get_info(device, &info);
        assert_string_equal(info.uri, "soft://");
        // It did not fail, so the thread's last failure is the one before; the device is sound.
        assert_string_equal(segue_last_error()->message, "before");
        assert_int_equal(segue_device_check(device), SEGUE_OK);
        segue_device_destroy(device);
        assert_int_equal(null_world.backends, 0);
    }
}

static void automatic_fails_with_both_reasons(void **state)
{
    (void)state;
    null_world_reset();
    null_world.fail[NULL_CALL_OPEN_CUDA] = SEGUE_UNAVAILABLE;
    null_world.fail[NULL_CALL_OPEN_SOFT] = SEGUE_UNAVAILABLE;
    segue_device *device = NULL;
    assert_int_equal(open_uri("auto", NULL, &device), SEGUE_UNAVAILABLE);
    assert_null(device);
    assert_non_null(strstr(segue_last_error()->message, "call 0"));
    assert_non_null(strstr(segue_last_error()->message, "call 1"));
}

static void lives_until_its_last_object_is_gone(void **state)
{
    (void)state;
    segue_device *device = null_device_open(NULL);
    const struct segue_buffer_params params = {.size_bytes = 16};
    segue_buffer *buffer;
    assert_int_equal(segue_buffer_create(device, &params, &buffer), SEGUE_OK);
    segue_command_buffer *command_buffer;
    assert_int_equal(segue_command_buffer_create(device, NULL, &command_buffer), SEGUE_OK);
    segue_device_destroy(device);
    assert_int_equal(null_world.backends, 1);
    segue_buffer_destroy(buffer);
    assert_int_equal(null_world.allocations, 0);
    assert_int_equal(null_world.backends, 1);
    segue_command_buffer_destroy(command_buffer);
    assert_int_equal(null_world.backends, 0);
}

static void opens_under_failing_allocations(void **state)
{
    (void)state;
    for (int forever = 0; forever < 2; forever++) {
        for (int automatic = 0; automatic < 2; automatic++) {
            bool failed = true;
            for (uint64_t n = 1; failed; n++) {
                null_world_reset();
                if (automatic)
                    null_world.fail[NULL_CALL_OPEN_CUDA] = SEGUE_UNAVAILABLE;
                struct null_allocator memory;
                null_allocator_init(&memory);
                null_allocator_fail(&memory, n, forever != 0);
                const struct segue_device_params params = {.allocator = &memory.allocator};
                segue_device *device = NULL;
                segue_status status = open_uri(automatic ? "auto" : "soft://", &params, &device);
                failed = memory.failed != 0;
                assert_int_equal(status, failed ? SEGUE_OUT_OF_HOST_MEMORY : SEGUE_OK);
                assert_true(failed == (device == NULL));
                segue_device_destroy(device);
                assert_int_equal(memory.live, 0);
                assert_int_equal(memory.wrong_sizes, 0);
                assert_int_equal(null_world.backends, 0);
            }
        }
    }
}

static int registered;
static bool register_kernel(const struct segue_reference_kernel *kernel)
{
    registered++;
    return strcmp(kernel->name, "refused") != 0;
}
static bool run_nothing(const struct segue_reference_launch *launch,
                        segue_reference_translate translate)
{
    (void)launch;
    (void)translate;
    return true;
}
static void no_ranges(const struct segue_reference_launch *launch,
                      struct segue_reference_ranges *ranges)
{
    (void)launch;
    (void)ranges;
}

static void registers_reference_kernels_with_the_software_driver(void **state)
{
    (void)state;
    const struct segue_reference_kernel kernels[] = {
        {.name = "one", .run = run_nothing, .ranges = no_ranges},
        {.name = "two", .run = run_nothing, .ranges = no_ranges},
    };
    const struct segue_soft_api api = {.register_kernel = register_kernel};
    segue_device *device = null_device_open(NULL);
    registered = 0;
    assert_null(segue_device_get_soft_api(device));
    assert_int_equal(segue_device_register_reference_kernels(device, kernels, 2), SEGUE_OK);
    assert_int_equal(registered, 0);

    null_world.soft_api = &api;
    assert_ptr_equal(segue_device_get_soft_api(device), &api);
    assert_int_equal(segue_device_register_reference_kernels(device, kernels, 2), SEGUE_OK);
    assert_int_equal(registered, 2);
    assert_int_equal(segue_device_register_reference_kernels(device, NULL, 0), SEGUE_OK);
    assert_int_equal(segue_device_register_reference_kernels(device, NULL, 1),
                     SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_device_register_reference_kernels(NULL, kernels, 1),
                     SEGUE_INVALID_ARGUMENT);
    struct segue_reference_kernel kernel = kernels[0];
    kernel.ranges = NULL;
    assert_int_equal(segue_device_register_reference_kernels(device, &kernel, 1),
                     SEGUE_INVALID_ARGUMENT);
    kernel = kernels[0];
    kernel.name = "refused";
    assert_int_equal(segue_device_register_reference_kernels(device, &kernel, 1),
                     SEGUE_OUT_OF_HOST_MEMORY);
    segue_device_destroy(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_uris_apart),
        cmocka_unit_test(refuses_malformed_uris),
        cmocka_unit_test(hands_on_what_the_uri_says),
        cmocka_unit_test(refuses_bad_params),
        cmocka_unit_test(automatic_takes_the_gpu_where_it_opens),
        cmocka_unit_test(automatic_falls_back_and_says_why),
        cmocka_unit_test(automatic_fails_with_both_reasons),
        cmocka_unit_test(lives_until_its_last_object_is_gone),
        cmocka_unit_test(opens_under_failing_allocations),
        cmocka_unit_test(registers_reference_kernels_with_the_software_driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
