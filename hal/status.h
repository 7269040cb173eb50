// SPDX-License-Identifier: Apache-2.0
/**
 * @file status.h
 * Raising and passing on failures inside Segue.
 */
#ifndef SEGUE_HAL_STATUS_H
#define SEGUE_HAL_STATUS_H

#include <segue/base.h>

/** Records a failure for the thread and (unless NULL) the device, logs it, returns `status`. */
segue_status segue_raise(segue_device *device, segue_status status, int32_t driver_result,
                         const char *file, int line, const char *format, ...) SEGUE_PRINTF(6, 7);

/** `return segue_fail(device, SEGUE_OUT_OF_RANGE, "offset %" PRIu64 " …", …);` */
#define segue_fail(device, status, ...) \
    segue_raise((device), (status), 0, __FILE__, __LINE__, __VA_ARGS__)

/** The same for a failed driver or compiler call. */
#define segue_fail_driver(device, status, driver_result, ...) \
    segue_raise((device), (status), (int32_t)(driver_result), __FILE__, __LINE__, __VA_ARGS__)

/** Makes `error` the thread's last failure: raising a latched one again, or, with a copy taken
 * earlier, forgetting a failure that was handled. Not logged. */
void segue_set_last_error(const struct segue_error *error);

/** Writes to the device's log callback, if it has one; a text of several lines line by line. */
void segue_log(segue_device *device, enum segue_log_level level, const char *format, ...)
    SEGUE_PRINTF(3, 4);

#endif // SEGUE_HAL_STATUS_H
