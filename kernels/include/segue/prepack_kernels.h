// SPDX-License-Identifier: Apache-2.0
/**
 * @file prepack_kernels.h
 * The checksum with which packed tensors are verified after their upload: one that a GPU computes
 * at the speed of its memory. Part of libsegue_kernels.
 *
 * The checksum of n bytes is the sum, modulo 2^64, over all i of mix(word[i] + (i + 1) * GOLDEN),
 * plus mix(n), where word[i] are the bytes as numbers of 8 bytes, least significant first, the last
 * one filled up with zeros. mix is the finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable
 * Pseudorandom Number Generators, 2014) and one to one: a change in one word always changes the
 * sum, other changes (swapped words, moved bytes, a wrong length) do but for one case in 2^64. It
 * is no defence against somebody who wants equal sums.
 */
#ifndef SEGUE_PREPACK_KERNELS_H
#define SEGUE_PREPACK_KERNELS_H

#include <segue/base.h>
#include <segue/executable.h>
#include <segue/soft.h>

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What sets one place apart from another: 2^64 divided by the golden ratio, odd. */
#define SEGUE_CHECKSUM_GOLDEN UINT64_C(0x9E3779B97F4A7C15)

/** The finalizer of SplitMix64. */
static inline uint64_t segue_checksum_mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
    return value ^ (value >> 31);
}

/** The checksum of host memory (little-endian machines). */
static inline uint64_t segue_checksum(const void *data, uint64_t size_bytes)
{
    const unsigned char *bytes = (const unsigned char *)data;
    const uint64_t word_count = size_bytes / 8;
    uint64_t sum = segue_checksum_mix(size_bytes);
    uint64_t place = 0;
    for (uint64_t i = 0; i < word_count; i++) {
        uint64_t word;
        memcpy(&word, bytes + 8 * i, sizeof(word));
        place += SEGUE_CHECKSUM_GOLDEN;
        sum += segue_checksum_mix(word + place);
    }
    if (size_bytes % 8 != 0) {
        uint64_t word = 0;
        memcpy(&word, bytes + 8 * word_count, (size_t)(size_bytes % 8));
        sum += segue_checksum_mix(word + place + SEGUE_CHECKSUM_GOLDEN);
    }
    return sum;
}

/** Constants of the kernel segue_chunk_checksums. */
struct segue_checksum_constants {
    /** Of the tensor; at least 1. */
    uint64_t size_bytes;
    /** Bytes that share a checksum, a multiple of 8; the last chunk may be shorter. */
    uint64_t chunk_bytes;
};

/**
 * What segue_executable_create needs to make the executable with the one entry point
 * segue_chunk_checksums. Block 256, grid: one block for each chunk.
 * data: read, the tensor, aligned to 8; sums: write, u64 [chunks].
 * Constants: segue_checksum_constants. All pointers are static. Thread-safe.
 */
SEGUE_API void segue_kernels_get_checksum(struct segue_executable_params *out_params);

/** Registers its reference with the software driver behind `device`; on any other device it does
 *  nothing. Fails as segue_device_register_reference_kernels does. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_kernels_register_checksum(segue_device *device);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_PREPACK_KERNELS_H
