// SPDX-License-Identifier: Apache-2.0
/**
 * @file cuda_backend.h
 * The CUDA backend's own objects, and its functions behind struct segue_backend_ops. Thread-safety
 * and the meaning of each operation are described in hal/backend.h.
 */
#ifndef SEGUE_CUDA_BACKEND_H
#define SEGUE_CUDA_BACKEND_H

#include "backend.h"
#include "builtins.h"
#include "check.h"
#include "driver.h"
#include "exec_cache.h"
#include "nvrtc.h"
#include "object.h"
#include "staging.h"

#include <pthread.h>

/** Device attributes that creation and lowering ask for. */
struct segue_cuda_limits {
    uint32_t compute_major;
    uint32_t compute_minor;
    uint32_t multiprocessor_count;
    /** Shared memory of a block, opting in included. */
    uint32_t shared_optin_bytes;
    uint32_t max_threads_per_block;
    uint64_t l2_cache_bytes;
    uint64_t total_memory_bytes;
    uint32_t pci_domain;
    uint32_t pci_bus;
    uint32_t pci_device;
    bool clusters;
    bool cooperative;
};

/** One open device. `base` comes first: hal/ holds a pointer to it. */
struct segue_cuda {
    struct segue_backend base;
    struct segue_driver driver;
    CUdevice ordinal;
    /** The primary context, retained. */
    CUcontext context;
    /** For host copies and graph uploads; synchronised by those who use it. Concurrent use is fine:
     *  a synchronisation then only waits for more than it must. */
    CUstream transfer_stream;
    struct segue_cuda_limits limits;
    char name[256];
    /** Copies; NULL: not given, and no compile cache. */
    char *nvrtc_path;
    char *cache_folder;

    /** Guards what is loaded at its first use: nvrtc and builtins. */
    pthread_mutex_t lazy_lock;
    struct segue_nvrtc nvrtc;
    struct segue_builtins builtins;
    struct segue_staging staging;
    struct segue_exec_cache exec_cache;
};

struct segue_backend_queue {
    CUstream stream;
};

struct segue_backend_fence {
    CUevent event;
};

static inline struct segue_cuda *segue_cuda_of(struct segue_backend *backend)
{
    return (struct segue_cuda *)backend;
}

static inline const struct segue_allocator *segue_cuda_allocator(const struct segue_cuda *cuda)
{
    return &cuda->base.device->allocator;
}

/** Whether edges of a graph can wait for less than the end of a kernel: 12.3 in the driver, compute
 *  capability 9.0 in the device. */
static inline bool segue_cuda_has_typed_edges(const struct segue_cuda *cuda)
{
    return cuda->limits.compute_major >= 9 && cuda->driver.cuGraphAddNode != NULL;
}

/** Makes the device's context current on this thread; every success needs a segue_cuda_leave. */
SEGUE_MUST_CHECK segue_status segue_cuda_enter(struct segue_cuda *cuda);
/** The same on the way out of something: a failure is noted, not returned. Without a context the
 *  caller can only leave its driver objects to the driver. */
SEGUE_MUST_CHECK bool segue_cuda_enter_cleanup(struct segue_cuda *cuda);
/** Puts back the context that was current before. */
void segue_cuda_leave(struct segue_cuda *cuda);

/* memory.c */
segue_status segue_cuda_allocate(struct segue_backend *backend, enum segue_memory_type type,
                                 uint64_t size_bytes, struct segue_backend_memory *out_memory);
void segue_cuda_release(struct segue_backend *backend, const struct segue_backend_memory *memory);
segue_status segue_cuda_write(struct segue_backend *backend,
                              const struct segue_backend_memory *memory, uint64_t offset_bytes,
                              const void *data, uint64_t length_bytes);
segue_status segue_cuda_read(struct segue_backend *backend,
                             const struct segue_backend_memory *memory, uint64_t offset_bytes,
                             void *data, uint64_t length_bytes);
/** Copies host memory to a device address and waits. The context is current. */
segue_status segue_cuda_upload(struct segue_cuda *cuda, CUdeviceptr target, const void *data,
                               uint64_t length_bytes);

/* module.c */
segue_status segue_cuda_module_create(struct segue_backend *backend,
                                      const struct segue_executable_params *params,
                                      struct segue_backend_entry_limits *out_limits,
                                      struct segue_backend_module **out_module);
void segue_cuda_module_destroy(struct segue_backend *backend, struct segue_backend_module *module);

/* program.c */
segue_status segue_cuda_program_create(struct segue_backend *backend,
                                       const struct segue_program_request *request,
                                       struct segue_command_buffer_stats *stats,
                                       struct segue_backend_program **out_program);
segue_status segue_cuda_program_reuse(struct segue_backend *backend,
                                      const struct segue_program_request *request,
                                      struct segue_command_buffer_stats *stats,
                                      struct segue_reuse *out_reuse,
                                      struct segue_backend_program **out_program);
segue_status segue_cuda_program_rebind(struct segue_backend *backend,
                                       struct segue_backend_program *program,
                                       const struct segue_program_request *request,
                                       struct segue_command_buffer_stats *stats, bool *out_rebound);
void segue_cuda_program_retire(struct segue_backend *backend,
                               struct segue_backend_program *program);
void segue_cuda_program_destroy(struct segue_backend *backend,
                                struct segue_backend_program *program);
const uint8_t *segue_cuda_program_node_types(struct segue_backend *backend,
                                             const struct segue_backend_program *program);
/** The executable graph that a program runs; NULL without nodes, and in stream mode. */
struct segue_cuda_exec *segue_cuda_program_exec(const struct segue_backend_program *program);
segue_status segue_cuda_program_plan(struct segue_backend *backend,
                                     const struct segue_backend_program *program,
                                     struct segue_plan *out_plan);
segue_status segue_cuda_queue_run(struct segue_backend *backend, struct segue_backend_queue *queue,
                                  struct segue_backend_program *program);

/* queue.c */
segue_status segue_cuda_queue_create(struct segue_backend *backend,
                                     struct segue_backend_queue **out_queue);
void segue_cuda_queue_destroy(struct segue_backend *backend, struct segue_backend_queue *queue);
segue_status segue_cuda_queue_wait_idle(struct segue_backend *backend,
                                        struct segue_backend_queue *queue);

/* fence.c */
segue_status segue_cuda_fence_create(struct segue_backend *backend, bool timing,
                                     struct segue_backend_fence **out_fence);
void segue_cuda_fence_destroy(struct segue_backend *backend, struct segue_backend_fence *fence);
segue_status segue_cuda_fence_record(struct segue_backend *backend,
                                     struct segue_backend_queue *queue,
                                     struct segue_backend_fence *fence);
segue_status segue_cuda_fence_enqueue_wait(struct segue_backend *backend,
                                           struct segue_backend_queue *queue,
                                           struct segue_backend_fence *fence);
segue_status segue_cuda_fence_query(struct segue_backend *backend,
                                    struct segue_backend_fence *fence);
segue_status segue_cuda_fence_elapsed(struct segue_backend *backend,
                                      struct segue_backend_fence *start,
                                      struct segue_backend_fence *end, uint64_t *out_ns);

#endif // SEGUE_CUDA_BACKEND_H
