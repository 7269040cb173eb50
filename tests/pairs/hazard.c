// SPDX-License-Identifier: Apache-2.0
// Full validation: accesses that nothing orders. Each pair is one recording with and without what
// orders it, or with ranges that do and do not meet.
#include "pairs.h"

enum {
    TRANSFER_READ = SEGUE_ACCESS_MASK_TRANSFER_READ,
    TRANSFER_WRITE = SEGUE_ACCESS_MASK_TRANSFER_WRITE,
    DISPATCH_READ = SEGUE_ACCESS_MASK_DISPATCH_READ,
    DISPATCH_WRITE = SEGUE_ACCESS_MASK_DISPATCH_WRITE,
};

/** A recording under way, with two buffers. */
struct world {
    segue_command_buffer *recording;
    segue_buffer *a;
    segue_buffer *b;
};

static struct world begin(struct segue_test *test, uint32_t slot_count)
{
    return (struct world){
        .recording = pair_begin(test, slot_count),
        .a = pair_buffer(test, "a"),
        .b = pair_buffer(test, "b"),
    };
}

static void fill(const struct world *world, struct segue_buffer_ref range)
{
    CHECK_OK(segue_cmd_fill(world->recording, range, 0, 1));
}

static void copy(const struct world *world, struct segue_buffer_ref source,
                 struct segue_buffer_ref target)
{
    CHECK_OK(segue_cmd_copy(world->recording, source, target));
}

static segue_status end(const struct world *world)
{
    return segue_command_buffer_end(world->recording);
}

/** 64 bytes at an offset. */
static struct segue_buffer_ref part(segue_buffer *buffer, uint64_t offset_bytes)
{
    return segue_test_ref(buffer, offset_bytes, 64);
}

static segue_status write_after_write(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    fill(&world, part(world.a, 0));
    if (!wrong)
        segue_test_barrier(world.recording);
    CHECK_OK(segue_cmd_update(world.recording, segue_test_ref(world.a, 60, 4), "data"));
    return end(&world);
}

static segue_status read_after_write(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    fill(&world, part(world.a, 0));
    if (!wrong)
        segue_test_barrier(world.recording);
    copy(&world, part(world.a, 0), part(world.b, 0));
    return end(&world);
}

static segue_status write_after_read(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    copy(&world, part(world.a, 0), part(world.b, 0));
    if (!wrong)
        segue_test_barrier(world.recording);
    fill(&world, part(world.a, 0));
    return end(&world);
}

static segue_status dispatch_after_transfer(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    fill(&world, part(world.a, 0));
    if (!wrong)
        segue_test_memory_barrier(world.recording, TRANSFER_WRITE, DISPATCH_READ | DISPATCH_WRITE);
    segue_test_dispatch_scale(test, world.recording, part(world.a, 0), 16, 1, 1);
    return end(&world);
}

static segue_status dispatches_that_share_what_one_writes(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    segue_test_dispatch_add(test, world.recording, part(world.a, 0), part(world.a, 64),
                            part(world.b, 0), 16);
    segue_test_dispatch_add(test, world.recording, part(world.a, 0), part(world.a, 64),
                            part(wrong ? world.a : world.b, 64), 16);
    return end(&world);
}

static segue_status ranges_that_meet_in_one_byte(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    fill(&world, part(world.a, 0));
    fill(&world, part(world.a, wrong ? 63 : 64));
    return end(&world);
}

static segue_status views_of_one_memory(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    segue_buffer *view = segue_test_view(test, world.a, 256, 64);
    fill(&world, segue_test_whole(view));
    fill(&world, part(world.a, wrong ? 193 : 192));
    return end(&world);
}

static segue_status barrier_for_other_kinds_of_reading(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    fill(&world, part(world.a, 0));
    segue_test_memory_barrier(world.recording, TRANSFER_WRITE,
                              wrong ? DISPATCH_READ : TRANSFER_READ);
    copy(&world, part(world.a, 0), part(world.b, 0));
    return end(&world);
}

static segue_status barrier_after_reads_needs_a_read_bit(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    copy(&world, part(world.a, 0), part(world.b, 0));
    // The copy writes as well; a barrier for its writes alone would order it, too.
    segue_test_buffer_barrier(world.recording, wrong ? TRANSFER_WRITE : TRANSFER_READ,
                              TRANSFER_WRITE, part(world.a, 0));
    fill(&world, part(world.a, 0));
    return end(&world);
}

static segue_status barrier_on_another_range(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    fill(&world, part(world.a, 0));
    segue_test_buffer_barrier(world.recording, TRANSFER_WRITE, TRANSFER_READ,
                              part(world.a, wrong ? 64 : 0));
    copy(&world, part(world.a, 0), part(world.b, 0));
    return end(&world);
}

static segue_status barrier_on_another_buffer(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    segue_buffer *c = pair_buffer(test, "c");
    fill(&world, part(world.a, 0));
    segue_test_buffer_barrier(world.recording, TRANSFER_WRITE, TRANSFER_READ,
                              part(wrong ? c : world.a, 0));
    copy(&world, part(world.a, 0), part(world.b, 0));
    return end(&world);
}

static segue_status barrier_too_early(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    if (wrong)
        segue_test_barrier(world.recording);
    fill(&world, part(world.a, 0));
    if (!wrong)
        segue_test_barrier(world.recording);
    fill(&world, part(world.a, 0));
    return end(&world);
}

static segue_status event_that_nobody_waits_for(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    segue_event *event = segue_test_event(test);
    fill(&world, part(world.a, 0));
    CHECK_OK(segue_cmd_signal_event(world.recording, event));
    if (!wrong)
        CHECK_OK(segue_cmd_wait_event(world.recording, event));
    copy(&world, part(world.a, 0), part(world.b, 0));
    return end(&world);
}

static segue_status event_signalled_before_the_write(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    segue_event *event = segue_test_event(test);
    if (wrong)
        CHECK_OK(segue_cmd_signal_event(world.recording, event));
    fill(&world, part(world.a, 0));
    if (!wrong)
        CHECK_OK(segue_cmd_signal_event(world.recording, event));
    CHECK_OK(segue_cmd_wait_event(world.recording, event));
    copy(&world, part(world.a, 0), part(world.b, 0));
    return end(&world);
}

static segue_status groups_order_nothing(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    CHECK_OK(segue_cmd_begin_group(world.recording, "first"));
    fill(&world, part(world.a, 0));
    CHECK_OK(segue_cmd_end_group(world.recording));
    CHECK_OK(segue_cmd_begin_group(world.recording, "second"));
    fill(&world, part(world.a, wrong ? 0 : 64));
    CHECK_OK(segue_cmd_end_group(world.recording));
    return end(&world);
}

static segue_status executing_orders_nothing(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    const struct world secondary = begin(test, 1);
    const struct segue_buffer_ref binding = part(world.a, 0);
    fill(&secondary, segue_test_slot(0, 0, 64));
    CHECK_OK(end(&secondary));
    CHECK_OK(segue_cmd_execute(world.recording, secondary.recording, &binding, 1));
    if (!wrong)
        segue_test_barrier(world.recording);
    fill(&world, part(world.a, 0));
    return end(&world);
}

static segue_status opaque_dispatches_match_every_barrier(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    struct segue_buffer_info info;
    segue_buffer_get_info(world.b, &info);
    unsigned char constants[20] = {0};
    memcpy(constants, &info.device_address, 8);
    const struct segue_dispatch dispatch = {
        .executable = test->kernels,
        .entry_point = wrong ? SEGUE_TEST_NOTHING : SEGUE_TEST_OPAQUE,
        .grid = {1, 1, 1},
        .constants = constants,
        .constants_size_bytes = wrong ? 0 : 20,
    };
    fill(&world, part(world.a, 0));
    // Neither orders the two fills by itself: only what comes between them can.
    segue_test_buffer_barrier(world.recording, TRANSFER_WRITE, TRANSFER_READ, part(world.a, 0));
    CHECK_OK(segue_cmd_dispatch(world.recording, &dispatch));
    segue_test_buffer_barrier(world.recording, DISPATCH_READ, TRANSFER_WRITE, part(world.a, 0));
    fill(&world, part(world.a, 0));
    return end(&world);
}

static segue_status parts_of_one_slot(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 1);
    fill(&world, segue_test_slot(0, 0, 64));
    fill(&world, segue_test_slot(0, wrong ? 63 : 64, SEGUE_WHOLE_SIZE));
    return end(&world);
}

static segue_status barrier_on_another_part_of_a_slot(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 1);
    fill(&world, segue_test_slot(0, 0, 64));
    segue_test_buffer_barrier(world.recording, TRANSFER_WRITE, TRANSFER_WRITE,
                              segue_test_slot(0, wrong ? 64 : 0, 64));
    fill(&world, segue_test_slot(0, 0, 64));
    return end(&world);
}

static segue_status barrier_on_the_part_before_of_a_slot(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 1);
    fill(&world, segue_test_slot(0, 64, 64));
    segue_test_buffer_barrier(world.recording, TRANSFER_WRITE, TRANSFER_WRITE,
                              segue_test_slot(0, 0, wrong ? 64 : 65));
    fill(&world, segue_test_slot(0, 64, 64));
    return end(&world);
}

static segue_status slots_bound_to_one_range(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 2);
    fill(&world, segue_test_slot(0, 0, 64));
    fill(&world, segue_test_slot(1, 0, 64));
    CHECK_OK(end(&world));
    const struct segue_buffer_ref bindings[] = {part(world.a, 0), part(world.a, wrong ? 32 : 64)};
    return pair_submit(test, world.recording, bindings, 2);
}

static segue_status slot_bound_to_a_recorded_buffer(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 1);
    fill(&world, part(world.a, 0));
    copy(&world, segue_test_slot(0, 0, 64), part(world.b, 0));
    CHECK_OK(end(&world));
    const struct segue_buffer_ref binding = part(wrong ? world.a : pair_buffer(test, "c"), 0);
    return pair_submit(test, world.recording, &binding, 1);
}

/** ADD whose first binding is declared constant. */
static segue_executable *constant_add(struct segue_test *test)
{
    struct segue_entry_point entry = segue_test_entries[SEGUE_TEST_ADD];
    struct segue_parameter parameters[4];
    memcpy(parameters, entry.parameters, sizeof(parameters));
    parameters[0].access = SEGUE_ACCESS_CONSTANT;
    entry.parameters = parameters;
    const struct segue_executable_params params = {
        .format = SEGUE_EXECUTABLE_CUDA_SOURCE,
        .data = segue_test_source,
        .size_bytes = strlen(segue_test_source),
        .entry_points = &entry,
        .entry_point_count = 1,
    };
    segue_executable *executable = NULL;
    CHECK_OK(segue_executable_create(test->device, &params, &executable));
    return executable;
}

static void dispatch_constant_add(const struct world *world, segue_executable *executable)
{
    const uint32_t count = 16;
    const struct segue_buffer_ref bindings[] = {part(world->a, 0), part(world->a, 64),
                                                part(world->b, 0)};
    CHECK_OK(segue_cmd_dispatch(world->recording, &(struct segue_dispatch){
                                                      .executable = executable,
                                                      .grid = {1, 1, 1},
                                                      .bindings = bindings,
                                                      .binding_count = 3,
                                                      .constants = &count,
                                                      .constants_size_bytes = sizeof(count),
                                                  }));
}

static segue_status constants_written_before(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    segue_executable *executable = constant_add(test);
    // In order, and yet: a constant may be loaded at any time.
    fill(&world, part(world.a, wrong ? 0 : 64));
    segue_test_barrier(world.recording);
    dispatch_constant_add(&world, executable);
    segue_executable_destroy(executable);
    return end(&world);
}

static segue_status constants_written_after(struct segue_test *test, bool wrong)
{
    const struct world world = begin(test, 0);
    segue_executable *executable = constant_add(test);
    dispatch_constant_add(&world, executable);
    segue_test_barrier(world.recording);
    fill(&world, part(world.a, wrong ? 32 : 64));
    segue_executable_destroy(executable);
    return end(&world);
}

static const struct pair pairs[] = {
    PAIR(write_after_write, HAZARD,
         "command 0 (fill) writes 64 bytes at offset 0 of buffer \"a\"|command 1 (update) writes 4 "
         "bytes at offset 60|record a barrier"),
    PAIR(read_after_write, HAZARD, "command 0 (fill) writes|command 1 (copy) reads|barrier"),
    PAIR(write_after_read, HAZARD, "command 0 (copy) reads|command 1 (fill) writes|barrier"),
    PAIR(dispatch_after_transfer, HAZARD, "(fill) writes|(dispatch \"test_scale\") writes"),
    PAIR(dispatches_that_share_what_one_writes, HAZARD,
         "command 0 (dispatch \"test_add\") reads|command 1 (dispatch \"test_add\") writes"),
    PAIR(ranges_that_meet_in_one_byte, HAZARD, "64 bytes at offset 0|64 bytes at offset 63"),
    PAIR(views_of_one_memory, HAZARD, "offset 0 of buffer \"\"|offset 193 of buffer \"a\""),
    PAIR(barrier_for_other_kinds_of_reading, HAZARD, "command 0 (fill)|command 2 (copy) reads"),
    PAIR(barrier_after_reads_needs_a_read_bit, HAZARD, "command 0 (copy) reads|command 2 (fill)"),
    PAIR(barrier_on_another_range, HAZARD, "command 0 (fill)|command 2 (copy) reads"),
    PAIR(barrier_on_another_buffer, HAZARD, "command 0 (fill)|command 2 (copy) reads"),
    PAIR(barrier_too_early, HAZARD, "command 1 (fill)|command 2 (fill)"),
    PAIR(event_that_nobody_waits_for, HAZARD, "command 0 (fill)|command 2 (copy)"),
    PAIR(event_signalled_before_the_write, HAZARD, "command 1 (fill)|command 3 (copy)"),
    PAIR(groups_order_nothing, HAZARD,
         "command 1 (fill, group \"first\")|command 4 (fill, group \"second\")"),
    PAIR(executing_orders_nothing, HAZARD, "command 0 (fill)|command 1 (fill)"),
    PAIR(opaque_dispatches_match_every_barrier, HAZARD, "command 0 (fill)|command 4 (fill)"),
    PAIR(parts_of_one_slot, HAZARD, "64 bytes at offset 0 of slot 0|all bytes at offset 63"),
    PAIR(barrier_on_another_part_of_a_slot, HAZARD, "command 0 (fill)|command 2 (fill)|slot 0"),
    PAIR(barrier_on_the_part_before_of_a_slot, HAZARD, "command 0 (fill)|command 2 (fill)|slot 0"),
    PAIR(slots_bound_to_one_range, HAZARD, "slot 0|slot 1|barrier"),
    PAIR(slot_bound_to_a_recorded_buffer, HAZARD, "buffer \"a\"|slot 0"),
    PAIR(constants_written_before, HAZARD,
         "command 0 (fill) writes|reads as constant|declare it as read"),
    PAIR(constants_written_after, HAZARD, "reads as constant|command 2 (fill) writes"),
};
PAIR_AREA(hazard, pairs);
