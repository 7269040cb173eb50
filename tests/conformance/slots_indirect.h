// SPDX-License-Identifier: Apache-2.0
/**
 * @file slots_indirect.h
 * Tests of the area `slots` whose kernels find their pointers in memory.
 */
#ifndef SEGUE_TEST_SLOTS_INDIRECT_H
#define SEGUE_TEST_SLOTS_INDIRECT_H

#include "conformance.h"

/** Slow kernels, several tables in flight: each submission has its own. */
void indirect_tables_in_flight(void **state);
/** The same table on two queues in turns, then one on each. */
void indirect_tables_on_two_queues(void **state);
/** Slots, buffers and constant slots in one dispatch, with and without pointers in memory. */
void indirect_and_other_bindings(void **state);
/** What is refused where a binding is a parameter is refused here. */
void indirect_bindings_are_checked(void **state);
/** Command buffers recorded again with other buffers, large and small, empty dispatches between. */
void indirect_buffers_recorded_again(void **state);
/** A chain of kernels each of which begins while the one before runs, and reads its pointers. */
void indirect_behind_what_runs_ahead(void **state);

#endif // SEGUE_TEST_SLOTS_INDIRECT_H
