// SPDX-License-Identifier: Apache-2.0
// Submissions with tables: which nodes another table writes, which graphs it takes, and what it may
// not do.
#include "test.h"
#include <cuda.h>

#include <stdio.h>
#include <stdlib.h>

#define WORDS 16
#define WHOLE SEGUE_WHOLE_SIZE

static struct segue_cache_stats stats_of(struct segue_test *test)
{
    struct segue_cache_stats stats;
    segue_device_get_cache_stats(test->device, &stats);
    return stats;
}

static uint64_t calls_of(struct segue_test *test)
{
    struct segue_soft_report report;
    test->soft->get_report(&report);
    return report.call_count;
}

static void fail_call(struct segue_test *test, const char *name, bool forever, int32_t result)
{
    test->soft->set_fault(&(struct segue_soft_fault){
        .nth = 1, .forever = forever, .driver_result = result, .name_pattern = name});
}

static segue_status submit_on(segue_queue *queue, segue_command_buffer *commands,
                              const struct segue_buffer_ref *table, uint32_t count)
{
    const struct segue_execution execution = {
        .command_buffer = commands, .bindings = table, .binding_count = count};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    return segue_queue_submit(queue, &submission);
}

/** Submits with two buffers, and waits. */
static void run(struct segue_test *test, segue_command_buffer *commands, segue_buffer *first,
                segue_buffer *second)
{
    const struct segue_buffer_ref table[] = {segue_test_whole(first), segue_test_whole(second)};
    CHECK_OK(submit_on(test->queue, commands, table, 2));
    CHECK_OK(segue_queue_wait_idle(test->queue));
}

/** Six dispatches: 0, 2 and 4 on slot 0, the others on slot 1; x * 3 + 7 each. */
static segue_command_buffer *record_two(struct segue_test *test, uint32_t flags)
{
    segue_command_buffer *commands = segue_test_begin_with(test, 2, flags);
    for (uint32_t i = 0; i < 6; i++) {
        segue_test_dispatch_scale(test, commands, segue_test_slot(i % 2, 0, WHOLE), WORDS, 3, 7);
        segue_test_barrier(commands);
    }
    CHECK_OK(segue_command_buffer_end(commands));
    return commands;
}

static uint32_t scaled(uint32_t word, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++)
        word = word * 3 + 7;
    return word;
}

static void expect_scaled(segue_buffer *buffer, uint64_t seed, uint32_t times)
{
    for (uint32_t i = 0; i < WORDS; i++)
        segue_test_expect_all(buffer, i, 1, scaled(segue_test_word(seed, i), times));
}

/** Only what names a changed slot is written, and nothing is built. */
static void nodes_of_changed_slots_are_written(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *a = segue_test_words(test, WORDS, 1);
    segue_buffer *b = segue_test_words(test, WORDS, 2);
    segue_buffer *c = segue_test_words(test, WORDS, 3);
    segue_command_buffer *commands = record_two(test, 0);
    run(test, commands, a, b);
    run(test, commands, c, b);
    struct segue_cache_stats stats = stats_of(test);
    assert_int_equal(stats.rebinds, 1);
    assert_int_equal(stats.rebound_nodes, 3);
    assert_int_equal(stats.nodes_written, 3);
    struct segue_command_buffer_stats own;
    CHECK_OK(segue_command_buffer_get_stats(commands, &own));
    assert_true(own.reused);
    assert_int_equal(own.nodes_written, 3);
    // The same bytes through another buffer: the table differs, no command does.
    segue_buffer *view = segue_test_view(test, c, 0, WORDS * 4);
    run(test, commands, view, b);
    stats = stats_of(test);
    assert_int_equal(stats.rebinds, 2);
    assert_int_equal(stats.nodes_written, 3);
    run(test, commands, b, a);
    stats = stats_of(test);
    assert_int_equal(stats.rebinds, 3);
    assert_int_equal(stats.rebound_nodes, 9);
    assert_int_equal(stats.graphs, 1);
    assert_int_equal(stats.misses, 1);
    assert_int_equal(stats.copies, 0);
    assert_int_equal(stats.hits, 0);
    expect_scaled(a, 1, 3 + 3);
    expect_scaled(b, 2, 3 + 3 + 3 + 3);
    expect_scaled(c, 3, 3 + 3);
}

/** A node is written once, however many of its slots differ, and where only a length does. */
static void nodes_are_written_once(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 6 * WORDS, 1);
    segue_command_buffer *commands = segue_test_begin_with(test, 3, 0);
    segue_test_dispatch_add(test, commands, segue_test_slot(0, 0, WORDS * 4),
                            segue_test_slot(0, 4, WORDS * 4), segue_test_slot(1, 0, WORDS * 4),
                            WORDS);
    segue_test_barrier(commands);
    CHECK_OK(segue_cmd_fill(commands, segue_test_slot(2, 0, WHOLE), 9, 4));
    CHECK_OK(segue_command_buffer_end(commands));
    struct segue_buffer_ref table[] = {segue_test_ref(data, 0, (WORDS + 1) * 4),
                                       segue_test_ref(data, 2 * WORDS * 4, WORDS * 4),
                                       segue_test_ref(data, 5 * WORDS * 4, 4)};
    CHECK_OK(submit_on(test->queue, commands, table, 3));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    table[0].offset_bytes = 4;
    table[1].offset_bytes = 3 * WORDS * 4;
    CHECK_OK(submit_on(test->queue, commands, table, 3));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    assert_int_equal(stats_of(test).rebound_nodes, 1);
    table[2].length_bytes = 12;
    CHECK_OK(submit_on(test->queue, commands, table, 3));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    assert_int_equal(stats_of(test).rebound_nodes, 2);
    for (uint32_t i = 0; i < WORDS; i++) {
        segue_test_expect_all(data, 2 * WORDS + i, 1,
                              segue_test_word(1, i) + segue_test_word(1, i + 1));
        segue_test_expect_all(data, 3 * WORDS + i, 1,
                              segue_test_word(1, i + 1) + segue_test_word(1, i + 2));
    }
    segue_test_expect_all(data, 5 * WORDS, 3, 9);
    segue_test_expect_all(data, 5 * WORDS + 3, 1, segue_test_word(1, 5 * WORDS + 3));
}

/** A graph of another recording is compared command by command, slots or not. */
static void other_recordings_are_compared(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *a = segue_test_words(test, WORDS, 1);
    segue_buffer *b = segue_test_words(test, WORDS, 2);
    for (uint32_t round = 0; round < 3; round++) {
        segue_command_buffer *commands = segue_test_begin_with(test, 2, 0);
        segue_test_dispatch_scale(test, commands, segue_test_slot(0, 0, WHOLE), WORDS, 3,
                                  7 + round);
        segue_test_dispatch_scale(test, commands, segue_test_slot(1, 0, WHOLE), WORDS, 3, 7);
        CHECK_OK(segue_command_buffer_end(commands));
        run(test, commands, a, b);
        segue_test_destroy(test, commands);
    }
    assert_int_equal(stats_of(test).graphs, 1);
    assert_int_equal(stats_of(test).recognised, 2);
    assert_int_equal(stats_of(test).nodes_written, 2);
    assert_int_equal(stats_of(test).rebinds, 0);
    for (uint32_t i = 0; i < WORDS; i++) {
        const uint32_t word = segue_test_word(1, i);
        segue_test_expect_all(a, i, 1, ((word * 3 + 7) * 3 + 8) * 3 + 9);
    }
    expect_scaled(b, 2, 3);
}

/** What is done is in use only as long as nobody asks. */
static void finished_tables_are_noticed(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *a = segue_test_words(test, WORDS, 1);
    segue_buffer *b = segue_test_words(test, WORDS, 2);
    const struct segue_buffer_ref tables[2][2] = {{segue_test_whole(a), segue_test_whole(b)},
                                                  {segue_test_whole(b), segue_test_whole(a)}};
    segue_command_buffer *commands = record_two(test, 0);
    segue_queue *other = segue_test_queue(test);
    for (uint32_t i = 0; i < 4; i++) {
        const struct segue_semaphore_value done = {
            test->done, segue_test_submit_with(test, commands, tables[i % 2], 2)};
        // The driver runs what another queue waits for; nobody asks about the first queue.
        const struct segue_submission submission = {.waits = &done, .wait_count = 1};
        CHECK_OK(segue_queue_submit(other, &submission));
        CHECK_OK(segue_queue_wait_idle(other));
    }
    assert_int_equal(stats_of(test).graphs, 1);
    assert_int_equal(stats_of(test).rebinds, 3);
    CHECK_OK(segue_queue_wait_idle(test->queue));
}

/** A table that is as before makes no call that a command buffer without slots would not. */
static void equal_tables_write_nothing(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *a = segue_test_words(test, WORDS, 1);
    segue_buffer *b = segue_test_words(test, WORDS, 2);
    segue_command_buffer *commands = record_two(test, 0);
    segue_command_buffer *fixed = segue_test_begin(test);
    segue_test_dispatch_scale(test, fixed, segue_test_whole(a), WORDS, 3, 7);
    CHECK_OK(segue_command_buffer_end(fixed));
    const struct segue_buffer_ref table[] = {segue_test_whole(a), segue_test_whole(b)};
    run(test, commands, a, b);
    CHECK_OK(submit_on(test->queue, fixed, NULL, 0));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    uint64_t calls = calls_of(test);
    CHECK_OK(submit_on(test->queue, fixed, NULL, 0));
    const uint64_t expected = calls_of(test) - calls;
    CHECK_OK(segue_queue_wait_idle(test->queue));
    calls = calls_of(test);
    CHECK_OK(submit_on(test->queue, commands, table, 2));
    assert_int_equal(calls_of(test) - calls, expected);
    CHECK_OK(segue_queue_wait_idle(test->queue));
    assert_int_equal(stats_of(test).rebinds, 0);
    expect_scaled(b, 2, 6);
}

/** Each table in flight has its graph, tables that are equal share one, and those that are done are
 *  taken for the next. */
static void tables_in_flight_have_their_graphs(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data[5];
    struct segue_buffer_ref tables[5][2];
    segue_buffer *other = segue_test_words(test, WORDS, 9);
    for (uint32_t i = 0; i < 5; i++) {
        data[i] = segue_test_words(test, WORDS, i);
        tables[i][0] = segue_test_whole(data[i]);
        tables[i][1] = segue_test_whole(other);
    }
    segue_command_buffer *commands = record_two(test, 0);
    segue_semaphore *start = segue_test_semaphore(test, 0);
    const struct segue_semaphore_value wait = {start, 1};
    // Held back: nothing of this is done before the signal.
    CHECK_OK(segue_queue_submit(test->queue,
                                &(struct segue_submission){.waits = &wait, .wait_count = 1}));
    static const uint32_t order[] = {0, 1, 0, 1, 1, 0};
    for (uint32_t i = 0; i < 6; i++)
        CHECK_OK(submit_on(test->queue, commands, tables[order[i]], 2));
    assert_int_equal(stats_of(test).graphs, 2);
    assert_int_equal(stats_of(test).copies, 1);
    assert_int_equal(stats_of(test).rebinds, 0);
    CHECK_OK(submit_on(test->queue, commands, tables[2], 2));
    assert_int_equal(stats_of(test).graphs, 3);
    CHECK_OK(segue_semaphore_signal(start, 1));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    // Two of the three are taken again; the cache has the one that is not needed.
    CHECK_OK(submit_on(test->queue, commands, tables[3], 2));
    CHECK_OK(submit_on(test->queue, commands, tables[4], 2));
    const struct segue_cache_stats stats = stats_of(test);
    assert_int_equal(stats.graphs, 3);
    assert_int_equal(stats.rebinds, 2);
    assert_int_equal(stats.rebound_nodes, 6);
    CHECK_OK(segue_queue_wait_idle(test->queue));
    static const uint32_t runs[] = {3, 3, 1, 1, 1};
    for (uint32_t i = 0; i < 5; i++)
        expect_scaled(data[i], i, 3 * runs[i]);
    expect_scaled(other, 9, 3 * 9);
}

/** What the cache has of the same recording is found without a look at other commands. */
static void graphs_given_back_are_found(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *a = segue_test_words(test, WORDS, 1);
    segue_buffer *b = segue_test_words(test, WORDS, 2);
    const struct segue_buffer_ref tables[3][2] = {
        {segue_test_whole(a), segue_test_whole(a)},
        {segue_test_whole(a), segue_test_whole(b)},
        {segue_test_whole(b), segue_test_whole(b)},
    };
    segue_command_buffer *commands = record_two(test, 0);
    for (uint32_t i = 0; i < 3; i++)
        CHECK_OK(submit_on(test->queue, commands, tables[i], 2));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    CHECK_OK(submit_on(test->queue, commands, tables[2], 2));
    assert_int_equal(stats_of(test).idle_graphs, stats_of(test).graphs - 1);
    const uint32_t graphs = stats_of(test).graphs;
    const struct segue_buffer_ref next[] = {segue_test_whole(b), segue_test_whole(a)};
    CHECK_OK(submit_on(test->queue, commands, next, 2));
    assert_int_equal(stats_of(test).graphs, graphs);
    CHECK_OK(segue_queue_wait_idle(test->queue));
    expect_scaled(a, 1, 6 + 3 + 3);
    expect_scaled(b, 2, 3 + 6 + 6 + 3);
}

/** With a limit, the second table waits for the first, unless that cannot be waited for. */
static void budget_makes_tables_wait(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data[3];
    for (uint32_t i = 0; i < 3; i++)
        data[i] = segue_test_words(test, WORDS, i);
    segue_buffer *other = segue_test_words(test, WORDS, 9);
    segue_device_set_cache_budget(
        test->device, &(struct segue_cache_budget){
                          .max_bytes = UINT64_MAX, .max_graphs = 100, .max_table_graphs = 1});
    segue_command_buffer *commands = record_two(test, 0);
    for (uint32_t i = 0; i < 6; i++) {
        const struct segue_buffer_ref table[] = {segue_test_whole(data[i % 3]),
                                                 segue_test_whole(other)};
        CHECK_OK(submit_on(test->queue, commands, table, 2));
        assert_int_equal(stats_of(test).graphs, 1);
    }
    assert_int_equal(stats_of(test).rebinds, 5);
    CHECK_OK(segue_queue_wait_idle(test->queue));
    segue_semaphore *start = segue_test_semaphore(test, 0);
    const struct segue_semaphore_value wait = {start, 1};
    const struct segue_buffer_ref tables[2][2] = {
        {segue_test_whole(data[0]), segue_test_whole(other)},
        {segue_test_whole(data[1]), segue_test_whole(other)}};
    const struct segue_execution executions[] = {
        {.command_buffer = commands, .bindings = tables[0], .binding_count = 2},
        {.command_buffer = commands, .bindings = tables[1], .binding_count = 2},
    };
    const struct segue_submission submission = {
        .waits = &wait, .wait_count = 1, .executions = executions, .execution_count = 2};
    CHECK_OK(segue_queue_submit(test->queue, &submission));
    assert_int_equal(stats_of(test).graphs, 2);
    CHECK_OK(segue_semaphore_signal(start, 1));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    segue_device_set_cache_budget(test->device, NULL);
    expect_scaled(data[0], 0, 3 * 3);
    expect_scaled(data[1], 1, 3 * 3);
    expect_scaled(data[2], 2, 2 * 3);
    expect_scaled(other, 9, 8 * 3);
}

/** A table with which a command becomes another kind of node gets another graph. */
static void other_kinds_of_nodes_are_other_graphs(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *large = segue_test_zeros(test, 32768);
    segue_buffer *small = segue_test_zeros(test, WORDS);
    const struct segue_buffer_params params = {.size_bytes = 131072,
                                               .memory = SEGUE_MEMORY_HOST_VISIBLE};
    segue_buffer *host = segue_test_buffer_of(test, &params);
    segue_command_buffer *commands = segue_test_begin_with(test, 2, 0);
    CHECK_OK(segue_cmd_fill(commands, segue_test_slot(0, 0, WHOLE), 5, 4));
    CHECK_OK(segue_cmd_update(commands, segue_test_slot(1, 0, 4), "wxyz"));
    CHECK_OK(segue_command_buffer_end(commands));
    run(test, commands, small, large);
    // A fill of 128 KiB is no kernel, but for host-visible memory.
    run(test, commands, large, small);
    assert_int_equal(stats_of(test).misses, 2);
    segue_test_expect_all(large, 0, 32768, 5);
    segue_test_expect_all(small, 0, 1, 0x7a797877);
    run(test, commands, host, large);
    segue_test_expect_all(host, 0, 32768, 5);
    segue_test_expect_all(large, 0, 1, 0x7a797877);
    run(test, commands, small, host);
    segue_test_expect_all(small, 0, WORDS, 5);
    segue_test_expect_all(host, 0, 1, 0x7a797877);
}

/** A refusal names both slots and their buffers; what only reads may share, and so may what is not
 *  used. */
static void distinct_slots_may_not_overlap(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 3 * WORDS, 1);
    segue_buffer *target = segue_test_words(test, WORDS, 2);
    segue_command_buffer *commands =
        segue_test_begin_with(test, 4, SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT);
    segue_test_dispatch_add(test, commands, segue_test_slot(0, 0, WORDS * 4),
                            segue_test_slot(1, 0, WORDS * 4), segue_test_slot(2, 0, WORDS * 4),
                            WORDS);
    CHECK_OK(segue_command_buffer_end(commands));
    struct segue_buffer_ref table[] = {segue_test_ref(data, 0, WORDS * 4),
                                       segue_test_ref(data, 4, WORDS * 4), segue_test_whole(target),
                                       segue_test_whole(target)};
    CHECK_OK(submit_on(test->queue, commands, table, 4));
    table[2] = segue_test_ref(data, WORDS * 4, WORDS * 4);
    CHECK_ERROR(submit_on(test->queue, commands, table, 4), SEGUE_INVALID_ARGUMENT,
                "slots 1 and 2 overlap and commands write one of them");
    table[1] = segue_test_ref(data, 0, WORDS * 4);
    CHECK_OK(submit_on(test->queue, commands, table, 4));
    CHECK_OK(segue_queue_wait_idle(test->queue));
}

/** A slot without a byte overlaps nothing, wherever it is. */
static void empty_slots_overlap_nothing(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 3 * WORDS, 1);
    segue_command_buffer *commands =
        segue_test_begin_with(test, 3, SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT);
    segue_test_dispatch_add(test, commands, segue_test_slot(0, 0, WHOLE),
                            segue_test_slot(1, 0, WHOLE), segue_test_slot(2, 0, WHOLE), 0);
    CHECK_OK(segue_command_buffer_end(commands));
    struct segue_buffer_ref table[] = {segue_test_ref(data, WORDS * 3, 0),
                                       segue_test_ref(data, 0, WORDS * 4),
                                       segue_test_ref(data, WORDS * 2, WORDS * 4)};
    CHECK_ERROR(submit_on(test->queue, commands, table, 3), SEGUE_INVALID_ARGUMENT,
                "slots 1 and 2 overlap");
    table[2].offset_bytes = WORDS * 4;
    CHECK_OK(submit_on(test->queue, commands, table, 3));
    table[0].offset_bytes = WORDS * 4 + 4;
    CHECK_OK(submit_on(test->queue, commands, table, 3));
    CHECK_OK(segue_queue_wait_idle(test->queue));
}

/** Has no memory to give for nothing, as some have not. */
static void *allocate_some(void *context, size_t size_bytes, size_t align_bytes)
{
    (void)context;
    (void)align_bytes;
    return size_bytes != 0 ? malloc(size_bytes) : NULL;
}

static void release_some(void *context, void *pointer, size_t size_bytes)
{
    (void)context;
    (void)size_bytes;
    free(pointer);
}

/** Where there are constant slots only, nothing is compared, and no memory is wanted for it. */
static void constants_alone_are_distinct(void **state)
{
    (void)state;
    const struct segue_allocator allocator = {.allocate = allocate_some, .release = release_some};
    const struct segue_device_params device_params = {.allocator = &allocator};
    const struct segue_constant_slot slot = {.name = "unused", .size_bytes = 4};
    const struct segue_command_buffer_params params = {
        .flags = SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT,
        .constant_slots = &slot,
        .constant_slot_count = 1,
    };
    segue_device *device = NULL;
    segue_queue *queue = NULL;
    segue_command_buffer *commands = NULL;
    CHECK_OK(segue_device_open("soft://", &device_params, &device));
    CHECK_OK(segue_queue_create(device, NULL, &queue));
    CHECK_OK(segue_command_buffer_create(device, &params, &commands));
    CHECK_OK(segue_command_buffer_begin(commands));
    CHECK_OK(segue_command_buffer_end(commands));
    const struct segue_constant_value value = {.size_bytes = 4, .as.u32 = 1};
    const struct segue_execution execution = {
        .command_buffer = commands, .constants = &value, .constant_count = 1};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    CHECK_OK(segue_queue_submit(queue, &submission));
    CHECK_OK(segue_queue_wait_idle(queue));
    segue_command_buffer_destroy(commands);
    segue_queue_destroy(queue);
    segue_device_destroy(device);
}

/** SCALE on slots 0 and 1, five steps in turns, each in order with what it must be. */
static segue_command_buffer *record_steps(struct segue_test *test, uint32_t flags)
{
    segue_command_buffer *commands = segue_test_begin_with(test, 2, flags);
    for (uint32_t step = 0; step < 5; step++) {
        segue_test_dispatch_slow(test, commands, segue_test_slot(step % 2, 0, 16), 4, 3, step);
        segue_test_barrier(commands);
    }
    CHECK_OK(segue_command_buffer_end(commands));
    return commands;
}

static uint32_t edges_of(segue_command_buffer *commands)
{
    struct segue_command_buffer_stats stats;
    CHECK_OK(segue_command_buffer_get_stats(commands, &stats));
    return stats.edge_count;
}

/** What overlaps is ordered anew, as it overlaps, and once. */
static void aliases_are_lowered(void **state)
{
    struct segue_test *test = *state;
    const uint32_t flags = SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT | SEGUE_COMMAND_BUFFER_LOWER_ALIASES;
    segue_buffer *data = segue_test_words(test, 16, 1);
    segue_buffer *more = segue_test_words(test, 16, 2);
    segue_command_buffer *commands = record_steps(test, flags);
    const struct segue_buffer_ref tables[][2] = {
        {segue_test_ref(data, 0, 16), segue_test_ref(data, 16, 16)},
        {segue_test_ref(data, 0, 16), segue_test_ref(data, 0, 16)},
        {segue_test_ref(more, 0, 16), segue_test_ref(more, 0, 16)},
        // They overlap, but not where the commands touch them.
        {segue_test_ref(more, 0, 32), segue_test_ref(more, 16, 16)},
        {segue_test_ref(more, 16, 16), segue_test_ref(data, 16, 16)},
        {segue_test_ref(data, 32, 16), segue_test_ref(data, 32, 16)},
    };
    static const bool ordered[] = {false, true, true, false, false, true};
    uint32_t expected[2][16];
    for (uint32_t i = 0; i < 16; i++) {
        expected[0][i] = segue_test_word(1, i);
        expected[1][i] = segue_test_word(2, i);
    }
    uint32_t edges[2] = {0, 0};
    for (uint32_t i = 0; i < 6; i++) {
        CHECK_OK(submit_on(test->queue, commands, tables[i], 2));
        CHECK_OK(segue_queue_wait_idle(test->queue));
        for (uint32_t step = 0; step < 5; step++) {
            const struct segue_buffer_ref *ref = &tables[i][step % 2];
            uint32_t *words = expected[ref->buffer == more] + ref->offset_bytes / 4;
            for (uint32_t k = 0; k < 4; k++)
                words[k] = words[k] * 3 + step;
        }
        segue_test_expect(data, 0, expected[0], 16);
        segue_test_expect(more, 0, expected[1], 16);
        const uint32_t edge_count = edges_of(commands);
        assert_true(edges[ordered[i]] == 0 || edges[ordered[i]] == edge_count);
        edges[ordered[i]] = edge_count;
    }
    assert_int_not_equal(edges[0], edges[1]);
    // All ways to overlap but the first are found again, or of a structure that is there.
    const struct segue_cache_stats stats = stats_of(test);
    assert_int_equal(stats.misses, 2);
    assert_true(stats.rebinds >= 2);
    struct segue_graph_view view;
    CHECK_OK(segue_command_buffer_get_graph(commands, SEGUE_GRAPH_STAGE_GRAPH, &view));
    for (uint32_t i = 0; i < view.edge_count; i++)
        assert_int_not_equal(view.edges[i].reasons, 0);
}

/** The ladder, from a table: a whole update, another graph, and what is returned. */
static void failing_writes_fall(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *a = segue_test_words(test, WORDS, 1);
    segue_buffer *b = segue_test_words(test, WORDS, 2);
    segue_buffer *c = segue_test_words(test, WORDS, 3);
    segue_command_buffer *commands = record_two(test, 0);
    run(test, commands, a, b);
    fail_call(test, "cuGraphExecKernelNodeSetParams", false, CUDA_ERROR_INVALID_VALUE);
    run(test, commands, c, b);
    test->soft->set_fault(NULL);
    test->soft->reset_report();
    assert_int_equal(stats_of(test).falls[SEGUE_CACHE_FALL_PATCH], 1);
    assert_int_equal(stats_of(test).whole_updates, 1);
    assert_int_equal(stats_of(test).graphs, 1);
    run(test, commands, a, b);
    // Neither way: the graph goes, and another takes its place.
    fail_call(test, "cuGraphExec*", true, CUDA_ERROR_INVALID_VALUE);
    const struct segue_buffer_ref table[] = {segue_test_whole(c), segue_test_whole(a)};
    CHECK_OK(submit_on(test->queue, commands, table, 2));
    test->soft->set_fault(NULL);
    test->soft->reset_report();
    CHECK_OK(segue_queue_wait_idle(test->queue));
    assert_int_equal(stats_of(test).falls[SEGUE_CACHE_FALL_UPDATE], 1);
    assert_int_equal(stats_of(test).graphs, 1);
    // What is lost is said, and the next table is a new start.
    expect_scaled(a, 1, 3 + 3 + 3);
    expect_scaled(b, 2, 3 + 3 + 3);
    expect_scaled(c, 3, 3 + 3);
}

/** Each call for another table fails, once or from then on: the submission is refused, and the next
 *  one does it, or it is done in another way. */
static void every_write_may_fail(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data[] = {segue_test_words(test, WORDS, 0), segue_test_words(test, WORDS, 1)};
    uint32_t times[2] = {0, 0};
    uint32_t refused = 0;
    uint32_t faults = 0;
    segue_command_buffer *commands = record_two(test, 0);
    run(test, commands, data[0], data[0]);
    times[0] += 6;
    for (uint32_t round = 0; round < 40; round++) {
        const uint32_t target = (round + 1) % 2;
        const struct segue_buffer_ref table[] = {segue_test_whole(data[target]),
                                                 segue_test_whole(data[target])};
        test->soft->set_fault(&(struct segue_soft_fault){.nth = 1 + round / 2 % 10,
                                                         .forever = round >= 20,
                                                         .driver_result = CUDA_ERROR_INVALID_VALUE,
                                                         .name_pattern = "cuGraph*"});
        const segue_status status = submit_on(test->queue, commands, table, 2);
        struct segue_soft_report report;
        test->soft->get_report(&report);
        faults += report.fault_count != 0;
        test->soft->set_fault(NULL);
        test->soft->reset_report();
        refused += status != SEGUE_OK;
        if (status != SEGUE_OK)
            CHECK_OK(submit_on(test->queue, commands, table, 2));
        CHECK_OK(segue_queue_wait_idle(test->queue));
        times[target] += 6;
        expect_scaled(data[target], target, times[target]);
        expect_scaled(data[1 - target], 1 - target, times[1 - target]);
    }
    assert_true(faults >= 28);
    assert_true(refused >= 5 && refused < faults);
}

/** A value that differs writes the nodes that use it, no others. */
static void constants_are_written(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, WORDS, 1);
    const struct segue_constant_slot slot = {.name = "addend", .size_bytes = 4};
    segue_command_buffer *commands = NULL;
    CHECK_OK(segue_command_buffer_create(
        test->device,
        &(struct segue_command_buffer_params){
            .mode = SEGUE_EXECUTION_GRAPH, .constant_slots = &slot, .constant_slot_count = 1},
        &commands));
    CHECK_OK(segue_command_buffer_begin(commands));
    const struct segue_buffer_ref whole = segue_test_whole(data);
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t constants[] = {WORDS, 3, 7};
        const struct segue_constant_use use = {.offset_bytes = 8, .size_bytes = 4};
        CHECK_OK(segue_cmd_dispatch(commands, &(struct segue_dispatch){
                                                  .executable = test->kernels,
                                                  .entry_point = SEGUE_TEST_SCALE,
                                                  .grid = {1, 1, 1},
                                                  .bindings = &whole,
                                                  .binding_count = 1,
                                                  .constants = constants,
                                                  .constants_size_bytes = sizeof(constants),
                                                  .constant_uses = &use,
                                                  .constant_use_count = i == 1,
                                              }));
        segue_test_barrier(commands);
    }
    CHECK_OK(segue_command_buffer_end(commands));
    uint32_t word = segue_test_word(1, 0);
    for (uint32_t value = 5; value < 8; value++) {
        const struct segue_constant_value constant = {.size_bytes = 4, .as.u32 = value};
        const struct segue_execution execution = {
            .command_buffer = commands, .constants = &constant, .constant_count = 1};
        const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
        CHECK_OK(segue_queue_submit(test->queue, &submission));
        CHECK_OK(segue_queue_wait_idle(test->queue));
        word = ((word * 3 + 7) * 3 + value) * 3 + 7;
        word = word * 3 + 7;
        segue_test_expect_all(data, 0, 1, word);
    }
    assert_int_equal(stats_of(test).rebinds, 2);
    assert_int_equal(stats_of(test).rebound_nodes, 2);
    segue_command_buffer_destroy(commands);
}

int main(void)
{
    if (strncmp(segue_test_device_uri(), "soft", 4) != 0 ||
        segue_test_mode() != SEGUE_EXECUTION_GRAPH) {
        print_message("skipped: asks the software driver what its graphs were told\n");
        return SEGUE_TEST_EXIT_SKIPPED;
    }
    const int unprepared = segue_test_prepare();
    if (unprepared != 0)
        return unprepared;
    const struct CMUnitTest tests[] = {
        segue_test_case(nodes_of_changed_slots_are_written),
        segue_test_case(nodes_are_written_once),
        segue_test_case(other_recordings_are_compared),
        segue_test_case(finished_tables_are_noticed),
        segue_test_case(equal_tables_write_nothing),
        segue_test_case(tables_in_flight_have_their_graphs),
        segue_test_case(graphs_given_back_are_found),
        segue_test_case(budget_makes_tables_wait),
        segue_test_case(other_kinds_of_nodes_are_other_graphs),
        segue_test_case(distinct_slots_may_not_overlap),
        segue_test_case(empty_slots_overlap_nothing),
        segue_test_case(constants_alone_are_distinct),
        segue_test_case(aliases_are_lowered),
        segue_test_case(failing_writes_fall),
        segue_test_case(every_write_may_fail),
        segue_test_case(constants_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
