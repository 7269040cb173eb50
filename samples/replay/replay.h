// SPDX-License-Identifier: Apache-2.0
/**
 * @file replay.h
 * What every command does first: read the trace, open the device, record. In this order, so that a
 * bad trace is reported where there is no device, too.
 */
#ifndef SEGUE_REPLAY_REPLAY_H
#define SEGUE_REPLAY_REPLAY_H

#include "device.h"
#include "prepack.h"
#include "progress.h"

#include <segue/trace.h>

/** A trace on a device; zero-initialise. */
struct segue_replay {
    const struct segue_replay_options *options;
    struct segue_replay_progress progress;
    segue_trace *trace;
    struct segue_replay_device device;
    segue_trace_session *session;
    struct segue_trace_counts counts;
    struct segue_replay_prepack prepack;
};

/** Reads the trace. @return a segue_replay_exit; has said why on stderr. */
int segue_replay_load(struct segue_replay *replay, const struct segue_replay_options *options);

/** Opens the device and records everything in `mode`. */
int segue_replay_record(struct segue_replay *replay, enum segue_validation validation,
                        enum segue_execution_mode mode);

/** The second half of it, on replay->device. Says nothing on stderr. */
segue_status segue_replay_create_session(struct segue_replay *replay,
                                         enum segue_execution_mode mode);

/** Gives up all of it, whatever there is. */
void segue_replay_close(struct segue_replay *replay);

/** One replay: restores the buffers where `restore` says so, runs, waits. */
int segue_replay_once(struct segue_replay *replay, bool restore,
                      struct segue_trace_timing *out_timing);

/** segue_replay_fail for a status that the trace caused, with the bar out of the way. */
int segue_replay_trace_failed(struct segue_replay *replay, segue_status status);

#endif // SEGUE_REPLAY_REPLAY_H
