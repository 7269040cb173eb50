// SPDX-License-Identifier: Apache-2.0
// Recording: states, latched failures, what segments hold, lifetimes, programs.
#include "record_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define test_case(function) cmocka_unit_test_setup_teardown(function, record_setup, record_teardown)

static void moves_through_its_states(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *command_buffer;
    assert_int_equal(segue_command_buffer_create(fixture->device, NULL, &command_buffer), SEGUE_OK);
    const struct segue_buffer_ref target = whole(fixture->a);
    // Not begun: refused, and nothing is latched.
    assert_int_equal(segue_cmd_fill(command_buffer, target, 0, 1), SEGUE_INVALID_STATE);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_INVALID_STATE);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_INVALID_STATE);
    assert_int_equal(segue_cmd_fill(command_buffer, target, 0, 1), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    assert_int_equal(command_buffer->state, SEGUE_STATE_ENDED);
    assert_int_equal(segue_cmd_fill(command_buffer, target, 0, 1), SEGUE_INVALID_STATE);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_INVALID_STATE);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_INVALID_STATE);
    assert_int_equal(command_buffer->state, SEGUE_STATE_ENDED);
    assert_int_equal(command_buffer->recording->command_count, 1);
    // Reset makes it new, from any state.
    assert_int_equal(segue_command_buffer_reset(command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_reset(command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_reset(command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    segue_command_buffer_destroy(command_buffer);
    segue_command_buffer_destroy(NULL);
    assert_int_equal(segue_command_buffer_begin(NULL), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_command_buffer_end(NULL), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_command_buffer_reset(NULL), SEGUE_INVALID_ARGUMENT);
}

static void refuses_bad_params(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *command_buffer = NULL;
    const struct segue_command_buffer_params mode = {.mode = (enum segue_execution_mode)3};
    const struct segue_command_buffer_params flags = {.flags = 32};
    const struct segue_command_buffer_params slots = {.slot_count = 65537};
    const struct segue_command_buffer_params most = {.slot_count = 65536};
    assert_int_equal(segue_command_buffer_create(fixture->device, &mode, &command_buffer),
                     SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_command_buffer_create(fixture->device, &flags, &command_buffer),
                     SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_command_buffer_create(fixture->device, &slots, &command_buffer),
                     SEGUE_OUT_OF_RANGE);
    assert_int_equal(segue_command_buffer_create(NULL, NULL, &command_buffer),
                     SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_command_buffer_create(fixture->device, NULL, NULL),
                     SEGUE_INVALID_ARGUMENT);
    assert_null(command_buffer);
    assert_int_equal(segue_command_buffer_create(fixture->device, &most, &command_buffer),
                     SEGUE_OK);
    segue_command_buffer_destroy(command_buffer);
}

static void latches_the_first_failure(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    assert_int_equal(segue_cmd_barrier(recording, NULL), SEGUE_OK);
    assert_int_equal(segue_cmd_fill(recording, part(fixture->a, 5000, 1), 0, 1),
                     SEGUE_OUT_OF_RANGE);
    char first[SEGUE_ERROR_MESSAGE_SIZE];
    strcpy(first, segue_last_error()->message);
    int line = segue_last_error()->line;
    assert_non_null(strstr(first, "command 1 (fill)"));

    // A later failure elsewhere does not replace it; later commands are refused with it.
    assert_int_equal(segue_command_buffer_begin(NULL), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_cmd_barrier(recording, NULL), SEGUE_OUT_OF_RANGE);
    assert_string_equal(segue_last_error()->message, first);
    assert_int_equal(segue_cmd_fill(recording, whole(fixture->a), 0, 3), SEGUE_OUT_OF_RANGE);
    assert_int_equal(recording->recording->command_count, 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(segue_command_buffer_begin(NULL), SEGUE_INVALID_ARGUMENT);
        assert_int_equal(segue_command_buffer_end(recording), SEGUE_OUT_OF_RANGE);
        assert_string_equal(segue_last_error()->message, first);
        assert_int_equal(segue_last_error()->line, line);
    }
    assert_int_equal(segue_command_buffer_begin(recording), SEGUE_INVALID_STATE);
    assert_int_equal(segue_command_buffer_reset(recording), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(recording), SEGUE_OK);
    assert_int_equal(segue_cmd_fill(recording, whole(fixture->a), 0, 1), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(recording), SEGUE_OK);
}

static void latches_what_end_finds(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *command_buffer = record_begin(fixture, NULL);
    assert_int_equal(segue_cmd_begin_group(command_buffer, "outer"), SEGUE_OK);
    assert_int_equal(segue_cmd_begin_group(command_buffer, "inner"), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_INVALID_STATE);
    assert_non_null(strstr(segue_last_error()->message, "2 open debug groups (\"outer/inner\")"));
    assert_int_equal(segue_cmd_end_group(command_buffer), SEGUE_INVALID_STATE);

    assert_int_equal(segue_command_buffer_reset(command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    null_world.fail[NULL_CALL_PROGRAM_CREATE] = SEGUE_DRIVER_ERROR;
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_DRIVER_ERROR);
    null_world.fail[NULL_CALL_PROGRAM_CREATE] = SEGUE_OK;
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_DRIVER_ERROR);
    assert_int_equal(segue_last_error()->driver_result, 700 + NULL_CALL_PROGRAM_CREATE);
    segue_command_buffer_destroy(command_buffer);
}

static void captures_data_now(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    char data[5] = "12345";
    assert_int_equal(segue_cmd_update(recording, part(fixture->a, 3, 5), data), SEGUE_OK);
    assert_int_equal(segue_cmd_update(recording, part(fixture->a, 8, 17), "abcdefghijklmnopq"),
                     SEGUE_OK);
    struct segue_buffer_ref bindings[4];
    unsigned char constants[16] = {9, 8, 7};
    struct segue_dispatch dispatch = record_gemv(fixture, bindings);
    dispatch.constants = constants;
    assert_int_equal(segue_cmd_dispatch(recording, &dispatch), SEGUE_OK);
    memset(data, 'x', sizeof data);
    memset(constants, 0, sizeof constants);
    memset(bindings, 0, sizeof bindings);

    const struct segue_segment *segment = recording->recording->first;
    const struct segue_update_segment *update = (const struct segue_update_segment *)segment;
    assert_memory_equal(update->data, "12345", 5);
    assert_int_equal(update->target.offset_bytes, 3);
    assert_int_equal(update->staging_offset_bytes, 0);
    update = (const struct segue_update_segment *)segment->next;
    assert_int_equal(update->staging_offset_bytes, 16);
    assert_int_equal(recording->recording->inline_data_bytes, 48);
    const struct segue_dispatch_segment *recorded =
        (const struct segue_dispatch_segment *)segment->next->next;
    assert_int_equal(segue_dispatch_constants(recorded)[0], 9);
    assert_ptr_equal(segue_range_buffer(&recorded->bindings[0]), fixture->a);
    assert_int_equal(recorded->bindings[0].offset_bytes, 16);
    assert_int_equal(recorded->bindings[2].length_bytes, RECORD_BUFFER_BYTES);
    assert_int_equal(recorded->block[0], 128);
    assert_int_equal(recorded->grid[1], 2);
}

static void resolves_what_commands_leave_open(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    assert_int_equal(segue_cmd_fill(recording, part(fixture->a, 96, SEGUE_WHOLE_SIZE), 0x1AB, 1),
                     SEGUE_OK);
    assert_int_equal(segue_cmd_fill(recording, whole(fixture->a), 0x71234, 2), SEGUE_OK);
    // Copies take the length that is given.
    assert_int_equal(segue_cmd_copy(recording, part(fixture->a, 0, 100), whole(fixture->b)),
                     SEGUE_OK);
    assert_int_equal(segue_cmd_copy(recording, whole(fixture->a), part(fixture->b, 50, 100)),
                     SEGUE_OK);
    assert_int_equal(segue_cmd_copy(recording, whole(fixture->a), whole(fixture->b)), SEGUE_OK);
    assert_int_equal(
        segue_cmd_copy(recording, in_slot(0, 0, SEGUE_WHOLE_SIZE), in_slot(1, 0, SEGUE_WHOLE_SIZE)),
        SEGUE_OK);
    const struct segue_dispatch cluster = {
        .executable = fixture->executable, .entry_point = RECORD_CLUSTER, .grid = {4, 1, 1}};
    assert_int_equal(segue_cmd_dispatch(recording, &cluster), SEGUE_OK);

    const struct segue_segment *segment = recording->recording->first;
    const struct segue_fill_segment *fill = (const struct segue_fill_segment *)segment;
    assert_int_equal(fill->target.length_bytes, RECORD_BUFFER_BYTES - 96);
    assert_int_equal(fill->base.pattern, 0xABABABAB);
    fill = (const struct segue_fill_segment *)fill->base.next;
    assert_int_equal(fill->base.pattern, 0x12341234);
    const struct segue_copy_segment *copy = (const struct segue_copy_segment *)fill->base.next;
    assert_int_equal(copy->target.length_bytes, 100);
    copy = (const struct segue_copy_segment *)copy->base.next;
    assert_int_equal(copy->source.length_bytes, 100);
    copy = (const struct segue_copy_segment *)copy->base.next;
    assert_int_equal(copy->source.length_bytes, RECORD_BUFFER_BYTES);
    copy = (const struct segue_copy_segment *)copy->base.next;
    assert_true(copy->source.length_bytes == SEGUE_WHOLE_SIZE);
    assert_int_equal(segue_range_slot(&copy->target), 1);
    const struct segue_dispatch_segment *dispatch =
        (const struct segue_dispatch_segment *)copy->base.next;
    assert_int_equal(dispatch->dynamic_shared_bytes, 1000);
    assert_int_equal(dispatch->block[0], 32);
}

static void empty_commands_are_recorded_but_no_work(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    struct segue_buffer_ref bindings[4];
    struct segue_dispatch dispatch = record_gemv(fixture, bindings);
    dispatch.grid[1] = 0;
    assert_int_equal(segue_cmd_fill(recording, part(fixture->a, 4096, 0), 0, 4), SEGUE_OK);
    assert_int_equal(segue_cmd_update(recording, part(fixture->a, 0, 0), NULL), SEGUE_OK);
    assert_int_equal(segue_cmd_copy(recording, part(fixture->a, 7, 0), part(fixture->a, 7, 0)),
                     SEGUE_OK);
    assert_int_equal(segue_cmd_dispatch(recording, &dispatch), SEGUE_OK);
    assert_int_equal(recording->recording->command_count, 4);
    assert_int_equal(recording->recording->work_count, 0);
    assert_int_equal(segue_cmd_fill(recording, part(fixture->a, 0, 4), 0, 4), SEGUE_OK);
    assert_int_equal(recording->recording->work_count, 1);
    const struct segue_segment *segment = recording->recording->first;
    for (uint32_t i = 0; segment; segment = segment->next, i++) {
        assert_int_equal(segment->index, i);
        assert_int_equal(segment->is_empty, i < 4);
    }
}

static void a_dispatch_takes_less_than_200_bytes(void **state)
{
    struct record_fixture *fixture = *state;
    struct segue_buffer_ref bindings[4];
    const struct segue_dispatch dispatch = record_gemv(fixture, bindings);
    assert_int_equal(segue_cmd_dispatch(fixture->recording, &dispatch), SEGUE_OK);
    uint64_t before = fixture->recording->recording->arena.used_bytes;
    assert_int_equal(segue_cmd_dispatch(fixture->recording, &dispatch), SEGUE_OK);
    uint64_t bytes = fixture->recording->recording->arena.used_bytes - before;
    assert_in_range(bytes, 100, 199);
}

static void groups_nest(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    char label[] = "layer0";
    assert_int_equal(segue_cmd_begin_group(recording, label), SEGUE_OK);
    memset(label, 'x', sizeof label - 1);
    assert_int_equal(segue_cmd_begin_group(recording, "mlp"), SEGUE_OK);
    assert_int_equal(segue_cmd_barrier(recording, NULL), SEGUE_OK);
    assert_int_equal(segue_cmd_end_group(recording), SEGUE_OK);
    assert_int_equal(segue_cmd_barrier(recording, NULL), SEGUE_OK);
    assert_int_equal(segue_cmd_end_group(recording), SEGUE_OK);
    assert_int_equal(segue_cmd_barrier(recording, NULL), SEGUE_OK);

    static const char *const described[] = {
        "command 0 (begin group, group \"layer0\")",
        "command 1 (begin group, group \"layer0/mlp\")",
        "command 2 (barrier, group \"layer0/mlp\")",
        "command 3 (end group, group \"layer0/mlp\")",
        "command 4 (barrier, group \"layer0\")",
        "command 5 (end group, group \"layer0\")",
        "command 6 (barrier)",
    };
    const struct segue_segment *segment = recording->recording->first;
    for (int i = 0; segment; segment = segment->next, i++) {
        char text[128];
        segue_recording_describe(recording->recording, segment, text, sizeof text);
        assert_string_equal(text, described[i]);
    }
    // Cut to fit, always terminated, with the full length told.
    char path[8];
    assert_int_equal(segue_recording_group_path(recording->recording, 1, path, sizeof path), 10);
    assert_string_equal(path, "layer0/");
    assert_int_equal(segue_recording_group_path(recording->recording, 1, NULL, 0), 10);
    char exact[16];
    memset(exact, '#', sizeof exact);
    assert_int_equal(segue_recording_group_path(recording->recording, 1, exact, 10), 10);
    assert_memory_equal(exact, "layer0/ml\0######", 16);
    memset(exact, '#', sizeof exact);
    segue_recording_describe(recording->recording, recording->recording->first, exact, 15);
    assert_memory_equal(exact, "command 0 (beg\0#", 16);
    static const char barrier_text[] = "command 6 (barrier)";
    char tight[sizeof barrier_text];
    segue_recording_describe(recording->recording, recording->recording->last, tight,
                             sizeof tight - 1);
    assert_string_equal(tight, "command 6 (barrier");
    segue_recording_describe(recording->recording, recording->recording->last, tight, sizeof tight);
    assert_string_equal(tight, barrier_text);
    assert_int_equal(segue_recording_group_path(recording->recording, SEGUE_NO_GROUP, path, 1), 0);
    assert_string_equal(path, "");
}

static void retains_what_it_recorded(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    const struct segue_buffer_params params = {.size_bytes = 16};
    segue_buffer *buffer;
    assert_int_equal(segue_buffer_create(fixture->device, &params, &buffer), SEGUE_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(segue_cmd_fill(recording, whole(buffer), 0, 1), SEGUE_OK);
    assert_int_equal(recording->recording->resource_count, 1);
    int before = null_world.allocations;
    segue_buffer_destroy(buffer);
    assert_int_equal(null_world.allocations, before);
    assert_int_equal(segue_command_buffer_reset(recording), SEGUE_OK);
    assert_int_equal(null_world.allocations, before - 1);
}

static void records_again_after_reset_with_nothing_left(void **state)
{
    struct record_fixture *fixture = *state;
    const struct segue_command_buffer_params params = {.label = "again"};
    segue_command_buffer *command_buffer = record_begin(fixture, &params);
    const struct segue_recording *first = command_buffer->recording;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(segue_cmd_begin_group(command_buffer, "g"), SEGUE_OK);
        assert_int_equal(segue_cmd_update(command_buffer, part(fixture->a, 0, 4), "data"),
                         SEGUE_OK);
        assert_int_equal(segue_cmd_signal_event(command_buffer, fixture->event), SEGUE_OK);
        assert_int_equal(segue_cmd_end_group(command_buffer), SEGUE_OK);
        assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
        const struct segue_recording *recording = command_buffer->recording;
        assert_ptr_equal(recording, first);
        assert_int_equal(recording->command_count, 4);
        assert_int_equal(recording->work_count, 1);
        assert_int_equal(recording->event_command_count, 1);
        assert_int_equal(recording->group_count, 1);
        assert_int_equal(recording->resource_count, 2);
        assert_int_equal(recording->inline_data_bytes, 16);
        assert_int_equal(recording->event_use_count, 1);
        assert_int_equal(segue_command_buffer_reset(command_buffer), SEGUE_OK);
        assert_int_equal(recording->resource_count, 0);
        assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    }

    // What is in flight keeps its recording; the next one is another.
    assert_int_equal(segue_cmd_fill(command_buffer, whole(fixture->a), 0, 1), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    struct segue_program *program = command_buffer->program;
    segue_program_retain(program);
    assert_int_equal(segue_command_buffer_reset(command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    assert_ptr_not_equal(command_buffer->recording, first);
    assert_int_equal(program->recording->command_count, 1);
    assert_int_equal(command_buffer->recording->command_count, 0);
    segue_program_release(program);
    segue_command_buffer_destroy(command_buffer);
}

static void two_recordings_retain_one_buffer_each(void **state)
{
    struct record_fixture *fixture = *state;
    const struct segue_buffer_params params = {.size_bytes = 16};
    segue_buffer *buffer;
    assert_int_equal(segue_buffer_create(fixture->device, &params, &buffer), SEGUE_OK);
    segue_command_buffer *other = record_begin(fixture, NULL);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(segue_cmd_fill(fixture->recording, whole(buffer), 0, 1), SEGUE_OK);
        assert_int_equal(segue_cmd_fill(other, whole(buffer), 0, 1), SEGUE_OK);
    }
    int before = null_world.allocations;
    segue_buffer_destroy(buffer);
    segue_command_buffer_destroy(other);
    assert_int_equal(null_world.allocations, before);
    assert_int_equal(segue_command_buffer_reset(fixture->recording), SEGUE_OK);
    assert_int_equal(null_world.allocations, before - 1);
}

struct recorder {
    segue_device *device;
    segue_buffer *buffer;
    bool done;
};

/** Records and forgets, again and again. With slots, so that nothing is built. */
static void *record_often(void *context)
{
    struct recorder *recorder = context;
    const struct segue_command_buffer_params params = {.slot_count = 1};
    segue_command_buffer *command_buffer = NULL;
    bool done = segue_command_buffer_create(recorder->device, &params, &command_buffer) == SEGUE_OK;
    for (int i = 0; i < 50 && done; i++) {
        done = segue_command_buffer_begin(command_buffer) == SEGUE_OK;
        for (int k = 0; k < 50 && done; k++)
            done = segue_cmd_fill(command_buffer, whole(recorder->buffer), 0, 1) == SEGUE_OK;
        done = done && segue_command_buffer_end(command_buffer) == SEGUE_OK &&
               segue_command_buffer_reset(command_buffer) == SEGUE_OK;
    }
    segue_command_buffer_destroy(command_buffer);
    recorder->done = done;
    return NULL;
}

static void threads_record_the_same_buffer(void **state)
{
    (void)state;
    segue_device *device = null_device_open(NULL);
    const struct segue_buffer_params params = {.size_bytes = 16};
    segue_buffer *buffer;
    assert_int_equal(segue_buffer_create(device, &params, &buffer), SEGUE_OK);
    struct recorder recorders[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        recorders[i] = (struct recorder){.device = device, .buffer = buffer};
        assert_int_equal(pthread_create(&threads[i], NULL, record_often, &recorders[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_true(recorders[i].done);
    }
    segue_buffer_destroy(buffer);
    assert_int_equal(null_world.allocations, 0);
    segue_device_destroy(device);
    assert_int_equal(null_world.backends, 0);
}

static void unretained_keeps_nothing(void **state)
{
    struct record_fixture *fixture = *state;
    const struct segue_command_buffer_params params = {.flags = SEGUE_COMMAND_BUFFER_UNRETAINED};
    segue_command_buffer *command_buffer = record_begin(fixture, &params);
    struct segue_buffer_ref bindings[4];
    const struct segue_dispatch dispatch = record_gemv(fixture, bindings);
    assert_int_equal(segue_cmd_fill(command_buffer, whole(fixture->a), 0, 1), SEGUE_OK);
    assert_int_equal(segue_cmd_barrier(command_buffer, NULL), SEGUE_OK);
    assert_int_equal(segue_cmd_dispatch(command_buffer, &dispatch), SEGUE_OK);
    assert_int_equal(segue_cmd_signal_event(command_buffer, fixture->event), SEGUE_OK);
    assert_int_equal(command_buffer->recording->resource_count, 0);
    segue_command_buffer_destroy(command_buffer);
}

static void end_resolves_the_mode_and_builds_a_program(void **state)
{
    struct record_fixture *fixture = *state;
    static const struct {
        struct segue_command_buffer_params params;
        int work;
        enum segue_execution_mode expected;
    } cases[] = {
        {{.mode = SEGUE_EXECUTION_AUTO}, 0, SEGUE_EXECUTION_STREAM},
        {{.mode = SEGUE_EXECUTION_AUTO}, 1, SEGUE_EXECUTION_GRAPH},
        {{.flags = SEGUE_COMMAND_BUFFER_ONE_SHOT}, 4, SEGUE_EXECUTION_STREAM},
        {{.mode = SEGUE_EXECUTION_GRAPH}, 0, SEGUE_EXECUTION_GRAPH},
        {{.mode = SEGUE_EXECUTION_STREAM}, 9, SEGUE_EXECUTION_STREAM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        segue_command_buffer *command_buffer = record_begin(fixture, &cases[i].params);
        for (int k = 0; k < cases[i].work; k++)
            assert_int_equal(segue_cmd_fill(command_buffer, part(fixture->a, (uint64_t)k, 1), 0, 1),
                             SEGUE_OK);
        assert_int_equal(segue_cmd_barrier(command_buffer, NULL), SEGUE_OK);
        assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
        assert_int_equal(null_world.programs, 1);
        assert_int_equal(null_world.mode, cases[i].expected);
        assert_int_equal(null_world.node_count, cases[i].work);
        struct segue_command_buffer_stats stats;
        assert_int_equal(segue_command_buffer_get_stats(command_buffer, &stats), SEGUE_OK);
        assert_int_equal(stats.mode, cases[i].expected);
        assert_int_equal(stats.work_count, cases[i].work);
        assert_int_equal(stats.command_count, cases[i].work + 1);
        assert_int_equal(stats.instantiate_ns, 1);
        segue_command_buffer_destroy(command_buffer);
        assert_int_equal(null_world.programs, 0);
    }
}

/** Ends `scopes` scopes of three dispatches, each of which reads all that the scope before wrote.
 */
static enum segue_execution_mode end_one_shot(struct record_fixture *fixture, uint32_t scopes)
{
    const struct segue_command_buffer_params params = {.flags = SEGUE_COMMAND_BUFFER_ONE_SHOT};
    segue_command_buffer *command_buffer = record_begin(fixture, &params);
    for (uint32_t i = 0; i < 3 * scopes; i++) {
        struct segue_buffer_ref bindings[4];
        struct segue_dispatch dispatch = record_gemv(fixture, bindings);
        bindings[0] = part(i / 3 % 2 ? fixture->b : fixture->a, 0, 48);
        bindings[1] = bindings[0];
        bindings[3] = part(i / 3 % 2 ? fixture->a : fixture->b, i % 3 * 16, 16);
        dispatch.duration_ns = 1;
        assert_int_equal(segue_cmd_dispatch(command_buffer, &dispatch), SEGUE_OK);
        if (i % 3 == 2)
            assert_int_equal(segue_cmd_barrier(command_buffer, NULL), SEGUE_OK);
    }
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    struct segue_command_buffer_stats stats;
    assert_int_equal(segue_command_buffer_get_stats(command_buffer, &stats), SEGUE_OK);
    assert_int_equal(null_world.programs, 1);
    assert_int_equal(null_world.mode, stats.mode);
    if (stats.mode == SEGUE_EXECUTION_GRAPH)
        assert_true(stats.edge_count > stats.work_count);
    segue_command_buffer_destroy(command_buffer);
    return stats.mode;
}

/** What runs once is a graph where making one is cheaper than the stream, with its edges. */
static void one_shots_go_by_the_cost_model(void **state)
{
    struct record_fixture *fixture = *state;
    struct segue_cost_model *model = &fixture->device->cost_model;
    // Three microseconds are left of each launch on a stream.
    model->node_ns = 500;
    model->stream_launch_ns = 5000;
    model->graph_launch_ns = 1000;
    model->graph_build_ns = 20000;
    model->graph_build_node_ns = 1500;
    model->graph_build_edge_ns = 1;
    assert_int_equal(end_one_shot(fixture, 2), SEGUE_EXECUTION_STREAM);
    assert_int_equal(end_one_shot(fixture, 20), SEGUE_EXECUTION_GRAPH);
    // Nodes alone would pay, but not with their edges.
    model->graph_build_edge_ns = 100000;
    assert_int_equal(end_one_shot(fixture, 20), SEGUE_EXECUTION_STREAM);
}

/** Acquires as a submission does. */
static segue_status acquire(segue_command_buffer *command_buffer,
                            const struct segue_binding_table *table,
                            struct segue_program **out_program)
{
    pthread_mutex_lock(&command_buffer->device->submission_lock);
    struct segue_acquire acquire = {0};
    segue_status status =
        segue_command_buffer_acquire_program(command_buffer, table, &acquire, out_program);
    pthread_mutex_unlock(&command_buffer->device->submission_lock);
    segue_acquire_finish(&acquire);
    return status;
}

static struct segue_range bound(segue_buffer *buffer, uint64_t offset_bytes, uint64_t length_bytes)
{
    return (struct segue_range){(uintptr_t)buffer, offset_bytes, length_bytes};
}

static void programs_are_made_per_table(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    assert_int_equal(segue_cmd_copy(recording, in_slot(0, 0, 16), in_slot(1, 0, 16)), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(recording), SEGUE_OK);
    assert_int_equal(null_world.programs_made, 0);

    const struct segue_range slots[2] = {bound(fixture->a, 0, 16), bound(fixture->b, 0, 16)};
    const struct segue_range moved[2] = {bound(fixture->a, 0, 16), bound(fixture->b, 8, 16)};
    const struct segue_binding_table table = {.slots = slots, .slot_count = 2};
    const struct segue_binding_table moved_table = {.slots = moved, .slot_count = 2};
    struct segue_program *first, *again, *other;
    assert_int_equal(acquire(recording, &table, &first), SEGUE_OK);
    assert_ptr_equal((void *)null_world.first_slot, fixture->a);
    assert_int_equal(acquire(recording, &table, &again), SEGUE_OK);
    assert_ptr_equal(first, again);
    assert_int_equal(null_world.programs_made, 1);
    assert_int_equal(acquire(recording, &moved_table, &other), SEGUE_OK);
    assert_ptr_not_equal(first, other);
    assert_int_equal(null_world.programs, 2);
    // What is in flight goes on after reset and keeps what it was made for.
    assert_int_equal(segue_command_buffer_reset(recording), SEGUE_OK);
    segue_buffer *b = fixture->b;
    fixture->b = NULL;
    int allocations = null_world.allocations;
    segue_buffer_destroy(b);
    assert_int_equal(null_world.allocations, allocations);
    segue_program_release(first);
    assert_int_equal(null_world.programs, 2);
    segue_program_release(again);
    assert_int_equal(null_world.programs, 1);
    segue_program_release(other);
    assert_int_equal(null_world.programs, 0);
    assert_int_equal(null_world.allocations, allocations - 1);
}

static void without_slots_there_is_one_program(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *command_buffer = record_begin(fixture, NULL);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    const struct segue_range slot = bound(fixture->a, 0, 1);
    const struct segue_binding_table table = {.slots = &slot, .slot_count = 1};
    struct segue_program *program = NULL;
    assert_int_equal(acquire(command_buffer, &table, &program), SEGUE_INVALID_ARGUMENT);
    assert_null(program);
    assert_int_equal(acquire(command_buffer, NULL, &program), SEGUE_OK);
    assert_ptr_equal(program, command_buffer->program);
    assert_int_equal(null_world.programs_made, 1);
    segue_command_buffer_destroy(command_buffer);
    assert_int_equal(null_world.programs, 1);
    segue_program_release(program);
}

static void full_validation_finds_hazards_at_the_end(void **state)
{
    struct record_fixture *fixture = *state;
    for (int ordered = 0; ordered < 2; ordered++) {
        segue_command_buffer *command_buffer = record_begin(fixture, NULL);
        assert_int_equal(segue_cmd_fill(command_buffer, part(fixture->a, 0, 8), 0, 1), SEGUE_OK);
        if (ordered)
            assert_int_equal(segue_cmd_barrier(command_buffer, NULL), SEGUE_OK);
        assert_int_equal(segue_cmd_fill(command_buffer, part(fixture->a, 7, 8), 0, 1), SEGUE_OK);
        assert_int_equal(segue_command_buffer_end(command_buffer),
                         ordered ? SEGUE_OK : SEGUE_HAZARD);
        if (!ordered) {
            assert_non_null(strstr(segue_last_error()->message, "command 0 (fill)"));
            assert_non_null(strstr(segue_last_error()->message, "command 1 (fill)"));
        }
        segue_command_buffer_destroy(command_buffer);
    }
}

static void full_validation_finds_hazards_of_a_table(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    assert_int_equal(segue_cmd_fill(recording, in_slot(0, 0, 8), 0, 1), SEGUE_OK);
    assert_int_equal(segue_cmd_fill(recording, in_slot(1, 0, 8), 0, 1), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(recording), SEGUE_OK);
    const struct segue_range apart[2] = {bound(fixture->a, 0, 8), bound(fixture->a, 8, 8)};
    const struct segue_range alias[2] = {bound(fixture->a, 0, 8), bound(fixture->a, 7, 8)};
    const struct segue_binding_table apart_table = {.slots = apart, .slot_count = 2};
    const struct segue_binding_table alias_table = {.slots = alias, .slot_count = 2};
    struct segue_program *program = NULL;
    assert_int_equal(acquire(recording, &alias_table, &program), SEGUE_HAZARD);
    assert_null(program);
    assert_int_equal(acquire(recording, &apart_table, &program), SEGUE_OK);
    segue_program_release(program);
}

static void basic_validation_leaves_hazards_alone(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *command_buffer = record_begin(fixture, NULL);
    assert_int_equal(segue_cmd_fill(command_buffer, part(fixture->a, 0, 8), 0, 1), SEGUE_OK);
    assert_int_equal(segue_cmd_fill(command_buffer, part(fixture->a, 7, 8), 0, 1), SEGUE_OK);
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    segue_command_buffer_destroy(command_buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(moves_through_its_states),
        test_case(refuses_bad_params),
        test_case(latches_the_first_failure),
        test_case(latches_what_end_finds),
        test_case(captures_data_now),
        test_case(resolves_what_commands_leave_open),
        test_case(empty_commands_are_recorded_but_no_work),
        test_case(a_dispatch_takes_less_than_200_bytes),
        test_case(groups_nest),
        test_case(retains_what_it_recorded),
        test_case(records_again_after_reset_with_nothing_left),
        test_case(two_recordings_retain_one_buffer_each),
        cmocka_unit_test(threads_record_the_same_buffer),
        test_case(unretained_keeps_nothing),
        test_case(end_resolves_the_mode_and_builds_a_program),
        test_case(one_shots_go_by_the_cost_model),
        test_case(programs_are_made_per_table),
        test_case(without_slots_there_is_one_program),
        test_case(basic_validation_leaves_hazards_alone),
        cmocka_unit_test_setup_teardown(full_validation_finds_hazards_at_the_end, record_setup_full,
                                        record_teardown),
        cmocka_unit_test_setup_teardown(full_validation_finds_hazards_of_a_table, record_setup_full,
                                        record_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
