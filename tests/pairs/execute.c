// SPDX-License-Identifier: Apache-2.0
// Recording a secondary command buffer into a primary one.
#include "pairs.h"

/** An ended secondary of one slot that fills [8, 16) of it. */
static segue_command_buffer *secondary(struct segue_test *test, uint64_t length_bytes)
{
    segue_command_buffer *command_buffer = pair_begin(test, 1);
    CHECK_OK(segue_cmd_fill(command_buffer, segue_test_slot(0, 8, length_bytes), 0, 4));
    CHECK_OK(segue_command_buffer_end(command_buffer));
    return command_buffer;
}

static segue_status execute(struct segue_test *test, segue_command_buffer *command_buffer,
                            const struct segue_buffer_ref *bindings, uint32_t binding_count)
{
    segue_command_buffer *primary = pair_begin(test, 1);
    return pair_record(primary,
                       segue_cmd_execute(primary, command_buffer, bindings, binding_count));
}

static segue_status execute_bound(struct segue_test *test, struct segue_buffer_ref binding)
{
    return execute(test, secondary(test, 8), &binding, 1);
}

/** An ended secondary without slots. */
static segue_command_buffer *empty(struct segue_test *test)
{
    segue_command_buffer *command_buffer = segue_test_begin(test);
    CHECK_OK(segue_command_buffer_end(command_buffer));
    return command_buffer;
}

static segue_status secondary_is_not_null(struct segue_test *test, bool wrong)
{
    return execute(test, wrong ? NULL : empty(test), NULL, 0);
}

static segue_status secondary_is_of_the_same_device(struct segue_test *test, bool wrong)
{
    const struct pair_other other = pair_other_open();
    segue_status status = execute(test, wrong ? other.command_buffer : empty(test), NULL, 0);
    pair_other_close(&other);
    return status;
}

static segue_status secondary_has_ended(struct segue_test *test, bool wrong)
{
    return execute(test, wrong ? segue_test_begin(test) : empty(test), NULL, 0);
}

static segue_status secondary_is_not_the_primary(struct segue_test *test, bool wrong)
{
    segue_command_buffer *primary = segue_test_begin(test);
    return pair_record(primary, segue_cmd_execute(primary, wrong ? primary : empty(test), NULL, 0));
}

static segue_status bindings_are_one_per_slot(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_ref binding = segue_test_whole(pair_buffer(test, "a"));
    const struct segue_buffer_ref bindings[] = {binding, binding};
    return execute(test, secondary(test, 8), bindings, 1 + wrong);
}

static segue_status bindings_are_an_array(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_ref binding = segue_test_whole(pair_buffer(test, "a"));
    return execute(test, secondary(test, 8), wrong ? NULL : &binding, 1);
}

static segue_status bindings_lie_in_their_buffers(struct segue_test *test, bool wrong)
{
    return execute_bound(test, segue_test_ref(pair_buffer(test, "a"), 4000, 96 + wrong));
}

static segue_status slot_holds_what_is_used(struct segue_test *test, bool wrong)
{
    return execute_bound(test, segue_test_ref(pair_buffer(test, "a"), 0, wrong ? 15 : 16));
}

static segue_status slot_holds_the_offset(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_ref binding =
        segue_test_ref(pair_buffer(test, "a"), 0, wrong ? 4 : 8);
    return execute(test, secondary(test, SEGUE_WHOLE_SIZE), &binding, 1);
}

static segue_status slot_of_a_slot_fits_64_bits(struct segue_test *test, bool wrong)
{
    return execute_bound(
        test, segue_test_slot(0, wrong ? UINT64_MAX - 7 : UINT64_MAX - 31, SEGUE_WHOLE_SIZE));
}

static segue_status what_slots_stand_for_has_the_usage(struct segue_test *test, bool wrong)
{
    return execute_bound(test,
                         segue_test_whole(wrong ? pair_constant(test) : pair_buffer(test, "a")));
}

/** Records one command on slot 0, whose first 16 bytes it takes, and executes that with as many
 *  bytes bound, or one too few. */
static segue_status execute_on_16_bytes(struct segue_test *test, bool wrong,
                                        void (*record)(struct segue_test *test,
                                                       segue_command_buffer *command_buffer))
{
    const struct segue_buffer_ref binding =
        segue_test_ref(pair_buffer(test, "a"), 0, wrong ? 15 : 16);
    segue_command_buffer *command_buffer = pair_begin(test, 1);
    record(test, command_buffer);
    CHECK_OK(segue_command_buffer_end(command_buffer));
    return execute(test, command_buffer, &binding, 1);
}

static void record_update(struct segue_test *test, segue_command_buffer *command_buffer)
{
    (void)test;
    CHECK_OK(segue_cmd_update(command_buffer, segue_test_slot(0, 8, 8), "12345678"));
}

static void record_copy_from(struct segue_test *test, segue_command_buffer *command_buffer)
{
    CHECK_OK(segue_cmd_copy(command_buffer, segue_test_slot(0, 8, 8),
                            segue_test_ref(pair_buffer(test, "b"), 0, 8)));
}

static void record_copy_to(struct segue_test *test, segue_command_buffer *command_buffer)
{
    CHECK_OK(segue_cmd_copy(command_buffer, segue_test_ref(pair_buffer(test, "b"), 0, 8),
                            segue_test_slot(0, 8, 8)));
}

static void record_dispatch(struct segue_test *test, segue_command_buffer *command_buffer)
{
    const struct segue_buffer_ref slot = segue_test_slot(0, 8, 8);
    const struct segue_dispatch dispatch = pair_scale(test, &slot);
    CHECK_OK(segue_cmd_dispatch(command_buffer, &dispatch));
}

static void record_barrier(struct segue_test *test, segue_command_buffer *command_buffer)
{
    (void)test;
    segue_test_buffer_barrier(command_buffer, 1, 2, segue_test_slot(0, 8, 8));
}

static segue_status slot_holds_what_is_updated(struct segue_test *test, bool wrong)
{
    return execute_on_16_bytes(test, wrong, record_update);
}

static segue_status slot_holds_what_is_copied_from_it(struct segue_test *test, bool wrong)
{
    return execute_on_16_bytes(test, wrong, record_copy_from);
}

static segue_status slot_holds_what_is_copied_to_it(struct segue_test *test, bool wrong)
{
    return execute_on_16_bytes(test, wrong, record_copy_to);
}

static segue_status slot_holds_what_is_dispatched_on(struct segue_test *test, bool wrong)
{
    return execute_on_16_bytes(test, wrong, record_dispatch);
}

static segue_status slot_holds_what_a_barrier_names(struct segue_test *test, bool wrong)
{
    return execute_on_16_bytes(test, wrong, record_barrier);
}

static const struct pair pairs[] = {
    PAIR(secondary_is_not_null, INVALID_ARGUMENT, "command 0 (execute): secondary is NULL"),
    PAIR(secondary_is_of_the_same_device, INVALID_ARGUMENT,
         "(execute)|command buffer \"theirs\"|another device"),
    PAIR(secondary_has_ended, INVALID_STATE, "(execute)|has not ended well|end it first"),
    PAIR(secondary_is_not_the_primary, INVALID_STATE, "has not ended well"),
    PAIR(bindings_are_one_per_slot, INVALID_ARGUMENT, "2 bindings|has 1 slots|one per slot"),
    PAIR(bindings_are_an_array, INVALID_ARGUMENT, "1 bindings at NULL"),
    PAIR(bindings_lie_in_their_buffers, OUT_OF_RANGE,
         "(execute): binding 0, buffer \"a\"|97 bytes at offset 4000"),
    PAIR(slot_holds_what_is_used, OUT_OF_RANGE,
         "command 0 (fill) of secondary|slot 0|offset 8, length 8|only 15 bytes"),
    PAIR(slot_holds_the_offset, OUT_OF_RANGE, "slot 0|offset 8|only 4 bytes"),
    PAIR(slot_holds_what_is_updated, OUT_OF_RANGE, "command 0 (update) of secondary|15 bytes"),
    PAIR(slot_holds_what_is_copied_from_it, OUT_OF_RANGE, "command 0 (copy) of secondary|15 bytes"),
    PAIR(slot_holds_what_is_copied_to_it, OUT_OF_RANGE, "command 0 (copy) of secondary|15 bytes"),
    PAIR(slot_holds_what_is_dispatched_on, OUT_OF_RANGE, "command 0 (dispatch|15 bytes"),
    PAIR(slot_holds_what_a_barrier_names, OUT_OF_RANGE,
         "command 0 (barrier) of secondary|15 bytes"),
    PAIR(slot_of_a_slot_fits_64_bits, OUT_OF_RANGE, "slot 0|offset 8"),
    PAIR(what_slots_stand_for_has_the_usage, INVALID_ACCESS,
         "of secondary|target, buffer \"constant\""),
};
PAIR_AREA(execute, pairs);
