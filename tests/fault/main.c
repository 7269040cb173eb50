// SPDX-License-Identifier: Apache-2.0
// Fails every driver call, every driver allocation and every host allocation of each scenario, once
// and for ever. Each time the scenario must report it, leave nothing behind and succeed when tried
// again.
#include "scenario.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/** CUresults: an allocation that failed, and a failure that no other code describes. */
enum { CUDA_OUT_OF_MEMORY = 2, CUDA_UNKNOWN = 999 };

/** Host memory whose nth allocation fails. Counts are guarded by the lock. */
struct faulty_memory {
    pthread_mutex_t lock;
    uint64_t count;
    uint64_t nth;
    bool forever;
    uint64_t failed;
    uint64_t live;
    uint64_t live_bytes;
};

static void *faulty_allocate(void *context, size_t size_bytes, size_t align_bytes)
{
    struct faulty_memory *memory = context;
    pthread_mutex_lock(&memory->lock);
    uint64_t count = ++memory->count;
    bool fail = memory->nth != 0 && (memory->forever ? count >= memory->nth : count == memory->nth);
    void *pointer = NULL;
    size_t align = align_bytes < sizeof(void *) ? sizeof(void *) : align_bytes;
    if (fail)
        ++memory->failed;
    else if (posix_memalign(&pointer, align, size_bytes) != 0)
        pointer = NULL;
    if (pointer) {
        // What is not initialised shall show.
        memset(pointer, 0xa5, size_bytes);
        ++memory->live;
        memory->live_bytes += size_bytes;
    }
    pthread_mutex_unlock(&memory->lock);
    return pointer;
}

static void faulty_release(void *context, void *pointer, size_t size_bytes)
{
    struct faulty_memory *memory = context;
    pthread_mutex_lock(&memory->lock);
    --memory->live;
    memory->live_bytes -= size_bytes;
    pthread_mutex_unlock(&memory->lock);
    memset(pointer, 0x5a, size_bytes);
    free(pointer);
}

/** What the loops share. */
struct fault_test {
    const struct segue_soft_api *soft;
    /** Keeps the driver loaded, so that its controls stay valid. */
    segue_device *keeper;
    struct faulty_memory memory;
    struct segue_allocator allocator;
    /** Opens every device of the scenarios. */
    struct segue_device_params params;
    /** The driver's log of its calls. */
    char log_path[64];
    /** What Segue logged as warnings or errors in the last run, cut to fit. */
    char warnings[65536];
    /** Of all scenarios. */
    uint64_t points;
    uint64_t tolerated;
};

static void keep_warning(void *context, enum segue_log_level level, const char *message)
{
    struct fault_test *test = context;
    size_t length = strlen(test->warnings);
    if (level <= SEGUE_LOG_WARNING)
        snprintf(test->warnings + length, sizeof(test->warnings) - length, "%s\n", message);
}

static segue_status run(struct fault_test *test, const struct scenario *scenario)
{
    test->warnings[0] = '\0';
    return scenario->run(&test->params);
}

/** The name of the first call that the driver failed in the last run, from its log. */
static void faulted_call(const struct fault_test *test, char *out_name, size_t capacity)
{
    snprintf(out_name, capacity, "?");
    FILE *file = fopen(test->log_path, "r");
    if (!file)
        return;
    char line[4096];
    while (fgets(line, sizeof(line), file)) {
        const char *call = strstr(line, "\"call\":\"");
        if (!call || !strstr(line, "\"fault\":true"))
            continue;
        call += strlen("\"call\":\"");
        snprintf(out_name, capacity, "%.*s", (int)strcspn(call, "\""), call);
        break;
    }
    fclose(file);
}

/** Calls whose failure Segue may answer with another way to go on. */
static bool is_probe(const char *call)
{
    return strstr(call, "GetProcAddress") || strstr(call, "GetAttribute") ||
           strstr(call, "GetName") || strstr(call, "GetErrorString") ||
           strstr(call, "GetErrorName") || strstr(call, "GetParamInfo");
}

static struct segue_soft_report report_of(const struct fault_test *test)
{
    struct segue_soft_report report;
    test->soft->get_report(&report);
    return report;
}

static void check_memory(const struct fault_test *test, const char *scenario, const char *what,
                         uint64_t nth)
{
    if (test->memory.live != 0 || test->memory.live_bytes != 0)
        fail_msg("%s, %s %" PRIu64 ": %" PRIu64 " host allocations are left", scenario, what, nth,
                 test->memory.live);
}

/** Without a fault everything must work, before and after each fault. */
static void must_succeed(struct fault_test *test, const struct scenario *scenario)
{
    struct segue_soft_report before = report_of(test);
    test->memory.nth = 0;
    segue_status status = run(test, scenario);
    if (status != SEGUE_OK)
        fail_msg("%s without a fault: %s: %s", scenario->name, segue_status_name(status),
                 segue_last_error()->message);
    assert_int_equal(report_of(test).live_objects, before.live_objects);
    assert_int_equal(report_of(test).hazard_count, 0);
    check_memory(test, scenario->name, "no fault", 0);
}

/** Runs with one driver fault. Returns false once the fault no longer comes about. */
static bool run_driver_fault(struct fault_test *test, const struct scenario *scenario,
                             const struct segue_soft_fault *fault)
{
    char name[96];
    snprintf(name, sizeof(name), "%s %s",
             fault->target == SEGUE_SOFT_FAULT_ALLOCATION ? "driver allocation" : "driver call",
             fault->forever ? "for ever from" : "once at");
    test->soft->reset_report();
    uint64_t live = report_of(test).live_objects;
    unlink(test->log_path);
    assert_true(test->soft->set_log_path(test->log_path));
    test->soft->set_fault(fault);
    segue_status status = run(test, scenario);
    test->soft->set_fault(NULL);
    test->soft->set_log_path(NULL);
    struct segue_soft_report report = report_of(test);
    if (report.fault_count == 0) {
        assert_int_equal(status, SEGUE_OK);
        return false;
    }
    ++test->points;
    char call[64];
    faulted_call(test, call, sizeof(call));
    // A failure that cannot be returned, because something is being given up or can be done in
    // another way, is at least logged.
    bool logged = status == SEGUE_OK && strstr(test->warnings, call);
    if (status == SEGUE_OK) {
        ++test->tolerated;
        if (!logged && !is_probe(call))
            fail_msg("%s, %s %" PRIu64 ": the failure of %s was lost", scenario->name, name,
                     fault->nth, call);
    } else if (segue_last_error()->status != status || segue_last_error()->message[0] == '\0') {
        fail_msg("%s, %s %" PRIu64 " (%s): status %s without a message", scenario->name, name,
                 fault->nth, call, segue_status_name(status));
    } else if (status == SEGUE_MISMATCH || status == SEGUE_HAZARD || status == SEGUE_TIMEOUT ||
               status == SEGUE_INVALID_ARGUMENT || status == SEGUE_OUT_OF_RANGE) {
        fail_msg("%s, %s %" PRIu64 " (%s): %s is not what happened: %s", scenario->name, name,
                 fault->nth, call, segue_status_name(status), segue_last_error()->message);
    }
    // What the driver refused to give up stays.
    if (report.live_objects != live && !fault->forever && !logged)
        fail_msg("%s, %s %" PRIu64 " (%s): %" PRIu64 " driver objects are left", scenario->name,
                 name, fault->nth, call, report.live_objects - live);
    if (report.misuse_count != 0)
        fail_msg("%s, %s %" PRIu64 " (%s): %s", scenario->name, name, fault->nth, call,
                 report.first_misuse);
    check_memory(test, scenario->name, name, fault->nth);
    return true;
}

static void driver_loop(struct fault_test *test, const struct scenario *scenario,
                        enum segue_soft_fault_target target, bool forever)
{
    for (uint64_t nth = 1;; ++nth) {
        const struct segue_soft_fault fault = {
            .target = target,
            .nth = nth,
            .forever = forever,
            .driver_result =
                target == SEGUE_SOFT_FAULT_ALLOCATION ? CUDA_OUT_OF_MEMORY : CUDA_UNKNOWN,
        };
        if (!run_driver_fault(test, scenario, &fault))
            break;
        must_succeed(test, scenario);
    }
}

static bool run_memory_fault(struct fault_test *test, const struct scenario *scenario, uint64_t nth,
                             bool forever)
{
    const char *name = forever ? "host allocation for ever from" : "host allocation once at";
    test->soft->reset_report();
    uint64_t live = report_of(test).live_objects;
    test->memory.count = 0;
    test->memory.failed = 0;
    test->memory.nth = nth;
    test->memory.forever = forever;
    segue_status status = run(test, scenario);
    test->memory.nth = 0;
    if (test->memory.failed == 0) {
        assert_int_equal(status, SEGUE_OK);
        return false;
    }
    ++test->points;
    if (status == SEGUE_OK) {
        ++test->tolerated;
        if (!strstr(test->warnings, "memory"))
            fail_msg("%s, %s %" PRIu64 ": nobody was told", scenario->name, name, nth);
    } else if (status != SEGUE_OUT_OF_HOST_MEMORY ||
               segue_last_error()->status != SEGUE_OUT_OF_HOST_MEMORY)
        fail_msg("%s, %s %" PRIu64 ": %s: %s", scenario->name, name, nth, segue_status_name(status),
                 segue_last_error()->message);
    struct segue_soft_report report = report_of(test);
    if (report.live_objects != live)
        fail_msg("%s, %s %" PRIu64 ": %" PRIu64 " driver objects are left", scenario->name, name,
                 nth, report.live_objects - live);
    if (report.misuse_count != 0)
        fail_msg("%s, %s %" PRIu64 ": %s", scenario->name, name, nth, report.first_misuse);
    check_memory(test, scenario->name, name, nth);
    return true;
}

static void memory_loop(struct fault_test *test, const struct scenario *scenario, bool forever)
{
    for (uint64_t nth = 1; run_memory_fault(test, scenario, nth, forever); ++nth)
        must_succeed(test, scenario);
}

static void each_scenario(struct fault_test *test,
                          void (*loop)(struct fault_test *, const struct scenario *))
{
    test->points = 0;
    test->tolerated = 0;
    for (uint32_t i = 0; i < scenario_count; ++i) {
        uint64_t before = test->points;
        must_succeed(test, &scenarios[i]);
        loop(test, &scenarios[i]);
        print_message("%s: %" PRIu64 " fault points\n", scenarios[i].name, test->points - before);
    }
    print_message("%" PRIu64 " fault points in all; %" PRIu64 " of them answered in another way, "
                  "and logged\n",
                  test->points, test->tolerated);
    assert_true(test->points >= 10);
}

static void both_call_loops(struct fault_test *test, const struct scenario *scenario)
{
    driver_loop(test, scenario, SEGUE_SOFT_FAULT_DRIVER_CALL, false);
    driver_loop(test, scenario, SEGUE_SOFT_FAULT_DRIVER_CALL, true);
}

static void both_allocation_loops(struct fault_test *test, const struct scenario *scenario)
{
    driver_loop(test, scenario, SEGUE_SOFT_FAULT_ALLOCATION, false);
    driver_loop(test, scenario, SEGUE_SOFT_FAULT_ALLOCATION, true);
}

static void both_memory_loops(struct fault_test *test, const struct scenario *scenario)
{
    memory_loop(test, scenario, false);
    memory_loop(test, scenario, true);
}

static void driver_calls(void **state)
{
    each_scenario(*state, both_call_loops);
}

static void driver_allocations(void **state)
{
    each_scenario(*state, both_allocation_loops);
}

static void host_allocations(void **state)
{
    each_scenario(*state, both_memory_loops);
}

static int setup(void **state)
{
    static struct fault_test test;
    test = (struct fault_test){.memory.lock = PTHREAD_MUTEX_INITIALIZER};
    test.allocator = (struct segue_allocator){faulty_allocate, faulty_release, &test.memory};
    test.params = (struct segue_device_params){.allocator = &test.allocator,
                                               .log = keep_warning,
                                               .log_context = &test,
                                               .validation = SEGUE_VALIDATION_FULL};
    snprintf(test.log_path, sizeof(test.log_path), "segue-fault-%ld.jsonl", (long)getpid());
    CHECK_OK(segue_device_open("soft://", NULL, &test.keeper));
    test.soft = segue_device_get_soft_api(test.keeper);
    *state = &test;
    return 0;
}

static int teardown(void **state)
{
    struct fault_test *test = *state;
    test->soft->set_fault(NULL);
    test->soft->set_log_path(NULL);
    unlink(test->log_path);
    segue_device_destroy(test->keeper);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(driver_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(driver_allocations, setup, teardown),
        cmocka_unit_test_setup_teardown(host_allocations, setup, teardown),
    };
    for (size_t i = 0; argc == 2 && i < sizeof(tests) / sizeof(tests[0]); ++i) {
        if (strcmp(argv[1], tests[i].name) != 0)
            continue;
        cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests_name("fault", tests, NULL, NULL) == 0 ? 0 : 1;
    }
    fprintf(stderr, "usage: fault driver_calls|driver_allocations|host_allocations\n");
    return 2;
}
