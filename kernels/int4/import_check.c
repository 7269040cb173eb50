// SPDX-License-Identifier: Apache-2.0
// What a description of a stored matrix may say. The facts of each format are in
// docs/int4-import.md.
#include "import.h"

#include "layout.h"
#include "number.h"

#include <inttypes.h>
#include <stdio.h>

#define BIT(element) (1u << SEGUE_QUANT_ELEMENT_##element)
#define FLOATS (BIT(BF16) | BIT(F16) | BIT(F32))

static const struct {
    const char *name;
    /** 0: both. */
    uint32_t bits;
    enum import_weights weights;
    /** Of GGUF: block and head. */
    uint32_t block_bytes;
    uint32_t head_bytes;
    bool groups_first;
    bool has_group_index;
} formats[] = {
    [SEGUE_QUANT_FORMAT_ROWS] = {"ROWS", 0, IMPORT_ROWS, 0, 0, false, false},
    [SEGUE_QUANT_FORMAT_ROWS_HIGH_FIRST] = {"ROWS_HIGH_FIRST", 4, IMPORT_ROWS, 0, 0, false, false},
    [SEGUE_QUANT_FORMAT_GGUF_Q4_0] = {"GGUF_Q4_0", 4, IMPORT_BLOCKS, 18, 2, false, false},
    [SEGUE_QUANT_FORMAT_GGUF_Q4_1] = {"GGUF_Q4_1", 4, IMPORT_BLOCKS, 20, 4, false, false},
    [SEGUE_QUANT_FORMAT_GGUF_Q8_0] = {"GGUF_Q8_0", 8, IMPORT_BLOCKS, 34, 2, false, false},
    [SEGUE_QUANT_FORMAT_AWQ] = {"AWQ", 4, IMPORT_WORDS_OF_ROWS, 0, 0, true, false},
    [SEGUE_QUANT_FORMAT_GPTQ] = {"GPTQ", 0, IMPORT_WORDS_OF_COLUMNS, 0, 0, true, true},
    [SEGUE_QUANT_FORMAT_GPTQ_V2] = {"GPTQ_V2", 0, IMPORT_WORDS_OF_COLUMNS, 0, 0, true, true},
    [SEGUE_QUANT_FORMAT_COMPRESSED_TENSORS] = {"COMPRESSED_TENSORS", 0, IMPORT_ROWS, 0, 0, false,
                                               true},
};

static const char *const element_names[] = {"BF16", "F16", "F32", "U8", "I8", "I32"};
static const uint32_t element_bytes[] = {2, 2, 4, 1, 1, 4};
#define ELEMENT_COUNT (sizeof(element_bytes) / sizeof(element_bytes[0]))

static const char *name_of(const struct segue_quant_import *import)
{
    return import->name ? import->name : "matrix";
}

static bool is_plain_rows(const struct segue_quant_import *import)
{
    return import->format <= SEGUE_QUANT_FORMAT_ROWS_HIGH_FIRST;
}

/* ---- Tensors --------------------------------------------------------------------------------- */

/** What the format says of a tensor. */
struct expected {
    const char *name;
    const struct segue_quant_tensor *tensor;
    /** Bits of the elements that it may have; 0: the format has no such tensor. */
    uint32_t elements;
    bool optional;
    uint64_t shape[2];
};

/** A shape of one dimension or with a 1 in it is the same as {n, 1}. */
static void normalise(uint64_t shape[2])
{
    if (shape[1] == 0)
        shape[1] = 1;
    if (shape[0] != 1)
        return;
    shape[0] = shape[1];
    shape[1] = 1;
}

static segue_status check_element(const struct segue_quant_import *import,
                                  const struct expected *expected)
{
    const unsigned element = (unsigned)expected->tensor->element;
    if (element < ELEMENT_COUNT && (expected->elements & 1u << element))
        return SEGUE_OK;
    char known[32] = "";
    for (uint32_t i = 0, used = 0; i < ELEMENT_COUNT; i++) {
        if (expected->elements & 1u << i)
            used += (uint32_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "",
                                       element_names[i]);
    }
    return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                      "matrix \"%s\": %s has elements of type %s (%u); it can have %s here",
                      name_of(import), expected->name,
                      element < ELEMENT_COUNT ? element_names[element] : "unknown", element, known);
}

static segue_status check_tensor(const struct segue_quant_import *import,
                                 const struct expected *expected)
{
    const struct segue_quant_tensor *tensor = expected->tensor;
    const char *name = name_of(import);
    if (!tensor->data) {
        if (expected->elements == 0 || expected->optional)
            return SEGUE_OK;
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "matrix \"%s\": %s.data is NULL", name,
                          expected->name);
    }
    if (expected->elements == 0)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": %s is given; format %s with zero %d has none: leave it "
                          "NULL",
                          name, expected->name, formats[import->format].name, (int)import->zero);
    const segue_status status = check_element(import, expected);
    if (status != SEGUE_OK)
        return status;
    uint64_t shape[2] = {tensor->shape[0], tensor->shape[1]};
    uint64_t wanted[2] = {expected->shape[0], expected->shape[1]};
    normalise(shape);
    normalise(wanted);
    if ((tensor->shape[0] | tensor->shape[1]) != 0 &&
        (shape[0] != wanted[0] || shape[1] != wanted[1]))
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": %s has shape [%u, %u]; format %s has [%" PRIu64
                          ", %" PRIu64 "] for %u rows of %u columns",
                          name, expected->name, tensor->shape[0], tensor->shape[1],
                          formats[import->format].name, expected->shape[0], expected->shape[1],
                          import->rows, import->columns);
    const uint64_t size_bytes =
        expected->shape[0] * expected->shape[1] * element_bytes[tensor->element];
    if (tensor->size_bytes != size_bytes)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": %s has %" PRIu64 " bytes; %" PRIu64 " x %" PRIu64
                          " of %s are %" PRIu64,
                          name, expected->name, tensor->size_bytes, expected->shape[0],
                          expected->shape[1], element_names[tensor->element], size_bytes);
    return SEGUE_OK;
}

static struct expected expect_weights(const struct import_plan *plan)
{
    const struct segue_quant_import *import = plan->import;
    const uint64_t rows = import->rows, columns = import->columns;
    const uint64_t words = columns * import->bits / 32;
    struct expected expected = {.name = "weights", .tensor = &import->weights};
    switch (plan->weights) {
    case IMPORT_ROWS:
        if (is_plain_rows(import)) {
            expected.elements = BIT(U8) | BIT(I8);
            expected.shape[1] = columns * import->bits / 8;
        } else {
            expected.elements = BIT(I32);
            expected.shape[1] = words;
        }
        expected.shape[0] = rows;
        break;
    case IMPORT_BLOCKS:
        expected.elements = BIT(U8);
        expected.shape[0] = rows;
        expected.shape[1] = columns / GGUF_COLUMNS * plan->block_bytes;
        break;
    case IMPORT_WORDS_OF_ROWS:
        expected.elements = BIT(I32);
        expected.shape[0] = columns;
        expected.shape[1] = (rows + 7) / 8;
        break;
    case IMPORT_WORDS_OF_COLUMNS:
        expected.elements = BIT(I32);
        expected.shape[0] = words;
        expected.shape[1] = rows;
        break;
    }
    return expected;
}

static void turn_if(bool turn, uint64_t shape[2])
{
    const uint64_t first = shape[0];
    if (!turn)
        return;
    shape[0] = shape[1];
    shape[1] = first;
}

static struct expected expect_zeros(const struct import_plan *plan)
{
    const struct segue_quant_import *import = plan->import;
    struct expected expected = {
        .name = "zeros", .tensor = &import->zeros, .shape = {import->rows, plan->groups}};
    if (plan->zeros == IMPORT_POINTS)
        expected.elements = BIT(U8) | BIT(I8) | BIT(I32);
    else if (plan->zeros == IMPORT_OFFSETS)
        expected.elements = 1u << import->scales.element;
    else if (!is_plain_rows(import) && plan->weights != IMPORT_BLOCKS) {
        expected.elements = BIT(I32);
        expected.optional = true;
        expected.shape[0] = ((uint64_t)import->rows * import->bits + 31) / 32;
    }
    turn_if(plan->groups_first, expected.shape);
    return expected;
}

static segue_status check_tensors(const struct import_plan *plan)
{
    const struct segue_quant_import *import = plan->import;
    struct expected scales = {"scales",
                              &import->scales,
                              plan->weights == IMPORT_BLOCKS ? 0 : FLOATS,
                              false,
                              {import->rows, plan->groups}};
    turn_if(plan->groups_first, scales.shape);
    segue_status status = check_tensor(import, &scales);
    if (status != SEGUE_OK)
        return status;
    const struct expected others[] = {
        expect_weights(plan),
        expect_zeros(plan),
        {"bias", &import->bias, FLOATS, true, {import->rows, 1}},
        {"group_index",
         &import->group_index,
         formats[import->format].has_group_index ? BIT(I32) : 0,
         true,
         {import->columns, 1}},
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && status == SEGUE_OK; i++)
        status = check_tensor(import, &others[i]);
    return status;
}

/* ---- Formats --------------------------------------------------------------------------------- */

static segue_status check_format(const struct segue_quant_import *import)
{
    const char *name = name_of(import);
    if ((unsigned)import->format >= sizeof(formats) / sizeof(formats[0]))
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": format is %d; use a value of segue_quant_format", name,
                          (int)import->format);
    const uint32_t bits = formats[import->format].bits;
    if ((import->bits != 4 && import->bits != 8) || (bits != 0 && import->bits != bits))
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": bits is %u; format %s has %s", name, import->bits,
                          formats[import->format].name,
                          bits == 4   ? "4"
                          : bits == 8 ? "8"
                                      : "4 or 8");
    const uint32_t known = SEGUE_QUANT_IMPORT_SIGNED | SEGUE_QUANT_IMPORT_GROUPS_FIRST;
    if (import->flags & ~known)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": flags is 0x%x; use bits of segue_quant_import_flags",
                          name, import->flags);
    if (!is_plain_rows(import) && (import->flags != 0 || import->zero != 0))
        return quant_fail(
            NULL, SEGUE_INVALID_ARGUMENT,
            "matrix \"%s\": flags is 0x%x and zero is %d; format %s says both itself: "
            "leave them 0",
            name, import->flags, (int)import->zero, formats[import->format].name);
    if (formats[import->format].weights == IMPORT_BLOCKS && import->group_size != GGUF_COLUMNS)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": group_size is %u; format %s has %d", name,
                          import->group_size, formats[import->format].name, GGUF_COLUMNS);
    return SEGUE_OK;
}

/** What the numbers of plain rows stand for in the plain form. */
static segue_status plan_plain_rows(struct import_plan *plan)
{
    const struct segue_quant_import *import = plan->import;
    const bool has_sign = (import->flags & SEGUE_QUANT_IMPORT_SIGNED) != 0;
    const bool wide = import->bits == 8;
    // The plain form has bytes with and nibbles without a sign.
    if (has_sign != wide) {
        plan->flip = wide ? 0x80 : 0x88;
        plan->zero_shift = wide ? -128 : 8;
    }
    plan->high_first = import->format == SEGUE_QUANT_FORMAT_ROWS_HIGH_FIRST;
    plan->groups_first = (import->flags & SEGUE_QUANT_IMPORT_GROUPS_FIRST) != 0;
    plan->matrix.zero = import->zero;
    switch (import->zero) {
    case SEGUE_QUANT_ZERO_MIDDLE:
        return SEGUE_OK;
    case SEGUE_QUANT_ZERO_POINTS:
        plan->zeros = IMPORT_POINTS;
        return SEGUE_OK;
    case SEGUE_QUANT_ZERO_OFFSETS:
        plan->zeros = IMPORT_OFFSETS;
        if (wide && !has_sign)
            break;
        if (has_sign && !wide)
            plan->matrix.zero = SEGUE_QUANT_ZERO_MIDDLE_OFFSETS;
        return SEGUE_OK;
    case SEGUE_QUANT_ZERO_MIDDLE_OFFSETS:
        plan->zeros = IMPORT_OFFSETS;
        if (has_sign)
            break;
        if (wide)
            plan->matrix.zero = SEGUE_QUANT_ZERO_OFFSETS;
        return SEGUE_OK;
    }
    return quant_fail(NULL, SEGUE_INVALID_ARGUMENT,
                      "matrix \"%s\": zero is %d; rows of %u bits %s a sign cannot have it",
                      name_of(import), (int)import->zero, import->bits,
                      has_sign ? "with" : "without");
}

static void plan_format(struct import_plan *plan)
{
    const struct segue_quant_import *import = plan->import;
    switch (plan->weights) {
    case IMPORT_BLOCKS:
        plan->matrix.scale_type = SEGUE_QUANT_F16;
        if (import->format == SEGUE_QUANT_FORMAT_GGUF_Q4_1) {
            plan->zeros = IMPORT_BLOCK_OFFSETS;
            plan->matrix.zero = SEGUE_QUANT_ZERO_OFFSETS;
        }
        return;
    case IMPORT_ROWS:
    case IMPORT_WORDS_OF_ROWS:
    case IMPORT_WORDS_OF_COLUMNS:
        break;
    }
    plan->flip = import->bits == 8 ? 0x80 : 0;
    plan->zero_shift = import->bits == 8 ? -128 : 0;
    plan->zero_shift += import->format == SEGUE_QUANT_FORMAT_GPTQ ? 1 : 0;
    if (import->zeros.data) {
        plan->zeros = IMPORT_WORDS;
        plan->matrix.zero = SEGUE_QUANT_ZERO_POINTS;
    }
}

segue_status segue_quant_import_plan(const struct segue_quant_import *import,
                                     struct import_plan *out_plan)
{
    if (!import)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "import is NULL");
    segue_status status = check_format(import);
    if (status != SEGUE_OK)
        return status;
    struct import_plan plan = {
        .import = import,
        .matrix = {.name = import->name,
                   .rows = import->rows,
                   .columns = import->columns,
                   .bits = import->bits,
                   .group_size = import->group_size},
        .weights = formats[import->format].weights,
        .block_bytes = formats[import->format].block_bytes,
        .head_bytes = formats[import->format].head_bytes,
        .groups_first = formats[import->format].groups_first,
    };
    // Of the shape alone: the rest is not known yet.
    status = segue_quant_check(&plan.matrix);
    if (status != SEGUE_OK)
        return status;
    plan.groups = import->columns / import->group_size;
    if (is_plain_rows(import))
        status = plan_plain_rows(&plan);
    else
        plan_format(&plan);
    if (status == SEGUE_OK)
        status = check_tensors(&plan);
    if (status != SEGUE_OK)
        return status;
    if (plan.weights != IMPORT_BLOCKS)
        plan.matrix.scale_type = (enum segue_quant_type)import->scales.element;
    *out_plan = plan;
    return SEGUE_OK;
}
