// SPDX-License-Identifier: Apache-2.0
/**
 * @file fixture.h
 * Segue's side of the benchmarks: a device with the kernel, buffers and a queue, and the command
 * buffers that most groups record.
 */
#ifndef SEGUE_BENCH_FIXTURE_H
#define SEGUE_BENCH_FIXTURE_H

#include "raw.h"

#include <segue/segue.h>
#include <segue/soft.h>

struct segue_bench_fixture {
    segue_device *device;
    struct segue_device_info info;
    /** Entry points: the kernel, and the same with its first pointer in memory. */
    segue_executable *executable;
    segue_buffer *buffers[SEGUE_BENCH_BINDING_COUNT];
    uint64_t addresses[SEGUE_BENCH_BINDING_COUNT];
    segue_queue *queue;
    /** Signalled by every segue_bench_submit. */
    segue_semaphore *done;
    uint64_t done_value;
};

/** @param allocator NULL: Segue's default. On failure: close all the same. */
segue_status segue_bench_fixture_open(struct segue_bench_fixture *fixture, const char *uri,
                                      const struct segue_allocator *allocator);
/** Zero-initialised or half-opened is fine. */
void segue_bench_fixture_close(struct segue_bench_fixture *fixture);

/** Records the kernel: four bindings, 16 bytes of constants. */
segue_status segue_bench_dispatch(const struct segue_bench_fixture *fixture,
                                  segue_command_buffer *command_buffer, uint32_t index);

/** Creates a command buffer and records `count` dispatches, with a barrier after every `width` of
 *  them. It is not ended yet. */
segue_status segue_bench_record_scopes(const struct segue_bench_fixture *fixture, uint32_t count,
                                       uint32_t width, enum segue_execution_mode mode,
                                       segue_command_buffer **out_command_buffer);

/** The same, ended. */
segue_status segue_bench_make_scopes(const struct segue_bench_fixture *fixture, uint32_t count,
                                     uint32_t width, enum segue_execution_mode mode,
                                     segue_command_buffer **out_command_buffer);

/** The shape of an ended command buffer's graph. */
segue_status segue_bench_take_shape(segue_command_buffer *command_buffer,
                                    struct segue_bench_shape *out_shape);

/** A reference kernel that does nothing, and touches nothing. */
bool segue_bench_run_nothing(const struct segue_reference_launch *launch,
                             segue_reference_translate translate);
void segue_bench_no_ranges(const struct segue_reference_launch *launch,
                           struct segue_reference_ranges *ranges);

/** Submits, with one signal. */
segue_status segue_bench_submit(struct segue_bench_fixture *fixture,
                                segue_command_buffer *command_buffer);

#endif // SEGUE_BENCH_FIXTURE_H
