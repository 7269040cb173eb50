// SPDX-License-Identifier: Apache-2.0
/**
 * @file plan.h
 * The object behind segue_prepack_plan. A plan goes through its phases in steps:
 *
 *   KEYS      plan_key.c     digests, who shares memory, what the cache has
 *   CLAIM     plan_cache.c   the cache's lock, if something is missing
 *   LOAD      plan_load.c    uploads and packing, increment by increment
 *   VERIFY    plan_verify.c  checksums on the device, where the cache asks for them
 *   RELEASE   plan.c         the point is raised, the constants are sealed
 *   STORE     plan_cache.c   what was packed goes to the cache's next generation
 */
#ifndef SEGUE_PREPACK_PLAN_H
#define SEGUE_PREPACK_PLAN_H

#include "plan_rows.h"
#include "raw.h"
#include "upload.h"

#include <segue/segue.h>
#include <segue/tensor_file.h>

#include <pthread.h>
#include <stdatomic.h>

#define SEGUE_PREPACK_NONE UINT32_MAX

/** A packer and what identifies it. */
struct segue_prepack_packer {
    segue_executable *executable;
    uint32_t entry_point;
    bool has_probe;
    struct segue_prepack_probe probe;
    uint32_t input_count;
    struct segue_packed_digest fingerprint;
    bool is_known;
};

/** A source with its own copies of strings and identity. */
struct segue_prepack_input {
    struct segue_prepack_source params;
    struct segue_packed_digest content;
    bool is_known;
    /** Of a file: what the cache notes its content under, if that is to be noted. */
    struct segue_packed_digest identity;
    bool is_new;
    /** Its digest is computed by a thread. */
    bool has_job;
    uint32_t job;
    /** Where the constant keeps its sources. */
    segue_buffer *kept;
};

struct segue_prepack_item {
    char *name;
    struct segue_prepack_input *inputs;
    uint32_t input_count;
    bool packs;
    struct segue_prepack_packing packing;
    /** SEGUE_PREPACK_NONE: as it is. */
    uint32_t packer;
    uint64_t packed_bytes;
    bool keeps_sources;
    /** A handle of the plan's own on the caller's buffer. */
    segue_buffer *destination;
    uint64_t destination_id;
    /** Digest of a few bytes of each input: constants whose samples differ are not equal. */
    struct segue_packed_digest sample;
    bool has_sample;
    struct segue_packed_key key;
    bool has_key;
    /** SEGUE_PREPACK_NONE: not yet, or released. */
    uint32_t result;
};

/** Where a result's bytes come from. */
enum segue_prepack_way {
    SEGUE_PREPACK_PACK,
    SEGUE_PREPACK_HIT,
};

/** Memory that one constant has, or several share. */
struct segue_prepack_result {
    segue_buffer *buffer;
    /** The first constant that has it. */
    uint32_t item;
    /** Constants that have it and were not released. */
    uint32_t uses;
    enum segue_prepack_way way;
    segue_packed_entry *entry;
    /** It is to be uploaded; it was; it went to the cache in this run. */
    bool is_wanted;
    bool is_loaded;
    bool is_stored;
};

enum segue_prepack_phase {
    SEGUE_PREPACK_PHASE_KEYS,
    SEGUE_PREPACK_PHASE_CLAIM,
    SEGUE_PREPACK_PHASE_LOAD,
    SEGUE_PREPACK_PHASE_VERIFY,
    SEGUE_PREPACK_PHASE_RELEASE,
    SEGUE_PREPACK_PHASE_STORE,
    SEGUE_PREPACK_PHASE_ENDED,
};

/** A file of tensors, known by the path that it was opened by. */
struct segue_prepack_file {
    char *path;
    segue_tensor_file *tensors;
};

struct segue_prepack_plan {
    segue_device *device;
    struct segue_prepack_params params;
    char *model;
    struct segue_prepack_item *items;
    uint32_t item_count;
    uint32_t item_capacity;
    struct segue_prepack_packer *packers;
    uint32_t packer_count;
    struct segue_prepack_result *results;
    uint32_t result_count;
    /** Files that sources are named in, open as long as the plan. */
    struct segue_prepack_file *files;
    uint32_t file_count;

    enum segue_prepack_phase phase;
    bool has_begun;
    /** The first failure; nothing more is done after it. */
    segue_status failure;
    atomic_bool cancelled;
    /** Where the phase is: an item or a result. */
    uint32_t cursor;

    /** NULL: none are computed. */
    struct segue_prepack_digests *digests;
    struct segue_prepack_stream *stream;
    struct segue_prepack_load *load;
    segue_packed_writer *writer;
    /** No writer is to be had: another one builds, or the folder cannot be written. */
    bool is_private;
    segue_semaphore *done;
    atomic_uint_fast64_t done_value;
    segue_executable *checksum;
    uint64_t total_bytes;
    uint64_t begun_ns;
    struct segue_prepack_stats stats;

    pthread_t thread;
    bool has_thread;
    segue_status thread_status;
    /** Of the thread, for the one that waits. */
    struct segue_error *thread_error;
};

/** Copies the sources of a constant, those that are named as ranges of files: nothing behind this
 *  meets SEGUE_PREPACK_TENSOR. `out_sources` has room for SEGUE_PREPACK_MAX_SOURCES, as many as
 *  source_count may say (plan_sources.c). */
segue_status segue_prepack_resolve_sources(segue_prepack_plan *plan,
                                           const struct segue_prepack_constant *constant,
                                           struct segue_prepack_source *out_sources);
/** Closes the files. */
void segue_prepack_close_files(segue_prepack_plan *plan);

/** What the load needs besides the stream (plan_load.c). */
segue_status segue_prepack_load_create(segue_prepack_plan *plan,
                                       struct segue_prepack_load **out_load);
/** Gives up stream and load, in the order that they ask for. Either may be NULL. */
void segue_prepack_close_load(segue_prepack_plan *plan);
/** Brings plan->stats up to date. */
void segue_prepack_load_count(segue_prepack_plan *plan);

/** Takes back the constants that were added last, until `count` are left. */
void segue_prepack_plan_remove_last(segue_prepack_plan *plan, uint32_t count);

/** Checks a constant alone and against the plan (plan_check.c). */
segue_status segue_prepack_check(const segue_prepack_plan *plan,
                                 const struct segue_prepack_constant *constant,
                                 uint64_t *out_packed_bytes);

/** One step of a phase; sets `*out_done` with the phase's last one. */
segue_status segue_prepack_step_keys(segue_prepack_plan *plan, bool *out_done);
segue_status segue_prepack_step_claim(segue_prepack_plan *plan, bool *out_done);
segue_status segue_prepack_step_load(segue_prepack_plan *plan, bool *out_done);
segue_status segue_prepack_step_verify(segue_prepack_plan *plan, bool *out_done);
segue_status segue_prepack_step_store(segue_prepack_plan *plan, bool *out_done);

/** Has the digests of all inputs that are read for them computed from now on (plan_digest.c). */
segue_status segue_prepack_begin_digests(segue_prepack_plan *plan);
/** Waits for that of an input that has_job, and computes along. */
segue_status segue_prepack_wait_digest(segue_prepack_plan *plan, struct segue_prepack_input *input);
/** Ends the threads; what is not computed stays so. Without digests it does nothing. */
void segue_prepack_end_digests(segue_prepack_plan *plan);

/** Looks a result up in the cache and decides where its bytes come from. */
segue_status segue_prepack_look_up(segue_prepack_plan *plan, struct segue_prepack_result *result);
/** A result's entry is corrupt: finds another way and lets the load begin again with it. */
segue_status segue_prepack_replace_entry(segue_prepack_plan *plan,
                                         struct segue_prepack_result *result);

/** Opens the tensor of a result in the build, if there is one; then result->is_stored is set. */
segue_status segue_prepack_open_tensor(segue_prepack_plan *plan,
                                       struct segue_prepack_result *result);
/** Its next bytes; `context` is the plan. Where they cannot be stored, the plan goes on without,
 *  unless its cache is strict. */
segue_status segue_prepack_store_piece(void *context, const void *data, size_t length_bytes);

/** Makes the executable with the checksum kernel (plan_verify.c). */
segue_status segue_prepack_make_checksum(segue_device *device, segue_executable **out_executable);

/** Makes a packer's fingerprint, if it is not known (plan_probe.c). */
segue_status segue_prepack_fingerprint(segue_prepack_plan *plan,
                                       struct segue_prepack_packer *packer);

/** Fills in the dispatch of a packing. `bindings` has room for input_count + 1. */
void segue_prepack_make_dispatch(const struct segue_prepack_packer *packer,
                                 const struct segue_prepack_launch *launch,
                                 segue_buffer *const *inputs, segue_buffer *output,
                                 struct segue_buffer_ref *bindings,
                                 struct segue_dispatch *out_dispatch);

/** A line for the plan's log. */
void segue_prepack_plan_log(const segue_prepack_plan *plan, enum segue_log_level level,
                            const char *format, ...) SEGUE_PRINTF(3, 4);

#endif // SEGUE_PREPACK_PLAN_H
