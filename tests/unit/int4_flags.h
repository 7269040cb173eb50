// SPDX-License-Identifier: Apache-2.0
/**
 * @file int4_flags.h
 * What quant.h says of sets of flags of products, and a small product for each set.
 */
#ifndef SEGUE_TEST_INT4_FLAGS_H
#define SEGUE_TEST_INT4_FLAGS_H

#include <segue/quant.h>

/** Sets of flags are the numbers below it. */
#define INT4_FLAG_SETS 256u

/** Whether the flags may go together. */
bool int4_flags_fit(uint32_t flags);

/** A product with these flags, whether or not they fit; types of vectors and results differ from
 * set to set. */
struct segue_quant_gemv_params int4_flags_shape(uint32_t flags);

#endif // SEGUE_TEST_INT4_FLAGS_H
