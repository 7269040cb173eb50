// SPDX-License-Identifier: Apache-2.0
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/** Length in bytes of the control character at `text`, 0 if it is none. */
static size_t control_length(const unsigned char *text)
{
    if (text[0] < 0x20 || text[0] == 0x7f)
        return 1;
    return text[0] == 0xc2 && text[1] >= 0x80 && text[1] <= 0x9f ? 2 : 0;
}

bool segue_prepack_is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (control_length((const unsigned char *)text) != 0)
            return false;
    }
    return true;
}

segue_status segue_prepack_raise(segue_device *device, segue_status status, const char *file,
                                 int line, const char *format, ...)
{
    char message[SEGUE_ERROR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(message, sizeof(message), format, arguments) < 0)
        message[0] = '\0';
    va_end(arguments);
    for (char *text = message; *text != '\0';) {
        size_t length = control_length((const unsigned char *)text);
        memset(text, '?', length);
        text += length != 0 ? length : 1;
    }
    return segue_report_error(device, status, file, line, message);
}
