// SPDX-License-Identifier: Apache-2.0
/**
 * @file pinned.h
 * Pinned memory for uploads: rings of slots, known to the whole process, each in use by one load at
 * a time. A device's rings live as long as its pool has a user: a plan or a segue_prepack_staging.
 * Plans whose load is over have given theirs back, so that plans one after the other use the same
 * one, pinned once.
 */
#ifndef SEGUE_PREPACK_PINNED_H
#define SEGUE_PREPACK_PINNED_H

#include <segue/prepack.h>

/** Slots begin at multiples of this and are multiples of it long: what O_DIRECT asks for. */
#define SEGUE_PREPACK_SECTOR_BYTES 4096u

/** A piece of pinned memory. */
struct segue_prepack_slot_memory {
    segue_buffer *buffer;
    unsigned char *data;
    uint64_t size_bytes;
};

/** Slots of a device. All but slot_count and slots are the pool's business. */
struct segue_prepack_ring {
    struct segue_prepack_slot_memory *slots;
    uint32_t slot_count;
    /** How many there may be, so that the cap is not exceeded. */
    uint32_t capacity;
    uint64_t slot_bytes;
    /** Pinned, or set aside for a slot that is about to be. */
    uint64_t held_bytes;
    /** -1: not known, or memory could not be asked for there. */
    int32_t node;
    /** Of this lease. */
    uint64_t pin_ns;
    /** Most bytes that the device's rings may hold together if this one grows beyond two slots. */
    uint64_t most_bytes;
    bool is_leased;
    /** A thread waits for `busy`, without the lock. */
    bool is_awaited;
    /** What was given back may still be copied until this has been reached; NULL: it was. */
    struct segue_semaphore_value busy;
    struct segue_prepack_ring *next;
};

/** Fills in staging_bytes and slot_bytes where they are 0, and makes them fit each other.
 *  @return SEGUE_INVALID_ARGUMENT where the cap holds no two slots. */
segue_status segue_prepack_settle_staging(segue_device *device,
                                          struct segue_prepack_limits *limits);

/** One user more of the device's pool. */
segue_status segue_prepack_pool_join(segue_device *device);
/** One user less; with the last one all rings are given up. What is submitted keeps what it reads.
 */
void segue_prepack_pool_leave(segue_device *device);

/** An idle ring of the device with such slots, or a new one without any; waits until nothing copies
 *  from it any more, and frees idle ones with other slots. `limits` are settled, the pool was
 *  joined. */
segue_status segue_prepack_ring_lease(segue_device *device,
                                      const struct segue_prepack_limits *limits,
                                      struct segue_prepack_ring **out_ring);
/** Gives it back. Nothing is read into it any more, and what copies from it is done when a point is
 *  reached (NULL, or its semaphore NULL: it is done); segue_prepack_ring_forget comes before the
 *  semaphore goes. */
void segue_prepack_ring_return(struct segue_prepack_ring *ring,
                               const struct segue_semaphore_value *busy);
/** Waits for a semaphore that rings were returned with. NULL is fine. */
void segue_prepack_ring_forget(segue_device *device, const segue_semaphore *busy);

/** Sets room aside for one more slot, where it may be pinned: up to the ring's capacity, and,
 * beyond two, as long as all rings of the device hold no more than the cap. segue_prepack_ring_grow
 * follows, before this is called for the ring again. */
bool segue_prepack_ring_reserve(segue_device *device, struct segue_prepack_ring *ring);
/** Pins one more slot, for which room was set aside, and which is the last one then. */
segue_status segue_prepack_ring_grow(segue_device *device, struct segue_prepack_ring *ring);

#endif // SEGUE_PREPACK_PINNED_H
