// SPDX-License-Identifier: Apache-2.0
/**
 * @file system_calls.h
 * Runs a function in a child process and does something to one of its system calls (by ptrace).
 */
#ifndef SEGUE_TEST_PREPACK_SYSTEM_CALLS_H
#define SEGUE_TEST_PREPACK_SYSTEM_CALLS_H

#include <stdbool.h>
#include <stdint.h>

/** What is done. */
enum segue_test_intrusion {
    SEGUE_TEST_LEAVE,
    /** Kill -9 instead of the nth call. */
    SEGUE_TEST_KILL_BEFORE,
    /** Kill -9 right after the nth call. */
    SEGUE_TEST_KILL_AFTER,
    /** The nth call that has to do with files fails and does nothing. */
    SEGUE_TEST_FAIL,
    /** The nth call that has to do with files, and all later ones of the same number, fail. */
    SEGUE_TEST_FAIL_FOR_EVER,
    /** Every pread64 and pwrite64 moves only half of what is asked for, rounded up. */
    SEGUE_TEST_SHORTEN,
};

struct segue_test_system_calls {
    enum segue_test_intrusion intrusion;
    uint64_t nth;
    /** Of SEGUE_TEST_FAIL: an errno value. */
    int error;
};

/** How it went. */
struct segue_test_child {
    /** All calls, and those that have to do with files. */
    uint64_t call_count;
    uint64_t file_call_count;
    /** The intrusion came about. */
    bool intruded;
    /** Name of the call that it came to; "" where none. */
    const char *call;
    /** It was killed; else its exit code. */
    bool killed;
    int exit_code;
};

/** Whether this machine can do it. */
bool segue_test_can_trace(void);

/** Runs `body` in a child, whose exit code is what it returns. False (and says why on stderr) where
 *  that does not work. */
bool segue_test_run_child(int (*body)(void *context), void *context,
                          const struct segue_test_system_calls *calls,
                          struct segue_test_child *out_child);

#endif // SEGUE_TEST_PREPACK_SYSTEM_CALLS_H
