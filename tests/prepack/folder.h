// SPDX-License-Identifier: Apache-2.0
/**
 * @file folder.h
 * Folders with packed caches in them, for tests: tensors whose bytes follow from a number, so that
 * whatever is served can be told from what should be.
 */
#ifndef SEGUE_TEST_PREPACK_FOLDER_H
#define SEGUE_TEST_PREPACK_FOLDER_H

#include <segue/packed_cache.h>

/** An empty folder, removed with all in it at the end of the process. The string is static. */
const char *segue_test_folder(void);
/** Removes all files in the folder. */
void segue_test_empty_folder(const char *folder);
/** Copies all files of one folder into another, which is emptied before. */
void segue_test_copy_folder(const char *from, const char *to);
/** Files in the folder whose name has that ending; "" counts all. The name of the last one goes to
 *  `out_name` (NULL: not wanted). */
uint32_t segue_test_count_files(const char *folder, const char *ending, char out_name[64]);
/** The folder's only file with that ending, whole; free it. Fails the test where it is not so. */
unsigned char *segue_test_read_file(const char *folder, const char *ending, size_t *out_size_bytes);
/** Writes a file of that name in the folder. */
void segue_test_write_file(const char *folder, const char *name, const void *data,
                           size_t size_bytes);

/** A tensor that tests pack. */
struct segue_test_tensor {
    /** Its bytes, its key and its name follow from this. */
    uint32_t number;
    uint64_t size_bytes;
};

/** The key of a tensor. */
struct segue_packed_key segue_test_key(uint32_t number);
/** Bytes [offset, offset + length) of a tensor. */
void segue_test_fill(uint32_t number, uint64_t offset_bytes, void *data, size_t length_bytes);
/** "tensor 7" and the like, in a static buffer. */
const char *segue_test_name(uint32_t number);

/** Longest wait for another builder of the caches opened from now on. */
extern uint64_t segue_test_lock_timeout_ns;
/** Opens a cache with full verification. */
segue_status segue_test_open(const char *folder, uint32_t flags, segue_packed_cache **out_cache);
/** Adds one tensor to a build, in pieces of odd sizes. */
segue_status segue_test_add(segue_packed_writer *writer, struct segue_test_tensor tensor);
/** Opens the folder, builds those of the tensors that are not there, as one generation, and closes
 *  it again. */
segue_status segue_test_build(const char *folder, const struct segue_test_tensor *tensors,
                              uint32_t count);

/** What became of a tensor. */
enum segue_test_found {
    SEGUE_TEST_ABSENT,
    SEGUE_TEST_RIGHT,
    /** Served with other bytes: what must never happen. */
    SEGUE_TEST_WRONG,
    /** Refused because of its checksums. */
    SEGUE_TEST_REFUSED,
    SEGUE_TEST_FAILED,
};
/** Looks a tensor up and compares all of its bytes. */
enum segue_test_found segue_test_look(segue_packed_cache *cache, struct segue_test_tensor tensor);

#endif // SEGUE_TEST_PREPACK_FOLDER_H
