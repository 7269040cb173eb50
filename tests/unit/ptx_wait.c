// SPDX-License-Identifier: Apache-2.0
#include "ptx_wait.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STATEMENT 1024
#define MAX_REGISTERS 65536

/** Kinds of registers: %r, %rd, %rs, %f and %fd, %p. */
enum { KIND_COUNT = 6 };

/** Of the address in which parameters each register may be a part. */
static uint32_t from[KIND_COUNT][MAX_REGISTERS];
static char problem[MAX_STATEMENT + 256];

/** The entry of the register at `text` ("%rd12"); NULL: a special one. */
static uint32_t *entry_of(const char *text, const char **out_end)
{
    const char *at = text + 1;
    const char first = *at;
    while (isalpha((unsigned char)*at))
        at++;
    const bool is_long = at - text == 3;
    const bool is_numbered = isdigit((unsigned char)*at) != 0;
    const unsigned long number = is_numbered ? strtoul(at, (char **)&at, 10) : 0;
    while (isalnum((unsigned char)*at) || *at == '.' || *at == '_')
        at++;
    *out_end = at;
    const int kind = first == 'r'   ? (!is_long         ? 0
                                       : text[2] == 'd' ? 1
                                                        : 2)
                     : first == 'f' ? (is_long ? 4 : 3)
                                    : 5;
    return is_numbered && number < MAX_REGISTERS ? &from[kind][number] : NULL;
}

/** All that the registers of a part of a statement come from. */
static uint32_t gather(const char *begin, const char *end)
{
    uint32_t sum = 0;
    for (const char *at = strchr(begin, '%'); at && at < end; at = strchr(at, '%')) {
        const uint32_t *entry = entry_of(at, &at);
        sum |= entry ? *entry : 0;
    }
    return sum;
}

static void set(const char *begin, const char *end, uint32_t value)
{
    for (const char *at = strchr(begin, '%'); at && at < end; at = strchr(at, '%')) {
        uint32_t *entry = entry_of(at, &at);
        if (entry)
            *entry = value;
    }
}

/** Where the operands begin that are read: behind the first one, or the first group. */
static const char *after_target(const char *operands)
{
    const char *group = *operands == '{' ? strchr(operands, '}') : NULL;
    const char *comma = strchr(group ? group : operands, ',');
    return comma ? comma : operands + strlen(operands);
}

/** What memory operands ("[...]") come from. */
static uint32_t gather_addresses(const char *operands)
{
    uint32_t sum = 0;
    for (const char *at = strchr(operands, '['); at; at = strchr(at, '[')) {
        const char *end = strchr(at, ']');
        end = end ? end : at + strlen(at);
        sum |= gather(at, end);
        at = end;
    }
    return sum;
}

/** Follows one statement; returns the parameters whose memory it touches, all of them of a call. */
static uint32_t follow(const char *statement, const char *kernel)
{
    const char *at = statement;
    if (*at == '@')
        at += strcspn(at, " \t");
    at += strspn(at, " \t");
    const char *operands = at + strcspn(at, " \t");
    operands += strspn(operands, " \t");
    const char *sources = after_target(operands);
    const char *end = operands + strlen(operands);
    if (strncmp(at, "ld.param", 8) == 0) {
        char parameter[128];
        snprintf(parameter, sizeof(parameter), "%s_param_", kernel);
        const char *name = strstr(sources, parameter);
        const unsigned long index = name ? strtoul(name + strlen(parameter), NULL, 10) : 32;
        set(operands, sources, index < 32 ? 1u << index : 0);
        return 0;
    }
    if (strncmp(at, "call", 4) == 0)
        return UINT32_MAX;
    const uint32_t touched = gather_addresses(operands);
    if (*operands == '%' || *operands == '{')
        set(operands, sources, strchr(operands, '[') ? 0 : gather(sources, end));
    return touched;
}

/** The next statement, in one line, without comments, labels and braces of blocks. Returns where
 *  the one after it begins; NULL: there is none. */
static const char *next_statement(const char *at, char out[MAX_STATEMENT])
{
    size_t length = 0;
    for (; *at && *at != ';'; at++) {
        const bool is_line = at[0] == '/' && at[1] == '/';
        if (is_line)
            at += strcspn(at, "\n");
        const char character = isspace((unsigned char)*at) || is_line ? ' ' : *at;
        if (length == 0 && (character == ' ' || character == '{' || character == '}'))
            continue;
        if (character == ':' && at[1] != ':' && at[-1] != ':') { // ":" of ".shared::cta" is two.
            length = 0;
            continue;
        }
        if (length < MAX_STATEMENT - 1)
            out[length++] = character;
        if (!*at)
            break;
    }
    out[length] = '\0';
    return *at ? at + 1 : NULL;
}

/** The last wait in a kernel's text; NULL: there is none. */
static const char *last_wait(const char *body)
{
    const char *end = strstr(body, ".entry ");
    const char *last = NULL;
    for (const char *at = strstr(body, "griddepcontrol.wait"); at && (!end || at < end);
         at = strstr(at + 1, "griddepcontrol.wait"))
        last = at;
    return last;
}

const char *ptx_wait_problem(const char *ptx, const char *kernel, uint32_t late)
{
    char text[128], statement[MAX_STATEMENT];
    snprintf(text, sizeof(text), ".entry %s(", kernel);
    const char *body = strstr(ptx, text);
    body = body ? strchr(body, '{') : NULL;
    const char *wait = body ? last_wait(body) : NULL;
    if (!wait) {
        snprintf(problem, sizeof(problem), "%s %s", kernel,
                 body ? "does not wait" : "is not in the text");
        return problem;
    }
    memset(from, 0, sizeof(from));
    // Twice: what a loop carries round may come from below.
    for (int turn = 0; turn < 2; turn++) {
        for (const char *at = body; at && at < wait;) {
            at = next_statement(at, statement);
            const uint32_t touched = follow(statement, kernel) & late;
            if (touched == 0)
                continue;
            snprintf(problem, sizeof(problem), "%s touches parameter %d before it waits: %s",
                     kernel, __builtin_ctz(touched), statement);
            return problem;
        }
    }
    return NULL;
}
