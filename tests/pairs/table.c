// SPDX-License-Identifier: Apache-2.0
// What submissions bind to slots, against what the commands do with them.
#include "pairs.h"

/** Ends, and submits with these bindings. */
static segue_status submit(struct segue_test *test, segue_command_buffer *command_buffer,
                           const struct segue_buffer_ref *bindings, uint32_t binding_count)
{
    CHECK_OK(segue_command_buffer_end(command_buffer));
    return pair_submit(test, command_buffer, bindings, binding_count);
}

/** A fill of slot 0 with a pattern of 4 bytes, and what is bound. */
static segue_status fill(struct segue_test *test, uint64_t offset_bytes, uint64_t length_bytes,
                         struct segue_buffer_ref binding)
{
    segue_command_buffer *command_buffer = pair_begin(test, 1);
    CHECK_OK(segue_cmd_fill(command_buffer, segue_test_slot(0, offset_bytes, length_bytes), 0, 4));
    return submit(test, command_buffer, &binding, 1);
}

static segue_status offset_lies_in_the_slot(struct segue_test *test, bool wrong)
{
    return fill(test, 16, 0, segue_test_ref(pair_buffer(test, "a"), 0, wrong ? 15 : 16));
}

static segue_status range_ends_in_the_slot(struct segue_test *test, bool wrong)
{
    return fill(test, 8, 8, segue_test_ref(pair_buffer(test, "a"), 0, wrong ? 15 : 16));
}

static segue_status range_ends_in_the_bound_view(struct segue_test *test, bool wrong)
{
    segue_buffer *view = segue_test_view(test, pair_buffer(test, "a"), 256, wrong ? 15 : 16);
    return fill(test, 8, 8, segue_test_whole(view));
}

static segue_status slot_has_the_usage(struct segue_test *test, bool wrong)
{
    segue_buffer *buffer = wrong ? pair_constant(test) : pair_buffer(test, "a");
    return fill(test, 0, 8, segue_test_whole(buffer));
}

static segue_status slot_is_aligned(struct segue_test *test, bool wrong)
{
    return fill(test, 4, 8, segue_test_ref(pair_buffer(test, "a"), wrong ? 2 : 4, 16));
}

static segue_status fill_of_the_rest_is_a_multiple(struct segue_test *test, bool wrong)
{
    return fill(test, 4, SEGUE_WHOLE_SIZE,
                segue_test_ref(pair_buffer(test, "a"), 0, wrong ? 18 : 20));
}

static segue_status fill_of_the_rest_is_not_empty(struct segue_test *test, bool wrong)
{
    return fill(test, 4, SEGUE_WHOLE_SIZE,
                segue_test_ref(pair_buffer(test, "a"), 0, wrong ? 4 : 8));
}

static segue_status update_ends_in_the_slot(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = pair_begin(test, 1);
    CHECK_OK(segue_cmd_update(command_buffer, segue_test_slot(0, 0, 8), "12345678"));
    const struct segue_buffer_ref binding =
        segue_test_ref(pair_buffer(test, "a"), 0, wrong ? 7 : 8);
    return submit(test, command_buffer, &binding, 1);
}

/** A copy from the rest of slot 0, from byte 4 on, to the rest of slot 1. */
static segue_status copy(struct segue_test *test, struct segue_buffer_ref source,
                         struct segue_buffer_ref target)
{
    const struct segue_buffer_ref bindings[] = {source, target};
    segue_command_buffer *command_buffer = pair_begin(test, 2);
    CHECK_OK(segue_cmd_copy(command_buffer, segue_test_slot(0, 4, SEGUE_WHOLE_SIZE),
                            segue_test_slot(1, 0, SEGUE_WHOLE_SIZE)));
    return submit(test, command_buffer, bindings, 2);
}

static segue_status copied_rests_agree(struct segue_test *test, bool wrong)
{
    return copy(test, segue_test_ref(pair_buffer(test, "a"), 0, 20),
                segue_test_ref(pair_buffer(test, "b"), 0, 16 + wrong));
}

static segue_status copied_rests_are_not_empty(struct segue_test *test, bool wrong)
{
    return copy(test, segue_test_ref(pair_buffer(test, "a"), 0, wrong ? 4 : 5),
                segue_test_ref(pair_buffer(test, "b"), 0, wrong ? 0 : 1));
}

static segue_status copied_slots_do_not_overlap(struct segue_test *test, bool wrong)
{
    segue_buffer *a = pair_buffer(test, "a");
    return copy(test, segue_test_ref(a, 0, 20), segue_test_ref(a, wrong ? 19 : 20, 16));
}

static segue_status copy_source_has_the_usage(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_params params = {
        .size_bytes = 20,
        .usage = wrong ? SEGUE_BUFFER_USAGE_TRANSFER_TARGET : SEGUE_BUFFER_USAGE_TRANSFER_SOURCE,
        .label = "limited",
    };
    return copy(test, segue_test_whole(segue_test_buffer_of(test, &params)),
                segue_test_ref(pair_buffer(test, "b"), 0, 16));
}

static segue_status copy_target_has_the_usage(struct segue_test *test, bool wrong)
{
    segue_buffer *target = wrong ? pair_constant(test) : pair_buffer(test, "b");
    return copy(test, segue_test_ref(pair_buffer(test, "a"), 0, 20), segue_test_ref(target, 0, 16));
}

/** SCALE on slot 0. */
static segue_status scale(struct segue_test *test, struct segue_buffer_ref binding)
{
    const struct segue_buffer_ref slot = segue_test_slot(0, 0, SEGUE_WHOLE_SIZE);
    const struct segue_dispatch dispatch = pair_scale(test, &slot);
    segue_command_buffer *command_buffer = pair_begin(test, 1);
    CHECK_OK(segue_cmd_dispatch(command_buffer, &dispatch));
    return submit(test, command_buffer, &binding, 1);
}

static segue_status bound_binding_is_aligned(struct segue_test *test, bool wrong)
{
    return scale(test, segue_test_ref(segue_test_zeros(test, 16), wrong ? 2 : 4, 16));
}

static segue_status bound_binding_has_the_usage(struct segue_test *test, bool wrong)
{
    return scale(test, segue_test_whole(wrong ? pair_constant(test) : segue_test_zeros(test, 16)));
}

static segue_status barrier_ends_in_the_slot(struct segue_test *test, bool wrong)
{
    segue_command_buffer *command_buffer = pair_begin(test, 1);
    segue_test_buffer_barrier(command_buffer, 1, 2, segue_test_slot(0, 8, 8));
    const struct segue_buffer_ref binding =
        segue_test_ref(pair_buffer(test, "a"), 0, wrong ? 15 : 16);
    return submit(test, command_buffer, &binding, 1);
}

/** Fills the whole of slot 0 and copies from the whole of slot 1, which are to be distinct. */
static segue_status use_distinct(struct segue_test *test, const struct segue_buffer_ref *bindings)
{
    segue_command_buffer *command_buffer =
        segue_test_begin_with(test, 2, SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT);
    CHECK_OK(segue_cmd_fill(command_buffer, segue_test_slot(0, 0, SEGUE_WHOLE_SIZE), 0, 4));
    segue_test_barrier(command_buffer);
    CHECK_OK(segue_cmd_copy(command_buffer, segue_test_slot(1, 0, 4),
                            segue_test_ref(pair_buffer(test, "target"), 0, 4)));
    return submit(test, command_buffer, bindings, 2);
}

static segue_status distinct_slots_do_not_overlap(struct segue_test *test, bool wrong)
{
    segue_buffer *a = pair_buffer(test, "a");
    const struct segue_buffer_ref bindings[] = {
        segue_test_ref(a, 0, 16),
        segue_test_ref(segue_test_view(test, a, 0, 64), wrong ? 12 : 16, 8)};
    return use_distinct(test, bindings);
}

/** What two slots only read may be the same. */
static segue_status distinct_slots_that_overlap_are_not_written(struct segue_test *test, bool wrong)
{
    segue_buffer *a = pair_buffer(test, "a");
    const struct segue_buffer_ref source = segue_test_slot(0, 0, 4);
    const struct segue_buffer_ref other = segue_test_ref(pair_buffer(test, "b"), 0, 4);
    segue_command_buffer *command_buffer =
        segue_test_begin_with(test, 2, SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT);
    CHECK_OK(segue_cmd_copy(command_buffer, segue_test_slot(1, 0, 4),
                            segue_test_ref(pair_buffer(test, "target"), 0, 4)));
    segue_test_barrier(command_buffer);
    CHECK_OK(segue_cmd_copy(command_buffer, wrong ? other : source, wrong ? source : other));
    const struct segue_buffer_ref bindings[] = {segue_test_whole(a), segue_test_whole(a)};
    return submit(test, command_buffer, bindings, 2);
}

/** Another table is checked where it differs from the last one. */
static segue_status next_table_fits(struct segue_test *test, bool wrong)
{
    segue_buffer *a = pair_buffer(test, "a");
    segue_command_buffer *command_buffer = pair_begin(test, 2);
    CHECK_OK(segue_cmd_fill(command_buffer, segue_test_slot(0, 0, 4), 0, 4));
    segue_test_barrier(command_buffer);
    CHECK_OK(segue_cmd_fill(command_buffer, segue_test_slot(1, 8, 8), 0, 4));
    CHECK_OK(segue_command_buffer_end(command_buffer));
    struct segue_buffer_ref bindings[] = {segue_test_ref(a, 0, 16), segue_test_ref(a, 16, 16)};
    CHECK_OK(pair_submit(test, command_buffer, bindings, 2));
    bindings[1].length_bytes = wrong ? 15 : 17;
    return pair_submit(test, command_buffer, bindings, 2);
}

static const struct pair pairs[] = {
    PAIR(offset_lies_in_the_slot, OUT_OF_RANGE,
         "command 0 (fill)|offset 16 of slot 0|15 bytes of buffer \"a\""),
    PAIR(range_ends_in_the_slot, OUT_OF_RANGE,
         "command 0 (fill)|8 bytes at offset 8 of slot 0|15 bytes of buffer \"a\""),
    PAIR(range_ends_in_the_bound_view, OUT_OF_RANGE, "8 bytes at offset 8 of slot 0|15 bytes"),
    PAIR(slot_has_the_usage, INVALID_ACCESS,
         "buffer \"constant\" in slot 0|usage 0x5|lacks 0x2|bind one with"),
    PAIR(slot_is_aligned, INVALID_ARGUMENT, "buffer \"a\" in slot 0|byte 6|multiple of 4"),
    PAIR(fill_of_the_rest_is_a_multiple, INVALID_ARGUMENT, "slot 0 leaves 14 bytes|pattern's 4"),
    PAIR(fill_of_the_rest_is_not_empty, OUT_OF_RANGE, "slot 0 leaves no bytes to fill"),
    PAIR(update_ends_in_the_slot, OUT_OF_RANGE, "command 0 (update)|8 bytes at offset 0 of slot 0"),
    PAIR(copied_rests_agree, INVALID_ARGUMENT,
         "command 0 (copy)|source has 16 bytes, the target 17|same length"),
    PAIR(copied_rests_are_not_empty, OUT_OF_RANGE, "command 0 (copy)|0 bytes to copy"),
    PAIR(copied_slots_do_not_overlap, INVALID_ARGUMENT, "overlap|bytes 4 and 19|length 16"),
    PAIR(copy_source_has_the_usage, INVALID_ACCESS, "buffer \"limited\" in slot 0|lacks 0x1"),
    PAIR(copy_target_has_the_usage, INVALID_ACCESS, "buffer \"constant\" in slot 1|lacks 0x2"),
    PAIR(bound_binding_is_aligned, INVALID_ARGUMENT,
         "(dispatch \"test_scale\")|in slot 0|byte 2|multiple of 4"),
    PAIR(bound_binding_has_the_usage, INVALID_ACCESS,
         "(dispatch \"test_scale\")|buffer \"constant\" in slot 0|lacks 0x8"),
    PAIR(distinct_slots_do_not_overlap, INVALID_ARGUMENT,
         "slots 0 and 1 overlap|16 bytes at offset 0 of buffer \"a\"|8 at 12 of|SLOTS_DISTINCT|add "
         "SEGUE_COMMAND_BUFFER_LOWER_ALIASES"),
    PAIR(distinct_slots_that_overlap_are_not_written, INVALID_ARGUMENT,
         "slots 0 and 1 overlap|commands write one of them"),
    PAIR(next_table_fits, OUT_OF_RANGE,
         "command 2 (fill)|8 bytes at offset 8 of slot 1|15 bytes of buffer \"a\"|bind 16 or more"),
    PAIR(barrier_ends_in_the_slot, OUT_OF_RANGE,
         "command 0 (barrier)|8 bytes at offset 8 of slot 0"),
};
PAIR_AREA(table, pairs);
