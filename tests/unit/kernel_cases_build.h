// SPDX-License-Identifier: Apache-2.0
/**
 * @file kernel_cases_build.h
 * What the builders of kernel cases (kernel_cases_list.c) need.
 */
#ifndef SEGUE_TEST_KERNEL_CASES_BUILD_H
#define SEGUE_TEST_KERNEL_CASES_BUILD_H

#include "kernel_cases.h"

/** Uniform in [-1, 1). */
double kernel_case_random(struct kernel_case *test);

/** Adds a binding of `count` random elements; returns its index. */
uint32_t kernel_case_bind(struct kernel_case *test, enum kernel_case_type type, size_t count);

/** Sets and gets an element before the launch. */
void kernel_case_set(struct kernel_case *test, uint32_t index, size_t i, double value);
double kernel_case_get(const struct kernel_case *test, uint32_t index, size_t i);

/** The number that an fp8 code stands for. */
double kernel_case_e4m3(uint8_t code);

/** The expected elements, which start as those before the launch. */
double *kernel_case_expect(struct kernel_case *test, uint32_t index);

void kernel_case_constant(struct kernel_case *test, uint32_t value);
void kernel_case_constant_f32(struct kernel_case *test, float value);

#endif // SEGUE_TEST_KERNEL_CASES_BUILD_H
