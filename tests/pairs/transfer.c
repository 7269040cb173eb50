// SPDX-License-Identifier: Apache-2.0
// Fills, updates and copies.
#include "pairs.h"

static segue_status fill(struct segue_test *test, struct segue_buffer_ref target,
                         uint32_t pattern_size_bytes)
{
    segue_command_buffer *command_buffer = pair_begin(test, 1);
    return pair_record(command_buffer,
                       segue_cmd_fill(command_buffer, target, 0, pattern_size_bytes));
}

static segue_status pattern_has_1_2_or_4_bytes(struct segue_test *test, bool wrong)
{
    return fill(test, segue_test_ref(pair_buffer(test, "a"), 0, 12), wrong ? 3 : 4);
}

static segue_status fill_is_a_multiple_of_its_pattern(struct segue_test *test, bool wrong)
{
    return fill(test, segue_test_ref(pair_buffer(test, "a"), 0, wrong ? 6 : 8), 4);
}

static segue_status fill_of_a_slot_is_a_multiple_of_its_pattern(struct segue_test *test, bool wrong)
{
    return fill(test, segue_test_slot(0, 0, wrong ? 6 : 8), 4);
}

static segue_status fill_is_aligned_to_its_pattern(struct segue_test *test, bool wrong)
{
    return fill(test, segue_test_ref(pair_buffer(test, "a"), 2, 8), wrong ? 4 : 2);
}

static segue_status fill_is_aligned_in_its_memory(struct segue_test *test, bool wrong)
{
    // The view's offset of 2 counts.
    segue_buffer *view = segue_test_view(test, pair_buffer(test, "a"), 2, 16);
    return fill(test, segue_test_ref(view, wrong ? 0 : 2, 8), 4);
}

static segue_status update(struct segue_test *test, struct segue_buffer_ref target,
                           const void *data)
{
    segue_command_buffer *command_buffer = pair_begin(test, 1);
    return pair_record(command_buffer, segue_cmd_update(command_buffer, target, data));
}

static segue_status update_of_a_slot_has_a_length(struct segue_test *test, bool wrong)
{
    return update(test, segue_test_slot(0, 0, wrong ? SEGUE_WHOLE_SIZE : 4), "data");
}

static segue_status update_has_at_most_65536_bytes(struct segue_test *test, bool wrong)
{
    static const char data[SEGUE_MAX_UPDATE_BYTES + 1];
    segue_buffer *large = segue_test_buffer(test, sizeof(data));
    return update(test, segue_test_ref(large, 0, SEGUE_MAX_UPDATE_BYTES + wrong), data);
}

static segue_status update_needs_data(struct segue_test *test, bool wrong)
{
    return update(test, segue_test_ref(pair_buffer(test, "a"), 0, wrong ? 1 : 0), NULL);
}

static segue_status update_writes_no_constant_memory(struct segue_test *test, bool wrong)
{
    segue_buffer *target = wrong ? pair_constant(test) : pair_buffer(test, "a");
    return update(test, segue_test_ref(target, 0, 4), "data");
}

static segue_status copy(struct segue_test *test, struct segue_buffer_ref source,
                         struct segue_buffer_ref target)
{
    segue_command_buffer *command_buffer = pair_begin(test, 1);
    return pair_record(command_buffer, segue_cmd_copy(command_buffer, source, target));
}

static segue_status copied_lengths_agree(struct segue_test *test, bool wrong)
{
    return copy(test, segue_test_ref(pair_buffer(test, "a"), 0, 8),
                segue_test_ref(pair_buffer(test, "b"), 0, wrong ? 9 : 8));
}

static segue_status copied_rests_agree(struct segue_test *test, bool wrong)
{
    return copy(test, segue_test_ref(pair_buffer(test, "a"), 8, SEGUE_WHOLE_SIZE),
                segue_test_ref(pair_buffer(test, "b"), 8 + wrong, SEGUE_WHOLE_SIZE));
}

static segue_status copied_ranges_do_not_overlap(struct segue_test *test, bool wrong)
{
    segue_buffer *a = pair_buffer(test, "a");
    return copy(test, segue_test_ref(a, 0, 8), segue_test_ref(a, wrong ? 7 : 8, 8));
}

static segue_status copied_views_do_not_overlap(struct segue_test *test, bool wrong)
{
    segue_buffer *a = pair_buffer(test, "a");
    segue_buffer *view = segue_test_view(test, a, 100, 8);
    return copy(test, segue_test_whole(view), segue_test_ref(a, wrong ? 93 : 92, 8));
}

static segue_status copied_parts_of_a_slot_do_not_overlap(struct segue_test *test, bool wrong)
{
    return copy(test, segue_test_slot(0, 8, 8), segue_test_slot(0, wrong ? 1 : 0, 8));
}

static segue_status copy_stays_in_its_source(struct segue_test *test, bool wrong)
{
    return copy(test, segue_test_ref(pair_buffer(test, "a"), 4090, wrong ? 7 : 6),
                segue_test_ref(pair_buffer(test, "b"), 0, SEGUE_WHOLE_SIZE));
}

static segue_status copy_stays_in_its_target(struct segue_test *test, bool wrong)
{
    return copy(test, segue_test_ref(pair_buffer(test, "a"), 0, wrong ? 7 : 6),
                segue_test_ref(pair_buffer(test, "b"), 4090, SEGUE_WHOLE_SIZE));
}

static segue_status copy_writes_no_constant_memory(struct segue_test *test, bool wrong)
{
    segue_buffer *a = pair_buffer(test, "a");
    segue_buffer *constant = pair_constant(test);
    return copy(test, segue_test_whole(wrong ? a : constant),
                segue_test_whole(wrong ? constant : a));
}

static const struct pair pairs[] = {
    PAIR(pattern_has_1_2_or_4_bytes, INVALID_ARGUMENT,
         "command 0 (fill)|pattern_size_bytes is 3|use 1, 2 or 4"),
    PAIR(fill_is_a_multiple_of_its_pattern, INVALID_ARGUMENT,
         "target, buffer \"a\"|length 6|multiple of the pattern's 4"),
    PAIR(fill_of_a_slot_is_a_multiple_of_its_pattern, INVALID_ARGUMENT, "target, slot 0|length 6"),
    PAIR(fill_is_aligned_to_its_pattern, INVALID_ARGUMENT,
         "target, buffer \"a\"|offset 2|multiple of 4"),
    PAIR(fill_is_aligned_in_its_memory, INVALID_ARGUMENT,
         "offset 0|2 in the underlying memory|multiple of 4"),
    PAIR(update_of_a_slot_has_a_length, INVALID_ARGUMENT,
         "command 0 (update)|slot 0|SEGUE_WHOLE_SIZE|size of its data"),
    PAIR(update_has_at_most_65536_bytes, OUT_OF_RANGE, "length 65537|65536|host-visible"),
    PAIR(update_needs_data, INVALID_ARGUMENT, "command 0 (update)|data is NULL, the length 1"),
    PAIR(update_writes_no_constant_memory, INVALID_ACCESS, "target, buffer \"constant\""),
    PAIR(copied_lengths_agree, INVALID_ARGUMENT,
         "command 0 (copy)|source has 8 bytes, the target 9"),
    PAIR(copied_rests_agree, INVALID_ARGUMENT, "4088 bytes, the target 4087"),
    PAIR(copied_ranges_do_not_overlap, INVALID_ARGUMENT,
         "offset 0|offset 7|overlap in the memory of buffer \"a\"|another buffer"),
    PAIR(copied_views_do_not_overlap, INVALID_ARGUMENT, "overlap"),
    PAIR(copied_parts_of_a_slot_do_not_overlap, INVALID_ARGUMENT,
         "overlap in the memory of slot 0"),
    PAIR(copy_stays_in_its_source, OUT_OF_RANGE, "source, buffer \"a\"|at most 6 fit"),
    PAIR(copy_stays_in_its_target, OUT_OF_RANGE, "target, buffer \"b\"|at most 6 fit"),
    PAIR(copy_writes_no_constant_memory, INVALID_ACCESS, "target, buffer \"constant\""),
};
PAIR_AREA(transfer, pairs);
