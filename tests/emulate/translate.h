// SPDX-License-Identifier: Apache-2.0
/**
 * @file translate.h
 * CUDA C++ as text that a host compiler takes, with device.hpp before it: asm statements become
 * calls that interpret them, arrays of dynamic shared memory views of the emulator's. All else is
 * left as it is, line by line.
 */
#ifndef SEGUE_TEST_EMULATE_TRANSLATE_H
#define SEGUE_TEST_EMULATE_TRANSLATE_H

#include <stdbool.h>
#include <stdio.h>

/** Writes the translation of `source`. Returns false, having said why on stderr, for an asm
 *  statement that it cannot read. */
bool translate(const char *source, FILE *out);

/** Writes an #undef for every macro that `source` defines. */
void translate_undefine(const char *source, FILE *out);

#endif // SEGUE_TEST_EMULATE_TRANSLATE_H
