// SPDX-License-Identifier: Apache-2.0
/**
 * @file faulty_memory.h
 * Host memory that is counted, and of which the nth allocation fails.
 */
#ifndef SEGUE_TEST_FAULTY_MEMORY_H
#define SEGUE_TEST_FAULTY_MEMORY_H

#include <segue/base.h>

#include <pthread.h>

/** All but the lock is guarded by the lock while a device uses the allocator. */
struct faulty_memory {
    pthread_mutex_t lock;
    /** Allocations since the count was set to 0. */
    uint64_t count;
    /** Which fails; 0: none. */
    uint64_t nth;
    /** All later ones fail, too. */
    bool forever;
    uint64_t failed;
    uint64_t live;
    uint64_t live_bytes;
};

/** An allocator whose context is `memory`, which must outlive what is made with it. */
struct segue_allocator segue_test_faulty_allocator(struct faulty_memory *memory);

#endif // SEGUE_TEST_FAULTY_MEMORY_H
