// SPDX-License-Identifier: Apache-2.0
// Recordings that are recognised: the graph of an earlier one is taken without a look at order and
// shape.
#include "command_buffer.h"
#include "cuda_backend.h"
#include "exec_list.h"

/** Idle execs of equal hash that a recording is compared with, the last used
 * first. A first difference shows early. */
#define MAX_CANDIDATES 4

/** An idle exec whose content has that hash, and not one that was tried.
 * [locked] */
static struct segue_cuda_exec *find_content(struct segue_exec_cache *cache, uint64_t hash,
                                            struct segue_cuda_exec *const *tried,
                                            uint32_t tried_count, bool *out_busy)
{
    for (struct segue_cuda_exec *exec = *segue_exec_list_bucket(cache, hash); exec != NULL;
         exec = exec->next_of_hash) {
        if (exec->content.hash != hash || exec->structure->is_stale)
            continue;
        bool is_tried = false;
        for (uint32_t i = 0; i < tried_count; i++)
            is_tried |= tried[i] == exec;
        if (is_tried)
            continue;
        if (!exec->in_use)
            return exec;
        *out_busy = true;
    }
    return NULL;
}

/** Whether the recording makes the same graph as the exec is; what differs is
 * in its changes. */
static segue_status matches(struct segue_lowering *lowering, struct segue_variant variant,
                            struct segue_cuda_exec *exec, bool *out_matches)
{
    *out_matches = false;
    if (!segue_exec_content_has_variant(&exec->content, variant))
        return SEGUE_OK;
    const bool is_same_recording = exec->content.serial == lowering->recording->serial;
    const enum segue_match match =
        is_same_recording ? segue_exec_content_rebind(&exec->content, lowering, &exec->changes)
                          : segue_exec_content_match(&exec->content, lowering, &exec->changes);
    if (match == SEGUE_MATCH_DIFFERENT)
        return SEGUE_OK;
    enum segue_alias_result alias = SEGUE_ALIAS_SAME;
    // Of one recording only slots can have moved, which take no part in this.
    if (match == SEGUE_MATCH_SAME && !is_same_recording && exec->changes.moved_count != 0)
        alias = segue_alias_move(&exec->alias, &exec->content, lowering, &exec->changes);
    if (match == SEGUE_MATCH_NO_MEMORY || alias == SEGUE_ALIAS_NO_MEMORY)
        return segue_fail(lowering->cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for comparing command buffer \"%s\"",
                          lowering->recording->label);
    *out_matches = alias == SEGUE_ALIAS_SAME;
    return SEGUE_OK;
}

/** Patches an exec in use that matches. */
static segue_status adopt(struct segue_lowering *lowering, struct segue_cuda_exec *exec,
                          struct segue_command_buffer_stats *stats, bool *out_adopted)
{
    struct segue_cuda *cuda = lowering->cuda;
    segue_status status = segue_cuda_enter(cuda);
    *out_adopted = false;
    if (status != SEGUE_OK) {
        // Nothing has been written, but the aliases are as after the move.
        segue_alias_finish(&exec->alias);
        segue_exec_cache_release(cuda, exec);
        return status;
    }
    segue_stage_use(lowering, exec->staging);
    status = segue_exec_patch(lowering, exec, &exec->content, &exec->changes, stats, out_adopted);
    if (status != SEGUE_OK || !*out_adopted)
        segue_exec_give_up(cuda, exec);
    segue_cuda_leave(cuda);
    return status;
}

/** Compares candidates until one matches; all that are tried are in use meanwhile. */
static segue_status choose(struct segue_lowering *lowering, struct segue_variant variant,
                           uint64_t hash, bool *out_busy, struct segue_cuda_exec **out_exec)
{
    struct segue_exec_cache *cache = &lowering->cuda->exec_cache;
    struct segue_cuda_exec *tried[MAX_CANDIDATES];
    uint32_t tried_count = 0;
    segue_status status = SEGUE_OK;
    bool found = false;
    *out_busy = false;
    pthread_mutex_lock(&cache->lock);
    while (tried_count < MAX_CANDIDATES && status == SEGUE_OK && !found) {
        struct segue_cuda_exec *exec = find_content(cache, hash, tried, tried_count, out_busy);
        if (exec == NULL)
            break;
        segue_exec_list_make_used(cache, exec);
        pthread_mutex_unlock(&cache->lock);
        status = matches(lowering, variant, exec, &found);
        tried[tried_count++] = exec;
        pthread_mutex_lock(&cache->lock);
    }
    if (found)
        *out_exec = tried[--tried_count];
    for (uint32_t i = 0; i < tried_count; i++)
        segue_exec_list_make_idle(cache, tried[i]);
    pthread_mutex_unlock(&cache->lock);
    return status;
}

segue_status segue_exec_cache_recognise(struct segue_lowering *lowering,
                                        struct segue_variant variant,
                                        struct segue_command_buffer_stats *stats,
                                        struct segue_reuse *out_reuse,
                                        struct segue_cuda_exec **out_exec)
{
    struct segue_cuda *cuda = lowering->cuda;
    struct segue_exec_cache *cache = &cuda->exec_cache;
    const uint64_t start_ns = segue_now_ns();
    const uint64_t hash = segue_exec_content_hash(lowering->recording, variant);
    struct segue_cuda_exec *exec = NULL;
    *out_exec = NULL;
    segue_status status = choose(lowering, variant, hash, &out_reuse->is_busy, &exec);
    if (status != SEGUE_OK || exec == NULL)
        return status;
    if (exec->staging != NULL)
        segue_staging_count(cuda, exec->staging, true);
    stats->nodes_written = 0;
    if (exec->changes.count != 0) {
        bool adopted;
        status = adopt(lowering, exec, stats, &adopted);
        if (status != SEGUE_OK || !adopted)
            return status;
    }
    const bool is_rebound = exec->content.serial == lowering->recording->serial;
    segue_exec_content_bind(&exec->content, lowering);
    const uint64_t spent_ns = segue_now_ns() - start_ns;
    stats->reused = true;
    stats->node_count = (uint32_t)exec->structure->graph.node_count;
    stats->edge_count = (uint32_t)exec->structure->graph.edge_count;
    stats->build_ns = spent_ns;
    stats->instantiate_ns = stats->upload_ns = 0;
    pthread_mutex_lock(&cache->lock);
    segue_exec_list_count_hit(cache, exec, stats, spent_ns);
    cache->stats.recognised++;
    cache->stats.rebinds += is_rebound;
    cache->stats.rebound_nodes += is_rebound ? stats->nodes_written : 0;
    pthread_mutex_unlock(&cache->lock);
    *out_exec = exec;
    return SEGUE_OK;
}

/** Whether a recording is nothing but dispatches. */
static bool is_all_dispatches(const struct segue_recording *recording)
{
    for (const struct segue_segment *segment = recording->first; segment != NULL;
         segment = segment->next) {
        if (segment->kind < SEGUE_COMMAND_DISPATCH)
            return false;
    }
    return true;
}

bool segue_exec_cache_remember(const struct segue_lowering *lowering, struct segue_variant variant)
{
    struct segue_exec_cache *cache = &lowering->cuda->exec_cache;
    if (!is_all_dispatches(lowering->recording))
        return false;
    const uint64_t hash = segue_exec_content_hash(lowering->recording, variant);
    uint64_t *place = &cache->noted[hash % SEGUE_EXEC_CACHE_NOTES];
    pthread_mutex_lock(&cache->lock);
    const bool is_known = *place == hash;
    *place = hash;
    pthread_mutex_unlock(&cache->lock);
    return is_known;
}
