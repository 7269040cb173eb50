// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"
#include "test.h"

#include <stdio.h>

static void paths_in_messages(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer(test, 16);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_begin_group(commands, "layer7"));
    CHECK_OK(segue_cmd_begin_group(commands, "mlp"));
    CHECK_ERROR(segue_cmd_fill(commands, segue_test_ref(buffer, 0, 17), 0, 1), SEGUE_OUT_OF_RANGE,
                "layer7/mlp");
    assert_non_null(strstr(segue_last_error()->message, "command 2"));
    CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_OUT_OF_RANGE, "layer7/mlp");
}

static bool print_path(void *context, const struct segue_command_info *command)
{
    char *text = context;
    snprintf(text + strlen(text), 512 - strlen(text), "%u:%s ", (unsigned)command->index,
             command->group_path);
    return true;
}

static void paths_of_commands(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer(test, 16);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffer, 0, 4), 0, 1));
    char label[] = "a";
    CHECK_OK(segue_cmd_begin_group(commands, label));
    label[0] = 'X';
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffer, 4, 4), 0, 1));
    CHECK_OK(segue_cmd_begin_group(commands, "b"));
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffer, 8, 4), 0, 1));
    CHECK_OK(segue_cmd_end_group(commands));
    CHECK_OK(segue_cmd_end_group(commands));
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffer, 12, 4), 0, 1));
    segue_test_run(test, commands);
    char text[512] = "";
    CHECK_OK(segue_command_buffer_visit(commands, print_path, text));
    // The path of a begin and an end is that of the group itself or of its parent; only work is
    // pinned here.
    assert_non_null(strstr(text, "0: "));
    assert_non_null(strstr(text, "2:a "));
    assert_non_null(strstr(text, "4:a/b "));
    assert_non_null(strstr(text, "7: "));
}

static void order_nothing(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer(test, 16);
    segue_command_buffer *commands = segue_test_begin(test);
    for (int i = 0; i < 2; ++i) {
        CHECK_OK(segue_cmd_begin_group(commands, "g"));
        CHECK_OK(segue_cmd_fill(commands, segue_test_whole(buffer), 0, 4));
        CHECK_OK(segue_cmd_end_group(commands));
    }
    CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_HAZARD, "\"g\"");
}

static void unbalanced(void **state)
{
    struct segue_test *test = *state;
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_ERROR(segue_cmd_end_group(commands), SEGUE_INVALID_STATE, "group");
    CHECK_STATUS(segue_command_buffer_end(commands), SEGUE_INVALID_STATE);
    commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_begin_group(commands, "left open"));
    CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_INVALID_STATE, "left open");
}

static void depth(void **state)
{
    struct segue_test *test = *state;
    segue_command_buffer *commands = segue_test_begin(test);
    for (int i = 0; i < 64; ++i)
        CHECK_OK(segue_cmd_begin_group(commands, "deep"));
    for (int i = 0; i < 64; ++i)
        CHECK_OK(segue_cmd_end_group(commands));
    segue_test_run(test, commands);
    commands = segue_test_begin(test);
    for (int i = 0; i < 64; ++i)
        CHECK_OK(segue_cmd_begin_group(commands, "deep"));
    CHECK_ERROR(segue_cmd_begin_group(commands, "deep"), SEGUE_OUT_OF_RANGE, "64");
}

/** Three dependent steps, with or without groups around and across the barriers. */
static uint32_t run_steps(struct segue_test *test, bool grouped)
{
    segue_buffer *data = segue_test_words(test, 4, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t step = 0; step < 3; ++step) {
        if (grouped)
            CHECK_OK(segue_cmd_begin_group(commands, "step"));
        if (step > 0)
            segue_test_barrier(commands);
        if (grouped)
            CHECK_OK(segue_cmd_begin_group(commands, ""));
        segue_test_dispatch_slow(test, commands, segue_test_whole(data), 4, 3, step);
        if (grouped) {
            CHECK_OK(segue_cmd_end_group(commands));
            CHECK_OK(segue_cmd_end_group(commands));
        }
    }
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 4; ++i)
        segue_test_expect_all(data, i, 1, ((segue_test_word(1, i) * 3) * 3 + 1) * 3 + 2);
    struct segue_graph_view view;
    CHECK_OK(segue_command_buffer_get_graph(commands, SEGUE_GRAPH_STAGE_DAG, &view));
    return view.node_count * 1000 + view.edge_count;
}

static void change_no_order(void **state)
{
    struct segue_test *test = *state;
    uint32_t plain = run_steps(test, false);
    assert_int_equal(run_steps(test, true), plain);
}

static const struct CMUnitTest tests[] = {
    segue_test_case(paths_in_messages),
    segue_test_case(paths_of_commands),
    segue_test_case(order_nothing),
    segue_test_case(unbalanced),
    segue_test_case(depth),
    segue_test_case(change_no_order),
};

const struct segue_conformance_area segue_conformance_group = {"group", tests,
                                                               sizeof(tests) / sizeof(tests[0])};
