// SPDX-License-Identifier: Apache-2.0
/**
 * @file queue.h
 * Queues run submissions, in order within a queue.
 */
#ifndef SEGUE_QUEUE_H
#define SEGUE_QUEUE_H

#include <segue/base.h>
#include <segue/command_buffer.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How to make a queue. */
struct segue_queue_params {
    /** Measure every submission's time on the device (adds two timing events a submission). */
    bool timing;
    /** For messages. NULL: none. Copied. */
    const char *label;
};

/** @param params NULL: defaults. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_queue_create(segue_device *device,
                                                           const struct segue_queue_params *params,
                                                           segue_queue **out_queue);

/** Waits until the queue is idle, then destroys it. Submissions that still wait for a semaphore
 *  that nobody has signalled are dropped, and their signals fail with SEGUE_INVALID_STATE. */
SEGUE_API void segue_queue_destroy(segue_queue *queue);

/** A point of a timeline. */
struct segue_semaphore_value {
    segue_semaphore *semaphore;
    uint64_t value;
};

/** The value of a constant slot in one submission. */
struct segue_constant_value {
    /** The slot's; 0: no value, for a slot that no command uses. */
    uint32_t size_bytes;
    union {
        uint32_t u32;
        int32_t i32;
        float f32;
        uint64_t u64;
        int64_t i64;
        double f64;
    } as;
};

/** A command buffer in a submission, with what its slots stand for. */
struct segue_execution {
    segue_command_buffer *command_buffer;
    /** One per slot; `buffer` set in each. NULL where the command buffer has no slots. */
    const struct segue_buffer_ref *bindings;
    uint32_t binding_count;
    /** One per constant slot. NULL where the command buffer has none. */
    const struct segue_constant_value *constants;
    uint32_t constant_count;
};

/** Command buffers to run, what they wait for and what they raise. */
struct segue_submission {
    const struct segue_semaphore_value *waits;
    uint32_t wait_count;
    const struct segue_execution *executions;
    uint32_t execution_count;
    const struct segue_semaphore_value *signals;
    uint32_t signal_count;
};

/**
 * Submits: waits for all `waits`, runs the command buffers one after the other, then raises
 * `signals`. Returns without waiting (but see segue_cache_budget.max_table_graphs). A submission
 * whose waits nobody has submitted a signal for yet is kept, with all later ones of its queue, and
 * is issued by whoever submits that signal; if it fails then, its signals fail with its status.
 * Everything submitted is kept alive until done; what the slots of a command buffer were last bound
 * to (in up to four submissions) until it is submitted with something else, reset or destroyed. An
 * empty submission is legal.
 * @return SEGUE_INVALID_STATE for a command buffer that is not ended, failed, or a one-shot that
 * was submitted before; SEGUE_OUT_OF_RANGE, SEGUE_INVALID_ACCESS for bad tables;
 *         SEGUE_INVALID_ARGUMENT for a used constant slot without a value of its size, for distinct
 * slots that overlap (SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT), for a signal
 * value that is not above all earlier ones, and for a wait that only the submission's own signals
 * would end.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_queue_submit(segue_queue *queue, const struct segue_submission *submission);

/**
 * Waits until all that was submitted is done.
 * @return the first failure of a submission since the last call, SEGUE_DEVICE_LOST, or
 *         SEGUE_INVALID_STATE if a submission waits for a signal that nobody has submitted.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_queue_wait_idle(segue_queue *queue);

/** What submissions cost. */
struct segue_queue_timing {
    /** Host time spent handing the last issued submission to the driver. */
    uint64_t issue_ns;
    /** Device time of the last issued submission. */
    uint64_t device_ns;
    /** Sums over all submissions that the queue has issued. */
    uint64_t total_issue_ns;
    uint64_t total_device_ns;
};

/** Of a queue with `timing`, after segue_queue_wait_idle. SEGUE_INVALID_STATE without `timing`,
 *  before the first submission, or while the last one runs. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_queue_get_timing(segue_queue *queue, struct segue_queue_timing *out_timing);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_QUEUE_H
