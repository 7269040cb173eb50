// SPDX-License-Identifier: Apache-2.0
// Plans that are turned into executable graphs: by patching one of the same structure, by making
// one more of it, or from nothing.
#include "command_buffer.h"
#include "cuda_backend.h"
#include "exec_list.h"

/** The structure of that signature, with a reference. [locked] */
static struct segue_cuda_structure *find_structure(struct segue_exec_cache *cache,
                                                   const struct segue_signature *signature)
{
    struct segue_cuda_structure *structure =
        cache->structures[signature->hash % SEGUE_EXEC_CACHE_BUCKETS];
    while (structure != NULL &&
           (structure->is_stale || !segue_signature_equal(&structure->signature, signature)))
        structure = structure->next;
    if (structure != NULL)
        structure->references++;
    return structure;
}

/** An idle exec of a structure. [locked] */
static struct segue_cuda_exec *take_idle(struct segue_exec_cache *cache,
                                         struct segue_cuda_structure *structure)
{
    struct segue_cuda_exec *exec = structure->execs;
    while (exec != NULL && exec->in_use)
        exec = exec->next_of_structure;
    if (exec != NULL)
        segue_exec_list_make_used(cache, exec);
    return exec;
}

/** Gives up a reference that is not an exec's. The context is current. */
static void release_structure(struct segue_cuda *cuda, struct segue_cuda_structure *structure)
{
    pthread_mutex_lock(&cuda->exec_cache.lock);
    const bool last = segue_exec_list_drop_structure(&cuda->exec_cache, structure);
    pthread_mutex_unlock(&cuda->exec_cache.lock);
    if (last)
        segue_structure_destroy(cuda, structure, true);
}

/** Room on the device for the recording's pointers and inline data, in the
 * exec's block if that will do. */
static segue_status restage(struct segue_lowering *lowering, struct segue_cuda_exec *exec,
                            bool *out_restaged)
{
    *out_restaged = false;
    const struct segue_recording *recording = lowering->recording;
    if (exec->staging != NULL && exec->staging->size_bytes >= segue_stage_bytes(recording)) {
        segue_stage_use(lowering, exec->staging);
        // Behind a table of another size the data lies elsewhere.
        *out_restaged = exec->staging->pointers.count != recording->indirect_count;
        return SEGUE_OK;
    }
    struct segue_staging_block *block = NULL;
    const segue_status status = segue_stage_acquire(lowering, &block);
    if (status != SEGUE_OK || block == NULL)
        return status;
    segue_staging_release(lowering->cuda, exec->staging, true);
    exec->staging = block;
    segue_stage_use(lowering, block);
    *out_restaged = true;
    return SEGUE_OK;
}

/** Patches an idle exec, which is in use now, to a content that it then takes
 * over. */
static segue_status convert(struct segue_lowering *lowering, const struct segue_plan *plan,
                            struct segue_cuda_exec *exec, struct segue_exec_content *content,
                            struct segue_command_buffer_stats *stats, bool *out_converted)
{
    struct segue_cuda *cuda = lowering->cuda;
    struct segue_exec_cache *cache = &cuda->exec_cache;
    bool restaged = false;
    *out_converted = false;
    if (exec->staging != NULL)
        segue_staging_count(cuda, exec->staging, true);
    segue_status status = restage(lowering, exec, &restaged);
    if (status == SEGUE_OK && exec->staging != NULL)
        status = segue_pointers_lay_out(lowering, exec->staging);
    if (status == SEGUE_OK &&
        !segue_exec_content_compare(&exec->content, content, plan, restaged, &exec->changes))
        status = segue_fail(cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                            "out of host memory for comparing command buffer \"%s\"",
                            lowering->recording->label);
    if (status == SEGUE_OK)
        status = segue_exec_patch(lowering, exec, content, &exec->changes, stats, out_converted);
    if (!*out_converted) {
        segue_exec_give_up(cuda, exec);
        return status;
    }
    segue_alias_finish(&exec->alias);
    pthread_mutex_lock(&cache->lock);
    segue_exec_list_remove_content(cache, exec);
    segue_exec_content_finish(&exec->content);
    exec->content = *content;
    segue_exec_list_add_content(cache, exec);
    segue_exec_list_count_bytes(cache, exec);
    pthread_mutex_unlock(&cache->lock);
    *content = (struct segue_exec_content){0};
    return SEGUE_OK;
}

/** Gives a new exec its content and staging, and lists it. A structure that is
 * new is listed, too. */
static void enlist(struct segue_lowering *lowering, struct segue_cuda_exec *exec,
                   struct segue_exec_content *content, struct segue_staging_block *staging,
                   const struct segue_command_buffer_stats *stats, bool is_new)
{
    struct segue_exec_cache *cache = &lowering->cuda->exec_cache;
    exec->content = *content;
    exec->staging = staging;
    *content = (struct segue_exec_content){0};
    pthread_mutex_lock(&cache->lock);
    if (is_new)
        segue_exec_list_add_structure(cache, exec->structure);
    else
        exec->structure->references++;
    segue_exec_list_add(cache, exec);
    cache->stats.misses += is_new;
    cache->stats.copies += !is_new;
    cache->stats.build_ns += stats->build_ns + stats->instantiate_ns + stats->upload_ns;
    pthread_mutex_unlock(&cache->lock);
}

/** Makes an exec: one more of `structure` if that is not NULL and the driver
 * will, else the first of a new structure. */
static segue_status make(struct segue_lowering *lowering, const struct segue_plan *plan,
                         struct segue_cuda_structure *structure, struct segue_signature *signature,
                         struct segue_exec_content *content,
                         struct segue_command_buffer_stats *stats,
                         struct segue_cuda_exec **out_exec)
{
    struct segue_staging_block *staging = NULL;
    struct segue_cuda_exec *exec = NULL;
    segue_status status = segue_stage_acquire(lowering, &staging);
    if (status != SEGUE_OK)
        return status;
    status = segue_stage_fill(lowering, staging);
    if (status == SEGUE_OK && structure != NULL)
        status = segue_exec_copy(lowering, structure, plan, content, stats, &exec);
    const bool is_new = exec == NULL;
    if (status == SEGUE_OK && is_new)
        status = segue_exec_build(lowering, plan, signature, stats, &exec);
    if (status != SEGUE_OK) {
        segue_staging_release(lowering->cuda, staging, true);
        return status;
    }
    enlist(lowering, exec, content, staging, stats, is_new);
    *out_exec = exec;
    return SEGUE_OK;
}

/** With a structure (a reference of which is the caller's) or without. */
static segue_status obtain_of(struct segue_lowering *lowering, const struct segue_plan *plan,
                              struct segue_cuda_structure *structure,
                              struct segue_signature *signature, struct segue_exec_content *content,
                              struct segue_command_buffer_stats *stats,
                              struct segue_cuda_exec **out_exec)
{
    struct segue_exec_cache *cache = &lowering->cuda->exec_cache;
    const uint64_t start_ns = segue_now_ns();
    struct segue_cuda_exec *exec = NULL;
    if (structure != NULL) {
        pthread_mutex_lock(&cache->lock);
        exec = take_idle(cache, structure);
        pthread_mutex_unlock(&cache->lock);
    }
    stats->nodes_written = 0;
    stats->reused = false;
    if (exec != NULL) {
        bool converted;
        const segue_status status = convert(lowering, plan, exec, content, stats, &converted);
        if (status != SEGUE_OK)
            return status;
        if (converted) {
            stats->reused = true;
            stats->build_ns = segue_now_ns() - start_ns;
            stats->instantiate_ns = stats->upload_ns = 0;
            pthread_mutex_lock(&cache->lock);
            segue_exec_list_count_hit(cache, exec, stats, stats->build_ns);
            pthread_mutex_unlock(&cache->lock);
            *out_exec = exec;
            return SEGUE_OK;
        }
    }
    stats->nodes_written = 0;
    return make(lowering, plan, structure, signature, content, stats, out_exec);
}

segue_status segue_exec_cache_obtain(struct segue_lowering *lowering, const struct segue_plan *plan,
                                     struct segue_variant variant,
                                     struct segue_command_buffer_stats *stats,
                                     struct segue_cuda_exec **out_exec)
{
    struct segue_cuda *cuda = lowering->cuda;
    struct segue_signature signature = {0};
    struct segue_exec_content content = {0};
    stats->node_count = (uint32_t)plan->node_count;
    stats->edge_count = (uint32_t)plan->edge_count;
    segue_status status = segue_signature_create(lowering, plan, &signature);
    if (status == SEGUE_OK)
        status = segue_exec_content_create(lowering, plan, variant, &content);
    if (status == SEGUE_OK) {
        pthread_mutex_lock(&cuda->exec_cache.lock);
        struct segue_cuda_structure *structure = find_structure(&cuda->exec_cache, &signature);
        pthread_mutex_unlock(&cuda->exec_cache.lock);
        status = obtain_of(lowering, plan, structure, &signature, &content, stats, out_exec);
        if (structure != NULL)
            release_structure(cuda, structure);
    }
    segue_signature_finish(&signature);
    segue_exec_content_finish(&content);
    return status;
}
