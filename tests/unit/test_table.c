// SPDX-License-Identifier: Apache-2.0
// What slots stand for: every use of a slot is held against the table of a submission.
#include "record_fixture.h"

#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define test_case(function) cmocka_unit_test_setup_teardown(function, record_setup, record_teardown)

static struct segue_range bound(segue_buffer *buffer, uint64_t offset_bytes, uint64_t length_bytes)
{
    return (struct segue_range){(uintptr_t)buffer, offset_bytes, length_bytes};
}

/** The fixture's recording with these two slots gives that status and message. */
static void check(struct record_fixture *fixture, struct segue_range first,
                  struct segue_range second, segue_status expected, const char *message)
{
    const struct segue_range ranges[2] = {first, second};
    const struct segue_binding_table table = {.slots = ranges, .slot_count = 2};
    assert_int_equal(segue_table_check(fixture->recording->recording, &table), expected);
    if (message && !strstr(segue_last_error()->message, message))
        fail_msg("\"%s\" does not contain \"%s\"", segue_last_error()->message, message);
}

static void restart(struct record_fixture *fixture)
{
    assert_int_equal(segue_command_buffer_reset(fixture->recording), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(fixture->recording), SEGUE_OK);
}

static void ranges_lie_in_what_is_bound(void **state)
{
    struct record_fixture *fixture = *state;
    const struct segue_range any = bound(fixture->b, 0, 64);
    assert_int_equal(segue_cmd_begin_group(fixture->recording, "g"), SEGUE_OK);
    assert_int_equal(segue_cmd_update(fixture->recording, in_slot(0, 8, 8), "12345678"), SEGUE_OK);
    check(fixture, bound(fixture->a, 0, 16), any, SEGUE_OK, NULL);
    check(fixture, bound(fixture->a, 4080, 16), any, SEGUE_OK, NULL);
    check(
        fixture, bound(fixture->a, 0, 15), any, SEGUE_OUT_OF_RANGE,
        "command 1 (update, group \"g\"): 8 bytes at offset 8 of slot 0 go beyond the 15 bytes of "
        "buffer \"a\"");
    check(fixture, bound(fixture->a, 0, 7), any, SEGUE_OUT_OF_RANGE,
          "offset 8 of slot 0 lies behind the 7 bytes");
    check(fixture, bound(fixture->constant, 0, 16), any, SEGUE_INVALID_ACCESS,
          "buffer \"constant\" in slot 0");
    restart(fixture);
    const struct segue_buffer_barrier item = {1, 2, in_slot(1, 8, 8)};
    const struct segue_barrier barrier = {.buffer_barriers = &item, .buffer_barrier_count = 1};
    assert_int_equal(segue_cmd_barrier(fixture->recording, &barrier), SEGUE_OK);
    check(fixture, any, bound(fixture->constant, 0, 16), SEGUE_OK, NULL);
    check(fixture, any, bound(fixture->constant, 0, 15), SEGUE_OUT_OF_RANGE, "(barrier): 8 bytes");
}

static void fills_fit_their_pattern(void **state)
{
    struct record_fixture *fixture = *state;
    const struct segue_range any = bound(fixture->b, 0, 64);
    assert_int_equal(segue_cmd_begin_group(fixture->recording, "g"), SEGUE_OK);
    assert_int_equal(segue_cmd_fill(fixture->recording, in_slot(0, 4, SEGUE_WHOLE_SIZE), 0, 4),
                     SEGUE_OK);
    check(fixture, bound(fixture->a, 4, 16), any, SEGUE_OK, NULL);
    check(fixture, bound(fixture->a, 2, 16), any, SEGUE_INVALID_ARGUMENT,
          "used at byte 6 of its memory, which is not a multiple of 4");
    check(fixture, bound(fixture->a, 4, 18), any, SEGUE_INVALID_ARGUMENT,
          "slot 0 leaves 14 bytes to fill, not a multiple of the pattern's 4");
    check(fixture, bound(fixture->a, 4, 4), any, SEGUE_OUT_OF_RANGE,
          "slot 0 leaves no bytes to fill");
    segue_buffer *view;
    assert_int_equal(segue_buffer_create_view(fixture->a, 2, 100, NULL, &view), SEGUE_OK);
    check(fixture, bound(view, 2, 16), any, SEGUE_OK, NULL);
    check(fixture, bound(view, 0, 16), any, SEGUE_INVALID_ARGUMENT, "byte 6");
    segue_buffer_destroy(view);
}

static void copies_agree_and_do_not_overlap(void **state)
{
    struct record_fixture *fixture = *state;
    segue_buffer *a = fixture->a;
    assert_int_equal(segue_cmd_copy(fixture->recording, in_slot(0, 4, SEGUE_WHOLE_SIZE),
                                    in_slot(1, 0, SEGUE_WHOLE_SIZE)),
                     SEGUE_OK);
    check(fixture, bound(a, 0, 20), bound(fixture->b, 0, 16), SEGUE_OK, NULL);
    check(fixture, bound(a, 0, 20), bound(fixture->b, 0, 17), SEGUE_INVALID_ARGUMENT,
          "the source has 16 bytes, the target 17");
    check(fixture, bound(a, 0, 4), bound(fixture->b, 0, 0), SEGUE_OUT_OF_RANGE, "0 bytes to copy");
    check(fixture, bound(a, 0, 20), bound(a, 20, 16), SEGUE_OK, NULL);
    check(fixture, bound(a, 0, 20), bound(a, 19, 16), SEGUE_INVALID_ARGUMENT, "overlap");
    check(fixture, bound(a, 16, 20), bound(a, 5, 16), SEGUE_INVALID_ARGUMENT, "overlap");
    check(fixture, bound(a, 16, 20), bound(a, 4, 16), SEGUE_OK, NULL);
    check(fixture, bound(fixture->constant, 0, 20), bound(a, 4, 16), SEGUE_OK, NULL);
    check(fixture, bound(a, 0, 20), bound(fixture->constant, 0, 16), SEGUE_INVALID_ACCESS,
          "in slot 1");

    // One side a buffer.
    restart(fixture);
    assert_int_equal(segue_cmd_copy(fixture->recording, part(a, 8, 8), in_slot(0, 0, 8)), SEGUE_OK);
    check(fixture, bound(a, 16, 8), bound(a, 0, 8), SEGUE_OK, NULL);
    check(fixture, bound(a, 15, 8), bound(a, 0, 8), SEGUE_INVALID_ARGUMENT, "overlap");
    // Empty copies overlap nothing.
    restart(fixture);
    assert_int_equal(segue_cmd_copy(fixture->recording, part(a, 8, 0), in_slot(0, 0, 0)), SEGUE_OK);
    check(fixture, bound(a, 8, 8), bound(a, 0, 8), SEGUE_OK, NULL);
}

static void bindings_fit_the_entry_point(void **state)
{
    struct record_fixture *fixture = *state;
    struct segue_buffer_ref bindings[4];
    const struct segue_dispatch dispatch = record_gemv(fixture, bindings);
    bindings[0] = in_slot(0, 16, SEGUE_WHOLE_SIZE);
    bindings[3] = in_slot(1, 3, 1);
    assert_int_equal(segue_cmd_dispatch(fixture->recording, &dispatch), SEGUE_OK);
    check(fixture, bound(fixture->constant, 32, 64), bound(fixture->b, 0, 64), SEGUE_OK, NULL);
    check(fixture, bound(fixture->constant, 32, 16), bound(fixture->b, 0, 64), SEGUE_OK, NULL);
    check(fixture, bound(fixture->constant, 8, 64), bound(fixture->b, 0, 64),
          SEGUE_INVALID_ARGUMENT, "command 0 (dispatch \"gemv\"): buffer \"constant\" in slot 0");
    check(fixture, bound(fixture->a, 0, 64), bound(fixture->constant, 0, 64), SEGUE_INVALID_ACCESS,
          "slot 1 has usage 0x5 and lacks 0x8");
}

static void equal_tables_are_equal(void **state)
{
    struct record_fixture *fixture = *state;
    const struct segue_range base[2] = {bound(fixture->a, 0, 4), bound(fixture->b, 4, 8)};
    const struct segue_binding_table base_table = {.slots = base, .slot_count = 2};
    for (int i = 0; i < 4; i++) {
        struct segue_range other[2] = {base[0], base[1]};
        if (i == 1)
            other[1].object = (uintptr_t)fixture->a;
        else if (i == 2)
            other[1].offset_bytes++;
        else if (i == 3)
            other[1].length_bytes++;
        const struct segue_binding_table other_table = {.slots = other, .slot_count = 2};
        assert_int_equal(segue_table_equal(&base_table, &other_table), i == 0);
    }
    const struct segue_binding_table shorter = {.slots = base, .slot_count = 1};
    const struct segue_binding_table empty = {0};
    assert_false(segue_table_equal(&base_table, &shorter));
    assert_true(segue_table_equal(&empty, &empty));
    for (int i = 0; i < 3; i++) {
        const uint64_t values[2] = {1, 2};
        const uint64_t others[2] = {1, i == 1 ? 3 : 2};
        const struct segue_binding_table a = {.constants = values, .constant_count = 2};
        const struct segue_binding_table b = {.constants = others,
                                              .constant_count = i == 2 ? 1 : 2};
        assert_int_equal(segue_table_equal(&a, &b), i == 0);
    }
}

static void ranges_resolve_through_the_table(void **state)
{
    struct record_fixture *fixture = *state;
    segue_buffer *view;
    assert_int_equal(segue_buffer_create_view(fixture->a, 100, 200, NULL, &view), SEGUE_OK);
    const struct segue_range ranges[1] = {bound(view, 10, 50)};
    const struct segue_binding_table table = {.slots = ranges, .slot_count = 1};
    const struct segue_range whole_slot = {1, 5, SEGUE_WHOLE_SIZE};
    struct segue_resolved_range resolved = segue_range_resolve(&whole_slot, &table);
    assert_ptr_equal(resolved.memory, fixture->a->memory);
    assert_int_equal(resolved.offset_bytes, 115);
    assert_int_equal(resolved.length_bytes, 45);
    assert_int_equal(resolved.device_address, fixture->a->memory->backend.device_address + 115);
    const struct segue_range part_of_slot = {1, 5, 7};
    assert_int_equal(segue_range_resolve(&part_of_slot, &table).length_bytes, 7);
    assert_null(segue_range_resolve(&part_of_slot, NULL).memory);
    const struct segue_range direct = bound(view, 1, 2);
    resolved = segue_range_resolve(&direct, NULL);
    assert_int_equal(resolved.offset_bytes, 101);
    assert_int_equal(resolved.length_bytes, 2);
    segue_buffer_destroy(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(ranges_lie_in_what_is_bound),     test_case(fills_fit_their_pattern),
        test_case(copies_agree_and_do_not_overlap), test_case(bindings_fit_the_entry_point),
        test_case(equal_tables_are_equal),          test_case(ranges_resolve_through_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
