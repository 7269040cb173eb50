// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include "report.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUIET_NS 1000000000u
#define REDRAW_NS 100000000u
#define BAR_WIDTH 30

static uint64_t monotonic_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

struct segue_replay_progress segue_replay_progress_open(void)
{
    return (struct segue_replay_progress){
        .stream = isatty(STDERR_FILENO) ? stderr : NULL,
        .now_ns = monotonic_ns,
    };
}

static bool counts_bytes(const char *step)
{
    const size_t length = strlen(step);
    const size_t suffix = strlen("buffers");
    return length >= suffix && strcmp(step + length - suffix, "buffers") == 0;
}

static void draw(struct segue_replay_progress *progress, uint64_t now, uint64_t done,
                 uint64_t total)
{
    char bar[BAR_WIDTH + 1];
    const double fraction = total ? (double)done / (double)total : 0;
    const int filled = (int)(fraction * BAR_WIDTH);
    for (int i = 0; i < BAR_WIDTH; ++i)
        bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
    bar[BAR_WIDTH] = '\0';
    char rate[32];
    const double per_second = (double)done * 1e9 / (double)(now - progress->started_ns);
    if (counts_bytes(progress->step))
        segue_replay_format_bytes(rate, sizeof(rate), per_second);
    else
        snprintf(rate, sizeof(rate), "%.*f", per_second < 10 ? 1 : 0, per_second);
    // \033[K wipes what a longer line before this one left.
    fprintf(progress->stream, "\r%s [%s] %3.0f%%  %s/s\033[K", progress->step, bar, fraction * 100,
            rate);
    fflush(progress->stream);
    progress->drawn_ns = now;
    progress->visible = true;
}

void segue_replay_progress_update(void *context, const char *step, uint64_t done, uint64_t total)
{
    struct segue_replay_progress *progress = context;
    if (!progress->stream)
        return;
    const uint64_t now = progress->now_ns();
    if (strncmp(step, progress->step, sizeof(progress->step) - 1) != 0) {
        segue_replay_progress_clear(progress);
        segue_replay_copy_clean(progress->step, sizeof(progress->step), step);
        progress->started_ns = now;
    }
    if (done >= total) {
        segue_replay_progress_clear(progress);
        return;
    }
    if (now - progress->started_ns < QUIET_NS)
        return;
    if (!progress->visible || now - progress->drawn_ns >= REDRAW_NS)
        draw(progress, now, done, total);
}

void segue_replay_progress_clear(struct segue_replay_progress *progress)
{
    if (progress->visible) {
        fputs("\r\033[K", progress->stream);
        fflush(progress->stream);
    }
    progress->visible = false;
    progress->step[0] = '\0';
}
