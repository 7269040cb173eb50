// SPDX-License-Identifier: Apache-2.0
#include "execs.h"

#include "command_buffer.h"
#include "cuda_backend.h"

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

/** Where inline data is staged is the one thing that may differ. */
static bool is_update(const struct segue_cuda_exec *exec, uint32_t node)
{
    const uint32_t record = exec->content.records[node];
    return record != SEGUE_NO_RECORD &&
           segue_record_kind(exec->content.words + record) == SEGUE_COMMAND_UPDATE;
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

void execs_run(struct world *world, struct play *play, const struct program *program)
{
    char text[512];
    bool equal = false;
    restore(play);
    CHECK_OK(play_run(play, program, 1));
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
