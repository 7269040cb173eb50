// SPDX-License-Identifier: Apache-2.0
/**
 * @file world.h
 * A device with everything that running programs on it needs.
 */
#ifndef SEGUE_TEST_WORLD_H
#define SEGUE_TEST_WORLD_H

#include "device.h"
#include "play.h"

/** A device, its kernels, and expected contents. */
struct world {
    segue_device *device;
    /** NULL on a real device. */
    const struct segue_soft_api *soft;
    segue_executable *kernels;
    uint32_t *expected[PROGRAM_BUFFERS];
};

/** Opens the device under test; with `open_backend`, through that (NULL: the real one). */
void world_open(struct world *world, enum segue_validation validation,
                segue_backend_open_fn open_backend);
void world_close(struct world *world);
/** Once all worlds are closed: fails if the driver has objects left or saw a misuse. */
void world_expect_nothing_left(const struct segue_soft_api *soft);

/** Works out what all buffers hold after so many runs. */
void world_interpret(struct world *world, const struct program *program, uint32_t first_run,
                     uint32_t times);
/** Conflicts without a path that the driver has found since its report was reset. */
uint64_t world_hazards(const struct world *world);

/** What is wrong with a program run in one way; empty: nothing. */
struct world_verdict {
    bool failed;
    char text[1024];
};

/** Runs the program `times` times and compares with `expected`. The driver's seed is set, and its
 *  report reset. */
void world_run(struct world *world, const struct program *program,
               const struct play_configuration *configuration, uint64_t driver_seed, uint32_t times,
               struct world_verdict *out_verdict);

/** What candidates of program_shrink are run on. */
struct world_attempt {
    struct world *world;
    /** The configuration that failed. */
    struct play_configuration configuration;
    uint64_t driver_seed;
    uint32_t times;
    /** Of the last candidate that failed. */
    struct world_verdict verdict;
};

/** A program_fails_fn for a struct world_attempt. A shorter program has other random orders, so
 *  several are tried. */
bool world_attempt_fails(void *context, const struct program *candidate);

#endif // SEGUE_TEST_WORLD_H
