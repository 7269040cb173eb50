// SPDX-License-Identifier: Apache-2.0
// Barriers, event commands and debug groups.
#include "pairs.h"

static segue_status barrier(struct segue_test *test, const struct segue_barrier *item)
{
    segue_command_buffer *command_buffer = pair_begin(test, 1);
    return pair_record(command_buffer, segue_cmd_barrier(command_buffer, item));
}

static segue_status barrier_flags_are_known(struct segue_test *test, bool wrong)
{
    return barrier(test, &(struct segue_barrier){.flags = 1 + wrong});
}

static segue_status memory_barriers_are_an_array(struct segue_test *test, bool wrong)
{
    return barrier(test, &(struct segue_barrier){.memory_barrier_count = wrong});
}

static segue_status buffer_barriers_are_an_array(struct segue_test *test, bool wrong)
{
    return barrier(test, &(struct segue_barrier){.buffer_barrier_count = wrong});
}

static segue_status memory_barrier(struct segue_test *test, uint32_t source, uint32_t target)
{
    const struct segue_memory_barrier items[] = {{1, 1}, {source, target}};
    return barrier(test,
                   &(struct segue_barrier){.memory_barriers = items, .memory_barrier_count = 2});
}

static segue_status source_mask_is_not_empty(struct segue_test *test, bool wrong)
{
    return memory_barrier(test, wrong ? 0 : 1, 1);
}

static segue_status target_mask_is_not_empty(struct segue_test *test, bool wrong)
{
    return memory_barrier(test, 1, wrong ? 0 : 1);
}

static segue_status masks_have_known_bits(struct segue_test *test, bool wrong)
{
    return memory_barrier(test, wrong ? 0x1F : 0xF, 1);
}

static segue_status buffer_barrier(struct segue_test *test, uint32_t source,
                                   struct segue_buffer_ref range)
{
    const struct segue_buffer_barrier item = {source, 2, range};
    return barrier(test,
                   &(struct segue_barrier){.buffer_barriers = &item, .buffer_barrier_count = 1});
}

static segue_status buffer_barrier_masks_have_known_bits(struct segue_test *test, bool wrong)
{
    return buffer_barrier(test, wrong ? 0x10 : 0x8, segue_test_whole(pair_buffer(test, "a")));
}

static segue_status buffer_barrier_stays_in_its_buffer(struct segue_test *test, bool wrong)
{
    return buffer_barrier(test, 1, segue_test_ref(pair_buffer(test, "a"), 4000, 96 + wrong));
}

static segue_status buffer_barrier_slot_exists(struct segue_test *test, bool wrong)
{
    return buffer_barrier(test, 1, segue_test_slot(wrong, 0, 8));
}

static segue_status buffer_barrier_is_of_the_same_device(struct segue_test *test, bool wrong)
{
    const struct pair_other other = pair_other_open();
    segue_status status =
        buffer_barrier(test, 1, segue_test_whole(wrong ? other.buffer : pair_buffer(test, "ours")));
    pair_other_close(&other);
    return status;
}

static segue_status event_is_not_null(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = segue_test_begin(test);
    return pair_record(command_buffer, segue_cmd_signal_event(
                                           command_buffer, wrong ? NULL : segue_test_event(test)));
}

typedef segue_status (*event_command)(segue_command_buffer *command_buffer, segue_event *event);

static segue_status with_event(struct segue_test *test, bool wrong, event_command command)
{
    const struct pair_other other = pair_other_open();
    segue_command_buffer *command_buffer = segue_test_begin(test);
    segue_status status = pair_record(
        command_buffer, command(command_buffer, wrong ? other.event : segue_test_event(test)));
    pair_other_close(&other);
    return status;
}

static segue_status signalled_event_is_of_the_same_device(struct segue_test *test, bool wrong)
{
    return with_event(test, wrong, segue_cmd_signal_event);
}

static segue_status reset_event_is_of_the_same_device(struct segue_test *test, bool wrong)
{
    return with_event(test, wrong, segue_cmd_reset_event);
}

static segue_status awaited_event_is_of_the_same_device(struct segue_test *test, bool wrong)
{
    return with_event(test, wrong, segue_cmd_wait_event);
}

static segue_status group_has_a_label(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = segue_test_begin(test);
    segue_status status = segue_cmd_begin_group(command_buffer, wrong ? NULL : "");
    if (status == SEGUE_OK)
        status = segue_cmd_end_group(command_buffer);
    return pair_record(command_buffer, status);
}

static segue_status groups_are_64_deep(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = segue_test_begin(test);
    for (int i = 0; i < 63 + wrong; i++)
        CHECK_OK(segue_cmd_begin_group(command_buffer, "outer"));
    segue_status status = segue_cmd_begin_group(command_buffer, "inner");
    for (int i = 0; i < 64 && status == SEGUE_OK; i++)
        status = segue_cmd_end_group(command_buffer);
    return pair_record(command_buffer, status);
}

static segue_status groups_end_after_they_begin(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = segue_test_begin(test);
    if (!wrong)
        CHECK_OK(segue_cmd_begin_group(command_buffer, "layer0"));
    return pair_record(command_buffer, segue_cmd_end_group(command_buffer));
}

static const struct pair pairs[] = {
    PAIR(barrier_flags_are_known, INVALID_ARGUMENT,
         "command 0 (barrier)|flags 0x2|segue_barrier_flags"),
    PAIR(memory_barriers_are_an_array, INVALID_ARGUMENT, "memory_barriers is NULL, the count 1"),
    PAIR(buffer_barriers_are_an_array, INVALID_ARGUMENT, "buffer_barriers is NULL, the count 1"),
    PAIR(source_mask_is_not_empty, INVALID_ARGUMENT,
         "memory barrier 1: source is 0x0|segue_access_mask"),
    PAIR(target_mask_is_not_empty, INVALID_ARGUMENT, "memory barrier 1|target 0x0"),
    PAIR(masks_have_known_bits, INVALID_ARGUMENT, "memory barrier 1: source is 0x1f"),
    PAIR(buffer_barrier_masks_have_known_bits, INVALID_ARGUMENT,
         "buffer barrier 0: source is 0x10"),
    PAIR(buffer_barrier_stays_in_its_buffer, OUT_OF_RANGE,
         "buffer barrier 0, buffer \"a\"|97 bytes at offset 4000"),
    PAIR(buffer_barrier_slot_exists, OUT_OF_RANGE, "buffer barrier 0|slot 1 of 1"),
    PAIR(buffer_barrier_is_of_the_same_device, INVALID_ARGUMENT,
         "buffer barrier 0, buffer \"theirs\"|another device"),
    PAIR(event_is_not_null, INVALID_ARGUMENT, "command 0 (signal event): event is NULL"),
    PAIR(signalled_event_is_of_the_same_device, INVALID_ARGUMENT, "(signal event)|another device"),
    PAIR(reset_event_is_of_the_same_device, INVALID_ARGUMENT, "(reset event)|another device"),
    PAIR(awaited_event_is_of_the_same_device, INVALID_ARGUMENT, "(wait event)|another device"),
    PAIR(group_has_a_label, INVALID_ARGUMENT, "command 0 (begin group): label is NULL"),
    PAIR(groups_are_64_deep, OUT_OF_RANGE, "command 64 (begin group|group \"inner\"|end some"),
    PAIR(groups_end_after_they_begin, INVALID_STATE, "(end group)|no group is open|begin one"),
};
PAIR_AREA(sync, pairs);
