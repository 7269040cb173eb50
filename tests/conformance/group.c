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
    CHECK_OK(segue_cmd_begin_group(commands, "a"));
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

int segue_conformance_group(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(paths_in_messages),
        segue_test_case(paths_of_commands),
        segue_test_case(order_nothing),
        segue_test_case(unbalanced),
        segue_test_case(depth),
    };
    return cmocka_run_group_tests_name("group", tests, NULL, NULL);
}
