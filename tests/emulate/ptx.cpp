// SPDX-License-Identifier: Apache-2.0
// Takes the text of an asm statement apart.
#include "ptx.hpp"

#include <cctype>
#include <cstdlib>

namespace emulate
{

namespace
{

/** Local registers of a text, in the order in which they were declared. */
struct locals {
    char names[8][16];
    uint32_t count;
};

struct parser {
    const char *at;
    struct locals known;
    code *result;
};

void skip_space(parser &parser)
{
    while (isspace((unsigned char)*parser.at))
        parser.at++;
}

bool take(parser &parser, char wanted)
{
    skip_space(parser);
    if (*parser.at != wanted)
        return false;
    parser.at++;
    return true;
}

/** A word up to a character that ends words; returns false where there is none. */
bool take_word(parser &parser, char *out_word, size_t size)
{
    skip_space(parser);
    size_t length = 0;
    while (*parser.at && !isspace((unsigned char)*parser.at) && !strchr(",;{}[]+", *parser.at)) {
        if (length + 1 < size)
            out_word[length++] = *parser.at;
        parser.at++;
    }
    out_word[length] = '\0';
    return length > 0;
}

[[noreturn]] void give_up(const parser &parser)
{
    fail("inline assembly that the emulator cannot read: %s", parser.result->text);
}

reference resolve(const parser &parser, const char *word)
{
    if (word[0] == '%' && isdigit((unsigned char)word[1]))
        return {OPERAND, (uint32_t)strtoul(word + 1, nullptr, 10), 0};
    if (strcmp(word, "_") == 0)
        return {NOTHING, 0, 0};
    if (word[0] == '0' && (word[1] == 'f' || word[1] == 'F'))
        return {IMMEDIATE, 0, strtoull(word + 2, nullptr, 16)};
    if (isdigit((unsigned char)word[0]) || word[0] == '-') {
        if (strchr(word, '.'))
            return {IMMEDIATE, 0, bits_of_float(strtof(word, nullptr))};
        return {IMMEDIATE, 0, (uint64_t)strtoll(word, nullptr, 0)};
    }
    for (uint32_t i = 0; i < parser.known.count; i++) {
        if (strcmp(parser.known.names[i], word) == 0)
            return {LOCAL, i, 0};
    }
    give_up(parser);
}

void add_reference(parser &parser, statement &statement)
{
    char word[64];
    if (statement.reference_count == max_references || !take_word(parser, word, sizeof(word)))
        give_up(parser);
    reference reference = resolve(parser, word);
    if (take(parser, '+')) {
        if (!take_word(parser, word, sizeof(word)))
            give_up(parser);
        reference.value += strtoull(word, nullptr, 0);
    }
    statement.references[statement.reference_count++] = reference;
}

void add_group(parser &parser, statement &statement)
{
    if (statement.group_count == max_groups)
        give_up(parser);
    statement.groups[statement.group_count++] = statement.reference_count;
    const char *closing = take(parser, '{') ? "}" : take(parser, '[') ? "]" : "";
    do
        add_reference(parser, statement);
    while (*closing && take(parser, ','));
    if (*closing && !take(parser, *closing))
        give_up(parser);
}

void add_statement(parser &parser)
{
    code *code = parser.result;
    char word[96];
    if (!take_word(parser, word, sizeof(word)))
        give_up(parser);
    if (strncmp(word, ".reg", 4) == 0) {
        do {
            char name[sizeof(parser.known.names[0])];
            if (!take_word(parser, name, sizeof(name)) || parser.known.count == 8)
                give_up(parser);
            if (name[0] != '.') // The type.
                memcpy(parser.known.names[parser.known.count++], name, sizeof(name));
            take(parser, ',');
            skip_space(parser);
        } while (*parser.at != ';' && *parser.at);
        take(parser, ';');
        return;
    }
    if (code->statement_count == max_statements)
        give_up(parser);
    statement &statement = code->statements[code->statement_count++];
    memcpy(statement.mnemonic, word, sizeof(word));
    skip_space(parser);
    while (*parser.at && *parser.at != ';') {
        add_group(parser, statement);
        take(parser, ',');
        skip_space(parser);
    }
    take(parser, ';');
    statement.groups[statement.group_count] = statement.reference_count;
    statement.run = find_instruction(statement.mnemonic);
    if (!statement.run)
        fail("an instruction that the emulator does not know: %s", statement.mnemonic);
}

} // namespace

code *parse_assembly(const char *text)
{
    code *result = (code *)calloc(1, sizeof(*result));
    if (!result)
        fail("out of memory");
    parser parser = {text, {}, result};
    result->text = text;
    for (;;) {
        while (take(parser, '{') || take(parser, '}') || take(parser, ';'))
            continue;
        skip_space(parser);
        if (!*parser.at)
            return result;
        add_statement(parser);
    }
}

uint64_t read_reference(const reference &reference, const state &state)
{
    uint64_t value = 0;
    switch (reference.kind) {
    case NOTHING:
        return 0;
    case IMMEDIATE:
        return reference.value;
    case LOCAL:
        return state.locals[reference.index];
    case OPERAND: {
        const operand &operand = state.operands[reference.index];
        if (operand.variable)
            memcpy(&value, operand.variable, operand.size_bytes);
        else
            value = operand.value;
        return value + reference.value;
    }
    }
    return 0;
}

void write_reference(const reference &reference, state &state, uint64_t value)
{
    if (reference.kind == LOCAL)
        state.locals[reference.index] = value;
    else if (reference.kind == OPERAND && state.operands[reference.index].variable)
        memcpy(state.operands[reference.index].variable, &value,
               state.operands[reference.index].size_bytes);
    else if (reference.kind != NOTHING)
        fail("inline assembly writes to what is not an output");
}

void run_assembly(code *code, operand *operands)
{
    state state = {operands, {}};
    for (uint32_t i = 0; i < code->statement_count; i++)
        code->statements[i].run(code->statements[i], state);
}

} // namespace emulate
