// SPDX-License-Identifier: Apache-2.0
#include "exec_memory.h"

#include "cuda_backend.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

/** What a node takes, where it cannot be measured: in a graph, and in what is
 * instantiated. */
#define GRAPH_NODE_HOST_BYTES 160
#define EXEC_NODE_HOST_BYTES 1600
#define EXEC_NODE_DEVICE_BYTES 1536
/** Graphs of at least this many nodes are measured. */
#define MEASURED_NODES 64
/** Beyond this many times the usual it is not the graph that took the memory.
 */
#define OUT_OF_PROPORTION 16

/** Bytes of the heap in use, as far as the C library tells. */
static uint64_t heap_bytes(void)
{
#if defined(__GLIBC__)
    const struct mallinfo2 heap = mallinfo2();
    return heap.uordblks + heap.hblkhd;
#else
    return 0;
#endif
}

struct segue_exec_memory segue_exec_memory_before(struct segue_cuda *cuda, size_t node_count)
{
    struct segue_exec_memory now = {.is_measured = node_count >= MEASURED_NODES};
    size_t free_bytes = 0;
    size_t total_bytes = 0;
    if (!now.is_measured)
        return now;
    const CUresult result = cuda->driver.cuMemGetInfo(&free_bytes, &total_bytes);
    if (result == CUDA_SUCCESS)
        now.device_bytes = total_bytes - free_bytes;
    else
        segue_cuda_note(cuda, result, "cuMemGetInfo", __FILE__, __LINE__,
                        "measuring what a graph takes");
    now.host_bytes = heap_bytes();
    return now;
}

/** The measured growth, or the usual where that cannot be the graph's alone. */
static uint64_t growth(uint64_t before, uint64_t now, uint64_t usual)
{
    const uint64_t grown = now > before ? now - before : 0;
    return grown == 0 || grown > OUT_OF_PROPORTION * usual ? usual : grown;
}

void segue_exec_memory_since(struct segue_cuda *cuda, struct segue_exec_memory before,
                             size_t node_count, bool is_exec, uint64_t *out_device_bytes,
                             uint64_t *out_host_bytes)
{
    const uint64_t device_usual = is_exec ? node_count * EXEC_NODE_DEVICE_BYTES : 0;
    const uint64_t host_usual =
        node_count * (is_exec ? EXEC_NODE_HOST_BYTES : GRAPH_NODE_HOST_BYTES);
    const struct segue_exec_memory now =
        segue_exec_memory_before(cuda, before.is_measured ? node_count : 0);
    *out_device_bytes = growth(before.device_bytes, now.device_bytes, device_usual);
    *out_host_bytes = growth(before.host_bytes, now.host_bytes, host_usual);
}
