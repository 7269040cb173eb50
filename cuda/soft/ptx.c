// SPDX-License-Identifier: Apache-2.0
// Reads of PTX text what a launch needs: entry points, their parameters and limits. Instructions
// are not looked at, only that braces match.
#include "module.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

// Newest architecture that an H200 runs.
#define TARGET_SM 90

enum token_kind {
    TOKEN_END,
    /** Letters, digits and . _ $ %, so directives and whole opcodes, too. */
    TOKEN_WORD,
    TOKEN_STRING,
    TOKEN_SIGN,
};

struct parser {
    const char *position;
    uint32_t line;
    enum token_kind kind;
    const char *token;
    size_t length;
    struct segue_soft_image *image;
    struct segue_soft_parse_error *error;
};

static CUresult fail(struct parser *parser, CUresult result, const char *format, ...)
    SEGUE_PRINTF(3, 4);

static CUresult fail(struct parser *parser, CUresult result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(parser->error->message, sizeof(parser->error->message), format, arguments);
    va_end(arguments);
    parser->error->line = parser->line;
    return result;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || c == '%' || c == '.';
}

static void skip_blanks(struct parser *parser)
{
    for (;;) {
        const char *p = parser->position;
        if (p[0] == '/' && p[1] == '/') {
            parser->position += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            const char *end = strstr(p + 2, "*/");
            end = end != NULL ? end + 2 : p + strlen(p);
            for (; parser->position < end; ++parser->position) {
                parser->line += *parser->position == '\n';
            }
        } else if (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n') {
            parser->line += *p == '\n';
            ++parser->position;
        } else {
            return;
        }
    }
}

static void advance(struct parser *parser)
{
    skip_blanks(parser);
    const char *p = parser->position;
    parser->token = p;
    parser->length = 1;
    if (*p == '\0') {
        parser->kind = TOKEN_END;
        parser->length = 0;
    } else if (is_word(*p)) {
        parser->kind = TOKEN_WORD;
        while (is_word(p[parser->length])) {
            ++parser->length;
        }
    } else if (*p == '"') {
        parser->kind = TOKEN_STRING;
        parser->length += strcspn(p + 1, "\"\n");
        parser->length += p[parser->length] == '"' ? 1 : 0;
    } else {
        parser->kind = TOKEN_SIGN;
    }
    parser->position += parser->length;
}

static bool at(const struct parser *parser, const char *text)
{
    return parser->kind != TOKEN_END && parser->length == strlen(text) &&
           memcmp(parser->token, text, parser->length) == 0;
}

static CUresult syntax_error(struct parser *parser)
{
    if (parser->kind == TOKEN_END) {
        return fail(parser, CUDA_ERROR_INVALID_PTX, "Parsing error: unexpected end of text");
    }
    return fail(parser, CUDA_ERROR_INVALID_PTX, "Parsing error near '%.*s': syntax error",
                (int)(parser->length < 40 ? parser->length : 40), parser->token);
}

static bool read_number(const struct parser *parser, uint32_t *out_value)
{
    if (parser->kind != TOKEN_WORD || parser->length > 9) {
        return false;
    }
    uint32_t value = 0;
    for (size_t i = 0; i < parser->length; ++i) {
        char c = parser->token[i];
        if (c < '0' || c > '9') {
            return false;
        }
        value = value * 10 + (uint32_t)(c - '0');
    }
    *out_value = value;
    return true;
}

// Size of a ".u32" and the like; 0 for other words.
static uint32_t type_bytes(const struct parser *parser)
{
    static const struct {
        const char *name;
        uint32_t bytes;
    } types[] = {
        {".u8", 1},  {".s8", 1},  {".b8", 1},    {".u16", 2},    {".s16", 2},
        {".b16", 2}, {".f16", 2}, {".bf16", 2},  {".u32", 4},    {".s32", 4},
        {".b32", 4}, {".f32", 4}, {".f16x2", 4}, {".bf16x2", 4}, {".u64", 8},
        {".s64", 8}, {".b64", 8}, {".f64", 8},   {".b128", 16},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); ++i) {
        if (at(parser, types[i].name)) {
            return types[i].bytes;
        }
    }
    return 0;
}

/** A variable as ".align 8 .b8 name[128]" declares it. */
struct variable {
    uint32_t size_bytes;
    uint32_t align_bytes;
    bool unsized;
};

// From behind ".param" or ".shared" up to the sign that ends the declaration.
static CUresult parse_variable(struct parser *parser, struct variable *out_variable)
{
    uint32_t element_bytes = 0;
    uint32_t align_bytes = 0;
    uint64_t count = 1;
    bool pointer = false;
    bool named = false;
    *out_variable = (struct variable){.size_bytes = 0};
    while (!at(parser, ",") && !at(parser, ")") && !at(parser, ";")) {
        uint32_t number;
        if (at(parser, ".ptr")) {
            // What follows describes the memory pointed to.
            pointer = true;
        } else if (at(parser, ".align")) {
            advance(parser);
            if (!read_number(parser, &number) || number == 0 || (number & (number - 1)) != 0) {
                return syntax_error(parser);
            }
            align_bytes = pointer ? align_bytes : number;
        } else if (at(parser, "[")) {
            advance(parser);
            if (at(parser, "]")) {
                out_variable->unsized = true;
                count = 0;
            } else if (read_number(parser, &number)) {
                count *= number;
                advance(parser);
            }
            if (!at(parser, "]") || count > UINT32_MAX) {
                return syntax_error(parser);
            }
        } else if (type_bytes(parser) != 0) {
            element_bytes = type_bytes(parser);
        } else if (parser->kind != TOKEN_WORD || (named && parser->token[0] != '.')) {
            return syntax_error(parser);
        } else {
            named = named || parser->token[0] != '.';
        }
        advance(parser);
    }
    uint64_t size_bytes = count * element_bytes;
    if (element_bytes == 0 || !named || size_bytes > UINT32_MAX) {
        return syntax_error(parser);
    }
    out_variable->size_bytes = (uint32_t)size_bytes;
    out_variable->align_bytes = align_bytes != 0 ? align_bytes : element_bytes;
    return CUDA_SUCCESS;
}

static CUresult parse_parameters(struct parser *parser, struct segue_soft_entry *entry)
{
    advance(parser);
    while (!at(parser, ")")) {
        if (!at(parser, ".param")) {
            return syntax_error(parser);
        }
        advance(parser);
        struct variable variable;
        CUresult result = parse_variable(parser, &variable);
        if (result != CUDA_SUCCESS) {
            return result;
        }
        if (variable.size_bytes == 0 || at(parser, ";")) {
            return syntax_error(parser);
        }
        if (!segue_soft_entry_add_parameter(entry, variable.size_bytes, variable.align_bytes)) {
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        if (at(parser, ",")) {
            advance(parser);
            if (!at(parser, ".param")) {
                return syntax_error(parser);
            }
        }
    }
    advance(parser);
    return CUDA_SUCCESS;
}

// Up to three numbers behind a directive; absent ones are 1.
static CUresult parse_triple(struct parser *parser, uint32_t out_values[3])
{
    out_values[0] = out_values[1] = out_values[2] = 1;
    for (int i = 0; i < 3; ++i) {
        advance(parser);
        if (!read_number(parser, &out_values[i]) || out_values[i] == 0) {
            return syntax_error(parser);
        }
        advance(parser);
        if (!at(parser, ",")) {
            break;
        }
    }
    return CUDA_SUCCESS;
}

// From behind the parameters to the opening brace.
static CUresult parse_entry_directives(struct parser *parser, struct segue_soft_entry *entry)
{
    while (!at(parser, "{") && !at(parser, ";")) {
        uint32_t values[3];
        CUresult result = CUDA_SUCCESS;
        if (at(parser, ".maxntid") || at(parser, ".reqntid")) {
            bool required = at(parser, ".reqntid");
            result = parse_triple(parser, values);
            if (result == CUDA_SUCCESS) {
                memcpy(entry->block, values, required ? sizeof(values) : 0);
                // Each number has 9 digits at most, so two fit; three need not.
                uint64_t layer = (uint64_t)values[0] * values[1];
                if (layer <= entry->max_threads && layer * values[2] < entry->max_threads) {
                    entry->max_threads = (uint32_t)(layer * values[2]);
                }
            }
        } else if (at(parser, ".reqnctapercluster")) {
            result = parse_triple(parser, values);
            if (result == CUDA_SUCCESS) {
                memcpy(entry->cluster, values, sizeof(values));
            }
        } else if (parser->kind == TOKEN_WORD || parser->kind == TOKEN_STRING || at(parser, ",")) {
            // .minnctapersm, .maxnreg, .explicitcluster, .pragma …: no effect here.
            advance(parser);
        } else {
            return syntax_error(parser);
        }
        if (result != CUDA_SUCCESS) {
            return result;
        }
    }
    return CUDA_SUCCESS;
}

static CUresult parse_shared(struct parser *parser, uint32_t *total_bytes)
{
    advance(parser);
    struct variable variable;
    CUresult result = parse_variable(parser, &variable);
    if (result != CUDA_SUCCESS) {
        return result;
    }
    if (!variable.unsized) {
        uint64_t end = (uint64_t)*total_bytes + variable.align_bytes - 1;
        end = end / variable.align_bytes * variable.align_bytes + variable.size_bytes;
        if (end > INT32_MAX) {
            return fail(parser, CUDA_ERROR_INVALID_PTX, "too much shared data (0x%llx bytes)",
                        (unsigned long long)end);
        }
        *total_bytes = (uint32_t)end;
    }
    return CUDA_SUCCESS;
}

// A body in braces; `total_bytes` grows by its shared variables. `waits_for_grids` becomes true if
// it waits for what its programmatic edges come from; of other instructions nothing is read.
static CUresult parse_body(struct parser *parser, uint32_t *total_bytes, bool *waits_for_grids)
{
    uint32_t depth = 0;
    do {
        if (at(parser, "{")) {
            ++depth;
        } else if (at(parser, "}")) {
            --depth;
        } else if (at(parser, ".shared")) {
            CUresult result = parse_shared(parser, total_bytes);
            if (result != CUDA_SUCCESS) {
                return result;
            }
        } else if (at(parser, "griddepcontrol.wait")) {
            *waits_for_grids = true;
        } else if (parser->kind == TOKEN_END) {
            return syntax_error(parser);
        }
        advance(parser);
    } while (depth > 0);
    return CUDA_SUCCESS;
}

static CUresult parse_entry(struct parser *parser)
{
    advance(parser);
    if (parser->kind != TOKEN_WORD || parser->token[0] == '.') {
        return syntax_error(parser);
    }
    struct segue_soft_entry *entry =
        segue_soft_image_add_entry(parser->image, parser->token, parser->length);
    if (entry == NULL) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    advance(parser);
    CUresult result = CUDA_SUCCESS;
    if (at(parser, "(")) {
        result = parse_parameters(parser, entry);
    }
    if (result == CUDA_SUCCESS) {
        result = parse_entry_directives(parser, entry);
    }
    if (result != CUDA_SUCCESS) {
        return result;
    }
    if (at(parser, ";")) {
        return fail(parser, CUDA_ERROR_INVALID_PTX, "entry point '%s' has no body", entry->name);
    }
    return parse_body(parser, &entry->static_shared_bytes, &entry->waits_for_grids);
}

// ".version 8.4" must come first, ".target sm_90" second.
static CUresult parse_header(struct parser *parser)
{
    uint32_t newest = segue_soft.profile == SEGUE_SOFT_PROFILE_12_4   ? 84
                      : segue_soft.profile == SEGUE_SOFT_PROFILE_12_8 ? 87
                                                                      : 90;
    unsigned major = 0;
    unsigned minor = 0;
    unsigned sm = 0;
    if (!at(parser, ".version")) {
        // Other text is not taken for PTX at all.
        return fail(parser, CUDA_ERROR_INVALID_IMAGE,
                    "Missing .version directive at start of file");
    }
    advance(parser);
    if (parser->kind != TOKEN_WORD || sscanf(parser->token, "%3u.%3u", &major, &minor) != 2) {
        return syntax_error(parser);
    }
    if (major * 10 + minor > newest) {
        return fail(parser, CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
                    "Unsupported .version %u.%u; current version is '%u.%u'", major, minor,
                    newest / 10, newest % 10);
    }
    advance(parser);
    if (!at(parser, ".target")) {
        return fail(parser, CUDA_ERROR_INVALID_PTX, "Missing .target directive after .version");
    }
    advance(parser);
    if (parser->kind != TOKEN_WORD || sscanf(parser->token, "sm_%3u", &sm) != 1) {
        return syntax_error(parser);
    }
    char suffix = parser->token[parser->length - 1];
    bool exact = suffix == 'a' || suffix == 'f';
    if (sm > TARGET_SM || (exact && sm != TARGET_SM)) {
        return fail(parser, CUDA_ERROR_INVALID_PTX,
                    "SM version specified by .target is higher than default SM version assumed");
    }
    parser->image->target = sm;
    advance(parser);
    return CUDA_SUCCESS;
}

static CUresult parse_file(struct parser *parser)
{
    advance(parser);
    CUresult result = parse_header(parser);
    bool function_waits = false;
    while (result == CUDA_SUCCESS && parser->kind != TOKEN_END) {
        if (at(parser, ".entry")) {
            result = parse_entry(parser);
        } else if (at(parser, ".shared")) {
            result = parse_shared(parser, &parser->image->shared_bytes);
        } else if (at(parser, "{")) {
            uint32_t ignored = 0;
            result = parse_body(parser, &ignored, &function_waits);
        } else if (at(parser, "}")) {
            result = syntax_error(parser);
        } else {
            advance(parser);
        }
    }
    // Which entry points call it is not looked at.
    for (uint32_t i = 0; function_waits && i < parser->image->entry_count; ++i) {
        parser->image->entries[i].waits_for_grids = true;
    }
    return result;
}

CUresult segue_soft_ptx_parse(const char *text, struct segue_soft_image *out_image,
                              struct segue_soft_parse_error *out_error)
{
    struct segue_soft_image image = {.entries = NULL};
    struct parser parser = {.position = text, .line = 1, .image = &image, .error = out_error};
    CUresult result = parse_file(&parser);
    if (result != CUDA_SUCCESS) {
        segue_soft_image_clear(&image);
        return result;
    }
    *out_image = image;
    return CUDA_SUCCESS;
}
