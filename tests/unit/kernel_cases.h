// SPDX-License-Identifier: Apache-2.0
/**
 * @file kernel_cases.h
 * Launches of the decode kernels with what they must leave behind, computed in double precision
 * straight from the formulas. They are run through the C references (test_kernels.c) and on a
 * device (test_kernels_device.c).
 */
#ifndef SEGUE_TEST_KERNEL_CASES_H
#define SEGUE_TEST_KERNEL_CASES_H

#include <segue/kernels.h>

#define KERNEL_CASE_MAX_BINDINGS 8

enum kernel_case_type {
    KERNEL_CASE_U8,
    KERNEL_CASE_BF16,
    KERNEL_CASE_F32,
    KERNEL_CASE_U32,
    /** fp8; its NaN, which the kernels do not know, is never used. */
    KERNEL_CASE_E4M3,
};

struct kernel_case_binding {
    enum kernel_case_type type;
    /** Bytes before the launch. Exactly what the kernel may touch. */
    uint8_t *data;
    size_t size_bytes;
    /** Elements after it; NULL: as before, bit by bit. */
    double *expected;
    /** Memory to work in: what is in it afterwards does not matter. */
    bool is_scratch;
    /** No kernel before writes it but for these bytes. */
    bool is_settled;
    size_t late_offset;
    size_t late_bytes;
};

struct kernel_case {
    char name[96];
    enum segue_decode_kernel kernel;
    uint32_t grid;
    /** No tolerance. */
    bool exact;
    /** Four bytes each, integers or floats. */
    uint32_t constants[8];
    uint32_t constant_count;
    struct kernel_case_binding bindings[KERNEL_CASE_MAX_BINDINGS];
    uint32_t binding_count;
    /** Fields that builders use for themselves: state of the random numbers. */
    uint64_t random_state;
};

size_t kernel_case_type_size(enum kernel_case_type type);
size_t kernel_case_count(const struct kernel_case_binding *binding);

/** Element as a number; of `data`, which has the binding's type. */
double kernel_case_value(const struct kernel_case_binding *binding, const uint8_t *data, size_t i);

/** Fails the running test where `data` (the binding's memory after the launch) is not as expected:
 *  integers exactly, others within what one rounding and the order of sums may cost. */
void kernel_case_check(const struct kernel_case *test, uint32_t binding, const uint8_t *data);

void kernel_case_free(struct kernel_case *test);

/** Number of cases, the kernel of case `index`, and the case itself, which the caller frees. */
uint32_t kernel_case_total(void);
enum segue_decode_kernel kernel_case_kernel(uint32_t index);
void kernel_case_make(uint32_t index, struct kernel_case *out_case);

#endif // SEGUE_TEST_KERNEL_CASES_H
