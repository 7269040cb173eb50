// SPDX-License-Identifier: Apache-2.0
/**
 * @file slots_tables.h
 * What the tests of the area `slots` share: tables in flight, given with kernels that find their
 * pointers among their parameters or in memory.
 */
#ifndef SEGUE_TEST_SLOTS_TABLES_H
#define SEGUE_TEST_SLOTS_TABLES_H

#include "conformance.h"

/** Words of the buffer that slot 0 stands for. */
#define SLOTS_WORDS 4

/** Submits with a table of `count` buffers, and signals nothing. */
segue_status slots_submit_on(segue_queue *queue, segue_command_buffer *commands,
                             const struct segue_buffer_ref *table, uint32_t count);

/** Checks what a buffer made of `seed` holds after `times` submissions. */
typedef void (*slots_expect_fn)(segue_buffer *data, uint64_t seed, uint32_t times);

/** Submits slow commands with four tables in an order in which several are in flight; each
 *  submission has the values of its own, whatever is bound while it runs. */
void slots_check_tables_in_flight(struct segue_test *test, segue_command_buffer *commands,
                                  slots_expect_fn expect);

#endif // SEGUE_TEST_SLOTS_TABLES_H
