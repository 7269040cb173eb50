// SPDX-License-Identifier: Apache-2.0
/**
 * @file status.h
 * Raising and passing on failures inside Segue.
 */
#ifndef SEGUE_HAL_STATUS_H
#define SEGUE_HAL_STATUS_H

#include <segue/base.h>

/** Records a failure for the thread and (unless NULL) the device, logs it, returns `status`. Logged
 *  as an error, it is what the call in progress returns; what is not returned is tolerated (below),
 *  and logged as a warning. */
segue_status segue_raise(segue_device *device, segue_status status, int32_t driver_result,
                         const char *file, int line, const char *format, ...) SEGUE_PRINTF(6, 7);

/** `return segue_fail(device, SEGUE_OUT_OF_RANGE, "offset %" PRIu64 " …", …);` */
#define segue_fail(device, status, ...) \
    segue_raise((device), (status), 0, __FILE__, __LINE__, __VA_ARGS__)

/** The same for a failed driver or compiler call. */
#define segue_fail_driver(device, status, driver_result, ...) \
    segue_raise((device), (status), (int32_t)(driver_result), __FILE__, __LINE__, __VA_ARGS__)

/** Makes `error` the thread's last failure: raising a latched one again, or, with a copy taken
 * earlier, forgetting one that was nobody's. Not logged. */
void segue_set_last_error(const struct segue_error *error);

/**
 * A stretch of code whose failures the call in progress will not return: because something is being
 * given up, there is another way, or somebody else is told. On the stack of its thread; may nest.
 */
struct segue_tolerance {
    struct segue_tolerance *outer;
    /** What happens instead; ends each line of the log. */
    const char *instead;
    /** Which statuses are tolerated; NULL: all. */
    bool (*covers)(segue_status status);
    /** The thread's last error from before, once a failure has taken its place. */
    bool has_kept;
    struct segue_error kept;
};

/** From here on failures of this thread that are covered are logged as warnings. They are still
 *  returned, and are the thread's and the device's last error. segue_tolerate_end or _refuse must
 *  follow. `instead` must live until then. */
void segue_tolerate(struct segue_tolerance *tolerance, const char *instead,
                    bool (*covers)(segue_status status));
/** Ends it, and puts back the thread's last error: the caller never failed. */
void segue_tolerate_end(struct segue_tolerance *tolerance);
/** Ends it where the failure is returned after all, which `covers` has left out. */
void segue_tolerate_refuse(struct segue_tolerance *tolerance);

/** Writes to the device's log callback, if it has one; a text of several lines line by line. */
void segue_log(segue_device *device, enum segue_log_level level, const char *format, ...)
    SEGUE_PRINTF(3, 4);

#endif // SEGUE_HAL_STATUS_H
