// SPDX-License-Identifier: Apache-2.0
// Secondary command buffers recorded into primaries.
#include "record_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define test_case(function) cmocka_unit_test_setup_teardown(function, record_setup, record_teardown)

/** An ended secondary with 2 slots and one command of each kind. */
static segue_command_buffer *record_secondary(struct record_fixture *fixture)
{
    const struct segue_command_buffer_params params = {.slot_count = 2, .label = "layer"};
    segue_command_buffer *secondary = record_begin(fixture, &params);
    struct segue_buffer_ref bindings[4];
    const struct segue_dispatch dispatch = record_gemv(fixture, bindings);
    bindings[1] = in_slot(0, 4, SEGUE_WHOLE_SIZE);
    bindings[3] = in_slot(1, 8, 8);
    const struct segue_memory_barrier memory = {1, 2};
    const struct segue_buffer_barrier item = {4, 8, in_slot(1, 0, SEGUE_WHOLE_SIZE)};
    const struct segue_barrier barrier = {.memory_barriers = &memory,
                                          .memory_barrier_count = 1,
                                          .buffer_barriers = &item,
                                          .buffer_barrier_count = 1};
    assert_int_equal(segue_cmd_begin_group(secondary, "norm"), SEGUE_OK);
    assert_int_equal(segue_cmd_fill(secondary, in_slot(1, 16, SEGUE_WHOLE_SIZE), 0xAB, 1),
                     SEGUE_OK);
    assert_int_equal(segue_cmd_update(secondary, in_slot(0, 0, 4), "data"), SEGUE_OK);
    assert_int_equal(segue_cmd_copy(secondary, in_slot(0, 0, 4), in_slot(1, 0, 4)), SEGUE_OK);
    assert_int_equal(segue_cmd_signal_event(secondary, fixture->event), SEGUE_OK);
    assert_int_equal(segue_cmd_end_group(secondary), SEGUE_OK);
    assert_int_equal(segue_cmd_barrier(secondary, &barrier), SEGUE_OK);
    assert_int_equal(segue_cmd_wait_event(secondary, fixture->event), SEGUE_OK);
    assert_int_equal(segue_cmd_reset_event(secondary, fixture->event), SEGUE_OK);
    assert_int_equal(segue_cmd_dispatch(secondary, &dispatch), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(secondary), SEGUE_OK);
    return secondary;
}

static const struct segue_segment *segment_at(const segue_command_buffer *command_buffer,
                                              uint32_t index)
{
    const struct segue_segment *segment = command_buffer->recording->first;
    while (segment->index != index)
        segment = segment->next;
    return segment;
}

static void records_every_command_again(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *primary = fixture->recording;
    segue_command_buffer *secondary = record_secondary(fixture);
    const struct segue_buffer_ref bindings[2] = {part(fixture->a, 64, 32),
                                                 in_slot(1, 256, SEGUE_WHOLE_SIZE)};
    assert_int_equal(segue_cmd_update(primary, part(fixture->b, 0, 4), "1234"), SEGUE_OK);
    assert_int_equal(segue_cmd_begin_group(primary, "layer0"), SEGUE_OK);
    assert_int_equal(segue_cmd_execute(primary, secondary, bindings, 2), SEGUE_OK);
    assert_int_equal(segue_cmd_end_group(primary), SEGUE_OK);
    // Nothing of the secondary is needed any more.
    segue_command_buffer_destroy(secondary);
    assert_int_equal(segue_command_buffer_end(primary), SEGUE_OK);
    const struct segue_recording *recording = primary->recording;
    assert_int_equal(recording->command_count, 13);
    assert_int_equal(recording->work_count, 5);

    static const uint8_t kinds[] = {
        SEGUE_COMMAND_UPDATE,       SEGUE_COMMAND_BEGIN_GROUP, SEGUE_COMMAND_BEGIN_GROUP,
        SEGUE_COMMAND_FILL,         SEGUE_COMMAND_UPDATE,      SEGUE_COMMAND_COPY,
        SEGUE_COMMAND_SIGNAL_EVENT, SEGUE_COMMAND_END_GROUP,   SEGUE_COMMAND_BARRIER,
        SEGUE_COMMAND_WAIT_EVENT,   SEGUE_COMMAND_RESET_EVENT, SEGUE_COMMAND_DISPATCH,
        SEGUE_COMMAND_END_GROUP,
    };
    uint32_t index = 0;
    for (const struct segue_segment *segment = recording->first; segment; segment = segment->next)
        assert_int_equal(segment->kind, kinds[index++]);

    const struct segue_fill_segment *fill =
        (const struct segue_fill_segment *)segment_at(primary, 3);
    assert_int_equal(segue_range_slot(&fill->target), 1);
    assert_int_equal(fill->target.offset_bytes, 272);
    assert_true(fill->target.length_bytes == SEGUE_WHOLE_SIZE);
    assert_int_equal(fill->base.pattern, 0xABABABAB);
    const struct segue_update_segment *update =
        (const struct segue_update_segment *)segment_at(primary, 4);
    assert_ptr_equal(segue_range_buffer(&update->target), fixture->a);
    assert_int_equal(update->target.offset_bytes, 64);
    assert_memory_equal(update->data, "data", 4);
    assert_int_equal(update->staging_offset_bytes, 16);
    const struct segue_dispatch_segment *dispatch =
        (const struct segue_dispatch_segment *)segment_at(primary, 11);
    assert_ptr_equal(segue_range_buffer(&dispatch->bindings[0]), fixture->a);
    assert_int_equal(dispatch->bindings[0].offset_bytes, 16);
    assert_ptr_equal(segue_range_buffer(&dispatch->bindings[1]), fixture->a);
    assert_int_equal(dispatch->bindings[1].offset_bytes, 68);
    assert_int_equal(dispatch->bindings[1].length_bytes, 28);
    assert_true(segue_range_is_slot(&dispatch->bindings[3]));
    assert_int_equal(dispatch->bindings[3].offset_bytes, 264);
    assert_int_equal(segue_dispatch_constants(dispatch)[15], 16);
    const struct segue_barrier_segment *barrier =
        (const struct segue_barrier_segment *)segment_at(primary, 8);
    assert_int_equal(segue_barrier_memory_barriers(barrier)[0].target, 2);
    assert_int_equal(barrier->buffer_barriers[0].range.offset_bytes, 256);

    char path[64];
    segue_recording_group_path(recording, segment_at(primary, 5)->group, path, sizeof path);
    assert_string_equal(path, "layer0/norm");
    segue_recording_group_path(recording, segment_at(primary, 11)->group, path, sizeof path);
    assert_string_equal(path, "layer0");
}

/** One fill of slot 0 of a secondary. */
static segue_command_buffer *fill_secondary(struct record_fixture *fixture,
                                            struct segue_buffer_ref target)
{
    const struct segue_command_buffer_params params = {.slot_count = 1, .label = "filler"};
    segue_command_buffer *secondary = record_begin(fixture, &params);
    assert_int_equal(segue_cmd_begin_group(secondary, "inside"), SEGUE_OK);
    assert_int_equal(segue_cmd_fill(secondary, target, 0, 4), SEGUE_OK);
    assert_int_equal(segue_cmd_end_group(secondary), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(secondary), SEGUE_OK);
    return secondary;
}

static void bindings_are_checked_at_every_use(void **state)
{
    struct record_fixture *fixture = *state;
    const struct {
        struct segue_buffer_ref target;
        struct segue_buffer_ref binding;
        segue_status expected;
        const char *message;
    } cases[] = {
        {in_slot(0, 8, 8), part(fixture->a, 0, 16), SEGUE_OK, NULL},
        {in_slot(0, 8, SEGUE_WHOLE_SIZE), part(fixture->a, 0, 8), SEGUE_OK, NULL},
        {in_slot(0, 8, 8), whole(fixture->a), SEGUE_OK, NULL},
        {in_slot(0, 8, 8), in_slot(1, 8, 16), SEGUE_OK, NULL},
        {in_slot(0, 8, 8), part(fixture->a, 0, 15), SEGUE_OUT_OF_RANGE,
         "command 1 (fill, group \"inside\") of secondary \"filler\": slot 0 is used at offset 8, "
         "length 8, but only 15 bytes"},
        {in_slot(0, 8, 0), part(fixture->a, 0, 7), SEGUE_OUT_OF_RANGE, "only 7 bytes"},
        {in_slot(0, 8, 8), part(fixture->a, 4088, SEGUE_WHOLE_SIZE), SEGUE_OUT_OF_RANGE,
         "only 8 bytes"},
        {in_slot(0, 8, 8), in_slot(1, 0, 15), SEGUE_OUT_OF_RANGE, "only 15 bytes"},
        {in_slot(0, 8, SEGUE_WHOLE_SIZE), in_slot(1, UINT64_MAX - 7, SEGUE_WHOLE_SIZE),
         SEGUE_OUT_OF_RANGE, "slot 0 is used at offset 8"},
        {in_slot(0, 8, 8), part(fixture->a, 2, 20), SEGUE_INVALID_ARGUMENT,
         "secondary \"filler\": target, buffer \"a\": offset 10"},
        {in_slot(0, 8, SEGUE_WHOLE_SIZE), part(fixture->a, 0, 17), SEGUE_INVALID_ARGUMENT,
         "length 9"},
        {in_slot(0, 8, 8), whole(fixture->constant), SEGUE_INVALID_ACCESS, "constant memory"},
        {in_slot(0, 8, 8), part(fixture->a, 0, 5000), SEGUE_OUT_OF_RANGE,
         "command 0 (execute): binding 0, buffer \"a\""},
        {in_slot(0, 8, 8), in_slot(2, 0, 16), SEGUE_OUT_OF_RANGE, "slot 2 of 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        segue_command_buffer *secondary = fill_secondary(fixture, cases[i].target);
        assert_int_equal(segue_cmd_execute(fixture->recording, secondary, &cases[i].binding, 1),
                         cases[i].expected);
        if (cases[i].message && !strstr(segue_last_error()->message, cases[i].message))
            fail_msg("\"%s\" does not contain \"%s\"", segue_last_error()->message,
                     cases[i].message);
        assert_int_equal(fixture->recording->state,
                         cases[i].message ? SEGUE_STATE_FAILED : SEGUE_STATE_RECORDING);
        assert_int_equal(segue_command_buffer_reset(fixture->recording), SEGUE_OK);
        assert_int_equal(segue_command_buffer_begin(fixture->recording), SEGUE_OK);
        segue_command_buffer_destroy(secondary);
    }
}

static void refuses_what_cannot_be_executed(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *primary = fixture->recording;
    segue_command_buffer *secondary = fill_secondary(fixture, in_slot(0, 0, 4));
    segue_command_buffer *open = record_begin(fixture, NULL);
    const struct segue_buffer_ref binding = whole(fixture->a);
    const struct {
        segue_command_buffer *secondary;
        const struct segue_buffer_ref *bindings;
        uint32_t count;
        segue_status expected;
    } cases[] = {
        {NULL, NULL, 0, SEGUE_INVALID_ARGUMENT},
        {open, NULL, 0, SEGUE_INVALID_STATE},
        {primary, &binding, 2, SEGUE_INVALID_STATE},
        {secondary, NULL, 0, SEGUE_INVALID_ARGUMENT},
        {secondary, NULL, 1, SEGUE_INVALID_ARGUMENT},
        {secondary, &binding, 2, SEGUE_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            segue_cmd_execute(primary, cases[i].secondary, cases[i].bindings, cases[i].count),
            cases[i].expected);
        assert_non_null(strstr(segue_last_error()->message, "command 0 (execute)"));
        assert_int_equal(segue_command_buffer_reset(primary), SEGUE_OK);
        assert_int_equal(segue_command_buffer_begin(primary), SEGUE_OK);
    }
    // Groups of the secondary count towards the depth.
    for (int i = 0; i < 64; i++)
        assert_int_equal(segue_cmd_begin_group(primary, "g"), SEGUE_OK);
    assert_int_equal(segue_cmd_execute(primary, secondary, &binding, 1), SEGUE_OUT_OF_RANGE);
    segue_command_buffer_destroy(open);
    segue_command_buffer_destroy(secondary);
}

static void an_unretained_secondary_is_retained_by_the_primary(void **state)
{
    struct record_fixture *fixture = *state;
    const struct segue_command_buffer_params params = {.flags = SEGUE_COMMAND_BUFFER_UNRETAINED};
    segue_command_buffer *secondary = record_begin(fixture, &params);
    const struct segue_buffer_params buffer_params = {.size_bytes = 16};
    segue_buffer *buffer;
    assert_int_equal(segue_buffer_create(fixture->device, &buffer_params, &buffer), SEGUE_OK);
    assert_int_equal(segue_cmd_fill(secondary, whole(buffer), 0, 1), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(secondary), SEGUE_OK);
    assert_int_equal(segue_cmd_execute(fixture->recording, secondary, NULL, 0), SEGUE_OK);
    segue_command_buffer_destroy(secondary);
    int before = null_world.allocations;
    segue_buffer_destroy(buffer);
    assert_int_equal(null_world.allocations, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(records_every_command_again),
        test_case(bindings_are_checked_at_every_use),
        test_case(refuses_what_cannot_be_executed),
        test_case(an_unretained_secondary_is_retained_by_the_primary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
