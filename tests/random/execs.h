// SPDX-License-Identifier: Apache-2.0
/**
 * @file execs.h
 * Random programs whose executable graphs are compared: one that has been patched with one that has
 * been built from nothing.
 */
#ifndef SEGUE_TEST_EXECS_H
#define SEGUE_TEST_EXECS_H

#include "world.h"

/** No structure is found while this is so: what is recorded is built from nothing. */
void execs_hide_structures(segue_device *device, bool hidden);
/** Whether no command touches its own source. */
bool execs_are_sound(const struct program *program);
/** Runs a recorded program once from the initial contents, with the constants of that run, and
 * fails unless all is as expected. */
void execs_run(struct world *world, struct play *play, const struct program *program, uint32_t run);
/** Fails unless the two command buffers' graphs are, node by node, the same; `edges`: and of the
 *  same structure. */
void execs_compare(const struct world *world, const segue_command_buffer *patched,
                   const segue_command_buffer *fresh, bool edges);
/** Destroys the recording. */
void execs_drop(struct play *play);

/** A test: runs programs of some seeds (SEGUE_TEST_FIRST_SEED, SEGUE_TEST_PROGRAMS) on one device,
 *  without hazards and without a graph that had to be made anew, and looks at what the device then
 *  says of its cache. */
void execs_for_programs(void (*run_program)(struct world *world, uint64_t seed),
                        void (*check)(const struct segue_cache_stats *stats,
                                      uint64_t program_count));

#endif // SEGUE_TEST_EXECS_H
