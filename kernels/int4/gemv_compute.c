// SPDX-License-Identifier: Apache-2.0
// The product in C, from the packed matrix. Sums run over the columns in sixteen lanes, so that the
// compiler can make vectors of them; only their order differs from the kernel's.
#include "gemv.h"
#include "layout.h"
#include "number.h"

#include <math.h>
#include <stdlib.h>

#define LANES 16

/** A product at work. Arrays of x are as wide as the packed rows, filled up with zeros. */
struct product {
    const struct segue_quant_gemv_constants *constants;
    struct quant_layout layout;
    uint32_t padded_columns;
    uint32_t batch;
    /** [batch][padded_columns]. */
    float *x;
    /** Of one tile: [batch][16]. */
    float *sums;
    /** One row of a block. */
    float weights[BLOCK_COLUMNS];
};

/** x as it is multiplied: rounded to the activations' type, normalised before if that is asked. */
static void load_x(const struct product *product, const void *x, const void *norm)
{
    const struct segue_quant_gemv_constants *c = product->constants;
    const enum segue_quant_type type = (enum segue_quant_type)c->activation_type;
    for (uint32_t m = 0; m < product->batch; m++) {
        float *row = product->x + (size_t)m * product->padded_columns;
        const uint64_t first = (uint64_t)m * c->columns;
        if (!norm) {
            for (uint32_t k = 0; k < c->columns; k++)
                row[k] = quant_load(x, type, first + k);
            continue;
        }
        double squares = 0.0;
        for (uint32_t k = 0; k < c->columns; k++) {
            row[k] = quant_load(x, SEGUE_QUANT_F32, first + k);
            squares += (double)row[k] * (double)row[k];
        }
        const float factor = 1.0f / sqrtf((float)(squares / c->columns) + c->epsilon);
        for (uint32_t k = 0; k < c->columns; k++) {
            uint32_t rounded;
            quant_store(&rounded, type, 0, row[k] * factor * quant_load(norm, SEGUE_QUANT_BF16, k));
            row[k] = quant_load(&rounded, type, 0);
        }
    }
}

/** The stored numbers of a row of a block as floats, what they are counted from taken off. */
static void unpack_row(struct product *product, const uint8_t *block, uint32_t row)
{
    const bool wide = product->layout.planes == 2;
    const uint32_t middle = wide ? 128
                            : product->constants->zero == SEGUE_QUANT_ZERO_MIDDLE ||
                                    product->constants->zero == SEGUE_QUANT_ZERO_MIDDLE_OFFSETS
                                ? 8
                                : 0;
    // A word of a lane is four columns of two rows, a byte a column.
    for (uint32_t column = 0; column < BLOCK_COLUMNS; column += 4) {
        const uint32_t lane = row % 8 * 4 + column / 8 % 4;
        const uint32_t word = column / 32 % 2 * 2 + column / 4 % 2;
        const uint32_t at = column / 64 * 512 + lane * 16 + word * 4;
        uint32_t low, high = 0;
        memcpy(&low, block + at, 4);
        if (wide)
            memcpy(&high, block + PLANE_BYTES + at, 4);
        low >>= row / 8 * 4;
        high >>= row / 8 * 4;
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t shift = i * 8;
            const uint32_t q = (low >> shift & 15) | (high >> shift & 15) << 4;
            product->weights[column + i] = (float)((int32_t)q - (int32_t)middle);
        }
    }
}

/** Scale and what its group needs besides; of element `index` of a record. */
struct factors {
    float scale;
    /** Zero point, subtracted from each weight. */
    float point;
    /** Offset, added to each weight. */
    float offset;
};

static struct factors load_factors(const struct product *product, const uint8_t *record,
                                   uint32_t index)
{
    const struct segue_quant_gemv_constants *c = product->constants;
    const struct quant_layout *layout = &product->layout;
    const enum segue_quant_type type = (enum segue_quant_type)c->scale_type;
    const uint8_t *zeros = record + (size_t)TILE_ROWS * layout->record_groups * layout->scale_bytes;
    struct factors factors = {.scale = quant_load(record, type, index)};
    if (c->zero == SEGUE_QUANT_ZERO_POINTS)
        factors.point = (float)(layout->planes == 2 ? zeros[index] - 128 : zeros[index]);
    else if (c->zero != SEGUE_QUANT_ZERO_MIDDLE)
        factors.offset = quant_load(zeros, type, index);
    return factors;
}

static float dot(const float *weights, const float *x, uint32_t count, struct factors factors)
{
    float products[LANES] = {0.0f};
    float plain[LANES] = {0.0f};
    for (uint32_t k = 0; k < count; k += LANES) {
        for (uint32_t i = 0; i < LANES; i++) {
            products[i] += (weights[k + i] - factors.point) * x[k + i];
            plain[i] += x[k + i];
        }
    }
    float sum = 0.0f, x_sum = 0.0f;
    for (uint32_t i = 0; i < LANES; i++) {
        sum += products[i];
        x_sum += plain[i];
    }
    return factors.scale * sum + factors.offset * x_sum;
}

/** Adds a block's part of one row to the sums of all vectors. */
static void add_block_row(struct product *product, const uint8_t *block, const uint8_t *record,
                          uint32_t row, uint32_t first_column)
{
    const struct quant_layout *layout = &product->layout;
    const uint32_t count = layout->per_row ? BLOCK_COLUMNS : product->constants->group_size;
    unpack_row(product, block, row);
    for (uint32_t k = 0; k < BLOCK_COLUMNS; k += count) {
        const uint32_t index =
            (row % 8 * layout->record_groups + (layout->per_row ? 0 : k / count)) * 2 + row / 8;
        const struct factors factors = load_factors(product, record, index);
        for (uint32_t m = 0; m < product->batch; m++) {
            const float *x = product->x + (size_t)m * product->padded_columns + first_column + k;
            product->sums[m * TILE_ROWS + row] += dot(product->weights + k, x, count, factors);
        }
    }
}

static void add_tile(struct product *product, const uint8_t *tile)
{
    const struct quant_layout *layout = &product->layout;
    memset(product->sums, 0, (size_t)product->batch * TILE_ROWS * sizeof(float));
    for (uint32_t b = 0; b < layout->blocks; b++) {
        const uint8_t *block = tile + (size_t)b * layout->block_bytes;
        const uint8_t *record = layout->per_row
                                    ? tile + (size_t)layout->blocks * layout->block_bytes
                                    : block + (size_t)layout->planes * PLANE_BYTES;
        for (uint32_t row = 0; row < TILE_ROWS; row++)
            add_block_row(product, block, record, row, b * BLOCK_COLUMNS);
    }
}

bool segue_quant_gemv_compute(const struct segue_quant_gemv_constants *constants,
                              void *const memory[GEMV_BINDING_COUNT])
{
    const struct segue_quant_matrix matrix = segue_quant_gemv_matrix(constants);
    struct segue_quant_pack_constants packing;
    struct product product = {.constants = constants, .batch = constants->batch};
    segue_quant_constants_of(&matrix, &packing);
    segue_quant_layout_of(&packing, &product.layout);
    product.padded_columns = product.layout.blocks * BLOCK_COLUMNS;
    product.x = calloc((size_t)product.batch * product.padded_columns, sizeof(float));
    product.sums = calloc((size_t)product.batch * TILE_ROWS, sizeof(float));
    const bool good = product.x && product.sums;
    if (good) {
        load_x(&product, memory[GEMV_X], memory[GEMV_NORM]);
        const uint32_t tiles = (uint32_t)(((uint64_t)constants->rows + TILE_ROWS - 1) / TILE_ROWS);
        for (uint32_t tile = 0; tile < tiles; tile++) {
            add_tile(&product, (const uint8_t *)memory[GEMV_PACKED] +
                                   (uint64_t)tile * product.layout.tile_bytes);
            segue_quant_gemv_store_tile(constants, tile, product.sums, memory);
        }
        segue_quant_gemv_finish(constants, memory);
    }
    free(product.sums);
    free(product.x);
    return good;
}
