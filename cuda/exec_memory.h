// SPDX-License-Identifier: Apache-2.0
/**
 * @file exec_memory.h
 * How much memory the driver takes for graphs: it does not say, so the
 * difference is measured.
 */
#ifndef SEGUE_CUDA_EXEC_MEMORY_H
#define SEGUE_CUDA_EXEC_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct segue_cuda;

/** Memory in use, of the device and of the process's heap. */
struct segue_exec_memory {
    uint64_t device_bytes;
    uint64_t host_bytes;
    /** False: not asked for, because asking takes longer than making a small
     * graph. */
    bool is_measured;
};

/** Memory in use before a graph of `node_count` nodes is made. The context is
 * current. */
struct segue_exec_memory segue_exec_memory_before(struct segue_cuda *cuda, size_t node_count);

/** What has been taken since, for a graph of `node_count` nodes and, if
 * `is_exec`, what is instantiated from it. The driver takes memory in large
 * steps, and other threads take some, too: what is out of all proportion counts
 * as the usual. */
void segue_exec_memory_since(struct segue_cuda *cuda, struct segue_exec_memory before,
                             size_t node_count, bool is_exec, uint64_t *out_device_bytes,
                             uint64_t *out_host_bytes);

#endif // SEGUE_CUDA_EXEC_MEMORY_H
