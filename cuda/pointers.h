// SPDX-License-Identifier: Apache-2.0
/**
 * @file pointers.h
 * The tables that kernels with indirect parameters (SEGUE_PARAMETER_INDIRECT) find their pointers
 * in: one for each executable graph, and each program in stream mode, at the beginning of its
 * staging block.
 *
 * A table is kept in pinned host memory. What has changed in it is copied in front of the next
 * launch, on the launch's stream: so launches before that one have read the device's copy when it
 * is written. The host's copy is only written while nothing that uses the block is in flight, so no
 * copy reads what was not meant for it.
 */
#ifndef SEGUE_CUDA_POINTERS_H
#define SEGUE_CUDA_POINTERS_H

#include <segue/base.h>

#include <cuda.h>

struct segue_cuda;
struct segue_dispatch_segment;
struct segue_lowering;
struct segue_recording;
struct segue_staging_block;

struct segue_pointer_table {
    /** Pinned; NULL until a table was needed. Kept while the block is free. */
    uint64_t *host;
    uint64_t host_bytes;
    /** Pointers of the table as it was last laid out. */
    uint32_t count;
    /** What the device does not have yet: [first_changed, end_changed). */
    uint32_t first_changed;
    uint32_t end_changed;
};

/** Bytes at the beginning of a recording's staging block that its table takes, a multiple of 16. */
uint64_t segue_pointers_bytes(const struct segue_recording *recording);
/** Lays out the table of the lowering's recording in a block that has room for it, all of it
 *  changed. Nothing in flight uses the block; the context is current. */
SEGUE_MUST_CHECK segue_status segue_pointers_lay_out(const struct segue_lowering *lowering,
                                                     struct segue_staging_block *block);
/** Writes what the pointers of a dispatch, which has some, are with the lowering's table into a
 * laid out one. Nothing in flight uses the block. */
void segue_pointers_write(const struct segue_lowering *lowering, struct segue_staging_block *block,
                          const struct segue_dispatch_segment *dispatch);

/** Whether a launch needs a copy in front of it. `block` may be NULL. */
bool segue_pointers_have_changed(const struct segue_staging_block *block);
/** Copies what has changed and counts it. It still counts as changed: once a launch behind the copy
 *  has been made, segue_pointers_settle. The context is current. */
SEGUE_MUST_CHECK segue_status segue_pointers_copy(const struct segue_lowering *lowering,
                                                  const struct segue_staging_block *block,
                                                  CUstream stream);
/** Nothing has changed any more. */
void segue_pointers_settle(struct segue_staging_block *block);

/** Frees the host's copy. Without a context it stays the driver's. */
void segue_pointers_finish(struct segue_cuda *cuda, struct segue_pointer_table *table,
                           bool has_context);

#endif // SEGUE_CUDA_POINTERS_H
