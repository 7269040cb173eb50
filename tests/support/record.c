// SPDX-License-Identifier: Apache-2.0
// Recording helpers of the tests.
#include "test.h"

struct segue_buffer_ref segue_test_ref(segue_buffer *buffer, uint64_t offset_bytes,
                                       uint64_t length_bytes)
{
    return (struct segue_buffer_ref){
        .buffer = buffer, .offset_bytes = offset_bytes, .length_bytes = length_bytes};
}

struct segue_buffer_ref segue_test_whole(segue_buffer *buffer)
{
    return segue_test_ref(buffer, 0, SEGUE_WHOLE_SIZE);
}

struct segue_buffer_ref segue_test_slot(uint32_t slot, uint64_t offset_bytes, uint64_t length_bytes)
{
    return (struct segue_buffer_ref){
        .slot = slot, .offset_bytes = offset_bytes, .length_bytes = length_bytes};
}

void segue_test_barrier(segue_command_buffer *command_buffer)
{
    CHECK_OK(segue_cmd_barrier(command_buffer, NULL));
}

void segue_test_memory_barrier(segue_command_buffer *command_buffer, uint32_t source,
                               uint32_t target)
{
    const struct segue_memory_barrier memory = {source, target};
    const struct segue_barrier barrier = {.memory_barriers = &memory, .memory_barrier_count = 1};
    CHECK_OK(segue_cmd_barrier(command_buffer, &barrier));
}

void segue_test_buffer_barrier(segue_command_buffer *command_buffer, uint32_t source,
                               uint32_t target, struct segue_buffer_ref range)
{
    const struct segue_buffer_barrier buffer = {source, target, range};
    const struct segue_barrier barrier = {.buffer_barriers = &buffer, .buffer_barrier_count = 1};
    CHECK_OK(segue_cmd_barrier(command_buffer, &barrier));
}

/** One dispatch with enough blocks for `count` words, at most 8. */
static void dispatch(struct segue_test *test, segue_command_buffer *command_buffer,
                     enum segue_test_kernel kernel, const struct segue_buffer_ref *bindings,
                     uint32_t binding_count, uint32_t count, const void *constants,
                     uint32_t constants_size_bytes)
{
    uint32_t blocks = (count + SEGUE_TEST_BLOCK_SIZE - 1) / SEGUE_TEST_BLOCK_SIZE;
    const struct segue_dispatch dispatch = {
        .executable = test->kernels,
        .entry_point = kernel,
        .grid = {blocks < 8 ? blocks : 8, 1, 1},
        .bindings = bindings,
        .binding_count = binding_count,
        .constants = constants,
        .constants_size_bytes = constants_size_bytes,
    };
    CHECK_OK(segue_cmd_dispatch(command_buffer, &dispatch));
}

void segue_test_dispatch_add(struct segue_test *test, segue_command_buffer *command_buffer,
                             struct segue_buffer_ref left, struct segue_buffer_ref right,
                             struct segue_buffer_ref out, uint32_t count)
{
    const struct segue_buffer_ref bindings[] = {left, right, out};
    dispatch(test, command_buffer, SEGUE_TEST_ADD, bindings, 3, count, &count, sizeof(count));
}

void segue_test_dispatch_scale(struct segue_test *test, segue_command_buffer *command_buffer,
                               struct segue_buffer_ref data, uint32_t count, uint32_t factor,
                               uint32_t addend)
{
    const uint32_t constants[] = {count, factor, addend};
    dispatch(test, command_buffer, SEGUE_TEST_SCALE, &data, 1, count, constants, sizeof(constants));
}

void segue_test_dispatch_slow(struct segue_test *test, segue_command_buffer *command_buffer,
                              struct segue_buffer_ref data, uint32_t count, uint32_t factor,
                              uint32_t addend)
{
    uint64_t spin_ns = 200000;
    unsigned char constants[20];
    memcpy(constants, &count, 4);
    memcpy(constants + 4, &factor, 4);
    memcpy(constants + 8, &addend, 4);
    memcpy(constants + 12, &spin_ns, 8);
    dispatch(test, command_buffer, SEGUE_TEST_SLOW_SCALE, &data, 1, count, constants,
             sizeof(constants));
}

void segue_test_dispatch_mix(struct segue_test *test, segue_command_buffer *command_buffer,
                             struct segue_buffer_ref source, struct segue_buffer_ref data,
                             uint32_t count, uint32_t shift)
{
    const struct segue_buffer_ref bindings[] = {source, data};
    const uint32_t constants[] = {count, shift};
    dispatch(test, command_buffer, SEGUE_TEST_MIX, bindings, 2, count, constants,
             sizeof(constants));
}

void segue_test_dispatch_indirect(struct segue_test *test, segue_command_buffer *command_buffer,
                                  struct segue_buffer_ref source, struct segue_buffer_ref data,
                                  uint32_t count, uint32_t shift)
{
    const struct segue_buffer_ref bindings[] = {source, data};
    const uint32_t constants[] = {count, shift};
    dispatch(test, command_buffer, SEGUE_TEST_INDIRECT, bindings, 2, count, constants,
             sizeof(constants));
}

void segue_test_dispatch_indirect_slow(struct segue_test *test,
                                       segue_command_buffer *command_buffer,
                                       struct segue_buffer_ref source, struct segue_buffer_ref data,
                                       uint32_t count)
{
    const struct segue_buffer_ref bindings[] = {source, data};
    const uint64_t spin_ns = 200000;
    unsigned char constants[12];
    memcpy(constants, &count, 4);
    memcpy(constants + 4, &spin_ns, 8);
    dispatch(test, command_buffer, SEGUE_TEST_INDIRECT_SLOW, bindings, 2, count, constants,
             sizeof(constants));
}
