// SPDX-License-Identifier: Apache-2.0
#include "dtype.h"

#include <float.h>

// Files and device memory are little-endian, and data is moved as it is.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian hosts only");

const char *const segue_dtype_names[SEGUE_DTYPE_COUNT] = {
    "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f16", "bf16", "f32", "f64",
};

const char *segue_dtype_name(enum segue_dtype dtype)
{
    return (unsigned)dtype < SEGUE_DTYPE_COUNT ? segue_dtype_names[dtype] : NULL;
}

size_t segue_dtype_size_bytes(enum segue_dtype dtype)
{
    static const uint8_t sizes[SEGUE_DTYPE_COUNT] = {1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8};
    return (unsigned)dtype < SEGUE_DTYPE_COUNT ? sizes[dtype] : 0;
}

bool segue_dtype_is_float(enum segue_dtype dtype)
{
    return dtype == SEGUE_DTYPE_F16 || dtype == SEGUE_DTYPE_BF16 || dtype == SEGUE_DTYPE_F32 ||
           dtype == SEGUE_DTYPE_F64;
}

bool segue_dtype_is_signed(enum segue_dtype dtype)
{
    return dtype == SEGUE_DTYPE_I8 || dtype == SEGUE_DTYPE_I16 || dtype == SEGUE_DTYPE_I32 ||
           dtype == SEGUE_DTYPE_I64;
}

double segue_dtype_max_finite(enum segue_dtype dtype)
{
    switch (dtype) {
    case SEGUE_DTYPE_F16:
        return 65504.0;
    case SEGUE_DTYPE_BF16:
        return (double)segue_bf16_to_f32(0x7f7f);
    case SEGUE_DTYPE_F32:
        return FLT_MAX;
    default:
        return DBL_MAX;
    }
}

uint16_t segue_f16_from_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return (uint16_t)(sign | 0x7e00u);
    }
    if (magnitude >= 0x477ff000u) { // 65520 and above round to infinity
        return (uint16_t)(sign | 0x7c00u);
    }
    if (magnitude < 0x38800000u) { // below 2^-14: subnormal, in units of 2^-24
        uint32_t exponent = magnitude >> 23;
        if (exponent < 102) { // below 2^-25
            return (uint16_t)sign;
        }
        uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
        uint32_t shift = 126 - exponent;
        uint32_t kept = mantissa >> shift;
        uint32_t rest = mantissa & ((1u << shift) - 1);
        uint32_t half = 1u << (shift - 1);
        kept += rest > half || (rest == half && (kept & 1u));
        return (uint16_t)(sign | kept);
    }
    uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
}

float segue_f16_to_f32(uint16_t value)
{
    uint32_t sign = (uint32_t)(value & 0x8000u) << 16;
    uint32_t magnitude = value & 0x7fffu;
    uint32_t bits;
    float result;
    if (magnitude < 0x400u) { // exact: the product of an integer and a power of two
        result = (float)magnitude * 0x1p-24f;
        memcpy(&bits, &result, sizeof(bits));
    } else if (magnitude < 0x7c00u) {
        bits = (magnitude << 13) + 0x38000000u;
    } else {
        bits = (magnitude << 13) | 0x7f800000u;
    }
    bits |= sign;
    memcpy(&result, &bits, sizeof(result));
    return result;
}

double segue_dtype_load(enum segue_dtype dtype, const void *data, size_t index)
{
    union {
        uint8_t u8;
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        uint32_t u32;
        int32_t i32;
        uint64_t u64;
        int64_t i64;
        float f32;
        double f64;
    } value;
    size_t size_bytes = segue_dtype_size_bytes(dtype);
    memcpy(&value, (const unsigned char *)data + index * size_bytes, size_bytes);
    switch (dtype) {
    case SEGUE_DTYPE_U8:
        return value.u8;
    case SEGUE_DTYPE_I8:
        return value.i8;
    case SEGUE_DTYPE_U16:
        return value.u16;
    case SEGUE_DTYPE_I16:
        return value.i16;
    case SEGUE_DTYPE_U32:
        return value.u32;
    case SEGUE_DTYPE_I32:
        return value.i32;
    case SEGUE_DTYPE_U64:
        return (double)value.u64;
    case SEGUE_DTYPE_I64:
        return (double)value.i64;
    case SEGUE_DTYPE_F16:
        return (double)segue_f16_to_f32(value.u16);
    case SEGUE_DTYPE_BF16:
        return (double)segue_bf16_to_f32(value.u16);
    case SEGUE_DTYPE_F32:
        return (double)value.f32;
    case SEGUE_DTYPE_F64:
        return value.f64;
    }
    return 0;
}
