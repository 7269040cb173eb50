// SPDX-License-Identifier: Apache-2.0
/**
 * @file ptx.hpp
 * Inline assembly as the emulator sees it: statements of an instruction and operands.
 */
#ifndef SEGUE_TEST_EMULATE_PTX_HPP
#define SEGUE_TEST_EMULATE_PTX_HPP

#include "runtime.hpp"

namespace emulate
{

/** What an operand in the text is. */
enum reference_kind { NOTHING, OPERAND, LOCAL, IMMEDIATE };

struct reference {
    reference_kind kind;
    /** Of the operand or the local register. */
    uint32_t index;
    /** The number, or what is added to an address. */
    uint64_t value;
};

constexpr uint32_t max_references = 16;
constexpr uint32_t max_groups = 8;

/** Operands of one asm, and its local registers. */
struct state {
    operand *operands;
    uint64_t locals[8];
};

struct statement;
using instruction = void (*)(const statement &statement, state &state);

/** One instruction: its operands, where {a,b} is a group of several and anything else one of one.
 */
struct statement {
    char mnemonic[96];
    instruction run;
    reference references[max_references];
    uint32_t reference_count;
    /** First reference of each group. */
    uint32_t groups[max_groups + 1];
    uint32_t group_count;
};

constexpr uint32_t max_statements = 8;

struct code {
    const char *text;
    statement statements[max_statements];
    uint32_t statement_count;
};

uint64_t read_reference(const reference &reference, const state &state);
void write_reference(const reference &reference, state &state, uint64_t value);

inline uint64_t get(const statement &statement, const state &state, uint32_t group, uint32_t i = 0)
{
    return read_reference(statement.references[statement.groups[group] + i], state);
}
inline void put(const statement &statement, state &state, uint32_t group, uint32_t i,
                uint64_t value)
{
    write_reference(statement.references[statement.groups[group] + i], state, value);
}
inline uint32_t group_size(const statement &statement, uint32_t group)
{
    return statement.groups[group + 1] - statement.groups[group];
}

/** The instruction of this name; NULL: not known. */
instruction find_instruction(const char *mnemonic);
/** Those of matrices (matrix.cpp). */
instruction find_matrix_instruction(const char *mnemonic);

} // namespace emulate

#endif // SEGUE_TEST_EMULATE_PTX_HPP
