// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <stdarg.h>
#include <string.h>

#define PROGRAM "segue-replay"
#define LINE_SIZE (SEGUE_ERROR_MESSAGE_SIZE + 512)

char *segue_replay_clean(char *text)
{
    for (unsigned char *byte = (unsigned char *)text; *byte; ++byte) {
        // C2 80 to C2 9F are the C1 controls in UTF-8.
        const bool c1 = byte[0] == 0xC2 && byte[1] >= 0x80 && byte[1] <= 0x9F;
        if (c1)
            byte[1] = '?';
        if (c1 || byte[0] < 0x20 || byte[0] == 0x7F)
            byte[0] = '?';
    }
    return text;
}

char *segue_replay_copy_clean(char *buffer, size_t size, const char *text)
{
    snprintf(buffer, size, "%s", text ? text : "");
    return segue_replay_clean(buffer);
}

int segue_replay_usage(const char *command, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    fprintf(stderr, PROGRAM ": %s%s%s; see '" PROGRAM "%s%s --help'\n", command ? command : "",
            command ? ": " : "", segue_replay_clean(line), command ? " " : "",
            command ? command : "");
    return SEGUE_REPLAY_USAGE;
}

int segue_replay_error(int exit_code, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    fprintf(stderr, PROGRAM ": %s\n", segue_replay_clean(line));
    return exit_code;
}

const char *segue_replay_message(segue_status status)
{
    const struct segue_error *error = segue_last_error();
    return error->status == status && error->message[0] ? error->message
                                                        : segue_status_name(status);
}

/** Prints a compiler's log line by line: joined into one line nobody could read it. */
static void print_compiler_log(const char *log)
{
    while (*log) {
        const int length = (int)strcspn(log, "\n");
        char line[LINE_SIZE];
        snprintf(line, sizeof(line), "%.*s", length, log);
        fprintf(stderr, "%s\n", segue_replay_clean(line));
        log += length + (log[length] == '\n');
    }
}

int segue_replay_fail(segue_status status, enum segue_replay_phase phase, const char *subject)
{
    const int exit_code = segue_replay_exit_code(status, phase);
    const char *message = segue_replay_message(status);
    // Messages about a trace begin with its path already.
    const size_t length = strlen(subject);
    if (strncmp(message, subject, length) == 0 && strncmp(message + length, ": ", 2) == 0)
        message += length + 2;
    const char *end_of_line = strchr(message, '\n');
    if (status != SEGUE_COMPILE_FAILED || !end_of_line)
        return segue_replay_error(exit_code, "%s: %s", subject, message);
    segue_replay_error(exit_code, "%s: %.*s", subject, (int)(end_of_line - message), message);
    print_compiler_log(end_of_line + 1);
    return exit_code;
}

int segue_replay_exit_code(segue_status status, enum segue_replay_phase phase)
{
    switch (status) {
    case SEGUE_OK:
        return SEGUE_REPLAY_GOOD;
    case SEGUE_HAZARD:
    case SEGUE_MISMATCH:
        return SEGUE_REPLAY_FAILED;
    case SEGUE_INVALID_ARGUMENT:
    case SEGUE_OUT_OF_RANGE:
        // The library checks what the trace says: a refused argument is the trace's fault, unless
        // it was the URI.
        if (phase == SEGUE_REPLAY_PHASE_DEVICE)
            return SEGUE_REPLAY_USAGE;
        return phase == SEGUE_REPLAY_PHASE_TRACE ? SEGUE_REPLAY_INVALID_TRACE
                                                 : SEGUE_REPLAY_UNAVAILABLE;
    case SEGUE_INVALID_STATE:
    case SEGUE_INVALID_ACCESS:
    case SEGUE_INCOMPATIBLE:
    case SEGUE_INVALID_DATA:
    case SEGUE_IO_ERROR:
        return phase == SEGUE_REPLAY_PHASE_TRACE ? SEGUE_REPLAY_INVALID_TRACE
                                                 : SEGUE_REPLAY_UNAVAILABLE;
    case SEGUE_OUT_OF_HOST_MEMORY:
    case SEGUE_OUT_OF_DEVICE_MEMORY:
    case SEGUE_UNAVAILABLE:
    case SEGUE_UNIMPLEMENTED:
    case SEGUE_NOT_FOUND:
    case SEGUE_COMPILE_FAILED:
    case SEGUE_TIMEOUT:
    case SEGUE_DEVICE_LOST:
    case SEGUE_DRIVER_ERROR:
        return SEGUE_REPLAY_UNAVAILABLE;
    }
    return SEGUE_REPLAY_UNAVAILABLE;
}

static char *format_scaled(char *buffer, size_t size, double value, double step,
                           const char *const *units, uint32_t unit_count)
{
    uint32_t unit = 0;
    for (; value >= step && unit + 1 < unit_count; ++unit)
        value /= step;
    // Three digits that mean something; whole numbers in the smallest unit.
    const int decimals = unit == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    snprintf(buffer, size, "%.*f %s", decimals, value, units[unit]);
    return buffer;
}

char *segue_replay_format_ns(char *buffer, size_t size, double time_ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    return format_scaled(buffer, size, time_ns, 1000, units, 4);
}

char *segue_replay_format_bytes(char *buffer, size_t size, double size_bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    return format_scaled(buffer, size, size_bytes, 1024, units, 5);
}
