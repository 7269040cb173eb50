// SPDX-License-Identifier: Apache-2.0
#include "translate.h"

#include <ctype.h>
#include <string.h>

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static const char *skip_space(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

/** After a string, a character or a comment that begins at `at`; `at` where none does. */
static const char *skip_token(const char *at)
{
    if (at[0] == '/' && at[1] == '/')
        return at + strcspn(at, "\n");
    if (at[0] == '/' && at[1] == '*') {
        const char *end = strstr(at + 2, "*/");
        return end ? end + 2 : at + strlen(at);
    }
    if (*at != '"' && *at != '\'')
        return at;
    const char quote = *at++;
    while (*at && *at != quote)
        at += at[0] == '\\' && at[1] ? 2 : 1;
    return *at ? at + 1 : at;
}

/** The first of `wanted` outside of strings, comments and brackets, or the end. */
static const char *find_outside(const char *at, const char *wanted)
{
    int depth = 0;
    while (*at) {
        const char *after = skip_token(at);
        if (after != at) {
            at = after;
            continue;
        }
        if (depth == 0 && strchr(wanted, *at))
            return at;
        if (strchr("([{", *at))
            depth++;
        else if (strchr(")]}", *at))
            depth--;
        at++;
    }
    return at;
}

static void write_text(const char *from, const char *to, FILE *out)
{
    fwrite(from, 1, (size_t)(to - from), out);
}

/** Writes what is between two places as far as lines go. */
static void write_lines(const char *from, const char *to, FILE *out)
{
    for (; from < to; from++) {
        if (*from == '\n')
            fputc('\n', out);
    }
}

/** Operands "constraint"(expression), separated by commas. */
static bool write_operands(const char *from, const char *to, const char *function, FILE *out)
{
    for (const char *at = skip_space(from); at < to;) {
        const char *open = skip_space(skip_token(at));
        if (*at != '"' || *open != '(')
            return false;
        const char *close = find_outside(open + 1, ")");
        fprintf(out, ", ::emulate::%s", function);
        write_text(open, close + 1, out);
        at = skip_space(close + 1);
        if (at < to && *at++ != ',')
            return false;
        at = skip_space(at);
    }
    return true;
}

/** Translates the asm statement that begins at `at`; returns what comes after its last bracket,
 *  NULL when it cannot be read. */
static const char *write_asm(const char *at, FILE *out)
{
    const char *begin = at;
    at = skip_space(at + strlen("asm"));
    if (strncmp(at, "volatile", 8) == 0)
        at = skip_space(at + 8);
    if (*at != '(')
        return NULL;
    const char *text = at + 1;
    const char *end = find_outside(text, ":)");
    fputs("::emulate::assembly(EMULATE_CODE(", out);
    write_lines(begin, text, out);
    write_text(text, end, out);
    fputc(')', out);
    static const char *const functions[] = {"asm_out", "asm_in"};
    for (int section = 0; section < 2 && *end == ':'; section++) {
        const char *from = end + 1;
        end = find_outside(from, ":)");
        if (!write_operands(from, end, functions[section], out))
            return NULL;
    }
    const char *clobbers = end;
    end = *end == ')' ? end : find_outside(end, ")");
    write_lines(clobbers, end, out);
    fputc(')', out);
    return *end ? end + 1 : NULL;
}

/** extern __shared__ [__align__(n)] type name[]; */
static const char *write_shared(const char *at, FILE *out)
{
    const char *begin = at;
    at = skip_space(at + strlen("extern"));
    if (strncmp(at, "__shared__", 10) != 0)
        return NULL;
    at = skip_space(at + 10);
    if (strncmp(at, "__align__", 9) == 0)
        at = skip_space(find_outside(strchr(at, '(') + 1, ")") + 1);
    const char *end = find_outside(at, ";");
    const char *bracket = strchr(at, '[');
    if (!*end || !bracket || bracket > end)
        return NULL;
    const char *name = bracket;
    while (name > at && is_word(name[-1]))
        name--;
    // A reference, because the array has its place anew for every block.
    fputs("[[maybe_unused]] static ", out);
    write_text(at, name, out);
    fputs("*const &", out);
    write_text(name, bracket, out);
    fputs(" = *(", out);
    write_text(at, name, out);
    fputs("*const *)&::emulate::dynamic_shared;", out);
    write_lines(begin, end, out);
    return end + 1;
}

static bool is_keyword(const char *source, const char *at, const char *keyword)
{
    const size_t length = strlen(keyword);
    return strncmp(at, keyword, length) == 0 && !is_word(at[length]) &&
           (at == source || !is_word(at[-1]));
}

bool translate(const char *source, FILE *out)
{
    for (const char *at = source; *at;) {
        const char *after = skip_token(at);
        if (after != at) {
            write_text(at, after, out);
            at = after;
        } else if (is_keyword(source, at, "asm")) {
            after = write_asm(at, out);
            if (!after) {
                fprintf(stderr, "cannot translate: %.200s\n", at);
                return false;
            }
            at = after;
        } else if (is_keyword(source, at, "extern")) {
            // extern "C": names live in the unit's namespace.
            const char *next = skip_space(at + strlen("extern"));
            after = strncmp(next, "\"C\"", 3) == 0 ? next + 3 : write_shared(at, out);
            at = after ? after : at + strlen("extern");
            if (!after)
                fputs("extern", out);
        } else {
            fputc(*at++, out);
        }
    }
    return true;
}

void translate_undefine(const char *source, FILE *out)
{
    for (const char *line = source; line; line = strchr(line, '\n')) {
        line = skip_space(line);
        if (strncmp(line, "#define ", 8) != 0)
            continue;
        const char *name = skip_space(line + 8);
        const char *end = name;
        while (is_word(*end))
            end++;
        fprintf(out, "#undef %.*s\n", (int)(end - name), name);
    }
}
