// SPDX-License-Identifier: Apache-2.0
/**
 * @file chain.h
 * Times of calls in chains of graph nodes, for the benchmarks of kernels. One thread.
 */
#ifndef SEGUE_BENCH_CHAIN_H
#define SEGUE_BENCH_CHAIN_H

#include <segue/segue.h>

#include <stdbool.h>
#include <stdint.h>

/** What chains run on. */
struct segue_bench_chains {
    /** Borrowed. */
    segue_device *device;
    segue_queue *queue;
    segue_semaphore *done;
    uint64_t done_value;
    /** How long each chain is repeated. */
    uint32_t time_ms;
};

/** Says on stderr what failed, after the program's name. Returns whether nothing did. */
bool segue_bench_check(segue_status status, const char *what);

/** Makes queue and semaphore; false after saying why. What it has made is given up by
 *  segue_bench_chains_close in either case. */
bool segue_bench_chains_open(struct segue_bench_chains *chains, segue_device *device,
                             uint32_t time_ms);
/** A zeroed one is fine. */
void segue_bench_chains_close(struct segue_bench_chains *chains);

/** Submits, and waits; the time from one to the other. */
bool segue_bench_chains_run(struct segue_bench_chains *chains, segue_command_buffer *commands,
                            double *out_ns);

/** Records call `index` of a chain, without a barrier behind it. */
typedef segue_status (*segue_bench_record_fn)(segue_command_buffer *commands, const void *context,
                                              uint32_t index);

/** Median time of a call in a chain: of twice as many calls, less that of once as many. */
bool segue_bench_chains_measure(struct segue_bench_chains *chains, segue_bench_record_fn record,
                                const void *context, uint32_t calls, double *out_ns);

#endif // SEGUE_BENCH_CHAIN_H
