// SPDX-License-Identifier: Apache-2.0
/**
 * @file quant_import.h
 * Weights as model files store them, made into the plain form of quant.h: GGUF, AWQ, GPTQ,
 * compressed-tensors, and plain rows as torchao and ExecuTorch write them. Part of
 * libsegue_kernels. docs/int4-import.md has the formats, byte by byte, and their sources.
 *
 * Nothing is computed anew: numbers, scales and zeros arrive bit by bit, in another order. Any
 * range of rows can be imported by itself, and gives the same bytes as importing all at once.
 *
 * Thread-safety: all functions may be called from any thread, for one description at a time or at
 * the same time.
 */
#ifndef SEGUE_QUANT_IMPORT_H
#define SEGUE_QUANT_IMPORT_H

#include <segue/quant.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How a model file stores a matrix. */
enum segue_quant_format {
    /** [rows][columns / 2] bytes, even columns in the low nibble; 8 bits: [rows][columns]. What
     *  stored numbers stand for is in `zero` and `flags`. */
    SEGUE_QUANT_FORMAT_ROWS = 0,
    /** The same with even columns in the high nibble. 4 bits only. */
    SEGUE_QUANT_FORMAT_ROWS_HIGH_FIRST = 1,
    /** Blocks of 32 columns: an f16 scale, 16 bytes. Groups of 32. */
    SEGUE_QUANT_FORMAT_GGUF_Q4_0 = 2,
    /** Blocks of 32 columns: an f16 scale, an f16 offset, 16 bytes. Groups of 32. */
    SEGUE_QUANT_FORMAT_GGUF_Q4_1 = 3,
    /** Blocks of 32 columns: an f16 scale, 32 signed bytes. Groups of 32. */
    SEGUE_QUANT_FORMAT_GGUF_Q8_0 = 4,
    /** Words of eight rows, [columns][rows / 8], nibbles in the order 0 2 4 6 1 3 5 7; zeros
     *  likewise, scales [groups][rows]. 4 bits. */
    SEGUE_QUANT_FORMAT_AWQ = 5,
    /** Words of 32 / bits columns, [columns * bits / 32][rows]; zeros in words of 32 / bits rows,
     *  one too small; scales [groups][rows]. */
    SEGUE_QUANT_FORMAT_GPTQ = 6,
    /** The same with zeros as they are. */
    SEGUE_QUANT_FORMAT_GPTQ_V2 = 7,
    /** "pack-quantized": words of 32 / bits columns, [rows][columns * bits / 32]; zeros
     *  [rows * bits / 32][groups] in words of 32 / bits rows; scales [rows][groups]. */
    SEGUE_QUANT_FORMAT_COMPRESSED_TENSORS = 8,
};

/** Type of a stored tensor's elements. The first three are those of segue_quant_type. */
enum segue_quant_element {
    SEGUE_QUANT_ELEMENT_BF16 = 0,
    SEGUE_QUANT_ELEMENT_F16 = 1,
    SEGUE_QUANT_ELEMENT_F32 = 2,
    SEGUE_QUANT_ELEMENT_U8 = 3,
    SEGUE_QUANT_ELEMENT_I8 = 4,
    SEGUE_QUANT_ELEMENT_I32 = 5,
};

/** A tensor of the model file, in host memory. */
struct segue_quant_tensor {
    /** NULL: it is not there. It may begin at any byte. */
    const void *data;
    /** Exactly the bytes that the format has for the matrix. */
    uint64_t size_bytes;
    enum segue_quant_element element;
    /** As the file has it: compared with what the format says, where it is not 0. Of a tensor of
     *  one dimension the second is 0. */
    uint32_t shape[2];
};

/** Bits of segue_quant_import.flags. Both are for formats of plain rows alone. */
enum segue_quant_import_flags {
    /** Stored numbers, and zero points of one byte or four, have a sign (two's complement). */
    SEGUE_QUANT_IMPORT_SIGNED = 1u << 0,
    /** Scales and zeros are [groups][rows], not [rows][groups]. */
    SEGUE_QUANT_IMPORT_GROUPS_FIRST = 1u << 1,
};

/** A stored matrix. Zero-initialise, then fill in. Its memory is only read, and only during calls.
 */
struct segue_quant_import {
    /** For messages; copied into the matrix as a pointer. NULL: "matrix". */
    const char *name;
    enum segue_quant_format format;
    /** As in segue_quant_matrix: any number of rows. */
    uint32_t rows;
    /** A multiple of the group size, and of 8. */
    uint32_t columns;
    uint32_t bits;
    /** 32, 64, 128, or `columns`. */
    uint32_t group_size;
    /** Of plain rows: what a stored number n stands for, as in segue_quant_zero with n in the place
     *  of q and, without SEGUE_QUANT_IMPORT_SIGNED, 128 in the place of 8 for 8 bits. With
     *  SEGUE_QUANT_IMPORT_SIGNED the middle is 0: n * s, (n - z) * s, n * s + m. Bytes without a
     *  sign cannot have n * s + m. Of other formats it is 0. */
    enum segue_quant_zero zero;
    /** Bits of segue_quant_import_flags. */
    uint32_t flags;
    struct segue_quant_tensor weights;
    /** Not of GGUF, which has them in its blocks. */
    struct segue_quant_tensor scales;
    /** Zero points; of plain rows also offsets, of the scales' type. Of AWQ, GPTQ and
     *  compressed-tensors it may be left out for a symmetric matrix: then all are the middle. */
    struct segue_quant_tensor zeros;
    /** [rows]: for segue_quant_import_bias. May be left out. */
    struct segue_quant_tensor bias;
    /** i32 [columns], the group of each column ("act-order"), of GPTQ and compressed-tensors. May
     * be left out: then column c is in group c / group_size. All -1 is the same. */
    struct segue_quant_tensor group_index;
};

/**
 * Checks the description and gives the matrix that it becomes: its bits, groups, scale_type and
 * zero are those of the plain rows that segue_quant_import_rows makes. pair_stride is 0: it is the
 * caller's, for packing.
 * @return SEGUE_INVALID_ARGUMENT naming matrix, tensor and value: a shape, size or type that is not
 * the format's; what segue_quant_check refuses.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_quant_import_get_matrix(
    const struct segue_quant_import *import, struct segue_quant_matrix *out_matrix);

/**
 * Makes plain rows. Any rows: chunks need not be whole tiles.
 *
 * With a group_index the columns come in the order of their groups (segue_quant_import_get_order),
 * so that groups lie along the columns: then x must be in that order, too.
 *
 * @param out  memory of segue_quant_get_plain_sizes(matrix, rows.count) bytes, which overlaps none
 * of the tensors. What it holds after a failure is nothing.
 * @return as segue_quant_import_get_matrix; SEGUE_OUT_OF_RANGE where the rows are not in the
 * matrix; SEGUE_INVALID_ARGUMENT where a zero point is none that the plain form has, or the group
 * index does not give each group its columns; SEGUE_OUT_OF_HOST_MEMORY.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_quant_import_rows(const struct segue_quant_import *import, struct segue_quant_rows rows,
                        const struct segue_quant_plain *out);

/**
 * The order of the plain form's columns: column c of it is column out_order[c] of the model, and so
 * x of the product is out_order applied to the model's x, x'[c] = x[out_order[c]]
 * (SEGUE_QUANT_REORDER). Where the model's x is itself the result of a product, its rows can be
 * reordered instead, for nothing.
 *
 * @param out_order    `columns` numbers.
 * @param out_changed  false: column c stays column c, and x what it is.
 * @return as segue_quant_import_rows.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_quant_import_get_order(
    const struct segue_quant_import *import, uint32_t *out_order, bool *out_changed);

/** Makes the bias of rows, as SEGUE_QUANT_BIAS takes it. @return as segue_quant_import_rows;
 *  SEGUE_INVALID_ARGUMENT where there is none. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_quant_import_bias(
    const struct segue_quant_import *import, struct segue_quant_rows rows, float *out_bias);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_QUANT_IMPORT_H
