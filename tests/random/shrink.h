// SPDX-License-Identifier: Apache-2.0
/**
 * @file shrink.h
 * Makes a program that fails small: fewer commands first, then shorter ranges and plainer numbers.
 */
#ifndef SEGUE_TEST_SHRINK_H
#define SEGUE_TEST_SHRINK_H

#include "program.h"

/** Whether a candidate (free of hazards, like every program) fails in the way that matters. */
typedef bool (*program_fails_fn)(void *context, const struct program *candidate);

/** Shrinks a program for which `fails` is true, in place, to one for which it still is and no
 *  single step of shrinking leaves it so (or until 5,000 candidates were tried). Returns how many
 *  were tried. */
uint32_t program_shrink(struct program *program, program_fails_fn fails, void *context);

/** Whether it may be run and must do what the interpreter does: no hazards, every wait signalled,
 *  every group closed, no command that overlaps itself. */
bool program_is_valid(struct program *program);

#endif // SEGUE_TEST_SHRINK_H
