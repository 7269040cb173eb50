// SPDX-License-Identifier: Apache-2.0
#include "int4_sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WEIGHTS, SCALES, ZEROS, BIAS, GROUP_INDEX };

uint32_t int4_source_draw(uint64_t *state, uint32_t count)
{
    // xorshift64*, the upper half of it.
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545F4914F6CDD1Du >> 32) % count);
}

static bool is_gguf(const struct segue_quant_import *import)
{
    return import->format == SEGUE_QUANT_FORMAT_GGUF_Q4_0 ||
           import->format == SEGUE_QUANT_FORMAT_GGUF_Q4_1 ||
           import->format == SEGUE_QUANT_FORMAT_GGUF_Q8_0;
}

static bool is_gptq(const struct segue_quant_import *import)
{
    return import->format == SEGUE_QUANT_FORMAT_GPTQ ||
           import->format == SEGUE_QUANT_FORMAT_GPTQ_V2;
}

static bool is_plain(const struct segue_quant_import *import)
{
    return import->format == SEGUE_QUANT_FORMAT_ROWS ||
           import->format == SEGUE_QUANT_FORMAT_ROWS_HIGH_FIRST;
}

/** Whether groups come before rows in scales and zeros. */
static bool groups_first(const struct segue_quant_import *import)
{
    return is_gptq(import) || import->format == SEGUE_QUANT_FORMAT_AWQ ||
           (import->flags & SEGUE_QUANT_IMPORT_GROUPS_FIRST) != 0;
}

static uint32_t block_bytes(const struct segue_quant_import *import)
{
    return import->format == SEGUE_QUANT_FORMAT_GGUF_Q4_0   ? 18
           : import->format == SEGUE_QUANT_FORMAT_GGUF_Q4_1 ? 20
                                                            : 34;
}

static uint32_t size_of(enum segue_quant_element element)
{
    switch (element) {
    case SEGUE_QUANT_ELEMENT_F32:
    case SEGUE_QUANT_ELEMENT_I32:
        return 4;
    case SEGUE_QUANT_ELEMENT_U8:
    case SEGUE_QUANT_ELEMENT_I8:
        return 1;
    default:
        return 2;
    }
}

/* ---- Making ---------------------------------------------------------------------------------- */

static void make_tensor(struct int4_source *source, int which, enum segue_quant_element element,
                        uint64_t first, uint64_t second)
{
    struct segue_quant_tensor *const tensors[] = {
        [WEIGHTS] = &source->import.weights,
        [SCALES] = &source->import.scales,
        [ZEROS] = &source->import.zeros,
        [BIAS] = &source->import.bias,
        [GROUP_INDEX] = &source->import.group_index,
    };
    const uint64_t size_bytes = first * second * size_of(element);
    uint8_t *block = malloc(size_bytes + 1);
    assert_non_null(block);
    for (uint64_t i = 0; i < size_bytes; i++)
        block[i + 1] = (uint8_t)int4_source_draw(&source->random, 256);
    source->blocks[which] = block;
    *tensors[which] = (struct segue_quant_tensor){
        block + 1, size_bytes, element, {(uint32_t)first, second == 1 ? 0 : (uint32_t)second}};
}

static void make_weights(struct int4_source *source)
{
    const struct segue_quant_import *import = &source->import;
    const uint64_t rows = import->rows, columns = import->columns;
    const uint64_t words = columns / (32 / import->bits);
    if (is_plain(import))
        make_tensor(source, WEIGHTS, SEGUE_QUANT_ELEMENT_U8, rows, columns * import->bits / 8);
    else if (is_gguf(import))
        make_tensor(source, WEIGHTS, SEGUE_QUANT_ELEMENT_U8, rows,
                    columns / 32 * block_bytes(import));
    else if (import->format == SEGUE_QUANT_FORMAT_AWQ)
        make_tensor(source, WEIGHTS, SEGUE_QUANT_ELEMENT_I32, columns, (rows + 7) / 8);
    else if (is_gptq(import))
        make_tensor(source, WEIGHTS, SEGUE_QUANT_ELEMENT_I32, words, rows);
    else
        make_tensor(source, WEIGHTS, SEGUE_QUANT_ELEMENT_I32, rows, words);
}

/** Makes zero points that the plain form has: between `least` and `least` + `count`. */
static void limit_points(struct int4_source *source, int least, uint32_t count)
{
    const struct segue_quant_tensor *zeros = &source->import.zeros;
    const uint32_t bytes = size_of(zeros->element);
    for (uint64_t i = 0; i < zeros->size_bytes / bytes; i++) {
        const int32_t point = least + (int32_t)int4_source_draw(&source->random, count);
        memcpy(source->blocks[ZEROS] + 1 + i * bytes, &point, bytes);
    }
}

static void make_plain_zeros(struct int4_source *source, const struct int4_source_case *from,
                             uint64_t first, uint64_t second)
{
    const bool has_sign = (from->flags & SEGUE_QUANT_IMPORT_SIGNED) != 0;
    if (from->zero == SEGUE_QUANT_ZERO_MIDDLE)
        return;
    make_tensor(source, ZEROS, from->zero == SEGUE_QUANT_ZERO_POINTS ? from->points : from->scales,
                first, second);
    if (from->zero != SEGUE_QUANT_ZERO_POINTS)
        return;
    if (from->bits == 4)
        limit_points(source, has_sign ? -8 : 0, 17);
    else
        limit_points(source, has_sign ? -128 : 0, 256);
}

static void make_groups(struct int4_source *source, const struct int4_source_case *from)
{
    const struct segue_quant_import *import = &source->import;
    const uint64_t groups = from->columns / from->group_size;
    const uint64_t row_words = (from->rows + 32 / from->bits - 1) / (32 / from->bits);
    if (is_gguf(import))
        return;
    const bool turned = groups_first(import);
    const uint64_t first = turned ? groups : from->rows, second = turned ? from->rows : groups;
    make_tensor(source, SCALES, from->scales, first, second);
    if (is_plain(import))
        make_plain_zeros(source, from, first, second);
    else if (from->zeros)
        make_tensor(source, ZEROS, SEGUE_QUANT_ELEMENT_I32, turned ? groups : row_words,
                    turned ? row_words : groups);
    // What a byte cannot say: 256.
    if (from->zeros && import->format == SEGUE_QUANT_FORMAT_GPTQ && from->bits == 8) {
        for (uint64_t i = 0; i < import->zeros.size_bytes; i++)
            source->blocks[ZEROS][i + 1] &= 0x7F;
    }
}

static void make_group_index(struct int4_source *source, bool shuffled)
{
    const struct segue_quant_import *import = &source->import;
    int32_t *groups = malloc(import->columns * sizeof(*groups));
    assert_non_null(groups);
    for (uint32_t i = 0; i < import->columns; i++)
        groups[i] = (int32_t)(i / import->group_size);
    for (uint32_t i = import->columns - 1; shuffled && i > 0; i--) {
        const uint32_t other = int4_source_draw(&source->random, i + 1);
        const int32_t group = groups[i];
        groups[i] = groups[other];
        groups[other] = group;
    }
    make_tensor(source, GROUP_INDEX, SEGUE_QUANT_ELEMENT_I32, import->columns, 1);
    memcpy(source->blocks[GROUP_INDEX] + 1, groups, import->columns * sizeof(*groups));
    free(groups);
}

void int4_source_make(struct int4_source *source, const struct int4_source_case *from,
                      uint64_t seed)
{
    *source = (struct int4_source){
        .import = {.name = "layers.7.down",
                   .format = from->format,
                   .rows = from->rows,
                   .columns = from->columns,
                   .bits = from->bits,
                   .group_size = from->group_size,
                   .zero = from->zero,
                   .flags = from->flags},
        .random = seed + 1,
    };
    make_weights(source);
    make_groups(source, from);
    if (from->bias)
        make_tensor(source, BIAS, from->scales, from->rows, 1);
    if (from->shuffled)
        make_group_index(source, true);
}

void int4_source_free(struct int4_source *source)
{
    for (size_t i = 0; i < sizeof(source->blocks) / sizeof(source->blocks[0]); i++)
        free(source->blocks[i]);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/** Number `i` of `bits` bits in an array of bytes, the lowest bits first. */
static uint32_t number_at(const void *data, uint64_t i, uint32_t bits)
{
    const uint8_t *bytes = data;
    return bits == 8 ? bytes[i] : bytes[i / 2] >> (i % 2 != 0 ? 4 : 0) & 15;
}

static uint32_t element_at(const struct segue_quant_tensor *tensor, uint64_t i)
{
    const uint32_t bytes = size_of(tensor->element);
    uint32_t value = 0;
    for (uint32_t k = 0; k < bytes; k++)
        value |= (uint32_t)((const uint8_t *)tensor->data)[i * bytes + k] << (8 * k);
    return value;
}

/** Where AWQ has row `row` of eight. */
static uint32_t awq_place(uint32_t row)
{
    static const uint32_t order[] = {0, 2, 4, 6, 1, 3, 5, 7};
    uint32_t place = 0;
    while (order[place] != row % 8)
        place++;
    return place;
}

uint32_t int4_source_column(const struct int4_source *source, uint32_t column)
{
    const struct segue_quant_import *import = &source->import;
    if (!import->group_index.data)
        return column;
    // The n-th column of its group.
    uint32_t left = column % import->group_size;
    for (uint32_t k = 0; k < import->columns; k++) {
        if (element_at(&import->group_index, k) == column / import->group_size && left-- == 0)
            return k;
    }
    fail_msg("column %u is in no group", column);
    return 0;
}

static uint32_t stored_number(const struct segue_quant_import *import, uint32_t row,
                              uint32_t column)
{
    const void *data = import->weights.data;
    const uint64_t columns = import->columns, bits = import->bits;
    const uint32_t in_word = 32 / import->bits;
    const uint8_t *block =
        (const uint8_t *)data + (row * columns + column) / 32 * block_bytes(import);
    const uint32_t j = column % 32;
    switch (import->format) {
    case SEGUE_QUANT_FORMAT_ROWS_HIGH_FIRST:
        return number_at(data, row * columns + (column ^ 1), 4);
    case SEGUE_QUANT_FORMAT_GGUF_Q4_0:
        return j < 16 ? block[2 + j] & 15 : block[2 + j - 16] >> 4;
    case SEGUE_QUANT_FORMAT_GGUF_Q4_1:
        return j < 16 ? block[4 + j] & 15 : block[4 + j - 16] >> 4;
    case SEGUE_QUANT_FORMAT_GGUF_Q8_0:
        return block[2 + j];
    case SEGUE_QUANT_FORMAT_AWQ:
        return number_at(
            data, ((uint64_t)column * ((import->rows + 7) / 8) + row / 8) * 8 + awq_place(row), 4);
    case SEGUE_QUANT_FORMAT_GPTQ:
    case SEGUE_QUANT_FORMAT_GPTQ_V2:
        return number_at(
            data, ((uint64_t)(column / in_word) * import->rows + row) * in_word + column % in_word,
            (uint32_t)bits);
    default:
        return number_at(data, row * columns + column, (uint32_t)bits);
    }
}

int int4_source_number(const struct int4_source *source, uint32_t row, uint32_t column)
{
    const struct segue_quant_import *import = &source->import;
    const int stored = (int)stored_number(import, row, column);
    const bool has_sign = (import->flags & SEGUE_QUANT_IMPORT_SIGNED) != 0 ||
                          import->format == SEGUE_QUANT_FORMAT_GGUF_Q8_0;
    // The plain form: 0 to 15, or -128 to 127.
    if (import->bits == 4)
        return has_sign ? (stored + 8) % 16 : stored;
    return has_sign ? (int8_t)stored : stored - 128;
}

uint32_t int4_source_scale(const struct int4_source *source, uint32_t row, uint32_t group)
{
    const struct segue_quant_import *import = &source->import;
    const uint64_t groups = import->columns / import->group_size;
    if (is_gguf(import)) {
        const uint8_t *block =
            (const uint8_t *)import->weights.data + (row * groups + group) * block_bytes(import);
        return block[0] | (uint32_t)block[1] << 8;
    }
    return element_at(&import->scales, groups_first(import) ? group * (uint64_t)import->rows + row
                                                            : row * groups + group);
}

uint32_t int4_source_zero_bytes(const struct int4_source *source)
{
    const struct segue_quant_import *import = &source->import;
    if (is_plain(import))
        return import->zero == SEGUE_QUANT_ZERO_MIDDLE   ? 0
               : import->zero == SEGUE_QUANT_ZERO_POINTS ? 1
                                                         : size_of(import->scales.element);
    if (is_gguf(import))
        return import->format == SEGUE_QUANT_FORMAT_GGUF_Q4_1 ? 2 : 0;
    return import->zeros.data ? 1 : 0;
}

int64_t int4_source_zero(const struct int4_source *source, uint32_t row, uint32_t group)
{
    const struct segue_quant_import *import = &source->import;
    const uint64_t groups = import->columns / import->group_size;
    const uint32_t in_word = 32 / import->bits;
    const uint64_t words = (import->rows + in_word - 1) / in_word;
    const bool turned = groups_first(import);
    const uint64_t i = turned ? group * (uint64_t)import->rows + row : row * groups + group;
    if (is_gguf(import)) {
        const uint8_t *block =
            (const uint8_t *)import->weights.data + (row * groups + group) * block_bytes(import);
        return block[2] | block[3] << 8;
    }
    if (is_plain(import) && import->zero != SEGUE_QUANT_ZERO_POINTS)
        return element_at(&import->zeros, i);
    if (is_plain(import)) {
        const bool has_sign = (import->flags & SEGUE_QUANT_IMPORT_SIGNED) != 0;
        const uint32_t stored = element_at(&import->zeros, i);
        const int point = import->zeros.element == SEGUE_QUANT_ELEMENT_I32 ? (int)stored
                          : has_sign                                       ? (int8_t)stored
                                                                           : (int)stored;
        return point + (import->bits == 4 && has_sign ? 8 : 0) -
               (import->bits == 8 && !has_sign ? 128 : 0);
    }
    const uint64_t word = turned ? group * words + row / in_word : row / in_word * groups + group;
    const uint32_t place =
        import->format == SEGUE_QUANT_FORMAT_AWQ ? awq_place(row) : row % in_word;
    return (int64_t)number_at(import->zeros.data, word * in_word + place, import->bits) +
           (import->format == SEGUE_QUANT_FORMAT_GPTQ ? 1 : 0) - (import->bits == 8 ? 128 : 0);
}

const char *int4_source_name(const struct int4_source *source)
{
    static char name[160];
    const struct segue_quant_import *import = &source->import;
    snprintf(name, sizeof(name),
             "format %d, %ux%u bits %u group %u zero %d flags %u scales %d zeros %d%s",
             (int)import->format, import->rows, import->columns, import->bits, import->group_size,
             (int)import->zero, import->flags, (int)import->scales.element,
             import->zeros.data ? (int)import->zeros.element : -1,
             import->group_index.data ? " shuffled" : "");
    return name;
}

/* ---- Plain rows ------------------------------------------------------------------------------ */

static uint8_t *allocate(uint64_t size_bytes)
{
    uint8_t *memory = malloc(size_bytes != 0 ? size_bytes : 1);
    assert_non_null(memory);
    return memory;
}

struct segue_quant_plain int4_source_allocate(const struct segue_quant_plain_sizes *sizes)
{
    return (struct segue_quant_plain){allocate(sizes->weights_bytes), allocate(sizes->scales_bytes),
                                      allocate(sizes->zeros_bytes)};
}

void int4_source_free_plain(struct segue_quant_plain *plain)
{
    free(plain->weights);
    free(plain->scales);
    free(plain->zeros);
}

/* ---- Cases ----------------------------------------------------------------------------------- */

#define BF16 SEGUE_QUANT_ELEMENT_BF16
#define F16 SEGUE_QUANT_ELEMENT_F16
#define F32 SEGUE_QUANT_ELEMENT_F32
#define U8 SEGUE_QUANT_ELEMENT_U8
#define I8 SEGUE_QUANT_ELEMENT_I8
#define I32 SEGUE_QUANT_ELEMENT_I32
#define MIDDLE SEGUE_QUANT_ZERO_MIDDLE
#define POINTS SEGUE_QUANT_ZERO_POINTS
#define OFFSETS SEGUE_QUANT_ZERO_OFFSETS
#define MIDDLE_OFFSETS SEGUE_QUANT_ZERO_MIDDLE_OFFSETS
#define SIGNED SEGUE_QUANT_IMPORT_SIGNED
#define TURNED SEGUE_QUANT_IMPORT_GROUPS_FIRST
#define CASE(format, ...)                         \
    {                                             \
        SEGUE_QUANT_FORMAT_##format, __VA_ARGS__, \
    }

/** Format, rows, columns, bits, group, zero, flags, scales, zero points, zeros, bias, shuffled. */
static const struct int4_source_case cases[] = {
    CASE(ROWS, 5, 64, 4, 32, MIDDLE, 0, F32, U8, 0, 1, 0),
    CASE(ROWS, 5, 64, 4, 32, POINTS, 0, F16, U8, 0, 0, 0),
    CASE(ROWS, 70, 64, 4, 32, POINTS, SIGNED | TURNED, BF16, I8, 0, 1, 0),
    CASE(ROWS, 9, 72, 4, 72, POINTS, SIGNED, BF16, I32, 0, 0, 0),
    CASE(ROWS, 130, 128, 4, 32, OFFSETS, SIGNED | TURNED, BF16, U8, 0, 0, 0),
    CASE(ROWS, 3, 128, 4, 64, OFFSETS, 0, F32, U8, 0, 0, 0),
    CASE(ROWS, 3, 128, 4, 64, MIDDLE_OFFSETS, TURNED, F16, U8, 0, 0, 0),
    CASE(ROWS_HIGH_FIRST, 7, 64, 4, 32, MIDDLE, TURNED, F32, U8, 0, 0, 0),
    CASE(ROWS_HIGH_FIRST, 1, 40, 4, 40, OFFSETS, SIGNED, F16, U8, 0, 1, 0),
    CASE(ROWS, 6, 40, 8, 40, MIDDLE, SIGNED, F32, U8, 0, 0, 0),
    CASE(ROWS, 6, 96, 8, 32, MIDDLE, 0, BF16, U8, 0, 0, 0),
    CASE(ROWS, 6, 96, 8, 32, POINTS, SIGNED, F16, I8, 0, 1, 0),
    CASE(ROWS, 6, 96, 8, 32, POINTS, TURNED, F16, I32, 0, 0, 0),
    CASE(ROWS, 2, 96, 8, 96, OFFSETS, SIGNED, F16, U8, 0, 0, 0),
    CASE(ROWS, 2, 96, 8, 96, MIDDLE_OFFSETS, 0, F32, U8, 0, 0, 0),
    CASE(GGUF_Q4_0, 5, 96, 4, 32, MIDDLE, 0, F32, U8, 0, 1, 0),
    CASE(GGUF_Q4_0, 3, 32, 4, 32, MIDDLE, 0, F16, U8, 0, 0, 0),
    CASE(GGUF_Q4_1, 33, 160, 4, 32, MIDDLE, 0, F16, U8, 0, 0, 0),
    CASE(GGUF_Q8_0, 3, 96, 8, 32, MIDDLE, 0, F16, U8, 0, 0, 0),
    CASE(AWQ, 8, 32, 4, 32, MIDDLE, 0, F16, U8, 1, 1, 0),
    CASE(AWQ, 264, 256, 4, 128, MIDDLE, 0, F16, U8, 1, 0, 0),
    CASE(AWQ, 21, 72, 4, 72, MIDDLE, 0, BF16, U8, 1, 0, 0),
    CASE(AWQ, 137, 64, 4, 64, MIDDLE, 0, F32, U8, 0, 0, 0),
    CASE(GPTQ, 8, 32, 4, 32, MIDDLE, 0, F16, U8, 1, 1, 0),
    CASE(GPTQ, 299, 288, 4, 32, MIDDLE, 0, F16, U8, 1, 0, 0),
    CASE(GPTQ, 13, 256, 4, 64, MIDDLE, 0, F16, U8, 1, 0, 1),
    CASE(GPTQ, 160, 96, 4, 32, MIDDLE, 0, F16, U8, 0, 0, 1),
    CASE(GPTQ, 11, 72, 8, 72, MIDDLE, 0, BF16, U8, 1, 0, 0),
    CASE(GPTQ, 130, 64, 8, 32, MIDDLE, 0, F16, U8, 1, 0, 1),
    CASE(GPTQ_V2, 17, 128, 4, 128, MIDDLE, 0, F16, U8, 1, 0, 0),
    CASE(GPTQ_V2, 17, 128, 8, 64, MIDDLE, 0, F32, U8, 1, 0, 0),
    CASE(COMPRESSED_TENSORS, 9, 64, 4, 32, MIDDLE, 0, BF16, U8, 0, 1, 0),
    CASE(COMPRESSED_TENSORS, 21, 256, 4, 128, MIDDLE, 0, F16, U8, 1, 0, 0),
    CASE(COMPRESSED_TENSORS, 70, 128, 4, 32, MIDDLE, 0, F16, U8, 1, 0, 1),
    CASE(COMPRESSED_TENSORS, 6, 40, 8, 40, MIDDLE, 0, F32, U8, 1, 0, 0),
    CASE(COMPRESSED_TENSORS, 6, 128, 8, 64, MIDDLE, 0, F16, U8, 0, 0, 1),
    CASE(ROWS, 19, 256, 4, 128, MIDDLE, TURNED, BF16, U8, 0, 0, 0),
    CASE(ROWS_HIGH_FIRST, 19, 256, 4, 128, POINTS, SIGNED, F32, I8, 0, 0, 0),
    CASE(ROWS, 19, 384, 8, 128, OFFSETS, SIGNED | TURNED, BF16, U8, 0, 0, 0),
    CASE(GPTQ, 25, 384, 4, 128, MIDDLE, 0, BF16, U8, 1, 0, 1),
};

uint32_t int4_source_case_count(void)
{
    return sizeof(cases) / sizeof(cases[0]);
}

const struct int4_source_case *int4_source_case_at(uint32_t index)
{
    return &cases[index];
}
