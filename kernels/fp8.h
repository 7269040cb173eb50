// SPDX-License-Identifier: Apache-2.0
/**
 * @file fp8.h
 * fp8 as the kernels of caches write and read it.
 */
#ifndef SEGUE_KERNELS_FP8_H
#define SEGUE_KERNELS_FP8_H

#include <stdint.h>
#include <string.h>

/** fp8 with four bits of exponent and three of mantissa, as the kernels read it: no NaN, 0x7F is
 * 480.
 */
static inline float e4m3_to_float(uint8_t value)
{
    // The bits where f32 has its own; its exponent counts from 120 more.
    const uint32_t bits = (uint32_t)(value & 0x80) << 24 | (uint32_t)(value & 0x7F) << 20;
    float small;
    memcpy(&small, &bits, sizeof(small));
    return small * 0x1p120f;
}

/** To nearest even; beyond 448, and NaN, gives 448 of that sign. */
static inline uint8_t e4m3_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    const uint8_t sign = (uint8_t)(bits >> 24 & 0x80);
    bits &= 0x7FFFFFFFu;
    if (bits >= 0x43E00000u) // 448
        return sign | 0x7E;
    if (bits < 0x3C800000u) { // 2^-6: multiples of 2^-9, which adding 2^14 rounds to
        float small;
        memcpy(&small, &bits, sizeof(small));
        const float rounded = small + 16384.0f;
        memcpy(&bits, &rounded, sizeof(bits));
        return sign | (uint8_t)(bits & 0xFF);
    }
    bits += 0x7FFFFu + (bits >> 20 & 1);
    return sign | (uint8_t)((bits >> 20) - (120u << 3));
}

#endif // SEGUE_KERNELS_FP8_H
