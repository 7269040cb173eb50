// SPDX-License-Identifier: Apache-2.0
// fault KIND|all lives|AREA[.CASE]: fails driver calls, driver allocations or host allocations of
// each scenario, one at a time, once and for ever. Each time the scenario must report it, leave
// nothing behind, and succeed when tried again. SEGUE_TEST_FAULTS=all takes every fault of long
// scenarios, too; otherwise these are taken at even distances, and SEGUE_TEST_FAULTS=8 takes about
// 8 of each scenario instead of the usual 32. SEGUE_TEST_SHARD=3/16 takes the third of 16 parts of
// what would be taken: 16 processes, 1/16 to 16/16, take all of it.
#include "faulty_memory.h"
#include "scenario.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/** CUresults: an allocation that failed, and a failure that no other code describes. */
enum { CUDA_OUT_OF_MEMORY = 2, CUDA_UNKNOWN = 999 };

enum kind { DRIVER_CALLS, DRIVER_ALLOCATIONS, HOST_ALLOCATIONS, KIND_COUNT };
static const char *const kind_names[KIND_COUNT] = {"driver_calls", "driver_allocations",
                                                   "host_allocations"};
/** What a line of the log says that a fault of the kind is the reason of: the driver's result, or
 *  the status. */
static const char *const fault_texts[KIND_COUNT] = {" (999)", " (2)", "SEGUE_OUT_OF_HOST_MEMORY"};

/** Faults of a scenario that has more are taken at even distances: about this many, unless the
 *  environment says otherwise... */
enum { MANY = 32 };
/** ... and fewer of a scenario with more than this many calls, so that all cost about the same. */
enum { LONG = 1000 };

/** Defects after which a scenario is given up. */
enum { ENOUGH = 20 };

/** Faults that last for ever of one process; another one goes on. Then the driver gives nothing up
 *  any more: what it keeps slows down what follows, and would at last be all that there is. */
enum { BATCH = 64 };

/** Seconds after which a run hangs, on a machine however busy. */
enum { PATIENCE_S = 240 };

/** One fault. */
struct point {
    enum kind kind;
    uint64_t nth;
    bool forever;
};

/** How far a scenario has come. */
struct progress {
    /** The next fault; all of them have been taken: `ended`. */
    bool forever;
    uint64_t nth;
    bool ended;
    /** What came up of the kind, the defects before, and the time that it has taken. */
    uint64_t count;
    uint64_t points_before;
    uint64_t failures_before;
    double seconds;
};

/** Sums over all scenarios, shared with the processes that run them. */
struct totals {
    uint64_t points;
    uint64_t tolerated;
    uint64_t failures;
    struct progress progress;
};
static struct totals *totals;

/** What a scenario's loop works with. */
static struct {
    const struct segue_soft_api *soft;
    struct faulty_memory memory;
    struct segue_allocator allocator;
    struct scenario_run run;
    bool every_fault;
    /** Faults of a long scenario, otherwise. */
    uint64_t many;
    /** Of the faults that would be taken, this process takes one out of `shard_count`, from number
     *  `shard` on. */
    uint64_t shard;
    uint64_t shard_count;
    /** What Segue logged as warnings or errors in the last run, cut to fit. */
    char warnings[65536];
    /** The first line that a fault of the last run is the reason of and that was logged as an
     * error: a call must have returned it. */
    char error[1024];
    /** The same without a fault: a test may ask for just that failure. */
    char expected[1024];
    pthread_mutex_t warnings_lock;
    /** The fault of this run; nth 0: none. */
    struct point point;
    bool armed;
    /** The scenario makes the driver fail by itself from here on, and whether the loop's fault had
     *  come about by then. */
    bool given_over;
    bool fired_before;
    struct segue_soft_report at_start;
    /** For the signal handler. */
    char doing[256];
} loop = {.memory.lock = PTHREAD_MUTEX_INITIALIZER, .warnings_lock = PTHREAD_MUTEX_INITIALIZER};

static void keep_warning(void *context, enum segue_log_level level, const char *message)
{
    (void)context;
    if (level > SEGUE_LOG_WARNING)
        return;
    pthread_mutex_lock(&loop.warnings_lock);
    size_t length = strlen(loop.warnings);
    snprintf(loop.warnings + length, sizeof(loop.warnings) - length, "%s\n", message);
    if (level == SEGUE_LOG_ERROR && loop.armed && !loop.given_over && loop.error[0] == '\0' &&
        strstr(message, fault_texts[loop.point.kind]) &&
        strncmp(message, loop.expected, sizeof(loop.expected) - 1) != 0)
        snprintf(loop.error, sizeof(loop.error), "%s", message);
    pthread_mutex_unlock(&loop.warnings_lock);
}

static struct segue_soft_report report(void)
{
    struct segue_soft_report now;
    loop.soft->get_report(&now);
    return now;
}

static void arm(void *context)
{
    (void)context;
    loop.armed = true;
    loop.memory.count = 0;
    loop.soft->reset_report();
    loop.at_start = report();
    const struct segue_soft_fault fault = {
        .target = loop.point.kind == DRIVER_ALLOCATIONS ? SEGUE_SOFT_FAULT_ALLOCATION
                                                        : SEGUE_SOFT_FAULT_DRIVER_CALL,
        .nth = loop.point.nth,
        .forever = loop.point.forever,
        .driver_result = loop.point.kind == DRIVER_ALLOCATIONS ? CUDA_OUT_OF_MEMORY : CUDA_UNKNOWN,
    };
    if (loop.point.kind == HOST_ALLOCATIONS) {
        loop.memory.forever = loop.point.forever;
        loop.memory.nth = loop.point.nth;
    } else if (loop.point.nth) {
        loop.soft->set_fault(&fault);
    }
}

static bool has_fired(void)
{
    return loop.point.kind == HOST_ALLOCATIONS ? loop.memory.failed != 0
           : loop.given_over                   ? loop.fired_before
                                               : report().fault_count != 0;
}

static void give_over(void *context)
{
    (void)context;
    if (loop.given_over)
        return;
    loop.fired_before = report().fault_count != 0;
    loop.given_over = true;
}

/** Runs the scenario with this fault. Returns how often the fault's kind came up. */
static uint64_t run(const struct scenario *scenario, struct point point,
                    struct scenario_outcome *out_outcome)
{
    snprintf(loop.doing, sizeof(loop.doing), "%s, %s, %s %" PRIu64, scenario->name,
             kind_names[point.kind], point.forever ? "for ever from" : "once at", point.nth);
    loop.point = point;
    loop.armed = loop.given_over = loop.fired_before = false;
    loop.warnings[0] = loop.error[0] = '\0';
    loop.memory.failed = loop.memory.nth = 0;
    alarm(PATIENCE_S);
    scenario->run(scenario, &loop.run, out_outcome);
    alarm(0);
    loop.memory.nth = 0;
    loop.soft->set_fault(NULL);
    loop.soft->set_device_lost(0);
    loop.soft->set_paused(false);
    struct segue_soft_report now = report();
    return point.kind == HOST_ALLOCATIONS ? loop.memory.count
           : point.kind == DRIVER_CALLS   ? now.call_count
                                          : now.allocation_count;
}

/** Prints one defect; the first few with what the scenario printed. */
static void SEGUE_PRINTF(1, 2) complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", loop.doing);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    if (++totals->failures <= 3)
        fprintf(stderr, "%s\n", segue_scenario_output());
}

/** Calls whose failure Segue may answer with another way to go on. */
static bool is_probe(const char *call)
{
    return strstr(call, "GetProcAddress") || strstr(call, "GetAttribute") ||
           strstr(call, "GetName") || strstr(call, "GetErrorString") ||
           strstr(call, "GetErrorName") || strstr(call, "GetParamInfo");
}

/** Statuses that a fault cannot be the reason of. */
static bool is_beside_the_point(segue_status status)
{
    return status == SEGUE_MISMATCH || status == SEGUE_HAZARD || status == SEGUE_TIMEOUT ||
           status == SEGUE_INVALID_ARGUMENT || status == SEGUE_OUT_OF_RANGE ||
           status == SEGUE_INVALID_ACCESS || status == SEGUE_NOT_FOUND ||
           status == SEGUE_UNIMPLEMENTED || status == SEGUE_IO_ERROR ||
           status == SEGUE_INVALID_DATA;
}

/** Contexts are given back whatever fails: the driver gives them up even where it reports a
 * failure. */
static void check_contexts(const struct segue_soft_report *before,
                           const struct segue_soft_report *now)
{
    if (now->pushed_contexts != before->pushed_contexts)
        complain("%" PRIu64 " contexts are pushed, %" PRIu64 " were before", now->pushed_contexts,
                 before->pushed_contexts);
    if (now->context_holders != before->context_holders)
        complain("the context is retained %" PRIu64 " times, %" PRIu64 " before",
                 now->context_holders, before->context_holders);
}

/** Without a fault everything must work, before and after each fault. Returns how often the fault's
 *  kind came up. */
static uint64_t must_succeed(const struct scenario *scenario, enum kind kind)
{
    struct scenario_outcome outcome;
    struct segue_soft_report before = report();
    loop.expected[0] = '\0';
    uint64_t count = run(scenario, (struct point){.kind = kind}, &outcome);
    memcpy(loop.expected, loop.error, sizeof(loop.expected));
    struct segue_soft_report now = report();
    if (outcome.status != SEGUE_OK)
        complain("%s: %s", segue_status_name(outcome.status), outcome.message);
    if (!loop.armed)
        complain("did not come to its start");
    if (now.live_objects != before.live_objects)
        complain("%" PRIu64 " driver objects are left", now.live_objects - before.live_objects);
    check_contexts(&before, &now);
    if (now.hazard_count || now.misuse_count)
        complain("%s%s", now.first_hazard, now.first_misuse);
    if (loop.memory.live || loop.memory.live_bytes)
        complain("%" PRIu64 " host allocations are left", loop.memory.live);
    return count;
}

/** What must be so after any fault. `excused`: the driver refused to give something up. */
static void check_end(const struct segue_soft_report *before, bool excused)
{
    struct segue_soft_report now = report();
    if (now.live_objects != before->live_objects && !excused)
        complain("%" PRIu64 " driver objects are left", now.live_objects - before->live_objects);
    check_contexts(before, &now);
    if (now.misuse_count)
        complain("%s", now.first_misuse);
    if (loop.memory.live || loop.memory.live_bytes)
        complain("%" PRIu64 " host allocations are left", loop.memory.live);
    // The count must be right again for the next run.
    loop.memory.live = loop.memory.live_bytes = 0;
}

/** What is logged as an error a call returns. (What goes wrong after a failure that no call
 *  returned is a wrong result.) */
static void check_dropped(const struct scenario_outcome *outcome)
{
    if (loop.error[0] != '\0' && (outcome->status == SEGUE_OK || outcome->status == SEGUE_MISMATCH))
        complain("logged as an error, but no call returned it: %s", loop.error);
}

/** Judges a run in which the driver failed. */
static void check_driver_fault(const struct scenario_outcome *outcome, bool forever,
                               const struct segue_soft_report *before)
{
    struct segue_soft_report now = report();
    const char *call = now.first_fault;
    // A failure that cannot be returned, because something is being given up or can be done in
    // another way, is at least logged.
    bool logged = call[0] != '\0' && strstr(loop.warnings, call) != NULL;
    bool given_up = (outcome->status == SEGUE_OK || outcome->status == SEGUE_MISMATCH) && logged;
    check_dropped(outcome);
    if (outcome->status == SEGUE_OK) {
        ++totals->tolerated;
        if (!logged && !is_probe(call))
            complain("the failure of %s was lost", call);
    } else if (is_beside_the_point(outcome->status) && !given_up) {
        complain("%s: %s is not what happened: %s", call, segue_status_name(outcome->status),
                 outcome->message);
    } else if (outcome->message[0] == '\0') {
        complain("%s: %s without a message", call, segue_status_name(outcome->status));
    }
    check_end(before, forever || given_up);
}

/** Judges a run in which host memory ran out. */
static void check_memory_fault(const struct scenario_outcome *outcome,
                               const struct segue_soft_report *before)
{
    check_dropped(outcome);
    if (outcome->status == SEGUE_OK) {
        ++totals->tolerated;
        if (!strstr(loop.warnings, "memory"))
            complain("nobody was told");
    } else if (outcome->status != SEGUE_OUT_OF_HOST_MEMORY) {
        complain("%s is not what happened: %s", segue_status_name(outcome->status),
                 outcome->message);
    } else if (outcome->message[0] == '\0') {
        complain("no message");
    }
    check_end(before, false);
}

/** Runs with one fault. Returns false if it did not come about. */
static bool run_point(const struct scenario *scenario, struct point point)
{
    struct scenario_outcome outcome;
    struct segue_soft_report before = report();
    run(scenario, point, &outcome);
    if (!has_fired()) {
        if (outcome.status != SEGUE_OK)
            complain("without the fault: %s: %s", segue_status_name(outcome.status),
                     outcome.message);
        return false;
    }
    ++totals->points;
    if (point.kind == HOST_ALLOCATIONS)
        check_memory_fault(&outcome, &before);
    else
        check_driver_fault(&outcome, point.forever, &before);
    return true;
}

/** How far apart the faults of a scenario with `count` of them are, and `calls` calls in all. */
static uint64_t stride_of(uint64_t count, uint64_t calls)
{
    uint64_t points = calls > LONG ? loop.many * LONG / calls : loop.many;
    uint64_t least = loop.many / 8 ? loop.many / 8 : 1;
    if (points < least)
        points = least;
    return loop.every_fault || count <= points ? 1 : (count + points - 1) / points;
}

/** Takes faults from where the scenario has come to, as many as one process may. */
static void run_batch(const struct scenario *scenario, enum kind kind)
{
    struct progress *progress = &totals->progress;
    clock_t start = clock();
    uint64_t calls = must_succeed(scenario, DRIVER_CALLS);
    progress->count = must_succeed(scenario, kind);
    uint64_t stride = stride_of(progress->count, calls);
    uint64_t first = 1 + loop.shard * stride;
    if (progress->nth == 0)
        progress->nth = first;
    for (int left = BATCH; left > 0 && !progress->ended; left -= progress->forever) {
        if (run_point(scenario, (struct point){kind, progress->nth, progress->forever})) {
            must_succeed(scenario, kind);
            progress->nth += stride * loop.shard_count;
        } else {
            progress->ended = progress->forever;
            progress->forever = true;
            progress->nth = first;
        }
        progress->ended |= totals->failures >= progress->failures_before + ENOUGH;
    }
    progress->seconds += (double)(clock() - start) / CLOCKS_PER_SEC;
}

static void on_signal(int number)
{
    // Only what may be called here.
    static const char text[] = " hung or aborted\n";
    segue_scenario_mute(false);
    if (write(2, loop.doing, strlen(loop.doing)) < 0 || write(2, text, sizeof(text) - 1) < 0)
        _exit(2);
    _exit(128 + number);
}

/** Takes all faults of a scenario, in processes of their own: what a failing driver refuses to give
 *  up is gone with them, and a crash ends this scenario only. */
static void run_apart(const struct scenario *scenario, enum kind kind)
{
    struct progress *progress = &totals->progress;
    *progress =
        (struct progress){.points_before = totals->points, .failures_before = totals->failures};
    while (!progress->ended) {
        fflush(stdout);
        fflush(stderr);
        pid_t child = fork();
        if (child == 0) {
            run_batch(scenario, kind);
            // Not _exit, which would lose the counts of a build with coverage.
            exit(0);
        }
        int status = 0;
        if (child > 0 && waitpid(child, &status, 0) == child && status == 0)
            continue;
        fprintf(stderr, "%s, %s: the process ended with %d\n", scenario->name, kind_names[kind],
                status);
        ++totals->failures;
        return;
    }
    printf("%s, %s: %" PRIu64 " fault points of %" PRIu64 ", %.2f s\n", scenario->name,
           kind_names[kind], totals->points - progress->points_before, 2 * progress->count,
           progress->seconds);
}

/** Runs the kinds from `first` to `last` of scenarios, or of the one of that name. Returns false if
 *  there is none. */
static bool run_scenarios(const struct scenario *scenarios, size_t count, const char *only,
                          enum kind first, enum kind last)
{
    bool ran = false;
    for (int kind = first; kind <= (int)last; ++kind) {
        for (size_t i = 0; i < count; ++i) {
            if (only && strcmp(scenarios[i].name, only) != 0)
                continue;
            run_apart(&scenarios[i], (enum kind)kind);
            ran = true;
        }
    }
    return ran;
}

static bool run_named(const char *what, enum kind first, enum kind last)
{
    if (strcmp(what, "lives") == 0)
        return run_scenarios(segue_lives, segue_life_count, NULL, first, last);
    char name[96];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(what, "."), what);
    const struct segue_conformance_area *area = segue_conformance_find(name);
    size_t count = 0;
    struct scenario *scenarios = area ? segue_conformance_scenarios(area, &count) : NULL;
    if (!scenarios)
        return false;
    bool ran = run_scenarios(scenarios, count, strchr(what, '.') ? what : NULL, first, last);
    if (!ran)
        fprintf(stderr, "%s: no such case\n", what);
    free(scenarios);
    return ran;
}

/** Reads SEGUE_TEST_FAULTS and SEGUE_TEST_SHARD. Returns false, having printed why, if there is no
 *  such part. */
static bool read_environment(void)
{
    const char *faults = getenv("SEGUE_TEST_FAULTS");
    loop.every_fault = faults && strcmp(faults, "all") == 0;
    loop.many = segue_test_environment_number("SEGUE_TEST_FAULTS", MANY);
    const char *shard = getenv("SEGUE_TEST_SHARD");
    loop.shard_count = 1;
    char rest;
    if (!shard || !*shard)
        return true;
    if (sscanf(shard, "%" SCNu64 "/%" SCNu64 "%c", &loop.shard, &loop.shard_count, &rest) != 2 ||
        loop.shard < 1 || loop.shard > loop.shard_count) {
        fprintf(stderr, "SEGUE_TEST_SHARD is %s; expected is 1/4, 2/4, ...\n", shard);
        return false;
    }
    --loop.shard;
    return true;
}

/** `keeper` keeps the driver loaded, so that its controls stay valid. */
static int run_with(segue_device *keeper, const char *what, enum kind first, enum kind last)
{
    loop.soft = segue_device_get_soft_api(keeper);
    loop.allocator = segue_test_faulty_allocator(&loop.memory);
    loop.run = (struct scenario_run){.params = {.allocator = &loop.allocator,
                                                .log = keep_warning,
                                                .validation = SEGUE_VALIDATION_FULL},
                                     .soft = loop.soft,
                                     .arm = arm,
                                     .give_over = give_over};
    totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (totals == MAP_FAILED)
        return 1;
    signal(SIGALRM, on_signal);
    signal(SIGABRT, on_signal);
    bool ran = run_named(what, first, last);
    printf("%" PRIu64 " fault points in all; %" PRIu64 " of them answered in another way, and "
           "logged; %" PRIu64 " defects\n",
           totals->points, totals->tolerated, totals->failures);
    // Of a part, or of one case, there may be few.
    bool few = loop.shard_count == 1 && !strchr(what, '.') && totals->points < 10;
    return !ran || totals->failures != 0 || few;
}

int main(int argc, char **argv)
{
    bool all = argc == 3 && strcmp(argv[1], "all") == 0;
    int kind = 0;
    while (argc == 3 && !all && kind < KIND_COUNT && strcmp(argv[1], kind_names[kind]) != 0)
        ++kind;
    if (argc != 3 || kind == KIND_COUNT) {
        fprintf(stderr, "usage: fault driver_calls|driver_allocations|host_allocations|all "
                        "lives|AREA[.CASE]\n");
        return 2;
    }
    if (!read_environment())
        return 2;
    segue_device *keeper = NULL;
    if (segue_device_open(segue_test_device_uri(), NULL, &keeper) != SEGUE_OK ||
        !segue_device_get_soft_api(keeper)) {
        fprintf(stderr, "no software driver: %s\n", segue_last_error()->message);
        segue_device_destroy(keeper);
        return 1;
    }
    int result =
        run_with(keeper, argv[2], (enum kind)kind, all ? HOST_ALLOCATIONS : (enum kind)kind);
    segue_device_destroy(keeper);
    return result;
}
