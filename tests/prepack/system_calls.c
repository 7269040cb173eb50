// SPDX-License-Identifier: Apache-2.0
#include "system_calls.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)

/** Calls that have to do with files. */
static const struct {
    long number;
    const char *name;
} file_calls[] = {
    {SYS_read, "read"},          {SYS_pread64, "pread64"},     {SYS_pwrite64, "pwrite64"},
    {SYS_openat, "openat"},      {SYS_close, "close"},         {SYS_fstat, "fstat"},
    {SYS_newfstatat, "fstatat"}, {SYS_fsync, "fsync"},         {SYS_ftruncate, "ftruncate"},
    {SYS_fcntl, "fcntl"},        {SYS_flock, "flock"},         {SYS_renameat2, "renameat2"},
    {SYS_renameat, "renameat"},  {SYS_unlinkat, "unlinkat"},   {SYS_getdents64, "getdents64"},
    {SYS_mkdir, "mkdir"},        {SYS_faccessat, "faccessat"}, {SYS_getrandom, "getrandom"},
};

static const char *file_call_name(long number)
{
    for (size_t i = 0; i < sizeof(file_calls) / sizeof(file_calls[0]); i++) {
        if (file_calls[i].number == number)
            return file_calls[i].name;
    }
    return NULL;
}

bool segue_test_can_trace(void)
{
    const pid_t child = fork();
    if (child == 0)
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1);
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

/** One run as its tracer sees it. */
struct trace {
    pid_t child;
    const struct segue_test_system_calls *calls;
    struct segue_test_child *result;
    /** In a call, between its entry and its exit; which one; and that it is to fail. */
    bool inside;
    bool fails;
    bool dies;
    long failing_number;
};

static void hit(struct trace *trace, const char *name)
{
    trace->result->intruded = true;
    if (trace->result->call[0] == '\0')
        trace->result->call = name;
}

static void on_entry(struct trace *trace)
{
    const struct segue_test_system_calls *calls = trace->calls;
    struct user_regs_struct registers;
    (void)ptrace(PTRACE_GETREGS, trace->child, NULL, &registers);
    const long number = (long)registers.orig_rax;
    const char *name = file_call_name(number);
    trace->result->call_count++;
    trace->result->file_call_count += name != NULL;
    const bool is_nth = trace->result->call_count == calls->nth;
    const bool is_nth_file = name != NULL && trace->result->file_call_count == calls->nth;
    switch (calls->intrusion) {
    case SEGUE_TEST_LEAVE:
        break;
    case SEGUE_TEST_KILL_BEFORE:
        if (is_nth) {
            hit(trace, name != NULL ? name : "?");
            (void)kill(trace->child, SIGKILL);
        }
        break;
    case SEGUE_TEST_KILL_AFTER:
        trace->dies = is_nth;
        break;
    case SEGUE_TEST_FAIL:
    case SEGUE_TEST_FAIL_FOR_EVER:
        if (is_nth_file)
            trace->failing_number = number;
        trace->fails = is_nth_file || (calls->intrusion == SEGUE_TEST_FAIL_FOR_EVER &&
                                       number == trace->failing_number);
        if (trace->fails) {
            hit(trace, name);
            registers.orig_rax = (unsigned long long)-1;
            (void)ptrace(PTRACE_SETREGS, trace->child, NULL, &registers);
        }
        break;
    case SEGUE_TEST_SHORTEN:
        if ((number == SYS_pread64 || number == SYS_pwrite64) && registers.rdx > 1) {
            hit(trace, name);
            registers.rdx = (registers.rdx + 1) / 2;
            (void)ptrace(PTRACE_SETREGS, trace->child, NULL, &registers);
        }
        break;
    }
}

static void on_exit_of_call(struct trace *trace)
{
    if (trace->dies) {
        hit(trace, "?");
        (void)kill(trace->child, SIGKILL);
    }
    if (trace->fails) {
        struct user_regs_struct registers;
        (void)ptrace(PTRACE_GETREGS, trace->child, NULL, &registers);
        registers.rax = (unsigned long long)-trace->calls->error;
        (void)ptrace(PTRACE_SETREGS, trace->child, NULL, &registers);
    }
    trace->dies = false;
    trace->fails = false;
}

/** Lets the child go from stop to stop until it ends. */
static bool follow(struct trace *trace)
{
    int status = 0;
    if (waitpid(trace->child, &status, 0) != trace->child || !WIFSTOPPED(status))
        return false;
    (void)ptrace(PTRACE_SETOPTIONS, trace->child, NULL,
                 (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
    int signal_number = 0;
    for (;;) {
        (void)ptrace(PTRACE_SYSCALL, trace->child, NULL, (void *)(intptr_t)signal_number);
        if (waitpid(trace->child, &status, 0) != trace->child)
            return false;
        signal_number = 0;
        if (WIFEXITED(status) || WIFSIGNALED(status))
            break;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
            signal_number = WSTOPSIG(status);
            continue;
        }
        trace->inside = !trace->inside;
        if (trace->inside)
            on_entry(trace);
        else
            on_exit_of_call(trace);
    }
    trace->result->killed = WIFSIGNALED(status);
    trace->result->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return true;
}

bool segue_test_run_child(int (*body)(void *context), void *context,
                          const struct segue_test_system_calls *calls,
                          struct segue_test_child *out_child)
{
    *out_child = (struct segue_test_child){.call = ""};
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 || raise(SIGSTOP) != 0)
            _exit(255);
        _exit(body(context));
    }
    struct trace trace = {
        .child = child, .calls = calls, .result = out_child, .failing_number = -1};
    if (child > 0 && follow(&trace))
        return true;
    fprintf(stderr, "the child could not be traced: %s\n", strerror(errno));
    return false;
}

#else

bool segue_test_can_trace(void)
{
    return false;
}

bool segue_test_run_child(int (*body)(void *context), void *context,
                          const struct segue_test_system_calls *calls,
                          struct segue_test_child *out_child)
{
    (void)body;
    (void)context;
    (void)calls;
    (void)out_child;
    return false;
}

#endif
