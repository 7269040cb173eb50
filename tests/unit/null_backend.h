// SPDX-License-Identifier: Apache-2.0
/**
 * @file null_backend.h
 * A backend without a driver: memory is host memory, programs do nothing, fences are reached at
 * once. It counts what is alive, keeps what it was asked last, and fails on demand. With it comes
 * an allocator that fails on demand and checks that every size is the same at release.
 */
#ifndef SEGUE_TEST_NULL_BACKEND_H
#define SEGUE_TEST_NULL_BACKEND_H

#include "backend.h"
#include "device.h"

#include <segue/segue.h>

/** Calls that can be made to fail. */
enum null_call {
    NULL_CALL_OPEN_CUDA,
    NULL_CALL_OPEN_SOFT,
    NULL_CALL_ALLOCATE,
    NULL_CALL_WRITE,
    NULL_CALL_READ,
    NULL_CALL_MODULE_CREATE,
    NULL_CALL_PROGRAM_CREATE,
    NULL_CALL_COUNT,
};

/** What all null backends of the process share. Reset by null_device_open. */
struct null_world {
    /** Not SEGUE_OK: the call fails with it. */
    segue_status fail[NULL_CALL_COUNT];
    /** Alive now. */
    int backends;
    int allocations;
    int modules;
    int programs;
    int queues;
    int fences;
    /** Programs ever made, and the last request: mode, nodes, and the first slot's buffer. */
    int programs_made;
    enum segue_execution_mode mode;
    size_t node_count;
    uintptr_t first_slot;
    /** Of the last open. */
    bool soft;
    uint32_t ordinal;
    int32_t soft_profile;
    uint64_t soft_seed;
    const char *libcuda_path;
    /** What get_info and module_create report. */
    bool no_clusters;
    bool no_cooperative_launch;
    uint32_t max_threads_per_block;
    uint32_t max_dynamic_shared_bytes;
    /** NULL: not a software driver. */
    const struct segue_soft_api *soft_api;
};

extern struct null_world null_world;

/** Everything as at the start: nothing fails, nothing is counted. */
void null_world_reset(void);

segue_status null_backend_open(const struct segue_backend_open_params *params,
                               struct segue_backend **out_backend);

/** An allocator that fails the nth allocation from now (1: the next; 0: none), and with `forever`
 *  all later ones, too. */
struct null_allocator {
    uint64_t fail_at;
    bool forever;
    /** Allocations since fail_at was set, and those that were failed. */
    uint64_t count;
    uint64_t failed;
    /** Alive now. */
    int64_t live;
    uint64_t live_bytes;
    /** Releases whose size was not the one asked for. */
    int wrong_sizes;
    struct segue_allocator allocator;
};

void null_allocator_init(struct null_allocator *allocator);
void null_allocator_fail(struct null_allocator *allocator, uint64_t nth, bool forever);

/** A device on the null backend; never NULL. `params` NULL: defaults. */
segue_device *null_device_open(const struct segue_device_params *params);

#endif // SEGUE_TEST_NULL_BACKEND_H
