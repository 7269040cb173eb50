// SPDX-License-Identifier: Apache-2.0
/**
 * @file direct.h
 * Reading past the page cache: which ranges are not in it, and files opened so. One thread at a
 * time.
 */
#ifndef SEGUE_PREPACK_DIRECT_H
#define SEGUE_PREPACK_DIRECT_H

#include <stdbool.h>
#include <stdint.h>

/** Files that were opened a second time. */
struct segue_prepack_direct;

/** NULL when out of memory. */
struct segue_prepack_direct *segue_prepack_direct_create(void);
/** Nothing may be read any more. NULL is fine. */
void segue_prepack_direct_destroy(struct segue_prepack_direct *direct);

/** The file behind `fd`, opened for O_DIRECT; -1 where its file system does not let one, or it is
 * no plain file. Belongs to `direct`, and stays the same file whatever becomes of `fd`. */
int segue_prepack_direct_file(struct segue_prepack_direct *direct, int fd);

/** Whether most of a range is not in the page cache, by samples of it if it is long. False where
 * the kernel does not tell. */
bool segue_prepack_is_cold(int fd, uint64_t offset_bytes, uint64_t length_bytes);

#endif // SEGUE_PREPACK_DIRECT_H
