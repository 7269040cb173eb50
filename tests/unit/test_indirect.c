// SPDX-License-Identifier: Apache-2.0
// Kernels that find their pointers in memory: what another table writes and copies, in either mode,
// and that the software driver sees what they touch.
#include "test.h"
#include <cuda.h>

#include <stdlib.h>

#define WORDS 16
#define WHOLE SEGUE_WHOLE_SIZE

static struct segue_cache_stats stats_of(struct segue_test *test)
{
    struct segue_cache_stats stats;
    segue_device_get_cache_stats(test->device, &stats);
    return stats;
}

static segue_status submit(struct segue_test *test, segue_command_buffer *commands,
                           segue_buffer *first, segue_buffer *second)
{
    const struct segue_buffer_ref table[] = {segue_test_whole(first), segue_test_whole(second)};
    const struct segue_execution execution = {
        .command_buffer = commands, .bindings = table, .binding_count = 2};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    return segue_queue_submit(test->queue, &submission);
}

static void run(struct segue_test *test, segue_command_buffer *commands, segue_buffer *first,
                segue_buffer *second)
{
    CHECK_OK(submit(test, commands, first, second));
    CHECK_OK(segue_queue_wait_idle(test->queue));
}

/** Four dispatches, data * 31 + source: 0 and 2 on slot 1, 1 and 3 on slot 0. */
static segue_command_buffer *record(struct segue_test *test, segue_buffer *source)
{
    segue_command_buffer *commands = segue_test_begin_with(test, 2, 0);
    for (uint32_t i = 0; i < 4; i++) {
        segue_test_dispatch_indirect(test, commands, segue_test_whole(source),
                                     segue_test_slot((i + 1) % 2, 0, WHOLE), WORDS, 0);
        segue_test_barrier(commands);
    }
    CHECK_OK(segue_command_buffer_end(commands));
    return commands;
}

static void expect(segue_buffer *buffer, uint64_t seed, uint32_t times)
{
    for (uint32_t i = 0; i < WORDS; i++) {
        uint32_t word = segue_test_word(seed, i);
        for (uint32_t k = 0; k < times; k++)
            word = word * 31 + segue_test_word(9, i);
        segue_test_expect_all(buffer, i, 1, word);
    }
}

/** In both modes one copy of what lies between the first and the last pointer that differ. */
static void another_table_is_one_copy(void **state)
{
    struct segue_test *test = *state;
    for (int mode = SEGUE_EXECUTION_GRAPH; mode <= SEGUE_EXECUTION_STREAM; mode++) {
        const struct segue_cache_stats before = stats_of(test);
        const bool graph = mode == SEGUE_EXECUTION_GRAPH;
        test->mode = (enum segue_execution_mode)mode;
        segue_buffer *source = segue_test_words(test, WORDS, 9);
        segue_buffer *a = segue_test_words(test, WORDS, 1);
        segue_buffer *b = segue_test_words(test, WORDS, 2);
        segue_buffer *c = segue_test_words(test, WORDS, 3);
        segue_command_buffer *commands = record(test, source);
        run(test, commands, a, b);
        struct segue_cache_stats stats = stats_of(test);
        assert_int_equal(stats.table_copies - before.table_copies, 1);
        assert_int_equal(stats.table_bytes - before.table_bytes, 8 * 8);
        // The second pointers of dispatches 1 and 3.
        run(test, commands, c, b);
        stats = stats_of(test);
        assert_int_equal(stats.table_copies - before.table_copies, 2);
        assert_int_equal(stats.table_bytes - before.table_bytes, (8 + 5) * 8);
        run(test, commands, c, b);
        segue_buffer *view = segue_test_view(test, c, 0, WORDS * 4);
        run(test, commands, view, b);
        stats = stats_of(test);
        assert_int_equal(stats.table_copies - before.table_copies, 2);
        run(test, commands, b, a);
        stats = stats_of(test);
        assert_int_equal(stats.table_copies - before.table_copies, 3);
        assert_int_equal(stats.table_bytes - before.table_bytes, (8 + 5 + 7) * 8);
        assert_int_equal(stats.rebinds - before.rebinds, graph ? 3 : 0);
        assert_int_equal(stats.nodes_written, 0);
        assert_int_equal(stats.rebound_nodes, 0);
        assert_int_equal(stats.misses - before.misses, graph);
        expect(a, 1, 2 + 2);
        expect(b, 2, 4 * 2 + 2);
        expect(c, 3, 3 * 2);
        segue_test_destroy(test, commands);
    }
}

/** Only nodes with another parameter are written; a node of both kinds is one of them. */
static void other_parameters_write_nodes(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *a = segue_test_words(test, WORDS, 1);
    segue_buffer *b = segue_test_words(test, WORDS, 2);
    segue_buffer *c = segue_test_words(test, WORDS, 3);
    segue_command_buffer *commands = segue_test_begin_with(test, 2, 0);
    // Slot 0 is a parameter of the first two, and in memory for the third.
    segue_test_dispatch_mix(test, commands, segue_test_slot(0, 0, WHOLE),
                            segue_test_slot(1, 0, WHOLE), WORDS, 0);
    segue_test_barrier(commands);
    segue_test_dispatch_indirect_slow(test, commands, segue_test_slot(0, 0, WHOLE),
                                      segue_test_slot(1, 0, WHOLE), WORDS);
    segue_test_barrier(commands);
    segue_test_dispatch_indirect(test, commands, segue_test_slot(0, 0, WHOLE),
                                 segue_test_slot(1, 0, WHOLE), WORDS, 0);
    CHECK_OK(segue_command_buffer_end(commands));
    run(test, commands, a, c);
    run(test, commands, b, c);
    assert_int_equal(stats_of(test).rebound_nodes, 2);
    run(test, commands, b, a);
    assert_int_equal(stats_of(test).rebound_nodes, 3);
    assert_int_equal(stats_of(test).table_copies, 3);
    for (uint32_t i = 0; i < WORDS; i++) {
        const uint32_t x = segue_test_word(1, i);
        const uint32_t y = segue_test_word(2, i);
        uint32_t word = segue_test_word(3, i);
        word = ((word * 31 + x) * 3 + x) * 31 + x;
        word = ((word * 31 + y) * 3 + y) * 31 + y;
        segue_test_expect_all(c, i, 1, word);
        segue_test_expect_all(a, i, 1, ((x * 31 + y) * 3 + y) * 31 + y);
    }
}

/** Records four dispatches on buffers, with inline data of so many bytes before them. */
static segue_command_buffer *record_buffers(struct segue_test *test, segue_buffer *const source[2],
                                            segue_buffer *data, segue_buffer *inline_target,
                                            uint32_t inline_bytes)
{
    static const unsigned char bytes[64] = {1, 2, 3};
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_update(commands, segue_test_ref(inline_target, 0, inline_bytes), bytes));
    for (uint32_t i = 0; i < 4; i++) {
        segue_test_dispatch_indirect(test, commands, segue_test_whole(source[i % 2]),
                                     segue_test_whole(data), WORDS, 0);
        segue_test_barrier(commands);
    }
    CHECK_OK(segue_command_buffer_end(commands));
    return commands;
}

/** A recording with other buffers takes the graph as it is; so does one in which they overlap
 *  otherwise, for which the order is found anew. */
static void other_buffers_write_no_node(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *one = segue_test_words(test, WORDS, 9);
    segue_buffer *two = segue_test_words(test, WORDS, 9);
    segue_buffer *a = segue_test_words(test, WORDS, 1);
    segue_buffer *b = segue_test_words(test, WORDS, 2);
    segue_buffer *bytes = segue_test_zeros(test, WORDS);
    segue_buffer *const same[2] = {one, one};
    segue_buffer *const both[2] = {one, two};
    segue_command_buffer *commands = record_buffers(test, same, a, bytes, 16);
    segue_test_submit(test, commands);
    segue_test_wait(test, test->done_value);
    segue_test_destroy(test, commands);

    commands = record_buffers(test, same, b, bytes, 16);
    struct segue_cache_stats stats = stats_of(test);
    assert_int_equal(stats.recognised, 1);
    assert_int_equal(stats.unchanged, 1);
    // Nothing is copied before it is submitted.
    assert_int_equal(stats.table_copies, 1);
    segue_test_submit(test, commands);
    segue_test_submit(test, commands);
    segue_test_wait(test, test->done_value);
    assert_int_equal(stats_of(test).table_copies, 2);
    assert_int_equal(stats_of(test).table_bytes, (8 + 7) * 8);
    segue_test_destroy(test, commands);

    commands = record_buffers(test, both, a, bytes, 16);
    stats = stats_of(test);
    assert_int_equal(stats.recognised, 1);
    assert_int_equal(stats.hits, 2);
    assert_int_equal(stats.nodes_written, 0);
    segue_test_submit(test, commands);
    segue_test_wait(test, test->done_value);
    assert_int_equal(stats_of(test).table_bytes, (8 + 7 + 8) * 8);
    segue_test_destroy(test, commands);
    expect(a, 1, 4 + 4);
    expect(b, 2, 2 * 4);
}

/** The graph's block has no room for more inline data: it gets another one, where nodes that know
 *  the old one's place are written. */
static void tables_move_with_their_block(void **state)
{
    struct segue_test *test = *state;
    enum { LARGE = 8192 };
    segue_buffer *source = segue_test_words(test, WORDS, 9);
    segue_buffer *a = segue_test_words(test, WORDS, 1);
    segue_buffer *bytes = segue_test_zeros(test, LARGE / 4);
    unsigned char *data = calloc(1, LARGE);
    assert_non_null(data);
    for (uint32_t size = 64; size <= LARGE; size += LARGE - 64) {
        segue_command_buffer *commands = segue_test_begin(test);
        CHECK_OK(segue_cmd_update(commands, segue_test_ref(bytes, 0, size), data));
        segue_test_barrier(commands);
        segue_test_dispatch_indirect(test, commands, segue_test_whole(source), segue_test_whole(a),
                                     WORDS, 0);
        CHECK_OK(segue_command_buffer_end(commands));
        segue_test_submit(test, commands);
        segue_test_wait(test, test->done_value);
        segue_test_destroy(test, commands);
    }
    free(data);
    assert_int_equal(stats_of(test).hits, 1);
    assert_int_equal(stats_of(test).nodes_written, 2);
    expect(a, 1, 2);
}

static void fail_call(struct segue_test *test, const char *name)
{
    test->soft->set_fault(&(struct segue_soft_fault){
        .nth = 1, .driver_result = CUDA_ERROR_UNKNOWN, .name_pattern = name});
}

/** A copy that failed is made again by the next submission, and one behind which the launch failed,
 *  too. */
static void failed_copies_are_made_again(void **state)
{
    static const char *const calls[] = {"cuMemcpyHtoDAsync", "cuGraphLaunch"};
    struct segue_test *test = *state;
    segue_buffer *source = segue_test_words(test, WORDS, 9);
    segue_buffer *a = segue_test_words(test, WORDS, 1);
    segue_buffer *b = segue_test_words(test, WORDS, 2);
    segue_command_buffer *commands = record(test, source);
    run(test, commands, a, a);
    for (uint32_t i = 0; i < 2; i++) {
        segue_buffer *bound = i == 0 ? b : a;
        fail_call(test, i == 0 ? "cuMemcpyHtoDAsync*" : calls[i]);
        CHECK_ERROR(submit(test, commands, bound, bound), SEGUE_DRIVER_ERROR, calls[i]);
        test->soft->set_fault(NULL);
        CHECK_OK(segue_queue_wait_idle(test->queue));
        run(test, commands, bound, bound);
    }
    assert_int_equal(stats_of(test).table_copies, 1 + 1 + 2);
    expect(a, 1, 4 + 4);
    expect(b, 2, 4);
}

/** A one-shot command buffer whose submission failed behind its copy may come on another queue,
 * which nothing orders behind that copy. */
static void one_shots_copy_again(void **state)
{
    struct segue_test *test = *state;
    segue_queue *queue = test->queue;
    segue_queue *other = segue_test_queue(test);
    segue_buffer *source = segue_test_words(test, WORDS, 9);
    segue_buffer *first = segue_test_words(test, WORDS, 1);
    segue_buffer *second = segue_test_words(test, WORDS, 2);
    test->mode = SEGUE_EXECUTION_STREAM;
    segue_command_buffer *commands = segue_test_begin_with(test, 2, SEGUE_COMMAND_BUFFER_ONE_SHOT);
    segue_test_dispatch_indirect(test, commands, segue_test_whole(source),
                                 segue_test_slot(0, 0, WHOLE), WORDS, 0);
    segue_test_dispatch_indirect(test, commands, segue_test_whole(source),
                                 segue_test_slot(1, 0, WHOLE), WORDS, 0);
    CHECK_OK(segue_command_buffer_end(commands));
    fail_call(test, "cuLaunchKernelEx");
    CHECK_ERROR(submit(test, commands, first, second), SEGUE_DRIVER_ERROR, "cuLaunchKernelEx");
    test->soft->set_fault(NULL);
    test->queue = other;
    CHECK_OK(submit(test, commands, first, second));
    test->queue = queue;
    CHECK_OK(segue_queue_wait_idle(other));
    CHECK_OK(segue_queue_wait_idle(queue));
    assert_int_equal(stats_of(test).table_copies, 2);
    expect(first, 1, 1);
    expect(second, 2, 1);
}

/** What is written in the host's copy while a copy of it has not run would be bound too early. */
static void tables_in_flight_stay_as_they_are(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *source = segue_test_words(test, WORDS, 9);
    segue_buffer *data[3];
    for (uint32_t i = 0; i < 3; i++)
        data[i] = segue_test_words(test, WORDS, i);
    for (int mode = SEGUE_EXECUTION_GRAPH; mode <= SEGUE_EXECUTION_STREAM; mode++) {
        test->mode = (enum segue_execution_mode)mode;
        segue_command_buffer *commands = record(test, source);
        test->soft->set_paused(true);
        for (uint32_t i = 0; i < 6; i++)
            CHECK_OK(submit(test, commands, data[i % 3], data[(i + 1) % 3]));
        test->soft->set_paused(false);
        CHECK_OK(segue_queue_wait_idle(test->queue));
        segue_test_destroy(test, commands);
    }
    for (uint32_t i = 0; i < 3; i++)
        expect(data[i], i, 2 * (2 * 2 + 2 * 2));
}

/** On another queue than that of the copy nothing else orders what comes after it. */
static void queues_wait_for_the_copy(void **state)
{
    struct segue_test *test = *state;
    segue_queue *queues[] = {test->queue, segue_test_queue(test)};
    segue_buffer *source = segue_test_words(test, WORDS, 9);
    for (uint32_t seed = 1; seed <= 24; seed++) {
        segue_buffer *data = segue_test_words(test, WORDS, 1);
        const struct segue_buffer_ref table[] = {segue_test_whole(data), segue_test_whole(data)};
        test->mode = seed % 2 == 0 ? SEGUE_EXECUTION_GRAPH : SEGUE_EXECUTION_STREAM;
        test->soft->set_seed(seed);
        segue_command_buffer *commands = record(test, source);
        const struct segue_execution execution = {
            .command_buffer = commands, .bindings = table, .binding_count = 2};
        const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
        // A kernel of the software driver runs as a whole, so the sum does not depend on the order.
        for (uint32_t i = 0; i < 4; i++)
            CHECK_OK(segue_queue_submit(queues[i % 2], &submission));
        CHECK_OK(segue_queue_wait_idle(queues[1]));
        CHECK_OK(segue_queue_wait_idle(queues[0]));
        expect(data, 1, 4 * 4);
        segue_test_destroy(test, commands);
        segue_test_destroy(test, data);
    }
}

/** Two dispatches that nothing orders, with pointers as the table says. */
static uint64_t count_hazards(struct segue_test *test, segue_device *device,
                              segue_executable *kernels, const struct segue_buffer_ref table[3])
{
    static const uint32_t constants[] = {WORDS, 0};
    const struct segue_command_buffer_params params = {
        .mode = SEGUE_EXECUTION_GRAPH,
        .slot_count = 3,
        .flags = SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT | SEGUE_COMMAND_BUFFER_LOWER_ALIASES};
    const struct segue_buffer_ref whole = segue_test_slot(0, 0, WHOLE);
    segue_command_buffer *commands;
    segue_queue *queue;
    CHECK_OK(segue_command_buffer_create(device, &params, &commands));
    CHECK_OK(segue_queue_create(device, NULL, &queue));
    CHECK_OK(segue_command_buffer_begin(commands));
    for (uint32_t i = 0; i < 2; i++) {
        const struct segue_buffer_ref bindings[] = {whole, segue_test_slot(1 + i, 0, WHOLE)};
        const struct segue_dispatch dispatch = {
            .executable = kernels,
            .entry_point = SEGUE_TEST_INDIRECT,
            .grid = {1, 1, 1},
            .bindings = bindings,
            .binding_count = 2,
            .constants = constants,
            .constants_size_bytes = sizeof(constants),
        };
        CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    }
    CHECK_OK(segue_command_buffer_end(commands));
    const struct segue_execution execution = {
        .command_buffer = commands, .bindings = table, .binding_count = 3};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    struct segue_soft_report before, after;
    test->soft->get_report(&before);
    CHECK_OK(segue_queue_submit(queue, &submission));
    CHECK_OK(segue_queue_wait_idle(queue));
    test->soft->get_report(&after);
    segue_command_buffer_destroy(commands);
    segue_queue_destroy(queue);
    return after.hazard_count - before.hazard_count;
}

/** The driver finds conflicts of what kernels find in memory, in a graph that it has seen without
 *  one: no node of it is written. */
static void conflicts_in_memory_are_seen(void **state)
{
    struct segue_test *test = *state;
    segue_device *device =
        segue_test_device(test, segue_test_device_uri(),
                          &(struct segue_device_params){.validation = SEGUE_VALIDATION_BASIC});
    segue_executable *kernels;
    CHECK_OK(segue_test_kernels_create(device, &kernels));
    const struct segue_buffer_params params = {.size_bytes = WORDS * 4};
    segue_buffer *buffers[3];
    for (uint32_t i = 0; i < 3; i++)
        buffers[i] = segue_test_buffer_on(test, device, &params);
    const struct segue_buffer_ref apart[] = {
        segue_test_whole(buffers[0]), segue_test_whole(buffers[1]), segue_test_whole(buffers[2])};
    const struct segue_buffer_ref together[] = {apart[0], apart[1], apart[1]};
    assert_int_equal(count_hazards(test, device, kernels, apart), 0);
    assert_int_equal(count_hazards(test, device, kernels, together), 1);
    assert_int_equal(count_hazards(test, device, kernels, apart), 0);
    segue_executable_destroy(kernels);
    test->expects_hazards = true;
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
        segue_test_case(another_table_is_one_copy),
        segue_test_case(other_parameters_write_nodes),
        segue_test_case(other_buffers_write_no_node),
        segue_test_case(tables_move_with_their_block),
        segue_test_case(failed_copies_are_made_again),
        segue_test_case(one_shots_copy_again),
        segue_test_case(tables_in_flight_stay_as_they_are),
        segue_test_case(queues_wait_for_the_copy),
        segue_test_case(conflicts_in_memory_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
