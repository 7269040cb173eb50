// SPDX-License-Identifier: Apache-2.0
/**
 * @file exec_cache.h
 * Executable graphs of one device, by structure. See segue/cache.h for what it
 * promises.
 *
 * An exec is either in use by one program, which alone reads and writes it, or
 * idle. The lock of the cache guards who has it, the lists, and the counts; it
 * is never held over a driver call. The driver's graph objects are not
 * thread-safe, so a structure has a lock for its graph.
 */
#ifndef SEGUE_CUDA_EXEC_CACHE_H
#define SEGUE_CUDA_EXEC_CACHE_H

#include "alias.h"
#include "exec_content.h"
#include "graph.h"
#include "signature.h"

#include <segue/cache.h>

#include <pthread.h>

struct segue_backend_module;
struct segue_reuse;
struct segue_command_buffer_stats;
struct segue_staging_block;

/** A graph, and what is instantiated from it. */
struct segue_cuda_structure {
    struct segue_signature signature;
    struct segue_cuda_graph graph;
    /** Guards the driver's graph. Taken before the cache's lock. */
    pthread_mutex_t lock;
    /** Modules of its kernels, each once. */
    struct segue_backend_module **modules;
    size_t module_count;
    size_t module_capacity;
    /** What building it took. */
    uint64_t build_ns;
    uint64_t bytes;

    /** Guarded by the cache's lock from here. Execs, and whoever is about to make
     * one. */
    uint32_t references;
    /** A kernel of it is gone: not to be found any more. */
    bool is_stale;
    struct segue_cuda_structure *next;
    struct segue_cuda_exec *execs;
};

/** An executable graph. */
struct segue_cuda_exec {
    CUgraphExec handle;
    struct segue_cuda_structure *structure;
    /** What it does now. */
    struct segue_exec_content content;
    struct segue_alias alias;
    struct segue_changes changes;
    /** Pointers and inline data; NULL if there are none. */
    struct segue_staging_block *staging;
    /** Measured when it was instantiated. */
    uint64_t device_bytes;
    uint64_t host_bytes;

    /** Guarded by the cache's lock from here. */
    bool in_use;
    /** What of it is in the sums. */
    uint64_t counted_host_bytes;
    uint64_t counted_device_bytes;
    /** Of one structure. */
    struct segue_cuda_exec *next_of_structure;
    /** Contents of one hash. */
    struct segue_cuda_exec *next_of_hash;
    /** All, by last use. */
    struct segue_cuda_exec *newer;
    struct segue_cuda_exec *older;
};

#define SEGUE_EXEC_CACHE_BUCKETS 1024
#define SEGUE_EXEC_CACHE_NOTES 256

struct segue_exec_cache {
    pthread_mutex_t lock;
    struct segue_cuda_structure *structures[SEGUE_EXEC_CACHE_BUCKETS];
    struct segue_cuda_exec *contents[SEGUE_EXEC_CACHE_BUCKETS];
    struct segue_cuda_exec *newest;
    struct segue_cuda_exec *oldest;
    struct segue_cache_budget budget;
    /** Hashes of one-shot recordings, the last one of each place. */
    uint64_t noted[SEGUE_EXEC_CACHE_NOTES];
    /** The counts; sizes are kept in it, too. */
    struct segue_cache_stats stats;
};

/** Returns false when out of memory. */
bool segue_exec_cache_init(struct segue_cuda *cuda);
/** Destroys all execs; none may be in use. */
void segue_exec_cache_finish(struct segue_cuda *cuda, bool has_context);

/**
 * Finds an idle exec that was made of a recording like that of `lowering`, and
 * patches it. The context need not be current. `*out_exec` NULL: none was
 * found, or none could be patched; then `out_reuse->is_busy` says whether one in
 * use may do.
 */
SEGUE_MUST_CHECK segue_status segue_exec_cache_recognise(struct segue_lowering *lowering,
                                                         struct segue_variant variant,
                                                         struct segue_command_buffer_stats *stats,
                                                         struct segue_reuse *out_reuse,
                                                         struct segue_cuda_exec **out_exec);
/** Notes a one-shot recording for which there was no exec. True: it is worth one, as a recording of
 *  that hash was noted before and is nothing but dispatches, which a graph does not make slower. */
bool segue_exec_cache_remember(const struct segue_lowering *lowering, struct segue_variant variant);
/** The exec for a plan with nodes: an idle one of equal structure, patched; or
 * another one of that structure; or one of a new structure. The context is
 * current. */
SEGUE_MUST_CHECK segue_status segue_exec_cache_obtain(struct segue_lowering *lowering,
                                                      const struct segue_plan *plan,
                                                      struct segue_variant variant,
                                                      struct segue_command_buffer_stats *stats,
                                                      struct segue_cuda_exec **out_exec);
/** Gives an exec back that no launch in flight uses. NULL is fine. Makes the
 * context current itself where it must. */
void segue_exec_cache_release(struct segue_cuda *cuda, struct segue_cuda_exec *exec);
/** The same without a call to the driver, whatever the budget is: segue_exec_cache_keep_budget
 * follows. NULL is fine. False: the exec may not be used again, and is still the caller's. */
bool segue_exec_cache_lend(struct segue_cuda *cuda, struct segue_cuda_exec *exec);
/** Gives up what is idle beyond the budget. Makes the context current itself where it must. */
void segue_exec_cache_keep_budget(struct segue_cuda *cuda);

/** Gives up what runs kernels of a module that is about to be unloaded. The
 * context is current. */
void segue_exec_cache_forget_module(struct segue_cuda *cuda,
                                    const struct segue_backend_module *module);
/** Gives back to the driver and the system all that is idle, for a call that
 * ran out of memory and is about to be tried again. The context is current. */
void segue_exec_cache_make_room(struct segue_cuda *cuda);

/** Gives up all that is idle. */
void segue_exec_cache_trim(struct segue_cuda *cuda);
void segue_exec_cache_get_stats(struct segue_cuda *cuda, struct segue_cache_stats *out_stats);
void segue_exec_cache_set_budget(struct segue_cuda *cuda, struct segue_cache_budget budget);

/** Counts a graph that became a stream. */
void segue_exec_cache_note_stream(struct segue_cuda *cuda, const struct segue_error *error);
/** Counts a whole update. */
void segue_exec_cache_count_update(struct segue_cuda *cuda);
/** Counts a copy of pointers in front of a launch. */
void segue_exec_cache_count_table(struct segue_cuda *cuda, uint64_t size_bytes);
/** Counts a fall and keeps its reason, which is logged, too. `segment` may be
 * NULL. */
void segue_exec_cache_note_fall(struct segue_lowering *lowering, enum segue_cache_fall fall,
                                const struct segue_segment *segment, CUresult result,
                                const char *call);

/* ---- exec.c
 * ----------------------------------------------------------------------------------
 */

/** One more exec of a structure, whose graph is given the content first. On
 * failure `*out_exec` is NULL; a status other than SEGUE_OK is one after which
 * building anew makes no sense. */
SEGUE_MUST_CHECK segue_status segue_exec_copy(struct segue_lowering *lowering,
                                              struct segue_cuda_structure *structure,
                                              const struct segue_plan *plan,
                                              const struct segue_exec_content *content,
                                              struct segue_command_buffer_stats *stats,
                                              struct segue_cuda_exec **out_exec);
/** A structure and its first exec. The signature is taken over on success. */
SEGUE_MUST_CHECK segue_status segue_exec_build(struct segue_lowering *lowering,
                                               const struct segue_plan *plan,
                                               struct segue_signature *signature,
                                               struct segue_command_buffer_stats *stats,
                                               struct segue_cuda_exec **out_exec);
/** Frees an exec that is in no list; not its structure. */
void segue_exec_destroy(struct segue_cuda *cuda, struct segue_cuda_exec *exec, bool has_context);
/** Frees a structure that is in no list and has no execs. */
void segue_structure_destroy(struct segue_cuda *cuda, struct segue_cuda_structure *structure,
                             bool has_context);

/* ---- patch.c
 * ---------------------------------------------------------------------------------
 */

/**
 * Writes the changed nodes of an exec in use: one by one, or the whole graph where that is cheaper
 * or the first does not work. `content` tells each command's node; if it is the exec's own, the
 * changes are written down in it. The context is current. With `*out_patched` false or a failure
 * the exec is to be destroyed.
 */
SEGUE_MUST_CHECK segue_status segue_exec_patch(struct segue_lowering *lowering,
                                               struct segue_cuda_exec *exec,
                                               const struct segue_exec_content *content,
                                               const struct segue_changes *changes,
                                               struct segue_command_buffer_stats *stats,
                                               bool *out_patched);
/** Gives all nodes of a structure's graph the parameters of the lowering's
 * recording. The structure's lock is held. `*out_synced` false: the driver
 * refused; that has been noted. */
SEGUE_MUST_CHECK segue_status segue_structure_sync(struct segue_lowering *lowering,
                                                   struct segue_cuda_structure *structure,
                                                   const struct segue_exec_content *content,
                                                   enum segue_cache_fall fall, bool *out_synced);
/** Copies the recording's inline data to where `lowering` has it staged. The
 * context is current. */
SEGUE_MUST_CHECK segue_status segue_stage_data(struct segue_lowering *lowering);
/** Bytes of a recording's staging block: the table of its pointers, and its inline data. */
uint64_t segue_stage_bytes(const struct segue_recording *recording);
/** Notes in the lowering where the block, NULL if there is none, has them. */
void segue_stage_use(struct segue_lowering *lowering, const struct segue_staging_block *block);
/** The same, and fills the block, which nothing in flight uses: copies the inline data, lays out
 * the table. The context is current. */
SEGUE_MUST_CHECK segue_status segue_stage_fill(struct segue_lowering *lowering,
                                               struct segue_staging_block *block);
/** A block of that size, or NULL if nothing is to be staged. */
SEGUE_MUST_CHECK segue_status segue_stage_acquire(struct segue_lowering *lowering,
                                                  struct segue_staging_block **out_block);

#endif // SEGUE_CUDA_EXEC_CACHE_H
