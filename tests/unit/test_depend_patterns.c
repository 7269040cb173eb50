// SPDX-License-Identifier: Apache-2.0
// Dependencies of patterns of some thousand commands: compared with all pairs of commands, how many
// nodes and edges they take, and what happens when memory runs out.
#include "depend.h"
#include "order_check.h"
#include "patterns.h"
#include "record_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static segue_command_buffer *record_pattern(const struct record_fixture *fixture,
                                            enum pattern pattern, uint32_t count)
{
    struct pattern_world patterns;
    assert_int_equal(pattern_world_open(&patterns, fixture->device, "none", 4, "pattern"),
                     SEGUE_OK);
    segue_command_buffer *command_buffer;
    assert_int_equal(
        pattern_record(&patterns, pattern, count, SEGUE_EXECUTION_STREAM, &command_buffer),
        SEGUE_OK);
    // The recording keeps what it needs.
    pattern_world_close(&patterns);
    return command_buffer;
}

static void check_pattern(const struct record_fixture *fixture, enum pattern pattern,
                          uint32_t count, struct segue_depend_options options)
{
    segue_command_buffer *command_buffer = record_pattern(fixture, pattern, count);
    struct segue_depend depend;
    assert_int_equal(segue_depend_build(command_buffer->recording, &options, &depend), SEGUE_OK);
    const struct order_graph graph = order_graph_of_depend(&depend);
    const struct order_finding finding =
        order_check(command_buffer->recording, options.flags, &graph);
    assert_true(finding.complete);
    if (finding.missing_to != UINT32_MAX)
        fail_msg("%s: command %u does not wait for command %u", pattern_name(pattern),
                 finding.missing_to, finding.missing_from);
    if (depend.exact && finding.ordered_pairs != finding.needed_pairs)
        fail_msg("%s: %lu pairs are ordered, %lu need be", pattern_name(pattern),
                 (unsigned long)finding.ordered_pairs, (unsigned long)finding.needed_pairs);
    segue_depend_finish(&depend);
    segue_command_buffer_destroy(command_buffer);
}

static void test_patterns(void **state)
{
    const struct record_fixture *fixture = *state;
    for (uint32_t i = 0; i < PATTERN_COUNT; i++) {
        check_pattern(fixture, (enum pattern)i, 2100, (struct segue_depend_options){0});
        check_pattern(fixture, (enum pattern)i, 1100,
                      (struct segue_depend_options){.extra_steps = -(INT64_C(1) << 40)});
        check_pattern(fixture, (enum pattern)i, 1000,
                      (struct segue_depend_options){.flags = SEGUE_COMMAND_BUFFER_BARRIER_ORDER});
        check_pattern(fixture, (enum pattern)i, 1000,
                      (struct segue_depend_options){.flags = SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT});
    }
}

/** What a pattern of any length takes at most, for a hundred commands. */
struct size {
    uint32_t nodes;
    uint32_t edges;
    bool exact;
};

static const struct size sizes[PATTERN_COUNT] = {
    [PATTERN_CHAIN] = {100, 100, true},           [PATTERN_SCOPES] = {100, 800, true},
    [PATTERN_TILES] = {100, 100, true},           [PATTERN_TOWERS] = {100, 100, true},
    [PATTERN_LAYERS] = {100, 130, true},          [PATTERN_READERS_WRITERS] = {101, 210, true},
    [PATTERN_WRITERS_READERS] = {101, 210, true}, [PATTERN_OVERLAPS] = {200, 1600, false},
    [PATTERN_SPLITS] = {110, 200, false},         [PATTERN_RANDOM] = {110, 200, true},
    [PATTERN_RANDOM_SIZES] = {250, 800, false},   [PATTERN_OPAQUE] = {100, 100, true},
    [PATTERN_SOME_OPAQUE] = {100, 200, true},     [PATTERN_SLOTS] = {150, 500, false},
    [PATTERN_MANY_SLOTS] = {150, 300, false},     [PATTERN_MASKED] = {100, 120, false},
    [PATTERN_RANGED] = {100, 120, false},
};

static void test_size_is_linear(void **state)
{
    const struct record_fixture *fixture = *state;
    const uint32_t hundreds = 300;
    for (uint32_t i = 0; i < PATTERN_COUNT; i++) {
        const enum pattern pattern = (enum pattern)i;
        segue_command_buffer *command_buffer = record_pattern(fixture, pattern, 100 * hundreds);
        const struct segue_depend_options options = {0};
        struct segue_depend depend;
        assert_int_equal(segue_depend_build(command_buffer->recording, &options, &depend),
                         SEGUE_OK);
        assert_int_equal(depend.command_count, 100 * hundreds);
        if (depend.node_count > sizes[i].nodes * (size_t)hundreds ||
            depend.edge_count > sizes[i].edges * (size_t)hundreds)
            fail_msg("%s: %zu nodes and %zu edges for %u commands", pattern_name(pattern),
                     depend.node_count, depend.edge_count, 100 * hundreds);
        if (depend.exact != sizes[i].exact)
            fail_msg("%s: exact is %d", pattern_name(pattern), depend.exact);
        segue_depend_finish(&depend);
        segue_command_buffer_destroy(command_buffer);
    }
}

/** 512 readers and 512 writers: one order node, not 262144 edges. */
static void test_bicliques(void **state)
{
    const struct record_fixture *fixture = *state;
    static const enum pattern both[] = {PATTERN_READERS_WRITERS, PATTERN_WRITERS_READERS};
    for (uint32_t i = 0; i < 2; i++) {
        segue_command_buffer *command_buffer = record_pattern(fixture, both[i], 1024);
        const struct segue_depend_options options = {0};
        struct segue_depend depend;
        assert_int_equal(segue_depend_build(command_buffer->recording, &options, &depend),
                         SEGUE_OK);
        assert_int_equal(depend.node_count, 1025);
        assert_int_equal(depend.edge_count, 1024);
        assert_true(depend.nodes[512].segment == NULL);
        assert_int_equal(depend.nodes[512].predecessor_count, 512);
        assert_int_equal(depend.nodes[512].successor_count, 512);
        segue_depend_finish(&depend);
        segue_command_buffer_destroy(command_buffer);
    }
}

static void test_allocation_failures(void **state)
{
    struct record_fixture *fixture = *state;
    static const enum pattern some[] = {PATTERN_READERS_WRITERS, PATTERN_SLOTS, PATTERN_OPAQUE,
                                        PATTERN_MASKED, PATTERN_RANDOM_SIZES};
    for (uint32_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        segue_command_buffer *command_buffer = record_pattern(fixture, some[i], 1200);
        for (uint32_t flags = 0; flags <= SEGUE_COMMAND_BUFFER_BARRIER_ORDER;
             flags += SEGUE_COMMAND_BUFFER_BARRIER_ORDER) {
            const struct segue_depend_options options = {.flags = flags};
            const int64_t live = fixture->memory.live;
            bool failed = true;
            for (uint64_t nth = 1; failed; nth++) {
                struct segue_depend depend = {0};
                null_allocator_fail(&fixture->memory, nth, false);
                const segue_status status =
                    segue_depend_build(command_buffer->recording, &options, &depend);
                failed = fixture->memory.failed != 0;
                null_allocator_fail(&fixture->memory, 0, false);
                assert_int_equal(status, failed ? SEGUE_OUT_OF_HOST_MEMORY : SEGUE_OK);
                assert_true(!failed || depend.nodes == NULL);
                if (status == SEGUE_OK)
                    segue_depend_finish(&depend);
                assert_int_equal(fixture->memory.live, live);
                assert_true(nth < 20000);
            }
        }
        segue_command_buffer_destroy(command_buffer);
    }
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, record_setup, record_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(test_patterns),
        with_fixture(test_size_is_linear),
        with_fixture(test_bicliques),
        with_fixture(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
