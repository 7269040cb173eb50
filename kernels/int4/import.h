// SPDX-License-Identifier: Apache-2.0
/**
 * @file import.h
 * What the parts of importing share.
 */
#ifndef SEGUE_KERNELS_IMPORT_H
#define SEGUE_KERNELS_IMPORT_H

#include <segue/quant_import.h>

/** Columns of a block of GGUF. */
#define GGUF_COLUMNS 32

/** How weights lie. */
enum import_weights {
    /** Rows of bytes. */
    IMPORT_ROWS,
    /** Rows of GGUF's blocks. */
    IMPORT_BLOCKS,
    /** [columns][words of eight rows]. */
    IMPORT_WORDS_OF_ROWS,
    /** [words of columns][rows]. */
    IMPORT_WORDS_OF_COLUMNS,
};

/** How zeros lie. */
enum import_zeros {
    IMPORT_NO_ZEROS,
    /** In GGUF's blocks. */
    IMPORT_BLOCK_OFFSETS,
    /** Like scales: of their type, or zero points of 1 or 4 bytes. */
    IMPORT_OFFSETS,
    IMPORT_POINTS,
    /** Zero points in words of 32 / bits rows. */
    IMPORT_WORDS,
};

/** A description that has been checked, and what follows from it. */
struct import_plan {
    const struct segue_quant_import *import;
    struct segue_quant_matrix matrix;
    uint32_t groups;
    enum import_weights weights;
    /** IMPORT_ROWS: even columns come in the high nibble. */
    bool high_first;
    /** Exclusive-ored to every byte of weights. */
    uint8_t flip;
    /** IMPORT_BLOCKS: bytes of a block, and of what stands before its weights. */
    uint32_t block_bytes;
    uint32_t head_bytes;
    /** Scales and zeros are [groups][rows]. */
    bool groups_first;
    enum import_zeros zeros;
    /** Added to a stored zero point. */
    int32_t zero_shift;
    /** Column of the model of each column; NULL: the same one. Owned by whoever has the plan. */
    uint32_t *order;
};

/** Checks the description. The plan has no order yet. */
segue_status segue_quant_import_plan(const struct segue_quant_import *import,
                                     struct import_plan *out_plan);

/** Finds the order of the columns; it stays NULL where they are in order already. */
segue_status segue_quant_import_plan_order(struct import_plan *plan);

/** Makes the weights of rows that are in the matrix. */
void segue_quant_import_weights(const struct import_plan *plan, struct segue_quant_rows rows,
                                uint8_t *out);

/** Makes their scales. */
void segue_quant_import_scales(const struct import_plan *plan, struct segue_quant_rows rows,
                               uint8_t *out);

/** Makes their zeros. Fails where a zero point does not fit the plain form. */
segue_status segue_quant_import_zeros(const struct import_plan *plan, struct segue_quant_rows rows,
                                      uint8_t *out);

#endif // SEGUE_KERNELS_IMPORT_H
