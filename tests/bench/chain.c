// SPDX-License-Identifier: Apache-2.0
#include "chain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

bool segue_bench_check(segue_status status, const char *what)
{
    if (status != SEGUE_OK)
        fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
                segue_last_error()->message);
    return status == SEGUE_OK;
}

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

bool segue_bench_chains_open(struct segue_bench_chains *chains, segue_device *device,
                             uint32_t time_ms)
{
    *chains = (struct segue_bench_chains){.device = device, .time_ms = time_ms};
    return segue_bench_check(segue_queue_create(device, NULL, &chains->queue), "a queue") &&
           segue_bench_check(segue_semaphore_create(device, 0, &chains->done), "a semaphore");
}

void segue_bench_chains_close(struct segue_bench_chains *chains)
{
    segue_semaphore_destroy(chains->done);
    segue_queue_destroy(chains->queue);
}

bool segue_bench_chains_run(struct segue_bench_chains *chains, segue_command_buffer *commands,
                            double *out_ns)
{
    const struct segue_semaphore_value signal = {chains->done, ++chains->done_value};
    const struct segue_execution execution = {.command_buffer = commands};
    const struct segue_submission submission = {
        .executions = &execution,
        .execution_count = 1,
        .signals = &signal,
        .signal_count = 1,
    };
    const double start = now_ns();
    if (!segue_bench_check(segue_queue_submit(chains->queue, &submission), "submitting"))
        return false;
    // Asking again and again: a thread that sleeps wakes up some 50 microseconds late.
    for (uint64_t value = 0; value < chains->done_value;) {
        if (!segue_bench_check(segue_semaphore_query(chains->done, &value), "waiting"))
            return false;
    }
    *out_ns = now_ns() - start;
    return true;
}

static bool record_chain(const struct segue_bench_chains *chains, segue_bench_record_fn record,
                         const void *context, uint32_t calls, segue_command_buffer **out_commands)
{
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_GRAPH};
    segue_command_buffer *commands = NULL;
    if (!segue_bench_check(segue_command_buffer_create(chains->device, &params, &commands),
                           "recording"))
        return false;
    segue_status status = segue_command_buffer_begin(commands);
    for (uint32_t i = 0; i < calls && status == SEGUE_OK; i++) {
        status = record(commands, context, i);
        if (status == SEGUE_OK)
            status = segue_cmd_barrier(commands, NULL);
    }
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(commands);
    if (!segue_bench_check(status, "recording")) {
        segue_command_buffer_destroy(commands);
        return false;
    }
    *out_commands = commands;
    return true;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bool segue_bench_chains_measure(struct segue_bench_chains *chains, segue_bench_record_fn record,
                                const void *context, uint32_t calls, double *out_ns)
{
    enum { MAX_REPEATS = 201 };
    segue_command_buffer *once = NULL, *twice = NULL;
    double differences[MAX_REPEATS];
    uint32_t repeats = 0;
    bool good = record_chain(chains, record, context, calls, &once) &&
                record_chain(chains, record, context, 2 * calls, &twice);
    const double start = now_ns();
    for (int i = -2; good && (i < 5 || now_ns() - start < chains->time_ms * 1e6) && i < MAX_REPEATS;
         i++) {
        double first_ns = 0.0, second_ns = 0.0;
        good = segue_bench_chains_run(chains, once, &first_ns) &&
               segue_bench_chains_run(chains, twice, &second_ns);
        if (i >= 0)
            differences[repeats++] = (second_ns - first_ns) / calls;
    }
    segue_command_buffer_destroy(once);
    segue_command_buffer_destroy(twice);
    if (!good || repeats == 0)
        return false;
    qsort(differences, repeats, sizeof(differences[0]), compare);
    *out_ns = differences[repeats / 2];
    return true;
}
