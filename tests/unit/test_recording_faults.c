// SPDX-License-Identifier: Apache-2.0
// Recording under failing allocations: the nth fails, once or with all later ones, for every n.
#include "record_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static segue_status record_commands(struct record_fixture *fixture,
                                    segue_command_buffer *command_buffer)
{
    struct segue_buffer_ref bindings[4];
    struct segue_dispatch dispatch = record_gemv(fixture, bindings);
    bindings[3] = in_slot(0, 0, SEGUE_WHOLE_SIZE);
    const struct segue_buffer_barrier item = {1, 2, part(fixture->b, 0, 8)};
    const struct segue_memory_barrier memory = {1, 2};
    const struct segue_barrier barrier = {.memory_barriers = &memory,
                                          .memory_barrier_count = 1,
                                          .buffer_barriers = &item,
                                          .buffer_barrier_count = 1};
    static const char data[9000] = {0};
    const struct segue_buffer_params large_params = {.size_bytes = sizeof data};
    segue_buffer *large = NULL;
    segue_status status = segue_buffer_create(fixture->device, &large_params, &large);
    if (status == SEGUE_OK)
        status = segue_cmd_begin_group(command_buffer, "layer0");
    if (status == SEGUE_OK)
        status = segue_cmd_fill(command_buffer, part(fixture->a, 512, 512), 0, 4);
    // Larger than half a block: takes one of its own.
    if (status == SEGUE_OK)
        status = segue_cmd_update(command_buffer, whole(large), data);
    if (status == SEGUE_OK)
        status = segue_cmd_barrier(command_buffer, &barrier);
    if (status == SEGUE_OK)
        status = segue_cmd_copy(command_buffer, part(fixture->b, 100, 8), part(fixture->a, 8, 8));
    if (status == SEGUE_OK)
        status = segue_cmd_barrier(command_buffer, NULL);
    for (int i = 0; i < 40 && status == SEGUE_OK; i++) {
        status = segue_cmd_dispatch(command_buffer, &dispatch);
        if (status == SEGUE_OK)
            status = segue_cmd_barrier(command_buffer, NULL);
    }
    if (status == SEGUE_OK)
        status = segue_cmd_signal_event(command_buffer, fixture->event);
    if (status == SEGUE_OK)
        status = segue_cmd_wait_event(command_buffer, fixture->event);
    if (status == SEGUE_OK)
        status = segue_cmd_end_group(command_buffer);
    segue_buffer_destroy(large);
    return status;
}

/** Records a secondary with one slot. */
static segue_status record_secondary(struct record_fixture *fixture,
                                     segue_command_buffer **out_secondary)
{
    const struct segue_command_buffer_params params = {.slot_count = 1, .label = "secondary"};
    segue_status status = segue_command_buffer_create(fixture->device, &params, out_secondary);
    if (status == SEGUE_OK)
        status = segue_command_buffer_begin(*out_secondary);
    if (status == SEGUE_OK)
        status = record_commands(fixture, *out_secondary);
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(*out_secondary);
    return status;
}

/** Submits as far as making a program. */
static segue_status make_program(struct record_fixture *fixture,
                                 segue_command_buffer *command_buffer)
{
    const struct segue_range slot = {(uintptr_t)fixture->host, 0, 64};
    const struct segue_binding_table table = {.slots = &slot, .slot_count = 1};
    struct segue_program *program = NULL;
    pthread_mutex_lock(&fixture->device->submission_lock);
    struct segue_acquire acquire = {0};
    segue_status status =
        segue_command_buffer_acquire_program(command_buffer, &table, &acquire, &program);
    pthread_mutex_unlock(&fixture->device->submission_lock);
    segue_acquire_finish(&acquire);
    segue_program_release(program);
    return status;
}

/** A failure must be latched: end says the same, and nothing else is taken. */
static void check_latched(segue_command_buffer *command_buffer)
{
    if (!command_buffer || command_buffer->state != SEGUE_STATE_FAILED)
        return;
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OUT_OF_HOST_MEMORY);
    assert_int_equal(segue_cmd_barrier(command_buffer, NULL), SEGUE_OUT_OF_HOST_MEMORY);
}

/** Everything once. @return the first failure. */
static segue_status run_all(struct record_fixture *fixture)
{
    const struct segue_command_buffer_params params = {.slot_count = 1, .label = "primary"};
    const struct segue_buffer_ref binding = whole(fixture->host);
    segue_command_buffer *secondary = NULL;
    segue_command_buffer *primary = NULL;
    segue_command_buffer *direct = NULL;
    segue_status status = record_secondary(fixture, &secondary);
    if (status == SEGUE_OK)
        status = segue_command_buffer_create(fixture->device, &params, &primary);
    if (status == SEGUE_OK)
        status = segue_command_buffer_begin(primary);
    if (status == SEGUE_OK)
        status = segue_cmd_execute(primary, secondary, &binding, 1);
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(primary);
    if (status == SEGUE_OK)
        status = make_program(fixture, secondary);
    // Without slots the program is made by end.
    if (status == SEGUE_OK)
        status = segue_command_buffer_create(fixture->device, NULL, &direct);
    if (status == SEGUE_OK)
        status = segue_command_buffer_begin(direct);
    if (status == SEGUE_OK)
        status = segue_cmd_execute(direct, secondary, &binding, 1);
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(direct);
    check_latched(secondary);
    check_latched(primary);
    check_latched(direct);
    if (primary)
        assert_int_equal(segue_command_buffer_reset(primary), SEGUE_OK);
    segue_command_buffer_destroy(direct);
    segue_command_buffer_destroy(primary);
    segue_command_buffer_destroy(secondary);
    return status;
}

static void survives(void **state, bool forever)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer_destroy(fixture->recording);
    fixture->recording = NULL;
    bool failed = true;
    uint64_t points = 0;
    for (uint64_t n = 1; failed; n++, points++) {
        int64_t live = fixture->memory.live;
        int allocations = null_world.allocations;
        null_allocator_fail(&fixture->memory, n, forever);
        segue_status status = run_all(fixture);
        failed = fixture->memory.failed != 0;
        null_allocator_fail(&fixture->memory, 0, false);
        assert_int_equal(status, failed ? SEGUE_OUT_OF_HOST_MEMORY : SEGUE_OK);
        assert_int_equal(fixture->memory.live, live);
        assert_int_equal(null_world.allocations, allocations);
        assert_int_equal(null_world.programs, 0);
        // The device is as good as before.
        if (n % 16 == 1)
            assert_int_equal(run_all(fixture), SEGUE_OK);
    }
    assert_true(points > 40);
}

static void one_failing_allocation(void **state)
{
    survives(state, false);
}

static void all_later_allocations_failing(void **state)
{
    survives(state, true);
}

/** Records one command of that kind, on `buffer` where it has one. */
static segue_status record_one(struct record_fixture *fixture, segue_command_buffer *command_buffer,
                               int kind, segue_buffer *buffer)
{
    const struct segue_buffer_ref ref = part(buffer, 0, 8);
    const struct segue_dispatch dispatch = record_free(fixture, &ref);
    const struct segue_buffer_barrier item = {1, 2, ref};
    const struct segue_barrier barrier = {.buffer_barriers = &item, .buffer_barrier_count = 1};
    switch (kind) {
    case SEGUE_COMMAND_FILL:
        return segue_cmd_fill(command_buffer, ref, 0, 1);
    case SEGUE_COMMAND_UPDATE:
        return segue_cmd_update(command_buffer, ref, "12345678");
    case SEGUE_COMMAND_COPY:
        return segue_cmd_copy(command_buffer, ref, part(buffer, 8, 8));
    case SEGUE_COMMAND_DISPATCH:
        return segue_cmd_dispatch(command_buffer, &dispatch);
    case SEGUE_COMMAND_BARRIER:
        return segue_cmd_barrier(command_buffer, &barrier);
    case SEGUE_COMMAND_SIGNAL_EVENT:
        return segue_cmd_signal_event(command_buffer, fixture->event);
    case SEGUE_COMMAND_RESET_EVENT:
        return segue_cmd_reset_event(command_buffer, fixture->event);
    case SEGUE_COMMAND_WAIT_EVENT:
        return segue_cmd_wait_event(command_buffer, fixture->event);
    case SEGUE_COMMAND_BEGIN_GROUP:
        return segue_cmd_begin_group(command_buffer, "group");
    default:
        return segue_cmd_end_group(command_buffer);
    }
}

/** The command must have failed for want of memory, and that must stick. */
static void check_out_of_memory(struct record_fixture *fixture,
                                segue_command_buffer *command_buffer, segue_status status)
{
    assert_int_equal(status, SEGUE_OUT_OF_HOST_MEMORY);
    assert_int_equal(command_buffer->state, SEGUE_STATE_FAILED);
    null_allocator_fail(&fixture->memory, 0, false);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OUT_OF_HOST_MEMORY);
    segue_command_buffer_destroy(command_buffer);
}

static void no_room_for_a_segment(void **state)
{
    struct record_fixture *fixture = *state;
    for (int kind = SEGUE_COMMAND_FILL; kind <= SEGUE_COMMAND_END_GROUP; kind++) {
        segue_command_buffer *command_buffer = record_begin(fixture, NULL);
        // Everything that the commands keep besides segments is there before memory runs out.
        if (kind < SEGUE_COMMAND_BEGIN_GROUP)
            assert_int_equal(record_one(fixture, command_buffer, kind, fixture->a), SEGUE_OK);
        for (int i = 0; i < 64; i++)
            assert_int_equal(segue_cmd_begin_group(command_buffer, "open"), SEGUE_OK);
        for (int i = 0; i < 63 && kind == SEGUE_COMMAND_BEGIN_GROUP; i++)
            assert_int_equal(segue_cmd_end_group(command_buffer), SEGUE_OK);
        null_allocator_fail(&fixture->memory, 1, true);
        segue_status status = SEGUE_OK;
        // Groups are the smallest segments and run out of groups first: use up the rest before.
        struct segue_arena *arena = &command_buffer->recording->arena;
        if (kind >= SEGUE_COMMAND_BEGIN_GROUP)
            assert_non_null(segue_arena_allocate(arena, (size_t)(arena->end - arena->cursor)));
        for (int i = 0; i < 1000 && status == SEGUE_OK; i++)
            status = record_one(fixture, command_buffer, kind, fixture->a);
        check_out_of_memory(fixture, command_buffer, status);
    }
}

static void no_room_to_retain(void **state)
{
    struct record_fixture *fixture = *state;
    // The array of retained objects begins with room for 8.
    segue_buffer *buffers[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(
            segue_buffer_create_view(fixture->a, 64 * (uint64_t)i, 64, NULL, &buffers[i]),
            SEGUE_OK);
    for (int kind = SEGUE_COMMAND_FILL; kind <= SEGUE_COMMAND_WAIT_EVENT; kind++) {
        segue_command_buffer *command_buffer = record_begin(fixture, NULL);
        for (int i = 0; i < 8; i++)
            assert_int_equal(segue_cmd_fill(command_buffer, whole(buffers[i]), 0, 1), SEGUE_OK);
        assert_int_equal(command_buffer->recording->resource_count, 8);
        null_allocator_fail(&fixture->memory, 1, true);
        segue_status status = record_one(fixture, command_buffer, kind, fixture->b);
        assert_int_equal(fixture->memory.failed, 1);
        check_out_of_memory(fixture, command_buffer, status);
    }
    // The dispatch's buffers are known already: it is the executable that cannot be retained.
    segue_command_buffer *command_buffer = record_begin(fixture, NULL);
    for (int i = 0; i < 8; i++)
        assert_int_equal(segue_cmd_fill(command_buffer, whole(buffers[i]), 0, 1), SEGUE_OK);
    null_allocator_fail(&fixture->memory, 1, true);
    check_out_of_memory(fixture, command_buffer,
                        record_one(fixture, command_buffer, SEGUE_COMMAND_DISPATCH, buffers[0]));
    for (int i = 0; i < 8; i++)
        segue_buffer_destroy(buffers[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_room_for_a_segment, record_setup, record_teardown),
        cmocka_unit_test_setup_teardown(no_room_to_retain, record_setup, record_teardown),
        cmocka_unit_test_setup_teardown(one_failing_allocation, record_setup, record_teardown),
        cmocka_unit_test_setup_teardown(all_later_allocations_failing, record_setup,
                                        record_teardown),
        cmocka_unit_test_setup_teardown(one_failing_allocation, record_setup_full, record_teardown),
        cmocka_unit_test_setup_teardown(all_later_allocations_failing, record_setup_full,
                                        record_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
