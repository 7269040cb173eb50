// SPDX-License-Identifier: Apache-2.0
/**
 * @file compile_cache.h
 * Compiled images on disk, one file each, named by the SHA-256 of all that the image depends on.
 * Files are written under another name and renamed, so readers see whole files or none; a file that
 * does not verify is ignored and replaced. A cache that cannot be read or written slows compiling
 * down, and does no more harm than that. Thread-safe, and safe between processes.
 */
#ifndef SEGUE_CUDA_COMPILE_CACHE_H
#define SEGUE_CUDA_COMPILE_CACHE_H

#include "allocator.h"
#include "sha256.h"

struct segue_compile_cache {
    /** For logging; may be NULL. */
    segue_device *device;
    const struct segue_allocator *allocator;
    /** Made when first written to; NULL: there is no cache. */
    const char *folder;
};

struct segue_compile_cache_key {
    unsigned char digest[SEGUE_SHA256_BYTES];
};

/** The stored image, to be released with the cache's allocator and `out_size_bytes`; NULL if there
 *  is none that verifies. */
void *segue_compile_cache_load(const struct segue_compile_cache *cache,
                               const struct segue_compile_cache_key *key, size_t *out_size_bytes);

/** Stores an image; a failure is logged and otherwise ignored. */
void segue_compile_cache_store(const struct segue_compile_cache *cache,
                               const struct segue_compile_cache_key *key, const void *data,
                               size_t size_bytes);

#endif // SEGUE_CUDA_COMPILE_CACHE_H
