// SPDX-License-Identifier: Apache-2.0
#include "kernel_cases.h"

#include "kernel_cases_build.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

size_t kernel_case_type_size(enum kernel_case_type type)
{
    switch (type) {
    case KERNEL_CASE_U8:
    case KERNEL_CASE_E4M3:
        return 1;
    case KERNEL_CASE_BF16:
        return 2;
    default:
        return 4;
    }
}

size_t kernel_case_count(const struct kernel_case_binding *binding)
{
    return binding->size_bytes / kernel_case_type_size(binding->type);
}

static float bits_to_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

double kernel_case_e4m3(uint8_t code)
{
    const int exponent = code >> 3 & 15;
    const double size = exponent == 0 ? ldexp(code & 7, -9) : ldexp((code & 7) + 8, exponent - 10);
    return code & 0x80 ? -size : size;
}

/** The code of the number nearest to `value`; of two as near, the even one. */
static uint8_t nearest_e4m3(double value)
{
    static double sizes[0x7F];
    for (uint8_t code = 0; sizes[0x7E] == 0.0 && code < 0x7F; code++)
        sizes[code] = kernel_case_e4m3(code);
    uint8_t best = 0;
    while (best < 0x7E && sizes[best + 1] <= fabs(value))
        best++;
    if (best < 0x7E) {
        const double middle = (sizes[best] + sizes[best + 1]) / 2;
        if (fabs(value) > middle || (fabs(value) == middle && best % 2 == 1))
            best++;
    }
    return signbit(value) ? best | 0x80 : best;
}

double kernel_case_value(const struct kernel_case_binding *binding, const uint8_t *data, size_t i)
{
    uint32_t bits = 0;
    const size_t size = kernel_case_type_size(binding->type);
    memcpy(&bits, data + i * size, size);
    switch (binding->type) {
    case KERNEL_CASE_BF16:
        return (double)bits_to_float(bits << 16);
    case KERNEL_CASE_F32:
        return (double)bits_to_float(bits);
    case KERNEL_CASE_E4M3:
        return kernel_case_e4m3((uint8_t)bits);
    default:
        return (double)bits;
    }
}

void kernel_case_check(const struct kernel_case *test, uint32_t index, const uint8_t *data)
{
    const struct kernel_case_binding *binding = &test->bindings[index];
    if (binding->is_scratch)
        return;
    if (!binding->expected) {
        if (memcmp(data, binding->data, binding->size_bytes) != 0)
            fail_msg("%s: binding %u has changed", test->name, index);
        return;
    }
    // Half a unit of bf16 is 2^-9 of the value; twice that for a sum on the edge of two.
    double tolerance = 0.0;
    if (!test->exact && binding->type == KERNEL_CASE_BF16)
        tolerance = 1.0 / 256;
    else if (!test->exact && binding->type == KERNEL_CASE_F32)
        tolerance = 1e-5;
    else if (!test->exact && binding->type == KERNEL_CASE_E4M3)
        tolerance = 1.0 / 15; // Half a unit is up to 2^-4 of the value.
    const size_t count = kernel_case_count(binding);
    double largest = 0.0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(binding->expected[i]));
    for (size_t i = 0; i < count; i++) {
        const double actual = kernel_case_value(binding, data, i);
        const double expected = binding->expected[i];
        // What sums lose goes with the size of what they add up, not with what is left of it.
        const double allowed = tolerance * fabs(expected) + tolerance / 100 * largest;
        const bool same = actual == expected || (isnan(actual) && isnan(expected));
        if (!same && !(fabs(actual - expected) <= allowed))
            fail_msg("%s: binding %u[%zu] is %.9g, not %.9g", test->name, index, i, actual,
                     expected);
    }
}

void kernel_case_free(struct kernel_case *test)
{
    for (uint32_t i = 0; i < test->binding_count; i++) {
        free(test->bindings[i].data);
        free(test->bindings[i].expected);
    }
}

/* ---- For the builders ------------------------------------------------------------------------ */

double kernel_case_random(struct kernel_case *test)
{
    // xorshift64*, the upper half of it.
    test->random_state ^= test->random_state >> 12;
    test->random_state ^= test->random_state << 25;
    test->random_state ^= test->random_state >> 27;
    const uint64_t bits = test->random_state * 0x2545F4914F6CDD1Du;
    return (double)(bits >> 32) / 2147483648.0 - 1.0;
}

uint32_t kernel_case_bind(struct kernel_case *test, enum kernel_case_type type, size_t count)
{
    assert_true(test->binding_count < KERNEL_CASE_MAX_BINDINGS);
    struct kernel_case_binding *binding = &test->bindings[test->binding_count];
    binding->type = type;
    binding->size_bytes = count * kernel_case_type_size(type);
    binding->data = malloc(binding->size_bytes);
    assert_non_null(binding->data);
    for (size_t i = 0; i < count; i++) {
        if (type == KERNEL_CASE_U8)
            binding->data[i] = (uint8_t)(int)floor((kernel_case_random(test) + 1.0) * 128.0);
        else
            kernel_case_set(test, test->binding_count, i, kernel_case_random(test));
    }
    return test->binding_count++;
}

void kernel_case_set(struct kernel_case *test, uint32_t index, size_t i, double value)
{
    struct kernel_case_binding *binding = &test->bindings[index];
    const float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof(bits));
    if (binding->type == KERNEL_CASE_E4M3) {
        binding->data[i] = nearest_e4m3(value);
    } else if (binding->type == KERNEL_CASE_BF16) {
        const uint16_t upper = (uint16_t)(bits >> 16);
        memcpy(binding->data + i * 2, &upper, 2);
    } else {
        if (binding->type == KERNEL_CASE_U32)
            bits = (uint32_t)fabs(value);
        memcpy(binding->data + i * 4, &bits, 4);
    }
}

double kernel_case_get(const struct kernel_case *test, uint32_t index, size_t i)
{
    const struct kernel_case_binding *binding = &test->bindings[index];
    return kernel_case_value(binding, binding->data, i);
}

double *kernel_case_expect(struct kernel_case *test, uint32_t index)
{
    struct kernel_case_binding *binding = &test->bindings[index];
    const size_t count = kernel_case_count(binding);
    binding->expected = malloc(count * sizeof(double));
    assert_non_null(binding->expected);
    for (size_t i = 0; i < count; i++)
        binding->expected[i] = kernel_case_value(binding, binding->data, i);
    return binding->expected;
}

void kernel_case_constant(struct kernel_case *test, uint32_t value)
{
    test->constants[test->constant_count++] = value;
}

void kernel_case_constant_f32(struct kernel_case *test, float value)
{
    memcpy(&test->constants[test->constant_count++], &value, sizeof(value));
}
