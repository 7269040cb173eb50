// SPDX-License-Identifier: Apache-2.0
#include "calibrate.h"
#include "compare.h"
#include "harness.h"
#include "report.h"
#include "shapes.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** The most that glibc takes, and more than any sample takes. */
#define MMAP_THRESHOLD_BYTES (32 << 20)
#define TRIM_THRESHOLD_BYTES (1 << 30)

enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_DEVICE = 77 };

static const char usage_text[] =
    "Usage: segue-bench [OPTION]...\n"
    "\n"
    "Measures what Segue costs, each figure beside the raw driver doing the same work in the\n"
    "same process.\n"
    "\n"
    "  --device URI           cuda://N, soft:// or auto (default: $SEGUE_TEST_DEVICE, else auto)\n"
    "  --filter PATTERN,...   only benchmarks whose name matches or contains a PATTERN\n"
    "  --quick                small sizes, few repeats\n"
    "  --time MS              how long each benchmark is repeated (default: 500; shapes: 200)\n"
    "  --shapes               compare shapes of graphs instead: Segue's and others, side by side\n"
    "  --trace FILE           add the benchmarks cache/trace, of the trace's longest command "
    "buffer;\n"
    "                         with --shapes: it is one of them\n"
    "  --calibrate            measure the device's cost model instead, and keep it for later\n"
    "  --json FILE            write the results in Google Benchmark's JSON\n"
    "  --write-baseline FILE  write the ratios for segue-bench-compare; added to what is there\n"
    "  --list                 print the names and exit\n"
    "  --help                 print this and exit\n"
    "\n"
    "Exit codes: 0 good, 1 a benchmark failed or a file could not be written, 2 usage,\n"
    "77 the device is not available. A missed target is printed, and no failure.\n";

enum option_key {
    KEY_DEVICE = 1,
    KEY_FILTER,
    KEY_QUICK,
    KEY_TIME,
    KEY_SHAPES,
    KEY_TRACE,
    KEY_CALIBRATE,
    KEY_JSON,
    KEY_BASELINE,
    KEY_LIST,
    KEY_HELP
};

static bool parse_time(const char *text, uint32_t *out_time_ms)
{
    char *end = NULL;
    const unsigned long time_ms = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || time_ms == 0 || time_ms > 60000)
        return false;
    *out_time_ms = (uint32_t)time_ms;
    return true;
}

/** -1: go on; else what to exit with. */
static int parse_options(int argc, char **argv, struct segue_bench_options *options, bool *out_list)
{
    static const struct option names[] = {
        {"device", required_argument, NULL, KEY_DEVICE},
        {"filter", required_argument, NULL, KEY_FILTER},
        {"quick", no_argument, NULL, KEY_QUICK},
        {"time", required_argument, NULL, KEY_TIME},
        {"shapes", no_argument, NULL, KEY_SHAPES},
        {"trace", required_argument, NULL, KEY_TRACE},
        {"calibrate", no_argument, NULL, KEY_CALIBRATE},
        {"json", required_argument, NULL, KEY_JSON},
        {"write-baseline", required_argument, NULL, KEY_BASELINE},
        {"list", no_argument, NULL, KEY_LIST},
        {"help", no_argument, NULL, KEY_HELP},
        {0},
    };
    for (int key; (key = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (key) {
        case KEY_DEVICE:
            options->device_uri = optarg;
            break;
        case KEY_FILTER:
            options->filter = optarg;
            break;
        case KEY_QUICK:
            options->quick = true;
            break;
        case KEY_TIME:
            if (!parse_time(optarg, &options->time_ms)) {
                fprintf(stderr, "segue-bench: --time \"%s\" is not 1 to 60000\n", optarg);
                return EXIT_USAGE;
            }
            break;
        case KEY_SHAPES:
            options->shapes = true;
            break;
        case KEY_TRACE:
            options->trace_path = optarg;
            break;
        case KEY_CALIBRATE:
            options->calibrate = true;
            break;
        case KEY_JSON:
            options->json_path = optarg;
            break;
        case KEY_BASELINE:
            options->baseline_path = optarg;
            break;
        case KEY_LIST:
            *out_list = true;
            break;
        case KEY_HELP:
            fputs(usage_text, stdout);
            return EXIT_GOOD;
        default:
            fputs("Try segue-bench --help.\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind != argc) {
        fprintf(stderr, "segue-bench: \"%s\" is one argument too many\n", argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

static void print_name(const char *name, void *context)
{
    bool *any = context;
    *any = true;
    if (any[1])
        puts(name);
}

/** Keeps free memory in the process. Otherwise each large sample gives its pages back, and takes
 *  them again as page faults in whatever comes next: measured, that made one and the same
 *  instantiate call four times as long on one side. So figures are those of a warm heap. */
static bool keep_heap(void)
{
    return mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES) == 1 &&
           mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES) == 1;
}

/** Memory first: later benchmarks leave free memory behind, which would hide what it takes. */
static void add_groups(struct segue_bench *bench)
{
    segue_bench_add_memory(bench);
    segue_bench_add_cache_memory(bench);
    segue_bench_add_record(bench);
    segue_bench_add_lower(bench);
    segue_bench_add_launch(bench);
    segue_bench_add_submit(bench);
    segue_bench_add_transfer(bench);
    segue_bench_add_depend(bench);
    segue_bench_add_cache(bench);
    segue_bench_add_cache_loop(bench);
    segue_bench_add_cache_rebind(bench);
    segue_bench_add_cache_trace(bench);
}

static bool write_baseline(const json_t *run, const char *path)
{
    json_t *previous = NULL;
    if (access(path, F_OK) == 0) {
        json_error_t error;
        previous = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
        if (!previous) {
            fprintf(stderr, "segue-bench: %s:%d: %s\n", path, error.line, error.text);
            return false;
        }
    }
    json_t *baseline = segue_bench_make_baseline(run, previous);
    json_decref(previous);
    return baseline && segue_bench_write_json(baseline, path);
}

static bool write_files(const struct segue_bench *bench)
{
    const struct segue_bench_options *options = &bench->options;
    if (!options->json_path && !options->baseline_path)
        return true;
    json_t *run = segue_bench_make_json(bench);
    if (!run) {
        fputs("segue-bench: out of memory for the results\n", stderr);
        return false;
    }
    bool good = !options->baseline_path || write_baseline(run, options->baseline_path);
    good = (!options->json_path || segue_bench_write_json(json_incref(run), options->json_path)) &&
           good;
    json_decref(run);
    return good;
}

static int run(struct segue_bench *bench)
{
    if (!keep_heap())
        fputs("segue-bench: the heap cannot be kept; large graphs will vary more\n", stderr);
    const segue_status status =
        segue_bench_fixture_open(&bench->fixture, bench->options.device_uri, NULL);
    if (status != SEGUE_OK) {
        fprintf(stderr, "segue-bench: %s: %s\n", bench->options.device_uri,
                segue_last_error()->message);
        return status == SEGUE_UNAVAILABLE ? EXIT_NO_DEVICE : EXIT_FAILED;
    }
    const char *step = "";
    const CUresult result = segue_bench_raw_open(&bench->raw, bench->fixture.info.uri, &step);
    if (result != CUDA_SUCCESS) {
        fprintf(stderr, "segue-bench: raw driver: %s returned %d\n", step, (int)result);
        return EXIT_FAILED;
    }
    if (bench->options.calibrate)
        return segue_bench_calibrate(bench) ? EXIT_GOOD : EXIT_FAILED;
    if (bench->options.shapes)
        return segue_shapes_run(bench) ? EXIT_GOOD : EXIT_FAILED;
    bool good = segue_bench_run(bench);
    segue_bench_conclude_launch(bench);
    segue_bench_conclude_cache(bench);
    segue_bench_print_table(bench);
    good = write_files(bench) && good;
    return good ? EXIT_GOOD : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct segue_bench *bench = calloc(1, sizeof(*bench));
    if (!bench) {
        fputs("segue-bench: out of memory\n", stderr);
        return EXIT_FAILED;
    }
    const char *uri = getenv("SEGUE_TEST_DEVICE");
    bench->options.device_uri = uri && *uri ? uri : "auto";
    // Whether any name passed the filter, and whether to print them.
    bool listing[2] = {false, false};
    int exit_code = parse_options(argc, argv, &bench->options, &listing[1]);
    if (exit_code < 0) {
        add_groups(bench);
        if (bench->options.shapes)
            segue_shapes_visit_names(bench, print_name, listing);
        else
            segue_bench_visit_names(bench, print_name, listing);
        if (!listing[0]) {
            fprintf(stderr, "segue-bench: no benchmark matches \"%s\"\n", bench->options.filter);
            exit_code = EXIT_USAGE;
        } else {
            exit_code = listing[1] ? EXIT_GOOD : run(bench);
        }
        segue_bench_raw_close(&bench->raw);
        segue_bench_fixture_close(&bench->fixture);
    }
    free(bench);
    return exit_code;
}
