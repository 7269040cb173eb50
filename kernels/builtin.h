// SPDX-License-Identifier: Apache-2.0
/**
 * @file builtin.h
 * The kernels that lowering uses on its own account (fill, copy, join): their device code and their
 * references. Internal to Segue's libraries.
 */
#ifndef SEGUE_BUILTIN_H
#define SEGUE_BUILTIN_H

#include <segue/soft.h>

/** Threads per block; any grid of one dimension is right, one thread for each 16 bytes is best. */
#define SEGUE_BUILTIN_BLOCK_SIZE 256

/** (u64 target, u64 length_bytes, u32 pattern, u32 pattern_size): the pattern of 1, 2 or 4 bytes is
 *  repeated to four; byte k of the range gets byte k % pattern_size of it. Any alignment. */
#define SEGUE_BUILTIN_FILL_NAME "segue_builtin_fill"
/** (u64 source, u64 target, u64 length_bytes): ranges of any alignment that do not overlap. */
#define SEGUE_BUILTIN_COPY_NAME "segue_builtin_copy"
/** (void): does nothing. One thread will do. */
#define SEGUE_BUILTIN_JOIN_NAME "segue_builtin_join"

/** All three as PTX text (ISA 8.4). Zero-terminated. */
extern const char segue_builtin_ptx[];

/** Their references, for the software driver. */
extern const struct segue_reference_kernel segue_builtin_references[];
extern const uint32_t segue_builtin_reference_count;

#endif // SEGUE_BUILTIN_H
