// SPDX-License-Identifier: Apache-2.0
/**
 * @file dtype.h
 * Element types: sizes, names, and conversion from and to double.
 */
#ifndef SEGUE_TRACE_DTYPE_H
#define SEGUE_TRACE_DTYPE_H

#include <segue/trace.h>

#include <string.h>

#define SEGUE_DTYPE_COUNT 12

/** Whether the type is F16, BF16, F32 or F64. */
bool segue_dtype_is_float(enum segue_dtype dtype);
/** Whether the type is I8, I16, I32 or I64. */
bool segue_dtype_is_signed(enum segue_dtype dtype);
/** Names in order of the enum, for readers. */
extern const char *const segue_dtype_names[SEGUE_DTYPE_COUNT];

/** Element `index` of an array of the type as a double; 64-bit integers are rounded. */
double segue_dtype_load(enum segue_dtype dtype, const void *data, size_t index);

/** Largest finite value of a floating-point type. */
double segue_dtype_max_finite(enum segue_dtype dtype);

/** The nearest bfloat16, ties to even; NaN stays NaN (quiet). */
static inline uint16_t segue_bf16_from_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)((bits >> 16) | 0x40u);
    }
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static inline float segue_bf16_to_f32(uint16_t value)
{
    uint32_t bits = (uint32_t)value << 16;
    float result;
    memcpy(&result, &bits, sizeof(result));
    return result;
}

/** The nearest IEEE half, ties to even; too large values become infinite. */
uint16_t segue_f16_from_f32(float value);
float segue_f16_to_f32(uint16_t value);

#endif // SEGUE_TRACE_DTYPE_H
