// SPDX-License-Identifier: Apache-2.0
/**
 * @file backend.h
 * The narrow interface between the neutral half (hal/) and the half that speaks to a driver
 * (cuda/). hal/ validates, orders and keeps lifetimes; a backend only carries out. Nothing here is
 * public.
 *
 * Rules for a backend: it checks every driver call and returns its failure through
 * segue_fail_driver (status.h); on failure it leaves nothing behind; it never looks at handles of
 * the caller beyond what it is given; functions marked [locked] are called with the device's
 * submission lock held, all others may be called from several threads at once.
 */
#ifndef SEGUE_HAL_BACKEND_H
#define SEGUE_HAL_BACKEND_H

#include <segue/buffer.h>
#include <segue/cache.h>
#include <segue/device.h>
#include <segue/executable.h>
#include <segue/inspect.h>
#include <segue/soft.h>

struct segue_plan;
struct segue_recording;
struct segue_binding_table;
struct segue_slot_pattern;

/** Opaque objects of a backend, defined there. */
struct segue_backend;
struct segue_backend_module;
struct segue_backend_program;
struct segue_backend_queue;
struct segue_backend_fence;

/** One allocation. Filled by allocate, kept by hal/ in struct segue_memory. */
struct segue_backend_memory {
    enum segue_memory_type type;
    uint64_t size_bytes;
    /** Multiple of SEGUE_BUFFER_ALIGN_BYTES. */
    uint64_t device_address;
    /** Host-visible memory only, else NULL. */
    void *host_pointer;
};

/** What a loaded entry point may be launched with. */
struct segue_backend_entry_limits {
    uint32_t max_threads_per_block;
    /** Largest dynamic shared memory a launch may ask for (opt-in limit less static shared). */
    uint32_t max_dynamic_shared_bytes;
};

/** What program_reuse found beside a program. */
struct segue_reuse {
    /** No graph that would do is idle, but one that is in use would. */
    bool is_busy;
    /** A one-shot recording like this one was asked for before. */
    bool is_known;
};

/** What a program is made from: one recording, in one mode, with one table. */
struct segue_program_request {
    /** GRAPH or STREAM, never AUTO. */
    enum segue_execution_mode mode;
    const struct segue_recording *recording;
    /** What the plan was, or would be, made with beside the recording. */
    uint64_t order_seed;
    /** Nodes in creation or issue order, with dependencies; in stream mode the dependencies are
     *  already met by the order and there are no joins. Only valid during the call. */
    const struct segue_plan *plan;
    /** What slots stand for; NULL if there are none. Only valid during the call. */
    const struct segue_binding_table *table;
    /** Which distinct slots stand for the same memory in `table`: the plan is made for that. NULL
     * or empty: none. Only valid during the call. */
    const struct segue_slot_pattern *aliases;
    /** The recording will run once, and is a graph only if that is there. */
    bool is_one_shot;
};

struct segue_backend_ops {
    void (*destroy)(struct segue_backend *backend);
    /** name and uri may point into the backend. */
    void (*get_info)(struct segue_backend *backend, struct segue_device_info *out_info);
    /** NULL unless the driver is the software driver. */
    const struct segue_soft_api *(*get_soft_api)(struct segue_backend *backend);

    /** Device and constant memory: not zeroed. Host-visible: pinned, mapped. */
    segue_status (*allocate)(struct segue_backend *backend, enum segue_memory_type type,
                             uint64_t size_bytes, struct segue_backend_memory *out_memory);
    void (*release)(struct segue_backend *backend, const struct segue_backend_memory *memory);
    /** Synchronous copies from and to host memory; ranges are already checked. */
    segue_status (*write)(struct segue_backend *backend, const struct segue_backend_memory *memory,
                          uint64_t offset_bytes, const void *data, uint64_t length_bytes);
    segue_status (*read)(struct segue_backend *backend, const struct segue_backend_memory *memory,
                         uint64_t offset_bytes, void *data, uint64_t length_bytes);
    /** Bytes of memory that programs own (staging), current and peak. */
    void (*get_internal_usage)(struct segue_backend *backend, struct segue_memory_usage *out_usage);

    /** `params` has been checked for form, not against the module. Limits: one per entry point. */
    segue_status (*module_create)(struct segue_backend *backend,
                                  const struct segue_executable_params *params,
                                  struct segue_backend_entry_limits *out_limits,
                                  struct segue_backend_module **out_module);
    void (*module_destroy)(struct segue_backend *backend, struct segue_backend_module *module);

    /** Graph mode: builds, instantiates and uploads. Stream mode: stages inline data. Fills in the
     *  build, instantiate and upload times, and the node and edge counts, of `stats`. The program
     *  keeps `recording` readable as long as it lives (hal/ holds a reference for it). A failure
     *  names the command that caused it where the driver says so. */
    segue_status (*program_create)(struct segue_backend *backend,
                                   const struct segue_program_request *request,
                                   struct segue_command_buffer_stats *stats,
                                   struct segue_backend_program **out_program);
    /** Graph mode: makes a program of a graph that was built for an earlier recording, where that
     *  has the same structure; `request->plan` is NULL. `*out_program` NULL: there is none, and a
     *  plan is needed. The function itself may be NULL. */
    segue_status (*program_reuse)(struct segue_backend *backend,
                                  const struct segue_program_request *request,
                                  struct segue_command_buffer_stats *stats,
                                  struct segue_reuse *out_reuse,
                                  struct segue_backend_program **out_program);
    /** Makes a program that nothing in flight uses do what `request`, of the same recording and
     * mode and with equal aliases, says with another table; `request->plan` is NULL. `*out_rebound`
     *  false, or a failure: it is only good for being destroyed. NULL: programs are made anew.
     *  [locked] */
    segue_status (*program_rebind)(struct segue_backend *backend,
                                   struct segue_backend_program *program,
                                   const struct segue_program_request *request,
                                   struct segue_command_buffer_stats *stats, bool *out_rebound);
    /** Graph mode: the plan that the program's graph was built from, with the commands of the
     *  program's own recording. Give it back with segue_plan_finish. NULL: make the plan anew. */
    segue_status (*program_plan)(struct segue_backend *backend,
                                 const struct segue_backend_program *program,
                                 struct segue_plan *out_plan);
    /** Lets other programs have what this one can leave to them, without a call to the driver: then
     * it is only good for being destroyed, which the caller does once it has given up the lock.
     * NULL: they get it then. [locked] */
    void (*program_retire)(struct segue_backend *backend, struct segue_backend_program *program);
    void (*program_destroy)(struct segue_backend *backend, struct segue_backend_program *program);
    /** Graph mode only: what each node of the plan became, values of enum segue_graph_node_type.
     *  They live as long as the program. */
    const uint8_t *(*program_node_types)(struct segue_backend *backend,
                                         const struct segue_backend_program *program);

    /** segue/cache.h. NULL: there is no cache. */
    void (*get_cache_stats)(struct segue_backend *backend, struct segue_cache_stats *out_stats);
    void (*set_cache_budget)(struct segue_backend *backend, struct segue_cache_budget budget);
    void (*trim_cache)(struct segue_backend *backend);
    /** Counts that a command buffer runs as a stream because no graph could be made; `error` says
     *  why not. NULL: nobody counts. */
    void (*note_stream)(struct segue_backend *backend, const struct segue_error *error);

    segue_status (*queue_create)(struct segue_backend *backend,
                                 struct segue_backend_queue **out_queue);
    void (*queue_destroy)(struct segue_backend *backend, struct segue_backend_queue *queue);
    /** Puts a program on the queue. [locked] */
    segue_status (*queue_run)(struct segue_backend *backend, struct segue_backend_queue *queue,
                              struct segue_backend_program *program);
    /** Blocks until all work on the queue is done. */
    segue_status (*queue_wait_idle)(struct segue_backend *backend,
                                    struct segue_backend_queue *queue);

    /** A fence: a point on a queue that others wait for. `timing`: fence_elapsed may be asked. */
    segue_status (*fence_create)(struct segue_backend *backend, bool timing,
                                 struct segue_backend_fence **out_fence);
    void (*fence_destroy)(struct segue_backend *backend, struct segue_backend_fence *fence);
    /** [locked] May be recorded again once nobody needs the earlier point. */
    segue_status (*fence_record)(struct segue_backend *backend, struct segue_backend_queue *queue,
                                 struct segue_backend_fence *fence);
    /** Later work on `queue` waits for the fence's point, on the device. [locked] */
    segue_status (*fence_enqueue_wait)(struct segue_backend *backend,
                                       struct segue_backend_queue *queue,
                                       struct segue_backend_fence *fence);
    /** SEGUE_OK: reached; SEGUE_TIMEOUT (no error is recorded): not yet. Never blocks. */
    segue_status (*fence_query)(struct segue_backend *backend, struct segue_backend_fence *fence);
    segue_status (*fence_elapsed)(struct segue_backend *backend, struct segue_backend_fence *start,
                                  struct segue_backend_fence *end, uint64_t *out_ns);
};

/** A backend object starts with this. */
struct segue_backend {
    const struct segue_backend_ops *ops;
    /** The hal/ device, for allocation, logging and errors. Set before open. */
    segue_device *device;
};

/** What segue_device_open hands on, with the URI taken apart. */
struct segue_backend_open_params {
    segue_device *device;
    const struct segue_device_params *params;
    bool soft;
    /** GPU number. */
    uint32_t ordinal;
    /** Software driver: driver version to act as, 0 for its newest; and its seed. */
    int32_t soft_profile;
    uint64_t soft_seed;
};

/** Opens the CUDA backend (cuda/backend.c). `params->device` is set up enough to allocate and to
 *  report errors. */
segue_status segue_cuda_backend_open(const struct segue_backend_open_params *params,
                                     struct segue_backend **out_backend);

#endif // SEGUE_HAL_BACKEND_H
