// SPDX-License-Identifier: Apache-2.0
/**
 * @file device.hpp
 * CUDA C++ for a host compiler: what the kernels' sources use of it.
 */
#ifndef SEGUE_TEST_EMULATE_DEVICE_HPP
#define SEGUE_TEST_EMULATE_DEVICE_HPP

#include "runtime.hpp"

#include <cmath>

#define __global__ [[maybe_unused]] static
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __align__(bytes) alignas(bytes)
#define __launch_bounds__(...)
#define __cluster_dims__(...)
// All of it is poisoned before a block. In templates and inline functions a section cannot be
// given: static shared memory belongs into the kernel itself.
#define __shared__ static __attribute__((section("emulated_shared"), used))

#define threadIdx ::emulate::thread_index
#define blockIdx ::emulate::block_index
#define blockDim ::emulate::block_size
#define gridDim ::emulate::grid_size
#define warpSize 32

struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) ulonglong2 {
    unsigned long long x, y;
};

inline uint2 make_uint2(unsigned x, unsigned y)
{
    return {x, y};
}
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w)
{
    return {x, y, z, w};
}
inline float2 make_float2(float x, float y)
{
    return {x, y};
}
inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}

/* ---- Numbers --------------------------------------------------------------------------------- */

// Of values: of the names a and b, which are of one type mostly, it would be a reference to one.
template <typename A, typename B> inline auto min(A a, B b) -> decltype(true ? A() : B())
{
    return a < b ? a : b;
}
template <typename A, typename B> inline auto max(A a, B b) -> decltype(true ? A() : B())
{
    return a < b ? b : a;
}

inline float __int_as_float(int value)
{
    return emulate::float_of_bits((unsigned)value);
}
inline float __uint_as_float(unsigned value)
{
    return emulate::float_of_bits(value);
}
inline int __float_as_int(float value)
{
    return (int)emulate::bits_of_float(value);
}
inline unsigned __float_as_uint(float value)
{
    return emulate::bits_of_float(value);
}
inline float __expf(float value)
{
    return expf(value);
}
inline float __sinf(float value)
{
    return sinf(value);
}
inline float __cosf(float value)
{
    return cosf(value);
}
inline float __logf(float value)
{
    return logf(value);
}
inline float __fdividef(float a, float b)
{
    return a / b;
}
inline float rsqrtf(float value)
{
    return 1.0f / sqrtf(value);
}
inline float __frcp_rn(float value)
{
    return 1.0f / value;
}
inline float __fmul_rn(float a, float b)
{
    return a * b;
}
inline float __fadd_rn(float a, float b)
{
    return a + b;
}
inline float __uint2float_rn(unsigned value)
{
    return (float)value;
}
inline unsigned __umulhi(unsigned a, unsigned b)
{
    return (unsigned)((unsigned long long)a * b >> 32);
}
inline unsigned __popc(unsigned value)
{
    return (unsigned)__builtin_popcount(value);
}
inline int __ffs(unsigned value)
{
    return __builtin_ffs((int)value);
}
inline int __clz(unsigned value)
{
    return value ? __builtin_clz(value) : 32;
}
inline int __clzll(unsigned long long value)
{
    return value ? __builtin_clzll(value) : 64;
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift)
{
    return (unsigned)(((unsigned long long)high << 32 | low) >> (shift & 31));
}
unsigned __byte_perm(unsigned a, unsigned b, unsigned selector);

/* ---- Threads that meet ----------------------------------------------------------------------- */

inline void __syncthreads(int line = __builtin_LINE())
{
    emulate::meet_block(line, false);
}
inline int __syncthreads_count(int predicate, int line = __builtin_LINE())
{
    return (int)emulate::meet_block(line, predicate != 0);
}
inline int __syncthreads_or(int predicate, int line = __builtin_LINE())
{
    return emulate::meet_block(line, predicate != 0) != 0;
}
inline int __syncthreads_and(int predicate, int line = __builtin_LINE())
{
    return emulate::meet_block(line, predicate == 0) == 0;
}
void __syncwarp(unsigned mask = 0xFFFFFFFFu);
unsigned __ballot_sync(unsigned mask, int predicate);
inline int __any_sync(unsigned mask, int predicate)
{
    return __ballot_sync(mask, predicate) != 0;
}
inline int __all_sync(unsigned mask, int predicate)
{
    return __ballot_sync(mask, !predicate) == 0;
}
unsigned __reduce_max_sync(unsigned mask, unsigned value);
unsigned __reduce_min_sync(unsigned mask, unsigned value);
unsigned __reduce_add_sync(unsigned mask, unsigned value);
unsigned __reduce_or_sync(unsigned mask, unsigned value);

namespace emulate
{

enum shuffle_kind { SHUFFLE_INDEX, SHUFFLE_UP, SHUFFLE_DOWN, SHUFFLE_XOR };
uint64_t shuffle(shuffle_kind kind, uint32_t mask, uint64_t bits, uint32_t by, uint32_t width);

template <typename T>
inline T shuffle_value(shuffle_kind kind, uint32_t mask, T value, uint32_t by, uint32_t width)
{
    static_assert(sizeof(T) <= 8, "a shuffle moves at most eight bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(value));
    bits = shuffle(kind, mask, bits, by, width);
    memcpy(&value, &bits, sizeof(value));
    return value;
}

} // namespace emulate

template <typename T> inline T __shfl_sync(unsigned mask, T value, unsigned lane, int width = 32)
{
    return emulate::shuffle_value(emulate::SHUFFLE_INDEX, mask, value, lane, (unsigned)width);
}
template <typename T> inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    return emulate::shuffle_value(emulate::SHUFFLE_UP, mask, value, by, (unsigned)width);
}
template <typename T> inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    return emulate::shuffle_value(emulate::SHUFFLE_DOWN, mask, value, by, (unsigned)width);
}
template <typename T> inline T __shfl_xor_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    return emulate::shuffle_value(emulate::SHUFFLE_XOR, mask, value, by, (unsigned)width);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

// Fences order what other blocks see; blocks run one after the other here.
inline void __threadfence()
{
    emulate::yield();
}
inline void __threadfence_block()
{
    emulate::yield();
}

template <typename T> inline T __ldg(const T *address)
{
    emulate::check_read(address, sizeof(T), true, "__ldg");
    return *address;
}
template <typename T> inline T __ldcs(const T *address)
{
    return *address;
}
template <typename T> inline T __ldcg(const T *address)
{
    return *address;
}
template <typename T> inline void __stcg(T *address, T value)
{
    *address = value;
}

inline size_t __cvta_generic_to_shared(const void *pointer)
{
    return emulate::shared_address(pointer);
}

template <typename T, typename V> inline T atomicAdd(T *address, V value)
{
    emulate::yield();
    const T old = *address;
    *address = old + (T)value;
    return old;
}
template <typename T, typename V> inline T atomicMax(T *address, V value)
{
    emulate::yield();
    const T old = *address;
    *address = old < (T)value ? (T)value : old;
    return old;
}
template <typename T, typename V> inline T atomicMin(T *address, V value)
{
    emulate::yield();
    const T old = *address;
    *address = (T)value < old ? (T)value : old;
    return old;
}
template <typename T, typename V> inline T atomicOr(T *address, V value)
{
    emulate::yield();
    const T old = *address;
    *address = old | (T)value;
    return old;
}
template <typename T, typename V> inline T atomicExch(T *address, V value)
{
    emulate::yield();
    const T old = *address;
    *address = (T)value;
    return old;
}
template <typename T, typename C, typename V> inline T atomicCAS(T *address, C compare, V value)
{
    emulate::yield();
    const T old = *address;
    if (old == (T)compare)
        *address = (T)value;
    return old;
}
// Wraps to 0 after `limit`.
inline unsigned atomicInc(unsigned *address, unsigned limit)
{
    emulate::yield();
    const unsigned old = *address;
    *address = old >= limit ? 0 : old + 1;
    return old;
}

/* ---- What the translator writes -------------------------------------------------------------- */

namespace emulate
{

template <typename T> inline operand asm_in(T value)
{
    static_assert(sizeof(T) <= 8, "an operand has at most eight bytes");
    operand result = {nullptr, sizeof(T), 0};
    memcpy(&result.value, &value, sizeof(T));
    return result;
}
template <typename T> inline operand asm_out(T &variable)
{
    return {&variable, sizeof(T), 0};
}
template <typename... Operands> inline void assembly(code *parsed, Operands... operands)
{
    operand all[] = {operands..., operand{}};
    run_assembly(parsed, all);
}

template <typename T> constexpr size_t place_after(size_t offset)
{
    return (offset + alignof(T) - 1) / alignof(T) * alignof(T);
}

template <typename T> inline T take_parameter(const uint8_t *parameters, size_t *offset)
{
    T value;
    *offset = place_after<T>(*offset);
    memcpy(&value, parameters + *offset, sizeof(T));
    *offset += sizeof(T);
    return value;
}

/** Registers a kernel. */
template <typename... Parameters> struct registration {
    kernel entry;
    registration(const char *unit, const char *name, void (*function)(Parameters...))
    {
        size_t size_bytes = 0;
        ((size_bytes = place_after<Parameters>(size_bytes) + sizeof(Parameters)), ...);
        entry = {unit, name, (const void *)function, call, size_bytes, nullptr};
        add_kernel(&entry);
    }
    static void call(const void *function, const uint8_t *parameters)
    {
        [[maybe_unused]] size_t offset = 0;
        struct holder {
            void (*function)(Parameters...);
            // Braces keep the order of the parameters.
            holder(void (*function_)(Parameters...), Parameters... values) : function(function_)
            {
                function(values...);
            }
        };
        holder{(void (*)(Parameters...))function,
               take_parameter<Parameters>(parameters, &offset)...};
    }
};

template <typename... Parameters>
registration(const char *, const char *, void (*)(Parameters...)) -> registration<Parameters...>;

} // namespace emulate

#define EMULATE_CODE(text)                                                \
    [] {                                                                  \
        static ::emulate::code *parsed = ::emulate::parse_assembly(text); \
        return parsed;                                                    \
    }()

#endif // SEGUE_TEST_EMULATE_DEVICE_HPP
