// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

typedef void (*destroy_fn)(void *object);

/** An object that teardown destroys. */
struct segue_test_object {
    struct segue_test_object *next;
    void *object;
    destroy_fn destroy;
};

static const struct segue_test_hooks *hooks;

void segue_test_set_hooks(const struct segue_test_hooks *new_hooks)
{
    hooks = new_hooks;
}

const char *segue_test_device_uri(void)
{
    const char *uri = getenv("SEGUE_TEST_DEVICE");
    return uri && *uri ? uri : "soft://";
}

enum segue_execution_mode segue_test_mode(void)
{
    const char *mode = getenv("SEGUE_TEST_MODE");
    return mode && strcmp(mode, "stream") == 0 ? SEGUE_EXECUTION_STREAM : SEGUE_EXECUTION_GRAPH;
}

uint64_t segue_test_environment_number(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : fallback;
}

int segue_test_prepare(void)
{
    segue_device *device = NULL;
    segue_status status = segue_device_open(segue_test_device_uri(), NULL, &device);
    if (status == SEGUE_OK) {
        segue_device_destroy(device);
        return 0;
    }
    bool skip = status == SEGUE_UNAVAILABLE && strncmp(segue_test_device_uri(), "cuda:", 5) == 0;
    printf("%s: %s: %s\n", skip ? "skipped" : "failed", segue_test_device_uri(),
           segue_last_error()->message);
    return skip ? SEGUE_TEST_EXIT_SKIPPED : 1;
}

void segue_test_check_message(segue_status actual, segue_status expected, const char *message,
                              const char *call, const char *file, int line)
{
    if (actual == expected)
        return;
    print_error("%s returned %s, expected %s\n", call, segue_status_name(actual),
                segue_status_name(expected));
    if (actual != SEGUE_OK)
        print_error("  %s\n", message);
    if (hooks)
        hooks->failed_check(hooks->context, actual, expected, message, call);
    _fail(file, line);
}

void segue_test_check(segue_status actual, segue_status expected, const char *call,
                      const char *file, int line)
{
    const struct segue_error *error = segue_last_error();
    // The message of an older failure says nothing about this one.
    segue_test_check_message(actual, expected, error->status == actual ? error->message : "", call,
                             file, line);
}

void segue_test_check_error(segue_status actual, segue_status expected, const char *text,
                            const char *call, const char *file, int line)
{
    segue_test_check(actual, expected, call, file, line);
    const struct segue_error *error = segue_last_error();
    if (error->status == expected && strstr(error->message, text))
        return;
    print_error("%s: the last error is %s, \"%s\", which lacks \"%s\"\n", call,
                segue_status_name(error->status), error->message, text);
    _fail(file, line);
}

uint64_t segue_test_random(uint64_t *state)
{
    // splitmix64
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t segue_test_random_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)(segue_test_random(state) % bound);
}

uint32_t segue_test_word(uint64_t seed, uint64_t index)
{
    uint64_t state = seed * 0x2545f4914f6cdd1du + index;
    return (uint32_t)segue_test_random(&state);
}

static void keep(struct segue_test *test, void *object, destroy_fn destroy)
{
    struct segue_test_object *entry = malloc(sizeof(*entry));
    assert_non_null(entry);
    *entry = (struct segue_test_object){test->objects, object, destroy};
    test->objects = entry;
}

void segue_test_destroy(struct segue_test *test, void *object)
{
    for (struct segue_test_object **link = &test->objects; *link; link = &(*link)->next) {
        struct segue_test_object *entry = *link;
        if (entry->object != object)
            continue;
        *link = entry->next;
        entry->destroy(object);
        free(entry);
        return;
    }
    fail_msg("segue_test_destroy: not an object of this test");
}

static void destroy_device(void *object)
{
    segue_device_destroy(object);
}

static void destroy_executable(void *object)
{
    segue_executable_destroy(object);
}

static void destroy_buffer(void *object)
{
    segue_buffer_destroy(object);
}

static void destroy_semaphore(void *object)
{
    segue_semaphore_destroy(object);
}

static void destroy_event(void *object)
{
    segue_event_destroy(object);
}

static void destroy_queue(void *object)
{
    segue_queue_destroy(object);
}

static void destroy_command_buffer(void *object)
{
    segue_command_buffer_destroy(object);
}

static void print_log(void *context, enum segue_log_level level, const char *message)
{
    (void)context;
    if (level <= SEGUE_LOG_WARNING && getenv("SEGUE_TEST_LOG"))
        print_message("%s\n", message);
}

/** Where the last test that has a log of its own wants it. */
static struct segue_device_params tee;

static void log_to_both(void *context, enum segue_log_level level, const char *message)
{
    (void)context;
    tee.log(tee.log_context, level, message);
    hooks->log(hooks->log_context, level, message);
}

static segue_status open_device(const char *uri, const struct segue_device_params *params,
                                segue_device **out_device)
{
    struct segue_device_params all = params ? *params : (struct segue_device_params){0};
    if (hooks && !all.allocator)
        all.allocator = hooks->allocator;
    if (hooks && all.log) {
        tee = all;
        all.log = log_to_both;
    } else if (hooks) {
        all.log = hooks->log;
        all.log_context = hooks->log_context;
    } else if (!all.log) {
        all.log = print_log;
    }
    return segue_device_open(uri, &all, out_device);
}

int segue_test_setup(void **state)
{
    struct segue_test *test = calloc(1, sizeof(*test));
    assert_non_null(test);
    *state = test;
    test->mode = segue_test_mode();
    test->order_seed = segue_test_environment_number("SEGUE_TEST_ORDER_SEED", 0);
    const struct segue_device_params params = {.validation = SEGUE_VALIDATION_FULL};
    CHECK_OK(open_device(segue_test_device_uri(), &params, &test->device));
    segue_device_get_info(test->device, &test->info);
    test->soft = segue_device_get_soft_api(test->device);
    if (hooks)
        test->soft = hooks->soft;
    else if (test->soft)
        test->soft->reset_report();
    if (test->soft) {
        struct segue_soft_report report;
        test->soft->get_report(&report);
        test->pushed_contexts = report.pushed_contexts;
    }
    CHECK_OK(segue_test_kernels_create(test->device, &test->kernels));
    CHECK_OK(segue_queue_create(test->device, NULL, &test->queue));
    CHECK_OK(segue_semaphore_create(test->device, 0, &test->done));
    return 0;
}

/** Whether the software driver saw nothing amiss. */
static bool check_report(const struct segue_soft_api *soft, bool expects_hazards,
                         uint64_t pushed_contexts)
{
    struct segue_soft_report report;
    soft->get_report(&report);
    const bool pushed = report.pushed_contexts != pushed_contexts;
    if (pushed)
        print_error("%" PRIu64 " contexts are pushed, %" PRIu64 " were before\n",
                    report.pushed_contexts, pushed_contexts);
    if (report.live_objects != 0)
        print_error("%" PRIu64 " objects of the driver are left\n", report.live_objects);
    if (report.misuse_count != 0)
        print_error("misuse: %s\n", report.first_misuse);
    if (report.hazard_count != 0 && !expects_hazards)
        print_error("hazard: %s\n", report.first_hazard);
    return !report.live_objects && !report.misuse_count && !pushed &&
           (!report.hazard_count || expects_hazards);
}

int segue_test_teardown(void **state)
{
    struct segue_test *test = *state;
    if (!test)
        return 0;
    const struct segue_soft_api *soft = test->soft;
    if (soft) {
        soft->set_fault(NULL);
        // A test that made a kernel fail may have ended while it is in flight.
        for (int i = 0; i < SEGUE_TEST_KERNEL_COUNT; ++i)
            if (!soft->register_kernel(&segue_test_references[i]))
                print_error("%s is not registered again\n", segue_test_references[i].name);
        soft->set_device_lost(0);
        soft->set_paused(false);
    }
    // Waits for what is in flight, so that destroying in any order is fine.
    segue_queue_destroy(test->queue);
    while (test->objects)
        segue_test_destroy(test, test->objects->object);
    segue_semaphore_destroy(test->done);
    segue_executable_destroy(test->kernels);
    segue_device_destroy(test->device);
    const struct segue_test ended = *test;
    free(test);
    return soft && !hooks && !check_report(soft, ended.expects_hazards, ended.pushed_contexts);
}

segue_device *segue_test_device(struct segue_test *test, const char *uri,
                                const struct segue_device_params *params)
{
    segue_device *device = NULL;
    CHECK_OK(open_device(uri, params, &device));
    keep(test, device, destroy_device);
    return device;
}

segue_executable *segue_test_executable(struct segue_test *test,
                                        const struct segue_executable_params *params)
{
    segue_executable *executable = NULL;
    CHECK_OK(segue_executable_create(test->device, params, &executable));
    keep(test, executable, destroy_executable);
    return executable;
}

void segue_test_keep_executable(struct segue_test *test, segue_executable *executable)
{
    keep(test, executable, destroy_executable);
}

segue_buffer *segue_test_buffer_on(struct segue_test *test, segue_device *device,
                                   const struct segue_buffer_params *params)
{
    segue_buffer *buffer = NULL;
    CHECK_OK(segue_buffer_create(device, params, &buffer));
    keep(test, buffer, destroy_buffer);
    return buffer;
}

segue_buffer *segue_test_buffer_of(struct segue_test *test,
                                   const struct segue_buffer_params *params)
{
    return segue_test_buffer_on(test, test->device, params);
}

segue_buffer *segue_test_buffer(struct segue_test *test, uint64_t size_bytes)
{
    return segue_test_buffer_of(test, &(struct segue_buffer_params){.size_bytes = size_bytes});
}

segue_buffer *segue_test_words(struct segue_test *test, uint64_t count, uint64_t seed)
{
    segue_buffer *buffer = segue_test_buffer(test, count * 4);
    uint32_t *words = malloc(count * 4);
    assert_non_null(words);
    for (uint64_t i = 0; i < count; ++i)
        words[i] = segue_test_word(seed, i);
    CHECK_OK(segue_buffer_write(buffer, 0, words, count * 4));
    free(words);
    return buffer;
}

segue_buffer *segue_test_zeros(struct segue_test *test, uint64_t count)
{
    segue_buffer *buffer = segue_test_buffer(test, count * 4);
    uint32_t *words = calloc(count, 4);
    assert_non_null(words);
    CHECK_OK(segue_buffer_write(buffer, 0, words, count * 4));
    free(words);
    return buffer;
}

segue_buffer *segue_test_view(struct segue_test *test, segue_buffer *parent, uint64_t offset_bytes,
                              uint64_t length_bytes)
{
    segue_buffer *view = NULL;
    CHECK_OK(segue_buffer_create_view(parent, offset_bytes, length_bytes, NULL, &view));
    keep(test, view, destroy_buffer);
    return view;
}

segue_semaphore *segue_test_semaphore_on(struct segue_test *test, segue_device *device,
                                         uint64_t value)
{
    segue_semaphore *semaphore = NULL;
    CHECK_OK(segue_semaphore_create(device, value, &semaphore));
    keep(test, semaphore, destroy_semaphore);
    return semaphore;
}

segue_semaphore *segue_test_semaphore(struct segue_test *test, uint64_t value)
{
    return segue_test_semaphore_on(test, test->device, value);
}

segue_event *segue_test_event(struct segue_test *test)
{
    segue_event *event = NULL;
    CHECK_OK(segue_event_create(test->device, &event));
    keep(test, event, destroy_event);
    return event;
}

segue_queue *segue_test_queue_on(struct segue_test *test, segue_device *device,
                                 const struct segue_queue_params *params)
{
    segue_queue *queue = NULL;
    CHECK_OK(segue_queue_create(device, params, &queue));
    keep(test, queue, destroy_queue);
    return queue;
}

segue_queue *segue_test_queue_of(struct segue_test *test, const struct segue_queue_params *params)
{
    return segue_test_queue_on(test, test->device, params);
}

segue_queue *segue_test_queue(struct segue_test *test)
{
    return segue_test_queue_of(test, NULL);
}

segue_command_buffer *segue_test_begin_constants(struct segue_test *test, uint32_t slot_count,
                                                 const struct segue_constant_slot *constant_slots,
                                                 uint32_t constant_slot_count, uint32_t flags)
{
    segue_command_buffer *command_buffer = NULL;
    const struct segue_command_buffer_params params = {
        .mode = test->mode,
        .flags = flags,
        .slot_count = slot_count,
        .order_seed = test->order_seed,
        .constant_slots = constant_slots,
        .constant_slot_count = constant_slot_count,
    };
    CHECK_OK(segue_command_buffer_create(test->device, &params, &command_buffer));
    keep(test, command_buffer, destroy_command_buffer);
    CHECK_OK(segue_command_buffer_begin(command_buffer));
    return command_buffer;
}

segue_command_buffer *segue_test_begin_with(struct segue_test *test, uint32_t slot_count,
                                            uint32_t flags)
{
    return segue_test_begin_constants(test, slot_count, NULL, 0, flags);
}

segue_command_buffer *segue_test_begin(struct segue_test *test)
{
    return segue_test_begin_with(test, 0, 0);
}

uint64_t segue_test_submit_execution(struct segue_test *test,
                                     const struct segue_execution *execution)
{
    const struct segue_semaphore_value signal = {test->done, ++test->done_value};
    const struct segue_submission submission = {
        .executions = execution,
        .execution_count = 1,
        .signals = &signal,
        .signal_count = 1,
    };
    CHECK_OK(segue_queue_submit(test->queue, &submission));
    return test->done_value;
}

uint64_t segue_test_submit_with(struct segue_test *test, segue_command_buffer *command_buffer,
                                const struct segue_buffer_ref *bindings, uint32_t binding_count)
{
    const struct segue_execution execution = {
        .command_buffer = command_buffer, .bindings = bindings, .binding_count = binding_count};
    return segue_test_submit_execution(test, &execution);
}

uint64_t segue_test_submit(struct segue_test *test, segue_command_buffer *command_buffer)
{
    return segue_test_submit_with(test, command_buffer, NULL, 0);
}

void segue_test_wait(struct segue_test *test, uint64_t value)
{
    CHECK_OK(segue_semaphore_wait(test->done, value, SEGUE_TIMEOUT_INFINITE));
}

void segue_test_run(struct segue_test *test, segue_command_buffer *command_buffer)
{
    CHECK_OK(segue_command_buffer_end(command_buffer));
    segue_test_wait(test, segue_test_submit(test, command_buffer));
}

void segue_test_read(segue_buffer *buffer, uint64_t first, uint64_t count, uint32_t *out_words)
{
    CHECK_OK(segue_buffer_read(buffer, first * 4, out_words, count * 4));
}

void segue_test_expect(segue_buffer *buffer, uint64_t first, const uint32_t *words, uint64_t count)
{
    uint32_t *actual = malloc(count * 4);
    assert_non_null(actual);
    segue_test_read(buffer, first, count, actual);
    for (uint64_t i = 0; i < count; ++i) {
        if (actual[i] == words[i])
            continue;
        uint32_t value = actual[i];
        free(actual);
        fail_msg("word %" PRIu64 " is 0x%08x, expected 0x%08x", first + i, value, words[i]);
    }
    free(actual);
}

void segue_test_expect_all(segue_buffer *buffer, uint64_t first, uint64_t count, uint32_t word)
{
    uint32_t *expected = malloc(count * 4);
    assert_non_null(expected);
    for (uint64_t i = 0; i < count; ++i)
        expected[i] = word;
    segue_test_expect(buffer, first, expected, count);
    free(expected);
}
