// SPDX-License-Identifier: Apache-2.0
/**
 * @file timeline.h
 * Lanes over time in the Trace Event Format, which Perfetto and chrome://tracing show.
 */
#ifndef SEGUE_REPLAY_TIMELINE_H
#define SEGUE_REPLAY_TIMELINE_H

#include "page.h"

/** Adds the events of one drawing: a process with a thread for each lane, and a flow for each edge
 *  from another lane. @return false when out of memory. */
bool segue_replay_timeline_add(json_t *events, const struct segue_replay_drawing *drawing,
                               uint32_t process);

#endif // SEGUE_REPLAY_TIMELINE_H
