// SPDX-License-Identifier: Apache-2.0
// Which commands really depend on which: programs by hand.
#include "depend.h"
#include "order_check.h"
#include "record_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void barrier(struct record_fixture *fixture)
{
    assert_int_equal(segue_cmd_barrier(fixture->recording, NULL), SEGUE_OK);
}

static void fill(struct record_fixture *fixture, struct segue_buffer_ref target)
{
    assert_int_equal(segue_cmd_fill(fixture->recording, target, 0, 1), SEGUE_OK);
}

static void copy(struct record_fixture *fixture, struct segue_buffer_ref source,
                 struct segue_buffer_ref target)
{
    assert_int_equal(segue_cmd_copy(fixture->recording, source, target), SEGUE_OK);
}

/** Reads `a` and `b`, and `constant` as constant; writes `target`. */
static void gemv(struct record_fixture *fixture, struct segue_buffer_ref a,
                 struct segue_buffer_ref b, struct segue_buffer_ref constant,
                 struct segue_buffer_ref target)
{
    struct segue_buffer_ref bindings[4];
    const struct segue_dispatch dispatch = record_gemv(fixture, bindings);
    bindings[0] = a;
    bindings[1] = b;
    bindings[2] = constant;
    bindings[3] = target;
    assert_int_equal(segue_cmd_dispatch(fixture->recording, &dispatch), SEGUE_OK);
}

/** Reads and writes a range. */
static void update(struct record_fixture *fixture, struct segue_buffer_ref range)
{
    const struct segue_dispatch dispatch = record_free(fixture, &range);
    assert_int_equal(segue_cmd_dispatch(fixture->recording, &dispatch), SEGUE_OK);
}

static void opaque(struct record_fixture *fixture)
{
    static const uint64_t constant = 0;
    const struct segue_dispatch dispatch = {
        .executable = fixture->executable,
        .entry_point = RECORD_OPAQUE,
        .grid = {1, 1, 1},
        .constants = &constant,
        .constants_size_bytes = sizeof constant,
    };
    assert_int_equal(segue_cmd_dispatch(fixture->recording, &dispatch), SEGUE_OK);
}

static void build(const segue_command_buffer *command_buffer, uint32_t flags,
                  struct segue_depend *out_depend)
{
    const struct segue_depend_options options = {.flags = flags};
    assert_int_equal(segue_depend_build(command_buffer->recording, &options, out_depend), SEGUE_OK);
    const struct order_graph graph = order_graph_of_depend(out_depend);
    const struct order_finding finding = order_check(command_buffer->recording, flags, &graph);
    assert_true(finding.complete);
    assert_int_equal(finding.missing_to, UINT32_MAX);
    assert_true(out_depend->exact);
    assert_int_equal(finding.ordered_pairs, finding.needed_pairs);
}

static bool waits_for(const struct segue_depend *depend, uint32_t node, uint32_t before)
{
    const struct segue_depend_node *waiting = &depend->nodes[node];
    for (uint32_t i = 0; i < waiting->predecessor_count; i++) {
        if (depend->predecessors[waiting->first_predecessor + i] == before)
            return true;
    }
    return false;
}

/** The edges of the recording as it is, as text: "0>2 1>2", by node. */
static void expect_edges(struct record_fixture *fixture, uint32_t flags, const char *expected)
{
    struct segue_depend depend;
    build(fixture->recording, flags, &depend);
    char text[512] = "";
    size_t length = 0;
    for (uint32_t i = 0; i < depend.node_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (waits_for(&depend, i, k))
                length += (size_t)snprintf(text + length, sizeof text - length, "%s%u>%u",
                                           length == 0 ? "" : " ", k, i);
        }
    }
    assert_string_equal(text, expected);
    segue_depend_finish(&depend);
}

static void test_conflicts(void **state)
{
    struct record_fixture *fixture = *state;
    fill(fixture, part(fixture->a, 0, 64));  // 0
    fill(fixture, part(fixture->a, 64, 64)); // 1
    barrier(fixture);
    copy(fixture, part(fixture->a, 0, 64), part(fixture->b, 0, 64));   // 2: reads 0
    copy(fixture, part(fixture->a, 32, 64), part(fixture->b, 64, 64)); // 3: reads 0 and 1
    barrier(fixture);
    fill(fixture, part(fixture->a, 96, 16)); // 4: after 1 alone
    fill(fixture, part(fixture->a, 0, 32));  // 5: after 2
    fill(fixture, part(fixture->b, 0, 128)); // 6: after 2 and 3
    expect_edges(fixture, 0, "0>2 0>3 1>3 1>4 2>5 2>6 3>6");
}

static void test_inside_a_scope_nothing_is_ordered(void **state)
{
    struct record_fixture *fixture = *state;
    fill(fixture, whole(fixture->a));
    fill(fixture, whole(fixture->a));
    copy(fixture, whole(fixture->a), whole(fixture->b));
    expect_edges(fixture, 0, "");
    barrier(fixture);
    fill(fixture, whole(fixture->a));
    expect_edges(fixture, 0, "0>3 1>3 2>3");
}

static void test_readers_do_not_wait_for_each_other(void **state)
{
    struct record_fixture *fixture = *state;
    for (uint32_t i = 0; i < 3; i++) {
        copy(fixture, whole(fixture->a), part(fixture->b, 0, 4096));
        barrier(fixture);
    }
    gemv(fixture, whole(fixture->a), whole(fixture->a), whole(fixture->constant),
         part(fixture->host, 0, 64));
    // The copies write one after the other; the dispatch only reads what nothing writes.
    expect_edges(fixture, 0, "0>1 1>2");
}

static void test_undeclared_access_is_both(void **state)
{
    struct record_fixture *fixture = *state;
    update(fixture, part(fixture->a, 0, 64));
    barrier(fixture);
    update(fixture, part(fixture->a, 0, 64));
    barrier(fixture);
    copy(fixture, part(fixture->a, 0, 64), part(fixture->b, 0, 64));
    barrier(fixture);
    update(fixture, part(fixture->a, 32, 64));
    expect_edges(fixture, 0, "0>1 1>2 2>3");
}

static void test_nothing_touched(void **state)
{
    struct record_fixture *fixture = *state;
    fill(fixture, whole(fixture->a));
    barrier(fixture);
    gemv(fixture, part(fixture->a, 0, 0), part(fixture->b, 0, 64), whole(fixture->constant),
         part(fixture->host, 0, 64));
    fill(fixture, part(fixture->a, 0, 0));
    copy(fixture, part(fixture->a, 16, 0), part(fixture->b, 0, 0));
    barrier(fixture);
    fill(fixture, part(fixture->a, 0, 64));
    expect_edges(fixture, 0, "0>2");
}

static void test_views(void **state)
{
    struct record_fixture *fixture = *state;
    segue_buffer *view;
    segue_buffer *inner;
    assert_int_equal(segue_buffer_create_view(fixture->a, 1024, 1024, "view", &view), SEGUE_OK);
    assert_int_equal(segue_buffer_create_view(view, 512, 512, "inner", &inner), SEGUE_OK);
    fill(fixture, part(view, 0, 64));
    fill(fixture, part(inner, 0, 64));
    barrier(fixture);
    copy(fixture, part(fixture->a, 1536, 16), part(fixture->b, 0, 16));
    copy(fixture, part(view, 32, 16), part(fixture->b, 16, 16));
    copy(fixture, part(fixture->a, 0, 1024), part(fixture->b, 1024, 1024));
    expect_edges(fixture, 0, "1>2 0>3");
    segue_buffer_destroy(inner);
    segue_buffer_destroy(view);
}

static void test_slots(void **state)
{
    struct record_fixture *fixture = *state;
    fill(fixture, in_slot(0, 0, 64)); // 0
    barrier(fixture);
    fill(fixture, in_slot(0, 64, 64)); // 1: another range
    barrier(fixture);
    fill(fixture, in_slot(1, 0, 64)); // 2: may be slot 0
    barrier(fixture);
    copy(fixture, part(fixture->a, 0, 64), part(fixture->b, 0, 64)); // 3: may be any slot
    barrier(fixture);
    fill(fixture, in_slot(0, 32, 64)); // 4
    expect_edges(fixture, 0, "0>2 1>2 2>3 3>4");
    expect_edges(fixture, SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT, "0>3 1>3 2>3 3>4");
}

static void test_slots_read_only(void **state)
{
    struct record_fixture *fixture = *state;
    copy(fixture, in_slot(0, 0, 64), part(fixture->b, 0, 64));
    barrier(fixture);
    copy(fixture, in_slot(1, 0, 64), part(fixture->b, 64, 64));
    barrier(fixture);
    gemv(fixture, in_slot(0, 0, SEGUE_WHOLE_SIZE), in_slot(1, 0, SEGUE_WHOLE_SIZE),
         whole(fixture->constant), part(fixture->host, 0, 64));
    // Each slot may be what was written before.
    expect_edges(fixture, 0, "0>1 1>2");
}

static void test_constants_never_alias(void **state)
{
    struct record_fixture *fixture = *state;
    fill(fixture, in_slot(0, 0, 64));
    barrier(fixture);
    gemv(fixture, part(fixture->constant, 0, 64), part(fixture->constant, 0, 64),
         whole(fixture->constant), in_slot(1, 0, 64));
    barrier(fixture);
    fill(fixture, in_slot(0, 0, 64));
    // What is only declared as read may be slot 0; without it, what is constant may not.
    expect_edges(fixture, 0, "0>1 1>2");
    expect_edges(fixture, SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT, "0>1 1>2");
    assert_int_equal(segue_command_buffer_end(fixture->recording), SEGUE_OK);
    segue_command_buffer_destroy(fixture->recording);
    const struct segue_command_buffer_params params = {.slot_count = 2};
    fixture->recording = record_begin(fixture, &params);
    fill(fixture, in_slot(0, 0, 64));
    barrier(fixture);
    gemv(fixture, part(fixture->constant, 0, 0), part(fixture->constant, 0, 0),
         whole(fixture->constant), in_slot(1, 0, 64));
    barrier(fixture);
    fill(fixture, in_slot(0, 0, 64));
    expect_edges(fixture, SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT, "0>2");
}

static void test_opaque(void **state)
{
    struct record_fixture *fixture = *state;
    fill(fixture, part(fixture->a, 0, 64));  // 0
    fill(fixture, part(fixture->a, 64, 64)); // 1
    barrier(fixture);
    opaque(fixture);                        // 2
    fill(fixture, part(fixture->a, 0, 32)); // 3: beside 2
    barrier(fixture);
    fill(fixture, part(fixture->b, 0, 64)); // 4
    fill(fixture, part(fixture->a, 0, 64)); // 5
    barrier(fixture);
    opaque(fixture); // 6
    expect_edges(fixture, 0, "0>2 1>2 0>3 2>4 2>5 3>5 4>6 5>6");
}

static void test_secondary(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *primary = fixture->recording;
    const struct segue_command_buffer_params params = {.slot_count = 2};
    segue_command_buffer *secondary = record_begin(fixture, &params);
    fixture->recording = secondary;
    copy(fixture, in_slot(0, 0, 64), in_slot(1, 0, 64));
    barrier(fixture);
    fill(fixture, in_slot(0, 0, 64));
    assert_int_equal(segue_command_buffer_end(secondary), SEGUE_OK);
    fixture->recording = primary;

    const struct segue_buffer_ref first[2] = {part(fixture->a, 0, 1024), part(fixture->b, 0, 1024)};
    const struct segue_buffer_ref second[2] = {part(fixture->b, 0, 1024),
                                               part(fixture->a, 1024, 64)};
    assert_int_equal(segue_cmd_execute(primary, secondary, first, 2), SEGUE_OK);
    barrier(fixture);
    assert_int_equal(segue_cmd_execute(primary, secondary, second, 2), SEGUE_OK);
    // Copy a to b, fill a; copy b to another part of a, fill b: inlined, bound to buffers.
    expect_edges(fixture, 0, "0>1 0>2 2>3");
    segue_command_buffer_destroy(secondary);
}

static void test_order_far_back(void **state)
{
    struct record_fixture *fixture = *state;
    // Everything in between is a chain: what the last one reads is written long before, and that is
    // no edge.
    fill(fixture, part(fixture->a, 0, 64));
    barrier(fixture);
    for (uint32_t i = 0; i < 2000; i++) {
        copy(fixture, part(fixture->a, 0, 64), part(fixture->b, 0, 64));
        barrier(fixture);
    }
    gemv(fixture, part(fixture->a, 0, 64), part(fixture->b, 0, 64), whole(fixture->constant),
         part(fixture->host, 0, 64));
    struct segue_depend depend;
    build(fixture->recording, 0, &depend);
    assert_int_equal(depend.edge_count, 2001);
    segue_depend_finish(&depend);
}

/** 700 chains side by side over two buffers in turn: what the buffer was used for two scopes ago is
 *  further back than the rows reach. */
static void test_wide_chains(void **state)
{
    struct record_fixture *fixture = *state;
    const uint32_t width = 700;
    for (uint32_t i = 0; i < 4 * width; i++) {
        const uint64_t offset = i % width * 4;
        segue_buffer *from = i / width % 2 == 0 ? fixture->a : fixture->b;
        segue_buffer *to = i / width % 2 == 0 ? fixture->b : fixture->a;
        copy(fixture, part(from, offset, 4), part(to, offset, 4));
        if ((i + 1) % width == 0)
            barrier(fixture);
    }
    struct segue_depend depend;
    build(fixture->recording, 0, &depend);
    assert_int_equal(depend.edge_count, 3 * width);
    segue_depend_finish(&depend);
}

/** Parts of `a` that commands 0 to 7 write. */
static void fill_parts(struct record_fixture *fixture)
{
    for (uint32_t i = 0; i < 8; i++)
        fill(fixture, part(fixture->a, 64 * i, 64));
    barrier(fixture);
}

static void test_readers_of_many_parts(void **state)
{
    struct record_fixture *fixture = *state;
    fill_parts(fixture);
    copy(fixture, part(fixture->a, 0, 512), part(fixture->b, 0, 512));    // 8
    copy(fixture, part(fixture->a, 0, 512), part(fixture->b, 512, 512));  // 9
    copy(fixture, part(fixture->a, 0, 384), part(fixture->b, 1024, 384)); // 10: not 6, not 7
    barrier(fixture);
    fill(fixture, part(fixture->a, 448, 64)); // 11: after 8 and 9
    fill(fixture, part(fixture->a, 0, 64));   // 12: after 10, too
    expect_edges(fixture, 0,
                 "0>8 1>8 2>8 3>8 4>8 5>8 6>8 7>8 0>9 1>9 2>9 3>9 4>9 5>9 6>9 7>9 "
                 "0>10 1>10 2>10 3>10 4>10 5>10 8>11 9>11 8>12 9>12 10>12");
}

/** Readers of many parts that share something else: what is one's is not the others'. */
static void check_readers_apart(struct record_fixture *fixture, uint32_t waited_for)
{
    const struct segue_buffer_ref all = part(fixture->a, 0, 512);
    const struct segue_buffer_ref other = part(fixture->b, 0, 64);
    const struct segue_buffer_ref none = part(fixture->a, 0, 0);
    const struct segue_buffer_ref constant = whole(fixture->constant);
    gemv(fixture, all, other, constant, part(fixture->host, 0, 64));  // 8
    gemv(fixture, all, other, constant, part(fixture->host, 64, 64)); // 9
    gemv(fixture, all, none, constant, part(fixture->host, 128, 64)); // 10
    barrier(fixture);
    fill(fixture, other);                      // 11: after 8 and 9
    fill(fixture, part(fixture->host, 0, 64)); // 12: after 8
    barrier(fixture);
    // After 12 and all readers, of which 12 waits for the first and all that came before only.
    copy(fixture, part(fixture->host, 0, 64), part(fixture->a, 0, 64)); // 13
    struct segue_depend depend;
    build(fixture->recording, 0, &depend);
    assert_int_equal(depend.node_count, 14);
    assert_int_equal(depend.nodes[11].predecessor_count, 2);
    assert_true(waits_for(&depend, 13, 9) && waits_for(&depend, 13, 10));
    assert_true(waits_for(&depend, 13, 12));
    assert_int_equal(depend.nodes[13].predecessor_count, waited_for);
    segue_depend_finish(&depend);
}

static void test_readers_apart(void **state)
{
    struct record_fixture *fixture = *state;
    fill_parts(fixture);
    check_readers_apart(fixture, 3);
}

/** The parts were read, not written. */
static void test_readers_of_readers_apart(void **state)
{
    struct record_fixture *fixture = *state;
    for (uint32_t i = 0; i < 8; i++)
        copy(fixture, part(fixture->a, 64 * i, 64), part(fixture->b, 1024 + 64 * i, 64));
    barrier(fixture);
    check_readers_apart(fixture, 4);
}

/** A reader stands for the writer that it waits for, however far back both are. */
static void test_writer_far_back(void **state)
{
    struct record_fixture *fixture = *state;
    fill(fixture, part(fixture->a, 0, 64)); // 0
    barrier(fixture);
    copy(fixture, part(fixture->a, 0, 64), part(fixture->b, 0, 64)); // 1
    barrier(fixture);
    // Two chains that have nothing to do with it.
    for (uint32_t i = 0; i < 1000; i++) {
        fill(fixture, part(fixture->b, 1024 + i % 2 * 64, 64));
        if (i % 2 == 1)
            barrier(fixture);
    }
    fill(fixture, part(fixture->a, 0, 64));
    struct segue_depend depend;
    build(fixture->recording, 0, &depend);
    assert_int_equal(depend.edge_count, 1 + 998 + 1);
    assert_true(waits_for(&depend, 1002, 1));
    segue_depend_finish(&depend);
}

static void test_barrier_order(void **state)
{
    struct record_fixture *fixture = *state;
    fill(fixture, part(fixture->a, 0, 64));
    fill(fixture, part(fixture->a, 64, 64));
    barrier(fixture);
    fill(fixture, part(fixture->b, 0, 64));
    barrier(fixture);
    fill(fixture, part(fixture->host, 0, 64));
    fill(fixture, part(fixture->host, 64, 64));
    expect_edges(fixture, SEGUE_COMMAND_BUFFER_BARRIER_ORDER, "0>2 1>2 2>3 2>4");
    expect_edges(fixture, 0, "");
}

static void test_empty(void **state)
{
    struct record_fixture *fixture = *state;
    barrier(fixture);
    expect_edges(fixture, 0, "");
    expect_edges(fixture, SEGUE_COMMAND_BUFFER_BARRIER_ORDER, "");
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, record_setup, record_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(test_conflicts),
        with_fixture(test_inside_a_scope_nothing_is_ordered),
        with_fixture(test_readers_do_not_wait_for_each_other),
        with_fixture(test_undeclared_access_is_both),
        with_fixture(test_nothing_touched),
        with_fixture(test_views),
        with_fixture(test_slots),
        with_fixture(test_slots_read_only),
        with_fixture(test_constants_never_alias),
        with_fixture(test_opaque),
        with_fixture(test_secondary),
        with_fixture(test_order_far_back),
        with_fixture(test_wide_chains),
        with_fixture(test_readers_of_many_parts),
        with_fixture(test_readers_apart),
        with_fixture(test_readers_of_readers_apart),
        with_fixture(test_writer_far_back),
        with_fixture(test_barrier_order),
        with_fixture(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
