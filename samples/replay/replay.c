// SPDX-License-Identifier: Apache-2.0
#include "replay.h"

#include "report.h"

int segue_replay_trace_failed(struct segue_replay *replay, segue_status status)
{
    segue_replay_progress_clear(&replay->progress);
    return segue_replay_fail(status, SEGUE_REPLAY_PHASE_TRACE, replay->options->trace_path);
}

int segue_replay_load(struct segue_replay *replay, const struct segue_replay_options *options)
{
    replay->options = options;
    replay->progress = segue_replay_progress_open();
    const segue_status status = segue_trace_load(options->trace_path, &replay->trace);
    return status == SEGUE_OK ? SEGUE_REPLAY_GOOD : segue_replay_trace_failed(replay, status);
}

/** Shows the making of the first session only: later steps are part of a longer one. */
static void show_progress(void *context, const char *step, uint64_t done, uint64_t total)
{
    struct segue_replay *replay = context;
    if (!replay->session)
        segue_replay_progress_update(&replay->progress, step, done, total);
}

/** The same for a prepack plan; its step ends in "buffers" because it counts bytes. */
static void show_prepack(void *context, const struct segue_prepack_progress *progress)
{
    struct segue_replay *replay = context;
    segue_replay_progress_update(&replay->progress, "prepack buffers", progress->done_bytes,
                                 progress->total_bytes);
}

segue_status segue_replay_create_session(struct segue_replay *replay,
                                         enum segue_execution_mode mode)
{
    const bool prepacks = replay->options->prepack_cache_path != NULL && !replay->session;
    segue_status status = SEGUE_OK;
    if (prepacks)
        status =
            segue_replay_prepack_open(&replay->prepack, replay->device.handle,
                                      replay->options->prepack_cache_path, show_prepack, replay);
    if (status != SEGUE_OK)
        return status;
    const struct segue_trace_session_params params = {
        .fill = prepacks ? segue_replay_prepack_add : NULL,
        .fill_context = &replay->prepack,
        .mode = mode,
        .order = (enum segue_trace_order)replay->options->order,
        .progress = show_progress,
        .progress_context = replay,
    };
    status =
        segue_trace_session_create(replay->trace, replay->device.handle, &params, &replay->session);
    if (status == SEGUE_OK && prepacks)
        status = segue_replay_prepack_run(&replay->prepack);
    segue_replay_progress_clear(&replay->progress);
    if (status == SEGUE_OK)
        segue_trace_session_get_counts(replay->session, &replay->counts);
    return status;
}

int segue_replay_record(struct segue_replay *replay, enum segue_validation validation,
                        enum segue_execution_mode mode)
{
    const int result = segue_replay_device_open(replay->options, validation, &replay->device);
    if (result != SEGUE_REPLAY_GOOD)
        return result;
    const segue_status status = segue_replay_create_session(replay, mode);
    // The folder is to blame, not the trace.
    const char *folder = replay->options->prepack_cache_path;
    if (status != SEGUE_OK && folder && !replay->prepack.plan)
        return segue_replay_fail(status, SEGUE_REPLAY_PHASE_OUTPUT, folder);
    return status == SEGUE_OK ? SEGUE_REPLAY_GOOD : segue_replay_trace_failed(replay, status);
}

void segue_replay_close(struct segue_replay *replay)
{
    segue_replay_progress_clear(&replay->progress);
    segue_replay_prepack_close(&replay->prepack);
    segue_trace_session_destroy(replay->session);
    segue_replay_device_close(&replay->device);
    segue_trace_destroy(replay->trace);
    *replay = (struct segue_replay){0};
}

int segue_replay_once(struct segue_replay *replay, bool restore,
                      struct segue_trace_timing *out_timing)
{
    segue_status status = SEGUE_OK;
    if (restore)
        status = segue_trace_session_restore(replay->session);
    if (status == SEGUE_OK)
        status = segue_trace_session_run(replay->session, out_timing);
    return status == SEGUE_OK ? SEGUE_REPLAY_GOOD : segue_replay_trace_failed(replay, status);
}
