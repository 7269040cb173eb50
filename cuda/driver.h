// SPDX-License-Identifier: Apache-2.0
/**
 * @file driver.h
 * libcuda, or the software driver in its place, loaded at run time.
 */
#ifndef SEGUE_CUDA_DRIVER_H
#define SEGUE_CUDA_DRIVER_H

#include "backend.h"
#include "driver_table.h"

#include <cuda.h>
#include <cudaTypedefs.h>

/** The oldest driver supported, as cuDriverGetVersion counts. */
#define SEGUE_OLDEST_DRIVER 12040

/**
 * The driver's functions, one member for each name in driver_table.h; optional ones may be NULL.
 * cuda.h maps some names to versioned ones by macro: that works on members and calls alike, as
 * long as both are compiled with cuda.h.
 */
struct segue_driver {
    void *library;
    /** cuDriverGetVersion. */
    int32_t version;
    /** NULL unless this is the software driver. */
    const struct segue_soft_api *soft;
#define SEGUE_DRIVER_MEMBER(name, abi) PFN_##name##_v##abi name;
    SEGUE_DRIVER_CALLS(SEGUE_DRIVER_MEMBER)
    SEGUE_DRIVER_OPTIONAL_CALLS(SEGUE_DRIVER_MEMBER)
#undef SEGUE_DRIVER_MEMBER
};

/**
 * Loads the driver that `params` ask for and resolves every function with cuGetProcAddress at the
 * version of the table. Initialises nothing. `params->device` may be NULL.
 * @return SEGUE_UNAVAILABLE with the reason: no such file, older than 12.4, a function missing.
 */
segue_status segue_driver_load(const struct segue_backend_open_params *params,
                               struct segue_driver *out_driver);

/** Gives the library back; the functions must not be called any more. */
void segue_driver_unload(struct segue_driver *driver);

#endif // SEGUE_CUDA_DRIVER_H
