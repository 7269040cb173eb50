// SPDX-License-Identifier: Apache-2.0
// Stored weights to plain rows. What is stored column by column goes through tiles of words of
// eight (four) columns of many rows, so that lines of both sides are used whole; inner loops run
// over rows, for the compiler to make vectors of. Words are little-endian, as files have them.
#include "import.h"

#include "layout.h"

#include <string.h>

/** A tile: words of rows; the rows begin at a multiple of it, or where the range does. */
#define TILE_WORDS 16
#define TILE_WIDTH 128

/** Row of each of the nibbles in a word of AWQ. */
static const uint8_t awq_rows[8] = {0, 2, 4, 6, 1, 3, 5, 7};

/* ---- Rows of bytes --------------------------------------------------------------------------- */

static void copy_bytes(uint8_t *restrict out, const uint8_t *restrict in, uint64_t count, bool swap,
                       uint8_t flip)
{
    if (!swap && flip == 0) {
        memcpy(out, in, count);
        return;
    }
    if (!swap) {
        for (uint64_t i = 0; i < count; i++)
            out[i] = in[i] ^ flip;
        return;
    }
    for (uint64_t i = 0; i < count; i++)
        out[i] = (uint8_t)(in[i] << 4 | in[i] >> 4) ^ flip;
}

/** One row whose columns are taken in another order. */
static void reorder_row(const struct import_plan *plan, const uint8_t *in, uint8_t *out)
{
    const uint32_t *order = plan->order;
    if (plan->matrix.bits == 8) {
        for (uint32_t i = 0; i < plan->matrix.columns; i++)
            out[i] = in[order[i]] ^ plan->flip;
        return;
    }
    for (uint32_t i = 0; i < plan->matrix.columns / 2; i++) {
        const uint32_t even = order[2 * i], odd = order[2 * i + 1];
        const uint32_t low = (uint32_t)in[even / 2] >> even % 2 * 4 & 15;
        const uint32_t high = (uint32_t)in[odd / 2] >> odd % 2 * 4 & 15;
        out[i] = (uint8_t)(low | high << 4) ^ plan->flip;
    }
}

static void import_rows(const struct import_plan *plan, struct segue_quant_rows rows, uint8_t *out)
{
    const uint64_t row_bytes = (uint64_t)plan->matrix.columns * plan->matrix.bits / 8;
    const uint8_t *in = (const uint8_t *)plan->import->weights.data + rows.first * row_bytes;
    if (!plan->order) {
        copy_bytes(out, in, rows.count * row_bytes, plan->high_first, plan->flip);
        return;
    }
    for (uint32_t row = 0; row < rows.count; row++)
        reorder_row(plan, in + row * row_bytes, out + row * row_bytes);
}

/* ---- Blocks of GGUF -------------------------------------------------------------------------- */

/** The low nibbles of eight bytes, next to each other. */
static uint32_t gather_nibbles(uint64_t bytes)
{
    bytes &= 0x0F0F0F0F0F0F0F0Fu;
    bytes = (bytes | bytes >> 4) & 0x00FF00FF00FF00FFu;
    bytes = (bytes | bytes >> 8) & 0x0000FFFF0000FFFFu;
    return (uint32_t)(bytes | bytes >> 16);
}

/** Byte j of a block has columns j and j + 16. */
static void import_nibble_block(const uint8_t *in, uint8_t *out)
{
    uint64_t halves[2];
    memcpy(halves, in, sizeof(halves));
    const uint32_t words[4] = {gather_nibbles(halves[0]), gather_nibbles(halves[1]),
                               gather_nibbles(halves[0] >> 4), gather_nibbles(halves[1] >> 4)};
    memcpy(out, words, sizeof(words));
}

static void import_blocks(const struct import_plan *plan, struct segue_quant_rows rows,
                          uint8_t *out)
{
    const uint64_t first = (uint64_t)rows.first * plan->groups;
    const uint64_t count = (uint64_t)rows.count * plan->groups;
    const uint8_t *in =
        (const uint8_t *)plan->import->weights.data + first * plan->block_bytes + plan->head_bytes;
    for (uint64_t i = 0; i < count; i++, in += plan->block_bytes) {
        if (plan->matrix.bits == 8)
            memcpy(out + i * GGUF_COLUMNS, in, GGUF_COLUMNS);
        else
            import_nibble_block(in, out + i * (GGUF_COLUMNS / 2));
    }
}

/* ---- Words across rows ----------------------------------------------------------------------- */

/** A part of the matrix in plain words: [word of a row][row]. */
struct tile {
    /** In the matrix. */
    uint32_t first_row;
    uint32_t row_count;
    uint32_t first_word;
    uint32_t word_count;
    uint32_t words[TILE_WORDS][TILE_WIDTH];
};

static const uint8_t *word_line(const struct import_plan *plan, uint64_t index, uint64_t length,
                                uint64_t first)
{
    return (const uint8_t *)plan->import->weights.data + (index * length + first) * 4;
}

/** GPTQ: the words are the plain ones, turned. */
static void fill_from_columns(const struct import_plan *plan, struct tile *tile)
{
    for (uint32_t i = 0; i < tile->word_count; i++)
        memcpy(tile->words[i],
               word_line(plan, tile->first_word + i, plan->matrix.rows, tile->first_row),
               (size_t)tile->row_count * 4);
}

/** Adds number `from` of the words of a line as number `to`, both counted in bits. */
static void add_numbers(uint32_t *restrict words, const uint8_t *restrict line, uint32_t count,
                        uint32_t from, uint32_t to, uint32_t mask)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, line + (size_t)i * 4, sizeof(word));
        words[i] |= (word >> from & mask) << to;
    }
}

/** GPTQ with columns in another order: each word is gathered from as many. */
static void fill_in_order(const struct import_plan *plan, struct tile *tile)
{
    const uint32_t bits = plan->matrix.bits;
    const uint32_t in_word = 32 / bits;
    for (uint32_t i = 0; i < tile->word_count; i++) {
        memset(tile->words[i], 0, sizeof(tile->words[i]));
        for (uint32_t k = 0; k < in_word; k++) {
            const uint32_t column = plan->order[(tile->first_word + i) * in_word + k];
            add_numbers(tile->words[i],
                        word_line(plan, column / in_word, plan->matrix.rows, tile->first_row),
                        tile->row_count, column % in_word * bits, k * bits, (1u << bits) - 1);
        }
    }
}

/** Exchanges the nibbles that the mask leaves out of `low` with those that it has of `high`. */
static void exchange(uint32_t *restrict low, uint32_t *restrict high, uint32_t mask, uint32_t shift)
{
    for (uint32_t i = 0; i < TILE_WIDTH / 8; i++) {
        const uint32_t difference = (low[i] >> shift ^ high[i]) & mask;
        low[i] ^= difference << shift;
        high[i] ^= difference;
    }
}

/** AWQ: eight words of eight rows each become eight words of eight columns each. */
static void fill_from_rows(const struct import_plan *plan, struct tile *tile)
{
    const uint64_t length = ((uint64_t)plan->matrix.rows + 7) / 8;
    const uint32_t first = tile->first_row / 8, skipped = tile->first_row % 8;
    const uint32_t count = (skipped + tile->row_count + 7) / 8;
    for (uint32_t i = 0; i < tile->word_count; i++) {
        uint32_t lines[8][TILE_WIDTH / 8] = {{0}};
        for (uint32_t k = 0; k < 8; k++)
            memcpy(lines[k], word_line(plan, (tile->first_word + i) * 8 + k, length, first),
                   (size_t)count * 4);
        for (uint32_t k = 0; k < 8; k += 2)
            exchange(lines[k], lines[k + 1], 0x0F0F0F0Fu, 4);
        for (uint32_t k = 0; k < 4; k++)
            exchange(lines[k / 2 * 4 + k % 2], lines[k / 2 * 4 + k % 2 + 2], 0x00FF00FFu, 8);
        for (uint32_t k = 0; k < 4; k++)
            exchange(lines[k], lines[k + 4], 0x0000FFFFu, 16);
        // Rows before the range come out below 0, which is large.
        for (uint32_t c = 0; c < count; c++) {
            for (uint32_t k = 0; k < 8; k++) {
                const uint32_t row = c * 8 + awq_rows[k] - skipped;
                if (row < TILE_WIDTH)
                    tile->words[i][row] = lines[k][c];
            }
        }
    }
}

static inline void store_words(const struct tile *tile, uint32_t row, uint32_t count, uint32_t flip,
                               uint8_t *out)
{
    uint32_t words[TILE_WORDS];
    for (uint32_t i = 0; i < count; i++)
        words[i] = tile->words[i][row] ^ flip;
    memcpy(out, words, (size_t)count * 4);
}

static void store_tile(const struct import_plan *plan, const struct tile *tile, uint8_t *out)
{
    const uint64_t row_bytes = (uint64_t)plan->matrix.columns * plan->matrix.bits / 8;
    const uint32_t flip = plan->flip * 0x01010101u;
    out += (uint64_t)tile->first_word * 4;
    for (uint32_t row = 0; row < tile->row_count; row++) {
        // A number that the compiler knows is a copy without a call.
        if (tile->word_count == TILE_WORDS)
            store_words(tile, row, TILE_WORDS, flip, out + row * row_bytes);
        else
            store_words(tile, row, tile->word_count, flip, out + row * row_bytes);
    }
}

static void import_words(const struct import_plan *plan, struct segue_quant_rows rows, uint8_t *out)
{
    const uint64_t row_bytes = (uint64_t)plan->matrix.columns * plan->matrix.bits / 8;
    const uint32_t words = (uint32_t)(row_bytes / 4);
    const uint32_t end = rows.first + rows.count;
    struct tile tile;
    for (tile.first_row = rows.first; tile.first_row < end; tile.first_row += tile.row_count) {
        // After the first tile words of eight rows are whole ones.
        const uint32_t most = TILE_WIDTH - tile.first_row % TILE_WIDTH;
        tile.row_count = end - tile.first_row < most ? end - tile.first_row : most;
        uint8_t *tile_out = out + (tile.first_row - rows.first) * row_bytes;
        for (tile.first_word = 0; tile.first_word < words; tile.first_word += TILE_WORDS) {
            const uint32_t left = words - tile.first_word;
            tile.word_count = left < TILE_WORDS ? left : TILE_WORDS;
            if (plan->weights == IMPORT_WORDS_OF_ROWS)
                fill_from_rows(plan, &tile);
            else if (plan->order)
                fill_in_order(plan, &tile);
            else
                fill_from_columns(plan, &tile);
            store_tile(plan, &tile, tile_out);
        }
    }
}

void segue_quant_import_weights(const struct import_plan *plan, struct segue_quant_rows rows,
                                uint8_t *out)
{
    switch (plan->weights) {
    case IMPORT_ROWS:
        import_rows(plan, rows, out);
        break;
    case IMPORT_BLOCKS:
        import_blocks(plan, rows, out);
        break;
    case IMPORT_WORDS_OF_ROWS:
    case IMPORT_WORDS_OF_COLUMNS:
        import_words(plan, rows, out);
        break;
    }
}
