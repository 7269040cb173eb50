// SPDX-License-Identifier: Apache-2.0
/**
 * @file pack.h
 * Packing of a chunk of rows in C, as the kernels do it.
 */
#ifndef SEGUE_KERNELS_PACK_H
#define SEGUE_KERNELS_PACK_H

#include <segue/quant.h>
#include <segue/soft.h>

/** Packs constants->row_count rows to `packed`, which gets whole tiles. */
void segue_quant_pack_rows(const struct segue_quant_pack_constants *constants,
                           const struct segue_quant_plain *plain, void *packed);

/** The inverse. */
void segue_quant_unpack_rows(const struct segue_quant_pack_constants *constants, const void *packed,
                             const struct segue_quant_plain *plain);

/** The reference of SEGUE_QUANT_REORDER, and the ranges that it uses. An order that leaves the
 * vector makes it fail. */
bool segue_quant_run_reorder(const struct segue_reference_launch *launch,
                             segue_reference_translate translate);
void segue_quant_add_reorder_ranges(const struct segue_reference_launch *launch,
                                    struct segue_reference_ranges *ranges);

/** The references of the packing kernels, in the order of segue_quant_pack_kernel. */
extern const struct segue_reference_kernel
    segue_quant_pack_references[SEGUE_QUANT_PACK_KERNEL_COUNT];

#endif // SEGUE_KERNELS_PACK_H
