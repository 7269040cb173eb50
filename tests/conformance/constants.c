// SPDX-License-Identifier: Apache-2.0
// Constants whose values submissions give.
#include "conformance.h"
#include "test.h"

enum { FACTOR, ADDEND, UNUSED };

static const struct segue_constant_slot two_words[] = {
    [FACTOR] = {.name = "factor", .size_bytes = 4},
    [ADDEND] = {.name = "addend", .size_bytes = 4},
    [UNUSED] = {.name = "unused", .size_bytes = 8},
};

static struct segue_constant_value word(uint32_t value)
{
    return (struct segue_constant_value){.size_bytes = 4, .as.u32 = value};
}

static struct segue_constant_value wide(uint64_t value)
{
    return (struct segue_constant_value){.size_bytes = 8, .as.u64 = value};
}

/** data = data * factor + addend, where `uses` fill in some of it. */
static segue_status dispatch_scale(struct segue_test *test, segue_command_buffer *commands,
                                   struct segue_buffer_ref data, const uint32_t constants[3],
                                   const struct segue_constant_use *uses, uint32_t use_count)
{
    const struct segue_dispatch dispatch = {
        .executable = test->kernels,
        .entry_point = SEGUE_TEST_SCALE,
        .grid = {1, 1, 1},
        .bindings = &data,
        .binding_count = 1,
        .constants = constants,
        .constants_size_bytes = 12,
        .constant_uses = uses,
        .constant_use_count = use_count,
    };
    return segue_cmd_dispatch(commands, &dispatch);
}

/** Factor and addend from the slots; the recorded ones must not be seen. */
static void scale_by_slots(struct segue_test *test, segue_command_buffer *commands,
                           struct segue_buffer_ref data, uint32_t count)
{
    const uint32_t constants[3] = {count, 0xdead, 0xbeef};
    const struct segue_constant_use uses[] = {
        {.slot = FACTOR, .offset_bytes = 4, .size_bytes = 4},
        {.slot = ADDEND, .offset_bytes = 8, .size_bytes = 4},
    };
    CHECK_OK(dispatch_scale(test, commands, data, constants, uses, 2));
}

static segue_command_buffer *record_scale(struct segue_test *test, uint32_t count)
{
    segue_command_buffer *commands = segue_test_begin_constants(test, 1, two_words, 3, 0);
    scale_by_slots(test, commands, segue_test_slot(0, 0, SEGUE_WHOLE_SIZE), count);
    CHECK_OK(segue_command_buffer_end(commands));
    return commands;
}

static uint64_t submit(struct segue_test *test, segue_command_buffer *commands,
                       const struct segue_buffer_ref *table, uint32_t factor, uint32_t addend)
{
    const struct segue_constant_value values[] = {word(factor), word(addend), {0}};
    const struct segue_execution execution = {
        .command_buffer = commands,
        .bindings = table,
        .binding_count = table != NULL,
        .constants = values,
        .constant_count = 3,
    };
    return segue_test_submit_execution(test, &execution);
}

static void values_per_submission(void **state)
{
    struct segue_test *test = *state;
    enum { TABLES = 3, COUNT = 4 };
    segue_buffer *data = segue_test_words(test, COUNT * TABLES, 2);
    segue_command_buffer *commands = record_scale(test, COUNT);
    // All in flight at once, each with its own values on its own part.
    for (uint32_t t = 0; t < TABLES; ++t) {
        const struct segue_buffer_ref part = segue_test_ref(data, t * COUNT * 4, COUNT * 4);
        submit(test, commands, &part, 3 + t, 100 * t);
    }
    segue_test_wait(test, test->done_value);
    uint32_t expected[COUNT * TABLES];
    for (uint32_t i = 0; i < COUNT * TABLES; ++i) {
        const uint32_t t = i / COUNT;
        expected[i] = segue_test_word(2, i) * (3 + t) + 100 * t;
    }
    segue_test_expect(data, 0, expected, COUNT * TABLES);
}

static void only_the_values_change(void **state)
{
    struct segue_test *test = *state;
    enum { STEPS = 4 };
    segue_buffer *data = segue_test_words(test, 8, 2);
    segue_command_buffer *commands = segue_test_begin_constants(test, 0, two_words, 3, 0);
    scale_by_slots(test, commands, segue_test_whole(data), 8);
    segue_test_barrier(commands);
    segue_test_dispatch_scale(test, commands, segue_test_whole(data), 8, 5, 1);
    CHECK_OK(segue_command_buffer_end(commands));
    uint32_t expected = segue_test_word(2, 3);
    for (uint32_t step = 0; step < STEPS; ++step) {
        // The same twice, then others.
        const uint32_t addend = step / 2;
        submit(test, commands, NULL, 7, addend);
        expected = (expected * 7 + addend) * 5 + 1;
    }
    segue_test_wait(test, test->done_value);
    segue_test_expect_all(data, 3, 1, expected);
}

static void back_to_earlier_values(void **state)
{
    struct segue_test *test = *state;
    static const uint32_t addends[] = {4, 9, 4, 4, 9};
    segue_buffer *data = segue_test_words(test, 8, 2);
    segue_command_buffer *commands = segue_test_begin_constants(test, 0, two_words, 3, 0);
    scale_by_slots(test, commands, segue_test_whole(data), 8);
    CHECK_OK(segue_command_buffer_end(commands));
    uint32_t expected = segue_test_word(2, 3);
    for (uint32_t step = 0; step < sizeof(addends) / sizeof(addends[0]); ++step) {
        // Each is done before the next, so that nothing stands in the way of using it again.
        segue_test_wait(test, submit(test, commands, NULL, 7, addends[step]));
        expected = expected * 7 + addends[step];
        segue_test_expect_all(data, 3, 1, expected);
    }
}

static void values_are_kept_until_they_run(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 2);
    segue_semaphore *start = segue_test_semaphore(test, 0);
    const struct segue_semaphore_value wait = {start, 1};
    const struct segue_buffer_ref table = segue_test_whole(data);
    segue_command_buffer *commands = record_scale(test, 8);
    uint32_t expected = segue_test_word(2, 5);
    for (uint32_t step = 0; step < 3; ++step) {
        struct segue_constant_value values[] = {word(3), word(step * 11), wide(1)};
        const struct segue_execution execution = {
            .command_buffer = commands,
            .bindings = &table,
            .binding_count = 1,
            .constants = values,
            .constant_count = 3,
        };
        const struct segue_submission submission = {
            .waits = &wait, .wait_count = 1, .executions = &execution, .execution_count = 1};
        CHECK_OK(segue_queue_submit(test->queue, &submission));
        memset(values, 0xee, sizeof(values));
        expected = expected * 3 + step * 11;
    }
    CHECK_OK(segue_semaphore_signal(start, 1));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    segue_test_expect_all(data, 5, 1, expected);
}

static void eight_bytes_among_others(void **state)
{
    struct segue_test *test = *state;
    static const struct segue_constant_slot slots[] = {{"start", 8}, {"count", 4}};
    segue_buffer *source = segue_test_zeros(test, 4);
    segue_buffer *out = segue_test_zeros(test, 8);
    const struct segue_buffer_ref bindings[] = {segue_test_whole(out), segue_test_whole(source)};
    // (u8 step, u64 start, u16 shift, u32 count) without padding.
    unsigned char constants[15] = {[0] = 1, [9] = 8, [10] = 0};
    const struct segue_constant_use uses[] = {
        {.slot = 0, .offset_bytes = 1, .size_bytes = 8},
        {.slot = 1, .offset_bytes = 11, .size_bytes = 4},
    };
    memset(constants + 1, 0xff, 8);
    segue_command_buffer *commands = segue_test_begin_constants(test, 0, slots, 2, 0);
    CHECK_OK(segue_cmd_dispatch(commands, &(struct segue_dispatch){
                                              .executable = test->kernels,
                                              .entry_point = SEGUE_TEST_ORDER,
                                              .grid = {1, 1, 1},
                                              .bindings = bindings,
                                              .binding_count = 2,
                                              .constants = constants,
                                              .constants_size_bytes = sizeof(constants),
                                              .constant_uses = uses,
                                              .constant_use_count = 2,
                                          }));
    CHECK_OK(segue_command_buffer_end(commands));
    const struct segue_constant_value values[] = {wide(UINT64_C(0x0123456789abcdef)), word(3)};
    const struct segue_execution execution = {
        .command_buffer = commands, .constants = values, .constant_count = 2};
    segue_test_wait(test, segue_test_submit_execution(test, &execution));
    // The start without its lowest byte, cut to 32 bits, in `count` words.
    const uint32_t expected[] = {0x6789abcd, 0x6789abce, 0x6789abcf, 0};
    segue_test_expect(out, 0, expected, 4);
}

static void of_a_secondary_by_name(void **state)
{
    struct segue_test *test = *state;
    // The other way round, with one that the secondary does not know.
    static const struct segue_constant_slot of_primary[] = {
        {"position", 8}, {"addend", 4}, {"factor", 4}};
    segue_buffer *data = segue_test_words(test, 8, 2);
    const struct segue_buffer_ref table = segue_test_whole(data);
    segue_command_buffer *secondary = record_scale(test, 8);
    segue_command_buffer *primary = segue_test_begin_constants(test, 0, of_primary, 3, 0);
    CHECK_OK(segue_cmd_execute(primary, secondary, &table, 1));
    CHECK_OK(segue_command_buffer_end(primary));
    segue_test_destroy(test, secondary);
    const struct segue_constant_value values[] = {{0}, word(1000), word(7)};
    const struct segue_execution execution = {
        .command_buffer = primary, .constants = values, .constant_count = 3};
    segue_test_wait(test, segue_test_submit_execution(test, &execution));
    segue_test_expect_all(data, 2, 1, segue_test_word(2, 2) * 7 + 1000);
}

static void more_than_a_few(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 34 };
    struct segue_constant_slot slots[COUNT];
    struct segue_constant_value values[COUNT];
    char names[COUNT][8];
    segue_buffer *data = segue_test_words(test, 2, 4);
    for (uint32_t i = 0; i < COUNT; ++i) {
        memcpy(names[i], "slot000", 8);
        names[i][5] = (char)('0' + i / 10);
        names[i][6] = (char)('0' + i % 10);
        slots[i] = (struct segue_constant_slot){.name = names[i], .size_bytes = 4};
        values[i] = word(1000 * i);
    }
    segue_command_buffer *commands = segue_test_begin_constants(test, 0, slots, COUNT, 0);
    memset(names, 0, sizeof(names));
    struct segue_command_buffer_info info;
    segue_command_buffer_get_info(commands, &info);
    assert_int_equal(info.constant_slot_count, COUNT);
    assert_string_equal(info.constant_slots[COUNT - 1].name, "slot033");
    const uint32_t used[] = {0, COUNT - 1};
    uint32_t expected[2];
    for (uint32_t i = 0; i < 2; ++i) {
        const struct segue_constant_use use = {.slot = used[i], .offset_bytes = 8, .size_bytes = 4};
        const uint32_t constants[3] = {1, 3, 0};
        CHECK_OK(
            dispatch_scale(test, commands, segue_test_ref(data, i * 4, 4), constants, &use, 1));
        expected[i] = segue_test_word(4, i) * 3 + 1000 * used[i];
    }
    CHECK_OK(segue_command_buffer_end(commands));
    const struct segue_execution execution = {
        .command_buffer = commands, .constants = values, .constant_count = COUNT};
    segue_test_wait(test, segue_test_submit_execution(test, &execution));
    segue_test_expect(data, 0, expected, 2);
}

static void of_a_graph_made_for_others(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 2);
    uint32_t expected = segue_test_word(2, 6);
    // The second is not recognised as the first, but its graph has the same structure.
    for (uint32_t k = 0; k < 2; ++k) {
        segue_command_buffer *commands = segue_test_begin_constants(
            test, 0, two_words, 3, k ? SEGUE_COMMAND_BUFFER_BARRIER_ORDER : 0);
        scale_by_slots(test, commands, segue_test_whole(data), 8);
        CHECK_OK(segue_command_buffer_end(commands));
        segue_test_wait(test, submit(test, commands, NULL, 3, 50 + k));
        segue_test_destroy(test, commands);
        expected = expected * 3 + 50 + k;
    }
    segue_test_expect_all(data, 6, 1, expected);
}

static void again_after_a_reset(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 2);
    const struct segue_buffer_ref table = segue_test_whole(data);
    segue_command_buffer *commands = record_scale(test, 8);
    segue_test_wait(test, submit(test, commands, &table, 3, 1));
    CHECK_OK(segue_command_buffer_reset(commands));
    CHECK_OK(segue_command_buffer_begin(commands));
    segue_test_dispatch_scale(test, commands, segue_test_slot(0, 0, 32), 8, 5, 2);
    CHECK_OK(segue_command_buffer_end(commands));
    // Nothing uses them any more, so they need no values.
    const struct segue_constant_value none[3] = {{0}};
    const struct segue_execution execution = {
        .command_buffer = commands,
        .bindings = &table,
        .binding_count = 1,
        .constants = none,
        .constant_count = 3,
    };
    segue_test_wait(test, segue_test_submit_execution(test, &execution));
    segue_test_expect_all(data, 1, 1, (segue_test_word(2, 1) * 3 + 1) * 5 + 2);
}

static void bad_values(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_words(test, 8, 2);
    const struct segue_buffer_ref table = segue_test_whole(data);
    segue_command_buffer *commands = record_scale(test, 8);
    struct segue_constant_value values[] = {word(3), word(1), wide(9)};
    struct segue_execution execution = {
        .command_buffer = commands,
        .bindings = &table,
        .binding_count = 1,
        .constants = values,
        .constant_count = 2,
    };
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    CHECK_ERROR(segue_queue_submit(test->queue, &submission), SEGUE_OUT_OF_RANGE,
                "3 constant slots");
    execution.constant_count = 3;
    values[1].size_bytes = 8;
    CHECK_ERROR(segue_queue_submit(test->queue, &submission), SEGUE_INVALID_ARGUMENT,
                "\"addend\" has 4");
    values[1].size_bytes = 0;
    CHECK_ERROR(segue_queue_submit(test->queue, &submission), SEGUE_INVALID_ARGUMENT,
                "uses constant slot \"addend\"");
    values[1].size_bytes = 4;
    CHECK_OK(segue_queue_submit(test->queue, &submission));
    CHECK_OK(segue_queue_wait_idle(test->queue));
    segue_test_expect_all(data, 0, 1, segue_test_word(2, 0) * 3 + 1);
}

static const struct CMUnitTest tests[] = {
    segue_test_case(values_per_submission),    segue_test_case(only_the_values_change),
    segue_test_case(back_to_earlier_values),   segue_test_case(values_are_kept_until_they_run),
    segue_test_case(eight_bytes_among_others), segue_test_case(of_a_secondary_by_name),
    segue_test_case(more_than_a_few),          segue_test_case(of_a_graph_made_for_others),
    segue_test_case(again_after_a_reset),      segue_test_case(bad_values),
};

const struct segue_conformance_area segue_conformance_constants = {
    "constants", tests, sizeof(tests) / sizeof(tests[0])};
