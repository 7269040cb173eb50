// SPDX-License-Identifier: Apache-2.0
// Raising, keeping and logging failures.
#include "null_backend.h"
#include "status.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/** Collects log lines. */
struct log {
    int lines;
    enum segue_log_level level;
    size_t longest;
    bool line_end;
    char first[256];
    char last[256];
};

static void keep_line(void *context, enum segue_log_level level, const char *message)
{
    struct log *log = context;
    size_t length = strlen(message);
    if (log->lines++ == 0)
        snprintf(log->first, sizeof log->first, "%s", message);
    snprintf(log->last, sizeof log->last, "%s", message);
    log->level = level;
    log->line_end |= strchr(message, '\n') != NULL;
    if (length > log->longest)
        log->longest = length;
}

static segue_device *open_logging(struct log *log)
{
    const struct segue_device_params params = {.log = keep_line, .log_context = log};
    return null_device_open(&params);
}

static void names_every_status(void **state)
{
    (void)state;
    assert_string_equal(segue_status_name(SEGUE_OK), "SEGUE_OK");
    assert_string_equal(segue_status_name(SEGUE_OUT_OF_RANGE), "SEGUE_OUT_OF_RANGE");
    assert_string_equal(segue_status_name(SEGUE_MISMATCH), "SEGUE_MISMATCH");
    for (int i = 0; i <= SEGUE_MISMATCH; i++)
        assert_memory_equal(segue_status_name((segue_status)i), "SEGUE_", 6);
    assert_string_equal(segue_status_name((segue_status)(SEGUE_MISMATCH + 1)), "unknown status");
    assert_string_equal(segue_status_name((segue_status)-1), "unknown status");
}

static void *look_from_other_thread(void *result)
{
    const struct segue_error *error = segue_last_error();
    *(bool *)result = error->status == SEGUE_OK && error->message[0] == '\0' && error->file != NULL;
    return NULL;
}

static void keeps_the_last_failure_of_thread_and_device(void **state)
{
    (void)state;
    segue_device *device = null_device_open(NULL);
    struct segue_error error;
    segue_device_get_last_error(device, &error);
    assert_int_equal(error.status, SEGUE_OK);
    assert_non_null(error.file);

    int line = __LINE__ + 1;
    segue_status status = segue_fail_driver(device, SEGUE_DRIVER_ERROR, 719, "value %d", 5);
    assert_int_equal(status, SEGUE_DRIVER_ERROR);
    assert_int_equal(segue_last_error()->status, SEGUE_DRIVER_ERROR);
    assert_int_equal(segue_last_error()->driver_result, 719);
    assert_int_equal(segue_last_error()->line, line);
    assert_non_null(strstr(segue_last_error()->file, "test_status.c"));
    assert_string_equal(segue_last_error()->message, "value 5");
    segue_device_get_last_error(device, &error);
    assert_int_equal(error.driver_result, 719);
    assert_string_equal(error.message, "value 5");

    // Without a device only the thread knows; the message may be made of the last one.
    assert_int_equal(segue_fail(NULL, SEGUE_NOT_FOUND, "again: %s", segue_last_error()->message),
                     SEGUE_NOT_FOUND);
    assert_string_equal(segue_last_error()->message, "again: value 5");
    assert_int_equal(segue_last_error()->driver_result, 0);
    segue_device_get_last_error(device, &error);
    assert_int_equal(error.status, SEGUE_DRIVER_ERROR);

    bool clean = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, look_from_other_thread, &clean), 0);
    pthread_join(thread, NULL);
    assert_true(clean);
    segue_device_destroy(device);
}

static void cuts_long_messages_but_logs_them_whole(void **state)
{
    (void)state;
    struct log log = {0};
    segue_device *device = open_logging(&log);
    static char text[20000];
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(segue_fail(device, SEGUE_COMPILE_FAILED, "%s", text), SEGUE_COMPILE_FAILED);
    assert_int_equal(strlen(segue_last_error()->message), SEGUE_ERROR_MESSAGE_SIZE - 1);
    assert_int_equal(log.lines, 1);
    assert_int_equal(log.level, SEGUE_LOG_ERROR);
    assert_int_equal(log.longest, strlen("SEGUE_COMPILE_FAILED: ") + sizeof text - 1);
    segue_device_destroy(device);
}

static void logs_line_by_line(void **state)
{
    (void)state;
    struct log log = {0};
    segue_device *device = open_logging(&log);
    segue_log(device, SEGUE_LOG_WARNING, "one\n\ntwo %d\n", 2);
    assert_int_equal(log.lines, 3);
    assert_int_equal(log.level, SEGUE_LOG_WARNING);
    assert_false(log.line_end);
    assert_string_equal(log.first, "one");
    assert_string_equal(log.last, "two 2");
    segue_device_destroy(device);

    // Silent without a callback or a device.
    segue_log(NULL, SEGUE_LOG_WARNING, "nobody");
    device = null_device_open(NULL);
    segue_log(device, SEGUE_LOG_WARNING, "nobody");
    assert_int_equal(log.lines, 3);
    segue_device_destroy(device);
}

static void logs_what_fits_when_out_of_memory(void **state)
{
    (void)state;
    struct log log = {0};
    struct null_allocator memory;
    null_allocator_init(&memory);
    const struct segue_device_params params = {
        .allocator = &memory.allocator, .log = keep_line, .log_context = &log};
    segue_device *device = null_device_open(&params);
    null_allocator_fail(&memory, 1, true);
    static char text[5000];
    memset(text, 'y', sizeof text - 1);
    segue_log(device, SEGUE_LOG_INFO, "%s", text);
    assert_int_equal(memory.failed, 1);
    assert_int_equal(log.lines, 1);
    assert_in_range(log.longest, 500, 1023);
    null_allocator_fail(&memory, 0, false);
    segue_device_destroy(device);
    assert_int_equal(memory.live, 0);
}

static bool is_driver_error(segue_status status)
{
    return status == SEGUE_DRIVER_ERROR;
}

static void tolerated_failures_are_warnings(void **state)
{
    (void)state;
    struct log log = {0};
    segue_device *device = open_logging(&log);
    struct segue_error error;
    struct segue_tolerance outer;
    struct segue_tolerance inner;
    assert_int_equal(segue_fail(device, SEGUE_NOT_FOUND, "first"), SEGUE_NOT_FOUND);
    assert_int_equal(log.level, SEGUE_LOG_ERROR);

    segue_tolerate(&outer, "it goes on", NULL);
    assert_int_equal(segue_fail(device, SEGUE_IO_ERROR, "second"), SEGUE_IO_ERROR);
    assert_int_equal(log.level, SEGUE_LOG_WARNING);
    assert_string_equal(log.last, "SEGUE_IO_ERROR: second; it goes on");
    // Until the end it can be read, as any other.
    assert_string_equal(segue_last_error()->message, "second");
    segue_tolerate(&inner, "another way", is_driver_error);
    assert_int_equal(segue_fail(device, SEGUE_DRIVER_ERROR, "third"), SEGUE_DRIVER_ERROR);
    assert_string_equal(log.last, "SEGUE_DRIVER_ERROR: third; another way");
    // Who covers it, tolerates it.
    assert_int_equal(segue_fail(device, SEGUE_IO_ERROR, "fourth"), SEGUE_IO_ERROR);
    assert_string_equal(log.last, "SEGUE_IO_ERROR: fourth; it goes on");
    segue_tolerate_end(&inner);
    assert_string_equal(segue_last_error()->message, "second");
    segue_tolerate_end(&outer);
    assert_string_equal(segue_last_error()->message, "first");
    assert_int_equal(segue_last_error()->status, SEGUE_NOT_FOUND);
    segue_device_get_last_error(device, &error);
    assert_string_equal(error.message, "fourth");
    assert_int_equal(log.lines, 4);
    segue_device_destroy(device);
}

static void what_is_not_covered_is_an_error(void **state)
{
    (void)state;
    struct log log = {0};
    segue_device *device = open_logging(&log);
    struct segue_tolerance outer;
    struct segue_tolerance inner;
    assert_int_equal(segue_fail(device, SEGUE_NOT_FOUND, "first"), SEGUE_NOT_FOUND);
    segue_tolerate(&inner, "another way", is_driver_error);
    assert_int_equal(segue_fail(device, SEGUE_IO_ERROR, "second"), SEGUE_IO_ERROR);
    assert_int_equal(log.level, SEGUE_LOG_ERROR);
    assert_string_equal(log.last, "SEGUE_IO_ERROR: second");
    segue_tolerate_refuse(&inner);
    assert_string_equal(segue_last_error()->message, "second");

    // Refused by the inner one and tolerated by the outer one, it is forgotten all the same.
    segue_tolerate(&outer, "it goes on", NULL);
    segue_tolerate(&inner, "another way", is_driver_error);
    assert_int_equal(segue_fail(device, SEGUE_TIMEOUT, "third"), SEGUE_TIMEOUT);
    segue_tolerate_refuse(&inner);
    assert_string_equal(segue_last_error()->message, "third");
    segue_tolerate_end(&outer);
    assert_string_equal(segue_last_error()->message, "second");
    // Nothing failed, nothing is put back.
    segue_tolerate(&outer, "it goes on", NULL);
    segue_tolerate_end(&outer);
    assert_string_equal(segue_last_error()->message, "second");
    segue_device_destroy(device);
}

static void device_loss_is_sticky(void **state)
{
    (void)state;
    segue_device *device = null_device_open(NULL);
    assert_int_equal(segue_device_check(device), SEGUE_OK);
    assert_int_equal(segue_fail(device, SEGUE_DEVICE_LOST, "fell off the bus"), SEGUE_DEVICE_LOST);
    assert_int_equal(segue_fail(device, SEGUE_DEVICE_LOST, "a later one"), SEGUE_DEVICE_LOST);
    assert_int_equal(segue_device_check(device), SEGUE_DEVICE_LOST);
    assert_non_null(strstr(segue_last_error()->message, "fell off the bus"));

    const struct segue_buffer_params buffer_params = {.size_bytes = 16};
    segue_buffer *buffer = NULL;
    assert_int_equal(segue_buffer_create(device, &buffer_params, &buffer), SEGUE_DEVICE_LOST);
    assert_null(buffer);
    segue_command_buffer *command_buffer = NULL;
    assert_int_equal(segue_command_buffer_create(device, NULL, &command_buffer), SEGUE_DEVICE_LOST);
    assert_null(command_buffer);
    assert_int_equal(segue_device_wait_idle(device), SEGUE_DEVICE_LOST);
    segue_device_destroy(device);
    assert_int_equal(null_world.backends, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_every_status),
        cmocka_unit_test(keeps_the_last_failure_of_thread_and_device),
        cmocka_unit_test(cuts_long_messages_but_logs_them_whole),
        cmocka_unit_test(logs_line_by_line),
        cmocka_unit_test(logs_what_fits_when_out_of_memory),
        cmocka_unit_test(tolerated_failures_are_warnings),
        cmocka_unit_test(what_is_not_covered_is_an_error),
        cmocka_unit_test(device_loss_is_sticky),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
