// SPDX-License-Identifier: Apache-2.0
/**
 * @file command.h
 * The commands of segue-replay, and the options that each of them takes. All that the program knows
 * about its command line is in these tables: parsing, --help and --list-options read them.
 */
#ifndef SEGUE_REPLAY_COMMAND_H
#define SEGUE_REPLAY_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What the process returns. Documented in segue-replay(1); scripts rely on it. */
enum segue_replay_exit {
    SEGUE_REPLAY_GOOD = 0,
    SEGUE_REPLAY_FAILED = 1,
    SEGUE_REPLAY_USAGE = 2,
    SEGUE_REPLAY_INVALID_TRACE = 3,
    SEGUE_REPLAY_UNAVAILABLE = 4,
};

#define SEGUE_REPLAY_MAX_KERNEL_PLUGINS 16
#define SEGUE_REPLAY_MAX_SETTINGS 64

/** The values of all options of all commands. Strings belong to argv. */
struct segue_replay_options {
    const char *trace_path;
    const char *device_uri;
    /** `run`: print JSON. */
    bool json;
    bool validate;
    bool verbose;
    bool no_restore;
    bool help;
    /** Choices: indices, which are the values of segue_execution_mode, segue_trace_order,
     *  segue_dump_stage, segue_dump_format and segue_replay_times. */
    uint32_t mode;
    uint32_t order;
    uint32_t stage;
    uint32_t format;
    uint32_t times;
    uint32_t iterations;
    uint32_t warmup;
    uint32_t seeds;
    /** Files to write; NULL: none. */
    const char *outputs_path;
    const char *json_path;
    const char *output_path;
    const char *profile_path;
    const char *timeline_path;
    const char *command_buffer;
    /** Folder of a packed cache; NULL: none. */
    const char *prepack_cache_path;
    const char *kernel_plugins[SEGUE_REPLAY_MAX_KERNEL_PLUGINS];
    uint32_t kernel_plugin_count;
    /** NAME=VALUE each. */
    const char *settings[SEGUE_REPLAY_MAX_SETTINGS];
    uint32_t setting_count;
};

/** Where a report has the durations of commands from. */
enum segue_replay_times {
    /** Measured on a GPU, else modelled. */
    SEGUE_REPLAY_TIMES_AUTO,
    SEGUE_REPLAY_TIMES_MEASURED,
    SEGUE_REPLAY_TIMES_MODELLED,
};

enum segue_replay_option_kind {
    /** No argument; sets a bool. */
    SEGUE_REPLAY_FLAG,
    /** Sets a const char *. */
    SEGUE_REPLAY_TEXT,
    /** The same, and the argument is completed as a file name. */
    SEGUE_REPLAY_FILE,
    /** One of `choices`; sets a uint32_t to its index. */
    SEGUE_REPLAY_CHOICE,
    /** A decimal number in [min, max]; sets a uint32_t. */
    SEGUE_REPLAY_NUMBER,
    /** A file name appended to kernel_plugins. */
    SEGUE_REPLAY_PLUGIN,
    /** NAME=VALUE, appended to settings. */
    SEGUE_REPLAY_SETTING,
};

/** One option of a command. */
struct segue_replay_option {
    const char *name;
    /** 0: no short form. */
    char letter;
    enum segue_replay_option_kind kind;
    /** offsetof the field in segue_replay_options. */
    size_t field;
    /** Name of the argument in --help. */
    const char *argument;
    const char *help;
    /** NULL-terminated. */
    const char *const *choices;
    uint32_t min;
    uint32_t max;
};

/** One command of the program. */
struct segue_replay_command {
    const char *name;
    const char *summary;
    const char *description;
    const struct segue_replay_option *options;
    uint32_t option_count;
    /** What the options are before the command line is read. */
    struct segue_replay_options defaults;
    /** Returns a segue_replay_exit; has said why on stderr unless it is SEGUE_REPLAY_GOOD. */
    int (*execute)(const struct segue_replay_options *options);
};

/** All commands. */
extern const struct segue_replay_command segue_replay_commands[];
extern const uint32_t segue_replay_command_count;

/** The commands' work, one file each. */
int segue_replay_run(const struct segue_replay_options *options);
int segue_replay_check(const struct segue_replay_options *options);
int segue_replay_bench(const struct segue_replay_options *options);
int segue_replay_dump(const struct segue_replay_options *options);
int segue_replay_report(const struct segue_replay_options *options);

#endif // SEGUE_REPLAY_COMMAND_H
