// SPDX-License-Identifier: Apache-2.0
/**
 * @file pinned.h
 * Pinned memory for uploads: rings of slots, known to the whole process, each in use by one stream
 * at a time. A device's rings live as long as it has a user: a stream that has leased one, or a
 * segue_prepack_staging.
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
    uint64_t held_bytes;
    /** -1: not known, or memory could not be asked for there. */
    int32_t node;
    /** Of this lease. */
    uint64_t pin_ns;
    bool is_leased;
    struct segue_prepack_ring *next;
};

/** Fills in staging_bytes and slot_bytes where they are 0, and makes them fit each other.
 *  @return SEGUE_INVALID_ARGUMENT where the cap holds no two slots. */
segue_status segue_prepack_settle_staging(segue_device *device,
                                          struct segue_prepack_limits *limits);

/** An idle ring of the device with such slots, or a new one without any. `limits` are settled. */
segue_status segue_prepack_ring_lease(segue_device *device,
                                      const struct segue_prepack_limits *limits,
                                      struct segue_prepack_ring **out_ring);
/** Gives it back. Nothing may be on its way from or to it. */
void segue_prepack_ring_return(segue_device *device, struct segue_prepack_ring *ring);

/** Pins one more slot, which is the last one then. slot_count is below capacity. */
segue_status segue_prepack_ring_grow(segue_device *device, struct segue_prepack_ring *ring);

#endif // SEGUE_PREPACK_PINNED_H
