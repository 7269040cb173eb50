// SPDX-License-Identifier: Apache-2.0
/**
 * @file progress.h
 * A progress bar for steps that take longer than a second.
 */
#ifndef SEGUE_REPLAY_PROGRESS_H
#define SEGUE_REPLAY_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** State of the bar. One thread. */
struct segue_replay_progress {
    /** Where the bar goes; NULL: nowhere. */
    FILE *stream;
    /** The clock; a test has its own. */
    uint64_t (*now_ns)(void);
    char step[32];
    uint64_t started_ns;
    uint64_t drawn_ns;
    bool visible;
};

/** A bar on stderr, or none where stderr is not a terminal. */
struct segue_replay_progress segue_replay_progress_open(void);

/**
 * Says how far `step` is; a segue_progress_fn, the context is a segue_replay_progress. Steps whose
 * name ends in "buffers" count bytes, all others count themselves. The first second of a step draws
 * nothing, and then at most ten times a second.
 */
void segue_replay_progress_update(void *context, const char *step, uint64_t done, uint64_t total);

/** Wipes the bar away, before anything else is printed. */
void segue_replay_progress_clear(struct segue_replay_progress *progress);

#endif // SEGUE_REPLAY_PROGRESS_H
