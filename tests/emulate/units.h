// SPDX-License-Identifier: Apache-2.0
/**
 * @file units.h
 * What is compiled for the emulator: a unit is one source with one set of options, and has the name
 * under which emulate_run finds its kernels. The generator (generate.c) writes all of them; a new
 * kernel is a row here (units.c).
 */
#ifndef SEGUE_TEST_EMULATE_UNITS_H
#define SEGUE_TEST_EMULATE_UNITS_H

#include "gemv_plan.h"

#define EMULATE_MAX_KERNELS 32

struct emulate_unit {
    char name[48];
    /** The text itself, or, where that is NULL, the path of a file under the repository. */
    const char *source;
    const char *path;
    /** What __CUDA_ARCH__ is, e.g. 900. */
    uint32_t architecture;
    /** "-DNAME=value" */
    char options[GEMV_OPTION_COUNT][GEMV_OPTION_BYTES];
    uint32_t option_count;
    const char *kernels[EMULATE_MAX_KERNELS];
    uint32_t kernel_count;
};

uint32_t emulate_unit_count(void);
void emulate_unit_make(uint32_t index, struct emulate_unit *out_unit);

/** A product of quantised matrices: a shape of int4_cases.h on an architecture. */
struct emulate_product {
    uint32_t shape;
    uint32_t architecture;
    /** What the launch is given, as on a device of few multiprocessors. */
    struct segue_quant_gemv_constants constants;
    struct gemv_plan plan;
    char unit[48];
};

uint32_t emulate_product_count(void);
void emulate_product_make(uint32_t index, struct emulate_product *out_product);

#endif // SEGUE_TEST_EMULATE_UNITS_H
