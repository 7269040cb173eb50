// SPDX-License-Identifier: Apache-2.0
/**
 * @file compare.h
 * Runs a trace in one mode and order, and compares what it wrote with another run: first by digest,
 * so that no second copy of all memory is needed, then byte by byte where digests differ.
 */
#ifndef SEGUE_REPLAY_COMPARE_H
#define SEGUE_REPLAY_COMPARE_H

#include "replay.h"

/** XXH3-128 of a buffer. */
struct segue_replay_digest {
    uint64_t low;
    uint64_t high;
};

/** One way to run a trace. */
struct segue_replay_order {
    enum segue_execution_mode mode;
    /** 0: as recorded. */
    uint64_t seed;
    /** Whether only the first `command_limit` commands of one command buffer are recorded. */
    bool limited;
    uint32_t limited_command_buffer;
    uint32_t command_limit;
};

/** The first byte that differs. */
struct segue_replay_difference {
    /** Index of the session's buffer. */
    uint32_t buffer;
    uint64_t offset_bytes;
    /** From the 4-byte word on that holds the byte; `size_bytes` of them are valid. */
    uint8_t expected[16];
    uint8_t actual[16];
    uint64_t window_offset_bytes;
    uint32_t size_bytes;
    uint64_t differing_bytes;
    /** The bytes were equal when the reference ran again: it does not repeat itself. */
    bool unstable;
};

/** Digests of a session's buffers; those that nothing writes stay 0. */
struct segue_replay_digests {
    struct segue_replay_digest *values;
    uint32_t count;
};

/** A zeroed digest for each buffer. @return SEGUE_OUT_OF_HOST_MEMORY. */
segue_status segue_replay_digests_create(const struct segue_replay *replay,
                                         struct segue_replay_digests *out_digests);
void segue_replay_digests_release(struct segue_replay_digests *digests);

/** A session for `order` that uses the buffers of replay->session. */
segue_status segue_replay_session_for(struct segue_replay *replay,
                                      const struct segue_replay_order *order,
                                      segue_trace_session **out_session);

/** Restores the buffers, runs `session` once and digests every written buffer. */
segue_status segue_replay_run_digests(struct segue_replay *replay, segue_trace_session *session,
                                      uint64_t seed, struct segue_replay_digests *digests);

/** Index of the first buffer whose digests differ, or the count. */
uint32_t segue_replay_compare_digests(const struct segue_replay_digests *expected,
                                      const struct segue_replay_digests *actual);

/**
 * Finds the first differing byte of `buffer`: the buffers must still hold what `session` left, and
 * `reference` is then run again.
 */
segue_status segue_replay_find_difference(struct segue_replay *replay,
                                          segue_trace_session *reference, uint32_t buffer,
                                          struct segue_replay_difference *out_difference);

#endif // SEGUE_REPLAY_COMPARE_H
