// SPDX-License-Identifier: Apache-2.0
/**
 * @file layout.h
 * Where things lie in packed matrices (docs/int4-layout.md), for the C half.
 */
#ifndef SEGUE_KERNELS_LAYOUT_H
#define SEGUE_KERNELS_LAYOUT_H

#include <segue/quant.h>

#define TILE_ROWS SEGUE_QUANT_TILE_ROWS
#define BLOCK_COLUMNS SEGUE_QUANT_BLOCK_COLUMNS
/** So that sizes and offsets of a tile, and of all rows of x, stay within 32 bits. */
#define QUANT_MAX_COLUMNS (1u << 20)
/** Bytes of one plane of nibbles of a block. */
#define PLANE_BYTES (TILE_ROWS * BLOCK_COLUMNS / 2)

/** Sizes and places. A tile is its blocks, one after the other; a block its planes of nibbles, its
 *  scales, its zeros. With one group a row, scales and zeros stand once, at the tile's end. */
struct quant_layout {
    bool per_row;
    /** Planes of nibbles: 1 for 4 bits, 2 (low, high) for 8. */
    uint32_t planes;
    /** Groups of a row, as they are in plain rows. */
    uint32_t groups;
    /** Groups of a row in one record of scales. */
    uint32_t record_groups;
    uint32_t blocks;
    uint32_t scale_bytes;
    uint32_t zero_bytes;
    /** Of the scales and zeros of one record. */
    uint32_t record_bytes;
    uint32_t block_bytes;
    uint32_t tile_bytes;
};

/** What packing needs to know of a chunk of rows: constants of the kernel and the layout. */
void segue_quant_layout_of(const struct segue_quant_pack_constants *constants,
                           struct quant_layout *out_layout);

/** Constants of a matrix, for all of its rows. */
void segue_quant_constants_of(const struct segue_quant_matrix *matrix,
                              struct segue_quant_pack_constants *out_constants);

/** Constants of a chunk of its rows. Fails as segue_quant_get_packed_range. */
segue_status segue_quant_chunk_constants(const struct segue_quant_matrix *matrix,
                                         struct segue_quant_rows rows,
                                         struct segue_quant_pack_constants *out_constants);

/** Bytes of a zero point or an offset; 0: the format has none. */
uint32_t segue_quant_zero_bytes(enum segue_quant_zero zero, enum segue_quant_type scale_type);

/** What every byte of zeros changes by between the plain and the packed form: zero points of 8 bits
 *  are counted as the stored weights are, with 128 added. */
static inline uint8_t quant_zero_flip(const struct segue_quant_pack_constants *constants)
{
    return constants->bits == 8 && constants->zero_bytes == 1 ? 0x80 : 0;
}

/** Plain row of packed row `row`, where pairs stand `stride` apart. */
static inline uint32_t quant_plain_row(uint32_t row, uint32_t stride)
{
    const uint32_t stretch = row / (2 * stride) * (2 * stride);
    const uint32_t inside = row - stretch;
    return stretch + inside / 16 * 8 + inside % 8 + inside % 16 / 8 * stride;
}

/** Raises a failure. */
segue_status segue_quant_raise(segue_device *device, segue_status status, const char *file,
                               int line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/** `return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "matrix \"%s\": ...", name);` */
#define quant_fail(device, status, ...) \
    segue_quant_raise((device), (status), __FILE__, __LINE__, __VA_ARGS__)

/** The part of a reference that a binding of `launch` needs. Whether it is there is for recording
 * to say; what is too short is refused here. */
segue_status segue_quant_fit(const char *launch, const char *what, struct segue_buffer_ref given,
                             uint64_t size_bytes, struct segue_buffer_ref *out_ref);

/** The matrix's name for messages. */
static inline const char *quant_name(const struct segue_quant_matrix *matrix)
{
    return matrix->name ? matrix->name : "matrix";
}

#endif // SEGUE_KERNELS_LAYOUT_H
