// SPDX-License-Identifier: Apache-2.0
#include "uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/** Both rings and the entries, as the kernel has mapped them. */
struct segue_prepack_uring {
    int fd;
    struct io_uring_params params;
    unsigned char *submissions;
    size_t submissions_bytes;
    unsigned char *completions;
    size_t completions_bytes;
    struct io_uring_sqe *entries;
    size_t entries_bytes;
};

static uint32_t *submission_word(const struct segue_prepack_uring *ring, uint32_t offset_bytes)
{
    return (uint32_t *)(void *)(ring->submissions + offset_bytes);
}

static uint32_t *completion_word(const struct segue_prepack_uring *ring, uint32_t offset_bytes)
{
    return (uint32_t *)(void *)(ring->completions + offset_bytes);
}

static void *map(int fd, size_t size_bytes, uint64_t place)
{
    void *memory =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)place);
    return memory == MAP_FAILED ? NULL : memory;
}

int segue_prepack_uring_create(uint32_t depth, struct segue_prepack_uring **out_ring)
{
    struct segue_prepack_uring *ring = calloc(1, sizeof(*ring));
    if (ring == NULL)
        return ENOMEM;
    ring->fd = (int)syscall(SYS_io_uring_setup, depth, &ring->params);
    int error = ring->fd < 0 ? errno : 0;
    const struct io_uring_params *params = &ring->params;
    if (error == 0) {
        ring->submissions_bytes = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
        ring->completions_bytes =
            params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
        ring->entries_bytes = params->sq_entries * sizeof(struct io_uring_sqe);
        ring->submissions = map(ring->fd, ring->submissions_bytes, IORING_OFF_SQ_RING);
        ring->completions = map(ring->fd, ring->completions_bytes, IORING_OFF_CQ_RING);
        ring->entries = map(ring->fd, ring->entries_bytes, IORING_OFF_SQES);
        if (ring->submissions == NULL || ring->completions == NULL || ring->entries == NULL)
            error = ENOMEM;
    }
    if (error != 0) {
        segue_prepack_uring_destroy(ring);
        return error;
    }
    *out_ring = ring;
    return 0;
}

void segue_prepack_uring_destroy(struct segue_prepack_uring *ring)
{
    if (ring == NULL)
        return;
    if (ring->submissions != NULL)
        (void)munmap(ring->submissions, ring->submissions_bytes);
    if (ring->completions != NULL)
        (void)munmap(ring->completions, ring->completions_bytes);
    if (ring->entries != NULL)
        (void)munmap(ring->entries, ring->entries_bytes);
    if (ring->fd >= 0)
        (void)close(ring->fd);
    free(ring);
}

/** Puts the reads into the submission ring, which is empty. */
static void put(struct segue_prepack_uring *ring, const struct segue_prepack_uring_read *reads,
                uint32_t count)
{
    const struct io_sqring_offsets *offsets = &ring->params.sq_off;
    uint32_t *tail_word = submission_word(ring, offsets->tail);
    const uint32_t mask = *submission_word(ring, offsets->ring_mask);
    uint32_t *places = submission_word(ring, offsets->array);
    const uint32_t tail = *tail_word;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = (tail + i) & mask;
        ring->entries[at] = (struct io_uring_sqe){
            .opcode = IORING_OP_READ,
            .fd = reads[i].fd,
            .addr = (uint64_t)(uintptr_t)reads[i].data,
            .len = reads[i].length_bytes,
            .off = reads[i].offset_bytes,
            .user_data = i,
        };
        places[at] = at;
    }
    // The kernel looks at the entries once it sees the tail.
    __atomic_store_n(tail_word, tail + count, __ATOMIC_RELEASE);
}

/** Takes all results that are there. Returns how many. */
static uint32_t take(struct segue_prepack_uring *ring, struct segue_prepack_uring_read *reads)
{
    const struct io_cqring_offsets *offsets = &ring->params.cq_off;
    uint32_t *head_word = completion_word(ring, offsets->head);
    const uint32_t tail = __atomic_load_n(completion_word(ring, offsets->tail), __ATOMIC_ACQUIRE);
    const uint32_t mask = *completion_word(ring, offsets->ring_mask);
    const struct io_uring_cqe *entries =
        (const struct io_uring_cqe *)(const void *)(ring->completions + offsets->cqes);
    uint32_t head = *head_word;
    const uint32_t count = tail - head;
    for (; head != tail; head++) {
        const struct io_uring_cqe *entry = &entries[head & mask];
        reads[entry->user_data].result = entry->res;
    }
    __atomic_store_n(head_word, head, __ATOMIC_RELEASE);
    return count;
}

bool segue_prepack_uring_run(struct segue_prepack_uring *ring,
                             struct segue_prepack_uring_read *reads, uint32_t count)
{
    put(ring, reads, count);
    uint32_t given = 0;
    uint32_t done = 0;
    // Memory that the kernel still reads into must not be given back: what it has taken is waited
    // for, whatever happens.
    while (given < count || done < given) {
        const long taken = syscall(SYS_io_uring_enter, ring->fd, count - given,
                                   given < count ? 0 : 1, IORING_ENTER_GETEVENTS, NULL, 0);
        const int error = taken < 0 ? errno : 0;
        if (taken > 0)
            given += (uint32_t)taken;
        done += take(ring, reads);
        if (taken > 0 || error == EINTR)
            continue;
        // It takes no more: what is on its way is waited for, the rest is for the caller.
        if (given < count && done == given)
            break;
        (void)sched_yield();
    }
    // What it did not take is taken back.
    if (given < count) {
        uint32_t *tail = submission_word(ring, ring->params.sq_off.tail);
        __atomic_store_n(tail, *tail - (count - given), __ATOMIC_RELEASE);
        for (uint32_t i = given; i < count; i++)
            reads[i].result = -EIO;
    }
    return given == count;
}
