// SPDX-License-Identifier: Apache-2.0
#include "slots_indirect.h"

#include "slots_tables.h"

#define WHOLE SEGUE_WHOLE_SIZE
#define WORDS SLOTS_WORDS

/** Three slow steps on slot 0, x * 3 + source each. */
static segue_command_buffer *record_slow(struct segue_test *test, segue_buffer *source)
{
    segue_command_buffer *commands = segue_test_begin_with(test, 1, 0);
    for (uint32_t step = 0; step < 3; ++step) {
        segue_test_dispatch_indirect_slow(test, commands, segue_test_whole(source),
                                          segue_test_slot(0, 0, WORDS * 4), WORDS);
        segue_test_barrier(commands);
    }
    CHECK_OK(segue_command_buffer_end(commands));
    return commands;
}

static void expect_slow(segue_buffer *data, uint64_t seed, uint32_t times)
{
    uint32_t expected[WORDS];
    for (uint32_t i = 0; i < WORDS; ++i) {
        expected[i] = segue_test_word(seed, i);
        for (uint32_t step = 0; step < 3 * times; ++step)
            expected[i] = expected[i] * 3 + segue_test_word(9, i);
    }
    segue_test_expect(data, 0, expected, WORDS);
}

void indirect_tables_in_flight(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *source = segue_test_words(test, WORDS, 9);
    slots_check_tables_in_flight(test, record_slow(test, source), expect_slow);
}

void indirect_tables_on_two_queues(void **state)
{
    struct segue_test *test = *state;
    segue_queue *queues[] = {test->queue, segue_test_queue(test)};
    segue_buffer *source = segue_test_words(test, WORDS, 9);
    segue_buffer *data[] = {segue_test_words(test, WORDS, 0), segue_test_words(test, WORDS, 1)};
    segue_buffer *shared = segue_test_words(test, WORDS, 2);
    segue_command_buffer *commands = record_slow(test, source);
    for (uint32_t i = 0; i < 8; ++i) {
        const struct segue_buffer_ref table = segue_test_whole(data[i % 2]);
        CHECK_OK(slots_submit_on(queues[i % 2], commands, &table, 1));
    }
    CHECK_OK(segue_device_wait_idle(test->device));
    // The second queue has had no copy of this table: it waits for the first one's.
    const struct segue_buffer_ref table = segue_test_whole(shared);
    segue_semaphore *turn = segue_test_semaphore(test, 0);
    const struct segue_execution execution = {
        .command_buffer = commands, .bindings = &table, .binding_count = 1};
    for (uint64_t i = 0; i < 4; ++i) {
        const struct segue_semaphore_value wait = {turn, i};
        const struct segue_semaphore_value signal = {turn, i + 1};
        const struct segue_submission submission = {&wait, i != 0, &execution, 1, &signal, 1};
        CHECK_OK(segue_queue_submit(queues[i % 2], &submission));
    }
    CHECK_OK(segue_device_wait_idle(test->device));
    expect_slow(data[0], 0, 4);
    expect_slow(data[1], 1, 4);
    expect_slow(shared, 2, 4);
}

void indirect_and_other_bindings(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 16 };
    segue_buffer *a = segue_test_words(test, 2 * COUNT, 1);
    segue_buffer *b = segue_test_words(test, 2 * COUNT, 2);
    segue_buffer *c = segue_test_words(test, 2 * COUNT, 3);
    segue_command_buffer *commands = segue_test_begin_with(test, 2, 0);
    const struct segue_buffer_ref in_slot = segue_test_slot(1, COUNT * 4, COUNT * 4);
    // Inline data lies behind the pointers.
    CHECK_OK(segue_cmd_update(commands, segue_test_ref(c, 4, 8), "abcdefgh"));
    segue_test_barrier(commands);
    segue_test_dispatch_indirect(test, commands, segue_test_slot(0, 0, COUNT * 4), in_slot, COUNT,
                                 1);
    segue_test_barrier(commands);
    segue_test_dispatch_mix(test, commands, segue_test_ref(c, 0, COUNT * 4), in_slot, COUNT, 2);
    segue_test_barrier(commands);
    segue_test_dispatch_indirect(test, commands, in_slot, segue_test_ref(c, 0, COUNT * 4), COUNT,
                                 3);
    segue_test_barrier(commands);
    segue_test_dispatch_indirect_slow(test, commands, segue_test_slot(0, 0, COUNT * 4), in_slot,
                                      COUNT);
    CHECK_OK(segue_command_buffer_end(commands));

    uint32_t source[COUNT], data[COUNT], own[COUNT], before[COUNT];
    for (uint32_t i = 0; i < COUNT; ++i)
        own[i] = segue_test_word(3, i);
    for (uint32_t round = 0; round < 4; ++round) {
        segue_buffer *first = round % 2 == 0 ? a : b;
        segue_buffer *second = round % 2 == 0 ? b : a;
        const struct segue_buffer_ref table[] = {segue_test_whole(first), segue_test_whole(second)};
        CHECK_OK(segue_buffer_read(first, 0, source, sizeof(source)));
        CHECK_OK(segue_buffer_read(second, COUNT * 4, data, sizeof(data)));
        segue_test_wait(test, segue_test_submit_with(test, commands, table, 2));
        memcpy(own + 1, "abcdefgh", 8);
        for (uint32_t i = 0; i < COUNT; ++i)
            data[i] = data[i] * 31 + source[(i + 1) % COUNT];
        for (uint32_t i = 0; i < COUNT; ++i)
            data[i] = data[i] * 31 + own[(i + 2) % COUNT];
        memcpy(before, own, sizeof(before));
        for (uint32_t i = 0; i < COUNT; ++i)
            own[i] = before[i] * 31 + data[(i + 3) % COUNT];
        for (uint32_t i = 0; i < COUNT; ++i)
            data[i] = data[i] * 3 + source[i];
        segue_test_expect(second, COUNT, data, COUNT);
        segue_test_expect(c, 0, own, COUNT);
    }
}

void indirect_bindings_are_checked(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *source = segue_test_words(test, 16, 1);
    segue_buffer *data = segue_test_words(test, 16, 2);
    segue_buffer *constant = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 64, .memory = SEGUE_MEMORY_CONSTANT});
    segue_command_buffer *commands = segue_test_begin_with(test, 2, 0);
    segue_test_dispatch_indirect(test, commands, segue_test_slot(0, 0, 32),
                                 segue_test_slot(1, 0, 32), 8, 0);
    segue_test_dispatch_indirect(test, commands, segue_test_ref(source, 32, 32),
                                 segue_test_slot(1, 32, 32), 8, 0);
    CHECK_OK(segue_command_buffer_end(commands));
    struct segue_buffer_ref table[] = {segue_test_whole(source), segue_test_whole(data)};
    CHECK_OK(slots_submit_on(test->queue, commands, table, 2));
    table[1] = segue_test_ref(data, 4, WHOLE);
    CHECK_ERROR(slots_submit_on(test->queue, commands, table, 2), SEGUE_OUT_OF_RANGE, "slot 1");
    table[1] = segue_test_whole(constant);
    CHECK_ERROR(slots_submit_on(test->queue, commands, table, 2), SEGUE_INVALID_ACCESS, "slot 1");
    table[1] = segue_test_whole(data);
    table[0] = segue_test_ref(source, 2, WHOLE);
    CHECK_ERROR(slots_submit_on(test->queue, commands, table, 2), SEGUE_INVALID_ARGUMENT, "slot 0");
    // Read by the first, written by the second, and nothing orders them.
    table[0] = segue_test_ref(source, 32, 32);
    table[1] = segue_test_whole(source);
    CHECK_ERROR(slots_submit_on(test->queue, commands, table, 2), SEGUE_HAZARD, "");
    CHECK_OK(segue_queue_wait_idle(test->queue));
    for (uint32_t i = 0; i < 16; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(2, i) * 31 + segue_test_word(1, i));
}

void indirect_buffers_recorded_again(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 700 };
    segue_buffer *source = segue_test_words(test, COUNT, 1);
    segue_buffer *data[] = {segue_test_words(test, COUNT, 2), segue_test_words(test, COUNT, 3)};
    uint32_t times[2] = {0};
    for (uint32_t round = 0; round < 6; ++round) {
        // A table of more than a page, then a small one.
        const uint32_t steps = round < 3 ? COUNT : 5;
        segue_command_buffer *commands = segue_test_begin(test);
        for (uint32_t i = 0; i < steps; ++i) {
            segue_test_dispatch_indirect(test, commands, segue_test_ref(source, i * 4, 4),
                                         segue_test_ref(data[round % 2], i * 4, 4), 1, 0);
            if (i % 100 == 0)
                segue_test_dispatch_indirect(test, commands, segue_test_ref(source, 0, 0),
                                             segue_test_ref(data[0], 0, 0), 0, 0);
        }
        CHECK_OK(segue_command_buffer_end(commands));
        segue_test_submit(test, commands);
        ++times[round % 2];
        if (round % 2 == 1)
            segue_test_wait(test, test->done_value);
        segue_test_destroy(test, commands);
    }
    segue_test_wait(test, test->done_value);
    for (uint32_t b = 0; b < 2; ++b) {
        for (uint32_t i = 0; i < COUNT; i += i < 5 ? 1 : 99) {
            uint32_t expected = segue_test_word(2 + b, i);
            const uint32_t full = b == 0 ? 2 : 1;
            for (uint32_t k = 0; k < (i < 5 ? times[b] : full); ++k)
                expected = expected * 31 + segue_test_word(1, i);
            segue_test_expect_all(data[b], i, 1, expected);
        }
    }
}

void indirect_behind_what_runs_ahead(void **state)
{
    struct segue_test *test = *state;
    enum { STEPS = 40, COUNT = 64, BUFFERS = 3, ROUNDS = 8 };
    segue_buffer *source = segue_test_words(test, COUNT, 1);
    segue_buffer *data[BUFFERS];
    for (uint32_t b = 0; b < BUFFERS; ++b)
        data[b] = segue_test_words(test, COUNT, 2 + b);
    segue_command_buffer *commands = segue_test_begin_with(test, 1, 0);
    for (uint32_t step = 0; step < STEPS; ++step) {
        segue_test_dispatch_indirect(test, commands, segue_test_whole(source),
                                     segue_test_slot(0, 0, WHOLE), COUNT, step);
        segue_test_barrier(commands);
    }
    CHECK_OK(segue_command_buffer_end(commands));
    for (uint32_t round = 0; round < ROUNDS; ++round) {
        const struct segue_buffer_ref table = segue_test_whole(data[round % BUFFERS]);
        segue_test_submit_with(test, commands, &table, 1);
        if (round >= 3)
            segue_test_wait(test, test->done_value);
    }
    for (uint32_t b = 0; b < BUFFERS; ++b) {
        const uint32_t times = (ROUNDS + BUFFERS - 1 - b) / BUFFERS;
        uint32_t expected[COUNT];
        for (uint32_t i = 0; i < COUNT; ++i) {
            expected[i] = segue_test_word(2 + b, i);
            for (uint32_t step = 0; step < times * STEPS; ++step)
                expected[i] = expected[i] * 31 + segue_test_word(1, (i + step % STEPS) % COUNT);
        }
        segue_test_expect(data[b], 0, expected, COUNT);
    }
}
