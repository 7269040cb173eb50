// SPDX-License-Identifier: Apache-2.0
// Device URIs and parameters, lost devices, reference kernels, events.
#include "pairs.h"

#include <stdlib.h>

/** Parses: only what is a valid URI gets as far as looking for a software driver. */
static segue_status open_uri(const char *uri)
{
    const struct segue_device_params params = {.libcuda_path = "/nowhere/libcuda.so",
                                               .libsoft_path = "/nowhere/libsoft.so"};
    segue_device *device = NULL;
    segue_status status = segue_device_open(uri, &params, &device);
    segue_device_destroy(device);
    return status == SEGUE_UNAVAILABLE ? SEGUE_OK : status;
}

#define URI_RULE(name, bad, good)                                 \
    static segue_status name(struct segue_test *test, bool wrong) \
    {                                                             \
        (void)test;                                               \
        return open_uri(wrong ? (bad) : (good));                  \
    }

URI_RULE(uri_is_not_null, NULL, "soft://")
URI_RULE(uri_has_a_known_scheme, "vulkan://0", "cuda://0")
URI_RULE(auto_takes_no_options, "auto?seed=1", "soft://?seed=1")
URI_RULE(gpu_is_a_number, "cuda://x", "cuda://1")
URI_RULE(gpu_number_fits, "cuda://2147483648", "cuda://2147483647")
URI_RULE(soft_options_begin_with_a_question_mark, "soft://seed=7", "soft://?seed=7")
URI_RULE(profile_is_known, "soft://?profile=12.5", "soft://?profile=12.4")
URI_RULE(seed_is_a_number, "soft://?seed=", "soft://?seed=0")
URI_RULE(seed_fits_64_bits, "soft://?seed=18446744073709551616",
         "soft://?seed=18446744073709551615")
URI_RULE(options_are_known, "soft://?seed=7&sneed=7", "soft://?seed=7&seed=7")

static segue_status open(const struct segue_device_params *params, segue_device **out_device)
{
    segue_status status = segue_device_open(segue_test_device_uri(), params, out_device);
    if (status == SEGUE_OK)
        segue_device_destroy(*out_device);
    return status;
}

static segue_status open_needs_somewhere_to_put_the_device(struct segue_test *test, bool wrong)
{
    (void)test;
    segue_device *device = NULL;
    return open(NULL, wrong ? NULL : &device);
}

static void *allocate(void *context, size_t size_bytes, size_t align_bytes)
{
    (void)context;
    (void)align_bytes;
    return malloc(size_bytes);
}

static void release(void *context, void *pointer, size_t size_bytes)
{
    (void)context;
    (void)size_bytes;
    free(pointer);
}

static segue_status allocator_has_both_functions(struct segue_test *test, bool wrong)
{
    (void)test;
    const struct segue_allocator allocator = {allocate, wrong ? NULL : release, NULL};
    const struct segue_device_params params = {.allocator = &allocator};
    segue_device *device = NULL;
    return open(&params, &device);
}

static segue_status validation_is_known(struct segue_test *test, bool wrong)
{
    (void)test;
    const struct segue_device_params params = {
        .validation = (enum segue_validation)(SEGUE_VALIDATION_FULL + wrong)};
    segue_device *device = NULL;
    return open(&params, &device);
}

static segue_status auto_needs_one_driver(struct segue_test *test, bool wrong)
{
    (void)test;
    const struct segue_device_params params = {
        .libcuda_path = "/nowhere/libcuda.so",
        .libsoft_path = wrong ? "/nowhere/libsoft.so" : NULL,
    };
    segue_device *device = NULL;
    segue_status status = segue_device_open("auto", &params, &device);
    segue_device_destroy(device);
    return status;
}

static segue_status lost_devices_do_nothing_more(struct segue_test *test, bool wrong)
{
    enum { CUDA_ERROR_LAUNCH_FAILED = 719 };
    const struct pair_other other = pair_other_open();
    if (wrong) {
        char byte = 0;
        test->soft->set_device_lost(CUDA_ERROR_LAUNCH_FAILED);
        CHECK_STATUS(segue_buffer_read(other.buffer, 0, &byte, 1), SEGUE_DEVICE_LOST);
        test->soft->set_device_lost(0);
    }
    segue_status status = segue_device_wait_idle(other.device);
    struct segue_error error = *segue_last_error();
    pair_other_close(&other);
    // Closing a lost device fails on the way: what the rule said is the device's affair.
    if (wrong)
        assert_int_equal(error.status, segue_last_error()->status);
    return status;
}

static segue_status wait_needs_a_device(struct segue_test *test, bool wrong)
{
    return segue_device_wait_idle(wrong ? NULL : test->device);
}

static segue_status references_need_a_device(struct segue_test *test, bool wrong)
{
    return segue_device_register_reference_kernels(wrong ? NULL : test->device,
                                                   segue_test_references, 1);
}

static segue_status references_are_an_array(struct segue_test *test, bool wrong)
{
    return segue_device_register_reference_kernels(test->device, NULL, wrong);
}

static segue_status references_are_complete(struct segue_test *test, bool wrong)
{
    struct segue_reference_kernel kernel = segue_test_references[SEGUE_TEST_ADD];
    if (wrong)
        kernel.ranges = NULL;
    return segue_device_register_reference_kernels(test->device, &kernel, 1);
}

static segue_status references_have_a_name(struct segue_test *test, bool wrong)
{
    struct segue_reference_kernel kernel = segue_test_references[SEGUE_TEST_NOTHING];
    kernel.name = wrong ? "" : "pairs_nothing";
    return segue_device_register_reference_kernels(test->device, &kernel, 1);
}

static segue_status reference_parameters_have_a_size(struct segue_test *test, bool wrong)
{
    const uint32_t sizes[] = {8, wrong ? 0 : 4};
    struct segue_reference_kernel kernel = segue_test_references[SEGUE_TEST_NOTHING];
    kernel.name = "pairs_nothing";
    kernel.parameter_sizes = sizes;
    kernel.parameter_count = 2;
    return segue_device_register_reference_kernels(test->device, &kernel, 1);
}

static segue_status event_needs_a_device(struct segue_test *test, bool wrong)
{
    segue_event *event = NULL;
    segue_status status = segue_event_create(wrong ? NULL : test->device, &event);
    segue_event_destroy(event);
    return status;
}

static segue_status event_needs_somewhere_to_be_put(struct segue_test *test, bool wrong)
{
    segue_event *event = NULL;
    segue_status status = segue_event_create(test->device, wrong ? NULL : &event);
    segue_event_destroy(event);
    return status;
}

static const struct pair pairs[] = {
    PAIR(uri_is_not_null, INVALID_ARGUMENT, "URI is NULL|auto, cuda://N or soft://"),
    PAIR(uri_has_a_known_scheme, INVALID_ARGUMENT, "\"vulkan://0\" is unknown|cuda://N"),
    PAIR(auto_takes_no_options, INVALID_ARGUMENT, "\"auto?seed=1\" is unknown"),
    PAIR(gpu_is_a_number, INVALID_ARGUMENT, "\"cuda://x\"|\"x\" is not the number of a GPU"),
    PAIR(gpu_number_fits, INVALID_ARGUMENT, "\"2147483648\" is not the number"),
    PAIR(soft_options_begin_with_a_question_mark, INVALID_ARGUMENT,
         "\"seed=7\" after soft://|soft://?profile="),
    PAIR(profile_is_known, INVALID_ARGUMENT, "profile \"12.5\"|12.4, 12.8, 13.0"),
    PAIR(seed_is_a_number, INVALID_ARGUMENT, "seed \"\"|64-bit decimal number"),
    PAIR(seed_fits_64_bits, INVALID_ARGUMENT, "seed \"18446744073709551616\""),
    PAIR(options_are_known, INVALID_ARGUMENT, "\"sneed=7\"|takes profile and seed"),
    PAIR(open_needs_somewhere_to_put_the_device, INVALID_ARGUMENT, "out_device is NULL"),
    PAIR(allocator_has_both_functions, INVALID_ARGUMENT, "allocator|set allocate and release"),
    PAIR(validation_is_known, INVALID_ARGUMENT, "validation is 2|segue_validation"),
    PAIR(auto_needs_one_driver, UNAVAILABLE, "\"auto\"|cuda://0: |/nowhere|soft://: "),
    SOFT_PAIR(lost_devices_do_nothing_more, DEVICE_LOST, "was lost earlier|opened anew|719"),
    PAIR(wait_needs_a_device, INVALID_ARGUMENT, "segue_device_wait_idle: device is NULL"),
    PAIR(references_need_a_device, INVALID_ARGUMENT, "device is NULL"),
    PAIR(references_are_an_array, INVALID_ARGUMENT, "kernels is NULL, the count 1"),
    SOFT_PAIR(references_are_complete, INVALID_ARGUMENT,
              "reference kernel 0 (\"test_add\") lacks|ranges"),
    SOFT_PAIR(references_have_a_name, INVALID_ARGUMENT, "reference kernel 0 (\"\") lacks a name"),
    SOFT_PAIR(reference_parameters_have_a_size, INVALID_ARGUMENT,
              "reference kernel 0 (\"pairs_nothing\")|parameter 1 has size 0"),
    PAIR(event_needs_somewhere_to_be_put, INVALID_ARGUMENT,
         "segue_event_create: out_event is NULL"),
    PAIR(event_needs_a_device, INVALID_ARGUMENT, "segue_event_create: device is NULL"),
};
PAIR_AREA(device, pairs);
