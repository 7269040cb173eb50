// SPDX-License-Identifier: Apache-2.0
#include "status.h"

#include "object.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct segue_error thread_error;
static _Thread_local struct segue_tolerance *tolerance;

const char *segue_status_name(segue_status status)
{
    static const char *const names[] = {
        [SEGUE_OK] = "SEGUE_OK",
        [SEGUE_INVALID_ARGUMENT] = "SEGUE_INVALID_ARGUMENT",
        [SEGUE_OUT_OF_RANGE] = "SEGUE_OUT_OF_RANGE",
        [SEGUE_INVALID_STATE] = "SEGUE_INVALID_STATE",
        [SEGUE_INVALID_ACCESS] = "SEGUE_INVALID_ACCESS",
        [SEGUE_HAZARD] = "SEGUE_HAZARD",
        [SEGUE_OUT_OF_HOST_MEMORY] = "SEGUE_OUT_OF_HOST_MEMORY",
        [SEGUE_OUT_OF_DEVICE_MEMORY] = "SEGUE_OUT_OF_DEVICE_MEMORY",
        [SEGUE_UNAVAILABLE] = "SEGUE_UNAVAILABLE",
        [SEGUE_UNIMPLEMENTED] = "SEGUE_UNIMPLEMENTED",
        [SEGUE_NOT_FOUND] = "SEGUE_NOT_FOUND",
        [SEGUE_INCOMPATIBLE] = "SEGUE_INCOMPATIBLE",
        [SEGUE_COMPILE_FAILED] = "SEGUE_COMPILE_FAILED",
        [SEGUE_TIMEOUT] = "SEGUE_TIMEOUT",
        [SEGUE_DEVICE_LOST] = "SEGUE_DEVICE_LOST",
        [SEGUE_DRIVER_ERROR] = "SEGUE_DRIVER_ERROR",
        [SEGUE_IO_ERROR] = "SEGUE_IO_ERROR",
        [SEGUE_INVALID_DATA] = "SEGUE_INVALID_DATA",
        [SEGUE_MISMATCH] = "SEGUE_MISMATCH",
    };
    if ((size_t)status >= sizeof names / sizeof names[0])
        return "unknown status";
    return names[status];
}

const struct segue_error *segue_last_error(void)
{
    // Static strings are part of the contract, before the first failure, too.
    if (!thread_error.file)
        thread_error.file = "";
    return &thread_error;
}

void segue_set_last_error(const struct segue_error *error)
{
    // `error` may be what segue_last_error returned.
    memmove(&thread_error, error, sizeof thread_error);
}

void segue_tolerate(struct segue_tolerance *inner, const char *instead,
                    bool (*covers)(segue_status status))
{
    inner->outer = tolerance;
    inner->instead = instead;
    inner->covers = covers;
    inner->has_kept = false;
    tolerance = inner;
}

void segue_tolerate_end(struct segue_tolerance *inner)
{
    tolerance = inner->outer;
    if (inner->has_kept)
        thread_error = inner->kept;
}

void segue_tolerate_refuse(struct segue_tolerance *inner)
{
    tolerance = inner->outer;
    if (tolerance && inner->has_kept && !tolerance->has_kept) {
        tolerance->kept = inner->kept;
        tolerance->has_kept = true;
    }
}

/** The innermost tolerance that covers a failure of this thread; NULL: it is no tolerated one. */
static const struct segue_tolerance *find_tolerance(segue_status status)
{
    const struct segue_tolerance *found = tolerance;
    while (found && found->covers && !found->covers(status))
        found = found->outer;
    return found;
}

/** Hands `text` to the callback line by line; writes zeros over its line ends. */
static void log_lines(segue_device *device, enum segue_log_level level, char *text)
{
    while (text) {
        char *end = strchr(text, '\n');
        if (end)
            *end = '\0';
        if (*text != '\0' || end)
            device->log(device->log_context, level, text);
        text = end ? end + 1 : NULL;
    }
}

/** Formats and logs; what does not fit on the stack is allocated, or cut when that fails. */
static void log_formatted(segue_device *device, enum segue_log_level level, const char *prefix,
                          const char *format, va_list arguments)
{
    char text[1024];
    size_t prefix_length = strlen(prefix);
    va_list again;
    va_copy(again, arguments);
    memcpy(text, prefix, prefix_length);
    int length = vsnprintf(text + prefix_length, sizeof text - prefix_length, format, arguments);
    size_t size_bytes = prefix_length + (length < 0 ? 0 : (size_t)length) + 1;
    char *full = NULL;
    if (size_bytes > sizeof text)
        full = segue_allocate(&device->allocator, size_bytes);
    if (full) {
        memcpy(full, prefix, prefix_length);
        vsnprintf(full + prefix_length, size_bytes - prefix_length, format, again);
        log_lines(device, level, full);
        segue_release(&device->allocator, full, size_bytes);
    } else {
        log_lines(device, level, text);
    }
    va_end(again);
}

void segue_log(segue_device *device, enum segue_log_level level, const char *format, ...)
{
    if (!device || !device->log)
        return;
    va_list arguments;
    va_start(arguments, format);
    log_formatted(device, level, "", format, arguments);
    va_end(arguments);
}

/** Keeps the failure on the device, and the first one that lost it. */
static void note_on_device(segue_device *device)
{
    pthread_mutex_lock(&device->state_lock);
    device->last_error = thread_error;
    if (thread_error.status == SEGUE_DEVICE_LOST && !atomic_load(&device->lost)) {
        size_t length = strnlen(thread_error.message, sizeof device->lost_reason - 1);
        memcpy(device->lost_reason, thread_error.message, length);
        device->lost_reason[length] = '\0';
        atomic_store(&device->lost, SEGUE_DEVICE_LOST);
    }
    pthread_mutex_unlock(&device->state_lock);
}

/** Logs a failure: all of it, or, where it is tolerated, what fits into a message and what happens
 *  instead. */
static void log_failure(segue_device *device, segue_status status, const char *message,
                        const char *format, va_list arguments)
{
    char prefix[64];
    const struct segue_tolerance *tolerated = find_tolerance(status);
    snprintf(prefix, sizeof prefix, "%s: ", segue_status_name(status));
    if (!tolerated)
        log_formatted(device, device->failure_level, prefix, format, arguments);
    else if (device->failure_level > SEGUE_LOG_WARNING)
        segue_log(device, device->failure_level, "%s%s; %s", prefix, message, tolerated->instead);
    else
        segue_log(device, SEGUE_LOG_WARNING, "%s%s; %s", prefix, message, tolerated->instead);
}

segue_status segue_raise(segue_device *device, segue_status status, int32_t driver_result,
                         const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);

    // First on the stack: the arguments may point into the thread's last message.
    char message[SEGUE_ERROR_MESSAGE_SIZE];
    va_list again;
    va_copy(again, arguments);
    if (vsnprintf(message, sizeof message, format, again) < 0)
        message[0] = '\0';
    va_end(again);

    if (device && device->log)
        log_failure(device, status, message, format, arguments);
    va_end(arguments);

    if (tolerance && !tolerance->has_kept) {
        tolerance->kept = thread_error;
        tolerance->has_kept = true;
    }
    thread_error.status = status;
    thread_error.driver_result = driver_result;
    thread_error.file = file;
    thread_error.line = line;
    memcpy(thread_error.message, message, strlen(message) + 1);
    if (device)
        note_on_device(device);
    return status;
}
