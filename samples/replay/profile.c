// SPDX-License-Identifier: Apache-2.0
#include "profile.h"

#include "report.h"

#include <stdlib.h>

/** The means of one command buffer. */
static segue_status read_durations(segue_trace_session *session, uint32_t index,
                                   struct segue_trace_durations *out_durations)
{
    uint32_t count = 0;
    segue_status status = segue_trace_session_get_durations(session, index, NULL, 0, &count);
    if (status != SEGUE_OK)
        return status;
    uint32_t *durations = calloc((size_t)count + 1, sizeof(*durations));
    if (!durations)
        return SEGUE_OUT_OF_HOST_MEMORY;
    status = segue_trace_session_get_durations(session, index, durations, count, &count);
    *out_durations = (struct segue_trace_durations){index, durations, count};
    return status;
}

static segue_status run(struct segue_replay *replay, segue_trace_session *session)
{
    const uint64_t all = (uint64_t)replay->options->warmup + replay->options->iterations;
    segue_status status = SEGUE_OK;
    for (uint64_t i = 0; i < all && status == SEGUE_OK; ++i) {
        if (!replay->options->no_restore)
            status = segue_trace_session_restore(session);
        if (status == SEGUE_OK)
            status = segue_trace_session_run(session, NULL);
        segue_replay_progress_update(&replay->progress, "profile", i + 1, all);
    }
    return status == SEGUE_OK ? segue_trace_session_restore(session) : status;
}

int segue_replay_profile_measure(struct segue_replay *replay,
                                 struct segue_replay_profile *out_profile)
{
    const struct segue_trace_session_params params = {
        .profile = true,
        .share_buffers = replay->session,
    };
    const uint32_t count = replay->counts.command_buffer_count;
    segue_trace_session *session = NULL;
    out_profile->items = calloc((size_t)count + 1, sizeof(*out_profile->items));
    if (!out_profile->items)
        return segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "out of memory for a profile");
    out_profile->count = count;
    segue_status status =
        segue_trace_session_create(replay->trace, replay->device.handle, &params, &session);
    if (status == SEGUE_OK)
        status = run(replay, session);
    for (uint32_t i = 0; i < count && status == SEGUE_OK; ++i)
        status = read_durations(session, i, &out_profile->items[i]);
    segue_trace_session_destroy(session);
    segue_replay_progress_clear(&replay->progress);
    return status == SEGUE_OK ? SEGUE_REPLAY_GOOD : segue_replay_trace_failed(replay, status);
}

void segue_replay_profile_clear(struct segue_replay_profile *profile)
{
    for (uint32_t i = 0; i < profile->count; ++i)
        free((void *)(uintptr_t)profile->items[i].durations_ns);
    free(profile->items);
    *profile = (struct segue_replay_profile){0};
}

int segue_replay_profile_write(struct segue_replay *replay, const char *path)
{
    struct segue_replay_profile profile = {0};
    int result = segue_replay_profile_measure(replay, &profile);
    if (result == SEGUE_REPLAY_GOOD) {
        const segue_status status =
            segue_trace_write_durations(replay->trace, profile.items, profile.count, path);
        if (status != SEGUE_OK)
            result = segue_replay_fail(status, SEGUE_REPLAY_PHASE_OUTPUT, path);
    }
    segue_replay_profile_clear(&profile);
    return result;
}
