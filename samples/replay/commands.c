// SPDX-License-Identifier: Apache-2.0
#include "command.h"

#define FIELD(name) offsetof(struct segue_replay_options, name)
#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

// In the order of the public enums, so that the index is the value.
static const char *const modes[] = {"auto", "graph", "stream", NULL};
static const char *const stages[] = {"segments", "dag", "graph", NULL};
static const char *const formats[] = {"text", "json", "dot", NULL};

// Every command replays on a device, so these come first in all lists.
#define DEVICE_OPTIONS                                                                    \
    {                                                                                     \
        .name = "device",                                                                 \
        .letter = 'd',                                                                    \
        .kind = SEGUE_REPLAY_TEXT,                                                        \
        .field = FIELD(device_uri),                                                       \
        .argument = "URI",                                                                \
        .help = "auto (the default), cuda://N or soft://",                                \
    },                                                                                    \
        {                                                                                 \
            .name = "kernels",                                                            \
            .letter = 'k',                                                                \
            .kind = SEGUE_REPLAY_PLUGIN,                                                  \
            .field = FIELD(kernel_plugins),                                               \
            .argument = "PLUGIN",                                                         \
            .help = "shared library with reference kernels for soft://; may be repeated", \
        },                                                                                \
        {                                                                                 \
            .name = "verbose",                                                            \
            .letter = 'v',                                                                \
            .kind = SEGUE_REPLAY_FLAG,                                                    \
            .field = FIELD(verbose),                                                      \
            .help = "print the device's log on stderr",                                   \
        },                                                                                \
    {                                                                                     \
        .name = "help", .letter = 'h', .kind = SEGUE_REPLAY_FLAG, .field = FIELD(help),   \
        .help = "print this text",                                                        \
    }

#define MODE_OPTION                                                                         \
    {                                                                                       \
        .name = "mode", .letter = 'm', .kind = SEGUE_REPLAY_CHOICE, .field = FIELD(mode),   \
        .argument = "MODE", .help = "how command buffers run; auto: as they were recorded", \
        .choices = modes,                                                                   \
    }

#define ITERATIONS_OPTION(text)                                                              \
    {                                                                                        \
        .name = "iterations", .letter = 'n', .kind = SEGUE_REPLAY_NUMBER,                    \
        .field = FIELD(iterations), .argument = "N", .help = text, .min = 1, .max = 1000000, \
    }

static const struct segue_replay_option run_options[] = {
    DEVICE_OPTIONS,
    MODE_OPTION,
    ITERATIONS_OPTION("replay N times, buffers restored before each (default 1)"),
    {
        .name = "outputs",
        .letter = 'o',
        .kind = SEGUE_REPLAY_FILE,
        .field = FIELD(outputs_path),
        .argument = "FILE",
        .help = "write what the trace expects, or all written buffers, as safetensors",
    },
    {
        .name = "json",
        .kind = SEGUE_REPLAY_FLAG,
        .field = FIELD(json),
        .help = "print one JSON object instead of tables",
    },
    {
        .name = "validate",
        .kind = SEGUE_REPLAY_FLAG,
        .field = FIELD(validate),
        .help = "record with full validation (hazards fail the run)",
    },
};

static const struct segue_replay_option check_options[] = {
    DEVICE_OPTIONS,
    {
        .name = "seeds",
        .letter = 's',
        .kind = SEGUE_REPLAY_NUMBER,
        .field = FIELD(seeds),
        .argument = "N",
        .help = "random orders to try in each mode (default 8)",
        .max = 100000,
    },
};

static const struct segue_replay_option bench_options[] = {
    DEVICE_OPTIONS,
    MODE_OPTION,
    ITERATIONS_OPTION("measured iterations (default 100)"),
    {
        .name = "warmup",
        .letter = 'w',
        .kind = SEGUE_REPLAY_NUMBER,
        .field = FIELD(warmup),
        .argument = "N",
        .help = "iterations before them that do not count (default 10)",
        .max = 1000000,
    },
    {
        .name = "no-restore",
        .kind = SEGUE_REPLAY_FLAG,
        .field = FIELD(no_restore),
        .help = "start each iteration from what the last one left in the buffers",
    },
    {
        .name = "json",
        .kind = SEGUE_REPLAY_FILE,
        .field = FIELD(json_path),
        .argument = "FILE",
        .help = "write Google Benchmark JSON; - is stdout, without the table",
    },
};

static const struct segue_replay_option dump_options[] = {
    DEVICE_OPTIONS,
    {
        .name = "stage",
        .letter = 's',
        .kind = SEGUE_REPLAY_CHOICE,
        .field = FIELD(stage),
        .argument = "STAGE",
        .help = "what was recorded, its order, or what the driver got (default graph)",
        .choices = stages,
    },
    {
        .name = "format",
        .letter = 'f',
        .kind = SEGUE_REPLAY_CHOICE,
        .field = FIELD(format),
        .argument = "FORMAT",
        .help = "output format (default text); dot is for dag and graph",
        .choices = formats,
    },
    {
        .name = "command-buffer",
        .letter = 'c',
        .kind = SEGUE_REPLAY_TEXT,
        .field = FIELD(command_buffer),
        .argument = "NAME",
        .help = "only this one; needed for json and dot where there are several",
    },
    {
        .name = "output",
        .letter = 'o',
        .kind = SEGUE_REPLAY_FILE,
        .field = FIELD(output_path),
        .argument = "FILE",
        .help = "write there instead of on stdout",
    },
};

const struct segue_replay_command segue_replay_commands[] = {
    {
        .name = "run",
        .summary = "replay a trace and verify what it expects",
        .description = "Replays TRACE, verifies its expected outputs and prints sizes and times.",
        .options = run_options,
        .option_count = COUNT(run_options),
        .defaults = {.device_uri = "auto", .iterations = 1},
        .execute = segue_replay_run,
    },
    {
        .name = "check",
        .summary = "compare a serial reference with graph and stream mode in random orders",
        .description =
            "Runs TRACE one command after the other, then as a graph and as a stream in N random\n"
            "legal orders, and compares all written bytes. Also reports hazards: by full\n"
            "validation, and on soft:// by the driver's static check of every graph.",
        .options = check_options,
        .option_count = COUNT(check_options),
        .defaults = {.device_uri = "auto", .seeds = 8},
        .execute = segue_replay_check,
    },
    {
        .name = "bench",
        .summary = "measure issue, device and total time",
        .description = "Replays TRACE many times and prints percentiles of its times.",
        .options = bench_options,
        .option_count = COUNT(bench_options),
        .defaults = {.device_uri = "auto", .iterations = 100, .warmup = 10},
        .execute = segue_replay_bench,
    },
    {
        .name = "dump",
        .summary = "print recorded commands, their order, or the driver's graph",
        .description = "Describes the command buffers of TRACE.",
        .options = dump_options,
        .option_count = COUNT(dump_options),
        .defaults = {.device_uri = "auto", .stage = 2},
        .execute = segue_replay_dump,
    },
};
const uint32_t segue_replay_command_count = COUNT(segue_replay_commands);
