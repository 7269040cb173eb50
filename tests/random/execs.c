// SPDX-License-Identifier: Apache-2.0
#include "execs.h"

#include "command_buffer.h"
#include "cuda_backend.h"

#include <inttypes.h>

/** A command buffer's executable graph; NULL if it has none. */
static struct segue_cuda_exec *exec_of(const segue_command_buffer *commands)
{
    const struct segue_program *program = commands->program;
    return program != NULL ? segue_cuda_program_exec(program->backend) : NULL;
}

void execs_hide_structures(segue_device *device, bool hidden)
{
    struct segue_exec_cache *cache = &segue_cuda_of(device->backend)->exec_cache;
    for (size_t i = 0; i < SEGUE_EXEC_CACHE_BUCKETS; i++) {
        for (struct segue_cuda_structure *structure = cache->structures[i]; structure != NULL;
             structure = structure->next)
            structure->is_stale = hidden;
    }
}

bool execs_are_sound(const struct program *program)
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

/** Where inline data and pointers are staged is the one thing that may differ. */
static bool is_staged(const struct segue_cuda_exec *exec, uint32_t node)
{
    const uint32_t record = exec->content.records[node];
    return record != SEGUE_NO_RECORD &&
           (segue_record_kind(exec->content.words + record) == SEGUE_COMMAND_UPDATE ||
            segue_record_has_indirect(exec->content.words + record));
}

/** What kernels find in memory. */
static void compare_pointers(const struct segue_cuda_exec *patched,
                             const struct segue_cuda_exec *fresh)
{
    const uint32_t count = fresh->staging != NULL ? fresh->staging->pointers.count : 0;
    if (count == 0)
        return;
    assert_int_equal(patched->staging->pointers.count, count);
    assert_memory_equal(patched->staging->pointers.host, fresh->staging->pointers.host,
                        count * sizeof(uint64_t));
}

void execs_compare(const struct world *world, const segue_command_buffer *patched_commands,
                   const segue_command_buffer *fresh_commands, bool edges)
{
    const struct segue_cuda_exec *patched = exec_of(patched_commands);
    const struct segue_cuda_exec *fresh = exec_of(fresh_commands);
    if (patched == NULL || fresh == NULL || world->soft == NULL) {
        assert_true((patched == NULL) == (fresh == NULL));
        return;
    }
    assert_ptr_not_equal(patched, fresh);
    assert_ptr_not_equal(patched->structure, fresh->structure);
    if (edges)
        assert_true(
            segue_signature_equal(&patched->structure->signature, &fresh->structure->signature));
    const size_t count = fresh->structure->graph.node_count;
    assert_int_equal(patched->structure->graph.node_count, count);
    for (uint32_t node = 0; node < count; node++) {
        assert_int_equal(is_staged(patched, node), is_staged(fresh, node));
        if (!is_staged(fresh, node) &&
            !world->soft->compare_graph_nodes(patched->handle, fresh->handle, node))
            fail_msg("node %u of %zu is not what is built from nothing", (unsigned)node, count);
    }
    compare_pointers(patched, fresh);
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

void execs_run(struct world *world, struct play *play, const struct program *program, uint32_t run)
{
    char text[512];
    bool equal = false;
    restore(play);
    world_interpret(world, program, run, 1);
    CHECK_OK(play_run(play, program, run, 1));
    CHECK_OK(play_compare(play, world->expected, &equal, text, sizeof(text)));
    if (!equal)
        fail_msg("%s", text);
}

void execs_drop(struct play *play)
{
    segue_command_buffer_destroy(play->commands);
    segue_command_buffer_destroy(play->secondary);
    play->commands = play->secondary = NULL;
}

void execs_for_programs(void (*run_program)(struct world *world, uint64_t seed),
                        void (*check)(const struct segue_cache_stats *stats,
                                      uint64_t program_count))
{
    struct world world;
    struct segue_cache_stats stats;
    const uint64_t first = segue_test_environment_number("SEGUE_TEST_FIRST_SEED", 1);
    const uint64_t count = segue_test_environment_number("SEGUE_TEST_PROGRAMS", 60);
    world_open(&world, SEGUE_VALIDATION_BASIC, NULL);
    for (uint64_t seed = first; seed < first + count; seed++) {
        run_program(&world, seed);
        if (world_hazards(&world) != 0)
            fail_msg("seed %" PRIu64 ": conflicts without a path", seed);
    }
    segue_device_get_cache_stats(world.device, &stats);
    check(&stats, count);
    for (int fall = 0; fall < SEGUE_CACHE_FALL_COUNT; fall++)
        assert_int_equal(stats.falls[fall], 0);
    world_close(&world);
    world_expect_nothing_left(world.soft);
}
