// SPDX-License-Identifier: Apache-2.0
// segue-replay: replays, checks, measures and shows Segue traces. See segue-replay(1).
#include "options.h"
#include "report.h"

#include <segue/base.h>
#include <string.h>

static void print_help(FILE *stream)
{
    fputs("Usage: segue-replay COMMAND [OPTION]... TRACE\n\n"
          "Replays traces of Segue command buffers.\n\nCommands:\n",
          stream);
    for (uint32_t i = 0; i < segue_replay_command_count; ++i)
        fprintf(stream, "  %-8s %s\n", segue_replay_commands[i].name,
                segue_replay_commands[i].summary);
    fputs("\n'segue-replay COMMAND --help' lists a command's options.\n\nOptions:\n"
          "  -h, --help        print this text\n"
          "  -V, --version     print the version\n"
          "      --list-options  print all commands' options, for shell completion\n\n"
          "Exit codes: 0 good, 1 verification failed, 2 usage, 3 invalid trace,\n"
          "4 device, kernel, memory or output file not available.\n",
          stream);
}

/** Output that did not arrive must not look like success (a full disk, a closed pipe). */
static int finish(int exit_code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        const int code = exit_code == SEGUE_REPLAY_GOOD ? SEGUE_REPLAY_UNAVAILABLE : exit_code;
        return segue_replay_error(code, "stdout: cannot be written");
    }
    return exit_code;
}

static int refuse_command(const char *word)
{
    const char *names[8];
    const uint32_t count = segue_replay_command_count;
    for (uint32_t i = 0; i < count && i < 8; ++i)
        names[i] = segue_replay_commands[i].name;
    const char *nearest = segue_replay_nearest(word, names, count < 8 ? count : 8);
    const char *what = word[0] == '-' ? "option" : "command";
    if (nearest)
        return segue_replay_usage(NULL, "unknown %s '%s'; did you mean '%s'?", what, word, nearest);
    return segue_replay_usage(NULL, "unknown %s '%s'", what, word);
}

static int execute(const struct segue_replay_command *command, int argc, char **argv)
{
    struct segue_replay_options options;
    const int result = segue_replay_parse_options(command, argc, argv, &options);
    if (result != SEGUE_REPLAY_GOOD)
        return result;
    if (options.help) {
        segue_replay_print_command_help(command, stdout);
        return SEGUE_REPLAY_GOOD;
    }
    return command->execute(&options);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return segue_replay_usage(NULL, "no command given");
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_help(stdout);
        return finish(SEGUE_REPLAY_GOOD);
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        printf("segue-replay %d.%d.%d\n", SEGUE_VERSION_MAJOR, SEGUE_VERSION_MINOR,
               SEGUE_VERSION_PATCH);
        return finish(SEGUE_REPLAY_GOOD);
    }
    if (strcmp(word, "--list-options") == 0) {
        segue_replay_list_options(stdout);
        return finish(SEGUE_REPLAY_GOOD);
    }
    for (uint32_t i = 0; i < segue_replay_command_count; ++i) {
        if (strcmp(segue_replay_commands[i].name, word) == 0)
            return finish(execute(&segue_replay_commands[i], argc - 1, argv + 1));
    }
    return refuse_command(word);
}
