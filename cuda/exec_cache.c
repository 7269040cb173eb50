// SPDX-License-Identifier: Apache-2.0
#include "exec_cache.h"

#include "command_buffer.h"
#include "cuda_backend.h"
#include "exec_list.h"

#include <stdio.h>
#include <string.h>

bool segue_exec_cache_init(struct segue_cuda *cuda)
{
    struct segue_exec_cache *cache = &cuda->exec_cache;
    cache->budget = (struct segue_cache_budget){
        .max_bytes = SEGUE_CACHE_DEFAULT_BYTES,
        .max_graphs = SEGUE_CACHE_DEFAULT_GRAPHS,
    };
    cache->stats.last_fall_command = SEGUE_NO_COMMAND;
    return pthread_mutex_init(&cache->lock, NULL) == 0;
}

void segue_exec_cache_finish(struct segue_cuda *cuda, bool has_context)
{
    struct segue_exec_dead dead = {0};
    pthread_mutex_lock(&cuda->exec_cache.lock);
    segue_exec_list_evict(&cuda->exec_cache, (struct segue_cache_budget){0}, &dead);
    pthread_mutex_unlock(&cuda->exec_cache.lock);
    segue_exec_free_dead(cuda, &dead, has_context);
}

void segue_exec_cache_make_room(struct segue_cuda *cuda)
{
    struct segue_exec_dead dead = {0};
    pthread_mutex_lock(&cuda->exec_cache.lock);
    segue_exec_list_evict(&cuda->exec_cache, (struct segue_cache_budget){0}, &dead);
    pthread_mutex_unlock(&cuda->exec_cache.lock);
    segue_exec_free_dead(cuda, &dead, true);
    (void)segue_staging_trim(cuda);
    segue_cuda_cleanup(cuda, cuDeviceGraphMemTrim(cuda->ordinal),
                       "giving back memory of graphs that are gone");
}

void segue_exec_cache_set_budget(struct segue_cuda *cuda, struct segue_cache_budget budget)
{
    struct segue_exec_dead dead = {0};
    pthread_mutex_lock(&cuda->exec_cache.lock);
    cuda->exec_cache.budget = budget;
    segue_exec_list_evict(&cuda->exec_cache, budget, &dead);
    pthread_mutex_unlock(&cuda->exec_cache.lock);
    segue_exec_free_dead_anywhere(cuda, &dead);
}

void segue_exec_cache_trim(struct segue_cuda *cuda)
{
    struct segue_exec_dead dead = {0};
    pthread_mutex_lock(&cuda->exec_cache.lock);
    segue_exec_list_evict(&cuda->exec_cache, (struct segue_cache_budget){0}, &dead);
    pthread_mutex_unlock(&cuda->exec_cache.lock);
    segue_exec_free_dead_anywhere(cuda, &dead);
}

static bool uses_module(const struct segue_cuda_structure *structure,
                        const struct segue_backend_module *module)
{
    for (size_t i = 0; i < structure->module_count; i++) {
        if (structure->modules[i] == module)
            return true;
    }
    return false;
}

void segue_exec_cache_forget_module(struct segue_cuda *cuda,
                                    const struct segue_backend_module *module)
{
    struct segue_exec_cache *cache = &cuda->exec_cache;
    struct segue_exec_dead dead = {0};
    pthread_mutex_lock(&cache->lock);
    struct segue_cuda_exec *exec = cache->oldest;
    while (exec != NULL) {
        struct segue_cuda_exec *newer = exec->newer;
        if (uses_module(exec->structure, module)) {
            // What is in use goes when it is given back.
            exec->structure->is_stale = true;
            if (!exec->in_use) {
                segue_exec_list_make_used(cache, exec);
                segue_exec_list_bury(cache, exec, &dead);
                cache->stats.evictions++;
            }
        }
        exec = newer;
    }
    pthread_mutex_unlock(&cache->lock);
    segue_exec_free_dead(cuda, &dead, true);
}

void segue_exec_cache_release(struct segue_cuda *cuda, struct segue_cuda_exec *exec)
{
    struct segue_exec_cache *cache = &cuda->exec_cache;
    struct segue_exec_dead dead = {0};
    if (exec == NULL)
        return;
    if (segue_exec_cache_lend(cuda, exec)) {
        segue_exec_cache_keep_budget(cuda);
        return;
    }
    if (exec->staging != NULL)
        segue_staging_count(cuda, exec->staging, false);
    pthread_mutex_lock(&cache->lock);
    segue_exec_list_bury(cache, exec, &dead);
    cache->stats.evictions++;
    pthread_mutex_unlock(&cache->lock);
    segue_exec_free_dead_anywhere(cuda, &dead);
}

bool segue_exec_cache_lend(struct segue_cuda *cuda, struct segue_cuda_exec *exec)
{
    struct segue_exec_cache *cache = &cuda->exec_cache;
    if (exec == NULL)
        return true;
    pthread_mutex_lock(&cache->lock);
    const bool may_be_used = !exec->structure->is_stale;
    if (may_be_used) {
        // Before anybody can count it in again. (The lock of staging memory is always the last.)
        if (exec->staging != NULL)
            segue_staging_count(cuda, exec->staging, false);
        segue_exec_list_touch(cache, exec);
        segue_exec_list_count_bytes(cache, exec);
        segue_exec_list_make_idle(cache, exec);
    }
    pthread_mutex_unlock(&cache->lock);
    return may_be_used;
}

void segue_exec_cache_keep_budget(struct segue_cuda *cuda)
{
    struct segue_exec_cache *cache = &cuda->exec_cache;
    struct segue_exec_dead dead = {0};
    pthread_mutex_lock(&cache->lock);
    segue_exec_list_evict(cache, cache->budget, &dead);
    pthread_mutex_unlock(&cache->lock);
    segue_exec_free_dead_anywhere(cuda, &dead);
}

void segue_exec_cache_get_stats(struct segue_cuda *cuda, struct segue_cache_stats *out_stats)
{
    pthread_mutex_lock(&cuda->exec_cache.lock);
    *out_stats = cuda->exec_cache.stats;
    pthread_mutex_unlock(&cuda->exec_cache.lock);
}

void segue_exec_cache_note_fall(struct segue_lowering *lowering, enum segue_cache_fall fall,
                                const struct segue_segment *segment, CUresult result,
                                const char *call)
{
    static const char *const instead[SEGUE_CACHE_FALL_COUNT] = {
        [SEGUE_CACHE_FALL_PATCH] = "updating the whole graph instead of a node",
        [SEGUE_CACHE_FALL_UPDATE] = "instantiating the graph anew instead of updating it",
        [SEGUE_CACHE_FALL_INSTANTIATE] = "running as a stream instead of a graph",
        [SEGUE_CACHE_FALL_MEMORY] = "giving back what is idle to try again",
    };
    struct segue_exec_cache *cache = &lowering->cuda->exec_cache;
    char command[256] = "";
    char text[sizeof(cache->stats.last_fall)];
    if (segment != NULL)
        (void)segue_lowering_describe(lowering, segment, command, sizeof(command));
    segue_cuda_note(lowering->cuda, result, call, __FILE__, __LINE__,
                    "command buffer \"%s\"%s%s: %s", lowering->recording->label,
                    segment != NULL ? ", " : "", command, instead[fall]);
    (void)snprintf(text, sizeof(text), "command buffer \"%.64s\"%s%.100s: %s returned %d",
                   lowering->recording->label, segment != NULL ? ", " : "", command, call,
                   (int)result);
    pthread_mutex_lock(&cache->lock);
    cache->stats.falls[fall]++;
    cache->stats.last_fall_command = segment != NULL ? segment->index : SEGUE_NO_COMMAND;
    cache->stats.last_fall_result = (int32_t)result;
    memcpy(cache->stats.last_fall, text, sizeof(text));
    pthread_mutex_unlock(&cache->lock);
}

void segue_exec_cache_note_stream(struct segue_cuda *cuda, const struct segue_error *error)
{
    struct segue_cache_stats *stats = &cuda->exec_cache.stats;
    // The failure has been logged; now what became of it is.
    segue_log(cuda->base.device, SEGUE_LOG_WARNING, "running as a stream instead of a graph: %s",
              error->message);
    pthread_mutex_lock(&cuda->exec_cache.lock);
    stats->falls[SEGUE_CACHE_FALL_INSTANTIATE]++;
    stats->last_fall_command = SEGUE_NO_COMMAND;
    stats->last_fall_result = error->driver_result;
    (void)snprintf(stats->last_fall, sizeof(stats->last_fall), "%.255s", error->message);
    pthread_mutex_unlock(&cuda->exec_cache.lock);
}

void segue_exec_cache_count_update(struct segue_cuda *cuda)
{
    pthread_mutex_lock(&cuda->exec_cache.lock);
    cuda->exec_cache.stats.whole_updates++;
    pthread_mutex_unlock(&cuda->exec_cache.lock);
}

void segue_exec_cache_count_table(struct segue_cuda *cuda, uint64_t size_bytes)
{
    pthread_mutex_lock(&cuda->exec_cache.lock);
    cuda->exec_cache.stats.table_copies++;
    cuda->exec_cache.stats.table_bytes += size_bytes;
    pthread_mutex_unlock(&cuda->exec_cache.lock);
}
