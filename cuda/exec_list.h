// SPDX-License-Identifier: Apache-2.0
/**
 * @file exec_list.h
 * The lists and sums of the cache of executable graphs. All but the last group is called with the
 * cache's lock held.
 */
#ifndef SEGUE_CUDA_EXEC_LIST_H
#define SEGUE_CUDA_EXEC_LIST_H

#include "exec_cache.h"

/** Execs that have been taken out of all lists, linked by next_of_hash, and are to be freed once
 * the lock is given up. */
struct segue_exec_dead {
    struct segue_cuda_exec *execs;
};

/** Where the execs of contents of that hash are listed. */
static inline struct segue_cuda_exec **segue_exec_list_bucket(struct segue_exec_cache *cache,
                                                              uint64_t hash)
{
    return &cache->contents[hash % SEGUE_EXEC_CACHE_BUCKETS];
}

/** Lists an exec that is in use, with its content. */
void segue_exec_list_add(struct segue_exec_cache *cache, struct segue_cuda_exec *exec);
/** Lists an exec by its content, and the reverse: around a change of the content. */
void segue_exec_list_add_content(struct segue_exec_cache *cache, struct segue_cuda_exec *exec);
void segue_exec_list_remove_content(struct segue_exec_cache *cache, struct segue_cuda_exec *exec);
void segue_exec_list_add_structure(struct segue_exec_cache *cache,
                                   struct segue_cuda_structure *structure);
/** Gives up a reference to a structure. True: it was the last, and the structure is unlisted. */
bool segue_exec_list_drop_structure(struct segue_exec_cache *cache,
                                    struct segue_cuda_structure *structure);
/** Makes an exec in use the last one used. */
void segue_exec_list_touch(struct segue_exec_cache *cache, struct segue_cuda_exec *exec);
/** Sums an exec's memory anew; it grows as the exec is used. */
void segue_exec_list_count_bytes(struct segue_exec_cache *cache, struct segue_cuda_exec *exec);
void segue_exec_list_make_idle(struct segue_exec_cache *cache, struct segue_cuda_exec *exec);
void segue_exec_list_make_used(struct segue_exec_cache *cache, struct segue_cuda_exec *exec);
/** Counts an exec that was taken from the cache, in that time. */
void segue_exec_list_count_hit(struct segue_exec_cache *cache, struct segue_cuda_exec *exec,
                               const struct segue_command_buffer_stats *stats, uint64_t spent_ns);
/** Takes an exec in use out of all lists. */
void segue_exec_list_bury(struct segue_exec_cache *cache, struct segue_cuda_exec *exec,
                          struct segue_exec_dead *dead);
/** Buries idle execs, the least recently used first, until the rest is within the budget. */
void segue_exec_list_evict(struct segue_exec_cache *cache, struct segue_cache_budget budget,
                           struct segue_exec_dead *dead);

/** Frees what is dead. Without the lock, and with the context as told. */
void segue_exec_free_dead(struct segue_cuda *cuda, struct segue_exec_dead *dead, bool has_context);
/** The same where the context may not be current. */
void segue_exec_free_dead_anywhere(struct segue_cuda *cuda, struct segue_exec_dead *dead);
/** Destroys an exec in use that is not what it should be. Without the lock; the context is
 *  current. */
void segue_exec_give_up(struct segue_cuda *cuda, struct segue_cuda_exec *exec);

#endif // SEGUE_CUDA_EXEC_LIST_H
