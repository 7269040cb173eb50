// SPDX-License-Identifier: Apache-2.0
/**
 * @file slots.h
 * The pinned slots of a load, taken in turn: where the next bytes go, and when a slot is free again
 * or one more is pinned instead of waiting for that. One thread at a time.
 */
#ifndef SEGUE_PREPACK_SLOTS_H
#define SEGUE_PREPACK_SLOTS_H

#include "pinned.h"
#include "stream.h"

/** What is known of a slot besides its memory. */
struct segue_prepack_slot {
    /** The increment that copies it last; free once that is done. */
    uint64_t increment;
    /** Pieces that are being read into it. */
    uint32_t flight_count;
    uint64_t used_bytes;
};

/** device, limits, stream and wanted_count are set by whoever has them; the rest is zeroed, node
 * -1. */
struct segue_prepack_slots {
    segue_device *device;
    /** Settled; live as long as this. */
    const struct segue_prepack_limits *limits;
    struct segue_prepack_stream *stream;
    /** NULL: not leased. */
    struct segue_prepack_ring *ring;
    /** One for each that the ring may have. */
    struct segue_prepack_slot *items;
    /** Where the next bytes go. */
    uint32_t current;
    /** Slots that are worth being pinned. */
    uint32_t wanted_count;
    /** The slot that was next and not free. */
    uint32_t awaited;
    /** None could not be pinned since the lease. */
    bool grows;
    /** Over all leases: most memory held, slots that could not be pinned, the node, time spent on
     *  pinning; and that of earlier leases. */
    uint64_t peak_bytes;
    uint32_t unpinned_count;
    int32_t node;
    uint64_t pin_ns;
    uint64_t pin_ns_before;
};

/** Takes pinned memory, if there is none. The pool was joined. */
segue_status segue_prepack_slots_lease(struct segue_prepack_slots *slots);
/** Gives it back, if there is some. `busy` as for segue_prepack_ring_return. */
void segue_prepack_slots_return(struct segue_prepack_slots *slots,
                                const struct segue_semaphore_value *busy);
/** Moves on to a slot that is free, or can be made, without waiting; the first one, which may be
 *  smaller than the others, only for less than it holds, or if there is no other. *out_found false:
 *  `awaited` is the one to wait for. Memory is leased. */
segue_status segue_prepack_slots_next(struct segue_prepack_slots *slots, uint64_t least_bytes,
                                      bool *out_found);

#endif // SEGUE_PREPACK_SLOTS_H
