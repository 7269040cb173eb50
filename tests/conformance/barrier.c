// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"
#include "test.h"

/** Every second step of a chain is slow, so that on a GPU a missing edge shows. */
static void dispatch_step(struct segue_test *test, segue_command_buffer *commands,
                          segue_buffer *data, uint32_t count, uint32_t step)
{
    if (step % 2)
        segue_test_dispatch_scale(test, commands, segue_test_whole(data), count, 3, step);
    else
        segue_test_dispatch_slow(test, commands, segue_test_whole(data), count, 3, step);
}

static void chain(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 100, STEPS = 10 };
    segue_buffer *data = segue_test_words(test, COUNT, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    uint32_t expected[COUNT];
    for (uint32_t i = 0; i < COUNT; ++i)
        expected[i] = segue_test_word(1, i);
    for (uint32_t step = 0; step < STEPS; ++step) {
        segue_test_barrier(commands);
        dispatch_step(test, commands, data, COUNT, step);
        for (uint32_t i = 0; i < COUNT; ++i)
            expected[i] = expected[i] * 3 + step;
    }
    segue_test_run(test, commands);
    segue_test_expect(data, 0, expected, COUNT);
}

/** Node count of the graph that the driver was given; none of the nodes may be empty. */
static uint32_t count_nodes(struct segue_test *test, segue_command_buffer *commands)
{
    struct segue_graph_view view;
    if (test->mode == SEGUE_EXECUTION_STREAM) {
        CHECK_STATUS(segue_command_buffer_get_graph(commands, SEGUE_GRAPH_STAGE_GRAPH, &view),
                     SEGUE_INVALID_STATE);
        CHECK_OK(segue_command_buffer_get_graph(commands, SEGUE_GRAPH_STAGE_DAG, &view));
        return view.node_count;
    }
    CHECK_OK(segue_command_buffer_get_graph(commands, SEGUE_GRAPH_STAGE_GRAPH, &view));
    for (uint32_t i = 0; i < view.node_count; ++i)
        assert_int_not_equal(view.nodes[i].type, SEGUE_GRAPH_NODE_EMPTY);
    for (uint32_t i = 0; i < view.edge_count; ++i) {
        assert_true(view.edges[i].from < view.node_count && view.edges[i].to < view.node_count);
        assert_true(i == 0 || view.edges[i - 1].to < view.edges[i].to ||
                    view.edges[i - 1].from < view.edges[i].from);
    }
    return view.node_count;
}

static void leading_doubled_and_trailing(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 4, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_barrier(commands);
    segue_test_barrier(commands);
    segue_test_memory_barrier(commands, SEGUE_ACCESS_MASK_ALL, SEGUE_ACCESS_MASK_ALL);
    segue_test_dispatch_slow(test, commands, segue_test_whole(data), 4, 2, 1);
    segue_test_barrier(commands);
    segue_test_barrier(commands);
    segue_test_barrier(commands);
    segue_test_dispatch_scale(test, commands, segue_test_whole(data), 4, 3, 7);
    segue_test_barrier(commands);
    segue_test_buffer_barrier(commands, SEGUE_ACCESS_MASK_ALL, SEGUE_ACCESS_MASK_ALL,
                              segue_test_whole(data));
    segue_test_run(test, commands);
    assert_int_equal(count_nodes(test, commands), 2);
    for (uint32_t i = 0; i < 4; ++i)
        segue_test_expect_all(data, i, 1, (segue_test_word(1, i) * 2 + 1) * 3 + 7);
}

static void nothing_but_barriers(void **state)
{
    struct segue_test *test = *state;
    segue_command_buffer *commands = segue_test_begin(test);
    for (int i = 0; i < 5; ++i)
        segue_test_barrier(commands);
    segue_test_run(test, commands);
    assert_int_equal(count_nodes(test, commands), 0);
    segue_command_buffer *empty = segue_test_begin(test);
    segue_test_run(test, empty);
    assert_int_equal(count_nodes(test, empty), 0);
}

static void write_after_read_and_write_after_write(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 64, 1);
    segue_buffer *copy = segue_test_zeros(test, 64);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_slow(test, commands, segue_test_whole(data), 64, 1, 5);
    segue_test_memory_barrier(commands, SEGUE_ACCESS_MASK_DISPATCH_WRITE,
                              SEGUE_ACCESS_MASK_TRANSFER_READ);
    CHECK_OK(segue_cmd_copy(commands, segue_test_whole(data), segue_test_whole(copy)));
    segue_test_memory_barrier(commands, SEGUE_ACCESS_MASK_TRANSFER_READ,
                              SEGUE_ACCESS_MASK_TRANSFER_WRITE);
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(data), 1, 4));
    segue_test_memory_barrier(commands, SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                              SEGUE_ACCESS_MASK_TRANSFER_WRITE);
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(data, 0, 128), 2, 4));
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 64; ++i)
        segue_test_expect_all(copy, i, 1, segue_test_word(1, i) + 5);
    segue_test_expect_all(data, 0, 32, 2);
    segue_test_expect_all(data, 32, 32, 1);
}

static void masks_that_do_not_match_order_nothing(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 64, 1);
    static const struct {
        uint32_t source, target;
    } masks[] = {
        {SEGUE_ACCESS_MASK_DISPATCH_READ, SEGUE_ACCESS_MASK_TRANSFER_READ},
        {SEGUE_ACCESS_MASK_TRANSFER_WRITE, SEGUE_ACCESS_MASK_DISPATCH_READ},
        {SEGUE_ACCESS_MASK_ALL, SEGUE_ACCESS_MASK_DISPATCH_WRITE},
    };
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); ++i) {
        segue_command_buffer *commands = segue_test_begin(test);
        CHECK_OK(segue_cmd_fill(commands, segue_test_whole(data), 1, 4));
        segue_test_memory_barrier(commands, masks[i].source, masks[i].target);
        CHECK_OK(segue_cmd_fill(commands, segue_test_whole(data), 2, 4));
        CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_HAZARD, "command 2");
    }
}

static void buffer_barrier_orders_its_range(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 64, 1);
    segue_buffer *other = segue_test_words(test, 64, 2);
    segue_buffer *view = segue_test_view(test, data, 0, 128);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_slow(test, commands, segue_test_ref(data, 0, 128), 32, 2, 1);
    segue_test_buffer_barrier(commands, SEGUE_ACCESS_MASK_DISPATCH_WRITE,
                              SEGUE_ACCESS_MASK_DISPATCH_READ, segue_test_whole(view));
    segue_test_dispatch_scale(test, commands, segue_test_ref(data, 0, 128), 32, 3, 7);
    segue_test_dispatch_scale(test, commands, segue_test_whole(other), 64, 3, 7);
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 32; ++i)
        segue_test_expect_all(data, i, 1, (segue_test_word(1, i) * 2 + 1) * 3 + 7);

    // A barrier on the other half of the memory is of no use.
    commands = segue_test_begin(test);
    segue_test_dispatch_scale(test, commands, segue_test_ref(data, 0, 128), 32, 2, 1);
    segue_test_buffer_barrier(commands, SEGUE_ACCESS_MASK_ALL, SEGUE_ACCESS_MASK_ALL,
                              segue_test_ref(data, 128, 128));
    segue_test_dispatch_scale(test, commands, segue_test_ref(data, 0, 128), 32, 3, 7);
    CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_HAZARD, "command 2");
}

static void ranges_are_compared_as_memory(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 64, 1);
    segue_buffer *low = segue_test_view(test, data, 0, 128);
    segue_buffer *high = segue_test_view(test, data, 124, 132);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(low), 1, 4));
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(high, 4, SEGUE_WHOLE_SIZE), 2, 4));
    segue_test_run(test, commands);
    segue_test_expect_all(data, 0, 32, 1);
    segue_test_expect_all(data, 32, 32, 2);

    commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(low), 1, 4));
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(high), 2, 4));
    CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_HAZARD, "command 1");
}

static void several_items_in_one_barrier(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *a = segue_test_words(test, 16, 1);
    segue_buffer *b = segue_test_words(test, 16, 2);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_slow(test, commands, segue_test_whole(a), 16, 2, 0);
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(b), 7, 4));
    const struct segue_memory_barrier memory = {SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                                                SEGUE_ACCESS_MASK_DISPATCH_READ};
    const struct segue_buffer_barrier buffer = {
        SEGUE_ACCESS_MASK_DISPATCH_WRITE, SEGUE_ACCESS_MASK_DISPATCH_WRITE, segue_test_whole(a)};
    const struct segue_barrier barrier = {.memory_barriers = &memory,
                                          .memory_barrier_count = 1,
                                          .buffer_barriers = &buffer,
                                          .buffer_barrier_count = 1};
    CHECK_OK(segue_cmd_barrier(commands, &barrier));
    segue_test_dispatch_mix(test, commands, segue_test_whole(b), segue_test_whole(a), 16, 3);
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < 16; ++i)
        segue_test_expect_all(a, i, 1, segue_test_word(1, i) * 2 * 31 + 7);
}

/** Two scopes of `width` commands: each of the second reads what two of the first wrote. */
static void wide_scopes_of(struct segue_test *test, uint32_t width)
{
    segue_buffer *first = segue_test_words(test, width, 1);
    segue_buffer *second = segue_test_zeros(test, width);
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t i = 0; i < width; ++i)
        segue_test_dispatch_scale(test, commands, segue_test_ref(first, i * 4, 4), 1, 3, i);
    segue_test_barrier(commands);
    for (uint32_t i = 0; i < width; ++i)
        segue_test_dispatch_add(test, commands, segue_test_ref(first, i * 4, 4),
                                segue_test_ref(first, (i + 1) % width * 4, 4),
                                segue_test_ref(second, i * 4, 4), 1);
    segue_test_run(test, commands);
    count_nodes(test, commands);
    for (uint32_t i = 0; i < width; ++i) {
        uint32_t next = (i + 1) % width;
        segue_test_expect_all(second, i, 1,
                              segue_test_word(1, i) * 3 + i + segue_test_word(1, next) * 3 + next);
    }
}

static void wide_scopes(void **state)
{
    struct segue_test *test = *state;
    wide_scopes_of(test, 1);
    wide_scopes_of(test, 8);
    wide_scopes_of(test, 9);
    wide_scopes_of(test, 200);
}

static void independent_chains(void **state)
{
    struct segue_test *test = *state;
    enum { CHAINS = 4, STEPS = 6, COUNT = 32 };
    segue_buffer *data[CHAINS];
    for (uint32_t c = 0; c < CHAINS; ++c)
        data[c] = segue_test_words(test, COUNT, c);
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t step = 0; step < STEPS; ++step) {
        for (uint32_t c = 0; c < CHAINS; ++c) {
            dispatch_step(test, commands, data[c], COUNT, step);
            segue_test_buffer_barrier(commands, SEGUE_ACCESS_MASK_ALL, SEGUE_ACCESS_MASK_ALL,
                                      segue_test_whole(data[c]));
        }
    }
    segue_test_run(test, commands);
    for (uint32_t c = 0; c < CHAINS; ++c) {
        for (uint32_t i = 0; i < COUNT; ++i) {
            uint32_t word = segue_test_word(c, i);
            for (uint32_t step = 0; step < STEPS; ++step)
                word = word * 3 + step;
            segue_test_expect_all(data[c], i, 1, word);
        }
    }
}

static void expect_failure(struct segue_test *test, const struct segue_barrier *barrier,
                           segue_status expected)
{
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_ERROR(segue_cmd_barrier(commands, barrier), expected, "");
    CHECK_STATUS(segue_command_buffer_end(commands), expected);
    segue_test_destroy(test, commands);
}

static void bad_arguments(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer(test, 64);
    expect_failure(test, &(struct segue_barrier){.flags = 2}, SEGUE_INVALID_ARGUMENT);
    const struct segue_memory_barrier memory = {0x10, SEGUE_ACCESS_MASK_ALL};
    expect_failure(test,
                   &(struct segue_barrier){.memory_barriers = &memory, .memory_barrier_count = 1},
                   SEGUE_INVALID_ARGUMENT);
    expect_failure(test, &(struct segue_barrier){.memory_barrier_count = 1},
                   SEGUE_INVALID_ARGUMENT);
    const struct segue_buffer_barrier range = {SEGUE_ACCESS_MASK_ALL, SEGUE_ACCESS_MASK_ALL,
                                               segue_test_ref(buffer, 60, 8)};
    expect_failure(test,
                   &(struct segue_barrier){.buffer_barriers = &range, .buffer_barrier_count = 1},
                   SEGUE_OUT_OF_RANGE);
}

static void ten_thousand_in_one_scope(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 10000 };
    segue_buffer *data = segue_test_zeros(test, COUNT);
    segue_buffer *sum = segue_test_zeros(test, COUNT);
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t i = 0; i < COUNT; ++i)
        CHECK_OK(segue_cmd_fill(commands, segue_test_ref(data, i * 4, 4), i + 1, 4));
    segue_test_barrier(commands);
    segue_test_dispatch_add(test, commands, segue_test_whole(data), segue_test_whole(data),
                            segue_test_whole(sum), COUNT);
    segue_test_run(test, commands);
    assert_true(count_nodes(test, commands) >= COUNT + 1);
    static uint32_t expected[COUNT];
    for (uint32_t i = 0; i < COUNT; ++i)
        expected[i] = 2 * (i + 1);
    segue_test_expect(sum, 0, expected, COUNT);
}

/** A command of each kind of access to the same memory. */
enum toucher { COPY_FROM, FILL, DISPATCH_READING, DISPATCH_WRITING, TOUCHER_COUNT };

static void touch(struct segue_test *test, segue_command_buffer *commands, enum toucher toucher,
                  segue_buffer *data, segue_buffer *out, uint32_t value)
{
    switch (toucher) {
    case COPY_FROM:
        CHECK_OK(segue_cmd_copy(commands, segue_test_whole(data), segue_test_whole(out)));
        break;
    case FILL:
        CHECK_OK(segue_cmd_fill(commands, segue_test_whole(data), value, 4));
        break;
    case DISPATCH_READING:
        segue_test_dispatch_add(test, commands, segue_test_whole(data), segue_test_whole(data),
                                segue_test_whole(out), 16);
        break;
    default:
        segue_test_dispatch_slow(test, commands, segue_test_whole(data), 16, 3, value);
        break;
    }
}

/** What `data` and `out` hold after one of them, word 0. */
static void touch_words(enum toucher toucher, uint32_t *data, uint32_t *out, uint32_t value)
{
    if (toucher == COPY_FROM)
        *out = *data;
    else if (toucher == FILL)
        *data = value;
    else if (toucher == DISPATCH_READING)
        *out = 2 * *data;
    else
        *data = *data * 3 + value;
}

/** Runs first, a barrier of these masks, second; with two orders of them the results differ. */
static void run_pair(struct segue_test *test, enum toucher first, enum toucher second,
                     uint32_t source, uint32_t target)
{
    segue_buffer *data = segue_test_words(test, 16, 1);
    segue_buffer *outs[] = {segue_test_zeros(test, 16), segue_test_zeros(test, 16)};
    segue_command_buffer *commands = segue_test_begin(test);
    touch(test, commands, first, data, outs[0], 7);
    segue_test_memory_barrier(commands, source, target);
    touch(test, commands, second, data, outs[1], 9);
    segue_test_run(test, commands);
    uint32_t words[3] = {segue_test_word(1, 0)};
    touch_words(first, &words[0], &words[1], 7);
    touch_words(second, &words[0], &words[2], 9);
    segue_test_expect(data, 0, &words[0], 1);
    segue_test_expect(outs[0], 0, &words[1], 1);
    segue_test_expect(outs[1], 0, &words[2], 1);
}

/** Such a barrier does not order the two. */
static void refuse_pair(struct segue_test *test, enum toucher first, enum toucher second,
                        uint32_t source, uint32_t target)
{
    segue_buffer *data = segue_test_words(test, 16, 1);
    segue_buffer *outs[] = {segue_test_zeros(test, 16), segue_test_zeros(test, 16)};
    segue_command_buffer *commands = segue_test_begin(test);
    touch(test, commands, first, data, outs[0], 7);
    segue_test_memory_barrier(commands, source, target);
    touch(test, commands, second, data, outs[1], 9);
    CHECK_ERROR(segue_command_buffer_end(commands), SEGUE_HAZARD, "command 2");
}

static void each_mask_orders_its_own_kind(void **state)
{
    struct segue_test *test = *state;
    /** What is looked at, and all that the command does. */
    static const struct {
        uint32_t kind, all;
    } kinds[TOUCHER_COUNT] = {
        {SEGUE_ACCESS_MASK_TRANSFER_READ,
         SEGUE_ACCESS_MASK_TRANSFER_READ | SEGUE_ACCESS_MASK_TRANSFER_WRITE},
        {SEGUE_ACCESS_MASK_TRANSFER_WRITE, SEGUE_ACCESS_MASK_TRANSFER_WRITE},
        {SEGUE_ACCESS_MASK_DISPATCH_READ,
         SEGUE_ACCESS_MASK_DISPATCH_READ | SEGUE_ACCESS_MASK_DISPATCH_WRITE},
        {SEGUE_ACCESS_MASK_DISPATCH_WRITE,
         SEGUE_ACCESS_MASK_DISPATCH_READ | SEGUE_ACCESS_MASK_DISPATCH_WRITE},
    };
    for (uint32_t pair = 0; pair < TOUCHER_COUNT * TOUCHER_COUNT; ++pair) {
        enum toucher first = (enum toucher)(pair / TOUCHER_COUNT);
        enum toucher second = (enum toucher)(pair % TOUCHER_COUNT);
        run_pair(test, first, second, kinds[first].kind, kinds[second].kind);
        // Two that only read need no order.
        if ((first == COPY_FROM || first == DISPATCH_READING) &&
            (second == COPY_FROM || second == DISPATCH_READING))
            continue;
        refuse_pair(test, first, second, SEGUE_ACCESS_MASK_ALL & ~kinds[first].all,
                    SEGUE_ACCESS_MASK_ALL);
        refuse_pair(test, first, second, SEGUE_ACCESS_MASK_ALL,
                    SEGUE_ACCESS_MASK_ALL & ~kinds[second].all);
    }
}

static void write_after_read(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 64 };
    // The reader is slow: a writer that overtakes it shows.
    segue_buffer *data = segue_test_words(test, COUNT, 1);
    segue_buffer *out = segue_test_words(test, COUNT, 2);
    segue_command_buffer *commands = segue_test_begin(test);
    segue_test_dispatch_slow(test, commands, segue_test_whole(out), COUNT, 1, 0);
    segue_test_barrier(commands);
    segue_test_dispatch_mix(test, commands, segue_test_whole(data), segue_test_whole(out), COUNT,
                            0);
    segue_test_buffer_barrier(commands, SEGUE_ACCESS_MASK_DISPATCH_READ,
                              SEGUE_ACCESS_MASK_TRANSFER_WRITE, segue_test_whole(data));
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(data), 5, 4));
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < COUNT; ++i)
        segue_test_expect_all(out, i, 1, segue_test_word(2, i) * 31 + segue_test_word(1, i));
    segue_test_expect_all(data, 0, COUNT, 5);
}

static void write_after_write(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 64 };
    segue_buffer *data = segue_test_words(test, COUNT, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    for (uint32_t k = 0; k < 10; ++k) {
        segue_test_dispatch_slow(test, commands, segue_test_whole(data), COUNT, 1, k);
        segue_test_buffer_barrier(commands, SEGUE_ACCESS_MASK_DISPATCH_WRITE,
                                  SEGUE_ACCESS_MASK_TRANSFER_WRITE, segue_test_whole(data));
        CHECK_OK(segue_cmd_fill(commands, segue_test_whole(data), 100 + k, 4));
        segue_test_buffer_barrier(commands, SEGUE_ACCESS_MASK_TRANSFER_WRITE,
                                  SEGUE_ACCESS_MASK_DISPATCH_WRITE, segue_test_whole(data));
    }
    segue_test_run(test, commands);
    segue_test_expect_all(data, 0, COUNT, 109);
}

static void reaches_back_over_unrelated_commands(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 16, OTHERS = 20 };
    segue_buffer *data = segue_test_words(test, COUNT, 1);
    segue_buffer *others = segue_test_zeros(test, OTHERS);
    segue_command_buffer *commands = segue_test_begin(test);
    // Neither the first of its scope nor the last is what the reader depends on.
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(others, 0, 4), 1, 4));
    segue_test_dispatch_slow(test, commands, segue_test_whole(data), COUNT, 2, 1);
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(others, 4, 4), 2, 4));
    for (uint32_t i = 2; i < OTHERS; ++i) {
        segue_test_barrier(commands);
        CHECK_OK(segue_cmd_fill(commands, segue_test_ref(others, i * 4, 4), i + 1, 4));
    }
    segue_test_dispatch_scale(test, commands, segue_test_whole(data), COUNT, 3, 7);
    segue_test_run(test, commands);
    for (uint32_t i = 0; i < COUNT; ++i)
        segue_test_expect_all(data, i, 1, (segue_test_word(1, i) * 2 + 1) * 3 + 7);
    for (uint32_t i = 0; i < OTHERS; ++i)
        segue_test_expect_all(others, i, 1, i + 1);
}

static void many_partial_barriers(void **state)
{
    struct segue_test *test = *state;
    enum { CHAINS = 40, STEPS = 3 };
    segue_buffer *data = segue_test_words(test, CHAINS, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    // More of them at once than are told apart.
    for (uint32_t step = 0; step < STEPS; ++step) {
        for (uint32_t c = 0; c < CHAINS; ++c) {
            segue_test_dispatch_scale(test, commands, segue_test_ref(data, c * 4, 4), 1, 3, step);
            segue_test_buffer_barrier(commands, SEGUE_ACCESS_MASK_ALL, SEGUE_ACCESS_MASK_ALL,
                                      segue_test_ref(data, c * 4, 4));
        }
    }
    segue_test_run(test, commands);
    for (uint32_t c = 0; c < CHAINS; ++c) {
        uint32_t word = segue_test_word(1, c);
        for (uint32_t step = 0; step < STEPS; ++step)
            word = word * 3 + step;
        segue_test_expect_all(data, c, 1, word);
    }
}

static const struct CMUnitTest tests[] = {
    segue_test_case(chain),
    segue_test_case(leading_doubled_and_trailing),
    segue_test_case(nothing_but_barriers),
    segue_test_case(write_after_read_and_write_after_write),
    segue_test_case(masks_that_do_not_match_order_nothing),
    segue_test_case(buffer_barrier_orders_its_range),
    segue_test_case(ranges_are_compared_as_memory),
    segue_test_case(several_items_in_one_barrier),
    segue_test_case(wide_scopes),
    segue_test_case(independent_chains),
    segue_test_case(bad_arguments),
    segue_test_case(ten_thousand_in_one_scope),
    segue_test_case(each_mask_orders_its_own_kind),
    segue_test_case(write_after_read),
    segue_test_case(write_after_write),
    segue_test_case(reaches_back_over_unrelated_commands),
    segue_test_case(many_partial_barriers),
};

const struct segue_conformance_area segue_conformance_barrier = {"barrier", tests,
                                                                 sizeof(tests) / sizeof(tests[0])};
