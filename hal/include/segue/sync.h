// SPDX-License-Identifier: Apache-2.0
/**
 * @file sync.h
 * Timeline semaphores (between submissions and with the host) and events (inside and between
 * command buffers).
 */
#ifndef SEGUE_SYNC_H
#define SEGUE_SYNC_H

#include <segue/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A timeline semaphore: a 64-bit value that only grows. Submissions and the host wait until it has
 * reached a value and raise it to a value. A wait may come before the signal is submitted.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_semaphore_create(segue_device *device,
                                                               uint64_t initial_value,
                                                               segue_semaphore **out_semaphore);

/** Gives up the handle; in-flight work that waits on it or signals it goes on. */
SEGUE_API void segue_semaphore_destroy(segue_semaphore *semaphore);

/**
 * The value reached so far. @return the failure of the submission that should have signalled it, if
 * that failed (sticky), else SEGUE_OK.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_semaphore_query(segue_semaphore *semaphore,
                                                              uint64_t *out_value);

/**
 * Raises the value from the host. Submissions that waited for it are issued before this returns.
 * @return SEGUE_INVALID_ARGUMENT if `value` is not above the current value and every value that a
 *         pending submission will signal.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_semaphore_signal(segue_semaphore *semaphore,
                                                               uint64_t value);

/**
 * Blocks until the value is reached.
 * @param timeout_ns  0 polls (and records no error for SEGUE_TIMEOUT); SEGUE_TIMEOUT_INFINITE waits for ever.
 * @return SEGUE_TIMEOUT; or the failure of the submission that should have signalled it.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_semaphore_wait(segue_semaphore *semaphore,
                                                             uint64_t value, uint64_t timeout_ns);

/**
 * An event: signalled, reset and waited for by commands (segue_cmd_signal_event and its
 * neighbours). Inside one command buffer a signal and a later wait make a split barrier. A wait on
 * an event that an earlier submission signalled orders after that submission, on any queue. Starts
 * unsignalled.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_event_create(segue_device *device,
                                                           segue_event **out_event);

/** Gives up the handle; recorded and in-flight work that names it goes on. */
SEGUE_API void segue_event_destroy(segue_event *event);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_SYNC_H
