// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"
#include "test.h"

/** A dispatch of one block of a test kernel. */
static struct segue_dispatch dispatch_of(struct segue_test *test, enum segue_test_kernel kernel,
                                         const struct segue_buffer_ref *bindings,
                                         uint32_t binding_count, const void *constants,
                                         uint32_t constants_size_bytes)
{
    return (struct segue_dispatch){
        .executable = test->kernels,
        .entry_point = kernel,
        .grid = {1, 1, 1},
        .bindings = bindings,
        .binding_count = binding_count,
        .constants = constants,
        .constants_size_bytes = constants_size_bytes,
    };
}

static void bindings_and_constants(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 1000 };
    segue_buffer *left = segue_test_words(test, COUNT, 1);
    segue_buffer *right = segue_test_words(test, COUNT, 2);
    segue_buffer *out = segue_test_zeros(test, COUNT + 1);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_add(test, commands, segue_test_whole(left), segue_test_whole(right),
                            segue_test_whole(out), COUNT);
    segue_test_run(test, commands);
    uint32_t expected[COUNT + 1] = {0};
    for (uint32_t i = 0; i < COUNT; ++i)
        expected[i] = segue_test_word(1, i) + segue_test_word(2, i);
    segue_test_expect(out, 0, expected, COUNT + 1);
}

static void constants_and_bindings_are_captured(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    uint32_t constants[] = {8, 5, 7};
    struct segue_buffer_ref binding = segue_test_whole(data);
    struct segue_dispatch dispatch =
        dispatch_of(test, SEGUE_TEST_SCALE, &binding, 1, constants, sizeof(constants));
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    memset(constants, 0xee, sizeof(constants));
    memset(&binding, 0xee, sizeof(binding));
    memset(&dispatch, 0xee, sizeof(dispatch));
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(1, i) * 5 + 7);
}

static void constants_of_all_sizes(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *source = segue_test_words(test, 40, 1);
    segue_buffer *out = segue_test_zeros(test, 40);
    const uint8_t step = 201;
    const uint64_t start = 0x123456789abcdef0;
    const uint16_t shift = 13;
    const uint32_t count = 40;
    unsigned char constants[15];
    memcpy(constants, &step, 1);
    memcpy(constants + 1, &start, 8);
    memcpy(constants + 9, &shift, 2);
    memcpy(constants + 11, &count, 4);
    const struct segue_buffer_ref bindings[] = {segue_test_whole(out), segue_test_whole(source)};
    const struct segue_dispatch dispatch =
        dispatch_of(test, SEGUE_TEST_ORDER, bindings, 2, constants, sizeof(constants));
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < count; ++i)
        segue_test_expect_all(out, i, 1,
                              (uint32_t)(start >> shift) + i * step + segue_test_word(1, i));
}

static void aligned_struct_constant(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *out = segue_test_zeros(test, 32);
    uint32_t constants[33];
    for (uint32_t i = 0; i < 33; ++i)
        constants[i] = segue_test_word(9, i);
    const struct segue_buffer_ref binding = segue_test_whole(out);
    const struct segue_dispatch dispatch =
        dispatch_of(test, SEGUE_TEST_STRUCT, &binding, 1, constants, sizeof(constants));
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 32; ++i)
        segue_test_expect_all(out, i, 1, constants[1 + i] + constants[0]);
}

static void large_constant(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *out = segue_test_zeros(test, 1000);
    uint32_t constants[1000];
    uint32_t expected[1000];
    for (uint32_t i = 0; i < 1000; ++i) {
        constants[i] = segue_test_word(8, i);
        expected[i] = constants[i] * 3;
    }
    const struct segue_buffer_ref binding = segue_test_whole(out);
    const struct segue_dispatch dispatch =
        dispatch_of(test, SEGUE_TEST_LARGE, &binding, 1, constants, sizeof(constants));
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_run(test, commands);
    segue_test_expect(out, 0, expected, 1000);
}

static void shared_memory_beyond_48_kib(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 16384 };
    segue_buffer *source = segue_test_words(test, COUNT, 1);
    segue_buffer *out = segue_test_zeros(test, COUNT);
    const uint32_t count = COUNT;
    const struct segue_buffer_ref bindings[] = {segue_test_whole(source), segue_test_whole(out)};
    struct segue_dispatch dispatch =
        dispatch_of(test, SEGUE_TEST_SHARED, bindings, 2, &count, sizeof(count));
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_run(test, commands);
    static uint32_t expected[COUNT];
    for (uint32_t i = 0; i < COUNT; ++i)
        expected[i] = segue_test_word(1, COUNT - 1 - i);
    segue_test_expect(out, 0, expected, COUNT);

    // Given per dispatch, it must suffice, and a device has an end.
    dispatch.dynamic_shared_bytes = test->info.max_shared_memory_bytes + 1;
    commands = segue_test_begin(test);
    CHECK_ERROR(segue_cmd_dispatch(commands, &dispatch), SEGUE_OUT_OF_RANGE, "shared");
}

static void cluster(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *out = segue_test_zeros(test, 8);
    const struct segue_buffer_ref binding = segue_test_whole(out);
    struct segue_dispatch dispatch = dispatch_of(test, SEGUE_TEST_CLUSTER, &binding, 1, NULL, 0);
    dispatch.grid[0] = 8;
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_run(test, commands);
    const uint32_t expected[8] = {100, 101, 100, 101, 100, 101, 100, 101};
    segue_test_expect(out, 0, expected, 8);

    dispatch.grid[0] = 7;
    commands = segue_test_begin(test);
    CHECK_ERROR(segue_cmd_dispatch(commands, &dispatch), SEGUE_INVALID_ARGUMENT, "cluster");
}

static void cooperative(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *counter = segue_test_zeros(test, 1);
    segue_buffer *out = segue_test_zeros(test, 16);
    const struct segue_buffer_ref bindings[] = {segue_test_whole(counter), segue_test_whole(out)};
    struct segue_dispatch dispatch =
        dispatch_of(test, SEGUE_TEST_COOPERATIVE, bindings, 2, NULL, 0);
    dispatch.grid[0] = 16;
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_run(test, commands);
    segue_test_expect_all(out, 0, 16, 16);
    segue_test_expect_all(counter, 0, 1, 16);
}

static void opaque_is_ordered_with_everything(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 32, 1);
    struct segue_buffer_info info;
    segue_buffer_get_info(data, &info);
    unsigned char constants[20];
    memcpy(constants, &info.device_address, 8);
    memcpy(constants + 8, (const uint32_t[]){32, 3, 1}, 12);
    const struct segue_dispatch dispatch =
        dispatch_of(test, SEGUE_TEST_OPAQUE, NULL, 0, constants, sizeof(constants));
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_scale(test, commands, segue_test_whole(data), 32, 5, 4);
    // Names another kind of access and another range, yet nobody knows what the kernel touches.
    segue_test_buffer_barrier(commands, SEGUE_ACCESS_MASK_DISPATCH_WRITE,
                              SEGUE_ACCESS_MASK_TRANSFER_READ, segue_test_whole(data));
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_buffer_barrier(commands, SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                              SEGUE_ACCESS_MASK_DISPATCH_READ, segue_test_whole(data));
    segue_test_dispatch_scale(test, commands, segue_test_whole(data), 32, 7, 0);
    segue_test_barrier(commands);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_barrier(commands);
    segue_test_dispatch_scale(test, commands, segue_test_whole(data), 32, 9, 2);
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 32; ++i) {
        uint32_t word = ((segue_test_word(1, i) * 5 + 4) * 3 + 1) * 7;
        segue_test_expect_all(data, i, 1, (word * 3 + 1) * 9 + 2);
    }
}

static void no_parameters(void **state)
{
    struct segue_test *test = *state;
    const struct segue_dispatch dispatch = dispatch_of(test, SEGUE_TEST_NOTHING, NULL, 0, NULL, 0);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_run(test, commands);
}

static void grid_and_block(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *out = segue_test_zeros(test, 6);
    const struct segue_buffer_ref binding = segue_test_whole(out);
    struct segue_dispatch dispatch = dispatch_of(test, SEGUE_TEST_SHAPE, &binding, 1, NULL, 0);
    memcpy(dispatch.grid, (const uint32_t[]){70000, 3, 2}, sizeof(dispatch.grid));
    memcpy(dispatch.block, (const uint32_t[]){8, 4, 2}, sizeof(dispatch.block));
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_run(test, commands);
    const uint32_t expected[6] = {70000, 3, 2, 8, 4, 2};
    segue_test_expect(out, 0, expected, 6);
}

static void empty_grid_does_nothing(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *out = segue_test_zeros(test, 6);
    const struct segue_buffer_ref binding = segue_test_whole(out);
    struct segue_dispatch dispatch = dispatch_of(test, SEGUE_TEST_SHAPE, &binding, 1, NULL, 0);
    dispatch.block[0] = dispatch.block[1] = dispatch.block[2] = 1;
    segue_command_buffer *commands = segue_test_begin(test);
    for (int dimension = 0; dimension < 3; ++dimension) {
        dispatch.grid[0] = dispatch.grid[1] = dispatch.grid[2] = 1;
        dispatch.grid[dimension] = 0;
        CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    }
    segue_test_run(test, commands);
    segue_test_expect_all(out, 0, 6, 0);
}

static void binding_offsets(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_words(test, 64, 1);
    segue_buffer *view = segue_test_view(test, buffer, 64, 128);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_scale(test, commands, segue_test_ref(view, 4, 8), 2, 2, 0);
    segue_test_dispatch_scale(test, commands, segue_test_ref(buffer, 200, SEGUE_WHOLE_SIZE), 14, 3,
                              0);
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 64; ++i) {
        uint32_t factor = i == 17 || i == 18 ? 2 : i >= 50 ? 3 : 1;
        segue_test_expect_all(buffer, i, 1, segue_test_word(1, i) * factor);
    }
}

static void expect_failure(struct segue_test *test, const struct segue_dispatch *dispatch,
                           segue_status expected, const char *text)
{
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_ERROR(segue_cmd_dispatch(commands, dispatch), expected, text);
    CHECK_STATUS(segue_command_buffer_end(commands), expected);
    segue_test_destroy(test, commands);
}

static void bad_shapes(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer(test, 64);
    struct segue_buffer_ref bindings[] = {segue_test_whole(buffer), segue_test_whole(buffer)};
    const uint32_t constants[] = {1, 1, 1, 1};
    const struct segue_dispatch good =
        dispatch_of(test, SEGUE_TEST_SCALE, bindings, 1, constants, 12);

    struct segue_dispatch bad = good;
    bad.entry_point = SEGUE_TEST_KERNEL_COUNT;
    expect_failure(test, &bad, SEGUE_OUT_OF_RANGE, "16");
    bad = good;
    bad.binding_count = 2;
    expect_failure(test, &bad, SEGUE_INVALID_ARGUMENT, "test_scale");
    bad.binding_count = 0;
    expect_failure(test, &bad, SEGUE_INVALID_ARGUMENT, "test_scale");
    bad = good;
    bad.constants_size_bytes = 16;
    expect_failure(test, &bad, SEGUE_INVALID_ARGUMENT, "16");
    bad = good;
    bad.constants = NULL;
    expect_failure(test, &bad, SEGUE_INVALID_ARGUMENT, "constants");
    bad = good;
    bad.executable = NULL;
    expect_failure(test, &bad, SEGUE_INVALID_ARGUMENT, "executable");
    bad = dispatch_of(test, SEGUE_TEST_SHAPE, bindings, 1, NULL, 0);
    expect_failure(test, &bad, SEGUE_INVALID_ARGUMENT, "block");
    bad.block[0] = test->info.max_threads_per_block;
    bad.block[1] = 2;
    bad.block[2] = 1;
    expect_failure(test, &bad, SEGUE_INVALID_ARGUMENT, "threads");
}

static void bad_bindings(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer(test, 64);
    segue_buffer *constant = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 64, .memory = SEGUE_MEMORY_CONSTANT});
    segue_buffer *no_dispatch = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 64,
                                            .usage = SEGUE_BUFFER_USAGE_TRANSFER_SOURCE |
                                                     SEGUE_BUFFER_USAGE_TRANSFER_TARGET});
    segue_buffer *read_only = segue_test_buffer_of(
        test,
        &(struct segue_buffer_params){.size_bytes = 64, .usage = SEGUE_BUFFER_USAGE_READ_ONLY});
    const uint32_t count = 1;
    struct segue_buffer_ref bindings[3] = {segue_test_whole(constant), segue_test_whole(read_only),
                                           segue_test_whole(buffer)};
    const struct segue_dispatch dispatch =
        dispatch_of(test, SEGUE_TEST_ADD, bindings, 3, &count, sizeof(count));
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    CHECK_OK(segue_command_buffer_end(commands));

    bindings[2] = segue_test_whole(constant);
    expect_failure(test, &dispatch, SEGUE_INVALID_ACCESS, "test_add");
    bindings[2] = segue_test_whole(read_only);
    expect_failure(test, &dispatch, SEGUE_INVALID_ACCESS, "test_add");
    bindings[2] = segue_test_whole(buffer);
    bindings[0] = segue_test_whole(no_dispatch);
    expect_failure(test, &dispatch, SEGUE_INVALID_ACCESS, "test_add");
    bindings[0] = segue_test_ref(buffer, 2, 4);
    expect_failure(test, &dispatch, SEGUE_INVALID_ARGUMENT, "2");
    bindings[0] = segue_test_ref(buffer, 64, 4);
    expect_failure(test, &dispatch, SEGUE_OUT_OF_RANGE, "64");
    bindings[0] = segue_test_slot(0, 0, 4);
    expect_failure(test, &dispatch, SEGUE_OUT_OF_RANGE, "slot");
}

static void host_visible_bindings(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 64, .memory = SEGUE_MEMORY_HOST_VISIBLE});
    void *pointer;
    CHECK_OK(segue_buffer_map(buffer, &pointer));
    uint32_t *words = pointer;
    for (uint32_t i = 0; i < 16; ++i)
        words[i] = i;
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_scale(test, commands, segue_test_whole(buffer), 16, 2, 1);
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 16; ++i)
        assert_int_equal(words[i], 2 * i + 1);
}

static void a_thousand_blocks(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 1024 * SEGUE_TEST_BLOCK_SIZE };
    static uint32_t expected[COUNT];
    segue_buffer *data = segue_test_words(test, COUNT, 1);
    const uint32_t constants[] = {COUNT, 3, 1};
    const struct segue_buffer_ref binding = segue_test_whole(data);
    struct segue_dispatch dispatch =
        dispatch_of(test, SEGUE_TEST_SCALE, &binding, 1, constants, sizeof(constants));
    dispatch.grid[0] = 1024;
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < COUNT; ++i)
        expected[i] = segue_test_word(1, i) * 3 + 1;
    segue_test_expect(data, 0, expected, COUNT);
}

static const struct CMUnitTest tests[] = {
    segue_test_case(bindings_and_constants),
    segue_test_case(constants_and_bindings_are_captured),
    segue_test_case(constants_of_all_sizes),
    segue_test_case(aligned_struct_constant),
    segue_test_case(large_constant),
    segue_test_case(shared_memory_beyond_48_kib),
    segue_test_case(cluster),
    segue_test_case(cooperative),
    segue_test_case(opaque_is_ordered_with_everything),
    segue_test_case(no_parameters),
    segue_test_case(grid_and_block),
    segue_test_case(empty_grid_does_nothing),
    segue_test_case(binding_offsets),
    segue_test_case(bad_shapes),
    segue_test_case(bad_bindings),
    segue_test_case(host_visible_bindings),
    segue_test_case(a_thousand_blocks),
};

const struct segue_conformance_area segue_conformance_dispatch = {"dispatch", tests,
                                                                  sizeof(tests) / sizeof(tests[0])};
