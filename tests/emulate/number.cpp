// SPDX-License-Identifier: Apache-2.0
// Conversions between f32 and the narrow types, by the definition of the formats.
#include "runtime.hpp"

#include <cmath>

namespace emulate
{

float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/** `value` as a number with `mantissa_bits` and the least exponent `min_exponent`, to nearest even:
 *  a multiple of the unit at its size. */
static float round_to(float value, int mantissa_bits, int min_exponent)
{
    int exponent;
    frexp((double)value, &exponent);
    exponent = exponent - 1 < min_exponent ? min_exponent : exponent - 1;
    const double unit = ldexp(1.0, exponent - mantissa_bits);
    return (float)(nearbyint((double)value / unit) * unit);
}

float float_of_f16(uint16_t value)
{
    const int exponent = value >> 10 & 31;
    const int mantissa = value & 1023;
    float result;
    if (exponent == 31)
        result = mantissa ? NAN : INFINITY;
    else if (exponent == 0)
        result = ldexpf((float)mantissa, -24);
    else
        result = ldexpf((float)(mantissa + 1024), exponent - 25);
    return value >> 15 ? -result : result;
}

uint16_t f16_of_float(float value)
{
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    if (std::isnan(value))
        return 0x7FFF;
    const float rounded = fabsf(round_to(value, 10, -14));
    if (rounded > 65504.0f)
        return sign | 0x7C00;
    if (rounded < ldexpf(1.0f, -14))
        return sign | (uint16_t)ldexpf(rounded, 24);
    int exponent;
    const float fraction = frexpf(rounded, &exponent);
    return (uint16_t)(sign | (exponent + 14) << 10 | ((int)ldexpf(fraction, 11) - 1024));
}

float float_of_bf16(uint16_t value)
{
    return float_of_bits((uint32_t)value << 16);
}

uint16_t bf16_of_float(float value)
{
    const uint32_t bits = bits_of_float(value);
    if (std::isnan(value))
        return 0x7FFF;
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1)) >> 16);
}

float float_of_e4m3(uint8_t value)
{
    const int exponent = value >> 3 & 15;
    const int mantissa = value & 7;
    float result;
    if (exponent == 15 && mantissa == 7)
        result = NAN;
    else if (exponent == 0)
        result = ldexpf((float)mantissa, -9);
    else
        result = ldexpf((float)(mantissa + 8), exponent - 10);
    return value >> 7 ? -result : result;
}

uint8_t e4m3_of_float(float value)
{
    const uint8_t sign = std::signbit(value) ? 0x80 : 0;
    if (std::isnan(value))
        return 0x7F;
    const float rounded = std::isinf(value) ? 448.0f : fminf(fabsf(round_to(value, 3, -6)), 448.0f);
    if (rounded < ldexpf(1.0f, -6))
        return sign | (uint8_t)ldexpf(rounded, 9);
    int exponent;
    const float fraction = frexpf(rounded, &exponent);
    return (uint8_t)(sign | (exponent + 6) << 3 | ((int)ldexpf(fraction, 4) - 8));
}

} // namespace emulate
