// SPDX-License-Identifier: Apache-2.0
/**
 * @file work.h
 * One piece of device work: a copy, a memset, a kernel launch or nothing. The same for streams and
 * graph nodes. All arguments are copied in when it is made.
 */
#ifndef SEGUE_CUDA_SOFT_WORK_H
#define SEGUE_CUDA_SOFT_WORK_H

#include "state.h"

struct segue_soft_function;

/** One side of a copy: host pointer or device address, and how rows and slices follow. */
struct segue_soft_copy_side {
    uint64_t address;
    /** Pageable host memory: not looked up. */
    bool host;
    uint64_t row_pitch;
    uint64_t slice_pitch;
};

struct segue_soft_copy {
    struct segue_soft_copy_side source;
    struct segue_soft_copy_side target;
    uint64_t width_bytes;
    uint64_t height;
    uint64_t depth;
    /** Pageable source bytes captured at the call; owned. source.address points here then. */
    void *captured;
    /** Memory types as given, for the update rules. */
    CUmemorytype source_type;
    CUmemorytype target_type;
};

struct segue_soft_set {
    uint64_t address;
    uint64_t pitch;
    /** In elements. */
    uint64_t width;
    uint64_t height;
    uint32_t value;
    uint32_t element_bytes;
};

struct segue_soft_kernel {
    CUfunction handle;
    /** Valid while `handle` is. */
    struct segue_soft_function *function;
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t cluster[3];
    uint32_t shared_bytes;
    int32_t priority;
    bool cooperative;
    /** One block: parameter_count pointers, then the values, each aligned to 16. Owned. */
    void **parameters;
    size_t parameter_block_bytes;
    uint32_t parameter_count;
};

struct segue_soft_work {
    CUgraphNodeType type;
    union {
        struct segue_soft_copy copy;
        struct segue_soft_set set;
        struct segue_soft_kernel kernel;
    };
};

/** Frees what the work owns. */
void segue_soft_work_clear(struct segue_soft_work *work);
/** A copy of its own; false when out of memory. */
bool segue_soft_work_clone(const struct segue_soft_work *work, struct segue_soft_work *out_work);

/** Looks again at what may have changed since the work was made (memory freed, module unloaded). */
CUresult segue_soft_work_check(const struct segue_soft_work *work);

/** Carries it out. The result is the sticky error it causes, if any. */
CUresult segue_soft_work_run(struct segue_soft_work *work);

/** Receives one range of a work. False: out of memory, stop. */
typedef bool (*segue_soft_range_fn)(void *context, uint64_t address, uint64_t size_bytes, bool read,
                                    bool write);
/** Ranges that the work reads and writes. */
bool segue_soft_work_ranges(const struct segue_soft_work *work, segue_soft_range_fn add,
                            void *context);

/** "kernel scale_add", "memcpy", … into `out`. */
void segue_soft_work_describe(const struct segue_soft_work *work, char *out, size_t out_size);

/** copy.c: checked works from driver parameters. */
CUresult segue_soft_copy_make(const CUDA_MEMCPY3D *params, struct segue_soft_work *out_work);
CUresult segue_soft_set_make(const CUDA_MEMSET_NODE_PARAMS *params,
                             struct segue_soft_work *out_work);
CUresult segue_soft_copy_check(const struct segue_soft_copy *copy);
CUresult segue_soft_set_check(const struct segue_soft_set *set);
CUresult segue_soft_copy_run(const struct segue_soft_copy *copy);
CUresult segue_soft_set_run(const struct segue_soft_set *set);
bool segue_soft_copy_ranges(const struct segue_soft_copy *copy, segue_soft_range_fn add,
                            void *context);
bool segue_soft_set_ranges(const struct segue_soft_set *set, segue_soft_range_fn add,
                           void *context);

/** launch.c: the same for kernels. `params` as of cuGraphAddKernelNode. */
CUresult segue_soft_kernel_make(const CUDA_KERNEL_NODE_PARAMS_v2 *params,
                                struct segue_soft_work *out_work);
/** Sets one attribute; CUDA_ERROR_NOT_SUPPORTED (said on stderr) for those not modelled. */
CUresult segue_soft_kernel_set_attribute(struct segue_soft_kernel *kernel, CUlaunchAttributeID id,
                                         const CUlaunchAttributeValue *value);
/** The limits of device and function, once grid, block and attributes are known. */
CUresult segue_soft_kernel_check(const struct segue_soft_kernel *kernel);
CUresult segue_soft_kernel_run(const struct segue_soft_kernel *kernel);
bool segue_soft_kernel_ranges(const struct segue_soft_kernel *kernel, segue_soft_range_fn add,
                              void *context);
/** Whether its ranges depend on what memory holds. */
bool segue_soft_kernel_has_table(const struct segue_soft_kernel *kernel);

#endif // SEGUE_CUDA_SOFT_WORK_H
