// SPDX-License-Identifier: Apache-2.0
/**
 * @file decode_small.h
 * segue-bench-decode: the decode kernels that move no more than a few rows. One thread.
 */
#ifndef SEGUE_BENCH_DECODE_SMALL_H
#define SEGUE_BENCH_DECODE_SMALL_H

#include "chain.h"

/**
 * Measures and prints the embedding row, rotation with a row of the caches (bf16 and fp8), silu and
 * the residual's addition, of the sizes of Llama 3.2 1B and 3.1 8B.
 * @param decode  the executable of segue_kernels_get_decode.
 * @param calls   of a chain.
 * @return false after saying why.
 */
bool segue_bench_decode_small(struct segue_bench_chains *chains, segue_executable *decode,
                              uint32_t calls);

#endif // SEGUE_BENCH_DECODE_SMALL_H
