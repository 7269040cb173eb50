// SPDX-License-Identifier: Apache-2.0
/**
 * @file play.h
 * Runs random programs through the library.
 */
#ifndef SEGUE_TEST_PLAY_H
#define SEGUE_TEST_PLAY_H

#include "program.h"
#include "test.h"

/** Label of the command buffer that is submitted. */
#define PLAY_PRIMARY_LABEL "program"

/** A program's objects on a device. */
struct play {
    segue_device *device;
    segue_executable *kernels;
    segue_queue *queue;
    segue_buffer *buffers[PROGRAM_BUFFERS];
    segue_event *events[PROGRAM_EVENTS];
    segue_command_buffer *commands;
    segue_command_buffer *secondary;
    /** No kernel finds its buffers in memory: what is planted in a plan is in its nodes alone. Set
     *  after play_init. */
    bool direct_only;
    /** What play_submission fills in. */
    struct segue_buffer_ref table[PROGRAM_MAX_SLOTS];
    struct segue_constant_value constants[PROGRAM_MAX_CONSTANT_SLOTS];
    struct segue_execution execution;
    struct segue_submission submission;
};

/** One way to run it. */
struct play_configuration {
    enum segue_execution_mode mode;
    uint64_t order_seed;
};

/** Creates buffers with their content, and events. The first failure is returned; play_finish is to
 *  be called in any case. */
segue_status play_init(struct play *play, segue_device *device, segue_executable *kernels);
/** Gives all buffers their initial content again. */
segue_status play_restore(struct play *play);
/** Records and ends. */
segue_status play_record(struct play *play, const struct program *program,
                         const struct play_configuration *configuration);
/** What to submit for a run, once recorded; valid until the next one is asked for. */
const struct segue_submission *play_submission(struct play *play, const struct program *program,
                                               uint32_t run);
/** Submits so many runs, then waits. */
segue_status play_run(struct play *play, const struct program *program, uint32_t first_run,
                      uint32_t times);
/** Compares all buffers; says where the first difference is. */
segue_status play_compare(struct play *play, uint32_t *const *expected, bool *out_equal,
                          char *out_text, size_t capacity_bytes);
void play_finish(struct play *play);

#endif // SEGUE_TEST_PLAY_H
