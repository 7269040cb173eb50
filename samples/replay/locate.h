// SPDX-License-Identifier: Apache-2.0
/**
 * @file locate.h
 * Finds the command at which two ways of running a trace begin to differ.
 */
#ifndef SEGUE_REPLAY_LOCATE_H
#define SEGUE_REPLAY_LOCATE_H

#include "compare.h"

/** Where a difference begins. */
struct segue_replay_culprit {
    /** No single command could be blamed: then only `order` and `difference` are set. */
    bool found;
    uint32_t command_buffer;
    uint32_t command;
    /** The order in which the commands up to this one differ from the reference. */
    struct segue_replay_order order;
    struct segue_replay_difference difference;
    /** e.g. `dispatch "silu_mul" in group "layer0/ffn"`. */
    char description[256];
};

/**
 * Runs ever longer beginnings of the recordings in `order` and in the serial reference, until they
 * differ. The buffers must still hold what a run of `order` left; `buffer` differs there.
 * @param reference  the serial reference of everything.
 */
segue_status segue_replay_locate(struct segue_replay *replay, segue_trace_session *reference,
                                 const struct segue_replay_order *order, uint32_t buffer,
                                 struct segue_replay_culprit *out_culprit);

#endif // SEGUE_REPLAY_LOCATE_H
