// SPDX-License-Identifier: Apache-2.0
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

// What getopt_long returns for the option at index i, clear of every short option's letter.
#define LONG_OPTION_BASE 256

const char *const segue_cache_verifications[3] = {"sampled", "full", "off"};

/** A decimal number with one of `suffixes` behind it, which multiplies by the factor at its place.
 *  False for anything else, and for what does not fit. */
static bool parse_scaled(const char *text, const char *suffixes, const uint64_t *factors,
                         uint64_t *out_number)
{
    if (text[0] < '0' || text[0] > '9')
        return false;
    char *end = NULL;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    uint64_t factor = 1;
    const char *suffix = *end != '\0' ? strchr(suffixes, *end) : NULL;
    if (suffix != NULL) {
        factor = factors[suffix - suffixes];
        end++;
    }
    if (errno != 0 || *end != '\0' || number > UINT64_MAX / factor)
        return false;
    *out_number = number * factor;
    return true;
}

static int set_number(const struct segue_cache_command *command,
                      const struct segue_cache_option *option, const char *value, void *field)
{
    static const uint64_t sizes[] = {1u << 10, 1u << 20, 1u << 30, UINT64_C(1) << 40};
    static const uint64_t ages[] = {60, 3600, 86400};
    uint64_t number = 0;
    bool valid;
    switch (option->kind) {
    case SEGUE_CACHE_SIZE:
        valid = parse_scaled(value, "KMGT", sizes, &number) && number != 0;
        break;
    case SEGUE_CACHE_AGE:
        valid = parse_scaled(value, "mhd", ages, &number) && number != 0;
        break;
    default:
        valid = parse_scaled(value, "", NULL, &number) && number != 0 && number <= 1000000;
        break;
    }
    if (!valid)
        return segue_cache_usage(command->name, "--%s '%s' is not a %s", option->name, value,
                                 option->kind == SEGUE_CACHE_NUMBER ? "number from 1 to 1000000"
                                 : option->kind == SEGUE_CACHE_SIZE
                                     ? "size above 0, such as 500M or 20G"
                                     : "time above 0, such as 3600 or 30d");
    if (option->kind == SEGUE_CACHE_NUMBER)
        *(uint32_t *)field = (uint32_t)number;
    else
        *(uint64_t *)field = number;
    return SEGUE_CACHE_GOOD;
}

static int set_verification(const struct segue_cache_command *command, const char *value,
                            uint32_t *field)
{
    for (uint32_t i = 0; i < 3; i++) {
        if (strcmp(segue_cache_verifications[i], value) == 0) {
            *field = i;
            return SEGUE_CACHE_GOOD;
        }
    }
    return segue_cache_usage(command->name, "--verify '%s' is not one of sampled|full|off", value);
}

static int set_option(const struct segue_cache_command *command,
                      const struct segue_cache_option *option, const char *value,
                      struct segue_cache_options *options)
{
    void *field = (char *)options + option->field;
    switch (option->kind) {
    case SEGUE_CACHE_FLAG:
        *(bool *)field = true;
        return SEGUE_CACHE_GOOD;
    case SEGUE_CACHE_TEXT:
        if (value[0] == '\0')
            return segue_cache_usage(command->name, "--%s is empty", option->name);
        *(const char **)field = value;
        return SEGUE_CACHE_GOOD;
    case SEGUE_CACHE_VERIFICATION:
        return set_verification(command, value, field);
    case SEGUE_CACHE_NUMBER:
    case SEGUE_CACHE_SIZE:
    case SEGUE_CACHE_AGE:
        break;
    }
    return set_number(command, option, value, field);
}

/** getopt's two forms of a command's options. */
static void make_tables(const struct segue_cache_command *command, char *letters,
                        struct option *longs)
{
    *letters++ = '+';
    *letters++ = ':';
    for (uint32_t i = 0; command->options[i].name != NULL; i++) {
        const struct segue_cache_option *option = &command->options[i];
        const bool takes_value = option->kind != SEGUE_CACHE_FLAG;
        if (option->letter != 0) {
            *letters++ = option->letter;
            if (takes_value)
                *letters++ = ':';
        }
        longs[i] = (struct option){option->name, takes_value ? required_argument : no_argument,
                                   NULL, LONG_OPTION_BASE + (int)i};
    }
    *letters = '\0';
}

static const struct segue_cache_option *find_option(const struct segue_cache_command *command,
                                                    int code)
{
    if (code >= LONG_OPTION_BASE)
        return &command->options[code - LONG_OPTION_BASE];
    for (const struct segue_cache_option *option = command->options; option->name; option++) {
        if (option->letter == code)
            return option;
    }
    return NULL;
}

static int take_paths(const struct segue_cache_command *command, int count, char **paths,
                      struct segue_cache_options *options)
{
    for (int i = 0; i < count; i++) {
        if (options->path_count == command->path_count)
            return segue_cache_usage(command->name, "'%s' is one argument too many", paths[i]);
        options->paths[options->path_count++] = paths[i];
    }
    if (options->path_count < command->path_count && !options->help)
        return segue_cache_usage(command->name, "%s is needed", command->arguments);
    return SEGUE_CACHE_GOOD;
}

int segue_cache_parse(const struct segue_cache_command *command, int argc, char **argv,
                      struct segue_cache_options *out_options)
{
    struct segue_cache_options options = {.iterations = 3};
    char letters[2 * SEGUE_CACHE_MAX_OPTIONS + 3];
    struct option longs[SEGUE_CACHE_MAX_OPTIONS + 1] = {0};
    make_tables(command, letters, longs);
    int result = SEGUE_CACHE_GOOD;
    optind = 0;
    while (result == SEGUE_CACHE_GOOD && optind < argc) {
        const int before = optind == 0 ? 1 : optind;
        const int code = getopt_long(argc, argv, letters, longs, NULL);
        if (code == -1 && (optind >= argc || strcmp(argv[optind - 1], "--") == 0)) {
            result = take_paths(command, argc - optind, argv + optind, &options);
            break;
        }
        if (code == -1) {
            // Options may stand behind folders, too.
            if (options.path_count == command->path_count)
                return segue_cache_usage(command->name, "'%s' is one argument too many",
                                         argv[optind]);
            options.paths[options.path_count++] = argv[optind++];
            continue;
        }
        if (code == ':')
            return segue_cache_usage(command->name, "%s needs an argument", argv[before]);
        const struct segue_cache_option *option = code == '?' ? NULL : find_option(command, code);
        if (option == NULL)
            return segue_cache_usage(command->name, "unknown, ambiguous or malformed option '%s'",
                                     argv[before]);
        result = set_option(command, option, optarg, &options);
    }
    if (result == SEGUE_CACHE_GOOD)
        result = take_paths(command, 0, NULL, &options);
    if (result == SEGUE_CACHE_GOOD)
        *out_options = options;
    return result;
}

void segue_cache_print_help(const struct segue_cache_command *command)
{
    printf("Usage: segue-cache %s [OPTION]... %s\n\n%c%s.\n\nOptions:\n", command->name,
           command->arguments, command->summary[0] - 'a' + 'A', command->summary + 1);
    for (const struct segue_cache_option *option = command->options; option->name; option++) {
        char left[64];
        (void)snprintf(left, sizeof(left), "%c%c%s --%s%s%s", option->letter ? '-' : ' ',
                       option->letter ? option->letter : ' ', option->letter ? "," : " ",
                       option->name, option->argument ? " " : "",
                       option->argument ? option->argument : "");
        printf("  %-24s %s\n", left, option->help);
    }
}
