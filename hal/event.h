// SPDX-License-Identifier: Apache-2.0
/**
 * @file event.h
 * What a recording does with events.
 */
#ifndef SEGUE_HAL_EVENT_H
#define SEGUE_HAL_EVENT_H

#include "recording.h"

/** A recorded SIGNAL_EVENT, RESET_EVENT or WAIT_EVENT. */
struct segue_event_command {
    segue_event *event;
    const struct segue_segment *segment;
    /** WAIT_EVENT: index of the command of this recording that signalled the event; or
     *  SEGUE_NO_COMMAND, then an earlier submission must have. */
    uint32_t signal;
};

struct segue_event_commands {
    const struct segue_allocator *allocator;
    struct segue_event_command *items;
    size_t count;
    size_t capacity;
};

/** All event commands, sorted by event, then recorded order. Fills in a zeroed struct. */
segue_status segue_event_commands_collect(const struct segue_recording *recording,
                                          struct segue_event_commands *out_commands);
/** Sorts them by recorded order alone. */
void segue_event_commands_sort_by_index(struct segue_event_commands *commands);
void segue_event_commands_finish(struct segue_event_commands *commands);

enum segue_event_effect {
    /** The recording only waits for the event. */
    SEGUE_EVENT_UNCHANGED,
    SEGUE_EVENT_SIGNALLED,
    SEGUE_EVENT_RESET,
};

/** What one submission of a recording does to one event. */
struct segue_event_use {
    segue_event *event;
    /** Waits for a signal of an earlier submission. */
    bool waits;
    /** What the last signal or reset leaves behind. */
    enum segue_event_effect effect;
};

/** Sets recording->event_uses. Called once, when recording ends. */
segue_status segue_recording_collect_events(struct segue_recording *recording);

#endif // SEGUE_HAL_EVENT_H
