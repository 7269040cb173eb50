// SPDX-License-Identifier: Apache-2.0
/**
 * @file plans.h
 * Plans for tests: constants whose words follow from the number of an input, packed by the sum of
 * two of them (the test kernel ADD).
 */
#ifndef SEGUE_TEST_PREPACK_PLANS_H
#define SEGUE_TEST_PREPACK_PLANS_H

#include "test.h"

#include <segue/prepack.h>

/** Every constant's size: not a multiple of anything much. */
#define TEST_PLAN_WORDS 5000u
#define TEST_PLAN_BYTES ((uint64_t)TEST_PLAN_WORDS * 4)

/** Number n at place n. */
extern uint32_t test_plan_numbers[16];

/** Word i of an input. */
uint32_t test_plan_word(uint32_t input, uint64_t i);
/** A generator; the context points at the input's number. */
bool test_plan_generate(void *context, uint64_t offset_bytes, void *data, size_t length_bytes);
/** A generated input; its identity is its number. */
struct segue_prepack_source test_plan_generated(uint32_t input, uint64_t size_bytes);
/** Packing by ADD. */
struct segue_prepack_packing test_plan_packing(struct segue_test *test);
segue_prepack_plan *test_plan_make(struct segue_test *test,
                                   const struct segue_prepack_params *params);
/** Adds a constant that is not packed. Returns its index. */
uint32_t test_plan_add(segue_prepack_plan *plan, const char *name,
                       struct segue_prepack_source source, segue_buffer *destination);
/** Adds the sum of two inputs. */
uint32_t test_plan_add_sum(struct segue_test *test, segue_prepack_plan *plan, const char *name,
                           uint32_t left, uint32_t right);
void test_plan_read(segue_buffer *buffer, uint32_t *out_words, uint32_t count);
/** Checks that a constant holds input `left`, plus input `right` unless that is UINT32_MAX. */
void test_plan_check(segue_prepack_plan *plan, uint32_t constant, uint32_t left, uint32_t right);
/** The same for one of another size. */
void test_plan_check_words(segue_prepack_plan *plan, uint32_t constant, uint32_t left,
                           uint32_t right, uint32_t count);
struct segue_prepack_stats test_plan_stats(const segue_prepack_plan *plan);
/** Memory that the device's objects have, by its own count. */
struct segue_memory_stats test_plan_memory(struct segue_test *test);
/** Destroys a plan that failed and checks that nothing is left of it: not a byte, its point not
 *  reached, and not a file in the cache's folder (NULL: it had none). */
void test_plan_check_nothing_is_left(struct segue_test *test, segue_prepack_plan *plan,
                                     const char *folder);
/** Waits for the plan's point. */
void test_plan_wait(segue_prepack_plan *plan);

#endif // SEGUE_TEST_PREPACK_PLANS_H
