// SPDX-License-Identifier: Apache-2.0
// Executables: form checks, deep copies, limits, failing allocations.
#include "null_backend.h"

#include "object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
    *state = null_device_open(NULL);
    return 0;
}

static int teardown(void **state)
{
    segue_device_destroy(*state);
    return null_world.backends == 0 && null_world.modules == 0 ? 0 : -1;
}

/** A good description that tests spoil. */
struct description {
    struct segue_parameter parameters[3];
    struct segue_entry_point entries[2];
    const char *options[2];
    struct segue_executable_params params;
};

static void describe(struct description *d)
{
    *d = (struct description){
        .parameters =
            {
                {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ, .align_bytes = 256},
                {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 128},
                {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_WRITE},
            },
        .entries =
            {
                {.name = "first", .parameter_count = 3, .block_size = {32, 2, 1}},
                {.name = "second",
                 .cluster_size = {2, 2, 2},
                 .flags = SEGUE_ENTRY_COOPERATIVE,
                 .dynamic_shared_bytes = 70000},
            },
        .options = {"-DA", "-DB=2"},
        .params = {.format = SEGUE_EXECUTABLE_CUDA_SOURCE,
                   .data = "source",
                   .size_bytes = 6,
                   .option_count = 2,
                   .entry_point_count = 2,
                   .label = "module"},
    };
    d->entries[0].parameters = d->parameters;
    d->params.entry_points = d->entries;
    d->params.options = d->options;
}

static void copies_deeply(void **state)
{
    struct description d;
    describe(&d);
    char source[] = "source";
    char name[] = "first";
    d.params.data = source;
    d.entries[0].name = name;
    segue_executable *executable = NULL;
    assert_int_equal(segue_executable_create(*state, &d.params, &executable), SEGUE_OK);
    memset(source, 'x', sizeof source - 1);
    memset(name, 'x', sizeof name - 1);
    memset(&d, 0xEE, sizeof d);

    struct segue_executable_params copy;
    segue_executable_get_params(executable, &copy);
    assert_int_equal(copy.format, SEGUE_EXECUTABLE_CUDA_SOURCE);
    assert_int_equal(copy.size_bytes, 6);
    // Followed by a zero byte for the compiler.
    assert_memory_equal(copy.data, "source", 7);
    assert_string_equal(copy.label, "module");
    assert_int_equal(copy.option_count, 2);
    assert_string_equal(copy.options[1], "-DB=2");
    assert_int_equal(copy.entry_point_count, 2);
    assert_string_equal(copy.entry_points[0].name, "first");
    assert_int_equal(copy.entry_points[0].parameter_count, 3);
    assert_int_equal(copy.entry_points[0].parameters[1].size_bytes, 128);
    assert_int_equal(copy.entry_points[0].block_size[1], 2);
    assert_string_equal(copy.entry_points[1].name, "second");
    assert_int_equal(copy.entry_points[1].cluster_size[2], 2);
    assert_int_equal(copy.entry_points[1].dynamic_shared_bytes, 70000);

    const struct segue_entry *entry = &executable->entries[0];
    assert_int_equal(entry->binding_count, 2);
    assert_int_equal(entry->constants_size_bytes, 128);
    assert_int_equal(entry->bindings[0]->align_bytes, 256);
    assert_int_equal(entry->bindings[1]->access, SEGUE_ACCESS_WRITE);
    assert_int_equal(entry->limits.max_threads_per_block, 1024);
    segue_executable_destroy(executable);
    segue_executable_destroy(NULL);
}

static void finds_entries_by_name(void **state)
{
    struct description d;
    describe(&d);
    segue_executable *executable;
    assert_int_equal(segue_executable_create(*state, &d.params, &executable), SEGUE_OK);
    uint32_t index = 99;
    assert_int_equal(segue_executable_find_entry(executable, "second", &index), SEGUE_OK);
    assert_int_equal(index, 1);
    assert_int_equal(segue_executable_find_entry(executable, "third", &index), SEGUE_NOT_FOUND);
    assert_non_null(strstr(segue_last_error()->message, "\"third\""));
    assert_int_equal(segue_executable_find_entry(executable, NULL, &index), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_executable_find_entry(NULL, "first", &index), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_executable_find_entry(executable, "first", NULL),
                     SEGUE_INVALID_ARGUMENT);
    assert_int_equal(index, 1);
    segue_executable_destroy(executable);
}

/** The description must be refused with that text in the message. */
static void refused(segue_device *device, const struct description *d, segue_status status,
                    const char *message)
{
    segue_executable *executable = NULL;
    assert_int_equal(segue_executable_create(device, &d->params, &executable), status);
    assert_null(executable);
    if (!strstr(segue_last_error()->message, message))
        fail_msg("\"%s\" does not contain \"%s\"", segue_last_error()->message, message);
    assert_int_equal(null_world.modules, 0);
}

static void refuses_bad_images(void **state)
{
    struct description d;
    describe(&d);
    d.params.format = (enum segue_executable_format)4;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "executable \"module\": format is 4");
    describe(&d);
    d.params.data = NULL;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "data is NULL");
    describe(&d);
    d.params.size_bytes = 0;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "size_bytes 0");
    describe(&d);
    d.params.options = NULL;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "options is NULL");
    describe(&d);
    d.options[1] = NULL;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "option 1 is NULL");
    describe(&d);
    d.params.format = SEGUE_EXECUTABLE_PTX;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "2 compiler options");
    describe(&d);
    d.params.entry_point_count = 0;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "0 entry points");
    d.params.entry_point_count = 4097;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "4097 entry points");
    d.params.entry_point_count = 2;
    d.params.entry_points = NULL;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "2 entry points at NULL");
    segue_executable *executable = NULL;
    describe(&d);
    assert_int_equal(segue_executable_create(NULL, &d.params, &executable), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_executable_create(*state, NULL, &executable), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_executable_create(*state, &d.params, NULL), SEGUE_INVALID_ARGUMENT);
}

static void refuses_bad_entry_points(void **state)
{
    struct description d;
    describe(&d);
    d.entries[1].name = NULL;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "entry point 1 has no name");
    d.entries[1].name = "";
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "entry point 1 has no name");
    describe(&d);
    d.entries[0].flags = 8;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "\"first\": flags 0x8");
    describe(&d);
    d.entries[0].block_size[2] = 0;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "block_size is 32 x 2 x 0");
    describe(&d);
    d.entries[1].cluster_size[0] = 0;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "cluster_size is 0 x 2 x 2");
    describe(&d);
    d.entries[1].cluster_size[0] = 5;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "cluster_size 5 x 2 x 2 has more than 16");
    d.entries[1].cluster_size[0] = 0x80000000u;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "has more than 16");
    describe(&d);
    null_world.no_clusters = true;
    refused(*state, &d, SEGUE_UNIMPLEMENTED, "has no clusters");
    null_world.no_clusters = false;
    null_world.no_cooperative_launch = true;
    refused(*state, &d, SEGUE_UNIMPLEMENTED, "has no cooperative launch");
    null_world.no_cooperative_launch = false;
}

static void refuses_bad_parameters(void **state)
{
    struct description d;
    describe(&d);
    d.entries[0].parameters = NULL;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "parameters is NULL");
    describe(&d);
    d.parameters[0].kind = (enum segue_parameter_kind)3;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "\"first\", parameter 0: kind is 3");
    describe(&d);
    d.parameters[2].access = (enum segue_access)4;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "parameter 2: access is 4");
    describe(&d);
    d.parameters[0].align_bytes = 24;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "align_bytes is 24");
    d.parameters[0].align_bytes = 512;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "align_bytes is 512");
    describe(&d);
    d.parameters[1].size_bytes = 0;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "parameter 1: size_bytes is 0");
    d.parameters[1].size_bytes = 4093;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "parameter 1: size_bytes is 4093");
}

static void takes_4096_entry_points(void **state)
{
    static struct segue_entry_point entries[4096];
    for (size_t i = 0; i < 4096; i++)
        entries[i].name = "same";
    entries[4095].name = "last";
    const struct segue_executable_params params = {
        .format = SEGUE_EXECUTABLE_PTX,
        .data = "x",
        .size_bytes = 1,
        .entry_points = entries,
        .entry_point_count = 4096,
    };
    segue_executable *executable = NULL;
    uint32_t index = 0;
    assert_int_equal(segue_executable_create(*state, &params, &executable), SEGUE_OK);
    assert_int_equal(segue_executable_find_entry(executable, "last", &index), SEGUE_OK);
    assert_int_equal(index, 4095);
    segue_executable_destroy(executable);
}

static void takes_parameters_up_to_the_largest_total(void **state)
{
    static struct segue_parameter parameters[10];
    struct segue_entry_point entry = {.name = "big", .parameters = parameters};
    const struct segue_executable_params params = {
        .format = SEGUE_EXECUTABLE_PTX,
        .data = "x",
        .size_bytes = 1,
        .entry_points = &entry,
        .entry_point_count = 1,
    };
    // 8 * 4092 + 8 + 20 = 32764.
    for (size_t i = 0; i < 8; i++)
        parameters[i] =
            (struct segue_parameter){.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4092};
    parameters[8] = (struct segue_parameter){.kind = SEGUE_PARAMETER_BINDING};
    parameters[9] = (struct segue_parameter){.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 20};
    entry.parameter_count = 10;
    segue_executable *executable = NULL;
    assert_int_equal(segue_executable_create(*state, &params, &executable), SEGUE_OK);
    assert_int_equal(executable->entries[0].constants_size_bytes, 32756);
    segue_executable_destroy(executable);
    parameters[9].size_bytes = 21;
    executable = NULL;
    assert_int_equal(segue_executable_create(*state, &params, &executable), SEGUE_INVALID_ARGUMENT);
    assert_null(executable);
    assert_non_null(strstr(segue_last_error()->message, "32765 bytes"));
}

static void holds_declarations_against_the_loaded_limits(void **state)
{
    struct description d;
    describe(&d);
    null_world.max_dynamic_shared_bytes = 69999;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "\"second\": dynamic_shared_bytes is 70000");
    null_world.max_dynamic_shared_bytes = 70000;
    null_world.max_threads_per_block = 63;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "\"first\": block_size 32 x 2 x 1");
    null_world.max_threads_per_block = 64;
    segue_executable *executable = NULL;
    assert_int_equal(segue_executable_create(*state, &d.params, &executable), SEGUE_OK);
    segue_executable_destroy(executable);
    // Products that wrap around in 32 or 64 bits are too large all the same.
    d.entries[0].block_size[0] = 0x10000;
    d.entries[0].block_size[1] = 0x10000;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "block_size 65536 x 65536 x 1");
    d.entries[0].block_size[0] = 0x80000000u;
    d.entries[0].block_size[1] = 0x80000000u;
    d.entries[0].block_size[2] = 4;
    refused(*state, &d, SEGUE_INVALID_ARGUMENT, "x 4 is too large");
}

static void takes_every_format_and_the_largest_cluster(void **state)
{
    static const uint32_t clusters[][3] = {{16, 1, 1}, {1, 16, 1}, {1, 1, 16}, {4, 2, 2}};
    struct description d;
    for (int format = SEGUE_EXECUTABLE_PTX; format <= SEGUE_EXECUTABLE_FATBIN; format++) {
        describe(&d);
        d.params.format = (enum segue_executable_format)format;
        d.params.option_count = 0;
        memcpy(d.entries[1].cluster_size, clusters[format], sizeof clusters[format]);
        segue_executable *executable = NULL;
        assert_int_equal(segue_executable_create(*state, &d.params, &executable), SEGUE_OK);
        assert_int_equal(executable->params.format, format);
        segue_executable_destroy(executable);
    }
    describe(&d);
    memcpy(d.entries[1].cluster_size, clusters[0], sizeof clusters[0]);
    segue_executable *executable = NULL;
    assert_int_equal(segue_executable_create(*state, &d.params, &executable), SEGUE_OK);
    segue_executable_destroy(executable);
    static const uint32_t too_large[][3] = {{17, 1, 1}, {1, 17, 1}, {1, 1, 17}, {4, 2, 3}};
    for (size_t i = 0; i < 4; i++) {
        memcpy(d.entries[1].cluster_size, too_large[i], sizeof too_large[i]);
        refused(*state, &d, SEGUE_INVALID_ARGUMENT, "has more than 16 blocks");
    }
}

static void passes_on_what_the_module_says(void **state)
{
    struct description d;
    describe(&d);
    null_world.fail[NULL_CALL_MODULE_CREATE] = SEGUE_COMPILE_FAILED;
    refused(*state, &d, SEGUE_COMPILE_FAILED, "null backend");
    assert_int_equal(segue_last_error()->driver_result, 700 + NULL_CALL_MODULE_CREATE);
}

static void leaks_nothing_under_failing_allocations(void **state)
{
    (void)state;
    struct null_allocator memory;
    null_allocator_init(&memory);
    const struct segue_device_params params = {.allocator = &memory.allocator};
    segue_device *device = null_device_open(&params);
    struct description d;
    describe(&d);
    // Everything is large enough for a block of its own, so that each copy can fail.
    static char data[100000];
    memset(data, 'd', sizeof data);
    d.params.data = data;
    d.params.size_bytes = sizeof data;
    static char text[40000];
    memset(text, 't', sizeof text - 1);
    d.params.label = text;
    d.entries[1].name = text;
    d.options[0] = text;
    d.options[1] = text;
    static const char *many_options[20000];
    for (size_t i = 0; i < 20000; i++)
        many_options[i] = "";
    many_options[19999] = text;
    d.params.options = many_options;
    d.params.option_count = 20000;
    for (int forever = 0; forever < 2; forever++) {
        bool failed = true;
        for (uint64_t n = 1; failed; n++) {
            int64_t live = memory.live;
            segue_executable *executable = NULL;
            null_allocator_fail(&memory, n, forever != 0);
            segue_status status = segue_executable_create(device, &d.params, &executable);
            failed = memory.failed != 0;
            assert_int_equal(status, failed ? SEGUE_OUT_OF_HOST_MEMORY : SEGUE_OK);
            assert_true(failed == (executable == NULL));
            null_allocator_fail(&memory, 0, false);
            segue_executable_destroy(executable);
            assert_int_equal(memory.live, live);
            assert_int_equal(null_world.modules, 0);
        }
    }
    segue_device_destroy(device);
    assert_int_equal(memory.live, 0);
    assert_int_equal(memory.wrong_sizes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(copies_deeply, setup, teardown),
        cmocka_unit_test_setup_teardown(finds_entries_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_images, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_entry_points, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(takes_4096_entry_points, setup, teardown),
        cmocka_unit_test_setup_teardown(takes_parameters_up_to_the_largest_total, setup, teardown),
        cmocka_unit_test_setup_teardown(holds_declarations_against_the_loaded_limits, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(takes_every_format_and_the_largest_cluster, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(passes_on_what_the_module_says, setup, teardown),
        cmocka_unit_test(leaks_nothing_under_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
