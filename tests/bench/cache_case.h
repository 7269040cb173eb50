// SPDX-License-Identifier: Apache-2.0
/**
 * @file cache_case.h
 * A benchmark of a kept graph: recording a command buffer again, with some of its dispatches
 * changed, and launching it, beside every way in which the raw driver may do the same. What is
 * recorded is its owner's business.
 *
 * One thread.
 */
#ifndef SEGUE_BENCH_CACHE_CASE_H
#define SEGUE_BENCH_CACHE_CASE_H

#include "cache_raw.h"

/** Begins every owner's state. */
struct segue_bench_cache_case {
    segue_command_buffer *command_buffer;
    /** Changes every step. */
    uint32_t step;
    /** Begins, records and ends the command buffer as it is in this step. */
    segue_status (*record)(const struct segue_bench *bench,
                           const struct segue_bench_cache_case *self);
    struct segue_bench_kept kept;
};

/** What may differ between two of them. */
struct segue_bench_cache_plan {
    uint32_t count;
    /** Dispatches that change every step; `moved`: all of them, by their buffers. */
    uint32_t changed;
    bool moved;
    uint32_t kind;
    bool (*set_up)(struct segue_bench *bench, const struct segue_bench_case *self,
                   void **out_state);
    void (*tear_down)(struct segue_bench *bench, void *state);
};

/** segue_bench_case.kind: the plan's, below 16; whether all move; how many change. */
enum { SEGUE_BENCH_CACHE_KIND = 15, SEGUE_BENCH_CACHE_MOVED = 16, SEGUE_BENCH_CACHE_CHANGED = 8 };

/** Adds `cache/NAME/COUNT/CHANGED`, with all metrics and the targets of such a size. */
void segue_bench_add_cache_case(struct segue_bench *bench,
                                const struct segue_bench_cache_plan *plan, const char *name);
/** Adds those of one size: none, one, a hundredth, a tenth and all of them changed, and moved. */
void segue_bench_add_cache_cases(struct segue_bench *bench, struct segue_bench_cache_plan plan,
                                 const char *name);

/* ---- Shapes in turns ------------------------------------------------------------------------- */

/** Dispatches of the smallest shape that alternates; each other one has one more. */
#define SEGUE_BENCH_FIRST_COUNT 100

/** One command buffer that is recorded again each step, with another of some shapes: as a server
 *  with many sequence lengths does. Begins every owner's state. */
struct segue_bench_alternation {
    segue_command_buffer *command_buffer;
    /** Begins, records and ends `count` dispatches. */
    segue_status (*record)(const struct segue_bench *bench,
                           const struct segue_bench_alternation *self,
                           segue_command_buffer *command_buffer, uint32_t count);
    uint32_t shape_count;
    uint32_t step;
    /** Graphs that had been made when all shapes had been there. */
    uint64_t made_count;
    /** One for each shape, with nothing but its parts. Owned. */
    struct segue_bench_kept *shapes;
};

/** Creates the command buffer and records every shape once. The owner then gives each of `shapes`
 *  its parts. On failure: close all the same. */
bool segue_bench_alternation_open(struct segue_bench *bench, uint32_t shape_count,
                                  struct segue_bench_alternation *self);
/** Zero-initialised or half-opened is fine. */
void segue_bench_alternation_close(struct segue_bench *bench, struct segue_bench_alternation *self);
/** Adds `NAME/2`, `NAME/10` and `NAME/100`. */
void segue_bench_add_alternations(struct segue_bench *bench,
                                  const struct segue_bench_cache_plan *plan, const char *name);

#endif // SEGUE_BENCH_CACHE_CASE_H
