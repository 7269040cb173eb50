// SPDX-License-Identifier: Apache-2.0
/**
 * @file int4_sources.h
 * Stored matrices for tests of importing: random tensors of any format, and what each element of
 * them stands for, read one by one as docs/int4-import.md says. Every failure to allocate fails the
 * running test.
 */
#ifndef SEGUE_TEST_INT4_SOURCES_H
#define SEGUE_TEST_INT4_SOURCES_H

#include <segue/quant_import.h>

/** What a stored matrix is made of. */
struct int4_source_case {
    enum segue_quant_format format;
    uint32_t rows;
    uint32_t columns;
    uint32_t bits;
    uint32_t group_size;
    enum segue_quant_zero zero;
    uint32_t flags;
    enum segue_quant_element scales;
    /** Of plain rows with zero points. */
    enum segue_quant_element points;
    /** Of formats where they may be left out. */
    bool zeros;
    bool bias;
    /** Columns of a group are all over the row. */
    bool shuffled;
};

/** Tensors of a stored matrix: blocks of exactly their size that begin at odd addresses. */
struct int4_source {
    struct segue_quant_import import;
    uint8_t *blocks[5];
    uint64_t random;
};

void int4_source_make(struct int4_source *source, const struct int4_source_case *from,
                      uint64_t seed);
void int4_source_free(struct int4_source *source);

/** The plain form's column c is this column of the model, worked out from the group index. */
uint32_t int4_source_column(const struct int4_source *source, uint32_t column);

/** Number of the plain form at a row and a column of the model. */
int int4_source_number(const struct int4_source *source, uint32_t row, uint32_t column);

/** Bits of the scale, and zero point or bits of the offset. */
uint32_t int4_source_scale(const struct int4_source *source, uint32_t row, uint32_t group);
int64_t int4_source_zero(const struct int4_source *source, uint32_t row, uint32_t group);

/** What int4_source_zero gives: bytes of it in the plain form; 0: nothing. */
uint32_t int4_source_zero_bytes(const struct int4_source *source);

/** Describes the matrix in a static buffer, for messages. */
const char *int4_source_name(const struct int4_source *source);

/** Memory for plain rows, of exactly these sizes. */
struct segue_quant_plain int4_source_allocate(const struct segue_quant_plain_sizes *sizes);
void int4_source_free_plain(struct segue_quant_plain *plain);

/** All formats, with and without what is optional, of odd shapes. */
uint32_t int4_source_case_count(void);
const struct int4_source_case *int4_source_case_at(uint32_t index);

/** Uniform below `count`. */
uint32_t int4_source_draw(uint64_t *state, uint32_t count);

#endif // SEGUE_TEST_INT4_SOURCES_H
