// SPDX-License-Identifier: Apache-2.0
/**
 * @file profile.h
 * How long each command of a trace takes by itself.
 */
#ifndef SEGUE_REPLAY_PROFILE_H
#define SEGUE_REPLAY_PROFILE_H

#include "replay.h"

/** Durations of all commands of all command buffers; zero-initialise. */
struct segue_replay_profile {
    /** Per command buffer. The arrays in it are owned, too. */
    struct segue_trace_durations *items;
    uint32_t count;
};

/**
 * Runs the trace options->warmup and options->iterations times with a time stamp behind each
 * command, on the buffers of replay->session, which are restored afterwards.
 * @return a segue_replay_exit; has said why on stderr.
 */
int segue_replay_profile_measure(struct segue_replay *replay,
                                 struct segue_replay_profile *out_profile);

/** Frees what is there. */
void segue_replay_profile_clear(struct segue_replay_profile *profile);

/** Measures, and writes the trace with the durations of its dispatches to `path`. */
int segue_replay_profile_write(struct segue_replay *replay, const char *path);

#endif // SEGUE_REPLAY_PROFILE_H
