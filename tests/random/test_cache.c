// SPDX-License-Identifier: Apache-2.0
// Random edits of random programs: what the cache makes of a graph that was built for the program
// before the edit is, node by node and in its results, what is built from nothing.
#include "command_buffer.h"
#include "cuda_backend.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

/** Edits of each program. */
#define ROUNDS 12

/** A command buffer's executable graph; NULL if it has none. */
static struct segue_cuda_exec *exec_of(const segue_command_buffer *commands)
{
    const struct segue_program *program = commands->program;
    return program != NULL ? segue_cuda_program_exec(program->backend) : NULL;
}

/** No structure is found while this is so: what is recorded is built from nothing. */
static void hide_structures(segue_device *device, bool hidden)
{
    struct segue_exec_cache *cache = &segue_cuda_of(device->backend)->exec_cache;
    for (size_t i = 0; i < SEGUE_EXEC_CACHE_BUCKETS; i++) {
        for (struct segue_cuda_structure *structure = cache->structures[i]; structure != NULL;
             structure = structure->next)
            structure->is_stale = hidden;
    }
}

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

/** Whether no command touches its own source. */
static bool is_sound(const struct program *program)
{
    for (uint32_t i = 0; i < program->op_count; i++) {
        const struct program_op *op = &program->ops[i];
        const uint32_t count = program_range_count(op);
        for (uint32_t k = 0; k + 1 < count; k++) {
            if (program_ranges_overlap(&op->ranges[k], &op->ranges[count - 1]))
                return false;
        }
    }
    return true;
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
    if (!is_sound(program) || program_find_hazard(program, false, &first, &second))
        *program = before;
}

/** Where inline data is staged is the one thing that may differ. */
static bool is_update(const struct segue_cuda_exec *exec, uint32_t node)
{
    const uint32_t record = exec->content.records[node];
    return record != SEGUE_NO_RECORD &&
           segue_record_kind(exec->content.words + record) == SEGUE_COMMAND_UPDATE;
}

static void compare_execs(const struct world *world, const struct segue_cuda_exec *patched,
                          const struct segue_cuda_exec *fresh)
{
    if (patched == NULL || fresh == NULL || world->soft == NULL) {
        assert_true((patched == NULL) == (fresh == NULL));
        return;
    }
    assert_ptr_not_equal(patched, fresh);
    assert_ptr_not_equal(patched->structure, fresh->structure);
    const size_t count = fresh->structure->graph.node_count;
    assert_int_equal(patched->structure->graph.node_count, count);
    for (uint32_t node = 0; node < count; node++) {
        assert_int_equal(is_update(patched, node), is_update(fresh, node));
        if (!is_update(fresh, node) &&
            !world->soft->compare_graph_nodes(patched->handle, fresh->handle, node))
            fail_msg("node %u of %zu is not what is built from nothing", (unsigned)node, count);
    }
}

/** All but constant memory, which stays as it is. */
static void restore(struct play *play)
{
    for (uint32_t i = 0; i < PROGRAM_BUFFERS; i++) {
        if (i != PROGRAM_CONSTANT_BUFFER)
            CHECK_OK(segue_buffer_write(play->buffers[i], 0, program_initial(i),
                                        program_buffer_words(i) * sizeof(uint32_t)));
    }
}

static void run(struct world *world, struct play *play, const struct program *program)
{
    char text[512];
    bool equal = false;
    restore(play);
    CHECK_OK(play_run(play, program, 1));
    CHECK_OK(play_compare(play, world->expected, &equal, text, sizeof(text)));
    if (!equal)
        fail_msg("%s", text);
}

static void drop(struct play *play)
{
    segue_command_buffer_destroy(play->commands);
    segue_command_buffer_destroy(play->secondary);
    play->commands = play->secondary = NULL;
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
        world_interpret(world, &program, 1);
        drop(&play);
        CHECK_OK(play_record(&play, &program, &configuration));
        run(world, &play, &program);
        hide_structures(world->device, true);
        fresh.commands = fresh.secondary = NULL;
        CHECK_OK(play_record(&fresh, &program, &configuration));
        run(world, &fresh, &program);
        hide_structures(world->device, false);
        compare_execs(world, exec_of(play.commands), exec_of(fresh.commands));
        drop(&fresh);
    }
    play_finish(&play);
}

static void patched_graphs_are_as_built_ones(void **state)
{
    struct world world;
    (void)state;
    const uint64_t first = segue_test_environment_number("SEGUE_TEST_FIRST_SEED", 1);
    const uint64_t count = segue_test_environment_number("SEGUE_TEST_PROGRAMS", 60);
    world_open(&world, SEGUE_VALIDATION_BASIC, NULL);
    for (uint64_t seed = first; seed < first + count; seed++) {
        print_message("seed %llu\r", (unsigned long long)seed);
        run_program(&world, seed);
        assert_int_equal(world_hazards(&world), 0);
    }
    // Every way has been taken.
    struct segue_cache_stats stats;
    segue_device_get_cache_stats(world.device, &stats);
    print_message("%llu graphs taken from the cache (%llu recognised, %llu unchanged), %llu nodes "
                  "written, %llu built\n",
                  (unsigned long long)stats.hits, (unsigned long long)stats.recognised,
                  (unsigned long long)stats.unchanged, (unsigned long long)stats.nodes_written,
                  (unsigned long long)(stats.misses + stats.copies));
    assert_true(stats.recognised > count);
    assert_true(stats.hits > stats.recognised);
    assert_true(stats.nodes_written > count);
    for (int fall = 0; fall < SEGUE_CACHE_FALL_COUNT; fall++)
        assert_int_equal(stats.falls[fall], 0);
    const struct segue_soft_api *soft = world.soft;
    world_close(&world);
    world_expect_nothing_left(soft);
}

int main(void)
{
    const int unprepared = segue_test_prepare();
    if (unprepared != 0)
        return unprepared;
    const struct CMUnitTest tests[] = {cmocka_unit_test(patched_graphs_are_as_built_ones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
