// SPDX-License-Identifier: Apache-2.0
// What a submission must look like.
#include "pairs.h"

static segue_status submit(struct segue_test *test, struct segue_submission submission)
{
    return segue_queue_submit(test->queue, &submission);
}

static segue_status waits_are_an_array(struct segue_test *test, bool wrong)
{
    return submit(test, (struct segue_submission){.wait_count = wrong});
}

static segue_status executions_are_an_array(struct segue_test *test, bool wrong)
{
    return submit(test, (struct segue_submission){.execution_count = wrong});
}

static segue_status signals_are_an_array(struct segue_test *test, bool wrong)
{
    return submit(test, (struct segue_submission){.signal_count = wrong});
}

static segue_status wait(struct segue_test *test, segue_semaphore *semaphore, uint64_t value)
{
    const struct segue_semaphore_value waits[] = {{test->done, 0}, {semaphore, value}};
    return submit(test, (struct segue_submission){.waits = waits, .wait_count = 2});
}

static segue_status awaited_semaphore_is_not_null(struct segue_test *test, bool wrong)
{
    return wait(test, wrong ? NULL : test->done, 0);
}

static segue_status awaited_semaphore_is_of_the_same_device(struct segue_test *test, bool wrong)
{
    const struct pair_other other = pair_other_open();
    segue_status status = wait(test, wrong ? other.semaphore : test->done, 0);
    pair_other_close(&other);
    return status;
}

static segue_status awaited_semaphore_has_not_failed(struct segue_test *test, bool wrong)
{
    segue_semaphore *semaphore = pair_failed_semaphore(test, true, NULL);
    // What it has reached before is good for ever.
    return wait(test, semaphore, wrong ? 1 : 0);
}

static segue_status signal(struct segue_test *test, segue_semaphore *semaphore, uint64_t value)
{
    const struct segue_semaphore_value item = {semaphore, value};
    return submit(test, (struct segue_submission){.signals = &item, .signal_count = 1});
}

static segue_status signalled_semaphore_is_not_null(struct segue_test *test, bool wrong)
{
    return signal(test, wrong ? NULL : segue_test_semaphore(test, 0), 1);
}

static segue_status signalled_semaphore_is_of_the_same_device(struct segue_test *test, bool wrong)
{
    const struct pair_other other = pair_other_open();
    segue_status status = signal(test, wrong ? other.semaphore : segue_test_semaphore(test, 0), 1);
    pair_other_close(&other);
    return status;
}

static segue_status signalled_semaphore_has_not_failed(struct segue_test *test, bool wrong)
{
    return signal(test, pair_failed_semaphore(test, wrong, NULL), 2);
}

static segue_status signals_raise_the_value(struct segue_test *test, bool wrong)
{
    return signal(test, segue_test_semaphore(test, 5), wrong ? 5 : 6);
}

static segue_status signals_rise_within_a_submission(struct segue_test *test, bool wrong)
{
    segue_semaphore *semaphore = segue_test_semaphore(test, 0);
    const struct segue_semaphore_value items[] = {{semaphore, 2}, {semaphore, wrong ? 2 : 3}};
    return submit(test, (struct segue_submission){.signals = items, .signal_count = 2});
}

static segue_status submission_does_not_wait_for_itself(struct segue_test *test, bool wrong)
{
    segue_semaphore *semaphore = segue_test_semaphore(test, 4);
    const struct segue_semaphore_value item = {semaphore, wrong ? 5 : 4};
    const struct segue_semaphore_value raise = {semaphore, 5};
    return submit(test, (struct segue_submission){
                            .waits = &item, .wait_count = 1, .signals = &raise, .signal_count = 1});
}

static segue_status execute(struct segue_test *test, segue_command_buffer *command_buffer,
                            const struct segue_buffer_ref *bindings, uint32_t binding_count)
{
    const struct segue_execution execution = {
        .command_buffer = command_buffer, .bindings = bindings, .binding_count = binding_count};
    return submit(test, (struct segue_submission){.executions = &execution, .execution_count = 1});
}

static segue_command_buffer *ended(struct segue_test *test, uint32_t slot_count, uint32_t flags)
{
    segue_command_buffer *command_buffer = segue_test_begin_with(test, slot_count, flags);
    CHECK_OK(segue_command_buffer_end(command_buffer));
    return command_buffer;
}

static segue_status command_buffer_is_not_null(struct segue_test *test, bool wrong)
{
    return execute(test, wrong ? NULL : ended(test, 0, 0), NULL, 0);
}

static segue_status command_buffer_is_of_the_same_device(struct segue_test *test, bool wrong)
{
    const struct pair_other other = pair_other_open();
    segue_status status = execute(test, wrong ? other.command_buffer : ended(test, 0, 0), NULL, 0);
    pair_other_close(&other);
    return status;
}

static segue_status command_buffer_has_not_failed(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = segue_test_begin(test);
    CHECK_STATUS(segue_cmd_end_group(command_buffer), SEGUE_INVALID_STATE);
    if (!wrong) {
        CHECK_OK(segue_command_buffer_reset(command_buffer));
        CHECK_OK(segue_command_buffer_begin(command_buffer));
        CHECK_OK(segue_command_buffer_end(command_buffer));
    }
    return execute(test, command_buffer, NULL, 0);
}

static segue_status command_buffer_has_ended(struct segue_test *test, bool wrong)
{
    return execute(test, wrong ? segue_test_begin(test) : ended(test, 0, 0), NULL, 0);
}

static segue_status one_shot_runs_once(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer =
        ended(test, 0, wrong ? SEGUE_COMMAND_BUFFER_ONE_SHOT : 0);
    CHECK_OK(execute(test, command_buffer, NULL, 0));
    return execute(test, command_buffer, NULL, 0);
}

static segue_status one_shot_is_in_a_submission_once(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer =
        ended(test, 0, wrong ? SEGUE_COMMAND_BUFFER_ONE_SHOT : 0);
    const struct segue_execution twice[] = {{.command_buffer = command_buffer},
                                            {.command_buffer = command_buffer}};
    return submit(test, (struct segue_submission){.executions = twice, .execution_count = 2});
}

static segue_status bindings_are_one_per_slot(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_ref binding = segue_test_whole(pair_buffer(test, "a"));
    const struct segue_buffer_ref bindings[] = {binding, binding};
    return execute(test, ended(test, 2, 0), bindings, wrong ? 1 : 2);
}

static segue_status bindings_are_an_array(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_ref binding = segue_test_whole(pair_buffer(test, "a"));
    return execute(test, ended(test, 1, 0), wrong ? NULL : &binding, 1);
}

static segue_status bind(struct segue_test *test, struct segue_buffer_ref binding)
{
    return execute(test, ended(test, 1, 0), &binding, 1);
}

static segue_status bound_buffer_is_not_null(struct segue_test *test, bool wrong)
{
    return bind(test, segue_test_whole(wrong ? NULL : pair_buffer(test, "a")));
}

static segue_status bound_buffer_is_of_the_same_device(struct segue_test *test, bool wrong)
{
    const struct pair_other other = pair_other_open();
    segue_status status =
        bind(test, segue_test_whole(wrong ? other.buffer : pair_buffer(test, "ours")));
    pair_other_close(&other);
    return status;
}

static segue_status bound_range_begins_in_its_buffer(struct segue_test *test, bool wrong)
{
    return bind(test, segue_test_ref(pair_buffer(test, "a"), PAIR_BYTES + wrong, SEGUE_WHOLE_SIZE));
}

static segue_status bound_range_ends_in_its_buffer(struct segue_test *test, bool wrong)
{
    return bind(test, segue_test_ref(pair_buffer(test, "a"), 4000, 96 + wrong));
}

static segue_status awaited_events_are_signalled(struct segue_test *test, bool wrong)
{
    segue_event *event = segue_test_event(test);
    segue_command_buffer *signals = segue_test_begin(test);
    CHECK_OK(segue_cmd_signal_event(signals, event));
    CHECK_OK(segue_command_buffer_end(signals));
    segue_command_buffer *waits = segue_test_begin(test);
    CHECK_OK(segue_cmd_wait_event(waits, event));
    CHECK_OK(segue_command_buffer_end(waits));
    if (!wrong)
        CHECK_OK(execute(test, signals, NULL, 0));
    return execute(test, waits, NULL, 0);
}

static segue_status reset_events_are_signalled_again(struct segue_test *test, bool wrong)
{
    segue_event *event = segue_test_event(test);
    segue_command_buffer *signals = segue_test_begin(test);
    CHECK_OK(segue_cmd_signal_event(signals, event));
    if (wrong)
        CHECK_OK(segue_cmd_reset_event(signals, event));
    CHECK_OK(segue_command_buffer_end(signals));
    segue_command_buffer *waits = segue_test_begin(test);
    CHECK_OK(segue_cmd_wait_event(waits, event));
    CHECK_OK(segue_command_buffer_end(waits));
    const struct segue_execution both[] = {{.command_buffer = signals}, {.command_buffer = waits}};
    return submit(test, (struct segue_submission){.executions = both, .execution_count = 2});
}

static const struct pair pairs[] = {
    PAIR(waits_are_an_array, INVALID_ARGUMENT, "submission.waits is NULL"),
    PAIR(executions_are_an_array, INVALID_ARGUMENT, "submission.executions is NULL"),
    PAIR(signals_are_an_array, INVALID_ARGUMENT, "submission.signals is NULL"),
    PAIR(awaited_semaphore_is_not_null, INVALID_ARGUMENT, "waits[1].semaphore is NULL"),
    PAIR(awaited_semaphore_is_of_the_same_device, INVALID_ARGUMENT,
         "waits[1].semaphore belongs to another device"),
    PAIR(awaited_semaphore_has_not_failed, INVALID_STATE, "has reached 0|no further|an event"),
    PAIR(signalled_semaphore_is_not_null, INVALID_ARGUMENT, "signals[0].semaphore is NULL"),
    PAIR(signalled_semaphore_is_of_the_same_device, INVALID_ARGUMENT,
         "signals[0].semaphore belongs to another device"),
    PAIR(signalled_semaphore_has_not_failed, INVALID_STATE, "has reached 0|no further|an event"),
    PAIR(signals_raise_the_value, INVALID_ARGUMENT, "signals[0].value 5 must be above 5"),
    PAIR(signals_rise_within_a_submission, INVALID_ARGUMENT, "signals[1].value 2 must be above 2"),
    PAIR(submission_does_not_wait_for_itself, INVALID_ARGUMENT,
         "waits[0].value 5|signals[0]|same submission"),
    PAIR(command_buffer_is_not_null, INVALID_ARGUMENT, "executions[0].command_buffer is NULL"),
    PAIR(command_buffer_is_of_the_same_device, INVALID_ARGUMENT,
         "command buffer \"theirs\" belongs to another device"),
    PAIR(command_buffer_has_not_failed, INVALID_STATE, "failed, reset it first|no group is open"),
    PAIR(command_buffer_has_ended, INVALID_STATE, "is not ended|segue_command_buffer_end"),
    PAIR(one_shot_runs_once, INVALID_STATE, "one-shot|submitted before|record it again"),
    PAIR(one_shot_is_in_a_submission_once, INVALID_STATE, "one-shot|submitted before"),
    PAIR(bindings_are_one_per_slot, OUT_OF_RANGE, "has 2 slots|with 1 bindings"),
    PAIR(bindings_are_an_array, OUT_OF_RANGE, "has 1 slots|1 bindings at NULL"),
    PAIR(bound_buffer_is_not_null, INVALID_ARGUMENT, "bindings[0].buffer is NULL"),
    PAIR(bound_buffer_is_of_the_same_device, INVALID_ARGUMENT,
         "bindings[0]: buffer \"theirs\" belongs to another device"),
    PAIR(bound_range_begins_in_its_buffer, OUT_OF_RANGE,
         "bindings[0]: offset 4097|buffer \"a\" of 4096"),
    PAIR(bound_range_ends_in_its_buffer, OUT_OF_RANGE,
         "bindings[0]: offset 4000 and length 97|buffer \"a\" of 4096"),
    PAIR(awaited_events_are_signalled, INVALID_STATE, "waits for an event|earlier submission"),
    PAIR(reset_events_are_signalled_again, INVALID_STATE, "waits for an event"),
};
PAIR_AREA(submit, pairs);
