// SPDX-License-Identifier: Apache-2.0
/**
 * @file gguf.h
 * Headers of GGUF files, versions 2 and 3 (the format of ggml: docs/gguf.md of
 * github.com/ggml-org/ggml): counts, metadata, then name, shape, type and place of each tensor. Of
 * the metadata only the alignment counts; the rest is walked over.
 */
#ifndef SEGUE_TRACE_GGUF_H
#define SEGUE_TRACE_GGUF_H

#include "pool.h"
#include "safetensors.h"

/** Largest header that is read, metadata included. */
#define SEGUE_GGUF_MAX_HEADER_BYTES ((uint64_t)256 << 20)

/** Whether the first bytes of a file are those of a GGUF file. */
bool segue_gguf_is(const unsigned char magic[4]);

/**
 * Reads the header of an open file. Tensors come in the order of their places and do not overlap;
 * those of a type that is not known have no dtype_name, and size 0.
 * @param file  for messages.
 */
segue_status segue_gguf_read(const char *file, int fd, uint64_t file_size_bytes,
                             struct segue_pool *pool, struct segue_tensor_list *out_list);

#endif // SEGUE_TRACE_GGUF_H
