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

/** The same for JSON, but for how long nodes take, which is the cost model's business. */
static void check_json(segue_command_buffer *commands, enum segue_dump_stage stage,
                       const char *expected_text)
{
    char *text = NULL;
    CHECK_OK(segue_dump_command_buffer(commands, stage, SEGUE_DUMP_JSON, &text));
    json_t *actual = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    json_t *expected = json_loads(expected_text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(expected);
    size_t i;
    json_t *node;
    json_array_foreach(json_object_get(actual, "nodes"), i, node)
    {
        assert_true(json_integer_value(json_object_get(node, "duration_ns")) > 0);
        json_object_del(node, "duration_ns");
    }
    json_t *edge;
    json_array_foreach(json_object_get(actual, "edges"), i, edge)
    {
        assert_non_null(strstr(json_string_value(json_object_get(edge, "why")), "read after"));
        json_object_del(edge, "why");
    }
    if (!json_equal(actual, expected))
        fail_msg("%s\nis not\n%s", text, expected_text);
    json_decref(actual);
    json_decref(expected);
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
               "   node  command     lane  type         label        after\n"
               "      0        2        -  memset       a/b\\/fill    -\n"
               "      1        3        -  memcpy       a/b\\/update  -\n"
               "      2        7        -  memcpy       a/copy       0 1\n"
               "      3       12        -  kernel       test_scale   2\n"
               "\n"
               "   from       to  type          why\n"
               "      0        2  full          read after write: x[0+64] (target of command 2, "
               "source of command 7)\n"
               "      1        2  full          read after write: x[64+4] (target of command 3, "
               "source of command 7)\n"
               "      2        3  full          read after write, write after write: "
               "buffer0[256+128] (target of command 7, binding 0 of command 12)\n");
    check_json(commands, SEGUE_DUMP_DAG,
               "{\"lanes\": 0, \"nodes\": ["
               "{\"id\": 0, \"command\": 2, \"type\": \"memset\", \"label\": \"a/b\\\\/fill\","
               " \"lane\": null},"
               "{\"id\": 1, \"command\": 3, \"type\": \"memcpy\", \"label\": \"a/b\\\\/update\","
               " \"lane\": null},"
               "{\"id\": 2, \"command\": 7, \"type\": \"memcpy\", \"label\": \"a/copy\","
               " \"lane\": null},"
               "{\"id\": 3, \"command\": 12, \"type\": \"kernel\", \"label\": \"test_scale\","
               " \"lane\": null}], \"edges\": ["
               "{\"from\": 0, \"to\": 2, \"type\": \"full\", \"reasons\": [\"read_after_write\"],"
               " \"conflicts\": [{\"reasons\": [\"read_after_write\"], \"from_access\": 0,"
               " \"to_access\": 0, \"range\": {\"buffer\": \"x\", \"length\": 64}}]},"
               "{\"from\": 1, \"to\": 2, \"type\": \"full\", \"reasons\": [\"read_after_write\"],"
               " \"conflicts\": [{\"reasons\": [\"read_after_write\"], \"from_access\": 0,"
               " \"to_access\": 0, \"range\": {\"buffer\": \"x\", \"offset\": 64,"
               " \"length\": 4}}]},"
               "{\"from\": 2, \"to\": 3, \"type\": \"full\","
               " \"reasons\": [\"read_after_write\", \"write_after_write\"],"
               " \"conflicts\": [{\"reasons\": [\"read_after_write\", \"write_after_write\"],"
               " \"from_access\": 1, \"to_access\": 0, \"range\": {\"buffer\": \"buffer0\","
               " \"offset\": 256, \"length\": 128}}]}]}");
    check_dump(
        commands, SEGUE_DUMP_DAG, SEGUE_DUMP_DOT,
        "digraph \"all \\\"kinds\\\"\" {\n"
        "  node [shape=box, fontname=\"monospace\"];\n"
        "  n0 [label=\"a/b\\\\/fill\", style=dashed, tooltip=\"memset\"];\n"
        "  n1 [label=\"a/b\\\\/update\", style=dashed, tooltip=\"memcpy\"];\n"
        "  n2 [label=\"a/copy\", style=dashed, tooltip=\"memcpy\"];\n"
        "  n3 [label=\"test_scale\"];\n"
        "  n0 -> n2 [tooltip=\"read after write: x[0+64] (target of command 2, source of "
        "command 7)\"];\n"
        "  n1 -> n2 [tooltip=\"read after write: x[64+4] (target of command 3, source of "
        "command 7)\"];\n"
        "  n2 -> n3 [tooltip=\"read after write, write after write: buffer0[256+128] (target "
        "of command 7, binding 0 of command 12)\"];\n"
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

/** Every node is in the box of its lane; joins and added order are named. */
static void check_lanes(segue_command_buffer *commands)
{
    char *json = NULL;
    char *dot = NULL;
    CHECK_OK(segue_dump_command_buffer(commands, SEGUE_DUMP_GRAPH, SEGUE_DUMP_JSON, &json));
    CHECK_OK(segue_dump_command_buffer(commands, SEGUE_DUMP_GRAPH, SEGUE_DUMP_DOT, &dot));
    struct segue_graph_view view;
    CHECK_OK(segue_command_buffer_get_graph(commands, SEGUE_GRAPH_STAGE_GRAPH, &view));
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    uint32_t lane_edges = 0;
    assert_true(view.lane_count > 0);
    assert_int_equal(json_integer_value(json_object_get(root, "lanes")), view.lane_count);
    for (uint32_t i = 0; i < view.node_count; i++) {
        json_t *node = json_array_get(json_object_get(root, "nodes"), i);
        const bool is_join = view.nodes[i].command == SEGUE_NO_COMMAND;
        assert_int_equal(json_is_null(json_object_get(node, "command")), is_join);
        char name[32];
        char box[48];
        snprintf(name, sizeof(name), "\n    n%u [label", (unsigned)i);
        snprintf(box, sizeof(box), "subgraph cluster_lane%u {", (unsigned)view.nodes[i].lane);
        const char *start = strstr(dot, box);
        assert_int_equal(start != NULL, view.nodes[i].lane < view.lane_count);
        if (start == NULL)
            continue;
        const char *place = strstr(start, name);
        assert_true(place != NULL && place < strstr(start, "\n  }"));
    }
    for (uint32_t i = 0; i < view.edge_count; i++) {
        json_t *edge = json_array_get(json_object_get(root, "edges"), i);
        assert_true(json_array_size(json_object_get(edge, "reasons")) > 0);
        // The reason "lane" is that of the node right before on the same lane, and of no other.
        uint32_t before = view.edges[i].to;
        while (before-- != 0 && view.nodes[before].lane != view.nodes[view.edges[i].to].lane)
            ;
        assert_int_equal((view.edges[i].reasons & SEGUE_GRAPH_REASON_LANE) != 0,
                         before == view.edges[i].from);
        lane_edges += before == view.edges[i].from;
        if (view.edges[i].reasons == SEGUE_GRAPH_REASON_LANE)
            assert_non_null(
                strstr(dot, "color=grey, tooltip=\"next on the lane (nothing needs it)"));
        if ((view.edges[i].reasons & SEGUE_GRAPH_REASON_JOIN) != 0)
            assert_non_null(strstr(dot, "tooltip=\"join"));
    }
    assert_true(lane_edges > 0);
    json_decref(root);
    segue_dump_free(json);
    segue_dump_free(dot);
}

/** Every pair of accesses that conflict, as many as fit, in the terms of the later command. */
static void explains_edges(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer(test, 4096);
    segue_buffer *view = segue_test_view(test, buffer, 1024, 2048);
    segue_buffer *other = segue_test_buffer(test, 4096);
    segue_command_buffer *commands = segue_test_begin_with(test, 1, 0);
    segue_test_dispatch_add(test, commands, segue_test_ref(buffer, 1024, 512),
                            segue_test_ref(other, 0, 512), segue_test_ref(buffer, 2048, 512), 128);
    segue_test_barrier(commands);
    segue_test_dispatch_add(test, commands, segue_test_ref(view, 1280, 512),
                            segue_test_slot(0, 0, 512), segue_test_ref(view, 256, 512), 128);
    CHECK_OK(segue_command_buffer_end(commands));
    struct segue_graph_view graph;
    struct segue_graph_conflict conflicts[8];
    uint32_t count = 0;
    CHECK_OK(segue_command_buffer_get_graph(commands, SEGUE_GRAPH_STAGE_DAG, &graph));
    assert_int_equal(graph.edge_count, 1);
    assert_int_equal(graph.edges[0].reasons, SEGUE_GRAPH_REASON_READ_AFTER_WRITE |
                                                 SEGUE_GRAPH_REASON_WRITE_AFTER_READ |
                                                 SEGUE_GRAPH_REASON_MAY_ALIAS);
    memset(conflicts, 0x55, sizeof(conflicts));
    CHECK_OK(segue_command_buffer_explain_edge(commands, 0, conflicts, 8, &count));
    assert_int_equal(count, 3);
    // What the first reads, the second writes: bytes 1280 to 1535 of the memory.
    assert_int_equal(conflicts[0].reasons, SEGUE_GRAPH_REASON_WRITE_AFTER_READ);
    assert_int_equal(conflicts[0].from_access, 0);
    assert_int_equal(conflicts[0].to_access, 2);
    assert_ptr_equal(conflicts[0].range.buffer, view);
    assert_int_equal(conflicts[0].range.offset_bytes, 256);
    assert_int_equal(conflicts[0].range.length_bytes, 256);
    // What the first writes, the second reads: from byte 2304 on.
    assert_int_equal(conflicts[1].reasons, SEGUE_GRAPH_REASON_READ_AFTER_WRITE);
    assert_int_equal(conflicts[1].from_access, 2);
    assert_int_equal(conflicts[1].to_access, 0);
    assert_int_equal(conflicts[1].range.offset_bytes, 1280);
    assert_int_equal(conflicts[1].range.length_bytes, 256);
    // The slot may stand for what the first writes.
    assert_int_equal(conflicts[2].reasons,
                     SEGUE_GRAPH_REASON_READ_AFTER_WRITE | SEGUE_GRAPH_REASON_MAY_ALIAS);
    assert_int_equal(conflicts[2].to_access, 1);
    assert_null(conflicts[2].range.buffer);
    assert_int_equal(conflicts[2].range.slot, 0);
    for (uint32_t capacity = 0; capacity < 3; capacity++) {
        memset(conflicts, 0x55, sizeof(conflicts));
        CHECK_OK(segue_command_buffer_explain_edge(commands, 0, conflicts, capacity, &count));
        assert_int_equal(count, 3);
        assert_int_equal(conflicts[capacity].from_access, 0x55555555);
    }
    segue_test_destroy(test, commands);
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

    // Lanes, and joins (nodes that stand for no command), however many there are.
    segue_command_buffer *wide = segue_test_begin_with(test, 0, SEGUE_COMMAND_BUFFER_BARRIER_ORDER);
    segue_buffer *buffer = segue_test_buffer(test, 40 * 256);
    for (uint64_t i = 0; i < 40; i++) {
        if (i == 20)
            segue_test_barrier(wide);
        CHECK_OK(segue_cmd_fill(wide, segue_test_ref(buffer, i * 256, 256), 1, 4));
    }
    CHECK_OK(segue_command_buffer_end(wide));
    struct segue_command_buffer_stats stats;
    CHECK_OK(segue_command_buffer_get_stats(wide, &stats));
    if (stats.mode == SEGUE_EXECUTION_GRAPH)
        check_lanes(wide);
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

/** What the kernel finds in memory has a star. */
static void marks_indirect_bindings(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_zeros(test, 16);
    segue_command_buffer *commands = segue_test_begin_with(test, 1, 0);
    segue_test_dispatch_indirect_slow(test, commands, segue_test_whole(buffer),
                                      segue_test_slot(0, 4, SEGUE_WHOLE_SIZE), 4);
    segue_test_barrier(commands);
    segue_test_dispatch_indirect(test, commands, segue_test_ref(buffer, 0, 16),
                                 segue_test_slot(0, 0, 16), 4, 0);
    CHECK_OK(segue_command_buffer_end(commands));
    char *text = NULL;
    CHECK_OK(segue_dump_command_buffer(commands, SEGUE_DUMP_SEGMENTS, SEGUE_DUMP_TEXT, &text));
    assert_non_null(strstr(text, "test_indirect_slow(buffer0[0+64], *slot 0[4+]; 12 bytes"));
    assert_non_null(strstr(text, "test_indirect(*buffer0[0+16], *slot 0[0+16]; 8 bytes"));
    segue_dump_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(prints_segments),
        segue_test_case(prints_graphs),
        segue_test_case(explains_edges),
        segue_test_case(prints_slots_and_joins),
        segue_test_case(errors_are_one_plain_line),
        segue_test_case(marks_indirect_bindings),
    };
    int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
