// SPDX-License-Identifier: Apache-2.0
// segue-cache: looks into, checks and tidies folders of packed weights. See segue-cache(1).
#include "command.h"

#include <stddef.h>
#include <string.h>

#define FIELD(name) offsetof(struct segue_cache_options, name)

#define COMMON_OPTIONS                                                                 \
    {"json", 0, SEGUE_CACHE_FLAG, FIELD(json), NULL, "print JSON instead of text"},    \
        {"shared",      0,    SEGUE_CACHE_FLAG,                                        \
         FIELD(shared), NULL, "accept a folder and files that other users may write"}, \
        {"verbose",      'v',  SEGUE_CACHE_FLAG,                                       \
         FIELD(verbose), NULL, "say on stderr which files are left out, and why"},     \
    {                                                                                  \
        "help", 'h', SEGUE_CACHE_FLAG, FIELD(help), NULL, "print this text"            \
    }

#define MODEL_OPTION(text)                                         \
    {                                                              \
        "model", 'm', SEGUE_CACHE_TEXT, FIELD(model), "NAME", text \
    }

const struct segue_cache_command segue_cache_commands[] = {
    {
        .name = "list",
        .summary = "show the packed tensors in a folder",
        .arguments = "DIR",
        .path_count = 1,
        .options = {COMMON_OPTIONS, MODEL_OPTION("only those of this model")},
        .execute = segue_cache_list,
    },
    {
        .name = "verify",
        .summary = "read everything and hold it against its checksums",
        .arguments = "DIR",
        .path_count = 1,
        .options = {COMMON_OPTIONS},
        .execute = segue_cache_verify,
    },
    {
        .name = "diff",
        .summary = "compare the packed tensors in two folders",
        .arguments = "DIR OTHER",
        .path_count = 2,
        .options = {COMMON_OPTIONS, MODEL_OPTION("only those of this model")},
        .execute = segue_cache_diff,
    },
    {
        .name = "gc",
        .summary = "remove leftovers and what is not wanted, and merge the rest",
        .arguments = "DIR",
        .path_count = 1,
        .options = {COMMON_OPTIONS,
                    MODEL_OPTION("remove the tensors of this model"),
                    {"size-limit", 's', SEGUE_CACHE_SIZE, FIELD(size_limit_bytes), "SIZE",
                     "remove the least recently used ones beyond SIZE bytes (K, M, G, T)"},
                    {"max-age", 'a', SEGUE_CACHE_AGE, FIELD(max_age_s), "TIME",
                     "remove those not used for TIME seconds (m, h, d)"},
                    {"dry-run", 'n', SEGUE_CACHE_FLAG, FIELD(dry_run), NULL,
                     "only say what would be removed"}},
        .execute = segue_cache_gc,
    },
    {
        .name = "bench",
        .summary = "measure how fast a folder is read, checked and uploaded",
        .arguments = "DIR",
        .path_count = 1,
        .options = {COMMON_OPTIONS,
                    {"device", 'd', SEGUE_CACHE_TEXT, FIELD(device_uri), "URI",
                     "also upload to this device: auto, cuda://N or soft://"},
                    {"iterations", 'n', SEGUE_CACHE_NUMBER, FIELD(iterations), "N",
                     "measured passes (default 3)"},
                    {"verify", 0, SEGUE_CACHE_VERIFICATION, FIELD(verification), "MODE",
                     "sampled (the default), full or off"}},
        .execute = segue_cache_bench,
    },
    {0},
};

static void print_help(void)
{
    fputs("Usage: segue-cache COMMAND [OPTION]... DIR\n\n"
          "Looks after folders of packed weights.\n\nCommands:\n",
          stdout);
    for (const struct segue_cache_command *command = segue_cache_commands; command->name; command++)
        printf("  %-8s %s\n", command->name, command->summary);
    fputs("\n'segue-cache COMMAND --help' lists a command's options.\n\nOptions:\n"
          "  -h, --help        print this text\n"
          "  -V, --version     print the version\n"
          "      --list-options  print all commands' options, for shell completion\n\n"
          "Exit codes: 0 good, 1 corrupt or different, 2 usage, 3 folder not usable,\n"
          "4 device, memory or output not available.\n",
          stdout);
}

static void list_options(void)
{
    for (const struct segue_cache_command *command = segue_cache_commands; command->name;
         command++) {
        for (const struct segue_cache_option *option = command->options; option->name; option++) {
            const char *kind = option->kind == SEGUE_CACHE_FLAG ? "flag"
                               : option->kind == SEGUE_CACHE_VERIFICATION
                                   ? "choice:sampled|full|off"
                               : option->kind == SEGUE_CACHE_TEXT ? "text"
                                                                  : "number";
            printf("%s --%s %s\n", command->name, option->name, kind);
            if (option->letter != 0)
                printf("%s -%c %s\n", command->name, option->letter, kind);
        }
    }
}

/** Output that did not arrive must not look like success. */
static int finish(int exit_code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        const int code = exit_code == SEGUE_CACHE_GOOD ? SEGUE_CACHE_UNAVAILABLE : exit_code;
        return segue_cache_error(code, "stdout: cannot be written");
    }
    return exit_code;
}

static int execute(const struct segue_cache_command *command, int argc, char **argv)
{
    struct segue_cache_options options;
    const int result = segue_cache_parse(command, argc, argv, &options);
    if (result != SEGUE_CACHE_GOOD)
        return result;
    if (options.help) {
        segue_cache_print_help(command);
        return SEGUE_CACHE_GOOD;
    }
    return command->execute(&options);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return segue_cache_usage(NULL, "no command given");
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_help();
        return finish(SEGUE_CACHE_GOOD);
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        printf("segue-cache %d.%d.%d\n", SEGUE_VERSION_MAJOR, SEGUE_VERSION_MINOR,
               SEGUE_VERSION_PATCH);
        return finish(SEGUE_CACHE_GOOD);
    }
    if (strcmp(word, "--list-options") == 0) {
        list_options();
        return finish(SEGUE_CACHE_GOOD);
    }
    for (const struct segue_cache_command *command = segue_cache_commands; command->name;
         command++) {
        if (strcmp(command->name, word) == 0)
            return finish(execute(command, argc - 1, argv + 1));
    }
    return segue_cache_usage(NULL, "unknown %s '%s'", word[0] == '-' ? "option" : "command", word);
}
