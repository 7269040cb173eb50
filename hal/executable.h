// SPDX-License-Identifier: Apache-2.0
/**
 * @file executable.h
 * Form checks of what executables are created from.
 */
#ifndef SEGUE_HAL_EXECUTABLE_H
#define SEGUE_HAL_EXECUTABLE_H

#include "object.h"

/** Threads of a block in z, on every device. */
#define SEGUE_MAX_BLOCK_DEPTH 64

/** Everything that can be checked without the module: SEGUE_INVALID_ARGUMENT naming entry point and
 *  parameter, SEGUE_UNIMPLEMENTED where the device lacks clusters or cooperative launch. */
SEGUE_MUST_CHECK segue_status
segue_executable_check_params(segue_device *device, const struct segue_executable_params *params);

/** The declared launch sizes against what the loaded entry point allows. */
SEGUE_MUST_CHECK segue_status segue_executable_check_limits(segue_device *device,
                                                            const struct segue_entry *entry);

#endif // SEGUE_HAL_EXECUTABLE_H
