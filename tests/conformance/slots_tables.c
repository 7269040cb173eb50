// SPDX-License-Identifier: Apache-2.0
#include "slots_tables.h"

segue_status slots_submit_on(segue_queue *queue, segue_command_buffer *commands,
                             const struct segue_buffer_ref *table, uint32_t count)
{
    const struct segue_execution execution = {
        .command_buffer = commands, .bindings = table, .binding_count = count};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    return segue_queue_submit(queue, &submission);
}

void slots_check_tables_in_flight(struct segue_test *test, segue_command_buffer *commands,
                                  slots_expect_fn expect)
{
    enum { BUFFERS = 4 };
    // Two, the same again, three with two tables, and tables for what has just been let go.
    static const uint32_t order[] = {0, 1, 1, 0, 1, 0, 2, 3, 2, 0, 3, 1};
    segue_buffer *data[BUFFERS];
    uint32_t times[BUFFERS] = {0};
    for (uint32_t i = 0; i < BUFFERS; ++i)
        data[i] = segue_test_words(test, SLOTS_WORDS, i);
    for (uint32_t i = 0; i < sizeof(order) / sizeof(order[0]); ++i) {
        const struct segue_buffer_ref table = segue_test_whole(data[order[i]]);
        const uint64_t done = segue_test_submit_with(test, commands, &table, 1);
        ++times[order[i]];
        if (i >= 8)
            segue_test_wait(test, done - 1);
    }
    segue_test_wait(test, test->done_value);
    for (uint32_t i = 0; i < BUFFERS; ++i)
        expect(data[i], i, times[i]);
}
