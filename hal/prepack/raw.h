// SPDX-License-Identifier: Apache-2.0
/**
 * @file raw.h
 * Device memory that sources pass through on their way to being packed: one ring, given out in
 * turn. A place is given out again, once its packing is recorded, for copies after that packing.
 */
#ifndef SEGUE_PREPACK_RAW_H
#define SEGUE_PREPACK_RAW_H

#include "stream.h"

/** Places given out at a time. */
#define SEGUE_PREPACK_RAW_PLACES 64

/** A place in the ring. */
struct segue_prepack_raw_place {
    /** The ring, or memory of the place's own where it is larger than that. */
    segue_buffer *buffer;
    uint64_t offset_bytes;
    /** Copies to it must come after the packings of this increment. */
    uint64_t after;
};

/** A ring. Zero-initialise. */
struct segue_prepack_raw {
    segue_buffer *buffer;
    uint64_t size_bytes;
    /** Where the next place begins. */
    uint64_t next_bytes;
    /** Places in turn: those from `first` on are taken. The increment that packs what is there; 0:
     *  not recorded yet. */
    struct {
        uint64_t begin_bytes;
        uint64_t increment;
        segue_buffer *own;
    } places[SEGUE_PREPACK_RAW_PLACES];
    uint32_t first;
    uint32_t count;
    /** The last increment that packs what was there before. */
    uint64_t passed;
    uint64_t peak_bytes;
};

/**
 * Takes a place. False: there is no room before the packing of an earlier place is recorded.
 * @param ring_bytes  size of the ring, which is made now if it is not there.
 */
segue_status segue_prepack_raw_take(struct segue_prepack_raw *raw, segue_device *device,
                                    struct segue_prepack_stream *stream, uint64_t ring_bytes,
                                    uint64_t size_bytes, struct segue_prepack_raw_place *out_place,
                                    bool *out_taken);
/** The oldest place whose packing is not recorded is packed by the increment that is being
 *  recorded. */
void segue_prepack_raw_give(struct segue_prepack_raw *raw,
                            const struct segue_prepack_stream *stream);
/** Gives up all memory. What is submitted keeps what it needs. */
void segue_prepack_raw_destroy(struct segue_prepack_raw *raw);

#endif // SEGUE_PREPACK_RAW_H
