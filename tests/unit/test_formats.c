// SPDX-License-Identifier: Apache-2.0
// The same kernels as CUDA source, PTX, cubin and fatbin: loaded through the public API, run, and
// compared with their formulas; and what is refused. On the software driver ($SEGUE_TEST_DEVICE)
// binaries stand for the kernels that are declared.
#include "format_images.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#define FORMAT_COUNT 4
#define LARGE_WORDS 1000
#define STRUCT_WORDS 32

/** Indexed by segue_executable_format. Made once. */
static struct format_image images[FORMAT_COUNT];
/** Of the running test: one of `images`. */
static const struct format_image *image;
/** Architecture of the device. */
static uint32_t device_arch;

/** The entry points that are loaded here, in this order. */
static const enum segue_test_kernel kernels[] = {SEGUE_TEST_ORDER, SEGUE_TEST_STRUCT,
                                                 SEGUE_TEST_LARGE};
enum entry { ORDER, STRUCT, LARGE, ENTRY_COUNT };

/** The entry points, with parameters that a test may spoil. */
struct declarations {
    struct segue_entry_point entries[ENTRY_COUNT];
    struct segue_parameter parameters[ENTRY_COUNT][8];
};

static void declare(struct declarations *declarations)
{
    for (uint32_t i = 0; i < ENTRY_COUNT; i++) {
        const struct segue_entry_point *entry = &segue_test_entries[kernels[i]];
        memset(declarations->parameters[i], 0, sizeof(declarations->parameters[i]));
        memcpy(declarations->parameters[i], entry->parameters,
               entry->parameter_count * sizeof(*entry->parameters));
        declarations->entries[i] = *entry;
        declarations->entries[i].parameters = declarations->parameters[i];
    }
}

static int set_up(void **state)
{
    image = *state;
    return segue_test_setup(state);
}

/** Skips the test where the image could not be made. */
static void need(const struct format_image *needed)
{
    if (needed->data == NULL) {
        print_message("skipped: %s\n", needed->reason);
        skip();
    }
}

static void need_gpu(const struct segue_test *test)
{
    if (test->soft != NULL) {
        print_message("skipped: the software driver does not look at binaries\n");
        skip();
    }
}

static segue_status load(struct segue_test *test, enum segue_executable_format format,
                         const void *data, size_t size_bytes,
                         const struct segue_entry_point *entries, uint32_t entry_count,
                         segue_executable **out_executable)
{
    const struct segue_executable_params params = {
        .format = format,
        .data = data,
        .size_bytes = size_bytes,
        .entry_points = entries,
        .entry_point_count = entry_count,
        .label = "formats",
    };
    return segue_executable_create(test->device, &params, out_executable);
}

/** Loads an image that must be refused. */
static void expect_refusal(struct segue_test *test, enum segue_executable_format format,
                           const void *data, size_t size_bytes,
                           const struct segue_entry_point *entry, segue_status expected,
                           const char *text)
{
    segue_executable *executable = NULL;
    const segue_status status = load(test, format, data, size_bytes, entry, 1, &executable);
    // Where it is not refused, it must not be left over to the tests that follow.
    segue_executable_destroy(executable);
    CHECK_ERROR(status, expected, text);
    assert_null(executable);
    assert_non_null(strstr(segue_last_error()->message, "executable \"formats\""));
}

static segue_executable *load_image(struct segue_test *test, const struct format_image *from)
{
    struct declarations declarations;
    segue_executable *executable = NULL;
    declare(&declarations);
    CHECK_OK(load(test, from->format, from->data, from->size_bytes, declarations.entries,
                  ENTRY_COUNT, &executable));
    return executable;
}

static void dispatch(segue_command_buffer *commands, segue_executable *executable,
                     enum entry entry_point, const struct segue_buffer_ref *bindings,
                     uint32_t binding_count, const void *constants, uint32_t size_bytes)
{
    const struct segue_dispatch dispatch = {
        .executable = executable,
        .entry_point = entry_point,
        .grid = {3, 1, 1},
        .bindings = bindings,
        .binding_count = binding_count,
        .constants = constants,
        .constants_size_bytes = size_bytes,
    };
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
}

/** Runs test_order, whose parameters need padding; the words behind its target stay. */
static void run_order(struct segue_test *test, segue_executable *executable, uint32_t count,
                      uint64_t start)
{
    const uint8_t step = 201;
    const uint16_t shift = 13;
    uint8_t constants[sizeof(step) + sizeof(start) + sizeof(shift) + sizeof(count)];
    memcpy(constants, &step, sizeof(step));
    memcpy(constants + 1, &start, sizeof(start));
    memcpy(constants + 9, &shift, sizeof(shift));
    memcpy(constants + 11, &count, sizeof(count));
    segue_buffer *source = segue_test_words(test, count, start);
    segue_buffer *out = segue_test_zeros(test, count + 1);
    const struct segue_buffer_ref bindings[] = {segue_test_whole(out), segue_test_whole(source)};
    segue_command_buffer *commands = segue_test_begin(test);
    dispatch(commands, executable, ORDER, bindings, 2, constants, sizeof(constants));
    segue_test_run(test, commands);
    uint32_t *expected = calloc(count + 1, sizeof(*expected));
    assert_non_null(expected);
    for (uint32_t i = 0; i < count; i++)
        expected[i] = (uint32_t)(start >> shift) + i * step + segue_test_word(start, i);
    segue_test_expect(out, 0, expected, count + 1);
    free(expected);
}

/** The kernel does the same from every format. */
static void test_runs(void **state)
{
    struct segue_test *test = *state;
    need(image);
    segue_executable *executable = load_image(test, image);
    run_order(test, executable, 1, 77);
    run_order(test, executable, 1000, UINT64_C(0xfedcba9876543210));
    segue_executable_destroy(executable);
}

/** 128 bytes that the kernel has aligned to 64, and 4000 bytes: every word arrives in its place. */
static void test_constants(void **state)
{
    struct segue_test *test = *state;
    need(image);
    segue_executable *executable = load_image(test, image);
    uint32_t constants[1 + STRUCT_WORDS];
    uint32_t large[LARGE_WORDS];
    uint32_t expected[LARGE_WORDS + 1] = {0};
    for (uint32_t i = 0; i < 1 + STRUCT_WORDS; i++)
        constants[i] = segue_test_word(1, i);
    for (uint32_t i = 0; i < LARGE_WORDS; i++)
        large[i] = segue_test_word(2, i);
    segue_buffer *struct_out = segue_test_zeros(test, STRUCT_WORDS + 1);
    segue_buffer *large_out = segue_test_zeros(test, LARGE_WORDS + 1);
    const struct segue_buffer_ref bindings[] = {segue_test_whole(struct_out),
                                                segue_test_whole(large_out)};
    segue_command_buffer *commands = segue_test_begin(test);
    dispatch(commands, executable, STRUCT, &bindings[0], 1, constants, sizeof(constants));
    dispatch(commands, executable, LARGE, &bindings[1], 1, large, sizeof(large));
    // Recorded work keeps the module.
    segue_executable_destroy(executable);
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < STRUCT_WORDS; i++)
        expected[i] = constants[i + 1] + constants[0];
    segue_test_expect(struct_out, 0, expected, STRUCT_WORDS + 1);
    for (uint32_t i = 0; i < LARGE_WORDS; i++)
        expected[i] = large[i] * 3;
    segue_test_expect(large_out, 0, expected, LARGE_WORDS + 1);
}

/** Without a compiler, or with a binary, the software driver knows declarations only. */
static bool is_only_declared(const struct segue_test *test)
{
    return test->soft != NULL &&
           (image->format == SEGUE_EXECUTABLE_CUBIN || image->format == SEGUE_EXECUTABLE_FATBIN ||
            (image->format == SEGUE_EXECUTABLE_CUDA_SOURCE && test->info.compiler_version == 0));
}

/** Loads one entry point of the image with declarations that do not fit it. */
static void expect_incompatible(struct segue_test *test, const struct segue_entry_point *entry,
                                const char *text)
{
    expect_refusal(test, image->format, image->data, image->size_bytes, entry, SEGUE_INCOMPATIBLE,
                   is_only_declared(test) ? "reference registered" : text);
    assert_non_null(strstr(segue_last_error()->message, entry->name));
}

static void test_wrong_declarations(void **state)
{
    struct segue_test *test = *state;
    need(image);
    struct declarations declarations;
    declare(&declarations);
    for (uint32_t i = 0; i < ENTRY_COUNT; i++) {
        struct segue_entry_point *entry = &declarations.entries[i];
        const uint32_t count = entry->parameter_count;
        entry->parameter_count = count - 1;
        expect_incompatible(test, entry, "more than the");
        declarations.parameters[i][count] =
            (struct segue_parameter){.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4};
        entry->parameter_count = count + 1;
        expect_incompatible(test, entry, "fewer than the");
        entry->parameter_count = 0;
        expect_incompatible(test, entry, "more than the");
        entry->parameter_count = count;
    }
    // Every parameter of another size, one at a time.
    for (uint32_t i = 0; i < ENTRY_COUNT; i++) {
        for (uint32_t k = 0; k < declarations.entries[i].parameter_count; k++) {
            struct segue_parameter *parameter = &declarations.parameters[i][k];
            const struct segue_parameter right = *parameter;
            const uint32_t size_bytes =
                right.kind == SEGUE_PARAMETER_BINDING ? 8 : right.size_bytes;
            *parameter = (struct segue_parameter){.kind = SEGUE_PARAMETER_CONSTANT};
            parameter->size_bytes = size_bytes + 1;
            expect_incompatible(test, &declarations.entries[i], "bytes, declared are");
            parameter->size_bytes = size_bytes > 1 ? size_bytes / 2 : 4;
            expect_incompatible(test, &declarations.entries[i], "bytes, declared are");
            *parameter = right;
        }
    }
    segue_executable *executable = load_image(test, image);
    segue_executable_destroy(executable);
}

static void test_unknown_entry(void **state)
{
    struct segue_test *test = *state;
    need(image);
    static const char *const names[] = {"no_such_kernel", "test_orde", "test_order2"};
    struct declarations declarations;
    declare(&declarations);
    const segue_status expected = is_only_declared(test) ? SEGUE_UNAVAILABLE : SEGUE_NOT_FOUND;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        declarations.entries[ORDER].name = names[i];
        expect_refusal(test, image->format, image->data, image->size_bytes,
                       &declarations.entries[ORDER], expected, names[i]);
    }
}

/** Binaries that are cut off, anywhere, never reach the driver, which is not told their length. */
static void test_truncated(void **state)
{
    struct segue_test *test = *state;
    need_gpu(test);
    need(image);
    const char *text =
        image->format == SEGUE_EXECUTABLE_CUBIN ? "not a whole cubin" : "not a whole fatbin";
    const size_t sizes[] = {1, 4, 15, 16, 63, 64, image->size_bytes / 2, image->size_bytes - 1};
    struct declarations declarations;
    declare(&declarations);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        // A copy of that size, so that reads past the end show under the address sanitizer.
        void *part = malloc(sizes[i]);
        assert_non_null(part);
        memcpy(part, image->data, sizes[i]);
        expect_refusal(test, image->format, part, sizes[i], &declarations.entries[ORDER],
                       SEGUE_INVALID_DATA, text);
        free(part);
    }
    // One binary is not the other.
    const bool is_cubin = image->format == SEGUE_EXECUTABLE_CUBIN;
    expect_refusal(test, is_cubin ? SEGUE_EXECUTABLE_FATBIN : SEGUE_EXECUTABLE_CUBIN, image->data,
                   image->size_bytes, &declarations.entries[ORDER], SEGUE_INVALID_DATA,
                   is_cubin ? "not a whole fatbin" : "not a whole cubin");
    segue_executable *executable = load_image(test, image);
    run_order(test, executable, 100, 5);
    segue_executable_destroy(executable);
}

/** Tries a binary that has nothing for this device. */
static void expect_foreign(struct segue_test *test, const struct format_image *foreign)
{
    struct declarations declarations;
    segue_executable *executable = NULL;
    declare(&declarations);
    const segue_status status = load(test, foreign->format, foreign->data, foreign->size_bytes,
                                     declarations.entries, ENTRY_COUNT, &executable);
    segue_executable_destroy(executable);
    const struct segue_error *error = segue_last_error();
    print_message("sm_%u on sm_%u: %s\n", foreign->arch, device_arch,
                  status != SEGUE_OK ? error->message : "loaded");
    assert_null(executable);
    // No binary for the GPU, or an image that is not valid: the driver's choice.
    assert_true(status == SEGUE_UNAVAILABLE || status == SEGUE_INVALID_DATA);
    assert_int_equal(error->status, status);
    assert_int_not_equal(error->driver_result, 0);
    assert_non_null(strstr(error->message, "loading executable \"formats\""));
    assert_non_null(strstr(error->message, "CUDA_ERROR_"));
}

static void test_other_architecture(void **state)
{
    struct segue_test *test = *state;
    need_gpu(test);
    need(image);
    uint32_t archs[2];
    uint32_t tried = 0;
    format_image_other_archs(test->device, device_arch, archs);
    for (uint32_t i = 0; i < 2; i++) {
        if (archs[i] == 0)
            continue;
        struct format_image foreign;
        format_image_make(test->device, image->format, archs[i], &foreign);
        if (foreign.data != NULL) {
            expect_foreign(test, &foreign);
            tried++;
        } else {
            print_message("sm_%u not tried: %s\n", archs[i], foreign.reason);
        }
        format_image_free(&foreign);
    }
    assert_int_not_equal(tried, 0);
    segue_executable *executable = load_image(test, image);
    run_order(test, executable, 100, 6);
    segue_executable_destroy(executable);
}

static void test_compile_error(void **state)
{
    struct segue_test *test = *state;
    if (test->info.compiler_version == 0) {
        print_message("skipped: no NVRTC\n");
        skip();
    }
    static const char source[] = "extern \"C\" __global__ void test_order(int a)\n"
                                 "{\n"
                                 "    a = undeclared_thing;\n"
                                 "}\n";
    struct declarations declarations;
    declare(&declarations);
    expect_refusal(test, SEGUE_EXECUTABLE_CUDA_SOURCE, source, sizeof(source) - 1,
                   &declarations.entries[ORDER], SEGUE_COMPILE_FAILED, "undeclared_thing");
    assert_non_null(strstr(segue_last_error()->message, "(3)"));
}

/** The driver's compiler has a log, too. */
static void test_ptx_error(void **state)
{
    struct segue_test *test = *state;
    static const char ptx[] = ".version 8.0\n"
                              ".target sm_75\n"
                              ".address_size 64\n"
                              ".visible .entry test_order(this is no parameter)\n"
                              "{\n"
                              "    ret;\n"
                              "}\n";
    struct declarations declarations;
    declare(&declarations);
    expect_refusal(test, SEGUE_EXECUTABLE_PTX, ptx, sizeof(ptx) - 1, &declarations.entries[ORDER],
                   SEGUE_COMPILE_FAILED, "line 4");
}

/** Whatever the bytes are. */
static void test_software_driver_goes_by_declarations(void **state)
{
    struct segue_test *test = *state;
    if (test->soft == NULL) {
        print_message("skipped: a real driver looks at binaries\n");
        skip();
    }
    const struct format_image any = {
        .format = image->format, .data = (char[]){"any bytes"}, .size_bytes = 9};
    segue_executable *executable = load_image(test, &any);
    run_order(test, executable, 100, 7);
    segue_executable_destroy(executable);
}

static segue_status make_images(void)
{
    segue_device *device = NULL;
    const segue_status status = segue_device_open(segue_test_device_uri(), NULL, &device);
    if (status != SEGUE_OK)
        return status;
    struct segue_device_info info;
    segue_device_get_info(device, &info);
    device_arch = (uint32_t)(info.compute_capability_major * 10 + info.compute_capability_minor);
    for (uint32_t i = 0; i < FORMAT_COUNT; i++) {
        uint32_t arch = device_arch;
        if (i == SEGUE_EXECUTABLE_CUDA_SOURCE)
            arch = 0;
        else if (i == SEGUE_EXECUTABLE_PTX)
            arch = format_image_ptx_arch(device, device_arch);
        format_image_make(device, (enum segue_executable_format)i, arch, &images[i]);
    }
    segue_device_destroy(device);
    return SEGUE_OK;
}

#define FORMAT_CASE(function, which)                                    \
    {                                                                   \
#function " of " #which, function, set_up, segue_test_teardown, \
            &images[SEGUE_EXECUTABLE_##which]                           \
    }
#define BINARY_CASES(function) FORMAT_CASE(function, CUBIN), FORMAT_CASE(function, FATBIN)
#define ALL_CASES(function) \
    FORMAT_CASE(function, CUDA_SOURCE), FORMAT_CASE(function, PTX), BINARY_CASES(function)

int main(void)
{
    const int unprepared = segue_test_prepare();
    if (unprepared)
        return unprepared;
    if (make_images() != SEGUE_OK) {
        printf("failed: %s\n", segue_last_error()->message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        ALL_CASES(test_runs),
        ALL_CASES(test_constants),
        ALL_CASES(test_wrong_declarations),
        ALL_CASES(test_unknown_entry),
        BINARY_CASES(test_truncated),
        BINARY_CASES(test_other_architecture),
        BINARY_CASES(test_software_driver_goes_by_declarations),
        segue_test_case(test_compile_error),
        segue_test_case(test_ptx_error),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (uint32_t i = 0; i < FORMAT_COUNT; i++)
        format_image_free(&images[i]);
    return failed;
}
