// SPDX-License-Identifier: Apache-2.0
// Constant slots: how they are declared, used and given values.
#include "pairs.h"

#include <stdio.h>

static const struct segue_constant_slot slots[] = {{"factor", 4}, {"start", 8}};

static segue_status declare(struct segue_test *test, const struct segue_constant_slot *declared,
                            uint32_t count)
{
    const struct segue_command_buffer_params params = {
        .label = "odd", .constant_slots = declared, .constant_slot_count = count};
    segue_command_buffer *command_buffer = NULL;
    segue_status status = segue_command_buffer_create(test->device, &params, &command_buffer);
    segue_command_buffer_destroy(command_buffer);
    return status;
}

static segue_status are_at_most_1024(struct segue_test *test, bool wrong)
{
    enum { COUNT = 1025 };
    static char names[COUNT][12];
    static struct segue_constant_slot many[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "slot%u", i);
        many[i] = (struct segue_constant_slot){.name = names[i], .size_bytes = 4};
    }
    return declare(test, many, 1024 + wrong);
}

static segue_status are_an_array(struct segue_test *test, bool wrong)
{
    return declare(test, wrong ? NULL : slots, 2);
}

static segue_status have_names(struct segue_test *test, bool wrong)
{
    const struct segue_constant_slot declared[] = {{"a", 4}, {wrong ? "" : "b", 4}};
    return declare(test, declared, 2);
}

static segue_status names_have_at_most_255_bytes(struct segue_test *test, bool wrong)
{
    char name[257];
    memset(name, 'n', sizeof(name));
    name[wrong ? 256 : 255] = '\0';
    const struct segue_constant_slot declared = {name, 4};
    return declare(test, &declared, 1);
}

static segue_status names_are_plain(struct segue_test *test, bool wrong)
{
    const struct segue_constant_slot declared = {wrong ? "a=b" : "a-b", 4};
    return declare(test, &declared, 1);
}

static segue_status have_4_or_8_bytes(struct segue_test *test, bool wrong)
{
    const struct segue_constant_slot declared = {"a", wrong ? 2 : 4};
    return declare(test, &declared, 1);
}

static segue_status names_differ(struct segue_test *test, bool wrong)
{
    const struct segue_constant_slot declared[] = {{"a", 4}, {"b", 4}, {wrong ? "a" : "c", 8}};
    return declare(test, declared, 3);
}

/** SCALE (three constants of 4 bytes) with constant uses. */
static segue_status use(struct segue_test *test, const struct segue_constant_use *uses,
                        uint32_t count)
{
    const struct segue_buffer_ref binding = segue_test_whole(pair_buffer(test, "data"));
    struct segue_dispatch dispatch = pair_scale(test, &binding);
    dispatch.constant_uses = uses;
    dispatch.constant_use_count = count;
    segue_command_buffer *command_buffer = segue_test_begin_constants(test, 0, slots, 2, 0);
    return pair_record(command_buffer, segue_cmd_dispatch(command_buffer, &dispatch));
}

static segue_status uses_are_an_array(struct segue_test *test, bool wrong)
{
    const struct segue_constant_use one = {.slot = 0, .offset_bytes = 4, .size_bytes = 4};
    return use(test, wrong ? NULL : &one, 1);
}

static segue_status used_slot_is_declared(struct segue_test *test, bool wrong)
{
    const struct segue_constant_use one = {
        .slot = wrong ? 2 : 0, .offset_bytes = 4, .size_bytes = 4};
    return use(test, &one, 1);
}

static segue_status use_has_the_size_of_its_slot(struct segue_test *test, bool wrong)
{
    const struct segue_constant_use one = {
        .slot = 0, .offset_bytes = 4, .size_bytes = wrong ? 8 : 4};
    return use(test, &one, 1);
}

static segue_status uses_do_not_overlap(struct segue_test *test, bool wrong)
{
    const struct segue_constant_use two[] = {
        {.slot = 0, .offset_bytes = 4, .size_bytes = 4},
        {.slot = 0, .offset_bytes = wrong ? 4 : 8, .size_bytes = 4},
    };
    return use(test, two, 2);
}

static segue_status uses_are_in_order(struct segue_test *test, bool wrong)
{
    const struct segue_constant_use two[] = {
        {.slot = 0, .offset_bytes = wrong ? 8 : 4, .size_bytes = 4},
        {.slot = 0, .offset_bytes = wrong ? 4 : 8, .size_bytes = 4},
    };
    return use(test, two, 2);
}

static segue_status use_lies_in_one_parameter(struct segue_test *test, bool wrong)
{
    const struct segue_constant_use one = {
        .slot = 0, .offset_bytes = wrong ? 2 : 4, .size_bytes = 4};
    return use(test, &one, 1);
}

static segue_status use_lies_in_the_constants(struct segue_test *test, bool wrong)
{
    const struct segue_constant_use one = {
        .slot = 0, .offset_bytes = wrong ? 12 : 8, .size_bytes = 4};
    return use(test, &one, 1);
}

/** Executes a secondary that uses "factor" in a primary that declares one slot. */
static segue_status execute(struct segue_test *test, struct segue_constant_slot of_primary)
{
    const struct segue_constant_use one = {.slot = 0, .offset_bytes = 4, .size_bytes = 4};
    const struct segue_buffer_ref binding = segue_test_whole(pair_buffer(test, "data"));
    struct segue_dispatch dispatch = pair_scale(test, &binding);
    dispatch.constant_uses = &one;
    dispatch.constant_use_count = 1;
    segue_command_buffer *secondary = segue_test_begin_constants(test, 0, slots, 2, 0);
    CHECK_OK(segue_cmd_dispatch(secondary, &dispatch));
    CHECK_OK(segue_command_buffer_end(secondary));
    segue_command_buffer *primary = segue_test_begin_constants(test, 0, &of_primary, 1, 0);
    return pair_record(primary, segue_cmd_execute(primary, secondary, NULL, 0));
}

static segue_status slot_of_a_secondary_is_declared(struct segue_test *test, bool wrong)
{
    return execute(test, (struct segue_constant_slot){wrong ? "other" : "factor", 4});
}

static segue_status slot_of_a_secondary_has_its_size(struct segue_test *test, bool wrong)
{
    return execute(test, (struct segue_constant_slot){"factor", wrong ? 8 : 4});
}

/** Submits what uses "factor" and not "start". */
static segue_status submit(struct segue_test *test, const struct segue_constant_value *values,
                           uint32_t count)
{
    const struct segue_constant_use one = {.slot = 0, .offset_bytes = 4, .size_bytes = 4};
    const struct segue_buffer_ref binding = segue_test_whole(pair_buffer(test, "data"));
    struct segue_dispatch dispatch = pair_scale(test, &binding);
    dispatch.constant_uses = &one;
    dispatch.constant_use_count = 1;
    segue_command_buffer *command_buffer = segue_test_begin_constants(test, 0, slots, 2, 0);
    CHECK_OK(segue_cmd_dispatch(command_buffer, &dispatch));
    CHECK_OK(segue_command_buffer_end(command_buffer));
    const struct segue_execution execution = {
        .command_buffer = command_buffer, .constants = values, .constant_count = count};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    segue_status status = segue_queue_submit(test->queue, &submission);
    return status == SEGUE_OK ? segue_queue_wait_idle(test->queue) : status;
}

static segue_status values_are_one_per_slot(struct segue_test *test, bool wrong)
{
    const struct segue_constant_value values[2] = {{.size_bytes = 4}, {0}};
    return submit(test, values, wrong ? 1 : 2);
}

static segue_status values_are_an_array(struct segue_test *test, bool wrong)
{
    const struct segue_constant_value values[2] = {{.size_bytes = 4}, {0}};
    return submit(test, wrong ? NULL : values, 2);
}

static segue_status used_slots_have_values(struct segue_test *test, bool wrong)
{
    const struct segue_constant_value values[2] = {{.size_bytes = wrong ? 0 : 4},
                                                   {.size_bytes = 8}};
    return submit(test, values, 2);
}

static segue_status values_have_the_size_of_their_slots(struct segue_test *test, bool wrong)
{
    const struct segue_constant_value values[2] = {{.size_bytes = 4},
                                                   {.size_bytes = wrong ? 4 : 8}};
    return submit(test, values, 2);
}

static const struct pair pairs[] = {
    PAIR(are_at_most_1024, OUT_OF_RANGE, "\"odd\"|constant_slot_count is 1025|at most 1024"),
    PAIR(are_an_array, INVALID_ARGUMENT, "\"odd\"|constant_slots is NULL|2"),
    PAIR(have_names, INVALID_ARGUMENT, "constant_slots[1]|name of 0 bytes"),
    PAIR(names_have_at_most_255_bytes, INVALID_ARGUMENT, "constant_slots[0]|256 bytes|1 to 255"),
    PAIR(names_are_plain, INVALID_ARGUMENT, "constant_slots[0]|\"a=b\"|printable ASCII"),
    PAIR(have_4_or_8_bytes, INVALID_ARGUMENT, "constant slot \"a\" has 2 bytes|4 or 8"),
    PAIR(names_differ, INVALID_ARGUMENT, "0 and 2|\"a\"|must differ"),
    PAIR(uses_are_an_array, INVALID_ARGUMENT, "constant_uses is NULL, the count 1"),
    PAIR(used_slot_is_declared, OUT_OF_RANGE, "constant_uses[0]: constant slot 2|declares 2"),
    PAIR(use_has_the_size_of_its_slot, INVALID_ARGUMENT,
         "constant_uses[0] has 8 bytes|\"factor\" has 4"),
    PAIR(uses_do_not_overlap, INVALID_ARGUMENT, "constant_uses[1]|\"factor\"|byte 4|overlap"),
    PAIR(uses_are_in_order, INVALID_ARGUMENT, "constant_uses[1]|\"factor\"|byte 4|in order"),
    PAIR(use_lies_in_one_parameter, OUT_OF_RANGE, "4 bytes at byte 2|one constant parameter"),
    PAIR(use_lies_in_the_constants, OUT_OF_RANGE, "4 bytes at byte 12|one constant parameter"),
    PAIR(slot_of_a_secondary_is_declared, INVALID_ARGUMENT, "\"factor\"|none of that name"),
    PAIR(slot_of_a_secondary_has_its_size, INVALID_ARGUMENT, "has 4 bytes|\"factor\" has 8"),
    PAIR(values_are_one_per_slot, OUT_OF_RANGE, "has 2 constant slots|with 1 constants"),
    PAIR(values_are_an_array, OUT_OF_RANGE, "has 2 constant slots|2 constants at NULL"),
    PAIR(used_slots_have_values, INVALID_ARGUMENT,
         "constants[0] has no value|command 0 uses constant slot \"factor\""),
    PAIR(values_have_the_size_of_their_slots, INVALID_ARGUMENT,
         "constants[1] has 4 bytes|\"start\" has 8"),
};
PAIR_AREA(constants, pairs);
