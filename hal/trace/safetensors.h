// SPDX-License-Identifier: Apache-2.0
/**
 * @file safetensors.h
 * Safetensors files: an 8-byte little-endian header length, a JSON header, and the tensors' bytes
 * end to end. Read strictly, since files are untrusted: ranges must be contiguous, in order, and
 * cover all bytes; sizes must fit dtype and shape.
 */
#ifndef SEGUE_TRACE_SAFETENSORS_H
#define SEGUE_TRACE_SAFETENSORS_H

#include "files.h"
#include "names.h"
#include "pool.h"

#include <segue/trace.h>

#include <jansson.h>

/** Largest header that is read or written. */
#define SEGUE_SAFETENSORS_MAX_HEADER_BYTES 100000000u

/** A tensor in a file. */
struct segue_tensor {
    /** In the pool of whoever read the file. */
    const char *name;
    /** A dtype name of the format, e.g. "BF16". Static. NULL (GGUF only): a type that is not known,
     *  for which type_number stands in the file. */
    const char *dtype_name;
    uint32_t type_number;
    /** The segue_dtype, -1 for types that only count as bytes (BOOL, F8_E4M3, F8_E5M2). */
    int dtype;
    /** Outermost dimension first, in the pool. */
    const uint64_t *shape;
    uint32_t dimension_count;
    /** From the beginning of the file. */
    uint64_t offset_bytes;
    uint64_t size_bytes;
};

struct segue_tensor_list {
    /** In the pool. */
    struct segue_tensor *tensors;
    uint32_t tensor_count;
};

/** Size of header and data that the first 8 bytes and the file size imply.
 *  @return SEGUE_INVALID_DATA for what cannot be. */
segue_status segue_safetensors_check_size(const char *file, const unsigned char prefix[8],
                                          uint64_t file_size_bytes, uint64_t *out_header_bytes);

/** Parses a header (the bytes after the length) whose file has `data_size_bytes` bytes behind it.
 *  @param file for messages. */
segue_status segue_safetensors_parse(const char *file, const char *header, size_t header_bytes,
                                     uint64_t data_size_bytes, struct segue_pool *pool,
                                     struct segue_tensor_list *out_list);

/** Reads and parses the header of an open file. */
segue_status segue_safetensors_read(const char *file, int fd, uint64_t file_size_bytes,
                                    struct segue_pool *pool, struct segue_tensor_list *out_list);

/** Writes a file piece by piece: data goes to a temporary file, the header in front of it at the
 *  end. Zero-initialised: nothing begun. One thread at a time. */
struct segue_safetensors_writer {
    /** Data so far; under the temporary name of PATH.data, removed in the end. */
    struct segue_output_file data;
    /** Header: an object of tensors. */
    json_t *header;
};

/** Creates the temporary file beside `path`. */
segue_status segue_safetensors_begin(struct segue_safetensors_writer *writer, const char *path);
/** Opens a one-dimensional tensor of `size_bytes`, a multiple of the element size; its bytes follow
 *  with segue_safetensors_append. The name must be new. */
segue_status segue_safetensors_add(struct segue_safetensors_writer *writer, const char *name,
                                   enum segue_dtype dtype, uint64_t size_bytes);
segue_status segue_safetensors_append(struct segue_safetensors_writer *writer, const void *data,
                                      uint64_t length_bytes);
/** Writes header and data to `out_file` (opened by the caller) and ends the writer. */
segue_status segue_safetensors_finish(struct segue_safetensors_writer *writer,
                                      struct segue_output_file *out_file);
/** Drops everything. Does nothing where nothing has begun. */
void segue_safetensors_abandon(struct segue_safetensors_writer *writer);

#endif // SEGUE_TRACE_SAFETENSORS_H
