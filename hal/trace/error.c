// SPDX-License-Identifier: Apache-2.0
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/** Length in bytes of the control character at `text`, 0 if it is none. */
static size_t control_length(const unsigned char *text)
{
    if (text[0] < 0x20 || text[0] == 0x7f) {
        return 1;
    }
    return text[0] == 0xc2 && text[1] >= 0x80 && text[1] <= 0x9f ? 2 : 0;
}

bool segue_text_is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (control_length((const unsigned char *)text) != 0) {
            return false;
        }
    }
    return true;
}

void segue_text_make_plain(char *text)
{
    while (*text != '\0') {
        size_t length = control_length((const unsigned char *)text);
        memset(text, '?', length);
        text += length != 0 ? length : 1;
    }
}

/** Length of the character that begins with this byte, 0 if none does. */
static size_t character_length(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    return first >= 0xc2 && first <= 0xdf   ? 2
           : first >= 0xe0 && first <= 0xef ? 3
           : first >= 0xf0 && first <= 0xf4 ? 4
                                            : 0;
}

bool segue_text_is_utf8(const char *text, size_t length_bytes)
{
    // Smallest character of each length; a smaller one has a longer form than it needs.
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)text;
    for (size_t i = 0; i < length_bytes;) {
        size_t length = character_length(bytes[i]);
        if (length == 0 || length > length_bytes - i) {
            return false;
        }
        uint32_t character = length == 1 ? bytes[i] : bytes[i] & (0xffu >> (length + 1));
        for (size_t k = 1; k < length; k++) {
            if ((bytes[i + k] & 0xc0) != 0x80) {
                return false;
            }
            character = character << 6 | (bytes[i + k] & 0x3fu);
        }
        if (character < smallest[length] || character > 0x10ffff ||
            (character >= 0xd800 && character <= 0xdfff)) {
            return false;
        }
        i += length;
    }
    return true;
}

segue_status segue_trace_raise(segue_device *device, segue_status status, const char *file,
                               int line, const char *format, ...)
{
    char message[SEGUE_ERROR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(message, sizeof(message), format, arguments) < 0) {
        message[0] = '\0';
    }
    va_end(arguments);
    segue_text_make_plain(message);
    return segue_report_error(device, status, file, line, message);
}
