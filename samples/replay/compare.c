// SPDX-License-Identifier: Apache-2.0
#include "compare.h"

#include <segue/buffer.h>
#include <segue/soft.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

// Buffers are read in pieces, so that a comparison needs little memory beside the devices'.
#define PIECE_BYTES ((uint64_t)4 << 20)

segue_status segue_replay_digests_create(const struct segue_replay *replay,
                                         struct segue_replay_digests *out_digests)
{
    const uint32_t count = replay->counts.buffer_count;
    struct segue_replay_digest *values = calloc((size_t)count + 1, sizeof(*values));
    if (!values)
        return SEGUE_OUT_OF_HOST_MEMORY;
    *out_digests = (struct segue_replay_digests){.values = values, .count = count};
    return SEGUE_OK;
}

void segue_replay_digests_release(struct segue_replay_digests *digests)
{
    free(digests->values);
    *digests = (struct segue_replay_digests){0};
}

segue_status segue_replay_session_for(struct segue_replay *replay,
                                      const struct segue_replay_order *order,
                                      segue_trace_session **out_session)
{
    const struct segue_trace_session_params params = {
        .mode = order->mode,
        .order_seed = order->seed,
        .order = (enum segue_trace_order)replay->options->order,
        .limit_commands = order->limited,
        .limited_command_buffer = order->limited_command_buffer,
        .command_limit = order->command_limit,
        .share_buffers = replay->session,
    };
    return segue_trace_session_create(replay->trace, replay->device.handle, &params, out_session);
}

static uint64_t smaller(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

static segue_status digest_buffer(segue_buffer *buffer, XXH3_state_t *state, void *piece,
                                  struct segue_replay_digest *out_digest)
{
    struct segue_buffer_info info;
    segue_buffer_get_info(buffer, &info);
    if (XXH3_128bits_reset(state) != XXH_OK)
        return SEGUE_INVALID_STATE;
    for (uint64_t offset = 0; offset < info.size_bytes; offset += PIECE_BYTES) {
        const uint64_t length = smaller(PIECE_BYTES, info.size_bytes - offset);
        const segue_status status = segue_buffer_read(buffer, offset, piece, length);
        if (status != SEGUE_OK)
            return status;
        if (XXH3_128bits_update(state, piece, length) != XXH_OK)
            return SEGUE_INVALID_STATE;
    }
    const XXH128_hash_t hash = XXH3_128bits_digest(state);
    *out_digest = (struct segue_replay_digest){.low = hash.low64, .high = hash.high64};
    return SEGUE_OK;
}

static segue_status digest_written(struct segue_replay *replay,
                                   struct segue_replay_digests *digests)
{
    XXH3_state_t *state = XXH3_createState();
    void *piece = malloc(PIECE_BYTES);
    segue_status status = state && piece ? SEGUE_OK : SEGUE_OUT_OF_HOST_MEMORY;
    for (uint32_t i = 0; i < digests->count && status == SEGUE_OK; ++i) {
        const char *name;
        bool written;
        segue_buffer *buffer = segue_trace_session_buffer(replay->session, i, &name, &written);
        if (written)
            status = digest_buffer(buffer, state, piece, &digests->values[i]);
    }
    free(piece);
    XXH3_freeState(state);
    return status;
}

static segue_status run_restored(struct segue_replay *replay, segue_trace_session *session,
                                 uint64_t seed)
{
    // The session that knows all commands restores: one with fewer of them would leave something.
    segue_status status = segue_trace_session_restore(replay->session);
    if (status != SEGUE_OK)
        return status;
    const struct segue_soft_api *soft = segue_device_get_soft_api(replay->device.handle);
    if (soft)
        soft->set_seed(seed);
    return segue_trace_session_run(session, NULL);
}

segue_status segue_replay_run_digests(struct segue_replay *replay, segue_trace_session *session,
                                      uint64_t seed, struct segue_replay_digests *digests)
{
    const segue_status status = run_restored(replay, session, seed);
    return status == SEGUE_OK ? digest_written(replay, digests) : status;
}

uint32_t segue_replay_compare_digests(const struct segue_replay_digests *expected,
                                      const struct segue_replay_digests *actual)
{
    uint32_t i = 0;
    while (i < expected->count && expected->values[i].low == actual->values[i].low &&
           expected->values[i].high == actual->values[i].high)
        ++i;
    return i;
}

/** Counts differing bytes and fills in the first of them. */
static void compare_piece(const uint8_t *expected, const uint8_t *actual, uint64_t piece_offset,
                          uint64_t length, struct segue_replay_difference *difference)
{
    for (uint64_t i = 0; i < length; ++i) {
        if (expected[i] == actual[i])
            continue;
        if (difference->differing_bytes++ > 0)
            continue;
        const uint64_t start = i & ~(uint64_t)3;
        difference->offset_bytes = piece_offset + i;
        difference->window_offset_bytes = piece_offset + start;
        difference->size_bytes = (uint32_t)smaller(sizeof(difference->expected), length - start);
        memcpy(difference->expected, expected + start, difference->size_bytes);
        memcpy(difference->actual, actual + start, difference->size_bytes);
    }
}

segue_status segue_replay_find_difference(struct segue_replay *replay,
                                          segue_trace_session *reference, uint32_t buffer,
                                          struct segue_replay_difference *out_difference)
{
    const char *name;
    bool written;
    struct segue_buffer_info info;
    segue_buffer *handle = segue_trace_session_buffer(replay->session, buffer, &name, &written);
    segue_buffer_get_info(handle, &info);
    struct segue_replay_difference difference = {.buffer = buffer};
    uint8_t *actual = malloc(info.size_bytes);
    uint8_t *piece = malloc(PIECE_BYTES);
    segue_status status = actual && piece ? SEGUE_OK : SEGUE_OUT_OF_HOST_MEMORY;
    if (status == SEGUE_OK)
        status = segue_buffer_read(handle, 0, actual, info.size_bytes);
    if (status == SEGUE_OK)
        status = run_restored(replay, reference, 0);
    for (uint64_t offset = 0; offset < info.size_bytes && status == SEGUE_OK;
         offset += PIECE_BYTES) {
        const uint64_t length = smaller(PIECE_BYTES, info.size_bytes - offset);
        status = segue_buffer_read(handle, offset, piece, length);
        if (status == SEGUE_OK)
            compare_piece(piece, actual + offset, offset, length, &difference);
    }
    free(piece);
    free(actual);
    if (status != SEGUE_OK)
        return status;
    difference.unstable = difference.differing_bytes == 0;
    *out_difference = difference;
    return SEGUE_OK;
}
