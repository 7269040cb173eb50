// SPDX-License-Identifier: Apache-2.0
/**
 * @file kernels.h
 * Kernels of the tests: their CUDA source, entry points and references.
 */
#ifndef SEGUE_TEST_KERNELS_H
#define SEGUE_TEST_KERNELS_H

#include <segue/segue.h>

/** kernels.cu. Zero-terminated. */
extern const char segue_test_source[];

/** Indices of the entry points. */
enum segue_test_kernel {
    /** (read left, read right, write out, u32 count): out = left + right. */
    SEGUE_TEST_ADD,
    /** (read_write data, u32 count, u32 factor, u32 addend): data = data * factor + addend. */
    SEGUE_TEST_SCALE,
    /** (read source, read_write data, u32 count, u32 shift):
     *  data[i] = data[i] * 31 + source[(i + shift) % count]. */
    SEGUE_TEST_MIX,
    /** SCALE with one more constant, u64 spin_ns: how long it waits before. */
    SEGUE_TEST_SLOW_SCALE,
    /** (u8 step, write out, u64 start, u16 shift, read source, u32 count):
     *  out[i] = (u32)(start >> shift) + i * step + source[i]. */
    SEGUE_TEST_ORDER,
    /** (u32 before, 128 bytes aligned to 64, write out): out[i] = words[i] + before, i < 32. */
    SEGUE_TEST_STRUCT,
    /** (4000 bytes, write out): out[i] = words[i] * 3, i < 1000. */
    SEGUE_TEST_LARGE,
    /** (read source, write out, u32 count): reversed, through 4 * count bytes of dynamic shared
     *  memory (declared: 64 KiB); one block. */
    SEGUE_TEST_SHARED,
    /** (write out): out[block] = 100 + rank in its cluster of 2. */
    SEGUE_TEST_CLUSTER,
    /** (read_write counter, write out): out[block] = blocks; cooperative. */
    SEGUE_TEST_COOPERATIVE,
    /** (u64 address, u32 count, u32 factor, u32 addend): SCALE through an address; opaque. */
    SEGUE_TEST_OPAQUE,
    /** (): nothing. */
    SEGUE_TEST_NOTHING,
    /** (constant table, read_write data, u32 count): data = data * table[0] + table[1]; waits for
     *  what it depends on by itself (SEGUE_ENTRY_GRID_DEPENDENCY), having read the table. */
    SEGUE_TEST_DEPENDENT,
    /** (indirect read source, u32 count, indirect read_write data, u32 shift): MIX through pointers
     *  in memory, which it reads before it waits by itself (SEGUE_ENTRY_GRID_DEPENDENCY). */
    SEGUE_TEST_INDIRECT,
    /** (u32 count, read source, indirect read_write data, u64 spin_ns): waits for that long;
     *  data = data * 3 + source. */
    SEGUE_TEST_INDIRECT_SLOW,
    /** (write out): grid and block, six words; block size given per dispatch. */
    SEGUE_TEST_SHAPE,
    SEGUE_TEST_KERNEL_COUNT,
};

/** Block size of all kernels but SHAPE. */
#define SEGUE_TEST_BLOCK_SIZE 64

/** All entry points, in the order of segue_test_kernel. */
extern const struct segue_entry_point segue_test_entries[SEGUE_TEST_KERNEL_COUNT];
/** Their references. */
extern const struct segue_reference_kernel segue_test_references[SEGUE_TEST_KERNEL_COUNT];

/** Registers the references and creates an executable of all kernels. Where the device has no
 *  clusters, CLUSTER is declared without its cluster size. */
SEGUE_MUST_CHECK segue_status segue_test_kernels_create(segue_device *device,
                                                        segue_executable **out_executable);

#endif // SEGUE_TEST_KERNELS_H
