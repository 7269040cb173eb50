// SPDX-License-Identifier: Apache-2.0
// Linked into a test program in the place of segue_raise (linker option --wrap): appends where each
// failure is raised, as FILE:LINE, to $SEGUE_TEST_SITES, if that is set.
#include <segue/base.h>

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

segue_status __real_segue_raise(segue_device *device, segue_status status, int32_t driver_result,
                                const char *file, int line, const char *format, ...)
    SEGUE_PRINTF(6, 7);
segue_status __wrap_segue_raise(segue_device *device, segue_status status, int32_t driver_result,
                                const char *file, int line, const char *format, ...)
    SEGUE_PRINTF(6, 7);

static void note(const char *file, int line)
{
    const char *path = getenv("SEGUE_TEST_SITES");
    int descriptor = path ? open(path, O_WRONLY | O_APPEND | O_CREAT, 0666) : -1;
    if (descriptor < 0)
        return;
    dprintf(descriptor, "%s:%d\n", file, line);
    close(descriptor);
}

segue_status __wrap_segue_raise(segue_device *device, segue_status status, int32_t driver_result,
                                const char *file, int line, const char *format, ...)
{
    char message[SEGUE_ERROR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(message, sizeof(message), format, arguments) < 0)
        message[0] = '\0';
    va_end(arguments);
    note(file, line);
    return __real_segue_raise(device, status, driver_result, file, line, "%s", message);
}
