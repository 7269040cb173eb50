// SPDX-License-Identifier: Apache-2.0
// Packing and its inverse in C. Both walk the packed form in its own order and ask where each
// number stands in the plain rows, so that one function knows the layout.
#include "pack.h"

#include "layout.h"

#include <string.h>

/** One chunk at work. */
struct chunk {
    const struct segue_quant_pack_constants *constants;
    struct quant_layout layout;
    const struct segue_quant_plain *plain;
};

static void open_chunk(struct chunk *chunk, const struct segue_quant_pack_constants *constants,
                       const struct segue_quant_plain *plain)
{
    chunk->constants = constants;
    chunk->plain = plain;
    segue_quant_layout_of(constants, &chunk->layout);
}

/** The plain row that packed row `row` of the chunk is made of; false beyond the last one. */
static bool find_row(const struct chunk *chunk, uint64_t row, uint64_t *out_row)
{
    if (row >= chunk->constants->row_count)
        return false;
    *out_row = quant_plain_row((uint32_t)row, chunk->constants->pair_stride);
    return true;
}

/** Where nibble `i` (0 to 7) of word `word` of lane `lane` in 64-column stripe `stripe` of a block
 *  stands: its row in the tile and its column in the block. */
static void locate(uint32_t stripe, uint32_t lane, uint32_t word, uint32_t i, uint32_t *out_row,
                   uint32_t *out_column)
{
    *out_row = lane / 4 + 8 * (i & 1);
    *out_column = 64 * stripe + 32 * (word / 2) + 8 * (lane % 4) + 4 * (word % 2) + i / 2;
}

/** Nibble of `plane` of a weight; weights of 8 bits are stored with 128 added. */
static uint32_t get_nibble(const struct chunk *chunk, uint64_t row, uint32_t column, uint32_t plane)
{
    const uint8_t *weights = chunk->plain->weights;
    const uint64_t index = row * chunk->constants->columns + column;
    if (chunk->layout.planes == 2)
        return (uint32_t)(weights[index] ^ 0x80) >> (4 * plane) & 15;
    return (uint32_t)weights[index / 2] >> (4 * (index % 2)) & 15;
}

static void set_nibble(const struct chunk *chunk, uint64_t row, uint32_t column, uint32_t plane,
                       uint32_t value)
{
    uint8_t *weights = chunk->plain->weights;
    const uint64_t index = row * chunk->constants->columns + column;
    const bool wide = chunk->layout.planes == 2;
    uint8_t *byte = &weights[wide ? index : index / 2];
    const uint32_t shift = 4 * (wide ? plane : index % 2);
    // Of 8 bits the upper plane holds the bit that tells the sign, turned round.
    const uint32_t stored = wide && plane == 1 ? value ^ 8 : value;
    *byte = (uint8_t)((*byte & ~(15u << shift)) | stored << shift);
}

/** What a weight beyond the edge is stored as: 0 in every format once x or the scale is 0. */
static uint32_t filler(const struct chunk *chunk, uint32_t plane)
{
    return chunk->layout.planes == 1 || plane == 1 ? 8 : 0;
}

static void pack_block(const struct chunk *chunk, uint64_t tile, uint32_t block, uint8_t *packed)
{
    for (uint32_t at = 0; at < chunk->layout.planes * PLANE_BYTES / 4; at++) {
        const uint32_t plane = at / (PLANE_BYTES / 4);
        const uint32_t stripe = at / 128 % 2;
        uint32_t value = 0;
        for (uint32_t i = 0; i < 8; i++) {
            uint32_t row, column;
            uint64_t plain_row;
            locate(stripe, at / 4 % 32, at % 4, i, &row, &column);
            column += block * BLOCK_COLUMNS;
            uint32_t nibble = filler(chunk, plane);
            if (column < chunk->constants->columns &&
                find_row(chunk, tile * TILE_ROWS + row, &plain_row))
                nibble = get_nibble(chunk, plain_row, column, plane);
            value |= nibble << (4 * i);
        }
        memcpy(packed + (size_t)at * 4, &value, sizeof(value));
    }
}

static void unpack_block(const struct chunk *chunk, uint64_t tile, uint32_t block,
                         const uint8_t *packed)
{
    for (uint32_t at = 0; at < chunk->layout.planes * PLANE_BYTES / 4; at++) {
        const uint32_t plane = at / (PLANE_BYTES / 4);
        const uint32_t stripe = at / 128 % 2;
        uint32_t value;
        memcpy(&value, packed + (size_t)at * 4, sizeof(value));
        for (uint32_t i = 0; i < 8; i++) {
            uint32_t row, column;
            uint64_t plain_row;
            locate(stripe, at / 4 % 32, at % 4, i, &row, &column);
            column += block * BLOCK_COLUMNS;
            if (column < chunk->constants->columns &&
                find_row(chunk, tile * TILE_ROWS + row, &plain_row))
                set_nibble(chunk, plain_row, column, plane, value >> (4 * i) & 15);
        }
    }
}

/** Numbers of one kind in a record of scales: [row % 8][group][row / 8]. */
struct record {
    uint8_t *plain;
    uint32_t element_bytes;
    uint64_t tile;
    /** Of the record's first group. */
    uint32_t first_group;
    /** Exclusive-ored to every byte. */
    uint8_t flip;
};

static void copy_element(uint8_t *target, const uint8_t *source, const struct record *record)
{
    for (uint32_t i = 0; i < record->element_bytes; i++)
        target[i] = source[i] ^ record->flip;
}

static void copy_record(const struct chunk *chunk, const struct record *record, uint8_t *packed,
                        bool unpack)
{
    const uint32_t bytes = record->element_bytes;
    const uint32_t groups = chunk->layout.record_groups;
    for (uint32_t i = 0; i < TILE_ROWS * groups; i++) {
        const uint64_t row = record->tile * TILE_ROWS + i / (2 * groups) + 8 * (i % 2);
        const uint32_t group = record->first_group + i / 2 % groups;
        uint8_t *packed_element = packed + (size_t)i * bytes;
        uint64_t plain_row;
        const bool inside = group < chunk->layout.groups && find_row(chunk, row, &plain_row);
        if (!inside && !unpack) {
            memset(packed_element, 0, bytes);
        } else if (inside) {
            uint8_t *plain = record->plain + (plain_row * chunk->layout.groups + group) * bytes;
            copy_element(unpack ? plain : packed_element, unpack ? packed_element : plain, record);
        }
    }
}

/** Scales and zeros of a record. */
static void copy_records(const struct chunk *chunk, uint64_t tile, uint32_t first_group,
                         uint8_t *packed, bool unpack)
{
    const struct quant_layout *layout = &chunk->layout;
    struct record record = {chunk->plain->scales, layout->scale_bytes, tile, first_group, 0};
    copy_record(chunk, &record, packed, unpack);
    if (layout->zero_bytes == 0)
        return;
    packed += (size_t)TILE_ROWS * layout->record_groups * layout->scale_bytes;
    record.plain = chunk->plain->zeros;
    record.element_bytes = layout->zero_bytes;
    record.flip = quant_zero_flip(chunk->constants);
    copy_record(chunk, &record, packed, unpack);
}

static void walk(const struct segue_quant_pack_constants *constants,
                 const struct segue_quant_plain *plain, uint8_t *packed, bool unpack)
{
    struct chunk chunk;
    open_chunk(&chunk, constants, plain);
    const struct quant_layout *layout = &chunk.layout;
    const uint64_t tiles = ((uint64_t)constants->row_count + TILE_ROWS - 1) / TILE_ROWS;
    for (uint64_t tile = 0; tile < tiles; tile++) {
        uint8_t *at = packed + tile * layout->tile_bytes;
        for (uint32_t block = 0; block < layout->blocks; block++) {
            if (unpack)
                unpack_block(&chunk, tile, block, at);
            else
                pack_block(&chunk, tile, block, at);
            if (!layout->per_row)
                copy_records(&chunk, tile, block * layout->record_groups,
                             at + (size_t)layout->planes * PLANE_BYTES, unpack);
            at += layout->block_bytes;
        }
        if (layout->per_row)
            copy_records(&chunk, tile, 0, at, unpack);
    }
}

void segue_quant_pack_rows(const struct segue_quant_pack_constants *constants,
                           const struct segue_quant_plain *plain, void *packed)
{
    walk(constants, plain, packed, false);
}

void segue_quant_unpack_rows(const struct segue_quant_pack_constants *constants, const void *packed,
                             const struct segue_quant_plain *plain)
{
    // Not written when unpacking.
    walk(constants, plain, (uint8_t *)packed, true);
}

static segue_status check_plain(const struct segue_quant_matrix *matrix,
                                const struct segue_quant_plain *plain, const void *packed)
{
    const char *name = quant_name(matrix);
    const bool wants_zeros = segue_quant_zero_bytes(matrix->zero, matrix->scale_type) != 0;
    if (!plain || !packed || !plain->weights || !plain->scales || (wants_zeros && !plain->zeros))
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "matrix \"%s\": %s is NULL", name,
                          !plain            ? "plain"
                          : !packed         ? "packed"
                          : !plain->weights ? "plain->weights"
                          : !plain->scales  ? "plain->scales"
                                            : "plain->zeros");
    return SEGUE_OK;
}

segue_status segue_quant_pack(const struct segue_quant_matrix *matrix, struct segue_quant_rows rows,
                              const struct segue_quant_plain *plain, void *packed)
{
    struct segue_quant_pack_constants constants;
    segue_status status = segue_quant_chunk_constants(matrix, rows, &constants);
    if (status == SEGUE_OK)
        status = check_plain(matrix, plain, packed);
    if (status == SEGUE_OK)
        segue_quant_pack_rows(&constants, plain, packed);
    return status;
}

segue_status segue_quant_unpack(const struct segue_quant_matrix *matrix,
                                struct segue_quant_rows rows, const void *packed,
                                const struct segue_quant_plain *plain)
{
    struct segue_quant_pack_constants constants;
    segue_status status = segue_quant_chunk_constants(matrix, rows, &constants);
    if (status == SEGUE_OK)
        status = check_plain(matrix, plain, packed);
    if (status == SEGUE_OK)
        segue_quant_unpack_rows(&constants, packed, plain);
    return status;
}
