// SPDX-License-Identifier: Apache-2.0
/**
 * @file save.h
 * Programs as traces for segue-replay.
 */
#ifndef SEGUE_TEST_SAVE_H
#define SEGUE_TEST_SAVE_H

#include "world.h"

/** Writes a program as a trace: what it begins with, its commands, and what the serial interpreter
 *  says that every buffer which it writes must hold afterwards. `world` decides on the device that
 *  it is recorded on, nothing is run there; its `expected` is overwritten. */
segue_status program_save(struct world *world, const struct program *program, const char *path);

#endif // SEGUE_TEST_SAVE_H
