// SPDX-License-Identifier: Apache-2.0
// What all commands print, and how they open a folder.
#include "command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE (SEGUE_ERROR_MESSAGE_SIZE + 512)

/** Replaces control characters: names in files come from strangers. */
static char *clean(char *text)
{
    for (unsigned char *byte = (unsigned char *)text; *byte; byte++) {
        const bool c1 = byte[0] == 0xC2 && byte[1] >= 0x80 && byte[1] <= 0x9F;
        if (c1)
            byte[1] = '?';
        if (c1 || byte[0] < 0x20 || byte[0] == 0x7F)
            byte[0] = '?';
    }
    return text;
}

int segue_cache_usage(const char *command, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    fprintf(stderr, "segue-cache: %s%s%s; see 'segue-cache%s%s --help'\n", command ? command : "",
            command ? ": " : "", clean(line), command ? " " : "", command ? command : "");
    return SEGUE_CACHE_USAGE;
}

int segue_cache_error(int exit_code, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    fprintf(stderr, "segue-cache: %s\n", clean(line));
    return exit_code;
}

int segue_cache_fail(segue_status status)
{
    const struct segue_error *error = segue_last_error();
    const char *message = error->status == status && error->message[0] != '\0'
                              ? error->message
                              : segue_status_name(status);
    int exit_code = SEGUE_CACHE_UNAVAILABLE;
    if (status == SEGUE_MISMATCH)
        exit_code = SEGUE_CACHE_FAILED;
    else if (status == SEGUE_NOT_FOUND || status == SEGUE_INVALID_ACCESS ||
             status == SEGUE_IO_ERROR || status == SEGUE_INVALID_ARGUMENT)
        exit_code = SEGUE_CACHE_INVALID;
    return segue_cache_error(exit_code, "%s", message);
}

static void print_warning(void *context, enum segue_log_level level, const char *message)
{
    (void)context;
    (void)level;
    (void)segue_cache_error(0, "%s", message);
}

int segue_cache_open(const struct segue_cache_options *options, uint32_t at, bool writes,
                     segue_packed_cache **out_cache)
{
    const struct segue_packed_cache_params params = {
        .path = options->paths[at],
        .flags = (writes ? 0 : SEGUE_PACKED_CACHE_READ_ONLY) |
                 (options->shared ? SEGUE_PACKED_CACHE_SHARED_FOLDER : 0),
        .verification = (enum segue_packed_verification)options->verification,
        .log = options->verbose ? print_warning : NULL,
    };
    const segue_status status = segue_packed_cache_open(&params, out_cache);
    return status == SEGUE_OK ? SEGUE_CACHE_GOOD : segue_cache_fail(status);
}

char *segue_cache_format_digest(char buffer[33], const struct segue_packed_digest *digest)
{
    for (size_t i = 0; i < sizeof(digest->bytes); i++)
        (void)snprintf(buffer + 2 * i, 3, "%02x", digest->bytes[i]);
    return buffer;
}

char *segue_cache_format_bytes(char buffer[32], uint64_t size_bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)size_bytes;
    uint32_t unit = 0;
    for (; value >= 1024 && unit + 1 < 5; unit++)
        value /= 1024;
    const int decimals = unit == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    (void)snprintf(buffer, 32, "%.*f %s", decimals, value, units[unit]);
    return buffer;
}

json_t *segue_cache_json_text(const char *text)
{
    json_t *value = json_string(text);
    if (value != NULL)
        return value;
    char *copy = strdup(text);
    if (copy == NULL)
        return NULL;
    for (unsigned char *byte = (unsigned char *)copy; *byte; byte++) {
        if (*byte >= 0x80)
            *byte = '?';
    }
    value = json_string(copy);
    free(copy);
    return value;
}

int segue_cache_print_json(json_t *root)
{
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (text == NULL)
        return segue_cache_error(SEGUE_CACHE_UNAVAILABLE, "out of memory for JSON");
    puts(text);
    free(text);
    return SEGUE_CACHE_GOOD;
}
