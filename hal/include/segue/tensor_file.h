// SPDX-License-Identifier: Apache-2.0
/**
 * @file tensor_file.h
 * Tensors in safetensors and GGUF files, found by name. Part of libsegue_trace; prepack plans find
 * their sources with it (SEGUE_PREPACK_TENSOR).
 *
 * Files are untrusted: every length and offset in a header is checked against the file's size
 * before it is used, a tensor's size against dtype and shape, and what is wrong is
 * SEGUE_INVALID_DATA with one line that names file, tensor and value. Only headers are read here.
 *
 * Thread-safety: an open file may be used from several threads at once.
 */
#ifndef SEGUE_TENSOR_FILE_H
#define SEGUE_TENSOR_FILE_H

#include <segue/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most dimensions of a tensor that is handed out. */
#define SEGUE_TENSOR_MAX_DIMENSIONS 8

/** Where a tensor is and what it is. Pointers live as long as the file. */
struct segue_tensor_info {
    const char *name;
    /** "BF16", "Q4_0" and so on: a name that segue_tensor_dtype_block knows. */
    const char *dtype;
    /** From the beginning of the file. */
    uint64_t offset_bytes;
    uint64_t size_bytes;
    /** Outermost dimension first, as in safetensors: [rows][columns]. (GGUF itself counts from the
     *  innermost one.) */
    uint64_t shape[SEGUE_TENSOR_MAX_DIMENSIONS];
    uint32_t dimension_count;
};

/** An open file. */
typedef struct segue_tensor_file segue_tensor_file;

/**
 * Opens a file and reads its header: GGUF (versions 2 and 3, little-endian) where it begins with
 * "GGUF", else safetensors. The path is the caller's: links are followed.
 * @return SEGUE_IO_ERROR, SEGUE_INVALID_DATA, SEGUE_OUT_OF_HOST_MEMORY; SEGUE_UNIMPLEMENTED for
 *         GGUF of another version or byte order.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_tensor_file_open(const char *path,
                                                               segue_tensor_file **out_file);

/** Closes the file. NULL is fine. */
SEGUE_API void segue_tensor_file_close(segue_tensor_file *file);

/** The descriptor, open for reading until segue_tensor_file_close. */
SEGUE_API int segue_tensor_file_get_fd(const segue_tensor_file *file);

/** How many tensors the file has. */
SEGUE_API uint32_t segue_tensor_file_get_count(const segue_tensor_file *file);

/**
 * Describes the tensor of that index, in the order of their places in the file.
 * @return SEGUE_OUT_OF_RANGE for the index; SEGUE_UNIMPLEMENTED for a tensor of a type that is not
 *         known, or of more dimensions than SEGUE_TENSOR_MAX_DIMENSIONS. Others of the same file
 *         are fine.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_tensor_file_get(const segue_tensor_file *file,
                                                              uint32_t index,
                                                              struct segue_tensor_info *out_info);

/** The same by name. @return SEGUE_NOT_FOUND where the file has no tensor of that name. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_tensor_file_find(const segue_tensor_file *file,
                                                               const char *name,
                                                               struct segue_tensor_info *out_info);

/** How many elements of a type share how many bytes: 1 and 2 for "BF16", 32 and 18 for "Q4_0".
 *  False for a name that is not known. */
SEGUE_API bool segue_tensor_dtype_block(const char *dtype, uint32_t *out_block_elements,
                                        uint32_t *out_block_bytes);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_TENSOR_FILE_H
