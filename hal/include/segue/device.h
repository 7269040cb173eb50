// SPDX-License-Identifier: Apache-2.0
/**
 * @file device.h
 * A device: one GPU behind libcuda, or the software driver. Everything else is made from it.
 */
#ifndef SEGUE_DEVICE_H
#define SEGUE_DEVICE_H

#include <segue/cost.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How much is checked. Cheap checks (state, ranges, usage, alignment, access) are always on. */
enum segue_validation {
    SEGUE_VALIDATION_BASIC = 0,
    /** Also reports hazards between unordered commands when a recording ends (SEGUE_HAZARD). */
    SEGUE_VALIDATION_FULL = 1,
};

/** How to open a device. */
struct segue_device_params {
    /** NULL: malloc and free. The struct is copied. */
    const struct segue_allocator *allocator;
    /** NULL: silent. */
    segue_log_fn log;
    void *log_context;
    enum segue_validation validation;
    /** File of libcuda to load for `cuda://`. NULL: $SEGUE_LIBCUDA, then `libcuda.so.1`. */
    const char *libcuda_path;
    /** File of the software driver for `soft://`. NULL: $SEGUE_LIBSOFT, then beside Segue's own
     *  library, then the loader's search path. */
    const char *libsoft_path;
    /** File of NVRTC. NULL: $SEGUE_LIBNVRTC, then the sonames of CUDA 13 and 12. */
    const char *libnvrtc_path;
    /** Folder of the compile cache. NULL: $XDG_CACHE_HOME/segue or ~/.cache/segue. "": none. */
    const char *compile_cache_path;
    /** What graphs are shaped by. NULL: what `segue-bench --calibrate` has measured on a device of
     *  this name, kept in the compile cache's folder; else the built-in model. Copied. */
    const struct segue_cost_model *cost_model;
};

/**
 * Opens a device by URI:
 * - `cuda://N`   GPU number N (also `cuda://`, number 0);
 * - `soft://`    the software driver; options as in `soft://?profile=12.4&seed=7`, where profile is
 *                the driver version to act as (12.4, 12.8, 13.0) and seed starts its random order;
 * - `auto`       `cuda://0` where that opens, else `soft://` (the reason goes to the log).
 *
 * @param uri     not NULL.
 * @param params  NULL: defaults.
 * @return SEGUE_UNAVAILABLE with the reason where driver or GPU are missing or too old (12.4 is the
 *         oldest driver supported); SEGUE_INVALID_ARGUMENT for a malformed URI.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_device_open(const char *uri,
                                                          const struct segue_device_params *params,
                                                          segue_device **out_device);

/**
 * Waits for all work, then gives up the device. All objects made from it must have been destroyed
 * before; if some have not, the device stays alive until the last of them is.
 */
SEGUE_API void segue_device_destroy(segue_device *device);

/** What is known of a device. */
struct segue_device_info {
    /** e.g. "NVIDIA H200". Lives as long as the device. */
    const char *name;
    /** The URI that opened it, with `auto` resolved. Lives as long as the device. */
    const char *uri;
    bool is_soft;
    /** cuDriverGetVersion, e.g. 12080. */
    int32_t driver_version;
    int32_t compute_capability_major;
    int32_t compute_capability_minor;
    int32_t multiprocessor_count;
    uint64_t total_memory_bytes;
    uint64_t l2_cache_bytes;
    /** Largest dynamic shared memory of a block, opt-in limit included. */
    uint32_t max_shared_memory_bytes;
    uint32_t max_threads_per_block;
    /** NVRTC version as major * 1000 + minor * 10, 0 where it could not be loaded. */
    int32_t compiler_version;
    /** Where the GPU is on the PCI bus, as in /sys/bus/pci/devices; -1 each for the software
     * driver.
     */
    int32_t pci_domain;
    int32_t pci_bus;
    int32_t pci_device;
    /** Features probed in this driver. */
    bool supports_clusters;
    bool supports_cooperative_launch;
    bool supports_programmatic_edges;
};

/** Describes the device. */
SEGUE_API void segue_device_get_info(const segue_device *device,
                                     struct segue_device_info *out_info);

/** Memory held by Segue's objects on this device, by kind. */
struct segue_memory_usage {
    uint64_t current_bytes;
    uint64_t peak_bytes;
    uint64_t allocation_count;
};
/** Memory of a device's objects, by where it is. */
struct segue_memory_stats {
    struct segue_memory_usage device;
    struct segue_memory_usage host_visible;
    struct segue_memory_usage constant;
    /** Device memory that recordings own: staged inline data, tables of pointers. */
    struct segue_memory_usage internal;
};

/** What is held now, and was held at most. */
SEGUE_API void segue_device_get_memory_stats(segue_device *device,
                                             struct segue_memory_stats *out_stats);

/** Waits until every queue is idle. Returns SEGUE_DEVICE_LOST if the device is. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_device_wait_idle(segue_device *device);

/** Copies the device's last failure, on whatever thread it happened; status SEGUE_OK if none. */
SEGUE_API void segue_device_get_last_error(segue_device *device, struct segue_error *out_error);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_DEVICE_H
