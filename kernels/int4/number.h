// SPDX-License-Identifier: Apache-2.0
/**
 * @file number.h
 * The 16-bit floating point formats in C.
 */
#ifndef SEGUE_KERNELS_NUMBER_H
#define SEGUE_KERNELS_NUMBER_H

#include <segue/quant.h>

#include <string.h>

static inline float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline float bf16_to_float(uint16_t value)
{
    return float_of_bits((uint32_t)value << 16);
}

/** To nearest even; NaN stays NaN. */
static inline uint16_t bf16_from_float(float value)
{
    const uint32_t bits = bits_of_float(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
        return (uint16_t)((bits >> 16) | 0x40);
    return (uint16_t)((bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16);
}

static inline float f16_to_float(uint16_t value)
{
    const uint32_t sign = (uint32_t)(value & 0x8000u) << 16;
    const uint32_t rest = value & 0x7FFFu;
    if (rest >= 0x7C00u) // Infinity and NaN.
        return float_of_bits(sign | 0x7F800000u | (rest & 0x3FFu) << 13);
    // 2^112 moves the exponent to where f32 has it, denormal numbers included.
    const float magnitude = float_of_bits(rest << 13) * 0x1p112f;
    return float_of_bits(sign | bits_of_float(magnitude));
}

/** To nearest even; NaN stays NaN. */
static inline uint16_t f16_from_float(float value)
{
    const uint32_t bits = bits_of_float(value);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t rest = bits & 0x7FFFFFFFu;
    if (rest > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u);
    if (rest >= 0x477FF000u) // From half way between the largest number and the next on.
        return (uint16_t)(sign | 0x7C00u);
    if (rest < 0x38800000u) // Denormal: adding 0.5 leaves units of 2^-24 at the end.
        return (uint16_t)(sign | (bits_of_float(float_of_bits(rest) + 0.5f) - 0x3F000000u));
    return (uint16_t)(sign | ((rest - 0x38000000u + 0xFFFu + (rest >> 13 & 1)) >> 13));
}

static inline uint32_t quant_type_bytes(enum segue_quant_type type)
{
    return type == SEGUE_QUANT_F32 ? 4 : 2;
}

/** Element `i` of an array of that type. */
static inline float quant_load(const void *array, enum segue_quant_type type, uint64_t i)
{
    uint16_t half;
    float single;
    if (type == SEGUE_QUANT_F32) {
        memcpy(&single, (const char *)array + i * 4, sizeof(single));
        return single;
    }
    memcpy(&half, (const char *)array + i * 2, sizeof(half));
    return type == SEGUE_QUANT_BF16 ? bf16_to_float(half) : f16_to_float(half);
}

static inline void quant_store(void *array, enum segue_quant_type type, uint64_t i, float value)
{
    if (type == SEGUE_QUANT_F32) {
        memcpy((char *)array + i * 4, &value, sizeof(value));
        return;
    }
    const uint16_t half = type == SEGUE_QUANT_BF16 ? bf16_from_float(value) : f16_from_float(value);
    memcpy((char *)array + i * 2, &half, sizeof(half));
}

#endif // SEGUE_KERNELS_NUMBER_H
