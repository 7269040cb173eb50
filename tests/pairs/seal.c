// SPDX-License-Identifier: Apache-2.0
// Constant memory that commands fill, and that is sealed afterwards.
#include "pairs.h"

/** A command buffer that may fill constants, recording. */
static segue_command_buffer *begin_filling(struct segue_test *test)
{
    return segue_test_begin_with(
        test, 0, SEGUE_COMMAND_BUFFER_ONE_SHOT | SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS);
}

static segue_status fill(segue_command_buffer *command_buffer, segue_buffer *buffer)
{
    const struct segue_buffer_ref target = {.buffer = buffer, .length_bytes = PAIR_BYTES};
    return segue_cmd_fill(command_buffer, target, 7, 4);
}

static segue_status filling_is_one_shot(struct segue_test *test, bool wrong)
{
    const struct segue_command_buffer_params params = {
        .flags = SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS | (wrong ? 0 : SEGUE_COMMAND_BUFFER_ONE_SHOT),
        .label = "odd",
    };
    segue_command_buffer *command_buffer = NULL;
    segue_status status = segue_command_buffer_create(test->device, &params, &command_buffer);
    segue_command_buffer_destroy(command_buffer);
    return status;
}

static segue_status sealed_memory_is_not_written(struct segue_test *test, bool wrong)
{
    segue_buffer *constant = pair_constant(test);
    segue_command_buffer *command_buffer = begin_filling(test);
    if (wrong)
        CHECK_OK(segue_buffer_seal(constant));
    return pair_record(command_buffer, fill(command_buffer, constant));
}

/** Only constant memory: a device buffer's usage stays what it is. */
static segue_status filling_keeps_usage(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_params params = {
        .size_bytes = PAIR_BYTES,
        .memory = wrong ? SEGUE_MEMORY_DEVICE : SEGUE_MEMORY_CONSTANT,
        .usage = SEGUE_BUFFER_USAGE_READ_ONLY,
        .label = "read",
    };
    segue_buffer *buffer = segue_test_buffer_of(test, &params);
    segue_command_buffer *command_buffer = begin_filling(test);
    return pair_record(command_buffer, fill(command_buffer, buffer));
}

static segue_status sealed_since_recording(struct segue_test *test, bool wrong)
{
    segue_buffer *constant = pair_constant(test);
    segue_buffer *other = pair_constant(test);
    segue_command_buffer *command_buffer = begin_filling(test);
    CHECK_OK(fill(command_buffer, constant));
    CHECK_OK(segue_command_buffer_end(command_buffer));
    CHECK_OK(segue_buffer_seal(wrong ? constant : other));
    return pair_submit(test, command_buffer, NULL, 0);
}

static segue_status host_does_not_write_sealed_memory(struct segue_test *test, bool wrong)
{
    segue_buffer *constant = pair_constant(test);
    // Sealing a view seals the memory.
    segue_buffer *view = segue_test_view(test, constant, 256, 256);
    if (wrong)
        CHECK_OK(segue_buffer_seal(view));
    return segue_buffer_write(constant, 0, "a", 1);
}

static segue_status seal_needs_buffer(struct segue_test *test, bool wrong)
{
    return segue_buffer_seal(wrong ? NULL : pair_constant(test));
}

static segue_status only_constants_are_sealed(struct segue_test *test, bool wrong)
{
    return segue_buffer_seal(wrong ? pair_buffer(test, "device") : pair_constant(test));
}

static const struct pair pairs[] = {
    PAIR(filling_is_one_shot, INVALID_ARGUMENT, "\"odd\"|SEGUE_COMMAND_BUFFER_ONE_SHOT"),
    PAIR(sealed_memory_is_not_written, INVALID_ACCESS, "target|\"constant\"|is sealed"),
    PAIR(filling_keeps_usage, INVALID_ACCESS, "target|\"read\"|TRANSFER_TARGET"),
    PAIR(sealed_since_recording, INVALID_ACCESS, "\"constant\"|sealed since"),
    PAIR(host_does_not_write_sealed_memory, INVALID_ACCESS, "\"constant\"|is sealed"),
    PAIR(seal_needs_buffer, INVALID_ARGUMENT, "buffer is NULL"),
    PAIR(only_constants_are_sealed, INVALID_ACCESS, "\"device\"|SEGUE_MEMORY_CONSTANT"),
};
PAIR_AREA(seal, pairs);
