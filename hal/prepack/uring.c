// SPDX-License-Identifier: Apache-2.0
#include "uring.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdlib.h>

struct segue_prepack_uring {
    struct io_uring ring;
};

/** Memory of one ring may become that of the next one, in another thread. Held where rings come and
 *  go: liburing maps memory by system calls of its own, in which no sanitizer sees that order. */
static pthread_mutex_t maps_lock = PTHREAD_MUTEX_INITIALIZER;

int segue_prepack_uring_create(uint32_t depth, struct segue_prepack_uring **out_ring)
{
    struct segue_prepack_uring *ring = calloc(1, sizeof(*ring));
    if (ring == NULL)
        return ENOMEM;
    (void)pthread_mutex_lock(&maps_lock);
    const int result = io_uring_queue_init(depth, &ring->ring, 0);
    (void)pthread_mutex_unlock(&maps_lock);
    if (result != 0) {
        free(ring);
        return -result;
    }
    *out_ring = ring;
    return 0;
}

void segue_prepack_uring_destroy(struct segue_prepack_uring *ring)
{
    if (ring == NULL)
        return;
    (void)pthread_mutex_lock(&maps_lock);
    io_uring_queue_exit(&ring->ring);
    (void)pthread_mutex_unlock(&maps_lock);
    free(ring);
}

/** Puts the reads into the submission queue, which is empty. Returns how many it has room for. */
static uint32_t put(struct segue_prepack_uring *ring, struct segue_prepack_uring_read *reads,
                    uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
        if (entry == NULL)
            return i;
        io_uring_prep_read(entry, reads[i].fd, reads[i].data, reads[i].length_bytes,
                           reads[i].offset_bytes);
        io_uring_sqe_set_data(entry, &reads[i]);
        reads[i].result = -EIO;
    }
    return count;
}

/** Takes all results that are there. Returns how many. */
static uint32_t take(struct segue_prepack_uring *ring)
{
    uint32_t count = 0;
    unsigned head = 0;
    struct io_uring_cqe *entry = NULL;
    io_uring_for_each_cqe(&ring->ring, head, entry)
    {
        struct segue_prepack_uring_read *read = io_uring_cqe_get_data(entry);
        read->result = entry->res;
        count++;
    }
    io_uring_cq_advance(&ring->ring, count);
    return count;
}

bool segue_prepack_uring_run(struct segue_prepack_uring *ring,
                             struct segue_prepack_uring_read *reads, uint32_t count)
{
    const uint32_t put_count = put(ring, reads, count);
    uint32_t done = 0;
    // Memory that the kernel still reads into must not be given back: what it has taken is waited
    // for, whatever happens.
    while (done < put_count) {
        const int result = io_uring_submit_and_wait(&ring->ring, put_count - done);
        done += take(ring);
        const uint32_t taken = put_count - io_uring_sq_ready(&ring->ring);
        // It takes no more, and nothing is on its way: the rest is for the caller.
        if (result <= 0 && result != -EINTR && taken < put_count && done == taken)
            break;
        if (result < 0)
            (void)sched_yield();
    }
    for (uint32_t i = put_count; i < count; i++)
        reads[i].result = -EIO;
    return done == count;
}
