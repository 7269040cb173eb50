// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"
#include "test.h"

static void commands_are_copied(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 16, 1);
    segue_command_buffer *secondary = segue_test_begin(test);
    segue_test_dispatch_slow(test, secondary, segue_test_whole(data), 16, 2, 1);
    segue_test_barrier(secondary);
    segue_test_dispatch_scale(test, secondary, segue_test_whole(data), 16, 3, 7);
    CHECK_OK(segue_command_buffer_end(secondary));

    segue_command_buffer *primary = segue_test_begin(test);
    segue_test_dispatch_scale(test, primary, segue_test_whole(data), 16, 5, 3);
    segue_test_barrier(primary);
    CHECK_OK(segue_cmd_execute(primary, secondary, NULL, 0));
    segue_test_barrier(primary);
    CHECK_OK(segue_cmd_execute(primary, secondary, NULL, 0));
    segue_test_destroy(test, secondary);
    segue_test_run(test, primary);
    struct segue_command_buffer_stats stats;
    CHECK_OK(segue_command_buffer_get_stats(primary, &stats));
    assert_int_equal(stats.command_count, 3 + 3 + 3);
    assert_int_equal(stats.work_count, 5);
    for (uint32_t i = 0; i < 16; ++i) {
        uint32_t word = segue_test_word(1, i) * 5 + 3;
        for (int k = 0; k < 2; ++k)
            word = (word * 2 + 1) * 3 + 7;
        segue_test_expect_all(data, i, 1, word);
    }
}

static void no_barrier_is_added(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_buffer(test, 16);
    segue_command_buffer *secondary = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(secondary, segue_test_whole(data), 1, 4));
    CHECK_OK(segue_command_buffer_end(secondary));
    segue_command_buffer *primary = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(primary, segue_test_whole(data), 2, 4));
    CHECK_OK(segue_cmd_execute(primary, secondary, NULL, 0));
    CHECK_ERROR(segue_command_buffer_end(primary), SEGUE_HAZARD, "command 1");
}

static void slots_are_bound(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 32, 1);
    segue_command_buffer *secondary = segue_test_begin_with(test, 1, 0);
    CHECK_OK(segue_cmd_begin_group(secondary, "inner"));
    segue_test_dispatch_scale(test, secondary, segue_test_slot(0, 16, SEGUE_WHOLE_SIZE), 4, 3, 1);
    CHECK_OK(segue_cmd_end_group(secondary));
    CHECK_OK(segue_command_buffer_end(secondary));

    segue_command_buffer *primary = segue_test_begin(test);
    struct segue_buffer_ref binding = segue_test_ref(data, 0, 32);
    CHECK_OK(segue_cmd_execute(primary, secondary, &binding, 1));
    binding = segue_test_ref(data, 64, 32);
    CHECK_OK(segue_cmd_execute(primary, secondary, &binding, 1));
    segue_test_run(test, primary);
    for (uint32_t i = 0; i < 32; ++i) {
        bool touched = (i >= 4 && i < 8) || (i >= 20 && i < 24);
        segue_test_expect_all(data, i, 1, segue_test_word(1, i) * (touched ? 3 : 1) + touched);
    }
}

static void slots_of_the_primary(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 32, 1);
    segue_command_buffer *secondary = segue_test_begin_with(test, 1, 0);
    segue_test_dispatch_scale(test, secondary, segue_test_slot(0, 4, 8), 2, 3, 1);
    CHECK_OK(segue_command_buffer_end(secondary));
    segue_command_buffer *primary = segue_test_begin_with(test, 2, 0);
    const struct segue_buffer_ref binding = segue_test_slot(1, 8, 16);
    CHECK_OK(segue_cmd_execute(primary, secondary, &binding, 1));
    CHECK_OK(segue_command_buffer_end(primary));
    const struct segue_buffer_ref table[] = {segue_test_whole(data), segue_test_ref(data, 16, 32)};
    segue_test_wait(test, segue_test_submit_with(test, primary, table, 2));
    for (uint32_t i = 0; i < 32; ++i) {
        bool touched = i == 7 || i == 8;
        segue_test_expect_all(data, i, 1, segue_test_word(1, i) * (touched ? 3 : 1) + touched);
    }
}

static void nested(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *inner = segue_test_begin(test);
    segue_test_dispatch_slow(test, inner, segue_test_whole(data), 8, 2, 1);
    CHECK_OK(segue_command_buffer_end(inner));
    segue_command_buffer *outer = segue_test_begin(test);
    CHECK_OK(segue_cmd_execute(outer, inner, NULL, 0));
    segue_test_barrier(outer);
    CHECK_OK(segue_cmd_execute(outer, inner, NULL, 0));
    CHECK_OK(segue_command_buffer_end(outer));
    CHECK_OK(segue_command_buffer_reset(inner));
    segue_command_buffer *primary = segue_test_begin(test);
    CHECK_OK(segue_cmd_execute(primary, outer, NULL, 0));
    segue_test_run(test, primary);
    for (uint32_t i = 0; i < 8; ++i)
        segue_test_expect_all(data, i, 1, (segue_test_word(1, i) * 2 + 1) * 2 + 1);
}

static void inline_data_and_events(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_zeros(test, 8);
    segue_event *event = segue_test_event(test);
    segue_command_buffer *secondary = segue_test_begin(test);
    CHECK_OK(segue_cmd_update(secondary, segue_test_ref(data, 0, 4), "abcd"));
    CHECK_OK(segue_cmd_signal_event(secondary, event));
    CHECK_OK(segue_cmd_wait_event(secondary, event));
    CHECK_OK(segue_cmd_copy(secondary, segue_test_ref(data, 0, 4), segue_test_ref(data, 8, 4)));
    CHECK_OK(segue_command_buffer_end(secondary));
    segue_command_buffer *primary = segue_test_begin(test);
    CHECK_OK(segue_cmd_update(primary, segue_test_ref(data, 16, 3), "xyz"));
    CHECK_OK(segue_cmd_execute(primary, secondary, NULL, 0));
    segue_test_destroy(test, secondary);
    segue_test_run(test, primary);
    char actual[32];
    CHECK_OK(segue_buffer_read(data, 0, actual, sizeof(actual)));
    assert_memory_equal(actual, "abcd\0\0\0\0abcd\0\0\0\0xyz\0", 20);
}

static void expect_failure(struct segue_test *test, segue_command_buffer *secondary,
                           const struct segue_buffer_ref *bindings, uint32_t count,
                           segue_status expected, const char *text)
{
    segue_command_buffer *primary = segue_test_begin(test);
    CHECK_ERROR(segue_cmd_execute(primary, secondary, bindings, count), expected, text);
    CHECK_STATUS(segue_command_buffer_end(primary), expected);
    segue_test_destroy(test, primary);
}

static void bad_arguments(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_buffer(test, 16);
    segue_command_buffer *recording = segue_test_begin(test);
    expect_failure(test, NULL, NULL, 0, SEGUE_INVALID_ARGUMENT, "");
    expect_failure(test, recording, NULL, 0, SEGUE_INVALID_STATE, "");
    CHECK_STATUS(segue_cmd_execute(recording, recording, NULL, 0), SEGUE_INVALID_STATE);

    segue_command_buffer *slots = segue_test_begin_with(test, 1, 0);
    CHECK_OK(segue_cmd_fill(slots, segue_test_slot(0, 0, 16), 1, 4));
    CHECK_OK(segue_command_buffer_end(slots));
    struct segue_buffer_ref bindings[] = {segue_test_whole(data), segue_test_whole(data)};
    expect_failure(test, slots, NULL, 0, SEGUE_INVALID_ARGUMENT, "1");
    expect_failure(test, slots, bindings, 2, SEGUE_INVALID_ARGUMENT, "2");
    bindings[0] = segue_test_ref(data, 8, 8);
    expect_failure(test, slots, bindings, 1, SEGUE_OUT_OF_RANGE, "");
    bindings[0] = segue_test_slot(0, 0, 16);
    expect_failure(test, slots, bindings, 1, SEGUE_OUT_OF_RANGE, "slot");
}

static void empty_and_barriers_at_its_ends(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_command_buffer *empty = segue_test_begin(test);
    CHECK_OK(segue_command_buffer_end(empty));
    segue_command_buffer *bounded = segue_test_begin(test);
    segue_test_barrier(bounded);
    segue_test_dispatch_slow(test, bounded, segue_test_whole(data), 8, 2, 1);
    segue_test_barrier(bounded);
    CHECK_OK(segue_command_buffer_end(bounded));
    segue_command_buffer *primary = segue_test_begin(test);
    CHECK_OK(segue_cmd_execute(primary, empty, NULL, 0));
    segue_test_dispatch_scale(test, primary, segue_test_whole(data), 8, 3, 7);
    CHECK_OK(segue_cmd_execute(primary, bounded, NULL, 0));
    CHECK_OK(segue_cmd_execute(primary, empty, NULL, 0));
    CHECK_OK(segue_cmd_execute(primary, bounded, NULL, 0));
    segue_test_dispatch_scale(test, primary, segue_test_whole(data), 8, 5, 3);
    segue_test_run(test, primary);
    for (uint32_t i = 0; i < 8; ++i) {
        uint32_t word = segue_test_word(1, i) * 3 + 7;
        segue_test_expect_all(data, i, 1, ((word * 2 + 1) * 2 + 1) * 5 + 3);
    }
}

static void groups_are_taken_along(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_buffer(test, 16);
    segue_command_buffer *secondary = segue_test_begin(test);
    CHECK_OK(segue_cmd_begin_group(secondary, "inner"));
    CHECK_OK(segue_cmd_fill(secondary, segue_test_whole(data), 1, 4));
    CHECK_OK(segue_cmd_end_group(secondary));
    CHECK_OK(segue_command_buffer_end(secondary));
    segue_command_buffer *primary = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(primary, segue_test_whole(data), 2, 4));
    CHECK_OK(segue_cmd_begin_group(primary, "outer"));
    CHECK_OK(segue_cmd_execute(primary, secondary, NULL, 0));
    CHECK_OK(segue_cmd_end_group(primary));
    CHECK_ERROR(segue_command_buffer_end(primary), SEGUE_HAZARD, "outer/inner");
}

static const struct CMUnitTest tests[] = {
    segue_test_case(commands_are_copied),
    segue_test_case(no_barrier_is_added),
    segue_test_case(slots_are_bound),
    segue_test_case(slots_of_the_primary),
    segue_test_case(nested),
    segue_test_case(inline_data_and_events),
    segue_test_case(bad_arguments),
    segue_test_case(empty_and_barriers_at_its_ends),
    segue_test_case(groups_are_taken_along),
};

const struct segue_conformance_area segue_conformance_secondary = {
    "secondary", tests, sizeof(tests) / sizeof(tests[0])};
