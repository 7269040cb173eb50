// SPDX-License-Identifier: Apache-2.0
/**
 * @file prepack.h
 * Loading constants before anything runs: from files, host memory or generators, packed on the way
 * by kernels where their consumers want another layout, or taken from a packed cache. Part of
 * libsegue_prepack.
 *
 * A plan lists constants and is run once, at a go, in steps, or on a thread of its own. It uploads
 * in bounded increments; what it submits is ordered before everything that waits for its point
 * (segue_prepack_plan_get_point), without the host waiting for the device. Afterwards the constants
 * are sealed: nothing can write them any more.
 *
 * Thread-safety: a plan is used by one thread at a time, except where a function says otherwise.
 */
#ifndef SEGUE_PREPACK_H
#define SEGUE_PREPACK_H

#include <segue/command_buffer.h>
#include <segue/packed_cache.h>
#include <segue/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most inputs of one constant, and most dimensions of one input. */
#define SEGUE_PREPACK_MAX_SOURCES 8
/** See SEGUE_PREPACK_MAX_SOURCES. */
#define SEGUE_PREPACK_MAX_DIMENSIONS 8

/** Where bytes come from. */
enum segue_prepack_source_kind {
    /** A range of an open file. */
    SEGUE_PREPACK_FILE = 0,
    SEGUE_PREPACK_HOST = 1,
    /** A function that makes them. */
    SEGUE_PREPACK_GENERATOR = 2,
    /** A tensor of a safetensors or GGUF file, by its name (segue/tensor_file.h). */
    SEGUE_PREPACK_TENSOR = 3,
};

/** Makes bytes [offset, offset + length). May be called from several threads at once. False: it
 *  cannot. */
typedef bool (*segue_prepack_generate_fn)(void *context, uint64_t offset_bytes, void *data,
                                          size_t length_bytes);

/** Bytes of one input. */
struct segue_prepack_source {
    enum segue_prepack_source_kind kind;
    /** FILE: open for reading as long as the plan lives. */
    int fd;
    /** FILE: for messages. NULL: none. TENSOR: the file's path; the plan opens it, once. Copied. */
    const char *file;
    /** TENSOR: its name. */
    const char *tensor;
    /** FILE: where the range begins. Else 0. */
    uint64_t offset_bytes;
    /** HOST: not copied, valid as long as the plan lives. */
    const void *data;
    /** GENERATOR. */
    segue_prepack_generate_fn generate;
    void *generate_context;
    /** GENERATOR: what the bytes follow from, for instance a struct segue_content; equal identities
     *  make equal bytes. Copied. */
    const void *identity;
    size_t identity_bytes;

    /** TENSOR: size, dtype and shape are the file's. What is given here must be the same; 0, NULL
     * or no dimensions: whatever they are. */
    uint64_t size_bytes;
    /** As in safetensors and GGUF files: "BF16", "U8", "Q4_0" and so on. NULL: plain bytes. */
    const char *dtype;
    /** Elements by dimension, outermost first; must fit dtype and size. No dimensions: not checked.
     */
    uint64_t shape[SEGUE_PREPACK_MAX_DIMENSIONS];
    uint32_t dimension_count;
};

/** A dispatch without its buffers. */
struct segue_prepack_launch {
    uint32_t grid[3];
    /** All 0: the entry point's. */
    uint32_t block[3];
    uint32_t dynamic_shared_bytes;
    /** Copied. */
    const void *constants;
    uint32_t constants_size_bytes;
};

/** A small run of the packer, on bytes that are always the same: what comes out tells whether the
 *  packer has changed. Use odd sizes, so that tails count. */
struct segue_prepack_probe {
    struct segue_prepack_launch launch;
    /** One per source. */
    uint64_t input_bytes[SEGUE_PREPACK_MAX_SOURCES];
    uint64_t output_bytes;
};

/**
 * How a packing may be cut into ranges of rows: each is packed by a dispatch of its own, the same
 * one with its buffers cut to the range, as soon as its rows have arrived. So the sources of a
 * large constant pass through memory for a few ranges, and are never on the device as a whole. The
 * packed bytes must not depend on the cut.
 */
struct segue_prepack_rows {
    /** Rows of the constant. 0: it is packed at a go, and the rest does not count. */
    uint32_t count;
    /** Ranges begin at multiples of this. 0: 1. */
    uint32_t multiple;
    /** Bytes of a row in each source, whose size is `count` times as much. 0: every range needs all
     *  of that source. */
    uint64_t source_bytes[SEGUE_PREPACK_MAX_SOURCES];
    /** Bytes that `multiple` rows are packed into; the last ones get what is left. */
    uint64_t packed_bytes;
    /** Place of the number of rows, a uint32, in the launch's constants. */
    uint32_t count_offset_bytes;
    /** Rows that a block of grid dimension grid_axis packs. 0: the grid is the same for all. */
    uint32_t rows_per_block;
    uint32_t grid_axis;
    /** Not 0: rows r and r + pair_rows of every 2 * pair_rows rows are packed side by side. Ranges
     * are then whole stretches of 2 * pair_rows rows, or within one: those take half of their rows
     * from each half of the stretch, and half of their number goes to pair_offset_bytes in the
     *  constants, a uint32. */
    uint32_t pair_rows;
    uint32_t pair_offset_bytes;
};

/** How a constant is packed: a dispatch whose bindings are the sources, in order, then the packed
 *  constant. */
struct segue_prepack_packing {
    segue_executable *executable;
    uint32_t entry_point;
    struct segue_prepack_launch launch;
    /** The layout that it makes, and its version; part of the cache's key. */
    uint32_t layout_id;
    uint32_t layout_version;
    /** Needed where the plan has a cache. Copied. NULL: none. */
    const struct segue_prepack_probe *probe;
    /** All 0: packed at a go. */
    struct segue_prepack_rows rows;
};

/** One constant. */
struct segue_prepack_constant {
    /** For messages and the cache. */
    const char *name;
    /** 1 to SEGUE_PREPACK_MAX_SOURCES. */
    const struct segue_prepack_source *sources;
    uint32_t source_count;
    /** NULL: the one source as it is. */
    const struct segue_prepack_packing *packing;
    /** Size once packed. 0 without packing: the source's. */
    uint64_t packed_bytes;
    /** What the consumer demands: the packed constant begins at a multiple of this; 0: 1. At most
     *  SEGUE_BUFFER_ALIGN_BYTES. */
    uint32_t align_bytes;
    /** Constant memory of packed_bytes, of which it is all. NULL: the plan allocates it when it is
     *  its turn. */
    segue_buffer *destination;
    /** Something else reads the sources as they are: they get buffers, too
     *  (segue_prepack_plan_get_source). Without it their bytes are only passed through. */
    bool keeps_sources;
};

/** "Without this limit", where 0 means the default. */
#define SEGUE_PREPACK_OFF UINT64_MAX

/** How files are read. */
enum segue_prepack_reading {
    /** Range by range: past the page cache what is not in it, several reads at a time. */
    SEGUE_PREPACK_READ_AUTO = 0,
    /** Through the page cache. */
    SEGUE_PREPACK_READ_CACHED = 1,
    /** Past the page cache, where the file system and the kernel let one. */
    SEGUE_PREPACK_READ_DIRECT = 2,
};

/** When an increment is submitted: when any of its limits is reached. 0: the default. */
struct segue_prepack_limits {
    /** Pinned host memory, which is never exceeded (64 MiB), and device memory for sources on their
     *  way to being packed; in slots (8 MiB). Plans of a device that load at the same time share
     * it; each has two slots whatever the others hold. */
    uint64_t staging_bytes;
    uint64_t slot_bytes;
    /** Staged bytes and commands of the first increment (512 KiB, 1024), and of each later one
     * (each twice what the one before had, up to 8 MiB; 1024). Every byte counts, wherever it comes
     * from.
     */
    uint64_t first_bytes;
    uint64_t first_commands;
    uint64_t next_bytes;
    uint64_t next_commands;
    /** An increment that has begun this long ago is submitted (2 ms). */
    uint64_t age_ns;
    /** Threads that read, at most 64 (one less than there are CPUs, at most 12). */
    uint32_t reader_count;
    /** How files are read. */
    enum segue_prepack_reading reading;
};

/** How far a plan is. */
struct segue_prepack_progress {
    /** Bytes staged, and bytes that will be in all. */
    uint64_t done_bytes;
    uint64_t total_bytes;
    uint64_t increment_count;
    uint64_t elapsed_ns;
};
/** Called on the thread that runs the plan, after each increment. */
typedef void (*segue_prepack_progress_fn)(void *context,
                                          const struct segue_prepack_progress *progress);

/** How to make a plan. */
struct segue_prepack_params {
    /** In the cache's index. NULL: "model". Copied. */
    const char *model;
    /** NULL: none. Must outlive the plan. */
    segue_packed_cache *cache;
    struct segue_prepack_limits limits;
    segue_prepack_progress_fn progress;
    void *progress_context;
    /** Receives warnings, for instance of a build that could not be published. NULL: silent. */
    segue_log_fn log;
    void *log_context;
};

/** Pinned host memory that is kept between plans. */
typedef struct segue_prepack_staging segue_prepack_staging;

/**
 * Pins the staging memory of a device now and keeps it. Plans of the device, with the same slots,
 * take theirs from it, one load at a time; one with other slots, or with less staging memory, gives
 * up what is idle of it, so that no more is pinned than is of use. Without it the first plan pins
 * what it needs as it goes, later ones use that once its load is over, and it is given up with the
 * last plan or staging of the device. On the NUMA node of the device, where the kernel tells and
 * allows it.
 * @param limits  staging_bytes and slot_bytes count. NULL: defaults.
 * Thread-safety: any thread.
 * @return SEGUE_OUT_OF_HOST_MEMORY, SEGUE_INVALID_ARGUMENT (limits), what pinning returns.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_prepack_staging_create(segue_device *device, const struct segue_prepack_limits *limits,
                             segue_prepack_staging **out_staging);
/** Lets it go; memory that a plan uses goes with the plan. NULL is fine. */
SEGUE_API void segue_prepack_staging_destroy(segue_prepack_staging *staging);

/** A list of constants, and their loading. */
typedef struct segue_prepack_plan segue_prepack_plan;

/** @param params NULL: defaults. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_prepack_plan_create(
    segue_device *device, const struct segue_prepack_params *params, segue_prepack_plan **out_plan);

/** Cancels and waits for what runs, then gives up the plan. Buffers that were handed out stay. */
SEGUE_API void segue_prepack_plan_destroy(segue_prepack_plan *plan);

/**
 * Adds a constant, after checking all that can be known without reading data: sizes, shapes,
 * dtypes, alignment, ranges in files, the destination's memory type and that it is dedicated. The
 * headers of files that tensors are named in are read.
 * @return SEGUE_INVALID_ARGUMENT, SEGUE_OUT_OF_RANGE, SEGUE_INVALID_ACCESS, SEGUE_INCOMPATIBLE;
 *         as segue_tensor_file_open and segue_tensor_file_find; SEGUE_INVALID_STATE once the plan
 *         has begun to run.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_prepack_plan_add(
    segue_prepack_plan *plan, const struct segue_prepack_constant *constant, uint32_t *out_index);

/** Says what a buffer of constant memory shall hold, with `destination` left alone. False: the
 *  buffer is none of the plan's business. */
typedef bool (*segue_prepack_resolve_fn)(void *context, segue_buffer *buffer,
                                         struct segue_prepack_constant *out_constant);

/** Adds the buffers of constant memory that the command buffer's commands use, each once, in the
 *  order of their first use; all that `resolve` knows, or, on failure, none.
 *  @param out_count how many were added. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_prepack_plan_add_command_buffer(
    segue_prepack_plan *plan, segue_command_buffer *command_buffer,
    segue_prepack_resolve_fn resolve, void *context, uint32_t *out_count);

/** Runs the plan to its end: everything is submitted, and the cache's next generation published. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_prepack_plan_run(segue_prepack_plan *plan);

/** One increment, or one constant looked up or stored. @param out_done the plan has ended. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_prepack_plan_step(segue_prepack_plan *plan,
                                                                bool *out_done);

/** segue_prepack_plan_run on a thread of its own. Nothing but segue_prepack_plan_cancel,
 *  segue_prepack_plan_get_point and segue_prepack_plan_wait may be called until it ends. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_prepack_plan_start(segue_prepack_plan *plan);
/** Waits for that thread. @return what segue_prepack_plan_run would have. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_prepack_plan_wait(segue_prepack_plan *plan);

/** Ends the plan before its next increment, with SEGUE_INVALID_STATE: nothing is published, nothing
 *  sealed, and its point is never reached. From any thread. */
SEGUE_API void segue_prepack_plan_cancel(segue_prepack_plan *plan);

/** What submissions that use the constants wait for. May be asked, and waited for, before the plan
 *  runs. From any thread. */
SEGUE_API void segue_prepack_plan_get_point(segue_prepack_plan *plan,
                                            struct segue_semaphore_value *out_point);

/** A handle of the caller's own on a constant. Constants of equal content and packing share memory.
 *  @return SEGUE_INVALID_STATE unless the plan has ended well, and for a constant that was dropped
 *          or released. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_prepack_plan_get_buffer(segue_prepack_plan *plan,
                                                                      uint32_t constant,
                                                                      segue_buffer **out_buffer);
/** The same for a source of a constant that keeps them. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_prepack_plan_get_source(segue_prepack_plan *plan,
                                                                      uint32_t constant,
                                                                      uint32_t source,
                                                                      segue_buffer **out_buffer);

/** The plan need not keep the constant any longer. Memory that constants share goes with the last
 * of them. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_prepack_plan_release(segue_prepack_plan *plan,
                                                                   uint32_t constant);

/** Memory is short: gives up the plan's handles on constants that can come back from the cache.
 * What handles of others, or recordings, still use stays. @param out_bytes what was given up. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_prepack_plan_drop(segue_prepack_plan *plan,
                                                                uint64_t *out_bytes);
/** Loads what was dropped, into new memory. The plan's point moves on. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_prepack_plan_restore(segue_prepack_plan *plan);

/** What a plan has done. */
struct segue_prepack_stats {
    uint32_t constant_count;
    /** Constants that share the memory of an earlier one. */
    uint32_t shared_count;
    /** Taken from the cache, and packed (or uploaded as they are) for want of an entry. */
    uint32_t hit_count;
    uint32_t packed_count;
    /** Entries that turned out to be corrupt and were packed again. */
    uint32_t corrupt_count;
    /** Bytes read from sources (to hash, and to upload) and from the cache; bytes uploaded; bytes
     *  stored in the cache. */
    uint64_t source_read_bytes;
    uint64_t cache_read_bytes;
    uint64_t uploaded_bytes;
    uint64_t stored_bytes;
    uint64_t increment_count;
    /** From the first byte read to the first submission, and host times by stage. */
    uint64_t first_submit_ns;
    uint64_t key_ns;
    uint64_t load_ns;
    uint64_t store_ns;
    uint64_t total_ns;
    /** Most pinned host memory that was held, and device memory for sources on their way. */
    uint64_t peak_staging_bytes;
    uint64_t peak_source_bytes;
    /** Of what was read for uploads: bytes of files from the page cache and past it. Reads past it
     *  that had to go through it after all; threads that were refused io_uring and read one at a
     *  time. */
    uint64_t cached_file_bytes;
    uint64_t direct_file_bytes;
    uint64_t direct_fallback_count;
    uint64_t uring_refusal_count;
    /** Reading, summed over all threads. */
    uint64_t read_ns;
    /** What the plan's thread spent on: waiting for readers; waiting for a slot to be copied;
     *  pinning slots; allocating on the device; submitting. */
    uint64_t read_wait_ns;
    uint64_t slot_wait_ns;
    uint64_t pin_ns;
    uint64_t allocate_ns;
    uint64_t submit_ns;
    /** Slots that could not be pinned for want of memory: the plan went on with fewer. */
    uint32_t unpinned_slot_count;
    /** NUMA node that the slots were asked for on; -1: it is not known, or the kernel refused. */
    int32_t staging_node;
    /** A build could not be published, or another process was building: packed privately. */
    bool packed_privately;
};
/** The counts so far. */
SEGUE_API void segue_prepack_plan_get_stats(const segue_prepack_plan *plan,
                                            struct segue_prepack_stats *out_stats);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_PREPACK_H
