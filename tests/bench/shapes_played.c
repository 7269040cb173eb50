// SPDX-License-Identifier: Apache-2.0
/*
 * Command lists that were not made for this: 64 of the random differential programs (all kinds of
 * commands, barriers with masks and ranges, events, slots), and the command buffer of a trace, such
 * as a decode step of segue-llama.
 */
#include "shapes.h"

#include "play.h"
#include "trace_step.h"

#include <segue/kernels.h>
#include <stdio.h>
#include <stdlib.h>

#define PROGRAM_COUNT 64
/** One in eight of the differential test's programs is wide, and so it is here. */
#define WIDE_EVERY 8

/* ---- Random programs ------------------------------------------------------------------------- */

struct played {
    struct program program;
    struct play play;
};

static bool submit_program(struct segue_shapes *shapes, void *state)
{
    struct played *played = state;
    struct segue_bench_fixture *fixture = &shapes->bench->fixture;
    struct segue_submission submission = *play_submission(&played->play, &played->program, 0);
    const struct segue_semaphore_value signal = {fixture->done, ++fixture->done_value};
    submission.signals = &signal;
    submission.signal_count = 1;
    return segue_bench_check(shapes->bench, segue_queue_submit(played->play.queue, &submission));
}

static bool wait_program(struct segue_shapes *shapes, void *state)
{
    struct played *played = state;
    return segue_bench_check(shapes->bench, segue_queue_wait_idle(played->play.queue));
}

static void close_program(struct segue_shapes *shapes, void *state)
{
    (void)shapes;
    struct played *played = state;
    if (played)
        play_finish(&played->play);
    free(played);
}

static bool make_program(struct segue_shapes *shapes, const struct segue_shapes_case *self,
                         bool hints, void **state, segue_command_buffer **out_command_buffer)
{
    (void)hints;
    struct segue_bench *bench = shapes->bench;
    segue_device *device = bench->fixture.device;
    const struct play_configuration configuration = {SEGUE_EXECUTION_GRAPH, 0};
    if (!shapes->kernels &&
        !segue_bench_check(bench, segue_test_kernels_create(device, &shapes->kernels)))
        return false;
    struct played *played = calloc(1, sizeof(*played));
    if (!played)
        return segue_bench_fail(bench, "out of memory");
    *state = played;
    program_generate(&played->program, self->seed,
                     self->seed % WIDE_EVERY == 0 ? PROGRAM_WIDE : PROGRAM_ALL_BARRIERS);
    if (!segue_bench_check(bench, play_init(&played->play, device, shapes->kernels)) ||
        !segue_bench_check(bench, play_record(&played->play, &played->program, &configuration)))
        return false;
    *out_command_buffer = played->play.commands;
    return submit_program(shapes, played) && wait_program(shapes, played);
}

/* ---- A trace --------------------------------------------------------------------------------- */

struct traced {
    segue_trace *trace;
    segue_trace_session *session;
    segue_command_buffer *command_buffer;
};

static bool submit_trace(struct segue_shapes *shapes, void *state)
{
    const struct traced *traced = state;
    return segue_bench_check(shapes->bench,
                             segue_bench_submit(&shapes->bench->fixture, traced->command_buffer));
}

static bool wait_trace(struct segue_shapes *shapes, void *state)
{
    (void)state;
    return segue_bench_check(shapes->bench, segue_queue_wait_idle(shapes->bench->fixture.queue));
}

static void close_trace(struct segue_shapes *shapes, void *state)
{
    (void)shapes;
    struct traced *traced = state;
    if (!traced)
        return;
    segue_trace_session_destroy(traced->session);
    segue_trace_destroy(traced->trace);
    free(traced);
}

static bool make_trace(struct segue_shapes *shapes, const struct segue_shapes_case *self,
                       bool hints, void **state, segue_command_buffer **out_command_buffer)
{
    (void)hints;
    struct segue_bench *bench = shapes->bench;
    segue_device *device = bench->fixture.device;
    const struct segue_trace_session_params params = {.mode = SEGUE_EXECUTION_GRAPH};
    struct traced *traced = calloc(1, sizeof(*traced));
    if (!traced)
        return segue_bench_fail(bench, "out of memory");
    *state = traced;
    if (!segue_bench_check(bench, segue_kernels_register(device)) ||
        !segue_bench_check(bench, segue_trace_load(self->path, &traced->trace)) ||
        !segue_bench_check(
            bench, segue_trace_session_create(traced->trace, device, &params, &traced->session)))
        return false;
    traced->command_buffer = segue_bench_longest(bench, traced->session);
    if (!traced->command_buffer)
        return false;
    *out_command_buffer = traced->command_buffer;
    return submit_trace(shapes, traced) && wait_trace(shapes, traced);
}

/* ---- The cases ------------------------------------------------------------------------------- */

static void add(struct segue_shapes *shapes, struct segue_shapes_case added)
{
    if (shapes->case_count == SEGUE_SHAPES_MAX_CASES) {
        fputs("segue-bench: too many shapes\n", stderr);
        abort();
    }
    shapes->cases[shapes->case_count++] = added;
}

void segue_shapes_add_played(struct segue_shapes *shapes)
{
    static const struct segue_shapes_maker programs = {
        .make = make_program,
        .submit = submit_program,
        .wait = wait_program,
        .close = close_program,
    };
    static const struct segue_shapes_maker traces = {
        .make = make_trace,
        .submit = submit_trace,
        .wait = wait_trace,
        .close = close_trace,
    };
    if (shapes->bench->options.trace_path) {
        struct segue_shapes_case added = {
            .maker = &traces,
            .path = shapes->bench->options.trace_path,
        };
        snprintf(added.name, sizeof(added.name), "shapes/trace");
        add(shapes, added);
    }
    for (uint64_t seed = 1; seed <= PROGRAM_COUNT; seed++) {
        struct segue_shapes_case added = {.maker = &programs, .seed = seed};
        snprintf(added.name, sizeof(added.name), "shapes/random/%u", (unsigned)seed);
        add(shapes, added);
    }
}

void segue_shapes_played_close(struct segue_shapes *shapes)
{
    segue_executable_destroy(shapes->kernels);
}
