// SPDX-License-Identifier: Apache-2.0
// Builders and collectors that die at, or are failed by, each of their system calls: what is in the
// folder afterwards is the old state or the new one, never wrong bytes, and the next build works.
#include "folder.h"
#include "system_calls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (1u << 20)

/** In the folder before, built by the child, and all. */
static const struct segue_test_tensor tensors[] = {
    {1, 5000}, {2, MIB + 100}, {3, 4096}, {4, 9000}, {5, MIB + 4000}, {6, 1},
};
#define OLD_COUNT 4u
#define ALL_COUNT 6u

static const char *template_folder;
static const char *folder;

/** Tensors that are served, as bits. Fails the test where one is served wrong. */
static uint32_t look_at_all(void)
{
    segue_packed_cache *cache = NULL;
    if (segue_test_open(folder, 0, &cache) != SEGUE_OK)
        fail_msg("the folder cannot be opened: %s", segue_last_error()->message);
    uint32_t found = 0;
    for (uint32_t i = 0; i < ALL_COUNT; i++) {
        const enum segue_test_found look = segue_test_look(cache, tensors[i]);
        assert_true(look == SEGUE_TEST_RIGHT || look == SEGUE_TEST_ABSENT);
        found |= (uint32_t)(look == SEGUE_TEST_RIGHT) << i;
    }
    struct segue_packed_cache_stats stats;
    segue_packed_cache_get_stats(cache, &stats);
    assert_int_equal(stats.invalid_files, 0);
    segue_packed_cache_close(cache);
    return found;
}

/** The next builder finds its way, and leaves nothing behind. */
static void build_again(void)
{
    if (segue_test_build(folder, tensors, ALL_COUNT) != SEGUE_OK)
        fail_msg("the next build fails: %s", segue_last_error()->message);
    assert_int_equal(look_at_all(), (1u << ALL_COUNT) - 1);
    const uint32_t known = segue_test_count_files(folder, ".pack", NULL) +
                           segue_test_count_files(folder, ".used", NULL) +
                           segue_test_count_files(folder, "lock", NULL);
    assert_int_equal(segue_test_count_files(folder, "", NULL), known);
}

/** What the child does: publish the rest, or collect the old ones down. */
static int publish(void *context)
{
    (void)context;
    return segue_test_build(folder, tensors, ALL_COUNT) == SEGUE_OK ? 0 : 1;
}

static int collect(void *context)
{
    (void)context;
    segue_packed_cache *cache = NULL;
    if (segue_test_open(folder, 0, &cache) != SEGUE_OK)
        return 1;
    const struct segue_packed_gc_params params = {.size_limit_bytes = MIB + 30000};
    struct segue_packed_gc_result result;
    const segue_status status = segue_packed_cache_gc(cache, &params, &result);
    segue_packed_cache_close(cache);
    return status == SEGUE_OK ? 0 : 1;
}

/** Two generations, with a bit more than one page of index each. */
static int make_template(void **state)
{
    (void)state;
    // A lock that cannot be had looks like another builder's.
    segue_test_lock_timeout_ns = 20000000;
    template_folder = segue_test_folder();
    folder = segue_test_folder();
    return segue_test_build(template_folder, tensors, 2) == SEGUE_OK &&
                   segue_test_build(template_folder, tensors, OLD_COUNT) == SEGUE_OK
               ? 0
               : 1;
}

static struct segue_test_child run(int (*body)(void *), struct segue_test_system_calls calls)
{
    struct segue_test_child child;
    segue_test_copy_folder(template_folder, folder);
    assert_true(segue_test_run_child(body, NULL, &calls, &child));
    return child;
}

/** Kills `body` before and after every call. Afterwards at least the tensors of `kept` are there.
 *  @return how often. */
static uint32_t kill_everywhere(int (*body)(void *), uint32_t kept)
{
    const struct segue_test_child whole =
        run(body, (struct segue_test_system_calls){SEGUE_TEST_LEAVE, 0, 0});
    assert_false(whole.killed);
    assert_int_equal(whole.exit_code, 0);
    uint32_t kills = 0;
    for (uint64_t nth = 1; nth <= whole.call_count; nth++) {
        for (int after = 0; after < 2; after++) {
            const struct segue_test_child child =
                run(body, (struct segue_test_system_calls){
                              after ? SEGUE_TEST_KILL_AFTER : SEGUE_TEST_KILL_BEFORE, nth, 0});
            // The last call ends the process: nothing comes after it.
            assert_true(child.intruded ? child.killed : child.exit_code == 0);
            kills += child.killed;
            assert_int_equal(look_at_all() & kept, kept);
            build_again();
        }
    }
    return kills;
}

static void test_kill_publish(void **state)
{
    (void)state;
    const uint32_t kills = kill_everywhere(publish, (1u << OLD_COUNT) - 1);
    printf("killed a builder %u times\n", kills);
    assert_true(kills > 100);
}

static void test_kill_collect(void **state)
{
    (void)state;
    const struct segue_test_child whole =
        run(collect, (struct segue_test_system_calls){SEGUE_TEST_LEAVE, 0, 0});
    assert_int_equal(whole.exit_code, 0);
    const uint32_t kept = look_at_all();
    assert_true(kept != 0 && kept != (1u << OLD_COUNT) - 1);
    const uint32_t kills = kill_everywhere(collect, kept);
    printf("killed a collector %u times\n", kills);
    assert_true(kills > 100);
}

/** What must hold after a builder was failed once, or for ever. */
static void check_failed_build(const struct segue_test_child *child)
{
    const uint32_t old = (1u << OLD_COUNT) - 1;
    const uint32_t all = (1u << ALL_COUNT) - 1;
    assert_false(child->killed);
    const uint32_t found = look_at_all();
    // Success means published, failure means not.
    if (found != (child->exit_code == 0 ? all : old))
        fail_msg("%s failed, the builder said %d, and tensors 0x%x are there", child->call,
                 child->exit_code, found);
    build_again();
}

/** Each call fails, once and for ever; with one of the errors after the other, or, where the
 *  environment asks for all faults (SEGUE_TEST_FAULTS=all), with each of them. */
static void test_failing_calls(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EROFS, EACCES, EIO};
    const char *asked = getenv("SEGUE_TEST_FAULTS");
    const uint64_t rounds = asked != NULL && strcmp(asked, "all") == 0 ? 4 : 1;
    uint32_t failures = 0;
    uint32_t reported = 0;
    for (uint64_t round = 0; round < 2 * rounds; round++) {
        const bool forever = round % 2 != 0;
        for (uint64_t nth = 1;; nth++) {
            const struct segue_test_child child =
                run(publish, (struct segue_test_system_calls){forever ? SEGUE_TEST_FAIL_FOR_EVER
                                                                      : SEGUE_TEST_FAIL,
                                                              nth, errors[(nth + round / 2) % 4]});
            if (!child.intruded)
                break;
            failures++;
            reported += child.exit_code != 0;
            check_failed_build(&child);
        }
    }
    printf("%u failing calls, %u of them failed the build\n", failures, reported);
    assert_true(failures > 100 && reported > 30);
}

/** Calls that a signal may interrupt and that are then made again. */
static bool is_restarted(const char *call)
{
    static const char *const restarted[] = {"pread64",   "pwrite64", "openat",   "fsync",
                                            "ftruncate", "unlinkat", "renameat2"};
    bool restarts = false;
    for (size_t i = 0; i < sizeof(restarted) / sizeof(restarted[0]); i++)
        restarts = restarts || strcmp(call, restarted[i]) == 0;
    return restarts;
}

/** A signal that interrupts a call never fails a build. */
static void test_interrupted_calls(void **state)
{
    (void)state;
    uint32_t interruptions = 0;
    for (uint64_t nth = 1;; nth++) {
        const struct segue_test_child child =
            run(publish, (struct segue_test_system_calls){SEGUE_TEST_FAIL, nth, EINTR});
        if (!child.intruded)
            break;
        const bool restarts = is_restarted(child.call);
        if (restarts && child.exit_code != 0)
            fail_msg("an interrupted %s failed the build", child.call);
        interruptions += restarts;
        check_failed_build(&child);
    }
    printf("%u interrupted calls\n", interruptions);
    assert_true(interruptions > 30);
}

static int read_all(void *context)
{
    (void)context;
    segue_packed_cache *cache = NULL;
    if (segue_test_open(folder, 0, &cache) != SEGUE_OK)
        return 1;
    int result = 0;
    for (uint32_t i = 0; i < OLD_COUNT; i++) {
        const enum segue_test_found look = segue_test_look(cache, tensors[i]);
        if (look == SEGUE_TEST_WRONG)
            return 2;
        result |= look != SEGUE_TEST_RIGHT;
    }
    segue_packed_cache_close(cache);
    return result;
}

/** A reader whose calls fail says so, and never takes wrong bytes for right ones. */
static void test_failing_reader(void **state)
{
    (void)state;
    static const int errors[] = {EIO, EACCES, EINTR};
    uint32_t failures = 0;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        for (uint64_t nth = 1;; nth++) {
            const struct segue_test_child child =
                run(read_all, (struct segue_test_system_calls){SEGUE_TEST_FAIL, nth, errors[i]});
            if (!child.intruded)
                break;
            failures++;
            assert_false(child.killed);
            assert_true(child.exit_code == 0 || child.exit_code == 1);
            if (errors[i] == EINTR && is_restarted(child.call) && child.exit_code != 0)
                fail_msg("an interrupted %s failed a reader", child.call);
            // Nobody removes a file because a disk failed once.
            assert_int_equal(look_at_all(), (1u << OLD_COUNT) - 1);
        }
    }
    assert_true(failures > 50);
}

static void test_short_reads_and_writes(void **state)
{
    (void)state;
    struct segue_test_child child =
        run(publish, (struct segue_test_system_calls){SEGUE_TEST_SHORTEN, 0, 0});
    assert_true(child.intruded);
    assert_int_equal(child.exit_code, 0);
    assert_int_equal(look_at_all(), (1u << ALL_COUNT) - 1);
    child = run(read_all, (struct segue_test_system_calls){SEGUE_TEST_SHORTEN, 0, 0});
    assert_true(child.intruded);
    assert_int_equal(child.exit_code, 0);
}

int main(void)
{
    if (!segue_test_can_trace()) {
        fputs("skipped: child processes cannot be traced here\n", stderr);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill_publish),   cmocka_unit_test(test_kill_collect),
        cmocka_unit_test(test_failing_calls),  cmocka_unit_test(test_interrupted_calls),
        cmocka_unit_test(test_failing_reader), cmocka_unit_test(test_short_reads_and_writes),
    };
    return cmocka_run_group_tests(tests, make_template, NULL);
}
