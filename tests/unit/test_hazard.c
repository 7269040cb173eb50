// SPDX-License-Identifier: Apache-2.0
// Full validation: hazards against a brute-force oracle, messages, tables, and its cost.
#include "random_recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct random_world world;

static int setup(void **state)
{
    (void)state;
    random_world_open(&world);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    random_world_close(&world);
    return 0;
}

static uint32_t check_random(const struct random_shape *shape, uint64_t seeds)
{
    uint32_t hazards = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct random_recording recording;
        random_recording_create(&world, seed, shape, &recording);
        if (recording.partial_count < 16) {
            bool expected = oracle_has_hazard(&recording);
            segue_status status = segue_hazard_check(recording.command_buffer->recording, NULL);
            if (status != (expected ? SEGUE_HAZARD : SEGUE_OK))
                fail_msg("seed %lu: %s, expected %s", (unsigned long)seed,
                         segue_status_name(status), expected ? "a hazard" : "none");
            hazards += expected;
        }
        random_recording_destroy(&recording);
    }
    return hazards;
}

static void test_random_recordings(void **state)
{
    (void)state;
    // Few works and many barriers, so that about half of the recordings are free of hazards.
    const struct random_shape full = {.items = 10, .full = 50};
    const struct random_shape mixed = {.items = 12, .full = 15, .partial = 35, .event = 15};
    const struct random_shape slots = {.items = 9, .full = 25, .partial = 20, .slots = true};
    const struct random_shape disjoint = {.items = 30, .full = 5, .partial = 10, .disjoint = true};
    assert_in_range(check_random(&full, 1000), 100, 900);
    assert_in_range(check_random(&mixed, 3000), 300, 2700);
    assert_in_range(check_random(&slots, 1000), 100, 900);
    check_random(&disjoint, 200);
}

/* ---- Recordings by hand ---------------------------------------------------------------------- */

static segue_command_buffer *begin(uint32_t slot_count)
{
    const struct segue_command_buffer_params params = {.slot_count = slot_count, .label = "cb"};
    segue_command_buffer *command_buffer;
    assert_int_equal(segue_command_buffer_create(world.device, &params, &command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(command_buffer), SEGUE_OK);
    return command_buffer;
}

static struct segue_buffer_ref ref_of(segue_buffer *buffer, uint64_t offset, uint64_t length)
{
    return (struct segue_buffer_ref){
        .buffer = buffer, .offset_bytes = offset, .length_bytes = length};
}

static void add_fill(segue_command_buffer *command_buffer, struct segue_buffer_ref ref)
{
    assert_int_equal(segue_cmd_fill(command_buffer, ref, 0, 1), SEGUE_OK);
}

static void add_dispatch(segue_command_buffer *command_buffer, const char *name,
                         const struct segue_buffer_ref *bindings, uint32_t count)
{
    struct segue_dispatch dispatch = {
        .executable = world.executable,
        .grid = {1, 1, 1},
        .bindings = bindings,
        .binding_count = count,
    };
    assert_int_equal(segue_executable_find_entry(world.executable, name, &dispatch.entry_point),
                     SEGUE_OK);
    assert_int_equal(segue_cmd_dispatch(command_buffer, &dispatch), SEGUE_OK);
}

static segue_status check(segue_command_buffer *command_buffer,
                          const struct segue_binding_table *table)
{
    if (command_buffer->state == SEGUE_STATE_RECORDING)
        assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_OK);
    return segue_hazard_check(command_buffer->recording, table);
}

static void assert_message_has(const char *text)
{
    if (!strstr(segue_last_error()->message, text))
        fail_msg("\"%s\" lacks \"%s\"", segue_last_error()->message, text);
}

static void test_message_names_both_commands(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin(0);
    assert_int_equal(segue_cmd_begin_group(command_buffer, "outer"), SEGUE_OK);
    add_fill(command_buffer, ref_of(world.buffers[1], 16, 48));
    assert_int_equal(segue_cmd_end_group(command_buffer), SEGUE_OK);
    const struct segue_buffer_ref bindings[] = {ref_of(world.buffers[1], 32, 8),
                                                ref_of(world.buffers[2], 0, 8)};
    add_dispatch(command_buffer, "map", bindings, 2);
    assert_int_equal(check(command_buffer, NULL), SEGUE_HAZARD);
    assert_message_has("\"cb\"");
    assert_message_has("command 1 (fill, group \"outer\") writes 48 bytes at offset 16 of buffer "
                       "\"memory\"");
    assert_message_has("command 3 (dispatch \"map\") reads 8 bytes at offset 32 of buffer");
    assert_message_has("barrier");
    segue_command_buffer_destroy(command_buffer);
}

static void test_views_share_memory(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin(0);
    add_fill(command_buffer, ref_of(world.buffers[0], RANDOM_MEMORY_BYTES / 2 + 8, 8));
    add_fill(command_buffer, ref_of(world.views[0], 0, 16));
    assert_int_equal(check(command_buffer, NULL), SEGUE_HAZARD);
    segue_command_buffer_destroy(command_buffer);

    command_buffer = begin(0);
    add_fill(command_buffer, ref_of(world.buffers[0], 0, RANDOM_MEMORY_BYTES / 2));
    add_fill(command_buffer, ref_of(world.views[0], 0, 16));
    assert_int_equal(check(command_buffer, NULL), SEGUE_OK);
    segue_command_buffer_destroy(command_buffer);
}

static void test_one_command_may_touch_a_range_twice(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin(0);
    const struct segue_buffer_ref same[] = {ref_of(world.buffers[0], 0, 64),
                                            ref_of(world.buffers[0], 0, 64)};
    add_dispatch(command_buffer, "map", same, 2);
    assert_int_equal(check(command_buffer, NULL), SEGUE_OK);
    segue_command_buffer_destroy(command_buffer);
}

static void test_long_access_behind_one_of_the_same_command(void **state)
{
    (void)state;
    // The furthest reaching write belongs to the reading command itself; the next one matters.
    segue_command_buffer *command_buffer = begin(0);
    const struct segue_buffer_ref bindings[] = {ref_of(world.buffers[0], 96, 16),
                                                ref_of(world.buffers[0], 0, 256)};
    add_dispatch(command_buffer, "map", bindings, 2);
    add_fill(command_buffer, ref_of(world.buffers[0], 300, 8));
    assert_int_equal(check(command_buffer, NULL), SEGUE_OK);
    segue_command_buffer_destroy(command_buffer);

    command_buffer = begin(0);
    add_fill(command_buffer, ref_of(world.buffers[0], 64, 64));
    const struct segue_buffer_ref reads[] = {ref_of(world.buffers[0], 96, 16),
                                             ref_of(world.buffers[1], 0, 256)};
    add_dispatch(command_buffer, "map", reads, 2);
    assert_int_equal(check(command_buffer, NULL), SEGUE_HAZARD);
    segue_command_buffer_destroy(command_buffer);
}

static void test_second_furthest_command_is_remembered(void **state)
{
    (void)state;
    // The one that reaches furthest is the writer itself, whether it came second or first.
    const struct segue_buffer_ref shorter = ref_of(world.buffers[0], 0, 100);
    const struct segue_buffer_ref longer[] = {ref_of(world.buffers[0], 10, 200),
                                              ref_of(world.buffers[0], 50, 16)};
    segue_command_buffer *command_buffer = begin(0);
    add_dispatch(command_buffer, "read", &shorter, 1);
    add_dispatch(command_buffer, "map", longer, 2);
    assert_int_equal(check(command_buffer, NULL), SEGUE_HAZARD);
    segue_command_buffer_destroy(command_buffer);

    const struct segue_buffer_ref first[] = {ref_of(world.buffers[0], 0, 200),
                                             ref_of(world.buffers[0], 50, 16)};
    const struct segue_buffer_ref inner = ref_of(world.buffers[0], 10, 90);
    command_buffer = begin(0);
    add_dispatch(command_buffer, "map", first, 2);
    add_dispatch(command_buffer, "read", &inner, 1);
    assert_int_equal(check(command_buffer, NULL), SEGUE_HAZARD);
    segue_command_buffer_destroy(command_buffer);
}

static void test_touching_ranges_do_not_overlap(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin(0);
    const struct segue_buffer_ref bindings[] = {ref_of(world.buffers[0], 0, 100),
                                                ref_of(world.buffers[0], 0, 16)};
    add_dispatch(command_buffer, "map", bindings, 2);
    const struct segue_buffer_ref next = ref_of(world.buffers[0], 16, 16);
    add_dispatch(command_buffer, "read", &next, 1);
    assert_int_equal(check(command_buffer, NULL), SEGUE_OK);
    segue_command_buffer_destroy(command_buffer);
}

static void test_constant_bindings_are_never_written(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin(0);
    add_fill(command_buffer, ref_of(world.buffers[0], 0, 16));
    assert_int_equal(segue_cmd_barrier(command_buffer, NULL), SEGUE_OK);
    const struct segue_buffer_ref bindings[] = {ref_of(world.buffers[0], 8, 16),
                                                ref_of(world.buffers[1], 0, 16)};
    add_dispatch(command_buffer, "lookup", bindings, 2);
    assert_int_equal(check(command_buffer, NULL), SEGUE_HAZARD);
    assert_message_has("constant");
    assert_message_has("command 0 (fill)");
    assert_message_has("command 2 (dispatch \"lookup\")");
    segue_command_buffer_destroy(command_buffer);

    command_buffer = begin(0);
    add_dispatch(command_buffer, "lookup", bindings, 2);
    add_fill(command_buffer, ref_of(world.buffers[0], 24, 16));
    assert_int_equal(check(command_buffer, NULL), SEGUE_OK);
    segue_command_buffer_destroy(command_buffer);
}

static void test_tables_decide_what_slots_are(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin(2);
    add_fill(command_buffer, (struct segue_buffer_ref){.slot = 0, .length_bytes = 16});
    add_fill(command_buffer,
             (struct segue_buffer_ref){.slot = 1, .length_bytes = SEGUE_WHOLE_SIZE});
    add_fill(command_buffer, ref_of(world.buffers[1], 0, 16));
    assert_int_equal(check(command_buffer, NULL), SEGUE_OK);

    struct segue_range slots[] = {
        {.object = (uintptr_t)world.buffers[0], .offset_bytes = 0, .length_bytes = 32},
        {.object = (uintptr_t)world.buffers[0], .offset_bytes = 32, .length_bytes = 32},
    };
    const struct segue_binding_table table = {.slots = slots, .slot_count = 2};
    assert_int_equal(check(command_buffer, &table), SEGUE_OK);
    slots[1].offset_bytes = 8;
    assert_int_equal(check(command_buffer, &table), SEGUE_HAZARD);
    assert_message_has("slot 0");
    assert_message_has("slot 1");
    slots[1] = (struct segue_range){.object = (uintptr_t)world.buffers[1], .length_bytes = 8};
    assert_int_equal(check(command_buffer, &table), SEGUE_HAZARD);
    assert_message_has("slot 1");
    segue_command_buffer_destroy(command_buffer);
}

static void test_same_slot_conflicts_without_a_table(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin(1);
    add_fill(command_buffer, (struct segue_buffer_ref){.slot = 0, .length_bytes = 16});
    add_fill(command_buffer, (struct segue_buffer_ref){
                                 .slot = 0, .offset_bytes = 16, .length_bytes = SEGUE_WHOLE_SIZE});
    assert_int_equal(check(command_buffer, NULL), SEGUE_OK);
    segue_command_buffer_destroy(command_buffer);
    command_buffer = begin(1);
    add_fill(command_buffer, (struct segue_buffer_ref){.slot = 0, .length_bytes = 16});
    add_fill(command_buffer, (struct segue_buffer_ref){
                                 .slot = 0, .offset_bytes = 8, .length_bytes = SEGUE_WHOLE_SIZE});
    assert_int_equal(check(command_buffer, NULL), SEGUE_HAZARD);
    segue_command_buffer_destroy(command_buffer);
}

static void test_full_validation_is_part_of_end(void **state)
{
    (void)state;
    world.device->validation = SEGUE_VALIDATION_FULL;
    segue_command_buffer *command_buffer = begin(0);
    add_fill(command_buffer, ref_of(world.buffers[0], 0, 16));
    add_fill(command_buffer, ref_of(world.buffers[0], 0, 16));
    assert_int_equal(segue_command_buffer_end(command_buffer), SEGUE_HAZARD);
    segue_command_buffer_destroy(command_buffer);
    world.device->validation = SEGUE_VALIDATION_BASIC;
}

/** Of this process, however busy the machine is. */
static uint64_t processor_ns(void)
{
    struct timespec time;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time), 0);
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

static void test_many_readers_of_one_range(void **state)
{
    (void)state;
    // All in one scope, every pair overlaps: must not be compared pair by pair.
    segue_command_buffer *command_buffer = begin(0);
    const struct segue_buffer_ref whole = ref_of(world.buffers[0], 0, RANDOM_MEMORY_BYTES);
    const uint32_t count = 100000;
    for (uint32_t i = 0; i < count; i++)
        add_dispatch(command_buffer, "read", &whole, 1);
    uint64_t start_ns = processor_ns();
    assert_int_equal(check(command_buffer, NULL), SEGUE_OK);
    // Pair by pair this would be minutes.
    assert_true(processor_ns() - start_ns < UINT64_C(5000000000));
    segue_command_buffer_destroy(command_buffer);
}

static void test_many_writers_in_order(void **state)
{
    (void)state;
    segue_command_buffer *command_buffer = begin(0);
    const struct segue_memory_barrier memory = {.source = SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                                                .target = SEGUE_ACCESS_MASK_TRANSFER_WRITE};
    const struct segue_barrier barrier = {.memory_barriers = &memory, .memory_barrier_count = 1};
    for (uint32_t i = 0; i < 20000; i++) {
        add_fill(command_buffer, ref_of(world.buffers[0], 0, RANDOM_MEMORY_BYTES));
        assert_int_equal(segue_cmd_barrier(command_buffer, &barrier), SEGUE_OK);
    }
    uint64_t start_ns = processor_ns();
    assert_int_equal(check(command_buffer, NULL), SEGUE_OK);
    assert_true(processor_ns() - start_ns < UINT64_C(5000000000));
    segue_command_buffer_destroy(command_buffer);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    const struct random_shape shape = {.items = 30, .full = 2, .partial = 20, .disjoint = true};
    struct random_recording recording;
    random_recording_create(&world, 3, &shape, &recording);
    int64_t live = world.allocator.live;
    bool failed = true;
    for (uint64_t nth = 1; failed; nth++) {
        null_allocator_fail(&world.allocator, nth, false);
        segue_status status = segue_hazard_check(recording.command_buffer->recording, NULL);
        failed = world.allocator.failed != 0;
        null_allocator_fail(&world.allocator, 0, false);
        assert_int_equal(status, failed ? SEGUE_OUT_OF_HOST_MEMORY : SEGUE_OK);
        assert_int_equal(world.allocator.live, live);
        assert_true(nth < 1000);
    }
    random_recording_destroy(&recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_recordings),
        cmocka_unit_test(test_message_names_both_commands),
        cmocka_unit_test(test_views_share_memory),
        cmocka_unit_test(test_one_command_may_touch_a_range_twice),
        cmocka_unit_test(test_long_access_behind_one_of_the_same_command),
        cmocka_unit_test(test_second_furthest_command_is_remembered),
        cmocka_unit_test(test_touching_ranges_do_not_overlap),
        cmocka_unit_test(test_constant_bindings_are_never_written),
        cmocka_unit_test(test_tables_decide_what_slots_are),
        cmocka_unit_test(test_same_slot_conflicts_without_a_table),
        cmocka_unit_test(test_full_validation_is_part_of_end),
        cmocka_unit_test(test_many_readers_of_one_range),
        cmocka_unit_test(test_many_writers_in_order),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
