// SPDX-License-Identifier: Apache-2.0
/**
 * @file ptx_wait.h
 * Whether a compiled kernel touches memory that other kernels write before it waits for them: the
 * emulator runs the kernels' text, and does not see what a compiler moves.
 */
#ifndef SEGUE_TESTS_PTX_WAIT_H
#define SEGUE_TESTS_PTX_WAIT_H

#include <stdint.h>

/**
 * Follows the addresses in the parameters `late` (bits) of a kernel through the instructions above
 * its last griddepcontrol.wait, as the text has them, to those that touch memory.
 * @return NULL, or what is wrong, in a static buffer, valid until the next call: the kernel is not
 * there, does not wait, or touches one of them above it.
 */
const char *ptx_wait_problem(const char *ptx, const char *kernel, uint32_t late);

#endif // SEGUE_TESTS_PTX_WAIT_H
