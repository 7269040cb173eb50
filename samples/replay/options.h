// SPDX-License-Identifier: Apache-2.0
/**
 * @file options.h
 * Reads a command's part of the command line, and describes its options.
 */
#ifndef SEGUE_REPLAY_OPTIONS_H
#define SEGUE_REPLAY_OPTIONS_H

#include "command.h"

#include <stdio.h>

/**
 * Reads argv[1] … argv[argc - 1] (argv[0] is the command's name) into `out_options`.
 * @return SEGUE_REPLAY_GOOD, or SEGUE_REPLAY_USAGE after one line on stderr. With --help the trace
 *         may be missing.
 */
int segue_replay_parse_options(const struct segue_replay_command *command, int argc, char **argv,
                               struct segue_replay_options *out_options);

/** Prints a command's --help. */
void segue_replay_print_command_help(const struct segue_replay_command *command, FILE *stream);

/**
 * Prints all options of all commands for shell completion, one a line: command, option, then
 * `flag`, `text`, `number`, `file` or `choice:a|b|c`.
 */
void segue_replay_list_options(FILE *stream);

/** The candidate that `word` most likely means, NULL if none is close. */
const char *segue_replay_nearest(const char *word, const char *const *candidates, uint32_t count);

#endif // SEGUE_REPLAY_OPTIONS_H
