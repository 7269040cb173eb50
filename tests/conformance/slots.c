// SPDX-License-Identifier: Apache-2.0
#include "slots_indirect.h"
#include "slots_tables.h"

/** Slot 1 = slot 1 * 31 + slot 0, `count` words. */
static segue_command_buffer *record_mix(struct segue_test *test, uint32_t count)
{
    segue_command_buffer *commands = segue_test_begin_with(test, 2, 0);
    segue_test_dispatch_mix(test, commands, segue_test_slot(0, 0, SEGUE_WHOLE_SIZE),
                            segue_test_slot(1, 0, SEGUE_WHOLE_SIZE), count, 0);
    CHECK_OK(segue_command_buffer_end(commands));
    return commands;
}

static void a_table_per_submission(void **state)
{
    struct segue_test *test = *state;
    enum { TABLES = 5, COUNT = 16 };
    segue_buffer *source = segue_test_words(test, COUNT * TABLES, 1);
    segue_buffer *data = segue_test_words(test, COUNT * TABLES, 2);
    segue_command_buffer *commands = record_mix(test, COUNT);
    // All in flight at once, each table its own part.
    for (uint32_t t = 0; t < TABLES; ++t) {
        struct segue_buffer_ref table[] = {segue_test_ref(source, t * COUNT * 4, COUNT * 4),
                                           segue_test_ref(data, t * COUNT * 4, COUNT * 4)};
        segue_test_submit_with(test, commands, table, 2);
        memset(table, 0xee, sizeof(table));
    }
    segue_test_wait(test, test->done_value);
    for (uint32_t i = 0; i < COUNT * TABLES; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(2, i) * 31 + segue_test_word(1, i));
}

static void the_same_table_again(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *source = segue_test_words(test, 16, 1);
    segue_buffer *data = segue_test_words(test, 16, 2);
    segue_command_buffer *commands = record_mix(test, 16);
    const struct segue_buffer_ref table[] = {segue_test_whole(source), segue_test_whole(data)};
    for (int k = 0; k < 3; ++k)
        segue_test_wait(test, segue_test_submit_with(test, commands, table, 2));
    for (uint32_t i = 0; i < 16; ++i) {
        uint32_t word = segue_test_word(2, i);
        for (int k = 0; k < 3; ++k)
            word = word * 31 + segue_test_word(1, i);
        segue_test_expect_all(data, i, 1, word);
    }
}

static void buffers_of_a_table_stay_alive(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *source = segue_test_words(test, 16, 1);
    segue_buffer *data = segue_test_words(test, 16, 2);
    segue_semaphore *start = segue_test_semaphore(test, 0);
    segue_semaphore *done = segue_test_semaphore(test, 0);
    segue_command_buffer *commands = record_mix(test, 16);
    const struct segue_buffer_ref table[] = {segue_test_whole(source), segue_test_whole(data)};
    const struct segue_semaphore_value wait = {start, 1};
    const struct segue_semaphore_value signal = {done, 1};
    const struct segue_execution execution = {
        .command_buffer = commands, .bindings = table, .binding_count = 2};
    const struct segue_submission submission = {&wait, 1, &execution, 1, &signal, 1};
    CHECK_OK(segue_queue_submit(test->queue, &submission));
    // Nothing has run yet; what is created now would get the memory if it were free.
    segue_test_destroy(test, source);
    segue_test_destroy(test, commands);
    (void)segue_test_words(test, 16, 3);
    CHECK_OK(segue_semaphore_signal(start, 1));
    CHECK_OK(segue_semaphore_wait(done, 1, SEGUE_TIMEOUT_INFINITE));
    for (uint32_t i = 0; i < 16; ++i)
        segue_test_expect_all(data, i, 1, segue_test_word(2, i) * 31 + segue_test_word(1, i));
}

static void all_commands(void **state)
{
    struct segue_test *test = *state;
    segue_command_buffer *commands = segue_test_begin_with(test, 3, 0);
    CHECK_OK(segue_cmd_fill(commands, segue_test_slot(0, 0, 8), 0x01020304, 4));
    CHECK_OK(segue_cmd_update(commands, segue_test_slot(0, 8, 4), "wxyz"));
    segue_test_buffer_barrier(commands, SEGUE_ACCESS_MASK_ALL, SEGUE_ACCESS_MASK_ALL,
                              segue_test_slot(0, 0, SEGUE_WHOLE_SIZE));
    CHECK_OK(segue_cmd_copy(commands, segue_test_slot(0, 0, 12), segue_test_slot(2, 4, 12)));
    CHECK_OK(segue_command_buffer_end(commands));
    segue_buffer *a = segue_test_zeros(test, 16);
    segue_buffer *b = segue_test_zeros(test, 16);
    const struct segue_buffer_ref table[] = {segue_test_ref(a, 16, 32), segue_test_whole(a),
                                             segue_test_ref(b, 8, SEGUE_WHOLE_SIZE)};
    segue_test_wait(test, segue_test_submit_with(test, commands, table, 3));
    uint32_t expected[16] = {0};
    expected[3] = expected[4] = 0x01020304;
    memcpy(&expected[5], "wxyz", 4);
    segue_test_expect(b, 0, expected, 16);
}

static segue_status submit(struct segue_test *test, segue_command_buffer *commands,
                           const struct segue_buffer_ref *table, uint32_t count)
{
    const struct segue_execution execution = {
        .command_buffer = commands, .bindings = table, .binding_count = count};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    return segue_queue_submit(test->queue, &submission);
}

static void bad_tables(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *source = segue_test_words(test, 16, 1);
    segue_buffer *data = segue_test_words(test, 16, 2);
    segue_buffer *constant = segue_test_buffer_of(
        test, &(struct segue_buffer_params){.size_bytes = 64, .memory = SEGUE_MEMORY_CONSTANT});
    segue_command_buffer *commands = segue_test_begin_with(test, 2, 0);
    segue_test_dispatch_mix(test, commands, segue_test_slot(0, 0, 64), segue_test_slot(1, 0, 64),
                            16, 0);
    CHECK_OK(segue_command_buffer_end(commands));
    struct segue_buffer_ref table[] = {segue_test_whole(source), segue_test_whole(data)};
    CHECK_ERROR(submit(test, commands, NULL, 0), SEGUE_OUT_OF_RANGE, "2 slots");
    CHECK_ERROR(submit(test, commands, table, 1), SEGUE_OUT_OF_RANGE, "1 binding");
    table[1] = segue_test_slot(0, 0, 64);
    CHECK_ERROR(submit(test, commands, table, 2), SEGUE_INVALID_ARGUMENT, "bindings[1]");
    table[1] = segue_test_ref(data, 32, 64);
    CHECK_ERROR(submit(test, commands, table, 2), SEGUE_OUT_OF_RANGE, "");
    table[1] = segue_test_ref(data, 32, SEGUE_WHOLE_SIZE);
    CHECK_ERROR(submit(test, commands, table, 2), SEGUE_OUT_OF_RANGE, "");
    table[1] = segue_test_whole(constant);
    CHECK_ERROR(submit(test, commands, table, 2), SEGUE_INVALID_ACCESS, "");
    table[1] = segue_test_whole(data);
    // Written and read by one unordered pair of commands? Here by one command, which is fine.
    CHECK_OK(submit(test, commands, table, 2));
    CHECK_OK(segue_queue_wait_idle(test->queue));
}

static void aliased_slots_are_checked(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 16, 2);
    segue_command_buffer *commands = segue_test_begin_with(test, 2, 0);
    CHECK_OK(segue_cmd_fill(commands, segue_test_slot(0, 0, 16), 1, 4));
    CHECK_OK(segue_cmd_fill(commands, segue_test_slot(1, 0, 16), 2, 4));
    CHECK_OK(segue_command_buffer_end(commands));
    struct segue_buffer_ref table[] = {segue_test_ref(data, 0, 16), segue_test_ref(data, 16, 16)};
    CHECK_OK(submit(test, commands, table, 2));
    table[1].offset_bytes = 12;
    CHECK_ERROR(submit(test, commands, table, 2), SEGUE_HAZARD, "");
    CHECK_OK(segue_queue_wait_idle(test->queue));
    segue_test_expect_all(data, 0, 4, 1);
    segue_test_expect_all(data, 4, 4, 2);
}

/** x * 3 + addend on a range, slowly. */
static void scale(struct segue_test *test, segue_command_buffer *commands,
                  struct segue_buffer_ref data, uint32_t addend)
{
    segue_test_dispatch_slow(test, commands, data, 4, 3, addend);
}

static void slots_may_stand_for_anything(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    segue_buffer *others = segue_test_words(test, 8, 2);
    segue_command_buffer *commands = segue_test_begin_with(test, 2, 0);
    // With one table these are five steps on one range, with another two and three.
    for (uint32_t step = 0; step < 5; ++step) {
        scale(test, commands,
              step == 2 ? segue_test_ref(data, 0, 16) : segue_test_slot(step % 2, 0, 16), step);
        segue_test_barrier(commands);
    }
    CHECK_OK(segue_command_buffer_end(commands));
    uint32_t expected[3] = {segue_test_word(1, 0), segue_test_word(2, 0), segue_test_word(2, 4)};
    struct segue_buffer_ref table[] = {segue_test_ref(data, 0, 16), segue_test_ref(data, 0, 16)};
    segue_test_wait(test, segue_test_submit_with(test, commands, table, 2));
    for (uint32_t step = 0; step < 5; ++step)
        expected[0] = expected[0] * 3 + step;
    segue_test_expect_all(data, 0, 1, expected[0]);

    table[0] = segue_test_ref(others, 0, 16);
    table[1] = segue_test_ref(others, 16, 16);
    segue_test_wait(test, segue_test_submit_with(test, commands, table, 2));
    expected[0] = expected[0] * 3 + 2;
    expected[1] = expected[1] * 3 * 3 + 4;
    expected[2] = (expected[2] * 3 + 1) * 3 + 3;
    segue_test_expect_all(data, 0, 1, expected[0]);
    segue_test_expect_all(others, 0, 1, expected[1]);
    segue_test_expect_all(others, 4, 1, expected[2]);
}

static void a_table_for_no_slots(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_buffer(test, 16);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(data), 1, 4));
    CHECK_OK(segue_command_buffer_end(commands));
    const struct segue_buffer_ref table = segue_test_whole(data);
    CHECK_ERROR(submit(test, commands, &table, 1), SEGUE_OUT_OF_RANGE, "0 slots");
}

static void more_tables_than_are_kept(void **state)
{
    struct segue_test *test = *state;
    enum { TABLES = 60, COUNT = 4 };
    segue_buffer *source = segue_test_words(test, COUNT, 1);
    segue_buffer *data = segue_test_words(test, COUNT * TABLES, 2);
    segue_command_buffer *commands = record_mix(test, COUNT);
    for (uint32_t round = 0; round < 2; ++round) {
        for (uint32_t t = 0; t < TABLES; ++t) {
            const struct segue_buffer_ref table[] = {
                segue_test_whole(source), segue_test_ref(data, t * COUNT * 4, COUNT * 4)};
            segue_test_submit_with(test, commands, table, 2);
        }
    }
    segue_test_wait(test, test->done_value);
    for (uint32_t i = 0; i < COUNT * TABLES; ++i) {
        uint32_t add = segue_test_word(1, i % COUNT);
        segue_test_expect_all(data, i, 1, (segue_test_word(2, i) * 31 + add) * 31 + add);
    }
}

static void views_in_a_table(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *source = segue_test_words(test, 32, 1);
    segue_buffer *data = segue_test_words(test, 32, 2);
    segue_buffer *low = segue_test_view(test, source, 16, 64);
    segue_buffer *high = segue_test_view(test, data, 64, 64);
    segue_command_buffer *commands = record_mix(test, 8);
    const struct segue_buffer_ref table[] = {segue_test_ref(low, 16, 32),
                                             segue_test_ref(high, 8, 32)};
    segue_test_wait(test, segue_test_submit_with(test, commands, table, 2));
    for (uint32_t i = 0; i < 32; ++i) {
        bool touched = i >= 18 && i < 26;
        uint32_t word = segue_test_word(2, i);
        segue_test_expect_all(data, i, 1,
                              touched ? word * 31 + segue_test_word(1, i - 18 + 8) : word);
    }
}

/** A chain of slow steps on slot 0. */
static segue_command_buffer *record_slow(struct segue_test *test)
{
    segue_command_buffer *commands = segue_test_begin_with(test, 1, 0);
    for (uint32_t step = 0; step < 4; ++step) {
        scale(test, commands, segue_test_slot(0, 0, 16), step);
        segue_test_barrier(commands);
    }
    CHECK_OK(segue_command_buffer_end(commands));
    return commands;
}

static void expect_slow(segue_buffer *data, uint64_t seed, uint32_t times)
{
    uint32_t expected[4];
    for (uint32_t i = 0; i < 4; ++i) {
        expected[i] = segue_test_word(seed, i);
        for (uint32_t step = 0; step < 4 * times; ++step)
            expected[i] = expected[i] * 3 + step % 4;
    }
    segue_test_expect(data, 0, expected, 4);
}

/** Each submission has the values of its own table, whatever is bound while it runs. */
static void tables_in_flight(void **state)
{
    struct segue_test *test = *state;
    slots_check_tables_in_flight(test, record_slow(test), expect_slow);
}

/** The same on two queues at once. */
static void tables_on_two_queues(void **state)
{
    struct segue_test *test = *state;
    segue_queue *queues[] = {test->queue, segue_test_queue(test)};
    segue_buffer *data[] = {segue_test_words(test, 4, 0), segue_test_words(test, 4, 1)};
    segue_command_buffer *commands = record_slow(test);
    for (uint32_t i = 0; i < 8; ++i) {
        const struct segue_buffer_ref table = segue_test_whole(data[i % 2]);
        CHECK_OK(slots_submit_on(queues[i % 2], commands, &table, 1));
    }
    for (uint32_t i = 0; i < 2; ++i) {
        CHECK_OK(segue_queue_wait_idle(queues[i]));
        expect_slow(data[i], i, 4);
    }
}

/** With room for one table in flight the next one waits, and is right. */
static void a_table_waits_for_another(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data[] = {segue_test_words(test, 4, 0), segue_test_words(test, 4, 1)};
    segue_device_set_cache_budget(
        test->device, &(struct segue_cache_budget){.max_bytes = SEGUE_CACHE_DEFAULT_BYTES,
                                                   .max_graphs = SEGUE_CACHE_DEFAULT_GRAPHS,
                                                   .max_table_graphs = 1});
    segue_command_buffer *commands = record_slow(test);
    for (uint32_t i = 0; i < 6; ++i) {
        const struct segue_buffer_ref table = segue_test_whole(data[i % 2]);
        segue_test_submit_with(test, commands, &table, 1);
    }
    segue_test_wait(test, test->done_value);
    expect_slow(data[0], 0, 3);
    expect_slow(data[1], 1, 3);
}

/** What distinct slots do not share may be in any order, and what they do share keeps its own. */
static void distinct_slots_that_overlap(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 1);
    uint32_t expected[8];
    for (uint32_t i = 0; i < 8; ++i)
        expected[i] = segue_test_word(1, i);
    for (uint32_t lower = 0; lower < 2; ++lower) {
        segue_command_buffer *commands = segue_test_begin_with(
            test, 2,
            SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT | (lower ? SEGUE_COMMAND_BUFFER_LOWER_ALIASES : 0));
        for (uint32_t step = 0; step < 4; ++step) {
            scale(test, commands, segue_test_slot(step % 2, 0, 16), step);
            segue_test_barrier(commands);
        }
        CHECK_OK(segue_command_buffer_end(commands));
        for (uint32_t first = 0; first <= 4; first += 2) {
            const struct segue_buffer_ref table[] = {segue_test_ref(data, 0, 16),
                                                     segue_test_ref(data, (uint64_t)first * 4, 16)};
            if (!lower && first < 4) {
                CHECK_ERROR(submit(test, commands, table, 2), SEGUE_INVALID_ARGUMENT,
                            "slots 0 and 1 overlap");
                continue;
            }
            CHECK_OK(submit(test, commands, table, 2));
            for (uint32_t step = 0; step < 4; ++step)
                for (uint32_t i = 0; i < 4; ++i) {
                    uint32_t *word = &expected[i + (step % 2) * first];
                    *word = *word * 3 + step;
                }
        }
    }
    CHECK_OK(segue_queue_wait_idle(test->queue));
    segue_test_expect(data, 0, expected, 8);
}

static const struct CMUnitTest tests[] = {
    segue_test_case(a_table_per_submission),
    segue_test_case(the_same_table_again),
    segue_test_case(buffers_of_a_table_stay_alive),
    segue_test_case(all_commands),
    segue_test_case(bad_tables),
    segue_test_case(aliased_slots_are_checked),
    segue_test_case(slots_may_stand_for_anything),
    segue_test_case(a_table_for_no_slots),
    segue_test_case(more_tables_than_are_kept),
    segue_test_case(views_in_a_table),
    segue_test_case(tables_in_flight),
    segue_test_case(tables_on_two_queues),
    segue_test_case(a_table_waits_for_another),
    segue_test_case(distinct_slots_that_overlap),
    segue_test_case(indirect_tables_in_flight),
    segue_test_case(indirect_tables_on_two_queues),
    segue_test_case(indirect_and_other_bindings),
    segue_test_case(indirect_bindings_are_checked),
    segue_test_case(indirect_buffers_recorded_again),
    segue_test_case(indirect_behind_what_runs_ahead),
};

const struct segue_conformance_area segue_conformance_slots = {"slots", tests,
                                                               sizeof(tests) / sizeof(tests[0])};
