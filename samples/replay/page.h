// SPDX-License-Identifier: Apache-2.0
/**
 * @file page.h
 * The page that a report is: one HTML document that needs nothing else.
 */
#ifndef SEGUE_REPLAY_PAGE_H
#define SEGUE_REPLAY_PAGE_H

#include "schedule.h"

#include <jansson.h>

/** The page, with "@DATA@" where its data belongs (report_page.html). */
extern const char segue_replay_page[];

/** One command buffer of a report. Strings and arrays belong to whoever made it. */
struct segue_replay_drawing {
    const char *name;
    struct segue_graph_view view;
    struct segue_replay_schedule schedule;
    /** The edges' reasons in words: an array of strings. */
    const json_t *reasons;
    struct segue_replay_totals totals;
    /** Sum over the runs of the whole trace, where it was measured; 0: it was not. */
    uint64_t measured_graph_ns;
    uint64_t measured_stream_ns;
    /** The nodes' durations were measured. */
    bool measured;
};

/** A drawing as the page takes it; NULL when out of memory. */
json_t *segue_replay_page_view(const struct segue_replay_drawing *drawing);

/** The page with its data, which is given up; from malloc, NULL when out of memory. */
char *segue_replay_page_fill(json_t *data);

#endif // SEGUE_REPLAY_PAGE_H
