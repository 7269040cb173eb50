// SPDX-License-Identifier: Apache-2.0
/**
 * @file conformance.h
 * What every device and both modes must do. One area a file; each area runs its tests and returns
 * how many failed.
 */
#ifndef SEGUE_TEST_CONFORMANCE_H
#define SEGUE_TEST_CONFORMANCE_H

int segue_conformance_barrier(void);
int segue_conformance_buffer(void);
int segue_conformance_copy(void);
int segue_conformance_device(void);
int segue_conformance_dispatch(void);
int segue_conformance_event(void);
int segue_conformance_executable(void);
int segue_conformance_failure(void);
int segue_conformance_fill(void);
int segue_conformance_group(void);
int segue_conformance_queue(void);
int segue_conformance_reuse(void);
int segue_conformance_secondary(void);
int segue_conformance_semaphore(void);
int segue_conformance_slots(void);
int segue_conformance_threads(void);
int segue_conformance_update(void);

#endif // SEGUE_TEST_CONFORMANCE_H
