// SPDX-License-Identifier: Apache-2.0
/**
 * @file uring.h
 * Several reads at a time by io_uring, through liburing (uring.c); where Segue is built without it,
 * no ring is to be had (uring_none.c). A ring is used by one thread.
 */
#ifndef SEGUE_PREPACK_URING_H
#define SEGUE_PREPACK_URING_H

#include <stdbool.h>
#include <stdint.h>

struct segue_prepack_uring;

/** A read. */
struct segue_prepack_uring_read {
    int fd;
    void *data;
    uint32_t length_bytes;
    uint64_t offset_bytes;
    /** Bytes read, or a negative errno value. */
    int32_t result;
};

/** Makes a ring for `depth` reads at a time, a power of two. @return 0 or a positive errno value:
 *  ENOSYS, EPERM and others where the kernel has none or gives none away. */
int segue_prepack_uring_create(uint32_t depth, struct segue_prepack_uring **out_ring);
/** NULL is fine. */
void segue_prepack_uring_destroy(struct segue_prepack_uring *ring);

/** Does up to `depth` reads and waits for all of them; each has its result then. False where the
 *  kernel has not taken all: a ring that it makes is not yet one that may be used. */
bool segue_prepack_uring_run(struct segue_prepack_uring *ring,
                             struct segue_prepack_uring_read *reads, uint32_t count);

#endif // SEGUE_PREPACK_URING_H
