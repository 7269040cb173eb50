// SPDX-License-Identifier: Apache-2.0
// The cache of executable graphs: what is recognised, what is written, and what is kept.
#include "test.h"
#include <cuda.h>

#include <pthread.h>
#include <stdio.h>

#define WORDS 64

static struct segue_cache_stats stats_of(struct segue_test *test)
{
    struct segue_cache_stats stats;
    segue_device_get_cache_stats(test->device, &stats);
    return stats;
}

static struct segue_soft_report report_of(struct segue_test *test)
{
    struct segue_soft_report report;
    test->soft->get_report(&report);
    return report;
}

static void fail_call(struct segue_test *test, const char *name, bool forever, int32_t result)
{
    test->soft->set_fault(&(struct segue_soft_fault){
        .nth = 1, .forever = forever, .driver_result = result, .name_pattern = name});
}

/** Starts to record again. */
static void restart(segue_command_buffer *commands)
{
    CHECK_OK(segue_command_buffer_reset(commands));
    CHECK_OK(segue_command_buffer_begin(commands));
}

/** A chain of SCALE on one buffer; the last one has its own constants. */
static void record_chain(struct segue_test *test, segue_command_buffer *commands,
                         segue_buffer *data, uint32_t length, uint32_t factor, uint32_t addend)
{
    for (uint32_t i = 0; i < length; i++) {
        const bool last = i + 1 == length;
        segue_test_dispatch_scale(test, commands, segue_test_whole(data), WORDS, last ? factor : 3,
                                  last ? addend : 7);
        segue_test_barrier(commands);
    }
}

static uint32_t chain_word(uint32_t word, uint32_t length, uint32_t factor, uint32_t addend)
{
    for (uint32_t i = 0; i + 1 < length; i++)
        word = word * 3 + 7;
    return word * factor + addend;
}

static void expect_chain(segue_buffer *data, uint64_t seed, uint32_t length, uint32_t factor,
                         uint32_t addend)
{
    uint32_t words[WORDS];
    for (uint32_t i = 0; i < WORDS; i++)
        words[i] = chain_word(segue_test_word(seed, i), length, factor, addend);
    segue_test_expect(data, 0, words, WORDS);
}

/** Nothing differs: no call to the driver, not one. */
static void unchanged_recording_makes_no_call(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, WORDS, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    record_chain(test, commands, data, 5, 2, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    assert_int_equal(stats_of(test).misses, 1);
    restart(commands);
    assert_int_equal(stats_of(test).idle_graphs, 1);
    record_chain(test, commands, data, 5, 2, 1);
    const uint64_t calls = report_of(test).call_count;
    CHECK_OK(segue_command_buffer_end(commands));
    assert_int_equal(report_of(test).call_count, calls);
    const struct segue_cache_stats stats = stats_of(test);
    assert_int_equal(stats.hits, 1);
    assert_int_equal(stats.recognised, 1);
    assert_int_equal(stats.unchanged, 1);
    assert_int_equal(stats.misses, 1);
    assert_int_equal(stats.idle_graphs, 0);
    assert_true(stats.saved_ns > 0);
    struct segue_command_buffer_stats own;
    CHECK_OK(segue_command_buffer_get_stats(commands, &own));
    assert_true(own.reused);
    assert_int_equal(own.nodes_written, 0);
    assert_int_equal(own.node_count, 5);
    assert_int_equal(own.edge_count, 4);
    assert_int_equal(own.instantiate_ns, 0);
    segue_test_wait(test, segue_test_submit(test, commands));
    expect_chain(data, 1, 5, 2, 1);
}

/** Another command buffer of the same structure takes the graph that the first has given back. */
static void graphs_go_from_buffer_to_buffer(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, WORDS, 1);
    segue_command_buffer *first = segue_test_begin(test);
    record_chain(test, first, data, 4, 2, 1);
    CHECK_OK(segue_command_buffer_end(first));
    // Debug groups are no structure.
    segue_command_buffer *second = segue_test_begin(test);
    CHECK_OK(segue_cmd_begin_group(second, "again"));
    record_chain(test, second, data, 4, 5, 9);
    CHECK_OK(segue_cmd_end_group(second));
    segue_test_destroy(test, first);
    CHECK_OK(segue_command_buffer_end(second));
    const struct segue_cache_stats stats = stats_of(test);
    assert_int_equal(stats.misses + stats.copies, 1);
    assert_int_equal(stats.nodes_written, 1);
    assert_int_equal(stats.graphs, 1);
    segue_test_wait(test, segue_test_submit(test, second));
    expect_chain(data, 1, 4, 5, 9);
}

/** Only what differs is written: constants, a grid, a pattern, a copy's range. */
static void only_differences_are_written(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, WORDS, 1);
    segue_buffer *other = segue_test_zeros(test, WORDS);
    segue_buffer *large = segue_test_zeros(test, 20000);
    segue_command_buffer *commands = NULL;
    static const uint32_t expected[] = {0, 1, 1, 1, 0};
    for (uint32_t round = 0; round < 5; round++) {
        if (round == 0)
            commands = segue_test_begin(test);
        else
            restart(commands);
        // Each change stays.
        segue_test_dispatch_scale(test, commands, segue_test_whole(data),
                                  round >= 1 ? WORDS / 2 : WORDS, 3, 7);
        CHECK_OK(segue_cmd_fill(commands, segue_test_whole(other), round >= 2 ? 8 : 9, 4));
        CHECK_OK(segue_cmd_fill(commands, segue_test_ref(large, 0, 70000), round >= 3 ? 8 : 9, 4));
        segue_test_barrier(commands);
        CHECK_OK(segue_cmd_copy(commands, segue_test_ref(other, 0, 16),
                                segue_test_ref(large, 72000, 16)));
        CHECK_OK(segue_command_buffer_end(commands));
        struct segue_command_buffer_stats own;
        CHECK_OK(segue_command_buffer_get_stats(commands, &own));
        assert_int_equal(own.reused, round != 0);
        if (round != 0)
            assert_int_equal(own.nodes_written, expected[round]);
        segue_test_wait(test, segue_test_submit(test, commands));
        segue_test_expect_all(other, 0, WORDS, round >= 2 ? 8 : 9);
        segue_test_expect_all(large, 0, 17500, round >= 3 ? 8 : 9);
        segue_test_expect_all(large, 18000, 4, round >= 2 ? 8 : 9);
    }
    uint32_t words[WORDS];
    for (uint32_t i = 0; i < WORDS; i++) {
        words[i] = chain_word(segue_test_word(1, i), 1, 3, 7);
        for (uint32_t round = 1; i < WORDS / 2 && round < 5; round++)
            words[i] = words[i] * 3 + 7;
    }
    segue_test_expect(data, 0, words, WORDS);
    assert_int_equal(stats_of(test).misses, 1);
}

/** New inline data goes to where the old was, and no node is written for it. */
static void inline_data_is_staged_again(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_zeros(test, WORDS);
    segue_command_buffer *commands = segue_test_begin(test);
    uint64_t allocations = 0;
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t words[WORDS];
        for (uint32_t i = 0; i < WORDS; i++)
            words[i] = segue_test_word(round, i);
        if (round != 0)
            restart(commands);
        CHECK_OK(segue_cmd_update(commands, segue_test_whole(data), words));
        CHECK_OK(segue_command_buffer_end(commands));
        if (round == 0)
            allocations = report_of(test).allocation_count;
        segue_test_wait(test, segue_test_submit(test, commands));
        segue_test_expect(data, 0, words, WORDS);
    }
    assert_int_equal(report_of(test).allocation_count, allocations);
    assert_int_equal(stats_of(test).nodes_written, 0);
    assert_int_equal(stats_of(test).misses, 1);
}

/** out = left + right, then left *= 3, then right *= 3: two reads before two writes. */
static void record_sums(struct segue_test *test, segue_command_buffer *commands,
                        struct segue_buffer_ref left, struct segue_buffer_ref right,
                        struct segue_buffer_ref out)
{
    segue_test_dispatch_add(test, commands, left, right, out, 16);
    segue_test_barrier(commands);
    segue_test_dispatch_scale(test, commands, left, 16, 3, 7);
    segue_test_dispatch_scale(test, commands, right, 16, 2, 1);
}

static struct segue_buffer_ref part(segue_buffer *buffer, uint32_t index)
{
    return segue_test_ref(buffer, (uint64_t)index * 256, 64);
}

/** Ranges that move as one, and onto nothing else, keep the order: nothing is ordered anew. */
static void moved_ranges_are_recognised(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *arena = segue_test_words(test, 1024, 1);
    segue_buffer *other = segue_test_words(test, 1024, 2);
    segue_command_buffer *commands = segue_test_begin(test);
    record_sums(test, commands, part(arena, 0), part(arena, 1), part(arena, 2));
    CHECK_OK(segue_command_buffer_end(commands));
    const struct {
        struct segue_buffer_ref left, right, out;
        uint32_t written;
    } moves[] = {
        // One piece; two that change places; to another buffer; back, all of them.
        {part(arena, 3), part(arena, 1), part(arena, 2), 2},
        {part(arena, 1), part(arena, 3), part(arena, 2), 3},
        {part(arena, 1), part(arena, 3), part(other, 2), 1},
        {part(other, 1), part(other, 0), part(arena, 9), 3},
    };
    for (uint32_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        uint32_t left[16];
        uint32_t right[16];
        restart(commands);
        record_sums(test, commands, moves[i].left, moves[i].right, moves[i].out);
        CHECK_OK(segue_command_buffer_end(commands));
        assert_int_equal(stats_of(test).recognised, i + 1);
        struct segue_command_buffer_stats own;
        CHECK_OK(segue_command_buffer_get_stats(commands, &own));
        assert_int_equal(own.nodes_written, moves[i].written);
        segue_test_read(moves[i].left.buffer, moves[i].left.offset_bytes / 4, 16, left);
        segue_test_read(moves[i].right.buffer, moves[i].right.offset_bytes / 4, 16, right);
        segue_test_wait(test, segue_test_submit(test, commands));
        for (uint32_t k = 0; k < 16; k++) {
            const uint32_t sum = left[k] + right[k];
            left[k] = left[k] * 3 + 7;
            right[k] = right[k] * 2 + 1;
            segue_test_expect(moves[i].out.buffer, moves[i].out.offset_bytes / 4 + k, &sum, 1);
        }
        segue_test_expect(moves[i].left.buffer, moves[i].left.offset_bytes / 4, left, 16);
        segue_test_expect(moves[i].right.buffer, moves[i].right.offset_bytes / 4, right, 16);
    }
    assert_int_equal(stats_of(test).misses, 1);
}

/** Each of these changes which ranges overlap: the old order would be wrong, and the driver would
 *  see a hazard. Recorded in a row, no two barriers apart, so that order comes from hazards. */
static void new_aliases_are_not_recognised(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *arena = segue_test_words(test, 1024, 1);
    const struct segue_buffer_ref variants[][2] = {
        {part(arena, 0), part(arena, 1)},
        // The two pieces fall together: all at once, or one onto half of the other.
        {part(arena, 0), part(arena, 0)},
        {part(arena, 0), segue_test_ref(arena, 32, 64)},
        // And apart again, as the first graph was, which is idle; then onto where that is now.
        {part(arena, 4), part(arena, 1)},
        {part(arena, 4), part(arena, 4)},
    };
    segue_command_buffer *commands = NULL;
    for (uint32_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
        uint32_t words[512];
        if (i == 0)
            commands = segue_test_begin(test);
        else
            restart(commands);
        segue_test_dispatch_scale(test, commands, variants[i][0], 16, 3, 7);
        segue_test_barrier(commands);
        segue_test_dispatch_scale(test, commands, variants[i][1], 16, 2, 1);
        CHECK_OK(segue_command_buffer_end(commands));
        assert_int_equal(stats_of(test).recognised, i >= 3);
        segue_test_read(arena, 0, 512, words);
        segue_test_wait(test, segue_test_submit(test, commands));
        for (uint32_t k = 0; k < 16; k++) {
            uint32_t *word = &words[variants[i][0].offset_bytes / 4 + k];
            *word = *word * 3 + 7;
        }
        for (uint32_t k = 0; k < 16; k++) {
            uint32_t *word = &words[variants[i][1].offset_bytes / 4 + k];
            *word = *word * 2 + 1;
        }
        segue_test_expect(arena, 0, words, 512);
    }
}

/** What is known of the aliases of a content goes with it: two ranges that came to lie on each
 * other do not move apart as two. (In barrier order the graph is the same all along.) */
static void aliases_go_with_their_content(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *arena = segue_test_words(test, 1024, 1);
    static const uint32_t places[][2] = {{0, 1}, {2, 1}, {3, 3}, {4, 7}};
    static const uint32_t recognised[] = {0, 1, 1, 1};
    segue_command_buffer *commands =
        segue_test_begin_with(test, 0, SEGUE_COMMAND_BUFFER_BARRIER_ORDER);
    for (uint32_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (i != 0)
            restart(commands);
        segue_test_dispatch_scale(test, commands, part(arena, places[i][0]), 16, 3, 7);
        segue_test_barrier(commands);
        segue_test_dispatch_scale(test, commands, part(arena, places[i][1]), 16, 2, 1);
        CHECK_OK(segue_command_buffer_end(commands));
        assert_int_equal(stats_of(test).recognised, recognised[i]);
        assert_int_equal(stats_of(test).misses, 1);
    }
}

/** A grid is content, and an entry point is structure, though all else is the same. */
static void grids_and_entry_points(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *out = segue_test_zeros(test, WORDS);
    const struct segue_buffer_ref target = segue_test_whole(out);
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t i = 0; i < 3; i++) {
        const struct segue_dispatch shape = {
            .executable = test->kernels,
            .entry_point = SEGUE_TEST_SHAPE,
            .grid = {1 + (i == 1), 2, 3 + (i == 2)},
            .block = {2, 1, 1},
            .bindings = &target,
            .binding_count = 1,
        };
        if (i != 0)
            restart(commands);
        CHECK_OK(segue_cmd_dispatch(commands, &shape));
        segue_test_run(test, commands);
        const uint32_t expected[] = {1 + (i == 1), 2, 3 + (i == 2), 2, 1, 1};
        segue_test_expect(out, 0, expected, 6);
    }
    assert_int_equal(stats_of(test).nodes_written, 2);
    segue_buffer *table = segue_test_words(test, WORDS, 1);
    const uint32_t count = 16;
    const struct segue_buffer_ref bindings[] = {segue_test_whole(table), target};
    for (uint32_t i = 0; i < 2; i++) {
        const struct segue_dispatch dispatch = {
            .executable = test->kernels,
            .entry_point = i == 0 ? SEGUE_TEST_SHARED : SEGUE_TEST_DEPENDENT,
            .grid = {1, 1, 1},
            .bindings = bindings,
            .binding_count = 2,
            .constants = &count,
            .constants_size_bytes = sizeof(count),
        };
        restart(commands);
        CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
        CHECK_OK(segue_command_buffer_end(commands));
        assert_int_equal(stats_of(test).misses, 2 + i);
    }
}

/** Recordings of one hash: barriers that do not order the same are not the same. */
static void equal_hashes_are_compared(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, WORDS, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_scale(test, commands, segue_test_ref(data, 0, 64), 16, 2, 1);
    segue_test_memory_barrier(commands, SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                              SEGUE_ACCESS_MASK_TRANSFER_READ);
    segue_test_dispatch_scale(test, commands, segue_test_ref(data, 64, 64), 16, 2, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    restart(commands);
    segue_test_dispatch_scale(test, commands, segue_test_ref(data, 0, 64), 16, 2, 1);
    segue_test_memory_barrier(commands, SEGUE_ACCESS_MASK_DISPATCH_WRITE, SEGUE_ACCESS_MASK_ALL);
    segue_test_dispatch_scale(test, commands, segue_test_ref(data, 64, 64), 16, 2, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    assert_int_equal(stats_of(test).recognised, 0);
    // Lengths count, too: they decide what overlaps.
    restart(commands);
    segue_test_dispatch_scale(test, commands, segue_test_ref(data, 0, 128), 16, 2, 1);
    segue_test_memory_barrier(commands, SEGUE_ACCESS_MASK_DISPATCH_WRITE, SEGUE_ACCESS_MASK_ALL);
    segue_test_dispatch_scale(test, commands, segue_test_ref(data, 64, 64), 16, 2, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    assert_int_equal(stats_of(test).recognised, 0);
}

/** A fill that becomes large enough for a memset node makes another graph. */
static void node_kinds_are_structure(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_zeros(test, 40000);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(data, 0, 4096), 5, 4));
    CHECK_OK(segue_command_buffer_end(commands));
    restart(commands);
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(data, 0, 70000), 6, 4));
    segue_test_run(test, commands);
    segue_test_expect_all(data, 0, 17500, 6);
    assert_int_equal(stats_of(test).misses, 2);
    assert_int_equal(stats_of(test).structures, 2);
    // Between kernels the length is content; but it takes a look at the order.
    restart(commands);
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(data, 0, 8192), 7, 4));
    segue_test_run(test, commands);
    segue_test_expect_all(data, 0, 2048, 7);
    segue_test_expect_all(data, 2048, 1, 6);
    assert_int_equal(stats_of(test).misses, 2);
    assert_int_equal(stats_of(test).recognised, 0);
    assert_int_equal(stats_of(test).hits, 1);
}

/** What is in flight keeps its values: the next recording gets a graph of its own. */
static void graphs_in_flight_are_left_alone(void **state)
{
    struct segue_test *test = *state;
    enum { STEPS = 6 };
    segue_buffer *data[STEPS];
    segue_command_buffer *commands = segue_test_begin(test);
    uint64_t value = 0;
    for (uint32_t i = 0; i < STEPS; i++)
        data[i] = segue_test_words(test, WORDS, i);
    test->soft->set_paused(true);
    for (uint32_t i = 0; i < STEPS; i++) {
        if (i != 0)
            restart(commands);
        record_chain(test, commands, data[i], 3, i + 2, i);
        CHECK_OK(segue_command_buffer_end(commands));
        value = segue_test_submit(test, commands);
    }
    assert_int_equal(stats_of(test).misses, 1);
    assert_int_equal(stats_of(test).copies, STEPS - 1);
    assert_int_equal(stats_of(test).structures, 1);
    test->soft->set_paused(false);
    segue_test_wait(test, value);
    for (uint32_t i = 0; i < STEPS; i++)
        expect_chain(data[i], i, 3, i + 2, i);
    // Now there are enough of them.
    restart(commands);
    record_chain(test, commands, data[0], 3, 1, 0);
    CHECK_OK(segue_command_buffer_end(commands));
    assert_int_equal(stats_of(test).copies, STEPS - 1);
}

/** What has finished is found out before another graph is made, though nobody has asked. */
static void finished_submissions_are_noticed(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, WORDS, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_queue *other = segue_test_queue(test);
    for (uint32_t i = 0; i < 5; i++) {
        if (i != 0)
            restart(commands);
        record_chain(test, commands, data, 3, i + 2, i);
        CHECK_OK(segue_command_buffer_end(commands));
        const struct segue_semaphore_value done = {test->done, segue_test_submit(test, commands)};
        // The driver runs what another queue waits for; nobody asks about the first queue.
        const struct segue_submission submission = {.waits = &done, .wait_count = 1};
        CHECK_OK(segue_queue_submit(other, &submission));
        CHECK_OK(segue_queue_wait_idle(other));
    }
    assert_int_equal(stats_of(test).misses, 1);
    assert_int_equal(stats_of(test).copies, 0);
    assert_int_equal(stats_of(test).recognised, 4);
    CHECK_OK(segue_queue_wait_idle(test->queue));
}

/** Many shapes in turns: after the first round nothing is instantiated. */
static void shapes_in_turns(void **state)
{
    struct segue_test *test = *state;
    enum { SHAPES = 100 };
    segue_buffer *data = segue_test_words(test, WORDS, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < SHAPES; i++) {
            if (round + i != 0)
                restart(commands);
            record_chain(test, commands, data, i + 1, round + 1, i);
            segue_test_run(test, commands);
        }
        assert_int_equal(stats_of(test).misses, SHAPES);
        assert_int_equal(stats_of(test).copies, 0);
    }
    assert_int_equal(stats_of(test).recognised, 2 * SHAPES);
}

/** The least recently used go first, and only idle ones. */
static void budget_is_kept(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, WORDS, 1);
    segue_command_buffer *commands[4];
    segue_device_set_cache_budget(
        test->device, &(struct segue_cache_budget){.max_bytes = UINT64_MAX, .max_graphs = 2});
    for (uint32_t i = 0; i < 4; i++) {
        commands[i] = segue_test_begin(test);
        record_chain(test, commands[i], data, i + 1, 2, 1);
        CHECK_OK(segue_command_buffer_end(commands[i]));
    }
    assert_int_equal(stats_of(test).evictions, 0);
    for (uint32_t i = 0; i < 4; i++)
        CHECK_OK(segue_command_buffer_reset(commands[i]));
    struct segue_cache_stats stats = stats_of(test);
    assert_int_equal(stats.idle_graphs, 2);
    assert_int_equal(stats.evictions, 2);
    assert_int_equal(stats.structures, 2);
    assert_int_equal(report_of(test).live_graph_execs, 2);
    assert_int_equal(report_of(test).live_graphs, 2);
    assert_true(stats.idle_bytes > 0);
    assert_true(stats.idle_bytes <= stats.host_bytes + stats.device_bytes);
    assert_true(stats.peak_bytes > stats.host_bytes + stats.device_bytes);
    // 2 and 3 are left: 3 is used, so that 2 goes when 0 comes back.
    for (uint32_t i = 4; i-- > 0;) {
        CHECK_OK(segue_command_buffer_begin(commands[i]));
        record_chain(test, commands[i], data, i + 1, 2, 1);
        CHECK_OK(segue_command_buffer_end(commands[i]));
        CHECK_OK(segue_command_buffer_reset(commands[i]));
        assert_int_equal(stats_of(test).misses, i >= 2 ? 4 : 6 - i);
    }
    // By bytes: as much as one of them takes.
    stats = stats_of(test);
    segue_device_set_cache_budget(
        test->device,
        &(struct segue_cache_budget){.max_bytes = stats.idle_bytes - 1, .max_graphs = 100});
    assert_int_equal(stats_of(test).idle_graphs, 1);
    segue_device_trim_cache(test->device);
    stats = stats_of(test);
    assert_int_equal(stats.graphs, 0);
    assert_int_equal(stats.structures, 0);
    assert_int_equal(stats.host_bytes + stats.device_bytes + stats.idle_bytes, 0);
    assert_int_equal(report_of(test).live_graph_execs, 0);
    assert_int_equal(report_of(test).live_graphs, 0);
}

/** A budget of nothing: as if there were no cache. NULL: the default again. */
static void budget_of_nothing(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, WORDS, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_device_set_cache_budget(test->device, &(struct segue_cache_budget){0});
    for (uint32_t i = 0; i < 4; i++) {
        if (i != 0)
            restart(commands);
        if (i == 2)
            segue_device_set_cache_budget(test->device, NULL);
        record_chain(test, commands, data, 2, 2, 1);
        CHECK_OK(segue_command_buffer_end(commands));
    }
    assert_int_equal(stats_of(test).misses, 3);
    assert_int_equal(stats_of(test).hits, 1);
}

/** A kernel that is destroyed takes its graphs with it, also those that come back later. */
static void destroyed_kernels_leave_no_graph(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, WORDS, 1);
    segue_executable *kernels = NULL;
    CHECK_OK(segue_test_kernels_create(test->device, &kernels));
    segue_executable *kept = test->kernels;
    test->kernels = kernels;
    segue_command_buffer *commands =
        segue_test_begin_with(test, 0, SEGUE_COMMAND_BUFFER_UNRETAINED);
    segue_command_buffer *held = segue_test_begin_with(test, 0, SEGUE_COMMAND_BUFFER_UNRETAINED);
    record_chain(test, commands, data, 2, 2, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    record_chain(test, held, data, 3, 2, 1);
    CHECK_OK(segue_command_buffer_end(held));
    CHECK_OK(segue_command_buffer_reset(commands));
    assert_int_equal(stats_of(test).idle_graphs, 1);
    segue_executable_destroy(kernels);
    assert_int_equal(stats_of(test).graphs, 1);
    CHECK_OK(segue_command_buffer_reset(held));
    assert_int_equal(stats_of(test).graphs, 0);
    assert_int_equal(stats_of(test).structures, 0);
    test->kernels = kept;
}

/** Records the chain again with other constants while a call fails. */
static void rerecord_failing(struct segue_test *test, segue_command_buffer *commands,
                             segue_buffer *data, const char *name, bool forever, int32_t result)
{
    restart(commands);
    record_chain(test, commands, data, 3, 4, 5);
    fail_call(test, name, forever, result);
    CHECK_OK(segue_command_buffer_end(commands));
    assert_int_equal(report_of(test).fault_count != 0, true);
    test->soft->set_fault(NULL);
    test->soft->reset_report();
    segue_test_wait(test, segue_test_submit(test, commands));
}

/** Every rung of the ladder, with its reason. */
static void falls_are_counted(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data[5];
    for (uint32_t i = 0; i < 5; i++)
        data[i] = segue_test_words(test, WORDS, i);
    segue_command_buffer *commands = segue_test_begin(test);
    record_chain(test, commands, data[0], 3, 2, 1);
    CHECK_OK(segue_command_buffer_end(commands));

    // A node cannot be written: the whole graph is.
    rerecord_failing(test, commands, data[1], "cuGraphExecKernelNodeSetParams", false,
                     CUDA_ERROR_INVALID_VALUE);
    expect_chain(data[1], 1, 3, 4, 5);
    struct segue_cache_stats stats = stats_of(test);
    assert_int_equal(stats.falls[SEGUE_CACHE_FALL_PATCH], 1);
    assert_int_equal(stats.falls[SEGUE_CACHE_FALL_UPDATE], 0);
    assert_int_equal(stats.whole_updates, 1);
    assert_int_equal(stats.last_fall_command, 0);
    assert_int_equal(stats.last_fall_result, CUDA_ERROR_INVALID_VALUE);
    assert_non_null(strstr(stats.last_fall, "cuGraphExecKernelNodeSetParams"));
    assert_non_null(strstr(stats.last_fall, "scale"));
    assert_int_equal(stats.misses, 1);

    // What was patched before is not lost by a whole update, nor by patching after it.
    restart(commands);
    record_chain(test, commands, data[1], 3, 6, 7);
    CHECK_OK(segue_command_buffer_end(commands));
    assert_int_equal(stats_of(test).nodes_written, 3 + 1);
    rerecord_failing(test, commands, data[2], "cuGraphExecKernelNodeSetParams", true,
                     CUDA_ERROR_INVALID_VALUE);
    expect_chain(data[2], 2, 3, 4, 5);
    assert_int_equal(stats_of(test).falls[SEGUE_CACHE_FALL_PATCH], 2);

    // Nor can the whole: one more is instantiated.
    rerecord_failing(test, commands, data[3], "cuGraphExec*e*", true, CUDA_ERROR_INVALID_VALUE);
    expect_chain(data[3], 3, 3, 4, 5);
    stats = stats_of(test);
    assert_int_equal(stats.falls[SEGUE_CACHE_FALL_UPDATE], 1);
    assert_int_equal(stats.misses + stats.copies, 2);
    assert_non_null(strstr(stats.last_fall, "cuGraphExecUpdate"));

    // Not even the kept graph can be written.
    rerecord_failing(test, commands, data[4], "cuGraph*NodeSetParams", true,
                     CUDA_ERROR_INVALID_VALUE);
    expect_chain(data[4], 4, 3, 4, 5);
    stats = stats_of(test);
    assert_int_equal(stats.falls[SEGUE_CACHE_FALL_PATCH], 4);
    assert_true(stats.falls[SEGUE_CACHE_FALL_UPDATE] >= 2);
    assert_int_equal(stats.misses + stats.copies, 3);
    assert_int_equal(stats.graphs, 1);
}

/** Out of memory: what is idle goes, and it is tried once more. */
static void room_is_made(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, WORDS, 1);
    segue_command_buffer *idle = segue_test_begin(test);
    record_chain(test, idle, data, 2, 2, 1);
    CHECK_OK(segue_command_buffer_end(idle));
    CHECK_OK(segue_command_buffer_reset(idle));
    segue_command_buffer *commands = segue_test_begin(test);
    record_chain(test, commands, data, 3, 2, 1);
    fail_call(test, "cuGraphInstantiate*", false, CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_OK(segue_command_buffer_end(commands));
    test->soft->set_fault(NULL);
    const struct segue_cache_stats stats = stats_of(test);
    assert_int_equal(stats.falls[SEGUE_CACHE_FALL_MEMORY], 1);
    assert_int_equal(stats.evictions, 1);
    assert_int_equal(stats.graphs, 1);
    segue_test_wait(test, segue_test_submit(test, commands));
    expect_chain(data, 1, 3, 2, 1);
    // A second refusal is the answer.
    segue_command_buffer *refused = segue_test_begin(test);
    record_chain(test, refused, data, 4, 2, 1);
    fail_call(test, "cuGraphInstantiate*", true, CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_ERROR(segue_command_buffer_end(refused), SEGUE_OUT_OF_DEVICE_MEMORY, "instantiating");
    test->soft->set_fault(NULL);
}

/** One of several threads that record the same shapes over and over. */
struct worker {
    struct segue_test *test;
    pthread_t thread;
    segue_queue *queue;
    segue_buffer *data;
    uint32_t number;
    segue_status status;
    char message[256];
};

enum { WORKERS = 4, WORKER_STEPS = 60 };

static segue_status work_step(struct worker *worker, segue_command_buffer *commands, uint32_t step)
{
    const struct segue_buffer_ref data = {worker->data, 0, 0, SEGUE_WHOLE_SIZE};
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    segue_status status = segue_command_buffer_reset(commands);
    if (status == SEGUE_OK)
        status = segue_command_buffer_begin(commands);
    for (uint32_t i = 0; i <= step % 3 && status == SEGUE_OK; i++) {
        const uint32_t constants[] = {WORDS, 3, worker->number + step + i};
        const struct segue_dispatch dispatch = {
            .executable = worker->test->kernels,
            .entry_point = SEGUE_TEST_SCALE,
            .grid = {1, 1, 1},
            .bindings = &data,
            .binding_count = 1,
            .constants = constants,
            .constants_size_bytes = sizeof(constants),
        };
        status = segue_cmd_dispatch(commands, &dispatch);
        if (status == SEGUE_OK)
            status = segue_cmd_barrier(commands, NULL);
    }
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(commands);
    return status == SEGUE_OK ? segue_queue_submit(worker->queue, &submission) : status;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_GRAPH};
    segue_command_buffer *commands = NULL;
    segue_status status = segue_command_buffer_create(worker->test->device, &params, &commands);
    for (uint32_t step = 0; step < WORKER_STEPS && status == SEGUE_OK; step++) {
        status = work_step(worker, commands, step);
        if (step % 16 == 15)
            segue_device_trim_cache(worker->test->device);
    }
    if (status == SEGUE_OK)
        status = segue_queue_wait_idle(worker->queue);
    worker->status = status;
    (void)snprintf(worker->message, sizeof(worker->message), "%.255s", segue_last_error()->message);
    segue_command_buffer_destroy(commands);
    return NULL;
}

/** Threads share what is idle, and what one structure's execs share. */
static void threads_share_the_cache(void **state)
{
    struct segue_test *test = *state;
    struct worker workers[WORKERS];
    for (uint32_t i = 0; i < WORKERS; i++)
        workers[i] = (struct worker){.test = test,
                                     .queue = segue_test_queue(test),
                                     .data = segue_test_words(test, WORDS, i),
                                     .number = i * 1000};
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        uint32_t words[WORDS];
        CHECK_OK_ELSEWHERE(workers[i].status, workers[i].message);
        for (uint32_t k = 0; k < WORDS; k++) {
            words[k] = segue_test_word(i, k);
            for (uint32_t step = 0; step < WORKER_STEPS; step++) {
                for (uint32_t n = 0; n <= step % 3; n++)
                    words[k] = words[k] * 3 + i * 1000 + step + n;
            }
        }
        segue_test_expect(workers[i].data, 0, words, WORDS);
    }
    const struct segue_cache_stats stats = stats_of(test);
    assert_int_equal(stats.hits + stats.misses + stats.copies, WORKERS * WORKER_STEPS);
    assert_int_equal(stats.idle_graphs, stats.graphs);
}

static segue_command_buffer *create_automatic(struct segue_test *test, uint32_t flags)
{
    const struct segue_command_buffer_params params = {.flags = flags};
    segue_command_buffer *commands = NULL;
    CHECK_OK(segue_command_buffer_create(test->device, &params, &commands));
    return commands;
}

static enum segue_execution_mode mode_of(segue_command_buffer *commands)
{
    struct segue_command_buffer_stats stats;
    CHECK_OK(segue_command_buffer_get_stats(commands, &stats));
    return stats.mode;
}

/** In mode AUTO the last rung is a stream. */
static void streams_are_the_last_rung(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, WORDS, 1);
    segue_command_buffer *commands = create_automatic(test, 0);
    CHECK_OK(segue_command_buffer_begin(commands));
    record_chain(test, commands, data, 3, 2, 1);
    fail_call(test, "cuGraphInstantiate*", true, CUDA_ERROR_NOT_SUPPORTED);
    CHECK_OK(segue_command_buffer_end(commands));
    test->soft->set_fault(NULL);
    assert_int_equal(mode_of(commands), SEGUE_EXECUTION_STREAM);
    segue_test_wait(test, segue_test_submit(test, commands));
    expect_chain(data, 1, 3, 2, 1);
    const struct segue_cache_stats stats = stats_of(test);
    assert_int_equal(stats.falls[SEGUE_CACHE_FALL_INSTANTIATE], 1);
    assert_int_equal(stats.last_fall_result, CUDA_ERROR_NOT_SUPPORTED);
    assert_non_null(strstr(stats.last_fall, "cuGraphInstantiateWithParams"));
    // Recorded again it is a graph, as it should be.
    restart(commands);
    record_chain(test, commands, data, 3, 2, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    assert_int_equal(mode_of(commands), SEGUE_EXECUTION_GRAPH);
    segue_command_buffer_destroy(commands);
}

/** What is recorded to run once is a stream the first time, and a graph when it comes again. */
static void one_shots_that_come_again(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, WORDS, 1);
    uint32_t words[WORDS];
    for (uint32_t i = 0; i < WORDS; i++)
        words[i] = segue_test_word(1, i);
    for (uint32_t round = 0; round < 4; round++) {
        segue_command_buffer *commands = create_automatic(test, SEGUE_COMMAND_BUFFER_ONE_SHOT);
        CHECK_OK(segue_command_buffer_begin(commands));
        record_chain(test, commands, data, 3, round, 1);
        CHECK_OK(segue_command_buffer_end(commands));
        assert_int_equal(mode_of(commands),
                         round == 0 ? SEGUE_EXECUTION_STREAM : SEGUE_EXECUTION_GRAPH);
        assert_int_equal(stats_of(test).misses, round != 0);
        segue_test_wait(test, segue_test_submit(test, commands));
        for (uint32_t i = 0; i < WORDS; i++)
            words[i] = chain_word(words[i], 3, round, 1);
        segue_test_expect(data, 0, words, WORDS);
        segue_command_buffer_destroy(commands);
    }
    // Transfers are left on the stream: most of them are slower in a graph.
    for (uint32_t round = 0; round < 3; round++) {
        segue_command_buffer *commands = create_automatic(test, SEGUE_COMMAND_BUFFER_ONE_SHOT);
        CHECK_OK(segue_command_buffer_begin(commands));
        CHECK_OK(segue_cmd_fill(commands, segue_test_whole(data), round, 4));
        CHECK_OK(segue_command_buffer_end(commands));
        assert_int_equal(mode_of(commands), SEGUE_EXECUTION_STREAM);
        segue_command_buffer_destroy(commands);
    }
}

/** A lost device is lost: no other way is tried. */
static void losses_are_returned(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, WORDS, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    record_chain(test, commands, data, 3, 2, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    restart(commands);
    record_chain(test, commands, data, 3, 4, 5);
    fail_call(test, "cuGraphExecKernelNodeSetParams", false, CUDA_ERROR_LAUNCH_FAILED);
    CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_DEVICE_LOST, "command 4 (");
    test->soft->set_fault(NULL);
    assert_int_equal(stats_of(test).graphs, 0);
    assert_int_equal(stats_of(test).falls[SEGUE_CACHE_FALL_PATCH], 0);
}

int main(void)
{
    if (strncmp(segue_test_device_uri(), "soft", 4) != 0) {
        print_message("skipped: asks the software driver what it was told\n");
        return SEGUE_TEST_EXIT_SKIPPED;
    }
    const int unprepared = segue_test_prepare();
    if (unprepared != 0)
        return unprepared;
    const struct CMUnitTest tests[] = {
        segue_test_case(unchanged_recording_makes_no_call),
        segue_test_case(graphs_go_from_buffer_to_buffer),
        segue_test_case(only_differences_are_written),
        segue_test_case(inline_data_is_staged_again),
        segue_test_case(moved_ranges_are_recognised),
        segue_test_case(new_aliases_are_not_recognised),
        segue_test_case(aliases_go_with_their_content),
        segue_test_case(grids_and_entry_points),
        segue_test_case(equal_hashes_are_compared),
        segue_test_case(node_kinds_are_structure),
        segue_test_case(graphs_in_flight_are_left_alone),
        segue_test_case(finished_submissions_are_noticed),
        segue_test_case(shapes_in_turns),
        segue_test_case(budget_is_kept),
        segue_test_case(budget_of_nothing),
        segue_test_case(destroyed_kernels_leave_no_graph),
        segue_test_case(falls_are_counted),
        segue_test_case(room_is_made),
        segue_test_case(threads_share_the_cache),
        segue_test_case(streams_are_the_last_rung),
        segue_test_case(one_shots_that_come_again),
        segue_test_case(losses_are_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
