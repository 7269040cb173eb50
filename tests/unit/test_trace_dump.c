// SPDX-License-Identifier: Apache-2.0
// Dumps: the exact text of a small command buffer in every stage and format.
#include "test.h"
#include "trace/error.h"

#include <segue/trace.h>

#include <jansson.h>

/** Records one command of each kind. */
static segue_command_buffer *record(struct segue_test *test, segue_buffer *buffers[2])
{
    const struct segue_command_buffer_params params = {
        .mode = SEGUE_EXECUTION_GRAPH, .slot_count = 0, .label = "all \"kinds\""};
    const struct segue_buffer_params labelled = {1024, 0, 0, "x"};
    const struct segue_buffer_params unlabelled = {1024, 0, 0, NULL};
    segue_command_buffer *commands = NULL;
    buffers[0] = segue_test_buffer_of(test, &labelled);
    buffers[1] = segue_test_buffer_of(test, &unlabelled);
    segue_event *event = segue_test_event(test);
    CHECK_OK(segue_command_buffer_create(test->device, &params, &commands));
    CHECK_OK(segue_command_buffer_begin(commands));
    CHECK_OK(segue_cmd_begin_group(commands, "a"));
    CHECK_OK(segue_cmd_begin_group(commands, "b\\"));
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffers[0], 0, 64), 0x1234, 2));
    CHECK_OK(segue_cmd_update(commands, segue_test_ref(buffers[0], 64, 4), "\1\2\3\4"));
    CHECK_OK(segue_cmd_end_group(commands));
    CHECK_OK(segue_cmd_signal_event(commands, event));
    CHECK_OK(segue_cmd_wait_event(commands, event));
    CHECK_OK(segue_cmd_copy(commands, segue_test_ref(buffers[0], 0, 128),
                            segue_test_ref(buffers[1], 256, 128)));
    CHECK_OK(segue_cmd_end_group(commands));
    segue_test_memory_barrier(commands, SEGUE_ACCESS_MASK_TRANSFER_WRITE, SEGUE_ACCESS_MASK_ALL);
    segue_test_buffer_barrier(commands,
                              SEGUE_ACCESS_MASK_TRANSFER_READ | SEGUE_ACCESS_MASK_DISPATCH_READ,
                              SEGUE_ACCESS_MASK_DISPATCH_WRITE, segue_test_ref(buffers[0], 16, 32));
    segue_test_barrier(commands);
    segue_test_dispatch_scale(test, commands, segue_test_ref(buffers[1], 256, 128), 32, 2, 1);
    CHECK_OK(segue_cmd_reset_event(commands, event));
    const struct segue_memory_barrier memory = {SEGUE_ACCESS_MASK_DISPATCH_WRITE,
                                                SEGUE_ACCESS_MASK_TRANSFER_READ};
    const struct segue_barrier both = {
        .flags = SEGUE_BARRIER_EXECUTION, .memory_barriers = &memory, .memory_barrier_count = 1};
    CHECK_OK(segue_cmd_barrier(commands, &both));
    CHECK_OK(segue_command_buffer_end(commands));
    return commands;
}

static void check_dump(segue_command_buffer *commands, enum segue_dump_stage stage,
                       enum segue_dump_format format, const char *expected)
{
    char *text = NULL;
    CHECK_OK(segue_dump_command_buffer(commands, stage, format, &text));
    assert_string_equal(text, expected);
    segue_dump_free(text);
}

static void prints_segments(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffers[2];
    segue_command_buffer *commands = record(test, buffers);
    check_dump(
        commands, SEGUE_DUMP_SEGMENTS, SEGUE_DUMP_TEXT,
        "command buffer \"all \"kinds\"\": 15 commands, 4 of them work, graph mode\n"
        "  index  command       what\n"
        "      0  begin_group   a\n"
        "      1  begin_group   b\\  in a\n"
        "      2  fill          x[0+64] pattern 0x1234  in a/b\\\n"
        "      3  update        x[64+4]  in a/b\\\n"
        "      4  end_group  in a\n"
        "      5  signal_event  event0  in a\n"
        "      6  wait_event    event0  in a\n"
        "      7  copy          x[0+128] -> buffer0[256+128]  in a\n"
        "      8  end_group\n"
        "      9  barrier       transfer_write -> all\n"
        "     10  barrier       x[16+32] transfer_read|dispatch_read -> dispatch_write\n"
        "     11  barrier       execution\n"
        "     12  dispatch      test_scale(buffer0[256+128]; 12 bytes of constants) grid 1x1x1 "
        "block 64x1x1\n"
        "     13  reset_event   event0\n"
        "     14  barrier       execution, dispatch_write -> transfer_read\n");
    char *text = NULL;
    CHECK_OK(segue_dump_command_buffer(commands, SEGUE_DUMP_SEGMENTS, SEGUE_DUMP_JSON, &text));
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    json_t *expected = json_loads(
        "[{\"index\": 2, \"group\": \"a/b\\\\\", \"op\": \"fill\", \"target\": {\"buffer\": \"x\", "
        "\"length\": 64}, \"pattern\": 4660, \"pattern_size\": 2},"
        "{\"index\": 7, \"group\": \"a\", \"op\": \"copy\", \"source\": {\"buffer\": \"x\", "
        "\"length\": 128}, \"target\": {\"buffer\": \"buffer0\", \"offset\": 256, \"length\": "
        "128}},"
        "{\"index\": 3, \"group\": \"a/b\\\\\", \"op\": \"update\", \"target\": {\"buffer\": "
        "\"x\", \"offset\": 64, \"length\": 4}, \"hex\": \"01020304\"},"
        "{\"index\": 10, \"group\": \"\", \"op\": \"barrier\", \"buffers\": [{\"source\": "
        "[\"transfer_read\", \"dispatch_read\"], \"target\": [\"dispatch_write\"], \"range\": "
        "{\"buffer\": \"x\", \"offset\": 16, \"length\": 32}}]},"
        "{\"index\": 12, \"group\": \"\", \"op\": \"dispatch\", \"executable\": \"EXECUTABLE\", "
        "\"entry\": \"test_scale\", \"grid\": [1, 1, 1], \"bindings\": [{\"buffer\": \"buffer0\", "
        "\"offset\": 256, \"length\": 128}], \"constants\": \"200000000200000001000000\"},"
        "{\"index\": 14, \"group\": \"\", \"op\": \"barrier\", \"execution\": true, \"memory\": "
        "[{\"source\": [\"dispatch_write\"], \"target\": [\"transfer_read\"]}]}]",
        0, NULL);
    json_t *list = json_object_get(root, "commands");
    assert_int_equal(json_array_size(list), 15);
    size_t i;
    json_t *command;
    json_array_foreach(expected, i, command)
    {
        json_t *actual =
            json_array_get(list, (size_t)json_integer_value(json_object_get(command, "index")));
        // What the test kernels are called is not this test's business.
        if (json_object_get(command, "executable") != NULL)
            json_object_set(command, "executable", json_object_get(actual, "executable"));
        assert_true(json_equal(actual, command));
    }
    json_decref(root);
    json_decref(expected);
    segue_dump_free(text);
    CHECK_ERROR(segue_dump_command_buffer(commands, SEGUE_DUMP_SEGMENTS, SEGUE_DUMP_DOT, &text),
                SEGUE_INVALID_ARGUMENT, "DOT");
    segue_command_buffer_destroy(commands);
}

static void prints_graphs(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffers[2];
    segue_command_buffer *commands = record(test, buffers);
    check_dump(commands, SEGUE_DUMP_DAG, SEGUE_DUMP_TEXT,
               "dag of command buffer \"all \"kinds\"\": 4 nodes, 3 edges\n"
               "   node  command  type         label        after\n"
               "      0        2  memset       a/b\\/fill    -\n"
               "      1        3  memcpy       a/b\\/update  -\n"
               "      2        7  memcpy       a/copy       0 1\n"
               "      3       12  kernel       test_scale   2\n");
    check_dump(commands, SEGUE_DUMP_DAG, SEGUE_DUMP_JSON,
               "{\"nodes\": [\n"
               "  {\"id\": 0, \"command\": 2, \"type\": \"memset\", \"label\": \"a/b\\\\/fill\"},\n"
               "  {\"id\": 1, \"command\": 3, \"type\": \"memcpy\", \"label\": \"a/b\\\\/update\"},"
               "\n"
               "  {\"id\": 2, \"command\": 7, \"type\": \"memcpy\", \"label\": \"a/copy\"},\n"
               "  {\"id\": 3, \"command\": 12, \"type\": \"kernel\", \"label\": \"test_scale\"}\n"
               "], \"edges\": [\n"
               "  {\"from\": 0, \"to\": 2, \"type\": \"full\"},\n"
               "  {\"from\": 1, \"to\": 2, \"type\": \"full\"},\n"
               "  {\"from\": 2, \"to\": 3, \"type\": \"full\"}\n"
               "]}\n");
    check_dump(commands, SEGUE_DUMP_DAG, SEGUE_DUMP_DOT,
               "digraph \"all \\\"kinds\\\"\" {\n"
               "  node [shape=box, fontname=\"monospace\"];\n"
               "  n0 [label=\"a/b\\\\/fill\", style=dashed, tooltip=\"memset\"];\n"
               "  n1 [label=\"a/b\\\\/update\", style=dashed, tooltip=\"memcpy\"];\n"
               "  n2 [label=\"a/copy\", style=dashed, tooltip=\"memcpy\"];\n"
               "  n3 [label=\"test_scale\"];\n"
               "  n0 -> n2;\n"
               "  n1 -> n2;\n"
               "  n2 -> n3;\n"
               "}\n");
    char *text = NULL;
    CHECK_OK(segue_dump_command_buffer(commands, SEGUE_DUMP_GRAPH, SEGUE_DUMP_JSON, &text));
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_array_size(json_object_get(root, "nodes")), 4);
    assert_int_equal(json_array_size(json_object_get(root, "edges")), 3);
    json_decref(root);
    segue_dump_free(text);
    segue_command_buffer_destroy(commands);
}

static void prints_slots_and_joins(void **state)
{
    struct segue_test *test = *state;
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_STREAM,
                                                       .slot_count = 2};
    segue_command_buffer *commands = NULL;
    char *text = NULL;
    CHECK_OK(segue_command_buffer_create(test->device, &params, &commands));
    CHECK_STATUS(segue_dump_command_buffer(commands, SEGUE_DUMP_SEGMENTS, SEGUE_DUMP_TEXT, &text),
                 SEGUE_INVALID_STATE);
    CHECK_OK(segue_command_buffer_begin(commands));
    CHECK_OK(segue_cmd_copy(commands, segue_test_slot(0, 4, SEGUE_WHOLE_SIZE),
                            segue_test_slot(1, 0, SEGUE_WHOLE_SIZE)));
    CHECK_OK(segue_command_buffer_end(commands));
    check_dump(commands, SEGUE_DUMP_SEGMENTS, SEGUE_DUMP_TEXT,
               "command buffer \"\": 1 commands, 1 of them work, stream mode, 2 slots\n"
               "  index  command       what\n"
               "      0  copy          slot 0[4+] -> slot 1[0+]\n");
    check_dump(commands, SEGUE_DUMP_DAG, SEGUE_DUMP_DOT,
               "digraph \"dag\" {\n"
               "  node [shape=box, fontname=\"monospace\"];\n"
               "  n0 [label=\"copy\", style=dashed, tooltip=\"memcpy\"];\n"
               "}\n");
    CHECK_ERROR(segue_dump_command_buffer(commands, SEGUE_DUMP_GRAPH, SEGUE_DUMP_TEXT, &text),
                SEGUE_INVALID_STATE, "no graph");
    CHECK_STATUS(segue_dump_command_buffer(NULL, SEGUE_DUMP_DAG, SEGUE_DUMP_TEXT, &text),
                 SEGUE_INVALID_ARGUMENT);
    CHECK_STATUS(
        segue_dump_command_buffer(commands, (enum segue_dump_stage)3, SEGUE_DUMP_TEXT, &text),
        SEGUE_INVALID_ARGUMENT);
    assert_null(text);
    segue_command_buffer_destroy(commands);

    // A wide join: a node that stands for no command.
    segue_command_buffer *wide = segue_test_begin(test);
    segue_buffer *buffer = segue_test_buffer(test, 40 * 256);
    for (uint64_t i = 0; i < 40; i++) {
        if (i == 20)
            segue_test_barrier(wide);
        CHECK_OK(segue_cmd_fill(wide, segue_test_ref(buffer, i * 256, 256), 1, 4));
    }
    CHECK_OK(segue_command_buffer_end(wide));
    struct segue_command_buffer_stats stats;
    CHECK_OK(segue_command_buffer_get_stats(wide, &stats));
    if (stats.mode == SEGUE_EXECUTION_GRAPH) {
        CHECK_OK(segue_dump_command_buffer(wide, SEGUE_DUMP_GRAPH, SEGUE_DUMP_JSON, &text));
        assert_non_null(strstr(text, "\"command\": null, \"type\": \"kernel\""));
        segue_dump_free(text);
        CHECK_OK(segue_dump_command_buffer(wide, SEGUE_DUMP_GRAPH, SEGUE_DUMP_TEXT, &text));
        assert_non_null(strstr(text, "        -  kernel"));
        segue_dump_free(text);
    }
}

static void errors_are_one_plain_line(void **state)
{
    (void)state;
    assert_true(segue_text_is_plain("plain \xc3\xa4 ~"));
    assert_false(segue_text_is_plain("a\tb"));
    assert_false(segue_text_is_plain("\x7f"));
    assert_false(segue_text_is_plain("\xc2\x80"));
    char text[] = "a\nb\x1b[2J\xc2\x9bx\xc3\xa4";
    segue_text_make_plain(text);
    assert_string_equal(text, "a?b?[2J?\?x\xc3\xa4");
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",     "\xc1\xbf",         "\xc3",
                                      "\xc3x",    "\xe0\x9f\xbf",     "\xed\xa0\x80",
                                      "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                                      "a\xff",    "\xf5\x80\x80\x80"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(segue_text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(segue_text_is_utf8(bad[i], strlen(bad[i])));
    CHECK_ERROR(segue_trace_fail(SEGUE_IO_ERROR, "%s", "x\r\ny"), SEGUE_IO_ERROR, "x??y");
    assert_string_equal(strrchr(segue_last_error()->file, '/'), "/test_trace_dump.c");
    assert_true(segue_last_error()->line > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(prints_segments),
        segue_test_case(prints_graphs),
        segue_test_case(prints_slots_and_joins),
        segue_test_case(errors_are_one_plain_line),
    };
    int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
