// SPDX-License-Identifier: Apache-2.0
/**
 * @file int4_cases.h
 * Quantised matrices and vectors for tests, and their products in double precision straight from
 * the plain form. Every failure to allocate fails the running test.
 */
#ifndef SEGUE_TEST_INT4_CASES_H
#define SEGUE_TEST_INT4_CASES_H

#include <segue/quant.h>

/** A matrix in plain form. */
struct int4_case {
    struct segue_quant_matrix matrix;
    struct segue_quant_plain_sizes sizes;
    struct segue_quant_plain plain;
    /** State of the random numbers. */
    uint64_t random;
};

/** How numbers are drawn. */
enum int4_flavour {
    /** x in [-1, 1), scales about 1/200. */
    INT4_USUAL,
    /** x about 100. */
    INT4_LARGE_MEAN,
    /** Scales are denormal numbers of their type, x is large. */
    INT4_DENORMAL_SCALES,
    /** x in [-1, 1), but for one number that is far larger. */
    INT4_OUTLIER,
    INT4_FLAVOUR_COUNT,
};

/** Whether the results are numbers of their type (a product of two gates with denormal scales is
 * 0), and the flavour shows something that it does not show of other shapes. */
bool int4_flavour_fits(const struct segue_quant_gemv_params *params, enum int4_flavour flavour);

void int4_case_make(struct int4_case *test, const struct segue_quant_matrix *matrix,
                    enum int4_flavour flavour, uint64_t seed);
void int4_case_free(struct int4_case *test);

/** Uniform in [-1, 1). */
double int4_random(uint64_t *state);

/** The weight that the plain form stands for. */
double int4_case_weight(const struct int4_case *test, uint32_t row, uint32_t column);

/** Reads and writes an element of an array of that type. */
double int4_load(const void *array, enum segue_quant_type type, size_t i);
void int4_store(void *array, enum segue_quant_type type, size_t i, double value);

/** A product and what it must come to. */
struct int4_product {
    struct segue_quant_gemv_params params;
    enum int4_flavour flavour;
    /** [batch][columns], of the type that the kernel reads. */
    uint8_t *x;
    size_t x_bytes;
    /** NULL where the flags do not ask for it. */
    uint8_t *norm;
    uint8_t *bias;
    uint8_t *residual;
    float *frequencies;
    uint32_t *positions;
    /** What caches of fp8 are counted in, [k, v][head]. */
    float *kv_scales;
    /** Of k and of v, before. */
    uint8_t *caches[2];
    size_t cache_count;
    size_t out_count;
    double *expected;
    /** NAN: as before. */
    double *expected_caches[2];
};

/** @param params  its matrix is taken from `test`. */
void int4_product_make(struct int4_product *product, struct int4_case *test,
                       const struct segue_quant_gemv_params *params, enum int4_flavour flavour);
void int4_product_free(struct int4_product *product);

/** ||out - expected|| / ||expected||, of results as the kernel stored them; infinite where any is
 *  not a number. */
double int4_product_error(const struct int4_product *product, const uint8_t *out);
/** What the error may be. */
double int4_product_tolerance(const struct int4_product *product);
/** Fails the running test where the error is larger. */
void int4_product_check(const struct int4_product *product, const uint8_t *out);

/** The same for a cache: 0 is that of k. What is not written must not change. */
void int4_product_check_cache(const struct int4_product *product, uint32_t which,
                              const uint8_t *cache);
/** Fails it where the tokens are not those of the results. */
void int4_product_check_tokens(const struct int4_product *product, const uint8_t *out,
                               const uint32_t *tokens);

/** Describes a product in a static buffer, for messages. */
const char *int4_product_name(const struct segue_quant_gemv_params *params);

/** The formats and odd shapes that all tests go through. */
uint32_t int4_shape_count(void);
struct segue_quant_gemv_params int4_shape(uint32_t index);

#endif // SEGUE_TEST_INT4_CASES_H
