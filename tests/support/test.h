// SPDX-License-Identifier: Apache-2.0
/**
 * @file test.h
 * What tests through the public API share: a device opened as the environment says, objects that
 * are destroyed by themselves, and checks that print Segue's own message when they fail.
 *
 * Environment: SEGUE_TEST_DEVICE (a URI; default soft://), SEGUE_TEST_MODE (graph or stream;
 * default graph), SEGUE_TEST_ORDER_SEED (segue_command_buffer_params.order_seed; default 0).
 */
#ifndef SEGUE_TEST_H
#define SEGUE_TEST_H

#include <segue/segue.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernels.h"

/** Exit code of a test program that cannot run here. */
#define SEGUE_TEST_EXIT_SKIPPED 77

struct segue_test_object;

/** One test's world. Made by segue_test_setup, taken down and checked by segue_test_teardown. */
struct segue_test {
    segue_device *device;
    struct segue_device_info info;
    /** NULL on a real device. */
    const struct segue_soft_api *soft;
    /** Of every command buffer made by segue_test_begin. */
    enum segue_execution_mode mode;
    uint64_t order_seed;
    segue_executable *kernels;
    segue_queue *queue;
    /** Signalled by every segue_test_submit. */
    segue_semaphore *done;
    uint64_t done_value;
    /** Destroyed at teardown, last made first. */
    struct segue_test_object *objects;
    /** Tests that break the rules on purpose set these to true: teardown then does not insist that
     *  the software driver saw no hazard and no misuse. */
    bool expects_hazards;
    /** What the software driver counted when the test began. */
    uint64_t pushed_contexts;
};

/** URI of the device under test. */
const char *segue_test_device_uri(void);
/** The mode under test. */
enum segue_execution_mode segue_test_mode(void);

/** What the fault loop changes about every test that follows. */
struct segue_test_hooks {
    /** How devices are opened; the validation is always full. */
    const struct segue_allocator *allocator;
    segue_log_fn log;
    void *log_context;
    /** Stands for the software driver's own controls. The loop itself resets and checks the
     *  driver's report. */
    const struct segue_soft_api *soft;
    /** Told of every failed check of a status, before the test ends. `message` is that of the
     *  failure. */
    void (*failed_check)(void *context, segue_status actual, segue_status expected,
                         const char *message, const char *call);
    void *context;
};

/** NULL: none. Not copied. */
void segue_test_set_hooks(const struct segue_test_hooks *hooks);

/** cmocka fixture. `*state` becomes a struct segue_test. Full validation is on. */
int segue_test_setup(void **state);
/** Destroys everything; fails if the software driver saw a hazard or a misuse, or if one of its
 *  objects is left. */
int segue_test_teardown(void **state);
/** cmocka test with that fixture. */
#define segue_test_case(function) \
    cmocka_unit_test_setup_teardown(function, segue_test_setup, segue_test_teardown)

/** For `main`, before any test: 0 if the device can be opened, else what to exit with, having
 *  printed why: a GPU that is not there skips the tests, a software driver that is not fails. */
int segue_test_prepare(void);

/** Fails the test unless `actual` is `expected`; prints the last error. */
void segue_test_check(segue_status actual, segue_status expected, const char *call,
                      const char *file, int line);
#define CHECK_OK(call) segue_test_check((call), SEGUE_OK, #call, __FILE__, __LINE__)
#define CHECK_STATUS(call, expected) segue_test_check((call), (expected), #call, __FILE__, __LINE__)
/** The same for a status that another thread got, with the message it found. */
void segue_test_check_message(segue_status actual, segue_status expected, const char *message,
                              const char *call, const char *file, int line);
#define CHECK_OK_ELSEWHERE(status, message) \
    segue_test_check_message((status), SEGUE_OK, (message), #status, __FILE__, __LINE__)
/** Also requires the last error to be that failure, and its message to contain `text`. */
void segue_test_check_error(segue_status actual, segue_status expected, const char *text,
                            const char *call, const char *file, int line);
#define CHECK_ERROR(call, expected, text) \
    segue_test_check_error((call), (expected), (text), #call, __FILE__, __LINE__)

/** A pseudo-random word that depends on seed and index alone. */
uint32_t segue_test_word(uint64_t seed, uint64_t index);
/** The next number of a generator; `state` is any number. */
uint64_t segue_test_random(uint64_t *state);
/** The next number below `bound`. */
uint32_t segue_test_random_below(uint64_t *state, uint32_t bound);

/** Numbers from the environment, `fallback` if not set. */
uint64_t segue_test_environment_number(const char *name, uint64_t fallback);

/* Objects; all are destroyed at teardown. Any failure fails the test. */

/** Another device under test, for `params` (NULL: defaults) with what the hooks say. */
segue_device *segue_test_device(struct segue_test *test, const char *uri,
                                const struct segue_device_params *params);
segue_executable *segue_test_executable(struct segue_test *test,
                                        const struct segue_executable_params *params);
/** Takes one over that was made elsewhere. */
void segue_test_keep_executable(struct segue_test *test, segue_executable *executable);
/** Device memory of all uses, content undefined. */
segue_buffer *segue_test_buffer(struct segue_test *test, uint64_t size_bytes);
segue_buffer *segue_test_buffer_of(struct segue_test *test,
                                   const struct segue_buffer_params *params);
segue_buffer *segue_test_buffer_on(struct segue_test *test, segue_device *device,
                                   const struct segue_buffer_params *params);
/** `count` words: word i is segue_test_word(seed, i). */
segue_buffer *segue_test_words(struct segue_test *test, uint64_t count, uint64_t seed);
/** `count` words that are 0. */
segue_buffer *segue_test_zeros(struct segue_test *test, uint64_t count);
segue_buffer *segue_test_view(struct segue_test *test, segue_buffer *parent, uint64_t offset_bytes,
                              uint64_t length_bytes);
segue_semaphore *segue_test_semaphore(struct segue_test *test, uint64_t value);
segue_semaphore *segue_test_semaphore_on(struct segue_test *test, segue_device *device,
                                         uint64_t value);
segue_event *segue_test_event(struct segue_test *test);
segue_queue *segue_test_queue(struct segue_test *test);
segue_queue *segue_test_queue_of(struct segue_test *test, const struct segue_queue_params *params);
segue_queue *segue_test_queue_on(struct segue_test *test, segue_device *device,
                                 const struct segue_queue_params *params);
/** Recording, in the mode under test. */
segue_command_buffer *segue_test_begin(struct segue_test *test);
/** The same with slots and flags. */
segue_command_buffer *segue_test_begin_with(struct segue_test *test, uint32_t slot_count,
                                            uint32_t flags);
/** The same with constant slots, too. */
segue_command_buffer *segue_test_begin_constants(struct segue_test *test, uint32_t slot_count,
                                                 const struct segue_constant_slot *constant_slots,
                                                 uint32_t constant_slot_count, uint32_t flags);
/** Destroys one of the objects now. */
void segue_test_destroy(struct segue_test *test, void *object);

/* Recording. */

struct segue_buffer_ref segue_test_ref(segue_buffer *buffer, uint64_t offset_bytes,
                                       uint64_t length_bytes);
struct segue_buffer_ref segue_test_whole(segue_buffer *buffer);
struct segue_buffer_ref segue_test_slot(uint32_t slot, uint64_t offset_bytes,
                                        uint64_t length_bytes);
/** An execution barrier. */
void segue_test_barrier(segue_command_buffer *command_buffer);
void segue_test_memory_barrier(segue_command_buffer *command_buffer, uint32_t source,
                               uint32_t target);
void segue_test_buffer_barrier(segue_command_buffer *command_buffer, uint32_t source,
                               uint32_t target, struct segue_buffer_ref range);
/** Dispatches of the test kernels; `count` words each. x * 2 + 1 and x * 3 + 7 do not commute, so
 *  their order shows; x * 2 + 1 and x * 3 + 2 do. */
void segue_test_dispatch_add(struct segue_test *test, segue_command_buffer *command_buffer,
                             struct segue_buffer_ref left, struct segue_buffer_ref right,
                             struct segue_buffer_ref out, uint32_t count);
void segue_test_dispatch_scale(struct segue_test *test, segue_command_buffer *command_buffer,
                               struct segue_buffer_ref data, uint32_t count, uint32_t factor,
                               uint32_t addend);
/** SCALE after 200 microseconds. */
void segue_test_dispatch_slow(struct segue_test *test, segue_command_buffer *command_buffer,
                              struct segue_buffer_ref data, uint32_t count, uint32_t factor,
                              uint32_t addend);
void segue_test_dispatch_mix(struct segue_test *test, segue_command_buffer *command_buffer,
                             struct segue_buffer_ref source, struct segue_buffer_ref data,
                             uint32_t count, uint32_t shift);
/** MIX through pointers in memory, and x * 3 + source, after some time, with `data` in memory. */
void segue_test_dispatch_indirect(struct segue_test *test, segue_command_buffer *command_buffer,
                                  struct segue_buffer_ref source, struct segue_buffer_ref data,
                                  uint32_t count, uint32_t shift);
void segue_test_dispatch_indirect_slow(struct segue_test *test,
                                       segue_command_buffer *command_buffer,
                                       struct segue_buffer_ref source, struct segue_buffer_ref data,
                                       uint32_t count);

/* Running. */

/** Submits on test->queue and returns what test->done will reach. */
uint64_t segue_test_submit(struct segue_test *test, segue_command_buffer *command_buffer);
uint64_t segue_test_submit_with(struct segue_test *test, segue_command_buffer *command_buffer,
                                const struct segue_buffer_ref *bindings, uint32_t binding_count);
uint64_t segue_test_submit_execution(struct segue_test *test,
                                     const struct segue_execution *execution);
void segue_test_wait(struct segue_test *test, uint64_t value);
/** Ends, submits, waits. */
void segue_test_run(struct segue_test *test, segue_command_buffer *command_buffer);

/** Reads words back. */
void segue_test_read(segue_buffer *buffer, uint64_t first, uint64_t count, uint32_t *out_words);
/** Fails with the first difference. */
void segue_test_expect(segue_buffer *buffer, uint64_t first, const uint32_t *words, uint64_t count);
/** All `count` words are `word`. */
void segue_test_expect_all(segue_buffer *buffer, uint64_t first, uint64_t count, uint32_t word);

#endif // SEGUE_TEST_H
