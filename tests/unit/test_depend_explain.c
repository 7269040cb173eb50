// SPDX-License-Identifier: Apache-2.0
// Why one command waits for another.
#include "depend.h"
#include "record_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MAX_REASONS 4

/** The command with that index. */
static const struct segue_segment *find(const struct record_fixture *fixture, uint32_t index)
{
    const struct segue_segment *segment = fixture->recording->recording->first;
    while (segment->index != index)
        segment = segment->next;
    return segment;
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

/** The only reason why command 1 waits for command 0. */
static struct segue_depend_reason only_reason(const struct record_fixture *fixture, uint32_t flags)
{
    struct segue_depend_reason reasons[MAX_REASONS];
    assert_int_equal(
        segue_depend_explain(find(fixture, 0), find(fixture, 1), flags, reasons, MAX_REASONS), 1);
    return reasons[0];
}

static void test_read_after_write(void **state)
{
    struct record_fixture *fixture = *state;
    fill(fixture, part(fixture->a, 64, 64));
    copy(fixture, part(fixture->a, 96, 128), part(fixture->b, 0, 128));
    const struct segue_depend_reason reason = only_reason(fixture, 0);
    assert_int_equal(reason.kinds, SEGUE_HAZARD_READ_AFTER_WRITE);
    assert_int_equal(reason.from_access, 0);
    assert_int_equal(reason.to_access, 0);
    assert_ptr_equal(reason.memory, fixture->a->memory);
    assert_int_equal(reason.offset_bytes, 96);
    assert_int_equal(reason.length_bytes, 32);
}

static void test_write_after_read(void **state)
{
    struct record_fixture *fixture = *state;
    copy(fixture, part(fixture->a, 0, 128), part(fixture->b, 0, 128));
    fill(fixture, part(fixture->a, 0, 16));
    const struct segue_depend_reason reason = only_reason(fixture, 0);
    assert_int_equal(reason.kinds, SEGUE_HAZARD_WRITE_AFTER_READ);
    assert_int_equal(reason.from_access, 0);
    assert_int_equal(reason.length_bytes, 16);
}

static void test_write_after_write(void **state)
{
    struct record_fixture *fixture = *state;
    copy(fixture, part(fixture->a, 0, 128), part(fixture->b, 0, 128));
    fill(fixture, part(fixture->b, 100, 28));
    const struct segue_depend_reason reason = only_reason(fixture, 0);
    assert_int_equal(reason.kinds, SEGUE_HAZARD_WRITE_AFTER_WRITE);
    assert_int_equal(reason.from_access, 1);
    assert_int_equal(reason.to_access, 0);
}

static void test_undeclared_is_all_three(void **state)
{
    struct record_fixture *fixture = *state;
    const struct segue_buffer_ref range = part(fixture->a, 0, 64);
    const struct segue_dispatch dispatch = record_free(fixture, &range);
    assert_int_equal(segue_cmd_dispatch(fixture->recording, &dispatch), SEGUE_OK);
    assert_int_equal(segue_cmd_dispatch(fixture->recording, &dispatch), SEGUE_OK);
    assert_int_equal(only_reason(fixture, 0).kinds, SEGUE_HAZARD_READ_AFTER_WRITE |
                                                        SEGUE_HAZARD_WRITE_AFTER_READ |
                                                        SEGUE_HAZARD_WRITE_AFTER_WRITE);
}

static void test_several_reasons(void **state)
{
    struct record_fixture *fixture = *state;
    copy(fixture, part(fixture->a, 0, 64), part(fixture->b, 0, 64));
    copy(fixture, part(fixture->b, 32, 64), part(fixture->a, 32, 64));
    struct segue_depend_reason reasons[MAX_REASONS] = {0};
    const struct segue_segment *from = find(fixture, 0);
    const struct segue_segment *to = find(fixture, 1);
    assert_int_equal(segue_depend_explain(from, to, 0, reasons, MAX_REASONS), 2);
    assert_int_equal(reasons[0].kinds, SEGUE_HAZARD_WRITE_AFTER_READ);
    assert_int_equal(reasons[0].from_access, 0);
    assert_int_equal(reasons[0].to_access, 1);
    assert_int_equal(reasons[1].kinds, SEGUE_HAZARD_READ_AFTER_WRITE);
    // No more are written than there is room for.
    struct segue_depend_reason one[2] = {{0}, {.kinds = 77}};
    assert_int_equal(segue_depend_explain(from, to, 0, one, 1), 2);
    assert_int_equal(one[1].kinds, 77);
    assert_int_equal(segue_depend_explain(from, to, 0, NULL, 0), 2);
}

static void test_views(void **state)
{
    struct record_fixture *fixture = *state;
    segue_buffer *view;
    assert_int_equal(segue_buffer_create_view(fixture->a, 1024, 1024, "view", &view), SEGUE_OK);
    fill(fixture, part(view, 0, 64));
    fill(fixture, part(fixture->a, 1056, 64));
    const struct segue_depend_reason reason = only_reason(fixture, 0);
    assert_int_equal(reason.offset_bytes, 1056);
    assert_int_equal(reason.length_bytes, 32);
    segue_buffer_destroy(view);
}

static void test_slots(void **state)
{
    struct record_fixture *fixture = *state;
    const uint32_t distinct = SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT;
    fill(fixture, in_slot(0, 16, SEGUE_WHOLE_SIZE)); // 0
    fill(fixture, in_slot(0, 64, SEGUE_WHOLE_SIZE)); // 1
    fill(fixture, in_slot(0, 0, 16));                // 2
    fill(fixture, in_slot(1, 0, 16));                // 3
    fill(fixture, part(fixture->a, 32, 16));         // 4
    struct segue_depend_reason reason = only_reason(fixture, distinct);
    assert_null(reason.memory);
    assert_int_equal(reason.slot, 0);
    assert_int_equal(reason.kinds, SEGUE_HAZARD_WRITE_AFTER_WRITE);
    assert_int_equal(reason.offset_bytes, 64);
    assert_true(reason.length_bytes == SEGUE_WHOLE_SIZE);
    // Disjoint parts of one slot; two slots; a slot and a buffer.
    assert_int_equal(segue_depend_explain(find(fixture, 0), find(fixture, 2), 0, &reason, 1), 0);
    assert_int_equal(segue_depend_explain(find(fixture, 0), find(fixture, 3), 0, &reason, 1), 1);
    assert_int_equal(reason.kinds, SEGUE_HAZARD_WRITE_AFTER_WRITE | SEGUE_HAZARD_MAY_ALIAS);
    assert_int_equal(reason.slot, 1);
    assert_int_equal(segue_depend_explain(find(fixture, 0), find(fixture, 3), distinct, &reason, 1),
                     0);
    assert_int_equal(segue_depend_explain(find(fixture, 0), find(fixture, 4), distinct, &reason, 1),
                     1);
    assert_int_equal(reason.kinds, SEGUE_HAZARD_WRITE_AFTER_WRITE | SEGUE_HAZARD_MAY_ALIAS);
    assert_ptr_equal(reason.memory, fixture->a->memory);
    assert_int_equal(reason.offset_bytes, 32);
    assert_int_equal(reason.length_bytes, 16);
}

static void test_constants_never_alias(void **state)
{
    struct record_fixture *fixture = *state;
    struct segue_buffer_ref bindings[4];
    struct segue_dispatch dispatch = record_gemv(fixture, bindings);
    bindings[0] = part(fixture->a, 0, 0);
    bindings[1] = part(fixture->a, 0, 0);
    fill(fixture, in_slot(0, 0, 16));
    assert_int_equal(segue_cmd_dispatch(fixture->recording, &dispatch), SEGUE_OK);
    // The constant binding may not be slot 0, what is written may.
    assert_int_equal(only_reason(fixture, 0).to_access, 3);
}

static void test_no_reason(void **state)
{
    struct record_fixture *fixture = *state;
    copy(fixture, part(fixture->a, 0, 64), part(fixture->b, 0, 64));  // 0
    copy(fixture, part(fixture->a, 0, 64), part(fixture->b, 64, 64)); // 1
    fill(fixture, part(fixture->a, 32, 0));                           // 2
    struct segue_depend_reason reason;
    assert_int_equal(segue_depend_explain(find(fixture, 0), find(fixture, 1), 0, &reason, 1), 0);
    assert_int_equal(segue_depend_explain(find(fixture, 0), find(fixture, 2), 0, &reason, 1), 0);
}

static void test_opaque(void **state)
{
    struct record_fixture *fixture = *state;
    static const uint64_t constant = 0;
    const struct segue_dispatch dispatch = {
        .executable = fixture->executable,
        .entry_point = RECORD_OPAQUE,
        .grid = {1, 1, 1},
        .constants = &constant,
        .constants_size_bytes = sizeof constant,
    };
    fill(fixture, part(fixture->a, 0, 64));
    assert_int_equal(segue_cmd_dispatch(fixture->recording, &dispatch), SEGUE_OK);
    assert_int_equal(only_reason(fixture, 0).kinds, SEGUE_HAZARD_OPAQUE);
    struct segue_depend_reason reason;
    assert_int_equal(segue_depend_explain(find(fixture, 1), find(fixture, 0), 0, &reason, 1), 1);
    assert_int_equal(segue_depend_explain(find(fixture, 1), find(fixture, 0), 0, NULL, 0), 1);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, record_setup, record_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(test_read_after_write),
        with_fixture(test_write_after_read),
        with_fixture(test_write_after_write),
        with_fixture(test_undeclared_is_all_three),
        with_fixture(test_several_reasons),
        with_fixture(test_views),
        with_fixture(test_slots),
        with_fixture(test_constants_never_alias),
        with_fixture(test_no_reason),
        with_fixture(test_opaque),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
