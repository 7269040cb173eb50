// SPDX-License-Identifier: Apache-2.0
// The life of a command buffer: created, recording, ended, failed, reset.
#include "pairs.h"

static segue_status create(struct segue_test *test,
                           const struct segue_command_buffer_params *params)
{
    segue_command_buffer *command_buffer = NULL;
    segue_status status = segue_command_buffer_create(test->device, params, &command_buffer);
    segue_command_buffer_destroy(command_buffer);
    return status;
}

static segue_status create_needs_a_device(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = NULL;
    segue_status status =
        segue_command_buffer_create(wrong ? NULL : test->device, NULL, &command_buffer);
    segue_command_buffer_destroy(command_buffer);
    return status;
}

static segue_status mode_is_known(struct segue_test *test, bool wrong)
{
    const struct segue_command_buffer_params params = {
        .mode = (enum segue_execution_mode)(SEGUE_EXECUTION_STREAM + wrong), .label = "odd"};
    return create(test, &params);
}

static segue_status flags_are_known(struct segue_test *test, bool wrong)
{
    const struct segue_command_buffer_params params = {.flags = wrong ? 127 : 63, .label = "odd"};
    return create(test, &params);
}

static segue_status lowering_aliases_needs_distinct_slots(struct segue_test *test, bool wrong)
{
    const struct segue_command_buffer_params params = {
        .flags =
            SEGUE_COMMAND_BUFFER_LOWER_ALIASES | (wrong ? 0 : SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT),
        .label = "odd",
    };
    return create(test, &params);
}

static segue_status slots_are_at_most_65536(struct segue_test *test, bool wrong)
{
    const struct segue_command_buffer_params params = {.slot_count = 65536 + wrong, .label = "odd"};
    return create(test, &params);
}

/** A new command buffer, labelled. */
static segue_command_buffer *make(struct segue_test *test)
{
    const struct segue_command_buffer_params params = {.mode = test->mode, .label = "decode"};
    segue_command_buffer *command_buffer = NULL;
    CHECK_OK(segue_command_buffer_create(test->device, &params, &command_buffer));
    return command_buffer;
}

static segue_status begin_needs_a_command_buffer(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = make(test);
    segue_status status = segue_command_buffer_begin(wrong ? NULL : command_buffer);
    segue_command_buffer_destroy(command_buffer);
    return status;
}

static segue_status begins_once(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = make(test);
    segue_status status = segue_command_buffer_begin(command_buffer);
    if (wrong)
        status = segue_command_buffer_begin(command_buffer);
    segue_command_buffer_destroy(command_buffer);
    return status;
}

static segue_status ended_begins_after_a_reset(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = make(test);
    CHECK_OK(segue_command_buffer_begin(command_buffer));
    CHECK_OK(segue_command_buffer_end(command_buffer));
    if (!wrong)
        CHECK_OK(segue_command_buffer_reset(command_buffer));
    segue_status status = segue_command_buffer_begin(command_buffer);
    segue_command_buffer_destroy(command_buffer);
    return status;
}

static segue_status failed_begins_after_a_reset(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = make(test);
    CHECK_OK(segue_command_buffer_begin(command_buffer));
    CHECK_STATUS(segue_cmd_end_group(command_buffer), SEGUE_INVALID_STATE);
    if (!wrong)
        CHECK_OK(segue_command_buffer_reset(command_buffer));
    segue_status status = segue_command_buffer_begin(command_buffer);
    segue_command_buffer_destroy(command_buffer);
    return status;
}

static segue_status reset_needs_a_command_buffer(struct segue_test *test, bool wrong)
{
    return segue_command_buffer_reset(wrong ? NULL : segue_test_begin(test));
}

static segue_status commands_need_a_command_buffer(struct segue_test *test, bool wrong)
{
    return segue_cmd_barrier(wrong ? NULL : segue_test_begin(test), NULL);
}

static segue_status commands_come_after_begin(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = make(test);
    if (!wrong)
        CHECK_OK(segue_command_buffer_begin(command_buffer));
    segue_status status = segue_cmd_barrier(command_buffer, NULL);
    segue_command_buffer_destroy(command_buffer);
    return status;
}

static segue_status commands_come_before_end(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = make(test);
    CHECK_OK(segue_command_buffer_begin(command_buffer));
    if (wrong)
        CHECK_OK(segue_command_buffer_end(command_buffer));
    segue_status status = segue_cmd_barrier(command_buffer, NULL);
    segue_command_buffer_destroy(command_buffer);
    return status;
}

static segue_status ends_once(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = make(test);
    CHECK_OK(segue_command_buffer_begin(command_buffer));
    segue_status status = segue_command_buffer_end(command_buffer);
    if (wrong)
        status = segue_command_buffer_end(command_buffer);
    segue_command_buffer_destroy(command_buffer);
    return status;
}

static segue_status first_failure_stays_until_a_reset(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = segue_test_begin(test);
    CHECK_STATUS(segue_cmd_begin_group(command_buffer, NULL), SEGUE_INVALID_ARGUMENT);
    if (!wrong) {
        CHECK_OK(segue_command_buffer_reset(command_buffer));
        CHECK_OK(segue_command_buffer_begin(command_buffer));
    }
    return pair_record(command_buffer, segue_cmd_barrier(command_buffer, NULL));
}

static segue_status groups_are_closed_at_the_end(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = segue_test_begin(test);
    CHECK_OK(segue_cmd_begin_group(command_buffer, "layer0"));
    CHECK_OK(segue_cmd_begin_group(command_buffer, "mlp"));
    CHECK_OK(segue_cmd_end_group(command_buffer));
    if (!wrong)
        CHECK_OK(segue_cmd_end_group(command_buffer));
    return segue_command_buffer_end(command_buffer);
}

static const struct pair pairs[] = {
    PAIR(create_needs_a_device, INVALID_ARGUMENT, "segue_command_buffer_create: device"),
    PAIR(mode_is_known, INVALID_ARGUMENT, "\"odd\"|mode is 3|segue_execution_mode"),
    PAIR(flags_are_known, INVALID_ARGUMENT, "\"odd\"|flags 0x7f|segue_command_buffer_flags"),
    PAIR(lowering_aliases_needs_distinct_slots, INVALID_ARGUMENT,
         "\"odd\"|SEGUE_COMMAND_BUFFER_LOWER_ALIASES|add SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT"),
    PAIR(slots_are_at_most_65536, OUT_OF_RANGE, "\"odd\"|slot_count is 65537|at most 65536"),
    PAIR(begin_needs_a_command_buffer, INVALID_ARGUMENT, "segue_command_buffer_begin|NULL"),
    PAIR(begins_once, INVALID_STATE, "\"decode\" is recording already|reset"),
    PAIR(ended_begins_after_a_reset, INVALID_STATE, "\"decode\" has ended|reset"),
    PAIR(failed_begins_after_a_reset, INVALID_STATE, "\"decode\" has failed|reset"),
    PAIR(reset_needs_a_command_buffer, INVALID_ARGUMENT, "segue_command_buffer_reset|NULL"),
    PAIR(commands_need_a_command_buffer, INVALID_ARGUMENT, "the command buffer is NULL"),
    PAIR(commands_come_after_begin, INVALID_STATE,
         "\"decode\" has not begun|segue_command_buffer_begin"),
    PAIR(commands_come_before_end, INVALID_STATE,
         "\"decode\" has ended|segue_command_buffer_reset"),
    PAIR(ends_once, INVALID_STATE, "\"decode\" has ended"),
    PAIR(first_failure_stays_until_a_reset, INVALID_ARGUMENT, "command 0 (begin group)|label"),
    PAIR(groups_are_closed_at_the_end, INVALID_STATE,
         "1 open debug groups|\"layer0\"|segue_cmd_end_group"),
};
PAIR_AREA(command_buffer, pairs);
