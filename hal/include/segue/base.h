// SPDX-License-Identifier: Apache-2.0
/**
 * @file base.h
 * What every other Segue header needs: export and checking attributes, the status codes, the last
 * error, the log callback and the allocator.
 *
 * General rules, said once here and true everywhere unless a function says otherwise:
 *
 * - Functions that can fail return a segue_status, write nothing to their `out_` parameters unless
 *   they return SEGUE_OK, leak nothing on failure and leave their objects usable. Breaking a
 *   documented condition is reported as a status in every build; it is never an assert.
 * - Handles are opaque. `_create` and `_open` give the caller one handle; `_destroy` gives it up.
 *   `_destroy(NULL)` does nothing. What recorded or in-flight work still needs stays alive inside
 *   until that work ends, so a handle may be given up right after a submission.
 * - Structs passed in, and all they point to, need only live until the function returns, unless the
 *   field says "not copied". A zero-initialised struct means defaults.
 * - Sizes and offsets are in bytes, times in nanoseconds.
 * - Thread-safety: functions may be called from any thread. Objects are internally synchronised
 *   except segue_command_buffer, which the caller must not use from two threads at once.
 */
#ifndef SEGUE_BASE_H
#define SEGUE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Version of these headers: docs/releasing.md says what a step of each number means. */
#define SEGUE_VERSION_MAJOR 0
/** See SEGUE_VERSION_MAJOR. */
#define SEGUE_VERSION_MINOR 1
/** See SEGUE_VERSION_MAJOR. */
#define SEGUE_VERSION_PATCH 0

/** Marks what the shared libraries export. */
#if defined(SEGUE_STATIC)
#define SEGUE_API
#elif defined(__GNUC__)
#define SEGUE_API __attribute__((visibility("default")))
#else
#define SEGUE_API
#endif

/** The result must be looked at: ignoring it is a compiler warning. */
#if defined(__GNUC__)
#define SEGUE_MUST_CHECK __attribute__((warn_unused_result))
/** Arguments are checked against the format. */
#define SEGUE_PRINTF(format_index, first_argument) \
    __attribute__((format(printf, format_index, first_argument)))
#else
#define SEGUE_MUST_CHECK
#define SEGUE_PRINTF(format_index, first_argument)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** A GPU or the software driver: device.h. */
typedef struct segue_device segue_device;
/** A handle on memory: buffer.h. */
typedef struct segue_buffer segue_buffer;
/** Loaded device code: executable.h. */
typedef struct segue_executable segue_executable;
/** A timeline between submissions and the host: sync.h. */
typedef struct segue_semaphore segue_semaphore;
/** A mark between commands: sync.h. */
typedef struct segue_event segue_event;
/** A list of commands: command_buffer.h. */
typedef struct segue_command_buffer segue_command_buffer;
/** Runs submissions: queue.h. */
typedef struct segue_queue segue_queue;

/** "To the end of the buffer" wherever a length is asked for. */
#define SEGUE_WHOLE_SIZE UINT64_MAX
/** "For ever" wherever a timeout is asked for. */
#define SEGUE_TIMEOUT_INFINITE UINT64_MAX

/** Outcome of a call. Values are stable; new ones are added at the end. */
typedef enum segue_status {
    SEGUE_OK = 0,
    /** An argument breaks a documented condition. */
    SEGUE_INVALID_ARGUMENT = 1,
    /** An offset, length, index or slot lies outside its object. */
    SEGUE_OUT_OF_RANGE = 2,
    /** The object is not in a state that allows the call (not recording, not ended, failed, …). */
    SEGUE_INVALID_STATE = 3,
    /** A buffer is used in a way that its usage, memory type or a declared access forbids. */
    SEGUE_INVALID_ACCESS = 4,
    /** Full validation found two unordered commands with conflicting ranges. */
    SEGUE_HAZARD = 5,
    SEGUE_OUT_OF_HOST_MEMORY = 6,
    SEGUE_OUT_OF_DEVICE_MEMORY = 7,
    /** A driver, compiler, device or kernel is not there; the message says which and why. */
    SEGUE_UNAVAILABLE = 8,
    /** Segue or the driver in use cannot do this (yet); the README lists these limits. */
    SEGUE_UNIMPLEMENTED = 9,
    SEGUE_NOT_FOUND = 10,
    /** A loaded module and its declared parameter list disagree. */
    SEGUE_INCOMPATIBLE = 11,
    /** The device compiler refused the source; the message carries its log. */
    SEGUE_COMPILE_FAILED = 12,
    SEGUE_TIMEOUT = 13,
    /** The device failed for good. Sticky: every later call on the device returns it. */
    SEGUE_DEVICE_LOST = 14,
    /** The driver returned an error that no other status describes; see driver_result. */
    SEGUE_DRIVER_ERROR = 15,
    SEGUE_IO_ERROR = 16,
    /** A file's content is not valid (traces, safetensors). */
    SEGUE_INVALID_DATA = 17,
    /** Results do not match what was expected (trace verification). */
    SEGUE_MISMATCH = 18,
} segue_status;

/** Name of a status, e.g. "SEGUE_OUT_OF_RANGE". Never NULL. */
SEGUE_API const char *segue_status_name(segue_status status);

/** Room for a message, its terminating zero included. */
#define SEGUE_ERROR_MESSAGE_SIZE 4096

/** All that is known of one failure. */
struct segue_error {
    segue_status status;
    /** The raw CUresult or nvrtcResult behind the failure, 0 if none was involved. */
    int32_t driver_result;
    /** Where in Segue the failure was raised. Static strings. */
    const char *file;
    int32_t line;
    /** Names the object, the offending value and what to do. Zero-terminated, cut to fit. */
    char message[SEGUE_ERROR_MESSAGE_SIZE];
};

/**
 * The last failure on the calling thread; status SEGUE_OK and an empty message if there was none.
 * Valid until the thread's next failing call. A call that succeeds leaves it alone.
 */
SEGUE_API const struct segue_error *segue_last_error(void);

/** How grave a line of the log is. */
enum segue_log_level {
    /** What the call in progress returns. */
    SEGUE_LOG_ERROR = 0,
    /** A failure that the call goes on without, or that another call will return; says which. */
    SEGUE_LOG_WARNING = 1,
    SEGUE_LOG_INFO = 2,
    SEGUE_LOG_DEBUG = 3,
};

/** Receives one line without a line end. May be called from any thread that uses the device, and
 *  while Segue holds locks: it must not call back into Segue. */
typedef void (*segue_log_fn)(void *context, enum segue_log_level level, const char *message);

/**
 * Host memory for Segue's own objects. Must be thread-safe and outlive all objects made with it.
 * `align_bytes` is a power of two. `allocate` returns NULL when out of memory, which Segue turns
 * into SEGUE_OUT_OF_HOST_MEMORY. `size_bytes` at release is the size asked for.
 */
struct segue_allocator {
    void *(*allocate)(void *context, size_t size_bytes, size_t align_bytes);
    void (*release)(void *context, void *pointer, size_t size_bytes);
    void *context;
};

/* ---- For libraries on top of Segue ----------------------------------------------------------- */

/**
 * Raises a failure as Segue itself would: it becomes the thread's last error, the device's (unless
 * `device` is NULL), and goes to the log.
 * @param file     static string, as __FILE__.
 * @param message  copied, cut to fit.
 * @return `status`, so that a caller may return the call.
 */
SEGUE_API segue_status segue_report_error(segue_device *device, segue_status status,
                                          const char *file, int line, const char *message);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_BASE_H
