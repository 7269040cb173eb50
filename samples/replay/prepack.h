// SPDX-License-Identifier: Apache-2.0
/**
 * @file prepack.h
 * Loading a trace's constants through a prepack plan with a packed cache (--prepack-cache).
 */
#ifndef SEGUE_REPLAY_PREPACK_H
#define SEGUE_REPLAY_PREPACK_H

#include <segue/prepack.h>
#include <segue/trace.h>

#include <jansson.h>
#include <stdio.h>

/** The plan and its cache; zero-initialise. */
struct segue_replay_prepack {
    segue_packed_cache *cache;
    segue_prepack_plan *plan;
    /** Contents that generators read. */
    struct segue_content **contents;
    uint32_t content_count;
    /** The first failure of segue_replay_prepack_add. */
    segue_status status;
};

/** Opens the folder and makes a plan. Fails as both do. */
segue_status segue_replay_prepack_open(struct segue_replay_prepack *prepack, segue_device *device,
                                       const char *path, segue_prepack_progress_fn progress,
                                       void *progress_context);
/** A segue_trace_fill_fn: adds the constant to the plan; the context is the prepack. */
bool segue_replay_prepack_add(void *context, const struct segue_trace_constant *constant);
/** Runs the plan and waits for its point. */
segue_status segue_replay_prepack_run(struct segue_replay_prepack *prepack);
/** Gives up all of it. */
void segue_replay_prepack_close(struct segue_replay_prepack *prepack);

/** One line about what was done; nothing without a plan. */
void segue_replay_prepack_print(const struct segue_replay_prepack *prepack, FILE *stream);
/** The same as JSON; NULL without a plan, or when out of memory. */
json_t *segue_replay_prepack_json(const struct segue_replay_prepack *prepack);

#endif // SEGUE_REPLAY_PREPACK_H
