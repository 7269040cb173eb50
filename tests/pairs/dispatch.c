// SPDX-License-Identifier: Apache-2.0
// What a dispatch must look like.
#include "pairs.h"

static segue_status record(struct segue_test *test, const struct segue_dispatch *dispatch)
{
    segue_command_buffer *command_buffer = segue_test_begin(test);
    return pair_record(command_buffer, segue_cmd_dispatch(command_buffer, dispatch));
}

/** SCALE on a buffer called "data". */
struct scale {
    struct segue_buffer_ref binding;
    struct segue_dispatch dispatch;
};

static void make_scale(struct segue_test *test, struct scale *out)
{
    out->binding = segue_test_whole(pair_buffer(test, "data"));
    out->dispatch = pair_scale(test, &out->binding);
}

static segue_status dispatch_is_not_null(struct segue_test *test, bool wrong)
{
    struct scale scale;
    make_scale(test, &scale);
    return record(test, wrong ? NULL : &scale.dispatch);
}

static segue_status executable_is_not_null(struct segue_test *test, bool wrong)
{
    struct scale scale;
    make_scale(test, &scale);
    scale.dispatch.executable = wrong ? NULL : test->kernels;
    return record(test, &scale.dispatch);
}

static segue_status executable_is_of_the_same_device(struct segue_test *test, bool wrong)
{
    const struct pair_other other = pair_other_open();
    struct scale scale;
    make_scale(test, &scale);
    if (wrong)
        scale.dispatch.executable = other.kernels;
    segue_status status = record(test, &scale.dispatch);
    pair_other_close(&other);
    return status;
}

static segue_status entry_point_exists(struct segue_test *test, bool wrong)
{
    const uint32_t block[3] = {1, 1, 1};
    struct segue_buffer_ref binding = segue_test_whole(pair_buffer(test, "data"));
    struct segue_dispatch dispatch = {
        .executable = test->kernels,
        .entry_point = SEGUE_TEST_KERNEL_COUNT - 1 + wrong,
        .grid = {1, 1, 1},
        .bindings = &binding,
        .binding_count = 1,
    };
    memcpy(dispatch.block, block, sizeof(block));
    return record(test, &dispatch);
}

static segue_status bindings_are_as_many_as_declared(struct segue_test *test, bool wrong)
{
    struct scale scale;
    make_scale(test, &scale);
    const struct segue_buffer_ref two[] = {scale.binding, scale.binding};
    scale.dispatch.bindings = two;
    scale.dispatch.binding_count = 1 + wrong;
    return record(test, &scale.dispatch);
}

static segue_status constants_are_as_large_as_declared(struct segue_test *test, bool wrong)
{
    struct scale scale;
    make_scale(test, &scale);
    scale.dispatch.constants_size_bytes = wrong ? 8 : 12;
    return record(test, &scale.dispatch);
}

static segue_status bindings_are_an_array(struct segue_test *test, bool wrong)
{
    struct scale scale;
    make_scale(test, &scale);
    if (wrong)
        scale.dispatch.bindings = NULL;
    return record(test, &scale.dispatch);
}

static segue_status constants_are_an_array(struct segue_test *test, bool wrong)
{
    struct scale scale;
    make_scale(test, &scale);
    if (wrong)
        scale.dispatch.constants = NULL;
    return record(test, &scale.dispatch);
}

static segue_status declared_block_is_kept(struct segue_test *test, bool wrong)
{
    struct scale scale;
    make_scale(test, &scale);
    scale.dispatch.block[0] = wrong ? 32 : 64;
    scale.dispatch.block[1] = scale.dispatch.block[2] = 1;
    return record(test, &scale.dispatch);
}

/** SHAPE declares no block. */
static segue_status shape(struct segue_test *test, uint32_t x, uint32_t y, uint32_t z)
{
    const struct segue_buffer_ref binding = segue_test_whole(pair_buffer(test, "data"));
    return record(test, &(struct segue_dispatch){.executable = test->kernels,
                                                 .entry_point = SEGUE_TEST_SHAPE,
                                                 .grid = {1, 1, 1},
                                                 .block = {x, y, z},
                                                 .bindings = &binding,
                                                 .binding_count = 1});
}

static segue_status undeclared_block_is_given(struct segue_test *test, bool wrong)
{
    return wrong ? shape(test, 0, 0, 0) : shape(test, 1, 1, 1);
}

static segue_status block_is_given_whole(struct segue_test *test, bool wrong)
{
    return shape(test, 32, wrong ? 0 : 1, 1);
}

static segue_status block_has_at_most_1024_threads(struct segue_test *test, bool wrong)
{
    return shape(test, 1024 + wrong, 1, 1);
}

static segue_status block_is_at_most_64_deep(struct segue_test *test, bool wrong)
{
    return shape(test, 1, 1, 64 + wrong);
}

/** NOTHING has no parameters. */
static struct segue_dispatch nothing(struct segue_test *test, uint32_t x, uint32_t y, uint32_t z)
{
    return (struct segue_dispatch){
        .executable = test->kernels, .entry_point = SEGUE_TEST_NOTHING, .grid = {x, y, z}};
}

static segue_status grid_fits_in_x(struct segue_test *test, bool wrong)
{
    const struct segue_dispatch dispatch = nothing(test, UINT32_C(0x7FFFFFFF) + wrong, 1, 1);
    return record(test, &dispatch);
}

static segue_status grid_fits_in_y(struct segue_test *test, bool wrong)
{
    const struct segue_dispatch dispatch = nothing(test, 1, 65535 + wrong, 1);
    return record(test, &dispatch);
}

static segue_status grid_fits_in_z(struct segue_test *test, bool wrong)
{
    const struct segue_dispatch dispatch = nothing(test, 1, 1, 65535 + wrong);
    return record(test, &dispatch);
}

static segue_status shared_memory_fits(struct segue_test *test, bool wrong)
{
    struct scale scale;
    make_scale(test, &scale);
    // The test kernel has no static shared memory: all of the device's is left.
    scale.dispatch.dynamic_shared_bytes = test->info.max_shared_memory_bytes + wrong;
    return record(test, &scale.dispatch);
}

static segue_status grid_is_a_multiple_of_the_cluster(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_ref binding = segue_test_whole(pair_buffer(test, "data"));
    const struct segue_dispatch dispatch = {
        .executable = test->kernels,
        .entry_point = SEGUE_TEST_CLUSTER,
        .grid = {wrong ? 3 : 4, 1, 1},
        .bindings = &binding,
        .binding_count = 1,
    };
    return record(test, &dispatch);
}

static segue_status bindings_lie_in_their_buffers(struct segue_test *test, bool wrong)
{
    struct scale scale;
    make_scale(test, &scale);
    scale.binding.offset_bytes = 4000;
    scale.binding.length_bytes = wrong ? 97 : 96;
    return record(test, &scale.dispatch);
}

static segue_status bindings_are_aligned_as_declared(struct segue_test *test, bool wrong)
{
    struct scale scale;
    make_scale(test, &scale);
    scale.binding.offset_bytes = wrong ? 2 : 4;
    return record(test, &scale.dispatch);
}

static segue_status written_bindings_are_not_constant(struct segue_test *test, bool wrong)
{
    segue_buffer *out = wrong ? pair_constant(test) : pair_buffer(test, "out");
    const struct segue_buffer_ref binding = segue_test_whole(out);
    const struct segue_dispatch dispatch = pair_scale(test, &binding);
    return record(test, &dispatch);
}

static segue_status bindings_have_the_usage(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_params params = {
        .size_bytes = 64,
        .usage = wrong ? SEGUE_BUFFER_USAGE_DISPATCH_READ
                       : SEGUE_BUFFER_USAGE_DISPATCH_READ | SEGUE_BUFFER_USAGE_DISPATCH_WRITE,
        .label = "input",
    };
    const struct segue_buffer_ref binding = segue_test_whole(segue_test_buffer_of(test, &params));
    const struct segue_dispatch dispatch = pair_scale(test, &binding);
    return record(test, &dispatch);
}

static const struct pair pairs[] = {
    PAIR(dispatch_is_not_null, INVALID_ARGUMENT, "command 0 (dispatch): dispatch is NULL"),
    PAIR(executable_is_not_null, INVALID_ARGUMENT, "command 0 (dispatch): executable is NULL"),
    PAIR(executable_is_of_the_same_device, INVALID_ARGUMENT,
         "executable \"test kernels\"|another device|create it on the command buffer's"),
    PAIR(entry_point_exists, OUT_OF_RANGE, "entry point 16 of executable \"test kernels\"|has 16"),
    PAIR(bindings_are_as_many_as_declared, INVALID_ARGUMENT,
         "(dispatch \"test_scale\")|2 bindings are given|declares 1"),
    PAIR(constants_are_as_large_as_declared, INVALID_ARGUMENT,
         "(dispatch \"test_scale\")|8 bytes of constants|declares 12"),
    PAIR(bindings_are_an_array, INVALID_ARGUMENT, "bindings is NULL|1 bindings"),
    PAIR(constants_are_an_array, INVALID_ARGUMENT, "constants is NULL|12 bytes"),
    PAIR(declared_block_is_kept, INVALID_ARGUMENT,
         "block is 32 x 1 x 1|declared with 64 x 1 x 1|give that or 0"),
    PAIR(undeclared_block_is_given, INVALID_ARGUMENT,
         "(dispatch \"test_shape\")|block is 0 x 0 x 0|declares none|give all three"),
    PAIR(block_is_given_whole, INVALID_ARGUMENT, "block is 32 x 0 x 1|give all three"),
    PAIR(block_has_at_most_1024_threads, INVALID_ARGUMENT, "1025 x 1 x 1|1024 threads"),
    PAIR(block_is_at_most_64_deep, INVALID_ARGUMENT, "1 x 1 x 65|at most 64 of them in z"),
    PAIR(grid_fits_in_x, OUT_OF_RANGE, "grid 2147483648 x 1 x 1|limits are 2147483647"),
    PAIR(grid_fits_in_y, OUT_OF_RANGE, "grid 1 x 65536 x 1|65535"),
    PAIR(grid_fits_in_z, OUT_OF_RANGE, "grid 1 x 1 x 65536|65535"),
    PAIR(shared_memory_fits, OUT_OF_RANGE, "dynamic_shared_bytes is|this kernel can have"),
    PAIR(grid_is_a_multiple_of_the_cluster, INVALID_ARGUMENT,
         "grid 3 x 1 x 1|multiple|cluster of 2 x 1 x 1"),
    PAIR(bindings_lie_in_their_buffers, OUT_OF_RANGE,
         "binding 0, buffer \"data\"|97 bytes at offset 4000|at most 96 fit"),
    PAIR(bindings_are_aligned_as_declared, INVALID_ARGUMENT,
         "binding 0, buffer \"data\"|offset 2|multiple of 4"),
    PAIR(written_bindings_are_not_constant, INVALID_ACCESS,
         "binding 0, buffer \"constant\"|constant memory|use device memory"),
    PAIR(bindings_have_the_usage, INVALID_ACCESS,
         "binding 0, buffer \"input\"|usage 0x4|SEGUE_BUFFER_USAGE_DISPATCH_WRITE"),
};
PAIR_AREA(dispatch, pairs);
