// SPDX-License-Identifier: Apache-2.0
#include "command.h"

#define FIELD(name) offsetof(struct segue_replay_options, name)
#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

// In the order of the public enums, so that the index is the value.
static const char *const modes[] = {"auto", "graph", "stream", NULL};
static const char *const orders[] = {"auto", "hazard", "barrier", NULL};
static const char *const times[] = {"auto", "measured", "modelled", NULL};
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

#define ORDER_OPTION                                                                              \
    {                                                                                             \
        .name = "order", .kind = SEGUE_REPLAY_CHOICE, .field = FIELD(order), .argument = "ORDER", \
        .help = "what barriers order: conflicts, or everything; auto: as recorded",               \
        .choices = orders,                                                                        \
    }

#define ITERATIONS_OPTION(text)                                                              \
    {                                                                                        \
        .name = "iterations", .letter = 'n', .kind = SEGUE_REPLAY_NUMBER,                    \
        .field = FIELD(iterations), .argument = "N", .help = text, .min = 1, .max = 1000000, \
    }

static const struct segue_replay_option run_options[] = {
    DEVICE_OPTIONS,
    MODE_OPTION,
    ORDER_OPTION,
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
    {
        .name = "prepack-cache",
        .kind = SEGUE_REPLAY_FILE,
        .field = FIELD(prepack_cache_path),
        .argument = "DIR",
        .help = "load constants through a prepack plan, and keep them in this packed cache",
    },
    {
        .name = "set",
        .kind = SEGUE_REPLAY_SETTING,
        .field = FIELD(settings),
        .argument = "NAME=VALUE",
        .help = "give the constant slots of that name this value; may be repeated",
    },
};

static const struct segue_replay_option check_options[] = {
    DEVICE_OPTIONS,
    ORDER_OPTION,
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
    ORDER_OPTION,
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
    {
        .name = "profile",
        .kind = SEGUE_REPLAY_FILE,
        .field = FIELD(profile_path),
        .argument = "FILE",
        .help = "also measure every dispatch, and write the trace with that, beside TRACE",
    },
};

static const struct segue_replay_option dump_options[] = {
    DEVICE_OPTIONS,
    ORDER_OPTION,
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

static const struct segue_replay_option report_options[] = {
    DEVICE_OPTIONS,
    ORDER_OPTION,
    ITERATIONS_OPTION("runs that durations are measured over (default 20)"),
    {
        .name = "times",
        .letter = 't',
        .kind = SEGUE_REPLAY_CHOICE,
        .field = FIELD(times),
        .argument = "TIMES",
        .help = "durations of commands; auto: measured on a GPU, else modelled",
        .choices = times,
    },
    {
        .name = "output",
        .letter = 'o',
        .kind = SEGUE_REPLAY_FILE,
        .field = FIELD(output_path),
        .argument = "FILE",
        .help = "write the page there instead of on stdout",
    },
    {
        .name = "trace",
        .kind = SEGUE_REPLAY_FILE,
        .field = FIELD(timeline_path),
        .argument = "FILE",
        .help = "write the lanes for Perfetto or chrome://tracing, too",
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
    {
        .name = "report",
        .summary = "draw the lanes of the graph over time, as one HTML page",
        .description =
            "Writes a page that shows the graphs of TRACE: lanes over time, why nodes wait "
            "for each\nother, the critical path, and totals beside a serial run.",
        .options = report_options,
        .option_count = COUNT(report_options),
        .defaults = {.device_uri = "auto", .iterations = 20},
        .execute = segue_replay_report,
    },
};
const uint32_t segue_replay_command_count = COUNT(segue_replay_commands);
