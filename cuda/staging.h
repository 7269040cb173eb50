// SPDX-License-Identifier: Apache-2.0
/**
 * @file staging.h
 * Device memory that programs own, for tables of pointers and inline data. Blocks are recycled
 * instead of freed, because cuMemFree waits for the whole device.
 */
#ifndef SEGUE_CUDA_STAGING_H
#define SEGUE_CUDA_STAGING_H

#include "pointers.h"

#include <segue/device.h>

#include <pthread.h>

struct segue_cuda;

/** Blocks are powers of two from 4 KiB up; a free list for each size. */
#define SEGUE_STAGING_CLASS_COUNT 52
#define SEGUE_STAGING_SMALLEST_BYTES 4096
/** Free blocks kept, with the pinned copies of their tables; beyond this they go back to the
 *  driver. */
#define SEGUE_STAGING_KEPT_BYTES (UINT64_C(64) << 20)

/** A block of device memory. */
struct segue_staging_block {
    CUdeviceptr address;
    uint64_t size_bytes;
    struct segue_staging_block *next;
    /** The table of pointers that its user keeps at its beginning (pointers.h). */
    struct segue_pointer_table pointers;
};

struct segue_staging {
    pthread_mutex_t lock;
    struct segue_staging_block *free[SEGUE_STAGING_CLASS_COUNT];
    /** Of free blocks, on the device and pinned. */
    uint64_t free_bytes;
    /** Blocks in use; free ones are not counted. */
    struct segue_memory_usage usage;
};

/** Returns false when out of memory. */
bool segue_staging_init(struct segue_staging *staging);

/** A block of at least `size_bytes`. The context is current. Thread-safe.
 * @return SEGUE_OUT_OF_DEVICE_MEMORY (after giving back all free blocks),
 * _HOST_MEMORY. */
segue_status segue_staging_acquire(struct segue_cuda *cuda, uint64_t size_bytes,
                                   struct segue_staging_block **out_block);
/** Gives a block back that no work in flight uses. NULL is fine. Where the
 * context could not be made current, the block is kept in any case. */
void segue_staging_release(struct segue_cuda *cuda, struct segue_staging_block *block,
                           bool has_context);
/** Frees all free blocks; none may be in use. Where the context could not be
 * made current, only host memory is freed. */
void segue_staging_finish(struct segue_cuda *cuda, bool has_context);
/** Frees all free blocks, for a failed allocation that is about to be tried
 * again. Returns whether there were any. The context is current. */
bool segue_staging_trim(struct segue_cuda *cuda);

/** Counts a block in again, or out while whoever keeps it has no use for it. */
void segue_staging_count(struct segue_cuda *cuda, const struct segue_staging_block *block,
                         bool in_use);

void segue_staging_get_usage(struct segue_cuda *cuda, struct segue_memory_usage *out_usage);

#endif // SEGUE_CUDA_STAGING_H
