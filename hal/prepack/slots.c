// SPDX-License-Identifier: Apache-2.0
#include "slots.h"

#include "error.h"

#include <stdlib.h>

static void count_ring(struct segue_prepack_slots *slots)
{
    const struct segue_prepack_ring *ring = slots->ring;
    if (ring->held_bytes > slots->peak_bytes)
        slots->peak_bytes = ring->held_bytes;
    slots->node = ring->node;
    slots->pin_ns = slots->pin_ns_before + ring->pin_ns;
}

segue_status segue_prepack_slots_lease(struct segue_prepack_slots *slots)
{
    if (slots->ring != NULL)
        return SEGUE_OK;
    struct segue_prepack_ring *ring = NULL;
    const segue_status status = segue_prepack_ring_lease(slots->device, slots->limits, &ring);
    if (status != SEGUE_OK)
        return status;
    slots->items = calloc(ring->capacity, sizeof(slots->items[0]));
    if (slots->items == NULL) {
        segue_prepack_ring_return(ring, NULL);
        return segue_prepack_fail_memory("an upload");
    }
    slots->ring = ring;
    slots->current = 0;
    slots->grows = true;
    slots->pin_ns_before = slots->pin_ns;
    count_ring(slots);
    return SEGUE_OK;
}

void segue_prepack_slots_return(struct segue_prepack_slots *slots,
                                const struct segue_semaphore_value *busy)
{
    if (slots->ring == NULL)
        return;
    segue_prepack_ring_return(slots->ring, busy);
    slots->ring = NULL;
    free(slots->items);
    slots->items = NULL;
}

/** Whether nothing reads a slot any more: neither what is recorded or submitted, nor is a piece on
 *  its way into it. */
static segue_status is_free(const struct segue_prepack_slots *slots, uint32_t slot,
                            bool *out_is_free)
{
    *out_is_free = false;
    return slots->items[slot].flight_count != 0
               ? SEGUE_OK
               : segue_prepack_stream_is_copied(slots->stream, slots->items[slot].increment,
                                                out_is_free);
}

/** Whether another slot may be pinned now; then room is set aside for it. Where the first increment
 * fits the first slot, the second one only once that is submitted: pinning takes longer than
 * filling and submitting. */
static bool may_grow(const struct segue_prepack_slots *slots)
{
    const uint32_t count = slots->ring->slot_count;
    return slots->grows && count < slots->wanted_count &&
           (count == 0 || segue_prepack_stream_has_copied(slots->stream) ||
            segue_prepack_stream_limit_bytes(slots->stream) > slots->ring->slots[0].size_bytes) &&
           segue_prepack_ring_reserve(slots->device, slots->ring);
}

/** Pins one more slot. Where memory for it is short, it goes on with those that there are. */
static segue_status grow(struct segue_prepack_slots *slots, bool *out_found)
{
    struct segue_prepack_ring *ring = slots->ring;
    const segue_status status = segue_prepack_ring_grow(slots->device, ring);
    const bool is_short =
        status == SEGUE_OUT_OF_HOST_MEMORY || status == SEGUE_OUT_OF_DEVICE_MEMORY;
    if (is_short && ring->slot_count != 0) {
        slots->grows = false;
        slots->unpinned_count++;
        return SEGUE_OK;
    }
    if (status != SEGUE_OK)
        return status;
    count_ring(slots);
    slots->current = ring->slot_count - 1;
    slots->items[slots->current].used_bytes = 0;
    *out_found = true;
    return SEGUE_OK;
}

segue_status segue_prepack_slots_next(struct segue_prepack_slots *slots, uint64_t least_bytes,
                                      bool *out_found)
{
    struct segue_prepack_ring *ring = slots->ring;
    *out_found = false;
    if (ring->slot_count == 0) {
        // Every ring may have two.
        (void)segue_prepack_ring_reserve(slots->device, ring);
        return grow(slots, out_found);
    }
    uint32_t next = (slots->current + 1) % ring->slot_count;
    if (ring->slots[next].size_bytes < least_bytes)
        next = (next + 1) % ring->slot_count;
    const bool is_small = ring->slots[next].size_bytes < least_bytes;
    bool free_now = false;
    segue_status status = is_free(slots, next, &free_now);
    if (status == SEGUE_OK && (!free_now || is_small) && may_grow(slots))
        status = grow(slots, out_found);
    if (status != SEGUE_OK || *out_found)
        return status;
    slots->awaited = next;
    if (!free_now)
        return SEGUE_OK;
    slots->current = next;
    slots->items[next].used_bytes = 0;
    *out_found = true;
    return SEGUE_OK;
}
