// SPDX-License-Identifier: Apache-2.0
/**
 * @file executable.h
 * Loaded device code: a module, and the entry points of it that commands dispatch.
 */
#ifndef SEGUE_EXECUTABLE_H
#define SEGUE_EXECUTABLE_H

#include <segue/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What the data of an executable is. */
enum segue_executable_format {
    /** CUDA C++ source, zero-terminated or not; compiled by NVRTC for the device's architecture. */
    SEGUE_EXECUTABLE_CUDA_SOURCE = 0,
    SEGUE_EXECUTABLE_PTX = 1,
    SEGUE_EXECUTABLE_CUBIN = 2,
    SEGUE_EXECUTABLE_FATBIN = 3,
};

/** Where the value of a kernel parameter comes from. */
enum segue_parameter_kind {
    /** An 8-byte device pointer, taken from the dispatch's bindings. */
    SEGUE_PARAMETER_BINDING = 0,
    /** A value of size_bytes, taken from the dispatch's constants. */
    SEGUE_PARAMETER_CONSTANT = 1,
    /**
     * A device pointer, taken from the dispatch's bindings, that the kernel finds in device memory.
     * All parameters of this kind together are one 8-byte parameter of the kernel, in the place of
     * the first of them: a pointer to their pointers, in order of declaration
     * (`void *const *bindings`). They are checked, ordered and bound like others; but binding
     * something else writes no node of a graph: one copy in front of the launch brings all pointers
     * that differ (segue_cache_stats.table_copies). The kernel pays a load for it, which takes
     * longer than writing its node where it is bound anew in few launches (docs/performance.md).
     * While a launch runs, its pointers are constant memory: a kernel may read them before
     * griddepcontrol.wait.
     */
    SEGUE_PARAMETER_INDIRECT = 2,
};

/** What a kernel does with the memory behind a binding. */
enum segue_access {
    /** Undeclared: counts as read and written. */
    SEGUE_ACCESS_READ_WRITE = 0,
    SEGUE_ACCESS_READ = 1,
    SEGUE_ACCESS_WRITE = 2,
    /** Read, and written by nothing in the same command buffer: its loads may be hoisted. */
    SEGUE_ACCESS_CONSTANT = 3,
};

/** One kernel parameter. */
struct segue_parameter {
    enum segue_parameter_kind kind;
    /** Bindings, indirect or not. */
    enum segue_access access;
    /** Constants only: 1 to 4092 bytes. A tensor map is a constant of 128. */
    uint32_t size_bytes;
    /** Bindings, indirect or not: what the address must be a multiple of; a power of two up to 256;
     * 0: 1. */
    uint32_t align_bytes;
};

/** What is special about a kernel. Bits. */
enum segue_entry_flags {
    /** Launched cooperatively: all blocks resident at once (grid-wide sync). */
    SEGUE_ENTRY_COOPERATIVE = 1u << 0,
    /** May reach memory through pointers inside its constants, of which nothing is known: every
     *  barrier orders it, whatever accesses and ranges the barrier names. */
    SEGUE_ENTRY_OPAQUE = 1u << 1,
    /** Executes griddepcontrol.wait before it touches anything that is not bound as
     *  SEGUE_ACCESS_CONSTANT, or that nothing in flight writes, whatever it is bound as, and may
     *  execute griddepcontrol.launch_dependents: it may be launched while the kernels that it comes
     *  after still run. */
    SEGUE_ENTRY_GRID_DEPENDENCY = 1u << 2,
};

/** A kernel and its parameter list, in the order of the kernel's parameters. At most 4096 of them
 * are indirect. */
struct segue_entry_point {
    /** Symbol name; declare kernels extern "C". */
    const char *name;
    const struct segue_parameter *parameters;
    uint32_t parameter_count;
    /** Threads per block; all 0: given per dispatch. */
    uint32_t block_size[3];
    /** Blocks per cluster; all 0: none. */
    uint32_t cluster_size[3];
    /** Dynamic shared memory of a block where the dispatch gives none. May exceed 48 KiB. */
    uint32_t dynamic_shared_bytes;
    /** Bits of segue_entry_flags. */
    uint32_t flags;
};

/** How to make an executable. */
struct segue_executable_params {
    enum segue_executable_format format;
    const void *data;
    size_t size_bytes;
    /** Compiler options for CUDA source, e.g. "-DGROUP=32". The architecture is added. */
    const char *const *options;
    uint32_t option_count;
    /** 1 to 4096 of them. */
    const struct segue_entry_point *entry_points;
    uint32_t entry_point_count;
    /** For messages, dumps and traces. NULL: none. */
    const char *label;
};

/**
 * Compiles (or takes from the compile cache) and loads a module and checks every entry point's
 * declared parameters against it. Keeps a copy of data and declarations, for traces.
 * @return SEGUE_COMPILE_FAILED with the compiler's log, SEGUE_NOT_FOUND for an entry point that the
 *         module lacks, SEGUE_INCOMPATIBLE where a parameter's count or size differs,
 *         SEGUE_UNAVAILABLE where the compiler is missing, or where the software driver has no
 *         reference of the kernel (see segue_device_register_reference_kernels).
 */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_executable_create(segue_device *device, const struct segue_executable_params *params,
                        segue_executable **out_executable);

/** Gives up the handle; recorded and in-flight work keeps the module loaded. */
SEGUE_API void segue_executable_destroy(segue_executable *executable);

/**
 * What the executable was made from. All pointers live as long as the executable; they are its own
 * copies of what segue_executable_create was given.
 */
SEGUE_API void segue_executable_get_params(const segue_executable *executable,
                                           struct segue_executable_params *out_params);

/** Index of the entry point of that name; SEGUE_NOT_FOUND if there is none. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_executable_find_entry(
    const segue_executable *executable, const char *name, uint32_t *out_index);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_EXECUTABLE_H
