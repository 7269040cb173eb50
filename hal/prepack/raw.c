// SPDX-License-Identifier: Apache-2.0
#include "raw.h"

static segue_status allocate(segue_device *device, uint64_t size_bytes, segue_buffer **out_buffer)
{
    const struct segue_buffer_params params = {.size_bytes = size_bytes,
                                               .label = "prepack sources"};
    return segue_buffer_create(device, &params, out_buffer);
}

static void count_peak(struct segue_prepack_raw *raw, uint64_t own_bytes)
{
    const uint64_t held_bytes = (raw->buffer != NULL ? raw->size_bytes : 0) + own_bytes;
    if (held_bytes > raw->peak_bytes)
        raw->peak_bytes = held_bytes;
}

/** Forgets the oldest place if its packing is recorded. */
static bool pass(struct segue_prepack_raw *raw)
{
    if (raw->count == 0 || raw->places[raw->first].increment == 0)
        return false;
    raw->passed = raw->places[raw->first].increment;
    // What is recorded keeps it until it is packed.
    segue_buffer_destroy(raw->places[raw->first].own);
    raw->first = (raw->first + 1) % SEGUE_PREPACK_RAW_PLACES;
    raw->count--;
    return true;
}

/** Finds where a place of that size fits now. */
static bool find(const struct segue_prepack_raw *raw, uint64_t size_bytes, uint64_t *out_begin)
{
    if (raw->count == 0) {
        *out_begin = 0;
        return true;
    }
    const uint64_t begin = raw->next_bytes;
    const uint64_t oldest = raw->places[raw->first].begin_bytes;
    const bool is_wrapped = begin <= oldest;
    *out_begin = begin;
    if (size_bytes <= (is_wrapped ? oldest : raw->size_bytes) - begin)
        return true;
    *out_begin = 0;
    return !is_wrapped && size_bytes <= oldest;
}

static void add_place(struct segue_prepack_raw *raw, uint64_t begin_bytes, uint64_t size_bytes,
                      segue_buffer *own)
{
    const uint32_t at = (raw->first + raw->count++) % SEGUE_PREPACK_RAW_PLACES;
    raw->places[at].begin_bytes = begin_bytes;
    raw->places[at].increment = 0;
    raw->places[at].own = own;
    raw->next_bytes = begin_bytes + size_bytes;
}

/** A place larger than the ring has memory of its own, and is alone: no packing is under way. */
static segue_status take_own(struct segue_prepack_raw *raw, segue_device *device,
                             struct segue_prepack_stream *stream, uint64_t size_bytes,
                             struct segue_prepack_raw_place *out_place, bool *out_taken)
{
    while (pass(raw)) {
    }
    *out_taken = raw->count == 0;
    if (!*out_taken)
        return SEGUE_OK;
    segue_buffer *own = NULL;
    segue_status status = segue_prepack_stream_wait_packed(stream, raw->passed);
    if (status == SEGUE_OK)
        status = allocate(device, size_bytes, &own);
    if (status != SEGUE_OK)
        return status;
    count_peak(raw, size_bytes);
    add_place(raw, 0, 0, own);
    *out_place = (struct segue_prepack_raw_place){.buffer = own};
    return SEGUE_OK;
}

segue_status segue_prepack_raw_take(struct segue_prepack_raw *raw, segue_device *device,
                                    struct segue_prepack_stream *stream, uint64_t ring_bytes,
                                    uint64_t size_bytes, struct segue_prepack_raw_place *out_place,
                                    bool *out_taken)
{
    const uint64_t limit_bytes = raw->buffer != NULL ? raw->size_bytes : ring_bytes;
    if (size_bytes > limit_bytes)
        return take_own(raw, device, stream, size_bytes, out_place, out_taken);
    *out_taken = false;
    if (raw->buffer == NULL) {
        const segue_status status = allocate(device, ring_bytes, &raw->buffer);
        if (status != SEGUE_OK)
            return status;
        raw->size_bytes = ring_bytes;
        count_peak(raw, 0);
    }
    uint64_t begin_bytes = 0;
    bool found = false;
    do {
        found = raw->count < SEGUE_PREPACK_RAW_PLACES && find(raw, size_bytes, &begin_bytes);
    } while (!found && pass(raw));
    if (!found)
        return SEGUE_OK;
    add_place(raw, begin_bytes, size_bytes, NULL);
    *out_place = (struct segue_prepack_raw_place){
        .buffer = raw->buffer, .offset_bytes = begin_bytes, .after = raw->passed};
    *out_taken = true;
    return SEGUE_OK;
}

void segue_prepack_raw_give(struct segue_prepack_raw *raw,
                            const struct segue_prepack_stream *stream)
{
    for (uint32_t i = 0; i < raw->count; i++) {
        const uint32_t at = (raw->first + i) % SEGUE_PREPACK_RAW_PLACES;
        if (raw->places[at].increment != 0)
            continue;
        raw->places[at].increment = segue_prepack_stream_increment(stream);
        return;
    }
}

void segue_prepack_raw_destroy(struct segue_prepack_raw *raw)
{
    for (uint32_t i = 0; i < raw->count; i++)
        segue_buffer_destroy(raw->places[(raw->first + i) % SEGUE_PREPACK_RAW_PLACES].own);
    segue_buffer_destroy(raw->buffer);
    *raw = (struct segue_prepack_raw){.passed = 0};
}
