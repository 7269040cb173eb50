// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"
#include "test.h"

#include <stdlib.h>

static const struct segue_parameter scale_parameters[] = {
    {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ_WRITE},
    {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4},
    {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4},
    {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4},
};

static const struct segue_entry_point scale_entry = {
    .name = "test_scale",
    .parameters = scale_parameters,
    .parameter_count = 4,
    .block_size = {32, 1, 1},
};

static struct segue_executable_params params_of(const struct segue_entry_point *entry,
                                                const char *source)
{
    return (struct segue_executable_params){
        .format = SEGUE_EXECUTABLE_CUDA_SOURCE,
        .data = source,
        .size_bytes = strlen(source),
        .entry_points = entry,
        .entry_point_count = 1,
        .label = "scale only",
    };
}

static void expect_failure(struct segue_test *test, const struct segue_executable_params *params,
                           segue_status expected, const char *text)
{
    segue_executable *executable = NULL;
    CHECK_ERROR(segue_executable_create(test->device, params, &executable), expected, text);
    assert_null(executable);
}

static void entries_by_name(void **state)
{
    struct segue_test *test = *state;
    uint32_t index = 99;
    CHECK_OK(segue_executable_find_entry(test->kernels, "test_mix", &index));
    assert_int_equal(index, SEGUE_TEST_MIX);
    index = 99;
    CHECK_STATUS(segue_executable_find_entry(test->kernels, "test_mi", &index), SEGUE_NOT_FOUND);
    assert_int_equal(index, 99);
}

static void params_are_copied(void **state)
{
    struct segue_test *test = *state;
    struct segue_parameter parameters[4];
    memcpy(parameters, scale_parameters, sizeof(parameters));
    char name[] = "test_scale";
    char label[] = "scale only";
    struct segue_entry_point entry = scale_entry;
    entry.name = name;
    entry.parameters = parameters;
    struct segue_executable_params params = params_of(&entry, segue_test_source);
    char option[] = "-DUNUSED=1";
    const char *options[] = {option};
    params.options = options;
    params.option_count = 1;
    params.label = label;
    segue_executable *executable = segue_test_executable(test, &params);
    memset(parameters, 0xee, sizeof(parameters));
    memset(&entry, 0xee, sizeof(entry));
    name[0] = label[0] = option[0] = 'X';
    options[0] = NULL;
    struct segue_executable_params copy;
    segue_executable_get_params(executable, &copy);
    assert_true(copy.format == SEGUE_EXECUTABLE_CUDA_SOURCE &&
                copy.size_bytes == strlen(segue_test_source) &&
                memcmp(copy.data, segue_test_source, copy.size_bytes) == 0 &&
                copy.option_count == 1 && strcmp(copy.options[0], "-DUNUSED=1") == 0 &&
                strcmp(copy.label, "scale only") == 0 && copy.entry_point_count == 1 &&
                strcmp(copy.entry_points[0].name, "test_scale") == 0 &&
                copy.entry_points[0].parameter_count == 4 &&
                copy.entry_points[0].parameters[3].size_bytes == 4 &&
                copy.entry_points[0].block_size[0] == 32);
}

static void options_reach_the_compiler(void **state)
{
    struct segue_test *test = *state;
    static const char source[] = "extern \"C\" __global__ void test_scale(unsigned *data, unsigned "
                                 "count, unsigned factor, unsigned addend)\n"
                                 "{\n"
                                 "    WORK(data, count, factor, addend);\n"
                                 "}\n";
    struct segue_executable_params params = params_of(&scale_entry, source);
    expect_failure(test, &params, SEGUE_COMPILE_FAILED, "WORK");
    const char *option = "-DWORK(data,count,factor,addend)=if (threadIdx.x < count) "
                         "data[threadIdx.x] = data[threadIdx.x] * factor + addend";
    params.options = &option;
    params.option_count = 1;
    segue_executable *executable = segue_test_executable(test, &params);
    segue_buffer *data = segue_test_words(test, 8, 1);
    const struct segue_buffer_ref binding = segue_test_whole(data);
    const uint32_t constants[] = {8, 3, 1};
    const struct segue_dispatch dispatch = {.executable = executable,
                                            .grid = {1, 1, 1},
                                            .bindings = &binding,
                                            .binding_count = 1,
                                            .constants = constants,
                                            .constants_size_bytes = sizeof(constants)};
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_destroy(test, executable);
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(1, i) * 3 + 1);
}

static void compile_errors_carry_the_log(void **state)
{
    struct segue_test *test = *state;
    const struct segue_executable_params params =
        params_of(&scale_entry, "extern \"C\" __global__ void test_scale(undeclared_type x) {}");
    expect_failure(test, &params, SEGUE_COMPILE_FAILED, "undeclared_type");
}

static void missing_entry(void **state)
{
    struct segue_test *test = *state;
    const struct segue_executable_params params =
        params_of(&scale_entry, "extern \"C\" __global__ void another_name() {}");
    expect_failure(test, &params, SEGUE_NOT_FOUND, "test_scale");
}

static void declared_parameters_are_checked(void **state)
{
    struct segue_test *test = *state;
    struct segue_entry_point entry = scale_entry;
    struct segue_executable_params params = params_of(&entry, segue_test_source);
    entry.parameter_count = 3;
    expect_failure(test, &params, SEGUE_INCOMPATIBLE, "test_scale");
    struct segue_parameter parameters[5];
    memcpy(parameters, scale_parameters, sizeof(scale_parameters));
    parameters[4] = parameters[3];
    entry.parameters = parameters;
    entry.parameter_count = 5;
    expect_failure(test, &params, SEGUE_INCOMPATIBLE, "test_scale");
    entry.parameter_count = 4;
    parameters[2].size_bytes = 8;
    expect_failure(test, &params, SEGUE_INCOMPATIBLE, "8");
}

static void bad_declarations(void **state)
{
    struct segue_test *test = *state;
    struct segue_parameter parameter = {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4};
    struct segue_entry_point entry = {
        .name = "test_nothing", .parameters = &parameter, .parameter_count = 1};
    struct segue_executable_params params = params_of(&entry, segue_test_source);
    parameter.size_bytes = 0;
    expect_failure(test, &params, SEGUE_INVALID_ARGUMENT, "test_nothing");
    parameter.size_bytes = 4093;
    expect_failure(test, &params, SEGUE_INVALID_ARGUMENT, "4093");
    parameter = (struct segue_parameter){.kind = SEGUE_PARAMETER_BINDING, .align_bytes = 12};
    expect_failure(test, &params, SEGUE_INVALID_ARGUMENT, "12");
    parameter.align_bytes = 512;
    expect_failure(test, &params, SEGUE_INVALID_ARGUMENT, "512");
    parameter =
        (struct segue_parameter){.kind = SEGUE_PARAMETER_BINDING, .access = (enum segue_access)4};
    expect_failure(test, &params, SEGUE_INVALID_ARGUMENT, "");
    entry.parameter_count = 0;
    entry.flags = 1u << 31;
    expect_failure(test, &params, SEGUE_INVALID_ARGUMENT, "");
    entry.flags = 0;
    entry.name = NULL;
    expect_failure(test, &params, SEGUE_INVALID_ARGUMENT, "");
    entry.name = "test_nothing";
    params.entry_point_count = 0;
    expect_failure(test, &params, SEGUE_INVALID_ARGUMENT, "");
    params.entry_point_count = 1;
    params.data = NULL;
    expect_failure(test, &params, SEGUE_INVALID_ARGUMENT, "");
    params.data = segue_test_source;
    params.format = (enum segue_executable_format)9;
    expect_failure(test, &params, SEGUE_INVALID_ARGUMENT, "9");
}

static void ptx(void **state)
{
    struct segue_test *test = *state;
    static const char text[] = ".version 7.0\n"
                               ".target sm_70\n"
                               ".address_size 64\n"
                               ".visible .entry test_nothing()\n"
                               "{\n"
                               "    ret;\n"
                               "}\n";
    const struct segue_entry_point entry = {.name = "test_nothing", .block_size = {1, 1, 1}};
    struct segue_executable_params params = params_of(&entry, text);
    params.format = SEGUE_EXECUTABLE_PTX;
    segue_executable *executable = segue_test_executable(test, &params);
    const struct segue_dispatch dispatch = {.executable = executable, .grid = {1, 1, 1}};
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_destroy(test, executable);
    segue_test_run(test, commands);
}

static void unknown_to_the_software_driver(void **state)
{
    struct segue_test *test = *state;
    const struct segue_entry_point entry = {.name = "no_reference_of_this"};
    const struct segue_executable_params params =
        params_of(&entry, "extern \"C\" __global__ void no_reference_of_this() {}");
    expect_failure(test, &params, SEGUE_UNAVAILABLE, "no_reference_of_this");
}

static void several_in_one_command_buffer(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    const struct segue_executable_params params = params_of(&scale_entry, segue_test_source);
    const struct segue_buffer_ref binding = segue_test_whole(data);
    segue_command_buffer *commands = segue_test_begin(test);
    uint32_t expected = segue_test_word(1, 0);
    for (uint32_t k = 0; k < 3; ++k) {
        segue_executable *executable = segue_test_executable(test, &params);
        const uint32_t constants[] = {8, 3, k};
        const struct segue_dispatch dispatch = {.executable = executable,
                                                .grid = {1, 1, 1},
                                                .bindings = &binding,
                                                .binding_count = 1,
                                                .constants = constants,
                                                .constants_size_bytes = sizeof(constants)};
        CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
        segue_test_barrier(commands);
        segue_test_destroy(test, executable);
        expected = expected * 3 + k;
    }
    segue_test_run(test, commands);
    segue_test_expect_all(data, 0, 1, expected);
}

static const struct CMUnitTest tests[] = {
    segue_test_case(entries_by_name),
    segue_test_case(params_are_copied),
    segue_test_case(options_reach_the_compiler),
    segue_test_case(compile_errors_carry_the_log),
    segue_test_case(missing_entry),
    segue_test_case(declared_parameters_are_checked),
    segue_test_case(bad_declarations),
    segue_test_case(ptx),
    segue_test_case(unknown_to_the_software_driver),
    segue_test_case(several_in_one_command_buffer),
};

const struct segue_conformance_area segue_conformance_executable = {
    "executable", tests, sizeof(tests) / sizeof(tests[0])};
