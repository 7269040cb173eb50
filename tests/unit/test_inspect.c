// SPDX-License-Identifier: Apache-2.0
// Visiting commands, statistics, info, and what the passes ask of segments.
#include "record_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define test_case(function) cmocka_unit_test_setup_teardown(function, record_setup, record_teardown)

/** Checks each command against what record_all recorded. */
struct visit {
    struct record_fixture *fixture;
    uint32_t count;
    uint32_t stop_after;
};

static void record_all(struct record_fixture *fixture)
{
    segue_command_buffer *recording = fixture->recording;
    struct segue_buffer_ref bindings[4];
    struct segue_dispatch dispatch = record_gemv(fixture, bindings);
    bindings[1] = in_slot(1, 24, SEGUE_WHOLE_SIZE);
    const struct segue_memory_barrier memory[2] = {{1, 2}, {4, 8}};
    const struct segue_buffer_barrier item = {2, 4, part(fixture->b, 8, 16)};
    const struct segue_barrier barrier = {.flags = SEGUE_BARRIER_EXECUTION,
                                          .memory_barriers = memory,
                                          .memory_barrier_count = 2,
                                          .buffer_barriers = &item,
                                          .buffer_barrier_count = 1};
    assert_int_equal(segue_cmd_begin_group(recording, "layer0"), SEGUE_OK);
    assert_int_equal(segue_cmd_begin_group(recording, "attention"), SEGUE_OK);
    assert_int_equal(segue_cmd_fill(recording, part(fixture->a, 2, 4), 0x1234, 2), SEGUE_OK);
    assert_int_equal(segue_cmd_end_group(recording), SEGUE_OK);
    assert_int_equal(segue_cmd_update(recording, part(fixture->a, 0, 4), "data"), SEGUE_OK);
    assert_int_equal(segue_cmd_copy(recording, part(fixture->a, 0, 4), whole(fixture->b)),
                     SEGUE_OK);
    assert_int_equal(segue_cmd_dispatch(recording, &dispatch), SEGUE_OK);
    assert_int_equal(segue_cmd_end_group(recording), SEGUE_OK);
    assert_int_equal(segue_cmd_barrier(recording, &barrier), SEGUE_OK);
    assert_int_equal(segue_cmd_barrier(recording, NULL), SEGUE_OK);
    assert_int_equal(segue_cmd_signal_event(recording, fixture->event), SEGUE_OK);
    assert_int_equal(segue_cmd_wait_event(recording, fixture->event), SEGUE_OK);
    assert_int_equal(segue_cmd_reset_event(recording, fixture->event), SEGUE_OK);
}

static bool check_command(void *context, const struct segue_command_info *command)
{
    static const struct {
        enum segue_command_kind kind;
        const char *path;
    } expected[] = {
        {SEGUE_COMMAND_BEGIN_GROUP, ""},
        {SEGUE_COMMAND_BEGIN_GROUP, "layer0"},
        {SEGUE_COMMAND_FILL, "layer0/attention"},
        {SEGUE_COMMAND_END_GROUP, "layer0"},
        {SEGUE_COMMAND_UPDATE, "layer0"},
        {SEGUE_COMMAND_COPY, "layer0"},
        {SEGUE_COMMAND_DISPATCH, "layer0"},
        {SEGUE_COMMAND_END_GROUP, ""},
        {SEGUE_COMMAND_BARRIER, ""},
        {SEGUE_COMMAND_BARRIER, ""},
        {SEGUE_COMMAND_SIGNAL_EVENT, ""},
        {SEGUE_COMMAND_WAIT_EVENT, ""},
        {SEGUE_COMMAND_RESET_EVENT, ""},
    };
    struct visit *visit = context;
    struct record_fixture *fixture = visit->fixture;
    assert_int_equal(command->index, visit->count);
    assert_int_equal(command->kind, expected[visit->count].kind);
    assert_string_equal(command->group_path, expected[visit->count].path);
    switch (visit->count) {
    case 0:
    case 7:
        assert_string_equal(command->as.group_label, "layer0");
        break;
    case 1:
    case 3:
        assert_string_equal(command->as.group_label, "attention");
        break;
    case 2:
        assert_ptr_equal(command->as.fill.target.buffer, fixture->a);
        assert_int_equal(command->as.fill.target.offset_bytes, 2);
        assert_int_equal(command->as.fill.pattern, 0x1234);
        assert_int_equal(command->as.fill.pattern_size_bytes, 2);
        break;
    case 4:
        assert_int_equal(command->as.update.target.length_bytes, 4);
        assert_memory_equal(command->as.update.data, "data", 4);
        break;
    case 5:
        assert_ptr_equal(command->as.copy.source.buffer, fixture->a);
        assert_ptr_equal(command->as.copy.target.buffer, fixture->b);
        assert_int_equal(command->as.copy.target.length_bytes, 4);
        break;
    case 6:
        assert_ptr_equal(command->as.dispatch.executable, fixture->executable);
        assert_int_equal(command->as.dispatch.entry_point, RECORD_GEMV);
        assert_int_equal(command->as.dispatch.block[0], 128);
        assert_int_equal(command->as.dispatch.grid[0], 7);
        assert_int_equal(command->as.dispatch.binding_count, 4);
        assert_null(command->as.dispatch.bindings[1].buffer);
        assert_int_equal(command->as.dispatch.bindings[1].slot, 1);
        assert_int_equal(command->as.dispatch.bindings[1].offset_bytes, 24);
        assert_true(command->as.dispatch.bindings[1].length_bytes == SEGUE_WHOLE_SIZE);
        assert_int_equal(command->as.dispatch.bindings[3].length_bytes, RECORD_BUFFER_BYTES);
        assert_int_equal(command->as.dispatch.constants_size_bytes, 16);
        assert_int_equal(((const char *)command->as.dispatch.constants)[15], 16);
        break;
    case 8:
        assert_int_equal(command->as.barrier.flags, SEGUE_BARRIER_EXECUTION);
        assert_int_equal(command->as.barrier.memory_barrier_count, 2);
        assert_int_equal(command->as.barrier.memory_barriers[1].target, 8);
        assert_int_equal(command->as.barrier.buffer_barrier_count, 1);
        assert_int_equal(command->as.barrier.buffer_barriers[0].source, 2);
        assert_ptr_equal(command->as.barrier.buffer_barriers[0].range.buffer, fixture->b);
        assert_int_equal(command->as.barrier.buffer_barriers[0].range.length_bytes, 16);
        break;
    case 9:
        assert_int_equal(command->as.barrier.flags, SEGUE_BARRIER_EXECUTION);
        assert_int_equal(command->as.barrier.memory_barrier_count, 0);
        break;
    case 10:
    case 11:
    case 12:
        assert_ptr_equal(command->as.event, fixture->event);
        break;
    default:
        break;
    }
    visit->count++;
    return visit->count != visit->stop_after;
}

static void visits_every_command(void **state)
{
    struct record_fixture *fixture = *state;
    struct visit visit = {.fixture = fixture};
    record_all(fixture);
    assert_int_equal(segue_command_buffer_visit(fixture->recording, check_command, &visit),
                     SEGUE_INVALID_STATE);
    assert_int_equal(segue_command_buffer_end(fixture->recording), SEGUE_OK);
    assert_int_equal(segue_command_buffer_visit(fixture->recording, check_command, &visit),
                     SEGUE_OK);
    assert_int_equal(visit.count, 13);
    visit = (struct visit){.fixture = fixture, .stop_after = 3};
    assert_int_equal(segue_command_buffer_visit(fixture->recording, check_command, &visit),
                     SEGUE_OK);
    assert_int_equal(visit.count, 3);
    assert_int_equal(segue_command_buffer_visit(fixture->recording, NULL, NULL),
                     SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_command_buffer_visit(NULL, check_command, &visit),
                     SEGUE_INVALID_ARGUMENT);
}

static void visits_under_failing_allocations(void **state)
{
    struct record_fixture *fixture = *state;
    record_all(fixture);
    assert_int_equal(segue_command_buffer_end(fixture->recording), SEGUE_OK);
    for (int forever = 0; forever < 2; forever++) {
        bool failed = true;
        for (uint64_t n = 1; failed; n++) {
            struct visit visit = {.fixture = fixture};
            int64_t live = fixture->memory.live;
            null_allocator_fail(&fixture->memory, n, forever != 0);
            segue_status status =
                segue_command_buffer_visit(fixture->recording, check_command, &visit);
            failed = fixture->memory.failed != 0;
            null_allocator_fail(&fixture->memory, 0, false);
            assert_int_equal(status, failed ? SEGUE_OUT_OF_HOST_MEMORY : SEGUE_OK);
            assert_int_equal(fixture->memory.live, live);
        }
    }
}

static void reports_statistics(void **state)
{
    struct record_fixture *fixture = *state;
    struct segue_command_buffer_stats stats;
    record_all(fixture);
    assert_int_equal(segue_command_buffer_get_stats(fixture->recording, &stats),
                     SEGUE_INVALID_STATE);
    assert_int_equal(segue_command_buffer_end(fixture->recording), SEGUE_OK);
    assert_int_equal(segue_command_buffer_get_stats(fixture->recording, &stats), SEGUE_OK);
    assert_int_equal(stats.mode, SEGUE_EXECUTION_GRAPH);
    assert_int_equal(stats.command_count, 13);
    assert_int_equal(stats.work_count, 4);
    assert_true(stats.recorded_bytes > 13 * sizeof(struct segue_segment));
    assert_true(stats.reserved_bytes >= stats.recorded_bytes);
    assert_true(stats.record_ns > 0);
    // With slots, the rest comes with the first table.
    assert_int_equal(stats.node_count, 0);
    assert_int_equal(segue_command_buffer_get_stats(NULL, &stats), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_command_buffer_get_stats(fixture->recording, NULL),
                     SEGUE_INVALID_ARGUMENT);
}

static void says_what_it_was_created_with(void **state)
{
    struct record_fixture *fixture = *state;
    const struct segue_command_buffer_params params = {
        .flags = SEGUE_COMMAND_BUFFER_ONE_SHOT, .slot_count = 9, .label = "prefill"};
    segue_command_buffer *command_buffer;
    assert_int_equal(segue_command_buffer_create(fixture->device, &params, &command_buffer),
                     SEGUE_OK);
    struct segue_command_buffer_info info;
    segue_command_buffer_get_info(command_buffer, &info);
    assert_ptr_equal(info.device, fixture->device);
    assert_int_equal(info.flags, SEGUE_COMMAND_BUFFER_ONE_SHOT);
    assert_int_equal(info.slot_count, 9);
    assert_string_equal(info.label, "prefill");
    segue_command_buffer_destroy(command_buffer);
}

static void segments_say_what_they_access(void **state)
{
    struct record_fixture *fixture = *state;
    segue_command_buffer *recording = fixture->recording;
    const uint32_t reads = SEGUE_ACCESS_MASK_DISPATCH_READ;
    const uint32_t writes = SEGUE_ACCESS_MASK_DISPATCH_WRITE;
    struct segue_buffer_ref bindings[4];
    const struct segue_dispatch gemv = record_gemv(fixture, bindings);
    const struct segue_buffer_ref binding = part(fixture->a, 4, 8);
    const struct segue_dispatch free_dispatch = record_free(fixture, &binding);
    const struct segue_dispatch opaque = {.executable = fixture->executable,
                                          .entry_point = RECORD_OPAQUE,
                                          .grid = {1, 1, 1},
                                          .constants = "12345678",
                                          .constants_size_bytes = 8};
    assert_int_equal(segue_cmd_fill(recording, binding, 0, 1), SEGUE_OK);
    assert_int_equal(segue_cmd_update(recording, binding, "12345678"), SEGUE_OK);
    assert_int_equal(segue_cmd_copy(recording, binding, whole(fixture->b)), SEGUE_OK);
    assert_int_equal(segue_cmd_dispatch(recording, &gemv), SEGUE_OK);
    assert_int_equal(segue_cmd_dispatch(recording, &free_dispatch), SEGUE_OK);
    assert_int_equal(segue_cmd_dispatch(recording, &opaque), SEGUE_OK);
    assert_int_equal(segue_cmd_barrier(recording, NULL), SEGUE_OK);

    const uint32_t counts[] = {1, 1, 2, 4, 1, 0, 0};
    const uint32_t masks[] = {SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                              SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                              SEGUE_ACCESS_MASK_TRANSFER_READ | SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                              reads | writes,
                              reads | writes,
                              SEGUE_ACCESS_MASK_ALL,
                              0};
    const struct segue_segment *segment = recording->recording->first;
    for (int i = 0; segment; segment = segment->next, i++) {
        assert_int_equal(segue_segment_access_count(segment), counts[i]);
        assert_int_equal(segue_segment_access_mask(segment), masks[i]);
        assert_int_equal(segue_segment_is_opaque(segment), i == 5);
        assert_int_equal(segue_segment_is_work(segment), i != 6);
        if (i == 2) {
            assert_int_equal(segue_segment_access(segment, 0).mask,
                             SEGUE_ACCESS_MASK_TRANSFER_READ);
            assert_ptr_equal(segue_range_buffer(&(struct segue_range){
                                 segue_segment_access(segment, 1).range.object, 0, 0}),
                             fixture->b);
        }
        if (i == 3) {
            const uint32_t gemv_masks[] = {reads, reads, reads, writes};
            for (uint32_t k = 0; k < 4; k++) {
                assert_int_equal(segue_segment_access(segment, k).mask, gemv_masks[k]);
                assert_int_equal(segue_segment_access(segment, k).constant, k == 2);
            }
            assert_int_equal(segue_segment_access(segment, 1).range.offset_bytes, 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(visits_every_command),
        test_case(visits_under_failing_allocations),
        test_case(reports_statistics),
        test_case(says_what_it_was_created_with),
        test_case(segments_say_what_they_access),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
