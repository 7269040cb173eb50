// SPDX-License-Identifier: Apache-2.0
// Declarations of executables, and declarations against modules.
#include "pairs.h"

#include <stdlib.h>

/** An executable of NOTHING, whose parts a rule changes. */
struct declaration {
    struct segue_parameter parameter;
    struct segue_entry_point entry;
    struct segue_executable_params params;
};

static void declare(struct declaration *out, enum segue_test_kernel kernel)
{
    out->parameter = (struct segue_parameter){0};
    out->entry = segue_test_entries[kernel];
    out->params = (struct segue_executable_params){
        .format = SEGUE_EXECUTABLE_CUDA_SOURCE,
        .data = segue_test_source,
        .size_bytes = strlen(segue_test_source),
        .entry_points = &out->entry,
        .entry_point_count = 1,
        .label = "kernels",
    };
}

static segue_status create(struct segue_test *test, const struct segue_executable_params *params)
{
    segue_executable *executable = NULL;
    segue_status status = segue_executable_create(test->device, params, &executable);
    segue_executable_destroy(executable);
    return status;
}

static segue_status create_needs_params(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    return create(test, wrong ? NULL : &declaration.params);
}

static segue_status format_is_known(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    if (wrong)
        declaration.params.format = (enum segue_executable_format)4;
    return create(test, &declaration.params);
}

static segue_status data_is_not_null(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    if (wrong)
        declaration.params.data = NULL;
    return create(test, &declaration.params);
}

static segue_status data_is_not_empty(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    if (wrong)
        declaration.params.size_bytes = 0;
    return create(test, &declaration.params);
}

/** What an entry point without parameters is in PTX. */
static const char nothing_ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                                  ".visible .entry test_nothing()\n{\n\tret;\n}\n";

static segue_status options_are_for_source(struct segue_test *test, bool wrong)
{
    static const char *const options[] = {"-DGROUP=32"};
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    declaration.params.format = SEGUE_EXECUTABLE_PTX;
    declaration.params.data = nothing_ptx;
    declaration.params.size_bytes = strlen(nothing_ptx);
    declaration.params.options = options;
    declaration.params.option_count = wrong;
    return create(test, &declaration.params);
}

static segue_status options_are_an_array(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    declaration.params.option_count = wrong;
    return create(test, &declaration.params);
}

static segue_status options_are_not_null(struct segue_test *test, bool wrong)
{
    const char *const options[] = {"-DGROUP=32", wrong ? NULL : "-DROWS=2"};
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    declaration.params.options = options;
    declaration.params.option_count = 2;
    return create(test, &declaration.params);
}

static segue_status entry_points_are_at_least_1(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    declaration.params.entry_point_count = wrong ? 0 : 1;
    return create(test, &declaration.params);
}

static segue_status entry_points_are_at_most_4096(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    const uint32_t count = 4096 + wrong;
    struct segue_entry_point *entries = calloc(count, sizeof(*entries));
    assert_non_null(entries);
    for (uint32_t i = 0; i < count; i++)
        entries[i] = declaration.entry;
    declaration.params.entry_points = entries;
    declaration.params.entry_point_count = count;
    segue_status status = create(test, &declaration.params);
    free(entries);
    return status;
}

static segue_status entry_points_are_an_array(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    if (wrong)
        declaration.params.entry_points = NULL;
    return create(test, &declaration.params);
}

static segue_status entry_points_have_a_name(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    declaration.entry.name = wrong ? "" : "test_nothing";
    return create(test, &declaration.params);
}

static segue_status entry_flags_are_known(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    declaration.entry.flags = wrong ? 8 : SEGUE_ENTRY_OPAQUE | SEGUE_ENTRY_GRID_DEPENDENCY;
    return create(test, &declaration.params);
}

static segue_status block_is_declared_whole(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    declaration.entry.block_size[1] = wrong ? 0 : 1;
    return create(test, &declaration.params);
}

static segue_status block_has_at_most_1024_threads(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    declaration.entry.block_size[0] = 1024 + wrong;
    return create(test, &declaration.params);
}

static segue_status block_is_at_most_64_deep(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    declaration.entry.block_size[0] = 1;
    declaration.entry.block_size[2] = 64 + wrong;
    return create(test, &declaration.params);
}

static segue_status cluster_is_declared_whole(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    declaration.entry.cluster_size[0] = 1;
    declaration.entry.cluster_size[1] = 1;
    declaration.entry.cluster_size[2] = wrong ? 0 : 1;
    return create(test, &declaration.params);
}

static segue_status cluster_has_at_most_16_blocks(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    declaration.entry.cluster_size[0] = wrong ? 17 : 16;
    declaration.entry.cluster_size[1] = declaration.entry.cluster_size[2] = 1;
    return create(test, &declaration.params);
}

static segue_status shared_memory_fits(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    declaration.entry.dynamic_shared_bytes = test->info.max_shared_memory_bytes + wrong;
    return create(test, &declaration.params);
}

static segue_status parameters_are_an_array(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_SHAPE);
    if (wrong)
        declaration.entry.parameters = NULL;
    return create(test, &declaration.params);
}

/** SHAPE, whose only parameter is a binding, declared with that parameter. */
static segue_status with_parameter(struct segue_test *test, struct segue_parameter parameter)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_SHAPE);
    declaration.parameter = parameter;
    declaration.entry.parameters = &declaration.parameter;
    return create(test, &declaration.params);
}

static segue_status parameter_kind_is_known(struct segue_test *test, bool wrong)
{
    return with_parameter(
        test, (struct segue_parameter){.kind = (enum segue_parameter_kind)(wrong ? 3 : 2)});
}

static segue_status access_is_known(struct segue_test *test, bool wrong)
{
    return with_parameter(test, (struct segue_parameter){
                                    .access = (enum segue_access)(SEGUE_ACCESS_CONSTANT + wrong)});
}

static segue_status alignment_is_a_power_of_two(struct segue_test *test, bool wrong)
{
    return with_parameter(test, (struct segue_parameter){.align_bytes = wrong ? 12 : 16});
}

static segue_status alignment_is_at_most_256(struct segue_test *test, bool wrong)
{
    return with_parameter(test, (struct segue_parameter){.align_bytes = wrong ? 512 : 256});
}

static segue_status constants_have_a_size(struct segue_test *test, bool wrong)
{
    // In place of a binding, a constant of the same size does.
    return with_parameter(test, (struct segue_parameter){.kind = SEGUE_PARAMETER_CONSTANT,
                                                         .size_bytes = wrong ? 0 : 8});
}

static segue_status constants_have_at_most_4092_bytes(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_LARGE);
    struct segue_parameter parameters[2];
    memcpy(parameters, declaration.entry.parameters, sizeof(parameters));
    if (wrong)
        parameters[0].size_bytes = 4093;
    declaration.entry.parameters = parameters;
    return create(test, &declaration.params);
}

static segue_status parameters_have_at_most_32764_bytes(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    struct segue_parameter parameters[9] = {{0}};
    for (size_t i = 0; i < 8; i++)
        parameters[i] =
            (struct segue_parameter){.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4092};
    parameters[8] = (struct segue_parameter){.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 29};
    // Eight of 4092 bytes leave 28. The module has no such kernel: the declaration alone passes.
    declaration.entry.parameters = parameters;
    declaration.entry.parameter_count = wrong ? 9 : 8;
    segue_status status = create(test, &declaration.params);
    return status == SEGUE_INCOMPATIBLE ? SEGUE_OK : status;
}

static segue_status at_most_4096_are_indirect(struct segue_test *test, bool wrong)
{
    static struct segue_parameter parameters[4097];
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_SHAPE);
    for (size_t i = 0; i < 4097; i++)
        parameters[i] = (struct segue_parameter){.kind = SEGUE_PARAMETER_INDIRECT};
    declaration.entry.parameters = parameters;
    declaration.entry.parameter_count = wrong ? 4097 : 4096;
    return create(test, &declaration.params);
}

static segue_status indirect_parameters_are_one(struct segue_test *test, bool wrong)
{
    const struct segue_parameter parameters[] = {
        {.kind = SEGUE_PARAMETER_INDIRECT, .access = SEGUE_ACCESS_READ},
        {.kind = wrong ? SEGUE_PARAMETER_BINDING : SEGUE_PARAMETER_INDIRECT},
    };
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_SHAPE);
    declaration.entry.parameters = parameters;
    declaration.entry.parameter_count = 2;
    return create(test, &declaration.params);
}

static segue_status find_needs_a_name(struct segue_test *test, bool wrong)
{
    uint32_t index;
    return segue_executable_find_entry(test->kernels, wrong ? NULL : "test_add", &index);
}

static segue_status find_needs_a_declared_name(struct segue_test *test, bool wrong)
{
    uint32_t index;
    return segue_executable_find_entry(test->kernels, wrong ? "test_ad" : "test_add", &index);
}

static segue_status module_has_the_entry_points(struct segue_test *test, bool wrong)
{
    struct declaration declaration;
    declare(&declaration, SEGUE_TEST_NOTHING);
    declaration.entry.name = wrong ? "test_lacking" : "test_nothing";
    declaration.params.format = SEGUE_EXECUTABLE_PTX;
    declaration.params.data = nothing_ptx;
    declaration.params.size_bytes = strlen(nothing_ptx);
    return create(test, &declaration.params);
}

static segue_status parameters_are_as_in_the_module(struct segue_test *test, bool wrong)
{
    return with_parameter(test, (struct segue_parameter){.kind = SEGUE_PARAMETER_CONSTANT,
                                                         .size_bytes = wrong ? 4 : 8});
}

static const struct pair pairs[] = {
    PAIR(create_needs_params, INVALID_ARGUMENT, "segue_executable_create|params"),
    PAIR(format_is_known, INVALID_ARGUMENT, "\"kernels\"|format is 4|segue_executable_format"),
    PAIR(data_is_not_null, INVALID_ARGUMENT, "\"kernels\"|data is NULL"),
    PAIR(data_is_not_empty, INVALID_ARGUMENT, "\"kernels\"|size_bytes 0"),
    PAIR(options_are_for_source, INVALID_ARGUMENT, "1 compiler options|only CUDA source"),
    PAIR(options_are_an_array, INVALID_ARGUMENT, "options is NULL, the count 1"),
    PAIR(options_are_not_null, INVALID_ARGUMENT, "option 1 is NULL"),
    PAIR(entry_points_are_at_least_1, INVALID_ARGUMENT, "0 entry points|declare 1 to 4096"),
    PAIR(entry_points_are_at_most_4096, INVALID_ARGUMENT, "4097 entry points|1 to 4096"),
    PAIR(entry_points_are_an_array, INVALID_ARGUMENT, "1 entry points at NULL"),
    PAIR(entry_points_have_a_name, INVALID_ARGUMENT, "\"kernels\": entry point 0 has no name"),
    PAIR(entry_flags_are_known, INVALID_ARGUMENT, "\"test_nothing\"|flags 0x8|segue_entry_flags"),
    PAIR(block_is_declared_whole, INVALID_ARGUMENT, "block_size is 64 x 0 x 1|all three or none"),
    PAIR(block_has_at_most_1024_threads, INVALID_ARGUMENT,
         "\"test_nothing\"|block_size 1025 x 1 x 1|1024 threads"),
    PAIR(block_is_at_most_64_deep, INVALID_ARGUMENT,
         "block_size 1 x 1 x 65|at most 64 of them in z"),
    PAIR(cluster_is_declared_whole, INVALID_ARGUMENT,
         "cluster_size is 1 x 1 x 0|all three or none"),
    PAIR(cluster_has_at_most_16_blocks, INVALID_ARGUMENT, "cluster_size 17 x 1 x 1|more than 16"),
    PAIR(shared_memory_fits, INVALID_ARGUMENT, "\"test_nothing\"|dynamic_shared_bytes is"),
    PAIR(parameters_are_an_array, INVALID_ARGUMENT, "\"test_shape\"|parameters is NULL|count 1"),
    PAIR(parameter_kind_is_known, INVALID_ARGUMENT, "parameter 0: kind is 3|segue_parameter_kind"),
    PAIR(access_is_known, INVALID_ARGUMENT, "parameter 0: access is 4|segue_access"),
    PAIR(alignment_is_a_power_of_two, INVALID_ARGUMENT, "align_bytes is 12|power of two"),
    PAIR(alignment_is_at_most_256, INVALID_ARGUMENT, "align_bytes is 512|up to 256"),
    PAIR(constants_have_a_size, INVALID_ARGUMENT, "size_bytes is 0|1 to 4092"),
    PAIR(constants_have_at_most_4092_bytes, INVALID_ARGUMENT, "size_bytes is 4093|1 to 4092"),
    PAIR(parameters_have_at_most_32764_bytes, INVALID_ARGUMENT,
         "up to number 8 take 32765 bytes|at most 32764"),
    PAIR(at_most_4096_are_indirect, INVALID_ARGUMENT, "4096 is indirect after 4096|at most 4096"),
    PAIR(indirect_parameters_are_one, INCOMPATIBLE, "test_shape|fewer than the 2"),
    PAIR(find_needs_a_name, INVALID_ARGUMENT, "segue_executable_find_entry|name"),
    PAIR(find_needs_a_declared_name, NOT_FOUND, "\"test kernels\"|no entry point \"test_ad\""),
    PAIR(module_has_the_entry_points, NOT_FOUND, "test_lacking"),
    PAIR(parameters_are_as_in_the_module, INCOMPATIBLE, "test_shape"),
};
PAIR_AREA(executable, pairs);
