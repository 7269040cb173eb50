// SPDX-License-Identifier: Apache-2.0
// Random tables for random programs: what a graph becomes by being given another table is, node by
// node and in its results, what is built from nothing for that table.
#include "execs.h"

#include <inttypes.h>
#include <string.h>

/** Tables of each program. */
#define ROUNDS 10

/** The slot of each range of each op, slot_count if it is named otherwise. */
struct naming {
    uint32_t slots[PROGRAM_MAX_OPS][3];
};

static uint32_t count_ranges(const struct program_op *op)
{
    return op->kind == OP_BUFFER_BARRIER ? 1 : program_range_count(op);
}

/** Names all by slots that can be. */
static void find_naming(struct program *program, struct naming *out_naming)
{
    for (uint32_t i = 0; i < program->op_count; i++) {
        struct program_op *op = &program->ops[i];
        memset(op->naming, 2, sizeof(op->naming));
        for (uint32_t k = 0; k < 3; k++)
            out_naming->slots[i][k] = k < count_ranges(op)
                                          ? program_slot_of(program, &op->ranges[k], op->naming[k])
                                          : program->slot_count;
    }
}

/** Puts a slot's window elsewhere, with all that lies in it. */
static void move_slot(struct program *program, const struct naming *naming, uint32_t slot,
                      const struct program_range *window)
{
    const struct program_range old = program->slots[slot].window;
    for (uint32_t i = 0; i < program->op_count; i++) {
        for (uint32_t k = 0; k < 3; k++) {
            struct program_range *range = &program->ops[i].ranges[k];
            if (naming->slots[i][k] != slot)
                continue;
            range->buffer = window->buffer;
            range->offset = range->offset - old.offset + window->offset;
        }
    }
    program->slots[slot].window = *window;
}

static bool is_written(const struct program *program, const struct naming *naming, uint32_t slot)
{
    for (uint32_t i = 0; i < program->op_count; i++) {
        for (uint32_t k = 0; k < 3; k++) {
            const struct program_op *op = &program->ops[i];
            if (naming->slots[i][k] == slot && op->kind <= OP_LAST_WORK &&
                program_range_writes(op, k))
                return true;
        }
    }
    return false;
}

/** A window of the slot's size, sometimes where another slot's is. */
static struct program_range choose_window(const struct program *program, uint32_t slot,
                                          bool writable, uint64_t *random)
{
    struct program_range window = program->slots[slot].window;
    const uint32_t length = window.length;
    if (segue_test_random_below(random, 4) == 0)
        window = program->slots[segue_test_random_below(random, program->slot_count)].window;
    else
        window.buffer = segue_test_random_below(random, PROGRAM_BUFFERS);
    window.length = length;
    const uint32_t size = program_buffer_words(window.buffer) * 4;
    if (length > size || (writable && window.buffer == PROGRAM_CONSTANT_BUFFER))
        return program->slots[slot].window;
    if (window.offset > size - length || segue_test_random_below(random, 2) == 0)
        window.offset = segue_test_random_below(random, (size - length) / 4 + 1) * 4;
    return window;
}

/** Another table; the same one where the change would make a hazard. */
static void change_table(struct program *program, const struct naming *naming, uint64_t *random)
{
    static struct program before;
    uint32_t first;
    uint32_t second;
    before = *program;
    const uint32_t changes = 1 + segue_test_random_below(random, program->slot_count);
    for (uint32_t i = 0; i < changes; i++) {
        const uint32_t slot = segue_test_random_below(random, program->slot_count);
        const struct program_range window =
            choose_window(program, slot, is_written(program, naming, slot), random);
        move_slot(program, naming, slot, &window);
    }
    if (!execs_are_sound(program) || program_find_hazard(program, false, &first, &second))
        *program = before;
}

/** Programs so far that have slots. */
static uint64_t with_slots;

static void run_program(struct world *world, uint64_t seed)
{
    static struct program recorded;
    static struct program bound;
    static struct naming naming;
    uint64_t random = seed;
    struct play play;
    const struct play_configuration configuration = {
        .mode = SEGUE_EXECUTION_GRAPH,
        .order_seed = seed % 3 == 0 ? 0 : seed,
    };
    program_generate(&recorded, seed,
                     seed % 4 == 0   ? PROGRAM_WIDE
                     : seed % 4 == 1 ? PROGRAM_FULL_BARRIERS
                     : seed % 4 == 3 ? PROGRAM_OVERLAPPING_SLOTS
                                     : PROGRAM_ALL_BARRIERS);
    if (recorded.slot_count == 0)
        return;
    ++with_slots;
    find_naming(&recorded, &naming);
    bound = recorded;
    CHECK_OK(play_init(&play, world->device, world->kernels));
    CHECK_OK(play_record(&play, &recorded, &configuration));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        if (round != 0)
            change_table(&bound, &naming, &random);
        execs_run(world, &play, &bound, round);
        struct play fresh = play;
        fresh.commands = fresh.secondary = NULL;
        execs_hide_structures(world->device, true);
        CHECK_OK(play_record(&fresh, &recorded, &configuration));
        execs_run(world, &fresh, &bound, round);
        execs_hide_structures(world->device, false);
        execs_compare(world, play.commands, fresh.commands, true);
        execs_drop(&fresh);
    }
    play_finish(&play);
}

/** Some changes would make a hazard, and some make other kinds of nodes. */
static void check(const struct segue_cache_stats *stats, uint64_t program_count)
{
    (void)program_count;
    print_message("%" PRIu64 " programs with slots, %" PRIu64 " rebinds, %" PRIu64
                  " nodes written for them\n",
                  with_slots, stats->rebinds, stats->rebound_nodes);
    assert_true(stats->rebinds > 2 * with_slots);
    assert_true(stats->rebound_nodes > 4 * with_slots);
}

static void rebound_graphs_are_as_built_ones(void **state)
{
    (void)state;
    execs_for_programs(run_program, check);
}

int main(void)
{
    const int unprepared = segue_test_prepare();
    if (unprepared != 0)
        return unprepared;
    const struct CMUnitTest tests[] = {cmocka_unit_test(rebound_graphs_are_as_built_ones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
