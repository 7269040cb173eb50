// SPDX-License-Identifier: Apache-2.0
/**
 * @file gguf.h
 * GGUF files put together piece by piece, good ones and bad ones. One thread at a time.
 */
#ifndef SEGUE_TEST_GGUF_H
#define SEGUE_TEST_GGUF_H

#include <stddef.h>
#include <stdint.h>

/** A file in the making. Zero-initialised: empty. */
struct segue_test_gguf {
    unsigned char bytes[8192];
    size_t size_bytes;
};

/** Appends; least significant byte first. */
void segue_test_gguf_u32(struct segue_test_gguf *gguf, uint32_t value);
void segue_test_gguf_u64(struct segue_test_gguf *gguf, uint64_t value);
/** Its length, and it. */
void segue_test_gguf_string(struct segue_test_gguf *gguf, const char *text);
/** Zeros up to a multiple of `alignment`. */
void segue_test_gguf_align(struct segue_test_gguf *gguf, size_t alignment);
/** Magic, version and counts. */
void segue_test_gguf_begin(struct segue_test_gguf *gguf, uint32_t version, uint64_t tensor_count,
                           uint64_t value_count);
/** A tensor of two dimensions; with 0 columns of none. */
void segue_test_gguf_tensor(struct segue_test_gguf *gguf, const char *name, uint64_t rows,
                            uint64_t columns, uint32_t type, uint64_t offset_bytes);

#endif // SEGUE_TEST_GGUF_H
