// SPDX-License-Identifier: Apache-2.0
/**
 * @file report.h
 * One-line errors on stderr, exit codes, and text that is safe to print: names in a trace come from
 * strangers and could hold terminal escapes.
 */
#ifndef SEGUE_REPLAY_REPORT_H
#define SEGUE_REPLAY_REPORT_H

#include "command.h"

#include <segue/base.h>
#include <stdio.h>

/** What was being done when a status came back; the same status means different exit codes. */
enum segue_replay_phase {
    /** Opening the device or a kernel plugin. */
    SEGUE_REPLAY_PHASE_DEVICE,
    /** Reading the trace, recording it, running it. */
    SEGUE_REPLAY_PHASE_TRACE,
    /** Writing results. */
    SEGUE_REPLAY_PHASE_OUTPUT,
};

/** Prints "segue-replay: COMMAND: MESSAGE; see …". @return SEGUE_REPLAY_USAGE. */
int segue_replay_usage(const char *command, const char *format, ...) SEGUE_PRINTF(2, 3);

/** Prints "segue-replay: MESSAGE". @return `exit_code`. */
int segue_replay_error(int exit_code, const char *format, ...) SEGUE_PRINTF(2, 3);

/** Prints "segue-replay: SUBJECT: MESSAGE" with the calling thread's last error. @return the exit
 *  code that stands for `status` in `phase`. */
int segue_replay_fail(segue_status status, enum segue_replay_phase phase, const char *subject);

/** The exit code alone. */
int segue_replay_exit_code(segue_status status, enum segue_replay_phase phase);

/** The last error's message, or the status name where there is none. */
const char *segue_replay_message(segue_status status);

/** Replaces control characters by '?', in place. @return text. */
char *segue_replay_clean(char *text);

/** Copies `text` cleaned and cut to `size` bytes. @return buffer. */
char *segue_replay_copy_clean(char *buffer, size_t size, const char *text);

/** "812 ns", "8.12 us", "1.20 ms", "3.41 s". @return buffer. */
char *segue_replay_format_ns(char *buffer, size_t size, double time_ns);

/** "812 B", "1.5 KiB", … @return buffer. */
char *segue_replay_format_bytes(char *buffer, size_t size, double size_bytes);

#endif // SEGUE_REPLAY_REPORT_H
