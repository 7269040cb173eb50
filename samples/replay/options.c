// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include "report.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 16
#define MAX_WORD 32

// What getopt_long returns for the option at index i, clear of every short option's letter.
#define LONG_OPTION_BASE 256

/** Levenshtein distance; words longer than MAX_WORD count as far away. */
static uint32_t edit_distance(const char *left, const char *right)
{
    const size_t left_length = strlen(left);
    const size_t right_length = strlen(right);
    if (left_length > MAX_WORD || right_length > MAX_WORD)
        return UINT32_MAX;
    uint32_t row[MAX_WORD + 1];
    for (uint32_t j = 0; j <= right_length; ++j)
        row[j] = j;
    for (uint32_t i = 1; i <= left_length; ++i) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= right_length; ++j) {
            const uint32_t replaced = diagonal + (left[i - 1] != right[j - 1]);
            diagonal = row[j];
            const uint32_t shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            row[j] = replaced < shorter + 1 ? replaced : shorter + 1;
        }
    }
    return row[right_length];
}

const char *segue_replay_nearest(const char *word, const char *const *candidates, uint32_t count)
{
    const char *nearest = NULL;
    uint32_t best = 3;
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t distance = edit_distance(word, candidates[i]);
        if (distance < best) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}

static int refuse_unknown(const struct segue_replay_command *command, const char *word)
{
    const char *names[MAX_OPTIONS];
    for (uint32_t i = 0; i < command->option_count; ++i)
        names[i] = command->options[i].name;
    char name[MAX_WORD + 1] = "";
    if (strncmp(word, "--", 2) == 0)
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *nearest = segue_replay_nearest(name, names, command->option_count);
    return nearest ? segue_replay_usage(command->name,
                                        "unknown or ambiguous option '%s'; did you mean '--%s'?",
                                        word, nearest)
                   : segue_replay_usage(command->name, "unknown or ambiguous option '%s'", word);
}

static bool parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *out_number)
{
    if (text[0] < '0' || text[0] > '9')
        return false;
    char *end = NULL;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || number < min || number > max)
        return false;
    *out_number = (uint32_t)number;
    return true;
}

static void join_choices(const struct segue_replay_option *option, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; option->choices[i] && used < size; ++i)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%s", i ? "|" : "", option->choices[i]);
}

static int set_choice(const struct segue_replay_command *command,
                      const struct segue_replay_option *option, const char *value, uint32_t *field)
{
    for (uint32_t i = 0; option->choices[i]; ++i) {
        if (strcmp(option->choices[i], value) == 0) {
            *field = i;
            return SEGUE_REPLAY_GOOD;
        }
    }
    char choices[128];
    join_choices(option, choices, sizeof(choices));
    return segue_replay_usage(command->name, "--%s '%s' is not one of %s", option->name, value,
                              choices);
}

static int set_option(const struct segue_replay_command *command,
                      const struct segue_replay_option *option, const char *value,
                      struct segue_replay_options *options)
{
    void *field = (char *)options + option->field;
    switch (option->kind) {
    case SEGUE_REPLAY_FLAG:
        *(bool *)field = true;
        return SEGUE_REPLAY_GOOD;
    case SEGUE_REPLAY_TEXT:
    case SEGUE_REPLAY_FILE:
        if (value[0] == '\0')
            return segue_replay_usage(command->name, "--%s is empty", option->name);
        *(const char **)field = value;
        return SEGUE_REPLAY_GOOD;
    case SEGUE_REPLAY_CHOICE:
        return set_choice(command, option, value, field);
    case SEGUE_REPLAY_NUMBER:
        if (parse_number(value, option->min, option->max, field))
            return SEGUE_REPLAY_GOOD;
        return segue_replay_usage(command->name, "--%s '%s' is not a number from %u to %u",
                                  option->name, value, option->min, option->max);
    case SEGUE_REPLAY_PLUGIN:
        if (options->kernel_plugin_count == SEGUE_REPLAY_MAX_KERNEL_PLUGINS)
            return segue_replay_usage(command->name, "--%s '%s' is more than the %d that fit",
                                      option->name, value, SEGUE_REPLAY_MAX_KERNEL_PLUGINS);
        options->kernel_plugins[options->kernel_plugin_count++] = value;
        return SEGUE_REPLAY_GOOD;
    case SEGUE_REPLAY_SETTING:
        if (options->setting_count == SEGUE_REPLAY_MAX_SETTINGS)
            return segue_replay_usage(command->name, "--%s '%s' is more than the %d that fit",
                                      option->name, value, SEGUE_REPLAY_MAX_SETTINGS);
        if (strchr(value, '=') == NULL || value[0] == '=')
            return segue_replay_usage(command->name, "--%s '%s' is not of the form NAME=VALUE",
                                      option->name, value);
        options->settings[options->setting_count++] = value;
        return SEGUE_REPLAY_GOOD;
    }
    return SEGUE_REPLAY_USAGE;
}

/** Fills getopt_long's two descriptions of the command's options. */
static void describe_options(const struct segue_replay_command *command,
                             char letters[2 * MAX_OPTIONS + 2],
                             struct option long_options[MAX_OPTIONS + 1])
{
    size_t used = 0;
    // With the colon a missing argument is told apart from an unknown option.
    letters[used++] = ':';
    for (uint32_t i = 0; i < command->option_count; ++i) {
        const struct segue_replay_option *option = &command->options[i];
        const int has_argument =
            option->kind == SEGUE_REPLAY_FLAG ? no_argument : required_argument;
        long_options[i] =
            (struct option){option->name, has_argument, NULL, LONG_OPTION_BASE + (int)i};
        if (!option->letter)
            continue;
        letters[used++] = option->letter;
        if (has_argument == required_argument)
            letters[used++] = ':';
    }
    letters[used] = '\0';
    long_options[command->option_count] = (struct option){0};
}

static const struct segue_replay_option *find_option(const struct segue_replay_command *command,
                                                     int key)
{
    if (key >= LONG_OPTION_BASE)
        return &command->options[key - LONG_OPTION_BASE];
    for (uint32_t i = 0; i < command->option_count; ++i) {
        if (command->options[i].letter == key)
            return &command->options[i];
    }
    return NULL;
}

/** The word that getopt_long has just refused; a letter may be one of several in its word. */
static int refuse_option(const struct segue_replay_command *command, int key, char **argv)
{
    char letter[3] = {'-', (char)optopt, '\0'};
    const bool is_letter = optopt > 0 && optopt < LONG_OPTION_BASE;
    const char *word = is_letter ? letter : argv[optind - 1];
    if (key == ':')
        return segue_replay_usage(command->name, "option '%s' needs an argument", word);
    // A known long option given as --flag=value also ends here.
    if (optopt >= LONG_OPTION_BASE)
        return segue_replay_usage(command->name, "option '--%s' takes no argument",
                                  command->options[optopt - LONG_OPTION_BASE].name);
    return refuse_unknown(command, word);
}

int segue_replay_parse_options(const struct segue_replay_command *command, int argc, char **argv,
                               struct segue_replay_options *out_options)
{
    char letters[2 * MAX_OPTIONS + 2];
    struct option long_options[MAX_OPTIONS + 1];
    if (command->option_count > MAX_OPTIONS)
        return segue_replay_usage(command->name, "has too many options to read");
    describe_options(command, letters, long_options);

    struct segue_replay_options options = command->defaults;
    opterr = 0;
    // 0 and not 1: glibc then also forgets its position inside the last word.
    optind = 0;
    for (;;) {
        const int key = getopt_long(argc, argv, letters, long_options, NULL);
        if (key == -1)
            break;
        if (key == '?' || key == ':')
            return refuse_option(command, key, argv);
        const int result = set_option(command, find_option(command, key), optarg, &options);
        if (result != SEGUE_REPLAY_GOOD)
            return result;
    }
    if (!options.help) {
        if (optind == argc)
            return segue_replay_usage(command->name, "no TRACE given");
        if (optind + 1 < argc)
            return segue_replay_usage(command->name, "'%s' is one argument too many",
                                      argv[optind + 1]);
        options.trace_path = argv[optind];
    }
    *out_options = options;
    return SEGUE_REPLAY_GOOD;
}

void segue_replay_print_command_help(const struct segue_replay_command *command, FILE *stream)
{
    fprintf(stream, "Usage: segue-replay %s [OPTION]... TRACE\n\n%s\n\nOptions:\n", command->name,
            command->description);
    for (uint32_t i = 0; i < command->option_count; ++i) {
        const struct segue_replay_option *option = &command->options[i];
        char choices[128];
        const char *argument = option->argument;
        if (option->choices) {
            join_choices(option, choices, sizeof(choices));
            argument = choices;
        }
        char letter[8] = "    ";
        if (option->letter)
            snprintf(letter, sizeof(letter), "-%c, ", option->letter);
        char name[160];
        snprintf(name, sizeof(name), "--%s%s%s", option->name, argument ? " " : "",
                 argument ? argument : "");
        fprintf(stream, "  %s%-28s %s\n", letter, name, option->help);
    }
    fputs("\nExit codes: 0 good, 1 verification failed, 2 usage, 3 invalid trace,\n"
          "4 device, kernel, memory or output file not available.\n",
          stream);
}

void segue_replay_list_options(FILE *stream)
{
    static const char *const kinds[] = {
        [SEGUE_REPLAY_FLAG] = "flag",       [SEGUE_REPLAY_TEXT] = "text",
        [SEGUE_REPLAY_FILE] = "file",       [SEGUE_REPLAY_CHOICE] = "choice",
        [SEGUE_REPLAY_NUMBER] = "number",   [SEGUE_REPLAY_PLUGIN] = "file",
        [SEGUE_REPLAY_SETTING] = "setting",
    };
    for (uint32_t c = 0; c < segue_replay_command_count; ++c) {
        const struct segue_replay_command *command = &segue_replay_commands[c];
        for (uint32_t i = 0; i < command->option_count; ++i) {
            const struct segue_replay_option *option = &command->options[i];
            char choices[128] = "";
            if (option->choices)
                join_choices(option, choices, sizeof(choices));
            const char *kind = kinds[option->kind];
            const char *colon = option->choices ? ":" : "";
            fprintf(stream, "%s --%s %s%s%s\n", command->name, option->name, kind, colon, choices);
            if (option->letter)
                fprintf(stream, "%s -%c %s%s%s\n", command->name, option->letter, kind, colon,
                        choices);
        }
    }
}
