// SPDX-License-Identifier: Apache-2.0
// What happens when a random program fails: with a fault that every lowering has, one is found,
// shrunk to the least that shows the fault, and written as a trace, which fails with the fault and
// passes without.
#include "mutant.h"
#include "save.h"
#include "shrink.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/** Nothing waits for a fill. */
static bool forget_fills(struct mutant *mutant)
{
    bool changed = false;
    for (uint32_t node = 0; node < mutant->node_count; ++node) {
        for (uint32_t on = 0; on < node; ++on) {
            const struct segue_segment *segment = mutant->nodes[on].segment;
            if (!mutant_depends(mutant, node, on) || !segment ||
                segment->kind != SEGUE_COMMAND_FILL)
                continue;
            mutant_set_dependency(mutant, node, on, false);
            changed = true;
        }
    }
    return changed;
}

/** Copies of three bytes and more are not done. */
static bool skip_copies(struct mutant *mutant)
{
    bool changed = false;
    for (uint32_t node = mutant->node_count; node-- > 0;) {
        const struct segue_segment *segment = mutant->nodes[node].segment;
        if (!segment || segment->kind != SEGUE_COMMAND_COPY ||
            ((const struct segue_copy_segment *)segment)->target.length_bytes < 3)
            continue;
        mutant_remove_node(mutant, node);
        changed = true;
    }
    return changed;
}

/** Two slots stand for each other. */
static bool swap_slots(struct mutant *mutant)
{
    if (mutant->slots[1].object == 0)
        return false;
    struct segue_range first = mutant->slots[0];
    mutant->slots[0] = mutant->slots[1];
    mutant->slots[1] = first;
    return true;
}

static void find_failure(struct world *world, struct program *program,
                         struct world_attempt *out_attempt)
{
    for (uint64_t seed = 1; seed < 100; ++seed) {
        program_generate(program, seed, PROGRAM_ALL_BARRIERS);
        *out_attempt = (struct world_attempt){
            .world = world,
            .configuration = {SEGUE_EXECUTION_GRAPH, seed},
            .driver_seed = seed,
            .times = 1,
        };
        if (world_attempt_fails(out_attempt, program))
            return;
    }
    fail_msg("no program shows the fault");
}

/** Whether a trace fails, as `segue-replay check` would say: by its expectations in one of some
 *  orders, or by what the driver sees in its graphs. */
static bool trace_fails(struct world *world, const char *path)
{
    segue_trace *trace;
    bool failed = false;
    world->soft->reset_report();
    CHECK_OK(segue_trace_load(path, &trace));
    for (uint64_t order = 0; order < 4; ++order) {
        const struct segue_trace_session_params params = {.mode = SEGUE_EXECUTION_GRAPH,
                                                          .order_seed = order};
        segue_trace_session *session;
        struct segue_trace_counts counts;
        struct segue_verification results[PROGRAM_BUFFERS];
        CHECK_OK(segue_trace_session_create(trace, world->device, &params, &session));
        segue_trace_session_get_counts(session, &counts);
        assert_in_range(counts.expectation_count, 1, PROGRAM_BUFFERS);
        CHECK_OK(segue_trace_session_run(session, NULL));
        segue_status status = segue_trace_session_verify(session, results);
        assert_true(status == SEGUE_OK || status == SEGUE_MISMATCH);
        failed |= status != SEGUE_OK;
        segue_trace_session_destroy(session);
    }
    segue_trace_destroy(trace);
    failed |= world_hazards(world) != 0;
    world->soft->reset_report();
    return failed;
}

/** `expected`: the shrunk program's commands. */
static void check_rule(bool (*rule)(struct mutant *mutant), const enum program_op_kind *expected,
                       uint32_t expected_count, uint32_t expected_length)
{
    static struct program program;
    static struct mutant mutant;
    static struct world_attempt attempt;
    char folder[] = "segue-shrink-XXXXXX";
    char path[64];
    char source[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/trace.json", folder);
    // Only of programs with dispatches.
    (void)snprintf(source, sizeof(source), "%s/trace.cu", folder);

    struct world world;
    world_open(&world, SEGUE_VALIDATION_FULL, mutant_open_backend);
    memset(&mutant, 0, sizeof(mutant));
    mutant.rule = rule;
    mutant_set(&mutant);
    find_failure(&world, &program, &attempt);
    uint32_t op_count = program.op_count;
    uint32_t tried = program_shrink(&program, world_attempt_fails, &attempt);
    program_print(&program);
    print_message("of %u commands, in %u attempts\n", (unsigned)op_count, (unsigned)tried);
    assert_int_equal(program.op_count, expected_count);
    for (uint32_t i = 0; i < expected_count; ++i)
        assert_int_equal(program.ops[i].kind, expected[i]);
    assert_int_equal(program.ops[0].ranges[0].length, expected_length);
    assert_true(program_is_valid(&program));
    assert_true(world_attempt_fails(&attempt, &program));

    CHECK_OK(program_save(&world, &program, path));
    assert_true(trace_fails(&world, path));
    mutant_set(NULL);
    assert_false(trace_fails(&world, path));
    assert_false(world_attempt_fails(&attempt, &program));
    world_close(&world);
    (void)unlink(source);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void missing_order_shrinks_to_two_commands(void **state)
{
    (void)state;
    const enum program_op_kind expected[] = {OP_FILL, OP_BARRIER, OP_FILL};
    check_rule(forget_fills, expected, 3, 1);
}

static void missing_command_shrinks_to_one(void **state)
{
    (void)state;
    const enum program_op_kind expected[] = {OP_COPY};
    check_rule(skip_copies, expected, 1, 3);
}

static void wrong_slots_shrink_to_one_command(void **state)
{
    (void)state;
    const enum program_op_kind expected[] = {OP_ADD};
    check_rule(swap_slots, expected, 1, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_order_shrinks_to_two_commands),
        cmocka_unit_test(missing_command_shrinks_to_one),
        cmocka_unit_test(wrong_slots_shrink_to_one_command),
    };
    return cmocka_run_group_tests_name("shrink", tests, NULL, NULL) == 0 ? 0 : 1;
}
