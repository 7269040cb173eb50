// SPDX-License-Identifier: Apache-2.0
/**
 * @file soft.h
 * The software driver: the default where there is no GPU, and the double that tests run against.
 * Kernels run as C reference functions that are registered here. Its controls (seeds, faults,
 * profiles, reports) are process-wide, as a driver is.
 */
#ifndef SEGUE_SOFT_H
#define SEGUE_SOFT_H

#include <segue/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One launch of a kernel, as its reference sees it. */
struct segue_reference_launch {
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t dynamic_shared_bytes;
    /** Blocks of a cluster; 0 0 0 for a launch without clusters. */
    uint32_t cluster[3];
    bool cooperative;
    /** Pointers to the parameter values, in order, as given at the launch; bindings are 8-byte
     *  device addresses. Read them with memcpy or through aligned pointers: each value is aligned
     *  to 16 bytes. */
    const void *const *parameters;
    uint32_t parameter_count;
    /** segue_reference_kernel.user. */
    void *user;
    /** Internal. */
    void *driver;
};

/** A range of device memory that a launch touches. */
struct segue_reference_range {
    uint64_t address;
    uint64_t size_bytes;
    bool read;
    bool write;
};

/**
 * Collects the ranges of one launch. `add_range` returns false once out of memory; stop then.
 */
struct segue_reference_ranges {
    bool (*add_range)(struct segue_reference_ranges *ranges, uint64_t address, uint64_t size_bytes,
                      bool read, bool write);
    void *driver;
};

/** Translates a device range of a launch to host memory; NULL if it is not all valid memory, which
 *  fails the launch with CUDA_ERROR_ILLEGAL_ADDRESS once `run` returns. */
typedef void *(*segue_reference_translate)(const struct segue_reference_launch *launch,
                                           uint64_t address, uint64_t size_bytes);

/** The reference of a kernel. Must be a pure function of its parameters and memory. */
struct segue_reference_kernel {
    /** The entry point's name. Copied. */
    const char *name;
    /** Sizes in bytes of the kernel's parameters, checked against the module. Copied. */
    const uint32_t *parameter_sizes;
    uint32_t parameter_count;
    /** Executes the launch, all blocks of it. Returns false to fail it (launch failure). */
    bool (*run)(const struct segue_reference_launch *launch, segue_reference_translate translate);
    /** States which ranges the launch reads and writes, from parameters alone. */
    void (*ranges)(const struct segue_reference_launch *launch,
                   struct segue_reference_ranges *ranges);
    void *user;
    /** For a kernel that finds its pointers in memory (SEGUE_PARAMETER_INDIRECT), in place of
     *  `ranges`, which may be NULL then: the same, but it may read the pointers, too, as they are
     *  when the graph begins to run. Where `translate` returns NULL, it leaves out what it cannot
     *  find. Asked for at every launch of a graph. */
    void (*table_ranges)(const struct segue_reference_launch *launch,
                         segue_reference_translate translate,
                         struct segue_reference_ranges *ranges);
};

/**
 * Registers references with the software driver behind `device`; a kernel of the same name is
 * replaced. On any other device this does nothing and returns SEGUE_OK, so programs need not ask.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_device_register_reference_kernels(
    segue_device *device, const struct segue_reference_kernel *kernels, uint32_t kernel_count);

/** What a fault is counted by. */
enum segue_soft_fault_target {
    SEGUE_SOFT_FAULT_DRIVER_CALL = 0,
    /** Allocations of device and pinned memory only. */
    SEGUE_SOFT_FAULT_ALLOCATION = 1,
};

/** Makes the nth matching call from now on fail. */
struct segue_soft_fault {
    enum segue_soft_fault_target target;
    /** 1: the next one. 0: no fault. */
    uint64_t nth;
    /** All later ones fail, too. */
    bool forever;
    /** The CUresult to fail with. */
    int32_t driver_result;
    /** Only calls whose name matches this pattern ('*' stands for anything). NULL: all. */
    const char *name_pattern;
};

/** What the driver has seen since segue_soft_api.reset_report. */
struct segue_soft_report {
    uint64_t call_count;
    uint64_t allocation_count;
    /** Calls failed by fault injection; the name of the first of them. */
    uint64_t fault_count;
    char first_fault[64];
    /** Conflicting graph nodes without a path between them; the first one in words. */
    uint64_t hazard_count;
    char first_hazard[512];
    /** Use after destroy, double destroy, wrong context, wrong kind of handle; the first in words.
     */
    uint64_t misuse_count;
    char first_misuse[512];
    /** Objects alive now, in all and by kind. */
    uint64_t live_objects;
    uint64_t live_allocations;
    uint64_t live_streams;
    uint64_t live_events;
    uint64_t live_modules;
    uint64_t live_graphs;
    uint64_t live_graph_execs;
    /** How often the primary context is retained now: once by each open device. */
    uint64_t context_holders;
    /** Contexts that threads have made current and not put back: none between calls of Segue. */
    uint64_t pushed_contexts;
};

/** Controls of the software driver. Every function is thread-safe. */
struct segue_soft_api {
    /** SEGUE_SOFT_API_VERSION of the library. */
    uint32_t version;
    /** Registers a reference kernel; false when out of memory or malformed. */
    bool (*register_kernel)(const struct segue_reference_kernel *kernel);
    /** Seed of the random order in which graph nodes and streams run. */
    void (*set_seed)(uint64_t seed);
    /** NULL or nth 0: none. */
    void (*set_fault)(const struct segue_soft_fault *fault);
    /** Driver version to act as: 12040, 12080 or 13000. False for others. */
    bool (*set_profile)(int32_t driver_version);
    void (*get_report)(struct segue_soft_report *out_report);
    /** Zeroes the counts of calls, faults, hazards and misuse (not of live objects). */
    void (*reset_report)(void);
    /** Writes one JSON object per driver call to the file, appending. NULL: stops. */
    bool (*set_log_path)(const char *path);
    /** The device fails now: every later call on it returns this CUresult. 0 heals it. */
    void (*set_device_lost)(int32_t driver_result);
    /** While true nothing asynchronous runs: work stays in flight until it is set to false (a call
     *  that waits for such work runs it all the same). */
    void (*set_paused)(bool paused);
    /** Whether node `node` (in order of creation) of two executable graphs is the same: parameters,
     *  edges, enabled or not. False for handles of something else. */
    bool (*compare_graph_nodes)(void *left_exec, void *right_exec, uint32_t node);
};

/** Version of struct segue_soft_api. */
#define SEGUE_SOFT_API_VERSION 3

/** The controls of the software driver behind `device`; NULL if it is a real one. */
SEGUE_API const struct segue_soft_api *segue_device_get_soft_api(segue_device *device);

/** The one symbol of the software driver besides libcuda's. */
typedef const struct segue_soft_api *(*segue_soft_get_api_fn)(void);
/** The name of that symbol. */
#define SEGUE_SOFT_GET_API_SYMBOL "segue_soft_get_api"

#ifdef __cplusplus
}
#endif

#endif // SEGUE_SOFT_H
