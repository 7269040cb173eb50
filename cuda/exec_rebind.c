// SPDX-License-Identifier: Apache-2.0
// Another table for an executable graph that is not in flight.
#include "command_buffer.h"
#include "cuda_backend.h"
#include "exec_list.h"
#include "program.h"

/** Writes the listed changes. An exec that could not be written is gone. */
static segue_status write_changes(struct segue_backend_program *program,
                                  struct segue_command_buffer_stats *stats, bool *out_written)
{
    struct segue_lowering *lowering = &program->lowering;
    struct segue_cuda *cuda = lowering->cuda;
    struct segue_cuda_exec *exec = program->exec;
    segue_status status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        return status;
    segue_stage_use(lowering, exec->staging);
    status = segue_exec_patch(lowering, exec, &exec->content, &exec->changes, stats, out_written);
    if (status != SEGUE_OK || !*out_written) {
        segue_exec_give_up(cuda, exec);
        program->exec = NULL;
    }
    segue_cuda_leave(cuda);
    return status;
}

static void count_rebind(struct segue_backend_program *program,
                         struct segue_command_buffer_stats *stats, uint64_t spent_ns)
{
    struct segue_exec_cache *cache = &program->lowering.cuda->exec_cache;
    const struct segue_cuda_graph *graph = &program->exec->structure->graph;
    stats->reused = true;
    stats->node_count = (uint32_t)graph->node_count;
    stats->edge_count = (uint32_t)graph->edge_count;
    stats->lower_ns = stats->instantiate_ns = stats->upload_ns = 0;
    stats->build_ns = spent_ns;
    pthread_mutex_lock(&cache->lock);
    cache->stats.rebinds++;
    cache->stats.rebound_nodes += stats->nodes_written;
    cache->stats.nodes_written += stats->nodes_written;
    cache->stats.patch_ns += spent_ns;
    pthread_mutex_unlock(&cache->lock);
}

segue_status segue_exec_rebind(struct segue_backend_program *program,
                               struct segue_command_buffer_stats *stats, bool *out_rebound)
{
    struct segue_lowering *lowering = &program->lowering;
    struct segue_cuda_exec *exec = program->exec;
    const uint64_t start_ns = segue_now_ns();
    bool written = true;
    *out_rebound = false;
    if (exec == NULL) {
        *out_rebound = true;
        return SEGUE_OK;
    }
    const enum segue_match match =
        segue_exec_content_rebind(&exec->content, lowering, &exec->changes);
    if (match == SEGUE_MATCH_NO_MEMORY)
        return segue_fail(lowering->cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for comparing the table of command buffer \"%s\"",
                          lowering->recording->label);
    if (match == SEGUE_MATCH_DIFFERENT)
        return SEGUE_OK;
    stats->nodes_written = 0;
    if (exec->changes.count != 0) {
        const segue_status status = write_changes(program, stats, &written);
        if (status != SEGUE_OK || !written)
            return status;
    }
    segue_exec_content_bind(&exec->content, lowering);
    count_rebind(program, stats, segue_now_ns() - start_ns);
    *out_rebound = true;
    return SEGUE_OK;
}
