// SPDX-License-Identifier: Apache-2.0
/**
 * @file command.h
 * The commands of segue-cache and their options, in tables that parsing, --help and --list-options
 * read; and what all commands print and return.
 */
#ifndef SEGUE_CACHE_COMMAND_H
#define SEGUE_CACHE_COMMAND_H

#include <jansson.h>
#include <segue/packed_cache.h>
#include <stdio.h>

/** What the process returns. Documented in segue-cache(1); scripts rely on it. */
enum segue_cache_exit {
    SEGUE_CACHE_GOOD = 0,
    /** Something is corrupt, or two folders differ. */
    SEGUE_CACHE_FAILED = 1,
    SEGUE_CACHE_USAGE = 2,
    /** The folder is not there, not safe, or cannot be read. */
    SEGUE_CACHE_INVALID = 3,
    SEGUE_CACHE_UNAVAILABLE = 4,
};

/** The values of all options of all commands. Strings belong to argv. */
struct segue_cache_options {
    /** One folder; two for `diff`. */
    const char *paths[2];
    uint32_t path_count;
    const char *model;
    const char *device_uri;
    uint64_t size_limit_bytes;
    uint64_t max_age_s;
    uint32_t iterations;
    /** A value of enum segue_packed_verification. */
    uint32_t verification;
    bool json;
    bool shared;
    bool dry_run;
    bool verbose;
    bool help;
};

enum segue_cache_option_kind {
    /** Sets a bool. */
    SEGUE_CACHE_FLAG,
    /** Sets a const char *. */
    SEGUE_CACHE_TEXT,
    /** A decimal number from 1 to 1000000; sets a uint32_t. */
    SEGUE_CACHE_NUMBER,
    /** A number of bytes, with K, M, G or T behind it for powers of 1024; sets a uint64_t. */
    SEGUE_CACHE_SIZE,
    /** A number of seconds, with m, h or d behind it; sets a uint64_t. */
    SEGUE_CACHE_AGE,
    /** sampled, full or off; sets a uint32_t. */
    SEGUE_CACHE_VERIFICATION,
};

/** One option. */
struct segue_cache_option {
    const char *name;
    /** 0: no short form. */
    char letter;
    enum segue_cache_option_kind kind;
    /** offsetof the field in segue_cache_options. */
    size_t field;
    const char *argument;
    const char *help;
};

#define SEGUE_CACHE_MAX_OPTIONS 10

/** One command. */
struct segue_cache_command {
    const char *name;
    const char *summary;
    /** What stands behind the options. */
    const char *arguments;
    uint32_t path_count;
    /** Ends at the first without a name. */
    struct segue_cache_option options[SEGUE_CACHE_MAX_OPTIONS];
    /** Returns a segue_cache_exit; has said why on stderr unless it is SEGUE_CACHE_GOOD. */
    int (*execute)(const struct segue_cache_options *options);
};

/** All commands; the last one has no name. */
extern const struct segue_cache_command segue_cache_commands[];

/** The commands' work. */
int segue_cache_list(const struct segue_cache_options *options);
int segue_cache_verify(const struct segue_cache_options *options);
int segue_cache_diff(const struct segue_cache_options *options);
int segue_cache_gc(const struct segue_cache_options *options);
int segue_cache_bench(const struct segue_cache_options *options);

/** Reads a command's part of the command line. @return SEGUE_CACHE_GOOD or SEGUE_CACHE_USAGE. */
int segue_cache_parse(const struct segue_cache_command *command, int argc, char **argv,
                      struct segue_cache_options *out_options);
/** Prints a command's --help. */
void segue_cache_print_help(const struct segue_cache_command *command);
/** "sampled", "full" and "off", by value. */
extern const char *const segue_cache_verifications[3];

/** Prints "segue-cache: COMMAND: MESSAGE; see …". @return SEGUE_CACHE_USAGE. */
int segue_cache_usage(const char *command, const char *format, ...) SEGUE_PRINTF(2, 3);
/** Prints "segue-cache: MESSAGE", cleaned of control characters. @return `exit_code`. */
int segue_cache_error(int exit_code, const char *format, ...) SEGUE_PRINTF(2, 3);
/** Prints the last error of a status. @return the exit code that stands for it. */
int segue_cache_fail(segue_status status);

/** Opens paths[at], read only unless `writes`. @return SEGUE_CACHE_GOOD, or has said why. */
int segue_cache_open(const struct segue_cache_options *options, uint32_t at, bool writes,
                     segue_packed_cache **out_cache);

/** 32 hexadecimal digits. @return buffer. */
char *segue_cache_format_digest(char buffer[33], const struct segue_packed_digest *digest);
/** "812 B", "1.5 KiB", … @return buffer. */
char *segue_cache_format_bytes(char buffer[32], uint64_t size_bytes);
/** Prints and gives up a JSON value; NULL: memory ran out. @return a segue_cache_exit. */
int segue_cache_print_json(json_t *root);
/** A string that need not be UTF-8: bytes that are not become '?'. */
json_t *segue_cache_json_text(const char *text);

#endif // SEGUE_CACHE_COMMAND_H
