// SPDX-License-Identifier: Apache-2.0
/**
 * @file philox.h
 * Random numbers by counter: Philox4x32-10 of J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel
 * random numbers: as easy as 1, 2, 3", SC 2011.
 */
#ifndef SEGUE_KERNELS_PHILOX_H
#define SEGUE_KERNELS_PHILOX_H

#include <stdint.h>

/** Replaces the counter in `words` by four random words. */
static inline void philox4x32_10(const uint32_t seed[2], uint32_t words[4])
{
    uint32_t key[2] = {seed[0], seed[1]};
    for (int round = 0; round < 10; round++) {
        const uint64_t first = (uint64_t)0xD2511F53u * words[0];
        const uint64_t second = (uint64_t)0xCD9E8D57u * words[2];
        words[0] = (uint32_t)(second >> 32) ^ words[1] ^ key[0];
        words[2] = (uint32_t)(first >> 32) ^ words[3] ^ key[1];
        words[1] = (uint32_t)second;
        words[3] = (uint32_t)first;
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
}

#endif // SEGUE_KERNELS_PHILOX_H
