// SPDX-License-Identifier: Apache-2.0
#include "exec_list.h"

#include "command_buffer.h"
#include "cuda_backend.h"

static void link_newest(struct segue_exec_cache *cache, struct segue_cuda_exec *exec)
{
    exec->older = cache->newest;
    exec->newer = NULL;
    if (cache->newest != NULL)
        cache->newest->newer = exec;
    else
        cache->oldest = exec;
    cache->newest = exec;
}

static void unlink_used(struct segue_exec_cache *cache, struct segue_cuda_exec *exec)
{
    if (exec->newer != NULL)
        exec->newer->older = exec->older;
    else
        cache->newest = exec->older;
    if (exec->older != NULL)
        exec->older->newer = exec->newer;
    else
        cache->oldest = exec->newer;
}

void segue_exec_list_add_content(struct segue_exec_cache *cache, struct segue_cuda_exec *exec)
{
    struct segue_cuda_exec **bucket = segue_exec_list_bucket(cache, exec->content.hash);
    exec->next_of_hash = *bucket;
    *bucket = exec;
}

void segue_exec_list_remove_content(struct segue_exec_cache *cache, struct segue_cuda_exec *exec)
{
    struct segue_cuda_exec **link = segue_exec_list_bucket(cache, exec->content.hash);
    while (*link != exec)
        link = &(*link)->next_of_hash;
    *link = exec->next_of_hash;
}

static void unlink_from_structure(struct segue_cuda_exec *exec)
{
    struct segue_cuda_exec **link = &exec->structure->execs;
    while (*link != exec)
        link = &(*link)->next_of_structure;
    *link = exec->next_of_structure;
}

void segue_exec_list_add_structure(struct segue_exec_cache *cache,
                                   struct segue_cuda_structure *structure)
{
    struct segue_cuda_structure **bucket =
        &cache->structures[structure->signature.hash % SEGUE_EXEC_CACHE_BUCKETS];
    structure->next = *bucket;
    *bucket = structure;
    cache->stats.structures++;
    cache->stats.host_bytes += structure->bytes;
}

static void unlink_structure(struct segue_exec_cache *cache, struct segue_cuda_structure *structure)
{
    struct segue_cuda_structure **link =
        &cache->structures[structure->signature.hash % SEGUE_EXEC_CACHE_BUCKETS];
    while (*link != structure)
        link = &(*link)->next;
    *link = structure->next;
    cache->stats.structures--;
    cache->stats.host_bytes -= structure->bytes;
}

static uint64_t held_bytes(const struct segue_cuda_exec *exec)
{
    const uint64_t changes_bytes = exec->changes.capacity * sizeof(*exec->changes.list) +
                                   exec->changes.scratch_capacity * sizeof(uint64_t);
    const uint64_t pointers_bytes = exec->staging != NULL ? exec->staging->pointers.host_bytes : 0;
    return sizeof(*exec) + exec->host_bytes + segue_exec_content_bytes(&exec->content) +
           segue_alias_bytes(&exec->alias) + changes_bytes + pointers_bytes;
}

static uint64_t all_bytes(const struct segue_cache_stats *stats)
{
    return stats->host_bytes + stats->device_bytes;
}

/** Counts an exec's memory, which grows as it is used. */
void segue_exec_list_count_bytes(struct segue_exec_cache *cache, struct segue_cuda_exec *exec)
{
    const uint64_t staging_bytes = exec->staging != NULL ? exec->staging->size_bytes : 0;
    const uint64_t host_bytes = held_bytes(exec);
    cache->stats.host_bytes -= exec->counted_host_bytes;
    cache->stats.device_bytes -= exec->counted_device_bytes;
    exec->counted_host_bytes = host_bytes;
    exec->counted_device_bytes = exec->device_bytes + staging_bytes;
    cache->stats.host_bytes += exec->counted_host_bytes;
    cache->stats.device_bytes += exec->counted_device_bytes;
    if (cache->stats.peak_bytes < all_bytes(&cache->stats))
        cache->stats.peak_bytes = all_bytes(&cache->stats);
}

/** Adds an exec that is in use. */
void segue_exec_list_add(struct segue_exec_cache *cache, struct segue_cuda_exec *exec)
{
    exec->in_use = true;
    exec->next_of_structure = exec->structure->execs;
    exec->structure->execs = exec;
    link_newest(cache, exec);
    segue_exec_list_add_content(cache, exec);
    cache->stats.graphs++;
    segue_exec_list_count_bytes(cache, exec);
}

/** Takes an exec out of all lists. */
static void remove_exec(struct segue_exec_cache *cache, struct segue_cuda_exec *exec)
{
    unlink_used(cache, exec);
    segue_exec_list_remove_content(cache, exec);
    unlink_from_structure(exec);
    cache->stats.graphs--;
    cache->stats.host_bytes -= exec->counted_host_bytes;
    cache->stats.device_bytes -= exec->counted_device_bytes;
}

/** Gives up a reference to a structure. True: it was the last, and the
 * structure is unlisted. */
bool segue_exec_list_drop_structure(struct segue_exec_cache *cache,
                                    struct segue_cuda_structure *structure)
{
    if (--structure->references != 0)
        return false;
    unlink_structure(cache, structure);
    return true;
}

static uint64_t exec_bytes(const struct segue_cuda_exec *exec)
{
    return exec->counted_host_bytes + exec->counted_device_bytes;
}

void segue_exec_list_make_idle(struct segue_exec_cache *cache, struct segue_cuda_exec *exec)
{
    exec->in_use = false;
    cache->stats.idle_graphs++;
    cache->stats.idle_bytes += exec_bytes(exec);
}

void segue_exec_list_make_used(struct segue_exec_cache *cache, struct segue_cuda_exec *exec)
{
    exec->in_use = true;
    cache->stats.idle_graphs--;
    cache->stats.idle_bytes -= exec_bytes(exec);
}

/** Makes an exec the last one used. */
void segue_exec_list_touch(struct segue_exec_cache *cache, struct segue_cuda_exec *exec)
{
    unlink_used(cache, exec);
    link_newest(cache, exec);
}

/** [locked] */
void segue_exec_list_bury(struct segue_exec_cache *cache, struct segue_cuda_exec *exec,
                          struct segue_exec_dead *dead)
{
    remove_exec(cache, exec);
    if (!segue_exec_list_drop_structure(cache, exec->structure))
        exec->structure = NULL;
    exec->next_of_hash = dead->execs;
    dead->execs = exec;
}

/** Idle ones, the least recently used first, until the rest is within the
 * budget. [locked] */
void segue_exec_list_evict(struct segue_exec_cache *cache, struct segue_cache_budget budget,
                           struct segue_exec_dead *dead)
{
    struct segue_cuda_exec *exec = cache->oldest;
    while (exec != NULL && (cache->stats.idle_graphs > budget.max_graphs ||
                            cache->stats.idle_bytes > budget.max_bytes)) {
        struct segue_cuda_exec *newer = exec->newer;
        if (!exec->in_use) {
            segue_exec_list_make_used(cache, exec);
            segue_exec_list_bury(cache, exec, dead);
            cache->stats.evictions++;
        }
        exec = newer;
    }
}

/** Frees what is dead: without the lock. */
void segue_exec_free_dead(struct segue_cuda *cuda, struct segue_exec_dead *dead, bool has_context)
{
    while (dead->execs != NULL) {
        struct segue_cuda_exec *exec = dead->execs;
        struct segue_cuda_structure *structure = exec->structure;
        dead->execs = exec->next_of_hash;
        segue_exec_destroy(cuda, exec, has_context);
        if (structure != NULL)
            segue_structure_destroy(cuda, structure, has_context);
    }
}

/** The same where the context may not be current. */
void segue_exec_free_dead_anywhere(struct segue_cuda *cuda, struct segue_exec_dead *dead)
{
    if (dead->execs == NULL)
        return;
    const bool has_context = segue_cuda_enter_cleanup(cuda);
    segue_exec_free_dead(cuda, dead, has_context);
    if (has_context)
        segue_cuda_leave(cuda);
}

/** Destroys an exec in use that is not what it should be. The context is
 * current. */
void segue_exec_give_up(struct segue_cuda *cuda, struct segue_cuda_exec *exec)
{
    struct segue_exec_dead dead = {0};
    if (exec->staging != NULL)
        segue_staging_count(cuda, exec->staging, false);
    pthread_mutex_lock(&cuda->exec_cache.lock);
    segue_exec_list_bury(&cuda->exec_cache, exec, &dead);
    cuda->exec_cache.stats.evictions++;
    pthread_mutex_unlock(&cuda->exec_cache.lock);
    segue_exec_free_dead(cuda, &dead, true);
}

/** Counts an exec that was taken from the cache and patched. [locked] */
void segue_exec_list_count_hit(struct segue_exec_cache *cache, struct segue_cuda_exec *exec,
                               const struct segue_command_buffer_stats *stats, uint64_t spent_ns)
{
    const uint64_t build_ns = exec->structure->build_ns;
    cache->stats.hits++;
    cache->stats.unchanged += stats->nodes_written == 0;
    cache->stats.nodes_written += stats->nodes_written;
    cache->stats.patch_ns += spent_ns;
    cache->stats.saved_ns += build_ns > spent_ns ? build_ns - spent_ns : 0;
}
