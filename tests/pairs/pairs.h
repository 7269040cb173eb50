// SPDX-License-Identifier: Apache-2.0
/**
 * @file pairs.h
 * The rules of the validation, each with something that must be refused and a neighbour that must
 * pass. One area a file. Everything goes through the public API, on the device under test.
 */
#ifndef SEGUE_TEST_PAIRS_H
#define SEGUE_TEST_PAIRS_H

#include "test.h"

/** One rule. */
struct pair {
    /** Its name, in words joined by '_'. */
    const char *rule;
    /** How breaking it is refused: the status, and pieces of the message separated by '|'. */
    segue_status status;
    const char *message;
    /** Does something with the rule kept, or, if `wrong`, with the smallest change that breaks it,
     *  and returns what Segue says to it. The runner calls it both ways, first `wrong`. */
    segue_status (*attempt)(struct segue_test *test, bool wrong);
    /** Only the software driver can be brought into that situation. */
    bool soft_only;
};

#define PAIR(function, expected, pieces)                                                          \
    {                                                                                             \
        .rule = #function, .status = SEGUE_##expected, .message = (pieces), .attempt = (function) \
    }
#define SOFT_PAIR(function, expected, pieces)                                                      \
    {                                                                                              \
        .rule = #function, .status = SEGUE_##expected, .message = (pieces), .attempt = (function), \
        .soft_only = true                                                                          \
    }

struct pair_area {
    const char *name;
    const struct pair *pairs;
    size_t count;
};

#define PAIR_AREA(area, list)               \
    const struct pair_area pairs_##area = { \
        .name = #area, .pairs = (list), .count = sizeof(list) / sizeof((list)[0])}

extern const struct pair_area pairs_buffer;
extern const struct pair_area pairs_command_buffer;
extern const struct pair_area pairs_constants;
extern const struct pair_area pairs_device;
extern const struct pair_area pairs_dispatch;
extern const struct pair_area pairs_executable;
extern const struct pair_area pairs_execute;
extern const struct pair_area pairs_hazard;
extern const struct pair_area pairs_inspect;
extern const struct pair_area pairs_queue;
extern const struct pair_area pairs_range;
extern const struct pair_area pairs_seal;
extern const struct pair_area pairs_semaphore;
extern const struct pair_area pairs_submit;
extern const struct pair_area pairs_sync;
extern const struct pair_area pairs_table;
extern const struct pair_area pairs_transfer;

/** Size of pair_buffer's buffers. */
#define PAIR_BYTES 4096

/** Device memory of PAIR_BYTES with that label, destroyed at teardown. */
segue_buffer *pair_buffer(struct segue_test *test, const char *label);
/** Constant memory of PAIR_BYTES, labelled "constant". */
segue_buffer *pair_constant(struct segue_test *test);
/** A command buffer labelled "pairs" that is recording. */
segue_command_buffer *pair_begin(struct segue_test *test, uint32_t slot_count);

/** What a recording comes to: `status` is that of its last command. If that is SEGUE_OK the
 *  recording must end as well; a refusal must be latched, so that ending repeats it. */
segue_status pair_end(segue_command_buffer *command_buffer, segue_status status);
/** The same with the status of the only command that counts. */
#define pair_record(command_buffer, call) pair_end((command_buffer), (call))

/** Submits on the test's queue, with bindings, and waits if that was taken. */
segue_status pair_submit(struct segue_test *test, segue_command_buffer *command_buffer,
                         const struct segue_buffer_ref *bindings, uint32_t binding_count);

/** A dispatch of SCALE on one range, which `binding` and three words of constants make up. */
struct segue_dispatch pair_scale(struct segue_test *test, const struct segue_buffer_ref *binding);

/** Another device, with one of each object. */
struct pair_other {
    segue_device *device;
    segue_buffer *buffer;
    segue_event *event;
    segue_semaphore *semaphore;
    segue_executable *kernels;
    /** Ended, empty. */
    segue_command_buffer *command_buffer;
};
struct pair_other pair_other_open(void);
void pair_other_close(const struct pair_other *other);

/** A semaphore that has failed at 0 for good: a submission that was to raise it to 1 could not be
 *  issued, since it waits for an event that nobody has signalled. If not `fails`, the semaphore has
 *  reached 1. `*out_queue`, unless NULL, is the queue of that submission. */
segue_semaphore *pair_failed_semaphore(struct segue_test *test, bool fails,
                                       segue_queue **out_queue);

#endif // SEGUE_TEST_PAIRS_H
