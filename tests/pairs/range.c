// SPDX-License-Identifier: Apache-2.0
// References to buffers and slots, whatever the command.
#include "pairs.h"

/** A fill of single bytes: any range will do. */
static segue_status touch(struct segue_test *test, struct segue_buffer_ref range)
{
    segue_command_buffer *command_buffer = pair_begin(test, 2);
    return pair_record(command_buffer, segue_cmd_fill(command_buffer, range, 0, 1));
}

static segue_status range_begins_in_its_buffer(struct segue_test *test, bool wrong)
{
    return touch(test, segue_test_ref(pair_buffer(test, "a"), PAIR_BYTES + wrong, 0));
}

static segue_status range_ends_in_its_buffer(struct segue_test *test, bool wrong)
{
    return touch(test, segue_test_ref(pair_buffer(test, "a"), 0, PAIR_BYTES + wrong));
}

static segue_status range_does_not_wrap_around(struct segue_test *test, bool wrong)
{
    return touch(test, segue_test_ref(pair_buffer(test, "a"), 8, wrong ? UINT64_MAX - 7 : 8));
}

static segue_status range_ends_in_its_view(struct segue_test *test, bool wrong)
{
    segue_buffer *view = segue_test_view(test, pair_buffer(test, "a"), 256, 16);
    return touch(test, segue_test_ref(view, 8, 8 + wrong));
}

static segue_status buffer_is_of_the_same_device(struct segue_test *test, bool wrong)
{
    const struct pair_other other = pair_other_open();
    segue_status status =
        touch(test, segue_test_whole(wrong ? other.buffer : pair_buffer(test, "ours")));
    pair_other_close(&other);
    return status;
}

static segue_status constant_memory_is_not_written(struct segue_test *test, bool wrong)
{
    return touch(test, segue_test_whole(wrong ? pair_constant(test) : pair_buffer(test, "a")));
}

static segue_buffer *limited(struct segue_test *test, uint32_t usage)
{
    const struct segue_buffer_params params = {
        .size_bytes = 64, .usage = usage, .label = "limited"};
    return segue_test_buffer_of(test, &params);
}

static segue_status target_has_the_usage(struct segue_test *test, bool wrong)
{
    return touch(test, segue_test_whole(limited(test, wrong ? SEGUE_BUFFER_USAGE_TRANSFER_SOURCE
                                                            : SEGUE_BUFFER_USAGE_TRANSFER_TARGET)));
}

static segue_status source_has_the_usage(struct segue_test *test, bool wrong)
{
    segue_buffer *source = limited(test, wrong ? SEGUE_BUFFER_USAGE_TRANSFER_TARGET
                                               : SEGUE_BUFFER_USAGE_TRANSFER_SOURCE);
    segue_command_buffer *command_buffer = segue_test_begin(test);
    return pair_record(command_buffer,
                       segue_cmd_copy(command_buffer, segue_test_whole(source),
                                      segue_test_ref(pair_buffer(test, "b"), 0, 64)));
}

static segue_status read_binding_has_the_usage(struct segue_test *test, bool wrong)
{
    const uint32_t one = 1;
    segue_buffer *source =
        limited(test, wrong ? SEGUE_BUFFER_USAGE_DISPATCH_WRITE : SEGUE_BUFFER_USAGE_DISPATCH_READ);
    segue_buffer *data = pair_buffer(test, "data");
    const struct segue_buffer_ref bindings[] = {
        segue_test_whole(source), segue_test_ref(data, 0, 64), segue_test_ref(data, 64, 64)};
    segue_command_buffer *command_buffer = segue_test_begin(test);
    return pair_record(command_buffer,
                       segue_cmd_dispatch(command_buffer, &(struct segue_dispatch){
                                                              .executable = test->kernels,
                                                              .entry_point = SEGUE_TEST_ADD,
                                                              .grid = {1, 1, 1},
                                                              .bindings = bindings,
                                                              .binding_count = 3,
                                                              .constants = &one,
                                                              .constants_size_bytes = sizeof(one),
                                                          }));
}

static segue_status slot_exists(struct segue_test *test, bool wrong)
{
    return touch(test, segue_test_slot(1 + wrong, 0, 4));
}

static segue_status slot_is_aligned(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = pair_begin(test, 2);
    return pair_record(command_buffer,
                       segue_cmd_fill(command_buffer, segue_test_slot(0, wrong ? 2 : 4, 4), 0, 4));
}

static segue_status slot_range_fits_64_bits(struct segue_test *test, bool wrong)
{
    return touch(test, segue_test_slot(0, 8 + wrong, UINT64_MAX - 8));
}

static const struct pair pairs[] = {
    PAIR(range_begins_in_its_buffer, OUT_OF_RANGE, "target, buffer \"a\"|offset 4097|4096 bytes"),
    PAIR(range_ends_in_its_buffer, OUT_OF_RANGE,
         "target, buffer \"a\"|4097 bytes at offset 0|at most 4096 fit"),
    PAIR(range_does_not_wrap_around, OUT_OF_RANGE, "target, buffer \"a\"|at offset 8"),
    PAIR(range_ends_in_its_view, OUT_OF_RANGE, "9 bytes at offset 8|16 bytes|at most 8 fit"),
    PAIR(buffer_is_of_the_same_device, INVALID_ARGUMENT,
         "target, buffer \"theirs\"|another device|the command buffer's device"),
    PAIR(constant_memory_is_not_written, INVALID_ACCESS,
         "buffer \"constant\"|constant memory|segue_buffer_write"),
    PAIR(target_has_the_usage, INVALID_ACCESS,
         "buffer \"limited\"|usage 0x1|lacks SEGUE_BUFFER_USAGE_TRANSFER_TARGET"),
    PAIR(source_has_the_usage, INVALID_ACCESS,
         "source, buffer \"limited\"|usage 0x2|lacks SEGUE_BUFFER_USAGE_TRANSFER_SOURCE"),
    PAIR(read_binding_has_the_usage, INVALID_ACCESS,
         "binding 0, buffer \"limited\"|lacks SEGUE_BUFFER_USAGE_DISPATCH_READ"),
    PAIR(slot_exists, OUT_OF_RANGE, "target|slot 2 of 2|set buffer|more slots"),
    PAIR(slot_is_aligned, INVALID_ARGUMENT, "target, slot 0: offset 2|multiple of 4"),
    PAIR(slot_range_fits_64_bits, OUT_OF_RANGE, "slot 0: offset 9|more than 64 bits"),
};
PAIR_AREA(range, pairs);
