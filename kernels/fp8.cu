// SPDX-License-Identifier: Apache-2.0
// What is included into every source whose kernels write fp8.

// fp8 (e4m3), to nearest even; beyond 448, and NaN, gives 448 of that sign.
__device__ __forceinline__ u8 to_e4m3(float value)
{
    const u32 bits = __float_as_uint(value) & 0x7FFFFFFFu;
    const u32 sign = __float_as_uint(value) >> 24 & 0x80;
    u32 result;
    if (bits >= 0x43E00000u) // 448
        result = 0x7E;
    else if (bits < 0x3C800000u) // 2^-6: multiples of 2^-9, which adding 2^14 rounds to.
        result = __float_as_uint(__uint_as_float(bits) + 16384.0f) & 0xFF;
    else
        result = ((bits + 0x7FFFFu + (bits >> 20 & 1)) >> 20) - (120u << 3);
    return (u8)(sign | result);
}
