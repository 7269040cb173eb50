// SPDX-License-Identifier: Apache-2.0
/**
 * @file device.h
 * Opening a device on any backend, and what queues do for devices.
 */
#ifndef SEGUE_HAL_DEVICE_H
#define SEGUE_HAL_DEVICE_H

#include "object.h"

/** Makes a backend; see segue_cuda_backend_open. */
typedef segue_status (*segue_backend_open_fn)(const struct segue_backend_open_params *params,
                                              struct segue_backend **out_backend);

/** segue_device_open with a backend of the caller's choice, for tests that need no driver. */
SEGUE_MUST_CHECK segue_status segue_device_open_with(segue_backend_open_fn open_backend,
                                                     const char *uri,
                                                     const struct segue_device_params *params,
                                                     segue_device **out_device);

/** A device URI taken apart. */
struct segue_device_uri {
    /** `auto`: the rest is as for `soft://`. */
    bool automatic;
    bool soft;
    uint32_t ordinal;
    /** 0 if not given. */
    int32_t soft_profile;
    uint64_t soft_seed;
};

/** SEGUE_INVALID_ARGUMENT, saying what is wrong where. */
SEGUE_MUST_CHECK segue_status segue_device_parse_uri(const char *uri,
                                                     struct segue_device_uri *out_uri);

/** Waits until every queue of the device is idle (queue.c). Called without the submission lock.
 * @return the first failure. */
SEGUE_MUST_CHECK segue_status segue_device_wait_queues(segue_device *device);

#endif // SEGUE_HAL_DEVICE_H
