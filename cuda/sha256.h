// SPDX-License-Identifier: Apache-2.0
/**
 * @file sha256.h
 * SHA-256 (FIPS 180-4), for the keys and checksums of the compile cache.
 */
#ifndef SEGUE_CUDA_SHA256_H
#define SEGUE_CUDA_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SEGUE_SHA256_BYTES 32

struct segue_sha256 {
    uint32_t state[8];
    uint64_t length_bytes;
    unsigned char block[64];
};

void segue_sha256_init(struct segue_sha256 *hash);
void segue_sha256_update(struct segue_sha256 *hash, const void *data, size_t size_bytes);
/** Writes the digest; the hash must be initialised again before further use. */
void segue_sha256_finish(struct segue_sha256 *hash, unsigned char out_digest[SEGUE_SHA256_BYTES]);

#endif // SEGUE_CUDA_SHA256_H
