// SPDX-License-Identifier: Apache-2.0
// Random edits of random programs: what the cache makes of a graph that was built for the program
// before the edit is, node by node and in its results, what is built from nothing.
#include "execs.h"

#include <inttypes.h>
#include <stdlib.h>

/** Edits of each program. */
#define ROUNDS 12

/** Constants that leave the hint of a duration (play.c) as it is, or not. */
static void edit_constants(struct program_op *op, uint64_t *random)
{
    op->a += 14 * (1 + segue_test_random_below(random, 3));
    if (segue_test_random_below(random, 8) == 0)
        op->a += 2;
}

static void move_range(struct program_op *op, uint64_t *random)
{
    const uint32_t count = program_range_count(op);
    if (count == 0)
        return;
    struct program_range *range = &op->ranges[segue_test_random_below(random, count)];
    const uint32_t end = program_buffer_words(range->buffer) * 4 - range->length;
    const uint32_t offset = segue_test_random_below(random, end / 4 + 1) * 4;
    // Fills of two bytes and copies of odd ranges keep their alignment.
    range->offset = offset + range->offset % 4 <= end ? offset + range->offset % 4 : offset;
}

/** All that is in one buffer is in the other, and the other way round. */
static void swap_buffers(struct program *program, uint64_t *random)
{
    const uint32_t a = 2 + segue_test_random_below(random, 3);
    const uint32_t b = 2 + segue_test_random_below(random, 3);
    for (uint32_t i = 0; i < program->op_count; i++) {
        for (uint32_t k = 0; k < 3; k++) {
            uint32_t *buffer = &program->ops[i].ranges[k].buffer;
            *buffer = *buffer == a ? b : *buffer == b ? a : *buffer;
        }
    }
    for (uint32_t i = 0; i < program->slot_count; i++) {
        uint32_t *buffer = &program->slots[i].window.buffer;
        *buffer = *buffer == a ? b : *buffer == b ? a : *buffer;
    }
}

/** One edit; the program stays as it was where the edit would make a hazard. */
static void edit(struct program *program, uint64_t *random)
{
    static struct program before;
    uint32_t first;
    uint32_t second;
    before = *program;
    const uint32_t edits = 1 + segue_test_random_below(random, 3);
    for (uint32_t i = 0; i < edits; i++) {
        struct program_op *op = &program->ops[segue_test_random_below(random, program->op_count)];
        switch (segue_test_random_below(random, 6)) {
        case 0:
            move_range(op, random);
            break;
        case 1:
            swap_buffers(program, random);
            break;
        case 2:
            if (op->kind <= OP_LAST_WORK)
                op->removed = !op->removed;
            break;
        default:
            if (op->kind <= OP_LAST_WORK)
                edit_constants(op, random);
            break;
        }
    }
    if (!execs_are_sound(program) || program_find_hazard(program, false, &first, &second))
        *program = before;
}

static void run_program(struct world *world, uint64_t seed)
{
    static struct program program;
    uint64_t random = seed;
    struct play play;
    const struct play_configuration configuration = {
        .mode = SEGUE_EXECUTION_GRAPH,
        // What is built from an earlier plan has that plan's order of nodes only if hints are not
        // looked at anew: the order is the seed's.
        .order_seed = seed % 3 == 0 ? 0 : seed,
    };
    program_generate(&program, seed,
                     seed % 4 == 0   ? PROGRAM_WIDE
                     : seed % 4 == 1 ? PROGRAM_FULL_BARRIERS
                                     : PROGRAM_ALL_BARRIERS);
    CHECK_OK(play_init(&play, world->device, world->kernels));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct play fresh = play;
        if (round != 0)
            edit(&program, &random);
        execs_drop(&play);
        CHECK_OK(play_record(&play, &program, &configuration));
        execs_run(world, &play, &program, round);
        execs_hide_structures(world->device, true);
        fresh.commands = fresh.secondary = NULL;
        CHECK_OK(play_record(&fresh, &program, &configuration));
        execs_run(world, &fresh, &program, round);
        execs_hide_structures(world->device, false);
        execs_compare(world, play.commands, fresh.commands, false);
        execs_drop(&fresh);
    }
    play_finish(&play);
}

/** Every way has been taken. */
static void check(const struct segue_cache_stats *stats, uint64_t program_count)
{
    print_message("%" PRIu64 " graphs taken from the cache (%" PRIu64 " recognised, %" PRIu64
                  " unchanged), %" PRIu64 " nodes written, %" PRIu64 " built\n",
                  stats->hits, stats->recognised, stats->unchanged, stats->nodes_written,
                  stats->misses + stats->copies);
    assert_true(stats->recognised > program_count);
    assert_true(stats->hits > stats->recognised);
    assert_true(stats->nodes_written > program_count);
}

static void patched_graphs_are_as_built_ones(void **state)
{
    (void)state;
    execs_for_programs(run_program, check);
}

int main(void)
{
    const int unprepared = segue_test_prepare();
    if (unprepared != 0)
        return unprepared;
    const struct CMUnitTest tests[] = {cmocka_unit_test(patched_graphs_are_as_built_ones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
