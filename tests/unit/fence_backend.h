// SPDX-License-Identifier: Apache-2.0
/**
 * @file fence_backend.h
 * The null backend with queues that are real: programs, fences and waits are queued, and nothing
 * runs before the test lets it. It keeps what ran in which order, notices misuse, and fails on
 * demand. Thread-safe.
 */
#ifndef SEGUE_TEST_FENCE_BACKEND_H
#define SEGUE_TEST_FENCE_BACKEND_H

#include "null_backend.h"

enum fence_call {
    FENCE_CALL_QUEUE_CREATE,
    FENCE_CALL_RUN,
    FENCE_CALL_WAIT_IDLE,
    FENCE_CALL_CREATE,
    FENCE_CALL_RECORD,
    FENCE_CALL_ENQUEUE_WAIT,
    FENCE_CALL_QUERY,
    FENCE_CALL_ELAPSED,
    FENCE_CALL_COUNT,
};

#define FENCE_MAX_RUNS 65536

struct fence_world {
    /** Every query makes all queues go as far as they can. */
    bool automatic;
    /** The nth call of that kind from now fails (1: the next). 0: none. */
    uint64_t fail_at[FENCE_CALL_COUNT];
    /** With this. */
    segue_status fail_status;
    /** Every call fails with SEGUE_DEVICE_LOST. See fence_lose_device. */
    bool lost;
    /** Calls so far. */
    uint64_t calls[FENCE_CALL_COUNT];
    /** Programs that ran, in order. */
    const struct segue_backend_program *runs[FENCE_MAX_RUNS];
    size_t run_count;
    /** Fences recorded again or destroyed before they were reached, programs destroyed while
     *  queued, queues destroyed before they were empty. */
    int misuse;
};

extern struct fence_world fence_world;

/** A device on this backend; never NULL. Resets both worlds. */
segue_device *fence_device_open(const struct segue_device_params *params);
/** From now on every call finds the device lost. */
void fence_lose_device(void);
/** Lets everything run that can, on all queues. */
void fence_run_all(void);
/** Runs one thing (a program, a wait that is met, a fence) of the nth queue alive, in order of
 *  creation. False if it has nothing that can run. */
bool fence_step(size_t queue);

#endif // SEGUE_TEST_FENCE_BACKEND_H
