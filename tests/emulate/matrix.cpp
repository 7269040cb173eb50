// SPDX-License-Identifier: Apache-2.0
// Matrix instructions. Fragments as the PTX manual lays them out over the lanes of a warp; products
// are exact and sums in double precision, rounded to f32 once an instruction.
#include "ptx.hpp"

namespace emulate
{

namespace
{

struct fragment {
    const struct statement *of;
    struct state *state;
};

uint32_t word(const fragment &f, uint32_t group, uint32_t i)
{
    return (uint32_t)get(*f.of, *f.state, group, i);
}

/* ---- mma.m16n8k16: D[16][8] += A[16][16] B[16][8] in bf16 or f16 ------------------------------
 */

template <float to_float(uint16_t)> void multiply_k16(uint32_t, void *const *arguments)
{
    double a[16][16], b[16][8];
    for (uint32_t lane = 0; lane < warp_size; lane++) {
        const fragment &f = *(const fragment *)arguments[lane];
        for (uint32_t i = 0; i < 8; i++) {
            // Register i / 2: rows alternate, then columns; two columns to a register.
            const uint32_t row = lane / 4 + i / 2 % 2 * 8;
            const uint32_t column = lane % 4 * 2 + i % 2 + i / 4 * 8;
            a[row][column] = (double)to_float((uint16_t)(word(f, 1, i / 2) >> (16 * (i % 2))));
        }
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t row = lane % 4 * 2 + i % 2 + i / 2 * 8;
            b[row][lane / 4] = (double)to_float((uint16_t)(word(f, 2, i / 2) >> (16 * (i % 2))));
        }
    }
    for (uint32_t lane = 0; lane < warp_size; lane++) {
        const fragment &f = *(const fragment *)arguments[lane];
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t row = lane / 4 + i / 2 * 8;
            const uint32_t column = lane % 4 * 2 + i % 2;
            double sum = (double)float_of_bits(word(f, 3, i));
            for (uint32_t k = 0; k < 16; k++)
                sum += a[row][k] * b[k][column];
            put(*f.of, *f.state, 0, i, bits_of_float((float)sum));
        }
    }
}

/* ---- mma.m16n8k32: bytes, A without a sign ----------------------------------------------------
 */

template <typename A, typename B> void multiply_k32(uint32_t, void *const *arguments)
{
    int32_t a[16][32], b[32][8];
    for (uint32_t lane = 0; lane < warp_size; lane++) {
        const fragment &f = *(const fragment *)arguments[lane];
        for (uint32_t i = 0; i < 16; i++) {
            const uint32_t row = lane / 4 + i / 4 % 2 * 8;
            const uint32_t column = lane % 4 * 4 + i % 4 + i / 8 * 16;
            a[row][column] = (A)(word(f, 1, i / 4) >> (8 * (i % 4)));
        }
        for (uint32_t i = 0; i < 8; i++) {
            const uint32_t row = lane % 4 * 4 + i % 4 + i / 4 * 16;
            b[row][lane / 4] = (B)(word(f, 2, i / 4) >> (8 * (i % 4)));
        }
    }
    for (uint32_t lane = 0; lane < warp_size; lane++) {
        const fragment &f = *(const fragment *)arguments[lane];
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t row = lane / 4 + i / 2 * 8;
            const uint32_t column = lane % 4 * 2 + i % 2;
            uint32_t sum = word(f, 3, i);
            for (uint32_t k = 0; k < 32; k++)
                sum += (uint32_t)(a[row][k] * b[k][column]);
            put(*f.of, *f.state, 0, i, sum);
        }
    }
}

/* ---- ldmatrix: 8 x 8 matrices of 16 bits ------------------------------------------------------
 */

void load_matrices(uint32_t, void *const *arguments)
{
    const statement &s = *((const fragment *)arguments[0])->of;
    const bool transposed = strstr(s.mnemonic, ".trans") != nullptr;
    const uint32_t count = group_size(s, 0);
    for (uint32_t matrix = 0; matrix < count; matrix++) {
        uint16_t rows[8][8];
        for (uint32_t row = 0; row < 8; row++) {
            const fragment &f = *(const fragment *)arguments[matrix * 8 + row];
            const uint32_t address = word(f, 1, 0);
            if (address % 16 != 0)
                fail("ldmatrix of an address that is not aligned to 16");
            memcpy(rows[row], shared_pointer(address, 16), 16);
        }
        for (uint32_t lane = 0; lane < warp_size; lane++) {
            const fragment &f = *(const fragment *)arguments[lane];
            const uint32_t i = lane / 4, k = lane % 4 * 2;
            const uint32_t low = transposed ? rows[k][i] : rows[i][k];
            const uint32_t high = transposed ? rows[k + 1][i] : rows[i][k + 1];
            put(s, *f.state, 0, matrix, low | high << 16);
        }
    }
}

/* ---- By name --------------------------------------------------------------------------------- */

template <warp_work work> void together(const statement &s, state &state)
{
    fragment fragment = {&s, &state};
    meet_warp(s.mnemonic, &s, 0xFFFFFFFFu, work, &fragment);
}

const struct {
    const char *mnemonic;
    instruction run;
} instructions[] = {
    {"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", together<multiply_k16<float_of_bf16>>},
    {"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", together<multiply_k16<float_of_f16>>},
    {"mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32", together<multiply_k32<uint8_t, int8_t>>},
    {"mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32", together<multiply_k32<int8_t, int8_t>>},
    {"ldmatrix.sync.aligned.m8n8.x1.shared.b16", together<load_matrices>},
    {"ldmatrix.sync.aligned.m8n8.x2.shared.b16", together<load_matrices>},
    {"ldmatrix.sync.aligned.m8n8.x4.shared.b16", together<load_matrices>},
    {"ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16", together<load_matrices>},
    {"ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", together<load_matrices>},
};

} // namespace

instruction find_matrix_instruction(const char *mnemonic)
{
    for (const auto &entry : instructions) {
        if (strcmp(entry.mnemonic, mnemonic) == 0)
            return entry.run;
    }
    return nullptr;
}

} // namespace emulate
