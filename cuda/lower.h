// SPDX-License-Identifier: Apache-2.0
/**
 * @file lower.h
 * From a recorded command to what the driver is to do for it. Graphs and
 * streams are made from the same operations, so that both run exactly the same
 * work.
 */
#ifndef SEGUE_CUDA_LOWER_H
#define SEGUE_CUDA_LOWER_H

#include "arena.h"
#include "builtins.h"

#include <segue/inspect.h>

#include <cuda.h>

struct segue_binding_table;
struct segue_cuda;
struct segue_recording;
struct segue_segment;

/** In a graph, fills below this size and copies below it that touch
 * host-visible memory are done by kernels: the driver's own nodes for them take
 * a graph off its fast launch path. On a stream the driver's own calls are the
 * faster ones at every size. */
#define SEGUE_SMALL_TRANSFER_BYTES 65536

/** In a graph, copies within device memory from this size on are done by a kernel: the driver's own
 * nodes for them take 1.5 times as long as its copies on a stream (docs/performance.md). */
#define SEGUE_LARGE_COPY_BYTES (UINT64_C(512) << 20)

enum segue_operation_kind {
    SEGUE_OPERATION_KERNEL,
    SEGUE_OPERATION_COPY,
    SEGUE_OPERATION_SET,
};

/** One end of a copy. */
struct segue_copy_end {
    CUdeviceptr address;
    /** Host-visible memory only, else NULL. */
    void *host_pointer;
};

/** What the driver is to do. Pointers are into the lowering's arena or the
 * recording. */
struct segue_operation {
    enum segue_operation_kind kind;
    /** The command; NULL for a join. */
    const struct segue_segment *segment;
    union {
        struct {
            CUfunction function;
            /** Without a stream. */
            CUlaunchConfig config;
            void **parameters;
        } kernel;
        struct {
            struct segue_copy_end source;
            struct segue_copy_end target;
            uint64_t length_bytes;
        } copy;
        struct {
            CUdeviceptr target;
            uint32_t pattern;
            uint32_t pattern_bytes;
            uint64_t pattern_count;
        } set;
    } as;
};

/** What lowering the commands of one program needs. */
struct segue_lowering {
    struct segue_cuda *cuda;
    /** GRAPH or STREAM. */
    enum segue_execution_mode mode;
    const struct segue_recording *recording;
    /** NULL without slots. */
    const struct segue_binding_table *table;
    /** Where the recording's inline data lies on the device, and the pointers that its kernels find
     *  in memory: segue_stage_use. */
    CUdeviceptr staging_address;
    CUdeviceptr pointers_address;
    /** Loaded when the first operation needs them. */
    struct segue_builtins builtins;
    /** Holds the operations' parameters. */
    struct segue_arena arena;
};

/** The operation of a command that is work, or of a join (`segment` NULL). The
 * context is current. On failure the operation is not to be used. */
SEGUE_MUST_CHECK segue_status segue_lower(struct segue_lowering *lowering,
                                          const struct segue_segment *segment,
                                          struct segue_operation *out_operation);

/** What a command becomes in a graph, as far as no change of parameters can
 * make another of it. */
enum segue_node_class {
    SEGUE_NODE_JOIN,
    /** A kernel of the caller's: its function counts, too. */
    SEGUE_NODE_DISPATCH,
    SEGUE_NODE_FILL_KERNEL,
    SEGUE_NODE_COPY_KERNEL,
    SEGUE_NODE_SET,
    /** Copies by the driver; which ends are host-visible is fixed. */
    SEGUE_NODE_COPY_ON_DEVICE,
    SEGUE_NODE_COPY_FROM_HOST,
    SEGUE_NODE_COPY_TO_HOST,
    SEGUE_NODE_COPY_ON_HOST,
};

/** The class of what segue_lower makes of a command that is work, or of a join.
 */
enum segue_node_class segue_lower_class(const struct segue_lowering *lowering,
                                        const struct segue_segment *segment);

/** How an operation is named in messages: the command, or "a join". Returns
 * out_text. */
const char *segue_lowering_describe(const struct segue_lowering *lowering,
                                    const struct segue_segment *segment, char *out_text,
                                    size_t capacity_bytes);

#endif // SEGUE_CUDA_LOWER_H
